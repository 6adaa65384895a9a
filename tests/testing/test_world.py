"""A world is what embedders test with: what it promises is tried here."""

from typing import Any

import pytest
import trio
from trio.testing import MockClock

from hexa.domain.errors import Unavailable
from hexa.domain.machine.lifecycle import Phase
from hexa.testing.autoscaler import Decision, Settings
from hexa.testing.determinism import repeatable_scheduling
from hexa.testing.world import NotInTime, World, group, machine, open_world

RACK = group("rack", maxNodeProvisionTime="2m")


def rack(count: int) -> list[Any]:
    """So many machines that boot in 8 s."""
    return [machine(f"rack-{number}", group="rack", boot_seconds=8.0) for number in range(1, count + 1)]


async def test_pods_wake_machines_and_machines_rest_again(autojump_clock: MockClock) -> None:
    """Pods that do not fit wake as many machines as they need; without pods the machines are off within a quarter of an hour."""
    async with open_world(groups=[RACK], machines=rack(5)) as world:
        world.add_pods(8, cpu="2")
        await world.until(lambda: world.waiting == 0, within=30)
        assert sorted(world.phases().values()) == [Phase.OFF] + [Phase.READY] * 4
        world.scale(0)
        await world.until(lambda: set(world.phases().values()) == {Phase.OFF}, within=900)
    report = world.site.report()
    assert (report.boots, report.offs, report.pods_killed) == (4, 4, 0)


async def test_pods_that_come_one_by_one_are_all_noticed(autojump_clock: MockClock) -> None:
    """Pods of one shape that come minutes apart, while others of them still wait, each wake a machine."""
    async with open_world(
        groups=[RACK], machines=[machine("rack-1", group="rack", boot_seconds=100.0), *rack(3)[1:]]
    ) as world:
        world.add_pods(0, cpu="4")
        for count in (1, 2, 3):
            world.scale(count)
            await trio.sleep(30)
        await world.until(lambda: world.waiting == 0, within=120)


async def test_waiting_has_an_end(autojump_clock: MockClock) -> None:
    """`until` and `settle` raise an error that shows the world when what they wait for does not come."""
    async with open_world(groups=[RACK], machines=rack(1)) as world:
        with pytest.raises(NotInTime, match=r"not within 5 s: <World .*'rack-1': 'Off'"):
            await world.until(lambda: False, within=5)


async def test_errors_of_the_block_come_out_as_they_are(autojump_clock: MockClock) -> None:
    """What is raised inside of a world is not wrapped in groups of errors."""
    with pytest.raises(KeyError, match="mine"):
        async with open_world(groups=[RACK], machines=rack(1)):
            raise KeyError("mine")


async def test_a_call_dies_with_the_agent(autojump_clock: MockClock) -> None:
    """Whoever calls hexa while it is killed gets no answer, and nothing of the call is done by a dead process."""
    async with open_world(groups=[RACK], machines=rack(3), autoscaler=None) as world:
        await world.until(lambda: set(world.phases().values()) == {Phase.OFF}, within=5)
        world.kill_agent(after_writes=1)
        with pytest.raises(Unavailable):
            await world.cloud.increase_size("machines/rack", delta=3)
        await trio.sleep(60)
        assert sum(node.spec.power_state is not None for node in map(world.node, world.phases())) <= 3
        with pytest.raises(Unavailable):
            world.cloud.groups()


async def test_a_killed_agent_can_be_started_again(autojump_clock: MockClock) -> None:
    """After a restart hexa goes on from what is stored: the machines that were booting come up and pods run on them."""
    async with open_world(groups=[RACK], machines=rack(3)) as world:
        world.add_pods(2, cpu="4")
        await world.until(lambda: Phase.BOOTING in world.phases().values(), within=30)
        version = world.cloud.version()
        await world.restart_agent(after=3)
        assert world.cloud.version() > version
        await world.until(lambda: world.waiting == 0, within=60)
    assert world.agent.lives == 2
    assert world.site.report().wakes == 2


def outcome(world: World) -> tuple[list[Decision], Any]:
    """What the autoscaler did and what the site counted."""
    assert world.autoscaler is not None
    return list(world.autoscaler.decisions), world.site.report()


async def day(world: World) -> None:
    """Load that comes and goes, with a wake that is lost and an agent that dies."""
    world.inject({"kind": "lostWake", "machine": "rack-1", "at": 500})
    world.inject({"kind": "crash", "machine": "rack-2", "at": 9000, "duration": 60})
    for number, (count, minutes) in enumerate([(3, 20), (14, 25), (5, 90), (0, 30), (9, 45), (1, 200)]):
        if number:
            world.scale(count)
        else:
            world.add_pods(count, cpu="1500m", memory="3Gi")
        await trio.sleep(minutes * 60 + number)
        if number == 3:
            await world.restart_agent(after=7)


def run_day(**settings: Any) -> Any:
    """The day with these settings of the autoscaler: what came of it, and how many loops it took."""

    async def main() -> Any:
        async with open_world(groups=[RACK], machines=rack(7), autoscaler=Settings(**settings)) as world:
            await day(world)
            assert world.autoscaler is not None
            return outcome(world), world.autoscaler.loops

    with repeatable_scheduling():
        return trio.run(main, clock=MockClock(autojump_threshold=0))


@pytest.mark.long
def test_a_run_can_be_repeated() -> None:
    """With its scheduling fixed, the same day leads to the same decisions and the same figures again."""
    assert run_day() == run_day()


@pytest.mark.long
def test_skipped_loops_change_nothing() -> None:
    """Leaving out the loops in which nothing changed and nothing is due leads to the same decisions at the same moments, and to
    the same hours, energy and waiting times."""
    every, loops_of_every = run_day(skip_idle_loops=False)
    some, loops_of_some = run_day(skip_idle_loops=True)
    assert some == every
    assert loops_of_some < loops_of_every / 3
