"""A burst of pods: as many machines as they need, each woken once, however slow it is to boot so many at once."""

from collections.abc import Iterable
from typing import Any

import pytest
import trio
from tests.scenarios.stage import QUICK, JobWatch
from trio.testing import MockClock

from hexa.domain.machine.lifecycle import Phase
from hexa.domain.resources.v1alpha1 import MACHINES
from hexa.ports.kube import Patch
from hexa.testing.autoscaler import Settings
from hexa.testing.world import World, group, machine, open_world

CALM = 26.0
"""Seconds that a boot takes when few machines boot."""
LATENCY = 0.02


async def burst(
    *, groups: int, boots: Iterable[float], spare: int = 2, latency: float = LATENCY
) -> tuple[float, JobWatch, World]:
    """Three pods for each two machines, ten machines a group; seconds until all run."""
    names = [f"g{number}" for number in range(groups)]
    racks = [
        machine(f"{name}-m{number:02}", group=name, boot_seconds=tuple(boots), labels={"kind": name})
        for name in names
        for number in range(10 + spare)
    ]
    async with open_world(
        groups=[group(name) for name in names],
        machines=racks,
        autoscaler=Settings(scan_interval=2.0),
        site=QUICK,
        agent=False,
    ) as world:
        world.agent.latency = latency
        for each in racks:
            learned: dict[str, Any] = {"status": {"bootSeconds": [CALM] * 3}}
            world.site.api.patch(MACHINES, ("machines", each.name), Patch(learned, subresource="status"))
        await world.start_agent()
        await world.until(lambda: set(world.phases().values()) == {Phase.OFF}, within=300, every=5)
        await trio.sleep(60)
        jobs = JobWatch(world)
        for name in names:
            world.add_pods(10, name=f"big-{name}", cpu="3", nodeSelector={"kind": name})
            world.add_pods(5, name=f"small-{name}", cpu="1", nodeSelector={"kind": name})
        await trio.sleep(1)
        took = 1 + await world.until(lambda: world.waiting == 0, within=300)
        await trio.sleep(60)
        return took, jobs, world


def once_each(jobs: JobWatch, count: int) -> None:
    """So many machines were woken, each by one Job."""
    assert len({name for name, _, _ in jobs.made}) == count
    assert len(jobs.made) == count


async def test_failure_64_a_burst_wakes_each_machine_once(autojump_clock: MockClock) -> None:
    """Ten machines, whose boots were learned on calm days, all boot at once and take twice as long: ten Jobs."""
    took, jobs, _ = await burst(groups=1, boots=(2 * CALM,))
    once_each(jobs, 10)
    assert took < 2 * CALM + 15


@pytest.mark.long
@pytest.mark.parametrize("latency", [LATENCY, 0.2])
async def test_failure_64_pods_for_a_hundred_machines_run_within_a_minute(
    autojump_clock: MockClock, latency: float
) -> None:
    """150 pods that need 100 machines in ten groups wake 100 machines with 100 Jobs, and all run within 60 s; Cluster Autoscaler
    asks one group in each of its loops."""
    took, jobs, _ = await burst(groups=10, boots=(CALM,), latency=latency)
    once_each(jobs, 100)
    assert took <= 60


@pytest.mark.long
async def test_failure_64_a_hundred_slow_boots_are_woken_once(autojump_clock: MockClock) -> None:
    """The same where so many boots at once take almost three times as long as any before."""
    _, jobs, _ = await burst(groups=10, boots=(70.0,))
    once_each(jobs, 100)


async def test_failure_64_a_dead_machine_in_a_burst_is_found_by_what_was_learned(autojump_clock: MockClock) -> None:
    """Once the others of its group are up, a machine that is silent has not got its wake: it is woken again as on calm days."""
    names = [f"box-{number}" for number in range(6)]
    async with open_world(
        groups=[group("rack")],
        machines=[machine(name, group="rack", boot_seconds=CALM) for name in names],
        autoscaler=None,
        site=QUICK,
        agent=False,
    ) as world:
        for name in names:
            learned: dict[str, Any] = {"status": {"bootSeconds": [CALM] * 3}}
            world.site.api.patch(MACHINES, ("machines", name), Patch(learned, subresource="status"))
        await world.start_agent()
        await world.until(lambda: set(world.phases().values()) == {Phase.OFF}, within=300, every=5)
        jobs = JobWatch(world)
        world.inject({"kind": "lostWake", "machine": "box-3"})
        await world.cloud.increase_size("machines/rack", delta=6)
        await trio.sleep(50)
        assert jobs.of("box-3") == ["startup", "startup"]
        assert len(jobs.made) == 7
