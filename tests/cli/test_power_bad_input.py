"""Bad input to `hexa power`: exit code, and one sentence with machine, driver, address and remedy, also in the condition."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.adapters.power.devices import PASSWORD, Device, serving
from tests.adapters.power.secrets import secret
from tests.adapters.power.test_http import closed_port
from tests.adapters.power.test_ipmi import PASSWORD as IPMI_PASSWORD
from tests.adapters.power.test_ipmi import bmc as ipmi_bmc
from typer.testing import CliRunner

from hexa.adapters.kube_jobs.wire import pod_text
from hexa.cli.app import app
from hexa.domain.decide.conditions import findings_of
from hexa.domain.resources.core import Pod
from hexa.domain.resources.v1alpha1 import JobRecord, NodeStatus

MACHINE = "worker-01"
MISTAKE = "pl4nted-mistake"


@dataclass
class Rig:
    """The other sides, opened as a case needs them."""

    folder: Path
    stack: ExitStack = field(default_factory=ExitStack)

    def device(self, kind: str, **more: Any) -> str:
        """A device that answers; its URL."""
        tls = {"tls": more.pop("tls")} if "tls" in more else {}
        return self.stack.enter_context(serving(Device(kind, **more), **tls)).url

    def ipmi(self) -> str:
        """A BMC by IPMI; its port."""
        return str(self.stack.enter_context(ipmi_bmc()))

    def silent(self) -> str:
        """A port that takes datagrams and says nothing."""
        quiet = self.stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        quiet.bind(("127.0.0.1", 0))
        return str(quiet.getsockname()[1])

    def ssh(self, says: str) -> None:
        """An SSH client that says so and gives up, as OpenSSH does."""
        client = self.folder / "bin" / "ssh"
        client.parent.mkdir()
        client.write_text(f"#!/bin/sh\necho '{says}' >&2\nexit 255\n")
        client.chmod(0o755)


@pytest.fixture
def rig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rig]:
    """Secrets of each kind, right and wrong."""
    secret(tmp_path, "good", username="admin", password=PASSWORD, community="pl4nted", token="")
    secret(tmp_path, "bad", username="admin", password=MISTAKE)
    secret(tmp_path, "ssh", **{"ssh-privatekey": MISTAKE})
    (tmp_path / "ssh" / "known_hosts").write_text("worker-01 ssh-ed25519 AAAA\n")
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:/usr/bin:/bin")
    rig = Rig(tmp_path)
    with rig.stack:
        yield rig


Case = tuple[str, list[str], int, str, str, str]
"""Action, settings, exit code, driver and address, what is wrong, remedy."""


def credentials_redfish(rig: Rig) -> Case:
    """A BMC that does not know the password."""
    url = rig.device("redfish")
    given = ["redfish", f"address={url}", "secretName=bad"]
    return "on", given, 3, f"redfish at {url}", "the user or the password is wrong", "correct the Secret"


def credentials_plug(rig: Rig) -> Case:
    """A plug that asks by Digest, and does not know the password."""
    url = rig.device("shelly_2")
    given = ["http", f"address={url}", "device=shelly", "secretName=bad"]
    return "on", given, 3, f"http at {url}", "the user or the password is wrong", "correct the Secret"


def credentials_ipmi(rig: Rig) -> Case:
    """The same by IPMI."""
    port = rig.ipmi()
    given = ["ipmi", "address=127.0.0.1", f"port={port}", "secretName=bad"]
    return (
        "on",
        given,
        3,
        f"ipmi at 127.0.0.1:{port}",
        "the password is wrong",
        "correct the keys username and password",
    )


def credentials_ssh(rig: Rig) -> Case:
    """A machine that does not know the key."""
    rig.ssh("root@worker-01.lan: Permission denied (publickey).")
    given = ["ssh", "address=worker-01.lan", "secretName=ssh"]
    return "off", given, 3, "ssh at worker-01.lan", "it does not take the key for this user", "put the public key there"


def community_pdu(rig: Rig) -> Case:
    """A PDU answers a wrong community with silence."""
    port = rig.silent()
    given = ["pdu", "address=127.0.0.1", f"port={port}", "profile=apc-rpdu", "outlets=7", "secretName=good"]
    return "on", given, 1, "pdu at 127.0.0.1", "no answer within 0.3 s", "a wrong community"


def missing_secret(rig: Rig) -> Case:
    """A Secret that is not mounted."""
    given = ["ipmi", "address=127.0.0.1", "secretName=none"]
    return "on", given, 3, "ipmi at 127.0.0.1", "the key username of Secret none is missing", "put it at"


def unreachable_redfish(rig: Rig) -> Case:
    """Nobody listens."""
    url = f"https://127.0.0.1:{closed_port()}"
    return "on", ["redfish", f"address={url}"], 1, f"redfish at {url}", "no connection to it", "check its address"


def unreachable_ipmi(rig: Rig) -> Case:
    """Nobody listens, and the network says so."""
    port = closed_port()
    given = ["ipmi", "address=127.0.0.1", f"port={port}", "secretName=good"]
    return "on", given, 1, f"ipmi at 127.0.0.1:{port}", "nothing listens there", "check its address"


def silent_ipmi(rig: Rig) -> Case:
    """Nobody answers."""
    port = rig.silent()
    given = ["ipmi", "address=127.0.0.1", f"port={port}", "secretName=good"]
    return "on", given, 1, f"ipmi at 127.0.0.1:{port}", "no answer within 0.3 s", "check its address"


def unreachable_ssh(rig: Rig) -> Case:
    """There is no way there."""
    rig.ssh("ssh: connect to host worker-01.lan port 22: No route to host")
    given = ["ssh", "address=worker-01.lan", "secretName=ssh"]
    return "off", given, 1, "ssh at worker-01.lan", "there is no route to it", "check its address"


def unknown_certificate(rig: Rig) -> Case:
    """A certificate of its own."""
    url = rig.device("redfish", tls=True)
    given = ["redfish", f"address={url}", "secretName=good"]
    return (
        "on",
        given,
        3,
        f"redfish at {url}",
        "its certificate is not taken",
        "put its certificate into the key ca.crt",
    )


def no_tls(rig: Rig) -> Case:
    """Plain HTTP where TLS is expected."""
    url = rig.device("redfish").replace("http:", "https:")
    given = ["redfish", f"address={url}", "secretName=good"]
    return "on", given, 3, f"redfish at {url}", "there is no TLS connection to it", "may have to begin with http://"


def unknown_outlet(rig: Rig) -> Case:
    """A plug with fewer outlets."""
    url = rig.device("tasmota", protected=False)
    given = ["http", f"address={url}", "device=tasmota", "outlets=7"]
    return "on", given, 3, f"http at {url}", "it has no outlet 7", "correct outlets"


def unknown_system(rig: Rig) -> Case:
    """A BMC without that system."""
    url = rig.device("redfish")
    given = ["redfish", f"address={url}", "secretName=good", "system=nine"]
    return "on", given, 3, f"redfish at {url}", "it has no system nine", "correct system"


def host_key(rig: Rig) -> Case:
    """Another host key than the pinned one."""
    rig.ssh("Host key verification failed.")
    given = ["ssh", "address=worker-01.lan", "secretName=ssh"]
    return (
        "off",
        given,
        3,
        "ssh at worker-01.lan",
        "its host key is another than the pinned one",
        "compare the key known_hosts",
    )


def malformed_mac(rig: Rig) -> Case:
    """A letter that is no digit."""
    given = ["wakeOnLan", "macs=52:54:0g:12:34:56"]
    return "on", given, 3, "wakeOnLan at 52:54:0g:12:34:56", "is no MAC address", "write six bytes"


def malformed_address(rig: Rig) -> Case:
    """An address without a host."""
    given = ["redfish", "address=https://", "secretName=good"]
    return "on", given, 3, "redfish at https://", "its address is no URL", "write it like"


CASES = [
    credentials_redfish,
    credentials_plug,
    credentials_ipmi,
    credentials_ssh,
    community_pdu,
    missing_secret,
    unreachable_redfish,
    unreachable_ipmi,
    silent_ipmi,
    unreachable_ssh,
    unknown_certificate,
    no_tls,
    unknown_outlet,
    unknown_system,
    host_key,
    malformed_mac,
    malformed_address,
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_one_sentence_from_the_device_to_the_condition(case: Any, rig: Rig) -> None:
    """What a Job's pod says last is what the Node's condition says: machine, driver, address, what is wrong, and what to do."""
    action, settings, code, where, what, remedy = case(rig)
    command = ["power", action, "--driver", *settings, "--machine", MACHINE, "--secrets", str(rig.folder)]
    result = CliRunner().invoke(app, [*command, "--answer-within", "300ms"])
    assert result.exit_code == code, result.output
    (line,) = result.output.splitlines()
    sentence = line.removeprefix("hexa: ")
    assert sentence.startswith(f"{MACHINE}: {where}")
    assert what in sentence
    assert remedy in sentence.partition("; ")[2]
    told = condition(code, result.output)
    assert sentence in told
    for planted in (PASSWORD, IPMI_PASSWORD, MISTAKE, "pl4nted"):
        assert planted not in told


def condition(code: int, log: str) -> str:
    """The message of PowerJobFailed, after the kubelet has taken the end of the pod's log as its termination message."""
    ended = {"exitCode": code, "reason": "Error", "message": log}
    pod = msgspec.convert({"status": {"containerStatuses": [{"name": "power", "state": {"terminated": ended}}]}}, Pod)
    record = JobRecord(name="job", action="startup", attempt=1, outcome="failed", message=pod_text([pod]))
    status = NodeStatus(phase="PoweringOn", attempt=1, job=record)
    found = findings_of(status, wish=None, problems=(), off_vetoes=(), on_vetoes=(), manager="")
    return next(finding.message for finding in found if finding.type == "PowerJobFailed")


def test_a_long_sentence_is_not_cut(rig: Rig) -> None:
    """Names as long as DNS has them: the machine still stands at its beginning, and the remedy at its end."""
    name, host = "worker-" + "a" * 56, "bmc." + "b" * 60 + ".home.example"
    given = ["ssh", f"address={host}", "secretName=ssh"]
    rig.ssh("Host key verification failed.")
    command = ["power", "off", "--driver", *given, "--machine", name, "--secrets", str(rig.folder)]
    result = CliRunner().invoke(app, command)
    told = condition(result.exit_code, result.output)
    assert f"{name}: ssh at {host}: " in told
    assert told.endswith("only if the machine was installed anew")
