"""One story for each arrow of the lifecycle table: facts that bring exactly this event, and where the machine is then.

Most arrows have a slower way round, so a lost arrow would hide in longer tests; here each stands alone.
"""

from datetime import timedelta
from typing import Any, Final

import pytest
from msgspec import Struct
from tests.domain.builders import LIMITS, OFF, ON, at, facts, read, status

from hexa.domain.machine.lifecycle import TRANSITIONS, Event, Phase, phase_of, step
from hexa.domain.machine.sensing import sense
from hexa.domain.resources.v1alpha1 import Reading

E, P = Event, Phase


class Story(Struct, frozen=True):
    """What happened, `now` seconds after the machine entered the phase."""

    text: str
    now: float
    known: dict[str, Any]
    stored: dict[str, Any] = {}


ALIVE: Final = {"node_exists": True, "heard": 8.0}
READY: Final = {**ALIVE, "node_ready": True}
SILENT: Final = {"node_exists": True, "heard": -5.0}
COOLING: Final = {"cool_until": at(60)}
LONG: Final = timedelta(minutes=10)

STORIES: Final[dict[tuple[Phase, Event], Story]] = {
    (P.UNKNOWN, E.NODE_READY): Story("a running machine is enrolled", 9, READY),
    (P.UNKNOWN, E.POWER_SEEN): Story("a machine is enrolled while it boots", 9, ALIVE),
    (P.UNKNOWN, E.POWER_GONE): Story(
        "a machine is enrolled whose PDU reads Off", 9, {"node_exists": True, "reading": (Reading.OFF, 3)}
    ),
    (P.UNKNOWN, E.OVERDUE): Story("a machine is enrolled and nothing is heard of it", 15, {"node_exists": True}),
    (P.OFF, E.POWER_SEEN): Story("somebody presses the button", 9, {"reading": (Reading.ON, 8), "wish": OFF}),
    (P.OFF, E.WANTED): Story("the machine is wanted", 1, {"wish": ON}),
    (P.POWERING_ON, E.UNWANTED): Story("the wake is taken back", 2, {"wish": OFF}),
    (P.POWERING_ON, E.NODE_READY): Story(
        "the BMC still says Unknown when the node is Ready", 9, {**READY, "reading": (Reading.UNKNOWN, 8), "wish": ON}
    ),
    (P.POWERING_ON, E.POWER_SEEN): Story("the PDU sees current", 3, {"reading": (Reading.ON, 2), "wish": ON}),
    (P.POWERING_ON, E.STARTED): Story("the wake Job is done and no sensor reads", 2, {"job_done": True, "wish": ON}),
    (P.POWERING_ON, E.OVERDUE): Story("the wake Job hangs", 270, {"wish": ON}),
    (P.BOOTING, E.UNWANTED): Story("demand went away during the boot", 30, {"wish": OFF}),
    (P.BOOTING, E.NODE_READY): Story("the kubelet is Ready", 45, {**READY, "heard": 44.0, "wish": ON}),
    (P.BOOTING, E.POWER_GONE): Story(
        "the power supply dies in the boot", 30, {"reading": (Reading.OFF, 29), "wish": ON}
    ),
    (P.BOOTING, E.OVERDUE): Story("the kubelet never joins", 540, {"wish": ON}),
    (P.READY, E.POWER_GONE): Story(
        "the mains fail", 60, {"node_exists": True, "heard": 15.0, "reading": (Reading.OFF, 58), "wish": ON}
    ),
    (P.READY, E.NODE_LOST): Story("the network is cut", 55, {"node_exists": True, "heard": 15.0, "wish": ON}),
    (P.READY, E.UNWANTED): Story("Cluster Autoscaler deletes the node", 20, {**READY, "wish": OFF}),
    (P.DRAINING, E.POWER_GONE): Story(
        "the mains fail during the drain",
        60,
        {"node_exists": True, "heard": 15.0, "reading": (Reading.OFF, 58), "wish": OFF, "pods": 2},
    ),
    (P.DRAINING, E.KEPT): Story("new demand comes during the drain", 9, {**ALIVE, "wish": ON}),
    (P.DRAINING, E.WANTED): Story("a cancelled start is wanted again", 9, {"wish": ON, "node_exists": True}),
    (P.DRAINING, E.EMPTY): Story("the last pod has gone", 9, {**ALIVE, "wish": OFF, "pods": 0}),
    (P.DRAINING, E.NODE_LOST): Story(
        "the network is cut during the drain", 40, {"node_exists": True, "wish": OFF, "pods": 2}
    ),
    (P.DRAINING, E.FORCED): Story(
        "the group forces, and pods are left at the deadline",
        600,
        {"node_exists": True, "heard": 595.0, "wish": OFF, "pods": 2, "force": True},
    ),
    (P.DRAINING, E.OVERDUE): Story(
        "a disruption budget blocks until the deadline",
        600,
        {"node_exists": True, "heard": 595.0, "wish": OFF, "pods": 2},
    ),
    (P.POWERING_OFF, E.POWER_GONE): Story(
        "the machine shut down and is silent", 25, {**SILENT, "wish": OFF, "job_done": True, "pods": 0}
    ),
    (P.POWERING_OFF, E.OCCUPIED): Story("a pod slipped in before the cordon", 9, {**ALIVE, "wish": OFF, "pods": 1}),
    (P.POWERING_OFF, E.OVERDUE): Story(
        "the machine ignores the shutdown",
        300,
        {"node_exists": True, "heard": 295.0, "wish": OFF, "job_done": True, "pods": 0},
    ),
    (P.START_FAILED, E.NODE_READY): Story("it was a slow boot after all", 9, READY, COOLING),
    (P.START_FAILED, E.POWER_CYCLE): Story(
        "it hung in its boot, and the group cycles power",
        600,
        {"wish": ON, "reading": (Reading.ON, 599), "power_cycle_after": LONG},
        {"cool_until": at(900), "reading": read(Reading.ON, -5)},
    ),
    (P.START_FAILED, E.COOLED_DOWN): Story("the cool-off ends", 60, {}, COOLING),
    (P.STOP_FAILED, E.POWER_GONE): Story(
        "it was a slow shutdown after all", 9, {"reading": (Reading.OFF, 8), "wish": OFF}, COOLING
    ),
    (P.STOP_FAILED, E.WANTED): Story("the machine that did not go off is wanted", 9, {"wish": ON}, COOLING),
    (P.STOP_FAILED, E.COOLED_DOWN): Story("the shutdown is tried again", 60, {"wish": OFF}, COOLING),
    (P.LOST, E.NODE_READY): Story("the network is back", 9, {**READY, "wish": ON}),
    (P.LOST, E.POWER_GONE): Story("the PDU reads Off", 9, {"reading": (Reading.OFF, 8), "wish": ON}),
    (P.LOST, E.EMPTY): Story("an unwanted machine is lost, and no pod is bound to it", 9, {"wish": OFF, "pods": 0}),
    (P.LOST, E.FORCED): Story("the group forces, and pods never end", 120, {"wish": OFF, "pods": 2, "force": True}),
    (P.LOST, E.WANTED): Story("the machine crashed and is woken again", 120, {"wish": ON}),
    (P.LOST, E.POWER_CYCLE): Story(
        "it hangs, and the group cycles power",
        600,
        {**SILENT, "wish": ON, "reading": (Reading.ON, 599), "power_cycle_after": LONG},
        {"reading": read(Reading.ON, -5)},
    ),
}


IMPLIED: Final = {
    (P.UNKNOWN, E.NODE_READY): E.POWER_SEEN,  # a Ready node has power
    (P.POWERING_ON, E.NODE_READY): E.POWER_SEEN,
    (P.DRAINING, E.FORCED): E.OVERDUE,  # both have the drain's deadline
}
"""Arrows whose facts always hold for a later event of the row too: what is taken without them."""


def ids(pair: object) -> str:
    """Phase and event, or the story."""
    return pair.text if isinstance(pair, Story) else "-".join(pair) if isinstance(pair, tuple) else str(pair)


@pytest.mark.parametrize(("phase", "event"), [(p, e) for p, row in TRANSITIONS.items() for e in row], ids=ids)
def test_every_arrow_has_a_story(phase: Phase, event: Event) -> None:
    """No arrow of the table is without a story here."""
    assert (phase, event) in STORIES


@pytest.mark.parametrize(("arrow", "story"), STORIES.items(), ids=ids)
def test_story_takes_its_arrow(arrow: tuple[Phase, Event], story: Story) -> None:
    """What happened is noticed as this event, and leads where the table says."""
    phase, event = arrow
    machine = status(phase, **story.stored)
    assert sense(machine, facts(story.now, **story.known), limits=LIMITS) is event
    after = step(machine, event, now=at(story.now), limits=LIMITS)
    assert phase_of(after) is TRANSITIONS[phase][event]


@pytest.mark.parametrize(("arrow", "story"), STORIES.items(), ids=ids)
def test_story_takes_no_other_arrow(arrow: tuple[Phase, Event], story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without its arrow the machine would stand still, or be taken for less: the story is about this arrow alone."""
    phase, event = arrow
    monkeypatch.setitem(TRANSITIONS, phase, {e: q for e, q in TRANSITIONS[phase].items() if e is not event})
    assert sense(status(phase, **story.stored), facts(story.now, **story.known), limits=LIMITS) is IMPLIED.get(arrow)
