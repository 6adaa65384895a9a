"""Maintenance that others tell of on a Kubernetes node: planned, it rests first and no program wakes it; in progress: hands off."""

from typing import Any

import pytest
from msgspec import structs
from tests.domain.builders import OFF, ON, at, kube_node, rack, standing, view, wanting, wish

from hexa.domain.decide.facts import inert
from hexa.domain.group.choice import rested_before
from hexa.domain.group.sizing import Member, resters
from hexa.domain.machine.lifecycle import Phase
from hexa.domain.machine.reason import Veto
from hexa.domain.machine_view import MachineView
from hexa.domain.resources.core import Condition, KubeNode, KubeNodeStatus
from hexa.domain.resources.v1alpha1 import Asker, Hold, Lookup, Node
from hexa.domain.rules.maintenance import awaits

P = Phase
PLANNED, MAINTENANCE = "MaintenancePlanned", "MaintenanceInProgress"


def told(type_: str, status: str = "True", *, reason: str = "MaintenanceWindow", message: str = "new fan") -> KubeNode:
    """The Kubernetes node with that condition."""
    said = (
        Condition(type="Ready", status="True"),
        Condition(type=type_, status=status, reason=reason, message=message),
    )
    return kube_node("k1", status=KubeNodeStatus(conditions=said))


def asked(phase: Phase, by: Asker = Asker.CLUSTER_AUTOSCALER) -> Node:
    """A machine that somebody wants on."""
    return wanting(standing(phase), wish(ON, by))


def seen(node: Node, kube: KubeNode | None, **known: Any) -> MachineView:
    """As decisions see it."""
    return view(node, group=rack(), kube=kube, **known)


def test_no_program_wakes_what_is_to_be_maintained_and_a_person_does() -> None:
    """Cluster Autoscaler's wish waits until the condition is taken back; `hexa on` is somebody who knows."""
    held = standing(P.OFF, spec={"hold": Hold(power="on")})
    for node, may in (
        (asked(P.OFF), False),
        (asked(P.OFF, Asker.RECOVERY), False),
        (asked(P.OFF, Asker.SCHEDULE), False),
        (asked(P.OFF, Asker.USER), True),
        (held, True),
    ):
        known = seen(node, told(PLANNED))
        assert known.may_wake(at(0)) is may
    assert seen(asked(P.READY), told(PLANNED)).off_vetoes(at(0)) == ()
    [veto] = seen(asked(P.OFF), told(PLANNED)).on_vetoes(at(0))
    text = (
        "maintenance is planned, by the condition MaintenancePlanned of Kubernetes node k1: MaintenanceWindow, new fan"
    )
    assert (veto.reason, veto.message) == (PLANNED, text)


@pytest.mark.parametrize("status", ["False", "Unknown", "", "true"])
@pytest.mark.parametrize("type_", [PLANNED, MAINTENANCE])
def test_only_what_is_true_keeps_a_machine_from_being_woken(type_: str, status: str) -> None:
    """A condition that is taken back by False, or of which nobody knows, keeps no machine off, and hexa still looks after it."""
    known = seen(asked(P.OFF), told(type_, status))
    assert known.may_wake(at(0))
    assert not inert(known, at(0))


@pytest.mark.parametrize("by", [Asker.CLUSTER_AUTOSCALER, Asker.USER, Asker.HOLD])
@pytest.mark.parametrize("status", ["Unknown", "", "true"])
def test_doubt_about_maintenance_switches_nothing_off(status: str, by: Asker) -> None:
    """Where nobody knows whether somebody works at it, the machine stays as it is, whoever wants it off: one that is up or comes up
    is kept, no other is woken for that; and it is said."""
    kept = {P.READY, P.DRAINING, P.POWERING_ON, P.BOOTING}
    for phase in Phase:
        known = seen(wanting(standing(phase), wish(OFF, by)), told(MAINTENANCE, status))
        assert known.acted_wish(at(0)) is (ON if phase in kept else None)
        [veto] = known.off_vetoes(at(0))
        text = "nobody knows whether it is being maintained, by the condition MaintenanceInProgress of Kubernetes node k1: "
        assert (veto.reason, veto.message) == (MAINTENANCE, f"{text}MaintenanceWindow, new fan")
    for other in (told(MAINTENANCE, "False"), told(PLANNED, status), told(MAINTENANCE, status, reason="HexaHold")):
        assert seen(wanting(standing(P.READY), wish(OFF, by)), other).acted_wish(at(0)) is OFF


@pytest.mark.parametrize("phase", list(Phase))
@pytest.mark.parametrize("by", [Asker.CLUSTER_AUTOSCALER, Asker.USER])
def test_nobody_switches_what_is_maintained(phase: Phase, by: Asker) -> None:
    """Neither on nor off, whoever wants it and wherever the machine is in its life: it is only watched, as one that is paused."""
    known = seen(asked(phase, by), told(MAINTENANCE))
    assert inert(known, at(0))
    for vetoes in (known.on_vetoes(at(0)), known.off_vetoes(at(0))):
        assert [veto.reason for veto in vetoes] == [MAINTENANCE]
    off = seen(wanting(standing(phase), wish(OFF, by)), told(MAINTENANCE))
    assert off.acted_wish(at(0)) is not OFF


def test_the_hold_of_hexa_itself_keeps_nothing_back() -> None:
    """The condition that hexa writes for a person's hold is not taken for somebody else's word."""
    known = seen(asked(P.OFF), told(MAINTENANCE, reason="HexaHold"))
    assert known.may_wake(at(0))
    assert not inert(known, at(0))


def test_why_says_what_is_waited_for() -> None:
    """`hexa why` names the condition, its node and what its writer said; a long text is cut."""
    known = seen(asked(P.OFF), told(MAINTENANCE))
    said = "the end of its maintenance, by the condition MaintenanceInProgress of Kubernetes node k1: MaintenanceWindow, new fan"
    assert list(awaits(Seen(known))) == [(f"{said}; until then it is only watched", None)]
    assert list(awaits(Seen(seen(asked(P.OFF), told(PLANNED))))) == []
    [long] = [text for text, _ in awaits(Seen(seen(asked(P.OFF), told(MAINTENANCE, message="m" * 9999))))]
    assert len(long) < 400


class Seen:
    """What `hexa why` knows of a machine."""

    def __init__(self, of: MachineView) -> None:
        self.node, self.policy, self.kube, self.phase, self.now = of.node, of.policy, of.kube, of.phase, at(0)


def test_the_one_that_is_to_be_maintained_rests_first() -> None:
    """Before machines with fewer pods, and the reason is said."""
    idle = Member(key=Lookup("site", "a"), phase=P.READY, wish=wish(ON), node_ready=True)
    planned = structs.replace(
        idle, key=Lookup("site", "b"), pods=7, on_vetoes=(Veto(PLANNED, "maintenance is planned"),)
    )
    assert [member.key.name for member in resters([idle, planned])] == ["b", "a"]
    assert rested_before(planned, idle) == "its maintenance is planned"
