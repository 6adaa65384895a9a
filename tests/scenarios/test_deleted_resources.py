"""Leaving hexa: Node and Group resources deleted in each phase, with the agent alive and dead. No power is ever switched by it."""

from typing import Any

import pytest
import trio
from tests.scenarios.stage import QUICK, JobWatch, boxes, kube_of, loaded, rack, reach, switch, up
from tests.scenarios.ways import WAYS
from trio.testing import MockClock

from hexa.domain.machine.lifecycle import Phase
from hexa.domain.machine.marks import marked
from hexa.domain.names import CORDON_ANNOTATION, FINALIZER_ANNOTATION, OFF_FINALIZER
from hexa.domain.resources.core import JOBS, NODES
from hexa.domain.resources.v1alpha1 import GROUPS, MACHINES
from hexa.ports.kube import Patch
from hexa.testing.world import World, open_world
from hexa.testing.world.builders import NAMESPACE

P = Phase
BOX = (NAMESPACE, "box-1")
STARTS = (P.POWERING_ON, P.BOOTING, P.START_FAILED)
"""A wake was sent before the deletion: the machine may come."""


def delete(world: World, kind: Any, name: str) -> None:
    """A person deletes one of our resources."""
    world.site.api.delete(kind, (NAMESPACE, name))


def there(world: World) -> bool:
    """Whether the first machine's Node resource is."""
    return world.site.api.get(MACHINES, "box-1", NAMESPACE) is not None


def clean(world: World) -> bool:
    """Whether the first machine's Kubernetes node, if there is one, carries nothing of ours and takes pods."""
    node = world.kube_node("box-1")
    return node is None or not (marked(node) or node.spec.unschedulable)


AGENTS = ("alive", "back", "dead")
POLICIES = ("Delete", "Keep")
CELLS = [
    pytest.param(phase, agent, policy, marks=[] if (row + column) % 2 == turn else [pytest.mark.long])
    for row, phase in enumerate(WAYS)
    for column, agent in enumerate(AGENTS)
    for turn, policy in enumerate(POLICIES)
]
"""Every second one of them is played by `./dev long` only."""


@pytest.mark.parametrize(("phase", "agent", "policy"), CELLS)
async def test_deleting_a_node_switches_no_power(
    autojump_clock: MockClock, phase: Phase, agent: str, policy: str
) -> None:
    """In whatever phase a Node resource is deleted: no Job is made any more, none that runs is left, the power stays; and once
    an agent runs, the resource is gone and the Kubernetes node is as others made it: no cordon, no label, no condition."""
    group = rack(nodeLeavePolicy=policy, nodeSelector={"shelf": "low"})
    async with open_world(groups=[group], machines=boxes(3), autoscaler=None, site=QUICK) as world:
        await WAYS[phase](world)
        if phase is P.OFF:
            await trio.sleep(120)  # its node has left, or is suspended
            assert world.node("box-1").metadata.finalizers == (OFF_FINALIZER,)
        else:
            assert world.node("box-1").metadata.finalizers == ()
        if agent != "alive":
            world.kill_agent()
        jobs, power = JobWatch(world), world.hardware("box-1").power
        delete(world, MACHINES, "box-1")
        await trio.sleep(5)
        assert there(world) is (phase is P.OFF and agent != "alive")
        if agent == "back":
            await world.start_agent()
        await trio.sleep(600)
        assert jobs.of("box-1") == []
        assert world.site.api.find(JOBS) == []
        assert world.hardware("box-1").power is power or (phase in STARTS and not power)
        if agent != "dead":
            assert not there(world)
            assert clean(world)


@pytest.mark.parametrize("phase", WAYS)
async def test_deleting_a_group_switches_no_power(autojump_clock: MockClock, phase: Phase) -> None:
    """In whatever phase a machine's Group is deleted, with a hold or a limit that ends with it: no power Job is made, a drain is
    called off and its cordon lifted; when the Group is back, all goes on."""
    async with open_world(groups=[rack()], machines=boxes(3), autoscaler=None, site=QUICK) as world:
        await WAYS[phase](world)
        await trio.sleep(1)
        jobs, running = JobWatch(world), phase is P.POWERING_OFF
        delete(world, GROUPS, "rack")
        await trio.sleep(900)
        assert jobs.made == []
        assert there(world)
        node = world.kube_node("box-1")
        if phase is P.DRAINING:
            assert node is not None
            assert not node.spec.unschedulable
            assert CORDON_ANNOTATION not in node.metadata.annotations
            assert world.hardware("box-1").power
        elif running:
            assert world.phase("box-1") is P.OFF  # the Job had been made before
        world.add_group(rack())
        wanted = world.node("box-1").status.wish
        assert wanted is not None
        ends = P.READY if wanted.power == "on" else P.OFF
        if phase is not P.DRAINING:  # which a budget holds
            await reach(world, ends, within=3600)


@pytest.mark.parametrize("held", ["on", "off"])
async def test_a_hold_that_ends_with_its_group_switches_nothing(autojump_clock: MockClock, held: str) -> None:
    """A group that is held is deleted: its machines stay as they are, whatever was wanted of them beneath the hold."""
    beneath = "off" if held == "on" else "on"
    async with open_world(groups=[rack()], machines=boxes(1), autoscaler=None, site=QUICK) as world:
        await up(world)
        world.edit_group("rack", {"hold": {"power": held}})
        await switch(world, beneath)
        await reach(world, P.READY if held == "on" else P.OFF)
        await trio.sleep(120)
        power = world.hardware("box-1").power
        assert power is (held == "on")
        delete(world, GROUPS, "rack")
        await trio.sleep(900)
        assert world.hardware("box-1").power is power


async def test_the_finalizer_stands_while_the_machine_is_off_and_says_how_to_clear_it(
    autojump_clock: MockClock,
) -> None:
    """It comes before the Kubernetes node goes, an annotation beside it has the command that clears it without hexa, and both
    are gone once the machine is woken."""
    async with open_world(groups=[rack()], machines=boxes(1), autoscaler=None, site=QUICK) as world:
        await up(world)
        seen: list[tuple[str, ...]] = []
        world.site.api.listen(NODES, lambda event: seen.append(world.node("box-1").metadata.finalizers))
        await switch(world, "off")
        await world.until(lambda: world.kube_node("box-1") is None, within=300)
        assert seen[-1] == (OFF_FINALIZER,)
        text = world.node("box-1").metadata.annotations[FINALIZER_ANNOTATION]
        command = """kubectl patch hn box-1 -n machines --type=merge -p '{"metadata":{"finalizers":null}}'"""
        assert text.endswith(command)
        await up(world)
        assert world.node("box-1").metadata.finalizers == ()
        assert FINALIZER_ANNOTATION not in world.node("box-1").metadata.annotations


async def test_a_machine_goes_though_a_resource_that_is_not_valid_claims_its_node(autojump_clock: MockClock) -> None:
    """Whoever declares it anew under another name, and wrongly, is not left with a resource that hangs in its finalizer."""
    async with open_world(
        groups=[rack(nodeLeavePolicy="Keep")], machines=boxes(1), autoscaler=None, site=QUICK
    ) as world:
        await up(world)
        await switch(world, "off")
        await reach(world, P.OFF)
        await trio.sleep(120)
        heir = {"metadata": {"name": "heir", "namespace": NAMESPACE, "labels": {"group": "nowhere"}}}
        world.site.api.create(MACHINES, {**heir, "spec": {"kubernetesNodeName": "box-1"}}, manager="kubectl")
        await trio.sleep(5)
        delete(world, MACHINES, "box-1")
        await trio.sleep(30)
        assert not there(world)
        assert world.kube_node("box-1") is not None
        assert clean(world)  # the heir is in no group: it has no word about the node
        delete(world, MACHINES, "heir")
        await trio.sleep(5)
        assert clean(world)


async def test_what_a_machine_that_is_off_had_is_told_when_its_node_is_deleted(autojump_clock: MockClock) -> None:
    """Its Kubernetes node is gone, so an Event has the commands that give back labels and taints after its next boot; what the
    kubelet sets by itself and what was hexa's are not among them."""
    group = rack(nodeSelector={"shelf": "low"})
    async with open_world(groups=[group], machines=boxes(1), autoscaler=None, site=QUICK) as world:
        await up(world)
        given = {"metadata": {"labels": {"owner": "ops"}}, "spec": {"taints": [{"key": "gpu", "effect": "NoSchedule"}]}}
        world.site.api.patch(NODES, ("", "box-1"), Patch(given), manager="kubectl")
        await trio.sleep(5)
        await switch(world, "off")
        await world.until(lambda: world.kube_node("box-1") is None, within=300)
        delete(world, MACHINES, "box-1")
        await world.until(lambda: not there(world), within=10)
        told = next(event.message for event in world.journal.events if event.reason == "HandedBack")
        assert (
            "kubectl label --overwrite node box-1 owner=ops; kubectl taint --overwrite nodes box-1 gpu:NoSchedule"
            in told
        )
        assert "shelf" not in told


def shelves(node: Any) -> dict[str, str]:
    """The labels that are looked at."""
    return {key: value for key, value in node.metadata.labels.items() if key in ("shelf", "room", "own")}


async def test_labels_that_a_node_had_before_come_back(autojump_clock: MockClock) -> None:
    """A label that the group overwrote gets its old value back, one that somebody changed since stays, and one that the node
    had of its own stays too."""
    group = rack(nodeSelector={"shelf": "low", "room": "a", "own": "yes"})
    box = boxes(1, labels={"shelf": "high", "own": "yes"}, declared=False)
    async with open_world(groups=[group], machines=box, autoscaler=None, site=QUICK) as world:
        await up(world)
        node = world.kube_node("box-1")
        assert node is not None
        assert shelves(node) == {
            "shelf": "low",
            "room": "a",
            "own": "yes",
        }
        await switch(world, "off")
        await world.until(lambda: world.kube_node("box-1") is None, within=300)
        await up(world)  # a power cycle forgets none of it
        changed = Patch({"metadata": {"labels": {"room": "b"}}})
        world.site.api.patch(NODES, ("", "box-1"), changed, manager="kubectl")
        await trio.sleep(5)
        delete(world, MACHINES, "box-1")
        await trio.sleep(5)
        node = world.kube_node("box-1")
        assert node is not None
        assert shelves(node) == {
            "shelf": "high",
            "room": "b",
            "own": "yes",
        }


async def test_marks_of_other_agents_machines_stay(autojump_clock: MockClock) -> None:
    """An agent that watches some namespaces leaves nodes alone whose machines it cannot see."""
    async with open_world(groups=[rack()], machines=boxes(1), autoscaler=None, site=QUICK) as world:
        await loaded(world)
        other = {"metadata": {"annotations": {"infra.homecluster.dev/machine": "elsewhere/box-9"}}}
        life = world.agent.life
        assert life is not None
        life.core.store.namespaces = (NAMESPACE,)
        control = world.site.api.find(NODES)[-1]
        world.site.api.patch(NODES, control.key, Patch(other), manager="hexa")
        await trio.sleep(60)
        after = world.site.api.get(NODES, control.key[1])
        assert after is not None
        assert "infra.homecluster.dev/machine" in after.raw["metadata"]["annotations"]
        assert kube_of(world) is not None
