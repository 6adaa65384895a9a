"""Who presses a power button, and what is said of it in advance."""

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from msgspec import structs
from tests.domain.builders import ON, at, facts, wish

from hexa.domain.machine.button import button_problems, off_withheld, presses, presses_blindly, wake_withheld
from hexa.domain.machine.lifecycle import Event, Phase
from hexa.domain.power.roles import Roles, roles
from hexa.domain.power.sensor import sensor
from hexa.domain.resources.v1alpha1 import Asker, HistoryEntry, Node, NodeStatus, PowerReading, Reading
from hexa.domain.written.validation import machine_problems

RELAY = {"http": {"address": "relay.lan", "device": "shelly", "toggle": True}}
LED = {
    "http": {
        "address": "kvm.lan",
        "device": "template",
        "toggle": True,
        "template": {
            "turnOn": {"path": "/click", "method": "POST"},
            "turnOff": {"path": "/click", "method": "POST"},
            "status": {"path": "/atx", "state": "leds.power"},
        },
    }
}
PULSE = {"pdu": {"address": "pdu.lan", "profile": "apc-rpdu", "outlets": ["1"], "secretName": "pdu", "toggle": True}}
SCRIPT = {"script": {"command": ["/press"], "toggle": True}}
BLIND_SCRIPT = {"script": {"command": ["/press"], "can": ["on", "off"], "toggle": True}}
BMC = {"ipmi": {"address": "bmc.lan", "secretName": "bmc"}}


def node(power: dict[str, Any] | None = None, **spec: Any) -> Node:
    """A machine."""
    raw = {"metadata": {"name": "box", "namespace": "m", "labels": {"group": "rack"}}, "spec": {**spec}}
    if power is not None:
        raw["spec"]["power"] = power
    return msgspec.convert(raw, Node)


@pytest.mark.parametrize(
    ("power", "on", "off", "cut", "sense", "blind"),
    [
        (RELAY, "http", "http", None, None, True),
        (LED, "http", "http", None, "http", False),
        (PULSE, "pdu", "pdu", None, None, True),
        (SCRIPT, "script", "script", None, "script", False),
        (BLIND_SCRIPT, "script", "script", None, None, True),
        (RELAY | BMC, "ipmi", "ipmi", "ipmi", "ipmi", None),
        (RELAY | BMC | {"turnOn": "http"}, "http", "ipmi", "ipmi", "ipmi", False),
    ],
)
def test_failure_49_a_button_wakes_and_shuts_down_and_cuts_nothing(
    power: dict[str, Any], on: str, off: str, cut: str | None, sense: str | None, blind: bool | None
) -> None:
    """A contact on the button turns on and off in order; it neither cuts, nor tells by its own state how the machine is."""
    machine = node(power)
    assert machine.spec.power is not None
    found = roles(machine.spec.power)
    assert isinstance(found, Roles)
    assert (found.on, found.off, found.cut, found.sense) == (on, off, cut, sense)
    assert presses(machine, "on") is (blind is not None)
    assert presses_blindly(machine, "on") is bool(blind)


def test_failure_49_a_button_that_nothing_reads_is_told_in_advance() -> None:
    """`hexa validate`, conditions and `hexa doctor` warn of it, for spec.power and for pod specs; a reading ends the warning."""
    for power in (RELAY, PULSE, BLIND_SCRIPT):
        assert {each.reason for each in button_problems(node(power))} == {"ButtonUnread"}
    pod = {"image": "press", "toggle": True}
    found = [each for each in machine_problems(node(startupPodSpec=pod), None) if each.reason == "ButtonUnread"]
    assert [(each.field, each.severity) for each in found] == [("spec.startupPodSpec.toggle", "warning")]
    assert not list(button_problems(node(LED)))
    assert not list(button_problems(node(SCRIPT)))
    assert not list(button_problems(node(BMC, startupPodSpec=pod)))
    assert not list(button_problems(node(startupPodSpec={"image": "wake"})))


def test_the_power_led_is_read_by_the_agent() -> None:
    """A template that asks for the machine's state is a sensor also where its requests press the button."""
    assert sensor(node(LED)) == "http"
    assert sensor(node(RELAY)) is None


# --- when it is pressed --------------------------------------------------------------------------------------------


def told(*history: tuple[str, float, str], **more: Any) -> Node:
    """A machine that a button switches, with that history: (phase, seconds after T0, event)."""
    entries = tuple(HistoryEntry(at=at(when), action=str(Phase(action)), by=Event[by]) for action, when, by in history)
    return structs.replace(node(RELAY), status=NodeStatus(history=entries, **more))


WOKEN = (("Off", 0, "POWER_GONE"), ("PoweringOn", 10, "WANTED"))
STOPPED = (("Ready", 0, "NODE_READY"), ("PoweringOff", 10, "EMPTY"))


@pytest.mark.parametrize(
    ("history", "withheld"),
    [
        ((), False),
        (WOKEN, True),
        (WOKEN[:1], False),
        ((*WOKEN, ("StartFailed", 500, "OVERDUE")), True),
        ((*WOKEN, ("StartFailed", 500, "OVERDUE"), ("Off", 600, "POWER_GONE")), False),
        ((("Booting", 10, "POWER_SEEN"),), True),
        ((("Unknown", 10, "COOLED_DOWN"),), False),
        (STOPPED, True),
        (STOPPED[:1], True),
    ],
)
def test_failure_49_a_button_wakes_only_what_was_told_to_be_off(history: Any, withheld: bool) -> None:
    """Pressed once, or seen on, and nothing told since that it is off: another press would switch off what is on."""
    assert bool(wake_withheld(told(*history))) is withheld
    assert wake_withheld(structs.replace(node(BMC), status=told(*history).status)) == ""


def test_failure_49_a_newer_reading_off_or_a_person_lets_a_button_be_pressed_again() -> None:
    """A reading of before the press tells nothing, nor does one of On; nor does what anybody but a person asks."""
    off, on = (PowerReading(power=power, source="pdu", at=at(11)) for power in (Reading.OFF, Reading.ON))
    pressed = told(*WOKEN)
    assert "2026-03-02T08:00:10Z" in wake_withheld(pressed)
    odd = HistoryEntry(at=datetime(1, 1, 1, tzinfo=UTC), action="PoweringOn", by="Wanted")
    assert "0001-01-01T00:00:00Z" in wake_withheld(structs.replace(pressed, status=NodeStatus(history=(odd,))))
    assert wake_withheld(pressed, off) == ""
    assert wake_withheld(pressed, on)
    assert wake_withheld(pressed, structs.replace(off, at=at(10)))
    assert wake_withheld(pressed, structs.replace(off, at=None))
    assert wake_withheld(told(*WOKEN, reading=off)) == ""
    assert wake_withheld(told(*WOKEN, woken_at=at(20)), off)
    for by, since, may in [(Asker.USER, 11, True), (Asker.USER, 10, False), (Asker.CLUSTER_AUTOSCALER, 11, False)]:
        asked = told(*WOKEN, wish=wish(ON, by, since=at(since)))
        assert (wake_withheld(asked) == "") is may
    assert wake_withheld(told(*WOKEN, wish=wish(ON, Asker.USER, since=None)))


@pytest.mark.parametrize(
    ("history", "known", "pressed"),
    [
        (STOPPED, {}, False),
        (STOPPED, {"heard": 5}, True),
        (STOPPED, {"heard": 5, "until": 11}, False),
        (STOPPED, {"reading": (Reading.ON, 5)}, True),
        (STOPPED, {"reading": (Reading.OFF, 5)}, False),
        ((*STOPPED, ("PoweringOff", 90, "EMPTY")), {"heard": 70}, False),
        ((*STOPPED, ("PoweringOff", 90, "EMPTY")), {"heard": 71}, True),
        ((*STOPPED, ("Draining", 90, "OCCUPIED")), {"reading": (Reading.ON, 70)}, False),
        ((*STOPPED, ("Draining", 90, "OCCUPIED")), {"reading": (Reading.ON, 71)}, True),
        ((), {"heard": 5}, True),
        ((), {}, False),
    ],
)
def test_failure_49_a_button_shuts_down_only_what_tells_that_it_is_on(history: Any, known: Any, pressed: bool) -> None:
    """A standing lease or a reading On; for a second press, one of at least a minute after the first."""
    now = max((float(known.get(key, 0)) for key in ("heard", "until")), default=0.0)
    found = off_withheld(told(*history), facts(max(now, 75 if history[2:] else 12), **known))
    assert (found == "") is pressed
    assert off_withheld(node(BMC), facts(12)) == ""
