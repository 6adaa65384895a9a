"""Which of a machine's drivers does what."""

import pytest

from hexa.domain.policy.problem import Problem
from hexa.domain.power.roles import Roles, roles
from hexa.domain.resources.power_spec import (
    Http,
    HttpRequest,
    HttpTemplate,
    Ipmi,
    Pdu,
    PowerSpec,
    Script,
    Ssh,
    WakeOnLan,
)

WOL = WakeOnLan(macs=("52:54:00:12:34:56",))
SSH = Ssh(address="worker-01", secret_name="ssh")
IPMI = Ipmi(address="bmc", secret_name="bmc")
PDU = Pdu(address="pdu", profile="apc-rpdu", outlets=("1",), secret_name="pdu")
PLUG = Http(address="plug", device="shelly")


def shown(spec: PowerSpec) -> str:
    """on, off, cut and sense in one line."""
    found = roles(spec)
    assert isinstance(found, Roles), found
    return " ".join(str(each or "-") for each in (found.on, found.off, found.cut, found.sense))


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (PowerSpec(wake_on_lan=WOL), "wakeOnLan - - -"),
        (PowerSpec(wake_on_lan=WOL, ssh=SSH), "wakeOnLan ssh - ssh"),
        (PowerSpec(ipmi=IPMI), "ipmi ipmi ipmi ipmi"),
        (PowerSpec(ipmi=IPMI, ssh=SSH), "ipmi ssh ipmi ipmi"),
        (PowerSpec(ipmi=IPMI, wake_on_lan=WOL, turn_on="wakeOnLan"), "wakeOnLan ipmi ipmi ipmi"),
        (PowerSpec(pdu=PDU), "pdu - pdu pdu"),
        (PowerSpec(http=PLUG), "http - http http"),
    ],
)
def test_each_driver_does_what_it_does_best(spec: PowerSpec, expected: str) -> None:
    """A BMC before a packet for on, SSH before a BMC for an orderly off, a BMC before an outlet for reading."""
    assert shown(spec) == expected


def test_another_driver_stands_in_where_it_is_named() -> None:
    """turnOnElse has no default; it must be a driver that turns on, and another than the first."""
    both = PowerSpec(ipmi=IPMI, wake_on_lan=WOL)
    plain, named = roles(both), roles(PowerSpec(ipmi=IPMI, wake_on_lan=WOL, turn_on_else="wakeOnLan"))
    assert isinstance(plain, Roles)
    assert isinstance(named, Roles)
    assert (plain.on_else, named.on_else) == (None, "wakeOnLan")
    assert set(named.names) == {"ipmi", "wakeOnLan"}
    for wrong, says in (("ipmi", "is ipmi, which is the first one"), ("ssh", "is ssh, which has no settings")):
        found = roles(PowerSpec(ipmi=IPMI, wake_on_lan=WOL, turn_on_else=wrong))  # type: ignore[arg-type]
        assert isinstance(found, Problem)
        assert found.field == "turnOnElse"
        assert says in found.text


def test_an_outlet_tells_nothing_of_a_machine_that_shuts_down() -> None:
    """Beside SSH a live outlet proves nothing, so it is not the sensor; with a figure of watts it is."""
    assert shown(PowerSpec(pdu=PDU, ssh=SSH)) == "pdu ssh pdu ssh"
    measured = Http(address="plug", device="shelly", on_watts=8.0)
    assert shown(PowerSpec(http=measured, ssh=SSH)) == "http ssh http http"


def test_an_outlet_that_is_named_for_off_cuts() -> None:
    """turnOff: pdu takes the outlet although SSH could ask first; it is then a cut, which needs hard."""
    assert shown(PowerSpec(pdu=PDU, ssh=SSH, turn_off="pdu")) == "pdu - pdu pdu"


def test_a_script_does_what_it_says_it_can() -> None:
    """`can` decides for an executable, and a template without status reads nothing."""
    assert shown(PowerSpec(script=Script(command=("x",), can=("on", "cut")))) == "script - script -"
    request = HttpRequest(path="/")
    plug = Http(address="x", device="template", template=HttpTemplate(turn_on=request, turn_off=request))
    assert shown(PowerSpec(http=plug)) == "http - http -"


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        (PowerSpec(), "power: names no driver; add one of wakeOnLan, ipmi"),
        (
            PowerSpec(wake_on_lan=WOL, turn_off="wakeOnLan"),
            "turnOff: is wakeOnLan, which can't do that; add a driver that can",
        ),
        (PowerSpec(ssh=SSH, turn_on="ipmi"), "turnOn: is ipmi, which has no settings; add a driver that can"),
        (
            PowerSpec(ssh=SSH, ipmi=IPMI, turn_on="ssh"),
            "turnOn: is ssh, which can't do that; name ipmi, or add another",
        ),
    ],
)
def test_what_cannot_be_is_told_with_field_and_remedy(spec: PowerSpec, says: str) -> None:
    """A driver that can't do what a field asks of it is a problem of that field."""
    problem = roles(spec)
    assert isinstance(problem, Problem)
    assert says in str(problem)
