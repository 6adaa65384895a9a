"""What `spec.power` means: its Jobs, what the agent reads, which hardware it claims, and what is wrong with it."""

import json
import re
from typing import Any

import msgspec
import pytest

from hexa.domain.policy.limits import Limits
from hexa.domain.power.claims import claims
from hexa.domain.power.jobs import pod_for
from hexa.domain.power.problems import power_problems
from hexa.domain.power.sensor import sensor
from hexa.domain.power.ways import lacks
from hexa.domain.resources.v1alpha1 import Node, NodeSpec
from hexa.domain.words.known import image_known, unread
from hexa.domain.written.validation import machine_problems, site_problems
from hexa.yaml import read_documents

LIMITS = Limits()
WOL = {"wakeOnLan": {"macs": ["52:54:00:12:34:56"]}}
SSH = {"ssh": {"address": "box.lan", "secretName": "box-ssh"}}
IPMI = {"ipmi": {"address": "bmc.lan", "secretName": "bmc"}}
REDFISH = {"redfish": {"address": "https://bmc.lan", "secretName": "bmc", "tls": {"caSecretName": "bmc-ca"}}}
PDU = {"pdu": {"address": "pdu.lan", "profile": "apc-rpdu2", "outlets": ["7"], "secretName": "pdu"}}
PLUG = {"http": {"address": "plug.lan", "device": "shelly", "secretName": "plug"}}
SCRIPT = {"script": {"command": ["/bin/switch"], "secretName": "relay"}}
OIDS = {"state": "1.3.6.1", "onState": 1, "offState": 2, "turnOn": 1, "turnOff": 2, "watts": "1.3.6.2"}
WATTS = {"pdu": {"address": "pdu.lan", "oids": OIDS, "outlets": ["7"], "secretName": "pdu", "onWatts": 20.0}}


def node(power: dict[str, Any] | None, name: str = "box", **spec: Any) -> Node:
    """A machine of namespace machines."""
    raw = {"metadata": {"name": name, "namespace": "machines", "labels": {"group": "rack"}}, "spec": {**spec}}
    if power is not None:
        raw["spec"]["power"] = power
    return msgspec.convert(raw, Node)


def job(power: dict[str, Any], direction: Any, limits: Limits = LIMITS) -> tuple[dict[str, Any], Any]:
    """The settings that the Job carries, and its pod."""
    pod = pod_for(node(power), direction, image="hexa:1", limits=limits)
    assert pod is not None
    return json.loads(next(each.value for each in pod.env if each.name == "HEXA_POWER")), pod


# --- Jobs -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("power", "on", "off"),
    [
        (WOL | SSH, ["wakeOnLan"], ["ssh"]),
        (IPMI, ["ipmi"], ["ipmi"]),
        (WOL | SSH | IPMI, ["ipmi"], ["ipmi", "ssh"]),
        (WOL | SSH | IPMI | {"turnOn": "wakeOnLan"}, ["ipmi", "wakeOnLan"], ["ipmi", "ssh"]),
        (WOL | SSH | PDU | {"turnOn": "wakeOnLan"}, ["wakeOnLan"], ["ssh"]),
        (WOL | SSH | PDU | {"turnOn": "wakeOnLan", "hard": True}, ["wakeOnLan"], ["pdu", "ssh"]),
        (PLUG | {"hard": True}, ["http"], ["http"]),
    ],
)
def test_a_job_gets_what_its_direction_needs_and_no_more(power: dict[str, Any], on: list[str], off: list[str]) -> None:
    """Each Job carries the drivers that act or read in it, and mounts their Secrets only; the key that shuts down is not in the
    pod that wakes."""
    for direction, wanted in (("on", on), ("off", off)):
        settings, pod = job(power, direction)
        assert sorted({*settings} - {"turnOn", "turnOff", "sense", "hard", "softTimeout"}) == wanted
        named = {settings[each]["secretName"] for each in wanted if "secretName" in settings[each]}
        assert {volume.secret_name for volume in pod.volumes} == named
        assert all(volume.mount_path == f"/etc/hexa/power/{volume.secret_name}" for volume in pod.volumes)
        assert pod.args[:2] == ("power", direction)
        assert pod.image == "hexa:1"


def test_only_a_job_that_sends_magic_packets_uses_the_hosts_network() -> None:
    """A broadcast leaves from the host's network; every other Job stays in the pod's."""
    assert job(WOL | SSH, "on")[1].host_network
    assert not job(WOL | SSH, "off")[1].host_network
    assert not job(IPMI, "on")[1].host_network


def test_a_job_that_may_wake_by_another_driver_gets_both() -> None:
    """With turnOnElse the Job that wakes has both drivers, the host's network where one of them sends packets, and time for both
    within one wake interval; the one that shuts down has neither."""
    settings, pod = job(IPMI | WOL | {"turnOnElse": "wakeOnLan"}, "on")
    assert {"ipmi", "wakeOnLan"} <= settings.keys()
    assert settings["turnOnElse"] == "wakeOnLan"
    assert pod.host_network
    assert pod.args[-1] == "30s"  # a third of the wake interval of 90 s
    settings, pod = job(IPMI | WOL | {"turnOnElse": "wakeOnLan"}, "off")
    assert settings.keys().isdisjoint({"wakeOnLan", "turnOnElse"})
    assert not pod.host_network


def as_kubernetes_passes_it(value: str) -> str:
    """What a container finds in its environment: $$ is one dollar sign, and $(NAME) the value of a variable before it."""
    known = {"HEXA_MACHINE": "box"}
    return re.sub(r"\$\$|\$\((\w+)\)", lambda each: "$" if each[1] is None else known.get(each[1], each[0]), value)


@pytest.mark.parametrize(
    "text",
    [
        "sudo sh -c 'echo $$ > /run/x; poweroff'",
        "logger $(HEXA_MACHINE) goes; poweroff",
        "$(( 1 ))$$$( $HOME",
        'caf\u00e9 \u20ac \U0001f50c "quoted" \\ tab\t del\x7f nel\x85 ls\u2028',
    ],
)
def test_settings_reach_the_job_as_they_are_written(text: str) -> None:
    """A command with dollar signs, or any other text, is what `hexa power` gets in its Job, read as JSON or as YAML."""
    pod = pod_for(node({"ssh": {**SSH["ssh"], "command": text}}), "off", image="hexa:1", limits=LIMITS)
    assert pod is not None
    passed = as_kubernetes_passes_it(next(each.value for each in pod.env if each.name == "HEXA_POWER"))
    assert json.loads(passed)["ssh"]["command"] == text
    (document,) = read_documents(passed, source="HEXA_POWER")
    assert document.value["ssh"]["command"] == text


def test_certificates_to_trust_are_mounted_too() -> None:
    """A Secret with the CA of a BMC is mounted beside the one with its password."""
    assert [volume.secret_name for volume in job(REDFISH, "on")[1].volumes] == ["bmc", "bmc-ca"]


def test_a_job_ends_by_itself_before_its_deadline() -> None:
    """A wake that nobody sees ends soon enough to be repeated; an off leaves time to cut the power where that is allowed."""
    assert job(IPMI, "on")[1].args[3] == "45s"
    assert job(IPMI, "off")[1].args[3] == "280s"
    settings, pod = job(IPMI | {"hard": True}, "off")
    assert (settings["softTimeout"], pod.args[3]) == ("120s", "160s")
    settings, pod = job(IPMI | {"hard": True, "softTimeout": "1h"}, "off")
    assert (settings["softTimeout"], pod.args[3]) == ("270s", "10s")


def test_a_pod_spec_of_its_own_goes_before_power() -> None:
    """Where a machine brings its own pod for a direction, that is the Job; spec.power does the other one."""
    machine = node(WOL | SSH, startupPodSpec={"image": "mine:1"})
    pods = [pod_for(machine, direction, image="hexa:1", limits=LIMITS) for direction in ("on", "off")]
    assert [pod.image for pod in pods if pod is not None] == ["mine:1", "hexa:1"]


# --- ways -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("power", "on", "off"),
    [
        (None, "spec.startupPodSpec is absent", "spec.shutdownPodSpec is absent"),
        (WOL, "", "no driver of spec.power (wakeOnLan) turns it off; add one that does, such as ssh"),
        (SSH, "no driver of spec.power (ssh) turns it on; add one that does, such as wakeOnLan", ""),
        (WOL | SSH, "", ""),
        (PDU, "", "pdu of spec.power can only cut the power; add a driver that shuts down, such as ssh, or hard: true"),
        (PDU | {"hard": True}, "", ""),
        (WOL | {"turnOn": "ssh"}, "spec.power.turnOn: is ssh, which has no settings", "spec.power.turnOn: is ssh"),
    ],
)
def test_what_a_machine_lacks_is_said_with_the_remedy(power: dict[str, Any] | None, on: str, off: str) -> None:
    """A machine that cannot be woken, or not be put to rest, says which driver is missing."""
    for direction, wanted in (("on", on), ("off", off)):
        said = lacks(node(power), direction)  # type: ignore[arg-type]
        assert said.startswith(wanted)
        assert bool(said) == bool(wanted)


def test_an_unknown_image_is_in_the_way_of_power_alone() -> None:
    """Without hexa's own image spec.power switches nothing; a pod spec has an image of its own."""
    assert "HEXA_JOBS_IMAGE" in lacks(node(IPMI), "on", image_known=False)
    assert lacks(node(IPMI, startupPodSpec={"image": "mine:1"}), "on", image_known=False) == ""
    assert pod_for(node(IPMI), "on", image="", limits=LIMITS) is None


# --- sensing --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("power", "driver"),
    [
        (None, None),
        (WOL | SSH, None),  # silence over SSH proves nothing
        (IPMI, "ipmi"),
        (WOL | SSH | IPMI, "ipmi"),
        (WOL | SSH | PDU, None),  # its outlet stays live when the system shuts down
        (WOL | SSH | WATTS, "pdu"),
        (PDU, "pdu"),
        (SCRIPT, None),  # runs in Jobs only
        (SCRIPT | WATTS, "pdu"),
        (IPMI | WATTS | {"sense": "pdu"}, "pdu"),
        (SCRIPT | IPMI | {"sense": "script"}, None),
    ],
)
def test_the_agent_reads_what_can_tell_on_from_off(power: dict[str, Any] | None, driver: str | None) -> None:
    """The agent asks the best driver that can be asked from it and whose answer proves something, or none."""
    assert sensor(node(power)) == driver


# --- claims ---------------------------------------------------------------------------------------


def bmc(address: str) -> dict[str, Any]:
    """A BMC by IPMI."""
    return {"ipmi": {"address": address, "secretName": "x"}}


def own_requests(path: str, *, body: str = "", **more: Any) -> dict[str, Any]:
    """One of several switches behind a hub, told apart by what is asked of it."""
    off = {"path": path, "body": body, "method": "POST"}
    return {
        "http": {
            "address": "hub:8123",
            "device": "template",
            "template": {"turnOn": {"path": "/on"}, "turnOff": off},
            **more,
        }
    }


@pytest.mark.parametrize(
    ("one", "other", "shared"),
    [
        (IPMI, {"redfish": {"address": "https://BMC.lan:443"}}, "BMC bmc.lan"),
        (IPMI, {"ipmi": {"address": "bmc.lan", "port": 624, "secretName": "x"}}, None),
        ({"redfish": {"address": "b", "system": "1"}}, {"redfish": {"address": "b", "system": "/Systems/2"}}, None),
        (WOL, {"wakeOnLan": {"macs": ["5254.0012.3456"]}}, "MAC address 52:54:00:12:34:56"),
        (PDU, {"pdu": {**PDU["pdu"], "outlets": ["8"]}}, None),
        (PDU, {"pdu": {**PDU["pdu"], "address": "b.lan", "outlets": ["1", "pdu.lan/7"]}}, "outlet 7 of PDU pdu.lan"),
        (PLUG, {"http": {"address": "https://plug.lan/", "device": "shelly"}}, "outlet 0 of plug plug.lan"),
        (SSH, {"ssh": {"address": "BOX.lan.", "secretName": "x"}}, "SSH server box.lan"),
        (SCRIPT, SCRIPT, None),
        (bmc("fd00::10"), bmc("[FD00:0:0::10]"), "BMC fd00::10"),
        (bmc("fd00::10"), {"redfish": {"address": "https://[fd00:0::10]/redfish/v1/"}}, "BMC fd00::10"),
        (bmc("192.0.2.7"), bmc("::ffff:192.0.2.7"), "BMC 192.0.2.7"),
        (bmc("fe80::1%br-lan"), bmc("[fe80::1%25br-lan]"), "BMC fe80::1%br-lan"),
        (bmc("fe80::1%eth0"), bmc("fe80::1%eth1"), None),
        ({"redfish": {"address": "https://hub/a"}}, {"redfish": {"address": "https://hub/b"}}, None),
        ({"redfish": {"address": "https://hub/a"}}, {"redfish": {"address": "hub/a/redfish/v1"}}, "BMC hub/a"),
        (own_requests("/off/a"), own_requests("/off/b"), None),
        (own_requests("/off", body="a"), own_requests("/off", body="b"), None),
        (own_requests("/off/{outlet}", outlets=["1"]), own_requests("/off/{outlet}", outlets=["2"]), None),
        (own_requests("/off/a"), own_requests("/off/a"), "outlet 1 of plug hub:8123 by POST /off/a"),
        (
            {"http": {"address": "http://hub/a", "device": "tasmota"}},
            {"http": {"address": "hub/b", "device": "tasmota"}},
            None,
        ),
    ],
)
def test_the_same_hardware_is_recognised_however_it_is_written(
    one: dict[str, Any], other: dict[str, Any], shared: str | None
) -> None:
    """Two machines of one BMC, outlet, card or SSH server are found, and validate names both; others are left in peace."""
    first, second = node(one), node(other, "twin")
    assert claims(first) & claims(second) == ({shared} if shared else set())
    found = [each for each in site_problems([], [first, second]) if each.problem.reason == "DuplicatePower"]
    assert [each.subject.name for each in found] == (["box", "twin"] if shared else [])
    for each, twin in zip(found, ("twin", "box"), strict=False):
        assert each.problem.text == f"{shared} is also named by machines/{twin}"


# --- validation -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("power", "problem"),
    [
        ({}, "spec.power: names no driver; add one of wakeOnLan"),
        (
            SSH | {"wakeOnLan": {"macs": ["52:54:00:12:34"]}},
            "spec.power.wakeOnLan.macs[0]: '52:54:00:12:34' is no MAC address",
        ),
        *(
            (
                SSH | {"wakeOnLan": {"macs": [mac]}},
                f"spec.power.wakeOnLan.macs[0]: '{mac}' is the address of no network card",
            )
            for mac in ("00:00:00:00:00:00", "FF-FF-FF-FF-FF-FF", "0100.5e00.0001")
        ),
        *(
            (
                {"ipmi": {"address": address, "secretName": "s"}},
                f"spec.power.ipmi.address: '{address}' is more than a name",
            )
            for address in ("bmc.lan:623", "https://bmc.lan", "[fd00::1]:623", "admin@bmc.lan", "bmc.lan/1")
        ),
        *(
            (
                {"ipmi": {"address": address, "secretName": "s"}},
                f"spec.power.ipmi.address: '{address}' is more than a name",
            )
            for address in ("bmc 1", "{bmc", "{10.0.0.1}")
        ),
        *(
            ({"redfish": {"address": address, "secretName": "s"}}, f"spec.power.redfish.address: {says}")
            for address, says in (
                ("https://root:pl4nted@bmc.lan", "has credentials in it; put them into a Secret"),
                ("root@bmc.lan", "has credentials in it; put them into a Secret"),
                ("ftp://bmc.lan", "'ftp://bmc.lan' is no URL of the web"),
                ("bmc 1.lan", "'bmc 1.lan' is no URL of the web"),
                ("https://{bmc.lan}", "'https://{bmc.lan}' is no URL of the web"),
            )
        ),
        (IPMI | {"sense": "redfish"}, "spec.power.sense: is redfish, which has no settings"),
        (WOL | SSH | {"turnOff": "wakeOnLan"}, "spec.power.turnOff: is wakeOnLan, which can't do that; name ssh"),
        ({"ipmi": {"address": "b", "secretName": "Bad Name"}}, "spec.power.ipmi.secretName: 'Bad Name' is no name"),
        (
            {"hard": True, "pdu": {"address": "p", "outlets": ["1"], "secretName": "s"}},
            "spec.power.pdu: names neither profile nor oids",
        ),
        ({"hard": True, "http": {"address": "p", "device": "template"}}, "spec.power.http.template: is absent"),
        (IPMI | {"softTimeout": "soon"}, "spec.power.softTimeout: "),
        (IPMI | {"softTimeout": "10m"}, "spec.power.softTimeout: 10m leaves no time to cut the power"),
        (WOL, "spec.power: no driver of spec.power (wakeOnLan) turns it off: the machine is never chosen to rest"),
    ],
)
def test_what_cannot_be_used_names_field_and_remedy(power: dict[str, Any], problem: str) -> None:
    """Each mistake in spec.power is one problem that names its field."""
    found = [str(each) for each in machine_problems(node(power), None) if each.field.startswith("spec.power")]
    assert len(found) == 1
    assert found[0].startswith(problem)
    assert "; " in found[0]


def test_good_settings_have_no_problems() -> None:
    """A machine with ways on and off and something to read it is left in peace."""
    for power in (IPMI, REDFISH, WOL | SSH, WOL | SSH | WATTS, PLUG | {"hard": True}, SCRIPT):
        assert not list(power_problems(node(power), LIMITS))
        assert not [each for each in machine_problems(node(power), None) if "ower" in each.field]


def test_a_driver_that_a_pod_spec_overrides_is_told() -> None:
    """Naming a driver for a direction that has a pod spec is a warning: it would never run."""
    machine = node(WOL | SSH | {"turnOn": "wakeOnLan"}, startupPodSpec={"image": "mine:1"})
    assert [(each.field, each.severity) for each in power_problems(machine, LIMITS)] == [
        ("spec.power.turnOn", "warning")
    ]


def test_the_crd_says_what_the_type_says() -> None:
    """spec.power round-trips, and absent settings stay absent."""
    spec = msgspec.convert({"power": WOL | SSH}, NodeSpec)
    assert json.loads(msgspec.json.encode(spec))["power"] == WOL | SSH


# --- what `hexa why` makes of it --------------------------------------------------------------------


def told(kind: str, status: str, message: str) -> Node:
    """A machine of which the agent told this."""
    condition = {"type": kind, "status": status, "reason": "X", "message": message}
    return msgspec.convert({"metadata": {"name": "box"}, "status": {"conditions": [condition]}}, Node)


def test_why_tells_that_a_power_is_not_known() -> None:
    """`hexa why` has no sensors: it repeats what the agent said, with the remedy, and nothing while the power is known."""
    (problem,) = unread(
        told("PowerKnown", "Unknown", "box: ipmi at b: no answer; check its power; last read On at 8:00")
    )
    assert str(problem) == (
        "spec.power: its power is not known: box: ipmi at b: no answer; check its power; last read On at 8:00"
    )
    assert problem.severity == "warning"
    assert not list(unread(told("PowerKnown", "True", "by ipmi")))


def test_why_knows_that_the_agent_lacks_an_image() -> None:
    """Whether the agent knows its own image is read from what it told of any machine."""
    assert image_known([told("PowerOnUnavailable", "True", "no driver of spec.power (ssh) turns it on; add one")])
    assert not image_known([node(None), told("PowerOnUnavailable", "True", lacks(node(IPMI), "on", image_known=False))])


@pytest.mark.parametrize("address", ["fe80::1%br-lan", "[fe80::1%25enp3s0.100]", "fd00::10", "[fd00::10]"])
def test_an_ipv6_address_is_an_address_however_it_is_written(address: str) -> None:
    """Bare or in brackets, with the interface that a link-local one needs, whatever that is called."""
    assert not list(power_problems(node(bmc(address)), LIMITS))
