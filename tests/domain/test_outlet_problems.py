"""What of the settings of PDUs and plugs is told before they are asked."""

from typing import Any

import msgspec
import pytest

from hexa.domain.power.outlet_problems import outlet_problems
from hexa.domain.resources.power_spec import PowerSpec

PLUG = {"address": "plug.lan", "device": "tasmota"}
OIDS = {"state": "1.3.6", "onState": 1, "offState": 0, "turnOn": 1, "turnOff": 0}
PDU = {"address": "pdu.lan", "profile": "apc-rpdu2", "outlets": ["7"], "secretName": "pdu"}


def template(**status: Any) -> dict[str, Any]:
    """A template with this status."""
    requests = {"turnOn": {"path": "/on"}, "turnOff": {"path": "/off"}, "status": {"path": "/", **status}}
    return {"http": {"address": "relay.lan", "device": "template", "template": requests}}


def pdu(**oids: Any) -> dict[str, Any]:
    """A PDU with these OIDs."""
    return {"pdu": {"address": "pdu.lan", "outlets": ["1"], "secretName": "pdu", "oids": {**OIDS, **oids}}}


@pytest.mark.parametrize(
    ("power", "reason", "field"),
    [
        ({"http": {**PLUG, "onPattern": "("}}, "BadPattern", "spec.power.http.onPattern"),
        (template(offPattern="[z-a]"), "BadPattern", "spec.power.http.template.status.offPattern"),
        (template(onPattern=".*", offPattern=".*"), "BadPattern", "spec.power.http.template.status.onPattern"),
        ({"http": {**PLUG, "device": "shelly", "outlets": ["0", "²"]}}, "UnknownOutlet", "spec.power.http.outlets[1]"),
        (
            {"http": {**PLUG, "device": "tasmota", "outlets": ["b.lan/left"]}},
            "UnknownOutlet",
            "spec.power.http.outlets[0]",
        ),
        (template(maxAge="soon", readAt="at"), "BadDuration", "spec.power.http.template.status.maxAge"),
        (template(maxAge="0s", readAt="at"), "BadDuration", "spec.power.http.template.status.maxAge"),
        (template(maxAge="2m"), "NoTime", "spec.power.http.template.status.maxAge"),
        ({"http": {**PLUG, "device": "shelly", "login": "query"}}, "BadSettings", "spec.power.http.login"),
        ({"pdu": {**PDU, "outlets": ["7", "b.lan/A1"]}}, "UnknownOutlet", "spec.power.pdu.outlets[1]"),
        ({"pdu": {**PDU, "onWatts": 15}}, "BadSettings", "spec.power.pdu.onWatts"),
        (pdu(onState="On", offState="on"), "BadSettings", "spec.power.pdu.oids.onState"),
        (pdu(state="enterprises.318"), "BadOid", "spec.power.pdu.oids.state"),
        (pdu(controlOff="1..3"), "BadOid", "spec.power.pdu.oids.controlOff"),
        (pdu(separator=",", state="1.3.6.{outlet}"), "BadSettings", "spec.power.pdu.oids.state"),
    ],
)
def test_what_cannot_be_used_is_named(power: dict[str, Any], reason: str, field: str) -> None:
    """Each with its field and a remedy."""
    found = list(outlet_problems(msgspec.convert(power, PowerSpec)))
    assert [(each.reason, each.field) for each in found] == [(reason, field)]
    assert found[0].remedy


@pytest.mark.parametrize(
    "power",
    [
        {"http": PLUG},
        {"http": {**PLUG, "device": "shelly", "outlets": ["b.lan/1", "{outlet}"]}},
        template(readAt="at", maxAge="5m"),
        pdu(),
        pdu(separator=","),
        {"pdu": {**PDU, "outlets": ["1.7", "{outlet}", "pdu-b.lan/8"]}},
        {"pdu": {**PDU, "profile": None, "outlets": [".0", "b.lan/.1"], "oids": {**OIDS, "state": "1.3.6{outlet}"}}},
    ],
)
def test_what_can_be_used_is_left_alone(power: dict[str, Any]) -> None:
    """No word about settings that are right."""
    assert not list(outlet_problems(msgspec.convert(power, PowerSpec)))
