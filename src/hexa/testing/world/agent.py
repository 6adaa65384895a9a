"""hexa's own part of a world: it can be killed at any moment, even between two of its writes, and started again. It has the rights
of `domain.people.rights` and no other.

The core runs in a cancel scope of its own. Who calls its cloud calls into that scope too: a call dies with the agent.
"""

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Final, Literal, TypeVar

import trio
from msgspec import Struct

from hexa.adapters.memory.ports.heartbeats import open_heartbeats
from hexa.adapters.memory.ports.journal import MemoryJournal
from hexa.adapters.memory.ports.kube import MemoryKube, Verb
from hexa.adapters.memory.ports.sensors import MemoryGauge, MemorySensors
from hexa.adapters.memory.site.site import Site
from hexa.app.certificates import Certificates
from hexa.app.core import Core, Ports, open_core
from hexa.app.metrics.metrics import Metrics
from hexa.app.supply import Fed
from hexa.app.tariffs import Tariffs
from hexa.domain.errors import HexaError, Refused, Unavailable
from hexa.domain.people.rights import granted
from hexa.domain.policy.conventions import DEFAULTS
from hexa.domain.resources.core import Kind, Pod
from hexa.ports.cloud import (
    Cloud,
    Denied,
    Done,
    ExternalNode,
    Instance,
    NodeGroup,
    NodeTemplate,
    Options,
    UnknownGroup,
)
from hexa.ports.kube import Blocked, Evicted, Patch
from hexa.testing.world.builders import POWER_IMAGE
from hexa.testing.world.jobs import MemoryChecks, MemoryJobs

T = TypeVar("T")
GENERATION: Final = 1_000_000_000
"""Versions of one life of the agent; those of the next are larger."""


class MortalKube(MemoryKube):
    """The agent's client of the API server. After `dies_in` more writes it ends the agent: the write is made, and its answer
    never arrives."""

    def __init__(self, site: Site, kill: Callable[[], None], bans: Set[tuple[str, str]] = frozenset()) -> None:
        super().__init__(site.api, manager="hexa")
        self._bans = bans
        site.clients.append(self)
        self.writes = 0
        self.dies_in: int | None = None
        self.dead = False
        """Nothing that a dead process still had in mind reaches the server."""
        self._kill = kill

    async def create(self, kind: Kind[T], manifest: Mapping[str, Any]) -> T:
        return await self._written(super().create(kind, manifest))

    async def patch(self, kind: Kind[T], name: str, patch: Patch, *, namespace: str | None = None) -> T:
        self._allow("patch", kind, patch.subresource)
        return await self._written(super().patch(kind, name, patch, namespace=namespace))

    async def delete(
        self,
        kind: Kind[T],
        name: str,
        *,
        namespace: str | None = None,
        uid: str = "",
        propagation: Literal["Background", "Foreground", "Orphan"] = "Background",
        grace: int | None = None,
    ) -> None:
        call = super().delete(kind, name, namespace=namespace, uid=uid, propagation=propagation, grace=grace)
        await self._written(call)

    async def evict(self, name: str, *, namespace: str, uid: str = "", grace: int | None = None) -> Evicted | Blocked:
        return await self._written(super().evict(name, namespace=namespace, uid=uid, grace=grace))

    async def _arrive(self, verb: Verb, kind: Kind[Any], *name: Any) -> None:
        if self.dead:
            await trio.sleep_forever()
        if verb != "patch":
            self._allow(*(("create", kind, "eviction") if verb == "evict" else (verb, kind, "")))
        await super()._arrive(verb, kind, *name)

    def _allow(self, verb: str, kind: Kind[Any], subresource: str) -> None:
        """What the table of rights does not name is forbidden, as on a real API server."""
        group = kind.api_version.rpartition("/")[0]
        resource = f"{kind.plural}/{subresource}" if subresource else kind.plural
        if (verb, resource) in self._bans:
            raise Refused(f"hexa needs verb {verb} on {resource} ({group or 'core'})", reason="Forbidden")
        if not granted(verb, group=group, resource=resource):
            raise Refused(f"{verb} {resource}: domain.rights does not grant it", reason="Forbidden")

    async def _written(self, call: Awaitable[T]) -> T:
        answer = await call
        self.writes += 1
        if self.dies_in is not None:
            self.dies_in -= 1
            if self.dies_in <= 0:
                self.dies_in = None
                self._kill()
                await trio.sleep_forever()
        return answer


class Life(Struct):
    """One life of the agent."""

    core: Core
    nursery: trio.Nursery
    kube: MortalKube
    metrics: Metrics | None = None


class Agent:
    """hexa at a site."""

    def __init__(self, site: Site, journal: MemoryJournal) -> None:
        self._site: Final = site
        self._journal: Final = journal
        self.gauge: Final = MemoryGauge(site)
        """Answers for machines whose `spec.power` has something to ask."""
        self.image = POWER_IMAGE
        """What the Jobs of `spec.power` run, from the next life on."""
        self.conventions = DEFAULTS
        """Its settings that matter to the core, from the next life on."""
        self.tariffs: Tariffs | None = None
        """Prices of energy by name, from the next life on."""
        self.fed: Fed | None = None
        """The UPS that it asks, from the next life on."""
        self.bans: Final[set[tuple[str, str]]] = set()
        """Verbs on resources ("list", "cronjobs") that its role lacks."""
        self.eta = False
        """Whether pods that wait are told when their machine is Ready, from the next life on."""
        self.certificates = Certificates()
        """Those that it serves with."""
        self.metered = False
        """Whether it counts what it does (`Life.metrics`), from the next life on."""
        self.kube_conditions = False
        """Whether it says by Kubernetes' own conditions what it does, from the next life on."""
        self.latency = 0.0
        """Seconds that each of its calls of the API server takes, from the next life on."""
        self.lives = 0
        self.life: Life | None = None
        self._scope: trio.CancelScope | None = None
        self._ended = trio.Event()

    def __repr__(self) -> str:
        return f"<Agent {'alive' if self.life else 'dead'}, life {self.lives}>"

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """One life: started once the snapshot is complete, over when it is killed."""
        self.lives += 1
        self._ended = trio.Event()
        try:
            with trio.CancelScope() as self._scope:
                await self._live(task_status)
        finally:
            self.life = None
            self._ended.set()

    async def _live(self, task_status: trio.TaskStatus[None]) -> None:
        site = self._site
        kube = MortalKube(site, self.kill, self.bans)
        kube.latency = self.latency
        metrics = (
            Metrics(version="", tariffs=self.tariffs, certificates=self.certificates.ends) if self.metered else None
        )
        async with open_heartbeats(site) as heartbeats:
            ports = Ports(
                kube=metrics.watched(kube) if metrics is not None else kube,
                jobs=MemoryJobs(kube),
                clock=site.clock,
                journal=self._journal,
                heartbeats=heartbeats,
                sensors=MemorySensors(site),
                gauge=self.gauge,
                image=self.image,
                checks=MemoryChecks(kube),
                fed=self.fed,
            )
            opened = open_core(
                ports,
                conventions=self.conventions,
                tariffs=self.tariffs,
                eta=self.eta,
                kube_conditions=self.kube_conditions,
            )
            async with opened as core, trio.open_nursery() as nursery:
                if metrics is not None:
                    metrics.follow(core)
                self.life = Life(core, nursery, kube, metrics)
                task_status.started()
                with _told_of_clock(site, core):
                    await trio.sleep_forever()

    def kill(self) -> None:
        """End it where it stands, as SIGKILL does: nothing is put in order."""
        if self.life is not None:
            self.life.kube.dead = True
        if self._scope is not None:
            self._scope.cancel()

    async def ended(self) -> None:
        """Wait until it is dead."""
        await self._ended.wait()


@contextmanager
def _told_of_clock(site: Site, core: Core) -> Iterator[None]:
    """A real agent hears a Lease every moment, and looks at the clock; here nobody would."""
    look = core.store.clock.now
    site.clock.on_set.append(look)
    try:
        yield
    finally:
        site.clock.on_set.remove(look)


class AgentCloud:
    """The agent's cloud as somebody sees it who calls from outside: away while the agent is dead."""

    def __init__(self, agent: Agent) -> None:
        self._agent: Final = agent

    def __repr__(self) -> str:
        return f"<AgentCloud of {self._agent!r}>"

    def version(self) -> int:
        life = self._agent.life
        return self._agent.lives * GENERATION + (life.core.cloud.version() if life is not None else -1)

    def refresh(self) -> bool:
        return self._agent.life is not None and self._cloud.refresh()

    def groups(self) -> Sequence[NodeGroup]:
        return self._cloud.groups()

    def group_for_node(self, name: str, provider_id: str) -> NodeGroup | None:
        return self._cloud.group_for_node(name, provider_id)

    def target_size(self, group: str) -> int | UnknownGroup:
        return self._cloud.target_size(group)

    def instances(self, group: str) -> Sequence[Instance] | UnknownGroup:
        return self._cloud.instances(group)

    def template(self, group: str) -> NodeTemplate | UnknownGroup | Denied:
        return self._cloud.template(group)

    def options(self, group: str) -> Options | UnknownGroup:
        return self._cloud.options(group)

    def node_price(self, node: ExternalNode, start: datetime, end: datetime) -> float | None:
        return self._cloud.node_price(node, start, end)

    def pod_price(self, pod: Pod, start: datetime, end: datetime) -> float:
        return self._cloud.pod_price(pod, start, end)

    def gpu_label(self) -> str:
        return self._cloud.gpu_label()

    def gpu_types(self) -> Sequence[str]:
        return self._cloud.gpu_types()

    async def increase_size(self, group: str, *, delta: int) -> Done | UnknownGroup | Denied:
        return await self._inside(lambda cloud: cloud.increase_size(group, delta=delta))

    async def delete_nodes(self, group: str, *, nodes: Sequence[ExternalNode]) -> Done | UnknownGroup | Denied:
        return await self._inside(lambda cloud: cloud.delete_nodes(group, nodes=nodes))

    async def decrease_target_size(self, group: str, *, delta: int) -> Done | UnknownGroup | Denied:
        return await self._inside(lambda cloud: cloud.decrease_target_size(group, delta=delta))

    @property
    def _cloud(self) -> Cloud:
        if self._agent.life is None:
            raise Unavailable("hexa is not running")
        return self._agent.life.core.cloud

    async def _inside(self, call: Callable[[Cloud], Awaitable[T]]) -> T:
        """Make the call as one of the agent's own tasks."""
        cloud, life = self._cloud, self._agent.life
        assert life is not None
        done, answers, errors = trio.Event(), list[T](), list[HexaError]()

        async def run() -> None:
            try:
                answers.append(await call(cloud))
            except HexaError as error:
                errors.append(error)
            finally:
                done.set()

        life.nursery.start_soon(run)
        await done.wait()
        if errors:
            raise errors[0]
        if not answers:
            raise Unavailable("hexa ended before it answered")
        return answers[0]
