"""In a blackout no program switches a machine off; a person's word passes, and what was begun before goes on."""

from typing import Any

import pytest
from msgspec import structs
from tests.domain.builders import OFF, at, machine, status, wish

from hexa.domain.machine.lifecycle import Phase
from hexa.domain.machine.wish import wish_patch
from hexa.domain.machine_view import MachineView
from hexa.domain.money.rates import Rates
from hexa.domain.policy.limits import Limits
from hexa.domain.policy.policy import Policy, policy_of
from hexa.domain.resources.group_values import Blackout
from hexa.domain.resources.v1alpha1 import Asker, Group, GroupSpec, Hold, Lookup, OwnedMetadata, Power

MONDAY = Blackout(days=("Mon",), start="10:00", end="11:00", zone="Europe/Berlin", reason="backups run")
"""From 3600 s to 7200 s of the tests' time, which begins on a Monday at eight in UTC."""
PROGRAMS = (Asker.CLUSTER_AUTOSCALER, Asker.RECOVERY, Asker.SCHEDULE)


def policy(*blackouts: Blackout) -> Policy:
    """The policy of a group with them."""
    group = Group(metadata=OwnedMetadata(name="rack", namespace="site"), spec=GroupSpec(blackouts=blackouts))
    found, problems = policy_of(group)
    assert problems == ()
    return found


def view(
    phase: Phase, by: Asker | None = None, *, blackouts: tuple[Blackout, ...] = (MONDAY,), **spec: Any
) -> MachineView:
    """A machine that is wanted off by somebody, or on by nobody."""
    node = machine("m1", **spec)
    if by is not None:
        notes = wish_patch(node, wish(OFF, by))["metadata"]["annotations"]
        metadata = structs.replace(node.metadata, annotations=notes)
        node = structs.replace(node, metadata=metadata, spec=structs.replace(node.spec, power_state="off"))
    node = structs.replace(node, status=status(phase, last_startup_time=at(0)))
    told = {"problems": (), "control_plane": False, "hosts": (), "shape": None, "kube": None, "group": None}
    return MachineView(
        key=Lookup("site", "m1"),
        node=node,
        policy=policy(*blackouts),
        limits=Limits(),
        rates=Rates(),
        **told,  # type: ignore[arg-type]
    )


@pytest.mark.parametrize("by", PROGRAMS)
def test_no_program_switches_off_in_a_blackout(by: Asker) -> None:
    """From ten minutes before it begins, so that Cluster Autoscaler moves no pods away for nothing, until it ends."""
    known = view(Phase.READY, by)
    assert known.acted_wish(at(2999)) is Power.OFF
    assert known.judged_until(at(100)) == at(3000)
    (soon,), (now,) = known.off_vetoes(at(3000)), known.off_vetoes(at(3600))
    assert (now.reason, now.until, now.field, now.of_group) == ("Blackout", at(7200), "spec.blackouts", True)
    assert now.message == (
        "a blackout holds, in which nothing is switched off until 2026-03-02T10:00:00+00:00: backups run"
    )
    assert "is about to begin" in soon.message
    assert [known.acted_wish(at(second)) for second in (3000, 7199)] == [None, None]
    assert known.judged_until(at(3000)) == at(7200)
    assert known.off_vetoes(at(7200)) == ()
    assert known.acted_wish(at(7200)) is Power.OFF


def test_a_persons_word_passes() -> None:
    """An edit of spec.powerState and a hold switch off at once."""
    assert view(Phase.READY, Asker.USER).acted_wish(at(3700)) is Power.OFF
    assert view(Phase.READY, hold=Hold(power="off")).acted_wish(at(3700)) is Power.OFF


@pytest.mark.parametrize("phase", [Phase.DRAINING, Phase.POWERING_OFF, Phase.OFF])
def test_an_off_that_was_begun_before_goes_on(phase: Phase) -> None:
    """Pods that have moved do not move back."""
    assert view(phase, Asker.CLUSTER_AUTOSCALER).off_vetoes(at(3700)) == ()


@pytest.mark.parametrize("phase", [Phase.READY, Phase.BOOTING, Phase.LOST, Phase.START_FAILED])
def test_nothing_that_is_on_is_begun_to_be_switched_off(phase: Phase) -> None:
    """Nor what is on its way up, or out of sight."""
    assert [veto.reason for veto in view(phase, Asker.CLUSTER_AUTOSCALER).off_vetoes(at(3700))] == ["Blackout"]


def test_other_days_and_groups_without_blackouts_are_as_before() -> None:
    """On Tuesday at the same time the machine may go."""
    day = 24 * 3600
    assert view(Phase.READY, Asker.CLUSTER_AUTOSCALER).acted_wish(at(3700 + day)) is Power.OFF
    free = view(Phase.READY, Asker.CLUSTER_AUTOSCALER, blackouts=())
    assert (free.off_vetoes(at(3700)), free.judged_until(at(100))) == ((), None)


@pytest.mark.parametrize(
    ("written", "says"),
    [
        (Blackout(zone="Berlin"), "spec.blackouts[1]: 'Berlin' is no time zone that is known here: write an IANA name"),
        (Blackout(start="9:00"), "spec.blackouts[1]: '9:00' is no time of day"),
        (Blackout(start="09:00", end="09:00"), "spec.blackouts[1]: it is from 09:00 to 09:00 and so has no length"),
    ],
)
def test_a_blackout_that_makes_no_sense_is_told_and_holds(written: Blackout, says: str) -> None:
    """In doubt no program switches off; the remedy says it."""
    group = Group(metadata=OwnedMetadata(name="rack", namespace="site"), spec=GroupSpec(blackouts=(MONDAY, written)))
    found, (problem,) = policy_of(group)
    assert str(problem).startswith(says)
    assert "until then it holds at all times" in str(problem)
    known = structs.replace(view(Phase.READY, Asker.CLUSTER_AUTOSCALER), policy=found)
    assert [known.acted_wish(at(hours * 3600)) for hours in range(0, 200, 7)] == [None] * 29
