"""How many machines of a group go down at once (`maxDraining`). A person's word passes, and counts.

Cluster Autoscaler is told while the places are taken, by machines that go down or that it is about to drain: so it moves no pods
away for an off that would wait.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final

from hexa.domain.group.sizing import Member
from hexa.domain.machine.lifecycle import Phase
from hexa.domain.machine.reason import Reason, Veto
from hexa.domain.resources.v1alpha1 import Lookup, Power
from hexa.domain.rules.proof import by_person
from hexa.domain.rules.rule import Bid
from hexa.domain.rules.subject import Among
from hexa.domain.rules.traffic import GOING

FIELD: Final = "spec.maxDraining"
MAY_BEGIN: Final = frozenset({Phase.READY, Phase.POWERING_ON, Phase.BOOTING, Phase.LOST})
"""Phases in which an off may begin. One that was begun is not taken back."""
NAMED: Final = 3
"""So many machines are named in a sentence."""


def off(machine: Among, now: datetime) -> Iterator[Veto]:
    """Forbidden to programs and schedules while as many others go down as may."""
    most = machine.policy.max_draining
    if most is None or machine.phase not in MAY_BEGIN:
        return
    if others := before(machine, most, now):
        text = f"{listed(others)} {'goes' if len(others) == 1 else 'go'} down first, and maxDraining is {most}"
        yield Veto(Reason.MAX_DRAINING, text, None, FIELD, of_group=True)


def before(machine: Among, most: int, now: datetime) -> Sequence[Lookup]:
    """Other machines that have the places, where so many may have one; none: there is one left for this machine, or a person says
    that it goes off. One that is wanted off waits for those that go down, not for what Cluster Autoscaler may drain."""
    wish, metadata = machine.wish(now), machine.node.metadata
    off = wish is not None and wish.power is Power.OFF
    if off and by_person(wish):
        return ()
    taken = (machine.traffic.going if off else machine.traffic.leaving)[:most]
    mine = Lookup(metadata.namespace, metadata.name) in taken
    return () if len(taken) < most or mine else taken


def listed(keys: Sequence[Lookup]) -> str:
    """Their names, the first of them."""
    more = f" and {len(keys) - NAMED} more" if len(keys) > NAMED else ""
    return f"{', '.join(key.name for key in keys[:NAMED])}{more}"


def grants(bid: Bid) -> Iterator[Veto]:
    """No more machines are taken from Cluster Autoscaler at once than may go down beside those that do, or are about to."""
    most, busy = bid.policy.max_draining, bound_for_off(bid)
    if bid.power is Power.OFF and most is not None and len(busy) + len(bid.chosen) > most:
        text = f"{len(busy)} of its machines go down, and maxDraining is {most}; {len(bid.chosen)} more may not go now"
        yield Veto(Reason.MAX_DRAINING, text, None, FIELD, of_group=True)


def bound_for_off(bid: Bid) -> list[Member]:
    """Machines that go down, or whose off was asked for and can begin."""
    chosen = {member.key for member in bid.chosen}
    return [m for m in bid.members if m.key not in chosen and (m.phase in GOING or _asked(m))]


def _asked(member: Member) -> bool:
    off = member.wish is not None and member.wish.power is Power.OFF
    return off and member.phase in MAY_BEGIN - {Phase.LOST} and not member.off_vetoes
