"""A status in words: what people and old readers are told of a machine and a group, and when a condition changed."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.domain.builders import OFF, ON, at, read, status, wish

from hexa.domain.decide.conditions import described, findings_of, group_status
from hexa.domain.group.sizing import Member
from hexa.domain.machine.findings import Finding, conditions
from hexa.domain.machine.lifecycle import Phase
from hexa.domain.machine.reason import Veto
from hexa.domain.policy.problem import Problem
from hexa.domain.resources.core import Condition
from hexa.domain.resources.health import GroupHealth, NodeHealth
from hexa.domain.resources.v1alpha1 import (
    GroupStatus,
    JobRecord,
    Lookup,
    NodeStatus,
    Power,
    PowerReading,
    Reading,
    WishRecord,
)
from hexa.domain.rules.health import Judgement, Signs, judged

NOW = at(100)


def found(machine: NodeStatus, **known: Any) -> dict[str, Finding]:
    """The findings of a machine by type."""
    nothing: dict[str, Any] = {"wish": None, "problems": (), "off_vetoes": (), "on_vetoes": ()}
    listed = findings_of(machine, **{**nothing, "manager": "", **known})
    assert len({finding.type for finding in listed}) == len(listed)
    return {finding.type: finding for finding in listed}


def told(machine: NodeStatus, **known: Any) -> NodeStatus:
    """The described status."""
    listed = known.pop("found", [])
    nothing: dict[str, Any] = {"wish": None, "reading": None, "check": None, "generation": 3, "now": NOW}
    nothing["health"] = judged(Signs(status=machine, ready=Condition(type="Ready", status="True")))
    return described(machine, listed, **{**nothing, **known})


# --- findings --------------------------------------------------------------------------------------------------------


def test_what_always_stands_comes_first() -> None:
    """The conditions of `health` are findings like the others."""
    joined = Finding("Joined", "NoNode", "", "False")
    assert found(status(Phase.OFF), said=[joined]) == {"Joined": joined}
    assert found(status(Phase.OFF)) == {}


def test_vetoes_are_conditions_of_their_own() -> None:
    """Each rule that forbids a switch is shown by its name; one that forbids both ways is shown once."""
    pause = Veto("Paused", "paused: BIOS")
    shown = found(status(Phase.READY), off_vetoes=(Veto("Hold", "held on"), pause), on_vetoes=(pause,))
    assert {name: shown[name].message for name in ("Hold", "Paused")} == {"Hold": "held on", "Paused": "paused: BIOS"}


def test_problems_are_merged_into_one_condition() -> None:
    """All errors stand in one condition, Invalid, each with its remedy; warnings stand under their own reason."""
    problems = [Problem("a", "is wrong", "mend it"), Problem("b", "too", "mend it too")]
    warning = Problem("c", "is odd", "look", severity="warning", reason="NoGroup")
    shown = found(status(Phase.OFF), problems=[*problems, warning])
    assert shown["Invalid"].message == "a: is wrong; mend it; b: too; mend it too"
    assert shown["NoGroup"].message == "c: is odd; look"


def test_failed_phase_says_what_happens_next() -> None:
    """A failure is named with its reason and the time of the next try."""
    shown = found(status(Phase.START_FAILED, wakes=3, cool_until=at(3600)))["Failed"]
    assert (shown.reason, "3 wakes" in shown.message) == ("StartFailed", True)
    assert "next try at 2026-03-02T09:00:00" in shown.message
    assert "shutdown Job" in found(status(Phase.STOP_FAILED))["Failed"].message
    assert "no sign of life" in found(status(Phase.LOST))["Failed"].message
    for phase in set(Phase) - {Phase.START_FAILED, Phase.STOP_FAILED, Phase.LOST}:
        assert "Failed" not in found(status(phase))


def job(outcome: str, message: str = "") -> NodeStatus:
    """A machine with such a Job."""
    record = JobRecord(name="wake-1", action="startup", attempt=1, outcome=outcome, message=message)
    return status(Phase.POWERING_ON, job=record, attempt=1)


def test_job_in_trouble_is_named_with_the_pods_own_words() -> None:
    """An image that is missing is shown while the Job waits, and when it failed; a Job that runs well is not."""
    assert found(job("failed", "ErrImagePull"))["PowerJobFailed"].message == "wake-1: ErrImagePull"
    assert found(job("running", "ImagePullBackOff"))["PowerJobWaiting"].message == "wake-1: ImagePullBackOff"
    assert not found(job("running"))
    assert not found(job("done"))


def test_blocker_is_named() -> None:
    """What keeps a machine on that should rest: the drain's blocker, else the first rule that forbids the off."""
    shown = found(status(Phase.READY, blocker="apps/db: budget db"), wish=wish(OFF), off_vetoes=(Veto("Hold", "held"),))
    assert (shown["Blocked"].reason, shown["Blocked"].message) == ("DrainBlocked", "apps/db: budget db")
    shown = found(status(Phase.READY), wish=wish(OFF), off_vetoes=(Veto("HostsControl", "hexa runs on it"),))
    assert (shown["Blocked"].reason, shown["Blocked"].message) == ("HostsControl", "hexa runs on it")
    vetoed = {"off_vetoes": (Veto("Hold", "held"),)}
    assert "Blocked" not in found(status(Phase.READY), wish=wish(ON), **vetoed)
    assert "Blocked" not in found(status(Phase.OFF), wish=wish(OFF), **vetoed)


def test_lost_machine_that_cannot_be_helped_is_blocked() -> None:
    """Unwanted with pods that have not ended, or wanted and hung with the power on: a person is told what to do."""
    shown = found(status(Phase.LOST), wish=wish(OFF))["Blocked"]
    assert (shown.reason, "spec.drain.force" in shown.message) == ("LostWithPods", True)
    hung = found(status(Phase.LOST, reading=read(Reading.ON, 50)), wish=wish(ON))["Blocked"]
    assert (hung.reason, "power" in hung.message) == ("Hung", True)
    assert "Blocked" not in found(status(Phase.LOST), wish=wish(ON))
    assert "Blocked" not in found(status(Phase.LOST))


def test_owner_of_the_field_is_named() -> None:
    """Where GitOps owns spec.powerState people are told why an edit there counts only when it changes."""
    assert (
        "kustomize-controller"
        in found(status(Phase.OFF), manager="kustomize-controller")["PowerStateManagedBy"].message
    )


# --- conditions --------------------------------------------------------------------------------------------------------


def test_transition_time_moves_only_with_the_status() -> None:
    """A new text leaves the time alone; a new status, and a condition that came back, get the time of now."""
    before = [Condition(type="Joined", status="False", reason="Old", last_transition_time=at(1))]
    kept = conditions(before, [Finding("Joined", "New", "text", "False")], now=NOW, generation=4)
    assert kept == (
        Condition(
            type="Joined",
            status="False",
            reason="New",
            message="text",
            last_transition_time=at(1),
            observed_generation=4,
        ),
    )
    (turned,) = conditions(before, [Finding("Joined", "New", "", "True")], now=at(100.7), generation=4)
    assert turned.last_transition_time == at(100)
    (first,) = conditions([], [Finding("Joined", "New", "")], now=NOW, generation=4)
    assert first.last_transition_time == NOW


def test_condition_that_ended_is_gone_and_the_rest_is_in_order() -> None:
    """Conditions are there while they hold, sorted by type: looking again changes nothing."""
    before = [Condition(type="Hold", status="True", last_transition_time=at(1))]
    listed = [Finding("Paused", "P", ""), Finding("Joined", "J", "")]
    once = conditions(before, listed, now=NOW, generation=1)
    assert [each.type for each in once] == ["Joined", "Paused"]
    assert conditions(once, listed[::-1], now=at(999), generation=1) == once


# --- the seed system's words ----------------------------------------------------------------------------------------------

WORDS = {  # power, progress, health
    Phase.UNKNOWN: ("unknown", "", NodeHealth.UNKNOWN),
    Phase.OFF: ("off", "shutdown", NodeHealth.HEALTHY),
    Phase.POWERING_ON: ("off", "startingup", NodeHealth.HEALTHY),
    Phase.BOOTING: ("on", "startingup", NodeHealth.HEALTHY),
    Phase.READY: ("on", "ready", NodeHealth.HEALTHY),
    Phase.DRAINING: ("on", "shuttingdown", NodeHealth.HEALTHY),
    Phase.POWERING_OFF: ("on", "shuttingdown", NodeHealth.HEALTHY),
    Phase.START_FAILED: ("unknown", "startingup", NodeHealth.DEGRADED),
    Phase.STOP_FAILED: ("on", "shuttingdown", NodeHealth.DEGRADED),
    Phase.LOST: ("unknown", "ready", NodeHealth.OFFLINE),
}


@pytest.mark.parametrize("phase", Phase)
def test_status_speaks_the_words_of_old_readers(phase: Phase) -> None:
    """powerState, progress and health follow from the phase."""
    shown = told(status(phase), wish=wish(ON))
    assert (shown.power_state, shown.progress, shown.health) == WORDS[phase]
    assert (shown.wish, shown.observed_generation, shown.phase) == (wish(ON), 3, str(phase))


@pytest.mark.parametrize("phase", Phase)
def test_reading_stands_over_what_the_phase_suggests(phase: Phase) -> None:
    """A sensor that says On or Off is believed; one that says Unknown leaves the phase's word."""
    assert told(status(phase), reading=read(Reading.ON, 1)).power_state == "on"
    assert told(status(phase), reading=read(Reading.OFF, 1)).power_state == "off"
    assert told(status(phase), reading=read(Reading.UNKNOWN, 1)).power_state == WORDS[phase][0]


def test_reading_is_written_when_it_changes() -> None:
    """A sensor that is read each second costs no write a second; a change of value or of source is written."""
    machine = status(Phase.OFF, reading=read(Reading.OFF, 1))
    assert told(machine, reading=read(Reading.OFF, 50)).reading == read(Reading.OFF, 1)
    assert told(machine, reading=read(Reading.ON, 50)).reading == PowerReading(
        power=Reading.ON, source="pdu", at=at(50)
    )
    other = PowerReading(power=Reading.OFF, source="bmc", at=at(50))
    assert told(machine, reading=other).reading == other
    assert told(machine, reading=None).reading == read(Reading.OFF, 1)


@given(
    phase=st.sampled_from(Phase),
    power=st.none() | st.sampled_from(Power),
    reading=st.none() | st.builds(read, st.sampled_from(Reading), st.just(50)),
    later=st.integers(0, 10**6),
)
def test_describing_again_changes_nothing(phase: Phase, power: Power | None, reading: Any, later: int) -> None:
    """A status that was described is its own description: level-triggered loops write once and rest."""
    asked = None if power is None else wish(power)
    machine = status(phase)
    listed = list(found(machine, wish=asked).values())
    once = told(machine, found=listed, wish=asked, reading=reading)
    assert told(once, found=listed, wish=asked, reading=reading, now=at(later)) == once


def test_health_is_dated_when_it_changes() -> None:
    """healthSince says since when the machine is ill for this reason; looking again does not move it, another reason does."""
    first = told(status(Phase.READY), health=Judgement(NodeHealth.DEGRADED, "NotReady"))
    assert (first.health_reason, first.health_since) == ("NotReady", NOW)
    assert told(first, health=Judgement(NodeHealth.DEGRADED, "NotReady"), now=at(500)).health_since == NOW
    assert told(first, health=Judgement(NodeHealth.DEGRADED, "CheckFailed"), now=at(500)).health_since == at(500)


# --- groups ----------------------------------------------------------------------------------------------------------


def grouped(*phases: Phase) -> GroupStatus:
    """The status of a group with wanted machines in these phases."""
    record = WishRecord(power=ON, by=wish(ON).by)
    members = [Member(key=Lookup("site", f"m{n}"), phase=phase, wish=record) for n, phase in enumerate(phases)]
    return group_status(members, [Finding("NoMachines", "X", "")], old=GroupStatus(), generation=2, now=NOW)


def test_group_is_told_in_numbers() -> None:
    """Each machine is counted once by where it is, and the target is what Cluster Autoscaler is told."""
    shown = grouped(
        Phase.READY, Phase.READY, Phase.BOOTING, Phase.POWERING_ON, Phase.OFF, Phase.START_FAILED, Phase.LOST
    )
    counted = (shown.size, shown.target, shown.ready, shown.booting, shown.off, shown.failed)
    assert counted == (7, 6, 2, 2, 1, 2)
    assert (shown.observed_generation, shown.conditions[0].type) == (2, "NoMachines")
    assert shown.health is GroupHealth.DEGRADED


def test_a_job_of_the_past_is_over() -> None:
    """What became of a Job is told until the machine is where the Job should have brought it; an older attempt's is never told."""
    failed = {
        action: JobRecord(name="j", action=action, attempt=1, outcome="failed") for action in ("startup", "shutdown")
    }
    told = {
        (action, phase)
        for action, record in failed.items()
        for phase in Phase
        if "PowerJobFailed" in found(status(phase, job=record, attempt=1))
    }
    waking = {Phase.UNKNOWN, Phase.OFF, Phase.POWERING_ON, Phase.BOOTING, Phase.START_FAILED}
    resting = {Phase.UNKNOWN, Phase.DRAINING, Phase.POWERING_OFF, Phase.STOP_FAILED}
    assert told == {("startup", phase) for phase in waking} | {("shutdown", phase) for phase in resting}
    assert "PowerJobFailed" not in found(status(Phase.START_FAILED, job=failed["startup"], attempt=2))
