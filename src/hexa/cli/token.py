"""hexa token: what lets a program ask hexa over HTTP for named machines."""

from typing import TYPE_CHECKING, Annotated

import typer

from hexa.cli.shared.cluster import ContextOption, KubeconfigOption, NamespaceOption, Site
from hexa.cli.shared.completion import complete_machine
from hexa.cli.shared.exits import Exit, fail
from hexa.cli.shared.people import home, look, within

if TYPE_CHECKING:
    from hexa.app.commands.shared.snapshot import Snapshot
    from hexa.domain.resources.v1alpha1 import Lookup


def token(
    machines: Annotated[
        list[str], typer.Argument(metavar="MACHINE...", help="NAME or NAMESPACE/NAME.", autocompletion=complete_machine)
    ],
    account: Annotated[
        str,
        typer.Option(metavar="NAME", help="Name of the ServiceAccount. Default: hexa- and the name of the machine."),
    ] = "",
    read_only: Annotated[
        bool, typer.Option("--read-only", help="Machines may be seen, and neither held nor woken.")
    ] = False,
    wake_only: Annotated[bool, typer.Option("--wake-only", help="Machines may be woken, and not held.")] = False,
    list_all: Annotated[
        bool,
        typer.Option("--list", help="All machines of their namespaces may be seen: lists, stream and page need that."),
    ] = False,
    short_lived: Annotated[
        bool,
        typer.Option(
            "--short-lived", help="No Secret with a token that stays: one is asked for by kubectl create token."
        ),
    ] = False,
    kubeconfig: KubeconfigOption = "",
    context: ContextOption = "",
    namespace: NamespaceOption = "",
) -> None:
    """Print a ServiceAccount, its rights over the machines and its token, ready for kubectl apply. Nothing is written."""
    keys = _found(machines, kubeconfig, context, namespace)
    from hexa.app.manifests.tokens import account_of, how_to_read, token_objects
    from hexa.domain.policy.labels import is_object_name
    from hexa.yaml import write_document

    name, space = account or account_of(keys), keys[0].namespace
    if not is_object_name(name):
        fail(f"--account: {name!r} is no name: use lower case letters, digits and -", Exit.USAGE)
    acts = () if read_only else ("wake",) if wake_only else ("hold", "wake")
    objects = token_objects(keys, account=name, namespace=space, acts=acts, every=list_all, secret=not short_lived)
    typer.echo(
        f"# hexa token ... | kubectl apply -f -\n# then the token: {how_to_read(name, space, secret=not short_lived)}"
    )
    typer.echo("---\n".join(write_document(each) for each in objects), nl=False)


def _found(machines: list[str], kubeconfig: str, context: str, namespace: str) -> "list[Lookup]":
    """Machines that there are: a right over a name that nobody has would be noticed late."""

    async def asked(site: Site, snapshot: "Snapshot") -> "list[Lookup]":
        picked = [snapshot.pick(name, namespace=home(site), groups=False) for name in machines]
        return list(dict.fromkeys(key for each in picked for key in each.machines))

    return look(within(machines, kubeconfig=kubeconfig, context=context, namespace=namespace), asked)
