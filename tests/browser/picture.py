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
from hexa.simulate import runner
from hexa.simulate.reading import read_scenario
from hexa.simulate.scenario import Scenario
from hexa.simulate.workloads import plan
from hexa.testing.determinism import repeatable_scheduling
from hexa.testing.world import open_world
from tests.browser.chromium import open_browser
from tests.browser.shown import open_shown

ROOT: Final = Path(__file__).parents[2]
SCENARIO: Final = Path(__file__).with_name("office.yaml")
DAY: Final = timedelta(hours=24)
READY: Final = "document.querySelector('svg.rows .off').getAttribute('d').split('M').length > 3"


def main() -> None:
    """Draw both."""
    parser = argparse.ArgumentParser(description="Draw the page at the end of a scenario.")
    parser.add_argument("--scenario", type=Path, default=SCENARIO)
    parser.add_argument(
        "--output", type=Path, default=ROOT / "docs" / "page", help="the files are OUTPUT-light.webp and -dark"
    )
    parser.add_argument("--width", type=int, default=1280)
    parser.add_argument("--height", type=int, default=1240)
    given = parser.parse_args()
    scenario = read_scenario(given.scenario.read_text(encoding="utf-8"), source=given.scenario.name)
    with repeatable_scheduling():
        state, day = trio.run(recorded, scenario, clock=MockClock(autojump_threshold=0))
    for look, picture in trio.run(drawn, state, day, given.width, given.height).items():
        file = given.output.with_name(f"{given.output.name}-{look}.webp")
        file.write_bytes(picture)
        print(f"{file}: {len(picture) / 1000:.0f} kB")


async def recorded(scenario: Scenario) -> tuple[dict[str, Any], dict[str, Any]]:
    """Play the scenario: what the API says of state and history at its end."""
    async with open_world(
        groups=[runner._group(manifest) for manifest in scenario.groups],
        machines=[each for row in scenario.machines if row.group for each in runner._machines(row)],
        autoscaler=runner._settings(scenario.autoscaler),
        start=scenario.start,
    ) as world:
        for row in scenario.machines:
            if not row.group:
                runner._always_on(world, row, {})
        remembered = Remembered(lambda: world.now)
        assert world.agent.life is not None
        world.agent.life.core.news.subscribe(remembered.told)
        await runner._play(world, scenario, plan(scenario, seed=scenario.seed), None)
        life = world.agent.life
        assert life is not None
        live = Live(life.core.store, life.core.views, world.kube, beside=Beside(version="0.1.0"), past=remembered.past)
        found = await live.history(DAY)
        return msgspec.to_builtins(live.overview()), msgspec.to_builtins({"stretches": found})


async def drawn(state: dict[str, Any], day: dict[str, Any], width: int, height: int) -> dict[str, bytes]:
    """The page, light and dark."""
    found = {}
    async with open_shown(state, day) as shown, open_browser() as browser:
        page = await browser.open_page()
        await page.call("Emulation.setTimezoneOverride", timezoneId="UTC")
        await page.call("Emulation.setScrollbarsHidden", hidden=True)
        await page.wide(width, height=height)
        for look in ("light", "dark"):
            await page.dark(look == "dark")
            await page.go(shown.url)
            await page.until(READY)
            found[look] = await page.picture(quality=82)
    return found


if __name__ == "__main__":
    main()
