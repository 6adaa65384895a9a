"""What hexa put on a Kubernetes node, hexa takes off, in every order of what people do to Groups and Nodes: one matrix of (what
changes) x (phase) x (leave policy) x (restart), with one clean state at the end."""

from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
import trio
from tests.scenarios.stage import QUICK, boxes, rack, switch
from tests.scenarios.ways import WAYS
from trio.testing import MockClock

from hexa.domain.machine.lifecycle import Phase
from hexa.domain.machine.marks import marked, suspended_by_us
from hexa.domain.names import CORDON_ANNOTATION, GROUP_LABEL, OFF_FINALIZER
from hexa.domain.resources.core import KubeNode
from hexa.domain.resources.v1alpha1 import MACHINES, Node
from hexa.testing.world import World, group, open_world
from hexa.testing.world.builders import NAMESPACE
from hexa.testing.world.people import (
    delete_group,
    delete_machine,
    give_up_group,
    give_up_machine,
    move,
    rename_group,
    take_back_group,
    take_back_machine,
)

P = Phase
Change = Callable[[World], Awaitable[None]]
Policies = ("Delete", "Keep")


def low(policy: str) -> Any:
    """The group that the machines are in at first."""
    return rack(nodeLeavePolicy=policy, nodeSelector={"shelf": "low"})


def high(policy: str) -> Any:
    """Another one, which asks for other labels."""
    return group("other", maxNodeProvisionTime="2m", nodeLeavePolicy=policy, nodeSelector={"shelf": "high"})


async def group_deleted(world: World) -> None:
    """Its members stay."""
    delete_group(world, "rack")


async def group_released(world: World) -> None:
    """hexa keeps its limits no more."""
    give_up_group(world, "rack")


async def label_removed(world: World) -> None:
    """In no group."""
    move(world, "box-1", "")


async def machine_deleted(world: World) -> None:
    """Gone for good."""
    delete_machine(world, "box-1")


async def machine_released(world: World) -> None:
    """hexa keeps its hands off."""
    give_up_machine(world, "box-1")


async def moved(world: World) -> None:
    """To a group that asks for other labels."""
    move(world, "box-1", "other")


async def group_renamed(world: World) -> None:
    """In one go, with the same spec."""
    delete_group(world, "other")
    rename_group(world, "rack", "other")


async def group_renamed_slowly(world: World) -> None:
    """Deleted, made anew under its other name, and the members labelled one after the other, with time between."""
    delete_group(world, "other")
    await trio.sleep(20)
    policy = world.group("rack").spec.node_leave_policy
    delete_group(world, "rack")
    await trio.sleep(60)
    world.add_group(high(str(policy)))
    await trio.sleep(20)
    for name in ("box-1", "box-2", "box-3"):
        move(world, name, "other")


async def policy_changed(world: World) -> None:
    """Delete to Keep, or back."""
    other = "Keep" if world.group("rack").spec.node_leave_policy == "Delete" else "Delete"
    world.edit_group("rack", {"nodeLeavePolicy": other})


async def selector_changed(world: World) -> None:
    """One value is another, one label is new."""
    world.edit_group("rack", {"nodeSelector": {"shelf": "high", "room": "b"}})


async def held_on(world: World) -> None:
    """Every machine on, by a person."""
    world.edit_group("rack", {"hold": {"power": "on"}})


async def always_on(world: World) -> None:
    """Every machine on, by mode."""
    world.edit_group("rack", {"mode": "AlwaysOn"})


async def group_broken(world: World) -> None:
    """Its limits contradict each other: its machines are only watched."""
    world.edit_group("rack", {"minSize": 3, "maxSize": 2})


async def twin_declared(world: World) -> None:
    """Somebody declares another machine with the same Kubernetes node: neither is switched."""
    heir = {"metadata": {"name": "heir", "namespace": NAMESPACE, "labels": {"group": "rack"}}}
    world.site.api.create(MACHINES, {**heir, "spec": {"kubernetesNodeName": "box-1"}}, manager="kubectl")


async def group_deleted_and_back(world: World) -> None:
    """With time between."""
    before = low(str(world.group("rack").spec.node_leave_policy))
    delete_group(world, "rack")
    await trio.sleep(400)
    world.add_group(before)


async def group_released_and_back(world: World) -> None:
    """With time between."""
    give_up_group(world, "rack")
    await trio.sleep(400)
    take_back_group(world, "rack")


async def machine_released_and_back(world: World) -> None:
    """With time between."""
    give_up_machine(world, "box-1")
    await trio.sleep(400)
    take_back_machine(world, "box-1")


ALONE: dict[str, Change] = {
    "groupDeleted": group_deleted,
    "groupReleased": group_released,
    "labelRemoved": label_removed,
    "machineDeleted": machine_deleted,
    "machineReleased": machine_released,
}
"""After these the machine is nobody's member."""
TO_OTHER: dict[str, Change] = {
    "moved": moved,
    "groupRenamed": group_renamed,
    "groupRenamedSlowly": group_renamed_slowly,
}
"""After these it is a member of another group."""
STAYING: dict[str, Change] = {
    "policyChanged": policy_changed,
    "selectorChanged": selector_changed,
    "heldOn": held_on,
    "alwaysOn": always_on,
    "groupBroken": group_broken,
    "twinDeclared": twin_declared,
    "groupDeletedAndBack": group_deleted_and_back,
    "groupReleasedAndBack": group_released_and_back,
    "machineReleasedAndBack": machine_released_and_back,
}
"""After these it is a member of its group as before."""
WATCHED = ("groupBroken", "twinDeclared")
"""Of them: the machine is only watched from then on."""
CHANGES = {**ALONE, **TO_OTHER, **STAYING}


async def comes_to_serve(world: World) -> KubeNode:
    """The machine is switched on as its owner would: by hexa where that acts on it, else by its button. Its node in the end."""
    found: Node | None = world._node("box-1")
    if found is not None:
        world.edit("box-1", {"powerState": "on"})
    await trio.sleep(300)  # a dead machine is mended by then
    if not world.hardware("box-1").power:
        world.inject({"kind": "buttonOn", "machine": "box-1"})
    await trio.sleep(900)
    assert world.hardware("box-1").power
    node = world.kube_node("box-1")
    assert node is not None, world
    return node


def left(world: World, node: KubeNode, change: str) -> Iterator[str]:
    """What is left that should not be, or is missing."""
    annotations, labels = node.metadata.annotations, node.metadata.labels
    if node.spec.unschedulable or CORDON_ANNOTATION in annotations:
        yield "cordon"
    if node.spec.taints:
        yield f"taints {node.spec.taints}"
    if suspended_by_us(node) and any(c.type == "Suspended" and c.status == "True" for c in node.status.conditions):
        yield "Suspended"
    machine = world._node("box-1")
    if machine is not None and OFF_FINALIZER in machine.metadata.finalizers:
        yield "finalizer"
    shelves = (labels.get(GROUP_LABEL), labels.get("shelf"))
    if change in ALONE and marked(node):
        yield f"marks {labels} {annotations}"
    wanted = {**dict.fromkeys(ALONE, (None, None)), **dict.fromkeys(TO_OTHER, ("other", "high"))}
    new = ("rack", "high") if change == "selectorChanged" else ("rack", "low")
    if change == "groupRenamed":
        new = ("other", "low")
        wanted.pop(change)
    unseen = (
        change in WATCHED and not world.node("box-1").status.welcomed
    )  # it never served: nobody has given it anything
    if shelves != ((None, None) if unseen else wanted.get(change, new)):
        yield f"labels {shelves}"


async def play(change: str, phase: Phase, policy: str, *, restart: bool) -> None:
    """One cell of the matrix."""
    async with open_world(groups=[low(policy), high(policy)], machines=boxes(3), autoscaler=None, site=QUICK) as world:
        await WAYS[phase](world)
        if phase is P.OFF:
            await trio.sleep(120)  # its node has left, or is suspended
        if restart:
            world.kill_agent()
        await CHANGES[change](world)
        if restart:
            await trio.sleep(5)
            await world.start_agent()
        await trio.sleep(60)
        node = await comes_to_serve(world)
        assert list(left(world, node, change)) == []


THIN = [
    ("groupDeleted", P.OFF, "Keep", True),
    ("labelRemoved", P.DRAINING, "Delete", False),
    ("moved", P.READY, "Keep", True),
    ("groupReleasedAndBack", P.BOOTING, "Keep", False),
    ("machineReleased", P.POWERING_OFF, "Delete", True),
]
MATRIX = [
    (change, phase, policy, restart)
    for change in CHANGES
    for phase in WAYS
    for policy in Policies
    for restart in (False, True)
]


@pytest.mark.parametrize(("change", "phase", "policy", "restart"), THIN)
async def test_failure_54_what_hexa_put_hexa_takes_off(
    autojump_clock: MockClock, change: str, phase: Phase, policy: str, restart: bool
) -> None:
    """Whatever people do to a Group or a Node, in whatever phase: when the machine serves again, its node carries what its group
    asks for, and else nothing of hexa's: no cordon, taint, label, annotation, condition or finalizer."""
    await play(change, phase, policy, restart=restart)


@pytest.mark.long
@pytest.mark.parametrize(("change", "phase", "policy", "restart"), MATRIX)
async def test_failure_54_in_every_order(
    autojump_clock: MockClock, change: str, phase: Phase, policy: str, restart: bool
) -> None:
    """The same for every change in every phase, with both leave policies, with and without a restart of the agent between."""
    await play(change, phase, policy, restart=restart)


@pytest.mark.parametrize("restart", [False, True])
async def test_failure_54_a_released_group_keeps_no_limit_until_it_is_taken_back(
    autojump_clock: MockClock, restart: bool
) -> None:
    """It wakes nothing for minSize and is nobody to Cluster Autoscaler; the condition says so. Taken back, the minimum is kept."""
    async with open_world(groups=[rack(minSize=1)], machines=boxes(2), autoscaler=None, site=QUICK) as world:
        await world.until(lambda: P.READY in world.phases().values(), within=120)
        give_up_group(world, "rack")
        if restart:
            await world.restart_agent()
        await trio.sleep(5)
        assert [c.type for c in world.group("rack").status.conditions] == ["Released"]
        assert world.cloud.groups() == []
        await switch(world, "off", *(name for name, phase in world.phases().items() if phase is P.READY))
        await trio.sleep(300)
        assert P.READY not in world.phases().values()
        take_back_group(world, "rack")
        await world.until(lambda: P.READY in world.phases().values(), within=120)
        assert len(world.cloud.groups()) == 1


@pytest.mark.parametrize("policy", Policies)
async def test_a_machine_that_came_up_while_it_was_paused_is_clean_when_its_group_goes(
    autojump_clock: MockClock, policy: str
) -> None:
    """Nobody has opened its node, and nobody will: with the Group gone nothing of hexa's is on it, and the Group that comes back
    gives it all again."""
    async with open_world(groups=[low(policy)], machines=boxes(1), autoscaler=None, site=QUICK) as world:
        await WAYS[P.OFF](world)
        await trio.sleep(120)
        await WAYS[P.POWERING_ON](world)
        world.edit("box-1", {"paused": {"reason": "new fan"}})
        await world.until(lambda: world.phase("box-1") is P.READY, within=120)
        delete_group(world, "rack")
        await trio.sleep(60)
        node = world.kube_node("box-1")
        assert node is not None
        assert not marked(node)
        assert not node.spec.unschedulable
        world.add_group(low(policy))
        world.edit("box-1", {"paused": None})
        await trio.sleep(60)
        node = world.kube_node("box-1")
        assert node is not None
        assert (node.metadata.labels.get(GROUP_LABEL), node.metadata.labels.get("shelf")) == ("rack", "low")
