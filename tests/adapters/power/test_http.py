"""Smart plugs by HTTP, on a real server that answers in recorded shapes."""

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.adapters.power.devices import PASSWORD, Device, serving
from tests.adapters.power.secrets import context, secret

from hexa.adapters.power.http import open_power
from hexa.domain.errors import Refused, Unavailable
from hexa.domain.resources.power_spec import Http, HttpRequest, HttpStatus, HttpTemplate
from hexa.domain.resources.v1alpha1 import Reading
from hexa.ports.power import UNMEASURED, Measurement, Metered
from hexa.testing.check_power import POWER_CHECKS, Check, PowerBench

TEMPLATE = HttpTemplate(
    turn_on=HttpRequest(path="/api/{outlet}", method="PUT", body='{"power": "on"}'),
    turn_off=HttpRequest(path="api/{outlet}", method="PUT", body='{"power": "off"}'),
    status=HttpStatus(path="/api/{outlet}", state="relays.1.state", watts="relays.1.w"),
)
KINDS = {"shelly_1": "shelly", "shelly_2": "shelly", "tasmota": "tasmota", "relay": "template"}


def closed_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(params=list(KINDS))
def device(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Device]:
    """A device of each kind, and the Secrets plug and wrong."""
    secret(tmp_path, "plug", password=PASSWORD)
    secret(tmp_path, "wrong", password="pl4nted-mistake")
    with serving(Device(request.param)) as device:
        yield device


@pytest.fixture(params=[kind for kind in KINDS if kind != "relay"])
def plug(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Device]:
    """A device of each kind that has two outlets and knows which."""
    secret(tmp_path, "plug", password=PASSWORD)
    with serving(Device(request.param)) as device:
        yield device


def settings(device: Device, **more: Any) -> Http:
    """Two outlets, so that a machine with two supplies is meant; the home-made relay has one."""
    kind = KINDS[device.kind]
    outlets = {"shelly": ("0", "1"), "tasmota": ("1", "2"), "template": ("1",)}[kind]
    template = TEMPLATE if kind == "template" else None
    return Http(
        **{
            "address": device.url,
            "device": kind,
            "outlets": outlets,
            "template": template,
            "secret_name": "plug",
            **more,
        }
    )


@pytest.mark.parametrize("check", POWER_CHECKS, ids=lambda check: check.__name__)
async def test_contract(check: Check, device: Device, tmp_path: Path) -> None:
    """Each device keeps the contract of drivers; outlets can be cut and can shut nothing down."""
    here = context(tmp_path)
    nobody = f"127.0.0.1:{closed_port()}"
    await check(
        PowerBench(
            open=lambda: open_power(settings(device), here),
            can=frozenset(("on", "cut", "sense")),
            unreachable=lambda: open_power(settings(device, address=nobody), here),
            denied=lambda: open_power(settings(device, secret_name="wrong"), here),
            address="127.0.0.1",
            secrets=(PASSWORD, "pl4nted-mistake"),
        )
    )


async def test_no_password_in_a_url(device: Device, tmp_path: Path) -> None:
    """What the device, or a proxy before it, may log has no password in it."""
    async with open_power(settings(device), context(tmp_path)) as power:
        await power.turn_on()
        await power.sense()
    assert device.asked
    assert not [line for line in device.asked if "pl4nted" in line]


async def test_both_supplies_are_switched_and_one_keeps_it_on(plug: Device, tmp_path: Path) -> None:
    """A machine with two supplies is off only when neither feeds it."""
    async with open_power(settings(plug), context(tmp_path)) as power:
        await power.turn_on()
        assert plug.outlets == {0: True, 1: True}
        plug.outlets[0] = False
        assert await power.sense() is Reading.ON
        plug.outlets[1] = False
        assert await power.sense() is Reading.OFF


async def test_watts_tell_a_machine_that_rests_from_one_that_runs(device: Device, tmp_path: Path) -> None:
    """With onWatts a live outlet that feeds next to nothing is a machine that is off."""
    device.outlets = {0: True, 1: True}
    device.watts = 1.4
    async with open_power(settings(device, on_watts=8.0), context(tmp_path)) as power:
        assert await power.sense() is Reading.OFF
        device.watts = 61.0
        assert await power.sense() is Reading.ON


async def test_energy_and_watts_are_those_of_all_outlets(device: Device, tmp_path: Path) -> None:
    """Each device by its own unit: watt-minutes, watt-hours, kilowatt-hours; a home-made one tells watts alone."""
    device.watts, device.kwh = 40.5, 12.25
    async with open_power(settings(device), context(tmp_path)) as power:
        assert isinstance(power, Metered)
        found = await power.measure()
    outlets, counts = (1, False) if device.kind == "relay" else (2, True)
    assert found == Measurement(watts=outlets * 40.5, kwh=pytest.approx(outlets * 12.25) if counts else None)


async def test_figures_that_make_no_sense_are_none(plug: Device, tmp_path: Path) -> None:
    """Negative watts, and an energy that is no number, are left out."""
    plug.watts, plug.kwh = -3.0, -1.0
    async with open_power(settings(plug), context(tmp_path)) as power:
        assert isinstance(power, Metered)
        assert await power.measure() == UNMEASURED


async def test_unknown_outlet_is_named(plug: Device, tmp_path: Path) -> None:
    """An outlet that the device does not have is refused by name, and no other is switched in its place."""
    async with open_power(settings(plug, outlets=("7",)), context(tmp_path)) as power:
        with pytest.raises(Refused, match=r"worker-01: http at .*: it has no outlet 7; correct outlets"):
            await power.turn_on()
    assert plug.outlets == {0: False, 1: False}


async def test_rotated_password_is_picked_up(device: Device, tmp_path: Path) -> None:
    """An open driver reads the Secret at each use."""
    async with open_power(settings(device, secret_name="wrong"), context(tmp_path)) as power:
        with pytest.raises(Refused, match="the user or the password is wrong; correct the Secret"):
            await power.turn_on()
        secret(tmp_path, "wrong", password=PASSWORD)
        await power.turn_on()
    assert any(device.outlets.values())


async def test_missing_secret_says_where_it_belongs(tmp_path: Path) -> None:
    """A Secret that is not mounted is named with its path."""
    with serving(Device("tasmota")) as device:
        async with open_power(settings(device), context(tmp_path)) as power:
            with pytest.raises(
                Refused, match=rf"the key password of Secret plug is missing; put it at {tmp_path}/plug/password"
            ):
                await power.sense()


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("http://admin:pl4nted@plug", "its address has credentials in it; put them into a Secret"),
        ("http://", "its address is no URL; write it like"),
        ("ftp://plug", "its address is no URL"),
    ],
)
async def test_address_that_cannot_be_used(address: str, says: str, tmp_path: Path) -> None:
    """An address that is no URL, or has a password in it, is refused before anything is sent."""
    with pytest.raises(Refused, match=says):
        async with open_power(Http(address=address, device="shelly"), context(tmp_path)):
            pass


async def test_something_else_at_the_address(tmp_path: Path) -> None:
    """A web server that is no plug is told as such."""
    with serving(Device("redfish", protected=False)) as device:
        async with open_power(Http(address=device.url, device="shelly"), context(tmp_path)) as power:
            with pytest.raises(Refused, match="it is no Shelly; correct its address or device"):
                await power.sense()


async def test_silent_device(tmp_path: Path) -> None:
    """A device that takes the connection and says nothing is unavailable after the caller's patience."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        async with open_power(Http(address=address, device="shelly"), context(tmp_path, patience=0.2)) as power:
            with pytest.raises(Unavailable, match=r"no answer within 0.2 s; check its address"):
                await power.sense()
