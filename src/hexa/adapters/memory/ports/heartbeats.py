"""Signs of life without a timer: what a watch of Leases would have seen by now, computed from the kubelets."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from functools import partial
from typing import Final

import trio

from hexa.adapters.memory.clock import FOREVER
from hexa.adapters.memory.cluster.context import Speaker
from hexa.adapters.memory.site.kubelet import Kubelet
from hexa.adapters.memory.site.site import Site
from hexa.domain.machine.boot import NONE
from hexa.domain.machine.facts import LEASE_PERIOD
from hexa.domain.resources.core import NODES
from hexa.ports.heartbeats import Life

SOON: Final = 0.1
"""Seconds."""


class MemoryHeartbeats:
    """`ports.heartbeats` as one agent sees it that watches since it was made. What beat before, or while the API server was
    away, it has not seen."""

    def __init__(self, site: Site) -> None:
        self._site: Final = site
        self._since = trio.current_time()
        self._subscribers: list[Callable[[str], None]] = []
        self._nodeless: set[str] = set()
        """Kubelets whose next beat is told, because their Node is gone and they do not register anew."""
        site.hearers.append(self)
        self._hear_all()

    def __repr__(self) -> str:
        return f"<MemoryHeartbeats since {self.watching_since()}>"

    def life(self, node: str) -> Life | None:
        if (kubelet := self._site.kubelets.get(node)) is None:
            return None
        heard = kubelet.heard(trio.current_time())
        if heard is not None and (gap := self._gap()) is not None and gap[0] <= heard < gap[1]:
            heard = kubelet.heard(gap[0])
        if heard is None or heard <= self._since:
            return None
        if kubelet.speaking and self._site.api.get(NODES, node) is None:
            self._hear_next(kubelet)
        at = self._site.clock.at(heard)
        goes_on = kubelet.speaking and not self._site.api.down
        return Life(at, FOREVER if goes_on else at + timedelta(seconds=self._site.settings.lease))

    def period(self, node: str) -> timedelta:
        return max(timedelta(seconds=self._site.settings.lease), LEASE_PERIOD)

    def renewal(self, node: str) -> str:
        if self._site.api.down:
            return ""
        kubelet = self._site.kubelets.get(node)
        heard = kubelet.heard(trio.current_time()) if kubelet is not None else None
        return NONE if heard is None else str(heard)

    def watching_since(self) -> datetime | None:
        if self._site.api.down:
            return None
        gap = self._gap()
        return self._site.clock.at(self._since if gap is None else max(self._since, gap[1]))

    def subscribe(self, notify: Callable[[str], None]) -> None:
        self._subscribers.append(notify)

    def spoke(self, kubelet: Speaker) -> None:
        """The site tells that a silent kubelet is heard again."""
        if kubelet.speaking and not self._site.api.down:
            for notify in self._subscribers:
                notify(kubelet.node)

    def close(self) -> None:
        """Hear nothing any more, and notify nobody."""
        self._subscribers.clear()
        if self in self._site.hearers:
            self._site.hearers.remove(self)

    def blind(self) -> None:
        """The site tells that an outage of the API server begins."""
        if (gap := self._gap()) is not None:
            self._site.timers.at(gap[1], self._hear_all)

    def _hear_next(self, kubelet: Kubelet) -> None:
        """A machine whose kubelet is heard and whose Node a restored snapshot does not have: each beat is news of it."""
        beat = kubelet.next_beat()
        if beat is None or kubelet.node in self._nodeless:
            return
        self._nodeless.add(kubelet.node)
        # Fractions of seconds are not exact: never the beat that is heard already.
        self._site.timers.at(max(beat, trio.current_time() + SOON), partial(self._heard_next, kubelet))

    def _heard_next(self, kubelet: Kubelet) -> None:
        self._nodeless.discard(kubelet.node)
        self.spoke(kubelet)

    def _gap(self) -> tuple[float, float] | None:
        """The newest outage on Trio's clock."""
        return self._site.api.last_outage

    def _hear_all(self) -> None:
        """We begin to watch: each node that lives is news at its next beat."""
        for kubelet in self._site.kubelets.values():
            if (beat := kubelet.next_beat()) is not None:
                self._site.timers.at(beat, partial(self.spoke, kubelet))


@asynccontextmanager
async def open_heartbeats(site: Site) -> AsyncIterator[MemoryHeartbeats]:
    """The site's kubelets, heard from now on until this is left."""
    heartbeats = MemoryHeartbeats(site)
    try:
        yield heartbeats
    finally:
        heartbeats.close()
