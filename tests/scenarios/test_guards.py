"""Guards against too much switching: cycles a day, offs at once, wakes and offs within a span, with all that is around them."""

from datetime import datetime, timedelta
from itertools import pairwise

import pytest
import trio
from tests.scenarios.stage import ID, QUICK, JobWatch, boxes, kube_of, rack, reach, up
from trio.testing import MockClock

from hexa.adapters.memory.cluster.store import Event
from hexa.domain.machine.lifecycle import Phase
from hexa.domain.names import OFF_FORBIDDEN_ANNOTATION, SCALE_DOWN_DISABLED
from hexa.domain.resources.v1alpha1 import MACHINES
from hexa.ports.cloud import Denied, Done, ExternalNode
from hexa.testing.autoscaler import Settings
from hexa.testing.world import World, open_world

EAGER = Settings(scale_down_unneeded_time=60, scale_down_delay_after_add=60, scan_interval=5)
"""A Cluster Autoscaler that gives idle machines up after a minute."""


async def swing(world: World, times: int) -> None:
    """A pod comes for five minutes, and is gone for five, so many times."""
    for _ in range(times):
        world.scale(1)
        await trio.sleep(300)
        world.scale(0)
        await trio.sleep(300)


async def test_failure_35_demand_that_swings_leaves_the_machine_on(autojump_clock: MockClock) -> None:
    """Demand that comes and goes every five minutes wakes the machine once: it is never idle for long enough."""
    settings = Settings(scale_down_delay_after_add=60)
    async with open_world(groups=[rack()], machines=boxes(1), autoscaler=settings, site=QUICK) as world:
        jobs = JobWatch(world)
        world.add_pods(0, cpu="3")
        await swing(world, 6)
        assert jobs.of("box-1") == ["startup"]
        assert world.phase("box-1") is Phase.READY


async def test_failure_35_cycles_a_day_are_bounded(autojump_clock: MockClock) -> None:
    """Where idle machines go after a minute, maxCyclesPerDay bounds how often: then the machine stays on though nobody needs it, a
    restart of hexa forgets nothing, Cluster Autoscaler is told in advance, and a day after the first off it may go again."""
    group = rack(maxCyclesPerDay=2, wakeProof="Ignore")
    async with open_world(groups=[group], machines=boxes(1), autoscaler=EAGER, site=QUICK) as world:
        jobs = JobWatch(world)
        world.add_pods(0, cpu="3")
        await swing(world, 1)
        await world.restart_agent()
        await swing(world, 4)
        assert jobs.of("box-1") == ["startup", "shutdown"] * 2 + ["startup"]
        assert told(world, "box-1") == "MaxCycles"
        until = world.node("box-1").status.switched.offs[0] + timedelta(days=1)
        await world.until(lambda: world.phase("box-1") is Phase.OFF, within=24 * 3600, every=20)
        assert timedelta(0) < world.now - until < timedelta(minutes=5)
        assert world.site.report().pods_killed == 0


async def test_so_many_go_down_at_once(autojump_clock: MockClock) -> None:
    """With maxDraining 1 a second machine is refused and annotated while the first goes down; hexa's own offs wait for one another,
    and a person's off passes."""
    group = rack(maxDraining=1, wakeProof="Ignore")
    async with open_world(groups=[group], machines=boxes(4), autoscaler=None, site=QUICK) as world:
        await up(world, "box-1", "box-2", "box-3", "box-4")
        both = [ExternalNode("box-1"), ExternalNode("box-2")]
        refused = await world.cloud.delete_nodes(ID, nodes=both)
        assert isinstance(refused, Denied)
        assert refused.reason == "MaxDraining"
        assert await world.cloud.delete_nodes(ID, nodes=both[:1]) == Done()
        await world.until(lambda: told(world, "box-2") == "MaxDraining", within=5, every=0.05)
        refused = await world.cloud.delete_nodes(ID, nodes=both[1:])
        assert isinstance(refused, Denied)
        assert refused.reason == "MaxDraining"
        world.edit("box-4", {"powerState": "off"})
        await reach(world, Phase.OFF, "box-4", within=120)
        await world.until(lambda: world.phase("box-1") is Phase.OFF and not told(world, "box-2"), within=60)
        down = Crowd(world, Phase.DRAINING, Phase.POWERING_OFF)
        world.edit_group("rack", {"maxSize": 0})
        await world.until(lambda: set(world.phases().values()) == {Phase.OFF}, within=300, every=0.1)
        assert down.most == 1


async def test_wakes_wait_for_their_turn(autojump_clock: MockClock) -> None:
    """One wake in 40 s: Cluster Autoscaler is granted the two machines that can be Ready in time and told that there is room for no
    third; minSize waits behind them, and a condition says until when."""
    group = rack(rateLimit={"wakes": 1, "per": "40s"}, timeouts={"boot": "30s"})
    async with open_world(groups=[group], machines=boxes(4), autoscaler=None, site=QUICK) as world:
        await world.until(lambda: set(world.phases().values()) == {Phase.OFF}, within=60)
        (shown,) = world.cloud.groups()
        assert shown.max_size == 3
        refused = await world.cloud.increase_size(ID, delta=4)
        assert isinstance(refused, Denied)
        assert refused.reason == "RateLimit"
        began = world.now
        assert await world.cloud.increase_size(ID, delta=2) == Done()
        world.edit_group("rack", {"minSize": 3})
        await trio.sleep(5)
        waiting = [name for name, phase in world.phases().items() if phase is Phase.OFF and wanted(world, name)]
        assert len(waiting) == 2
        assert all(condition(world, name, "RateLimit") for name in waiting)
        assert world.cloud.target_size(ID) == 3
        await world.until(lambda: list(world.phases().values()).count(Phase.READY) == 3, within=300)
        seconds = [round((moment - began).total_seconds()) for moment in wakes(world)]
        assert len(seconds) == 3
        assert all(40 <= later - before < 45 for before, later in pairwise(seconds))


async def test_offs_wait_for_their_turn(autojump_clock: MockClock) -> None:
    """One off in two minutes: Cluster Autoscaler is told for as long, and a lowered maxSize takes its time."""
    group = rack(rateLimit={"rests": 1, "per": "2m"}, wakeProof="Ignore")
    async with open_world(groups=[group], machines=boxes(3), autoscaler=None, site=QUICK) as world:
        await up(world, "box-1", "box-2", "box-3")
        assert await world.cloud.delete_nodes(ID, nodes=[ExternalNode("box-1")]) == Done()
        await reach(world, Phase.OFF, "box-1", within=60)
        assert told(world, "box-2") == "RateLimit"
        world.edit_group("rack", {"maxSize": 1})
        went = world.now
        await world.until(lambda: list(world.phases().values()).count(Phase.OFF) == 2, within=300, every=0.5)
        assert 110 < (world.now - went).total_seconds() < 150
        world.edit_group("rack", {"maxSize": 0})
        await world.until(lambda: set(world.phases().values()) == {Phase.OFF}, within=300, every=0.5)
        assert (world.now - went).total_seconds() > 235


@pytest.mark.parametrize("leaves", ["Delete", "Keep"])
async def test_spares_are_kept_and_refilled(autojump_clock: MockClock, leaves: str) -> None:
    """One idle machine is kept on: Cluster Autoscaler leaves it alone, a pod that comes runs at once, another machine is woken in
    its place, and what is idle beyond that goes."""
    group = rack(spares=1, wakeProof="Ignore", scaleDownUnneededTime="1m", nodeLeavePolicy=leaves)
    async with open_world(groups=[group], machines=boxes(3), autoscaler=EAGER, site=QUICK) as world:
        await world.until(lambda: list(world.phases().values()).count(Phase.READY) == 1, within=60)
        (first,) = (name for name, phase in world.phases().items() if phase is Phase.READY)
        await world.until(lambda: told(world, first) == "Spare", within=5)
        await trio.sleep(600)
        assert world.phase(first) is Phase.READY
        world.add_pods(1, cpu="3")
        assert await world.until(lambda: world.waiting == 0, within=10, every=0.1) < 3
        await world.until(lambda: list(world.phases().values()).count(Phase.READY) == 2, within=60)
        await trio.sleep(60)
        assert list(world.phases().values()).count(Phase.OFF) == 1
        assert told(world, first) == "Spare"  # its pod would only move to the new one
        await world.restart_agent()
        world.scale(0)
        await world.until(lambda: list(world.phases().values()).count(Phase.OFF) == 2, within=600)
        jobs = JobWatch(world)
        await trio.sleep(600)
        assert list(world.phases().values()).count(Phase.READY) == 1
        assert jobs.made == []


async def test_pods_that_fit_on_a_spare_are_not_moved_there_for_ever(autojump_clock: MockClock) -> None:
    """Cluster Autoscaler takes a spare for room for the pod of a machine that is little used. One move wakes a spare again; then
    nothing is switched for hours, though all the while the pod would fit on another one."""
    group = rack(spares=2, wakeProof="Ignore", scaleDownUnneededTime="1m")
    async with open_world(groups=[group], machines=boxes(5), autoscaler=EAGER, site=QUICK) as world:
        await world.until(lambda: list(world.phases().values()).count(Phase.READY) == 2, within=60)
        world.add_pods(1, cpu="1")
        await trio.sleep(600)
        jobs = JobWatch(world)
        await trio.sleep(4 * 3600)
        assert jobs.made == []
        assert list(world.phases().values()).count(Phase.READY) == 3


async def test_guards_cost_nothing_while_nothing_happens(autojump_clock: MockClock) -> None:
    """With all of them set, a spare that is up and the others off: ten minutes without a call but watches."""
    rate = {"wakes": 1, "rests": 1, "per": "2m"}
    group = rack(maxCyclesPerDay=2, maxDraining=1, rateLimit=rate, spares="20%", wakeProof="Ignore")
    async with open_world(groups=[group], machines=boxes(5), autoscaler=None, site=QUICK) as world:
        await world.until(lambda: sorted(world.phases().values()).count(Phase.READY) == 1, within=120)
        await trio.sleep(900)
        before = dict(kube_of(world).calls)
        await trio.sleep(600)
        made = {call: count - before.get(call, 0) for call, count in kube_of(world).calls.items()}
        assert {call for call, count in made.items() if count and call[0] != "watch"} == set()


class Crowd:
    """The most machines that were ever in these phases at once."""

    def __init__(self, world: World, *phases: Phase) -> None:
        self.most, self._at, self._phases = 0, {}, phases  # type: ignore[var-annotated]
        world.site.api.listen(MACHINES, self._changed)

    def _changed(self, event: Event) -> None:
        self._at[event.stored.key[1]] = (event.stored.raw.get("status") or {}).get("phase")
        self.most = max(self.most, sum(phase in self._phases for phase in self._at.values()))


def told(world: World, name: str) -> str:
    """The rule by which Cluster Autoscaler is told to leave the machine alone; empty: none."""
    node = world.kube_node(name)
    annotations = node.metadata.annotations if node is not None else {}
    return annotations.get(OFF_FORBIDDEN_ANNOTATION, "") if annotations.get(SCALE_DOWN_DISABLED) == "true" else ""


def condition(world: World, name: str, kind: str) -> str:
    """What the machine's condition says; empty: it has none."""
    found = (each.message for each in world.node(name).status.conditions if each.type == kind)
    return next(found, "")


def wanted(world: World, name: str) -> bool:
    """Whether the machine is wanted on."""
    wish = world.node(name).status.wish
    return wish is not None and wish.power == "on"


def wakes(world: World) -> list[datetime]:
    """When wakes began, oldest first."""
    return sorted(moment for name in world.phases() for moment in world.node(name).status.switched.wakes)
