"""The one decision about a machine, from its view and what is observed of it. Agent, simulator, fault runs, replay and embedders
call this function; whoever calls carries the answer out and calls again, until it says `Rest`.

It is a table: the first row that has something to do decides. Nothing here waits, reads or writes.
"""

from collections.abc import Callable
from typing import Final

from hexa.domain.decide.decision import Decision, Edit, EndJobs, Look, Looked, OnNode, Rest, Touch
from hexa.domain.decide.dwell import dwell
from hexa.domain.decide.facts import facts_of, inert, namesakes_of
from hexa.domain.decide.first_sight import first_sight
from hexa.domain.decide.identity_change import take_over
from hexa.domain.decide.observed import Observed, Unread
from hexa.domain.decide.rest import JOB_LOOK
from hexa.domain.decide.saved import MAY_GO_OFF, about, save
from hexa.domain.decide.steps import take_step
from hexa.domain.decide.watching import watch
from hexa.domain.decide.wishes import corrected, written_down
from hexa.domain.machine.lifecycle import Phase
from hexa.domain.machine.marks import handback, held_back, let_go, owner_of
from hexa.domain.machine.power_job import current, running, unwanted, with_job
from hexa.domain.machine.sensing import sense
from hexa.domain.machine.stamps import past
from hexa.domain.machine.unclaimed_nodes import waited_since
from hexa.domain.machine_view import MachineView
from hexa.domain.news import What
from hexa.domain.pods.drain import DRAIN_LOOK
from hexa.domain.resources.v1alpha1 import Power


def decide(machine: MachineView, observed: Observed) -> Decision:
    """What is to be done with the machine next. Ask again after it is done."""
    try:
        for row in ROWS:
            if (decision := row(machine, observed)) is not None:
                return decision
    except Unread as unread:
        return Look(unread.at)
    raise AssertionError("the last row always decides")


def likely(machine: MachineView) -> tuple[Looked, ...]:
    """What a decision about the machine is likely to ask for; read beforehand, it costs no second one."""
    awaited = machine.kube is None and waited_since(machine.node.status) is not None
    goes_off = machine.phase in MAY_GO_OFF and not machine.node_ready
    return (Looked.UNCLAIMED,) if awaited or goes_off else ()


def _part(machine: MachineView, observed: Observed) -> Decision | None:
    """It is released or being deleted: its Jobs end, its power stays, and our finalizer goes once its node is clean."""
    if not machine.leaving:
        return None
    if observed.jobs and "EndJobs" not in observed.read.done:
        return EndJobs()
    if machine.kube is not None and owner_of(machine.kube) == machine.key:  # our marks are about to be taken off
        return Rest(observed.now + DRAIN_LOOK)
    if not held_back(machine.node) or "Edit" in observed.read.done:
        return Rest()
    given = handback(machine.kube_name, machine.node.status.template)
    text = f"off, with its node deleted; after its next boot: {'; '.join(given)}"
    return Edit(let_go(machine.node.metadata), (about(machine, What.HANDED_BACK, text),) if given else ())


def _clamp(machine: MachineView, observed: Observed) -> Decision | None:
    """Moments of the past that lie in the future are brought back: the clock was set."""
    status = machine.node.status
    sound = past(status, limits=machine.limits, now=observed.now)
    return None if sound is status else save(machine, observed, sound)


def _job_result(machine: MachineView, observed: Observed) -> Decision | None:
    """The result of the present attempt's Job, when it is over or when its pod is worth a look."""
    status = machine.node.status
    if not running(status) or unwanted(status):
        return None
    since = status.woken_at or status.since or observed.now
    looked = observed.now - since >= JOB_LOOK
    if not (observed.job_over or looked) or observed.job is None or observed.job == current(status):
        return None
    return save(machine, observed, with_job(status, observed.job))


def _act_on_event(machine: MachineView, observed: Observed) -> Decision | None:
    """The wish that is corrected before an event, the event, or what the phase demands."""
    if (cordon := _cordon_first(machine, observed)) is not None:
        return cordon
    if looks := looks_at_pods(machine, observed):
        namesakes_of(machine, observed)  # pods of another node that may be the machine's count too: it is read first
    facts = facts_of(machine, observed, plan=looks)
    event = sense(machine.node.status, facts, limits=machine.limits)
    if (want := corrected(machine, observed, event)) is not None:
        return want
    if event is None:
        return dwell(machine, observed, facts, plan=observed.plan if looks else None)
    return take_step(machine, observed, event, plan=observed.plan if looks else None)


def looks_at_pods(machine: MachineView, observed: Observed) -> bool:
    """Whether the phase asks for the machine's pods, and we see."""
    wanted_off = machine.acted_wish(observed.now) is Power.OFF
    looks = (
        (machine.phase is Phase.DRAINING and wanted_off)
        or (machine.phase is Phase.POWERING_OFF and current(machine.node.status) is None)
        or (machine.phase is Phase.LOST and wanted_off)
    )
    return looks and not inert(machine, observed.now) and observed.sight is not None


def _cordon_first(machine: MachineView, observed: Observed) -> Decision | None:
    """Before its pods are counted no more may come."""
    open_ = machine.kube is not None and not machine.kube.spec.unschedulable
    if not open_ or Touch.CORDON in observed.read.done or not looks_at_pods(machine, observed):
        return None
    return OnNode(Touch.CORDON)


ROWS: Final[tuple[Callable[[MachineView, Observed], Decision | None], ...]] = (
    _part,
    watch,
    first_sight,
    _clamp,
    written_down,
    take_over,
    _job_result,
    _act_on_event,
)
"""What may be to do with a machine, the first thing first; the last row always has an answer."""
