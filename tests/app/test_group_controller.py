"""Groups kept within their limits, failed machines replaced, and what a group says of itself."""

from contextlib import suppress
from typing import Any

import pytest
import trio
from tests.app.rig import CA, CAPACITY, OFF, ON, RECOVERY, SPACE, USER, Rig, at, key, open_rig, stamp, wish
from trio.testing import MockClock

from hexa.app.tariffs import Tariffs
from hexa.domain.errors import Conflict, HexaError, Unavailable
from hexa.domain.machine.lifecycle import Phase
from hexa.domain.money.series import Row
from hexa.domain.money.tariff import Tariff
from hexa.domain.resources.core import NODES
from hexa.domain.resources.health import GroupHealth
from hexa.domain.resources.v1alpha1 import GROUPS, MACHINES
from hexa.ports.cloud import Denied, Done
from hexa.ports.kube import Patch

ID = "d/g"


async def settle(rig: Rig, name: str = "g", *, rounds: int = 4) -> None:
    """Let the controller look at the group until nothing changes."""
    for _ in range(rounds):
        await rig.seen()
        await rig.groups.reconcile(key(name))
    await rig.seen()


def conditions(rig: Rig, name: str = "g") -> dict[str, str]:
    """Conditions of the group and their messages; one of each type."""
    found = rig.stored_group(name).status.conditions
    assert len({each.type for each in found}) == len(found)
    return {each.type: each.message for each in found}


# --- limits -----------------------------------------------------------------------------------------


async def test_hexa_wakes_up_to_the_minimum(autojump_clock: MockClock) -> None:
    """Cluster Autoscaler does not raise a group to minSize: hexa does, with so many machines as are missing, and no more."""
    async with open_rig() as rig:
        rig.group(minSize=3)
        rig.machine("on", Phase.READY)
        for name in ("a", "b", "c", "d"):
            rig.machine(name)
        await settle(rig)
        assert len(rig.wanted()) == 3
        assert rig.wished("a") == (ON, RECOVERY)


async def test_a_minimum_that_cannot_be_had_takes_what_there_is(autojump_clock: MockClock) -> None:
    """With fewer machines than minSize all are woken, held and paused ones apart, and that is all."""
    async with open_rig() as rig:
        rig.group(minSize=9)
        rig.machine("a")
        rig.machine("held", spec={"hold": {"power": "off"}})
        rig.machine("paused", spec={"paused": {}})
        await settle(rig)
        assert rig.wanted() == {"a"}
        before = rig.api.version
        await settle(rig)
        assert rig.api.version == before


async def test_hexa_rests_down_to_a_lowered_maximum(autojump_clock: MockClock) -> None:
    """Cluster Autoscaler does not shrink a group to a lowered maxSize: hexa does, what is not up yet first, held ones never."""
    async with open_rig() as rig:
        rig.group(maxSize=2)
        rig.machine("booting", Phase.BOOTING, wish(ON))
        rig.machine("held", Phase.READY, spec={"hold": {"power": "on"}})
        for name in ("a", "b"):
            rig.machine(name, Phase.READY, wish(ON))
        await settle(rig)
        assert rig.wished("booting") == (OFF, RECOVERY)
        assert len(rig.wanted()) == 2
        assert "held" in rig.wanted()


async def test_a_broken_group_is_not_acted_on(autojump_clock: MockClock) -> None:
    """minSize above maxSize is told with both numbers, and nothing is woken or rested by it."""
    async with open_rig() as rig:
        rig.group(minSize=3, maxSize=1)
        for name in ("a", "b", "c"):
            rig.machine(name, Phase.READY if name == "a" else Phase.OFF)
        await settle(rig)
        assert rig.wanted() == {"a"}
        assert "minSize 3 is above maxSize 1" in conditions(rig)["Invalid"]


async def test_blind_nothing_is_asked(autojump_clock: MockClock) -> None:
    """While the API server is away no machine is asked; once it is back the minimum is made up for."""
    async with open_rig() as rig:
        rig.group()
        rig.machine("a")
        await settle(rig)
        rig.api.patch(GROUPS, (SPACE, "g"), Patch({"spec": {"minSize": 1}}))
        await rig.seen()
        rig.api.outage(20)
        await rig.seen()
        with pytest.raises(HexaError):
            await rig.groups.reconcile(key("g"))
        assert rig.wanted() == set()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(rig.groups.queue.run)
            await trio.sleep(60)
            nursery.cancel_scope.cancel()
        assert rig.wanted() == {"a"}


# --- replacement --------------------------------------------------------------------------------------


def failing(rig: Rig, *spares: str, **group: Any) -> None:
    """One machine that Cluster Autoscaler wants failed to start; others are off."""
    rig.group(**group)
    rig.machine("dead", Phase.START_FAILED, wish(ON), since=0, coolUntil=stamp(60))
    for name in spares:
        rig.machine(name)


async def test_failure_9_the_next_candidate_takes_the_place_silently(autojump_clock: MockClock) -> None:
    """Of a machine that failed to start Cluster Autoscaler hears nothing while another can take its place: the target is what it
    was, one machine more is woken, and the failed one is not wanted any more."""
    async with open_rig() as rig:
        failing(rig, "a", "b")
        rig.machine("on", Phase.READY, wish(ON))
        await settle(rig)
        assert rig.wanted() == {"a", "on"}
        assert rig.wished("a") == (ON, RECOVERY)
        assert rig.wished("dead") == (OFF, RECOVERY)
        assert rig.cloud.target_size(ID) == 2
        instances = rig.cloud.instances(ID)
        assert isinstance(instances, list)
        assert all(each.error is None for each in instances)


async def test_with_no_candidate_the_failed_machine_stays_wanted(autojump_clock: MockClock) -> None:
    """With nobody to take the place the wish stands, so that the machine is tried again, and the group backs off by the error."""
    async with open_rig() as rig:
        failing(rig)
        await settle(rig)
        assert rig.wished("dead") == (ON, CA)
        instances = rig.cloud.instances(ID)
        assert isinstance(instances, list)
        assert [each.error is None for each in instances] == [False]


@pytest.mark.parametrize("asked", [wish(ON, USER), None])
async def test_a_machine_that_a_person_wants_is_not_replaced(autojump_clock: MockClock, asked: Any) -> None:
    """Who switched on (or holds on) this very machine wants this one, and no other is woken instead."""
    async with open_rig() as rig:
        rig.group()
        held = {"spec": {"hold": {"power": "on"}}} if asked is None else {}
        rig.machine("dead", Phase.START_FAILED, asked or wish(ON), **held)
        rig.machine("a")
        await settle(rig)
        assert rig.wished("a") == (OFF, RECOVERY)


@pytest.mark.parametrize("crash", range(1, 4))
async def test_failure_12_a_replacement_survives_a_crash_at_each_write(autojump_clock: MockClock, crash: int) -> None:
    """Killed after any of the writes of a replacement and started again, hexa completes it with the same machine: never a second
    successor, never a failed machine that stays wanted."""
    async with open_rig() as rig:
        failing(rig, "a", "b", "c")
        await rig.seen()
        before = rig.kube.count("patch", MACHINES)
        with trio.CancelScope() as scope:
            patch = rig.kube.patch

            async def dying(*args: Any, **more: Any) -> Any:
                answer = await patch(*args, **more)
                if rig.kube.count("patch", MACHINES) - before >= crash:
                    scope.cancel()
                    await trio.sleep_forever()
                return answer

            rig.kube.patch = dying  # type: ignore[method-assign]
            await rig.groups.reconcile(key("g"))
        rig.kube.patch = patch  # type: ignore[method-assign]
        await settle(rig)
        assert rig.wanted() == {"a"}
        assert rig.wished("dead") == (OFF, RECOVERY)
        assert rig.stored_machine("dead").status.replaced
        assert rig.cloud.target_size(ID) == 1


@pytest.mark.parametrize("name", ["a", "dead"])
async def test_a_replacement_survives_a_conflict_at_each_write(autojump_clock: MockClock, name: str) -> None:
    """Somebody else's write in the midst of a replacement delays it and changes nothing of its outcome."""
    async with open_rig() as rig:
        failing(rig, "a", "b")
        await rig.seen()
        rig.kube.fail_next(Conflict("changed"), verb="patch", kind=MACHINES, name=name)
        with suppress(Conflict):  # the successor is asked again at once, the failed one at the next look
            await rig.groups.reconcile(key("g"))
        await settle(rig)
        assert rig.wanted() == {"a"}
        assert rig.wished("dead") == (OFF, RECOVERY)


async def test_the_successor_of_an_earlier_failure_is_not_taken_for_one_of_this(autojump_clock: MockClock) -> None:
    """A machine that failed, came back and fails again is replaced again, though the first successor still runs."""
    async with open_rig() as rig:
        rig.group()
        rig.machine("old", Phase.READY, wish(ON, RECOVERY, reason="TakesPlace", replaces="dead"))
        rig.machine("dead", Phase.START_FAILED, wish(ON), since=500)
        rig.machine("a")
        await settle(rig)
        assert rig.wanted() == {"old", "a"}


async def test_a_chain_of_failures_moves_on(autojump_clock: MockClock) -> None:
    """When the successor fails too, the next one takes its place: one machine is wanted all the time."""
    async with open_rig() as rig:
        failing(rig, "a", "b")
        await settle(rig)
        await trio.sleep(100)
        failed = {"phase": "StartFailed", "since": stamp(100), "coolUntil": stamp(200)}
        rig.api.patch(MACHINES, (SPACE, "a"), Patch({"status": failed}, subresource="status"))
        await settle(rig)
        assert rig.wanted() == {"b"}
        assert rig.cloud.target_size(ID) == 1


async def test_a_machine_that_comes_in_the_midst_is_not_sent_away(autojump_clock: MockClock) -> None:
    """If the failed machine arrives while its successor is being asked, it is not marked as replaced."""
    async with open_rig(latency=0.2) as rig:
        failing(rig, "a")
        await trio.sleep(1)

        async def arrive() -> None:
            await trio.sleep(0.05)
            ready = {"phase": "Ready", "since": stamp(1)}
            rig.api.patch(MACHINES, (SPACE, "dead"), Patch({"status": ready}, subresource="status"))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(arrive)
            await rig.groups.reconcile(key("g"))
        await trio.sleep(1)
        await rig.groups.reconcile(key("g"))
        assert rig.wanted() == {"a", "dead"}
        assert not rig.stored_machine("dead").status.replaced


async def test_a_deleted_machine_does_not_stop_a_replacement(autojump_clock: MockClock) -> None:
    """A failed machine whose Node is deleted in the midst ends the replacement without an error."""
    async with open_rig(latency=0.2) as rig:
        failing(rig, "a")
        await trio.sleep(1)

        async def remove() -> None:
            await trio.sleep(0.05)
            rig.api.delete(MACHINES, (SPACE, "dead"))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(remove)
            await rig.groups.reconcile(key("g"))
        assert rig.wished("a") == (ON, RECOVERY)


async def test_replacements_stay_within_the_maximum(autojump_clock: MockClock) -> None:
    """A replacement never lifts a group above maxSize."""
    async with open_rig() as rig:
        failing(rig, "a", "b", maxSize=1)
        rig.machine("on", Phase.READY, wish(ON))
        await settle(rig)
        assert rig.cloud.target_size(ID) == 1


async def test_a_request_during_a_replacement_gets_other_machines(autojump_clock: MockClock) -> None:
    """Cluster Autoscaler's delta and a replacement in the same moment share no machine."""
    async with open_rig(latency=0.3) as rig:
        failing(rig, "a", "b", "c")
        await trio.sleep(1)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(rig.groups.reconcile, key("g"))
            await trio.sleep(0.1)
            assert await rig.cloud.increase_size(ID, delta=1) == Done()
        await trio.sleep(1)
        assert len(rig.wanted()) == 2


# --- status and conditions ------------------------------------------------------------------------------


async def test_the_status_counts(autojump_clock: MockClock) -> None:
    """The numbers of a group, its health, and the generation that they speak of."""
    async with open_rig() as rig:
        rig.group()
        for number, phase in enumerate([Phase.READY, Phase.READY, Phase.BOOTING, Phase.OFF, Phase.START_FAILED]):
            rig.machine(f"m{number}", phase, wish(OFF, USER) if phase is Phase.START_FAILED else None)
        await settle(rig)
        status = rig.stored_group().status
        assert (status.size, status.target, status.ready, status.booting, status.off, status.failed) == (
            5,
            3,
            2,
            1,
            1,
            1,
        )
        assert status.health is GroupHealth.DEGRADED
        assert status.observed_generation == 1


@pytest.mark.parametrize(
    ("phases", "health"),
    [
        ([], GroupHealth.UNKNOWN),
        ([Phase.OFF], GroupHealth.HEALTHY),
        ([Phase.LOST, Phase.READY], GroupHealth.DEGRADED),
        ([Phase.LOST, Phase.STOP_FAILED], GroupHealth.OFFLINE),
    ],
)
async def test_health(autojump_clock: MockClock, phases: list[Phase], health: GroupHealth) -> None:
    """healthy without failures, degraded with some, offline with nothing else, unknown without machines."""
    async with open_rig() as rig:
        rig.group()
        for number, phase in enumerate(phases):
            rig.machine(f"m{number}", phase, wish(OFF, USER))
        await settle(rig)
        assert rig.stored_group().status.health is health


async def test_what_is_told_is_written_once(autojump_clock: MockClock) -> None:
    """A group in which nothing changes is not written."""
    async with open_rig() as rig:
        rig.group(minSize=1)
        rig.machine("a", Phase.READY)
        await settle(rig)
        before = rig.api.version
        await settle(rig)
        assert rig.api.version == before


async def test_a_group_without_machines_says_how_to_add_them(autojump_clock: MockClock) -> None:
    """The condition NoMachines names the label, and goes with the first machine."""
    async with open_rig() as rig:
        rig.group()
        await settle(rig)
        assert "label Nodes of namespace d with group: g" in conditions(rig)["NoMachines"]
        rig.machine("m")
        await settle(rig)
        assert conditions(rig) == {}


async def test_several_findings_of_a_kind_are_one_condition(autojump_clock: MockClock) -> None:
    """Two control-plane members and two broken fields are one condition each, that names both: the API server refuses a list with
    one type twice."""
    async with open_rig() as rig:
        rig.group(maxNodeProvisionTime="long", scaleDownUnneededTime="short")
        for name in ("a", "b"):
            rig.machine(name, Phase.READY)
            rig.kube_node(name, labels={"node-role.kubernetes.io/control-plane": ""})
        await settle(rig)
        found = conditions(rig)
        assert "a is a control-plane node" in found["ControlPlaneMember"]
        assert "b is a control-plane node" in found["ControlPlaneMember"]
        assert "spec.maxNodeProvisionTime" in found["Invalid"]
        assert "spec.scaleDownUnneededTime" in found["Invalid"]


async def test_mixed_shapes_are_told(autojump_clock: MockClock) -> None:
    """Two architectures are MixedShape, a 4- and a 16-core machine UnevenShape; each says what to do."""
    async with open_rig() as rig:
        for group, label in (("mixed", "arm64"), ("uneven", "amd64")):
            rig.group(group)
            for number, (arch, cpu) in enumerate((("amd64", "4"), (label, "16" if label == "amd64" else "4"))):
                template = {"capacity": {**CAPACITY, "cpu": cpu}, "labels": {"kubernetes.io/arch": arch}}
                rig.machine(f"{group}{number}", group=group, spec={"template": template})
            await settle(rig, group)
        assert "no scale-up until it is split" in conditions(rig, "mixed")["MixedShape"]
        assert "cpu ranges from 4 to 16" in conditions(rig, "uneven")["UnevenShape"]
        assert isinstance(rig.cloud.template("d/mixed"), Denied)
        assert not isinstance(rig.cloud.template("d/uneven"), Denied)


async def test_a_node_that_waits_for_its_cloud_is_told_and_untold(autojump_clock: MockClock) -> None:
    """The condition about a node's taint ends with the taint, without anything else that happens."""
    taint = {"key": "node.cloudprovider.kubernetes.io/uninitialized", "effect": "NoSchedule"}
    async with open_rig() as rig, trio.open_nursery() as nursery:
        rig.group()
        rig.machine("m", Phase.READY)
        rig.kube_node("m", taints=[taint])
        nursery.start_soon(rig.groups.queue.run)
        await trio.sleep(5)
        assert "m waits for a cloud controller manager" in conditions(rig)["NodeUninitialized"]
        rig.api.patch(NODES, ("", "m"), Patch({"spec": {"taints": None}}))
        await trio.sleep(5)
        assert conditions(rig) == {}
        nursery.cancel_scope.cancel()


async def test_a_malformed_group_is_told_and_others_go_on(autojump_clock: MockClock) -> None:
    """A Group that does not decode gets the condition Invalid with the field; it raises no error and stops no other group."""
    async with open_rig() as rig:
        rig.api.create(GROUPS, {"metadata": {"name": "bad", "namespace": SPACE}, "spec": {"minSize": "many"}})
        rig.group(minSize=1)
        rig.machine("m")
        await settle(rig, "bad", rounds=1)
        await settle(rig)
        stored = rig.api.get(GROUPS, "bad", SPACE)
        assert stored is not None
        (condition,) = stored.raw["status"]["conditions"]
        assert condition["type"] == "Invalid"
        assert "minSize" in condition["message"]
        assert rig.wanted() == {"m"}


async def test_an_error_of_a_write_does_not_lose_the_minimum(autojump_clock: MockClock) -> None:
    """A minimum is asked for in one write; where that fails, it is asked for the next time."""
    async with open_rig() as rig:
        rig.group(minSize=3)
        for name in ("a", "b", "c"):
            rig.machine(name)
        await rig.seen()
        rig.kube.fail_next(Unavailable("no answer"), verb="patch")
        with pytest.raises(Unavailable):
            await rig.groups.reconcile(key("g"))
        assert rig.wanted() == set()
        await settle(rig)
        assert rig.wanted() == {"a", "b", "c"}


async def test_prices_that_end_are_told_six_hours_before(autojump_clock: MockClock) -> None:
    """The group whose tariff they are says when, and looks again at that moment and when newer ones come; others say nothing."""

    def until(hours: int) -> Tariff:
        return Tariff(rows=(Row(at(0), at(hours * 3600), 0.3),))

    tariffs = Tariffs({"spot": until(24)})
    async with open_rig(tariffs=tariffs) as rig:
        rig.group(cost={"tariff": "spot"})
        rig.group("flat", cost={"pricePerKWh": 0.3})
        await settle(rig)
        assert "PricesEnd" not in conditions(rig)
        await trio.sleep(18 * 3600)
        await settle(rig)
        assert f"tariff spot: its last price is for {at(24 * 3600).isoformat()}" in conditions(rig)["PricesEnd"]
        await settle(rig, "flat")
        assert "PricesEnd" not in conditions(rig, "flat")
        tariffs.known = {"spot": until(48)}
        tariffs.tell()
        await settle(rig)
        assert "PricesEnd" not in conditions(rig)
