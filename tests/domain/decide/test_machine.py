"""The one decision about a machine: which of the things that may be to do comes first, and what is read before."""

from datetime import timedelta
from typing import Any

import pytest
from msgspec import structs
from tests.domain.builders import (
    OFF,
    ON,
    T0,
    at,
    kube_node,
    machine,
    observed,
    rack,
    read,
    settled,
    standing,
    view,
    wanting,
    wish,
)

from hexa.domain.decide.decision import Edit, EndJobs, Look, Looked, OnNode, Rest, Save, Start, Touch, Want
from hexa.domain.decide.machine import decide, likely, looks_at_pods
from hexa.domain.decide.observed import Observed, OrderSeen, Read
from hexa.domain.machine.lifecycle import Phase
from hexa.domain.machine.marks import let_go
from hexa.domain.machine.power_job import Action
from hexa.domain.machine.wish import recorded_wish
from hexa.domain.machine_view import MachineView
from hexa.domain.names import MACHINE_ANNOTATION, OFF_FINALIZER, RELEASED_ANNOTATION
from hexa.domain.news import What
from hexa.domain.pods.drain import Plan
from hexa.domain.policy.problem import Problem
from hexa.domain.resources.boot import FirstWake
from hexa.domain.resources.core import KubeNodeSpec
from hexa.domain.resources.identity import Identity
from hexa.domain.resources.v1alpha1 import Asker, HistoryEntry, JobRecord, Lookup, Node, Paused, Reading, Shape

SHUTDOWN = JobRecord(name="off-2", action="shutdown", attempt=2)
DONE = structs.replace(SHUTDOWN, outcome="done")
BROKEN = (Problem("spec", "broken", "mend it", reason="Broken"),)
CLOSED = KubeNodeSpec(unschedulable=True)


def looked(**known: Any) -> Read:
    """What was read and done; no Kubernetes node is unclaimed."""
    return Read(**{"unclaimed": (), **known})


def released(node: Node, *finalizers: str) -> Node:
    """The machine after `hexa release`."""
    metadata = structs.replace(node.metadata, annotations={RELEASED_ANNOTATION: "yes"}, finalizers=finalizers)
    return structs.replace(node, metadata=metadata)


# --- the first thing first -----------------------------------------------------------------------------------


def test_the_first_thing_first() -> None:
    """Giving up, times that cannot be, wishes, identity, results of Jobs, and only then what the phase demands: each is stored
    before the next is looked at."""
    identity = Identity(uid="u", kubernetes_node="m1", group="shelf", power="1:other")
    node = standing(Phase.POWERING_OFF, spec={"power_state": "off"}, attempt=2, job=SHUTDOWN, identity=identity)
    node = structs.replace(node, metadata=structs.replace(node.metadata, uid="u"))
    node = structs.replace(node, status=structs.replace(node.status, since=at(900)))
    seen = observed(30, jobs=frozenset({"off-2"}), job_over=True, read=looked(job=DONE))
    of = view(released(node))
    assert decide(of, seen) == EndJobs()

    of = view(node)
    clamped = decide(of, seen)
    assert isinstance(clamped, Save)
    assert (clamped.status.since, clamped.status.job, clamped.status.identity.group) == (at(30), SHUTDOWN, "shelf")

    node = structs.replace(node, status=clamped.status)
    want = decide(view(node), seen)
    assert isinstance(want, Want)
    assert want.wish.power is OFF

    node = wanting(node, want.wish)
    seen = structs.replace(seen, recorded=recorded_wish(node))
    moved = decide(view(node), seen)
    assert isinstance(moved, Save)
    assert [news.what for news in moved.news] == [What.GROUP_CHANGED]
    assert moved.status.job == SHUTDOWN

    node = structs.replace(node, status=moved.status)
    result = decide(view(node), seen)
    assert isinstance(result, Save)
    assert result.status.job == DONE

    node = structs.replace(node, status=result.status)
    proven = decide(view(node), structs.replace(seen, now=at(60)))
    assert isinstance(proven, Save)
    assert [news.what for news in proven.news] == [What.POWER_CHANGED]  # the old address's Job has ended


def test_a_machine_of_which_nothing_is_to_be_said_rests() -> None:
    """Until time alone could change something."""
    seen = observed(30, reading=None)
    node = wanting(standing(Phase.OFF), wish(OFF))
    seen = structs.replace(seen, recorded=recorded_wish(node))
    assert decide(settled(view(node), seen), seen) == Rest()


# --- machines that are given up ------------------------------------------------------------------------------

HELD = released(standing(Phase.OFF, template=Shape(labels={"disk": "fast"})), OFF_FINALIZER)
MINE = kube_node("m1", annotations={MACHINE_ANNOTATION: "site/m1"})


@pytest.mark.parametrize(
    ("of", "seen", "found"),
    [
        (view(released(machine())), {"jobs": frozenset({"on-1"})}, EndJobs()),
        (view(released(machine())), {"jobs": frozenset({"on-1"}), "read": Read(done=frozenset({"EndJobs"}))}, Rest()),
        (view(released(machine())), {}, Rest()),
        (view(HELD, kube=MINE), {}, Rest(at(31))),
        (view(HELD), {"read": Read(done=frozenset({"Edit"}))}, Rest()),
    ],
    ids=["jobs end first", "once", "nothing is held", "marks come off first", "let go once"],
)
def test_a_machine_that_is_given_up_is_switched_no_more(of: MachineView, seen: Any, found: Any) -> None:
    """Its Jobs end, and whatever it is, its power stays."""
    assert decide(of, observed(30, **seen)) == found


@pytest.mark.parametrize("kube", [None, kube_node("m1"), kube_node("m1", annotations={MACHINE_ANNOTATION: "site/m2"})])
def test_the_finalizer_goes_once_the_node_is_clean(kube: Any) -> None:
    """What the node had is told then, for whoever boots the machine by hand; nothing is told where it had nothing."""
    found = decide(view(HELD, kube=kube), observed(30))
    assert isinstance(found, Edit)
    assert found.body == let_go(HELD.metadata)
    assert [(news.what, "disk=fast" in news.why) for news in found.news] == [(What.HANDED_BACK, True)]
    plain = structs.replace(HELD, status=structs.replace(HELD.status, template=None))
    assert decide(view(plain, kube=kube), observed(30)) == Edit(let_go(HELD.metadata))


# --- results of Jobs -----------------------------------------------------------------------------------------

RUNS = structs.replace(SHUTDOWN, message="the image cannot be pulled")


def resulting(now: float, *, phase: Phase = Phase.POWERING_OFF, job: JobRecord = SHUTDOWN, **seen: Any) -> Any:
    """The Job that is stored next for a machine that is wanted off; None: none is."""
    node = wanting(standing(phase, attempt=2, job=job), wish(OFF))
    known = observed(now, recorded=recorded_wish(node), **{"read": looked(job=DONE), **seen})
    found = decide(settled(view(node), known), known)
    return found.status.job if isinstance(found, Save) and found.status.job != job else None


@pytest.mark.parametrize(
    ("now", "seen", "found"),
    [
        (1, {"job_over": True}, DONE),
        (1, {}, None),
        (4.999, {}, None),
        (5, {}, DONE),
        (1, {"job_over": True, "read": looked(job=None)}, None),
        (5, {"read": looked(job=SHUTDOWN)}, None),
        (5, {"read": looked(job=RUNS)}, RUNS),
    ],
)
def test_a_job_is_looked_at_when_it_is_over_and_now_and_then(now: float, seen: Any, found: Any) -> None:
    """Its result is stored at once; what its pod waits for is stored from the fifth second on; what is known already is not."""
    assert resulting(now, **seen) == found


def test_the_look_at_a_wakes_job_counts_from_the_wake() -> None:
    """A wake that was sent again has a Job of its own age."""
    job = structs.replace(SHUTDOWN, action="startup")
    known = {"attempt": 2, "job": job, "wakes": 2, "first_wake": FirstWake(at=T0)}
    for woken, stored in ((26, False), (25, True)):
        node = wanting(standing(Phase.POWERING_ON, woken_at=at(woken), **known), wish(ON))
        seen = observed(30, recorded=recorded_wish(node), read=looked(job=structs.replace(job, outcome="done")))
        found = decide(settled(view(node), seen), seen)
        assert (isinstance(found, Save) and found.status.job != job) is stored


@pytest.mark.parametrize(("phase", "job"), [(Phase.READY, SHUTDOWN), (Phase.POWERING_OFF, DONE)])
def test_no_result_is_awaited_of_a_job_that_is_over_or_unwanted(phase: Phase, job: JobRecord) -> None:
    """What is taken back proves nothing, and what is stored is stored."""
    assert resulting(30, phase=phase, job=job, job_over=True, read=looked(job=RUNS)) in (None, job)


# --- pods ----------------------------------------------------------------------------------------------------


def drained(phase: Phase, power: Any, **known: Any) -> MachineView:
    """A machine that a person wants so."""
    spec = known.pop("spec", {})
    kube = known.pop("kube", kube_node("m1", ready=True))
    return view(wanting(standing(phase, spec=spec, attempt=2, **known), wish(power)), kube=kube)


@pytest.mark.parametrize(
    ("of", "looks"),
    [
        (drained(Phase.DRAINING, OFF), True),
        (drained(Phase.DRAINING, ON), False),
        (drained(Phase.LOST, OFF), True),
        (drained(Phase.LOST, ON), False),
        (drained(Phase.POWERING_OFF, OFF), True),
        (drained(Phase.POWERING_OFF, ON), True),
        (drained(Phase.POWERING_OFF, OFF, job=SHUTDOWN), False),
        (drained(Phase.READY, OFF), False),
        (drained(Phase.STOP_FAILED, OFF), False),
        (drained(Phase.OFF, OFF), False),
        (drained(Phase.DRAINING, OFF, spec={"paused": Paused()}), False),
        (structs.replace(drained(Phase.DRAINING, OFF), problems=BROKEN), False),
    ],
)
def test_pods_are_read_where_the_power_may_be_cut_next(of: MachineView, looks: bool) -> None:
    """Never of a machine that is only watched, nor while the agent is blind."""
    assert looks_at_pods(of, observed(30)) is looks
    assert not looks_at_pods(of, observed(30, seeing_since=None))


def seen_of(of: MachineView, **known: Any) -> Observed:
    """What is known of the machine, its wish among it."""
    return observed(30, recorded=recorded_wish(of.node), **known)


def test_no_pod_may_come_before_the_pods_are_counted() -> None:
    """A node that is open is cordoned first; where somebody has cordoned it, or it is gone, the pods are read at once."""
    of = drained(Phase.DRAINING, OFF)
    assert decide(of, seen_of(of)) == OnNode(Touch.CORDON)
    assert decide(of, seen_of(of, read=Read(done=frozenset({Touch.CORDON})))) == Look(Looked.PLAN)
    closed = drained(Phase.DRAINING, OFF, kube=kube_node("m1", ready=True, spec=CLOSED))
    assert decide(closed, seen_of(closed)) == Look(Looked.PLAN)
    gone = drained(Phase.DRAINING, OFF, kube=None)
    assert decide(gone, seen_of(gone, read=looked())) == Look(Looked.PLAN)
    serving = drained(Phase.READY, ON)
    assert not isinstance(decide(serving, seen_of(serving)), OnNode)


def test_nodes_that_may_be_the_machines_are_read_before_its_pods() -> None:
    """Pods that run there count as its own."""
    of = drained(Phase.DRAINING, OFF, kube=kube_node("m1", ready=False, spec=CLOSED))
    assert decide(of, seen_of(of)) == Look(Looked.UNCLAIMED)
    assert decide(of, seen_of(of, read=looked())) == Look(Looked.PLAN)


def test_an_empty_machine_goes_off_and_a_full_one_does_not() -> None:
    """The step to PoweringOff needs pods that were read and are gone; its Job is made in the next decision."""
    of = drained(Phase.DRAINING, OFF, kube=kube_node("m1", ready=True, spec=CLOSED))
    found = decide(of, seen_of(of, read=looked(plan=Plan())))
    assert isinstance(found, Save)
    assert found.status.phase == "PoweringOff"
    stopping = drained(Phase.POWERING_OFF, OFF, kube=kube_node("m1", ready=True, spec=CLOSED))
    able = looked(plan=Plan(), order=OrderSeen(able=True))
    assert decide(stopping, seen_of(stopping, read=able)) == Start(Action.SHUTDOWN)
    full = decide(of, seen_of(of, read=looked(plan=Plan(volumes="one is attached"))))
    assert isinstance(full, Save)
    assert full.status.phase == "Draining"


# --- what is read beforehand ---------------------------------------------------------------------------------

CAME = (HistoryEntry(at=T0, action="PoweringOn"),)
UP = kube_node("m1", ready=True)


@pytest.mark.parametrize(
    ("of", "asks"),
    [
        (view(standing(Phase.BOOTING, history=CAME)), True),
        (view(standing(Phase.BOOTING, history=CAME), kube=UP), False),
        (view(standing(Phase.BOOTING)), False),
        (view(standing(Phase.OFF)), False),
        (view(standing(Phase.LOST)), True),
        (view(standing(Phase.DRAINING), kube=UP), False),
        (view(standing(Phase.STOP_FAILED), kube=kube_node("m1", ready=False)), True),
        (view(standing(Phase.READY), kube=kube_node("m1", ready=False)), False),
    ],
)
def test_nodes_that_nobody_claims_are_read_beforehand_where_one_may_be_the_machines(
    of: MachineView, asks: bool
) -> None:
    """While it is awaited, and while it may go off with a silent kubelet."""
    assert likely(of) == ((Looked.UNCLAIMED,) if asks else ())


# --- corrections come before the event -----------------------------------------------------------------------


def test_a_wish_is_corrected_before_the_event_is_acted_on() -> None:
    """Somebody switched the machine on: what that means is stored before the machine is Booting."""
    of = view(wanting(standing(Phase.OFF), wish(OFF, Asker.USER)), group=rack())
    reading = structs.replace(observed(30), recorded=recorded_wish(of.node))
    seen = structs.replace(reading, reading=read(Reading.ON, 29))
    found = decide(settled(of, seen), seen)
    assert isinstance(found, Want)
    assert found.lock == Lookup("site", "rack")
    assert found.wish.until == at(30) + timedelta(hours=1)
