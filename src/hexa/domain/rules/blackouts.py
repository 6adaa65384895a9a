"""Blackouts: weekly windows in which no program begins to switch a machine off. A person's word passes.

Cluster Autoscaler drains a node before it gives it up. So it is told some minutes before a blackout begins, or it would move pods
away for nothing.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Final

from hexa.domain.machine.lifecycle import Phase
from hexa.domain.machine.reason import Reason, Veto, because_text, until_text
from hexa.domain.machine.wish import effective_wish
from hexa.domain.policy.policy import ZonedWindow
from hexa.domain.resources.v1alpha1 import Power
from hexa.domain.rules.proof import by_person
from hexa.domain.rules.subject import Alone
from hexa.domain.weekly import Span, spans, zone_of

BEFORE: Final = timedelta(minutes=10)
"""For so long a drain of Cluster Autoscaler may last (its --max-graceful-termination-sec, 600 by default)."""
AROUND: Final = timedelta(days=9)
"""A weekly window begins again within it."""
BEGUN: Final = frozenset({Phase.DRAINING, Phase.POWERING_OFF, Phase.OFF})
"""An off that was begun before is not taken back."""


def off(machine: Alone, now: datetime) -> Iterator[Veto]:
    """Forbidden to programs in a blackout, and shortly before one."""
    if not machine.policy.blackouts or machine.node.status.phase in BEGUN:
        return
    wish = effective_wish(machine.node, machine.policy, now=now)
    if wish is not None and wish.power is Power.OFF and by_person(wish):
        return
    for blackout in machine.policy.blackouts:
        for begin, end in _spans(blackout, now.date()):
            if begin - BEFORE <= now < end:
                when = "a blackout holds" if begin <= now else "a blackout is about to begin"
                text = f"{when}, in which nothing is switched off{until_text(end)}{because_text(blackout.reason)}"
                yield Veto(Reason.BLACKOUT, text, end, "spec.blackouts", of_group=True)


def ends(machine: Alone, now: datetime) -> Iterator[datetime]:
    """When the next one is about to begin, and when those that hold end."""
    for blackout in machine.policy.blackouts:
        for begin, end in _spans(blackout, now.date()):
            yield from (begin - BEFORE, end)


@lru_cache(maxsize=256)
def _spans(blackout: ZonedWindow, today: date) -> tuple[Span, ...]:
    """When it holds in the days around; reckoned once a day."""
    start = datetime.combine(today, time(), tzinfo=UTC) - AROUND
    return tuple(spans(blackout.window, zone_of(blackout.zone), start=start, end=start + 2 * AROUND))
