"""Implements ports.cloud: Cluster Autoscaler's questions answered from the snapshot, its requests stored as wishes.

Reads touch memory only. What is granted, `hexa.domain.decide.scale` says. A write is one transaction (`wishes`): all is stored
when it returns, or nothing.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final

import msgspec
from msgspec import Struct, structs

from hexa.app.cloud.shown import instance, is_member
from hexa.app.locks import GroupLocks
from hexa.app.news import Newsroom
from hexa.app.store import Store
from hexa.app.tariffs import Tariffs
from hexa.app.views.views import Views
from hexa.app.wishes import Wishes
from hexa.domain.decide.group_news import about_group
from hexa.domain.decide.scale import Answer, Refusal, Scaling, decrease, delete, increase, sizes
from hexa.domain.errors import Unavailable
from hexa.domain.group.choice import chosen
from hexa.domain.group.sizing import Member, candidates, fitting, target
from hexa.domain.group.template import shown_shape
from hexa.domain.group_view import GroupView
from hexa.domain.machine.lifecycle import Phase
from hexa.domain.machine_view import MachineView
from hexa.domain.money.rates import bears, node_price, pod_price
from hexa.domain.names import GROUP_LABEL
from hexa.domain.news import Happened, News, Severity, What
from hexa.domain.pods.requests import requests
from hexa.domain.policy.problem import Problem
from hexa.domain.quantity import amounts
from hexa.domain.resources.core import Pod
from hexa.domain.resources.v1alpha1 import GROUPS, MACHINES, Asker, Group, Lookup, Power
from hexa.ports.clock import Clock
from hexa.ports.cloud import (
    Denied,
    Done,
    ExternalNode,
    Instance,
    NodeGroup,
    NodeTemplate,
    Options,
    UnknownGroup,
)
from hexa.ports.kube import Kube

NAMED: Final = 10
"""So many machines are named in the log line of a request."""


class Call(Struct, frozen=True):
    """A request of Cluster Autoscaler's that is being decided."""

    cause: str
    what: What
    """What is told once machines are asked."""
    view: GroupView


class Shown(Struct, frozen=True):
    """A group as Cluster Autoscaler is shown it, and what that was worked out from."""

    view: GroupView
    members: Sequence[Member]
    answer: NodeGroup


class Provider:
    """The cloud that Cluster Autoscaler sees."""

    def __init__(
        self,
        *,
        store: Store,
        views: Views,
        kube: Kube,
        clock: Clock,
        news: Newsroom,
        locks: GroupLocks,
        tariffs: Tariffs | None = None,
    ) -> None:
        self._store, self._views, self._clock, self._news = store, views, clock, news
        self._tariffs = tariffs or Tariffs()
        self._wishes, self._locks = Wishes(store=store, views=views, kube=kube, clock=clock), locks
        self._group_post = store.fence.post(GROUPS, "answer", blocks=False)
        self._machine_post = store.fence.post(MACHINES, "answer", blocks=False)
        self.on_read: Callable[[], object] = lambda: None
        """Called when something is asked."""
        self._shown: dict[Lookup, Shown] = {}
        store.groups.subscribe(self._group_changed)

    def _group_changed(self, key: Lookup, old: Group | None, new: Group | None) -> None:
        if new is None:
            self._shown.pop(key, None)

    # --- reads ---

    def version(self) -> int:
        self.on_read()
        if self._views.expired(self._clock.now()):
            self._store.touch()
        return self._store.version

    def refresh(self) -> bool:
        return self._store.synced.is_set()

    def groups(self) -> Sequence[NodeGroup]:
        shown = list[NodeGroup]()
        for view in self._views.groups():
            if view.valid and not view.released:
                with self._group_post.around(view.key):
                    shown.append(self._as_shown(view))
        return shown

    def group_for_node(self, name: str, provider_id: str) -> NodeGroup | None:
        view = self._machine(name, provider_id)
        if (
            view is None
            or view.group is None
            or view.ungrouped
            or not view.valid
            or not is_member(view, self._clock.now())
        ):
            return None
        return self._as_shown(view.group)

    def target_size(self, group: str) -> int | UnknownGroup:
        view = self._group(group)
        return UnknownGroup(group) if view is None else target(self._judged(view))

    def instances(self, group: str) -> Sequence[Instance] | UnknownGroup:
        view = self._group(group)
        if view is None:
            return UnknownGroup(group)
        members = self._judged(view)
        spare = bool(candidates(members))
        views = self._views.members(view.key)
        found = list[Instance]()
        for machine, member in zip(views, members, strict=True):
            with self._machine_post.around(machine.key):
                if (shown := instance(machine, member, spare=spare)) is not None:
                    found.append(shown)
        return found

    def template(self, group: str) -> NodeTemplate | UnknownGroup | Denied:
        view = self._group(group)
        if view is None:
            return UnknownGroup(group)
        shapes = {
            machine.key: shape for machine in self._views.members(view.key) if (shape := machine.shape) is not None
        }
        shown = shown_shape(shapes, (member.key for member in candidates(self._judged(view))))
        if isinstance(shown, Problem):
            return Denied(shown.reason, f"{group}: {shown.text}; {shown.remedy}")
        return NodeTemplate(name=f"{view.key.name}-template", shape=shown)

    def options(self, group: str) -> Options | UnknownGroup:
        view = self._group(group)
        if view is None:
            return UnknownGroup(group)
        return msgspec.convert(view.policy.options, Options, from_attributes=True)

    def node_price(self, node: ExternalNode, start: datetime, end: datetime) -> float | None:
        machine = self._machine(node.name, node.provider_id) or self._of_template(node)
        if machine is None:
            return None
        return node_price(self._tariffs.within(start, end).rates(machine), start=start, end=end)

    def pod_price(self, pod: Pod, start: datetime, end: datetime) -> float:
        """The least that the pod costs on a machine that has what it asks for: what the price expander compares a node's price
        with."""
        wanted, energy = requests(pod), self._tariffs.within(start, end)
        machines = [
            (machine, amounts(shape.capacity))
            for group in self._views.groups()
            for machine in self._views.members(group.key)
            if (shape := machine.shape) is not None
        ]
        prices = (
            pod_price(energy.rates(machine), wanted, capacity, start=start, end=end)
            for machine, capacity in [each for each in machines if bears(each[1], wanted)] or machines
        )
        return min(prices, default=0.0)

    def gpu_label(self) -> str:
        return self._store.conventions.gpu_label

    def gpu_types(self) -> Sequence[str]:
        shapes = (m.shape for g in self._views.groups() for m in self._views.members(g.key))
        label = self.gpu_label()
        return sorted({shape.labels[label] for shape in shapes if shape is not None and label in shape.labels})

    def _of_template(self, node: ExternalNode) -> MachineView | None:
        """A node made from a group's template is priced as the machine that would be woken next."""
        view = self._group_of_template(node)
        if view is None:
            return None
        members = self._views.members(view.key)
        first = fitting(view.policy, self._judged(view))
        keys = {first[0].key} if first else {machine.key for machine in members}
        return next((machine for machine in members if machine.key in keys), None)

    def _group_of_template(self, node: ExternalNode) -> GroupView | None:
        """Its label has the group's name; where namespaces share one, the node's name (template-node-for-ID-...) tells."""
        name = node.labels.get(GROUP_LABEL, "")
        found = [view for view in self._views.groups() if view.key.name == name]
        return max(found, key=lambda view: len(view.id) if f"-{view.id}-" in node.name else 0, default=None)

    def _machine(self, name: str, provider_id: str) -> MachineView | None:
        """None where the two name different machines as well: nobody can tell which one is meant."""
        named = self._views.by_kube_name(name) if name else None
        known = self._views.by_provider_id(provider_id) if provider_id else None
        if named is not None and known is not None and named.key != known.key:
            return None
        return named or known

    def _group(self, group: str) -> GroupView | None:
        namespace, _, name = group.partition("/")
        view = self._views.group(Lookup(namespace, name))
        return view if view is not None and view.valid and not view.released else None

    def _judged(self, view: GroupView) -> list[Member]:
        return self._views.judged(view.key, self._clock.now())

    def _as_shown(self, view: GroupView) -> NodeGroup:
        """Worked out once while nothing of the group changes, whatever else does."""
        known, members = self._shown.get(view.key), self._judged(view)
        if known is None or known.view is not view or known.members is not members:
            known = self._shown[view.key] = Shown(view, members, self._show(view, members))
        return known.answer

    def _show(self, view: GroupView, members: Sequence[Member]) -> NodeGroup:
        can_be = sizes(self._scaling(view, members))
        ready = sum(member.phase is Phase.READY for member in members)
        debug = f"{view.key}: {len(members)} machines, {ready} Ready, {target(members)} wanted"
        return NodeGroup(id=view.id, min_size=can_be.least, max_size=can_be.most, debug=debug)

    def _scaling(self, view: GroupView, members: Sequence[Member]) -> Scaling:
        shapes = [machine.shape for machine in self._views.members(view.key) if machine.shape is not None]
        now, hands = self._clock.now(), self._views.safe_hands
        return Scaling(group=view, members=members, shapes=shapes, safe_hands=hands, now=now)

    # --- writes ---

    async def increase_size(self, group: str, *, delta: int) -> Done | UnknownGroup | Denied:
        view = self._group(group)
        if view is None:
            return UnknownGroup(group)
        async with self._locks.of(view.key):
            return await self._increase(self._call("IncreaseSize", What.SCALE_UP, view), delta)

    async def _increase(self, call: Call, delta: int) -> Done | Denied:
        view = self._sighted(call)
        if delta <= 0:
            return Denied("InvalidDelta", f"a size can be increased by 1 or more, not by {delta}")
        return await self._answer(call, increase(self._scaling(view, self._judged(view)), delta))

    async def delete_nodes(self, group: str, *, nodes: Sequence[ExternalNode]) -> Done | UnknownGroup | Denied:
        view = self._group(group)
        if view is None:
            return UnknownGroup(group)
        async with self._locks.of(view.key):
            return await self._delete(self._call("DeleteNodes", What.SCALE_DOWN, view), nodes)

    async def _delete(self, call: Call, nodes: Sequence[ExternalNode]) -> Done | Denied:
        view = self._sighted(call)
        machines: list[MachineView] = []
        for node in nodes:
            machine = self._machine(node.name, node.provider_id)
            if machine is None or machine.group is None or machine.group.key != view.key or not machine.valid:
                which = " with providerID ".join(filter(None, (node.name, node.provider_id))) or "a node without a name"
                return self._deny(call, What.NOT_A_MEMBER, f"{which} is no machine of {view.id}")
            machines.append(machine)
        return await self._answer(call, delete(self._scaling(view, self._judged(view)), machines))

    async def decrease_target_size(self, group: str, *, delta: int) -> Done | UnknownGroup | Denied:
        view = self._group(group)
        if view is None:
            return UnknownGroup(group)
        async with self._locks.of(view.key):
            call = self._call("DecreaseTargetSize", What.REQUEST_TAKEN_BACK, view)
            scaling = self._scaling(self._sighted(call), self._judged(view))
            return await self._answer(call, decrease(scaling, -delta))

    async def _answer(self, call: Call, answer: Answer) -> Done | Denied:
        """Store what is granted, and tell it; or tell the refusal."""
        if isinstance(answer, Refusal):
            return self._deny(call, answer.what, answer.text)
        wishes, count = answer.wishes, answer.count
        asked = await self._wishes.ask(call.view.key, list(wishes), wishes.__getitem__, count=count)
        if asked is None:
            return Denied("MachinesChanged", f"{count} machines could not be asked: they were changed meanwhile")
        if asked:
            self._news.causes.began(call.cause, asked)
            power = wishes[asked[0]].power
            self._news.tell(_asked(call, asked, power))
            if text := chosen(answer.able, [key.name for key in asked], wake=power is Power.ON):
                told = about_group(call.view.group, What.CHOSEN, text, severity=Severity.NORMAL, cause=call.cause)
                self._news.tell(told)
        return Done()

    def _call(self, rpc: str, what: What, view: GroupView) -> Call:
        return Call(self._news.causes.next(rpc), what, view)

    def _deny(self, call: Call, what: Happened, message: str) -> Denied:
        self._news.tell(about_group(call.view.group, what, message, cause=call.cause))
        return Denied(what, message)

    def _sighted(self, call: Call) -> GroupView:
        """A decision needs a true snapshot."""
        if self._store.watching_since is None:
            raise Unavailable("the API server is away: the snapshot may be old", reason="Blind")
        return call.view


def _asked(call: Call, asked: Sequence[Lookup], power: Power) -> News:
    """For logs: who looks for the cause of what machines do begins here."""
    more = f" and {len(asked) - NAMED} more" if len(asked) > NAMED else ""
    text = f"wanted {power}: {', '.join(key.name for key in asked[:NAMED])}{more}"
    told = about_group(call.view.group, call.what, text, severity=Severity.NORMAL, cause=call.cause)
    return structs.replace(told, by=Asker.CLUSTER_AUTOSCALER, quiet=True)
