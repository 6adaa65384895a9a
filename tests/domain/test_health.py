"""How a machine and a group are: conditions with the evidence that they rest on, one word for it all, and what only gets older."""

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.domain.builders import T0, at, read, status

from hexa.domain.machine.findings import Finding, conditions
from hexa.domain.machine.lifecycle import FAILED, Phase
from hexa.domain.machine.outage import OUTAGES
from hexa.domain.policy.policy import Policy
from hexa.domain.resources.core import Condition
from hexa.domain.resources.health import CheckOutcome, CheckRecord, GroupHealth, NodeHealth
from hexa.domain.resources.v1alpha1 import JobRecord, PowerReading, Reading, WakeProof
from hexa.domain.rules.health import (
    ALWAYS_SAID,
    GROUP_RULES,
    NOT_READ_YET,
    RULES,
    Signs,
    ailments,
    checks_from,
    group_health,
    judged,
    standing,
)

READY = Condition(type="Ready", status="True", reason="KubeletReady", last_transition_time=at(5))
NOT_READY = Condition(type="Ready", status="False", reason="KubeletNotReady", last_transition_time=at(7))
FAILS = CheckRecord(name="m-health", outcome=CheckOutcome.FAILED, since=at(60), message="exit code 1: disk is hot")
PASSES = CheckRecord(name="m-health", outcome=CheckOutcome.PASSED, since=at(60))


def signs(phase: Phase, **known: Any) -> Signs:
    """The signs of a machine in a phase; those of one that is Ready unless told otherwise."""
    of_status = {key: known.pop(key) for key in ("job", "wake_failed_at", "reading_before", "attempt") if key in known}
    if "reading_before" in of_status:
        of_status["reading"] = of_status.pop("reading_before")
    ready = READY if phase is Phase.READY else None
    return Signs(**{"status": status(phase, **of_status), "kube_name": "m", "ready": ready, **known})


def said(known: Signs, policy: Policy = Policy(), **more: Any) -> dict[str, Finding]:  # noqa: B008
    """The conditions that always stand, by type."""
    return {finding.type: finding for finding in standing(known, policy, now=more.get("now", at(100)))}


# --- conditions ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("phase", Phase)
def test_four_conditions_stand_in_every_phase(phase: Phase) -> None:
    """PowerKnown, Reachable, Joined and Wakeable are never absent, and each says something."""
    found = said(signs(phase))
    assert set(found) == ALWAYS_SAID - {"HealthCheck"}
    assert all(finding.message and finding.reason for finding in found.values())


def test_a_condition_names_its_evidence_and_its_time() -> None:
    """Who said it and since when, in words: the sensor, the kubelet, the wake."""
    found = said(signs(Phase.READY, node_exists=True, reading=read(Reading.ON, 50), reading_before=read(Reading.ON, 3)))
    assert found["PowerKnown"].message == "On by pdu, first read so at 2026-03-02T08:00:03+00:00; never older than 3m"
    assert found["Joined"].message == "Kubernetes node m is Ready since 2026-03-02T08:00:05+00:00"
    assert found["Reachable"].reason == "LeaseRenewed"
    lost = said(signs(Phase.LOST, node_exists=True, ready=NOT_READY))
    silent = "no sign of life from its kubelet since 2026-03-02T08:00:00+00:00"
    unknown = "nothing tells whether it is off, hangs, or is cut off from the network"
    assert lost["Reachable"].message == f"{silent}: {unknown}"
    assert lost["Joined"].message == "Kubernetes node m is not Ready since 2026-03-02T08:00:07+00:00 (KubeletNotReady)"
    assert (lost["Reachable"].status, lost["Joined"].status) == ("False", "False")


@given(phase=st.sampled_from(Phase), later=st.floats(0, 170), sensor=st.sampled_from([*Reading, None]))
@settings(max_examples=60)
def test_what_only_gets_older_is_the_same_condition(phase: Phase, later: float, sensor: Reading | None) -> None:
    """A reading that was repeated, a Lease that was renewed and a check that passed again cost no write."""
    known = {"check": PASSES, "ready": READY if phase is Phase.READY else None, "node_exists": phase is Phase.READY}
    first = read(sensor, 50) if sensor else None
    again = read(sensor, 50 + later) if sensor else None
    before = signs(phase, reading=first, reading_before=first or PowerReading(), trouble="no answer", **known)
    after = signs(phase, reading=again, reading_before=first or PowerReading(), trouble="no answer", **known)
    assert said(before) == said(after, now=at(100 + later))


def test_an_agent_that_has_just_started_leaves_power_known_alone() -> None:
    """Until it has asked the sensor, what was said of the power before stands; a machine that is new is Unknown."""
    old = signs(Phase.READY, reading=read(Reading.ON, 3), reading_before=read(Reading.ON, 3))
    kept = conditions([], standing(old, Policy(), now=at(4)), now=at(4), generation=1)
    unread = PowerReading(power=Reading.UNKNOWN, source="pdu")
    fresh = Signs(
        status=status(Phase.READY, conditions=kept), ready=READY, kube_name="m", reading=unread, trouble=NOT_READ_YET
    )
    assert said(fresh)["PowerKnown"] == said(old)["PowerKnown"]
    assert said(signs(Phase.READY, reading=unread, trouble=NOT_READ_YET))["PowerKnown"].status == "Unknown"
    failing = signs(Phase.READY, reading=unread, trouble="m: ipmi: no answer")
    assert said(failing)["PowerKnown"] == Finding("PowerKnown", "NotRead", "m: ipmi: no answer", "Unknown")


def test_what_becomes_of_the_node_of_a_machine_that_is_off_costs_no_write() -> None:
    """A minute after a machine went off the controller manager changes its node; nothing is said anew then."""
    unknown = Condition(type="Ready", status="Unknown", reason="NodeStatusUnknown", last_transition_time=at(60))
    off = [said(signs(Phase.OFF, node_exists=True, ready=ready))["Joined"] for ready in (None, NOT_READY, unknown)]
    assert off == [off[0]] * 3
    assert off[0].reason == "NoReadyNode"


@pytest.mark.parametrize("reading", [Reading.ON, None])
def test_a_condition_is_written_with_its_status(reading: Reading | None) -> None:
    """Unknown too: clients, and kubectl wait, find a status in every condition."""
    found = standing(signs(Phase.OFF, reading=read(reading, 50) if reading else None), Policy(), now=at(100))
    written = msgspec.to_builtins(conditions([], found, now=at(100), generation=1))
    assert {each["type"]: each.get("status") for each in written}["PowerKnown"] == ("True" if reading else "Unknown")


def test_a_machine_without_a_sensor_says_so() -> None:
    """Nothing reads its power: that is no trouble, and told."""
    assert said(signs(Phase.OFF))["PowerKnown"].reason == "NoSensor"
    assert judged(signs(Phase.OFF)).health is NodeHealth.HEALTHY


def test_a_group_that_ignores_proof_is_not_told_of_it() -> None:
    """wakeProof: Ignore goes without Wakeable."""
    assert "Wakeable" not in said(signs(Phase.OFF), Policy(wake_proof=WakeProof.IGNORE))


def test_a_passing_check_shows_that_a_lost_machine_is_reachable() -> None:
    """Its kubelet is silent, and the machine answers."""
    assert said(signs(Phase.LOST, check=PASSES))["Reachable"].reason == "CheckPasses"


GOES: dict[str, Signs] = {
    "ShutDown": signs(
        Phase.LOST,
        ready=Condition(type="Ready", status="False", reason="KubeletNotReady", message="node is shutting down"),
        reading=read(Reading.OFF, 50),
    ),
    "PowerCut": signs(Phase.LOST, reading=read(Reading.OFF, 50)),
    "Hangs": signs(Phase.LOST, reading=read(Reading.ON, 50)),
    "MainsOrNetwork": signs(Phase.LOST, reading=PowerReading(source="bmc"), trouble="m: ipmi: no answer"),
    "Silent": signs(Phase.LOST),
}


@pytest.mark.parametrize("reason", GOES)
def test_a_button_a_crash_and_mains_that_fail_are_told_apart_where_readings_allow(reason: str) -> None:
    """A lost machine says what may have happened to it, and claims no more than its readings show."""
    found = said(GOES[reason])["Reachable"]
    assert (found.reason, found.status) == (reason, "False")
    assert {outage.reason for outage in OUTAGES} == set(GOES)


def test_the_health_check_speaks_with_its_pods_words() -> None:
    """Passed, failed with what the pod said last, and unknown where it never ran."""
    check = said(signs(Phase.READY, check=FAILS))["HealthCheck"]
    assert (check.status, check.reason) == ("False", "Failed")
    assert check.message == "CronJob m-health fails since 2026-03-02T08:01:00+00:00: exit code 1: disk is hot"
    assert said(signs(Phase.READY, check=PASSES))["HealthCheck"].status == "True"
    none = CheckRecord(name="m-health")
    assert "suspended" in said(signs(Phase.OFF, check=none))["HealthCheck"].message
    forbidden = said(signs(Phase.READY, check=none, check_trouble="hexa may not list cronjobs"))["HealthCheck"]
    assert (forbidden.status, forbidden.message) == ("Unknown", "hexa may not list cronjobs")


def test_runs_from_before_do_not_count() -> None:
    """A check speaks of this boot, of a failed machine since it failed, and not at all of one that is off."""
    booted = {"last_startup_time": at(-100), "last_shutdown_time": at(-300)}
    assert checks_from(status(Phase.READY, **booted)) == at(-100)
    assert checks_from(status(Phase.LOST, **booted)) == at(-100)
    assert checks_from(status(Phase.START_FAILED, **booted)) == T0
    assert checks_from(status(Phase.OFF, **booted)) is None


# --- one word --------------------------------------------------------------------------------------------------------

FAILED_JOB = JobRecord(name="j", action="shutdown", attempt=0, outcome="failed")
ILL: dict[str, Signs] = {
    "NotSeenYet": signs(Phase.UNKNOWN),
    "Lost": signs(Phase.LOST),
    "StartFailed": signs(Phase.START_FAILED),
    "StopFailed": signs(Phase.STOP_FAILED),
    "NotReady": signs(Phase.READY, ready=NOT_READY),
    "CheckFailed": signs(Phase.READY, check=FAILS),
    "PowerJobFailed": signs(Phase.DRAINING, job=FAILED_JOB),
    "WakeFailed": signs(Phase.OFF, wake_failed_at=at(1)),
    "PowerNotRead": signs(Phase.READY, reading=PowerReading(source="ipmi"), trouble="m: ipmi: no answer"),
}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.reason)
def test_each_rule_of_the_table_makes_a_machine_ill(rule: Any) -> None:
    """Each rule holds alone, and gives the word that the table says."""
    assert [each.reason for each in ailments(ILL[rule.reason])] == [rule.reason]
    assert judged(ILL[rule.reason]).health is rule.health


def test_a_machine_that_nothing_is_wrong_with_is_healthy() -> None:
    """Up with a passing check, off, or on its way up after a wake whose Job failed: nothing to tell."""
    for fine in (signs(Phase.READY, check=PASSES), signs(Phase.OFF), signs(Phase.BOOTING, job=FAILED_JOB)):
        assert judged(fine).health is NodeHealth.HEALTHY
    assert judged(signs(Phase.READY, check=CheckRecord(outcome=CheckOutcome.UNKNOWN))).health is NodeHealth.HEALTHY


# --- groups ----------------------------------------------------------------------------------------------------------

RANK = [GroupHealth.HEALTHY, GroupHealth.UNKNOWN, GroupHealth.DEGRADED, GroupHealth.OFFLINE]
WORSE = [NodeHealth.HEALTHY, NodeHealth.UNKNOWN, NodeHealth.DEGRADED, NodeHealth.OFFLINE]
EACH = st.tuples(st.sampled_from(Phase), st.sampled_from(NodeHealth))
FINE, ILL_ONE, GONE, DARK = (
    (Phase.READY, NodeHealth.HEALTHY),
    (Phase.READY, NodeHealth.DEGRADED),
    (Phase.LOST, NodeHealth.OFFLINE),
    (Phase.UNKNOWN, NodeHealth.UNKNOWN),
)


@pytest.mark.parametrize(
    ("members", "health"),
    [
        ([], GroupHealth.UNKNOWN),
        ([FINE, (Phase.OFF, NodeHealth.HEALTHY)], GroupHealth.HEALTHY),
        ([FINE, ILL_ONE], GroupHealth.DEGRADED),
        ([GONE, FINE, FINE], GroupHealth.DEGRADED),
        ([GONE, (Phase.STOP_FAILED, NodeHealth.DEGRADED)], GroupHealth.OFFLINE),
        ([ILL_ONE, ILL_ONE], GroupHealth.DEGRADED),
        ([DARK, FINE], GroupHealth.HEALTHY),
        ([DARK, DARK, FINE], GroupHealth.UNKNOWN),
        ([DARK, DARK, ILL_ONE], GroupHealth.DEGRADED),
        ([DARK], GroupHealth.UNKNOWN),
    ],
)
def test_a_group_is_as_its_machines_are(members: list[Any], health: GroupHealth) -> None:
    """The table of docs/health.md, row by row."""
    assert group_health(members) is health


@given(members=st.lists(EACH, min_size=1, max_size=6), which=st.integers(0, 5), order=st.randoms(use_true_random=False))
@settings(max_examples=100)
def test_a_machine_that_gets_worse_never_makes_its_group_better(members: list[Any], which: int, order: Any) -> None:
    """Whatever the others are; and the order of the machines does not matter."""
    index = which % len(members)
    phase, health = members[index]
    for worse in WORSE[WORSE.index(health) :]:
        changed = [*members[:index], (phase, worse), *members[index + 1 :]]
        assert RANK.index(group_health(changed)) >= RANK.index(group_health(members))
    failed = [*members[:index], (Phase.START_FAILED, health), *members[index + 1 :]]
    if phase in FAILED:
        assert group_health(failed) is group_health(members)
    shuffled = list(members)
    order.shuffle(shuffled)
    assert group_health(shuffled) is group_health(members)


def test_every_row_of_the_groups_table_can_hold() -> None:
    """The table has no row that another hides."""
    examples = ([], [GONE], [ILL_ONE, FINE], [DARK, DARK, FINE], [FINE])
    first = [next(index for index, rule in enumerate(GROUP_RULES) if rule.holds(each)) for each in examples]
    assert first == list(range(len(GROUP_RULES)))
