"""A cluster in RAM for commands that talk to one, whose API server answers at once."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pytest

from hexa import wiring
from hexa.adapters.kube_http.cluster import Cluster
from hexa.adapters.memory.cluster.api import MemoryApi
from hexa.adapters.memory.ports.kube import MemoryKube
from hexa.domain.resources.core import NODES, PODS

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


class Clock:
    """Stands still."""

    def __init__(self, when: datetime) -> None:
        self.when = when

    def now(self) -> datetime:
        """Always the same."""
        return self.when

    async def sleep_until(self, when: datetime) -> None:
        """At once."""


def cluster(*, now: datetime = NOW) -> MemoryKube:
    """An empty cluster, in which it is always now."""
    return MemoryKube(MemoryApi(Clock(now)))


def opens(monkeypatch: pytest.MonkeyPatch, kube: MemoryKube, *, namespace: str = "homelab") -> None:
    """Every command talks to this cluster, in this namespace."""

    @asynccontextmanager
    async def open_cluster(*, kubeconfig: str, context: str) -> AsyncIterator[tuple[MemoryKube, Cluster]]:
        yield kube, Cluster(server="https://memory", origin="test", namespace=namespace)

    monkeypatch.setattr(wiring, "open_cluster", open_cluster)


def add_node(
    kube: MemoryKube,
    name: str,
    *,
    capacity: Mapping[str, str] | None = None,
    arch: str = "amd64",
    ready: bool = True,
    address: str = "192.0.2.1",
    labels: Mapping[str, str] | None = None,
    taints: tuple[Mapping[str, str], ...] = (),
) -> None:
    """A Kubernetes node."""
    known = {"kubernetes.io/arch": arch, "kubernetes.io/os": "linux"}
    manifest = {
        "metadata": {"name": name, "labels": {**known, **(labels or {})}},
        "spec": {"taints": list(taints)},
        "status": {
            "capacity": {"cpu": "8", "memory": "32780532Ki", "pods": "110", **(capacity or {})},
            "conditions": [{"type": "Ready", "status": "True" if ready else "False"}],
            "addresses": [{"type": "InternalIP", "address": address}],
        },
    }
    kube.api.create(NODES, manifest, keep_status=True)


def add_pod(
    kube: MemoryKube,
    name: str,
    *,
    namespace: str = "hexa-system",
    labels: Mapping[str, str] | None = None,
    annotations: Mapping[str, str] | None = None,
    owner: str = "ReplicaSet",
    status: Mapping[str, Any] | None = None,
    **spec: Any,
) -> None:
    """A pod that runs."""
    owners = [{"apiVersion": "apps/v1", "kind": owner, "name": f"{name}-owner", "uid": "1", "controller": True}]
    metadata = {
        "name": name,
        "namespace": namespace,
        "labels": dict(labels or {}),
        "annotations": dict(annotations or {}),
    }
    ready = {"type": "Ready", "status": "True"}
    manifest = {
        "metadata": {**metadata, **({"ownerReferences": owners} if owner else {})},
        "spec": {"containers": [{"name": "main", "image": "image"}], **spec},
        "status": {"phase": "Running", "conditions": [ready], **(status or {})},
    }
    kube.api.create(PODS, manifest, keep_status=True)


def add_agent(kube: MemoryKube, *, image: str = "registry.example/hexa:1", **pod: Any) -> None:
    """hexa's own pod."""
    given = {"containers": [{"name": "hexa", "image": image}], "serviceAccountName": "hexa", **pod}
    add_pod(kube, "hexa-0", labels={"app.kubernetes.io/name": "hexa"}, **given)
