"""Machines whose Kubernetes node carries a taint until a network plug-in has set it up."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
from tests.scenarios.stage import ID, boxes
from trio.testing import MockClock

from hexa.domain.conventions import STARTUP_TAINTS, told_to_autoscaler
from hexa.domain.lifecycle import Phase
from hexa.domain.resources.core import NODES, KubeNode
from hexa.ports.cloud import NodeTemplate
from hexa.ports.kube import Patch
from hexa.testing.autoscaler.settings import Settings
from hexa.testing.world import World, group, open_world

KEY = "node.cilium.io/agent-not-ready"
TAINT = ({"key": KEY, "value": "true", "effect": "NoSchedule"},)
NAMES = ("box-1", "box-2", "box-3")


def tainted(node: KubeNode | None) -> bool:
    """Whether the plug-in has not set the node up."""
    return node is not None and any(taint.key == KEY for taint in node.spec.taints)


async def plug_in(world: World, seconds: float) -> None:
    """Takes the taint off each node so many seconds after it became Ready."""
    since: dict[str, float] = {}
    while True:
        await trio.sleep(1)
        for name in NAMES:
            node = world.kube_node(name)
            if node is None or not any(c.type == "Ready" and c.status == "True" for c in node.status.conditions):
                since.pop(name, None)
            elif trio.current_time() - since.setdefault(name, trio.current_time()) >= seconds and tainted(node):
                kept = [{"key": t.key, "effect": t.effect} for t in node.spec.taints if t.key != KEY]
                world.site.api.patch(NODES, ("", name), Patch({"spec": {"taints": kept or None}}), manager="cilium")


@asynccontextmanager
async def site(seconds: float, *told: str) -> AsyncIterator[World]:
    """Three machines that are off, the plug-in, and an autoscaler that was told so many startup taints."""
    scaler = Settings(startup_taints=told, max_node_startup_time=0.0)  # as 1.35 and later have it for such a provider
    racks = [group("rack", wakeProof="Ignore", scaleDownUnneededTime="5m")]
    async with (
        open_world(groups=racks, machines=boxes(3, cpu="4", taints=TAINT), autoscaler=scaler) as world,
        trio.open_nursery() as n,
    ):
        n.start_soon(plug_in, world, seconds)
        await world.until(lambda: Phase.UNKNOWN not in world.phases().values(), within=60)
        yield world
        n.cancel_scope.cancel()


@pytest.mark.parametrize("seconds", [150])
async def test_failure_60_a_taint_of_a_network_plug_in_wakes_no_second_machine(
    autojump_clock: MockClock, seconds: float
) -> None:
    """One pod wakes one machine, however long the plug-in takes below the limit; the taint is neither in the template nor
    given back to the node at its next boot."""
    async with site(seconds) as world:
        for name in ("first", "second"):
            world.add_pods(1, name=name, cpu="1")
            await world.until(lambda: world.waiting == 0, within=600)
            template = world.cloud.template(ID)
            assert isinstance(template, NodeTemplate)
            assert template.shape.taints == ()
            world.scale(0, name=name)
            await world.until(lambda: not any(map(world.kube_node, NAMES)), within=2400)
        assert world.site.report().wakes == 2


async def test_failure_60_a_taint_that_never_goes_is_told_and_hides_no_node_for_ever(autojump_clock: MockClock) -> None:
    """After five minutes the node is shown as it is, another machine is woken for the pod, and a condition names the taint."""
    async with site(1e9, *told_to_autoscaler(STARTUP_TAINTS)) as world:
        world.add_pods(1, cpu="1")
        await world.until(lambda: world.site.report().wakes == 1, within=60)
        (name,) = [each for each in NAMES if world.phase(each) is not Phase.OFF]
        await world.until(lambda: tainted(world.kube_node(name)) and world.phase(name) is Phase.READY, within=60)
        assert world.cloud.group_for_node(name, "") is None
        await world.until(lambda: world.site.report().wakes == 2, within=330)
        assert world.cloud.group_for_node(name, "") is not None
        (found,) = [c for c in world.node(name).status.conditions if c.type == "NotSetUp"]
        assert (found.reason, KEY in found.message) == ("StartupTaint", True)
