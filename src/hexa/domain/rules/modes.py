"""Mode: what a group wants of all its machines, beneath a person's hold. AlwaysOn keeps each on, AlwaysOff wakes none; Observe does
nothing to any.

The wish itself comes from the policy (`Policy.wanted`); here stands what it forbids, so that Cluster Autoscaler is told in advance.
What becomes of a machine that is only observed is decided in `decide.watching`.
"""

from datetime import datetime

from hexa.domain.machine.reason import Reason, Veto
from hexa.domain.machine.wish import held
from hexa.domain.resources.group_values import Mode
from hexa.domain.resources.v1alpha1 import Power
from hexa.domain.rules.subject import Alone

FIELD = "spec.mode"


def off(machine: Alone, now: datetime) -> tuple[Veto, ...]:
    """Forbidden to programs while the group wants its machines on."""
    return _veto(machine, Power.ON, now) if machine.policy.mode is not Mode.AUTO else ()


def on(machine: Alone, now: datetime) -> tuple[Veto, ...]:
    """Barred while it wants them off."""
    return _veto(machine, Power.OFF, now) if machine.policy.mode is not Mode.AUTO else ()


def observe(machine: Alone, now: datetime) -> tuple[Veto, ...]:
    """Against an off and a wake alike, a person's hold too."""
    if machine.policy.mode is not Mode.OBSERVE:
        return ()
    return (Veto(Reason.OBSERVE, "its group only observes (mode Observe)", None, FIELD, of_group=True),)


def _veto(machine: Alone, to: Power, now: datetime) -> tuple[Veto, ...]:
    policy = machine.policy
    if policy.wanted is not to or held(machine.node, policy, now=now) is not None:
        return ()
    setter, text = policy.by.get("mode"), f"the mode of the group is {policy.mode}"
    if setter is not None:
        return (Veto(Reason.MODE, f"{text}{setter}", setter.end, setter.field, of_group=True),)
    return (Veto(Reason.MODE, text, None, FIELD, of_group=True),)
