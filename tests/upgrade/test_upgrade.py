"""From each recorded version to this one, and back: no power action is repeated, and no field is lost."""

from collections import Counter
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
from trio.testing import MockClock

from hexa.domain.machine.lifecycle import Phase
from hexa.domain.resources.core import decode
from hexa.domain.resources.v1alpha1 import GROUPS, MACHINES
from hexa.testing.world import World
from hexa.yaml import read_documents
from tests.scenarios.stage import at
from tests.upgrade.lives import killed_in

FILES: Final = sorted(Path(__file__).parent.glob("[0-9]*/*.yaml"))
KINDS: Final[dict[str, Any]] = {"Group": GROUPS, "Node": MACHINES}
LATER: Final = "fromALaterVersion"
ALL_JOBS: Final = {
    "Unknown": [],
    "Off": [],
    "PoweringOn": ["startup"],
    "Booting": ["startup"],
    "Ready": ["startup"],
    "Draining": ["startup", "shutdown"],
    "PoweringOff": ["startup", "shutdown"],
}
"""Of the first machine, before and after the upgrade; the failures try again."""
WANTED_ON: Final = {"Unknown", "PoweringOn", "Booting", "Ready", "StartFailed", "Lost"}


def objects(file: Path) -> list[dict[str, Any]]:
    """What a version stored."""
    return [document.value for document in read_documents(file.read_text(), source=str(file))]


def names(files: list[Path]) -> list[str]:
    """VERSION-PHASE."""
    return [f"{file.parent.name}-{file.stem}" for file in files]


def written(value: msgspec.Struct) -> Any:
    """As it goes to the API server."""
    return msgspec.json.decode(msgspec.json.encode(value))


def lost(before: Any, after: Any, path: str = "") -> list[str]:
    """The fields that are not there any more, or say something else."""
    if isinstance(before, dict) and isinstance(after, dict):
        return [each for key in before for each in lost(before[key], after.get(key), f"{path}.{key}")]
    if isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        return [
            each
            for index, pair in enumerate(zip(before, after, strict=True))
            for each in lost(*pair, f"{path}[{index}]")
        ]
    same = before == after or (not before and after is None)  # nothing is written where nothing is said
    return [] if same else [f"{path}: {before!r} became {after!r}"]


def test_every_phase_is_recorded() -> None:
    """Each recorded version has a site for each phase."""
    assert FILES
    for version in {file.parent for file in FILES}:
        assert {file.stem for file in FILES if file.parent == version} == {str(phase) for phase in Phase}


@pytest.mark.parametrize("file", FILES, ids=names(FILES))
def test_no_field_is_lost(file: Path) -> None:
    """What a released version stored is read as it is, and would be written with every field and value."""
    for value in objects(file):
        read = decode(KINDS[value["kind"]], value)
        assert not lost(value.get("status", {}), written(read.status)), value["metadata"]["name"]
        assert not lost(value["spec"], written(read.spec)), value["metadata"]["name"]


def put_back(world: World, file: Path) -> None:
    """The site's objects become what the version had stored at this moment of the same story, and what a later one would add."""
    for value in objects(file):
        kind = KINDS[value["kind"]]
        old = world.site.api.get(kind, value["metadata"]["name"], value["metadata"]["namespace"])
        assert old is not None
        annotations = value["metadata"].get("annotations", {})
        metadata = {**old.raw["metadata"], "annotations": annotations}
        status = {**value.get("status", {}), LATER: {"kept": True}}
        world.site.api.write(kind, old, status=status, spec={**value["spec"], LATER: 1}, metadata=metadata)


@pytest.mark.parametrize("file", FILES, ids=names(FILES))
async def test_taken_over_without_a_repeated_job(file: Path, autojump_clock: MockClock) -> None:
    """This version goes on where the recorded one was killed: no Job twice for one attempt, and unknown fields stay."""
    async with killed_in(Phase(file.stem)) as (world, jobs):
        put_back(world, file)
        if file.stem == "Draining":
            world.scale(0)  # the budget that held it has nothing to guard any more
        await world.start_agent()
        if file.stem in ("StartFailed", "Lost"):
            world.hardware("box-1").lose_power()
        goal = Phase.READY if file.stem in WANTED_ON else Phase.OFF
        await world.until(at(world, goal), within=4000, every=2)
        assert world.phase("box-2") is Phase.OFF
        assert jobs.most <= 1
        if file.stem in ALL_JOBS:
            assert jobs.of("box-1") == ALL_JOBS[file.stem]
        assert max(Counter(jobs.made).values(), default=1) == 1
        assert not [each for each in jobs.made if each[0] == "box-2"]
        for kind, name in ((GROUPS, "rack"), (MACHINES, "box-1"), (MACHINES, "box-2")):
            kept = world.site.api.get(kind, name, "machines")
            assert kept is not None
            assert (kept.raw["status"][LATER], kept.raw["spec"][LATER]) == ({"kept": True}, 1)
