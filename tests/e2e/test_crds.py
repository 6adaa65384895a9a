"""The CRDs on a real API server: what it takes, refuses and shows agrees with the types and with `hexa validate`."""

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import lab as labs
import pytest

from hexa.domain.resources.core import Malformed, decode
from hexa.domain.written.object import KINDS
from hexa.yaml import read_document, read_documents

ROOT = Path(__file__).parent.parent.parent
CRDS = ROOT / "deploy" / "crds"
OBJECTS = ROOT / "tests" / "objects"
BAD = [document.value for document in read_documents((OBJECTS / "bad.yaml").read_text(), source="bad.yaml")]
NAMESPACE = "homelab"

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def run(session_lab: labs.Lab) -> Iterator[Run]:
    """Runs kubectl on a cluster with our CRDs and a namespace for their objects, whatever the outcome."""

    def kubectl(*arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        plane = session_lab.control_plane
        command = [str(session_lab.binaries / "kubectl"), f"--kubeconfig={plane.kubeconfig()}", *arguments]
        return subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)

    done(kubectl("apply", "-f", str(CRDS)))
    done(kubectl("wait", "--for=condition=Established", "--timeout=30s", "-f", str(CRDS)))
    done(kubectl("create", "namespace", NAMESPACE))
    yield kubectl
    done(kubectl("delete", "namespace", NAMESPACE))


def done(answer: subprocess.CompletedProcess[str]) -> str:
    """What it printed; it must have gone well."""
    assert answer.returncode == 0, answer.stderr
    return answer.stdout


@pytest.fixture
def objects(run: Run) -> Iterator[Callable[[str], list[dict[str, Any]]]]:
    """Applies a file of tests/objects with strict validation and reads back what the server has."""

    def applied(file: str) -> list[dict[str, Any]]:
        done(run("apply", "--validate=strict", "-f", str(OBJECTS / file)))
        found: list[dict[str, Any]] = json.loads(done(run("get", "hexa", "-n", NAMESPACE, "-o", "json")))["items"]
        return found

    yield applied
    done(
        run(
            "delete",
            "-n",
            NAMESPACE,
            "--all",
            "groups.infra.homecluster.dev,nodes.infra.homecluster.dev,powerprofiles.infra.homecluster.dev",
        )
    )


def test_schemas_are_structural(run: Run) -> None:
    """The API server accepts all schemas without a complaint in their conditions."""
    for crd in json.loads(done(run("get", "crd", "-o", "json")))["items"]:
        types = {each["type"]: each["status"] for each in crd["status"]["conditions"]}
        assert types == {"NamesAccepted": "True", "Established": "True"}


@pytest.mark.parametrize("file", ["seed.yaml", "full.yaml"])
def test_good_objects_apply_and_decode(objects: Callable[[str], list[dict[str, Any]]], file: str) -> None:
    """Objects of the seed system's shape, and every field once, pass strict validation, keep what was written
    and can be read by the agent."""
    stored = objects(file)
    written = {name_of(each.value): each.value for each in read_documents((OBJECTS / file).read_text(), source=file)}
    assert {name_of(each) for each in stored} == set(written)
    for each in stored:
        spec = written[name_of(each)].get("spec", {})
        assert without(defaults_of(each), each.get("spec", {}), spec) == spec
        assert not isinstance(decode(KINDS[each["kind"]], each), Malformed)


def name_of(obj: dict[str, Any]) -> tuple[str, str]:
    """Kind and name."""
    return obj["kind"], obj["metadata"]["name"]


def defaults_of(obj: dict[str, Any]) -> dict[str, Any]:
    """The fields that the API server fills in."""
    if obj["kind"] == "Group":
        return {"minSize": 0, "nodeLeavePolicy": "Delete"}
    pod = {"ttlSecondsAfterFinished": 600}
    return {"startupPodSpec": pod, "shutdownPodSpec": pod, "healthcheckPodSpec": pod}


def without(defaults: dict[str, Any], stored: dict[str, Any], written: dict[str, Any]) -> dict[str, Any]:
    """What is stored, without defaults that nobody wrote."""
    kept = {}
    for key, value in stored.items():
        if isinstance(value, dict):
            kept[key] = without(defaults.get(key, {}), value, written.get(key, {}))
        elif key in written or defaults.get(key) != value:
            kept[key] = value
    return kept


def test_kustomize_writes_what_the_server_takes(run: Run, tmp_path: Path) -> None:
    """kubectl -k turns an unquoted on into "on": that is taken too."""
    (tmp_path / "seed.yaml").write_text((OBJECTS / "seed.yaml").read_text())
    (tmp_path / "kustomization.yaml").write_text("resources: [seed.yaml]\n")
    done(run("apply", "--validate=strict", "--dry-run=server", "-k", str(tmp_path)))


@pytest.mark.parametrize("case", BAD, ids=[f"{each['field']}: {each['says']}" for each in BAD])
def test_server_and_validate_agree(run: Run, case: dict[str, Any]) -> None:
    """What `hexa validate` tells of one object is refused by kubectl or the server too, where a schema can say it."""
    metadata = {"name": "bad", "namespace": NAMESPACE, **case.get("metadata", {})}
    version = case.get("apiVersion", "infra.homecluster.dev/v1alpha1")
    bad = {"apiVersion": version, "kind": case["kind"], "metadata": metadata, "spec": case["spec"]}
    answer = run("create", "--validate=strict", "--dry-run=server", "-f", "-", stdin=json.dumps(bad))
    if case["server"]:
        assert answer.returncode != 0
        assert case["server"] in answer.stderr
    else:
        assert answer.returncode == 0, answer.stderr


@pytest.mark.parametrize("minimal", [{"startupPodSpec": {"image": "a"}}, {}])
def test_nothing_else_is_filled_in(run: Run, minimal: dict[str, Any]) -> None:
    """The server writes only the documented defaults into a Node."""
    node = {
        "apiVersion": "infra.homecluster.dev/v1alpha1",
        "kind": "Node",
        "metadata": {"name": "a", "namespace": NAMESPACE},
        "spec": minimal,
    }
    stored = json.loads(done(run("create", "--dry-run=server", "-o", "json", "-f", "-", stdin=json.dumps(node))))
    assert stored["spec"] == {key: {**value, "ttlSecondsAfterFinished": 600} for key, value in minimal.items()}
    assert "status" not in stored


def test_columns_show_the_state(objects: Callable[[str], list[dict[str, Any]]], run: Run) -> None:
    """kubectl get shows wish, phase, progress and health of machines, and the sizes and health of groups."""
    objects("seed.yaml")
    wish = {"power": "on", "by": "user", "reason": "", "since": None}
    node = {"status": {"wish": wish, "phase": "Booting", "progress": "startingup", "health": "healthy"}}
    group = {"status": {"size": 2, "target": 1, "ready": 0, "off": 1, "health": "healthy"}}
    for kind, name, patch in (("hn", "attic-1", node), ("hg", "attic", group)):
        done(run("patch", kind, name, "-n", NAMESPACE, "--subresource=status", "--type=merge", "-p", json.dumps(patch)))
    rows = done(run("get", "hn", "attic-1", "-n", NAMESPACE)).splitlines()
    assert rows[0].split() == ["NAME", "WISH", "PHASE", "PROGRESS", "HEALTH", "AGE"]
    assert rows[1].split()[:5] == ["attic-1", "on", "Booting", "startingup", "healthy"]
    rows = done(run("get", "hgroup", "attic", "-n", NAMESPACE)).splitlines()
    assert rows[0].split() == ["NAME", "SIZE", "TARGET", "READY", "OFF", "HEALTH", "AGE"]
    assert rows[1].split()[:6] == ["attic", "2", "1", "0", "1", "healthy"]


def test_core_nodes_keep_their_name(run: Run) -> None:
    """kubectl get nodes still means core/v1 Nodes."""
    assert "infra.homecluster.dev" not in done(run("explain", "nodes"))


def test_fields_are_explained(run: Run) -> None:
    """kubectl explain describes our fields."""
    assert "Longest cool-off. Default 1h." in done(run("explain", "hg.spec.retries.maxBackoff"))


WORDS = json.loads((OBJECTS / "scalars.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("text", WORDS)
def test_kubectl_reads_yaml_as_hexa_does(run: Run, text: str) -> None:
    """An unquoted word means to kubectl what it means to hexa's own loader."""
    yaml = f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: words}}\ndata:\n  a: {text}\n"
    shown = done(run("create", "--dry-run=client", "--validate=false", "-o", "json", "-f", "-", stdin=yaml))
    document = read_document(yaml, source="words")
    assert document is not None
    assert json.loads(shown)["data"] == document.value["data"] == {"a": WORDS[text]}
