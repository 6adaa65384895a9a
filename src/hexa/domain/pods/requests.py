"""What the scheduler counts for a pod. It knows no node.

The rules are the scheduler's own (KEP-753 sidecars, KEP-688 overhead, KEP-1287 resize in place, KEP-2837 pod-level resources):
init containers run one after another, each beside the sidecars that were started before it; what the pod asks as a whole stands
in place of what its containers ask; a resize counts from both of its ends until it is over.
"""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Final

from hexa.domain.quantity import amounts, total
from hexa.domain.resources.core import Container, ContainerStatus, Pod

POD_LEVEL: Final = ("cpu", "memory", "hugepages-")
"""Resources that a pod may ask for as a whole, by their beginnings; the scheduler passes over any other there."""


def requests(pod: Pod) -> dict[str, Decimal]:
    """Resources by name, in base units, "pods" for the pod itself among them; what does not parse is left out."""
    spec = pod.spec
    result = _containers(pod) | {
        name: amount for name, amount in amounts(spec.resources.requests).items() if name.startswith(POD_LEVEL)
    }
    result = total([result, amounts(spec.overhead)])
    result["pods"] = Decimal(1)
    return result


def _containers(pod: Pod) -> dict[str, Decimal]:
    """All containers together with the sidecars, or the dearest moment of the start."""
    status, refused = pod.status, _resize_refused(pod)
    known = {each.name: each for each in (*status.container_statuses, *status.init_container_statuses)}
    sidecars: dict[str, Decimal] = {}
    start: dict[str, Decimal] = {}
    for container in pod.spec.init_containers:
        if container.restart_policy == "Always":
            sidecars = total([sidecars, _asked(container, known, refused=refused)])
            start = _larger([start, sidecars])
        else:
            start = _larger([start, total([sidecars, amounts(container.resources.requests)])])
    main = total([sidecars, *(_asked(container, known, refused=refused) for container in pod.spec.containers)])
    return _larger([main, start])


def _asked(container: Container, known: Mapping[str, ContainerStatus], *, refused: bool) -> dict[str, Decimal]:
    """What the container asks; while it is resized also what it has and was promised, whichever is most."""
    asked, seen = amounts(container.resources.requests), known.get(container.name)
    if seen is None or seen.resources is None:
        return asked
    held = [amounts(seen.resources.requests), amounts(seen.allocated_resources)]
    return _larger(held if refused else [asked, *held])


def _resize_refused(pod: Pod) -> bool:
    """What is asked for can never be had on its node, and counts for nothing."""
    return any(c.type == "PodResizePending" and c.reason == "Infeasible" for c in pod.status.conditions)


def _larger(parts: Iterable[Mapping[str, Decimal]]) -> dict[str, Decimal]:
    """The larger amount of each resource."""
    result: dict[str, Decimal] = {}
    for part in parts:
        for name, amount in part.items():
            result[name] = max(result.get(name, Decimal(0)), amount)
    return result
