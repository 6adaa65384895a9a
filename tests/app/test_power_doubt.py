"""Doubt in `hexa power`: what one reading proves, and what a button may be pressed on."""

from collections.abc import Sequence
from typing import Any

import pytest
import trio
from msgspec import structs

from hexa.app.commands.power import Patience, Switched, Ways, cycle, status, turn_off, turn_on
from hexa.domain.errors import HexaError, Refused, Unavailable
from hexa.domain.power.roles import Roles
from hexa.domain.resources.v1alpha1 import Reading

ON, OFF, UNKNOWN = Reading.ON, Reading.OFF, Reading.UNKNOWN
PATIENCE = Patience(verify=60, soft=30, pause=10)
DOUBT = Unavailable("plug: its watts are negative (-87); look", reason="Doubtful")


class Scripted:
    """Reads what it is told to, the last for good, and counts what it is asked to do."""

    def __init__(self, *readings: Reading | HexaError, then: Sequence[Reading | HexaError] = ()) -> None:
        self.readings, self.then = list(readings), list(then)
        self.calls: list[str] = []
        self.errors: list[HexaError] = []

    async def sense(self) -> Reading:
        said = self.readings.pop(0) if len(self.readings) > 1 else self.readings[0]
        if isinstance(said, HexaError):
            raise said
        return said

    async def turn_on(self) -> None:
        self._act("on")

    async def turn_off(self) -> None:
        self._act("off")

    async def cut(self) -> None:
        self._act("cut")

    def _act(self, what: str) -> None:
        self.calls.append(what)
        if self.then:
            self.readings, self.then = self.then, []
        if self.errors:
            raise self.errors.pop(0)


def ways(power: Scripted, *, metered: bool = False, button: bool = False, reads: bool = True) -> Ways:
    """One driver that does everything but cut."""
    names: dict[str, Any] = {"on": "http", "off": "http", "cut": None, "sense": "http" if reads else None}
    toggling = frozenset({"http"}) if button else frozenset()
    return Ways(
        machine="worker-01",
        roles=Roles(**names, metered=metered, toggling=toggling),  # type: ignore[arg-type]
        on=power,
        off=power,
        sense=power if reads else None,
    )


@pytest.mark.parametrize("metered", [True, False])
async def test_failure_41_one_reading_of_a_meter_keeps_no_shutdown_back(metered: bool, autojump_clock: Any) -> None:
    """A plug or a BMC that reads off once, and on the next time, does not stand in the way of the order; two readings do."""
    power = Scripted(OFF, ON, then=[OFF])
    done = await turn_off(ways(power, metered=metered), PATIENCE, hard=False)
    assert (power.calls, done.power, done.verified) == (["off"], OFF, True)
    power = Scripted(OFF, OFF)
    assert (await turn_off(ways(power, metered=metered), PATIENCE, hard=False)).steps == ()
    assert power.calls == []


async def test_failure_41_a_meter_in_doubt_keeps_no_shutdown_back_and_its_reason_is_told(autojump_clock: Any) -> None:
    """The order is sent, off is not believed, and what is wrong with the meter is the error."""
    power = Scripted(DOUBT)
    with pytest.raises(Unavailable, match="its watts are negative") as raised:
        await turn_off(ways(power, metered=True), PATIENCE, hard=False)
    assert raised.value.reason == "Doubtful"
    assert power.calls == ["off"]


async def test_failure_41_off_after_on_is_read_twice_before_it_is_believed(autojump_clock: Any) -> None:
    """One reading of off between readings of on is none; what is read off but once is said."""
    power = Scripted(ON, then=[OFF, ON, ON, OFF, OFF])
    done = await turn_off(ways(power), PATIENCE, hard=False)
    assert (done.power, done.verified, power.calls) == (OFF, True, ["off"])
    power = Scripted(ON, then=[ON] * 4 + [OFF])
    with pytest.raises(Unavailable, match="http has read off only once"):
        await turn_off(ways(power), Patience(verify=3.5), hard=False)


async def test_failure_41_status_by_a_meter_reads_off_twice(autojump_clock: Any) -> None:
    """Off by a meter is verified by a second reading; on, or a BMC's off, by one."""
    assert await status(ways(Scripted(OFF, ON), metered=True)) == Switched(power=ON, verified=True, steps=())
    assert (await status(ways(Scripted(OFF, ON)))).power is OFF


async def test_failure_41_a_cycle_does_not_begin_on_one_reading(autojump_clock: Any) -> None:
    """A machine that seems off for one reading is shut down before it is turned on."""
    power = Scripted(OFF, ON, then=[OFF])
    with pytest.raises(Unavailable, match="still reads off"):
        await cycle(ways(power, metered=True), PATIENCE, hard=False)
    assert power.calls == ["off", "on"]


async def test_failure_49_a_button_is_pressed_once_and_only_on_the_other_state(autojump_clock: Any) -> None:
    """What is on already is not pressed off, and a press that shows no effect is not repeated."""
    power = Scripted(ON)
    assert (await turn_on(ways(power, button=True), PATIENCE)).steps == ()
    assert power.calls == []
    power = Scripted(OFF)
    with pytest.raises(Unavailable, match="still reads off"):
        await turn_on(ways(power, button=True), PATIENCE)
    assert power.calls == ["on"]
    power = Scripted(OFF, ON)  # one sample of off: it runs
    assert (await turn_on(ways(power, button=True), PATIENCE)).power is ON
    assert power.calls == []


@pytest.mark.parametrize("act", [turn_on, turn_off])
@pytest.mark.parametrize("reading", [UNKNOWN, DOUBT])
async def test_failure_49_a_button_is_not_pressed_in_doubt(act: Any, reading: Any, autojump_clock: Any) -> None:
    """Where the reading can't tell, the button is left alone after a while of asking again, with the true reason."""
    power, more = Scripted(reading), {"hard": False} if act is turn_off else {}
    began = trio.current_time()
    with pytest.raises(Unavailable, match=r"a button does the opposite of what is|its watts are negative"):
        await act(ways(power, button=True), PATIENCE, **more)
    assert power.calls == []
    assert 20 <= trio.current_time() - began <= PATIENCE.verify
    power = Scripted(reading, reading, OFF, then=[ON])
    if act is turn_on:
        assert (await act(ways(power, button=True), PATIENCE)).power is ON
        assert power.calls == ["on"]


async def test_failure_49_a_press_whose_answer_is_lost_is_not_repeated(autojump_clock: Any) -> None:
    """A busy or odd answer to a press may follow a press that was made: it is asked once, and read."""
    for reason in ("Busy", "DeviceError"):
        power = Scripted(OFF)
        power.errors = [Unavailable("relay: odd; wait", reason=reason)] * 3
        with pytest.raises(Unavailable, match="relay: odd"):
            await turn_on(ways(power, button=True), PATIENCE)
        assert power.calls == ["on"]


async def test_failure_49_a_button_that_nothing_reads_is_pressed_once(autojump_clock: Any) -> None:
    """Without a reading there is one press for one order."""
    power = Scripted(UNKNOWN)
    done = await turn_off(ways(power, button=True, reads=False), PATIENCE, hard=False)
    assert (done.verified, power.calls) == (False, ["off"])


@pytest.mark.parametrize("act", [turn_on, turn_off])
async def test_failure_41_a_sensor_that_refuses_keeps_no_order_back(act: Any, autojump_clock: Any) -> None:
    """A plug whose password was changed keeps no wake and no shutdown by another driver back; it is the error after it. A driver
    that is to act itself is not asked twice with a wrong password."""
    refused = Refused("plug: the password is wrong; correct it", reason="BadCredentials")
    more = {"hard": False} if act is turn_off else {}
    for names, calls in (({"on": "wakeOnLan", "off": "ssh"}, 1), ({}, 0)):
        power = Scripted(refused)
        way = ways(power)
        with pytest.raises(Refused, match="the password is wrong"):
            await act(structs.replace(way, roles=structs.replace(way.roles, **names)), PATIENCE, **more)
        assert len(power.calls) == calls


async def test_failure_58_what_was_not_understood_is_asked_again(autojump_clock: Any) -> None:
    """A controller that answers oddly while it starts gets the same request again, for a bounded time, and the reason stays."""
    odd = Unavailable("bmc: an empty body; wait", reason="DeviceError")
    power = Scripted(OFF, then=[ON])
    power.errors = [odd, odd]
    assert (await turn_on(ways(power), PATIENCE)).verified
    assert power.calls == ["on"] * 3
    power = Scripted(OFF)
    power.errors = [odd] * 99
    began = trio.current_time()
    with pytest.raises(Unavailable, match="an empty body"):
        await turn_on(ways(power), PATIENCE)
    assert 20 <= trio.current_time() - began <= PATIENCE.verify / 2
