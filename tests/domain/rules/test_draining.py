"""maxDraining: so many machines of a group go down at once; the others are told in advance, and a person's word passes."""

from typing import Any

import pytest
from msgspec import structs
from tests.domain.builders import OFF, ON, at, kube_node, machine, observed, rack, standing, status, view, wanting, wish

from hexa.domain.decide.decision import Save
from hexa.domain.decide.machine import decide
from hexa.domain.group.sizing import Member
from hexa.domain.machine.lifecycle import Phase
from hexa.domain.machine.wish import recorded_wish
from hexa.domain.machine_view import MachineView
from hexa.domain.names import CA_CANDIDATE_TAINT, CA_TO_BE_DELETED_TAINT
from hexa.domain.policy.policy import Policy
from hexa.domain.resources.core import KubeNodeSpec, Taint
from hexa.domain.resources.v1alpha1 import Asker, Hold, Lookup, Power
from hexa.domain.rules.judge import refused
from hexa.domain.rules.rule import Bid
from hexa.domain.rules.traffic import Move, Traffic, move_of, traffic_of

PROGRAMS = (Asker.CLUSTER_AUTOSCALER, Asker.RECOVERY, Asker.SCHEDULE)
POLICY = Policy(max_draining=2)


def key(name: str) -> Lookup:
    """Of a machine of the site."""
    return Lookup("site", name)


def box(
    phase: Phase, *leaving: str, going: int = 0, by: Asker | None = None, most: int | None = 2, **spec: Any
) -> MachineView:
    """m1 of a group in which these machines leave, and the first of them go down already; wanted off by somebody."""
    node = structs.replace(machine(**spec), status=status(phase))
    if by is not None:
        node = wanting(node, wish(OFF, by))
    keys = tuple(map(key, leaving))
    return view(node, group=rack(max_draining=most), traffic=Traffic(going=keys[:going], leaving=keys))


def reasons(known: MachineView) -> list[str]:
    """Of the vetoes against its off."""
    return [veto.reason for veto in known.off_vetoes(at(10))]


def test_who_comes_too_late_is_told_in_advance() -> None:
    """While two others go down, or are about to by Cluster Autoscaler's taints, a machine stays; the veto names them."""
    (veto,) = box(Phase.READY, "m2", "m3").off_vetoes(at(10))
    assert (veto.reason, veto.field, veto.of_group) == ("MaxDraining", "spec.maxDraining", True)
    assert veto.message == "m2, m3 go down first, and maxDraining is 2"
    assert reasons(box(Phase.READY, "m2")) == []
    assert reasons(box(Phase.READY, "m2", "m1", "m3")) == []
    assert reasons(box(Phase.READY, "m2", "m3", "m1")) == ["MaxDraining"]
    assert reasons(box(Phase.READY, "m2", "m3", most=None)) == []


@pytest.mark.parametrize("by", PROGRAMS)
def test_an_off_that_was_granted_waits_only_for_those_that_go_down(by: Asker) -> None:
    """What Cluster Autoscaler may drain later does not hold it up."""
    assert box(Phase.READY, "m2", "m3", going=1, by=by).acted_wish(at(10)) is Power.OFF
    assert box(Phase.READY, "m2", "m3", going=2, by=by).acted_wish(at(10)) is None


def test_a_persons_word_passes() -> None:
    """An edit of spec.powerState and a hold switch off at once."""
    assert box(Phase.READY, "m2", "m3", going=2, by=Asker.USER).acted_wish(at(10)) is Power.OFF
    assert box(Phase.READY, "m2", "m3", going=2, hold=Hold(power="off")).acted_wish(at(10)) is Power.OFF


@pytest.mark.parametrize(
    "phase", [Phase.DRAINING, Phase.POWERING_OFF, Phase.STOP_FAILED, Phase.OFF, Phase.START_FAILED]
)
def test_an_off_that_was_begun_goes_on(phase: Phase) -> None:
    """Pods that have moved do not move back."""
    assert reasons(box(phase, "m2", "m3", going=2, by=Asker.CLUSTER_AUTOSCALER)) == []


def move(name: str, phase: Phase, *, taint: str = "", policy: Policy = POLICY, **known: Any) -> Move | None:
    """What a machine adds, whose Kubernetes node has that taint."""
    node = structs.replace(machine(name), status=status(phase, **known))
    spec = KubeNodeSpec(taints=(Taint(key=taint, effect="NoSchedule"),) if taint else ())
    return move_of(key(name), node, kube_node(name, spec=spec), policy, now=at(0))


def test_the_nearer_to_dark_have_the_places() -> None:
    """First what goes down, then what Cluster Autoscaler drains, then what it means to; nobody else counts."""
    moves = [
        move("m1", Phase.READY, taint=CA_CANDIDATE_TAINT),
        move("m2", Phase.READY, taint=CA_TO_BE_DELETED_TAINT),
        move("m3", Phase.POWERING_OFF, since=at(5)),
        move("m4", Phase.DRAINING, since=at(4)),
        move("m5", Phase.READY),
        move("m6", Phase.STOP_FAILED),
        move("m7", Phase.OFF, taint=CA_TO_BE_DELETED_TAINT),
    ]
    traffic = traffic_of(found for found in moves if found is not None)
    assert [each.name for each in traffic.going] == ["m4", "m3"]
    assert [each.name for each in traffic.leaving] == ["m4", "m3", "m2", "m1"]


def test_nothing_is_counted_where_nothing_is_bounded() -> None:
    """No machine of such a group adds anything."""
    assert move("m1", Phase.DRAINING, policy=Policy()) is None


def bid(*chosen: str, busy: tuple[Member, ...] = (), most: int | None = 2) -> str:
    """The reason by which Cluster Autoscaler is refused these machines at once."""
    ready = tuple(Member(key=key(name), phase=Phase.READY, wish=wish(ON)) for name in chosen)
    asked = Bid(power=Power.OFF, policy=Policy(max_draining=most), members=(*busy, *ready), chosen=ready, now=at(0))
    veto = refused(asked)
    return veto.reason if veto is not None else ""


def test_no_more_are_taken_at_once_than_may_go() -> None:
    """Machines that go down count, and those whose off was granted; one that waits for something else does not."""
    down = Member(key=key("m8"), phase=Phase.POWERING_OFF, wish=wish(OFF))
    granted = Member(key=key("m9"), phase=Phase.READY, wish=wish(OFF))
    kept = structs.replace(granted, off_vetoes=box(Phase.READY, "m2", "m3").off_vetoes(at(0)))
    assert [bid("m1", "m2"), bid("m1", "m2", "m3")] == ["", "MaxDraining"]
    assert [bid("m1", busy=(down,)), bid("m1", "m2", busy=(down,))] == ["", "MaxDraining"]
    assert [bid("m1", busy=(down, granted)), bid("m1", busy=(down, kept))] == ["MaxDraining", ""]
    assert bid("m1", "m2", "m3", most=None) == ""


@pytest.mark.parametrize(("most", "locked"), [(2, True), (None, False)])
def test_an_off_begins_under_the_groups_lock(most: int | None, locked: bool) -> None:
    """Where they are counted, one at a time is decided: no two take the last place."""
    node = wanting(standing(Phase.READY, welcomed=True), wish(OFF))
    known = view(node, group=rack(max_draining=most), kube=kube_node("m1", ready=True))
    decision = decide(known, observed(20, recorded=recorded_wish(node), heard=at(15), heard_until=at(55)))
    assert isinstance(decision, Save)
    assert decision.status.phase == Phase.DRAINING
    assert (decision.lock is not None) is locked
