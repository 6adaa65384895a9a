"""Pods of a machine, read fresh from the API server, and what a drain would do with them."""

from collections.abc import Iterable, Sequence

from hexa.app.view import MachineView, ready
from hexa.domain.drain import Blocker, Plan, claims_of, homeless, plan, pod_name, room_of
from hexa.domain.group import DrainRules
from hexa.domain.resources.core import CLAIMS, NODES, PODS, VOLUMES, KubeNode, Malformed, PersistentVolume, Pod
from hexa.domain.resources.v1alpha1 import Asker
from hexa.ports.kube import Kube, Selector


async def pods_on(kube: Kube, node: str) -> tuple[Pod | Malformed, ...]:
    """Every pod bound to the Kubernetes node, read fresh; those that do not decode are there all the same."""
    return (await kube.list(PODS, Selector(fields=f"spec.nodeName={node}"))).items


def rules_of(view: MachineView, *, by: Asker | None) -> DrainRules:
    """What the drain may do. Cluster Autoscaler judged emptyDir data by its own flags before it asked."""
    rules = view.policy.drain
    if by is not Asker.CLUSTER_AUTOSCALER:
        return rules
    return DrainRules(force=rules.force, grace=rules.grace, empty_dir=True, pinned=rules.pinned, bare=rules.bare)


async def drain_plan(
    kube: Kube, view: MachineView, pods: Iterable[Pod | Malformed], *, by: Asker | None, forced: bool
) -> Plan:
    """What to evict, what blocks. For drains that hexa starts, pods that fit nowhere else block too."""
    pods = tuple(pods)
    rules = rules_of(view, by=by)
    pinned = frozenset() if rules.pinned else await _pinned_claims(kube, [pod for pod in pods if isinstance(pod, Pod)])
    planned = plan(pods, rules=rules, pinned_claims=pinned, forced=forced)
    if forced or by is Asker.CLUSTER_AUTOSCALER or not planned.evict or planned.blockers:
        return planned
    unplaced = await _homeless(kube, view.kube_name, planned.evict)
    blockers = tuple(Blocker(pod_name(pod), "NoRoom", "it fits on no other node") for pod in unplaced)
    if not blockers:
        return planned
    stuck = {pod.metadata.uid for pod in unplaced}
    return Plan(tuple(p for p in planned.evict if p.metadata.uid not in stuck), planned.leaving, blockers)


async def _pinned_claims(kube: Kube, pods: Sequence[Pod]) -> frozenset[str]:
    """NAMESPACE/NAME of the pods' claims whose volume is local to a node, or may be: it, or the claim, does not decode."""
    wanted = {(pod.metadata.namespace, claim) for pod in pods for claim in claims_of(pod)}
    if not wanted:
        return frozenset()
    volumes = {volume.metadata.name: volume for volume in (await kube.list(VOLUMES)).items}
    found = set()
    for namespace in sorted({namespace for namespace, _ in wanted}):
        for claim in (await kube.list(CLAIMS, Selector(namespace=namespace))).items:
            if (namespace, claim.metadata.name) not in wanted:
                continue
            if isinstance(claim, Malformed) or _pinned(volumes.get(claim.spec.volume_name)):
                found.add(f"{namespace}/{claim.metadata.name}")
    return frozenset(found)


def _pinned(volume: PersistentVolume | Malformed | None) -> bool:
    if isinstance(volume, Malformed):
        return True
    return volume is not None and (volume.spec.local is not None or volume.spec.host_path is not None)


async def _homeless(kube: Kube, node: str, pods: tuple[Pod, ...]) -> list[Pod]:
    nodes = [n for n in (await kube.list(NODES)).items if not isinstance(n, Malformed) and _hospitable(n, node)]
    by_node: dict[str, list[Pod]] = {}
    unknown = set[str]()
    for pod in (await kube.list(PODS)).items:
        if isinstance(pod, Malformed):
            unknown.add(pod.node_name)  # what it takes of its node, nobody knows
        else:
            by_node.setdefault(pod.spec.node_name, []).append(pod)
    names = {node.metadata.name: node for node in nodes if node.metadata.name not in unknown}
    return homeless(pods, [room_of(node, by_node.get(name, ())) for name, node in names.items()])


def _hospitable(node: KubeNode, leaving: str) -> bool:
    return node.metadata.name != leaving and ready(node) and not node.spec.unschedulable
