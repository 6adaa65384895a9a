"""Room for pods that fit nowhere else: who is woken for them, one after the other, and what is told."""

from typing import Any

from msgspec import structs
from tests.domain.builders import OFF, at, machine, pod, view, wish

from hexa.domain.decide.room import (
    Lender,
    ReadLenders,
    RoomDecision,
    RoomObserved,
    Tell,
    WakeForRoom,
    decide_room,
    lending,
    offered,
)
from hexa.domain.group.sizing import Member
from hexa.domain.group_view import GroupView
from hexa.domain.machine.lifecycle import Phase
from hexa.domain.names import RELEASED_ANNOTATION
from hexa.domain.policy.policy import Policy
from hexa.domain.policy.problem import Problem
from hexa.domain.resources.v1alpha1 import Asker, Group, Lookup, OwnedMetadata, Power, Shape

SHAPE = Shape(allocatable={"cpu": "2", "memory": "4Gi", "pods": "10"})
LEAVING = view(machine("leaves", phase=Phase.DRAINING))
TWO = tuple(pod(name, requests={"cpu": "2"}) for name in ("web", "db"))


def group(name: str = "rack", *, released: bool = False, broken: bool = False, **policy: Any) -> GroupView:
    """A group of the site."""
    annotations = {RELEASED_ANNOTATION: "yes"} if released else {}
    of = Group(metadata=OwnedMetadata(name=name, namespace="site", annotations=annotations))
    problems = (Problem("spec", "broken", "mend it", reason="Broken"),) if broken else ()
    key = Lookup("site", name)
    return GroupView(key=key, group=of, policy=Policy(namespace="site", name=name, **policy), problems=problems)


def lender(of: GroupView, *names: str) -> Lender:
    """The group with machines that are off, each with room for two CPUs."""
    views = tuple(view(machine(name, phase=Phase.OFF), shape=SHAPE) for name in names)
    members = [Member(key=each.key, phase=Phase.OFF, wish=wish(OFF, Asker.CLUSTER_AUTOSCALER)) for each in views]
    return Lender(group=of, machines=views, members=members)


def woken(name: str, phase: Phase) -> Member:
    """A machine that was woken for the pods long ago."""
    asked = wish(Power.ON, Asker.RECOVERY, makes_room_for="site/leaves")
    return Member(key=Lookup("site", name), phase=phase, wish=asked, since=at(-3600))


def seen(*lenders: Lender, **known: Any) -> RoomObserved:
    """Two pods that need a machine each."""
    return RoomObserved(now=at(0), leaving=LEAVING, **{"pods": TWO, "woken": (), "lenders": lenders, **known})


def after(decision: RoomDecision, observed: RoomObserved) -> RoomObserved:
    """What is known once the machine is woken."""
    assert isinstance(decision, WakeForRoom)
    return structs.replace(observed, chosen=decision.then, asked=(*observed.asked, decision.key.name))


def test_machines_are_woken_one_after_the_other_and_named() -> None:
    """Each under the lock of its own group, with a wish that says for whom."""
    observed = seen(lender(group("rack"), "a"), lender(group("shelf"), "b", "c"))
    first = decide_room(observed)
    assert isinstance(first, WakeForRoom)
    assert (first.key.name, first.lock.name) == ("a", "rack")
    assert (first.wish.power, first.wish.makes_room_for) == (Power.ON, "site/leaves")
    observed = after(first, observed)
    second = decide_room(observed)
    assert isinstance(second, WakeForRoom)
    assert (second.key.name, second.lock.name) == ("b", "shelf")
    assert decide_room(after(second, observed)) == Tell("a, b is woken to make room")


def test_lenders_are_read_only_where_nobody_is_on_the_way() -> None:
    """One that was woken before is waited for, which costs no look at other groups."""
    assert decide_room(seen(lenders=None)) == ReadLenders()
    waits = decide_room(seen(lenders=None, woken=(woken("a", Phase.BOOTING),)))
    assert waits == Tell("a is woken to make room")


def test_who_was_given_to_others_meanwhile_is_passed_over() -> None:
    """Under the lock the next of those that were chosen is woken; where none is left, another look is needed."""
    chosen = (Lookup("site", "a"), Lookup("site", "b"))
    found = decide_room(seen(lender(group(), "b", "c"), chosen=chosen))
    assert isinstance(found, WakeForRoom)
    assert (found.key.name, found.then) == ("b", ())
    goes_on = decide_room(seen(lender(group(), "b"), chosen=chosen, woken=(woken("a", Phase.BOOTING),)))
    assert isinstance(goes_on, WakeForRoom)
    none = decide_room(seen(lender(group(), "c"), chosen=chosen))
    assert none == Tell("a machine that makes room is being looked for")


def test_as_many_machines_are_woken_as_there_are_pods_and_no_more() -> None:
    """Where their room was not enough, a further one would not help either."""
    up = (woken("x", Phase.READY), woken("y", Phase.READY))
    found = decide_room(seen(lender(group(), "a"), woken=up))
    assert isinstance(found, Tell)
    assert found.text.startswith("no machine that could be woken has room for")
    assert isinstance(decide_room(seen(lender(group(), "a"), woken=up[:1])), WakeForRoom)


def test_a_full_group_is_named() -> None:
    """maxSize keeps its machines off, and a person can raise it."""
    found = decide_room(seen(lender(group(max_size=0), "a")))
    assert isinstance(found, Tell)
    assert found.text.startswith("maxSize of site/rack leaves no machine")


def test_only_groups_in_use_lend_and_the_own_one_first() -> None:
    """One that is broken or given up lends nothing."""
    own = group("zoo")
    groups = [group("a"), group("gone", released=True), group("bad", broken=True), own]
    found = lending(groups, view(machine("leaves"), group=own))
    assert [each.key.name for each in found] == ["zoo", "a"]


def test_a_machine_is_offered_under_the_name_of_its_kubernetes_node() -> None:
    """A pod that selects a node by its name finds room on it, whatever the machine is called."""
    one = lender(group(), "a")
    node = one.machines[0].node
    named = structs.replace(node, spec=structs.replace(node.spec, kubernetes_node_name="worker-7"))
    known = structs.replace(one.machines[0], node=named)
    (offer,) = offered([structs.replace(one, machines=(known,))], LEAVING)
    assert offer.kube_name == "worker-7"
