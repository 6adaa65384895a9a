"""Who is woken so that the pods of a machine that a person wants off have somewhere to go."""

from typing import Any

import pytest
from msgspec import structs
from tests.domain.builders import OFF, ON, at, pod, wish

from hexa.domain.group.make_room import Choice, Offer, choose, coming, full, nobody, offers, on
from hexa.domain.group.sizing import Member
from hexa.domain.machine.lifecycle import Phase
from hexa.domain.machine.reason import Veto
from hexa.domain.policy.policy import Policy
from hexa.domain.resources.v1alpha1 import Asker, Lookup, Shape

SMALL = Shape(allocatable={"cpu": "2", "memory": "4Gi", "pods": "10"})
LARGE = Shape(allocatable={"cpu": "8", "memory": "16Gi", "pods": "10"})
PAUSED = Veto("Paused", "paused")


def key(name: str) -> Lookup:
    """A machine of the site."""
    return Lookup("site", name)


def member(name: str, phase: Phase = Phase.OFF, *, wanted: bool = False, **more: Any) -> Member:
    """A machine of the group, wanted on or off by Cluster Autoscaler."""
    return Member(key=key(name), phase=phase, wish=wish(ON if wanted else OFF, Asker.CLUSTER_AUTOSCALER), **more)


def test_machines_that_are_off_and_may_be_woken_are_offered() -> None:
    """The cheapest first; none of unknown shape, that waits for another, that must not be woken, or that is not off."""
    members = [
        member("dear", hourly=2.0),
        member("cheap", hourly=1.0),
        member("shapeless"),
        member("waits", waits_for=("nas",)),
        member("paused", on_vetoes=(PAUSED,)),
        member("drains", Phase.DRAINING),
    ]
    shapes = {each.key: SMALL for each in members if each.key.name != "shapeless"}
    found = offers(Policy(), members, shapes)
    assert found == [Offer(key("cheap"), SMALL), Offer(key("dear"), SMALL)]


@pytest.mark.parametrize(
    ("most", "left", "is_full"), [(None, 2, False), (4, 2, False), (3, 1, False), (2, 0, True), (1, 0, True)]
)
def test_making_room_stays_within_the_largest_size(most: int | None, left: int, is_full: bool) -> None:
    """Counted by what is really on: two here, and two more that may be woken."""
    members = [member("a", Phase.READY), member("b", Phase.BOOTING), member("c"), member("d")]
    policy = Policy(max_size=most)
    offered = offers(policy, members, {each.key: SMALL for each in members})
    large = [pod(f"p{number}", requests={"cpu": "2"}) for number in range(3)]
    assert len(choose(large, offered).wake) == left
    assert bool(offered) is bool(left)
    assert full(policy, members) is is_full
    assert not full(policy, members[:2])


@pytest.mark.parametrize("phase", Phase)
def test_what_is_on_counts_whatever_is_wanted(phase: Phase) -> None:
    """Every machine but one that is away; one that is off and wanted is on its way."""
    away = {Phase.OFF, Phase.UNKNOWN, Phase.START_FAILED}
    assert on([member("a", phase)]) == (phase not in away)
    assert on([member("a", phase, wanted=True)]) == (phase not in away or phase is Phase.OFF)


def test_as_few_machines_as_will_do_are_chosen() -> None:
    """First fit, the largest pod first; a machine that is taken is filled up before the next one."""
    offered = [Offer(key("s1"), SMALL), Offer(key("l1"), LARGE), Offer(key("s2"), SMALL)]
    one, four = pod("one", requests={"cpu": "1"}), pod("four", requests={"cpu": "4"})
    assert choose([one, four], offered).wake == (key("l1"),)
    assert choose([one, one], offered).wake == (key("s1"),)
    three = [pod(f"p{n}", requests={"cpu": "1"}) for n in range(3)]
    assert choose(three, [offered[0], offered[2]]).wake == (key("s1"), key("s2"))
    assert choose([one], []).left == (one,)
    assert choose([], offered).wake == ()


def test_a_pod_gets_the_machine_that_it_fits_whatever_its_rank() -> None:
    """maxSize leaves one place, and the machine that would be woken first is too small; another group has places of its own."""
    members = [member("small", hourly=1.0), member("large", hourly=2.0)]
    offered = offers(Policy(max_size=1), members, {key("small"): SMALL, key("large"): LARGE})
    four, one = pod("four", requests={"cpu": "4"}), pod("one", requests={"cpu": "5"})
    assert choose([four], offered) == Choice((key("large"),))
    other = structs.replace(Offer(key("other"), LARGE, places=1), group=Lookup("site", "other"))
    assert choose([four, one], [*offered, other]) == Choice((key("large"), key("other")))
    assert choose([four, one], offered).left == (four,)


def test_what_fits_nowhere_is_left_and_wakes_nobody() -> None:
    """A pod that is too large stays, the others find their place all the same."""
    huge, one = pod("huge", requests={"cpu": "9"}), pod("one", requests={"cpu": "1"})
    found = choose([one, huge], [Offer(key("s1"), SMALL)])
    assert (found.wake, found.left) == ((key("s1"),), (huge,))
    picky = pod("picky", requests={"cpu": "1"}, node_selector={"disk": "ssd"})
    fast = structs.replace(SMALL, labels={"disk": "ssd"})
    assert choose([picky], [Offer(key("s1"), SMALL), Offer(key("s2"), fast)]).wake == (key("s2"),)


@pytest.mark.parametrize(
    ("phase", "more", "helps"),
    [
        (Phase.OFF, {}, True),
        (Phase.OFF, {"cooling": True}, False),
        (Phase.POWERING_ON, {}, True),
        (Phase.BOOTING, {}, True),
        (Phase.READY, {"since": at(41)}, True),
        (Phase.READY, {"since": at(40)}, False),
        (Phase.READY, {}, False),
        (Phase.DRAINING, {"since": at(99)}, False),
    ],
)
def test_a_machine_that_comes_is_waited_for(phase: Phase, more: dict[str, Any], helps: bool) -> None:
    """Until a minute after it came; one that is not wanted any more is not."""
    assert coming(member("a", phase, wanted=True, **more), now=at(100)) is helps
    assert not coming(member("a", phase, **more), now=at(100))


def test_why_nobody_makes_room_is_told() -> None:
    """maxSize by the group's name where it is that, and the pods."""
    full_text, none = nobody([pod("web")], ["rack", "shelf"]), nobody([pod("web"), pod("db")], [])
    assert full_text.startswith("maxSize of rack, shelf leaves no machine to make room")
    assert "apps/web" in full_text
    assert none == "no machine that could be woken has room for apps/web; apps/db"


def test_a_pod_that_names_its_node_gets_that_one() -> None:
    """By the field metadata.name, as DaemonSets name theirs."""
    fields = [{"key": "metadata.name", "operator": "In", "values": ["b"]}]
    required = {"nodeSelectorTerms": [{"matchFields": fields}]}
    bound = pod("web", affinity={"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}})
    assert choose((bound,), [Offer(key("a"), LARGE), Offer(key("b"), SMALL)]).wake == (key("b"),)
