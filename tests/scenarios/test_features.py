"""What people rely on beside the plain way up and down: holds, pauses, GitOps, first sight, replacements, drains of hexa's own."""

import json
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
import trio
from tests.scenarios.stage import ID, QUICK, JobWatch, boxes, loaded, rack, reach, switch, up
from trio.testing import MockClock

from hexa.domain.machine.lifecycle import Phase
from hexa.domain.machine.wish import recorded_wish
from hexa.domain.names import GROUP_LABEL, WISH_ANNOTATION
from hexa.domain.resources.core import CLAIMS, NODES, VOLUMES
from hexa.domain.resources.v1alpha1 import MACHINES, Asker, Power
from hexa.ports.cloud import Done, ExternalNode, InstanceState
from hexa.testing.world import Machine, World, group, machine, open_world

SHORT_DRAIN = {"timeouts": {"drain": "30s"}}


def conditions(world: World, name: str = "box-1") -> dict[str, str]:
    """The machine's conditions that hold, and their messages."""
    return {c.type: c.message for c in world.node(name).status.conditions if c.status == "True"}


def wished(world: World, name: str = "box-1") -> tuple[Power, Asker]:
    """The recorded wish."""
    record = recorded_wish(world.node(name))
    assert record is not None
    return record.power, record.by


async def known(world: World) -> None:
    """hexa knows all machines."""
    await world.until(lambda: Phase.UNKNOWN not in world.phases().values(), within=60)
    await trio.sleep(1)


# --- first sight --------------------------------------------------------------------------------------


@pytest.mark.parametrize("sensor", [False, True])
async def test_first_sight_switches_nothing(autojump_clock: MockClock, sensor: bool) -> None:
    """Installed (or restored from a backup) over machines that run, that are off, and that are off with a node left: hexa adopts
    what it finds, and for a day no machine is switched and no node removed."""
    machines = [
        machine(name, group="rack", on=on, sensor=sensor) for name, on in (("a", True), ("b", False), ("c", True))
    ]
    async with open_world(groups=[rack()], machines=machines, autoscaler=None, agent=False) as world:
        await trio.sleep(30)
        world.hardware("c").lose_power()
        await trio.sleep(120)
        power = {name: world.hardware(name).power for name in "abc"}
        await world.start_agent()
        await trio.sleep(86_400)
        assert {name: world.hardware(name).power for name in "abc"} == power
        assert world.site.report().wakes == 0
        assert (world.phase("a"), world.phase("b"), world.phase("c")) == (Phase.READY, Phase.OFF, Phase.OFF)
        assert world.kube_node("a") is not None
        assert (world.kube_node("c") is None) == sensor
        assert {name: wished(world, name)[1] for name in "abc"} == dict.fromkeys("abc", Asker.RECOVERY)
        assert {name: world.node(name).spec.power_state for name in "abc"} == dict.fromkeys("abc")


async def test_enough_machines_that_are_on_are_seen_before_another_is_woken_for_min_size(
    autojump_clock: MockClock,
) -> None:
    """Installed over a group of which as many run as minSize asks for: the ones that are off stay off."""
    machines = [machine(f"box-{i}", group="rack", on=i > 4, sensor=i % 2 == 0) for i in range(1, 9)]
    async with open_world(groups=[rack(minSize=4)], machines=machines, autoscaler=None, agent=False) as world:
        await trio.sleep(30)
        await world.start_agent()
        await trio.sleep(3600)
        assert world.site.report().wakes == 0
        assert [world.phase(f"box-{i}") for i in range(1, 9)] == [Phase.OFF] * 4 + [Phase.READY] * 4


async def test_a_node_found_off_is_marked_with_its_cordon(autojump_clock: MockClock) -> None:
    """The node of a machine that lost its power gets its group's label, its providerID and hexa's cordon in one write:
    there is no moment at which Cluster Autoscaler sees a member that takes pods."""
    async with open_world(
        groups=[rack()], machines=[machine("a", group="rack", on=True)], autoscaler=None, agent=False
    ) as world:
        await trio.sleep(30)
        world.hardware("a").lose_power()
        await trio.sleep(120)
        listing = await world.kube.list(NODES)
        await world.start_agent()
        await trio.sleep(300)
        seen = []
        async with world.kube.watch(NODES, since=listing.resource_version) as changes:
            with trio.move_on_after(1):
                async for change in changes:
                    seen.append(change.object)  # noqa: PERF401
        marked = [node for node in seen if GROUP_LABEL in node.metadata.labels]
        assert marked
        assert all(node.spec.unschedulable and node.spec.provider_id for node in marked)


def restored(name: str, *, on: bool, by: Asker) -> Machine:
    """A machine whose Node comes from a backup without its status: what was wanted when it was taken is not what is."""
    was = "off" if on else "on"
    made = machine(name, group="rack", on=on, boot_seconds=8.0, spec={"powerState": was})
    record = {"power": was, "by": by, "reason": "Asked", "since": "2026-01-01T00:00:00Z", "spec": was}
    made.manifest["metadata"]["annotations"] = {WISH_ANNOTATION: json.dumps(record)}
    return made


@pytest.mark.parametrize("by", [Asker.CLUSTER_AUTOSCALER, Asker.RECOVERY])
async def test_a_backup_switches_nothing_that_a_program_had_asked_for(autojump_clock: MockClock, by: Asker) -> None:
    """Restored without their status, machines stay as they are, with whatever runs on them; who wants other ones asks anew."""
    machines = [restored("a", on=True, by=by), restored("b", on=False, by=by)]
    async with open_world(groups=[rack()], machines=machines, autoscaler=None, site=QUICK) as world:
        await trio.sleep(3600)
        assert (world.phase("a"), world.phase("b")) == (Phase.READY, Phase.OFF)
        assert world.site.report().wakes == 0
        assert {name: wished(world, name) for name in "ab"} == {
            "a": (Power.ON, Asker.RECOVERY),
            "b": (Power.OFF, Asker.RECOVERY),
        }
        await switch(world, "off", "a")
        await reach(world, Phase.OFF, "a", within=300)


@pytest.mark.parametrize("value", ["on", True])
async def test_first_sight_acts_on_an_explicit_power_state_that_differs(autojump_clock: MockClock, value: Any) -> None:
    """Only what powerState asks in so many words is acted on, as a string or as the boolean that YAML makes of it."""
    machines = [machine(name, group="rack", boot_seconds=8.0, spec={"powerState": value}) for name in "ab"]
    machines.append(machine("c", group="rack", on=True, spec={"powerState": "on" if value is True else True}))
    async with open_world(groups=[rack()], machines=machines, autoscaler=None, site=QUICK) as world:
        await trio.sleep(120)
        assert set(world.phases().values()) == {Phase.READY}
        assert world.site.report().wakes == 2


# --- holds and pauses -----------------------------------------------------------------------------------


async def test_a_hold_beats_everybody_until_it_ends(autojump_clock: MockClock) -> None:
    """A machine held on is woken, and neither Cluster Autoscaler nor a person's powerState rests it; when the hold ends, what was
    wished beneath it counts again, without anybody's write."""
    async with open_world(groups=[rack()], machines=boxes(2), autoscaler=None, site=QUICK) as world:
        await known(world)
        until = (world.now + timedelta(seconds=600)).isoformat()
        world.edit("box-1", {"hold": {"power": "on", "until": until, "reason": "demo"}})
        await reach(world, Phase.READY)
        await switch(world, "off")
        await trio.sleep(400)
        assert world.phase("box-1") is Phase.READY
        assert "demo" in conditions(world)["Hold"]
        await world.until(lambda: world.phase("box-1") is Phase.OFF, within=400)
        assert "Hold" not in conditions(world)


async def test_a_hold_on_the_group_keeps_all_its_machines_off(autojump_clock: MockClock) -> None:
    """Held off, running machines are drained and rested, requests are refused, and minSize waits; after the hold it is made up."""
    async with open_world(groups=[rack(minSize=1)], machines=boxes(2), autoscaler=None, site=QUICK) as world:
        await world.until(lambda: Phase.READY in world.phases().values(), within=60)
        world.edit_group("rack", {"hold": {"power": False, "reason": "holidays"}})
        await world.until(lambda: set(world.phases().values()) == {Phase.OFF}, within=120)
        assert await world.cloud.increase_size(ID, delta=1) != Done()
        await trio.sleep(3600)
        assert set(world.phases().values()) == {Phase.OFF}
        world.edit_group("rack", {"hold": None})
        await world.until(lambda: Phase.READY in world.phases().values(), within=60)


@pytest.mark.parametrize("phase", [Phase.OFF, Phase.BOOTING, Phase.READY, Phase.DRAINING])
async def test_a_paused_machine_is_only_watched(autojump_clock: MockClock, phase: Phase) -> None:
    """Paused in any phase, no Job is made, no pod evicted and no deadline passes; what happens by itself is followed; and when
    the pause ends, work goes on where it stood."""
    async with open_world(groups=[rack(**SHORT_DRAIN)], machines=boxes(2), autoscaler=None, site=QUICK) as world:
        if phase is Phase.DRAINING:
            await loaded(world, budget={"minAvailable": 1})
            await switch(world, "off")
            await reach(world, Phase.DRAINING)
        elif phase is Phase.READY:
            await up(world)
        elif phase is Phase.BOOTING:
            world.inject({"kind": "noJoin", "machine": "box-1"})
            await switch(world, "on")
            await reach(world, Phase.BOOTING)
        else:
            await known(world)
        world.edit("box-1", {"paused": {"reason": "new fans"}})
        await trio.sleep(1)
        jobs = JobWatch(world)
        await switch(world, "on" if phase in (Phase.OFF, Phase.BOOTING) else "off")
        await trio.sleep(3600)
        assert world.phase("box-1") is phase
        assert jobs.made == []
        assert "new fans" in conditions(world)["Paused"]
        if phase is Phase.BOOTING:
            world.hardware("box-1").reboot()
            await reach(world, Phase.READY, within=30)
        if phase is Phase.DRAINING:
            world.scale(0)
        world.edit("box-1", {"paused": None})
        await reach(world, Phase.READY if phase in (Phase.OFF, Phase.BOOTING) else Phase.OFF, within=400)


# --- GitOps ---------------------------------------------------------------------------------------------


async def test_a_power_state_that_gitops_owns_is_never_written(autojump_clock: MockClock) -> None:
    """A manager that re-applies powerState: on each ten seconds, while Cluster Autoscaler wants the machine off: it rests once,
    hexa writes neither the field nor a second Job, and says who owns it; when the value changes in git, that is a new wish."""
    (box,) = boxes(1)
    owned = {**box.manifest, "spec": {**box.manifest["spec"], "powerState": "on"}}
    async with open_world(groups=[rack()], machines=[], autoscaler=None, site=QUICK) as world:
        world.site.add_machine(box.name, **box.hardware)

        async def flux(manifest: dict[str, Any], *, times: int) -> None:
            for _ in range(times):
                world.site.api.apply(MACHINES, manifest, manager="kustomize-controller")
                await trio.sleep(10)

        await flux(owned, times=3)
        await reach(world, Phase.READY)
        jobs = JobWatch(world)
        assert await world.cloud.delete_nodes(ID, nodes=[ExternalNode("box-1")]) == Done()
        await flux(owned, times=60)
        assert world.phase("box-1") is Phase.OFF
        assert jobs.of("box-1") == ["shutdown"]
        assert world.node("box-1").spec.power_state == "on"
        assert wished(world) == (Power.OFF, Asker.CLUSTER_AUTOSCALER)
        assert "kustomize-controller" in conditions(world)["PowerStateManagedBy"]
        off = {**owned, "spec": {**owned["spec"], "powerState": "off"}}
        await flux(off, times=2)
        assert wished(world) == (Power.OFF, Asker.USER)
        await flux(owned, times=6)
        assert world.phase("box-1") is Phase.READY
        assert wished(world) == (Power.ON, Asker.USER)


# --- wishes -------------------------------------------------------------------------------------------


async def test_the_last_word_counts_between_a_person_and_cluster_autoscaler(autojump_clock: MockClock) -> None:
    """Edits of powerState and Cluster Autoscaler's wishes rank alike: the last change wins, and the status says who asked."""
    async with open_world(groups=[rack()], machines=boxes(2), autoscaler=None, site=QUICK) as world:
        await up(world)
        assert await world.cloud.delete_nodes(ID, nodes=[ExternalNode("box-1")]) == Done()
        assert world.node("box-1").spec.power_state == "off"
        await trio.sleep(0.5)
        await switch(world, "on")
        await trio.sleep(120)
        assert world.phase("box-1") is Phase.READY
        status = world.node("box-1").status.wish
        assert status is not None
        assert (status.power, status.by) == (Power.ON, Asker.USER)


async def test_new_demand_turns_a_drain_back(autojump_clock: MockClock) -> None:
    """A machine that drains is the first to be asked: it stays, uncordoned, without a power cycle, and its taint is gone."""
    async with open_world(groups=[rack()], machines=boxes(3), autoscaler=None, site=QUICK) as world:
        await loaded(world, budget={"minAvailable": 1})
        assert await world.cloud.delete_nodes(ID, nodes=[ExternalNode("box-1")]) == Done()
        await reach(world, Phase.DRAINING)
        await trio.sleep(5)
        assert await world.cloud.increase_size(ID, delta=1) == Done()
        await reach(world, Phase.READY, within=5)
        await trio.sleep(1)
        node = world.kube_node("box-1")
        assert node is not None
        assert not node.spec.unschedulable
        assert node.spec.taints == ()
        assert (world.site.report().wakes, world.site.report().offs) == (1, 0)


async def test_a_persons_off_drains_first(autojump_clock: MockClock) -> None:
    """powerState: off on a machine that runs pods under a budget: they move one by one, and only then the power goes."""
    async with open_world(groups=[rack()], machines=boxes(2), autoscaler=None, site=QUICK) as world:
        await up(world)
        world.add_pods(3, cpu="1")
        world.add_budget(minAvailable=2)
        await up(world, "box-2")
        await world.until(lambda: world.waiting == 0, within=10)
        await switch(world, "off")
        await reach(world, Phase.OFF)
        assert world.site.report().pods_killed == 0
        running = [pod for pod in world.pods(phase="Running") if pod.metadata.namespace == "default"]
        assert {pod.spec.node_name for pod in running} == {"box-2"}
        assert len(running) == 3


# --- what blocks hexa's own drains ------------------------------------------------------------------------


async def bare(world: World) -> None:
    """A pod that no controller brings back."""
    world.site.add_pod("alone")


async def empty_dir(world: World) -> None:
    """A pod with scratch data."""
    world.add_pods(1, name="alone", volumes=[{"name": "scratch", "emptyDir": {}}])


async def pinned(world: World) -> None:
    """A pod whose volume is on the machine's own disk."""
    world.site.api.create(VOLUMES, {"metadata": {"name": "disk"}, "spec": {"local": {"path": "/data"}}})
    claim = {"metadata": {"name": "data", "namespace": "default"}, "spec": {"volumeName": "disk"}}
    world.site.api.create(CLAIMS, claim)
    volume = {"name": "data", "persistentVolumeClaim": {"claimName": "data"}}
    world.add_pods(1, name="alone", volumes=[volume])


async def no_room(world: World) -> None:
    """A pod that fits nowhere else."""
    world.add_pods(1, name="alone", cpu="3")


BLOCKERS: dict[str, tuple[Any, dict[str, Any], str]] = {
    "bare": (bare, {"allowBare": True}, "no controller would bring it back"),
    "emptyDir": (empty_dir, {"deleteEmptyDir": True}, "it has emptyDir data"),
    "pinned": (pinned, {"allowPinned": True}, "volume default/data is tied to the machine"),
    "noRoom": (no_room, {"force": True}, "it fits on no other node"),
}


@pytest.mark.parametrize("kind", BLOCKERS)
async def test_what_blocks_a_drain_of_hexas_own(autojump_clock: MockClock, kind: str) -> None:
    """A pod without controller, with emptyDir data, with a pinned volume, or without room elsewhere keeps its machine on: it is
    named, nothing is evicted, and at the deadline the drain is given up."""
    put, _, text = BLOCKERS[kind]
    async with open_world(groups=[rack(**SHORT_DRAIN)], machines=boxes(2), autoscaler=None, site=QUICK) as world:
        await up(world)
        await put(world)
        await world.until(lambda: world.waiting == 0, within=10)
        if kind != "noRoom":
            await up(world, "box-2")
        await switch(world, "off")
        await reach(world, Phase.DRAINING)
        await trio.sleep(10)
        assert text in conditions(world)["Blocked"]
        assert "alone" in conditions(world)["Blocked"]
        await reach(world, Phase.READY)
        await trio.sleep(1)
        assert [pod.spec.node_name for pod in world.pods(phase="Running") if "alone" in pod.metadata.name] == ["box-1"]
        node = world.kube_node("box-1")
        assert node is not None
        assert not node.spec.unschedulable


@pytest.mark.parametrize("kind", BLOCKERS)
async def test_what_the_group_allows_does_not_block(autojump_clock: MockClock, kind: str) -> None:
    """Each kind of blocker is allowed by a setting of the group's drain (what has no room, by force at the deadline)."""
    put, allowed, _ = BLOCKERS[kind]
    async with open_world(
        groups=[rack(drain=allowed, **SHORT_DRAIN)], machines=boxes(2), autoscaler=None, site=QUICK
    ) as world:
        await up(world)
        await put(world)
        await world.until(lambda: world.waiting == 0, within=10)
        if kind != "noRoom":
            await up(world, "box-2")
        await switch(world, "off")
        await reach(world, Phase.OFF)
        assert world.hardware("box-1").offs == 1


async def test_what_blocks_is_forgotten_when_it_is_gone(autojump_clock: MockClock) -> None:
    """A blocker that leaves during the drain lets it end, and is not told any more."""
    async with open_world(groups=[rack()], machines=boxes(2), autoscaler=None, site=QUICK) as world:
        await up(world)
        world.site.add_pod("alone", run=60)
        await world.until(lambda: world.waiting == 0, within=10)
        await switch(world, "off")
        await reach(world, Phase.DRAINING)
        await trio.sleep(5)
        assert "alone" in conditions(world)["Blocked"]
        await reach(world, Phase.OFF)
        assert "Blocked" not in conditions(world)


# --- wakes that do not work ---------------------------------------------------------------------------------


async def test_a_lost_wake_costs_one_wake_interval(autojump_clock: MockClock) -> None:
    """A magic packet that gets lost is sent again one wake interval later (12 s here), and the machine boots then."""
    async with open_world(groups=[rack()], machines=boxes(2), autoscaler=None, site=QUICK) as world:
        await known(world)
        jobs = JobWatch(world)
        world.inject({"kind": "lostWake", "machine": "box-1"})
        assert await world.cloud.increase_size(ID, delta=1) == Done()
        took = await reach(world, Phase.READY)
        assert 21 <= took <= 22.5
        assert jobs.made == [("box-1", "startup", "1"), ("box-1", "startup", "2")]


@pytest.mark.parametrize(("sensor", "deadline"), [(False, 1.2 + 72), (True, 36)])
async def test_failure_9_a_dead_machine_is_replaced(autojump_clock: MockClock, sensor: bool, deadline: float) -> None:
    """A machine that never comes is replaced one boot deadline after its Job's end, or one powerOn deadline after its wake where
    its power is read; Cluster Autoscaler sees a target that never changes, and no error."""
    machines = [*boxes(1, sensor=sensor), *boxes(3)[1:]]
    async with open_world(groups=[rack()], machines=machines, autoscaler=None, site=QUICK) as world:
        await known(world)
        world.inject({"kind": "dead", "machine": "box-1"})
        assert await world.cloud.increase_size(ID, delta=1) == Done()
        start = world.now
        seen = set()
        while world.phase("box-2") is not Phase.READY:
            instances = world.cloud.instances(ID)
            assert isinstance(instances, list)
            seen |= {(world.cloud.target_size(ID), each.error is None) for each in instances}
            await trio.sleep(0.25)
            assert (world.now - start).total_seconds() < deadline + 15
        took = (world.now - start).total_seconds()
        assert deadline + 9 <= took <= deadline + 11
        assert seen == {(1, True)}
        assert world.hardware("box-1").wakes == 3
        assert world.phase("box-3") is Phase.OFF


@pytest.mark.long
async def test_a_machine_that_joins_never_is_quarantined_and_comes_back_by_itself(autojump_clock: MockClock) -> None:
    """A machine that is replaced again and again is tried later and later, chosen last, and is healthy again after a good boot."""
    async with open_world(groups=[rack()], machines=boxes(1), autoscaler=None, site=QUICK) as world:
        world.inject({"kind": "dead", "machine": "box-1", "duration": 3000})
        await switch(world, "on")
        await trio.sleep(2500)
        tries = [line.at for line in world.journal.lines if line.fields.get("phase") == Phase.START_FAILED]
        gaps = [(after - before).total_seconds() for before, after in pairwise(tries)]
        assert gaps == sorted(gaps)
        assert gaps[-1] > 2 * gaps[0]
        assert world.node("box-1").status.health == "degraded"
        await reach(world, Phase.READY, within=4000)
        assert world.node("box-1").status.failures == 0
        assert world.node("box-1").status.health == "healthy"


@pytest.mark.parametrize("full", [False, True])
async def test_failure_8_a_replaced_machine_that_comes_late(autojump_clock: MockClock, full: bool) -> None:
    """A machine that arrives after its place was taken stays while the group has room, and is rested in the ordinary way when the
    group is at its maximum."""
    group = rack(**({"maxSize": 1} if full else {}))
    machines = [*boxes(1, boot_seconds=100.0), *boxes(3)[1:]]
    async with open_world(groups=[group], machines=machines, autoscaler=None, site=QUICK) as world:
        await known(world)
        assert await world.cloud.increase_size(ID, delta=1) == Done()
        await reach(world, Phase.READY, "box-2", within=200)
        await world.until(lambda: world.node("box-1").status.last_startup_time is not None, within=60)
        await trio.sleep(600)
        assert world.phase("box-1") is (Phase.OFF if full else Phase.READY)
        assert world.phase("box-2") is Phase.READY
        assert world.cloud.target_size(ID) == (1 if full else 2)
        assert world.site.report().pods_killed == 0
        assert world.node("box-1").status.failures == 0


async def test_with_nobody_left_cluster_autoscaler_is_told_why(autojump_clock: MockClock) -> None:
    """When the last machine fails its Instance carries the error in so many words, and Cluster Autoscaler gives it up."""
    async with open_world(groups=[rack()], machines=boxes(1), site=QUICK) as world:
        world.inject({"kind": "dead", "machine": "box-1"})
        world.add_pods(1, cpu="2")
        await reach(world, Phase.START_FAILED)
        instances = world.cloud.instances(ID)
        assert isinstance(instances, list)
        assert [each.state for each in instances] == [InstanceState.CREATING]
        assert instances[0].error is not None
        assert "no Ready node within its limits after 3 wakes" in instances[0].error.message
        await trio.sleep(15)
        assert world.autoscaler is not None
        assert world.autoscaler.decisions[-1].what == "DeleteFailedInstance"
        assert wished(world) == (Power.OFF, Asker.CLUSTER_AUTOSCALER)
        assert world.cloud.instances(ID) == []


# --- limits ---------------------------------------------------------------------------------------------


async def test_a_raised_minimum_wakes_and_a_lowered_maximum_rests(autojump_clock: MockClock) -> None:
    """hexa itself follows both limits, and the pods of what it rests move first."""
    async with open_world(groups=[rack()], machines=boxes(4), autoscaler=None, site=QUICK) as world:
        await known(world)
        world.edit_group("rack", {"minSize": 3})
        await world.until(lambda: list(world.phases().values()).count(Phase.READY) == 3, within=60)
        world.add_pods(3, cpu="1")
        await world.until(lambda: world.waiting == 0, within=10)
        world.edit_group("rack", {"minSize": 0, "maxSize": 1})
        await world.until(lambda: list(world.phases().values()).count(Phase.READY) == 1, within=120)
        await trio.sleep(120)
        assert list(world.phases().values()).count(Phase.OFF) == 3
        assert world.waiting == 0
        assert world.site.report().pods_killed == 0


async def test_two_groups_do_not_disturb_each_other(autojump_clock: MockClock) -> None:
    """Machines of one group neither wake nor rest for the other."""
    other = [machine("x", group="other", boot_seconds=8.0), machine("y", group="other", boot_seconds=8.0)]
    async with open_world(
        groups=[rack(), group("other", minSize=1)], machines=[*boxes(2), *other], autoscaler=None, site=QUICK
    ) as world:
        await known(world)
        assert await world.cloud.increase_size(ID, delta=1) == Done()
        await trio.sleep(60)
        mine, others = [name for name, phase in world.phases().items() if phase is Phase.READY]
        assert mine == "box-1"
        assert others in ("x", "y")  # minSize is served by the one that is known first
        shown = world.cloud.instances("machines/other")
        assert isinstance(shown, list)
        assert [(each.id, each.state) for each in shown] == [(f"hexa://machines/{others}", InstanceState.RUNNING)]
