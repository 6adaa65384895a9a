"""hexa blockers: for each machine that is on and idle the one rule that keeps it so."""

from typing import TYPE_CHECKING, Annotated

import typer

from hexa.cli.shared.cluster import AllNamespacesOption, ContextOption, KubeconfigOption, NamespaceOption, Site
from hexa.cli.shared.completion import complete_any
from hexa.cli.shared.exits import Exit, fail
from hexa.cli.shared.output import Column, Format, OutputOption, ago, clock, dump, say, table
from hexa.cli.shared.people import look, searched, tell_notes, within

if TYPE_CHECKING:
    from datetime import datetime

    from hexa.app.commands.blockers import BlockerLine, Blockers
    from hexa.app.commands.shared.snapshot import Snapshot


def blockers(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[MACHINE|GROUP...]", help="NAME or NAMESPACE/NAME. Default: all.", autocompletion=complete_any
        ),
    ] = None,
    output: OutputOption = Format.TABLE,
    kubeconfig: KubeconfigOption = "",
    context: ContextOption = "",
    namespace: NamespaceOption = "",
    all_namespaces: AllNamespacesOption = False,
) -> None:
    """Say of each machine that is on and idle which rule keeps it on: a hold, a spare, a disruption budget, a pod that can't move.

    Pods are read once, when you ask. Machines that are in use are counted, and shown by `-o wide`, json and yaml.
    """
    given = names or []
    where = within(given, kubeconfig=kubeconfig, context=context, namespace=namespace, all_namespaces=all_namespaces)

    async def asked(site: Site, snapshot: "Snapshot") -> "tuple[Blockers, datetime]":
        from hexa.app.commands.blockers import blockers as answer

        return await answer(
            site.kube, snapshot, given, namespace=searched(site, all_namespaces=all_namespaces)
        ), snapshot.now

    found, now = look(where, asked)
    tell_notes(found.notes)
    if output.for_programs:
        import msgspec

        say(dump(msgspec.to_builtins(found.lines, enc_hook=str), output))
    else:
        _print(found, now, wide=output is Format.WIDE, spaces=where.all_namespaces)
    if found.wrong:
        tell_notes(found.wrong[:-1])
        fail(found.wrong[-1], Exit.FAILED)


def _print(found: "Blockers", now: "datetime", *, wide: bool, spaces: bool) -> None:
    shown = [line for line in found.lines if line.idle or wide]
    if shown:
        say(table(_columns(now, spaces), shown, wide=wide))
    used = len(found.lines) - len([line for line in found.lines if line.idle])
    if used and not wide:
        typer.echo(f"hexa: {used} more machine{'s are' if used > 1 else ' is'} on and in use", err=True)
    elif not shown:
        typer.echo("hexa: no machine is on", err=True)


def _columns(now: "datetime", spaces: bool) -> "list[Column[BlockerLine]]":
    return [
        Column("MACHINE", lambda line: line.machine if spaces else line.machine.partition("/")[2]),
        Column("GROUP", lambda line: line.group),
        Column("PHASE", lambda line: line.phase, wide=True),
        Column("FOR", lambda line: ago(line.since, now)),
        Column("RULE", lambda line: line.reason.rule),
        Column("BECAUSE", lambda line: f"{line.reason.object}: {line.reason.text}"),
        Column("UNTIL", lambda line: clock(line.reason.until) if line.reason.until else "", wide=True),
        Column("WHAT-TO-DO", lambda line: line.reason.remedy),
    ]
