"""Power cycles against illness: what a group's words mean, what stands against a cycle and in which order, and how it is cut."""

import json
from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest
from msgspec import Struct, structs
from tests.domain.builders import JOB, LIMITS, ON, at, facts, machine, wish

from hexa.domain.group.sizing import Member
from hexa.domain.machine.acts import may_cycle
from hexa.domain.machine.lifecycle import Phase, phase_of
from hexa.domain.machine.reason import Veto
from hexa.domain.policy.policy import Policy, PowerCycleRules, policy_of
from hexa.domain.power.jobs import pod_for
from hexa.domain.power.ways import cuts
from hexa.domain.resources.core import Condition, KubeNode, Metadata
from hexa.domain.resources.health import CheckOutcome, CheckRecord
from hexa.domain.resources.power_spec import PowerSpec
from hexa.domain.resources.remediation import RemediationStatus
from hexa.domain.resources.v1alpha1 import Group, GroupSpec, HardOff, Hold, Lookup, Node, Reading
from hexa.domain.rules.judge import awaited
from hexa.domain.rules.power_cycle import CycleCase, Site, Verdict, findings, is_ill, most_ill, verdict
from hexa.domain.rules.proof import Claim

MINUTE = timedelta(minutes=1)
RULES = PowerCycleRules()
IPMI = {"ipmi": {"address": "bmc.lan", "secretName": "bmc"}}


def member(name: str, phase: Phase = Phase.READY, **more: Any) -> Member:
    """A machine of the group that is wanted on."""
    known = {"wish": wish(ON), "node_ready": phase is Phase.READY, **more}
    return Member(key=Lookup("site", name), phase=phase, **known)


def checked(outcome: CheckOutcome) -> Any:
    """A lost machine whose health check says so."""
    node = machine("m1", phase=Phase.LOST)
    return structs.replace(node, status=structs.replace(node.status, check=CheckRecord(outcome=outcome)))


def case(*others: Member, known: RemediationStatus | None = None, **more: Any) -> CycleCase:
    """A lost machine among these."""
    own = more.pop("member", member("m1", Phase.LOST))
    node = more.pop("node", machine("m1", phase=own.phase))
    node = structs.replace(node, status=structs.replace(node.status, remediation=known or RemediationStatus()))
    policy = more.pop("policy", Policy(power_cycle=RULES))
    given = {"limits": LIMITS, "holder": None, "sensed": True, "site": Site(heard=3, lost=0), "now": at(100), **more}
    return CycleCase(node=node, policy=policy, member=own, others=[own, *others], **given)


def refused(of: CycleCase) -> str:
    """What stands against a cycle."""
    judged = verdict(of)
    return judged.refusal.reason if judged.refusal is not None else ""


def remediation(**spec: Any) -> tuple[Policy, list[str]]:
    """The policy of a group with this spec.remediation, and its problems."""
    group = Group(metadata=Metadata(name="g"), spec=msgspec.convert({"remediation": spec}, GroupSpec))
    policy, problems = policy_of(group)
    return policy, [str(problem) for problem in problems]


def test_a_group_that_wants_its_machines_on_cycles_as_ever() -> None:
    """AlwaysOn forbids an off, and a machine that hangs is cut and woken all the same; other rules stand against it."""
    stays = member("m1", Phase.LOST, off_vetoes=(Veto("Mode", "the mode of the group is AlwaysOn"),))
    assert refused(case(member=stays)) == ""
    assert (
        refused(case(member=structs.replace(stays, off_vetoes=(*stays.off_vetoes, Veto("Blackout", ""))))) == "Blackout"
    )


# --- what a group says ------------------------------------------------------------------------------------


def test_group_that_says_nothing_cycles_nothing() -> None:
    """Power is cycled only where the group says powerCycle: true."""
    assert remediation(after="1m", maxUnhealthy=3)[0].power_cycle is None
    assert remediation(powerCycle=True)[0].power_cycle == PowerCycleRules(after=10 * MINUTE, max_unhealthy=1, cycles=3)


def test_numbers_and_shares_are_read() -> None:
    """A number of machines, or a percentage; what is neither is told with field and remedy, and the default stands in for it."""
    rules = remediation(powerCycle=True, after="1h", maxUnhealthy="40%", cycles=5)[0].power_cycle
    assert rules == PowerCycleRules(after=60 * MINUTE, max_unhealthy=None, share=0.4, cycles=5)
    policy, problems = remediation(powerCycle=True, maxUnhealthy="half", after="soon")
    assert policy.power_cycle == RULES
    assert [problem.partition(":")[0] for problem in problems] == [
        "spec.remediation.after",
        "spec.remediation.maxUnhealthy",
    ]


@pytest.mark.parametrize(("wanted", "most"), [(1, 0), (2, 0), (3, 1), (5, 2), (10, 4)])
def test_share_is_rounded_down_over_the_machines_that_should_be_on(wanted: int, most: int) -> None:
    """40% of two machines is none: a share never allows more than it says."""
    machines = [member(f"m{n}") for n in range(wanted)] + [member("off", Phase.OFF, wish=None)]
    assert most_ill(PowerCycleRules(max_unhealthy=None, share=0.4), machines) == most


@pytest.mark.parametrize(
    ("each", "ill"),
    [
        (member("m", Phase.READY), False),
        (member("m", Phase.READY, node_ready=False), True),
        (member("m", Phase.LOST), True),
        (member("m", Phase.STOP_FAILED, wish=None), True),
        (member("m", Phase.BOOTING), False),
        (member("m", Phase.BOOTING, ill=True), True),
        (member("m", Phase.BOOTING, cycling=True), True),
        (member("m", Phase.OFF, wish=None, cycling=True), False),
        (member("m", Phase.LOST, on_vetoes=(Veto("Paused", ""),)), False),
        (member("m", Phase.LOST, on_vetoes=(Veto("MaintenanceInProgress", ""),)), False),
    ],
    ids=lambda each: str(each.phase) if isinstance(each, Member) else str(each),
)
def test_machines_that_count_as_ill(each: Member, ill: bool) -> None:
    """Lost, failed, being cycled, between two tries, or up without a Ready kubelet; not what a person has paused, or
    somebody maintains."""
    assert is_ill(each) is ill


# --- what stands against it ---------------------------------------------------------------------------------

CLAIM = Claim(key=Lookup("site", "m9"), rank=0, since=at(-50))
SPENT = RemediationStatus(ill_since=at(-50), cycles=3, cycled_at=at(-100))
CASES: dict[str, CycleCase] = {
    "": case(member("m2")),
    "Held": case(node=machine("m1", phase=Phase.LOST, hold=Hold(power="on"))),
    "HostsControl": case(member=member("m1", Phase.LOST, off_vetoes=(Veto("HostsControl", "hexa runs on it"),))),
    "PowerOnUnavailable": case(member=member("m1", Phase.LOST, on_vetoes=(Veto("PowerOnUnavailable", ""),))),
    "Invalid": case(member=member("m1", Phase.LOST, valid=False)),
    "ControlPlane": case(control_plane=True),
    "WakeProof": case(member=member("m1", Phase.LOST, unproven=True), holder=CLAIM),
    "NoSensor": case(sensed=False),
    "HealthCheckPasses": case(node=checked(CheckOutcome.PASSED)),
    "NoHardOff": case(node=machine("m1", phase=Phase.LOST, shutdown_pod_spec=None)),
    "HardOffForbidden": case(
        node=machine("m1", phase=Phase.LOST, power=msgspec.convert(IPMI, PowerSpec), shutdown_pod_spec=None),
        policy=Policy(power_cycle=RULES, hard_off=HardOff.FORBID),
    ),
    "GivenUp": case(known=SPENT),
    "Storm": case(member("m2", Phase.LOST)),
    "InDoubt": case(site=Site(heard=0, lost=0)),
    "OneAtATime": case(
        member("m2", Phase.BOOTING, cycling=True), policy=Policy(power_cycle=structs.replace(RULES, max_unhealthy=2))
    ),
}


@pytest.mark.parametrize("reason", CASES)
def test_each_reason_stands_against_a_cycle(reason: str) -> None:
    """Each of these alone keeps a machine that hangs from being cut, and says so in a condition that is False."""
    assert refused(CASES[reason]) == reason
    (told,) = findings(CASES[reason], verdict(CASES[reason]))
    assert (told.status, told.reason) == (("False", reason) if reason else ("True", "Waiting"))


def test_what_forbids_an_off_is_told_in_its_own_words() -> None:
    """The veto says why the power of a machine that hangs is not cut."""
    refusal = verdict(CASES["HostsControl"]).refusal
    assert refusal is not None
    assert refusal.text == "hexa runs on it"


@pytest.mark.parametrize(("unproven", "holder"), [(True, None), (False, CLAIM), (False, None)])
def test_wake_proof_stands_against_it_only_beside_another_that_is_off(unproven: bool, holder: Claim | None) -> None:
    """A proven machine may be cut at any time, an unproven one while no other one is off."""
    assert refused(case(member=member("m1", Phase.LOST, unproven=unproven), holder=holder)) == ""


@pytest.mark.parametrize(
    ("heard", "lost", "doubt"), [(0, 0, True), (1, 0, False), (1, 1, True), (4, 3, False), (2, 2, True)]
)
def test_api_server_is_in_doubt_when_fewer_are_heard_than_are_lost(heard: int, lost: int, doubt: bool) -> None:
    """No other kubelet at all, or more lost at once than heard, in all groups together: the network is looked at first."""
    assert (refused(case(site=Site(heard=heard, lost=lost))) == "InDoubt") is doubt


@pytest.mark.parametrize("phase", [p for p in Phase if p not in (Phase.LOST, Phase.START_FAILED)])
def test_machine_that_is_not_ill_is_not_judged(phase: Phase) -> None:
    """Nothing is said of a machine in any other phase, and of one that nobody wants."""
    assert verdict(case(member=member("m1", phase))) == Verdict()
    assert verdict(case(member=member("m1", Phase.LOST, wish=None))) == Verdict()
    assert verdict(case(policy=Policy())) == Verdict()


def test_cycle_that_has_begun_is_judged_again_but_not_counted_twice() -> None:
    """Between the decision and the cut a storm may have come; the last of the allowed cycles is allowed."""
    own = member("m1", Phase.POWERING_OFF, cycling=True)
    begun = structs.replace(SPENT, cycling=True)
    assert refused(case(member=own, known=begun)) == ""
    assert refused(case(member("m2", Phase.LOST), member=own, known=begun)) == "Storm"


def test_patience_doubles_and_outlasts_a_reboot() -> None:
    """The first cycle waits for `after`, but never less than a boot may take; each further one twice as long, a day at most."""
    for cycles, minutes in ((0, 10), (1, 20), (2, 40)):
        known = RemediationStatus(ill_since=at(-50), cycles=cycles, cycled_at=at(-100))
        assert verdict(case(known=known)).after == minutes * MINUTE
    short = Policy(power_cycle=PowerCycleRules(after=timedelta(seconds=1), cycles=100))
    assert verdict(case(policy=short)).after == LIMITS.boot
    many = RemediationStatus(ill_since=at(-50), cycles=99, cycled_at=at(-100))
    assert verdict(case(policy=short, known=many)).after == timedelta(days=1)


# --- how it is cut --------------------------------------------------------------------------------------------

WOL_SSH = {"wakeOnLan": {"macs": ["52:54:00:12:34:56"]}, "ssh": {"address": "box.lan", "secretName": "box"}}


def powered(**power: Any) -> Any:
    """A machine with this spec.power."""
    spec = msgspec.convert(power, PowerSpec)
    return machine("m1", startup_pod_spec=None, shutdown_pod_spec=None, power=spec)


def test_system_that_hangs_is_cut_whatever_hard_says() -> None:
    """powerCycle is the permission: the Job asks in order for ten seconds and then cuts; an ordinary off is not changed by it."""
    node = powered(**WOL_SSH, **IPMI)
    for cut, hard, soft in ((True, True, "10s"), (False, False, None)):
        pod = pod_for(node, "off", image="hexa:1", limits=LIMITS, cut=cut)
        assert pod is not None
        settings = json.loads(next(each.value for each in pod.env if each.name == "HEXA_POWER"))
        assert (settings.get("hard", False), settings.get("softTimeout")) == (hard, soft)


def test_way_off_that_needs_a_living_system_is_no_remedy() -> None:
    """SSH can't end what hangs; a BMC can, and a pod of the machine's own is trusted to."""
    assert not cuts(powered(**WOL_SSH))
    assert cuts(powered(**WOL_SSH, **IPMI))
    assert cuts(machine("m1", shutdown_pod_spec=JOB))


def test_job_that_cuts_waits_for_a_lease_period_of_sight() -> None:
    """After a restart the silence is watched anew; a reading other than On, a Ready node or a wish that is gone forbid the cut."""
    good: dict[str, Any] = {"wish": ON, "reading": (Reading.ON, 99), "power_cycle_after": MINUTE}
    assert may_cycle(facts(100, **good))
    assert not may_cycle(facts(100, **good, watching_since=60.001))
    assert may_cycle(facts(100, **good, watching_since=60))
    assert not may_cycle(facts(100, **good, heard=60.001))
    changes: list[dict[str, Any]] = [
        {"reading": (Reading.UNKNOWN, 99)},
        {"reading": (Reading.OFF, 99)},
        {"reading": None},
        {"node_ready": True},
        {"wish": None},
        {"power_cycle_after": None},
        {"watching_since": None},
        {"paused": True},
        {"may_wake": False},
    ]
    for change in changes:
        assert not may_cycle(facts(100, **{**good, **change})), change


# --- in words ---------------------------------------------------------------------------------------------------


class Waits(Struct):
    """A machine that somebody asks about."""

    node: Node
    policy: Policy = Policy()
    kube: KubeNode | None = None
    now: datetime = at(100)

    @property
    def phase(self) -> Phase:
        return phase_of(self.node.status)


def words(*told: Condition, phase: Phase = Phase.LOST) -> list[str]:
    """What `hexa why` says first of a machine with these conditions."""
    node = machine("m1", phase=phase)
    waits = Waits(structs.replace(node, status=structs.replace(node.status, conditions=told)))
    return [text for text, _ in awaited(waits)]


def kept(reason: str, status: str = "False") -> Condition:
    """What the agent keeps on a machine whose power may be cycled."""
    return Condition(type="Remediation", status=status, reason=reason, message="TEXT")


def test_why_says_what_comes_or_what_stands_against_it() -> None:
    """A machine that hangs: when its power is cycled, that it is, or by which rule it is not."""
    assert words(kept("Waiting", "True")) == ["a sign of life; else TEXT"]
    assert words(kept("Cycling", "True")) == ["its power to be cut; then it is woken again"]
    assert words(kept("Storm")) == ["its kubelet, or a person; its power is not cycled, by Storm: TEXT"]
    assert words() == []
    assert words(kept("Storm"), phase=Phase.READY) == []
