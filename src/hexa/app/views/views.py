"""Views of machines and groups, and what connects them: what changes about one is passed on to all that it concerns.

It reads the snapshot and writes nothing. How a view is put together, `machines` and `groups` beside it know; what is kept for all
machines of a group, `rosters`.
"""

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from itertools import chain
from typing import Final

from hexa.app.cache import same_but_for_version
from hexa.app.fence import Subject
from hexa.app.store import Store
from hexa.app.tariffs import Tariffs
from hexa.app.views.circuits import Circuits
from hexa.app.views.claims import NOTHING, Claims
from hexa.app.views.dependencies import Dependencies
from hexa.app.views.groups import GroupViews, same_group
from hexa.app.views.guarding_pods import GuardingPods
from hexa.app.views.index import MachineIndex
from hexa.app.views.machines import MachineViews
from hexa.app.views.proofs import PROOF
from hexa.app.views.rosters import Rosters
from hexa.app.views.slots import Slots
from hexa.app.views.traffic import traffic
from hexa.domain.group.asked import asked_of
from hexa.domain.group.sizing import Member
from hexa.domain.group_view import GroupView
from hexa.domain.machine.identity import kube_name, renamed
from hexa.domain.machine.marks import leaving, released
from hexa.domain.machine_view import MachineView, membership_of
from hexa.domain.policy.battery import OnBattery
from hexa.domain.power.claims import claims
from hexa.domain.resources.core import KubeNode
from hexa.domain.resources.v1alpha1 import GROUPS, MACHINES, Group, Lookup, Node
from hexa.domain.rules.safe_hands import SafeHands


class Views:
    """Every machine and group of the snapshot. `image_known`: whether the Jobs of spec.power have one."""

    def __init__(self, store: Store, *, image_known: bool = True, tariffs: Tariffs | None = None) -> None:
        self._store = store
        self._post = store.fence.post(MACHINES, "view")
        self._on_rivals: list[Callable[[Iterable[Lookup]], None]] = []
        self._on_turn: list[Callable[[Lookup], None]] = []
        self._on_battery: list[Callable[[], None]] = []
        self._on_safe_hands: list[Callable[[], None]] = []
        self._claims, self._pods, self._index = Claims(), GuardingPods(store), MachineIndex(store)
        self._groups = GroupViews(store, nodes=self._nodes)
        policy, as_asked = self._groups.policy, self._groups.as_asked
        self.proofs: Final = Slots(PROOF, store=store, policy=policy, as_asked=as_asked)
        """Which machine of each group may be off without wake proof."""
        self._traffic = Slots(traffic(store.working), store=store, policy=policy, as_asked=as_asked)
        self.on_slot(self._forget)
        self._rosters = Rosters(store, self._index, machine=self._machine, proofs=self.proofs)
        self.dependencies: Final = Dependencies(store, view=self._machine, placed=self._rosters.placed)
        """What machines have to do with each other by spec.dependsOn."""
        self.dependencies.on_ties(self._forget_machine)
        self.circuits: Final = Circuits(store, view=self._machine, policy=policy)
        """What circuits have for machines that draw from them."""
        self.circuits.on_places(self._place_changed)
        self._machines = MachineViews(
            store,
            groups=self._groups,
            index=self._index,
            claims=self._claims,
            proofs=self.proofs,
            traffic=self._traffic,
            dependencies=self.dependencies,
            circuits=self.circuits,
            pods=self._pods,
            image_known=image_known,
            tariffs=tariffs or Tariffs(),
        )
        if tariffs is not None:
            tariffs.on_change(self._tariffs_changed)
        store.groups.subscribe(self._group_changed)
        store.machines.subscribe(self._machine_changed)
        store.nodes.subscribe(self._node_changed)
        for cache in store.guarding_pods:
            cache.subscribe(lambda *_: self._guarding_pods_changed())
        store.working.subscribe(self._work_changed)
        store.fence.subscribe(self._fence_changed)

    def clock_set(self, by: timedelta) -> None:
        """The clock was set: what was judged is judged anew."""
        self._groups.clock_set()
        self._turn()
        self._rosters.judge_anew()

    def on_rivals(self, told: Callable[[Iterable[Lookup]], None]) -> None:
        """Be told of machines whose hardware another began or ceased to claim."""
        self._on_rivals.append(told)

    def on_slot(self, told: Callable[[Lookup], None]) -> None:
        """Be told of groups of which something else follows for their machines: which of them may be off without wake proof, or
        what the others do."""
        self.proofs.on_slot(told)
        self._traffic.on_slot(told)

    def on_turn(self, told: Callable[[Lookup], None]) -> None:
        """Call `told(group)` when time alone has changed what the group says: a schedule begins or ends."""
        self._on_turn.append(told)

    def _turn(self) -> None:
        """Before anything is answered: groups whose schedules begin or end."""
        if self._groups.until is None or (now := self._store.clock.now()) < self._groups.until:
            return
        for key in self._groups.turned(now):
            self._rosters.forget(key)
            self._changed(self.keys_of_group(key))
            self._store.touch()
            for told in self._on_turn:
                told(key)

    def _nodes(self, group: Lookup) -> Iterator[Node]:
        found = (self._store.machines.objects.get(key) for key in self.keys_of_group(group))
        return (node for node in found if node is not None)

    # --- groups ---

    def changes_at(self, key: Lookup) -> datetime | None:
        """When time alone changes what the group says; None: it has no schedules."""
        return self._groups.changes_at(key)

    def group(self, key: Lookup) -> GroupView | None:
        """The group; None if there is none (or it does not decode)."""
        self._turn()
        return self._groups.group(key)

    def groups(self) -> Iterator[GroupView]:
        """All groups, by id."""
        self._turn()
        return self._groups.groups()

    def try_group(self, key: Lookup) -> None:
        """Try anew what is contained of the group."""
        self._groups.try_group(key)

    def members(self, group: Lookup) -> list[MachineView]:
        """The group's machines, by name."""
        self._turn()
        return self._rosters.members(group)

    def judged(self, group: Lookup, now: datetime) -> list[Member]:
        """The group's machines as sizing sees them, by name."""
        self._turn()
        return self._rosters.judged(group, now)

    def freshened(self, group: Lookup, now: datetime) -> Iterator[Lookup]:
        """Judge those of the group's machines that have changed, one for each step, so that others may run in between."""
        self._turn()
        return self._rosters.freshened(group, now)

    def expired(self, now: datetime) -> bool:
        """Whether, since it was last asked, time alone has changed what was judged."""
        self._turn()
        return self._rosters.expired(now)

    # --- machines ---

    def machine(self, key: Lookup) -> MachineView | None:
        """The machine; None if there is none (or it does not decode). One that is contained is shown by a stand-in."""
        self._turn()
        return self._machines.machine(key)

    def _machine(self, key: Lookup) -> MachineView | None:
        """The same for who puts other answers together: nothing changes while that is done."""
        return self._machines.machine(key)

    def sound(self, key: Lookup) -> MachineView | None:
        """The machine for the one who works on it: what is contained is tried anew. Raises what its data raises."""
        self._turn()
        return self._machines.sound(key)

    @property
    def image_known(self) -> bool:
        """Whether the Jobs of spec.power have an image."""
        return self._machines.image_known

    @image_known.setter
    def image_known(self, known: bool) -> None:
        self._machines.image_known = known

    def by_kube_name(self, name: str) -> MachineView | None:
        """The one machine of the Kubernetes node; None if none or several claim it."""
        return self._only(self._index.by_kube_name.get(name, ()))

    def by_provider_id(self, provider_id: str) -> MachineView | None:
        """The one machine whose Kubernetes node carries, carried or will carry it."""
        return self._only(self._index.by_provider_id.get(provider_id, ()))

    def _only(self, keys: Iterable[Lookup]) -> MachineView | None:
        found = tuple(keys)
        return self.machine(found[0]) if len(found) == 1 else None

    def unclaimed(self) -> Iterator[KubeNode]:
        """Kubernetes nodes that no machine claims."""
        return (node for key, node in self._store.nodes.objects.items() if key.name not in self._index.by_kube_name)

    def keys_of_kube_name(self, name: str) -> Iterable[Lookup]:
        return tuple(self._index.by_kube_name.get(name, ()))

    def keys_of_group(self, group: Lookup) -> Iterable[Lookup]:
        return tuple(self._index.by_group.get(group, ()))

    # --- the site ---

    @property
    def safe_hands(self) -> SafeHands | None:
        """The site itself is in doubt."""
        return self._machines.safe_hands

    @safe_hands.setter
    def safe_hands(self, stands: SafeHands | None) -> None:
        self._machines.safe_hands = stands
        self._rosters.forget_all()
        self._store.touch()
        for told in self._on_safe_hands:
            told()

    def on_safe_hands(self, told: Callable[[], None]) -> None:
        """Be told when it begins, and when it is over."""
        self._on_safe_hands.append(told)

    @property
    def on_battery(self) -> Callable[[Lookup], OnBattery | None]:
        """What a UPS means for a group."""
        return self._groups.on_battery

    @on_battery.setter
    def on_battery(self, means: Callable[[Lookup], OnBattery | None]) -> None:
        self._groups.on_battery = means
        for group in tuple(self._store.groups.objects):
            self._groups.forget(group)
            self._rosters.forget(group)
            self._changed(self.keys_of_group(group))
        self._store.touch()
        for told in self._on_battery:
            told()

    def on_supply(self, told: Callable[[], None]) -> None:
        """Be told when a UPS means something else for groups."""
        self._on_battery.append(told)

    # --- changes ---

    def _fence_changed(self, subject: Subject) -> None:
        """Something else is contained, or no longer: the machine, or what stands for it, is put together anew."""
        key = subject.key
        if subject.kind is GROUPS:
            self._groups.forget(key)
            self._rosters.forget(key)
        for machine in (key,) if subject.kind is MACHINES else self.keys_of_kube_name(key.name):
            self._machines.forget(machine)
            self._rosters.forget_machine(machine)
            self._forget_machine(machine)
        self._store.touch()

    def _group_changed(self, key: Lookup, old: Group | None, new: Group | None) -> None:
        if new is None:
            self._groups.forget(key)
            self._machines.forget_boots(key)
        if old is None or new is None or not same_group(old, new):
            self._rosters.forget(key)
            self._changed(self.keys_of_group(key))
        elif old.status.requests != new.status.requests or released(old.metadata) != released(new.metadata):
            self._rosters.forget(key)
            self._changed(asked_of(old, new))

    def _concerned(self, key: Lookup) -> None:
        """Something of the machine has changed that matters to those that it has to do with."""
        self.circuits.changed(key)
        self.dependencies.changed(key)

    def _place_changed(self, key: Lookup) -> None:
        """Others of its circuit began, or ceased, to draw."""
        self._forget_machine(key)
        with self._post.around(key):
            self.dependencies.changed(key)

    def _changed(self, machines: Iterable[Lookup]) -> None:
        """Their group has changed. What one of them raises is its own matter."""
        for machine in machines:
            with self._post.around(machine):
                self._claims_changed(machine)
                self._concerned(machine)

    def _machine_changed(self, key: Lookup, old: Node | None, new: Node | None) -> None:
        if new is None:
            self._machines.forget(key)
            self._rosters.forget_machine(key)
        self._roster_changed(key, old, new)
        if key in self._store.machines.malformed:  # it is there: what it claimed is still its
            self._index.malformed.move(key, kube_name(old) if old is not None else self._index.malformed.of(key))
            self._index.by_kube_name.move(key, None)
            self._index.by_group.move(key, None)
            self._concerned(key)
            return
        self._index.malformed.move(key, None)
        counts = new is not None and not leaving(new)  # one that leaves is nobody's member and claims no node
        name = kube_name(new) if new is not None and counts else None
        before = kube_name(old) if old is not None and not leaving(old) else None
        if name != before:  # others that claim it may have come or gone
            self._forget_kube_name(before, but=key)
            self._index.by_kube_name.move(key, name)
            self._forget_kube_name(name, but=key)
        self._index.by_group.move(key, membership_of(new) if new is not None and counts else None)
        self._index.find_provider_id(key)
        self._claims_changed(key)
        if rivals := self._claims.move(key, claims(new) if new is not None and counts else NOTHING):
            self._rivals_changed(rivals)
        self._concerned(key)

    def _claims_changed(self, key: Lookup) -> None:
        self.proofs.changed(key)
        self._traffic.changed(key)

    def _roster_changed(self, key: Lookup, old: Node | None, new: Node | None) -> None:
        """What was worked out for the machine's group counts no more, as far as it goes back to this machine."""
        found = (membership_of(node) for node in (old, new) if node is not None)
        groups = dict.fromkeys(group for group in found if group is not None)
        if old is not None and new is not None and _same_place(old, new):
            self._went_stale(membership_of(new), key)
        else:
            for group in groups:
                self._forget(group)
        if old is None or new is None or old.status.boot_seconds != new.status.boot_seconds:
            for group in groups:
                self._machines.forget_boots(group)
                self._groups.boots_changed(group)

    def _rivals_changed(self, rivals: Iterable[Lookup]) -> None:
        for key in rivals:
            if (node := self._store.machines.objects.get(key)) is not None:
                self._forget(membership_of(node))
                self._concerned(key)
        for told in self._on_rivals:
            told(rivals)

    def _node_changed(self, key: Lookup, old: KubeNode | None, new: KubeNode | None) -> None:
        if same_but_for_version(old, new):
            return
        self._forget_kube_name(key.name)
        for machine in self.keys_of_kube_name(key.name):
            self._index.find_provider_id(machine)
            self._claims_changed(machine)
            self._concerned(machine)

    def _tariffs_changed(self) -> None:
        self._rosters.forget_all()
        self._store.touch()

    def _guarding_pods_changed(self) -> None:
        self._pods.changed()
        self._rosters.forget_all()

    def _work_changed(self, nodes: Iterable[str] | None) -> None:
        """Pods came to Kubernetes nodes, or left; None: of none it is known as before."""
        there = self._store.machines.objects if nodes is None else chain(*map(self.keys_of_kube_name, nodes))
        for machine in tuple(there):
            with self._post.around(machine):
                self._traffic.changed(machine)

    def _forget(self, group: Lookup | None) -> None:
        if group is not None:
            self._rosters.forget(group)
            self.dependencies.group_changed(group)

    def _went_stale(self, group: Lookup | None, key: Lookup) -> None:
        """One machine of the group has changed by itself: of the others nothing is looked up again."""
        if group is not None:
            self._rosters.went_stale(group, key)
            self.dependencies.group_changed(group)

    def _forget_kube_name(self, name: str | None, *, but: Lookup | None = None) -> None:
        for key in self._index.by_kube_name.get(name or "", ()):
            if key != but:
                self._forget_machine(key)

    def _forget_machine(self, key: Lookup) -> None:
        if (node := self._store.machines.objects.get(key)) is not None:
            self._went_stale(membership_of(node), key)


def _same_place(one: Node, other: Node) -> bool:
    """In the same group, with the same Kubernetes node: what others see of the machine is as before."""
    places = ((membership_of(each), kube_name(each), renamed(each), leaving(each)) for each in (one, other))
    return next(places) == next(places)
