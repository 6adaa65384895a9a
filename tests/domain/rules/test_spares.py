"""spares: so many idle machines are kept on; the others may go, those that are missing are woken, and a person's word passes."""

from typing import Any

import pytest
from msgspec import structs
from tests.domain.builders import OFF, ON, at, kube_node, machine, rack, status, view, wanting, wish

from hexa.domain.group.sizing import Member, cancellable
from hexa.domain.machine.lifecycle import Phase
from hexa.domain.machine.reason import Reason
from hexa.domain.machine_view import MachineView
from hexa.domain.policy.policy import Policy, Spares, policy_of
from hexa.domain.resources.core import KubeNodeSpec
from hexa.domain.resources.group_values import Schedule
from hexa.domain.resources.v1alpha1 import Asker, Group, GroupSpec, Hold, Lookup, OwnedMetadata, Power
from hexa.domain.rules.spares import to_spare
from hexa.domain.rules.traffic import Traffic, move_of, traffic_of

PROGRAMS = (Asker.CLUSTER_AUTOSCALER, Asker.RECOVERY, Asker.SCHEDULE)
TWO = Spares(count=2)


def key(name: str) -> Lookup:
    """Of a machine of the site."""
    return Lookup("site", name)


def box(idle: str, *, busy: int = 0, by: Asker | None = None, spares: Spares | None = TWO, **more: Any) -> MachineView:
    """m1 of a group of five in which these are idle; wanted off by somebody."""
    node = structs.replace(machine(**more.pop("spec", {})), status=status(more.pop("phase", Phase.READY)))
    if by is not None:
        node = wanting(node, wish(OFF, by))
    traffic = Traffic(idle=tuple(map(key, idle.split())), busy=busy, size=5)
    return view(node, group=rack(spares=spares, **more), traffic=traffic)


def kept(known: MachineView) -> bool:
    """Whether it is kept on as a spare."""
    return [veto.reason for veto in known.off_vetoes(at(10))] == ["Spare"]


def test_the_first_idle_machines_are_kept() -> None:
    """As many as the group wants; the others, and those that serve, may go. The veto names the field."""
    assert [kept(box(names)) for names in ("m1", "m2 m1", "m2 m3 m1", "m2")] == [True, True, False, False]
    (veto,) = box("m1").off_vetoes(at(10))
    assert (veto.field, veto.of_group, veto.until) == ("spec.spares", True, None)
    assert veto.message == "it is one of 1 idle machines that the group keeps on for pods to come"
    assert not kept(box("m1", spares=None))
    assert not kept(box("m1", phase=Phase.DRAINING))


@pytest.mark.parametrize(("share", "last"), [(0.2, 1), (0.21, 2), (0.4, 2), (1.0, 5)])
def test_a_share_is_of_all_machines_rounded_up(share: float, last: int) -> None:
    """Of five 20 % are one, and a little more are two."""
    names = ["m2", "m3", "m4", "m5"]
    places = [kept(box(" ".join([*names[:place], "m1"]), spares=Spares(share=share))) for place in range(5)]
    assert places == [place < last for place in range(5)]


def test_spares_are_within_the_greatest_size() -> None:
    """Where machines serve, those that maxSize has no room for beside them may go."""
    assert [kept(box("m1", max_size=2, busy=busy)) for busy in (0, 1, 2, 3)] == [True, True, False, False]


@pytest.mark.parametrize("by", PROGRAMS)
def test_no_program_switches_a_spare_off(by: Asker) -> None:
    """Its off waits until another is the spare."""
    assert box("m1", by=by).acted_wish(at(10)) is None
    assert box("m2 m3 m1", by=by).acted_wish(at(10)) is Power.OFF


def test_a_persons_word_passes() -> None:
    """An edit of spec.powerState and a hold switch off at once."""
    assert box("m1", by=Asker.USER).acted_wish(at(10)) is Power.OFF
    assert box("m1", spec={"hold": Hold(power="off")}).acted_wish(at(10)) is Power.OFF


def refilled(idle: str, ago: float | None, **more: Any) -> MachineView:
    """m1 serves; a spare was woken so many seconds ago."""
    known = box(idle, **more)
    since, working = None if ago is None else at(10 - ago), (key("m1"),)
    return structs.replace(known, traffic=structs.replace(known.traffic, working=working, refilled=since))


def test_a_machine_that_serves_stays_for_hours_after_a_spare_was_woken() -> None:
    """Its pods would move to a spare, and another one would be woken: again and again. After six hours it may go; while more are
    idle than spares is it stays too, since these go at the same time."""
    hours = 3600.0
    assert [kept(refilled("m2 m3", ago)) for ago in (0, 5.9 * hours, 6 * hours, None)] == [True, True, False, False]
    assert [kept(refilled(idle, 0)) for idle in ("", "m2", "m2 m3", "m2 m3 m4")] == [True, True, True, True]
    assert [kept(refilled("m2", -ahead)) for ahead in (5.9 * hours, 24 * 365 * hours)] == [
        True,
        False,
    ]  # a clock set back
    assert refilled("m2 m3", 0, by=Asker.USER).acted_wish(at(10)) is Power.OFF
    (veto,) = refilled("m2 m3", 0).off_vetoes(at(10))
    known = box("m2 m3", by=Asker.CLUSTER_AUTOSCALER)
    granted = structs.replace(known, traffic=structs.replace(known.traffic, refilled=at(10)))
    assert granted.acted_wish(at(10)) is Power.OFF  # what was granted goes
    assert veto.until == at(10 + 6 * hours)


def test_the_last_spare_that_was_woken_counts() -> None:
    """By the wishes of machines that are on: what Cluster Autoscaler asked for, or took, is no spare's wake."""
    asked = {"m1": (ON, Reason.SPARE, 5), "m2": (ON, Reason.SPARE, 7), "m3": (ON, Reason.SCALE_UP, 8)}
    asked["m4"] = (OFF, Reason.SPARE, 9)
    moves = []
    for name, (power, reason, since) in asked.items():
        node = structs.replace(machine(), status=status(Phase.READY))
        node = wanting(node, structs.replace(wish(power, Asker.RECOVERY), reason=reason, since=at(since)))
        moves.append(move_of(key(name), node, kube_node(), Policy(spares=TWO), works=True, now=at(10)))
    traffic = traffic_of(move for move in moves if move is not None)
    assert traffic.refilled == at(7)
    assert traffic.working == tuple(map(key, ("m1", "m2", "m3")))


# --- who is idle ---


def idle(
    phase: Phase = Phase.READY,
    *,
    works: bool | None = False,
    on: bool = True,
    cordoned: bool = False,
    new: bool = False,
) -> Any:
    """Whether the machine counts as idle, by what it adds; `new`: it has just come up."""
    node = wanting(structs.replace(machine(), status=status(phase, welcomed=not new)), wish(ON if on else OFF))
    kube = kube_node("m1", ready=True, spec=KubeNodeSpec(unschedulable=cordoned))
    found = move_of(key("m1"), node, kube, Policy(spares=TWO), works=works, now=at(0))
    return found.idle if found is not None else "nothing"


def test_an_idle_machine_is_up_open_and_runs_nothing() -> None:
    """One that nobody knows of counts as idle, so that no other is woken in doubt; one that is cordoned serves nobody, unless that
    is our own cordon, which goes in a moment."""
    assert [idle(works=works) for works in (False, True, None)] == [True, False, True]
    assert (idle(cordoned=True), idle(cordoned=True, new=True)) == (False, True)
    assert [idle(Phase.OFF), idle(Phase.BOOTING), idle(on=False)] == [None, None, None]


def test_the_longest_up_come_first() -> None:
    """So that it is not another one each time that a machine comes."""
    moves = []
    for name, since in (("m1", 30), ("m2", 10), ("m3", 20)):
        node = wanting(structs.replace(machine(name), status=status(Phase.READY, since=at(since))), wish(ON))
        moves.append(move_of(key(name), node, kube_node(name), Policy(spares=TWO), works=name == "m3", now=at(40)))
    traffic = traffic_of(move for move in moves if move is not None)
    assert [each.name for each in traffic.idle] == ["m2", "m1"]
    assert (traffic.busy, traffic.size) == (1, 3)


# --- who is woken ---


def member(name: str, phase: Phase = Phase.OFF, *, reason: str = "Test", **known: Any) -> Member:
    """One that is wanted on, unless it is off."""
    power = OFF if phase is Phase.OFF else ON
    return Member(key=key(name), phase=phase, wish=wish(power, Asker.RECOVERY, reason=reason), **known)


def woken(*members: Member, **policy: Any) -> list[str]:
    """Who is woken as a spare, of these and of two that are off."""
    given = Policy(**{"spares": TWO, **policy})
    return [each.key.name for each in to_spare(given, [*members, member("o1"), member("o2")])]


def test_missing_spares_are_woken() -> None:
    """Those that are idle count, and those that come to be idle; what serves, or comes for pods, does not."""
    assert woken() == ["o1", "o2"]
    assert woken(member("m1", Phase.READY, vacant=True)) == ["o1"]
    assert woken(member("m1", Phase.READY)) == ["o1", "o2"]
    assert woken(member("m1", Phase.BOOTING)) == ["o1", "o2"]
    assert woken(member("m1", Phase.BOOTING, reason=Reason.SPARE)) == ["o1"]
    for phase in (Phase.DRAINING, Phase.POWERING_OFF, Phase.STOP_FAILED):  # wanted on again while it goes down
        assert woken(member("m1", phase, reason=Reason.SPARE)) == ["o1"]
        assert woken(member("m1", phase)) == ["o1", "o2"]
    assert woken(spares=None) == []
    assert woken(spares=Spares(share=0.2)) == ["o1"]
    assert woken(spares=Spares(count=10**30)) == ["o1", "o2"]


def test_no_spare_is_woken_above_the_greatest_size() -> None:
    """maxSize counts machines that serve too."""
    serving = (member("m1", Phase.READY), member("m2", Phase.READY))
    assert [woken(*serving, max_size=most) for most in (1, 2, 3, 4)] == [[], [], ["o1"], ["o1", "o2"]]


def test_cluster_autoscaler_takes_no_spare_back() -> None:
    """It gave up waiting for machines that it asked for."""
    coming = [member("m1", Phase.BOOTING, reason=Reason.SPARE), member("m2", Phase.BOOTING)]
    assert [each.key.name for each in cancellable(coming)] == ["m2"]


@pytest.mark.parametrize(
    ("written", "means"),
    [(3, Spares(count=3)), ("20%", Spares(share=0.2)), (0, None), ("0%", None), (None, None)],
)
def test_spares_as_they_are_written(written: int | str | None, means: Spares | None) -> None:
    """A number, or a share; none is as if the field were not there."""
    group = Group(metadata=OwnedMetadata(name="rack", namespace="site"), spec=GroupSpec(spares=written))
    assert (policy_of(group)[0].spares, policy_of(group)[1]) == (means, ())


@pytest.mark.parametrize(
    ("written", "field", "says"),
    [
        (GroupSpec(spares=3, max_size=2), "spec.spares", "spares 3 is above maxSize 2"),
        (
            GroupSpec(max_size=2, schedules=(Schedule(spares=3),)),
            "spec.schedules[0].spares",
            "spares 3 is above maxSize 2",
        ),
        (
            GroupSpec(schedules=(Schedule(spares=3, max_size=1),)),
            "spec.schedules[0].spares",
            "spares 3 is above maxSize 1",
        ),
        (GroupSpec(spares="many"), "spec.spares", "'many' is no percentage"),
    ],
)
def test_spares_that_make_no_sense_are_told(written: GroupSpec, field: str, says: str) -> None:
    """With the remedy; the rest of the group goes on."""
    group = Group(metadata=OwnedMetadata(name="rack", namespace="site"), spec=written)
    (problem,) = policy_of(group)[1]
    assert (problem.field, problem.text) == (field, says)
