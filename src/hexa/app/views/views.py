"""Puts views of machines and groups together on demand, and keeps each while nothing that it was made of changed.

It reads the snapshot and writes nothing. What is asked of all machines of a group is kept for the group, so that a thousand
questions between two changes cost one walk.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Final, TypeVar

from msgspec import Struct

from hexa.app.cache import same_but_for_version
from hexa.app.fence import Breach, Subject, contained_problem
from hexa.app.store import Store
from hexa.app.views.claims import NOTHING, Claims, Rivals
from hexa.app.views.dependencies import Dependencies
from hexa.app.views.hints import Hints
from hexa.app.views.proofs import Proofs
from hexa.app.views.stand_in import group_stand_in, machine_stand_in, member_stand_in
from hexa.domain.group.asked import as_asked, asked, asked_of
from hexa.domain.group.sizing import Member, placed
from hexa.domain.group.template import declared_shape
from hexa.domain.group_view import GroupView
from hexa.domain.machine.identity import declared_name, kube_name, renamed
from hexa.domain.machine.marks import leaving, released
from hexa.domain.machine.reason import Reason
from hexa.domain.machine_view import MachineView, membership_of, provider_id_of
from hexa.domain.money.rates import rates_of
from hexa.domain.names import CONTROL_PLANE_LABELS, MEMBERSHIP_LABEL
from hexa.domain.policy.limits import machine_limits
from hexa.domain.policy.policy import Policy, policy_of
from hexa.domain.policy.problem import Problem
from hexa.domain.power.claims import claims, rivals_problem
from hexa.domain.power.problems import power_problems
from hexa.domain.power.ways import governed, hard_problems
from hexa.domain.resources.core import NODES, KubeNode, Malformed, Pod
from hexa.domain.resources.v1alpha1 import GROUPS, MACHINES, Group, Lookup, Node, WishRecord
from hexa.domain.rules.dependencies import Ties
from hexa.domain.rules.health_checks import check_problems
from hexa.domain.rules.hedge import with_takers
from hexa.domain.rules.proof import Claim

NO_GROUP: Final = Policy()
NO_HOSTS: Final[tuple[str, ...]] = ()
NO_TWINS: Final[frozenset[Lookup]] = frozenset()

K = TypeVar("K")


class Index(dict[K, set[Lookup]]):
    """Objects by something that changes, such as machines by their group: each stands at one value at most."""

    def __init__(self) -> None:
        super().__init__()
        self._values: dict[Lookup, K] = {}

    def of(self, key: Lookup) -> K | None:
        """Where the object stands."""
        return self._values.get(key)

    def move(self, key: Lookup, value: K | None) -> None:
        """Put the object at `value`; None: nowhere."""
        old = self._values.get(key)
        if old == value:
            return
        if old is not None:
            self[old].discard(key)
            if not self[old]:
                del self[old]
            del self._values[key]
        if value is not None:
            self._values[key] = value
            self.setdefault(value, set()).add(key)


class Parts(Struct, frozen=True):
    """What a machine's view is made of."""

    node: Node
    group: GroupView | None
    kube: KubeNode | None
    hosts: tuple[str, ...]
    storage: tuple[str, ...]
    twins: frozenset[Lookup]
    """All machines that claim its Kubernetes node, if there are several."""
    rivals: Rivals
    """What of its hardware others claim too."""
    waits_for: Claim | None
    ties: Ties
    broken: Malformed | None
    """Its Kubernetes node, where that is there and does not decode."""
    asked: WishRecord | None
    """What a request on its group asks of it."""
    group_broken: bool = False
    """Its Group is there, and does not decode."""
    taken: frozenset[Lookup] = NO_TWINS
    """Other machines whose Kubernetes node is the one that its spec names anew."""

    def same(self, other: "Parts") -> bool:
        """The very same objects: no comparison of contents."""
        return (
            self.node is other.node
            and self.group is other.group
            and self.kube is other.kube
            and self.hosts is other.hosts
            and self.storage is other.storage
            and self.twins == other.twins
            and self.rivals == other.rivals
            and self.waits_for == other.waits_for
            and self.ties is other.ties
            and self.broken is other.broken
            and self.asked == other.asked
            and self.group_broken == other.group_broken
            and self.taken == other.taken
        )


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


class Views:
    """Every machine and group of the snapshot. `image_known`: whether the Jobs of spec.power have one."""

    def __init__(self, store: Store, *, image_known: bool = True) -> None:
        self._store, self._fence = store, store.fence
        self._machine_post = store.fence.post(MACHINES, "view")
        self._group_post = store.fence.post(GROUPS, "view")
        self.image_known = image_known
        self._claims = Claims()
        self._hints = Hints()
        self._on_rivals: list[Callable[[Iterable[Lookup]], None]] = []
        self._groups: dict[Lookup, GroupView] = {}
        self._machines: dict[Lookup, tuple[Parts, MachineView]] = {}
        self._rosters: dict[Lookup, Roster] = {}
        self._judged: dict[Lookup, Judgement] = {}
        self._boots: dict[Lookup, tuple[float, ...]] = {}
        self._until: datetime | None = None
        self.proofs: Final = Proofs(store, self._policy, self._as_asked)
        """Which machine of each group may be off without wake proof."""
        self.proofs.on_slot(self._forget)
        self.dependencies: Final = Dependencies(store, view=self.machine, placed=self._placed)
        """What machines have to do with each other by spec.dependsOn."""
        self.dependencies.on_ties(self._forget_machine)
        self._by_kube_name: Index[str] = Index()
        self._ghosts: Index[str] = Index()
        """The same of machines that do not decode any more."""
        self._by_group: Index[Lookup] = Index()
        self._by_provider_id: Index[str] = Index()
        self._hosts: dict[str, tuple[str, ...]] | None = None
        self._storage: dict[str, tuple[str, ...]] | None = None
        store.groups.subscribe(self._group_changed)
        store.machines.subscribe(self._machine_changed)
        store.nodes.subscribe(self._node_changed)
        for cache in store.guarding_pods:
            cache.subscribe(lambda *_: self._control_changed())
        store.fence.subscribe(self._fence_changed)

    def clock_set(self, by: timedelta) -> None:
        """The clock was set: what was judged is judged anew."""
        self._rosters.clear()
        self._judged.clear()
        self._until = None

    # --- groups ---

    def group(self, key: Lookup) -> GroupView | None:
        """The group; None if there is none (or it does not decode)."""
        group = self._store.groups.objects.get(key)
        if group is None:
            self._groups.pop(key, None)
            return None
        known = self._groups.get(key)
        if known is None or not _same_group(known.group, group):
            known = self._groups[key] = self._group_view(key, group)
        return known

    def _group_view(self, key: Lookup, group: Group) -> GroupView:
        with self._group_post.around(key):
            policy, problems = policy_of(group)
            self._group_post.works(key)
            told = map(contained_problem, self._fence.breaches(GROUPS, key))
            return GroupView(key=key, group=group, policy=policy, problems=(*problems, *told))
        breach = self._fence.blocked(GROUPS, key)
        assert breach is not None
        return group_stand_in(key, group, breach)

    def try_group(self, key: Lookup) -> None:
        """Try anew what is contained of the group."""
        self._groups.pop(key, None)
        with suppress(Exception):  # the fence knows
            self._store.groups.tell_again(key)
        self.group(key)

    def _policy(self, key: Lookup) -> Policy | None:
        view = self.group(key)
        return view.policy if view is not None else None

    def groups(self) -> Iterator[GroupView]:
        """All groups, by id."""
        for key in sorted(self._store.groups.objects, key=str):
            if (view := self.group(key)) is not None:
                yield view

    def members(self, group: Lookup) -> list[MachineView]:
        """The group's machines, by name."""
        return self._roster(group).views

    def judged(self, group: Lookup, now: datetime) -> list[Member]:
        """The group's machines as sizing sees them, by name."""
        self.proofs.look(group, now)
        roster = self._roster(group)
        if roster.members is None or (roster.until is not None and now >= roster.until):
            found = [self._judgement(view, now) for view in roster.views]
            roster.members = with_takers(each.member for each in found)
            roster.until = _first((*(each.until for each in found), self.proofs.slot(group).until))
            self._until = _first((self._until, roster.until))
        return roster.members

    def _judgement(self, view: MachineView, now: datetime) -> Judgement:
        """The machine as sizing sees it, judged anew only where its view or time has changed it."""
        known = self._judged.get(view.key)
        if known is None or known.view is not view or (known.until is not None and now >= known.until):
            known = Judgement(view, member_stand_in(view), None)
            with self._machine_post.around(view.key):
                known = Judgement(view, view.member(now), view.judged_until(now))
            self._judged[view.key] = known
        return known

    def _placed(self, group: Lookup) -> int:
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
            keys = sorted(self._by_group.get(group, ()), key=str)
            roster = Roster([view for view in map(self.machine, keys) if view is not None], set())
            if keys:  # else nobody would forget a group that is gone
                self._rosters[group] = roster
        elif roster.stale:
            fresh = {key: self.machine(key) for key in roster.stale}
            roster.stale = set()
            roster.views = [view for old in roster.views if (view := fresh.get(old.key, old)) is not None]
        return roster

    # --- machines ---

    def machine(self, key: Lookup) -> MachineView | None:
        """The machine; None if there is none (or it does not decode). One that is contained is shown by a stand-in."""
        if self._blocked(key) is None:
            with self._machine_post.around(key):
                return self._machine(key)
        node, breach = self._store.machines.objects.get(key), self._blocked(key)
        if node is None or breach is None:
            return None
        membership = membership_of(node)
        group = self.group(membership) if membership is not None else None
        return machine_stand_in(key, node, breach, group=group, kube=self._kube_of(node))

    def sound(self, key: Lookup) -> MachineView | None:
        """The machine for the one who works on it: what is contained is tried anew. Raises what its data raises."""
        node = self._store.machines.objects.get(key)
        if node is None or self._blocked(key) is None:
            return self._machine(key)
        self._store.machines.tell_again(key)
        self._store.nodes.tell_again(Lookup("", kube_name(node)))
        if (view := self._machine(key)) is not None:
            view.member(self._store.clock.now())
        self._machine_post.works(key)
        return view

    def _blocked(self, key: Lookup) -> Breach | None:
        """Why the machine is only watched: because of what it says, or of what its Kubernetes node says."""
        if not self._fence.subjects:
            return None
        node = self._store.machines.objects.get(key)
        found = self._fence.blocked(MACHINES, key)
        return found or (self._fence.blocked(NODES, Lookup("", kube_name(node))) if node is not None else None)

    def _kube_of(self, node: Node) -> KubeNode | None:
        return self._store.nodes.objects.get(Lookup("", kube_name(node)))

    def _machine(self, key: Lookup) -> MachineView | None:
        node = self._store.machines.objects.get(key)
        if node is None:
            self._machines.pop(key, None)
            self._judged.pop(key, None)
            self._hints.forget(key)
            return None
        name = kube_name(node)
        membership = membership_of(node)
        group = self.group(membership) if membership is not None else None
        kube = self._kube_of(node)
        hosts = self._hosts_of(name)
        twins = self._by_kube_name.get(name, NO_TWINS)
        if self._ghosts:
            twins = twins | self._ghosts.get(name, NO_TWINS)
        several = NO_TWINS if len(twins) < 2 else frozenset(twins)
        new = renamed(node)
        taken = frozenset(self._by_kube_name.get(new, NO_TWINS) - {key}) if new else NO_TWINS
        waits_for = self.proofs.beside(key, group.key) if group is not None else None
        ties = self.dependencies.ties(key)
        rivals, broken = self._claims.rivals(key), self._store.nodes.malformed.get(Lookup("", name))
        storage, asks = self._storage_on(name), self._asked(node)
        unread = membership is not None and membership in self._store.groups.malformed
        parts = Parts(node, group, kube, hosts, storage, several, rivals, waits_for, ties, broken, asks, unread, taken)
        cached = self._machines.get(key)
        if cached is None or not parts.same(cached[0]):
            cached = self._machines[key] = (parts, self._assemble(key, parts))
        return cached[1]

    def _shortest_boot(self, group: Lookup) -> tuple[float, ...]:
        """The shortest recent boot of the group's machines."""
        if (known := self._boots.get(group)) is None:
            nodes = (self._store.machines.objects.get(key) for key in self.keys_of_group(group))
            boots = [min(node.status.boot_seconds) for node in nodes if node is not None and node.status.boot_seconds]
            known = self._boots[group] = (min(boots),) if boots else ()
        return known

    def _asked(self, node: Node) -> WishRecord | None:
        membership = membership_of(node)
        return asked(self._store.groups.objects.get(membership), node) if membership is not None else None

    def _as_asked(self, node: Node) -> Node:
        """The machine with what a request on its group asks of it."""
        return node if (wish := self._asked(node)) is None else as_asked(node, wish)

    def _assemble(self, key: Lookup, parts: Parts) -> MachineView:
        group, kube = parts.group, parts.kube
        policy = group.policy if group is not None else NO_GROUP
        node = governed(self._as_asked(parts.node), policy.hard_off)
        kind = self._shortest_boot(group.key) if group is not None and not node.status.boot_seconds else ()
        limits, problems = machine_limits(node, group.group if group is not None else None, kind=kind)
        return MachineView(
            key=key,
            node=node,
            group=group,
            policy=policy,
            limits=limits,
            rates=rates_of(node, price_per_kwh=policy.price_per_kwh),
            kube=kube,
            problems=(
                *problems,
                *power_problems(node, limits),
                *hard_problems(parts.node, policy.hard_off),
                *check_problems(node),
                *_references(key, parts),
                *(contained_problem(breach) for breach in self._fence.breaches(MACHINES, key) if not breach.blocks),
                *self._hints.of(key, node),
            ),
            control_plane=kube is not None and not CONTROL_PLANE_LABELS.isdisjoint(kube.metadata.labels),
            hosts=parts.hosts,
            storage=parts.storage,
            shape=declared_shape(node, policy, self._store.conventions),
            conventions=self._store.conventions,
            image_known=self.image_known,
            waits_for=parts.waits_for,
            ties=parts.ties,
            node_exists=kube is not None or parts.broken is not None,
            name_taken=bool(parts.taken),
        )

    def by_kube_name(self, name: str) -> MachineView | None:
        """The one machine of the Kubernetes node; None if none or several claim it."""
        return self._only(self._by_kube_name.get(name, ()))

    def by_provider_id(self, provider_id: str) -> MachineView | None:
        """The one machine whose Kubernetes node carries, carried or will carry it."""
        return self._only(self._by_provider_id.get(provider_id, ()))

    def _only(self, keys: Iterable[Lookup]) -> MachineView | None:
        found = tuple(keys)
        return self.machine(found[0]) if len(found) == 1 else None

    def unclaimed(self) -> Iterator[KubeNode]:
        """Kubernetes nodes that no machine claims."""
        return (node for key, node in self._store.nodes.objects.items() if key.name not in self._by_kube_name)

    def keys_of_kube_name(self, name: str) -> Iterable[Lookup]:
        return tuple(self._by_kube_name.get(name, ()))

    def keys_of_group(self, group: Lookup) -> Iterable[Lookup]:
        return tuple(self._by_group.get(group, ()))

    def malformed_machine(self, key: Lookup) -> Malformed | None:
        return self._store.machines.malformed.get(key)

    # --- changes ---

    def _fence_changed(self, subject: Subject) -> None:
        """Something else is contained, or no longer: the machine, or what stands for it, is put together anew."""
        key = subject.key
        if subject.kind is GROUPS:
            self._groups.pop(key, None)
            self._rosters.pop(key, None)
        for machine in (key,) if subject.kind is MACHINES else self.keys_of_kube_name(key.name):
            self._machines.pop(machine, None)
            self._judged.pop(machine, None)
            self._forget_machine(machine)
        self._store.touch()

    def _group_changed(self, key: Lookup, old: Group | None, new: Group | None) -> None:
        if new is None:
            self._groups.pop(key, None)
            self._boots.pop(key, None)
        if old is None or new is None or not _same_group(old, new):
            self._rosters.pop(key, None)
            self._changed(self.keys_of_group(key))
        elif old.status.requests != new.status.requests or released(old.metadata) != released(new.metadata):
            self._rosters.pop(key, None)
            self._changed(asked_of(old, new))

    def _changed(self, machines: Iterable[Lookup]) -> None:
        """Their group has changed. What one of them raises is its own matter."""
        for machine in machines:
            with self._machine_post.around(machine):
                self.proofs.changed(machine)
                self.dependencies.changed(machine)

    def _machine_changed(self, key: Lookup, old: Node | None, new: Node | None) -> None:
        if new is None:
            self._machines.pop(key, None)
            self._judged.pop(key, None)
        self._roster_changed(key, old, new)
        if key in self._store.machines.malformed:  # it is there: what it claimed is still its
            self._ghosts.move(key, kube_name(old) if old is not None else self._ghosts.of(key))
            self._by_kube_name.move(key, None)
            self._by_group.move(key, None)
            self.dependencies.changed(key)
            return
        self._ghosts.move(key, None)
        counts = new is not None and not leaving(new)  # one that leaves is nobody's member and claims no node
        name = kube_name(new) if new is not None and counts else None
        before = kube_name(old) if old is not None and not leaving(old) else None
        if name != before:  # twins may have come or gone
            self._forget_kube_name(before, but=key)
            self._by_kube_name.move(key, name)
            self._forget_kube_name(name, but=key)
        self._by_group.move(key, membership_of(new) if new is not None and counts else None)
        self._find_provider_id(key)
        self.proofs.changed(key)
        if rivals := self._claims.move(key, claims(new) if new is not None and counts else NOTHING):
            self._rivals_changed(rivals)
        self.dependencies.changed(key)

    def _roster_changed(self, key: Lookup, old: Node | None, new: Node | None) -> None:
        """What was worked out for the machine's group counts no more, as far as it goes back to this machine."""
        found = (membership_of(node) for node in (old, new) if node is not None)
        groups = {group for group in found if group is not None}
        if old is not None and new is not None and _same_place(old, new):
            self._went_stale(membership_of(new), key)
        else:
            for group in groups:
                self._forget(group)
        if old is None or new is None or old.status.boot_seconds != new.status.boot_seconds:
            for group in groups:
                self._boots.pop(group, None)

    def on_rivals(self, told: Callable[[Iterable[Lookup]], None]) -> None:
        """Be told of machines whose hardware another began or ceased to claim."""
        self._on_rivals.append(told)

    def _rivals_changed(self, rivals: Iterable[Lookup]) -> None:
        for key in rivals:
            if (node := self._store.machines.objects.get(key)) is not None:
                self._forget(membership_of(node))
                self.dependencies.changed(key)
        for told in self._on_rivals:
            told(rivals)

    def _node_changed(self, key: Lookup, old: KubeNode | None, new: KubeNode | None) -> None:
        if same_but_for_version(old, new):
            return
        self._forget_kube_name(key.name)
        for machine in self.keys_of_kube_name(key.name):
            self._find_provider_id(machine)
            self.proofs.changed(machine)
            self.dependencies.changed(machine)

    def _control_changed(self) -> None:
        self._hosts = self._storage = None
        self._rosters.clear()

    def _forget(self, group: Lookup | None) -> None:
        if group is not None:
            self._rosters.pop(group, None)
            self.dependencies.group_changed(group)

    def _went_stale(self, group: Lookup | None, key: Lookup) -> None:
        """One machine of the group has changed by itself: of the others nothing is looked up again."""
        if group is not None and (roster := self._rosters.get(group)) is not None:
            roster.stale.add(key)
            roster.members = None
        if group is not None:
            self.dependencies.group_changed(group)

    def _forget_kube_name(self, name: str | None, *, but: Lookup | None = None) -> None:
        for key in self._by_kube_name.get(name or "", ()):
            if key != but and (node := self._store.machines.objects.get(key)) is not None:
                self._forget(membership_of(node))

    def _forget_machine(self, key: Lookup) -> None:
        if (node := self._store.machines.objects.get(key)) is not None:
            self._forget(membership_of(node))

    def _find_provider_id(self, key: Lookup) -> None:
        node = self._store.machines.objects.get(key)
        kube = self._store.nodes.objects.get(Lookup("", kube_name(node))) if node is not None else None
        self._by_provider_id.move(key, provider_id_of(node, kube) if node is not None and not leaving(node) else None)

    # --- pods that hexa depends on ---

    def _hosts_of(self, name: str) -> tuple[str, ...]:
        if self._hosts is None:
            self._hosts = self._collect_hosts()
        return self._hosts.get(name, NO_HOSTS)

    def _collect_hosts(self) -> dict[str, tuple[str, ...]]:
        found: dict[str, set[str]] = {}
        api = self._store.api_server_caches
        servers = {pod.spec.node_name for cache in api for pod in cache.objects.values() if _runs(pod)}
        for cache in self._store.control_pods:
            if cache in api and len(servers) > 1:
                continue  # another API server serves on
            for key, pod in cache.objects.items():
                if _runs(pod):
                    found.setdefault(pod.spec.node_name, set()).add(str(key))
            for key, broken in cache.malformed.items():
                if broken.node_name:
                    found.setdefault(broken.node_name, set()).add(str(key))
        return {name: tuple(sorted(pods)) for name, pods in found.items()}

    def _storage_on(self, name: str) -> tuple[str, ...]:
        """Pods on the Kubernetes node that hold data for others, each with what it holds."""
        if self._storage is None:
            found: dict[str, set[str]] = {}
            for cache in self._store.storage_pods:
                for key, pod in cache.objects.items():
                    what = self._store.conventions.holds(key.namespace, pod.metadata.labels)
                    if what and _runs(pod):
                        found.setdefault(pod.spec.node_name, set()).add(f"{key} runs on it ({what})")
                for key, broken in cache.malformed.items():
                    if broken.node_name:
                        found.setdefault(broken.node_name, set()).add(f"{key} runs on it, and does not decode")
            self._storage = {node: tuple(sorted(pods)) for node, pods in found.items()}
        return self._storage.get(name, NO_HOSTS)


def _references(key: Lookup, parts: Parts) -> Iterator[Problem]:
    """What the machine refers to and is not as it should be."""
    membership = membership_of(parts.node)
    if membership is None and not parts.ties.needs:  # else it is switched for those that depend on it
        yield Problem(
            f"metadata.labels.{MEMBERSHIP_LABEL}",
            "the machine belongs to no group",
            f"set the label {MEMBERSHIP_LABEL} to the name of a Group in namespace {key.namespace}",
            severity="warning",
            reason="NoGroup",
        )
    elif membership is not None and parts.group is None:
        yield Problem(
            f"metadata.labels.{MEMBERSHIP_LABEL}",
            f"Group {membership} does not decode" if parts.group_broken else f"there is no Group {membership}",
            "correct it: hexa validate says what is wrong; until then the machine is only watched"
            if parts.group_broken
            else "create it, or correct the label; until then the machine is only watched",
            reason="GroupUnreadable" if parts.group_broken else "GroupMissing",
        )
    others = sorted(str(other) for other in parts.twins if other != key)
    if others:
        yield Problem(
            "spec.kubernetesNodeName",
            f"{kube_name(parts.node)} is also claimed by {', '.join(others)}",
            "give each machine its own Kubernetes node; none of them is switched until then",
            reason="DuplicateKubernetesNode",
        )
    if parts.taken:
        yield Problem(
            "spec.kubernetesNodeName",
            f"{declared_name(parts.node)} is the Kubernetes node of {', '.join(sorted(map(str, parts.taken)))}",
            f"correct the name, or the other machine's; {kube_name(parts.node)} counts until then",
            severity="warning",
            reason=Reason.NAME_TAKEN,
        )
    if parts.broken is not None:
        yield Problem(
            "spec.kubernetesNodeName",
            f"Kubernetes node {kube_name(parts.node)} is there, and hexa can't read it: {parts.broken.problem}",
            "the machine is only watched until its node decodes; see kubectl get node -o yaml",
            reason="KubernetesNodeUnreadable",
        )
    if (shared := rivals_problem(parts.rivals)) is not None:
        yield shared


def _runs(pod: Pod) -> bool:
    """Bound to a node, and not finished."""
    return bool(pod.spec.node_name) and pod.status.phase not in ("Succeeded", "Failed")


def _same_place(one: Node, other: Node) -> bool:
    """In the same group, with the same Kubernetes node: what others see of the machine is as before."""
    places = ((membership_of(each), kube_name(each), renamed(each), leaving(each)) for each in (one, other))
    return next(places) == next(places)


def _same_group(one: Group, other: Group) -> bool:
    """The same object with the same spec, and given up or not as before: a status does not matter here."""
    same = one.metadata.uid == other.metadata.uid and released(one.metadata) == released(other.metadata)
    return same and one.spec == other.spec


def _first(moments: Iterable[datetime | None]) -> datetime | None:
    return min((moment for moment in moments if moment is not None), default=None)
