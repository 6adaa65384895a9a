"""A group as the overview tells of it, by the same functions that `hexa get` and `hexa report` answer by."""

from collections.abc import Iterator, Sequence

from hexa.app.commands.get import contained, group_line_of, undecodable
from hexa.app.commands.shared.snapshot import Snapshot
from hexa.app.questions.beside import NOTHING, Beside
from hexa.app.questions.kept import Kept
from hexa.app.questions.machines import broken, power_held
from hexa.domain.decide.accounts import up_to_now
from hexa.domain.group_view import GroupView
from hexa.domain.machine.lifecycle import on_its_way
from hexa.domain.machine_view import MachineView
from hexa.domain.money.summing import summed
from hexa.domain.news import About
from hexa.domain.policy.values import active_hold
from hexa.domain.resources.v1alpha1 import Lookup
from hexa.domain.rules.hold import keeps_off
from hexa.domain.words import hands as hands_beside
from hexa.domain.words.figures import energy_state, priced
from hexa.domain.words.overview import EnergyState, GroupState, Hand, hands


def told_group(
    snapshot: Snapshot, key: Lookup, beside: Beside, members: Sequence[MachineView], kept: Kept[GroupState]
) -> GroupState:
    """A group without its watts, also one that does not decode or cannot be told of."""
    try:
        view = snapshot.group(key)
        if view is None:
            text = undecodable(snapshot.store.groups.malformed[key])
            return GroupState(namespace=key.namespace, name=key.name, blocker=text)
        of = (view.group, view.policy, snapshot.views.judged(key, snapshot.now))
        return kept.get(key, of, snapshot.now, lambda: group_state(snapshot, view, members, beside))
    except Exception as error:
        return GroupState(namespace=key.namespace, name=key.name, blocker=contained(error))


def group_state(
    snapshot: Snapshot, view: GroupView, members: Sequence[MachineView], beside: Beside = NOTHING
) -> GroupState:
    """A group that decodes, without its watts. Raises what its data raises."""
    line = group_line_of(snapshot, view)
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
        held=power_held(hold),
        held_until=hold.until if hold is not None else None,
        next_change=line.next_change,
        next_change_what=line.changes or None,
        blocker=line.blocker or None,
        energy=_energy_of_group(snapshot, view, members, beside),
    )


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
    return energy_state(account, counted=counted, money=money, today=beside.today(policy, snapshot.now))


def hands_of_group(snapshot: Snapshot, state: GroupState) -> Iterator[Hand]:
    """What of a group needs a person."""
    key = Lookup(state.namespace, state.name)
    malformed = snapshot.store.groups.malformed.get(key)
    if malformed is not None:
        yield broken(About.GROUP, key, undecodable(malformed))
        return
    conditions = snapshot.store.groups.objects[key].status.conditions
    yield from hands(About.GROUP, key, conditions)
    members = snapshot.views.members(key)
    coming = sum(on_its_way(each.node.status) for each in members)
    held_off = sum(keeps_off(each.node.spec.hold, each.policy.hold, now=snapshot.now) for each in members)
    yield from hands_beside.short(state, conditions, coming=coming, held_off=held_off)
