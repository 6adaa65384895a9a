"""Shortest times: a machine that came up stays up for `minOnTime`, and one that went dark within `minOffTime` is woken last.

Switching wears disks, fans and power supplies. A person's word passes the first; pods that wait pass the second.
"""

from datetime import datetime

from hexa.domain.machine.lifecycle import Phase
from hexa.domain.machine.reason import Reason, Veto, until_text
from hexa.domain.machine.wish import effective_wish
from hexa.domain.resources.v1alpha1 import Power
from hexa.domain.rules.proof import by_person
from hexa.domain.rules.subject import Alone


def off(machine: Alone, now: datetime) -> tuple[Veto, ...]:
    """Forbidden to programs and schedules until it was up for its time."""
    until = up_until(machine)
    if until is None or until <= now:
        return ()
    wish = effective_wish(machine.node, machine.policy, now=now)
    if wish is not None and wish.power is Power.OFF and by_person(wish):
        return ()
    text = f"it came up a short time ago, and stays up{until_text(until)}"
    return (Veto(Reason.MIN_ON_TIME, text, until, "spec.minOnTime", machine.node.spec.min_on_time is None),)


def up_until(machine: Alone) -> datetime | None:
    """The end of its time up; None: it has none, or is not Ready."""
    status, least = machine.node.status, machine.limits.min_on_time
    if least is None or status.phase != Phase.READY or status.last_startup_time is None:
        return None
    return status.last_startup_time + least


def last(machine: Alone, now: datetime) -> tuple[Veto, ...]:
    """Woken after all others until it was dark for its time."""
    until = dark_until(machine)
    if until is None or until <= now:
        return ()
    text = f"it went dark a short time ago, and is woken after all others{until_text(until)}"
    return (Veto(Reason.MIN_OFF_TIME, text, until, "spec.minOffTime", machine.node.spec.min_off_time is None),)


def dark_until(machine: Alone) -> datetime | None:
    """The end of its time off; None: it has none, or is not off."""
    status, least = machine.node.status, machine.limits.min_off_time
    return (
        status.since + least if least is not None and status.phase == Phase.OFF and status.since is not None else None
    )
