"""Proves to the API server who we are, and keeps the proof fresh: headers from files and programs, TLS contexts."""

import os
import ssl
import tempfile
from abc import ABC, abstractmethod
from base64 import b64encode
from collections.abc import AsyncGenerator, Callable
from datetime import datetime
from pathlib import Path
from typing import Any, Final, assert_never

import msgspec
import trio

from hexa.adapters.kube_http.client import httpx
from hexa.adapters.kube_http.cluster import Basic, Cluster, Exec, KeyPair, Pem, Token, TokenFile
from hexa.domain.errors import Refused, Unavailable
from hexa.domain.resources.core import Slice
from hexa.ports.clock import Clock

_EXEC_PATIENCE: Final = 60.0
"""Seconds that a credential plugin may take."""


# --- TLS ------------------------------------------------------------------------------------------


def tls_context(cluster: Cluster) -> ssl.SSLContext:
    """How we check the server's certificate and which one we show."""
    context = _trusting(cluster.authority)
    # Like the Go clients: authorities made by older tools lack extensions that OpenSSL's strict mode asks for.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    if cluster.insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if cluster.certificate is not None:
        show_certificate(context, cluster.certificate)
    return context


def _trusting(authority: Pem | None) -> ssl.SSLContext:
    if authority is None:
        return ssl.create_default_context()
    try:
        return ssl.create_default_context(cadata=authority.data.decode())
    except (ssl.SSLError, ValueError) as error:
        raise Refused(
            f"{authority.origin}: holds no certificate in PEM; put the CA's there", reason="BadCertificate"
        ) from error


def show_certificate(context: ssl.SSLContext, pair: KeyPair) -> None:
    """Show this client certificate from the next connection on."""
    with tempfile.TemporaryDirectory(prefix="hexa-") as directory:  # OpenSSL reads it from a file only
        path = Path(directory, "pair.pem")
        path.touch(mode=0o600)
        path.write_bytes(pair.certificate.data + b"\n" + pair.key.data)
        try:
            context.load_cert_chain(path, password=lambda: "")
        except ssl.SSLError as error:
            problem = f"no pair of certificate and unencrypted key ({error.reason})"
            message = f"{pair.certificate.origin} and {pair.key.origin}: {problem}; both must be PEM of one identity"
            raise Refused(message, reason="BadCertificate") from error


# --- the Authorization header ---------------------------------------------------------------------


class Identity(httpx.Auth, ABC):
    """Adds the header; once more with a fresh one if the server refuses the first."""

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """Called by httpx for each request."""
        used = await self.header()
        response = yield _signed(request, used)
        if response.status_code == 401 and (fresh := await self.renew(used)) != used:
            yield _signed(request, fresh)

    @abstractmethod
    async def header(self) -> str:
        """What proves us now."""

    async def renew(self, used: str) -> str:
        """A newer proof than `used`, or the same where there is none."""
        return used


def _signed(request: httpx.Request, header: str) -> httpx.Request:
    if header:  # a program may have given a certificate instead
        request.headers["Authorization"] = header
    return request


class _Fixed(Identity):
    def __init__(self, header: str) -> None:
        self._header = header

    async def header(self) -> str:
        return self._header


class _FromFile(Identity):
    """A token file that somebody else renews, as the kubelet does in pods."""

    def __init__(self, path: Path, *, reread: float) -> None:
        self._path = path
        self._reread = reread
        self._read_at = -1.0
        self._header = ""

    async def header(self) -> str:
        if not self._header or trio.current_time() - self._read_at >= self._reread:
            self._read()
        return self._header

    async def renew(self, used: str) -> str:
        self._read()
        return self._header

    def _read(self) -> None:
        token, problem = _token(self._path)
        if token:
            self._header, self._read_at = f"Bearer {token}", trio.current_time()
        elif not self._header:  # else it is just being replaced, and what we have may still do
            raise Refused(f"{self._path}: {problem}", reason="NoToken")


def _token(path: Path) -> tuple[str, str]:
    """The token in the file, or what is wrong with it."""
    try:
        token = path.read_text().strip()
    except OSError as error:
        return "", f"cannot read the token ({error.strerror}); correct the path or its permissions"
    except UnicodeDecodeError:
        return "", "holds no text; write the token there, and nothing else"
    if any(character.isspace() or not character.isprintable() for character in token):
        return "", "holds more than one token; write the token there, and nothing else"
    return token, "the token file is empty"


class _ExecStatus(Slice, frozen=True, kw_only=True):
    token: str = ""
    client_certificate_data: str = ""
    client_key_data: str = ""
    expiration_timestamp: datetime | None = None


class _ExecCredential(Slice, frozen=True, kw_only=True):
    status: _ExecStatus | None = None


class _FromProgram(Identity):
    """An exec plugin: run when its last answer has expired, and when the server refuses that."""

    def __init__(self, plugin: Exec, *, clock: Clock, show: Callable[[KeyPair], None]) -> None:
        self._plugin = plugin
        self._clock = clock
        self._show = show
        self._lock = trio.Lock()
        self._status: _ExecStatus | None = None

    async def header(self) -> str:
        async with self._lock:
            if self._status is None or self._expired(self._status):
                await self._run()
            return self._current()

    async def renew(self, used: str) -> str:
        async with self._lock:
            if self._current() == used:
                await self._run()
            return self._current()

    def _current(self) -> str:
        return f"Bearer {self._status.token}" if self._status and self._status.token else ""

    def _expired(self, status: _ExecStatus) -> bool:
        return status.expiration_timestamp is not None and status.expiration_timestamp <= self._clock.now()

    async def _run(self) -> None:
        status = _exec_status(self._plugin, await _output(self._plugin))
        if status.client_certificate_data:
            origin = f"{self._plugin.origin} ({self._plugin.command})"
            certificate, key = status.client_certificate_data, status.client_key_data
            self._show(KeyPair(Pem(certificate.encode(), origin), Pem(key.encode(), origin)))
        self._status = status


async def _output(plugin: Exec) -> bytes:
    try:
        with trio.fail_after(_EXEC_PATIENCE):
            done = await trio.run_process(
                [plugin.command, *plugin.args],
                env=_exec_environment(plugin),
                capture_stdout=True,
                capture_stderr=True,
                check=False,
            )
    except OSError as error:
        hint = (
            f"; {' '.join(plugin.install_hint.split())}" if plugin.install_hint else "; install it or correct the path"
        )
        raise Refused(
            f"{plugin.origin}.command: cannot run {plugin.command} ({error.strerror}){hint}", reason="ExecPlugin"
        ) from error
    except trio.TooSlowError as error:
        raise Unavailable(
            f"{plugin.origin}: {plugin.command} ran for {_EXEC_PATIENCE:.0f} s", reason="ExecPlugin"
        ) from error
    if done.returncode:
        said = " ".join(done.stderr.decode(errors="replace").split())[-300:]
        raise Unavailable(
            f"{plugin.origin}: {plugin.command} ended with {done.returncode}: {said}", reason="ExecPlugin"
        )
    return done.stdout


def _exec_environment(plugin: Exec) -> dict[str, str]:
    spec: dict[str, Any] = {"interactive": False}
    if plugin.cluster is not None:
        spec["cluster"] = plugin.cluster
    info = {"apiVersion": plugin.api_version, "kind": "ExecCredential", "spec": spec}
    return {**os.environ, **plugin.env, "KUBERNETES_EXEC_INFO": msgspec.json.encode(info).decode()}


def _exec_status(plugin: Exec, output: bytes) -> _ExecStatus:
    try:
        status = msgspec.json.decode(output, type=_ExecCredential).status
    except msgspec.DecodeError as error:
        raise Refused(
            f"{plugin.origin}: {plugin.command} did not print an ExecCredential ({error})", reason="ExecPlugin"
        ) from error
    if status is None or not (status.token or (status.client_certificate_data and status.client_key_data)):
        raise Refused(
            f"{plugin.origin}: {plugin.command} printed neither a token nor a certificate with its key",
            reason="ExecPlugin",
        )
    return status


def _from_url(server: httpx.URL) -> Identity | None:
    if not server.userinfo:
        return None
    return _Fixed(f"Basic {b64encode(f'{server.username}:{server.password}'.encode()).decode()}")


def identity(cluster: Cluster, *, clock: Clock, reread: float, show: Callable[[KeyPair], None]) -> Identity | None:
    """The identity for a cluster's credentials; `show` takes the certificates that a program hands out."""
    match cluster.credentials:
        case None:
            return _from_url(httpx.URL(cluster.server))
        case Token(value):
            return _Fixed(f"Bearer {value}")
        case Basic(username, password):
            return _Fixed(f"Basic {b64encode(f'{username}:{password}'.encode()).decode()}")
        case TokenFile(path):
            return _FromFile(path, reread=reread)
        case Exec() as plugin:
            return _FromProgram(plugin, clock=clock, show=show)
        case other:
            assert_never(other)
