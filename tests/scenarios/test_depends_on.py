"""Machines that must be up first: spec.dependsOn, from the wake to the rest, and what happens where it cannot be kept."""

from typing import Any

import pytest
import trio
from tests.scenarios.stage import ID, QUICK, JobWatch, at, boxes, kube_of, rack, reach, switch
from trio.testing import MockClock

from hexa.app.commands.shared.snapshot import take
from hexa.app.commands.why import MachineAnswer, explain_machine
from hexa.domain.machine.lifecycle import Phase
from hexa.domain.machine.wish import recorded_wish
from hexa.domain.names import OFF_FORBIDDEN_ANNOTATION, SCALE_DOWN_DISABLED
from hexa.domain.resources.v1alpha1 import Asker, Lookup, Power
from hexa.ports.cloud import Denied, Done, ExternalNode
from hexa.testing.world import Machine, World, group, machine, open_world

ON, OFF = Power.ON, Power.OFF


def needy(*names: str, count: int = 1, **more: Any) -> list[Machine]:
    """Machines of the rack that depend on these."""
    return boxes(count, spec={"dependsOn": list(names)}, **more)


def nas(name: str = "nas", **more: Any) -> Machine:
    """A storage box, of no group unless said otherwise."""
    return machine(name, **{"boot_seconds": 20.0, **more})


async def known(world: World) -> None:
    """hexa knows all machines, and nothing happens."""
    await world.until(lambda: Phase.UNKNOWN not in world.phases().values(), within=60)
    await trio.sleep(1)


def conditions(world: World, name: str = "box-1") -> dict[str, str]:
    """The machine's conditions that hold, and their messages."""
    return {c.type: c.message for c in world.node(name).status.conditions if c.status == "True"}


def wished(world: World, name: str) -> tuple[Power, Asker, str]:
    """The recorded wish."""
    record = recorded_wish(world.node(name))
    assert record is not None
    return record.power, record.by, record.reason


def phases(world: World, name: str) -> list[str]:
    """The phases that the machine went through."""
    return [str(entry.action) for entry in world.node(name).status.history]


# --- waking ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("by", ["cluster-autoscaler", "person", "hold"])
async def test_what_a_machine_depends_on_is_woken_first(autojump_clock: MockClock, by: str) -> None:
    """Whoever wants the machine on: the storage box is woken, by hexa and with the reason, and the machine itself not before that
    is Ready. It stays Off meanwhile, says whom it waits for, and counts for Cluster Autoscaler."""
    async with open_world(groups=[rack()], machines=[*needy("nas"), nas()], autoscaler=None, site=QUICK) as world:
        await known(world)
        jobs = JobWatch(world)
        if by == "cluster-autoscaler":
            assert await world.cloud.increase_size(ID, delta=1) == Done()
        else:
            world.edit("box-1", {"powerState": "on"} if by == "person" else {"hold": {"power": "on"}})
        await reach(world, Phase.BOOTING, "nas")
        assert world.phase("box-1") is Phase.OFF
        assert conditions(world)["DependsOn"] == "woken once nas is Ready"
        assert world.cloud.target_size(ID) == 1
        assert wished(world, "nas") == (ON, Asker.RECOVERY, "NeededBy")
        record = recorded_wish(world.node("nas"))
        assert record is not None
        assert record.needed_by == "box-1"
        await reach(world, Phase.READY)
        assert [name for name, _, _ in jobs.made] == ["nas", "box-1"]
        assert "DependsOn" not in conditions(world)


async def test_a_chain_wakes_from_its_far_end(autojump_clock: MockClock) -> None:
    """A machine that depends on a box that depends on a switch: switch, box, machine."""
    machines = [*needy("nas"), nas(spec={"dependsOn": ["switch"]}), nas("switch")]
    async with open_world(groups=[rack()], machines=machines, autoscaler=None, site=QUICK) as world:
        await known(world)
        jobs = JobWatch(world)
        assert await world.cloud.increase_size(ID, delta=1) == Done()
        await reach(world, Phase.READY)
        assert [name for name, _, _ in jobs.made] == ["switch", "nas", "box-1"]


async def test_the_wait_is_not_the_machines_failure(autojump_clock: MockClock) -> None:
    """However long the storage box takes, no deadline of the waiting machine runs."""
    machines = [*needy("nas"), nas(boot_seconds=400.0, spec={"timeouts": {"boot": "10m"}})]
    async with open_world(groups=[rack()], machines=machines, autoscaler=None, site=QUICK) as world:
        await known(world)
        assert await world.cloud.increase_size(ID, delta=1) == Done()
        await reach(world, Phase.READY, within=500)
        assert phases(world, "box-1")[-2:] == ["PoweringOn", "Ready"] or "StartFailed" not in phases(world, "box-1")
        assert world.node("box-1").status.failures == 0


async def test_a_machine_that_waits_for_nobody_is_chosen_first(autojump_clock: MockClock) -> None:
    """Of equal candidates the one whose dependencies are up, or that has none, is woken."""
    machines = [*needy("nas"), *boxes(2)[1:], nas()]
    async with open_world(groups=[rack()], machines=machines, autoscaler=None, site=QUICK) as world:
        await known(world)
        assert await world.cloud.increase_size(ID, delta=1) == Done()
        await reach(world, Phase.READY, "box-2")
        assert world.phase("nas") is Phase.OFF


async def test_a_pod_wakes_both(autojump_clock: MockClock) -> None:
    """With the reference autoscaler: a pod that only the machine has room for waits for two boots, and nobody is asked twice."""
    machines = [*needy("nas", count=2), nas(cpu="1")]
    async with open_world(groups=[rack()], machines=machines, site=QUICK) as world:
        await known(world)
        jobs = JobWatch(world)
        world.add_pods(1, cpu="2")
        waited = await world.until(lambda: world.waiting == 0, within=120)
        assert 28 <= waited <= 45
        assert [name for name, _, _ in jobs.made] == ["nas", "box-1"]


# --- resting ---------------------------------------------------------------------------------------------------


async def test_a_machine_rests_before_what_it_depends_on(autojump_clock: MockClock) -> None:
    """The storage box is refused to Cluster Autoscaler while the machine is on, in advance by the annotation; a person's off of it
    is blocked with the reason, and done once the machine is off."""
    machines = [*needy("nas"), nas(group="storage")]
    async with open_world(groups=[rack(), group("storage")], machines=machines, autoscaler=None, site=QUICK) as world:
        await known(world)
        assert await world.cloud.increase_size(ID, delta=1) == Done()
        await reach(world, Phase.READY)
        await trio.sleep(1)
        node = world.kube_node("nas")
        assert node is not None
        assert node.metadata.annotations[SCALE_DOWN_DISABLED] == "true"
        assert node.metadata.annotations[OFF_FORBIDDEN_ANNOTATION] == "NeededBy"
        denied = await world.cloud.delete_nodes("machines/storage", nodes=[ExternalNode("nas")])
        assert isinstance(denied, Denied)
        assert "box-1 depends on it and is on" in denied.message
        await switch(world, "off", "nas")
        await trio.sleep(30)
        assert world.phase("nas") is Phase.READY
        assert "box-1 depends on it" in conditions(world, "nas")["Blocked"]
        assert await world.cloud.delete_nodes(ID, nodes=[ExternalNode("box-1")]) == Done()
        await reach(world, Phase.OFF)
        await reach(world, Phase.OFF, "nas")
        assert world.node("box-1").status.history[-1].at < world.node("nas").status.history[-1].at


async def test_a_group_held_off_goes_in_order(autojump_clock: MockClock) -> None:
    """Both of one group: the machine first, then what it depends on."""
    machines = [*needy("nas"), nas(group="rack")]
    async with open_world(groups=[rack()], machines=machines, autoscaler=None, site=QUICK) as world:
        await known(world)
        await switch(world, "on")
        await reach(world, Phase.READY)
        jobs = JobWatch(world)
        world.edit_group("rack", {"hold": {"power": "off"}})
        await reach(world, Phase.OFF, "nas")
        assert [name for name, _, _ in jobs.made] == ["box-1", "nas"]


async def test_a_box_of_no_group_rests_when_nobody_needs_it(autojump_clock: MockClock) -> None:
    """Ten minutes after the last machine that depends on it went off, the box that was woken for it is switched off; one that a
    person wants on stays."""
    machines = [*needy("nas", "other"), nas(), nas("other")]
    async with open_world(groups=[rack()], machines=machines, autoscaler=None, site=QUICK) as world:
        await known(world)
        await switch(world, "on", "other")
        await reach(world, Phase.READY, "other")
        assert await world.cloud.increase_size(ID, delta=1) == Done()
        await reach(world, Phase.READY)
        assert await world.cloud.delete_nodes(ID, nodes=[ExternalNode("box-1")]) == Done()
        await reach(world, Phase.OFF)
        await trio.sleep(590)
        assert world.phase("nas") is Phase.READY
        await reach(world, Phase.OFF, "nas", within=60)
        assert wished(world, "nas") == (OFF, Asker.RECOVERY, "NotNeeded")
        assert world.phase("other") is Phase.READY


@pytest.mark.parametrize("policy", ["Adopt", "Ignore"])
async def test_a_box_that_goes_dark_is_woken_again(autojump_clock: MockClock, policy: str) -> None:
    """A machine that is on stays on, and what it depends on is brought back, also where what goes dark is left off else."""
    machines = [*needy("nas"), nas(group="storage", sensor=True)]
    storage = group("storage", onUnexpectedPower=policy)
    async with open_world(groups=[rack(), storage], machines=machines, autoscaler=None, site=QUICK) as world:
        await known(world)
        assert await world.cloud.increase_size(ID, delta=1) == Done()
        await reach(world, Phase.READY)
        world.inject({"kind": "powerLoss", "machine": "nas"})
        await world.until(lambda: world.phase("nas") is not Phase.READY, within=120)
        await reach(world, Phase.READY, "nas", within=200)
        assert "StartFailed" not in phases(world, "box-1")
        assert world.phase("box-1") is Phase.READY


# --- where it cannot come ----------------------------------------------------------------------------------------


async def test_a_dependency_that_fails_lets_the_next_candidate_take_the_place(autojump_clock: MockClock) -> None:
    """The storage box is dead: the condition says so, another machine of the group takes the place, the waiting one is not wanted
    any more, and Cluster Autoscaler sees no error."""
    machines = [*needy("nas"), machine("box-2", group="rack", boot_seconds=8.0, spec={"pricing": {"hourlyRate": 1}})]
    async with open_world(groups=[rack()], machines=[*machines, nas()], autoscaler=None, site=QUICK) as world:
        await known(world)
        world.edit("box-2", {"hold": {"power": "off"}})
        await trio.sleep(1)
        world.inject({"kind": "dead", "machine": "nas"})
        world.edit("nas", {"retries": {"attempts": 1}, "timeouts": {"boot": "30s"}})
        assert await world.cloud.increase_size(ID, delta=1) == Done()
        await trio.sleep(5)
        world.edit("box-2", {"hold": None})
        await reach(world, Phase.START_FAILED, "nas")
        await reach(world, Phase.READY, "box-2")
        assert world.phase("box-1") is Phase.OFF
        assert "nas failed to start" in conditions(world)["DependsOn"]
        assert wished(world, "box-1") == (OFF, Asker.RECOVERY, "Replaced")
        assert world.cloud.target_size(ID) == 1
        await trio.sleep(300)
        assert world.cloud.target_size(ID) == 1


async def test_with_no_other_candidate_it_is_tried_again(autojump_clock: MockClock) -> None:
    """The machine stays off and says why; when the box comes after its cool-off, it is woken."""
    machines = [*needy("nas"), nas(spec={"retries": {"attempts": 1}, "timeouts": {"boot": "30s"}})]
    async with open_world(groups=[rack()], machines=machines, autoscaler=None, site=QUICK) as world:
        await known(world)
        world.inject({"kind": "dead", "machine": "nas", "duration": 60})
        await switch(world, "on")
        await reach(world, Phase.START_FAILED, "nas")
        await trio.sleep(1)
        assert "nas failed to start" in conditions(world)["DependsOn"]
        assert world.cloud.target_size(ID) == 0
        await reach(world, Phase.READY, within=200)


@pytest.mark.parametrize(
    ("edit", "says"),
    [
        ({"hold": {"power": "off", "reason": "disks"}}, "nas cannot be woken: held off: disks"),
        ({"paused": {"reason": "BIOS"}}, "nas cannot be woken: paused: BIOS"),
        ({"startupPodSpec": None}, "nas cannot be woken: "),
    ],
)
async def test_a_box_that_may_not_be_woken_is_named(autojump_clock: MockClock, edit: dict[str, Any], says: str) -> None:
    """A hold, a pause, no way on: the machine says whom it would wait for in vain, and Cluster Autoscaler is not offered it."""
    async with open_world(groups=[rack()], machines=[*needy("nas"), nas()], autoscaler=None, site=QUICK) as world:
        await known(world)
        world.edit("nas", edit)
        await trio.sleep(1)
        assert says in conditions(world)["DependsOn"]
        assert isinstance(await world.cloud.increase_size(ID, delta=1), Denied)
        assert world.cloud.groups()[0].max_size == 0
        world.edit("nas", dict.fromkeys(edit) if "startupPodSpec" not in edit else nas().manifest["spec"])
        await trio.sleep(1)
        assert "DependsOn" not in conditions(world)
        assert await world.cloud.increase_size(ID, delta=1) == Done()
        await reach(world, Phase.READY)


async def test_a_persons_later_off_of_the_box_counts(autojump_clock: MockClock) -> None:
    """Switched off after the machine was asked for: the box stays off and the machine says so, until it is asked for again."""
    async with open_world(groups=[rack()], machines=[*needy("nas"), nas()], autoscaler=None, site=QUICK) as world:
        await known(world)
        await switch(world, "on", "nas")
        await reach(world, Phase.READY, "nas")
        await switch(world, "off", "nas")
        await reach(world, Phase.OFF, "nas")
        await switch(world, "on")
        await reach(world, Phase.BOOTING, "nas")  # asked for later: wins
        await switch(world, "off", "nas")
        await reach(world, Phase.OFF, "nas", within=300)
        await trio.sleep(5)
        assert world.phase("box-1") is Phase.OFF
        assert "nas was switched off by a person" in conditions(world)["DependsOn"]


async def test_the_maximum_of_the_boxs_group_counts(autojump_clock: MockClock) -> None:
    """No room for the storage box in its own group: it is not woken above its maximum, and comes as soon as there is room."""
    machines = [*needy("nas-1"), nas("nas-1", group="storage"), nas("nas-2", group="storage")]
    groups = [rack(), group("storage", maxSize=1)]
    async with open_world(groups=groups, machines=machines, autoscaler=None, site=QUICK) as world:
        await known(world)
        world.edit("nas-2", {"powerState": "on"})
        await reach(world, Phase.READY, "nas-2")
        await switch(world, "on")
        await trio.sleep(60)
        assert (world.phase("nas-1"), world.phase("box-1")) == (Phase.OFF, Phase.OFF)
        says = "spec.dependsOn: nas-1 has no room: Group storage has maxSize 1, and as many machines are on or coming"
        assert conditions(world)["DependsOn"] == says
        world.edit("nas-2", {"powerState": "off"})
        await reach(world, Phase.READY)


async def test_a_chain_that_its_group_has_no_room_for_is_never_begun(autojump_clock: MockClock) -> None:
    """Two of a chain are in a group of maxSize 1: those that need both are not woken, not offered to Cluster Autoscaler, and say
    why; nothing is asked of the group for them, and the one machine that can come takes its place. A greater maxSize works at once
    (found by random fault runs)."""
    machines = [
        machine("nas", group="rack", boot_seconds=8.0),
        *needy("nas"),
        machine("top", group="shelf", boot_seconds=8.0, spec={"dependsOn": ["box-1"]}),
    ]
    groups = [rack(maxSize=1), group("shelf")]
    async with open_world(groups=groups, machines=machines, autoscaler=None, site=QUICK) as world:
        await known(world)
        says = "spec.dependsOn: Group rack has maxSize 1, and box-1, nas of it must be on together; raise maxSize"
        assert says in conditions(world)["DependsOn"]
        assert says in conditions(world, "top")["DependsOn"]
        assert isinstance(await world.cloud.increase_size("machines/shelf", delta=1), Denied)
        await switch(world, "on", "top")
        await trio.sleep(60)
        assert {world.phase(name) for name in ("nas", "box-1", "top")} == {Phase.OFF}
        assert await world.cloud.increase_size(ID, delta=1) == Done()
        await reach(world, Phase.READY, "nas")
        world.edit_group("rack", {"maxSize": 2})
        await reach(world, Phase.READY, "top")
        assert "DependsOn" not in conditions(world) | conditions(world, "top")


async def test_who_needs_a_place_in_a_full_group_is_not_chosen(autojump_clock: MockClock) -> None:
    """The storage box has no room beside the other one: a machine that was asked for and needs it gives way to another, and
    Cluster Autoscaler is not offered it until there is room (found by random fault runs)."""
    other = nas("nas-2", group="storage", on=True, spec={"powerState": "on"})
    late = nas("nas-1", group="storage", sensor=True)
    free = machine("box-2", group="rack", boot_seconds=8.0, spec={"hold": {"power": "off"}})
    groups = [rack(minSize=1), group("storage", maxSize=1)]
    machines = [*needy("nas-1"), free, late, other]
    async with open_world(groups=groups, machines=machines, autoscaler=None, site=QUICK) as world:
        await trio.sleep(90)
        assert wished(world, "box-1") == (ON, Asker.RECOVERY, "MinSize")
        assert "nas-1 has no room: Group storage has maxSize 1" in conditions(world)["DependsOn"]
        world.edit("box-2", {"hold": None})
        await reach(world, Phase.READY, "box-2")
        assert wished(world, "box-1") == (OFF, Asker.RECOVERY, "Replaced")
        assert isinstance(await world.cloud.increase_size(ID, delta=1), Denied)
        world.edit("nas-2", {"powerState": "off"})
        await reach(world, Phase.OFF, "nas-2")
        assert await world.cloud.increase_size(ID, delta=1) == Done()
        await reach(world, Phase.READY)


async def test_one_place_is_not_given_to_who_needs_two(autojump_clock: MockClock) -> None:
    """The storage box of the same group goes down, and one place is left: Cluster Autoscaler's request wakes the box again, not the
    machine that would then wait for a place for the box."""
    machines = [*needy("nas"), nas(group="rack", off_seconds=20.0), machine("up", group="rack", boot_seconds=8.0)]
    async with open_world(groups=[rack(maxSize=2)], machines=machines, autoscaler=None, site=QUICK) as world:
        await known(world)
        for name in ("nas", "up"):
            await switch(world, "on", name)
            await reach(world, Phase.READY, name)
        assert await world.cloud.delete_nodes(ID, nodes=[ExternalNode("nas")]) == Done()
        await reach(world, Phase.POWERING_OFF, "nas")
        assert await world.cloud.increase_size(ID, delta=1) == Done()
        await reach(world, Phase.READY, "nas")
        assert wished(world, "nas") == (ON, Asker.CLUSTER_AUTOSCALER, "ScaleUp")
        assert world.phase("box-1") is Phase.OFF


async def test_who_waits_for_a_machine_takes_no_place_from_it(autojump_clock: MockClock) -> None:
    """A storage box and the machine that waits for it are in one group, and a third is up: the box comes, and who waits is above
    maxSize then and rests, instead of both waiting for ever for a place (found by random fault runs)."""
    machines = [*needy("nas"), nas(group="rack"), machine("up", group="rack", boot_seconds=8.0)]
    async with open_world(groups=[rack(maxSize=2)], machines=machines, autoscaler=None, site=QUICK) as world:
        await known(world)
        world.edit("nas", {"paused": {"reason": "its fan"}})
        await switch(world, "on")
        await switch(world, "on", "up")
        await reach(world, Phase.READY, "up")
        assert "nas cannot be woken: paused: its fan" in conditions(world)["DependsOn"]
        world.edit("nas", {"paused": None})
        await reach(world, Phase.READY, "nas")
        assert world.phase("up") is Phase.READY
        assert world.phase("box-1") is Phase.OFF


# --- what makes no sense -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("specs", "says"),
    [
        ({"a": ["b"], "b": ["a"]}, "spec.dependsOn: goes round in a circle: a -> b -> a"),
        ({"a": ["a"], "b": []}, "spec.dependsOn: a depends on itself; take a out of it"),
        ({"a": ["c"], "b": []}, "spec.dependsOn: c does not exist: create the Node"),
    ],
)
async def test_dependencies_that_make_no_sense(
    autojump_clock: MockClock, specs: dict[str, list[str]], says: str
) -> None:
    """A circle, itself, a name that nobody has: the machine is not woken and says why, with field and remedy; it may rest as ever,
    and what is mended works at once."""
    machines = [machine(name, group="rack", boot_seconds=8.0, spec={"dependsOn": on}) for name, on in specs.items()]
    async with open_world(groups=[rack()], machines=machines, autoscaler=None, site=QUICK) as world:
        await known(world)
        await switch(world, "on", "a")
        await trio.sleep(30)
        assert world.phase("a") is Phase.OFF
        assert says in conditions(world, "a")["DependsOn"]
        world.edit("a", {"dependsOn": []})
        await reach(world, Phase.READY, "a")
        world.edit("a", {"dependsOn": specs["a"]})
        await trio.sleep(1)
        assert says in conditions(world, "a")["DependsOn"]
        await switch(world, "off", "a")
        await reach(world, Phase.OFF, "a")


async def test_a_name_that_comes_later_is_found(autojump_clock: MockClock) -> None:
    """The Node is created after the machine that depends on it, or deleted: no restart is needed."""
    async with open_world(groups=[rack()], machines=needy("nas"), autoscaler=None, site=QUICK) as world:
        await known(world)
        assert "does not exist" in conditions(world)["DependsOn"]
        world.add_machine(nas())
        await world.until(at(world, Phase.OFF, "nas"), within=30)
        await trio.sleep(1)
        assert "DependsOn" not in conditions(world)
        assert await world.cloud.increase_size(ID, delta=1) == Done()
        await reach(world, Phase.READY)


async def test_an_exercise_wakes_no_other_machine(autojump_clock: MockClock) -> None:
    """Whoever depends on a box that is off is not woken for its proof, again and again where both have no room; once the box is up
    it is (found by random fault runs)."""
    machines = [*needy("nas"), nas()]
    async with open_world(
        groups=[rack(exerciseEvery="2h", maxSize=1)], machines=machines, autoscaler=None, site=QUICK
    ) as world:
        await known(world)
        jobs = JobWatch(world)
        await trio.sleep(86_400)
        assert jobs.made == []
        await switch(world, "on", "nas")
        await world.until(
            lambda: ("box-1", "startup") in [(name, action) for name, action, _ in jobs.made], within=86_400
        )


# --- killed between the writes -----------------------------------------------------------------------------------


@pytest.mark.parametrize("dies", [1, 2, 3, 4, 6, 8, 10])
async def test_killed_while_a_dependency_wakes(autojump_clock: MockClock, dies: int) -> None:
    """Killed after any write and started again: the same order, and one Job for each."""
    async with open_world(groups=[rack()], machines=[*needy("nas"), nas()], autoscaler=None, site=QUICK) as world:
        await known(world)
        jobs = JobWatch(world)
        world.kill_agent(after_writes=dies)
        await switch(world, "on")
        await world.agent.ended()
        await trio.sleep(1)
        await world.start_agent()
        assert kube_of(world).writes == 0
        await reach(world, Phase.READY)
        assert [name for name, _, _ in jobs.made] == ["nas", "box-1"]


# --- what a person is told ------------------------------------------------------------------------------------------


async def test_hexa_why_names_the_other_machine(autojump_clock: MockClock) -> None:
    """Of the machine that waits, whom it waits for; of the box, who needs it; and of a box that fails, that it keeps the other."""
    machines = [*needy("nas"), nas(spec={"retries": {"attempts": 1}, "timeouts": {"boot": "30s"}})]
    async with open_world(groups=[rack()], machines=machines, autoscaler=None, site=QUICK) as world:
        await known(world)

        async def why(name: str) -> MachineAnswer:
            kube = world.site.client(manager="person")
            answer = await explain_machine(
                kube, await take(kube, clock=world.site.clock, namespace=None), Lookup("machines", name)
            )
            assert isinstance(answer, MachineAnswer)
            return answer

        world.inject({"kind": "dead", "machine": "nas", "duration": 60})
        await switch(world, "on")
        await reach(world, Phase.BOOTING, "nas")
        waits = await why("box-1")
        assert "nas to be Ready, which it depends on (spec.dependsOn)" in [wait.text for wait in waits.waits]
        needed = await why("nas")
        assert needed.wishes[0].reason == "NeededBy"
        assert [reason.text for reason in needed.kept_on] == ["box-1 depends on it and is wanted on: rest that first"]
        await reach(world, Phase.START_FAILED, "nas")
        stranded = await why("box-1")
        assert [reason.rule for reason in stranded.kept_from_waking] == ["DependsOn"]
        assert "DependsOn stands against it: spec.dependsOn: nas failed to start" in stranded.summary
