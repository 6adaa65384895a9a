"""One group at a time: wake up to minSize, rest down to a lowered maxSize, replace what failed to start, keep the status.

It writes wishes and the group's status; what machines do about a wish is the node controller's.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime

from msgspec import structs

from hexa.app.queue import KeyedQueue
from hexa.app.references import group_reference, machine_reference
from hexa.app.saving import Writer, malformed_patch
from hexa.app.store import Store
from hexa.app.view import GroupView, MachineView, Views, membership_of
from hexa.domain.describe import Finding, group_status
from hexa.domain.errors import HexaError
from hexa.domain.group import Problem
from hexa.domain.names import UNINITIALIZED_TAINT
from hexa.domain.resources.v1alpha1 import GROUPS, Asker, Lookup, Node, Power, WishRecord
from hexa.domain.sizing import Member, half_replaced, replacements, to_rest, to_wake, unreplaced
from hexa.domain.template import mixed, uneven
from hexa.domain.wish import REPLACED
from hexa.ports.clock import Clock
from hexa.ports.journal import Journal, Severity
from hexa.ports.kube import Kube, Patch


class GroupController:
    """Keeps every group within its limits and its status true."""

    def __init__(self, *, store: Store, views: Views, kube: Kube, clock: Clock, journal: Journal) -> None:
        self._store, self._views, self._kube = store, views, kube
        self._clock, self._journal = clock, journal
        self._writer = Writer(kube, store)
        self.queue: KeyedQueue[Lookup] = KeyedQueue(self.reconcile, failed=self._failed)
        store.groups.subscribe(lambda key, _old, _new: self.queue.add(key))
        store.machines.subscribe(self._machine_changed)

    def _machine_changed(self, key: Lookup, old: Node | None, new: Node | None) -> None:
        for group in {membership_of(node) for node in (old, new) if node is not None}:
            if group is not None:
                self.queue.add(group)

    def _failed(self, key: Lookup, error: HexaError) -> None:
        self._journal.log("group put off", group=str(key), reason=error.reason, error=str(error))

    async def reconcile(self, key: Lookup) -> None:
        """Write the wishes that the group's limits ask for, and its status."""
        view = self._views.group(key)
        if view is None:
            await self._malformed(key)
            return
        now = self._clock.now()
        if view.valid and self._store.watching_since is not None:
            await self._replace_failed(view, now)
            await self._fill(view, now)
            await self._lower(view, now)
        await self._report(view, now)

    async def _malformed(self, key: Lookup) -> None:
        broken = self._store.groups.malformed.get(key)
        if broken is None:
            return
        self._journal.event(
            group_reference(key), reason="DoesNotDecode", message=broken.problem, severity=Severity.WARNING
        )
        patch = Patch(malformed_patch(broken), subresource="status")
        await self._kube.patch(GROUPS, key.name, patch, namespace=key.namespace)

    def _members(self, key: Lookup, now: datetime) -> list[Member]:
        return [machine.member(now) for machine in self._views.members(key)]

    async def _replace_failed(self, view: GroupView, now: datetime) -> None:
        """The next candidate takes the place of a machine that failed to start: its wish on first, then the failed one's off."""
        for member in half_replaced(self._members(view.key, now)):  # a crash came between the two
            await self._wish(member.key, Power.OFF, REPLACED, "another took its place", now)
        for _ in unreplaced(self._members(view.key, now)):
            pairs = replacements(view.policy, self._members(view.key, now))
            if not pairs:
                return
            failed, successor = pairs[0].failed.key, pairs[0].successor.key
            await self._wish(successor, Power.ON, "TakesPlace", f"takes the place of {failed.name}", now)
            await self._mark_replaced(failed)
            await self._wish(failed, Power.OFF, REPLACED, f"{successor.name} takes its place", now)

    async def _mark_replaced(self, key: Lookup) -> None:
        machine = self._store.machines.objects[key]
        await self._writer.status(machine, structs.replace(machine.status, replaced=True))

    async def _fill(self, view: GroupView, now: datetime) -> None:
        for member in to_wake(view.policy, self._members(view.key, now)):
            await self._wish(member.key, Power.ON, "MinSize", f"minSize is {view.policy.min_size}", now)

    async def _lower(self, view: GroupView, now: datetime) -> None:
        for member in to_rest(view.policy, self._members(view.key, now)):
            await self._wish(member.key, Power.OFF, "MaxSize", f"maxSize is {view.policy.max_size}", now)

    async def _wish(self, key: Lookup, power: Power, reason: str, message: str, now: datetime) -> None:
        machine = self._store.machines.objects.get(key)
        if machine is None:
            return
        await self._writer.wish(machine, WishRecord(power=power, by=Asker.RECOVERY, reason=reason, since=now))
        about = machine_reference(key, machine.metadata.uid)
        self._journal.event(about, reason=reason, message=f"wanted {power}: {message}")

    # --- status ---

    async def _report(self, view: GroupView, now: datetime) -> None:
        machines = self._views.members(view.key)
        members = [machine.member(now) for machine in machines]
        found = list(self._findings(view, machines))
        old = view.group.status
        new = group_status(members, found, old=old, generation=view.group.metadata.generation, now=now)
        before = {condition.type for condition in old.conditions}
        await self._writer.group_status(view.group, new)
        for finding in found:
            if finding.type not in before:
                about = group_reference(view.key, view.group.metadata.uid)
                self._journal.event(about, reason=finding.reason, message=finding.message, severity=Severity.WARNING)

    def _findings(self, view: GroupView, machines: Sequence[MachineView]) -> Iterator[Finding]:
        shapes = [shape for machine in machines if (shape := machine.shape()) is not None]
        problems = [*view.problems, *filter(None, (mixed(shapes) or uneven(shapes),))]
        if not machines:
            problems.append(_no_machines(view))
        for problem in problems:
            kind = "Invalid" if problem.severity == "error" and problem.reason != "MixedShape" else problem.reason
            yield Finding(kind, problem.reason, str(problem))
        for machine in machines:
            yield from _member_findings(view, machine)


def _no_machines(view: GroupView) -> Problem:
    return Problem(
        "machines",
        "no Node resource belongs to the group",
        f"label machines with group={view.key.name} in namespace {view.key.namespace}",
        severity="warning",
        reason="NoMachines",
    )


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
