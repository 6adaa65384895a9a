"""Machines that die or hang, with real kubelets: what is stuck on the dead is let go, and the power of the hung is cycled."""

from functools import partial
from typing import Any

import lab as labs
from agent import API, Agent, group, history, in_phase, machine
from lab import Api, Machine, Machines, eventually

TAINT = "node.kubernetes.io/out-of-service"
UP = 60.0
QUICK = {"attempts": 1, "wakeInterval": "15s"}


def readable(namespace: str, box: Machine) -> labs.Resource:
    """A machine whose management controller is read by the agent, and cuts its power whatever runs."""
    url = box.off_command[-1].removesuffix(f"/{box.name}/off")
    template = {
        "turnOn": {"path": "/{outlet}/on", "method": "POST"},
        "turnOff": {"path": "/{outlet}/off", "method": "POST"},
        "status": {"path": "/{outlet}", "state": "power"},
    }
    http = {"address": url, "device": "template", "outlets": [box.name], "template": template}
    return machine(namespace, box, power={"http": http, "sense": "http"}, powerState="on")


async def rack(api: Api, namespace: str, machines: Machines, count: int, **spec: Any) -> list[Machine]:
    """So many machines that are up, in a group of this policy."""
    boxes = [machines.add(boot_delay=2.0) for _ in range(count)]
    await api.create(group(namespace, retries=QUICK, timeouts={"boot": "60s"}, **spec))
    for box in boxes:
        await api.create(readable(namespace, box))
    await eventually(partial(in_phase, api, namespace, "Ready", [box.name for box in boxes]), within=UP)
    return boxes


def stateful(namespace: str) -> labs.Resource:
    """A StatefulSet of one pod: while its pod is not known to have ended there is no other."""
    container = {"name": "c", "image": labs.TOOLS_IMAGE, "command": ["sleep", "100000"]}
    spec = {
        "nodeSelector": {"infra.homecluster.dev/group": "rack"},
        "terminationGracePeriodSeconds": 0,
        "containers": [{**container, "resources": {"requests": {"cpu": "100m"}}}],
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {"name": "db", "namespace": namespace},
        "spec": {
            "replicas": 1,
            "serviceName": "db",
            "selector": {"matchLabels": {"app": "db"}},
            "template": {"metadata": {"labels": {"app": "db"}}, "spec": spec},
        },
    }


async def host(api: Api, namespace: str) -> str:
    """The node on which the pod runs; empty while it does not."""
    pods = await api.list("v1/pods", namespace=namespace, labelSelector="app=db")
    return next((pod["spec"]["nodeName"] for pod in pods if pod["status"].get("phase") == "Running"), "")


async def runs_elsewhere(api: Api, namespace: str, name: str) -> bool:
    """Whether it runs, and on another node."""
    return await host(api, namespace) not in ("", name)


async def taints(api: Api, name: str) -> list[str]:
    """Keys of the node's taints."""
    node = await api.read("v1/nodes", name)
    return [taint["key"] for taint in node["spec"].get("taints", ())]


async def test_failure_27_what_is_stuck_on_a_dead_machine_moves(
    api: Api, namespace: str, machines: Machines, hexa: Agent
) -> None:
    """A machine is cut hard under a StatefulSet's pod, and no wake brings it: with a reading Off and two lease periods of silence
    its node is out of service, and the pod, which Kubernetes alone would keep for ever, runs elsewhere. Mended, it boots, and the
    taint is gone."""
    boxes = await rack(api, namespace, machines, 2, remediation={"outOfService": True})
    await api.create(stateful(namespace))
    name = await eventually(partial(host, api, namespace), within=30)
    box = next(box for box in boxes if box.name == name)
    box.faults.dead = True
    await box.cut()
    await eventually(partial(runs_elsewhere, api, namespace, name), within=200, every=0.5)
    assert TAINT in await taints(api, name)
    box.faults.dead = False

    async def in_service() -> bool:
        return await in_phase(api, namespace, "Ready", [name]) and TAINT not in await taints(api, name)

    await eventually(in_service, within=240, every=0.5)
    node = await api.read("v1/nodes", name)
    assert "infra.homecluster.dev/out-of-service" not in node["metadata"].get("annotations", {})
    machine_now = await api.read(f"{API}/nodes", name, namespace=namespace)
    assert TAINT not in str(machine_now["status"]["template"])


async def test_machine_that_hangs_is_cut_and_woken_again(
    api: Api, namespace: str, machines: Machines, hexa: Agent
) -> None:
    """The system stops with power on: after `after` (here as long as a boot may take) its controller cuts it, a packet wakes it,
    and the same pod runs on it again."""
    (box,) = await rack(api, namespace, machines, 1, remediation={"powerCycle": True, "after": "1s"})
    await api.create(stateful(namespace))
    await eventually(partial(host, api, namespace), within=30)
    offs, wakes = len(box.seen.offs), len(box.seen.wakes)
    await box.body.cut()  # everything that runs on it; the power stays
    await eventually(partial(in_phase, api, namespace, "Lost", [box.name]), within=90)
    assert box.power == "on"
    await eventually(partial(in_phase, api, namespace, "Ready", [box.name]), within=200, every=0.5)
    assert (len(box.seen.offs), len(box.seen.wakes)) == (offs + 1, wakes + 1)
    ways = await history(api, namespace, box.name)
    assert ways[-6:] in (
        ["Ready", "Lost", "PoweringOff", "Off", "PoweringOn", "Ready"],
        ["Lost", "PoweringOff", "Off", "PoweringOn", "Booting", "Ready"],
    )
    await eventually(partial(host, api, namespace), within=60)
