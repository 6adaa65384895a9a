"""hexa token: rights over named machines, and no others."""

from typing import Any

import pytest
from tests.cli.sites import cluster, opens
from typer.testing import CliRunner

from hexa.cli.app import app
from hexa.domain.resources.v1alpha1 import MACHINES
from hexa.yaml import read_documents


@pytest.fixture(autouse=True)
def site(monkeypatch: pytest.MonkeyPatch) -> None:
    """Machines in two namespaces."""
    kube = cluster()
    for space, name in (("homelab", "box-1"), ("homelab", "box-2"), ("shed", "old")):
        kube.api.create(MACHINES, {"metadata": {"name": name, "namespace": space}, "spec": {}})
    opens(monkeypatch, kube)


def printed(*words: str) -> list[dict[str, Any]]:
    """The objects that are printed."""
    found = CliRunner().invoke(app, ["token", *words])
    assert found.exit_code == 0, found.output
    return [each.value for each in read_documents(found.stdout, source="stdout")]


def test_a_token_for_one_machine() -> None:
    """The account may see this one machine and have hexa hold and wake it, but not write it: who writes a machine has Jobs run."""
    account, role, binding, secret = printed("box-1")
    assert account["metadata"] == {"name": "hexa-box-1", "namespace": "homelab"}
    assert account["automountServiceAccountToken"] is False
    rule = {"apiGroups": ["infra.homecluster.dev"], "resourceNames": ["box-1"]}
    assert role["rules"] == [
        {**rule, "resources": ["nodes"], "verbs": ["get"]},
        {**rule, "resources": ["nodes/hold", "nodes/wake"], "verbs": ["update"]},
    ]
    assert binding["roleRef"]["name"] == role["metadata"]["name"] == "hexa-box-1"
    assert binding["subjects"] == [{"kind": "ServiceAccount", "name": "hexa-box-1", "namespace": "homelab"}]
    assert secret["type"] == "kubernetes.io/service-account-token"
    assert secret["metadata"]["annotations"] == {"kubernetes.io/service-account.name": "hexa-box-1"}


def test_machines_of_several_namespaces_have_a_role_in_each() -> None:
    """One account, bound where its machines are."""
    found = printed("box-2", "box-1", "shed/old", "--account", "assistant", "--list", "--short-lived")
    assert [(each["kind"], each["metadata"]["namespace"]) for each in found] == [
        ("ServiceAccount", "homelab"),
        ("Role", "homelab"),
        ("RoleBinding", "homelab"),
        ("Role", "shed"),
        ("RoleBinding", "shed"),
    ]
    named, _, listed = found[1]["rules"]
    assert named["resourceNames"] == ["box-1", "box-2"]
    assert listed["verbs"] == ["get", "list"]
    assert "resourceNames" not in listed


def test_to_look_is_less_than_to_switch() -> None:
    """Read only: no update. A reverse proxy wakes, and needs to hold nothing."""
    assert [each["verbs"] for each in printed("box-1", "--read-only")[1]["rules"]] == [["get"]]
    assert printed("box-1", "--wake-only")[1]["rules"][1]["resources"] == ["nodes/wake"]


def test_how_to_read_the_token_is_said() -> None:
    """In a comment, so that the output can be applied as it is."""
    told = CliRunner().invoke(app, ["token", "box-1"]).stdout
    assert "# then the token: kubectl -n homelab get secret hexa-box-1 -o jsonpath='{.data.token}' | base64 -d" in told
    short = CliRunner().invoke(app, ["token", "box-1", "--short-lived"]).stdout
    assert "kubectl -n homelab create token hexa-box-1 --duration=24h" in short


def test_names_that_nobody_has_are_told() -> None:
    """A machine that is not there, with the nearest; an account that could not be."""
    wrong = CliRunner().invoke(app, ["token", "bax-1"])
    assert (wrong.exit_code, "did you mean box-1?" in wrong.stderr) == (1, True)
    assert CliRunner().invoke(app, ["token", "box-1", "--account", "My Account"]).exit_code == 2
