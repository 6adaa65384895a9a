"""A machine that stays in its phase: what is booked, let go or taken back, the phase's duty, and what is tidied up.

The first row that has something to do decides; where none has, the machine rests."""

from collections.abc import Callable
from datetime import timedelta
from typing import Final

from msgspec import structs

from hexa.domain.decide.accounts import due_of
from hexa.domain.decide.decision import Decision, Edit, EndJobs, OnNode, Touch
from hexa.domain.decide.duties import DO, Todo
from hexa.domain.decide.observed import Observed
from hexa.domain.decide.rest import rest
from hexa.domain.decide.saved import about, save
from hexa.domain.decide.shapes import with_shape
from hexa.domain.machine.facts import Facts, paused_for
from hexa.domain.machine.lifecycle import DUTIES, Phase
from hexa.domain.machine.marks import let_go, marked, outlived, suspended_by_us
from hexa.domain.machine.power_job import current, running, shut_down, unwanted, with_job
from hexa.domain.machine.wish import paused
from hexa.domain.machine_view import MachineView
from hexa.domain.news import Severity, What
from hexa.domain.pods.drain import DRAIN_LOOK, Plan
from hexa.domain.pods.left import few
from hexa.domain.power.sensor import off_is_told_apart
from hexa.domain.rules.maintenance import hands_off
from hexa.domain.rules.out_of_service import Evidence, must_clear, wants_look
from hexa.domain.rules.quarantine import sooner

TAKEN_BACK: Final = "its power Job had not ended, and it is not to be switched by it any more: removed"
HAS_A_JOB: Final = frozenset({Phase.POWERING_ON, Phase.POWERING_OFF, Phase.BOOTING})

Row = Callable[[MachineView, Observed, Facts, Plan | None], Todo]


def dwell(machine: MachineView, observed: Observed, facts: Facts, *, plan: Plan | None) -> Decision:
    """What there is to do in the phase, else until when the machine rests."""
    waits: list[timedelta] = []
    for row in ROWS:
        found = row(machine, observed, facts, plan)
        if isinstance(found, timedelta):
            waits.append(found)
        elif found is not None:
            return found
        if waits and row is _take_back:
            break  # nothing else before its Job is gone
    return rest(machine, observed, facts, waits=waits, looks_at_pods=plan is not None)


def _book_pause(machine: MachineView, observed: Observed, facts: Facts, plan: Plan | None) -> Todo:
    """Begin or end the time in which deadlines stand still."""
    status, began = machine.node.status, machine.node.status.paused_since
    if facts.paused == (began is not None):
        return None
    if began is None:
        return save(machine, observed, structs.replace(status, paused_since=facts.now))
    still = status.stood_still + paused_for(status, now=facts.now, skipped=facts.skipped).total_seconds()
    return save(machine, observed, structs.replace(status, paused_since=None, stood_still=still))


def _out_of_service(machine: MachineView, observed: Observed, facts: Facts, plan: Plan | None) -> Todo:
    """Before the duty: no machine is woken with the taint of a dead one on its node."""
    kube, phase, done = machine.kube, machine.phase, observed.read.done
    if kube is None:
        return None
    allowed = machine.policy.out_of_service and not machine.control_plane
    if Touch.CLEAR not in done and must_clear(kube, phase, facts, allowed=allowed):
        text = "the machine is woken, or seen: its node is in service again"
        return OnNode(Touch.CLEAR, (about(machine, What.IN_SERVICE, text),))
    evidence = Evidence(facts=facts, ordered=shut_down(machine.node.status), apart=off_is_told_apart(machine.node))
    calm = allowed and machine.safe_hands is None
    if not wants_look(kube, phase, evidence, allowed=calm) or observed.nothing_stuck or Touch.TAINT in done:
        return None
    if not (stuck := observed.stuck):
        return None
    proofs = " and ".join(sorted(evidence.found))
    text = f"it is off, by {proofs}: Kubernetes lets go of {few(stuck, between=', ')}"
    return OnNode(Touch.TAINT, (about(machine, What.OUT_OF_SERVICE, text, severity=Severity.WARNING),))


def _bring_forward(machine: MachineView, observed: Observed, facts: Facts, plan: Plan | None) -> Todo:
    """A machine that failed to start and is seen to work again is tried sooner."""
    status = machine.node.status
    next_try = None if facts.paused else sooner(status, limits=machine.limits, now=facts.now)
    if next_try is None:
        return None
    told = about(machine, What.WORKS_AGAIN, f"{next_try.why}: tried again sooner")
    return save(machine, observed, structs.replace(status, cool_until=next_try.at), news=(told,))


def _take_back(machine: MachineView, observed: Observed, facts: Facts, plan: Plan | None) -> Todo:
    """Before the duty: its Job came late, or hangs, and would switch off a machine that pods come to again, or wake one that
    nobody wants."""
    status = machine.node.status
    if not unwanted(status):
        return None
    if observed.jobs and "EndJobs" not in observed.read.done:
        return EndJobs()
    if observed.jobs and not observed.read.ended:
        return DRAIN_LOOK
    return save(machine, observed, with_job(status, None), news=(about(machine, What.JOB_TAKEN_BACK, TAKEN_BACK),))


def _duty(machine: MachineView, observed: Observed, facts: Facts, plan: Plan | None) -> Todo:
    """What the phase demands."""
    duty = DUTIES.get(machine.phase) if not facts.paused or _is_unwatched(machine, facts) else None
    return DO[duty](machine, observed, facts, plan) if duty is not None else None


def _is_unwatched(machine: MachineView, facts: Facts) -> bool:
    """The machine came up while nobody decides about it any more, such as after its group was deleted: what hexa did to its
    node before is undone, and what it had is given back."""
    status, kube = machine.node.status, machine.kube
    if machine.phase is not Phase.READY or kube is None or _in_hand(machine, facts):
        return False
    return machine.our_cordon or suspended_by_us(kube) or (not status.welcomed and status.template is not None)


def _in_hand(machine: MachineView, facts: Facts) -> bool:
    """A person has paused it, or somebody maintains it."""
    return paused(machine.node, now=facts.now) is not None or hands_off(machine.kube)


def _undo(machine: MachineView, observed: Observed, facts: Facts, plan: Plan | None) -> Todo:
    """What a power-off that failed has left on the node of a machine that is only watched by now."""
    kube, done = machine.kube, observed.read.done
    if not facts.paused or kube is None or not _stays_on(machine, facts):
        return None
    if machine.ungrouped and marked(kube) and Touch.UNMARK not in done:
        return OnNode(Touch.UNMARK)
    return OnNode(Touch.UNCORDON) if machine.our_cordon and Touch.UNCORDON not in done else None


def _stays_on(machine: MachineView, facts: Facts) -> bool:
    """Its power-off failed, and since its group is gone, or does not read, nobody tries again: it serves."""
    if machine.valid or _in_hand(machine, facts) or facts.heard_until is None:
        return False
    limit = {Phase.POWERING_OFF: machine.limits.power_off, Phase.STOP_FAILED: timedelta(0)}.get(machine.phase)
    since, heard = machine.node.status.since, facts.heard
    if limit is None or since is None or heard is None:
        return False
    return facts.now < facts.heard_until and heard > since + limit


def _tidy(machine: MachineView, observed: Observed, facts: Facts, plan: Plan | None) -> Todo:
    """Jobs whose result is saved, and those of earlier attempts, are removed."""
    record = current(machine.node.status)
    if facts.paused or (record is None and machine.phase in HAS_A_JOB) or "EndJobs" in observed.read.done:
        return None  # the duty is about to start one
    keep = record.name if record is not None and running(machine.node.status) else ""
    return EndJobs(keep) if observed.jobs - {keep} else None


def _let_go(machine: MachineView, observed: Observed, facts: Facts, plan: Plan | None) -> Todo:
    """The finalizer of a machine that is not off any more."""
    return Edit(let_go(machine.node.metadata)) if outlived(machine.node) and "Edit" not in observed.read.done else None


def _keep_shape(machine: MachineView, observed: Observed, facts: Facts, plan: Plan | None) -> Todo:
    """What is new of the status."""
    return None if observed.read.in_vain else save(machine, observed, with_shape(machine, facts))


def _book_energy(machine: MachineView, observed: Observed, facts: Facts, plan: Plan | None) -> Todo:
    """Its energy account, where nothing else was written for a while."""
    if (due := due_of(machine, observed)) is None:
        return None
    return due - facts.now if facts.now < due else save(machine, observed, machine.node.status, booked=True)


ROWS: Final[tuple[Row, ...]] = (
    _book_pause,
    _out_of_service,
    _bring_forward,
    _take_back,
    _duty,
    _undo,
    _tidy,
    _let_go,
    _keep_shape,
    _book_energy,
)
