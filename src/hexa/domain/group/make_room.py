"""Which machine would make room for pods that fit nowhere else, so that the machine that they run on can go off.

A person asks for it (`spec.hold.makeRoom`, `hexa off --make-room`); without it the pods keep their machine on, and the machine that
would make room is named. Never above maxSize, which here counts the machines that are really on, and never one that is held off.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from msgspec import Struct

from hexa.domain.group.sizing import Member, candidates
from hexa.domain.machine.lifecycle import COMING, Phase
from hexa.domain.pods.drain import pod_name
from hexa.domain.pods.fitting import accepts, room, template_node
from hexa.domain.pods.left import few
from hexa.domain.pods.requests import requests
from hexa.domain.policy.policy import Policy
from hexa.domain.resources.core import Pod
from hexa.domain.resources.v1alpha1 import Lookup, Shape

ARRIVES: Final = timedelta(minutes=1)
"""So long a machine that has come may take until its room is seen."""
AWAY: Final = frozenset({Phase.OFF, Phase.UNKNOWN, Phase.START_FAILED})


class Offer(Struct, frozen=True):
    """A machine that may be woken, and what it will be."""

    key: Lookup
    shape: Shape
    kube_name: str = ""
    """Name of its Kubernetes node, where that is not its own."""
    group: Lookup | None = None
    places: int | None = None
    """How many machines of its group may be woken, by maxSize; None: any number."""


class Choice(Struct, frozen=True):
    """Whom to wake for pods, and the pods that even then fit nowhere."""

    wake: tuple[Lookup, ...] = ()
    left: tuple[Pod, ...] = ()


def offers(policy: Policy, members: Sequence[Member], shapes: Mapping[Lookup, Shape]) -> list[Offer]:
    """Machines of a group that may be woken to make room, the first to be taken first."""
    places = None if policy.max_size is None else policy.max_size - on(members)
    if places is not None and places <= 0:
        return []
    able = [member.key for member in candidates(members) if member.phase is Phase.OFF and not member.waits_for]
    return [Offer(key, shapes[key], places=places) for key in able if key in shapes]


def on(members: Iterable[Member]) -> int:
    """How many machines are on, or on their way, whatever is wanted of them."""
    return sum(member.phase not in AWAY or (member.wanted and member.phase is Phase.OFF) for member in members)


def full(policy: Policy, members: Sequence[Member]) -> bool:
    """Whether maxSize alone keeps a machine of the group from making room."""
    able = any(member.phase is Phase.OFF for member in candidates(members))
    return able and policy.max_size is not None and on(members) >= policy.max_size


def choose(pods: Iterable[Pod], offered: Sequence[Offer]) -> Choice:
    """The fewest machines, first fit, the largest pods first; of no group more than it has places for."""
    waiting, left = list(offered), list[Pod]()
    taken: dict[Lookup, _Room] = {}
    woken = Counter[Lookup | None]()
    for pod in sorted(pods, key=_cpu, reverse=True):
        if any(each.take(pod) for each in taken.values()):
            continue
        able = (offer for offer in waiting if offer.places is None or woken[offer.group] < offer.places)
        fresh = next((offer for offer in able if _Room(offer).take(pod)), None)
        if fresh is None:
            left.append(pod)
            continue
        waiting.remove(fresh)
        woken[fresh.group] += 1
        taken[fresh.key] = _Room(fresh)
        taken[fresh.key].take(pod)
    return Choice(tuple(taken), tuple(left))


def _cpu(pod: Pod) -> Decimal:
    return requests(pod).get("cpu", Decimal(0))


class _Room:
    """What is left of a machine that would be woken."""

    def __init__(self, offer: Offer) -> None:
        self._node = template_node(offer.kube_name or offer.key.name, offer.shape)
        self._free = room(self._node, {})

    def take(self, pod: Pod) -> bool:
        needs = requests(pod)
        if not accepts(self._node, self._free, pod, needs):
            return False
        for name, amount in needs.items():
            self._free[name] = self._free.get(name, Decimal(0)) - amount
        return True


def coming(member: Member, *, now: datetime) -> bool:
    """Whether a machine that was woken to make room may still help: on its way, or just there."""
    if not member.wanted:
        return False
    just = member.phase is Phase.READY and member.since is not None and now - member.since < ARRIVES
    return just or member.phase in COMING or (member.phase is Phase.OFF and not member.cooling)


def nobody(pods: Sequence[Pod], full_groups: Sequence[str]) -> str:
    """Why no machine makes room."""
    if full_groups:
        return f"maxSize of {', '.join(full_groups)} leaves no machine to make room: raise it, or move {few(_names(pods))} by hand"
    return f"no machine that could be woken has room for {few(_names(pods))}"


def _names(pods: Iterable[Pod]) -> list[str]:
    return [pod_name(pod) for pod in pods]
