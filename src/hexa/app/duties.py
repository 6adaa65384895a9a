"""The work that phases demand of a machine's Kubernetes node and pods: cordon, evict, welcome, leave.

Every duty may be repeated at any time, and is a no-op where its work is done. Power Jobs are in `power_jobs`.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import msgspec
import trio

from hexa.app.store import Store
from hexa.app.view import MachineView
from hexa.domain.drain import Plan, pod_name
from hexa.domain.errors import Conflict, HexaError
from hexa.domain.names import (
    CA_TAINTS,
    CA_TO_BE_DELETED_TAINT,
    CORDON_ANNOTATION,
    GROUP_LABEL,
    UNSCHEDULABLE_TAINT,
)
from hexa.domain.resources.core import NODES, PODS, KubeNode, Pod, Taint
from hexa.domain.resources.v1alpha1 import Shape
from hexa.ports.kube import Blocked, Evicted, Kube, Patch, PatchStyle

EVICTIONS_AT_ONCE: Final = 10
SHUTDOWN_REASONS: Final = frozenset({"Terminated", "NodeShutdown", "Shutdown", "NodeLost", "NodeAffinity"})


class NodeDuties:
    """What is done to Kubernetes nodes. Results go into the snapshot at once."""

    def __init__(self, kube: Kube, store: Store) -> None:
        self._kube, self._store = kube, store

    async def cordon(self, view: MachineView, now: datetime) -> None:
        """No new pods; the cordon is marked as ours. Somebody else's cordon stays theirs."""
        node = view.kube
        if node is None or node.spec.unschedulable:
            return
        await self._patch(node, cordon_patch(now))

    async def evict(self, plan: Plan, *, grace: int | None) -> str:
        """Ask for every eviction of the plan; who blocks, if a disruption budget does. Raises what an eviction raised, once all
        were asked; a pod that is another one by now is left for the next look."""
        blocked: list[str] = []
        failed: list[HexaError] = []
        limit = trio.CapacityLimiter(EVICTIONS_AT_ONCE)

        async def one(pod: Pod) -> None:
            async with limit:
                try:
                    answer = await self._evict(pod, grace)
                except Conflict:
                    return
                except HexaError as error:
                    failed.append(error)
                    return
            if isinstance(answer, Blocked):
                blocked.append(f"{pod_name(pod)}: {answer.reason}")

        async with trio.open_nursery() as nursery:
            for pod in plan.evict:
                nursery.start_soon(one, pod)
        if failed:
            raise failed[0]
        return "; ".join(sorted(blocked))

    async def _evict(self, pod: Pod, grace: int | None) -> Evicted | Blocked:
        meta = pod.metadata
        return await self._kube.evict(meta.name, namespace=meta.namespace, uid=meta.uid, grace=_grace(pod, grace))

    async def welcome(self, view: MachineView, *, ready_since: datetime) -> None:
        """Give back labels, annotations and taints, strip what is ours to strip, and uncordon: one write."""
        node = view.kube
        if node is None:
            return
        if any(c.type == "Suspended" and c.status == "True" for c in node.status.conditions):
            await self._suspended(node, suspended=False, now=ready_since)
        if body := welcome_patch(view, node, ready_since=ready_since):
            await self._patch(node, body)

    async def sweep(self, pods: Sequence[Pod], *, boot: datetime) -> int:
        """Remove pods that the last power-off left behind: terminating since before the boot, or failed by the shutdown."""
        dead = [pod for pod in pods if left_behind(pod, boot=boot)]
        for pod in dead:
            meta = pod.metadata
            await self._kube.delete(PODS, meta.name, namespace=meta.namespace, uid=meta.uid, grace=0)
        return len(dead)

    async def suspend(self, view: MachineView, now: datetime) -> None:
        """Mark the node of a machine that is off: cordoned, and Suspended=True, which keeps it out of Cluster Autoscaler's
        count of unready nodes (1.36 and later)."""
        node = view.kube
        if node is None:
            return
        await self.cordon(view, now)
        if not any(c.type == "Suspended" and c.status == "True" for c in node.status.conditions):
            await self._suspended(node, suspended=True, now=now)

    async def delete(self, view: MachineView) -> None:
        """Let the Kubernetes node go, this very one."""
        node = view.kube
        if node is not None:
            await self._kube.delete(NODES, node.metadata.name, uid=node.metadata.uid)

    async def _suspended(self, node: KubeNode, *, suspended: bool, now: datetime) -> None:
        condition = {
            "type": "Suspended",
            "status": "True" if suspended else "False",
            "reason": "PoweredOff" if suspended else "PoweredOn",
            "message": "the machine is switched off by hexa" if suspended else "the machine is on",
            "lastTransitionTime": _seconds(now),
            "lastHeartbeatTime": _seconds(now),
        }
        patch = Patch({"status": {"conditions": [condition]}}, PatchStyle.STRATEGIC, "status")
        self._store.nodes.put(await self._kube.patch(NODES, node.metadata.name, patch))

    async def _patch(self, node: KubeNode, body: dict[str, Any]) -> None:
        patch = Patch(body, resource_version=node.metadata.resource_version)
        self._store.nodes.put(await self._kube.patch(NODES, node.metadata.name, patch))


def cordon_patch(now: datetime) -> dict[str, Any]:
    """The cordon and the mark that it is ours."""
    return {"metadata": {"annotations": {CORDON_ANNOTATION: _seconds(now)}}, "spec": {"unschedulable": True}}


def welcome_patch(view: MachineView, node: KubeNode, *, ready_since: datetime) -> dict[str, Any]:
    """What differs between the node as it came up and as it shall be; empty where nothing does."""
    seen = view.node.status.template or Shape()
    back = seen if _new_object(node, seen) else Shape()
    wanted_labels = {**back.labels, **view.node.spec.template.labels}
    labels = {k: v for k, v in wanted_labels.items() if k not in node.metadata.labels}
    labels |= {k: v for k, v in required_labels(view).items() if node.metadata.labels.get(k) != v}
    annotations: dict[str, str | None] = {
        k: v for k, v in back.annotations.items() if k not in node.metadata.annotations
    }
    if CORDON_ANNOTATION in node.metadata.annotations:
        annotations[CORDON_ANNOTATION] = None
    patch: dict[str, Any] = {}
    if metadata := {k: v for k, v in (("labels", labels), ("annotations", annotations)) if v}:
        patch["metadata"] = metadata
    if spec := _welcome_spec(view, node, seen, ready_since):
        patch["spec"] = spec
    return patch


def required_labels(view: MachineView) -> dict[str, str]:
    """Labels that every member carries."""
    return {**view.policy.labels, GROUP_LABEL: view.policy.name} if view.group is not None else {}


def _welcome_spec(view: MachineView, node: KubeNode, seen: Shape, ready_since: datetime) -> dict[str, Any]:
    spec: dict[str, Any] = {}
    uncordons = node.spec.unschedulable and (
        CORDON_ANNOTATION in node.metadata.annotations or _left_by_autoscaler(node, ready_since)
    )
    recordons = not node.spec.unschedulable and seen.unschedulable and _new_object(node, seen)
    if uncordons and not seen.unschedulable:
        spec["unschedulable"] = None
    elif recordons:
        spec["unschedulable"] = True
    taints = _welcome_taints(view, node, seen, ready_since, uncordoned="unschedulable" in spec and not recordons)
    if taints != list(node.spec.taints):
        spec["taints"] = msgspec.to_builtins(taints) or None
    return spec


def _left_by_autoscaler(node: KubeNode, ready_since: datetime) -> bool:
    """Cluster Autoscaler cordons what it taints ToBeDeleted: a cordon beside such a taint of before goes with it."""
    return any(taint.key == CA_TO_BE_DELETED_TAINT and _outdated(taint, ready_since) for taint in node.spec.taints)


def _new_object(node: KubeNode, seen: Shape) -> bool:
    """The node registered afresh after the shape was seen: what was set on the old object is not on it."""
    created = node.metadata.creation_timestamp
    return created is not None and seen.at is not None and created > seen.at


def _welcome_taints(
    view: MachineView, node: KubeNode, seen: Shape, ready_since: datetime, *, uncordoned: bool
) -> list[Taint]:
    removed = view.node.spec.taints_to_remove
    stays = [
        taint
        for taint in node.spec.taints
        if not (
            _listed(taint, removed)
            or _outdated(taint, ready_since)
            or (uncordoned and taint.key == UNSCHEDULABLE_TAINT)
        )
    ]
    if _new_object(node, seen):
        present = {(taint.key, taint.effect) for taint in stays}
        back = [t for t in seen.taints if (t.key, t.effect) not in present and not _listed(t, removed)]
        stays += back
    return stays


def _listed(taint: Taint, removed: Sequence[Taint]) -> bool:
    return any(taint.key == other.key and other.effect in ("", taint.effect) for other in removed)


def _outdated(taint: Taint, ready_since: datetime) -> bool:
    """A taint of Cluster Autoscaler from before the machine was Ready: its value is the Unix time it was put on."""
    if taint.key not in CA_TAINTS:
        return False
    if not taint.value.isdigit():
        return taint.key == CA_TO_BE_DELETED_TAINT
    return int(taint.value) < ready_since.timestamp()


def left_behind(pod: Pod, *, boot: datetime) -> bool:
    """A pod that the kubelet of the last boot can never end."""
    gone = pod.metadata.deletion_timestamp
    if gone is not None:
        return gone < boot
    started = pod.status.start_time
    return (
        pod.status.phase == "Failed" and pod.status.reason in SHUTDOWN_REASONS and (started is None or started < boot)
    )


def _grace(pod: Pod, longest: int | None) -> int | None:
    own = pod.spec.termination_grace_period_seconds
    if longest is None:
        return None
    return longest if own is None else min(own, longest)


def _seconds(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
