"""What hangs on the agent's configuration: commands, which do not read it, say what the agent says, and nothing of their own."""

from typing import Any

import pytest
from tests.cli.sites import cluster, opens
from typer.testing import CliRunner

from hexa.cli.app import app
from hexa.domain.resources.v1alpha1 import GROUPS

TOLD = {"type": "UnknownTariff", "status": "True", "reason": "UnknownTariff", "message": "there is no tariff nigth"}


@pytest.mark.parametrize(
    ("conditions", "shown"), [([], False), ([TOLD], True)], ids=["agent says nothing", "agent says so"]
)
@pytest.mark.parametrize("command", ["get rack", "why rack", "top"])
def test_a_tariff_is_unknown_where_the_agent_says_so(
    monkeypatch: pytest.MonkeyPatch, command: str, conditions: list[Any], shown: bool
) -> None:
    """A group with a tariff has no trouble for a person either, unless its agent has no such tariff."""
    kube = cluster()
    spec = {"cost": {"tariff": "nigth"}}
    kube.api.create(
        GROUPS,
        {"metadata": {"namespace": "homelab", "name": "rack"}, "spec": spec, "status": {"conditions": conditions}},
        keep_status=True,
    )
    opens(monkeypatch, kube)
    result = CliRunner().invoke(app, command.split())
    assert result.exit_code == 0
    assert ("tariff nigth" in result.stdout) is shown
