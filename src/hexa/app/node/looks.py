"""Reads what a decision asks for: from the snapshot, or fresh from the API server. It decides nothing."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any, Final

from msgspec import structs

from hexa.app.node.detaching import Detaching
from hexa.app.node.observing import Observer
from hexa.app.node.power_jobs import PowerJobs
from hexa.app.node.renaming import name_facts
from hexa.app.pods import Drains, pods_on
from hexa.app.store import Store
from hexa.app.tariffs import Tariffs
from hexa.app.views.views import Views
from hexa.domain.decide.decision import Looked
from hexa.domain.decide.facts import namesakes_of
from hexa.domain.decide.observed import Load, Observed, OrderSeen, Read
from hexa.domain.errors import Refused
from hexa.domain.machine.boot import on_their_way
from hexa.domain.machine.facts import stood_still
from hexa.domain.machine.identity import in_doubt, names_now, renamed
from hexa.domain.machine.lifecycle import Phase
from hexa.domain.machine.power_job import Action, current
from hexa.domain.machine.stamps import aware
from hexa.domain.machine.unclaimed_nodes import runs_as
from hexa.domain.machine_view import MachineView
from hexa.domain.money.booking import Prices
from hexa.domain.pods.drain import Plan, plan, undecided
from hexa.domain.resources.v1alpha1 import JobRecord, Lookup
from hexa.domain.rules.out_of_service import stuck
from hexa.domain.rules.power_cycle import Site
from hexa.ports.heartbeats import Heartbeats
from hexa.ports.kube import Kube


class Reader:
    """Answers looks."""

    def __init__(
        self,
        *,
        store: Store,
        views: Views,
        kube: Kube,
        heartbeats: Heartbeats,
        jobs: PowerJobs,
        detaching: Detaching,
        observer: Observer,
        tariffs: Tariffs,
    ) -> None:
        self._store, self._views, self._kube, self._heartbeats = store, views, kube, heartbeats
        self._jobs, self._detaching, self._observer = jobs, detaching, observer
        self._tariffs = tariffs
        self._drains = Drains(kube, store.nodes)

    def forget(self, key: Lookup) -> None:
        """The machine is gone."""
        self._jobs.forget(key)
        self._detaching.forget(key)

    def glance(self, at: Looked, machine: MachineView, observed: Observed) -> Read | None:
        """What was read so far, and this, from the snapshot; None: it must be asked for."""
        look = self._SNAPSHOT.get(at)
        return structs.replace(observed.read, **{str(at): look(self, machine, observed)}) if look is not None else None

    async def read(self, at: Looked, machine: MachineView, observed: Observed) -> Read:
        """What was read so far, and this, from the API server."""
        return structs.replace(observed.read, **{str(at): await self._FRESH[at](self, machine, observed)})

    async def _job(self, machine: MachineView, observed: Observed) -> JobRecord | None:
        record = current(machine.node.status)
        order = self._jobs.order(machine, machine.node.status, Action(record.action)) if record is not None else None
        return await self._jobs.observe(order, record) if order is not None and record is not None else None

    async def _order(self, machine: MachineView, observed: Observed) -> OrderSeen:
        action = Action.SHUTDOWN if machine.phase is Phase.POWERING_OFF else Action.STARTUP
        order = self._jobs.order(machine, machine.node.status, action)
        if order is None:
            return OrderSeen(able=False)
        status = machine.node.status
        begun = (status.woken_at if action is Action.STARTUP else None) or status.since
        old = begun is not None and self._jobs.of_another_time(order, begun)
        unmade = self._jobs.unmade(order)
        return OrderSeen(able=True, of_another_time=old, there=self._jobs.there(order), unmade=unmade)

    async def _plan(self, machine: MachineView, observed: Observed) -> Plan:
        """What a drain would do. Where the API server does not let us see that, nobody knows: it blocks, and says so."""
        try:
            return await self._planned(machine, observed)
        except Refused as error:
            return undecided(machine.kube_name, str(error))

    async def _planned(self, machine: MachineView, observed: Observed) -> Plan:
        """The same. Pods of other Kubernetes nodes that may be the machine's block it."""
        others = namesakes_of(machine, observed, silent=True)
        pods, wish = await pods_on(self._kube, machine.kube_name), machine.wish(observed.now)
        forced = machine.node.status.forced
        found = await self._drains.plan(machine, pods, by=wish.by if wish is not None else None, forced=forced)
        if name := renamed(machine.node):
            found = in_doubt(found, await pods_on(self._kube, name), names_now(name))
        for other in others:
            found = in_doubt(found, await pods_on(self._kube, other), runs_as(other))
        now, blind = observed.now, observed.blind_seconds
        still = stood_still(machine.node.status, now=now, skipped=observed.skipped, blind_seconds=blind)
        return await self._detaching.waits(machine, found, pods, now=now, still=still)

    async def _name(self, machine: MachineView, observed: Observed) -> Any:
        return await name_facts(machine, observed, kube=self._kube, views=self._views, heartbeats=self._heartbeats)

    async def _stuck(self, machine: MachineView, observed: Observed) -> tuple[str, ...]:
        assert machine.kube is not None
        found = tuple(stuck(await pods_on(self._kube, machine.kube_name), machine.kube))
        self._observer.looked_for_stuck(machine, found=bool(found))
        return found

    async def _load(self, machine: MachineView, observed: Observed) -> Load:
        """Volumes are not waited for: the machine is not drained."""
        before, pods = observed.pods_seen_at, await pods_on(self._kube, machine.kube_name)
        self._observer.looked_for_pods(machine, observed.now)
        return Load(idle=plan(pods, rules=machine.policy.drain).left == 0, before=before)

    def _price(self, machine: MachineView, observed: Observed) -> float:
        receipt = machine.node.status.receipt
        since = receipt.counted_to if receipt is not None else None
        return self._tariffs.within(min(since or observed.now, observed.now), observed.now).rates(machine).per_kwh

    def _members(self, machine: MachineView, observed: Observed) -> Any:
        return tuple(self._views.judged(machine.group.key, observed.now)) if machine.group is not None else ()

    def _site(self, machine: MachineView, observed: Observed) -> Site:
        others = {key.name for key in self._store.nodes.objects} - {machine.kube_name}
        lives = (self._heartbeats.life(name) for name in others)
        members = (each for group in self._views.groups() for each in self._views.judged(group.key, observed.now))
        return Site(
            heard=sum(life is not None and observed.now < life.until for life in lives),
            lost=sum(each.phase is Phase.LOST and each.key != machine.key for each in members),
        )

    def _unclaimed(self, machine: MachineView, observed: Observed) -> Any:
        return tuple(self._views.unclaimed())

    def _woken(self, machine: MachineView, observed: Observed) -> tuple[datetime, ...]:
        if machine.group is None:
            return ()
        keys = (key for key in self._views.keys_of_group(machine.group.key) if key != machine.key)
        nodes = (self._store.machines.objects.get(key) for key in keys)
        return on_their_way(node.status for node in nodes if node is not None)

    def _prices(self, machine: MachineView, observed: Observed) -> Prices:
        to = machine.node.status.energy.energy_to
        start = min(aware(to), observed.now) if to is not None else observed.now
        return self._tariffs.paid(machine.policy, start=start, end=observed.now)

    _SNAPSHOT: Final[dict[Looked, Callable[["Reader", MachineView, Observed], Any]]] = {
        Looked.MEMBERS: _members,
        Looked.SITE: _site,
        Looked.UNCLAIMED: _unclaimed,
        Looked.WOKEN: _woken,
        Looked.PRICE: _price,
        Looked.PRICES: _prices,
    }
    """Asks nobody."""
    _FRESH: Final[dict[Looked, Callable[["Reader", MachineView, Observed], Awaitable[Any]]]] = {
        Looked.JOB: _job,
        Looked.ORDER: _order,
        Looked.PLAN: _plan,
        Looked.NAME: _name,
        Looked.STUCK: _stuck,
        Looked.LOAD: _load,
    }
    """Asks the API server, if need be."""
