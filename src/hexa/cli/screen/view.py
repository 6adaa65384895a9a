"""What the screen shows: Overview and UiState -> lines. Pure; `columns` beside it has the tables, `terminal` the terminal.

Texts from a cluster may hold anything: what would steer a terminal is shown as its escape instead.
"""

from collections.abc import Iterator
from datetime import datetime
from io import StringIO
from typing import Final

from msgspec import Struct
from rich.console import Console
from rich.text import Text

from hexa.cli.screen.columns import GROUPS, MACHINES, money
from hexa.cli.screen.keys import FAR, KEYS
from hexa.cli.screen.state import Page, UiState, key_of, place, rows
from hexa.cli.shared.output import Tone, ago, plain
from hexa.domain.words.overview import Grade, Hand, Overview

HANDS: Final = 4
"""Lines for what needs a hand, where machines fill the screen."""


class Frame(Struct, frozen=True, kw_only=True):
    """What the screen is, and what is known beside the overview."""

    now: datetime
    width: int
    height: int
    """0: as high as what there is."""
    trouble: str = ""
    """Why what is shown may be old."""
    notes: tuple[str, ...] = ()
    """What may not be read, and what that means."""
    answer: tuple[str, ...] = ()
    """What `hexa why` says of the selected machine."""


def lines(overview: Overview, state: UiState, frame: Frame) -> list[Text]:
    """The screen, line by line, none wider than it; with a height exactly so many."""
    head = [_headline(overview), *_trouble(frame)]
    body = max(frame.height - len(head) - 1, 0)
    if state.page is Page.HELP:
        shown = _help()
    elif state.page is Page.WHY:
        shown = _why(state, frame)
    else:
        shown = _machines(overview, state, frame, body)
    if frame.height:
        shown = (shown + [Text()] * body)[:body]
    found = [*head, *shown, *([_foot(overview, state)] if frame.height else [])]
    for line in found:
        line.truncate(frame.width, overflow="ellipsis", pad=bool(frame.height))
    return found[: frame.height] if frame.height else found


def _headline(overview: Overview) -> Text:
    """The site in one line."""
    told, unknown = overview.summary, "–"
    watts = f"{told.watts / 1000:z.2f}" if told.watts is not None else unknown
    parts = [
        f"{told.on} of {told.machines} machines on",
        f"{watts} kW now",
        f"{money(told.money_today, told.currency) or unknown} today",
        f"{money(told.saved_month, told.currency) or unknown} saved this month",
    ]
    if told.next_change is not None:
        parts.append(f"{told.next_change.astimezone():%H:%M} {plain(told.next_change_what or '')}".rstrip())
    text = Text("hexa", style="bold")
    for part in parts:
        text.append("  ").append(part, style="bold")
    return text


def _trouble(frame: Frame) -> list[Text]:
    away = [Text(f"{plain(frame.trouble)}; what is shown may be old", style="bold yellow")] if frame.trouble else []
    return [*away, *(Text(plain(note), style="yellow") for note in frame.notes)]


def _machines(overview: Overview, state: UiState, frame: Frame, height: int) -> list[Text]:
    shown = rows(overview, state)
    groups = overview.groups if not frame.height else overview.groups[: max(2, height // 4)]
    chosen = GROUPS.lines(groups, frame, marked=[key_of(each) == state.group for each in groups]) if groups else []
    hands = _hands(overview, frame, room=_room(height, beside=len(shown) + len(chosen)) if frame.height else FAR)
    above = [*hands, *([Text()] if hands else []), *chosen, *([Text()] if chosen else [])]
    room = max(height - len(above) - 1, 1) if frame.height else len(shown)
    if not shown:
        return [*above, Text("no machine has the filter's words" if state.filter else "there are no machines")]
    index = place(shown, state)
    first = min(max(index - room // 2, 0), max(len(shown) - room, 0))
    window = shown[first : first + room]
    marked = [bool(frame.height) and first + row == index for row in range(len(window))]
    return [*above, *MACHINES.lines(window, frame, marked=marked, among=shown)]


def _room(height: int, *, beside: int) -> int:
    """Lines for what needs a hand: what groups and machines leave, but a few in any case."""
    return max(HANDS, height // 5, height - beside - 3)  # a title, and two empty lines


def _hands(overview: Overview, frame: Frame, *, room: int) -> list[Text]:
    """What needs a person, the worst first."""
    hands = overview.hands
    fits = hands if len(hands) <= room else hands[: max(room - 1, 0)]
    found = [_hand(hand, frame.now) for hand in fits]
    if len(fits) < len(hands):
        found.append(Text(f"  and {len(hands) - len(fits)} more need a hand", style="yellow"))
    return found


def _hand(hand: Hand, now: datetime) -> Text:
    bad = hand.severity is Grade.ERROR
    since = f" for {ago(hand.since, now)}" if hand.since is not None else ""
    text = Text("! " if bad else "· ", style="bold red" if bad else "yellow")
    text.append(plain(f"{hand.name} {hand.reason}{since}: "), style="red" if bad else "yellow")
    return text.append(plain(hand.message))


def _why(state: UiState, frame: Frame) -> list[Text]:
    """As `hexa why` has it, and longer lines on several."""
    console = Console(width=max(frame.width, 2), file=StringIO())
    told = [
        part for line in frame.answer or ("asking …",) for part in Text.from_ansi(line).wrap(console, console.width)
    ]
    return [Text(), *told[min(state.scroll, len(told) - 1) :]]


def _help() -> list[Text]:
    wide = max(len(key.shown) for key in KEYS) + 2
    return [Text(), *(Text(f"  {key.shown.ljust(wide)}{key.what}") for key in KEYS)]


def _foot(overview: Overview, state: UiState) -> Text:
    if state.typing:
        return Text(f"/{plain(state.filter)}▏", style="bold")
    text = Text()
    for part in _chosen(overview, state):
        text.append(part, style=Tone.QUIET.value).append("  ")
    return text


def _chosen(overview: Overview, state: UiState) -> Iterator[str]:
    if state.page is Page.MACHINES:
        shown = rows(overview, state)
        yield f"{place(shown, state) + 1 if shown else 0} of {len(shown)}"
        yield f"sorted by {state.order}"
        yield from (f"{what} {plain(text)}" for what, text in (("group", state.group), ("/", state.filter)) if text)
        yield "Enter why"
    else:
        yield "Esc back"
    yield "? help"
    yield "q quit"
