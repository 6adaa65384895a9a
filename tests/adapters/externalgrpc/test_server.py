"""The server as a thing on a machine: where it listens, how it stops, and what a hostile or dying peer can do to it."""

import functools
import os
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from random import Random
from typing import Any

import grpc
import pytest
import trio
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import ConnectionTerminated, DataReceived, Event, ResponseReceived, StreamEnded, StreamReset
from h2.settings import SettingCodes

from hexa.adapters.externalgrpc import adapter, connection
from hexa.adapters.externalgrpc.adapter import run_server
from hexa.domain.errors import Refused
from hexa.ports.cloud import Instance, InstanceState
from hexa.testing.fake_cloud import FakeCloud

GROUP = "default/group-0"
PREFIX = "/clusterautoscaler.cloudprovider.v1.externalgrpc.CloudProvider/"
HEADERS = [
    (":method", "POST"),
    (":scheme", "http"),
    (":authority", "hexa"),
    ("te", "trailers"),
    ("content-type", "application/grpc"),
]


class Watch:
    """What the server looks at to see what is overdue. Stopped, nothing ever is, however slow the machine of this test is."""

    def __init__(self) -> None:
        self.stopped = True

    def monotonic(self) -> float:
        return 0.0 if self.stopped else time.monotonic()


class Peer:
    """A client that does as it is told, frame by frame."""

    def __init__(self, stream: trio.abc.Stream, *, window: int | None = None) -> None:
        self.stream = stream
        self.h2 = greeting()
        if window is not None:
            self.h2.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: window})

    async def flush(self) -> None:
        await self.stream.send_all(self.h2.data_to_send())

    async def ask(self, rpc: str, body: bytes = b"", *, end: bool = True, headers: Any = HEADERS) -> int:
        """Begin a call; with `end`, it is a whole one."""
        stream_id = self.h2.get_next_available_stream_id()
        self.h2.send_headers(stream_id, [(":path", PREFIX + rpc), *headers], end_stream=end and not body)
        if body:
            self.h2.send_data(stream_id, body, end_stream=end)
        await self.flush()
        return stream_id

    async def answer(self, stream_id: int, *, acknowledge: bool = True) -> tuple[dict[str, str], bytes]:
        """All headers and trailers of the answer, and its data."""
        headers: dict[str, str] = {}
        data = b""
        with trio.fail_after(10):
            while True:
                for event in await self.read():
                    if getattr(event, "stream_id", None) != stream_id:
                        continue
                    headers |= dict(getattr(event, "headers", None) or ())
                    if isinstance(event, DataReceived):
                        data += event.data
                        if acknowledge:
                            self.h2.acknowledge_received_data(event.flow_controlled_length, stream_id)
                            await self.flush()
                    if isinstance(event, StreamEnded | StreamReset):
                        return headers, data

    async def first(self, kind: type[Event], stream_id: int) -> Any:
        """The first event of this kind on the stream."""
        with trio.fail_after(60):
            while True:
                for event in await self.read():
                    if isinstance(event, kind) and getattr(event, "stream_id", None) == stream_id:
                        return event

    async def read_data(self, stream_id: int, size: int) -> bytes:
        """The first `size` bytes of an answer, for which the peer makes no new room."""
        data = b""
        with trio.fail_after(10):
            while len(data) < size:
                for event in await self.read():
                    if isinstance(event, DataReceived) and event.stream_id == stream_id:
                        data += event.data
        return data

    async def read(self) -> list[Event]:
        """The next events; none when the other side has closed."""
        received = await self.stream.receive_some(65536)
        if not received:
            raise trio.BrokenResourceError("closed by the server")
        events = self.h2.receive_data(received)
        await self.flush()
        return events


def greeting() -> H2Connection:
    """A client's state, with its first bytes ready to send."""
    h2 = H2Connection(H2Configuration(client_side=True, header_encoding="utf-8"))
    h2.initiate_connection()
    return h2


def framed(message: bytes, *, compressed: int = 0) -> bytes:
    """A message as gRPC puts it into DATA frames."""
    return bytes([compressed]) + len(message).to_bytes(4, "big") + message


async def closed_by_server(stream: trio.SocketStream) -> bool:
    """Whether the server ends this connection."""
    with trio.move_on_after(5):
        try:
            while await stream.receive_some(65536):
                pass
        except trio.BrokenResourceError:
            pass
        return True
    return False


Dial = Callable[[str], Awaitable[trio.SocketStream]]


@pytest.fixture
async def dial() -> AsyncIterator[Dial]:
    """Makes bare TCP connections, and closes them."""
    streams: list[trio.SocketStream] = []

    async def connect(address: str) -> trio.SocketStream:
        host, _, port = address.rpartition(":")
        streams.append(await trio.open_tcp_stream(host, int(port)))
        return streams[-1]

    yield connect
    for stream in streams:
        stream.socket.close()


@pytest.fixture
async def peer(address: str, dial: Dial) -> Peer:
    """A peer that has connected and greeted."""
    made = Peer(await dial(address))
    await made.flush()
    return made


@pytest.fixture
def ping(messages: Any) -> Any:
    """A call that must work whatever others do: `await ping(client)`."""

    async def ping(client: Any) -> None:
        with trio.fail_after(10):
            request = messages.NodeGroupForNodeRequest(node={"name": "group-0-0"})
            answer = await client.call("NodeGroupForNode", request, messages.NodeGroupForNodeResponse)
        assert answer.nodeGroup.id == GROUP

    return ping


# --- where it listens ---------------------------------------------------------------------------------------------------


async def test_port_in_use_is_named_with_a_remedy(cloud: FakeCloud, address: str) -> None:
    """A second server on one port says which address is taken and what to do."""
    with pytest.raises(Refused, match=f"^{address} is in use: stop what listens there, or choose another") as refusal:
        await run_server(cloud, address=address)
    assert refusal.value.reason == "AddressInUse"


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("50051", "BadAddress"),
        ("localhost:grpc", "BadAddress"),
        ("localhost:70000", "BadAddress"),
        ("", "BadAddress"),
        ("999.0.0.1:1", "AddressUnknown"),
        ("127.0.0.1:", "BadAddress"),
        ("unix:///no/such/folder/hexa.sock", "AddressRefused"),
        (":0", "PlaintextOnNetwork"),
        ("0.0.0.0:0", "PlaintextOnNetwork"),
        ("[::]:0", "PlaintextOnNetwork"),
    ],
)
async def test_address_that_cannot_be_served(cloud: FakeCloud, address: str, reason: str) -> None:
    """A wrong address, and plaintext on the network, are refused before anything starts."""
    with pytest.raises(Refused) as refusal:
        await run_server(cloud, address=address)
    assert refusal.value.reason == reason


async def test_plaintext_on_the_network_where_it_is_allowed(
    cloud: FakeCloud, nursery: trio.Nursery, connect: Any, ping: Any
) -> None:
    """`insecure` serves every interface."""
    bound = await nursery.start(functools.partial(run_server, cloud, address="0.0.0.0:0", insecure=True))
    await ping(connect(f"127.0.0.1:{bound.rpartition(':')[2]}"))


async def test_unix_socket(cloud: FakeCloud, nursery: trio.Nursery, connect: Any, ping: Any, tmp_path: Path) -> None:
    """A unix socket serves too, is for its owner only, and a file that a killed server left is replaced."""
    path = tmp_path / "hexa.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    bound = await nursery.start(functools.partial(run_server, cloud, address=f"unix://{path}"))
    assert path.stat().st_mode & 0o777 == 0o600
    await ping(connect(bound))
    with pytest.raises(Refused, match="is in use"):
        await run_server(cloud, address=f"unix://{path}")


async def test_answers_leave_at_once(client: Any, ping: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nagle's algorithm is off: with it, one answer in a hundred waits 40 ms for the peer's acknowledgement."""
    delays: list[int] = []
    made = connection.Connection.connection_made

    def look(self: connection.Connection, transport: Any) -> None:
        made(self, transport)
        delays.append(transport.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))

    monkeypatch.setattr(connection.Connection, "connection_made", look)
    await ping(client)
    assert delays == [1]


# --- how it stops -------------------------------------------------------------------------------------------------------


async def test_stops_at_once_under_open_connections(cloud: FakeCloud, connect: Any, ping: Any, dial: Dial) -> None:
    """Connections that stay open do not hold up the end, and their peers are told to go elsewhere."""
    async with trio.open_nursery() as nursery:
        address = await nursery.start(functools.partial(run_server, cloud, address="127.0.0.1:0"))
        await ping(connect(address))
        silent = await dial(address)
        peer = Peer(await dial(address))
        await peer.answer(await peer.ask("NodeGroups", framed(b"")))
        started = trio.current_time()
        nursery.cancel_scope.cancel()
    assert trio.current_time() - started < 1
    assert await closed_by_server(silent)
    assert any(isinstance(event, ConnectionTerminated) for event in await peer.read())


async def test_write_under_way_is_finished_and_answered(cloud: FakeCloud, messages: Any, connect: Any) -> None:
    """A stop lets a write that has begun end, and Cluster Autoscaler still gets its answer."""
    cloud.write_seconds = 0.5
    async with trio.open_nursery() as outer:
        async with trio.open_nursery() as nursery:
            address = await nursery.start(functools.partial(run_server, cloud, address="127.0.0.1:0"))
            request = messages.NodeGroupIncreaseSizeRequest(id=GROUP, delta=2)
            client = connect(address)
            outer.start_soon(client.call, "NodeGroupIncreaseSize", request, messages.NodeGroupIncreaseSizeResponse)
            await until(lambda: cloud.calls != [])
            nursery.cancel_scope.cancel()
    assert cloud.target_size(GROUP) == 2


async def test_write_that_takes_too_long_does_not_hold_up_the_stop(
    cloud: FakeCloud, messages: Any, connect: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A write that does not end is cancelled at the limit, and leaves nothing."""
    monkeypatch.setattr(adapter, "STOP_LIMIT", 0.3)
    cloud.write_seconds = 60
    async with trio.open_nursery() as outer:
        async with trio.open_nursery() as nursery:
            address = await nursery.start(functools.partial(run_server, cloud, address="127.0.0.1:0"))
            request = messages.NodeGroupIncreaseSizeRequest(id=GROUP, delta=2)
            outer.start_soon(connect(address).refused, "NodeGroupIncreaseSize", request)
            await until(lambda: cloud.calls != [])
            started = trio.current_time()
            nursery.cancel_scope.cancel()
        assert trio.current_time() - started < 2
    assert cloud.target_size(GROUP) == 0


async def test_port_is_free_after_the_end(cloud: FakeCloud, dial: Dial) -> None:
    """A server that is started again gets the port it had, even while old connections fade away."""
    async with trio.open_nursery() as nursery:
        address = await nursery.start(functools.partial(run_server, cloud, address="127.0.0.1:0"))
        peer = Peer(await dial(address))
        await peer.answer(await peer.ask("NodeGroups", framed(b"")))
        nursery.cancel_scope.cancel()
    async with trio.open_nursery() as nursery:
        assert await nursery.start(functools.partial(run_server, cloud, address=address)) == address
        nursery.cancel_scope.cancel()


# --- writes and their callers -------------------------------------------------------------------------------------------


async def test_write_goes_on_when_the_caller_hangs_up(cloud: FakeCloud, peer: Peer, messages: Any) -> None:
    """What was asked is stored although nobody waits for the answer any more: never half of it."""
    cloud.write_seconds = 0.3
    body = framed(messages.NodeGroupIncreaseSizeRequest(id=GROUP, delta=2).SerializeToString())
    await peer.ask("NodeGroupIncreaseSize", body)
    await until(lambda: cloud.calls != [])
    await peer.stream.aclose()
    await until(lambda: cloud.target_size(GROUP) == 2)


async def test_write_goes_on_when_the_call_is_cancelled(cloud: FakeCloud, peer: Peer, messages: Any) -> None:
    """So it is when the caller resets the call and keeps the connection, which serves on."""
    cloud.write_seconds = 0.3
    body = framed(messages.NodeGroupIncreaseSizeRequest(id=GROUP, delta=2).SerializeToString())
    stream_id = await peer.ask("NodeGroupIncreaseSize", body)
    await until(lambda: cloud.calls != [])
    peer.h2.reset_stream(stream_id, ErrorCodes.CANCEL)
    await peer.flush()
    await until(lambda: cloud.target_size(GROUP) == 2)
    headers, _ = await peer.answer(await peer.ask("NodeGroups", framed(b"")))
    assert headers["grpc-status"] == "0"


async def test_slow_write_is_answered_before_the_caller_gives_up(
    cloud: FakeCloud, client: Any, messages: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the limit the write is cancelled, nothing is changed then or later, and the caller is told to try again."""
    assert adapter.WRITE_LIMIT + adapter.WRITE_GRACE < 5  # what Cluster Autoscaler waits
    monkeypatch.setattr(adapter, "WRITE_LIMIT", 0.2)
    cloud.write_seconds = 0.4
    request = messages.NodeGroupIncreaseSizeRequest(id=GROUP, delta=1)
    with trio.fail_after(3):
        status, message = await client.refused("NodeGroupIncreaseSize", request)
    assert (status, message) == (grpc.StatusCode.UNAVAILABLE, "TooSlow: not stored within 0.2 s")
    await trio.sleep(0.3)
    assert cloud.target_size(GROUP) == 0


async def test_write_that_ignores_its_cancellation_is_answered_too(
    cloud: FakeCloud, client: Any, messages: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A write that is still taking back what it did keeps nobody waiting."""
    monkeypatch.setattr(adapter, "WRITE_LIMIT", 0.1)
    monkeypatch.setattr(adapter, "WRITE_GRACE", 0.1)

    async def stubborn(group: str, *, delta: int) -> None:
        with trio.CancelScope(shield=True):
            await trio.sleep(0.6)

    monkeypatch.setattr(cloud, "increase_size", stubborn)
    request = messages.NodeGroupIncreaseSizeRequest(id=GROUP, delta=1)
    started = trio.current_time()
    assert (await client.refused("NodeGroupIncreaseSize", request))[0] is grpc.StatusCode.UNAVAILABLE
    assert trio.current_time() - started < 0.6


async def until(condition: Any) -> None:
    """Wait for what must come soon."""
    with trio.fail_after(5):
        while not condition():  # noqa: ASYNC110  # what changes is in a fake, or on the other side of a socket
            await trio.sleep(0.01)


# --- hostile and dying peers --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rpc", "headers", "body", "status"),
    [
        ("NoSuchMethod", HEADERS, framed(b""), "12"),
        ("NodeGroups", HEADERS, framed(b"", compressed=1), "12"),
        ("NodeGroups", HEADERS, b"", "3"),
        ("NodeGroups", HEADERS, b"\0\0", "3"),
        ("NodeGroups", HEADERS, framed(b"abc")[:-1], "3"),
        ("NodeGroups", HEADERS, framed(b"") * 2, "3"),
        ("NodeGroups", HEADERS, b"\0\xff\xff\xff\xff", "8"),
        ("NodeGroupForNode", HEADERS, framed(b"\x0a\x05ab"), "3"),
        ("NodeGroupTargetSize", HEADERS, framed(b"\x0a\x05ab"), "3"),
        ("NodeGroupIncreaseSize", HEADERS, framed(b"\x0a\x01\x05"), "3"),
        ("NodeGroups", [*HEADERS[:-1], ("content-type", "text/html")], framed(b""), "3"),
        ("NodeGroups", HEADERS[:-1], framed(b""), "3"),
        ("NodeGroups", [(":method", "GET"), *HEADERS[1:]], framed(b""), "3"),
    ],
    ids=[
        "unknown method",
        "compressed",
        "no message",
        "half a prefix",
        "cut off",
        "two messages",
        "4 GiB announced",
        "broken message, read by hand",
        "broken message, read by betterproto",
        "broken message of a write",
        "no gRPC",
        "no content type",
        "GET",
    ],
)
async def test_bad_call_gets_a_status_and_the_connection_lives(
    peer: Peer, rpc: str, headers: Any, body: bytes, status: str
) -> None:
    """What is wrong with a call is told by its status; the next call on the same connection works."""
    told, _ = await peer.answer(await peer.ask(rpc, body, headers=headers))
    assert told["grpc-status"] == status
    assert told["grpc-message"]
    told, _ = await peer.answer(await peer.ask("NodeGroups", framed(b"")))
    assert told["grpc-status"] == "0"


async def test_odd_headers_are_ignored(peer: Peer) -> None:
    """Metadata that nobody here reads may hold any bytes."""
    told, _ = await peer.answer(await peer.ask("NodeGroups", framed(b""), headers=[*HEADERS, (b"x-odd", b"\xff\xfe")]))
    assert told["grpc-status"] == "0"


async def test_message_beyond_the_limit_is_refused(client: Any, ping: Any) -> None:
    """A request of 5 MB is RESOURCE_EXHAUSTED before it is read to its end; one just below 4 MiB is read."""
    status, _ = await client.refused("NodeGroupTargetSize", b"\x0a" + b"\xc0\x96\xb1\x02" + b"x" * 5_000_000)
    assert status is grpc.StatusCode.RESOURCE_EXHAUSTED
    status, message = await client.refused("NodeGroupTargetSize", b"\x0a\xc0\x84\x3d" + b"x" * 1_000_000)
    assert status is grpc.StatusCode.NOT_FOUND, message[:100]
    await ping(client)


async def test_headers_beyond_the_limit_end_their_connection(
    address: str, dial: Dial, client: Any, ping: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """Headers of more than 64 KiB are not collected: the connection ends with a line in the log, the others go on."""
    peer = Peer(await dial(address))
    await peer.flush()
    large = [(f"x-{number}", "x" * 100) for number in range(1000)]
    with pytest.raises(trio.BrokenResourceError):
        await peer.answer(await peer.ask("NodeGroups", framed(b""), headers=[*HEADERS, *large]))
    await until(lambda: "refused: it does not speak HTTP/2 as it should" in caplog.text)
    await ping(client)


async def test_large_requests_of_many_are_bounded_together(
    address: str, dial: Dial, ping: Any, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What has begun and not ended may fill so much memory and no more, however many peers begin it; what ends makes room."""
    monkeypatch.setattr(connection, "MAX_UNFINISHED", 300_000)

    async def begin(size: int) -> tuple[Peer, int]:
        peer = Peer(await dial(address))
        await peer.answer(await peer.ask("NodeGroups", framed(b"")))  # now it knows how much the server takes
        stream_id = await peer.ask("NodeGroupTargetSize", end=False)
        for _ in range(size // 10_000):
            peer.h2.send_data(stream_id, b"\0\0\1\0\0" * 2_000)
        await peer.flush()
        return peer, stream_id

    greedy = [await begin(120_000) for _ in range(2)]
    await ping(client)
    peer, stream_id = await begin(80_000)
    told, _ = await peer.answer(stream_id)
    assert (told["grpc-status"], told["grpc-message"]) == ("8", "TooMany: large requests at one time")
    for hog, _ in greedy:
        await hog.stream.aclose()
    await ping(client)
    peer, stream_id = await begin(280_000)
    peer.h2.end_stream(stream_id)
    await peer.flush()
    assert (await peer.answer(stream_id))[0]["grpc-status"] == "3"  # read to its end, and found to be no message


async def test_message_in_many_pieces(peer: Peer, messages: Any) -> None:
    """A message may come byte by byte."""
    body = framed(messages.NodeGroupTargetSizeRequest(id=GROUP).SerializeToString())
    stream_id = await peer.ask("NodeGroupTargetSize", body[:1], end=False)
    for offset in range(1, len(body)):
        peer.h2.send_data(stream_id, body[offset : offset + 1])
        await peer.flush()
    peer.h2.end_stream(stream_id)
    await peer.flush()
    assert (await peer.answer(stream_id))[0]["grpc-status"] == "0"


@pytest.mark.parametrize(
    "garbage",
    [
        os.urandom(4096),
        b"GET / HTTP/1.1\r\nHost: hexa\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\xff\xff\xff\x04" + os.urandom(500),
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0" + b"\0\0\1\1\4\0\0\0\1\xc0",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + os.urandom(500),
    ],
    ids=["random", "HTTP/1.1", "oversized frame", "broken headers", "TLS"],
)
async def test_garbage_ends_its_own_connection_only(
    address: str, client: Any, ping: Any, garbage: bytes, caplog: pytest.LogCaptureFixture, dial: Dial
) -> None:
    """Bytes that are no HTTP/2 close the connection they came on, without a traceback; others are served."""
    stream = await dial(address)
    await stream.send_all(garbage)
    assert await closed_by_server(stream)
    assert "Traceback" not in caplog.text
    await ping(client)


async def test_frames_cut_off_at_every_byte(address: str, client: Any, ping: Any, messages: Any, dial: Dial) -> None:
    """A peer that dies in the middle of whatever it sends leaves nothing behind."""
    dying = greeting()
    request = messages.NodeGroupForNodeRequest(node={"name": "group-0-0"}).SerializeToString()
    dying.send_headers(1, [(":path", PREFIX + "NodeGroupForNode"), *HEADERS])
    dying.send_data(1, framed(request), end_stream=True)
    sent = dying.data_to_send()
    for end in range(0, len(sent), 3):
        stream = await dial(address)
        await stream.send_all(sent[:end])
        await stream.aclose()
    await ping(client)


def session(random: Random, *, damage: int) -> bytes:
    """What a peer may send in its life: some calls, well or badly ended, and so many bytes of it changed."""
    h2 = greeting()
    for _ in range(random.randrange(1, 5)):
        stream_id = h2.get_next_available_stream_id()
        rpc = random.choice(["NodeGroups", "NodeGroupForNode", "NodeGroupIncreaseSize", "NodeGroupGetOptions"])
        h2.send_headers(stream_id, [(":path", PREFIX + rpc), *HEADERS])
        body = framed(random.choice([b"", b"\x08\x01\x12\x0fdefault/group-0", random.randbytes(30)]))
        h2.send_data(stream_id, body[: random.randrange(len(body) + 1)] or body, end_stream=random.random() < 0.8)
        if random.random() < 0.2:
            h2.reset_stream(stream_id)
    if random.random() < 0.2:
        h2.close_connection()
    sent = bytearray(h2.data_to_send())
    for _ in range(damage):
        sent[random.randrange(len(sent))] = random.randrange(256)
    return bytes(sent)


async def test_damaged_sessions(
    address: str, cloud: FakeCloud, dial: Dial, client: Any, ping: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """Sessions that are almost right meet no defect, whatever is damaged and whenever they end."""
    cloud.write_seconds = 0.01
    for seed in range(150):
        random = Random(seed)
        stream = await dial(address)
        await stream.send_all(session(random, damage=random.choice([0, 1, 1, 3])))
        if seed % 3 == 0:
            await trio.sleep(0.005)
        await stream.aclose()
    await ping(client)
    assert [record.message for record in caplog.records if record.levelname == "ERROR"] == []


async def test_many_half_open_connections(address: str, client: Any, ping: Any, connect: Any, dial: Dial) -> None:
    """Far more silent connections than are kept do not keep out a peer that talks, old or new."""
    await ping(client)
    silent = [await dial(address) for _ in range(2 * adapter.MAX_CONNECTIONS)]
    await ping(client)
    await ping(connect(address))
    ended = 0
    for stream in silent[: adapter.MAX_CONNECTIONS]:
        ended += await closed_by_server(stream)
    assert ended == adapter.MAX_CONNECTIONS
    for stream in silent:
        await stream.aclose()


async def test_connections_that_talk_are_not_driven_out(
    address: str, connect: Any, ping: Any, monkeypatch: pytest.MonkeyPatch, dial: Dial
) -> None:
    """Where all that are kept have asked something, a new connection is turned away."""
    monkeypatch.setattr(adapter, "MAX_CONNECTIONS", 2)
    clients = [connect(address), connect(address)]
    for client in clients:
        await ping(client)
    assert await closed_by_server(await dial(address))
    for client in clients:
        await ping(client)


async def test_silence_is_cut_off(
    cloud: FakeCloud, nursery: trio.Nursery, monkeypatch: pytest.MonkeyPatch, dial: Dial
) -> None:
    """A connection without a call, and a call without an end, get their time and no more."""
    monkeypatch.setattr(adapter, "CALL_LIMIT", 0.2)
    address = await nursery.start(functools.partial(run_server, cloud, address="127.0.0.1:0"))
    assert await closed_by_server(await dial(address))
    watch = Watch()
    monkeypatch.setattr(adapter, "time", watch)
    peer = Peer(await dial(address))
    await peer.answer(await peer.ask("NodeGroups", framed(b"")))
    stream_id = await peer.ask("NodeGroups", b"\0\0", end=False)
    watch.stopped = False
    assert (await peer.first(StreamReset, stream_id)).error_code == ErrorCodes.CANCEL
    assert (await peer.answer(await peer.ask("NodeGroups", framed(b""))))[0]["grpc-status"] == "0"


async def test_calls_that_are_cancelled_at_once(peer: Peer, messages: Any) -> None:
    """Thousands of calls that are begun and reset cost no others their turn."""
    body = framed(messages.NodeGroupTargetSizeRequest(id=GROUP).SerializeToString())
    for number in range(2000):
        stream_id = peer.h2.get_next_available_stream_id()
        peer.h2.send_headers(stream_id, [(":path", PREFIX + "NodeGroupTargetSize"), *HEADERS])
        peer.h2.send_data(stream_id, body, end_stream=number % 2 == 0)
        peer.h2.reset_stream(stream_id, ErrorCodes.CANCEL)
        if number % 50 == 0:
            await peer.flush()
    await peer.flush()
    assert (await peer.answer(await peer.ask("NodeGroups", framed(b""))))[0]["grpc-status"] == "0"


async def test_frames_of_the_future_are_ignored(peer: Peer) -> None:
    """Frame types that HTTP/2 may get later do not end the connection."""
    await peer.stream.send_all(b"\0\0\3\xee\0\0\0\0\0abc")
    assert (await peer.answer(await peer.ask("NodeGroups", framed(b""))))[0]["grpc-status"] == "0"


async def test_defect_in_a_connection_ends_that_one(
    address: str, dial: Dial, client: Any, ping: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """An error in a callback of asyncio is logged and does not end the server."""
    await ping(client)

    def fail(*_: object) -> None:
        raise ZeroDivisionError

    with monkeypatch.context() as patch:
        patch.setattr(connection.Connection, "connection_made", fail)
        await dial(address)
        await until(lambda: "ZeroDivisionError" in caplog.text)
    await ping(client)


@pytest.fixture
def large(cloud: FakeCloud, monkeypatch: pytest.MonkeyPatch) -> int:
    """Makes the answer of NodeGroupNodes some hundred kilobytes large; its number of instances."""
    instances = [Instance(f"hexa://default/machine-{number:05}", InstanceState.RUNNING) for number in range(8000)]
    monkeypatch.setattr(cloud, "instances", lambda group: instances)
    return len(instances)


async def test_large_answer(client: Any, messages: Any, large: int) -> None:
    """An answer larger than HTTP/2's windows arrives whole."""
    request = messages.NodeGroupNodesRequest(id=GROUP)
    assert len((await client.call("NodeGroupNodes", request, messages.NodeGroupNodesResponse)).instances) == large


async def test_large_answer_to_a_peer_with_little_room(address: str, messages: Any, large: int, dial: Dial) -> None:
    """A peer may take it in small pieces, while other calls of it are answered."""
    peer = Peer(await dial(address), window=1000)
    await peer.flush()
    body = framed(messages.NodeGroupNodesRequest(id=GROUP).SerializeToString())
    slow = await peer.ask("NodeGroupNodes", body)
    first = await peer.read_data(slow, 1000)
    assert (await peer.answer(await peer.ask("NodeGroups", framed(b"")), acknowledge=False))[0]["grpc-status"] == "0"
    peer.h2.increment_flow_control_window(1 << 20, slow)
    peer.h2.increment_flow_control_window(1 << 20)
    await peer.flush()
    headers, rest = await peer.answer(slow, acknowledge=False)
    assert headers["grpc-status"] == "0"
    assert len(messages.NodeGroupNodesResponse.FromString((first + rest)[5:]).instances) == large


async def test_peer_that_never_makes_room_is_cut_off(
    cloud: FakeCloud, nursery: trio.Nursery, messages: Any, large: int, monkeypatch: pytest.MonkeyPatch, dial: Dial
) -> None:
    """An answer that is not fetched is not kept for ever: the call is ended, and other calls of the peer are answered."""
    monkeypatch.setattr(adapter, "CALL_LIMIT", 0.2)
    watch = Watch()
    monkeypatch.setattr(adapter, "time", watch)
    address = await nursery.start(functools.partial(run_server, cloud, address="127.0.0.1:0"))
    peer = Peer(await dial(address), window=0)
    stream_id = await peer.ask("NodeGroupNodes", framed(messages.NodeGroupNodesRequest(id=GROUP).SerializeToString()))
    assert await peer.first(ResponseReceived, stream_id)  # the answer begins, and waits for room
    watch.stopped = False
    assert (await peer.first(StreamReset, stream_id)).error_code == ErrorCodes.CANCEL
    peer.h2.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: 1 << 20})
    assert (await peer.answer(await peer.ask("NodeGroups", framed(b""))))[0]["grpc-status"] == "0"


async def test_peer_that_does_not_read_is_dropped(
    cloud: FakeCloud, nursery: trio.Nursery, connect: Any, ping: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A peer that asks and asks and reads nothing is dropped before its answers fill the memory."""
    monkeypatch.setattr(connection, "MAX_UNREAD", 1000)
    path = tmp_path / "hexa.sock"  # TCP would hold megabytes on the way
    address = await nursery.start(functools.partial(run_server, cloud, address=f"unix://{path}"))
    pings = b"\0\0\x08\6\0\0\0\0\0" + b"12345678"
    async with await trio.open_unix_socket(path) as stream:
        peer = Peer(stream)
        await peer.answer(await peer.ask("NodeGroups", framed(b"")))  # one that never asked is cut off anyway
        with trio.fail_after(20), pytest.raises(trio.BrokenResourceError):
            await send_for_ever(stream, pings * 1000)
    await ping(connect(address))


async def send_for_ever(stream: trio.abc.Stream, data: bytes) -> None:
    """Send until it fails."""
    while True:
        await stream.send_all(data)
