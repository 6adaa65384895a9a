"""What a drain of a machine would do now: who goes in which order, who blocks and why. It evicts nothing."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec
from msgspec import Struct, structs

from hexa.app.commands.shared.snapshot import NotThere, Snapshot
from hexa.app.pods import drain_plan, pods_on
from hexa.domain.machine.lifecycle import Phase
from hexa.domain.machine.reason import Veto
from hexa.domain.machine_view import MachineView
from hexa.domain.pods.budgets import blocked_by_budgets
from hexa.domain.pods.drain import Blocker, Plan, controller_kind, pod_name, stays
from hexa.domain.pods.left import outlasting
from hexa.domain.resources.core import BUDGETS, Malformed, Pod
from hexa.domain.resources.v1alpha1 import Asker, Power
from hexa.ports.kube import Kube

DRAINABLE = (Phase.READY, Phase.DRAINING, Phase.LOST, Phase.STOP_FAILED)


class Going(Struct, frozen=True, kw_only=True, rename="camel"):
    """A pod that would be asked to go."""

    pod: str
    controller: str
    priority: int
    leaving: bool = False
    """It is on its way out already."""


class Check(Struct, frozen=True, kw_only=True, rename="camel"):
    """The answer for one machine."""

    machine: str
    kubernetes_node: str
    going: tuple[Going, ...] = ()
    """In the order in which they are asked."""
    staying: int = 0
    """Pods of DaemonSets, static and finished ones: a drain leaves them alone."""
    blockers: tuple[Blocker, ...] = ()
    slow: tuple[Blocker, ...] = ()
    """Pods that may need longer to end than a drain lasts."""
    homeless: tuple[Pod, ...] = ()
    """Of the pods that block those that fit on no other node."""
    forbidden: tuple[Veto, ...] = ()
    """Rules that forbid the drain to begin."""
    forced: bool = False
    """At its deadline the machine is switched off with what is left."""
    deadline: timedelta = timedelta(0)
    there: bool = True
    """Whether there is a Kubernetes node to drain."""

    @property
    def ends(self) -> bool:
        """Whether a drain would begin, and end with every pod gone."""
        return not self.blockers and not self.forbidden

    def told(self) -> dict[str, Any]:
        """Everything as builtins, for programs."""
        told: dict[str, Any] = msgspec.to_builtins(structs.replace(self, homeless=()))
        del told["homeless"]  # they stand among the blockers
        return {**told, "deadline": self.deadline.total_seconds(), "ends": self.ends}


async def check(kube: Kube, view: MachineView, *, now: datetime, forbidden: Sequence[Veto] = ()) -> Check:
    """Look at the machine's pods as a drain that begins now would."""
    pods = await pods_on(kube, view.kube_name) if view.kube is not None else ()
    plan = await drain_plan(kube, view, pods, by=_asker(view, now), forced=False)
    refused = await _refused(kube, plan)
    return Check(
        machine=str(view.key),
        kubernetes_node=view.kube_name,
        going=_going(plan, {blocker.pod for blocker in refused}),
        staying=sum(map(stays, pods)),
        blockers=(*plan.blockers, *refused),
        slow=tuple(outlasting((*plan.evict, *plan.leaving), longest=view.policy.drain.grace, limit=view.limits.drain)),
        homeless=plan.homeless,
        forbidden=tuple(forbidden),
        forced=view.policy.drain.force,
        deadline=view.limits.drain,
        there=view.kube is not None,
    )


def _asker(view: MachineView, now: datetime) -> Asker | None:
    """Whose drain it would be: Cluster Autoscaler's, if its off stands, has rules of its own."""
    wish = view.wish(now)
    return wish.by if wish is not None and wish.power is Power.OFF else None


def _going(plan: Plan, refused: set[str]) -> tuple[Going, ...]:
    asked = [_pod(pod) for pod in plan.evict if pod_name(pod) not in refused]
    return (*(_pod(pod, leaving=True) for pod in plan.leaving), *asked)


def _pod(pod: Pod, *, leaving: bool = False) -> Going:
    return Going(pod=pod_name(pod), controller=controller_kind(pod), priority=pod.spec.priority, leaving=leaving)


async def _refused(kube: Kube, plan: Plan) -> list[Blocker]:
    """Pods whose eviction a disruption budget would refuse now."""
    if not plan.evict:
        return []
    found = [budget for budget in (await kube.list(BUDGETS)).items if not isinstance(budget, Malformed)]
    return list(blocked_by_budgets(plan.evict, found))


async def check_all(
    kube: Kube, snapshot: Snapshot, names: Sequence[str], *, namespace: str | None
) -> tuple[list[Check], list[str]]:
    """The answer for each machine that was named, and what is wrong with the names."""
    found, wrong = list[Check](), list[str]()
    for name in dict.fromkeys(names):
        try:
            key = snapshot.pick(name, namespace=namespace, groups=False).machines[0]
        except NotThere as error:
            wrong.append(str(error))
            continue
        view = snapshot.views.machine(key)
        if view is None:
            wrong.append(f"{key} does not decode: hexa why {key}")
        else:
            forbidden = view.off_vetoes(snapshot.now)
            found.append(await check(kube, view, now=snapshot.now, forbidden=forbidden))
    return found, wrong
