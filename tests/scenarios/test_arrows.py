"""One story for each arrow of the lifecycle's table, played on a whole site: what happens in the world, and what hexa makes of it.

Most arrows have a slower way round, so that a lost one would hide: here each is seen to be taken.
"""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import trio
from msgspec import Struct
from tests.scenarios.stage import QUICK, JobWatch, arrows, boxes, kube_of, loaded, rack, reach, switch, up
from trio.testing import MockClock

from hexa.domain.errors import Unavailable
from hexa.domain.machine.lifecycle import TRANSITIONS, Event, Phase
from hexa.domain.resources.core import JOBS, PODS
from hexa.domain.resources.v1alpha1 import MACHINES
from hexa.testing.world import World, open_world

P, E = Phase, Event
Arrow = tuple[Phase, Event]


class Story(Struct, frozen=True, kw_only=True):
    """What happens, and where the machine is in the end."""

    tell: Callable[[World], Awaitable[None]]
    ends: Phase
    group: dict[str, Any] = {}
    machine: dict[str, Any] = {}
    killed: int = 0
    """Pods whose work a power-off took: only where the group forces."""


STORIES: dict[Arrow, Story] = {}


def story(phase: Phase, event: Event, *, ends: Phase, **more: Any) -> Callable[[Any], Any]:
    """Tell the story of an arrow."""

    def add(tell: Any) -> Any:
        assert (phase, event) not in STORIES
        STORIES[phase, event] = Story(tell=tell, ends=ends, **more)
        return tell

    return add


SENSOR = {"sensor": True}
BUDGET = {"minAvailable": 1}
SHORT_DRAIN = {"timeouts": {"drain": "30s"}}
CYCLES = {"remediation": {"powerCycle": True, "after": "1m"}}
FORCE = {"drain": {"force": True}, "timeouts": {"drain": "30s"}}

# --- Unknown --------------------------------------------------------------------------------------


@story(P.UNKNOWN, E.NODE_READY, ends=P.READY, machine={"on": True})
async def found_on(world: World) -> None:
    """hexa is installed where a machine runs."""


@story(P.UNKNOWN, E.POWER_SEEN, ends=P.START_FAILED, machine=SENSOR)
async def found_with_power(world: World) -> None:
    """hexa is installed where a machine has power and no kubelet."""
    world.agent.kill()
    world.hardware("box-1").press_on()
    world.hardware("box-1").hang()
    world.site.api.delete(*machine_key("box-1"))
    world.site.api.create(machine_key("box-1")[0], boxes()[0].manifest)
    await world.start_agent()


@story(P.UNKNOWN, E.POWER_GONE, ends=P.OFF, machine=SENSOR)
async def found_without_power(world: World) -> None:
    """hexa is installed where a sensor reads a machine as off."""


@story(P.UNKNOWN, E.OVERDUE, ends=P.OFF)
async def found_off(world: World) -> None:
    """hexa is installed where a machine is off and nothing reads its power."""


# --- Off ------------------------------------------------------------------------------------------


@story(P.OFF, E.POWER_SEEN, ends=P.READY)
async def button_on(world: World) -> None:
    """Somebody presses the button of a machine that is off."""
    await trio.sleep(20)
    world.hardware("box-1").press_on()


@story(P.OFF, E.WANTED, ends=P.READY)
async def wanted(world: World) -> None:
    """Somebody wants it on."""
    await trio.sleep(20)
    await switch(world, "on")


# --- PoweringOn -------------------------------------------------------------------------------------


@story(P.POWERING_ON, E.UNWANTED, ends=P.OFF)
async def taken_back_before_the_job_ended(world: World) -> None:
    """The wake is taken back while its Job runs."""
    world.inject({"kind": "stuckJob", "action": "startup"})
    await switch(world, "on")
    await reach(world, P.POWERING_ON)
    await trio.sleep(2)
    await switch(world, "off")


@story(P.POWERING_ON, E.NODE_READY, ends=P.READY)
async def ready_before_the_job_ended(world: World) -> None:
    """The startup Job waits for the node, and ends after it is Ready."""
    world.inject({"kind": "stuckJob", "action": "startup"})
    await switch(world, "on")
    await trio.sleep(3)
    world.hardware("box-1").wake()


@story(P.POWERING_ON, E.POWER_SEEN, ends=P.READY, machine=SENSOR)
async def power_is_read(world: World) -> None:
    """A sensor sees the wake work."""
    await switch(world, "on")


@story(P.POWERING_ON, E.STARTED, ends=P.READY)
async def job_done(world: World) -> None:
    """Nothing reads the power: the Job's success is all there is."""
    await switch(world, "on")


@story(P.POWERING_ON, E.OVERDUE, ends=P.READY, machine=SENSOR)
async def no_wake_works(world: World) -> None:
    """The sensor reads Off after every wake; two minutes later the machine is well again."""
    world.inject({"kind": "dead", "machine": "box-1", "duration": 120})
    await switch(world, "on")


# --- Booting ----------------------------------------------------------------------------------------


@story(P.BOOTING, E.UNWANTED, ends=P.OFF, machine={"boot_seconds": 30.0})
async def taken_back_during_the_boot(world: World) -> None:
    """The wake is taken back while the machine boots."""
    await switch(world, "on")
    await reach(world, P.BOOTING)
    await switch(world, "off")


@story(P.BOOTING, E.NODE_READY, ends=P.READY)
async def boots(world: World) -> None:
    """It boots."""
    await switch(world, "on")


@story(P.BOOTING, E.POWER_GONE, ends=P.READY, machine={**SENSOR, "boot_seconds": 30.0})
async def loses_power_during_the_boot(world: World) -> None:
    """The plug is pulled during the boot, and is back half a minute later."""
    await switch(world, "on")
    await reach(world, P.BOOTING)
    await trio.sleep(5)
    world.hardware("box-1").lose_power()


@story(P.BOOTING, E.OVERDUE, ends=P.READY)
async def never_joins(world: World) -> None:
    """The first boot never joins; somebody pulls the plug later."""
    world.inject({"kind": "noJoin", "machine": "box-1"})
    await switch(world, "on")
    await reach(world, P.START_FAILED)
    world.hardware("box-1").lose_power()


# --- Ready ------------------------------------------------------------------------------------------


@story(P.READY, E.POWER_GONE, ends=P.READY, machine=SENSOR)
async def loses_power(world: World) -> None:
    """A machine that is wanted loses its power, and a sensor says so: it is woken again."""
    await up(world)
    world.hardware("box-1").lose_power()


@story(P.READY, E.NODE_LOST, ends=P.READY)
async def hangs(world: World) -> None:
    """Its system hangs for some minutes and then reboots."""
    await up(world)
    world.inject({"kind": "crash", "machine": "box-1", "duration": 300})


@story(P.READY, E.UNWANTED, ends=P.OFF)
async def unwanted(world: World) -> None:
    """Somebody wants it off."""
    await up(world)
    await switch(world, "off")


# --- Draining ---------------------------------------------------------------------------------------


@story(P.DRAINING, E.POWER_GONE, ends=P.OFF, machine=SENSOR)
async def loses_power_while_it_drains(world: World) -> None:
    """The plug is pulled while a budget blocks the drain, and a sensor reads it."""
    await loaded(world, budget=BUDGET)
    await switch(world, "off")
    await reach(world, P.DRAINING)
    await trio.sleep(5)
    world.hardware("box-1").lose_power()


@story(P.DRAINING, E.KEPT, ends=P.READY)
async def turned_back(world: World) -> None:
    """It is wanted again while it drains."""
    await loaded(world, budget=BUDGET)
    await switch(world, "off")
    await reach(world, P.DRAINING)
    await trio.sleep(5)
    await switch(world, "on")


@story(P.DRAINING, E.WANTED, ends=P.READY, machine={"boot_seconds": 30.0})
async def turned_back_before_it_came_up(world: World) -> None:
    """A wake is taken back and asked for again while the machine boots."""
    await switch(world, "on")
    await reach(world, P.BOOTING)
    await switch(world, "off")
    await reach(world, P.DRAINING)
    await switch(world, "on")


@story(P.DRAINING, E.EMPTY, ends=P.OFF)
async def drained(world: World) -> None:
    """Its pods move to another machine."""
    await loaded(world)
    await up(world, "box-2")
    await switch(world, "off")


@story(P.DRAINING, E.NODE_LOST, ends=P.LOST)
async def hangs_while_it_drains(world: World) -> None:
    """Its system hangs while a budget blocks the drain."""
    await loaded(world, budget=BUDGET)
    await switch(world, "off")
    await reach(world, P.DRAINING)
    world.hardware("box-1").hang()


@story(P.DRAINING, E.FORCED, ends=P.OFF, group=FORCE, killed=1)
async def forced(world: World) -> None:
    """A budget blocks the drain past its deadline, and the group says that this is no reason."""
    await loaded(world, budget=BUDGET)
    await switch(world, "off")


@story(P.DRAINING, E.OVERDUE, ends=P.OFF, group=SHORT_DRAIN)
async def given_up(world: World) -> None:
    """A budget blocks the drain past its deadline, and allows it minutes later."""
    await loaded(world, budget=BUDGET)
    await switch(world, "off")
    await trio.sleep(150)
    world.scale(0)


# --- PoweringOff --------------------------------------------------------------------------------------


@story(P.POWERING_OFF, E.POWER_GONE, ends=P.OFF)
async def goes_dark(world: World) -> None:
    """It goes dark after its shutdown Job."""
    await up(world)
    await switch(world, "off")


@story(P.POWERING_OFF, E.OCCUPIED, ends=P.OFF)
async def a_pod_lands(world: World) -> None:
    """A pod lands in the moment before the shutdown Job is made."""
    await up(world)
    kube_of(world).fail_next(Unavailable("no answer"), verb="create", kind=JOBS, times=5)
    await switch(world, "off")
    await reach(world, P.POWERING_OFF)
    world.site.add_pod("late", nodeName="box-1")
    await reach(world, P.DRAINING)
    world.site.api.delete(PODS, ("default", "late"))


@story(P.POWERING_OFF, E.OVERDUE, ends=P.OFF)
async def ignores_the_shutdown(world: World) -> None:
    """It ignores its first orderly shutdown."""
    world.inject({"kind": "hungShutdown", "machine": "box-1"})
    await up(world)
    await switch(world, "off")


# --- StartFailed, StopFailed, Lost ----------------------------------------------------------------------


@story(P.START_FAILED, E.NODE_READY, ends=P.READY, machine={"boot_seconds": 100.0})
async def comes_late(world: World) -> None:
    """It boots longer than it may."""
    await switch(world, "on")


@story(P.START_FAILED, E.COOLED_DOWN, ends=P.READY)
async def is_tried_again(world: World) -> None:
    """It is dead for five minutes."""
    world.inject({"kind": "dead", "machine": "box-1", "duration": 300})
    await switch(world, "on")


@story(P.STOP_FAILED, E.POWER_GONE, ends=P.OFF, machine=SENSOR)
async def goes_dark_after_all(world: World) -> None:
    """It ignores the shutdown, and somebody pulls the plug."""
    world.inject({"kind": "hungShutdown", "machine": "box-1"})
    await up(world)
    await switch(world, "off")
    await reach(world, P.STOP_FAILED, within=400)
    world.hardware("box-1").lose_power()


@story(P.STOP_FAILED, E.WANTED, ends=P.READY)
async def wanted_after_a_failed_stop(world: World) -> None:
    """It ignores the shutdown, and is wanted again."""
    world.inject({"kind": "hungShutdown", "machine": "box-1"})
    await up(world)
    await switch(world, "off")
    await reach(world, P.STOP_FAILED, within=400)
    await switch(world, "on")


@story(P.STOP_FAILED, E.COOLED_DOWN, ends=P.OFF)
async def stopped_the_second_time(world: World) -> None:
    """It ignores the first shutdown and obeys the second."""
    world.inject({"kind": "hungShutdown", "machine": "box-1"})
    await up(world)
    await switch(world, "off")


@story(P.LOST, E.NODE_READY, ends=P.READY)
async def comes_back(world: World) -> None:
    """The network is away for 100 s."""
    await up(world)
    world.inject({"kind": "partition", "machine": "box-1", "duration": 100})


@story(P.LOST, E.POWER_GONE, ends=P.OFF, machine=SENSOR)
async def lost_and_dark(world: World) -> None:
    """Its system hangs, it is not wanted any more, and somebody pulls the plug."""
    await loaded(world)
    world.hardware("box-1").hang()
    await reach(world, P.LOST)
    await switch(world, "off")
    world.hardware("box-1").lose_power()


@story(P.LOST, E.EMPTY, ends=P.OFF)
async def lost_and_empty(world: World) -> None:
    """Its system hangs while it runs nothing, it is not wanted any more, and its shutdown Job cuts the power hard."""
    await up(world)
    world.hardware("box-1").hang()
    await reach(world, P.LOST)
    await switch(world, "off")
    await reach(world, P.POWERING_OFF)
    world.hardware("box-1").cut_hard()


@story(P.LOST, E.FORCED, ends=P.OFF, group=FORCE)
async def lost_and_forced(world: World) -> None:
    """Its system hangs with a pod that nobody can end, and the group says that this is no reason to keep it on."""
    await loaded(world, terminationGracePeriodSeconds=3600)
    world.hardware("box-1").hang()
    await reach(world, P.LOST)
    await switch(world, "off")
    await reach(world, P.POWERING_OFF, within=300)
    world.hardware("box-1").lose_power()


@story(P.LOST, E.WANTED, ends=P.READY)
async def lost_and_wanted(world: World) -> None:
    """It loses its power unseen: after a while it is woken again."""
    await up(world)
    world.hardware("box-1").lose_power()


@story(P.START_FAILED, E.POWER_CYCLE, ends=P.READY, group=CYCLES, machine={**SENSOR, "hard_off": True})
async def hung_boot_is_cycled(world: World) -> None:
    """Its boot hangs, no other machine may come in its place, and the group cycles power."""
    world.edit("box-2", {"hold": {"power": "off"}})
    world.inject({"kind": "noJoin", "machine": "box-1"})
    await switch(world, "on")


@story(P.LOST, E.POWER_CYCLE, ends=P.READY, group=CYCLES, machine={**SENSOR, "hard_off": True})
async def hung_system_is_cycled(world: World) -> None:
    """Its system hangs for good, and the group cycles power."""
    await up(world)
    world.hardware("box-1").hang()


def machine_key(name: str) -> tuple[Any, tuple[str, str]]:
    """Where a Node resource is."""
    return MACHINES, ("machines", name)


# --- the tests ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("arrow", STORIES, ids=lambda arrow: f"{arrow[0]}-{arrow[1]}")
async def test_each_arrow_is_taken_and_the_machine_settles(autojump_clock: MockClock, arrow: Arrow) -> None:
    """The story of the arrow takes the arrow; afterwards the machine settles where it is wanted, with no work lost, no two power
    Jobs at once, and nothing left cordoned that is Ready."""
    told = STORIES[arrow]
    machines = [*boxes(1, **told.machine), *boxes(2)[1:]]
    async with open_world(groups=[rack(**told.group)], machines=machines, autoscaler=None, site=QUICK) as world:
        jobs = JobWatch(world)
        await told.tell(world)
        await world.until(lambda: arrow in arrows(world), within=900)
        await world.until(lambda: world.phase("box-1") is told.ends, within=1800)
        await trio.sleep(30)
        assert world.phase("box-1") is told.ends
        assert jobs.most <= 1
        assert world.site.report().pods_killed == told.killed
        if told.ends is P.READY:
            node = world.kube_node("box-1")
            assert node is not None
            assert not node.spec.unschedulable


def test_every_arrow_has_its_story() -> None:
    """No arrow of the table is without a story, and no story speaks of an arrow that is not there."""
    assert STORIES.keys() == {(phase, event) for phase, row in TRANSITIONS.items() for event in row}
