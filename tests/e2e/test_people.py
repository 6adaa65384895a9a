"""The commands for people against the real API server; no agent runs, and none is needed."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lab as labs
import pytest
from lab import Api, eventually

ROOT = Path(__file__).parents[2]
API = "infra.homecluster.dev/v1alpha1"
WISH = {"infra.homecluster.dev/wish": json.dumps({"power": "off", "by": "cluster-autoscaler", "reason": "DeleteNodes"})}
POD = {"image": "power.example/switch"}

Hexa = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
async def hexa(lab: labs.Lab, api: Api, namespace: str, kubectl: Callable[..., str]) -> Hexa:
    """Runs a command as a process of its own, on a group with two machines whose status an agent once wrote."""
    kubectl("apply", "-f", str(ROOT / "deploy" / "crds"))
    kubectl("wait", "--for=condition=Established", "--timeout=30s", "crd", "nodes.infra.homecluster.dev")
    metadata = {"namespace": namespace}
    await api.create({"apiVersion": API, "kind": "Group", "metadata": {**metadata, "name": "rack"}})
    for name in ("rack-1", "rack-2"):
        spec = {"startupPodSpec": POD, "shutdownPodSpec": POD, "kubernetesNodeName": f"{namespace}-{name}"}
        labelled = {
            **metadata,
            "name": name,
            "labels": {"group": "rack"},
            "annotations": WISH if name == "rack-1" else {},
        }
        await api.create({"apiVersion": API, "kind": "Node", "metadata": labelled, "spec": spec})
        status = {
            "phase": "Ready" if name == "rack-1" else "Off",
            "since": "2026-01-01T00:00:00Z",
            "observedGeneration": 1,
        }
        patch = json.dumps({"status": status})
        kubectl("patch", "hn", name, "-n", namespace, "--subresource=status", "--type=merge", "-p", patch)

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        where = [f"--kubeconfig={lab.control_plane.kubeconfig()}", f"--namespace={namespace}"]
        command = [sys.executable, "-m", "hexa", *arguments, *where]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    return run


async def spec_of(api: Api, namespace: str, name: str) -> dict[str, Any]:
    """The spec of a machine."""
    spec: dict[str, Any] = (await api.read(f"{API}/nodes", name, namespace=namespace))["spec"]
    return spec


async def test_a_person_looks_and_decides(hexa: Hexa, api: Api, namespace: str) -> None:
    """get, on --for, why, pause, resume and auto: what is written is what the server stores and what why tells."""
    lines = [line.split() for line in hexa("get", "machines").stdout.splitlines()]
    assert [line[0] for line in lines] == ["NAME", "rack-1", "rack-2"]
    shown = hexa("on", "rack-2", "--for", "3h", "--reason", "demo")
    assert shown.returncode == 0, shown.stderr
    hold = (await spec_of(api, namespace, "rack-2"))["hold"]
    assert (hold["power"], hold["reason"]) == ("on", "demo")
    told = hexa("why", "rack-2").stdout
    assert told.startswith("rack-2 is off: hold wants it on\n")
    assert f"(Node {namespace}/rack-2 spec.hold): demo" in told
    assert "the status may be stale" in told
    assert hexa("pause", "rack-2", "--reason", "new fan").returncode == 0
    assert (await spec_of(api, namespace, "rack-2"))["paused"] == {"reason": "new fan"}
    assert "Paused" in hexa("why", f"{namespace}/rack-2").stdout
    assert hexa("resume", "rack-2").returncode == hexa("auto", "rack-2").returncode == 0
    assert {"hold", "paused"}.isdisjoint(await spec_of(api, namespace, "rack-2"))
    missing = hexa("on", "rack-2", "rack-9")
    assert (missing.returncode, "did you mean" in missing.stderr) == (1, True)


async def test_a_budget_blocks_a_drain(hexa: Hexa, api: Api, namespace: str, kubectl: Callable[..., str]) -> None:
    """drain-check finds the budget that the Eviction API would ask, and ends with 4 while it refuses."""
    node = f"{namespace}-rack-1"
    await api.create({"apiVersion": "v1", "kind": "Node", "metadata": {"name": node}})
    labels = {"app": "web"}
    template = {
        "metadata": {"labels": labels},
        "spec": {"nodeName": node, "containers": [{"name": "web", "image": "web"}]},
    }
    replicas = {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {"name": "web", "namespace": namespace},
        "spec": {"replicas": 1, "selector": {"matchLabels": labels}, "template": template},
    }
    budget = {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": "web", "namespace": namespace},
        "spec": {"minAvailable": 1, "selector": {"matchLabels": labels}},
    }
    await api.create(replicas)
    await api.create(budget)
    await eventually(lambda: pods(api, namespace), within=20)
    name = (await pods(api, namespace))[0]
    ready = {"status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}}
    kubectl("patch", "pod", name, "-n", namespace, "--subresource=status", "-p", json.dumps(ready))

    async def counted() -> bool:
        found = await api.read("policy/v1/poddisruptionbudgets", "web", namespace=namespace)
        return bool(found.get("status", {}).get("currentHealthy") == 1)

    await eventually(counted, within=20)
    shown = hexa("drain-check", "rack-1")
    assert shown.returncode == 4, shown.stdout + shown.stderr
    refusal = f"PDB {namespace}/web allows 0 disruptions (1 of 1 pods are healthy, 1 must be)"
    assert f"{namespace}/{name}: {refusal}" in shown.stdout
    assert hexa("drain-check", "rack-2").returncode == 0
    kubectl("delete", "node", node)


async def pods(api: Api, namespace: str) -> list[str]:
    """Names of the pods there."""
    return [pod["metadata"]["name"] for pod in await api.list("v1/pods", namespace=namespace)]
