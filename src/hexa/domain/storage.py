"""Pods that serve data of the machine they run on: without them volumes elsewhere lose a copy, or stand still.

One table of what is known by its labels. A pod whose own volume is tied to its machine is `drain`'s.
"""

from collections.abc import Iterator, Mapping
from typing import Final

from msgspec import Struct


class StoragePod(Struct, frozen=True):
    """Pods of a storage system that hold data, told by one label."""

    key: str
    value: str
    what: str
    """What it holds, for people."""


STORAGE_PODS: Final = (
    StoragePod("longhorn.io/component", "instance-manager", "replicas and engines of Longhorn"),
    StoragePod("app", "rook-ceph-osd", "a Ceph OSD"),
    StoragePod("app", "io-engine", "replicas of OpenEBS Mayastor"),
    StoragePod("app", "nfs-server-provisioner", "an NFS server"),
)


def storage_labels() -> Iterator[str]:
    """Label selectors that find them all: one for each key."""
    for key in sorted({pod.key for pod in STORAGE_PODS}):
        values = sorted(pod.value for pod in STORAGE_PODS if pod.key == key)
        yield f"{key} in ({','.join(values)})"


def holds(labels: Mapping[str, str]) -> str:
    """What a pod with these labels holds; empty: nothing that the table knows."""
    return next((pod.what for pod in STORAGE_PODS if labels.get(pod.key) == pod.value), "")
