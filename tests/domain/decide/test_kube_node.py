"""What is written to a Kubernetes node: what it lacks, or that nothing of hexa's stays on it once its machine is given up."""

from typing import Any

import pytest
from msgspec import structs
from tests.domain.builders import at, kube_node, machine, view

from hexa.domain.decide.kube_node import Give, KubeNodeObserved, LetBe, TakeOff, decide_kube_node
from hexa.domain.group_view import GroupView
from hexa.domain.machine.lifecycle import Phase
from hexa.domain.names import GROUP_LABEL, MACHINE_ANNOTATION, RELEASED_ANNOTATION
from hexa.domain.policy.policy import Policy
from hexa.domain.policy.problem import Problem
from hexa.domain.resources.v1alpha1 import Group, Identity, Lookup, Node, OwnedMetadata

KEY = Lookup("site", "m1")
RACK = GroupView(
    key=Lookup("site", "rack"),
    group=Group(metadata=OwnedMetadata(name="rack", namespace="site")),
    policy=Policy(namespace="site", name="rack"),
    problems=(),
)
OURS = {MACHINE_ANNOTATION: str(KEY)}
BROKEN = (Problem("spec", "broken", "mend it", reason="Broken"),)


def serving(**status: Any) -> Node:
    """A machine that serves and whose node was given all once."""
    node = machine(phase=Phase.READY)
    return structs.replace(node, status=structs.replace(node.status, welcomed=True, **status))


def seen(owner: Node | None, *, claimed: bool = True, sound: bool = True, **known: Any) -> KubeNodeObserved:
    """The marked node of m1 beside that machine as it is stored; `claimed`: it is the node's, `sound`: with nothing wrong."""
    node = known.pop("node", None) or kube_node("m1", annotations=OURS, labels={GROUP_LABEL: "rack"})
    group, problems = known.pop("group", RACK), () if sound else BROKEN
    of = view(owner, group=group, kube=node, problems=problems) if owner is not None and claimed else None
    facts = {"seeing": True, "all_seen": True, "owner_may_be_hidden": False, **known}
    return KubeNodeObserved(now=at(0), node=node, machine=of, claimed=claimed, owner=owner, **facts)


def test_a_node_that_lacks_nothing_is_let_be_and_one_that_lacks_its_label_is_given_it() -> None:
    """The label of members and the providerID are kept on the node of a machine that serves."""
    bare = kube_node("m1", annotations=OURS)
    found = decide_kube_node(seen(serving(), node=bare))
    assert isinstance(found, Give)
    assert found.body["metadata"]["labels"] == {GROUP_LABEL: "rack"}
    whole = kube_node("m1", annotations=OURS, labels={GROUP_LABEL: "rack"}, spec=bare.spec)
    whole = structs.replace(whole, spec=structs.replace(whole.spec, provider_id=found.body["spec"]["providerID"]))
    assert decide_kube_node(seen(serving(), node=whole)) == LetBe()


@pytest.mark.parametrize(
    ("owner", "known", "given_up"),
    [
        (None, {}, True),
        (None, {"seeing": False}, False),
        (None, {"owner_may_be_hidden": True}, False),
        (None, {"node": kube_node("m1")}, False),
        (serving(), {}, False),
        (serving(identity=Identity(kubernetes_node="another")), {}, True),
        (machine(phase=Phase.READY), {}, False),
    ],
    ids=["deleted", "blind", "may be hidden", "unmarked", "there", "on another node", "of no known node"],
)
def test_marks_of_a_machine_that_is_gone_are_taken_off(owner: Node | None, known: Any, given_up: bool) -> None:
    """Only where hexa sees for sure that the machine is deleted, or that another Kubernetes node is its."""
    found = decide_kube_node(seen(owner, claimed=False, **known))
    assert found == (TakeOff() if given_up else LetBe())


def test_marks_of_a_released_machine_are_taken_off() -> None:
    """`hexa release` gives the node up, whatever else claims it."""
    metadata = structs.replace(serving().metadata, annotations={RELEASED_ANNOTATION: "yes"})
    assert decide_kube_node(seen(structs.replace(serving(), metadata=metadata), claimed=False)) == TakeOff()


@pytest.mark.parametrize(
    ("all_seen", "claimed", "given_up"), [(True, False, True), (False, False, False), (True, True, False)]
)
def test_marks_that_name_no_machine_are_taken_off_where_no_machine_can_be_hidden(
    all_seen: bool, claimed: bool, given_up: bool
) -> None:
    """A label alone does not say whose the node is: it stays while any machine may be the node's."""
    node = kube_node("m1", annotations={"infra.homecluster.dev/cordoned": "2026-03-02T08:00:00Z"})
    found = decide_kube_node(seen(None, claimed=claimed, node=node, all_seen=all_seen))
    assert found == (TakeOff() if given_up else LetBe())


def test_a_sound_machine_keeps_its_marks_and_a_broken_one_too_while_it_is_there() -> None:
    """A mistake in a spec undoes nothing: the node is given up with its machine only."""
    assert decide_kube_node(seen(serving())) != TakeOff()
    assert decide_kube_node(seen(serving(), sound=False)) != TakeOff()
    earlier = kube_node("m1", annotations={MACHINE_ANNOTATION: "site/deleted"}, labels={GROUP_LABEL: "rack"})
    assert decide_kube_node(structs.replace(seen(serving(), node=earlier), owner=None)) != TakeOff()


def test_what_cannot_be_worked_with_is_let_be() -> None:
    """Nothing is written by what a contained machine says."""
    bare = kube_node("m1", annotations=OURS)
    assert decide_kube_node(seen(serving(), node=bare, contained=True)) == LetBe()


def test_a_machine_that_serves_in_no_group_any_more_loses_its_marks() -> None:
    """Its group was deleted, and it serves on as a plain node of the cluster."""
    assert decide_kube_node(seen(serving(), group=None)) == TakeOff()
