"""Executables as drivers."""

from pathlib import Path
from typing import Any

import pytest
from tests.adapters.power.secrets import context, secret

from hexa.adapters.power.script import open_power
from hexa.domain.errors import Refused, Unavailable
from hexa.domain.resources.power_spec import Script
from hexa.testing.check_power import PowerBench, check_power

MACHINE = """#!/bin/sh
state=$1
case $2 in
on|off) echo $2 > $state ;;
cut) echo off > $state ;;
status) cat $state ;;
esac
"""


def script(folder: Path, text: str = MACHINE, **more: Any) -> Script:
    """A script in the folder, and its settings."""
    file = folder / "machine.sh"
    file.write_text(text)
    file.chmod(0o755)
    (folder / "state").write_text("off\n")
    return Script(**{"command": (str(file), str(folder / "state")), "can": ("on", "off", "cut", "status"), **more})


async def test_contract(tmp_path: Path) -> None:
    """Five lines of shell are a driver."""
    settings = script(tmp_path)
    await check_power(PowerBench(open=lambda: open_power(settings, context(tmp_path))))


@pytest.mark.parametrize(
    ("text", "error", "says"),
    [
        ("echo why >&2; exit 3", Refused, "worker-01: script at .*: status ended with exit code 3: why; look at"),
        ("echo why >&2; exit 1", Unavailable, "status ended with exit code 1: why; try again"),
        ("echo perhaps", Refused, "it printed no reading; its status must end with on, off or unknown"),
        ("sleep 9", Unavailable, "no answer within 0.5 s"),
    ],
)
async def test_what_goes_wrong(tmp_path: Path, text: str, error: type[Exception], says: str) -> None:
    """Exit codes 2 and 3 ask for a person, others for another try; the last line of standard error says why."""
    settings = script(tmp_path, f"#!/bin/sh\n{text}\n")
    async with open_power(settings, context(tmp_path, patience=0.5)) as power:
        with pytest.raises(error, match=says):
            await power.sense()


async def test_it_is_told_machine_action_and_secret(tmp_path: Path) -> None:
    """HEXA_MACHINE, HEXA_ACTION and HEXA_SECRET, a folder; no secret is in its arguments or environment."""
    secret(tmp_path, "relay", token="pl4nted")
    settings = script(tmp_path, '#!/bin/sh\nenv > "$1"; cat $HEXA_SECRET/token; echo on\n', secret_name="relay")
    async with open_power(settings, context(tmp_path)) as power:
        await power.sense()
    environment = (tmp_path / "state").read_text()
    assert "HEXA_MACHINE=worker-01\n" in environment
    assert "HEXA_ACTION=status\n" in environment
    assert "pl4nted" not in environment


async def test_it_is_not_there(tmp_path: Path) -> None:
    """A missing executable is named."""
    async with open_power(Script(command=("/no/such",)), context(tmp_path)) as power:
        with pytest.raises(Refused, match=r"script at /no/such: it can't be run .*; correct command"):
            await power.turn_on()
