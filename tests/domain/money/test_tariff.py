"""What energy costs over any span is what one gets by adding up its minutes."""

import itertools
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hexa.domain.money.series import DAY, Row
from hexa.domain.money.tariff import Charge, Priced, Tariff
from hexa.domain.weekly import DAYS, Window, moment, window_of

BERLIN = ZoneInfo("Europe/Berlin")
QUARTER = timedelta(minutes=15)
MINUTE = timedelta(minutes=1)
DAYS_OF_INTEREST = [  # changes of clocks both ways, a leap day, an ordinary day
    datetime(2026, 3, 28, 20, tzinfo=UTC),
    datetime(2026, 10, 24, 20, tzinfo=UTC),
    datetime(2028, 2, 28, 20, tzinfo=UTC),
    datetime(2026, 11, 30, tzinfo=UTC),
]


def brute(tariff: Tariff, rows: Sequence[Row], start: datetime, minutes: int) -> float:
    """The cost of one kilowatt, minute by minute, with no step of the tariff's own."""

    first = start.astimezone(tariff.zone).date() - timedelta(days=2)
    days = [first + timedelta(days=number) for number in range(6)]

    @cache
    def held(window: Window) -> list[tuple[datetime, datetime]]:
        of = [day for day in days if DAYS[day.weekday()] in window.days]
        ends = (window.start, window.start + window.minutes)
        return [(moment(day, ends[0], tariff.zone), moment(day, ends[1], tariff.zone)) for day in of]

    def holds(window: Window, at: datetime) -> bool:
        return any(begin <= at < end for begin, end in held(window))

    total = 0.0
    for number in range(minutes):
        at = start + number * MINUTE
        price = next((row.per_kwh for row in rows if row.start <= at < row.end), None)
        if price is None:
            price = next((each.per_kwh for each in tariff.windows if holds(each.window, at)), tariff.per_kwh)
        price += sum(each.per_kwh for each in tariff.charges if each.window is None or holds(each.window, at))
        total += price * (1 + tariff.tax) / 60
    return total


prices = st.integers(-30, 90).map(lambda cents: cents / 100)
windows = st.builds(
    window_of,
    st.lists(st.sampled_from(DAYS), max_size=4),
    st.sampled_from(["00:00", "01:30", "02:00", "02:15", "17:00", "22:00"]),
    st.sampled_from(["02:30", "03:00", "05:45", "20:00", "24:00"]),
)
tariffs = st.builds(
    Tariff,
    per_kwh=prices,
    windows=st.lists(st.builds(Priced, windows, prices), max_size=3).map(tuple),
    charges=st.lists(st.builds(Charge, prices, st.none() | windows), max_size=2).map(tuple),
    tax=st.sampled_from([0.0, 0.19, 0.25]),
    zone=st.sampled_from([BERLIN, ZoneInfo("America/New_York"), ZoneInfo("UTC")]),
)


@given(tariffs, st.sampled_from(DAYS_OF_INTEREST), st.integers(0, 300), st.integers(1, 420), st.booleans())
def test_cost_is_the_sum_of_the_minutes(tariff: Tariff, day: datetime, offset: int, minutes: int, series: bool) -> None:
    """Flat, weekly, by quarters of an hour, with charges and tax; over changes of clocks and a leap day."""
    start = day + offset * MINUTE
    rows = (
        tuple(Row(day + n * QUARTER, day + (n + 1) * QUARTER, (n * 7 % 40 - 8) / 100) for n in range(100))
        if series
        else ()
    )
    priced = Tariff(
        per_kwh=tariff.per_kwh,
        windows=tariff.windows,
        rows=rows,
        charges=tariff.charges,
        tax=tariff.tax,
        zone=tariff.zone,
    )
    end = start + minutes * MINUTE
    assert priced.cost(1.0, start, end) == pytest.approx(brute(priced, rows, start, minutes), abs=1e-9)
    steps = priced.steps(start, end)
    assert (steps[0].start, steps[-1].end) == (start, end)
    assert all(one.end == other.start and one.per_kwh != other.per_kwh for one, other in itertools.pairwise(steps))


def test_a_day_of_92_and_one_of_100_quarters() -> None:
    """Every quarter of an hour counts once, on the days on which clocks are changed."""
    for day, quarters in ((datetime(2026, 3, 28, 23, tzinfo=UTC), 92), (datetime(2026, 10, 24, 22, tzinfo=UTC), 100)):
        rows = tuple(Row(day + n * QUARTER, day + (n + 1) * QUARTER, n / 100) for n in range(quarters))
        tariff = Tariff(rows=rows, zone=BERLIN)
        assert tariff.cost(4.0, day, rows[-1].end) == pytest.approx(sum(row.per_kwh for row in rows))
        assert all(step.known for step in tariff.steps(day, rows[-1].end))


def test_a_flat_tariff_is_one_step() -> None:
    """Whatever the span."""
    start, end = datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)
    flat = Tariff(per_kwh=0.3)
    (step,) = flat.steps(start, end)
    assert (step.start, step.end, step.per_kwh) == (start, end, 0.3)
    assert flat.cost(2.0, start, end) == pytest.approx(0.3 * 2 * 8760)
    assert flat.mean(start, start) == 0.3
    assert flat.cost(2.0, end, start) == 0.0


def test_after_its_end_a_series_has_the_shape_of_its_last_day_and_then_its_mean() -> None:
    """So that a file that was not fetched today does no harm; the steps say that they are no prices that anybody published."""
    day = datetime(2026, 11, 30, tzinfo=UTC)
    hour = timedelta(hours=1)
    rows = tuple(Row(day + n * hour, day + (n + 1) * hour, 0.1 if n < 12 else 0.5) for n in range(24))
    tariff = Tariff(rows=rows)
    assert [(s.end - day, s.per_kwh, s.known) for s in tariff.steps(day, day + 3 * DAY)] == [
        (12 * hour, 0.1, True),
        (24 * hour, 0.5, True),
        (36 * hour, 0.1, False),
        (48 * hour, 0.5, False),
        (72 * hour, pytest.approx(0.3), False),
    ]


def test_the_mean_that_stands_in_is_that_of_the_last_day_alone() -> None:
    """A row that reaches into that day counts with its part in it."""
    day = datetime(2026, 11, 30, tzinfo=UTC)
    rows = (Row(day - 12 * timedelta(hours=1), day + DAY / 4, 0.9), Row(day + DAY / 4, day + DAY, 0.1))
    assert Tariff(rows=rows).mean(day + 5 * DAY, day + 6 * DAY) == pytest.approx(0.9 / 4 + 0.1 * 3 / 4)


def test_a_hole_in_a_series_is_filled_from_the_day_before() -> None:
    """And what is before its first row from the day after."""
    day = datetime(2026, 11, 30, tzinfo=UTC)
    hour = timedelta(hours=1)
    rows = tuple(Row(day + n * hour, day + (n + 1) * hour, float(n)) for n in range(48) if n not in (30, 31))
    steps = Tariff(rows=rows).steps(day - hour, day + 34 * hour)
    found = {(s.start - day) // hour: s.per_kwh for s in steps if not s.known}
    assert found == {-1: 23.0, 30: 6.0, 31: 7.0}
    assert Tariff(rows=rows).steps(day + 29 * hour, day + 33 * hour)[0].known


@given(
    st.lists(
        st.tuples(st.sampled_from([15, 30, 60, 60 * 24 * 8]), st.none() | st.integers(-9, 60)), min_size=1, max_size=30
    ),
    st.integers(-800, 1500),
    st.integers(1, 300),
    st.integers(1, 300),
)
def test_a_span_costs_what_its_parts_cost(
    parts: list[tuple[int, int | None]], begin: int, first: int, second: int
) -> None:
    """Whatever is missing in the series: before it, in holes of any length, and after it."""
    at = day = datetime(2026, 11, 30, tzinfo=UTC)
    rows = list[Row]()
    for minutes, cents in parts:
        if cents is not None:
            rows.append(Row(at, at + minutes * MINUTE, cents / 100))
        at += minutes * MINUTE
    tariff = Tariff(rows=tuple(rows), per_kwh=0.3)
    start = day + begin * QUARTER
    middle, end = start + first * QUARTER, start + (first + second) * QUARTER
    whole = tariff.cost(1.0, start, middle) + tariff.cost(1.0, middle, end)
    assert tariff.cost(1.0, start, end) == pytest.approx(whole, abs=1e-9)
    assert all(step.per_kwh == tariff.at(step.start).per_kwh for step in tariff.steps(start, end))


def test_a_series_with_one_row_is_the_same_for_ever() -> None:
    """Nothing else is known."""
    day = datetime(2026, 11, 30, tzinfo=UTC)
    tariff = Tariff(rows=(Row(day, day + QUARTER, -0.05),))
    assert {s.per_kwh for s in tariff.steps(day - 30 * DAY, day + 30 * DAY)} == {-0.05}
    assert tariff.mean(day + 400 * DAY, day + 401 * DAY) == pytest.approx(-0.05)
