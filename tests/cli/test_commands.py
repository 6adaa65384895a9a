"""The command line as a whole, and its small commands."""

import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hexa.cli.app import app
from hexa.domain.resources.crd import definitions
from hexa.yaml import read_documents

COMMANDS = ("run", "simulate", "validate", "enrol", "doctor", "crds", "certs", "manifests", "version")
DOCS = Path(__file__).parent.parent.parent / "docs" / "cli.md"


@pytest.mark.parametrize("asked", ["version", "--version"])
def test_version_is_the_package_s(asked: str) -> None:
    """hexa version and hexa --version print the version and nothing else."""
    result = CliRunner().invoke(app, [asked])
    assert (result.exit_code, result.stdout) == (0, f"{version('hexa-autoscaler')}\n")


@pytest.mark.parametrize(
    "command",
    [[], ["get"], ["run"], ["power", "off"], ["power"], ["simulate"], ["tariff", "import"], ["certs"]],
    ids=str,
)
def test_flags_show_no_value_and_nothing_a_type_of_python(command: list[str]) -> None:
    """The help of a flag shows no value beside it, since it takes none; what takes one says which in words."""
    shown = CliRunner().invoke(app, [*command, "--help"], terminal_width=200).stdout
    assert "--help" in shown
    assert not re.findall(r"<(bool|str|path|Format|int.range|list\S*)>", shown)


def test_crds_are_printed_as_yaml() -> None:
    """hexa crds prints what can be piped into kubectl apply."""
    documents = read_documents(CliRunner().invoke(app, ["crds"]).stdout, source="stdout")
    assert [document.value for document in documents] == list(definitions().values())


def test_crds_are_written_one_file_each(tmp_path: Path) -> None:
    """hexa crds -o makes the folder and one file for each kind."""
    result = CliRunner().invoke(app, ["crds", "-o", str(tmp_path / "new")])
    assert result.exit_code == 0
    assert sorted(file.name for file in (tmp_path / "new").iterdir()) == [
        "infra.homecluster.dev_groups.yaml",
        "infra.homecluster.dev_nodes.yaml",
        "infra.homecluster.dev_powerprofiles.yaml",
    ]


def test_crds_that_cannot_be_written_are_one_line(tmp_path: Path) -> None:
    """A folder that cannot be made ends with 1 and the reason."""
    (tmp_path / "file").write_text("")
    result = CliRunner().invoke(app, ["crds", "-o", str(tmp_path / "file" / "x")])
    assert result.exit_code == 1
    assert result.stderr.startswith(f"hexa: cannot write to {tmp_path}/file/x: ")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_and_documentation(command: str) -> None:
    """hexa COMMAND --help answers, and docs/cli.md has the command."""
    assert CliRunner().invoke(app, [command, "--help"]).exit_code == 0
    assert f"| `hexa {command}" in DOCS.read_text(encoding="utf-8")


def test_help_loads_nothing_heavy() -> None:
    """Help and completion stay quick: nothing of the agent is imported for them."""
    code = "import sys, hexa.cli.app; print(*sys.modules)"
    loaded = set(
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    )
    heavy = {"trio", "httpx", "grpclib", "betterproto", "kubernetes", "structlog", "yaml", "msgspec", "asyncio"}
    assert loaded & heavy == set()
    assert {name for name in loaded if name.startswith(("hexa.app", "hexa.adapters", "hexa.wiring"))} == set()


def test_bad_command_is_a_usage_error() -> None:
    """A command that there is not ends with 2."""
    assert CliRunner().invoke(app, ["fly"]).exit_code == 2


def test_missing_scenario_is_a_usage_error(tmp_path: Path) -> None:
    """A scenario that is not there ends with 2 and one line."""
    result = CliRunner().invoke(app, ["simulate", str(tmp_path / "absent.yaml")])
    assert (result.exit_code, result.stderr) == (2, f"hexa: {tmp_path}/absent.yaml: No such file or directory\n")
