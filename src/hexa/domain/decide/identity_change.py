"""What has changed of a machine's identity since its status was stored, and what is taken over now. When that may be, and what it
means, `identity` knows."""

from msgspec import structs

from hexa.domain.decide.decision import Decision
from hexa.domain.decide.facts import inert
from hexa.domain.decide.observed import Observed
from hexa.domain.decide.saved import about, save
from hexa.domain.machine.identity import (
    acts_on_old,
    declared_name,
    fingerprint,
    group_of,
    may_take_name,
    moved,
    of_another,
    renamed,
    rewired,
)
from hexa.domain.machine.lifecycle import COMING, Phase, send_wake
from hexa.domain.machine_view import MachineView
from hexa.domain.news import Severity, What
from hexa.domain.resources.identity import Identity
from hexa.domain.resources.v1alpha1 import NodeStatus


def found_by_marks(machine: MachineView, observed: Observed) -> NodeStatus:
    """The status of a machine that is seen for the first time: a node that bears its mark is its own, whatever spec says."""
    status, name = machine.node.status, observed.marked_node
    if status.identity.kubernetes_node or machine.node_exists or not name:
        return status
    return structs.replace(status, identity=structs.replace(status.identity, kubernetes_node=name))


def take_over(machine: MachineView, observed: Observed) -> Decision | None:
    """What is to be taken over now; None: nothing."""
    node = machine.node
    if of_another(node):
        return _looked_at_anew(machine, observed)
    if moved(node):
        return _moved(machine, observed)
    waits = inert(machine, observed.now) and machine.phase in COMING
    if rewired(node) and not acts_on_old(node) and not waits:
        return _rewired(machine, observed)
    if observed.sight is not None and renamed(node) and may_take_name(machine.phase, observed.name):
        return _renamed(machine, observed)
    return None


def _taken(machine: MachineView, observed: Observed, status: NodeStatus, what: What, why: str) -> Decision | None:
    return save(machine, observed, status, news=(about(machine, what, why, severity=Severity.WARNING),))


def _looked_at_anew(machine: MachineView, observed: Observed) -> Decision | None:
    kept = Identity(kubernetes_node=machine.node.status.identity.kubernetes_node)
    anew = structs.replace(machine.node.status, phase="", job=None, identity=kept)
    text = "its status is of a resource that was deleted: looked at anew"
    return _taken(machine, observed, anew, What.STATUS_OF_ANOTHER, text)


def _moved(machine: MachineView, observed: Observed) -> Decision | None:
    status, group = machine.node.status, group_of(machine.node)
    where = f"to group {group}" if group else "to no group"
    was = status.identity.group or "none"
    anew = machine.phase is Phase.READY  # its node is given the labels of the new group, over its own
    identity = structs.replace(status.identity, group=group)
    new = structs.replace(status, identity=identity, welcomed=status.welcomed and not anew)
    text = f"moved {where} (before: {was}): its rules count from now on"
    return _taken(machine, observed, new, What.GROUP_CHANGED, text)


def _rewired(machine: MachineView, observed: Observed) -> Decision | None:
    """What was shown of the old way proves nothing of the new one, and a wake by it begins anew."""
    status, now = machine.node.status, observed.now
    identity = structs.replace(status.identity, power=fingerprint(machine.node))
    new = structs.replace(status, identity=identity, wake_proven_at=None)
    text = "what switches or reads its power was changed: its wake proof is void"
    if machine.phase in COMING:
        new = send_wake(structs.replace(new, wakes=0, since=now), now=now)
        text = f"{text}; it is woken anew by what is named now"
    return _taken(machine, observed, new, What.POWER_CHANGED, text)


def _renamed(machine: MachineView, observed: Observed) -> Decision | None:
    status, name = machine.node.status, declared_name(machine.node)
    identity = structs.replace(status.identity, kubernetes_node=name, kubernetes_node_uid="")
    text = f"its Kubernetes node is {name} from now on (before: {machine.kube_name})"
    return _taken(machine, observed, structs.replace(status, identity=identity), What.NODE_RENAMED, text)
