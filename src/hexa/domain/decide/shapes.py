"""The shape of a Kubernetes node that a machine's status keeps, and the status of one whose node was opened to pods."""

from msgspec import structs

from hexa.domain.decide.facts import with_status
from hexa.domain.group.template import same_shape, shape_of
from hexa.domain.machine.facts import Facts
from hexa.domain.machine.identity import identified
from hexa.domain.machine.lifecycle import Phase
from hexa.domain.machine_view import MachineView
from hexa.domain.names import CORDON_ANNOTATION
from hexa.domain.resources.core import KubeNode
from hexa.domain.resources.v1alpha1 import NodeStatus, Shape


def as_welcomed(machine: MachineView, facts: Facts) -> NodeStatus:
    """The status of a machine whose node has got everything, and the shape that it shows now."""
    status = machine.node.status
    uid = machine.kube.metadata.uid if machine.kube is not None else ""
    identity = structs.replace(identified(status, machine.node).identity, kubernetes_node_uid=uid)
    welcomed = structs.replace(status, welcomed=True, identity=identity)
    return with_shape(with_status(machine, welcomed), facts)


def with_shape(machine: MachineView, facts: Facts) -> NodeStatus:
    """The status with the shape that the node of a machine which serves shows now."""
    status = machine.node.status
    if machine.kube is None or not machine.node_ready or machine.phase is not Phase.READY or not status.welcomed:
        return status
    until = machine.set_up_until
    if status.template is not None and until is not None and facts.now < until and machine.lacks:
        return status  # it has not got all of its devices yet
    shape = shape_now(machine, machine.kube, facts, previous=status.template)
    return status if same_shape(shape, status.template) else structs.replace(status, template=shape)


def shape_now(machine: MachineView, node: KubeNode, facts: Facts, *, previous: Shape | None) -> Shape:
    """What the node shows."""
    return shape_of(
        node,
        previous=previous,
        our_cordon=machine.our_cordon,
        now=facts.now,
        conventions=machine.conventions,
    )


def to_welcome(status: NodeStatus, node: KubeNode) -> bool:
    """Not welcomed in this boot, or another object since: its node was deleted, and its kubelet has registered anew. A cordon
    of ours on a machine that serves is of the past as well: etcd was put back, say, after we had looked."""
    another = status.identity.kubernetes_node_uid not in ("", node.metadata.uid)
    return not status.welcomed or another or CORDON_ANNOTATION in node.metadata.annotations
