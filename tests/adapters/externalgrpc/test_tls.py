"""Mutual TLS of the gRPC service: who gets in, what the others are told, and how certificates change while it serves."""

import functools
import logging
import os
import socket
import ssl
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
import trio
from msgspec import structs
from trio.testing import MockClock

from hexa.adapters.externalgrpc import adapter, tls
from hexa.adapters.externalgrpc.adapter import run_server
from hexa.adapters.externalgrpc.config import Tls
from hexa.adapters.x509.adapter import X509Issuer
from hexa.domain.errors import Refused
from hexa.ports.certificates import Owner, Pair, Usage
from hexa.serving.complaints import PERIOD, Complaints
from hexa.testing.fake_cloud import FakeCloud

NOW = datetime.now(UTC)
DAY = timedelta(days=1)
ISSUER = X509Issuer()
SERVER = Owner(name="hexa", dns=("localhost",), ips=("127.0.0.1",))
AUTOSCALER = Owner(name="autoscaler", dns=("cluster-autoscaler",), uris=("spiffe://site/ns/kube-system/sa/ca",))
GROUP = "default/group-0"


def authority() -> Pair:
    """A new CA."""
    return ISSUER.authority("test CA", starts=NOW - DAY, ends=NOW + 90 * DAY)


def issue(
    by: Pair,
    owner: Owner = AUTOSCALER,
    usage: Usage = Usage.CLIENT,
    *,
    starts: datetime = NOW - DAY,
    ends: datetime = NOW + 60 * DAY,
) -> Pair:
    """What a CA has signed, good unless told otherwise."""
    return ISSUER.issue(by, owner, usage, starts=starts, ends=ends)


CA = authority()
OTHER_CA = authority()
SERVERS = issue(CA, SERVER, Usage.SERVER)
CLIENTS = issue(CA)


def credentials(client: Pair | None = CLIENTS, trust: Pair = CA) -> grpc.ChannelCredentials:
    """What a client of grpcio shows and believes."""
    if client is None:
        return grpc.ssl_channel_credentials(trust.certificate.encode())
    return grpc.ssl_channel_credentials(trust.certificate.encode(), client.key.encode(), client.certificate.encode())


class Secret:
    """A Secret as kubelet mounts it: what is read are links through `..data`, which is swapped as a whole."""

    def __init__(self, folder: Path, *, server: Pair = SERVERS, trust: Pair = CA) -> None:
        self.folder = folder
        self._written = 0
        self.write({"tls.crt": server.certificate, "tls.key": server.key, "ca.crt": trust.certificate})
        for name in ("tls.crt", "tls.key", "ca.crt"):
            (folder / name).symlink_to(Path("..data") / name)

    def write(self, files: dict[str, str]) -> None:
        self._written += 1
        version = self.folder / f"..{self._written}"
        version.mkdir()
        for name, content in files.items():
            (version / name).write_text(content)
        new = self.folder / "..new"
        new.symlink_to(version.name)
        new.replace(self.folder / "..data")

    def change(self, *, server: Pair | None = None, trust: Pair | None = None, **other: str) -> None:
        files = {name: (self.folder / name).read_text() for name in ("tls.crt", "tls.key", "ca.crt")}
        if server is not None:
            files |= {"tls.crt": server.certificate, "tls.key": server.key}
        if trust is not None:
            files["ca.crt"] = trust.certificate
        self.write(files | {name.replace("_", "."): text for name, text in other.items()})

    def settings(self, *clients: str) -> Tls:
        folder = self.folder
        return Tls(certificate=folder / "tls.crt", key=folder / "tls.key", client_ca=folder / "ca.crt", clients=clients)


@pytest.fixture
def secret(tmp_path: Path) -> Secret:
    """Good certificates."""
    return Secret(tmp_path)


Serve = Callable[..., Any]


@pytest.fixture
def serve(cloud: FakeCloud, nursery: trio.Nursery) -> Serve:
    """Serves `cloud` with TLS."""

    async def start(settings: Tls) -> str:
        return str(await nursery.start(functools.partial(run_server, cloud, address="127.0.0.1:0", tls=settings)))

    return start


@pytest.fixture
def ping(messages: Any) -> Any:
    """A call that must work."""

    async def ping(client: Any) -> None:
        with trio.fail_after(10):
            await client.call("NodeGroups", messages.NodeGroupsRequest(), messages.NodeGroupsResponse)

    return ping


@pytest.fixture
def handshake_refused(caplog: pytest.LogCaptureFixture) -> Any:
    """Shakes hands as a client, and expects to be refused with this in hexa's log."""

    async def refused(address: str, context: ssl.SSLContext, why: str) -> None:
        async with tls_stream(address, context) as stream:
            with pytest.raises(trio.BrokenResourceError), trio.fail_after(5):
                await drain(stream)  # with TLS 1.3 the client hears of it after its own handshake
        await until(lambda: why in caplog.text)

    return refused


@asynccontextmanager
async def tls_stream(address: str, context: ssl.SSLContext) -> AsyncIterator[trio.SSLStream[trio.SocketStream]]:
    """A TLS connection, no hands shaken yet."""
    host, _, port = address.rpartition(":")
    stream = await trio.open_tcp_stream(host, int(port))
    async with stream:
        yield trio.SSLStream(stream, context, server_hostname="localhost")


def client_context(tmp_path: Path, shown: Pair | None) -> ssl.SSLContext:
    """A client of Python's ssl that shows this certificate."""
    context = ssl.create_default_context(cadata=CA.certificate)
    if shown is not None:
        file = tmp_path / f"client-{time.monotonic_ns()}.pem"
        file.write_text(shown.certificate + shown.key)
        context.load_cert_chain(file)
    return context


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what must come soon."""
    with trio.fail_after(5):
        while not condition():  # noqa: ASYNC110  # what changes is on the other side of a socket
            await trio.sleep(0.01)


# --- who gets in --------------------------------------------------------------------------------------------------------


async def test_cluster_autoscaler_walks_its_calls(serve: Serve, secret: Secret, connect: Any, messages: Any) -> None:
    """A client with a certificate of the CA reads and writes as it does without TLS."""
    client = connect(await serve(secret.settings()), credentials())
    await client.call("Refresh", messages.RefreshRequest(), messages.RefreshResponse)
    groups = await client.call("NodeGroups", messages.NodeGroupsRequest(), messages.NodeGroupsResponse)
    assert [group.id for group in groups.nodeGroups] == [GROUP, "default/group-1"]
    increase = messages.NodeGroupIncreaseSizeRequest(id=GROUP, delta=2)
    await client.call("NodeGroupIncreaseSize", increase, messages.NodeGroupIncreaseSizeResponse)
    size = messages.NodeGroupTargetSizeRequest(id=GROUP)
    assert (await client.call("NodeGroupTargetSize", size, messages.NodeGroupTargetSizeResponse)).targetSize == 2
    node = messages.NodeGroupForNodeRequest(node={"name": "group-0-0"})
    assert (await client.call("NodeGroupForNode", node, messages.NodeGroupForNodeResponse)).nodeGroup.id == GROUP
    options = messages.NodeGroupAutoscalingOptionsRequest(id=GROUP)
    await client.call("NodeGroupGetOptions", options, messages.NodeGroupAutoscalingOptionsResponse)
    template = messages.NodeGroupTemplateNodeInfoRequest(id=GROUP)
    await client.call("NodeGroupTemplateNodeInfo", template, messages.NodeGroupTemplateNodeInfoResponse)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["1.2", "1.3"])
async def test_http2_is_negotiated(serve: Serve, secret: Secret, tmp_path: Path, version: ssl.TLSVersion) -> None:
    """TLS 1.2 and 1.3 are spoken, and ALPN says h2: newer gRPC clients hang up without it."""
    context = client_context(tmp_path, CLIENTS)
    context.maximum_version = context.minimum_version = version
    context.set_alpn_protocols(["h2"])
    async with tls_stream(await serve(secret.settings()), context) as stream:
        await stream.do_handshake()
        assert stream.selected_alpn_protocol() == "h2"


ALLOWED = {
    "CN": "autoscaler",
    "DNS name": "Cluster-Autoscaler",
    "SPIFFE URI": "spiffe://site/ns/kube-system/sa/ca",
}


@pytest.mark.parametrize("allowed", ALLOWED.values(), ids=ALLOWED)
async def test_client_on_the_list(serve: Serve, secret: Secret, connect: Any, ping: Any, allowed: str) -> None:
    """The allow-list names clients by CN, DNS name or SPIFFE URI."""
    await ping(connect(await serve(secret.settings("somebody", allowed)), credentials()))


async def test_client_that_is_not_on_the_list(
    serve: Serve, secret: Secret, connect: Any, messages: Any, cloud: FakeCloud, caplog: pytest.LogCaptureFixture
) -> None:
    """Another client of the same CA is told PERMISSION_DENIED with its name, in hexa's log too, and changes nothing."""
    address = await serve(secret.settings("autoscaler"))
    stranger = issue(CA, Owner(name="stranger", uris=("SPIFFE://site/autoscaler",)))
    request = messages.NodeGroupIncreaseSizeRequest(id=GROUP, delta=2)
    status, text = await connect(address, credentials(stranger)).refused("NodeGroupIncreaseSize", request)
    assert status is grpc.StatusCode.PERMISSION_DENIED
    assert text == (
        "NotAllowed: its certificate names SPIFFE://site/autoscaler, stranger, and none of that is among grpc.tls.clients"
    )
    assert "refused: its certificate names SPIFFE://site/autoscaler, stranger" in caplog.text
    assert cloud.target_size(GROUP) == 0


BAD_CLIENTS: dict[str, tuple[Callable[[], Pair | None], str]] = {
    "none": (lambda: None, "it shows no certificate"),
    "expired": (lambda: issue(CA, ends=NOW - timedelta(minutes=1)), "its certificate has expired"),
    "not yet valid": (lambda: issue(CA, starts=NOW + DAY), "its certificate is not yet valid"),
    "another CA": (lambda: issue(OTHER_CA), "its certificate was not signed by grpc.tls.clientCa"),
    "self-signed": (authority, "its certificate is self-signed, not signed by grpc.tls.clientCa"),
    "a server's": (lambda: SERVERS, "its certificate is not made for clients"),
}


@pytest.mark.parametrize("kind", BAD_CLIENTS)
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["1.2", "1.3"])
async def test_bad_certificates_are_refused_with_a_reason(
    serve: Serve,
    secret: Secret,
    connect: Any,
    ping: Any,
    handshake_refused: Any,
    tmp_path: Path,
    kind: str,
    version: ssl.TLSVersion,
) -> None:
    """A client without a good certificate gets a TLS alert, hexa's log says why, and a good client is served meanwhile."""
    address = await serve(secret.settings())
    good = connect(address, credentials())
    await ping(good)
    make, why = BAD_CLIENTS[kind]
    context = client_context(tmp_path, make())
    context.maximum_version = context.minimum_version = version
    await handshake_refused(address, context, f"refused: {why}")
    await ping(good)


async def test_client_that_does_not_trust_hexa_is_named_as_such(
    serve: Serve, secret: Secret, connect: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """The commonest mistake, a CA file of another set at Cluster Autoscaler, is told in hexa's log."""
    address = await serve(secret.settings())
    await turned_away(connect(address, credentials(trust=OTHER_CA)))  # closes without an alert
    await until(lambda: "it hung up within the TLS handshake: does it trust hexa's certificate?" in caplog.text)
    with pytest.raises(ssl.SSLCertVerificationError):
        await trio.to_thread.run_sync(distrust, address)
    await until(lambda: "it does not trust hexa's certificate (unknown CA)" in caplog.text)


def distrust(address: str) -> None:
    """Shakes hands with an alert, as Go does."""
    host, _, port = address.rpartition(":")
    context = ssl.create_default_context(cadata=OTHER_CA.certificate)
    with socket.create_connection((host, int(port)), timeout=5) as sock:
        context.wrap_socket(sock, server_hostname="localhost")


async def test_old_tls_is_refused(serve: Serve, secret: Secret, handshake_refused: Any, tmp_path: Path) -> None:
    """TLS 1.1 is not spoken."""
    context = client_context(tmp_path, CLIENTS)
    with pytest.warns(DeprecationWarning, match="TLSv1_1 is deprecated"):
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    await handshake_refused(await serve(secret.settings()), context, "its TLS is older than 1.2")


# --- hostile peers ------------------------------------------------------------------------------------------------------


async def test_plain_text_is_refused(
    serve: Serve, secret: Secret, connect: Any, ping: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """Who speaks no TLS is cut off, with a line in the log."""
    address = await serve(secret.settings())
    for hello in (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n", os.urandom(300)):
        stream = await dialled(address)
        async with stream:
            await stream.send_all(hello)
            assert await ended(stream)
    await until(lambda: "it speaks" in caplog.text)
    await ping(connect(address, credentials()))


async def test_silence_and_slow_handshakes_are_cut_off(
    serve: Serve,
    secret: Secret,
    connect: Any,
    ping: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A peer that says nothing, stops within its handshake, or shakes hands and never calls, gets its time and no more."""
    monkeypatch.setattr(adapter, "CALL_LIMIT", 0.3)
    address = await serve(secret.settings())
    good = connect(address, credentials())
    await ping(good)
    context = client_context(tmp_path, CLIENTS)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    with pytest.raises(ssl.SSLWantReadError):
        context.wrap_bio(incoming, outgoing, server_hostname="localhost").do_handshake()
    hello = outgoing.read()
    async with await dialled(address) as silent, await dialled(address) as slow, tls_stream(address, context) as idle:
        await slow.send_all(hello[: len(hello) // 2])
        await idle.do_handshake()
        assert await ended(silent)
        assert await ended(slow)
        with pytest.raises(trio.BrokenResourceError):  # closed without a goodbye
            await drain(idle)
    assert "its TLS handshake takes too long" in caplog.text
    await ping(good)


async def test_half_open_connections_by_the_hundred(
    serve: Serve, secret: Secret, connect: Any, ping: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """Far more connections than are kept, none of which shakes hands: old and new clients are served, the oldest silent ones
    go, and the log has one line for them."""
    address = await serve(secret.settings())
    good = connect(address, credentials())
    await ping(good)
    silent = [await dialled(address) for _ in range(3 * adapter.MAX_CONNECTIONS)]
    await ping(good)
    await ping(connect(address, credentials()))
    for stream in silent[: adapter.MAX_CONNECTIONS]:
        assert await ended(stream)
    assert caplog.text.count("connections are taken") == 1
    for stream in silent:
        await stream.aclose()


async def test_a_stop_ends_handshakes_too(cloud: FakeCloud, secret: Secret) -> None:
    """Peers that shake hands do not hold up the end."""
    async with trio.open_nursery() as nursery:
        start = functools.partial(run_server, cloud, address="127.0.0.1:0", tls=secret.settings())
        async with await dialled(await nursery.start(start)) as stream:
            await trio.sleep(0.05)
            started = trio.current_time()
            nursery.cancel_scope.cancel()
    assert trio.current_time() - started < 1
    assert stream.socket.fileno() == -1


async def test_a_flood_of_refusals_is_counted(caplog: pytest.LogCaptureFixture, autojump_clock: MockClock) -> None:
    """Each kind of refusal is told at once; its repetitions are a number, a minute later."""
    complaints = Complaints("gRPC peer %s refused: %s%s")
    for number in range(500):
        complaints.tell("it is late", peer=f"10.0.0.1:{number}")
    complaints.tell("it is early", peer="10.0.0.1:1")
    await trio.sleep(PERIOD)
    complaints.tell("it is late", peer="10.0.0.2:1")
    assert [record.message for record in caplog.records] == [
        "gRPC peer 10.0.0.1:0 refused: it is late",
        "gRPC peer 10.0.0.1:1 refused: it is early",
        "gRPC peer 10.0.0.2:1 refused: it is late (and 499 more like it in the last 60 s)",
    ]


async def turned_away(client: Any) -> None:
    """This client gets no connection."""
    ask = functools.partial(client.channel.unary_unary("/x"), b"", timeout=5)
    with pytest.raises(grpc.RpcError) as failure:
        await trio.to_thread.run_sync(ask)
    assert failure.value.code() is grpc.StatusCode.UNAVAILABLE


async def dialled(address: str) -> trio.SocketStream:
    """A bare TCP connection."""
    host, _, port = address.rpartition(":")
    return await trio.open_tcp_stream(host, int(port))


async def ended(stream: trio.SocketStream) -> bool:
    """Whether the server ends this connection."""
    with trio.move_on_after(5):
        try:
            while await stream.receive_some(65536):
                pass
        except trio.BrokenResourceError:
            pass
        return True
    return False


async def drain(stream: trio.abc.ReceiveStream) -> None:
    """Read until it ends or breaks."""
    while await stream.receive_some(65536):
        pass


# --- certificates that change -------------------------------------------------------------------------------------------


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Files are looked at often, and the log has what is no warning too."""
    monkeypatch.setattr(tls, "LOOK_EVERY", 0.02)
    with caplog.at_level(logging.INFO, logger="hexa"):
        yield


async def test_the_end_of_the_certificate_is_told(secret: Secret) -> None:
    """Whoever watches for its end is told of it at once, and of the next one's when that is taken."""
    credentials, ends = await tls.open_credentials(secret.settings()), list[float]()
    credentials.on_loaded(ends.append)
    secret.change(server=issue(CA, SERVER, Usage.SERVER, ends=NOW + 90 * DAY))
    await credentials.look()
    assert ends == pytest.approx([(NOW + days * DAY).timestamp() for days in (60, 90)], abs=1)


async def test_files_that_vanish_while_they_are_read_end_nothing(
    secret: Secret, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """They were there for the first look and are not when they are loaded: what was loaded before goes on."""
    credentials = await tls.open_credentials(secret.settings())
    before, files = credentials.context, await trio.to_thread.run_sync(tls.read, secret.settings())
    for gone in ("certificate", "client_ca"):
        settings = structs.replace(secret.settings(), **{gone: Path("/none")})
        monkeypatch.setattr(credentials, "_tls", settings)
        monkeypatch.setattr(tls, "read", lambda _: structs.replace(files, client_ca=files.client_ca + b"\n"))
        await credentials.look()
        assert credentials.context is before
    assert "the old ones go on serving: the files of grpc.tls cannot be read: No such file" in caplog.text


@pytest.mark.usefixtures("quick")
async def test_new_certificates_are_used_without_a_restart(
    serve: Serve, secret: Secret, connect: Any, ping: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """The whole set is swapped for one of another CA while it serves: a connection that stands goes on, new clients of the
    new CA get in, those of the old one do not."""
    address = await serve(secret.settings())
    old = connect(address, credentials())
    await ping(old)
    secret.change(server=issue(OTHER_CA, SERVER, Usage.SERVER), trust=OTHER_CA)
    await until(lambda: "were read again" in caplog.text)
    await ping(old)
    await ping(connect(address, credentials(issue(OTHER_CA), trust=OTHER_CA)))
    await turned_away(connect(address, credentials(trust=OTHER_CA)))
    assert "its certificate was not signed by grpc.tls.clientCa" in caplog.text
    await ping(old)


BROKEN: dict[str, tuple[dict[str, Any], str]] = {
    "a key of another certificate": (
        {"tls_key": issue(CA).key},
        r"grpc.tls.key \(.*\) does not belong to grpc.tls.cert",
    ),
    "no PEM": ({"tls_crt": "x"}, r"grpc.tls.certificate \(.*/tls.crt\) holds no certificate in PEM"),
    "a damaged certificate": (
        {"tls_crt": "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"},
        r"grpc.tls.certificate \(.*\) and grpc.tls.key \(.*\) cannot be used",
    ),
    "an empty CA": ({"ca_crt": ""}, r"grpc.tls.clientCa \(.*/ca.crt\) holds no certificate in PEM"),
    "a damaged CA": (
        {"ca_crt": "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"},
        r"grpc.tls.clientCa \(.*/ca.crt\) cannot be used",
    ),
    "an encrypted key": ({"tls_key": "-----BEGIN ENCRYPTED PRIVATE KEY-----\n"}, r"grpc.tls.key \(.*\) is encrypted"),
    "an expired certificate": (
        {"server": issue(CA, SERVER, Usage.SERVER, ends=NOW - timedelta(minutes=1))},
        r"grpc.tls.certificate \(.*\): certificate has expired",
    ),
    "a client's certificate": ({"server": CLIENTS}, r"grpc.tls.certificate \(.*\): unsuitable certificate purpose"),
}


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("kind", BROKEN)
async def test_broken_files_leave_the_old_ones_serving(
    serve: Serve, secret: Secret, connect: Any, ping: Any, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    """What cannot be used is told once, by file, and changes nothing; once repaired, it is taken."""
    change, why = BROKEN[kind]
    address = await serve(secret.settings())
    secret.change(**change)
    await until(lambda: any(record.levelname == "ERROR" for record in caplog.records))
    await trio.sleep(0.1)
    (told,) = [record.message for record in caplog.records if record.levelname == "ERROR"]
    assert told.startswith("new gRPC certificates are not used, the old ones go on serving: ")
    with pytest.raises(AssertionError, match=why):
        raise AssertionError(told)
    assert "PRIVATE" not in caplog.text
    await ping(connect(address, credentials()))
    secret.change(server=issue(CA, SERVER, Usage.SERVER), trust=CA)
    await until(lambda: "were read again" in caplog.text)
    await ping(connect(address, credentials()))


@pytest.mark.usefixtures("quick")
async def test_files_that_are_away_for_a_moment(
    serve: Serve, secret: Secret, connect: Any, ping: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """A folder that vanishes is told and survived."""
    address = await serve(secret.settings())
    (secret.folder / "..data").unlink()
    await until(lambda: "tls.crt) cannot be read: No such file or directory" in caplog.text)
    await ping(connect(address, credentials()))


@pytest.mark.parametrize(
    "kind", [kind for kind in BROKEN if kind not in ("an expired certificate", "a client's certificate")]
)
async def test_broken_files_at_the_start_are_refused(cloud: FakeCloud, secret: Secret, kind: str) -> None:
    """hexa does not start with files that it cannot use, and says which."""
    change, why = BROKEN[kind]
    secret.change(**change)
    with pytest.raises(Refused, match=why):
        await run_server(cloud, address="127.0.0.1:0", tls=secret.settings())


async def test_missing_files_at_the_start_are_named(cloud: FakeCloud, tmp_path: Path) -> None:
    """A path that leads nowhere is named with its setting."""
    settings = Tls(certificate=tmp_path / "a", key=tmp_path / "b", client_ca=tmp_path / "c")
    with pytest.raises(Refused, match=r"^grpc.tls.certificate \(.*/a\) cannot be read: No such file or directory"):
        await run_server(cloud, address="127.0.0.1:0", tls=settings)


async def test_expired_certificate_at_the_start_is_no_end(
    serve: Serve, secret: Secret, caplog: pytest.LogCaptureFixture
) -> None:
    """hexa has more to do than to answer: with a certificate that has expired it starts, and says that clients will refuse."""
    secret.change(server=issue(CA, SERVER, Usage.SERVER, ends=NOW - timedelta(minutes=1)))
    await serve(secret.settings())
    assert "gRPC clients will refuse hexa's certificate" in caplog.text
    assert "certificate has expired" in caplog.text


async def test_end_of_the_certificate_is_told_before(
    serve: Serve, secret: Secret, caplog: pytest.LogCaptureFixture
) -> None:
    """Thirty days before the end the log says so; before that it is silent."""
    await serve(secret.settings())
    assert "renew it" not in caplog.text
    secret.change(server=issue(CA, SERVER, Usage.SERVER, ends=NOW + timedelta(days=10, hours=1)))
    await serve(secret.settings())
    assert "tls.crt) ends in 10 days: renew it" in caplog.text


# --- without TLS --------------------------------------------------------------------------------------------------------


async def test_plain_text_on_the_network_is_loud(
    cloud: FakeCloud, nursery: trio.Nursery, caplog: pytest.LogCaptureFixture
) -> None:
    """Where it is allowed, the log warns at each start; on the loopback it does not."""
    start = functools.partial(run_server, cloud, insecure=True)
    await nursery.start(functools.partial(start, address="127.0.0.1:0"))
    assert caplog.text == ""
    await nursery.start(functools.partial(start, address="0.0.0.0:0"))
    assert "gRPC IS SERVED WITHOUT TLS ON 0.0.0.0:" in caplog.text


async def test_tls_serves_the_network(
    cloud: FakeCloud, nursery: trio.Nursery, secret: Secret, connect: Any, ping: Any
) -> None:
    """With TLS every interface is served, without the loud flag."""
    start = functools.partial(run_server, cloud, address="0.0.0.0:0", tls=secret.settings())
    bound = await nursery.start(start)
    await ping(connect(f"127.0.0.1:{bound.rpartition(':')[2]}", credentials()))
