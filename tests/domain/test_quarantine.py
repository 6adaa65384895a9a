"""Quarantine: how long a machine that failed is left alone, what brings its next try forward, and who is woken quietly."""

from datetime import timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.domain.builders import LIMITS, T0, at, status, wish

from hexa.domain.group.sizing import Member, candidates, counts, max_size, next_probe, to_exercise, to_probe, to_rest
from hexa.domain.machine.lifecycle import Phase
from hexa.domain.machine.reason import Reason, Veto
from hexa.domain.policy.policy import Policy
from hexa.domain.resources.core import Condition
from hexa.domain.resources.health import CheckOutcome, CheckRecord
from hexa.domain.resources.v1alpha1 import Asker, Lookup, NodeStatus, Power
from hexa.domain.rules.quarantine import LONGEST, probe_due, returned, sooner

WAKES = Policy(probes_wake=True)
PASSES = CheckRecord(name="c", outcome=CheckOutcome.PASSED, since=at(30))


def failed(failures: int = 3, **more: Any) -> NodeStatus:
    """A machine that failed to start at T0, so many times in a row (3: left alone for four minutes)."""
    cool = T0 + timedelta(minutes=2 ** (failures - 1))
    return status(Phase.START_FAILED, failures=failures, cool_until=cool, **more)


def readable(turned: float, state: str = "True") -> tuple[Condition, ...]:
    """Since when its power can be read."""
    return (Condition(type="PowerKnown", status=state, reason="Read", last_transition_time=at(turned)),)


def test_a_passing_check_brings_the_next_try_forward() -> None:
    """Not before a quarter of the back-off: what fails again at once must not be tried at once."""
    early = sooner(failed(check=PASSES), limits=LIMITS, now=at(40))
    assert early is not None
    assert (early.at, "health check" in early.why) == (at(60), True)
    later = sooner(failed(check=PASSES), limits=LIMITS, now=at(100))
    assert later is not None
    assert later.at == at(100)


def test_a_sensor_that_answers_again_brings_it_forward() -> None:
    """One that could be read all the time says nothing new."""
    found = sooner(failed(conditions=readable(30)), limits=LIMITS, now=at(40))
    assert found is not None
    assert "its power can be read again" in found.why
    assert sooner(failed(conditions=readable(-100)), limits=LIMITS, now=at(40)) is None
    assert sooner(failed(conditions=readable(30, "Unknown")), limits=LIMITS, now=at(40)) is None
    assert sooner(failed(), limits=LIMITS, now=at(40)) is None
    serves = status(Phase.READY, failures=3, cool_until=at(240), conditions=readable(30))
    assert sooner(serves, limits=LIMITS, now=at(40)) is None


def test_it_is_brought_forward_once() -> None:
    """The stored time is the new one, and looking again changes nothing."""
    machine = failed(check=PASSES)
    first = sooner(machine, limits=LIMITS, now=at(40))
    assert first is not None
    brought = failed(check=PASSES)
    for now in (41, 59, 61):
        again = status(Phase.START_FAILED, failures=3, cool_until=first.at, check=brought.check)
        assert sooner(again, limits=LIMITS, now=at(now)) is None


@given(failures=st.integers(1, 40))
@settings(max_examples=40)
def test_a_machine_that_fails_again_waits_longer(failures: int) -> None:
    """Up to a day between two quiet wakes; the sooner try grows as well."""

    def due(count: int) -> Any:
        machine = status(Phase.OFF, failures=count, wake_failed_at=T0)
        return probe_due(machine, limits=LIMITS)

    assert T0 < due(failures) <= due(failures + 1) <= T0 + LONGEST
    first, second = (sooner(failed(n, check=PASSES), limits=LIMITS, now=at(1)) for n in (3, 4))
    assert first is not None
    assert second is not None
    assert first.at < second.at


def test_only_a_machine_that_did_not_come_is_in_quarantine() -> None:
    """One that was put off in order, and one whose last wake worked, are not."""
    assert probe_due(status(Phase.OFF), limits=LIMITS) is None
    assert probe_due(status(Phase.OFF, failures=1), limits=LIMITS) is None
    assert probe_due(status(Phase.OFF, wake_failed_at=T0), limits=LIMITS) is None
    assert probe_due(status(Phase.READY, failures=1, wake_failed_at=T0), limits=LIMITS) is None


def test_the_return_says_why() -> None:
    """By a quiet wake, by a wake for pods, late and by itself, or by somebody's button."""
    booting = status(Phase.BOOTING, failures=2, wakes=1)
    assert returned(booting, probed=True) == "its last 2 starts failed, and a quiet wake has brought it up"
    assert returned(booting, probed=False) == "its last 2 starts failed, and a wake has brought it up"
    assert "late, by itself" in returned(failed(1), probed=False)
    assert "somebody else" in returned(status(Phase.BOOTING, failures=1), probed=False)
    assert returned(status(Phase.BOOTING), probed=False) == ""
    assert returned(status(Phase.LOST, failures=1), probed=False) == ""


# --- who is woken ----------------------------------------------------------------------------------------------------


def member(name: str, phase: Phase = Phase.OFF, *, due: float | None = None, **more: Any) -> Member:
    """A machine that is off by hexa's own word unless told otherwise."""
    record = more.pop("wish", wish(Power.OFF, Asker.RECOVERY, reason="Replaced"))
    since = None if due is None else at(due)
    return Member(key=Lookup("d", name), phase=phase, wish=record, probe_due=since, **more)


QUIET = wish(Power.ON, Asker.RECOVERY, reason=Reason.PROBE)


def test_the_longest_due_is_woken_first_and_one_at_a_time() -> None:
    """While one is being looked at, or rests again, no other is; and nobody before its time."""
    first, second = member("a", due=50), member("b", due=40)
    assert to_probe(WAKES, [first, second], now=at(60)) == second
    assert to_probe(WAKES, [first, second], now=at(30)) is None
    assert next_probe(WAKES, [first, second], now=at(30)) == at(40)
    on_its_way = member("c", Phase.BOOTING, wish=QUIET)
    resting = member("d", Phase.DRAINING, wish=wish(Power.OFF, Asker.RECOVERY, reason=Reason.EXERCISED))
    for other in (on_its_way, resting):
        assert to_probe(WAKES, [first, second, other], now=at(60)) is None
        assert to_exercise(Policy(exercise_every=timedelta(1)), [first, other], now=at(60)) is None


def test_nobody_is_woken_quietly_where_that_is_not_allowed() -> None:
    """Not unless the group says so, not by a person's off, not above maxSize, and not what could not be rested again."""
    ill = member("a", due=1)
    assert to_probe(Policy(), [ill], now=at(60)) is None
    assert to_probe(WAKES, [member("a", due=1, wish=wish(Power.OFF, Asker.USER))], now=at(60)) is None
    full = Policy(probes_wake=True, max_size=1)
    up = member("b", Phase.READY, wish=wish(Power.ON))
    assert to_probe(full, [ill, up], now=at(60)) is None
    stuck = member("a", due=1, off_vetoes=(Veto("PowerOffUnavailable", "no way off"),), fixed=True)
    assert to_probe(WAKES, [stuck], now=at(60)) is None
    held = member("a", due=1, on_vetoes=(Veto("Hold", "held off"),))
    assert to_probe(WAKES, [held], now=at(60)) is None


def test_cluster_autoscaler_does_not_count_on_it_until_it_is_up() -> None:
    """It is in no target, and may yet be asked for: demand takes it over where it is. Once it is Ready it counts."""
    for phase in (Phase.OFF, Phase.POWERING_ON, Phase.BOOTING):
        quiet = member("a", phase, wish=QUIET)
        assert not counts(quiet)
        assert max_size(WAKES, [quiet]) == (0 if phase is Phase.OFF else 1)
    booting = member("a", Phase.BOOTING, wish=QUIET)
    assert candidates([booting, member("b")]) == [booting, member("b")]
    assert counts(member("a", Phase.READY, wish=QUIET))


def test_above_max_size_it_is_the_first_to_rest() -> None:
    """Demand came while it was being looked at: nobody who works makes room for it."""
    busy = member("a", Phase.READY, wish=wish(Power.ON))
    quiet = member("b", Phase.READY, wish=QUIET)
    assert to_rest(Policy(max_size=1), [busy, quiet]) == [quiet]
