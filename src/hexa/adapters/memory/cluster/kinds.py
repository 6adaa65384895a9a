"""Kinds that only the site's own controllers read: hexa knows them as owners of pods by name alone."""

from typing import Final

from msgspec import field

from hexa.domain.resources.core import Kind, Metadata, Slice


class ReplicaSetSpec(Slice, frozen=True, kw_only=True):
    replicas: int = 1


class ReplicaSet(Slice, frozen=True, kw_only=True):
    """apps/v1 ReplicaSet: how many pods there shall be."""

    metadata: Metadata = Metadata()
    spec: ReplicaSetSpec = field(default_factory=ReplicaSetSpec)


class DaemonSet(Slice, frozen=True, kw_only=True):
    """apps/v1 DaemonSet: a pod on every node."""

    metadata: Metadata = Metadata()


REPLICA_SETS: Final = Kind("apps/v1", "ReplicaSet", "replicasets", ReplicaSet)
DAEMON_SETS: Final = Kind("apps/v1", "DaemonSet", "daemonsets", DaemonSet)
