"""How many machines of a group begin to be woken, and to be switched off, within a span (`rateLimit`).

A wake that is wanted waits for its turn, whoever wants it: the machine counts as coming, and the one that was asked first is woken
first. An off waits too, unless a person wants it. Cluster Autoscaler is granted a request only where the last of the machines can
be Ready before it gives up, and is told to leave machines alone while no off may begin.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final

from hexa.domain.duration import format_duration
from hexa.domain.group.sizing import Member, counts
from hexa.domain.machine.findings import Finding
from hexa.domain.machine.lifecycle import Phase, phase_of
from hexa.domain.machine.reason import Reason, Veto, until_text
from hexa.domain.policy.limits import slowest_boot
from hexa.domain.policy.policy import Policy, Rate
from hexa.domain.resources.v1alpha1 import Lookup, Power
from hexa.domain.rules.draining import MAY_BEGIN, bound_for_off
from hexa.domain.rules.proof import by_person
from hexa.domain.rules.rule import Bid, Scene
from hexa.domain.rules.subject import Among

FIELD: Final = "spec.rateLimit"
START: Final = timedelta(seconds=2)
"""So long each machine that waits longer has the turn for itself; one that can't be woken after all keeps it no longer."""


# --- wakes ------------------------------------------------------------------------------------------


def later(machine: Among, now: datetime) -> Iterator[Veto]:
    """The wake does not begin while as many began within the span as may."""
    turn, rate = turn_of(machine), machine.policy.rate
    if rate is not None and turn is not None and now < turn:
        text = f"{_wakes(rate)}, and its turn comes{_at(turn)}"
        yield Veto(Reason.RATE_LIMIT, text, turn, f"{FIELD}.wakes", of_group=True)


def turn_of(machine: Among) -> datetime | None:
    """When its wake may begin, as far as it is known; None: at any time."""
    rate, wakes = machine.policy.rate, machine.traffic.wakes
    if rate is None or rate.wakes is None or len(wakes) < rate.wakes:
        return None
    waiting, mine = machine.traffic.waiting, _key(machine)
    place = waiting.index(mine) if mine in waiting else len(waiting)
    return wakes[-rate.wakes] + rate.per + place * START


def says(scene: Scene) -> Iterator[Finding]:
    """That the machine is wanted on, and waits for its turn."""
    wish = scene.machine.wish(scene.now)
    if phase_of(scene.status) is Phase.OFF and wish is not None and wish.power is Power.ON:
        for veto in later(scene.machine, scene.now):
            yield Finding(Reason.RATE_LIMIT, "WakeWaits", veto.message)


def grants(bid: Bid) -> Iterator[Veto]:
    """What can't come in time is not granted, and no more is taken than may go now."""
    rate = bid.policy.rate
    if rate is None:
        return
    if bid.power is Power.ON and rate.wakes is not None:
        yield from _too_late(bid, rate, rate.wakes)
    elif bid.power is Power.OFF and rate.rests is not None:
        since = bid.now - rate.per
        gone = sum(moment > since for member in bid.members for moment in member.switched.offs)
        if gone + len(bound_for_off(bid)) + len(bid.chosen) > rate.rests:
            yield Veto(Reason.RATE_LIMIT, f"{_rests(rate)}; {len(bid.chosen)} more may not go now", None, FIELD)


def _too_late(bid: Bid, rate: Rate, most: int) -> Iterator[Veto]:
    """Where a machine would be woken so late that it may not be Ready within maxNodeProvisionTime."""
    chosen = {member.key for member in bid.chosen}
    waiting = [m for m in bid.members if m.phase is Phase.OFF and counts(m) and m.key not in chosen]
    wakes = sorted(moment for member in bid.members for moment in member.switched.wakes)
    for member in (*waiting, *(each for each in bid.chosen if each.phase is not Phase.DRAINING)):  # which turns back
        turn = bid.now if len(wakes) < most else max(bid.now, wakes[-most] + rate.per)
        wakes.append(turn)
        if (
            member.key in chosen
            and turn > bid.now
            and turn + _boot(member, bid.policy) > bid.now + bid.policy.provision
        ):
            text = (
                f"{_wakes(rate)}: one of {len(bid.chosen)} would be woken{_at(turn)}, too late for maxNodeProvisionTime"
            )
            yield Veto(Reason.RATE_LIMIT, text, turn, f"{FIELD}.wakes", of_group=True)
            return


def _boot(member: Member, policy: Policy) -> timedelta:
    """How long it takes at most to come up, by its past."""
    return slowest_boot(member.boot_seconds) or policy.limits.boot


# --- offs -------------------------------------------------------------------------------------------


def off(machine: Among, now: datetime) -> Iterator[Veto]:
    """Forbidden to programs and schedules while as many went off within the span, or go down, as may."""
    rate = machine.policy.rate
    if rate is None or rate.rests is None or machine.phase not in MAY_BEGIN:
        return
    wish = machine.wish(now)
    wanted_off = wish is not None and wish.power is Power.OFF
    if wanted_off and by_person(wish):
        return
    ahead = _ahead(_key(machine), machine.traffic.going if wanted_off else machine.traffic.leaving)
    until = _room_at(machine.traffic.offs, rate.per, rate.rests - ahead)
    if ahead >= rate.rests:
        yield Veto(Reason.RATE_LIMIT, _rests(rate), None, f"{FIELD}.rests", of_group=True)
    elif until is not None and now < until:
        yield Veto(Reason.RATE_LIMIT, f"{_rests(rate)}{until_text(until)}", until, f"{FIELD}.rests", of_group=True)


def _ahead(key: Lookup, others: Sequence[Lookup]) -> int:
    """How many go before the machine, which is one of them or comes after all."""
    return others.index(key) if key in others else len(others)


def _room_at(moments: Sequence[datetime], per: timedelta, most: int) -> datetime | None:
    """When fewer than so many of the moments, oldest first, lie within the span; None: there were never so many."""
    return moments[-most] + per if 0 < most <= len(moments) else None


def ends(machine: Among, now: datetime) -> Iterator[datetime | None]:
    """When the wake's turn comes, and when a place for an off is free by time alone."""
    rate = machine.policy.rate
    if rate is None:
        return
    if machine.phase is Phase.OFF:
        yield turn_of(machine)
    elif machine.phase in MAY_BEGIN and rate.rests is not None:
        yield from (moment + rate.per for moment in machine.traffic.offs)


# --- in words ---------------------------------------------------------------------------------------


def _key(machine: Among) -> Lookup:
    return Lookup(machine.node.metadata.namespace, machine.node.metadata.name)


def _wakes(rate: Rate) -> str:
    return f"the group's rateLimit is {rate.wakes} wakes in {format_duration(rate.per)}"


def _rests(rate: Rate) -> str:
    return f"the group's rateLimit is {rate.rests} offs in {format_duration(rate.per)}, which are used up"


def _at(moment: datetime) -> str:
    return f" at {moment.isoformat(timespec='seconds')}"
