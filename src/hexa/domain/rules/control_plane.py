"""A control-plane member is never switched off by hexa, unless its group allows it."""

from datetime import datetime

from hexa.domain.machine.reason import Reason, Veto
from hexa.domain.rules.subject import Alone

TEXT = "the Kubernetes node is a control-plane member; move it out of the group"


def off(machine: Alone, now: datetime) -> tuple[Veto, ...]:
    """Forbidden where the group does not allow control-plane members."""
    if not machine.control_plane or machine.policy.allow_control_plane:
        return ()
    return (Veto(Reason.CONTROL_PLANE, TEXT),)
