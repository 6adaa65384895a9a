"""The page with 200 machines: CPU of the agent's process with ten viewers, and how long a browser takes until all rows are painted.

The API server in RAM runs in another process; machines are Ready and renew their leases. In every other row
somebody holds another machine each second. The yardstick is the same agent with nobody who looks. Paint needs a Chromium on PATH.
"""

import os
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import msgspec
import trio
from _api_server import SPACE
from _process import cpu_seconds, resident_mib, serving
from _table import show
from _viewers import VIEWERS, Seen, watched
from first_sight import API_SERVER, agent, answers, phases

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.browser.chromium import find_chromium, open_browser

COUNT, GROUPS = 200, 10
SPAN = 60.0
HEADS = ["", "CPU s a minute", "RSS MiB", "states a viewer was sent a minute"]
PAINTED = """new MutationObserver((_, all) => {
  if (document.querySelectorAll('li.machine').length < %d) return;
  all.disconnect();
  requestAnimationFrame(() => setTimeout(() => { window.painted = performance.now() }));
}).observe(document, {subtree: true, childList: true})"""


def main() -> None:
    http = "127.0.0.1:18080"
    os.environ |= {"HEXA_HTTP_ADDRESS": http, "HEXA_HTTP_ANONYMOUS_READ": "true"}
    with (
        tempfile.TemporaryDirectory() as folder,
        serving(API_SERVER, str(COUNT), str(GROUPS), "live") as (_, served),
        agent(served["server"], Path(folder)) as (process, _, _),
    ):
        while phases(served["server"]) != {"Ready": COUNT} or not answers(http):
            time.sleep(0.5)
        time.sleep(15)
        rows: list[list[Any]] = [["nobody looks", *spent(process, Seen())]]
        with changing(served["server"]):
            rows.append(["nobody looks, a hold each second", *spent(process, Seen())])
        with watched(http) as seen:
            rows.append(["ten viewers", *spent(process, seen)])
            with changing(served["server"], first=COUNT // 2):
                rows.append(["ten viewers, a hold each second", *spent(process, seen)])
        note = f"{COUNT} machines of {GROUPS} groups, Ready, {COUNT / 10:g} leases a second"
        show("The agent while people look at the page", HEADS, rows, note=note)
        if find_chromium():
            paints = trio.run(painted, f"http://{http}/")
            heads = ["", "first contentful paint ms", "all rows painted ms"]
            show(f"A browser that opens the page of {COUNT} machines", heads, paints)


def spent(process: int, seen: Seen) -> list[float]:
    """CPU seconds of a minute, memory, and states that were sent."""
    before, states = cpu_seconds(process), seen.states
    time.sleep(SPAN)
    used, sent = cpu_seconds(process) - before, (seen.states - states) / VIEWERS
    return [used * 60 / SPAN, resident_mib(process), sent * 60 / SPAN]


@contextmanager
def changing(server: str, *, first: int = 0) -> Iterator[None]:
    """Somebody holds one machine after the other, which hexa notes in its status."""
    over = threading.Event()

    def change() -> None:
        for number in range(first, first + 10_000):
            path = f"{server}/apis/infra.homecluster.dev/v1alpha1/namespaces/{SPACE}/nodes/m{number % COUNT}"
            body = msgspec.json.encode({"spec": {"hold": {"power": "on", "reason": f"benchmark {number}"}}})
            headers = {"content-type": "application/merge-patch+json"}
            urlopen(Request(path, body, headers, method="PATCH")).close()
            if over.wait(1.0):
                return

    thread = threading.Thread(target=change)
    thread.start()
    yield
    over.set()
    thread.join()


async def painted(url: str) -> list[list[Any]]:
    """Milliseconds from the navigation, with nothing kept by the browser and then with its files kept."""
    rows: list[list[Any]] = []
    async with open_browser() as browser:
        page = await browser.open_page()
        await page.wide(1280)
        await page.call("Page.addScriptToEvaluateOnNewDocument", source=PAINTED % COUNT)
        for name in ("first visit", "again", "again"):
            await page.go("about:blank")
            await page.go(url)
            all_rows = await page.until("window.painted", within=60)
            first = await page.run("performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? 0")
            rows.append([name, first, all_rows])
    return rows


if __name__ == "__main__":
    main()
