"""hexa power: arguments, answers, exit codes; and no secret anywhere."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.adapters.power.devices import PASSWORD, Device, serving
from tests.adapters.power.secrets import secret
from tests.docs.pages import ROOT, blocks_of
from typer.testing import CliRunner, Result

from hexa.cli.app import app
from hexa.cli.shared.power_settings import BadSettings, from_arguments, from_file
from hexa.domain.power.roles import Roles, roles
from hexa.domain.resources.power_spec import PowerSpec
from hexa.yaml import read_documents

WAKE = ("--driver", "wakeOnLan", "macs=52:54:00:12:34:56", "addresses=127.0.0.1", "repeat=1")


def run(*arguments: object, stdin: str = "") -> Result:
    """hexa power with these arguments."""
    return CliRunner().invoke(app, ["power", *map(str, arguments)], input=stdin)


@pytest.fixture
def bmc(tmp_path: Path) -> Iterator[Device]:
    """A controller by Redfish, and its Secret bmc."""
    secret(tmp_path, "bmc", username="admin", password=PASSWORD)
    with serving(Device("redfish")) as device:
        yield device


def redfish(device: Device, folder: Path, **more: Any) -> list[object]:
    """Arguments for it."""
    settings = {"address": device.url, "secretName": "bmc", **more}
    return [
        *("--machine", "worker-01", "--secrets", folder, "--driver", "redfish"),
        *(f"{key}={value}" for key, value in settings.items()),
    ]


def test_a_wake_is_sent_and_not_called_verified() -> None:
    """Without a sensor it is done, and said that nothing proves it."""
    result = run("on", *WAKE)
    assert result.exit_code == 0
    assert result.stdout == "turned on by wakeOnLan; nothing reads its power, so this is not verified\n"


def test_on_off_status_and_cycle(bmc: Device, tmp_path: Path) -> None:
    """Each action says what was done and what was read; --json says the same for machines."""
    arguments = redfish(bmc, tmp_path)
    assert run("on", *arguments).stdout == "worker-01: turned on by redfish; it is on\n"
    assert run("on", *arguments).stdout == "worker-01: it is on already\n"
    assert run("status", *arguments).stdout == "worker-01: on\n"
    assert json.loads(run("cycle", "--json", "--pause", "0s", *arguments).stdout) == {
        "machine": "worker-01",
        "action": "cycle",
        "power": "on",
        "verified": True,
        "steps": ["asked to shut down by redfish", "turned on by redfish"],
    }
    assert run("off", *arguments).stdout == "worker-01: asked to shut down by redfish; it is off\n"
    assert run("off", *arguments).exit_code == 0


@pytest.mark.parametrize("source", ["file", "Node", "variable", "stdin"])
def test_settings_in_the_shape_of_spec_power(
    source: str, bmc: Device, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file with spec.power, a Node that has it, or the same as a text."""
    power = {"redfish": {"address": bmc.url, "secretName": "bmc"}}
    node = {
        "apiVersion": "infra.homecluster.dev/v1alpha1",
        "kind": "Node",
        "metadata": {"name": "a"},
        "spec": {"power": power},
    }
    file = tmp_path / "power.json"
    file.write_text(json.dumps(node if source == "Node" else power))
    arguments = {"stdin": ["--config", "-"], "variable": []}.get(source, ["--config", str(file)])
    if source == "variable":
        monkeypatch.setenv("HEXA_POWER", json.dumps(power))
    result = run("status", "--secrets", tmp_path, *arguments, stdin=json.dumps(power))
    assert result.stdout == "off\n", result.stderr


def test_a_cut_needs_leave_by_flag_or_settings(tmp_path: Path) -> None:
    """An outlet is not switched off under a running machine unless --hard or hard: true says so."""
    with serving(Device("tasmota", protected=False)) as device:
        device.outlets[0] = True
        plug = ["--driver", "http", f"address={device.url}", "device=tasmota"]
        refused = run("off", *plug)
        assert refused.exit_code == 3
        assert "http can only cut the power" in refused.stderr
        assert device.outlets[0]
        assert run("off", "--hard", *plug).exit_code == 0
        assert not device.outlets[0]
        device.outlets[0] = True
        config = json.dumps({"http": {"address": device.url, "device": "tasmota"}, "hard": True})
        assert run("off", "--config", "-", stdin=config).exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["status"], "which driver? Give --config FILE, or --driver NAME"),
        (["status", "a=b"], "add --driver NAME"),
        (["status", "--driver", "impi"], "--driver impi: there is no such driver; did you mean ipmi?"),
        (["status", "--driver", "ipmi", "adress=x"], "ipmi has no setting adress; did you mean address?"),
        (["status", "--driver", "ipmi", "pl4nted"], "settings are written KEY=VALUE, and one of them has no ="),
        (["status", "--driver", "ipmi", "password=pl4nted"], "ipmi has no setting password"),
        (["status", "--driver", "ipmi", "address=x"], "ipmi.secretName: is missing; add it"),
        (["status", "--driver", "ipmi", "address=x", "secretName=y", "port=a"], "port: a whole number is wanted"),
        (["status", "--driver", "redfish", "tls=pl4nted"], "tls: has settings below it: write tls.caSecretName=VALUE"),
        (["on", *WAKE, "--within", "5"], "--within: '5' is no duration: it has no unit"),
        (["status", "--config", "/no/such"], "/no/such: No such file or directory"),
    ],
)
def test_unusable_arguments(arguments: list[str], says: str) -> None:
    """Exit code 2 and one line; values of settings that hexa does not know are not repeated."""
    result = run(*arguments)
    assert result.exit_code == 2
    assert says in result.stderr
    assert "pl4nted" not in result.output


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "<->: it is empty"),
        (
            "ipmi:\n  address: x\n  secretName: b\n  password: pl4nted\n",
            "-:4: ipmi.password: is no field that hexa knows",
        ),
        ("ipmi: [", "-:2:1: "),
        ("- a", "settings are wanted, such as wakeOnLan"),
        ("apiVersion: v1\nkind: Pod\n", "no Node in it has spec.power"),
        ("softTimeout: 5\n", '-:1: softTimeout: is the number 5; a text is wanted; write it with a unit, such as "5s"'),
    ],
)
def test_unusable_files(text: str, says: str) -> None:
    """A file is told with line, field and remedy."""
    result = run("status", "--config", "-", stdin=text)
    assert result.exit_code == 2
    assert says.replace("<->", "-") in result.stderr
    assert "pl4nted" not in result.output


def test_settings_that_no_driver_can_keep() -> None:
    """A role that its driver can't have is refused before anything is sent."""
    result = run("on", "--config", "-", stdin="wakeOnLan: {macs: ['52:54:00:12:34:56']}\nturnOff: wakeOnLan\n")
    assert result.exit_code == 3
    assert result.stderr == "hexa: turnOff: is wakeOnLan, which can't do that; add a driver that can\n"


def test_a_driver_of_another_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """A plugin that is not installed is told with what is."""
    result = run("status", "--driver", "plugin", "driver=acme", "settings.host=x")
    assert result.exit_code == 3
    assert result.stderr.startswith(
        "hexa: plugin: there is no driver acme; install the package that brings it (hexa.power)"
    )


def test_no_secret_is_ever_shown(bmc: Device, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Whatever is done and goes wrong: no output, log or request line has a word of the Secrets, and errors name the machine."""
    secret(tmp_path, "wrong", username="pl4nted-user", password="pl4nted-mistake")
    caplog.set_level("DEBUG")
    said = ""
    for more in (
        {},
        {"secretName": "wrong"},
        {"secretName": "none"},
        {"system": "nine"},
        {"address": "http://127.0.0.1:1"},
    ):
        for action in ("on", "off", "status", "cycle"):
            given = ["--json"] if action in ("off", "status") else []
            given += ["--pause", "0s"] if action == "cycle" else []
            result = run(action, *given, *redfish(bmc, tmp_path, **more))
            assert result.exit_code in (0, 1, 3)
            assert "worker-01" in result.output
            said += result.output + repr(result.exception)
    said += caplog.text + "".join(bmc.asked)
    assert PASSWORD not in said
    assert "pl4nted" not in said


def test_errors_as_json(bmc: Device, tmp_path: Path) -> None:
    """--json carries reason, message and whether another try may help; the sentence is on standard error too."""
    result = run("status", "--json", *redfish(bmc, tmp_path, system="nine"))
    assert result.exit_code == 3
    assert json.loads(result.stdout)["error"] == {
        "reason": "UnknownSystem",
        "message": f"worker-01: redfish at {bmc.url}: it has no system nine; "
        "correct system, or leave it out where there is only one",
        "retry": False,
    }
    assert result.stderr.startswith("hexa: worker-01: redfish at ")


EXAMPLES = sorted((ROOT / "examples" / "power").glob("*.yaml"))
SHOWN = {
    each.name: each.text for each in blocks_of(ROOT / "docs" / "power.md") if each.language == "yaml" and each.unchecked
}


@pytest.mark.parametrize("name", SHOWN)
def test_settings_that_the_page_shows(name: str) -> None:
    """What docs/power.md shows of settings is read, and each has somebody who can act."""
    found = roles(from_file(SHOWN[name], source=name))
    assert isinstance(found, Roles), found
    assert found.on or found.off


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.stem)
def test_power_pods_of_the_examples(file: Path) -> None:
    """Each example's pods give arguments that the command takes, for drivers that can do what the pod is for, with a file mounted
    for each Secret that they name."""
    (document,) = read_documents(file.read_text(), source=file.name)
    for name, role in (("startupPodSpec", "on"), ("shutdownPodSpec", "off")):
        pod = document.value["spec"][name]
        assert pod["command"] == ["hexa", "power", role]
        found = roles(spec_of(pod))
        assert isinstance(found, Roles), found
        assert getattr(found, role) or (found.cut and "--hard" in pod["args"])
        mounted = {each.get("secretName") for each in pod.get("volumes", ())}
        assert (
            set(re.findall(r"[sS]ecretName[:=] ?([-\w]+)", json.dumps(pod["args"]) + json.dumps(pod.get("env", []))))
            <= mounted
        )


def spec_of(pod: dict[str, Any]) -> PowerSpec:
    """What the pod's arguments and environment say."""
    arguments = pod["args"]
    if "--driver" not in arguments:
        return from_file(pod["env"][0]["value"], source="HEXA_POWER")
    return from_arguments(arguments[arguments.index("--driver") + 1], [each for each in arguments if "=" in each])


PROFILED = """\
apiVersion: infra.homecluster.dev/v1alpha1
kind: PowerProfile
metadata: {name: bmc}
spec: {power: {ipmi: {address: "{bmc}", secretName: "{machine}-bmc"}}}
---
apiVersion: infra.homecluster.dev/v1alpha1
kind: Node
metadata: {name: rack-1}
spec: {profile: bmc, parameters: {bmc: 10.0.0.7}}
"""


def test_a_node_with_its_profile_in_one_file() -> None:
    """A machine that takes its power from a PowerProfile of the same file is tried as it will be switched; what lacks is told."""
    spec = from_file(PROFILED, source="x.yaml")
    assert spec.ipmi is not None
    assert (spec.ipmi.address, spec.ipmi.secret_name) == ("10.0.0.7", "rack-1-bmc")
    with pytest.raises(BadSettings, match=r"has no bmc, which PowerProfile bmc needs"):
        from_file(PROFILED.replace("bmc: 10", "bcm: 10"), source="x.yaml")
    with pytest.raises(BadSettings, match=r"x.yaml has no PowerProfile bmc"):
        from_file(PROFILED.partition("---\n")[2], source="x.yaml")
    with pytest.raises(BadSettings, match=r"PowerProfile bmc has no spec.power"):
        from_file(
            PROFILED.replace('{power: {ipmi: {address: "{bmc}", secretName: "{machine}-bmc"}}}', "{}"), source="x.yaml"
        )
