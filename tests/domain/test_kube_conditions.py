"""What hexa says of a machine by Kubernetes' own conditions, and what it leaves to those who say so too."""

from datetime import UTC, datetime
from typing import Any

import pytest
from msgspec import structs
from tests.domain.builders import OFF, ON, T0, at, kube_node, status, wish

from hexa.domain.machine.kube_conditions import Life, by_others, ours, patch_of, wanted
from hexa.domain.machine.lifecycle import Phase
from hexa.domain.machine.marks import conditions_of_ours, marked, without_conditions
from hexa.domain.resources.core import Condition, KubeNode, KubeNodeStatus
from hexa.domain.resources.status import HistoryEntry
from hexa.domain.resources.v1alpha1 import Asker, Hold, NodeStatus

P = Phase
DRAINING, DRAINED, MAINTENANCE = "DrainInProgress", "Drained", "MaintenanceInProgress"
NOW = at(500)
FAN = Hold(power="off", reason="new fan")


def after(*steps: tuple[Phase, str]) -> NodeStatus:
    """The status of a machine that took these steps."""
    history = tuple(HistoryEntry(at=T0, action=str(phase), by=by) for phase, by in steps)
    return status(steps[-1][0], history=history)


def bearing(*conditions: Condition) -> KubeNode:
    """The Kubernetes node with these conditions."""
    return kube_node(status=KubeNodeStatus(conditions=(Condition(type="Ready", status="True"), *conditions)))


def condition(type_: str, reason: str, said: str = "True", message: str = "") -> Condition:
    """As it stands on the node since T0."""
    return Condition(type=type_, status=said, reason=reason, message=message, last_transition_time=T0)


OURS = (condition(DRAINED, "HexaDrainCompleted"), condition(MAINTENANCE, "HexaHold"))
DOWN = ((P.READY, "NodeReady"), (P.DRAINING, "Unwanted"), (P.POWERING_OFF, "Empty"))
OFF_STEPS = (*DOWN, (P.OFF, "PowerGone"))
BOOT = (*OFF_STEPS, (P.POWERING_ON, "Wanted"), (P.BOOTING, "Started"))


@pytest.mark.parametrize(
    ("steps", "held", "types"),
    [
        (DOWN[:1], None, set()),
        (DOWN[:2], None, {DRAINING}),
        (DOWN[:2], FAN, {DRAINING}),
        (DOWN, None, {DRAINED}),
        (DOWN, FAN, {DRAINED, MAINTENANCE}),
        (OFF_STEPS, None, {DRAINED}),
        (OFF_STEPS, FAN, {DRAINED, MAINTENANCE}),
        (BOOT, None, {DRAINED}),
        ((*BOOT, (P.READY, "NodeReady")), None, set()),
        ((*BOOT, (P.READY, "NodeReady")), FAN, set()),
        ((*DOWN, (P.DRAINING, "Occupied")), None, {DRAINING}),
        ((*DOWN[:2], (P.POWERING_OFF, "Forced"), (P.OFF, "PowerGone")), None, set()),
        ((*DOWN[:2], (P.OFF, "PowerGone")), None, set()),
    ],
)
def test_what_is_said_in_each_phase(steps: Any, held: Hold | None, types: set[str]) -> None:
    """A drain while it lasts; that it was drained, from its end until the machine is up again, and never of one that was forced or
    went dark by itself; maintenance once a machine that a person holds off is empty."""
    found = list(wanted(Life(status=after(*steps), held_off=held), bearing()))
    assert {each.type for each in found} == types
    assert all(each.status == "True" and each.reason.startswith("Hexa") and each.message for each in found)


def test_maintenance_lasts_until_the_machine_is_up() -> None:
    """When the hold ends and the machine is wanted, the condition stays while it boots; where nobody wants it, it goes at once."""
    node = bearing(*OURS)
    for steps, asked, stays in (
        (OFF_STEPS, ON, True),
        (OFF_STEPS, OFF, False),
        (OFF_STEPS, None, False),
        (BOOT, ON, True),
        ((*BOOT, (P.READY, "NodeReady")), ON, False),
    ):
        life = Life(status=after(*steps), wish=wish(asked, Asker.CLUSTER_AUTOSCALER) if asked else None)
        assert (MAINTENANCE in {each.type for each in wanted(life, node)}) is stays
        assert MAINTENANCE not in {each.type for each in wanted(life, bearing())}


def test_a_history_that_is_too_short_changes_nothing() -> None:
    """A machine that failed to start twenty times is still the one that was drained."""
    failing = tuple((P.START_FAILED, "Overdue") for _ in range(20))
    for node, types in ((bearing(*OURS), {DRAINED}), (bearing(), set())):
        assert {each.type for each in wanted(Life(status=after(*failing)), node)} == types


def test_only_what_differs_is_written_and_only_ours_is_taken_back() -> None:
    """Other conditions are no part of the patch; what stands is not written again."""
    life = Life(status=after(*OFF_STEPS))
    body = patch_of(bearing(*OURS), wanted(life, bearing(*OURS)), now=NOW)
    [drained, gone] = body["status"]["conditions"]
    assert gone == {"type": MAINTENANCE, "$patch": "delete"}
    assert (drained["type"], drained["status"]) == (DRAINED, "True")
    assert drained["lastTransitionTime"] == "2026-03-02T08:00:00Z"  # only its text is another
    written = bearing(condition(DRAINED, drained["reason"], message=drained["message"]))
    assert patch_of(written, wanted(life, written), now=NOW) == {}
    assert patch_of(bearing(), (), now=NOW) == {}
    odd = bearing(structs.replace(OURS[0], last_transition_time=datetime(1, 1, 1, tzinfo=UTC)))
    [again] = patch_of(odd, wanted(life, odd), now=NOW)["status"]["conditions"]
    assert again["lastTransitionTime"] == "0001-01-01T00:00:00Z"  # the API server refuses a year of one digit


@pytest.mark.parametrize(("said", "ours_is_written"), [("True", False), ("False", True), ("Unknown", True)])
def test_what_others_say_stays_theirs(said: str, ours_is_written: bool) -> None:
    """A drain that somebody else reports is not written over; one that is over may be."""
    node = bearing(condition(DRAINING, "AdminRequested", said))
    body = patch_of(node, wanted(Life(status=after(*DOWN[:2])), node), now=NOW)
    assert bool(body) is ours_is_written
    assert ours(node) == ()
    assert patch_of(node, (), now=NOW) == {}


@pytest.mark.parametrize(("said", "theirs"), [("True", True), ("Unknown", True), ("False", False)])
def test_doubt_about_maintenance_stays_theirs(said: str, theirs: bool) -> None:
    """A hold of hexa's is not written over somebody's doubt: it would be gone with the hold, and the machine be switched off."""
    node = bearing(condition(MAINTENANCE, "AdminRequested", said))
    life = Life(status=after(*OFF_STEPS), held_off=FAN)
    written = {each["type"] for each in patch_of(node, wanted(life, node), now=NOW)["status"]["conditions"]}
    assert (MAINTENANCE not in written) is theirs


def test_ours_and_theirs_are_told_apart_by_the_reason() -> None:
    """A condition of the same type is hexa's only with hexa's reason; a type that hexa never writes never is."""
    node = bearing(*OURS, condition("MaintenancePlanned", "HexaHold"))
    assert set(ours(node)) == {DRAINED, MAINTENANCE}
    assert by_others(node, MAINTENANCE) is None
    assert by_others(node, "MaintenancePlanned") is not None
    assert by_others(bearing(condition(MAINTENANCE, "AdminRequested")), MAINTENANCE) is not None
    assert by_others(None, MAINTENANCE) is None


def test_a_long_reason_is_cut() -> None:
    """What a person wrote goes to the node in a bearable length."""
    life = Life(status=after(*OFF_STEPS), held_off=structs.replace(FAN, reason="x" * 99_999))
    assert all(len(each.message) < 300 for each in wanted(life, bearing()))


def test_a_machine_that_is_given_up_leaves_none_of_them() -> None:
    """What hexa said goes with its other marks, and what others said stays."""
    node = bearing(*OURS, condition("Suspended", "PoweredOff"), condition("MaintenancePlanned", "AdminRequested"))
    assert marked(bearing(OURS[0]))
    gone = without_conditions(conditions_of_ours(node))["status"]["conditions"]
    assert [each["type"] for each in gone] == ["Suspended", DRAINED, MAINTENANCE]
    assert not marked(bearing(condition("MaintenancePlanned", "AdminRequested")))
