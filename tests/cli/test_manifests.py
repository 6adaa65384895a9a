"""hexa manifests, from the command line."""

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from hexa.cli.app import app
from hexa.yaml import read_documents


def printed(*arguments: str) -> list[Any]:
    """The documents that it prints."""
    result = CliRunner().invoke(app, ["manifests", *arguments])
    assert result.exit_code == 0, result.stderr
    return [document.value for document in read_documents(result.stdout, source="stdout")]


def test_names_and_images_are_taken() -> None:
    """Namespaces and images are those of the options; each namespace of machines has its Role."""
    objects = printed("production", "-n", "here", "--machines", "a", "--machines", "b", "--image", "x/hexa:1")
    assert [each["metadata"]["name"] for each in objects if each["kind"] == "Namespace"] == ["here", "a", "b"]
    roles = [each for each in objects if each["kind"] == "Role" and each["metadata"]["name"] == "hexa"]
    assert {each["metadata"]["namespace"] for each in roles} == {"a", "b", "kube-node-lease"}
    (hexa,) = (each for each in objects if each["kind"] == "Deployment" and each["metadata"]["name"] == "hexa")
    container = hexa["spec"]["template"]["spec"]["containers"][0]
    assert container["image"] == "x/hexa:1"
    assert {"name": "HEXA_NAMESPACES", "value": "a,b"} in container["env"]


def test_definitions_come_first_where_asked() -> None:
    """--with-crds makes it one file for a first installation."""
    assert [each["kind"] for each in printed("--with-crds")][:4] == ["CustomResourceDefinition"] * 3 + ["Namespace"]


def test_a_tenant_without_the_overlay_is_a_usage_error() -> None:
    """--tenant says nothing for overlays that evict everywhere, and is refused."""
    result = CliRunner().invoke(app, ["manifests", "minimal", "--tenant", "shop"])
    assert result.exit_code == 2
    assert "overlay tenant" in result.stderr


@pytest.mark.parametrize("wrong", [("--namespace", "Power_1"), ("--machines", "rack.a"), ("--read-secret", "a b")])
def test_what_is_no_name_is_a_usage_error(wrong: tuple[str, str]) -> None:
    """The option is named, before kubectl refuses objects one by one."""
    result = CliRunner().invoke(app, ["manifests", *wrong])
    assert (result.exit_code, result.stdout) == (2, "")
    assert f"{wrong[0]}: {wrong[1]!r} is no name" in result.stderr


@pytest.mark.parametrize("option", ["--image", "--autoscaler-image"])
def test_an_image_that_nothing_can_be_pulled_by_is_a_usage_error(option: str) -> None:
    """A name with a space or a line break would show at the first pull."""
    result = CliRunner().invoke(app, ["manifests", option, "a b"])
    assert (result.exit_code, result.stdout) == (2, "")
    assert f"{option}: 'a b' is no name of an image" in result.stderr


def test_deploy_writes_overlays_and_chart(tmp_path: Path) -> None:
    """The folders of deploy/ can be written anywhere."""
    assert CliRunner().invoke(app, ["manifests", "--deploy", str(tmp_path)]).exit_code == 0
    assert (tmp_path / "kustomize/minimal/kustomization.yaml").exists()
    assert (tmp_path / "helm/hexa/Chart.yaml").exists()


def test_alerts_without_metrics_are_printed_and_doubted() -> None:
    """Alerts on metrics that nobody could read are printed as asked for, and standard error says what is missing."""
    for arguments, said in (["minimal"], "take production"), (["tenant"], "add --http"), (["production"], ""):
        result = CliRunner().invoke(app, ["manifests", *arguments, "--alerts"])
        assert (result.exit_code, "PrometheusRule" in result.stdout, bool(result.stderr)) == (0, True, bool(said))
        assert said in result.stderr
