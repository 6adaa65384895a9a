"""Who is silent, who is a spare, and what a hedge makes of the target."""

from typing import Any

import pytest
from msgspec import structs
from tests.domain.builders import LIMITS, ON, at, facts, machine, status, wish

from hexa.domain.group.sizing import Member, Replacement, replacements, resters, target
from hexa.domain.machine.acts import silent
from hexa.domain.machine.dues import next_due
from hexa.domain.machine.lifecycle import Event, Phase, enter, step, trying_since
from hexa.domain.machine.reason import Reason
from hexa.domain.policy.limits import machine_limits
from hexa.domain.policy.policy import Policy
from hexa.domain.resources.v1alpha1 import Asker, Group, GroupSpec, Lookup, Power, Reading, Retries, WishRecord
from hexa.domain.rules.hedge import begun_hedges, hedged_by, next_hedge, with_takers
from hexa.domain.rules.judge import beside

HEDGED = structs.replace(LIMITS, hedge=True)
INTERVAL = LIMITS.wake_interval.total_seconds()
CA, US = Asker.CLUSTER_AUTOSCALER, Asker.RECOVERY


def member(name: str, phase: Phase, record: WishRecord | None = None, **more: Any) -> Member:
    """A machine of the group."""
    return Member(**{"key": Lookup("site", name), "phase": phase, "wish": record, "began": at(0), **more})


DEAD = member("dead", Phase.BOOTING, wish(ON, CA), silent=True)
SPARE = member("spare", Phase.OFF)
ASKED = member("spare", Phase.OFF, wish(ON, US, reason=Reason.HEDGE, replaces="dead", since=at(90)))


# --- who is silent -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wakes", [1, 2])
@pytest.mark.parametrize("phase", [Phase.POWERING_ON, Phase.BOOTING])
def test_a_machine_falls_silent_with_its_first_interval(phase: Phase, wakes: int) -> None:
    """From the first wake interval that passes without a sign of life, whatever became of the Job, and never while we are blind."""
    woken = status(phase, wakes=wakes, woken_at=at(0 if wakes == 1 else INTERVAL))
    assert silent(woken, facts(INTERVAL, wish=ON), limits=HEDGED)
    assert not silent(woken, facts(INTERVAL, wish=ON), limits=LIMITS)
    assert not silent(woken, facts(INTERVAL, wish=ON, watching_since=None), limits=HEDGED)
    assert not silent(woken, facts(INTERVAL, wish=ON, watching_since=INTERVAL - 5), limits=HEDGED)
    assert silent(woken, facts(INTERVAL + 35, wish=ON, watching_since=INTERVAL - 5), limits=HEDGED)
    assert not silent(woken, facts(INTERVAL, wish=Power.OFF), limits=HEDGED)


def test_a_sign_of_life_ends_the_silence() -> None:
    """A renewed lease, or a reading On: it comes, only late."""
    woken = status(Phase.BOOTING, wakes=2, woken_at=at(INTERVAL), silent=True)
    assert silent(woken, facts(200, wish=ON), limits=HEDGED)
    assert not silent(woken, facts(200, wish=ON), limits=LIMITS)
    assert not silent(woken, facts(200, wish=ON, heard=195), limits=HEDGED)
    assert not silent(woken, facts(200, wish=ON, reading=(Reading.ON, 195)), limits=HEDGED)


def test_the_end_of_the_first_interval_is_an_instant_to_come_back_at() -> None:
    """Even where one wake is all that is sent."""
    once = structs.replace(HEDGED, attempts=1)
    woken = status(Phase.BOOTING, wakes=1, woken_at=at(0))
    assert next_due(woken, facts(10, wish=ON), limits=once) == at(INTERVAL)
    assert next_due(woken, facts(10, wish=ON), limits=structs.replace(once, hedge=False)) != at(INTERVAL)


def test_a_machine_overrides_its_group() -> None:
    """One that is known to be slow is not hedged, one that matters is."""
    group = Group(spec=GroupSpec(retries=Retries(hedge=True)))
    assert machine_limits(machine(), group)[0].hedge
    assert not machine_limits(machine(retries=Retries(hedge=False)), group)[0].hedge
    assert machine_limits(machine(retries=Retries(hedge=True)), Group())[0].hedge


def test_silence_is_of_one_try() -> None:
    """The end of the Job keeps it, as it keeps the try's begin; any other phase begins anew."""
    off = enter(status(Phase.OFF), Phase.POWERING_ON, event=Event.WANTED, now=at(1), limits=LIMITS)
    hushed = structs.replace(off, silent=True)
    booting = step(hushed, Event.STARTED, now=at(20), limits=LIMITS)
    assert (booting.silent, trying_since(booting)) == (True, at(1))
    assert not step(hushed, Event.POWER_SEEN, now=at(20), limits=LIMITS).silent
    failed = step(booting, Event.OVERDUE, now=at(500), limits=LIMITS)
    assert (failed.silent, trying_since(failed)) == (False, at(1))
    assert trying_since(step(failed, Event.COOLED_DOWN, now=at(600), limits=LIMITS)) is None


# --- who is a spare ----------------------------------------------------------------------------------------------


def test_one_spare_takes_the_place_and_the_target_stays() -> None:
    """By the one write of the spare's wish; and nobody else is asked."""
    before = [DEAD, SPARE, member("third", Phase.OFF)]
    assert next_hedge(Policy(max_size=1), before) == Replacement(DEAD, SPARE)
    after = with_takers([DEAD, ASKED, before[2]])
    assert (target(before), target(after)) == (1, 1)
    assert next_hedge(Policy(), after) is None
    assert begun_hedges(after) == [Replacement(after[0], ASKED)]
    marked = [structs.replace(DEAD, replaced=True), ASKED]
    assert begun_hedges(marked) == []
    assert target(marked) == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"unproven": True},
        {"cooling": True},
        {"valid": False},
        {"phase": Phase.STOP_FAILED},
        {"phase": Phase.POWERING_OFF},
        {"wish": wish(Power.OFF, Asker.USER)},
        {"wish": wish(Power.OFF, Asker.SCHEDULE)},
    ],
)
def test_who_is_no_spare(changes: dict[str, Any]) -> None:
    """Not shown to wake, cooling off, slow to come, or put off by a person's word."""
    assert next_hedge(Policy(), [DEAD, structs.replace(SPARE, **changes)]) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"silent": False},
        {"phase": Phase.START_FAILED},
        {"wish": wish(ON, Asker.USER)},
        {"wish": wish(ON, Asker.HOLD)},
        {"wish": wish(ON, US, reason="Exercise")},
        {"wish": wish(ON, US, reason="FoundOn")},
        {"wish": wish(ON, US, reason=Reason.HEDGE, replaces="other")},
        {"replaced": True},
        {"valid": False},
    ],
)
def test_who_is_not_hedged(changes: dict[str, Any]) -> None:
    """What answers, what a person wants, what is woken for its proof, and a spare."""
    assert next_hedge(Policy(), [structs.replace(DEAD, **changes), SPARE]) is None


def test_who_took_the_place_of_an_earlier_try_does_not_hide_who_takes_it_now() -> None:
    """A machine was replaced once, came back, and is silent again: its spare takes its place, whatever the first one's wish says
    still (found by the random site)."""
    once = member("zed", Phase.READY, wish(ON, US, reason="TakesPlace", replaces="dead", since=at(-50)))
    for members in ([DEAD, SPARE, once], [once, DEAD, SPARE]):
        before = target(with_takers(members))
        after = with_takers([ASKED if each is SPARE else each for each in members])
        assert target(after) == before == 2
        assert {each.key.name for each in after if each.taken} == {"dead"}


def test_a_spare_that_was_up_is_a_machine_like_any_other() -> None:
    """When it is woken again and stays silent it is hedged."""
    old = structs.replace(DEAD, wish=wish(ON, US, reason=Reason.HEDGE, replaces="other"), tried_at=at(300))
    assert next_hedge(Policy(), [old, SPARE]) == Replacement(old, SPARE)


def test_no_hedge_above_the_maximum() -> None:
    """A lowered maximum is not what spares are for."""
    assert next_hedge(Policy(max_size=1), [DEAD, SPARE, member("up", Phase.READY, wish(ON, CA))]) is None


def test_the_hedge_is_the_replacement() -> None:
    """A crash before the mark, then the limit: the spare is known as the one that takes the place, and no other is asked."""
    failed = structs.replace(DEAD, phase=Phase.START_FAILED, since=at(500))
    assert replacements(Policy(), [failed, ASKED, member("third", Phase.OFF)]) == []
    later = structs.replace(failed, began=at(400))  # another boot than the one that the spare was asked for
    assert len(replacements(Policy(), [later, ASKED, member("third", Phase.OFF)])) == 1


def test_a_request_taken_back_takes_both() -> None:
    """The silent machine goes with its spare."""
    assert hedged_by([DEAD, ASKED], [ASKED.key]) == [DEAD.key]
    assert hedged_by([DEAD, ASKED], []) == []


def test_who_came_late_rests_first() -> None:
    """Of machines that are up, the one whose place was taken."""
    late = member("late", Phase.READY, wish(ON, CA), replaced=True)
    other = member("a", Phase.READY, wish(ON, US), hourly=9.0, failures=3)
    assert resters([other, late])[0] == late


def test_a_hedge_is_explained_from_both_ends() -> None:
    """Each names the other."""
    both = [DEAD, ASKED]
    assert "spare was woken beside it" in "".join(beside(DEAD, both))
    assert "place of dead" in "".join(beside(ASKED, both))
    assert list(beside(SPARE, [SPARE])) == []
