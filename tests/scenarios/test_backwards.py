"""What goes backwards: the API server's data. It is noticed and never waited for."""

import pytest
import trio
from tests.scenarios.stage import QUICK, JobWatch, at, boxes, loaded, rack, reach, switch, up
from trio.testing import MockClock

from hexa.adapters.memory.store import Stored
from hexa.domain.lifecycle import Phase
from hexa.domain.resources.core import JOBS
from hexa.domain.resources.v1alpha1 import MACHINES
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
        assert (jobs.of("box-1"), jobs.of("box-2")) == (["startup"], [])
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
