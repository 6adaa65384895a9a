"""The pages hold together: links lead somewhere, blocks say how they are checked, the site shows every page."""

import re
from pathlib import Path

import pytest
from tests.docs import metrics_page
from tests.docs import pages as pages_module
from tests.docs.pages import CHECKS, DOCS, PAGES, RESOURCES, ROOT, SHOWN, blocks_of, broken, tally
from tests.docs.reference import pages as reference_pages
from tests.docs.site import ELSEWHERE

NAMES = [str(page.relative_to(ROOT)) for page in PAGES]


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_links_lead_somewhere(page: Path) -> None:
    """Each link inside the project names a file that exists, and a heading in it."""
    assert not broken(page)


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_blocks_say_how_they_are_checked(page: Path) -> None:
    """Each block has a language; YAML that is no resource, and no other block, says why it is not applied."""
    for block in blocks_of(page):
        assert block.language in {*CHECKS, *SHOWN}, f"{block.name}: one of {sorted({*CHECKS, *SHOWN})} is needed"
        if block.language == RESOURCES and not block.unchecked:
            assert re.search("^apiVersion:", block.text, re.M), f"{block.name}: <!-- not applied: REASON --> is missing"


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_no_tag_is_lost(page: Path) -> None:
    """Each "not run" and "not applied" stands right above the block that it speaks of."""
    written = len(re.findall(r"^<!-- not (run|applied):", page.read_text(), re.M))
    assert written == sum(bool(block.unchecked) for block in blocks_of(page))


def test_navigation_names_pages() -> None:
    """The navigation names pages that exist, each once; `./dev docs` puts those that it does not name at its end."""
    named = re.findall(r"[\w/.-]+\.md", (ROOT / "mkdocs.yml").read_text().partition("\nnav:")[2])
    there = {*(str(page.relative_to(DOCS)) for page in DOCS.rglob("*.md")), *ELSEWHERE.values()}
    assert set(named) <= there
    assert len(named) == len(set(named))


def test_reference_is_of_these_types() -> None:
    """The pages of Group and Node are what the types say, and that of metrics is what the table says."""
    for name, text in reference_pages().items():
        assert (DOCS / "reference" / name).read_text() == text, "run ./dev reference"
    assert (DOCS / "metrics.md").read_text() == metrics_page.text(), "run ./dev reference"


def test_tally(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page says how many of its blocks are checked, and why others are not."""
    monkeypatch.setattr(pages_module, "ROOT", tmp_path)
    page = tmp_path / "page.md"
    page.write_text(
        "```sh\na\n```\n```sh\nb\n```\n<!-- not run: needs a BMC -->\n```sh\nc\n```\n"
        "<!-- not applied: no resource -->\n\n```yaml\na: 1\n```\n```text\nd\n```\n"
    )
    assert tally(page) == (
        "On this page: 2 command blocks run on a real control plane, 1 command block not run (needs a BMC), "
        "1 YAML block not applied (no resource)."
    )
