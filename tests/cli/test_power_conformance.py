"""`hexa power test` as people type it: it asks, looks on, and its answer and exit code say what came of it. The agent is real, and
time is virtual."""

import json
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import pytest
import trio
from tests.scenarios.stage import QUICK, boxes, rack, up
from trio.testing import MockClock
from typer.testing import CliRunner, Result

from hexa import wiring
from hexa.adapters.kube_http.cluster import Cluster
from hexa.cli import conformance
from hexa.cli.app import app
from hexa.domain.resources.v1alpha1 import Hold
from hexa.testing.world import World, open_world

Hexa = Callable[..., Result]


class Stage:
    """A site for each call of the cluster, all alike: its machine box-1 is on."""

    def __init__(self) -> None:
        self.ill: dict[str, Any] = {}
        self.before: Callable[[World], object] = lambda _: None
        """Done to each site before the command sees it."""
        self.hold: Hold | None = None
        """What stood when the command had ended."""

    @asynccontextmanager
    async def open_cluster(self, **_: str) -> AsyncIterator[tuple[Any, Cluster]]:
        async with open_world(groups=[rack()], machines=boxes(), autoscaler=None, site=QUICK) as world:
            await up(world)
            self.before(world)
            self.clock = world.site.clock
            yield world.kube, Cluster(server="https://x", origin="test", namespace="machines")
            self.hold = world.node("box-1").spec.hold

    def now(self) -> Any:
        """The site's."""
        return self.clock.now()


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Stage:
    """What the command gets."""
    stage = Stage()
    monkeypatch.setattr(wiring, "open_cluster", stage.open_cluster)
    monkeypatch.setattr(wiring, "system_clock", lambda: stage)
    real = trio.run
    monkeypatch.setattr(trio, "run", lambda *a, **k: real(*a, **k, clock=MockClock(autojump_threshold=0)))
    monkeypatch.setattr(conformance, "_who", lambda: "ann@desk")
    return stage


@pytest.fixture
def hexa(stage: Stage) -> Hexa:
    """Runs `hexa power test`."""
    return lambda *arguments, **more: CliRunner().invoke(
        app, ["power", "test", *arguments], catch_exceptions=False, **more
    )


def test_a_pass(hexa: Hexa, stage: Stage) -> None:
    """Each step has a line with its time; the verdict comes last, and who decides from now on."""
    result = hexa("box-1", "--yes")
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[0] == "machines/box-1 of group rack is on; user wants it on"
    assert [line.split()[0] for line in lines[2:6]] == ["drain", "off", "stay", "on"]
    assert all(" ok" in line for line in lines[2:6])
    assert lines[6].startswith("PASS machines/box-1 in ")
    assert lines[7] == "  it is on; its hold is taken back, and user wants it on"
    assert "\x1b" not in result.output
    assert stage.hold is None


def test_a_fail(hexa: Hexa, stage: Stage) -> None:
    """The exit code is 4, the reason is told, and how the machine is given back."""
    stage.before = lambda world: world.inject({"kind": "hungShutdown", "machine": "box-1"})
    result = hexa("machines/box-1", "--yes")
    assert result.exit_code == 4
    assert "failed  its shutdown Job was done, and its kubelet still gives signs of life" in result.stdout
    assert "FAIL machines/box-1: its shutdown Job was done" in result.stdout
    assert "stays held on without an end\n  to give it back: hexa auto machines/box-1\n" in result.stdout
    assert stage.hold is not None
    assert stage.hold.until is None


def test_for_programs(hexa: Hexa, stage: Stage) -> None:
    """--json prints one object and nothing else, whatever the verdict."""
    told = json.loads(hexa("box-1", "--yes", "--json", "--rest", "5s").stdout)
    assert {key: told[key] for key in ("machine", "found", "verdict")} == {
        "machine": "machines/box-1",
        "found": "on",
        "verdict": "pass",
    }
    assert [step["step"] for step in told["steps"]] == ["drain", "off", "stay off", "on"]
    assert 5 <= told["steps"][2]["seconds"] < 7
    stage.before = lambda world: world.edit("box-1", {"hold": {"power": "on", "reason": "demo"}})
    refused = hexa("box-1", "--yes", "--json")
    assert refused.exit_code == 3
    assert json.loads(refused.stdout)["reason"] == "Hold"


def test_a_refusal(hexa: Hexa, stage: Stage) -> None:
    """One line names machine, rule and remedy; the exit code is 3 and nothing is written."""
    stage.before = lambda world: world.edit("box-1", {"paused": {"reason": "new fan"}})
    result = hexa("box-1", "--yes")
    assert result.exit_code == 3
    assert result.stderr == "hexa: machines/box-1 is not tested: Paused: paused: new fan; hexa resume machines/box-1\n"
    assert stage.hold is None


def test_nobody_to_ask(hexa: Hexa, stage: Stage) -> None:
    """Without a terminal and without --yes nothing is done."""
    result = hexa("box-1")
    assert result.exit_code == 2
    assert "give --yes where nobody can be asked" in result.stderr
    assert stage.hold is None


@pytest.mark.parametrize(("answer", "code"), [("y", 0), ("n", 2), ("", 1)])
def test_it_asks(hexa: Hexa, monkeypatch: pytest.MonkeyPatch, answer: str, code: int) -> None:
    """On a terminal it says what it will do and how long that may take, and goes on only at a yes."""
    monkeypatch.setattr(conformance, "at_a_terminal", lambda: True)
    result = hexa("box-1", input=f"{answer}\n" if answer else "")
    assert result.exit_code == code
    assert "1. drain: cordon it, and ask its pods to leave (at most " in result.stderr
    assert (
        "run its startup Job, startupPodSpec (power.example/switch), until its Kubernetes node is Ready"
        in result.stderr
    )
    assert "Go on? [y/N]" in result.stderr
    assert ("PASS" in result.stdout) == (code == 0)


def test_interrupted(hexa: Hexa, stage: Stage) -> None:
    """Ctrl-C takes the hold back, and says how the machine stands and who brings it up again."""

    def interrupt(world: World) -> None:
        world.site.timers.after(12, partial(signal.raise_signal, signal.SIGINT))

    stage.before = interrupt
    result = hexa("box-1", "--yes")
    assert result.exit_code == 1
    assert "hexa: stopping; taking the hold back" in result.stderr
    assert "NOT TESTED machines/box-1: interrupted" in result.stdout
    assert "; its hold is taken back, and user wants it on" in result.stdout
    assert stage.hold is None


def test_nobody_acts(hexa: Hexa, stage: Stage) -> None:
    """Without an agent the exit code is 1, and the remedy is told."""
    stage.before = lambda world: world.agent.kill()
    result = hexa("box-1", "--yes")
    assert result.exit_code == 1
    assert "NOT TESTED machines/box-1: no hexa agent took note of its hold within 30 s" in result.stdout
    assert "hexa doctor" in result.stdout
    assert stage.hold is None


def test_what_cannot_be_meant(hexa: Hexa) -> None:
    """A name that is no machine's, and a duration that is none."""
    missing = hexa("box-2", "--yes")
    assert (missing.exit_code, "there is no machine of that name" in missing.stderr) == (1, True)
    wrong = hexa("box-1", "--rest", "soon")
    assert (wrong.exit_code, "--rest: " in wrong.stderr) == (2, True)
