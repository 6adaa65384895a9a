"""hexa's client of upsd against Debian's server of Network UPS Tools, with its dummy driver (.ci/packages)."""

from pathlib import Path

import pytest
from counterparts import upsd

from hexa.adapters.nut.adapter import NutUps
from hexa.testing.check_ups import UpsBench, check_ups

HERE = all(Path("/lib/nut", name).exists() for name in ("upsd", "dummy-ups"))


@pytest.mark.skipif(not HERE, reason="nut-server is not installed (.ci/packages)")
async def test_the_client_of_upsd_against_debians(tmp_path: Path) -> None:
    """Mains, battery, a low one, a contradiction, an unknown name, and the stale data of a driver that hangs: as in RAM."""
    with upsd(tmp_path) as (port, dummy):

        async def say(status: str, charge: float, runtime: float) -> None:
            dummy.say(ups_status=status, battery_charge=f"{charge:g}", battery_runtime=f"{runtime:g}")

        async def stale() -> None:
            dummy.hang()

        address = f"127.0.0.1:{port}"
        await check_ups(
            UpsBench(
                ups=NutUps(address, "rack"),
                say=say,
                stale=stale,
                stranger=NutUps(address, "other"),
                nobody=NutUps("127.0.0.1:1", "rack"),
            )
        )
