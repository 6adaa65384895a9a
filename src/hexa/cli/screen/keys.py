"""What keys do: UiState and key -> UiState, as a table, of which the page `help` is made. Bytes of a terminal -> names of keys."""

import re
from collections.abc import Callable
from typing import Final

from msgspec import Struct

from hexa.cli.screen.state import Order, Page, UiState, key_of, place, rows
from hexa.domain.words.overview import Overview

Act = Callable[[UiState, Overview], UiState]
LEAP: Final = 10
"""Rows that Page Up and Page Down go."""


class Key(Struct, frozen=True):
    """What some keys do."""

    names: tuple[str, ...]
    shown: str
    """How they are written for people."""
    what: str
    act: Act


def _move(by: int) -> Act:
    def act(state: UiState, overview: Overview) -> UiState:
        if state.page is Page.WHY:
            return state.but(scroll=max(state.scroll + by, 0))
        shown = rows(overview, state)
        if not shown:
            return state
        index = min(max(place(shown, state) + by, 0), len(shown) - 1)
        return state.but(selected=key_of(shown[index]))

    return act


def _group(state: UiState, overview: Overview) -> UiState:
    """The next group; after the last one all."""
    groups = ["", *(key_of(each) for each in overview.groups)]
    index = groups.index(state.group) if state.group in groups else 0
    return state.but(group=groups[(index + 1) % len(groups)])


def _order(state: UiState, _: Overview) -> UiState:
    orders = list(Order)
    return state.but(order=orders[(orders.index(state.order) + 1) % len(orders)])


def _why(state: UiState, overview: Overview) -> UiState:
    if state.page is not Page.MACHINES:
        return state.but(page=Page.MACHINES)
    shown = rows(overview, state)
    return state.but(page=Page.WHY, scroll=0, selected=key_of(shown[place(shown, state)])) if shown else state


def _back(state: UiState, _: Overview) -> UiState:
    """From a page to the machines; there, first the filter goes, then the group."""
    if state.page is not Page.MACHINES:
        return state.but(page=Page.MACHINES)
    return state.but(filter="") if state.filter else state.but(group="")


def _quit(state: UiState, overview: Overview) -> UiState:
    return state.but(done=True) if state.page is Page.MACHINES else _back(state, overview)


def _help(state: UiState, _: Overview) -> UiState:
    return state.but(page=Page.MACHINES if state.page is Page.HELP else Page.HELP)


FAR: Final = 1_000_000
KEYS: Final = (
    Key(("up", "k"), "↑ k", "the machine above", _move(-1)),
    Key(("down", "j"), "↓ j", "the machine below", _move(1)),
    Key(("pageup",), "PgUp", f"{LEAP} machines up", _move(-LEAP)),
    Key(("pagedown", " "), "PgDn Space", f"{LEAP} machines down", _move(LEAP)),
    Key(("home",), "Home", "the first machine", _move(-FAR)),
    Key(("end", "G"), "End G", "the last machine", _move(FAR)),
    Key(("enter",), "Enter", "why the machine is as it is (hexa why)", _why),
    Key(("/",), "/", "filter: words of name, group, phase or reason", lambda state, _: state.but(typing=True)),
    Key(("g",), "g", "the machines of the next group; after the last one all", _group),
    Key(("s",), "s", f"sort by {', '.join(Order)}", _order),
    Key(("escape",), "Esc", "back; without a page: no filter, no group", _back),
    Key(("?", "h"), "? h", "this page", _help),
    Key(("q",), "q", "back, or quit", _quit),
)
_ACTS: Final = {name: key.act for key in KEYS for name in key.names}


def press(state: UiState, key: str, overview: Overview) -> UiState:
    """What the key makes of it. A key that means nothing changes nothing."""
    if state.typing:
        return _typed(state, key)
    act = _ACTS.get(key)
    return act(state, overview) if act is not None else state


def _typed(state: UiState, key: str) -> UiState:
    if key == "enter":
        return state.but(typing=False)
    if key == "escape":
        return state.but(typing=False, filter="")
    if key == "backspace":
        return state.but(filter=state.filter[:-1])
    return state.but(filter=state.filter + key) if len(key) == 1 and key.isprintable() else state


_SEQUENCE: Final = re.compile(r"\x1b\[[0-9;]*[A-Za-z~]|\x1bO[A-Za-z]|.", re.DOTALL)
_ENDS: Final = {
    "A": "up",
    "B": "down",
    "H": "home",
    "F": "end",
    "5~": "pageup",
    "6~": "pagedown",
    "1~": "home",
    "4~": "end",
}
_NAMES: Final = {
    **{f"\x1b[{end}": name for end, name in _ENDS.items()},
    **{f"\x1bO{end}": name for end, name in _ENDS.items()},
    **dict.fromkeys("\r\n", "enter"),
    **dict.fromkeys("\x7f\b", "backspace"),
    "\x1b": "escape",
}


def decoded(data: bytes) -> list[str]:
    """What a terminal sends -> names of keys; letters are their own. Sequences that mean nothing here are left out."""
    found = _SEQUENCE.findall(data.decode(errors="ignore"))
    names = [_NAMES.get(each, each if len(each) == 1 else "") for each in found]
    return [name for name in names if name]
