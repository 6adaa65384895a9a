"""All pods of an API server, dealt out to the kubelets that they are bound to.

Owns one list and watch for any number of simulated kubelets; refuses to know what they do with a pod.
"""

import math
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import trio

from .api import Api, ApiError, Resource, path

_BOUND = "spec.nodeName!="
_RETRY_SECONDS = 0.2


class PodFeed:
    """What each node's pods are, kept up to date while `run` runs."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._pods: dict[str, dict[str, Resource]] = defaultdict(dict)  # node -> uid -> pod
        self._followers: dict[str, trio.MemorySendChannel[Resource]] = {}

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Follows the API server through its restarts, until cancelled; reports when it knows all pods."""
        while True:
            try:
                version = await self._list()
                task_status.started()
                task_status = trio.TASK_STATUS_IGNORED
                await self._watch(version)
            except (ApiError, httpx.TransportError):
                await trio.sleep(_RETRY_SECONDS)

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

    async def _list(self) -> str:
        answer = await self._api.request("GET", path("v1/pods"), params={"fieldSelector": _BOUND})
        self._pods.clear()
        for pod in answer["items"]:
            self._see(pod)
        return str(answer["metadata"]["resourceVersion"])

    async def _watch(self, version: str) -> None:
        async with self._api.watch("v1/pods", resource_version=version, fieldSelector=_BOUND) as events:
            async for event in events:
                if event["type"] in ("ADDED", "MODIFIED"):
                    self._see(event["object"])
                elif event["type"] == "DELETED":
                    gone = event["object"]
                    self._pods[gone["spec"]["nodeName"]].pop(gone["metadata"]["uid"], None)

    def _see(self, pod: Resource) -> None:
        node = pod["spec"]["nodeName"]
        self._pods[node][pod["metadata"]["uid"]] = pod
        if node in self._followers:
            self._followers[node].send_nowait(pod)
