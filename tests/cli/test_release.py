"""`hexa release` says what it released, what stays, and how a machine that is off gets back what its node had."""

from typing import Any

import pytest
from tests.cli.sites import add_node, cluster, opens
from typer.testing import CliRunner, Result

from hexa.adapters.memory.ports.kube import MemoryKube
from hexa.app.commands import release as command
from hexa.cli.app import app
from hexa.domain.names import GROUP_LABEL, MACHINE_ANNOTATION, OFF_FINALIZER, RELEASED_ANNOTATION
from hexa.domain.resources.core import NODES
from hexa.domain.resources.v1alpha1 import GROUPS, MACHINES
from hexa.ports.kube import Patch

POD = {"image": "power.example/switch"}


@pytest.fixture
def kube(monkeypatch: pytest.MonkeyPatch) -> MemoryKube:
    """A cluster with a machine that is on and one that is off, and no agent."""
    kube = cluster()
    opens(monkeypatch, kube)
    monkeypatch.setattr(command, "SETTLE", 0.0)
    monkeypatch.setattr(command, "LOOK", 0.0)
    monkeypatch.setattr(command, "NO_AGENT", -1.0)
    kube.api.create(GROUPS, {"metadata": {"name": "rack", "namespace": "homelab"}, "spec": {}})
    seen = {
        "labels": {"owner": "o'brien", "kubernetes.io/os": "linux"},
        "taints": [{"key": "gpu", "effect": "NoSchedule"}],
    }
    add_machine(kube, "on", status={"phase": "Ready", "welcomed": True})
    add_machine(kube, "off", status={"phase": "Off", "template": seen}, finalizers=[OFF_FINALIZER])
    add_node(kube, "on", labels={GROUP_LABEL: "rack"})
    marks = {"metadata": {"annotations": {MACHINE_ANNOTATION: "homelab/on"}}}
    kube.api.patch(NODES, ("", "on"), Patch(marks))
    return kube


def add_machine(kube: MemoryKube, name: str, *, status: dict[str, Any], **metadata: Any) -> None:
    """A Node resource with a past."""
    given = {"name": name, "namespace": "homelab", "labels": {"group": "rack"}, **metadata}
    spec = {"startupPodSpec": POD, "shutdownPodSpec": POD}
    kube.api.create(MACHINES, {"metadata": given, "spec": spec, "status": status}, keep_status=True)


def run(*arguments: str) -> Result:
    """The command as people type it."""
    return CliRunner().invoke(app, ["release", *arguments])


def test_all_are_released(kube: MemoryKube) -> None:
    """One line a machine, whether it is on, and for one that is off the commands that give its node back what it had."""
    result = run("--all")
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines() == [
        "homelab/off: released, off",
        "  after its next boot, these give its node back what it had:",
        """  kubectl label --overwrite node off 'owner=o'"'"'brien'""",
        "  kubectl taint --overwrite nodes off gpu:NoSchedule",
        "homelab/on: released, on",
        "2 machines released, 1 Kubernetes node cleaned",
    ]
    node = kube.api.get(NODES, "on")
    assert node is not None
    assert GROUP_LABEL not in node.raw["metadata"]["labels"]
    for kind, name in ((MACHINES, "on"), (MACHINES, "off"), (GROUPS, "rack")):
        stored = kube.api.get(kind, name, "homelab")
        assert stored is not None
        assert RELEASED_ANNOTATION in stored.raw["metadata"]["annotations"]
        assert not stored.raw["metadata"].get("finalizers")


def test_who_does_not_come_is_named(kube: MemoryKube) -> None:
    """With --wake and nobody who wakes, what is on is released, what is off is not, and the exit code says so."""
    result = run("--all", "--wake")
    assert result.exit_code == 1
    assert "homelab/on: released, on\n1 machine released" in result.stdout
    assert "homelab/off: waking" in result.stderr
    assert "hexa: homelab/off is not released: no hexa agent acts on it" in result.stderr


def test_a_resource_that_does_not_decode_is_released_too(kube: MemoryKube) -> None:
    """Its finalizer would hold its namespace."""
    metadata = {"name": "broken", "namespace": "homelab", "finalizers": [OFF_FINALIZER, "mine/too"]}
    spec = {"taintsToRemove": "no list"}
    kube.api.create(MACHINES, {"metadata": metadata, "spec": spec}, keep_status=True)
    result = run("broken")
    assert result.exit_code == 0, result.output
    stored = kube.api.get(MACHINES, "broken", "homelab")
    assert stored is not None
    assert stored.raw["metadata"]["finalizers"] == ["mine/too"]


@pytest.mark.parametrize("named", [("barn/on",), ("on", "-n", "barn")])
def test_only_the_machine_that_is_named_is_released(kube: MemoryKube, named: tuple[str, ...]) -> None:
    """One of the same name in another namespace is another machine."""
    kube.api.create(MACHINES, {"metadata": {"name": "on", "namespace": "barn"}, "spec": {}})
    assert run(*named).exit_code == 0
    marked = {
        namespace: RELEASED_ANNOTATION in stored.raw["metadata"].get("annotations", {})
        for namespace in ("barn", "homelab")
        if (stored := kube.api.get(MACHINES, "on", namespace)) is not None
    }
    assert marked == {"barn": True, "homelab": False}


@pytest.mark.parametrize(
    ("arguments", "said", "code"),
    [
        ((), "name machines, or give --all", 2),
        (("on", "--all"), "name machines, or give --all", 2),
        (("on", "--wake", "--timeout", "soon"), "--timeout: 'soon' is no duration", 2),
        (("onn",), "onn: there is no machine of that name in namespace homelab; did you mean on?; nothing was done", 1),
        (("lab/on",), "lab/on: there is no machine", 1),
        (("on", "-A"), "on: machines of that name are barn/on, homelab/on; write one of these", 1),
    ],
)
def test_what_cannot_be_meant_is_refused(kube: MemoryKube, arguments: tuple[str, ...], said: str, code: int) -> None:
    """Nothing is written then."""
    kube.api.create(MACHINES, {"metadata": {"name": "on", "namespace": "barn"}, "spec": {}})
    version = kube.api.version
    result = run(*arguments)
    assert result.exit_code == code
    assert said in result.stderr
    assert kube.api.version == version
