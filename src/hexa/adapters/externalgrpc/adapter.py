"""The gRPC server: a listener, its connections, and the bridge from asyncio to Trio. It knows no RPC by name.

Reads are answered where they arrive, in asyncio's part of the thread. Writes run in Trio, and a caller that goes away does
not stop them: what was asked is stored or refused as a whole.
"""

import asyncio
import logging
import socket
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Final

import trio
import trio_asyncio
from grpclib.const import Status
from grpclib.exceptions import GRPCError
from trio import TaskStatus

from hexa.adapters.externalgrpc.address import DEFAULT_ADDRESS, listen, private
from hexa.adapters.externalgrpc.config import Tls
from hexa.adapters.externalgrpc.connection import Call, Connection
from hexa.adapters.externalgrpc.health_service import CHECK, check
from hexa.adapters.externalgrpc.service import PREFIX, Read, Service, Write, refusal
from hexa.adapters.externalgrpc.tls import Credentials, open_credentials
from hexa.adapters.externalgrpc.tls import refusal as refusal_of
from hexa.ports.cloud import Cloud
from hexa.ports.metrics import Calls
from hexa.serving.complaints import Complaints

log = logging.getLogger(__name__)

WRITE_LIMIT: Final = 4.0
"""Seconds for a write; Cluster Autoscaler waits 5 by default, and an answer must reach it before that."""
WRITE_GRACE: Final = 0.5
"""Seconds more for a write that was cancelled to end."""
STOP_LIMIT: Final = 2.0
"""Seconds that the writes under way get when the server stops."""
GOODBYE_LIMIT: Final = 0.3
"""Seconds that peers get to close what hexa has closed."""
CALL_LIMIT: Final = 10.0
"""Seconds for a call from its headers to its answer, and for a connection until its first call."""
MAX_CONNECTIONS: Final = 100
"""Those that still shake hands included."""
ACCEPT_PAUSE: Final = 0.5
"""Seconds until the next try where the system would not give a connection."""


async def run_server(
    cloud: Cloud,
    *,
    address: str = DEFAULT_ADDRESS,
    insecure: bool = False,
    tls: Tls | None = None,
    calls: Calls | None = None,
    on_certificate: Callable[[float], None] | None = None,
    task_status: TaskStatus[str] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve `cloud` on HOST:PORT or unix:///PATH until cancelled; reports the address with the port that was chosen.

    Without `tls` only the loopback is served, unless `insecure`. `calls` is told of each call of the CloudProvider, and
    `on_certificate` of the end of each certificate that is loaded, in seconds since 1970. Raises Refused where it cannot listen,
    or cannot use the files of `tls`. When cancelled, the writes under way get STOP_LIMIT seconds.
    """
    credentials = await open_credentials(tls) if tls else None
    if credentials is not None and on_certificate is not None:
        credentials.on_loaded(on_certificate)
    sock, bound = await listen(address, trusted=insecure or tls is not None)
    if insecure and tls is None and not private(sock):
        log.warning(
            "gRPC IS SERVED WITHOUT TLS ON %s: whoever reaches it switches machines; set grpc.tls (docs/tls.md)", bound
        )
    service = Service(cloud)
    reads = {**service.reads, CHECK: check(lambda: True)}  # served from a complete snapshot only
    await _serve(_Server(reads, service.writes, credentials, calls=calls), sock, bound, task_status)


async def check_server(*, address: str = DEFAULT_ADDRESS, insecure: bool = False, tls: Tls | None = None) -> None:
    """Raise now what `run_server` would raise with the same settings, which is called once there is a snapshot to answer from."""
    if tls is not None:
        await open_credentials(tls)
    sock, _ = await listen(address, trusted=insecure or tls is not None)
    sock.close()


async def run_health(
    ready: Callable[[], bool], *, address: str, task_status: TaskStatus[str] = trio.TASK_STATUS_IGNORED
) -> None:
    """Answer grpc.health.v1, and nothing else, on `address` until cancelled. In plain text, which is all that kubelet speaks:
    it tells nothing but alive and ready. Raises Refused where it cannot listen.

    A probe is one question. Whoever stays makes room, or a hundred of them would keep kubelet out, and it would restart us."""
    sock, bound = await listen(address, trusted=True)
    await _serve(_Server({CHECK: check(ready)}, {}, None, keeps=False), sock, bound, task_status)


async def _serve(server: "_Server", sock: socket.socket, bound: str, task_status: TaskStatus[str]) -> None:
    with sock:
        async with trio_asyncio.open_loop() as loop, trio.open_nursery() as nursery:
            loop.set_exception_handler(_log_failure)
            if server.credentials is None:
                await trio_asyncio.aio_as_trio(loop.create_server)(server.connect, sock=sock)
            else:
                nursery.start_soon(trio_asyncio.aio_as_trio(server.accept), sock)
                nursery.start_soon(server.credentials.watch)
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

    def __init__(
        self,
        reads: Mapping[str, Read],
        writes: Mapping[str, Write],
        credentials: Credentials | None,
        *,
        calls: Calls | None = None,
        keeps: bool = True,
    ) -> None:
        self._calls = calls
        self._methods = {path: path.removeprefix(PREFIX) for path in (*reads, *writes) if path.startswith(PREFIX)}
        self.reads = reads
        self.keeps = keeps
        self.writes = writes
        self.credentials = credentials
        self.complaints = Complaints("gRPC peer %s refused: %s%s")
        self.unfinished = 0
        self._connections: set[Connection] = set()
        self._handshakes: set[asyncio.Task[None]] = set()
        self._under_way: set[asyncio.Future[Any]] = set()
        self._stopping = False
        self._empty = asyncio.Event()
        """The last connection has gone, after a stop."""

    def connect(self) -> Connection:
        """A protocol for a connection that was just accepted."""
        return Connection(self)

    # --- TLS ---

    async def accept(self, listener: socket.socket) -> None:
        """Take connections and shake hands with each beside the others; never returns. asyncio-flavored."""
        loop = asyncio.get_running_loop()
        listener.setblocking(False)
        while True:
            try:
                sock, name = await loop.sock_accept(listener)
            except OSError as error:  # too many open files, or a peer that has gone already
                log.warning("gRPC: cannot accept a connection: %s", error.strerror)
                await asyncio.sleep(ACCEPT_PAUSE)
                continue
            connection = Connection(self, shaking=sock, name=name)
            self.opened(connection)
            if connection not in self._connections:
                sock.close()
                continue
            task = loop.create_task(self._shake_hands(connection, sock))
            self._handshakes.add(task)
            task.add_done_callback(self._handshakes.discard)

    async def _shake_hands(self, connection: Connection, sock: socket.socket) -> None:
        assert self.credentials is not None
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: connection,
                sock,
                ssl=self.credentials.context,
                ssl_handshake_timeout=CALL_LIMIT,
                ssl_shutdown_timeout=GOODBYE_LIMIT,
            )
        except OSError as error:  # of TLS, or of the network
            self.complaints.tell(refusal_of(error), peer=connection.peer)
        finally:
            if connection.transport is None:
                self._connections.discard(connection)

    def barred(self, connection: Connection) -> str:
        """Why this peer may not call, by the certificate that it has shown."""
        if self.credentials is None or connection.transport is None:
            return ""
        why = self.credentials.barred(connection.transport.get_extra_info("peercert") or {})
        if why:
            self.complaints.tell(why, peer=connection.peer)
        return why

    # --- all ---

    def opened(self, connection: Connection) -> None:
        """At the limit the oldest connection that never asked anything makes room, or the new one is turned away."""
        if connection in self._connections:
            return
        if len(self._connections) >= MAX_CONNECTIONS:
            silent = [other for other in self._connections if not other.asked]
            victim = min(silent, key=lambda other: other.since, default=connection)
            self.complaints.tell(
                f"all {MAX_CONNECTIONS} connections are taken; the silent ones go first", peer=victim.peer
            )
            victim.abort()
            self._connections.discard(victim)
            if victim is connection:
                return
        self._connections.add(connection)

    def closed(self, connection: Connection) -> None:
        """It is gone."""
        self._connections.discard(connection)
        if self._stopping and not self._connections:
            self._empty.set()

    def answered(self, call: Call) -> None:
        """A call was answered as it should be."""
        if self._calls is not None and (method := self._methods.get(call.path)) is not None:
            self._calls.answered(method, time.monotonic() - call.since)

    def refused(self, call: Call | None, status: Status) -> None:
        """A call was not; None: it was not even begun, for example because nobody serves it."""
        if self._calls is None or (call is not None and call.path not in self._methods):
            return
        seconds = time.monotonic() - call.since if call is not None else 0.0
        self._calls.refused(self._methods[call.path] if call is not None else "", seconds, status.name)

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
        if self._handshakes:
            await asyncio.wait(self._handshakes, timeout=STOP_LIMIT)
        if self._connections:  # a goodbye of TLS waits for the peer's
            with suppress(TimeoutError):
                await asyncio.wait_for(self._empty.wait(), GOODBYE_LIMIT)
        for connection in tuple(self._connections):
            connection.abort()
        await asyncio.sleep(0)  # what was aborted is closed a turn later
        await asyncio.sleep(0)

    async def run_write(self, write: Write, message: bytes) -> bytes:
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
