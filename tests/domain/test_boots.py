"""What a boot is known by: the sign of life that began it, and the silence of a system that still boots."""

from datetime import timedelta

import pytest
from msgspec import structs
from tests.domain.builders import LIMITS, OFF, ON, at, facts, machine, status

from hexa.domain.machine.acts import wake_again
from hexa.domain.machine.boot import answered, crowded, on_their_way, with_marks
from hexa.domain.machine.dues import CROWD_LOOK, next_due
from hexa.domain.machine.facts import LEASE_PERIOD, RENEWAL_MISSED
from hexa.domain.machine.lifecycle import Event, Phase, send_wake, step
from hexa.domain.machine.sensing import sense
from hexa.domain.policy.limits import Limits, machine_limits
from hexa.domain.resources.v1alpha1 import NodeStatus, Reading


def noticed(before: Phase) -> NodeStatus:
    """A machine that came to `before` at T0, and to Booting by a sign of power a minute later."""
    off = step(status(Phase.UNKNOWN), Event.OVERDUE, now=at(0), limits=LIMITS)
    found = off if before is Phase.OFF else step(off, Event.WANTED, now=at(0), limits=LIMITS)
    return step(found, Event.POWER_SEEN, now=at(60), limits=LIMITS)


@pytest.mark.parametrize("before", [Phase.OFF, Phase.POWERING_ON])
def test_the_sign_of_life_that_began_a_boot_belongs_to_it(before: Phase) -> None:
    """A node that turns Ready after the beat by which its boot was noticed is Ready at once: nobody waits for another beat."""
    began = noticed(before)
    assert sense(began, facts(63, heard=60, node_exists=True, node_ready=True), limits=LIMITS) is Event.NODE_READY
    assert sense(began, facts(63, heard=-5, node_exists=True, node_ready=True), limits=LIMITS) is None


def test_a_beat_from_before_the_wake_is_of_no_boot() -> None:
    """After a wake Job the Ready node of the boot before does not count, however young its last beat is."""
    woken = step(
        step(status(Phase.OFF), Event.WANTED, now=at(0), limits=LIMITS), Event.STARTED, now=at(2), limits=LIMITS
    )
    assert sense(woken, facts(5, wish=ON, heard=-10, node_exists=True, node_ready=True), limits=LIMITS) is None


def test_a_living_node_is_looked_at_again_for_its_next_beat() -> None:
    """A phase that waits for a sign of life of its own looks again when the next beat must have come."""
    stuck = status(Phase.BOOTING, woken_at=at(0))
    known = facts(3, wish=ON, heard=-2, until=10_000, node_exists=True, node_ready=True)
    assert next_due(stuck, known, limits=LIMITS) == at(-2) + RENEWAL_MISSED


def test_a_drain_waits_for_a_system_that_still_boots() -> None:
    """A wake that is taken back ends in a power-off only when the machine has come up, or can't be coming up any more: what boots
    cannot be shut down in order, and neither its silence nor its missing node is a loss."""
    woken = step(status(Phase.OFF), Event.WANTED, now=at(0), limits=LIMITS)
    drained = step(woken, Event.UNWANTED, now=at(10), limits=LIMITS)
    for now, heard, expected in (
        (20, None, None),
        (LIMITS.boot.total_seconds() - 1, None, None),
        (LIMITS.boot.total_seconds(), None, Event.EMPTY),
        (60, 59.0, Event.EMPTY),
    ):
        known = facts(now, wish=OFF, pods=0, heard=heard, node_exists=heard is not None)
        assert sense(drained, known, limits=LIMITS) is expected
    assert next_due(drained, facts(20, wish=OFF, pods=0), limits=LIMITS) == at(0) + LIMITS.boot


def test_a_short_drain_waits_no_shorter_for_a_system_that_boots() -> None:
    """A drain limit below the time of a boot doesn't end the wait: neither is the machine switched off in the second in which its
    kubelet may register, nor does it count as one that stays Ready."""
    short = structs.replace(LIMITS, drain=timedelta(seconds=30))
    drained = step(
        step(status(Phase.OFF), Event.WANTED, now=at(0), limits=short), Event.UNWANTED, now=at(10), limits=short
    )
    for now, expected in ((31, None), (41, None), (short.boot.total_seconds(), Event.EMPTY)):
        assert sense(drained, facts(now, wish=OFF, pods=0), limits=short) is expected


def test_a_drain_does_not_wait_for_a_machine_that_is_read_as_off() -> None:
    """Where a sensor reads Off, a wake that is taken back is over at once."""
    woken = step(status(Phase.OFF), Event.WANTED, now=at(0), limits=LIMITS)
    drained = step(woken, Event.UNWANTED, now=at(10), limits=LIMITS)
    assert sense(drained, facts(12, wish=OFF, pods=0, reading=(Reading.OFF, 12)), limits=LIMITS) is Event.POWER_GONE


# --- the first wake -----------------------------------------------------------------------------------


def woken(*again: float) -> NodeStatus:
    """A machine that was woken at T0, and again at these seconds."""
    found = step(status(Phase.OFF), Event.WANTED, now=at(0), limits=LIMITS)
    found = step(found, Event.STARTED, now=at(2), limits=LIMITS)
    for seconds in again:
        found = send_wake(found, now=at(seconds))
    return found


def limits_of(known: NodeStatus) -> Limits:
    """What its boots have taught."""
    return machine_limits(structs.replace(machine(), status=known), None)[0]


@pytest.mark.parametrize("again", [(), (24,), (10, 24)])
def test_failure_50_a_boot_is_learned_from_its_first_wake(again: tuple[float, ...]) -> None:
    """A healthy boot of 26 s was woken again at 24 s: it has taken 26 s, not 2 s, whichever of its wakes it answered."""
    up = step(woken(*again), Event.NODE_READY, now=at(26), limits=LIMITS)
    assert up.boot_seconds == (26.0,)
    assert up.first_wake is None


def test_failure_50_repeated_wakes_never_shorten_what_is_learned() -> None:
    """Ten boots of 26 s, each woken again as early as what was learned allows: the interval never falls below the boot."""
    known = NodeStatus()
    for _ in range(10):
        interval = limits_of(known).wake_interval.total_seconds()
        assert not known.boot_seconds or interval >= min(known.boot_seconds)
        began = woken(*(each for each in (interval, 2 * interval) if each < 26))
        up = step(structs.replace(began, boot_seconds=known.boot_seconds), Event.NODE_READY, now=at(26), limits=LIMITS)
        known = NodeStatus(boot_seconds=up.boot_seconds)
    assert set(known.boot_seconds) == {26.0}


def test_failure_50_a_late_arrival_counts_from_its_first_wake_too() -> None:
    """It failed to start, and came after all: what its boot took is told from the wake that began it."""
    failed = step(woken(90), Event.OVERDUE, now=at(600), limits=LIMITS)
    assert step(failed, Event.NODE_READY, now=at(700), limits=LIMITS).boot_seconds == (700.0,)


def test_a_boot_that_an_earlier_version_began_teaches_nothing_wrong() -> None:
    """Its status knows the last wake only; the history has the begin of the try."""
    old = structs.replace(woken(24), first_wake=None)
    assert step(old, Event.NODE_READY, now=at(26), limits=LIMITS).boot_seconds == (26.0,)


MARKS: list[tuple[tuple[str, str], tuple[str, str], bool]] = [
    (("T1", "u1"), ("T1", "u1"), False),
    (("T1", "u1"), ("T2", "u1"), True),
    (("T2", "u1"), ("T1", "u1"), True),  # a machine's clock that was set back
    (("T1", "u1"), ("none", "u1"), False),  # the Lease went: nobody renewed it
    (("none", "none"), ("T1", "none"), True),
    (("none", "none"), ("none", "u1"), True),  # registered, and its first Lease is still to come
    (("T1", "u1"), ("T1", "none"), False),
    (("", ""), ("T1", "u1"), False),  # blind as the wake was sent
    (("T1", "u1"), ("", ""), False),
]


@pytest.mark.parametrize(("then", "now", "expected"), MARKS)
def test_failure_53_another_mark_is_an_answer(then: tuple[str, str], now: tuple[str, str], expected: bool) -> None:
    """A Lease that says something else than when the machine was woken, or a node that registered since, is a sign of life of this
    boot; marks are compared for being equal, and what is not known tells nothing."""
    sent = with_marks(woken(), status(Phase.OFF), lease=then[0], node=then[1])
    assert answered(sent, lease=now[0], node=now[1]) is expected
    up = step(sent, Event.NODE_READY, now=at(26), limits=LIMITS)
    assert not answered(up, lease="T9", node="u9")  # of a machine that is up the Lease changes all the time


def test_failure_53_the_mark_is_of_the_first_wake() -> None:
    """What is written later, or with a second wake, does not hide an answer that nobody has seen yet."""
    sent = with_marks(woken(), status(Phase.OFF), lease="T1", node="u1")
    later = with_marks(send_wake(sent, now=at(90)), sent, lease="T2", node="u1")
    assert later.first_wake == sent.first_wake
    assert answered(later, lease="T2", node="u1")


def test_failure_53_no_wake_is_sent_again_before_a_lease_period_was_watched() -> None:
    """hexa starts in the midst of a boot whose next wake is due: the kubelet may be about to renew its Lease."""
    for watched, expected in ((0.1, False), (9, False), (39, False), (40, True), (90, True)):
        now = LIMITS.wake_interval.total_seconds() + 100
        known = facts(now, wish=ON, watching_since=now - watched, node_exists=True, job_done=True)
        assert wake_again(woken(), known, limits=LIMITS, job_running=False) is expected
        due = next_due(woken(), known, limits=LIMITS)
        assert expected or due == at(now - watched) + LEASE_PERIOD


# --- many at once -------------------------------------------------------------------------------------

QUICK = structs.replace(LIMITS, wake_interval=timedelta(seconds=40))
"""What calm days have taught: boots of 24 s."""


def woken_at(seconds: float) -> NodeStatus:
    """A machine that was woken then, and has not come up."""
    return step(status(Phase.OFF), Event.WANTED, now=at(seconds), limits=LIMITS)


@pytest.mark.parametrize(
    ("others", "expected"),
    [
        ((), False),
        ((0,), True),
        ((8,), True),
        ((-60,), True),
        ((30,), False),  # woken later: of course it is not up
        ((-100,), False),  # silent for longer than any patience
    ],
)
def test_failure_64_others_that_were_woken_no_later_make_a_crowd(others: tuple[float, ...], expected: bool) -> None:
    """Machines of the group that were woken together and are all still on their way: their boots are slow today."""
    assert crowded(woken_at(0), on_their_way(map(woken_at, others)), limits=QUICK) is expected


def test_failure_64_a_machine_that_came_up_makes_no_crowd() -> None:
    """Those that are up show how long a boot takes today: who is silent then has not got the wake."""
    up = step(woken_at(0), Event.NODE_READY, now=at(30), limits=LIMITS)
    assert not crowded(woken_at(0), on_their_way([up, status(Phase.OFF)]), limits=QUICK)


def test_failure_64_in_a_crowd_the_learned_interval_does_not_count() -> None:
    """A second wake comes after the patient interval then, and it is looked at in between: the others may be up by then."""
    for now, crowd, expected in ((41, False, True), (41, True, False), (89, True, False), (90, True, True)):
        known = facts(now, wish=ON, crowded=crowd, job_done=True)
        assert wake_again(woken(), known, limits=QUICK, job_running=False) is expected
    assert next_due(woken(), facts(41, wish=ON, crowded=True, job_done=True), limits=QUICK) == at(41) + CROWD_LOOK
