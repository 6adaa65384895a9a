"""What the API server says of pods and Kubernetes nodes, dealt out to the kubelets that it concerns.

Owns one list and watch of each for any number of simulated kubelets; refuses to know what they make of it.
"""

import math
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

import httpx
import trio

from .api import Api, ApiError, Resource, is_ready, path

_RETRY_SECONDS = 0.2


class Feed(Protocol):
    """Somebody who keeps up with all objects of a kind, or those that the query picks."""

    @property
    def kind(self) -> str: ...

    @property
    def query(self) -> dict[str, str]: ...

    def forget(self) -> None:
        """A fresh list follows."""

    def see(self, resource: Resource) -> None:
        """An object is there, or has changed."""

    def miss(self, resource: Resource) -> None:
        """An object is gone."""


async def follow(api: Api, feed: Feed, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
    """Keeps a feed up to date through restarts of the API server; reports when it has seen all there is."""
    while True:
        try:
            answer = await api.request("GET", path(feed.kind), params=feed.query)
            feed.forget()
            for resource in answer["items"]:
                feed.see(resource)
            task_status.started()
            task_status = trio.TASK_STATUS_IGNORED
            await _watch(api, feed, answer["metadata"]["resourceVersion"])
        except (ApiError, httpx.TransportError):
            await trio.sleep(_RETRY_SECONDS)


async def _watch(api: Api, feed: Feed, version: str) -> None:
    async with api.watch(feed.kind, resource_version=version, **feed.query) as events:
        async for event in events:
            if event["type"] in ("ADDED", "MODIFIED"):
                feed.see(event["object"])
            elif event["type"] == "DELETED":
                feed.miss(event["object"])


class PodFeed:
    """The pods of each node."""

    def __init__(self) -> None:
        self.kind, self.query = "v1/pods", {"fieldSelector": "spec.nodeName!="}
        self._pods: dict[str, dict[str, Resource]] = defaultdict(dict)  # node -> uid -> pod
        self._followers: dict[str, trio.MemorySendChannel[Resource]] = {}

    @contextmanager
    def pods_of(self, node: str) -> Iterator[trio.MemoryReceiveChannel[Resource]]:
        """A node's pods: those there are, then each again whenever it changes."""
        send, receive = trio.open_memory_channel[Resource](math.inf)
        for pod in self._pods[node].values():
            send.send_nowait(pod)
        self._followers[node] = send
        try:
            yield receive
        finally:
            del self._followers[node]
            receive.close()

    def forget(self) -> None:
        """A fresh list follows; a pod that it has is dealt out again."""
        self._pods.clear()

    def see(self, resource: Resource) -> None:
        """Deals a pod out to its node."""
        node = resource["spec"]["nodeName"]
        self._pods[node][resource["metadata"]["uid"]] = resource
        if node in self._followers:
            self._followers[node].send_nowait(resource)

    def miss(self, resource: Resource) -> None:
        """A pod is gone."""
        self._pods[resource["spec"]["nodeName"]].pop(resource["metadata"]["uid"], None)


class NodeFeed:
    """Which Kubernetes nodes count as lost, though their kubelets may be alive."""

    def __init__(self) -> None:
        self.kind, self.query = "v1/nodes", dict[str, str]()
        self.lost: set[str] = set()

    def forget(self) -> None:
        """A fresh list follows."""
        self.lost.clear()

    def see(self, resource: Resource) -> None:
        """Notes whether the node is ready."""
        change = self.lost.discard if is_ready(resource) else self.lost.add
        change(resource["metadata"]["name"])

    def miss(self, resource: Resource) -> None:
        """A node that was deleted is not lost: its kubelet does not register it again."""
        self.lost.discard(resource["metadata"]["name"])
