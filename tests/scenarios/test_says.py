"""What can't work says so in advance, and everybody who tells anything tells the same."""

from typing import Any

import pytest
import trio
from tests.scenarios.stage import QUICK, boxes, loaded, rack, reach, switch, up
from trio.testing import MockClock

from hexa.adapters.memory.ports.kube import MemoryKube
from hexa.adapters.memory.settings import Settings as Site
from hexa.app.commands.get import chosen
from hexa.app.commands.shared.draining import check
from hexa.app.commands.shared.snapshot import Snapshot, take
from hexa.app.commands.why import GroupAnswer, MachineAnswer, explain_group, explain_machine
from hexa.domain.machine.lifecycle import Phase
from hexa.domain.people.doctor.site import judge_objects
from hexa.domain.resources.core import PODS
from hexa.domain.resources.v1alpha1 import Lookup
from hexa.ports.kube import Patch
from hexa.testing.world import World, group, machine, open_world


def conditions(world: World, name: str = "box-1") -> dict[str, str]:
    """What the machine's status says."""
    return {condition.type: condition.message for condition in world.node(name).status.conditions}


def of_group(world: World) -> dict[str, str]:
    """What the group's status says."""
    return {condition.type: condition.message for condition in world.group("rack").status.conditions}


async def look(world: World) -> Snapshot:
    """What the commands for people see."""
    return await take(MemoryKube(world.site.api), clock=world.site.clock, namespace=None)


async def told_of_group(world: World) -> dict[str, str]:
    """Who says what of the group."""
    snapshot = await look(world)
    key = Lookup("machines", "rack")
    why = explain_group(snapshot, key)
    assert isinstance(why, GroupAnswer)
    lines, _ = chosen(snapshot, ["rack"], namespace="machines", machines=False, groups=True)
    return {
        "condition": " ".join(of_group(world).values()),
        "get": lines.groups[0].blocker,
        "why": " ".join(why.problems),
        "doctor": " ".join(
            f"{each.text}; {each.remedy}"
            for each in judge_objects([world.group("rack")], _nodes(world), now=snapshot.now)
        ),
    }


async def told_of_machine(world: World, name: str = "box-1") -> dict[str, str]:
    """Who says what of the machine."""
    snapshot = await look(world)
    why = await explain_machine(MemoryKube(world.site.api), snapshot, Lookup("machines", name))
    assert isinstance(why, MachineAnswer)
    lines, _ = chosen(snapshot, [name], namespace="machines", machines=True, groups=False)
    return {
        "condition": " ".join(conditions(world, name).values()),
        "get": lines.machines[0].blocker,
        "why": " ".join(why.problems),
        "doctor": " ".join(each.text for each in judge_objects([world.group("rack")], _nodes(world), now=snapshot.now)),
    }


def _nodes(world: World) -> list[Any]:
    return [world.node(name) for name in sorted(world.phases())]


# --- templates ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "requests",
    [
        {"cpu": "1", "memory": "1Gi", "ephemeral-storage": "10Gi"},
        pytest.param({"cpu": "1"}, marks=pytest.mark.long),
        pytest.param({"cpu": "1", "ephemeral-storage": "150Gi"}, marks=pytest.mark.long),
    ],
)
async def test_failure_55_cpu_and_memory_are_enough_to_be_woken(
    autojump_clock: MockClock, requests: dict[str, str]
) -> None:
    """A machine that was never on and declares cpu and memory alone is woken for a pod, whatever disk the pod asks for."""
    template = {"template": {"capacity": {"cpu": 4, "memory": "16Gi"}}}
    box = machine(
        "box-1", group="rack", declared=False, spec=template, boot_seconds=8.0, resources={"ephemeral-storage": "200Gi"}
    )
    async with open_world(groups=[rack()], machines=[box], site=QUICK) as world:
        await reach(world, Phase.OFF)
        world.add_pods(1, containers=[{"name": "main", "image": "x", "resources": {"requests": requests}}])
        await world.until(lambda: world.waiting == 0, within=120)


async def test_failure_55_disk_that_no_machine_has_wakes_one_machine_at_most(autojump_clock: MockClock) -> None:
    """What is taken for granted of machines never seen is known after one boot: a pod that asks for more disk than there is wakes
    one machine, and no other."""
    template = {"template": {"capacity": {"cpu": 4, "memory": "16Gi"}}}
    resources = {"ephemeral-storage": "100Gi"}
    pair = boxes(2, declared=False, spec=template, resources=resources)
    async with open_world(groups=[group("rack", maxNodeProvisionTime="2m")], machines=pair, site=QUICK) as world:
        await reach(world, Phase.OFF)
        disk = {"requests": {"cpu": "1", "ephemeral-storage": "500Gi"}}
        world.add_pods(1, containers=[{"name": "main", "image": "x", "resources": disk}])
        await trio.sleep(150)
        assert world.waiting == 1
        assert sum(world.node(name).status.template is not None for name in ("box-1", "box-2")) == 1


@pytest.mark.parametrize(
    ("capacity", "says"),
    [
        ({"cpu": 4, "memory": "16Gi", "pods": 0}, "no pod fits"),
        ({"cpu": 4}, "has no memory"),
    ],
)
async def test_failure_55_everybody_tells_of_a_template_that_no_pod_fits(
    autojump_clock: MockClock, capacity: dict[str, Any], says: str
) -> None:
    """Condition, BLOCKER, why and doctor agree on it."""
    box = machine("box-1", group="rack", declared=False, spec={"template": {"capacity": capacity}})
    async with open_world(groups=[rack()], machines=[box], site=QUICK) as world:
        await reach(world, Phase.OFF)
        told = await told_of_machine(world)
        assert {who for who, text in told.items() if says in text} == set(told), told


@pytest.mark.parametrize(
    ("power", "says"),
    [
        ({"pdu": {"address": "p", "outlets": ["A1"], "profile": "apc-rpdu2", "secretName": "s"}}, "'A1' is no number"),
        ({"script": {"command": ["/press"], "can": ["on", "off"], "toggle": True}}, "nothing reads the power"),
    ],
)
async def test_failure_55_everybody_tells_of_settings_that_a_driver_would_refuse(
    autojump_clock: MockClock, power: dict[str, Any], says: str
) -> None:
    """Settings of a PDU that no driver can use, and a button that nothing reads: condition, BLOCKER, why and doctor agree."""
    box = machine("box-1", group="rack", spec={"power": power, "startupPodSpec": None, "shutdownPodSpec": None})
    async with open_world(groups=[rack()], machines=[box], autoscaler=None, site=QUICK) as world:
        await reach(world, Phase.OFF)
        told = await told_of_machine(world)
        assert {who for who, text in told.items() if says in text} == set(told), told


async def test_failure_55_a_label_that_no_node_can_have_is_told_and_left_out(autojump_clock: MockClock) -> None:
    """A value with a space and a key with two slashes, in nodeSelector or in a template: all tell the same, and the machine serves
    with its other labels, where the API server would refuse the whole change of its node."""
    labels = {"rack": "left", "room": "upper floor", "a/b/c": "x"}
    box = machine("box-1", group="rack", on=True, spec={"template": {"labels": {"bay 1": "x", "bay": "1"}}})
    async with open_world(groups=[rack(nodeSelector=labels)], machines=[box], autoscaler=None, site=QUICK) as world:
        await reach(world, Phase.READY)
        told = await told_of_machine(world)
        assert {who for who, text in told.items() if "'bay 1' is no key of a label" in text} == set(told), told
        for says in ("'upper floor' is no value for a label", "'a/b/c' is no key of a label"):
            group_told = await told_of_group(world)
            group_told.pop("get")  # the first of them
            assert {who for who, text in group_told.items() if says in text} == set(group_told), group_told
        await world.until(lambda: world.node("box-1").status.welcomed, within=60)
        kube = world.kube_node("box-1")
        assert kube is not None
        assert kube.metadata.labels.keys() & {"rack", "room", "a/b/c", "bay", "bay 1"} == {"rack", "bay"}


async def test_failure_56_everybody_tells_of_a_shape_that_nobody_knows(autojump_clock: MockClock) -> None:
    """All machines off from birth and none declares what it has: told by condition, BLOCKER, why and doctor, with the remedy; after
    one boot nobody tells it any more."""
    pair = boxes(2, declared=False, spec={"powerState": "off"})
    async with open_world(groups=[rack()], machines=pair, autoscaler=None, site=QUICK) as world:
        await world.until(lambda: "ShapeUnknown" in of_group(world), within=60)
        told = await told_of_group(world)
        assert {who for who, text in told.items() if "hexa on box-1" in text} == set(told), told
        world.edit("box-1", {"powerState": "on"})
        await world.until(lambda: "ShapeUnknown" not in of_group(world), within=60)


async def test_failure_56_machines_that_are_on_are_no_riddle(autojump_clock: MockClock) -> None:
    """Where a machine is on when hexa comes, nothing is ever told of an unknown shape."""
    async with open_world(groups=[rack()], machines=boxes(1, declared=False, on=True), site=QUICK) as world:
        await reach(world, Phase.READY)
        await world.until(lambda: world.node("box-1").status.template is not None, within=60)
        assert not [event for event in world.journal.events if event.reason == "ShapeUnknown"]


async def test_a_group_that_may_have_no_machine_on_is_told(autojump_clock: MockClock) -> None:
    """maxSize: 0 is told by everybody."""
    async with open_world(groups=[rack(maxSize=0)], machines=boxes(1), autoscaler=None, site=QUICK) as world:
        await world.until(lambda: "MaxSizeZero" in of_group(world), within=60)
        told = await told_of_group(world)
        assert {who for who, text in told.items() if "is 0" in text} == set(told), told


# --- a kubelet under another name -----------------------------------------------------------------


@pytest.mark.parametrize("name", ["box-1-ec2407ca", pytest.param("box-1.lab.example", marks=pytest.mark.long)])
async def test_failure_57_a_kubelet_that_joins_under_another_name_is_named(
    autojump_clock: MockClock, name: str
) -> None:
    """The machine is up under another name (k3s --with-node-id, a full host name): while it is waited for, and when it has failed,
    its conditions name that Kubernetes node and the field to set; set, the machine is Ready."""
    box = machine("box-1", group="rack", boot_seconds=20.0, node_name=name)
    async with open_world(groups=[rack()], machines=[box], autoscaler=None, site=QUICK) as world:
        await reach(world, Phase.OFF)
        await switch(world, "on")
        await world.until(lambda: f"set spec.kubernetesNodeName: {name}" in conditions(world)["Joined"], within=60)
        await reach(world, Phase.START_FAILED, within=300)
        assert f"set spec.kubernetesNodeName: {name}" in conditions(world)["Failed"]
        world.edit("box-1", {"kubernetesNodeName": name})
        await reach(world, Phase.READY, within=600)
        assert "Failed" not in conditions(world)


async def test_failure_57_nodes_that_were_there_before_are_not_suspected(autojump_clock: MockClock) -> None:
    """A machine that never comes is not told to be a node that stood there before its wake, such as the control plane."""
    box = machine("box-1", group="rack", boot_seconds=8.0)
    async with open_world(groups=[rack()], machines=[box], autoscaler=None, site=QUICK) as world:
        await reach(world, Phase.OFF)
        await trio.sleep(120)
        world.inject({"kind": "noJoin", "count": 9, "machine": "box-1"})
        await switch(world, "on")
        await reach(world, Phase.START_FAILED, within=300)
        assert "kubernetesNodeName" not in " ".join(conditions(world).values())


# --- drains ---------------------------------------------------------------------------------------


async def test_failure_63_a_pod_that_needs_longer_than_the_drain_is_named(autojump_clock: MockClock) -> None:
    """A pod that still ends at the drain's deadline is not cut: the condition names it with its grace period, drain-check does so
    in advance, and the machine goes off once the pod has ended."""
    slow = rack(timeouts={"drain": "15s"})
    async with open_world(
        groups=[slow], machines=boxes(2), autoscaler=None, site=Site(pod_start=0.2, pod_stop=60.0)
    ) as world:
        await reach(world, Phase.OFF)
        await up(world, "box-1", "box-2")
        world.add_pods(1, cpu="1", terminationGracePeriodSeconds=3600)
        await world.until(lambda: world.waiting == 0, within=60)
        where = next(pod.spec.node_name for pod in world.pods() if pod.metadata.name.startswith("load"))
        snapshot = await look(world)
        view = snapshot.views.machine(Lookup("machines", where))
        assert view is not None
        checked = await check(MemoryKube(world.site.api), view, now=snapshot.now)
        assert [blocker.message for blocker in checked.slow] == ["its grace period is 1h, and timeouts.drain is 15s"]
        await switch(world, "off", where)
        await world.until(lambda: "still ending" in conditions(world, where).get("Blocked", ""), within=90)
        assert "load-" in conditions(world, where)["Blocked"]
        assert "still ending, its grace period is 1h" in conditions(world, where)["Blocked"]
        await reach(world, Phase.OFF, where, within=900)


# --- what is over ---------------------------------------------------------------------------------


async def test_an_image_that_is_not_there_is_told_until_the_machine_is_up(autojump_clock: MockClock) -> None:
    """Why the wake Job could not run stays in the conditions after the boot was given up, and goes when somebody starts the machine
    by hand."""
    async with open_world(groups=[rack()], machines=boxes(1), autoscaler=None, site=QUICK) as world:
        await reach(world, Phase.OFF)
        world.inject({"kind": "imageMissing", "machine": "box-1", "action": "startup", "count": 100})
        await switch(world, "on")
        await reach(world, Phase.START_FAILED, within=300)
        await trio.sleep(30)
        told = conditions(world)
        assert "ImagePull" in told.get("PowerJobFailed", "") + told.get("PowerJobWaiting", "")
        world.hardware("box-1").press_on()
        await reach(world, Phase.READY, within=120)
        assert not conditions(world).keys() & {"PowerJobFailed", "PowerJobWaiting", "Failed"}
        assert world.node("box-1").status.health == "healthy"


async def test_a_pod_that_a_finalizer_holds_is_told_while_its_machine_drains(autojump_clock: MockClock) -> None:
    """Long before the drain is given up the condition names the pod and the finalizer; once that is gone the machine goes off."""
    async with open_world(groups=[rack()], machines=boxes(2), autoscaler=None, site=QUICK) as world:
        await loaded(world)
        pod = next(pod for pod in world.pods() if pod.metadata.namespace == "default")
        held = Patch({"metadata": {"finalizers": ["example.com/guard"]}})
        world.site.api.patch(PODS, ("default", pod.metadata.name), held, manager="kubectl")
        await up(world, "box-2")
        await switch(world, "off")
        await trio.sleep(120)
        told = {c.type: c.message for c in world.node("box-1").status.conditions}
        assert "held by its finalizers (example.com/guard)" in told["Blocked"]
        freed = Patch({"metadata": {"finalizers": None}})
        world.site.api.patch(PODS, ("default", pod.metadata.name), freed, manager="kubectl")
        await reach(world, Phase.OFF, within=300)
