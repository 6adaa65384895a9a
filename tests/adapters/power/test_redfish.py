"""The driver for Redfish; tests/e2e has it against an emulator."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.adapters.power.devices import CERTS, PASSWORD, Device, serving
from tests.adapters.power.secrets import context, secret
from tests.adapters.power.test_http import closed_port

from hexa.adapters.power.redfish import open_power
from hexa.domain.errors import Refused, Unavailable
from hexa.domain.resources.power_spec import Redfish, Tls
from hexa.domain.resources.v1alpha1 import Reading
from hexa.ports.power import UNMEASURED, HardPower, Measurement, Metered
from hexa.testing.check_power import POWER_CHECKS, Check, PowerBench


@pytest.fixture
def bmc(tmp_path: Path) -> Iterator[Device]:
    """A controller, and the Secrets bmc and wrong."""
    secret(tmp_path, "bmc", username="admin", password=PASSWORD)
    secret(tmp_path, "wrong", username="admin", password="pl4nted-mistake")
    with serving(Device("redfish")) as device:
        yield device


def settings(device: Device, **more: Any) -> Redfish:
    """The controller's settings."""
    return Redfish(**{"address": device.url, "secret_name": "bmc", **more})


@pytest.mark.parametrize("check", POWER_CHECKS, ids=lambda check: check.__name__)
async def test_contract(check: Check, bmc: Device, tmp_path: Path) -> None:
    """The driver keeps the contract."""
    here = context(tmp_path)
    nobody = f"http://127.0.0.1:{closed_port()}"
    await check(
        PowerBench(
            open=lambda: open_power(settings(bmc), here),
            unreachable=lambda: open_power(settings(bmc, address=nobody), here),
            denied=lambda: open_power(settings(bmc, secret_name="wrong"), here),
            address="127.0.0.1",
            secrets=(PASSWORD, "pl4nted-mistake"),
        )
    )


@pytest.mark.parametrize("info", ["", "/redfish/v1/Systems/1/ResetActionInfo"])
async def test_a_list_of_resets_that_is_empty_yet_forbids_none(bmc: Device, tmp_path: Path, info: str) -> None:
    """A controller that starts has not filled it in: the reset is asked for, and the controller may say no."""
    bmc.outlets[0] = True
    bmc.resets, bmc.info = [], info
    async with open_power(settings(bmc), context(tmp_path)) as power:
        await power.turn_off()
    assert not bmc.outlets[0]


async def test_soft_and_hard_are_told_apart(bmc: Device, tmp_path: Path) -> None:
    """Off asks for a graceful shutdown, cut for the forced one; a controller that can't is named with what it can."""
    bmc.outlets[0] = True
    bmc.resets = ["On", "ForceOff"]
    async with open_power(settings(bmc), context(tmp_path)) as power:
        with pytest.raises(
            Refused, match=r"it can do none of GracefulShutdown, PushPowerButton \(it can On, ForceOff\)"
        ):
            await power.turn_off()
        assert bmc.outlets[0]
        assert isinstance(power, HardPower)
        await power.cut()
    assert not bmc.outlets[0]


async def test_a_button_is_pressed_only_where_the_power_is_known(bmc: Device, tmp_path: Path) -> None:
    """A button does the opposite of what is, so in a transition it is left alone."""
    bmc.resets = ["PushPowerButton"]
    bmc.state = "PoweringOn"
    async with open_power(settings(bmc), context(tmp_path)) as power:
        assert await power.sense() is Reading.UNKNOWN
        with pytest.raises(Unavailable, match="its power is not known now, and a button does the opposite of what is"):
            await power.turn_off()
        bmc.state = "On"
        await power.turn_off()
    assert sum(line.startswith("POST") for line in bmc.asked) == 1


async def test_types_of_reset_in_a_resource_of_their_own(bmc: Device, tmp_path: Path) -> None:
    """Some controllers say there, and not beside the action, what they can do; one that says nothing is asked for the best."""
    bmc.outlets[0] = True
    bmc.resets = ["On", "ForceOff"]
    bmc.info = "/redfish/v1/Systems/1/ResetActionInfo"
    async with open_power(settings(bmc), context(tmp_path)) as power:
        with pytest.raises(Refused, match=r"it can do none of .* \(it can On, ForceOff\)"):
            await power.turn_off()
        bmc.info = "/redfish/v1/Systems/1/nothing"
        await power.turn_off()
    assert not bmc.outlets[0]


@pytest.mark.parametrize(("status", "error"), [(503, Unavailable), (409, Unavailable), (501, Refused)])
async def test_the_controllers_own_words_are_told(
    bmc: Device, tmp_path: Path, status: int, error: type[Exception]
) -> None:
    """A refusal carries the controller's message; being busy, or in a state in which it can't, may go by itself."""
    bmc.reset_status = status
    async with open_power(settings(bmc), context(tmp_path)) as power:
        with pytest.raises(
            error, match=rf'the reset On was answered by status {status} \("The chassis is busy"\)'
        ) as raised:
            await power.turn_on()
    assert (getattr(raised.value, "reason", "") == "Busy") == (status == 503)


CHASSIS = "/redfish/v1/Chassis/1"
SYSTEM: dict[str, Any] = {"/redfish/v1/Systems/1": {"Links": {"Chassis": [{"@odata.id": CHASSIS}]}}}
POWER = {f"{CHASSIS}/Power": {"PowerControl": [{"PowerConsumedWatts": 137}]}}
METRICS = {f"{CHASSIS}/Env": {"PowerWatts": {"Reading": 140.5}, "EnergykWh": {"Reading": 812.25}}}


@pytest.mark.parametrize(
    ("parts", "found"),
    [
        ({}, UNMEASURED),
        (SYSTEM, UNMEASURED),
        (SYSTEM | {CHASSIS: {"Power": {"@odata.id": f"{CHASSIS}/Power"}}} | POWER, Measurement(watts=137)),
        (
            SYSTEM | {CHASSIS: {"EnvironmentMetrics": {"@odata.id": f"{CHASSIS}/Env"}}} | METRICS,
            Measurement(watts=140.5, kwh=812.25),
        ),
        (SYSTEM | {CHASSIS: {"Power": {"@odata.id": "/gone"}, "EnvironmentMetrics": 7}}, UNMEASURED),
    ],
)
async def test_a_controller_measures_what_it_can(
    bmc: Device, tmp_path: Path, parts: dict[str, Any], found: Measurement
) -> None:
    """By the metrics of its chassis with their count of energy, else by its power; one without either says nothing."""
    bmc.parts = parts
    async with open_power(settings(bmc), context(tmp_path)) as power:
        assert isinstance(power, Metered)
        assert await power.measure() == found


async def test_unknown_system(bmc: Device, tmp_path: Path) -> None:
    """A system that is not there is named."""
    async with open_power(settings(bmc, system="nine"), context(tmp_path)) as power:
        with pytest.raises(Refused, match="it has no system nine; correct system"):
            await power.sense()


async def test_certificates(tmp_path: Path) -> None:
    """A certificate that nothing vouches for is refused with the remedy; with its authority from a Secret it is taken."""
    secret(tmp_path, "bmc", username="admin", password=PASSWORD)
    (tmp_path / "bmc" / "ca.crt").write_text((CERTS / "ca.crt").read_text())
    with serving(Device("redfish"), tls=True) as device:
        here = context(tmp_path)
        async with open_power(settings(device), here) as power:
            with pytest.raises(
                Refused, match=r"its certificate is not taken \(.*\); put its certificate into the key ca.crt"
            ):
                await power.sense()
        assert not device.asked
        for tls in (Tls(ca_secret_name="bmc"), Tls(insecure_skip_verify=True)):
            async with open_power(settings(device, tls=tls), here) as power:
                assert await power.sense() is Reading.OFF
        async with open_power(settings(device, tls=Tls(ca_secret_name="bmc", server_name="other.lan")), here) as power:
            with pytest.raises(Refused, match="its certificate is not taken"):
                await power.sense()


async def test_plain_http_where_tls_is_expected(bmc: Device, tmp_path: Path) -> None:
    """https to a port that speaks http is told as such."""
    async with open_power(settings(bmc, address=bmc.url.replace("http:", "https:")), context(tmp_path)) as power:
        with pytest.raises(Refused, match="there is no TLS connection to it; look whether it speaks TLS"):
            await power.sense()
