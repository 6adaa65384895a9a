"""The running core: snapshot, controllers and the cloud that they serve, over whatever adapters it is given."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio
from msgspec import Struct, structs

from hexa.app.arrivals import ArrivalTeller
from hexa.app.clock import WatchedClock
from hexa.app.cloud.provider import Provider
from hexa.app.contained import BreachReporter
from hexa.app.group.controller import GroupController
from hexa.app.locks import GroupLocks
from hexa.app.news import Newsroom, events, logs
from hexa.app.node.assembly import node_controller
from hexa.app.node.controller import NodeController
from hexa.app.node.health_checks import HealthChecks
from hexa.app.node.heartbeats import LeaseHeartbeats
from hexa.app.node.kube_conditions import ConditionKeeper
from hexa.app.node.kube_node_controller import KubeNodeController
from hexa.app.node.power_readings import Readings
from hexa.app.pending import PendingPods
from hexa.app.safe_hands import SiteWatch
from hexa.app.store import Source, Store
from hexa.app.supply import Fed, UpsWatch
from hexa.app.tariffs import Tariffs
from hexa.app.turns import Turns
from hexa.app.views.views import Views
from hexa.domain.policy.conventions import DEFAULTS, Conventions
from hexa.domain.resources.v1alpha1 import Node, PowerReading
from hexa.ports.clock import Clock
from hexa.ports.health_checks import Checks
from hexa.ports.heartbeats import Heartbeats
from hexa.ports.jobs import Jobs
from hexa.ports.journal import Journal
from hexa.ports.kube import Kube
from hexa.ports.sensors import Gauge, Sensors


class NoSensors:
    """No machine's power is read."""

    def reading(self, machine: Node) -> PowerReading | None:
        return None

    def trouble(self, machine: Node) -> str:
        return ""


class Ports(Struct, frozen=True, kw_only=True):
    """What the core needs of the world. Without `heartbeats` it watches Leases by `kube`."""

    kube: Kube
    jobs: Jobs
    clock: Clock
    journal: Journal
    heartbeats: Heartbeats | None = None
    sensors: Sensors = NoSensors()
    """Knows of machines without `spec.power`."""
    gauge: Gauge | None = None
    """Asks for the power of those with `spec.power`; None: nobody does."""
    image: str = ""
    """What the Jobs of `spec.power` run; empty: there are none."""
    fed: Fed | None = None
    """The UPS that feeds the machines; None: nobody asks one."""
    checks: Checks | None = None
    """Runs health checks; None: nobody does."""


class Core(Struct, frozen=True):
    """A core at work."""

    cloud: Provider
    store: Store
    views: Views
    nodes: NodeController
    groups: GroupController
    kubernetes_nodes: KubeNodeController
    pending: PendingPods
    readings: Readings | None
    checks: HealthChecks | None
    site: SiteWatch
    contained: BreachReporter
    news: Newsroom
    """Who wants to be told what happens subscribes here."""


@asynccontextmanager
async def open_core(
    ports: Ports,
    *,
    namespaces: tuple[str, ...] = (),
    conventions: Conventions = DEFAULTS,
    tariffs: Tariffs | None = None,
    eta: bool = False,
    kube_conditions: bool = False,
) -> AsyncIterator[Core]:
    """Fill the snapshot, then run every loop until the block ends. Yields once the first lists are in.

    `namespaces`: whose resources count (none: all). `conventions`: what differs from cluster to cluster.
    `tariffs`: prices of energy, which may be replaced while the core works. `eta`: tell pods that wait when their machine is Ready.
    `kube_conditions`: say on Kubernetes nodes, by Kubernetes' own conditions, what is done to their machines.
    """
    clock = WatchedClock(ports.clock)
    ports = structs.replace(ports, clock=clock)
    store = Store(clock=clock, namespaces=namespaces, conventions=conventions)
    extra: tuple[Source, ...] = ()
    heartbeats = ports.heartbeats
    if heartbeats is None:
        leases = LeaseHeartbeats(clock=clock, fence=store.fence)
        clock.on_set(leases.clock_set)
        heartbeats, extra = leases, (leases.source(),)
        watched = store.synced.is_set  # the first list is no change
        store.nodes.subscribe(lambda _, old, new: leases.node_changed(old, new) if watched() else None)
    turns = Turns()
    core = _assemble(ports, store, heartbeats, tariffs or Tariffs(), turns)
    for keeper in (
        core.readings,
        core.checks,
        core.views,
        core.site,
        core.nodes,
        core.store,
    ):  # the store last: it sets the others to work
        if keeper is not None:
            clock.on_set(keeper.clock_set)
    async with trio.open_nursery() as nursery:
        await nursery.start(_follow, store, ports, extra, core.news)
        if ports.fed is not None:
            await nursery.start(UpsWatch(ports.fed, store=core.store, views=core.views, clock=clock).run)
        nursery.start_soon(core.contained.queue.run)
        core.cloud.on_read = turns.asked
        nursery.start_soon(turns.run)
        for queue in (core.nodes.queue, core.groups.queue, core.kubernetes_nodes.queue):
            queue.share(turns)
            nursery.start_soon(queue.run)
        nursery.start_soon(core.pending.queue.run)
        said = ConditionKeeper(
            store=store, views=core.views, kube=ports.kube, clock=clock, news=core.news, says=kube_conditions
        )
        if said.begin():
            nursery.start_soon(said.queue.run)
        if eta:
            teller = ArrivalTeller(views=core.views, kube=ports.kube, clock=clock, news=core.news)
            nursery.start_soon(teller.run)
        nursery.start_soon(core.nodes.lease_watch.run)
        nursery.start_soon(core.site.run)
        for loop in (core.readings, core.checks):
            if loop is not None:
                nursery.start_soon(loop.queue.run)
        yield core
        nursery.cancel_scope.cancel()


async def _follow(
    store: Store, ports: Ports, extra: tuple[Source, ...], news: Newsroom, *, task_status: trio.TaskStatus[None]
) -> None:
    await store.run(ports.kube, extra, news=news, task_status=task_status)


def _assemble(ports: Ports, store: Store, heartbeats: Heartbeats, tariffs: Tariffs, turns: Turns) -> Core:
    news = Newsroom(logs(ports.journal), events(ports.journal))
    contained = BreachReporter(store=store, kube=ports.kube, clock=ports.clock, news=news)
    views, locks = Views(store, image_known=bool(ports.image), tariffs=tariffs), GroupLocks()
    kube, clock = ports.kube, ports.clock
    pending = PendingPods(store=store, kube=kube, news=news)
    readings, checks = _readings(ports, store, views, news), _checks(ports, store, views, news)
    nodes = node_controller(
        store=store,
        views=views,
        kube=kube,
        jobs=ports.jobs,
        heartbeats=heartbeats,
        sensors=readings or ports.sensors,
        meters=readings,
        clock=clock,
        news=news,
        locks=locks,
        image=ports.image,
        checks=checks,
        turns=turns,
        tariffs=tariffs,
    )
    if checks is not None:
        checks.subscribe(nodes.queue.add)
    if readings is not None:
        readings.subscribe(nodes.queue.add)
    return Core(
        cloud=Provider(store=store, views=views, kube=kube, clock=clock, news=news, locks=locks, tariffs=tariffs),
        store=store,
        views=views,
        nodes=nodes,
        groups=GroupController(
            store=store,
            views=views,
            kube=kube,
            clock=clock,
            news=news,
            locks=locks,
            turns=turns,
            tariffs=tariffs,
            pending=pending,
        ),
        pending=pending,
        kubernetes_nodes=KubeNodeController(store=store, views=views, kube=kube, clock=clock, news=news, turns=turns),
        readings=readings,
        checks=checks,
        site=SiteWatch(store=store, views=views, clock=clock),
        contained=contained,
        news=news,
    )


def _checks(ports: Ports, store: Store, views: Views, news: Newsroom) -> HealthChecks | None:
    if ports.checks is None:
        return None
    return HealthChecks(store=store, views=views, checks=ports.checks, clock=ports.clock, news=news)


def _readings(ports: Ports, store: Store, views: Views, news: Newsroom) -> Readings | None:
    if ports.gauge is None:
        return None
    return Readings(
        store=store,
        views=views,
        gauge=ports.gauge,
        elsewhere=ports.sensors,
        clock=ports.clock,
        news=news,
    )
