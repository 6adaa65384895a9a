"""The whole main path on a real control plane: pods that don't fit, IncreaseSize, Jobs, joins, drains, Jobs, leaves.

An independent gRPC client plays Cluster Autoscaler. Everything is asked and seen from outside: the agent is a process.
"""

from functools import partial
from typing import Any

import grpc
import lab as labs
import pytest
import trio
from agent import (
    API,
    Agent,
    ClusterAutoscaler,
    group,
    history,
    in_phase,
    jobs_ever,
    machine,
    messages_in,
    phases,
)
from lab import Api, Machine, Machines, eventually
from tests.cloudprovider_client import Messages

BOOT = 2.0
UP = 40.0
PATIENT = {"wakeInterval": "30s"}  # a busy box boots slowly; where a test counts wakes, none is sent in vain
DOWN = 60.0


@pytest.fixture(scope="session")
def messages(tmp_path_factory: pytest.TempPathFactory) -> Messages:
    """The gRPC messages."""
    return messages_in(tmp_path_factory.mktemp("proto"))


@pytest.fixture
def autoscaler(hexa: Agent, messages: Messages) -> Any:
    """Cluster Autoscaler's part."""
    client = ClusterAutoscaler(hexa.address, messages)
    yield client
    client.close()


@pytest.fixture
async def rack(api: Api, namespace: str, machines: Machines, hexa: Agent) -> list[Machine]:
    """Three machines that are off and known as such, in a group of their own."""
    boxes = [machines.add(boot_delay=BOOT) for _ in range(3)]
    await api.create(group(namespace, retries=PATIENT))
    for box in boxes:
        await api.create(machine(namespace, box))
    await eventually(partial(in_phase, api, namespace, "Off", [box.name for box in boxes]), within=20)
    return boxes


def names(boxes: list[Machine]) -> list[str]:
    """Their names."""
    return [box.name for box in boxes]


def rack_id(namespace: str) -> str:
    """What Cluster Autoscaler calls the group."""
    return f"{namespace}/rack"


def waiting_pod(namespace: str, name: str, *, cpu: str = "600m", **spec: Any) -> labs.Resource:
    """A pod that only a machine of the group can run, one on each; owned, as if by a ReplicaSet."""
    owner = {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "name": "load",
        "uid": "00000000-0000-4000-8000-000000000001",
        "controller": True,
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace, "labels": {"app": "load"}, "ownerReferences": [owner]},
        "spec": {
            "nodeSelector": {"infra.homecluster.dev/group": "rack"},
            "terminationGracePeriodSeconds": 0,
            "containers": [
                {
                    "name": "c",
                    "image": labs.TOOLS_IMAGE,
                    "command": ["sleep", "100000"],
                    "resources": {"requests": {"cpu": cpu}},
                }
            ],
            "topologySpreadConstraints": [
                {
                    "maxSkew": 1,
                    "topologyKey": "kubernetes.io/hostname",
                    "whenUnsatisfiable": "DoNotSchedule",
                    "labelSelector": {"matchLabels": {"app": "load"}},
                }
            ],
            **spec,
        },
    }


def deployment(namespace: str, replicas: int) -> labs.Resource:
    """A Deployment of such pods."""
    pod = waiting_pod(namespace, "unused")
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "load", "namespace": namespace},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": "load"}},
            "template": {"metadata": {"labels": {"app": "load"}}, "spec": pod["spec"]},
        },
    }


async def running(api: Api, namespace: str, count: int) -> bool:
    """Whether so many pods of the load run."""
    pods = await api.list("v1/pods", namespace=namespace, labelSelector="app=load")
    return sum(pod["status"].get("phase") == "Running" for pod in pods) == count


async def bring_up(
    api: Api, autoscaler: ClusterAutoscaler, namespace: str, boxes: list[Machine], count: int
) -> list[Machine]:
    """IncreaseSize(count); the machines that came up."""
    await autoscaler.increase(rack_id(namespace), count)

    async def up() -> list[str]:
        ready = [name for name, phase in (await phases(api, namespace)).items() if phase == "Ready"]
        return ready if len(ready) == count else []

    ready = await eventually(up, within=UP, what=f"{count} machines are Ready")
    return [box for box in boxes if box.name in ready]


async def test_pending_pods_run_after_increase_size(
    api: Api, namespace: str, rack: list[Machine], autoscaler: ClusterAutoscaler, hexa: Agent
) -> None:
    """From zero, IncreaseSize(3) wakes three machines by a magic packet each, and the pods that waited run on them."""
    await api.create(deployment(namespace, 3))
    await autoscaler.increase(rack_id(namespace), 3)
    assert await autoscaler.target(rack_id(namespace)) == 3
    await eventually(partial(running, api, namespace, 3), within=UP)
    assert [len(box.seen.wakes) for box in rack] == [1, 1, 1]
    nodes = {node["metadata"]["name"]: node for node in await api.list("v1/nodes")}
    for box in rack:
        assert nodes[box.name]["spec"]["providerID"] == f"hexa://{namespace}/{box.name}"
        assert nodes[box.name]["metadata"]["labels"]["infra.homecluster.dev/group"] == "rack"
    await eventually(partial(states_are, autoscaler, namespace, "Running", 3), within=5)


async def states_are(autoscaler: ClusterAutoscaler, namespace: str, state: str, count: int) -> bool:
    """Whether the group has so many instances, all in this state."""
    found = list((await autoscaler.states(rack_id(namespace))).values())
    return found == [state] * count


async def test_scale_down_until_the_nodes_have_left(
    api: Api, namespace: str, rack: list[Machine], autoscaler: ClusterAutoscaler
) -> None:
    """DeleteNodes switches off exactly those machines, once each, and their Kubernetes nodes leave with proof."""
    up = await bring_up(api, autoscaler, namespace, rack, 2)
    await autoscaler.delete(rack_id(namespace), up[0].name)
    await autoscaler.delete(rack_id(namespace), up[0].name)  # Cluster Autoscaler may ask twice
    assert await autoscaler.target(rack_id(namespace)) == 1
    await eventually(partial(in_phase, api, namespace, "Off", [up[0].name]), within=DOWN)
    assert (up[0].power, len(up[0].seen.offs), up[1].power, len(up[1].seen.offs)) == ("off", 1, "on", 0)
    await eventually(partial(has_left, api, up[0].name), within=100, what="the Kubernetes node has left")
    again = await bring_up_more(api, autoscaler, namespace, up[0])
    assert again["metadata"]["labels"]["infra.homecluster.dev/group"] == "rack"


async def has_left(api: Api, name: str) -> bool:
    """Whether there is no Kubernetes node of that name."""
    return await api.find("v1/nodes", name) is None


async def bring_up_more(api: Api, autoscaler: ClusterAutoscaler, namespace: str, box: Machine) -> labs.Resource:
    """The Kubernetes node of a machine that left, after it was woken again (with whatever else is off)."""
    off = [name for name, phase in (await phases(api, namespace)).items() if phase == "Off"]
    await autoscaler.increase(rack_id(namespace), len(off))
    await eventually(partial(in_phase, api, namespace, "Ready", [box.name]), within=UP)
    return await api.read("v1/nodes", box.name)


async def test_budget_blocks_then_lets_go(
    api: Api, namespace: str, rack: list[Machine], autoscaler: ClusterAutoscaler
) -> None:
    """A disruption budget without room keeps the machine on and is named; with room, the pod moves and the machine rests."""
    await api.create(deployment(namespace, 1))
    up = await bring_up(api, autoscaler, namespace, rack, 2)
    await eventually(partial(running, api, namespace, 1), within=20)
    budget = {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": "careful", "namespace": namespace},
        "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "load"}}},
    }
    await api.create(budget)
    host = (await api.list("v1/pods", namespace=namespace, labelSelector="app=load"))[0]["spec"]["nodeName"]
    box = next(box for box in up if box.name == host)
    await eventually(partial(budget_is_known, api, namespace), within=10)
    await autoscaler.delete(rack_id(namespace), host)
    found = await eventually(partial(blocker, api, namespace, host), within=20)
    assert "careful" in found or "disruption budget" in found
    assert (box.power, len(box.seen.offs)) == ("on", 0)
    await api.patch("policy/v1/poddisruptionbudgets", "careful", {"spec": {"minAvailable": 0}}, namespace=namespace)
    await eventually(partial(in_phase, api, namespace, "Off", [host]), within=DOWN)
    await eventually(partial(running, api, namespace, 1), within=20)
    assert len(box.seen.offs) == 1


async def budget_is_known(api: Api, namespace: str) -> bool:
    """Whether the controller manager has counted the budget's pods."""
    found = await api.read("policy/v1/poddisruptionbudgets", "careful", namespace=namespace)
    return bool(found.get("status", {}).get("expectedPods") == 1)


async def blocker(api: Api, namespace: str, name: str) -> str:
    """What the machine's status names as what blocks its drain."""
    node = await api.read(f"{API}/nodes", name, namespace=namespace)
    return str(node["status"].get("blocker", ""))


async def test_user_off_drains_first(
    api: Api, namespace: str, rack: list[Machine], autoscaler: ClusterAutoscaler
) -> None:
    """powerState: off, set by a person, moves the pods away before the machine goes off."""
    await api.create(deployment(namespace, 1))
    up = await bring_up(api, autoscaler, namespace, rack, 2)
    await eventually(partial(running, api, namespace, 1), within=20)
    host = (await api.list("v1/pods", namespace=namespace, labelSelector="app=load"))[0]["spec"]["nodeName"]
    await api.patch(f"{API}/nodes", host, {"spec": {"powerState": "off"}}, namespace=namespace)
    await eventually(partial(in_phase, api, namespace, "Off", [host]), within=DOWN)
    await eventually(partial(running, api, namespace, 1), within=20)
    other = next(box for box in up if box.name != host)
    pods = await api.list("v1/pods", namespace=namespace, labelSelector="app=load")
    assert [pod["spec"]["nodeName"] for pod in pods if pod["status"]["phase"] == "Running"] == [other.name]


async def test_lost_wake_is_sent_again(
    api: Api, namespace: str, rack: list[Machine], autoscaler: ClusterAutoscaler
) -> None:
    """A magic packet that got lost is sent again after one wake interval, to the same machine."""
    await api.patch(f"{API}/groups", "rack", {"spec": {"retries": {"wakeInterval": "12s"}}}, namespace=namespace)
    for box in rack:
        box.faults.lost_wakes = 1
    up = await bring_up(api, autoscaler, namespace, rack, 1)
    first, second = up[0].seen.wakes[:2]
    assert 11 <= second - first <= 18
    assert sum(len(box.seen.wakes) for box in rack if box is not up[0]) == 0


async def test_failed_job_is_repeated(
    api: Api, namespace: str, machines: Machines, hexa: Agent, autoscaler: ClusterAutoscaler
) -> None:
    """A startup Job that fails is named in the status, and repeated after one wake interval."""
    box = machines.add(boot_delay=BOOT)
    await api.create(group(namespace))
    broken = {**box.startup_pod, "command": ["false"]}
    await api.create(machine(namespace, box, startupPodSpec=broken))
    await eventually(partial(in_phase, api, namespace, "Off", [box.name]), within=20)
    await autoscaler.increase(rack_id(namespace), 1)
    await eventually(partial(has_condition, api, namespace, box.name, "PowerJobFailed"), within=20)
    await api.patch(f"{API}/nodes", box.name, {"spec": {"startupPodSpec": box.startup_pod}}, namespace=namespace)
    await eventually(partial(in_phase, api, namespace, "Ready", [box.name]), within=UP)


async def has_condition(api: Api, namespace: str, name: str, kind: str) -> str:
    """The message of the machine's condition; empty if it has none."""
    node = await api.read(f"{API}/nodes", name, namespace=namespace)
    return next((c["message"] for c in node["status"].get("conditions", ()) if c["type"] == kind), "")


async def test_missing_image_is_named(
    api: Api, namespace: str, machines: Machines, hexa: Agent, autoscaler: ClusterAutoscaler
) -> None:
    """A Job whose image does not exist is told on the machine, with the image's name."""
    box = machines.add(boot_delay=BOOT)
    await api.create(group(namespace))
    missing = {**box.startup_pod, "image": "hexa.test/nothing-here:1"}
    await api.create(machine(namespace, box, startupPodSpec=missing))
    await eventually(partial(in_phase, api, namespace, "Off", [box.name]), within=20)
    await autoscaler.increase(rack_id(namespace), 1)
    text = await eventually(partial(has_condition, api, namespace, box.name, "PowerJobWaiting"), within=30)
    assert "nothing-here" in text


async def test_another_takes_the_place_of_one_that_never_boots(
    api: Api, namespace: str, machines: Machines, hexa: Agent, autoscaler: ClusterAutoscaler
) -> None:
    """A dead machine is replaced by the next candidate; Cluster Autoscaler sees no error and the same target."""
    dead, spare = machines.add(), machines.add(boot_delay=BOOT)
    dead.faults.dead = True
    await api.create(group(namespace, timeouts={"boot": "8s"}))
    await api.create(machine(namespace, dead))
    await eventually(partial(in_phase, api, namespace, "Off", [dead.name]), within=20)
    await autoscaler.increase(rack_id(namespace), 1)
    await api.create(machine(namespace, spare))
    await eventually(partial(in_phase, api, namespace, "Ready", [spare.name]), within=60)
    assert await autoscaler.target(rack_id(namespace)) == 1
    assert await autoscaler.states(rack_id(namespace)) == {f"hexa://{namespace}/{spare.name}": "Running"}
    assert "StartFailed" in await history(api, namespace, dead.name)


async def test_too_many_are_refused_whole(
    api: Api, namespace: str, rack: list[Machine], autoscaler: ClusterAutoscaler
) -> None:
    """More machines than there are is FAILED_PRECONDITION with the reason, and wakes nobody (failure 14)."""
    with pytest.raises(grpc.RpcError) as refusal:
        await autoscaler.increase(rack_id(namespace), 4)
    assert refusal.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert "3" in refusal.value.details()
    assert await autoscaler.target(rack_id(namespace)) == 0
    await trio.sleep(2)
    assert await jobs_ever(api, namespace) == []


@pytest.mark.parametrize("phase", ["PoweringOn", "Booting"])
async def test_killed_on_the_way_up(
    api: Api, namespace: str, machines: Machines, hexa: Agent, autoscaler: ClusterAutoscaler, phase: str
) -> None:
    """kill -9 while a machine comes up: after the restart it is Ready and schedulable, woken once (failure 12)."""
    box = machines.add(boot_delay=6.0)
    await api.create(group(namespace, retries=PATIENT))
    await api.create(machine(namespace, box))
    await eventually(partial(in_phase, api, namespace, "Off", [box.name]), within=20)
    await autoscaler.increase(rack_id(namespace), 1)
    await eventually(partial(in_phase, api, namespace, phase, [box.name]), within=20, every=0.01)
    await hexa.kill()
    await trio.sleep(1)
    await hexa.start()
    await eventually(partial(in_phase, api, namespace, "Ready", [box.name]), within=UP)
    await eventually(partial(schedulable, api, box.name), within=5)
    assert len(box.seen.wakes) == 1


async def schedulable(api: Api, name: str) -> bool:
    """Whether pods may land on the Kubernetes node."""
    spec = (await api.read("v1/nodes", name))["spec"]
    taints = [taint["key"] for taint in spec.get("taints", ())]
    return not spec.get("unschedulable") and taints == []


async def test_killed_while_draining(
    api: Api, namespace: str, rack: list[Machine], autoscaler: ClusterAutoscaler, hexa: Agent
) -> None:
    """kill -9 during a drain: after the restart the drain goes on, and the machine is switched off once."""
    await api.create(deployment(namespace, 1))
    await bring_up(api, autoscaler, namespace, rack, 2)
    await eventually(partial(running, api, namespace, 1), within=20)
    host = (await api.list("v1/pods", namespace=namespace, labelSelector="app=load"))[0]["spec"]["nodeName"]
    budget = {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": "careful", "namespace": namespace},
        "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "load"}}},
    }
    await api.create(budget)
    await eventually(partial(budget_is_known, api, namespace), within=10)
    await autoscaler.delete(rack_id(namespace), host)
    await eventually(partial(in_phase, api, namespace, "Draining", [host]), within=20)
    await hexa.kill()
    await api.delete("policy/v1/poddisruptionbudgets", "careful", namespace=namespace)
    await hexa.start()
    await eventually(partial(in_phase, api, namespace, "Off", [host]), within=DOWN)
    await eventually(partial(running, api, namespace, 1), within=20)
    assert [len(box.seen.offs) for box in rack if box.name == host] == [1]


async def test_killed_while_powering_off(
    api: Api, namespace: str, rack: list[Machine], autoscaler: ClusterAutoscaler, hexa: Agent
) -> None:
    """kill -9 during a power-off: after the restart the machine is Off, switched off once, and can be woken again."""
    up = await bring_up(api, autoscaler, namespace, rack, 1)
    await autoscaler.delete(rack_id(namespace), up[0].name)
    await eventually(partial(in_phase, api, namespace, "PoweringOff", [up[0].name]), within=20, every=0.01)
    await hexa.kill()
    await trio.sleep(1)
    await hexa.start()
    await eventually(partial(in_phase, api, namespace, "Off", [up[0].name]), within=DOWN)
    assert len(up[0].seen.offs) == 1


async def test_api_server_restarted(
    api: Api,
    namespace: str,
    rack: list[Machine],
    autoscaler: ClusterAutoscaler,
    control_plane: labs.ControlPlane,
) -> None:
    """The API server goes away for seconds while a machine boots: nothing is switched off, and the machine becomes Ready."""
    await autoscaler.increase(rack_id(namespace), 1)
    await eventually(lambda: any(box.seen.wakes for box in rack), within=20)
    await control_plane.restart_api_server(down_seconds=3.0)
    ready = partial(count_in, api, namespace, "Ready", 1)
    await eventually(ready, within=UP)
    assert sum(len(box.seen.offs) for box in rack) == 0


async def count_in(api: Api, namespace: str, phase: str, count: int) -> bool:
    """Whether so many machines are in the phase."""
    return list((await phases(api, namespace)).values()).count(phase) == count


async def test_watch_history_forgotten(
    api: Api,
    namespace: str,
    rack: list[Machine],
    autoscaler: ClusterAutoscaler,
    control_plane: labs.ControlPlane,
) -> None:
    """Watches whose history is compacted (410 Gone) list afresh: a wish that came meanwhile is acted on."""
    await control_plane.forget_history()
    await api.patch(f"{API}/nodes", rack[0].name, {"spec": {"powerState": "on"}}, namespace=namespace)
    await eventually(partial(in_phase, api, namespace, "Ready", [rack[0].name]), within=UP)
    assert [len(box.seen.wakes) for box in rack] == [1, 0, 0]


async def test_stops_cleanly(hexa: Agent) -> None:
    """SIGTERM ends the agent within five seconds, with exit code 0."""
    with trio.fail_after(5):
        assert await hexa.stop() == 0


async def test_a_health_check_runs_while_the_machine_is_up(
    api: Api, namespace: str, machines: Machines, rack: list[Machine]
) -> None:
    """A real CronJob each minute: suspended while the machine is off, then failed with its pod's own words, then passed; and the
    machine stays on all the time."""
    box = rack[0]
    failing = {
        **box.startup_pod,
        "hostNetwork": False,
        "command": ["sh", "-c", "echo the disk is hot; exit 3"],
        "args": [],
    }
    spec = {"healthcheckPodSpec": failing, "healthcheckPeriod": "1m"}
    await api.patch(f"{API}/nodes", box.name, {"spec": spec}, namespace=namespace)

    async def cron_job() -> Any:
        found = await api.list("batch/v1/cronjobs", namespace=namespace)
        return found[0] if found else None

    async def told(kind: str) -> Any:
        status = (await api.read(f"{API}/nodes", box.name, namespace=namespace)).get("status", {})
        return next((each for each in status.get("conditions", ()) if each["type"] == kind), {}), status

    async def suspended(wanted: bool) -> bool:
        found = await cron_job()
        return found is not None and found["spec"]["suspend"] is wanted

    async def says(reason: str, health: str) -> bool:
        condition, status = await told("HealthCheck")
        return condition.get("reason") == reason and status["health"] == health

    await eventually(partial(suspended, True), within=20)
    await api.patch(f"{API}/nodes", box.name, {"spec": {"powerState": "on"}}, namespace=namespace)
    await eventually(partial(in_phase, api, namespace, "Ready", [box.name]), within=UP)
    await eventually(partial(suspended, False), within=20)
    await eventually(partial(says, "Failed", "degraded"), within=150)
    condition, status = await told("HealthCheck")
    assert condition["message"].endswith("exit code 3: the disk is hot")
    assert status["healthReason"] == "CheckFailed"
    passing = {**failing, "command": ["true"]}
    await api.patch(f"{API}/nodes", box.name, {"spec": {"healthcheckPodSpec": passing}}, namespace=namespace)
    await eventually(partial(says, "Passed", "healthy"), within=150)
    assert box.power == "on"
    gone = {"spec": {"healthcheckPodSpec": None, "healthcheckPeriod": None}}
    await api.patch(f"{API}/nodes", box.name, gone, namespace=namespace)

    async def removed() -> bool:
        return await cron_job() is None

    await eventually(removed, within=20)
