"""hexa history: what happened to a machine."""

from typing import TYPE_CHECKING, Annotated

import typer

from hexa.cli.shared.cluster import ContextOption, KubeconfigOption, NamespaceOption, Site
from hexa.cli.shared.completion import complete_machine
from hexa.cli.shared.output import Column, Format, OutputOption, ago, clock, dump, say, table
from hexa.cli.shared.people import home, look, within

if TYPE_CHECKING:
    from hexa.app.commands.history import History
    from hexa.app.commands.shared.snapshot import Snapshot
    from hexa.domain.resources.v1alpha1 import HistoryEntry


def history(
    machine: Annotated[
        str, typer.Argument(metavar="MACHINE", help="NAME or NAMESPACE/NAME.", autocompletion=complete_machine)
    ],
    output: OutputOption = Format.TABLE,
    kubeconfig: KubeconfigOption = "",
    context: ContextOption = "",
    namespace: NamespaceOption = "",
) -> None:
    """Show the last 20 phases of a machine with what was noticed, the newest last, and what it did in all."""

    async def asked(site: Site, snapshot: "Snapshot") -> "History":
        from hexa.app.commands.history import history_of

        return history_of(snapshot, machine, namespace=home(site))

    where = within([machine], kubeconfig=kubeconfig, context=context, namespace=namespace)
    found = look(where, asked)
    if output.for_programs:
        say(dump(found, output))
        return
    from hexa.domain.words.waits import EVENT_WORDS

    columns: list[Column[HistoryEntry]] = [
        Column("WHEN", lambda entry: clock(entry.at)),
        Column("AGO", lambda entry: ago(entry.at, found.now)),
        Column("PHASE", lambda entry: entry.action),
        Column("BECAUSE", lambda entry: entry.message or EVENT_WORDS.get(entry.by, entry.by)),
    ]
    say(table(columns, found.entries))
    say()
    say(found.summary)
