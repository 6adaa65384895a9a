"""One client of the port: hypercorn's HTTP/1.1 over a stream, in which nothing waits for ever and nothing that fails gets out.

hypercorn's own connection ends the whole server by an exception of one client, writes without a deadline where it cannot be
cancelled, and takes HTTP/2 from whoever asks. So its protocol is used here, and not its server.
"""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from math import inf
from typing import Any, Final

import h11
import msgspec
import trio
from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.config import Config
from hypercorn.events import Closed, Event, RawData, Updated
from hypercorn.protocol.h11 import H11Protocol
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import ConnectionState

from hexa.adapters.http.errors import REASONS

Stream = trio.SocketStream | trio.SSLStream[trio.SocketStream]

HEADERS_LIMIT: Final = 10.0
"""Seconds for a request from the connection, or the answer before it, to the end of its headers."""
SEND_LIMIT: Final = 20.0
"""Seconds for a client to take a piece of an answer."""
PIECE: Final = 65_536
LAST_WORDS: Final = 5.0
"""Seconds for an answer after the client has closed its side."""
LINGER: Final = 1.0
"""Seconds in which a client that still sends is read before the connection is closed: it would lose the answer."""
LARGEST_HEADERS: Final = 16_384

GARBAGE: Final = "what it sends is not HTTP/1.1"
SLOW_HEADERS: Final = f"its request was not complete after {HEADERS_LIMIT:g} s"
SLOW_READER: Final = f"it did not take its answer within {SEND_LIMIT:g} s"
WORDS: Final = {
    400: "this is not HTTP/1.1 as RFC 9112 has it",
    408: SLOW_HEADERS.replace("its request", "the request"),
    431: f"the headers are larger than {LARGEST_HEADERS} bytes",
    501: "this transfer coding is not spoken here",
}

CONFIG: Final = Config()
CONFIG.errorlog = None
CONFIG.include_server_header = False
CONFIG.h11_max_incomplete_size = LARGEST_HEADERS
CONFIG.keep_alive_max_requests = 10_000
CONTEXT: Final = WorkerContext(None)

Tell = Callable[[str], None]


class Http1(H11Protocol):
    """HTTP/1.1 alone, with answers that say what is wrong."""

    tell: Tell
    turn: Callable[[], Awaitable[None]]
    _refused = False

    async def _check_protocol(self, event: h11.Request) -> None:
        """No other protocol is changed to."""

    async def _create_stream(self, request: h11.Request) -> None:
        await self.turn()
        if _has_two_lengths(request):
            await self._send_error_response(400)
            await self.send(Closed())
        else:
            await super()._create_stream(_without_upgrade(request))

    async def _send_h11_event(self, event: Any) -> None:
        """What a handler says after the client was refused is for nobody."""
        if not self._refused:
            await super()._send_h11_event(event)

    async def _send_error_response(self, status_code: int) -> None:
        self._refused = True
        self.tell(SLOW_HEADERS if status_code == 408 else GARBAGE)
        message = WORDS.get(status_code, WORDS[400])
        body = msgspec.json.encode({"reason": REASONS.get(status_code, "BadRequest"), "message": message})
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(body)),
            (b"connection", b"close"),
            (b"cache-control", b"no-store"),
            (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
            (b"x-content-type-options", b"nosniff"),
        ]
        answer = h11.Response(status_code=status_code, headers=headers), h11.Data(data=body), h11.EndOfMessage()
        await self.send(RawData(data=b"".join(self.connection.send(each) for each in answer)))

    async def overdue(self) -> None:
        """Say that the request took too long, where one was begun."""
        assert isinstance(self.connection, h11.Connection)
        if self.connection.our_state is h11.IDLE and self.connection.trailing_data[0]:
            await self._send_error_response(408)


def _has_two_lengths(request: h11.Request) -> bool:
    """Whether it has both Content-Length and Transfer-Encoding: a proxy on the way may have gone by the other one, and what it took
    for the body of this request would be answered as the next one (RFC 9112, 6.1)."""
    return {b"content-length", b"transfer-encoding"} <= {name for name, _ in request.headers}


def _without_upgrade(request: h11.Request) -> h11.Request:
    """The same, asked for no other protocol: hypercorn makes a WebSocket of it else, which waits without a limit."""
    headers = [(name, value) for name, value in request.headers if name != b"upgrade"]
    if len(headers) == len(request.headers):
        return request
    return h11.Request(method=request.method, target=request.target, headers=headers, http_version=request.http_version)


class Tasks:
    """Where hypercorn runs the application. What a handler raises stays here."""

    def __init__(self, nursery: trio.Nursery, broke: Callable[[Exception], None]) -> None:
        self._nursery = nursery
        self._broke = broke

    async def spawn_app(self, app: Any, config: Config, scope: Any, send: Any) -> Callable[[Any], Awaitable[None]]:
        put, take = trio.open_memory_channel[Any](config.max_app_queue_size)
        self._nursery.start_soon(self._run, app, scope, take.receive, send)
        return put.send

    def spawn(self, func: Any, *args: Any) -> None:
        self._nursery.start_soon(func, *args)

    async def _run(self, app: Any, scope: Any, receive: Any, send: Any) -> None:
        try:
            await app(scope, receive, send, None, None)
        except Exception as error:
            self._broke(error)
        await send(None)


class Connection:
    """A client, from the moment when bytes can be read. `tell` gets what is wrong with it, `broke` what is wrong with us; `turn`
    returns when its next request may be answered."""

    def __init__(
        self,
        stream: Stream,
        *,
        peer: str,
        tell: Tell,
        broke: Callable[[Exception], None],
        turn: Callable[[], Awaitable[None]],
    ) -> None:
        self._stream = stream
        self.peer: Final = peer
        self._tell = tell
        self._broke = broke
        self._turn = turn
        self._writing = trio.Lock()
        self._all = trio.CancelScope()
        self._reading = trio.CancelScope(deadline=trio.current_time() + HEADERS_LIMIT)
        self._answered = False

    @property
    def waits(self) -> bool:
        """Whether no request is under way: the client sends one, or is silent."""
        return self._reading.deadline < inf

    def cut(self) -> None:
        """End it now."""
        self._all.cancel()

    async def run(self, app: Any) -> None:
        """Answer requests until either side has enough."""
        with self._all:
            async with trio.open_nursery() as nursery:
                await self._talk(app, nursery)
        if self._answered:
            await self._linger()

    async def _talk(self, app: Any, nursery: trio.Nursery) -> None:
        tls = isinstance(self._stream, trio.SSLStream)
        state, tasks = ConnectionState({}), Tasks(nursery, self._broke)
        client = (self.peer, 0)
        protocol = Http1(ASGIWrapper(app), CONFIG, CONTEXT, tasks, state, tls, client, None, self._send)  # type: ignore[arg-type]
        protocol.tell, protocol.turn = self._tell, self._turn
        with self._reading:
            with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
                while data := await self._stream.receive_some(PIECE):
                    await protocol.handle(RawData(bytes(data)))
        if self._reading.cancelled_caught:
            await protocol.overdue()
            self._end()
        nursery.cancel_scope.deadline = trio.current_time() + LAST_WORDS
        await protocol.handle(Closed())

    async def _send(self, event: Event) -> None:
        """What hypercorn has to say of the connection."""
        if isinstance(event, RawData):
            await self._write(event.data)
        elif isinstance(event, Updated):
            self._reading.deadline = trio.current_time() + HEADERS_LIMIT if event.idle else inf
        elif isinstance(event, Closed):
            self._end()

    async def _write(self, data: bytes) -> None:
        async with self._writing:
            for start in range(0, len(data), PIECE):
                with trio.move_on_after(SEND_LIMIT) as patience:
                    try:
                        await self._stream.send_all(data[start : start + PIECE])
                    except (trio.BrokenResourceError, trio.ClosedResourceError):
                        self._all.cancel()
                        return
                if patience.cancelled_caught:
                    self._tell(SLOW_READER)
                    self._all.cancel()
                    return

    def _end(self) -> None:
        """All that is to be said was said."""
        self._answered = True
        self._all.cancel()

    async def _linger(self) -> None:
        with trio.move_on_after(LINGER), suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            if isinstance(self._stream, trio.SocketStream):
                await self._stream.send_eof()
            while await self._stream.receive_some(PIECE):
                pass
