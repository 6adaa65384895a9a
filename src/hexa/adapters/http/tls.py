"""The certificate of the port as an SSLContext, read again when its files change. It knows neither HTTP nor connections.

What is wrong with a file is named with its setting, and keys are never quoted.
"""

import logging
import ssl
from collections.abc import Callable
from contextlib import suppress
from typing import Final

import trio

from hexa.adapters.http.config import Files
from hexa.domain.errors import Refused

log = logging.getLogger(__name__)

LOOK_EVERY: Final = 10.0
"""Seconds between two looks at the files."""


class Credentials:
    """The context that new connections get. Connections that stand keep theirs."""

    def __init__(self, files: Files, seen: bytes, context: ssl.SSLContext) -> None:
        self._files = files
        self._seen = seen
        self._refused = ""
        self._told: Callable[[float], None] = lambda ends: None
        self.context = context

    async def on_loaded(self, told: Callable[[float], None]) -> None:
        """Call `told(ends)` with the end of the certificate, in seconds since 1970, now and when another one is taken."""
        self._told = told
        await self._tell()

    async def _tell(self) -> None:
        end = await trio.to_thread.run_sync(end_of, self.context, self._files)
        if end is not None:
            self._told(end)

    async def watch(self) -> None:
        """Look at the files now and then; never returns. What nobody foresaw of them is logged, and the old ones go on."""
        while True:
            await trio.sleep(LOOK_EVERY)
            try:
                await self.look()
            except Exception:
                log.exception("the certificate of the HTTP port cannot be read again")

    async def look(self) -> None:
        """Take changed files if they are good; else tell it once, and go on with what was loaded."""
        try:
            seen = await trio.to_thread.run_sync(read, self._files)
            if seen == self._seen:
                return
            context = await trio.to_thread.run_sync(load, self._files)
            if await trio.to_thread.run_sync(read, self._files) == seen:  # else they change just now: the next look
                self._seen, self.context, self._refused = seen, context, ""
                log.info("the certificate of the HTTP port was read again: new connections use it")
                await self._tell()
        except Refused as error:
            self._refuse(str(error))

    def _refuse(self, why: str) -> None:
        if self._refused != why:
            log.error("the new certificate of the HTTP port is not used, the old one goes on: %s", why)
        self._refused = why


async def open_credentials(files: Files) -> Credentials:
    """What the files hold now. Raises Refused where they cannot be used."""
    seen = await trio.to_thread.run_sync(read, files)
    return Credentials(files, seen, await trio.to_thread.run_sync(load, files))


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
    """When the certificate ends: a client that trusts just this one shakes hands with the server, in memory. None: it is not valid
    now, and clients say so."""
    trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    trusting.check_hostname = False
    trusting.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    try:
        trusting.load_verify_locations(files.certificate)
        client, server = trusting.wrap_bio(back, there), context.wrap_bio(there, back, server_side=True)
        for side in (client, server, client):
            with suppress(ssl.SSLWantReadError):
                side.do_handshake()
    except (ssl.SSLError, OSError):
        return None
    shown = client.getpeercert() or {}
    return ssl.cert_time_to_seconds(str(shown["notAfter"])) if "notAfter" in shown else None


def _bytes(setting: str, files: Files) -> bytes:
    try:
        return (files.key if setting == "key" else files.certificate).read_bytes()
    except OSError as error:
        raise Refused(f"{_named(setting, files)} cannot be read: {error.strerror}", reason=BAD) from error


def _named(setting: str, files: Files) -> str:
    return f"http.tls.{setting} ({files.key if setting == 'key' else files.certificate})"
