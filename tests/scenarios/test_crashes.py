"""hexa killed after each of its writes and started again: the same outcome, and never a second power action for the same intent."""

from collections import Counter
from contextlib import nullcontext
from typing import Any

import pytest
import trio
from tests.scenarios.stage import ID, QUICK, JobWatch, at, boxes, rack, switch
from trio.testing import MockClock

from hexa.domain.errors import Unavailable
from hexa.domain.machine.lifecycle import Phase
from hexa.domain.resources.core import JOBS
from hexa.ports.cloud import Denied, Done, ExternalNode
from hexa.testing.world import World, open_world

LOAD = {"cpu": "1"}


async def ride(world: World, *, down: float) -> None:
    """Start hexa again, so long after each of its deaths."""
    while True:
        await world.agent.ended()
        await trio.sleep(down)
        await world.start_agent()


async def asked(world: World, call: Any) -> None:
    """Ask as Cluster Autoscaler does: again in the next loop while hexa is away."""
    while True:
        try:
            answer = await call()
        except Unavailable:
            await trio.sleep(5)
            continue
        if answer == Done():
            return
        assert isinstance(answer, Denied)  # it does not know its machines yet
        await trio.sleep(5)


async def up_and_down(world: World, *, by: str, policy: str) -> None:
    """One whole cycle of the first machine, with a pod that moves to the second one."""
    if by == "person":
        await switch(world, "on")
    else:
        await asked(world, lambda: world.cloud.increase_size(ID, delta=1))
    await world.until(lambda: world.node("box-1").status.welcomed, within=2000, every=2)
    world.add_pods(1, **LOAD)
    await world.until(lambda: world.waiting == 0, within=30)
    await switch(world, "on", "box-2")
    await world.until(lambda: world.node("box-2").status.welcomed, within=2000, every=2)
    if by == "person":
        await switch(world, "off")
    else:
        await asked(world, lambda: world.cloud.delete_nodes(ID, nodes=[ExternalNode("box-1")]))
    await world.until(at(world, Phase.OFF), within=4000, every=2)
    await world.until(lambda: world.site.api.find(JOBS) == [], within=2000, every=2)
    if policy == "Delete":
        await world.until(lambda: world.kube_node("box-1") is None, within=2000, every=2)
    await trio.sleep(100)


async def play(*, dies: int | None, down: float, by: str, policy: str) -> tuple[int, JobWatch, World]:
    """The cycle with one death after so many writes; how many writes there were."""
    group = rack(nodeLeavePolicy=policy)
    async with open_world(groups=[group], machines=boxes(2), autoscaler=None, site=QUICK) as world:
        jobs = JobWatch(world)
        if dies is not None:
            world.kill_agent(after_writes=dies)
        with trio.CancelScope() as scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(lambda: ride(world, down=down))
                await up_and_down(world, by=by, policy=policy)
                scope.cancel()
        check(world, jobs, policy)
        life = world.agent.life
        return life.kube.writes if life is not None else 0, jobs, world


def check(world: World, jobs: JobWatch, policy: str) -> None:
    """What must be so however often hexa died."""
    assert world.phases() == {"box-1": Phase.OFF, "box-2": Phase.READY}
    assert (world.hardware("box-1").power, world.hardware("box-2").power) == (False, True)
    assert jobs.most == 1
    assert max(Counter(jobs.made).values()) == 1, "an attempt had two Jobs"
    assert world.site.report().pods_killed == 0
    assert world.waiting == 0
    assert (world.kube_node("box-1") is None) == (policy == "Delete")
    node = world.kube_node("box-2")
    assert node is not None
    assert not node.spec.unschedulable


@pytest.mark.long
@pytest.mark.parametrize(("by", "policy"), [("person", "Delete"), ("cluster-autoscaler", "Keep")])
async def test_failure_12_killed_at_each_write(autojump_clock: MockClock, by: str, policy: str) -> None:
    """Killed after any single write of a whole cycle and started again a second later, hexa makes exactly the Jobs that it makes
    when it lives: one startup for each machine and one shutdown."""
    writes, undisturbed, _ = await play(dies=None, down=1, by=by, policy=policy)
    assert writes > 20
    deaths = 0
    for number in range(1, writes + 1):
        made, jobs, world = await play(dies=number, down=1, by=by, policy=policy)
        assert world.agent.lives == 2 or made < number, number  # the group's status may take a write more or less
        deaths += world.agent.lives == 2
        assert sorted(jobs.made) == sorted(undisturbed.made), number
    assert deaths >= writes - 2


@pytest.mark.long
@pytest.mark.parametrize("down", [60.0, 1200.0])
async def test_failure_12_dead_for_long(autojump_clock: MockClock, down: float) -> None:
    """However long hexa was dead, and though finished Jobs have gone meanwhile, the machines end where they are wanted."""
    writes, _, _ = await play(dies=None, down=1, by="person", policy="Delete")
    for number in range(1, writes + 1, 3):
        await play(dies=number, down=down, by="person", policy="Delete")


async def test_failure_12_killed_again_and_again(autojump_clock: MockClock) -> None:
    """Killed after every third write, all the time, hexa still gets there: each life goes on from what is stored."""
    async with open_world(groups=[rack()], machines=boxes(2), autoscaler=None, site=QUICK) as world:
        jobs = JobWatch(world)

        async def die_often() -> None:
            while True:
                world.kill_agent(after_writes=3)
                await world.agent.ended()
                await trio.sleep(0.5)
                await world.start_agent()

        with trio.CancelScope() as scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(die_often)
                await up_and_down(world, by="person", policy="Delete")
                scope.cancel()
        check(world, jobs, "Delete")
        assert world.agent.lives > 5


async def test_failure_12_killed_in_the_midst_of_a_request(autojump_clock: MockClock) -> None:
    """Killed after any write of IncreaseSize(4), from the one that stores it to those that spread it: all four machines come,
    whether Cluster Autoscaler had its answer or not, and what it asks for on top comes too; no machine has two Jobs."""
    for number in (1, 2, 4, 7):
        async with open_world(groups=[rack(maxSize=6)], machines=boxes(8), autoscaler=None, site=QUICK) as world:
            await world.until(lambda: set(world.phases().values()) == {Phase.OFF}, within=30)
            await trio.sleep(1)
            jobs = JobWatch(world)
            world.kill_agent(after_writes=number)
            with nullcontext() if number > 1 else pytest.raises(Unavailable):
                assert await world.cloud.increase_size(ID, delta=4) == Done()
            await world.agent.ended()
            await trio.sleep(2)
            await world.start_agent()
            await trio.sleep(1)
            assert world.cloud.target_size(ID) == 4
            assert await world.cloud.increase_size(ID, delta=2) == Done()
            await trio.sleep(60)
            ready = [name for name, phase in world.phases().items() if phase is Phase.READY]
            assert len(ready) == 6
            assert jobs.most == 1
            assert len(jobs.made) == 6
            assert world.group("rack").status.requests == ()


async def test_failure_52_killed_in_the_midst_of_a_deletion(autojump_clock: MockClock) -> None:
    """Killed after any write of DeleteNodes of three: all three go off, once each, and no other."""
    for number in (1, 3):
        async with open_world(groups=[rack()], machines=boxes(4), autoscaler=None, site=QUICK) as world:
            await world.until(lambda: set(world.phases().values()) == {Phase.OFF}, within=30)
            assert await world.cloud.increase_size(ID, delta=4) == Done()
            await world.until(lambda: all(world.node(f"box-{n}").status.welcomed for n in range(1, 5)), within=60)
            await trio.sleep(5)
            jobs = JobWatch(world)
            world.kill_agent(after_writes=number)
            with nullcontext() if number > 1 else pytest.raises(Unavailable):
                nodes = [ExternalNode(f"box-{n}") for n in (1, 2, 3)]
                assert await world.cloud.delete_nodes(ID, nodes=nodes) == Done()
            await world.agent.ended()
            await trio.sleep(2)
            await world.start_agent()
            await world.until(lambda: list(world.phases().values()).count(Phase.OFF) == 3, within=300)
            assert world.phase("box-4") is Phase.READY
            assert jobs.most == 1
            assert [jobs.of(f"box-{n}") for n in range(1, 5)] == [["shutdown"]] * 3 + [[]]
