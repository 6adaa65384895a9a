"""What metrics are read from: the snapshot, and what was counted, at one moment."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from functools import cached_property
from typing import Final

from msgspec import Struct

from hexa.app.store import Store
from hexa.app.tariffs import Tariffs
from hexa.app.views.views import Views
from hexa.domain.machine_view import membership_of
from hexa.domain.policy.policy import Policy
from hexa.domain.resources.v1alpha1 import Group, Lookup, Node
from hexa.ports.metrics import Labels

NOWHERE: Final = ("", "")
"""Namespace and group of machines that are gone, or in no group that is there."""


def named(key: Lookup) -> Labels:
    """Namespace and name."""
    return key.namespace, key.name


def group_of(store: Store, node: Node | None) -> Labels:
    """Namespace and group of a machine, if that group is there."""
    group = membership_of(node) if node is not None else None
    return named(group) if group is not None and group in store.groups.objects else NOWHERE


class Around(Struct, frozen=True, kw_only=True):
    """What is known beside the snapshot."""

    version: str = ""
    tariffs: Tariffs = Tariffs()
    watts: Callable[[Node], float | None] = lambda machine: None
    """What a machine draws, as its meter said last."""
    lags: Callable[[], Mapping[str, float]] = dict
    """Seconds for which watches have not been held, by kind."""
    called: Callable[[], timedelta | None] = lambda: None
    """How long ago Cluster Autoscaler called last."""
    certificates: Mapping[str, float] = {}
    """When they end, in seconds since 1970."""


class Scene:
    """One moment. What is asked for twice is worked out once."""

    def __init__(self, store: Store, views: Views, *, now: datetime, around: Around) -> None:
        self.store, self.views, self.now, self.around = store, views, now, around

    @cached_property
    def machines(self) -> list[tuple[Lookup, Node]]:
        """All machines that decode."""
        return list(self.store.machines.objects.items())

    @cached_property
    def groups(self) -> list[tuple[Lookup, Group]]:
        """All groups that decode, by namespace and name."""
        return sorted(self.store.groups.objects.items(), key=lambda item: named(item[0]))

    @cached_property
    def policies(self) -> dict[Lookup, Policy]:
        """What groups say now, schedules included."""
        views = ((key, self.views.group(key)) for key, _ in self.groups)
        return {key: view.policy for key, view in views if view is not None}

    @cached_property
    def places(self) -> list[Labels]:
        """Every group that is there."""
        return [named(key) for key, _ in self.groups]
