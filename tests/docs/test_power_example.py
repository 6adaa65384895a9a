"""The example that stands for the power of containers, with a docker of ours on PATH."""

import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.docs.pages import ROOT

DOCKER = """#!/bin/sh
echo "$@" >>"$LOG"
[ "$1" = container ] && echo true
exit 0
"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """power.py on a free port; what it asks of docker is in the log."""
    docker, log = tmp_path / "docker", tmp_path / "log"
    docker.write_text(DOCKER)
    docker.chmod(0o755)
    log.touch()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, str(ROOT / "examples/containers/power.py"), f"127.0.0.1:{port}", "hexa-worker"]
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", "LOG": str(log)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout
        assert "switching" in process.stdout.readline()
        yield f"http://127.0.0.1:{port}", log
        process.kill()


def test_power_is_switched_and_told(server: tuple[str, Path]) -> None:
    """on and off start and stop the container; a question changes nothing."""
    url, log = server
    for request in ("on/hexa-worker2", "off/hexa-worker2"):
        assert urllib.request.urlopen(f"{url}/{request}", data=b"").status == 200
    assert urllib.request.urlopen(f"{url}/hexa-worker2").read() == b"on\n"
    asked = log.read_text().splitlines()
    assert asked[:2] == ["start hexa-worker2", "stop --time=20 hexa-worker2"]
    assert asked[2].startswith("container inspect")


@pytest.mark.parametrize("path", ["on/database", "off/", "remove/hexa-worker"])
def test_nothing_else_is_switched(server: tuple[str, Path], path: str) -> None:
    """Other containers, and other actions, are refused."""
    url, log = server
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"{url}/{path}", data=b"")
    refused.value.close()
    assert refused.value.code == 404
    assert not log.read_text()
