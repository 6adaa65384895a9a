"""`hexa validate --config` tells settings that the agent would not start with, or could not use."""

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from hexa.cli.app import app


def validated(text: str, tmp_path: Path) -> Result:
    """What the command says of a configuration."""
    file = tmp_path / "config.yaml"
    file.write_text(text)
    return CliRunner().invoke(app, ["validate", "--config", str(file)])


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("grpc: {address: foo}", "grpc.address: 'foo' is not HOST:PORT"),
        ("grpc: {address: '127.0.0.1:70000'}", "grpc.address: '127.0.0.1:70000' is not HOST:PORT"),
        ("grpc: {healthAddress: foo}", "grpc.healthAddress: 'foo' is not HOST:PORT"),
        ("grpc: {address: '0.0.0.0:50051'}", "there is no TLS: hexa does not start"),
        ("grpc: {address: ':50051'}", "there is no TLS: hexa does not start"),
        ("startup: {taints: ['*/not-ready', a b]}", "startup.taints[1]: 'a b' is no key of a taint"),
        ("gpu: {resources: ['']}", "gpu.resources[0]: '' is no name of a resource"),
        ("gpu: {label: a b}", "gpu.label: 'a b' is no key of a label"),
        ("namespaces: [Rack]", "namespaces[0]: 'Rack' is no name of a namespace"),
        ("jobs: {image: Hexa Image}", "jobs.image: 'Hexa Image' is not the name of an image"),
        ("storagePods: [{name: disks, labels: {}}]", "storagePods[0].labels: is empty and so selects every pod"),
    ],
)
def test_a_setting_that_cannot_be_used_is_named(text: str, says: str, tmp_path: Path) -> None:
    """Each is an error with its line, its key and a remedy."""
    result = validated(text, tmp_path)
    assert result.exit_code == 1, result.output
    assert "config.yaml:1: error: " in result.output
    assert says in result.output
    assert result.output.count("error: ") == 1


@pytest.mark.parametrize(
    "text",
    [
        "grpc: {address: 'unix:///run/hexa.sock'}",
        "grpc: {address: '[::1]:50051', healthAddress: ':50052'}",
        "grpc: {address: ':50051', insecure: true}",
        "grpc: {address: ':50051', tls: {certificate: a, key: b, clientCa: c}}",
        "startup: {taints: [example.com/agent-not-ready, 'example.com/*']}",
        "controlPods: [{name: dns, namespace: kube-system, labels: {k8s-app: kube-dns}}]",
    ],
)
def test_settings_that_work_are_left_alone(text: str, tmp_path: Path) -> None:
    """No word about them."""
    assert validated(text, tmp_path).exit_code == 0
