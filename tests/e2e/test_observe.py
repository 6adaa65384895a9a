"""A group that only observes, on a real API server whose audit log says what hexa writes."""

import json
import os
from functools import partial

import lab as labs
import trio
from agent import API, Agent, group, in_phase, machine
from lab import Api, Machines, eventually
from lab.audit import writes

OBSERVED = 60.0 * float(os.environ.get("E2E_OBSERVE_MINUTES", "0.1"))
"""Seconds to watch for; 1440 minutes are the day after which a user reads the receipt."""
HOUR = 3600.0

STATUS = {"patch infra.homecluster.dev/nodes/status", "patch infra.homecluster.dev/groups/status"}


async def judged(api: Api, namespace: str, name: str) -> bool:
    """Whether the receipt of the machine says what keeps it on."""
    node = await api.read(f"{API}/nodes", name, namespace=namespace)
    return bool(node.get("status", {}).get("receipt", {}).get("cause"))


async def saved(api: Api, namespace: str, name: str) -> float:
    """Seconds in which the machine was on and could have been off, by its receipt."""
    node = await api.read(f"{API}/nodes", name, namespace=namespace)
    return float(node["status"]["receipt"].get("saving", {}).get("offSeconds", 0.0))


async def test_an_observing_group_is_written_to_in_status_only(
    lab: labs.Lab, api: Api, namespace: str, machines: Machines, hexa: Agent
) -> None:
    """One machine is on and one is off, both are wanted on by spec.powerState and by minSize; a third stands idle in a group of its
    own. Nothing is woken, no Job is made, Kubernetes nodes stay as they are, and the receipts begin. While nothing happens there is
    one write an hour for each machine and group, and the receipt counts the hours in which the idle machine could have been off."""
    up, down, idle = boxes = [machines.add(boot_delay=2.0) for _ in range(3)]
    await machines.start(up, idle)
    before = {box.name: await api.read("v1/nodes", box.name) for box in (up, idle)}
    await api.create(group(namespace, mode="Observe", minSize=2))
    await api.create(group(namespace, "spare", mode="Observe", autoscaling={"scaleDownUnneededTime": "5s"}))
    for box in (up, down):
        await api.create(machine(namespace, box, powerState="on"))
    await api.create(machine(namespace, idle, group="spare"))
    await eventually(partial(in_phase, api, namespace, "Ready", [up.name, idle.name]), within=40)
    await eventually(partial(in_phase, api, namespace, "Off", [down.name]), within=40)
    for box in (up, idle):
        await eventually(partial(judged, api, namespace, box.name), within=40, what="its receipt has begun")
    begun = len(made(lab, namespace, boxes))
    await trio.sleep(OBSERVED)

    found = made(lab, namespace, boxes)
    assert set(found) >= STATUS
    assert {write for write in set(found) - STATUS if "/events" not in write and "/leases" not in write} == set()
    quiet = [write for write in found[begun:] if "/leases" not in write]
    assert len(quiet) <= 12 + (len(boxes) + 2) * (1 + OBSERVED / HOUR)
    assert [box.power for box in boxes] == ["on", "off", "on"]
    assert await saved(api, namespace, idle.name) >= OBSERVED - HOUR - 60.0
    for name, node in before.items():
        after = await api.read("v1/nodes", name)
        after["metadata"].pop("managedFields", None)
        assert "homecluster" not in json.dumps(after)
        assert after["spec"].get("providerID") == node["spec"].get("providerID")


def made(lab: labs.Lab, namespace: str, boxes: list[labs.Machine]) -> list[str]:
    """hexa's writes until now."""
    return list(writes(lab.control_plane.folder, agent="hexa", namespace=namespace, names=[box.name for box in boxes]))
