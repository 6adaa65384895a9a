"""Mutual TLS for the gRPC server: the files as an SSLContext, read again when they change, and who a client is.

It knows neither gRPC nor connections. What is wrong with a file is named with the setting, and keys are never quoted.
"""

import logging
import ssl
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import trio
from msgspec import Struct

from hexa.adapters.externalgrpc.config import Tls
from hexa.domain.errors import Refused

log = logging.getLogger(__name__)

LOOK_EVERY: Final = 10.0
"""Seconds between two looks at the files; kubelet itself takes up to a minute or two to bring a changed Secret."""
EXPIRES_SOON: Final = 30 * 86_400.0
"""Seconds before the end of the server's certificate from which it is told, once a day."""
_DAY: Final = 86_400.0

_REFUSALS: Final = {
    "PEER_DID_NOT_RETURN_A_CERTIFICATE": "it shows no certificate, and mutual TLS is wanted",
    "HTTP_REQUEST": "it speaks plain HTTP, and TLS is wanted",
    "WRONG_VERSION_NUMBER": "it speaks no TLS, or gRPC in plain text",
    "UNSUPPORTED_PROTOCOL": "its TLS is older than 1.2",
    "TLSV1_ALERT_UNKNOWN_CA": "it does not trust hexa's certificate (unknown CA): does its CA file belong to grpc.tls.certificate?",
    "SSLV3_ALERT_BAD_CERTIFICATE": "it does not take hexa's certificate: is the name that it calls among its DNS names?",
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": "it takes hexa's certificate for expired",
}
"""Why a handshake failed, by OpenSSL's reason."""
_UNTRUSTED: Final = {
    "unable to get local issuer certificate": "its certificate was not signed by grpc.tls.clientCa",
    "unable to get issuer certificate": "its certificate was not signed by grpc.tls.clientCa",
    "self-signed certificate": "its certificate is self-signed, not signed by grpc.tls.clientCa",
    "self-signed certificate in certificate chain": "its certificate was not signed by grpc.tls.clientCa",
    "certificate has expired": "its certificate has expired",
    "certificate is not yet valid": "its certificate is not yet valid (are the clocks right?)",
    "certificate signature failure": "its certificate was not signed by grpc.tls.clientCa",
    "unsuitable certificate purpose": "its certificate is not made for clients (extended key usage)",
}
"""Why a client's certificate was refused, by OpenSSL's words."""


class Files(Struct, frozen=True):
    """What the three files hold."""

    certificate: bytes
    key: bytes
    client_ca: bytes


class Loaded(Struct, frozen=True):
    """A context fit for connections."""

    context: ssl.SSLContext
    expires: float | None
    """When the server's certificate ends, in seconds of the wall clock."""
    doubt: str = ""
    """Why clients will not take the server's certificate now."""


class Credentials:
    """The context that new connections get. Connections that stand keep theirs."""

    def __init__(self, tls: Tls, files: Files, loaded: Loaded) -> None:
        self._tls = tls
        self._seen = files
        self._loaded = loaded
        self._warned = 0.0
        self._refused = ""
        self._told: Callable[[float], None] = lambda ends: None
        self._warn()

    def on_loaded(self, told: Callable[[float], None]) -> None:
        """Call `told(ends)` with the end of the certificate, in seconds since 1970, now and when another one is taken."""
        self._told = told
        self._tell()

    def _tell(self) -> None:
        if self._loaded.expires is not None:
            self._told(self._loaded.expires)

    @property
    def context(self) -> ssl.SSLContext:
        return self._loaded.context

    def barred(self, certificate: Mapping[str, Any]) -> str:
        """Why a client with this certificate, which `client_ca` signed, may not call; empty if it may."""
        names = identities(certificate)
        if not self._tls.clients or any(_is(allowed, name) for allowed in self._tls.clients for name in names):
            return ""
        shown = ", ".join(names[:10]) or "nobody"
        return f"its certificate names {shown}, and none of that is among grpc.tls.clients"

    async def watch(self) -> None:
        """Look at the files now and then; never returns."""
        while True:
            await trio.sleep(LOOK_EVERY)
            await self.look()

    async def look(self) -> None:
        """Take changed files if they are good; else tell it once, and go on with what was loaded."""
        try:
            files = await trio.to_thread.run_sync(read, self._tls)
            if files == self._seen and not self._loaded.doubt:
                self._warn()
                return
            loaded = await trio.to_thread.run_sync(load, self._tls)
            if await trio.to_thread.run_sync(read, self._tls) == files:  # else they change just now: the next look
                self._take(files, loaded)
        except Refused as error:
            self._refuse(str(error))
        except OSError as error:  # what was read is gone when it is loaded
            self._refuse(f"the files of grpc.tls cannot be read: {error.strerror}")

    def _take(self, files: Files, loaded: Loaded) -> None:
        if loaded.doubt and files != self._seen:
            self._refuse(loaded.doubt)
        elif not loaded.doubt:
            self._seen, self._loaded, self._warned, self._refused = files, loaded, 0.0, ""
            log.info("gRPC certificates were read again: new connections use them")
            self._tell()
        self._warn()

    def _refuse(self, why: str) -> None:
        if self._refused != why:
            log.error("new gRPC certificates are not used, the old ones go on serving: %s", why)
        self._refused = why

    def _warn(self) -> None:
        """Tell, once a day, that clients will soon not take the certificate any more."""
        now = time.time()
        loaded = self._loaded
        if now - self._warned < _DAY or not (loaded.doubt or (loaded.expires and loaded.expires - now < EXPIRES_SOON)):
            return
        self._warned = now
        if loaded.doubt or not loaded.expires:
            log.warning("gRPC clients will refuse hexa's certificate: %s", loaded.doubt)
        else:
            days = max(0.0, loaded.expires - now) / _DAY
            log.warning("%s ends in %.0f days: renew it (docs/tls.md)", _named("certificate", self._tls), days)


async def open_credentials(tls: Tls) -> Credentials:
    """What the files hold now. Raises Refused where they cannot be used."""
    files = await trio.to_thread.run_sync(read, tls)
    return Credentials(tls, files, await trio.to_thread.run_sync(load, tls))


def read(tls: Tls) -> Files:
    """The files' bytes. Raises Refused."""
    return Files(*(_bytes(setting, tls) for setting in ("certificate", "key", "client_ca")))


def load(tls: Tls) -> Loaded:
    """A context from the files, proved by a handshake with itself. Raises Refused."""
    files = read(tls)
    _look_like_pem(files, tls)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    context.num_tickets = 0  # a resumed session would not show its certificate again
    context.options |= ssl.OP_NO_TICKET
    context.verify_mode = ssl.CERT_REQUIRED
    context.set_alpn_protocols(["h2"])
    try:
        context.load_cert_chain(tls.certificate, tls.key, password="")
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            text = f"{_named('key', tls)} does not belong to {_named('certificate', tls)}"
        else:
            text = f"{_named('certificate', tls)} and {_named('key', tls)} cannot be used: {_words(error)}"
        raise Refused(text, reason="BadCertificate") from error
    try:
        context.load_verify_locations(tls.client_ca)
    except ssl.SSLError as error:
        raise Refused(f"{_named('client_ca', tls)} cannot be used: {_words(error)}", reason="BadCertificate") from error
    try:
        return Loaded(context, _proved(context, tls.certificate))
    except ssl.SSLCertVerificationError as error:
        return Loaded(context, None, f"{_named('certificate', tls)}: {error.verify_message}")
    except ssl.SSLError as error:
        raise Refused(
            f"{_named('certificate', tls)} cannot be used: {_words(error)}", reason="BadCertificate"
        ) from error


def _proved(context: ssl.SSLContext, certificate: Path) -> float:
    """When the certificate ends. A client that trusts just this certificate shakes hands with the server, in memory: it must
    be valid now, fit for a server, and belong to the key. Raises ssl.SSLError."""
    trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    trusting.check_hostname = False
    trusting.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    trusting.load_verify_locations(certificate)
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    client, server = trusting.wrap_bio(back, there), context.wrap_bio(there, back, server_side=True)
    for side in (client, server, client):  # with TLS 1.3 the client is content then; it has no certificate to go on
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            continue
    shown = client.getpeercert() or {}
    return ssl.cert_time_to_seconds(str(shown["notAfter"]))


def _bytes(setting: str, tls: Tls) -> bytes:
    try:
        return getattr(tls, setting).read_bytes()  # type: ignore[no-any-return]
    except OSError as error:
        raise Refused(f"{_named(setting, tls)} cannot be read: {error.strerror}", reason="BadCertificate") from error


def _look_like_pem(files: Files, tls: Tls) -> None:
    """OpenSSL's own words for these would not say which file it is."""
    for setting, content, wanted in (
        ("certificate", files.certificate, b"-----BEGIN CERTIFICATE-----"),
        ("key", files.key, b"PRIVATE KEY-----"),
        ("client_ca", files.client_ca, b"-----BEGIN CERTIFICATE-----"),
    ):
        if wanted not in content:
            kind = "private key" if setting == "key" else "certificate"
            raise Refused(f"{_named(setting, tls)} holds no {kind} in PEM", reason="BadCertificate")
    if b"ENCRYPTED" in files.key:
        raise Refused(f"{_named('key', tls)} is encrypted: hexa needs it without a passphrase", reason="BadCertificate")


def _named(setting: str, tls: Tls) -> str:
    key = "clientCa" if setting == "client_ca" else setting
    return f"grpc.tls.{key} ({getattr(tls, setting)})"


def _words(error: ssl.SSLError) -> str:
    return (error.reason or str(error)).replace("_", " ").lower()


# --- clients ------------------------------------------------------------------------------------------------------------


def refusal(error: Exception) -> str:
    """Why a handshake failed, for people."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return _UNTRUSTED.get(error.verify_message, f"its certificate is not valid: {error.verify_message}")
    if isinstance(error, ssl.SSLError):
        return _REFUSALS.get(error.reason or "", f"the TLS handshake failed: {_words(error)}")
    if isinstance(error, ConnectionAbortedError):
        return "its TLS handshake takes too long"
    return "it hung up within the TLS handshake: does it trust hexa's certificate?"


def identities(certificate: Mapping[str, Any]) -> tuple[str, ...]:
    """Who a certificate says that its owner is: SPIFFE URIs, DNS names and CN."""
    alternatives = [str(name) for kind, name in certificate.get("subjectAltName", ()) if kind in ("URI", "DNS")]
    common = [str(value) for part in certificate.get("subject", ()) for key, value in part if key == "commonName"]
    return tuple(dict.fromkeys([*alternatives, *common]))


def _is(allowed: str, name: str) -> bool:
    """Names of hosts have no case; a wildcard in a certificate is nobody."""
    return allowed == name or ("://" not in allowed and allowed.lower() == name.lower())
