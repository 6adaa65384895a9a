"""What a pod says itself about being moved, in the words of Cluster Autoscaler and of Karpenter: its annotations, and which volumes
lose data. Every drain heeds it, whoever asked for the off."""

from collections.abc import Iterator
from typing import Final

from hexa.domain.names import SAFE_TO_EVICT
from hexa.domain.resources.core import Pod, Volume

SAFE_VOLUMES: Final = "cluster-autoscaler.kubernetes.io/safe-to-evict-local-volumes"
IN_MEMORY: Final = "Memory"

DO_NOT_DISRUPT: Final = ("karpenter.sh/do-not-disrupt", "karpenter.sh/do-not-evict")
"""Of pods that were written for a site with Karpenter: true, or for how long."""


def may_go(pod: Pod) -> bool:
    """It says that it may be moved, though nothing brings it back and its local data is lost."""
    return pod.metadata.annotations.get(SAFE_TO_EVICT) == "true"


def must_stay(pod: Pod) -> bool:
    """It says in Cluster Autoscaler's exact words that it must not be moved; what hexa heeds is more: see `why_it_stays`."""
    return pod.metadata.annotations.get(SAFE_TO_EVICT) == "false"


def why_it_stays(pod: Pod) -> str:
    """The annotation by which it says so, as KEY=VALUE; empty: none does. Of a value that nobody knows, such as on-completion is
    to old versions, the pod's work is what is spared: only true allows, and only false takes Karpenter's word back."""
    annotations = pod.metadata.annotations
    told = [(SAFE_TO_EVICT, "true"), *((key, "false") for key in DO_NOT_DISRUPT)]
    said = ((key, annotations.get(key, ""), harmless) for key, harmless in told)
    return next((f"{key}={value}" for key, value, harmless in said if value.strip().lower() not in ("", harmless)), "")


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
