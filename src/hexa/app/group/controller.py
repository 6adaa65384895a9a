"""One group at a time: look at it, let the domain decide, carry the answer out, and ask again until it rests.

It writes wishes and the group's status; what machines do about a wish is the node controller's. What is to be done,
`hexa.domain.decide.group` says. What counts machines is decided and stored under the group's lock, so that it never asks for a
machine that Cluster Autoscaler is just given.
"""

import math
from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import Final

import trio
from msgspec import Struct, structs

from hexa.app.cache import same_but_for_condition_taints, same_but_for_energy
from hexa.app.each import for_each
from hexa.app.fence import Subject
from hexa.app.locks import GroupLocks
from hexa.app.news import Newsroom
from hexa.app.pace import Pace, contested
from hexa.app.pending import PendingPods
from hexa.app.pods import pods_on
from hexa.app.queue import KeyedQueue
from hexa.app.saving import Writer
from hexa.app.store import Store
from hexa.app.tariffs import Tariffs
from hexa.app.turns import Turns
from hexa.app.views.views import Views
from hexa.app.wishes import Wishes
from hexa.domain.decide.group import decide_group
from hexa.domain.decide.group_decision import (
    NOTHING_DONE,
    Ask,
    Done,
    Exchange,
    Gather,
    GiveWay,
    GroupDecision,
    GroupObserved,
    GroupRest,
    Locked,
    LookForPods,
    Replaced,
    Report,
    WishFor,
)
from hexa.domain.errors import Conflict, HexaError
from hexa.domain.group.asked import asked_of
from hexa.domain.group.sizing import Member
from hexa.domain.group.template import shown_shape
from hexa.domain.group_view import GroupView
from hexa.domain.machine.findings import Finding
from hexa.domain.machine_view import membership_of
from hexa.domain.news import About, News, Severity, What, Work, failure
from hexa.domain.pods.drain import plan
from hexa.domain.pods.pending import Pending
from hexa.domain.resources.core import KubeNode
from hexa.domain.resources.v1alpha1 import GROUPS, MACHINES, Lookup, Node, Power, Shape
from hexa.domain.written.group_findings import group_findings, member_findings
from hexa.ports.clock import Clock
from hexa.ports.kube import Kube

GATHER: Final = 0.1
"""Changes of machines are gathered for so many seconds: a thousand of them at once cost a few walks, not a thousand."""
APART: Final = 0.5
"""Seconds between two walks while its machines go on to change."""
APART_QUIET: Final = 2.0
"""The same where nothing but a report came of the last walk: a walk looks at every machine of the group."""
REPORT: Final = 2.0
"""Seconds between two reports while they do: the status of a group is for people, who read no faster."""
AT_ONCE: Final = 2
"""Reports that need not wait, after a while without any."""
AGAIN: Final = 60.0
"""Seconds until what is contained of a group is tried anew."""
JUDGED_AT_ONCE: Final = 8
"""Machines that are judged in a row."""
WAKES_AT_ONCE: Final = 6
"""So often a group asks one machine to come, where that is undone each time, before it asks another or waits."""
WAKES_APART: Final = 300.0
"""Seconds until it may ask once more."""
STEPS_AT_ONCE: Final = 100
"""Decisions about one group in a row; then others have their turn."""


class Turn(Struct):
    """One look at a group, from its begin until it rests."""

    done: Done = NOTHING_DONE
    gathered: bool = False
    """What a person should know is gathered for the next decision."""


class GroupController:
    """Keeps every group within its limits and its status true."""

    def __init__(
        self,
        *,
        store: Store,
        views: Views,
        kube: Kube,
        clock: Clock,
        news: Newsroom,
        locks: GroupLocks,
        turns: Turns | None = None,
        pending: PendingPods | None = None,
        tariffs: Tariffs | None = None,
    ) -> None:
        self._store, self._views, self._kube, self._pending = store, views, kube, pending
        self._clock, self._news, self._locks, self._turns = clock, news, locks, turns or Turns()
        self._writer, self._tariffs = Writer(kube, store), tariffs or Tariffs()
        self._wishes = Wishes(store=store, views=views, kube=kube, clock=clock)
        self._born = clock.now()
        self._pace: Final[Pace[Lookup]] = Pace(at_once=WAKES_AT_ONCE, apart=WAKES_APART)
        self._worked: dict[Lookup, float] = {}
        self._quiet: set[Lookup] = set()
        """Groups of whose last walk nothing but a report came."""
        self._reported: dict[Lookup, float] = {}
        """When the reports so far would have been written at their pace."""
        self._tried: dict[Lookup, float] = {}
        """When what is contained of a group is tried anew."""
        self.queue: KeyedQueue[Lookup] = KeyedQueue(
            self.reconcile, failed=self._failed, owner=store.fence.post(GROUPS, "group", blocks=False)
        )
        self._member_post = store.fence.post(MACHINES, "group", blocks=False)
        store.fence.subscribe(self._fence_changed)
        store.groups.subscribe(lambda key, _old, _new: self.queue.add(key))
        store.machines.subscribe(self._machine_changed)
        store.nodes.subscribe(self._node_changed)
        views.on_slot(self._soon)
        views.on_turn(self.queue.add)
        views.dependencies.on_ties(self._ties_changed)
        views.circuits.on_places(self._ties_changed)
        store.on_sight(self._look_at_all)
        self._tariffs.on_change(self._look_at_all)
        views.on_safe_hands(self._look_at_all)
        views.on_supply(self._look_at_all)
        if pending is not None:
            pending.subscribe(self._others_wait)

    def _others_wait(self) -> None:
        """Other pods wait for a place."""
        for key, group in self._store.groups.objects.items():
            if group.spec.wake_for_pinned or group.spec.learn_shape:
                self._soon(key)

    def _soon(self, group: Lookup) -> None:
        """Its machines change, and may go on to."""
        apart = APART_QUIET if group in self._quiet else APART
        rests = self._worked.get(group, -math.inf) + apart - trio.current_time()
        self.queue.add(group, delay=max(GATHER, rests))

    def _machine_changed(self, key: Lookup, old: Node | None, new: Node | None) -> None:
        if new is None:
            self._pace.forget(lambda paced: paced == key)
        if same_but_for_energy(old, new):
            return  # the group's own account is summed up by the hour
        for node in (old, new):
            if node is not None and (group := membership_of(node)) is not None:
                self._soon(group)

    def _fence_changed(self, subject: Subject) -> None:
        if subject.kind is GROUPS:
            self.queue.add(subject.key)
        elif subject.kind is MACHINES:
            self._machine_changed(subject.key, None, self._store.machines.objects.get(subject.key))

    def _ties_changed(self, key: Lookup) -> None:
        """What a machine depends on came, or cannot come, or its circuit has room: another may be chosen instead."""
        self._machine_changed(key, None, self._store.machines.objects.get(key))

    def _node_changed(self, key: Lookup, old: KubeNode | None, new: KubeNode | None) -> None:
        """Findings speak of labels and taints of Kubernetes nodes."""
        if same_but_for_condition_taints(old, new):
            return
        for machine in self._views.keys_of_kube_name(key.name):
            self._machine_changed(machine, None, self._store.machines.objects.get(machine))

    def _look_at_all(self) -> None:
        for key in self._store.groups.objects:
            self.queue.add(key)

    def _failed(self, key: Lookup, error: HexaError) -> None:
        self._news.tell(failure(Work.GROUP, key, error, about=About.GROUP))
        if type(error) is Conflict:
            self._store.doubt()

    # --- one group ---

    async def reconcile(self, key: Lookup) -> None:
        """Write what the group's limits ask for, and its status."""
        self._try_again(key)
        turn = Turn()
        self._worked[key] = trio.current_time()
        self._quiet.add(key)
        for _ in range(STEPS_AT_ONCE):
            await self._freshen(key)
            group = self._views.group(key)
            if group is None or (observed := self._observe(group, turn)) is None:
                await self._not_there(key)
                return
            decision = decide_group(group, observed)
            if isinstance(decision, GroupRest):
                self._rest(key, observed, decision)
                return
            turn.gathered = isinstance(decision, Gather)
            if not isinstance(decision, Gather | Report):
                self._quiet.discard(key)
            await self._take(group, decision, turn)
        self.queue.add(key)

    async def _freshen(self, key: Lookup) -> None:
        """Judge its machines a few at a time, so that Cluster Autoscaler's questions are answered in between."""
        for count, _ in enumerate(self._views.freshened(key, self._clock.now()), 1):
            if count % JUDGED_AT_ONCE == 0:
                await self._turns.step()
        await self._turns.step()

    async def _take(self, group: GroupView, decision: GroupDecision, turn: Turn) -> None:
        """Carry the decision out. What counts machines is decided anew under the group's lock: others may have been chosen
        meanwhile."""
        match decision:
            case Ask() | WishFor() | Exchange() | LookForPods():
                async with self._locks.of(group.key):
                    await self._take_locked(group.key, turn)
            case GiveWay(replaced, pairs):
                await for_each(self._give_way, replaced)
                turn.done = structs.replace(turn.done, gave_way=(*turn.done.gave_way, *pairs))
            case Report():
                await self._report(group, decision)
            case Gather() | GroupRest():
                return

    async def _take_locked(self, key: Lookup, turn: Turn) -> None:
        """All that there is to do under the lock, one after the other."""
        for _ in range(STEPS_AT_ONCE):
            if (group := self._views.group(key)) is None or (observed := self._observe(group, turn)) is None:
                return
            decision = decide_group(group, observed)
            if not isinstance(decision, Locked):
                return
            await self._act(group, decision, turn)

    async def _act(self, group: GroupView, decision: Locked, turn: Turn) -> None:
        match decision:
            case Ask(wishes, news, pairs):
                wanted = dict(wishes)
                if await self._wishes.ask(group.key, list(wanted), wanted.__getitem__, count=len(wanted)) is None:
                    raise Conflict(f"{group.key}: machines have changed since they were counted")
                turn.done = structs.replace(turn.done, asked=(*turn.done.asked, *pairs))
                self._woken(key for key, wish in wishes if wish.power is Power.ON)
                self._news.tell(*news)
            case WishFor(key, wish, news, beside):
                if (machine := self._store.machines.objects.get(key)) is not None:
                    await self._writer.wish(machine, wish, beside)
                    self._woken((key,) if wish.power is Power.ON else ())
                    self._news.tell(*news)
            case Exchange(status):
                before = self._store.groups.objects[group.key]
                await self._writer.group_status(before, status)
                self._woken({*asked_of(structs.replace(before, status=status))} - {*asked_of(before)})
            case LookForPods(key):
                view = self._views.machine(key)
                pods = await pods_on(self._kube, view.kube_name) if view is not None else ()
                used = {key.name: plan(pods, rules=group.policy.drain).left > 0}
                turn.done = structs.replace(turn.done, in_use={**turn.done.in_use, **used})

    def _woken(self, keys: Iterable[Lookup]) -> None:
        for key in keys:
            self._pace.did(key)

    def _paced(self, group: Lookup, members: Iterable[Member]) -> Iterator[Member]:
        """One that somebody else, or another rule, puts off again each time is no candidate for a while."""
        for member in members:
            rests = self._pace.rests(member.key)
            if rests > 0:
                if self._pace.begins(member.key):
                    self._news.tell(contested(member.key, "what its group asks of it (spec.powerState: on)"))
                self.queue.add(group, delay=rests)
            yield structs.replace(member, cooling=True) if rests > 0 else member

    async def _give_way(self, replaced: Replaced) -> None:
        """Status first, then the wish: a crash in between leaves a machine that is marked, and still wanted."""
        machine = self._store.machines.objects.get(replaced.key)
        if machine is not None and replaced.status is not None:
            machine = await self._writer.status(machine, replaced.status)
        if machine is not None and replaced.wish is not None:
            await self._writer.wish(machine, replaced.wish)
        self._news.tell(replaced.news)

    async def _report(self, group: GroupView, report: Report) -> None:
        stored, key = self._store.groups.objects.get(group.key), group.key
        if stored is None:
            return
        if await self._writer.group_status(stored, report.status) is not stored:
            self._reported[key] = max(self._reported.get(key, -math.inf), trio.current_time()) + REPORT
        self._news.tell(*report.news)

    def _rest(self, key: Lookup, observed: GroupObserved, rest: GroupRest) -> None:
        if rest.until is not None:
            self.queue.add(key, delay=(rest.until - observed.now).total_seconds())

    def _try_again(self, key: Lookup) -> None:
        """A group of which something is contained comes back once that works, though nobody changes it."""
        if self._store.fence.blocked(GROUPS, key) is None:
            self._tried.pop(key, None)
            return
        now = trio.current_time()
        if now >= self._tried.setdefault(key, now + AGAIN):
            self._tried[key] = now + AGAIN
            self._views.try_group(key)
        self.queue.add(key, delay=self._tried[key] - now)

    async def _not_there(self, key: Lookup) -> None:
        self._worked.pop(key, None)
        self._quiet.discard(key)
        self._reported.pop(key, None)
        broken = self._store.groups.malformed.get(key)
        if broken is not None:
            what, severity = What.DOES_NOT_DECODE, Severity.WARNING
            self._news.tell(News(of=key, about=About.GROUP, what=what, why=broken.problem, severity=severity))
            await self._writer.malformed(GROUPS, key, broken)

    # --- what is known ---

    def _observe(self, group: GroupView, turn: Turn) -> GroupObserved | None:
        """All that is known now; None: the group is gone."""
        stored, now = self._store.groups.objects.get(group.key), self._clock.now()
        if stored is None:
            return None
        rests = self._reported.get(group.key, -math.inf) - AT_ONCE * REPORT - trio.current_time()
        nodes = ((key.name, self._store.machines.objects.get(key)) for key in self._views.keys_of_group(group.key))
        judged = self._views.judged(group.key, now)
        return GroupObserved(
            now=now,
            born=self._born,
            seeing=self._store.watching_since is not None,
            stored=stored,
            members=tuple(self._paced(group.key, judged) if self._pace else judged),
            machines=tuple(self._views.members(group.key)),
            nodes={name: node for name, node in nodes if node is not None},
            found=tuple(self._findings(group)) if turn.gathered else None,
            changes_at=self._views.changes_at(group.key),
            report_in=timedelta(seconds=max(rests, 0.0)),
            prices_end=self._tariffs.end_of(group.policy.tariff),
            safe_hands=self._views.safe_hands,
            done=turn.done,
            waiting=self._waiting(group),
            all_waiting=self._pending is None or self._pending.all_read,
            other_shapes=self._other_shapes(group) if group.policy.learn_shape else (),
        )

    def _waiting(self, group: GroupView) -> tuple[Pending, ...] | None:
        """Pods that wait, where the group asks for them."""
        asks = group.policy.wake_for_pinned or group.policy.learn_shape
        return self._pending.waiting() if self._pending is not None and asks else None

    def _other_shapes(self, group: GroupView) -> tuple[Shape, ...]:
        """What Cluster Autoscaler is shown of the other groups."""
        found: list[Shape] = []
        for other in self._views.groups():
            machines = self._views.members(other.key) if other.key != group.key and other.valid else ()
            shown = shown_shape({m.key: m.shape for m in machines if m.shape is not None}, ())
            if isinstance(shown, Shape):
                found.append(shown)
        return tuple(found)

    def _findings(self, group: GroupView) -> Iterator[Finding]:
        """What a person should know of the group. What one of its machines raises is that machine's own matter."""
        machines, now = self._views.members(group.key), self._clock.now()
        members, holder = self._views.judged(group.key, now), self._views.proofs.slot(group.key).holder
        of_machines: list[Finding] = []
        for machine in machines:
            with self._member_post.around(machine.key):
                of_machines += member_findings(group, machine)
                self._member_post.works(machine.key)
        yield from group_findings(
            group,
            machines,
            of_machines,
            members=members,
            holder=holder,
            conventions=self._store.conventions,
            safe_hands=self._views.safe_hands,
        )
