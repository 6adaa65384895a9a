"""What the autoscaler knows of nodes, pods and disruption budgets, fed by watches.

It keeps sums for each node up to date, so that a loop costs what changed and not what exists. It decides nothing.
"""

from collections.abc import Callable, Container, Iterable, Iterator
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from hexa.domain.names import CA_TO_BE_DELETED_TAINT, MIRROR_ANNOTATION
from hexa.domain.pods.drain import FINISHED, controller_kind, pod_name
from hexa.domain.pods.requests import requests
from hexa.domain.pods.undrainable import SYSTEM_NAMESPACE
from hexa.domain.quantity import amounts
from hexa.domain.resources.core import (
    BUDGETS,
    NODES,
    PODS,
    KubeNode,
    Malformed,
    Metadata,
    Pod,
    PodDisruptionBudget,
)
from hexa.ports.kube import Change, ChangeType

Amounts = dict[str, Decimal]
ZERO: Final = Decimal(0)
STARTUP_PREFIXES: Final = (
    "startup-taint.cluster-autoscaler.kubernetes.io/",
    "ignore-taint.cluster-autoscaler.kubernetes.io/",
)
UNREADY_TAINTS: Final = frozenset(
    {"node.kubernetes.io/not-ready", "node.kubernetes.io/disk-pressure", "node.kubernetes.io/network-unavailable"}
)
PRESSURES: Final = frozenset({"DiskPressure", "NetworkUnavailable"})


class PodView:
    """A pod with what is asked of it again and again."""

    __slots__ = ("kind", "name", "needs", "node", "pending", "plain", "pod", "similar", "stays")

    def __init__(self, pod: Pod, known: "PodView | None") -> None:
        same = known is not None and known.pod.metadata.uid == pod.metadata.uid
        self.pod: Final[Pod] = pod
        self.name: Final = pod_name(pod)
        self.node: Final = pod.spec.node_name
        self.kind: Final = controller_kind(pod)
        self.needs: Final[Amounts] = known.needs if same and known is not None else _needs(pod)
        self.similar: Final[object] = known.similar if same and known is not None else _similar(pod, self.needs)
        self.stays: Final = self.kind == "DaemonSet" or MIRROR_ANNOTATION in pod.metadata.annotations
        self.pending: Final = not self.node and _unschedulable(pod)
        metadata = pod.metadata
        self.plain: Final = (
            not self.stays and not metadata.deletion_timestamp and metadata.namespace != SYSTEM_NAMESPACE
        )

    def __repr__(self) -> str:
        return f"<PodView {self.name} on {self.node or 'no node'}>"

    @property
    def recreated(self) -> bool:
        """Whether a controller makes another when this one goes."""
        return bool(self.kind) and not self.stays

    def age(self, now: datetime) -> float:
        """Seconds since its creation."""
        created = self.pod.metadata.creation_timestamp
        return (now - created).total_seconds() if created else float("inf")


class NodeView:
    """A Kubernetes node, its pods and what they leave free."""

    __slots__ = (
        "_free",
        "_plain",
        "_startup_taints",
        "allocatable",
        "node",
        "pods",
        "ready",
        "suspended",
        "to_be_deleted",
    )

    def __init__(self, node: KubeNode, startup_taints: Container[str] = ()) -> None:
        self._startup_taints = startup_taints
        self.pods: Final[dict[str, PodView]] = {}
        self.update(node)

    def __repr__(self) -> str:
        return f"<NodeView {self.name} {'ready' if self.ready else 'unready'} {len(self.pods)} pods>"

    def update(self, node: KubeNode) -> None:
        self.node = node
        self.allocatable = amounts(node.status.allocatable)
        self.ready = is_ready(node, self._startup_taints)
        self.suspended = any(c.type == "Suspended" and c.status == "True" for c in node.status.conditions)
        self.to_be_deleted = taint_value(node, CA_TO_BE_DELETED_TAINT)
        self._free: Amounts | None = None
        self._plain: bool | None = None

    @property
    def name(self) -> str:
        return self.node.metadata.name

    @property
    def created(self) -> datetime | None:
        return self.node.metadata.creation_timestamp

    @property
    def free(self) -> Amounts:
        """Allocatable less the pods' requests; not to be changed."""
        if self._free is None:
            free = dict(self.allocatable)
            for pod in self.pods.values():
                take(free, pod.needs)
            self._free = free
        return self._free

    @property
    def plain(self) -> bool:
        """No pod is terminating, of a DaemonSet or of kube-system: nothing on the node changes with time alone."""
        if self._plain is None:
            self._plain = all(pod.plain for pod in self.pods.values())
        return self._plain

    def put(self, pod: PodView) -> None:
        """A pod that was bound to the node, or another state of one that is."""
        if pod.name not in self.pods:
            self._free = None
        self.pods[pod.name] = pod
        self._plain = None

    def drop(self, name: str) -> None:
        self.pods.pop(name, None)
        self._free = self._plain = None


class ClusterView:
    """Nodes, pods and budgets as last heard of. `version` counts what was heard."""

    def __init__(self, startup_taints: Container[str] = ()) -> None:
        self._startup_taints = startup_taints
        self.version = 0
        self.nodes: Final[dict[str, NodeView]] = {}
        self.pods: Final[dict[str, PodView]] = {}
        self.pending: Final[dict[str, PodView]] = {}
        self.budgets: Final[dict[str, PodDisruptionBudget]] = {}
        self._strays: Final[dict[str, dict[str, PodView]]] = {}  # pods whose node is not known (yet)

    def __repr__(self) -> str:
        return f"<ClusterView {len(self.nodes)} nodes, {len(self.pods)} pods>"

    def replace(self, plural: str, items: Iterable[Any]) -> None:
        """A fresh list of a kind: what is not in it is gone."""
        fresh = {_key(item): item for item in items}
        for key in [key for key in self._table(plural) if key not in fresh]:
            self._forget(plural, key)
        for item in fresh.values():
            self.put(item)
        self.version += 1

    def apply(self, change: Change[Any]) -> None:
        """One event of a watch."""
        if change.type is ChangeType.BOOKMARK or change.object is None:
            return
        self.version += 1
        if change.type is ChangeType.DELETED:
            self.drop(change.object)
        else:
            self.put(change.object)

    def put(self, item: object) -> None:
        match item:
            case Pod():
                self._put_pod(item)
            case KubeNode():
                self._put_node(item)
            case PodDisruptionBudget():
                self.budgets[_key(item)] = item
            case _:
                pass  # malformed: nothing that an autoscaler could reckon with

    def drop(self, item: Any) -> None:
        match item:
            case Pod():
                self._drop_pod(_key(item))
            case KubeNode():
                self._drop_node(_key(item))
            case PodDisruptionBudget():
                self.budgets.pop(_key(item), None)
            case _:
                pass

    def _table(self, plural: str) -> dict[str, Any]:
        tables: dict[str, dict[str, Any]] = {
            NODES.plural: self.nodes,
            PODS.plural: self.pods,
            BUDGETS.plural: self.budgets,
        }
        return tables[plural]

    def _forget(self, plural: str, key: str) -> None:
        forget: dict[str, Callable[[str], object]] = {
            NODES.plural: self._drop_node,
            PODS.plural: self._drop_pod,
            BUDGETS.plural: self.budgets.pop,
        }
        forget[plural](key)

    def _put_node(self, node: KubeNode) -> None:
        name = node.metadata.name
        if (view := self.nodes.get(name)) is not None:
            view.update(node)
            return
        view = self.nodes[name] = NodeView(node, self._startup_taints)
        for pod in self._strays.pop(name, {}).values():
            view.put(pod)

    def _drop_node(self, name: str) -> None:
        if (view := self.nodes.pop(name, None)) is not None and view.pods:
            self._strays[name] = dict(view.pods)

    def _put_pod(self, pod: Pod) -> None:
        key = _key(pod)
        known = self.pods.get(key)
        if pod.status.phase in FINISHED:
            self._drop_pod(key)
            return
        view = PodView(pod, known)
        if known is not None and known.node == view.node:
            known_pending = known.pending
            self.pods[key] = view
            if view.node:
                self._settle(view)
            elif known_pending or view.pending:
                self._set_pending(view)
            return
        if known is not None:
            self._drop_pod(key)
        self.pods[key] = view
        if view.node:
            self._settle(view)
        else:
            self._set_pending(view)

    def _set_pending(self, view: PodView) -> None:
        if view.pending and view.pod.metadata.deletion_timestamp is None:
            self.pending[view.name] = view
        else:
            self.pending.pop(view.name, None)

    def _settle(self, view: PodView) -> None:
        if view.node in self.nodes:
            self.nodes[view.node].put(view)
        else:
            self._strays.setdefault(view.node, {})[view.name] = view

    def _drop_pod(self, key: str) -> None:
        view = self.pods.pop(key, None)
        self.pending.pop(key, None)
        if view is None or not view.node:
            return
        if view.node in self.nodes:
            self.nodes[view.node].drop(key)
        else:
            self._strays.get(view.node, {}).pop(key, None)


def is_ready(node: KubeNode, startup_taints: Container[str] = ()) -> bool:
    """Ready as Cluster Autoscaler sees it: the condition, no pressure on disk or network, no taint that says otherwise: a startup
    taint, by its prefix or by name, among them."""
    ready = False
    for condition in node.status.conditions:
        if condition.type == "Ready":
            ready = condition.status == "True"
        elif condition.type in PRESSURES and condition.status == "True":
            return False
    keys = [taint.key for taint in node.spec.taints]
    return ready and not any(
        key in UNREADY_TAINTS or key in startup_taints or key.startswith(STARTUP_PREFIXES) for key in keys
    )


def ready_since(node: KubeNode) -> datetime | None:
    """When the node last changed between ready and unready."""
    times = (c.last_transition_time for c in node.status.conditions if c.type == "Ready")
    return next(times, None)


def taint_value(node: KubeNode, key: str) -> str | None:
    """Value of the taint; None if the node does not have it."""
    return next((taint.value for taint in node.spec.taints if taint.key == key), None)


def take(free: Amounts, needs: Amounts) -> None:
    """Reserve, whether it fits or not."""
    for name, amount in needs.items():
        free[name] = free.get(name, ZERO) - amount


def _needs(pod: Pod) -> Amounts:
    return requests(pod)


def _similar(pod: Pod, needs: Amounts) -> object:
    """Pods with an equal key go where the others go, or nowhere."""
    owner = next(
        (owner.uid or owner.name for owner in pod.metadata.owner_references if owner.controller), pod_name(pod)
    )
    spec = pod.spec
    return (
        owner,
        frozenset(needs.items()),
        frozenset(spec.node_selector.items()),
        spec.tolerations,
        repr(spec.affinity) if spec.affinity else "",
    )


def _unschedulable(pod: Pod) -> bool:
    return any(
        c.type == "PodScheduled" and c.status == "False" and c.reason == "Unschedulable" for c in pod.status.conditions
    )


def _key(item: Any) -> str:
    metadata: Metadata = item.metadata
    return f"{metadata.namespace}/{metadata.name}" if metadata.namespace else metadata.name


def usable(items: Iterable[Any]) -> Iterator[Any]:
    """Without what does not decode."""
    return (item for item in items if not isinstance(item, Malformed))
