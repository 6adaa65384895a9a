"""Secrets that were planted show nowhere: not in answers, logs, errors, Events, objects, arguments or the environment of Jobs,
whether things go well, or the other side is away, mad, or repeats what it was told."""

import base64
import json
import logging
import re
import socket
import stat
import threading
import traceback
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import msgspec
import pytest
import trio
from typer.testing import CliRunner

from hexa.adapters.kube_http.config import load
from hexa.adapters.kube_http.credentials import tls_context
from hexa.adapters.power.gauge import DriverGauge
from hexa.cli.app import app
from hexa.domain.errors import HexaError
from hexa.domain.policy.limits import Limits
from hexa.domain.power.jobs import pod_for
from hexa.domain.power.sensor import sensor
from hexa.domain.resources.power_spec import POWER_DRIVERS, PowerSpec
from hexa.domain.resources.v1alpha1 import Node, NodeSpec, OwnedMetadata
from hexa.wiring import _sensor
from tests.adapters.power.devices import PASSWORD, Device, serving
from tests.adapters.power.secrets import secret
from tests.adapters.test_kube_http_config import kubeconfig

PLANTED: dict[str, dict[str, str]] = {
    "bmc": {"username": "root", "password": "pl4nted-bmc-p4ss"},
    "pdu": {"community": "pl4nted-community"},
    "pdu3": {"username": "hexa", "authPassword": "pl4nted-auth-p4ss", "privacyPassword": "pl4nted-priv-p4ss"},
    "plug": {"username": "admin", "password": "pl4nted-plug-p4ss"},
    "token": {"token": "pl4nted.bearer.t0ken"},
    "ssh": {
        "ssh-privatekey": "-----BEGIN OPENSSH PRIVATE KEY-----\npl4ntedKey0fTheMachine\n-----END OPENSSH PRIVATE KEY-----",
        "known_hosts": "box ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKb5x3fJt1l0T3cXk1B2b5K0Y0m4l1dX3kqj1s9mB0aB",
    },
    "magic": {"password": "pl4nted-secure-0n"},
    "script": {"password": "pl4nted-script-p4ss"},
}
"""Secrets by name, as a person might write them; those of the last three can't work."""

SHOWN = re.compile(
    "|".join(
        re.escape(form)
        for text in (*(value for keys in PLANTED.values() for value in keys.values() if "pl4nted" in value), PASSWORD)
        for form in {text, base64.b64encode(text.encode()).decode(), text.encode().hex()}
    )
    + "|pl4nted|"
    + re.escape(base64.b64encode(b"root:pl4nted-bmc-p4ss").decode())
    + "|"
    + re.escape(base64.b64encode(b"admin:pl4nted-plug-p4ss").decode())
)
"""A planted secret, as it is or in one of the ways in which it travels."""


def specs(host: str, port: int, script: str) -> dict[str, dict[str, Any]]:
    """spec.power of each driver, with the other side there."""
    url = f"http://{host}:{port}"
    template = {"turnOn": {"path": "/on"}, "turnOff": {"path": "/off"}, "status": {"path": "/"}}
    return {
        "ipmi": {"ipmi": {"address": host, "port": port, "secretName": "bmc"}},
        "redfish": {"redfish": {"address": url, "secretName": "bmc"}},
        "redfish-tls": {"redfish": {"address": f"https://{host}:{port}", "secretName": "bmc"}},
        "pdu": {
            "pdu": {
                "address": host,
                "port": port,
                "profile": "apc-rpdu",
                "outlets": ["1"],
                "secretName": "pdu",
            }
        },
        "pdu-v3": {
            "pdu": {
                "address": host,
                "port": port,
                "profile": "apc-rpdu",
                "outlets": ["1"],
                "version": "v3",
                "secretName": "pdu3",
            }
        },
        "shelly": {"http": {"address": url, "device": "shelly", "secretName": "plug"}},
        "tasmota": {"http": {"address": url, "device": "tasmota", "secretName": "plug"}},
        "token": {"http": {"address": url, "device": "tasmota", "secretName": "token"}},
        "template": {"http": {"address": url, "device": "template", "secretName": "token", "template": template}},
        "ssh": {"ssh": {"address": host, "port": port, "secretName": "ssh"}},
        "wakeOnLan": {"wakeOnLan": {"macs": ["52:54:00:12:34:56"], "addresses": [host], "secretName": "magic"}},
        "script": {"script": {"command": [script], "secretName": "script"}},
    }


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    """The Secrets, mounted."""
    for name, keys in PLANTED.items():
        (tmp_path / name).mkdir()
        for key, value in keys.items():
            (tmp_path / name / key).write_text(value)
    return tmp_path


@pytest.fixture
def script(tmp_path: Path) -> str:
    """An executable that says on standard error what it should keep to itself."""
    file = tmp_path / "switch"
    file.write_text('#!/bin/sh\necho "login with $(cat $HEXA_SECRET/password) failed" >&2\nexit 1\n')
    file.chmod(file.stat().st_mode | stat.S_IXUSR)
    return str(file)


class Mirror(BaseHTTPRequestHandler):
    """Answers with all that it was told, in the shape in which controllers word their errors."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def _any(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        given = self.headers.get("Authorization", "")
        plain = ""
        if given.startswith("Basic "):
            plain = base64.b64decode(given.removeprefix("Basic ")).decode()
        text = json.dumps({"error": {"message": f"{given} {plain} {self.path}"}}).encode()
        self.send_response(400)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_POST = do_PUT = do_PATCH = _any  # noqa: N815


@pytest.fixture
def mirror() -> Iterator[int]:
    """Such a server, and an echo on the UDP port of the same number."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Mirror) as server, socket.socket(type=socket.SOCK_DGRAM) as echo:
        port = server.server_address[1]
        echo.bind(("127.0.0.1", port))
        echo.settimeout(0.1)
        over = threading.Event()

        def answer() -> None:
            while not over.is_set():
                try:
                    echo.sendto(*echo.recvfrom(4096))
                except OSError:
                    continue

        threads = [threading.Thread(target=work, daemon=True) for work in (server.serve_forever, answer)]
        for thread in threads:
            thread.start()
        yield port
        over.set()
        server.shutdown()
        for thread in threads:
            thread.join()


@pytest.fixture
def closed() -> int:
    """A port at which nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


def words(error: BaseException | None) -> Iterator[str]:
    """All that an error and those behind it say."""
    while error is not None:
        yield "".join(traceback.format_exception(error))
        yield repr(error)
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


NAMES = sorted(specs("", 0, ""))


def test_every_driver_that_takes_a_secret_is_tried() -> None:
    """A driver that is added has its secrets planted here too; a plugin brings its own."""
    tried = {driver for each in specs("h", 1, "s").values() for driver in each}
    assert tried == set(POWER_DRIVERS) - {"plugin"}


@pytest.mark.parametrize("other", ["mirror", "closed"])
@pytest.mark.parametrize("name", NAMES)
def test_hexa_power_tells_no_secret(
    name: str, other: str, secrets: Path, script: str, request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture
) -> None:
    """`hexa power` against a side that is away, or repeats all that it is told: no secret in what it prints, logs or raises."""
    caplog.set_level(logging.DEBUG)
    spec = specs("127.0.0.1", request.getfixturevalue(other), script)[name]
    power = secrets / "power.json"
    power.write_text(json.dumps(spec | {"hard": True}))
    failed = 0
    for action in ("status", "on", "off") if other == "mirror" else ("off",):
        arguments = ["power", action, "--secrets", secrets, "--config", power, "--machine", "box", "--json"]
        waits = ["--answer-within", "100ms", *(["--within", "200ms"] if action != "status" else [])]
        result = CliRunner().invoke(app, [*map(str, arguments), *waits])
        said = [result.output, result.stderr, *words(result.exception), caplog.text]
        assert not [text for text in said if SHOWN.search(text)]
        failed += result.exit_code not in (0, 2)
        assert result.exit_code != 2, result.stderr
    assert failed


class Vault:
    """The API server's Secrets."""

    async def read(self, namespace: str, name: str) -> dict[str, bytes] | None:
        return {key: value.encode() for key, value in PLANTED[name].items()}


@pytest.mark.parametrize("name", NAMES)
async def test_the_agents_own_sensing_and_jobs_tell_no_secret(name: str, mirror: int, script: str) -> None:
    """What the agent says of a reading that fails, which stands in conditions and logs, holds no secret; nor does the Job that it
    would make, in arguments, environment or anywhere."""
    spec = msgspec.convert(specs("127.0.0.1", mirror, script)[name] | {"hard": True}, PowerSpec)
    node = Node(metadata=OwnedMetadata(name="box", namespace="machines", uid="1"), spec=NodeSpec(power=spec))
    for direction in ("on", "off"):
        pod = pod_for(node, direction, image="hexa", limits=Limits())  # type: ignore[arg-type]
        assert not SHOWN.search(msgspec.json.encode(pod).decode())
    driver = sensor(node)
    if driver is None:
        return
    gauge = DriverGauge(_sensor, Vault(), patience=0.1)
    with pytest.raises(HexaError) as caught, trio.fail_after(20):
        await gauge.read(node, driver)
    assert not [text for text in (repr(gauge), *words(caught.value)) if SHOWN.search(text)]


def test_success_tells_no_secret_either(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A controller that takes the password, with every line of debugging on."""
    caplog.set_level(logging.DEBUG)
    secret(tmp_path, "bmc", username="admin", password=PASSWORD)
    with serving(Device("redfish")) as device:
        settings = [f"address={device.url}", "secretName=bmc"]
        for action in ("status", "on", "off"):
            arguments = ["power", action, "--json", "--secrets", str(tmp_path), "--driver", "redfish", *settings]
            result = CliRunner().invoke(app, arguments)
            assert result.exit_code == 0
            assert not SHOWN.search(result.output + result.stderr + caplog.text)
        assert device.asked


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param({"user": {"token": ["pl4nted-kube-token"]}}, id="token"),
        pytest.param({"user": {"client-key-data": "pl4nted key", "client-certificate-data": "pl4nted"}}, id="data"),
        pytest.param(
            {
                "user": {
                    name: base64.b64encode(b"pl4nted pem").decode()
                    for name in ("client-key-data", "client-certificate-data")
                }
            },
            id="pem",
        ),
        pytest.param({"user": {"username": "me", "password": {"pl4nted": 1}}}, id="password"),
        pytest.param({"cluster": {"proxy-url": "socks5://me:pl4nted@proxy"}}, id="proxy"),
        pytest.param(
            {"user": {"token": "pl4nted\nnewline"}, "cluster": {"server": "ftp://me:pl4nted@kube"}}, id="server"
        ),
    ],
)
def test_a_broken_kubeconfig_tells_no_secret(tmp_path: Path, broken: dict[str, Any]) -> None:
    """Whatever is wrong with it, the error names the field and not what stands there."""
    file = kubeconfig(tmp_path, **broken)
    said = ""
    try:
        cluster = load(str(file), environment={})
        said += repr(cluster)
        tls_context(cluster)
    except (HexaError, ValueError) as error:
        said += "".join(words(error))
    assert said
    assert not SHOWN.search(said)


@pytest.mark.parametrize(
    "text", ['token: "pl4nted', "token: pl4nted: pl4nted", "\ttoken: pl4nted", "pl4nted", "token: !pl4nted x"]
)
def test_a_kubeconfig_that_is_no_yaml_tells_no_secret(tmp_path: Path, text: str) -> None:
    """The line is named, and not repeated."""
    file = tmp_path / "config"
    file.write_text(f"users:\n- name: me\n  user:\n    {text}\n")
    with pytest.raises(HexaError) as caught:
        load(str(file), environment={})
    assert not SHOWN.search("".join(words(caught.value)))
