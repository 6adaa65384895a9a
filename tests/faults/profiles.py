"""Machines that a PowerProfile says how to switch; it goes, comes back and changes. Drawn from a seed of their own."""

from collections.abc import Awaitable, Callable
from random import Random
from typing import Any, Final

from msgspec import structs

from hexa.domain.resources.v1alpha1 import PROFILES
from hexa.testing.world import profile
from hexa.testing.world.builders import NAMESPACE
from hexa.testing.world.people import delete_profile
from tests.faults.acts import Stage
from tests.faults.script import Act, Box

NAME: Final = "bmc"
POWER: Final = {"ipmi": {"address": "{host}-bmc.lan", "secretName": "bmc"}}
AWAY, OPEN, MOVED = "profileAway", "profileOpen", "profileMoved"
SPANS: Final = (0.0, 0.5, 5.0, 30.0, 120.0, 600.0)


def draw_profiles(seed: int, hurts: float, boxes: tuple[Box, ...]) -> tuple[list[Act], tuple[Box, ...]]:
    """Most machines with a BMC take it from the profile, and up to four things happen to that."""
    dice = Random(f"profiles {seed}")
    taking = {box.name for box in boxes if box.power == "bmc" and dice.random() < 0.8}
    found = tuple(structs.replace(box, more=box.more | _taken(box)) if box.name in taking else box for box in boxes)
    acts = [_act(dice, hurts) for _ in range(dice.randint(0, 4))]
    return (acts if taking else []), found


def _taken(box: Box) -> dict[str, Any]:
    return {"profile": NAME, "parameters": {"host": box.name}}


def _act(dice: Random, hurts: float) -> Act:
    what = dice.choices((AWAY, OPEN, MOVED), (3, 2, 1))[0]
    at = round(dice.uniform(0, hurts * 0.9), dice.choice((0, 1, 3)))
    return Act(at=at, what=what, value=dice.choice(("-bmc.lan", "-ilo.lan")), duration=dice.choice(SPANS))


def manifests(boxes: tuple[Box, ...]) -> list[Any]:
    """The profile, where a machine takes it."""
    return [profile(NAME, power=POWER)] if any("profile" in box.more for box in boxes) else []


def _there(stage: Stage) -> bool:
    return stage.world.site.api.get(PROFILES, NAME, NAMESPACE) is not None


def back(stage: Stage) -> None:
    """It is there, and complete."""
    if not any("profile" in box.more for box in stage.script.boxes):
        return
    if not _there(stage):
        stage.world.add_profile(profile(NAME, power=POWER))
        return
    _addressed(stage, POWER["ipmi"]["address"])


def _addressed(stage: Stage, address: str) -> None:
    stage.edit(PROFILES, NAME, {"spec": {"power": {"ipmi": {"address": address}}}})


async def _away(stage: Stage, act: Act) -> None:
    if _there(stage):
        delete_profile(stage.world, NAME)
    stage.later(act.duration, lambda: back(stage))


async def _open(stage: Stage, act: Act) -> None:
    _addressed(stage, "{host}.{room}")
    stage.later(act.duration, lambda: back(stage))


async def _moved(stage: Stage, act: Act) -> None:
    _addressed(stage, f"{{host}}{act.value}")


DO: dict[str, Callable[[Stage, Act], Awaitable[None]]] = {AWAY: _away, OPEN: _open, MOVED: _moved}
