"""Which nodes are not needed, since when, and which of them may go now. It removes nothing."""

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from msgspec import Struct

from hexa.domain.names import SCALE_DOWN_DISABLED
from hexa.testing.autoscaler.drainability import Budgets, Moves, is_long_terminating, moves, system_dues
from hexa.testing.autoscaler.facts import Facts, GroupFacts
from hexa.testing.autoscaler.packing import Rooms
from hexa.testing.autoscaler.settings import GroupOptions, Settings
from hexa.testing.autoscaler.view import ZERO, NodeView, PodView

GPU: Final = "nvidia.com/gpu"
"""The resource that nodes with Cluster Autoscaler's GPU label offer."""


class Removable(Struct, frozen=True):
    """A node whose pods would find a place elsewhere."""

    name: str
    moves: Moves
    risky: bool = False
    """A disruption budget does not let all its pods go at once."""


class Unneeded(Struct):
    """Since when, how long that must last, and what removing it means."""

    since: datetime
    threshold: float
    removable: Removable


class Going(Struct, frozen=True):
    """Nodes that are being removed now, by group."""

    empty: Mapping[str, str]
    """Name of the node -> id of its group."""
    drained: Mapping[str, str]

    def __contains__(self, name: object) -> bool:
        return name in self.empty or name in self.drained

    def count(self, group: str) -> int:
        return sum(1 for each in (*self.empty.values(), *self.drained.values()) if each == group)


class Plan(Struct, frozen=True):
    """Nodes that may go now, first to go first."""

    empty: tuple[str, ...] = ()
    drain: tuple[str, ...] = ()


class Planner:
    """Keeps which nodes are unneeded from loop to loop."""

    def __init__(self, settings: Settings) -> None:
        self._settings: Final = settings
        self.unneeded: dict[str, Unneeded] = {}
        self.unremovable: dict[str, str] = {}
        """Why a node is not removable, as of the last loop."""
        self._recheck: dict[str, datetime] = {}
        self._dues: list[datetime] = []

    def __repr__(self) -> str:
        return f"<Planner unneeded: {sorted(self.unneeded)}>"

    def clear(self) -> None:
        """Forget which nodes were unneeded."""
        self.unneeded, self._dues = {}, []

    def shift(self, by: timedelta) -> None:
        """The clock was set by so much."""
        for each in self.unneeded.values():
            each.since += by
        self._recheck = {name: until + by for name, until in self._recheck.items()}

    def dues(self) -> list[datetime]:
        """Instants at which time alone changes what is removable."""
        return self._dues

    def update(
        self,
        nodes: Mapping[str, NodeView],
        rooms: Rooms,
        facts: Facts,
        budgets: Budgets,
        going: Going,
        *,
        evicted: Sequence[PodView] = (),
        now: datetime,
    ) -> None:
        """Find the nodes that are not needed. `rooms` is used up."""
        self._dues, self.unremovable = [], {}
        rooms.place(evicted)
        for name in going.empty.keys() | going.drained.keys():
            rooms.remove(name)
        self._recheck = {name: until for name, until in self._recheck.items() if name in nodes and until > now}
        found = list(self._removable(nodes, rooms, facts, budgets, going, now))
        self.unneeded = {each.name: self._unneeded(each, nodes[each.name], facts, now) for each in found}

    def plan(self, nodes: Mapping[str, NodeView], facts: Facts, going: Going, *, now: datetime) -> Plan:
        """What may go now: unneeded for long enough, above min size, within the limits of parallel work."""
        sizes = {group.id: group.target - going.count(group.id) for group in facts.groups.values()}
        ordered = sorted(self.unneeded.items(), key=lambda entry: bool(entry[1].removable.moves.pods))
        ready = [each.removable for name, each in ordered if self._may_go(nodes[name], each, facts, sizes, now)]
        ready = self._whole_groups(ready, facts)
        free = [each.name for each in ready if not each.moves.pods and not each.moves.waiting]
        busy = sorted((each for each in ready if each.moves.pods and not each.moves.waiting), key=lambda e: e.risky)
        return self._crop(free, [each.name for each in busy], going)

    # --- unneeded -----------------------------------------------------------------------------

    def _removable(
        self, nodes: Mapping[str, NodeView], rooms: Rooms, facts: Facts, budgets: Budgets, going: Going, now: datetime
    ) -> Iterable[Removable]:
        limit, found = self._limit(), 0
        for view in self._candidates(nodes, rooms, facts, budgets, going, now):
            if found >= limit:
                return
            move = moves(_pods(view, rooms), budgets, self._settings, now=now)
            why = move.blocker or self._no_place(view, move, rooms, nodes)
            if why:
                self.unremovable[view.name] = why
                self._recheck[view.name] = until = now + self._seconds("unremovable_node_recheck_timeout")
                self._dues.append(until)
                continue
            risky = not budgets.in_parallel(move.pods)
            budgets.spend(move.pods)
            rooms.remove(view.name)
            found += 1
            yield Removable(view.name, move, risky)

    def _no_place(self, view: NodeView, move: Moves, rooms: Rooms, nodes: Mapping[str, NodeView]) -> str:
        """Try to place the pods on the other nodes; they stay there only if all could be placed."""
        if not move.pods:
            return ""
        left = rooms.place_all(move.pods, to=lambda name: name != view.name and name in nodes)
        return f"no place for {left[0].name}" if left else ""

    def _candidates(
        self, nodes: Mapping[str, NodeView], rooms: Rooms, facts: Facts, budgets: Budgets, going: Going, now: datetime
    ) -> list[NodeView]:
        found = []
        for name, view in nodes.items():
            group = facts.facts_of(name)
            if group is None or name in going:
                continue
            if why := self._ineligible(view, rooms, group, facts.gpu_label, going, now):
                self.unremovable[name] = why
            else:
                found.append(view)
        return sorted(
            found, key=lambda view: (view.name not in self.unneeded, self._occupied(view, rooms, budgets, now))
        )

    def _occupied(self, view: NodeView, rooms: Rooms, budgets: Budgets, now: datetime) -> bool:
        move = moves(_pods(view, rooms), budgets, self._settings, now=now)
        return bool(move.pods or move.blocker)

    def _ineligible(
        self, view: NodeView, rooms: Rooms, group: GroupFacts, gpu_label: str, going: Going, now: datetime
    ) -> str:
        if group.target - going.count(group.id) <= group.group.min_size:
            return "the group is at its minimum size"
        if (until := self._recheck.get(view.name)) is not None:
            self._dues.append(until)
            return "recently found unremovable"
        if self._being_deleted(view, now):
            return "it is being deleted"
        if view.node.metadata.annotations.get(SCALE_DOWN_DISABLED) == "true":
            return "scale-down is disabled by annotation"
        if not view.plain:
            self._dues += system_dues(view.pods.values(), self._settings, now=now)
        return self._busy(view, rooms, group, gpu_label, now)

    def _busy(self, view: NodeView, rooms: Rooms, group: GroupFacts, gpu_label: str, now: datetime) -> str:
        options, guests = group.options, rooms.guests(view.name)
        resources: Sequence[str] = ("cpu", "memory")
        threshold = options.scale_down_utilization_threshold
        if gpu_label and gpu_label in view.node.metadata.labels:
            resources = (GPU,)
            threshold = options.scale_down_gpu_utilization_threshold
        if view.plain and not guests:
            used = _requested(view, resources)
        else:
            used = utilisation(view, (*view.pods.values(), *guests), resources, options, now=now)
        return f"{used:.0%} of it are requested" if used > threshold else ""

    def _being_deleted(self, view: NodeView, now: datetime) -> bool:
        if view.to_be_deleted is None or not view.to_be_deleted.isdigit():
            return False
        until = datetime.fromtimestamp(int(view.to_be_deleted), now.tzinfo) + self._seconds("node_being_deleted_for")
        if until > now:
            self._dues.append(until)
        return until > now

    def _limit(self) -> int:
        """More unneeded nodes than these need not be looked for: they could not be removed in time anyway."""
        width = self._settings.max_scale_down_parallelism
        loops = int(max(1, self._settings.scale_down_unneeded_time // self._settings.scan_interval))
        return min(width * loops + width, len(self.unneeded) + 2 * width)

    def _unneeded(self, removable: Removable, view: NodeView, facts: Facts, now: datetime) -> Unneeded:
        known = self.unneeded.get(removable.name)
        options = facts.groups[facts.group_of[removable.name]].options
        threshold = options.scale_down_unneeded_time if view.ready else options.scale_down_unready_time
        return Unneeded(known.since if known is not None else now, threshold, removable)

    # --- may go now ---------------------------------------------------------------------------

    def _may_go(self, view: NodeView, each: Unneeded, facts: Facts, sizes: dict[str, int], now: datetime) -> bool:
        group = facts.groups[facts.group_of[view.name]]
        ripe = each.since + timedelta(seconds=each.threshold)
        if each.threshold > 0 and not ripe < now:
            self._dues.append(ripe)
            return False
        if sizes[group.id] <= group.group.min_size:
            return False
        sizes[group.id] -= 1
        return True

    def _whole_groups(self, ready: list[Removable], facts: Facts) -> list[Removable]:
        """A group that scales between none and all goes as a whole or not at all."""
        counts: dict[str, int] = {}
        for each in ready:
            counts[facts.group_of[each.name]] = counts.get(facts.group_of[each.name], 0) + 1
        torn = {
            group
            for group, count in counts.items()
            if facts.groups[group].options.zero_or_max_node_scaling and count != facts.groups[group].target
        }
        return [each for each in ready if facts.group_of[each.name] not in torn]

    def _crop(self, free: list[str], busy: list[str], going: Going) -> Plan:
        budget = max(0, self._settings.max_scale_down_parallelism - len(going.empty) - len(going.drained))
        empty = tuple(free[:budget])
        budget -= len(empty)
        drains = max(0, min(budget, self._settings.max_drain_parallelism - len(going.drained)))
        return Plan(empty, tuple(busy[:drains]))

    def _seconds(self, name: str) -> timedelta:
        return timedelta(seconds=getattr(self._settings, name))


def utilisation(
    view: NodeView, pods: Iterable[PodView], resources: Sequence[str], options: GroupOptions, *, now: datetime
) -> float:
    """The largest share of the resources that pods request. Infinite for a node that has none of one of them."""
    allocatable = view.allocatable
    counted = [pod for pod in pods if not is_long_terminating(pod.pod, now=now)]
    shares = []
    for name in resources:
        size, used = allocatable.get(name, ZERO), ZERO
        for pod in counted:
            amount = pod.needs.get(name, ZERO)
            if pod.kind == "DaemonSet" and options.ignore_daemon_sets_utilization:
                size -= amount
            else:
                used += amount
        shares.append(float(used / size) if size > 0 else math.inf)
    return max(shares)


def _requested(view: NodeView, resources: Sequence[str]) -> float:
    """The same where every pod of the node counts, and no other."""
    sizes = ((view.allocatable.get(name, ZERO), view.free.get(name, ZERO)) for name in resources)
    return max(float(1 - free / size) if size > 0 else math.inf for size, free in sizes)


def _pods(view: NodeView, rooms: Rooms) -> tuple[PodView, ...]:
    """Those that run there and those that will."""
    return (*view.pods.values(), *rooms.guests(view.name))
