"""One request and its answer over a connection of its own: what httpx puts around each costs as much as both.

It knows neither Kubernetes nor who we are. It follows no redirect and keeps no cookie.
"""

import ssl
from collections.abc import Callable, Sequence
from typing import Final, Self

import httpcore
import trio
from msgspec import Struct

from hexa.adapters.kube_http.client import httpx
from hexa.adapters.kube_http.connection import Direct

KEPT: Final = 80.0
"""Seconds that an idle connection is kept. The API server closes idle ones after 90."""

_GOODBYE: Final = 1.0
"""Seconds that closing a connection may take."""

Headers = Sequence[tuple[bytes, bytes]]
Connection = Direct | httpcore.AsyncConnectionInterface


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

    def __init__(self, connect: Callable[[], Connection], origin: httpcore.Origin) -> None:
        """`connect`: gives a new connection, see `connections`."""
        self._connect, self._origin = connect, origin
        self._connection: Connection | None = None

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

    async def _connected(self) -> Connection:
        if self._connection is not None and self._connection.is_idle() and not self._connection.has_expired():
            return self._connection
        await self._drop()
        if self._origin.scheme not in (b"http", b"https"):
            raise httpcore.UnsupportedProtocol(f"unsupported protocol {self._origin.scheme.decode()!r}")
        self._connection = self._connect()
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


def connections(
    context: ssl.SSLContext, origin: httpcore.Origin, *, proxy: str, socket_options: Sequence[tuple[int, int, int]]
) -> Callable[[], Connection]:
    """What makes the connections, by way of the proxy where there is one."""
    if not proxy:
        return lambda: Direct(origin, context, kept=KEPT, socket_options=socket_options)
    via = httpx.Proxy(proxy)
    pool = httpcore.AsyncHTTPProxy(  # it holds none of them
        proxy_url=url_of(via.url),
        proxy_auth=via.raw_auth,
        ssl_context=context,
        keepalive_expiry=KEPT,
        socket_options=socket_options,
    )
    return lambda: pool.create_connection(origin)


def url_of(url: httpx.URL) -> httpcore.URL:
    """The same URL as httpcore has it."""
    return httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path)
