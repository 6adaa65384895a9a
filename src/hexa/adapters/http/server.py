"""The listener of the port and its connections, on hypercorn's protocol in a nursery of the agent. It knows no path.

Nothing that a client does ends more than its own connection.
"""

import errno
import logging
from collections import Counter
from collections.abc import Callable
from functools import partial
from ipaddress import ip_address
from typing import Any, Final

import trio
from msgspec import Struct

from hexa.adapters.http.config import Files
from hexa.adapters.http.connection import HEADERS_LIMIT, Connection, Stream
from hexa.adapters.http.kept import Pace
from hexa.adapters.http.limits import Limits
from hexa.adapters.http.tls import Credentials, open_credentials
from hexa.domain.errors import Refused
from hexa.serving.complaints import Complaints

log = logging.getLogger(__name__)

MAX_CONNECTIONS: Final = 200
"""Those that still shake hands included."""
BACKLOG: Final = 100
REQUESTS: Final = 200, 50.0
"""Of one address: how many at once, and a second. More wait for their turn: nobody's loop of requests takes the processor."""
ACCEPT_PAUSE: Final = 1.0
"""Seconds until connections are taken again after the system would not give one."""

FULL: Final = f"all {MAX_CONNECTIONS} connections are taken; those without a request under way go first"
HANDSHAKE: Final = "the TLS handshake failed: it speaks no TLS, or does not trust the certificate"


async def serve(
    app: Any,
    *,
    address: str,
    files: Files | None = None,
    insecure: bool = False,
    on_certificate: Callable[[float], None] | None = None,
    task_status: trio.TaskStatus[str] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve an ASGI application on HOST:PORT until cancelled; reports the address with the port that was chosen.

    Without `files` only the loopback is served, unless `insecure`. `on_certificate` is told of the end of each certificate that is
    loaded, in seconds since 1970. Raises Refused where it cannot listen, or cannot use the files.
    """
    credentials = await open_credentials(files) if files else None
    if credentials is not None and on_certificate is not None:
        await credentials.on_loaded(on_certificate)
    listeners, bound = await listen(address, trusted=insecure or files is not None)
    if files is None and not all(_is_loopback(listener.socket.getsockname()[0]) for listener in listeners):
        log.warning(
            "HTTP IS SERVED WITHOUT TLS ON %s: whoever listens on the way reads tokens; set http.tls (docs/http.md)",
            bound,
        )
    server = Server(Limits(app), credentials)
    async with trio.open_nursery() as nursery:
        if credentials is not None:
            nursery.start_soon(credentials.watch)
        task_status.started(bound)
        try:
            await server.run(listeners)
        finally:
            for listener in listeners:
                listener.socket.close()


async def check(*, address: str, files: Files | None = None, insecure: bool = False) -> None:
    """Raise now what `serve` would raise with the same settings."""
    if files is not None:
        await open_credentials(files)
    listeners, _ = await listen(address, trusted=insecure or files is not None)
    for listener in listeners:
        listener.socket.close()


class Newcomer(Struct, frozen=True):
    """A client that shakes hands."""

    peer: str
    cut: Callable[[], None]
    """End it now."""
    waits: bool = True


class Server:
    """All connections."""

    def __init__(self, app: Any, credentials: Credentials | None) -> None:
        self._app = app
        self._credentials = credentials
        self._complaints = Complaints("HTTP client %s: %s%s")
        burst, a_second = REQUESTS
        self._pace = Pace[str](burst=burst, a_second=a_second, most=1_000)
        self._taken: dict[object, Newcomer | Connection] = {}
        """In the order in which they came."""

    async def run(self, listeners: list[trio.SocketListener]) -> None:
        """Take connections; never returns."""
        while True:
            try:
                await trio.serve_listeners(self._take, listeners)
            except* Exception:
                log.exception("the HTTP port takes no connections for a moment")
            await trio.sleep(ACCEPT_PAUSE)

    async def _take(self, stream: trio.SocketStream) -> None:
        key = object()
        with trio.CancelScope() as scope:
            self._taken[key] = Newcomer("", scope.cancel)
            try:
                peer = str(stream.socket.getpeername()[0])
                self._taken[key] = Newcomer(peer, scope.cancel)
                self._make_room(key, peer)
                await self._talk(key, stream, peer)
            except OSError:
                pass  # it has gone
            except Exception:
                log.exception("a connection of the HTTP port failed")
            finally:
                del self._taken[key]
                await trio.aclose_forcefully(stream)

    def _make_room(self, key: object, peer: str) -> None:
        """At the limit the oldest connection without a request under way goes; where all others have one, the oldest. An address
        that has more than half of them pays for that itself."""
        if len(self._taken) <= MAX_CONNECTIONS:
            return
        self._complaints.tell(FULL, peer=peer)
        others = [each for number, each in self._taken.items() if number is not key]
        crowd, many = Counter(each.peer for each in self._taken.values()).most_common(1)[0]
        if many > MAX_CONNECTIONS / 2:
            others = [each for each in others if each.peer == crowd] or others
        next((each for each in others if each.waits), others[0]).cut()

    async def _talk(self, key: object, stream: trio.SocketStream, peer: str) -> None:
        secured = await self._secured(stream, peer)
        if secured is None:
            return
        tell, turn = partial(self._complaints.tell, peer=peer), partial(self._pace.turn, peer)
        connection = Connection(secured, peer=peer, tell=tell, broke=self._broke, turn=turn)
        self._taken[key] = connection
        await connection.run(self._app)

    async def _secured(self, stream: trio.SocketStream, peer: str) -> Stream | None:
        if self._credentials is None:
            return stream
        secured = trio.SSLStream(stream, self._credentials.context, server_side=True, https_compatible=True)
        with trio.move_on_after(HEADERS_LIMIT):
            try:
                await secured.do_handshake()
                return secured
            except trio.BrokenResourceError:
                pass
        self._complaints.tell(HANDSHAKE, peer=peer)
        return None

    def _broke(self, error: Exception) -> None:
        log.error("a handler of the HTTP port failed", exc_info=error)


async def listen(address: str, *, trusted: bool) -> tuple[list[trio.SocketListener], str]:
    """Listeners and their address with the port that was chosen. Off the loopback only where `trusted`. Raises Refused."""
    host, port = split(address)
    try:
        listeners = await trio.open_tcp_listeners(port, host=host or None, backlog=BACKLOG)
    except OSError as error:
        reason = "AddressInUse" if error.errno == errno.EADDRINUSE else "AddressRefused"
        raise Refused(f"http.address: cannot listen on {address}: {error.strerror}", reason=reason) from error
    names = [listener.socket.getsockname()[:2] for listener in listeners]
    if not trusted and not all(_is_loopback(name) for name, _ in names):
        for listener in listeners:
            listener.socket.close()
        raise Refused(
            f"http.address: {address} can be reached from the network, and there is no TLS: set http.tls (docs/http.md), "
            "listen on 127.0.0.1, or allow it by http.insecure",
            reason="PlaintextOnNetwork",
        )
    name, bound = names[0]
    return listeners, f"[{name}]:{bound}" if ":" in name else f"{name}:{bound}"


def split(address: str) -> tuple[str, int]:
    """Host and port. Raises Refused."""
    host, colon, port = address.rpartition(":")
    if not colon or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise Refused(f"http.address: {address!r} is not HOST:PORT", reason="BadAddress")
    return host.removeprefix("[").removesuffix("]"), int(port)


def _is_loopback(host: str) -> bool:
    return ip_address(host.partition("%")[0]).is_loopback
