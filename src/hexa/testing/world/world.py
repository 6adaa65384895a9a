"""The world itself: put together, loaded, hurt, waited for and read. It decides nothing that hexa or the autoscaler would."""

import math
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
import trio
from msgspec import structs
from trio.testing import wait_all_tasks_blocked

from hexa.adapters.memory.clock import START, MemoryClock
from hexa.adapters.memory.cluster.api import Backup
from hexa.adapters.memory.cluster.store import Event
from hexa.adapters.memory.ports.journal import MemoryJournal
from hexa.adapters.memory.ports.kube import MemoryKube
from hexa.adapters.memory.settings import Settings as SiteSettings
from hexa.adapters.memory.site.faults import Fault
from hexa.adapters.memory.site.machine import MemoryMachine
from hexa.adapters.memory.site.site import Site, open_site
from hexa.app.tariffs import Tariffs
from hexa.domain.machine.lifecycle import Phase, phase_of
from hexa.domain.money.written_tariff import WrittenTariff, tariff_of
from hexa.domain.policy.circuits import WrittenCircuit, circuits_of
from hexa.domain.policy.conventions import DEFAULTS
from hexa.domain.resources.core import BUDGETS, NODES, PODS, KubeNode, Pod
from hexa.domain.resources.v1alpha1 import GROUPS, MACHINES, PROFILES, Group, Node
from hexa.ports.kube import Patch
from hexa.testing.autoscaler import Autoscaler, Settings, open_autoscaler
from hexa.testing.world.agent import Agent, AgentCloud
from hexa.testing.world.breaker import Breaker
from hexa.testing.world.builders import NAMESPACE, Machine, Manifest

LEAP: Final = 5.0
"""Seconds after which `until` looks again whatever happens: some wait for a time of the day."""


class NotInTime(AssertionError):
    """What was waited for did not come."""


class World:
    """A site with hexa and, unless told otherwise, an autoscaler. Use `open_world`."""

    def __init__(self, site: Site, nursery: trio.Nursery) -> None:
        self.site: Final = site
        self.journal: Final = MemoryJournal(site.clock)
        self.agent: Final = Agent(site, self.journal)
        self.cloud: Final = AgentCloud(self.agent)
        """What Cluster Autoscaler calls."""
        self.kube: Final = MemoryKube(site.api, manager="kubectl")
        """A person's client of the API server."""
        self.autoscaler: Autoscaler | None = None
        self._nursery: Final = nursery

    def __repr__(self) -> str:
        phases = {key: str(self.phase(key)) for key in sorted(self.site.machines) if self._node(key) is not None}
        return f"<World {self.now.isoformat()} {phases}, {self.waiting} pods wait>"

    # --- what is there ------------------------------------------------------------------------

    @property
    def now(self) -> datetime:
        return self.site.clock.now()

    @property
    def waiting(self) -> int:
        """Pods that were created and do not run yet; DaemonSets and power Jobs apart."""
        return self.site.waiting

    def hardware(self, name: str) -> MemoryMachine:
        """The physical machine: its power, and what befell it."""
        return self.site.machines[name]

    def node(self, name: str, *, namespace: str = NAMESPACE) -> Node:
        """The Node resource of the machine."""
        found = self._node(name, namespace)
        if found is None:
            raise KeyError(f"there is no Node {namespace}/{name}")
        return found

    def group(self, name: str, *, namespace: str = NAMESPACE) -> Group:
        """The Group resource."""
        stored = self.site.api.get(GROUPS, name, namespace)
        found = stored.decoded(GROUPS) if stored is not None else None
        if not isinstance(found, Group):
            raise KeyError(f"there is no Group {namespace}/{name}")
        return found

    def phase(self, name: str, *, namespace: str = NAMESPACE) -> Phase:
        """Where hexa says that the machine is."""
        return phase_of(self.node(name, namespace=namespace).status)

    def phases(self) -> dict[str, Phase]:
        """All machines by their phase."""
        return {name: self.phase(name) for name in self.site.machines if self._node(name) is not None}

    def kube_node(self, name: str) -> KubeNode | None:
        """The Kubernetes node; None if there is none."""
        stored = self.site.api.get(NODES, name)
        found = stored.decoded(NODES) if stored is not None else None
        return found if isinstance(found, KubeNode) else None

    def pods(self, *, phase: str = "") -> list[Pod]:
        """All pods, or those in a phase."""
        found = (stored.decoded(PODS) for stored in self.site.api.find(PODS))
        return [pod for pod in found if isinstance(pod, Pod) and phase in ("", pod.status.phase)]

    def _node(self, name: str, namespace: str = NAMESPACE) -> Node | None:
        stored = self.site.api.get(MACHINES, name, namespace)
        found = stored.decoded(MACHINES) if stored is not None else None
        return found if isinstance(found, Node) else None

    # --- what happens to it -------------------------------------------------------------------

    def add_group(self, manifest: Manifest) -> None:
        """Apply a Group."""
        self.site.api.create(GROUPS, manifest, manager="kubectl")

    def add_profile(self, manifest: Manifest) -> None:
        """Apply a PowerProfile."""
        self.site.api.create(PROFILES, manifest, manager="kubectl")

    def add_machine(self, machine: Machine) -> MemoryMachine:
        """Set up a machine, and apply its Node."""
        hardware = self.site.add_machine(machine.name, on=machine.on, **machine.hardware)
        self.site.api.create(MACHINES, machine.manifest, manager="kubectl")
        return hardware

    def edit(self, name: str, spec: Mapping[str, Any], *, namespace: str = NAMESPACE) -> None:
        """A person changes the spec of a machine."""
        self._patch(MACHINES, name, spec, namespace)

    def edit_group(self, name: str, spec: Mapping[str, Any], *, namespace: str = NAMESPACE) -> None:
        """A person changes the spec of a group."""
        self._patch(GROUPS, name, spec, namespace)

    def edit_profile(self, name: str, spec: Mapping[str, Any], *, namespace: str = NAMESPACE) -> None:
        """A person changes a PowerProfile."""
        self._patch(PROFILES, name, spec, namespace)

    def _patch(self, kind: Any, name: str, spec: Mapping[str, Any], namespace: str) -> None:

        self.site.api.patch(kind, (namespace, name), Patch({"spec": spec}), manager="kubectl")

    def cordon(self, node: str) -> None:
        """A person cordons a Kubernetes node."""
        self.site.api.patch(NODES, ("", node), Patch({"spec": {"unschedulable": True}}), manager="kubectl")

    def breaker(self, *machines: str) -> Breaker:
        """Watch what these machines draw from now on."""
        return Breaker([self.hardware(name) for name in machines])

    def add_pods(self, count: int, *, name: str = "load", **pod: Any) -> None:
        """A workload of so many pods (cpu="2", memory="1Gi"); call `scale` to change the number."""
        self.site.add_workload(name, replicas=count, **pod)

    def scale(self, count: int, *, name: str = "load") -> None:
        """Give the workload another number of pods."""
        self.site.scale(name, count)

    def add_budget(self, *, name: str = "load", **spec: Any) -> None:
        """A disruption budget over a workload's pods (minAvailable=1)."""
        manifest = {
            "metadata": {"name": name, "namespace": "default"},
            "spec": {"selector": {"matchLabels": {"app": name}}, **spec},
        }
        self.site.api.create(BUDGETS, manifest)

    def inject(self, *faults: Fault | Mapping[str, Any]) -> None:
        """Let things go wrong: `{"kind": "lostWake", "machine": "rack-1"}`."""
        self.site.inject(*(fault if isinstance(fault, Fault) else msgspec.convert(fault, Fault) for fault in faults))

    def set_clock(self, by: float) -> None:
        """Somebody sets the wall clock so many seconds forward, or back by a negative number."""
        self.site.clock.set_by(by)

    def snapshot(self) -> Backup:
        """A snapshot of etcd."""
        return self.site.api.snapshot()

    def restore(self, snapshot: Backup, *, seconds: float = 5.0) -> None:
        """Put etcd back to it; the API server is away for so long."""
        self.site.api.restore(snapshot, seconds=seconds)

    def kill_agent(self, *, after_writes: int = 0) -> None:
        """End hexa now, or right after that many more of its writes."""
        life = self.agent.life
        if life is not None and after_writes:
            life.kube.dies_in = after_writes
        else:
            self.agent.kill()

    async def start_agent(self) -> None:
        """Start hexa (again); returns once its snapshot is complete."""
        await self._nursery.start(self.agent.run)

    async def restart_agent(self, *, after: float = 0.0) -> None:
        """Kill it, wait so long, start it."""
        self.agent.kill()
        await self.agent.ended()
        await trio.sleep(after)
        await self.start_agent()

    # --- waiting ------------------------------------------------------------------------------

    async def until(self, holds: Callable[[], object], *, within: float, every: float = 0.5) -> float:
        """Wait until `holds()`, looked at after every so many seconds, in which time it may pass that nothing happens and it is
        not looked at; returns the seconds that it took. Raises `NotInTime`."""
        await wait_all_tasks_blocked()  # what was just asked for may not have begun
        start = trio.current_time()
        while not holds():
            if trio.current_time() - start >= within:
                raise NotInTime(f"not within {within:g} s: {self!r}")
            await trio.sleep(_steps(every) * every)
            await wait_all_tasks_blocked()
        return trio.current_time() - start

    async def settle(self, *, quiet: float = 60.0, within: float = 3600.0) -> None:
        """Wait until nothing has been written for `quiet` seconds. Raises `NotInTime`."""
        deadline = trio.current_time() + within
        while True:
            version = self.site.api.version
            await trio.sleep(quiet)
            if version == self.site.api.version:
                return
            if trio.current_time() >= deadline:
                raise NotInTime(f"not settled within {within:g} s: {self!r}")


def _steps(every: float) -> int:
    """How many looks ahead something is due, while all other tasks wait: until then all stays as it is, but for the time."""
    due = min(trio.lowlevel.current_statistics().seconds_to_next_deadline, LEAP)
    return max(math.ceil(due / every), 1)


@asynccontextmanager
async def open_world(
    *,
    groups: Iterable[Manifest] = (),
    machines: Iterable[Machine] = (),
    profiles: Iterable[Manifest] = (),
    autoscaler: Settings | None = Settings(),  # noqa: B008
    site: SiteSettings = SiteSettings(),  # noqa: B008
    start: datetime = START,
    agent: bool = True,
    circuits: Mapping[str, Mapping[str, Any]] | None = None,
    tariffs: Mapping[str, WrittenTariff] | None = None,
) -> AsyncIterator[World]:
    """A world in which time passes until the block ends. `autoscaler=None`: nobody calls hexa but you; `agent=False`: start
    hexa yourself. `circuits`: those of hexa's configuration, in its own words (garage={"maxWatts": 1400}); `tariffs` likewise."""
    failed: Exception | None = None
    try:
        async with open_site(settings=site, start=start.astimezone(UTC)) as opened, AsyncExitStack() as stack:
            world = await _assembled(opened, stack, (list(groups), list(profiles)), list(machines))
            if circuits:
                written = msgspec.convert(circuits, dict[str, WrittenCircuit])
                world.agent.conventions = structs.replace(DEFAULTS, circuits=circuits_of(written))
            if tariffs:
                names, read = tuple(tariffs), {name: tariff_of(name, each)[0] for name, each in tariffs.items()}
                world.agent.conventions = structs.replace(world.agent.conventions, tariffs=names)
                world.agent.tariffs = Tariffs(read)
            if agent:
                await world.start_agent()
            if autoscaler is not None:
                await _add_autoscaler(world, autoscaler, stack)
            try:
                yield world
            except Exception as error:
                failed = error
                raise
    except BaseExceptionGroup:
        if failed is None:
            raise
        raise failed from None  # what went wrong in the block, without the nurseries around it


async def _assembled(
    site: Site, stack: AsyncExitStack, manifests: tuple[list[Manifest], list[Manifest]], machines: list[Machine]
) -> World:
    groups, profiles = manifests
    site.add_control_plane()
    nursery = await stack.enter_async_context(trio.open_nursery())
    stack.callback(nursery.cancel_scope.cancel)
    world = World(site, nursery)
    for manifest in groups:
        world.add_group(manifest)
    for manifest in profiles:
        world.add_profile(manifest)
    for machine in machines:
        world.add_machine(machine)
    return world


async def _add_autoscaler(world: World, settings: Settings, stack: AsyncExitStack) -> None:
    client = world.site.client(manager="cluster-autoscaler")
    clock = MemoryClock(world.now)  # it measures by its monotonic clock
    opened = open_autoscaler(world.cloud, client, clock, settings=settings)
    autoscaler = world.autoscaler = await stack.enter_async_context(opened)

    def nudge(_: Event) -> None:
        autoscaler.nudge()

    for kind in (GROUPS, MACHINES):
        world.site.api.listen(kind, nudge)
