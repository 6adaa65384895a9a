"""A scripted provider, and a cluster made by hand: what the reference autoscaler is tried against."""

from collections.abc import Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any

from hexa.adapters.memory.clock import MemoryClock
from hexa.adapters.memory.cluster.api import MemoryApi
from hexa.adapters.memory.ports.kube import MemoryKube
from hexa.domain.errors import Unavailable
from hexa.domain.resources.core import BUDGETS, NODES, PODS
from hexa.domain.resources.v1alpha1 import Shape
from hexa.ports.cloud import (
    Denied,
    Done,
    ExternalNode,
    Instance,
    InstanceError,
    InstanceErrorClass,
    InstanceState,
    NodeGroup,
    NodeTemplate,
    Options,
    UnknownGroup,
)
from hexa.ports.kube import Patch
from hexa.testing.autoscaler import Settings, open_autoscaler

SHAPE = Shape(
    capacity={"cpu": "4", "memory": "16Gi", "pods": "110"},
    allocatable={"cpu": "4", "memory": "16Gi", "pods": "110"},
    labels={"group": "rack"},
)


NOT_READY = {"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}


class FakeCloud:
    """One or more groups; what is asked for happens at once, unless `deny` says otherwise."""

    def __init__(self) -> None:
        self.group_list: dict[str, NodeGroup] = {}
        self.targets: dict[str, int] = {}
        self.members: dict[str, str] = {}
        self.instance_list: dict[str, dict[str, Instance]] = {}
        self.templates: dict[str, Shape] = {}
        self.group_options: dict[str, Options] = {}
        self.prices: dict[str, float] = {}
        self.deny: set[str] = set()
        self.calls: list[tuple[str, str, Any]] = []
        self.changes = 0
        self.ready = True

    def add(
        self, group: str, *, min_size: int = 0, max_size: int = 5, target: int = 0, shape: Shape | None = SHAPE
    ) -> None:
        self.group_list[group] = NodeGroup(group, min_size, max_size)
        self.targets[group] = target
        self.instance_list[group] = {}
        self.group_options[group] = Options()
        if shape is not None:
            self.templates[group] = shape
        self.changes += 1

    def show(self, group: str, instance: str, state: InstanceState, *, error: str = "") -> None:
        info = InstanceError(error, error, InstanceErrorClass.OTHER) if error else None
        self.instance_list[group][instance] = Instance(instance, state, info)
        self.changes += 1

    def asked(self, verb: str) -> list[Any]:
        return [what for name, _, what in self.calls if name == verb]

    # --- ports.cloud ---

    def version(self) -> int:
        return self.changes

    def groups(self) -> Sequence[NodeGroup]:
        return list(self.group_list.values())

    def group_for_node(self, name: str, provider_id: str) -> NodeGroup | None:
        for group, instances in self.instance_list.items():
            if provider_id in instances:
                return self.group_list[group]
        group = self.members.get(name)
        return self.group_list[group] if group is not None else None

    def target_size(self, group: str) -> int | UnknownGroup:
        return self.targets[group]

    def instances(self, group: str) -> Sequence[Instance] | UnknownGroup:
        return list(self.instance_list[group].values())

    def template(self, group: str) -> NodeTemplate | UnknownGroup | Denied:
        if group not in self.templates:
            return Denied("NoShape", "no shape is known")
        return NodeTemplate(f"template-{group}", self.templates[group])

    def options(self, group: str) -> Options | UnknownGroup:
        return self.group_options[group]

    def node_price(self, node: ExternalNode, start: datetime, end: datetime) -> float | None:
        return self.prices.get(node.name)

    def pod_price(self, pod: Any, start: datetime, end: datetime) -> float:
        return 0.01

    def gpu_label(self) -> str:
        return ""

    def gpu_types(self) -> Sequence[str]:
        return ()

    def refresh(self) -> bool:
        return self.ready

    async def increase_size(self, group: str, *, delta: int) -> Done | UnknownGroup | Denied:
        self.calls.append(("increase_size", group, delta))
        if "increase_size" in self.deny:
            return Denied("NotNow", "not now")
        self.targets[group] += delta
        self.changes += 1
        return Done()

    async def delete_nodes(self, group: str, *, nodes: Sequence[ExternalNode]) -> Done | UnknownGroup | Denied:
        self.calls.append(("delete_nodes", group, [node.name for node in nodes]))
        if "delete_nodes" in self.deny:
            raise Unavailable("the API server is away")
        self.targets[group] -= len(nodes)
        self.changes += 1
        return Done()

    async def decrease_target_size(self, group: str, *, delta: int) -> Done | UnknownGroup | Denied:
        self.calls.append(("decrease_target_size", group, delta))
        self.targets[group] += delta
        self.changes += 1
        return Done()


class Cluster:
    """Nodes, pods and budgets, written by hand."""

    def __init__(self) -> None:
        self.clock = MemoryClock()
        self.api = MemoryApi(self.clock)
        self.kube = MemoryKube(self.api, manager="cluster-autoscaler")
        self.cloud = FakeCloud()
        self.count = 0

    def stamp(self, seconds: float = 0) -> str:
        return (self.clock.now() + timedelta(seconds=seconds)).isoformat().replace("+00:00", "Z")

    def node(
        self,
        name: str,
        *,
        group: str = "",
        ready: bool = True,
        suspended: bool = False,
        annotations: Mapping[str, str] | None = None,
        shape: Shape = SHAPE,
    ) -> None:
        """A node that has been as it is for an hour; of a group: an instance that runs, and one more in the target."""
        conditions = [{"type": "Ready", "status": str(ready), "lastTransitionTime": self.stamp(-3600)}]
        if suspended:
            conditions.append({"type": "Suspended", "status": "True"})
        manifest = {
            "metadata": {"name": name, "labels": {**shape.labels}, "annotations": dict(annotations or {})},
            "spec": {"providerID": f"fake://{name}", "taints": [] if ready else [NOT_READY]},
            "status": {"capacity": shape.capacity, "allocatable": shape.allocatable, "conditions": conditions},
        }
        self.api.create(NODES, manifest, keep_status=True)
        if group:
            self.cloud.members[name] = group
            self.cloud.show(group, f"fake://{name}", InstanceState.RUNNING)
            self.cloud.targets[group] += 1

    def set_ready(self, name: str, ready: bool) -> None:
        conditions = [{"type": "Ready", "status": str(ready), "lastTransitionTime": self.stamp()}]
        self.api.patch(NODES, ("", name), Patch({"status": {"conditions": conditions}}, subresource="status"))

    def pod(
        self,
        *,
        cpu: str = "1",
        node: str = "",
        owner: str = "ReplicaSet",
        namespace: str = "default",
        name: str = "",
        annotations: Mapping[str, str] | None = None,
        **spec: Any,
    ) -> str:
        """A pod that runs on the node; without one, a pod that the scheduler found no node for."""
        self.count += 1
        name = name or f"pod-{self.count}"
        condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}
        ready = [{"type": "Ready", "status": "True"}]
        metadata: dict[str, Any] = {"name": name, "namespace": namespace, "annotations": dict(annotations or {})}
        metadata["labels"] = {"app": "web"}
        if owner:
            metadata["ownerReferences"] = [{"kind": owner, "name": "web", "uid": "1", "controller": True}]
        container = {"name": "main", "image": "web", "resources": {"requests": {"cpu": cpu, "memory": "1Gi"}}}
        manifest = {
            "metadata": metadata,
            "spec": {"containers": [container], "nodeName": node, **spec},
            "status": {"phase": "Running", "conditions": ready} if node else {"conditions": [condition]},
        }
        self.api.create(PODS, manifest, keep_status=True)
        return name

    def remove_pod(self, name: str) -> None:
        stored = self.api.get(PODS, name, "default")
        assert stored is not None
        self.api.remove(PODS, stored)

    def remove_node(self, name: str) -> None:
        stored = self.api.get(NODES, name)
        assert stored is not None
        self.api.remove(NODES, stored)
        group = self.cloud.members.pop(name)
        self.cloud.instance_list[group].pop(f"fake://{name}")
        self.cloud.targets[group] -= 1
        self.cloud.changes += 1

    def budget(self, *, allowed: int, namespace: str = "default") -> None:
        manifest = {
            "metadata": {"name": "web", "namespace": namespace},
            "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "web"}}},
            "status": {"disruptionsAllowed": allowed, "currentHealthy": allowed + 1, "desiredHealthy": 1},
        }
        self.api.create(BUDGETS, manifest, keep_status=True)

    def taints(self, name: str) -> dict[str, str]:
        stored = self.api.get(NODES, name)
        assert stored is not None
        return {taint["key"]: taint.get("value", "") for taint in stored.raw["spec"].get("taints", ())}

    def cordoned(self, name: str) -> bool:
        stored = self.api.get(NODES, name)
        assert stored is not None
        return bool(stored.raw["spec"].get("unschedulable"))

    @asynccontextmanager
    async def autoscaler(self, **settings: Any) -> Any:
        """An autoscaler at work on all this."""
        async with open_autoscaler(self.cloud, self.kube, self.clock, settings=Settings(**settings)) as autoscaler:
            yield autoscaler
