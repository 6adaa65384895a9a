"""The snapshot and the API server in RAM, without loops: tests call what they try, and look at what is stored."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any

import msgspec
import trio
from trio.testing import wait_all_tasks_blocked

from hexa.adapters.memory.clock import START, MemoryClock
from hexa.adapters.memory.cluster.api import MemoryApi
from hexa.adapters.memory.ports.journal import MemoryJournal
from hexa.adapters.memory.ports.kube import MemoryKube
from hexa.app.cloud.provider import Provider
from hexa.app.group.controller import GroupController
from hexa.app.locks import GroupLocks
from hexa.app.news import Newsroom, events, logs
from hexa.app.node.kube_node_controller import KubeNodeController
from hexa.app.store import Store
from hexa.app.tariffs import Tariffs
from hexa.app.views.views import Views
from hexa.app.wishes import Wishes
from hexa.domain.group.asked import asked
from hexa.domain.machine.lifecycle import Phase
from hexa.domain.machine.wish import recorded_wish, wish_patch
from hexa.domain.names import MEMBERSHIP_LABEL, WISH_ANNOTATION
from hexa.domain.policy.conventions import Conventions
from hexa.domain.resources.core import NODES, Kind, KubeNode
from hexa.domain.resources.v1alpha1 import GROUPS, MACHINES, Asker, Group, Lookup, Node, Power, WishRecord
from hexa.ports.kube import Patch

SPACE = "d"
ON, OFF = Power.ON, Power.OFF
CA, USER, RECOVERY = Asker.CLUSTER_AUTOSCALER, Asker.USER, Asker.RECOVERY
POD = {"image": "registry.example/power"}
CAPACITY = {"cpu": "4", "memory": "16Gi", "pods": "110"}


def at(seconds: float) -> datetime:
    """So many seconds after the start of virtual time."""
    return START + timedelta(seconds=seconds)


def stamp(seconds: float) -> str:
    """The same as the API writes it."""
    return at(seconds).isoformat().replace("+00:00", "Z")


def wish(power: Power, by: Asker = CA, **more: Any) -> WishRecord:
    """A wish as it is recorded."""
    return WishRecord(power=power, by=by, since=START, spec=power.value, **more)


class Rig:
    """Snapshot, API server and everything that can be built on them."""

    def __init__(
        self,
        *,
        latency: float = 0.0,
        kube: type[MemoryKube] = MemoryKube,
        before: "Rig | None" = None,
        tariffs: Tariffs | None = None,
    ) -> None:
        self.clock = before.clock if before is not None else MemoryClock()
        self.api = before.api if before is not None else MemoryApi(self.clock)
        self.kube = kube(self.api, latency=latency)
        self.journal = MemoryJournal(self.clock)
        self.news = Newsroom(logs(self.journal), events(self.journal))
        known = () if tariffs is None else tuple(tariffs.known)
        self.store = Store(clock=self.clock, conventions=Conventions(tariffs=known))
        self.views = Views(self.store)
        parts: dict[str, Any] = {
            "store": self.store,
            "views": self.views,
            "kube": self.kube,
            "clock": self.clock,
            "news": self.news,
        }
        locks = GroupLocks()
        self.cloud = Provider(**parts, locks=locks, tariffs=tariffs)
        self.groups = GroupController(**parts, locks=locks, tariffs=tariffs)
        self.wishes = Wishes(store=self.store, views=self.views, kube=self.kube, clock=self.clock)
        self.kube_nodes = KubeNodeController(**parts)

    async def seen(self) -> None:
        """Wait until the snapshot has seen everything that was done to the API server."""
        await wait_all_tasks_blocked()

    async def recorded(self) -> None:
        """Let each machine write down what a request on its group asks of it."""
        for lookup in sorted(self.store.machines.objects, key=str):
            if (view := self.views.machine(lookup)) is not None:
                await self.wishes.record(view)

    # --- what is there ------------------------------------------------------------------------

    def group(self, name: str = "g", **spec: Any) -> None:
        """A Group."""
        self.api.create(GROUPS, {"metadata": {"name": name, "namespace": SPACE}, "spec": spec})

    def machine(
        self,
        name: str,
        phase: Phase | None = Phase.OFF,
        asked: WishRecord | None = None,
        *,
        group: str = "g",
        spec: Mapping[str, Any] | None = None,
        since: float = 0.0,
        **status: Any,
    ) -> None:
        """A healthy machine with a past: its phase, the wish that stands, more of its status. hexa has woken it before."""
        asked = asked or wish(ON if phase in (Phase.READY, Phase.BOOTING, Phase.POWERING_ON) else OFF, RECOVERY)
        given: dict[str, Any] = {"startupPodSpec": POD, "shutdownPodSpec": POD, "template": {"capacity": CAPACITY}}
        if asked.spec:
            given["powerState"] = asked.spec
        given |= spec or {}
        known: dict[str, Any] = {}
        if phase is not None:
            known = {"phase": str(phase), "since": stamp(since), "wakeProvenAt": stamp(0), "health": "healthy"}
        metadata = {
            "name": name,
            "namespace": SPACE,
            "labels": {MEMBERSHIP_LABEL: group} if group else {},
            "annotations": {WISH_ANNOTATION: msgspec.json.encode(asked).decode()},
        }
        manifest = {"metadata": metadata, "spec": given, "status": msgspec.to_builtins(known | status)}
        self.api.create(MACHINES, manifest, keep_status=True)

    def kube_node(self, name: str, *, ready: bool = True, **parts: Any) -> None:
        """The Kubernetes node of a machine; `labels`, `annotations`, `taints`, `spec` say more."""
        metadata = {"name": name, "labels": parts.get("labels", {}), "annotations": parts.get("annotations", {})}
        spec = {**({"taints": parts["taints"]} if "taints" in parts else {}), **parts.get("spec", {})}
        status: dict[str, Any] = {
            "conditions": [{"type": "Ready", "status": "True" if ready else "Unknown"}],
            "capacity": CAPACITY,
        }
        if "allocatable" in parts:
            status["allocatable"] = parts["allocatable"]
        self.api.create(NODES, {"metadata": metadata, "spec": spec, "status": status}, keep_status=True)

    def edit(self, name: str, body: dict[str, Any], *, kind: Kind[Any] = MACHINES) -> None:
        """Somebody else changes an object."""
        self.api.patch(kind, (SPACE, name), Patch(body))

    def wish_by_hand(self, name: str, asked: WishRecord) -> None:
        """Another wish is stored on the machine."""
        self.edit(name, wish_patch(self.stored_machine(name), asked))

    # --- what is stored -----------------------------------------------------------------------

    def _get(self, kind: Kind[Any], name: str, namespace: str = SPACE) -> Any:
        stored = self.api.get(kind, name, namespace)
        assert stored is not None, f"{kind.plural} {name} is gone"
        return stored.decoded(kind)

    def stored_machine(self, name: str) -> Node:
        """The machine as the API server has it."""
        found = self._get(MACHINES, name)
        assert isinstance(found, Node)
        return found

    def stored_group(self, name: str = "g") -> Group:
        """The group as the API server has it."""
        found = self._get(GROUPS, name)
        assert isinstance(found, Group)
        return found

    def stored_node(self, name: str) -> KubeNode:
        """The Kubernetes node as the API server has it."""
        found = self._get(NODES, name, "")
        assert isinstance(found, KubeNode)
        return found

    def wished(self, name: str) -> tuple[Power, Asker] | None:
        """Power and asker of the wish that is stored: by a request on its group, else on the machine."""
        machine = self.stored_machine(name)
        membership = machine.metadata.labels.get(MEMBERSHIP_LABEL)
        group = self.stored_group(membership) if membership and self.api.get(GROUPS, membership, SPACE) else None
        record = asked(group, machine) or recorded_wish(machine)
        return None if record is None else (record.power, record.by)

    def wanted(self) -> set[str]:
        """Machines whose stored wish is on."""
        names = [stored.key[1] for stored in self.api.find(MACHINES)]
        return {name for name in names if (found := self.wished(name)) is not None and found[0] is ON}


def key(name: str) -> Lookup:
    """Where our resources of these tests live."""
    return Lookup(SPACE, name)


@asynccontextmanager
async def open_rig(
    *,
    latency: float = 0.0,
    kube: type[MemoryKube] = MemoryKube,
    before: Rig | None = None,
    tariffs: Tariffs | None = None,
) -> AsyncIterator[Rig]:
    """A rig whose snapshot is fed; what the API server holds when the block begins is not there yet: call `seen`. `before`: whose
    API server it is, of an earlier life."""
    rig = Rig(latency=latency, kube=kube, before=before, tariffs=tariffs)
    async with trio.open_nursery() as nursery:

        async def follow(*, task_status: trio.TaskStatus[None]) -> None:
            await rig.store.run(rig.kube, news=rig.news, task_status=task_status)

        await nursery.start(follow)
        yield rig
        nursery.cancel_scope.cancel()
