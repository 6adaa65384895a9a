"""Wishes that hexa writes by itself: one that somebody expressed and that is not written down, and one that it corrects."""

from datetime import datetime
from typing import Any, Final

from hexa.domain.decide.decision import Want
from hexa.domain.decide.facts import inert
from hexa.domain.decide.observed import Observed
from hexa.domain.decide.saved import about
from hexa.domain.group.sizing import counts, placed
from hexa.domain.machine.lifecycle import Event, Phase
from hexa.domain.machine.marks import held_back, hold_back
from hexa.domain.machine.reason import Reason
from hexa.domain.machine.wish import (
    UNEXPECTED,
    base_wish,
    corrected_wish,
    held,
    recorded_wish,
    settled_wish,
    unexpected,
)
from hexa.domain.machine_view import MachineView, membership_of
from hexa.domain.news import NOTHING, News, Severity, What
from hexa.domain.resources.v1alpha1 import Power, WishRecord
from hexa.domain.rules.dependencies import needed_wish

NEED_ROOM: Final = frozenset({Reason.LATE_ARRIVAL, Reason.NEEDED})
"""Reasons of wishes that hexa sets only where the group may have one more machine on."""


def written_down(machine: MachineView, observed: Observed) -> Want | None:
    """The wish that somebody expressed by spec.powerState alone, or by a request on the group."""
    wish = base_wish(machine.node, now=observed.now)
    if wish is None or wish == observed.recorded:
        return None
    if wish == recorded_wish(machine.node):  # a request was told when it was stored
        return Want(wish)
    return Want(wish, news=(_changed(machine, wish),))


def corrected(machine: MachineView, observed: Observed, event: Event | None) -> Want | None:
    """The wish that hexa corrects before the event is acted on, under the lock of the group: whoever counts machines counts this
    one, or is counted by us."""
    if inert(machine, observed.now):
        return None
    wish = _corrected(machine, event, observed.now)
    if wish is None or (wish.reason in NEED_ROOM and not _room(machine, observed, wish)):
        return None  # room is asked for last: few wishes need it, and it judges every machine of the group
    lock = machine.group.key if machine.group is not None else None
    return Want(wish, _beside(machine, wish), _news(machine, wish), lock)


def _corrected(machine: MachineView, event: Event | None, now: datetime) -> WishRecord | None:
    node, policy = machine.node, machine.policy
    stands = held(node, policy, now=now) is not None
    if policy.wanted is not None and not stands:
        return settled_wish(node, policy, now=now)
    found = corrected_wish(node, event, held=stands, room=True, now=now, policy=policy)
    if found is not None or machine.phase is Phase.UNKNOWN or event is Event.POWER_GONE:
        return found
    wish, grouped = base_wish(node, now=now), membership_of(node) is not None
    return needed_wish(machine.ties, wish, held=stands, room=True, grouped=grouped, now=now)


def _room(machine: MachineView, observed: Observed, wish: WishRecord) -> bool:
    """Whether the group may have one more machine on: without maxSize, all that there are. Who waits for this one takes no place
    from it (as `prerequisite_of` has it): above maxSize it is the first to rest."""
    if machine.group is None or machine.policy.max_size is None:
        return True
    taken = placed if wish.reason == Reason.NEEDED else counts
    return sum(map(taken, observed.members)) < machine.policy.max_size


def _beside(machine: MachineView, wish: WishRecord) -> dict[str, Any]:
    """LEAVE comes next for a machine that is adopted as off while its node stands: its finalizer takes no write of its own."""
    leaves = wish.reason == Reason.ADOPTED and wish.power is Power.OFF and machine.kube is not None
    return hold_back(machine.node) if leaves and not held_back(machine.node) else {}


def _news(machine: MachineView, wish: WishRecord) -> tuple[News, ...]:
    if wish.reason in UNEXPECTED:
        return (about(machine, What(wish.reason), unexpected(wish), severity=Severity.WARNING, by=wish.by),)
    if wish.needed_by:
        text = f"wanted {wish.power}: {wish.needed_by} depends on it"
        return (about(machine, What.NEEDED_BY, text, by=wish.by),)
    return NOTHING if wish.reason == Reason.ADOPTED else (_changed(machine, wish),)  # an adoption decides nothing


def _changed(machine: MachineView, wish: WishRecord) -> News:
    return about(machine, What.WISH_CHANGED, f"wanted {wish.power} by {wish.by}: {wish.reason}", by=wish.by)
