"""Mutual TLS for the gRPC server: the files as an SSLContext, read again when they change, and who a client is.

It knows neither gRPC nor connections. What is wrong with a file is named with the setting, and keys are never quoted.
"""

import logging
import ssl
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from msgspec import Struct

from hexa.adapters.externalgrpc.config import Tls
from hexa.domain.errors import Refused
from hexa.serving.handshake import proved_until
from hexa.serving.watched import Watched, Words, look_again

log = logging.getLogger(__name__)

LOOK_EVERY: Final = 10.0
"""Seconds between two looks at the files; kubelet itself takes up to a minute or two to bring a changed Secret."""
EXPIRES_SOON: Final = 30 * 86_400.0
"""Seconds before the end of the server's certificate from which it is told, once a day."""
_DAY: Final = 86_400.0
WORDS: Final = Words(
    taken="gRPC certificates were read again: new connections use them",
    refused="new gRPC certificates are not used, the old ones go on serving",
    unreadable="the files of grpc.tls",
)

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

    def __init__(self, tls: Tls) -> None:
        self._tls = tls
        self._warned = 0.0
        self._told: Callable[[float], None] = lambda ends: None
        self._watched: Watched[Files, Loaded] = Watched(
            read=lambda: read(self._tls), load=lambda: load(self._tls), words=WORDS, unfit=lambda loaded: loaded.doubt
        )

    async def open(self) -> None:
        """Load the files. Raises Refused where they cannot be used."""
        await self._watched.open()
        self._warn()

    def on_loaded(self, told: Callable[[float], None]) -> None:
        """Call `told(ends)` with the end of the certificate, in seconds since 1970, now and when another one is taken."""
        self._told = told
        self._tell()

    def _tell(self) -> None:
        if self._watched.loaded.expires is not None:
            self._told(self._watched.loaded.expires)

    @property
    def context(self) -> ssl.SSLContext:
        return self._watched.loaded.context

    def barred(self, certificate: Mapping[str, Any]) -> str:
        """Why a client with this certificate, which `client_ca` signed, may not call; empty if it may."""
        names = identities(certificate)
        if not self._tls.clients or any(_is(allowed, name) for allowed in self._tls.clients for name in names):
            return ""
        shown = ", ".join(names[:10]) or "nobody"
        return f"its certificate names {shown}, and none of that is among grpc.tls.clients"

    async def watch(self) -> None:
        """Look at the files now and then; never returns."""
        await look_again(self.look, every=LOOK_EVERY, what="the certificates of gRPC")

    async def look(self) -> None:
        """Take changed files if they are good; else tell it once, and go on with what was loaded."""
        if await self._watched.look():
            self._warned = 0.0
            self._tell()
        self._warn()

    def _warn(self) -> None:
        """Tell, once a day, that clients will soon not take the certificate any more."""
        now = time.time()
        loaded = self._watched.loaded
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
    credentials = Credentials(tls)
    await credentials.open()
    return credentials


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
        return Loaded(context, proved_until(context, tls.certificate))
    except ssl.SSLCertVerificationError as error:
        return Loaded(context, None, f"{_named('certificate', tls)}: {error.verify_message}")
    except ssl.SSLError as error:
        raise Refused(
            f"{_named('certificate', tls)} cannot be used: {_words(error)}", reason="BadCertificate"
        ) from error


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
