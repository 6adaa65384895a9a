"""Keeps what is ours on the Kubernetes nodes of machines: providerID where there is none, labels of members, what a node had before
it left, and a rule that forbids an off, shown to Cluster Autoscaler before it drains.

It writes Kubernetes nodes only. What is to be written, `hexa.domain.decide.kube_node` says.
"""

from typing import Any

import msgspec

from hexa.app.cache import same_but_for_condition_taints, same_but_for_status
from hexa.app.fence import Fence
from hexa.app.news import Newsroom
from hexa.app.node.unmark import unmark
from hexa.app.pace import Pace, contested
from hexa.app.queue import KeyedQueue
from hexa.app.store import Store
from hexa.app.turns import Turns
from hexa.app.views.stand_in import is_stand_in
from hexa.app.views.views import Views
from hexa.domain.decide.kube_node import Give, KubeNodeObserved, LetBe, TakeOff, decide_kube_node
from hexa.domain.errors import Conflict, HexaError
from hexa.domain.machine.identity import kube_name
from hexa.domain.machine.lifecycle import Phase, phase_of
from hexa.domain.machine.marks import conditions_of_ours, marked, owner_of
from hexa.domain.machine.registration import registration_of
from hexa.domain.names import REGISTERED_ANNOTATION
from hexa.domain.news import About, Work, failure
from hexa.domain.resources.core import NODES, KubeNode
from hexa.domain.resources.v1alpha1 import Group, Lookup, Node, Registration
from hexa.ports.clock import Clock
from hexa.ports.kube import Kube, Patch


class NodeOwner:
    """What breaks about a Kubernetes node is its own matter."""

    def __init__(self, fence: Fence) -> None:
        self._post = fence.post(NODES, "node", blocks=False)

    def broke(self, name: str, error: Exception) -> None:
        self._post.broke(Lookup("", name), error)

    def works(self, name: str) -> None:
        self._post.works(Lookup("", name))


class KubeNodeController:
    """One Kubernetes node at a time: look at it, let the domain decide, write."""

    def __init__(
        self, *, store: Store, views: Views, kube: Kube, clock: Clock, news: Newsroom, turns: Turns | None = None
    ) -> None:
        self._store, self._views, self._kube, self._clock, self._news = store, views, kube, clock, news
        self._turns = turns or Turns()
        self.queue: KeyedQueue[str] = KeyedQueue(self.reconcile, failed=self._failed, owner=NodeOwner(store.fence))
        self._new: dict[str, tuple[str, Registration]] = {}
        """Of Kubernetes nodes that were created before our eyes, until it is written down: uid, and what the kubelet had set."""
        self._pace: Pace[tuple[str, bytes]] = Pace()
        """By the node's name and what is written."""
        store.nodes.subscribe(self._node_changed)
        store.machines.subscribe(self._machine_changed)
        store.groups.subscribe(self._policy_changed)
        store.on_sight(self._sees_again)
        views.on_slot(self._group_changed)
        views.on_turn(self._group_changed)
        views.on_safe_hands(self._safe_hands_changed)
        views.on_supply(self._safe_hands_changed)
        for cache in store.guarding_pods:
            cache.subscribe(lambda _key, old, new: self._pod_changed(old, new))

    def _node_changed(self, key: Lookup, old: KubeNode | None, new: KubeNode | None) -> None:
        if new is None:
            self._new.pop(key.name, None)
            self._pace.forget(lambda paced: paced[0] == key.name)
        elif old is None and self._store.watching_since is not None:
            self._new[key.name] = new.metadata.uid, registration_of(new)
        elif REGISTERED_ANNOTATION in new.metadata.annotations:
            self._new.pop(key.name, None)
        if new is not None and not same_but_for_condition_taints(old, new):
            self.queue.add(key.name)

    def _sees_again(self) -> None:
        """What is to be taken off a node was left on it while we were blind."""
        for key, node in self._store.nodes.objects.items():
            if marked(node) or conditions_of_ours(node):
                self.queue.add(key.name)

    def _safe_hands_changed(self) -> None:
        """Cluster Autoscaler is told of machines that serve."""
        for node in self._store.machines.objects.values():
            if phase_of(node.status) is Phase.READY:
                self.queue.add(kube_name(node))

    def _machine_changed(self, key: Lookup, old: Node | None, new: Node | None) -> None:
        for node in (old, new):
            if node is not None:
                self.queue.add(kube_name(node))

    def _policy_changed(self, key: Lookup, old: Group | None, new: Group | None) -> None:
        """What a node is given follows from the group's spec and metadata; its status follows from its machines."""
        if old is None or new is None or not same_but_for_status(old, new):
            self._group_changed(key)

    def _group_changed(self, key: Lookup) -> None:
        for view in self._views.members(key):
            self.queue.add(view.kube_name)

    def _pod_changed(self, old: Any, new: Any) -> None:
        for pod in (old, new):
            if pod is not None and pod.spec.node_name:
                self.queue.add(pod.spec.node_name)

    def _failed(self, name: str, error: HexaError) -> None:
        self._news.tell(failure(Work.KUBE_NODE, Lookup("", name), error, about=About.KUBE_NODE))
        if type(error) is Conflict:
            self._store.doubt()

    async def reconcile(self, name: str) -> None:
        """Write what differs, in one patch."""
        await self._turns.step()
        node = self._store.nodes.objects.get(Lookup("", name))
        if node is None:
            return
        decision = decide_kube_node(self._observe(node))
        written = name, msgspec.json.encode(decision)
        if not isinstance(decision, LetBe) and (rests := self._pace.rests(written)) > 0:
            if self._pace.begins(written):
                of = Lookup("", name)
                self._news.tell(contested(of, f"what hexa writes on Kubernetes node {name}", about=About.KUBE_NODE))
            self.queue.add(name, delay=rests)
            return
        match decision:
            case TakeOff():
                self._store.nodes.put(await unmark(self._kube, node))
            case Give(body):
                patch = Patch(body, resource_version=node.metadata.resource_version)
                self._store.nodes.put(await self._kube.patch(NODES, name, patch))
            case LetBe():
                return
        self._pace.did(written)

    def _observe(self, node: KubeNode) -> KubeNodeObserved:
        name, machines, namespaces = node.metadata.name, self._store.machines, self._store.namespaces
        owner, claimants = owner_of(node), self._views.keys_of_kube_name(name)
        machine = self._views.by_kube_name(name)
        if machine is None and owner is not None and owner in claimants:
            machine = self._views.machine(owner)
        uid, registered = self._new.get(name, ("", None))
        hidden = owner is not None and (
            owner in machines.malformed or bool(namespaces and owner.namespace not in namespaces)
        )
        return KubeNodeObserved(
            now=self._clock.now(),
            node=node,
            machine=machine,
            contained=machine is not None and is_stand_in(machine),
            registered=registered if uid == node.metadata.uid else None,
            seeing=self._store.watching_since is not None,
            all_seen=not (namespaces or machines.malformed),
            claimed=bool(claimants),
            owner=machines.objects.get(owner) if owner is not None else None,
            owner_may_be_hidden=hidden,
        )
