"""What goes backwards: the API server's data. It is noticed and never waited for."""

from datetime import timedelta

import pytest
import trio
from tests.scenarios.stage import QUICK, JobWatch, arrows, at, boxes, loaded, rack, reach, switch, up
from trio.testing import MockClock

from hexa.adapters.memory.cluster.store import Stored
from hexa.domain.machine.lifecycle import Phase
from hexa.domain.names import CORDON_ANNOTATION
from hexa.domain.resources.core import JOBS, NODES
from hexa.domain.resources.v1alpha1 import MACHINES
from hexa.ports.kube import Patch
from hexa.testing.world import World, open_world


def refusals(world: World) -> int:
    """How often a machine or a group was put off."""
    return sum("put off" in line.message for line in world.journal.lines)


@pytest.mark.parametrize("restart", [False, pytest.param(True, marks=pytest.mark.long)])
async def test_failure_48_etcd_restored_from_a_snapshot(autojump_clock: MockClock, restart: bool) -> None:
    """All versions are lower than what hexa knows: it goes on at once, with or without a restart, and no pod is lost."""
    async with open_world(groups=[rack()], machines=boxes(2), autoscaler=None, site=QUICK) as world:
        await loaded(world)
        snapshot = world.snapshot()
        for number in range(300):
            world.edit("box-2", {"hold": {"power": "off", "reason": str(number)}})
        await trio.sleep(60)
        world.restore(snapshot)
        await trio.sleep(30)
        if restart:
            await world.restart_agent()
        assert world.phases() == {"box-1": Phase.READY, "box-2": Phase.OFF}
        before = refusals(world)
        await switch(world, "on", "box-2")
        await reach(world, Phase.READY, "box-2", within=60)
        await switch(world, "off", "box-2")
        await reach(world, Phase.OFF, "box-2", within=60)
        assert refusals(world) == before
        assert world.site.report().pods_killed == world.site.report().pods_lost == 0


async def test_failure_48_a_cordon_that_comes_back_with_the_snapshot_goes_again(autojump_clock: MockClock) -> None:
    """A machine that serves, and whose node is put back to the middle of an earlier drain, is open to pods again."""
    async with open_world(groups=[rack()], machines=boxes(1), autoscaler=None, site=QUICK) as world:
        await up(world)
        node = world.kube_node("box-1")
        assert node is not None
        drained = {
            "metadata": {"annotations": {CORDON_ANNOTATION: "2026-01-05T00:00:00Z"}},
            "spec": {"unschedulable": True},
        }
        world.site.api.patch(NODES, ("", "box-1"), Patch(drained))
        await trio.sleep(10)
        node = world.kube_node("box-1")
        assert node is not None
        assert not node.spec.unschedulable
        assert CORDON_ANNOTATION not in node.metadata.annotations
        assert world.phases() == {"box-1": Phase.READY}


async def test_failure_48_what_was_done_since_the_snapshot_is_found_anew(autojump_clock: MockClock) -> None:
    """A machine that was switched off since the snapshot, in which it is Ready, is found lost and woken again; one that was woken
    since, and whose node the snapshot lacks, is found on and left on."""
    async with open_world(groups=[rack()], machines=boxes(2), autoscaler=None, site=QUICK) as world:
        await up(world, "box-1")
        snapshot = world.snapshot()
        await switch(world, "off", "box-1")
        await up(world, "box-2")
        await reach(world, Phase.OFF, "box-1")
        jobs = JobWatch(world)
        world.restore(snapshot)
        await world.until(lambda: world.hardware("box-1").power and at(world, Phase.READY)(), within=400)
        assert "shutdown" not in jobs.of("box-1") + jobs.of("box-2")
        assert world.hardware("box-2").power


async def test_failure_48_a_job_of_another_time_is_not_taken_for_this_attempts(autojump_clock: MockClock) -> None:
    """The machine's status is that of a backup, and a finished Job of the attempt that it is about to begin is there: it says
    nothing, another attempt is made."""
    async with open_world(groups=[rack()], machines=boxes(), autoscaler=None, site=QUICK) as world:
        await up(world)
        await switch(world, "off")
        await reach(world, Phase.POWERING_OFF)
        await world.until(lambda: world.node("box-1").status.job, within=20)
        job, going = world.site.api.find(JOBS)[0], world.site.api.get(MACHINES, "box-1", "machines")
        await reach(world, Phase.OFF)
        await up(world)
        world.kill_agent()
        await world.agent.ended()
        await trio.sleep(200)
        now = world.site.api.get(MACHINES, "box-1", "machines")
        assert going is not None
        assert now is not None
        restored = {**going.raw["status"], "job": None, "since": world.now.isoformat()}
        world.site.api.write(MACHINES, now, status=restored)
        done = {"conditions": [{"type": "Complete", "status": "True"}]}
        made = world.site.api.create(JOBS, {**job.raw, "status": done}, keep_status=True)
        old = {**made.raw["metadata"], "creationTimestamp": job.raw["metadata"]["creationTimestamp"]}
        world.site.api.table(JOBS).objects[made.key] = Stored({**made.raw, "metadata": old}, made.version)
        await switch(world, "off")
        await world.start_agent()
        await reach(world, Phase.OFF, within=200)
        assert not world.hardware("box-1").power


# --- clocks -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "by", [-3600.0, pytest.param(3600.0, marks=pytest.mark.long), pytest.param(-1e9, marks=pytest.mark.long)]
)
@pytest.mark.parametrize("restart", [False, pytest.param(True, marks=pytest.mark.long)])
@pytest.mark.parametrize("phase", [Phase.BOOTING, Phase.READY, Phase.POWERING_OFF, Phase.OFF])
async def test_failure_47_the_clock_is_set(autojump_clock: MockClock, phase: Phase, restart: bool, by: float) -> None:
    """In any phase, with or without a restart: the machine goes on its way as fast as ever, and nothing is done to it twice."""
    async with open_world(groups=[rack()], machines=boxes(), autoscaler=None, site=QUICK) as world:
        await world.until(at(world, Phase.OFF), within=60)
        jobs = JobWatch(world)
        if phase is not Phase.OFF:
            await switch(world, "on")
            await reach(world, Phase.BOOTING if phase is Phase.BOOTING else Phase.READY)
        if phase is Phase.POWERING_OFF:
            await switch(world, "off")
            await reach(world, phase)
        world.set_clock(by)
        if restart:
            await world.restart_agent()
        await switch(world, "off" if phase is Phase.POWERING_OFF else "on")
        if phase is Phase.POWERING_OFF:
            await reach(world, Phase.OFF, within=60)
        else:
            await world.until(lambda: world.node("box-1").status.welcomed, within=60)
        await trio.sleep(120)
        assert world.phase("box-1") is (Phase.OFF if phase is Phase.POWERING_OFF else Phase.READY)
        assert jobs.of("box-1") == ["startup", "shutdown"][: 1 + (phase is Phase.POWERING_OFF)]
        since = world.node("box-1").status.since
        assert since is not None
        assert since <= world.now


@pytest.mark.parametrize("by", [-3600.0, 3600.0])
async def test_failure_47_a_dead_machine_is_found_lost_as_fast_as_ever(autojump_clock: MockClock, by: float) -> None:
    """Whatever the clock did before: a living one is not lost by it, and one that hangs is noticed within two lease periods."""
    async with open_world(groups=[rack()], machines=boxes(), autoscaler=None, site=QUICK) as world:
        await up(world)
        world.set_clock(by)
        await trio.sleep(100)
        assert world.phase("box-1") is Phase.READY
        world.inject({"kind": "crash", "machine": "box-1"})
        assert await reach(world, Phase.LOST) <= 85


async def test_failure_47_a_hold_ends_by_the_clock_on_the_wall(autojump_clock: MockClock) -> None:
    """`until` is a person's word: a clock that is set back postpones it, one that is set forward ends it."""
    async with open_world(groups=[rack()], machines=boxes(), autoscaler=None, site=QUICK) as world:
        await world.until(at(world, Phase.OFF), within=60)
        until = (world.now + timedelta(minutes=10)).isoformat()
        world.edit("box-1", {"powerState": "on", "hold": {"power": "off", "until": until}})
        world.set_clock(-3600)
        await trio.sleep(1200)
        assert world.phase("box-1") is Phase.OFF
        world.set_clock(3600)
        await reach(world, Phase.READY, within=60)


async def test_failure_47_a_leap_of_the_clock_makes_nothing_overdue(autojump_clock: MockClock) -> None:
    """A slow boot and a drain that waits keep all their time when the host's clock is put right by hours."""
    slow = boxes(1, boot_seconds=60.0)
    async with open_world(groups=[rack()], machines=slow, autoscaler=None, site=QUICK) as world:
        await world.until(at(world, Phase.OFF), within=60)
        await switch(world, "on")
        await reach(world, Phase.BOOTING)
        world.set_clock(5 * 3600)
        await world.until(lambda: world.node("box-1").status.welcomed, within=90)
        await trio.sleep(60)
        assert ("Booting", "Overdue") not in arrows(world)


async def test_failure_47_a_leap_of_the_clock_prolongs_no_pause(autojump_clock: MockClock) -> None:
    """A machine that is paused for two minutes, in which its host's clock is put right by hours, has two minutes more for its boot,
    and fails no hours late."""
    async with open_world(
        groups=[rack(timeouts={"boot": "10m"})], machines=boxes(), autoscaler=None, site=QUICK
    ) as world:
        await world.until(at(world, Phase.OFF), within=60)
        world.inject({"kind": "noJoin", "machine": "box-1"})
        await switch(world, "on")
        await reach(world, Phase.BOOTING)
        began = trio.current_time()
        world.edit("box-1", {"paused": {"reason": "new fans"}})
        await trio.sleep(60)
        world.set_clock(5 * 3600)
        await trio.sleep(60)
        world.edit("box-1", {"paused": None})
        await reach(world, Phase.START_FAILED, within=900)
        assert 710 <= trio.current_time() - began <= 780
