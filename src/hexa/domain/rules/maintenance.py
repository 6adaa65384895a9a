"""Maintenance that somebody else tells of on a machine's Kubernetes node, by Kubernetes' own conditions: planned, no program wakes
it and it rests first; in progress, nobody switches it, and hexa only watches it.

Only what is True counts. A node on which either stands is not deleted while its machine is off: the word would go with it.
"""

from collections.abc import Iterator
from datetime import datetime

from hexa.domain.machine.kube_conditions import MAINTENANCE, PLANNED, by_others, in_words
from hexa.domain.machine.reason import Reason, Veto
from hexa.domain.resources.core import Condition, KubeNode
from hexa.domain.resources.v1alpha1 import Power
from hexa.domain.rules.battery import BY_HAND
from hexa.domain.rules.subject import Among, Waiting


def planned(machine: Among, now: datetime) -> tuple[Veto, ...]:
    """No program wakes it; a person does."""
    said = by_others(machine.kube, PLANNED)
    if said is None or machine.kube is None:
        return ()
    wish = machine.wish(now)
    if wish is not None and wish.power is Power.ON and wish.by in BY_HAND:
        return ()
    return (Veto(Reason.MAINTENANCE_PLANNED, f"maintenance is planned, {_where(machine.kube, said)}"),)


def in_progress(machine: Among, now: datetime) -> tuple[Veto, ...]:
    """Against an off and a wake alike, whoever wants it."""
    said = by_others(machine.kube, MAINTENANCE)
    if said is None or machine.kube is None:
        return ()
    return (Veto(Reason.MAINTENANCE, f"it is being maintained, {_where(machine.kube, said)}"),)


def awaits(machine: Waiting) -> Iterator[tuple[str, None]]:
    """Its end: until then the machine is only watched."""
    said = by_others(machine.kube, MAINTENANCE)
    if said is not None and machine.kube is not None:
        yield f"the end of its maintenance, {_where(machine.kube, said)}; until then it is only watched", None


def hands_off(kube: KubeNode | None) -> bool:
    """Whether somebody works at the machine."""
    return by_others(kube, MAINTENANCE) is not None


def _where(kube: KubeNode, said: Condition) -> str:
    return f"by the condition {said.type} of Kubernetes node {kube.metadata.name}{in_words(said)}"
