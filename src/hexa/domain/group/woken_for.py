"""How often a machine was woken for a pod: written on the machine in the same patch as the wish, so that no restart forgets it.

A pod keeps its uid while it waits, so whoever waits still has had no use of the wakes before.
"""

import json
from collections.abc import Iterable, Sequence
from typing import Any, Final

import msgspec
from msgspec import Struct

from hexa.domain.names import WOKEN_FOR_ANNOTATION
from hexa.domain.pods.drain import pod_name
from hexa.domain.pods.pending import Pending
from hexa.domain.resources.core import UNREADABLE
from hexa.domain.resources.v1alpha1 import Node

MOST_WAKES: Final = 2
"""A machine is woken so often for one pod. After that the pod waits for something else than the machine."""
MOST_PODS: Final = 20
"""So many pods are written down: the annotation stays small."""


class Woken(Struct, frozen=True):
    """A pod that the machine was woken for."""

    uid: str
    pod: str
    """NAMESPACE/NAME."""
    wakes: int = 1


def woken_for(node: Node) -> dict[str, Woken]:
    """By uid of the pod; what does not decode counts as none."""
    text = node.metadata.annotations.get(WOKEN_FOR_ANNOTATION)
    if not text:
        return {}
    try:
        return {each.uid: each for each in msgspec.json.decode(text, type=tuple[Woken, ...])}
    except UNREADABLE:
        return {}


class NextWake(Struct, frozen=True):
    """The pods that a machine may be woken for once more."""

    pods: tuple[Pending, ...]
    beside: dict[str, Any]
    """The change of metadata that counts it, to be stored in the same patch as the wish."""


def next_wake(node: Node, waiting: Sequence[Pending]) -> NextWake | None:
    """One more wake for those of the pods that had fewer than `MOST_WAKES`; None: there is none. `waiting`: all that wait for the
    machine; what was written down of others is forgotten. Where more wait than can be written down, the rest has its turn later."""
    known = woken_for(node)
    rows = {each.uid: known[each.uid] for each in waiting if each.uid in known}
    chosen = list[Pending]()
    for each in waiting:
        wakes = known[each.uid].wakes if each.uid in known else 0
        if wakes < MOST_WAKES and (each.uid in rows or len(rows) < MOST_PODS):
            rows[each.uid] = Woken(each.uid, pod_name(each.pod), wakes + 1)
            chosen.append(each)
    if not chosen:
        return None
    text = json.dumps([msgspec.to_builtins(row) for row in rows.values()], sort_keys=True)
    return NextWake(tuple(chosen), {"metadata": {"annotations": {WOKEN_FOR_ANNOTATION: text}}})


def in_vain(node: Node, waiting: Iterable[Pending]) -> list[Pending]:
    """Of the pods those that the machine was woken for as often as it is, and that wait still."""
    known = woken_for(node)
    return [each for each in waiting if each.uid in known and known[each.uid].wakes >= MOST_WAKES]
