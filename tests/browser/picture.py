"""`./dev screenshot`: the page at the end of a scenario, light and dark, as WebP files for README and docs."""

import argparse
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import msgspec
import trio
from trio.testing import MockClock

from hexa.app.questions.history import Remembered
from hexa.app.questions.live import Live
from hexa.app.questions.overview import Beside
from hexa.simulate.reading import read_scenario
from hexa.simulate.runner import open_scenario, run_scenario
from hexa.simulate.scenario import Scenario
from hexa.testing.determinism import repeatable_scheduling
from tests.browser.chromium import open_browser
from tests.browser.shown import open_shown

ROOT: Final = Path(__file__).parents[2]
SCENARIO: Final = Path(__file__).with_name("office.yaml")
DAY: Final = timedelta(hours=24)
READY: Final = "document.querySelector('svg.rows .off').getAttribute('d').split('M').length > 3"

Told = tuple[dict[str, Any], dict[str, Any]]
"""State and history, as the API says them."""


def main() -> None:
    """Draw it."""
    parser = argparse.ArgumentParser(description="Draw the page at the end of a scenario, light and dark.")
    parser.add_argument("--scenario", type=Path, default=SCENARIO)
    parser.add_argument("--output", type=Path, default=ROOT / "docs" / "page", help="OUTPUT-light.webp and -dark.webp")
    given = parser.parse_args()
    file: Path = given.scenario
    scenario = read_scenario(file.read_text("utf-8"), source=file.name)
    with repeatable_scheduling():
        state, day = trio.run(recorded, scenario, clock=MockClock(autojump_threshold=0))
    files = {look: given.output.with_name(f"{given.output.name}-{look}.webp") for look in ("light", "dark")}
    for look, picture in trio.run(drawn, state, day, tuple(files)).items():
        files[look].write_bytes(picture)
        print(f"{files[look]}: {len(picture) / 1000:.0f} kB")


async def recorded(scenario: Scenario) -> Told:
    """Play the scenario: what the API says of state and history at its end."""
    async with open_scenario(scenario, scenario.seed) as world:
        await world.start_agent()
        life = world.agent.life
        assert life is not None
        remembered = Remembered(lambda: world.now)
        life.core.news.subscribe(remembered.told)
        await run_scenario(world, scenario, scenario.seed)
        beside = Beside(version="0.1.0")
        live = Live(life.core.store, life.core.views, world.kube, beside=beside, past=remembered.past)
        day = {"stretches": await live.history(DAY)}
        return msgspec.to_builtins(live.overview()), msgspec.to_builtins(day)


async def drawn(state: dict[str, Any], day: dict[str, Any], looks: tuple[str, ...]) -> dict[str, bytes]:
    """The page, light or dark."""
    found = {}
    async with open_shown(state, day) as shown, open_browser() as browser:
        page = await browser.open_page()
        await page.call("Emulation.setTimezoneOverride", timezoneId="Europe/Berlin")
        await page.call("Emulation.setScrollbarsHidden", hidden=True)
        await page.wide(1280, height=1240)
        for look in looks:
            await page.dark(look == "dark")
            await page.go(shown.url)
            await page.until(READY)
            found[look] = await page.picture(quality=82)
    return found


if __name__ == "__main__":
    main()
