"""A request for many machines: one write on the Group, spread to the machines after, whatever a write takes."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, TypeVar

import pytest
import trio
from msgspec import structs
from tests.app.rig import CA, OFF, ON, SPACE, USER, Rig, key, open_rig, stamp, wish
from trio.testing import MockClock

from hexa.adapters.memory.ports.kube import MemoryKube
from hexa.domain.errors import Conflict, Unavailable
from hexa.domain.machine.lifecycle import Phase
from hexa.domain.names import RELEASED_ANNOTATION
from hexa.domain.resources.core import Kind
from hexa.domain.resources.v1alpha1 import GROUPS, MACHINES
from hexa.ports.cloud import Denied, Done, ExternalNode, Instance, InstanceState
from hexa.ports.kube import Patch

T = TypeVar("T")
ID: Final = "d/g"
LIMIT: Final = 4.0
"""Seconds that an answer may take."""


def rack(rig: Rig, count: int = 5, **group: Any) -> None:
    """A group and machines that are off."""
    rig.group(**group)
    for number in range(count):
        rig.machine(f"m{number:02}")


async def settle(rig: Rig) -> None:
    """Let the controllers look at everything until nothing changes."""
    for _ in range(3):
        await rig.seen()
        await rig.recorded()
        await rig.seen()
        with suppress(Conflict):
            await rig.groups.reconcile(key("g"))
    await rig.seen()


def open_entries(rig: Rig) -> set[str]:
    """Machines that are asked on the Group and not on themselves yet."""
    return {name for request in rig.stored_group().status.requests for name in request.machines}


class Mortal(MemoryKube):
    """After so many patches nothing is written any more."""

    left = 1000

    async def patch(self, kind: Kind[T], name: str, patch: Patch, *, namespace: str | None = None) -> T:
        self.left -= 1
        if self.left < 0:
            raise Unavailable("dead")
        return await super().patch(kind, name, patch, namespace=namespace)


class OlderCrd(MemoryKube):
    """The API server drops a field that its CRD does not know."""

    async def patch(self, kind: Kind[T], name: str, patch: Patch, *, namespace: str | None = None) -> T:
        status = {field: value for field, value in patch.body.get("status", {}).items() if field != "requests"}
        body = {**patch.body, **({"status": status} if "status" in patch.body else {})}
        return await super().patch(kind, name, structs.replace(patch, body=body), namespace=namespace)


@pytest.mark.parametrize("latency", [0.1, 0.5, 0.8, 1.5, 2.1, 2.5, 3.9, 5.0, 9.0])
async def test_failure_52_a_request_that_is_cut_off_is_granted_or_leaves_nothing(
    autojump_clock: MockClock, latency: float
) -> None:
    """However long a write takes: within the 4 s of an answer 39 machines are granted or none; and where the write that was cut off
    was stored all the same, Cluster Autoscaler sees all of them at its next look."""
    async with open_rig(latency=latency) as rig:
        rack(rig, 40)
        await trio.sleep(60)
        answer = None
        with trio.move_on_after(LIMIT):
            answer = await rig.cloud.increase_size(ID, delta=39)
        if latency < LIMIT:
            assert answer == Done()
        await trio.sleep(30)
        assert len(rig.wanted()) == rig.cloud.target_size(ID)
        assert len(rig.wanted()) in ({39} if answer == Done() else {0, 39})


@pytest.mark.parametrize("latency", [0.1, 1.5])
async def test_failure_52_a_status_of_the_group_that_is_being_written_costs_no_answer(
    autojump_clock: MockClock, latency: float
) -> None:
    """The Group's own status is on its way as the request comes: one of them is written again, and the request is granted."""
    async with open_rig(latency=latency) as rig:
        rack(rig, 12, minSize=2)
        await trio.sleep(60)

        async def look() -> None:
            with suppress(Conflict):
                await rig.groups.reconcile(key("g"))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(look)
            await trio.sleep(latency * 1.2)
            with trio.fail_after(LIMIT):
                assert await rig.cloud.increase_size(ID, delta=10) == Done()
        assert len(rig.wanted()) == 12


@pytest.mark.parametrize("latency", [0.1, 1.5])
async def test_failure_52_a_request_to_delete_many_is_one_write(autojump_clock: MockClock, latency: float) -> None:
    """DeleteNodes of twenty machines, drained by Cluster Autoscaler already, is granted as a whole within the time of an answer."""
    async with open_rig(latency=latency) as rig:
        rig.group()
        for number in range(20):
            rig.machine(f"m{number}", Phase.READY, wish(ON))
            rig.kube_node(f"m{number}")
        await trio.sleep(60)
        with trio.fail_after(LIMIT):
            nodes = [ExternalNode(f"m{number}") for number in range(20)]
            assert await rig.cloud.delete_nodes(ID, nodes=nodes) == Done()
        assert rig.wanted() == set()
        assert rig.cloud.target_size(ID) == 0


async def test_a_request_counts_at_once_and_ends_as_its_machines_write_it_down(autojump_clock: MockClock) -> None:
    """From the one write on the machines count, are shown as Creating and are nobody else's to ask; each entry ends once the
    machine's own wish is stored, and nothing is left on the Group."""
    async with open_rig() as rig:
        rack(rig, 5)
        await rig.seen()
        before = rig.kube.count("patch", MACHINES)
        assert await rig.cloud.increase_size(ID, delta=3) == Done()
        assert rig.kube.count("patch", MACHINES) == before
        assert open_entries(rig) == {"m00", "m01", "m02"}
        assert rig.cloud.target_size(ID) == 3
        shown = rig.cloud.instances(ID)
        assert isinstance(shown, list)
        assert shown == [Instance(f"hexa://d/m{number:02}", InstanceState.CREATING) for number in range(3)]
        assert isinstance(await rig.cloud.increase_size(ID, delta=3), Denied)
        await settle(rig)
        assert rig.stored_group().status.requests == ()
        assert rig.wanted() == {"m00", "m01", "m02"}
        assert {rig.stored_machine(name).spec.power_state for name in rig.wanted()} == {"on"}


def _edited(**spec: Any) -> Callable[[Rig], None]:
    return lambda rig: rig.edit("m00", {"spec": spec})


def _gone(rig: Rig) -> None:
    rig.api.delete(MACHINES, (SPACE, "m00"))


def _released(rig: Rig) -> None:
    rig.edit("m00", {"metadata": {"annotations": {RELEASED_ANNOTATION: stamp(0)}}})


CANNOT_BE_HAD: Final[dict[str, Callable[[Rig], None]]] = {
    "switched by a person": _edited(powerState="on"),
    "held off": _edited(hold={"power": "off"}),
    "paused": _edited(paused={}),
    "moved": lambda rig: rig.edit("m00", {"metadata": {"labels": {"group": "other"}}}),
    "released": _released,
    "gone": _gone,
}


@pytest.mark.parametrize("why", CANNOT_BE_HAD)
async def test_failure_52_a_machine_that_cannot_be_had_is_exchanged(autojump_clock: MockClock, why: str) -> None:
    """What becomes of a machine between the request and its own wish (a person's word, a hold, a pause, it goes) outranks the
    request; another machine comes in its place, so that Cluster Autoscaler gets what it was granted."""
    async with open_rig() as rig:
        rack(rig, 4)
        await rig.seen()
        assert await rig.cloud.increase_size(ID, delta=2) == Done()
        CANNOT_BE_HAD[why](rig)
        await rig.seen()
        await rig.groups.reconcile(key("g"))
        await settle(rig)
        assert {"m01", "m02"} <= {name for name in rig.wanted() if rig.wished(name) == (ON, CA)}
        assert rig.wished("m03") != (ON, CA)
        assert rig.stored_group().status.requests == ()


async def test_what_a_lowered_max_size_takes_back_is_not_asked_of_others(autojump_clock: MockClock) -> None:
    """maxSize is lowered before the machines wrote down what was asked of them: what is above it is taken back, and no other is
    asked in its place, to be taken back in turn."""
    async with open_rig() as rig:
        rack(rig, 6)
        await rig.seen()
        assert await rig.cloud.increase_size(ID, delta=4) == Done()
        rig.edit("g", {"spec": {"maxSize": 3}}, kind=GROUPS)
        await rig.seen()
        await rig.groups.reconcile(key("g"))
        before = rig.api.version
        await settle(rig)
        assert len(rig.wanted()) == rig.cloud.target_size(ID) == 3
        assert int(rig.api.version) - int(before) < 20
        assert rig.stored_group().status.requests == ()


async def test_a_persons_off_outranks_a_request(autojump_clock: MockClock) -> None:
    """A machine that is put off by a person before it wrote down what was asked of it stays off, also where no other can come."""
    async with open_rig() as rig:
        rack(rig, 2)
        await rig.seen()
        assert await rig.cloud.increase_size(ID, delta=2) == Done()
        rig.wish_by_hand("m00", wish(OFF, USER, reason="PowerStateChanged"))
        await settle(rig)
        assert rig.wanted() == {"m01"}
        assert rig.stored_group().status.requests == ()
        assert rig.cloud.target_size(ID) == 1


async def test_a_decrease_outranks_what_is_not_spread_yet(autojump_clock: MockClock) -> None:
    """DecreaseTargetSize takes back machines that were asked a moment ago and have not written it down."""
    async with open_rig() as rig:
        rack(rig, 5)
        await rig.seen()
        assert await rig.cloud.increase_size(ID, delta=5) == Done()
        assert await rig.cloud.decrease_target_size(ID, delta=-3) == Done()
        assert rig.cloud.target_size(ID) == 2
        await settle(rig)
        assert len(rig.wanted()) == rig.cloud.target_size(ID) == 2
        assert rig.stored_group().status.requests == ()


async def test_labels_that_change_meanwhile_lose_no_request(autojump_clock: MockClock) -> None:
    """An edit that says nothing about power is no newer wish."""
    async with open_rig() as rig:
        rack(rig, 3)
        await rig.seen()
        assert await rig.cloud.increase_size(ID, delta=2) == Done()
        rig.edit("m00", {"metadata": {"labels": {"rack": "7"}}})
        await settle(rig)
        assert rig.wanted() == {"m00", "m01"}


async def test_a_request_ends_with_its_group(autojump_clock: MockClock) -> None:
    """The Group is deleted, or released, before its machines wrote down what was asked: nothing is asked of them any more."""
    for act in (
        lambda rig: rig.api.delete(GROUPS, (SPACE, "g")),
        lambda rig: rig.edit("g", {"metadata": {"annotations": {RELEASED_ANNOTATION: stamp(0)}}}, kind=GROUPS),
    ):
        async with open_rig() as rig:
            rack(rig, 3)
            await rig.seen()
            assert await rig.cloud.increase_size(ID, delta=3) == Done()
            act(rig)
            await settle(rig)
            assert {rig.stored_machine(f"m0{number}").spec.power_state for number in range(3)} == {"off"}
            if rig.api.get(GROUPS, "g", SPACE) is not None:
                assert rig.stored_group().status.requests == ()


async def test_an_older_crd_costs_no_request(autojump_clock: MockClock) -> None:
    """Where the CRD of Group is older than hexa and drops requests, each machine is asked on itself before the answer."""
    async with open_rig(kube=OlderCrd) as rig:
        rack(rig, 4)
        await rig.seen()
        assert await rig.cloud.increase_size(ID, delta=3) == Done()
        assert {rig.stored_machine(f"m0{number}").spec.power_state for number in range(3)} == {"on"}
        assert rig.cloud.target_size(ID) == 3


async def test_what_was_asked_in_an_earlier_life_is_spread_and_not_exchanged(autojump_clock: MockClock) -> None:
    """hexa starts again with a request that is not spread: its machines come; for one that is wanted otherwise since no other is
    woken, for Cluster Autoscaler asks again for what it still needs."""
    async with open_rig() as rig:
        rack(rig, 4)
        await rig.seen()
        assert await rig.cloud.increase_size(ID, delta=3) == Done()
        rig.wish_by_hand("m00", wish(OFF, USER))
        await trio.sleep(60)
        async with open_rig(before=rig) as later:
            await settle(later)
            assert later.wanted() == {"m01", "m02"}
            assert later.stored_group().status.requests == ()


# --- hexa's own writes ------------------------------------------------------------------------------------


@pytest.mark.parametrize("latency", [0.1, 1.5])
@pytest.mark.parametrize("work", ["minimum", "maximum", "failed"])
async def test_failure_52_what_hexa_asks_of_many_itself_costs_no_answer(
    autojump_clock: MockClock, work: str, latency: float
) -> None:
    """While hexa wakes eight machines up to minSize, rests eight down to maxSize, or has eight that failed replaced, a request of
    Cluster Autoscaler's is granted within the time of an answer."""
    async with open_rig(latency=latency) as rig:
        limits = {"minimum": {"minSize": 8}, "maximum": {"maxSize": 12}, "failed": {}}[work]
        rig.group(**limits)
        for number in range(20):
            rig.machine(f"m{number:02}")
        if work == "failed":
            for number in range(8):
                rig.machine(f"f{number}", Phase.START_FAILED, wish(ON), coolUntil=stamp(9000))
        if work == "maximum":
            for number in range(18):
                rig.machine(f"up{number:02}", Phase.READY, wish(ON))
        await trio.sleep(60)

        async def look() -> None:
            with suppress(Conflict):
                await rig.groups.reconcile(key("g"))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(look)
            await trio.sleep(0.01)
            with trio.fail_after(LIMIT):
                answer = await rig.cloud.increase_size(ID, delta=4)
        assert isinstance(answer, Denied) if work == "maximum" else answer == Done()
        for _ in range(4):
            await rig.recorded()
            await look()
        counts = {"minimum": 12, "maximum": 12, "failed": 12}
        assert rig.cloud.target_size(ID) == len(rig.wanted()) == counts[work]


async def test_failure_52_a_replacement_that_is_cut_off_at_any_write_asks_one_successor(
    autojump_clock: MockClock,
) -> None:
    """Three machines failed; hexa dies after each number of writes, and the next life goes on: three successors, no fourth."""
    for writes in range(9):
        async with open_rig(kube=Mortal) as rig:
            rack(rig, 6)
            for number in range(3):
                rig.machine(f"f{number}", Phase.START_FAILED, wish(ON), coolUntil=stamp(9000))
            await rig.seen()
            assert isinstance(rig.kube, Mortal)
            rig.kube.left = writes
            with suppress(Unavailable, Conflict):
                await rig.groups.reconcile(key("g"))
                await rig.recorded()
                await rig.groups.reconcile(key("g"))
            async with open_rig(before=rig) as later:
                for _ in range(4):
                    await settle(later)
                assert len(later.wanted()) == 3
                assert not later.wanted() & {"f0", "f1", "f2"}
                assert later.cloud.target_size(ID) == 3
