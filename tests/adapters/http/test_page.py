"""The page's files: what is served, by which policy, and that they keep to it. tests/e2e/test_browser.py sees what it does."""

import re
from importlib.resources import files
from itertools import product
from typing import Any

import msgspec
import pytest
from msgspec import structs
from tests.adapters.http.asking import answer
from tests.browser.states import day, site

from hexa.adapters.http.page import page_routes
from hexa.domain.machine.lifecycle import ON_PHASES
from hexa.domain.words.history import Stretch
from hexa.domain.words.overview import EnergyState, GroupState, Hand, MachineState, Overview, Summary
from hexa.simulate.theme import DARK, LIGHT, PHASE_CLASSES

ASSETS = {each.name: each.read_text() for each in (files("hexa.adapters.http") / "assets").iterdir()}
SCRIPTS = {name: text for name, text in ASSETS.items() if name.endswith(".js")}


async def asked(path: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
    """The answer to a GET of the page's routes."""
    return await answer(page_routes(), path, **headers)


async def test_each_file_is_served_under_a_policy_without_anything_inline() -> None:
    """Every answer of the page forbids what is inline, from elsewhere, or made of text; the browser may not guess its type."""
    for path in ("/", *(f"/assets/{name}" for name in ASSETS if name != "index.html")):
        status, headers, body = await asked(path)
        assert status == 200
        assert body
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "require-trusted-types-for 'script'" in policy
        assert "unsafe" not in policy
        assert "http" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["content-type"].split(";")[0] in {"text/html", "text/css", "text/javascript", "image/svg+xml"}


async def test_a_browser_that_has_a_file_is_not_sent_it_again() -> None:
    """A page that is opened again costs a few empty answers; another version of hexa has other files at once."""
    _, headers, _ = await asked("/assets/page.js")
    status, _, body = await asked("/assets/page.js", if_none_match=headers["etag"])
    assert (status, body) == (304, b"")
    assert headers["cache-control"] == "no-cache"


@pytest.mark.parametrize(
    "path", ["/assets/", "/assets/../app.py", "/assets/%2e%2e/app.py", "/assets/x.js", "/index.html"]
)
async def test_nothing_else_is_served(path: str) -> None:
    """Only the page's own files can be asked for."""
    assert (await asked(path))[0] == 404


@pytest.mark.parametrize("name", SCRIPTS)
def test_no_text_becomes_markup_or_script(name: str) -> None:
    """What an object's name or condition says is text on the page and never anything else."""
    unsafe = r"innerHTML|outerHTML|insertAdjacent|document\.write|DOMParser|\beval\b|Function\(|setAttribute\(.(?:on|href|src)"
    assert not re.search(unsafe, SCRIPTS[name])


def test_nothing_is_loaded_from_elsewhere() -> None:
    """The page works where nothing but hexa can be reached, and tells nobody that it is looked at."""
    for name, text in ASSETS.items():
        links = set(re.findall(r"(?:https?:)?//[\w.-]+\.\w+[\w./]*", text))
        assert links <= {"http://www.w3.org/2000/svg"}, name
    assert not re.search(r"<script(?! type=\"module\" src=\"assets/)|<style|\son\w+=|\sstyle=", ASSETS["index.html"])


def test_every_file_that_is_named_is_there() -> None:
    """A page without one of its modules would stay empty."""
    named = set(re.findall(r"assets/([\w.-]+)", ASSETS["index.html"])) | {"index.html"}
    imported = {found for text in SCRIPTS.values() for found in re.findall(r"from \"\./([\w.-]+)\"", text)}
    assert named == set(ASSETS)
    assert imported <= named


def test_phases_look_as_in_the_pictures_of_the_simulator() -> None:
    """A phase has one colour, on the page as in the simulator's; no phase is without."""
    told = re.search(r"PHASES = \{(.*?)\}", SCRIPTS["words.js"], re.DOTALL)
    assert told
    assert dict(re.findall(r"(\w+): \"(\w+)\"", told[1])) == PHASE_CLASSES
    on = re.search(r"ON = new Set\(\[(.*?)\]\)", SCRIPTS["words.js"])
    assert on
    assert set(re.findall(r"\w+", on[1])) == set(ON_PHASES)
    light, dark = (dict(re.findall(r"--(\w+): (#\w+);", part)) for part in ASSETS["page.css"].split("@media")[:2])
    for shown, theme in ((light, LIGHT), (dark, DARK)):
        assert shown == {name: theme[name] for name in shown}


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
def test_texts_can_be_read_on_what_is_behind_them(theme: dict[str, str]) -> None:
    """Each colour of a text has the contrast that WCAG asks of small texts, 4.5 to 1."""
    for ink, ground in product(("text", "muted", "good", "bad"), ("page", "card", "band")):
        assert contrast(theme[ink], theme[ground]) >= 4.5, (ink, ground)


def contrast(one: str, other: str) -> float:
    """As WCAG 2 counts it."""
    bright, dim = sorted((luminance(one), luminance(other)), reverse=True)
    return (bright + 0.05) / (dim + 0.05)


def luminance(colour: str) -> float:
    """From 0 to 1."""
    shares: Any = (int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5))
    red, green, blue = (each / 12.92 if each <= 0.04045 else ((each + 0.055) / 1.055) ** 2.4 for each in shares)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_the_page_reads_what_the_api_says() -> None:
    """Every field that the page reads of a machine, a group or the site is one that the API has."""
    kinds = {
        "machine": MachineState,
        "group": GroupState,
        "energy": EnergyState,
        "hand": Hand,
        "summary": Summary,
        "state": Overview,
    }
    text = "\n".join(SCRIPTS.values())
    for word, kind in kinds.items():
        read = set(re.findall(rf"(?<![\w.]){word}\.(\w+)", text))
        assert read, word
        assert read <= fields(kind), word


def test_the_states_that_the_page_is_tested_with_are_of_the_api() -> None:
    """What the page is shown in Chromium is what an agent would say: the API's types, and no field beside."""
    state = site(20)
    assert isinstance(msgspec.convert(state, Overview), Overview)
    assert isinstance(msgspec.convert(day(state)["stretches"], tuple[Stretch, ...]), tuple)
    parts = ("machines", MachineState), ("groups", GroupState), ("hands", Hand)
    for kind, known in parts:
        assert {name for each in state[kind] for name in each} <= fields(known)
    assert set(state["machines"][0]["energy"]) <= fields(EnergyState)


def fields(kind: type[msgspec.Struct]) -> set[str]:
    """As they are written in JSON."""
    return {each.encode_name for each in structs.fields(kind)}
