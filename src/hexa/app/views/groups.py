"""Views of groups, each kept while its spec stays the same and no schedule changes what it means, and what requests on groups ask
of their machines.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Final

from msgspec import structs

from hexa.app.fence import contained_problem
from hexa.app.store import Store
from hexa.app.views.stand_in import group_stand_in
from hexa.domain.group.asked import as_asked, asked
from hexa.domain.group.watts import gap
from hexa.domain.group_view import GroupView
from hexa.domain.machine.lifecycle import ON_PHASES, phase_of
from hexa.domain.machine.marks import released
from hexa.domain.machine_view import membership_of
from hexa.domain.policy.battery import OnBattery
from hexa.domain.policy.policy import Policy, policy_at, policy_of
from hexa.domain.policy.schedules import UNLEARNED, lead_of
from hexa.domain.policy.tariffs import unknown_tariff
from hexa.domain.resources.v1alpha1 import GROUPS, Group, Lookup, Node, WishRecord

LEARNED: Final = timedelta(seconds=5)
"""Until what boots have taught counts."""


class GroupViews:
    """Every group of the snapshot. `nodes`: a group's machines."""

    def __init__(self, store: Store, *, nodes: Callable[[Lookup], Iterable[Node]]) -> None:
        self._store, self._fence, self._nodes = store, store.fence, nodes
        self._post = store.fence.post(GROUPS, "view")
        self._known: Final[dict[Lookup, GroupView]] = {}
        self.on_battery: Callable[[Lookup], OnBattery | None] = lambda _: None
        """What a UPS means for a group now."""
        self._until: Final[dict[Lookup, datetime]] = {}
        """When schedules change the policy of a group next."""
        self.until: datetime | None = None
        """The first of them; None: no group has schedules."""

    def forget(self, key: Lookup) -> None:
        """The group is gone, or is to be put together anew."""
        self._known.pop(key, None)
        self._changes(key, None)

    def changes_at(self, key: Lookup) -> datetime | None:
        """When schedules change the group's policy next; None: it has none."""
        return self._until.get(key)

    def boots_changed(self, key: Lookup) -> None:
        """Boots of the group took another time: in a while its schedules are looked at again, once for many boots."""
        if (until := self._until.get(key)) is not None:
            self._changes(key, min(until, self._store.clock.now() + LEARNED))

    def clock_set(self) -> None:
        """All schedules are looked at again."""
        for key in tuple(self._until):
            self._changes(key, self._store.clock.now())

    def turned(self, now: datetime) -> list[Lookup]:
        """Groups whose policy time alone has changed since it was last asked: their views are new."""
        due = [key for key, until in self._until.items() if until <= now]
        return [key for key in due if self._turn(key, now)]

    def _turn(self, key: Lookup, now: datetime) -> bool:
        self._changes(key, None)
        if (known := self._known.get(key)) is None:
            return False
        with self._post.around(key):
            policy, until = self._policy_at(key, known.policy, now)
            self._changes(key, until)
            if policy == known.policy:
                return False
            self._known[key] = structs.replace(known, policy=policy)
        return True

    def _policy_at(self, key: Lookup, policy: Policy, now: datetime) -> tuple[Policy, datetime | None]:
        """Where it has schedules, by what the boots of its machines have taken, and what their circuits leave between wakes."""
        if not policy.schedules:
            return policy, None
        nodes, circuits = list(self._nodes(key)), self._store.conventions.circuits or ()
        named = {node.spec.circuit for node in nodes}
        apart = max((gap(each) for each in circuits if each.name in named), default=timedelta(0))
        lead = lead_of(node.status.boot_seconds for node in nodes)
        left_on = UNLEARNED if any(phase_of(node.status) in ON_PHASES for node in nodes) else timedelta(0)
        return policy_at(policy, now=now, lead=lead, apart=apart, left_on=left_on)

    def _changes(self, key: Lookup, until: datetime | None) -> None:
        if until is not None:
            self._until[key] = until
        elif self._until.pop(key, None) is None:
            return
        self.until = min(self._until.values(), default=None)

    def group(self, key: Lookup) -> GroupView | None:
        """The group; None if there is none (or it does not decode)."""
        group = self._store.groups.objects.get(key)
        if group is None:
            self.forget(key)
            return None
        known = self._known.get(key)
        if known is None or not same_group(known.group, group):
            known = self._known[key] = self._view(key, group)
        return known

    def _view(self, key: Lookup, group: Group) -> GroupView:
        with self._post.around(key):
            policy, problems = policy_of(group)
            policy = structs.replace(policy, battery=self.on_battery(key))
            policy, until = self._policy_at(key, policy, self._store.clock.now())
            self._changes(key, until)
            self._post.works(key)
            unknown = unknown_tariff(policy.tariff, self._store.conventions.tariffs)
            told = map(contained_problem, self._fence.breaches(GROUPS, key))
            return GroupView(key=key, group=group, policy=policy, problems=(*problems, *unknown, *told))
        breach = self._fence.blocked(GROUPS, key)
        assert breach is not None
        return group_stand_in(key, group, breach)

    def try_group(self, key: Lookup) -> None:
        """Try anew what is contained of the group."""
        self.forget(key)
        with suppress(Exception):  # the fence knows
            self._store.groups.tell_again(key)
        self.group(key)

    def policy(self, key: Lookup) -> Policy | None:
        """The group's policy; None: there is no such group."""
        view = self.group(key)
        return view.policy if view is not None else None

    def groups(self) -> Iterator[GroupView]:
        """All groups, by id."""
        for key in sorted(self._store.groups.objects, key=str):
            if (view := self.group(key)) is not None:
                yield view

    def asked(self, node: Node) -> WishRecord | None:
        """What a request on its group asks of the machine."""
        membership = membership_of(node)
        return asked(self._store.groups.objects.get(membership), node) if membership is not None else None

    def as_asked(self, node: Node) -> Node:
        """The machine with what a request on its group asks of it."""
        return node if (wish := self.asked(node)) is None else as_asked(node, wish)


def same_group(one: Group, other: Group) -> bool:
    """The same object with the same spec, and given up or not as before: a status does not matter here."""
    same = one.metadata.uid == other.metadata.uid and released(one.metadata) == released(other.metadata)
    return same and one.spec == other.spec
