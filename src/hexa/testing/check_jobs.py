"""The contract of `ports.jobs`, as checks that run on every implementation: in RAM and on a real cluster alike.

`check_jobs(bench)` runs them all, `JOBS_CHECKS` has them one by one. They need a node outside all groups that runs
pods, the CRDs of hexa, and what makes Jobs and collects garbage. A failed check raises AssertionError.
"""

from collections.abc import Awaitable, Callable
from typing import Final

from hexa.testing.contracts.bench import Does, JobsBench
from hexa.testing.contracts.orders import (
    a_failed_order_says_why,
    a_missing_image_is_named,
    an_order_ends_at_its_deadline,
    an_order_is_done,
    an_order_is_started_once,
    an_order_never_runs_on_its_own_machine,
    an_order_that_fits_nowhere_says_so,
    another_attempt_is_another_order,
    cancel_leaves_nothing,
    cancelling_nothing_is_success,
    orders_go_with_their_machine,
)

__all__ = ["JOBS_CHECKS", "Check", "Does", "JobsBench", "check_jobs"]

Check = Callable[[JobsBench], Awaitable[None]]

JOBS_CHECKS: Final[tuple[Check, ...]] = (
    an_order_is_done,
    an_order_is_started_once,
    another_attempt_is_another_order,
    a_failed_order_says_why,
    a_missing_image_is_named,
    an_order_that_fits_nowhere_says_so,
    an_order_never_runs_on_its_own_machine,
    an_order_ends_at_its_deadline,
    cancel_leaves_nothing,
    cancelling_nothing_is_success,
    orders_go_with_their_machine,
)


async def check_jobs(bench: JobsBench) -> None:
    """Run every check, one after the other."""
    for check in JOBS_CHECKS:
        await check(bench)
