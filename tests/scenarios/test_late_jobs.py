"""Power Jobs whose pods come late: the Job controller or the scheduler was away, and meanwhile the machine is wanted otherwise."""

from typing import Any

import pytest
import trio
from tests.scenarios.stage import QUICK, JobWatch, boxes, loaded, rack, reach, switch, up
from trio.testing import MockClock

from hexa.adapters.memory.cluster.job_controller import JobController
from hexa.domain.machine.lifecycle import Phase
from hexa.domain.resources.core import JOBS
from hexa.ports.kube import ChangeType
from hexa.testing.world import World, open_world


class Away:
    """The Job controller makes no pods for a while."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._until = 0.0
        real = JobController._job_changed

        def late(controller: JobController, event: Any) -> None:
            if event.type is ChangeType.ADDED and (wait := self._until - trio.current_time()) > 0:
                controller._after(wait, lambda: real(controller, event))
            else:
                real(controller, event)

        monkeypatch.setattr(JobController, "_job_changed", late)

    def begin(self, seconds: float) -> None:
        """It is away from now on."""
        self._until = trio.current_time() + seconds


@pytest.fixture
def away(monkeypatch: pytest.MonkeyPatch) -> Away:
    """A Job controller that can be away."""
    return Away(monkeypatch)


def jobs_of(world: World) -> list[str]:
    """Jobs that are there."""
    return [stored.key[1] for stored in world.site.api.find(JOBS)]


@pytest.mark.parametrize("dies", [None, 1, 2, 3])
async def test_shutdown_job_that_comes_late_does_not_strike_a_machine_that_serves_again(
    autojump_clock: MockClock, away: Away, dies: int | None
) -> None:
    """Its shutdown Job gets no pod, and the machine is wanted on again; once it has not gone off within its limit it serves again,
    and not before that Job is gone: nothing switches it off under its pods. Nor if hexa dies in between."""
    async with open_world(groups=[rack()], machines=boxes(2), autoscaler=None, site=QUICK) as world:
        jobs = JobWatch(world)
        await up(world)
        away.begin(400)
        await switch(world, "off")
        await reach(world, Phase.POWERING_OFF)
        await trio.sleep(10)
        await switch(world, "on")
        await trio.sleep(270)
        if dies is not None:
            world.kill_agent(after_writes=dies)
            await world.agent.ended()
            assert world.phase("box-1") is not Phase.POWERING_OFF
            await world.start_agent()
        await reach(world, Phase.READY)
        await world.until(lambda: world.node("box-1").status.welcomed, within=20, every=0.1)
        assert jobs_of(world) == []
        world.add_pods(1, cpu="1")
        await world.until(lambda: world.waiting == 0, within=20)
        await trio.sleep(400)
        assert world.phase("box-1") is Phase.READY
        assert world.site.report().pods_killed == 0
        assert jobs.of("box-1") == ["startup", "shutdown"]
        assert world.node("box-1").status.health == "healthy"
        assert "JobTakenBack" in world.journal.reasons("box-1")


async def test_startup_job_that_comes_late_wakes_nobody(autojump_clock: MockClock, away: Away) -> None:
    """Its startup Job gets no pod, and the machine, which reads Off, is not wanted any more: it stays off, and is not taken for one
    that somebody else switched on."""
    async with open_world(groups=[rack()], machines=boxes(1, sensor=True), autoscaler=None, site=QUICK) as world:
        await reach(world, Phase.OFF)
        away.begin(400)
        await switch(world, "on")
        await reach(world, Phase.POWERING_ON)
        await trio.sleep(10)
        await switch(world, "off")
        await reach(world, Phase.OFF)
        await trio.sleep(600)
        assert world.phase("box-1") is Phase.OFF
        assert world.site.report().boots == 0
        assert jobs_of(world) == []
        await switch(world, "on")
        await reach(world, Phase.READY)


async def test_cut_that_comes_late_does_not_strike_a_machine_that_came_back(
    autojump_clock: MockClock, away: Away
) -> None:
    """The Job that cuts the power of a machine that hangs gets no pod, and meanwhile the machine is back: it serves, and that Job
    is taken back."""
    group = rack(remediation={"powerCycle": True, "after": "2m"})
    machines = boxes(1, sensor=True, hard_off=True)
    async with open_world(groups=[group], machines=machines, autoscaler=None, site=QUICK) as world:
        jobs = JobWatch(world)
        await loaded(world)
        away.begin(260)
        world.hardware("box-1").hang()
        await world.until(lambda: jobs.of("box-1") == ["startup", "shutdown"], within=400, every=0.1)
        world.hardware("box-1").reboot()
        await reach(world, Phase.READY, within=40)
        await trio.sleep(400)
        assert world.phase("box-1") is Phase.READY
        assert world.hardware("box-1").offs == 0
        assert jobs_of(world) == []
        node = world.kube_node("box-1")
        assert node is not None
        assert not node.spec.unschedulable
