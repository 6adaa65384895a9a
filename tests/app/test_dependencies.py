"""Who depends on whom is kept up to date by each change alone."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs
from tests.app.rig import at

from hexa.app.store import Store
from hexa.app.views.views import Views
from hexa.domain.group.sizing import placed
from hexa.domain.machine.lifecycle import Phase
from hexa.domain.machine_view import MachineView
from hexa.domain.names import MEMBERSHIP_LABEL, WISH_ANNOTATION
from hexa.domain.resources.v1alpha1 import (
    Group,
    GroupSpec,
    Hold,
    Lookup,
    Node,
    NodeSpec,
    NodeStatus,
    OwnedMetadata,
    PowerPodSpec,
)
from hexa.domain.rules.dependencies import (
    NO_TIES,
    Ties,
    broken,
    crowd_vetoes,
    crowds,
    dependencies_of,
    missing,
    need_of,
    prerequisite_of,
)

NAMES = ("a", "b", "c", "d")
NOW = at(60)
POD = PowerPodSpec(image="registry.example/power")
WISH = '{{"power": "{power}", "by": "{by}", "since": "2026-01-05T00:00:0{second}Z"}}'


class Still:
    """A clock that stands."""

    def now(self) -> datetime:
        return NOW


def wish(power: str, by: str, second: int) -> dict[str, str]:
    """The annotation."""
    return {WISH_ANNOTATION: WISH.format(power=power, by=by, second=second)}


names = st.sampled_from(NAMES)
wishes = st.builds(wish, st.sampled_from(["on", "off"]), st.sampled_from(["user", "recovery"]), st.integers(0, 9))
nodes = st.builds(
    lambda name, on, phase, hold, grouped, record: Node(
        metadata=OwnedMetadata(
            name=name, namespace="d", labels={MEMBERSHIP_LABEL: "rack"} if grouped else {}, annotations=record
        ),
        spec=NodeSpec(
            depends_on=tuple(on), hold=Hold(power="off") if hold else None, startup_pod_spec=POD, shutdown_pod_spec=POD
        ),
        status=NodeStatus(phase=phase),
    ),
    names,
    st.lists(st.sampled_from([*NAMES, "nobody"]), max_size=2, unique=True),
    st.sampled_from([*Phase]),
    st.booleans(),
    st.booleans(),
    wishes,
)
groups = st.builds(
    lambda hold, most: Group(
        metadata=OwnedMetadata(name="rack", namespace="d"),
        spec=GroupSpec(hold=Hold(power="off") if hold else None, max_size=most),
    ),
    st.booleans(),
    st.sampled_from([None, 0, 1, 2]),
)


def numbered(thing: Any, version: int) -> Any:
    """That state of the object."""
    return structs.replace(thing, metadata=structs.replace(thing.metadata, resource_version=str(version)))


def ties(views: Views) -> dict[str, Ties]:
    """Of every name, in an order of their own."""
    found = {name: views.dependencies.ties(Lookup("d", name)) for name in (*NAMES, "nobody")}
    return {
        name: structs.replace(each, needs=tuple(sorted(each.needs, key=lambda need: need.key.name)))
        for name, each in found.items()
    }


def worked_out(views: Views, store: Store) -> dict[str, Ties]:
    """The same from nothing but the machines: looked at again and again until nothing changes."""
    keys = [Lookup("d", name) for name in (*NAMES, "nobody")]
    edges = {key: dependencies_of(node) for key, node in store.machines.objects.items()}
    found = dict.fromkeys(keys, NO_TIES)
    while True:
        seen = {key: view and structs.replace(view, ties=found[key]) for key in keys for view in [views.machine(key)]}
        following = {key: _worked_out(key, seen, edges) for key in keys}
        if following == found:
            return {key.name: ties for key, ties in found.items()}
        found = following


def _worked_out(key: Lookup, seen: Mapping[Lookup, MachineView | None], edges: Mapping[Lookup, Any]) -> Ties:
    before = []
    for other in edges.get(key, ()):
        view = seen[other]
        if view is None:
            before.append(missing(other, malformed=False))
            continue
        told = {"valid": view.valid, "leaving": False, "wish": view.wish(NOW), "on_vetoes": view.on_vetoes(NOW)}
        told["full"] = _full(_place(view), seen)
        before.append(prerequisite_of(other, view.node, **told))
    needs = []
    for other in sorted(edges, key=str):
        view = seen[other]
        if view is not None and key in edges[other] and broken(other, edges) is None:
            crowded = any(crowd_vetoes(view.ties, view.wish(NOW)))
            able = view.valid and not view.own_on_vetoes(NOW) and not crowded
            needs.append(need_of(other, view.node, wish=view.wish(NOW), able=able, node_ready=False))
    return Ties(broken(key, edges), tuple(before), tuple(needs), crowds(key, edges, lambda each: _place(seen[each])))


def _full(place: tuple[Lookup, int] | None, seen: Mapping[Lookup, MachineView | None]) -> tuple[Lookup, int] | None:
    members = [view.member(NOW) for view in seen.values() if view is not None and _place(view) == place]
    return place if place is not None and sum(map(placed, members)) >= place[1] else None


def _place(view: MachineView | None) -> tuple[Lookup, int] | None:
    if view is None or view.group is None or view.policy.max_size is None:
        return None
    return view.group.key, view.policy.max_size


def test_a_raised_maximum_is_heard_by_all_that_depend_on_a_machine_of_the_group() -> None:
    """Two machines need a third whose group had maxSize 0, one of them by the other: both can be woken once the limit is gone."""

    def needing(name: str, *others: str, grouped: bool) -> Node:
        labels = {MEMBERSHIP_LABEL: "rack"} if grouped else {}
        metadata = OwnedMetadata(name=name, namespace="d", labels=labels, annotations=wish("on", "user", 0))
        return Node(metadata=metadata, spec=NodeSpec(depends_on=others, startup_pod_spec=POD, shutdown_pod_spec=POD))

    def at_most(most: int | None) -> Group:
        return Group(metadata=OwnedMetadata(name="rack", namespace="d"), spec=GroupSpec(max_size=most))

    store = Store(clock=Still())
    views = Views(store)
    below, above, last = needing("b", "c", grouped=False), needing("a", "b", grouped=True), needing("c", grouped=True)
    for version, change in enumerate((below, above, at_most(0), last, at_most(None)), start=1):
        (store.machines if isinstance(change, Node) else store.groups).put(numbered(change, version))
    assert [crowd for name in NAMES for crowd in views.dependencies.ties(Lookup("d", name)).crowds] == []
    assert ties(views) == worked_out(views, store)


@settings(max_examples=60, deadline=None)
@given(st.lists(nodes | names | groups, max_size=14))
def test_each_change_alone_leads_to_the_whole_truth(changes: list[Any]) -> None:
    """Machines that come, change, go, are held by their group, and name each other in circles: the same as if it were worked out
    anew each time, and everybody concerned is told."""
    store = Store(clock=Still())
    views, told = Views(store), set[str]()
    views.dependencies.on_ties(lambda key: told.add(key.name))
    before = ties(views)
    for version, change in enumerate(changes, start=1):
        told.clear()
        if isinstance(change, str):
            store.machines.drop(Lookup("d", change))
        else:
            (store.machines if isinstance(change, Node) else store.groups).put(numbered(change, version))
        now = ties(views)
        assert now == worked_out(views, store)
        assert {name for name in now if now[name] != before[name]} <= told
        before = now
