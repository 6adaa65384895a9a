"""The certificate of the port as an SSLContext, read again when its files change. It knows neither HTTP nor connections.

What is wrong with a file is named with its setting, and keys are never quoted.
"""

import logging
import ssl
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
        self.context = context

    async def watch(self) -> None:
        """Look at the files now and then; never returns."""
        while True:
            await trio.sleep(LOOK_EVERY)
            await self.look()

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
    return context


BAD: Final = "BadCertificate"


def _bytes(setting: str, files: Files) -> bytes:
    try:
        return (files.key if setting == "key" else files.certificate).read_bytes()
    except OSError as error:
        raise Refused(f"{_named(setting, files)} cannot be read: {error.strerror}", reason=BAD) from error


def _named(setting: str, files: Files) -> str:
    return f"http.tls.{setting} ({files.key if setting == 'key' else files.certificate})"
