"""Settings reach what they are about: the gRPC server with its TLS, and the listener for probes."""

import json
import re
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio
from msgspec import structs
from trio.testing import MockClock, wait_all_tasks_blocked

from hexa import wiring
from hexa.adapters.externalgrpc.config import Tls
from hexa.adapters.kube_http.config import Cluster
from hexa.adapters.memory.clock import MemoryClock
from hexa.adapters.memory.cluster.api import MemoryApi
from hexa.adapters.memory.ports.kube import MemoryKube
from hexa.config import Config
from hexa.domain.errors import Refused, Unavailable
from hexa.domain.news import News, What
from hexa.domain.notify.written import WrittenReceiver
from hexa.domain.resources.core import NODES
from hexa.domain.resources.v1alpha1 import Lookup
from hexa.settings import GrpcSettings, HttpSettings, TlsSettings
from tests.cloudprovider_client import Client


@asynccontextmanager
async def memory(*_: Any, **__: Any) -> AsyncIterator[MemoryKube]:
    """An API server in RAM instead of one by HTTP."""
    yield MemoryKube(MemoryApi(MemoryClock()))


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cluster that needs no kubeconfig."""
    monkeypatch.setattr(wiring, "open_kube", memory)
    monkeypatch.setattr(wiring, "load", lambda *_, **__: Cluster(server="https://test", origin="test"))
    monkeypatch.setattr(wiring, "load_models", trio.lowlevel.checkpoint)


async def fine(**_: Any) -> None:
    """Files that can be used."""


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@pytest.mark.usefixtures("cluster")
async def test_tls_reaches_the_server_and_probes_are_answered_before_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The server gets the three files and the clients; while it is not up yet, probes find hexa alive and not ready."""
    port = free_port()
    seen: list[Any] = []

    async def run_server(_: Any, *, tls: Tls | None, task_status: Any, **__: Any) -> None:
        seen.append(tls)
        async with await trio.open_tcp_stream("127.0.0.1", port):
            seen.append("alive")
        task_status.started("127.0.0.1:1")
        await trio.sleep_forever()

    monkeypatch.setattr(wiring, "run_server", run_server)
    monkeypatch.setattr(wiring, "check_server", fine)
    tls = TlsSettings(certificate="a", key="b", client_ca="c", clients=("d",))
    async with wiring.open_agent(Config(grpc=GrpcSettings(health_address=f"127.0.0.1:{port}", tls=tls))):
        pass
    assert seen == [Tls(certificate=Path("a"), key=Path("b"), client_ca=Path("c"), clients=("d",)), "alive"]


@pytest.mark.usefixtures("cluster")
async def test_an_agent_that_stood_still_takes_no_silence_for_proof(
    monkeypatch: pytest.MonkeyPatch, mock_clock: MockClock
) -> None:
    """Its host stopped it for two minutes: it sees only since it goes on, and has been blind as long."""

    async def run_server(*_: Any, task_status: Any, **__: Any) -> None:
        task_status.started("127.0.0.1:1")
        await trio.sleep_forever()

    monkeypatch.setattr(wiring, "run_server", run_server)
    monkeypatch.setattr(wiring, "check_server", fine)
    monkeypatch.setattr(wiring, "SystemClock", MemoryClock)
    async with wiring.open_agent(Config()) as agent:
        await wait_all_tasks_blocked()
        store = agent.core.store
        seen = store.watching_since
        mock_clock.jump(120)
        await wait_all_tasks_blocked()
        assert seen is not None
        assert store.watching_since == seen + timedelta(seconds=120)
        assert store.blind_seconds(seen) == 120


SENT = 'hexa_notifications_total{outcome="sent",receiver="me"} 1'


@pytest.mark.usefixtures("cluster")
async def test_notifications_leave_the_agent(capfd: pytest.CaptureFixture[str]) -> None:
    """What happens reaches a webhook, and is counted; a receiver that makes no sense is named in the log, and the agent serves all
    the same."""
    heard: list[bytes] = []

    async def answer(stream: trio.SocketStream) -> None:
        while b"}" not in b"".join(heard):
            heard.append(await stream.receive_some(10_000))
        await stream.send_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    async with trio.open_nursery() as nursery:
        [listener] = await nursery.start(partial(trio.serve_tcp, answer, 0, host="127.0.0.1"))
        url = f"http://127.0.0.1:{listener.socket.getsockname()[1]}/"
        notify = (WrittenReceiver(name="me", url=url), WrittenReceiver(name="odd", url=url, body="{x}"))
        grpc, http = GrpcSettings(address="127.0.0.1:0"), HttpSettings(address="127.0.0.1:0", anonymous_read=True)
        async with wiring.open_agent(Config(grpc=grpc, http=http, notify=notify)) as agent:
            agent.core.news.tell(News(of=Lookup("d", "box"), what=What.FOUND_OFF, why="its plug was pulled"))
            async with httpx.AsyncClient(base_url=f"http://{agent.http}", trust_env=False) as client:
                for _ in range(100):
                    if SENT in (found := (await client.get("/metrics")).text):
                        break
                    await trio.sleep(0.1)
        nursery.cancel_scope.cancel()
    assert SENT in found
    assert b"somebody else switched box off" in b"".join(heard)
    assert "notify[1].body: there is no field {x}" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("grpc", "said"),
    [
        (GrpcSettings(tls=TlsSettings(certificate="no.crt", key="no.key", client_ca="no.ca")), "cannot be read"),
        (GrpcSettings(address="0.0.0.0:0"), "can be reached from the network, and there is no TLS"),
    ],
)
async def test_settings_of_the_server_are_refused_before_anything_is_begun(
    monkeypatch: pytest.MonkeyPatch, grpc: GrpcSettings, said: str
) -> None:
    """TLS files that are missing, and plain text on a network, end `hexa run` at once, also while the API server is away."""
    monkeypatch.setattr(wiring, "load", lambda *_, **__: Cluster(server="https://192.0.2.1:1", origin="test"))
    with trio.fail_after(2), pytest.raises(Refused, match=said):
        async with wiring.open_agent(Config(grpc=grpc)):
            pass


@pytest.mark.usefixtures("cluster")
@pytest.mark.parametrize(
    ("settings", "status"),
    [
        ({"anonymous_read": True}, 200),
        ({}, 401),
        ({"anonymous_read": True, "metrics": False}, 404),
    ],
)
async def test_metrics_are_served_where_they_are_switched_on(settings: dict[str, Any], status: int) -> None:
    """Prometheus reads the metrics of the agent from its HTTP port, by a token unless everybody may read; a second look finds what
    the first one did."""
    http = HttpSettings(address="127.0.0.1:0", page=False, api=False, **settings)
    async with wiring.open_agent(Config(grpc=GrpcSettings(address="127.0.0.1:0"), http=http)) as agent:
        async with httpx.AsyncClient(base_url=f"http://{agent.http}", trust_env=False) as client:
            answers = [await client.get("/metrics") for _ in range(2)]
    assert {answer.status_code for answer in answers} == {status}
    if status == 200:
        names = [
            {re.split("[{ ]", line)[0] for line in answer.text.splitlines() if line[0] != "#"} for answer in answers
        ]
        assert names[0] == names[1] >= {"hexa_build_info", "hexa_watch_lag_seconds", "process_resident_memory_bytes"}
        assert 'hexa_watch_lag_seconds{kind="Node"} 0.0' in answers[0].text


@pytest.mark.usefixtures("cluster")
async def test_cluster_autoscaler_is_answered_whatever_comes_over_http() -> None:
    """Garbage, silence and floods of connections on the HTTP port, many at once: each call of gRPC is answered in its time, and
    the probes of the HTTP port too."""
    http = HttpSettings(address="127.0.0.1:0", anonymous_read=True)

    async def rage(port: int, sent: bytes) -> None:
        while True:
            async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
                with suppress(trio.BrokenResourceError), trio.move_on_after(0.1):
                    await stream.send_all(sent)
                    await stream.receive_some(100)

    async with wiring.open_agent(Config(grpc=GrpcSettings(address="127.0.0.1:0"), http=http)) as agent:
        autoscaler = Client(agent.address)
        async with trio.open_nursery() as nursery, httpx.AsyncClient(trust_env=False) as probe:
            for sent in (b"", b"\x16\x03\x01garbage\r\n\r\n", b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n") * 2:
                nursery.start_soon(rage, int(agent.http.rpartition(":")[2]), sent)
            for _ in range(5):
                with trio.fail_after(2):
                    assert await autoscaler.call("NodeGroups", b"", None) == b""
                    assert (await probe.get(f"http://{agent.http}/livez")).status_code == 200
            nursery.cancel_scope.cancel()
        autoscaler.channel.close()


async def test_a_person_does_not_wait_long_for_an_api_server_that_says_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What takes a connection and never answers, as behind a broken load balancer, ends as an error within PATIENCE."""
    assert max(wiring.PATIENCE.connect, wiring.PATIENCE.answer) <= 10
    monkeypatch.setattr(wiring, "PATIENCE", structs.replace(wiring.PATIENCE, answer=0.05))
    with socket.create_server(("127.0.0.1", 0)) as silent:
        cluster = {"server": f"http://127.0.0.1:{silent.getsockname()[1]}"}
        named = {
            "clusters": [{"name": "c", "cluster": cluster}],
            "contexts": [{"name": "c", "context": {"cluster": "c"}}],
        }
        (tmp_path / "config").write_text(json.dumps({**named, "current-context": "c"}))
        async with wiring.open_cluster(kubeconfig=str(tmp_path / "config")) as (kube, _):
            with pytest.raises(Unavailable, match="no answer within the time"), trio.fail_after(5):
                await kube.list(NODES)
