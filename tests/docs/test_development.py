"""The tree that the page on development draws is the tree: what it names is there, and no room is left out."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from tests.docs.pages import DOCS, ROOT

TEXT: Final = (DOCS / "development.md").read_text(encoding="utf-8")
PLACES: Final = TEXT[TEXT.index("\n## Where things are") : TEXT.index("\n## Random fault runs")]
TOLD_APART: Final = {
    "_moved.py",
    "cost.py",
    "drain.py",
    "lifecycle.py",
    "sensing.py",
    "sizing.py",
    "template.py",
    "wish.py",
}
"""Import paths of before, which the page tells of as a whole."""
BENEATH: Final = {
    "duration.py",
    "errors.py",
    "memo.py",
    "moment.py",
    "names.py",
    "quantity.py",
    "spelling.py",
    "weekly.py",
    "__init__.py",
}


def cells(heading: str) -> list[list[str]]:
    """The rows of the table under the row of headings that begins so."""
    _, _, table = PLACES.partition(f"| {heading} |")
    lines = table.splitlines()[2:]
    rows = lines[: next((index for index, line in enumerate(lines) if not line.startswith("|")), len(lines))]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]


def named(text: str) -> Iterator[Path]:
    """The files and folders that a cell names; a bare name of a file stands in the folder that was named before it."""
    folder = ROOT
    for word in re.findall(r"`([\w./-]+)`", text):
        if "/" in word or not word.endswith(".py"):
            yield (ROOT / word)
            folder = ROOT / word if (ROOT / word).is_dir() else (ROOT / word).parent
        else:
            yield folder / word


@pytest.mark.parametrize("row", cells("change"), ids=lambda row: row[0])
def test_where_a_change_begins_is_there(row: list[str]) -> None:
    """Each file and folder in which a change begins exists."""
    words = {"says", "says_of_group", "later", "again", "What", "TRANSITIONS", "nav"}
    missing = [path for path in named(row[1]) if path.name not in words and not path.exists()]
    assert missing == []


@pytest.mark.parametrize(("heading", "folder"), [("room of the domain", "domain"), ("room of app", "app")])
def test_no_room_is_left_out(heading: str, folder: str) -> None:
    """The rooms in the table are the folders that there are, and the files that are named are there."""
    told = {word for row in cells(heading) for word in re.findall(r"`([\w.]+)`", row[0])}
    place = ROOT / "src" / "hexa" / folder
    there = {path.name for path in place.iterdir()} - {"__pycache__"}
    assert told <= there
    assert {name for name in there if (place / name).is_dir()} <= told
    if folder == "domain":
        assert there - told == TOLD_APART | BENEATH
