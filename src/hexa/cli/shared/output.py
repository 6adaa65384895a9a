"""How answers look: tables, JSON, YAML, colours and durations for people. It knows nothing of what is printed.

Texts from a cluster may hold anything: what would steer a terminal is shown as its escape instead. Colours are put on a
terminal only, and never where NO_COLOR is set.
"""

import os
import sys
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any, Final, Generic, TypeVar

import typer

T = TypeVar("T")


class Format(StrEnum):
    TABLE = "table"
    WIDE = "wide"
    JSON = "json"
    YAML = "yaml"

    @property
    def for_programs(self) -> bool:
        return self in (Format.JSON, Format.YAML)


OutputOption = Annotated[
    Format, typer.Option("--output", "-o", metavar="FORMAT", help="table, wide (more columns), json or yaml.")
]


class Tone(StrEnum):
    """What a text is to its reader; the value is its colour."""

    GOOD = "green"
    BUSY = "yellow"
    BAD = "red"
    QUIET = "bright_black"
    HEAD = "bold"


def paint(text: str, tone: Tone | None) -> str:
    """The text in the colour of its tone, where standard output shows colours."""
    if tone is None or not text or not colourful():
        return text
    return typer.style(text, bold=True) if tone is Tone.HEAD else typer.style(text, fg=tone.value)


def colourful() -> bool:
    """Whether standard output is a terminal that wants colours (https://no-color.org)."""
    return not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb" and sys.stdout.isatty()


def say(text: str = "") -> None:
    """Print a line to standard output."""
    typer.echo(text, color=colourful())


def plain(text: str) -> str:
    """The text on one line, with escapes for whatever would steer a terminal."""
    return "".join(char if char.isprintable() else _escape(char) for char in text)


def _escape(char: str) -> str:
    return " " if char in "\n\t" else char.encode("unicode_escape").decode()


@dataclass(frozen=True)
class Column(Generic[T]):
    """A column of a table: its title, and what it shows of a row."""

    title: str
    text: Callable[[T], str]
    tone: Callable[[T], Tone | None] = lambda _: None
    wide: bool = False
    """Shown with -o wide only."""


def table(columns: Iterable[Column[T]], rows: Sequence[T], *, wide: bool = False) -> str:
    """The rows under their titles, as kubectl aligns them; an empty text is shown as a dash."""
    return LongTable[T]().add(shown(columns, Format.WIDE if wide else Format.TABLE), rows)


def shown(columns: Iterable[Column[T]], form: Format) -> list[Column[T]]:
    """Those of the form."""
    return [column for column in columns if form is Format.WIDE or not column.wide]


class LongTable(Generic[T]):
    """A table that goes on: a column is as wide as it ever was, and titles come again, after an empty line,
    where the columns are others."""

    def __init__(self) -> None:
        self._widths: dict[str, int] = {}
        self._titles: list[str] = []

    def add(self, columns: Sequence[Column[T]], rows: Sequence[T]) -> str:
        """The rows, without a newline at the end."""
        texts = [cells(columns, row) for row in rows]
        titles = [column.title for column in columns]
        for title, *column in zip(titles, *texts, strict=True):
            self._widths[title] = max(self._widths.get(title, 0), *map(width, (title, *column)))
        widths = [self._widths[title] for title in titles]
        tones = [[column.tone(row) for column in columns] for row in rows]
        head = [_line(titles, widths, [Tone.HEAD] * len(titles))] if titles != self._titles else []
        apart = [""] if head and self._titles else []
        self._titles = titles
        return "\n".join([*apart, *head, *map(_line, texts, [widths] * len(rows), tones)])


def cells(columns: Iterable[Column[T]], row: T) -> list[str]:
    """What the columns show of a row."""
    return [plain(column.text(row)) or "-" for column in columns]


def _line(cells: Sequence[str], widths: Sequence[int], tones: Sequence[Tone | None]) -> str:
    """The last cell is not padded: nothing follows it."""
    gaps = [" " * (wide - width(cell) + 2) for cell, wide in zip(cells[:-1], widths, strict=False)]
    return "".join(paint(cell, tone) + gap for cell, tone, gap in zip(cells, tones, [*gaps, ""], strict=True))


def width(text: str) -> int:
    """Cells that the text takes on a terminal."""
    return sum(0 if unicodedata.combining(char) else 1 + (unicodedata.east_asian_width(char) in "WF") for char in text)


def dump(value: Any, form: Format) -> str:
    """Structs or builtins as JSON or YAML, without a newline at the end."""
    import msgspec

    builtins = msgspec.to_builtins(value)
    if form is Format.YAML:
        from hexa.yaml import write_document

        return write_document(builtins).rstrip("\n")
    return msgspec.json.format(msgspec.json.encode(builtins), indent=2).decode()


_UNITS: Final = (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1))


def span(duration: timedelta) -> str:
    """A duration for people, as kubectl shows ages: its two largest units ("3d4h", "5m", "10s"), never negative."""
    left = max(int(duration.total_seconds()), 0)
    for place, (unit, size) in enumerate(_UNITS):
        count, rest = divmod(left, size)
        if not count:
            continue
        finer = rest // _UNITS[place + 1][1] if count < 10 and unit != "s" else 0
        return f"{count}{unit}" + (f"{finer}{_UNITS[place + 1][0]}" if finer else "")
    return "0s"


def ago(moment: datetime | None, now: datetime) -> str:
    """How long ago that was; empty if never."""
    return "" if moment is None else span(now - moment)


def clock(moment: datetime) -> str:
    """A moment as people read it, in their own time zone, with its offset."""
    try:
        local = moment.astimezone()
    except (OverflowError, ValueError):  # the first or last day of the calendar
        local = moment
    return f"{local.replace(tzinfo=None).isoformat(' ', 'seconds')} {local:%z}"
