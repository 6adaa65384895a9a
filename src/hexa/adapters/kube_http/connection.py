"""A connection to an API server: it is opened, bears one request at a time, and may bear another or not.

What is in an answer, `answers` says. It follows no redirect and upgrades nothing.
"""

import ssl
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

import httpcore
import trio

from hexa.adapters.kube_http.answers import Answers

READ_AT_ONCE: Final = 64 * 1024


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
        self._answers = Answers()

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
                return await self._answer(self._stream, scope, patience["read"])
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

    async def _answer(self, stream: trio.abc.Stream, scope: trio.CancelScope, patience: float) -> httpcore.Response:
        while not self._answers.whole:
            scope.deadline = trio.current_time() + patience
            self._answers.feed(await stream.receive_some(READ_AT_ONCE))
        response, stays = self._answers.take()
        self._idle_since = trio.current_time() if stays else None
        return response


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
