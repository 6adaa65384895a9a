"""What a person has chosen on the screen, and which machines are shown for it. Pure: what keys do to it is in `keys`."""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final

from msgspec import Struct, structs

from hexa.domain.words.overview import GroupState, MachineState, Overview

_NUMBERS: Final = re.compile(r"([0-9]+)")
NEVER: Final = datetime(1, 1, 1, tzinfo=UTC)


class Page(StrEnum):
    MACHINES = "machines"
    WHY = "why"
    HELP = "help"


class Order(StrEnum):
    """What machines are sorted by."""

    NAME = "name"
    GROUP = "group"
    PHASE = "phase"
    CHANGED = "changed"
    """What changed last is first."""
    WATTS = "watts"


class UiState(Struct, frozen=True, kw_only=True):
    """What a person has chosen."""

    page: Page = Page.MACHINES
    selected: str = ""
    """NAMESPACE/NAME; of a machine that is not shown (any more): the first that is."""
    filter: str = ""
    typing: bool = False
    """Keys are letters of the filter."""
    group: str = ""
    """NAMESPACE/NAME of the group whose machines are shown; empty: all."""
    order: Order = Order.NAME
    scroll: int = 0
    """Lines of the page `why` that are above the screen."""
    done: bool = False

    def but(self, **changes: Any) -> "UiState":
        """The same with some fields changed."""
        return structs.replace(self, **changes)


def key_of(each: MachineState | GroupState) -> str:
    """NAMESPACE/NAME."""
    return f"{each.namespace}/{each.name}"


def group_of(machine: MachineState) -> str:
    """NAMESPACE/NAME of its group; empty: none."""
    return f"{machine.namespace}/{machine.group}" if machine.group else ""


ORDERS: Final[dict[Order, Callable[[MachineState], Any]]] = {
    Order.NAME: lambda machine: "",
    Order.GROUP: lambda machine: machine.group or "",
    Order.PHASE: lambda machine: machine.phase,
    Order.CHANGED: lambda machine: -(machine.since or NEVER).timestamp(),
    Order.WATTS: lambda machine: -(machine.watts or 0.0),
}


def rows(overview: Overview, state: UiState) -> tuple[MachineState, ...]:
    """The machines that are shown, in order: those of the group whose name, group, phase or reason has the filter's words."""
    words = state.filter.lower().split()
    found = [
        machine
        for machine in overview.machines
        if (not state.group or group_of(machine) == state.group) and all(word in _text(machine) for word in words)
    ]
    return tuple(sorted(found, key=lambda machine: (ORDERS[state.order](machine), _natural(key_of(machine)))))


def _natural(name: str) -> list[tuple[int, str]]:
    """Numbers by their value: box-2 is before box-10."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in _NUMBERS.split(name)]


def _text(machine: MachineState) -> str:
    return f"{key_of(machine)} {machine.group or ''} {machine.phase} {machine.why}".lower()


def place(shown: tuple[MachineState, ...], state: UiState) -> int:
    """Which of the rows is selected; 0 where there is none."""
    return next((index for index, each in enumerate(shown) if key_of(each) == state.selected), 0)
