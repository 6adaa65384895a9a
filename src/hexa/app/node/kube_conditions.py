"""Keeps what hexa says of its machines by Kubernetes' own conditions, where the configuration asks for it (kubeConditions).

It writes the status of Kubernetes nodes, and of that these conditions alone. What is to be said, `domain.machine.kube_conditions`
knows; what others say by them stays.
"""

from typing import Any, Final

from hexa.app.cache import same_but_for_version
from hexa.app.fence import Fence
from hexa.app.news import Newsroom
from hexa.app.pace import Pace, contested
from hexa.app.queue import KeyedQueue
from hexa.app.store import Store
from hexa.app.views.stand_in import is_stand_in
from hexa.app.views.views import Views
from hexa.domain.errors import Conflict, HexaError
from hexa.domain.machine.identity import kube_name
from hexa.domain.machine.kube_conditions import Life, ours, patch_of, wanted
from hexa.domain.machine.wish import held
from hexa.domain.machine_view import MachineView
from hexa.domain.news import About, Work, failure
from hexa.domain.policy.values import power_of
from hexa.domain.resources.core import NODES, KubeNode
from hexa.domain.resources.v1alpha1 import Group, Lookup, Node, Power
from hexa.ports.clock import Clock
from hexa.ports.kube import Kube, Patch, PatchStyle


class ConditionOwner:
    """What breaks about the conditions of a Kubernetes node is their own matter."""

    def __init__(self, fence: Fence) -> None:
        self._post: Final = fence.post(NODES, "conditions", blocks=False)

    def broke(self, name: str, error: Exception) -> None:
        self._post.broke(Lookup("", name), error)

    def works(self, name: str) -> None:
        self._post.works(Lookup("", name))


class ConditionKeeper:
    """One Kubernetes node at a time. It may be asked at any time, and goes on after a crash from what is stored.
    `says=False`: it takes back what was said while the configuration asked for it, and nothing else."""

    def __init__(
        self, *, store: Store, views: Views, kube: Kube, clock: Clock, news: Newsroom, says: bool = True
    ) -> None:
        self._store, self._views, self._kube, self._clock, self._news = store, views, kube, clock, news
        self._says: Final = says
        self._pace: Final[Pace[str]] = Pace()
        self.queue: Final[KeyedQueue[str]] = KeyedQueue(
            self.reconcile, failed=self._failed, owner=ConditionOwner(store.fence)
        )

    def begin(self) -> bool:
        """Look at all nodes, and follow changes where there is something to say. Whether there is anything to do at all."""
        found = [key.name for key, node in self._store.nodes.objects.items() if self._says or ours(node)]
        for name in found:
            self.queue.add(name)
        if self._says:
            self._store.nodes.subscribe(self._node_changed)
            self._store.machines.subscribe(self._machine_changed)
            self._store.groups.subscribe(self._group_changed)
        return self._says or bool(found)

    def _node_changed(self, key: Lookup, old: KubeNode | None, new: KubeNode | None) -> None:
        if new is None:
            self._pace.forget(key.name.__eq__)
        elif not same_but_for_version(old, new):
            self.queue.add(key.name)

    def _machine_changed(self, _: Lookup, old: Node | None, new: Node | None) -> None:
        for name in {kube_name(node) for node in (old, new) if node is not None}:
            self.queue.add(name)

    def _group_changed(self, key: Lookup, old: Group | None, new: Group | None) -> None:
        """Somebody holds it, or does so no more."""
        if old is None or new is None or old.spec.hold != new.spec.hold:
            for view in self._views.members(key):
                self.queue.add(view.kube_name)

    def _failed(self, name: str, error: HexaError) -> None:
        self._news.tell(failure(Work.KUBE_NODE, Lookup("", name), error, about=About.KUBE_NODE))
        if type(error) is Conflict:
            self._store.doubt()

    async def reconcile(self, name: str) -> None:
        """Write what differs, in one patch that nobody's write of before is lost by."""
        node, machine = self._store.nodes.objects.get(Lookup("", name)), self._views.by_kube_name(name)
        if node is None or machine is None or is_stand_in(machine) or machine.leaving:
            return
        if body := self._patch(node, machine):
            if (rests := self._pace.rests(name)) > 0:
                if self._pace.begins(name):
                    of, what = Lookup("", name), f"the conditions that hexa writes on Kubernetes node {name}"
                    self._news.tell(contested(of, what, about=About.KUBE_NODE))
                self.queue.add(name, delay=rests)
                return
            patch = Patch(body, PatchStyle.STRATEGIC, "status", resource_version=node.metadata.resource_version)
            self._store.nodes.put(await self._kube.patch(NODES, name, patch))
            self._pace.did(name)

    def _patch(self, node: KubeNode, machine: MachineView) -> dict[str, Any]:
        now = self._clock.now()
        if not self._says or machine.observing or not machine.valid:
            return patch_of(node, (), now=now)
        hold = held(machine.node, machine.policy, now=now)
        held_off = hold if hold is not None and power_of(hold.power) is Power.OFF else None
        life = Life(status=machine.node.status, wish=machine.wish(now), held_off=held_off)
        return patch_of(node, wanted(life, node), now=now)
