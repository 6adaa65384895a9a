"""A machine that stays in its phase: what is booked, taken back, undone and tidied up, and in which order."""

from datetime import timedelta
from typing import Any

import pytest
from msgspec import structs
from tests.domain.builders import (
    OFF,
    ON,
    T0,
    at,
    facts,
    kube_node,
    observed,
    rack,
    settled,
    standing,
    view,
)

from hexa.domain.decide.decision import Decision, Edit, EndJobs, OnNode, Rest, Save, Start, Touch, Welcome
from hexa.domain.decide.dwell import dwell
from hexa.domain.decide.observed import OrderSeen, Read
from hexa.domain.machine.lifecycle import Phase
from hexa.domain.machine.marks import let_go
from hexa.domain.machine.power_job import Action
from hexa.domain.machine_view import MachineView
from hexa.domain.names import (
    CORDON_ANNOTATION,
    GROUP_LABEL,
    OFF_FINALIZER,
    OUT_OF_SERVICE_ANNOTATION,
    OUT_OF_SERVICE_TAINT,
)
from hexa.domain.news import Severity, What
from hexa.domain.pods.drain import Plan
from hexa.domain.policy.problem import Problem
from hexa.domain.resources.core import Condition, KubeNode, KubeNodeSpec, KubeNodeStatus, Taint
from hexa.domain.resources.health import CheckOutcome, CheckRecord
from hexa.domain.resources.v1alpha1 import JobRecord, Paused, Reading, Shape

STARTUP = JobRecord(name="on-2", action="startup", attempt=2)
SHUTDOWN = JobRecord(name="off-2", action="shutdown", attempt=2)
BROKEN = (Problem("spec", "broken", "mend it", reason="Broken"),)
PAUSED = {"paused": Paused()}


def looked(*done: str, **known: Any) -> Read:
    """What was done and read; no Kubernetes node is unclaimed."""
    return Read(done=frozenset(done), **{"unclaimed": (), **known})


def dwelling(of: MachineView, now: float = 30, *, plan: Plan | None = None, **more: Any) -> Decision:
    """What is done for a machine whose status is stored with all that follows from it."""
    known = {key: more.pop(key) for key in ("read", "jobs", "born") if key in more}
    seen = observed(now, **{"read": looked(), **known})
    return dwell(settled(of, seen), seen, facts(now, **more), plan=plan)


def saved(decision: Decision) -> Save:
    """The decision, which is to store a status."""
    assert isinstance(decision, Save)
    return decision


def told(decision: Any) -> list[tuple[str, Severity]]:
    """What is told with it."""
    return [(news.what, news.severity) for news in decision.news]


# --- pauses --------------------------------------------------------------------------------------------------


def test_deadlines_stand_still_while_a_machine_is_paused() -> None:
    """The pause is noted when it begins, and its seconds when it ends; a part that lies before the phase does not count."""
    begun = saved(dwelling(view(standing(Phase.BOOTING)), paused=True))
    assert (begun.status.paused_since, begun.status.stood_still) == (at(30), 0.0)
    for began, still in ((10, 25.0), (-100, 35.0)):
        of = view(standing(Phase.BOOTING, paused_since=at(began), stood_still=5.0))
        over = saved(dwelling(of))
        assert (over.status.paused_since, over.status.stood_still) == (None, still)
    unknown = view(standing(Phase.BOOTING, paused_since=at(10), since=None))
    assert saved(dwelling(unknown)).status.stood_still == 20.0
    ahead = view(standing(Phase.BOOTING, paused_since=at(50)))
    assert saved(dwelling(ahead)).status.stood_still == 0.0


def test_time_that_the_clock_skipped_is_no_part_of_a_pause() -> None:
    """The clock is set forward while a machine is paused: its deadlines stand still for as long as the pause really was."""
    of = view(standing(Phase.BOOTING, paused_since=at(10)))
    leaps = ((at(-60), at(12)), (at(15), at(25)))
    assert saved(dwelling(of, skipped=leaps)).status.stood_still == 8.0


def test_a_pause_that_is_noted_goes_on() -> None:
    """Nothing is written again, and nothing is done meanwhile."""
    of = view(standing(Phase.POWERING_ON, paused_since=at(10), attempt=2, wakes=1, woken_at=T0))
    assert isinstance(dwelling(of, paused=True, read=looked(order=OrderSeen(able=True))), Rest)


# --- the node of a machine that is dead ------------------------------------------------------------------------

OUT: dict[str, str] = {OUT_OF_SERVICE_ANNOTATION: at(0).isoformat()}
TAINTED = kube_node("m1", annotations=OUT, spec=KubeNodeSpec(taints=(Taint(key=OUT_OF_SERVICE_TAINT),)))
DEAD = {"heard": 0, "reading": (Reading.OFF, 290)}
STUCK = looked(stuck=("apps/a", "apps/b"))


def failed(kube: KubeNode | None, **more: Any) -> MachineView:
    """A machine that failed to start, in a group that lets go of what is stuck on such a one."""
    return view(standing(Phase.START_FAILED), **{"group": rack(out_of_service=True), "kube": kube, **more})


def test_what_is_stuck_on_a_dead_machine_is_let_go_of() -> None:
    """By two proofs that it is off, which are told together with the pods; once, and only where something is stuck."""
    found = dwelling(failed(kube_node("m1")), 300, read=STUCK, **DEAD)
    assert isinstance(found, OnNode)
    assert (found.touch, told(found)) == (Touch.TAINT, [(What.OUT_OF_SERVICE, Severity.WARNING)])
    assert found.news[0].why == "it is off, by reading Off and silence: Kubernetes lets go of apps/a, apps/b"
    for read in (looked(stuck=()), looked(Touch.TAINT, stuck=("apps/a",))):
        assert not isinstance(dwelling(failed(kube_node("m1")), 300, read=read, **DEAD), OnNode)


@pytest.mark.parametrize(
    ("of", "more"),
    [
        (failed(kube_node("m1"), group=rack()), {}),
        (failed(kube_node("m1"), control_plane=True), {}),
        (failed(kube_node("m1")), {"reading": None}),
        (failed(kube_node("m1")), {"heard": 250}),
        (failed(kube_node("m1")), {"watching_since": None}),
        (failed(TAINTED), {}),
        (failed(None), {}),
    ],
    ids=["not asked for", "control plane", "no reading", "heard", "blind", "done", "no node"],
)
def test_no_pod_is_let_go_of_without_two_proofs(of: MachineView, more: Any) -> None:
    """Nor of a machine whose group does not ask for it: two systems would write to one volume."""
    assert not isinstance(dwelling(of, 300, read=STUCK, **{**DEAD, **more}), OnNode)


def test_a_node_is_in_service_again_before_its_machine_is_woken() -> None:
    """A kubelet that starts with the taint would lose its network's pods; the taint goes before the wake's Job is made."""
    waking = view(standing(Phase.POWERING_ON, attempt=2, wakes=1, woken_at=T0), kube=TAINTED, group=rack())
    read = looked(order=OrderSeen(able=True))
    found = dwelling(waking, wish=ON, read=read)
    assert isinstance(found, OnNode)
    assert (found.touch, told(found)) == (Touch.CLEAR, [(What.IN_SERVICE, Severity.NORMAL)])
    after = looked(Touch.CLEAR, order=OrderSeen(able=True))
    assert dwelling(waking, wish=ON, read=after) == Start(Action.STARTUP)
    assert not isinstance(dwelling(failed(TAINTED), 300, read=STUCK, **DEAD), OnNode)
    given_up = dwelling(failed(TAINTED, group=rack()), 300, read=STUCK, **DEAD)
    assert isinstance(given_up, OnNode)


# --- a machine that failed, and works again ---------------------------------------------------------------------


def test_a_machine_that_is_seen_to_work_is_tried_sooner() -> None:
    """Its health check passes since: the cool-off ends earlier, and that is told; not while it is only watched."""
    works = CheckRecord(name="c", outcome=CheckOutcome.PASSED, since=at(20))
    of = view(standing(Phase.START_FAILED, failures=3, cool_until=at(240), check=works))
    found = dwell(of, observed(30, read=looked()), facts(30), plan=None)
    assert saved(found).status.cool_until is not None
    assert at(30) <= (saved(found).status.cool_until or at(0)) < at(240)
    assert told(found) == [(What.WORKS_AGAIN, Severity.NORMAL)]
    assert "health check passes" in saved(found).news[0].why
    watched = structs.replace(
        of, node=structs.replace(of.node, status=structs.replace(of.node.status, paused_since=T0))
    )
    kept = dwell(watched, observed(30, read=looked()), facts(30, paused=True), plan=None)
    assert not isinstance(kept, Save) or kept.status.cool_until == at(240)


# --- Jobs ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("job", [SHUTDOWN, structs.replace(SHUTDOWN, message="the image cannot be pulled")])
def test_a_shutdown_job_that_came_late_is_taken_back_before_anything_else(job: JobRecord) -> None:
    """The machine serves again: its Job ends, and only when it is gone is the machine welcomed."""
    of = view(standing(Phase.READY, attempt=2, job=job), kube=kube_node("m1", uid="u1", ready=True))
    jobs = frozenset({"off-2"})
    assert dwelling(of, jobs=jobs, node_ready=True) == EndJobs()
    waits = dwelling(of, jobs=jobs, read=looked("EndJobs"), node_ready=True)
    assert waits == Rest(at(31))
    for read, left in ((looked("EndJobs", ended=True), jobs), (looked(), frozenset())):
        gone = dwelling(of, jobs=left, read=read, node_ready=True)
        assert saved(gone).status.job is None
        assert told(gone) == [(What.JOB_TAKEN_BACK, Severity.NORMAL)]
    over = structs.replace(of, node=structs.replace(of.node, status=structs.replace(of.node.status, job=None)))
    assert isinstance(dwelling(over, node_ready=True), Welcome)


DONE = structs.replace(SHUTDOWN, outcome="done")


@pytest.mark.parametrize(
    ("phase", "job", "jobs", "found"),
    [
        (Phase.READY, DONE, {"off-2"}, EndJobs()),
        (Phase.READY, None, {"off-1", "off-2"}, EndJobs()),
        (Phase.READY, None, (), None),
        (Phase.POWERING_OFF, SHUTDOWN, {"off-2", "off-1"}, EndJobs("off-2")),
        (Phase.POWERING_OFF, SHUTDOWN, {"off-2"}, None),
        (Phase.POWERING_OFF, DONE, {"off-2"}, EndJobs()),
        (Phase.POWERING_OFF, None, {"off-1"}, None),
        (Phase.BOOTING, None, {"on-1"}, None),
        (Phase.POWERING_ON, None, {"on-1"}, None),
        (Phase.LOST, None, {"on-1"}, EndJobs()),
    ],
)
def test_jobs_whose_result_is_stored_are_removed(phase: Phase, job: Any, jobs: Any, found: Any) -> None:
    """All but the one that runs; where a Job is about to be made, its duty looks after the others."""
    of = view(standing(phase, attempt=2, job=job, welcomed=True))
    decision = dwelling(of, jobs=frozenset(jobs))
    assert (decision if isinstance(decision, EndJobs) else None) == found
    assert not isinstance(dwelling(of, jobs=frozenset(jobs), read=looked("EndJobs", ended=True)), EndJobs)


def test_jobs_of_a_machine_that_is_only_watched_stay() -> None:
    """A person who pauses a machine may look at them."""
    of = view(standing(Phase.READY, welcomed=True, paused_since=T0))
    assert not isinstance(dwelling(of, jobs=frozenset({"off-1"}), paused=True), EndJobs)


# --- what a machine that is only watched gets ------------------------------------------------------------------

CORDONED = kube_node(
    "m1",
    uid="u1",
    annotations={CORDON_ANNOTATION: "yes"},
    labels={GROUP_LABEL: "rack"},
    spec=KubeNodeSpec(unschedulable=True),
)
UP = structs.replace(CORDONED, status=KubeNodeStatus(conditions=(Condition(type="Ready", status="True"),)))


def watched(phase: Phase, *, kube: KubeNode | None = UP, spec: Any = None, **known: Any) -> MachineView:
    """A machine that nobody decides about any more, because it makes no sense."""
    of = {"paused_since": T0, "welcomed": True, **known}
    return view(standing(phase, spec=spec, **of), kube=kube, problems=BROKEN)


def test_a_machine_that_came_up_while_it_is_only_watched_is_opened() -> None:
    """What hexa did to its node is undone and what it had is given back; a person's pause leaves all as it is."""
    for of in (
        watched(Phase.READY),
        watched(Phase.READY, spec={"paused": Paused(until=at(30))}),
        watched(Phase.READY, kube=kube_node("m1", uid="u1", ready=True), welcomed=False, template=Shape()),
    ):
        assert isinstance(dwelling(of, paused=True, node_ready=True), Welcome)
    plain = kube_node("m1", uid="u1", ready=True)
    for of in (
        watched(Phase.READY, spec=PAUSED),
        watched(Phase.READY, spec={"paused": Paused(until=at(31))}),
        watched(Phase.READY, kube=plain, welcomed=False),
        watched(Phase.READY, kube=plain, template=Shape()),
        watched(Phase.READY, kube=None),
        watched(Phase.DRAINING),
    ):
        assert not isinstance(dwelling(of, paused=True, node_ready=True), Welcome)


@pytest.mark.parametrize(
    ("of", "heard", "found"),
    [
        (watched(Phase.STOP_FAILED), 890, Touch.UNMARK),
        (structs.replace(watched(Phase.STOP_FAILED), group=rack()), 890, Touch.UNCORDON),
        (watched(Phase.POWERING_OFF), 890, Touch.UNMARK),
        (watched(Phase.POWERING_OFF), 299, None),
        (watched(Phase.STOP_FAILED), 0, None),
        (watched(Phase.STOP_FAILED), None, None),
        (watched(Phase.DRAINING), 890, None),
        (watched(Phase.STOP_FAILED, kube=kube_node("m1")), 890, None),
        (watched(Phase.STOP_FAILED, kube=None), 890, None),
        (watched(Phase.STOP_FAILED, spec=PAUSED), 890, None),
        (watched(Phase.STOP_FAILED, spec={"paused": Paused(until=at(901))}), 890, None),
        (watched(Phase.STOP_FAILED, spec={"paused": Paused(until=at(900))}), 890, Touch.UNMARK),
        (watched(Phase.STOP_FAILED, since=None), 890, None),
        (structs.replace(watched(Phase.STOP_FAILED), problems=()), 890, None),
    ],
)
def test_a_power_off_that_failed_is_undone_where_nobody_tries_again(of: MachineView, heard: Any, found: Any) -> None:
    """Its kubelet is heard after the limit of the power-off: it serves, so its node is opened and, without a group, cleaned."""
    decision = dwelling(of, 900, paused=True, heard=heard, until=930 if heard else None)
    assert (decision.touch if isinstance(decision, OnNode) else None) == found


def test_undone_once() -> None:
    """What was carried out is not asked for again; the cordon goes after the marks."""
    of = watched(Phase.STOP_FAILED)
    more = {"paused": True, "heard": 890, "until": 930}
    assert dwelling(of, 900, read=looked(Touch.UNMARK), **more) == OnNode(Touch.UNCORDON)
    assert isinstance(dwelling(of, 900, read=looked(Touch.UNMARK, Touch.UNCORDON), **more), Rest)
    late = {**more, "until": 900}
    assert isinstance(dwelling(of, 900, **late), Rest)


# --- finalizers and shapes ---------------------------------------------------------------------------------------


def test_the_finalizer_goes_with_the_phase_off() -> None:
    """A machine that is on loses nothing when its Node resource is deleted."""
    node = standing(Phase.BOOTING, wakes=1, attempt=2, job=STARTUP)
    held = structs.replace(node, metadata=structs.replace(node.metadata, finalizers=(OFF_FINALIZER,)))
    assert dwelling(view(held), wish=ON) == Edit(let_go(held.metadata))
    assert not isinstance(dwelling(view(held), wish=ON, read=looked("Edit")), Edit)
    off = standing(Phase.OFF)
    held = structs.replace(off, metadata=structs.replace(off.metadata, finalizers=(OFF_FINALIZER,)))
    assert not isinstance(dwelling(view(held), wish=OFF), Edit)


def test_what_is_new_of_a_serving_node_is_stored_last() -> None:
    """Its shape as it is now; where the API server kept nothing of a write, it is not written again."""
    node = kube_node("m1", uid="u1", labels={"disk": "fast"}, ready=True)
    of = view(standing(Phase.READY, welcomed=True), kube=node)
    found = saved(dwelling(of, node_ready=True))
    assert found.status.template is not None
    assert found.status.template.labels == {"disk": "fast"}
    assert isinstance(dwelling(of, node_ready=True, read=looked(in_vain=True)), Rest)


# --- rest ----------------------------------------------------------------------------------------------------


def test_a_machine_that_drains_is_looked_at_again() -> None:
    """The shortest wait of all that is waited for; where nothing waits, the phase's own deadline."""
    of = view(standing(Phase.DRAINING))
    assert dwelling(of, wish=OFF, plan=Plan(), pods=0) == Rest(at(31), None)
    ends = dwelling(of, wish=OFF)
    assert ends == Rest(T0 + timedelta(minutes=10), None)
