"""The one decision about room for pods that keep a machine on which a person wants off: which machine is woken for them next, or
what is told. Whoever calls carries the answer out and asks again, until it is `Tell`.

It is a table: the first row that has something to do decides. Nothing here waits, reads or writes.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Final

from msgspec import Struct, structs

from hexa.domain.decide.saved import about
from hexa.domain.group.make_room import Offer, choose, coming, full, nobody, offers
from hexa.domain.group.sizing import Member
from hexa.domain.group_view import GroupView
from hexa.domain.machine.lifecycle import Phase
from hexa.domain.machine.reason import Reason
from hexa.domain.machine_view import MachineView
from hexa.domain.news import News, What
from hexa.domain.resources.core import Pod
from hexa.domain.resources.v1alpha1 import Asker, Lookup, Power, WishRecord


class Lender(Struct, frozen=True, kw_only=True):
    """A group that may lend a machine."""

    group: GroupView
    machines: tuple[MachineView, ...]
    members: Sequence[Member]
    """The same machines as sizing sees them."""


class RoomObserved(Struct, frozen=True, kw_only=True):
    """What is known of pods that fit nowhere else."""

    now: datetime
    leaving: MachineView
    """The machine that they run on."""
    pods: tuple[Pod, ...]
    woken: tuple[Member, ...]
    """Machines that were woken for them before."""
    lenders: tuple[Lender, ...] | None = None
    """Groups that may lend a machine, the first to be asked first; None: not read yet."""
    chosen: tuple[Lookup, ...] | None = None
    """Machines that are to be woken yet; None: none was chosen."""
    asked: tuple[str, ...] = ()
    """Names of those that were woken by now."""


class ReadLenders(Struct, frozen=True, tag=True):
    """Read the groups that may lend a machine, and decide again."""


class WakeForRoom(Struct, frozen=True, tag=True):
    """Store the wish on the machine, then tell the news. Under the lock of its group it is decided again: Cluster Autoscaler may
    just have been given the machine."""

    key: Lookup
    wish: WishRecord
    news: News
    lock: Lookup
    then: tuple[Lookup, ...]
    """Machines that are to be woken after it."""


class Tell(Struct, frozen=True, tag=True):
    """What is being done, or why nothing is."""

    text: str


RoomDecision = ReadLenders | WakeForRoom | Tell


def decide_room(observed: RoomObserved) -> RoomDecision:
    """What is to be done for the pods next. Ask again after it is done."""
    for row in ROWS:
        if (decision := row(observed)) is not None:
            return decision
    raise AssertionError("the last row always decides")


def lending(groups: Iterable[GroupView], leaving: MachineView) -> list[GroupView]:
    """Groups that may lend a machine for the pods of another, its own first."""
    own = leaving.group.key if leaving.group is not None else None
    return sorted((group for group in groups if group.valid and not group.released), key=lambda group: group.key != own)


def offered(lenders: Iterable[Lender], leaving: MachineView) -> list[Offer]:
    """Machines that may be woken for the pods of another, the first to be taken first."""
    return [offer for lender in lenders for offer in _offers(lender, leaving)]


def full_groups(lenders: Iterable[Lender]) -> list[str]:
    """Groups that have a machine to wake, and whose maxSize forbids it."""
    return [str(lender.group.key) for lender in lenders if full(lender.group.policy, lender.members)]


def _offers(lender: Lender, leaving: MachineView) -> list[Offer]:
    shapes = {m.key: m.shape for m in lender.machines if m.shape is not None and m.key != leaving.key}
    names = {m.key: m.kube_name for m in lender.machines}
    found = offers(lender.group.policy, lender.members, shapes)
    return [structs.replace(offer, kube_name=names[offer.key], group=lender.group.key) for offer in found]


# --- the rows ---------------------------------------------------------------------------------------


def _on_its_way(observed: RoomObserved) -> RoomDecision | None:
    """A machine that was woken for them before is waited for."""
    if observed.chosen is not None:
        return None
    names = [member.key.name for member in observed.woken if coming(member, now=observed.now)]
    return _woken(names) if names else None


def _read(observed: RoomObserved) -> RoomDecision | None:
    return ReadLenders() if observed.lenders is None else None


def _wake(observed: RoomObserved) -> RoomDecision | None:
    """The next of those that were chosen and may still be woken."""
    lenders, leaving = observed.lenders or (), observed.leaving
    chosen = observed.chosen if observed.chosen is not None else _choice(observed, lenders)
    may = {offer.key: lender for lender in lenders for offer in _offers(lender, leaving)}
    for place, key in enumerate(chosen):
        if key in may:
            return _wake_for(observed, key, may[key], then=chosen[place + 1 :])
    return None


def _choice(observed: RoomObserved, lenders: tuple[Lender, ...]) -> tuple[Lookup, ...]:
    """Whom the pods need; nobody where as many came as there are pods, and their room was not enough."""
    up = sum(member.phase is Phase.READY for member in observed.woken)
    return () if up >= len(observed.pods) else choose(observed.pods, offered(lenders, observed.leaving)).wake


def _wake_for(observed: RoomObserved, key: Lookup, lender: Lender, *, then: tuple[Lookup, ...]) -> WakeForRoom:
    leaving = observed.leaving.key
    machine = next(each for each in lender.machines if each.key == key)
    wish = WishRecord(
        power=Power.ON, by=Asker.RECOVERY, reason=Reason.MAKES_ROOM, since=observed.now, makes_room_for=str(leaving)
    )
    text = f"wanted on: pods of {leaving.name}, which shall be off, fit nowhere else"
    news = about(machine, What.MAKES_ROOM, text, by=Asker.RECOVERY)
    return WakeForRoom(key, wish, news, lender.group.key, then)


def _tell(observed: RoomObserved) -> RoomDecision | None:
    if observed.asked:
        return _woken(observed.asked)
    if observed.chosen is not None:  # others were quicker
        return Tell("a machine that makes room is being looked for")
    return Tell(nobody(observed.pods, full_groups(observed.lenders or ())))


def _woken(names: Iterable[str]) -> Tell:
    return Tell(f"{', '.join(names)} is woken to make room")


ROWS: Final[tuple[Callable[[RoomObserved], RoomDecision | None], ...]] = (_on_its_way, _read, _wake, _tell)
"""What may be to do for the pods, the first thing first; the last row always has an answer."""
