"""Why one machine of a group is woken, or rested, before another: in words, by the very ranks that sizing sorts by."""

from collections.abc import Callable, Collection, Sequence
from typing import Final

from hexa.domain.group.sizing import Member, rest_rank, standing, to_be_maintained, urgency
from hexa.domain.group.standing import difference
from hexa.domain.machine.lifecycle import Phase

NAMED: Final = 5
"""So many machines are named in a sentence."""
BY_NAME: Final = "they are equal in all else, and their names decide"


def woken_before(one: Member, other: Member) -> str:
    """Why `one` is woken before `other`."""
    differs = next(
        (n for n, (mine, its) in enumerate(zip(urgency(one), urgency(other), strict=True)) if mine != its), None
    )
    return (
        _URGENT[differs](one, other) if differs is not None else difference(standing(one), standing(other)) or BY_NAME
    )


_URGENT: Final[tuple[Callable[[Member, Member], str], ...]] = (
    lambda one, other: f"{other.key.name} comes last ({', '.join(veto.reason for veto in other.last_vetoes)})",
    lambda one, other: f"{other.key.name} was put off by a person",
    lambda one, other: f"it {_is(one)}, and {other.key.name} {_is(other)}",
    lambda one, other: f"{other.key.name} waits for {', '.join(other.waits_for)}",
)
"""Of each part of `urgency`, what is said where it decides."""
_IS: Final = {
    Phase.DRAINING: "is still on",
    Phase.OFF: "is off",
    Phase.STOP_FAILED: "failed to stop",
    Phase.POWERING_OFF: "must go down first",
}


def _is(member: Member) -> str:
    return _IS.get(member.phase, "is on its way")


def rested_before(one: Member, other: Member) -> str:
    """Why `one` rests before `other`."""
    place, late, pods, *_ = zip(rest_rank(one), rest_rank(other), strict=True)
    if place[0] != place[1]:
        return f"it is {one.phase}, and {other.key.name} is {other.phase}"
    if late[0] != late[1]:
        return _first_because(one)
    if pods[0] != pods[1]:
        return f"{one.pods} pods run on it, and {other.pods} on {other.key.name}"
    return difference(standing(one), standing(other)) or BY_NAME


def _first_because(one: Member) -> str:
    if one.replaced:
        return "another machine has its place"
    return "its maintenance is planned" if to_be_maintained(one) else "nobody asked for it"


def chosen(able: Sequence[Member], names: Collection[str], *, wake: bool) -> str:
    """Why these of the machines that were `able`, the first to be chosen first, were chosen and the next one was not. Empty: their
    group has no order, or there was no other."""
    ours = [member for member in able if member.key.name in names]
    left = next((member for member in able if member.key.name not in names), None)
    if not ours or left is None or not left.standing:
        return ""
    why = (woken_before if wake else rested_before)(ours[-1], left)
    who = ", ".join(member.key.name for member in ours[:NAMED])
    more = f" and {len(ours) - NAMED} more" if len(ours) > NAMED else ""
    what = "woken" if wake else "rested"
    return f"{who}{more} {'was' if len(ours) == 1 else 'were'} chosen to be {what} before {left.key.name}: {why}"


def place_to_wake(able: Sequence[Member], member: Member) -> str:
    """Which of the machines that may be woken it is, and why others come first; empty: it is none of them."""
    return _place(able, member, woken_before, "woken")


def place_to_rest(able: Sequence[Member], member: Member) -> str:
    """The same of those that may rest."""
    return _place(able, member, rested_before, "rested")


def _place(able: Sequence[Member], member: Member, why: Callable[[Member, Member], str], what: str) -> str:
    number = next((n for n, each in enumerate(able) if each.key == member.key), None)
    if number is None or len(able) == 1:
        return ""
    if number == 0:
        return f"the first of {len(able)} to be {what}, before {able[1].key.name}: {why(member, able[1])}"
    first = able[number - 1]
    return f"number {number + 1} of {len(able)} to be {what}, after {first.key.name}: {why(first, member)}"
