"""HTTP for drivers: one client, one table of foreign errors. httpx is imported here and in no driver."""

import logging
import ssl
from collections.abc import AsyncIterator, Callable, Generator, Mapping
from contextlib import asynccontextmanager
from functools import cache, lru_cache
from typing import Any, Final
from urllib.parse import urljoin, urlsplit

from msgspec import Struct

from hexa.adapters.power.bodies import json_of, text_of
from hexa.adapters.power.context import Context
from hexa.domain.errors import HexaError, causes
from hexa.domain.resources.power_spec import Tls
from hexa.imports import without

with without("httpx._main"):  # its command line
    import httpx

Auth = Callable[[], httpx.Auth | None]
"""Credentials as they are now, read for each question."""

IDLE: Final = 2.0
"""Seconds after which a silent connection is closed by us: devices close theirs soon, and one that is used as it closes breaks."""

BUSY: Final = (429, 503)
"""Statuses of a device that has no session free, or too much to do: iDRAC says so with 503."""

NEVER: Final = (405, 501)
"""Statuses that no waiting mends: it does not know the request."""

REDIRECTS: Final = (301, 302, 303, 307, 308)
KEEP_METHOD: Final = (307, 308)
HOPS: Final = 4
"""Redirects that are followed for one question."""

BODY: Final = 4 * 2**20
"""Bytes of an answer that are looked at: none of these devices has more to say."""


class Answer(Struct, frozen=True):
    """What came back."""

    status: int
    body: bytes
    headers: Mapping[str, str]

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300

    @property
    def text(self) -> str:
        return text_of(self.body)

    def json(self) -> Any:
        """The body; None if it is no JSON."""
        return json_of(self.body)


class Client:
    """Asks one device."""

    def __init__(self, client: httpx.AsyncClient, context: Context, *, auth: Auth, server_name: str) -> None:
        self._client = client
        self._context = context
        self._auth = auth
        self.hint = ""
        """What else may be done where the password is not taken."""
        self.nameless = False
        """Its settings name no Secret, so that it is told no password."""
        self._extensions = {"sni_hostname": server_name} if server_name else {}

    def with_auth(self, auth: Auth) -> "Client":
        """The same connection with other credentials."""
        other = Client(self._client, self._context, auth=auth, server_name="")
        other._extensions, other.nameless = self._extensions, self.nameless
        return other

    async def ask(self, method: str, path: str, *, json: Any = None, **more: Any) -> Answer:
        """The answer, whatever its status. Raises `Unavailable` where there is none, `Refused` for a certificate, a user or a
        password that is not taken, and for a redirect to somebody else."""
        return self.allowed(await self.exchange(method, path, json=json, **more))

    def allowed(self, answer: Answer) -> Answer:
        """The answer, unless it is that the user or the password is not taken."""
        if answer.status in (401, 403):
            raise self._denied(answer)
        return answer

    async def exchange(self, method: str, path: str, *, json: Any = None, **more: Any) -> Answer:
        """The same, where being denied is an answer too. Redirects are followed on the same scheme, host and port only, so that
        credentials go nowhere else."""
        target = self._own(path)
        for _ in range(HOPS):
            answer, asked = await self._once(method, target, json=json, **more)
            onward = self._onward(method, asked, answer)
            if not onward:
                return answer
            target = self._own(onward)
            more.pop("params", None)  # they are in the new target, if they are to be
        raise self._context.unavailable(
            f"it redirects {HOPS} times and more", "open its address in a browser", reason="DeviceError"
        )

    async def _once(self, method: str, target: str, **more: Any) -> tuple[Answer, str]:
        """The answer, and the URL that was asked."""
        auth = more.pop("auth", None) or self._auth()
        try:
            async with self._client.stream(method, target, auth=auth, extensions=self._extensions, **more) as response:
                body = b""
                async for piece in response.aiter_bytes():
                    body += piece
                    if len(body) > BODY:
                        break
                return Answer(response.status_code, body, response.headers), str(response.url)
        except (httpx.HTTPError, httpx.InvalidURL, httpx.CookieConflict, ssl.SSLError) as error:
            raise self._ours(error) from None  # the request in it has the credentials
        except (KeyError, NotImplementedError, UnicodeError):  # of Digest, about what the device wants of it
            raise self._odd_login() from None

    def _onward(self, method: str, asked: str, answer: Answer) -> str:
        """Where the same question belongs; empty: nowhere else. A request that changes something is repeated only where the device
        says that it keeps its method, or where a slash at the end was all that was missing."""
        location = answer.headers.get("location", "")
        if answer.status not in REDIRECTS or not location:
            return ""
        try:
            onward = urljoin(asked, location)
            same = urlsplit(onward).path == urlsplit(asked).path + "/" and answer.status != 303
        except ValueError:
            return ""
        return onward if method == "GET" or answer.status in KEEP_METHOD or same else ""

    def _own(self, target: str) -> str:
        """The target, if it is the device's. Raises `Refused` for one at another scheme, host or port."""
        if "://" not in target:
            return target
        try:
            own, other = (_origin(each) for each in (str(self._client.base_url), target))
        except ValueError:
            own, other = "", ""
        if not own or own != other:
            where = self._context.quoted(other) or "something that is no URL"
            what = f"it redirects to {where}, and credentials are sent to its own address only"
            raise self._context.refused(what, "write the address that it should be asked at", reason="Redirected")
        return target

    def odd(self, answer: Answer, doing: str) -> HexaError:
        """An answer that is no success, or not understood: it may be another one soon, but for requests that it does not know."""
        what = f"{doing} was answered by {_kind(answer)}{self._context.quoted(said(answer.json()))}"
        if answer.status in BUSY:
            return self._context.unavailable(
                what, "try again later, and close sessions that nobody uses", reason="Busy"
            )
        if answer.status >= 500 and answer.status not in NEVER:
            return self._context.unavailable(what, "try again later, and look at its own log", reason="DeviceError")
        remedy = "look whether it is the kind of device that the settings say"
        if answer.status in NEVER:
            return self._context.refused(what, remedy, reason="BadAnswer")
        return self._context.unavailable(what, f"it may still be starting: wait, then {remedy}", reason="DeviceError")

    def _denied(self, answer: Answer) -> HexaError:
        words = self._context.quoted(said(answer.json()))
        if answer.status == 403:
            what, remedy = f"the user is not allowed to do this{words}", "give it the right on the device"
            return self._context.refused(what, remedy, reason="Forbidden")
        if self.nameless:
            what, remedy = f"it wants a user and a password{words}", "put them into a Secret and name it by secretName"
            return self._context.refused(what, remedy, reason="BadCredentials")
        remedy = "correct the Secret that secretName names" + self.hint
        return self._context.refused(f"the user or the password is wrong{words}", remedy, reason="BadCredentials")

    def _odd_login(self) -> HexaError:
        what, remedy = "it asks for a login of a kind that is not known", "update its firmware, or look at its settings"
        return self._context.unavailable(what, remedy, reason="DeviceError")

    def _ours(self, error: Exception) -> HexaError:
        context, tls = self._context, _tls_error(error)
        if type(error) is httpx.ProtocolError:  # of Digest, about a challenge that lacks a part
            return self._odd_login()
        if isinstance(error, httpx.TimeoutException):
            return context.silent()
        if isinstance(tls, ssl.SSLCertVerificationError):
            remedy = "put its certificate into the key ca.crt of the Secret that tls.caSecretName names, or correct tls.serverName"
            what = f"its certificate is not taken ({tls.verify_message.rstrip('.')})"
            return context.refused(what, remedy, reason="BadCertificate")
        if tls is not None:
            remedy = "look whether it speaks TLS on this port: its address may have to begin with http://"
            return context.refused("there is no TLS connection to it", remedy, reason="NoTls")
        if isinstance(error, httpx.InvalidURL | httpx.UnsupportedProtocol):
            return context.refused("its address is no URL", 'write it like "https://bmc-01.lan"', reason="BadAddress")
        if isinstance(error, httpx.ConnectError):
            remedy = "check its address, its network and its power"
            return context.unavailable("no connection to it", remedy, reason="Unreachable")
        return context.unavailable("the connection broke off", "try again", reason="BrokenConnection")


@asynccontextmanager
async def open_client(context: Context, base: str, *, tls: Tls, auth: Auth) -> AsyncIterator[Client]:
    """A client of one device. Raises `Refused` for an address or certificates that can't be used."""
    verify = _verify(context, tls) if base.startswith("https:") else _unchecked()
    async with httpx.AsyncClient(
        base_url=base,
        verify=verify,
        timeout=context.patience,
        limits=httpx.Limits(keepalive_expiry=IDLE),
        trust_env=False,
        follow_redirects=False,
    ) as client:
        yield Client(client, context, auth=auth, server_name=tls.server_name)


def base_url(context: Context, address: str, *, scheme: str) -> str:
    """The address as a URL. Raises `Refused` for one that is none, or has a password in it."""
    url = address if "://" in address else f"{scheme}://{address}"
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
        secret = bool(parts.username or parts.password)
        httpx.URL(url).host.encode("idna")  # ValueError: no name of a host
    except (ValueError, httpx.InvalidURL):
        usable, secret = False, False
    if secret:
        remedy = "put them into a Secret and name it by secretName"
        raise context.at(context.driver).refused("its address has credentials in it", remedy, reason="BadAddress")
    if not usable:
        raise context.refused("its address is no URL", f'write it like "{scheme}://device-01.lan"', reason="BadAddress")
    return url.rstrip("/")


def basic(context: Context, secret: str, *, user: str = "") -> Auth:
    """User and password by the Basic scheme; `user` where the Secret names none."""

    def auth() -> httpx.Auth | None:
        return httpx.BasicAuth(*credentials(context, secret, user=user)) if secret else None

    return auth


def digest(context: Context, secret: str, *, user: str = "") -> Auth:
    """User and password by the Digest scheme."""

    def auth() -> httpx.Auth | None:
        return httpx.DigestAuth(*credentials(context, secret, user=user)) if secret else None

    return auth


def bearer(context: Context, secret: str, *, otherwise: Auth) -> Auth:
    """The key token of the Secret as a bearer token; without it, what comes otherwise."""

    def auth() -> httpx.Auth | None:
        token = context.secret(secret, "token")
        return Header("Authorization", f"Bearer {token}") if token else otherwise()

    return auth


class Header(httpx.Auth):
    """One header with each request."""

    def __init__(self, name: str, value: str) -> None:
        self._name, self._value = name, value

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        request.headers[self._name] = self._value
        yield request


NOBODY: Final = httpx.Auth()
"""No credentials at all."""


class _NoQueries(logging.Filter):
    """Leaves out of httpx's log what stands in the query of a URL: a password, for plugs that take it nowhere else."""

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple):
            record.args = tuple(
                each.copy_with(query=None) if isinstance(each, httpx.URL) else each for each in record.args
            )
        return True


logging.getLogger("httpx").addFilter(_NoQueries())


def credentials(context: Context, secret: str, *, user: str = "") -> tuple[str, str]:
    """User and password of a Secret as they are now. Raises `Refused` where one is missing."""
    name = (context.secret(secret, "username") if user else context.needed(secret, "username")) or user
    password = context.needed(secret, "password")
    context.spoken.add(f"{name}:{password}")  # as the Basic scheme has it
    return name, password


def _verify(context: Context, tls: Tls) -> ssl.SSLContext:
    if tls.insecure_skip_verify:
        return _unchecked()
    certificates = context.needed(tls.ca_secret_name, "ca.crt") if tls.ca_secret_name else ""
    try:
        return _trust(certificates)
    except ssl.SSLError:
        where = f"the key ca.crt of Secret {tls.ca_secret_name}"
        raise context.refused(f"{where} holds no certificate", "write it as PEM", reason="BadSecret") from None


@lru_cache(maxsize=256)
def _trust(certificates: str) -> ssl.SSLContext:
    """Made once, for making one takes longer than asking a controller. Empty: the system's certificates."""
    trust = ssl.create_default_context(cadata=certificates or None)
    if certificates:
        trust.verify_flags &= ~ssl.VERIFY_X509_STRICT  # controllers' own certificates seldom keep all rules
    return trust


@cache
def _unchecked() -> ssl.SSLContext:
    trust = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    trust.check_hostname, trust.verify_mode = False, ssl.CERT_NONE
    return trust


def _tls_error(error: BaseException | None) -> ssl.SSLError | None:
    """What TLS said, somewhere below the client's own error."""
    return next((each for each in causes(error) if isinstance(each, ssl.SSLError)), None)


def _origin(url: str) -> str:
    """Scheme, host and port. Raises `ValueError` for what is no URL."""
    parts = urlsplit(url)
    if not parts.hostname:
        raise ValueError(url)
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}:{parts.port or {'http': 80, 'https': 443}.get(parts.scheme)}"


def _kind(answer: Answer) -> str:
    """What came back, in words."""
    if answer.status in REDIRECTS:
        return f"status {answer.status}, a redirect to another address"
    if not answer.ok:
        return f"status {answer.status}"
    if not answer.body.strip():
        return f"an empty body (status {answer.status})"
    return f"{'something else' if answer.json() is not None else 'no JSON'} (status {answer.status})"


def said(body: Any) -> str:
    """The device's own words of an error, where they are few."""
    error = body.get("error") if isinstance(body, dict) else None
    extended = error.get("@Message.ExtendedInfo") if isinstance(error, dict) else None
    messages = extended if isinstance(extended, list) else []
    texts = [each.get("Message") for each in messages if isinstance(each, dict)]
    text = next(filter(None, texts), error.get("message") if isinstance(error, dict) else "")
    return f' ("{text.strip().rstrip(".")}")' if isinstance(text, str) and 0 < len(text) < 300 else ""
