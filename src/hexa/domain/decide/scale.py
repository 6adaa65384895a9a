"""What Cluster Autoscaler is granted, and what it is refused: how large a group may be, who comes, who goes. It is told the sizes
in advance, since it backs off from a group that refuses it.

Nothing here waits, reads or writes: who asks holds the group's lock, and stores what is granted as a whole or not at all.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final

from msgspec import Struct

from hexa.domain.group.sizing import (
    Member,
    cancellable,
    counts,
    fitting,
    for_now,
    lasting,
    least_size,
    max_size,
    target,
)
from hexa.domain.group.template import mixed
from hexa.domain.group_view import GroupView
from hexa.domain.machine.lifecycle import Phase
from hexa.domain.machine.reason import Reason
from hexa.domain.machine.wish import UP
from hexa.domain.machine_view import MachineView
from hexa.domain.news import Happened, OpenReason, What
from hexa.domain.resources.v1alpha1 import Asker, Lookup, Power, Shape, WishRecord
from hexa.domain.rules.circuits import short
from hexa.domain.rules.hedge import hedged_by
from hexa.domain.rules.judge import refused
from hexa.domain.rules.rule import Bid
from hexa.domain.rules.safe_hands import SafeHands

AT_ALL_TIMES: Final = frozenset({Reason.HOLD, Reason.MODE, Reason.OBSERVE})
"""Reasons of vetoes that count in every phase: a wish that stands above any of Cluster Autoscaler's."""


class Scaling(Struct, frozen=True, kw_only=True):
    """A group whose size is asked for, or is to change, as it is now."""

    group: GroupView
    members: Sequence[Member]
    """Its machines as sizing sees them."""
    shapes: Sequence[Shape] = ()
    """Of those of which it is known."""
    safe_hands: SafeHands | None = None
    """The site itself is in doubt."""
    now: datetime


class Sizes(Struct, frozen=True):
    """Between what sizes the group can be."""

    least: int
    most: int


class Granted(Struct, frozen=True):
    """Store the wish for `count` of these machines, the first ones first."""

    wishes: dict[Lookup, WishRecord]
    count: int
    able: Sequence[Member] = ()
    """Those that hexa chose from."""


class Refusal(Struct, frozen=True):
    """Nothing is to be stored."""

    what: Happened
    text: str


Answer = Granted | Refusal


def sizes(scaling: Scaling) -> Sizes:
    """What Cluster Autoscaler is told."""
    policy, members, now_on = scaling.group.policy, scaling.members, target(scaling.members)
    fixed = mixed(scaling.shapes) is not None or scaling.safe_hands is not None
    most = now_on if fixed else max_size(policy, members)
    most = min(most, now_on + _at_once(scaling, most - now_on))
    return Sizes(min(least_size(policy, members), most), most)


def _at_once(scaling: Scaling, most: int) -> int:
    """How many of so many machines could be granted now."""
    found = fitting(scaling.group.policy, scaling.members)[: max(most, 0)]
    if refused(_bid(scaling, Power.ON, found)) is None:
        return most
    return next(n for n in range(len(found)) if refused(_bid(scaling, Power.ON, found[: n + 1])) is not None)


def increase(scaling: Scaling, delta: int) -> Answer:
    """So many machines more, at least one."""
    name, policy, members = scaling.group.id, scaling.group.policy, scaling.members
    if (hands := scaling.safe_hands) is not None:
        return Refusal(OpenReason(Reason.SAFE_HANDS), f"{name}: {hands.text}; ask again then")
    now_on, most, found = target(members), sizes(scaling).most, fitting(policy, members)
    if len(found) >= delta and (veto := refused(_bid(scaling, Power.ON, found[:delta]))):
        return Refusal(OpenReason(veto.reason), f"{name}: {veto.message}")
    if now_on + delta > most:
        text = f"{name} has {now_on} of at most {most} machines; {delta} more cannot come"
        if why := short(policy, members, size=now_on + delta):
            return Refusal(What.CIRCUIT_FULL, f"{text}: {why}")
        return Refusal(What.MAX_SIZE_REACHED, text)
    if len(found) < delta:
        return Refusal(What.NOT_ENOUGH_MACHINES, f"{name} has {len(found)} machines to wake, {delta} asked")
    wish = _wish(scaling, Power.ON, Reason.SCALE_UP)
    return Granted({member.key: wish for member in found}, delta, found)


def delete(scaling: Scaling, machines: Iterable[MachineView]) -> Answer:
    """All of these machines of the group go, those that are wanted on."""
    policy, now = scaling.group.policy, scaling.now
    resting = {each.key: each for each in machines if (wish := each.wish(now)) is None or wish.power is Power.ON}
    if (veto := _against_off(scaling, resting.values())) is not None:
        return veto
    leaving = [member for machine in resting.values() if counts(member := machine.member(now))]
    staying = [member for member in scaling.members if counts(member) and member.key not in resting]
    left = len(staying) if all(map(for_now, leaving)) else lasting(staying)
    if leaving and left < policy.min_size:
        least = f"minSize is {policy.min_size}{policy.by.get('min_size', '')}"
        others = f" and {passing} for now only" if (passing := len(staying) - left) else ""
        return Refusal(What.MIN_SIZE_REACHED, f"{scaling.group.id} would have {left} machines{others}, {least}")
    given_up, rest = (_wish(scaling, Power.OFF, reason) for reason in (Reason.GIVEN_UP, Reason.SCALE_DOWN))
    wishes = {key: given_up if each.phase is Phase.START_FAILED else rest for key, each in resting.items()}
    return Granted(wishes, len(wishes))


def _against_off(scaling: Scaling, resting: Iterable[MachineView]) -> Refusal | None:
    """What forbids it to one of them, or to all at once."""
    now, found = scaling.now, tuple(resting)
    for machine in found:
        vetoes = [veto for veto in machine.off_vetoes(now) if machine.phase in UP or veto.reason in AT_ALL_TIMES]
        if vetoes:
            return Refusal(OpenReason(vetoes[0].reason), f"{machine.key}: {vetoes[0].message}")
    risky = [machine for machine in found if machine.phase is Phase.READY and machine.unproven(now)]
    if len(risky) > 1:
        text = f"{risky[1].key}: hexa has not shown that it can wake it, and {risky[0].key.name} is not proven either"
        return Refusal(What.WAKE_PROOF, f"{text}; one such machine at a time may be off")
    chosen = [machine.member(now) for machine in found if machine.phase in UP]
    if chosen and (veto := refused(_bid(scaling, Power.OFF, chosen))):
        return Refusal(OpenReason(veto.reason), f"{scaling.group.id}: {veto.message}")
    return None


def decrease(scaling: Scaling, delta: int) -> Granted:
    """So many machines fewer of those that have not come, as far as there are such and minSize allows it."""
    members = scaling.members
    able = cancellable(members)
    keys = [member.key for member in able[: max(min(delta, target(members) - scaling.group.policy.min_size), 0)]]
    keys += hedged_by(members, keys)
    wishes = dict.fromkeys(keys, _wish(scaling, Power.OFF, Reason.REQUEST_TAKEN_BACK))
    return Granted(wishes, len(wishes), able)


def _bid(scaling: Scaling, power: Power, chosen: Sequence[Member]) -> Bid:
    return Bid(power=power, policy=scaling.group.policy, members=scaling.members, chosen=chosen, now=scaling.now)


def _wish(scaling: Scaling, power: Power, reason: Reason) -> WishRecord:
    return WishRecord(power=power, by=Asker.CLUSTER_AUTOSCALER, reason=reason, since=scaling.now)
