"""Outlets of PDUs, without a PDU; tests/e2e has them against a real SNMP agent."""

from pathlib import Path
from typing import Any

import pytest
import trio
from tests.adapters.power.secrets import context, secret
from tests.adapters.power.test_http import closed_port

from hexa.adapters.power.measurements import Figure, figure, product
from hexa.adapters.power.outlets import Fed, Outlet, fed, parse, reading, told
from hexa.adapters.power.pdu import open_power
from hexa.domain.errors import Refused, Unavailable
from hexa.domain.resources.power_spec import Pdu
from hexa.domain.resources.v1alpha1 import Reading

ON, OFF, UNKNOWN = Reading.ON, Reading.OFF, Reading.UNKNOWN


def test_outlets_may_be_on_several_devices() -> None:
    """A machine with two supplies hangs on two PDUs."""
    assert parse(("3", "pdu-b.lan/4"), "pdu-a.lan") == [Outlet("pdu-a.lan", "3"), Outlet("pdu-b.lan", "4")]


@pytest.mark.parametrize(
    ("fed", "on_watts", "expected"),
    [
        ([Fed(ON), Fed(OFF)], None, ON),
        ([Fed(OFF), Fed(OFF)], None, OFF),
        ([Fed(OFF), Fed(UNKNOWN)], None, UNKNOWN),
        ([], None, UNKNOWN),
        ([Fed(ON, 3.0)], 8.0, OFF),
        ([Fed(ON, 3.0), Fed(ON, 60.0)], 8.0, ON),
        ([Fed(ON)], 8.0, UNKNOWN),
        ([Fed(OFF)], 8.0, OFF),
    ],
)
def test_reading_of_all_outlets(fed: list[Fed], on_watts: float | None, expected: Reading) -> None:
    """On while one feeds the machine, off when none does, and unknown where that can't be told."""
    assert reading(fed, on_watts=on_watts) is expected


@pytest.mark.parametrize(
    ("value", "doubt"),
    [
        (-87, "negative"),
        (-0.4, "negative"),
        (float("nan"), "not a number"),
        (float("inf"), "not a number"),
        (float("-inf"), "not a number"),
        ("61", "a number is needed"),
        (True, "a number is needed"),
        ([61], "a number is needed"),
        ({}, "a number is needed"),
        (None, "tells no watts"),
        (100_001, "more than any outlet gives"),
        (1e300, "more than any outlet gives"),
    ],
)
async def test_failure_41_a_figure_that_cannot_be_trusted_is_no_figure(value: Any, doubt: str, tmp_path: Path) -> None:
    """Negative, not finite, no number, more than an outlet gives: the power is not known, with that reason, and never off."""
    doubted = figure(value)
    assert doubted.watts is None
    assert doubt in doubted.doubt
    one = fed(ON, doubted)
    assert reading([one], on_watts=8.0) is UNKNOWN
    with pytest.raises(Unavailable, match=doubt) as raised:
        told([one], on_watts=8.0, context=context(tmp_path))
    assert raised.value.reason == "Doubtful"
    assert told([one, Fed(ON, 60.0)], on_watts=8.0, context=context(tmp_path)) is ON
    assert told([one], on_watts=None, context=context(tmp_path)) is ON


@pytest.mark.parametrize(
    ("state", "watts", "volts", "amperes", "expected"),
    [
        (ON, 1.4, 231, 0.07, OFF),  # a standby supply: a power factor of 0.09
        (ON, 0.087, 231, 0.41, UNKNOWN),  # kilowatts
        (ON, 0, 231, 0.41, UNKNOWN),  # a meter of watts that is dead
        (ON, 0, 0, 0, OFF),
        (ON, 0, 231, "0.41", OFF),  # no figure of amperes says nothing
        (OFF, 71, 231, 0.35, UNKNOWN),
        (OFF, -71, 0, 0, UNKNOWN),
        (OFF, 0.3, 231, 0.01, OFF),
    ],
)
def test_failure_41_two_figures_that_contradict_each_other_prove_nothing(
    state: Reading, watts: float, volts: Any, amperes: Any, expected: Reading
) -> None:
    """Watts beside volts and amperes, and a closed outlet that draws power: where they contradict, the power is not known."""
    assert reading([fed(state, figure(watts), apparent=product(volts, amperes))], on_watts=8.0) is expected


async def test_failure_41_a_thousandth_of_the_last_figure_is_another_unit(tmp_path: Path, autojump_clock: Any) -> None:
    """A plug that counts in kilowatts from one reading to the next is doubted; next to nothing, or as little for long, is off."""
    here = context(tmp_path)
    assert told([Fed(ON, 87.0)], on_watts=8.0, context=here) is ON
    with pytest.raises(Unavailable, match=r"0.0871, a thousandth of 87 before: look at its unit"):
        told([Fed(ON, 0.0871)], on_watts=8.0, context=here)
    assert told([Fed(ON, 1.4)], on_watts=8.0, context=here) is OFF
    assert told([Fed(ON, 0.0)], on_watts=8.0, context=here) is OFF
    await trio.sleep(700)
    assert told([Fed(ON, 0.0871)], on_watts=8.0, context=here) is OFF
    for number in range(5000):
        here.memory.drew(f"box-{number}", 60.0, now=0.0)
    assert len(here.memory.drawn) == 4096


def test_an_outlet_that_is_off_needs_no_figure() -> None:
    """A meter that can't tell does not stand in the way of an outlet that is off."""
    assert reading([fed(OFF, Figure(doubt="it tells no watts"))], on_watts=8.0) is OFF


def pdu(**more: Any) -> Pdu:
    """A PDU on loopback that is not there."""
    return Pdu(**{"address": "127.0.0.1", "outlets": ("1",), "secret_name": "pdu", "profile": "apc-rpdu", **more})


async def test_no_pdu_there(tmp_path: Path) -> None:
    """A closed port is told at once, and a missing community before anything is sent."""
    async with open_power(pdu(port=closed_port()), context(tmp_path)) as power:
        with pytest.raises(Refused, match="the key community of Secret pdu is missing; put it at"):
            await power.sense()
        secret(tmp_path, "pdu", community="pl4nted")
        with pytest.raises(
            Unavailable, match=r"worker-01: pdu at 127.0.0.1: nothing listens there .*; check its address"
        ):
            await power.turn_on()
        with pytest.raises(Refused, match="an outlet can only cut the power; name another driver for off"):
            await power.turn_off()


async def test_an_outlet_that_makes_no_oid_is_named(tmp_path: Path) -> None:
    """An outlet that is no number is refused before anything is sent."""
    secret(tmp_path, "pdu", community="pl4nted")
    with pytest.raises(Refused, match=r"outlet 'seven' is no number; write the number that SNMP has"):
        async with open_power(pdu(outlets=("seven",), port=closed_port()), context(tmp_path)):
            pass


@pytest.mark.parametrize(
    ("more", "says"),
    [({"profile": None}, "it names no profile and no oids"), ({"on_watts": 8.0}, "onWatts needs an OID")],
)
async def test_settings_that_cannot_be_used(more: dict[str, Any], says: str, tmp_path: Path) -> None:
    """What is missing is said when the driver is opened."""
    with pytest.raises(Refused, match=says):
        async with open_power(pdu(**more), context(tmp_path)):
            pass
