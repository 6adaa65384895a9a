"""Wake proof: whether hexa has shown that it can wake a machine, and which one machine without proof may be off in its group.

A machine is proven when a wake of ours brought it from Off to Ready; the proof ends with its time, with a wake that fails, and
with a boot that somebody else began. Of the unproven machines of a group one may be off, the next only after it woke: whoever is
off or about to be has a claim, and the first of the claims stands. Machines that were found off, and those that a person put
off, have none: that was not hexa's doing, and they must not keep the others on for ever.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Final

from msgspec import Struct

from hexa.domain.group.sizing import Member
from hexa.domain.machine.findings import Finding
from hexa.domain.machine.lifecycle import Phase, phase_of
from hexa.domain.machine.reason import Reason, Veto
from hexa.domain.machine.wish import effective_wish
from hexa.domain.names import CA_CANDIDATE_TAINT, CA_TO_BE_DELETED_TAINT
from hexa.domain.policy.policy import Policy
from hexa.domain.resources.core import KubeNode
from hexa.domain.resources.v1alpha1 import Asker, Lookup, Node, NodeStatus, Power, WakeProof, WishRecord

PEOPLE: Final = frozenset({Asker.HOLD, Asker.USER, Asker.MODE, Asker.UPS})
"""Whose off needs no proof."""

MAY_GO: Final = frozenset({Phase.READY, Phase.DRAINING, Phase.POWERING_ON, Phase.BOOTING, Phase.LOST})
"""Phases that an off leads out of."""

_FIRST: Final = datetime.min.replace(tzinfo=UTC)


def proof_ends(status: NodeStatus, policy: Policy) -> datetime | None:
    """Until when the machine counts as shown to wake; None: it does not."""
    return None if status.wake_proven_at is None else status.wake_proven_at + policy.proof_lasts


def proven(status: NodeStatus, policy: Policy, *, now: datetime) -> bool:
    """Whether hexa has shown that it can wake the machine."""
    ends = proof_ends(status, policy)
    return ends is not None and now < ends


def tried_at(status: NodeStatus) -> datetime | None:
    """When a boot or a wake of the machine last ended, well or not."""
    marks = (status.wake_proven_at, status.wake_failed_at, status.last_startup_time)
    return max((mark for mark in marks if mark is not None), default=None)


class Claim(Struct, frozen=True, kw_only=True):
    """Why a machine would be the one without proof that may be off."""

    key: Lookup
    rank: int
    """The nearer to dark, the smaller."""
    since: datetime
    failed: bool = False
    """Its last wake failed."""
    proven_until: datetime | None = None
    """It claims nothing before."""

    @property
    def dark(self) -> bool:
        """Off by our act, and not up since."""
        return self.rank == 0

    @property
    def decided(self) -> bool:
        """It is off, or its off was asked for: not just looked at by Cluster Autoscaler."""
        return self.rank < _ASKED_BY_TAINT

    def open(self, now: datetime) -> bool:
        """Whether the machine is without proof now."""
        return self.proven_until is None or now >= self.proven_until


_GOES_OFF: Final = frozenset({Phase.POWERING_OFF, Phase.STOP_FAILED})
_DRAINS: Final = 1
_ASKED: Final = 2
_ASKED_BY_TAINT: Final = 3
_TAINTS: Final = {CA_TO_BE_DELETED_TAINT: _ASKED_BY_TAINT, CA_CANDIDATE_TAINT: _ASKED_BY_TAINT + 1}
"""Cluster Autoscaler says by taints what it drains, and what it means to once it was unneeded for long enough. The first of them
claims, so that the others are refused while they serve, and not when they are drained."""


def claim_of(key: Lookup, node: Node, kube: KubeNode | None, policy: Policy, *, now: datetime) -> Claim | None:
    """The machine's claim, whether or not it is proven now; None: it is neither off nor about to be, or a person wants it off."""
    status, wish = node.status, effective_wish(node, policy, now=now)
    off = wish is not None and wish.power is Power.OFF
    if policy.wake_proof is WakeProof.IGNORE or (off and by_person(wish)):
        return None
    place = _place(status, wish, off=off) or (None if off else _tainted(kube, phase_of(status)))
    if place is None:
        return None
    ends, failed = proof_ends(status, policy), status.wake_failed_at is not None
    return Claim(key=key, rank=place[0], since=place[1], failed=failed, proven_until=ends)


def by_person(wish: WishRecord | None) -> bool:
    """Whether a person's word is behind it, or a battery that ends: rules of comfort outweigh neither."""
    return wish is not None and wish.by in PEOPLE


def _place(status: NodeStatus, wish: WishRecord | None, *, off: bool) -> tuple[int, datetime] | None:
    """A phase that is nearer to dark never has a greater rank: else a machine could turn to and fro between two of them."""
    phase, since = phase_of(status), status.since or _FIRST
    if phase in _GOES_OFF or (phase is not Phase.READY and put_off(status)):
        return 0, status.last_shutdown_time or since
    if phase is Phase.DRAINING:
        return _DRAINS, since
    if off and phase in MAY_GO:
        return _ASKED, (wish.since if wish is not None else None) or since
    return None


def put_off(status: NodeStatus) -> bool:
    """Whether hexa switched the machine off, or tried to, and has not seen it come up since."""
    down, up = status.last_shutdown_time, status.last_startup_time
    if down is not None and (up is None or down > up):
        return True
    turns = (entry.action for entry in reversed(status.history) if entry.action in (Phase.READY, Phase.POWERING_OFF))
    return next(turns, "") == Phase.POWERING_OFF


def _tainted(kube: KubeNode | None, phase: Phase) -> tuple[int, datetime] | None:
    if kube is None or phase is not Phase.READY:
        return None
    found = [(_TAINTS[taint.key], _moment(taint.value)) for taint in kube.spec.taints if taint.key in _TAINTS]
    return min(found, default=None)


def _moment(seconds: str) -> datetime:
    """Of a taint's value, in Unix seconds."""
    try:
        return datetime.fromtimestamp(int(seconds), tz=UTC)
    except (ValueError, OverflowError, OSError):
        return _FIRST


class Slot(Struct, frozen=True):
    """Which machine of a group is the one without proof that may be off."""

    holder: Claim | None = None
    until: datetime | None = None
    """When it changes by time alone."""


def slot_of(claims: Iterable[Claim], *, now: datetime) -> Slot:
    """The first of the claims."""
    found = list(claims)
    holder = min((claim for claim in found if claim.open(now)), key=_order, default=None)
    ends = (claim.proven_until for claim in found if not claim.open(now))
    return Slot(holder, min((end for end in ends if end is not None), default=None))


def _order(claim: Claim) -> tuple[int, datetime, str]:
    return claim.rank, claim.since, str(claim.key)


def unproven(node: Node, policy: Policy, *, now: datetime) -> bool:
    """Whether the machine may be off only as the one of its group."""
    return policy.wake_proof is WakeProof.REQUIRE and not proven(node.status, policy, now=now)


def proof_vetoes(node: Node, policy: Policy, holder: Claim | None, *, now: datetime) -> Iterator[Veto]:
    """The veto of an unproven machine while another one, the `holder`, is off or about to be."""
    if holder is None or phase_of(node.status) not in MAY_GO or not unproven(node, policy, now=now):
        return
    wish = effective_wish(node, policy, now=now)
    if wish is not None and wish.power is Power.OFF and by_person(wish):
        return
    yield Veto(Reason.WAKE_PROOF, f"hexa has not shown that it can wake this machine, and {standing(holder)}")


def standing(holder: Claim) -> str:
    """What the machine that holds the slot does, in words."""
    name = holder.key.name
    if not holder.decided:
        return f"{name}, which is not proven either, is unneeded and goes first"
    if holder.failed:
        return f"{name} went off and does not wake: mend its wake, or hold it off; then the next may rest"
    return f"{name} is put off and was not woken since: once it has come up again, the next may rest"


def says_of_group(holder: Claim | None, members: Sequence[Member], policy: Policy) -> Iterator[Finding]:
    """A machine was put off and has not shown that it can be woken: the others stay on, or nobody minds."""
    if holder is None or not holder.dark:
        return
    reason = "WakeFailed" if holder.failed else "NotWoken"
    kept = sum(any(veto.reason == Reason.WAKE_PROOF for veto in member.off_vetoes) for member in members)
    if kept:
        yield Finding(Reason.WAKE_PROOF, reason, f"{kept} of {len(members)} machines may not rest: {standing(holder)}")
    elif policy.wake_proof is WakeProof.WARN:
        text = f"{holder.key.name} is off, and hexa has not shown that it can wake it"
        yield Finding(Reason.WAKE_PROOF, reason, text)
