"""What each circuit has for its machines, kept up to date by what changes: one machine's news reach those that share a circuit.

What a machine counts with, and what follows of that for others, is reckoned in `domain.group.watts`; here it is remembered, so
that a machine on no circuit costs a look at two fields.
"""

from collections.abc import Callable
from typing import Final

from hexa.app.store import Store
from hexa.domain.group.watts import Load, Place, load_of, places
from hexa.domain.machine_view import MachineView, membership_of
from hexa.domain.policy.circuits import Circuit
from hexa.domain.policy.policy import Policy
from hexa.domain.resources.v1alpha1 import MACHINES, Lookup, Node

NOWHERE: Final[tuple[Place, ...]] = ()
Name = tuple[bool, str]
"""Of a circuit: whether it is a group's, and its name."""


class Circuits:
    """The circuits of the configuration, and groups with maxWatts. `view`: a machine as it stands; `policy`: of a group; None:
    there is none."""

    def __init__(
        self,
        store: Store,
        *,
        view: Callable[[Lookup], MachineView | None],
        policy: Callable[[Lookup], Policy | None],
    ) -> None:
        self._store, self._view, self._policy = store, view, policy
        self._post = store.fence.post(MACHINES, "circuits", blocks=False)
        self._known: Final = {each.name: each for each in store.conventions.circuits or ()}
        self._circuits: Final[dict[Name, Circuit]] = {}
        self._loads: Final[dict[Name, dict[Lookup, Load]]] = {}
        self._at: Final[dict[Lookup, tuple[Circuit, ...]]] = {}
        self._reckoned: Final[dict[Name, dict[Lookup, Place]]] = {}
        self._places: Final[dict[Lookup, tuple[Place, ...]]] = {}
        self._on_places: Final[list[Callable[[Lookup], None]]] = []

    def on_places(self, notify: Callable[[Lookup], None]) -> None:
        """Call `notify(machine)` when its circuits have something else for it."""
        self._on_places.append(notify)

    def places(self, key: Lookup) -> tuple[Place, ...]:
        """What the machine's circuits have for it; the same object until that changes."""
        return self._places.get(key, NOWHERE)

    def waits(self, key: Lookup) -> bool:
        """Whether a wake of the machine may be to come: then it is looked at when its circuits have something else for it."""
        loads = (self._loads[_name(circuit)].get(key) for circuit in self._at.get(key, ()))
        return any(load is not None and (load.asked is not None or (load.draws and not load.up)) for load in loads)

    def changed(self, key: Lookup) -> None:
        """The machine or its group has changed. One that does not decode any more draws what it drew."""
        if key in self._store.machines.malformed:
            return
        node = self._store.machines.objects.get(key)
        circuits = self._circuits_of(node) if node is not None else ()
        before = self._at.get(key, ())
        if not circuits and not before:
            return
        stale = self._left(key, [each for each in before if each not in circuits])
        self._at[key] = circuits
        view = self._view(key) if circuits else None
        if view is not None:
            stale |= self._entered(key, circuits, self._load(view))
        else:
            del self._at[key]
        for name in sorted(stale):
            self._reckon(name)
        self._place(key)

    def _circuits_of(self, node: Node) -> tuple[Circuit, ...]:
        own, membership = self._known.get(node.spec.circuit), membership_of(node)
        policy = self._policy(membership) if membership is not None else None
        watts = policy.max_watts if policy is not None else None
        group = Circuit(name=str(membership), watts=watts, of_group=True) if watts is not None else None
        return tuple(each for each in (own, group) if each is not None)

    def _load(self, view: MachineView) -> Load:
        now = self._store.clock.now()
        with self._post.around(view.key):
            wish, able = view.wish(now), view.valid and not view.leaving and not view.own_on_vetoes(now)
            return load_of(view.key, view.node, view.rates, wish=wish, able=able)
        return Load(key=view.key)  # what cannot be judged is on, for all that is known

    def _left(self, key: Lookup, circuits: list[Circuit]) -> set[Name]:
        for circuit in circuits:
            loads = self._loads[_name(circuit)]
            loads.pop(key, None)
            self._reckoned.get(_name(circuit), {}).pop(key, None)
        return {_name(circuit) for circuit in circuits}

    def _entered(self, key: Lookup, circuits: tuple[Circuit, ...], load: Load) -> set[Name]:
        """Those of which something has changed by it."""
        stale = set()
        for circuit in circuits:
            name, loads = _name(circuit), self._loads.setdefault(_name(circuit), {})
            if loads.get(key) != load or self._circuits.get(name) != circuit:
                loads[key], self._circuits[name] = load, circuit
                stale.add(name)
        return stale

    def _reckon(self, name: Name) -> None:
        loads = self._loads[name]
        if not loads:
            for known in (self._loads, self._reckoned, self._circuits):
                known.pop(name, None)
            return
        before, now = self._reckoned.get(name, {}), places(self._circuits[name], loads.values())
        self._reckoned[name] = now
        for key in sorted(loads, key=str):
            if before.get(key) != now[key]:
                self._place(key)

    def _place(self, key: Lookup) -> None:
        """What its circuits have for it, put together."""
        names = [_name(circuit) for circuit in self._at.get(key, ())]
        found = tuple(self._reckoned[name][key] for name in names if key in self._reckoned.get(name, {}))
        if found == self.places(key):
            return
        self._places[key] = found
        if not found:
            del self._places[key]
        for notify in self._on_places:
            notify(key)


def _name(circuit: Circuit) -> Name:
    return circuit.of_group, circuit.name
