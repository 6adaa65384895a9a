"""After maxCyclesPerDay offs within a day no program switches a machine off; a person's word passes, and it ends by itself."""

import json
from typing import Any

import msgspec
import pytest
from msgspec import structs
from tests.domain.builders import LIMITS, OFF, at, machine, status, wish

from hexa.domain.machine.lifecycle import Event, Phase, step
from hexa.domain.machine.stamps import past
from hexa.domain.machine.wish import wish_patch
from hexa.domain.machine_view import MachineView
from hexa.domain.money.rates import Rates
from hexa.domain.policy.limits import machine_limits
from hexa.domain.policy.policy import Policy
from hexa.domain.resources.v1alpha1 import (
    Asker,
    Group,
    GroupSpec,
    Hold,
    Lookup,
    NodeStatus,
    OwnedMetadata,
    Power,
    Switched,
)

DAY = 24 * 3600
PROGRAMS = (Asker.CLUSTER_AUTOSCALER, Asker.RECOVERY, Asker.SCHEDULE)


def view(phase: Phase, *offs: float, by: Asker | None = None, most: int | None = 2, **spec: Any) -> MachineView:
    """A machine that was switched off at these times, in a group that allows so many a day; wanted off by somebody, or on by
    nobody."""
    node = machine("m1", **spec)
    if by is not None:
        notes = wish_patch(node, wish(OFF, by))["metadata"]["annotations"]
        metadata = structs.replace(node.metadata, annotations=notes)
        node = structs.replace(node, metadata=metadata, spec=structs.replace(node.spec, power_state="off"))
    node = structs.replace(node, status=status(phase, switched=Switched(offs=tuple(map(at, offs)))))
    group = Group(metadata=OwnedMetadata(name="rack", namespace="site"), spec=GroupSpec(max_cycles_per_day=most))
    told = {"problems": (), "control_plane": False, "hosts": (), "shape": None, "kube": None, "group": None}
    limits, problems = machine_limits(node, group)
    assert problems == ()
    return MachineView(
        key=Lookup("site", "m1"),
        node=node,
        policy=Policy(),
        limits=limits,
        rates=Rates(),
        **told,  # type: ignore[arg-type]
    )


@pytest.mark.parametrize("by", PROGRAMS)
def test_no_program_switches_off_once_the_offs_of_a_day_are_used_up(by: Asker) -> None:
    """Until the first of them is a day old; the veto says until when, and whose field it is."""
    known = view(Phase.READY, 0, 7200, by=by)
    (veto,) = known.off_vetoes(at(7300))
    assert (veto.reason, veto.until, veto.field, veto.of_group) == ("MaxCycles", at(DAY), "spec.maxCyclesPerDay", True)
    assert veto.message == "it was switched off 2 times within a day, and stays on until 2026-03-03T08:00:00+00:00"
    assert [known.acted_wish(at(second)) for second in (7300, DAY - 1)] == [None, None]
    assert known.judged_until(at(7300)) == at(DAY)
    assert (known.off_vetoes(at(DAY)), known.acted_wish(at(DAY))) == ((), Power.OFF)


def test_the_last_offs_count() -> None:
    """Of three offs with a bound of two the first does not matter any more; with a bound of one only the last does."""
    (veto,) = view(Phase.READY, 0, 7200, 9000).off_vetoes(at(10_000))
    assert veto.until == at(7200 + DAY)
    (veto,) = view(Phase.READY, 0, 7200, most=1).off_vetoes(at(10_000))
    assert (veto.until, "switched off once" in veto.message) == (at(7200 + DAY), True)


def test_fewer_offs_than_the_bound_forbid_nothing() -> None:
    """Nor do any, where no bound is set."""
    assert view(Phase.READY, 0).off_vetoes(at(60)) == ()
    free = view(Phase.READY, 0, 10, 20, most=None)
    assert (free.off_vetoes(at(60)), free.judged_until(at(60))) == ((), None)


def test_a_persons_word_passes() -> None:
    """An edit of spec.powerState and a hold switch off at once."""
    assert view(Phase.READY, 0, 60, by=Asker.USER).acted_wish(at(100)) is Power.OFF
    assert view(Phase.READY, 0, 60, hold=Hold(power="off")).acted_wish(at(100)) is Power.OFF


@pytest.mark.parametrize("phase", [Phase.DRAINING, Phase.POWERING_OFF, Phase.STOP_FAILED, Phase.OFF])
def test_an_off_that_was_begun_goes_on(phase: Phase) -> None:
    """Pods that have moved do not move back."""
    assert view(phase, 0, 60, by=Asker.CLUSTER_AUTOSCALER).off_vetoes(at(100)) == ()


def test_a_machines_own_bound_outranks_its_groups() -> None:
    """A Node may be switched more often, or more seldom."""
    assert view(Phase.READY, 0, 60, max_cycles_per_day=3).off_vetoes(at(100)) == ()
    (veto,) = view(Phase.READY, 0, 60, most=None, max_cycles_per_day=1).off_vetoes(at(100))
    assert (veto.until, veto.of_group) == (at(60 + DAY), False)


def goes_off(known: NodeStatus, moment: float, **kept: int) -> NodeStatus:
    """The status after one more off."""
    down = structs.replace(known, phase=str(Phase.POWERING_OFF))
    return step(down, Event.POWER_GONE, now=at(moment), limits=structs.replace(LIMITS, **kept))


def test_offs_are_remembered_as_long_as_they_count() -> None:
    """The last ones, also by a stop that failed at first; an off by somebody else is none, and a boot changes nothing."""
    known = NodeStatus()
    for moment in (10, 20, 30):
        known = goes_off(known, moment, offs_kept=2)
    assert known.switched == Switched(offs=(at(20), at(30)))
    failed = structs.replace(known, phase=str(Phase.STOP_FAILED))
    limits = structs.replace(LIMITS, offs_kept=2)
    assert step(failed, Event.POWER_GONE, now=at(40), limits=limits).switched.offs == (at(30), at(40))
    lost = structs.replace(known, phase=str(Phase.LOST))
    assert step(lost, Event.POWER_GONE, now=at(40), limits=limits).switched.offs == (at(20), at(30))
    boots = structs.replace(known, phase=str(Phase.BOOTING))
    assert step(boots, Event.NODE_READY, now=at(50), limits=limits).switched.offs == (at(20), at(30))


def test_wakes_are_remembered_too() -> None:
    """Each begin of one; a wake that is sent again is none."""
    limits = structs.replace(LIMITS, wakes_kept=2)
    known = status(Phase.OFF, switched=Switched(wakes=(at(-20), at(-10))))
    assert step(known, Event.WANTED, now=at(5), limits=limits).switched.wakes == (at(-10), at(5))


def test_nothing_is_remembered_where_nothing_counts_it() -> None:
    """The stored status is as it was before there was such a rule; what was kept for a bound that is gone goes."""
    off = goes_off(NodeStatus(), 10)
    woken = step(off, Event.WANTED, now=at(20), limits=LIMITS)
    assert "switched" not in json.loads(msgspec.json.encode(woken))
    assert goes_off(NodeStatus(switched=Switched(offs=(at(0),))), 10).switched == Switched()


def test_an_off_of_the_future_is_taken_for_one_of_now() -> None:
    """The clock was set back: the machine does not stay on for longer than a day."""
    known = status(Phase.READY, switched=Switched(offs=(at(0), at(9 * DAY))))
    assert past(known, limits=LIMITS, now=at(60)).switched.offs == (at(0), at(60))
