"""hexa get: machines and groups in a line each."""

from typing import TYPE_CHECKING, Annotated, Final

import typer

from hexa.cli.shared.changing import FAR, Changes, Part
from hexa.cli.shared.cluster import AllNamespacesOption, ContextOption, KubeconfigOption, NamespaceOption, Site, Where
from hexa.cli.shared.completion import complete_any
from hexa.cli.shared.exits import Exit, fail
from hexa.cli.shared.output import Column, Format, OutputOption, Tone, ago, clock, dump, say, shown, table
from hexa.cli.shared.people import look, searched, tell_notes, within
from hexa.cli.shared.staying import Sight, stay

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from hexa.app.commands.get import GroupLine, Lines, MachineLine
    from hexa.app.commands.shared.snapshot import Snapshot
    from hexa.app.commands.shared.watching import LiveSnapshot

SETTLES: Final = 0.3
"""Seconds: of what changes within this time, what it came to is printed."""
MACHINE_WORDS: Final = frozenset({"machines", "machine", "nodes", "node", "hn", "hnode"})
GROUP_WORDS: Final = frozenset({"groups", "group", "hg", "hgroup"})
HEALTH_TONES: Final = {"healthy": Tone.GOOD, "degraded": Tone.BUSY, "offline": Tone.BAD}
PHASE_TONES: Final = {
    "Ready": Tone.GOOD,
    "Off": Tone.QUIET,
    "StartFailed": Tone.BAD,
    "StopFailed": Tone.BAD,
    "Lost": Tone.BAD,
    "Draining": Tone.BUSY,
    "PoweringOn": Tone.BUSY,
    "PoweringOff": Tone.BUSY,
    "Booting": Tone.BUSY,
}


def get(
    what: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[machines|groups] [NAME...]",
            help="Which; without a word both, without names all. A name is NAME or NAMESPACE/NAME.",
            autocompletion=complete_any,
        ),
    ] = None,
    output: OutputOption = Format.TABLE,
    kubeconfig: KubeconfigOption = "",
    context: ContextOption = "",
    namespace: NamespaceOption = "",
    all_namespaces: AllNamespacesOption = False,
    watch: Annotated[
        bool, typer.Option("--watch", "-w", help="Stay, and print each line that changes, until Ctrl-C.")
    ] = False,
) -> None:
    """Show machines and groups: what is wanted, what is, since when, and what stands between.

    With --watch json is one line, and yaml one document, for everything at first and then for what changes.
    """
    words = what or []
    word, names = (words[0], words[1:]) if words and words[0] in MACHINE_WORDS | GROUP_WORDS else ("", words)
    where = within(names, kubeconfig=kubeconfig, context=context, namespace=namespace, all_namespaces=all_namespaces)

    def found(site: Site, snapshot: "Snapshot") -> "tuple[Lines, list[str]]":
        from hexa.app.commands.get import chosen

        space = searched(site, all_namespaces=all_namespaces)
        machines, groups = word not in GROUP_WORDS, word not in MACHINE_WORDS
        return chosen(snapshot, names, namespace=space, machines=machines, groups=groups)

    if watch:
        _watch(where, found, output)
        return

    async def asked(site: Site, snapshot: "Snapshot") -> "tuple[Lines, list[str], Snapshot]":
        return *found(site, snapshot), snapshot

    lines, wrong, snapshot = look(where, asked)
    tell_notes(snapshot.notes)
    _print(lines, output, snapshot.now, spaces=where.all_namespaces, asked=bool(names))
    if wrong:
        tell_notes(wrong[:-1])
        fail(wrong[-1], Exit.FAILED)


def _watch(where: Where, found: "Callable[[Site, Snapshot], tuple[Lines, list[str]]]", output: Format) -> None:
    """Print what there is, then what changes. A name that is not there ends it at once; one that goes is told."""

    async def show(site: Site, live: "LiveSnapshot") -> None:
        import trio

        changes, sight, told, first = Changes(output), Sight(), set[str](), True
        while True:
            snapshot = live.snapshot()
            sight.tell(live.trouble)
            tell_notes(note for note in snapshot.notes if note not in told)
            told.update(snapshot.notes)
            lines, wrong = found(site, snapshot)
            if first:
                _begin(lines, wrong)
            first = False
            _print_changes(changes, lines, output, snapshot.now, spaces=where.all_namespaces)
            await live.changed()
            await trio.sleep(SETTLES)

    stay(where, show)


def _begin(lines: "Lines", wrong: list[str]) -> None:
    if wrong:
        fail(wrong[0], Exit.FAILED)
    if not lines.groups and not lines.machines:
        typer.echo("hexa: nothing here yet", err=True)


def _print_changes(changes: Changes, lines: "Lines", output: Format, now: "datetime", *, spaces: bool) -> None:
    every = [(_columns_of_groups(lines, at, spaces), _machine_columns(at, spaces)) for at in (now, FAR)]
    groups = Part("group", lines.groups, *(shown(columns, output) for columns, _ in every))
    machines = Part("machine", lines.machines, *(shown(columns, output) for _, columns in every))
    printed, gone = changes.of(groups, machines)
    for text in printed:
        say(text)
    tell_notes(gone)


def _print(lines: "Lines", output: Format, now: "datetime", *, spaces: bool, asked: bool) -> None:
    if output.for_programs:
        say(dump(lines, output))
        return
    wide = output is Format.WIDE
    tables = []
    if lines.groups:
        tables.append(table(_columns_of_groups(lines, now, spaces), lines.groups, wide=wide))
    if lines.machines:
        tables.append(table(_machine_columns(now, spaces), lines.machines, wide=wide))
    if tables:
        say("\n\n".join(tables))
    elif not asked:
        typer.echo("hexa: nothing here; look elsewhere with -n NAMESPACE or -A", err=True)


def _columns_of_groups(lines: "Lines", now: "datetime", spaces: bool) -> "list[Column[GroupLine]]":
    modes = any(line.mode not in ("", "Auto") for line in lines.groups)
    scheduled = any(line.next_change is not None for line in lines.groups)
    return _group_columns(now, spaces, modes=modes, scheduled=scheduled)


def _machine_columns(now: "datetime", spaces: bool) -> "list[Column[MachineLine]]":
    return [
        *([Column["MachineLine"]("NAMESPACE", lambda line: line.namespace)] if spaces else []),
        Column("NAME", lambda line: line.name),
        Column("WISH", lambda line: line.wish),
        Column("BY", lambda line: line.by, wide=True),
        Column("PHASE", lambda line: line.phase, tone=lambda line: PHASE_TONES.get(line.phase)),
        Column("SINCE", lambda line: ago(line.since, now)),
        Column("PROGRESS", lambda line: line.progress, wide=True),
        Column("HEALTH", lambda line: line.health, tone=lambda line: HEALTH_TONES.get(line.health)),
        Column("AILMENT", lambda line: line.ailment, wide=True),
        Column("UPTIME", lambda line: line.uptime, wide=True),
        Column("WAKES", lambda line: line.wakes, wide=True),
        Column("GROUP", lambda line: line.group),
        Column("READING", lambda line: line.reading, wide=True),
        Column("KUBERNETES-NODE", lambda line: line.kubernetes_node, wide=True),
        Column("ENERGY", lambda line: line.energy, wide=True),
        Column("AGE", lambda line: ago(line.created, now)),
        Column("BLOCKER", lambda line: line.blocker, tone=lambda _: Tone.BUSY),
    ]


def _group_columns(now: "datetime", spaces: bool, *, modes: bool, scheduled: bool) -> "list[Column[GroupLine]]":
    return [
        *([Column["GroupLine"]("NAMESPACE", lambda line: line.namespace)] if spaces else []),
        Column("NAME", lambda line: line.name),
        Column("SIZE", lambda line: str(line.size)),
        Column("TARGET", lambda line: str(line.target)),
        Column("READY", lambda line: str(line.ready)),
        Column("OFF", lambda line: str(line.off)),
        Column("MIN", lambda line: str(line.minimum), wide=True),
        Column("MAX", lambda line: "" if line.maximum is None else str(line.maximum), wide=True),
        Column("BOOTING", lambda line: str(line.booting), wide=True),
        Column("FAILED", lambda line: str(line.failed), wide=True),
        Column("HEALTH", lambda line: line.health, tone=lambda line: HEALTH_TONES.get(line.health)),
        *([Column["GroupLine"]("MODE", lambda line: line.mode)] if modes else []),
        Column("ENERGY", lambda line: line.energy, wide=True),
        Column("HELD", _held),
        *([Column["GroupLine"]("NEXT CHANGE", _next_change)] if scheduled else []),
        Column("AGE", lambda line: ago(line.created, now)),
        Column("BLOCKER", lambda line: line.blocker, tone=lambda _: Tone.BUSY),
    ]


def _held(line: "GroupLine") -> str:
    return line.wish if line.until is None else f"{line.wish} until {clock(line.until)}"


def _next_change(line: "GroupLine") -> str:
    """When a schedule changes its sizes, and what to."""
    return f"{clock(line.next_change)}: {line.changes}" if line.next_change is not None else ""
