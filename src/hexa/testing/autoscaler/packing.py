"""Where pods would go: a copy of the cluster's free room that can be packed, and the number of new nodes that pods need.

The predicates are those of `hexa.domain.pods.fitting`: cordon, taints, node selector, required node affinity, free resources.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Final

from msgspec import Struct, structs

from hexa.domain.names import HOSTNAME_LABEL
from hexa.domain.pods.fitting import accepts
from hexa.domain.quantity import amounts
from hexa.domain.resources.core import KubeNode
from hexa.testing.autoscaler.view import ZERO, Amounts, NodeView, PodView, take


class Template(Struct, frozen=True):
    """A new node of a group: what it looks like, and what is free once its DaemonSet pods run."""

    node: KubeNode
    free: Amounts


class Room:
    """A node, real or to come, with what is left of it. `free` is copied when the first pod is put there."""

    __slots__ = ("_own", "free", "guests", "node")

    def __init__(self, node: KubeNode, free: Amounts, guests: tuple[PodView, ...] = ()) -> None:
        self.node: Final = node
        self.free = free
        self.guests = guests
        """Pods put here that are not bound to the node."""
        self._own = False

    def __repr__(self) -> str:
        return f"<Room {self.node.metadata.name}>"

    def accepts(self, pod: PodView) -> bool:
        return accepts(self.node, self.free, pod.pod, pod.needs)

    def put(self, pod: PodView) -> None:
        if not self._own:
            self.free, self._own = dict(self.free), True
        take(self.free, pod.needs)
        self.guests = (*self.guests, pod)

    def copy(self) -> "Room":
        """The same state, packed apart from this one."""
        self._own = False
        return Room(self.node, self.free, self.guests)


class Rooms:
    """Nodes that can be packed. Pods alike (of one controller, with equal needs) are placed without asking every node again."""

    def __init__(self, rooms: Iterable[Room]) -> None:
        self._rooms: dict[str, Room] = {room.node.metadata.name: room for room in rooms}

    def __repr__(self) -> str:
        return f"<Rooms {len(self._rooms)}>"

    def guests(self, name: str) -> tuple[PodView, ...]:
        """Pods that were put on the node."""
        return self._rooms[name].guests if name in self._rooms else ()

    def place_all(self, pods: Sequence[PodView], *, to: Callable[[str], bool]) -> list[PodView]:
        """Put every pod, or none: those that fit nowhere come back, and then nothing was put."""
        trial = {name: room.copy() for name, room in self._rooms.items()}
        left = Rooms(trial.values()).place(pods, to=to)
        if not left:
            self._rooms = trial
        return left

    def remove(self, name: str) -> None:
        """The node is no place for pods any more."""
        self._rooms.pop(name, None)

    def place(self, pods: Iterable[PodView], *, to: Callable[[str], bool] = lambda _: True) -> list[PodView]:
        """Put each pod on the first node that takes it; those that fit nowhere come back."""
        rooms = [room for name, room in self._rooms.items() if to(name)]
        start: dict[object, int] = {}
        left = []
        for pod in pods:
            index = start.get(pod.similar, 0)
            while index < len(rooms) and not rooms[index].accepts(pod):
                index += 1
            start[pod.similar] = index
            if index < len(rooms):
                rooms[index].put(pod)
            else:
                left.append(pod)
        return left


def rooms_of(nodes: Iterable[NodeView]) -> list[Room]:
    """The free room of nodes as they are."""
    return [Room(view.node, view.free) for view in nodes]


def upcoming_rooms(group: str, template: Template, count: int) -> list[Room]:
    """Nodes that are on their way, empty but for DaemonSets."""
    return [Room(_renamed(template.node, f"upcoming-{index}-{group}"), template.free) for index in range(count)]


def template_of(node: KubeNode, pods: Iterable[PodView], *, name: str) -> Template:
    """A fresh node like this one: its DaemonSet and mirror pods come with it."""
    free = amounts(node.status.allocatable)
    for pod in pods:
        if pod.stays:
            take(free, pod.needs)
    return Template(_renamed(node, name), free)


def _renamed(node: KubeNode, name: str) -> KubeNode:
    """The host name is the new node's own, as Cluster Autoscaler has it: a pod that names an old node fits no new one."""
    labels = {key: name if key == HOSTNAME_LABEL else value for key, value in node.metadata.labels.items()}
    return structs.replace(node, metadata=structs.replace(node.metadata, name=name, uid=name, labels=labels))


class Estimate(Struct, frozen=True):
    """New nodes that are needed, and the pods that they would take."""

    nodes: int
    pods: tuple[PodView, ...]


def estimate(pods: Sequence[PodView], template: Template, *, limit: int) -> Estimate:
    """First fit, largest pods first, on at most `limit` new nodes."""
    packer = _Packer(template, limit)
    for alike in _alike(pods, template):
        packer.add(alike)
    return Estimate(packer.used, tuple(packer.placed))


class _Packer:
    def __init__(self, template: Template, limit: int) -> None:
        self._template, self._limit = template, limit
        self._rooms: list[Room] = []
        self._filled: set[int] = set()
        self.placed: list[PodView] = []

    @property
    def used(self) -> int:
        return len(self._filled)

    def add(self, alike: Sequence[PodView]) -> None:
        """Pods alike: as soon as one fits on none of the nodes so far, the rest need new ones."""
        waiting = list(alike)
        start = 0
        while waiting and (index := self._first(waiting[0], start)) is not None:
            self._put(waiting.pop(0), index)
            start = index
        while waiting and self._put_on_last(waiting[0]):
            waiting.pop(0)

    def _first(self, pod: PodView, start: int) -> int | None:
        found = (index for index in range(start, len(self._rooms)) if self._rooms[index].accepts(pod))
        return next(found, None)

    def _put_on_last(self, pod: PodView) -> bool:
        last = len(self._rooms) - 1
        if last >= 0 and self._rooms[last].accepts(pod):
            self._put(pod, last)
            return True
        if (last >= 0 and last not in self._filled) or len(self._rooms) >= self._limit:
            return False
        self._rooms.append(Room(self._template.node, self._template.free))
        if not self._rooms[-1].accepts(pod):
            return False
        self._put(pod, last + 1)
        return True

    def _put(self, pod: PodView, index: int) -> None:
        self._rooms[index].put(pod)
        self._filled.add(index)
        self.placed.append(pod)


def _alike(pods: Sequence[PodView], template: Template) -> list[list[PodView]]:
    """Pods by likeness, the largest share of the node first."""
    groups: dict[object, list[PodView]] = {}
    for pod in pods:
        groups.setdefault(pod.similar, []).append(pod)
    return sorted(groups.values(), key=lambda alike: _share(alike[0], template), reverse=True)


def _share(pod: PodView, template: Template) -> float:
    allocatable = amounts(template.node.status.allocatable)
    shares = (
        float(pod.needs.get(name, ZERO) / allocatable[name])
        for name in ("cpu", "memory")
        if allocatable.get(name, ZERO)
    )
    return sum(shares)
