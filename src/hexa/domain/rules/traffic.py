"""What the machines of a group do: who of them goes down, or is about to, who waits to be woken, and when they were last switched.
Rules that bound how many do so at once, or in a row, count by it.

Each machine adds its own part; nobody judges another one for that. Where a group bounds nothing, nothing is counted.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final

from msgspec import Struct

from hexa.domain.machine.lifecycle import Phase, phase_of
from hexa.domain.machine.reason import Reason
from hexa.domain.machine.wish import effective_wish
from hexa.domain.names import CA_CANDIDATE_TAINT, CA_TO_BE_DELETED_TAINT
from hexa.domain.policy.policy import Policy
from hexa.domain.resources.core import KubeNode
from hexa.domain.resources.v1alpha1 import Lookup, Node, NodeStatus, Power, Switched

GOING: Final = frozenset({Phase.DRAINING, Phase.POWERING_OFF})
"""Phases of a machine that goes down."""
_TAINTS: Final = (CA_TO_BE_DELETED_TAINT, CA_CANDIDATE_TAINT)
"""Cluster Autoscaler says by taints what it drains, and what it means to once it was unneeded for long enough. The first machines
have the places, so that the others are refused while they serve, and not when they are drained."""
_FIRST: Final = datetime.min.replace(tzinfo=UTC)


def counted(policy: Policy) -> bool:
    """Whether the group bounds how many of its machines do the same."""
    return policy.max_draining is not None or policy.rate is not None or policy.spares is not None


class Move(Struct, frozen=True, kw_only=True):
    """What one machine does."""

    key: Lookup
    rank: int | None = None
    """Goes down: the nearer to dark, the smaller; None: it does not."""
    since: datetime = _FIRST
    waits: datetime | None = None
    """Since when it is wanted on, while it is off."""
    offs: tuple[datetime, ...] = ()
    wakes: tuple[datetime, ...] = ()
    """When it was last switched, as far as that is remembered."""
    idle: bool | None = None
    """Up and open to pods, without one that a drain would move; None: it is not up, or nobody keeps spares."""
    works: bool = False
    """Up, and known to run pods which a drain would move."""
    spare_since: datetime | None = None
    """When it was woken to be a spare; None: it was not."""


class Traffic(Struct, frozen=True):
    """What the machines of a group do."""

    going: tuple[Lookup, ...] = ()
    """Go down."""
    leaving: tuple[Lookup, ...] = ()
    """The same, and those that Cluster Autoscaler drains or means to, the nearest to dark first."""
    waiting: tuple[Lookup, ...] = ()
    """Off and wanted on, the longest first."""
    offs: tuple[datetime, ...] = ()
    """When machines of the group were last seen off after hexa's stop, oldest first."""
    wakes: tuple[datetime, ...] = ()
    """When wakes of them last began."""
    idle: tuple[Lookup, ...] = ()
    """Up and open to pods, and without any; those that are up for the longest first."""
    busy: int = 0
    """So many are up and serve, or are closed to pods."""
    working: tuple[Lookup, ...] = ()
    """Those of them that are known to run pods which a drain would move."""
    size: int = 0
    """So many there are, where the group keeps spares."""
    refilled: datetime | None = None
    """When one of them was last woken to be a spare."""

    @property
    def until(self) -> datetime | None:
        """Nothing in it changes by time alone."""
        return None


NO_TRAFFIC: Final = Traffic()


def move_of(
    key: Lookup, node: Node, kube: KubeNode | None, policy: Policy, *, works: bool | None = None, now: datetime
) -> Move | None:
    """What the machine adds; None: nothing, or nobody counts it. `works`: whether pods run on it that a drain would move; None:
    nobody knows, and then it counts as idle, so that no other is woken in doubt."""
    if not counted(policy):
        return None
    status, wish = node.status, effective_wish(node, policy, now=now)
    wants = phase_of(status) is Phase.OFF and wish is not None and wish.power is Power.ON
    waits = (wish.since or _FIRST) if wish is not None and wants else None
    rank, switched = _rank(phase_of(status), kube), status.switched
    if policy.spares is None and rank is None and waits is None and switched == Switched():
        return None
    up = phase_of(status) is Phase.READY and wish is not None and wish.power is Power.ON
    idle = not works and _opens(status, kube) if policy.spares is not None and up else None
    spare = wish.since if wish is not None and wish.power is Power.ON and wish.reason == Reason.SPARE else None
    return Move(
        key=key,
        rank=rank,
        since=status.since or _FIRST,
        waits=waits,
        offs=switched.offs,
        wakes=switched.wakes,
        idle=idle,
        works=idle is False and works is True,
        spare_since=spare,
    )


def _opens(status: NodeStatus, kube: KubeNode | None) -> bool:
    """Whether pods may come to it: it is cordoned by nobody, or by hexa alone until it is set up."""
    return kube is not None and (not status.welcomed or not kube.spec.unschedulable)


def _rank(phase: Phase, kube: KubeNode | None) -> int | None:
    if phase in GOING:
        return 0
    taints = {taint.key for taint in kube.spec.taints} if kube is not None and phase is Phase.READY else set()
    return next((rank for rank, taint in enumerate(_TAINTS, 1) if taint in taints), None)


def traffic_of(moves: Iterable[Move]) -> Traffic:
    """What all of a group do together."""
    found = list(moves)
    leaving = sorted((move.rank, move.since, str(move.key), move.key) for move in found if move.rank is not None)
    waiting = sorted((move.waits, str(move.key), move.key) for move in found if move.waits is not None)
    return Traffic(
        going=tuple(key for rank, _, _, key in leaving if rank == 0),
        leaving=tuple(key for _, _, _, key in leaving),
        waiting=tuple(key for _, _, key in waiting),
        idle=tuple(key for _, _, key in sorted((move.since, str(move.key), move.key) for move in found if move.idle)),
        busy=sum(move.idle is False for move in found),
        working=tuple(move.key for move in found if move.works),
        size=len(found),
        refilled=max((move.spare_since for move in found if move.spare_since is not None), default=None),
        offs=tuple(sorted(moment for move in found for moment in move.offs)),
        wakes=tuple(sorted(moment for move in found for moment in move.wakes)),
    )
