"""The receipt of a machine that is only observed: its time on, each stretch booked under what kept it on."""

from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs
from tests.domain.builders import at

from hexa.domain.money.rates import Rates
from hexa.domain.money.receipt import COULD_REST, LOOK, PODS, UNNEEDED, booked, group_receipt
from hexa.domain.resources.receipt import KeptOn, Receipt

RATES = Rates(idle_watts=60.0, off_watts=2.0, boot_watt_hours=3.0, per_kwh=0.5)
APART = LOOK.total_seconds()


def played(causes: list[str]) -> Receipt:
    """The receipt after looks that showed these causes."""
    receipt, last = Receipt(since=at(0)), None
    for number, cause in enumerate(causes):
        now = at(number * APART)
        receipt = booked(receipt, cause, now=now, last=last, rates=lambda: RATES)
        last = now
    return receipt


def test_an_idle_night_is_worth_its_watts_without_a_boot() -> None:
    """Ten hours at 58 W more than off, a boot of 3 Wh taken away, at the price of a kilowatt-hour."""
    found = played([UNNEEDED, *[COULD_REST] * 122, PODS]).saving
    assert found.off_seconds == 10 * 3600 + 300
    assert found.offs == 1
    kwh = 58 * found.off_seconds / 3_600_000 - 0.003
    assert found.kwh == pytest.approx(kwh, abs=1e-5)
    assert found.money == pytest.approx(kwh * 0.5, abs=1e-5)
    assert found.kept == (KeptOn(reason=UNNEEDED, seconds=300.0),)


def test_it_is_written_when_the_cause_changes_and_once_an_hour() -> None:
    """Looks in between write nothing."""
    receipt = played([PODS] * 12)
    assert receipt == structs.replace(Receipt(since=at(0)), cause=PODS, counted_to=at(0))
    hour = booked(receipt, PODS, now=at(3600), last=at(3300), rates=lambda: RATES)
    assert (hour.saving.kept, hour.counted_to) == ((KeptOn(reason=PODS, seconds=3600.0),), at(3600))
    free = booked(hour, COULD_REST, now=at(4200), last=at(3900), rates=lambda: RATES)
    assert (free.saving.kept[0].seconds, free.counted_to, free.saving.off_seconds) == (4200.0, at(4200), 0)
    used = booked(free, PODS, now=at(5000), last=at(4500), rates=lambda: RATES)
    assert (used.cause, used.counted_to, used.saving.off_seconds) == (PODS, at(4500), 300.0)


@pytest.mark.parametrize(
    "last", [None, at(-100), at(0), at(9000)], ids=["restart", "before", "long ago", "clock set back"]
)
def test_time_in_which_nobody_looked_is_not_counted(last: datetime | None) -> None:
    """After a restart, a time without sight, or a clock that was set, the receipt goes on from now."""
    receipt = structs.replace(Receipt(since=at(-500)), cause=COULD_REST, counted_to=at(0))
    found = booked(receipt, COULD_REST, now=at(7200), last=last, rates=lambda: RATES)
    assert (found.saving, found.counted_to) == (receipt.saving, at(7200))


@given(st.lists(st.sampled_from((PODS, UNNEEDED, COULD_REST, "MinSize", "")), min_size=2, max_size=80))
def test_no_second_is_counted_twice(causes: list[str]) -> None:
    """All that is booked is never longer than the time that was watched, and nothing of it is lost for longer than an hour."""
    found = played(causes)
    total = found.saving.off_seconds + sum(part.seconds for part in found.saving.kept)
    watched = (len(causes) - 1) * APART
    away = sum(APART for cause in causes if not cause)
    assert total <= watched
    assert total >= watched - away - 3600
    assert found.saving.offs <= causes.count(COULD_REST)


def test_a_group_adds_up_and_ends_with_its_last() -> None:
    """The same reasons together, the longest first; none without receipts."""
    idle, busy = played([COULD_REST] * 30), played([PODS] * 30)
    assert group_receipt((), currency="EUR") is None
    both = group_receipt((idle, busy), currency="EUR")
    assert both is not None
    assert (both.machines, both.saving.off_seconds, both.saving.currency, both.until) == (2, 7200.0, "EUR", None)
    assert both.saving.kept == (KeptOn(reason=PODS, seconds=7200.0),)
    ended = group_receipt((structs.replace(idle, until=at(5)), structs.replace(busy, until=at(9))), currency="EUR")
    assert ended is not None
    assert ended.until == at(9)
