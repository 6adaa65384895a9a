"""The page in a real Chromium: what it shows, that texts stay texts, its token, and that it lives without being loaded again."""

import copy
import re
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from tests.browser.chromium import Browser, Page, find_chromium, open_browser
from tests.browser.shown import Shown, open_shown
from tests.browser.states import NOW, day, hostile, site, stamp

pytestmark = pytest.mark.skipif(
    not find_chromium(), reason="no Chromium: install chromium-headless-shell, or set CHROMIUM"
)

SHOWN = "!document.getElementById('state').hidden && document.querySelector('svg.rows .off').getAttribute('d')"
TEXT = "document.getElementById('{}').innerText"


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    """A Chromium of the test's own."""
    async with open_browser() as browser:
        yield browser


async def visit(browser: Browser, shown: Shown, *, width: int = 1280) -> Page:
    """The page, once it shows the state."""
    page = await browser.open_page()
    await page.wide(width)
    await page.go(shown.url)
    await page.until(SHOWN)
    return page


async def text(page: Page, part: str) -> str:
    """What is read in a part of the page."""
    return str(await page.run(TEXT.format(part)))


async def fits(page: Page) -> bool:
    """Whether nothing is wider than the window."""
    wide = "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
    return bool(await page.run(wide))


async def test_one_look_says_what_is_on_why_and_what_needs_a_hand(browser: Browser) -> None:
    """The page says how many machines are on, what they draw, cost and save, what needs a hand, and of each machine its phase, why,
    and its day; on a telephone, a laptop and a wall, without a complaint of the browser."""
    state = site(20)
    async with open_shown(state, day(state)) as shown:
        page = await visit(browser, shown)
        line = await text(page, "sum")
        assert all(part in line for part in ("10 of 20", "0.48 kW", "1.02 EUR", "34.50 EUR", "office: minSize 0"))
        hands = await text(page, "hands")
        assert "worker-009" in hands
        assert re.search(r"next try at [^T]*\d\d:\d\d$", hands, re.MULTILINE)  # by the clock of who looks
        assert "2 of 5 Ready, 1 coming up" in await text(page, "groups")
        machines = await text(page, "machines")
        assert "Booting" in machines
        assert "is on: cluster-autoscaler wants it on" in machines
        for width in (390, 1280, 2560):
            await page.wide(width)
            assert await fits(page), width

        # by keyboard alone: to the first machine, and open it
        await page.run("document.getElementById('filter').focus()")
        await page.press("Tab")
        await page.press("Enter")
        await page.until("document.querySelector('details[open]')?.innerText.includes('Ready for')")
        assert "4.7 kWh, an estimate" in await page.run("document.querySelector('details[open]').innerText")
        assert page.complaints == []


async def test_hostile_names_and_texts_are_only_texts(browser: Browser) -> None:
    """Whoever may write a name, a condition or an annotation gains nothing on the page: no script, no markup, no request, and
    nobody else's row is lost."""
    state = hostile()
    async with open_shown(state, day(state)) as shown:
        page = await visit(browser, shown, width=390)
        await page.run("document.querySelectorAll('details').forEach((each) => { each.open = true })")
        for width in (390, 2560):
            await page.wide(width)
            assert await fits(page), width
        strange = "main script, main img, main iframe, main a, [onerror], [onload], [style*='url']"
        assert await page.run(f'document.querySelectorAll("{strange}").length') == 0
        assert await page.run("document.querySelectorAll('li.machine').length") == len(state["machines"])
        assert "<script>window.hurt = 1</script>" in await text(page, "machines")
        assert await page.run("window.hurt") is None
        assert set(shown.asked) <= {"/api/v1/stream", "/api/v1/history"}
        assert page.complaints == []


async def test_it_lives_and_writes_only_what_changed(browser: Browser) -> None:
    """A machine that comes up is seen without loading the page again, and of 200 rows the others are not touched; a stream that
    ends is begun again."""
    state = site(200)
    for box in state["machines"]:
        box |= {"readyAt": None, "etaSeconds": None}  # nothing counts down
    watch = """new MutationObserver((all) => all.forEach(({target}) => touched.add((target.closest ?? target.parentElement.closest)
      .call(target.closest ? target : target.parentElement, 'li.machine')))).observe(document.getElementById('machines'),
      {subtree: true, childList: true, characterData: true})"""
    async with open_shown(state, day(state)) as shown:
        page = await visit(browser, shown)
        await page.run(f"window.touched = new Set(); {watch}")
        after = copy.deepcopy(state)
        changed: dict[str, Any] = after["machines"][7]
        changed |= {"phase": "Draining", "why": "worker-007 drains: nobody needs it"}
        after["summary"]["on"] = 101
        shown.tell(after)
        assert await page.until("document.getElementById('sum').innerText.includes('101 of 200')")
        assert await page.run("[...touched].map((row) => row.querySelector('.name').textContent)") == ["worker-007"]
        assert await page.run("document.getElementById('machines').textContent.includes('drains: nobody needs it')")
        shown.end()
        state["summary"]["on"] = 99
        shown.tell(state)
        assert await page.until("document.getElementById('sum').innerText.includes('99 of 200')")
        assert await text(page, "live") == "Live"


async def test_the_seconds_until_ready_are_counted_down(browser: Browser) -> None:
    """Between two events too: until the median of its boots, then until the 95th percentile, and then nobody says a number."""
    state = site(3)
    state["machines"][2] |= {
        "readyAt": stamp(NOW + timedelta(seconds=6)),
        "readyBy": stamp(NOW + timedelta(seconds=80)),
    }
    async with open_shown(state, day(state)) as shown:
        page = await visit(browser, shown)
        for said in ("in about [1-6] s", "in about 7[0-4] s"):
            await page.until(f"/{said}/.test(document.querySelectorAll('li.machine')[2].innerText)", within=30)
        state["machines"][2]["readyBy"] = stamp(NOW + timedelta(seconds=7))
        shown.tell(state)
        await page.until("document.getElementById('machines').innerText.includes('Ready was expected at')", within=30)
        assert page.complaints == []


async def test_groups_of_one_name_are_told_apart(browser: Browser) -> None:
    """Where a second namespace comes, the groups that are shown already get theirs beside their names; a loss of less than a cent
    is no -0.00."""
    state = site(4)
    async with open_shown(state, day(state)) as shown:
        page = await visit(browser, shown)
        after = copy.deepcopy(state)
        after["groups"].append(after["groups"][0] | {"namespace": "other"})
        after["summary"]["savedMonth"] = -0.001
        shown.tell(after)
        assert await page.until("document.getElementById('groups').innerText.includes('other/group-0')")
        assert "hexa-machines/group-0" in await text(page, "groups")
        assert "-0.00" not in await text(page, "sum")


async def test_a_token_is_asked_for_once(browser: Browser) -> None:
    """Where a token is needed the page asks for it, says what hexa says of a wrong one, and keeps a right one in its tab: not in
    the address, not in a cookie, and not beyond the tab."""
    state = site(3)
    async with open_shown(state, day(state), token="right") as shown:
        page = await browser.open_page()
        await page.go(shown.url)
        for token in ("wrong", "right"):
            await page.until("!document.getElementById('token').hidden")
            await page.run(f"document.getElementById('token-text').value = '{token}'; undefined")
            await page.run("document.getElementById('token').requestSubmit()")
            if token == "wrong":
                await page.until("document.getElementById('token-why').textContent.includes('this needs a token')")
        await page.until(SHOWN)
        assert await page.run("[location.search, location.hash, document.cookie, localStorage.length]") == [
            "",
            "",
            "",
            0,
        ]
        await page.go(shown.url)
        await page.until(SHOWN)
        other = await browser.open_page()
        await other.go(shown.url)
        assert await other.until("!document.getElementById('token').hidden")
