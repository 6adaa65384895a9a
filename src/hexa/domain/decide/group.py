"""The one decision about a group: wake up to minSize, rest down to a lowered maxSize, replace what failed to start, hedge what
stays silent, exercise, report. What machines do about a wish is decided for each machine (`machine.decide`).

It is a table: the first row that has something to do decides. Nothing here waits, reads or writes.
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from msgspec import structs

from hexa.domain.decide.accounts import has_account, interval
from hexa.domain.decide.conditions import group_status
from hexa.domain.decide.group_decision import (
    Ask,
    Exchange,
    Gather,
    GiveWay,
    GroupDecision,
    GroupObserved,
    GroupRest,
    LookForPods,
    Pair,
    Replaced,
    Report,
    Todo,
    WishFor,
)
from hexa.domain.decide.group_news import about_group
from hexa.domain.decide.waiting_pods import not_needed, told_in_vain, wake_for_pods
from hexa.domain.group.asked import exchanged, lost, open_requests
from hexa.domain.group.choice import chosen
from hexa.domain.group.sizing import (
    Member,
    Replacement,
    begun_replacements,
    candidates,
    exercising,
    fitting,
    half_replaced,
    next_exercise,
    next_probe,
    replacements,
    resters,
    room_for,
    short_of,
    to_exercise,
    to_keep,
    to_probe,
    to_rest,
    to_wake,
)
from hexa.domain.group_view import GroupView
from hexa.domain.machine.findings import Finding, once_each
from hexa.domain.machine.lifecycle import COMING, Phase, phase_of
from hexa.domain.machine.reason import Reason
from hexa.domain.machine_view import MachineView
from hexa.domain.money.receipt import group_receipt
from hexa.domain.money.summing import sum_due, summed
from hexa.domain.news import NOTHING, News, OpenReason, Severity, What
from hexa.domain.policy.policy import Policy
from hexa.domain.policy.tariffs import SOON, ends_at
from hexa.domain.resources.group import ScheduleChange
from hexa.domain.resources.v1alpha1 import Asker, Lookup, Power, WishRecord
from hexa.domain.rules.hedge import begun_hedges, next_hedge
from hexa.domain.rules.judge import stays_until
from hexa.domain.rules.spares import to_spare

ARRIVES: Final = timedelta(minutes=1)
"""So long pods may take to come to a machine that is up; one that none comes to is idle."""
FIRST_LOOK: Final = timedelta(minutes=1)
"""So long the first look at a machine may take where a thousand are new."""
LOOK: Final = timedelta(seconds=5)
"""Between looks at a machine that is about to be up."""
OVER: Final = {
    Reason.SAFE_HANDS: (What.CALM, "the site is calm again: what was wanted meanwhile is done now"),
    Reason.ON_BATTERY: (What.POWER_IS_BACK, "the UPS keeps nothing off any more: what was wanted before is done now"),
}
"""Conditions whose end is told too, and another reason."""


def decide_group(group: GroupView, observed: GroupObserved) -> GroupDecision:
    """What is to be done with the group next. Ask again after it is done."""
    dues = [observed.changes_at] if observed.changes_at is not None else []
    calm = observed.seeing and observed.safe_hands is None
    works = group.valid and not group.released and calm and not group.observes
    for row in (*(WORK if works else ()), _price_look, _report):
        found = row(group, observed)
        if isinstance(found, datetime):
            dues.append(found)
        elif found is not None:
            return found
    return GroupRest(min(dues, default=None))


# --- the rows ---------------------------------------------------------------------------------------


def _exchange(group: GroupView, observed: GroupObserved) -> Todo:
    """Machines that were asked and cannot be had: others are asked in their place, none above maxSize. What was asked in an earlier
    life of ours is old, and Cluster Autoscaler asks again for what is missing."""
    requests = observed.stored.status.requests
    own = tuple(each for each in requests if each.since is not None and each.since >= observed.born)
    if not own:
        return None
    members, nodes = observed.members, observed.nodes
    missing = lost(own, nodes, {member.key.name: member for member in members})
    busy = {name for request in requests for name in request.machines}
    others = [nodes[m.key.name] for m in fitting(group.policy, members) if m.key.name not in busy]
    room = others[: room_for(group.policy, members)]
    swaps = [(request, name, other) for (request, name), other in zip(missing, room, strict=False)]
    if not swaps:
        return None
    return Exchange(structs.replace(observed.stored.status, requests=exchanged(requests, swaps)))


def _replace(group: GroupView, observed: GroupObserved) -> Todo:
    """The next candidate takes the place of a machine that failed to start. The successor's wish names whom it replaces, so
    that a crash at any point neither asks a second one nor leaves the failed one wanted."""
    known = {pair.failed for pair in observed.done.asked}
    pairs = [pair for pair in replacements(group.policy, observed.members) if pair.failed.key not in known]
    return _successors(observed, pairs, Reason.TAKES_PLACE, "takes the place of {}")


def _rest_replaced(group: GroupView, observed: GroupObserved) -> Todo:
    ill = half_replaced(observed.members)
    return _ask(observed, ill, Power.OFF, Reason.REPLACED, "another took its place")


def _hedge(group: GroupView, observed: GroupObserved) -> Todo:
    """One spare is woken beside each machine that stays silent, and has its place in the target from that write on; the mark on
    the silent one outlives the spare's wish."""
    pair, known = next_hedge(group.policy, observed.members), {pair.failed for pair in observed.done.asked}
    text = "{} gives no sign of life since it was woken"
    return (
        _successors(observed, [pair], Reason.HEDGE, text) if pair is not None and pair.failed.key not in known else None
    )


def _keep(group: GroupView, observed: GroupObserved) -> Todo:
    """What need not go any more stays, before another one is woken."""
    first = next(iter(to_keep(group.policy, observed.members)), None)
    if first is None:
        return None
    return _wish_for(
        observed, first, Power.ON, Reason.MAX_SIZE, "maxSize has room for it again, and it has not gone yet"
    )


def _fill(group: GroupView, observed: GroupObserved) -> Todo:
    """Machines of which nothing is known yet may be on: they are waited for before one that is off is woken."""
    wake = to_wake(group.policy, observed.members)
    if wake and (until := _known_by(observed)) > observed.now:
        return until
    text = f"minSize is {group.policy.min_size}{group.policy.by.get('min_size', '')}"
    able = fitting(group.policy, observed.members) if wake else ()
    return _ask(observed, wake, Power.ON, Reason.MIN_SIZE, text, by=_asker(group, "min_size"), able=able)


def _known_by(observed: GroupObserved) -> datetime:
    """Until when news of machines is waited for of which nothing is known; no later than now where there is none, or it is late."""
    new = [_new_since(each, observed.now) for each in observed.machines if _is_new(each)]
    since = [observed.born if at is None or at > observed.now else max(observed.born, at) for at in new]
    return max(since, default=observed.now - FIRST_LOOK) + FIRST_LOOK


def _is_new(machine: MachineView) -> bool:
    return machine.valid and (machine.to_be_seen_anew or machine.phase is Phase.UNKNOWN)


def _new_since(machine: MachineView, now: datetime) -> datetime | None:
    """Since it was made, or since its group ceased to observe."""
    receipt = machine.node.status.receipt
    if machine.to_be_seen_anew:
        return now
    return receipt.until if receipt is not None else machine.node.metadata.creation_timestamp


def _spare(group: GroupView, observed: GroupObserved) -> Todo:
    wake = to_spare(group.policy, observed.members)
    if wake and (until := _known_by(observed)) > observed.now:
        return until
    text = f"spares is {group.policy.spares}{group.policy.by.get('spares', '')}"
    return _ask(observed, wake, Power.ON, Reason.SPARE, text, by=_asker(group, "spares"))


def _lower(group: GroupView, observed: GroupObserved) -> Todo:
    rest = to_rest(group.policy, observed.members)
    if rest and (until := _known_by(observed)) > observed.now:
        return until
    text = f"maxSize is {group.policy.max_size}{group.policy.by.get('max_size', '')}"
    able = resters(observed.members) if rest else ()
    return _ask(observed, rest, Power.OFF, Reason.MAX_SIZE, text, by=_asker(group, "max_size"), able=able)


def _asker(group: GroupView, value: str) -> Asker:
    """Who asks for what a value of the policy demands."""
    return Asker.SCHEDULE if value in group.policy.by else Asker.RECOVERY


def _not_needed(group: GroupView, observed: GroupObserved) -> Todo:
    """A machine that was woken for pods, and that need not come any more."""
    known = observed.waiting if observed.all_waiting else None
    found = not_needed(group.policy, observed.members, observed.nodes, known)
    if found is None:
        return None
    return _wish_for(observed, found.member, Power.OFF, Reason.NOT_NEEDED, found.text)


def _wake_for_pods(group: GroupView, observed: GroupObserved) -> Todo:
    """Pods wait that Cluster Autoscaler can't help."""
    waiting, others = observed.waiting or (), observed.other_shapes
    found = wake_for_pods(group.policy, observed.members, observed.machines, waiting, others=others)
    if found is None or isinstance(found, datetime):
        return found
    return _wish_for(observed, found.member, Power.ON, found.reason, found.text, beside=found.beside)


def _end_exercise(group: GroupView, observed: GroupObserved) -> Todo:
    """A machine that was woken for its proof, or as a probe, rests again once it is up and idle."""
    dues: list[datetime] = []
    for member in exercising(observed.members):
        found = _end(group, member, observed)
        if isinstance(found, datetime):
            dues.append(found)
        elif found is not None:
            return found
    return min(dues, default=None)


def _end(group: GroupView, member: Member, observed: GroupObserved) -> Todo:
    if member.phase is Phase.START_FAILED:
        return _wish_for(observed, member, Power.OFF, Reason.EXERCISED, "it did not come up")
    machine = next((each for each in observed.machines if each.key == member.key), None)
    if machine is None or member.phase is not Phase.READY:
        return None
    idle_from = (member.since or observed.now) + ARRIVES
    if not machine.node.status.welcomed or observed.now < idle_from:
        return max(idle_from, observed.now + LOOK)
    if any(veto.reason == Reason.SPARE for veto in member.off_vetoes):
        return _wish_for(observed, member, Power.ON, Reason.SPARE, "it came up, and is kept as a spare")
    if short_of(group.policy, observed.members):
        return _wish_for(observed, member, Power.ON, Reason.MIN_SIZE, "it came up, and minSize needs it")
    if (stays := stays_until(member.off_vetoes)) is not None:
        return max(stays, observed.now + LOOK)
    if (used := observed.done.in_use.get(member.key.name)) is None:
        return LookForPods(member.key)
    if used:
        return _wish_for(observed, member, Power.ON, Reason.IN_USE, "pods came to it: it stays")
    return _wish_for(observed, member, Power.OFF, Reason.EXERCISED, "it came up, and nothing runs on it")


def _exercise(group: GroupView, observed: GroupObserved) -> Todo:
    """Wake the machine that is to be probed, or whose proof is due."""
    now, members, policy = observed.now, observed.members, group.policy
    if (ill := to_probe(policy, members, now=now)) is not None:
        times = "once" if ill.failures == 1 else f"{ill.failures} times in a row"
        text = f"it failed {times}; is it well again? Nobody waits for it"
        return _wish_for(observed, ill, Power.ON, Reason.PROBE, text)
    if (first := to_exercise(policy, members, now=now)) is not None:
        text = f"exerciseEvery is {group.group.spec.exercise_every}"
        return _wish_for(observed, first, Power.ON, Reason.EXERCISE, text)
    dues = (next_exercise(policy, members, now=now), next_probe(policy, members, now=now))
    return min((due for due in dues if due is not None), default=None)


def _give_way(group: GroupView, observed: GroupObserved) -> Todo:
    """What follows from successors that are asked: nobody who counts waits for it, and a crash leaves it for the next look."""
    begun = [_pair(each, hedge=False) for each in begun_replacements(observed.members)]
    begun += [_pair(each, hedge=True) for each in begun_hedges(observed.members)]
    pairs = [pair for pair in dict.fromkeys((*begun, *observed.done.asked)) if pair not in observed.done.gave_way]
    found = [(_hedged if pair.hedge else _replaced)(pair, observed) for pair in pairs]
    return GiveWay(tuple(each for each in found if each is not None), tuple(pairs)) if pairs else None


def _pair(found: Replacement, *, hedge: bool) -> Pair:
    return Pair(found.failed.key, found.successor.key, hedge)


def _replaced(pair: Pair, observed: GroupObserved) -> Replaced | None:
    """The failed machine is marked, so that Cluster Autoscaler is told nothing of it; its wish follows."""
    key, node = pair.failed, observed.nodes.get(pair.failed.name)
    if node is None or phase_of(node.status) not in (Phase.START_FAILED, Phase.OFF):  # it came after all
        return None
    failed = phase_of(node.status) is Phase.START_FAILED
    status = structs.replace(node.status, replaced=True) if failed else None
    wish = WishRecord(power=Power.OFF, by=Asker.RECOVERY, reason=Reason.REPLACED, since=observed.now)
    return Replaced(key, status, wish, _told(observed, key, wish, f"{pair.successor.name} takes its place"))


def _hedged(pair: Pair, observed: GroupObserved) -> Replaced | None:
    """The silent machine is woken on; when it comes, it is one that came late."""
    key, node = pair.failed, observed.nodes.get(pair.failed.name)
    if node is None or phase_of(node.status) not in COMING:  # it came, or failed, meanwhile
        return None
    text = f"gives no sign of life since it was woken: {pair.successor.name} is woken beside it"
    news = News(of=key, uid=node.metadata.uid, what=What.HEDGED, why=text, severity=Severity.WARNING)
    return Replaced(key, structs.replace(node.status, replaced=True), None, news)


def _report(group: GroupView, observed: GroupObserved) -> Todo:
    stored = observed.stored
    left = () if group.released or group.observes else open_requests(stored.status.requests, observed.nodes)
    if observed.report_in > timedelta(0) and left == stored.status.requests:
        return observed.now + observed.report_in
    if observed.found is None:
        return Gather()
    in_vain = told_in_vain(observed.machines, observed.waiting or ())
    found, generation = (
        once_each((*observed.found, *in_vain, *_prices_end(group, observed))),
        stored.metadata.generation,
    )
    new = group_status(observed.members, found, old=stored.status, generation=generation, now=observed.now)
    receipts = (node.status.receipt for node in observed.nodes.values())
    found_receipts = (each for each in receipts if each is not None)
    new = structs.replace(new, requests=left, next_schedule_change=_next_change(group.policy))
    new = structs.replace(new, receipt=group_receipt(found_receipts, currency=group.policy.currency))
    due = _sum_due(group, observed)
    if new == stored.status and (due is None or due > observed.now):
        return due
    if due is not None:
        accounts = (node.status.energy for node in observed.nodes.values())
        new = structs.replace(new, energy=summed(stored.status.energy, accounts, now=observed.now))
    before = {condition.type: condition.reason for condition in stored.status.conditions}
    begun = (
        each for each in found if each.type not in before or (each.type in OVER and before[each.type] != each.reason)
    )
    told = tuple(about_group(stored, OpenReason(each.reason), each.message) for each in begun)
    ended = before.keys() - {each.type for each in found}
    over = (about_group(stored, *what, severity=Severity.NORMAL) for type_, what in OVER.items() if type_ in ended)
    return Report(new, (*told, *over))


def _next_change(policy: Policy) -> ScheduleChange | None:
    change = policy.next_change
    return ScheduleChange(at=change.at, what=change.what) if change is not None else None


def _price_look(group: GroupView, observed: GroupObserved) -> Todo:
    """When it is said that its tariff has no more prices."""
    end = observed.prices_end
    return end - SOON if end is not None and observed.now < end - SOON else None


def _prices_end(group: GroupView, observed: GroupObserved) -> Iterator[Finding]:
    end = observed.prices_end
    if end is not None and observed.now >= end - SOON:
        yield Finding("PricesEnd", "PricesEnd", f"tariff {group.policy.tariff}: {ends_at(end)}")


def _sum_due(group: GroupView, observed: GroupObserved) -> datetime | None:
    """When the energy account of the group is summed up anew at the latest; None: none of its machines has one."""
    counted = [node for node in observed.nodes.values() if has_account(node)]
    every = interval(group.policy, *counted)
    return sum_due(observed.stored.status.energy, now=observed.now, every=every) if counted else None


# --- wishes -----------------------------------------------------------------------------------------


def _choice(observed: GroupObserved, able: Sequence[Member], names: Sequence[str], *, wake: bool) -> tuple[News, ...]:
    """Why these of the machines that were able, where the group has an order."""
    text = chosen(able, names, wake=wake)
    return (about_group(observed.stored, What.CHOSEN, text, severity=Severity.NORMAL),) if text else NOTHING


def _ask(
    observed: GroupObserved,
    members: Sequence[Member],
    power: Power,
    reason: Reason,
    text: str,
    *,
    by: Asker = Asker.RECOVERY,
    able: Sequence[Member] = (),
) -> Todo:
    """`able`: those that these were chosen from, the first to be chosen first."""
    if not members:
        return None
    why = _choice(observed, able, [member.key.name for member in members], wake=power is Power.ON)
    wish = WishRecord(power=power, by=by, reason=reason, since=observed.now)
    news = (*(_told(observed, member.key, wish, text) for member in members), *why)
    return Ask(tuple((member.key, wish) for member in members), news)


def _successors(observed: GroupObserved, pairs: Sequence[Replacement], reason: Reason, text: str) -> Todo:
    """Each successor is asked in the name of the machine whose place it takes, in one write."""
    if not pairs:
        return None
    wishes = {pair.successor.key: _in_place_of(pair, observed, reason) for pair in pairs}
    news = (_told(observed, key, wish, text.format(wish.replaces)) for key, wish in wishes.items())
    why = _choice(observed, candidates(observed.members), [key.name for key in wishes], wake=True)
    asked = tuple(_pair(pair, hedge=reason is Reason.HEDGE) for pair in pairs)
    return Ask(tuple(wishes.items()), (*news, *why), asked)


def _in_place_of(pair: Replacement, observed: GroupObserved, reason: Reason) -> WishRecord:
    name = pair.failed.key.name
    return WishRecord(power=Power.ON, by=Asker.RECOVERY, reason=reason, since=observed.now, replaces=name)


def _wish_for(
    observed: GroupObserved,
    member: Member,
    power: Power,
    reason: Reason,
    text: str,
    *,
    beside: dict[str, Any] | None = None,
) -> Todo:
    if member.key.name not in observed.nodes:
        return None
    wish = WishRecord(power=power, by=Asker.RECOVERY, reason=reason, since=observed.now)
    return WishFor(member.key, wish, (_told(observed, member.key, wish, text),), beside or {})


def _told(observed: GroupObserved, key: Lookup, wish: WishRecord, text: str) -> News:
    node = observed.nodes.get(key.name)
    uid = node.metadata.uid if node is not None else ""
    return News(of=key, uid=uid, what=What(wish.reason), why=f"wanted {wish.power}: {text}", by=wish.by)


WORK: Final[tuple[Callable[[GroupView, GroupObserved], Todo], ...]] = (
    _exchange,
    _not_needed,
    _keep,
    _replace,
    _rest_replaced,
    _hedge,
    _fill,
    _spare,
    _lower,
    _wake_for_pods,
    _end_exercise,
    _exercise,
    _give_way,
)
"""What is done to keep a group within its limits, in this order; then it is reported."""
