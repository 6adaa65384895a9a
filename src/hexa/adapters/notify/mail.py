"""E-mail, by the standard library's smtplib in a thread: it is the one well-kept SMTP client that needs no asyncio.

A thread cannot be cancelled, so each receiver has one of its own at most, each step of it has a timeout, and when the caller gives
up its socket is closed.
"""

import smtplib
import socket
import ssl
from contextlib import suppress
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Final

import trio

from hexa.adapters.notify.files import value_in
from hexa.adapters.notify.trust import trust_of
from hexa.domain.errors import HexaError, Refused, Unavailable
from hexa.domain.notify.letter import Letter
from hexa.domain.notify.written import PORTS, WrittenReceiver, WrittenSmtp
from hexa.ports.clock import Clock

TIMEOUT: Final = 10.0
"""Seconds for each step of the conversation; who calls bounds the whole."""


class Mail:
    """`ports.notify.Courier` of one receiver."""

    def __init__(self, written: WrittenReceiver, smtp: WrittenSmtp, *, clock: Clock) -> None:
        self._written, self._smtp, self._clock = written, smtp, clock
        self._one: Final = trio.CapacityLimiter(1)

    def __repr__(self) -> str:
        return f"<Mail of {self._written.name}>"

    async def deliver(self, letter: Letter) -> str:
        smtp = self._smtp
        password = await value_in("smtp.passwordFile", smtp.password_file) if smtp.username else ""
        trust = await trust_of(self._written.ca_file) if smtp.security != "none" else None
        talk = Talk(smtp, trust, password, _message(smtp, letter, self._clock))
        try:
            return await trio.to_thread.run_sync(talk.run, abandon_on_cancel=True, limiter=self._one)
        finally:
            talk.cut()


class Talk:
    """One conversation, in a thread."""

    def __init__(self, smtp: WrittenSmtp, trust: ssl.SSLContext | None, password: str, message: EmailMessage) -> None:
        self._smtp, self._trust, self._password, self._message = smtp, trust, password, message
        self._server: smtplib.SMTP | None = None
        self._is_cut = False

    def __repr__(self) -> str:
        return "<Talk>"

    def run(self) -> str:
        """Hold it. Raises `Unavailable` and `Refused`."""
        smtp = self._smtp
        server = self._server = _server(smtp, self._trust)
        try:
            self._connect(server)
            if smtp.security == "starttls":
                server.starttls(context=self._trust)
            if smtp.username:
                server.login(smtp.username, self._password)
            left = server.send_message(self._message, from_addr=smtp.sender, to_addrs=list(smtp.to))
            with suppress(OSError):  # the message is taken by now
                server.quit()
        except (OSError, ValueError) as error:
            raise _ours(error) from None  # what a server says may repeat what it was told
        finally:
            server.close()
        if left:
            raise Refused(f"taken for {len(smtp.to) - len(left)} of {len(smtp.to)} addresses", reason="NotTaken")
        return "taken by the mail server"

    def cut(self) -> None:
        """End it, wherever it is: a thread that waits for the server goes on at once, with an error."""
        self._is_cut = True
        sock = self._server.sock if self._server is not None else None
        if sock is not None:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def _connect(self, server: smtplib.SMTP) -> None:
        smtp = self._smtp
        vars(server)["_host"] = (
            smtp.host
        )  # the name that the certificate must have: smtplib asks for it before it connects
        server.connect(smtp.host, smtp.port or PORTS[smtp.security])
        if self._is_cut:
            raise TimeoutError


def _server(smtp: WrittenSmtp, trust: ssl.SSLContext | None) -> smtplib.SMTP:
    """One that is not connected yet. Looks up this computer's name, and so may block."""
    return smtplib.SMTP_SSL(timeout=TIMEOUT, context=trust) if smtp.security == "tls" else smtplib.SMTP(timeout=TIMEOUT)


def _message(smtp: WrittenSmtp, letter: Letter, clock: Clock) -> EmailMessage:
    message = EmailMessage()
    message["Subject"] = "".join(each if each.isprintable() else " " for each in letter.subject) or "hexa"
    message["From"], message["To"] = smtp.sender, ", ".join(smtp.to)
    message["Date"] = format_datetime(clock.now())
    message["Message-ID"] = f"<{letter.id}@hexa>"
    subtype = "html" if letter.content_type.lower().startswith("text/html") else "plain"
    message.set_content(letter.body.encode(errors="replace").decode(), subtype=subtype)
    return message


def _ours(error: Exception) -> HexaError:
    match error:
        case smtplib.SMTPAuthenticationError():
            return Refused("the user or the password is not taken", reason="BadCredentials")
        case UnicodeEncodeError():
            return Refused("the user or the password has characters that no login takes", reason="BadCredentials")
        case smtplib.SMTPNotSupportedError():
            return Refused("it offers no such thing: look at smtp.security and smtp.username", reason="NotSupported")
        case smtplib.SMTPRecipientsRefused() | smtplib.SMTPSenderRefused():
            codes = _codes(error)
            text = f"it does not take the sender or an address ({', '.join(map(str, codes))})"
            return Unavailable(text, reason="Later") if codes and max(codes) < 500 else Refused(text, reason="NotTaken")
        case smtplib.SMTPResponseException():
            text = f"it answers {error.smtp_code}"
            return Refused(text, reason="NotTaken") if error.smtp_code >= 500 else Unavailable(text, reason="Later")
        case ssl.SSLCertVerificationError():
            why = error.verify_message.rstrip(".")
            return Refused(f"its certificate is not taken ({why}): see caFile", reason="BadCertificate")
        case TimeoutError():
            return Unavailable(f"no answer within {TIMEOUT:g} s", reason="Silent")
        case ssl.SSLError():
            return Refused("there is no TLS connection to it: look at smtp.port and smtp.security", reason="NoTls")
        case OSError():
            return Unavailable("no connection to it, or it broke off", reason="Unreachable")
        case _:
            return Unavailable("what it says is no SMTP", reason="BrokenConnection")


def _codes(error: smtplib.SMTPException) -> list[int]:
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return [code for code, _ in error.recipients.values()]
    return [error.smtp_code] if isinstance(error, smtplib.SMTPResponseException) else []
