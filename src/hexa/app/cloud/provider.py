"""Implements ports.cloud: Cluster Autoscaler's questions answered from the snapshot, its requests stored as wishes.

Reads touch memory only. A write is one transaction (`wishes`): all is stored when it returns, or nothing.
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
from hexa.app.wishes import Wish, Wishes
from hexa.domain.decide.group_news import about_group
from hexa.domain.errors import Unavailable
from hexa.domain.group.choice import chosen
from hexa.domain.group.sizing import Member, cancellable, candidates, counts, fitting, least_size, max_size, target
from hexa.domain.group.template import mixed, shown_shape
from hexa.domain.group_view import GroupView
from hexa.domain.machine.lifecycle import Phase
from hexa.domain.machine.reason import Reason
from hexa.domain.machine.wish import UP
from hexa.domain.machine_view import MachineView
from hexa.domain.money.rates import bears, node_price, pod_price
from hexa.domain.names import GROUP_LABEL
from hexa.domain.news import Happened, News, OpenReason, Severity, What
from hexa.domain.pods.requests import requests
from hexa.domain.policy.problem import Problem
from hexa.domain.quantity import amounts
from hexa.domain.resources.core import Pod
from hexa.domain.resources.v1alpha1 import GROUPS, MACHINES, Asker, Group, Lookup, Power, WishRecord
from hexa.domain.rules.circuits import short
from hexa.domain.rules.hedge import hedged_by
from hexa.domain.rules.judge import refused
from hexa.domain.rules.rule import Bid
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

AT_ALL_TIMES: Final = frozenset({Reason.HOLD, Reason.MODE, Reason.OBSERVE})
"""Reasons of vetoes that count in every phase: a wish that stands above any of Cluster Autoscaler's."""
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
        shapes = [machine.shape for machine in self._views.members(view.key) if machine.shape is not None]
        now_on = target(members)
        fixed = mixed(shapes) is not None or self._views.safe_hands is not None
        most = now_on if fixed else max_size(view.policy, members)
        most = min(most, now_on + self._granted(view, members, most - now_on))
        ready = sum(member.phase is Phase.READY for member in members)
        debug = f"{view.key}: {len(members)} machines, {ready} Ready, {now_on} wanted"
        return NodeGroup(id=view.id, min_size=min(least_size(view.policy, members), most), max_size=most, debug=debug)

    def _granted(self, view: GroupView, members: Sequence[Member], most: int) -> int:
        """How many of so many machines could be granted now. Cluster Autoscaler backs off from a group that refuses it: it is told
        in advance."""
        found = fitting(view.policy, members)[: max(most, 0)]
        if refused(self._bid(view, Power.ON, found)) is None:
            return most
        return next(n for n in range(len(found)) if refused(self._bid(view, Power.ON, found[: n + 1])) is not None)

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
        if (hands := self._views.safe_hands) is not None:
            return self._deny(call, OpenReason(Reason.SAFE_HANDS), f"{view.id}: {hands.text}; ask again then")
        members = self._judged(view)
        now_on, shown, found = target(members), self._show(view, members), fitting(view.policy, members)
        if len(found) >= delta and (veto := refused(self._bid(view, Power.ON, found[:delta]))):
            return self._deny(call, OpenReason(veto.reason), f"{view.id}: {veto.message}")
        if now_on + delta > shown.max_size:
            text = f"{view.id} has {now_on} of at most {shown.max_size} machines; {delta} more cannot come"
            if why := short(view.policy, members, size=now_on + delta):
                return self._deny(call, What.CIRCUIT_FULL, f"{text}: {why}")
            return self._deny(call, What.MAX_SIZE_REACHED, text)
        if len(found) < delta:
            return self._deny(
                call, What.NOT_ENOUGH_MACHINES, f"{view.id} has {len(found)} machines to wake, {delta} asked"
            )
        wish = self._wished(Power.ON, Reason.SCALE_UP)
        return await self._wish_all(call, [member.key for member in found], lambda _: wish, count=delta, able=found)

    async def delete_nodes(self, group: str, *, nodes: Sequence[ExternalNode]) -> Done | UnknownGroup | Denied:
        view = self._group(group)
        if view is None:
            return UnknownGroup(group)
        async with self._locks.of(view.key):
            return await self._delete(self._call("DeleteNodes", What.SCALE_DOWN, view), nodes)

    async def _delete(self, call: Call, nodes: Sequence[ExternalNode]) -> Done | Denied:
        view, now = self._sighted(call), self._clock.now()
        resting: dict[Lookup, MachineView] = {}
        for node in nodes:
            machine = self._machine(node.name, node.provider_id)
            if machine is None or machine.group is None or machine.group.key != view.key or not machine.valid:
                which = " with providerID ".join(filter(None, (node.name, node.provider_id))) or "a node without a name"
                return self._deny(call, What.NOT_A_MEMBER, f"{which} is no machine of {view.id}")
            wish = machine.wish(now)
            if wish is None or wish.power is Power.ON:
                resting[machine.key] = machine
        for machine in resting.values():
            if vetoes := [
                veto for veto in machine.off_vetoes(now) if machine.phase in UP or veto.reason in AT_ALL_TIMES
            ]:
                return self._deny(call, OpenReason(vetoes[0].reason), f"{machine.key}: {vetoes[0].message}")
        risky = [machine for machine in resting.values() if machine.phase is Phase.READY and machine.unproven(now)]
        if len(risky) > 1:
            text = (
                f"{risky[1].key}: hexa has not shown that it can wake it, and {risky[0].key.name} is not proven either"
            )
            return self._deny(call, What.WAKE_PROOF, f"{text}; one such machine at a time may be off")
        chosen = [machine.member(now) for machine in resting.values() if machine.phase in UP]
        if chosen and (veto := refused(self._bid(view, Power.OFF, chosen))):
            return self._deny(call, OpenReason(veto.reason), f"{view.id}: {veto.message}")
        leaving = sum(counts(machine.member(now)) for machine in resting.values())
        left = target(self._judged(view)) - leaving
        if leaving and left < view.policy.min_size:
            least = f"minSize is {view.policy.min_size}{view.policy.by.get('min_size', '')}"
            return self._deny(call, What.MIN_SIZE_REACHED, f"{view.id} would have {left} machines, {least}")
        failed = {key for key, machine in resting.items() if machine.phase is Phase.START_FAILED}

        given_up, rest = (self._wished(Power.OFF, reason) for reason in (Reason.GIVEN_UP, Reason.SCALE_DOWN))
        return await self._wish_all(
            call, list(resting), lambda key: given_up if key in failed else rest, count=len(resting)
        )

    async def decrease_target_size(self, group: str, *, delta: int) -> Done | UnknownGroup | Denied:
        view = self._group(group)
        if view is None:
            return UnknownGroup(group)
        async with self._locks.of(view.key):
            call = self._call("DecreaseTargetSize", What.REQUEST_TAKEN_BACK, view)
            members = self._judged(self._sighted(call))
            spare = target(members) - view.policy.min_size
            able = cancellable(members)
            found = able[: max(min(-delta, spare), 0)]
            keys = [member.key for member in found]
            keys += hedged_by(members, keys)
            wish = self._wished(Power.OFF, Reason.REQUEST_TAKEN_BACK)
            return await self._wish_all(call, keys, lambda _: wish, count=len(keys), able=able)

    def _bid(self, view: GroupView, power: Power, chosen: Sequence[Member]) -> Bid:
        members, now = self._judged(view), self._clock.now()
        return Bid(power=power, policy=view.policy, members=members, chosen=chosen, now=now)

    def _wished(self, power: Power, reason: str) -> WishRecord:
        return WishRecord(power=power, by=Asker.CLUSTER_AUTOSCALER, reason=reason, since=self._clock.now())

    async def _wish_all(
        self, call: Call, keys: list[Lookup], wish: Wish, *, count: int, able: Sequence[Member] = ()
    ) -> Done | Denied:
        """Store the wish for `count` of the machines, the first ones first. `able`: those that hexa chose from."""
        asked = await self._wishes.ask(call.view.key, keys, wish, count=count)
        if asked is None:
            return Denied("MachinesChanged", f"{count} machines could not be asked: they were changed meanwhile")
        if asked:
            self._news.causes.began(call.cause, asked)
            power = wish(asked[0]).power
            self._news.tell(_asked(call, asked, power))
            if text := chosen(able, [key.name for key in asked], wake=power is Power.ON):
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
