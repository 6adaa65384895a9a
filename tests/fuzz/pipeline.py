"""Everything that hexa does about one machine or group, once and without loops; Jobs are built as for a real cluster."""

import json
import traceback
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from inspect import isawaitable
from typing import Any

import msgspec

from hexa.adapters.kube_jobs.adapter import open_jobs
from hexa.adapters.kube_jobs.health_checks import open_checks
from hexa.adapters.memory.clock import START
from hexa.adapters.metrics.wire import family_text
from hexa.app.commands.get import chosen
from hexa.app.commands.history import history_of
from hexa.app.commands.shared.snapshot import Snapshot
from hexa.app.commands.why import explain_group, explain_machine
from hexa.app.core import NoSensors
from hexa.app.fence import CONTAINED
from hexa.app.locks import GroupLocks
from hexa.app.metrics.scene import Around, Scene
from hexa.app.metrics.table import ROWS
from hexa.app.node.assembly import node_controller
from hexa.app.node.controller import NodeController
from hexa.app.node.health_checks import HealthChecks
from hexa.app.node.heartbeats import LeaseHeartbeats
from hexa.app.node.power_readings import Readings
from hexa.app.questions.overview import machine_of, overview
from hexa.cli.shared.checking import check, written_objects
from hexa.domain.errors import HexaError
from hexa.domain.notify.ledger import Ledger
from hexa.domain.notify.letter import single, summary
from hexa.domain.notify.standing import of_group, of_machine
from hexa.domain.notify.written import WrittenReceiver, receivers_of
from hexa.domain.resources.core import NODES, Kind, Pod
from hexa.domain.resources.power_spec import DriverName
from hexa.domain.resources.v1alpha1 import GROUPS, MACHINES, PROFILES, Lookup, Node, Reading
from hexa.domain.words.overview import GroupState, MachineState
from hexa.ports.cloud import ExternalNode
from hexa.ports.metrics import Family
from hexa.yaml import Document
from tests.app.rig import Rig, key, open_rig
from tests.fuzz.odd import machine


class OneReading:
    """A gauge whose every reading is On."""

    async def read(self, machine: Node, driver: DriverName) -> Reading:
        return Reading.ON


class Pipeline:
    """A good group `g` with a good machine `good`, and whatever odd object is put beside them."""

    def __init__(self, rig: Rig, nodes: NodeController, readings: Readings, checks: HealthChecks) -> None:
        self.rig, self.nodes, self.readings, self.checks = rig, nodes, readings, checks
        self.failures: list[tuple[str, str]] = []
        """What was done to which odd object, and what that raised."""
        self.about = ""

    async def machine(self, obj: dict[str, Any], about: str, *, kube: bool = True) -> None:
        """All that is done about this machine; with `kube` its Kubernetes node is there."""
        self.about = about
        name = obj["metadata"]["name"]
        await self.do("validate", lambda: check(written_objects([document(obj)], namespace="d"), now=START))
        if kube:
            self.rig.kube_node(name)
        self.create(MACHINES, obj)
        await self.judge(name)
        await self.do("reading", lambda: self.readings._read(key(name)))
        await self.do("check", lambda: self.checks._tend(key(name)))
        for _ in range(2):
            await self.do("machine", lambda: self.nodes.reconcile(key(name)))
        await self.do("node", lambda: self.rig.kube_nodes.reconcile(name))
        await self.judge(name)
        await self.do("overview", lambda: shown(told(machine_of(self.snapshot, key(name)))))
        self.remove(MACHINES, name)
        if kube:
            self.rig.api.delete(NODES, ("", name))
            self.rig.store.nodes.drop(Lookup("", name))

    async def group(self, obj: dict[str, Any], about: str) -> None:
        """All that is done about this group, with a machine in it."""
        self.about = about
        name = obj["metadata"]["name"]
        member = machine("member")
        member["metadata"]["labels"]["group"] = name
        await self.do("validate", lambda: check(written_objects([document(obj)], namespace="d"), now=START))
        self.create(GROUPS, obj)
        self.create(MACHINES, member)
        await self.judge("member", name)
        await self.do("machine", lambda: self.nodes.reconcile(key("member")))
        await self.do("group", lambda: self.rig.groups.reconcile(key(name)))
        await self.judge("member", name)
        await self.do("overview", lambda: [told(each) for each in overview(self.snapshot).groups])
        self.remove(MACHINES, "member")
        self.remove(GROUPS, name)

    @property
    def snapshot(self) -> Snapshot:
        """Everything at this moment."""
        return Snapshot(self.rig.store, self.rig.views, now=self.rig.clock.now(), notes=())

    async def judge(self, name: str, group: str = "g") -> None:
        """What is answered of it: to Cluster Autoscaler, and to people."""
        rig, gid = self.rig, f"d/{group}"
        cloud, external, now = rig.cloud, ExternalNode(name=name), rig.clock.now()
        await self.do("groups", cloud.groups)
        for ask in (cloud.target_size, cloud.instances, cloud.template, cloud.options):
            await self.do("answer", partial(ask, gid))
        await self.do("group_for_node", lambda: cloud.group_for_node(name, ""))
        await self.do("node_price", lambda: cloud.node_price(external, now, now))
        await self.do("pod_price", lambda: cloud.pod_price(Pod(), now, now))
        snapshot = self.snapshot
        await self.do("get", lambda: shown(chosen(snapshot, [], namespace=None, machines=True, groups=True)))
        await self.do("why", lambda: explain_machine(rig.kube, snapshot, key(name)), shows=True)
        await self.do("why", lambda: shown(explain_group(snapshot, key(group))))
        await self.do("history", lambda: shown(history_of(snapshot, f"d/{name}", namespace=None)))
        await self.do("notify", lambda: self.told(name, group))
        await self.do("metrics", self.scrape)
        await self.do("group", lambda: rig.groups.reconcile(key(group)))

    def scrape(self) -> None:
        """What Prometheus reads."""
        scene = Scene(self.rig.store, self.rig.views, now=self.rig.clock.now(), around=Around())
        for row in ROWS:
            samples = list(row.read(scene)) if row.read is not None else []
            assert len(dict(samples)) == len(samples)
            named = {"name": row.name, "kind": row.kind, "meaning": row.meaning, "labels": row.labels}
            family_text(Family(**named, samples=samples)).encode()

    def told(self, name: str, group: str) -> None:
        """What a receiver of notifications is sent of both, at once and in a summary."""
        ledger, now, store = Ledger(START), self.rig.clock.now(), self.rig.store
        if (node := store.machines.objects.get(key(name))) is not None:
            ledger.put("machine", of_machine(node), now=now)
        if (found := store.groups.objects.get(key(group))) is not None:
            ledger.put("group", of_group(found, minimum=1), now=now, first_look=True)
        later = max(now, ledger.looks(now) or now)
        [receiver], _ = receivers_of([WrittenReceiver(name="me", url="http://x/")])
        tellings = ledger.due(later)
        for each in tellings:
            json.loads(single(each, receiver, number="1").body)
        json.loads(summary(tellings, receiver, number="2", now=later, why="together").body)

    async def do(self, what: str, work: Callable[[], Any], *, shows: bool = False) -> None:
        """Do it. What a caller can act on is no failure; whatever else it raises, or is contained meanwhile, is one."""
        try:
            done = work()
            if isawaitable(done):
                done = await done
            if shows:
                shown(done)
        except HexaError:
            pass
        except Exception as error:
            self.failures.append((f"{what}: {self.about}", trace(error)))
        for subject in self.rig.store.fence.subjects:
            for breach in self.rig.store.fence.breaches(subject.kind, subject.key):
                self.failures.append((f"{what}: {self.about}: contained with {subject}", breach.trace[-700:]))
            self.rig.store.fence.forget(subject)

    def create(self, kind: Kind[Any], obj: dict[str, Any]) -> None:
        metadata = dict(obj["metadata"])
        notes = metadata.get("annotations", {})
        texts = notes if isinstance(notes, dict) else {}
        metadata["annotations"] = {k: v if isinstance(v, str) else json.dumps(v) for k, v in texts.items()}
        self.rig.api.create(kind, {**obj, "metadata": metadata}, keep_status=True)
        stored = self.rig.api.get(kind, metadata["name"], "d")
        assert stored is not None
        cache = self.rig.store.machines if kind is MACHINES else self.rig.store.groups
        cache.put(stored.decoded(kind))

    def remove(self, kind: Kind[Any], name: str) -> None:
        self.rig.api.table(kind).objects.pop(("d", name), None)  # whatever finalizer it has
        cache: Any = self.rig.store.machines if kind is MACHINES else self.rig.store.groups
        cache.drop(key(name))


@asynccontextmanager
async def open_pipeline() -> AsyncIterator[Pipeline]:
    """The pipeline over a rig that sees everything."""
    async with open_rig() as rig, open_jobs(rig.kube) as jobs, open_checks(rig.kube) as checks:
        rig.group()
        rig.machine("good")
        rig.api.create(
            PROFILES, {"metadata": {"name": "text", "namespace": "d"}, "spec": {}}
        )  # what every odd machine names
        rig.store.profiles.expect(None)
        rig.store.profiles.replace((await rig.kube.list(PROFILES)).items, scope=None)
        rig.store.profiles.sees(None)
        await rig.seen()
        leases = LeaseHeartbeats(clock=rig.clock)
        leases.replace((), scope=None)
        rig.store.profiles.wanted.set()
        rig.store.checks.wanted.set()
        rig.store.checks.sees(None)
        parts: dict[str, Any] = {"store": rig.store, "views": rig.views, "clock": rig.clock, "news": rig.news}
        readings = Readings(**parts, gauge=OneReading(), elsewhere=NoSensors())
        health = HealthChecks(**parts, checks=checks)
        nodes = node_controller(
            store=rig.store,
            views=rig.views,
            clock=rig.clock,
            news=rig.news,
            kube=rig.kube,
            jobs=jobs,
            heartbeats=leases,
            sensors=readings,
            locks=GroupLocks(),
            image="power.example/hexa",
            checks=health,
        )
        yield Pipeline(rig, nodes, readings, health)


def document(obj: dict[str, Any]) -> Document:
    """The object as it is read from a file."""
    return Document({**obj, "metadata": {**obj["metadata"], "annotations": {}}}, "odd.yaml", {(): 1})


def told(found: MachineState | GroupState | None) -> MachineState | GroupState | None:
    """What stands in the overview; one that could not be told of is a failure."""
    assert found is None or not (found.blocker or "").startswith(CONTAINED), found.blocker
    return found


def shown(answer: Any) -> bytes:
    """The answer as it is printed by --json."""
    return msgspec.json.encode(answer)


def trace(error: BaseException) -> str:
    """The end of its traceback."""
    return "".join(traceback.format_exception(error))[-900:]
