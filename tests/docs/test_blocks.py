"""What the pages show works: Python runs, resources validate. (tests/e2e applies the same resources to a real API server.)"""

import subprocess
import sys

import pytest
from tests.docs.pages import blocks, resources


@pytest.mark.parametrize("name", blocks("python"))
def test_python_runs(name: str) -> None:
    """A block that a user copies runs to its end without an error or a warning."""
    command = [sys.executable, "-W", "error", "-c", blocks("python")[name]]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr


@pytest.mark.parametrize("name", resources())
def test_resources_validate(name: str) -> None:
    """`hexa validate` finds nothing wrong with the resources that we show."""
    command = [sys.executable, "-m", "hexa", "validate", "-"]
    answer = subprocess.run(command, input=resources()[name], capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stdout + answer.stderr


def test_there_is_something_to_test() -> None:
    """The pages still show code and resources."""
    assert len(blocks("python")) >= 2
    assert resources()
