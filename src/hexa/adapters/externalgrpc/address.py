"""Where to listen: HOST:PORT or unix:///PATH as a bound socket, and refusals that say what to do."""

import errno
import socket
import stat
from ipaddress import ip_address
from pathlib import Path
from typing import Final

import trio

from hexa.domain.errors import Refused

DEFAULT_ADDRESS: Final = "127.0.0.1:50051"
_UNIX: Final = ("unix://", "unix:")
_BACKLOG: Final = 100


async def listen(address: str, *, trusted: bool) -> tuple[socket.socket, str]:
    """A listening socket and its address with the port that was chosen. Off the loopback only where `trusted`.

    Raises Refused where nothing can listen there.
    """
    for prefix in _UNIX:
        if address.startswith(prefix):
            return _listen_unix(Path(address.removeprefix(prefix))), address
    host, port = _split(address)
    family, target = await _resolve(host, port, address)
    if not trusted and not _is_loopback(target[0]):
        raise Refused(
            f"{address} can be reached from the network, and there is no TLS: "
            "set grpc.tls (docs/tls.md), listen on 127.0.0.1, or allow it by grpc.insecure",
            reason="PlaintextOnNetwork",
        )
    sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)  # without it asyncio leaves Nagle's delay on
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    _bind(sock, target, address)
    bound_host, bound_port = sock.getsockname()[:2]
    return sock, f"[{bound_host}]:{bound_port}" if family == socket.AF_INET6 else f"{bound_host}:{bound_port}"


def private(sock: socket.socket) -> bool:
    """Whether only this machine reaches it."""
    return sock.family == socket.AF_UNIX or _is_loopback(sock.getsockname()[0])


def _is_loopback(host: str) -> bool:
    return ip_address(host.partition("%")[0]).is_loopback


def _split(address: str) -> tuple[str, int]:
    host, colon, port = address.rpartition(":")
    if not colon or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise Refused(f"gRPC address {address!r} is not HOST:PORT or unix:///PATH", reason="BadAddress")
    return host.removeprefix("[").removesuffix("]"), int(port)


async def _resolve(host: str, port: int, address: str) -> tuple[int, tuple[str, int]]:
    try:
        found = await trio.socket.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE | socket.AI_NUMERICSERV
        )
    except OSError as error:
        raise Refused(f"cannot listen on {address}: {error.strerror}", reason="AddressUnknown") from error
    family, _, _, _, target = found[0]
    return family, target  # type: ignore[return-value]  # of the IP families: host and port come first


def _listen_unix(path: Path) -> socket.socket:
    """A socket file that nobody listens on any more is what a killed agent left behind: it is replaced."""
    if _abandoned(path):
        path.unlink(missing_ok=True)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    _bind(sock, str(path), f"unix://{path}")
    return sock


def _abandoned(path: Path) -> bool:
    if not path.exists() or not stat.S_ISSOCK(path.stat().st_mode):
        return False
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        return probe.connect_ex(str(path)) == errno.ECONNREFUSED


def _bind(sock: socket.socket, target: str | tuple[str, int], address: str) -> None:
    try:
        sock.bind(target)
        if isinstance(target, str):
            Path(target).chmod(0o600)  # before anybody can connect
        sock.listen(_BACKLOG)
    except OSError as error:
        sock.close()
        if error.errno == errno.EADDRINUSE:
            raise Refused(
                f"{address} is in use: stop what listens there, or choose another address for gRPC",
                reason="AddressInUse",
            ) from error
        raise Refused(f"cannot listen on {address}: {error.strerror}", reason="AddressRefused") from error
