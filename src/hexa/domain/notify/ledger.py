"""What is told when: each cause once an hour, that it is over too, and nothing twice over a restart.

It keeps nothing durable and needs not: what stands is in statuses, with its time. What stood, and was due, before this life of the
agent began was told by the life before; what became due since is told now. What no status dates (`since` is None) counts from when
it was first seen; at the first look of a life it is told an hour later at the earliest, so that no life repeats another.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

from msgspec import Struct, structs

from hexa.domain.notify.events import EXPLAINS, KINDS, LEVELS, Event, State, Telling, Trouble

HOUR: Final = timedelta(hours=1)
Place = tuple[str, str]
Cause = tuple[Event, str]
"""An event, and its object."""


class Standing(Struct, frozen=True):
    """What stands at a place, by whom."""

    trouble: Trouble
    first: datetime
    """When it was seen there first."""
    due: datetime
    """When it is told, if it still stands."""


class Ledger:
    """What stands, and what was told of it."""

    def __init__(self, born: datetime) -> None:
        self._born: Final = born.replace(microsecond=0)
        """When this life of the agent began; statuses count whole seconds."""
        self._stands: Final[dict[Place, dict[str, Standing]]] = {}
        """By the holder that says so: of the whole site there are several."""
        self._of_site: Final[set[Place]] = set()
        """Those of them that are the whole site's."""
        self._held: Final[dict[str, set[Place]]] = {}
        self._told: Final[dict[Place, Trouble]] = {}
        """What was told as begun, and not as over."""
        self._last: Final[dict[Cause, datetime]] = {}
        """When a cause was last told as begun."""
        self._moments: Final[list[Telling]] = []

    def __repr__(self) -> str:
        return f"<Ledger {len(self._stands)} stand, {len(self._told)} told>"

    # --- what is seen ---------------------------------------------------------------------------

    def put(self, holder: str, troubles: Iterable[Trouble], *, now: datetime, first_look: bool = False) -> None:
        """What stands at an object now, and nothing else does."""
        found = {trouble.place: trouble for trouble in troubles}
        for place in self._held.pop(holder, set()) - found.keys():
            self._end(place, holder)
        for place, trouble in found.items():
            self._begin(place, holder, trouble, now, first_look)
        if found:
            self._held[holder] = set(found)

    def forget(self, holder: str) -> None:
        """The object is gone: nothing is told of it any more."""
        for place in self._held.pop(holder, set()):
            self._end(place, holder)
            if place not in self._stands:
                self._told.pop(place, None)

    def happened(self, trouble: Trouble, *, now: datetime) -> None:
        """A moment."""
        self._moments.append(Telling(trouble, State.HAPPENED, now))

    def moved(self, by: timedelta) -> None:
        """The clock was set."""
        for cause in self._last:
            self._last[cause] += by
        for holders in self._stands.values():
            for holder, each in holders.items():
                holders[holder] = structs.replace(each, first=each.first + by, due=each.due + by)

    def _begin(self, place: Place, holder: str, trouble: Trouble, now: datetime, first_look: bool) -> None:
        holders = self._stands.setdefault(place, {})
        before = holders.get(holder)
        if before is not None and before.trouble.event is trouble.event:
            holders[holder] = structs.replace(before, trouble=trouble)
            return
        stands = KINDS[trouble.event].stands
        if trouble.since is None:
            due = now + (max(stands, HOUR) if first_look else stands)
        else:
            due = min(trouble.since, now) + stands
        holders[holder] = Standing(trouble, now, due)
        if trouble.of is None:
            self._of_site.add(place)
        if first_look and trouble.since is not None and due < self._born:
            self._told[place] = trouble
            self._last[_cause(trouble)] = due

    def _end(self, place: Place, holder: str) -> None:
        holders = self._stands.get(place, {})
        holders.pop(holder, None)
        if not holders:
            self._stands.pop(place, None)
            self._of_site.discard(place)

    # --- what is told ---------------------------------------------------------------------------

    def due(self, now: datetime) -> list[Telling]:
        """What is to be told now; it counts as told."""
        over = [Telling(self._told.pop(place), State.OVER, now) for place in [*self._told] if place not in self._stands]
        begun = [Telling(each.trouble, State.BEGAN, now) for place in self._stands if (each := self._ready(place, now))]
        for telling in begun:
            self._told[telling.trouble.place] = telling.trouble
            self._last[_cause(telling.trouble)] = now
        moments = [each for each in self._moments if self._once_an_hour(each, now)]
        self._moments.clear()
        for cause in [cause for cause, last in self._last.items() if now - last >= HOUR]:
            del self._last[cause]
        return [*begun, *moments, *over]

    def looks(self, now: datetime) -> datetime | None:
        """When time alone lets something be told; None: never."""
        dues = (self._told_from(place) for place in self._stands)
        return min((due for due in dues if due is not None), default=None)

    def standing(self) -> list[Telling]:
        """What was told and stands: the life before told it if this one did not."""
        return [Telling(each, State.BEGAN, self._last.get(_cause(each), self._born)) for each in self._told.values()]

    def _ready(self, place: Place, now: datetime) -> Standing | None:
        due = self._told_from(place)
        return self._worst(place) if due is not None and due <= now else None

    def _told_from(self, place: Place) -> datetime | None:
        """From when on what stands there is to be told; None: it was, or its cause is told."""
        stands = self._worst(place)
        told, event = self._told.get(place), stands.trouble.event
        if (told is not None and told.event is event) or self._explained(event):
            return None
        last = self._last.get(_cause(stands.trouble))
        return stands.due if last is None else max(stands.due, last + HOUR)

    def _explained(self, event: Event) -> bool:
        return any(
            event in EXPLAINS.get(each.trouble.event, ())
            for place in self._of_site
            for each in self._stands[place].values()
        )

    def _worst(self, place: Place) -> Standing:
        """Several groups tell of one site: the most urgent counts, and of these the first."""
        return max(self._stands[place].values(), key=lambda each: (_rank(each.trouble.event), -each.first.timestamp()))

    def _once_an_hour(self, telling: Telling, now: datetime) -> bool:
        cause = _cause(telling.trouble)
        last = self._last.get(cause)
        if last is not None and now - last < HOUR:
            return False
        self._last[cause] = now
        return True


_ORDER: Final = tuple(Event)


def _rank(event: Event) -> tuple[int, int]:
    return LEVELS.index(KINDS[event].level), _ORDER.index(event)


def _cause(trouble: Trouble) -> Cause:
    return trouble.event, str(trouble.of or trouble.slot)
