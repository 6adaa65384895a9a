"""Webhooks: one request for each letter, on a connection of its own.

Redirects are not followed, so that nobody is sent to an inner address with our headers; proxies of the environment are not used;
of an answer only the head is read. URL and headers may be secrets: no error has them, nor what came back.
"""

import logging
import ssl
from contextvars import ContextVar
from typing import Final

from msgspec import Struct

from hexa.adapters.notify.files import value_in
from hexa.adapters.notify.trust import trust_of
from hexa.domain.errors import HexaError, Refused, Unavailable, causes
from hexa.domain.notify.letter import Letter
from hexa.domain.notify.written import WrittenFile, WrittenReceiver, url_problem
from hexa.imports import without

with without("httpx._main"):  # its command line
    import httpx

TIMEOUT: Final = 10.0
"""Seconds for each of connecting, sending, and a piece of the answer; who calls bounds the whole."""
LATER: Final = frozenset({408, 425, 429})
"""Statuses below 500 after which the same request may work."""
AGENT: Final = "hexa"

_quiet: Final = ContextVar("_quiet", default=False)


class _Quiet(logging.Filter):
    """httpx logs URLs."""

    def filter(self, record: logging.LogRecord) -> bool:
        return not _quiet.get()


for _name in ("httpx", "httpcore.connection", "httpcore.http11", "httpcore.proxy"):
    logging.getLogger(_name).addFilter(_Quiet())


class Webhook(Struct, frozen=True):
    """`ports.notify.Courier` of one URL."""

    written: WrittenReceiver

    def __repr__(self) -> str:
        return f"<Webhook of {self.written.name}>"

    async def deliver(self, letter: Letter) -> str:
        url = (await self._url()).replace("{id}", letter.id)
        headers = {"User-Agent": AGENT, "Content-Type": letter.content_type, **await self._headers()}
        trust = (
            await trust_of(self.written.ca_file)
            if url.lower().startswith("https:")
            else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        )
        token = _quiet.set(True)
        try:
            async with (
                httpx.AsyncClient(verify=trust, timeout=TIMEOUT, trust_env=False, follow_redirects=False) as client,
                client.stream(
                    self.written.method, url, headers=headers, content=letter.body.encode(errors="replace")
                ) as response,
            ):
                return _judged(response.status_code)
        except (
            httpx.HTTPError,
            httpx.InvalidURL,
            httpx.CookieConflict,
            ssl.SSLError,
            UnicodeError,
            ValueError,
        ) as error:
            raise _ours(error) from None  # the request in it has the secrets
        finally:
            _quiet.reset(token)

    async def _url(self) -> str:
        if not self.written.url_file:
            return self.written.url
        url = await value_in("urlFile", self.written.url_file)
        if wrong := url_problem(url):
            raise Refused(f"what urlFile ({self.written.url_file}) holds: {wrong}", reason="BadFile")
        return url

    async def _headers(self) -> dict[str, str]:
        found: dict[str, str] = {}
        for name, value in self.written.headers.items():
            text = await value_in(f"headers.{name}", value.file) if isinstance(value, WrittenFile) else value
            if not (text.isascii() and text.isprintable()):
                raise Refused(f"headers.{name} has characters that no header may have", reason="BadFile")
            found[name] = text
        return found


def _judged(status: int) -> str:
    """What the status means, in a few words. Raises `Unavailable` and `Refused`."""
    if 200 <= status < 300:
        return f"status {status}"
    if 300 <= status < 400:
        text = f"status {status}, a redirect, and none is followed: write the address that it leads to"
        raise Refused(text, reason="Redirected")
    if status >= 500 or status in LATER:
        raise Unavailable(f"status {status}", reason="ServerError")
    hints = {
        401: ": look at its token",
        403: ": look at its token",
        404: ": look at its address",
        400: ": look at its body",
    }
    raise Refused(f"status {status}{hints.get(status, '')}", reason="NotTaken")


def _ours(error: Exception) -> HexaError:
    tls = _tls_error(error)
    if isinstance(error, httpx.TimeoutException):
        return Unavailable(f"no answer within {TIMEOUT:g} s", reason="Silent")
    if isinstance(tls, ssl.SSLCertVerificationError):
        return Refused(
            f"its certificate is not taken ({tls.verify_message.rstrip('.')}): see caFile", reason="BadCertificate"
        )
    if tls is not None:
        return Unavailable("there is no TLS connection to it", reason="NoTls")
    if isinstance(error, httpx.ConnectError):
        return Unavailable("no connection to it", reason="Unreachable")
    if isinstance(error, httpx.HTTPError):
        return Unavailable("the connection broke off, or what came is no HTTP", reason="BrokenConnection")
    return Refused("its address or a header cannot be used", reason="BadAddress")


def _tls_error(error: BaseException | None) -> ssl.SSLError | None:
    return next((each for each in causes(error) if isinstance(each, ssl.SSLError)), None)
