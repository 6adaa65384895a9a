"""The tables of the screen: columns, how wide they are, and which of them go where the screen is narrow."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Final, Generic, Protocol, TypeVar

from msgspec import Struct
from rich.cells import cell_len
from rich.text import Text

from hexa.cli.get import HEALTH_TONES, PHASE_TONES
from hexa.cli.shared.output import Tone, ago, plain, span
from hexa.domain.words.overview import GroupState, MachineState

T = TypeVar("T")
LAST: Final = 24
"""Cells that the last column, which takes what is left, has at least: before it gets narrower, other columns go."""
LONGEST: Final = 40
"""Cells of any other column at most."""


class Size(Protocol):
    """Of a screen, and the time."""

    @property
    def now(self) -> datetime: ...
    @property
    def width(self) -> int: ...


class Column(Struct, Generic[T], frozen=True, kw_only=True):
    """A column."""

    title: str
    text: Callable[[T, datetime], str]
    tone: Callable[[T], Tone | None] = lambda _: None
    keep: int = 9
    """Columns with the smallest number go first where the screen is narrow."""
    right: bool = False


class Table(Struct, Generic[T], frozen=True):
    """Rows under titles."""

    columns: tuple[Column[T], ...]

    def lines(self, rows: Sequence[T], size: Size, *, marked: Sequence[bool], among: Sequence[T] = ()) -> list[Text]:
        """The title and the rows. `among`: all rows of which these are some, so that columns keep their width."""
        widths = {column: _width(column, among or rows, size.now) for column in self.columns}
        shown = list(self.columns)
        while len(shown) > 2 and sum(widths[each] + 2 for each in shown[:-1]) + LAST > size.width:
            shown.remove(min(shown[:-1], key=lambda each: each.keep))
        head = _line([(each, each.title, "bold") for each in shown], widths)
        return [head, *(self._row(row, shown, widths, size, mark) for row, mark in zip(rows, marked, strict=True))]

    def _row(self, row: T, shown: Sequence[Column[T]], widths: dict[Column[T], int], size: Size, mark: bool) -> Text:
        told = [(each, _cell(each, row, size.now), ((tone := each.tone(row)) and tone.value) or "") for each in shown]
        line = _line(told, widths)
        if mark:
            line.truncate(size.width, overflow="ellipsis", pad=True)
            line.stylize("reverse")
        return line


def _cell(column: Column[T], row: T, now: datetime) -> str:
    return plain(column.text(row, now)) or "–"


def _width(column: Column[T], rows: Sequence[T], now: datetime) -> int:
    return min(max([cell_len(column.title), *(cell_len(_cell(column, row, now)) for row in rows)]), LONGEST)


def _line(told: Sequence[tuple[Column[T], str, str]], widths: dict[Column[T], int]) -> Text:
    line = Text()
    for column, text, style in told[:-1]:
        cell = Text(text, style=style)
        cell.truncate(widths[column], overflow="ellipsis")
        gap = " " * (widths[column] - cell.cell_len)
        line.append(gap if column.right else "").append_text(cell).append("  " if column.right else f"{gap}  ")
    _, text, style = told[-1]
    return line.append(text, style=style)


def money(amount: float | None, currency: str | None) -> str:
    """For people; empty where it is not known."""
    return "" if amount is None else f"{amount:z,.2f} {plain(currency or '')}".rstrip()


def _watts(watts: float | None, *, measured: bool = True) -> str:
    return "" if watts is None else f"{'' if measured else '~'}{watts:,.0f}"


def _eta(machine: MachineState, now: datetime) -> str:
    """Until it is Ready, counted down."""
    if machine.eta_seconds is None:
        return ""
    at = machine.ready_at if machine.ready_at is not None and machine.ready_at > now else machine.ready_by
    return span(max(at - now, timedelta(0))) if at is not None else ""


MACHINES: Final = Table[MachineState](
    (
        Column(title="MACHINE", text=lambda each, _: each.name),
        Column(title="GROUP", text=lambda each, _: each.group or "", keep=2),
        Column(title="PHASE", text=lambda each, _: each.phase, tone=lambda each: PHASE_TONES.get(each.phase), keep=8),
        Column(title="FOR", text=lambda each, now: ago(each.since, now), keep=5, right=True),
        Column(title="ETA", text=_eta, keep=4, right=True),
        Column(
            title="WATTS", text=lambda each, _: _watts(each.watts, measured=each.watts_measured), keep=3, right=True
        ),
        Column(title="WHY", text=lambda each, _: each.why, tone=lambda each: Tone.BUSY if each.blocker else None),
    )
)
GROUPS: Final = Table[GroupState](
    (
        Column(title="GROUP", text=lambda each, _: each.name),
        Column(title="READY", text=lambda each, _: f"{each.ready} of {each.size}", keep=8, right=True),
        Column(title="TARGET", text=lambda each, _: str(each.target), keep=6, right=True),
        Column(title="MIN", text=lambda each, _: str(each.minimum), keep=5, right=True),
        Column(title="MAX", text=lambda each, _: "" if each.maximum is None else str(each.maximum), keep=4, right=True),
        Column(title="MODE", text=lambda each, _: each.mode, keep=2),
        Column(title="WATTS", text=lambda each, _: _watts(each.watts), keep=3, right=True),
        Column(
            title="HEALTH", text=lambda each, _: each.health, tone=lambda each: HEALTH_TONES.get(each.health), keep=7
        ),
        Column(title="WHAT STANDS IN THE WAY", text=lambda each, _: each.blocker or _next(each)),
    )
)


def _next(group: GroupState) -> str:
    """When a schedule changes its sizes."""
    if group.next_change is None:
        return ""
    return f"{group.next_change.astimezone():%a %H:%M} {group.next_change_what or ''}".rstrip()
