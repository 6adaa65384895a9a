"""What the pages show works: Python runs, resources validate, settings are read. (tests/e2e applies and runs the rest.)"""

import json
import subprocess
import sys
from datetime import UTC, datetime

import pytest
from tests.docs.pages import PAGES, blocks, blocks_of, resources

from hexa.cli.shared.checking import check, written_objects
from hexa.config import load_config, read_config_file
from hexa.yaml import read_documents

SETTINGS = "settings of hexa, which a test reads"


@pytest.mark.parametrize("name", blocks("python"))
def test_python_runs(name: str) -> None:
    """A block that a user copies runs to its end without an error or a warning."""
    command = [sys.executable, "-W", "error", "-c", blocks("python")[name]]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr


@pytest.mark.parametrize("name", resources())
def test_resources_validate(name: str) -> None:
    """`hexa validate` finds nothing wrong with the resources that we show."""
    written = written_objects(list(read_documents(resources()[name], source=name)), namespace="default")
    problems = [each.problem for each in check(list(written), now=datetime.now(UTC))]
    assert not [each for each in problems if each.severity == "error"]


@pytest.mark.parametrize("name", blocks("json"))
def test_json_parses(name: str) -> None:
    """What we show as JSON is JSON."""
    assert json.loads(blocks("json")[name])


def test_settings_are_read() -> None:
    """Configuration files that we show are taken by `hexa run`."""
    shown = [each for page in PAGES for each in blocks_of(page) if each.unchecked == SETTINGS]
    assert shown
    for each in shown:
        load_config(file=read_config_file(each.text, source=each.name), environment={}, flags={})


def test_there_is_something_to_test() -> None:
    """The pages still show code and resources."""
    assert len(blocks("python")) >= 2
    assert resources()
