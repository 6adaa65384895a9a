"""Views of groups, each kept while its spec stays the same, and what requests on groups ask of their machines."""

from collections.abc import Iterator
from contextlib import suppress
from typing import Final

from hexa.app.fence import contained_problem
from hexa.app.store import Store
from hexa.app.views.stand_in import group_stand_in
from hexa.domain.group.asked import as_asked, asked
from hexa.domain.group_view import GroupView
from hexa.domain.machine.marks import released
from hexa.domain.machine_view import membership_of
from hexa.domain.policy.policy import Policy, policy_of
from hexa.domain.policy.tariffs import unknown_tariff
from hexa.domain.resources.v1alpha1 import GROUPS, Group, Lookup, Node, WishRecord


class GroupViews:
    """Every group of the snapshot."""

    def __init__(self, store: Store) -> None:
        self._store, self._fence = store, store.fence
        self._post = store.fence.post(GROUPS, "view")
        self._known: Final[dict[Lookup, GroupView]] = {}

    def forget(self, key: Lookup) -> None:
        """The group is gone, or is to be put together anew."""
        self._known.pop(key, None)

    def group(self, key: Lookup) -> GroupView | None:
        """The group; None if there is none (or it does not decode)."""
        group = self._store.groups.objects.get(key)
        if group is None:
            self._known.pop(key, None)
            return None
        known = self._known.get(key)
        if known is None or not same_group(known.group, group):
            known = self._known[key] = self._view(key, group)
        return known

    def _view(self, key: Lookup, group: Group) -> GroupView:
        with self._post.around(key):
            policy, problems = policy_of(group)
            self._post.works(key)
            unknown = unknown_tariff(policy.tariff, self._store.conventions.tariffs)
            told = map(contained_problem, self._fence.breaches(GROUPS, key))
            return GroupView(key=key, group=group, policy=policy, problems=(*problems, *unknown, *told))
        breach = self._fence.blocked(GROUPS, key)
        assert breach is not None
        return group_stand_in(key, group, breach)

    def try_group(self, key: Lookup) -> None:
        """Try anew what is contained of the group."""
        self._known.pop(key, None)
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
