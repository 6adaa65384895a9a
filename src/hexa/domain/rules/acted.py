"""What is acted on: the wish, unless a rule of high rank forbids it."""

from collections.abc import Iterable
from datetime import datetime
from typing import Final

from hexa.domain.machine.lifecycle import Phase, phase_of
from hexa.domain.machine.power_job import current
from hexa.domain.machine.reason import Veto
from hexa.domain.machine.wish import PROGRAMS, UP, effective_wish
from hexa.domain.policy.policy import Policy
from hexa.domain.resources.v1alpha1 import Node, NodeStatus, Power, Reading, WishRecord
from hexa.domain.rules.judge import forbidden
from hexa.domain.rules.rule import Rank

SERVES: Final = frozenset({Phase.READY, Phase.DRAINING})
"""Phases in which a machine that runs goes on to."""


def acted_power(
    node: Node, policy: Policy, *, vetoes: Iterable[Veto], now: datetime, serves: bool = True
) -> Power | None:
    """What to act on: the wish, unless safety forbids it. `vetoes`: those against an off; `serves`: its node is Ready."""
    wish, status, phase = effective_wish(node, policy, now=now), node.status, phase_of(node.status)
    if wish is None or wish.power is Power.ON:
        return None if wish is None else wish.power
    stand = tuple(vetoes)
    if forbidden(stand, Rank.SAFETY):
        return Power.ON if phase in (UP if _own(stand) else SERVES if serves else ()) else None
    if forbidden(stand, Rank.STAYS):
        begun = phase is Phase.POWERING_OFF and current(status) is not None
        return Power.ON if phase in (Phase.DRAINING, Phase.POWERING_OFF) and not begun else None
    patient = status.failures < policy.limits.attempts
    return None if patient and _found_booting(status, wish, now=now) else Power.OFF


def _own(vetoes: Iterable[Veto]) -> bool:
    """Safety forbids it to this machine, not to all of them: those are not woken for it."""
    return forbidden((veto for veto in vetoes if not veto.of_site), Rank.SAFETY)


def _found_booting(status: NodeStatus, wish: WishRecord, *, now: datetime) -> bool:
    """A boot that we did not start, that only a sensor shows, and that nobody asked to end since it was seen: perhaps a machine
    that failed to start and was replaced, in a file-system check or a firmware update. It is left to come up before it rests.
    (Without a sensor it is a living kubelet that shows it: that is no firmware update.)"""
    if phase_of(status) is not Phase.BOOTING or status.wakes > 0 or wish.by not in PROGRAMS:
        return False
    if status.reading.power is not Reading.ON:
        return False
    asked = wish.since
    return asked is None or status.since is None or asked <= status.since or asked > now  # then: the clock was set back
