"""hexa enrol: Groups and Nodes for the machines that are there, as YAML to look over. It applies nothing."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hexa.cli.shared.cluster import ContextOption, KubeconfigOption, Site, Where, ask
from hexa.cli.shared.exits import Exit, fail
from hexa.cli.shared.files import STANDARD_INPUT, name_of, read_text

if TYPE_CHECKING:
    from hexa.app.commands.enrol import Enrolment
    from hexa.domain.people.enrol import Candidate


def enrol(
    nodes: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NODE...]", help="Kubernetes nodes. Default: all but the control plane."),
    ] = None,
    list_of_machines: Annotated[
        str, typer.Option("--from", metavar="FILE.csv", help="Machines that are off or unknown; - is standard input.")
    ] = "",
    everything: Annotated[bool, typer.Option("--all", help="Print machines that are enrolled already, too.")] = False,
    probe: Annotated[
        bool, typer.Option("--probe/--no-probe", help="Read network cards by a pod on each node that is Ready.")
    ] = True,
    image: Annotated[
        str, typer.Option(metavar="IMAGE", help="Image of hexa, for the pods and the power Jobs. Default: its own.")
    ] = "",
    timeout: Annotated[
        float,
        typer.Option(metavar="SECONDS", min=1.0, help="How long each pod may take, the pull of its image included."),
    ] = 60.0,
    output: Annotated[
        str, typer.Option("--output", "-o", metavar="FILE", help="Where to write; - is standard output.")
    ] = STANDARD_INPUT,
    namespace: Annotated[
        str, typer.Option("--namespace", "-n", metavar="NAME", help="Namespace. Default: hexa's, else the context's.")
    ] = "",
    kubeconfig: KubeconfigOption = "",
    context: ContextOption = "",
) -> None:
    """Print Groups and Nodes for the machines that are there, and for those of a list. Nothing is applied.

    Ends with 0 if nothing is missing, 1 if something is to be filled in or looked at (it is said on standard error).
    """
    from hexa.app.commands.enrol import Enrolment, Wanted
    from hexa.app.commands.enrol import enrol as look
    from hexa.cli.shared.enrolling import render

    if output != STANDARD_INPUT and Path(output).exists():
        fail(f"{output}: is there already; name another file, or remove it", Exit.USAGE)
    rows = tuple(_rows(list_of_machines)) if list_of_machines else ()

    async def question(site: Site) -> Enrolment:
        wanted = Wanted(
            namespace=namespace,
            otherwise=site.own_namespace,
            nodes=tuple(dict.fromkeys(nodes or ())),
            rows=rows,
            everything=everything,
            probe=probe,
            image=image,
            seconds=timeout,
        )
        return await look(site.kube, wanted)

    found = ask(Where(kubeconfig=kubeconfig, context=context, namespace=namespace), question)
    _tell(found)
    _write(render(found), output)
    if found.incomplete:
        raise typer.Exit(Exit.FAILED)


def _rows(file: str) -> "list[Candidate]":
    from hexa.cli.shared.enrolling import read_machines
    from hexa.domain.people.enrol import RowError

    try:
        return read_machines(read_text(file), source=name_of(file))
    except RowError as error:
        fail(str(error), Exit.USAGE)


def _tell(found: "Enrolment") -> None:
    """On standard error: what was left out, and what is missing."""
    from hexa.cli.shared.output import plain

    lines = [
        *(f"{each.name}: left out: {each.reason}" for each in found.left_out),
        *(f"{name}: {text}" for name, texts in found.missing.items() for text in texts),
        *found.notes,
    ]
    if not found.groups:
        lines.append("no machine to enrol")
    for line in lines:
        typer.echo(f"# {plain(line)}", err=True)


def _write(text: str, output: str) -> None:
    if output == STANDARD_INPUT:
        typer.echo(text, nl=False)
        return
    try:
        with Path(output).open("x", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        fail(f"cannot write {output}: {error.strerror}", Exit.FAILED)
