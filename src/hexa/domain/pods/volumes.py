"""Volumes that a Kubernetes node still has: attached by the controller manager, or in use by its kubelet. One that is mounted when
its machine goes dark can't be attached elsewhere for minutes, and its file system was not closed. It knows no claim."""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Final

from hexa.domain.pods.drain import selects
from hexa.domain.pods.left import few
from hexa.domain.resources.core import KubeNode, Malformed, PersistentVolume

CSI: Final = "kubernetes.io/csi/"


def on_node(node: KubeNode) -> frozenset[str]:
    """Unique names of the volumes that the node has."""
    return frozenset(node.status.volumes_in_use) | {volume.name for volume in node.status.volumes_attached}


def unique_name(volume: PersistentVolume) -> str:
    """How a node names it; empty: it is no CSI volume, and its name is not known."""
    csi = volume.spec.csi
    return f"{CSI}{csi.driver}^{csi.volume_handle}" if csi is not None else ""


def waited_until(emptied: datetime, *, limit: timedelta, since: datetime | None, drain: timedelta) -> datetime:
    """Until when volumes are waited for: for the limit from when the pods were gone, and no longer than the drain may take."""
    end = emptied + limit
    return end if since is None else min(end, since + drain)


def still_there(volumes: frozenset[str], until: datetime) -> str:
    """What a drain waits for, in a sentence."""
    return f"its pods are gone; waits until {until:%H:%M:%S} UTC for volumes to be detached: {few(sorted(volumes))}"


def left_attached(volumes: frozenset[str]) -> str:
    """That it waited in vain, in a sentence."""
    return f"volumes are still attached, and it is switched off all the same: {few(sorted(volumes))}"


# --- tied to a machine ----------------------------------------------------------------------------


def tied(volume: PersistentVolume | Malformed, others: Collection[KubeNode]) -> bool:
    """Whether a pod with this volume can run on none of the other nodes: it is a disk or a folder of the node, its node affinity
    matches none of them (as drivers of local disks set it), or it does not decode. Where no other is up, node affinity tells
    nothing: room is what lacks."""
    if isinstance(volume, Malformed) or volume.spec.local is not None or volume.spec.host_path is not None:
        return True
    required = volume.spec.node_affinity.get("required")
    if not required or not others:
        return False
    return not any(selects(required, node) for node in others)
