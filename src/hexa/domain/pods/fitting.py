"""Whether a pod fits on a node, and if not, what of each stands against it.

The predicates are those that the reference autoscaler packs by: cordon, taints, node selector, required node affinity, resources.
What depends on other pods (affinity between pods, spreading, volumes' zones) is not judged here.
"""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Final

from msgspec import Struct

from hexa.domain.pods.drain import REPELLING, affinity_matches, tolerated, welcomes
from hexa.domain.pods.requests import requests
from hexa.domain.quantity import amounts
from hexa.domain.resources.core import KubeNode, KubeNodeSpec, KubeNodeStatus, Metadata, Pod
from hexa.domain.resources.v1alpha1 import Shape

ZERO: Final = Decimal(0)
Amounts = Mapping[str, Decimal]


class Misfit(Struct, frozen=True):
    """One thing that keeps a pod off a node."""

    rule: str
    """Cordon, Taint, Selector, Affinity or Resources."""
    text: str


def fits(free: Amounts, needs: Amounts) -> bool:
    """Whether everything that is asked for is there."""
    return all(free.get(name, ZERO) >= amount for name, amount in needs.items() if amount)


def accepts(node: KubeNode, free: Amounts, pod: Pod, needs: Amounts) -> bool:
    """Whether the node takes the pod. `needs`: what the pod asks for; `free`: what is left of the node."""
    return fits(free, needs) and welcomes(node, pod)


def misfits(node: KubeNode, pod: Pod, *, free: Amounts) -> Iterator[Misfit]:
    """Everything for which `accepts` says no."""
    if node.spec.unschedulable:
        yield Misfit("Cordon", "it is cordoned")
    for taint in node.spec.taints:
        if taint.effect in REPELLING and not tolerated(taint, pod.spec.tolerations):
            value = f"={taint.value}" if taint.value else ""
            yield Misfit("Taint", f"the pod does not tolerate {taint.key}{value}:{taint.effect}")
    for key, value in sorted(pod.spec.node_selector.items()):
        has = node.metadata.labels.get(key)
        if has != value:
            text = f"the pod wants {key}={value}, and it has {'no such label' if has is None else f'{key}={has}'}"
            yield Misfit("Selector", text)
    if not affinity_matches(pod.spec.affinity, node):
        yield Misfit("Affinity", "its labels do not match the pod's required node affinity")
    for name, amount in sorted(requests(pod).items()):
        if amount and free.get(name, ZERO) < amount:
            left = free.get(name)
            has = "has none" if left is None else f"has {readable(left)} free"
            yield Misfit("Resources", f"the pod asks for {readable(amount)} {name}, and it {has}")


def template_node(name: str, shape: Shape) -> KubeNode:
    """A machine that would be woken, as the node that it will be."""
    return KubeNode(
        metadata=Metadata(name=name, labels=shape.labels),
        spec=KubeNodeSpec(taints=shape.taints),
        status=KubeNodeStatus(capacity=shape.capacity, allocatable=shape.allocatable),
    )


def room(node: KubeNode, used: Amounts) -> dict[str, Decimal]:
    """What is left of the node's allocatable resources."""
    free = amounts(node.status.allocatable)
    return {name: amount - used.get(name, ZERO) for name, amount in free.items()}


_UNITS: Final = (("Ti", 2**40), ("Gi", 2**30), ("Mi", 2**20))


def readable(amount: Decimal) -> str:
    """An amount as people write it."""
    for unit, size in _UNITS:
        if abs(amount) >= size:
            return f"{(amount / size).quantize(Decimal('0.1')).normalize():f}{unit}"
    return (
        f"{amount.normalize():f}" if amount == amount.to_integral_value() or abs(amount) >= 10 else _thousandths(amount)
    )


def _thousandths(amount: Decimal) -> str:
    return f"{int(amount * 1000)}m"
