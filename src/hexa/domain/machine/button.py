"""Machines that are switched by their power button: each press does the opposite of what is, so a machine is woken by it only where
something told last that it is off, and shut down only where something tells that it is on.

A press tells nothing by itself: none follows another one without a reading or a sign of life in between, or a person who asks anew.

Where the Job reads the power itself (`hexa power` with a sensor), it presses on its own reading, and may be repeated.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final

from hexa.domain.machine.facts import Facts
from hexa.domain.machine.lifecycle import Event, Phase
from hexa.domain.moment import moment_text
from hexa.domain.policy.problem import Problem
from hexa.domain.power.roles import Roles, roles
from hexa.domain.power.sensor import sensor
from hexa.domain.power.ways import Direction, own_pod
from hexa.domain.resources.v1alpha1 import HistoryEntry, Node, PowerReading, Reading

SHUTTING_DOWN: Final = timedelta(seconds=60)
"""A machine that is heard within this after its button was pressed may still be going off."""

ON_SINCE: Final = frozenset({Event.NODE_READY, Event.POWER_SEEN, Event.KEPT})
"""Events that tell that the machine is on."""

DIRECTIONS: Final[tuple[Direction, ...]] = ("on", "off")


def presses(node: Node, direction: Direction) -> bool:
    """Whether what switches the machine in this direction presses its power button."""
    pod = own_pod(node, direction)
    if pod is not None:
        return pod.toggle
    found = roles(node.spec.power) if node.spec.power is not None else None
    if not isinstance(found, Roles):
        return False
    names = {found.on, found.on_else} if direction == "on" else {found.off}
    return not names.isdisjoint(found.toggling)


def presses_blindly(node: Node, direction: Direction) -> bool:
    """The same, and its Job reads nothing before."""
    if not presses(node, direction):
        return False
    found = roles(node.spec.power) if node.spec.power is not None and own_pod(node, direction) is None else None
    return not isinstance(found, Roles) or not found.proves_off


def wake_withheld(node: Node, reading: PowerReading | None = None) -> str:
    """Why the machine must not be woken now by its button; empty: it may be. `reading`: a newer one than the status has."""
    if not presses_blindly(node, "on"):
        return ""
    since = _not_off_since(node.status.history)
    if since is None:
        return ""
    since = max(since, node.status.woken_at or since)
    known = reading if reading is not None else node.status.reading
    newer = reading is None or (reading.at is not None and reading.at > since)
    if (known.power is Reading.OFF and newer) or _asked_anew(node, since):
        return ""
    what = f"nothing has told since {moment_text(since)} that it is off, and its power button switches off what is on"
    return f"{what}; look at it, then ask anew by hexa off and hexa on"


def off_withheld(node: Node, facts: Facts) -> str:
    """Why the machine must not be shut down now by its button; empty: it may be."""
    if not presses_blindly(node, "off"):
        return ""
    history = node.status.history
    before = history[:-1] if history and history[-1].action == Phase.POWERING_OFF else history
    pressed = next((each.at for each in reversed(before) if each.action == Phase.POWERING_OFF), None)
    since = pressed + SHUTTING_DOWN if pressed is not None else None
    alive = facts.heard_until is not None and facts.now < facts.heard_until
    heard = facts.heard if alive else None
    read = facts.reading.at if facts.reading is not None and facts.reading.power is Reading.ON else None
    if any(mark is not None and (since is None or mark > since) for mark in (heard, read)):
        return ""
    return "nothing tells that it is on, and its power button would switch on what is off; it is not pressed"


def button_problems(node: Node) -> Iterator[Problem]:
    """That a button is pressed and nothing reads what it did."""
    if sensor(node) is not None:
        return
    for direction in DIRECTIONS:
        if presses_blindly(node, direction):
            pod = "startupPodSpec" if direction == "on" else "shutdownPodSpec"
            field = f"spec.{pod}.toggle" if own_pod(node, direction) is not None else "spec.power"
            what = f"presses the power button to turn it {direction}, and nothing reads the power, so it is pressed once only"
            remedy = (
                "add a driver that reads, such as an http template that asks for the power LED, or a plug with onWatts"
            )
            yield Problem(field, what, remedy, severity="warning", reason="ButtonUnread")


def _not_off_since(history: Sequence[HistoryEntry]) -> datetime | None:
    """When the machine was last pressed, or told to be on, and not told to be off since; None: nothing speaks against off."""
    for entry in reversed(history):
        if entry.by == Event.POWER_GONE:
            return None
        if entry.by in ON_SINCE or entry.action in (Phase.POWERING_ON, Phase.POWERING_OFF, Phase.READY):
            return entry.at
    return None


def _asked_anew(node: Node, before: datetime) -> bool:
    wish = node.status.wish
    return wish is not None and wish.by == "user" and wish.since is not None and wish.since > before
