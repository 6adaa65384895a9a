"""`./dev axe`: what axe-core finds on the page, in each look and width. By hand, because it needs npm and the network; its version
is pinned with the hash of its archive. Exits with 1 where it finds something serious."""

import base64
import hashlib
import json
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any, Final

import trio

from tests.browser.chromium import Page, open_browser
from tests.browser.shown import open_shown
from tests.browser.states import day, hostile, site

VERSION: Final = "4.14.1"
INTEGRITY: Final = "sha512-FHfa+lmNjQZfJz1q8wKqIDwC6DExcHt/pkjNQb09a3NPjCKg2rhu5qb2S4r76ASyFNNtuFooJpZe37OgudVGtQ=="
SERIOUS: Final = frozenset({"serious", "critical"})
OPENED: Final = "document.querySelectorAll('details').forEach((each, number) => { each.open = number < 3 })"


def fetched() -> str:
    """axe-core by the client of its registry."""
    with tempfile.TemporaryDirectory(prefix="hexa-axe-") as folder:
        command = ["npm", "pack", f"axe-core@{VERSION}", "--ignore-scripts", "--silent", f"--pack-destination={folder}"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=folder)
        archive = Path(folder, f"axe-core-{VERSION}.tgz")
        found = base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
        if f"sha512-{found}" != INTEGRITY:
            sys.exit(f"axe-core {VERSION} is sha512-{found}, and not what is pinned")
        with tarfile.open(archive) as content:
            file = content.extractfile("package/axe.min.js")
            assert file
            return file.read().decode()


async def findings(page: Page, axe: str) -> list[dict[str, Any]]:
    """All that axe finds on what is shown."""
    await page.run(f"{axe};undefined")
    script = "axe.run(document, {resultTypes: ['violations']}).then((found) => JSON.stringify(found.violations))"
    found: list[dict[str, Any]] = json.loads(await page.run(script))
    return found


async def main() -> None:
    """Print each finding."""
    axe, serious = fetched(), 0
    states = {"20 machines": site(20), "hostile texts": hostile(), "60 machines": site(60), "empty": site(0, groups=0)}
    async with open_browser() as browser:
        for name, state in states.items():
            async with open_shown(state, day(state)) as shown:
                for width, dark in ((390, False), (1280, True), (2560, False)):
                    page = await browser.open_page()
                    await page.wide(width)
                    await page.dark(dark)
                    await page.go(shown.url)
                    await page.until(
                        "!document.getElementById('state').hidden && document.querySelectorAll('.axis span').length"
                    )
                    await page.run(OPENED)
                    found = await findings(page, axe)
                    serious += sum(each["impact"] in SERIOUS for each in found)
                    print(f"{name}, {width} px, {'dark' if dark else 'light'}: {len(found)} findings")
                    for each in found:
                        print(f"  {each['impact']}: {each['id']}: {each['help']}")
                        for node in each["nodes"][:3]:
                            print(f"    {node['html'][:160]}\n    {node['failureSummary'][:300]}")
        async with open_shown(site(3), day(site(3)), token="t") as shown:
            page = await browser.open_page()
            await page.go(shown.url)
            await page.until("!document.getElementById('token').hidden")
            found = await findings(page, axe)
            serious += sum(each["impact"] in SERIOUS for each in found)
            print(f"the question for a token: {[each['id'] for each in found]}")
    sys.exit(1 if serious else 0)


if __name__ == "__main__":
    trio.run(main)
