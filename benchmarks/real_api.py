"""The agent against a real API server: start, memory, CPU, IncreaseSize until Jobs exist, Ready until schedulable.

Yardsticks in the same run: an interpreter that only imports httpx and trio and lists the same objects (start), a burst of
ten plain Job creations by httpx (IncreaseSize), and the Ready condition itself (schedulable). Needs what `./dev e2e` needs.
"""

import os
import re
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import trio

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "e2e")]

import lab as labs  # noqa: E402
from _table import show  # noqa: E402
from agent import Agent, ClusterAutoscaler, group, messages_in, phases  # noqa: E402

GROUPS_OF = 50
API = "infra.homecluster.dev/v1alpha1"
LIST_ONLY = """
import json, ssl, sys, httpx, trio
async def main():
    context = ssl.create_default_context(); context.check_hostname = False; context.verify_mode = ssl.CERT_NONE
    async with httpx.AsyncClient(verify=context, headers={"Authorization": "Bearer " + sys.argv[2]}) as client:
        for path in ("/api/v1/nodes", "/apis/infra.homecluster.dev/v1alpha1/nodes", "/apis/infra.homecluster.dev/v1alpha1/groups"):
            (await client.get(sys.argv[1] + path)).json()
trio.run(main)
"""


def main() -> None:
    """Every figure, in tables."""
    with labs.open_run() as folder, tempfile.TemporaryDirectory() as scratch:
        lab = labs.Lab(folder, labs.build(print), kind="simulated")
        trio.run(_all, lab, Path(scratch))


async def _all(lab: labs.Lab, scratch: Path) -> None:
    await lab.start()
    try:
        kubectl = [str(lab.binaries / "kubectl"), f"--kubeconfig={lab.control_plane.kubeconfig()}"]
        for arguments in (
            ["apply", "-f", str(ROOT / "deploy/crds")],
            ["wait", "--for=condition=Established", "-f", str(ROOT / "deploy/crds")],
        ):
            await trio.run_process([*kubectl, *arguments], capture_stdout=True)
        async with lab.control_plane.open_api() as api:
            await _start_and_memory(lab, api, scratch)
        await _power(lab, scratch)
    finally:
        await lab.stop()


# --- start, memory, CPU ---------------------------------------------------------------------------------------------


async def _start_and_memory(lab: labs.Lab, api: labs.Api, scratch: Path) -> None:
    rows = []
    for count, nodes in ((10, 10), (100, 100), (1000, 0), (1000, 1000)):
        async with labs.open_namespace(api, f"bench-{count}-{nodes}") as namespace:
            await _declare(api, namespace, count, nodes=nodes > 0)
            seconds = 100 if count == 1000 else 10
            rows.append([count, nodes, *await _one_start(lab, namespace, scratch, seconds=seconds)])
            await _clear(api, namespace, count)
    heads = [
        "machines",
        "dead nodes",
        "serving s",
        "again s",
        "list only s",
        "ratio",
        "RSS MiB",
        "first CPU s",
        "again CPU s",
        "in s",
    ]
    show(
        "Process start until serving, resident memory, CPU since start (Cluster Autoscaler's loop each 10 s)",
        heads,
        rows,
    )


async def _declare(api: labs.Api, namespace: str, count: int, *, nodes: bool = True) -> None:
    """Machines that are off; with `nodes`, each with a Kubernetes node that no kubelet keeps: the dearest first sight."""
    for number in range(max(count // GROUPS_OF, 1)):
        await api.create(group(namespace, f"g{number}"))
    async with trio.open_nursery() as nursery:
        limit = trio.CapacityLimiter(16)
        for number in range(count):
            nursery.start_soon(_declare_one, api, namespace, number, nodes, limit)


async def _declare_one(api: labs.Api, namespace: str, number: int, nodes: bool, limit: trio.CapacityLimiter) -> None:
    name, owner = f"{namespace}-{number}", f"g{number // GROUPS_OF}"
    pod = {"image": "example.org/power:1", "command": ["wake", name]}
    capacity = {"cpu": "8", "memory": "32Gi", "pods": "110"}
    async with limit:
        machine = {
            "apiVersion": API,
            "kind": "Node",
            "metadata": {"name": name, "namespace": namespace, "labels": {"group": owner}},
            "spec": {"startupPodSpec": pod, "shutdownPodSpec": pod, "template": {"capacity": capacity}},
        }
        await api.create(machine)
        if not nodes:
            return
        labels = {f"example.org/label-{n}": f"value-{n}" for n in range(30)}
        await api.create({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels}})


async def _clear(api: labs.Api, namespace: str, count: int) -> None:
    async with trio.open_nursery() as nursery:
        limit = trio.CapacityLimiter(16)
        for number in range(count):
            nursery.start_soon(_clear_one, api, f"{namespace}-{number}", limit)


async def _clear_one(api: labs.Api, name: str, limit: trio.CapacityLimiter) -> None:
    async with limit:
        await api.delete("v1/nodes", name)


async def _one_start(lab: labs.Lab, namespace: str, scratch: Path, *, seconds: float) -> list[Any]:
    agent = Agent(lab.control_plane.kubeconfig(), namespace, scratch / f"{namespace}.log")
    first = await _timed(agent.start)
    await trio.sleep(seconds)  # at first sight every machine's status is written, and its wish
    first_cpu, _ = _usage(agent)
    await agent.stop()
    agent = Agent(lab.control_plane.kubeconfig(), namespace, scratch / f"{namespace}-again.log")
    again, least = [], []
    for _ in range(3):
        again.append(await _timed(agent.start))
        await agent.stop()
        least.append(await _timed(lambda: _list_only(lab)))
    await agent.start()
    autoscaler = ClusterAutoscaler(agent.address, messages_in(scratch))
    with trio.move_on_after(seconds):
        while True:
            await _loop(autoscaler)
            await trio.sleep(10)
    cpu, rss = _usage(agent)
    autoscaler.close()
    await agent.stop()
    ratio = median(again) / median(least)
    return [first, median(again), median(least), ratio, rss, first_cpu, cpu, seconds]


async def _timed(act: Callable[[], Any]) -> float:
    begun = time.perf_counter()
    await act()
    return time.perf_counter() - begun


async def _list_only(lab: labs.Lab) -> None:
    server, token = lab.control_plane.url, _token(lab)
    await trio.run_process([sys.executable, "-c", LIST_ONLY, server, token])


def _token(lab: labs.Lab) -> str:
    """The administrator's, from the kubeconfig that has one."""
    text = lab.control_plane.kubeconfig("token").read_text()
    return re.search(r'token"?: "?([0-9a-f]+)', text)[1]  # type: ignore[index]


async def _loop(autoscaler: ClusterAutoscaler) -> None:
    await autoscaler.call("Refresh")
    for found in (await autoscaler.call("NodeGroups")).nodeGroups:
        await autoscaler.call("NodeGroupTargetSize", id=found.id)
        await autoscaler.call("NodeGroupNodes", id=found.id)


def _usage(agent: Agent) -> tuple[float, float]:
    assert agent.process is not None
    stat = Path(f"/proc/{agent.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    status = Path(f"/proc/{agent.process.pid}/status").read_text()
    rss = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))
    return (int(stat[11]) + int(stat[12])) / os.sysconf("SC_CLK_TCK"), rss / 1024


# --- power ----------------------------------------------------------------------------------------------------------


async def _power(lab: labs.Lab, scratch: Path) -> None:
    async with labs.open_machines(lab, say=lambda _: None) as machines, lab.control_plane.open_api() as api:
        async with labs.open_namespace(api, "bench-power") as namespace:
            boxes = [machines.add(boot_delay=1.0) for _ in range(10)]
            await api.create(group(namespace, "rack"))
            for box in boxes:
                await api.create(_node(namespace, box))
            agent = Agent(lab.control_plane.kubeconfig(), namespace, scratch / "power.log")
            await agent.start()
            try:
                await labs.eventually(lambda: _all_off(api, namespace, 10), within=30)
                await _measure_power(agent, api, namespace, boxes, scratch)
            finally:
                await agent.stop()


def _node(namespace: str, box: labs.Machine) -> labs.Resource:
    return {
        "apiVersion": API,
        "kind": "Node",
        "metadata": {"name": box.name, "namespace": namespace, "labels": {"group": "rack"}},
        "spec": {
            "startupPodSpec": box.startup_pod,
            "shutdownPodSpec": box.shutdown_pod,
            "template": {"capacity": {"cpu": "1", "memory": "1Gi", "pods": "20"}},
        },
    }


async def _all_off(api: labs.Api, namespace: str, count: int) -> bool:
    return list((await phases(api, namespace)).values()) == ["Off"] * count


async def _measure_power(agent: Agent, api: labs.Api, namespace: str, boxes: list[labs.Machine], scratch: Path) -> None:
    plain = await _plain_burst(api, namespace)
    autoscaler = ClusterAutoscaler(agent.address, messages_in(scratch))
    seen: dict[str, float] = {}
    ready: dict[str, float] = {}
    usable: dict[str, float] = {}
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_watch_jobs, api, namespace, seen)
        nursery.start_soon(_watch_nodes, api, {box.name for box in boxes}, ready, usable)
        await trio.sleep(1)
        begun = time.perf_counter()
        await autoscaler.increase(f"{namespace}/rack", 10)
        answered = time.perf_counter() - begun
        await labs.eventually(lambda: len(usable) == 10, within=60)
        nursery.cancel_scope.cancel()
    autoscaler.close()
    jobs = max(seen.values()) - begun
    show(
        "IncreaseSize(10) on a real API server, in seconds",
        ["what", "s", "ten plain Jobs s", "ratio"],
        [
            ["answered: ten wishes stored", answered, plain, answered / plain],
            ["ten Jobs exist", jobs, plain, jobs / plain],
        ],
    )
    waits = sorted(usable[name] - ready[name] for name in usable)
    show(
        "Node Ready until schedulable (no cordon, none of our taints), in seconds",
        ["machines", "median", "max"],
        [[len(waits), median(waits), waits[-1]]],
        note="as a watch of the API server sees both; the yardstick is the Ready condition, 0",
    )


async def _plain_burst(api: labs.Api, namespace: str) -> float:
    """Ten Jobs created at once by a bare client."""
    begun = time.perf_counter()
    async with trio.open_nursery() as nursery:
        for number in range(10):
            nursery.start_soon(api.create, _plain_job(namespace, number))
    took = time.perf_counter() - begun
    for number in range(10):
        await api.delete("batch/v1/jobs", f"plain-{number}", namespace=namespace, propagationPolicy="Background")
    return took


def _plain_job(namespace: str, number: int) -> labs.Resource:
    template = {"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "example.org/none:1"}]}}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": f"plain-{number}", "namespace": namespace},
        "spec": {"suspend": True, "template": template},
    }


async def _watch_jobs(api: labs.Api, namespace: str, seen: dict[str, float]) -> None:
    while True:
        for job in await api.list("batch/v1/jobs", namespace=namespace):
            name = job["metadata"]["name"]
            if not name.startswith("plain-"):
                seen.setdefault(name, time.perf_counter())
        await trio.sleep(0.01)


async def _watch_nodes(api: labs.Api, names: set[str], ready: dict[str, float], usable: dict[str, float]) -> None:
    while True:
        for node in await api.list("v1/nodes"):
            name = node["metadata"]["name"]
            if name not in names or not _ready(node):
                continue
            ready.setdefault(name, time.perf_counter())
            if not node["spec"].get("unschedulable") and not node["spec"].get("taints"):
                usable.setdefault(name, time.perf_counter())
        await trio.sleep(0.01)


def _ready(node: labs.Resource) -> bool:
    return any(c["type"] == "Ready" and c["status"] == "True" for c in node.get("status", {}).get("conditions", ()))


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    main()
