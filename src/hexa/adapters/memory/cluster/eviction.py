"""The Eviction API and the disruption budgets that it asks; a small controller keeps the budgets' status.

A percentage or `maxUnavailable` is measured against the scale of the pods' ReplicaSets; pods without one don't count.
"""

import math
from typing import Any, Final

from hexa.adapters.memory.cluster.api import MemoryApi
from hexa.adapters.memory.cluster.conditions import is_true, with_condition
from hexa.adapters.memory.cluster.kinds import REPLICA_SETS
from hexa.adapters.memory.cluster.selectors import labels_of, selector_test
from hexa.adapters.memory.cluster.store import Builtins, Event, Key, Stored
from hexa.domain.resources.core import BUDGETS, PODS, Malformed, PodDisruptionBudget
from hexa.ports.kube import Blocked, ChangeType, Evicted

FINISHED: Final = ("Succeeded", "Failed")


def evict(api: MemoryApi, key: Key, *, uid: str = "", grace: int | None = None) -> Evicted | Blocked:
    """What a POST of an Eviction does."""
    namespace, name = key
    if (pod := api.get(PODS, name, namespace)) is None:
        return Evicted()
    if uid and uid != pod.uid:
        return Evicted()  # the one that was meant is gone
    status, metadata = pod.raw["status"], pod.raw["metadata"]
    at_work = status.get("phase") not in (*FINISHED, "Pending") and "deletionTimestamp" not in metadata
    if at_work and (blocked := _ask_budget(api, pod)) is not None:
        return blocked
    condition = with_condition(
        status.get("conditions", []), "DisruptionTarget", "True", api.now(), reason="EvictionByEvictionAPI"
    )
    api.write(PODS, pod, status={**status, "conditions": condition})
    api.delete(PODS, key, grace=grace)
    return Evicted()


def _ask_budget(api: MemoryApi, pod: Stored) -> Blocked | None:
    budgets = [budget for budget in _budgets(api, pod.key[0]) if _covers(budget[1], pod.raw)]
    if not budgets:
        return None
    if len(budgets) > 1:
        return Blocked(
            "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."
        )
    stored, budget = budgets[0]
    status = stored.raw.get("status") or {}
    desired, healthy, allowed = (
        status.get(name, 0) for name in ("desiredHealthy", "currentHealthy", "disruptionsAllowed")
    )
    if not is_true(pod.raw["status"], "Ready") and 0 < desired <= healthy:
        return None  # it is not counted as healthy, so losing it breaks nothing
    if allowed <= 0:
        name = budget.metadata.name
        return Blocked(f"The disruption budget {name} needs {desired} healthy pods and has {healthy} currently")
    return None  # the budget counts anew as soon as the pod is on its way out


def _budgets(api: MemoryApi, namespace: str) -> list[tuple[Stored, PodDisruptionBudget]]:
    found = []
    for stored in api.find(BUDGETS, lambda raw: raw["metadata"].get("namespace") == namespace):
        budget = stored.decoded(BUDGETS)
        if not isinstance(budget, Malformed):
            found.append((stored, budget))
    return found


def _covers(budget: PodDisruptionBudget, pod: Builtins) -> bool:
    return selector_test(budget.spec.selector)(labels_of(pod))


class BudgetController:
    """Keeps `status` of every budget true, as soon as something that counts has changed."""

    def __init__(self, api: MemoryApi) -> None:
        self._api = api
        api.listen(BUDGETS, self._budget_changed)
        api.listen(PODS, self._pod_changed)

    def __repr__(self) -> str:
        return "<BudgetController>"

    def _budget_changed(self, event: Event) -> None:
        if event.old is None or event.old.raw.get("spec") != event.stored.raw.get("spec"):
            self._count(event.stored.key)

    def _pod_changed(self, event: Event) -> None:
        if not self._api.table(BUDGETS).objects or not _matters(event):
            return
        pod = event.stored
        for stored, budget in _budgets(self._api, pod.key[0]):
            if _covers(budget, pod.raw) or (event.old is not None and _covers(budget, event.old.raw)):
                self._count(stored.key)

    def _count(self, key: Key) -> None:
        stored = self._api.get(BUDGETS, key[1], key[0])
        if stored is None or isinstance(budget := stored.decoded(BUDGETS), Malformed):
            return
        pods = [
            pod.raw
            for pod in self._api.table(PODS).objects.values()
            if pod.key[0] == key[0] and _covers(budget, pod.raw)
        ]
        scale = self._scale(pods)
        healthy, desired = sum(map(_healthy, pods)), _desired(budget, scale)
        expected = len(pods) if isinstance(budget.spec.min_available, int) else scale
        self._api.write(
            BUDGETS,
            stored,
            status={
                "disruptionsAllowed": max(0, healthy - desired) if expected else 0,
                "currentHealthy": healthy,
                "desiredHealthy": desired,
                "expectedPods": expected,
                "observedGeneration": budget.metadata.generation,
            },
        )

    def _scale(self, pods: list[Builtins]) -> int:
        owners = {
            (pod["metadata"]["namespace"], owner["name"])
            for pod in pods
            for owner in pod["metadata"].get("ownerReferences", ())
            if owner.get("controller") and owner["kind"] == REPLICA_SETS.name
        }
        sets = [self._api.get(REPLICA_SETS, name, namespace) for namespace, name in owners]
        return sum(stored.raw["spec"].get("replicas", 1) for stored in sets if stored is not None)


def _matters(event: Event) -> bool:
    if event.old is None or event.type is ChangeType.DELETED:
        return True
    before, now = event.old.raw, event.stored.raw
    return _standing(before) != _standing(now) or labels_of(before) != labels_of(now)


def _standing(pod: Builtins) -> tuple[bool, bool]:
    return _healthy(pod), "deletionTimestamp" in pod["metadata"]


def _healthy(pod: Builtins) -> bool:
    """Ready and not on its way out."""
    finished = pod["status"].get("phase") in FINISHED
    return not finished and "deletionTimestamp" not in pod["metadata"] and is_true(pod["status"], "Ready")


def _desired(budget: PodDisruptionBudget, scale: int) -> int:
    if budget.spec.max_unavailable is not None:
        return max(0, scale - _number(budget.spec.max_unavailable, scale))
    return _number(1 if budget.spec.min_available is None else budget.spec.min_available, scale)


def _number(value: Any, total: int) -> int:
    """An int or a percentage of `total`, rounded up as Kubernetes does for budgets."""
    if isinstance(value, str) and value.endswith("%"):
        return math.ceil(int(value[:-1]) * total / 100)
    return int(value)
