"""hexa receipt: what groups that only observe could have saved."""

from typing import TYPE_CHECKING, Annotated

import typer

from hexa.cli.shared.cluster import AllNamespacesOption, ContextOption, KubeconfigOption, NamespaceOption, Site
from hexa.cli.shared.completion import complete_group
from hexa.cli.shared.output import Column, Format, OutputOption, ago, dump, say, table
from hexa.cli.shared.people import look, searched, tell_notes, within

if TYPE_CHECKING:
    from datetime import datetime

    from hexa.app.commands.receipt import Line, Receipts
    from hexa.app.commands.shared.snapshot import Snapshot

NAMED = 3
"""So many reasons are shown of a machine; -o wide has all."""


def receipt(
    groups: Annotated[
        list[str] | None,
        typer.Argument(metavar="[GROUP...]", help="NAME or NAMESPACE/NAME; none: all.", autocompletion=complete_group),
    ] = None,
    output: OutputOption = Format.TABLE,
    kubeconfig: KubeconfigOption = "",
    context: ContextOption = "",
    namespace: NamespaceOption = "",
    all_namespaces: AllNamespacesOption = False,
) -> None:
    """Show what machines of groups in mode Observe could have saved, and what would have kept them on."""
    names = groups or []
    where = within(names, kubeconfig=kubeconfig, context=context, namespace=namespace, all_namespaces=all_namespaces)

    async def asked(site: Site, snapshot: "Snapshot") -> "tuple[Receipts, Snapshot]":
        from hexa.app.commands.receipt import receipts

        return receipts(snapshot, names, namespace=searched(site, all_namespaces=all_namespaces)), snapshot

    found, snapshot = look(where, asked)
    tell_notes(snapshot.notes)
    if output.for_programs:
        say(dump(found, output))
        return
    if found.lines:
        say(table(_columns(snapshot.now, wide=output is Format.WIDE), found.lines, wide=output is Format.WIDE))
        tell_notes(found.notes)
    else:
        typer.echo(
            "hexa: no group observes, or did: set spec.mode: Observe on a Group, and look again in an hour", err=True
        )


def _columns(now: "datetime", *, wide: bool) -> "list[Column[Line]]":
    return [
        Column("GROUP", lambda line: line.group),
        Column("MACHINE", lambda line: line.machine or "all"),
        Column("SINCE", lambda line: ago(line.since, now)),
        Column("ENDED", lambda line: ago(line.until, now), wide=True),
        Column("COULD-REST", lambda line: f"{line.off_hours:.1f} h"),
        Column("OFFS", lambda line: str(line.offs)),
        Column("KWH", lambda line: f"{line.kwh:.2f}"),
        Column("MONEY", lambda line: f"{line.money:.2f} {line.currency}".rstrip()),
        Column("KEPT-ON-BY", lambda line: _kept(line, wide=wide)),
    ]


def _kept(line: "Line", *, wide: bool) -> str:
    shown = line.kept if wide else line.kept[:NAMED]
    return ", ".join(f"{part.reason} {part.seconds / 3600:.1f} h" for part in shown)
