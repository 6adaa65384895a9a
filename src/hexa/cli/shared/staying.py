"""Commands that stay and show what changes, until Ctrl-C. What they show is theirs."""

import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING

import typer

from hexa.cli.shared.cluster import Site, Where, ask
from hexa.cli.shared.output import plain
from hexa.cli.shared.people import scope

if TYPE_CHECKING:
    from trio import CancelScope

    from hexa.app.commands.shared.watching import LiveSnapshot

AWAY = "; what is shown may be old"
BACK = "the API server answers again"


def stay(where: Where, show: "Callable[[Site, LiveSnapshot], Awaitable[None]]") -> None:
    """Run `show` over a snapshot that is kept, until it returns, Ctrl-C or SIGTERM. Errors of the first look end it as in `ask`."""

    async def asked(site: Site) -> typer.Exit | None:
        import trio

        from hexa.app.commands.shared.watching import LiveSnapshot

        with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_until, signals, nursery.cancel_scope)
                live = LiveSnapshot(site.kube, clock=site.clock, namespace=scope(site, where))
                await nursery.start(live.run)
                ended = await _shown(partial(show, site, live))
                nursery.cancel_scope.cancel()
                return ended

    if (ended := ask(where, asked)) is not None:
        raise ended


async def _until(signals: AsyncIterator[int], show: "CancelScope") -> None:
    async for _ in signals:
        show.cancel()
        return


async def _shown(show: Callable[[], Awaitable[None]]) -> typer.Exit | None:
    """The end that `show` chose. Whoever reads standard output may have seen enough: `hexa get --watch | head`."""
    try:
        await show()
    except typer.Exit as ended:
        return ended
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return None


class Sight:
    """Says on standard error once that the API server is away, and once that it is back."""

    def __init__(self) -> None:
        self._away = False

    def tell(self, trouble: str) -> None:
        """`trouble`: why what is shown may be old; empty: it is not."""
        if bool(trouble) != self._away:
            typer.echo(f"hexa: {plain(trouble)}{AWAY}" if trouble else f"hexa: {BACK}", err=True)
        self._away = bool(trouble)
