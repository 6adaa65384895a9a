"""Machines whose Kubernetes node carries a taint until a network plug-in has set it up."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import trio
from tests.scenarios.stage import ID, boxes
from trio.testing import MockClock

from hexa.adapters.memory.cluster.store import Event
from hexa.domain.machine.lifecycle import Phase
from hexa.domain.policy.conventions import STARTUP_TAINTS, told_to_autoscaler
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


def plug_in(world: World, seconds: float) -> None:
    """Takes the taint off each node so many seconds after it registered."""
    known: set[str] = set()

    def clean(name: str) -> None:
        node = world.kube_node(name)
        kept = [{"key": t.key, "effect": t.effect} for t in node.spec.taints if t.key != KEY] if node else []
        world.site.api.patch(NODES, ("", name), Patch({"spec": {"taints": kept or None}}), manager="cilium")

    def notice(event: Event) -> None:
        name = event.stored.key[1]
        if event.stored.uid not in known and tainted(world.kube_node(name)):
            known.add(event.stored.uid)
            world.site.timers.after(seconds, partial(clean, name))

    world.site.api.listen(NODES, notice)


@asynccontextmanager
async def site(seconds: float, *told: str) -> AsyncIterator[World]:
    """Three machines that are off, the plug-in, and an autoscaler that was told so many startup taints."""
    scaler = Settings(startup_taints=told, max_node_startup_time=0.0)  # as 1.35 and later have it for such a provider
    racks = [group("rack", wakeProof="Ignore", scaleDownUnneededTime="5m")]
    machines = boxes(3, cpu="4", taints=TAINT)
    async with open_world(groups=racks, machines=machines, autoscaler=scaler) as world:
        plug_in(world, seconds)
        await world.until(lambda: Phase.UNKNOWN not in world.phases().values(), within=60)
        yield world


async def test_failure_60_a_taint_of_a_network_plug_in_wakes_no_second_machine(autojump_clock: MockClock) -> None:
    """One pod wakes one machine, though the plug-in takes two minutes and a half, and the taint is in no template."""
    async with site(150) as world:
        world.add_pods(1, cpu="1")
        await world.until(lambda: world.waiting == 0, within=240)
        template = world.cloud.template(ID)
        assert isinstance(template, NodeTemplate)
        assert template.shape.taints == ()
        await trio.sleep(60)
        assert world.site.report().wakes == 1


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
