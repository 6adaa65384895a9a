"""The agent as users run it, a process of its own, and Cluster Autoscaler's part played by an independent gRPC client.

Owns the process and the calls; refuses to know what a test expects of them.
"""

import base64
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import lab as labs
import trio
from lab.controlplane import free_port
from tests.cloudprovider_client import PROTO, Client, Messages

ROOT: Final = Path(__file__).parents[2]
HEXA: Final = [sys.executable, "-m", "hexa"]
START_SECONDS: Final = 30.0
API: Final = "infra.homecluster.dev/v1alpha1"
STATES: Final = {0: "Unspecified", 1: "Running", 2: "Creating", 3: "Deleting"}


@dataclass
class Agent:
    """`hexa run` on one namespace; it may be killed and started again, on the same address."""

    kubeconfig: Path
    namespace: str
    log: Path
    address: str = field(default_factory=lambda: f"127.0.0.1:{free_port('127.0.0.1')}")
    process: subprocess.Popen[bytes] | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    program: Sequence[str] = tuple(HEXA)

    async def start(self) -> None:
        """Starts it; returns when it serves."""
        before = self._served()
        command = [*self.program, "run", f"--kubeconfig={self.kubeconfig}", f"--namespace={self.namespace}"]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(  # noqa: ASYNC220 - it outlives this call
                [*command, f"--grpc-address={self.address}", "--log-format=json"],
                stderr=log,
                env={**os.environ, **self.environment},
            )
        await labs.eventually(lambda: self._served() > before or self._ended(), within=START_SECONDS, what="it serves")
        assert self.process.poll() is None, self.words()

    async def kill(self) -> None:
        """kill -9."""
        await self._end(signal.SIGKILL)

    async def stop(self) -> int:
        """SIGTERM; its exit code."""
        return await self._end(signal.SIGTERM)

    async def _end(self, how: signal.Signals) -> int:
        if self.process is None:
            return 0
        self.process.send_signal(how)
        code = await trio.to_thread.run_sync(self.process.wait)
        self.process = None
        return code

    def _served(self) -> int:
        return self.log.read_text().count('"event":"serving"') if self.log.exists() else 0

    def _ended(self) -> bool:
        return self.process is not None and self.process.poll() is not None

    def words(self) -> str:
        """The end of its log."""
        return self.log.read_text()[-4000:] if self.log.exists() else ""


class ClusterAutoscaler:
    """The calls that tests need, as Cluster Autoscaler makes them."""

    def __init__(self, address: str, messages: Messages) -> None:
        self._client, self._messages = Client(address), messages
        self._rpcs = messages.rpcs()

    async def call(self, rpc: str, **fields: Any) -> Any:
        """Any RPC by name; a status other than OK raises `grpc.RpcError`."""
        request, answer = self._rpcs[rpc]
        return await self._client.call(rpc, request(**fields), answer)

    async def increase(self, group: str, delta: int) -> None:
        """Asks for `delta` more machines."""
        await self.call("NodeGroupIncreaseSize", id=group, delta=delta)

    async def delete(self, group: str, *nodes: str) -> None:
        """Gives up nodes, as after a drain."""
        named = [self._messages.ExternalGrpcNode(name=node, providerID="") for node in nodes]
        await self.call("NodeGroupDeleteNodes", id=group, nodes=named)

    async def target(self, group: str) -> int:
        """The group's target size."""
        return int((await self.call("NodeGroupTargetSize", id=group)).targetSize)

    async def states(self, group: str) -> dict[str, str]:
        """State of each instance by providerID; with the error's code behind it."""
        answer = await self.call("NodeGroupNodes", id=group)
        return {
            each.id: STATES[each.status.instanceState]
            + (f"/{each.status.errorInfo.errorCode}" if each.status.HasField("errorInfo") else "")
            for each in answer.instances
        }

    def close(self) -> None:
        """Ends the connection."""
        self._client.channel.close()


@asynccontextmanager
async def open_agent(
    kubeconfig: Path, namespace: str, folder: Path, *, environment: Mapping[str, str] | None = None
) -> AsyncIterator[Agent]:
    """A running agent, ended with the block."""
    agent = Agent(kubeconfig, namespace, folder / f"{namespace}.log", environment=environment or {})
    try:
        await agent.start()
        yield agent
    finally:
        with trio.CancelScope(shield=True):
            await agent.kill()


async def waking_token(
    name: str, *, kubeconfig: Path, api: labs.Api, namespace: str, kubectl: Callable[..., str]
) -> str:
    """The token that `hexa token NAME --wake-only` prints the objects of, applied as they are."""
    where = f"--kubeconfig={kubeconfig}", f"--namespace={namespace}"
    printed = await trio.run_process([*HEXA, "token", name, "--wake-only", *where], capture_stdout=True)
    kubectl("apply", "--validate=strict", "-f", "-", stdin=printed.stdout.decode())

    async def made() -> str:
        secret = await api.read("v1/secrets", f"hexa-{name}", namespace=namespace)
        return str(secret.get("data", {}).get("token", ""))

    return base64.b64decode(await labs.eventually(made, within=10)).decode()


def messages_in(folder: Path) -> Messages:
    """The messages of proto/externalgrpc.proto."""
    return Messages(PROTO / "externalgrpc.proto", folder)


def group(namespace: str, name: str = "rack", **spec: Any) -> labs.Resource:
    """A Group whose machines boot within seconds."""
    return {
        "apiVersion": API,
        "kind": "Group",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"maxNodeProvisionTime": "2m", **spec},
    }


def machine(
    namespace: str, box: labs.Machine, *, group: str = "rack", annotations: Mapping[str, str] | None = None, **spec: Any
) -> labs.Resource:
    """A Node resource for a machine of the lab."""
    return {
        "apiVersion": API,
        "kind": "Node",
        "metadata": {
            "name": box.name,
            "namespace": namespace,
            "labels": {"group": group},
            "annotations": dict(annotations or {}),
        },
        "spec": {
            "startupPodSpec": box.startup_pod,
            "shutdownPodSpec": box.shutdown_pod,
            "template": {"capacity": {"cpu": "1", "memory": "2Gi", "pods": "20"}},
            **spec,
        },
    }


async def phases(api: labs.Api, namespace: str) -> dict[str, str]:
    """Phase of each machine."""
    nodes = await api.list(f"{API}/nodes", namespace=namespace)
    return {node["metadata"]["name"]: node.get("status", {}).get("phase", "") for node in nodes}


async def in_phase(api: labs.Api, namespace: str, phase: str, names: Sequence[str]) -> bool:
    """Whether all of these machines are in the phase."""
    found = await phases(api, namespace)
    return all(found.get(name) == phase for name in names)


async def history(api: labs.Api, namespace: str, name: str) -> list[str]:
    """The phases that the machine went through."""
    node = await api.read(f"{API}/nodes", name, namespace=namespace)
    return [entry["action"] for entry in node["status"]["history"]]


async def jobs_ever(api: labs.Api, namespace: str) -> list[str]:
    """Names of the power Jobs that are there."""
    return [job["metadata"]["name"] for job in await api.list("batch/v1/jobs", namespace=namespace)]
