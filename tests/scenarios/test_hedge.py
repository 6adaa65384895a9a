"""Hedges: a spare machine is woken beside one that stays silent, and what a dead machine costs its group then."""

from typing import Any

import pytest
import trio
from tests.scenarios.stage import ID, QUICK, JobWatch, at, boxes, rack, reach, switch
from trio.testing import MockClock

from hexa.domain.machine.lifecycle import COMING, Phase
from hexa.domain.machine.wish import recorded_wish
from hexa.domain.resources.v1alpha1 import Asker, Power
from hexa.ports.cloud import Done, ExternalNode
from hexa.testing.world import World, open_world

INTERVAL, BOOT = 12.0, 72.0
"""Seconds of the rack's wake interval and boot limit."""
SCANS = 10.0
"""Seconds between two loops of the autoscaler."""


def hedged(**spec: Any) -> Any:
    """The group that hedges, whether or not its machines are proven."""
    return rack(**{"retries": {"hedge": True}, "wakeProof": "Ignore", **spec})


async def known(world: World) -> None:
    """hexa knows all machines, and nothing happens."""
    await world.until(lambda: Phase.UNKNOWN not in world.phases().values(), within=60)
    await trio.sleep(1)


class Sight:
    """What Cluster Autoscaler could see at any moment, between two writes too: target, Instances, and whether one has an error."""

    def __init__(self, world: World) -> None:
        assert world.agent.life is not None
        self.core, self.seen = world.agent.life.core, set[tuple[int, int, bool]]()
        self.core.store.machines.subscribe(lambda *_: self.look())

    def look(self) -> None:
        """At each change of a machine."""
        target, instances = self.core.cloud.target_size(ID), self.core.cloud.instances(ID)
        assert isinstance(target, int)
        assert isinstance(instances, list)
        self.seen.add((target, len(instances), any(each.error for each in instances)))


# --- what a dead machine costs ------------------------------------------------------------------------------


@pytest.mark.parametrize("hedge", [True, False])
async def test_failure_11_a_dead_machine_costs_one_wake_interval_with_the_hedge(
    autojump_clock: MockClock, hedge: bool
) -> None:
    """A pod waits one wake interval longer for the spare than it would for a good machine, without the hedge one boot limit; and
    after that the dead machine costs nothing: it is quarantined and asks for nobody else."""
    group = hedged(retries={"hedge": hedge})
    async with open_world(groups=[group], machines=boxes(3), site=QUICK) as world:
        await known(world)
        jobs = JobWatch(world)
        world.inject({"kind": "dead", "machine": "box-1"})
        world.add_pods(1, cpu="2")
        waited = await world.until(lambda: world.waiting == 0, within=200)
        costs = INTERVAL if hedge else BOOT + 1
        assert costs + 8 <= waited <= costs + 8 + SCANS + 3
        await world.until(at(world, Phase.OFF), within=600)
        await trio.sleep(600)
        assert {name for name, _, _ in jobs.made} == {"box-1", "box-2"}
        assert jobs.of("box-1") == ["startup"] * 3
        assert world.phases() == {"box-1": Phase.OFF, "box-2": Phase.READY, "box-3": Phase.OFF}
        status = world.node("box-1").status
        assert (status.failures, status.replaced) == (1, False)
        assert world.autoscaler is not None
        assert not [each for each in world.autoscaler.decisions if each.what == "DeleteFailedInstance"]


@pytest.mark.parametrize("sensor", [True, False])
async def test_the_autoscaler_sees_no_change_of_target_through_a_hedge(autojump_clock: MockClock, sensor: bool) -> None:
    """From the wake to the spare's Ready, and on until the dead machine is given up, the target is what was asked for, with one
    Instance for it and no error: at every moment, between two writes too."""
    machines = [*boxes(1, sensor=sensor), *boxes(3)[1:]]
    async with open_world(groups=[hedged(maxSize=1)], machines=machines, autoscaler=None, site=QUICK) as world:
        await known(world)
        world.inject({"kind": "dead", "machine": "box-1"})
        assert await world.cloud.increase_size(ID, delta=1) == Done()
        sight = Sight(world)
        await reach(world, Phase.READY, "box-2")
        await world.until(at(world, Phase.OFF), within=600)
        assert sight.seen == {(1, 1, False)}
        wish = recorded_wish(world.node("box-2"))
        assert wish is not None
        assert (wish.by, wish.reason, wish.replaces) == (Asker.RECOVERY, "Hedge", "box-1")


@pytest.mark.parametrize("full", [False, True])
async def test_both_arrive(autojump_clock: MockClock, full: bool) -> None:
    """A machine whose first wake was lost comes beside its spare: both stay while the group has room. At the maximum the one
    that is not up yet goes, and the pods run on."""
    async with open_world(
        groups=[hedged(**({"maxSize": 1} if full else {}))], machines=boxes(3), autoscaler=None, site=QUICK
    ) as world:
        await known(world)
        world.inject({"kind": "lostWake", "machine": "box-1"})
        assert await world.cloud.increase_size(ID, delta=1) == Done()
        await world.until(lambda: world.hardware("box-2").wakes > 0, within=30)
        world.add_pods(1, cpu="1")
        await world.until(lambda: world.waiting == 0, within=60)
        await trio.sleep(600)
        ready = [name for name, phase in world.phases().items() if phase is Phase.READY]
        assert len(ready) == (1 if full else 2)
        assert world.phase("box-3") is Phase.OFF
        assert world.cloud.target_size(ID) == len(ready)
        assert world.waiting == 0
        assert world.site.report().pods_killed == 0
        assert [world.node(name).status.failures for name in ("box-1", "box-2")] == [0, 0]


async def test_a_late_arrival_rests_rather_than_its_spare(autojump_clock: MockClock) -> None:
    """The silent machine comes when its spare has the pods already, and the group is full: the late one rests."""
    machines = [*boxes(1, boot_seconds=60.0), *boxes(2)[1:]]
    async with open_world(groups=[hedged(maxSize=1)], machines=machines, autoscaler=None, site=QUICK) as world:
        await known(world)
        assert await world.cloud.increase_size(ID, delta=1) == Done()
        await reach(world, Phase.READY, "box-2", within=40)
        await reach(world, Phase.READY, "box-1", within=60)
        await reach(world, Phase.OFF, "box-1", within=60)
        assert world.phase("box-2") is Phase.READY
        assert world.cloud.target_size(ID) == 1


async def test_the_spare_is_dead_too(autojump_clock: MockClock) -> None:
    """A spare is not hedged: with two dead machines the pods wait for one interval and one boot limit, and the third machine takes
    the spare's place; nobody asks for the fourth."""
    async with open_world(groups=[hedged()], machines=boxes(4), site=QUICK) as world:
        await known(world)
        jobs = JobWatch(world)
        world.inject({"kind": "dead", "machine": "box-1"}, {"kind": "dead", "machine": "box-2"})
        world.add_pods(1, cpu="2")
        waited = await world.until(lambda: world.waiting == 0, within=300)
        assert INTERVAL + BOOT + 8 <= waited <= INTERVAL + BOOT + 8 + SCANS + 5
        await trio.sleep(600)
        assert {name for name, _, _ in jobs.made} == {"box-1", "box-2", "box-3"}


async def test_a_dead_switch_wakes_twice_what_was_asked_for_at_most(autojump_clock: MockClock) -> None:
    """Where no wake gets through, two machines asked for bring two spares, once, and not the whole group."""
    async with open_world(groups=[hedged()], machines=boxes(8), autoscaler=None, site=QUICK) as world:
        await known(world)
        jobs = JobWatch(world)
        world.inject(*({"kind": "dead", "machine": f"box-{number}"} for number in range(1, 9)))
        assert await world.cloud.increase_size(ID, delta=2) == Done()
        await trio.sleep(INTERVAL + BOOT - 5)
        assert len({name for name, _, _ in jobs.made}) == 4
        assert world.cloud.target_size(ID) == 2


# --- nobody to wake ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "spare",
    [
        {"hold": {"power": "off"}},
        {"paused": {"reason": "BIOS"}},
        {"powerState": "off"},
        {"startupPodSpec": None},
    ],
)
async def test_a_machine_that_is_no_spare_is_left_alone(autojump_clock: MockClock, spare: dict[str, Any]) -> None:
    """Held, paused, switched off by a person, without a way on: no hedge wakes it, and the silent machine keeps its place and is
    woken until its limit."""
    async with open_world(groups=[hedged()], machines=boxes(2), autoscaler=None, site=QUICK) as world:
        await known(world)
        if "powerState" in spare:  # an off that means something
            await switch(world, "on", "box-2")
            await reach(world, Phase.READY, "box-2")
        world.edit("box-2", spare)
        await reach(world, Phase.OFF, "box-2")
        await trio.sleep(1)
        world.inject({"kind": "dead", "machine": "box-1"})
        assert await world.cloud.increase_size(ID, delta=1) == Done()
        await trio.sleep(2 * INTERVAL)
        assert world.phase("box-2") is Phase.OFF
        assert world.node("box-1").status.silent
        assert not world.node("box-1").status.replaced
        assert world.cloud.target_size(ID) == 1
        await reach(world, Phase.START_FAILED)
        assert world.hardware("box-1").wakes == 3


@pytest.mark.parametrize("proven", [True, False])
async def test_a_spare_is_shown_to_wake(autojump_clock: MockClock, proven: bool) -> None:
    """Where the group requires wake proof, only a machine that hexa has woken before is a spare."""
    async with open_world(
        groups=[hedged(wakeProof="Require")], machines=boxes(2), autoscaler=None, site=QUICK
    ) as world:
        await known(world)
        world.edit("box-2", {"pricing": {"hourlyRate": 1}})
        if proven:
            world.edit("box-1", {"hold": {"power": "off"}})
            await trio.sleep(1)
            assert await world.cloud.increase_size(ID, delta=1) == Done()
            await reach(world, Phase.READY, "box-2")
            assert await world.cloud.delete_nodes(ID, nodes=[ExternalNode("box-2")]) == Done()
            await reach(world, Phase.OFF, "box-2")
            world.edit("box-1", {"hold": None})
            await trio.sleep(1)
        world.inject({"kind": "dead", "machine": "box-1"})
        assert await world.cloud.increase_size(ID, delta=1) == Done()
        await trio.sleep(3 * INTERVAL)
        assert world.phase("box-2") is (Phase.READY if proven else Phase.OFF)


async def test_a_machine_that_a_person_wants_is_not_hedged(autojump_clock: MockClock) -> None:
    """A person who switches this very machine on gets this one, however long it takes."""
    async with open_world(groups=[hedged()], machines=boxes(2), autoscaler=None, site=QUICK) as world:
        await known(world)
        world.inject({"kind": "dead", "machine": "box-1"})
        world.edit("box-1", {"powerState": "on"})
        await reach(world, Phase.START_FAILED)
        assert world.phase("box-2") is Phase.OFF


async def test_a_request_taken_back_takes_the_silent_machine_with_it(autojump_clock: MockClock) -> None:
    """When Cluster Autoscaler takes its request back while both are on their way, neither stays wanted."""
    async with open_world(groups=[hedged()], machines=boxes(3), autoscaler=None, site=QUICK) as world:
        await known(world)
        world.inject({"kind": "dead", "machine": "box-1"})
        assert await world.cloud.increase_size(ID, delta=1) == Done()
        await world.until(lambda: world.node("box-1").status.replaced, within=30)
        assert await world.cloud.decrease_target_size(ID, delta=-1) == Done()
        assert world.cloud.target_size(ID) == 0
        await trio.sleep(1)
        wishes = [recorded_wish(world.node(name)) for name in ("box-1", "box-2")]
        assert [wish.power for wish in wishes if wish] == [Power.OFF, Power.OFF]
        assert world.cloud.target_size(ID) == 0


# --- killed between the writes -----------------------------------------------------------------------------------


async def dead_and_hedged(*, dies: int | None, down: float) -> int:
    """A dead machine and its spare, with hexa killed after so many writes and started again; how many writes there were."""
    async with open_world(groups=[hedged()], machines=boxes(4), autoscaler=None, site=QUICK) as world:
        await known(world)
        jobs = JobWatch(world)
        world.inject({"kind": "dead", "machine": "box-1"})
        assert await world.cloud.increase_size(ID, delta=1) == Done()
        first = world.agent.life.kube.writes if world.agent.life is not None else 0
        if dies is not None:
            world.kill_agent(after_writes=dies)

        async def ride() -> None:
            await world.agent.ended()
            await trio.sleep(down)
            await world.start_agent()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(ride)
            await reach(world, Phase.READY, "box-2", within=400)
            await trio.sleep(1)
            assert world.node("box-1").status.replaced or world.phase("box-1") not in COMING, dies
            await world.until(at(world, Phase.OFF), within=900, every=1)
            await trio.sleep(120)
            nursery.cancel_scope.cancel()
        assert world.phases() == {name: Phase.READY if name == "box-2" else Phase.OFF for name in world.phases()}
        assert world.cloud.target_size(ID) == 1
        assert jobs.of("box-2") == ["startup"] or (down > INTERVAL and set(jobs.of("box-2")) == {"startup"}), dies
        assert {name for name, _, _ in jobs.made} == {"box-1", "box-2"}, dies
        assert jobs.most == 1
        assert world.node("box-1").status.failures == 1
        return world.agent.life.kube.writes - first if world.agent.life is not None else 0


@pytest.mark.parametrize("dies", [None, *range(11, 19)])
async def test_failure_12_killed_at_the_writes_of_a_hedge(autojump_clock: MockClock, dies: int | None) -> None:
    """Killed after any of the writes around a hedge and started again, hexa wakes one spare, once, and nobody else."""
    await dead_and_hedged(dies=dies, down=1.0)


@pytest.mark.long
@pytest.mark.parametrize("down", [1.0, 30.0])
async def test_failure_12_killed_at_each_write_of_a_hedge(autojump_clock: MockClock, down: float) -> None:
    """The same for every write from the request until the dead machine is given up."""
    writes = await dead_and_hedged(dies=None, down=1.0)
    assert writes > 10
    for number in range(1, writes + 1):
        await dead_and_hedged(dies=number, down=down)
