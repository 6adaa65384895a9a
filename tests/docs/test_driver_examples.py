"""Each driver has an example in `spec.power`, whose Jobs have what they need; the script that is shown really drives a relay."""

import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest
from tests.docs.pages import ROOT

from hexa.adapters.power.context import Context, MountedSecrets
from hexa.adapters.power.script import open_power
from hexa.domain.errors import Unavailable
from hexa.domain.policy.limits import Limits
from hexa.domain.policy.problem import Problem
from hexa.domain.power.jobs import pod_for, secret_names
from hexa.domain.power.problems import power_problems
from hexa.domain.power.roles import drivers, roles
from hexa.domain.power.ways import own_pod
from hexa.domain.resources.power_spec import DriverName, Http
from hexa.domain.resources.v1alpha1 import Node, Reading
from hexa.yaml import read_documents

FILES = sorted((ROOT / "examples" / "spec-power").glob("*.yaml"))


def documents(file: Path) -> list[dict[str, Any]]:
    """What stands in the file."""
    return [document.value for document in read_documents(file.read_text(), source=file.name)]


def machine(file: Path) -> Node:
    """The Node of the file."""
    return msgspec.convert(next(each for each in documents(file) if each["kind"] == "Node"), Node)


def test_each_driver_has_an_example() -> None:
    """A reader finds each driver, and each device of the driver http, in examples/spec-power."""
    specs = [spec for file in FILES if (spec := machine(file).spec.power) is not None]
    assert {name for spec in specs for name in drivers(spec)} == set(get_args(DriverName))
    devices = {spec.http.device for spec in specs if spec.http is not None}
    assert devices == set(get_args(Http.__annotations__["device"].__args__[0]))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_jobs_of_an_example(file: Path) -> None:
    """Nothing is wrong with its settings, both directions have a Job, and its comment names each Secret that a Job mounts."""
    node = machine(file)
    assert node.spec.power is not None
    assert not isinstance(roles(node.spec.power), Problem)
    assert not list(power_problems(node, Limits()))
    for direction in ("on", "off"):
        pod = pod_for(node, direction, image="hexa:1", limits=Limits())  # type: ignore[arg-type]
        assert pod is not None, direction
        assert own_pod(node, direction) is not None or pod.args[:2] == ("power", direction)  # type: ignore[arg-type]
    text = file.read_text()
    comment, made = text.partition("apiVersion")[0], [each for each in documents(file) if each["kind"] == "Secret"]
    for name in secret_names(node.spec.power):
        assert name in comment or any(each["metadata"]["name"] == name for each in made), name


class Relay:
    """A relay card that speaks lines of text over TCP."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.state = "off"
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                line, _ = self._listener.accept()
            except OSError:
                return
            with line:
                said = line.recv(100).decode().strip()
                self.heard.append(said)
                self.state = {"press 4 short": "on", "press 4 long": "off"}.get(said, self.state)
                line.sendall(f"{self.state}\n".encode())

    def close(self) -> None:
        """It is unplugged."""
        self._listener.close()


@pytest.fixture
def relay() -> Iterator[Relay]:
    """A card."""
    card = Relay()
    yield card
    card.close()


async def test_the_script_that_is_shown_drives_a_relay(relay: Relay, tmp_path: Path) -> None:
    """With its Secret mounted, and without an executable bit: on, off and status; a card that is gone may come back by itself."""
    file = ROOT / "examples" / "spec-power" / "script.yaml"
    secret = next(each for each in documents(file) if each["kind"] == "Secret")
    folder = tmp_path / secret["metadata"]["name"]
    folder.mkdir()
    for key, value in {**secret["stringData"], "address": relay.address}.items():
        (folder / key).write_text(value)
    spec = machine(file).spec.power
    assert spec is not None
    assert spec.script is not None
    interpreter, path, *more = spec.script.command
    assert (interpreter, Path(path).parent) == ("python3", Path("/etc/hexa/power") / folder.name)
    script = msgspec.structs.replace(spec.script, command=(sys.executable, str(folder / Path(path).name), *more))
    context = Context(machine="worker-10", secrets=MountedSecrets(tmp_path))
    async with open_power(script, context) as power:
        assert await power.sense() is Reading.OFF
        await power.turn_on()
        assert await power.sense() is Reading.ON
        await power.turn_off()
        assert relay.heard == ["get 4", "press 4 short", "get 4", "press 4 long"]
        (folder / "address").write_text("127.0.0.1:1")
        with pytest.raises(Unavailable, match=r"worker-10: script at .*ConnectionRefusedError"):
            await power.turn_on()
