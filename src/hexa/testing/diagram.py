"""Draws docs/lifecycle.svg and writes docs/lifecycle.md from the tables of `hexa.domain.machine.lifecycle`.

`python -m hexa.testing.diagram docs/lifecycle.svg` writes both. The same tables always give the same bytes. Where
things stand is in `diagram_layout`; this module knows how they look.
"""

import sys
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path
from typing import Final

from hexa.domain.duration import format_duration
from hexa.domain.machine.lifecycle import DUTIES, LIMITS, TRANSITIONS, Event, Phase
from hexa.domain.policy.limits import Limits
from hexa.testing.diagram_layout import BOX_HEIGHT, BOX_WIDTH, CENTRES, HEIGHT, ROUTES, WIDTH, Point, Route
from hexa.testing.palette import PHASE_COLOURS

LINE_HEIGHT: Final = 18
CORNER: Final = 10
HEAD: Final = 11
CAPTION: Final = "An arrow has the colour of the phase that it leaves. First sight of a machine: Unknown."

STYLE: Final = """
.ground { fill: #ffffff; stroke: #d0d7de; }
text { font: 15px "DejaVu Sans", Verdana, "Segoe UI", sans-serif; fill: #24292f; }
.name { font-size: 20px; font-weight: bold; fill: #ffffff; }
.note { font-size: 14px; fill: #ffffff; }
.event { paint-order: stroke; stroke: #ffffff; stroke-width: 4px; }
.caption { font-size: 13px; opacity: 0.7; }
.route { fill: none; stroke-width: 2px; }
@media (prefers-color-scheme: dark) {
  .ground { fill: #161b22; stroke: #30363d; }
  text { fill: #e6edf3; }
  .event { stroke: #161b22; }
}
"""


def arrows() -> dict[tuple[Phase, Phase], list[Event]]:
    """The transitions by where they begin and end, events in the order of their priority."""
    found: dict[tuple[Phase, Phase], list[Event]] = {}
    for phase, row in TRANSITIONS.items():
        for event, target in row.items():
            found.setdefault((phase, target), []).append(event)
    return found


def label(events: Sequence[Event]) -> list[str]:
    """The lines of an arrow's label."""
    return [str(event) for event in events]


def notes(phase: Phase) -> list[str]:
    """What a box says beneath the phase's name: duty and limit."""
    lines = [f"duty: {DUTIES[phase]}"] if phase in DUTIES else []
    return [*lines, *([f"limit: {limit(phase)}"] if phase in LIMITS else [])]


def limit(phase: Phase) -> str:
    """Name and default of the phase's limit."""
    field = LIMITS[phase]
    first, *rest = field.split("_")
    return f"{first}{''.join(word.capitalize() for word in rest)} {format_duration(getattr(Limits(), field))}"


def svg() -> str:
    """The picture."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    size = f'width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}"'
    yield f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">'
    yield "<title>Phases of a machine</title>"
    yield f"<style>{STYLE}</style>"
    yield f'<rect class="ground" x="0.5" y="0.5" width="{WIDTH - 1}" height="{HEIGHT - 1}" rx="12"/>'
    for (source, target), events in arrows().items():
        route = ROUTES[source, target]
        yield f"<!-- {source} to {target} -->"
        yield from _arrow(route, PHASE_COLOURS[source])
        yield from _texts(label(events), route)
    for phase in Phase:
        yield from _box(phase)
    yield f'<text class="caption" x="{WIDTH - 24}" y="{HEIGHT - 16}" text-anchor="end">{CAPTION}</text>'
    yield "</svg>"


def _arrow(route: Route, colour: str) -> Iterator[str]:
    yield f'<path class="route" stroke="{colour}" d="{_path(route.corners)}"/>'
    (x, y), (dx, dy) = route.corners[-1], _direction(*route.corners[-2:])
    wings = [(x - HEAD * dx + side * 5 * dy, y - HEAD * dy + side * 5 * dx) for side in (1, -1)]
    yield f'<polygon fill="{colour}" points="{" ".join(f"{px},{py}" for px, py in [(x, y), *wings])}"/>'


def _path(corners: Sequence[Point]) -> str:
    """Straight lines with round corners, ending within the arrow's head."""
    parts = [f"M{corners[0][0]} {corners[0][1]}"]
    for before, (x, y), after in zip(corners, corners[1:], corners[2:], strict=False):
        in_x, in_y = _direction(before, (x, y))
        out_x, out_y = _direction((x, y), after)
        radius = min(CORNER, _length(before, (x, y)) // 2, _length((x, y), after) // 2)
        parts.append(f"L{x - radius * in_x} {y - radius * in_y}")
        parts.append(f"Q{x} {y} {x + radius * out_x} {y + radius * out_y}")
    (x, y), (dx, dy) = corners[-1], _direction(*corners[-2:])
    return " ".join([*parts, f"L{x - 6 * dx} {y - 6 * dy}"])


def _direction(start: Point, end: Point) -> Point:
    """Of a line that runs level or upright: (1, 0) to the right, (0, 1) down."""
    return (end[0] > start[0]) - (end[0] < start[0]), (end[1] > start[1]) - (end[1] < start[1])


def _length(start: Point, end: Point) -> int:
    return abs(end[0] - start[0]) + abs(end[1] - start[1])


def _texts(lines: Sequence[str], route: Route) -> Iterator[str]:
    x, y = route.label
    for number, line in enumerate(lines):
        place = f'x="{x}" y="{y + number * LINE_HEIGHT}" text-anchor="{route.anchor}"'
        yield f'<text class="event" {place}>{escape(line)}</text>'


def _box(phase: Phase) -> Iterator[str]:
    x, y = CENTRES[phase]
    lines = notes(phase)
    size = f'width="{BOX_WIDTH}" height="{BOX_HEIGHT}" rx="12"'
    yield f'<rect x="{x - BOX_WIDTH // 2}" y="{y - BOX_HEIGHT // 2}" {size} fill="{PHASE_COLOURS[phase]}"/>'
    top = y + 7 - len(lines) * 10
    yield f'<text class="name" x="{x}" y="{top}" text-anchor="middle">{phase}</text>'
    for number, line in enumerate(lines, start=1):
        yield f'<text class="note" x="{x}" y="{top + 2 + number * 20}" text-anchor="middle">{escape(line)}</text>'


# --- the same as a table --------------------------------------------------------------------------

PAGE: Final = """\
# The life of a machine

Generated by `./dev diagram` from the tables in `src/hexa/domain/machine/lifecycle.py`.

![Phases of a machine](lifecycle.svg)

The phase is stored in `status.phase`. Events are what hexa notices, in the order in which a phase looks for them. The
duty is the work of the phase, repeated until an event ends the phase. After its limit (a field of
`timeouts`, here with its default) the event Overdue comes.

PowerGone needs [two proofs](power.md#read-by-the-agent): while the kubelet renews its Lease, a reading Off is not
PowerGone, in any phase.

| phase | events, the most urgent first | limit | duty |
|---|---|---|---|
"""


def page() -> str:
    """The tables as Markdown."""
    return PAGE + "".join(f"| {' | '.join(_row(phase))} |\n" for phase in Phase)


def _row(phase: Phase) -> list[str]:
    events = ", ".join(f"{event} → {target}" for event, target in TRANSITIONS[phase].items())
    return [f"**{phase}**", events, limit(phase) if phase in LIMITS else "", str(DUTIES.get(phase, ""))]


def write(picture: Path) -> None:
    """Write the picture, and the table beside it."""
    picture.write_text(svg(), encoding="utf-8")
    picture.with_suffix(".md").write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
