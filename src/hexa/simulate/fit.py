"""Whether the pods of a scenario could run on any of its machines, however empty. It plays nothing."""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any, Final

import msgspec

from hexa.domain.names import GROUP_LABEL, HOSTNAME_LABEL
from hexa.domain.pods.drain import REPELLING, tolerated
from hexa.domain.policy.problem import Problem
from hexa.domain.quantity import parse_quantity
from hexa.domain.written.shape import Path
from hexa.simulate.scenario import Machines, PodShape, Scenario, machine_names

REMEDY: Final = "ask for less, correct selector or tolerations, or add a machine that takes it"
SHOWN: Final = 3
"""Kinds of machines whose obstacle is told."""

Placed = tuple[Path, Problem]


def misfitting_pods(scenario: Scenario) -> Iterator[Placed]:
    """Workloads whose pods fit on no machine of the site, each with what stands against it."""
    selectors = group_selectors(scenario)
    for path, shape in _shapes(scenario):
        found = [obstacle(row, shape, selectors.get(row.group, {})) for row in scenario.machines]
        if all(found):
            told = [f"{row.name}: {text}" for row, text in zip(scenario.machines, found, strict=True)]
            more = [f"{len(told) - SHOWN} more kinds of machines"] if len(told) > SHOWN else []
            text = f"its pods fit on no machine ({'; '.join([*told[:SHOWN], *more])})"
            yield (*path, "pods"), Problem(f"{path[0]}[{path[1]}].pods", text, REMEDY)


def _shapes(scenario: Scenario) -> Iterator[tuple[Path, PodShape]]:
    yield from ((("services", index), service.pods) for index, service in enumerate(scenario.services))
    yield from ((("jobs", index), jobs.pods) for index, jobs in enumerate(scenario.jobs))


def group_selectors(scenario: Scenario) -> dict[str, dict[str, str]]:
    """By the name of the group: the labels that its members carry."""
    return {_name(group): (group.get("spec") or {}).get("nodeSelector") or {} for group in scenario.groups}


def _name(group: Mapping[str, Any]) -> str:
    return str((group.get("metadata") or {}).get("name"))


def labels_of(row: Machines, name: str, selector: Mapping[str, str]) -> dict[str, str]:
    """Labels of a machine's Kubernetes node once it is Ready: its own, and those of its group."""
    grouped = {GROUP_LABEL: row.group} if row.group else {}
    return {HOSTNAME_LABEL: name, **row.labels, **selector, **grouped}


def obstacle(row: Machines, shape: PodShape, selector: Mapping[str, str]) -> str:
    """What keeps a pod from an empty machine of the row; empty: nothing does."""
    for name, wanted in _requests(shape).items():
        there = _capacity(row).get(name, Decimal(0))
        if wanted > there:
            return f"{name} {_plain(wanted)} is more than its {_plain(there)}" if there else f"it has no {name}"
    for taint in row.taints:
        if taint.effect in REPELLING and not tolerated(taint, shape.tolerations):
            return f"the taint {taint.key} is not tolerated"
    every = [labels_of(row, name, selector) for name in machine_names(row)]
    for key, value in shape.node_selector.items():
        if not any(labels.get(key) == value for labels in every):
            return f"it has no label {key}={value}"
    return ""


def _requests(shape: PodShape) -> dict[str, Decimal]:
    return _amounts({"cpu": shape.cpu, "memory": shape.memory, **shape.resources})


def _capacity(row: Machines) -> dict[str, Decimal]:
    return _amounts({"cpu": row.cpu, "memory": row.memory, **row.resources})


def _amounts(written: Mapping[str, Any]) -> dict[str, Decimal]:
    return {name: parse_quantity(str(msgspec.to_builtins(amount))) for name, amount in written.items()}


def _plain(amount: Decimal) -> str:
    gib = amount / 2**30
    return f"{gib.normalize():f}Gi" if gib >= 1 and gib == gib.to_integral_value() else f"{amount.normalize():f}"
