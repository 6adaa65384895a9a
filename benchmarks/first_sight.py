"""Machines that hexa sees for the first time, and a site where nothing happens: CPU of the agent's process, and how long Cluster
Autoscaler's questions take meanwhile.

The API server in RAM runs in another process, behind HTTP without TLS, and a third one asks NodeGroupForNode all the time. The
yardstick is the same question while nothing happens.
"""

import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import msgspec
from _api_server import SPACE
from _process import cpu_seconds, resident_mib, run, serving
from _table import show
from grpc_loop import Caller, node_request

COUNT, GROUPS = 1000, 20
IDLE, LONGEST = 60.0, 300.0
API_SERVER = str(Path(__file__).with_name("_api_server.py"))


def main() -> None:
    rows = [measured(kind) for kind in ("live", "live, not asked", "dead", "dead, not asked")]
    heads = ["machines", "first sight s", "CPU s", "p50 ms", "p99 ms", "idle CPU %", "idle p99 ms", "RSS MiB"]
    note = f"{COUNT} machines of {GROUPS} groups with maxSize; live ones renew {COUNT / 10:g} leases a second"
    show("First sight of machines, NodeGroupForNode meanwhile, and idle after it", heads, rows, note=note)


def measured(kind: str) -> list[Any]:
    state, asks = kind.split(",")[0], "not asked" not in kind
    wanted = {"Ready": COUNT} if state == "live" else {"Off": COUNT}
    with (
        tempfile.TemporaryDirectory() as folder,
        serving(API_SERVER, str(COUNT), str(GROUPS), state) as (_, served),
        agent(served["server"], Path(folder)) as (process, address, begun),
    ):
        asking = subprocess.Popen([sys.executable, __file__, "ask", address], stdout=subprocess.PIPE) if asks else None
        while phases(served["server"]) != wanted and time.perf_counter() < begun + LONGEST:
            time.sleep(0.5)
        took, cpu = time.perf_counter() - begun, cpu_seconds(process)
        p50, p99 = ended(asking) if asking is not None else ("", "")
        time.sleep(15)
        before = cpu_seconds(process)
        time.sleep(IDLE)
        idle = (cpu_seconds(process) - before) / IDLE * 100
        quiet = run(__file__, "ask", address, "3")
        return [kind, took, cpu, p50, p99, idle, quiet[1], resident_mib(process)]


@contextmanager
def agent(server: str, folder: Path) -> Iterator[tuple[int, str, float]]:
    """`hexa run` from its start; its process id, the address where it serves, and when it was started."""
    cluster = {"name": "c", "cluster": {"server": server}}
    context = {"name": "c", "context": {"cluster": "c", "user": "u"}}
    config = {
        "clusters": [cluster],
        "contexts": [context],
        "users": [{"name": "u", "user": {}}],
        "current-context": "c",
    }
    (folder / "kubeconfig").write_bytes(msgspec.json.encode(config))
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    arguments = [f"--kubeconfig={folder}/kubeconfig", f"--namespace={SPACE}", f"--grpc-address={address}"]
    begun = time.perf_counter()
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([sys.executable, "-m", "hexa", "run", *arguments], stderr=log)
    try:
        while not answers(address):
            assert process.poll() is None, (folder / "log").read_text()
            time.sleep(0.1)
        yield process.pid, address, begun
    finally:
        process.terminate()
        process.wait(timeout=30)


def answers(address: str) -> bool:
    host, port = address.split(":")
    with suppress(OSError), socket.create_connection((host, int(port)), 1):
        return True
    return False


def phases(server: str) -> dict[str, int]:
    with urlopen(f"{server}/phases") as answer:
        found: dict[str, int] = msgspec.json.decode(answer.read())["phases"]
        return found


def ended(asking: "subprocess.Popen[bytes]") -> list[float]:
    """What the caller found until now."""
    asking.terminate()
    out, _ = asking.communicate()
    found: list[float] = msgspec.json.decode(out)
    return found


def ask(address: str, seconds: float) -> list[float]:
    """p50 and p99 of NodeGroupForNode in ms, asked one after the other until the time is over or somebody ends it."""
    caller, found, end = Caller(address, {}), list[float](), time.perf_counter() + seconds
    requests = [node_request(f"m{number}", f"hexa://{SPACE}/m{number}") for number in range(COUNT)]
    with suppress(KeyboardInterrupt):
        while time.perf_counter() < end:
            began = time.perf_counter()
            caller("NodeGroupForNode", requests[len(found) % COUNT])
            found.append((time.perf_counter() - began) * 1000)
            time.sleep(0.002)
    found.sort()
    return [found[len(found) // 2], found[int(len(found) * 0.99)]]


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["ask", address, *rest]:
            import signal

            signal.signal(signal.SIGTERM, signal.default_int_handler)
            print(msgspec.json.encode(ask(address, float(rest[0]) if rest else LONGEST)).decode())
        case _:
            main()
