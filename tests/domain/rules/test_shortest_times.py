"""minOnTime and minOffTime: what came up stays up, what went dark is woken last, and a person's word passes."""

from datetime import timedelta
from typing import Any

import pytest
from msgspec import structs
from tests.domain.builders import OFF, at, machine, status, wish

from hexa.domain.group.sizing import candidates, may_rest
from hexa.domain.machine.lifecycle import Phase
from hexa.domain.machine.wish import wish_patch
from hexa.domain.machine_view import MachineView
from hexa.domain.money.rates import Rates
from hexa.domain.policy.limits import Limits, machine_limits
from hexa.domain.policy.policy import Policy, policy_of
from hexa.domain.resources.v1alpha1 import Asker, Group, GroupSpec, Hold, Lookup, OwnedMetadata, Power

TIMES = Limits(min_on_time=timedelta(seconds=600), min_off_time=timedelta(seconds=300))
PROGRAMS = (Asker.CLUSTER_AUTOSCALER, Asker.RECOVERY, Asker.SCHEDULE)


def view(
    phase: Phase, by: Asker | None = None, *, name: str = "m1", limits: Limits = TIMES, **spec: Any
) -> MachineView:
    """A machine that came into its phase at 0 s, and is wanted off by somebody, or on by nobody."""
    node = machine(name, **spec)
    if by is not None and by is not Asker.HOLD:
        notes = wish_patch(node, wish(OFF, by))["metadata"]["annotations"]
        metadata = structs.replace(node.metadata, annotations=notes)
        node = structs.replace(node, metadata=metadata, spec=structs.replace(node.spec, power_state="off"))
    node = structs.replace(node, status=status(phase, last_startup_time=at(0), last_shutdown_time=at(0)))
    told = {"problems": (), "control_plane": False, "hosts": (), "shape": None, "kube": None, "group": None}
    return MachineView(
        key=Lookup("site", name),
        node=node,
        policy=Policy(),
        limits=limits,
        rates=Rates(),
        **told,  # type: ignore[arg-type]
    )


@pytest.mark.parametrize("by", PROGRAMS)
def test_a_program_waits_for_the_shortest_time_up(by: Asker) -> None:
    """An off that Cluster Autoscaler, hexa or a schedule wants is acted on once the machine was up for minOnTime, to the second."""
    known = view(Phase.READY, by)
    (veto,) = known.off_vetoes(at(599))
    assert (veto.reason, veto.until, veto.field, veto.of_group) == ("MinOnTime", at(600), "spec.minOnTime", True)
    assert "stays up until 2026-03-02T08:10:00+00:00" in veto.message
    assert known.acted_wish(at(599)) is None
    assert known.judged_until(at(599)) == at(600)
    assert known.off_vetoes(at(600)) == ()
    assert known.acted_wish(at(600)) is Power.OFF


def test_a_machine_that_came_up_is_not_chosen_to_rest() -> None:
    """Who lowers a group passes it by, and Cluster Autoscaler is refused before it drains."""
    on = structs.replace(view(Phase.READY).member(at(100)), wish=wish(Power.ON, Asker.CLUSTER_AUTOSCALER))
    assert not may_rest(on)
    assert may_rest(structs.replace(on, off_vetoes=view(Phase.READY).off_vetoes(at(600))))


def test_a_persons_word_passes() -> None:
    """An edit of spec.powerState and a hold switch off at once."""
    assert view(Phase.READY, Asker.USER).acted_wish(at(1)) is Power.OFF
    held = view(Phase.READY, hold=Hold(power="off"))
    assert held.off_vetoes(at(1)) == ()
    assert held.acted_wish(at(1)) is Power.OFF


@pytest.mark.parametrize("phase", [phase for phase in Phase if phase is not Phase.READY])
def test_only_a_machine_that_is_up_stays_up(phase: Phase) -> None:
    """A boot that is called off, and a drain that a person began, go on."""
    assert "MinOnTime" not in [veto.reason for veto in view(phase, Asker.RECOVERY).off_vetoes(at(1))]


def test_what_went_dark_is_the_last_candidate() -> None:
    """It is chosen after all others of its group, and chosen where there is no other; then it ranks as before."""
    dark = view(Phase.OFF, Asker.CLUSTER_AUTOSCALER, name="a")
    rested = view(Phase.OFF, Asker.USER, name="b", limits=Limits())
    assert [m.key.name for m in candidates([dark.member(at(299)), rested.member(at(299))])] == ["b", "a"]
    assert [m.key.name for m in candidates([dark.member(at(299))])] == ["a"]
    assert dark.on_vetoes(at(299)) == ()
    (veto,) = dark.member(at(299)).last_vetoes
    assert (veto.reason, veto.until) == ("MinOffTime", at(300))
    assert dark.judged_until(at(299)) == at(300)
    assert [m.key.name for m in candidates([dark.member(at(300)), rested.member(at(300))])] == ["a", "b"]


def test_a_machines_own_times_come_first() -> None:
    """A Node overrides its Group, also with no time at all; what leaves no sense is a problem of its object."""
    group = Group(metadata=OwnedMetadata(name="rack"), spec=GroupSpec(min_on_time="30m", min_off_time="10m"))
    limits, problems = machine_limits(machine(min_on_time="0s"), group)
    assert (limits.min_on_time, limits.min_off_time, problems) == (timedelta(0), timedelta(minutes=10), ())
    assert view(Phase.READY, limits=limits, min_on_time="0s").off_vetoes(at(1)) == ()
    own = view(Phase.READY, limits=structs.replace(TIMES), min_on_time="10m").off_vetoes(at(1))
    assert [veto.of_group for veto in own] == [False]
    assert machine_limits(machine(), group)[0].min_on_time == timedelta(minutes=30)
    bad = Group(metadata=OwnedMetadata(name="rack"), spec=GroupSpec(min_on_time="soon"))
    assert [problem.field for problem in policy_of(bad)[1]] == ["spec.minOnTime"]
    (problem,) = machine_limits(machine(min_off_time="9999999h"), group)[1]
    assert problem.field == "spec.minOffTime"
