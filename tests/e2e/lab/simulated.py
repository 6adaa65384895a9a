"""A machine that is a few Trio tasks: a kubelet simulated against a real API server.

Owns what a kubelet says of its Node and Lease, and when it says nothing; refuses to know how it is switched
(machine.py) and what its pods do (simulated_pods.py).
"""

import os
import random
import uuid
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import httpx
import trio

from .api import Api, ApiError, Resource
from .disk import Shape, box_memory, taint
from .feeds import NodeFeed, PodFeed
from .image import NAME as IMAGE
from .simulated_pods import Action, SimulatedPods, now

LEASES: Final = "kube-node-lease"
LEASE_SECONDS: Final = 40  # as kubelets have it; it is renewed four times in that
RETRY_SECONDS: Final = 1.0
_HEALTHY: Final = {"MemoryPressure": "False", "DiskPressure": "False", "PIDPressure": "False", "Ready": "True"}


class SimulatedKubelet:
    """The Body of a simulated machine."""

    def __init__(
        self,
        name: str,
        *,
        address: str,
        shape: Shape,
        api: Api,
        pods: PodFeed,
        nodes: NodeFeed,
        actions: Mapping[str, Action],
        nursery: trio.Nursery,
        version: str,
        lease_seconds: int = LEASE_SECONDS,
    ) -> None:
        self.name, self.address, self.shape = name, address, shape
        self._api, self._nodes, self._nursery = api, nodes, nursery
        self._pods = SimulatedPods(api, pods, actions, node=name, address=address)
        self._version, self._lease_seconds = version, lease_seconds
        self._boot, self._boot_id = trio.CancelScope(), ""
        self._ended = trio.Event()
        self._ended.set()

    def __repr__(self) -> str:
        return f"<SimulatedKubelet {self.name} {'off' if self._ended.is_set() else 'on'}>"

    def start(self) -> None:
        """Boots, in the background."""
        assert self._ended.is_set(), f"{self.name} runs already"
        self._boot, self._ended = trio.CancelScope(), trio.Event()
        self._boot_id = str(uuid.uuid4())
        self._nursery.start_soon(self._run, self._boot, self._ended)

    async def cut(self) -> None:
        """It says nothing more from here on."""
        self._boot.cancel()
        await self._ended.wait()

    async def scrap(self) -> None:
        """Nothing is left of it but what the API server holds."""
        await self.cut()

    def last_words(self) -> str:
        """A simulated kubelet keeps no log."""
        return f"--- {self!r}"

    async def _run(self, boot: trio.CancelScope, ended: trio.Event) -> None:
        try:
            with boot:
                await _insist(self._register)
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._heartbeat)
                    nursery.start_soon(self._pods.run)
        finally:
            ended.set()

    async def _register(self) -> None:
        """Makes the Node and its Lease, or tells older ones of this name that their kubelet is back."""
        node = self._node()
        try:
            made = await self._api.create(node)
        except ApiError as error:
            if error.reason != "AlreadyExists":
                raise
            made = await self._api.patch("v1/nodes", self.name, {"metadata": {"labels": node["metadata"]["labels"]}})
            await self._write_status()
        try:
            await self._api.create(self._lease(made["metadata"]["uid"]))
        except ApiError as error:
            if error.reason != "AlreadyExists":
                raise
            await self._write_lease()

    async def _heartbeat(self) -> None:
        """Four times in a lease's period, as kubelets do; each at its own moment."""
        period = self._lease_seconds / 4
        await trio.sleep(period * random.random())
        while True:
            await _insist(self._write_lease)
            if self.name in self._nodes.lost:  # while we were alive: the API server was away, or we were slow
                await _insist(self._write_status)
            await trio.sleep(period)

    async def _write_status(self) -> None:
        change = {"status": self._node_status()}
        await self._api.patch("v1/nodes", self.name, change, subresource="status", how="strategic")

    async def _write_lease(self) -> None:
        change = {"spec": {"renewTime": now(microseconds=True)}}
        try:
            await self._api.patch("coordination.k8s.io/v1/leases", self.name, change, namespace=LEASES)
        except ApiError as error:
            if error.code != 404:
                raise
            await self._api.create(self._lease())  # it went with a Node that was deleted

    def _lease(self, node_uid: str = "") -> Resource:
        owner = {"apiVersion": "v1", "kind": "Node", "name": self.name, "uid": node_uid}
        return {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {
                "name": self.name,
                "namespace": LEASES,
                "ownerReferences": [owner] if node_uid else [],
            },
            "spec": {
                "holderIdentity": self.name,
                "leaseDurationSeconds": self._lease_seconds,
                "renewTime": now(microseconds=True),
            },
        }

    def _node(self) -> Resource:
        labels = {
            "kubernetes.io/hostname": self.name,
            "kubernetes.io/os": "linux",
            "kubernetes.io/arch": "amd64",
            **self.shape.labels,
        }
        return {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": self.name, "labels": labels},
            "spec": self._node_spec(),
            "status": self._node_status(),
        }

    def _node_spec(self) -> Resource:
        spec: Resource = {"taints": [taint(text) for text in self.shape.taints]}
        return spec | ({"providerID": self.shape.provider_id} if self.shape.provider_id else {})

    def _node_status(self) -> Resource:
        resources = {
            "cpu": f"{(self.shape.cpu or os.cpu_count() or 1) * 1000:.0f}m",
            "memory": str(self.shape.memory or box_memory()),
            "ephemeral-storage": "100Gi",
            "pods": str(self.shape.pods),
        }
        stamp = now()
        times = {"lastHeartbeatTime": stamp, "lastTransitionTime": stamp, "reason": "Simulated"}
        return {
            "capacity": resources,
            "allocatable": resources,
            "conditions": [{"type": kind, "status": status, **times} for kind, status in _HEALTHY.items()],
            "addresses": [
                {"type": "InternalIP", "address": self.address},
                {"type": "Hostname", "address": self.name},
            ],
            "nodeInfo": self._node_info(),
            "images": [{"names": [IMAGE], "sizeBytes": 1}],
        }

    def _node_info(self) -> dict[str, str]:
        same = dict.fromkeys(("machineID", "systemUUID"), uuid.uuid5(uuid.NAMESPACE_DNS, self.name).hex)
        return same | {
            "bootID": self._boot_id,
            "kernelVersion": "simulated",
            "osImage": "simulated",
            "containerRuntimeVersion": "simulated://0",
            "kubeletVersion": self._version,
            "kubeProxyVersion": "",
            "operatingSystem": "linux",
            "architecture": "amd64",
        }


async def _insist(call: Callable[[], Awaitable[Any]]) -> None:
    """Repeats a call until the API server takes it: kubelets outlive its restarts. What is gone is left alone."""
    while True:
        try:
            await call()
        except (ApiError, httpx.TransportError) as error:
            if isinstance(error, ApiError) and error.code == 404:
                return
            await trio.sleep(RETRY_SECONDS)
        else:
            return
