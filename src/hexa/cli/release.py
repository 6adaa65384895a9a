"""hexa release: the way out."""

from typing import TYPE_CHECKING, Annotated

import typer

from hexa.cli.shared.cluster import AllNamespacesOption, ContextOption, KubeconfigOption, NamespaceOption, Site, ask
from hexa.cli.shared.completion import complete_machine
from hexa.cli.shared.exits import Exit, fail
from hexa.cli.shared.people import home, within

if TYPE_CHECKING:
    from hexa.app.commands.release import Release


def release(
    machines: Annotated[
        list[str] | None,
        typer.Argument(metavar="[MACHINE]...", help="NAME or NAMESPACE/NAME.", autocompletion=complete_machine),
    ] = None,
    everything: Annotated[
        bool,
        typer.Option(
            "--all", help="Every machine and group, and every Kubernetes node that still carries a mark of hexa."
        ),
    ] = False,
    wake: Annotated[
        bool,
        typer.Option(
            "--wake", help="Have the agent switch machines on first; those that do not come are not released."
        ),
    ] = False,
    at_once: Annotated[
        int, typer.Option("--at-once", min=1, metavar="N", help="Machines that are woken at a time.")
    ] = 10,
    timeout: Annotated[
        str, typer.Option("--timeout", metavar="DURATION", help="How long a machine may take to be Ready.")
    ] = "20m",
    kubeconfig: KubeconfigOption = "",
    context: ContextOption = "",
    namespace: NamespaceOption = "",
    all_namespaces: AllNamespacesOption = False,
) -> None:
    """Give machines up: nothing of hexa stays on their Kubernetes nodes, and hexa does nothing more to them."""
    from hexa import wiring
    from hexa.app.commands.release import Wake
    from hexa.app.commands.release import release as command
    from hexa.domain.duration import parse_duration

    if bool(machines) == everything:
        fail("name machines, or give --all (not both)", Exit.USAGE)
    try:
        seconds = parse_duration(timeout).total_seconds()
    except ValueError as error:
        fail(f"--timeout: {error}", Exit.USAGE)

    async def question(site: Site) -> "Release":
        return await command(
            site.kube,
            clock=wiring.system_clock(),
            namespace=site.namespace,
            names=machines or (),
            home=None if all_namespaces else home(site),
            wake=Wake(at_once=at_once, seconds=seconds) if wake else None,
            say=lambda line: typer.echo(line, err=True),
        )

    where = within(
        machines or (), kubeconfig=kubeconfig, context=context, namespace=namespace, all_namespaces=all_namespaces
    )
    _tell(ask(where, question))


def _tell(done: "Release") -> None:
    from hexa.cli.shared.output import plain, say

    for freed in done.freed:
        say(f"{plain(str(freed.key))}: released, {freed.power}")
        if freed.handback:
            say("  after its next boot, these give its node back what it had:")
        for command in freed.handback:
            say(f"  {plain(command)}")
    say(f"{_count(len(done.freed), 'machine')} released, {_count(len(done.nodes), 'Kubernetes node')} cleaned")
    for key, reason in done.kept.items():
        typer.echo(f"hexa: {plain(str(key))} is not released: {plain(reason)}", err=True)
    for name in done.left:
        typer.echo(f"hexa: {name} is not clean: something puts marks back; is there an older hexa?", err=True)
    if done.kept or done.left:
        raise typer.Exit(Exit.FAILED)


def _count(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"
