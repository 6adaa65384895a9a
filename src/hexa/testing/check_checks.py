"""The contract of `ports.checks`, as checks that run on every implementation: in RAM and on a real cluster alike.

`check_checks(bench)` runs them all, `CHECKS_CHECKS` has them one by one. They need a node outside all groups that runs pods, the
CRDs of hexa, and what makes Jobs of CronJobs and collects garbage. A failed check raises AssertionError.
"""

from collections.abc import Awaitable, Callable
from typing import Final

from hexa.testing.contracts.bench import ChecksBench, Does
from hexa.testing.contracts.health_checks import (
    a_changed_check_is_changed_whole,
    a_check_is_made_once,
    a_check_never_runs_on_its_own_machine,
    a_check_of_somebody_else_is_left_alone,
    a_check_that_never_ran_says_nothing_of_the_machine,
    a_check_that_passes_and_one_that_fails_tell,
    a_removed_check_is_gone,
    checks_go_with_their_machine,
)

__all__ = ["CHECKS_CHECKS", "Check", "ChecksBench", "Does", "check_checks"]

Check = Callable[[ChecksBench], Awaitable[None]]

CHECKS_CHECKS: Final[tuple[Check, ...]] = (
    a_check_is_made_once,
    a_changed_check_is_changed_whole,
    a_check_that_passes_and_one_that_fails_tell,
    a_check_that_never_ran_says_nothing_of_the_machine,
    a_check_never_runs_on_its_own_machine,
    a_removed_check_is_gone,
    a_check_of_somebody_else_is_left_alone,
    checks_go_with_their_machine,
)


async def check_checks(bench: ChecksBench) -> None:
    """Run every check, one after the other."""
    for check in CHECKS_CHECKS:
        await check(bench)
