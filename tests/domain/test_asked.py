"""Requests of a group: they stand until something newer is wanted of each machine, and no longer."""

from typing import Any

from msgspec import structs
from tests.domain.builders import OFF, ON, T0, at, machine, wish

from hexa.domain.group.asked import (
    as_asked,
    asked,
    asked_of,
    exchanged,
    lost,
    open_requests,
    request_of,
    stands,
    wanted_then,
    with_request,
)
from hexa.domain.group.sizing import Member
from hexa.domain.machine.lifecycle import Phase
from hexa.domain.machine.reason import Veto
from hexa.domain.names import RELEASED_ANNOTATION
from hexa.domain.resources.v1alpha1 import Asker, Group, GroupStatus, Lookup, Node, OwnedMetadata, Request

WISH = wish(ON, Asker.CLUSTER_AUTOSCALER, reason="ScaleUp", replaces="old")
A, B, C = machine("a"), machine("b"), machine("c")
NODES = {"a": A, "b": B, "c": C}
BOTH = request_of(WISH, [A, B])


def group(*requests: Request, **metadata: Any) -> Group:
    """A group with these requests."""
    return Group(
        metadata=OwnedMetadata(name="rack", namespace="site", **metadata), status=GroupStatus(requests=requests)
    )


def member(node: Node, **more: Any) -> Member:
    """The machine as it is judged."""
    return Member(key=Lookup("site", node.metadata.name), phase=Phase.OFF, **more)


def test_a_request_asks_the_same_of_each_machine() -> None:
    """Who, why, since when and whose place; each machine with what was wanted of it then."""
    assert (BOTH.power, BOTH.by, BOTH.reason, BOTH.since, BOTH.replaces) == (ON, WISH.by, "ScaleUp", T0, "old")
    assert BOTH.machines == {"a": wanted_then(A), "b": wanted_then(B)}
    found = asked(group(BOTH), A)
    assert found == WISH
    assert asked(group(BOTH), C) is None
    assert asked(None, A) is None
    assert asked(group(), A) is None
    assert asked_of(group(BOTH), group(request_of(WISH, [C]))) == tuple(Lookup("site", name) for name in "abc")
    assert asked_of() == ()


def test_whatever_else_is_wanted_of_a_machine_ends_its_request() -> None:
    """A changed spec.powerState, another wish, and the request's own once it is stored."""
    assert stands(BOTH, A)
    assert not stands(BOTH, C)
    assert not stands(BOTH, machine("a", power_state="off"))
    stored = as_asked(A, WISH)
    assert not stands(BOTH, stored)
    assert asked(group(BOTH), stored) is None


def test_a_wish_is_stored_as_it_was_asked() -> None:
    """Annotation and spec.powerState together, and what other annotations there were."""
    noted = structs.replace(A, metadata=structs.replace(A.metadata, annotations={"note": "x"}))
    stored = as_asked(noted, WISH)
    assert stored.spec.power_state == "on"
    assert stored.metadata.annotations["note"] == "x"
    assert len(stored.metadata.annotations) == 2
    found = as_asked(machine("a"), wish(ON, Asker.RECOVERY))
    assert found.spec.power_state is None


def test_the_last_request_about_a_machine_counts() -> None:
    """A newer one takes over its machines from the older ones, which go once they have none."""
    off = request_of(wish(OFF, Asker.CLUSTER_AUTOSCALER, since=at(5)), [A])
    both = with_request((BOTH,), off)
    assert [list(each.machines) for each in both] == [["b"], ["a"]]
    assert [list(each.machines) for each in with_request(both, request_of(WISH, [A, B]))] == [["a", "b"]]
    assert getattr(asked(group(BOTH, off), A), "power", None) is OFF
    assert with_request((BOTH,), request_of(WISH, [C]))[0] is BOTH


def test_a_group_that_is_released_and_a_machine_that_leaves_are_asked_nothing() -> None:
    """What hexa lets go of is woken by no request."""
    assert asked(group(BOTH, annotations={RELEASED_ANNOTATION: "true"}), A) is None
    leaves = structs.replace(A, metadata=structs.replace(A.metadata, deletion_timestamp=T0))
    assert asked(group(BOTH), leaves) is None


def test_what_is_left_of_requests_is_what_is_not_stored_yet() -> None:
    """Machines that are gone and those that have the wish are taken out; an empty request goes."""
    assert open_requests((BOTH,), NODES) == (BOTH,)
    (left,) = open_requests((BOTH,), {**NODES, "a": as_asked(A, WISH)})
    assert list(left.machines) == ["b"]
    assert open_requests((BOTH,), {"c": C}) == ()


def test_a_machine_that_cannot_come_for_its_request_is_exchanged() -> None:
    """Gone, invalid, forbidden to wake, or wanted otherwise since; not one that has the wish already, and no off."""
    members = {name: member(node) for name, node in NODES.items()}
    assert lost((BOTH,), NODES, members) == []
    assert lost((BOTH,), {"b": B}, members) == [(BOTH, "a")]
    assert lost((BOTH,), NODES, {"b": members["b"]}) == [(BOTH, "a")]
    for bad in (member(A, valid=False), member(A, on_vetoes=(Veto("Paused", "paused"),))):
        assert lost((BOTH,), NODES, {**members, "a": bad}) == [(BOTH, "a")]
    assert lost((BOTH,), {**NODES, "a": machine("a", power_state="off")}, members) == [(BOTH, "a")]
    assert lost((BOTH,), {**NODES, "a": as_asked(A, WISH)}, members) == []
    other = as_asked(A, structs.replace(WISH, since=at(9)))
    assert lost((BOTH,), {**NODES, "a": other}, members) == [(BOTH, "a")]
    assert lost((request_of(wish(OFF), [A]),), {}, {}) == []
    swapped = exchanged((BOTH, request_of(WISH, [A])), [(BOTH, "a", C)])
    assert [each.machines for each in swapped] == [
        {"b": wanted_then(B), "c": wanted_then(C)},
        {"a": wanted_then(A)},
    ]
