"""The HTTP port on real sockets: what clients that are slow, large, many or mad can do to it, and what they are told."""

import json
import logging
import random
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route
from trio.testing import MockClock

from hexa.adapters.http import connection, limits, server, tls
from hexa.adapters.http.app import Parts, caller_of, make_app
from hexa.adapters.http.auth import Door, Judge
from hexa.adapters.http.config import Files
from hexa.adapters.memory.clock import MemoryClock
from hexa.adapters.memory.cluster.api import MemoryApi
from hexa.adapters.memory.ports.kube import MemoryKube
from hexa.adapters.x509.adapter import X509Issuer
from hexa.domain.errors import Refused
from hexa.ports.certificates import Owner, Pair, Usage

TOKEN = "pl4nted.bearer.t0ken"
KNOWN = {"authorization": f"Bearer {TOKEN}"}

pytestmark = pytest.mark.filterwarnings("error::ResourceWarning")


async def name(request: Request) -> Response:
    """Who asks, and how long the body is."""
    return Response(f"{caller_of(request).name} {len(await request.body())}")


async def fail(_: Request) -> Response:
    """A defect of ours."""
    raise ZeroDivisionError("inner matters")


async def hang(_: Request) -> Response:
    """An answer that does not come."""
    await trio.sleep_forever()
    raise AssertionError


class Endless:
    """More than any buffer on the way holds."""

    def __aiter__(self) -> "Endless":
        return self

    async def __anext__(self) -> bytes:
        return b"x" * 65_536


async def flood(_: Request) -> Response:
    """An answer without an end."""
    return StreamingResponse(Endless())


async def greet(_: Request) -> Response:
    """A file of the page."""
    return Response("hello")


async def scraped(_: str) -> tuple[bytes, str]:
    """A metric."""
    return b"hexa_up 1\n", "text/plain; version=0.0.4"


def application() -> Any:
    """With paths of each kind."""
    kube = MemoryKube(MemoryApi(MemoryClock()))
    kube.tokens[TOKEN] = {"username": "somebody"}
    guarded = [Route("/name", name, methods=["GET", "POST"]), Route("/fail", fail), Route("/hang", hang)]
    return make_app(
        Parts(
            door=Door(Judge(kube, places=list, tell=lambda _: None)),
            ready=lambda: True,
            open=(Route("/", greet), Route("/flood", flood)),
            guarded=tuple(guarded),
            metrics=scraped,
        )
    )


@asynccontextmanager
async def serving(**settings: Any) -> AsyncIterator[tuple[str, int]]:
    """Host and port of a running server; it ends within a second whatever its clients do."""
    async with trio.open_nursery() as nursery:
        bound = await nursery.start(partial(server.serve, application(), **{"address": "127.0.0.1:0", **settings}))
        host, _, port = bound.rpartition(":")
        yield host, int(port)
        nursery.cancel_scope.cancel()
        nursery.cancel_scope.deadline = trio.current_time()
        ended = trio.current_time()
    assert trio.current_time() - ended < 1


async def raw(address: tuple[str, int], sent: bytes) -> bytes:
    """All that a client hears that sends this and waits."""
    async with await trio.open_tcp_stream(*address) as stream:
        await stream.send_all(sent)
        heard = b""
        with trio.fail_after(5):
            while more := await stream.receive_some(65_536):
                heard += more
    return heard


def client(address: tuple[str, int], **settings: Any) -> httpx.AsyncClient:
    """A client of that server."""
    return httpx.AsyncClient(base_url=f"http://{address[0]}:{address[1]}", **settings)


GARBAGE = {
    b"\x00\xff\x13garbage\r\n\r\n": (400, "this is not HTTP/1.1"),
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n": (400, "this is not HTTP/1.1"),
    b"GET / HTTP/1.1\r\n\r\n": (400, "this is not HTTP/1.1"),  # no Host
    b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n": (400, "this is not HTTP/1.1"),
    b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 20_000: (431, "larger than 16384 bytes"),
    b"GET /" + b"a" * 20_000: (431, "larger than 16384 bytes"),
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -5\r\n\r\n": (400, "this is not HTTP/1.1"),
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n": (400, "this is not HTTP/1.1"),
    b"POST /name HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"0\r\n\r\nGET /livez HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n": (400, "this is not HTTP/1.1"),  # smuggled
    b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n": (501, "transfer coding"),
    b"POST /name HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999\r\n\r\n": (413, "larger than 65536 bytes"),
    b"POST /name HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999999\r\n\r\n": (400, "this is not HTTP/1.1"),
    b"PRI * HTTP/2.0\r\nHost: a\r\nConnection: close\r\n\r\n": (404, "no such path"),
    b"GET /../../etc/passwd HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n": (404, "no such path"),
    b"GET /%00%ff%2e%2e HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n": (404, "no such path"),
    b"BREW / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n": (405, "knows no BREW"),
    b"TRACE /livez HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n": (405, "knows no TRACE"),
}


async def test_garbage_is_answered_with_what_is_wrong_and_ends_one_keptalone(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Whatever bytes come, the client is told in a sentence, the log has a line for each kind, and everybody else is served."""
    async with serving() as address, client(address) as other:
        for sent, (status, said) in GARBAGE.items():
            head, _, body = (await raw(address, sent)).partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 %d " % status), (sent[:80], head[:80])
            assert b"nosniff" in head
            assert said in json.loads(body)["message"], sent[:80]
            assert (await other.get("/livez")).status_code == 200
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == [
        f"HTTP client 127.0.0.1: {connection.GARBAGE}"
    ]


async def test_no_other_protocol_is_changed_to(caplog: pytest.LogCaptureFixture) -> None:
    """HTTP/2 without TLS and WebSockets are not spoken: the request is answered as HTTP/1.1, and ends; with or without all that
    belongs to a WebSocket, and whatever is sent behind it."""
    head = "GET /livez HTTP/1.1\r\nHost: a\r\n"
    key = "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
    async with serving() as address:
        for asked in (
            "Upgrade: h2c\r\nHTTP2-Settings: AAAA\r\n",
            f"Upgrade: websocket\r\n{key}",
            "Upgrade: WebSocket\r\n",
        ):
            for kept, more in (("close, upgrade", b""), ("upgrade", b"\x81\x85\x00\x00\r\n\r\n")):
                heard = await raw(address, f"{head}Connection: {kept}\r\n{asked}\r\n".encode() + more)
                assert heard.startswith(b"HTTP/1.1 200 "), asked
    assert not [each for each in caplog.records if each.levelname == "ERROR"]


async def test_every_answer_has_the_headers_of_safety_and_says_what_is_wrong() -> None:
    """Pages, errors and probes alike: no scripts but ours, no frames, no sniffing, nothing kept by caches; no server's name."""
    async with serving() as address, client(address) as http:
        answers = {path: await http.get(path) for path in ("/", "/livez", "/readyz", "/nowhere", "/name", "/metrics")}
        known = {
            path: await http.get(path, headers=KNOWN) for path in ("/name", "/fail", "/metrics", "/nowhere/", "/name/")
        }
    assert [each.status_code for each in answers.values()] == [200, 200, 200, 404, 401, 401]
    assert [each.status_code for each in known.values()] == [200, 500, 200, 404, 404]
    assert (known["/name"].text, known["/metrics"].text) == ("somebody 0", "hexa_up 1\n")
    assert known["/fail"].json() == {
        "reason": "InternalError",
        "message": "hexa failed to answer this; its log says why",
    }
    for each in (*answers.values(), *known.values()):
        policy = each.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; script-src 'self'")
        assert "unsafe" not in policy
        assert limits.HEADERS.items() <= dict(each.headers).items()
        assert "server" not in each.headers
    assert answers["/name"].headers["www-authenticate"].startswith("Bearer")


async def test_of_two_tokens_none_counts() -> None:
    """A proxy on the way may have judged the other one: the request is refused, whichever of them is good."""
    good, wrong = f"Authorization: Bearer {TOKEN}\r\n", "Authorization: Bearer other\r\n"
    async with serving() as address:
        for path in ("/name", "/metrics"):
            for two in (good + wrong, wrong + good, good + good):
                heard = await raw(address, f"GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{two}\r\n".encode())
                assert heard.startswith(b"HTTP/1.1 400 "), (path, two)
                assert TOKEN.encode() not in heard


async def test_what_fails_in_a_handler_is_for_the_log_alone(caplog: pytest.LogCaptureFixture) -> None:
    """The log has the traceback, the client a sentence, and neither the token."""
    caplog.set_level(logging.DEBUG)
    async with serving() as address, client(address, headers=KNOWN) as http:
        answer = await http.get("/fail")
        assert (await http.get("/name")).status_code == 200
    assert "inner matters" in caplog.text
    assert "inner matters" not in answer.text
    assert TOKEN not in caplog.text


async def test_bodies_have_a_size() -> None:
    """65,536 bytes are read; more is refused at once where the length is told, and when it is too much where it is not."""
    async with serving() as address, client(address, headers=KNOWN) as http:
        assert (await http.post("/name", content=b"x" * 65_536)).text == "somebody 65536"
        for size in (65_537, 5_000_000):
            answer = await http.post("/name", content=b"x" * size)
            assert (answer.status_code, answer.json()["reason"]) == (413, "TooLarge")
        chunk = b"4000\r\n" + b"x" * 0x4000 + b"\r\n"
        head = f"POST /name HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {TOKEN}\r\nTransfer-Encoding: chunked\r\n\r\n"
        assert (await raw(address, head.encode() + chunk * 40)).startswith(b"HTTP/1.1 413 ")


async def test_slow_clients_are_cut_off_and_hold_up_nobody(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Headers by drops, bodies that do not end, answers that nobody takes: each ends at its limit, and the port ends at once."""
    monkeypatch.setattr(connection, "HEADERS_LIMIT", 0.3)
    monkeypatch.setattr(connection, "SEND_LIMIT", 0.3)
    monkeypatch.setattr(limits, "REQUEST_LIMIT", 0.3)

    async def drops(address: tuple[str, int]) -> bytes:
        async with await trio.open_tcp_stream(*address) as stream:
            heard = b""
            async with trio.open_nursery() as nursery:

                async def drip() -> None:
                    for byte in b"GET / HTTP/1.1\r\nHost: a\r\nX-Slow: " + b"a" * 1000:
                        await stream.send_all(bytes([byte]))
                        await trio.sleep(0.03)

                nursery.start_soon(drip)
                while more := await stream.receive_some(1000):
                    heard += more
                nursery.cancel_scope.cancel()
            return heard

    async with serving() as address, client(address) as http:
        assert (await drops(address)).startswith(b"HTTP/1.1 408 ")
        assert await raw(address, b"") == b""  # silence is closed without a word
        token = f"Authorization: Bearer {TOKEN}\r\n"
        body = f"POST /name HTTP/1.1\r\nHost: a\r\n{token}Content-Length: 9\r\n\r\nabc"
        assert (await raw(address, body.encode())).startswith(b"HTTP/1.1 408 ")
        hanging = f"GET /hang HTTP/1.1\r\nHost: a\r\n{token}\r\n"
        assert (await raw(address, hanging.encode())).startswith(b"HTTP/1.1 503 ")
        async with await trio.open_tcp_stream(*address) as greedy:
            await greedy.send_all(b"GET /flood HTTP/1.1\r\nHost: a\r\n\r\n")
            await trio.sleep(0.6)
            assert (await http.get("/livez")).status_code == 200
            assert connection.SLOW_READER in caplog.text
        async with await trio.open_tcp_stream(*address) as greedy:
            monkeypatch.setattr(connection, "SEND_LIMIT", 60)
            await greedy.send_all(b"GET /flood HTTP/1.1\r\nHost: a\r\n\r\n")
            await trio.sleep(0.2)


async def test_many_connections_leave_room_for_who_asks_something(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """At the limit those go first that have asked nothing, so that a flood of them locks nobody out."""
    monkeypatch.setattr(server, "MAX_CONNECTIONS", 5)
    async with serving() as address, client(address) as http:
        streams = [await trio.open_tcp_stream(*address) for _ in range(20)]
        hanging = await trio.open_tcp_stream(*address)
        await hanging.send_all(f"GET /hang HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {TOKEN}\r\n\r\n".encode())
        streams += [await trio.open_tcp_stream(*address) for _ in range(20)]
        assert (await http.get("/livez")).status_code == 200
        with trio.move_on_after(0.2) as waits:
            await hanging.receive_some(1)
        assert waits.cancelled_caught  # still under way
        for stream in (*streams, hanging):
            await stream.aclose()
    assert caplog.text.count(server.FULL) == 1


async def test_who_takes_all_connections_locks_nobody_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """At the limit, with a request under way on each connection, the oldest goes of the address that has most of them."""
    monkeypatch.setattr(server, "MAX_CONNECTIONS", 5)
    asked = f"GET /hang HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {TOKEN}\r\n\r\n".encode()
    async with serving() as address:
        other = await trio.open_tcp_stream(*address, local_address="127.0.0.2")
        await other.send_all(asked)
        streams = [await trio.open_tcp_stream(*address) for _ in range(4)]
        for stream in streams:
            await stream.send_all(asked)
        await trio.sleep(0.2)
        newcomer = await trio.open_tcp_stream(*address, local_address="127.0.0.2")
        await newcomer.send_all(b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n")
        assert b"200" in await newcomer.receive_some(1_000)
        with trio.fail_after(1):
            assert await streams[0].receive_some(1_000) == b""
        with trio.move_on_after(0.2) as waits:
            await other.receive_some(1)
        assert waits.cancelled_caught
        for stream in (*streams, other, newcomer):
            await stream.aclose()


async def test_a_loop_of_requests_has_its_pace_and_slows_down_nobody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of one address so many requests are answered a second; those of others are answered at once meanwhile."""
    monkeypatch.setattr(server, "REQUESTS", (5, 20.0))
    many = (
        b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n" * 24 + b"GET /livez HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    )
    async with serving() as address, trio.open_nursery() as nursery:
        begun = trio.current_time()

        async def loop() -> None:
            assert (await raw(address, many)).count(b"HTTP/1.1 200 ") == 25
            assert trio.current_time() - begun >= 0.9

        nursery.start_soon(loop)
        await trio.sleep(0.2)
        async with await trio.open_tcp_stream(*address, local_address="127.0.0.2") as other:
            await other.send_all(b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n")
            assert b"200" in await other.receive_some(1_000)
        assert trio.current_time() - begun < 0.8


# --- TLS --------------------------------------------------------------------------------------------------------------

NOW = datetime.now(UTC)
ISSUER = X509Issuer()
LIFE = {"starts": NOW - timedelta(days=1), "ends": NOW + timedelta(days=60)}


def authority() -> Pair:
    """A new CA."""
    return ISSUER.authority("test CA", **LIFE)


def write(folder: Path, by: Pair) -> Files:
    """A certificate for localhost by this CA, as two files."""
    pair = ISSUER.issue(by, Owner(name="hexa", dns=("localhost",), ips=("127.0.0.1",)), Usage.SERVER, **LIFE)
    files = Files(certificate=folder / "tls.crt", key=folder / "tls.key")
    files.certificate.write_text(pair.certificate)
    files.key.write_text(pair.key)
    return files


def trusting(by: Pair) -> ssl.SSLContext:
    """A client that believes this CA alone."""
    context = ssl.create_default_context()
    context.load_verify_locations(cadata=by.certificate)
    return context


async def status(address: tuple[str, int], by: Pair) -> int:
    """What a client that believes this CA gets."""
    async with httpx.AsyncClient(verify=trusting(by)) as http:
        return (await http.get(f"https://{address[0]}:{address[1]}/livez")).status_code


async def test_tls_is_spoken_and_a_new_certificate_is_taken_when_its_files_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """New connections show what the files hold now; files that cannot be used are told once, and the old ones go on. Who speaks
    no TLS is told off in the log. Whoever watches for the end of certificates is told of each that is taken."""
    monkeypatch.setattr(tls, "LOOK_EVERY", 0.05)
    before, after = authority(), authority()
    files = write(tmp_path, before)
    ends = list[float]()
    async with serving(files=files, on_certificate=ends.append) as address:
        assert await status(address, before) == 200
        assert await raw(address, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n") != b"HTTP/1.1 200"
        with pytest.raises(httpx.ConnectError):
            await status(address, after)
        files.key.write_text("broken")
        await trio.sleep(0.3)
        assert await status(address, before) == 200
        write(tmp_path, after)
        await trio.sleep(0.3)
        assert await status(address, after) == 200
    assert server.HANDSHAKE in caplog.text
    assert caplog.text.count("the old one goes on") == 1
    assert ends == pytest.approx([LIFE["ends"].timestamp()] * 2, abs=1)


async def test_a_certificate_that_vanishes_while_it_is_read_ends_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The old one goes on, and the new one is taken once it is there, whatever a look at the files has raised."""
    monkeypatch.setattr(tls, "LOOK_EVERY", 0.05)
    by = authority()
    files = write(tmp_path, by)
    read = tls.read

    def vanishes(files: Files) -> bytes:
        found = read(files)
        if b"vanishes" in found:
            files.certificate.unlink(missing_ok=True)
        if b"odd" in found:
            raise UnicodeError
        return found

    monkeypatch.setattr(tls, "read", vanishes)
    async with serving(files=files) as address:
        for text in ("vanishes", "odd"):
            files.certificate.write_text(text)
            await trio.sleep(0.3)
            assert await status(address, by) == 200
        write(tmp_path, authority())
        await trio.sleep(0.3)
        with pytest.raises(httpx.ConnectError):
            await status(address, by)
    assert f"http.tls.certificate ({files.certificate}) cannot be read: No such file" in caplog.text


async def test_plain_text_on_a_network_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    """`insecure` is taken at its word, and the log says at each start what it means; on the loopback there is nothing to say."""
    async with serving(address="0.0.0.0:0", insecure=True) as (_, port):
        assert (await raw(("127.0.0.1", port), b"GET /livez HTTP/1.0\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
    assert "WITHOUT TLS ON 0.0.0.0:" in caplog.text
    caplog.clear()
    async with serving():
        pass
    assert not caplog.text


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"address": "0.0.0.0:0"}, "can be reached from the network, and there is no TLS"),
        ({"address": "127.0.0.1:99999"}, "is not HOST:PORT"),
        ({"address": "192.0.2.1:0", "insecure": True}, "cannot listen on 192.0.2.1:0"),
        (
            {"files": Files(certificate=Path("/none/a"), key=Path("/none/b"))},
            "http.tls.certificate (/none/a) cannot be read",
        ),
    ],
    ids=["plain off the loopback", "port", "not ours", "no files"],
)
async def test_what_cannot_be_served_is_refused_with_the_remedy(settings: dict[str, Any], said: str) -> None:
    """Before anything is begun: by the setting's name."""
    with pytest.raises(Refused) as raised:
        await server.check(**{"address": "127.0.0.1:0", **settings})
    assert said in str(raised.value)


WHOLE = (
    f"POST /name?a=%ff HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {TOKEN}\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"
    "abcde"
    f"GET /name HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {TOKEN}\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
    "GET / HTTP/1.1\r\nHost: a\r\nConnection: close, upgrade\r\nUpgrade: h2c\r\nIf-None-Match: *\r\nRange: bytes=0-5\r\n\r\n"
).encode()


def bent(chance: random.Random) -> bytes:
    """Requests in which something is turned, cut, doubled or put in."""
    data = bytearray(WHOLE)
    for _ in range(chance.randint(1, 6)):
        at = chance.randrange(len(data))
        end = min(len(data), at + chance.choice((1, 2, 10, 80)))
        turn = chance.randrange(4)
        if turn == 0:
            data[at] = chance.randrange(256)
        elif turn == 1:
            del data[at : min(end, len(data) - 1)]
        elif turn == 2:
            data[at:at] = data[at:end] * chance.choice((1, 3))
        else:
            data[at:at] = chance.choice((b"\r\n", b"\x00", b": ", b"HTTP/2.0", b"%2e%2e/", "é".encode(), b"\r\n\r\n"))
    return bytes(data)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(6))
async def test_nothing_that_is_bent_fails_inside(
    seed: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Of requests that are nearly right, each is answered or refused: no handler and no connection fails by them."""
    monkeypatch.setattr(connection, "HEADERS_LIMIT", 0.5)
    monkeypatch.setattr(limits, "REQUEST_LIMIT", 0.5)
    monkeypatch.setattr(server, "REQUESTS", (5_000, 5_000.0))
    chance = random.Random(seed)
    async with serving() as address, trio.open_nursery() as nursery:
        room = trio.CapacityLimiter(20)

        async def send(sent: bytes) -> None:
            async with room:
                with suppress(trio.BrokenResourceError):
                    await raw(address, sent)

        for _ in range(500):
            nursery.start_soon(send, bent(chance))
    assert [each.getMessage() for each in caplog.records if each.levelno >= logging.ERROR] == []


async def test_an_answer_that_is_too_late_is_not_begun(autojump_clock: MockClock) -> None:
    """A handler that answers in the moment in which its time is over has said nothing: the client is told that, in one answer."""
    said = list[Any]()

    async def send(message: Any) -> None:
        await trio.lowlevel.checkpoint()
        said.append(message)

    async def late(scope: Any, receive: Any, send: Any) -> None:
        with trio.CancelScope(shield=True):
            await trio.sleep(2 * limits.REQUEST_LIMIT)
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    await limits.Limits(late)({"type": "http", "method": "GET", "path": "/", "headers": []}, receive, send)
    assert [each.get("status", each["type"]) for each in said] == [503, "http.response.body"]
