"""Quarantine: a machine that failed to start is left alone, longer after each failure in a row, and looked at meanwhile.

What is seen to work again brings its next try forward; where nothing can be seen, a quiet wake at the end of the back-off tells, if
the group lets hexa wake machines that nobody asked for. Failures are counted until it is Ready: one that fails again waits longer.
Nothing here switches anything off.
"""

from datetime import datetime, timedelta
from typing import Final

from msgspec import Struct, structs

from hexa.domain.machine.lifecycle import Phase, cool_off, phase_of
from hexa.domain.policy.limits import Limits
from hexa.domain.resources.health import CheckOutcome
from hexa.domain.resources.v1alpha1 import NodeStatus
from hexa.domain.rules.health import POWER_KNOWN
from hexa.domain.rules.subject import Alone

SHARE: Final = 4
"""What works again is tried after this part of its cool-off at the earliest: a reading that comes and goes costs no tries without
end."""
LONGEST: Final = timedelta(days=1)
"""Between two quiet wakes of a machine that never comes; its cool-off may end sooner, for pods that wait."""


class Sooner(Struct, frozen=True):
    """A next try that is brought forward."""

    at: datetime
    why: str


def sooner(status: NodeStatus, *, limits: Limits, now: datetime) -> Sooner | None:
    """The end of the cool-off of a machine that failed to start and was seen to work since; None: nothing was seen, or it is over
    by then anyway."""
    since, until = status.since, status.cool_until
    if phase_of(status) is not Phase.START_FAILED or since is None or until is None or until <= now:
        return None
    why = _seen_to_work(status, since)
    at = max(now, since + cool_off(status.failures, limits=limits) / SHARE)
    return Sooner(at, why) if why and at < until else None


def _seen_to_work(status: NodeStatus, since: datetime) -> str:
    """What is known since it failed, and was not before; empty: nothing."""
    check = status.check
    if check is not None and check.outcome is CheckOutcome.PASSED and check.since is not None and check.since >= since:
        return "its health check passes"
    known = next((each for each in status.conditions if each.type == POWER_KNOWN), None)
    turned = known.last_transition_time if known is not None and known.status == "True" else None
    return f"its power can be read again ({status.reading.source})" if turned is not None and turned > since else ""


def ends(machine: Alone, now: datetime) -> tuple[datetime, ...]:
    """When it may be chosen again."""
    status = machine.node.status
    return (status.cool_until,) if status.cool_until is not None and status.phase != Phase.READY else ()


def cooling(status: NodeStatus, now: datetime) -> bool:
    """Whether it may not be chosen yet."""
    return status.cool_until is not None and status.cool_until > now and status.phase != Phase.READY


def probe_due(status: NodeStatus, *, limits: Limits) -> datetime | None:
    """When a machine that is off and did not come when it was last woken is due for a quiet wake; None: it is in no quarantine."""
    failed = status.wake_failed_at
    if phase_of(status) is not Phase.OFF or failed is None or not status.failures:
        return None
    longest = max(limits.max_backoff, LONGEST)
    return failed + cool_off(status.failures, limits=structs.replace(limits, max_backoff=longest))


def returned(status: NodeStatus, *, probed: bool) -> str:
    """Why a machine that failed is back, for people; `status` is that of the moment before. Empty: it had not failed."""
    if not status.failures or phase_of(status) in (Phase.READY, Phase.DRAINING, Phase.LOST):
        return ""
    times = "its last start" if status.failures == 1 else f"its last {status.failures} starts"
    if phase_of(status) is Phase.START_FAILED:
        return f"{times} failed, and it came late, by itself"
    how = "a quiet wake" if probed else "a wake" if status.wakes else "somebody else, or mains that came back,"
    return f"{times} failed, and {how} has brought it up"
