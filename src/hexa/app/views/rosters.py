"""The machines of each group, and what was worked out for all of them: a thousand questions between two changes cost one walk."""

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import Final, TypeGuard

from msgspec import Struct

from hexa.app.store import Store
from hexa.app.views.index import MachineIndex
from hexa.app.views.slots import Slots
from hexa.app.views.stand_in import member_stand_in
from hexa.domain.group.sizing import Member, placed
from hexa.domain.machine_view import MachineView
from hexa.domain.resources.v1alpha1 import MACHINES, Lookup
from hexa.domain.rules.hedge import with_takers
from hexa.domain.rules.proof import Claim, Slot


class Roster(Struct):
    """What was worked out for all machines of a group."""

    views: list[MachineView]
    stale: set[Lookup]
    """Machines that have changed since, in nothing that concerns the others."""
    members: list[Member] | None = None
    until: datetime | None = None
    """When `members` changes by time alone."""


class Judgement(Struct, frozen=True):
    """A machine as sizing sees it, and until when that stands if nothing else changes."""

    view: MachineView
    member: Member
    until: datetime | None


class Rosters:
    """Of every group. `machine`: a machine as it stands; None: there is none."""

    def __init__(
        self,
        store: Store,
        index: MachineIndex,
        *,
        machine: Callable[[Lookup], MachineView | None],
        proofs: Slots[Claim, Slot],
    ) -> None:
        self._store, self._index, self._machine, self._proofs = store, index, machine, proofs
        self._post = store.fence.post(MACHINES, "view")
        self._rosters: Final[dict[Lookup, Roster]] = {}
        self._judged: Final[dict[Lookup, Judgement]] = {}
        self._until: datetime | None = None

    # --- what has changed ---

    def judge_anew(self) -> None:
        """The clock was set."""
        self._rosters.clear()
        self._judged.clear()
        self._until = None

    def forget(self, group: Lookup) -> None:
        """What was worked out for the group counts no more."""
        self._rosters.pop(group, None)

    def forget_all(self) -> None:
        """The same of all groups."""
        self._rosters.clear()

    def forget_machine(self, key: Lookup) -> None:
        """The machine is gone, or is to be judged anew."""
        self._judged.pop(key, None)

    def went_stale(self, group: Lookup, key: Lookup) -> None:
        """One machine of the group has changed by itself: of the others nothing is looked up again."""
        if (roster := self._rosters.get(group)) is not None:
            roster.stale.add(key)
            roster.members = None

    # --- what is asked ---

    def members(self, group: Lookup) -> list[MachineView]:
        """The group's machines, by name."""
        return self._roster(group).views

    def judged(self, group: Lookup, now: datetime) -> list[Member]:
        """The group's machines as sizing sees them, by name."""
        self._proofs.look(group, now)
        roster = self._roster(group)
        if roster.members is None or (roster.until is not None and now >= roster.until):
            found = [self._judgement(view, now) for view in roster.views]
            roster.members = with_takers(each.member for each in found)
            roster.until = _first((*(each.until for each in found), self._proofs.slot(group).until))
            self._until = _first((self._until, roster.until))
        return roster.members

    def freshened(self, group: Lookup, now: datetime) -> Iterator[Lookup]:
        """Judge those of the group's machines that have changed, or were never judged, one for each step, so that others may run in
        between: `judged` has little left to do then."""
        roster = self._rosters.get(group)
        anew = self._index.by_group.get(group, set()) - self._judged.keys() if roster is None else roster.stale
        for key in sorted(anew, key=str):
            view = self._machine(key)
            if view is not None and not _is_fresh(self._judged.get(key), view, now):
                self._judgement(view, now)
                yield key

    def _judgement(self, view: MachineView, now: datetime) -> Judgement:
        """The machine as sizing sees it, judged anew only where its view or time has changed it."""
        known = self._judged.get(view.key)
        if not _is_fresh(known, view, now):
            known = Judgement(view, member_stand_in(view), None)
            with self._post.around(view.key):
                known = Judgement(view, view.member(now), view.judged_until(now))
            self._judged[view.key] = known
        return known

    def placed(self, group: Lookup) -> int:
        """How many machines of the group have a place under its maxSize."""
        now = self._store.clock.now()
        return sum(placed(self._judgement(view, now).member) for view in self._roster(group).views)

    def expired(self, now: datetime) -> bool:
        """Whether, since it was last asked, time alone has changed what was judged."""
        if self._until is None or now < self._until:
            return False
        self._until = _first(
            roster.until for roster in self._rosters.values() if roster.until is not None and roster.until > now
        )
        return True

    def _roster(self, group: Lookup) -> Roster:
        roster = self._rosters.get(group)
        if roster is None:
            keys = sorted(self._index.by_group.get(group, ()), key=str)
            roster = Roster([view for view in map(self._machine, keys) if view is not None], set())
            if keys:  # else nobody would forget a group that is gone
                self._rosters[group] = roster
        elif roster.stale:
            fresh = {key: self._machine(key) for key in roster.stale}
            roster.stale = set()
            roster.views = [view for old in roster.views if (view := fresh.get(old.key, old)) is not None]
        return roster


def _is_fresh(known: Judgement | None, view: MachineView, now: datetime) -> TypeGuard[Judgement]:
    return known is not None and known.view is view and (known.until is None or now < known.until)


def _first(moments: Iterable[datetime | None]) -> datetime | None:
    return min((moment for moment in moments if moment is not None), default=None)
