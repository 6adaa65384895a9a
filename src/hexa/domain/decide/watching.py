"""A machine of a group that only observes. What hexa had begun or put on it ends once; from then on its status follows what is
seen, and a receipt says what its time on could have been.

Nothing here answers with an act on the machine, its pods or its Kubernetes node, but for the Jobs and the finalizer that hexa
itself has left behind. When the group does not observe any more, the machine is looked at anew, as one that was never seen.
"""

from datetime import datetime, timedelta
from typing import Final

from msgspec import structs

from hexa.domain.decide.accounts import due_of
from hexa.domain.decide.decision import Decision, Edit, EndJobs
from hexa.domain.decide.facts import facts_of
from hexa.domain.decide.identity_change import take_over
from hexa.domain.decide.observed import Observed
from hexa.domain.decide.rest import rest
from hexa.domain.decide.saved import about, save
from hexa.domain.decide.shapes import with_shape
from hexa.domain.decide.steps import take_step
from hexa.domain.machine.lifecycle import Phase, enter
from hexa.domain.machine.marks import handback, held_back, let_go
from hexa.domain.machine.reason import Reason
from hexa.domain.machine.sensing import sense
from hexa.domain.machine.stamps import past
from hexa.domain.machine_view import MachineView
from hexa.domain.money.rates import Rates
from hexa.domain.money.receipt import COULD_REST, LOOK, MIN_SIZE, PODS, UNNEEDED, booked
from hexa.domain.news import What
from hexa.domain.resources.receipt import Receipt
from hexa.domain.resources.remediation import RemediationStatus
from hexa.domain.resources.v1alpha1 import NodeStatus

UNDER_WAY: Final = frozenset(
    {Phase.POWERING_ON, Phase.DRAINING, Phase.POWERING_OFF, Phase.START_FAILED, Phase.STOP_FAILED}
)
"""Phases of something that hexa does, or tries again: it does not go on."""
SOON: Final = timedelta(minutes=1)
"""A look that is due and cannot be had is tried again after it."""
UNNEEDED_FOR: Final = timedelta(minutes=10)
"""Cluster Autoscaler's --scale-down-unneeded-time, where the group says nothing else."""


def watch(machine: MachineView, observed: Observed) -> Decision | None:
    """What is to be done with a machine whose group observes, or has just ceased to; None: its group does not."""
    if not machine.observing:
        return _end(machine, observed) if machine.to_be_seen_anew and not observed.read.in_vain else None
    for row in (_clean, _begin, _clamp, take_over, _event, _count, _book_energy):
        if (decision := row(machine, observed)) is not None:
            return decision
    dues = (_look_due(machine, observed), _account_due(machine, observed))
    waits = [max(due - observed.now, SOON) for due in dues if due is not None]
    return rest(machine, observed, facts_of(machine, observed, plan=False), waits=waits)


def _clean(machine: MachineView, observed: Observed) -> Decision | None:
    """Power Jobs of the machine end, and the finalizer goes. Its Kubernetes node is cleaned by who keeps those (`kube_node`)."""
    if observed.jobs and "EndJobs" not in observed.read.done:
        return EndJobs()
    if not held_back(machine.node) or "Edit" in observed.read.done:
        return None
    given = handback(machine.kube_name, machine.node.status.template) if machine.kube is None else []
    text = f"off, with its node deleted; after its next boot: {'; '.join(given)}"
    return Edit(let_go(machine.node.metadata), (about(machine, What.HANDED_BACK, text),) if given else ())


def _begin(machine: MachineView, observed: Observed) -> Decision | None:
    status, now = machine.node.status, observed.now
    if (status.receipt is not None and status.receipt.until is None and status.phase) or observed.read.in_vain:
        return None
    new = structs.replace(
        status,
        receipt=Receipt(since=now),
        job=None,
        blocker="",
        replaced=False,
        forced=False,
        cool_until=None,
        paused_since=None,
        stood_still=0.0,
        remediation=RemediationStatus(),
    )
    if not status.phase or machine.phase in UNDER_WAY:
        new = enter(new, Phase.UNKNOWN, event=None, now=now, limits=machine.limits)
    return save(machine, observed, new)


def _end(machine: MachineView, observed: Observed) -> Decision | None:
    """What was wanted of it before speaks of another time: without a phase it is adopted as it is found."""
    status, now = machine.node.status, observed.now
    assert status.receipt is not None
    closed = _booked(machine, observed, status.receipt, "")
    receipt = structs.replace(closed, until=now, idle_since=None, counted_to=None)
    unknown = enter(status, Phase.UNKNOWN, event=None, now=now, limits=machine.limits)
    return save(machine, observed, structs.replace(unknown, phase="", receipt=receipt))


def _clamp(machine: MachineView, observed: Observed) -> Decision | None:
    """Moments of the past that lie in the future are brought back: the clock was set."""
    status = machine.node.status
    sound = past(status, limits=machine.limits, now=observed.now)
    return None if sound is status or observed.read.in_vain else save(machine, observed, sound)


def _event(machine: MachineView, observed: Observed) -> Decision | None:
    """Nothing is wanted of it: only what is seen, and limits that pass, lead to another phase."""
    facts = facts_of(machine, observed, plan=False)
    event = sense(machine.node.status, facts, limits=machine.limits)
    return take_step(machine, observed, event, plan=None) if event is not None else None


def _book_energy(machine: MachineView, observed: Observed) -> Decision | None:
    """Its energy account, where nothing else was written for a while."""
    due = _account_due(machine, observed)
    if due is None or observed.now < due or observed.read.in_vain:
        return None
    return save(machine, observed, machine.node.status, booked=True)


def _account_due(machine: MachineView, observed: Observed) -> datetime | None:
    """When the account is written at the latest; None: with the receipt, which a machine that is up has written as often."""
    return None if machine.phase is Phase.READY else due_of(machine, observed)


# --- the receipt ------------------------------------------------------------------------------------


def _count(machine: MachineView, observed: Observed) -> Decision | None:
    """What is new of the receipt, and of all that is told of the machine."""
    if observed.read.in_vain:
        return None
    facts = facts_of(machine, observed, plan=False)
    status = structs.replace(with_shape(machine, facts), receipt=_receipt(machine, observed))
    return save(machine, observed, status)


def _look_due(machine: MachineView, observed: Observed) -> datetime | None:
    """When its pods are looked at next."""
    looked = observed.pods_seen_at if machine.phase is Phase.READY else None
    return looked + LOOK if looked is not None else None


def _receipt(machine: MachineView, observed: Observed) -> Receipt | None:
    """None: there is none."""
    receipt = machine.node.status.receipt
    if receipt is None or observed.sight is None:
        return receipt
    if machine.phase is not Phase.READY:
        return structs.replace(_booked(machine, observed, receipt, ""), idle_since=None) if receipt.cause else receipt
    if not observed.pods_due(LOOK):
        return receipt
    load = observed.load
    if not load.idle:
        return structs.replace(_booked(machine, observed, receipt, PODS), idle_since=None)
    seen = load.before is not None and observed.now - load.before <= 2 * LOOK
    known = structs.replace(receipt, idle_since=(receipt.idle_since if seen else None) or observed.now)
    return _booked(machine, observed, known, _kept_by(machine, observed, known))


def _booked(machine: MachineView, observed: Observed, receipt: Receipt, cause: str) -> Receipt:
    def rates() -> Rates:
        return structs.replace(machine.rates, per_kwh=observed.price)

    last = observed.last_look
    currency = machine.node.status.energy.currency or machine.policy.currency  # a tariff has its own
    found = booked(receipt, cause, now=observed.now, last=last, rates=rates)
    return (
        found if found is receipt else structs.replace(found, saving=structs.replace(found.saving, currency=currency))
    )


def _kept_by(machine: MachineView, observed: Observed, receipt: Receipt) -> str:
    """What would keep the idle machine on if its group did not only observe."""
    idle_since, unneeded = receipt.idle_since or observed.now, machine.policy.options.scale_down_unneeded_time
    wait = UNNEEDED_FOR if unneeded is None else timedelta(seconds=unneeded)
    if observed.now - idle_since < wait + longest_boot(machine.node.status, limit=machine.limits.boot):
        return UNNEEDED
    vetoes = (veto.reason for veto in machine.off_vetoes(observed.now) if veto.reason != Reason.OBSERVE)
    return next(vetoes, MIN_SIZE if _for_min_size(machine, observed) else COULD_REST)


def longest_boot(status: NodeStatus, *, limit: timedelta) -> timedelta:
    """Of the last ones; one that was never seen may take its limit."""
    return timedelta(seconds=max(status.boot_seconds)) if status.boot_seconds else limit


def _for_min_size(machine: MachineView, observed: Observed) -> bool:
    """Whether minSize needs it: machines with pods fill it first, then the idle ones by name."""
    if not machine.policy.min_size:
        return False
    on = [member for member in observed.members if member.phase is Phase.READY]
    busy = sum(not member.idle for member in on if member.key != machine.key)
    before = sum(member.idle and str(member.key) < str(machine.key) for member in on)
    return busy + before < machine.policy.min_size
