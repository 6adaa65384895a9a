"""hexa doctor: what is wrong with hexa's surroundings, of which object, and what to do. It changes nothing."""

from typing import TYPE_CHECKING, Annotated, Final

import typer

from hexa.cli.shared.cluster import ContextOption, KubeconfigOption, Site, Where, ask
from hexa.cli.shared.exits import Exit
from hexa.cli.shared.output import Format, OutputOption, Tone, dump, paint, plain, say

if TYPE_CHECKING:
    from hexa.app.commands.doctor.examine import Report
    from hexa.domain.people.doctor.finding import Finding

_TONES: Final = {"error": Tone.BAD, "warning": Tone.BUSY, "unseen": Tone.QUIET}


def doctor(
    user: Annotated[
        str, typer.Option("--as", metavar="USER", help="Whose rights are asked for. Default: those of hexa's pod.")
    ] = "",
    namespace: Annotated[
        list[str] | None,
        typer.Option(
            "--namespace",
            "-n",
            metavar="NAME",
            help="Namespace that hexa watches; may be repeated. Default: as its pod says.",
        ),
    ] = None,
    output: OutputOption = Format.TABLE,
    kubeconfig: KubeconfigOption = "",
    context: ContextOption = "",
) -> None:
    """Look over hexa, Cluster Autoscaler and the cluster, and name what is wrong with the remedy. Nothing is changed.

    Ends with 0 if nothing is an error (warnings are allowed), 1 if something is.
    """
    from datetime import UTC, datetime

    from hexa.app.commands.doctor.examine import Report, examine
    from hexa.app.commands.doctor.sight import Asked, Sight
    from hexa.wiring import open_issuer

    asked = Asked(namespaces=tuple(namespace or ()), user=user)

    async def question(site: Site) -> Report:
        now = lambda: datetime.now(UTC)  # noqa: E731, TID251  # a command is where time comes from
        sight = Sight(site.kube, asked, now=now, certificates=open_issuer())
        return await examine(sight)

    report = ask(Where(kubeconfig=kubeconfig, context=context), question)
    say(dump(report, output) if output.for_programs else _text(report))
    if any(finding.severity == "error" for finding in report.findings):
        raise typer.Exit(Exit.FAILED)


def _text(report: "Report") -> str:
    lines = [line for finding in report.findings for line in _lines(finding)]
    return "\n".join([*lines, _summary(report)])


def _lines(finding: "Finding") -> tuple[str, str]:
    head = paint(str(finding.severity), _TONES[finding.severity])
    return f"{head}: {plain(finding.object)}: {plain(finding.text)}", f"    {plain(finding.remedy)}"


def _summary(report: "Report") -> str:
    severities = [str(finding.severity) for finding in report.findings]
    errors, warnings, unseen = (severities.count(each) for each in ("error", "warning", "unseen"))
    counts = f"{errors} error{'s' * (errors != 1)}, {warnings} warning{'s' * (warnings != 1)}"
    return f"{len(report.checks)} checks: {counts}" + (f", {unseen} could not be seen" if unseen else "")
