"""Moments of the past that lie in the future, and moments without a zone, hold nothing up."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs
from tests.domain.builders import LIMITS, OFF, T0, at, facts, status

from hexa.domain.machine.facts import LEASE_PERIOD
from hexa.domain.machine.lifecycle import LIMITS as LIMITED
from hexa.domain.machine.lifecycle import Event, Phase, cool_off, enter
from hexa.domain.machine.sensing import sense
from hexa.domain.machine.stamps import SLACK, past
from hexa.domain.resources.core import Condition
from hexa.domain.resources.health import Availability, CheckRecord, Span
from hexa.domain.resources.remediation import RemediationStatus
from hexa.domain.resources.v1alpha1 import (
    Asker,
    EnergyAccount,
    HistoryEntry,
    NodeStatus,
    Power,
    PowerReading,
    Shape,
    WishRecord,
)

HOUR, YEAR = timedelta(hours=1), timedelta(days=365)
MOMENTS = ("since", "woken_at", "paused_since", "last_startup_time", "last_shutdown_time", "health_since")
MOMENTS += ("wake_proven_at", "wake_failed_at")


def told(status: NodeStatus) -> NodeStatus:
    """What it is at T0."""
    return past(status, limits=LIMITS, now=T0)


@pytest.mark.parametrize("name", MOMENTS)
@pytest.mark.parametrize("ahead", [timedelta(minutes=1), HOUR, 30 * YEAR])
def test_a_moment_of_the_past_that_lies_ahead_is_now(name: str, ahead: timedelta) -> None:
    """Whatever the status says happened in the future happened now; what happened before stays."""
    changed = structs.replace(NodeStatus(), **{name: T0 + ahead})
    assert getattr(told(changed), name) == T0
    earlier = structs.replace(NodeStatus(), **{name: T0 - ahead})
    assert told(earlier) is earlier


def test_moments_inside_are_told_too() -> None:
    """Those of readings, illness, history, conditions, shape and availability, and a phase keeps the time of its history."""
    later = T0 + HOUR
    before = NodeStatus(
        since=later,
        reading=PowerReading(at=later),
        remediation=RemediationStatus(ill_since=later, cycled_at=later),
        history=(HistoryEntry(at=T0 - HOUR, action="Off"), HistoryEntry(at=later, action="Ready")),
        conditions=(Condition(type="Blocked", status="True", last_transition_time=later),),
        template=Shape(at=later),
        availability=Availability(recent=Span(since=later)),
    )
    after = told(before)
    assert (after.reading.at, after.remediation.ill_since, after.remediation.cycled_at) == (T0, T0, T0)
    assert [entry.at for entry in after.history] == [T0 - HOUR, T0] == [T0 - HOUR, after.since]
    assert after.conditions[0].last_transition_time == T0
    assert after.template is not None
    assert (after.template.at, after.availability.recent.since) == (T0, T0)
    assert told(after) is after


def test_what_others_say_is_left() -> None:
    """The copy of a wish with its `until`, and a health check's times, are not ours to change."""
    wish = WishRecord(power=Power.ON, by=Asker.RECOVERY, since=T0 + HOUR, until=T0 + 2 * HOUR)
    before = NodeStatus(wish=wish, check=CheckRecord(name="c", since=T0 + HOUR))
    assert told(before) is before


@pytest.mark.parametrize("failures", [0, 1, 3, 1000])
def test_a_cool_off_lasts_no_longer_than_failures_give_it(failures: int) -> None:
    """A clock that was set back does not add to it; one that is under way is left."""
    longest = cool_off(max(failures, 1), limits=LIMITS)
    bounded = told(NodeStatus(failures=failures, cool_until=T0 + longest + HOUR)).cool_until
    assert bounded is not None
    assert longest <= bounded - T0 <= longest + timedelta(seconds=5)
    running = NodeStatus(failures=failures, cool_until=T0 + longest)
    assert told(running) is running


def test_accounts_never_stand_still_for_long() -> None:
    """Hours are not counted twice after a small step back, and are counted again after a wild one."""
    hour, wild = EnergyAccount(counted_to=T0 + HOUR), EnergyAccount(counted_to=T0 + YEAR)
    near, far = NodeStatus(energy=hour), NodeStatus(energy=wild, availability=Availability(counted_to=T0 + YEAR))
    assert told(near) is near
    assert (told(far).energy.counted_to, told(far).availability.counted_to) == (T0, T0)


def test_a_moment_without_a_zone_is_utc() -> None:
    """A person or a script that wrote a time without a zone holds nothing up, and breaks nothing."""
    plain = datetime(2020, 1, 1, tzinfo=UTC).replace(tzinfo=None)
    before = NodeStatus(
        since=plain,
        cool_until=plain,
        energy=EnergyAccount(counted_to=plain),
        history=(HistoryEntry(at=plain, action=""),),
    )
    after = told(before)
    assert {after.since, after.cool_until, after.energy.counted_to, after.history[0].at} == {plain.replace(tzinfo=UTC)}


@pytest.mark.parametrize("phase", LIMITED)
@settings(max_examples=20)
@given(back=st.floats(0, 1e8))
def test_a_clock_set_back_lengthens_a_phase_by_its_limit_at_most(phase: Phase, back: float) -> None:
    """Wherever the clock stands after the entry into a phase, its deadline passes within one limit and a lease period."""
    ahead = T0 + timedelta(seconds=back)
    entered = enter(NodeStatus(phase=str(phase)), phase, event=None, now=ahead, limits=LIMITS)
    known: dict[str, Any] = {"node_exists": True, "wish": OFF, "pods": 1} if phase is Phase.DRAINING else {}
    sound, limit = told(entered), getattr(LIMITS, LIMITED[phase]) + LEASE_PERIOD + SLACK
    assert sense(sound, facts(limit.total_seconds(), watching_since=0.0, **known), limits=LIMITS) is not None


def test_a_phase_entered_now_is_left() -> None:
    """A status of this moment is the very same object: looking costs no write."""
    entered = status(Phase.READY)
    assert past(entered, limits=LIMITS, now=at(3)) is entered
    assert sense(entered, facts(3.0, node_exists=True, heard=2.0), limits=LIMITS) is not Event.NODE_LOST
