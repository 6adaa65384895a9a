"""A power Job that the API server does not take: a quota, a webhook, a right that is missing."""

import pytest
import trio
from tests.scenarios.stage import QUICK, JobWatch, boxes, kube_of, rack, reach, switch, up
from trio.testing import MockClock

from hexa.domain.errors import HexaError, Refused, Unavailable
from hexa.domain.machine.lifecycle import Phase
from hexa.domain.resources.core import JOBS
from hexa.testing.world import World, open_world

P = Phase
REFUSED = Refused("jobs is forbidden: exceeded quota: compute, requested: pods=1", reason="Forbidden")
SILENT = Unavailable("failed calling webhook: connection refused", reason="InternalError")


def told(world: World) -> str:
    """What the condition of the Job says."""
    found = [c for c in world.node("box-1").status.conditions if c.type == "PowerJobFailed"]
    return " ".join(f"{c.reason}: {c.message}" for c in found)


@pytest.mark.parametrize("error", [REFUSED, SILENT], ids=["refused", "webhook"])
async def test_a_wake_whose_job_cannot_be_made_is_told_as_that(autojump_clock: MockClock, error: HexaError) -> None:
    """The condition has the API server's words while it is tried and after it was given up, the other machines go on, and the
    machine comes by itself once the Job is taken."""
    async with open_world(groups=[rack()], machines=boxes(2), autoscaler=None, site=QUICK) as world:
        kube_of(world).fail_next(error, verb="create", kind=JOBS, times=10_000)
        await switch(world, "on", "box-1")
        await trio.sleep(5)
        assert told(world).startswith("JobNotMade: ")
        assert str(error) in told(world)
        await reach(world, P.START_FAILED, within=600)
        assert str(error) in told(world)
        kube_of(world)._planned.clear()
        await reach(world, P.READY, within=900)
        assert told(world) == ""


@pytest.mark.parametrize("reason", [None, "ReadTimeout", "ConnectError"])
async def test_silence_is_no_refusal(autojump_clock: MockClock, reason: str | None) -> None:
    """While the API server does not answer, nobody knows whether the Job is made: that is told as no refusal."""
    async with open_world(groups=[rack()], machines=boxes(1), autoscaler=None, site=QUICK) as world:
        kube_of(world).fail_next(Unavailable("no answer", reason=reason), verb="create", kind=JOBS, times=10_000)
        await switch(world, "on")
        await trio.sleep(5)
        assert world.node("box-1").status.job is None
        assert told(world) == ""


async def test_a_shutdown_whose_job_cannot_be_made_switches_nothing(autojump_clock: MockClock) -> None:
    """The machine stays on with the reason told; a person who wants it back has it back at once; a restart changes nothing."""
    async with open_world(groups=[rack()], machines=boxes(2), autoscaler=None, site=QUICK) as world:
        jobs = JobWatch(world)
        await up(world)
        kube_of(world).fail_next(REFUSED, verb="create", kind=JOBS, times=10_000)
        await switch(world, "off")
        await reach(world, P.POWERING_OFF)
        await trio.sleep(5)
        assert str(REFUSED) in told(world)
        await world.restart_agent()
        kube_of(world).fail_next(REFUSED, verb="create", kind=JOBS, times=10_000)
        await switch(world, "on")
        await reach(world, P.READY, within=30)
        assert world.hardware("box-1").power
        node = world.kube_node("box-1")
        assert node is not None
        assert not node.spec.unschedulable
        assert jobs.of("box-1") == ["startup"]
        assert told(world) == ""
