"""One group at a time: wake up to minSize, rest down to a lowered maxSize, replace what failed to start, hedge what stays silent,
exercise, keep the status.

It writes wishes and the group's status; what machines do about a wish is the node controller's. It counts and asks under the
group's lock, so that it never asks for a machine that Cluster Autoscaler is just given.
"""

import math
from collections.abc import Awaitable, Callable, Iterator, Sequence
from datetime import timedelta
from typing import Final

import trio
from msgspec import structs

from hexa.app.cache import same_but_for_condition_taints
from hexa.app.each import for_each
from hexa.app.fence import Subject
from hexa.app.locks import GroupLocks
from hexa.app.pods import pods_on
from hexa.app.queue import KeyedQueue
from hexa.app.references import group_reference, machine_reference
from hexa.app.saving import Writer
from hexa.app.store import Store
from hexa.app.views.views import Views
from hexa.app.wishes import Wish, Wishes
from hexa.domain.decide.conditions import group_status
from hexa.domain.errors import Conflict, HexaError
from hexa.domain.group.asked import Requests, exchanged, lost, open_requests
from hexa.domain.group.sizing import (
    Member,
    Replacement,
    begun_replacements,
    candidates,
    exercising,
    half_replaced,
    next_exercise,
    next_probe,
    replacements,
    to_exercise,
    to_probe,
    to_rest,
    to_wake,
)
from hexa.domain.group_view import GroupView
from hexa.domain.machine.findings import Finding, once_each
from hexa.domain.machine.lifecycle import COMING, Phase, phase_of
from hexa.domain.machine.marks import how_to_take_back, released
from hexa.domain.machine.wish import EXERCISE, EXERCISED, HEDGE, PROBE, REPLACED, WAKE_PROOF
from hexa.domain.machine_view import MachineView, membership_of
from hexa.domain.names import UNINITIALIZED_TAINT
from hexa.domain.pods.drain import plan
from hexa.domain.resources.core import KubeNode
from hexa.domain.resources.v1alpha1 import GROUPS, MACHINES, Asker, Lookup, Node, Power, WakeProof, WishRecord
from hexa.domain.rules.hedge import begun_hedges, next_hedge
from hexa.domain.rules.power_cycle import stopped
from hexa.domain.rules.proof import Claim, standing
from hexa.domain.written.hints import group_hints
from hexa.ports.clock import Clock
from hexa.ports.journal import Journal, Severity
from hexa.ports.kube import Kube

GATHER: Final = 0.1
"""Changes of machines are gathered for so many seconds: a thousand of them at once cost a few walks, not a thousand."""
APART: Final = 0.5
"""Seconds between two walks while its machines go on to change."""
REPORT: Final = 2.0
"""Seconds between two reports while they do: the status of a group is for people, who read no faster."""
AT_ONCE: Final = 2
"""Reports that need not wait, after a while without any."""
ARRIVES: Final = timedelta(minutes=1)
"""So long pods may take to come to a machine that is up; one that none comes to is idle."""
AGAIN: Final = 60.0
"""Seconds until what is contained of a group is tried anew."""
LOOK: Final = 5.0
"""Seconds between looks at a machine that is about to be up."""


class GroupController:
    """Keeps every group within its limits and its status true."""

    def __init__(
        self, *, store: Store, views: Views, kube: Kube, clock: Clock, journal: Journal, locks: GroupLocks
    ) -> None:
        self._store, self._views, self._kube = store, views, kube
        self._clock, self._journal, self._locks = clock, journal, locks
        self._writer = Writer(kube, store)
        self._wishes = Wishes(store=store, views=views, kube=kube, clock=clock)
        self._born = clock.now()
        self._worked: dict[Lookup, float] = {}
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
        views.proofs.on_slot(self._soon)
        views.dependencies.on_ties(self._ties_changed)
        store.on_sight(self._sees_again)

    def _soon(self, group: Lookup) -> None:
        """Its machines change, and may go on to."""
        rests = self._worked.get(group, -math.inf) + APART - trio.current_time()
        self.queue.add(group, delay=max(GATHER, rests))

    def _machine_changed(self, key: Lookup, old: Node | None, new: Node | None) -> None:
        for node in (old, new):
            if node is not None and (group := membership_of(node)) is not None:
                self._soon(group)

    def _fence_changed(self, subject: Subject) -> None:
        if subject.kind is GROUPS:
            self.queue.add(subject.key)
        elif subject.kind is MACHINES:
            self._machine_changed(subject.key, None, self._store.machines.objects.get(subject.key))

    def _ties_changed(self, key: Lookup) -> None:
        """What a machine depends on came, or cannot come: another may be chosen instead."""
        self._machine_changed(key, None, self._store.machines.objects.get(key))

    def _node_changed(self, key: Lookup, old: KubeNode | None, new: KubeNode | None) -> None:
        """Findings speak of labels and taints of Kubernetes nodes."""
        if same_but_for_condition_taints(old, new):
            return
        view = self._views.by_kube_name(key.name)
        if view is not None and view.group is not None:
            self._soon(view.group.key)

    def _sees_again(self) -> None:
        for key in self._store.groups.objects:
            self.queue.add(key)

    def _failed(self, key: Lookup, error: HexaError) -> None:
        self._journal.log("group put off", group=str(key), reason=error.reason, error=str(error))
        if type(error) is Conflict:
            self._store.doubt()

    async def reconcile(self, key: Lookup) -> None:
        """Write the wishes that the group's limits ask for, and its status."""
        self._try_again(key)
        view = self._views.group(key)
        if view is None:
            self._worked.pop(key, None)
            self._reported.pop(key, None)
            await self._malformed(key)
            return
        self._worked[key] = trio.current_time()
        if view.valid and not released(view.group.metadata) and self._store.watching_since is not None:
            async with self._locks.of(key):
                await self._exchange(view)
                replaced, hedged = await self._replace_failed(view), await self._hedge(view)
                policy = view.policy
                few, many = f"minSize is {policy.min_size}", f"maxSize is {policy.max_size}"
                await self._ask(view, to_wake(policy, self._judged(view)), Power.ON, "MinSize", few)
                await self._ask(view, to_rest(policy, self._judged(view)), Power.OFF, "MaxSize", many)
                await self._exercise(view)
            await self._settle(view, replaced, hedged)
        await self._report(view)

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

    async def _malformed(self, key: Lookup) -> None:
        broken = self._store.groups.malformed.get(key)
        if broken is None:
            return
        self._journal.event(
            group_reference(key), reason="DoesNotDecode", message=broken.problem, severity=Severity.WARNING
        )
        await self._writer.malformed(GROUPS, key, broken)

    def _judged(self, view: GroupView) -> list[Member]:
        return self._views.judged(view.key, self._clock.now())

    async def _replace_failed(self, view: GroupView) -> list[Replacement]:
        """The next candidate takes the place of a machine that failed to start. The successor's wish names whom it replaces, so
        that a crash at any point neither asks a second one nor leaves the failed one wanted."""
        pairs = replacements(view.policy, self._judged(view))
        await self._replace(view, pairs, "TakesPlace", "takes the place of {}")
        ill = half_replaced(self._judged(view))
        await self._ask(view, ill, Power.OFF, REPLACED, "another took its place")
        return pairs

    async def _hedge(self, view: GroupView) -> list[Replacement]:
        """One spare is woken beside each machine that stays silent, and has its place in the target from that write on; the mark on
        the silent one outlives the spare's wish."""
        pairs: list[Replacement] = []
        while (pair := next_hedge(view.policy, self._judged(view))) is not None:
            await self._replace(view, [pair], HEDGE, "{} gives no sign of life since it was woken")
            pairs.append(pair)
        return pairs

    async def _replace(self, view: GroupView, pairs: Sequence[Replacement], reason: str, message: str) -> None:
        """Ask each successor in the name of the machine whose place it takes, in one write."""
        names, since = {pair.successor.key: pair.failed.key.name for pair in pairs}, self._clock.now()

        def wish(key: Lookup) -> WishRecord:
            return WishRecord(power=Power.ON, by=Asker.RECOVERY, reason=reason, since=since, replaces=names[key])

        await self._ask_all(view, list(names), wish)
        for key, name in names.items():
            self._tell_wish(key, Power.ON, reason, message.format(name))

    async def _settle(self, view: GroupView, replaced: Sequence[Replacement], hedged: Sequence[Replacement]) -> None:
        """What follows from successors that are asked, machine by machine: nobody who counts waits for it, and a crash leaves it
        for the next look."""
        members = self._judged(view)
        gives_way = {pair.failed.key: pair for pair in (*begun_replacements(members), *replaced)}
        stands_aside = {pair.failed.key: pair for pair in (*begun_hedges(members), *hedged)}
        acts = [(self._give_way, pair) for pair in gives_way.values()]
        acts += [(self._stand_aside, pair) for pair in stands_aside.values()]

        async def one(begun: tuple[Callable[[Replacement], Awaitable[None]], Replacement]) -> None:
            act, pair = begun
            await act(pair)

        await for_each(one, acts)

    async def _stand_aside(self, pair: Replacement) -> None:
        """The silent machine is woken on; when it comes, it is one that came late."""
        machine = self._store.machines.objects.get(pair.failed.key)
        if machine is None or phase_of(machine.status) not in COMING:  # it came, or failed, meanwhile
            return
        await self._writer.status(machine, structs.replace(machine.status, replaced=True))
        text = f"gives no sign of life since it was woken: {pair.successor.key.name} is woken beside it"
        about = machine_reference(pair.failed.key, machine.metadata.uid)
        self._journal.event(about, reason="Hedged", message=text, severity=Severity.WARNING)

    async def _give_way(self, pair: Replacement) -> None:
        """The failed machine is marked, so that Cluster Autoscaler is told nothing of it; its wish follows."""
        machine = self._store.machines.objects.get(pair.failed.key)
        if machine is None:
            return
        if phase_of(machine.status) is Phase.START_FAILED:
            await self._writer.status(machine, structs.replace(machine.status, replaced=True))
        if phase_of(machine.status) in (Phase.START_FAILED, Phase.OFF):  # else it came after all
            await self._wish(pair.failed.key, Power.OFF, REPLACED, f"{pair.successor.key.name} takes its place")

    async def _wish(self, key: Lookup, power: Power, reason: str, message: str) -> None:
        machine = self._store.machines.objects.get(key)
        if machine is None:
            return
        wish = WishRecord(power=power, by=Asker.RECOVERY, reason=reason, since=self._clock.now())
        await self._writer.wish(machine, wish)
        self._tell_wish(key, power, reason, message)

    # --- requests ---

    async def _ask(self, view: GroupView, members: Sequence[Member], power: Power, reason: str, message: str) -> None:
        """Ask the machines to come, or to go, in one write."""
        wish = WishRecord(power=power, by=Asker.RECOVERY, reason=reason, since=self._clock.now())
        await self._ask_all(view, [member.key for member in members], lambda _: wish)
        for member in members:
            self._tell_wish(member.key, power, reason, message)

    async def _ask_all(self, view: GroupView, keys: Sequence[Lookup], wish: Wish) -> None:
        if not await self._wishes.ask(view.key, keys, wish, count=len(keys)):
            raise Conflict(f"{view.key}: machines have changed since they were counted")

    def _tell_wish(self, key: Lookup, power: Power, reason: str, message: str) -> None:
        machine = self._store.machines.objects.get(key)
        about = machine_reference(key, machine.metadata.uid if machine is not None else "")
        self._journal.event(about, reason=reason, message=f"wanted {power}: {message}")

    async def _exchange(self, view: GroupView) -> None:
        """Machines that were asked and cannot be had: others are asked in their place. What was asked in an earlier life of ours is
        old, and Cluster Autoscaler asks again for what is missing."""
        group = self._store.groups.objects.get(view.key)
        if group is None or not group.status.requests:
            return
        members, stored, requests = self._judged(view), self._stored(view), group.status.requests
        missing = lost(self._own(requests), stored, {member.key.name: member for member in members})
        busy = {name for request in requests for name in request.machines}
        others = [stored[m.key.name] for m in candidates(members) if m.key.name not in busy]
        swaps = [(request, name, other) for (request, name), other in zip(missing, others, strict=False)]
        new = structs.replace(group.status, requests=exchanged(requests, swaps))
        await self._writer.group_status(group, new)

    def _own(self, requests: Requests) -> Requests:
        return tuple(each for each in requests if each.since is not None and each.since >= self._born)

    def _stored(self, view: GroupView) -> dict[str, Node]:
        """The group's machines by name, as they are stored."""
        found = ((key.name, self._store.machines.objects.get(key)) for key in self._views.keys_of_group(view.key))
        return {name: node for name, node in found if node is not None}

    # --- exercise ---

    async def _exercise(self, view: GroupView) -> None:
        """Wake the machine that is to be probed, or whose proof is due, and rest it again once it is up and idle."""
        for member in exercising(self._judged(view)):
            await self._end_exercise(view, member)
        now, members = self._clock.now(), self._judged(view)
        first = to_exercise(view.policy, members, now=now)
        ill = to_probe(view.policy, members, now=now)
        if ill is not None:
            times = "once" if ill.failures == 1 else f"{ill.failures} times in a row"
            await self._wish(ill.key, Power.ON, PROBE, f"it failed {times}; is it well again? Nobody waits for it")
            return
        if first is not None:
            await self._wish(first.key, Power.ON, EXERCISE, f"exerciseEvery is {view.group.spec.exercise_every}")
            return
        for due in (next_exercise(view.policy, members, now=now), next_probe(view.policy, members, now=now)):
            if due is not None:
                self.queue.add(view.key, delay=(due - now).total_seconds())

    async def _end_exercise(self, view: GroupView, member: Member) -> None:
        machine, now = self._views.machine(member.key), self._clock.now()
        if machine is None or member.phase not in (Phase.READY, Phase.START_FAILED):
            return
        if member.phase is Phase.START_FAILED:
            await self._wish(member.key, Power.OFF, EXERCISED, "it did not come up")
            return
        idle_from = (member.since or now) + ARRIVES
        if not machine.node.status.welcomed or now < idle_from:
            self.queue.add(view.key, delay=max((idle_from - now).total_seconds(), LOOK))
        elif await self._in_use(machine):
            await self._wish(member.key, Power.ON, "InUse", "pods came to it: it stays")
        else:
            await self._wish(member.key, Power.OFF, EXERCISED, "it came up, and nothing runs on it")

    async def _in_use(self, machine: MachineView) -> bool:
        pods = await pods_on(self._kube, machine.kube_name)
        return plan(pods, rules=machine.policy.drain).left > 0

    # --- status ---

    async def _report(self, view: GroupView) -> None:
        group = self._store.groups.objects.get(view.key)
        if group is None:
            return
        left = () if released(group.metadata) else open_requests(group.status.requests, self._stored(view))
        rests = self._reported.get(view.key, -math.inf) - AT_ONCE * REPORT - trio.current_time()
        if rests > 0 and left == group.status.requests:
            self.queue.add(view.key, delay=rests)
            return
        now, machines = self._clock.now(), self._views.members(view.key)
        found = once_each(self._findings(view, machines))
        new = group_status(self._judged(view), found, old=group.status, generation=group.metadata.generation, now=now)
        new = structs.replace(new, requests=left)
        before = {condition.type for condition in group.status.conditions}
        if await self._writer.group_status(group, new) is not group:
            self._reported[view.key] = max(self._reported.get(view.key, -math.inf), trio.current_time()) + REPORT
        for finding in found:
            if finding.type not in before:
                about = group_reference(view.key, group.metadata.uid)
                self._journal.event(about, reason=finding.reason, message=finding.message, severity=Severity.WARNING)

    def _findings(self, view: GroupView, machines: Sequence[MachineView]) -> Iterator[Finding]:
        problems = (*view.problems, *group_hints(view, machines, self._store.conventions))
        if released(view.group.metadata):
            text = f"given up, so that minSize and maxSize are not kept; to take it back: {how_to_take_back(view.key, kind='hg')}"
            yield Finding("Released", "Released", text)
        for problem in problems:
            kind = "Invalid" if problem.severity == "error" and problem.reason != "MixedShape" else problem.reason
            yield Finding(kind, problem.reason, str(problem))
        for machine in machines:
            with self._member_post.around(machine.key):
                yield from tuple(_member_findings(view, machine))
                self._member_post.works(machine.key)
        if (left_ill := stopped(machine.node for machine in machines)) is not None:
            yield left_ill
        yield from _proof_findings(view, self._views.proofs.slot(view.key).holder, self._judged(view))


def _proof_findings(view: GroupView, holder: Claim | None, members: Sequence[Member]) -> Iterator[Finding]:
    """A machine was put off and has not shown that it can be woken: the others stay on, or nobody minds."""
    if holder is None or not holder.dark:
        return
    reason = "WakeFailed" if holder.failed else "NotWoken"
    kept = sum(any(veto.reason == WAKE_PROOF for veto in member.off_vetoes) for member in members)
    if kept:
        yield Finding(WAKE_PROOF, reason, f"{kept} of {len(members)} machines may not rest: {standing(holder)}")
    elif view.policy.wake_proof is WakeProof.WARN:
        yield Finding(WAKE_PROOF, reason, f"{holder.key.name} is off, and hexa has not shown that it can wake it")


def _member_findings(view: GroupView, machine: MachineView) -> Iterator[Finding]:
    kube = machine.kube
    if kube is None:
        return
    name = machine.kube_name
    if machine.control_plane and not view.policy.allow_control_plane:
        text = f"{name} is a control-plane node and is refused as a member; move it out, or set spec.allowControlPlane"
        yield Finding("ControlPlaneMember", "Refused", text)
    wrong = {k: v for k, v in view.policy.labels.items() if kube.metadata.labels.get(k, v) != v}
    if wrong and machine.node.status.welcomed:
        text = f"{name} carries other values of {', '.join(sorted(wrong))} than spec.nodeSelector"
        yield Finding("SelectorMismatch", "LabelsDiffer", text)
    if any(taint.key == UNINITIALIZED_TAINT for taint in kube.spec.taints):
        yield Finding(
            "NodeUninitialized", "CloudTaint", f"{name} waits for a cloud controller manager; providerID is left alone"
        )
