"""Tells people: an Event on the object and a line in the log for each decision, never in the way of the one who decides."""

from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from socket import gethostname
from typing import Any, Final, TextIO

import trio

from hexa.adapters.kube_journal import wire
from hexa.adapters.kube_journal.config import DEFAULT_LOGS, Logs
from hexa.adapters.kube_journal.logs import Write, libraries, writer
from hexa.domain.errors import AlreadyExists, HexaError, Unavailable
from hexa.domain.resources.core import EVENTS, ObjectReference
from hexa.ports.clock import Clock
from hexa.ports.journal import Severity
from hexa.ports.kube import Kube

QUEUE: Final = 1000
"""Events that wait for the API server; what comes beyond is counted and dropped."""

_REMEMBERED: Final = 10_000
_PATIENCE: Final = 10.0
_LONGEST_WAIT: Final = 30.0
_FLUSH: Final = 1.0
"""Seconds in which the last Events may still be written at the end."""

News = tuple[ObjectReference, str, str]


class KubeJournal:
    """`ports.journal`; `dropped` counts Events that nobody will see."""

    def __init__(self, kube: Kube, *, clock: Clock, write: Write, instance: str = "") -> None:
        self.dropped = 0
        self._instance = instance
        self._kube = kube
        self._clock = clock
        self._write = write
        self._told: OrderedDict[News, datetime] = OrderedDict()
        self._send, self._receive = trio.open_memory_channel[dict[str, Any]](QUEUE)

    def __repr__(self) -> str:
        waiting = self._send.statistics().current_buffer_used
        return f"<KubeJournal {waiting} events waiting, {self.dropped} dropped>"

    def log(self, message: str, **fields: Any) -> None:
        """A line; one that has an `error` is a warning."""
        self._write("warning" if "error" in fields else "info", message, fields)

    def event(
        self,
        about: ObjectReference,
        *,
        reason: str,
        message: str,
        severity: Severity = Severity.NORMAL,
        action: str = "",
    ) -> None:
        """Log it and queue it, unless it was told within ten minutes."""
        now = self._clock.now()
        if self._repeated((about, reason, message), now):
            return
        self._write(_LEVELS[severity], message, {"reason": reason, "kind": about.kind, "object": _name(about)})
        try:
            what = wire.Told(reason, message, severity, action=action, instance=self._instance)
            self._send.send_nowait(wire.event(about, what, now=now))
        except (trio.WouldBlock, trio.ClosedResourceError):
            self.dropped += 1

    def _repeated(self, news: News, now: datetime) -> bool:
        while self._told and (len(self._told) > _REMEMBERED or now - next(iter(self._told.values())) >= wire.REPEAT):
            self._told.popitem(last=False)
        return self._told.setdefault(news, now) is not now

    async def run(self) -> None:
        """Write what is queued, in order, until the queue is closed."""
        async for manifest in self._receive:
            await self._record(manifest)

    async def _record(self, manifest: dict[str, Any]) -> None:
        """While the API server is away the queue waits: what led to it must not be lost."""
        wait = 1.0
        while True:
            try:
                with trio.move_on_after(_PATIENCE):
                    await self._kube.create(EVENTS, manifest)
                    return
            except AlreadyExists:  # told before a restart
                return
            except Unavailable:
                pass
            except HexaError as error:
                self.dropped += 1
                self.log("event not recorded", reason=error.reason, error=str(error))
                return
            await trio.sleep(wait)
            wait = min(2 * wait, _LONGEST_WAIT)

    def close(self) -> None:
        """Take no more Events."""
        self._send.close()


_LEVELS: Final = {Severity.NORMAL: "info", Severity.WARNING: "warning"}


def _name(about: ObjectReference) -> str:
    return f"{about.namespace}/{about.name}" if about.namespace else about.name


@asynccontextmanager
async def open_journal(
    kube: Kube, *, clock: Clock, logs: Logs = DEFAULT_LOGS, stream: TextIO | None = None, instance: str = ""
) -> AsyncIterator[KubeJournal]:
    """A journal that writes Events until the block ends, and for a second more. `instance`: which hexa it is, such as its pod;
    empty: the name of this host."""
    write = writer(logs, clock=clock, stream=stream)
    journal = KubeJournal(kube, clock=clock, write=write, instance=instance or gethostname())
    writing = trio.CancelScope(shield=True)  # what cancels the block shall not cancel what it has told

    async def run() -> None:
        with writing:
            await journal.run()

    with libraries(write):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(run)
            try:
                yield journal
            finally:
                journal.close()
                writing.deadline = trio.current_time() + _FLUSH
