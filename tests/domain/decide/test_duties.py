"""What each phase demands: the next act of a wake, a drain, a power-off, a welcome and a node that leaves."""

from datetime import timedelta
from typing import Any

import pytest
from msgspec import structs
from tests.domain.builders import (
    JOB,
    NO_GROUP,
    OFF,
    ON,
    T0,
    at,
    facts,
    kube_node,
    observed,
    pod,
    rack,
    standing,
    view,
)

from hexa.domain.decide.decision import (
    Decision,
    Edit,
    Evict,
    MakeRoom,
    OnNode,
    Save,
    Start,
    Sweep,
    Touch,
    Welcome,
)
from hexa.domain.decide.duties import drain, leave, power_off, wake, welcome
from hexa.domain.decide.observed import OrderSeen, Read, Swept
from hexa.domain.decide.saved import WAKES
from hexa.domain.group.watts import Place
from hexa.domain.machine.lifecycle import Phase
from hexa.domain.machine.marks import hold_back
from hexa.domain.machine.power_job import Action
from hexa.domain.names import CORDON_ANNOTATION, OFF_FINALIZER, OUT_OF_SERVICE_ANNOTATION
from hexa.domain.news import Severity, What
from hexa.domain.pods.drain import Blocker, Plan
from hexa.domain.policy.circuits import Circuit
from hexa.domain.policy.limits import Limits
from hexa.domain.policy.policy import DrainRules
from hexa.domain.resources.core import Condition, KubeNode, KubeNodeSpec, KubeNodeStatus
from hexa.domain.resources.identity import Identity
from hexa.domain.resources.remediation import RemediationStatus
from hexa.domain.resources.v1alpha1 import HistoryEntry, Hold, JobRecord, LeavePolicy, Reading, Shape

SECOND = timedelta(seconds=1)
DRAIN_LOOK, BLOCKED_LOOK, JOB_LOOK = SECOND, 5 * SECOND, 5 * SECOND


def looked(**known: Any) -> Read:
    """What was read and done; no Kubernetes node is unclaimed."""
    return Read(**{"unclaimed": (), **known})


NOTHING_READ = looked()
ABLE = looked(order=OrderSeen(able=True))
STARTUP = JobRecord(name="on-2", action="startup", attempt=2)
SHUTDOWN = JobRecord(name="off-2", action="shutdown", attempt=2)
WOKEN: dict[str, Any] = {"attempt": 2, "wakes": 1, "woken_at": T0}


def done(job: JobRecord) -> JobRecord:
    """The Job, once it succeeded."""
    return structs.replace(job, outcome="done")


def saved(decision: Decision | timedelta | None) -> Save:
    """The decision, which is to store a status."""
    assert isinstance(decision, Save)
    return decision


# --- wake ----------------------------------------------------------------------------------------------------


def waking(now: float, *, known: dict[str, Any] | None = None, read: Read = ABLE, **seen: Any) -> Decision | Any:
    """What is done for a machine that is being woken, and gives no sign of life."""
    spec, of = seen.pop("spec", {}), seen.pop("facts", {})
    node = standing(Phase.POWERING_ON, spec=spec, **(WOKEN if known is None else known))
    limits = seen.pop("limits", Limits())
    told = {"wish": ON, **of}
    return wake(view(node, limits=limits), observed(now, read=read, **seen), facts(now, **told), None)


def test_a_wake_that_was_saved_is_sent() -> None:
    """Its Job is made, once; a machine that was found booting has no wake of ours to send."""
    assert waking(1) == Start(Action.STARTUP)
    assert waking(1, known={**WOKEN, "wakes": 0}) is None
    assert waking(1, known={**WOKEN, "job": structs.replace(STARTUP, attempt=1)}) == Start(Action.STARTUP)


GARAGE = Circuit(name="garage", watts=1000, spacing=10 * SECOND)


def on_circuit(now: float, *, read: Read = ABLE, known: dict[str, Any] | None = None, **place: Any) -> Decision | Any:
    """What is done for a machine of a circuit that is being woken since T0."""
    node = standing(Phase.POWERING_ON, **(WOKEN if known is None else known))
    machine = structs.replace(view(node), places=(Place(circuit=GARAGE, watts=300, **place),))
    return wake(machine, observed(now, read=read), facts(now, wish=ON, may_wake=machine.may_wake(at(now))), None)


def test_a_job_of_a_circuit_is_made_soon_after_its_stamp_or_stamped_anew() -> None:
    """Wakes are apart by their stamps: one whose Job comes late takes another turn, under the lock of all wakes."""
    assert on_circuit(2.9) == Start(Action.STARTUP)
    late = saved(on_circuit(3.1))
    assert (late.status.woken_at, late.status.attempt, late.lock) == (at(3.1), 2, WAKES)
    assert on_circuit(3.1, read=looked(order=OrderSeen(able=True, there=True))) == Start(Action.STARTUP)
    assert waking(3.1) == Start(Action.STARTUP)


def test_a_job_of_a_circuit_waits_while_another_machine_has_the_turn() -> None:
    """Hexa was away between stamp and Job, and others began meanwhile; or somebody switched so many on that the circuit is over."""
    assert on_circuit(30, due=at(40)) is None
    assert on_circuit(2, over=True) is None
    assert saved(on_circuit(40, due=at(40))).status.woken_at == at(40)
    assert on_circuit(30, due=at(40), read=looked(order=OrderSeen(able=True, there=True))) == Start(Action.STARTUP)


def test_a_wake_that_repeats_one_takes_its_turn_too() -> None:
    """Silent for a wake interval, the machine waits until the circuit is free, and is stamped under the lock of all wakes."""
    silent = {**WOKEN, "job": done(STARTUP)}
    assert on_circuit(91, known=silent, due=at(95)) is None
    again = saved(on_circuit(95, known=silent, due=at(95)))
    assert (again.status.attempt, again.status.woken_at, again.lock) == (3, at(95), WAKES)


def test_a_job_that_was_started_is_recorded_and_told() -> None:
    """So that nobody starts it a second time."""
    found = saved(waking(1, read=structs.replace(ABLE, started=STARTUP)))
    assert found.status.job == STARTUP
    assert [(news.what, news.why) for news in found.news] == [(What.STARTUP_JOB, "on-2: running")]


def test_no_job_is_started_beside_another_or_where_there_is_no_way() -> None:
    """An older Job of the machine ends first, and is looked for again soon; a machine that nothing switches waits for a person."""
    assert waking(1, read=structs.replace(ABLE, done=frozenset({"Start"}))) == DRAIN_LOOK
    assert waking(1, read=looked(order=OrderSeen(able=False))) is None


@pytest.mark.parametrize(
    ("now", "seen", "anew"),
    [
        (61, {"born": at(10)}, True),
        (60, {"born": at(10)}, False),
        (61, {"born": at(0)}, False),
        (61, {"born": at(10), "renewed": True}, False),
        (1, {"read": looked(order=OrderSeen(able=True, of_another_time=True))}, True),
    ],
)
def test_an_attempt_whose_job_may_be_forgotten_is_begun_anew(now: float, seen: Any, anew: bool) -> None:
    """An earlier life of the agent may have made it, and Jobs that are over are removed: another name is taken, and the same wake
    is not counted twice."""
    found = waking(now, **seen)
    if not anew:
        assert found == Start(Action.STARTUP)
        return
    assert saved(found).renewed
    assert (saved(found).status.attempt, saved(found).status.wakes) == (3, 1)


def test_a_button_is_not_pressed_again_where_its_job_may_be_forgotten() -> None:
    """A second press would switch the machine off again."""
    spec = {"startup_pod_spec": structs.replace(JOB, toggle=True)}
    assert waking(1, spec=spec) == Start(Action.STARTUP)
    assert waking(61, spec=spec, born=at(10)) is None


def test_a_machine_that_stays_silent_is_woken_again() -> None:
    """After the interval, and once the last Job is over; people are told which wake it is, and of how many."""
    known = {**WOKEN, "job": done(STARTUP)}
    found = saved(waking(90, known=known))
    assert (found.status.wakes, found.status.attempt, found.status.woken_at, found.status.job) == (2, 3, at(90), None)
    assert [(news.what, news.why) for news in found.news] == [(What.WAKE_AGAIN, "no sign of life: wake 2 of 3")]
    assert waking(89, known=known) is None
    assert waking(90, known={**WOKEN, "job": STARTUP}) == JOB_LOOK
    assert waking(90, known=known, facts={"wish": OFF}) is None


def test_a_button_is_not_pressed_a_second_time() -> None:
    """Nothing has told since the first press that the machine is off; a reading of after that tells so."""
    spec = {"startup_pod_spec": structs.replace(JOB, toggle=True)}
    history = (HistoryEntry(at=T0, action="PoweringOn", by="Wanted"),)
    known = {**WOKEN, "job": done(STARTUP), "history": history}
    assert waking(90, known=known, spec=spec) is None
    assert isinstance(waking(90, known=known, spec=spec, facts={"reading": (Reading.OFF, 60)}), Save)


def test_a_silent_machine_is_noted_where_another_may_be_woken_beside_it() -> None:
    """With retries.hedge the silence of a wake interval is stored, also with the second wake."""
    limits, known = Limits(hedge=True, attempts=1), {**WOKEN, "job": done(STARTUP)}
    found = saved(waking(90, known=known, limits=limits))
    assert (found.status.silent, found.status.wakes) == (True, 1)
    assert waking(89, known=known, limits=limits) is None
    again = saved(waking(90, known=known, limits=structs.replace(limits, attempts=3)))
    assert (again.status.silent, again.status.wakes) == (True, 2)


# --- power off -----------------------------------------------------------------------------------------------


def stopping(known: dict[str, Any] | None = None, *, spec: Any = None, read: Read = ABLE, **of: Any) -> Decision | Any:
    """What is done for a machine that is being switched off and is empty."""
    node = standing(Phase.POWERING_OFF, spec=spec, attempt=2, **(known or {}))
    return power_off(view(node), observed(30, read=read), facts(30, **{"wish": OFF, "pods": 0, **of}), None)


@pytest.mark.parametrize(
    ("known", "of", "starts"),
    [
        ({}, {}, True),
        ({}, {"pods": 1}, False),
        ({}, {"pods": None}, False),
        ({}, {"watching_since": None}, False),
        ({}, {"wish": ON}, False),
        ({}, {"wish": None}, False),
        ({}, {"wish": ON, "job_begun": True}, True),
        ({"forced": True}, {"pods": 1}, True),
        ({"forced": True}, {"pods": 1, "wish": ON}, False),
        ({"job": structs.replace(SHUTDOWN, attempt=1)}, {}, True),
    ],
)
def test_the_power_is_cut_only_of_an_empty_machine_that_is_wanted_off(known: Any, of: Any, starts: bool) -> None:
    """Pods that are there, or that nobody counted, keep it on, unless the group forces; blind, nothing is switched off."""
    assert stopping(known, **of) == (Start(Action.SHUTDOWN) if starts else DRAIN_LOOK)


def test_a_shutdown_job_is_waited_for() -> None:
    """It is looked at while it runs; once it is over the reading and the silence tell."""
    assert stopping({"job": SHUTDOWN}) == JOB_LOOK
    assert stopping({"job": done(SHUTDOWN)}) is None


CYCLING = {"remediation": RemediationStatus(cycling=True)}
HANGS = {"wish": ON, "power_cycle_after": timedelta(minutes=10), "reading": (Reading.ON, 29)}


@pytest.mark.parametrize(
    ("of", "starts"),
    [({}, True), ({"node_ready": True}, False), ({"wish": OFF}, False), ({"power_cycle_after": None}, False)],
)
def test_the_power_of_a_machine_that_hangs_is_cut_only_while_it_hangs(of: Any, starts: bool) -> None:
    """A power cycle is called off when the machine comes back, or nobody wants it on, whatever its pods."""
    found = stopping(CYCLING, **{**HANGS, "pods": 4, **of})
    assert found == (Start(Action.SHUTDOWN) if starts else DRAIN_LOOK)


def test_a_button_shuts_down_only_what_tells_that_it_is_on() -> None:
    """Else the press would switch it on: it is not pressed, and that is said once."""
    spec = {"shutdown_pod_spec": structs.replace(JOB, toggle=True)}
    told = saved(stopping(spec=spec))
    assert "it is not pressed" in told.status.blocker
    assert stopping({"blocker": told.status.blocker}, spec=spec) == DRAIN_LOOK
    assert stopping(spec=spec, heard=20) == Start(Action.SHUTDOWN)


def test_a_button_is_not_pressed_twice_for_one_power_off() -> None:
    """Where the Job of this attempt may be forgotten it may have been pressed."""
    spec = {"shutdown_pod_spec": structs.replace(JOB, toggle=True)}
    node = standing(Phase.POWERING_OFF, spec=spec, attempt=2)
    seen, known = observed(61, born=at(10), read=ABLE), facts(61, wish=OFF, pods=0, heard=50)
    assert power_off(view(node), seen, known, None) is None
    plain = standing(Phase.POWERING_OFF, attempt=2, woken_at=at(60))
    found = saved(power_off(view(plain), seen, known, None))
    assert (found.status.attempt, found.renewed) == (3, True)


def test_a_started_shutdown_job_is_told_as_one() -> None:
    """Its name and how it stands."""
    found = saved(stopping(read=structs.replace(ABLE, started=SHUTDOWN)))
    assert [(news.what, news.why) for news in found.news] == [(What.SHUTDOWN_JOB, "off-2: running")]


# --- drain ---------------------------------------------------------------------------------------------------

WEB, BARE = pod("web"), Blocker("apps/db", "BarePod", "no controller")
ROOMY = {"hold": Hold(power="off", make_room=True)}


def draining(plan: Plan | None, *, blocker: str = "", spec: Any = None, read: Read = NOTHING_READ) -> Decision | Any:
    """What is done for a machine that drains."""
    policy = structs.replace(NO_GROUP, drain=DrainRules(grace=30))
    of = view(standing(Phase.DRAINING, spec=spec, blocker=blocker), policy=policy)
    return drain(of, observed(30, read=read), facts(30, wish=OFF), plan)


def test_pods_are_asked_to_go_and_looked_at_again() -> None:
    """Each eviction with the group's grace; once they were asked for, the pods are looked at each second. Unread: nothing."""
    assert draining(None) is None
    assert draining(Plan(evict=(WEB,))) == Evict(30)
    assert draining(Plan(evict=(WEB,)), read=looked(evicted="")) == DRAIN_LOOK
    assert draining(Plan(leaving=(WEB,))) == DRAIN_LOOK
    assert draining(Plan()) == DRAIN_LOOK


def test_what_blocks_a_drain_is_stored_and_told_once() -> None:
    """The first three pods, as a warning; then it is looked at more seldom, unless other pods leave meanwhile."""
    four = tuple(structs.replace(BARE, pod=f"apps/{name}") for name in "abcd")
    text = "apps/a: no controller; apps/b: no controller; apps/c: no controller"
    found = saved(draining(Plan(blockers=four)))
    assert found.status.blocker == text
    assert [(news.what, news.why, news.severity) for news in found.news] == [
        (What.DRAIN_BLOCKED, text, Severity.WARNING)
    ]
    assert draining(Plan(blockers=four), blocker=text) == BLOCKED_LOOK
    assert draining(Plan(blockers=four, leaving=(WEB,)), blocker=text) == DRAIN_LOOK


def test_a_refused_eviction_blocks_and_one_that_goes_on_does_not() -> None:
    """What the API server answered is the blocker; when nobody refuses any more it is forgotten without a word."""
    refused = saved(draining(Plan(evict=(WEB,)), read=looked(evicted="apps/web: a budget")))
    assert refused.status.blocker == "apps/web: a budget"
    over = saved(draining(Plan(evict=(WEB,)), blocker="apps/web: a budget", read=looked(evicted="")))
    assert (over.status.blocker, over.news) == ("", ())


def test_volumes_that_are_not_detached_yet_are_waited_for() -> None:
    """That is told, and is no warning."""
    found = saved(draining(Plan(volumes="volume v is attached")))
    assert found.status.blocker == "volume v is attached"
    assert [(news.what, news.severity) for news in found.news] == [(What.VOLUMES_ATTACHED, Severity.NORMAL)]


@pytest.mark.parametrize(
    ("spec", "plan", "makes"),
    [
        (ROOMY, Plan(blockers=(BARE,), homeless=(WEB,)), True),
        (ROOMY, Plan(blockers=(BARE, BARE), homeless=(WEB,)), False),
        ({"hold": Hold(power="off")}, Plan(blockers=(BARE,), homeless=(WEB,)), False),
        ({"hold": Hold(power="off", make_room=True, until=at(31))}, Plan(blockers=(BARE,), homeless=(WEB,)), True),
        ({"hold": Hold(power="off", make_room=True, until=at(30))}, Plan(blockers=(BARE,), homeless=(WEB,)), False),
        ({}, Plan(blockers=(BARE,), homeless=(WEB,)), False),
    ],
)
def test_another_machine_is_woken_only_where_that_is_asked_for_and_helps(spec: Any, plan: Plan, makes: bool) -> None:
    """A person said makeRoom, and nothing but the lack of room keeps the pods."""
    assert (draining(plan, spec=spec) == MakeRoom()) is makes


def test_what_comes_of_making_room_is_told_with_the_blocker() -> None:
    """The machine that comes stands beside the pods that wait for it."""
    found = draining(Plan(blockers=(BARE,), homeless=(WEB,)), spec=ROOMY, read=looked(room="b is woken to make room"))
    assert saved(found).status.blocker == "apps/db: no controller; b is woken to make room"


# --- welcome -------------------------------------------------------------------------------------------------

UP = kube_node("m1", uid="u1", ready=True)
SHUT = {"last_shutdown_time": at(-900)}


def welcoming(known: dict[str, Any] | None = None, *, kube: KubeNode | None = UP, read: Read = NOTHING_READ) -> Any:
    """What is done for a machine that came up."""
    node = standing(Phase.READY, **(known or {}))
    return welcome(view(node, kube=kube), observed(30, read=read), facts(30, node_ready=True), None)


def test_the_node_of_a_machine_that_came_up_is_welcomed_once() -> None:
    """By the moment at which it was Ready; one that is not there, not Ready, or welcomed already, is left."""
    assert welcoming() == Welcome(T0)
    assert welcoming({"since": None}) == Welcome(at(30))
    assert welcoming(kube=None) is None
    assert welcoming(kube=kube_node("m1", ready=False)) is None
    assert welcoming({"welcomed": True}) is None
    another = Identity(kubernetes_node_uid="u0")
    assert welcoming({"welcomed": True, "identity": another}) == Welcome(T0)
    assert saved(welcoming(read=looked(welcomed="u1"))).status.welcomed


def test_what_the_last_power_off_left_is_removed_once() -> None:
    """Nothing is looked for where hexa never switched it off; what is removed, and what stays, is told."""
    assert welcoming(SHUT, read=looked(welcomed="u1")) == Sweep(at(-900))
    quiet = saved(welcoming(SHUT, read=looked(welcomed="u1", swept=Swept(0))))
    assert (quiet.status.welcomed, quiet.news) == (True, ())
    found = saved(welcoming(SHUT, read=looked(welcomed="u1", swept=Swept(2, kept="apps/web is protected"))))
    assert [(news.what, news.severity) for news in found.news] == [
        (What.PODS_SWEPT, Severity.NORMAL),
        (What.PODS_NOT_SWEPT, Severity.WARNING),
    ]
    assert "2 pods" in found.news[0].why
    assert "apps/web is protected" in found.news[1].why


# --- leave ---------------------------------------------------------------------------------------------------

SUSPENDED = Condition(type="Suspended", status="True", reason="PoweredOff")
SHAPE = Shape(capacity={"cpu": "4"}, at=at(-100))
LEFT: dict[str, Any] = {"attempt": 2, "job": done(SHUTDOWN), "template": SHAPE}


def gone(*, cordoned: bool = True, annotations: dict[str, str] | None = None) -> KubeNode:
    """The node of a machine that is off."""
    spec = KubeNodeSpec(unschedulable=cordoned)
    of = {"spec": spec, "status": KubeNodeStatus(conditions=(SUSPENDED,)), "annotations": annotations or {}}
    return kube_node("m1", **of)


def leaving(known: dict[str, Any] | None = None, *, now: float = 900, held: bool = True, **more: Any) -> Any:
    """What is done about the node of a machine that is off, and was not heard since."""
    node = standing(Phase.OFF, **{**LEFT, **(known or {})})
    if held:
        node = structs.replace(node, metadata=structs.replace(node.metadata, finalizers=(OFF_FINALIZER,)))
    read, of = more.pop("read", looked()), more.pop("facts", {})
    machine = {"kube": gone(), "group": rack(), **more}
    return leave(view(node, **machine), observed(now, read=read), facts(now, wish=OFF, heard=0, **of), None)


def deleted(decision: Any) -> bool:
    """Whether the node is deleted."""
    return isinstance(decision, OnNode) and decision.touch is Touch.DELETE


def test_the_node_of_a_machine_that_is_off_leaves_step_by_step() -> None:
    """First the finalizer, so that what the node had is not lost; then it is marked, then deleted, each once."""
    node = standing(Phase.OFF, **LEFT)
    assert leaving(held=False) == Edit(hold_back(node))
    assert leaving(held=False, read=looked(done=frozenset({"Edit"}))) is None
    for unmarked in (gone(cordoned=False), structs.replace(gone(), status=KubeNodeStatus())):
        assert leaving(kube=unmarked) == OnNode(Touch.SUSPEND)
        assert deleted(leaving(kube=unmarked, read=looked(done=frozenset({Touch.SUSPEND}))))
    found = leaving()
    assert deleted(found)
    assert [(news.what, "m1" in news.why) for news in found.news] == [(What.NODE_LEFT, True)]
    assert leaving(read=looked(done=frozenset({Touch.DELETE}))) is None


def planned(status: str = "True", type_: str = "MaintenancePlanned") -> KubeNode:
    """The same, and somebody says that maintenance of it is planned."""
    said = Condition(type=type_, status=status, reason="AdminRequested")
    return structs.replace(gone(), status=KubeNodeStatus(conditions=(SUSPENDED, said)))


@pytest.mark.parametrize(
    "more",
    [
        {"kube": None},
        {"facts": {"watching_since": None}},
        {"group": rack(leave=LeavePolicy.KEEP)},
        {"control_plane": True},
        {"kube": planned()},
        {"kube": planned("Unknown", "MaintenanceInProgress")},
        {"now": 79},
        {"known": {"job": None}},
        {"known": {"job": structs.replace(SHUTDOWN, outcome="failed")}},
    ],
    ids=lambda more: next(iter(more)),
)
def test_a_node_stays_while_its_machine_may_come_back_to_it(more: dict[str, Any]) -> None:
    """Not before two lease periods of silence after our own shutdown Job, never blind, never a control-plane member, and not while
    it says that maintenance is planned, or may be in progress: that word would go with it."""
    assert leaving(**more) is None


def test_a_node_whose_maintenance_was_called_off_leaves() -> None:
    """Once the condition is False."""
    assert deleted(leaving(kube=planned("False")))
    assert deleted(leaving(kube=planned("False", "MaintenanceInProgress")))


def test_a_blind_agent_does_not_even_mark_a_node() -> None:
    """What it saw last may be over."""
    assert leaving(held=False, facts={"watching_since": None}) is None


def test_what_the_node_had_is_stored_before_it_goes() -> None:
    """Of a machine that was never seen Ready; and a cordon that its owner took off before ours came is not given back."""
    found = saved(leaving({"template": None}))
    assert found.status.template is not None
    assert found.status.template.at == at(900)
    closed = {"template": structs.replace(SHAPE, unschedulable=True)}
    ours = gone(annotations={CORDON_ANNOTATION: "yes"})
    opened = saved(leaving(closed, kube=ours)).status.template
    assert opened is not None
    assert not opened.unschedulable
    assert deleted(leaving(closed))
    assert deleted(leaving(kube=ours))


def test_a_node_waits_for_the_second_proof_that_frees_what_is_stuck() -> None:
    """A reading Off alone lets the node go, and no pod: silence comes first, where the group asks for the taint."""
    reads = {"now": 60, "facts": {"reading": (Reading.OFF, 59)}, "read": looked(stuck=("apps/web",))}
    assert leaving(group=rack(out_of_service=True), **reads) == BLOCKED_LOOK
    assert leaving(group=rack(out_of_service=True), **{**reads, "now": 78}) == 2 * SECOND
    assert deleted(leaving(**reads))


def test_a_node_waits_for_what_is_stuck_on_it() -> None:
    """While the out-of-service taint lets go of pods and volumes, for at most its time; looked at each five seconds."""
    group = rack(out_of_service=True)
    kube = gone(annotations={OUT_OF_SERVICE_ANNOTATION: at(850).isoformat()})
    stuck = looked(stuck=("apps/web",))
    assert leaving(kube=kube, group=group, read=stuck) == BLOCKED_LOOK
    assert leaving(kube=kube, group=group, read=stuck, now=938) == 2 * SECOND
    assert deleted(leaving(kube=kube, group=group, read=stuck, now=940))
    assert deleted(leaving(kube=kube, group=group, read=looked(stuck=())))
    assert deleted(leaving(kube=kube))
