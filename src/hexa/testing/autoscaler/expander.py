"""Which group grows when several could: least waste, or lowest price. It reserves nothing."""

import math
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from msgspec import Struct

from hexa.domain.quantity import amounts
from hexa.domain.resources.core import Container, Pod, PodSpec, ResourceRequirements
from hexa.ports.cloud import Cloud, ExternalNode
from hexa.testing.autoscaler.facts import GroupFacts
from hexa.testing.autoscaler.packing import Estimate, Template
from hexa.testing.autoscaler.view import ZERO


class Option(Struct, frozen=True):
    """A group that could take pods, and how."""

    group: GroupFacts
    template: Template
    estimate: Estimate


class Asked(Struct, frozen=True):
    """What an expander may look at."""

    cloud: Cloud
    now: datetime
    nodes: int
    """Nodes in the cluster."""


Expander = Callable[[Sequence[Option], Asked], Option | None]


def least_waste(options: Sequence[Option], asked: Asked) -> Option | None:
    """The option that leaves the least share of cpu and memory unused."""
    return min(options, key=_waste, default=None)


def _waste(option: Option) -> float:
    capacity = amounts(option.template.node.status.capacity)
    return sum(_wasted(option, name, capacity.get(name, ZERO)) for name in ("cpu", "memory"))


def _wasted(option: Option, name: str, size: Decimal) -> float:
    available = size * option.estimate.nodes
    requested = sum((pod.needs.get(name, ZERO) for pod in option.estimate.pods), ZERO)
    return float((available - requested) / available) if available else 0.0


STEADYING_POD: Final = Pod(
    spec=PodSpec(containers=(Container(resources=ResourceRequirements(requests={"cpu": "500m", "memory": "500Mi"})),))
)
"""Its price is added on both sides of the ratio, so that near-free pods do not make it explode."""


def price(options: Sequence[Option], asked: Asked) -> Option | None:
    """The option with the lowest price of nodes for the price of pods; one whose price is not known is left out."""
    scored = ((_score(option, asked), option) for option in options)
    known = [(score, option) for score, option in scored if score is not None]
    return min(known, key=lambda entry: entry[0])[1] if known else None


def _score(option: Option, asked: Asked) -> float | None:
    cloud, start, end = asked.cloud, asked.now, asked.now + timedelta(hours=1)
    node = option.template.node
    named = ExternalNode(node.metadata.name, node.spec.provider_id, node.metadata.labels, node.metadata.annotations)
    each = cloud.node_price(named, start, end)
    if each is None:
        return None
    steady = cloud.pod_price(STEADYING_POD, start, end)
    pods = sum(cloud.pod_price(pod.pod, start, end) for pod in option.estimate.pods)
    ratio = (each * option.estimate.nodes + steady) / max(pods + steady, 1e-9)
    return _unfitness(option, asked.nodes) * ratio


PREFERRED_CORES: Final = ((2, 1), (6, 2), (20, 4), (60, 8), (200, 16))
"""Nodes in the cluster up to -> cores that a new node should have; 32 beyond."""


def _unfitness(option: Option, nodes: int) -> float:
    """How far the node is from the size that suits the cluster; matters less the more nodes are added."""
    preferred = next((cores for most, cores in PREFERRED_CORES if nodes <= most), 32)
    cores = float(amounts(option.template.node.status.capacity).get("cpu", ZERO)) or 1.0
    unfit = max(preferred / cores, cores / preferred)
    return (unfit - 1) * (1 - math.tanh((option.estimate.nodes - 1) / 15)) + 1


EXPANDERS: Final[Mapping[str, Expander]] = {"least-waste": least_waste, "price": price}
