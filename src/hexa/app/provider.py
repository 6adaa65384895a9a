"""Implements ports.cloud: Cluster Autoscaler's questions answered from the snapshot, its requests stored as wishes.

Reads touch memory only. A write is one transaction: all wishes are stored when it returns, or none stays.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

import msgspec
import trio

from hexa.app.references import group_reference
from hexa.app.saving import Writer
from hexa.app.store import Store
from hexa.app.view import GroupView, MachineView, Views
from hexa.domain.cost import Rates, node_price, pod_price
from hexa.domain.drain import requests
from hexa.domain.errors import Conflict, HexaError, NotFound, Unavailable
from hexa.domain.lifecycle import Phase
from hexa.domain.names import GROUP_LABEL
from hexa.domain.quantity import amounts
from hexa.domain.resources.core import Pod
from hexa.domain.resources.v1alpha1 import Asker, LeavePolicy, Lookup, Power, WishRecord
from hexa.domain.sizing import Member, cancellable, candidates, counts, max_size, target
from hexa.domain.template import group_shape, mixed
from hexa.ports.clock import Clock
from hexa.ports.cloud import (
    Denied,
    Done,
    ExternalNode,
    Instance,
    InstanceError,
    InstanceErrorClass,
    InstanceState,
    NodeGroup,
    NodeTemplate,
    Options,
    UnknownGroup,
)
from hexa.ports.journal import Journal, Severity
from hexa.ports.kube import Kube

WRITES_AT_ONCE: Final = 16
TRIES: Final = 4
GPU_LABEL: Final = "nvidia.com/gpu.product"

STATES: Final[dict[Phase, InstanceState]] = {
    Phase.POWERING_ON: InstanceState.CREATING,
    Phase.BOOTING: InstanceState.CREATING,
    Phase.READY: InstanceState.RUNNING,
    Phase.LOST: InstanceState.RUNNING,
    Phase.DRAINING: InstanceState.DELETING,
    Phase.POWERING_OFF: InstanceState.DELETING,
    Phase.STOP_FAILED: InstanceState.DELETING,
}


class Provider:
    """The cloud that Cluster Autoscaler sees."""

    def __init__(self, *, store: Store, views: Views, kube: Kube, clock: Clock, journal: Journal) -> None:
        self._store, self._views, self._clock, self._journal = store, views, clock, journal
        self._writer = Writer(kube, store)
        self._locks: dict[Lookup, trio.Lock] = {}
        self._groups: tuple[int, list[NodeGroup]] = (-1, [])
        self._members: dict[Lookup, tuple[int, list[Member]]] = {}

    # --- reads ---

    def version(self) -> int:
        return self._store.version

    def refresh(self) -> bool:
        return self._store.synced.is_set()

    def groups(self) -> Sequence[NodeGroup]:
        if self._groups[0] != self.version():
            shown = [self._shown(view) for view in self._views.groups() if view.valid]
            self._groups = (self.version(), shown)
        return self._groups[1]

    def group_for_node(self, name: str, provider_id: str) -> NodeGroup | None:
        view = self._machine(name, provider_id)
        if view is None or view.group is None or not view.valid or not is_member(view, self._clock.now()):
            return None
        return self._shown(view.group)

    def target_size(self, group: str) -> int | UnknownGroup:
        view = self._group(group)
        return UnknownGroup(group) if view is None else target(self._members_of(view))

    def instances(self, group: str) -> Sequence[Instance] | UnknownGroup:
        view = self._group(group)
        if view is None:
            return UnknownGroup(group)
        spare = bool(candidates(self._members_of(view)))
        now = self._clock.now()
        found = (instance(machine, now, spare=spare) for machine in self._views.members(view.key))
        return [shown for shown in found if shown is not None]

    def template(self, group: str) -> NodeTemplate | UnknownGroup | Denied:
        view = self._group(group)
        if view is None:
            return UnknownGroup(group)
        shapes = {
            machine.key: shape for machine in self._views.members(view.key) if (shape := machine.shape()) is not None
        }
        if (problem := mixed(shapes.values())) is not None:
            return Denied(problem.reason, problem.text)
        able = {member.key for member in candidates(self._members_of(view))} & shapes.keys()
        least = group_shape([shapes[key] for key in sorted(able or shapes.keys(), key=str)])
        if least is None:
            return Denied("ShapeUnknown", f"no machine of {group} was ever seen Ready; declare spec.template.capacity")
        return NodeTemplate(name=f"{view.key.name}-template", shape=least)

    def options(self, group: str) -> Options | UnknownGroup:
        view = self._group(group)
        if view is None:
            return UnknownGroup(group)
        return msgspec.convert(view.policy.options, Options, from_attributes=True)

    def node_price(self, node: ExternalNode, start: datetime, end: datetime) -> float | None:
        view = self._machine(node.name, node.provider_id)
        if view is not None:
            return node_price(view.rates, start=start, end=end)
        rates = self._template_rates(node)
        return node_price(rates, start=start, end=end) if rates is not None else None

    def pod_price(self, pod: Pod, start: datetime, end: datetime) -> float:
        """The least that the pod costs on any machine of ours: what the price expander compares a node's price with."""
        wanted = requests(pod)
        prices = [
            pod_price(machine.rates, wanted, amounts(shape.capacity), start=start, end=end)
            for group in self._views.groups()
            for machine in self._views.members(group.key)
            if (shape := machine.shape()) is not None
        ]
        return min(prices, default=0.0)

    def gpu_label(self) -> str:
        return GPU_LABEL

    def gpu_types(self) -> Sequence[str]:
        shapes = (m.shape() for g in self._views.groups() for m in self._views.members(g.key))
        return sorted({shape.labels[GPU_LABEL] for shape in shapes if shape is not None and GPU_LABEL in shape.labels})

    def _template_rates(self, node: ExternalNode) -> Rates | None:
        """A node made from a group's template: priced as the machine that would be woken next."""
        name = node.labels.get(GROUP_LABEL, "")
        for view in self._views.groups():
            if view.key.name == name:
                members = self._views.members(view.key)
                first = candidates(self._members_of(view))
                keys = {first[0].key} if first else {machine.key for machine in members}
                return next((machine.rates for machine in members if machine.key in keys), None)
        return None

    def _machine(self, name: str, provider_id: str) -> MachineView | None:
        view = self._views.by_kube_name(name) if name else None
        return view if view is not None or not provider_id else self._by_provider_id(provider_id)

    def _by_provider_id(self, provider_id: str) -> MachineView | None:
        for group in self._views.groups():
            for machine in self._views.members(group.key):
                if machine.provider_id == provider_id:
                    return machine
        return None

    def _group(self, group: str) -> GroupView | None:
        namespace, _, name = group.partition("/")
        view = self._views.group(Lookup(namespace, name))
        return view if view is not None and view.valid else None

    def _members_of(self, view: GroupView) -> list[Member]:
        cached = self._members.get(view.key)
        if cached is None or cached[0] != self.version():
            now = self._clock.now()
            cached = (self.version(), [machine.member(now) for machine in self._views.members(view.key)])
            self._members[view.key] = cached
        return cached[1]

    def _shown(self, view: GroupView) -> NodeGroup:
        members = self._members_of(view)
        shapes = [shape for machine in self._views.members(view.key) if (shape := machine.shape()) is not None]
        now_on = target(members)
        most = now_on if mixed(shapes) is not None else max_size(view.policy, members)
        ready = sum(member.phase is Phase.READY for member in members)
        debug = f"{view.key}: {len(members)} machines, {ready} Ready, {now_on} wanted"
        return NodeGroup(id=view.id, min_size=min(view.policy.min_size, most), max_size=most, debug=debug)

    # --- writes ---

    async def increase_size(self, group: str, *, delta: int) -> Done | UnknownGroup | Denied:
        view = self._group(group)
        if view is None:
            return UnknownGroup(group)
        async with self._lock(view.key):
            return await self._increase(view, delta)

    async def _increase(self, view: GroupView, delta: int) -> Done | Denied:
        self._sighted()
        members = self._members_of(view)
        now_on, shown = target(members), self._shown(view)
        if now_on + delta > shown.max_size:
            text = f"{view.id} has {now_on} of at most {shown.max_size} machines; {delta} more cannot come"
            return self._deny(view, "MaxSizeReached", text)
        found = candidates(members)
        if len(found) < delta:
            return self._deny(view, "NotEnoughMachines", f"{view.id} has {len(found)} machines to wake, {delta} asked")
        wish = self._wished(Power.ON, "ScaleUp")
        return await self._wish_all([member.key for member in found], wish, count=delta)

    async def delete_nodes(self, group: str, *, nodes: Sequence[ExternalNode]) -> Done | UnknownGroup | Denied:
        view = self._group(group)
        if view is None:
            return UnknownGroup(group)
        async with self._lock(view.key):
            return await self._delete(view, nodes)

    async def _delete(self, view: GroupView, nodes: Sequence[ExternalNode]) -> Done | Denied:
        self._sighted()
        now = self._clock.now()
        resting: dict[Lookup, MachineView] = {}
        for node in nodes:
            machine = self._machine(node.name, node.provider_id)
            if machine is None or machine.group is None or machine.group.key != view.key:
                return self._deny(view, "NotAMember", f"{node.name or node.provider_id} is no machine of {view.id}")
            wish = machine.wish(now)
            if wish is None or wish.power is Power.ON:
                resting[machine.key] = machine
        for machine in resting.values():
            if machine.phase is Phase.READY and (vetoes := machine.off_vetoes(now)):
                return self._deny(view, vetoes[0].reason, f"{machine.key}: {vetoes[0].message}")
        leaving = sum(counts(machine.member(now)) for machine in resting.values())
        left = target(self._members_of(view)) - leaving
        if leaving and left < view.policy.min_size:
            return self._deny(
                view, "MinSizeReached", f"{view.id} would have {left} machines, minSize is {view.policy.min_size}"
            )
        return await self._wish_all(list(resting), self._wished(Power.OFF, "ScaleDown"), count=len(resting))

    async def decrease_target_size(self, group: str, *, delta: int) -> Done | UnknownGroup | Denied:
        view = self._group(group)
        if view is None:
            return UnknownGroup(group)
        async with self._lock(view.key):
            self._sighted()
            found = cancellable(self._members_of(view))[: max(-delta, 0)]
            wish = self._wished(Power.OFF, "RequestTakenBack")
            return await self._wish_all([member.key for member in found], wish, count=len(found))

    def _wished(self, power: Power, reason: str) -> WishRecord:
        return WishRecord(power=power, by=Asker.CLUSTER_AUTOSCALER, reason=reason, since=self._clock.now())

    async def _wish_all(self, keys: list[Lookup], wish: WishRecord, *, count: int) -> Done | Denied:
        """Store the wish for `count` of the machines, the first ones first; take all back if that fails."""
        pending, stored = list(keys), list[tuple[Lookup, WishRecord | None]]()
        try:
            while len(stored) < count and pending:
                batch, pending = pending[: count - len(stored)], pending[count - len(stored) :]
                stored += await self._wish_batch(batch, wish)
        except HexaError:
            await self._take_back(stored)
            raise
        if len(stored) < count:
            await self._take_back(stored)
            return Denied("MachinesChanged", f"only {len(stored)} of {count} machines could be asked")
        return Done()

    async def _wish_batch(self, keys: list[Lookup], wish: WishRecord) -> list[tuple[Lookup, WishRecord | None]]:
        stored: list[tuple[Lookup, WishRecord | None]] = []
        failed: list[HexaError] = []
        limit = trio.CapacityLimiter(WRITES_AT_ONCE)

        async def one(key: Lookup) -> None:
            async with limit:
                try:
                    previous = await self._store_wish(key, wish)
                    stored.append((key, previous))
                except (Conflict, NotFound):
                    return  # somebody else is at it: another machine takes its place
                except HexaError as error:
                    failed.append(error)

        async with trio.open_nursery() as nursery:
            for key in keys:
                nursery.start_soon(one, key)
        if failed:
            await self._take_back(stored)
            raise failed[0]
        return stored

    async def _store_wish(self, key: Lookup, wish: WishRecord) -> WishRecord | None:
        for attempt in range(TRIES):
            view = self._views.machine(key)
            if view is None:
                raise NotFound(f"{key} is gone")
            try:
                await self._writer.wish(view.node, wish)
            except NotFound:
                raise
            except Conflict:
                if attempt == TRIES - 1:
                    raise
                await trio.sleep(0.02 * (attempt + 1))  # the watch brings the newer state
            else:
                return view.node.status.wish
        raise AssertionError("unreachable")

    async def _take_back(self, stored: list[tuple[Lookup, WishRecord | None]]) -> None:
        """Undo, as far as the API server lets us. A wish for on that stays is surplus, which Cluster Autoscaler removes."""
        with trio.move_on_after(2) as scope:
            scope.shield = True
            for key, previous in stored:
                try:
                    await self._store_wish(key, previous or self._wished(Power.OFF, "TakenBack"))
                except HexaError as error:
                    self._journal.log("wish not taken back", machine=str(key), error=str(error))

    def _deny(self, view: GroupView, reason: str, message: str) -> Denied:
        about = group_reference(view.key, view.group.metadata.uid)
        self._journal.event(about, reason=reason, message=message, severity=Severity.WARNING)
        return Denied(reason, message)

    def _sighted(self) -> None:
        """A decision needs a true snapshot."""
        if self._store.watching_since is None:
            raise Unavailable("the API server is away: the snapshot may be old", reason="Blind")

    def _lock(self, group: Lookup) -> trio.Lock:
        return self._locks.setdefault(group, trio.Lock())


def is_member(view: MachineView, now: datetime) -> bool:
    """Whether Cluster Autoscaler shall see the Kubernetes node as one of the group's.

    A machine that is off or coming while an old Node object stands is hidden: it would count as unready.
    """
    wish = view.wish(now)
    match view.phase:
        case Phase.READY | Phase.LOST | Phase.DRAINING | Phase.POWERING_OFF | Phase.STOP_FAILED:
            return True
        case Phase.UNKNOWN:
            return view.node_ready
        case Phase.OFF:
            return wish is not None and wish.power is Power.ON and not _old_node(view)
        case Phase.POWERING_ON | Phase.BOOTING:
            return not _old_node(view)
        case Phase.START_FAILED:
            return False


def _old_node(view: MachineView) -> bool:
    """The Kubernetes node object is from before this boot: under Keep always, under Delete until it has left."""
    if view.kube is None:
        return False
    if view.policy.leave is LeavePolicy.KEEP:
        return True
    created, since = view.kube.metadata.creation_timestamp, view.node.status.last_shutdown_time
    return created is None or since is None or created < since.replace(microsecond=0)


def instance(view: MachineView, now: datetime, *, spare: bool) -> Instance | None:
    """The machine as Cluster Autoscaler is shown it; None: not at all."""
    member = view.member(now)
    if not member.valid:
        return None
    match view.phase:
        case Phase.UNKNOWN:
            return Instance(view.provider_id, InstanceState.RUNNING) if view.node_ready else None
        case Phase.OFF:
            return Instance(view.provider_id, InstanceState.CREATING) if counts(member) else None
        case Phase.START_FAILED:
            return _failed(view) if member.wanted and not member.replaced and not spare else None
        case _:
            coming_back = member.wanted and STATES[view.phase] is InstanceState.DELETING
            return Instance(view.provider_id, InstanceState.CREATING if coming_back else STATES[view.phase])


def _failed(view: MachineView) -> Instance:
    status = view.node.status
    text = next((c.message for c in status.conditions if c.type in ("PowerJobFailed", "Failed")), "did not come up")
    error = InstanceError("StartFailed", f"{view.key}: {text}", InstanceErrorClass.OTHER)
    return Instance(view.provider_id, InstanceState.CREATING, error)
