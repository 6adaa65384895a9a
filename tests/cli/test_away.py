"""What a person is told where the API server does not answer: one line, and soon, whatever was asked."""

import functools
from typing import Any, NoReturn

import pytest
import trio
from tests.cli.sites import NOW, Clock, opens
from trio.testing import MockClock
from typer.testing import CliRunner

from hexa import wiring
from hexa.adapters.memory.cluster.api import MemoryApi
from hexa.adapters.memory.ports.kube import MemoryKube
from hexa.cli.app import app
from hexa.domain.errors import Unavailable

COMMANDS = (
    *("get", "get -A", "why box", "history box", "drain-check box", "doctor", "enrol"),
    *("on box", "off box", "auto box", "pause box", "resume box", "release --all", "release box --wake"),
)


class Silent(MemoryKube):
    """Each call waits as long as a person does, for nothing."""

    waited = 0.0

    async def list(self, *_: Any, **__: Any) -> NoReturn:
        await self._wait()

    async def create(self, *_: Any, **__: Any) -> NoReturn:
        await self._wait()

    async def _wait(self) -> NoReturn:
        await trio.sleep(wiring.PATIENCE.answer)
        self.waited = trio.current_time()
        raise Unavailable("no answer")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_gives_up_at_once(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever has to be read, no command waits for a second answer where the first did not come."""
    kube = Silent(MemoryApi(Clock(NOW)))
    opens(monkeypatch, kube)
    monkeypatch.setattr(trio, "run", functools.partial(trio.run, clock=MockClock(autojump_threshold=0)))
    result = CliRunner().invoke(app, command.split())
    assert (result.exit_code, result.stderr) == (1, "hexa: no answer\n")
    assert kube.waited == wiring.PATIENCE.answer
