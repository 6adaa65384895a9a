"""Cycles a day: after `maxCyclesPerDay` offs within 24 hours a machine stays on until the first of them is a day old.

Each off and on wears disks, fans and power supplies; demand that comes and goes every few minutes would switch a machine all day.
Every off of hexa counts, whoever asked for it. A person's word passes.
"""

from datetime import datetime, timedelta
from typing import Final

from hexa.domain.machine.lifecycle import Phase
from hexa.domain.machine.reason import Reason, Veto, until_text
from hexa.domain.machine.wish import effective_wish
from hexa.domain.resources.v1alpha1 import Power
from hexa.domain.rules.proof import by_person
from hexa.domain.rules.subject import Alone

DAY: Final = timedelta(days=1)
BEGUN: Final = frozenset({Phase.DRAINING, Phase.POWERING_OFF, Phase.STOP_FAILED, Phase.OFF})
"""An off that was begun is not taken back."""


def off(machine: Alone, now: datetime) -> tuple[Veto, ...]:
    """Forbidden to programs and schedules while the offs of a day are used up."""
    until = stays_until(machine)
    if until is None or until <= now or machine.node.status.phase in BEGUN:
        return ()
    wish = effective_wish(machine.node, machine.policy, now=now)
    if wish is not None and wish.power is Power.OFF and by_person(wish):
        return ()
    most = machine.limits.max_cycles_per_day
    times = "once" if most == 1 else f"{most} times"
    text = f"it was switched off {times} within a day, and stays on{until_text(until)}"
    return (Veto(Reason.MAX_CYCLES, text, until, "spec.maxCyclesPerDay", machine.node.spec.max_cycles_per_day is None),)


def stays_until(machine: Alone) -> datetime | None:
    """When the first of its last offs is a day old; None: there were not so many."""
    most, offs = machine.limits.max_cycles_per_day, machine.node.status.switched.offs
    return offs[-most] + DAY if most is not None and len(offs) >= most else None
