"""The way out on a real API server: hexa release, then namespace and CRDs are deleted; nothing hangs and nothing is left."""

import json
import shlex
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path
from typing import Any

import lab as labs
import pytest
import trio
from agent import API, HEXA, Agent, group, in_phase, machine, open_agent
from lab import Api, Machine, Machines, eventually

CRDS = Path(__file__).parents[2] / "deploy" / "crds"
BOOT = 2.0
GONE = 40.0
OURS = ("infra.homecluster.dev/", "cluster-autoscaler.kubernetes.io/")
RACK_TAINT = {"key": "hexa.test/rack", "value": "7", "effect": "NoSchedule"}

Kubectl = Callable[..., str]


@pytest.fixture
async def hexa(lab: labs.Lab, namespace: str, kubectl: Kubectl, tmp_path: Path) -> AsyncIterator[Agent]:
    """The agent on the test's namespace."""
    kubectl("apply", "-f", str(CRDS))
    for plural in ("groups", "nodes"):
        kubectl("wait", "--for=condition=Established", "--timeout=30s", "crd", f"{plural}.infra.homecluster.dev")
    async with open_agent(lab.control_plane.kubeconfig(), namespace, tmp_path) as agent:
        yield agent


async def release(lab: labs.Lab, namespace: str, *arguments: str) -> str:
    """Runs hexa release as a person does; what it prints."""
    command = [*HEXA, "release", *arguments, "-n", namespace, f"--kubeconfig={lab.control_plane.kubeconfig()}"]
    done = await trio.run_process(command, capture_stdout=True, capture_stderr=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()


def seen(node: labs.Resource) -> dict[str, Any]:
    """What people see of a Kubernetes node; kubelets and the controller manager keep other annotations, and a providerID stays."""
    annotations = {k: v for k, v in node["metadata"].get("annotations", {}).items() if k.startswith(("ops/", *OURS))}
    return {
        "labels": node["metadata"]["labels"],
        "annotations": annotations,
        "taints": node["spec"].get("taints", []),
        "unschedulable": node["spec"].get("unschedulable", False),
        "conditions": sorted(condition["type"] for condition in node["status"]["conditions"]),
    }


async def looks(api: Api, name: str, before: dict[str, Any]) -> bool:
    """Whether the Kubernetes node looks so; the controller manager takes a moment for its own taints."""
    return seen(await api.read("v1/nodes", name)) == before


async def has_left(api: Api, name: str) -> bool:
    """Whether there is no Kubernetes node of that name."""
    return await api.find("v1/nodes", name) is None


async def enrol(api: Api, namespace: str, boxes: list[Machine], **spec: Any) -> None:
    """Declares the machines."""
    await api.create(group(namespace, **spec))
    for box in boxes:
        await api.create(machine(namespace, box))


async def gone(api: Api, namespace: str) -> bool:
    """Whether the namespace is no more."""
    return await api.find("v1/namespaces", namespace) is None


async def test_nothing_of_hexa_is_left(
    lab: labs.Lab, api: Api, namespace: str, machines: Machines, hexa: Agent, kubectl: Kubectl
) -> None:
    """A machine that is on and one that is off are released with --wake beside a running agent; then the agent ends, namespace and
    CRDs are deleted. Nothing hangs, both machines are on, and their nodes look as before they were enrolled."""
    boxes = [machines.add(boot_delay=BOOT, labels={"shelf": "high"}) for _ in range(2)]
    names = [box.name for box in boxes]
    await machines.start(*boxes)
    for name in names:
        marks = {"labels": {"owner": "ops"}, "annotations": {"ops/note": "mine"}}
        await api.patch("v1/nodes", name, {"metadata": marks, "spec": {"taints": [RACK_TAINT]}})
    before = {name: seen(await api.read("v1/nodes", name)) for name in names}
    await enrol(api, namespace, boxes, nodeSelector={"shelf": "low"})
    await eventually(partial(in_phase, api, namespace, "Ready", names), within=40)
    await api.patch(f"{API}/nodes", names[0], {"spec": {"powerState": "off"}}, namespace=namespace)
    await eventually(partial(in_phase, api, namespace, "Off", names[:1]), within=60)
    await eventually(partial(has_left, api, names[0]), within=100, what="the Kubernetes node has left")
    off = await api.read(f"{API}/nodes", names[0], namespace=namespace)
    assert off["metadata"]["finalizers"] == ["infra.homecluster.dev/off"]
    told = await release(lab, namespace, "--all", "--wake")
    assert "2 machines released" in told
    for name in names:
        await eventually(partial(looks, api, name, before[name]), within=10, what=f"{name} looks as before")
    await trio.sleep(3)  # the agent has time to put something back
    assert {name: seen(await api.read("v1/nodes", name)) for name in names} == before
    await hexa.stop()
    await api.delete("v1/namespaces", namespace)
    await eventually(partial(gone, api, namespace), within=GONE, what="the namespace is gone")
    kubectl("delete", "-f", str(CRDS), "--timeout=30s")
    assert [box.power for box in boxes] == ["on", "on"]
    assert {name: seen(await api.read("v1/nodes", name)) for name in names} == before
    assert "infra.homecluster.dev" not in json.dumps(await everything(kubectl))


async def everything(kubectl: Kubectl) -> Any:
    """What the uninstall page has a person look at in the end."""
    crds = json.loads(kubectl("get", "crds", "-o", "json"))["items"]
    nodes = json.loads(kubectl("get", "nodes", "-o", "json"))["items"]
    for node in nodes:
        node["metadata"].pop("managedFields", None)
    return [crds, nodes]


async def holds(api: Api, namespace: str, name: str, field: str) -> bool:
    """Whether the machine's metadata has the field."""
    return field in (await api.read(f"{API}/nodes", name, namespace=namespace))["metadata"]


async def test_a_namespace_is_never_held_for_ever(
    lab: labs.Lab, api: Api, namespace: str, machines: Machines, hexa: Agent, kubectl: Kubectl
) -> None:
    """With the agent dead, a namespace with machines that are off waits for their finalizers. The command that stands beside one
    clears it, hexa release clears the rest, and no machine is switched."""
    boxes = [machines.add(boot_delay=BOOT) for _ in range(2)]
    names = [box.name for box in boxes]
    await machines.start(*boxes)
    await enrol(api, namespace, boxes)
    await eventually(partial(in_phase, api, namespace, "Ready", names), within=40)
    for name in names:
        await api.patch(f"{API}/nodes", name, {"spec": {"powerState": "off"}}, namespace=namespace)
    for name in names:
        await eventually(
            partial(holds, api, namespace, name, "finalizers"), within=60, what=f"{name} has its finalizer"
        )
    await hexa.kill()
    await api.delete("v1/namespaces", namespace)
    for name in names:
        await eventually(
            partial(holds, api, namespace, name, "deletionTimestamp"), within=40, what=f"{name} is deleted"
        )
    held = await api.read(f"{API}/nodes", names[0], namespace=namespace)
    command = held["metadata"]["annotations"]["infra.homecluster.dev/finalizer"].split("without hexa: ")[1]
    kubectl(*shlex.split(command)[1:])
    assert await api.find(f"{API}/nodes", names[0], namespace=namespace) is None
    told = await release(lab, namespace, "--all")
    assert f"{namespace}/{names[1]}: released, off" in told
    await eventually(partial(gone, api, namespace), within=GONE, what="the namespace is gone")
    assert [box.power for box in boxes] == ["off", "off"]
