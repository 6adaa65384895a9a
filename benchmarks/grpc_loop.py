"""Cluster Autoscaler's calls of one loop, from another process, beside a bare grpclib handler that decodes nothing.

One process serves, over 20 groups, hexa's provider on a site in memory (or a Cloud of dictionaries, to tell the server's
share from the provider's), and on another port the bare handler. A second process calls with grpcio, in turns.

What the HTTP port costs these calls is less than two processes differ by: that table has the plain server and each other
one side by side, called in turns, several pairs of processes one after the other.
"""

import functools
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grpclib.const
import grpclib.server
import msgspec
import trio
import trio_asyncio
from _process import cpu_seconds, run, serving
from _table import show
from _viewers import watched
from grpclib.encoding.base import CodecBase

from hexa import wiring_http
from hexa.adapters.externalgrpc import emit, wire
from hexa.adapters.externalgrpc.adapter import run_server
from hexa.adapters.externalgrpc.config import Tls
from hexa.adapters.externalgrpc.service import PREFIX
from hexa.adapters.x509.adapter import X509Issuer
from hexa.app.certificates import Certificates
from hexa.app.commands.certs import Order, files, make
from hexa.app.core import Core
from hexa.app.metrics.calls import CountedCalls
from hexa.app.tariffs import Tariffs
from hexa.config import Config
from hexa.ports.cloud import Cloud, NodeGroup
from hexa.settings import HttpSettings
from hexa.testing.fake_cloud import FakeCloud
from hexa.testing.world import World, group, machine, open_world

GROUPS = 20
SIZES = (10, 100, 1000)
TURNS, CALLS, LOOPS = 10, 200, 7
PAIRS, PAIR_SIZE, PAIR_TURNS = 5, 200, 30
TIMEOUT = 5


def main() -> None:
    rows = []
    for source in ("dictionaries", "hexa", "hexa, counted", "hexa, ten viewers", "hexa, TLS"):
        for size in SIZES:
            with serving(__file__, "serve", source, str(size)) as (pid, served):
                with watched(served["http"]) if served["http"] else nullcontext():
                    rows.append([source, size, *measured(pid, served)])
    heads = (
        "cloud",
        "machines",
        "p50 ms",
        "bare p50 ms",
        "ratio",
        "p99 ms",
        "bare p99 ms",
        "loop s",
        "server CPU s a loop",
    )
    note = "The bare handler speaks no TLS. "
    note += f"p50, p99: NodeGroupForNode with 30 labels and 20 annotations; a loop: all calls for {GROUPS} groups and all machines."
    show("Cluster Autoscaler's calls", heads, rows, note=note)
    pairs = [compared(source) for source in ("hexa", "hexa, counted", "hexa, ten viewers")]
    heads = (
        "cloud",
        "call p50 ms",
        "plain p50 ms",
        "ratio",
        "loop ms",
        "plain loop ms",
        "ratio",
        "ratios of the pairs",
    )
    note = f"{PAIR_SIZE} machines; medians over {PAIRS} pairs of servers, {PAIR_TURNS} turns each. "
    note += "First row: a plain server beside itself."
    show("What metrics, page and viewers cost these calls", heads, pairs, note=note)


def compared(source: str) -> list[Any]:
    """A row: `source` beside the plain server, called in turns."""
    seen = [_pair(source) for _ in range(PAIRS)]
    call, plain_call, loop, plain_loop = (statistics.median(pair[n] * 1e3 for pair in seen) for n in range(4))
    ratios = sorted(pair[2] / pair[3] for pair in seen)
    each = " ".join(f"{ratio:.3f}" for ratio in ratios)
    return [source, call, plain_call, call / plain_call, loop, plain_loop, statistics.median(ratios), each]


def _pair(source: str) -> list[float]:
    """Seconds: a call and a loop of `source`, and of a plain server that started after it; medians."""
    with (
        serving(__file__, "serve", source, str(PAIR_SIZE)) as (_, theirs),
        serving(__file__, "serve", "hexa", str(PAIR_SIZE)) as (_, plain),
        watched(theirs["http"]) if theirs["http"] else nullcontext(),
    ):
        asked = msgspec.json.encode([theirs, plain]).decode()
        return run(__file__, "turns", asked)


def measured(pid: int, served: dict[str, Any]) -> list[float]:
    calls = run(__file__, "calls", msgspec.json.encode(served).decode())
    before = cpu_seconds(pid)
    loops = run(__file__, "loops", msgspec.json.encode(served).decode())
    cpu = (cpu_seconds(pid) - before) / (LOOPS + 1)
    ours, bare = sorted(calls["hexa"]), sorted(calls["bare"])
    p50, bare_p50 = statistics.median(ours), statistics.median(bare)
    p99, bare_p99 = ours[len(ours) * 99 // 100], bare[len(bare) * 99 // 100]
    return [p50 * 1e3, bare_p50 * 1e3, p50 / bare_p50, p99 * 1e3, bare_p99 * 1e3, statistics.median(loops), cpu]


# --- the process that serves --------------------------------------------------------------------------------------------


async def serve(source: str, size: int) -> None:
    if source != "dictionaries":
        await serve_world(size, tls=source.endswith("TLS"), counted="counted" in source, http="viewers" in source)
    else:
        cloud = FakeCloud(groups=min(GROUPS, size), machines=-(-size // GROUPS))
        names = [(m.name, m.provider_id) for g in cloud.fake_groups.values() for m in g.machines]
        for name, _ in names:
            cloud.arrive(name)
        await serve_both(cloud, names)


async def serve_world(size: int, *, tls: bool, counted: bool, http: bool) -> None:
    count = min(GROUPS, size)
    machines = [machine(f"machine-{n:04}", group=f"group-{n % count}", on=True) for n in range(size)]
    groups = [group(f"group-{number}", maxNodeProvisionTime="10m") for number in range(count)]
    async with open_world(groups=groups, machines=machines, autoscaler=None) as world:
        await world.until(lambda: set(world.phases().values()) == {"Ready"}, within=120)
        nodes = [world.kube_node(machine.name) for machine in machines]
        life = world.agent.life
        assert life is not None
        names = [(node.metadata.name, node.spec.provider_id) for node in nodes if node]
        if not http:
            await serve_both(life.core.cloud, names, tls=tls, calls=CountedCalls() if counted else None)
            return
        async with trio.open_nursery() as nursery:
            metrics, bound = await nursery.start(serve_http, world, life.core)
            await serve_both(life.core.cloud, names, calls=metrics.calls, http=bound)


async def serve_http(world: World, core: Core, *, task_status: trio.TaskStatus[Any]) -> None:
    """The port with all that it has, for whoever comes."""
    config = Config(http=HttpSettings(address="127.0.0.1:0", anonymous_read=True))
    tariffs, certificates = Tariffs(), Certificates()
    metrics = wiring_http.make_metrics(tariffs=tariffs, certificates=certificates)
    metrics.follow(core)
    of_core = functools.partial(
        wiring_http.serve_http, core=core, kube=world.kube, journal=world.journal, metrics=metrics
    )
    known = functools.partial(of_core, ready=lambda: True, tariffs=tariffs, certificates=certificates)
    async with trio.open_nursery() as nursery:
        task_status.started((metrics, await nursery.start(known, config)))


async def serve_both(
    cloud: Cloud,
    names: list[tuple[str, str]],
    *,
    tls: bool = False,
    calls: CountedCalls | None = None,
    http: str = "",
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        await serve_with(cloud, names, certificates(Path(folder)) if tls else {}, calls, http)


def certificates(folder: Path) -> dict[str, str]:
    """Files of a working set, by name."""
    order = Order()
    for file in files(make(X509Issuer(), order, now=datetime.now(UTC)), order, folder=str(folder)):
        (folder / file.name).write_text(file.content)
    return {file.name: str(file) for file in folder.iterdir()}


async def serve_with(
    cloud: Cloud, names: list[tuple[str, str]], pki: dict[str, str], calls: CountedCalls | None, http: str
) -> None:
    tls = None
    if pki:
        certificate, key, client_ca = (Path(pki[name]) for name in ("server.crt", "server.key", "ca.crt"))
        tls = Tls(certificate=certificate, key=key, client_ca=client_ca, clients=("cluster-autoscaler",))
    async with trio.open_nursery() as nursery:
        ours = await nursery.start(functools.partial(run_server, cloud, address="127.0.0.1:0", tls=tls, calls=calls))
        bare = await nursery.start(serve_bare)
        served = {
            "hexa": ours,
            "bare": bare,
            "pki": pki,
            "http": http,
            "names": names,
            "groups": [shown.id for shown in cloud.groups()],
        }
        print(msgspec.json.encode(served).decode(), flush=True)


class Bytes(CodecBase):
    """Messages are what is on the wire."""

    __content_subtype__ = "proto"

    def encode(self, message: Any, message_type: Any) -> Any:
        return message

    def decode(self, data: bytes, message_type: Any) -> bytes:
        return data


class Bare:
    """Takes a message, gives an answer as long as hexa's, looks at nothing."""

    answer = wire.group_for_node(
        NodeGroup("machines/group-1", 0, 50, "machines/group-1: 50 machines, 50 Ready, 50 wanted")
    )

    async def node_group_for_node(self, stream: Any) -> None:
        await stream.recv_message()
        await stream.send_message(self.answer)

    def __mapping__(self) -> dict[str, Any]:
        unary = grpclib.const.Cardinality.UNARY_UNARY
        handler = grpclib.const.Handler(self.node_group_for_node, unary, bytes, bytes)
        return {PREFIX + "NodeGroupForNode": handler}


async def serve_bare(*, task_status: trio.TaskStatus[str]) -> None:
    async with trio_asyncio.open_loop():

        async def start() -> None:
            await grpclib.server.Server([Bare()], codec=Bytes()).start(sock=sock)

        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        sock.bind(("127.0.0.1", 0))
        await trio_asyncio.aio_as_trio(start)()
        task_status.started(f"127.0.0.1:{sock.getsockname()[1]}")
        await trio.sleep_forever()


# --- the process that calls ---------------------------------------------------------------------------------------------


class Caller:
    """Calls in Cluster Autoscaler's way: one after the other, with a deadline."""

    def __init__(self, address: str, pki: dict[str, str]) -> None:
        import grpc  # the process that serves does without

        if pki:
            shown = [Path(pki[name]).read_bytes() for name in ("ca.crt", "client.key", "client.crt")]
            self._channel = grpc.secure_channel(address, grpc.ssl_channel_credentials(*shown))
        else:
            self._channel = grpc.insecure_channel(address)
        self._stubs: dict[str, Callable[..., bytes]] = {}

    def __call__(self, rpc: str, request: bytes = b"") -> bytes:
        if (stub := self._stubs.get(rpc)) is None:
            stub = self._stubs[rpc] = self._channel.unary_unary(PREFIX + rpc)
        return stub(request, timeout=TIMEOUT)


def node_request(name: str, provider_id: str) -> bytes:
    labels = {f"label.example.com/key-number-{n:02}": f"some-label-value-{n:02}" for n in range(30)}
    annotations = {f"annotation.example.com/some-key-{n:02}": "x" * 90 for n in range(20)}
    node = emit.text(1, provider_id) + emit.text(2, name) + emit.texts(3, labels) + emit.texts(4, annotations)
    return emit.message(1, node)


def calls(served: dict[str, Any]) -> dict[str, list[float]]:
    """Seconds of each NodeGroupForNode, in turns of hexa and the bare handler."""
    requests = [node_request(*names) for names in served["names"]]
    callers = {"hexa": Caller(served["hexa"], served["pki"]), "bare": Caller(served["bare"], {})}
    seconds: dict[str, list[float]] = {name: [] for name in callers}
    for turn in range(TURNS + 1):
        for name, caller in callers.items():
            for number in range(CALLS):
                request = requests[(turn * CALLS + number) % len(requests)]
                started = time.perf_counter()
                caller("NodeGroupForNode", request)
                if turn:  # the first one warms up
                    seconds[name].append(time.perf_counter() - started)
    return seconds


def turns(both: list[dict[str, Any]]) -> list[float]:
    """Seconds of a call of each of two servers, and of a loop of each: medians over turns, who begins changes."""
    sides = [Loop(served) for served in both]
    seen: list[tuple[list[float], list[float]]] = [([], []), ([], [])]
    for turn in range(PAIR_TURNS + 1):
        for number in (0, 1) if turn % 2 else (1, 0):
            spent = sides[number]()
            if turn:  # the first one warms up
                seen[number][0].extend(spent)
                seen[number][1].append(sum(spent))
    return [statistics.median(spent) for kind in (0, 1) for spent in (seen[0][kind], seen[1][kind])]


class Loop:
    """All calls of one loop of Cluster Autoscaler."""

    def __init__(self, served: dict[str, Any]) -> None:
        self._caller = Caller(served["hexa"], served["pki"])
        self._nodes = [node_request(*names) for names in served["names"]]
        self._groups = [emit.text(1, group) for group in served["groups"]]

    def __call__(self) -> list[float]:
        """Seconds of each call."""
        return [self._spent(*asked) for asked in self._calls()]

    def _calls(self) -> Iterator[tuple[str, bytes]]:
        defaults = emit.message(2, b"".join(emit.message(field, emit.number(1, 600)) for field in (8, 9, 10)))
        yield "Refresh", b""
        yield "NodeGroups", b""
        yield from (("NodeGroupForNode", node) for node in self._nodes)
        for asked in self._groups:
            yield "NodeGroupTargetSize", asked
            yield "NodeGroupNodes", asked
            yield "NodeGroupTemplateNodeInfo", asked
            yield "NodeGroupGetOptions", asked + defaults

    def _spent(self, rpc: str, request: bytes) -> float:
        started = time.perf_counter()
        self._caller(rpc, request)
        return time.perf_counter() - started


def loops(served: dict[str, Any]) -> list[float]:
    """Seconds of each loop."""
    loop = Loop(served)
    return [sum(loop()) for _ in range(LOOPS + 1)][1:]


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["serve", source, size]:
            trio.run(serve, source, int(size))
        case ["calls", served]:
            print(msgspec.json.encode(calls(msgspec.json.decode(served))).decode())
        case ["turns", both]:
            print(msgspec.json.encode(turns(msgspec.json.decode(both))).decode())
        case ["loops", served]:
            print(msgspec.json.encode(loops(msgspec.json.decode(served))).decode())
        case _:
            main()
