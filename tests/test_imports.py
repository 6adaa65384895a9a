"""What an agent loads to start, and what it leaves alone."""

import importlib
import subprocess
import sys

import pytest

from hexa.imports import without

AGENT = """
import click, sys
import hexa.adapters.kube_http.client, hexa.adapters.kube_journal.logs, hexa.adapters.power.http_client
assert not {"pygments", "rich", "httpx._main"} & sys.modules.keys()
assert sys.modules["click"] is click
import httpx._main, rich.console
"""


def test_agent_loads_no_command_line_of_its_libraries() -> None:
    """The agent starts without what httpx and structlog load for people at a terminal; whoever imports that later gets it."""
    subprocess.run([sys.executable, "-c", AGENT], check=True)


OFF = """
import sys
import hexa.cli.run, hexa.wiring
off = {"hypercorn", "starlette", "prometheus_client", "smtplib", "wsproto", "hexa.app.notifier", "hexa.adapters.notify"}
assert not off & sys.modules.keys()
"""


def test_agent_loads_nothing_of_http_and_mail_before_they_are_switched_on() -> None:
    """Whoever serves no HTTP and sends no mail pays nothing for either."""
    subprocess.run([sys.executable, "-c", OFF], check=True)


def test_a_module_is_left_out_within_the_block_only() -> None:
    """Other modules are found in the block, and this one is found after it."""
    sys.modules.pop("plistlib", None)
    with without("plistlib"), pytest.raises(ModuleNotFoundError, match="plistlib is left out"):
        importlib.import_module("plistlib")
    with without("plistlib"):
        assert importlib.import_module("colorsys")
    assert importlib.import_module("plistlib")
