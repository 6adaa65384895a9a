"""Schedules: what a group says at each instant, by the clock on the wall of a zone, and what becomes of one that makes no sense."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.domain.builders import machine

from hexa.domain.policy.policy import Policy, policy_at, policy_of
from hexa.domain.policy.problem import Problem, usable
from hexa.domain.policy.schedules import UNLEARNED, lead_of
from hexa.domain.resources.group_values import Mode
from hexa.domain.resources.v1alpha1 import Asker, Group, GroupSpec, OwnedMetadata
from hexa.domain.written.validation import group_problems, members_problems

BERLIN = "Europe/Berlin"
NIGHT = {"from": "19:00", "to": "07:00", "zone": BERLIN, "minSize": 0, "maxSize": 0, "reason": "night"}
WORK = {"days": ["Mon", "Tue", "Wed", "Thu", "Fri"], "from": "07:00", "to": "18:00", "zone": BERLIN, "minSize": 3}
UTC_NINE = datetime(2026, 11, 30, 9, tzinfo=UTC)
NO_LEAD = timedelta(0)


def read(*schedules: dict[str, Any], **spec: Any) -> tuple[Policy, tuple[Problem, ...]]:
    """The policy of a group with these, and what is wrong with it."""
    written = msgspec.convert({"schedules": schedules, **spec}, GroupSpec)
    return policy_of(Group(metadata=OwnedMetadata(name="rack", namespace="site"), spec=written))


def policy(*schedules: dict[str, Any], **spec: Any) -> Policy:
    """The same where nothing is wrong."""
    found, problems = read(*schedules, **spec)
    assert problems == ()
    return found


def local(text: str, zone: str = BERLIN) -> datetime:
    """A moment by the clock of a zone."""
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)


def sizes(known: Policy, moment: datetime, lead: timedelta = NO_LEAD) -> tuple[int, int | None]:
    """minSize and maxSize at the moment."""
    then, _ = policy_at(known, now=moment, lead=lead)
    return then.min_size, then.max_size


# --- what counts --------------------------------------------------------------------------------------------


def test_down_overnight_and_up_before_work() -> None:
    """While a window holds it sets its values over the spec's; between two windows the spec's count."""
    known = policy(NIGHT, minSize=2, maxSize=5)
    assert [sizes(known, local(f"2026-11-30T{time}")) for time in ("06:59", "07:00", "18:59", "19:00")] == [
        (0, 0),
        (2, 5),
        (2, 5),
        (0, 0),
    ]


def test_of_overlapping_schedules_the_later_in_the_list_wins_field_by_field() -> None:
    """A holiday after the week in the list takes only what it sets."""
    holiday = {"days": ["Mon"], "zone": BERLIN, "minSize": 1, "reason": "holiday"}
    known = policy({**WORK, "maxSize": 4}, holiday, minSize=0)
    assert sizes(known, local("2026-11-30T08:00")) == (1, 4)
    assert sizes(known, local("2026-12-01T08:00")) == (3, 4)
    assert sizes(policy(holiday, {**WORK, "maxSize": 4}), local("2026-11-30T08:00")) == (3, 4)


def test_on_an_excepted_date_a_window_does_not_begin() -> None:
    """The night before an excepted day still ends on it."""
    work, night = policy({**WORK, "except": ["2026-12-24"]}), policy({**NIGHT, "except": ["2026-12-24"]})
    assert [sizes(work, local(f"2026-12-{day}T08:00"))[0] for day in (23, 24, 25)] == [3, 0, 3]
    assert [sizes(night, local(f"2026-12-{time}"))[1] for time in ("24T06:00", "24T20:00", "25T06:00")] == [
        0,
        None,
        None,
    ]


def test_a_coming_raise_counts_before_by_what_boots_have_taken_and_makes_room_for_itself() -> None:
    """So that machines are Ready when the window begins; nothing is lowered in advance."""
    known = policy({**NIGHT, "zone": BERLIN}, minSize=3, maxSize=5)
    lead = lead_of([(75.0, 74.0), (75.0,)])
    assert lead == timedelta(seconds=120)
    asked = [sizes(known, local(f"2026-11-30T{time}"), lead) for time in ("06:57:59", "06:58", "07:00", "18:59")]
    assert asked == [(0, 0), (3, 3), (3, 5), (3, 5)]
    _, until = policy_at(known, now=local("2026-11-30T01:00"), lead=lead)
    assert until == local("2026-11-30T06:58")


def test_what_was_woken_by_a_longer_lead_is_left_on() -> None:
    """The first boot of all is waited for five minutes and may take one: the night that ends, by maxSize or AlwaysOff, does not
    switch the machine off again in between."""
    night, lead = {"from": "19:00", "to": "07:00", "zone": BERLIN}, timedelta(minutes=2)

    def at(known: Policy, time: str) -> tuple[int, int | None, Mode, Any]:
        then = policy_at(known, now=local(f"2026-11-30T{time}"), lead=lead, left_on=UNLEARNED)[0]
        return then.min_size, then.max_size, then.mode, then.spares

    full = policy({**night, "minSize": 0, "maxSize": 0}, minSize=3, maxSize=5)
    off = policy({**night, "minSize": 0, "mode": "AlwaysOff"}, minSize=3)
    idle = policy({**night, "maxSize": 1, "spares": 0}, maxSize=4, spares=2)
    assert [at(full, "06:54")[:2], at(full, "06:56")[:2], at(full, "06:58")[:2]] == [(0, 0), (0, 3), (3, 3)]
    assert [at(off, time)[2] for time in ("06:54", "06:56", "06:58")] == [Mode.ALWAYS_OFF, Mode.AUTO, Mode.AUTO]
    assert [at(idle, time)[1] for time in ("06:54", "06:56", "06:58")] == [1, 4, 4]
    assert at(idle, "06:56")[3] is None
    _, until = policy_at(full, now=local("2026-11-30T01:00"), lead=lead, left_on=UNLEARNED)
    assert until == local("2026-11-30T06:55")


def test_a_window_that_is_shorter_than_the_longer_lead_switches_off_all_the_same() -> None:
    """What begins within the five minutes before machines are wanted again is meant for these minutes."""
    short = {"from": "12:00", "to": "12:03", "zone": BERLIN, "minSize": 0}
    for sets, found in (({"maxSize": 0}, (0, 0, Mode.AUTO)), ({"mode": "AlwaysOff"}, (0, None, Mode.ALWAYS_OFF))):
        now, lead = local("2026-11-30T12:01"), timedelta(seconds=40)
        then = policy_at(policy({**short, **sets}, minSize=2), now=now, lead=lead, left_on=UNLEARNED)[0]
        assert (then.min_size, then.max_size, then.mode) == found


def test_what_boots_have_taken() -> None:
    """The 95th percentile of all of them; nothing known is five minutes, and beyond an hour nobody waits."""
    assert lead_of([]) == lead_of([()]) == UNLEARNED
    assert lead_of([tuple([10.0] * 19), (1000.0,)]) == timedelta(seconds=42)
    assert lead_of([tuple([10.0] * 18), (1000.0, 1000.0)]) == timedelta(seconds=1230)
    assert lead_of([(1e10,)]) == timedelta(seconds=4350)
    assert lead_of([(-5.0,)]) == timedelta(seconds=30)


def test_machines_that_are_woken_one_after_the_other_begin_sooner() -> None:
    """With rateLimit the first wakes are so much earlier that the last of the machines is Ready in time; those that are on
    already are not waited for, and six hours before nobody is woken."""
    lead, rate = timedelta(minutes=2), {"wakes": 2, "per": "10m"}
    for least, begins in ((0, "06:38"), (2, "06:48"), (4, "06:58")):
        known = policy({**WORK, "minSize": 6}, minSize=least, rateLimit=rate)
        early = policy_at(known, now=local("2026-11-30T00:00"), lead=lead)[1]
        assert early == local(f"2026-11-30T{begins}")
        assert sizes(known, early, lead)[0] == 6
    apart, known = timedelta(seconds=30), policy({**WORK, "minSize": 5})
    assert policy_at(known, now=local("2026-11-30T00:00"), lead=lead, apart=apart)[1] == local("2026-11-30T06:56")
    for slow in (rate, {"wakes": 1, "per": "87600h"}):
        many = policy({**WORK, "minSize": 2**31 - 1}, rateLimit=slow)
        assert policy_at(many, now=local("2026-11-30T00:00"), lead=lead)[1] == local("2026-11-30T00:58")


def test_a_mode_by_schedule() -> None:
    """It is the schedule's word, and what wants machines on counts before: AlwaysOn, and the end of AlwaysOff."""
    lead = timedelta(minutes=2)
    known = policy({**WORK, "minSize": 0, "mode": "AlwaysOn", "reason": "work"})
    modes = [
        (found.mode, found.wanted_by, str(found.by.get("mode", "")))
        for time in ("06:57", "06:58", "07:00", "18:00")
        for found, _ in (policy_at(known, now=local(f"2026-11-30T{time}"), lead=lead),)
    ]
    assert modes == [
        (Mode.AUTO, Asker.MODE, ""),
        (Mode.ALWAYS_ON, Asker.SCHEDULE, ' by schedule "work" from Mon 07:00 (Europe/Berlin) on'),
        (Mode.ALWAYS_ON, Asker.SCHEDULE, ' by schedule "work" until Mon 18:00 (Europe/Berlin)'),
        (Mode.AUTO, Asker.MODE, ""),
    ]
    night = {"from": "19:00", "to": "07:00", "zone": BERLIN, "mode": "AlwaysOff"}
    for least, expected in ((3, Mode.AUTO), (0, Mode.ALWAYS_OFF)):
        found, _ = policy_at(policy(night, minSize=least), now=local("2026-11-30T06:58"), lead=lead)
        assert found.mode is expected
    assert str(policy_at(policy(night), now=local("2026-11-30T22:00"), lead=lead)[0].next_change) == (
        "Tue 07:00 (Europe/Berlin): mode from AlwaysOff to Auto (spec.schedules[0] ends)"
    )


@pytest.mark.parametrize(("mode", "counts"), [("AlwaysOn", Mode.ALWAYS_ON), ("AlwaysOff", Mode.AUTO)])
def test_the_mode_of_a_schedule_that_makes_no_sense_switches_nothing_off(mode: str, counts: Mode) -> None:
    """It keeps machines on at most."""
    known, _ = read({"zone": "Berlin", "mode": mode})
    assert policy_at(known, now=local("2026-11-30T06:58"), lead=NO_LEAD)[0].mode is counts


def test_spares_by_schedule() -> None:
    """A number or a share; those of a coming window are woken before, in the room that it has; 0 is none."""
    lead, morning = timedelta(minutes=2), {"from": "07:00", "to": "09:00", "zone": BERLIN, "spares": "20%"}
    night = {"from": "19:00", "to": "07:00", "zone": BERLIN, "minSize": 0, "maxSize": 0, "spares": 0}
    known = policy(night, morning, maxSize=5, spares=1)
    found = [
        (str(each.spares), each.max_size, str(each.by.get("spares", "")))
        for time in ("06:57", "06:58", "07:00", "09:00")
        for each, _ in (policy_at(known, now=local(f"2026-11-30T{time}"), lead=lead),)
    ]
    assert found == [
        ("None", 0, " by spec.schedules[0] until Mon 07:00 (Europe/Berlin)"),
        ("20%", 5, " by spec.schedules[1] from Mon 07:00 (Europe/Berlin) on"),
        ("20%", 5, " by spec.schedules[1] until Mon 09:00 (Europe/Berlin)"),
        ("1", 5, ""),
    ]
    change = policy_at(known, now=local("2026-11-30T10:00"), lead=lead)[0].next_change
    assert change is not None
    assert change.what == "maxSize from 5 to 0, spares from 1 to 0 (spec.schedules[0] begins)"
    bad, (problem,) = read({"spares": "200%", "maxSize": 0}, maxSize=5)
    assert problem.field == "spec.schedules[0].spares"
    assert sizes(bad, UTC_NINE) == (0, 5)


def test_who_sets_a_value_and_until_when_is_told() -> None:
    """By the name that the schedule has, in the time of its zone; also what changes next."""
    known = policy(NIGHT, minSize=2, maxSize=5)
    asleep, _ = policy_at(known, now=local("2026-11-30T23:00"), lead=timedelta(minutes=2))
    assert f"maxSize is {asleep.max_size}{asleep.by['max_size']}" == (
        'maxSize is 0 by schedule "night" until Tue 07:00 (Europe/Berlin)'
    )
    assert asleep.by["max_size"].field == "spec.schedules[0].maxSize"
    assert str(asleep.next_change) == (
        'Tue 07:00 (Europe/Berlin): minSize from 0 to 2, maxSize from 0 to 5 (schedule "night" ends)'
    )
    early, _ = policy_at(known, now=local("2026-12-01T06:59"), lead=timedelta(minutes=2))
    assert f"minSize is {early.min_size}{early.by['min_size']}" == "minSize is 2 from Tue 07:00 (Europe/Berlin) on"
    assert early.next_change == asleep.next_change
    awake, _ = policy_at(known, now=local("2026-12-01T07:00"), lead=timedelta(minutes=2))
    assert (awake.by, str(awake.next_change)) == (
        {},
        'Tue 19:00 (Europe/Berlin): minSize from 2 to 0, maxSize from 5 to 0 (schedule "night" begins)',
    )
    unnamed, _ = policy_at(policy(WORK), now=local("2026-11-30T06:59"), lead=timedelta(minutes=2))
    assert str(unnamed.by["min_size"]) == " by spec.schedules[0] from Mon 07:00 (Europe/Berlin) on"


def test_of_two_windows_that_meet_the_one_that_ends_is_told() -> None:
    """Where one follows the other with the same value nothing changes; what is told of the end names the one that ends."""
    first, later = {"to": "10:00", "minSize": 1, "reason": "first"}, {"from": "11:00", "to": "12:00", "minSize": 1}
    found, _ = policy_at(policy(first, {**later, "zone": BERLIN}), now=UTC_NINE, lead=NO_LEAD)
    assert str(found.next_change) == "Mon 12:00 (Europe/Berlin): minSize from 1 to 0 (spec.schedules[1] ends)"


def test_a_window_that_holds_day_and_night_has_no_edge_at_midnight() -> None:
    """Days that meet are one window: nothing changes, and nothing is told, where one follows the other."""
    found, until = policy_at(policy({"minSize": 1}), now=local("2026-11-30T12:00"), lead=NO_LEAD)
    assert (found.min_size, found.next_change, found.by["min_size"].end) == (1, None, None)
    assert until is not None
    assert until > local("2026-12-14T00:00")


def test_a_group_without_schedules_is_as_before() -> None:
    """Its policy is the same object at all times, and never due."""
    known = policy(minSize=1, maxSize=2)
    found, until = policy_at(known, now=local("2026-11-30T12:00"), lead=NO_LEAD)
    assert found is known
    assert until is None


# --- the wall clock ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("zone", "day", "time", "begins"),
    [
        ("Europe/Berlin", "2026-03-29", "02:30", "2026-03-29T01:00:00Z"),
        ("Europe/Berlin", "2026-10-25", "02:30", "2026-10-25T00:30:00Z"),
        ("America/New_York", "2026-03-08", "02:30", "2026-03-08T07:00:00Z"),
        ("America/New_York", "2026-11-01", "01:30", "2026-11-01T05:30:00Z"),
        ("Australia/Lord_Howe", "2026-10-04", "02:15", "2026-10-03T15:30:00Z"),
        ("Australia/Lord_Howe", "2026-04-05", "01:45", "2026-04-04T14:45:00Z"),
    ],
)
def test_failure_40_a_start_that_clocks_skip_fires_at_the_jump_and_one_that_comes_twice_once(
    zone: str, day: str, time: str, begins: str
) -> None:
    """On both days of the year on which clocks are changed, in three zones: one raise in the day, and it stays till the end."""
    known, moment = policy({"from": time, "to": "12:00", "zone": zone, "minSize": 3}), datetime.fromisoformat(begins)
    start = local(f"{day}T00:00", zone)
    asked = [(start + timedelta(minutes=n), sizes(known, start + timedelta(minutes=n))[0]) for n in range(12 * 60)]
    raised = [at for (_, was), (at, now) in pairwise(asked) if now > was]
    assert raised == [moment]
    assert {now for at, now in asked if moment <= at < local(f"{day}T12:00", zone)} == {3}


@given(
    st.lists(
        st.fixed_dictionaries(
            {"days": st.lists(st.sampled_from(["Mon", "Sun", "Wed"]), max_size=2)},
            optional={
                "from": st.sampled_from(["00:00", "02:30", "07:00", "23:45"]),
                "to": st.sampled_from(["24:00", "01:15", "02:45", "18:00"]),
                "zone": st.sampled_from([BERLIN, "America/New_York", "Asia/Kolkata"]),
                "minSize": st.integers(0, 4),
                "maxSize": st.integers(0, 4),
                "except": st.just(["2026-10-25"]),
            },
        ),
        max_size=4,
    ),
    st.integers(0, 10 * 24 * 60),
    st.integers(0, 90),
    st.sampled_from([{}, {"rateLimit": {"wakes": 1, "per": "40m"}}]),
)
def test_between_two_changes_nothing_changes(
    schedules: list[dict[str, Any]], minutes: int, lead: int, rate: dict[str, Any]
) -> None:
    """What counts at an instant counts until the moment that is named, and minSize is never above maxSize."""
    known, ahead = read(*schedules, minSize=1, maxSize=3, **rate)[0], timedelta(minutes=lead)
    now = datetime(2026, 10, 22, tzinfo=UTC) + timedelta(minutes=minutes)
    found, until = policy_at(known, now=now, lead=ahead)
    assert found.max_size is None or found.min_size <= found.max_size
    if until is None:
        return
    assert until > now
    for part in (0.3, 0.7, 0.999):
        then, _ = policy_at(known, now=now + part * (until - now), lead=ahead)
        assert (then.min_size, then.max_size) == (found.min_size, found.max_size)


# --- what makes no sense ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "says"),
    [
        ({"zone": "Berlin"}, "spec.schedules[1]: 'Berlin' is no time zone that is known here: write an IANA name"),
        ({"from": "9:00"}, "spec.schedules[1]: '9:00' is no time of day"),
        ({"from": "09:00", "to": "09:00"}, "spec.schedules[1]: it is from 09:00 to 09:00 and so has no length"),
        ({"except": ["2026-02-30"]}, "spec.schedules[1].except[0]: '2026-02-30' is no date: write YYYY-MM-DD"),
        ({"except": ["2026-12-24", "2026-W01-1"]}, "spec.schedules[1].except[1]: '2026-W01-1' is no date"),
        ({"except": ["0000-01-01"]}, "spec.schedules[1].except[0]: '0000-01-01' is no date"),
    ],
)
def test_a_schedule_that_makes_no_sense_lowers_nothing(written: dict[str, Any], says: str) -> None:
    """It is told with its place and what to do, the rest of the group goes on, and until then it only keeps machines on."""
    known, (problem,) = read(WORK, {"minSize": 2, "maxSize": 0, **written}, minSize=1, maxSize=5)
    assert str(problem).startswith(says)
    assert "the schedule lowers nothing" in problem.remedy
    assert usable((problem,))
    assert sizes(known, local("2026-11-30T12:00")) == (3, 5)
    assert sizes(known, local("2026-11-30T22:00")) == (2, 5)
    assert sizes(known, local("2027-02-28T22:00")) == (2, 5)


def test_validation_refuses_what_an_agent_goes_on_without() -> None:
    """Who writes a schedule that makes no sense hears of it as of an error; a contradiction of sizes is a warning there too."""
    spec = msgspec.convert({"schedules": [{"zone": "Berlin", "minSize": 1}], "maxSize": 1}, GroupSpec)
    (problem,) = group_problems(Group(metadata=OwnedMetadata(name="rack", namespace="site"), spec=spec))
    assert (problem.reason, problem.severity) == ("ScheduleInvalid", "error")
    spec = msgspec.convert({"schedules": [{"minSize": 2}], "maxSize": 1}, GroupSpec)
    (problem,) = group_problems(Group(metadata=OwnedMetadata(name="rack", namespace="site"), spec=spec))
    assert (problem.reason, problem.severity) == ("MinAboveMax", "warning")


def test_a_min_size_that_no_machine_is_left_for_is_told_in_advance() -> None:
    """Of a schedule as of the spec, whether it holds at the time or not."""
    spec = msgspec.convert({"minSize": 2, "schedules": [NIGHT, WORK]}, GroupSpec)
    group = Group(metadata=OwnedMetadata(name="rack", namespace="site"), spec=spec)
    told = [each for each in members_problems(group, [machine("m1")]) if each.reason == "MinAboveMachines"]
    assert [each.field for each in told] == ["spec.minSize", "spec.schedules[1].minSize"]
    assert told[1].text == "is 3, and the group has 1 machine"


def test_dates_of_all_years_are_borne() -> None:
    """Years 1 and 9999 are dates like others, and so are those on which the window would not begin anyway."""
    known = policy({**WORK, "except": ["0001-01-01", "9999-12-31", "2026-11-29"]})
    assert sizes(known, local("2026-11-30T12:00")) == (3, None)
    for now in (datetime(1970, 1, 9, tzinfo=UTC), datetime(8999, 11, 1, tzinfo=UTC)):
        assert policy_at(known, now=now, lead=NO_LEAD)[1] is not None


def test_a_schedule_that_sets_nothing_is_told_and_left_out() -> None:
    """It says which fields there are."""
    known, (problem,) = read({"days": ["Sat"]}, minSize=1)
    assert (
        str(problem)
        == "spec.schedules[0]: sets nothing; write one of minSize, maxSize, mode, spares in it, or remove it"
    )
    assert known.schedules == ()


@pytest.mark.parametrize(
    ("schedules", "spec", "says"),
    [
        ([{"minSize": 4, "maxSize": 2}], {}, "spec.schedules[0].maxSize: is 2, and spec.schedules[0].minSize is 4"),
        ([{**WORK, "minSize": 4}], {"maxSize": 3}, "spec.maxSize: is 3, and spec.schedules[0].minSize is 4"),
        ([{"from": "20:00", "maxSize": 0}], {"minSize": 3}, "spec.schedules[0].maxSize: is 0, and spec.minSize is 3"),
        (
            [{**WORK, "minSize": 4}, {"days": ["Fri"], "from": "17:00", "zone": BERLIN, "maxSize": 1}],
            {},
            "spec.schedules[1].maxSize: is 1, and spec.schedules[0].minSize is 4 at the same time, Fri 17:00 (Europe/Berlin)",
        ),
    ],
)
def test_min_above_max_in_an_overlap_is_told_and_more_stays_on(
    schedules: list[dict[str, Any]], spec: dict[str, Any], says: str
) -> None:
    """The two fields are named with a time at which both count; until then maxSize gives way."""
    known, problems = read(*schedules, **spec)
    assert [problem.reason for problem in problems] == ["MinAboveMax"]
    assert str(problems[0]).startswith(says)
    assert usable(problems)
    for hours in range(0, 7 * 24, 5):
        least, most = sizes(known, local("2026-11-30T00:30") + timedelta(hours=hours))
        assert most is None or least <= most


def test_windows_that_never_meet_may_say_what_they_like() -> None:
    """minSize of the day above maxSize of the night is no contradiction."""
    assert policy({**WORK, "minSize": 4}, {**NIGHT, "minSize": 0}, maxSize=5).schedules[1].but == tuple[date]()
