"""E-mail in a real conversation on a socket: it is sent as it should be, and a server that hangs or refuses costs one message."""

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from email import message_from_bytes, policy
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest
import trio
from tests.adapters.notify.certificates import certificates

from hexa.adapters.notify.adapter import courier_of
from hexa.adapters.system.clock import SystemClock
from hexa.app import notifier
from hexa.app.notifier import deliver
from hexa.domain.errors import HexaError, Refused, Unavailable
from hexa.domain.notify.letter import Letter
from hexa.domain.notify.written import WrittenReceiver
from hexa.ports.notify import Courier

LETTER = Letter(
    id="life-mail-7",
    subject="hexa: böx is lost",
    body="hexa: böx is lost\n.\nQUIT\n",
    content_type="text/plain; charset=utf-8",
)
PASSWORD = "pl4nted-p4ss"


class Server:
    """A mail server of one conversation at a time."""

    def __init__(self, trust: ssl.SSLContext | None = None, **answers: str) -> None:
        self.trust, self.answers = trust, answers
        """Answers by command, in place of a success."""
        self.heard: list[str] = []
        self.mails: list[bytes] = []

    async def talk(self, stream: Any) -> None:
        """Answer until QUIT, or until the other side has gone."""
        with suppress(trio.BrokenResourceError, trio.ClosedResourceError, ssl.SSLError):
            await self._talk(stream)

    async def _talk(self, stream: Any) -> None:
        self.buffer = b""
        await stream.send_all(b"220 mail.lan ESMTP\r\n")
        while (line := await self._line(stream)) is not None:
            verb = line.split(" ")[0].upper()
            self.heard.append(line)
            answer = self.answers.get(verb) or self._answer(verb)
            await stream.send_all(answer.encode() + b"\r\n")
            if verb == "STARTTLS" and answer.startswith("220") and self.trust is not None:
                stream = trio.SSLStream(stream, self.trust, server_side=True, https_compatible=True)
            elif verb == "DATA" and answer.startswith("354"):
                await self._data(stream)
            elif verb == "QUIT":
                return

    def _answer(self, verb: str) -> str:
        offers = "250-mail.lan\r\n250-STARTTLS\r\n250 AUTH PLAIN LOGIN"
        known = {"EHLO": offers, "STARTTLS": "220 go", "AUTH": "235 ok", "DATA": "354 go", "QUIT": "221 bye"}
        return known.get(verb, "250 ok")

    async def _data(self, stream: Any) -> None:
        lines = []
        while (line := await self._line(stream)) not in (".", None):
            lines.append((line or "").removeprefix("."))
        self.mails.append("\r\n".join(lines).encode("latin-1"))
        await stream.send_all(self.answers.get("END", "250 taken").encode() + b"\r\n")

    async def _line(self, stream: Any) -> str | None:
        while b"\r\n" not in self.buffer:
            piece = await stream.receive_some(4096)
            if not piece:
                return None
            self.buffer += piece
        line, _, self.buffer = self.buffer.partition(b"\r\n")
        return line.decode("latin-1")


@asynccontextmanager
async def served(talk: Any) -> AsyncIterator[int]:
    """A server that talks so; its port."""

    async def until_gone(stream: trio.SocketStream) -> None:
        with suppress(trio.BrokenResourceError):
            await talk(stream)

    async with trio.open_nursery() as nursery:
        [listener] = await nursery.start(partial(trio.serve_tcp, until_gone, 0, host="127.0.0.1"))
        yield listener.socket.getsockname()[1]
        nursery.cancel_scope.cancel()


def mail(port: int, *, ca_file: str = "", **smtp: Any) -> Courier:
    """The courier of a receiver that is written so."""
    whole = {
        "host": "127.0.0.1",
        "port": port,
        "security": "none",
        "from": "hexa@example.com",
        "to": ["me@example.com", "you@example.com"],
    }
    written = msgspec.convert({"name": "mail", "smtp": {**whole, **smtp}, "caFile": ca_file}, WrittenReceiver)
    return courier_of(written, clock=SystemClock())


async def test_a_mail_arrives_as_it_was_written() -> None:
    """Subject, addresses, umlauts, and a line with a dot; sent again it has the same id."""
    server = Server()
    async with served(server.talk) as port:
        with trio.fail_after(10):
            assert await mail(port).deliver(LETTER) == "taken by the mail server"
            await mail(port).deliver(LETTER)
    first, second = (message_from_bytes(each, policy=policy.default) for each in server.mails)
    assert (first["Subject"], first["From"], first["To"]) == (
        "hexa: böx is lost",
        "hexa@example.com",
        "me@example.com, you@example.com",
    )
    assert first.get_content().splitlines() == LETTER.body.splitlines()  # type: ignore[attr-defined]
    assert first["Message-ID"] == second["Message-ID"] == "<life-mail-7@hexa>"
    assert [each for each in server.heard if each.lower().startswith("rcpt")][:2] == [
        "rcpt TO:<me@example.com>",
        "rcpt TO:<you@example.com>",
    ]


async def test_a_password_travels_by_tls_alone(tmp_path: Path) -> None:
    """With STARTTLS and a CA of one's own the user logs in; without STARTTLS, or by another certificate, no password is sent."""
    secret = tmp_path / "password"
    secret.write_text(f"{PASSWORD}\n")
    more: dict[str, Any] = {"security": "starttls", "username": "me", "passwordFile": str(secret)}
    trust, ca_file = certificates(tmp_path)
    server = Server(trust)
    async with served(server.talk) as port:
        with trio.fail_after(10):
            await mail(port, ca_file=ca_file, **more).deliver(LETTER)
            assert [each.split(" ")[0].upper() for each in server.heard][:4] == ["EHLO", "STARTTLS", "EHLO", "AUTH"]
            server.heard.clear()
            with pytest.raises(Refused, match="its certificate is not taken"):
                await mail(port, **more).deliver(LETTER)
    assert "AUTH" not in str(server.heard)
    server = Server(EHLO="250 mail.lan")
    async with served(server.talk) as port:
        with trio.fail_after(10), pytest.raises(Refused, match="it offers no such thing"):
            await mail(port, ca_file=ca_file, **more).deliver(LETTER)
    assert "AUTH" not in str(server.heard)


@pytest.mark.parametrize(
    ("answers", "error", "says"),
    [
        ({"EHLO": "500 what", "HELO": "500 what"}, Refused, "it answers 500"),
        ({"MAIL": "451 later"}, Unavailable, "does not take the sender"),
        ({"RCPT": "450 greylisted"}, Unavailable, "does not take the sender or an address (450, 450)"),
        ({"RCPT": f"550 no {PASSWORD}"}, Refused, "(550, 550)"),
        ({"DATA": "554 no"}, Refused, "it answers 554"),
        ({"END": "452 full"}, Unavailable, "it answers 452"),
        ({"END": "not a number"}, Unavailable, ""),
    ],
)
async def test_what_a_server_refuses_is_said(answers: dict[str, str], error: type[HexaError], says: str) -> None:
    """By its code, and never in its words: it may repeat what it was told."""
    async with served(Server(**answers).talk) as port:
        with trio.fail_after(10), pytest.raises(error) as raised:
            await mail(port).deliver(LETTER)
    assert type(raised.value) is error
    assert says in str(raised.value)
    assert PASSWORD not in str(raised.value)


async def test_a_password_that_no_login_takes_is_said_and_not_tried_again(tmp_path: Path) -> None:
    """SMTP's logins take ASCII: another password never works, however often it is sent."""
    (secret := tmp_path / "password").write_text("pässword")
    trust, ca_file = certificates(tmp_path)
    more: dict[str, Any] = {"security": "starttls", "username": "me", "passwordFile": str(secret), "ca_file": ca_file}
    async with served(Server(trust).talk) as port:
        with trio.fail_after(10), pytest.raises(Refused, match="the user or the password has characters"):
            await mail(port, **more).deliver(LETTER)


async def test_a_server_that_fails_after_it_took_a_mail_has_it() -> None:
    """What is taken is not sent twice because the goodbye fails."""
    server = Server(QUIT="421 gone")
    async with served(server.talk) as port:
        with trio.fail_after(10):
            assert await mail(port).deliver(LETTER) == "taken by the mail server"
    assert len(server.mails) == 1


async def test_a_server_that_hangs_is_given_up_and_holds_no_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that says nothing, one that drips and one that closes cost a bounded time; the next mail is not behind them."""
    monkeypatch.setattr(notifier, "PATIENCE", 0.3)

    async def hang(stream: trio.SocketStream) -> None:
        await trio.sleep_forever()

    async def drip(stream: trio.SocketStream) -> None:
        while True:
            await stream.send_all(b"2")
            await trio.sleep(0.05)

    async def close(stream: trio.SocketStream) -> None:
        await stream.aclose()

    for talk in (hang, drip, close):
        async with served(talk) as port:
            courier = mail(port)
            with trio.fail_after(5):
                for _ in range(2):
                    with pytest.raises(Unavailable):
                        await deliver(courier, LETTER)
    with pytest.raises(Unavailable, match="no connection"):
        await mail(1).deliver(LETTER)
