"""A machine whose drain was given up is left alone for a time. (A failed start is, too: that is no veto, see quarantine.)"""

from datetime import datetime

from hexa.domain.machine.lifecycle import Phase
from hexa.domain.machine.reason import Reason, Veto, until_text
from hexa.domain.rules.subject import Alone


def off(machine: Alone, now: datetime) -> tuple[Veto, ...]:
    """Forbidden until the cool-off ends."""
    status = machine.node.status
    until = status.cool_until
    if until is None or until <= now or status.phase != Phase.READY:
        return ()
    text = f"the last drain was given up ({status.blocker}); left alone{until_text(until)}"
    return (Veto(Reason.COOLING_OFF, text, until),)


def ends(machine: Alone, now: datetime) -> tuple[datetime, ...]:
    """The end of the cool-off after a drain."""
    status = machine.node.status
    return (status.cool_until,) if status.cool_until is not None and status.phase == Phase.READY else ()
