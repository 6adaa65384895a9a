"""One request and its answer over a connection of its own, by httpcore: what httpx puts around each costs as much as both.

It knows neither Kubernetes nor who we are. It follows no redirect and keeps no cookie.
"""

import ssl
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Final, Self

import httpcore
import trio
from msgspec import Struct

from hexa.adapters.kube_http.client import httpx

KEPT: Final = 80.0
"""Seconds that an idle connection is kept. The API server closes idle ones after 90."""

_GOODBYE: Final = 1.0
"""Seconds that closing a connection may take."""

Headers = Sequence[tuple[bytes, bytes]]


class Answer(Struct, frozen=True):
    """A whole answer."""

    code: int
    body: bytes

    @property
    def is_success(self) -> bool:
        """Whether the code is 2xx."""
        return 200 <= self.code < 300


class Line:
    """One connection, made anew when it is gone. It bears one request at a time."""

    def __init__(self, pool: httpcore.AsyncConnectionPool, origin: httpcore.Origin) -> None:
        """`pool` makes connections and holds none: with each request it would look at the sockets of all that it holds, twice."""
        self._pool, self._origin = pool, origin
        self._connection: httpcore.AsyncConnectionInterface | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._drop()

    async def send(self, request: httpcore.Request) -> Answer:
        """The answer, read to its end. Raises what httpcore raises; the connection is closed then, as when it is cancelled."""
        connection = await self._connected()
        try:
            response = await connection.handle_async_request(request)
            body = await response.aread()
            await response.aclose()
        except BaseException:
            await self._drop()
            raise
        return Answer(response.status, _unzipped(response.status, response.headers, body))

    async def _connected(self) -> httpcore.AsyncConnectionInterface:
        if self._connection is not None and self._connection.is_idle() and not self._connection.has_expired():
            return self._connection
        await self._drop()
        if self._origin.scheme not in (b"http", b"https"):
            raise httpcore.UnsupportedProtocol(f"unsupported protocol {self._origin.scheme.decode()!r}")
        self._connection = self._pool.create_connection(self._origin)
        return self._connection

    async def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with trio.move_on_after(_GOODBYE, shield=True):
                await connection.aclose()


def _unzipped(code: int, headers: Headers, body: bytes) -> bytes:
    """We ask for plain bytes; what lies between may zip them all the same."""
    if any(name.lower() == b"content-encoding" for name, _ in headers):
        return httpx.Response(code, headers=list(headers), content=body).content
    return body


def pool(
    context: ssl.SSLContext, *, proxy: str, socket_options: Sequence[tuple[int, int, int]]
) -> httpcore.AsyncConnectionPool:
    """What makes the connections, by way of the proxy where there is one."""
    common: Mapping[str, Any] = {
        "ssl_context": context,
        "keepalive_expiry": KEPT,
        "socket_options": socket_options,
        "network_backend": _Backend(),
    }
    if not proxy:
        return httpcore.AsyncConnectionPool(**common)
    via = httpx.Proxy(proxy)
    return httpcore.AsyncHTTPProxy(proxy_url=url_of(via.url), proxy_auth=via.raw_auth, **common)


def url_of(url: httpx.URL) -> httpcore.URL:
    """The same URL as httpcore has it."""
    return httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path)


# ruff: noqa: ASYNC109  # the deadlines are httpcore's


class _Stream(httpcore.AsyncNetworkStream):
    """Sends what was written when an answer is read: a request goes in one piece, its head with its body."""

    def __init__(self, stream: httpcore.AsyncNetworkStream) -> None:
        self._stream = stream
        self._written: list[bytes] = []
        self._patience: float | None = None

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        if self._written:
            await self._flush()
        return await self._stream.read(max_bytes, timeout)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._written.append(buffer)
        self._patience = timeout

    async def _flush(self) -> None:
        written = b"".join(self._written)
        self._written.clear()
        with suppress(httpcore.WriteError):  # a server may answer before it has read all, and close
            await self._stream.write(written, self._patience)

    async def aclose(self) -> None:
        await self._stream.aclose()

    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.AsyncNetworkStream:
        return _Stream(await self._stream.start_tls(ssl_context, server_hostname, timeout))

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


class _Backend(httpcore.TrioBackend):
    async def connect_tcp(self, *place: Any, **how: Any) -> httpcore.AsyncNetworkStream:
        return _Stream(await super().connect_tcp(*place, **how))
