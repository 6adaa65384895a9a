"""A hold: a person's word over a machine or its group for a time. It is a wish of its own, and forbids the opposite."""

from datetime import datetime

from hexa.domain.machine.reason import Reason, Veto, because_text, until_text
from hexa.domain.policy.values import active_hold, power_of
from hexa.domain.resources.v1alpha1 import Hold, Power
from hexa.domain.rules.subject import Alone

FIELD = "spec.hold"


def off(machine: Alone, now: datetime) -> tuple[Veto, ...]:
    """Forbidden while it is held on."""
    return _veto(machine, Power.ON, now)


def on(machine: Alone, now: datetime) -> tuple[Veto, ...]:
    """Barred while it is held off."""
    return _veto(machine, Power.OFF, now)


def _veto(machine: Alone, to: Power, now: datetime) -> tuple[Veto, ...]:
    said, said_of_group = machine.node.spec.hold, machine.policy.hold
    if said is None and said_of_group is None:
        return ()
    own = active_hold(said, now=now)
    hold = own or active_hold(said_of_group, now=now)
    if hold is None or power_of(hold.power) is not to:
        return ()
    text = f"held {to}{until_text(hold.until)}{because_text(hold.reason)}"
    return (Veto(Reason.HOLD, text, hold.until, FIELD, own is None),)


def ends(machine: Alone, now: datetime) -> tuple[datetime | None, ...]:
    """The machine's hold, and its group's."""
    own, group = machine.node.spec.hold, machine.policy.hold
    if own is None and group is None:
        return ()
    return tuple(hold.until for hold in (own, group) if hold is not None)


def keeps_off(own: Hold | None, of_group: Hold | None, *, now: datetime) -> bool:
    """Whether a person holds the machine off; its own hold counts before its group's."""
    hold = active_hold(own, now=now) or active_hold(of_group, now=now)
    return hold is not None and power_of(hold.power) is Power.OFF


def expected(minimum: int, *, machines: int, held_off: int) -> int:
    """How many of a group's machines are missed if they are not Ready: minSize, or all that no person holds off."""
    return min(minimum, max(machines - held_off, 0))
