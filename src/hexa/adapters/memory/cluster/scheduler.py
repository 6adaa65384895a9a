"""Binds pending pods to nodes: requests against what is free, selectors, required node affinity, taints.

It runs only when something changed that could help a pod, and tries one pod of each shape: where that finds no place, the
others of its shape find none. A cordon it knows by the taint that comes with it. Spreads like the stock scheduler (least
allocated first); it knows no preemption, no topology and no volumes.
"""

from collections.abc import Mapping
from heapq import heapify, heappop, heappush
from itertools import takewhile
from typing import Any, Final

import msgspec
from msgspec import Struct

from hexa.adapters.memory.clock import Timer, Timers
from hexa.adapters.memory.cluster.api import MemoryApi
from hexa.adapters.memory.cluster.conditions import condition, with_condition
from hexa.adapters.memory.cluster.pods import finished, node_of, terminating
from hexa.adapters.memory.cluster.store import Builtins, Event, Stored
from hexa.domain.pods.drain import affinity_matches, tolerated
from hexa.domain.pods.requests import requests
from hexa.domain.quantity import amounts
from hexa.domain.resources.core import NODES, PODS, KubeNode, Malformed, PodSpec
from hexa.ports.kube import ChangeType

Thousandths = dict[str, int]
"""Amounts of resources, as the scheduler counts them: exactly."""

_encode: Final = msgspec.json.Encoder(order="deterministic").encode


class Room(Struct):
    """A node, and what is free on it."""

    node: KubeNode
    total: Thousandths
    free: Thousandths
    verdicts: dict[bytes, tuple[bool, bool]] = {}
    """By shape: whether the node takes it, and whether it would rather not."""

    def fits(self, wanted: Thousandths) -> bool:
        return all(self.free.get(name, 0) >= amount for name, amount in wanted.items() if amount)

    def judge(self, shape: "Shape") -> tuple[bool, bool]:
        """A node does not change its mind: one that changes gets a new room."""
        if (verdict := self.verdicts.get(shape.key)) is None:
            welcome = _welcomes(self.node, shape.spec)
            verdict = self.verdicts[shape.key] = welcome, welcome and _avoided(self.node, shape.spec)
        return verdict

    def take(self, wanted: Thousandths, sign: int = 1) -> None:
        for name, amount in wanted.items():
            self.free[name] = self.free.get(name, 0) - sign * amount

    def spare(self) -> float:
        """How free it is: the mean share of cores and memory that is left."""
        return sum(self.free.get(name, 0) / (self.total.get(name) or 1) for name in ("cpu", "memory"))


class Shape(Struct):
    """Pods that are the same to the scheduler, waiting in order."""

    key: bytes
    spec: PodSpec
    wanted: Thousandths
    waiting: dict[str, tuple[int, Stored]]
    hopeless: bool = False
    """Tried, and nothing changed since."""


class Scheduler:
    """`default-scheduler` of the site."""

    def __init__(self, api: MemoryApi, timers: Timers) -> None:
        self._api = api
        self._timers = timers
        self._rooms: dict[str, Room] = {}
        self._used: dict[str, dict[str, Thousandths]] = {}
        self._shapes: dict[bytes, Shape] = {}
        self._shape_of: dict[str, bytes] = {}
        self._count = 0
        self._planned: Timer | None = None
        api.listen(NODES, self._node_changed)
        api.listen(PODS, self._pod_changed)

    def __repr__(self) -> str:
        return f"<Scheduler {self.pending} pending, {len(self._rooms)} nodes>"

    @property
    def pending(self) -> int:
        """Pods that wait for a place."""
        return len(self._shape_of)

    # --- what changed -------------------------------------------------------------------------

    def _node_changed(self, event: Event) -> None:
        name = event.stored.key[1]
        node = event.stored.decoded(NODES)
        if event.type is ChangeType.DELETED or isinstance(node, Malformed):
            self._rooms.pop(name, None)
        elif (room := self._rooms.get(name)) is None or _differs(room.node, node):
            self._rooms[name] = self._room(name, node)
            self._hope()

    def _room(self, name: str, node: KubeNode) -> Room:
        total = _thousandths(amounts(node.status.allocatable))
        room = Room(node, total, dict(total))
        for wanted in self._used.get(name, {}).values():
            room.take(wanted)
        return room

    def _pod_changed(self, event: Event) -> None:
        stored, pod = event.stored, event.stored.raw
        gone = event.type is ChangeType.DELETED or finished(pod)
        before = node_of(event.old.raw) if event.old is not None else ""
        if before and before != node_of(pod):  # etcd was put back to a time at which it was elsewhere
            self._release(before, stored.uid)
        if node := node_of(pod):
            self._forget(stored.uid)
            if gone:
                self._release(node, stored.uid)
            elif stored.uid not in self._used.get(node, {}):
                self._reserve(node, stored)
        elif gone or terminating(pod):
            self._forget(stored.uid)
        elif stored.uid not in self._shape_of and pod["spec"].get("schedulerName") == "default-scheduler":
            self._wait(stored)

    def _reserve(self, node: str, stored: Stored) -> None:
        pod = stored.decoded(PODS)
        if not isinstance(pod, Malformed):
            self._take(node, stored.uid, _thousandths(requests(pod)))

    def _take(self, node: str, uid: str, wanted: Thousandths) -> None:
        self._used.setdefault(node, {})[uid] = wanted
        if (room := self._rooms.get(node)) is not None:
            room.take(wanted)

    def _release(self, node: str, uid: str) -> None:
        wanted = self._used.get(node, {}).pop(uid, None)
        if wanted is not None and (room := self._rooms.get(node)) is not None:
            room.take(wanted, -1)
            self._hope()

    def _wait(self, stored: Stored) -> None:
        pod = stored.decoded(PODS)
        if isinstance(pod, Malformed):
            return
        key = _shape_key(stored.raw["spec"])
        if (shape := self._shapes.get(key)) is None:
            shape = self._shapes[key] = Shape(key, pod.spec, _thousandths(requests(pod)), {})
        self._count += 1
        shape.waiting[stored.uid] = self._count, stored
        self._shape_of[stored.uid] = key
        self._plan()

    def _forget(self, uid: str) -> None:
        if (key := self._shape_of.pop(uid, None)) is not None:
            shape = self._shapes[key]
            del shape.waiting[uid]
            if not shape.waiting:
                del self._shapes[key]

    def _hope(self) -> None:
        """Something changed for the better, perhaps."""
        if self._shapes:
            for shape in self._shapes.values():
                shape.hopeless = False
            self._plan()

    def _plan(self) -> None:
        if self._planned is None:
            self._planned = self._timers.soon(self._run)

    # --- finding places -----------------------------------------------------------------------

    def _run(self) -> None:
        self._planned = None
        queue = [_turn(shape) for shape in self._shapes.values() if not shape.hopeless]
        heapify(queue)
        while queue:
            key = heappop(queue)[2]
            shape = self._shapes[key]
            _, stored = next(iter(shape.waiting.values()))
            if (node := self._choose(shape)) is not None:
                self._bind(stored, node, shape)
                if shape.waiting:
                    heappush(queue, _turn(shape))
            else:
                shape.hopeless = True
        for shape in self._shapes.values():
            self._say_unschedulable(shape)

    def _choose(self, shape: Shape) -> str | None:
        best: tuple[bool, float] | None = None
        chosen = None
        for name, room in self._rooms.items():
            if room.fits(shape.wanted):
                welcome, avoided = room.judge(shape)
                if welcome and (best is None or best < (not avoided, room.spare())):
                    best, chosen = (not avoided, room.spare()), name
        return chosen

    def _bind(self, stored: Stored, node: str, shape: Shape) -> None:
        self._forget(stored.uid)
        self._take(node, stored.uid, shape.wanted)
        pod, status = stored.raw, stored.raw["status"]
        conditions = with_condition(status.get("conditions") or [], "PodScheduled", "True", self._api.now())
        self._api.write(
            PODS, stored, spec={**pod["spec"], "nodeName": node}, status={**status, "conditions": conditions}
        )

    def _say_unschedulable(self, shape: Shape) -> None:
        """Cluster Autoscaler acts on this condition. It is written once for each pod."""
        untold = takewhile(lambda entry: not _is_told(entry[1][1]), reversed(shape.waiting.items()))  # the newest ones
        for uid, (count, stored) in reversed(list(untold)):
            status = stored.raw["status"]
            message = f"0/{len(self._rooms)} nodes are available."
            conditions = with_condition(
                status.get("conditions") or [],
                "PodScheduled",
                "False",
                self._api.now(),
                reason="Unschedulable",
                message=message,
            )
            written = self._api.write(PODS, stored, status={**status, "conditions": conditions})
            shape.waiting[uid] = count, written


def _is_told(pod: Stored) -> bool:
    return condition(pod.raw["status"], "PodScheduled") is not None


def _turn(shape: Shape) -> tuple[int, int, bytes]:
    return -shape.spec.priority, next(iter(shape.waiting.values()))[0], shape.key


def _shape_key(spec: Builtins) -> bytes:
    names = ("containers", "initContainers", "overhead", "nodeSelector", "affinity", "tolerations", "priority")
    return _encode([spec.get(name) for name in names])


def _thousandths(resources: Mapping[str, Any]) -> Thousandths:
    return {name: int(amount * 1000) for name, amount in resources.items()}


def _differs(old: KubeNode, new: KubeNode) -> bool:
    return (old.spec, old.status.allocatable, old.metadata.labels) != (
        new.spec,
        new.status.allocatable,
        new.metadata.labels,
    )


def _welcomes(node: KubeNode, spec: PodSpec) -> bool:
    for taint in node.spec.taints:
        if taint.effect != "PreferNoSchedule" and not tolerated(taint, spec.tolerations):
            return False
    labels = node.metadata.labels
    if any(labels.get(key) != value for key, value in spec.node_selector.items()):
        return False
    return affinity_matches(spec.affinity, node)


def _avoided(node: KubeNode, spec: PodSpec) -> bool:
    return any(
        taint.effect == "PreferNoSchedule" and not tolerated(taint, spec.tolerations) for taint in node.spec.taints
    )
