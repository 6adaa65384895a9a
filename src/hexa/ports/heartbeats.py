"""Signs of life of kubelets. A machine's own clock is never compared with ours: what counts is when we saw a change."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Protocol

from msgspec import Struct


class Life(Struct, frozen=True):
    """When a node's Lease was last seen to change, and until when that counts as alive."""

    heard: datetime
    until: datetime
    """`heard` plus one lease period; further on where the source knows that the node still lives."""


class Heartbeats(Protocol):
    def life(self, node: str) -> Life | None:
        """The last sign of life of the Kubernetes node; None if none was seen since we watch."""
        ...

    def renewal(self, node: str) -> str:
        """What the node's Lease says of its last renewal, to be compared for being equal only; `none`: there is no Lease; empty:
        not known, for we are blind or it does not decode."""
        ...

    def watching_since(self) -> datetime | None:
        """Since when changes have been seen without a gap; None while we are blind."""
        ...

    def period(self, node: str) -> timedelta:
        """How long a renewal of the node's Lease stands, as its kubelet says; the kubelet's default where nothing is known."""
        ...

    def subscribe(self, notify: Callable[[str], None]) -> None:
        """Call `notify(node)` at signs of life: at least at the first of each start of a kubelet, and at the first after a
        silence. Silence itself is not notified: `Life.until` tells when to look."""
        ...
