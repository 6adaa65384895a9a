"""The pictures of docs/bad-night.md: the night of examples/scenarios/bad-night.yaml is played, and drawn as `hexa simulate`,
`hexa top` and the page draw it.

`python -m tests.docs.night DIR` writes the first two, the same code the same bytes; with `--page` that of the page, by a headless
Chromium.
"""

import os
import re
import sys
import time
from collections.abc import Sequence
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any, Final

import msgspec
import trio
from rich.console import Console
from rich.text import Text
from tests.browser.chromium import open_browser
from tests.browser.shown import open_shown
from tests.scenarios.bad_night import FILE, open_night
from trio.testing import MockClock

from hexa.app.questions.history import Remembered
from hexa.app.questions.live import Live
from hexa.cli.screen.state import UiState
from hexa.cli.screen.view import Frame, lines
from hexa.domain.words.overview import Overview
from hexa.simulate import read_scenario, simulate
from hexa.testing.determinism import repeatable_scheduling

Told = dict[str, Any]
WIDTH: Final = 132
HEIGHT: Final = 25
PAGE_HEIGHT: Final = 1320
DRAWN: Final = (
    "document.querySelectorAll('#hands li').length > 5 && document.querySelector('svg.rows .off').getAttribute('d')"
)
ZONE: Final = "Europe/Berlin"
FONTS: Final = re.compile(r"@font-face \{[^}]*\}\s*")
"""A picture of ours loads nothing from elsewhere."""


def main() -> None:
    """Write all of them."""
    os.environ["TZ"] = ZONE
    time.tzset()
    folder = Path(sys.argv[1])
    with repeatable_scheduling():
        seen, state, day = trio.run(played, clock=MockClock(autojump_threshold=0))
    if "--page" in sys.argv:
        (folder / "bad-night-page.webp").write_bytes(trio.run(photographed, state, day))
        return
    screen = lines(seen, UiState(), Frame(now=seen.at, width=WIDTH, height=HEIGHT))
    (folder / "top.svg").write_text(picture(screen), encoding="utf-8")
    report = simulate(read_scenario(FILE.read_text(encoding="utf-8"), source=FILE.name))
    (folder / "bad-night.svg").write_text(report.svg(), encoding="utf-8")


async def played() -> tuple[Overview, Told, Told]:
    """The end of the night: what a person at a terminal sees, and what the API says of the state and of the day."""
    async with open_night() as (night, passes):
        remembered = Remembered(lambda: night.world.now)
        core = night.core
        core.news.subscribe(remembered.told)
        async for _ in passes():
            pass
        live = Live(core.store, core.views, night.world.kube, beside=night.beside, past=remembered.past)
        stretches = await live.history(timedelta(hours=24))
        state, day = msgspec.to_builtins(live.overview()), msgspec.to_builtins({"stretches": stretches})
        return await night.seen(), state, day


async def photographed(state: Told, day: Told) -> bytes:
    """The page."""
    async with open_shown(state, day) as shown, open_browser() as browser:
        page = await browser.open_page()
        await page.call("Emulation.setTimezoneOverride", timezoneId=ZONE)
        await page.call("Emulation.setScrollbarsHidden", hidden=True)
        await page.wide(1280, height=PAGE_HEIGHT)
        await page.go(shown.url)
        await page.until(DRAWN)
        return await page.picture(quality=82)


def picture(screen: Sequence[Text]) -> str:
    """A screen as SVG."""
    console = Console(width=WIDTH, file=StringIO(), record=True, force_terminal=True, color_system="truecolor")
    for line in screen:
        console.print(line, no_wrap=True, overflow="crop")
    drawn = FONTS.sub("", console.export_svg(title="hexa top", unique_id="hexa-top"))
    return re.sub(r"[ \t]+$", "", drawn, flags=re.MULTILINE)


if __name__ == "__main__":
    main()
