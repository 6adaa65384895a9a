"""How far a reading Off is believed, and what is told of it meanwhile."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.domain.builders import LIMITS, OFF, ON, T0, at, facts, machine, read, status

from hexa.domain.machine.dues import leave_due, next_due
from hexa.domain.machine.lifecycle import Event, Phase, again
from hexa.domain.machine.sensing import sense
from hexa.domain.machine.trust import LEASE_PERIOD, READ_APART, RENEWAL_MISSED, Life, Told, believed, missed_at, told
from hexa.domain.machine.wish import forgotten_wish
from hexa.domain.resources.v1alpha1 import PowerReading, Reading

PERIODS = st.integers(0, 600_000).map(lambda milliseconds: milliseconds / 1000)


def life(heard: float | None, *, until: float | None = None, expected: float | None = None) -> Life:
    """A kubelet heard so many seconds after T0, with a lease of 40 s unless told otherwise."""
    stands = None if heard is None else at(heard + LEASE_PERIOD.total_seconds() if until is None else until)
    return Life(
        heard=None if heard is None else at(heard),
        until=stands,
        expected_from=None if expected is None else at(expected),
    )


def test_a_renewal_is_missed_after_twelve_seconds() -> None:
    """Counted from the last one that was heard, and where none was, from the beginning of our own sight; the later of both."""
    assert missed_at(life(10)) == at(22) == at(10) + RENEWAL_MISSED
    assert missed_at(life(None, expected=30)) == at(42)
    assert missed_at(life(10, expected=30)) == at(42)
    assert missed_at(life(40, expected=30)) == at(52)
    assert missed_at(life(None)) is None


def test_a_kubelet_that_renews_more_seldom_is_given_half_its_period() -> None:
    """A lease of two minutes is renewed each 30 s: silence of 12 s says nothing."""
    assert missed_at(life(10, until=130)) == at(70)


@given(first=PERIODS, at_=PERIODS, heard=st.none() | PERIODS, now=PERIODS, ordered=st.booleans())
def test_off_takes_two_proofs_and_no_contradiction(
    first: float, at_: float, heard: float | None, now: float, ordered: bool
) -> None:
    """It is believed exactly where it is newer than the last sign of life, a renewal was missed since, and it was read twice or our
    shutdown Job is done."""
    reading = read(Reading.OFF, at_, first=min(first, at_))
    proven = ordered or at(at_) - at(min(first, at_)) >= READ_APART
    silent = heard is None or (at(at_) > at(heard) and at(now) >= at(heard) + RENEWAL_MISSED)
    found = believed(reading, life(heard), ordered=ordered, now=at(now))
    assert found is (Reading.OFF if proven and silent else Reading.UNKNOWN)


def test_on_is_believed_as_it_is_read_and_nothing_is_known_without_a_time() -> None:
    """One sample of On is enough: it only ever keeps a machine on."""
    assert believed(read(Reading.ON, 5, first=5), life(1), ordered=True, now=at(6)) is Reading.ON
    for nothing in (None, PowerReading(power=Reading.OFF, source="pdu"), read(Reading.UNKNOWN, 5)):
        assert believed(nothing, life(None), ordered=True, now=at(60)) is Reading.UNKNOWN


def test_what_is_told_of_an_off_that_is_not_proven() -> None:
    """What was told before of the same sensor; of another one nothing is known."""
    before = PowerReading(power=Reading.ON, source="pdu", at=T0)
    once = read(Reading.OFF, 50, first=50)
    known: dict[str, Any] = {"ordered": False, "now": at(51)}
    assert told(once, life(None), before=before, **known) == Told(before)
    other = told(once, life(None), before=PowerReading(power=Reading.ON, source="bmc", at=T0), **known).reading
    assert other is not None
    assert (other.power, other.source) == (Reading.UNKNOWN, "pdu")
    assert told(None, life(None), before=before, **known) == Told(None)


@pytest.mark.parametrize(
    ("heard", "now", "contradicts"),
    [(5, 6, False), (15, 16, True), (15, 26.9, True), (15, 27, False), (14.9, 16, False)],
)
def test_a_lease_that_is_renewed_after_the_reading_is_a_contradiction(
    heard: float, now: float, contradicts: bool
) -> None:
    """Renewed at least five seconds after the sensor began to say Off, for what is seen late is none; until a renewal is missed."""
    reading = read(Reading.OFF, now, first=10)
    said = told(reading, life(heard), ordered=False, before=PowerReading(power=Reading.ON, source="pdu"), now=at(now))
    assert bool(said.contradiction) is contradicts
    if contradicts:
        assert "pdu reads Off since 2026-03-02T08:00:10+00:00" in said.contradiction
        assert said.reading is not None
        assert said.reading.power is Reading.UNKNOWN


@pytest.mark.parametrize(
    ("ordered", "heard", "now", "contradicts"),
    [(True, 0, 79.9, False), (True, 0, 80, True), (False, 0, 500, False), (True, None, 500, False)],
)
def test_an_on_that_the_job_and_silence_contradict_is_told(
    ordered: bool, heard: float | None, now: float, contradicts: bool
) -> None:
    """After two lease periods of silence; it stays On."""
    reading = read(Reading.ON, now)
    said = told(reading, life(heard), ordered=ordered, before=PowerReading(), now=at(now))
    assert said.reading is reading
    assert bool(said.contradiction) is contradicts
    assert ("its kubelet is silent since 2026-03-02T08:00:00+00:00" in said.contradiction) is contradicts


def test_an_on_of_a_kubelet_that_was_never_heard_is_told_without_a_time() -> None:
    """Expected since long ago, and silent: the sentence says no more than is known."""
    reading, expected = read(Reading.ON, 79), life(None, expected=0)
    said = told(reading, expected, ordered=True, before=PowerReading(), now=at(80))
    assert "its kubelet is silent: it hangs" in said.contradiction
    assert not told(reading, expected, ordered=True, before=PowerReading(), now=at(79.9)).contradiction


# --- to the second ------------------------------------------------------------------------------------


def test_a_node_that_is_ready_is_looked_at_when_its_next_sign_of_life_may_be_due() -> None:
    """Twelve seconds after the last one, which was of the phase before."""
    boots = status(Phase.BOOTING, wakes=3)
    assert next_due(boots, facts(1, node_exists=True, node_ready=True, heard=-3), limits=LIMITS) == at(9)


def test_blind_and_without_a_sign_of_life_silence_has_yet_to_last() -> None:
    """Two lease periods from now on, whenever that is."""
    assert leave_due(facts(10, watching_since=None)) == at(90)


@pytest.mark.parametrize("wish", [ON, OFF])
def test_silence_of_a_kubelet_with_a_long_lease_is_off_after_half_of_it(wish: Any) -> None:
    """Without a sensor: neither twelve seconds nor `offConfirm` is enough for one that renews each 30 s."""
    known: dict[str, Any] = {"heard": 1.0, "until": 121.0, "job_done": True, "wish": wish, "job_begun": True}
    going = status(Phase.POWERING_OFF)
    assert sense(going, facts(60.9, **known), limits=LIMITS) is not Event.POWER_GONE
    assert sense(going, facts(61, **known), limits=LIMITS) is Event.POWER_GONE


def test_an_action_that_is_tried_anew_is_another_attempt() -> None:
    """Attempts only ever go up: a Job of the one before is never found again."""
    before = status(Phase.POWERING_ON, attempt=7, woken_at=at(1))
    after = again(before, now=at(90))
    assert (after.attempt, after.job, after.woken_at) == (8, None, at(90))
    assert again(status(Phase.POWERING_OFF, attempt=1), now=at(90)).woken_at is None


@pytest.mark.parametrize("phase", Phase)
def test_a_machine_that_is_given_up_stays_as_it_is(phase: Phase) -> None:
    """Its wish says off only where it is off."""
    (annotation,) = forgotten_wish(machine(phase=phase), now=T0 + timedelta(hours=1)).values()
    assert (('"power": "off"' in annotation), ('"power": "on"' in annotation)) == (
        phase is Phase.OFF,
        phase is not Phase.OFF,
    )
