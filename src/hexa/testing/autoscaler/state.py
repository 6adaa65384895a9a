"""How the groups stand: readiness by group, what is upcoming, open scale-up requests, nodes that never registered.

Its rules are those of Cluster Autoscaler's cluster state registry. It asks nobody and changes nothing outside itself.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Final

from msgspec import Struct, field

from hexa.ports.cloud import Instance, InstanceState
from hexa.testing.autoscaler.backoff import Backoff
from hexa.testing.autoscaler.facts import Facts, GroupFacts
from hexa.testing.autoscaler.settings import Settings
from hexa.testing.autoscaler.view import NodeView


class Readiness(Struct):
    """Names of nodes by how they stand."""

    ready: list[str] = field(default_factory=list)
    unready: list[str] = field(default_factory=list)
    not_started: list[str] = field(default_factory=list)
    suspended: list[str] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)
    """With the taint ToBeDeleted: no longer in the target."""
    unregistered: list[str] = field(default_factory=list)
    long_unregistered: list[str] = field(default_factory=list)

    @property
    def registered(self) -> int:
        return sum(map(len, (self.ready, self.unready, self.not_started, self.suspended, self.deleted)))


class ScaleUpRequest(Struct):
    """Machines that were asked for and are waited for."""

    increase: int
    since: datetime
    expected: datetime


class TimedOut(Struct, frozen=True):
    """A request whose machines did not come in time."""

    group: str
    increase: int


class CreateFailed(Struct, frozen=True):
    """Instances of a growing group that reported an error for the first time."""

    group: str
    count: int
    code: str
    message: str


class ClusterState:
    """The registry; `update` once a loop, then ask."""

    def __init__(self, settings: Settings) -> None:
        self._settings: Final = settings
        self.backoff: Final = Backoff(settings)
        self.requests: Final[dict[str, ScaleUpRequest]] = {}
        self.readiness: dict[str, Readiness] = {}
        self.total = Readiness()
        self._unregistered: dict[str, tuple[str, datetime]] = {}  # instance id -> group, first seen
        self._failed_before: dict[str, set[str]] = {}
        self._wrong_size: dict[str, tuple[int, int, datetime]] = {}
        self._facts: Facts | None = None
        self._dues: list[datetime] = []

    def __repr__(self) -> str:
        return f"<ClusterState {self.total}, open requests: {sorted(self.requests)}>"

    # --- once a loop --------------------------------------------------------------------------

    def update(
        self, facts: Facts, nodes: Iterable[NodeView], *, now: datetime
    ) -> tuple[list[TimedOut], list[CreateFailed]]:
        """Take in this loop's facts; what failed is to be reverted by the caller, and its group is backed off."""
        self._facts, self._dues = facts, []
        self.backoff.forget_old(now=now)
        nodes = list(nodes)
        self._find_unregistered(facts, nodes, now)
        self._count(facts, nodes, now)
        timed_out = list(self._close_requests(now))
        failed = list(self._new_errors(now))
        self._note_wrong_sizes(now)
        return timed_out, failed

    def _find_unregistered(self, facts: Facts, nodes: list[NodeView], now: datetime) -> None:
        registered = {view.node.spec.provider_id for view in nodes}
        missing = {}
        for group in facts.groups.values():
            for instance in group.instances:
                if instance.id not in registered and _expected_to_register(instance):
                    missing[instance.id] = self._unregistered.get(instance.id, (group.id, now))
        self._unregistered = missing

    def _count(self, facts: Facts, nodes: list[NodeView], now: datetime) -> None:
        self.readiness, self.total = {}, Readiness()
        for view in nodes:
            group = facts.group_of.get(view.name)
            for row in self._rows(group):
                self._bucket(row, view, now).append(view.name)
        for instance, (_, since) in self._unregistered.items():
            group = facts.owner(instance, instance)
            if group is None:
                continue
            late = self._due(since + timedelta(seconds=facts.groups[group].options.max_node_provision_time), now)
            for row in self._rows(group):
                (row.long_unregistered if late else row.unregistered).append(instance)

    def _rows(self, group: str | None) -> Iterator[Readiness]:
        yield self.total
        if group is not None:
            yield self.readiness.setdefault(group, Readiness())

    def _bucket(self, row: Readiness, view: NodeView, now: datetime) -> list[str]:
        if view.to_be_deleted is not None:
            return row.deleted
        if view.suspended:
            return row.suspended
        if view.ready:
            return row.ready
        started_by = (view.created or now) + timedelta(seconds=self._settings.max_node_startup_time)
        if started_by > now:
            self._dues.append(started_by)
            return row.not_started
        return row.unready

    def _due(self, when: datetime, now: datetime) -> bool:
        """Whether it is past; if not, a loop is due then."""
        if when < now:
            return True
        self._dues.append(when)
        return False

    def _close_requests(self, now: datetime) -> Iterator[TimedOut]:
        for group, request in list(self.requests.items()):
            if self._upcoming_by_size(group) <= 0:
                del self.requests[group]
            elif self._due(request.expected, now):
                del self.requests[group]
                self.backoff.fail(group, now=now)
                yield TimedOut(group, request.increase)

    def _new_errors(self, now: datetime) -> Iterator[CreateFailed]:
        before, self._failed_before = self._failed_before, {}
        for group in self.groups:
            failed = {instance.id: instance for instance in _with_errors(group)}
            self._failed_before[group.id] = set(failed)
            new = [instance for key, instance in failed.items() if key not in before.get(group.id, set())]
            if new and self.is_scaling_up(group.id):
                self.register(group, -len(new), now=now)
                self.backoff.fail(group.id, now=now)
                error = new[0].error
                assert error is not None
                yield CreateFailed(group.id, len(new), error.code, error.message)

    def _note_wrong_sizes(self, now: datetime) -> None:
        before, self._wrong_size = self._wrong_size, {}
        for group in self.groups:
            row = self.readiness.get(group.id)
            if row is None:
                continue
            missing = len(row.unregistered) + len(row.long_unregistered)
            if row.registered > group.target or row.registered < group.target - missing:
                seen = row.registered, group.target
                last = before.get(group.id)
                since = last[2] if last is not None and last[:2] == seen else now
                self._wrong_size[group.id] = (*seen, since)

    # --- what is asked of it ------------------------------------------------------------------

    @property
    def groups(self) -> Iterable[GroupFacts]:
        return self._facts.groups.values() if self._facts is not None else ()

    def register(self, group: GroupFacts, delta: int, *, now: datetime) -> None:
        """A scale-up was asked for, or part of one was lost."""
        expected = now + timedelta(seconds=group.options.max_node_provision_time)
        request = self.requests.get(group.id)
        if request is None:
            if delta > 0:
                self.requests[group.id] = ScaleUpRequest(delta, now, expected)
            return
        request.increase += delta
        if request.increase <= 0:
            del self.requests[group.id]
        elif delta > 0:
            request.since, request.expected = now, expected

    def upcoming(self, *, now: datetime) -> dict[str, int]:
        """Nodes that will come, by group: only while a request stands and the group is not backed off."""
        found = {}
        for group in self.groups:
            count = self._upcoming_by_size(group.id)
            backed_off = self.backoff.until(group.id, now=now) is not None
            if count > 0 and group.id in self.requests and not backed_off:
                found[group.id] = count
        return found

    def _upcoming_by_size(self, group: str) -> int:
        facts = self._facts.groups.get(group) if self._facts is not None else None
        if facts is None:
            return 0
        row = self.readiness.get(group, Readiness())
        return facts.target - sum(map(len, (row.ready, row.unready, row.suspended, row.long_unregistered)))

    def is_scaling_up(self, group: str) -> bool:
        return group in self.requests and self._upcoming_by_size(group) > 0

    def not_started(self, groups: Iterable[str]) -> set[str]:
        """Registered nodes of these groups that are still on their way up."""
        return {name for group in groups if group in self.readiness for name in self.readiness[group].not_started}

    def is_healthy(self, nodes: int) -> bool:
        """Not too many nodes are unready, groups or no groups."""
        return self._tolerable(len(self.total.unready), nodes)

    def is_group_healthy(self, group: GroupFacts) -> bool:
        """Not too many nodes are missing that no scale-up explains."""
        row = self.readiness.get(group.id)
        least = self._least(group, row)
        if row is None:
            return group.target == 0 or (least == 0 and group.target > 0)
        present = len(row.ready) + len(row.suspended)
        known = present + len(row.unready) + len(row.not_started)
        return self._tolerable(max(0, least - present), known)

    def _least(self, group: GroupFacts, row: Readiness | None) -> int:
        request = self.requests.get(group.id)
        waiting = request.increase if request is not None else 0
        return group.target - (len(row.long_unregistered) if row is not None else 0) - waiting

    def _tolerable(self, missing: int, nodes: int) -> bool:
        share = self._settings.max_total_unready_percentage / 100 * nodes
        return missing <= self._settings.ok_total_unready_count or missing <= share

    def long_unregistered(self) -> dict[str, list[str]]:
        """Instances by group that no node carried within the provision time."""
        return {group: list(row.long_unregistered) for group, row in self.readiness.items() if row.long_unregistered}

    def created_with_errors(self) -> dict[str, list[str]]:
        """Instances by group that report an error."""
        found = {group.id: [instance.id for instance in _with_errors(group)] for group in self.groups}
        return {group: instances for group, instances in found.items() if instances}

    def too_small(self, *, now: datetime) -> dict[str, int]:
        """Groups whose nodes have been fewer than their target for the provision time, and by how many (below 0)."""
        found = {}
        for group, (current, expected, since) in self._wrong_size.items():
            assert self._facts is not None
            patience = self._facts.groups[group].options.max_node_provision_time
            if self._due(since + timedelta(seconds=patience), now) and current < expected:
                found[group] = current - expected
        return found

    def shift(self, by: timedelta) -> None:
        """The clock was set by so much."""
        self.backoff.shift(by)
        for request in self.requests.values():
            request.since, request.expected = request.since + by, request.expected + by
        self._unregistered = {key: (group, since + by) for key, (group, since) in self._unregistered.items()}
        self._wrong_size = {key: (has, wants, since + by) for key, (has, wants, since) in self._wrong_size.items()}

    def dues(self) -> list[datetime]:
        """Instants at which time alone changes an answer."""
        return [*self._dues, *self.backoff.dues()]


def _expected_to_register(instance: Instance) -> bool:
    return instance.state is not InstanceState.DELETING and instance.error is None


def _with_errors(group: GroupFacts) -> list[Instance]:
    return [i for i in group.instances if i.state is InstanceState.CREATING and i.error is not None]
