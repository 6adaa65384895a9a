"""Webhooks on real sockets: whoever answers, hangs, refuses, redirects or floods costs one message and learns no secret."""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
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

LETTER = Letter(id="life-me-1", subject="s", body='{"text": "ünï\\ud800"}', content_type="application/json")
TOKEN = "pl4nted-t0ken"
Talk = Callable[[trio.SocketStream], Awaitable[object]]


def webhook(url: str, **written: Any) -> Courier:
    """The courier of a receiver that is written so."""
    whole = msgspec.convert({"name": "me", "url": url, **written}, WrittenReceiver)
    return courier_of(whole, clock=SystemClock())


async def request_of(stream: trio.abc.Stream) -> bytes:
    """A whole request."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += await stream.receive_some(4096)
    head, _, body = data.partition(b"\r\n\r\n")
    length = next(
        int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")
    )
    while len(body) < length:
        body += await stream.receive_some(4096)
    return head + b"\r\n\r\n" + body


async def answers(heard: list[bytes], answer: bytes, stream: trio.abc.Stream) -> None:
    """A server that answers each request so."""
    async with stream:
        heard.append(await request_of(stream))
        await stream.send_all(answer)


@asynccontextmanager
async def served(talk: Talk) -> AsyncIterator[str]:
    """A server that talks so; its URL, which has a secret."""

    async def until_gone(stream: trio.SocketStream) -> None:
        with suppress(trio.BrokenResourceError):
            await talk(stream)

    async with trio.open_nursery() as nursery:
        [listener] = await nursery.start(partial(trio.serve_tcp, until_gone, 0, host="127.0.0.1"))
        yield f"http://127.0.0.1:{listener.socket.getsockname()[1]}/hook/{TOKEN}"
        nursery.cancel_scope.cancel()


def reply(status: str, *headers: str, body: str = "") -> bytes:
    """An answer."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers]
    return ("\r\n".join(lines) + f"\r\n\r\n{body}").encode()


async def test_a_letter_is_posted_with_its_headers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Headers come from the configuration and from files, which are read each time; proxies of the environment are not asked."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    heard, secret = list[bytes](), tmp_path / "token"
    secret.write_text(f"Bearer {TOKEN}\n")
    async with served(partial(answers, heard, reply("204 No Content"))) as url:
        courier = webhook(
            url + "/{id}", method="PUT", headers={"Authorization": {"file": str(secret)}, "X-Tag": "hexa"}
        )
        assert await courier.deliver(LETTER) == "status 204"
        secret.write_text("Bearer another")
        await courier.deliver(LETTER)
    first, second = (each.decode() for each in heard)
    assert first.startswith(f"PUT /hook/{TOKEN}/life-me-1 HTTP/1.1\r\n")
    assert f"Authorization: Bearer {TOKEN}\r\n" in first
    assert "X-Tag: hexa\r\n" in first
    assert "Content-Type: application/json\r\n" in first
    assert first.endswith(LETTER.body)
    assert "Authorization: Bearer another\r\n" in second


@pytest.mark.parametrize(
    ("answer", "error", "says"),
    [
        (reply("500 Oh"), Unavailable, "status 500"),
        (reply("503 Later", body=TOKEN), Unavailable, "status 503"),
        (reply("429 Slowly"), Unavailable, "status 429"),
        (reply("401 Who"), Refused, "status 401: look at its token"),
        (reply("404 Where", body=TOKEN), Refused, "status 404: look at its address"),
        (reply("302 There", "Location: http://127.0.0.1:1/inner"), Refused, "a redirect, and none is followed"),
        (reply("307 There", f"Location: http://169.254.169.254/{TOKEN}"), Refused, "a redirect, and none is followed"),
        (b"SSH-2.0-OpenSSH_9.7\r\n", Unavailable, "no HTTP"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"a" * 2_000_000, Unavailable, "no HTTP"),
        (b"", Unavailable, "broke off"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: -7\r\n\r\n", Unavailable, "no HTTP"),
        (b"\x15\x03\x01\x00\x02\x02\x28", Unavailable, "no HTTP"),
    ],
)
async def test_what_is_no_success_is_an_error_without_secrets(
    answer: bytes, error: type[HexaError], says: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A redirect is not followed, wherever it leads; no error and no log line has URL, header, or what the server says."""
    caplog.set_level(logging.DEBUG)
    heard = list[bytes]()
    async with served(partial(answers, heard, answer)) as url:
        with trio.fail_after(10), pytest.raises(error) as raised:
            await webhook(url, headers={"Authorization": f"Bearer {TOKEN}"}).deliver(LETTER)
    assert type(raised.value) is error
    assert says in str(raised.value)
    assert len(heard) == 1
    assert TOKEN not in f"{raised.value!r} {raised.value.__cause__!r} {caplog.text}"


async def test_an_endless_answer_is_cut_off() -> None:
    """A success is a success, however much follows it, and little of it is read."""
    sent = 0

    async def flood(stream: trio.SocketStream) -> None:
        nonlocal sent
        await request_of(stream)
        await stream.send_all(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n")
        while True:
            await stream.send_all(b"x" * 65_536)
            sent += 65_536

    async with served(flood) as url:
        with trio.fail_after(10):
            assert await webhook(url).deliver(LETTER) == "status 200"
    assert sent < 32 * 2**20


async def test_a_server_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that takes the request and never answers, and one that drips its answer, cost a bounded time."""
    monkeypatch.setattr(notifier, "PATIENCE", 0.3)

    async def hang(stream: trio.SocketStream) -> None:
        await trio.sleep_forever()

    async def drip(stream: trio.SocketStream) -> None:
        while True:
            await stream.send_all(b"H")
            await trio.sleep(0.05)

    for talk in (hang, drip):
        async with served(talk) as url:
            with trio.fail_after(5), pytest.raises(Unavailable):
                await deliver(webhook(url), LETTER)


async def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    """The setting and the file are named, and what is in it is not; nothing is sent."""
    bad = tmp_path / "bad"
    bad.write_text(f"Bearer {TOKEN}\r\nX-Evil: 1")
    ca = tmp_path / "ca.crt"
    ca.write_text(TOKEN)
    for more, says in (
        ({"headers": {"A": {"file": str(tmp_path / "none")}}}, "headers.A"),
        ({"headers": {"A": {"file": str(bad)}}}, "headers.A has characters"),
        ({"url": "https://127.0.0.1:1/", "caFile": str(ca)}, "holds no certificate"),
        ({"url": "https://127.0.0.1:1/", "caFile": str(tmp_path)}, "caFile"),
        ({"url": "", "urlFile": str(bad)}, "urlFile"),
    ):
        with pytest.raises(Refused) as raised:
            await webhook(**{"url": "http://127.0.0.1:1/", **more}).deliver(LETTER)
        assert says in str(raised.value)
        assert TOKEN not in str(raised.value)


async def test_nobody_there_is_said() -> None:
    """A port that nobody listens on may be listened on later."""
    with pytest.raises(Unavailable, match="no connection to it"):
        await webhook("http://127.0.0.1:1/").deliver(LETTER)


async def test_a_certificate_of_ones_own_is_taken_by_its_ca_alone(tmp_path: Path) -> None:
    """With `caFile` the server is believed; without it nothing is sent."""
    trust, ca_file = certificates(tmp_path)
    heard = list[bytes]()

    async def talk(stream: trio.SocketStream) -> None:
        secure = trio.SSLStream(stream, trust, server_side=True, https_compatible=True)
        with suppress(trio.BrokenResourceError):
            await answers(heard, reply("200 OK"), secure)

    async with served(talk) as url:
        url = url.replace("http:", "https:")
        assert await webhook(url, caFile=ca_file).deliver(LETTER) == "status 200"
        assert await webhook(url.replace("https", "HTTPS"), caFile=ca_file).deliver(LETTER) == "status 200"
        with pytest.raises(Refused, match="its certificate is not taken"):
            await webhook(url).deliver(LETTER)
    assert len(heard) == 2
