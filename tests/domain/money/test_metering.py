"""A count of energy from what meters say."""

from datetime import UTC, datetime, timedelta

import pytest

from hexa.domain.money.metering import GAP, Metering, counted

T0 = datetime(2026, 11, 30, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def test_a_device_that_counts_is_believed() -> None:
    """Whatever was read before, and whatever its watts are."""
    found = counted(None, watts=50, kwh=7.5, at=T0, source="http")
    assert found is not None
    assert (found.counter.kwh, found.counter.at, found.counter.source) == (7.5, T0, "http")
    later = counted(found, watts=None, kwh=2.0, at=T0 + MINUTE, source="http")
    assert later is not None
    assert later.counter.kwh == 2.0  # whether it was reset, the account finds out


def test_watts_are_added_up_between_two_readings() -> None:
    """By the mean of both, under a name of the count's own."""
    last = None
    for minute, watts in enumerate((60, 60, 120)):
        last = counted(last, watts=watts, kwh=None, at=T0 + minute * MINUTE, source="redfish")
    assert last is not None
    assert last.counter.kwh == pytest.approx((60 + 90) / 60_000)
    assert last.counter.source == "redfish, watts from 2026-11-30T00:00:00+00:00"


@pytest.mark.parametrize("later", [GAP + MINUTE, -MINUTE])
def test_a_count_begins_anew_after_a_gap(later: timedelta) -> None:
    """Nobody knows what was drawn while nothing was read, or while the clock went back; another driver is another count."""
    first = counted(None, watts=60, kwh=None, at=T0, source="ipmi")
    found = counted(first, watts=60, kwh=None, at=T0 + later, source="ipmi")
    other = counted(first, watts=60, kwh=None, at=T0 + MINUTE, source="redfish")
    assert first is not None
    for each in (found, other):
        assert each is not None
        assert (each.counter.kwh, each.counter.source != first.counter.source) == (0.0, True)


def test_a_meter_that_says_nothing_changes_nothing() -> None:
    """What was read last is what is known."""
    first = counted(None, watts=None, kwh=1.0, at=T0, source="http")
    assert isinstance(first, Metering)
    assert counted(first, watts=None, kwh=None, at=T0 + MINUTE, source="http") is first
