"""What follows from a machine and from what was seen of it: the facts of the lifecycle table, and what is told of its power."""

from datetime import timedelta
from typing import Any

import pytest
from msgspec import structs
from tests.domain.builders import (
    JOB,
    LONG_AGO,
    NO_GROUP,
    OFF,
    T0,
    at,
    kube_node,
    machine,
    observed,
    pod,
    rack,
    read,
    standing,
    status,
    view,
    wanting,
    wish,
)

from hexa.domain.decide.decision import Looked
from hexa.domain.decide.facts import (
    alive,
    check_record,
    cycle_case_of,
    facts_of,
    inert,
    life_of,
    marks_of,
    namesakes_of,
    possible_nodes_of,
    reading_of,
    signs_of,
    told_reading,
    verdict_of,
    with_status,
)
from hexa.domain.decide.observed import CheckSeen, Read, Unread
from hexa.domain.group.sizing import Member
from hexa.domain.machine.facts import Facts
from hexa.domain.machine.lifecycle import Phase
from hexa.domain.machine.trust import Life
from hexa.domain.pods.drain import Plan
from hexa.domain.policy.limits import Limits
from hexa.domain.policy.policy import DrainRules, PowerCycleRules
from hexa.domain.policy.problem import Problem
from hexa.domain.resources.boot import FirstWake
from hexa.domain.resources.core import KubeNode
from hexa.domain.resources.health import CheckOutcome, CheckRecord
from hexa.domain.resources.identity import Identity
from hexa.domain.resources.remediation import RemediationStatus
from hexa.domain.resources.v1alpha1 import (
    Asker,
    HistoryEntry,
    Hold,
    JobRecord,
    Lookup,
    Node,
    Paused,
    PowerReading,
    Reading,
)
from hexa.domain.rules.health import Signs
from hexa.domain.rules.health_checks import Run
from hexa.domain.rules.power_cycle import NOT_ASKED, Site
from hexa.domain.rules.proof import Claim

BROKEN = (Problem("spec", "broken", "mend it", reason="Broken"),)
SHUTDOWN = JobRecord(name="job", action="shutdown", attempt=2)
DONE = structs.replace(SHUTDOWN, outcome="done")
HEARD: dict[str, Any] = {"heard": at(-5), "heard_until": at(35)}
MINUTE = timedelta(minutes=1)


# --- facts of the table --------------------------------------------------------------------------------------


def test_facts_of_a_machine_that_drains() -> None:
    """What is wanted, what is heard and read, and the pods that are left: all of it as it was seen, none of it a guess."""
    node = standing(Phase.DRAINING, spec={"power_state": "off"}, attempt=2)
    policy = structs.replace(NO_GROUP, drain=DrainRules(force=True))
    of = view(node, kube=kube_node("m1", ready=True), policy=policy)
    reading, period = read(Reading.ON, -1), timedelta(seconds=60)
    seen = observed(
        30, **HEARD, reading=reading, lease_period=period, blind_seconds=3.0, read=Read(plan=Plan(evict=(pod(),)))
    )
    assert facts_of(of, seen, plan=True) == Facts(
        now=at(30),
        watching_since=at(LONG_AGO),
        wish=OFF,
        lease_period=period,
        node_exists=True,
        node_ready=True,
        heard=at(-5),
        heard_until=at(35),
        reading=reading,
        pods=1,
        force=True,
        blind_seconds=3.0,
    )


def test_facts_of_a_machine_that_nobody_can_switch() -> None:
    """Its node is gone, it is invalid, and there is no way to wake it: no fact says otherwise, and its pods are not looked at."""
    node = standing(Phase.OFF, spec={"startup_pod_spec": None, "power_state": "on"})
    found = facts_of(view(node, problems=BROKEN), observed(30), plan=False)
    assert (found.paused, found.may_wake, found.node_exists, found.node_ready) == (True, False, False, False)
    assert (found.pods, found.heard, found.reading, found.force) == (None, None, None, False)


@pytest.mark.parametrize(
    ("job", "stops", "begun", "done"),
    [
        (None, False, False, False),
        (None, True, True, False),
        (SHUTDOWN, False, True, False),
        (DONE, False, True, True),
        (structs.replace(DONE, outcome="failed"), False, True, False),
        (structs.replace(DONE, attempt=1), False, False, False),
    ],
)
def test_only_the_job_of_this_attempt_counts(job: JobRecord | None, stops: bool, begun: bool, done: bool) -> None:
    """A Job that is recorded or seen has begun; it is done when it says so; that of an earlier attempt proves nothing."""
    node = standing(Phase.POWERING_OFF, attempt=2, job=job)
    found = facts_of(view(node), observed(30, stops=stops), plan=False)
    assert (found.job_begun, found.job_done) == (begun, done)


@pytest.mark.parametrize(("blind", "hearing"), [(None, at(-9)), (at(-9), None)])
def test_an_agent_that_sees_half_is_blind(blind: Any, hearing: Any) -> None:
    """Objects without Leases, or Leases without objects, prove no silence."""
    seen = observed(30, seeing_since=blind, hearing_since=hearing)
    assert facts_of(view(standing(Phase.READY)), seen, plan=False).blind


def test_sight_begins_when_the_last_watch_began() -> None:
    """Silence is counted from when both were watched."""
    seen = observed(30, seeing_since=at(-20), hearing_since=at(-9))
    assert facts_of(view(standing(Phase.READY)), seen, plan=False).watching_since == at(-9)


@pytest.mark.parametrize(
    ("spec", "problems", "found"),
    [
        ({}, (), False),
        ({"paused": Paused()}, (), True),
        ({"paused": Paused(until=at(29))}, (), False),
        ({}, BROKEN, True),
        ({}, (Problem("spec", "odd", "look", severity="warning"),), False),
    ],
)
def test_a_machine_that_is_paused_or_makes_no_sense_is_only_watched(spec: Any, problems: Any, found: bool) -> None:
    """hexa keeps its hands off both; a warning stops nothing, nor does a pause that is over."""
    assert inert(view(machine(**spec), problems=problems), at(30)) is found


def test_a_machine_as_it_will_be_once_its_status_is_saved() -> None:
    """Only its status is another."""
    of = view(standing(Phase.OFF))
    later = with_status(of, status(Phase.READY))
    assert later == view(standing(Phase.READY))


# --- signs of life -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kube", "exists", "mark"),
    [(kube_node("m1", uid="u1"), True, "u1"), (None, True, ""), (None, False, "none")],
)
def test_what_speaks_for_the_kubelet(kube: KubeNode | None, exists: bool, mark: str) -> None:
    """A node that does not decode is there and says nothing: that is another thing than none."""
    of = view(machine(), kube=kube, node_exists=exists)
    assert marks_of(of, observed(0, renewal="r1")) == {"lease": "r1", "node": mark}


WOKEN = {"wakes": 1, "first_wake": FirstWake(at=T0, lease="r1", node="u1")}


@pytest.mark.parametrize(
    ("phase", "known", "seen", "life"),
    [
        (Phase.BOOTING, WOKEN, HEARD, Life(heard=at(-5), until=at(35))),
        (Phase.BOOTING, WOKEN, {"renewal": "r2"}, Life(heard=at(20), until=at(80))),
        (Phase.BOOTING, WOKEN, {"renewal": "r1"}, Life()),
        (Phase.BOOTING, WOKEN, {"renewal": ""}, Life()),
        (Phase.READY, WOKEN, {"renewal": "r2"}, Life()),
        (Phase.BOOTING, {}, {"renewal": "r2"}, Life()),
        (Phase.BOOTING, WOKEN, {"renewal": "r2", "hearing_since": None}, Life()),
    ],
)
def test_an_answer_to_a_wake_that_came_while_we_were_away_is_a_sign_of_life(
    phase: Phase, known: Any, seen: Any, life: Life
) -> None:
    """Another renewal than at the first wake says that the machine came; it counts from when we began to listen."""
    of = view(standing(phase, **known), kube=kube_node("m1", uid="u1"))
    listens = {"hearing_since": at(20), "lease_period": timedelta(seconds=60)}
    assert life_of(of, observed(30, **{**listens, **seen})) == life


def test_a_kubelet_lives_for_a_lease_period_after_its_renewal() -> None:
    """At the end of the period it does not any more; one that was never heard does not live."""
    assert alive(observed(34.999, **HEARD))
    assert not alive(observed(35, **HEARD))
    assert not alive(observed(30))


# --- readings ------------------------------------------------------------------------------------------------


REWIRED = Identity(uid="u", power="1:other")


@pytest.mark.parametrize(
    ("phase", "job", "power"),
    [
        (Phase.POWERING_OFF, SHUTDOWN, Reading.UNKNOWN),
        (Phase.POWERING_OFF, DONE, Reading.OFF),
        (Phase.READY, SHUTDOWN, Reading.OFF),
    ],
)
def test_a_reading_of_an_address_that_was_named_after_the_power_off_began_is_unknown(
    phase: Phase, job: JobRecord, power: Reading
) -> None:
    """The running Job acts on the old address: what is read at the new one says nothing of it."""
    node = standing(phase, attempt=2, job=job, identity=REWIRED)
    found = reading_of(view(node), observed(30, reading=read(Reading.OFF, 25)))
    assert found is not None
    assert (found.power, found.at) == (power, at(25))
    assert reading_of(view(node), observed(30)) is None


BEFORE = PowerReading(power=Reading.ON, source="pdu", at=at(-60))
UNKNOWN = PowerReading(power=Reading.UNKNOWN, source="pdu", at=at(25))
QUIET: dict[str, Any] = {"heard": at(-100), "heard_until": at(-60)}
TWICE, ONCE = read(Reading.OFF, 25, first=10), read(Reading.OFF, 25, first=25)


@pytest.mark.parametrize(
    ("reading", "seen", "job", "told", "contradicted"),
    [
        (None, QUIET, None, None, False),
        (TWICE, QUIET, None, TWICE, False),
        (ONCE, QUIET, None, BEFORE, False),
        (ONCE, QUIET, DONE, ONCE, False),
        (ONCE, QUIET, SHUTDOWN, BEFORE, False),
        (TWICE, {"heard": at(20), "heard_until": at(60)}, None, UNKNOWN, True),
        (TWICE, {"seeing_since": at(20)}, None, BEFORE, False),
        (TWICE, {"hearing_since": None}, None, TWICE, False),
        (read(Reading.ON, 25), QUIET, None, read(Reading.ON, 25), False),
        (read(Reading.ON, 25), QUIET, DONE, read(Reading.ON, 25), True),
        (read(Reading.ON, 25), HEARD, DONE, read(Reading.ON, 25), False),
    ],
)
def test_a_reading_is_told_as_far_as_it_is_believed(
    reading: Any, seen: Any, job: JobRecord | None, told: Any, contradicted: bool
) -> None:
    """Off needs two readings, or our Job, and a kubelet that missed a renewal; what is not proven leaves what was told before, and
    what a kubelet contradicts is Unknown and told."""
    of = view(standing(Phase.POWERING_OFF, attempt=2, job=job, reading=BEFORE), kube=kube_node("m1"))
    found = told_reading(of, observed(30, reading=reading, **seen))
    assert (found.reading, bool(found.contradiction)) == (told, contradicted)


def test_a_machine_without_a_node_has_no_kubelet_that_could_contradict() -> None:
    """Where no renewal is expected, an agent that has just begun to watch need not wait for one."""
    of = view(standing(Phase.OFF, reading=BEFORE))
    assert told_reading(of, observed(30, reading=TWICE, seeing_since=at(20))).reading == TWICE


# --- signs of health -----------------------------------------------------------------------------------------

CHECKED = {"healthcheck_pod_spec": JOB}
PASSED = Run(began=at(10), ended=at(12.5), outcome=CheckOutcome.PASSED, message="fine")
STRANGER = kube_node("m1-ec24", created=20, ready=True)


def test_signs_of_health_are_what_was_seen() -> None:
    """What the kubelet says, whether it is heard, what is read, what the check says, and which nodes may be the machine's."""
    way = (HistoryEntry(at=T0, action="PoweringOn"),)
    node = standing(Phase.BOOTING, spec=CHECKED, history=way)
    of = view(node, kube=None, node_exists=True)
    check = CheckSeen(name="c", run=PASSED, trouble="none")
    seen = observed(30, **HEARD, reading=TWICE, sensor_trouble="tired", check=check, read=Read(unclaimed=(STRANGER,)))
    later = structs.replace(node.status, wakes=1)
    assert signs_of(of, seen, later) == Signs(
        status=later,
        kube_name="m1",
        ready=None,
        node_exists=True,
        alive=True,
        reading=told_reading(of, seen).reading,
        contradiction="",
        trouble="tired",
        check=check_record(of, seen, later),
        check_trouble="none",
        possible_nodes=("m1-ec24",),
    )


def test_signs_of_health_tell_what_contradicts_a_reading() -> None:
    """The kubelet's own word stands beside the reading that it contradicts; a machine without a check has none."""
    of = view(standing(Phase.READY), kube=kube_node("m1", ready=False))
    seen = observed(30, heard=at(20), heard_until=at(60), reading=TWICE)
    found = signs_of(of, seen, of.node.status)
    assert (found.ready, found.node_ready, found.reading) == (of.kubelet_says, False, UNKNOWN)
    assert found.contradiction == told_reading(of, seen).contradiction != ""
    assert (found.check, found.check_trouble) == (None, "")


OLD = CheckRecord(name="c", outcome=CheckOutcome.FAILED, since=at(1))
PASSES = CheckRecord(name="c", outcome=CheckOutcome.PASSED, since=at(12), message="fine")


@pytest.mark.parametrize(
    ("spec", "known", "seen", "found"),
    [
        (CHECKED, None, None, None),
        (CHECKED, None, CheckSeen(name="c"), CheckRecord(name="c")),
        (CHECKED, None, CheckSeen(name="c", run=PASSED), PASSES),
        (CHECKED, OLD, CheckSeen(name="c"), OLD),
        ({}, OLD, CheckSeen(gone=True), None),
        ({}, OLD, CheckSeen(), CheckRecord(name="c")),
        ({}, None, CheckSeen(), None),
    ],
)
def test_a_check_is_told_while_there_is_one(spec: Any, known: Any, seen: Any, found: Any) -> None:
    """A run that has ended is told; of a check that nobody declares any more only the name stays, until its CronJob is gone."""
    node = standing(Phase.READY, spec=spec, check=known)
    assert check_record(view(node), observed(30, check=seen), node.status) == found


# --- which nodes may be the machine's --------------------------------------------------------------------------

CAME = (HistoryEntry(at=T0, action="PoweringOn"),)
OTHERS = (
    STRANGER,
    kube_node("other", created=25, ready=True),
    kube_node("m1-old", created=-900, ready=True),
    kube_node("m1-sick", created=20, ready=False),
)
UNCLAIMED = Read(unclaimed=OTHERS)


def test_nodes_that_came_since_the_wake_may_be_the_machines() -> None:
    """Asked only of a machine that was woken and whose own node is not there."""
    of = view(standing(Phase.BOOTING, history=CAME))
    assert possible_nodes_of(of, observed(30, read=UNCLAIMED), of.node.status) == ("m1-ec24", "m1-sick", "other")
    for asked_not in (view(standing(Phase.BOOTING, history=CAME), kube=kube_node("m1")), view(standing(Phase.OFF))):
        assert possible_nodes_of(asked_not, observed(30), asked_not.node.status) == ()


def lost(**spec: Any) -> Node:
    """A machine that was woken and is lost."""
    return standing(Phase.LOST, spec=spec, history=CAME, last_startup_time=T0)


@pytest.mark.parametrize(
    ("spec", "unclaimed", "found"),
    [
        ({}, OTHERS, ("m1-ec24",)),
        ({}, OTHERS[1:], ("other",)),
        ({"power_state": "off"}, OTHERS[1:], ()),
        ({"power_state": "on"}, OTHERS[1:], ("other",)),
        ({"hold": Hold(power="off")}, OTHERS[1:], ()),
        ({"hold": Hold(power="off")}, OTHERS, ("m1-ec24",)),
        ({}, (kube_node("other", created=9000, ready=True),), ()),
    ],
)
def test_pods_of_a_node_that_may_be_the_machines_count_as_its_own(spec: Any, unclaimed: Any, found: Any) -> None:
    """Those of a like name always; newcomers of the time of its boot, unless a person who was told wants it off."""
    assert namesakes_of(view(lost(**spec)), observed(30, read=Read(unclaimed=unclaimed))) == found


def test_a_newcomer_is_one_that_came_within_the_time_of_a_boot() -> None:
    """From the wake until its limits have passed: powerOn and boot together."""
    limits = Limits(power_on=MINUTE, boot=2 * MINUTE)
    for created, found in ((180, ("other",)), (181, ())):
        seen = observed(900, read=Read(unclaimed=(kube_node("other", created=created, ready=True),)))
        assert namesakes_of(view(lost(), limits=limits), seen) == found


def test_a_program_that_wants_a_machine_off_was_told_of_no_newcomer() -> None:
    """Cluster Autoscaler's off stops before a node that may be the machine's."""
    of = view(wanting(lost(), wish(OFF, Asker.CLUSTER_AUTOSCALER)))
    assert namesakes_of(of, observed(30, read=Read(unclaimed=OTHERS[1:]))) == ("other",)


def test_a_machine_whose_own_kubelet_is_ready_has_no_other_name() -> None:
    """Nothing is even looked up for it."""
    assert namesakes_of(view(lost(), kube=kube_node("m1", ready=True)), observed(30)) == ()


# --- power cycles --------------------------------------------------------------------------------------------

RULES = PowerCycleRules()


def ill(phase: Phase = Phase.LOST, **known: Any) -> Any:
    """A machine that is wanted on and is ill, in a group that cycles power."""
    node = standing(phase, spec={"power_state": "on"}, **known)
    return view(node, group=rack(power_cycle=RULES))


def test_what_a_power_cycle_is_judged_by() -> None:
    """The machine, its group, the other machines, all other kubelets, and whose node may be its own."""
    claim = Claim(key=Lookup("site", "m9"), rank=0, since=at(-50))
    of = structs.replace(ill(), control_plane=True, waits_for=claim)
    others, site = (Member(key=of.key, phase=Phase.LOST),), Site(heard=3, lost=0)
    seen = observed(900, reading=TWICE, read=Read(members=others, site=site, unclaimed=(STRANGER,)))
    found = cycle_case_of(of, seen)
    assert found is not None
    assert (found.node, found.policy, found.limits, found.now) == (of.node, of.policy, of.limits, at(900))
    assert (found.member, found.others, found.holder) == (of.member(at(900)), others, claim)
    assert (found.sensed, found.control_plane, found.site, found.namesakes) == (True, True, site, ("m1-ec24",))
    blind = cycle_case_of(of, structs.replace(seen, reading=None))
    assert blind is not None
    assert not blind.sensed


def test_a_machine_that_hangs_is_cycled_after_its_time() -> None:
    """The figure comes from the group's rules, and the lifecycle gets it as a fact."""
    of = ill()
    seen = observed(
        900,
        reading=read(Reading.ON, 890),
        read=Read(members=(of.member(at(900)),), site=Site(heard=3, lost=0), unclaimed=()),
    )
    assert verdict_of(of, seen).after == RULES.after
    assert facts_of(of, seen, plan=False).power_cycle_after == RULES.after


@pytest.mark.parametrize(
    "of",
    [
        ill(Phase.READY),
        ill(Phase.POWERING_OFF),
        structs.replace(ill(), policy=NO_GROUP),
        structs.replace(ill(), group=None),
    ],
    ids=["well", "going off", "group cycles nothing", "no group"],
)
def test_nothing_is_looked_up_where_nobody_asks_for_a_power_cycle(of: Any) -> None:
    """A machine that is well, one that goes off anyway, and one of a group that cycles nothing."""
    assert cycle_case_of(of, observed(900)) is None
    assert verdict_of(of, observed(900)) == NOT_ASKED


def test_a_cycle_that_has_begun_is_judged_until_its_power_is_cut() -> None:
    """What stands against it counts to the last moment: the other machines are read again."""
    cycling = ill(Phase.POWERING_OFF, remediation=RemediationStatus(cycling=True))
    with pytest.raises(Unread) as unread:
        cycle_case_of(cycling, observed(900))
    assert unread.value.at is Looked.MEMBERS


# --- crowds --------------------------------------------------------------------------------------------------

HURRIED = Limits(wake_interval=timedelta(seconds=30), patient_interval=timedelta(seconds=90))
COMING = {"wakes": 1, "woken_at": T0, "first_wake": FirstWake(at=T0)}


@pytest.mark.parametrize(
    ("now", "woken", "found"),
    [(29, None, False), (30, (T0,), True), (30, (), False), (89, (T0,), True), (90, None, False)],
)
def test_a_wake_is_not_repeated_early_while_others_boot_beside(now: float, woken: Any, found: bool) -> None:
    """Others of the group are asked for only between the learned interval and the patient one, where it makes a difference."""
    of = view(standing(Phase.BOOTING, **COMING), group=rack(limits=HURRIED))
    seen = observed(now) if woken is None else observed(now, read=Read(woken=woken))
    assert facts_of(of, seen, plan=False).crowded is found


@pytest.mark.parametrize(
    "of",
    [
        view(standing(Phase.BOOTING, **COMING), limits=HURRIED),
        view(standing(Phase.BOOTING, **COMING), group=rack()),
        view(standing(Phase.READY, **COMING), group=rack(limits=HURRIED)),
    ],
    ids=["no group", "intervals alike", "not coming"],
)
def test_nobody_asks_who_boots_beside_where_it_makes_no_difference(of: Any) -> None:
    """A machine without a group, one whose intervals are alike, and one that is up cost no look at others."""
    assert not facts_of(of, observed(95), plan=False).crowded
    assert not facts_of(of, observed(40), plan=False).crowded
