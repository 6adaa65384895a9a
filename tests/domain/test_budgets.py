"""Which evictions a disruption budget refuses: as the Eviction API says, so that drain-check says the same."""

import pytest
from msgspec import structs
from tests.domain.builders import T0, pod

from hexa.domain.pods.budgets import blocked_by_budgets
from hexa.domain.pods.selectors import selects
from hexa.domain.resources.core import (
    Condition,
    LabelSelector,
    LabelSelectorRequirement,
    Metadata,
    Pod,
    PodDisruptionBudget,
    PodDisruptionBudgetSpec,
    PodDisruptionBudgetStatus,
    PodStatus,
)

WEB = LabelSelector(match_labels={"app": "web"})


def web(*, phase: str = "Running", ready: bool = True, leaving: bool = False, namespace: str = "apps") -> Pod:
    """A pod that the budgets below cover."""
    base = pod("web-1")
    labelled = structs.replace(
        base.metadata, labels={"app": "web"}, namespace=namespace, deletion_timestamp=T0 if leaving else None
    )
    conditions = (Condition(type="Ready", status="True" if ready else "False"),)
    return structs.replace(base, metadata=labelled, status=PodStatus(phase=phase, conditions=conditions))


def budget(name: str = "web", *, allowed: int = 0, healthy: int = 1, policy: str = "") -> PodDisruptionBudget:
    """A budget that wants one healthy pod."""
    return PodDisruptionBudget(
        metadata=Metadata(name=name, namespace="apps"),
        spec=PodDisruptionBudgetSpec(selector=WEB, unhealthy_pod_eviction_policy=policy),
        status=PodDisruptionBudgetStatus(
            disruptions_allowed=allowed, current_healthy=healthy, desired_healthy=1, expected_pods=1
        ),
    )


@pytest.mark.parametrize(
    ("one", "budgets", "reason"),
    [
        (web(), [budget()], "DisruptionBudget"),
        (web(), [budget(allowed=1)], ""),
        (web(), [], ""),
        (web(), [budget(allowed=1), budget("all", allowed=1)], "SeveralDisruptionBudgets"),
        (web(namespace="other"), [budget()], ""),
        (web(phase="Pending", ready=False), [budget(), budget("all")], ""),
        (web(leaving=True), [budget()], ""),
        (web(ready=False), [budget(healthy=1)], ""),
        (web(ready=False), [budget(healthy=0)], "DisruptionBudget"),
        (web(ready=False), [budget(healthy=0, policy="AlwaysAllow")], ""),
    ],
)
def test_budgets_refuse_as_the_eviction_api_does(one: Pod, budgets: list[PodDisruptionBudget], reason: str) -> None:
    """Pods that count are refused while nothing may be disrupted; those that don't count go."""
    found = list(blocked_by_budgets([one], budgets))
    assert [blocker.reason for blocker in found] == ([reason] if reason else [])
    assert all("PDB" in blocker.message and "; " in blocker.message for blocker in found)


@pytest.mark.parametrize(
    ("operator", "values", "chosen"),
    [
        ("In", ("web", "db"), True),
        ("In", ("db",), False),
        ("NotIn", ("db",), True),
        ("NotIn", ("web",), False),
        ("Exists", (), True),
        ("DoesNotExist", (), False),
        ("Like", ("w*",), False),
    ],
)
def test_expressions_choose(operator: str, values: tuple[str, ...], chosen: bool) -> None:
    """Each operator of a selector; one that is not known chooses nothing."""
    requirement = LabelSelectorRequirement(key="app", operator=operator, values=values)
    assert selects(LabelSelector(match_expressions=(requirement,)), {"app": "web"}) is chosen


def test_absent_selectors_choose_nothing_and_empty_ones_all() -> None:
    """As the API server has it for policy/v1."""
    assert not selects(None, {"app": "web"})
    assert selects(LabelSelector(), {})
    assert not selects(WEB, {"app": "db"})
