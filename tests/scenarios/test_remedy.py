"""Power cycles against illness: a machine that hangs is cut and woken again where the group allows it, and nothing else ever is."""

from typing import Any

import pytest
import trio
from tests.scenarios.stage import ID, QUICK, JobWatch, arrows, at, boxes, kube_of, loaded, rack, reach, switch, up
from trio.testing import MockClock

from hexa.domain.errors import Unavailable
from hexa.domain.machine.lifecycle import Event, Phase
from hexa.domain.resources.core import JOBS, NODES
from hexa.domain.rules.power_cycle import REMEDIATION, STOPPED
from hexa.ports.cloud import Denied, ExternalNode, Instance, InstanceState
from hexa.ports.kube import Patch
from hexa.testing.world import Machine, World, group, machine, open_world

P = Phase
AFTER = 120.0
"""Seconds of illness before a cycle; the boot limit is 72 s here."""
CYCLE: dict[str, Any] = {"powerCycle": True, "after": "2m"}


def sick(**more: Any) -> Any:
    """A group that cycles power."""
    return rack(remediation={**CYCLE, **more})


def readable(count: int, **more: Any) -> list[Machine]:
    """Machines whose power is read and can be cut."""
    return boxes(count, sensor=True, hard_off=True, **more)


def remedies(world: World, name: str = "box-1") -> int:
    """How often its power was cycled."""
    return sum(event == Event.POWER_CYCLE for _, event in arrows(world, name))


def condition(world: World, name: str = "box-1") -> tuple[str, str, str]:
    """Status, reason and text of what is said about its power cycle."""
    told = [c for c in world.node(name).status.conditions if c.type == REMEDIATION]
    return (told[0].status, told[0].reason, told[0].message) if told else ("", "", "")


async def ill_for(world: World, seconds: float, *names: str) -> None:
    """Their systems hang with power on, for so long."""
    for name in names or ("box-1",):
        world.hardware(name).hang()
    await trio.sleep(seconds)


# --- what it is for ---------------------------------------------------------------------------------------


async def test_machine_that_hangs_is_cut_and_woken_again(autojump_clock: MockClock) -> None:
    """Lost and reading On for `after`: one hard power-off, one wake, and it serves again, with its node uncordoned."""
    async with open_world(groups=[sick()], machines=readable(3), autoscaler=None, site=QUICK) as world:
        jobs = JobWatch(world)
        await loaded(world)
        await up(world, "box-2")
        world.hardware("box-1").hang()
        await reach(world, P.LOST)
        assert condition(world)[:2] == ("True", "Waiting")
        took = await reach(world, P.POWERING_OFF, within=400)
        assert AFTER - 5 <= took <= AFTER + 20
        await reach(world, P.READY)
        await world.until(lambda: world.node("box-1").status.welcomed, within=20)
        assert jobs.of("box-1") == ["startup", "shutdown", "startup"]
        assert jobs.most == 1
        node = world.kube_node("box-1")
        assert node is not None
        assert not node.spec.unschedulable
        assert condition(world) == ("", "", "")
        assert "PowerCycle" in world.journal.reasons("box-1")
        assert world.site.report().pods_killed == 0
        assert world.waiting == 0


async def test_machine_that_never_joined_is_cut_and_woken_again(autojump_clock: MockClock) -> None:
    """Power on and no node past the boot limit, with no other machine to take its place: the same remedy."""
    async with open_world(groups=[sick()], machines=readable(1), autoscaler=None, site=QUICK) as world:
        world.inject({"kind": "noJoin", "machine": "box-1"})
        await switch(world, "on")
        await reach(world, P.START_FAILED)
        await reach(world, P.READY, within=600)
        assert (P.START_FAILED, Event.POWER_CYCLE) in arrows(world)
        assert world.hardware("box-1").offs == 1


async def test_without_the_groups_word_nothing_is_cut(autojump_clock: MockClock) -> None:
    """The default: a machine that hangs is told, and left as it is."""
    async with open_world(groups=[rack()], machines=readable(2), autoscaler=None, site=QUICK) as world:
        await up(world)
        await ill_for(world, 7200)
        assert world.phase("box-1") is P.LOST
        assert world.hardware("box-1").offs == 0


@pytest.mark.long
async def test_hopeless_machine_is_given_up_with_an_alert(autojump_clock: MockClock) -> None:
    """A machine that hangs in every boot is cycled three times, after waits that double; then it stays on, and both its condition
    and its group's say that a person must look."""
    async with open_world(groups=[sick()], machines=readable(1), autoscaler=None, site=QUICK) as world:
        await up(world)
        world.inject({"kind": "noJoin", "machine": "box-1", "count": 99})
        await ill_for(world, 6 * 3600.0)
        cycles = [line.at for line in world.journal.lines if line.fields.get("noticed") == Event.POWER_CYCLE]
        assert len(cycles) == 3
        first, second = (cycles[1] - cycles[0]).total_seconds(), (cycles[2] - cycles[1]).total_seconds()
        assert first > 2 * AFTER
        assert second > 4 * AFTER
        assert condition(world)[:2] == ("False", "GivenUp")
        assert [c.reason for c in world.group("rack").status.conditions if c.type == STOPPED] == ["GivenUp"]
        assert "GivenUp" in world.journal.reasons("box-1")
        assert world.hardware("box-1").power


@pytest.mark.long
async def test_what_cannot_be_switched_off_is_not_tried_for_ever(autojump_clock: MockClock) -> None:
    """A shutdown Job that does nothing to a system that hangs: three tries in hours, never two Jobs at once."""
    machines = boxes(1, sensor=True)
    async with open_world(groups=[sick()], machines=machines, autoscaler=None, site=QUICK) as world:
        jobs = JobWatch(world)
        await up(world)
        await ill_for(world, 6 * 3600.0)
        assert jobs.of("box-1") == ["startup", "shutdown", "shutdown", "shutdown"]
        assert jobs.most == 1
        assert condition(world)[:2] == ("False", "GivenUp")


# --- what it must never do ----------------------------------------------------------------------------------


@pytest.mark.parametrize("seconds", [30.0, 70.0])
async def test_failure_31_a_reboot_by_somebody_else_causes_no_power_action(
    autojump_clock: MockClock, seconds: float
) -> None:
    """kured and unattended-upgrades: the machine is silent while it reboots, even for as long as a boot may take, and comes back by
    itself; though power cycles are allowed after a time that is far too short, nothing is switched."""
    hasty = rack(remediation={"powerCycle": True, "after": "1s"})
    machines = readable(2, boot_seconds=(8.0, seconds))
    async with open_world(groups=[hasty], machines=machines, autoscaler=None, site=QUICK) as world:
        jobs = JobWatch(world)
        await up(world)
        world.cordon("box-1")
        world.hardware("box-1").reboot()
        await trio.sleep(seconds + 30)
        await reach(world, P.READY)
        assert jobs.of("box-1") == ["startup"]
        assert world.hardware("box-1").offs == 0
        node = world.kube_node("box-1")
        assert node is not None
        assert node.spec.unschedulable, "the cordon of whoever reboots it stays"


@pytest.mark.long
async def test_failure_28_a_partition_of_many_is_a_storm(autojump_clock: MockClock) -> None:
    """Three of four machines fall silent at once and read On: none is cut, group and machines say why, by condition and Event; and
    when all but one are back, that one is."""
    async with open_world(groups=[sick()], machines=readable(4), autoscaler=None, site=QUICK) as world:
        names = [f"box-{number}" for number in range(1, 5)]
        await up(world, *names)
        for name in names[:2]:
            world.inject({"kind": "partition", "machine": name, "duration": 3600})
        world.hardware("box-3").hang()
        await trio.sleep(3000)
        assert [world.phase(name) for name in names[:3]] == [P.LOST] * 3
        assert world.site.report().offs == 0
        assert {condition(world, name)[1] for name in names[:3]} == {"Storm"}
        (told,) = (c for c in world.group("rack").status.conditions if c.type == STOPPED)
        assert "maxUnhealthy is 1" in told.message
        assert "Storm" in world.journal.reasons("rack")
        assert "Storm" in world.journal.reasons("box-3")
        await reach(world, P.READY, "box-1", within=700)
        await reach(world, P.READY, "box-3", within=400)
        assert [remedies(world, name) for name in names] == [0, 0, 1, 0]
        assert [c for c in world.group("rack").status.conditions if c.type == STOPPED] == []


async def test_failure_28_a_partition_of_one_that_can_be_cut_is_cut_only_where_that_is_allowed(
    autojump_clock: MockClock,
) -> None:
    """A machine that is cut off and runs on can't be told from one that hangs: without the group's word it is left alone for as
    long as it takes, and is not started either, for a reading says On."""
    async with open_world(groups=[rack()], machines=readable(2), autoscaler=None, site=QUICK) as world:
        jobs = JobWatch(world)
        await loaded(world)
        await up(world, "box-2")
        world.inject({"kind": "partition", "machine": "box-1", "duration": 7200})
        await reach(world, P.LOST)
        await trio.sleep(7000)
        assert world.phase("box-1") is P.LOST
        assert world.kube_node("box-1") is not None
        assert jobs.of("box-1") == ["startup"]
        await reach(world, P.READY, within=400)
        assert world.hardware("box-1").offs == 0


async def test_machines_of_many_groups_that_are_lost_at_once_are_left_alone(autojump_clock: MockClock) -> None:
    """Three groups of one machine each, and all are silent: no group alone sees a storm, hexa does."""
    names = ["one", "two", "three"]
    groups = [group(name, maxNodeProvisionTime="2m", remediation=CYCLE) for name in names]
    machines = [machine(f"box-{n}", group=n, boot_seconds=8.0, sensor=True, hard_off=True) for n in names]
    async with open_world(groups=groups, machines=machines, autoscaler=None, site=QUICK) as world:
        await up(world, *(each.name for each in machines))
        await ill_for(world, 3600, *(each.name for each in machines))
        assert world.site.report().offs == 0
        assert {condition(world, each.name)[1] for each in machines} == {"InDoubt"}


async def test_failure_39_nothing_is_cut_while_the_api_server_is_away(autojump_clock: MockClock) -> None:
    """A machine hangs and the API server goes away: nothing happens while hexa is blind, and after it the whole of `after` is
    watched again before the power is cut."""
    async with open_world(groups=[sick()], machines=readable(2), autoscaler=None, site=QUICK) as world:
        await up(world)
        world.hardware("box-1").hang()
        await reach(world, P.LOST)
        world.site.api.outage(1800)
        await trio.sleep(1800)
        assert world.hardware("box-1").offs == 0
        took = await reach(world, P.POWERING_OFF, within=400)
        assert took >= AFTER - 5


FORBIDDEN: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {  # of the machine, of the group, the reason told
    "paused": ({"paused": {"reason": "new fan"}}, {}, ""),
    "held": ({"hold": {"power": "on"}}, {}, "Held"),
    "held by its group": ({}, {"hold": {"power": "on"}}, "Held"),
    "no way off": ({"shutdownPodSpec": None}, {}, "PowerOffUnavailable"),
    "no way on": ({"startupPodSpec": None}, {}, "PowerOnUnavailable"),
}


@pytest.mark.parametrize("case", FORBIDDEN)
async def test_what_forbids_an_off_or_a_wake_forbids_a_cycle(autojump_clock: MockClock, case: str) -> None:
    """A machine that a person holds or has paused, or that can't be switched both ways, is never cut, and it is told why."""
    of_machine, of_group, reason = FORBIDDEN[case]
    async with open_world(groups=[sick()], machines=readable(2), autoscaler=None, site=QUICK) as world:
        await up(world)
        world.edit("box-1", of_machine)
        world.edit_group("rack", of_group)
        await ill_for(world, 3600)
        assert world.hardware("box-1").offs == 0
        assert condition(world)[1] == reason or not reason


@pytest.mark.long
async def test_machine_whose_power_nothing_reads_is_never_cut(autojump_clock: MockClock) -> None:
    """Without a reading On it may be dead, and is woken instead; a sensor that is blind speaks for nothing either."""
    machines = [*boxes(1, hard_off=True), *readable(2)[1:]]
    async with open_world(groups=[sick(maxUnhealthy=2)], machines=machines, autoscaler=None, site=QUICK) as world:
        await up(world, "box-1", "box-2")
        world.inject({"kind": "sensorBlind", "machine": "box-2"})
        await ill_for(world, 3600, "box-1", "box-2")
        assert world.site.report().offs == 0
        assert remedies(world, "box-1") == remedies(world, "box-2") == 0


async def test_machine_whose_kubelet_speaks_is_never_cut(autojump_clock: MockClock) -> None:
    """Its Lease is renewed, and its node is not Ready or was deleted by somebody: it works, as far as anybody can tell."""
    async with open_world(groups=[sick()], machines=readable(2), autoscaler=None, site=QUICK) as world:
        await up(world)
        world.site.api.delete(NODES, ("", "box-1"))
        await reach(world, P.LOST)
        await trio.sleep(3600)
        assert world.hardware("box-1").offs == 0


async def test_one_at_a_time_in_a_group(autojump_clock: MockClock) -> None:
    """Where several may be ill, they are cycled one after the other: the next only when the one before is up again."""
    async with open_world(
        groups=[sick(maxUnhealthy="60%")], machines=readable(4), autoscaler=None, site=QUICK
    ) as world:
        names = [f"box-{number}" for number in range(1, 5)]
        await up(world, *names)
        for name in names[:2]:
            world.hardware(name).hang()
        down = 0
        for _ in range(400):
            await trio.sleep(1)
            cycling = [name for name in names if world.node(name).status.remediation.cycling]
            down = max(down, len(cycling))
        assert down == 1
        assert [remedies(world, name) for name in names] == [1, 1, 0, 0]
        assert set(world.phases().values()) == {P.READY}


async def test_a_machine_that_stays_off_after_its_cut_keeps_no_other_from_its_cycle(autojump_clock: MockClock) -> None:
    """A person pauses a machine while its power is cut, and it stays off: the next that hangs is cycled all the same."""
    async with open_world(groups=[sick()], machines=readable(3), autoscaler=None, site=QUICK) as world:
        jobs = JobWatch(world)
        await up(world, "box-1", "box-2", "box-3")
        world.hardware("box-1").hang()
        await world.until(lambda: jobs.of("box-1") == ["startup", "shutdown"], within=400, every=0.1)
        world.edit("box-1", {"paused": {"reason": "new board"}})
        await reach(world, P.OFF)
        await trio.sleep(60)
        assert world.node("box-1").status.remediation.cycling
        world.hardware("box-2").hang()
        await reach(world, P.LOST, "box-2")
        await reach(world, P.READY, "box-2", within=900)
        assert remedies(world, "box-2") == 1
        assert remedies(world, "box-1") == 1


# --- in between ---------------------------------------------------------------------------------------------


async def test_machine_that_comes_back_before_its_job_is_made_is_kept(autojump_clock: MockClock) -> None:
    """The Job that cuts the power can't be made for a while, and meanwhile the machine is back: it serves, and is not cut."""
    async with open_world(groups=[sick()], machines=readable(2), autoscaler=None, site=QUICK) as world:
        await loaded(world)
        world.hardware("box-1").hang()
        await reach(world, P.LOST)
        await trio.sleep(AFTER - 20)
        kube_of(world).fail_next(Unavailable("no answer"), verb="create", kind=JOBS, times=20)
        await reach(world, P.POWERING_OFF, within=60)
        world.hardware("box-1").reboot()
        await reach(world, P.READY)
        await trio.sleep(60)
        assert world.phase("box-1") is P.READY
        assert world.hardware("box-1").offs == 0
        node = world.kube_node("box-1")
        assert node is not None
        assert not node.spec.unschedulable


async def test_hexa_that_was_dead_meanwhile_looks_again_before_it_cuts(autojump_clock: MockClock) -> None:
    """Killed right after it stored that the power is to be cycled, and started when the machine is long back: nothing is cut."""
    async with open_world(groups=[sick()], machines=readable(2), autoscaler=None, site=QUICK) as world:
        await loaded(world)
        world.hardware("box-1").hang()
        await reach(world, P.LOST)
        await world.settle(quiet=20)
        world.kill_agent(after_writes=1)
        await world.agent.ended()
        assert world.phase("box-1") is P.POWERING_OFF
        world.hardware("box-1").reboot()
        await trio.sleep(200)
        await world.start_agent()
        await reach(world, P.READY)
        await trio.sleep(60)
        assert world.hardware("box-1").offs == 0


async def test_machine_that_was_dark_a_moment_ago_boots_and_is_not_cut(autojump_clock: MockClock) -> None:
    """A person unplugs a machine that never joined, and plugs it in again: however long it was ill before, the whole of `after`
    is waited from there on, for it boots."""
    machines = readable(1, boot_seconds=(8.0, 60.0))
    async with open_world(groups=[sick()], machines=machines, autoscaler=None, site=QUICK) as world:
        world.inject({"kind": "noJoin", "machine": "box-1"})
        await switch(world, "on")
        await reach(world, P.START_FAILED)
        await reach(world, P.BOOTING)
        await trio.sleep(30)
        world.hardware("box-1").lose_power()
        await reach(world, P.START_FAILED)
        await trio.sleep(20)
        world.hardware("box-1").press_on()
        await reach(world, P.READY, within=150)
        assert remedies(world) == 0


async def test_unwanted_meanwhile_it_is_drained_like_any_other(autojump_clock: MockClock) -> None:
    """A person's off before the Job is made ends the cycle: what follows is an off in order, and no wake."""
    async with open_world(groups=[sick()], machines=readable(2), autoscaler=None, site=QUICK) as world:
        jobs = JobWatch(world)
        await up(world)
        world.hardware("box-1").hang()
        await reach(world, P.LOST)
        await trio.sleep(AFTER - 20)
        kube_of(world).fail_next(Unavailable("no answer"), verb="create", kind=JOBS, times=5)
        await reach(world, P.POWERING_OFF, within=60)
        await switch(world, "off")
        await reach(world, P.OFF, within=900)
        assert arrows(world)[-3:-1] == [(P.POWERING_OFF, Event.OCCUPIED), (P.DRAINING, Event.EMPTY)]
        await trio.sleep(600)
        assert world.phase("box-1") is P.OFF
        assert jobs.of("box-1") == ["startup", "shutdown"]


def cycled(world: World) -> bool:
    """Whether its power was cycled."""
    return world.node("box-1").status.remediation.cycles == 1


@pytest.mark.long
async def test_killed_at_each_write_of_a_cycle(autojump_clock: MockClock) -> None:
    """Killed after any write between the loss and the return, and started a second later: one cut and one wake, always."""
    number = 0
    while True:
        number += 1
        async with open_world(groups=[sick()], machines=readable(2), autoscaler=None, site=QUICK) as world:
            jobs = JobWatch(world)
            await up(world)
            world.kill_agent(after_writes=number)
            world.hardware("box-1").hang()
            died = False
            with trio.move_on_after(900):
                await world.agent.ended()
                died = True
                await trio.sleep(1)
                await world.start_agent()
            await world.until(lambda: cycled(world) and at(world, P.READY)(), within=2000, every=2)
            await trio.sleep(120)
            assert world.phase("box-1") is P.READY
            assert jobs.of("box-1") == ["startup", "shutdown", "startup"], number
            assert jobs.most == 1
            assert world.hardware("box-1").offs == 1
            if not died:
                break
    assert number > 8


@pytest.mark.parametrize("lifted", [True, False])
async def test_cordon_of_a_person_is_what_the_person_last_said(autojump_clock: MockClock, lifted: bool) -> None:
    """A node that a person had cordoned comes back from the cycle cordoned, unless the person has opened it while it was lost."""
    async with open_world(groups=[sick()], machines=readable(2), autoscaler=None, site=QUICK) as world:
        await up(world)
        world.cordon("box-1")
        await trio.sleep(5)
        world.hardware("box-1").hang()
        await reach(world, P.LOST)
        if lifted:
            open_again = Patch({"spec": {"unschedulable": None}})
            world.site.api.patch(NODES, ("", "box-1"), open_again, manager="kubectl")
        await world.until(lambda: cycled(world) and at(world, P.READY)(), within=600)
        await trio.sleep(10)
        node = world.kube_node("box-1")
        assert node is not None
        assert node.spec.unschedulable is not lifted


# --- what Cluster Autoscaler sees -----------------------------------------------------------------------------


async def test_cluster_autoscaler_sees_one_machine_all_the_time(autojump_clock: MockClock) -> None:
    """During the whole cycle the target does not change and the instance is there, running and then being created, with no error;
    the node is a member while it is lost and again when it is up, and hidden in between."""
    async with open_world(groups=[sick()], machines=readable(3), autoscaler=None, site=QUICK) as world:
        await up(world)
        world.hardware("box-1").hang()
        seen: list[tuple[int, InstanceState, bool]] = []
        while len(seen) < 2 or remedies(world) == 0 or world.phase("box-1") is not P.READY:
            instances = world.cloud.instances(ID)
            assert isinstance(instances, list)
            (shown,) = instances
            assert isinstance(shown, Instance)
            assert shown.error is None
            size = world.cloud.target_size(ID)
            assert isinstance(size, int)
            now = (size, shown.state, world.cloud.group_for_node("box-1", "") is not None)
            if not seen or seen[-1] != now:
                seen.append(now)
            await trio.sleep(0.25)
        assert seen[:2] == [(1, InstanceState.RUNNING, True), (1, InstanceState.CREATING, False)]
        await trio.sleep(5)
        assert world.cloud.group_for_node("box-1", "") is not None
        assert world.site.report().wakes == 2


async def test_cluster_autoscaler_may_give_up_a_machine_that_is_lost(autojump_clock: MockClock) -> None:
    """Its DeleteNodes of an unready node ends the plan to cycle it."""
    async with open_world(groups=[sick()], machines=readable(2), autoscaler=None, site=QUICK) as world:
        await up(world)
        world.hardware("box-1").hang()
        await reach(world, P.LOST)
        answer = await world.cloud.delete_nodes(ID, nodes=[ExternalNode("box-1")])
        assert not isinstance(answer, Denied)
        await reach(world, P.OFF, within=900)
        await trio.sleep(600)
        assert remedies(world) == 0
        assert world.phase("box-1") is P.OFF
