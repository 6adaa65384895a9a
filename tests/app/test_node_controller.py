"""One machine at a time, on a whole site: what goes wrong beside the ordinary way up and down."""

from collections.abc import Callable
from typing import Any

import pytest
import trio
from tests.app.unready import Unready
from trio.testing import MockClock

from hexa.adapters.memory.settings import Settings as Site
from hexa.app.node.deciding import Decider, Turn
from hexa.app.views.views import Views
from hexa.domain.decide.decision import Looked
from hexa.domain.decide.observed import Read
from hexa.domain.errors import Conflict, Unavailable
from hexa.domain.machine.lifecycle import Phase
from hexa.domain.resources.core import JOBS, PODS
from hexa.domain.resources.v1alpha1 import MACHINES
from hexa.ports.journal import Severity
from hexa.ports.kube import Patch
from hexa.testing.world import World, group, machine, open_world
from hexa.testing.world.agent import MortalKube

QUICK = Site(pod_start=0.2, pod_stop=0.2)
RACK = group("rack", maxNodeProvisionTime="2m")
ID = "machines/rack"


def boxes(count: int = 1, **more: Any) -> list[Any]:
    """So many machines that boot in 8 s."""
    return [machine(f"box-{number}", group="rack", **{"boot_seconds": 8.0, **more}) for number in range(1, count + 1)]


def kube_of(world: World) -> MortalKube:
    """The client of the agent that runs."""
    life = world.agent.life
    assert life is not None
    return life.kube


def at(world: World, phase: Phase, name: str = "box-1") -> Callable[[], bool]:
    """Whether hexa says that the machine is there."""
    return lambda: world.phase(name) is phase


async def up(world: World, *names: str) -> None:
    """Switch them on and wait until pods may land."""
    names = names or ("box-1",)
    for name in names:
        world.edit(name, {"powerState": "on"})
    await world.until(lambda: all(world.node(name).status.welcomed for name in names), within=60)


# --- errors -------------------------------------------------------------------------------------------


async def test_a_failed_eviction_puts_off_one_machine_only(autojump_clock: MockClock) -> None:
    """An API server that fails an eviction does not end hexa: the drain goes on a moment later."""
    async with open_world(groups=[RACK], machines=boxes(2), autoscaler=None, site=QUICK) as world:
        await up(world, "box-1", "box-2")
        world.add_pods(2, cpu="1")
        await world.until(lambda: world.waiting == 0, within=10)
        kube_of(world).fail_next(Unavailable("no answer"), verb="evict", times=2)
        kube_of(world).fail_next(Conflict("another pod of that name"), verb="evict", times=1)
        world.edit("box-1", {"powerState": "off"})
        await world.until(at(world, Phase.OFF), within=120)
        assert world.agent.lives == 1
        assert world.site.report().pods_killed == 0


@pytest.mark.parametrize("verb", ["list", "patch", "create", "delete", "evict"])
async def test_any_call_may_fail_a_few_times(autojump_clock: MockClock, verb: Any) -> None:
    """Errors of any verb while a machine comes up and goes down delay it, and neither end hexa nor lead it astray."""
    async with open_world(groups=[RACK], machines=boxes(2), autoscaler=None, site=QUICK) as world:
        kube_of(world).fail_next(Unavailable("no answer"), verb=verb, times=3)
        await up(world)
        world.edit("box-2", {"powerState": "on"})
        world.add_pods(1, cpu="1")
        await world.until(lambda: world.waiting == 0 and at(world, Phase.READY, "box-2")(), within=120)
        kube_of(world).fail_next(Unavailable("no answer"), verb=verb, times=3)
        world.edit("box-1", {"powerState": "off"})
        await world.until(at(world, Phase.OFF), within=200)
        await world.until(lambda: world.kube_node("box-1") is None, within=200)
        assert world.agent.lives == 1
        assert world.site.report().pods_killed == 0
        assert world.hardware("box-1").wakes == 1


async def test_a_machine_that_others_write_all_the_time_is_no_news(autojump_clock: MockClock) -> None:
    """Conflicts are tried again and logged; its owner is told nothing, for there is nothing to mend."""
    async with open_world(groups=[RACK], machines=boxes(1), autoscaler=None, site=QUICK) as world:
        await world.until(at(world, Phase.OFF), within=60)
        kube_of(world).fail_next(Conflict("changed meanwhile"), verb="patch", times=15)
        await up(world)
        assert [each for each in world.journal.events if each.severity is Severity.WARNING] == []


async def test_a_malformed_machine_stops_nobody_and_is_told_once(autojump_clock: MockClock) -> None:
    """A Node that does not decode gets the condition Invalid with the reason; hexa neither ends nor keeps writing it, and acts
    again as soon as it is mended."""
    async with open_world(groups=[RACK], machines=boxes(2), autoscaler=None) as world:
        await world.until(at(world, Phase.OFF), within=5)
        world.edit("box-2", {"kubernetesNodeName": 7})
        await trio.sleep(3600)
        stored = world.site.api.get(MACHINES, "box-2", "machines")
        assert stored is not None
        (condition,) = stored.raw["status"]["conditions"]
        assert (condition["type"], condition["reason"]) == ("Invalid", "DoesNotDecode")
        assert "kubernetesNodeName" in condition["message"]
        assert kube_of(world).count("patch", MACHINES) < 30
        await up(world)
        world.edit("box-2", {"kubernetesNodeName": "box-2", "powerState": "on"})
        await world.until(at(world, Phase.READY, "box-2"), within=60)
        assert "Invalid" not in {each.type for each in world.node("box-2").status.conditions}


async def test_a_status_field_that_the_server_prunes_is_not_written_for_ever(autojump_clock: MockClock) -> None:
    """With CRDs older than hexa, which drop a field that it writes, hexa does not write it over and over."""
    async with open_world(groups=[RACK], machines=boxes(1), autoscaler=None) as world:
        kube = kube_of(world)
        patch = kube.api.patch

        def pruning(kind: Any, key: Any, given: Patch, **more: Any) -> Any:
            body = {**given.body, "status": dict(given.body.get("status", {}))} if given.subresource else given.body
            if given.subresource:
                body["status"].pop("energy", None)
                body["status"].pop("health", None)
            return patch(kind, key, Patch(body, given.style, given.subresource, given.resource_version), **more)

        kube.api.patch = pruning  # type: ignore[method-assign]
        await up(world)
        await trio.sleep(3600)
        assert kube.count("patch", MACHINES) < 60


async def test_a_webhook_that_fills_every_write_stalls_no_machine(autojump_clock: MockClock) -> None:
    """Where a write that changes nothing gives a machine a new version all the same, its Jobs are made and recorded once."""
    async with open_world(groups=[RACK], machines=boxes(1), autoscaler=None, site=QUICK) as world:
        await world.until(at(world, Phase.OFF), within=60)
        kube = kube_of(world)
        patch = kube.api.patch

        def filling(kind: Any, key: Any, given: Patch, **more: Any) -> Any:
            if kind is not MACHINES:
                return patch(kind, key, given, **more)
            old = kube.api.get(MACHINES, key[1], key[0])
            seen = old.raw["metadata"]["resourceVersion"] if old is not None else ""
            metadata = {**given.body.get("metadata", {})}
            metadata["annotations"] = {**metadata.get("annotations", {}), "policy.example/seen": seen}
            body = {**given.body, "metadata": metadata}
            return patch(kind, key, Patch(body, given.style, given.subresource, given.resource_version), **more)

        kube.api.patch = filling  # type: ignore[method-assign]
        await up(world)
        assert kube.count("create", JOBS) == 1
        world.edit("box-1", {"powerState": "off"})
        await world.until(at(world, Phase.OFF), within=120)
        assert kube.count("create", JOBS) == 2


# --- sight ------------------------------------------------------------------------------------------


async def test_machines_go_on_when_sight_returns(autojump_clock: MockClock) -> None:
    """A drain that an outage interrupted goes on as soon as the API server is back, though nothing else happens."""
    async with open_world(groups=[RACK], machines=boxes(2), autoscaler=None, site=QUICK) as world:
        await up(world)
        world.add_pods(1, cpu="1")
        world.add_budget(minAvailable=1)
        await world.until(lambda: world.waiting == 0, within=10)
        world.edit("box-1", {"powerState": "off"})
        await world.until(at(world, Phase.DRAINING), within=5)
        await trio.sleep(5)
        world.site.api.outage(120)
        await trio.sleep(60)
        world.site.api.break_watches()
        await trio.sleep(90)
        world.scale(0)
        await world.until(at(world, Phase.OFF), within=120)


# --- signs of life ----------------------------------------------------------------------------------


async def test_a_machine_found_on_is_schedulable_at_once(autojump_clock: MockClock) -> None:
    """When somebody presses the button, pods land as soon as the node is Ready: nobody waits for a second heartbeat."""
    async with open_world(groups=[RACK], machines=boxes(), autoscaler=None, site=QUICK) as world:
        await up(world)
        world.edit("box-1", {"powerState": "off"})
        await world.until(at(world, Phase.OFF), within=60)
        await trio.sleep(10)
        world.hardware("box-1").press_on()
        await trio.sleep(8.9)
        assert world.phase("box-1") is Phase.READY
        assert world.node("box-1").status.welcomed


async def test_a_wake_job_that_waits_for_the_machine_does_not_delay_it(autojump_clock: MockClock) -> None:
    """With a startup Job that ends only after the node is Ready, pods land within a second of Ready."""
    async with open_world(groups=[RACK], machines=boxes(), autoscaler=None, site=QUICK) as world:
        world.inject({"kind": "stuckJob", "machine": "box-1"})
        world.edit("box-1", {"powerState": "on"})
        await world.until(at(world, Phase.POWERING_ON), within=5)
        await trio.sleep(2)
        world.hardware("box-1").wake()
        await trio.sleep(9)
        assert world.phase("box-1") is Phase.READY
        assert world.node("box-1").status.welcomed


@pytest.mark.parametrize("button", [False, True])
async def test_a_node_that_turns_ready_late_is_welcomed_at_once(autojump_clock: MockClock, button: bool) -> None:
    """A kubelet that beats before its node is Ready (no network plugin yet) is welcomed within a second of Ready, whoever started
    the machine."""
    async with open_world(groups=[RACK], machines=boxes(), autoscaler=None, site=QUICK) as world:
        unready = Unready(world, "box-1")
        await world.until(at(world, Phase.OFF), within=5)
        if button:
            world.hardware("box-1").press_on()
        else:
            world.edit("box-1", {"powerState": "on"})
        await trio.sleep(14)
        assert world.phase("box-1") is Phase.BOOTING
        unready.end()
        await trio.sleep(1)
        assert world.phase("box-1") is Phase.READY
        assert world.node("box-1").status.welcomed


async def test_a_lost_machine_whose_pods_leave_later_is_rested(autojump_clock: MockClock) -> None:
    """A lost machine that shall be off is looked at again until its pods are gone, and then rested."""
    async with open_world(groups=[RACK], machines=boxes(2), autoscaler=None, site=QUICK) as world:
        await up(world, "box-1", "box-2")
        world.add_pods(1, cpu="1", nodeSelector={"kubernetes.io/hostname": "box-1"})
        await world.until(lambda: world.waiting == 0, within=10)
        world.hardware("box-1").hang()
        await world.until(at(world, Phase.LOST), within=120)
        world.edit("box-1", {"powerState": "off"})
        await trio.sleep(200)
        assert world.phase("box-1") is Phase.LOST
        world.scale(0)
        for pod in world.pods():
            if pod.spec.node_name == "box-1":
                world.site.api.delete(PODS, (pod.metadata.namespace, pod.metadata.name), grace=0)
        await world.until(at(world, Phase.POWERING_OFF), within=120)


async def test_news_that_come_during_a_look_are_not_passed_over(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the API server has answered may be older than what the watches tell meanwhile: the machine is looked at again."""
    look, looks = Decider.look, list[float]()

    async def told_meanwhile(decider: Decider, at: Looked, turn: Turn) -> Read:
        read = await look(decider, at, turn)
        if at is Looked.PLAN:
            looks.append(trio.current_time())
            if len(looks) == 5:
                life = world.agent.life
                assert life is not None
                life.core.nodes.queue.add(turn.machine.key)
        return read

    monkeypatch.setattr(Decider, "look", told_meanwhile)
    async with open_world(groups=[RACK], machines=boxes(1), autoscaler=None, site=QUICK) as world:
        await up(world)
        world.add_pods(1, cpu="1", nodeSelector={"kubernetes.io/hostname": "box-1"})
        await world.until(lambda: world.waiting == 0, within=10)
        world.edit("box-1", {"powerState": "off"})
        await world.until(lambda: len(looks) > 6, within=120)
        assert looks[4] - looks[3] > 1
        assert looks[5] - looks[4] < 0.1


@pytest.mark.parametrize("seconds", [3.0, 20.0])
async def test_a_sensor_is_read_while_something_is_waited_for(autojump_clock: MockClock, seconds: float) -> None:
    """Where a sensor reads the power, an off is noticed within seconds of its reading, or of a missed renewal."""
    async with open_world(
        groups=[RACK], machines=boxes(sensor=True, off_seconds=seconds), autoscaler=None, site=QUICK
    ) as world:
        await up(world)
        world.edit("box-1", {"powerState": "off"})
        await world.until(lambda: not world.hardware("box-1").power, within=60, every=0.1)
        await trio.sleep(max(5.0, 14.0 - seconds))
        assert world.phase("box-1") is Phase.OFF


# --- a boot that nobody wants any more -----------------------------------------------------------------


async def test_an_off_during_the_boot_is_not_lost(autojump_clock: MockClock) -> None:
    """Who takes back a wake while the machine boots finds it off in the end, though a system that still boots cannot be shut down
    in order; and nobody's off is turned into an on."""
    async with open_world(groups=[RACK], machines=boxes(boot_seconds=40.0), autoscaler=None, site=QUICK) as world:
        world.edit("box-1", {"powerState": "on"})
        await world.until(at(world, Phase.BOOTING), within=20)
        await trio.sleep(5)
        world.edit("box-1", {"powerState": "off"})
        await trio.sleep(600)
        assert world.phase("box-1") is Phase.OFF
        assert not world.hardware("box-1").power
        assert world.node("box-1").spec.power_state == "off"
        assert world.hardware("box-1").wakes <= 3


async def test_new_demand_turns_a_boot_back_that_was_taken_back(autojump_clock: MockClock) -> None:
    """A wake that was taken back and is asked for again while the machine still boots costs no power cycle."""
    async with open_world(groups=[RACK], machines=boxes(boot_seconds=40.0), autoscaler=None, site=QUICK) as world:
        await world.until(at(world, Phase.OFF), within=5)
        await world.cloud.increase_size(ID, delta=1)
        await world.until(at(world, Phase.BOOTING), within=20)
        await world.cloud.decrease_target_size(ID, delta=-1)
        await trio.sleep(5)
        await world.cloud.increase_size(ID, delta=1)
        await world.until(at(world, Phase.READY), within=50)
        assert world.hardware("box-1").offs == 0
        assert world.hardware("box-1").boots == 1


# --- cost -----------------------------------------------------------------------------------------------


@pytest.mark.long
async def test_the_cost_of_a_machine_does_not_grow_with_their_number(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Four times as many machines woken at once take no more looks at each machine than before."""
    looks = 0
    machine_of = Views.machine

    def counted(self: Views, key: Any) -> Any:
        nonlocal looks
        looks += 1
        return machine_of(self, key)

    monkeypatch.setattr(Views, "machine", counted)

    async def per_machine(count: int) -> float:
        nonlocal looks
        async with open_world(groups=[RACK], machines=boxes(count), autoscaler=None, site=QUICK) as world:
            await world.until(lambda: set(world.phases().values()) == {Phase.OFF}, within=30)
            looks = 0
            await world.cloud.increase_size(ID, delta=count)
            await world.until(lambda: set(world.phases().values()) == {Phase.READY}, within=60, every=5)
            return looks / count

    few, many = await per_machine(15), await per_machine(60)
    assert many < 2 * few


async def test_an_idle_site_costs_nothing(autojump_clock: MockClock) -> None:
    """A day in which nothing happens takes no write, and hardly a look at the API server."""
    async with open_world(groups=[RACK], machines=boxes(4), autoscaler=None, site=QUICK) as world:
        await up(world, "box-1", "box-2")
        await trio.sleep(600)
        before, written = sum(kube_of(world).calls.values()), world.site.api.version
        await trio.sleep(86_400)
        calls = {verb: count for (verb, _), count in kube_of(world).calls.items()}
        assert world.site.api.version == written, calls
        assert sum(kube_of(world).calls.values()) - before < 50


async def test_power_jobs_leave_nothing_behind(autojump_clock: MockClock) -> None:
    """After a machine came up and went down no Job and no pod of hexa's is left."""
    async with open_world(groups=[RACK], machines=boxes(), autoscaler=None, site=QUICK) as world:
        await up(world)
        world.edit("box-1", {"powerState": "off"})
        await world.until(at(world, Phase.OFF), within=60)
        await trio.sleep(5)
        assert world.site.api.find(JOBS) == []
        assert [pod for pod in world.pods() if pod.metadata.namespace == "machines"] == []
