"""When time alone may bring an event or a duty of a machine."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

from hexa.domain.machine.facts import LEASE_PERIOD, LONG_AGO, NEVER, RENEWAL_MISSED, Facts, View
from hexa.domain.machine.lifecycle import COMING, TRANSITIONS, Event, Phase
from hexa.domain.machine.trust import missed_at
from hexa.domain.policy.limits import Limits
from hexa.domain.resources.v1alpha1 import NodeStatus, Power, Reading

CROWD_LOOK: Final = timedelta(seconds=5)
"""Between looks at a machine that is silent for longer than it boots, while others of its group are on their way too."""


def next_due(status: NodeStatus, facts: Facts, *, limits: Limits, lease: bool = True) -> datetime | None:
    """The next instant after `now` at which time alone may bring an event or a duty; None: only news can. `lease`: whether the
    end of the lease counts (`lease_due`); each renewal puts it off."""
    view = View(status, facts, limits)
    instants = [*_instants(view), *([view.lease_due] if lease else [])]
    return min((instant for instant in instants if instant is not None and instant > facts.now), default=None)


def lease_due(status: NodeStatus, facts: Facts, *, limits: Limits) -> datetime | None:
    """When the silence of a machine that is up will have lasted a whole lease period; None: it does not matter, or has."""
    due = View(status, facts, limits).lease_due
    return due if due is not None and due > facts.now else None


def limit_due(status: NodeStatus, facts: Facts, *, limits: Limits) -> datetime | None:
    """When the phase's limit passes (in Lost: when the machine may be acted on); None: it has none, or stands still."""
    view = View(status, facts, limits)
    return view.due(limits.lost) if view.phase is Phase.LOST else view.deadline


def _instants(view: View) -> Iterator[datetime]:
    facts, phase = view.facts, view.phase
    if not facts.paused:
        yield from _instants_of_work(view)
    if facts.blind:
        return  # what silence tells, and deadlines, stand still
    if view.deadline is not None:
        yield view.deadline
    yield from _instants_of_trust(view)
    if phase in (Phase.DRAINING, Phase.LOST) and not facts.node_exists and facts.heard_until is not None:
        yield min(facts.heard_until, view.due(view.limits.lost) or facts.heard_until)
    if view.goes_by_silence:
        yield view.off_confirmed_at
    if view.boots_until is not None:
        yield view.boots_until
    yield from _instants_of_power_cycle(view)
    if Event.NODE_READY in TRANSITIONS[phase] and facts.node_ready and view.alive and facts.heard is not None:
        yield facts.heard + RENEWAL_MISSED  # the next sign of life may be of this phase


def _instants_of_trust(view: View) -> Iterator[datetime]:
    """When a reading Off is believed, or contradicted."""
    facts, reading = view.facts, view.facts.reading
    if reading is None or reading.power is not Reading.OFF:
        return
    if facts.heard_until is not None:
        yield facts.heard_until  # the lease that contradicts it ends
    if view.alive and reading.at is not None:
        yield reading.at + RENEWAL_MISSED  # it is contradicted by then, or silent
    if (missed := missed_at(facts.life)) is not None:
        yield missed


def _instants_of_power_cycle(view: View) -> Iterator[datetime]:
    """When a power cycle is due, and when its Job is."""
    if Event.POWER_CYCLE in TRANSITIONS[view.phase] and view.power_cycle_due is not None:
        yield view.power_cycle_due
        if view.facts.heard_until is not None:
            yield view.facts.heard_until
    if view.cycle_not_begun:
        yield cycle_due(view.facts)


def _instants_of_work(view: View) -> Iterator[datetime]:
    """Those of duties, cool-offs and of what waits in Lost: none of them while paused."""
    status, facts, phase = view.status, view.facts, view.phase
    if status.cool_until is not None:
        yield status.cool_until
    if phase in COMING and facts.wish is Power.ON and status.wakes < view.limits.attempts:
        due = max(wake_due(status, limits=view.limits, crowded=facts.crowded), sighted(status, facts))
        if facts.crowded:  # the others may be up before that
            due = min(due, facts.now + CROWD_LOOK)
        yield due if facts.heard_until is None or not view.fresh else max(due, facts.heard_until)
    if (
        phase in COMING
        and not status.silent
        and (answer_due := silence_due(status, facts, limits=view.limits)) is not None
    ):
        yield answer_due
    if phase is Phase.LOST and (due_lost := view.due(view.limits.lost)) is not None:
        yield due_lost
    if phase is Phase.OFF and facts.node_exists and not facts.blind:
        yield leave_due(facts)


def cycle_due(facts: Facts) -> datetime:
    """When a whole lease period of silence has been watched."""
    if facts.watching_since is None:
        return NEVER
    marks = (facts.heard, facts.watching_since)
    silent = max(mark for mark in marks if mark is not None) + facts.lease_period
    return max(silent, facts.heard_until or silent)


def wake_due(status: NodeStatus, *, limits: Limits, crowded: bool = False) -> datetime:
    """When the wake may be sent again."""
    return (status.woken_at or status.since or NEVER) + (limits.patient_interval if crowded else limits.wake_interval)


def sighted(status: NodeStatus, facts: Facts) -> datetime:
    """When we have watched for long enough to miss the answer to a wake that was sent before: after a restart, and after a leap of
    the clock."""
    sight, woken = facts.watching_since, status.woken_at
    if sight is None:
        return LONG_AGO  # blind, hexa only ever powers on
    return LONG_AGO if woken is not None and woken >= sight else sight + facts.lease_period


def silence_due(status: NodeStatus, facts: Facts, *, limits: Limits) -> datetime | None:
    """When the first wake of this boot will have gone unanswered for a wake interval, as seen by us; None: nobody asks."""
    if not limits.hedge or status.wakes == 0 or facts.wish is not Power.ON or facts.watching_since is None:
        return None
    seen = facts.watching_since + min(limits.wake_interval, LEASE_PERIOD)
    return max(seen, wake_due(status, limits=limits, crowded=facts.crowded)) if status.wakes == 1 else seen


def leave_due(facts: Facts) -> datetime:
    """When two lease periods of silence have passed."""
    marks = [mark + 2 * facts.lease_period for mark in (facts.heard, facts.watching_since) if mark is not None]
    if facts.heard_until is not None:
        marks.append(facts.heard_until + facts.lease_period)  # later than the above where it lives on
    return max(marks, default=facts.now + 2 * facts.lease_period)
