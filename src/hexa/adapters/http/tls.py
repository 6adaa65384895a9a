"""The certificate of the port as an SSLContext, read again when its files change. It knows neither HTTP nor connections.

What is wrong with a file is named with its setting, and keys are never quoted.
"""

import ssl
from collections.abc import Callable
from typing import Final

import trio

from hexa.adapters.http.config import Files
from hexa.domain.errors import Refused
from hexa.serving.handshake import proved_until
from hexa.serving.watched import Watched, Words, look_again

LOOK_EVERY: Final = 10.0
"""Seconds between two looks at the files."""
WORDS: Final = Words(
    taken="the certificate of the HTTP port was read again: new connections use it",
    refused="the new certificate of the HTTP port is not used, the old one goes on",
    unreadable="the files of http.tls",
)


class Credentials:
    """The context that new connections get. Connections that stand keep theirs."""

    def __init__(self, files: Files) -> None:
        self._files = files
        self._told: Callable[[float], None] = lambda ends: None
        self._watched: Watched[bytes, ssl.SSLContext] = Watched(
            read=lambda: read(self._files), load=lambda: load(self._files), words=WORDS
        )

    async def open(self) -> None:
        """Load the files. Raises Refused where they cannot be used."""
        await self._watched.open()

    @property
    def context(self) -> ssl.SSLContext:
        return self._watched.loaded

    async def on_loaded(self, told: Callable[[float], None]) -> None:
        """Call `told(ends)` with the end of the certificate, in seconds since 1970, now and when another one is taken."""
        self._told = told
        await self._tell()

    async def _tell(self) -> None:
        end = await trio.to_thread.run_sync(end_of, self.context, self._files)
        if end is not None:
            self._told(end)

    async def watch(self) -> None:
        """Look at the files now and then; never returns."""
        await look_again(self.look, every=LOOK_EVERY, what="the certificate of the HTTP port")

    async def look(self) -> None:
        """Take changed files if they are good; else tell it once, and go on with what was loaded."""
        if await self._watched.look():
            await self._tell()


async def open_credentials(files: Files) -> Credentials:
    """What the files hold now. Raises Refused where they cannot be used."""
    credentials = Credentials(files)
    await credentials.open()
    return credentials


def read(files: Files) -> bytes:
    """The bytes of both. Raises Refused."""
    return _bytes("certificate", files) + b"\0" + _bytes("key", files)


def load(files: Files) -> ssl.SSLContext:
    """A context of the files. Raises Refused."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    context.set_alpn_protocols(["http/1.1"])
    if b"ENCRYPTED" in _bytes("key", files):
        raise Refused(f"{_named('key', files)} is encrypted: hexa needs it without a passphrase", reason=BAD)
    try:
        context.load_cert_chain(files.certificate, files.key, password="")
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            text = f"{_named('key', files)} does not belong to {_named('certificate', files)}"
        else:
            words = (error.reason or str(error)).replace("_", " ").lower()
            text = f"{_named('certificate', files)} and {_named('key', files)} cannot be used: {words}"
        raise Refused(text, reason=BAD) from error
    except OSError as error:  # it was there a moment ago
        raise Refused(f"{_named('certificate', files)} cannot be read: {error.strerror}", reason=BAD) from error
    return context


BAD: Final = "BadCertificate"


def end_of(context: ssl.SSLContext, files: Files) -> float | None:
    """When the certificate ends. None: it is not valid now, and clients say so."""
    try:
        return proved_until(context, files.certificate)
    except (ssl.SSLError, OSError):
        return None


def _bytes(setting: str, files: Files) -> bytes:
    try:
        return (files.key if setting == "key" else files.certificate).read_bytes()
    except OSError as error:
        raise Refused(f"{_named(setting, files)} cannot be read: {error.strerror}", reason=BAD) from error


def _named(setting: str, files: Files) -> str:
    return f"http.tls.{setting} ({files.key if setting == 'key' else files.certificate})"
