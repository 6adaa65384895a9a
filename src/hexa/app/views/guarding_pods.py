"""Pods that keep the machine on which they run from being rested: hexa, Cluster Autoscaler and the API server, and those that hold
data for others."""

from typing import Final

from hexa.app.store import Store
from hexa.domain.resources.core import Pod

NONE: Final[tuple[str, ...]] = ()

ByNode = dict[str, tuple[str, ...]]


class GuardingPods:
    """By Kubernetes node, collected once between two changes."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._hosts: ByNode | None = None
        self._storage: ByNode | None = None

    def changed(self) -> None:
        """One of them has changed."""
        self._hosts = self._storage = None

    def hosted_on(self, name: str) -> tuple[str, ...]:
        """Pods on the Kubernetes node that hexa depends on."""
        if self._hosts is None:
            self._hosts = self._collect_hosts()
        return self._hosts.get(name, NONE)

    def stored_on(self, name: str) -> tuple[str, ...]:
        """Pods on the Kubernetes node that hold data for others, each with what it holds."""
        if self._storage is None:
            self._storage = self._collect_storage()
        return self._storage.get(name, NONE)

    def _collect_hosts(self) -> ByNode:
        found: dict[str, set[str]] = {}
        api = self._store.api_server_caches
        servers = {pod.spec.node_name for cache in api for pod in cache.objects.values() if _runs(pod)}
        for cache in self._store.control_pods:
            if cache in api and len(servers) > 1:
                continue  # another API server serves on
            for key, pod in cache.objects.items():
                if _runs(pod):
                    found.setdefault(pod.spec.node_name, set()).add(str(key))
            for key, broken in cache.malformed.items():
                if broken.node_name:
                    found.setdefault(broken.node_name, set()).add(str(key))
        return _sorted(found)

    def _collect_storage(self) -> ByNode:
        found: dict[str, set[str]] = {}
        for cache in self._store.storage_pods:
            for key, pod in cache.objects.items():
                what = self._store.conventions.holds(key.namespace, pod.metadata.labels)
                if what and _runs(pod):
                    found.setdefault(pod.spec.node_name, set()).add(f"{key} runs on it ({what})")
            for key, broken in cache.malformed.items():
                if broken.node_name:
                    found.setdefault(broken.node_name, set()).add(f"{key} runs on it, and does not decode")
        return _sorted(found)


def _sorted(found: dict[str, set[str]]) -> ByNode:
    return {node: tuple(sorted(pods)) for node, pods in found.items()}


def _runs(pod: Pod) -> bool:
    """Bound to a node, and not finished."""
    return bool(pod.spec.node_name) and pod.status.phase not in ("Succeeded", "Failed")
