"""The folds over the table: what forbids an off or a wake, what a wake waits for, what is said, and when that changes.

What is folded is picked out once, at import: these folds run for each machine at each look.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from hexa.domain.group.sizing import Member
from hexa.domain.machine.facts import Facts
from hexa.domain.machine.findings import Finding
from hexa.domain.machine.reason import Veto
from hexa.domain.resources.core import Condition
from hexa.domain.rules.notice import Notice, Tells
from hexa.domain.rules.rule import Bid, GroupScene, Rank, Scene
from hexa.domain.rules.subject import Alone, Among, Waiting
from hexa.domain.rules.table import ALONE, RULES

Ends = Callable[[Among, datetime], Iterable[datetime | None]]


def _column(rules: Iterable[Any], column: str) -> tuple[Any, ...]:
    return tuple(cell for rule in rules if (cell := getattr(rule, column)) is not None)


_OFF: Final = _column(RULES, "off")
_ON: Final = _column(RULES, "on")
_OWN_ON: Final = _column(ALONE, "on")
_LAST: Final = _column(RULES, "last")
_LATER: Final = _column(RULES, "later")
_AGAIN: Final = _column(RULES, "again")
_GRANTS: Final = _column(RULES, "grants")
_WAITS: Final = _column(RULES, "waits")
_ENDS: Final[tuple[Ends, ...]] = _column(RULES, "ends")
_LOOKED: Final[tuple[Ends, ...]] = _column((rule for rule in RULES if rule.looked), "ends")
_DUE: Final = _column(RULES, "due")
_SAYS: Final = _column(RULES, "says")
_SAYS_OF_GROUP: Final = _column(RULES, "says_of_group")
_TELLS: Final[tuple[Tells, ...]] = _column(RULES, "tells")
_AWAITS: Final = _column(RULES, "awaits")
_WHY: Final = _column(RULES, "why")

RANKS: Final[Mapping[str, Rank]] = {
    rule.reason: rule.rank for rule in RULES if rule.reason is not None and rule.off is not None
}
"""How far the off veto of each reason reaches."""
REMEDIES: Final[Mapping[str, str]] = {
    rule.reason: rule.remedy for rule in RULES if rule.reason is not None and rule.remedy
}
SAFETY: Final = frozenset(reason for reason, rank in RANKS.items() if rank is Rank.SAFETY)
"""Off vetoes that stand above a hold."""


def off_vetoes(machine: Among, now: datetime) -> tuple[Veto, ...]:
    """Every rule that forbids switching the machine off, in the order of the table."""
    return _vetoes(_OFF, machine, now)


def on_vetoes(machine: Among, now: datetime) -> tuple[Veto, ...]:
    """Every rule that keeps the machine from being chosen to wake."""
    return _vetoes(_ON, machine, now)


def own_on_vetoes(machine: Alone, now: datetime) -> tuple[Veto, ...]:
    """Those that have nothing to do with other machines: by these it is judged for others, so that rules never go in circles."""
    return _vetoes(_OWN_ON, machine, now)


def last_vetoes(machine: Among, now: datetime) -> tuple[Veto, ...]:
    """Every rule by which the machine is the last to be chosen to wake."""
    return _vetoes(_LAST, machine, now)


def put_off(machine: Among, now: datetime) -> tuple[Veto, ...]:
    """Every rule by which a wake of the machine that is wanted does not begin yet. There is no other place where a wake is made to
    wait for its turn."""
    return _vetoes(_LATER, machine, now)


def withheld(machine: Among, now: datetime) -> tuple[Veto, ...]:
    """Every rule by which a wake of the machine that was begun is not sent now: its Job is late, or it would be sent again."""
    return _vetoes(_AGAIN, machine, now)


def refused(bid: Bid) -> Veto | None:
    """What forbids to grant all that is asked at once; None: nothing does."""
    return next((veto for rule in _GRANTS for veto in rule(bid)), None)


def _vetoes(
    rules: Sequence[Callable[[Any, datetime], Iterable[Veto]]], machine: Alone, now: datetime
) -> tuple[Veto, ...]:
    found: tuple[Veto, ...] = ()
    for rule in rules:
        if vetoes := rule(machine, now):
            found = (*found, *vetoes)
    return found


def waits_for(machine: Among) -> tuple[str, ...]:
    """Names of the machines that its wake waits for."""
    return tuple(name for rule in _WAITS for name in rule(machine))


def forbidden(vetoes: Iterable[Veto], rank: Rank = Rank.SAFETY) -> bool:
    """Whether one of these off vetoes has the rank."""
    return any(RANKS.get(veto.reason) is rank for veto in vetoes)


def stands_against(vetoes: Iterable[Veto]) -> Iterator[Veto]:
    """Of these off vetoes those that keep an off from being acted on which is wanted already."""
    return (veto for veto in vetoes if RANKS.get(veto.reason, Rank.ASKS) > Rank.ASKS)


def stays_until(vetoes: Iterable[Veto]) -> datetime | None:
    """When the last of these off vetoes ends that keep a machine on for a time; None: there is none."""
    ends = (veto.until for veto in vetoes if RANKS.get(veto.reason) is Rank.STAYS)
    return max((end for end in ends if end is not None), default=None)


def changes_at(machine: Among, now: datetime) -> datetime | None:
    """When a judgement of the machine changes by time alone."""
    first: datetime | None = None
    for rule in _ENDS:
        for end in rule(machine, now):
            if end is not None and end > now and (first is None or end < first):
                first = end
    return first


def looks_at(machine: Among, facts: Facts) -> Iterator[datetime | None]:
    """Moments at which the machine is looked at because of a rule."""
    for rule in _LOOKED:
        yield from rule(machine, facts.now)
    for due in _DUE:
        yield due(machine, facts)


def said(scene: Scene) -> list[Finding]:
    """What rules say beside their vetoes."""
    return [finding for rule in _SAYS for finding in rule(scene)]


def said_of_group(scene: GroupScene) -> Iterator[Finding]:
    """What rules say of a group."""
    return (finding for rule in _SAYS_OF_GROUP for finding in rule(scene))


def tells(before: Sequence[Condition], after: Sequence[Condition]) -> Iterator[Notice]:
    """What is told of conditions that begin, by those of before and those that are stored now."""
    for rule in _TELLS:
        yield from rule(before, after)


def awaited(machine: Waiting) -> Iterator[tuple[str, datetime | None]]:
    """What the machine waits for in its phase by rules, and until when."""
    for rule in _AWAITS:
        yield from rule(machine)


def beside(member: Member, others: Sequence[Member]) -> Iterator[str]:
    """What the machine waits for by rules, or has to do with others of its group, in sentences."""
    for rule in _WHY:
        yield from rule(member, others)
