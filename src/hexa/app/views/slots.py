"""What the machines of each group claim, and what follows of that for the group, kept up to date by what changes.

What is claimed, and what follows, `domain.rules` says; here claims are remembered, so that one more change costs one judgement.
"""

from collections.abc import Callable, Collection
from datetime import datetime
from typing import Any, Generic, Protocol, TypeVar

from msgspec import Struct

from hexa.app.store import Store
from hexa.domain.machine.identity import kube_name
from hexa.domain.machine.marks import leaving
from hexa.domain.machine_view import membership_of
from hexa.domain.policy.policy import Policy
from hexa.domain.resources.core import KubeNode
from hexa.domain.resources.v1alpha1 import Lookup, Node


class Standing(Protocol):
    """What follows of the claims of a group's machines."""

    @property
    def until(self) -> datetime | None:
        """When it changes by time alone."""


C = TypeVar("C", bound=Struct)
S = TypeVar("S", bound=Standing)


class Claimed(Struct, Generic[C, S], frozen=True):
    """A kind of claims, as a rule sees it."""

    claim: Callable[[Lookup, Node, KubeNode | None, Policy, datetime], C | None]
    """A machine's, with what is asked of it; None: it claims nothing."""
    stand: Callable[[Collection[C], datetime], S]
    """What follows of those of a group."""
    nothing: S
    """What follows of none."""
    seen: Callable[[S], Any]
    """What machines see of it: only then they are told."""
    counts: Callable[[Policy], bool] = lambda policy: True
    """Whether machines of a group of this policy claim anything."""


class Slots(Generic[C, S]):
    """The claims of every group's machines, and what follows. `policy`: of a group; None: there is no such group. `as_asked`: a
    machine with what a request on its group asks of it."""

    def __init__(
        self,
        kind: Claimed[C, S],
        *,
        store: Store,
        policy: Callable[[Lookup], Policy | None],
        as_asked: Callable[[Node], Node],
    ) -> None:
        self._kind, self._store, self._policy, self._as_asked = kind, store, policy, as_asked
        self._claims: dict[Lookup, dict[Lookup, C]] = {}
        """Of each group, those of its machines."""
        self._claimed_in: dict[Lookup, Lookup] = {}
        self._slots: dict[Lookup, S] = {}
        self._on_slot: list[Callable[[Lookup], None]] = []

    def on_slot(self, notify: Callable[[Lookup], None]) -> None:
        """Call `notify(group)` when something else follows for the group's machines."""
        self._on_slot.append(notify)

    def slot(self, group: Lookup) -> S:
        """What follows of the claims of its machines now."""
        return self._slots.get(group, self._kind.nothing)

    def look(self, group: Lookup, now: datetime) -> None:
        """Work it out anew if time alone has changed it."""
        until = self.slot(group).until
        if until is not None and now >= until:
            self._choose(group, now)

    def changed(self, key: Lookup) -> None:
        """The machine, its Kubernetes node or its group has changed: so may have its claim."""
        node, now = self._store.machines.objects.get(key), self._store.clock.now()
        group = membership_of(node) if node is not None and not leaving(node) else None
        claim = self._claim(key, node, group, now)  # raises what its data raises: then what it claimed stands
        before = self._claimed_in.pop(key, None)
        old = self._claims[before].pop(key, None) if before is not None else None
        if claim is not None and group is not None:
            self._claims.setdefault(group, {})[key] = claim
            self._claimed_in[key] = group
        if before is not None and before != group:
            self._choose(before, now)
        if group is not None and (claim != old or before not in (None, group)):
            self._choose(group, now)
        elif group is not None:
            self.look(group, now)

    def _claim(self, key: Lookup, node: Node | None, group: Lookup | None, now: datetime) -> C | None:
        policy = self._policy(group) if group is not None else None
        if node is None or policy is None or not self._kind.counts(policy):
            return None
        kube = self._store.nodes.objects.get(Lookup("", kube_name(node)))
        return self._kind.claim(key, self._as_asked(node), kube, policy, now)

    def _choose(self, group: Lookup, now: datetime) -> None:
        before = self.slot(group)
        self._slots[group] = self._kind.stand(self._claims.get(group, {}).values(), now)
        if not self._claims.get(group):  # nobody claims anything: nothing is remembered of a group that may be gone
            self._claims.pop(group, None)
            del self._slots[group]
        if self._kind.seen(self.slot(group)) != self._kind.seen(before):
            for notify in self._on_slot:
                notify(group)
