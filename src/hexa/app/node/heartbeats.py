"""Signs of life of kubelets: fed by the store's watches of Leases and Nodes, it implements ports.heartbeats.

What we see for the first time says nothing: only a change that we watched counts. A kubelet that starts registers its node and
posts Ready up to ten seconds before its first Lease, so these count as signs of life too.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from hexa.app.fence import Fence
from hexa.app.store import Source
from hexa.domain.machine.boot import NONE
from hexa.domain.machine.facts import LEASE_PERIOD
from hexa.domain.names import LEASE_NAMESPACE
from hexa.domain.resources.core import LEASES, KubeNode, Lease, Malformed
from hexa.domain.resources.v1alpha1 import Lookup
from hexa.ports.clock import Clock
from hexa.ports.heartbeats import Life
from hexa.ports.kube import Selector

REMEMBERED: Final = timedelta(hours=1)
"""So long the last sign of life is known of a node that is gone."""
SAID_BY_KUBELET: Final = ("True", "False")


class LeaseHeartbeats:
    """Remembers for each node the renewTime last seen and when it was seen to change."""

    def __init__(self, *, clock: Clock, fence: Fence | None = None) -> None:
        """`fence`: contains what a single Lease raises."""
        self._clock = clock
        self._post = (fence or Fence()).post(LEASES, "lease", blocks=False)
        self._renewals: dict[str, datetime | str | None] = {}
        self._lives: dict[str, Life] = {}
        self._periods: dict[str, timedelta] = {}
        """Of kubelets that renew more seldom than the default."""
        self._parted: set[str] = set()
        """Nodes whose Lease or whose object is gone."""
        self._listed = False
        self._since: datetime | None = None
        self._notify: list[Callable[[str], None]] = []

    def source(self) -> Source:
        """The watch that feeds it."""
        return Source(LEASES, Selector(namespace=LEASE_NAMESPACE), self)

    def life(self, node: str) -> Life | None:
        return self._lives.get(node)

    def period(self, node: str) -> timedelta:
        return self._periods.get(node, LEASE_PERIOD)

    def renewal(self, node: str) -> str:
        renewed = self._renewals.get(node)
        if isinstance(renewed, datetime):
            return renewed.isoformat()
        return NONE if self._listed and renewed is None else ""

    def watching_since(self) -> datetime | None:
        return self._since

    def subscribe(self, notify: Callable[[str], None]) -> None:
        self._notify.append(notify)

    def clock_set(self, by: timedelta) -> None:
        """The clock was set: signs of life are as old as before."""
        self._lives = {node: Life(life.heard + by, life.until + by) for node, life in self._lives.items()}
        self._since = self._since + by if self._since is not None else None

    def put(self, lease: Lease | Malformed) -> None:
        """Take in a state of a Lease."""
        with self._post.around(Lookup(lease.metadata.namespace, lease.metadata.name)):
            self._put(lease)

    def _put(self, lease: Lease | Malformed) -> None:
        node = lease.metadata.name
        if isinstance(lease, Malformed):  # what it says is not known; that it was written is a sign of life
            self._take(node, lease.metadata.resource_version, LEASE_PERIOD)
        else:
            period = timedelta(seconds=lease.spec.lease_duration_seconds) or LEASE_PERIOD
            if period > LEASE_PERIOD:
                self._periods[node] = period
            else:
                self._periods.pop(node, None)
            self._take(node, lease.spec.renew_time, period)

    def _take(self, node: str, renewed: datetime | str | None, period: timedelta) -> None:
        known = node in self._renewals
        changed = renewed is not None and renewed != self._renewals.get(node)
        self._renewals[node] = renewed
        if changed and (known or self._listed):
            self._hear(node, period)

    def node_changed(self, old: KubeNode | None, new: KubeNode | None) -> None:
        """Take in a watched change of a node: only its kubelet registers it, and only its kubelet says Ready or NotReady (of a
        silent one the controller manager says Unknown)."""
        if new is None and old is not None and old.metadata.name not in self._renewals:
            self._parted.add(old.metadata.name)
        if new is None:
            return
        said, before = _ready(new), _ready(old) if old is not None else None
        if old is None or (said in SAID_BY_KUBELET and said != before):
            self._hear(new.metadata.name, self.period(new.metadata.name))

    def drop(self, key: Lookup, *, version: int = -1) -> None:
        """A Lease is gone; the last sign of life stands until its period is over."""
        self._part(key.name)
        self._forget()

    def _part(self, node: str) -> None:
        self._renewals.pop(node, None)
        self._periods.pop(node, None)
        self._parted.add(node)

    def _forget(self) -> None:
        """Lives that ended long ago of nodes that are gone."""
        now = self._clock.now()
        self._parted -= self._renewals.keys()
        over = {
            node for node in self._parted if (life := self._lives.get(node)) is None or now > life.until + REMEMBERED
        }
        for node in over:
            self._lives.pop(node, None)
        self._parted -= over

    def asks(self, scope: str | None) -> None:
        """A list is asked for: nothing of ours could contradict it."""

    def replace(self, items: tuple[Lease | Malformed, ...], *, scope: str | None) -> None:
        """A fresh list: a renewTime that differs from the one known is a change that we saw, late."""
        for lease in items:
            self.put(lease)
        present = {lease.metadata.name for lease in items}
        for node in [name for name in self._renewals if name not in present]:
            self._part(node)
        self._listed = True
        self._since = self._since or self._clock.now()

    def _hear(self, node: str, period: timedelta) -> None:
        now = self._clock.now()
        self._lives[node] = Life(heard=now, until=now + max(period, LEASE_PERIOD))
        for notify in self._notify:
            notify(node)


def _ready(node: KubeNode) -> str | None:
    return next((condition.status for condition in node.status.conditions if condition.type == "Ready"), None)
