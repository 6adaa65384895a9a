"""A site: machines, an API server, what a cluster's control plane does, and people who press buttons. All in virtual time.

`open_site` puts it together; whoever tests or simulates adds machines, load and faults, and reads what came of it.
"""

import random
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from functools import partial
from typing import Any, Final, Protocol

import trio
from msgspec import Struct, structs

from hexa.adapters.memory.clock import START, MemoryClock, Timers
from hexa.adapters.memory.cluster.api import Backup, MemoryApi
from hexa.adapters.memory.cluster.conditions import condition
from hexa.adapters.memory.cluster.context import Behaviour, Context, Speaker
from hexa.adapters.memory.cluster.cron import CronJobController
from hexa.adapters.memory.cluster.eviction import BudgetController
from hexa.adapters.memory.cluster.job_controller import JobController
from hexa.adapters.memory.cluster.kinds import DAEMON_SETS, REPLICA_SETS
from hexa.adapters.memory.cluster.node_lifecycle import NodeMonitor, NodeTainter, PodCollector, TaintEviction
from hexa.adapters.memory.cluster.pod_controllers import DaemonSetController, ReplicaSetController
from hexa.adapters.memory.cluster.pods import SECONDS_ANNOTATION, PodsByNode, comes_with_the_node, node_of
from hexa.adapters.memory.cluster.scheduler import Scheduler
from hexa.adapters.memory.cluster.store import Builtins, Event, Stored
from hexa.adapters.memory.cluster.volumes import VolumeAttacher
from hexa.adapters.memory.ports.kube import MemoryKube
from hexa.adapters.memory.settings import STOCK, Settings
from hexa.adapters.memory.site.faults import JOB_FAULTS, Fault, FaultKind, JobDefect, check, seconds, strike
from hexa.adapters.memory.site.kubelet import Kubelet
from hexa.adapters.memory.site.machine import MemoryMachine
from hexa.adapters.memory.site.machine_spec import MachineSpec
from hexa.domain.names import ACTION_LABEL, CHECK_ACTION, GROUP_LABEL, MACHINE_LABEL
from hexa.domain.resources.core import JOBS, LEASES, NODES, PODS
from hexa.ports.jobs import Action
from hexa.ports.kube import ChangeType

CONTROL_PLANE: Final = "control-plane"
_CONTROL_PLANE_ROLE: Final = "node-role.kubernetes.io/control-plane"


class Report(Struct, frozen=True, kw_only=True):
    """What a time at the site cost and gave; the control plane's machine is left out."""

    on_hours: float
    kwh: float
    boots: int
    offs: int
    wakes: int
    pods_killed: int
    """Lost by a power-off that was ordered: must be 0."""
    pods_lost: int
    """Lost by crashes and power cuts."""
    pods_run: int
    waits: tuple[float, ...]
    """Seconds from the creation of each pod until it ran, DaemonSets and power Jobs apart."""


class Hearer(Protocol):
    """Who watches the signs of life of the site's kubelets."""

    def spoke(self, kubelet: Speaker) -> None:
        """A silent kubelet is heard again."""
        ...

    def blind(self) -> None:
        """An outage of the API server begins."""
        ...


class Site:
    """Everything that is there, with the ports of it. Use `open_site`."""

    def __init__(self, *, settings: Settings = STOCK, start: datetime = START) -> None:
        self.settings: Final = settings
        self.clock: Final[MemoryClock] = MemoryClock(start)
        self.timers: Final = Timers()
        self.rng: Final = random.Random(settings.seed)
        self.api: Final[MemoryApi] = MemoryApi(self.clock)
        self.machines: Final[dict[str, MemoryMachine]] = {}
        self.kubelets: Final[dict[str, Kubelet]] = {}
        """By the name of their Kubernetes node."""
        self.clients: Final[list[MemoryKube]] = []
        self.hearers: Final[list[Hearer]] = []
        self.job_defects: Final[list[JobDefect]] = []
        self.control_plane: MemoryMachine | None = None
        self.snapshot: Backup | None = None
        """The last snapshot of etcd that a fault has taken."""
        self._waiting: dict[str, float] = {}
        self._waits: list[float] = []
        self._context: Final = Context(
            api=self.api,
            clock=self.clock,
            timers=self.timers,
            settings=settings,
            rng=self.rng,
            pods=PodsByNode(self.api),
            behaviour=self._behaviour,
            attached=VolumeAttacher(self.api, self.timers, detach=settings.volume_detach).when_attached,
            running=self._running,
            spoke=self._spoke,
            silent=self._silent,
        )
        self.monitor: Final = NodeMonitor(self._context)
        self.scheduler: Final = Scheduler(self.api, self.timers)
        self._start_controllers()

    def __repr__(self) -> str:
        return f"<Site {self.clock.now().isoformat()} {len(self.machines)} machines>"

    # --- what is there ------------------------------------------------------------------------

    def client(self, *, manager: str = "hexa", latency: float = 0.0) -> MemoryKube:
        """Another client of the API server."""
        kube = MemoryKube(self.api, manager=manager, latency=latency)
        self.clients.append(kube)
        return kube

    def add_machine(
        self, name: str, *, group: str = "", on: bool = False, labels: Mapping[str, str] | None = None, **spec: Any
    ) -> MemoryMachine:
        """A machine; fields of `MachineSpec` say what it is. With `group`, its kubelet registers the group's label, as a
        machine does that has been a member; hexa gives it to those that do not."""
        own = {**(labels or {}), **({GROUP_LABEL: group} if group else {})}
        machine = MemoryMachine(
            MachineSpec(name=name, labels=own, **spec), timers=self.timers, settings=self.settings, rng=self.rng
        )
        kubelet = Kubelet(machine, self._context)
        machine.agent = kubelet
        self.machines[name] = machine
        self.kubelets[kubelet.node] = kubelet
        if on:
            machine.start_up()
        return machine

    def add_control_plane(self, *, tainted: bool = True, **spec: Any) -> MemoryMachine:
        """The machine outside all groups on which power Jobs, hexa and Cluster Autoscaler run."""
        taints = ({"key": _CONTROL_PLANE_ROLE, "effect": "NoSchedule"},) if tainted else ()
        labels = {_CONTROL_PLANE_ROLE: ""}
        self.control_plane = self.add_machine(CONTROL_PLANE, on=True, labels=labels, taints=taints, **spec)
        return self.control_plane

    def add_workload(
        self,
        name: str,
        *,
        replicas: int = 1,
        namespace: str = "default",
        cpu: str = "100m",
        memory: str = "64Mi",
        labels: Mapping[str, str] | None = None,
        **spec: Any,
    ) -> Stored:
        """A ReplicaSet: its pods run until they are stopped, and come back. `spec`: more of the pods' spec."""
        template = _template(labels or {"app": name}, cpu=cpu, memory=memory, run=None, spec=spec)
        manifest = {
            "metadata": {"name": name, "namespace": namespace},
            "spec": {"replicas": replicas, "template": template},
        }
        return self.api.create(REPLICA_SETS, manifest)

    def scale(self, name: str, replicas: int, *, namespace: str = "default") -> None:
        """Give a workload another number of pods."""
        stored = self.api.get(REPLICA_SETS, name, namespace)
        if stored is None:
            raise ValueError(f"no workload is called {name!r}")
        self.api.write(REPLICA_SETS, stored, spec={**stored.raw["spec"], "replicas": replicas})

    def add_daemonset(
        self, name: str, *, namespace: str = "kube-system", cpu: str = "50m", memory: str = "50Mi", **spec: Any
    ) -> Stored:
        """A pod on every node, that tolerates every taint."""
        template = _template({"app": name}, cpu=cpu, memory=memory, run=None, spec=spec)
        return self.api.create(
            DAEMON_SETS, {"metadata": {"name": name, "namespace": namespace}, "spec": {"template": template}}
        )

    def add_job(
        self, name: str, *, run: float, namespace: str = "default", cpu: str = "1", memory: str = "1Gi", **spec: Any
    ) -> Stored:
        """Work that takes `run` seconds and starts anew where its pod is evicted; it leaves nothing behind."""
        template = _template({"app": name}, cpu=cpu, memory=memory, run=run, spec={"restartPolicy": "Never", **spec})
        job = {"backoffLimit": 1000, "ttlSecondsAfterFinished": 0, "template": template}
        return self.api.create(JOBS, {"metadata": {"name": name, "namespace": namespace}, "spec": job})

    def add_pod(
        self,
        name: str,
        *,
        run: float | None = None,
        namespace: str = "default",
        cpu: str = "100m",
        memory: str = "64Mi",
        labels: Mapping[str, str] | None = None,
        **spec: Any,
    ) -> Stored:
        """A pod without controller: nothing brings it back. It stays in the API once it has finished."""
        pod = _template(labels or {}, cpu=cpu, memory=memory, run=run, spec={"restartPolicy": "Never", **spec})
        return self.api.create(PODS, {**pod, "metadata": {**pod["metadata"], "name": name, "namespace": namespace}})

    # --- what goes wrong ----------------------------------------------------------------------

    def inject(self, *faults: Fault) -> None:
        """Let each happen at its time after now. Raises `ValueError` for a machine that the site does not know."""
        for fault in faults:
            check(self, fault)
            self.timers.after(seconds(fault.at), partial(strike, self, fault))

    # --- what came of it ----------------------------------------------------------------------

    def report(self) -> Report:
        """What happened up to now."""
        machines = [machine for machine in self.machines.values() if machine is not self.control_plane]
        return Report(
            on_hours=sum(machine.meter.on_hours for machine in machines),
            kwh=sum(machine.meter.kwh for machine in machines),
            boots=sum(machine.boots for machine in machines),
            offs=sum(machine.offs for machine in machines),
            wakes=sum(machine.wakes for machine in machines),
            pods_killed=sum(machine.pods_killed for machine in machines),
            pods_lost=sum(machine.pods_lost for machine in machines),
            pods_run=len(self._waits),
            waits=tuple(self._waits),
        )

    @property
    def waiting(self) -> int:
        """Pods that were created and do not run yet."""
        return len(self._waiting)

    # --- inside -------------------------------------------------------------------------------

    def _start_controllers(self) -> None:
        """They live as long as the API server that they listen to."""
        NodeTainter(self._context)
        TaintEviction(self._context)
        PodCollector(self._context)
        ReplicaSetController(self.api, self.timers)
        DaemonSetController(self.api, self.timers)
        JobController(self.api, self.timers)
        CronJobController(self.api, self.timers)
        BudgetController(self.api)
        self.api.listen(PODS, self._pod_changed)
        self.api.listen(NODES, self._node_changed)
        self.api.before_list(LEASES, self._renew_leases)
        self.api.on_outage.append(self._blind)

    def _pod_changed(self, event: Event) -> None:
        if event.type is ChangeType.ADDED and _is_load(event.stored.raw):
            self._waiting[event.stored.uid] = trio.current_time()
        elif event.type is ChangeType.DELETED:
            self._waiting.pop(event.stored.uid, None)
        node, before = node_of(event.stored.raw), node_of(event.old.raw) if event.old is not None else ""
        if event.old is not None and before != node and (left := self.kubelets.get(before)) is not None:
            left.pod_changed(Event(ChangeType.DELETED, event.old, event.old))  # its watch no longer selects the pod
        if (kubelet := self.kubelets.get(node)) is not None:
            kubelet.pod_changed(event)

    def _node_changed(self, event: Event) -> None:
        """A kubelet that finds another status than its own, as after a restore of etcd, posts it again."""
        kubelet = self.kubelets.get(event.stored.key[1])
        if event.type is ChangeType.DELETED or kubelet is None or not kubelet.speaking:
            return
        ready = condition(event.stored.raw.get("status") or {}, "Ready")
        if ready is not None and ready["status"] == "Unknown":
            self.timers.after(self.settings.beat, partial(self._post, kubelet))

    def _post(self, kubelet: Kubelet) -> None:
        if kubelet.speaking:
            self.monitor.spoke(kubelet)

    def _running(self, pod: Stored) -> None:
        if (created := self._waiting.pop(pod.uid, None)) is not None:
            self._waits.append(trio.current_time() - created)

    def _spoke(self, kubelet: Speaker) -> None:
        self.monitor.spoke(kubelet)
        for hearer in tuple(self.hearers):
            hearer.spoke(kubelet)

    def _silent(self, kubelet: Speaker) -> None:
        self.monitor.silent(kubelet)

    def _blind(self) -> None:
        for hearer in self.hearers:
            hearer.blind()

    def _renew_leases(self) -> None:
        for kubelet in self.kubelets.values():
            if kubelet.speaking:
                kubelet.renew_lease()

    def _behaviour(self, pod: Builtins) -> Behaviour:
        metadata = pod["metadata"]
        labels = metadata.get("labels") or {}
        if ACTION_LABEL in labels:
            return self._power_job(labels.get(MACHINE_LABEL, ""), labels[ACTION_LABEL])
        given = (metadata.get("annotations") or {}).get(SECONDS_ANNOTATION)
        return Behaviour(None if given is None else float(given))

    def _power_job(self, name: str, action: str) -> Behaviour:
        machine = self.machines.get(name)
        effect = None
        if machine is not None and action != CHECK_ACTION:
            effect = machine.wake if action == Action.STARTUP else machine.switch_off
        for defect in self.job_defects:
            if defect.strikes(name, action):
                defect.left -= 1
                given = JOB_FAULTS[defect.fault.kind]
                return structs.replace(given, effect=effect) if defect.fault.kind is FaultKind.ODD_ANSWER else given
        if action == CHECK_ACTION:
            return Behaviour(self.settings.job_seconds, fails=machine is None or not machine.fit)
        if machine is None:
            return Behaviour(self.settings.job_seconds, fails=True)
        return Behaviour(self.settings.job_seconds, effect=effect)


def _is_load(pod: Builtins) -> bool:
    return not comes_with_the_node(pod) and ACTION_LABEL not in (pod["metadata"].get("labels") or {})


def _template(labels: Mapping[str, str], *, cpu: str, memory: str, run: float | None, spec: Builtins) -> Builtins:
    container = {"name": "main", "image": "example", "resources": {"requests": {"cpu": cpu, "memory": memory}}}
    annotations = {} if run is None else {SECONDS_ANNOTATION: str(run)}
    return {
        "metadata": {"labels": dict(labels), "annotations": annotations},
        "spec": {"containers": [container], **spec},
    }


@asynccontextmanager
async def open_site(*, settings: Settings = STOCK, start: datetime = START) -> AsyncIterator[Site]:
    """A site in which time passes until this is left."""
    site = Site(settings=settings, start=start)
    async with trio.open_nursery() as nursery:
        await nursery.start(site.timers.run)
        yield site
        nursery.cancel_scope.cancel()
