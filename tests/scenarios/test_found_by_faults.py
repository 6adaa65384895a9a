"""What random fault runs (`./dev faults`) have found, each shrunk to the few things that it takes."""

import json

import trio
from tests.faults.play import play
from tests.faults.script import read
from tests.scenarios.stage import QUICK, JobWatch, boxes, kube_of, rack, reach, switch, up
from trio.testing import MockClock

from hexa.domain.errors import Unavailable
from hexa.domain.machine.lifecycle import Phase
from hexa.domain.resources.core import JOBS, NODES
from hexa.ports.kube import Patch
from hexa.testing.world import World, open_world


async def about_to_go(world: World, *, failures: int) -> None:
    """The first machine has drained, and its shutdown Job can't be made yet."""
    await up(world)
    kube_of(world).fail_next(Unavailable("no answer"), verb="create", kind=JOBS, times=failures)
    await switch(world, "off")
    await reach(world, Phase.POWERING_OFF)
    await trio.sleep(3)


async def test_seed_930_wanted_again_before_the_shutdown_job_was_made(autojump_clock: MockClock) -> None:
    """A machine that is wanted on again, by a hold or an edit, before its shutdown Job could be made is not switched off: it takes
    pods again at once."""
    async with open_world(groups=[rack()], machines=boxes(1), autoscaler=None, site=QUICK) as world:
        jobs = JobWatch(world)
        await about_to_go(world, failures=4)
        world.edit("box-1", {"hold": {"power": "on"}})
        await reach(world, Phase.READY, within=15)
        await trio.sleep(900)
        assert jobs.of("box-1") == ["startup"]
        assert world.site.report().offs == 0
        node = world.kube_node("box-1")
        assert node is not None
        assert not node.spec.unschedulable
        world.edit("box-1", {"hold": None})
        await reach(world, Phase.OFF)


async def test_seed_930_killed_before_it_could_note_its_job(autojump_clock: MockClock) -> None:
    """Where the shutdown Job was made and hexa died before it knew, a machine that is wanted again goes down, then comes back."""
    async with open_world(groups=[rack()], machines=boxes(1), autoscaler=None, site=QUICK) as world:
        jobs = JobWatch(world)
        await up(world)
        kube = kube_of(world)
        await switch(world, "off")
        await world.until(lambda: bool(jobs.of("box-1")[1:]) or kube.dead, within=30, every=0.001)
        world.kill_agent()
        await switch(world, "on")
        await world.agent.ended()
        await world.start_agent()
        await world.until(lambda: world.hardware("box-1").boots == 2, within=120)
        await reach(world, Phase.READY)
        assert jobs.of("box-1")[:2] == ["startup", "shutdown"]
        assert jobs.most == 1


async def test_a_machine_that_goes_dark_after_a_drain_was_given_up_is_left_off(autojump_clock: MockClock) -> None:
    """Ignore: power that fails while the machine cools off after a drain is left as it is, and the wish does not turn to and fro
    without end between that and the drain that was given up."""
    group = rack(onUnexpectedPower="Ignore", maxSize=1, timeouts={"drain": "30s"}, retries={"backoff": "10m"})
    machines = [*boxes(1, sensor=True, on=True), *boxes(2, on=True)[1:]]
    async with open_world(groups=[group], machines=machines, autoscaler=None, site=QUICK) as world:
        world.add_pods(1, cpu="1", nodeName="box-1")
        world.add_budget(minAvailable=1)
        await world.until(lambda: world.node("box-1").status.cool_until is not None, within=300)
        await reach(world, Phase.READY)
        world.hardware("box-1").lose_power()
        await reach(world, Phase.OFF)
        await trio.sleep(600)
        assert world.phase("box-1") is Phase.OFF
        assert not world.hardware("box-1").power


async def test_seed_31556_a_cordon_that_was_taken_back_while_the_machine_drained(autojump_clock: MockClock) -> None:
    """A person cordons a node and takes it back while its machine is on its way off: after the next boot it takes pods."""
    group = rack(timeouts={"powerOff": "5m"})
    async with open_world(groups=[group], machines=boxes(1), autoscaler=None, site=QUICK) as world:
        await up(world)
        world.cordon("box-1")
        await trio.sleep(5)
        kube_of(world).fail_next(Unavailable("no answer"), verb="create", kind=JOBS, times=4)
        await switch(world, "off")
        await reach(world, Phase.POWERING_OFF)
        world.site.api.patch(NODES, ("", "box-1"), Patch({"spec": {"unschedulable": None}}), manager="kubectl")
        await reach(world, Phase.OFF)
        await world.until(lambda: world.kube_node("box-1") is None, within=300)
        await up(world)
        await trio.sleep(5)
        node = world.kube_node("box-1")
        assert node is not None
        assert not node.spec.unschedulable


LIE = {
    "seed": 47963,
    "groups": {"rack": {"timeouts": {"settle": "1s"}}, "shelf": {}},
    "boxes": [
        {"name": "box-3", "group": "shelf", "boot": 20.0, "off": 15.0},
        {"name": "box-4", "group": "rack", "on": True, "power": "bmc", "boot": 8.0, "off": 5.0},
    ],
    "loads": [{"name": "load-1", "replicas": 4, "cpu": "500m"}],
    "acts": [
        {"at": 672.0, "what": "failedJob", "of": "box-4", "count": 5, "duration": 600.0},
        {"at": 1255.0, "what": "buttonOn", "of": "box-3", "count": 2, "duration": 600.0},
        {"at": 1292.6, "what": "sensorLies", "of": "box-4", "duration": 60.0},
        {"at": 1323.023, "what": "hold", "of": "box-4", "value": "off", "duration": 300.0},
    ],
    "hurts": 1800.0,
}


def test_seed_47963_a_machine_that_read_on_before_it_was_taken_for_off_is_found_on() -> None:
    """A BMC that lied had its node deleted; given up, the machine counts as off while its BMC reads On: that is seen."""
    assert play(read(json.dumps(LIE))).broken == ()
