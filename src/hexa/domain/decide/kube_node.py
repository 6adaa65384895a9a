"""The one decision about a Kubernetes node that is, was or may be a machine's: what it lacks is written, what hexa put on it is
taken off once its machine is given up, or it stays as it is. What the phases demand of the node is decided for the machine
(`machine.decide`).

It is a table: the first row that has something to do decides. Nothing here waits, reads or writes.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

from msgspec import Struct

from hexa.domain.decide.kube_node_patch import comes_with_cordon, core_patch, parted, with_registration
from hexa.domain.machine.identity import kube_name
from hexa.domain.machine.marks import MARKS, conditions_of_ours, leaving, marked, owner_of
from hexa.domain.machine_view import MachineView
from hexa.domain.resources.core import KubeNode
from hexa.domain.resources.v1alpha1 import Node, Registration


class KubeNodeObserved(Struct, frozen=True, kw_only=True):
    """What is known of a Kubernetes node and of the machines that may be its."""

    now: datetime
    node: KubeNode
    machine: MachineView | None
    """The one machine that claims it; where several do, the one whose marks it bears."""
    contained: bool = False
    """hexa cannot work with what that machine says."""
    registered: Registration | None = None
    """What its kubelet had set by itself, if we saw it register and that is not written down yet."""
    seeing: bool
    """The snapshot is watched without a gap."""
    all_seen: bool
    """No machine can be there that we do not see: every namespace is watched, and every machine decodes."""
    claimed: bool
    """Some machine names it as its Kubernetes node."""
    owner: Node | None
    """The machine whose marks it bears, as it is stored."""
    owner_may_be_hidden: bool
    """That one may be there though we do not see it: it does not decode, or its namespace is not watched."""


class TakeOff(Struct, frozen=True, tag=True):
    """Take everything of ours off the node. Repeated, it writes nothing more."""


class Give(Struct, frozen=True, tag=True):
    """Write the merge patch, if nobody has written the node since."""

    body: dict[str, Any]


class LetBe(Struct, frozen=True, tag=True):
    """Nothing to write: only a change of the node, of its machine or of the group can bring something."""


KubeNodeDecision = TakeOff | Give | LetBe


def decide_kube_node(observed: KubeNodeObserved) -> KubeNodeDecision:
    """What is to be written to the Kubernetes node. Ask again after it has changed."""
    for row in ROWS:
        if (decision := row(observed)) is not None:
            return decision
    return LetBe()


def _observed(observed: KubeNodeObserved) -> KubeNodeDecision | None:
    """The machine's group only observes: what hexa put on the node before goes, and nothing is put on it."""
    machine = observed.machine
    if machine is None or observed.contained or not machine.observing:
        return None
    ours = owner_of(observed.node) in (None, machine.key)
    return (
        TakeOff()
        if observed.seeing and ours and (_has_marks(observed.node) or conditions_of_ours(observed.node))
        else LetBe()
    )


def _given_up(observed: KubeNodeObserved) -> KubeNodeDecision | None:
    """It carries marks of a machine that we would know of, and that is deleted, released or another node's."""
    node, machine = observed.node, observed.machine
    if (machine is not None and machine.valid) or not observed.seeing or not _has_marks(node):
        return None
    if owner_of(node) is None:
        return TakeOff() if observed.all_seen and not observed.claimed else None
    if observed.owner_may_be_hidden:
        return None
    return TakeOff() if observed.owner is None or _is_elsewhere(observed.owner, node) else None


def _has_marks(node: KubeNode) -> bool:
    return any(mark in node.metadata.annotations for mark in MARKS)


def _is_elsewhere(owner: Node, node: KubeNode) -> bool:
    """hexa does nothing more to the machine, or another Kubernetes node is its."""
    moved = bool(owner.status.identity.kubernetes_node) and kube_name(owner) != node.metadata.name
    return leaving(owner) or moved


def _let_be(observed: KubeNodeObserved) -> KubeNodeDecision | None:
    """There is no machine to write for."""
    return LetBe() if observed.machine is None or observed.contained else None


def _parted(observed: KubeNodeObserved) -> KubeNodeDecision | None:
    """Its machine serves on, and nobody decides about it any more."""
    machine = observed.machine
    return TakeOff() if machine is not None and parted(machine) and marked(observed.node) else None


def _lacking(observed: KubeNodeObserved) -> KubeNodeDecision | None:
    """What it lacks; with the cordon, where one comes next."""
    node, machine, now = observed.node, observed.machine, observed.now
    if machine is None or comes_with_cordon(machine, now=now):
        return None
    body = with_registration(core_patch(node, machine, now=now), machine, node, observed.registered)
    return Give(body) if body else None


ROWS: Final[tuple[Callable[[KubeNodeObserved], KubeNodeDecision | None], ...]] = (
    _observed,
    _given_up,
    _let_be,
    _parted,
    _lacking,
)
"""What may be to do with a Kubernetes node, the first thing first."""
