"""A machine as Cluster Autoscaler is shown it: whether its Kubernetes node is one of the group's, and in what state it is."""

from datetime import datetime
from typing import Final

from hexa.domain.group.sizing import Member, counts
from hexa.domain.machine.arrival import ARRIVAL, ARRIVAL_TAINTS
from hexa.domain.machine.lifecycle import COMING, Phase
from hexa.domain.machine.wish import NOT_ASKED
from hexa.domain.machine_view import MachineView
from hexa.domain.names import UNSCHEDULABLE_TAINT
from hexa.domain.resources.v1alpha1 import Power
from hexa.ports.cloud import Instance, InstanceError, InstanceErrorClass, InstanceState

STATES: Final[dict[Phase, InstanceState]] = {
    Phase.POWERING_ON: InstanceState.CREATING,
    Phase.BOOTING: InstanceState.CREATING,
    Phase.READY: InstanceState.RUNNING,
    Phase.LOST: InstanceState.RUNNING,
    Phase.DRAINING: InstanceState.DELETING,
    Phase.POWERING_OFF: InstanceState.DELETING,
    Phase.STOP_FAILED: InstanceState.DELETING,
}


def is_member(view: MachineView, now: datetime) -> bool:
    """Whether Cluster Autoscaler shall see the Kubernetes node as one of the group's.

    The node of a machine that is off or coming is hidden until the machine is Ready: it would count as unready, an old object
    always, and a new one before its kubelet is Ready since Cluster Autoscaler 1.35 (an answer to GetOptions sets its start-up
    time to 0). Then the machine would not count as upcoming any more, and another would be asked for.
    """
    if view.observing:
        return view.phase is Phase.READY
    wish = view.wish(now)
    wanted = wish is not None and wish.power is Power.ON
    quiet = view.probed(now)
    match view.phase:
        case Phase.READY:
            return not _arriving(view, now)
        case Phase.LOST | Phase.DRAINING | Phase.STOP_FAILED:
            return True
        case Phase.POWERING_OFF:
            return not wanted  # wanted again: it is upcoming, and its node is of before
        case Phase.UNKNOWN:
            return view.node_ready
        case Phase.OFF:
            return wanted and not quiet and view.kube is None
        case Phase.POWERING_ON | Phase.BOOTING:
            return view.kube is None and not view.node.status.replaced and not quiet
        case Phase.START_FAILED:
            return False


def _arriving(view: MachineView, now: datetime) -> bool:
    """Ready, and not yet open to pods: our cordon still stands, a taint that others are about to take off, or a device is missing.
    Cluster Autoscaler would take the node for up, find no room on it, and ask for one more."""
    since, until = view.node.status.since, view.set_up_until
    if view.kube is None or since is None:
        return False
    if until is not None and now < until and view.lacks:
        return True
    if now - since >= ARRIVAL:
        return False
    cordoned = view.kube.spec.unschedulable  # once welcomed, a person's cordon, which stays
    left = (taint.key for taint in view.kube.spec.taints if not (cordoned and taint.key == UNSCHEDULABLE_TAINT))
    return not view.node.status.welcomed or any(key in ARRIVAL_TAINTS for key in left)


def instance(view: MachineView, member: Member, *, spare: bool) -> Instance | None:
    """The machine as Cluster Autoscaler is shown it; None: not at all."""
    if member.found_up:
        return _seen_up(view)
    if not member.valid or (view.phase in COMING and member.gave_way):
        return None
    if member.observed:
        return _seen_up(view) if counts(member) else None
    match view.phase:
        case Phase.UNKNOWN:
            return Instance(view.provider_id, InstanceState.RUNNING) if view.node_ready else None
        case Phase.OFF:
            return Instance(view.provider_id, InstanceState.CREATING) if counts(member) else None
        case Phase.START_FAILED:
            not_asked = member.wish is None or member.wish.reason in NOT_ASKED
            return _failed(view) if member.wanted and not (member.gave_way or spare or not_asked) else None
        case _:
            coming_back = member.wanted and STATES[view.phase] is InstanceState.DELETING
            return Instance(view.provider_id, InstanceState.CREATING if coming_back else STATES[view.phase])


def _seen_up(view: MachineView) -> Instance | None:
    """A machine that is only observed, or not adopted yet, by the providerID that its Kubernetes node has: hexa gives it none, and
    an instance that no node has Cluster Autoscaler would delete."""
    provider_id = view.kube.spec.provider_id if view.kube is not None else ""
    return Instance(provider_id, InstanceState.RUNNING) if provider_id else None


def _failed(view: MachineView) -> Instance:
    status = view.node.status
    text = next((c.message for c in status.conditions if c.type in ("PowerJobFailed", "Failed")), "did not come up")
    error = InstanceError("StartFailed", f"{view.key}: {text}", InstanceErrorClass.OTHER)
    return Instance(view.provider_id, InstanceState.CREATING, error)
