"""Who depends on whom, kept up to date by what changes: a machine's news reach those that depend on it and those it depends on.

What ties mean is in `domain.rules.dependencies`; here they are remembered, so that one more change costs a look at its neighbours.
"""

from collections.abc import Callable, Iterator
from typing import Final

from hexa.app.store import Store
from hexa.domain.machine.marks import leaving
from hexa.domain.machine.reason import Veto
from hexa.domain.machine_view import MachineView
from hexa.domain.policy.problem import Problem
from hexa.domain.resources.v1alpha1 import MACHINES, Lookup, WishRecord
from hexa.domain.rules.dependencies import (
    NO_TIES,
    Crowd,
    Need,
    Place,
    Prerequisite,
    Ties,
    broken,
    crowd_vetoes,
    crowds,
    dependencies_of,
    missing,
    need_of,
    prerequisite_of,
)

Needs = dict[Lookup, Need]


class Dependencies:
    """The ties of every machine. `view`: a machine as it stands; None: there is none. `placed`: how many machines of a group have a
    place under its maxSize, those left out that wait for others: what is judged of these depends on it."""

    def __init__(
        self, store: Store, *, view: Callable[[Lookup], MachineView | None], placed: Callable[[Lookup], int]
    ) -> None:
        self._store, self._view, self._placed = store, view, placed
        self._post = store.fence.post(MACHINES, "dependencies", blocks=False)
        self._before: Final[dict[Lookup, tuple[Lookup, ...]]] = {}
        self._after: Final[dict[Lookup, set[Lookup]]] = {}
        """Of each machine that is named, whether it exists or not, those that depend on it."""
        self._broken: Final[dict[Lookup, Problem]] = {}
        self._places: Final[dict[Lookup, Place]] = {}
        """Groups with maxSize of machines that depend on others, or others on them."""
        self._named: Final[dict[Lookup, set[Lookup]]] = {}
        """Those machines by their group."""
        self._stale: Final[dict[Lookup, None]] = {}
        """Groups of which some machine has changed."""
        self._full: Final[set[Lookup]] = set()
        """Groups that have no room for one more."""
        self._crowds: Final[dict[Lookup, tuple[Crowd, ...]]] = {}
        self._judged: Final[dict[Lookup, Prerequisite]] = {}
        self._needs: Final[dict[Lookup, Needs]] = {}
        self._ties: Final[dict[Lookup, Ties]] = {}
        self._on_ties: Final[list[Callable[[Lookup], None]]] = []

    def on_ties(self, notify: Callable[[Lookup], None]) -> None:
        """Call `notify(machine)` when something changed for it because of another."""
        self._on_ties.append(notify)

    def ties(self, key: Lookup) -> Ties:
        """What the machine has to do with others; the same object until that changes."""
        return self._ties.get(key, NO_TIES)

    def changed(self, key: Lookup) -> None:
        """The machine, its Kubernetes node or its group has changed. One that does not decode any more is there all the same: what
        it needed, it needs."""
        if key in self._store.machines.malformed:
            self._tell_dependents(key)
            self._look_for_room()
            return
        node = self._store.machines.objects.get(key)
        before = dependencies_of(node) if node is not None and not leaving(node) else ()
        if before != self._before.get(key, ()):
            self._rewire(key, before)
        self._find_place(key)
        self._tell_dependents(key)
        self._tell_dependencies(key)
        self._look_for_room()

    def group_changed(self, group: Lookup) -> None:
        """What is judged of some machine of the group has changed, or may have: whether it is full is looked at in the next
        `changed`."""
        if group in self._named:
            self._stale[group] = None

    def _look_for_room(self) -> None:
        """Groups are full that were not, or have room again: whoever depends on a machine there that is off can come, or not."""
        while self._stale:
            group, _ = self._stale.popitem()
            named = [key for key in self._named.get(group, ()) if key in self._after]
            most = next((self._places[key][1] for key in named), None)
            full = most is not None and self._placed(group) >= most
            if full == (group in self._full):
                continue
            (self._full.add if full else self._full.discard)(group)
            for key in sorted(named, key=str):
                self._tell_dependents(key)

    def _rewire(self, key: Lookup, before: tuple[Lookup, ...]) -> None:
        """The machine depends on others than it did: circles may have come or gone, for it and for all that depend on it."""
        for other in self._before.pop(key, ()):
            self._after[other].discard(key)
            self._ask(other, key, None)
            if not self._after[other]:
                del self._after[other]
                self._judged.pop(other, None)
            self._find_place(other)
            self._refresh(other)
        if before:
            self._before[key] = before
        for other in before:
            self._after.setdefault(other, set()).add(key)
        for each in (key, *self._all_after(key)):
            self._mend(each)
            self._measure(each)
        for other in before:
            self._find_place(other)
            self._tell_dependents(other)
        self._refresh(key)

    def _mend(self, key: Lookup) -> None:
        problem, was = broken(key, self._before), self._broken.pop(key, None)
        if problem is not None:
            self._broken[key] = problem
        if problem != was:
            self._refresh(key)
            self._tell_dependencies(key)
            self._tell_dependents(key)

    def _find_place(self, key: Lookup) -> None:
        """The machine may be in another group than it was, or its group may have another maxSize:
        that matters to all that depend on it."""
        if key not in self._before and key not in self._after:
            self._forget_place(key)
            return
        place, was = self._place(key), self._places.get(key)
        self._forget_place(key)
        if place is not None:
            self._places[key] = place
            self._named.setdefault(place[0], set()).add(key)
            self._stale[place[0]] = None
        if place != was:
            for each in (key, *self._all_after(key)):
                self._measure(each)

    def _place(self, key: Lookup) -> Place | None:
        """The machine's group; None: it is in none, or in one without maxSize."""
        view = self._view(key)
        if view is None or view.leaving or view.group is None or view.group.released or view.policy.max_size is None:
            return None
        return view.group.key, view.policy.max_size

    def _forget_place(self, key: Lookup) -> None:
        if (place := self._places.pop(key, None)) is None:
            return
        self._stale[place[0]] = None
        self._named[place[0]].discard(key)
        if not self._named[place[0]]:
            del self._named[place[0]]

    def _measure(self, key: Lookup) -> None:
        """Whether groups have room for the machine and all that it depends on."""
        found, were = crowds(key, self._before, self._place) if key in self._before else (), self._crowds.pop(key, ())
        if found:
            self._crowds[key] = found
        if found != were:
            self._refresh(key)
            self._tell_dependencies(key)
            self._tell_dependents(key)

    def _all_after(self, key: Lookup) -> Iterator[Lookup]:
        """All that depend on the machine, also by others; itself left out."""
        seen, front = {key}, [key]
        while front:
            for each in sorted(self._after.get(front.pop(), ()), key=str):
                if each not in seen:
                    seen.add(each)
                    front.append(each)
                    yield each

    def _tell_dependents(self, key: Lookup) -> None:
        """Those that depend on the machine, and on them in turn, where they may expect something else of it now."""
        if key not in self._after:
            return
        judged = self._judge(key)
        if judged == self._judged.get(key):
            return
        self._judged[key] = judged
        for each in sorted(self._after[key], key=str):
            self._refresh(each)
            self._tell_dependents(each)
            if each in self._crowds:  # it needs what it depends on only if that is up
                self._tell_dependencies(each)

    def _tell_dependencies(self, key: Lookup) -> None:
        """Those that the machine depends on, where it asks something else of them now. One in a circle asks nothing: neither could
        ever rest."""
        for other in self._before.get(key, ()):
            need = self._need(key) if key not in self._broken else None
            if need != self._needs.get(other, {}).get(key):
                self._ask(other, key, need)
                self._refresh(other)

    def _ask(self, other: Lookup, key: Lookup, need: Need | None) -> None:
        """Remember what the machine asks of the other; None: nothing."""
        needs = self._needs.setdefault(other, {})
        needs.pop(key, None)
        if need is not None:
            needs[key] = need
        if not needs:
            del self._needs[other]

    def _judge(self, key: Lookup) -> Prerequisite:
        """What those that depend on the machine may expect of it."""
        view, now = self._view(key), self._store.clock.now()
        if view is None:
            return missing(key, malformed=key in self._store.machines.malformed)
        wish: WishRecord | None = None
        vetoes: tuple[Veto, ...] = ()
        with self._post.around(key):
            wish, vetoes = view.wish(now), view.on_vetoes(now)
        place, valid, gone = self._places.get(key), view.valid, view.leaving
        full = place if place is not None and place[0] in self._full else None
        return prerequisite_of(key, view.node, valid=valid, leaving=gone, wish=wish, on_vetoes=vetoes, full=full)

    def _need(self, key: Lookup) -> Need | None:
        """What the machine asks of those that it depends on."""
        view, now = self._view(key), self._store.clock.now()
        if view is None or view.leaving:
            return None
        with self._post.around(key):
            wish = view.wish(now)
            able = view.valid and not view.own_on_vetoes(now) and not any(crowd_vetoes(view.ties, wish))
            return need_of(key, view.node, wish=wish, able=able, node_ready=view.node_ready)
        # what cannot be judged needs them all the same while it is on
        return need_of(key, view.node, wish=None, able=False, node_ready=view.node_ready)

    def _refresh(self, key: Lookup) -> None:
        before = tuple(self._judged[other] for other in self._before.get(key, ()) if other in self._judged)
        needs = tuple(self._needs.get(key, {}).values())
        ties = Ties(self._broken.get(key), before, needs, self._crowds.get(key, ()))
        if ties == self.ties(key):
            return
        self._ties[key] = ties
        if ties == NO_TIES:
            del self._ties[key]
        for notify in self._on_ties:
            notify(key)
