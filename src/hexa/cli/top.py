"""hexa top: the site on a screen that lives."""

from typing import TYPE_CHECKING

import typer

from hexa.cli.shared.cluster import AllNamespacesOption, ContextOption, KubeconfigOption, NamespaceOption, Site, Where
from hexa.cli.shared.people import look, tell_notes
from hexa.cli.shared.staying import stay

if TYPE_CHECKING:
    from hexa.app.commands.shared.snapshot import Snapshot


def top(
    kubeconfig: KubeconfigOption = "",
    context: ContextOption = "",
    namespace: NamespaceOption = "",
    all_namespaces: AllNamespacesOption = False,
) -> None:
    """Show machines and groups live: what is on and why, what it draws and costs, when it is ready, what needs a hand.

    The key ? shows all keys, q quits. Without a terminal it prints once. It reads what hexa get reads, and writes nothing.
    """
    from hexa.cli.screen.terminal import has_terminal

    where = Where(kubeconfig=kubeconfig, context=context, namespace=namespace, all_namespaces=all_namespaces)
    if not has_terminal():
        look(where, _printed)
        return
    from hexa.cli.screen.loop import show

    stay(where, show)


async def _printed(_: Site, snapshot: "Snapshot") -> None:
    """Everything, once, in lines as long as they are."""
    from hexa.app.questions.overview import overview
    from hexa.cli.screen.state import UiState
    from hexa.cli.screen.view import Frame, lines

    tell_notes(snapshot.notes)
    frame = Frame(now=snapshot.now, width=LONGEST, height=0)
    for line in lines(overview(snapshot), UiState(), frame):
        typer.echo(line.plain.rstrip())


LONGEST = 100_000
"""Cells of a line in a file."""
