"""Wake proof: of the machines that hexa has not shown to wake one at a time may be off, and exercise keeps the proof fresh."""

from itertools import pairwise
from typing import Any

import pytest
import trio
from tests.scenarios.stage import ID, QUICK, JobWatch, boxes, rack, reach, switch, up
from trio.testing import MockClock

from hexa.domain.machine.lifecycle import FAILED, ON_PHASES, Phase
from hexa.domain.machine.wish import recorded_wish
from hexa.domain.names import CA_TO_BE_DELETED_TAINT, OFF_FORBIDDEN_ANNOTATION, SCALE_DOWN_DISABLED
from hexa.domain.resources.core import NODES
from hexa.domain.resources.v1alpha1 import Asker, Power
from hexa.ports.cloud import Denied, Done, ExternalNode
from hexa.ports.journal import Severity
from hexa.testing.autoscaler import Settings
from hexa.testing.world import World, machine, open_world

EAGER = Settings(scale_down_unneeded_time=60, scale_down_delay_after_add=60)
LOST_WAKES: dict[str, Any] = {"kind": "lostWake", "count": 1000}


def wakeable(world: World, name: str = "box-1") -> tuple[str, str]:
    """Status and reason of the condition Wakeable."""
    return next((c.status, c.reason) for c in world.node(name).status.conditions if c.type == "Wakeable")


def in_phase(world: World, phase: Phase) -> list[str]:
    """Machines that are there."""
    return sorted(name for name, each in world.phases().items() if each is phase)


def alert(world: World) -> str:
    """What the group's condition WakeProof says; empty: it does not stand."""
    return next((c.message for c in world.group("rack").status.conditions if c.type == "WakeProof"), "")


class DrainWatch:
    """Every Kubernetes node that Cluster Autoscaler ever began to remove."""

    def __init__(self, world: World) -> None:
        self.begun: set[str] = set()
        world.site.api.listen(NODES, self._changed)

    def _changed(self, event: Any) -> None:
        raw = event.stored.raw
        if any(taint["key"] == CA_TO_BE_DELETED_TAINT for taint in (raw.get("spec") or {}).get("taints") or ()):
            self.begun.add(raw["metadata"]["name"])


async def test_failure_2_of_six_machines_with_broken_wake_on_lan_one_goes_dark(autojump_clock: MockClock) -> None:
    """Six idle machines whose wakes all get lost: one goes dark, five stay on and are never drained in vain, and an alert says
    why. When the one is needed and does not come, the alert says so, and still no other goes."""
    async with open_world(groups=[rack()], machines=boxes(6, on=True), autoscaler=EAGER, site=QUICK) as world:
        drains = DrainWatch(world)
        world.inject(LOST_WAKES)
        await world.until(lambda: in_phase(world, Phase.OFF), within=900)
        (dark,) = in_phase(world, Phase.OFF)
        await trio.sleep(3600)
        assert in_phase(world, Phase.OFF) == [dark]
        assert len(in_phase(world, Phase.READY)) == 5
        assert drains.begun == {dark}
        for name in in_phase(world, Phase.READY):
            node = world.kube_node(name)
            assert node is not None
            assert node.metadata.annotations[SCALE_DOWN_DISABLED] == "true"
            assert node.metadata.annotations[OFF_FORBIDDEN_ANNOTATION] == "WakeProof"
            assert wakeable(world, name) == ("Unknown", "NotWoken")
        assert alert(world).startswith(f"5 of 6 machines may not rest: {dark} is put off and was not woken since")
        warnings = [told for told in world.journal.events if told.severity is Severity.WARNING]
        assert any(told.about.name == "rack" and told.message.startswith("5 of 6") for told in warnings)
        assert await world.cloud.increase_size(ID, delta=1) == Done()
        await reach(world, Phase.START_FAILED, dark, within=600)
        await trio.sleep(3600)
        assert len(in_phase(world, Phase.READY)) == 5
        assert wakeable(world, dark) == ("False", "WakeFailed")
        assert f"{dark} went off and does not wake" in alert(world)


@pytest.mark.long
async def test_the_next_machine_may_rest_once_the_one_has_woken(autojump_clock: MockClock) -> None:
    """Machines that wake are proven one after the other: after each wake one more may rest with those that are proven."""
    async with open_world(groups=[rack()], machines=boxes(3, on=True), autoscaler=EAGER, site=QUICK) as world:
        for resting in (1, 2, 3):
            await world.until(lambda most=resting: len(in_phase(world, Phase.OFF)) == most, within=900)
            await trio.sleep(600)
            assert len(in_phase(world, Phase.OFF)) == resting
            assert bool(alert(world)) is (resting < 3)
            woken = in_phase(world, Phase.OFF)
            await switch(world, "on", *woken)
            await world.until(lambda: len(in_phase(world, Phase.READY)) == 3, within=120)
            assert [wakeable(world, name) for name in woken] == [("True", "Woken")] * resting
            assert not alert(world)


async def test_a_persons_off_needs_no_proof(autojump_clock: MockClock) -> None:
    """spec.powerState and a hold put off as many machines as a person likes; one that was put off so keeps no other on."""
    async with open_world(groups=[rack()], machines=boxes(4, on=True), autoscaler=None, site=QUICK) as world:
        await world.until(lambda: len(in_phase(world, Phase.READY)) == 4, within=60)
        await switch(world, "off", "box-1", "box-2")
        world.edit("box-3", {"hold": {"power": "off"}})
        await world.until(lambda: in_phase(world, Phase.OFF) == ["box-1", "box-2", "box-3"], within=120)
        assert await world.cloud.delete_nodes(ID, nodes=[ExternalNode("box-4")]) == Done()
        await reach(world, Phase.OFF, "box-4")


@pytest.mark.parametrize(("word", "tells"), [("Warn", True), ("Ignore", False)])
async def test_a_group_may_do_without_proof(autojump_clock: MockClock, word: str, tells: bool) -> None:
    """With Warn and Ignore all idle machines rest; Warn tells that nobody knows whether they come back."""
    machines = boxes(3, on=True)
    async with open_world(groups=[rack(wakeProof=word)], machines=machines, autoscaler=EAGER, site=QUICK) as world:
        await world.until(lambda: len(in_phase(world, Phase.OFF)) == 3, within=900)
        await trio.sleep(5)
        assert bool(alert(world)) is tells
        assert any(c.type == "Wakeable" for c in world.node("box-1").status.conditions) is tells


async def test_machines_found_off_keep_no_other_on(autojump_clock: MockClock) -> None:
    """Machines that were off when hexa first saw them are not proven, and that was not hexa's doing: one of the others may rest."""
    machines = [*boxes(3), *boxes(6, on=True)[3:]]
    async with open_world(groups=[rack()], machines=machines, autoscaler=EAGER, site=QUICK) as world:
        await world.until(lambda: len(in_phase(world, Phase.OFF)) == 4, within=900)
        await trio.sleep(900)
        assert len(in_phase(world, Phase.READY)) == 2


async def test_two_machines_asked_off_at_once(autojump_clock: MockClock) -> None:
    """Of unproven machines that are deleted in the same moment one goes; a request that names two of them is denied as a whole."""
    async with open_world(groups=[rack()], machines=boxes(3, on=True), autoscaler=None, site=QUICK) as world:
        await world.until(lambda: len(in_phase(world, Phase.READY)) == 3, within=60)
        both = await world.cloud.delete_nodes(ID, nodes=[ExternalNode("box-1"), ExternalNode("box-2")])
        assert isinstance(both, Denied)
        assert both.reason == "WakeProof"
        answers = list[Any]()

        async def delete(name: str) -> None:
            answers.append(await world.cloud.delete_nodes(ID, nodes=[ExternalNode(name)]))

        async with trio.open_nursery() as nursery:
            for name in world.phases():
                nursery.start_soon(delete, name)
        assert sorted(type(answer).__name__ for answer in answers) == ["Denied", "Denied", "Done"]
        await trio.sleep(300)
        assert len(in_phase(world, Phase.OFF)) == 1


async def test_a_lowered_maximum_rests_one_unproven_machine(autojump_clock: MockClock) -> None:
    """hexa's own rests keep the rule too: after a lowered maxSize one goes, and the next once that one has woken."""
    async with open_world(groups=[rack()], machines=boxes(3, on=True), autoscaler=None, site=QUICK) as world:
        await world.until(lambda: len(in_phase(world, Phase.READY)) == 3, within=60)
        world.edit_group("rack", {"maxSize": 1})
        await trio.sleep(600)
        assert len(in_phase(world, Phase.OFF)) == 1


async def test_failure_2_a_machine_that_somebody_switched_on_is_not_proven_any_more(autojump_clock: MockClock) -> None:
    """A network card may lose its wake flag when mains comes back or at a manual boot: the proof of before ends with it."""
    async with open_world(groups=[rack()], machines=boxes(1), autoscaler=None, site=QUICK) as world:
        await up(world)
        assert wakeable(world) == ("True", "Woken")
        await switch(world, "off")
        await reach(world, Phase.OFF)
        assert wakeable(world) == ("True", "Woken")
        world.inject({"kind": "buttonOn", "machine": "box-1"})
        await reach(world, Phase.READY)
        assert wakeable(world) == ("Unknown", "NotWoken")


async def test_failure_2_a_proof_ages(autojump_clock: MockClock) -> None:
    """A machine that was last woken longer ago than wakeProofLasts counts as unproven, without any news of it."""
    machines = boxes(2)
    async with open_world(groups=[rack(wakeProofLasts="48h")], machines=machines, autoscaler=None, site=QUICK) as world:
        await up(world, "box-1", "box-2")
        assert await world.cloud.delete_nodes(ID, nodes=[ExternalNode("box-1")]) == Done()
        await reach(world, Phase.OFF)
        await trio.sleep(49 * 3600)
        assert wakeable(world, "box-2") == ("False", "ProofAged")
        node = world.kube_node("box-2")
        assert node is not None
        assert node.metadata.annotations[OFF_FORBIDDEN_ANNOTATION] == "WakeProof"
        await up(world, "box-1")
        node = world.kube_node("box-2")
        assert node is not None
        assert OFF_FORBIDDEN_ANNOTATION not in node.metadata.annotations


# --- exercise -------------------------------------------------------------------------------------------


class WakeWatch:
    """When machines were woken, and the most that were up, or on their way up or down, at once."""

    def __init__(self, world: World) -> None:
        self._world, self.most = world, 0
        self.ups: list[tuple[float, str]] = []
        self._begin = world.now

    async def run(self, seconds: float) -> None:
        """Watch for so long."""
        on = set[str]()
        for _ in range(int(seconds / 20)):
            await trio.sleep(20)
            now = {name for name, each in self._world.phases().items() if each in ON_PHASES - FAILED}
            self.ups += [((self._world.now - self._begin).total_seconds(), name) for name in sorted(now - on)]
            self.most, on = max(self.most, len(now)), now

    def of(self, name: str) -> list[float]:
        """Of one machine."""
        return [when for when, each in self.ups if each == name]


@pytest.mark.long
async def test_exercise_wakes_one_after_the_other_and_rests_it(autojump_clock: MockClock) -> None:
    """exerciseEvery wakes each machine that is off once in the time, one of the group at a time, and rests it when it is up and
    idle: each is proven then."""
    machines = boxes(3)
    async with open_world(groups=[rack(exerciseEvery="8h")], machines=machines, autoscaler=None, site=QUICK) as world:
        watch = WakeWatch(world)
        await watch.run(20 * 3600)
        assert watch.most == 1
        for name in world.phases():
            first, *later = watch.of(name)
            assert first < 3600
            assert len(later) == 2
            assert all(8 * 3600 <= after - before < 9 * 3600 for before, after in pairwise([first, *later]))
            assert wakeable(world, name) == ("True", "Woken")
        assert in_phase(world, Phase.OFF) == sorted(world.phases())


async def test_exercise_keeps_the_maximum_and_peoples_word(autojump_clock: MockClock) -> None:
    """A group at its maximum exercises nothing, nor does a machine wake that a person put off or holds off."""
    group = rack(exerciseEvery="8h", maxSize=1)
    async with open_world(groups=[group], machines=boxes(3), autoscaler=None, site=QUICK) as world:
        await up(world)
        wakes = world.site.report().wakes
        await trio.sleep(86_400)
        assert world.site.report().wakes == wakes
        await switch(world, "off")
        world.edit("box-2", {"hold": {"power": "off"}})
        watch = WakeWatch(world)
        await watch.run(4 * 3600)
        assert {name for _, name in watch.ups if name != "box-1"} == {"box-3"}
        assert world.phase("box-1") is Phase.OFF


async def test_a_machine_that_work_came_to_during_its_exercise_stays(autojump_clock: MockClock) -> None:
    """Pods that land on a machine while it is exercised keep it on, and it is Cluster Autoscaler's to remove."""
    async with open_world(groups=[rack(exerciseEvery="8h")], machines=boxes(1), autoscaler=None, site=QUICK) as world:
        await world.until(lambda: world.phase("box-1") is Phase.READY, within=600)
        world.add_pods(1, cpu="1")
        await trio.sleep(3600)
        assert world.waiting == 0
        assert world.phase("box-1") is Phase.READY
        assert world.site.report().pods_killed == 0


async def test_nobody_rests_in_place_of_a_machine_that_is_exercised(autojump_clock: MockClock) -> None:
    """The idle machine of minSize stays while another one shows that it wakes, and that one rests again: Cluster Autoscaler has the
    first one no sooner given up than minSize would wake another (found by random fault runs)."""
    group = rack(exerciseEvery="2h", minSize=1, scaleDownUnneededTime="20s")
    async with open_world(groups=[group], machines=boxes(2), site=QUICK) as world:
        await world.until(lambda: len(in_phase(world, Phase.READY)) == 1, within=600)
        first = in_phase(world, Phase.READY)[0]
        jobs, watch = JobWatch(world), WakeWatch(world)
        await watch.run(9 * 3600)
        assert len([name for _, name in watch.ups if name != first]) >= 3
        assert first not in {name for name, _, _ in jobs.made}
        assert in_phase(world, Phase.READY) == [first]


async def test_a_machine_that_is_exercised_stays_where_min_size_has_lost_another(autojump_clock: MockClock) -> None:
    """A person holds off the machine of minSize while another one is exercised: that one takes its place as it is, and is not
    switched off and woken again first."""
    machines = [*boxes(1), machine("box-2", group="rack", boot_seconds=8.0)]
    group = rack(exerciseEvery="2h", minSize=1)
    async with open_world(groups=[group], machines=machines, autoscaler=None, site=QUICK) as world:
        await world.until(lambda: len(in_phase(world, Phase.READY)) == 1, within=600)
        (first,) = in_phase(world, Phase.READY)
        await world.until(lambda: len(in_phase(world, Phase.READY)) == 2, within=3 * 3600)
        (other,) = set(in_phase(world, Phase.READY)) - {first}
        jobs, since = JobWatch(world), world.now
        world.edit(first, {"hold": {"power": "off"}})
        await trio.sleep(1800)
        assert in_phase(world, Phase.READY) == [other]
        assert jobs.of(other) == []
        assert Phase.DRAINING not in {entry.action for entry in world.node(other).status.history if entry.at >= since}


async def test_an_exercise_that_fails_is_told_and_costs_nothing(autojump_clock: MockClock) -> None:
    """A machine that does not come is told by its condition; no other is woken in its place, Cluster Autoscaler hears nothing of
    it, and it is tried again after exerciseEvery."""
    machines = boxes(2)
    async with open_world(groups=[rack(exerciseEvery="8h")], machines=machines, autoscaler=None, site=QUICK) as world:
        world.inject({**LOST_WAKES, "machine": "box-1"})
        await reach(world, Phase.START_FAILED, within=900)
        instances = world.cloud.instances(ID)
        assert isinstance(instances, list)
        assert all(instance.error is None for instance in instances)
        watch = WakeWatch(world)
        await watch.run(10 * 3600)
        assert watch.most == 1
        (again,) = watch.of("box-1")
        assert 8 * 3600 <= again < 9 * 3600
        assert wakeable(world) == ("False", "WakeFailed")
        record = recorded_wish(world.node("box-1"))
        assert record is not None
        assert (record.power, record.by) == (Power.OFF, Asker.RECOVERY)
