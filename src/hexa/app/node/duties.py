"""The work that phases demand of a machine's Kubernetes node and pods: cordon, welcome, leave.

Every duty may be repeated at any time, and is a no-op where its work is done. Power Jobs are in `power_jobs`, evictions in
`draining`.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from hexa.app.node.unmark import unmark
from hexa.app.saving import merged
from hexa.app.store import Store
from hexa.domain.decide.kube_node_patch import core_patch
from hexa.domain.decide.welcome import welcomed
from hexa.domain.errors import Refused
from hexa.domain.machine.marks import SUSPENDED, suspended_now
from hexa.domain.machine_view import MachineView
from hexa.domain.moment import moment_text
from hexa.domain.names import CORDON_ANNOTATION
from hexa.domain.pods.drain import pod_name
from hexa.domain.resources.core import NODES, PODS, KubeNode, Malformed, Pod
from hexa.domain.rules.out_of_service import clear_patch, taint_patch
from hexa.ports.kube import Kube, Patch, PatchStyle

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

    async def uncordon(self, view: MachineView) -> None:
        """Our cordon goes, with its mark."""
        node = self._store.nodes.get("", view.kube_name)
        if node is not None and CORDON_ANNOTATION in node.metadata.annotations:
            await self._patch(node, UNCORDON)

    async def unmark(self, view: MachineView) -> None:
        """Everything of ours goes."""
        if view.kube is not None:
            self._store.nodes.put(await unmark(self._kube, view.kube))

    async def welcome(self, view: MachineView, *, ready_since: datetime) -> None:
        """Give back labels, annotations and taints, strip what is ours to strip, and uncordon: one write."""
        node = view.kube
        if node is None:
            return
        if suspended_now(node):
            node = await self._suspended(node, suspended=False, now=ready_since)
        if body := welcomed(view, node, ready_since=ready_since):
            await self._patch(node, body)

    async def sweep(self, pods: Sequence[Pod | Malformed], *, boot: datetime) -> tuple[int, str]:
        """Remove pods that the last power-off left behind: terminating since before the boot, or failed by the shutdown. How many
        went, and what the API server says of one that it keeps."""
        swept, kept = 0, ""
        for pod in pods:
            if not left_behind(pod, boot=boot):
                continue
            meta = pod.metadata
            try:
                await self._kube.delete(PODS, meta.name, namespace=meta.namespace, uid=meta.uid, grace=0)
                swept += 1
            except Refused as error:  # nothing that the machine waits for
                kept = f"{pod_name(pod)}: {error}"
        return swept, kept

    async def suspend(self, view: MachineView, now: datetime) -> None:
        """Mark the node of a machine that is off: cordoned, and Suspended=True, which keeps it out of Cluster Autoscaler's
        count of unready nodes (1.36 and later). What the node lacks else comes with the cordon (core_patch.comes_with_cordon)."""
        node = view.kube
        if node is None:
            return
        if not node.spec.unschedulable:
            await self._patch(node, merged(core_patch(node, view, now=now), cordon_patch(now)))
        if not suspended_now(node):
            await self._suspended(node, suspended=True, now=now)

    async def taint(self, view: MachineView, now: datetime) -> None:
        """Let Kubernetes let go of what is stuck on the node of a machine that is proven to be off."""
        if view.kube is not None:
            await self._patch(view.kube, taint_patch(view.kube, now))

    async def clear(self, view: MachineView) -> None:
        """Take that taint off again."""
        if view.kube is not None:
            await self._patch(view.kube, clear_patch(view.kube))

    async def delete(self, view: MachineView) -> None:
        """Let the Kubernetes node go, this very one."""
        node = view.kube
        if node is not None:
            await self._kube.delete(NODES, node.metadata.name, uid=node.metadata.uid)

    async def _suspended(self, node: KubeNode, *, suspended: bool, now: datetime) -> KubeNode:
        condition = {
            "type": SUSPENDED,
            "status": "True" if suspended else "False",
            "reason": "PoweredOff" if suspended else "PoweredOn",
            "message": "the machine is switched off by hexa" if suspended else "the machine is on",
            "lastTransitionTime": moment_text(now),
            "lastHeartbeatTime": moment_text(now),
        }
        patch = Patch({"status": {"conditions": [condition]}}, PatchStyle.STRATEGIC, "status")
        new = await self._kube.patch(NODES, node.metadata.name, patch)
        self._store.nodes.put(new)
        return new

    async def _patch(self, node: KubeNode, body: dict[str, Any]) -> None:
        patch = Patch(body, resource_version=node.metadata.resource_version)
        self._store.nodes.put(await self._kube.patch(NODES, node.metadata.name, patch))


UNCORDON: Final = {"metadata": {"annotations": {CORDON_ANNOTATION: None}}, "spec": {"unschedulable": None}}
"""The reverse of `cordon_patch`."""


def cordon_patch(now: datetime) -> dict[str, Any]:
    """The cordon and the mark that it is ours."""
    return {"metadata": {"annotations": {CORDON_ANNOTATION: moment_text(now)}}, "spec": {"unschedulable": True}}


def left_behind(pod: Pod | Malformed, *, boot: datetime) -> bool:
    """A pod that the kubelet of the last boot can never end."""
    gone = pod.metadata.deletion_timestamp
    if gone is not None:
        return gone < boot
    if isinstance(pod, Malformed):
        return False
    started = pod.status.start_time
    return (
        pod.status.phase == "Failed" and pod.status.reason in SHUTDOWN_REASONS and (started is None or started < boot)
    )
