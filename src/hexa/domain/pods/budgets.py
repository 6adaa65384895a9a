"""Which evictions a disruption budget refuses, by the Eviction API's own rules. It asks nobody and evicts nothing.

The facts: kubernetes.io, "API-initiated Eviction" and "Specifying a Disruption Budget".
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from hexa.domain.pods.drain import FINISHED, Blocker, pod_name
from hexa.domain.pods.selectors import selects
from hexa.domain.resources.core import Pod, PodDisruptionBudget

DISRUPTION_BUDGET: Final = "DisruptionBudget"


def blocked_by_budgets(pods: Iterable[Pod], budgets: Sequence[PodDisruptionBudget]) -> Iterator[Blocker]:
    """The pods whose eviction would be refused now, each asked by itself."""
    for pod in pods:
        standing = [budget for budget in budgets if covers(budget, pod)]
        if len(standing) > 1 and _counted(pod):
            names = ", ".join(_name(budget) for budget in standing)
            text = f"several PDBs cover it ({names}), and the Eviction API refuses that; narrow their selectors"
            yield Blocker(pod_name(pod), "SeveralDisruptionBudgets", text)
        elif standing and _counted(pod) and _refuses(standing[0], pod):
            yield Blocker(pod_name(pod), DISRUPTION_BUDGET, _refusal(standing[0]))


def _refusal(budget: PodDisruptionBudget) -> str:
    status = budget.status
    healthy = f"{status.current_healthy} of {status.expected_pods} pods are healthy, {status.desired_healthy} must be"
    return f"PDB {_name(budget)} allows 0 disruptions ({healthy}); add a replica, or loosen the PDB"


def _name(budget: PodDisruptionBudget) -> str:
    return f"{budget.metadata.namespace}/{budget.metadata.name}"


def _counted(pod: Pod) -> bool:
    """Pods that a budget has no say in: finished, not yet running, or on their way out."""
    return pod.status.phase not in (*FINISHED, "Pending") and pod.metadata.deletion_timestamp is None


def _refuses(budget: PodDisruptionBudget, pod: Pod) -> bool:
    status, ready = budget.status, any(c.type == "Ready" and c.status == "True" for c in pod.status.conditions)
    if not ready:  # it is not counted as healthy: losing it may break nothing
        if budget.spec.unhealthy_pod_eviction_policy == "AlwaysAllow":
            return False
        if 0 < status.desired_healthy <= status.current_healthy:
            return False
    return status.disruptions_allowed <= 0


def covers(budget: PodDisruptionBudget, pod: Pod) -> bool:
    """Whether the budget selects the pod."""
    return budget.metadata.namespace == pod.metadata.namespace and selects(budget.spec.selector, pod.metadata.labels)
