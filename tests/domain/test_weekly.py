"""Weekly windows follow the wall clock of their zone, on the days too on which clocks are changed."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hexa.domain.weekly import DAY, DAYS, Window, minutes_of, moment, overlap, spans, uncovered, window_of, zone_of

BERLIN, NEW_YORK, LORD_HOWE = (ZoneInfo(name) for name in ("Europe/Berlin", "America/New_York", "Australia/Lord_Howe"))
CHANGES = [
    (BERLIN, date(2026, 3, 29), date(2026, 10, 25)),
    (NEW_YORK, date(2026, 3, 8), date(2026, 11, 1)),
    (LORD_HOWE, date(2026, 10, 4), date(2026, 4, 5)),
]


def scanned(day: date, minutes: int, zone: ZoneInfo) -> datetime:
    """The first minute at which a clock on the wall shows that time or a later one."""
    wanted = datetime(day.year, day.month, day.day) + timedelta(minutes=minutes)  # noqa: DTZ001 - the wall's
    at = wanted.replace(tzinfo=UTC) - timedelta(hours=15)
    while at.astimezone(zone).replace(tzinfo=None) < wanted:
        at += timedelta(minutes=1)
    return at


@pytest.mark.parametrize(("zone", "forward", "back"), CHANGES, ids=str)
@pytest.mark.parametrize("minutes", range(0, 5 * 60, 15))
def test_a_time_that_is_skipped_is_met_at_the_jump_and_one_that_comes_twice_at_the_first(
    zone: ZoneInfo, forward: date, back: date, minutes: int
) -> None:
    """On both days of the year on which clocks are changed."""
    for day in (forward, back):
        assert moment(day, minutes, zone) == scanned(day, minutes, zone)


def test_a_day_of_the_change_is_an_hour_shorter_or_longer() -> None:
    """A window of a whole day has 23 and 25 hours then."""
    for day, hours in ((date(2026, 3, 29), 23), (date(2026, 3, 30), 24), (date(2026, 10, 25), 25)):
        start = moment(day, 0, BERLIN)
        ((begin, end),) = spans(Window(), BERLIN, start=start, end=moment(day, DAY, BERLIN))
        assert (end - begin) / timedelta(hours=1) == hours


def test_a_window_over_midnight_belongs_to_the_day_on_which_it_begins() -> None:
    """Friday's night ends on Saturday morning, and a day that is excepted has no night."""
    night = window_of(["Fri"], "22:00", "06:00")
    friday = date(2026, 11, 27)
    week = {"start": moment(friday, 0, BERLIN), "end": moment(friday, 7 * DAY, BERLIN)}
    assert list(spans(night, BERLIN, **week)) == [
        (datetime(2026, 11, 27, 21, tzinfo=UTC), datetime(2026, 11, 28, 5, tzinfo=UTC))
    ]
    assert list(spans(night, BERLIN, **week, but=[friday])) == []


def test_a_window_is_cut_to_the_span_that_is_asked_for() -> None:
    """One that has begun before, and ends after, holds in all of it."""
    start, end = datetime(2026, 11, 27, 23, tzinfo=UTC), datetime(2026, 11, 28, 1, tzinfo=UTC)
    assert list(spans(window_of([], "22:00", "06:00"), BERLIN, start=start, end=end)) == [(start, end)]


@pytest.mark.parametrize(
    ("days", "start", "end", "says"),
    [
        (["Fry"], "22:00", "06:00", "'Fry' is no day: write Mon, Tue, Wed, Thu, Fri, Sat or Sun"),
        ([], "22", "06:00", "'22' is no time of day: write \"HH:MM\""),
        ([], "25:00", "06:00", "'25:00' is no time of day"),
        ([], "06:00", "06:00", "it is from 06:00 to 06:00 and so has no length; a whole day is from 00:00 to 24:00"),
        ([], "00:00", "00:00", "has no length"),
    ],
)
def test_a_window_that_makes_no_sense_says_what_is_wanted(days: list[str], start: str, end: str, says: str) -> None:
    """Days, times and length are checked, each with its remedy."""
    with pytest.raises(ValueError) as caught:
        window_of(days, start, end)
    assert says in str(caught.value)


def test_a_zone_that_is_not_known_says_what_is_wanted() -> None:
    """Whatever text stands there."""
    for name in ("Europe/Berln", "", "../etc/passwd", "CET+1", "\0"):
        with pytest.raises(ValueError, match="is no time zone that is known here: write an IANA name"):
            zone_of(name)


windows = st.builds(
    window_of,
    st.lists(st.sampled_from(DAYS), max_size=3),
    st.integers(0, 47).map(lambda half: f"{half // 2:02}:{half % 2 * 30:02}"),
    st.just("24:00"),
) | st.builds(
    window_of,
    st.lists(st.sampled_from(DAYS), max_size=3),
    st.just("20:30"),
    st.sampled_from(["01:00", "20:00", "23:00"]),
)


@given(windows, windows)
def test_overlaps_and_gaps_are_those_that_one_meets_minute_by_minute(one: Window, other: Window) -> None:
    """In a week without a change of clocks."""
    monday = datetime(2026, 11, 30, tzinfo=UTC)
    utc = ZoneInfo("UTC")
    week = [monday + timedelta(minutes=30 * half) for half in range(7 * 48)]
    end = monday + timedelta(days=7)
    found = [list(spans(each, utc, start=monday, end=end)) for each in (one, other)]
    held = [[any(begin <= at < over for begin, over in each) for at in week] for each in found]

    def told(at: datetime) -> tuple[str, int]:
        return DAYS[at.weekday()], at.hour * 60 + at.minute

    assert overlap(one, other) == next((told(at) for at, a, b in zip(week, *held, strict=True) if a and b), None)
    assert uncovered([one, other]) == next(
        (told(at) for at, a, b in zip(week, *held, strict=True) if not a and not b), None
    )


def test_times_of_day() -> None:
    """Midnight is 00:00 at the beginning and 24:00 at the end."""
    assert [minutes_of(text) for text in ("00:00", "07:05", "24:00")] == [0, 425, 1440]
