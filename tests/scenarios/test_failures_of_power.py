"""What goes wrong with power at real sites, by the numbers of docs/failures.md, and what hexa makes of each."""

from itertools import pairwise
from typing import Any

import pytest
import trio
from tests.scenarios.stage import ID, QUICK, JobWatch, arrows, boxes, loaded, rack, reach, switch, up
from trio.testing import MockClock

from hexa.domain.machine.lifecycle import Phase
from hexa.domain.resources.core import JOBS, NODES
from hexa.domain.resources.v1alpha1 import GroupHealth
from hexa.ports.cloud import Done, ExternalNode, InstanceState
from hexa.testing.world import Machine, World, machine, open_world


def wired(number: int, **more: Any) -> Machine:
    """A machine that hexa switches and reads by its BMC."""
    power = {"ipmi": {"address": f"bmc-{number}.lan", "secretName": "bmc"}}
    spec = {"startupPodSpec": None, "shutdownPodSpec": None, "power": power}
    return machine(f"box-{number}", group="rack", spec=spec, **{"boot_seconds": 8.0, **more})


def message(world: World, kind: str, name: str = "box-1") -> str:
    """What the machine's condition of this type says, if it stands."""
    found = (each for each in world.node(name).status.conditions if each.type == kind)
    return next((f"{each.status} {each.reason}: {each.message}" for each in found), "")


def phases(world: World) -> list[tuple[float, str]]:
    """Phases that machines entered, and when, in seconds."""
    lines = [line for line in world.journal.lines if line.message == "phase"]
    return [((line.at - world.now).total_seconds(), line.fields["phase"]) for line in lines]


async def settled(world: World) -> None:
    """All machines are known to be off."""
    await world.until(lambda: set(world.phases().values()) == {Phase.OFF}, within=60)
    await trio.sleep(1)


# --- 1 to 7: wakes and shutdowns that do not work -------------------------------------------------------


async def test_failure_1_lost_packets_are_sent_again_by_policy_and_then_the_next_machine_comes(
    autojump_clock: MockClock,
) -> None:
    """A machine that no packet reaches is woken as often as its group says, each at its interval; then the next candidate takes its
    place, and on the machine stands why."""
    group = rack(retries={"attempts": 2, "wakeInterval": "15s"})
    async with open_world(groups=[group], machines=boxes(2), autoscaler=None, site=QUICK) as world:
        await settled(world)
        jobs = JobWatch(world)
        made: list[float] = []
        world.site.api.listen(JOBS, lambda event: made.append(trio.current_time()) if event.type == "ADDED" else None)
        world.inject({"kind": "lostWake", "machine": "box-1", "count": 100})
        assert await world.cloud.increase_size(ID, delta=1) == Done()
        await reach(world, Phase.READY, "box-2", within=120)
        assert jobs.of("box-1") == ["startup", "startup"]
        assert 14.9 <= made[1] - made[0] <= 16
        assert world.cloud.target_size(ID) == 1
        assert world.journal.reasons("box-1").count("WakeAgain") == 1
        assert message(world, "Failed").startswith("True")
        assert "after 2 wakes" in message(world, "Failed")
        assert message(world, "Wakeable").startswith("False WakeFailed")


async def test_failure_3_what_a_bmc_says_is_read_back_repeated_and_given_up(autojump_clock: MockClock) -> None:
    """A BMC that takes every wake and does nothing: the reading is what counts, the wake is repeated, the machine is never Ready,
    and another one comes in its place."""
    async with open_world(groups=[rack()], machines=[wired(1), wired(2)], autoscaler=None, site=QUICK) as world:
        await settled(world)
        jobs = JobWatch(world)
        world.inject({"kind": "lostWake", "machine": "box-1", "count": 100})
        assert await world.cloud.increase_size(ID, delta=1) == Done()
        await reach(world, Phase.READY, "box-2", within=200)
        assert jobs.of("box-1") == ["startup"] * 3
        assert {phase for phase, _ in arrows(world)}.isdisjoint({"Ready", "Booting"})
        assert world.phase("box-1") in (Phase.START_FAILED, Phase.OFF)


async def test_failure_6_off_asked_of_a_machine_that_is_off_already(autojump_clock: MockClock) -> None:
    """Somebody pressed its button a moment before: the shutdown Job fails, the reading says Off, and that is what was wanted."""
    async with open_world(groups=[rack()], machines=[wired(1, off_seconds=1.0)], autoscaler=None, site=QUICK) as world:
        jobs = JobWatch(world)
        await up(world)
        world.inject({"kind": "failedJob", "machine": "box-1", "action": "shutdown"})
        await switch(world, "off")
        await reach(world, Phase.POWERING_OFF)
        world.hardware("box-1").press_off()
        await reach(world, Phase.OFF, within=60)
        await trio.sleep(300)
        assert world.phase("box-1") is Phase.OFF
        assert jobs.of("box-1") == ["startup", "shutdown"]
        assert "Failed" not in {each.type for each in world.node("box-1").status.conditions if each.status == "True"}


async def test_failure_7_a_shutdown_that_is_ignored_is_told_once_and_tried_ever_more_seldom(
    autojump_clock: MockClock,
) -> None:
    """A system that ignores every shutdown stays on, drained and cordoned, with one reason on the machine; it is asked again after
    cool-offs that grow, never in a loop, and power is not cut by itself."""
    group = rack(timeouts={"powerOff": "1m"})
    async with open_world(groups=[group], machines=boxes(1), autoscaler=None, site=QUICK) as world:
        jobs = JobWatch(world)
        await up(world)
        world.inject({"kind": "hungShutdown", "machine": "box-1", "count": 1000})
        await switch(world, "off")
        await trio.sleep(3 * 3600)
        assert world.hardware("box-1").power
        assert world.hardware("box-1").boots == 1
        assert 5 <= jobs.of("box-1").count("shutdown") <= 9
        assert jobs.most == 1
        node = world.kube_node("box-1")
        assert node is not None
        assert node.spec.unschedulable
        assert message(world, "Failed").startswith("True")
        failed = [at for at, phase in phases(world) if phase == Phase.STOP_FAILED]
        assert len(failed) >= jobs.of("box-1").count("shutdown") - 1
        gaps = [after - before for before, after in pairwise(failed)]
        assert gaps[-1] > 5 * gaps[0]


# --- 8, 10, 11: boots that take long --------------------------------------------------------------------


@pytest.mark.long
@pytest.mark.parametrize("policy", ["Delete", "Keep"])
async def test_failures_8_and_10_a_boot_that_is_slower_than_every_limit_is_taken_as_it_comes(
    autojump_clock: MockClock, policy: str
) -> None:
    """A machine that was given up and comes an hour late is Ready at once, uncordoned, its failure forgotten, and it is not woken a
    second time meanwhile."""
    group = rack(nodeLeavePolicy=policy, retries={"maxBackoff": "4h", "backoff": "4h"})
    async with open_world(groups=[group], machines=boxes(1), autoscaler=None, site=QUICK) as world:
        await up(world)
        await switch(world, "off")
        await reach(world, Phase.OFF)
        await trio.sleep(120)
        jobs = JobWatch(world)
        world.inject({"kind": "slowBoot", "machine": "box-1", "duration": 3600})
        await switch(world, "on")
        await reach(world, Phase.START_FAILED, within=200)
        assert world.node("box-1").status.failures == 1
        await reach(world, Phase.READY, within=3700)
        await trio.sleep(1)
        node = world.kube_node("box-1")
        assert node is not None
        assert not node.spec.unschedulable
        assert world.node("box-1").status.failures == 0
        assert world.hardware("box-1").boots == 2
        assert len(jobs.made) <= 3  # of its one boot
        assert "Failed" not in {each.type for each in world.node("box-1").status.conditions if each.status == "True"}


@pytest.mark.long
async def test_failure_11_a_boot_that_fails_for_hours(autojump_clock: MockClock) -> None:
    """A machine that never comes, the only one that there is, with a person who wants it: tries grow apart up to maxBackoff, the
    group is not healthy, and Cluster Autoscaler is told an error and no node that might come."""
    group = rack(retries={"maxBackoff": "30m"})
    async with open_world(groups=[group], machines=boxes(1), autoscaler=None, site=QUICK) as world:
        await settled(world)
        jobs = JobWatch(world)
        world.inject({"kind": "dead", "machine": "box-1"})
        assert await world.cloud.increase_size(ID, delta=1) == Done()
        await reach(world, Phase.START_FAILED, within=200)
        instances = world.cloud.instances(ID)
        assert isinstance(instances, list)
        assert [(each.state, each.error is not None) for each in instances] == [(InstanceState.CREATING, True)]
        assert await world.cloud.delete_nodes(ID, nodes=[ExternalNode("box-1", instances[0].id)]) == Done()
        assert world.cloud.target_size(ID) == 0
        await trio.sleep(60)
        assert world.cloud.instances(ID) == []
        await switch(world, "on")
        await trio.sleep(10 * 3600)
        assert world.group("rack").status.health in (GroupHealth.DEGRADED, GroupHealth.OFFLINE)
        tries = len(jobs.of("box-1")) / 3
        assert 15 <= tries <= 30
        assert world.cloud.target_size(ID) == 0


# --- 28: silent, and on ---------------------------------------------------------------------------------


@pytest.mark.parametrize("read", [False, True])
async def test_failure_28_a_partition_is_not_taken_for_off(autojump_clock: MockClock, read: bool) -> None:
    """A machine that falls silent is Lost, not Off: its Kubernetes node stays, and it is not started while a reading says On (where
    nothing reads its power a wake may be sent, which does nothing to a machine that runs)."""
    machines = [wired(1) if read else boxes(1)[0]]
    async with open_world(groups=[rack()], machines=machines, autoscaler=None, site=QUICK) as world:
        jobs = JobWatch(world)
        gone: list[str] = []
        world.site.api.listen(
            NODES, lambda event: gone.append(event.stored.key[1]) if event.type == "DELETED" else None
        )
        await loaded(world)
        world.inject({"kind": "partition", "machine": "box-1", "duration": 900})
        await reach(world, Phase.LOST)
        await trio.sleep(600)
        assert gone == []
        assert ("Lost", "PowerGone") not in arrows(world)
        assert jobs.of("box-1").count("shutdown") == 0
        assert (len(jobs.made) == 1) is read
        await reach(world, Phase.READY, within=600)
        await trio.sleep(60)
        assert world.hardware("box-1").boots == 1
        assert world.site.report().pods_killed == 0
