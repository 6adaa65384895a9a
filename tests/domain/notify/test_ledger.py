"""What is told when: each cause once an hour, its end too, and nothing twice over a restart."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from hexa.domain.notify.events import Event, Telling, Trouble
from hexa.domain.notify.ledger import Ledger
from hexa.domain.resources.v1alpha1 import Lookup

START = datetime(2026, 11, 30, 12, tzinfo=UTC)
BOX = Lookup("machines", "box")


def at(minutes: float) -> datetime:
    """So long after the start."""
    return START + timedelta(minutes=minutes)


def trouble(
    event: Event = Event.DRAIN_BLOCKED,
    *,
    slot: str = "x",
    of: Lookup | None = BOX,
    since: float | None = 0.0,
    **more: Any,
) -> Trouble:
    """Something that stands; `since`: minutes after the start."""
    return Trouble(event=event, slot=slot, of=of, since=None if since is None else at(since), **more)


def told(tellings: list[Telling]) -> list[tuple[str, str]]:
    """In short."""
    return [(str(each.trouble.event), str(each.state)) for each in tellings]


def test_what_begins_is_told_once_and_its_end_too() -> None:
    """However often the same thing is seen, it is told when it begins and when it is over."""
    ledger = Ledger(START)
    ledger.put("a", [trouble()], now=at(0))
    assert told(ledger.due(at(0))) == [("DrainBlocked", "began")]
    ledger.put("a", [trouble(why="another text")], now=at(1))
    assert told(ledger.due(at(1))) == []
    assert ledger.looks(at(1)) is None
    ledger.put("a", [], now=at(2))
    assert told(ledger.due(at(2))) == [("DrainBlocked", "over")]
    assert told(ledger.due(at(200))) == []


def test_a_cause_that_comes_and_goes_is_told_once_an_hour() -> None:
    """Twenty times within an hour are one message and its end; if it stands after the hour it is told again."""
    ledger, heard = Ledger(START), list[tuple[str, str]]()
    for minute in range(0, 40, 2):
        ledger.put("a", [trouble(since=minute)], now=at(minute))
        heard += told(ledger.due(at(minute)))
        ledger.put("a", [], now=at(minute + 1))
        heard += told(ledger.due(at(minute + 1)))
    assert heard == [("DrainBlocked", "began"), ("DrainBlocked", "over")]
    ledger.put("a", [trouble(since=41)], now=at(41))
    assert told(ledger.due(at(59.9))) == []
    assert ledger.looks(at(41)) == at(60)
    assert told(ledger.due(at(60))) == [("DrainBlocked", "began")]


def test_what_ends_soon_is_not_told() -> None:
    """A machine that is lost for half a minute is nobody's business; one that stays lost is told after a minute, without news."""
    ledger = Ledger(START)
    ledger.put("a", [trouble(Event.MACHINE_LOST)], now=at(0))
    assert told(ledger.due(at(0))) == []
    assert ledger.looks(at(0)) == at(1)
    ledger.put("a", [], now=at(0.5))
    assert told(ledger.due(at(5))) == []
    ledger.put("a", [trouble(Event.MACHINE_LOST, since=6)], now=at(6))
    assert told(ledger.due(at(7))) == [("MachineLost", "began")]


def test_worse_is_told_at_once_and_its_end_once() -> None:
    """What takes the place of something else at the same object is told by itself; only the last of them ends."""
    ledger = Ledger(START)
    ledger.put("a", [trouble(Event.MACHINE_DOES_NOT_WAKE)], now=at(0))
    ledger.due(at(0))
    ledger.put("a", [trouble(Event.QUARANTINED, since=5)], now=at(5))
    assert told(ledger.due(at(5))) == [("Quarantined", "began")]
    ledger.put("a", [], now=at(6))
    assert told(ledger.due(at(6))) == [("Quarantined", "over")]


def test_the_site_is_told_once() -> None:
    """Five groups that say the same of the site are one cause, and the worst of them counts; of what is gone no end is told."""
    ledger = Ledger(START)
    for number in range(5):
        ledger.put(f"g{number}", [trouble(Event.ON_BATTERY, of=None)], now=at(0))
    assert told(ledger.due(at(0))) == [("OnBattery", "began")]
    ledger.put("g3", [trouble(Event.BATTERY_LOW, of=None)], now=at(5))
    assert told(ledger.due(at(5))) == [("BatteryLow", "began")]
    for number in range(4):
        ledger.put(f"g{number}", [], now=at(10))
    assert told(ledger.due(at(10))) == []
    ledger.forget("g4")
    assert told(ledger.due(at(11))) == []


def test_the_end_at_the_last_group_is_told() -> None:
    """As above, where the last group is still there."""
    ledger = Ledger(START)
    for number in range(2):
        ledger.put(f"g{number}", [trouble(Event.SAFE_HANDS, of=None)], now=at(0))
    ledger.due(at(0))
    for number in range(2):
        ledger.put(f"g{number}", [], now=at(10))
    assert told(ledger.due(at(10))) == [("SafeHands", "over")]


def test_what_the_site_explains_is_not_told_beside_it() -> None:
    """Ninety machines that fall with the site are one message; what still stands afterwards is told then."""
    ledger = Ledger(START)
    for number in range(90):
        ledger.put(f"m{number}", [trouble(Event.MACHINE_LOST, of=Lookup("machines", f"m{number}"))], now=at(0))
    ledger.put("g", [trouble(Event.SAFE_HANDS, of=None)], now=at(0.2))
    assert told(ledger.due(at(3))) == [("SafeHands", "began")]
    for number in range(1, 90):
        ledger.put(f"m{number}", [], now=at(4))
    ledger.put("g", [], now=at(6))
    assert told(ledger.due(at(6))) == [("MachineLost", "began"), ("SafeHands", "over")]


def test_moments_are_told_once_an_hour_for_each_object() -> None:
    """A machine that somebody else switches again and again is told once an hour; another one is told too."""
    ledger = Ledger(START)
    for number in range(5):
        ledger.happened(trouble(Event.FOUND_OFF), now=at(number))
    ledger.happened(trouble(Event.FOUND_OFF, of=Lookup("machines", "other")), now=at(5))
    assert told(ledger.due(at(5))) == [("FoundOff", "happened")] * 2
    ledger.happened(trouble(Event.FOUND_OFF), now=at(59))
    assert told(ledger.due(at(59))) == []
    ledger.happened(trouble(Event.FOUND_OFF), now=at(66))
    assert told(ledger.due(at(66))) == [("FoundOff", "happened")]


# --- restarts ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("since", [-600.0, -59.0, -0.1])
def test_a_restart_repeats_nothing(since: float) -> None:
    """What stood before this life began was told by the life before; its end is told by this one."""
    ledger = Ledger(START)
    ledger.put("a", [trouble(since=since)], now=at(0.1), first_look=True)
    assert told(ledger.due(at(0.1))) == []
    assert ledger.looks(at(0.1)) is None
    assert [each.trouble.event for each in ledger.standing()] == [Event.DRAIN_BLOCKED]
    ledger.put("a", [], now=at(3))
    assert told(ledger.due(at(3))) == [("DrainBlocked", "over")]


def test_what_became_due_since_the_restart_is_told() -> None:
    """What began in this life before the first look, or was not due yet in the life before, is told."""
    ledger = Ledger(at(0).replace(microsecond=700_000))
    ledger.put("a", [trouble(since=0)], now=at(0.1), first_look=True)
    ledger.put("b", [trouble(Event.MACHINE_LOST, slot="lost", since=-0.5)], now=at(0.1), first_look=True)
    assert told(ledger.due(at(0.1))) == [("DrainBlocked", "began")]
    assert ledger.looks(at(0.1)) == at(0.5)
    assert told(ledger.due(at(0.5))) == [("MachineLost", "began")]


def test_what_no_status_dates_waits_for_the_hour_after_a_restart() -> None:
    """Nobody knows whether the life before told it: it is told after the hour. In a life that saw it begin it is told soon."""
    ledger = Ledger(START)
    ledger.put("a", [trouble(Event.GROUP_SHORT, since=None)], now=at(0), first_look=True)
    ledger.put("b", [trouble(Event.GROUP_SHORT, of=Lookup("machines", "b"), since=None)], now=at(0))
    assert ledger.looks(at(0)) == at(15)
    assert [each.trouble.of for each in ledger.due(at(15)) if each.trouble.of] == [Lookup("machines", "b")]
    assert told(ledger.due(at(59))) == []
    assert told(ledger.due(at(60))) == [("GroupShort", "began")]


def test_a_clock_that_is_set_changes_no_hour() -> None:
    """Set back by a day, a cause is told again an hour after it was told, and not a day later."""
    ledger, day = Ledger(START), timedelta(days=1)
    ledger.put("a", [trouble()], now=at(0))
    ledger.due(at(0))
    ledger.put("a", [], now=at(1))
    ledger.due(at(1))
    ledger.moved(-day)
    ledger.put("a", [trouble(since=-1440 + 2)], now=at(2) - day)
    assert ledger.looks(at(2) - day) == at(60) - day
    assert told(ledger.due(at(60) - day)) == [("DrainBlocked", "began")]


def test_times_that_cannot_be_do_no_harm() -> None:
    """A stamp of the year 8999 counts from now, one of 1970 was told long ago."""
    ledger = Ledger(START)
    far, old = (
        Trouble(event=Event.MACHINE_LOST, slot=name, of=BOX, since=when)
        for name, when in (("far", datetime(8999, 12, 31, tzinfo=UTC)), ("old", datetime(1970, 1, 1, tzinfo=UTC)))
    )
    ledger.put("a", [far, old], now=at(0), first_look=True)
    assert ledger.looks(at(0)) == at(1)
    assert [each.trouble.slot for each in ledger.due(at(1))] == ["far"]
