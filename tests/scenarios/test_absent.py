"""What is absent, or can't be read, is not empty: it keeps a machine on, and is told by name."""

from typing import Any

import pytest
import trio
from tests.scenarios.stage import QUICK, boxes, kube_of, loaded, rack, reach, switch, up
from trio.testing import MockClock

from hexa.domain.errors import Unavailable
from hexa.domain.machine.lifecycle import Phase
from hexa.domain.names import GROUP_LABEL
from hexa.domain.resources.core import NODES, PODS
from hexa.domain.resources.v1alpha1 import GROUPS, MACHINES
from hexa.ports.kube import Patch
from hexa.testing.world import World, open_world
from hexa.testing.world.builders import NAMESPACE

P = Phase


def spoil(world: World, kind: Any, key: tuple[str, str], **spec: Any) -> None:
    """Somebody stores what does not decode."""
    world.site.api.patch(kind, key, Patch({"spec": spec}), manager="somebody")


def load(world: World) -> tuple[str, str]:
    """The pod that runs on the machine."""
    return next(
        (pod.metadata.namespace, pod.metadata.name) for pod in world.pods() if pod.metadata.labels.get("app") == "load"
    )


def conditions(world: World) -> dict[str, str]:
    """What a person is told of the machine."""
    return {c.type: f"{c.reason}: {c.message}" for c in world.node("box-1").status.conditions if c.status == "True"}


async def test_failure_44_a_pod_that_does_not_decode_keeps_its_machine_on(autojump_clock: MockClock) -> None:
    """Its drain is blocked by that pod, by name and with what is wrong with it; once it is gone the machine goes off."""
    async with open_world(groups=[rack()], machines=boxes(1), autoscaler=None, site=QUICK) as world:
        await loaded(world)
        pod = load(world)
        spoil(world, PODS, pod, priority="high")
        await switch(world, "off")
        await world.until(lambda: "Blocked" in conditions(world), within=60)
        told = conditions(world)["Blocked"]
        assert "/".join(pod) in told
        assert "spec.priority" in told
        await trio.sleep(300)
        assert world.hardware("box-1").power
        world.scale(0)
        world.site.api.delete(PODS, pod)
        await reach(world, P.OFF, within=900)


async def test_failure_44_a_node_that_does_not_decode_is_there(autojump_clock: MockClock) -> None:
    """Its machine is not lost, and is only watched until the node reads again: nothing is drained, nothing switched."""
    async with open_world(groups=[rack()], machines=boxes(1), autoscaler=None, site=QUICK) as world:
        await loaded(world)
        spoil(world, NODES, ("", "box-1"), unschedulable="maybe")
        await switch(world, "off")
        await trio.sleep(300)
        assert world.phase("box-1") is P.READY
        assert "KubernetesNodeUnreadable: " in conditions(world)["Invalid"]
        assert world.hardware("box-1").power
        world.scale(0)
        spoil(world, NODES, ("", "box-1"), unschedulable=None)
        await reach(world, P.OFF, within=120)


async def test_failure_44_a_group_that_does_not_decode_is_there(autojump_clock: MockClock) -> None:
    """Its machines are only watched, and keep their labels: it is no Group that was deleted."""
    async with open_world(groups=[rack()], machines=boxes(1), autoscaler=None, site=QUICK) as world:
        await loaded(world)
        spoil(world, GROUPS, (NAMESPACE, "rack"), minSize={"a": 1})
        await switch(world, "off")
        await trio.sleep(120)
        assert "GroupUnreadable: " in conditions(world)["Invalid"]
        node = world.kube_node("box-1")
        assert node is not None
        assert (world.hardware("box-1").power, node.metadata.labels.get(GROUP_LABEL)) == (True, "rack")


async def test_failure_44_a_machine_that_does_not_decode_needs_what_it_needed(autojump_clock: MockClock) -> None:
    """What it depends on stays on while it can't be read, and what it claims is still its own; once it is gone, that ends."""
    store, box = boxes(2)
    async with open_world(groups=[rack()], machines=[store, box], autoscaler=None, site=QUICK) as world:
        world.edit("box-2", {"dependsOn": ["box-1"]})
        await up(world, "box-1", "box-2")
        await trio.sleep(10)
        spoil(world, MACHINES, (NAMESPACE, "box-2"), dependsOn="box-1")
        await switch(world, "off")
        await trio.sleep(120)
        assert world.hardware("box-1").power
        world.site.api.delete(MACHINES, (NAMESPACE, "box-2"))
        await reach(world, P.OFF, within=300)


@pytest.mark.parametrize("error", [Unavailable("the answer was cut off"), Unavailable("410", reason="Expired")])
async def test_failure_44_a_list_that_failed_drains_nothing(autojump_clock: MockClock, error: Exception) -> None:
    """While the pods of a machine can't be listed it goes nowhere, however long that lasts."""
    async with open_world(groups=[rack()], machines=boxes(1), autoscaler=None, site=QUICK) as world:
        await loaded(world)
        world.scale(0)
        kube, listed = kube_of(world), 0
        real = kube.list

        async def fails(kind: Any, *args: Any) -> Any:
            nonlocal listed
            if kind is PODS:
                listed += 1
                raise error
            return await real(kind, *args)

        kube.list = fails  # type: ignore[method-assign]
        await switch(world, "off")
        await trio.sleep(600)
        assert listed > 3
        assert world.hardware("box-1").power
        kube.list = real  # type: ignore[method-assign]
        await reach(world, P.OFF, within=900)
