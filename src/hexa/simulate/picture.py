"""A report as one SVG file: title, tiles and timeline, light or dark as the reader's system is. For READMEs and slides."""

from collections.abc import Iterator
from html import escape
from typing import Final

from msgspec import Struct

from hexa.simulate.figures import FEW, Figures, span
from hexa.simulate.theme import DARK, FONT, LIGHT, SHAPES, coloured
from hexa.simulate.timeline import layout_of, timeline

WIDTH: Final = 1200.0
MARGIN: Final = 28.0
TILE: Final = 78.0
TOP: Final = 84.0


class Tile(Struct, frozen=True):
    """One figure: what, how much, and beside what."""

    label: str
    value: str
    note: str
    tone: str = ""
    """good or bad."""


def tiles(report: Figures) -> list[Tile]:
    """The figures that matter most."""
    money = Tile("Power cycles", f"{report.power_cycles:,}", f"{report.cycles_per_day:.1f} a machine and day")
    if report.priced:
        per = f"{report.money:,.2f} of {report.money_always_on:,.2f} {report.currency}"
        money = Tile("Money saved", f"{report.saved_money:,.2f} {report.currency}", per, "good")
    hours, saved = f"{report.hours_text()} machine-hours", report.kwh_always_on - report.kwh
    energy = f"{saved:,.{1 if saved < FEW else 0}f} kWh less than always on"
    waits = report.waits
    quick = Tile("Pods at once", f"{waits.at_once:.0%}", f"p95 {span(waits.p95)}, longest {span(waits.max)}")
    never = [Tile("Pods that never ran", f"{report.waiting_at_end:,}", "they waited to the end", "bad")]
    return [
        *(never if report.waiting_at_end else ()),
        Tile("Hours saved", f"{report.saved_hours:.0%}", hours, "good"),
        Tile("Energy saved", f"{report.saved_energy:.0%}", energy, "good"),
        money,
        quick if report.pods else Tile("Pods run", "0", "none ran", "bad"),
        Tile("Lost work", f"{report.work_lost} pods", _failures(report), "good" if report.survived else "bad"),
    ]


def _failures(report: Figures) -> str:
    if not report.failures:
        return f"{report.power_cycles:,} power cycles"
    return f"{report.failures} failures {'survived' if report.survived else 'NOT survived'}"


def picture(report: Figures) -> str:
    """The whole file."""
    height = TOP + TILE + 34 + layout_of(report, WIDTH - 2 * MARGIN).height + MARGIN
    style = (
        f"svg {{ font-family: {FONT} }} {coloured(SHAPES + _OWN, LIGHT)} "
        f"@media (prefers-color-scheme: dark) {{ {coloured(SHAPES + _OWN, DARK)} }}"
    )
    size = f'width="{WIDTH:g}" height="{height:g}" viewBox="0 0 {WIDTH:g} {height:g}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-label="{escape(summary(report))}">',
        f"<style>{style}</style>",
        f'<rect class="sheet" width="{WIDTH:g}" height="{height:g}" rx="14"/>',
        f'<text class="title" x="{MARGIN:g}" y="44">{escape(report.title)}</text>',
        f'<text class="note" x="{MARGIN:g}" y="65">{escape(subtitle(report))}</text>',
        *_tiles(report),
        timeline(report, width=WIDTH - 2 * MARGIN, x=MARGIN, y=TOP + TILE + 34),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


_OWN: Final = (
    ".sheet { fill: var(--card); stroke: var(--line) } .title { fill: var(--text); font-size: 24px; font-weight: 650 } "
    ".tile { fill: var(--band); stroke: var(--line) } .value { fill: var(--text); font-size: 25px; font-weight: 650 } "
    ".good { fill: var(--good) } .bad { fill: var(--bad) }"
)


def _tiles(report: Figures) -> Iterator[str]:
    gap, shown = 14.0, tiles(report)
    width = (WIDTH - 2 * MARGIN - (len(shown) - 1) * gap) / len(shown)
    for index, tile in enumerate(shown):
        yield _tile(tile, x=MARGIN + index * (width + gap), width=width)


def _tile(tile: Tile, *, x: float, width: float) -> str:
    return (
        f'<rect class="tile" x="{x:g}" y="{TOP:g}" width="{width:g}" height="{TILE:g}" rx="9"/>'
        f'<text class="note" x="{x + 14:g}" y="{TOP + 21:g}">{escape(tile.label)}</text>'
        f'<text class="value {tile.tone}" x="{x + 14:g}" y="{TOP + 48:g}">{escape(tile.value)}</text>'
        f'<text class="note" x="{x + 14:g}" y="{TOP + 66:g}">{escape(tile.note)}</text>'
    )


def subtitle(report: Figures) -> str:
    """What was simulated."""
    start, end = report.start, report.end
    return (
        f"{len(report.machines)} machines and {report.pods:,} pods, simulated by hexa "
        f"from {start:%a} {start.day} {start:%b %Y %H:%M} to {end:%a} {end.day} {end:%b %H:%M}"
    )


def summary(report: Figures) -> str:
    """The picture in words."""
    figures = "; ".join(f"{tile.label}: {tile.value} ({tile.note})" for tile in tiles(report))
    return f"{report.title}. {subtitle(report)}. {figures}."
