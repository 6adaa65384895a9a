"""docs/lifecycle.svg and docs/lifecycle.md show the tables of the lifecycle, legibly."""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree as ET

import pytest

from hexa.domain.machine.lifecycle import DUTIES, LIMITS, TRANSITIONS, Event, Phase
from hexa.testing import diagram
from hexa.testing.diagram_layout import BOX_HEIGHT, BOX_WIDTH, CENTRES, HEIGHT, ROUTES, WIDTH, Point, Route
from hexa.testing.palette import PHASE_COLOURS

DOCS = Path(__file__).parent.parent.parent / "docs"
SVG = {"svg": "http://www.w3.org/2000/svg"}
ARROWS = diagram.arrows()
LETTER = 9.3  # a letter of the widest usual font at 15 px


class Box(NamedTuple):
    """A rectangle; a line is a flat one."""

    left: float
    top: float
    right: float
    bottom: float

    def covers(self, other: "Box") -> bool:
        """Whether the two overlap by more than their borders."""
        level = self.left < other.right and other.left < self.right
        return level and self.top < other.bottom and other.top < self.bottom


def box_of(phase: Phase) -> Box:
    """The box of a phase."""
    x, y = CENTRES[phase]
    return Box(x - BOX_WIDTH / 2, y - BOX_HEIGHT / 2, x + BOX_WIDTH / 2, y + BOX_HEIGHT / 2)


def lines_of(route: Route, thick: float = 1.5) -> Iterator[Box]:
    """The straight parts of an arrow, with its stroke."""
    for (x1, y1), (x2, y2) in itertools.pairwise(route.corners):
        yield Box(min(x1, x2) - thick, min(y1, y2) - thick, max(x1, x2) + thick, max(y1, y2) + thick)


def label_of(arrow: tuple[Phase, Phase]) -> Box:
    """The space that an arrow's label takes."""
    route, texts = ROUTES[arrow], diagram.label(ARROWS[arrow])
    width = max(map(len, texts)) * LETTER
    x, y = route.label
    left = {"start": x, "middle": x - width / 2, "end": x - width}[route.anchor]
    return Box(left, y - 12, left + width, y + 2 + (len(texts) - 1) * diagram.LINE_HEIGHT)


LABELS = {arrow: label_of(arrow) for arrow in ARROWS if arrow in ROUTES}


def test_every_transition_has_an_arrow_and_no_other() -> None:
    """A transition that is added to the table without an arrow, or removed, is noticed here."""
    assert set(ROUTES) == set(ARROWS)
    assert set(CENTRES) == set(Phase) == set(PHASE_COLOURS)
    drawn = sum(len(events) for events in ARROWS.values())
    assert drawn == sum(len(row) for row in TRANSITIONS.values())


@pytest.mark.parametrize("arrow", ROUTES, ids=" to ".join)
def test_arrow_leads_from_box_to_box(arrow: tuple[Phase, Phase]) -> None:
    """It begins on the border of one box and ends on that of the other, in level and upright lines."""
    corners = ROUTES[arrow].corners
    assert on_border(corners[0], box_of(arrow[0]))
    assert on_border(corners[-1], box_of(arrow[1]))
    assert all((x1 == x2) != (y1 == y2) for (x1, y1), (x2, y2) in itertools.pairwise(corners))


def on_border(point: Point, box: Box) -> bool:
    """Whether the point is on the edge, clear of the round corners."""
    x, y = point
    upright = x in (box.left, box.right) and box.top + 12 <= y <= box.bottom - 12
    level = y in (box.top, box.bottom) and box.left + 12 <= x <= box.right - 12
    return upright or level


@pytest.mark.parametrize("arrow", ROUTES, ids=" to ".join)
def test_arrow_runs_through_no_box(arrow: tuple[Phase, Phase]) -> None:
    """It touches its own two boxes from outside and keeps clear of the others."""
    lines = list(lines_of(ROUTES[arrow], thick=0))
    assert [phase for phase in Phase if any(box_of(phase).covers(grown(line)) for line in lines)] == []


def grown(line: Box) -> Box:
    """A line with a hair's breadth, so that it can cover something."""
    flat = line.top == line.bottom
    return (
        Box(line.left, line.top - 0.1, line.right, line.bottom + 0.1)
        if flat
        else Box(line.left - 0.1, line.top, line.right + 0.1, line.bottom)
    )


def test_arrows_keep_apart() -> None:
    """Arrows may cross, but never run along the same line, and labels never cover each other."""
    pairs = list(itertools.combinations(ROUTES, 2))
    assert [pair for pair in pairs if along_each_other(*pair)] == []
    assert [pair for pair in pairs if LABELS[pair[0]].covers(LABELS[pair[1]])] == []


def along_each_other(one: tuple[Phase, Phase], other: tuple[Phase, Phase]) -> bool:
    """Whether two arrows have parallel parts that come closer than 8 px."""
    lines = itertools.product(lines_of(ROUTES[one], 4), lines_of(ROUTES[other], 4))
    return any(level(first) == level(second) and first.covers(second) for first, second in lines)


def level(line: Box) -> bool:
    """Whether a line runs level."""
    return line.right - line.left > line.bottom - line.top


@pytest.mark.parametrize("arrow", LABELS, ids=" to ".join)
def test_label_is_legible(arrow: tuple[Phase, Phase]) -> None:
    """A label is within the picture, on no box and on no arrow, and close to its own."""
    label = LABELS[arrow]
    assert Box(0, 0, WIDTH, HEIGHT).covers(label)
    assert label.left >= 4
    assert label.right <= WIDTH - 4
    assert [phase for phase in Phase if box_of(phase).covers(label)] == []
    crossed = [each for each, route in ROUTES.items() if any(line.covers(label) for line in lines_of(route))]
    assert crossed == []
    near = Box(label.left - 12, label.top - 12, label.right + 12, label.bottom + 12)
    assert any(line.covers(near) for line in lines_of(ROUTES[arrow]))


def test_picture_names_every_phase_event_duty_and_limit() -> None:
    """Whatever the tables have can be read in the picture."""
    root = ET.fromstring(diagram.svg())
    texts = [element.text or "" for element in root.iterfind(".//svg:text", SVG)]
    for word in (*Phase, *Event):
        assert word in texts
    for duty in DUTIES.values():
        assert f"duty: {duty}" in texts
    assert sum(text.startswith("limit: ") for text in texts) == len(LIMITS)


def test_table_has_a_row_for_each_phase_in_order_of_priority() -> None:
    """docs/lifecycle.md lists the events of a phase as it looks for them."""
    row = next(line for line in diagram.page().splitlines() if line.startswith("| **Booting** |"))
    assert row == (
        "| **Booting** | Unwanted → Draining, NodeReady → Ready, PowerGone → StartFailed, Overdue → StartFailed "
        "| boot 9m | WakeAgain |"
    )


def test_committed_files_are_generated() -> None:
    """docs/ shows the tables as they are; `./dev diagram` writes them."""
    assert (DOCS / "lifecycle.svg").read_text(encoding="utf-8") == diagram.svg()
    assert (DOCS / "lifecycle.md").read_text(encoding="utf-8") == diagram.page()


def test_both_files_are_written(tmp_path: Path) -> None:
    """The table is written beside the picture."""
    diagram.write(tmp_path / "a.svg")
    assert {file.name for file in tmp_path.iterdir()} == {"a.svg", "a.md"}
