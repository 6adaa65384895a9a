"""What each event means in facts, to the second; what does not count; and that sleeping until `next_due` loses nothing."""

from collections.abc import Iterator
from datetime import timedelta
from itertools import product
from random import Random
from typing import Any

import pytest
from hypothesis import event, example, given, settings, target
from hypothesis import strategies as st
from msgspec import structs
from tests.domain.builders import LIMITS, OFF, ON, T0, at, facts, read, status

from hexa.domain.machine.acts import may_leave, wake_again
from hexa.domain.machine.dues import lease_due, leave_due, limit_due, next_due, sighted, wake_due
from hexa.domain.machine.facts import GOING_OFF, LEASE_PERIOD, RENEWAL_MISSED, Facts, says_off
from hexa.domain.machine.lifecycle import TRANSITIONS, Event, Phase, phase_of, step
from hexa.domain.machine.sensing import EVENTS_NOT_SEEN_BLIND, EVENTS_OF_WISH_OR_TIME, sense
from hexa.domain.policy.limits import Limits
from hexa.domain.resources.remediation import RemediationStatus
from hexa.domain.resources.v1alpha1 import JobRecord, NodeStatus, Power, PowerReading, Reading

LEASE = LEASE_PERIOD.total_seconds()
HOUR = 3600.0
OFF_CONFIRM, LOST_FOR = LIMITS.off_confirm.total_seconds(), LIMITS.lost.total_seconds()
ENDS = {  # when each phase's limit ends, in seconds after its entry
    Phase.UNKNOWN: 15.0,
    Phase.POWERING_ON: 270.0,
    Phase.BOOTING: 540.0,
    Phase.DRAINING: 600.0,
    Phase.POWERING_OFF: 300.0,
}
STORED = set(NodeStatus.__struct_fields__) - set(Facts.__struct_fields__)
ALIVE: dict[str, Any] = {"node_exists": True, "heard": 5.0}
"""A kubelet that was heard 5 s after the phase began."""


def noticed(phase: Phase, now: float, *, limits: Limits = LIMITS, **known: Any) -> Event | None:
    """What is noticed `now` seconds after the entry into `phase`. Keywords of the status: cool_until, forced and the like."""
    told = {name: known.pop(name) for name in STORED & set(known)}
    return sense(status(phase, **told), facts(now, **known), limits=limits)


# --- signs of life --------------------------------------------------------------------------------------


@pytest.mark.parametrize("phase", [Phase.UNKNOWN, Phase.OFF, Phase.POWERING_ON])
def test_fresh_lease_or_reading_on_is_power(phase: Phase) -> None:
    """A lease that changed in this phase, or a sensor that reads On in this phase, shows that the machine has power."""
    assert noticed(phase, 10, heard=5, node_exists=True) is Event.POWER_SEEN
    assert noticed(phase, 10, reading=(Reading.ON, 5), node_exists=True) is Event.POWER_SEEN


@pytest.mark.parametrize("phase", [Phase.UNKNOWN, Phase.OFF, Phase.POWERING_ON, Phase.BOOTING, Phase.LOST])
@pytest.mark.parametrize("moment", [-30.0, 0.0])
def test_facts_from_before_the_phase_show_nothing(phase: Phase, moment: float) -> None:
    """A lease change or a reading as old as the phase or older tells of the time before it, even if it still stands."""
    assert noticed(phase, 5, heard=moment, node_exists=True, node_ready=True) is None
    assert noticed(phase, 5, reading=(Reading.ON, moment), node_exists=True) is None
    assert noticed(phase, 5, reading=(Reading.OFF, moment), node_exists=True) is None


def test_lease_counts_for_its_period_and_no_longer() -> None:
    """A renewed lease is a sign of life until its period ends, not at its end."""
    assert noticed(Phase.OFF, 5 + LEASE - 0.001, heard=5) is Event.POWER_SEEN
    assert noticed(Phase.OFF, 5 + LEASE, heard=5) is None


@pytest.mark.parametrize("phase", [p for p in Phase if Event.NODE_READY in TRANSITIONS[p]])
def test_ready_needs_a_lease_that_we_saw_change_in_this_phase(phase: Phase) -> None:
    """Ready=True alone is what the last boot left behind; with a lease change of this phase it is news."""
    known: dict[str, Any] = {"node_exists": True, "node_ready": True, "cool_until": at(HOUR)}
    assert noticed(phase, 10, **known) is None
    assert noticed(phase, 10, heard=-1, **known) is None
    assert noticed(phase, 10, heard=9, **known) is Event.NODE_READY


def test_kubelet_that_is_not_ready_is_only_a_sign_of_power() -> None:
    """A NotReady node is not Ready, and by itself neither lost nor off."""
    assert noticed(Phase.POWERING_ON, 10, **ALIVE) is Event.POWER_SEEN
    assert noticed(Phase.BOOTING, 10, **ALIVE) is None
    assert noticed(Phase.READY, 10, **ALIVE) is None


def test_done_wake_job_is_a_start_only_without_a_sensor() -> None:
    """Where a sensor reads the power, a Job that says done proves nothing."""
    assert noticed(Phase.POWERING_ON, 2, job_done=True) is Event.STARTED
    assert noticed(Phase.POWERING_ON, 2, job_done=True, reading=(Reading.UNKNOWN, 1)) is None
    assert noticed(Phase.POWERING_ON, 2, job_done=True, reading=(Reading.OFF, 1)) is None
    assert noticed(Phase.POWERING_ON, 2, job_done=False) is None


def test_no_fact_holds_the_time_of_a_machines_clock() -> None:
    """Facts have no room for the times that a kubelet writes: a machine whose clock is years off is sensed alike. All are of the
    agent's own clock, the leaps of that one included."""
    times = {name for name, kind in Facts.__annotations__.items() if "datetime.datetime" in str(kind)}
    assert times == {"now", "watching_since", "heard", "heard_until", "skipped"}


# --- power gone -------------------------------------------------------------------------------------------

GONE = [p for p in Phase if Event.POWER_GONE in TRANSITIONS[p]]


@pytest.mark.parametrize("phase", GONE)
def test_reading_off_of_this_phase_is_power_gone(phase: Phase) -> None:
    """Read twice in this phase, by a machine that has missed a renewal: Off is believed at once."""
    known: dict[str, Any] = {"node_exists": True, "cool_until": at(HOUR)}
    assert noticed(phase, 10, reading=(Reading.OFF, 9), **known) is Event.POWER_GONE
    assert noticed(phase, 11, reading=(Reading.OFF, 10), heard=-1, **known) is Event.POWER_GONE
    assert noticed(phase, 10.999, reading=(Reading.OFF, 10), heard=-1, **known) is not Event.POWER_GONE


@pytest.mark.parametrize("phase", GONE)
def test_reading_off_older_than_the_last_sign_of_life_is_outvoted(phase: Phase) -> None:
    """A kubelet that was heard at the reading's time or later is on, whatever the sensor said."""
    known: dict[str, Any] = {"node_exists": True, "cool_until": at(HOUR)}
    for heard in (9.0, 10.0):
        assert noticed(phase, 11, reading=(Reading.OFF, 9), heard=heard, **known) is not Event.POWER_GONE


@pytest.mark.parametrize("phase", [Phase.POWERING_OFF, Phase.STOP_FAILED])
def test_machine_that_we_switched_off_is_off_once_it_missed_a_renewal(phase: Phase) -> None:
    """After our power-off the lease need not have run out: one renewal missed is enough, and not a moment less."""
    known: dict[str, Any] = {"heard": 10.0, "cool_until": at(HOUR)}
    assert noticed(phase, 22, reading=(Reading.OFF, 21), **known) is Event.POWER_GONE
    assert noticed(phase, 21.999, reading=(Reading.OFF, 21), **known) is not Event.POWER_GONE


@pytest.mark.parametrize("phase", GONE)
def test_failure_42_one_sample_of_off_is_not_believed(phase: Phase) -> None:
    """A single reading Off of a machine that is silent is none; a second one so long after the first is."""
    known: dict[str, Any] = {"node_exists": True, "cool_until": at(HOUR)}
    for apart in (0.0, 2.0, 4.999):
        once = read(Reading.OFF, 50, first=50 - apart)
        assert (
            sense(
                status(phase, cool_until=at(HOUR)),
                structs.replace(facts(51, node_exists=True), reading=once),
                limits=LIMITS,
            )
            is not Event.POWER_GONE
        )
    assert noticed(phase, 51, reading=(Reading.OFF, 50), **known) is Event.POWER_GONE


@pytest.mark.parametrize("phase", GONE)
def test_failure_42_one_sample_is_enough_after_our_shutdown(phase: Phase) -> None:
    """The shutdown Job that is done is the second proof, where we switch the machine off; elsewhere a Job proves nothing."""
    known = structs.replace(
        facts(51, node_exists=True, job_done=True), reading=PowerReading(power=Reading.OFF, source="pdu", at=at(50))
    )
    gone = sense(status(phase, cool_until=at(HOUR)), known, limits=LIMITS) is Event.POWER_GONE
    assert gone is (phase in GOING_OFF)


@pytest.mark.parametrize("phase", Phase)
@given(
    renewals=st.lists(st.floats(0.1, 11.9), min_size=1, max_size=30),
    told=st.booleans(),
    job_done=st.booleans(),
    ago=st.floats(0, 60),
)
@settings(max_examples=25)
def test_failure_43_off_is_never_noticed_while_the_lease_is_renewed(
    phase: Phase, renewals: list[float], told: bool, job_done: bool, ago: float
) -> None:
    """However long and however often a sensor says Off, and whatever our Job says: a kubelet that renews its lease every ten
    seconds or so is on, in every phase, and its Kubernetes node does not leave."""
    moment = 1.0
    for gap in renewals:
        heard, moment = moment, moment + gap
        for now in (heard + 0.01, heard + gap / 2, moment):
            reading = read(Reading.OFF, now, first=now - ago if told else now)
            known = structs.replace(facts(now, heard=heard, node_exists=True, job_done=job_done), reading=reading)
            assert sense(status(phase), known, limits=LIMITS) is not Event.POWER_GONE
            assert not may_leave(status(phase), known, shutdown_done=job_done)


@pytest.mark.parametrize("phase", [Phase.BOOTING, Phase.READY, Phase.DRAINING, Phase.LOST])
def test_standing_lease_contradicts_a_reading_off(phase: Phase) -> None:
    """A sensor that reads Off while a kubelet renews its lease is not believed before the lease has run out."""
    known: dict[str, Any] = {"node_exists": True, "heard": 10.0}
    for now in (12.0, 10 + LEASE - 0.001):
        assert noticed(phase, now, reading=(Reading.OFF, now), **known) is None
    assert noticed(phase, 10 + LEASE, reading=(Reading.OFF, 11), **known) is Event.POWER_GONE


def test_silence_after_our_shutdown_is_power_gone() -> None:
    """Without a sensor: the Job done and no sign of life for `offConfirm`, and not a moment earlier."""
    assert noticed(Phase.POWERING_OFF, OFF_CONFIRM - 0.001, job_done=True) is None
    assert noticed(Phase.POWERING_OFF, OFF_CONFIRM, job_done=True) is Event.POWER_GONE
    assert noticed(Phase.POWERING_OFF, OFF_CONFIRM, job_done=False) is None


def test_silence_counts_from_the_last_renewal() -> None:
    """A renewal after the shutdown began puts the confirmation off by `offConfirm`, not by the whole lease period."""
    assert noticed(Phase.POWERING_OFF, 7 + OFF_CONFIRM - 0.001, job_done=True, heard=7) is None
    assert noticed(Phase.POWERING_OFF, 7 + OFF_CONFIRM, job_done=True, heard=7) is Event.POWER_GONE


def test_silence_while_we_did_not_watch_is_none() -> None:
    """What we did not watch was not silent: after a restart the silence begins with our sight."""
    assert noticed(Phase.POWERING_OFF, 100 + OFF_CONFIRM - 0.001, job_done=True, watching_since=100) is None
    assert noticed(Phase.POWERING_OFF, 100 + OFF_CONFIRM, job_done=True, watching_since=100) is Event.POWER_GONE


def test_machine_wanted_again_is_believed_off_after_one_missed_renewal() -> None:
    """New demand does not wait for the second missed renewal; an `offConfirm` that is shorter still stands."""
    missed = RENEWAL_MISSED.total_seconds()
    assert noticed(Phase.POWERING_OFF, missed - 0.001, job_done=True, wish=ON) is None
    assert noticed(Phase.POWERING_OFF, missed, job_done=True, wish=ON) is Event.POWER_GONE
    quick = structs.replace(LIMITS, off_confirm=timedelta(seconds=3))
    assert noticed(Phase.POWERING_OFF, 3, job_done=True, wish=ON, limits=quick) is Event.POWER_GONE


def test_kubelet_that_renews_seldom_gets_longer() -> None:
    """Two renewals must be missed: with a lease of 120 s, which is renewed each 30 s, that takes 60 s."""
    assert noticed(Phase.POWERING_OFF, 59.9, job_done=True, heard=0, until=120) is None
    assert noticed(Phase.POWERING_OFF, 60, job_done=True, heard=0, until=120) is Event.POWER_GONE


@pytest.mark.parametrize("reading", [Reading.ON, Reading.UNKNOWN])
def test_silence_proves_nothing_where_a_sensor_reads(reading: Reading) -> None:
    """A machine with a sensor is off when the sensor says so: a dead sensor leaves it unknown."""
    assert noticed(Phase.POWERING_OFF, 250, job_done=True, reading=(reading, 249)) is None


@pytest.mark.parametrize("phase", [Phase.READY, Phase.DRAINING, Phase.BOOTING, Phase.LOST, Phase.STOP_FAILED])
def test_silence_alone_is_never_power_gone(phase: Phase) -> None:
    """Where we did not switch off, silence may be a partition: it is at most Lost."""
    known: dict[str, Any] = {"job_done": True, "node_exists": True, "cool_until": at(HOUR)}
    assert noticed(phase, 500, **known) in (None, Event.NODE_LOST)


# --- node lost --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("phase", [Phase.READY, Phase.DRAINING])
def test_node_is_lost_after_a_whole_period_of_silence(phase: Phase) -> None:
    """A lease period without a renewal, begun no earlier than the phase: until then the node is not lost."""
    for heard in (None, -20.0, 5.0):
        begin = max(heard or 0.0, 0.0)
        assert noticed(phase, begin + LEASE - 0.001, node_exists=True, heard=heard) is None
        assert noticed(phase, begin + LEASE, node_exists=True, heard=heard) is Event.NODE_LOST


@pytest.mark.parametrize("phase", [Phase.READY, Phase.DRAINING])
def test_node_is_not_lost_before_we_watched_a_whole_period(phase: Phase) -> None:
    """After a restart of hexa no machine is lost before it had a whole lease period to be heard."""
    assert noticed(phase, 500 + LEASE - 0.001, node_exists=True, watching_since=500) is None
    assert noticed(phase, 500 + LEASE, node_exists=True, watching_since=500) is Event.NODE_LOST


def test_longer_lease_is_waited_for() -> None:
    """A kubelet with a lease of two minutes is not lost before they are over."""
    assert noticed(Phase.READY, 129.9, node_exists=True, heard=10, until=130) is None
    assert noticed(Phase.READY, 130, node_exists=True, heard=10, until=130) is Event.NODE_LOST


@pytest.mark.parametrize("phase", [Phase.READY, Phase.DRAINING])
def test_deleted_node_is_lost_at_once(phase: Phase) -> None:
    """Somebody deleted the Kubernetes node: its kubelet never registers again, so nothing is waited for."""
    assert noticed(phase, 1, node_exists=False, heard=0.5) is Event.NODE_LOST


def test_machine_that_reads_off_is_gone_not_lost() -> None:
    """A reading Off tells more than silence does."""
    assert noticed(Phase.READY, 100, node_exists=True, reading=(Reading.OFF, 50)) is Event.POWER_GONE


# --- wishes -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("phase", Phase)
def test_absent_wish_is_neither_on_nor_off(phase: Phase) -> None:
    """Without a wish no machine is woken, kept, drained or switched off, however empty it is and however long it lasts."""
    of_wish = {Event.WANTED, Event.UNWANTED, Event.KEPT, Event.EMPTY, Event.FORCED}
    for now, pods in product((10.0, 10 * HOUR), (None, 0, 2)):
        for heard in (None, now - 1):
            assert noticed(phase, now, node_exists=True, heard=heard, pods=pods, force=True) not in of_wish


def test_wanted_machine_is_woken_unless_nothing_can_wake_it() -> None:
    """Off and wanted: woken at once; without a way on it stays off."""
    assert noticed(Phase.OFF, 0, wish=ON) is Event.WANTED
    assert noticed(Phase.OFF, 0, wish=ON, may_wake=False) is None
    assert noticed(Phase.OFF, 0, wish=OFF) is None


def test_lost_machine_is_woken_when_it_stayed_lost() -> None:
    """A lost machine that is wanted gets `lost` to come back by itself, and is not woken while it reads On."""
    assert noticed(Phase.LOST, LOST_FOR - 0.001, wish=ON) is None
    assert noticed(Phase.LOST, LOST_FOR, wish=ON) is Event.WANTED
    assert noticed(Phase.LOST, LOST_FOR, wish=ON, reading=(Reading.ON, 100)) is None
    assert noticed(Phase.LOST, LOST_FOR, wish=ON, reading=(Reading.UNKNOWN, 100)) is Event.WANTED
    assert noticed(Phase.LOST, LOST_FOR, wish=ON, may_wake=False) is None


def test_drain_turns_back_for_new_demand() -> None:
    """Wanted again while it drains: kept where its lease stands, though not renewed since; else it boots afresh."""
    assert noticed(Phase.DRAINING, 1, wish=ON, heard=-5, node_exists=True, pods=3) is Event.KEPT
    assert noticed(Phase.DRAINING, 1, wish=ON, node_exists=True, pods=3) is Event.WANTED
    assert noticed(Phase.DRAINING, LEASE - 5, wish=ON, heard=-5, node_exists=True) is Event.WANTED


@pytest.mark.parametrize("phase", [Phase.POWERING_ON, Phase.BOOTING])
def test_start_is_cancelled_at_once(phase: Phase) -> None:
    """A start that is not wanted any more goes by way of the drain, even if it is just Ready or overdue."""
    known: dict[str, Any] = {"node_exists": True, "node_ready": True, "heard": 999.0}
    assert noticed(phase, 1000, wish=OFF, **known) is Event.UNWANTED


def test_ready_machine_rests_when_its_cool_off_is_over() -> None:
    """After a drain was given up the next one waits for the cool-off, to the second."""
    alive = {**ALIVE, "heard": 95.0}
    assert noticed(Phase.READY, 99.999, wish=OFF, cool_until=at(100), **alive) is None
    assert noticed(Phase.READY, 100, wish=OFF, cool_until=at(100), **alive) is Event.UNWANTED
    assert noticed(Phase.READY, 100, wish=OFF, **alive) is Event.UNWANTED


# --- drains -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("phase", [Phase.DRAINING, Phase.LOST])
def test_machine_is_empty_only_when_its_pods_were_counted(phase: Phase) -> None:
    """No pod left and off wanted: empty. Pods that nobody counted are not none."""
    assert noticed(phase, 10, wish=OFF, pods=0, **ALIVE) is Event.EMPTY
    assert noticed(phase, 10, wish=OFF, pods=1, **ALIVE) is None
    assert noticed(phase, 10, wish=OFF, pods=None, **ALIVE) is None


def test_force_waits_for_the_drain_deadline() -> None:
    """Force only where the group says so, only with off wanted, and only when the drain deadline has passed."""
    alive = {**ALIVE, "heard": 590.0, "pods": 2}
    assert noticed(Phase.DRAINING, 599.999, wish=OFF, force=True, **alive) is None
    assert noticed(Phase.DRAINING, 600, wish=OFF, force=True, **alive) is Event.FORCED
    assert noticed(Phase.DRAINING, 600, wish=OFF, force=False, **alive) is Event.OVERDUE
    assert noticed(Phase.DRAINING, 600, wish=None, force=True, **alive) is Event.OVERDUE


def test_force_on_a_lost_machine_waits_for_lost() -> None:
    """A lost machine with pods is switched off by force when `lost` has passed, and without force not at all."""
    assert noticed(Phase.LOST, LOST_FOR - 0.001, wish=OFF, force=True, pods=2) is None
    assert noticed(Phase.LOST, LOST_FOR, wish=OFF, force=True, pods=2) is Event.FORCED
    assert noticed(Phase.LOST, 100 * HOUR, wish=OFF, force=False, pods=2) is None


@pytest.mark.parametrize("phase", [Phase.DRAINING, Phase.LOST])
def test_force_waits_for_what_came_while_we_were_away(phase: Phase) -> None:
    """A restart long after the deadline forces nothing before a lease period of sight: evictions get their chance."""
    known: dict[str, Any] = {"wish": OFF, "force": True, "pods": 2, "node_exists": True, "watching_since": 9000}
    assert noticed(phase, 9000 + LEASE - 0.001, **known) is None
    assert noticed(phase, 9000 + LEASE, heard=8999 + LEASE, **known) is Event.FORCED


def test_pods_in_the_power_off_turn_it_back() -> None:
    """A pod on a machine whose kubelet lives stops the power-off, unless it was forced."""
    assert noticed(Phase.POWERING_OFF, 10, pods=1, wish=OFF, **ALIVE) is Event.OCCUPIED
    assert noticed(Phase.POWERING_OFF, 10, pods=1, wish=OFF, forced=True, **ALIVE) is None
    assert noticed(Phase.POWERING_OFF, 10, pods=0, wish=OFF, **ALIVE) is None
    assert noticed(Phase.POWERING_OFF, 10, pods=None, wish=OFF, **ALIVE) is None
    assert noticed(Phase.POWERING_OFF, 10, pods=1, wish=OFF, heard=-1) is None


def test_the_wait_for_a_cancelled_boot_is_bounded_by_the_boot() -> None:
    """The longest time of a boot bounds the wait, also where a drain may take less; a sign of life from before the wake does not
    end it."""
    known: dict[str, Any] = {"wish": OFF, "pods": 0, "woken_at": at(-10)}
    short = structs.replace(LIMITS, boot=timedelta(seconds=100), drain=timedelta(seconds=30))
    assert noticed(Phase.DRAINING, 89.999, limits=short, **known) is None
    assert noticed(Phase.DRAINING, 90, limits=short, **known) is Event.EMPTY
    assert noticed(Phase.DRAINING, 9, heard=-11, node_exists=True, **known) is None


def test_machine_that_was_up_before_the_drain_is_not_waited_for() -> None:
    """The wait is for a boot: a machine that was Ready is switched off as soon as it is empty."""
    assert noticed(Phase.DRAINING, 1, wish=OFF, pods=0, node_exists=True, heard=-5) is Event.EMPTY


@pytest.mark.parametrize("phase", [Phase.DRAINING, Phase.LOST])
def test_failure_44_a_node_that_was_deleted_under_its_kubelet_is_not_empty(phase: Phase) -> None:
    """What a kubelet runs that is heard and has no node, no pod object tells: the machine goes off once that is silent, or has had
    its time."""
    known: dict[str, Any] = {"wish": OFF, "pods": 0, "node_exists": False, "heard": 5.0}
    assert noticed(phase, 5 + LEASE - 1, **known) is not Event.EMPTY
    assert next_due(status(phase), facts(10, **known), limits=LIMITS) == at(5 + LEASE)
    assert noticed(phase, 5 + LEASE, **known) is Event.EMPTY
    assert noticed(phase, LOST_FOR, **known | {"heard": LOST_FOR - 1}) is Event.EMPTY


# --- deadlines ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("phase", ENDS)
def test_phase_is_overdue_when_its_limit_has_passed(phase: Phase) -> None:
    """The limit's end is the deadline, to the second."""
    end = ENDS[phase]
    heard = end - 1 if phase is Phase.DRAINING else None
    assert noticed(phase, end - 0.001, node_exists=True, heard=heard) is None
    assert noticed(phase, end, node_exists=True, heard=heard) is Event.OVERDUE


@pytest.mark.parametrize("phase", ENDS)
def test_deadline_is_no_earlier_than_our_own_sight(phase: Phase) -> None:
    """After a restart a phase is overdue no earlier than a lease period (a shorter limit: that) after we see again."""
    grace = min(ENDS[phase], LEASE)
    known: dict[str, Any] = {"node_exists": True, "watching_since": 9000}
    assert noticed(phase, 9000 + grace - 0.001, **known) is None
    heard = 8999 + grace if phase is Phase.DRAINING else None
    assert noticed(phase, 9000 + grace, heard=heard, **known) is Event.OVERDUE


def test_machine_of_which_nothing_could_tell_is_off_at_once() -> None:
    """Without node, lease and sensor there is nothing to wait for; each of them makes it wait for `settle`."""
    assert noticed(Phase.UNKNOWN, 0) is Event.OVERDUE
    assert noticed(Phase.UNKNOWN, 14.999, node_exists=True) is None
    assert noticed(Phase.UNKNOWN, 14.999, heard=-100) is None
    assert noticed(Phase.UNKNOWN, 14.999, reading=(Reading.UNKNOWN, 1)) is None


def test_machine_whose_node_stands_ready_has_a_lease_period_to_show_itself() -> None:
    """A kubelet that renews its lease more seldom than we settle is not taken for off: its node would be cordoned."""
    ready: dict[str, Any] = {"node_exists": True, "node_ready": True}
    assert noticed(Phase.UNKNOWN, 39.999, **ready) is None
    assert noticed(Phase.UNKNOWN, 40, **ready) is Event.OVERDUE


@pytest.mark.parametrize("phase", ENDS)
@pytest.mark.parametrize("why", ["stood_still", "blind_seconds"])
def test_deadline_stands_still(phase: Phase, why: str) -> None:
    """The time of a pause or of blindness is added to the limit: nothing fails because nobody was allowed to act."""
    late = HOUR + ENDS[phase]
    known: dict[str, Any] = {"node_exists": True, why: HOUR}
    heard = late - 1 if phase is Phase.DRAINING else None
    assert noticed(phase, late - 0.001, heard=heard, **known) is None
    assert noticed(phase, late, heard=heard, **known) is Event.OVERDUE


@pytest.mark.parametrize("phase", ENDS)
def test_pause_that_has_just_ended_makes_nothing_overdue(phase: Phase) -> None:
    """A pause longer than the limit, over at this moment and not booked yet, is not taken for time that was used."""
    end = ENDS[phase]
    assert noticed(phase, end, node_exists=True, heard=end - 1, paused_since=at(0)) is not Event.OVERDUE
    assert noticed(phase, end, node_exists=True, paused_since=at(1)) is not Event.OVERDUE


@pytest.mark.parametrize("phase", ENDS)
def test_pause_that_has_not_lasted_yet_puts_nothing_off(phase: Phase) -> None:
    """One that began at this very moment, or that is said to begin later, gives no time."""
    end = ENDS[phase]
    heard = end - 1 if phase is Phase.DRAINING else None
    for begin in (end, end + HOUR):
        assert noticed(phase, end, node_exists=True, heard=heard, paused_since=at(begin)) is Event.OVERDUE


@pytest.mark.parametrize("phase", ENDS)
def test_time_that_the_clock_skipped_is_no_part_of_a_pause_that_is_not_booked_yet(phase: Phase) -> None:
    """It is among the blind seconds already: counted twice, a pause that began once the limit had passed would put the end off."""
    end = ENDS[phase]
    leap, late = (at(end + 1), at(end + 1 + HOUR)), end + 2 + HOUR
    known: dict[str, Any] = {"node_exists": True, "blind_seconds": HOUR, "skipped": (leap,)}
    heard = late - 1 if phase is Phase.DRAINING else None
    assert noticed(phase, late, heard=heard, paused_since=at(end), **known) is Event.OVERDUE
    assert noticed(phase, late, heard=heard, paused_since=at(end - 1), **known) is not Event.OVERDUE


def test_pause_counts_from_the_entry_into_the_phase() -> None:
    """A pause that began in an earlier phase stops this phase's clock from its entry on."""
    assert noticed(Phase.BOOTING, 600, paused_since=at(-HOUR)) is None


@pytest.mark.parametrize("phase", [Phase.START_FAILED, Phase.STOP_FAILED])
def test_failure_waits_for_its_cool_off(phase: Phase) -> None:
    """Failed phases end when the cool-off is over, to the second; one without a cool-off ends at once."""
    assert noticed(phase, 99.999, cool_until=at(100)) is None
    assert noticed(phase, 100, cool_until=at(100)) is Event.COOLED_DOWN
    assert noticed(phase, 0) is Event.COOLED_DOWN


def test_status_that_lost_its_time_is_not_stuck() -> None:
    """A status without the time of entry (edited, or restored in part) goes on: every fact and limit counts."""
    assert noticed(Phase.BOOTING, 10, since=None, node_ready=True, **ALIVE) is Event.NODE_READY
    assert noticed(Phase.BOOTING, 10, since=None) is Event.OVERDUE
    assert noticed(Phase.LOST, 10, since=None, wish=ON) is Event.WANTED


# --- paused and blind -----------------------------------------------------------------------------------------

EVERY_FACT: list[dict[str, Any]] = [
    {"wish": w, "node_exists": n, "node_ready": r, "heard": h, "reading": rd, "job_done": j, "pods": p, "force": f}
    for w, n, r, h, rd, j, p, f in product(
        (ON, OFF, None),
        (True, False),
        (True, False),
        (None, 990.0),
        (None, (Reading.ON, 995), (Reading.OFF, 995), (Reading.UNKNOWN, 995)),
        (True, False),
        (None, 0, 2),
        (True, False),
    )
    if n or not (r or p)
]


@pytest.mark.parametrize("phase", Phase)
def test_paused_machine_is_only_watched(phase: Phase) -> None:
    """While paused nothing of a wish and no deadline is noticed; observations are."""
    found = {noticed(phase, 1000, paused=True, **known) for known in EVERY_FACT}
    assert found <= (set(TRANSITIONS[phase]) - EVENTS_OF_WISH_OR_TIME) | {None}
    assert found - {None} == set(TRANSITIONS[phase]) - EVENTS_OF_WISH_OR_TIME


@pytest.mark.parametrize("phase", Phase)
def test_blind_hexa_never_takes_anything_for_gone(phase: Phase) -> None:
    """While blind nothing is gone, lost, empty, forced or overdue: the way into PoweringOff is closed."""
    found = {noticed(phase, 1000, watching_since=None, **known) for known in EVERY_FACT}
    assert found.isdisjoint(EVENTS_NOT_SEEN_BLIND)
    assert Phase.POWERING_OFF not in {TRANSITIONS[phase][e] for e in found if e is not None}


def test_what_a_pause_and_blindness_hide_is_what_is_documented() -> None:
    """The two lists of events that are not noticed are those of the lifecycle's page."""
    assert {str(e) for e in EVENTS_NOT_SEEN_BLIND} == {
        *("PowerGone", "NodeLost", "Empty", "Forced", "Overdue", "PowerCycle"),
    }
    assert {str(e) for e in EVENTS_OF_WISH_OR_TIME} == {
        *("Wanted", "Unwanted", "Kept", "Empty", "Forced", "Overdue", "CooledDown", "PowerCycle"),
    }


# --- wakes and leaving ----------------------------------------------------------------------------------------


def due_again(now: float, *, job_running: bool = False, phase: Phase = Phase.BOOTING, **known: Any) -> bool:
    """Whether a boot whose first wake was sent at T0 is woken again."""
    machine = status(phase, wakes=known.pop("wakes", 1), woken_at=at(0))
    return wake_again(machine, facts(now, **{"wish": ON, **known}), limits=LIMITS, job_running=job_running)


@pytest.mark.parametrize("phase", [Phase.POWERING_ON, Phase.BOOTING])
def test_wake_without_an_answer_is_sent_again(phase: Phase) -> None:
    """No sign of life for one interval: the next wake is due, up to the number of attempts."""
    assert not due_again(89.999, phase=phase)
    assert due_again(90, phase=phase)
    assert due_again(90, phase=phase, wakes=2)
    assert not due_again(90, phase=phase, wakes=3)


def test_wake_is_not_repeated_while_there_is_an_answer_or_a_reason() -> None:
    """A sign of life, a reading On, a Job that runs, a pause, no way to wake, or nobody who wants it: no second wake."""
    assert not due_again(100, wish=None)
    assert not due_again(100, wish=OFF)
    assert not due_again(100, heard=80, node_exists=True)
    assert not due_again(100, reading=(Reading.ON, 80))
    assert not due_again(100, job_running=True)
    assert not due_again(100, paused=True)
    assert not due_again(100, may_wake=False)
    assert due_again(100, reading=(Reading.OFF, 80))


def left(now: float, *, shutdown_done: bool = False, **known: Any) -> bool:
    """Whether the Kubernetes node of a machine that is off may go."""
    return may_leave(status(Phase.OFF), facts(now, node_exists=True, **known), shutdown_done=shutdown_done)


def test_node_leaves_on_a_reading_newer_than_the_last_sign_of_life() -> None:
    """A reading Off that is newer than the last renewal is proof; an older one, and any other reading, is none."""
    assert left(1, reading=(Reading.OFF, -1))
    assert left(1, reading=(Reading.OFF, -1), heard=-11)
    assert not left(1, reading=(Reading.OFF, -1), heard=-10)  # it may be about to renew
    assert not left(20, reading=(Reading.OFF, -1), heard=-1)
    assert not left(500, reading=(Reading.ON, 499))
    assert not left(500, reading=(Reading.UNKNOWN, 499))


def test_node_leaves_after_our_shutdown_and_two_lease_periods_of_silence() -> None:
    """Without a reading: our shutdown Job done and 80 s of silence that we watched."""
    assert not left(79.999, shutdown_done=True, heard=0)
    assert left(80, shutdown_done=True, heard=0)
    assert not left(5000, shutdown_done=False, heard=0)
    assert not left(1079.999, shutdown_done=True, heard=0, watching_since=1000)
    assert left(1080, shutdown_done=True, heard=0, watching_since=1000)


def test_a_reading_on_of_this_phase_keeps_the_node_whatever_job_and_silence_say() -> None:
    """One of before the phase says nothing any more; nor does a sensor that cannot tell, or a reading without a time."""
    assert not left(500, shutdown_done=True, reading=(Reading.ON, 499))
    assert left(500, shutdown_done=True, reading=(Reading.ON, 0))
    assert left(500, shutdown_done=True, reading=(Reading.UNKNOWN, 499))
    timeless = structs.replace(facts(500), reading=PowerReading(power=Reading.ON, source="pdu"))
    assert may_leave(status(Phase.OFF), timeless, shutdown_done=True)


def test_kubelet_with_a_longer_lease_keeps_its_node_longer() -> None:
    """A running kubelet never registers a deleted node again: a lease of 120 s that still stands forbids the delete."""
    assert not left(159.999, shutdown_done=True, heard=0, until=120)
    assert left(160, shutdown_done=True, heard=0, until=120)


def test_nothing_leaves_while_blind_or_paused() -> None:
    """No proof counts while we are blind or told to keep our hands off."""
    changes: list[dict[str, Any]] = [{"watching_since": None}, {"paused": True}]
    for change in changes:
        assert not left(500, reading=(Reading.OFF, 499), **change)
        assert not left(500, shutdown_done=True, **change)


# --- properties -------------------------------------------------------------------------------------------------

flags = st.booleans()
ago = st.sampled_from([0.0, 0.5, 11.0, 25.0, 39.9, 40.0, 130.0, 700.0])
"""How long ago something was, around the periods that matter."""


def stored(
    phase: Phase, wakes: int, woken: float, cool: float | None, still: float, marks: tuple[bool, bool, bool]
) -> NodeStatus:
    """A status that entered its phase at T0."""
    forced, paused, ill = marks
    cycling = ill and phase is Phase.POWERING_OFF
    return status(
        phase,
        remediation=RemediationStatus(
            ill_since=at(-500) if ill else None, cycling=cycling, cycles=int(cycling), cycled_at=T0 if cycling else None
        ),
        wakes=wakes,
        woken_at=at(woken) if wakes else None,
        cool_until=None if cool is None else at(cool),
        forced=forced,
        stood_still=still,
        paused_since=at(3) if paused else None,
        reading=read(Reading.ON, -1000),
    )


def known_at(
    now: float, sight: float | None, heard: float | None, reading: tuple[Reading, float] | None, known: dict[str, Any]
) -> Facts:
    """Facts that may be known at once; times are given as how long ago."""
    known = {**known, "watching_since": None if sight is None else now - sight}
    known["node_ready"] = known["node_exists"] and known["node_ready"]
    if heard is not None:
        known |= {"heard": now - heard, "until": now - heard + known["period"]}
    if reading is not None:
        known["reading"] = (reading[0], now - reading[1])
    del known["period"]
    return facts(now, **known)


def statuses() -> st.SearchStrategy[NodeStatus]:
    """A status as it may be stored, in any phase."""
    return st.builds(
        stored,
        phase=st.sampled_from(Phase),
        wakes=st.integers(0, 4),
        woken=st.sampled_from([-30.0, 0.0, 60.0]),
        cool=st.sampled_from([None, -5.0, 50.0, 1000.0]),
        still=st.sampled_from([0.0, 30.0, 700.0]),
        marks=st.tuples(flags, flags, flags),
    )


def all_facts() -> st.SearchStrategy[Facts]:
    """What may be known of a machine, some seconds after T0."""
    return st.builds(
        known_at,
        now=st.one_of(st.integers(0, 700), st.sampled_from([0, 15, 50, 90, 120, 270, 300, 540, 600])).map(float),
        sight=st.sampled_from([None, 0.0, 20.0, 100.0, 10_000.0]),
        heard=st.none() | ago,
        reading=st.none() | st.tuples(st.sampled_from(Reading), ago),
        known=st.fixed_dictionaries(
            {
                "wish": st.sampled_from([ON, OFF, None]),
                "pods": st.sampled_from([None, 0, 2]),
                "blind_seconds": st.sampled_from([0.0, 45.0]),
                "power_cycle_after": st.sampled_from([None, timedelta(0), timedelta(seconds=600)]),
                "period": st.sampled_from([40.0, 120.0]),
                **dict.fromkeys(("node_exists", "node_ready", "job_done", "force", "paused", "may_wake"), flags),
            }
        ),
    )


@given(machine=statuses(), known=all_facts())
def test_sense_never_yields_an_event_that_the_table_refuses(machine: NodeStatus, known: Facts) -> None:
    """Whatever is stored and whatever is known, the event that is noticed can be acted on."""
    found = sense(machine, known, limits=LIMITS)
    assert found is None or step(machine, found, now=known.now, limits=LIMITS).since == known.now


def settled(machine: NodeStatus, known: Facts) -> tuple[NodeStatus, int]:
    """The status when nothing more is noticed with these facts at this moment, and after how many steps."""
    steps = 0
    while (found := sense(machine, known, limits=LIMITS)) is not None:
        machine = step(machine, found, now=known.now, limits=LIMITS)
        known = structs.replace(known, job_done=False)  # a Job belongs to its phase
        steps += 1
        assert steps < 8, machine.history
    return machine, steps


@given(machine=statuses(), known=all_facts())
def test_no_facts_make_a_machine_run_in_circles(machine: NodeStatus, known: Facts) -> None:
    """With facts fixed and no time passing, a machine comes to rest within a few steps."""
    _, steps = settled(machine, known)
    event(f"{steps} steps")


def undrained(machine: NodeStatus, known: Facts, found: Event) -> bool:
    """Whether acting on `found` would begin a power-off with pods left, or not counted, that neither force nor a remedy allows."""
    begins = TRANSITIONS[phase_of(machine)][found] is Phase.POWERING_OFF
    allowed = (found is Event.FORCED and known.force) or (found is Event.POWER_CYCLE and hangs(known))
    return begins and known.pods != 0 and not allowed


def hangs(known: Facts) -> bool:
    """Whether the group cycles power, and this machine is wanted on, reads On, can be woken, and is silent."""
    silent = not known.node_ready and (known.heard_until is None or known.now >= known.heard_until)
    on = known.reading is not None and known.reading.power is Reading.ON
    return known.power_cycle_after is not None and known.wish is ON and known.may_wake and silent and on


@given(machine=statuses(), known=all_facts())
def test_no_facts_lead_to_an_undrained_power_off(machine: NodeStatus, known: Facts) -> None:
    """A power-off begins only with sight and not paused: with off wanted and all pods gone or by the group's force; or as the first
    half of a power cycle of a machine that is wanted on and hangs."""
    found = sense(machine, known, limits=LIMITS)
    if found is None or TRANSITIONS[phase_of(machine)][found] is not Phase.POWERING_OFF:
        return
    event(str(found))
    assert not undrained(machine, known, found)
    wished = Power.ON if found is Event.POWER_CYCLE else Power.OFF
    assert (known.wish, known.blind, known.paused) == (wished, False, False)


def test_random_walks_take_every_arrow() -> None:
    """No arrow is dead: changing facts take all 40, and never once an undrained power-off that nothing allows."""
    assert set(walk(1)) == {(phase, e) for phase, row in TRANSITIONS.items() for e in row}


def walk(seed: int) -> Iterator[tuple[Phase, Event]]:
    """The arrows that machines take while the world changes at random."""
    dice = Random(seed)
    for _ in range(200):
        machine, now = status(dice.choice(list(Phase)), cool_until=at(dice.choice([0, 50]))), 0.0
        machine = structs.replace(machine, reading=read(Reading.ON, -1000))
        for _ in range(40):
            now += dice.choice([1.0, 1.0, 20.0, 90.0, 700.0])
            known = random_facts(dice, now)
            found = sense(machine, known, limits=LIMITS)
            if found is None:
                continue
            assert not undrained(machine, known, found)
            yield phase_of(machine), found
            machine = step(machine, found, now=known.now, limits=LIMITS)


def random_facts(dice: Random, now: float) -> Facts:
    """Facts of one moment, none of them impossible."""
    exists = dice.random() < 0.7
    known: dict[str, Any] = {
        "wish": dice.choice([ON, OFF, None]),
        "node_exists": exists,
        "node_ready": exists and dice.random() < 0.5,
        "heard": now - 0.5 if dice.random() < 0.4 else None,
        "reading": dice.choice([None, None, (Reading.ON, now - 0.2), (Reading.OFF, now - 0.2)]),
        "job_done": dice.random() < 0.5,
        "pods": dice.choice([None, 0, 2]),
        "force": dice.random() < 0.3,
        "power_cycle_after": dice.choice([None, timedelta(seconds=60)]),
    }
    return facts(now, **known)


# --- the obedient machine ---------------------------------------------------------------------------------------


def obedient(phase: Phase, known: dict[str, Any], now: float, *, sensor: bool) -> dict[str, Any]:
    """The facts a moment later of a machine that does what its phase asks for."""
    known = dict(known)
    if phase in (Phase.POWERING_ON, Phase.BOOTING):
        known |= {"node_exists": True, "node_ready": True, "job_done": True, "power": True}
    elif phase is Phase.DRAINING:
        known |= {"pods": 0 if known["wish"] is OFF else None}
    elif phase is Phase.POWERING_OFF:
        known |= {"node_ready": False, "job_done": True, "power": False}
    if known["power"]:
        known["heard"] = now - 0.5
    known["reading"] = (Reading.ON if known["power"] else Reading.OFF, now - 0.1) if sensor else None
    return known


@pytest.mark.parametrize("sensor", [True, False], ids=["sensor", "no sensor"])
@pytest.mark.parametrize("goal", [ON, OFF])
@pytest.mark.parametrize("phase", Phase)
def test_obedient_machine_settles_within_five_steps(phase: Phase, goal: Power, sensor: bool) -> None:
    """A machine that does as it is asked reaches its wish within 5 events, from every phase, powered or not.

    The exception stands in Lost: off is wanted, nobody sees the machine, and its pods have not ended.
    """
    for power, exists, pods in product((True, False), (True, False), (None, 0, 2)):
        if pods and not exists:
            continue
        start = {"wish": goal, "node_exists": exists, "node_ready": False, "power": power, "pods": pods}
        machine, steps = run_obedient(status(phase), {**start, "job_done": False}, sensor=sensor)
        wanted = Phase.READY if goal is ON else Phase.OFF
        stuck_with_pods = phase_of(machine) is Phase.LOST and goal is OFF and pods != 0
        hung = phase_of(machine) is Phase.LOST and goal is ON and power and not exists
        assert phase_of(machine) is wanted or stuck_with_pods or hung, (start, machine.history)
        assert steps <= 5, (start, machine.history)


def run_obedient(machine: NodeStatus, known: dict[str, Any], *, sensor: bool) -> tuple[NodeStatus, int]:
    """Let time and the machine take their course, for three hours or until the goal is reached."""
    now, steps = 0.0, 0
    goal = Phase.READY if known["wish"] is ON else Phase.OFF
    while now < 3 * HOUR and phase_of(machine) is not goal:
        now += 15
        known = obedient(phase_of(machine), known, now, sensor=sensor)
        told = {k: v for k, v in known.items() if k != "power"}
        if known["power"] and phase_of(machine) is not Phase.POWERING_OFF and known["node_exists"]:
            known["node_ready"] = told["node_ready"] = True
        found = sense(machine, facts(now, **told), limits=LIMITS)
        if found is not None:
            machine = step(machine, found, now=at(now), limits=LIMITS)
            known["job_done"] = False
            steps += 1
    return machine, steps


# --- next due ---------------------------------------------------------------------------------------------------


Outcome = tuple[Event | None, bool, bool]


def later(known: Facts, seconds: float) -> Facts:
    """The same facts when nothing but time has passed."""
    span = timedelta(seconds=seconds)
    blind = known.blind_seconds + (seconds if known.blind else 0.0)
    return structs.replace(known, now=known.now + span, blind_seconds=blind)


NOTHING: Outcome = (None, False, False)


def booked(machine: NodeStatus, known: Facts) -> NodeStatus:
    """The status with a pause that is over taken off: whoever saves it does so before anything waits."""
    return machine if known.paused else structs.replace(machine, paused_since=None)


def outcome(machine: NodeStatus, known: Facts) -> Outcome:
    """What a look would find: an event, a wake that is due, a node that may leave."""
    waking = phase_of(machine) in (Phase.POWERING_ON, Phase.BOOTING)
    again = waking and wake_again(machine, known, limits=LIMITS, job_running=False)
    leaving = phase_of(machine) is Phase.OFF and known.node_exists
    leaves = leaving and may_leave(machine, known, shutdown_done=known.job_done)
    return sense(machine, known, limits=LIMITS), again, leaves


@settings(max_examples=300)
@given(machine=statuses(), known=all_facts(), share=st.floats(0, 0.999))
@example(machine=status(Phase.BOOTING), known=facts(10, heard=5, reading=(Reading.OFF, 7)), share=0.999)
@example(machine=status(Phase.DRAINING), known=facts(10, force=True, watching_since=None), share=0.999)
def test_sleeping_until_next_due_loses_nothing(machine: NodeStatus, known: Facts, share: float) -> None:
    """While nothing but time changes, everything that a look would find is found at `next_due`, and not a moment before."""
    machine, _ = settled(booked(machine, known), known)
    known = structs.replace(known, job_done=known.job_done and machine.since == at(0))
    now = outcome(machine, known)
    if now != NOTHING:  # a wake or a leave is due: it is done now, and not slept over
        return
    due = next_due(machine, known, limits=LIMITS)
    if due is None:
        assert all(outcome(machine, later(known, seconds)) == now for seconds in (share * 100, share * 10**7, 10**7))
        event("never")
        return
    sleep = (due - known.now).total_seconds()
    assert sleep > 0
    assert outcome(machine, later(known, share * sleep)) == now
    assert outcome(machine, later(known, sleep - 1e-5)) == now or sleep < 1e-5
    event("something happens" if outcome(machine, later(known, sleep)) != now else "a look for nothing")


@given(machine=statuses(), known=all_facts())
def test_nothing_is_due_for_ever(machine: NodeStatus, known: Facts) -> None:
    """Looks that time alone asks for come to an end: no machine keeps hexa awake while nothing happens."""
    looks, machine = 0, booked(machine, known)
    while (due := next_due(machine, known, limits=LIMITS)) is not None:
        known = later(known, (due - known.now).total_seconds())
        if sense(machine, known, limits=LIMITS) is not None:
            break
        looks += 1
        assert looks <= 8, (machine, known)
    target(float(looks))


@pytest.mark.parametrize(
    ("phase", "known", "due"),
    [
        (Phase.UNKNOWN, {"node_exists": True}, 15),
        (Phase.OFF, {"node_exists": True, "heard": -5}, 75),
        (Phase.OFF, {}, None),
        (Phase.POWERING_ON, {"wish": ON, "wakes": 1, "woken_at": at(0)}, 90),
        (Phase.BOOTING, {"wish": ON, "wakes": 1, "woken_at": at(0), "node_exists": True, "heard": 60}, 100),
        (Phase.BOOTING, {"wish": ON, "wakes": 3, "woken_at": at(0)}, 540),
        (Phase.BOOTING, {"wakes": 3, "heard": 1, "reading": (Reading.OFF, 1.5)}, 13),
        (Phase.READY, {"node_exists": True, "heard": 1}, 41),
        (Phase.READY, {"node_exists": True, "heard": 1, "cool_until": at(30)}, 30),
        (Phase.DRAINING, {"wish": OFF, "pods": 2, "node_exists": True, "heard": 1}, 41),
        (Phase.DRAINING, {"wish": OFF, "pods": 2, "node_exists": True, "heard": 1, "until": 9e3, "force": True}, 600),
        (Phase.DRAINING, {"wish": OFF, "pods": 0, "woken_at": at(-10)}, 530),
        (Phase.POWERING_OFF, {}, 300),
        (Phase.POWERING_OFF, {"job_done": True}, 20),
        (Phase.POWERING_OFF, {"job_done": True, "wish": ON}, 12),
        (Phase.POWERING_OFF, {"job_done": True, "heard": 1}, 21),
        (Phase.POWERING_OFF, {"job_done": True, "reading": (Reading.ON, 1)}, 300),
        (Phase.START_FAILED, {"cool_until": at(60)}, 60),
        (Phase.STOP_FAILED, {"cool_until": at(60), "watching_since": None}, 60),
        (Phase.LOST, {"wish": ON}, 120),
        (Phase.BOOTING, {"paused": True, "wish": ON, "wakes": 1}, None),
        (Phase.READY, {"paused": True, "node_exists": True, "heard": 1, "cool_until": at(30)}, 41),
        (Phase.DRAINING, {"watching_since": None, "force": True, "node_exists": True}, None),
        (Phase.LOST, {"watching_since": None, "wish": ON}, None),
    ],
    ids=str,
)
def test_next_look_is_when_time_may_bring_something(phase: Phase, known: dict[str, Any], due: float | None) -> None:
    """For each thing that time alone brings: the very moment, and None where only news can bring anything."""
    told = {name: known[name] for name in STORED & set(known)}
    rest = {name: value for name, value in known.items() if name not in STORED}
    now = 70 if rest.get("heard") == 60 else 2
    found = next_due(status(phase, **told), facts(now, **rest), limits=LIMITS)
    assert found == (None if due is None else at(due))


def test_dues_of_wakes_and_leaving_are_told() -> None:
    """Duties that wait for time have their own dues, for people who ask when."""
    booting = status(Phase.BOOTING, wakes=1, woken_at=at(3))
    assert wake_due(booting, limits=LIMITS) == at(93)
    assert next_due(booting, facts(5, wish=ON), limits=LIMITS) == at(93)
    assert leave_due(facts(5, heard=2, watching_since=0)) == at(82)
    assert next_due(status(Phase.OFF), facts(5, heard=2, node_exists=True, watching_since=0), limits=LIMITS) == at(82)
    assert read(Reading.ON, 3).at == at(3)


def test_a_wake_at_the_first_moment_of_our_sight_was_watched() -> None:
    """Only one that was sent before we watched waits for a lease period of our sight; blind, none waits."""
    assert sighted(status(Phase.BOOTING, woken_at=at(0)), facts(5, watching_since=0)) < at(0)
    assert sighted(status(Phase.BOOTING, woken_at=at(-1)), facts(5, watching_since=0)) == at(LEASE)
    assert sighted(status(Phase.BOOTING), facts(5, watching_since=0)) == at(LEASE)
    assert sighted(status(Phase.BOOTING, woken_at=at(-1)), facts(5, watching_since=None)) < at(0)


def test_a_reading_says_off_only_where_it_is_newer_than_the_last_sign_of_life() -> None:
    """No reading, one without a time, and one that a renewal has followed, say nothing."""
    assert not says_off(facts(5))
    assert not says_off(structs.replace(facts(5), reading=PowerReading(power=Reading.OFF, source="pdu")))
    assert not says_off(facts(5, reading=(Reading.ON, 4)))
    assert not says_off(facts(5, reading=(Reading.OFF, 4), heard=4))
    assert says_off(facts(5, reading=(Reading.OFF, 4), heard=3))
    assert says_off(facts(5, reading=(Reading.OFF, 4)))


@pytest.mark.parametrize(
    ("attempt", "known", "called_off"),
    [
        (None, {"wish": OFF}, True),
        (1, {"wish": OFF}, True),
        (2, {"wish": OFF}, False),
        (2, {"wish": ON, "heard": 5}, True),
        (None, {"wish": ON, "heard": 5}, True),
        (None, {"wish": ON}, False),
    ],
)
def test_a_power_cycle_that_nobody_waits_for_is_called_off_until_its_job_is_made(
    attempt: int | None, known: dict[str, Any], called_off: bool
) -> None:
    """Once the Job of this attempt is there only a sign of life stops it: the power may be cut already."""
    job = None if attempt is None else JobRecord(name="off", action="shutdown", attempt=attempt)
    cut = status(Phase.POWERING_OFF, attempt=2, job=job, remediation=RemediationStatus(cycling=True))
    assert (sense(cut, facts(10, **known), limits=LIMITS) is Event.OCCUPIED) is called_off


def test_a_machine_that_is_wanted_again_before_its_shutdown_job_serves_on() -> None:
    """Empty or not: while nothing was done to it, a standing lease is enough; once the Job is there, pods and a renewal are."""
    assert noticed(Phase.POWERING_OFF, 10, wish=ON, heard=-1, pods=0) is Event.OCCUPIED
    assert noticed(Phase.POWERING_OFF, 10, wish=ON, pods=0) is None
    assert noticed(Phase.POWERING_OFF, 10, wish=OFF, heard=-1, pods=0) is None
    assert noticed(Phase.POWERING_OFF, 10, wish=ON, heard=5, pods=0, job_begun=True) is None
    assert noticed(Phase.POWERING_OFF, 10, wish=ON, heard=5, pods=1, job_begun=True) is Event.OCCUPIED


@pytest.mark.parametrize("phase", Phase)
def test_the_end_of_the_lease_matters_while_a_machine_is_up(phase: Phase) -> None:
    """It is told until it is over, and only with sight and a Kubernetes node."""
    up, known = status(phase), {"heard": 5.0, "node_exists": True}
    end = 5 + LEASE
    expected = at(end) if phase in (Phase.READY, Phase.DRAINING) else None
    assert lease_due(up, facts(end - 1, **known), limits=LIMITS) == expected
    assert lease_due(up, facts(end, **known), limits=LIMITS) is None
    assert lease_due(up, facts(6, **known, watching_since=None), limits=LIMITS) is None
    assert lease_due(up, facts(6, heard=5.0), limits=LIMITS) is None


def test_the_limit_of_a_phase_is_told() -> None:
    """Of Lost, when the machine may be acted on; of a phase without a limit, and while it stands still, nothing."""
    for phase in Phase:
        seconds = LOST_FOR if phase is Phase.LOST else ENDS.get(phase)
        expected = None if seconds is None else at(seconds)
        assert limit_due(status(phase), facts(1, node_exists=True), limits=LIMITS) == expected
        assert limit_due(status(phase), facts(1, node_exists=True, paused=True), limits=LIMITS) is None


@pytest.mark.parametrize(
    ("changes", "seen", "due"),
    [
        ({}, PowerReading(power=Reading.ON, source="pdu", at=at(70)), 110),
        ({}, read(Reading.ON, 70, first=55), 115),
        ({}, read(Reading.ON, 70, first=-100), 110),
        ({}, PowerReading(power=Reading.ON, source="bmc", at=at(70)), 130),
        ({"reading": PowerReading(power=Reading.OFF, source="pdu", at=at(50))}, read(Reading.ON, 70), 130),
        ({"remediation": RemediationStatus(ill_since=at(80))}, read(Reading.ON, 70), 140),
        ({"remediation": RemediationStatus(ill_since=at(-9), cycled_at=at(90))}, read(Reading.ON, 70), 150),
        ({"stood_still": 30.0}, read(Reading.ON, 70), 140),
    ],
)
def test_power_is_cycled_once_it_has_read_on_and_been_ill_for_long_enough(
    changes: dict[str, Any], seen: PowerReading, due: float
) -> None:
    """A minute here: from the last of the illness, the last cycle, and the reading by which the power reads as it does."""
    lost = status(Phase.LOST, **{"reading": PowerReading(power=Reading.ON, source="pdu", at=at(50)), **changes})
    known = {"wish": ON, "node_exists": True, "power_cycle_after": timedelta(minutes=1)}
    for now, found in ((due - 0.001, None), (due, Event.POWER_CYCLE)):
        assert sense(lost, structs.replace(facts(now, **known), reading=seen), limits=LIMITS) is found
    looked = structs.replace(facts(71, **known), reading=seen)
    assert next_due(lost, looked, limits=structs.replace(LIMITS, lost=timedelta(hours=9))) == at(due)
    for change in (
        {"may_wake": False},
        {"node_ready": True},
        {"wish": OFF},
        {"watching_since": None},
        {"paused": True},
    ):
        quiet = structs.replace(facts(due, **{**known, **change}), reading=seen)
        assert sense(lost, quiet, limits=LIMITS) is not Event.POWER_CYCLE
