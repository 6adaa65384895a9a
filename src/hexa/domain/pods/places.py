"""What of a node only one pod can have: a port of the host, and the place of a workload whose replicas never share a node.

It is counted like a resource of which each node has one, so that whoever sums up what pods ask of a node needs to keep no pods.
Of affinity between pods that is the part which is judged; what depends on other workloads, and spreading, are the scheduler's.
"""

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, Final

import msgspec

from hexa.domain.names import HOSTNAME_LABEL
from hexa.domain.pods.requests import requests
from hexa.domain.pods.selectors import selects
from hexa.domain.resources.core import LabelSelector, Pod

ONE: Final = Decimal(1)
PORT: Final = "hostPort "
APART: Final = "podAntiAffinity "


def asked_of_node(pod: Pod) -> dict[str, Decimal]:
    """What the pod asks of its node, by resource, with what no other pod can have beside it."""
    return {**requests(pod), **dict.fromkeys((*_ports(pod), *_apart(pod)), ONE)}


def each_node_has(name: str) -> Decimal:
    """How much of it a node has that does not tell."""
    return ONE if name.startswith((PORT, APART)) else Decimal(0)


def _ports(pod: Pod) -> Iterator[str]:
    sidecars = (each for each in pod.spec.init_containers if each.restart_policy == "Always")
    for container in (*pod.spec.containers, *sidecars):
        yield from (f"{PORT}{port.protocol}/{port.host_port}" for port in container.ports if port.host_port)


def _apart(pod: Pod) -> Iterator[str]:
    """One name for each rule that keeps replicas of the pod's own workload on nodes of their own."""
    anti = pod.spec.affinity.get("podAntiAffinity")
    rules = anti.get("requiredDuringSchedulingIgnoredDuringExecution") if isinstance(anti, dict) else None
    for rule in rules if isinstance(rules, list) else ():
        if isinstance(rule, dict) and rule.get("topologyKey") == HOSTNAME_LABEL and _own(rule, pod):
            said = json.dumps([rule.get("labelSelector"), _same(rule, pod)], sort_keys=True)
            yield f"{APART}{pod.metadata.namespace} {said}"


def _own(rule: dict[str, Any], pod: Pod) -> bool:
    """Whether the rule is about pods like this one."""
    if rule.get("namespaceSelector") is not None or pod.metadata.namespace not in (
        rule.get("namespaces") or [pod.metadata.namespace]
    ):
        return False
    try:
        selector = msgspec.convert(rule.get("labelSelector"), LabelSelector)
    except msgspec.ValidationError:
        return False
    return selects(selector, pod.metadata.labels)


def _same(rule: dict[str, Any], pod: Pod) -> list[str | None]:
    """Values of the labels by which replicas of another revision count as others."""
    keys = [*(rule.get("matchLabelKeys") or ()), *(rule.get("mismatchLabelKeys") or ())]
    return [pod.metadata.labels.get(key) for key in keys]
