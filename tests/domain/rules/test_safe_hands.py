"""SafeHands: when the site counts as in doubt, when it does not, and what that forbids."""

from datetime import timedelta
from typing import Any

import pytest
from msgspec import structs
from tests.domain.builders import LIMITS, OFF, ON, at, observed, rack, standing, status, view, wanting, wish

from hexa.domain.decide.conditions import findings_of
from hexa.domain.decide.steps import take_step
from hexa.domain.machine.lifecycle import Event, Phase, forgiven
from hexa.domain.machine.reason import Reason
from hexa.domain.machine_view import MachineView
from hexa.domain.people.doctor.site import judge_safe_hands
from hexa.domain.resources.core import Condition as KubeCondition
from hexa.domain.resources.core import KubeNode, KubeNodeStatus, Metadata
from hexa.domain.resources.v1alpha1 import Asker, Group, GroupStatus, HistoryEntry, Hold, NodeStatus, OwnedMetadata
from hexa.domain.rules import safe_hands as rule
from hexa.domain.rules.judge import SAFETY
from hexa.domain.rules.safe_hands import NEITHER, Standing, Trouble

P = Phase
DOUBT = rule.safe_hands(Trouble.NODES_LOST, "4 of 6 machines fell silent", since=at(0))
READY = KubeNode(
    metadata=Metadata(name="m1"), status=KubeNodeStatus(conditions=(KubeCondition(type="Ready", status="True"),))
)


def lived(*steps: tuple[Phase, float], power: Any = ON) -> NodeStatus:
    """A machine that is wanted so, and came into these phases at these seconds."""
    history = tuple(HistoryEntry(at=at(second), action=str(phase), by="Test") for phase, second in steps)
    return status(steps[-1][0], since=at(steps[-1][1]), wish=wish(power), history=history)


def judged(known: NodeStatus, now: float, *, ready: bool | None = None, before: Standing = NEITHER) -> Standing:
    """The machine at that second; its Kubernetes node is Ready where its phase is."""
    up = known.phase == P.READY if ready is None else ready
    return rule.standing(known, node_ready=up, before=before, now=at(now))


def until(known: Standing) -> float | None:
    """Until which second it counts as fallen."""
    return None if known.fallen_until is None else (known.fallen_until - at(0)).total_seconds()


CAME_BACK = lived((P.READY, -900), (P.LOST, 0), (P.POWERING_ON, 120), (P.BOOTING, 125), (P.READY, 180))


@pytest.mark.parametrize(
    ("known", "now", "counts"),
    [
        (lived((P.READY, -900), (P.LOST, 0)), 10, 900),
        (lived((P.READY, -900), (P.LOST, 0), (P.OFF, 20), (P.POWERING_ON, 21)), 30, 900),
        (lived((P.READY, -900), (P.LOST, 0), (P.POWERING_ON, 120), (P.START_FAILED, 500)), 600, 900),
        (CAME_BACK, 181, 300),
        (CAME_BACK, 299, 300),
        (CAME_BACK, 300, None),
        (lived((P.READY, -900), (P.LOST, 0)), 900, None),
        (lived((P.READY, -9000), (P.LOST, -8000), (P.READY, 0)), 1, None),
        (lived((P.READY, 0)), 60, None),
        (lived((P.OFF, 0), (P.POWERING_ON, 10)), 60, None),
        (lived((P.READY, 0), (P.DRAINING, 60), (P.READY, 70)), 80, None),
        (lived((P.READY, 0), (P.LOST, 5), (P.READY, 6), (P.DRAINING, 60), (P.POWERING_OFF, 70)), 80, None),
        (lived((P.READY, -900), (P.LOST, 500)), 10, None),
    ],
)
def test_who_counts_as_fallen(known: NodeStatus, now: float, counts: float | None) -> None:
    """A machine that was up and fell silent: for a quarter of an hour, and for two minutes after it came back. Not one that is off
    on purpose, never came, drains, or fell at a time that is yet to come."""
    assert until(judged(known, now)) == counts


def test_what_nobody_wants_on_is_neither_up_nor_fallen() -> None:
    """Machines that sleep on purpose, drain or were never asked for do not count."""
    for known in (lived((P.READY, 0), power=OFF), lived((P.READY, 0), (P.LOST, 1), power=OFF), status(P.READY)):
        assert judged(known, 10) == NEITHER


def test_a_kubelet_that_is_heard_and_not_ready_counts_as_fallen() -> None:
    """A network plug-in that breaks everywhere is no less than a switch that does; it counts as long as one that is silent."""
    known = lived((P.READY, -900))
    first = judged(known, 0, ready=False)
    later = judged(known, 60, ready=False, before=first)
    back = judged(known, 90, ready=True, before=later)
    assert [until(each) for each in (first, later, back)] == [900, 900, 90 + 120]
    assert [each.up for each in (first, later, back)] == [False, False, True]
    assert until(judged(known, 901, ready=False, before=first)) is None


@pytest.mark.parametrize(
    ("fallen", "up", "most"),
    [
        (0, 0, False),
        (1, 0, False),
        (1, 1, False),
        (2, 0, True),
        (2, 1, True),
        (2, 2, False),
        (5, 5, False),
        (6, 4, True),
    ],
)
def test_most_is_more_than_half_and_at_least_two(fallen: int, up: int, most: bool) -> None:
    """A switch with half of the nodes, one machine of two, and the one machine of a small site are no trouble of the site."""
    assert rule.most_fell(fallen=fallen, up=up) is most


def test_the_trouble_is_told_in_a_sentence() -> None:
    """What happened, and how long hexa is careful."""
    silent = rule.of_machines(fallen=4, up=2, now=at(7200), born=at(0))
    dark = rule.of_machines(fallen=4, up=2, now=at(60), born=at(0))
    flaps, clock = rule.of_sight(4, now=at(0)), rule.of_clock(timedelta(seconds=-90), now=at(0))
    assert [each.trouble for each in (silent, dark, flaps, clock) if each] == list(Trouble)
    assert silent is not None
    assert silent.text == (
        "4 of 6 machines that should be up fell silent within 15 minutes: hexa only powers on until 2 minutes were calm"
    )
    assert clock is not None
    assert "the clock was set back by 90 s" in clock.text


def test_what_is_no_trouble() -> None:
    """Three API servers restarted in turn, a clock that is set by less than a lease period, half of the machines."""
    assert rule.of_sight(3, now=at(0)) is None
    assert rule.of_clock(timedelta(seconds=39), now=at(0)) is None
    assert rule.of_machines(fallen=3, up=3, now=at(0), born=at(0)) is None


def machine_in(
    phase: Phase, by: Asker = Asker.CLUSTER_AUTOSCALER, *, kube: KubeNode | None = READY, **more: Any
) -> MachineView:
    """A machine that is wanted off."""
    node = wanting(standing(phase, **more), wish(OFF, by))
    return view(node, group=rack(), kube=kube, safe_hands=DOUBT)


@pytest.mark.parametrize("by", [Asker.CLUSTER_AUTOSCALER, Asker.RECOVERY, Asker.SCHEDULE, Asker.USER])
def test_nobody_switches_a_machine_off(by: Asker) -> None:
    """Not even a person: it stays on, a drain turns back, and nothing goes on that was begun."""
    acted = {phase: machine_in(phase, by).acted_wish(at(0)) for phase in Phase}
    assert acted[P.READY] is acted[P.DRAINING] is ON
    assert {phase for phase, power in acted.items() if power is not None} == {P.READY, P.DRAINING}
    assert Reason.SAFE_HANDS in SAFETY


def test_a_hold_waits_too() -> None:
    """SafeHands ranks above a hold."""
    held = structs.replace(standing(P.READY, spec={"hold": Hold(power="off")}))
    assert view(held, group=rack(), kube=READY, safe_hands=DOUBT).acted_wish(at(0)) is ON
    assert view(held, group=rack(), kube=READY).acted_wish(at(0)) is OFF


def test_a_silent_machine_that_nobody_wants_is_not_woken_for_it() -> None:
    """It drains and fell silent: it is not taken for wanted."""
    assert machine_in(P.DRAINING, kube=None).acted_wish(at(0)) is None


def test_each_machine_says_nothing_of_it_but_one_that_is_wanted_off() -> None:
    """A thousand machines are not written for it: their groups tell. Who waits to go off is Blocked."""
    (veto,) = DOUBT.vetoes
    for power, types in ((ON, []), (OFF, ["Blocked"])):
        found = findings_of(
            status(P.READY), wish=wish(power), problems=(), off_vetoes=(veto,), on_vetoes=(), manager=""
        )
        assert [(each.type, each.reason) for each in found] == [(type_, "SafeHands") for type_ in types]


def test_a_start_that_fails_meanwhile_is_not_held_against_the_machine() -> None:
    """Its failures, its wake proof and its wakes stand as before; it is tried again as after a first failure."""
    before = standing(P.BOOTING, failures=3, wakes=2, wake_proven_at=at(-900), wish=wish(ON), woken_at=at(0))
    for hands, failures, proven in ((DOUBT, 3, at(-900)), (None, 4, None)):
        known = view(wanting(before, wish(ON)), group=rack(), safe_hands=hands)
        saved = take_step(known, observed(1000), Event.OVERDUE, plan=None)
        new = saved.status  # type: ignore[union-attr]
        assert (new.phase, new.failures, new.wake_proven_at) == (P.START_FAILED, failures, proven)
        assert (new.wake_failed_at is None) is (hands is not None)
    first = forgiven(status(P.START_FAILED), status(P.BOOTING), now=at(0), limits=LIMITS)
    assert first.cool_until == at(0) + LIMITS.backoff


def test_commands_know_it_from_the_groups() -> None:
    """What the agent told of a group is what `hexa why` and `hexa off` go by."""
    (finding,) = rule.says_of_group(DOUBT)
    told = KubeCondition(type=finding.type, status="True", reason=finding.reason, message=finding.message)
    groups = [Group(metadata=OwnedMetadata(name="a")), Group(status=GroupStatus(conditions=(told,)))]
    known = rule.told(groups)
    assert known is not None
    assert (known.trouble, known.text, known.vetoes) == (DOUBT.trouble, DOUBT.text, DOUBT.vetoes)
    assert rule.told(groups[:1]) is None


@pytest.mark.parametrize("trouble", [*Trouble, "SomethingNew"])
def test_the_doctor_says_what_to_look_at(trouble: str) -> None:
    """One warning about the site, however many groups tell it, with a remedy; and one about a UPS that is not heard."""
    doubt = KubeCondition(type="SafeHands", status="True", reason=trouble, message="in doubt")
    ups = KubeCondition(type="UpsNotHeard", status="True", reason="UpsNotHeard", message="the UPS is not heard: hangs")
    groups = [Group(status=GroupStatus(conditions=(doubt, ups)))] * 2
    found = list(judge_safe_hands(groups))
    assert [(each.object, each.text) for each in found] == [
        ("the site", "SafeHands: in doubt"),
        ("the UPS", ups.message),
    ]
    assert all(each.remedy for each in found)
    assert list(judge_safe_hands([Group()])) == []
