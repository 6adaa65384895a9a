"""Spares: so many idle machines are kept on, so that pods need not wait for a boot.

An idle machine is up, open to pods and runs none that a drain would move. One that gets work is no spare any more, and another is
woken. Spares are within maxSize, and a person's word passes.

Cluster Autoscaler takes spares for room: it would move the pods of a machine that is little used onto one, hexa would wake another
spare, and so on for ever. So a machine that serves stays for some hours after a spare was woken, also while more are idle than
spares is: those go first, and if a machine that serves went at the same time, a spare would be missing again.

What runs on machines is known by a watch of bound pods, which is held only where a group has spares; until it was held once, every
machine that is up counts as idle: the first of them stay on, and none is woken.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final

from hexa.domain.group.member import NOT_UP, Member
from hexa.domain.group.sizing import counts, fitting, room_for, to_be_idle
from hexa.domain.machine.lifecycle import Phase
from hexa.domain.machine.reason import Reason, Veto, until_text
from hexa.domain.policy.policy import Policy
from hexa.domain.resources.v1alpha1 import Lookup, Power
from hexa.domain.rules.proof import by_person
from hexa.domain.rules.subject import Among
from hexa.domain.rules.traffic import Traffic

SETTLES: Final = timedelta(hours=6)
"""So long after a spare was woken machines that serve stay: a quarter of a day bounds what pods that move cost in cycles. A spare
that was woken by a clock that is set back since counts no longer than twice as long."""
ON_ITS_WAY: Final = NOT_UP | {Phase.DRAINING, Phase.POWERING_OFF, Phase.STOP_FAILED}
"""Phases of a machine that is wanted on as a spare and comes to be one, those of one that was going down among them: without them
another would be woken beside it, one too many, which Cluster Autoscaler takes off, and so on for ever."""


def off(machine: Among, now: datetime) -> Iterator[Veto]:
    """Forbidden to programs and schedules while it is one of the spares, or its pods would only take a spare's place."""
    if machine.policy.spares is None or machine.phase is not Phase.READY:
        return
    metadata, wish = machine.node.metadata, machine.wish(now)
    if wish is not None and wish.power is Power.OFF and by_person(wish):
        return
    found, key = kept(machine.policy, machine.traffic), Lookup(metadata.namespace, metadata.name)
    settled = settled_at(machine)
    if key in machine.traffic.working and settled is not None and now < settled <= now + 2 * SETTLES:
        text = f"a spare was woken a short time ago, and its pods would take the place of another{until_text(settled)}"
        yield Veto(Reason.SPARE, text, settled, "spec.spares", of_group=True)
    if key in found:
        text = f"it is one of {len(found)} idle machines that the group keeps on for pods to come"
        setter = machine.policy.by.get("spares")
        field, until = (setter.field, setter.end) if setter is not None else ("spec.spares", None)
        yield Veto(Reason.SPARE, f"{text}{setter or ''}", until, field, of_group=True)


def settled_at(machine: Among) -> datetime | None:
    """Until when machines of the group that serve stay; None: as far as spares go, they need not."""
    if machine.policy.spares is None or machine.traffic.refilled is None:
        return None
    return machine.traffic.refilled + SETTLES


def kept(policy: Policy, traffic: Traffic) -> Sequence[Lookup]:
    """The spares among the machines that are idle: those that are up for the longest, and no more than maxSize leaves beside those
    that serve."""
    if policy.spares is None:
        return ()
    wanted = policy.spares.of(traffic.size)
    room = wanted if policy.max_size is None else max(policy.max_size - traffic.busy, 0)
    return traffic.idle[: min(wanted, room)]


def to_spare(policy: Policy, members: Sequence[Member]) -> list[Member]:
    """Machines to wake so that there are as many spares as the group wants, those counted that are on their way to be one. (What
    Cluster Autoscaler asks for is for pods that wait.)"""
    if policy.spares is None:
        return []
    idle = sum(
        member.vacant or (to_be_idle(member) and counts(member) and member.phase in ON_ITS_WAY) for member in members
    )
    missing = policy.spares.of(len(members)) - idle
    return fitting(policy, members)[: max(missing, 0)][: room_for(policy, members)]
