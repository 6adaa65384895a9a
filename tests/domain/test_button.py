"""Who presses a power button, and what is said of it in advance."""

from typing import Any

import msgspec
import pytest

from hexa.domain.machine.button import button_problems, presses, presses_blindly
from hexa.domain.power.roles import Roles, roles
from hexa.domain.power.sensor import sensor
from hexa.domain.resources.v1alpha1 import Node
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
