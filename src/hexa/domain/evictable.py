"""What a pod says itself about being moved, in the words of Cluster Autoscaler: its annotations, and which volumes lose data. Every
drain heeds it, whoever asked for the off."""

from collections.abc import Iterator
from typing import Final

from hexa.domain.names import SAFE_TO_EVICT
from hexa.domain.resources.core import Pod, Volume

SAFE_VOLUMES: Final = "cluster-autoscaler.kubernetes.io/safe-to-evict-local-volumes"
IN_MEMORY: Final = "Memory"


def may_go(pod: Pod) -> bool:
    """It says that it may be moved, though nothing brings it back and its local data is lost."""
    return pod.metadata.annotations.get(SAFE_TO_EVICT) == "true"


def must_stay(pod: Pod) -> bool:
    """It says that it must not be moved."""
    return pod.metadata.annotations.get(SAFE_TO_EVICT) == "false"


def losing_data(pod: Pod) -> Iterator[str]:
    """Names of the emptyDir volumes whose data the pod would miss: not those in memory, nor those that it calls safe."""
    return (volume.name for volume in unsafe(pod) if volume.empty_dir is not None)


def unsafe(pod: Pod) -> Iterator[Volume]:
    """Volumes with data of this node: hostPath and emptyDir, those in memory and those that the pod calls safe apart."""
    safe = set(filter(None, pod.metadata.annotations.get(SAFE_VOLUMES, "").split(",")))
    return (volume for volume in pod.spec.volumes if _is_local(volume) and volume.name not in safe)


def _is_local(volume: Volume) -> bool:
    if volume.host_path is not None:
        return True
    return volume.empty_dir is not None and volume.empty_dir.get("medium") != IN_MEMORY
