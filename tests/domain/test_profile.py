"""PowerProfile: how it is filled into a machine, what the machine outranks, and what is said where it can't be used."""

from typing import Any

import msgspec
import pytest
from msgspec import structs
from tests.domain.builders import machine

from hexa.domain.machine.identity import fingerprint, identified, rewired
from hexa.domain.power.profile import filled_in, needs_profile
from hexa.domain.power.ways import lacks
from hexa.domain.resources.core import decode
from hexa.domain.resources.identity import Identity
from hexa.domain.resources.v1alpha1 import MACHINES, PROFILES, Node, NodeSpec, PowerProfile
from hexa.domain.written.secrets_needed import needs

BMC = {
    "power": {"ipmi": {"address": "{bmc}", "secretName": "{machine}-bmc"}},
    "timeouts": {"boot": "9m", "drain": "5m"},
}


def profile(**spec: Any) -> PowerProfile:
    """A profile in the CRD's own words."""
    found = decode(PROFILES, {"metadata": {"name": "bmc", "namespace": "site"}, "spec": spec})
    assert isinstance(found, PowerProfile)
    return found


def node(**spec: Any) -> Node:
    """A machine that names it."""
    raw = {"metadata": {"name": "rack-1", "namespace": "site"}, "spec": {"profile": "bmc", **spec}}
    found = decode(MACHINES, raw)
    assert isinstance(found, Node)
    return found


def test_parameters_are_put_into_texts() -> None:
    """{machine} is the name of the Node, the others are its parameters; Secrets are named so, and what is filled in is like any
    machine that says it by itself."""
    found = filled_in(node(parameters={"bmc": "10.0.0.7"}), profile(**BMC))
    assert found.problems == ()
    power = found.node.spec.power
    assert power is not None
    assert power.ipmi is not None
    assert (power.ipmi.address, power.ipmi.secret_name) == ("10.0.0.7", "rack-1-bmc")
    assert not needs_profile(found.node)
    assert [need.name for need in needs(found.node)] == ["rack-1-bmc"]
    by_itself = node(profile="", power={"ipmi": {"address": "10.0.0.7", "secretName": "rack-1-bmc"}})
    assert fingerprint(found.node) == fingerprint(by_itself)


def test_what_the_node_says_outranks_its_profile() -> None:
    """Driver by driver, limit by limit; a field that neither has keeps its default."""
    ssh = {"address": "rack-1.lan", "secretName": "ssh"}
    own = node(parameters={"bmc": "b"}, power={"ssh": ssh}, timeouts={"drain": "1m"}, template={"labels": {"a": "b"}})
    spec = filled_in(own, profile(**BMC, template={"capacity": {"cpu": 8}})).node.spec
    assert spec.power is not None
    assert spec.power.ipmi is not None
    assert spec.power.ssh is not None
    assert (spec.timeouts.boot, spec.timeouts.drain, spec.timeouts.lost) == ("9m", "1m", None)
    assert (spec.template.capacity, spec.template.labels) == ({"cpu": 8}, {"a": "b"})
    assert spec.kubernetes_node_name == ""


def test_pod_specs_are_taken_as_a_whole() -> None:
    """Commands take parameters too; a shell's own ${name} and the {outlet} of drivers stay as they are."""
    pod = {"image": "power:1", "command": ["sh", "-c", "on {bmc} ${HOME} {outlet} {machine}"]}
    spec = filled_in(node(parameters={"bmc": "b"}), profile(startupPodSpec=pod, shutdownPodSpec=pod)).node.spec
    assert spec.startup_pod_spec is not None
    assert spec.startup_pod_spec.command == ("sh", "-c", "on b ${HOME} {outlet} rack-1")
    mine = node(startupPodSpec={"image": "mine:1"})
    spec = filled_in(mine, profile(startupPodSpec=pod | {"command": ["x"]})).node.spec
    assert spec.startup_pod_spec is not None
    assert (spec.startup_pod_spec.image, spec.startup_pod_spec.command) == ("mine:1", ())


def test_a_name_may_have_hyphens() -> None:
    """As names in Kubernetes have; one that is left open is told."""
    power = {"ipmi": {"address": "{bmc-address}", "secretName": "bmc"}}
    found = filled_in(node(parameters={"bmc-address": "10.0.0.7"}), profile(power=power))
    assert found.problems == ()
    assert found.node.spec.power is not None
    assert found.node.spec.power.ipmi is not None
    assert found.node.spec.power.ipmi.address == "10.0.0.7"
    assert [each.reason for each in filled_in(node(), profile(power=power)).problems] == ["ProfileIncomplete"]


def test_values_are_put_in_as_they_are() -> None:
    """What stands in a value is no parameter itself."""
    spec = filled_in(node(parameters={"bmc": "{machine}{x}"}), profile(**BMC)).node.spec
    assert spec.power is not None
    assert spec.power.ipmi is not None
    assert spec.power.ipmi.address == "{machine}{x}"


def test_a_profile_that_is_not_there_is_named() -> None:
    """Object, field and remedy; the machine keeps what it says itself, and nothing switches it."""
    found = filled_in(node(), None)
    (problem,) = found.problems
    assert (problem.field, problem.reason, problem.severity) == ("spec.profile", "ProfileMissing", "warning")
    assert problem.text == "there is no PowerProfile bmc in namespace site"
    assert "create it" in problem.remedy
    assert needs_profile(found.node)
    assert lacks(found.node, "on").startswith("PowerProfile bmc can't be used")
    own = node(startupPodSpec={"image": "power:1"}, power={"ipmi": {"address": "b", "secretName": "s"}})
    assert lacks(own, "on") == ""
    assert lacks(own, "off").startswith("PowerProfile bmc can't be used")
    assert (
        filled_in(node(), None, absent="PowerProfiles can't be read").problems[0].text == "PowerProfiles can't be read"
    )


def test_a_parameter_that_is_left_open_is_named() -> None:
    """Each one, with the one that was probably meant."""
    both = profile(power={"ipmi": {"address": "{address}", "secretName": "{secret}"}})
    found = filled_in(node(parameters={"adress": "10.0.0.7"}), both)
    assert [problem.text for problem in found.problems] == [
        "has no address, which PowerProfile bmc needs (adress is there)",
        "has no secret, which PowerProfile bmc needs",
    ]
    assert {problem.field for problem in found.problems} == {"spec.parameters"}
    assert needs_profile(found.node)


def test_a_parameter_that_stands_nowhere_is_told() -> None:
    """It has no effect, and switching goes on; so of {machine}, which is always the name. A profile that is still to be filled in
    uses none."""
    given = {"bmc": "b", "bmcc": "c", "machine": "other", "outlet": "3"}
    found = filled_in(node(parameters=given), profile(**BMC))
    assert [problem.field for problem in found.problems] == [
        "spec.parameters.bmcc",
        "spec.parameters.machine",
        "spec.parameters.outlet",
    ]
    assert found.problems[0].remedy == "did you mean bmc?"
    assert not needs_profile(found.node)
    assert found.node.spec.power is not None
    assert found.node.spec.power.ipmi is not None
    assert found.node.spec.power.ipmi.secret_name == "rack-1-bmc"
    assert filled_in(node(parameters=given), profile()).problems == ()


def test_a_machine_without_a_profile_is_the_very_same() -> None:
    """Nobody who names none pays for it."""
    own = machine()
    assert filled_in(own, None).node is own


def test_while_its_profile_is_away_nobody_says_that_the_power_changed() -> None:
    """A wake proof stands while the profile is not there, and counts on when it is back; another address voids it."""
    known = filled_in(node(parameters={"bmc": "b"}), profile(**BMC)).node
    status = structs.replace(known.status, identity=Identity(power=fingerprint(known)))
    away = structs.replace(filled_in(node(parameters={"bmc": "b"}), None).node, status=status)
    assert not rewired(away)
    assert identified(status, away).identity.power == fingerprint(known)
    assert identified(away.status, structs.replace(away, status=known.status)).identity.power == fingerprint(known)
    assert not rewired(structs.replace(known, status=status))
    other = filled_in(node(parameters={"bmc": "c"}), profile(**BMC)).node
    assert rewired(structs.replace(other, status=status))
    fresh = filled_in(node(), None).node
    assert identified(fresh.status, fresh).identity.power == ""


@pytest.mark.parametrize("value", ["{", "}{", "\\1", "{bmc}", "a" * 1024, "\U0001f4a1", "%25", "\n"])
def test_odd_values_are_borne(value: str) -> None:
    """Whatever stands in a parameter or around it, filling in raises nothing and changes nothing else."""
    odd = profile(
        power={
            "script": {"command": [value, "{bmc}", value]},
            "plugin": {"driver": "x", "settings": {"a": [1, {"b": value}]}},
        }
    )
    found = filled_in(node(parameters={"bmc": value}), odd).node
    assert found.spec.power is not None
    assert found.spec.power.script is not None
    assert found.spec.power.script.command[1] == value
    assert msgspec.to_builtins(structs.replace(found.spec, power=None)) == msgspec.to_builtins(NodeSpec())
