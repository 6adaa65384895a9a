"""Somebody else undoes what hexa writes, each time anew: the API server is spared, it is told once, and machines go on."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from hexa.adapters.memory.settings import Settings as Site
from hexa.app.pace import APART, AT_ONCE, Pace
from hexa.domain.errors import Refused
from hexa.domain.machine.lifecycle import Phase
from hexa.domain.news import What
from hexa.domain.resources.core import NODES, Kind
from hexa.domain.resources.v1alpha1 import MACHINES
from hexa.ports.kube import ChangeType, Patch
from hexa.testing.world import World, group, machine, open_world

Raw = Mapping[str, Any]
OFF = {"spec": {"powerState": "off"}}
MOMENT = 0.05
"""Seconds that the other program takes to undo it."""


def ours(found: Mapping[str, Any]) -> dict[str, None]:
    """What is hexa's of labels or annotations, as a patch that takes it off."""
    return {key: None for key in found if "homecluster" in key}


def labels(raw: Raw) -> dict[str, Any] | None:
    """A label controller that knows only its own."""
    found = ours(raw["metadata"].get("labels", {}))
    return {"metadata": {"labels": found}} if found else None


def annotations(raw: Raw) -> dict[str, Any] | None:
    """A tool that replaces objects as a whole."""
    found = ours(raw["metadata"].get("annotations", {}))
    return {"metadata": {"annotations": found}} if found else None


def cordon(raw: Raw) -> dict[str, Any] | None:
    """Somebody who wants every node open."""
    return {"spec": {"unschedulable": None}} if raw["spec"].get("unschedulable") else None


def suspended(raw: Raw) -> dict[str, Any] | None:
    """A controller that writes conditions as a whole."""
    found = raw.get("status", {}).get("conditions", [])
    left = [each for each in found if each["type"] != "Suspended"]
    return {"status": {"conditions": left}} if left != found else None


def finalizers(raw: Raw) -> dict[str, Any] | None:
    """A policy that forbids finalizers."""
    return {"metadata": {"finalizers": None}} if raw["metadata"].get("finalizers") else None


Undoes = Callable[[Raw], dict[str, Any] | None]


def undo(world: World, kind: Kind[Any], what: Undoes) -> None:
    """Another program takes it off, a moment after it is there."""
    api, waiting = world.site.api, list[bool]()

    def act(key: tuple[str, str]) -> None:
        waiting.clear()
        stored = api.get(kind, key[1], key[0])
        if stored is not None and (body := what(stored.raw)) is not None:
            api.patch(kind, key, Patch(body, subresource="status" if "status" in body else ""), manager="other")

    def changed(event: Any) -> None:
        key = event.stored.key
        if event.type is not ChangeType.DELETED and key[1] == "box-1" and not waiting and what(event.stored.raw):
            waiting.append(True)
            world.site.timers.after(MOMENT, lambda: act(key))

    api.listen(kind, changed)


@pytest.mark.parametrize("leave", ["Delete", "Keep"])
@pytest.mark.parametrize(
    ("kind", "what"),
    [
        (NODES, labels),
        (NODES, annotations),
        (NODES, cordon),
        (NODES, suspended),
        (MACHINES, annotations),
        (MACHINES, finalizers),
    ],
    ids=lambda given: getattr(given, "__name__", getattr(given, "plural", "")) if not isinstance(given, str) else given,
)
async def test_what_somebody_undoes_each_time_is_written_seldom(
    autojump_clock: MockClock, kind: Kind[Any], what: Undoes, leave: str
) -> None:
    """The machine comes and goes all the same, and there is one Event for its owner while that lasts."""
    rack = group("rack", maxNodeProvisionTime="2m", nodeLeavePolicy=leave)
    box = machine("box-1", group="rack", boot_seconds=8.0)
    async with open_world(groups=[rack], machines=[box], autoscaler=None, site=Site(pod_start=0.2)) as world:
        undo(world, kind, what)
        for power, phase in (("on", Phase.READY), ("off", Phase.OFF), ("on", Phase.READY)):
            assert world.agent.life is not None
            before = world.agent.life.kube.count("patch", NODES) + world.agent.life.kube.count("patch", MACHINES)
            world.edit("box-1", {"powerState": power})
            await trio.sleep(120)
            assert world.phase("box-1") is phase
            after = world.agent.life.kube.count("patch", NODES) + world.agent.life.kube.count("patch", MACHINES)
            assert after - before < 60
        told = [each for each in world.journal.events if each.reason == What.CONTESTED]
        assert 1 <= len(told) <= 4


async def test_a_group_does_not_wake_for_ever_what_somebody_puts_off_each_time(autojump_clock: MockClock) -> None:
    """A tool puts spec.powerState back to off as often as minSize wakes the machine: it is woken six times, then once in five
    minutes, and another machine is asked. Its owner hears of it once."""
    rack = group("rack", maxNodeProvisionTime="2m", minSize=1)
    boxes = [machine(f"box-{number}", group="rack", boot_seconds=8.0) for number in (1, 2)]
    async with open_world(groups=[rack], machines=boxes, autoscaler=None, site=Site(pod_start=0.2)) as world:
        undo(world, MACHINES, lambda raw: OFF if raw["spec"].get("powerState") == "on" else None)
        asked = list[str]()

        def changed(event: Any) -> None:
            power = event.stored.raw["spec"].get("powerState", "")
            if event.stored.key[1] == "box-1" and [power] != asked[-1:]:
                asked.append(power)

        world.site.api.listen(MACHINES, changed)
        world.edit("box-1", OFF["spec"])
        world.edit("box-2", {"hold": {"power": "off"}})
        began = trio.current_time()
        await trio.sleep(600)
        assert 6 <= asked.count("on") <= 9
        told = [each for each in world.journal.events if each.reason == What.CONTESTED]
        assert len(told) == 1
        world.edit("box-2", {"hold": None})
        await world.until(lambda: world.phase("box-2") is Phase.READY, within=60)
        assert trio.current_time() - began < 700


async def test_what_is_not_allowed_is_not_contested(autojump_clock: MockClock) -> None:
    """A cordon that hexa may not write is tried on, and the drain ends at its deadline as any other."""
    rack = group("rack", maxNodeProvisionTime="2m", timeouts={"drain": "3m"})
    box = machine("box-1", group="rack", boot_seconds=8.0)
    async with open_world(groups=[rack], machines=[box], autoscaler=None) as world:
        world.edit("box-1", {"powerState": "on"})
        await world.until(lambda: world.phase("box-1") is Phase.READY, within=60)
        await trio.sleep(10)
        assert world.agent.life is not None
        refusal = Refused("no right", reason="Forbidden")
        world.agent.life.kube.fail_next(refusal, verb="patch", kind=NODES, times=10_000)
        world.edit("box-1", {"powerState": "off"})
        await world.until(lambda: world.phase("box-1") is Phase.DRAINING, within=5)
        await world.until(lambda: world.phase("box-1") is Phase.READY, within=185)
        assert What.CONTESTED not in {each.reason for each in world.journal.events}


async def test_a_pace_is_quick_at_first_and_slow_for_who_goes_on(autojump_clock: MockClock) -> None:
    """Twelve times at once, then one each half minute; a rest gives them back; each key has its own."""
    pace = Pace[str]()
    for _ in range(AT_ONCE):
        assert pace.rests("a") == 0
        pace.did("a")
    assert (pace.rests("a"), pace.rests("b")) == (APART, 0)
    assert (pace.begins("a"), pace.begins("a")) == (True, False)
    await trio.sleep(APART)
    assert pace.rests("a") == 0
    pace.did("a")
    assert pace.rests("a") == APART
    assert not pace.begins("a")
    await trio.sleep(APART * AT_ONCE)
    pace.did("a")
    assert pace.begins("a")
    pace.forget("a".__eq__)
    for _ in range(AT_ONCE):
        assert pace.rests("a") == 0
        pace.did("a")
