"""One HTTP/2 connection that carries unary calls: grpclib keeps it alive, the calls are ours.

grpclib serves a call by a task, a timer and three writes. Here a read is answered where its last byte arrives, in one
write; a task is made only where something has to be waited for. What a peer may cost is bounded: the size of a message,
the answers it does not fetch, the time of a call.
"""

import asyncio
import logging
import socket
import time
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from typing import Any, Final, Protocol

from grpclib.config import Configuration
from grpclib.const import Status
from grpclib.exceptions import GRPCError
from grpclib.metadata import encode_grpc_message
from grpclib.protocol import AbstractHandler, H2Protocol, Stream
from h2 import events
from h2.config import H2Configuration
from h2.connection import ConnectionState, H2Connection
from h2.errors import ErrorCodes
from h2.exceptions import H2Error

from hexa.adapters.externalgrpc.scan import Malformed
from hexa.adapters.externalgrpc.service import Read, Write, refusal
from hexa.serving.complaints import Complaints

log = logging.getLogger(__name__)

MAX_MESSAGE: Final = 4 * 1024 * 1024
"""Bytes of a request; gRPC's own default."""
MAX_REASON: Final = 500
"""Characters of what is told of an error: it may quote the request, and travels as a header."""
MAX_UNREAD: Final = 1024 * 1024
"""Bytes that a peer may leave unread before it is dropped."""
MAX_UNFINISHED: Final = 32 * 1024 * 1024
"""Bytes of all requests of all peers that have begun and are not answered."""

_PREFIX: Final = 5
"""Bytes before a message: whether it is compressed, and its size."""
_HEADERS: Final = [(b":status", b"200"), (b"content-type", b"application/grpc+proto")]
_TRAILERS: Final = [(b"grpc-status", b"0")]
_H2: Final = H2Configuration(
    client_side=False,
    header_encoding=None,
    validate_inbound_headers=False,
    validate_outbound_headers=False,
    normalize_inbound_headers=False,
    normalize_outbound_headers=False,
)
_KEEPALIVE: Final = Configuration(
    _keepalive_time=30.0,
    _keepalive_timeout=10.0,
    _keepalive_permit_without_calls=True,
    _http2_max_pings_without_data=0,
    _http2_min_sent_ping_interval_without_data=10.0,
).__for_server__()
"""A peer that went away without a word is noticed within 40 s."""


class Call:
    """A call that is not answered yet. `task` is there while it waits for something."""

    __slots__ = ("body", "path", "since", "task")

    def __init__(self, path: str) -> None:
        self.path = path
        self.body = bytearray()
        self.since = time.monotonic()
        self.task: asyncio.Task[None] | None = None


class Host(Protocol):
    """The server that a connection belongs to."""

    reads: Mapping[str, Read]
    writes: Mapping[str, Write]
    complaints: Complaints
    unfinished: int
    """Bytes of requests that are not answered."""
    keeps: bool
    """Whether a peer that has asked something may stay."""

    def opened(self, connection: "Connection") -> None: ...
    def closed(self, connection: "Connection") -> None: ...
    def answered(self, call: Call) -> None: ...
    def refused(self, call: Call | None, status: Status) -> None: ...
    def barred(self, connection: "Connection") -> str:
        """Why this peer may not call; empty if it may."""
        ...

    async def run_write(self, write: Write, message: bytes) -> bytes:
        """Run a write in Trio; asyncio-flavored."""
        ...


class Connection(H2Protocol):
    """Reads the calls of one peer and answers them. With TLS it is there from the first byte of the handshake."""

    def __init__(self, host: Host, *, shaking: socket.socket | None = None, name: object = None) -> None:
        super().__init__(_NoHandler(), _KEEPALIVE, _H2)
        self._host = host
        self._shaking = shaking
        self._name = name
        self._calls: dict[int, Call] = {}
        self._barred = ""
        self.transport: asyncio.Transport | None = None
        """None while hands are shaken."""
        self.asked = False
        """Whether a call ever came that the peer was allowed, and that earns it its place."""
        self.since = time.monotonic()

    @property
    def peer(self) -> str:
        """Its address, for people."""
        name = self._name or (self.transport.get_extra_info("peername") if self.transport else None)
        return f"{name[0]}:{name[1]}" if isinstance(name, tuple) else "on the unix socket"

    # --- called by asyncio ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        super().connection_made(transport)
        self.transport = self._transport = transport
        self._h2: H2Connection = self.connection._connection  # noqa: SLF001  # for answers in one write
        self.processor.processors |= {
            events.RequestReceived: self._request_received,
            events.DataReceived: self._data_received,
            events.StreamEnded: self._stream_ended,
            events.StreamReset: self._stream_reset,
            events.UnknownFrameReceived: _ignore,
        }
        self._host.opened(self)
        self._barred = self._host.barred(self)

    def data_received(self, data: bytes) -> None:
        if self._transport.get_write_buffer_size() > MAX_UNREAD:
            self._host.complaints.tell("it does not read its answers", peer=self.peer)
            self.abort()
            return
        try:
            received = self.connection.feed(data)
            self.connection.flush()
            for event in received:
                self.processor.process(event)
            self.connection.flush()
        except Exception as error:  # whatever a peer sends, the others go on
            self._host.complaints.tell(f"it does not speak HTTP/2 as it should ({_cause(error)})", peer=self.peer)
            self.abort()

    def connection_lost(self, exc: BaseException | None) -> None:
        super().connection_lost(exc)
        for stream_id in tuple(self._calls):
            self._forget(stream_id)
        self._host.closed(self)

    # --- called by the server ---

    def abort(self) -> None:
        """Drop it without a word."""
        if self.transport is not None:
            self.transport.abort()
        elif self._shaking is not None:
            with suppress(OSError):  # it went by itself
                self._shaking.shutdown(socket.SHUT_RDWR)

    def cut_off(self, overdue: float) -> None:
        """End calls that began before `overdue`, or the connection if none came since then."""
        if not self.asked and self.since < overdue:
            self.abort()
        if self.transport is None:
            return
        for stream_id in [stream_id for stream_id, call in self._calls.items() if call.since < overdue]:
            self._forget(stream_id)
            with suppress(H2Error):  # the stream or the connection may have ended by itself
                self._h2.reset_stream(stream_id, ErrorCodes.CANCEL)
        self._flush()

    def say_goodbye(self) -> None:
        """Tell the peer to connect anew (GOAWAY), and close."""
        if self.transport is None:
            self.abort()
            return
        if not self._transport.is_closing() and self._h2.state_machine.state is not ConnectionState.CLOSED:
            self._h2.close_connection()
            self._flush()
        self._transport.close()

    # --- called by grpclib for what HTTP/2 brings ---

    def _request_received(self, event: events.RequestReceived) -> None:
        headers: dict[Any, Any] = dict(event.headers or ())
        path = headers.get(b":path", b"").decode("latin-1")
        if self._barred:
            self._refuse(event.stream_id, GRPCError(Status.PERMISSION_DENIED, f"NotAllowed: {self._barred}"))
            return
        self.asked = self._host.keeps
        if not headers.get(b"content-type", b"").startswith(b"application/grpc") or headers.get(b":method") != b"POST":
            self._refuse(event.stream_id, GRPCError(Status.INVALID_ARGUMENT, "NotGrpc: gRPC is spoken here"))
        elif path not in self._host.reads and path not in self._host.writes:
            self._refuse(event.stream_id, GRPCError(Status.UNIMPLEMENTED, "UnknownMethod: it is not served here"))
        else:
            self._calls[event.stream_id] = Call(path)

    def _data_received(self, event: events.DataReceived) -> None:
        self.connection.ack(event.stream_id, event.flow_controlled_length)
        call = self._calls.get(event.stream_id)
        if call is None:
            return
        call.body += event.data
        self._host.unfinished += len(event.data)
        if max(int.from_bytes(call.body[1:_PREFIX], "big"), len(call.body) - _PREFIX) > MAX_MESSAGE:
            self._refuse(
                event.stream_id, GRPCError(Status.RESOURCE_EXHAUSTED, f"TooLarge: at most {MAX_MESSAGE} bytes")
            )
        elif self._host.unfinished > MAX_UNFINISHED:
            self._refuse(event.stream_id, GRPCError(Status.RESOURCE_EXHAUSTED, "TooMany: large requests at one time"))

    def _stream_ended(self, event: events.StreamEnded) -> None:
        call = self._calls.get(event.stream_id)
        if call is None:
            return
        try:
            message = _message(call.body)
            read = self._host.reads.get(call.path)
            answer = read(message) if read is not None else None
        except Exception as error:  # what goes wrong with one call is told to its caller
            self._refuse(event.stream_id, refusal(error))
            return
        if answer is not None:
            self._reply(event.stream_id, answer)
        else:
            self._start(event.stream_id, self._write(event.stream_id, self._host.writes[call.path], message))

    def _stream_reset(self, event: events.StreamReset) -> None:
        self._forget(event.stream_id)

    # --- calls ---

    def _forget(self, stream_id: int) -> None:
        call = self._end(stream_id)
        if call is not None and call.task is not None:
            call.task.cancel()

    def _end(self, stream_id: int) -> Call | None:
        call = self._calls.pop(stream_id, None)
        if call is not None:
            self._host.unfinished -= len(call.body)
        return call

    def _answered(self, stream_id: int) -> None:
        if (call := self._end(stream_id)) is not None:
            self._host.answered(call)

    def _flush(self) -> None:
        """Send what was written outside of `data_received`, which does so by itself."""
        if not self.connection.is_closing():
            self.connection.flush()

    def _start(self, stream_id: int, work: Coroutine[Any, Any, None]) -> None:
        """Go on with a call in a task of its own."""
        self._calls[stream_id].task = asyncio.get_running_loop().create_task(work)

    async def _write(self, stream_id: int, write: Write, message: bytes) -> None:
        try:
            answer = await self._host.run_write(write, message)
        except Exception as error:  # what goes wrong with one call is told to its caller
            self._refuse(stream_id, refusal(error))
        else:
            self._reply(stream_id, answer)
        self._flush()

    def _reply(self, stream_id: int, message: bytes) -> None:
        """Send an answer; at once where the peer has room for it, else in a task."""
        data = b"\0" + len(message).to_bytes(_PREFIX - 1, "big") + message
        try:
            room = min(self._h2.local_flow_control_window(stream_id), self._h2.max_outbound_frame_size)
            if len(data) > room or not self.connection.write_ready.is_set():
                self._start(stream_id, self._reply_slowly(stream_id, data))
                return
            self._h2.send_headers(stream_id, _HEADERS)
            self._h2.send_data(stream_id, data)
            self._h2.send_headers(stream_id, _TRAILERS, end_stream=True)
        except H2Error as error:
            log.debug("the caller went away before the answer: %r", error)
        self._answered(stream_id)

    async def _reply_slowly(self, stream_id: int, data: bytes) -> None:
        """The same as the peer makes room, which grpclib's streams know."""
        stream = self.connection.create_stream(stream_id=stream_id)
        release = self.processor.register(stream)
        try:
            await stream.send_headers(_HEADERS)  # type: ignore[arg-type]  # bytes do as well
            await stream.send_data(data)
            await stream.send_headers(_TRAILERS, end_stream=True)  # type: ignore[arg-type]
        except H2Error as error:
            log.debug("the caller went away before the answer: %r", error)
        finally:
            release()
        self._answered(stream_id)

    def _refuse(self, stream_id: int, error: GRPCError) -> None:
        """Send a status and why; what is still being sent to us is not waited for."""
        self._host.refused(self._end(stream_id), error.status)
        reason = encode_grpc_message((error.message or "")[:MAX_REASON]).encode()
        status = [(b"grpc-status", b"%d" % error.status.value), (b"grpc-message", reason)]
        try:
            self._h2.send_headers(stream_id, [*_HEADERS, *status], end_stream=True)
            if not self._h2.streams[stream_id].closed:
                self._h2.reset_stream(stream_id, ErrorCodes.NO_ERROR)
        except H2Error as error:
            log.debug("the caller went away before the answer: %r", error)


class _NoHandler(AbstractHandler):
    """grpclib's place for calls; ours are handled by the connection itself."""

    def accept(self, stream: Stream, headers: Any, release_stream: Callable[[], None]) -> None:
        raise NotImplementedError

    def cancel(self, stream: Stream) -> None:
        raise NotImplementedError

    def close(self) -> None:
        pass


def _cause(error: Exception) -> str:
    """The kind of error; its text may hold what the peer sent."""
    inner = error.__cause__ or error.__context__ or error
    return type(inner).__name__


def _ignore(_: events.Event) -> None:
    """Frames of kinds that HTTP/2 got later are to be ignored; grpclib would drop the connection."""


def _message(body: bytearray) -> bytes:
    """The one message of a unary call."""
    if len(body) < _PREFIX or len(body) - _PREFIX != int.from_bytes(body[1:_PREFIX], "big"):
        raise Malformed("the request is not one whole message")
    if body[0]:
        raise GRPCError(Status.UNIMPLEMENTED, "Compressed: messages must not be compressed")
    return bytes(body[_PREFIX:])
