"""Machines and groups as the loops see them: resources, policy, Kubernetes node and vetoes put together, and cached.

It reads the snapshot and writes nothing.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Final, TypeVar

from msgspec import Struct

from hexa.app.store import API_SERVER_SELECTOR, Store
from hexa.domain.cost import Rates, hourly_price, rates_of
from hexa.domain.group import Limits, Policy, Problem, machine_limits, policy_of, usable
from hexa.domain.lifecycle import Phase, phase_of
from hexa.domain.names import (
    CONTROL_PLANE_LABELS,
    CORDON_ANNOTATION,
    MEMBERSHIP_LABEL,
    group_id,
    provider_id,
)
from hexa.domain.resources.core import KubeNode, Malformed
from hexa.domain.resources.v1alpha1 import Group, Lookup, Node, Power, Shape, WishRecord
from hexa.domain.sizing import Member
from hexa.domain.template import declared_shape
from hexa.domain.wish import Veto, acted_power, effective_wish, off_vetoes, on_vetoes

NO_GROUP: Final = Policy()


class GroupView(Struct, frozen=True, kw_only=True):
    """A group and what it means."""

    key: Lookup
    group: Group
    policy: Policy
    problems: tuple[Problem, ...]

    @property
    def id(self) -> str:
        return group_id(self.key.namespace, self.key.name)

    @property
    def valid(self) -> bool:
        return usable(self.problems)


class MachineView(Struct, frozen=True, kw_only=True):
    """A machine and everything that a decision about it needs."""

    key: Lookup
    node: Node
    group: GroupView | None
    policy: Policy
    limits: Limits
    rates: Rates
    kube: KubeNode | None
    problems: tuple[Problem, ...]
    control_plane: bool
    hosts: tuple[str, ...]
    """Pods on it that hexa depends on."""

    @property
    def kube_name(self) -> str:
        return kube_name(self.node)

    @property
    def phase(self) -> Phase:
        return phase_of(self.node.status)

    @property
    def provider_id(self) -> str:
        """What its Kubernetes node carries, carried, or will carry."""
        if self.kube is not None and self.kube.spec.provider_id:
            return self.kube.spec.provider_id
        seen = self.node.status.template
        return (seen.provider_id if seen else "") or provider_id(self.key.namespace, self.key.name)

    @property
    def node_ready(self) -> bool:
        return self.kube is not None and ready(self.kube)

    @property
    def our_cordon(self) -> bool:
        return self.kube is not None and CORDON_ANNOTATION in self.kube.metadata.annotations

    @property
    def valid(self) -> bool:
        refused = self.control_plane and not self.policy.allow_control_plane
        return usable(self.problems) and not refused and (self.group is None or self.group.valid)

    def wish(self, now: datetime) -> WishRecord | None:
        return effective_wish(self.node, self.policy, now=now)

    def off_vetoes(self, now: datetime) -> tuple[Veto, ...]:
        refused = self.control_plane and not self.policy.allow_control_plane
        return tuple(off_vetoes(self.node, self.policy, hosts=self.hosts, control_plane=refused, now=now))

    def on_vetoes(self, now: datetime) -> tuple[Veto, ...]:
        return tuple(on_vetoes(self.node, self.policy, now=now))

    def acted_wish(self, now: datetime) -> Power | None:
        """What to act on: the wish, unless safety forbids it."""
        return acted_power(self.node, self.policy, vetoes=self.off_vetoes(now), now=now)

    def shape(self) -> Shape | None:
        return declared_shape(self.node, self.policy)

    def member(self, now: datetime) -> Member:
        """The machine as sizing sees it."""
        status = self.node.status
        return Member(
            key=self.key,
            phase=self.phase,
            wish=self.wish(now),
            node_ready=self.node_ready,
            on_vetoes=self.on_vetoes(now),
            off_vetoes=self.off_vetoes(now),
            failures=status.failures,
            boot_seconds=status.boot_seconds,
            hourly=hourly_price(self.rates),
            replaced=status.replaced,
            cooling=self.phase is not Phase.READY and status.cool_until is not None and status.cool_until > now,
            valid=self.valid and bool(status.phase),
            since=status.since,
        )


def kube_name(node: Node) -> str:
    """Name of the Kubernetes node that the machine registers."""
    return node.spec.kubernetes_node_name or node.metadata.name


def ready(node: KubeNode) -> bool:
    """The kubelet reports Ready."""
    return any(c.type == "Ready" and c.status == "True" for c in node.status.conditions)


class Views:
    """Puts views together on demand; a view is kept while nothing that it was made of changed."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._groups: dict[Lookup, tuple[Group, GroupView]] = {}
        self._machines: dict[Lookup, tuple[tuple[object, ...], MachineView]] = {}
        self._by_kube_name: dict[str, set[Lookup]] = {}
        self._by_group: dict[Lookup, set[Lookup]] = {}
        self._names: dict[Lookup, str] = {}
        self._memberships: dict[Lookup, Lookup] = {}
        self._hosts: dict[str, tuple[str, ...]] = {}
        self._hosts_version = -1
        self._control_version = 0
        store.machines.subscribe(self._machine_changed)
        for cache in store.control_pods:
            cache.subscribe(lambda *_: self._control_changed())

    # --- groups ---

    def group(self, key: Lookup) -> GroupView | None:
        """The group; None if there is none (or it does not decode)."""
        group = self._store.groups.objects.get(key)
        if group is None:
            self._groups.pop(key, None)
            return None
        cached = self._groups.get(key)
        if cached is None or cached[0] is not group:
            policy, problems = policy_of(group)
            cached = (group, GroupView(key=key, group=group, policy=policy, problems=problems))
            self._groups[key] = cached
        return cached[1]

    def groups(self) -> Iterator[GroupView]:
        """All groups, by id."""
        for key in sorted(self._store.groups.objects, key=str):
            if (view := self.group(key)) is not None:
                yield view

    def members(self, group: Lookup) -> list[MachineView]:
        """The group's machines, by name."""
        keys = sorted(self._by_group.get(group, ()), key=str)
        return [view for view in map(self.machine, keys) if view is not None]

    # --- machines ---

    def machine(self, key: Lookup) -> MachineView | None:
        """The machine; None if there is none (or it does not decode)."""
        node = self._store.machines.objects.get(key)
        if node is None:
            self._machines.pop(key, None)
            return None
        name = kube_name(node)
        membership = membership_of(node)
        group = self.group(membership) if membership is not None else None
        kube = self._store.nodes.objects.get(Lookup("", name))
        hosts = self._hosts_of(name)
        twins = len(self._by_kube_name.get(name, ())) > 1
        parts = (node, group, kube, hosts, twins)
        cached = self._machines.get(key)
        if cached is None or any(a is not b for a, b in zip(cached[0], parts, strict=True)):
            cached = (parts, self._assemble(key, node, group, kube, hosts))
            self._machines[key] = cached
        return cached[1]

    def _assemble(
        self, key: Lookup, node: Node, group: GroupView | None, kube: KubeNode | None, hosts: tuple[str, ...]
    ) -> MachineView:
        policy = group.policy if group is not None else NO_GROUP
        limits, problems = machine_limits(node, group.group if group is not None else None)
        return MachineView(
            key=key,
            node=node,
            group=group,
            policy=policy,
            limits=limits,
            rates=rates_of(node, price_per_kwh=policy.price_per_kwh),
            kube=kube,
            problems=(*problems, *self._references(key, node, group)),
            control_plane=kube is not None and not CONTROL_PLANE_LABELS.isdisjoint(kube.metadata.labels),
            hosts=hosts,
        )

    def _references(self, key: Lookup, node: Node, group: GroupView | None) -> Iterator[Problem]:
        membership = membership_of(node)
        if membership is None:
            yield Problem(
                f"metadata.labels.{MEMBERSHIP_LABEL}",
                "the machine belongs to no group",
                f"set the label {MEMBERSHIP_LABEL} to the name of a Group in namespace {key.namespace}",
                severity="warning",
                reason="NoGroup",
            )
        elif group is None:
            yield Problem(
                f"metadata.labels.{MEMBERSHIP_LABEL}",
                f"there is no Group {membership}",
                "create it, or correct the label",
                severity="warning",
                reason="GroupMissing",
            )
        others = sorted(str(other) for other in self._by_kube_name.get(kube_name(node), ()) if other != key)
        if others:
            yield Problem(
                "spec.kubernetesNodeName",
                f"{kube_name(node)} is also claimed by {', '.join(others)}",
                "give each machine its own Kubernetes node; none of them is switched until then",
                reason="DuplicateKubernetesNode",
            )

    def by_kube_name(self, name: str) -> MachineView | None:
        """The one machine of the Kubernetes node; None if none or several claim it."""
        keys = self._by_kube_name.get(name, ())
        return self.machine(next(iter(keys))) if len(keys) == 1 else None

    def keys_of_kube_name(self, name: str) -> Iterable[Lookup]:
        return tuple(self._by_kube_name.get(name, ()))

    def keys_of_group(self, group: Lookup) -> Iterable[Lookup]:
        return tuple(self._by_group.get(group, ()))

    def malformed_machine(self, key: Lookup) -> Malformed | None:
        return self._store.machines.malformed.get(key)

    # --- indexes ---

    def _machine_changed(self, key: Lookup, old: Node | None, new: Node | None) -> None:
        if old is not None:
            _discard(self._by_kube_name, self._names.pop(key, None), key)
            _discard(self._by_group, self._memberships.pop(key, None), key)
        if new is None:
            return
        self._names[key] = kube_name(new)
        self._by_kube_name.setdefault(kube_name(new), set()).add(key)
        if (membership := membership_of(new)) is not None:
            self._memberships[key] = membership
            self._by_group.setdefault(membership, set()).add(key)

    def _control_changed(self) -> None:
        self._control_version += 1

    def _hosts_of(self, name: str) -> tuple[str, ...]:
        if self._hosts_version != self._control_version:
            self._hosts_version = self._control_version
            self._hosts = self._collect_hosts()
        return self._hosts.get(name, NO_HOSTS)

    def _collect_hosts(self) -> dict[str, tuple[str, ...]]:
        found: dict[str, set[str]] = {}
        for selector, cache in zip(self._store.control_selectors, self._store.control_pods, strict=True):
            if selector == API_SERVER_SELECTOR and len(cache.objects) > 1:
                continue  # another API server serves on
            for key, pod in cache.objects.items():
                if pod.spec.node_name and pod.status.phase not in ("Succeeded", "Failed"):
                    found.setdefault(pod.spec.node_name, set()).add(str(key))
        return {name: tuple(sorted(pods)) for name, pods in found.items()}


NO_HOSTS: Final[tuple[str, ...]] = ()


V = TypeVar("V")


def _discard(index: dict[V, set[Lookup]], value: V | None, key: Lookup) -> None:
    if value is None or value not in index:
        return
    index[value].discard(key)
    if not index[value]:
        del index[value]


def membership_of(node: Node) -> Lookup | None:
    """The group that the machine's label names."""
    name = node.metadata.labels.get(MEMBERSHIP_LABEL)
    return Lookup(node.metadata.namespace, name) if name else None
