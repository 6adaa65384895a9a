"""The energy account of a group: the sum of its machines', which outlives them."""

from datetime import UTC, datetime, timedelta

import pytest
from msgspec import structs

from hexa.domain.money.booking import Prices, Side, Since, booked
from hexa.domain.money.rates import Rates
from hexa.domain.money.reporting import by_day, lines, totals
from hexa.domain.money.summing import sum_due, summed
from hexa.domain.resources.v1alpha1 import EnergyAccount

START = datetime(2026, 11, 2, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
RATES = Rates(idle_watts=50, off_watts=1)
NONE = EnergyAccount()


def days(count: int, *, start: datetime = START, side: Side = "on", currency: str = "EUR") -> EnergyAccount:
    """An account that was booked by the hour for so many days."""
    prices, account = Prices(flat=0.4, currency=currency), NONE
    for hour in range(count * 24 + 1):
        since = Since(now=start + hour * HOUR, side=side)
        account = booked(account, since, rates=RATES, prices=prices).account
    return account


def test_a_sum_is_that_of_its_machines() -> None:
    """Of each day and in all, whenever it is made."""
    one, other = days(3), days(3, side="off")
    late = summed(NONE, [one, other], now=START + 3 * DAY)
    early = summed(NONE, [days(1), days(1, side="off")], now=START + DAY)
    both = summed(early, [one, other], now=START + 3 * DAY)
    for name in ("on_seconds", "off_seconds", "kwh", "money", "saved", "saved_kwh"):
        assert getattr(late, name) == pytest.approx(getattr(one, name) + getattr(other, name))
        assert getattr(both, name) == pytest.approx(getattr(late, name))
    assert set(both.days) == set(late.days) == {"2026-11-02", "2026-11-03", "2026-11-04"}
    assert (late.since, late.currency) == (START, "EUR")
    assert "kWh" in late.summary


def test_a_sum_outlives_machines_that_lose_their_status_or_leave() -> None:
    """Days that are over stay as they were, and nothing is counted twice when a machine begins anew."""
    whole = summed(NONE, [days(5), days(5)], now=START + 5 * DAY)
    lost = summed(whole, [days(5)], now=START + 5 * DAY + HOUR)
    assert lost.kwh == whole.kwh
    assert lost.days == whole.days
    anew = summed(lost, [days(6), days(1, start=START + 5 * DAY)], now=START + 6 * DAY)
    assert anew.kwh == pytest.approx(whole.kwh + 2 * 24 * 0.05)


def test_old_days_of_a_machine_that_comes_from_elsewhere_are_not_the_groups() -> None:
    """What it did before in another group is counted there."""
    own = summed(NONE, [days(8)], now=START + 8 * DAY)
    stranger = days(8, start=START)
    found = summed(own, [days(8), stranger], now=START + 8 * DAY)
    assert [found.days[f"2026-11-0{n}"].on_seconds for n in (2, 3, 4, 5)] == [86_400] * 4


def test_a_sum_that_was_lost_is_made_anew() -> None:
    """From what the machines have kept."""
    account = days(2)
    assert summed(NONE, [account], now=START + 2 * DAY).kwh == pytest.approx(account.kwh)


def test_a_sum_is_due_each_hour() -> None:
    """At once where there is none, and where a clock that was set back made it of the future."""
    assert sum_due(NONE, now=START) == START
    assert sum_due(structs.replace(NONE, counted_to=START), now=START) == START + HOUR
    assert sum_due(structs.replace(NONE, counted_to=START + DAY), now=START) == START


def test_a_report_has_a_line_for_each_name_and_currency() -> None:
    """By machine, by day from a first one on, and in all."""
    euros, francs = days(3), days(2, currency="CHF")
    found = lines([("a", euros), ("b", francs)], day="")
    assert [(line.name, line.currency, line.sums.on_seconds) for line in found] == [
        ("a", "EUR", 3 * 86_400),
        ("b", "CHF", 2 * 86_400),
    ]
    assert [line.name for line in by_day([euros, euros], day="2026-11-03")] == ["2026-11-03", "2026-11-04"]
    assert by_day([euros, euros], day="2026-11-03")[0].sums.kwh == pytest.approx(2 * 24 * 0.05)
    assert [(line.currency, line.sums.money) for line in totals(found)] == [
        ("EUR", pytest.approx(euros.money)),
        ("CHF", pytest.approx(francs.money)),
    ]
