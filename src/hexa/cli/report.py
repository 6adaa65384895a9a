"""hexa report: what machines used and cost, and what was saved against being on all the time."""

import csv
import io
import re
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from hexa.cli.blockers import blockers as show_blockers
from hexa.cli.receipt import receipt as show_receipt
from hexa.cli.shared.cluster import AllNamespacesOption, ContextOption, KubeconfigOption, NamespaceOption, Site
from hexa.cli.shared.completion import complete_group
from hexa.cli.shared.exits import Exit, fail
from hexa.cli.shared.output import Column, Format, Tone, dump, say, table
from hexa.cli.shared.people import look, searched, tell_notes, within

if TYPE_CHECKING:
    from hexa.app.commands.report import EnergyReport
    from hexa.app.commands.shared.snapshot import Snapshot
    from hexa.domain.money.reporting import Line

DAYS_KEPT: Final = 35
"""Days of which accounts have figures of their own."""


class ReportFormat(StrEnum):
    TABLE = "table"
    JSON = "json"
    CSV = "csv"


class ReportBy(StrEnum):
    DAY = "day"
    MACHINE = "machine"
    TARIFF = "tariff"


def report(
    since: Annotated[
        str,
        typer.Option(
            metavar="DAY",
            help="First day: YYYY-MM-DD, or 7d for today and the six before. Default: all that was counted.",
        ),
    ] = "",
    group: Annotated[
        str, typer.Option(metavar="GROUP", help="Its machines alone.", autocompletion=complete_group)
    ] = "",
    by: Annotated[ReportBy, typer.Option(help="What a line is of.")] = ReportBy.MACHINE,
    blockers: Annotated[
        bool, typer.Option("--blockers", help="Show instead which rule keeps each idle machine on: hexa blockers.")
    ] = False,
    receipt: Annotated[
        bool, typer.Option("--receipt", help="Show instead what groups in mode Observe could have saved: hexa receipt.")
    ] = False,
    output: Annotated[ReportFormat, typer.Option("--output", "-o", help="How it is written.")] = ReportFormat.TABLE,
    kubeconfig: KubeconfigOption = "",
    context: ContextOption = "",
    namespace: NamespaceOption = "",
    all_namespaces: AllNamespacesOption = False,
) -> None:
    """Show hours, energy and money of machines, and what was saved against being on all the time.

    Figures are those of the statuses, an hour old at most. See docs/savings.md.
    """
    day = _day(since)
    names = [group] if group else []
    if blockers or receipt:
        _alone("blockers" if blockers else "receipt", output, other=blockers and receipt, since=since, by=by)
        cluster = {"kubeconfig": kubeconfig, "context": context, "namespace": namespace}
        show = show_blockers if blockers else show_receipt
        show(names, Format(output), **cluster, all_namespaces=all_namespaces)
        return
    where = within(names, kubeconfig=kubeconfig, context=context, namespace=namespace, all_namespaces=all_namespaces)

    async def asked(site: Site, snapshot: "Snapshot") -> "tuple[EnergyReport, Snapshot]":
        from hexa.app.commands.report import By, report_of

        space = searched(site, all_namespaces=all_namespaces)
        return report_of(snapshot, by=By(by), since=day, group=group, namespace=space), snapshot

    found, snapshot = look(where, asked)
    tell_notes(snapshot.notes)
    _print(found, output)
    if found.left_out and output is ReportFormat.TABLE:
        _tell_left_out(found.left_out)


def _alone(shown: str, output: ReportFormat, *, other: bool, since: str, by: ReportBy) -> None:
    """End where what is shown instead of the account cannot be had so."""
    if output is ReportFormat.CSV:
        fail(f"--{shown}: write -o table or -o json", Exit.USAGE)
    if other:
        fail("--blockers and --receipt: write one of them", Exit.USAGE)
    if since or by is not ReportBy.MACHINE:
        fail(f"--{shown}: it knows no {'--since' if since else '--by'}; leave that out", Exit.USAGE)


def _day(text: str) -> str:
    """The first day as it stands in accounts; empty: all that was counted."""
    if not text:
        return ""
    today = datetime.now(UTC).date()  # noqa: TID251  # a command is where time comes from
    if re.fullmatch(r"[0-9]{1,4}d", text) and (days := int(text[:-1])) >= 1:
        first = today - timedelta(days=days - 1)
    else:
        try:
            first = date.fromisoformat(text)
        except ValueError:
            fail(f"--since: {text!r} is no day: write one such as 2026-11-30, or 7d", Exit.USAGE)
    if first < today - timedelta(days=DAYS_KEPT - 1):
        fail(
            f"--since: {text} is too long ago: figures of single days are kept for {DAYS_KEPT} days; "
            "without --since all that was counted is shown",
            Exit.USAGE,
        )
    if first > today + timedelta(days=1):  # where it is tomorrow already accounts have that day
        fail(f"--since: {text} is yet to come: write today or a day before it", Exit.USAGE)
    return first.isoformat()


def _print(found: "EnergyReport", output: ReportFormat) -> None:
    if output is ReportFormat.JSON:
        say(dump(_builtins(found), Format.JSON))
    elif output is ReportFormat.CSV:
        say(_csv(found))
    elif found.lines:
        say(table(_columns(found.by.upper()), [*found.lines, *(found.totals if len(found.lines) > 1 else ())]))
        if any(line.sums.measured < 0.99 * line.sums.kwh for line in found.lines):
            say("\n~ computed from spec.energy; what a meter reads is shown without it")
    else:
        typer.echo("hexa: nothing was counted yet", err=True)


def _tell_left_out(names: tuple[str, ...]) -> None:
    shown = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
    typer.echo(f"hexa: left out, because spec.energy and spec.pricing say nothing: {shown}", err=True)


def _columns(title: str) -> "list[Column[Line]]":
    return [
        Column(title, lambda line: line.name),
        Column("ON", lambda line: _hours(line.sums.on_seconds)),
        Column("BOOTING", lambda line: _hours(line.sums.boot_seconds)),
        Column("OFF", lambda line: _hours(line.sums.off_seconds)),
        Column("BOOTS", lambda line: str(line.sums.boots)),
        Column("KWH", _energy),
        Column("SAVED-KWH", lambda line: f"{line.sums.saved_kwh:,.2f}"),
        Column("MONEY", lambda line: _money(line, line.sums.money)),
        Column("SAVED", lambda line: _money(line, line.sums.saved), tone=_tone),
    ]


def _hours(seconds: float) -> str:
    return f"{seconds / 3600:,.1f} h"


def _energy(line: "Line") -> str:
    estimated = "~" if line.sums.measured < 0.99 * line.sums.kwh else ""
    return f"{estimated}{line.sums.kwh:,.2f}"


def _money(line: "Line", amount: float) -> str:
    return f"{amount:,.2f} {line.currency}" if line.sums.money or line.sums.saved else ""


def _tone(line: "Line") -> Tone | None:
    return Tone.GOOD if line.sums.saved > 0 else Tone.BAD if line.sums.saved < 0 else None


FIELDS: Final = {
    "onSeconds": "on_seconds",
    "bootSeconds": "boot_seconds",
    "offSeconds": "off_seconds",
    "boots": "boots",
    "kWh": "kwh",
    "measuredKWh": "measured",
    "savedKWh": "saved_kwh",
    "money": "money",
    "saved": "saved",
}
"""For programs: every figure of a line, also those that are 0."""


def _row(line: "Line", name: str) -> dict[str, Any]:
    figures = {key: getattr(line.sums, field) for key, field in FIELDS.items()}
    return {name: line.name, "currency": line.currency, **figures}


def _builtins(found: "EnergyReport") -> dict[str, Any]:
    name = str(found.by)
    return {
        "by": name,
        "since": found.since or None,
        "began": found.began,
        "lines": [_row(line, name) for line in found.lines],
        "totals": [_row(line, "total") | {"total": line.currency} for line in found.totals],
        "leftOut": list(found.left_out),
    }


def _csv(found: "EnergyReport") -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, [str(found.by), "currency", *FIELDS], lineterminator="\n")
    writer.writeheader()
    writer.writerows(_row(line, str(found.by)) for line in found.lines)
    return text.getvalue().rstrip("\n")
