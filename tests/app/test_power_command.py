"""Power switched and verified, against a machine in memory."""

from typing import Any

import pytest
import trio
from msgspec import structs

from hexa.adapters.memory.ports.power import MemoryPower
from hexa.adapters.memory.site.machine import MemoryMachine
from hexa.adapters.memory.site.site import open_site
from hexa.app.commands.power import Patience, Ways, cycle, status, turn_off, turn_on
from hexa.domain.errors import Refused, Unavailable
from hexa.domain.power.roles import Roles
from hexa.domain.resources.v1alpha1 import Reading

PATIENCE = Patience(verify=120, soft=60, pause=10)
BUSY = Unavailable("bmc: busy; try again")


@pytest.fixture
async def machine(autojump_clock: Any) -> Any:
    """A machine that takes 5 s to shut down; it is off."""
    async with open_site() as site:
        yield site.add_machine("worker-01", off_seconds=5.0)


def ways(machine: MemoryMachine, **roles: Any) -> tuple[Ways, MemoryPower]:
    """All by one driver, or only some."""
    power = MemoryPower(machine)
    names = {**dict.fromkeys(("on", "off", "cut", "sense"), "ipmi"), **roles}
    drivers = {role: power if name else None for role, name in names.items()}
    return Ways(machine=machine.name, roles=Roles(**names), **drivers), power


async def test_on_is_done_when_the_reading_says_so(machine: MemoryMachine, autojump_clock: Any) -> None:
    """The machine is read after it was asked, and a machine that is on is left alone."""
    way, power = ways(machine)
    done = await turn_on(way, PATIENCE)
    assert (done.power, done.verified, done.steps) == (Reading.ON, True, ("turned on by ipmi",))
    power.calls.clear()
    again = await turn_on(way, PATIENCE)
    assert (again.verified, again.steps, power.calls) == (True, (), ["sense"])


async def test_failure_3_a_bmc_that_says_yes_and_does_nothing_is_not_believed(
    machine: MemoryMachine, autojump_clock: Any
) -> None:
    """The request was taken and the machine is still off at the deadline: that is an error, with what was read."""
    machine.defects.dead = True
    way, _ = ways(machine)
    began = trio.current_time()
    with pytest.raises(
        Unavailable, match="turned on by ipmi, and 120 s later ipmi still reads off; try again"
    ) as raised:
        await turn_on(way, PATIENCE)
    assert raised.value.reason == "NotVerified"
    assert trio.current_time() - began >= 120


@pytest.mark.parametrize(
    "fails", [BUSY, Refused("bmc: the password is wrong; correct it", reason="BadCredentials"), None]
)
async def test_failures_4_and_33_another_driver_wakes_where_the_first_one_fails(
    machine: MemoryMachine, autojump_clock: Any, fails: Refused | Unavailable | None
) -> None:
    """A BMC that gives no answer, refuses, or takes the request and does nothing: the second protocol or driver is tried within the
    same Job, and why stays visible; where both fail, both are told."""
    first, _ = ways(machine)
    machine.defects.lost_wakes = 0 if fails else 1
    other = MemoryPower(machine)
    way = structs.replace(first, roles=structs.replace(first.roles, on_else="wakeOnLan"), on_else=other)
    if fails is not None:
        broken = MemoryPower(machine)
        broken.fail_next(fails)
        way = structs.replace(way, on=broken)
    done = await turn_on(way, PATIENCE)
    assert done.power is Reading.ON
    assert done.steps[0].startswith("turned on by ipmi, in vain: ")
    assert done.steps[1] == "turned on by wakeOnLan"
    assert other.calls == ["turn_on"]
    machine.cut_hard()
    machine.defects.dead = True
    with pytest.raises(
        Unavailable, match=r"turned on by wakeOnLan, and 120 s later.*before, turned on by ipmi, in vain"
    ):
        await turn_on(way, PATIENCE)


async def test_off_is_soft_and_waits_for_the_shutdown(machine: MemoryMachine, autojump_clock: Any) -> None:
    """An orderly shutdown that is followed needs no cut, even where it would be allowed."""
    machine.start_up()
    way, power = ways(machine)
    done = await turn_off(way, PATIENCE, hard=True)
    assert (done.power, done.steps) == (Reading.OFF, ("asked to shut down by ipmi",))
    assert "cut" not in power.calls


async def test_failure_6_off_on_a_machine_already_off_is_success(machine: MemoryMachine, autojump_clock: Any) -> None:
    """Nothing is asked of it; and a controller that answers with a conflict is read back."""
    way, power = ways(machine)
    assert (await turn_off(way, PATIENCE, hard=False)).steps == ()
    assert power.calls == ["sense", "sense"]
    power.fail_next(BUSY, Refused("bmc: conflict; it is off"))  # the first reading fails, the request too
    assert (await turn_off(way, PATIENCE, hard=False)).power is Reading.OFF


async def test_failure_7_an_ignored_shutdown_ends_hard_only_where_that_is_allowed(
    machine: MemoryMachine, autojump_clock: Any
) -> None:
    """One error without `hard`, and the power stays; with it the power is cut after the soft wait, once."""
    machine.start_up()
    machine.defects.ignored_offs = 2
    way, power = ways(machine)
    with pytest.raises(Unavailable, match="still reads on; look what holds its shutdown up, or allow hard"):
        await turn_off(way, PATIENCE, hard=False)
    assert machine.power
    done = await turn_off(way, PATIENCE, hard=True)
    assert done.power is Reading.OFF
    assert done.steps[-1] == "power cut by ipmi"
    assert power.calls.count("cut") == 1


async def test_a_refused_shutdown_is_told_in_the_steps_of_the_cut(machine: MemoryMachine, autojump_clock: Any) -> None:
    """A controller without soft off, or a machine that does not answer SSH: why it was cut stays visible."""
    machine.start_up()
    way, power = ways(machine)
    power.fail_next(BUSY, Refused("bmc: knows no soft off; name another", reason="NotSupported"), BUSY)
    done = await turn_off(way, PATIENCE, hard=True)
    assert done.steps == (
        "asked to shut down by ipmi, in vain: bmc: knows no soft off; name another",
        "power cut by ipmi",
    )


async def test_failure_4_a_controller_without_a_free_session_is_asked_again(
    machine: MemoryMachine, autojump_clock: Any
) -> None:
    """Ever more seldom, for half a minute; whatever else it says is told at once."""
    none_free = Unavailable("bmc: it has no session free; try again", reason="Busy")
    way, power = ways(machine, sense=None)
    power.fail_next(none_free, none_free, none_free)
    began = trio.current_time()
    await turn_on(way, PATIENCE)
    assert power.calls == ["turn_on"] * 4
    assert trio.current_time() - began == 1 + 2 + 4
    power.calls.clear()
    power.fail_next(*[none_free] * 100)
    with pytest.raises(Unavailable, match="no session free"):
        await turn_off(way, PATIENCE, hard=False)
    assert 7 <= len(power.calls) <= 9
    way, power = ways(machine, sense=None)
    power.fail_next(BUSY)
    with pytest.raises(Unavailable):
        await turn_on(way, PATIENCE)
    assert power.calls == ["turn_on"]


async def test_what_can_only_cut_needs_leave(machine: MemoryMachine, autojump_clock: Any) -> None:
    """An outlet alone never takes power from a machine unless it was allowed to."""
    machine.start_up()
    way, power = ways(machine, off=None, cut="pdu")
    with pytest.raises(Refused, match=r"worker-01: pdu can only cut the power.*add a driver that shuts down") as raised:
        await turn_off(way, PATIENCE, hard=False)
    assert raised.value.reason == "HardNotAllowed"
    assert power.calls == ["sense"]
    assert (await turn_off(way, PATIENCE, hard=True)).steps == ("power cut by pdu",)


async def test_without_a_sensor_success_is_not_verified(machine: MemoryMachine, autojump_clock: Any) -> None:
    """A magic packet has no answer: it is done, and said to be unproven."""
    way, _ = ways(machine, on="wakeOnLan", off=None, cut=None, sense=None)
    done = await turn_on(way, PATIENCE)
    assert (done.power, done.verified) == (Reading.UNKNOWN, False)
    with pytest.raises(Refused, match=r"none of its drivers \(wakeOnLan\) can turn it off"):
        await turn_off(way, PATIENCE, hard=True)
    with pytest.raises(Refused, match="can read its power"):
        await status(way)


async def test_a_sensor_that_is_busy_is_asked_again(machine: MemoryMachine, autojump_clock: Any) -> None:
    """Controllers answer badly while they switch; only what they say at the deadline counts."""
    way, power = ways(machine)
    power.fail_next(BUSY)
    await turn_on(way, PATIENCE)
    machine.defects.dead = False
    power.fail_next(*[BUSY] * 500)
    with pytest.raises(Unavailable, match="bmc: busy"):
        await turn_off(way, PATIENCE, hard=False)


async def test_a_sensor_that_cannot_tell_keeps_nobody_waiting(machine: MemoryMachine, autojump_clock: Any) -> None:
    """Unknown before and after: done, and not verified."""
    machine.defects.sensor_blind = True
    way, _ = ways(machine)
    began = trio.current_time()
    done = await turn_on(way, PATIENCE)
    assert (done.power, done.verified) == (Reading.UNKNOWN, False)
    assert trio.current_time() - began < 1


async def test_silence_of_ssh_is_no_proof(machine: MemoryMachine, autojump_clock: Any) -> None:
    """Where only SSH reads, a machine that has fallen silent is asked no more, and not called off."""
    machine.start_up()
    way, power = ways(machine, on=None, off="ssh", cut=None, sense="ssh")

    async def sense() -> Reading:
        return Reading.ON if machine.power else Reading.UNKNOWN

    power.sense = sense  # type: ignore[method-assign]
    done = await turn_off(way, PATIENCE, hard=False)
    assert (done.power, done.verified) == (Reading.UNKNOWN, False)


async def test_a_cycle_sees_the_machine_off_before_it_turns_it_on(machine: MemoryMachine, autojump_clock: Any) -> None:
    """Off, a pause, on: and never on without having seen off."""
    machine.start_up()
    way, _ = ways(machine)
    done = await cycle(way, PATIENCE, hard=False)
    assert done.steps == ("asked to shut down by ipmi", "turned on by ipmi")
    assert (machine.offs, machine.boots) == (1, 1)
    blind, _ = ways(machine, sense=None)
    with pytest.raises(Refused, match="a cycle can't tell off from on"):
        await cycle(blind, PATIENCE, hard=False)
    machine.defects.sensor_blind = True
    with pytest.raises(Unavailable, match="it was not turned on again"):
        await cycle(way, PATIENCE, hard=False)


async def test_a_shutdown_has_its_time_before_a_cut(machine: MemoryMachine, autojump_clock: Any) -> None:
    """Where nothing reads the power, or the request's answer was lost, a system that may be shutting down is not cut before the
    soft wait is over."""
    for lost in (False, True):
        machine.start_up()
        machine.defects.sensor_blind = True
        way, power = ways(machine)
        if lost:
            power.fail_next(BUSY, BUSY, BUSY)
        began = trio.current_time()
        done = await turn_off(way, PATIENCE, hard=True)
        assert done.steps[-1] == "power cut by ipmi"
        assert trio.current_time() - began >= PATIENCE.soft
        machine.defects.sensor_blind = False
        machine.cut_hard()
