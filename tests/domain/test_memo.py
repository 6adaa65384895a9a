"""What is kept by identity: each object has its own answer, however many there are."""

from datetime import UTC, datetime, timedelta

from msgspec import Struct, structs

from hexa.domain import memo
from hexa.domain.memo import ByIdentity, at_a_moment, remembered


class Thing(Struct, frozen=True):
    """Equal to others of its number, and not the same."""

    number: int


def test_each_object_is_worked_out_once() -> None:
    """The very same object is not worked out twice; an equal one is, and has its own answer."""
    asked: list[Thing] = []

    @remembered
    def double(thing: Thing) -> int | None:
        asked.append(thing)
        return thing.number * 2 or None

    one, equal, nothing = Thing(1), Thing(1), Thing(0)
    assert [double(one), double(one), double(equal), double(nothing), double(nothing)] == [2, 2, 2, None, None]
    assert [id(each) for each in asked] == [id(one), id(equal), id(nothing)]


def test_an_object_that_is_gone_answers_for_no_other() -> None:
    """Objects that come and go at the same place in memory get their own answers, and only so many are kept."""
    known: ByIdentity[Thing, int] = ByIdentity()
    for number in range(3 * memo.SIZE):
        thing = Thing(number)
        assert known.get(thing) is None
        known.put(thing, number)
        assert known.get(thing) == number
        del thing
    assert int(repr(known).split()[1].rstrip(">")) <= memo.SIZE


class Lamp(Struct, frozen=True, dict=True):
    """Goes out at its time."""

    until: datetime

    @at_a_moment
    def lit(self, now: datetime) -> bool:
        asked_at.append(now)
        return now < self.until


asked_at: list[datetime] = []


def test_what_is_asked_at_one_moment_is_worked_out_once() -> None:
    """The answer for one moment stands for no other, whether later or earlier, and not for a copy in which something differs."""
    asked_at.clear()
    early, late = datetime(2026, 1, 5, tzinfo=UTC), datetime(2026, 1, 6, tzinfo=UTC)
    lamp = Lamp(until=early + timedelta(hours=1))
    assert [lamp.lit(early), lamp.lit(early), lamp.lit(late), lamp.lit(early)] == [True, True, False, True]
    assert asked_at == [early, late, early]
    assert not structs.replace(lamp, until=early).lit(early)
    assert lamp == Lamp(until=lamp.until)
    assert lamp.lit(early)
