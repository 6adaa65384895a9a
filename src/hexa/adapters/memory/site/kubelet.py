"""The kubelet of a machine: registers its Node at start and beats. Its pods are in the hands of a `PodRunner`.

While it runs it never registers a Node that was deleted, as the real one. It beats without timers: when it was last heard is
computed when somebody asks.
"""

import math
from collections import deque
from typing import Final

import trio

from hexa.adapters.memory.cluster.api import micro_stamp
from hexa.adapters.memory.cluster.conditions import with_condition
from hexa.adapters.memory.cluster.context import Context
from hexa.adapters.memory.cluster.store import Builtins, Event
from hexa.adapters.memory.site.machine import MemoryMachine
from hexa.adapters.memory.site.pod_runner import PodRunner
from hexa.domain.names import ARCH_LABEL, HOSTNAME_LABEL, LEASE_NAMESPACE, OS_LABEL
from hexa.domain.resources.core import LEASES, NODES

VERSION: Final = "v1.36.3"


class Kubelet:
    """`machine.Agent` of one machine."""

    def __init__(self, machine: MemoryMachine, context: Context) -> None:
        self.machine: Final = machine
        self.node: Final = machine.spec.node
        self.alive = False
        self._context = context
        self._runner = PodRunner(self.node, machine.meter, context)
        self._registered = False
        self._heard: deque[tuple[float, float]] = deque(maxlen=4)
        """Stretches of beats, by the first and the last one; the newest is open (infinite) while it speaks."""

    def __repr__(self) -> str:
        return f"<Kubelet {self.node} {'alive' if self.alive else 'dead'}{'' if self.speaking else ' silent'}>"

    # --- what happens to it -------------------------------------------------------------------

    def start(self) -> None:
        self.alive, self._registered = True, False
        if not self.machine.partitioned:
            self._connect()

    def die(self) -> list[str]:
        if not self.alive:
            return []
        lost = self._runner.abandon()
        self.alive = False
        self._fall_silent()
        return lost

    def cut_off(self, partitioned: bool) -> None:
        if self.alive and partitioned:
            self._fall_silent()
        elif self.alive:
            self._connect()

    def pod_changed(self, event: Event) -> None:
        """A pod bound to this node changed."""
        if self.speaking:
            self._runner.notice(event)

    def _connect(self) -> None:
        if not self._registered:
            self._register()
        self._speak()
        self._runner.connect()

    # --- signs of life ------------------------------------------------------------------------

    @property
    def speaking(self) -> bool:
        """It lives, and its beats arrive."""
        return bool(self._heard) and self._heard[-1][1] == math.inf

    def heard(self, at: float) -> float | None:
        """When the last beat at or before `at`, on Trio's clock, arrived."""
        for first, last in reversed(self._heard):
            if first <= at:
                beat = self._context.settings.beat
                return first + (min(at, last) - first) // beat * beat
        return None

    def next_beat(self) -> float | None:
        """When it will be heard next; None while it is silent."""
        heard = self.heard(trio.current_time()) if self.speaking else None
        return None if heard is None else heard + self._context.settings.beat

    def _speak(self) -> None:
        if not self.speaking:
            self._heard.append((trio.current_time(), math.inf))
            self.renew_lease()
            self._context.spoke(self)

    def _fall_silent(self) -> None:
        if self.speaking:
            self.renew_lease()
            self._heard[-1] = self._heard[-1][0], trio.current_time()
            self._runner.disconnect()
            self._context.silent(self)

    def renew_lease(self) -> None:
        """Write the Lease as its beats have made it by now."""
        if (heard := self.heard(trio.current_time())) is None:
            return
        api = self._context.api
        when = micro_stamp(self._context.clock.at(heard))
        seconds = int(self._context.settings.lease)
        spec = {"holderIdentity": self.node, "leaseDurationSeconds": seconds, "renewTime": when}
        if (lease := api.get(LEASES, self.node, LEASE_NAMESPACE)) is not None:
            api.write(LEASES, lease, spec=spec)
            return
        metadata: Builtins = {"name": self.node, "namespace": LEASE_NAMESPACE}
        if (node := api.get(NODES, self.node)) is not None:
            metadata["ownerReferences"] = [{"apiVersion": "v1", "kind": "Node", "name": self.node, "uid": node.uid}]
        api.create(LEASES, {"metadata": metadata, "spec": spec})

    # --- the Node -----------------------------------------------------------------------------

    def _register(self) -> None:
        """Once for each start: a Node that is there keeps its taints, cordon and foreign labels."""
        self._registered = True
        api, spec = self._context.api, self.machine.spec
        own = {HOSTNAME_LABEL: self.node, ARCH_LABEL: spec.arch, OS_LABEL: "linux"}
        if (node := api.get(NODES, self.node)) is None:
            metadata = {"name": self.node, "labels": {**own, **spec.labels}}
            given: Builtins = {"taints": list(spec.taints)} if spec.taints else {}
            if spec.provider_id:
                given["providerID"] = spec.provider_id
            api.create(NODES, {"metadata": metadata, "spec": given, "status": self._status([])})
            return
        metadata = node.raw["metadata"]
        metadata = {**metadata, "labels": {**metadata.get("labels", {}), **own}}
        conditions = (node.raw.get("status") or {}).get("conditions") or []
        api.write(NODES, node, metadata=metadata, status={**node.raw.get("status", {}), **self._status(conditions)})

    def _status(self, conditions: list[Builtins]) -> Builtins:
        capacity = self.machine.capacity()
        boot = f"{self.machine.boots:08x}-{self.node}"
        info = {"architecture": self.machine.spec.arch, "operatingSystem": "linux", "kubeletVersion": VERSION}
        now = self._context.api.now()
        return {
            "capacity": capacity,
            "allocatable": {**capacity, **self.machine.spec.allocatable},
            "conditions": with_condition(conditions, "Ready", "True", now, reason="KubeletReady"),
            "nodeInfo": {**info, "bootID": boot, "machineID": self.node},
        }
