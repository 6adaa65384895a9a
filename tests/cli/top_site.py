"""`hexa top` in a process of its own, for a terminal that a test holds. SIGUSR1 makes box-2 boot."""

import fcntl
import signal
import termios
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio
from tests.cli.sites import NOW, Clock, cluster

from hexa import wiring
from hexa.adapters.kube_http.cluster import Cluster
from hexa.adapters.memory.ports.kube import MemoryKube
from hexa.cli.app import app
from hexa.domain.resources.v1alpha1 import GROUPS, MACHINES
from hexa.ports.kube import Patch


def site() -> MemoryKube:
    """The group `rack` with box-1, which is on, and box-2, which is off."""
    kube = cluster()
    kube.api.create(GROUPS, {"metadata": {"namespace": "homelab", "name": "rack"}, "spec": {}})
    for name, phase, power in (("box-1", "Ready", "on"), ("box-2", "Off", "off")):
        metadata = {"namespace": "homelab", "name": name, "labels": {"group": "rack"}}
        status = {"phase": phase, "powerState": power}
        kube.api.create(MACHINES, {"metadata": metadata, "spec": {}, "status": status}, keep_status=True)
    return kube


@asynccontextmanager
async def open_cluster(*, kubeconfig: str, context: str) -> AsyncIterator[tuple[MemoryKube, Cluster]]:
    """The site, in which a machine boots at a signal."""
    kube = site()
    with trio.open_signal_receiver(signal.SIGUSR1) as signals:

        async def boot() -> None:
            async for _ in signals:
                patch = Patch({"status": {"phase": "Booting"}}, subresource="status")
                kube.api.patch(MACHINES, ("homelab", "box-2"), patch, manager="hexa")

        async with trio.open_nursery() as nursery:
            nursery.start_soon(boot)
            yield kube, Cluster(server="https://memory", origin="test", namespace="homelab")
            nursery.cancel_scope.cancel()


if __name__ == "__main__":
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)  # Ctrl-C is for this process
    wiring.open_cluster = open_cluster  # type: ignore[assignment]
    wiring.system_clock = lambda: Clock(NOW)  # type: ignore[assignment]
    app(["top"])
