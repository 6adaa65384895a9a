"""`hexa power test` against a real control plane, real kubelets and the agent as a process of its own."""

import json
import subprocess
import sys
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import lab as labs
import pytest
import trio
from agent import API, Agent, group, in_phase, machine, open_agent
from lab import Api, Machine, Machines, eventually

Hexa = Callable[..., Awaitable["subprocess.CompletedProcess[bytes]"]]


@pytest.fixture
def hexa(lab: labs.Lab, namespace: str) -> Hexa:
    """Runs `hexa power test` as a person's own process."""

    async def run(*arguments: str) -> "subprocess.CompletedProcess[bytes]":
        where = [f"--kubeconfig={lab.control_plane.kubeconfig()}", f"--namespace={namespace}"]
        command = [sys.executable, "-m", "hexa", "power", "test", *arguments, *where]
        return await trio.run_process(command, capture_stdout=True, capture_stderr=True, check=False)

    return run


@pytest.fixture
async def agent(lab: labs.Lab, namespace: str, kubectl: Callable[..., str], tmp_path: Path) -> Any:
    """The agent on the test's namespace."""
    kubectl("apply", "-f", str(Path(__file__).parents[2] / "deploy" / "crds"))
    for kind in ("groups", "nodes"):
        kubectl("wait", "--for=condition=Established", "--timeout=30s", "crd", f"{kind}.infra.homecluster.dev")
    async with open_agent(lab.control_plane.kubeconfig(), namespace, tmp_path) as agent:
        yield agent


async def declared(api: Api, namespace: str, machines: Machines, **timeouts: str) -> Machine:
    """A machine that boots in 2 s and is known to be off."""
    box = machines.add(boot_delay=2.0)
    await api.create(group(namespace, retries={"wakeInterval": "30s"}))
    await api.create(machine(namespace, box, timeouts=timeouts))
    await eventually(partial(in_phase, api, namespace, "Off", [box.name]), within=20)
    return box


async def spec_of(api: Api, namespace: str, name: str) -> dict[str, Any]:
    """The machine's spec."""
    spec: dict[str, Any] = (await api.read(f"{API}/nodes", name, namespace=namespace))["spec"]
    return spec


async def test_a_machine_passes_and_is_left_as_it_was_found(
    api: Api, namespace: str, machines: Machines, agent: Agent, hexa: Hexa
) -> None:
    """Off and on, by real Jobs, packets and kubelets: first one that is off, then the same while it is on; its wake is proven."""
    box = await declared(api, namespace, machines)
    result = await hexa(box.name, "--yes", "--rest", "5s")
    assert result.returncode == 0, (result.stdout, result.stderr, agent.words())
    lines = result.stdout.decode().splitlines()
    assert [line.split()[0] for line in lines if " ok" in line] == ["on", "drain", "off", "stay"]
    assert f"PASS {namespace}/{box.name}" in result.stdout.decode()
    assert (box.power, len(box.seen.starts)) == ("off", 1)
    status = (await api.read(f"{API}/nodes", box.name, namespace=namespace))["status"]
    assert status["wakeProvenAt"]
    assert "hold" not in await spec_of(api, namespace, box.name)

    await api.patch(f"{API}/nodes", box.name, {"spec": {"powerState": "on"}}, namespace=namespace)
    await eventually(partial(in_phase, api, namespace, "Ready", [box.name]), within=40)
    result = await hexa(box.name, "--yes", "--rest", "5s", "--json")
    assert result.returncode == 0, (result.stdout, result.stderr, agent.words())
    told = json.loads(result.stdout)
    assert (told["found"], told["verdict"]) == ("on", "pass")
    assert [step["step"] for step in told["steps"]] == ["drain", "off", "stay off", "on"]
    assert (box.power, len(box.seen.starts)) == ("on", 3)
    assert "hold" not in await spec_of(api, namespace, box.name)


async def test_a_shutdown_that_is_not_followed_fails_and_the_machine_stays_held(
    api: Api, namespace: str, machines: Machines, agent: Agent, hexa: Hexa
) -> None:
    """The controller takes the request and does nothing: exit code 4, and the machine serves on, held on with the reason."""
    box = await declared(api, namespace, machines, powerOff="30s")
    await api.patch(f"{API}/nodes", box.name, {"spec": {"powerState": "on"}}, namespace=namespace)
    await eventually(partial(in_phase, api, namespace, "Ready", [box.name]), within=40)
    box.faults.lost_offs = 9
    result = await hexa(box.name, "--yes", "--rest", "5s")
    assert result.returncode == 4, (result.stdout, result.stderr, agent.words())
    assert "FAIL" in result.stdout.decode()
    assert f"to give it back: hexa auto {namespace}/{box.name}" in result.stdout.decode()
    hold = (await spec_of(api, namespace, box.name))["hold"]
    assert hold["power"] == "on"
    assert "until" not in hold
    assert hold["reason"].startswith("hexa power test failed: its shutdown Job")
    await eventually(partial(in_phase, api, namespace, "Ready", [box.name]), within=30)
    assert box.power == "on"
