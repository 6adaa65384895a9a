"""Every resource that README, docs and examples show is taken by a real API server, unknown fields refused."""

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lab as labs
import pytest
from tests.docs.pages import ROOT, resources

from hexa.yaml import read_documents

Kubectl = Callable[..., subprocess.CompletedProcess[str]]

OTHERS = [
    "kustomize.toolkit.fluxcd.io/v1 Kustomization",
    "source.toolkit.fluxcd.io/v1 GitRepository",
    "argoproj.io/v1alpha1 Application",
]
"""Kinds of other projects that our pages show: the lab has none of them, so they get schemas that take everything."""


@pytest.fixture(scope="module")
def kubectl(session_lab: labs.Lab) -> Kubectl:
    """kubectl on a cluster that has our CRDs, stand-ins for those of others, and the namespaces that are shown."""
    command = [str(session_lab.binaries / "kubectl"), f"--kubeconfig={session_lab.control_plane.kubeconfig()}"]

    def run(*arguments: str, stdin: str = "", check: bool = True) -> subprocess.CompletedProcess[str]:
        answer = subprocess.run([*command, *arguments], input=stdin, capture_output=True, text=True, check=False)
        assert not check or answer.returncode == 0, answer.stderr
        return answer

    run("apply", "-f", str(Path(ROOT, "deploy", "crds")))
    run(
        "apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": list(map(stand_in, OTHERS))})
    )
    run("wait", "--for=condition=Established", "--timeout=30s", "crd", "--all")
    for namespace in sorted(namespaces_shown()):
        run("create", "namespace", namespace, check=False)
    return run


def stand_in(kind: str) -> dict[str, Any]:
    """A CustomResourceDefinition that takes everything."""
    version, name = kind.split()
    group, version = version.split("/")
    plural = {"GitRepository": "gitrepositories"}.get(name, f"{name.lower()}s")
    anything = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    served = {"name": version, "served": True, "storage": True, "schema": {"openAPIV3Schema": anything}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": f"{plural}.{group}",
            "annotations": {"api-approved.kubernetes.io": "unapproved, a stand-in"},
        },
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"kind": name, "listKind": f"{name}List", "plural": plural, "singular": name.lower()},
            "versions": [served],
        },
    }


def namespaces_shown() -> set[str]:
    """The namespaces of all resources that are shown."""
    texts = resources().items()
    objects = [document.value for name, text in texts for document in read_documents(text, source=name)]
    return {each["metadata"].get("namespace", "default") for each in objects}


@pytest.mark.parametrize("name", resources())
def test_server_takes_it(kubectl: Kubectl, name: str) -> None:
    """kubectl apply with strict validation succeeds."""
    kubectl("apply", "--dry-run=server", "--validate=strict", "-f", "-", stdin=resources()[name])


def test_stand_ins_are_needed() -> None:
    """A kind that no page shows any more has no stand-in."""
    shown = "\n".join(resources().values())
    for kind in OTHERS:
        version, name = kind.split()
        assert re.search(f"^apiVersion: {re.escape(version)}\nkind: {name}$", shown, re.M), f"no page shows a {name}"
