"""A pause: a machine that is only watched for a time."""

from datetime import datetime

from hexa.domain.machine.reason import Reason, Veto, because_text, until_text
from hexa.domain.machine.wish import paused
from hexa.domain.rules.subject import Alone

FIELD = "spec.paused"


def veto(machine: Alone, now: datetime) -> tuple[Veto, ...]:
    """Against an off and a wake alike."""
    pause = paused(machine.node, now=now)
    if pause is None:
        return ()
    return (Veto(Reason.PAUSED, f"paused{until_text(pause.until)}{because_text(pause.reason)}", pause.until, FIELD),)


def ends(machine: Alone, now: datetime) -> tuple[datetime | None, ...]:
    """The end of the pause."""
    pause = machine.node.spec.paused
    return () if pause is None else (pause.until,)
