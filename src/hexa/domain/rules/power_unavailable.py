"""A machine that nothing can switch in a direction, or whose power button must not be pressed now."""

from datetime import datetime

from hexa.domain.machine.button import wake_withheld
from hexa.domain.machine.lifecycle import COMING, phase_of
from hexa.domain.machine.reason import Reason, Veto
from hexa.domain.power.ways import lacks
from hexa.domain.rules.subject import Alone


def off(machine: Alone, now: datetime) -> tuple[Veto, ...]:
    """Forbidden, with what is missing."""
    missing = lacks(machine.node, "off", image_known=machine.image_known)
    return (Veto(Reason.POWER_OFF_UNAVAILABLE, missing),) if missing else ()


def on(machine: Alone, now: datetime) -> tuple[Veto, ...]:
    """Barred, with what is missing."""
    missing = lacks(machine.node, "on", image_known=machine.image_known)
    return (Veto(Reason.POWER_ON_UNAVAILABLE, missing),) if missing else ()


def button(machine: Alone, now: datetime) -> tuple[Veto, ...]:
    """A second press would switch off what may be on. One that is on its way has had its press."""
    why = wake_withheld(machine.node)
    if not why or phase_of(machine.node.status) in COMING:
        return ()
    return (Veto(Reason.BUTTON_PRESSED, why),)
