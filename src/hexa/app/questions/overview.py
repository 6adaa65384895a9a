"""The site at one moment (`domain.words.overview`), by the same functions that `hexa get`, `hexa why` and `hexa report` answer by.

An object that cannot be told of is told of all the same, with why: it harms no other.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator
from datetime import datetime
from typing import Final

from msgspec import structs

from hexa.app.commands.shared.snapshot import Snapshot
from hexa.app.questions.beside import NOTHING, Beside
from hexa.app.questions.groups import hands_of_group, told_group
from hexa.app.questions.kept import Kept
from hexa.app.questions.machines import Scope, Told, machine_of
from hexa.domain.machine_view import MachineView
from hexa.domain.resources.v1alpha1 import Lookup
from hexa.domain.words import hands as hands_beside
from hexa.domain.words.overview import Grade, GroupState, Hand, MachineState, Overview, Summary

__all__ = ["NOTHING", "Beside", "Looks", "machine_of", "overview"]


class Looks:
    """What was told before, for who is asked again and again."""

    def __init__(self) -> None:
        self.machines: Final[Kept[MachineState]] = Kept()
        self.groups: Final[Kept[GroupState]] = Kept()


def overview(
    snapshot: Snapshot,
    *,
    namespaces: Collection[str] | None = None,
    beside: Beside = NOTHING,
    looks: Looks | None = None,
) -> Overview:
    """Everything at this moment. `namespaces`: what is in these alone; None: in all. `looks`: what was told before."""
    looks = looks if looks is not None else Looks()
    machine_keys, group_keys = (_within(keys, namespaces) for keys in (snapshot.machine_keys, snapshot.group_keys))
    scope = Scope(snapshot, looks.machines)
    machines = [Told(snapshot, key, beside, scope) for key in machine_keys]
    states, members = [machine.state for machine in machines], _members(machines)
    groups = [told_group(snapshot, key, beside, members[key], looks.groups) for key in group_keys]
    if namespaces is None:
        looks.machines.only(machine_keys)
        looks.groups.only(group_keys)
    found = [hand for machine in machines for hand in machine.hands()]
    found += [hand for group in groups for hand in hands_of_group(snapshot, group)]
    found += _of_site(beside, snapshot.now) if namespaces is None else ()
    groups = _with_watts(groups, states)
    return Overview(
        at=snapshot.now,
        version=beside.version,
        summary=_summary(states, groups),
        groups=tuple(groups),
        machines=tuple(states),
        hands=tuple(sorted(found, key=_urgency)),
    )


def _within(keys: list[Lookup], namespaces: Collection[str] | None) -> list[Lookup]:
    return keys if namespaces is None else [key for key in keys if key.namespace in namespaces]


def _members(machines: Iterable[Told]) -> defaultdict[Lookup, list[MachineView]]:
    found = defaultdict[Lookup, list[MachineView]](list)
    for each in machines:
        if each.view is not None and each.view.group is not None:
            found[each.view.group.key].append(each.view)
    return found


def _with_watts(groups: Iterable[GroupState], machines: Iterable[MachineState]) -> list[GroupState]:
    found: dict[tuple[str, str | None], float] = {}
    for each in machines:
        if each.watts is not None:
            key = each.namespace, each.group
            found[key] = round(found.get(key, 0.0) + each.watts, 6)
    return [structs.replace(group, watts=found.get((group.namespace, group.name))) for group in groups]


def _urgency(hand: Hand) -> tuple[bool, str, str, str, str]:
    return hand.severity is not Grade.ERROR, hand.namespace, hand.name, hand.kind, hand.reason


# --- the site -------------------------------------------------------------------------------------------------------


def _summary(machines: Collection[MachineState], groups: Iterable[GroupState]) -> Summary:
    accounts = [each.energy for each in machines if each.energy.currency is not None]
    ((currency, _),) = Counter(each.currency for each in accounts).most_common(1) or ((None, 0),)
    paid = [each for each in accounts if each.currency == currency]
    following = min((each for each in groups if each.next_change), key=_when, default=None)
    return Summary(
        machines=len(machines),
        on=sum(each.power == "on" for each in machines),
        watts=_sum(each.watts for each in machines),
        money_today=_sum(each.today_money for each in paid),
        saved_month=_sum(each.month_saved for each in paid),
        currency=currency,
        next_change=following.next_change if following is not None else None,
        next_change_what=_what(following),
    )


def _when(group: GroupState) -> float:
    return group.next_change.timestamp() if group.next_change is not None else 0.0


def _what(group: GroupState | None) -> str | None:
    return f"{group.name}: {group.next_change_what}" if group is not None else None


def _sum(values: Iterable[float | None]) -> float | None:
    """Of those that are known; None: none is."""
    known = [value for value in values if value is not None]
    return round(sum(known), 6) if known else None


def _of_site(beside: Beside, now: datetime) -> Iterator[Hand]:
    """What needs a person and is of no namespace."""
    for name, ends in sorted(beside.certificates().items()):
        yield from hands_beside.certificate(name, hands_beside.moment(ends), now=now)
    yield from hands_beside.autoscaler(beside.called(), now=now)
