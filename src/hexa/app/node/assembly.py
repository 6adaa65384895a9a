"""Puts the parts together that look at machines, and act on them."""

from hexa.app.locks import GroupLocks
from hexa.app.news import Newsroom
from hexa.app.node.acting import Actor
from hexa.app.node.changes import Changes
from hexa.app.node.controller import NodeController
from hexa.app.node.deciding import Decider
from hexa.app.node.detaching import Detaching
from hexa.app.node.duties import NodeDuties
from hexa.app.node.health_checks import HealthChecks
from hexa.app.node.lease_watch import LeaseWatch
from hexa.app.node.looks import Reader
from hexa.app.node.make_room import RoomMaker
from hexa.app.node.observing import Observer
from hexa.app.node.power_jobs import PowerJobs
from hexa.app.saving import Writer
from hexa.app.store import Store
from hexa.app.tariffs import Tariffs
from hexa.app.turns import Turns
from hexa.app.views.views import Views
from hexa.ports.clock import Clock
from hexa.ports.heartbeats import Heartbeats
from hexa.ports.jobs import Jobs
from hexa.ports.kube import Kube
from hexa.ports.sensors import Meters, Sensors


def node_controller(
    *,
    store: Store,
    views: Views,
    kube: Kube,
    jobs: Jobs,
    heartbeats: Heartbeats,
    sensors: Sensors,
    clock: Clock,
    news: Newsroom,
    locks: GroupLocks,
    image: str = "",
    checks: HealthChecks | None = None,
    turns: Turns | None = None,
    tariffs: Tariffs | None = None,
    meters: Meters | None = None,
) -> NodeController:
    """`image`: what the Jobs of spec.power run. `turns`: shared with others that give way to questions. `tariffs`: what energy
    costs."""
    power_jobs, writer = PowerJobs(jobs, store, image=image), Writer(kube, store)
    observer = Observer(
        store=store, heartbeats=heartbeats, sensors=sensors, checks=checks, jobs=power_jobs, clock=clock, meters=meters
    )
    reader = Reader(
        store=store,
        views=views,
        kube=kube,
        heartbeats=heartbeats,
        jobs=power_jobs,
        detaching=Detaching(kube, news=news),
        observer=observer,
        tariffs=tariffs or Tariffs(),
    )
    room = RoomMaker(store=store, views=views, writer=writer, locks=locks, clock=clock, news=news)
    actor = Actor(store=store, kube=kube, jobs=power_jobs, nodes=NodeDuties(kube, store), writer=writer, room=room)
    controller = NodeController(
        store=store,
        decider=Decider(views=views, observer=observer, reader=reader),
        actor=actor,
        writer=writer,
        news=news,
        locks=locks,
        lease_watch=LeaseWatch(heartbeats=heartbeats, clock=clock),
        turns=turns or Turns(),
    )
    Changes(controller.queue, store=store, views=views, heartbeats=heartbeats)
    return controller
