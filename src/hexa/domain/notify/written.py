"""Receivers of notifications as people write them in the configuration, and what is wrong with one.

A receiver without a usable address or template is left out, and the others are told. An event and a quiet time that make no sense
are left out alone: in doubt a person is told.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from ipaddress import ip_address
from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

from msgspec import Meta, Struct, field

from hexa.domain.notify.events import KINDS, LEVELS, Event, Level
from hexa.domain.notify.receiver import Quiet, Receiver
from hexa.domain.notify.template import FORM, JSON, TemplateError, check
from hexa.domain.policy.problem import Problem
from hexa.domain.spelling import suggestion
from hexa.domain.weekly import Window, window_of, zone_of

MOST: Final = 50
"""Receivers."""
LONGEST: Final = 20_000
"""Characters of a template."""
JSON_BODY: Final = (
    '{"event": "{what}", "state": "{state}", "severity": "{severity}", "title": "{title}", "why": "{why}", '
    '"namespace": "{namespace}", "machine": "{machine}", "group": "{group}", "time": "{time}", "id": "{id}"}'
)
"""What a webhook without a body is sent."""
TEXT_BODY: Final = "{text}"
"""The same of other content types, and of e-mail."""
SUBJECT: Final = "{title}"
PORTS: Final[Mapping[str, int]] = {"starttls": 587, "tls": 465, "none": 25}
_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,63}", re.ASCII)
_TOKEN: Final = frozenset("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
"""Characters of a header's name."""
_OURS: Final = frozenset({"host", "content-length", "transfer-encoding", "connection", "content-type"})


class Written(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Base: camelCase, and no key that is not known."""


class WrittenFile(Written, frozen=True, kw_only=True):
    """A value that is in a file, such as a mounted Secret."""

    file: str


class WrittenWindow(Written, frozen=True, kw_only=True):
    """Each week, on these days (all, if there are none), from one time to another."""

    days: tuple[str, ...] = ()
    start: str = field(name="from", default="00:00")
    end: str = field(name="to", default="24:00")


class WrittenQuiet(Written, frozen=True, kw_only=True):
    """When only what is critical is told."""

    windows: tuple[WrittenWindow, ...] = ()
    zone: str = "UTC"


class WrittenSmtp(Written, frozen=True, kw_only=True):
    """A mail server."""

    host: str
    port: Annotated[int, Meta(ge=0, le=65535)] = 0
    """0: that of the security: 587, 465 or 25."""
    security: Literal["starttls", "tls", "none"] = "starttls"
    username: str = ""
    password_file: str = ""
    sender: str = field(name="from", default="")
    to: tuple[str, ...] = ()
    subject: str = SUBJECT


class WrittenReceiver(Written, frozen=True, kw_only=True):
    """Who is told: a webhook (`url` or `urlFile`) or, with `smtp`, mail addresses."""

    name: str
    url: str = ""
    url_file: str = ""
    """A file that holds the URL, where that is a secret."""
    method: Literal["POST", "PUT"] = "POST"
    headers: dict[str, str | WrittenFile] = field(default_factory=dict)
    content_type: str = ""
    body: str = ""
    ca_file: str = ""
    """Certificates that the server's is signed by, PEM; empty: those of the system."""
    smtp: WrittenSmtp | None = None
    events: tuple[str, ...] = ()
    """Empty: those that are told by default."""
    min_severity: Level = Level.INFO
    quiet_hours: WrittenQuiet = WrittenQuiet()

    def __repr__(self) -> str:
        """Without what may be a secret."""
        return f"<WrittenReceiver {self.name}>"


def receivers_of(written: Iterable[WrittenReceiver]) -> tuple[tuple[Receiver, ...], tuple[Problem, ...]]:
    """The receivers that can be told, and what is wrong with these and the others."""
    found, problems, names = list[Receiver](), list[Problem](), set[str]()
    for number, each in enumerate(written):
        where = f"notify[{number}]"
        wrong = list(_fatal(where, each))
        if each.name in names:
            wrong.append(Problem(f"{where}.name", f"{each.name!r} is the name of another receiver", "give it its own"))
        if number >= MOST:
            wrong.append(Problem(where, f"there are more than {MOST} receivers", "leave some out"))
        names.add(each.name)
        problems += (*wrong, *_of_events(where, each.events), *_of_quiet(f"{where}.quietHours", each.quiet_hours))
        if not wrong:
            found.append(_receiver(each))
    return tuple(found), tuple(problems)


def _receiver(written: WrittenReceiver) -> Receiver:
    smtp = written.smtp
    content_type = _content_type(written)
    default = JSON_BODY if JSON.match(content_type) else TEXT_BODY
    events = frozenset(Event(each) for each in written.events if each in KINDS) or frozenset(
        event for event, kind in KINDS.items() if kind.asked
    )
    return Receiver(
        name=written.name,
        events=events,
        least=LEVELS.index(written.min_severity),
        quiet=_quiet(written.quiet_hours),
        content_type=content_type,
        body=written.body or default,
        subject=smtp.subject if smtp is not None else "",
    )


def _content_type(written: WrittenReceiver) -> str:
    return written.content_type or ("application/json" if written.smtp is None else "text/plain; charset=utf-8")


def _window(written: WrittenWindow) -> Window:
    return window_of(written.days, written.start, written.end)


def _quiet(written: WrittenQuiet) -> Quiet:
    """What of it makes sense. Without a zone nobody knows when it is."""
    windows = list[Window]()
    for each in written.windows:
        with suppress(ValueError):
            windows.append(_window(each))
    with suppress(ValueError):
        return Quiet(tuple(windows), zone_of(written.zone))
    return Quiet()


# --- what is wrong ----------------------------------------------------------------------------------


def _fatal(where: str, written: WrittenReceiver) -> Iterator[Problem]:
    """Why it cannot be told."""
    if not _NAME.fullmatch(written.name):
        remedy = "give it a short name, of letters a to z, digits, - and _"
        yield Problem(f"{where}.name", f"{written.name[:63]!r} is no name of a receiver", remedy)
    if written.smtp is None:
        yield from _of_webhook(where, written)
    else:
        yield from _of_mail(where, written, written.smtp)
    yield from _of_templates(where, written)


def _of_webhook(where: str, written: WrittenReceiver) -> Iterator[Problem]:
    if bool(written.url) == bool(written.url_file):
        text = "it has no address" if not written.url else "it has both url and urlFile"
        yield Problem(f"{where}.url", text, "set one of url, urlFile and smtp")
    if written.url and (wrong := url_problem(written.url)):
        yield Problem(f"{where}.url", wrong, 'write one such as "https://ntfy.example.com/", or name a file by urlFile')
    for name, value in written.headers.items():
        yield from _of_header(f"{where}.headers.{name[:60]}", name, value)


def url_problem(url: str) -> str:
    """Why it cannot be sent to; empty: it can. The URL may be a secret, and is not quoted."""
    try:
        parts = urlsplit(url)
        usable_url = parts.scheme in ("http", "https") and _is_host(parts.hostname or "") and parts.port != 0
    except ValueError:
        return "it is no URL"
    if not usable_url or not url.isprintable() or " " in url:
        return "it is no URL of http or https"
    if parts.username or parts.password:
        return "it has a user or a password in it: put them into a header Authorization from a file"
    try:
        check(url, fields={"id": ""})
    except TemplateError as error:
        return f"{error}; an address may have {{id}} only"
    return ""


def _of_header(where: str, name: str, value: str | WrittenFile) -> Iterator[Problem]:
    if not name or not set(name) <= _TOKEN:
        yield Problem(where, f"{name[:60]!r} is no name of a header", "write one such as Authorization")
    elif name.lower() in _OURS:
        yield Problem(where, "hexa sets this header itself", "leave it out (contentType is a key of the receiver)")
    if isinstance(value, str) and not (value.isprintable() and value.isascii()):
        yield Problem(where, "its value has characters that no header may have", "write it in ASCII, on one line")
    elif isinstance(value, WrittenFile) and not value.file:
        yield Problem(where, "it names no file", "write {file: PATH}")


def _of_mail(where: str, written: WrittenReceiver, smtp: WrittenSmtp) -> Iterator[Problem]:
    if written.url or written.url_file or written.headers:
        yield Problem(f"{where}.smtp", "it has an address or headers of a webhook too", "make two receivers of it")
    if not _is_host(smtp.host):
        yield Problem(
            f"{where}.smtp.host",
            f"{smtp.host[:60]!r} is no host",
            "write one such as mail.example.com; the port is a key",
        )
    for key, addresses in (("from", (smtp.sender,)), ("to", smtp.to or ("",))):
        for address in addresses:
            if not _is_address(address):
                text = f"{address[:60]!r} is no mail address"
                yield Problem(f"{where}.smtp.{key}", text, "write one such as hexa@example.com")
    if bool(smtp.username) != bool(smtp.password_file):
        missing = "passwordFile" if smtp.username else "username"
        yield Problem(f"{where}.smtp.{missing}", "is not set", "username and passwordFile go together, or neither")
    if smtp.username and smtp.security == "none":
        text = "the password would travel in plain text"
        yield Problem(f"{where}.smtp.security", text, "write starttls or tls, or leave username out")
    if JSON.match(written.content_type) or FORM.match(written.content_type):
        yield Problem(f"{where}.contentType", "a mail is a text", "write text/plain or text/html, or leave it out")


def _is_host(text: str) -> bool:
    """Whether a name or an address can be looked up that is written so."""
    try:
        ip_address(text.partition("%")[0])
    except ValueError:
        with suppress(UnicodeError):  # a part between dots that is empty, or longer than 63
            return bool(text.encode("idna")) and text.isprintable() and not set(text) & set("/ @:")
        return False
    return text.isprintable()


def _is_address(text: str) -> bool:
    name, at, host = text.rpartition("@")
    plain = text.isascii() and text.isprintable() and not set(text) & set(' ,;<>"()\\')
    return bool(name and at and host) and plain and "=?" not in text and len(text) <= 254


def _of_templates(where: str, written: WrittenReceiver) -> Iterator[Problem]:
    content_type = _content_type(written)
    if not (content_type.isascii() and content_type.isprintable() and "/" in content_type):
        yield Problem(f"{where}.contentType", "it is no content type", "write one such as application/json")
        return
    templates = {f"{where}.body": (written.body, content_type)}
    if written.smtp is not None:
        templates[f"{where}.smtp.subject"] = (written.smtp.subject, "")
    for key, (template, of_type) in templates.items():
        if len(template) > LONGEST:
            yield Problem(key, f"it is longer than {LONGEST} characters", "shorten it")
        elif template:
            try:
                check(template, content_type=of_type)
            except TemplateError as error:
                yield Problem(key, str(error), "correct the template (docs/notify.md has one for each service)")


def _of_events(where: str, events: Iterable[str]) -> Iterator[Problem]:
    for number, name in enumerate(events):
        if name not in KINDS:
            near = suggestion(name, list(Event))
            remedy = f"did you mean {near}?" if near else f"write some of {', '.join(Event)}."
            text = f"there is no event {name[:60]!r}"
            yield Problem(f"{where}.events[{number}]", text, f"{remedy} It is left out until then")


def _of_quiet(where: str, quiet: WrittenQuiet) -> Iterator[Problem]:
    try:
        zone_of(quiet.zone)
    except ValueError as error:
        yield Problem(f"{where}.zone", str(error), "there are no quiet hours until then")
    for number, each in enumerate(quiet.windows):
        try:
            _window(each)
        except ValueError as error:
            yield Problem(f"{where}.windows[{number}]", str(error), "it is left out until then")
