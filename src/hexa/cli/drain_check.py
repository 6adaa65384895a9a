"""hexa drain-check: what a drain would do now. It evicts nothing."""

from typing import TYPE_CHECKING, Annotated

import typer

from hexa.cli.shared.cluster import ContextOption, KubeconfigOption, NamespaceOption, Site
from hexa.cli.shared.completion import complete_machine
from hexa.cli.shared.exits import Exit
from hexa.cli.shared.output import Format, OutputOption, Tone, dump, paint, plain, say, span
from hexa.cli.shared.people import home, look, tell_notes, within

if TYPE_CHECKING:
    from hexa.app.commands.shared.draining import Check
    from hexa.app.commands.shared.snapshot import Snapshot


def drain_check(
    machines: Annotated[
        list[str], typer.Argument(metavar="MACHINE...", help="NAME or NAMESPACE/NAME.", autocompletion=complete_machine)
    ],
    output: OutputOption = Format.TABLE,
    kubeconfig: KubeconfigOption = "",
    context: ContextOption = "",
    namespace: NamespaceOption = "",
) -> None:
    """Say what a drain would do now: which pods go in which order, who blocks, why, and what to do about it.

    Ends with 0 if every drain would begin and end, with 4 if one would not.
    """

    async def asked(site: Site, snapshot: "Snapshot") -> "tuple[list[Check], list[str], tuple[str, ...]]":
        from hexa.app.commands.shared.draining import check_all

        checks, wrong = await check_all(site.kube, snapshot, machines, namespace=home(site))
        return checks, wrong, snapshot.notes

    checks, wrong, notes = look(within(machines, kubeconfig=kubeconfig, context=context, namespace=namespace), asked)
    tell_notes(notes)
    if output.for_programs:
        say(dump([check.told() for check in checks], output))
    else:
        say("\n\n".join("\n".join(drain_lines(check)) for check in checks))
    tell_notes(wrong)
    if wrong:
        raise typer.Exit(Exit.FAILED)
    if not all(check.ends for check in checks):
        raise typer.Exit(Exit.BLOCKED)


def drain_lines(check: "Check", *, indent: str = "") -> list[str]:
    """The answer for one machine."""
    lines = [f"{indent}{check.machine}: {_verdict(check)}"]
    lines += [f"{indent}  forbidden  {veto.reason}: {plain(veto.message)}" for veto in check.forbidden]
    lines += [
        f"{indent}  {'leaves' if pod.leaving else 'goes':9}  {plain(pod.pod)}{f' ({pod.controller})' if pod.controller else ''}"
        for pod in check.going
    ]
    lines += [
        f"{indent}  {paint('blocks', Tone.BAD)}     {plain(blocker.pod)}: {plain(blocker.message)}"
        for blocker in check.blockers
    ]
    lines += [
        f"{indent}  {paint('slow', Tone.BUSY)}       {plain(pod.pod)}: {plain(pod.message)}; a drain that it outlasts is given up"
        for pod in check.slow
    ]
    return lines


def _verdict(check: "Check") -> str:
    if not check.there:
        return "there is no Kubernetes node, so there is nothing to drain"
    count = len(check.going)
    going = f"{count} pod{'s' * (count != 1)} would go, {check.staying} would stay"
    if check.forbidden:
        return f"a drain would not begin; else {going}"
    if check.blockers:
        then = "be forced" if check.forced else "be given up"
        blocks = "1 pod blocks" if len(check.blockers) == 1 else f"{len(check.blockers)} pods block"
        return f"a drain would not end, and {then} after {span(check.deadline)}: {blocks}"
    return f"a drain would end: {going}"
