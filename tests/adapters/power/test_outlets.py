"""Outlets of PDUs, without a PDU; tests/e2e has them against a real SNMP agent."""

from pathlib import Path
from typing import Any

import pytest
from tests.adapters.power.secrets import context, secret
from tests.adapters.power.test_http import closed_port

from hexa.adapters.power.outlets import Fed, Outlet, parse, reading
from hexa.adapters.power.pdu import open_power
from hexa.domain.errors import Refused, Unavailable
from hexa.domain.resources.power import Pdu
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


@pytest.mark.parametrize(
    ("more", "says"),
    [({"profile": None}, "it names no profile and no oids"), ({"on_watts": 8.0}, "onWatts needs an OID")],
)
async def test_settings_that_cannot_be_used(more: dict[str, Any], says: str, tmp_path: Path) -> None:
    """What is missing is said when the driver is opened."""
    with pytest.raises(Refused, match=says):
        async with open_power(pdu(**more), context(tmp_path)):
            pass
