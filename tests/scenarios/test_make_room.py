"""A person's off of a machine whose pods fit nowhere else: blocked and told, or another machine makes room first."""

from typing import Any

import pytest
import trio
from tests.scenarios.stage import QUICK, boxes, rack, reach, up
from trio.testing import MockClock

from hexa.adapters.memory.ports.kube import MemoryKube
from hexa.app.commands.shared.snapshot import take
from hexa.app.commands.switch import Change, write
from hexa.domain.machine.lifecycle import Phase
from hexa.testing.world import World, open_world

FULL = {"cpu": "3"}


async def off(world: World, name: str, *, make_room: bool = True) -> str:
    """`hexa off`, and what it says."""
    kube = MemoryKube(world.site.api, manager="kubectl")
    snapshot = await take(kube, clock=world.site.clock, namespace="machines")
    hold: dict[str, Any] = {"power": "off", "until": None, "makeRoom": make_room or None}
    change = Change(field="hold", value=hold, done="held off")
    (answer,) = await write(kube, snapshot, change, machines=[name], groups=[], namespace="machines")
    return "\n".join(answer.warnings)


async def crowded(world: World, *on: str) -> None:
    """Each of the machines is on and full of one pod."""
    await reach(world, Phase.OFF)
    await up(world, *on)
    world.add_pods(len(on), cpu="3")
    await world.until(lambda: world.waiting == 0, within=60)


def blocked(world: World, name: str = "box-1") -> str:
    """Why the machine stays on."""
    return next((c.message for c in world.node(name).status.conditions if c.type == "Blocked"), "")


async def test_off_names_who_would_make_room_and_stays_blocked(autojump_clock: MockClock) -> None:
    """Without --make-room the pods keep their machine on; `hexa off` says so at once, with the machine that would make room."""
    async with open_world(groups=[rack()], machines=boxes(3), autoscaler=None, site=QUICK) as world:
        await crowded(world, "box-1")
        told = await off(world, "box-1", make_room=False)
        assert "fit on no other node; machines/box-2 would make room: hexa off machines/box-1 --make-room" in told
        await world.until(lambda: "fits on no other node" in blocked(world), within=60)
        await trio.sleep(60)
        assert world.phase("box-2") is Phase.OFF
        assert world.waiting == 0


async def test_make_room_wakes_one_machine_moves_the_pods_and_goes_off(autojump_clock: MockClock) -> None:
    """One machine is woken for the pods, they move without waiting, the machine goes off, and the one that made room stays."""
    async with open_world(groups=[rack()], machines=boxes(3), autoscaler=None, site=QUICK) as world:
        await crowded(world, "box-1")
        assert "machines/box-2 is woken first" in await off(world, "box-1")
        await world.until(lambda: "box-2 is woken to make room" in blocked(world), within=30)
        await reach(world, Phase.OFF, within=120)
        await trio.sleep(120)
        assert world.phases() == {"box-1": Phase.OFF, "box-2": Phase.READY, "box-3": Phase.OFF}
        assert world.waiting == 0
        wish = world.node("box-2").status.wish
        assert wish is not None
        assert (wish.reason, wish.makes_room_for) == ("MakesRoom", "machines/box-1")


@pytest.mark.parametrize(
    "seconds", [4.0, pytest.param(1.0, marks=pytest.mark.long), pytest.param(9.0, marks=pytest.mark.long)]
)
async def test_make_room_outlives_the_agent(autojump_clock: MockClock, seconds: float) -> None:
    """Killed while it makes room, hexa goes on from what is stored, and wakes no second machine."""
    async with open_world(groups=[rack()], machines=boxes(3), autoscaler=None, site=QUICK) as world:
        await crowded(world, "box-1")
        await off(world, "box-1")
        await trio.sleep(seconds)
        await world.restart_agent(after=5.0)
        await reach(world, Phase.OFF, within=300)
        assert world.phases() == {"box-1": Phase.OFF, "box-2": Phase.READY, "box-3": Phase.OFF}
        assert world.waiting == 0


async def test_make_room_respects_max_size_and_says_so(autojump_clock: MockClock) -> None:
    """Where maxSize leaves no machine that could be on besides, none is woken, and both hexa off and the condition name maxSize."""
    async with open_world(groups=[rack(maxSize=1)], machines=boxes(2), autoscaler=None, site=QUICK) as world:
        await crowded(world, "box-1")
        assert "maxSize of machines/rack leaves no machine to make room" in await off(world, "box-1")
        await world.until(lambda: "maxSize of machines/rack" in blocked(world), within=60)
        await trio.sleep(60)
        assert world.phase("box-2") is Phase.OFF
        world.edit_group("rack", {"maxSize": 2})
        await reach(world, Phase.OFF, within=600)
        assert (world.phase("box-2"), world.waiting) == (Phase.READY, 0)


@pytest.mark.long
async def test_make_room_wakes_no_machine_that_is_held_off_or_too_small(autojump_clock: MockClock) -> None:
    """A machine that a person holds off, or that the pods do not fit on, makes no room; the next one does."""
    small = boxes(3)[2]
    small.manifest["spec"]["template"]["capacity"]["cpu"] = "2"
    held = boxes(2)[1]
    held.manifest["spec"]["hold"] = {"power": "off"}
    machines = [boxes(1)[0], held, small, boxes(4)[3]]
    async with open_world(groups=[rack()], machines=machines, autoscaler=None, site=QUICK) as world:
        await crowded(world, "box-1")
        assert "machines/box-4 is woken first" in await off(world, "box-1")
        await reach(world, Phase.OFF, within=120)
        on = {name for name, phase in world.phases().items() if phase is not Phase.OFF}
        assert (on, world.waiting) == ({"box-4"}, 0)


@pytest.mark.long
async def test_make_room_takes_the_next_machine_where_one_fails(autojump_clock: MockClock) -> None:
    """The machine that was to make room does not come: after its boot is given up the next one is woken."""
    async with open_world(groups=[rack()], machines=boxes(3), autoscaler=None, site=QUICK) as world:
        await crowded(world, "box-1")
        world.inject({"kind": "dead", "machine": "box-2"})
        await off(world, "box-1")
        await reach(world, Phase.OFF, within=900)
        assert world.phase("box-3") is Phase.READY
        assert world.waiting == 0
