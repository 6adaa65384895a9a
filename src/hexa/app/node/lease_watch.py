"""Waits for leases that are really late: a thousand machines that renew theirs in time cost a look at a number each, and no work.

It knows no machine and writes nothing; who is late is told to whoever subscribed.
"""

import heapq
import math
from collections.abc import Callable
from datetime import datetime

import trio
from msgspec import Struct

from hexa.domain.resources.v1alpha1 import Lookup
from hexa.ports.clock import Clock
from hexa.ports.heartbeats import Heartbeats


class Watch(Struct):
    """A machine whose Kubernetes node is listened to."""

    node: str
    due: float
    """On Trio's clock: the wall clock may be set meanwhile."""


class LeaseWatch:
    """Machines whose Kubernetes nodes must be heard in time."""

    def __init__(self, *, heartbeats: Heartbeats, clock: Clock) -> None:
        self._heartbeats, self._clock = heartbeats, clock
        self._on_late: list[Callable[[Lookup], None]] = []
        self._watches: dict[Lookup, Watch] = {}
        self._heap: list[tuple[float, int, Lookup]] = []
        self._count = 0
        self._news: trio.Event = trio.Event()

    def __repr__(self) -> str:
        return f"<LeaseWatch over {len(self._watches)} machines>"

    def subscribe(self, late: Callable[[Lookup], None]) -> None:
        """Call `late(key)` once for each watch, when nothing was heard of its node in time."""
        self._on_late.append(late)

    def watch(self, key: Lookup, *, node: str, until: datetime) -> None:
        """Tell if the Kubernetes node `node` is not heard by `until`, nor for a lease period after it was heard last."""
        watch, due = self._watches.get(key), self._moment(until)
        if watch is not None:
            watch.node = node
            if watch.due <= due:  # it is looked at then, and put off
                return
        self._put(key, Watch(node, due))

    def _moment(self, until: datetime) -> float:
        return trio.current_time() + (until - self._clock.now()).total_seconds()

    def _put(self, key: Lookup, watch: Watch) -> None:
        self._watches[key] = watch
        self._count += 1
        heapq.heappush(self._heap, (watch.due, self._count, key))
        if self._heap[0][2] is key:
            self._news.set()

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Keep watch until cancelled."""
        task_status.started()
        while True:
            self._look()
            self._news = trio.Event()
            with trio.move_on_at(self._heap[0][0] if self._heap else math.inf):
                await self._news.wait()

    def _look(self) -> None:
        while self._heap and self._heap[0][0] <= trio.current_time():
            due, _, key = heapq.heappop(self._heap)
            watch = self._watches.get(key)
            if watch is None or watch.due != due:
                continue  # an earlier one took its place
            life = self._heartbeats.life(watch.node)
            if life is not None and life.until > self._clock.now():
                self._put(key, Watch(watch.node, self._moment(life.until)))
            else:
                del self._watches[key]
                for late in self._on_late:
                    late(key)
