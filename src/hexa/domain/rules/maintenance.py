"""Maintenance that somebody else tells of on a machine's Kubernetes node, by Kubernetes' own conditions: planned, no program wakes
it and it rests first; in progress, nobody switches it, and hexa only watches it.

What is True counts. Doubt whether it is in progress keeps the machine from being switched off, and from nothing else. A node on
which one of these stands is not deleted while its machine is off: the word would go with it.
"""

from collections.abc import Iterator
from datetime import datetime

from hexa.domain.machine.kube_conditions import MAINTENANCE, PLANNED, by_others, in_words, not_denied
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


def against_off(machine: Among, now: datetime) -> tuple[Veto, ...]:
    """Whoever wants it, and in doubt too."""
    return _veto(machine.kube, not_denied(machine.kube, MAINTENANCE))


def against_wake(machine: Among, now: datetime) -> tuple[Veto, ...]:
    """Whoever wants it; not in doubt, for a wake takes nothing from anybody's pods."""
    return _veto(machine.kube, by_others(machine.kube, MAINTENANCE))


def _veto(kube: KubeNode | None, said: Condition | None) -> tuple[Veto, ...]:
    if kube is None or said is None:
        return ()
    text = "it is being maintained" if said.status == "True" else "nobody knows whether it is being maintained"
    return (Veto(Reason.MAINTENANCE, f"{text}, {_where(kube, said)}"),)


def awaits(machine: Waiting) -> Iterator[tuple[str, None]]:
    """Its end: until then the machine is only watched."""
    said = by_others(machine.kube, MAINTENANCE)
    if said is not None and machine.kube is not None:
        yield f"the end of its maintenance, {_where(machine.kube, said)}; until then it is only watched", None


def hands_off(kube: KubeNode | None) -> bool:
    """Whether somebody works at the machine."""
    return by_others(kube, MAINTENANCE) is not None


def word_stands(kube: KubeNode) -> bool:
    """Whether something is said on the node that must not go with it."""
    return by_others(kube, PLANNED) is not None or not_denied(kube, MAINTENANCE) is not None


def _where(kube: KubeNode, said: Condition) -> str:
    return f"by the condition {said.type} of Kubernetes node {kube.metadata.name}{in_words(said)}"
