"""The site at one moment (`domain.words.overview`), by the same functions that `hexa get`, `hexa why` and `hexa report` answer by.

An object that cannot be told of is told of all the same, with why: it harms no other.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta, tzinfo
from statistics import median
from typing import Final

from msgspec import Struct, structs

from hexa.app.commands.get import GroupLine, contained, group_line_of, line_of, undecodable
from hexa.app.commands.shared.snapshot import Snapshot
from hexa.app.tariffs import Tariffs
from hexa.domain.decide.accounts import up_to_now
from hexa.domain.group_view import GroupView
from hexa.domain.machine.lifecycle import count_availability
from hexa.domain.machine.wish import held
from hexa.domain.machine_view import MachineView
from hexa.domain.money.rates import has_energy
from hexa.domain.money.summing import summed
from hexa.domain.news import About
from hexa.domain.policy.policy import Policy
from hexa.domain.policy.values import active_hold, power_of
from hexa.domain.resources.v1alpha1 import EnergyAccount, Hold, Lookup, Node
from hexa.domain.words import hands as hands_beside
from hexa.domain.words.arrivals import Boot, arrival, coming, recent_boots, set_out
from hexa.domain.words.figures import day_of, declared_watts, energy_state, priced
from hexa.domain.words.known import Known
from hexa.domain.words.overview import (
    EnergyState,
    Grade,
    GroupState,
    Hand,
    MachineState,
    Overview,
    Summary,
    hands,
    why,
)


def _unmeasured(_: Node) -> float | None:
    return None


def _never() -> timedelta | None:
    return None


class Beside(Struct, frozen=True, kw_only=True):
    """What the agent knows beside its snapshot; the command line knows nothing of it."""

    version: str = ""
    watts: Callable[[Node], float | None] = _unmeasured
    """What a machine's meter said last."""
    tariffs: Tariffs = Tariffs()
    certificates: Callable[[], Mapping[str, float]] = dict
    """When certificates of the agent's own end, in seconds since 1970, by what they are for."""
    called: Callable[[], timedelta | None] = _never
    """How long ago Cluster Autoscaler called last; None: it did not."""


NOTHING: Final = Beside()


def overview(snapshot: Snapshot, *, namespaces: Collection[str] | None = None, beside: Beside = NOTHING) -> Overview:
    """Everything at this moment. `namespaces`: what is in these alone; None: in all."""
    machines = [_Machine(snapshot, key, beside) for key in snapshot.machine_keys if _within(key, namespaces)]
    states = [machine.state for machine in machines]
    watts, members = _watts_by_group(states), _members(machines)
    groups = [
        _group(snapshot, key, beside, watts, members[key]) for key in snapshot.group_keys if _within(key, namespaces)
    ]
    found = [hand for machine in machines for hand in machine.hands()]
    found += [hand for group in groups for hand in _hands_of_group(snapshot, group)]
    found += _of_site(beside, snapshot.now) if namespaces is None else ()
    return Overview(
        at=snapshot.now,
        version=beside.version,
        summary=_summary(states, groups),
        groups=tuple(groups),
        machines=tuple(states),
        hands=tuple(sorted(found, key=_urgency)),
    )


def _within(key: Lookup, namespaces: Collection[str] | None) -> bool:
    return namespaces is None or key.namespace in namespaces


def _urgency(hand: Hand) -> tuple[bool, str, str, str, str]:
    return hand.severity is not Grade.ERROR, hand.namespace, hand.name, hand.kind, hand.reason


# --- machines -------------------------------------------------------------------------------------------------------


class _Machine:
    """A machine, and what was found out about it."""

    def __init__(self, snapshot: Snapshot, key: Lookup, beside: Beside) -> None:
        self.key = key
        self._error = ""
        self.view: MachineView | None = None
        try:
            self.view = snapshot.views.machine(key)
            self.state = self._told(snapshot, beside)
        except Exception as error:
            self._error = contained(error)
            self.state = MachineState(namespace=key.namespace, name=key.name, why=self._error, blocker=self._error)

    def _told(self, snapshot: Snapshot, beside: Beside) -> MachineState:
        if self.view is None:
            self._error = undecodable(snapshot.store.machines.malformed[self.key])
            return MachineState(namespace=self.key.namespace, name=self.key.name, why=self._error, blocker=self._error)
        return machine_state(snapshot, self.view, beside)

    def hands(self) -> Iterator[Hand]:
        """What of it needs a person."""
        if self._error:
            yield _broken(About.NODE, self.key, self._error)
        if self.view is not None:
            yield from hands(About.NODE, self.key, self.view.node.status.conditions)


def machine_of(snapshot: Snapshot, key: Lookup, beside: Beside = NOTHING) -> MachineState | None:
    """One machine; None: there is none of that name."""
    there = key in snapshot.store.machines.objects or key in snapshot.store.machines.malformed
    return _Machine(snapshot, key, beside).state if there else None


def _broken(kind: About, key: Lookup, error: str) -> Hand:
    reason = "DoesNotDecode" if error.startswith("does not decode") else "Contained"
    return Hand(kind=kind, namespace=key.namespace, name=key.name, reason=reason, message=error, severity=Grade.ERROR)


def machine_state(snapshot: Snapshot, view: MachineView, beside: Beside = NOTHING) -> MachineState:
    """A machine that decodes. Raises what its data raises."""
    known = snapshot.known(view)
    line, status, hold = line_of(known, view), view.node.status, held(view.node, view.policy, now=snapshot.now)
    measured = beside.watts(view.node)
    told = MachineState(
        namespace=line.namespace,
        name=line.name,
        group=line.group or None,
        phase=line.phase,
        since=line.since,
        power=status.power_state,
        wanted=line.wish or None,
        by=line.by or None,
        wished=line.wished or _wished(known),
        held=_power(hold),
        held_until=hold.until if hold is not None else None,
        why=why(known),
        blocker=line.blocker or None,
        reading=line.reading,
        watts_measured=measured is not None,
        progress=line.progress,
        health=line.health,
        health_reason=line.ailment or None,
        kubernetes_node=line.kubernetes_node,
        uptime=(count_availability(status, now=snapshot.now).availability.uptime if status.phase else line.uptime)
        or None,
        energy=_energy(view, up_to_now(view, snapshot.now), _today(snapshot, view.policy, beside)),
    )
    return _timed(snapshot, view, told, measured)


def _power(hold: Hold | None) -> str | None:
    return power_of(hold.power) if hold is not None else None


def _wished(known: Known) -> datetime | None:
    """Since when what is wanted stands in its status, where the wish itself does not say it."""
    stored, wish = known.node.status.wish, known.member.wish
    same = stored is not None and wish is not None and (stored.power, stored.by) == (wish.power, wish.by)
    return stored.since if stored is not None and same else None


def _timed(snapshot: Snapshot, view: MachineView, told: MachineState, measured: float | None) -> MachineState:
    """With what follows from its recent boots."""
    status, boots = view.node.status, boots_of(snapshot, view)
    watts = measured
    if watts is None:
        watts = declared_watts(view.rates, view.phase, boots, known=has_energy(view.node.spec.energy))
    told = structs.replace(told, watts=watts, boot_typical_seconds=median(boots) if boots else None)
    began = set_out(status)
    if began is None:
        return told
    comes = coming(began, boots)
    return structs.replace(
        told,
        arrival=arrival(Boot(name=view.key.name, since=began, boot_seconds=boots)),
        ready_at=comes.likely if comes is not None else None,
        ready_by=comes.late if comes is not None else None,
        eta_seconds=comes.seconds(snapshot.now) if comes is not None else None,
    )


def boots_of(snapshot: Snapshot, view: MachineView) -> tuple[float, ...]:
    """Its own recent boots in seconds; of a machine without any, those of its group."""
    kin = snapshot.views.members(view.group.key) if view.group is not None else ()
    return recent_boots(view.node.status.boot_seconds, (each.node.status.boot_seconds for each in kin))


# --- energy ---------------------------------------------------------------------------------------------------------


def _today(snapshot: Snapshot, policy: Policy, beside: Beside) -> str:
    tariff = beside.tariffs.known.get(policy.tariff)
    zone: tzinfo | None = tariff.zone if tariff is not None else None
    return day_of(snapshot.now, zone)


def _energy(view: MachineView, account: EnergyAccount, today: str) -> EnergyState:
    money = priced(view.node, per_kwh=view.rates.per_kwh, tariff=view.policy.tariff)
    return energy_state(account, counted=account.energy_to is not None, money=money, today=today)


def _energy_of_group(
    snapshot: Snapshot, group: GroupView, members: Sequence[MachineView], beside: Beside
) -> EnergyState:
    """The group's own sum, which outlives its machines', up to now."""
    own = group.group.status.energy
    accounts = [up_to_now(each, snapshot.now) for each in members]
    account = summed(own, accounts, now=snapshot.now)
    counted = bool(own.days) or any(each.energy_to is not None for each in accounts)
    policy = group.policy
    money = any(priced(each.node, per_kwh=each.rates.per_kwh, tariff=policy.tariff) for each in members)
    return energy_state(account, counted=counted, money=money, today=_today(snapshot, policy, beside))


# --- groups ---------------------------------------------------------------------------------------------------------


def _watts_by_group(machines: Iterable[MachineState]) -> dict[Lookup, float]:
    found: dict[Lookup, float] = {}
    for each in machines:
        if each.group is not None and each.watts is not None:
            key = Lookup(each.namespace, each.group)
            found[key] = round(found.get(key, 0.0) + each.watts, 6)
    return found


def _members(machines: Iterable[_Machine]) -> dict[Lookup, list[MachineView]]:
    found = defaultdict[Lookup, list[MachineView]](list)
    for each in machines:
        if each.view is not None and each.view.group is not None:
            found[each.view.group.key].append(each.view)
    return found


def _group(
    snapshot: Snapshot, key: Lookup, beside: Beside, watts: Mapping[Lookup, float], members: Sequence[MachineView]
) -> GroupState:
    try:
        view = snapshot.group(key)
        if view is None:
            text = undecodable(snapshot.store.groups.malformed[key])
            return GroupState(namespace=key.namespace, name=key.name, blocker=text)
        state = group_state(snapshot, view, members, beside)
    except Exception as error:
        return GroupState(namespace=key.namespace, name=key.name, blocker=contained(error))
    return structs.replace(state, watts=watts.get(key))


def group_state(
    snapshot: Snapshot, view: GroupView, members: Sequence[MachineView], beside: Beside = NOTHING
) -> GroupState:
    """A group that decodes, without its watts. Raises what its data raises."""
    line: GroupLine = group_line_of(snapshot, view)
    hold = active_hold(view.policy.hold, now=snapshot.now)
    return GroupState(
        namespace=line.namespace,
        name=line.name,
        mode=line.mode,
        size=line.size,
        target=line.target,
        minimum=line.minimum,
        maximum=line.maximum,
        ready=line.ready,
        off=line.off,
        booting=line.booting,
        failed=line.failed,
        health=line.health,
        held=_power(hold),
        held_until=hold.until if hold is not None else None,
        next_change=line.next_change,
        next_change_what=line.changes or None,
        blocker=line.blocker or None,
        energy=_energy_of_group(snapshot, view, members, beside),
    )


def _hands_of_group(snapshot: Snapshot, state: GroupState) -> Iterator[Hand]:
    key = Lookup(state.namespace, state.name)
    broken = snapshot.store.groups.malformed.get(key)
    if broken is not None:
        yield _broken(About.GROUP, key, undecodable(broken))
        return
    conditions = snapshot.store.groups.objects[key].status.conditions
    yield from hands(About.GROUP, key, conditions)
    yield from hands_beside.short(state, conditions)


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
