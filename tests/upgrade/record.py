"""Keeps what this version stores, for the tests of later versions: `./dev record-release`, see docs/releasing.md."""

from importlib.metadata import version
from pathlib import Path
from typing import Final

import trio
from trio.testing import MockClock

from hexa import DISTRIBUTION
from hexa.domain.machine.lifecycle import Phase
from hexa.yaml import write_document
from tests.upgrade.lives import WAYS, killed_in, stored

FOLDER: Final = Path(__file__).parent


async def record(phase: Phase) -> str:
    """The objects of a site whose first machine is in this phase, as YAML."""
    async with killed_in(phase) as (world, _):
        return "---\n".join(map(write_document, stored(world)))


def main() -> None:
    """One file for each phase."""
    folder = FOLDER / version(DISTRIBUTION)
    folder.mkdir(exist_ok=True)
    for phase in WAYS:
        text = trio.run(record, phase, clock=MockClock(autojump_threshold=0))
        (folder / f"{phase}.yaml").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
