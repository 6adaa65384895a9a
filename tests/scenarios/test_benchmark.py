"""The figures that the main path must reach, in virtual time: five machines that boot in 8 s, and pods that need four of them."""

import random
from typing import Any

import pytest
import trio
from tests.scenarios.stage import JobWatch, rack
from trio.testing import MockClock

from hexa.adapters.memory.settings import Settings as Site
from hexa.domain.machine.lifecycle import Phase
from hexa.testing.autoscaler import Settings
from hexa.testing.world import World, machine, open_world

SCAN = Settings(scan_interval=5, scale_down_delay_after_add=20, scale_down_delay_after_failure=20)
FLOOR = 9.0
"""A Job of one second and a boot of eight."""


class Timed(JobWatch):
    """Power Jobs, and when the first startup Job was made since the last look."""

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self.world, self.first = world, None

    first: Any

    def _changed(self, event: Any) -> None:
        before = len(self.made)
        super()._changed(event)
        if len(self.made) > before and self.made[-1][1] == "startup" and self.first is None:
            self.first = self.world.now


async def run_load(world: World, jobs: Timed) -> tuple[float, int]:
    """The load comes: seconds from the first startup Job until all its pods run, and how many startup Jobs that took."""
    jobs.first, before = None, len(jobs.made)
    world.scale(8)
    await trio.sleep(0.01)
    await world.until(lambda: world.waiting == 0, within=60, every=0.05)
    took = (world.now - jobs.first).total_seconds()
    return took, sum(action == "startup" for _, action, _ in jobs.made[before:])


async def until_dark(world: World, count: int) -> None:
    """The load goes, and with it the power of all machines."""
    await trio.sleep(30)
    world.scale(0)
    machines = [world.hardware(f"rack-{number}") for number in range(1, count + 1)]
    await world.until(lambda: not any(each.power for each in machines), within=900, every=0.1)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("policy", ["Delete", "Keep"])
async def test_eight_pods_run_within_ten_seconds_of_the_first_job(
    autojump_clock: MockClock, policy: str, seed: int
) -> None:
    """All eight pods run within 10 s of the first startup Job, and four machines are woken, not five: from a cold start, and again
    when the load comes back 15 s after the machines went off, at whatever moments their kubelets were last heard."""
    rng = random.Random(seed)
    site = Site(pod_start=0.2, pod_stop=0.2, off_seconds=rng.uniform(0, 5))
    first = [8.0, *(rng.uniform(8, 12) for _ in range(4))]  # other beats for each machine
    group = rack(scaleDownUnneededTime="20s", nodeLeavePolicy=policy)
    machines = [machine(f"rack-{n}", group="rack", boot_seconds=(first[n - 1], 8.0)) for n in range(1, 6)]
    async with open_world(groups=[group], machines=machines, autoscaler=SCAN, site=site) as world:
        world.add_pods(0, cpu="2")
        for number in range(1, 6):  # each machine was up once
            world.edit(f"rack-{number}", {"powerState": "on"})
        await world.until(lambda: set(world.phases().values()) == {Phase.READY}, within=60)
        await until_dark(world, 5)
        await trio.sleep(300)
        jobs = Timed(world)
        for _ in range(3):
            took, wakes = await run_load(world, jobs)
            assert FLOOR <= took <= 10
            assert wakes == 4
            await until_dark(world, 5)
            await trio.sleep(15)
        assert jobs.most == 1
        assert world.site.report().pods_killed == 0


async def test_a_first_start_is_as_fast(autojump_clock: MockClock) -> None:
    """Machines that never were on come as fast as those that were."""
    machines = [machine(f"rack-{n}", group="rack", boot_seconds=8.0) for n in range(1, 6)]
    site = Site(pod_start=0.2, pod_stop=0.2)
    async with open_world(groups=[rack()], machines=machines, autoscaler=SCAN, site=site) as world:
        world.add_pods(0, cpu="2")
        await trio.sleep(7)
        took, wakes = await run_load(world, Timed(world))
        assert FLOOR <= took <= 10
        assert wakes == 4


@pytest.mark.parametrize(
    ("fault", "most"),
    [
        ({"kind": "lostWake", "machine": "rack-2"}, 10 + 12),
        ({"kind": "failedJob", "machine": "rack-2", "action": "startup"}, 10 + 12),
        ({"kind": "dead", "machine": "rack-2"}, 1.2 + 72 + 10),
    ],
)
async def test_one_fault_costs_its_limit_and_no_more(
    autojump_clock: MockClock, fault: dict[str, Any], most: float
) -> None:
    """A lost wake or a failed Job costs one wake interval, a dead machine one boot deadline: then all pods run."""
    machines = [machine(f"rack-{n}", group="rack", boot_seconds=8.0) for n in range(1, 6)]
    site = Site(pod_start=0.2, pod_stop=0.2)
    async with open_world(groups=[rack()], machines=machines, autoscaler=SCAN, site=site) as world:
        world.add_pods(0, cpu="2")
        await trio.sleep(7)
        world.inject(fault)
        await trio.sleep(0.1)
        jobs = Timed(world)
        world.scale(8)
        await trio.sleep(0.01)
        await world.until(lambda: world.waiting == 0, within=200, every=0.05)
        assert (world.now - jobs.first).total_seconds() <= most
        assert jobs.most == 1


async def test_ten_jobs_within_half_a_second(autojump_clock: MockClock) -> None:
    """IncreaseSize(10) has made ten Jobs half a second later."""
    machines = [machine(f"rack-{n}", group="rack", boot_seconds=8.0) for n in range(1, 11)]
    async with open_world(groups=[rack()], machines=machines, autoscaler=None) as world:
        await trio.sleep(5)
        jobs = JobWatch(world)
        await world.cloud.increase_size("machines/rack", delta=10)
        await trio.sleep(0.5)
        assert len(jobs.made) == 10
