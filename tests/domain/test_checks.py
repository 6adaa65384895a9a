"""Health checks: what cron makes of a period, when a run counts, and what the status tells of the runs."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.domain.builders import T0, at, status

from hexa.adapters.memory.cluster.cron import Line
from hexa.domain.duration import format_duration
from hexa.domain.machine.lifecycle import Phase
from hexa.domain.names import CHECK_ANNOTATION
from hexa.domain.resources.core import CronJob, CronJobSpec, Metadata
from hexa.domain.resources.health import CheckOutcome, CheckRecord
from hexa.domain.resources.v1alpha1 import Node, NodeSpec, NodeStatus, OwnedMetadata, PowerPodSpec
from hexa.domain.rules.health import CHECKED
from hexa.domain.rules.health_checks import (
    PERIODS,
    Check,
    Run,
    check_of,
    check_problems,
    cron,
    fingerprint,
    period_of,
    recorded,
    said_by_cron,
    silent,
    stale_at,
    stands,
)

POD = PowerPodSpec(image="ping:1")
PASSED, FAILED, NONE = CheckOutcome.PASSED, CheckOutcome.FAILED, CheckOutcome.NONE


def machine(period: int | str | None = None, *, pod: PowerPodSpec | None = POD, phase: Phase = Phase.READY) -> Node:
    """A machine with a check."""
    spec = NodeSpec(healthcheck_pod_spec=pod, healthcheck_period=period)
    return Node(metadata=OwnedMetadata(name="m", namespace="d", uid="u-1"), spec=spec, status=status(phase))


def check(**more: Any) -> Check:
    """Its check."""
    found = check_of(machine(**more), kubernetes_node="m")
    assert found is not None
    return found


@given(period=st.sampled_from(PERIODS), spread=st.text(max_size=20), start=st.integers(0, 3 * 365 * 1440))
@settings(max_examples=60, deadline=None)
def test_what_cron_can_say_it_says_exactly(period: timedelta, spread: str, start: int) -> None:
    """From one run to the next it is the period, at every time of every year."""
    line, when = Line(cron(period, spread=spread)), datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=start)
    times = []
    for _ in range(4):
        found = line.after(when)
        assert found is not None
        times.append(found)
        when = found
    assert {later - earlier for earlier, later in pairwise(times)} == {period}


@given(seconds=st.integers(1, 10**7))
def test_of_any_other_period_the_next_shorter_is_taken_and_told(seconds: int) -> None:
    """A check never runs more seldom than asked, but for less than a minute; and a condition says how often it really runs."""
    asked = timedelta(seconds=seconds)
    runs = said_by_cron(asked)
    node = machine(f"{seconds}s")
    assert period_of(node) == runs
    assert runs <= max(asked, timedelta(minutes=1))
    told = list(check_problems(node))
    assert (told == []) is (runs == asked)
    if told:
        assert told[0].severity == "warning"
        assert format_duration(runs) in told[0].text


def test_what_to_write_instead_is_named() -> None:
    """Both neighbours that cron can say."""
    (told,) = check_problems(machine("7m"))
    assert told.text == "cron cannot say 7m, so the check runs each 6m"
    assert told.remedy == "write 6m or 10m"
    (alone,) = check_problems(machine("7m", pod=None))
    assert "add spec.healthcheckPodSpec" in alone.remedy
    (wrong,) = check_problems(machine("often"))
    assert wrong.severity == "warning"
    assert period_of(machine("often")) == period_of(machine()) == timedelta(minutes=5)


def test_a_bare_number_is_minutes() -> None:
    """As homelab-autoscaler ran it: its objects apply unchanged."""
    assert period_of(machine(10)) == timedelta(minutes=10)
    assert list(check_problems(machine(10))) == []
    (told,) = check_problems(machine(45))
    assert told.text == "cron cannot say 45m, so the check runs each 30m"


def test_machines_are_not_checked_in_the_same_minute() -> None:
    """The minute follows from the name: a hundred machines are spread over the period."""
    lines = {cron(timedelta(minutes=10), spread=f"d/m-{number}") for number in range(100)}
    assert len(lines) == 10


@pytest.mark.parametrize("phase", Phase)
def test_a_check_is_suspended_while_it_makes_no_sense(phase: Phase) -> None:
    """It runs while the machine is up, is lost or has failed, and stands still while it is off or on its way."""
    assert check(phase=phase).suspended is (phase not in CHECKED)


def test_a_run_ends_before_the_next_begins() -> None:
    """Its deadline is the period, ten minutes at most; one that is late begins within half a period."""
    assert (check(period="1m").deadline, check(period="1m").late) == (60, 60)
    assert (check(period="1h").deadline, check(period="1h").late) == (600, 1800)
    assert (check(period="24h").deadline, check(period="24h").late) == (600, 3600)


def cron_job(made: Check, **spec: Any) -> CronJob:
    """The CronJob of a check."""
    given = {"schedule": made.cron, "time_zone": "Etc/UTC", "suspend": made.suspended, **spec}
    return CronJob(metadata=Metadata(annotations={CHECK_ANNOTATION: fingerprint(made)}), spec=CronJobSpec(**given))


def test_a_cron_job_stands_as_long_as_nothing_differs() -> None:
    """Another spec, another time and another suspension are changes to make; the same again is none."""
    made = check()
    assert stands(made, cron_job(made))
    for other in (check(period="10m"), check(pod=PowerPodSpec(image="ping:2")), check(phase=Phase.OFF)):
        assert not stands(other, cron_job(made))
    assert not stands(made, cron_job(made, suspend=True))
    assert not stands(made, cron_job(made, schedule="1 1 1 1 1"))
    assert fingerprint(check(phase=Phase.OFF)) == fingerprint(made)


# --- what the status tells -------------------------------------------------------------------------------------------


def run(began: float, result: CheckOutcome = PASSED, message: str = "") -> Run:
    """A run that took two seconds."""
    return Run(at(began), at(began + 2), result, message)


def told(found: Run | None, old: CheckRecord | None = None, *, phase: Phase = Phase.READY) -> CheckRecord:
    """The record of a machine that came up at 100."""
    return recorded(status(phase, last_startup_time=at(100), check=old), name="c", run=found)


def test_of_runs_that_end_alike_the_first_is_told() -> None:
    """A check that goes on passing, or failing with other figures, is the same record; another end or other words are news."""
    first = told(run(200))
    assert first == CheckRecord(name="c", outcome=PASSED, since=at(202))
    assert told(run(500), first) == first
    failed = told(run(800, FAILED, "disk at 71 C"), first)
    assert (failed.outcome, failed.since, failed.message) == (FAILED, at(802), "disk at 71 C")
    assert told(run(1100, FAILED, "disk at 73 C"), failed) == failed
    assert told(run(1100, FAILED, "disk is gone"), failed).message == "disk is gone"


def test_a_run_of_an_earlier_boot_is_not_told() -> None:
    """What the check said before the machine was switched off is forgotten, and nothing is known until the next run."""
    assert told(run(50)) == CheckRecord(name="c")
    assert told(run(200), phase=Phase.OFF) == CheckRecord(name="c")
    assert told(None, CheckRecord(name="c", outcome=FAILED, since=at(50))) == CheckRecord(name="c")


def test_an_agent_that_has_just_started_leaves_the_record_alone() -> None:
    """Until it has asked, what was told stands."""
    known = CheckRecord(name="c", outcome=FAILED, since=at(202), message="exit code 1")
    assert told(None, known) == known


def test_a_check_that_does_not_run_says_nothing() -> None:
    """Two periods and a deadline without a result: unknown, with what to look at."""
    made = check(period="10m")
    assert stale_at(made, seen=T0) == at(2 * 600 + 600 + 60)
    found = silent(made, seen=T0, now=at(2000))
    assert found.outcome is CheckOutcome.UNKNOWN
    assert "each 10m" in found.message


def test_a_machine_that_is_given_up_has_no_check() -> None:
    """Released or being deleted."""
    node = machine()
    gone = Node(metadata=OwnedMetadata(name="m", deletion_timestamp=T0), spec=node.spec, status=NodeStatus())
    assert check_of(gone, kubernetes_node="m") is None
