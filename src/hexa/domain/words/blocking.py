"""The one rule that keeps an idle machine on: of hexa, of its group, or of a pod by which Cluster Autoscaler leaves it alone.

It judges nothing anew: vetoes come from the table of rules, pods from `pods.drain` and, in Cluster Autoscaler's own words, from
`pods.undrainable`.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final

from msgspec import Struct

from hexa.domain.machine.lifecycle import Phase
from hexa.domain.pods.budgets import blocked_by_budgets, covers
from hexa.domain.pods.drain import FINISHED, PINNED_POD, Blocker, Plan, pod_name, stays
from hexa.domain.pods.pending import pinned_to, sound
from hexa.domain.pods.requests import requests
from hexa.domain.pods.undrainable import SYSTEM_POD, Skips, ignored, why_kept
from hexa.domain.quantity import amounts, total
from hexa.domain.resources.core import KubeNode, Malformed, Pod, PodDisruptionBudget
from hexa.domain.words.explain import obstacle
from hexa.domain.words.kept import Reason, kept_on
from hexa.domain.words.known import Known

STAYS_ON: Final = frozenset({Phase.READY, Phase.DRAINING, Phase.STOP_FAILED})
"""Phases of machines of which it is asked why they are on."""
THRESHOLD: Final = 0.5
"""Cluster Autoscaler's --scale-down-utilization-threshold."""
IN_USE: Final = "InUse"
NOT_YET: Final = "NotYet"
REMEDIES: Final = {
    SYSTEM_POD: "give it a disruption budget, or run it on nodes outside all groups",
    PINNED_POD: "let it run elsewhere too, or scale it down",
    "NoRoom": "free room there, or hexa off {machine} --make-room",
}


class OnMachine(Struct, frozen=True, kw_only=True):
    """What runs on a machine."""

    pods: tuple[Pod | Malformed, ...]
    plan: Plan
    """What a drain that hexa begins would do."""
    budgets: tuple[PodDisruptionBudget, ...] = ()
    skips: Skips = Skips()
    """Flags of Cluster Autoscaler."""


def keeper(known: Known, seen: OnMachine | None) -> Reason:
    """The one rule that keeps the machine on. `seen`: None: its pods are not known, and rules alone are told."""
    return next((found for found in _keepers(known, seen) if found is not None), None) or _nothing(known)


def _keepers(known: Known, seen: OnMachine | None) -> Iterator[Reason | None]:
    """What may keep it on, the first thing first; each is asked for only if nothing before it does."""
    yield obstacle(known)
    yield _used(known, seen)
    yield next(iter(kept_on(known)), None)
    yield next(_by_pods(known, seen), None)


def idle(reason: Reason) -> bool:
    """Whether the machine that is kept by it is not in use."""
    return reason.rule != IN_USE


def _used(known: Known, seen: OnMachine | None) -> Reason | None:
    """So much is asked of it that Cluster Autoscaler does not take it for idle."""
    kube = known.kube
    if kube is None or seen is None:
        return None
    threshold = known.policy.options.scale_down_utilization_threshold
    threshold = THRESHOLD if threshold is None else threshold
    asked = total(requests(pod) for pod in seen.pods if isinstance(pod, Pod) and pod.status.phase not in FINISHED)
    there = amounts(kube.status.allocatable)
    shares = {name: float(asked.get(name, 0) / there[name]) for name in ("cpu", "memory") if there.get(name)}
    name = max(shares, key=lambda each: shares[each], default="")
    if not name or shares[name] <= threshold:
        return None
    text = f"its pods ask for {shares[name]:.0%} of its {name}, and above {threshold:.0%} it is in use"
    return Reason(rule=IN_USE, text=text, object=f"Kubernetes node {kube.metadata.name}")


def _by_pods(known: Known, seen: OnMachine | None) -> Iterator[Reason]:
    kube = known.kube
    if kube is None or seen is None:
        return
    by_name = {pod_name(pod): pod for pod in seen.pods}
    own = (_named(blocker, by_name.get(blocker.pod), kube) for blocker in seen.plan.blockers)
    pods = [pod for pod in seen.pods if isinstance(pod, Pod) and not stays(pod)]
    for blocker in (*own, *_by_autoscaler(pods, seen, known.now), *blocked_by_budgets(pods, seen.budgets)):
        remedy = REMEDIES.get(blocker.reason, f"hexa drain-check {known.key}").format(machine=known.key)
        yield Reason(rule=blocker.reason, text=blocker.message, object=f"Pod {blocker.pod}", remedy=remedy)


def _named(blocker: Blocker, pod: Pod | Malformed | None, kube: KubeNode) -> Blocker:
    """A pod that fits nowhere else because it names the machine says so."""
    pinned = isinstance(pod, Pod) and sound(pod.spec.affinity) and pinned_to(kube, pod)
    if blocker.reason != "NoRoom" or not pinned:
        return blocker
    return Blocker(blocker.pod, PINNED_POD, f"it can run on {kube.metadata.name} only, which it names")


def _by_autoscaler(pods: Sequence[Pod], seen: OnMachine, now: datetime) -> Iterator[Blocker]:
    """Pods for which Cluster Autoscaler leaves the node alone; those that a budget covers are told by the budget."""
    for pod in pods:
        if ignored(pod):
            continue
        made = pod.metadata.creation_timestamp
        age = (now - made).total_seconds() if made is not None else 0.0
        covered = any(covers(budget, pod) for budget in seen.budgets)
        kept = why_kept(pod, seen.skips, covered=covered, exhausted="", age=age)
        if kept is not None:
            yield Blocker(pod_name(pod), kept.rule, f"{kept.text}, so Cluster Autoscaler leaves its node alone")


def _nothing(known: Known) -> Reason:
    given = known.policy.options.scale_down_unneeded_time
    after = f"{given:g} s" if given is not None else "its own --scale-down-unneeded-time"
    text = f"nothing keeps it: Cluster Autoscaler asks for its off once it was unneeded for {after}"
    return Reason(rule=NOT_YET, text=text, object=f"Node {known.key}")
