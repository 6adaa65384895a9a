"""What a circuit has for each of its machines: watts that are free, and when the next wake may begin.

A machine counts with the watts that it may draw at most while it is on, on its way up, or while nobody knows; one that is off
counts with what it draws then. What is wanted on and still off has its watts promised, in the order of `Load.line`. A machine that
says no watts counts as the largest that is known of the circuit, and as the whole circuit where none is.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol, TypeVar

from msgspec import Struct

from hexa.domain.machine.inrush import LATE, began_to_draw, may_draw
from hexa.domain.machine.lifecycle import Phase, phase_of
from hexa.domain.machine.wish import UNASKED
from hexa.domain.money.rates import Rates
from hexa.domain.policy.circuits import Circuit
from hexa.domain.resources.v1alpha1 import Asker, Lookup, Node, Power, WishRecord

SLACK: Final = 1e-6
"""Watts: sums of fractions are not exact."""
_NEVER: Final = datetime.min.replace(tzinfo=UTC)

Line = tuple[int, datetime, str]


class Load(Struct, frozen=True, kw_only=True):
    """A machine as the others of its circuit see it."""

    key: Lookup
    watts: float | None = None
    """That it draws at most; None: it does not say."""
    off_watts: float = 0.0
    draws: bool = True
    """It is on, on its way up, or nobody knows."""
    up: bool = False
    """Ready: no wake of it is to come."""
    asked: int | None = None
    """It is off, wanted on, and nothing of its own forbids to wake it: a person's word before a program's. None: it is not."""
    since: datetime | None = None
    """Of that wish."""
    woken: datetime | None = None
    """When it last began to draw."""

    @property
    def line(self) -> Line:
        """The order in which watts are promised, and in which wakes begin that wait."""
        return self.asked or 0, self.since or _NEVER, str(self.key)


def load_of(key: Lookup, node: Node, rates: Rates, *, wish: WishRecord | None, able: bool) -> Load:
    """The machine as others of its circuit see it. `able`: nothing of its own forbids to wake it."""
    status, draws = node.status, may_draw(node.status)
    asked = able and not draws and wish is not None and wish.power is Power.ON
    return Load(
        key=key,
        watts=rates.max_watts or None,
        off_watts=rates.off_watts,
        draws=draws,
        up=phase_of(status) is Phase.READY,
        asked=_rank(wish) if asked and wish is not None else None,
        since=wish.since if asked and wish is not None else None,
        woken=began_to_draw(status),
    )


def _rank(wish: WishRecord) -> int:
    """A person's word before a program's, and last what nobody asked for."""
    if wish.reason in UNASKED:
        return 3
    return {Asker.HOLD: 0, Asker.USER: 1}.get(wish.by, 2)


class Place(Struct, frozen=True, kw_only=True):
    """What a circuit has for one machine."""

    circuit: Circuit
    watts: float
    """With which it counts there."""
    declared: bool = True
    needs: float = 0.0
    """Watts that it would add; none where it draws them, or they are promised to it."""
    room: float = 0.0
    """Watts that are neither drawn nor promised to others."""
    over: bool = False
    """It counts as drawing, and all that do draw more than the circuit bears: somebody else switched machines on."""
    due: datetime | None = None
    """No wake of it begins before, because of those that were begun; None: it waits for none."""
    ahead: int = 0
    """Machines that are woken before it, if all goes well."""

    @property
    def full(self) -> bool:
        """Whether the machine can't be woken for want of watts."""
        return self.needs > self.room + SLACK

    @property
    def alone_too_large(self) -> bool:
        """Whether the machine by itself draws more than the circuit bears."""
        return self.watts > self.circuit.watts + SLACK

    @property
    def gap(self) -> timedelta:
        """Between the stamps of two wakes."""
        return gap(self.circuit)

    def slots(self, now: datetime, *, within: timedelta) -> int | None:
        """How many more wakes can begin within that span; None: as many as there are."""
        if not self.gap:
            return None
        first = max(self.due or now, now) + self.ahead * self.gap
        return max((now + within - first) // self.gap + 1, 0) if first <= now + within else 0


def gap(circuit: Circuit) -> timedelta:
    """Between the stamps of two wakes: wide enough that their Jobs are as far apart as the circuit says."""
    return circuit.spacing + LATE if circuit.spacing else timedelta(0)


def places(circuit: Circuit, loads: Collection[Load]) -> dict[Lookup, Place]:
    """What the circuit has for each of its machines."""
    largest = max((load.watts for load in loads if load.watts is not None), default=circuit.watts)
    most = {load.key: largest if load.watts is None else load.watts for load in loads}
    adds = {load.key: max(most[load.key] - load.off_watts, 0.0) for load in loads}
    room = circuit.watts - sum(most[load.key] if load.draws else load.off_watts for load in loads)
    over = room < -SLACK
    waiting = sorted((load for load in loads if not load.draws and load.asked is not None), key=lambda load: load.line)
    promised: dict[Lookup, int] = {}
    for load in waiting:
        if adds[load.key] <= room + SLACK:
            room -= adds[load.key]
            promised[load.key] = len(promised)
    stamps = _latest_two(loads)
    return {
        load.key: Place(
            circuit=circuit,
            watts=most[load.key],
            declared=load.watts is not None,
            needs=0.0 if load.draws or load.key in promised else adds[load.key],
            room=0.0 if load.draws or load.key in promised else room,
            over=over and load.draws and not load.up,
            due=None if load.up else _due(circuit, load, stamps),
            ahead=0 if load.draws else promised.get(load.key, len(promised)),
        )
        for load in loads
    }


Stamp = tuple[datetime, Lookup]


def _latest_two(loads: Iterable[Load]) -> list[Stamp]:
    """The last two machines that began to draw: of any machine, one of them is another."""
    stamps = ((load.woken, load.key) for load in loads if load.woken is not None)
    return sorted(stamps, key=lambda stamp: (stamp[0], str(stamp[1])))[-2:]


def _due(circuit: Circuit, load: Load, stamps: Sequence[Stamp]) -> datetime | None:
    others = [at for at, key in stamps if key != load.key]
    return max(others) + gap(circuit) if others and circuit.spacing else None


def slots(places: Iterable[Place], *, within: timedelta, now: datetime) -> int | None:
    """How many more wakes can begin within the span, where a circuit spaces them; None: as many as there are."""
    return min((found for place in places if (found := place.slots(now, within=within)) is not None), default=None)


# --- several at once ------------------------------------------------------------------------------------


class Bid(Protocol):
    """A machine that may be chosen."""

    @property
    def key(self) -> Lookup: ...
    @property
    def phase(self) -> Phase: ...
    @property
    def wanted(self) -> bool: ...
    @property
    def places(self) -> tuple[Place, ...]: ...
    @property
    def waits_for(self) -> tuple[str, ...]: ...
    @property
    def slots(self) -> int | None:
        """How many wakes of its circuit may still begin in time, its own included; None: any number."""


B = TypeVar("B", bound=Bid)


def begins(bid: Bid) -> bool:
    """It is off, and a wake of it would be a new one."""
    return bid.phase is Phase.OFF and not bid.wanted


def together(bids: list[B], members: Iterable[B]) -> list[B]:
    """Of the machines, the best first, those that circuits have watts and turns for at once, each with what it waits for."""
    if not any(bid.places for bid in bids):
        return bids
    named = {member.key.name: member for member in members}
    booking, fit = _Booking(), list[B]()
    for bid in bids:
        if booking.takes([named[name] for name in sorted(brought(bid, named))]):
            fit.append(bid)
    return fit


def brought(bid: B, named: Mapping[str, B]) -> set[str]:
    """The machine, and those of its group that it waits for, also by others."""
    found, front = {bid.key.name}, [bid]
    while front:
        new = {name for name in front.pop().waits_for if name in named} - found
        found |= new
        front += [named[name] for name in new]
    return found


class _Booking:
    """Watts and turns of circuits that machines take one after the other."""

    def __init__(self) -> None:
        self._watts: dict[Circuit, float] = {}
        self._turns: dict[Circuit, int] = {}
        self._taken: set[Lookup] = set()

    def takes(self, bids: Iterable[Bid]) -> bool:
        """Whether all of these machines still fit; then what they need is theirs."""
        new = [bid for bid in bids if bid.key not in self._taken]
        watts, turns = dict(self._watts), dict(self._turns)
        for bid in new:
            for place in bid.places:
                watts[place.circuit] = watts.get(place.circuit, 0.0) + place.needs
                turns[place.circuit] = turns.get(place.circuit, 0) + begins(bid)
                short = place.needs > 0 and watts[place.circuit] > place.room + SLACK
                late = begins(bid) and bool(place.gap) and bid.slots is not None and turns[place.circuit] > bid.slots
                if short or late:
                    return False
        self._watts, self._turns = watts, turns
        self._taken |= {bid.key for bid in new}
        return True
