"""The contract of `ports.power`, as checks that every driver passes: hexa's own, and those that other packages bring.

`check_power(bench)` runs them all, `POWER_CHECKS` has them one by one. They switch the bench's machine on and off.
A failed check raises AssertionError.
"""

from collections.abc import Awaitable, Callable
from typing import Final

from hexa.testing.contracts.power import (
    Ability,
    PowerBench,
    it_cuts,
    it_turns_off,
    it_turns_on,
    its_reading_is_true,
    its_repr_is_tame,
    silence_is_unavailable,
    wrong_credentials_are_refused,
)

__all__ = ["POWER_CHECKS", "Ability", "Check", "PowerBench", "check_power"]

Check = Callable[[PowerBench], Awaitable[None]]

POWER_CHECKS: Final[tuple[Check, ...]] = (
    it_turns_on,
    it_turns_off,
    it_cuts,
    its_reading_is_true,
    silence_is_unavailable,
    wrong_credentials_are_refused,
    its_repr_is_tame,
)


async def check_power(bench: PowerBench) -> None:
    """Run every check, one after the other."""
    for check in POWER_CHECKS:
        await check(bench)
