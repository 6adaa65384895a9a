"""A group that only observes, on a real API server whose audit log says what hexa writes."""

import json
from functools import partial

import lab as labs
import trio
from agent import API, Agent, group, in_phase, machine
from lab import Api, Machines, eventually
from lab.audit import writes

STATUS = {"patch infra.homecluster.dev/nodes/status", "patch infra.homecluster.dev/groups/status"}


async def judged(api: Api, namespace: str, name: str) -> bool:
    """Whether the receipt of the machine says what keeps it on."""
    node = await api.read(f"{API}/nodes", name, namespace=namespace)
    return bool(node.get("status", {}).get("receipt", {}).get("cause"))


async def test_an_observing_group_is_written_to_in_status_only(
    lab: labs.Lab, api: Api, namespace: str, machines: Machines, hexa: Agent
) -> None:
    """One machine is on and one is off, both are wanted on by spec.powerState and by minSize; nothing is woken, no Job is made, the
    Kubernetes node stays as it is, and the receipt begins."""
    up, down = (machines.add(boot_delay=2.0) for _ in range(2))
    await machines.start(up)
    before = await api.read("v1/nodes", up.name)
    await api.create(group(namespace, mode="Observe", minSize=2))
    for box in (up, down):
        await api.create(machine(namespace, box, powerState="on"))
    await eventually(partial(in_phase, api, namespace, "Ready", [up.name]), within=40)
    await eventually(partial(in_phase, api, namespace, "Off", [down.name]), within=40)
    await eventually(partial(judged, api, namespace, up.name), within=20, what="its receipt has begun")
    await trio.sleep(5)
    found = set(writes(lab.control_plane.folder, agent="hexa", namespace=namespace, names=(up.name, down.name)))
    assert found >= STATUS
    assert {write for write in found - STATUS if "/events" not in write and "/leases" not in write} == set()
    assert [box.power for box in (up, down)] == ["on", "off"]
    after = await api.read("v1/nodes", up.name)
    after["metadata"].pop("managedFields", None)
    assert "homecluster" not in json.dumps(after)
    assert after["spec"].get("providerID") == before["spec"].get("providerID")
