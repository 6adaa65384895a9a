"""How long things take at a site, unless a machine or a pod says otherwise. All times are seconds of virtual time."""

from typing import Final

from msgspec import Struct


class Settings(Struct, frozen=True, kw_only=True):
    """The site's constants; the defaults are those of a stock cluster with quick pods."""

    seed: int = 1
    """Of every random number of the site."""
    job_seconds: float = 1.0
    """A power Job's container runs so long; what it does happens at its end."""
    off_seconds: float = 5.0
    """From an orderly shutdown's start, when the kubelet stops, until the power is off."""
    pod_start: float = 1.0
    """From the binding of a pod until it runs."""
    pod_stop: float = 1.0
    """From a pod's deletion until it has ended, if its grace is not shorter."""
    volume_detach: float = 0.0
    """From the end of the last pod that uses a volume until its kubelet, if it lives so long, has unmounted it."""
    beat: float = 10.0
    """A kubelet renews its Lease so often (kubelet default)."""
    lease: float = 40.0
    """A Lease counts as fresh for so long (kubelet default)."""
    monitor_grace: float = 50.0
    """A node is Unknown so long after its last beat (kube-controller-manager default since 1.32; 40 before)."""
    gc_delay: float = 60.0
    """Pods of a node that is gone are removed after this (the pod garbage collector takes 40 to 60)."""
    free_delay: float = 20.0
    """Pods that are to end on a node that is out of service are removed after this (the same looks each 20 s)."""


STOCK: Final = Settings()
