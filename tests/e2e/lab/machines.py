"""The machines of one test: added when wanted, thrown away in the end with their Kubernetes nodes.

Owns which machines there are, and their end; refuses to know pytest. What a test does with a machine is the
same for real and simulated ones.
"""

import json
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any, Final

import httpx
import trio

from .api import Api, ApiError, Resource, node_takes_pods
from .controller import serve_controllers
from .disk import Shape
from .lab import Lab, machine_name
from .machine import Machine
from .network import mac_of
from .sites import RealSite, SimulatedSite, Site
from .waiting import eventually

MACHINE_LABEL: Final = "hexa.test/machine"  # its value is the machine's name
READY_SECONDS: Final = 30.0
CLEANUP_SECONDS: Final = 60.0
FORGET_AT_ONCE: Final = 16

Say = Callable[[str], None]


class Machines(Mapping[str, Machine]):
    """The machines by name; `worker` is the Kubernetes node that is always on, and not among them."""

    def __init__(self, site: Site, *, lab: Lab, api: Api, nursery: trio.Nursery, say: Say) -> None:
        self.site, self.worker, self.controller_url = site, "", ""
        self._lab, self._api, self._nursery, self._say = lab, api, nursery, say
        self._machines: dict[str, Machine] = {}

    def __getitem__(self, name: str) -> Machine:
        return self._machines[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._machines)

    def __len__(self) -> int:
        return len(self._machines)

    def add(
        self,
        *,
        boot_delay: float = 0.0,
        off_delay: float = 0.0,
        labels: Mapping[str, str] | None = None,
        **shape: Any,
    ) -> Machine:
        """A new machine that is off; `labels` and `shape` are the fields of a Shape."""
        number = self._lab.next_number()
        name = machine_name(number)
        wanted = Shape(labels={MACHINE_LABEL: name, **(labels or {})}, **shape)
        machine = Machine(
            name,
            mac=mac_of(number),
            controller_url=self.controller_url,
            body=self.site.build(number, wanted),
            nursery=self._nursery,
            boot_delay=boot_delay,
            off_delay=off_delay,
            say=self._say,
        )
        self._machines[name] = machine
        self.site.connect(machine)
        return machine

    async def start(self, *machines: Machine) -> None:
        """Presses power buttons; returns when the Kubernetes nodes take pods."""
        for machine in machines:
            machine.start()
        await self.wait_ready(*(machine.name for machine in machines))

    async def wait_ready(self, *names: str, within: float = READY_SECONDS) -> None:
        """Returns when these Kubernetes nodes take pods; the error otherwise holds the machines' last words."""
        try:
            for name in names:
                await eventually(partial(node_takes_pods, self._api, name), within=within, what=f"{name} is ready")
        except AssertionError as error:
            words = [self[name].body.last_words() for name in names if name in self]
            raise AssertionError("\n".join([str(error), *words])) from None

    def as_resources(self, *, namespace: str = "hexa-machines", group: str = "rack") -> str:
        """A Group and a Node for each machine that can be woken, as YAML that a user could have written."""
        kind = {"apiVersion": "infra.homecluster.dev/v1alpha1"}
        limits = {"maxNodeProvisionTime": "2m", "scaleDownUnneededTime": "10s"}
        resources: list[Resource] = [
            {**kind, "kind": "Group", "metadata": {"name": group, "namespace": namespace}, "spec": limits}
        ]
        for machine in self.values():
            meta = {"name": machine.name, "namespace": namespace, "labels": {"group": group}}
            pods = {"startupPodSpec": machine.startup_pod, "shutdownPodSpec": machine.shutdown_pod}
            template = {"capacity": {"cpu": "2", "memory": "2Gi", "pods": "20"}}
            resources.append({**kind, "kind": "Node", "metadata": meta, "spec": {**pods, "template": template}})
        return "---\n".join(json.dumps(resource, indent=1) + "\n" for resource in resources)

    async def open(self) -> None:
        """Starts the management controllers and the worker; returns when pods can run."""
        await self.site.open()
        self.controller_url = await self._nursery.start(serve_controllers, self, self._lab.address)
        self.worker = await self.site.start_worker()
        await self.wait_ready(self.worker)

    async def close(self) -> None:
        """Throws all machines away, then their Kubernetes nodes and the pods there."""
        for machine in self.values():
            await machine.scrap()
        worker = [] if self._lab.worker else [self.worker]
        await forget_nodes(self._api, [*self, *worker])


@asynccontextmanager
async def open_machines(lab: Lab, *, say: Say = print) -> AsyncIterator[Machines]:
    """A lab's machines, none at first, beside a worker that is ready; nothing of them is left after the block."""
    async with lab.control_plane.open_api() as api:
        machines: Machines | None = None
        try:
            async with trio.open_nursery() as nursery:
                site = RealSite(lab, nursery) if lab.kind == "real" else SimulatedSite(lab, nursery, api=api)
                machines = Machines(site, lab=lab, api=api, nursery=nursery, say=say)
                await machines.open()
                yield machines
                nursery.cancel_scope.cancel()
        finally:
            with trio.move_on_after(CLEANUP_SECONDS, shield=True):
                if machines is not None:
                    await machines.close()


async def forget_nodes(api: Api, names: Collection[str]) -> None:
    """Deletes Kubernetes nodes, and the pods on them without waiting for a kubelet.

    An API server that is away keeps them; no later machine has one of these names.
    """
    with suppress(ApiError, httpx.TransportError):
        await _forget_nodes(api, set(names) - {""})


async def _forget_nodes(api: Api, names: Collection[str]) -> None:
    for pod in await api.list("v1/pods"):
        meta = pod["metadata"]
        if pod["spec"].get("nodeName") in names:
            await api.delete("v1/pods", meta["name"], namespace=meta["namespace"], gracePeriodSeconds=0)
    enough = trio.CapacityLimiter(FORGET_AT_ONCE)

    async def forget(name: str) -> None:
        async with enough:
            with suppress(ApiError, httpx.TransportError):
                await api.delete("v1/nodes", name)

    async with trio.open_nursery() as nursery:
        for name in names:
            nursery.start_soon(forget, name)
