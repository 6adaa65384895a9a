"""What a user may rely on where the network is bad: connections that hang, die or are not who they say."""

import gzip
import json
import ssl
import time
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import h11
import pytest
import trio

from hexa.adapters.kube_http.adapter import open_kube
from hexa.adapters.kube_http.cluster import Cluster, KeyPair, Pem, TokenFile, Tuning
from hexa.domain.errors import Conflict, Refused, Unavailable
from hexa.domain.resources.core import LEASES, NODES
from hexa.ports.kube import Change, Kube, Patch

CERTS: Final = Path(__file__).parent / "certs"
EMPTY: Final = b'{"metadata": {"resourceVersion": "5"}, "items": []}'

pytestmark = pytest.mark.filterwarnings("error::ResourceWarning")


class SystemClock:
    """The present."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    async def sleep_until(self, when: datetime) -> None:
        raise NotImplementedError


class Peer:
    """One connection as the server sees it."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self.stream = stream
        self.http = h11.Connection(h11.SERVER)

    async def request(self) -> h11.Request | None:
        """The next request; None when the client has gone."""
        request: h11.Request | None = None
        while True:
            event = self.http.next_event()
            if event is h11.NEED_DATA:
                try:
                    self.http.receive_data(await self.stream.receive_some())
                except (trio.BrokenResourceError, trio.ClosedResourceError):
                    return None
            elif isinstance(event, h11.Request):
                request = event
            elif isinstance(event, h11.EndOfMessage):
                return request
            elif isinstance(event, h11.ConnectionClosed):
                return None

    async def begin(self, code: int = 200) -> None:
        """The head of an answer whose body comes in chunks."""
        await self._send(h11.Response(status_code=code, headers=[("Transfer-Encoding", "chunked")]))

    async def more(self, body: bytes) -> None:
        """A chunk of it."""
        await self._send(h11.Data(data=body))

    async def end(self) -> None:
        """Its end; the connection stays."""
        await self._send(h11.EndOfMessage())
        self.http.start_next_cycle()

    async def answer(self, body: bytes, code: int = 200) -> None:
        """A whole answer."""
        await self.begin(code)
        await self.more(body)
        await self.end()

    async def _send(self, event: Any) -> None:
        await self.stream.send_all(self.http.send(event) or b"")


Behaviour = Callable[[Peer, h11.Request], Awaitable[None]]


@asynccontextmanager
async def serving(behave: Behaviour, *, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """A server on loopback; the block gets its URL."""

    async def talk(stream: trio.abc.Stream) -> None:
        peer = Peer(stream)
        try:
            while (request := await peer.request()) is not None:
                await behave(peer, request)
        except (trio.BrokenResourceError, h11.LocalProtocolError):
            pass

    async with trio.open_nursery() as nursery:
        if tls is None:
            listeners: Any = await nursery.start(trio.serve_tcp, talk, 0)
        else:
            listeners = await nursery.start(trio.serve_ssl_over_tcp, talk, 0, tls)
        inner = listeners[0].transport_listener if tls else listeners[0]
        port = inner.socket.getsockname()[1]
        yield f"{'https' if tls else 'http'}://127.0.0.1:{port}"
        nursery.cancel_scope.cancel()


def certificate(name: str = "server.pem", *, ask_client: bool = False) -> ssl.SSLContext:
    """TLS of a server."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(CERTS / name)
    if ask_client:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(CERTS / "ca.crt")
    return context


def pem(name: str) -> Pem:
    """One of the certificates."""
    return Pem((CERTS / name).read_bytes(), name)


@asynccontextmanager
async def client(url: str, *, tuning: Tuning | None = None, **cluster: Any) -> AsyncIterator[Kube]:
    """A client of that server."""
    async with open_kube(Cluster(url, "test", **cluster), clock=SystemClock(), tuning=tuning or Tuning()) as kube:
        yield kube


async def follow(kube: Kube, into: list[Change[Any]]) -> None:
    """Watch until it ends or fails."""
    async with kube.watch(NODES, since="1") as changes:
        async for change in changes:
            into.append(change)  # noqa: PERF401  what came before a failure counts


def event(name: str, version: int) -> bytes:
    """A line of a watch."""
    return json.dumps(
        {"type": "ADDED", "object": {"metadata": {"name": name, "resourceVersion": str(version)}}}
    ).encode()


# --- connections that hang or die -------------------------------------------------------------------


async def test_a_watch_on_a_dead_connection_is_noticed() -> None:
    """A stream that stays silent beyond the end that the server promised is given up, after all that it said."""

    async def hang(peer: Peer, request: h11.Request) -> None:
        await peer.begin()
        await peer.more(event("a", 5) + b"\n" + event("b", 6))  # not a whole line
        await trio.sleep_forever()

    changes: list[Change[Any]] = []
    async with serving(hang) as url, client(url, tuning=Tuning(watch=0.3, silence=0.2)) as kube:
        with trio.fail_after(5), pytest.raises(Unavailable, match="no answer within the time"):
            await follow(kube, changes)
    assert [change.resource_version for change in changes] == ["5"]


async def test_a_watch_that_breaks_off_is_not_taken_for_ended() -> None:
    """A server that dies is told from one that ends the stream as announced."""

    async def die(peer: Peer, request: h11.Request) -> None:
        await peer.begin()
        await peer.more(event("a", 5) + b"\n")
        if b"limit" in request.target:
            await peer.end()
        await peer.stream.aclose()

    changes: list[Change[Any]] = []
    async with serving(die) as url, client(url) as kube:
        with trio.fail_after(5), pytest.raises(Unavailable):
            await follow(kube, changes)
    assert len(changes) == 1


async def test_a_connection_serves_again_after_a_watch_has_ended() -> None:
    """Watching again every minute costs no new connection."""
    connections = set()

    async def watch(peer: Peer, request: h11.Request) -> None:
        connections.add(id(peer))
        await peer.answer(event("a", 5) + b"\n")

    async with serving(watch) as url, client(url) as kube:
        for _ in range(3):
            changes: list[Change[Any]] = []
            await follow(kube, changes)
            assert len(changes) == 1
    assert len(connections) == 1


async def test_a_cancelled_watch_leaves_nothing_behind() -> None:
    """Whoever stops watching closes the connection at once."""
    closed = trio.Event()

    async def drip(peer: Peer, request: h11.Request) -> None:
        await peer.begin()
        try:
            while True:
                await peer.more(event("a", 5) + b"\n")
                await trio.sleep(0.01)
        except trio.BrokenResourceError:
            closed.set()
            raise

    async with serving(drip) as url, client(url) as kube:
        with trio.move_on_after(0.1):
            await follow(kube, [])
        with trio.fail_after(5):
            await closed.wait()


async def test_a_watch_can_be_left_in_the_middle() -> None:
    """Leaving after a few changes closes the connection, and nothing waits for the server."""
    closed = trio.Event()

    async def drip(peer: Peer, request: h11.Request) -> None:
        await peer.begin()
        try:
            while True:
                await peer.more((event("a", 5) + b"\n") * 100)
                await trio.sleep(0.001)
        except trio.BrokenResourceError:
            closed.set()
            raise

    async with serving(drip) as url, client(url) as kube:
        async with kube.watch(NODES, since="1") as changes:
            for _ in range(3):
                await changes.receive()
        with trio.fail_after(5):
            await closed.wait()


async def test_a_slow_answer_is_given_up() -> None:
    """A server that accepts and never answers is unavailable; a deadline of the caller comes first where it is nearer."""

    async def sleep(peer: Peer, request: h11.Request) -> None:
        await trio.sleep_forever()

    async with serving(sleep) as url, client(url, tuning=Tuning(answer=0.3)) as kube:
        with trio.fail_after(5), pytest.raises(Unavailable, match="no answer within the time"):
            await kube.list(NODES)
        with trio.move_on_after(0.05) as scope:
            await kube.list(NODES)
        assert scope.cancelled_caught


async def test_nobody_listening_is_unavailable() -> None:
    """The message names the address."""
    async with serving(lambda peer, request: peer.answer(EMPTY)) as url:
        pass
    async with client(url) as kube:
        with pytest.raises(Unavailable, match=f"cannot list nodes: {url}: the connection failed"):
            await kube.list(NODES)


async def test_ten_writes_go_side_by_side() -> None:
    """Ten machines are woken in the time of one, and their connections are kept."""
    connections = set()

    async def slow(peer: Peer, request: h11.Request) -> None:
        connections.add(id(peer))
        await trio.sleep(0.1)
        await peer.answer(b"{}")

    async with serving(slow) as url, client(url) as kube:
        for _ in range(2):
            began = trio.current_time()
            async with trio.open_nursery() as nursery:
                for index in range(10):
                    nursery.start_soon(kube.patch, NODES, f"n{index}", Patch({}))
            assert trio.current_time() - began < 0.7
    assert len(connections) == 10


async def test_requests_keep_their_connection_beside_many_watches() -> None:
    """However many watches are open, writes one after the other need one connection: a handshake costs more than a write."""
    connections = set()

    async def behave(peer: Peer, request: h11.Request) -> None:
        if b"watch=" in request.target:
            await peer.begin()
            await trio.sleep_forever()
        connections.add(id(peer))
        await peer.answer(b"{}")

    async with serving(behave) as url, client(url) as kube, trio.open_nursery() as nursery:
        for _ in range(15):
            nursery.start_soon(follow, kube, [])
        for index in range(5):
            await trio.sleep(0.01)
            await kube.patch(NODES, f"n{index}", Patch({}))
        nursery.cancel_scope.cancel()
    assert len(connections) == 1


async def test_a_write_goes_in_one_piece() -> None:
    """Head and body are one packet: the server is woken once, not twice, for each of a thousand writes."""
    pieces: list[bytes] = []

    async def listen(stream: trio.SocketStream) -> None:
        async for piece in stream:
            pieces.append(bytes(piece))
            await stream.send_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")

    async with trio.open_nursery() as nursery:
        listeners: Any = await nursery.start(trio.serve_tcp, listen, 0)
        async with client(f"http://127.0.0.1:{listeners[0].socket.getsockname()[1]}") as kube:
            for _ in range(2):
                await kube.patch(NODES, "a", Patch({"metadata": {}}))
        nursery.cancel_scope.cancel()
    assert [piece.partition(b"\r\n\r\n")[2] for piece in pieces] == [b'{"metadata":{}}'] * 2


@pytest.mark.parametrize("code", [200, 409])
async def test_a_connection_that_the_server_closed_is_not_used_again(code: int) -> None:
    """A server that goes between two requests, or after each, costs no failed one."""
    connections = set()

    async def once(peer: Peer, request: h11.Request) -> None:
        connections.add(id(peer.stream))
        await peer.answer(b"{}", code)
        await peer.stream.aclose()

    async with serving(once) as url, client(url) as kube:
        for _ in range(3):
            with suppress(Conflict):
                await kube.patch(NODES, "a", Patch({}))
            await trio.sleep(0.02)
    assert len(connections) == 3


async def test_a_request_that_was_given_up_harms_no_later_one() -> None:
    """The answer that nobody waited for is never taken for that to the next request."""

    async def late(peer: Peer, request: h11.Request) -> None:
        name = request.target.decode().rpartition("/")[2]
        await trio.sleep(0.1 if name == "slow" else 0)
        await peer.answer(json.dumps({"metadata": {"name": name}}).encode())

    async with serving(late) as url, client(url) as kube:
        with trio.move_on_after(0.03):
            await kube.patch(NODES, "slow", Patch({}))
        await trio.sleep(0.1)
        assert (await kube.patch(NODES, "fast", Patch({}))).metadata.name == "fast"


async def test_an_answer_that_was_zipped_on_the_way_reads() -> None:
    """A proxy that zips although nobody asked for it changes nothing."""

    async def zip_it(peer: Peer, request: h11.Request) -> None:
        body = gzip.compress(EMPTY)
        headers = [("Content-Encoding", "gzip"), ("Content-Length", str(len(body)))]
        for event in (h11.Response(status_code=200, headers=headers), h11.Data(data=body)):
            await peer.stream.send_all(peer.http.send(event) or b"")
        await peer.end()

    async with serving(zip_it) as url, client(url) as kube:
        assert (await kube.list(NODES)).resource_version == "5"


# --- who is who -------------------------------------------------------------------------------------


async def test_the_server_is_checked_against_its_authority() -> None:
    """A server that the CA of the configuration signed is trusted, by address or by the name that is configured."""
    behave = _answer_empty
    async with serving(behave, tls=certificate()) as url:
        for settings in (
            {"authority": pem("ca.crt")},
            {"authority": pem("ca.crt"), "server_name": "kube.test"},
            {"insecure": True},
        ):
            async with client(url, **settings) as kube:
                assert (await kube.list(NODES)).resource_version == "5"


@pytest.mark.parametrize(
    ("served", "settings", "said"),
    [
        ("server.pem", {}, "not trusted"),
        ("other.pem", {"authority": "ca.crt"}, "127.0.0.1"),
        ("server.pem", {"authority": "ca.crt", "server_name": "elsewhere.test"}, "elsewhere.test"),
    ],
)
async def test_an_impostor_is_refused(served: str, settings: dict[str, Any], said: str) -> None:
    """A foreign authority or a wrong name is no matter of retrying: the field to correct is named."""
    if "authority" in settings:
        settings = {**settings, "authority": pem(settings["authority"])}
    async with serving(_answer_empty, tls=certificate(served)) as url, client(url, **settings) as kube:
        with pytest.raises(Refused, match=f"{said}.*correct certificate-authority or tls-server-name") as refusal:
            await kube.list(NODES)
    assert refusal.value.reason == "CertificateNotTrusted"


async def test_the_client_shows_its_certificate() -> None:
    """Users who are known by certificate are known."""
    seen = []

    async def look(peer: Peer, request: h11.Request) -> None:
        seen.append(dict(part[0] for part in peer.stream.getpeercert()["subject"])["commonName"])  # type: ignore[attr-defined]
        await peer.answer(EMPTY)

    pair = KeyPair(pem("client.crt"), pem("client.key"))
    async with serving(look, tls=certificate(ask_client=True)) as url:
        async with client(url, authority=pem("ca.crt"), certificate=pair) as kube:
            await kube.list(NODES)
    assert seen == ["tester"]


async def test_a_token_that_the_server_no_longer_takes_is_read_again(tmp_path: Path) -> None:
    """Token rotation is not noticed by anybody; a token that stays wrong is refused."""
    file = tmp_path / "token"
    file.write_text("one")
    valid = [b"Bearer one"]

    async def check(peer: Peer, request: h11.Request) -> None:
        if dict(request.headers)[b"authorization"] in valid:
            await peer.answer(EMPTY)
        else:
            await peer.answer(b'{"kind": "Status", "code": 401, "reason": "Unauthorized", "message": "no"}', 401)

    async with serving(check) as url, client(url, credentials=TokenFile(file)) as kube:
        await kube.list(NODES)
        valid[:] = [b"Bearer two"]
        file.write_text("two")
        await kube.list(NODES)
        valid.clear()
        with pytest.raises(Refused, match="does not accept our credentials") as refusal:
            await kube.list(NODES)
    assert refusal.value.reason == "Unauthorized"


async def test_a_proxy_is_asked_instead() -> None:
    """proxy-url leads to clusters that cannot be reached directly."""
    asked = []

    async def forward(peer: Peer, request: h11.Request) -> None:
        asked.append(request.target)
        await peer.answer(EMPTY)

    async with serving(forward) as url, client("http://kube.test:8001", proxy=url) as kube:
        await kube.list(NODES)
    assert asked == [b"http://kube.test:8001/api/v1/nodes?limit=500"]


async def test_a_proxy_passes_tls_on_to_the_server() -> None:
    """By a proxy too the server is checked, and the proxy sees neither token nor data."""
    asked = []

    async def tunnel(peer: Peer, request: h11.Request) -> None:
        asked.append((request.method, request.target))
        host, port = request.target.decode().split(":")
        upstream = await trio.open_tcp_stream(host, int(port))
        await peer._send(h11.Response(status_code=200, headers=[]))
        async with upstream, trio.open_nursery() as nursery:
            nursery.start_soon(_pour, upstream, peer.stream)
            await _pour(peer.stream, upstream)
            nursery.cancel_scope.cancel()
        raise trio.BrokenResourceError

    async with serving(_answer_empty, tls=certificate()) as url, serving(tunnel) as proxy:
        async with client(url, proxy=proxy, authority=pem("ca.crt")) as kube:
            for _ in range(2):
                assert (await kube.list(NODES)).resource_version == "5"
    assert asked == [(b"CONNECT", url.removeprefix("https://").encode())]


async def test_a_login_in_the_address_is_used() -> None:
    """https://USER:PASSWORD@HOST is the login where the user has no other."""
    seen = []

    async def look(peer: Peer, request: h11.Request) -> None:
        seen.append(dict(request.headers)[b"authorization"])
        await peer.answer(EMPTY)

    async with serving(look) as url, client(url.replace("//", "//ann:p%40ss@")) as kube:
        await kube.list(NODES)
        await follow(kube, [])
    assert seen == [b"Basic " + b64encode(b"ann:p@ss")] * 2


# --- cost -------------------------------------------------------------------------------------------


async def test_a_heartbeat_costs_little() -> None:
    """A thousand kubelets beat a hundred times a second: an event takes well below a millisecond of CPU."""
    lease = {
        "metadata": {"name": "worker-1", "namespace": "kube-node-lease", "resourceVersion": "1", "uid": "u" * 36},
        "spec": {"holderIdentity": "worker-1", "leaseDurationSeconds": 40, "renewTime": "2026-01-05T00:00:00.000001Z"},
    }
    message = json.dumps({"type": "MODIFIED", "object": lease}).encode() + b"\n"
    number = 2000

    async def beat(peer: Peer, request: h11.Request) -> None:
        await peer.begin()
        for _ in range(number):
            await peer.more(message)
        await peer.end()

    async with serving(beat) as url, client(url) as kube:
        began, count = time.process_time(), 0
        async with kube.watch(LEASES, since="1") as changes:
            async for _ in changes:
                count += 1
        spent = time.process_time() - began  # the server's share included
    assert count == number
    assert spent / number < 0.002


async def _pour(source: trio.abc.Stream, target: trio.abc.Stream) -> None:
    with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
        while piece := await source.receive_some():
            await target.send_all(piece)


async def _answer_empty(peer: Peer, request: h11.Request) -> None:
    await peer.answer(EMPTY)
