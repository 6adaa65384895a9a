"""-A: a NAME without a namespace is looked for in all of them, by every command that has the option and takes names."""

from collections.abc import Callable

import pytest
from click.testing import Result
from tests.cli.sites import cluster, opens
from typer.testing import CliRunner

from hexa.cli.app import app
from hexa.domain.resources.v1alpha1 import GROUPS, MACHINES

COMMANDS = ("get {}", "receipt {}", "report --group {}", "blockers {}")
RECEIPT = {"since": "2026-11-01T00:00:00Z", "saving": {"offSeconds": 3600.0}}

Hexa = Callable[[str], Result]


@pytest.fixture
def hexa(monkeypatch: pytest.MonkeyPatch) -> Hexa:
    """The context's namespace is `homelab`; `barn` has the group `far`, and both have a group `both`."""
    kube = cluster()
    for namespace, name in (("barn", "far"), ("barn", "both"), ("homelab", "both")):
        kube.api.create(GROUPS, {"metadata": {"namespace": namespace, "name": name}, "spec": {}})
        metadata = {"namespace": namespace, "name": f"{name}-1", "labels": {"group": name}}
        status = {"phase": "Ready", "receipt": RECEIPT}
        kube.api.create(MACHINES, {"metadata": metadata, "spec": {}, "status": status}, keep_status=True)
    opens(monkeypatch, kube)
    return lambda words: CliRunner().invoke(app, words.split())


@pytest.mark.parametrize("command", COMMANDS)
def test_a_name_is_looked_for_in_all_namespaces_with_a(hexa: Hexa, command: str) -> None:
    """What another namespace has is found with -A; without it the answer is where it is."""
    assert hexa(f"{command.format('far')} -A").exit_code == 0
    alone = hexa(command.format("far"))
    assert alone.exit_code == 1
    assert "namespace barn has one: -n barn" in alone.stderr


@pytest.mark.parametrize("command", COMMANDS)
def test_a_name_that_two_namespaces_have_must_be_written_whole(hexa: Hexa, command: str) -> None:
    """With -A no namespace comes first, also not the context's: both are named."""
    shown = hexa(f"{command.format('both')} -A")
    assert shown.exit_code == 1
    assert "barn/both, homelab/both; write one of these" in shown.stderr
    assert hexa(command.format("barn/both")).exit_code == 0
