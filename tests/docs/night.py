"""The pictures of docs/bad-night.md: the night of examples/scenarios/bad-night.yaml is played, and drawn as `hexa simulate` and
`hexa top` draw it. `python -m tests.docs.night DIR` writes them; the same code writes the same bytes."""

import os
import re
import sys
import time
from collections.abc import Sequence
from io import StringIO
from pathlib import Path
from typing import Final

import trio
from rich.console import Console
from rich.text import Text
from tests.scenarios.bad_night import FILE, open_night
from trio.testing import MockClock

from hexa.cli.screen.state import UiState
from hexa.cli.screen.view import Frame, lines
from hexa.domain.words.overview import Overview
from hexa.simulate import read_scenario, simulate
from hexa.testing.determinism import repeatable_scheduling

WIDTH: Final = 132
HEIGHT: Final = 25
ZONE: Final = "Europe/Berlin"
FONTS: Final = re.compile(r"@font-face \{[^}]*\}\s*")
"""A picture of ours loads nothing from elsewhere."""


def main() -> None:
    """Write all of them."""
    os.environ["TZ"] = ZONE
    time.tzset()
    folder = Path(sys.argv[1])
    with repeatable_scheduling():
        seen = trio.run(played, clock=MockClock(autojump_threshold=0))
    screen = lines(seen, UiState(), Frame(now=seen.at, width=WIDTH, height=HEIGHT))
    (folder / "top.svg").write_text(picture(screen), encoding="utf-8")
    report = simulate(read_scenario(FILE.read_text(encoding="utf-8"), source=FILE.name))
    (folder / "bad-night.svg").write_text(report.svg(), encoding="utf-8")


async def played() -> Overview:
    """What a person at a terminal sees at the end of the night."""
    async with open_night() as (night, passes):
        async for _ in passes():
            pass
        return await night.seen()


def picture(screen: Sequence[Text]) -> str:
    """A screen as SVG."""
    console = Console(width=WIDTH, file=StringIO(), record=True, force_terminal=True, color_system="truecolor")
    for line in screen:
        console.print(line, no_wrap=True, overflow="crop")
    drawn = FONTS.sub("", console.export_svg(title="hexa top", unique_id="hexa-top"))
    return re.sub(r"[ \t]+$", "", drawn, flags=re.MULTILINE)


if __name__ == "__main__":
    main()
