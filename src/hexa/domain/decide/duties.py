"""What a phase demands again and again until it is done: wake, power off, drain, welcome, leave.

A duty answers with what is to be done, with the span after which to look again where it waits, or with nothing.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from msgspec import structs

from hexa.domain.decide.decision import Decision, Edit, Evict, MakeRoom, OnNode, Start, Sweep, Touch, Welcome
from hexa.domain.decide.observed import Observed
from hexa.domain.decide.rest import JOB_LOOK
from hexa.domain.decide.saved import about, lock_of_wakes, save
from hexa.domain.decide.shapes import as_welcomed, shape_now, to_welcome
from hexa.domain.machine.acts import may_cycle, may_leave, silent, wake_again
from hexa.domain.machine.button import off_withheld, presses_blindly, wake_withheld
from hexa.domain.machine.facts import Facts
from hexa.domain.machine.inrush import LATE
from hexa.domain.machine.lifecycle import Duty, again, send_wake
from hexa.domain.machine.marks import held_back, hold_back, suspended_now
from hexa.domain.machine.power_job import Action, current, running, shut_down, with_job
from hexa.domain.machine_view import MachineView
from hexa.domain.news import NOTHING, News, Severity, What
from hexa.domain.pods.drain import BLOCKED_LOOK, DRAIN_LOOK, Plan
from hexa.domain.pods.left import overdue
from hexa.domain.resources.v1alpha1 import LeavePolicy, Power
from hexa.domain.rules.maintenance import word_stands
from hexa.domain.rules.out_of_service import freeing_until, proof_due

JOBS: Final = {Action.STARTUP: What.STARTUP_JOB, Action.SHUTDOWN: What.SHUTDOWN_JOB}
JOB_KEPT: Final = timedelta(seconds=60)
"""A finished Job stays at least so long (ports.jobs)."""

Todo = Decision | timedelta | None


def wake(machine: MachineView, observed: Observed, facts: Facts, plan: Plan | None) -> Todo:
    """Start the Job of the wake that was saved, and send another one where the machine stays silent."""
    status, limits = machine.node.status, machine.limits
    if current(status) is None and status.wakes > 0:
        return _start(machine, observed, Action.STARTUP)
    at_work = running(status)
    heard = structs.replace(status, silent=silent(status, facts, limits=limits))
    due = wake_again(heard, facts, limits=limits, job_running=at_work)
    if due and not wake_withheld(machine.node, facts.reading):
        text = f"no sign of life: wake {status.wakes + 1} of {limits.attempts}"
        told, again_at = (about(machine, What.WAKE_AGAIN, text),), send_wake(heard, now=facts.now)
        return save(machine, observed, again_at, news=told, lock=lock_of_wakes(machine))
    if heard != status:
        return save(machine, observed, heard)
    return JOB_LOOK if at_work else None


def power_off(machine: MachineView, observed: Observed, facts: Facts, plan: Plan | None) -> Todo:
    """Start the shutdown Job once nothing is left on the machine."""
    status = machine.node.status
    if current(status) is not None:
        return JOB_LOOK if running(status) else None
    if status.remediation.cycling:
        may = may_cycle(facts)
    else:
        wanted = facts.wish is Power.OFF or facts.job_begun
        may = wanted and not facts.blind and (facts.pods == 0 or status.forced)
    if not may:
        return DRAIN_LOOK
    if why := off_withheld(machine.node, facts):
        told = save(machine, observed, structs.replace(status, blocker=why)) if why != status.blocker else None
        return told or DRAIN_LOOK
    return _start(machine, observed, Action.SHUTDOWN)


def _start(machine: MachineView, observed: Observed, action: Action) -> Todo:
    """The Job of the saved attempt: made once, however often this is repeated."""
    status, started = machine.node.status, observed.read.started
    if started is not None:
        told = about(machine, JOBS[action], f"{started.name}: {started.outcome}")
        return save(machine, observed, with_job(status, started), news=(told,))
    if (unmade := observed.order.unmade) is not None and unmade != status.job:
        return save(machine, observed, with_job(status, unmade))
    if "Start" in observed.read.done:  # another Job of the machine is still ending
        return DRAIN_LOOK
    if not observed.order.able:
        return None
    new = action is Action.STARTUP and not observed.order.there
    if new and machine.withheld(observed.now):
        return None  # others of its circuit have begun since this wake was stamped
    if not _may_be_forgotten(machine, observed, action) and not observed.order.of_another_time:
        if new and late(machine, now=observed.now):
            stamped = structs.replace(status, woken_at=observed.now)
            return save(machine, observed, stamped, lock=lock_of_wakes(machine))
        return Start(action)
    if presses_blindly(machine.node, "on" if action is Action.STARTUP else "off"):
        return None  # it may have been pressed: a second press would undo that
    lock = lock_of_wakes(machine) if action is Action.STARTUP else None
    return save(machine, observed, again(status, now=observed.now), lock=lock, renewed=True)


def late(machine: MachineView, *, now: datetime) -> bool:
    """Whether the stamp of a wake is too old for its Job to be made by it: the wakes of a circuit are apart by their stamps."""
    woken = machine.node.status.woken_at
    return any(place.gap for place in machine.places) and (woken is None or now - woken > LATE)


def _may_be_forgotten(machine: MachineView, observed: Observed, action: Action) -> bool:
    """Whether an earlier life of ours may have made this attempt's Job so long ago that it is gone: another attempt then."""
    status = machine.node.status
    begun = (status.woken_at if action is Action.STARTUP else None) or status.since
    if begun is None or begun >= observed.born or observed.renewed:
        return False
    return observed.now - begun > JOB_KEPT


def drain(machine: MachineView, observed: Observed, facts: Facts, plan: Plan | None) -> Todo:
    """Ask for evictions, or say what blocks."""
    status = machine.node.status
    if plan is None:
        return None
    if plan.blockers:
        if _makes_room(machine, observed, plan) and observed.read.room is None:
            return MakeRoom()
        blocker = "; ".join([*map(str, plan.blockers[:3]), *filter(None, (observed.read.room,))])
    elif plan.evict and observed.read.evicted is None:
        return Evict(machine.policy.drain.grace)
    else:
        blocker = observed.read.evicted or plan.volumes or overdue(plan, now=facts.now)
    look = plan.look_after(blocker)
    if blocker == status.blocker:
        return look
    news: tuple[News, ...] = NOTHING
    if blocker:
        waits = blocker == plan.volumes
        reason, severity = (What.VOLUMES_ATTACHED, Severity.NORMAL) if waits else (What.DRAIN_BLOCKED, Severity.WARNING)
        news = (about(machine, reason, blocker, severity=severity),)
    return save(machine, observed, structs.replace(status, blocker=blocker), news=news) or look


def _makes_room(machine: MachineView, observed: Observed, plan: Plan) -> bool:
    """Whether a person asked that another machine be woken for pods that fit nowhere else, and nothing else blocks."""
    wish = machine.wish(observed.now)
    return wish is not None and wish.make_room and len(plan.homeless) >= len(plan.blockers)


def welcome(machine: MachineView, observed: Observed, facts: Facts, plan: Plan | None) -> Todo:
    """Open the node of a machine that came up, and remove what its last power-off left behind."""
    status, read = machine.node.status, observed.read
    if machine.kube is None or not machine.node_ready or not to_welcome(status, machine.kube):
        return None
    if read.welcomed != machine.kube.metadata.uid:
        return Welcome(status.since or facts.now)
    boot = status.last_shutdown_time  # what hexa never switched off has left nothing behind
    if boot is not None and read.swept is None:
        return Sweep(boot)
    news = []
    if read.swept is not None and read.swept.gone:
        text = f"removed {read.swept.gone} pods that the last power-off left behind"
        news.append(about(machine, What.PODS_SWEPT, text))
    if read.swept is not None and read.swept.kept:
        text = f"what the last power-off left behind stays: {read.swept.kept}"
        news.append(about(machine, What.PODS_NOT_SWEPT, text, severity=Severity.WARNING))
    return save(machine, observed, as_welcomed(machine, facts), news=tuple(news))


def leave(machine: MachineView, observed: Observed, facts: Facts, plan: Plan | None) -> Todo:
    """Mark the node of a machine that is off, keep what it had, and delete it once nothing can come of it any more."""
    status, done, kube = machine.node.status, observed.read.done, machine.kube
    if kube is None or facts.blind:
        return None
    if not held_back(machine.node):
        return Edit(hold_back(machine.node)) if "Edit" not in done else None
    if Touch.SUSPEND not in done and not (kube.spec.unschedulable and suspended_now(kube)):
        return OnNode(Touch.SUSPEND)
    keeps = machine.control_plane or word_stands(kube)  # else the word goes with its node
    deletes = machine.policy.leave is LeavePolicy.DELETE and not keeps
    if not deletes or Touch.DELETE in done or not may_leave(status, facts, shutdown_done=shut_down(status)):
        return None
    seen = status.template
    if seen is None:  # never seen Ready: what the old node shows is all there is to give back
        shape = shape_now(machine, kube, facts, previous=None)
        return save(machine, observed, structs.replace(status, template=shape))
    if (wait := _held_by_stuck(machine, observed, facts)) is not None:
        return wait
    if seen.unschedulable and machine.our_cordon:  # somebody took theirs back before we put ours on
        opened = structs.replace(seen, unschedulable=False)
        return save(machine, observed, structs.replace(status, template=opened))
    text = f"Kubernetes node {machine.kube_name} deleted: the machine is off"
    return OnNode(Touch.DELETE, (about(machine, What.NODE_LEFT, text),))


def _held_by_stuck(machine: MachineView, observed: Observed, facts: Facts) -> timedelta | None:
    """How long the node must stay so that what is stuck on it goes first; None: it may be deleted."""
    if machine.kube is None or not machine.policy.out_of_service:
        return None
    now = facts.now
    until = freeing_until(machine.kube, now=now) or proof_due(machine.phase, facts, allowed=True)
    if until is None or now >= until or not observed.stuck:
        return None
    return min(until - now, BLOCKED_LOOK)


DO: Final[dict[Duty, Callable[[MachineView, Observed, Facts, Plan | None], Todo]]] = {
    Duty.WAKE: wake,
    Duty.WAKE_AGAIN: wake,
    Duty.POWER_OFF: power_off,
    Duty.DRAIN: drain,
    Duty.WELCOME: welcome,
    Duty.LEAVE: leave,
}
