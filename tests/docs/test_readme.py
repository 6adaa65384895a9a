"""The answers that README shows are those that hexa gives."""

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Final

import pytest
import trio
from tests.cli.sites import Clock, opens
from tests.docs.pages import ROOT, blocks_of
from trio.testing import MockClock
from typer.testing import CliRunner

from hexa import wiring
from hexa.adapters.memory.ports.kube import MemoryKube
from hexa.cli.app import app
from hexa.domain.machine.lifecycle import Phase
from hexa.domain.resources.core import NODES, PODS
from hexa.ports.kube import Patch
from hexa.testing.world import World, group, machine, open_world

PLACE: Final = "hexa-machines"
START: Final = datetime(2026, 11, 30, 9, tzinfo=UTC)
HEXA: Final = {
    "metadata": {"name": "hexa-0", "namespace": "hexa-system", "labels": {"app.kubernetes.io/name": "hexa"}},
    "spec": {"nodeName": "server-1", "containers": []},
}


def shown(beginning: str) -> list[str]:
    """The lines of README's block that begins so."""
    (text,) = (each.text for each in blocks_of(ROOT / "README.md") if each.text.startswith(beginning))
    return text.splitlines()


def missing(lines: Iterable[str], answer: str) -> list[str]:
    """The lines that the answer does not have, or not in this order; names of pods, which a counter gives, apart."""
    there: Iterator[str] = iter(_named(answer).splitlines())
    return [line for line in lines if line.strip() != "..." and _named(line) not in there]


def _named(text: str) -> str:
    return re.sub(r"\bweb-\w+", "web-POD", text)


async def rack() -> tuple[World, datetime]:
    """Two machines that are up; the second is held off, and its only pod has a budget that allows no disruption. With the
    moment in which all stopped."""
    boxes = [machine(f"worker-0{number}", group="rack", namespace=PLACE, on=True) for number in (1, 2)]
    async with open_world(
        groups=[group("rack", namespace=PLACE)], machines=boxes, autoscaler=None, start=START
    ) as world:
        await world.until(
            lambda: {world.phase(each.name, namespace=PLACE) for each in boxes} == {Phase.READY}, within=60
        )
        world.cordon("worker-01")
        world.add_pods(1, name="web", cpu="1")
        world.add_budget(name="web", minAvailable=1)
        world.site.api.create(PODS, HEXA)
        await world.settle()
        world.site.api.patch(NODES, ("", "worker-01"), Patch({"spec": {"unschedulable": None}}), manager="kubectl")
        await trio.sleep(600)
        until = (world.now + timedelta(hours=2)).isoformat()
        world.edit("worker-02", {"hold": {"power": "off", "until": until, "reason": "new fan"}}, namespace=PLACE)
        await trio.sleep(90)
        return world, world.now


def test_readme_shows_what_hexa_why_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each line of README's `hexa why` stands in the answer for such a machine, in the same order."""
    world, now = trio.run(rack, clock=MockClock(autojump_threshold=0))
    clock = Clock(now)
    opens(monkeypatch, MemoryKube(world.site.api, manager="kubectl"), namespace=PLACE)
    monkeypatch.setattr(wiring, "system_clock", lambda: clock)
    monkeypatch.setattr(world.site.api, "now", clock.now)
    answer = CliRunner().invoke(app, ["why", "worker-02"], catch_exceptions=False).stdout
    assert missing(shown("$ hexa why")[1:], answer) == []


@pytest.mark.long
def test_readme_shows_what_the_demo_prints() -> None:
    """The figures of README are those of `./dev demo`."""
    week = ROOT / "examples" / "scenarios" / "office-week.yaml"
    answer = CliRunner().invoke(app, ["simulate", str(week)], catch_exceptions=False).stdout
    assert missing(shown("Machine-hours on"), answer) == []
