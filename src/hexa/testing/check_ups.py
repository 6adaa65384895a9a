"""The contract of `ports.ups`, as checks that run on every implementation: in RAM, on hexa's client of upsd, and on others.

`check_ups(bench)` runs them all, `UPS_CHECKS` has them one by one; the last one leaves the bench's UPS without a driver.
A failed check raises AssertionError.
"""

from collections.abc import Awaitable, Callable
from typing import Final

from hexa.testing.contracts.ups import (
    UpsBench,
    a_contradiction_is_unknown,
    a_low_battery_is_told,
    a_ups_that_is_not_known_is_refused,
    mains_and_battery_are_told,
    silence_is_unavailable,
    stale_data_are_unavailable,
)

__all__ = ["UPS_CHECKS", "Check", "UpsBench", "check_ups"]

Check = Callable[[UpsBench], Awaitable[None]]

UPS_CHECKS: Final[tuple[Check, ...]] = (
    mains_and_battery_are_told,
    a_low_battery_is_told,
    a_contradiction_is_unknown,
    a_ups_that_is_not_known_is_refused,
    silence_is_unavailable,
    stale_data_are_unavailable,
)


async def check_ups(bench: UpsBench) -> None:
    """Run every check, one after the other."""
    for check in UPS_CHECKS:
        await check(bench)
