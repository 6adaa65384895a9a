"""Views of machines, each put together on demand and kept while nothing that it was put together from has changed."""

from typing import Final

from hexa.app.fence import Breach, contained_problem
from hexa.app.store import Store
from hexa.app.tariffs import Tariffs
from hexa.app.views.circuits import Circuits
from hexa.app.views.claims import Claims
from hexa.app.views.dependencies import Dependencies
from hexa.app.views.groups import GroupViews
from hexa.app.views.guarding_pods import GuardingPods
from hexa.app.views.hints import Hints
from hexa.app.views.index import NOBODY, MachineIndex
from hexa.app.views.parts import Parts, references
from hexa.app.views.proofs import beside
from hexa.app.views.slots import Slots
from hexa.app.views.stand_in import machine_stand_in
from hexa.domain.group.template import declared_shape
from hexa.domain.machine.identity import kube_name, renamed
from hexa.domain.machine_view import MachineView, membership_of
from hexa.domain.money.rates import rates_of
from hexa.domain.names import CONTROL_PLANE_LABELS
from hexa.domain.policy.circuits import circuit_problems
from hexa.domain.policy.limits import machine_limits
from hexa.domain.policy.policy import Policy
from hexa.domain.power.problems import power_problems
from hexa.domain.power.ways import governed, hard_problems
from hexa.domain.resources.core import NODES, KubeNode
from hexa.domain.resources.v1alpha1 import MACHINES, Lookup, Node
from hexa.domain.rules.health_checks import check_problems
from hexa.domain.rules.proof import Claim, Slot
from hexa.domain.rules.safe_hands import SafeHands
from hexa.domain.rules.traffic import NO_TRAFFIC, Move, Traffic

NO_GROUP: Final = Policy()


class MachineViews:
    """Every machine of the snapshot. `image_known`: whether the Jobs of spec.power have one."""

    def __init__(
        self,
        store: Store,
        *,
        groups: GroupViews,
        index: MachineIndex,
        claims: Claims,
        proofs: Slots[Claim, Slot],
        traffic: Slots[Move, Traffic],
        dependencies: Dependencies,
        circuits: Circuits,
        pods: GuardingPods,
        image_known: bool,
        tariffs: Tariffs,
    ) -> None:
        self._store, self._fence, self._tariffs = store, store.fence, tariffs
        self._post = store.fence.post(MACHINES, "view")
        self._groups, self._index, self._claims, self._pods = groups, index, claims, pods
        self._proofs, self._traffic = proofs, traffic
        self._dependencies, self._circuits = dependencies, circuits
        self.image_known = image_known
        self.safe_hands: SafeHands | None = None
        """The site itself is in doubt."""
        self._hints = Hints()
        self._known: Final[dict[Lookup, tuple[Parts, MachineView]]] = {}
        self._boots: Final[dict[Lookup, tuple[float, ...]]] = {}
        """The shortest recent boot of each group's machines; empty: none of them has booted."""

    def forget(self, key: Lookup) -> None:
        """The machine is gone, or is to be put together anew."""
        self._known.pop(key, None)

    def forget_boots(self, group: Lookup) -> None:
        """A machine of the group has booted, or the group is gone."""
        self._boots.pop(group, None)

    def machine(self, key: Lookup) -> MachineView | None:
        """The machine; None if there is none (or it does not decode). One that is contained is shown by a stand-in."""
        if self._blocked(key) is None:
            with self._post.around(key):
                return self._machine(key)
        node, breach = self._store.machines.objects.get(key), self._blocked(key)
        if node is None or breach is None:
            return None
        membership = membership_of(node)
        group = self._groups.group(membership) if membership is not None else None
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
        self._post.works(key)
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
            self._known.pop(key, None)
            self._hints.forget(key)
            return None
        name = kube_name(node)
        membership = membership_of(node)
        group = self._groups.group(membership) if membership is not None else None
        kube = self._kube_of(node)
        hosts = self._pods.hosted_on(name)
        new, several = renamed(node), self._index.claimants(name)
        taken = self._index.others(new, key) if new else NOBODY
        waits_for = beside(self._proofs.slot(group.key), key) if group is not None else None
        traffic = self._traffic.slot(group.key) if group is not None else NO_TRAFFIC
        ties, places = self._dependencies.ties(key), self._circuits.places(key)
        rivals, broken = self._claims.rivals(key), self._store.nodes.malformed.get(Lookup("", name))
        storage, asks = self._pods.stored_on(name), self._groups.asked(node)
        unread = membership is not None and membership in self._store.groups.malformed
        tariff = self._tariffs.of(group.policy) if group is not None else None
        parts = Parts(
            node,
            group,
            kube,
            hosts,
            storage,
            several,
            rivals,
            waits_for,
            ties,
            places,
            broken,
            asks,
            unread,
            taken,
            traffic,
            tariff,
            self.safe_hands,
        )
        cached = self._known.get(key)
        if cached is None or not parts.same(cached[0]):
            cached = self._known[key] = (parts, self._assemble(key, parts))
        return cached[1]

    def _shortest_boot(self, group: Lookup) -> tuple[float, ...]:
        """The shortest recent boot of the group's machines."""
        if (known := self._boots.get(group)) is None:
            nodes = (self._store.machines.objects.get(key) for key in self._index.by_group.get(group, NOBODY))
            boots = [min(node.status.boot_seconds) for node in nodes if node is not None and node.status.boot_seconds]
            known = self._boots[group] = (min(boots),) if boots else ()
        return known

    def _assemble(self, key: Lookup, parts: Parts) -> MachineView:
        group, kube = parts.group, parts.kube
        policy = group.policy if group is not None else NO_GROUP
        node = governed(self._groups.as_asked(parts.node), policy.hard_off)
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
                *circuit_problems(node, self._store.conventions.circuits),
                *references(key, parts),
                *self._store.machines.problems(key),
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
            traffic=parts.traffic,
            ties=parts.ties,
            safe_hands=parts.safe_hands,
            places=parts.places,
            node_exists=kube is not None or parts.broken is not None,
            name_taken=bool(parts.taken),
            tariff=parts.tariff,
        )
