"""What Cluster Autoscaler is granted of a group, and what it is refused, by what is known of its machines."""

from typing import Any

import pytest
from msgspec import structs
from tests.domain.builders import OFF, ON, at, machine, rack, status, view, wanting, wish

from hexa.domain.decide.scale import Answer, Granted, Refusal, Scaling, Sizes, decrease, delete, increase, sizes
from hexa.domain.group_view import GroupView
from hexa.domain.machine.lifecycle import Phase
from hexa.domain.machine_view import MachineView
from hexa.domain.resources.v1alpha1 import Asker, Hold, Power, WakeProof
from hexa.domain.rules.safe_hands import SafeHands, Trouble, safe_hands

UP, DARK, FAILED = (Phase.READY, ON), (Phase.OFF, OFF), (Phase.START_FAILED, ON)
COMES, OPEN = (Phase.BOOTING, ON), (Phase.OFF, ON)
DOUBT = safe_hands(Trouble.API_FLAPS, "the API server comes and goes", since=at(0))


def site(*machines: tuple[Phase, Power], **policy: Any) -> tuple[GroupView, list[MachineView]]:
    """A group of machines, each in that phase and wanted so by Cluster Autoscaler: m0, m1, ..."""
    group = rack(**{"wake_proof": WakeProof.IGNORE, **policy})
    nodes = (
        wanting(structs.replace(machine(f"m{n}"), status=status(phase)), wish(power, Asker.CLUSTER_AUTOSCALER))
        for n, (phase, power) in enumerate(machines)
    )
    return group, [view(node, group=group) for node in nodes]


def scaling(group: GroupView, machines: list[MachineView], hands: SafeHands | None = None) -> Scaling:
    """The group as it is now."""
    return Scaling(group=group, members=[each.member(at(100)) for each in machines], now=at(100), safe_hands=hands)


def told(answer: Answer) -> Any:
    """The reason of a refusal; of what is granted who may be asked, and for how many."""
    return str(answer.what) if isinstance(answer, Refusal) else ([key.name for key in answer.wishes], answer.count)


@pytest.mark.parametrize(
    ("delta", "most", "answer"),
    [
        (1, None, (["m1", "m2"], 1)),
        (2, 3, (["m1", "m2"], 2)),
        (2, 2, "MaxSizeReached"),
        (3, None, "MaxSizeReached"),  # the maximum is what can come
    ],
)
def test_more_are_granted_as_a_whole_or_refused(delta: int, most: int | None, answer: Any) -> None:
    """Those that are off may be asked for so many; what cannot come within maxSize is refused, and nobody is asked."""
    assert told(increase(scaling(*site(UP, DARK, DARK, max_size=most)), delta)) == answer


def test_sizes_say_in_advance_what_would_be_granted() -> None:
    """The maximum that Cluster Autoscaler is told is what an increase can reach; while the site is in doubt the group stays."""
    group, machines = site(UP, DARK, FAILED, min_size=1, max_size=5)
    assert sizes(scaling(group, machines)) == Sizes(1, 2)
    assert sizes(scaling(group, machines, DOUBT)) == Sizes(1, 1)
    assert told(increase(scaling(group, machines, DOUBT), 1)) == "SafeHands"


def test_all_go_or_none() -> None:
    """One machine that must stay keeps those that were named with it; without it the others go."""
    group, machines = site(UP, UP, UP)
    held = structs.replace(machines[0].node, spec=structs.replace(machines[0].node.spec, hold=Hold(power="on")))
    machines[0] = view(held, group=group)
    assert told(delete(scaling(group, machines), machines)) == "Hold"
    assert told(delete(scaling(group, machines), machines[1:])) == (["m1", "m2"], 2)


def test_no_group_is_left_below_its_minimum() -> None:
    """minSize is kept; what does not count as on goes all the same, and what is off already needs no wish."""
    group, machines = site(UP, UP, FAILED, DARK, min_size=1)
    assert told(delete(scaling(group, machines), machines[:2])) == "MinSizeReached"
    answer = delete(scaling(group, machines), machines[1:])
    assert isinstance(answer, Granted)
    assert {key.name: wish.reason for key, wish in answer.wishes.items()} == {"m1": "ScaleDown", "m2": "GivenUp"}


def test_nobody_rests_in_place_of_a_machine_that_tries_again() -> None:
    """What failed to start and comes again counts as on, but not for minSize: Cluster Autoscaler is told one more, and what is up
    stays. The machine itself may be given up."""
    group, machines = site(UP, COMES, DARK, min_size=1)
    again = structs.replace(machines[1].node, status=structs.replace(machines[1].node.status, failures=2))
    machines[1] = view(again, group=group)
    assert sizes(scaling(group, machines)) == Sizes(2, 3)
    refused = delete(scaling(group, machines), machines[:1])
    assert isinstance(refused, Refusal)
    assert refused.text == "site/rack would have 0 machines and 1 for now only, minSize is 1"
    assert told(delete(scaling(group, machines), machines[1:2])) == (["m1"], 1)
    first = site(UP, COMES, DARK, min_size=1)
    assert sizes(scaling(*first)) == Sizes(1, 3)
    assert told(delete(scaling(*first), first[1][:1])) == (["m0"], 1)


def test_two_without_wake_proof_do_not_go_at_once() -> None:
    """Of the machines that hexa has not shown to wake one is granted, and not two in one request."""
    group, machines = site(UP, UP, wake_proof=WakeProof.REQUIRE)
    assert told(delete(scaling(group, machines), machines)) == "WakeProof"
    assert told(delete(scaling(group, machines), machines[:1])) == (["m0"], 1)


@pytest.mark.parametrize(("delta", "taken"), [(1, ["m2"]), (2, ["m2", "m1"]), (3, ["m2", "m1"])])
def test_only_what_has_not_come_is_taken_back(delta: int, taken: list[str]) -> None:
    """What is furthest from coming is taken back first, and never what is up."""
    assert told(decrease(scaling(*site(UP, COMES, OPEN)), delta)) == (taken, len(taken))
    assert told(decrease(scaling(*site(UP, COMES, OPEN, min_size=2)), delta)) == (["m2"], 1)
