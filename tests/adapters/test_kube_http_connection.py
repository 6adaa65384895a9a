"""What a user may rely on of requests to the API server: every answer that an API server or a proxy before it may give is
read whole, and whatever else comes is told as such and ends the connection."""

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any, Final

import httpcore
import pytest
import trio

from hexa.adapters.kube_http.answers import Answers
from hexa.adapters.kube_http.connection import Direct
from hexa.adapters.kube_http.exchange import Line

PATIENCE: Final = {"timeout": {"connect": 5.0, "read": 5.0, "write": 5.0}}

WHOLE: Final = {
    "length": (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", 200, b"hello"),
    "chunks": (
        b"HTTP/1.1 201 x\r\ntransfer-encoding: Chunked\r\n\r\n2\r\nhe\r\n3;a=b\r\nllo\r\n0\r\nt: 1\r\n\r\n",
        201,
        b"hello",
    ),
    "no body": (b"HTTP/1.1 204 No Content\r\n\r\n", 204, b""),
    "interim": (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 409 \r\ncontent-length:2\r\n\r\n{}", 409, b"{}"),
    "no reason": (b"HTTP/1.1 500\r\nContent-Length: 0\r\n\r\n", 500, b""),
    "two interim": (
        b"HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\nHTTP/1.1 104 x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na",
        200,
        b"a",
    ),
    "may upgrade": (b"HTTP/1.1 200 OK\r\nUpgrade: h2c\r\nConnection: Upgrade\r\nContent-Length: 1\r\n\r\na", 200, b"a"),
    "no body, with its length": (b"HTTP/1.1 304 x\r\nContent-Length: 5\r\n\r\n", 304, b""),
}
"""Bytes, code and body."""
LAST: Final = {
    "to the end": (b"HTTP/1.1 200 OK\r\n\r\nhello", b"hello"),
    "closes": (b"HTTP/1.1 200 OK\r\nConnection: Keep-Alive, Close\r\nContent-Length: 1\r\n\r\na", b"a"),
    "old": (b"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\na", b"a"),
    "more than said": (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nabc", b"a"),
    "more after its last": (b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\nabc", b"a"),
    "begins another": (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\naH", b"a"),
    "two answers": (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na" * 2, b"a"),
    "interim with a length, to the end": (
        b"HTTP/1.1 100 x\r\nContent-Length: 9\r\n\r\nHTTP/1.1 200 OK\r\n\r\nhello",
        b"hello",
    ),
    "interim, to the end": (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\nhello", b"hello"),
}
"""Bytes and body of answers after which the connection bears no other request."""
BROKEN: Final = {
    "not HTTP": b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
    "HTTP/2": b"HTTP/2 200\r\n\r\n",
    "HTTP/2.0": b"HTTP/2.0 200 OK\r\nContent-Length: 1\r\n\r\na",
    "upgraded": b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
    "upgraded to": b"HTTP/1.1 101 x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\nabc",
    "no code": b"HTTP/1.1 099 x\r\nContent-Length: 1\r\n\r\na",
    "long code": b"HTTP/1.1 2000 x\r\nContent-Length: 1\r\n\r\na",
    "interim only": b"HTTP/1.1 100 Continue\r\n\r\n",
    "cut head": b"HTTP/1.1 200 OK\r\nContent-",
    "cut body": b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello",
    "cut chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhello",
    "no size": b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
    "two sizes": b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    "a size twice": b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na",
    "sizes in one": b"HTTP/1.1 200 OK\r\nContent-Length: 0, 0\r\n\r\n",
    "empty size": b"HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\n",
    "endless size": b"HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551617\r\n\r\na",
    "size and chunks": b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n",
    "chunks and size": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n1\r\na\r\n0\r\n\r\n",
    "no chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nhello\r\n",
    "long chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nhello\r\n0\r\n\r\n",
    "size after chunks": b"HTTP/1.1 200 x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nContent-Length: 1\r\n\r\n",
    "endless chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10000000000000001\r\na\r\n0\r\n\r\n",
    "space after the size of a chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1 \r\na\r\n0\r\n\r\n",
    "chunks by line feeds": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\na\n0\n\n",
    "zipped": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n1\r\na\r\n0\r\n\r\n",
    "zipped to the end": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nhello",
    "chunked, then zipped": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, gzip\r\n\r\nhello",
    "line feeds": b"HTTP/1.1 200 OK\nContent-Length: 1\n\na",
    "space after a name": b"HTTP/1.1 200 OK\r\nContent-Length : 1\r\n\r\na",
    "zero in a value": b"HTTP/1.1 200 OK\r\nA: b\0\r\nContent-Length: 1\r\n\r\na",
    "no colon": b"HTTP/1.1 200 OK\r\nhello\r\n\r\n",
    "no name": b"HTTP/1.1 200 OK\r\n: hello\r\n\r\n",
    "folded": b"HTTP/1.1 200 OK\r\nA: b\r\n Content-Length: 1\r\n\r\na",
    "nothing": b"",
    "endless head": b"HTTP/1.1 200 OK\r\na: " + b"b" * 200_000,
    "endless interim": b"HTTP/1.1 100 Continue\r\n\r\n" * 10_000,
}


async def exchange(pieces: list[bytes], *, goes: bool = False, **request: Any) -> tuple[httpcore.Response, bool, bytes]:
    """The answer that comes in these pieces, whether the connection bears another request, and what was sent. `goes`: the server
    closes then."""
    got, answers, failed = bytearray(), list[tuple[httpcore.Response, bool]](), None

    async def serve(stream: trio.SocketStream) -> None:
        got.extend(await stream.receive_some())
        with suppress(trio.BrokenResourceError):  # the client has seen enough
            for piece in pieces:
                await stream.send_all(piece)
            if not goes:
                await stream.receive_some()

    async with served(serve) as origin:
        connection = Direct(origin, ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), kept=80.0, socket_options=())
        try:
            with trio.fail_after(5):
                answer = await connection.handle_async_request(asking(origin, **request))
                await answer.aread()
            answers.append((answer, connection.is_idle()))
        except httpcore.ProtocolError as error:
            failed = error
        await connection.aclose()
    if failed is not None:
        raise failed
    return *answers[0], bytes(got)


def fed(data: bytes) -> bytes:
    """The body of the answer that these bytes are."""
    answers = Answers()
    answers.feed(data)
    if not answers.whole:
        answers.feed(b"")
    return answers.take()[0].read()


@asynccontextmanager
async def served(serve: Callable[[trio.SocketStream], Awaitable[None]]) -> AsyncIterator[httpcore.Origin]:
    """A server."""
    async with trio.open_nursery() as nursery:
        listeners: list[trio.SocketListener] = await nursery.start(partial(trio.serve_tcp, serve, 0, host="127.0.0.1"))
        yield httpcore.Origin(b"http", b"127.0.0.1", listeners[0].socket.getsockname()[1])
        nursery.cancel_scope.cancel()


def asking(origin: httpcore.Origin, **request: Any) -> httpcore.Request:
    """A request."""
    url = httpcore.URL(scheme=b"http", host=origin.host, port=origin.port, target=b"/a")
    return httpcore.Request("PATCH", url, extensions=PATIENCE, **request)


@pytest.mark.parametrize("kind", WHOLE)
async def test_an_answer_is_read_whole_however_it_is_cut(kind: str) -> None:
    """Where the network cuts an answer in two does not matter; the connection serves again."""
    data, code, body = WHOLE[kind]
    for cut in range(1, len(data), 4):
        answer, stays, _ = await exchange([data[:cut], data[cut:]])
        assert (answer.status, answer.content, stays) == (code, body, True)


@pytest.mark.parametrize("kind", WHOLE)
def test_an_answer_that_is_cut_short_is_none(kind: str) -> None:
    """Wherever the connection ends before the last byte, there is an error and no shorter list."""
    data, _, body = WHOLE[kind]
    for cut in range(len(data)):
        answers = Answers()
        if cut:
            answers.feed(data[:cut])
        with pytest.raises(httpcore.RemoteProtocolError, match="whole"):
            answers.feed(b"")
        assert not answers.whole
    assert fed(data) == body


@pytest.mark.parametrize("data", [answer[0] for answer in (*WHOLE.values(), *LAST.values())])
def test_an_answer_is_the_same_byte_by_byte(data: bytes) -> None:
    """What was received at once decides nothing."""
    bytewise = Answers()
    for at in range(len(data)):
        if not bytewise.whole:
            bytewise.feed(data[at : at + 1])
    if not bytewise.whole:
        bytewise.feed(b"")
    assert bytewise.take()[0].read() == fed(data)


@pytest.mark.parametrize("kind", LAST)
async def test_a_connection_that_the_server_ends_is_not_used_again(kind: str) -> None:
    """The answer counts all the same."""
    data, body = LAST[kind]
    answer, stays, _ = await exchange([data], goes=True)
    assert (answer.content, stays) == (body, False)


@pytest.mark.parametrize("kind", BROKEN)
async def test_what_is_no_whole_answer_is_told_as_that(kind: str) -> None:
    """Nothing is taken for an answer that is cut short, or of another protocol."""
    with pytest.raises(httpcore.RemoteProtocolError):
        await exchange([BROKEN[kind]], goes=True)


@pytest.mark.parametrize("piece", [b"b" * 4096, b"\r\n\r\nHTTP/1.1 100 Continue"])
def test_headers_that_do_not_end_are_refused(piece: bytes) -> None:
    """A server that never comes to the answer does not fill the memory."""
    answers = Answers()

    def endless() -> None:
        answers.feed(b"HTTP/1.1 100 Continue")
        for _ in range(200_000 // len(piece)):
            answers.feed(piece)

    with pytest.raises(httpcore.RemoteProtocolError, match="do not end"):
        endless()


def test_a_trailer_is_no_header() -> None:
    """What follows the body changes nothing of how it is read."""
    answers = Answers()
    answers.feed(b"HTTP/1.1 200 OK\r\nA: b\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nContent-Encoding: gzip\r\n\r\n")
    assert answers.take()[0].headers == [(b"a", b"b"), (b"transfer-encoding", b"chunked")]


async def test_a_request_is_sent_as_it_was_given() -> None:
    """Method, path, headers and body, in one piece."""
    headers = [(b"Host", b"kube.test"), (b"Content-Length", b"2")]
    _, _, sent = await exchange([WHOLE["length"][0]], headers=headers, content=b"{}")
    assert sent == b"PATCH /a HTTP/1.1\r\nHost: kube.test\r\nContent-Length: 2\r\n\r\n{}"


@pytest.mark.parametrize("value", [b"a\r\nb: c", b"a\nb", b"a\0"])
async def test_no_header_makes_two_of_one(value: bytes) -> None:
    """A token or a name with the end of a line in it is refused, not sent."""
    with pytest.raises(httpcore.LocalProtocolError):
        await exchange([b""], headers=[(b"Authorization", value)])


async def test_a_line_makes_a_new_connection_after_a_broken_one() -> None:
    """One answer that is none costs one request."""
    answers = [BROKEN["not HTTP"], WHOLE["length"][0]]

    async def serve(stream: trio.SocketStream) -> None:
        await stream.receive_some()
        await stream.send_all(answers.pop(0))

    async with served(serve) as origin:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        async with Line(lambda: Direct(origin, context, kept=80.0, socket_options=()), origin) as line:
            with pytest.raises(httpcore.RemoteProtocolError):
                await line.send(asking(origin))
            assert (await line.send(asking(origin))).body == b"hello"
