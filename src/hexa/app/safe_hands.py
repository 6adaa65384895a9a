"""Watches the site as a whole, and says when hexa is to be careful: `hexa.domain.rules.safe_hands` judges.

It is told of changes and counts; while the site is calm nothing wakes it. It writes nothing.
"""

import math
from datetime import datetime, timedelta
from typing import Final

import trio

from hexa.app.store import Store
from hexa.app.views.views import Views
from hexa.domain.machine.identity import kube_name
from hexa.domain.machine_view import ready
from hexa.domain.resources.core import KubeNode
from hexa.domain.resources.v1alpha1 import MACHINES, Lookup, Node
from hexa.domain.rules.safe_hands import (
    AT_LEAST,
    CALM,
    FLAPPING,
    NEITHER,
    SafeHands,
    Standing,
    most_fell,
    of_clock,
    of_machines,
    of_sight,
    standing,
    told,
)
from hexa.ports.clock import Clock


class SiteWatch:
    """Every machine as the site is judged by it, and what else befell the site."""

    def __init__(self, *, store: Store, views: Views, clock: Clock) -> None:
        self._store, self._views, self._clock = store, views, clock
        self._post = store.fence.post(MACHINES, "site", blocks=False)
        self._standings: Final[dict[Lookup, Standing]] = {}
        self._fallen: Final[set[Lookup]] = set()
        self._up = 0
        """Machines that are up, and did not fall."""
        self._until = math.inf
        """When the first of the fallen counts no more, in seconds since the epoch."""
        self._doubt: SafeHands | None = None
        self._doubted_until = -math.inf
        """On Trio's clock: how long what befell the API server or the clock counts."""
        self._born = clock.now()
        self._begun = False
        self._news = trio.Event()
        store.machines.subscribe(self._machine_changed)
        store.nodes.subscribe(self._node_changed)
        store.on_sight(self._sees_again)

    def __repr__(self) -> str:
        return f"<SiteWatch {self._up} up, {len(self._fallen)} fallen, {self._views.safe_hands}>"

    # --- what happens -------------------------------------------------------------------------

    def clock_set(self, by: timedelta) -> None:
        """The clock was set; negative: back."""
        now = self._clock.now()
        self._born = min(self._born, now)
        if (stands := of_clock(by, now=now)) is not None:
            self._doubts(stands)

    def _sees_again(self) -> None:
        now = self._clock.now()
        if (stands := of_sight(self._store.blind_spells(now - FLAPPING), now=now)) is not None:
            self._doubts(stands)
        self._news.set()

    def _doubts(self, stands: SafeHands) -> None:
        self._doubt, self._doubted_until = stands, trio.current_time() + CALM.total_seconds()
        self._news.set()

    def _machine_changed(self, key: Lookup, old: Node | None, new: Node | None) -> None:
        if old is None or new is None or _differ(old, new):
            self._look(key)

    def _node_changed(self, key: Lookup, old: KubeNode | None, new: KubeNode | None) -> None:
        if _is_ready(old) is not _is_ready(new):
            for machine in self._views.keys_of_kube_name(key.name):
                self._look(machine)

    def _look(self, key: Lookup) -> None:
        if not self._begun:  # the first lists are no change
            return
        with self._post.around(key):
            self._put(key, self._standing(key))
        if len(self._fallen) >= AT_LEAST or self._views.safe_hands is not None:
            self._news.set()

    def _standing(self, key: Lookup) -> Standing:
        node = self._store.machines.objects.get(key)
        if node is None:
            return NEITHER
        kube = self._store.nodes.objects.get(Lookup("", kube_name(node)))
        before = self._standings.get(key, NEITHER)
        return standing(node.status, node_ready=_is_ready(kube), before=before, now=self._clock.now())

    def _put(self, key: Lookup, new: Standing) -> None:
        self._up -= _steady(self._standings.pop(key, NEITHER))
        self._fallen.discard(key)
        if new == NEITHER:
            return
        self._standings[key] = new
        self._up += _steady(new)
        if new.fallen_until is not None:
            self._fallen.add(key)
            self._until = min(self._until, new.fallen_until.timestamp())

    # --- the judgement ------------------------------------------------------------------------

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Judge after each change that may matter, until cancelled."""
        self._begun = True
        if (before := told(self._store.groups.objects.values())) is not None:
            self._doubts(before)  # an earlier life of ours was in doubt: it is not calm because we are new
        for key in self._store.machines.objects:
            self._look(key)
        task_status.started()
        while True:
            self._news = trio.Event()
            wait = self._judge()
            with trio.move_on_after(wait):
                await self._news.wait()

    def _judge(self) -> float:
        """Say what the site is like; the seconds until time alone may change it."""
        now, stands = self._clock.now(), self._views.safe_hands
        if now.timestamp() >= self._until:
            self._let_go(now)
        if (found := self._found(now)) is None:
            self._say(None)
        elif stands is None:  # one value from its begin to its end
            self._say(found)
        waits = [self._doubted_until - trio.current_time()] if self._views.safe_hands is not None else []
        if self._fallen:
            waits.append(self._until - now.timestamp())
        return min((wait for wait in waits if wait > 0), default=math.inf)

    def _found(self, now: datetime) -> SafeHands | None:
        stands, fallen = self._views.safe_hands, len(self._fallen)
        if most_fell(fallen=fallen, up=self._up):
            return stands or of_machines(fallen=fallen, up=self._up, now=now, born=self._born)
        if trio.current_time() < self._doubted_until:
            return self._doubt
        return stands if self._store.watching_since is None else None  # blind nothing is known to be calm

    def _let_go(self, now: datetime) -> None:
        """Those that fell long ago count no more."""
        self._until = math.inf
        for key in tuple(self._fallen):
            until = self._standings[key].fallen_until
            if until is not None and until > now:
                self._until = min(self._until, until.timestamp())
            else:
                self._look(key)

    def _say(self, stands: SafeHands | None) -> None:
        if stands is not self._views.safe_hands:
            self._views.safe_hands = stands


def _steady(machine: Standing) -> bool:
    return machine.up and machine.fallen_until is None


def _is_ready(node: KubeNode | None) -> bool:
    return node is not None and ready(node)


def _differ(old: Node, new: Node) -> bool:
    """In what the site is judged by."""
    one, other = old.status, new.status
    return (one.phase, one.since, one.wish) != (other.phase, other.since, other.wish)
