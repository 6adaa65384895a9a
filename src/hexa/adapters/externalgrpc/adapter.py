"""The gRPC server: a listener, its connections, and the bridge from asyncio to Trio. It knows no RPC by name.

Reads are answered where they arrive, in asyncio's part of the thread. Writes run in Trio, and a caller that goes away does
not stop them: what was asked is stored or refused as a whole.
"""

import asyncio
import logging
import ssl
import time
from typing import Any, Final

import trio
import trio_asyncio
from grpclib.const import Status
from grpclib.exceptions import GRPCError
from trio import TaskStatus

from hexa.adapters.externalgrpc.address import DEFAULT_ADDRESS, listen
from hexa.adapters.externalgrpc.connection import Connection
from hexa.adapters.externalgrpc.service import Service, Write, refusal
from hexa.ports.cloud import Cloud

log = logging.getLogger(__name__)

WRITE_LIMIT: Final = 4.0
"""Seconds for a write; Cluster Autoscaler waits 5 by default, and an answer must reach it before that."""
WRITE_GRACE: Final = 0.5
"""Seconds more for a write that was cancelled to take back what it had done."""
STOP_LIMIT: Final = 2.0
"""Seconds that the writes under way get when the server stops."""
CALL_LIMIT: Final = 10.0
"""Seconds for a call from its headers to its answer, and for a connection until its first call."""
MAX_CONNECTIONS: Final = 100


async def run_server(
    cloud: Cloud,
    *,
    address: str = DEFAULT_ADDRESS,
    insecure: bool = False,
    ssl_context: ssl.SSLContext | None = None,
    task_status: TaskStatus[str] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve `cloud` on HOST:PORT or unix:///PATH until cancelled; reports the address with the port that was chosen.

    Without `ssl_context` only the loopback is served, unless `insecure`. Raises Refused where it cannot listen. When
    cancelled, the writes under way get STOP_LIMIT seconds.
    """
    sock, bound = await listen(address, trusted=insecure or ssl_context is not None)
    with sock:
        async with trio_asyncio.open_loop() as loop:
            loop.set_exception_handler(_log_failure)
            server = _Server(Service(cloud))
            handshake = CALL_LIMIT if ssl_context is not None else None
            await trio_asyncio.aio_as_trio(loop.create_server)(
                server.connect, sock=sock, ssl=ssl_context, ssl_handshake_timeout=handshake
            )
            task_status.started(bound)
            try:
                await server.watch()
            finally:
                with trio.move_on_after(STOP_LIMIT + 1, shield=True):
                    await trio_asyncio.aio_as_trio(server.stop)()


def _log_failure(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """A callback of a connection failed: that connection ends, the others go on (trio-asyncio would end the process)."""
    log.error("gRPC connection: %s", context.get("message", "failed"), exc_info=context.get("exception"))


class _Server:
    """All connections of one listener, and the writes under way."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._connections: set[Connection] = set()
        self._under_way: set[asyncio.Future[Any]] = set()
        self._stopping = False

    def connect(self) -> Connection:
        """A protocol for a connection that was just accepted."""
        return Connection(
            self._service, run_write=self._run_write, opened=self._opened, closed=self._connections.discard
        )

    def _opened(self, connection: Connection) -> None:
        """At the limit the oldest connection that never asked anything makes room, or the new one is turned away."""
        if len(self._connections) >= MAX_CONNECTIONS:
            silent = [other for other in self._connections if not other.asked]
            victim = min(silent, key=lambda other: other.since, default=connection)
            victim.abort()
            self._connections.discard(victim)
            if victim is connection:
                return
        self._connections.add(connection)

    async def watch(self) -> None:
        """Cut off what takes too long; never returns. One timer for all of it, in Trio."""
        while True:
            await trio.sleep(CALL_LIMIT / 2)
            overdue = time.monotonic() - CALL_LIMIT
            for connection in tuple(self._connections):
                connection.cut_off(overdue)

    async def stop(self) -> None:
        """Let the writes under way end and be answered, then say goodbye to every peer."""
        self._stopping = True
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=STOP_LIMIT)
        for connection in tuple(self._connections):
            connection.say_goodbye()

    async def _run_write(self, write: Write, message: bytes) -> bytes:
        """Run a write in Trio and wait for it. Cancelling this (the caller went away) does not cancel the write."""
        if self._stopping:
            raise GRPCError(Status.UNAVAILABLE, "Stopping: hexa is about to end")
        future: asyncio.Future[bytes | GRPCError] = trio_asyncio.trio_as_aio(_bounded)(write, message)
        self._note(future)
        if caller := asyncio.current_task():
            self._note(caller)
        await asyncio.wait([future], timeout=WRITE_LIMIT + WRITE_GRACE)
        answer = future.result() if future.done() else _too_slow()
        if isinstance(answer, GRPCError):
            raise answer
        return answer

    def _note(self, work: asyncio.Future[Any]) -> None:
        """The server does not stop before this has ended."""
        self._under_way.add(work)
        work.add_done_callback(self._under_way.discard)


async def _bounded(write: Write, message: bytes) -> bytes | GRPCError:
    """The write's answer, or why there is none. Trio-flavored."""
    with trio.move_on_after(WRITE_LIMIT):
        try:
            return await write(message)
        except Exception as error:  # what goes wrong with one call is told to its caller
            return refusal(error)
    return _too_slow()


def _too_slow() -> GRPCError:
    return GRPCError(Status.UNAVAILABLE, f"TooSlow: not stored within {WRITE_LIMIT:g} s")
