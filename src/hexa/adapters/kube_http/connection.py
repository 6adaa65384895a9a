"""HTTP/1.1 as an API server speaks it: one request, and its answer read to the end. A parser for every peer and every use costs
four times as much.

It follows no redirect, upgrades nothing and sends one request at a time. What is no HTTP/1.1 is a `RemoteProtocolError`.
"""

import re
import ssl
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

import httpcore
import trio

READ_AT_ONCE: Final = 64 * 1024
LONGEST_HEAD: Final = 100 * 1024
"""Bytes of a status line with its headers."""
NO_BODY: Final = frozenset({204, 304})

_STATUS: Final = re.compile(rb"HTTP/1\.([01]) ([1-9][0-9]{2})(?: [^\r\n]*)?")
_CHUNK: Final = re.compile(rb"[ \t]*([0-9A-Fa-f]{1,15})[ \t]*(?:;.*)?")
_DIGITS: Final = re.compile(rb"[0-9]{1,15}")

Fields = list[tuple[bytes, bytes]]


class Direct:
    """A connection to the server itself, made with the first request. It is an httpcore connection of which nobody asks more than
    this."""

    def __init__(
        self,
        origin: httpcore.Origin,
        context: ssl.SSLContext,
        *,
        kept: float,
        socket_options: Sequence[tuple[int, int, int]],
    ) -> None:
        """`kept`: seconds that it may be idle."""
        self._origin, self._context, self._kept, self._options = origin, context, kept, socket_options
        self._socket: trio.SocketStream | None = None
        self._stream: trio.abc.Stream | None = None
        self._idle_since: float | None = None
        self._received = bytearray()

    def is_idle(self) -> bool:
        """Whether it may bear another request."""
        return self._idle_since is not None

    def has_expired(self) -> bool:
        """Whether it was idle for too long, or the server has closed it."""
        if self._idle_since is None or self._socket is None:
            return False
        return trio.current_time() > self._idle_since + self._kept or self._socket.socket.is_readable()

    async def aclose(self) -> None:
        """Close it."""
        self._idle_since = None
        if self._stream is not None:
            await self._stream.aclose()

    async def handle_async_request(self, request: httpcore.Request) -> httpcore.Response:
        """The answer, with its whole body. After anything else than that the connection is of no more use."""
        patience: Mapping[str, float] = request.extensions["timeout"]
        if self._stream is None:
            self._stream = await self._connect(patience["connect"], request.extensions.get("sni_hostname"))
        self._idle_since = None
        await self._send(self._stream, await _written(request), patience["write"])
        with _named(httpcore.ReadTimeout, httpcore.ReadError):
            with trio.CancelScope() as scope:
                return await self._answer(_Reader(self._stream, self._received, scope, patience["read"]))
            raise trio.TooSlowError

    async def _connect(self, patience: float, server_name: str | None) -> trio.abc.Stream:
        host = self._origin.host.decode("ascii")
        with _named(httpcore.ConnectTimeout, httpcore.ConnectError, OSError), trio.fail_after(patience):
            self._socket = await trio.open_tcp_stream(host, self._origin.port)
            for option in self._options:
                self._socket.setsockopt(*option)
        if self._origin.scheme != b"https":
            return self._socket
        self._context.set_alpn_protocols(["http/1.1"])
        name = server_name or host
        stream = trio.SSLStream(self._socket, self._context, server_hostname=name, https_compatible=True)
        self._stream = stream  # to be closed if hands cannot be shaken
        with _named(httpcore.ConnectTimeout, httpcore.ConnectError), trio.fail_after(patience):
            await stream.do_handshake()
        return stream

    async def _send(self, stream: trio.abc.Stream, data: bytes, patience: float) -> None:
        try:
            with _named(httpcore.WriteTimeout, httpcore.WriteError), trio.fail_after(patience):
                await stream.send_all(data)
        except httpcore.WriteError:
            return  # a server may answer before it has read all, and close

    async def _answer(self, reader: "_Reader") -> httpcore.Response:
        version, code, fields = await reader.head()
        body, ends = await reader.body(code, fields)
        said = _values(fields, b"connection")
        stays = ends and version == 1 and b"close" not in said and not self._received
        self._idle_since = trio.current_time() if stays else None
        return httpcore.Response(code, headers=fields, content=body)


class _Reader:
    """Reads one answer. What comes after it stays in `received`."""

    def __init__(self, stream: trio.abc.Stream, received: bytearray, scope: trio.CancelScope, patience: float) -> None:
        """`patience`: seconds of silence after which the scope is cancelled."""
        self._stream, self._received, self._scope, self._patience = stream, received, scope, patience

    async def head(self) -> tuple[int, int, Fields]:
        """Minor version, code, and headers by their names in lower case; interim answers are passed over."""
        while True:
            lines = (await self._until(b"\r\n\r\n")).split(b"\r\n")
            status = _STATUS.fullmatch(lines[0])
            if status is None or status[2] == b"101":
                raise httpcore.RemoteProtocolError("the answer does not begin as HTTP/1.1 does")
            if status[2][0] != ord("1"):
                return int(status[1]), int(status[2]), [_field(line) for line in lines[1:]]

    async def body(self, code: int, fields: Fields) -> tuple[bytes, bool]:
        """The whole body, and whether it ended before the connection did."""
        if code in NO_BODY:
            return b"", True
        if coded := _values(fields, b"transfer-encoding"):
            if coded != [b"chunked"]:
                raise httpcore.RemoteProtocolError("the answer is coded in an unknown way")
            return await self._chunks(), True
        sizes = set(_values(fields, b"content-length"))
        if not sizes:
            return await self._rest(), False
        size = sizes.pop()
        if sizes or not _DIGITS.fullmatch(size):
            raise httpcore.RemoteProtocolError("the length of the answer is not a number")
        return await self._exactly(int(size)), True

    async def _chunks(self) -> bytes:
        whole = bytearray()
        while True:
            size = _CHUNK.fullmatch(await self._until(b"\r\n"))
            if size is None:
                raise httpcore.RemoteProtocolError("the length of a chunk is not a number")
            if not (count := int(size[1], 16)):
                break
            whole += await self._exactly(count)
            if await self._exactly(2) != b"\r\n":
                raise httpcore.RemoteProtocolError("a chunk does not end where it should")
        while await self._until(b"\r\n"):
            continue  # headers after the body say nothing to us
        return bytes(whole)

    async def _until(self, end: bytes) -> bytes:
        begin = 0
        while (at := self._received.find(end, begin)) < 0:
            if len(self._received) > LONGEST_HEAD:
                raise httpcore.RemoteProtocolError("the answer has no end of its head")
            begin = max(len(self._received) - len(end) + 1, 0)
            await self._more()
        return self._taken(at, at + len(end))

    async def _exactly(self, size: int) -> bytes:
        while len(self._received) < size:
            await self._more()
        return self._taken(size, size)

    async def _rest(self) -> bytes:
        while await self._receive():
            continue
        return self._taken(len(self._received), len(self._received))

    def _taken(self, size: int, with_end: int) -> bytes:
        taken = bytes(self._received[:size])
        del self._received[:with_end]
        return taken

    async def _more(self) -> None:
        if not await self._receive():
            raise httpcore.RemoteProtocolError("Server disconnected without sending a whole response.")

    async def _receive(self) -> int:
        self._scope.deadline = trio.current_time() + self._patience
        data = await self._stream.receive_some(READ_AT_ONCE)
        self._received += data
        return len(data)


@contextmanager
def _named(slow: type[Exception], broken: type[Exception], *more: type[Exception]) -> Iterator[None]:
    """Trio's exceptions by the names that httpcore gives them."""
    failures: tuple[type[Exception], ...] = (trio.BrokenResourceError, trio.ClosedResourceError, *more)
    try:
        yield
    except trio.TooSlowError as error:
        raise slow(error) from error
    except failures as error:
        raise broken(error) from error


async def _written(request: httpcore.Request) -> bytes:
    """The request in one piece, its head with its body."""
    stream: Any = request.stream
    fields = [b"%b: %b" % field for field in request.headers]
    head = b"\r\n".join((b"%b %b HTTP/1.1" % (request.method, request.url.target), *fields, b"\r\n"))
    if head.count(b"\n") != len(fields) + 2 or head.count(b"\r") != len(fields) + 2 or b"\0" in head:
        raise httpcore.LocalProtocolError("a header of the request holds the end of a line")
    return head + b"".join([part async for part in stream])


def _field(line: bytes) -> tuple[bytes, bytes]:
    name, colon, value = line.partition(b":")
    if not colon or not name or name != name.strip():
        raise httpcore.RemoteProtocolError("a header of the answer has no name")
    return name.lower(), value.strip()


def _values(fields: Fields, name: bytes) -> list[bytes]:
    """What the headers of the name say, in lower case, each of a list by itself."""
    return [part.strip().lower() for each, value in fields if each == name for part in value.split(b",")]
