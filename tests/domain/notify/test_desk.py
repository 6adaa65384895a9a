"""What one receiver is sent: quiet hours end in a summary, floods are bounded, and nothing is left out unsaid."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from hexa.domain.notify.desk import BURST, KEPT, Desk
from hexa.domain.notify.events import Event, State, Telling, Trouble
from hexa.domain.notify.letter import LINES, Letter
from hexa.domain.notify.written import WrittenReceiver, receivers_of
from hexa.domain.resources.v1alpha1 import Lookup

EVENING = datetime(2026, 11, 30, 20, tzinfo=UTC)
"""A Monday; 21:00 in Berlin."""
NIGHTS = {"zone": "Europe/Berlin", "windows": [{"from": "22:00", "to": "07:00"}]}


def desk(**written: Any) -> Desk:
    """The desk of a receiver that is written so."""
    whole = msgspec.convert({"name": "me", "url": "https://x/", "quietHours": NIGHTS, **written}, WrittenReceiver)
    [receiver], problems = receivers_of([whole])
    assert problems == ()
    return Desk(receiver, born=EVENING)


def telling(
    number: int = 0, *, event: Event = Event.DRAIN_BLOCKED, state: State = State.BEGAN, at: datetime = EVENING
) -> Telling:
    """Something about the machine of that number."""
    of = Lookup("machines", f"box-{number}")
    return Telling(
        Trouble(event=event, slot="x", of=of, why=f"pod {number} stays", group="rack", machine=True), state, at
    )


def sent(desk: Desk, now: datetime) -> tuple[list[dict[str, str]], datetime | None]:
    """All that is sent now, and when to look again."""
    letters = []
    while isinstance(found := desk.next(now), Letter):
        letters.append(json.loads(found.body))
    return letters, found


def hours(number: float) -> datetime:
    """So many hours after the evening."""
    return EVENING + timedelta(hours=number)


def test_one_thing_is_told_with_all_its_fields() -> None:
    """Who writes a template has what, why, machine, group, namespace, severity and time in the zone of the receiver."""
    me = desk()
    me.take([telling(1)], now=EVENING)
    [letter], look = sent(me, EVENING)
    assert look is None
    assert {key: letter[key] for key in ("title", "event", "state", "severity")} == {
        "title": "hexa: box-1 cannot be drained",
        "event": "DrainBlocked",
        "state": "began",
        "severity": "warning",
    }
    assert (letter["machine"], letter["group"], letter["namespace"]) == ("box-1", "rack", "machines")
    assert letter["time"] == "2026-11-30T21:00:00+01:00"


def test_quiet_hours_end_in_a_summary() -> None:
    """What comes in the night is told in the morning in one message: what stands, and what came and went."""
    me = desk()
    me.take([telling(1, at=hours(2)), telling(2, at=hours(2))], now=hours(2))
    me.take([telling(2, state=State.OVER, at=hours(3))], now=hours(3))
    assert sent(me, hours(3)) == ([], hours(10))  # 07:00 in Berlin
    [letter], _ = sent(me, hours(10))
    assert (letter["title"], letter["state"]) == ("hexa: 2 things in quiet hours", "summary")
    lines = letter["why"].splitlines()
    assert "box-1 cannot be drained: pod 1 stays" in lines[0]
    assert "over: box-2 cannot be drained (began and ended meanwhile)" in lines[1]
    assert sent(me, hours(11)) == ([], None)


def test_what_is_critical_is_told_at_night() -> None:
    """It begins and ends at any hour; one other thing of the night is told as itself in the morning."""
    me = desk()
    me.take([telling(1, at=hours(2)), telling(2, event=Event.SAFE_HANDS, at=hours(2))], now=hours(2))
    [letter], look = sent(me, hours(2))
    assert (letter["event"], letter["severity"], look) == ("SafeHands", "critical", hours(10))
    me.take([telling(2, event=Event.SAFE_HANDS, state=State.OVER, at=hours(3))], now=hours(3))
    assert [each["state"] for each in sent(me, hours(3))[0]] == ["over"]
    assert [each["title"] for each in sent(me, hours(10))[0]] == ["hexa: box-1 cannot be drained"]


def test_a_night_of_critical_things_is_bounded_too() -> None:
    """Ten of them within ten minutes; the others follow ten minutes later and not in the morning, and the day is a day as ever."""
    me = desk()
    me.take([telling(number, event=Event.SAFE_HANDS, at=hours(2)) for number in range(BURST + 5)], now=hours(2))
    letters, look = sent(me, hours(2))
    assert (len(letters), look) == (BURST, hours(2) + timedelta(minutes=10))
    assert look is not None
    letters, look = sent(me, look)
    assert (len(letters), look) == (5, None)
    me.take([telling(1), telling(2)], now=hours(16))
    assert [each["state"] for each in sent(me, hours(16))[0]] == ["began", "began"]


@pytest.mark.parametrize("together", [True, False])
def test_a_flood_of_critical_things_is_bounded_by_day(together: bool) -> None:
    """Ten by themselves and ten more with what else there is, then they are gathered: whether they come at once or one by one."""
    me, letters, look = desk(), list[dict[str, str]](), None
    many = [telling(number, event=Event.BATTERY_LOW) for number in range(4 * BURST)]
    for some in [many] if together else [[each] for each in many]:
        me.take(some, now=EVENING)
        new, look = sent(me, EVENING)
        letters += new
    assert len(letters) <= 2 * BURST
    if look is not None:
        assert look == EVENING + timedelta(minutes=10)
        letters += (later := sent(me, look)[0])
        assert len(later) <= BURST + 1
    assert {each["machine"] for each in letters[:BURST]} == {f"box-{number}" for number in range(BURST)}
    told = "\n".join(each["why"] for each in letters)
    assert all(f"pod {number} stays" in told for number in range(3 * BURST))


@pytest.mark.parametrize(
    ("zone", "day", "end"),
    [
        ("Europe/Berlin", datetime(2026, 3, 28, 23, tzinfo=UTC), datetime(2026, 3, 29, 5, tzinfo=UTC)),
        ("Europe/Berlin", datetime(2026, 10, 24, 23, tzinfo=UTC), datetime(2026, 10, 25, 6, tzinfo=UTC)),
        ("America/New_York", datetime(2026, 11, 30, 3, 30, tzinfo=UTC), datetime(2026, 11, 30, 12, tzinfo=UTC)),
    ],
)
def test_quiet_hours_follow_the_clocks_of_their_zone(zone: str, day: datetime, end: datetime) -> None:
    """They end at 07:00 by the wall, also in the nights in which clocks change."""
    me = desk(quietHours={**NIGHTS, "zone": zone})
    me.take([telling(at=day)], now=day)
    assert sent(me, day) == ([], end)


def test_windows_that_touch_are_one_quiet_time() -> None:
    """A weekend of two windows is told once, on Monday; windows without end are never told but for what is critical."""
    friday = datetime(2026, 12, 4, 22, 30, tzinfo=UTC)
    windows = [{"from": "22:00", "to": "24:00"}, {"from": "00:00", "to": "07:00"}, {"days": ["Sat", "Sun"]}]
    me = desk(quietHours={"windows": windows})
    me.take([telling(at=friday)], now=friday)
    assert sent(me, friday) == ([], datetime(2026, 12, 7, 7, tzinfo=UTC))
    me = desk(quietHours={"windows": [{}]})
    me.take([telling(), telling(event=Event.ON_BATTERY)], now=EVENING)
    letters, look = sent(me, EVENING)
    assert [each["event"] for each in letters] == ["OnBattery"]
    assert look is not None
    assert look > EVENING + timedelta(days=7)


def test_a_flood_is_bounded_and_says_what_is_left_out() -> None:
    """Of a thousand things ten are told one by one, the others ten minutes later in one message that counts them all."""
    me = desk(quietHours={})
    me.take([telling(number) for number in range(1_000)], now=EVENING)
    letters, look = sent(me, EVENING)
    assert (len(letters), look) == (BURST, EVENING + timedelta(minutes=10))
    assert look is not None
    [letter], look = sent(me, look)
    assert letter["title"] == "hexa: 990 things within 10 minutes"
    lines = letter["why"].splitlines()
    assert (len(lines), lines[-1]) == (LINES + 1, f"and {990 - LINES} more, which are left out: hexa get -A")
    assert me.left_out == 0
    assert len(lines[0]) < 400
    assert KEPT < 990


def test_a_flood_does_not_hide_what_is_critical() -> None:
    """While a flood is held back, the site in doubt is told at once."""
    me = desk(quietHours={})
    me.take([telling(number) for number in range(30)], now=EVENING)
    sent(me, EVENING)
    me.take([telling(event=Event.SAFE_HANDS)], now=EVENING)
    assert [each["event"] for each in sent(me, EVENING)[0]] == ["SafeHands"]


def test_a_receiver_hears_what_it_asked_for() -> None:
    """By events, and by the least severity."""
    every = [telling(event=event) for event in Event]
    me = desk(quietHours={}, events=["FoundOff", "MachineOn"])
    me.take(every, now=EVENING)
    assert sorted(each["event"] for each in sent(me, EVENING)[0]) == ["FoundOff", "MachineOn"]
    me = desk(quietHours={}, minSeverity="critical")
    me.take(every, now=EVENING)
    assert sorted(each["event"] for each in sent(me, EVENING)[0]) == ["BatteryLow", "OnBattery", "SafeHands"]


def test_a_restart_in_the_night_loses_no_summary() -> None:
    """What the life before had kept for the morning is kept again; what it had told before the night is not."""
    me = desk()
    before, kept, urgent = (
        telling(1, at=hours(0)),
        telling(2, at=hours(2)),
        telling(3, event=Event.SAFE_HANDS, at=hours(2)),
    )
    me.take_back([before, kept, urgent], now=hours(4))
    assert sent(me, hours(4)) == ([], hours(10))
    assert [each["machine"] for each in sent(me, hours(10))[0]] == ["box-2"]
    me.take_back([kept], now=hours(12))
    assert sent(me, hours(12)) == ([], None)


def test_messages_that_were_lost_are_counted_in_the_next() -> None:
    """Who was not reached for a while learns that something is missing."""
    me = desk()
    me.lost = 3
    me.take([telling()], now=EVENING)
    assert "3 messages before this one could not be sent" in sent(me, EVENING)[0][0]["why"]


def test_hostile_texts_stay_texts() -> None:
    """A reason of any characters breaks no JSON and no line of a summary's JSON."""
    why = '"}],"x":"\x00\x1b[2J\u202e\ud800' + "y" * 400
    odd = [
        Telling(Trouble(event=Event.DRAIN_BLOCKED, slot=str(n), of=Lookup("m", "b"), why=why), State.BEGAN, EVENING)
        for n in (1, 2)
    ]
    me = desk()
    me.take(odd, now=hours(2))
    [letter], _ = sent(me, hours(10))
    assert letter["state"] == "summary"
    assert len(letter) == 10
