"""Every resource that README, docs and examples show is taken by a real API server, unknown fields refused."""

import subprocess
from pathlib import Path

import lab as labs
import pytest
from tests.docs.pages import ROOT, resources


@pytest.mark.parametrize("name", resources())
def test_server_takes_it(session_lab: labs.Lab, name: str) -> None:
    """kubectl apply with strict validation succeeds."""
    kubectl = [str(session_lab.binaries / "kubectl"), f"--kubeconfig={session_lab.control_plane.kubeconfig()}"]
    crds = [str(Path(ROOT, "deploy", "crds"))]
    subprocess.run([*kubectl, "apply", "-f", *crds], check=True, capture_output=True)
    established = ["wait", "--for=condition=Established", "--timeout=30s", "-f", *crds]
    subprocess.run([*kubectl, *established], check=True, capture_output=True)
    apply = [*kubectl, "apply", "--dry-run=server", "--validate=strict", "-f", "-"]
    answer = subprocess.run(apply, input=resources()[name], capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr
