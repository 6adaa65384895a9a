"""Which machines are to be looked at when something changes. It looks at none itself."""

from collections.abc import Iterable

from hexa.app.cache import same_but_for_condition_taints
from hexa.app.fence import Subject
from hexa.app.node.power_jobs import machine_of
from hexa.app.queue import KeyedQueue
from hexa.app.store import Store
from hexa.app.views.views import Views
from hexa.domain.group.asked import asked_of
from hexa.domain.machine.lifecycle import Phase, phase_of
from hexa.domain.machine.marks import released
from hexa.domain.machine.unclaimed_nodes import waited_since
from hexa.domain.resources.core import NODES, Job, KubeNode, Pod
from hexa.domain.resources.v1alpha1 import GROUPS, MACHINES, Group, Lookup, Node, Power
from hexa.ports.heartbeats import Heartbeats


class Changes:
    """Puts machines on the queue."""

    def __init__(self, queue: KeyedQueue[Lookup], *, store: Store, views: Views, heartbeats: Heartbeats) -> None:
        self._queue, self._store, self._views = queue, store, views
        store.machines.subscribe(self._machine_changed)
        store.fence.subscribe(self._fence_changed)
        views.on_rivals(self._add_all)
        views.on_turn(lambda group: self._add_all(views.keys_of_group(group)))
        views.on_safe_hands(self._safe_hands_changed)
        views.on_supply(lambda: self._add_all(store.machines.objects))
        views.dependencies.on_ties(queue.add)
        views.circuits.on_places(lambda key: queue.add(key) if views.circuits.waits(key) else None)
        store.groups.subscribe(self._group_changed)
        views.on_slot(lambda group: self._add_all(views.keys_of_group(group)))
        store.on_sight(lambda: self._add_all(store.machines.objects))
        store.nodes.subscribe(self._node_changed)
        store.jobs.subscribe(self._job_changed)
        heartbeats.subscribe(self._heard)
        for cache in store.guarding_pods:
            cache.subscribe(lambda _key, old, new: self._control_pod_changed(old, new))

    def _add_all(self, keys: Iterable[Lookup]) -> None:
        for key in tuple(keys):
            self._queue.add(key)

    def _machine_changed(self, key: Lookup, old: Node | None, new: Node | None) -> None:
        if old is None or new is None or old.spec != new.spec or old.metadata.annotations != new.metadata.annotations:
            self._queue.forgive(key)
        self._queue.add(key)

    def _safe_hands_changed(self) -> None:
        """Machines that are where they are wanted have nothing to do with it."""
        for key, node in self._store.machines.objects.items():
            phase, wish = phase_of(node.status), node.status.wish
            wanted = wish is not None and wish.power is Power.ON
            if phase is not (Phase.READY if wanted else Phase.OFF):
                self._queue.add(key)

    def _fence_changed(self, subject: Subject) -> None:
        """What is contained is tried again, each time later."""
        if subject.kind is MACHINES:
            self._queue.add(subject.key)
        elif subject.kind is GROUPS:
            self._add_all(self._views.keys_of_group(subject.key))
        elif subject.kind is NODES:
            self._add_all(self._views.keys_of_kube_name(subject.key.name))

    def _group_changed(self, key: Lookup, old: Group | None, new: Group | None) -> None:
        given_up = old is not None and new is not None and released(old.metadata) != released(new.metadata)
        if old is None or new is None or given_up or old.spec != new.spec:  # its status follows from its machines
            self._add_all(self._views.keys_of_group(key))
        elif new.status.requests != old.status.requests:
            self._add_all(asked_of(new))

    def _node_changed(self, key: Lookup, old: KubeNode | None, new: KubeNode | None) -> None:
        if same_but_for_condition_taints(old, new):
            return
        claimants = self._views.keys_of_kube_name(key.name)
        self._add_all(claimants)
        if old is None and not claimants:  # it may be that of a machine that is waited for under another name
            self._add_all(key for key, each in self._store.machines.objects.items() if waited_since(each.status))

    def _job_changed(self, key: Lookup, old: Job | None, new: Job | None) -> None:
        job = new or old
        if job is not None and (owner := machine_of(job)) is not None:
            self._queue.add(owner)

    def _control_pod_changed(self, old: Pod | None, new: Pod | None) -> None:
        for node in dict.fromkeys(pod.spec.node_name for pod in (old, new) if pod is not None and pod.spec.node_name):
            self._add_all(self._views.keys_of_kube_name(node))

    def _heard(self, node: str) -> None:
        for key in self._views.keys_of_kube_name(node):
            machine = self._store.machines.objects.get(key)
            if machine is not None and phase_of(machine.status) is not Phase.READY:
                self._queue.add(key)
