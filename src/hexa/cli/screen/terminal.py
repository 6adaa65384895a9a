"""The terminal: its screen of its own, keys without Enter, and lines of which only those are written that changed.

A frame is written in one piece, as a synchronized update where the terminal knows them, so that nothing flickers.
"""

import os
import sys
import termios
import tty
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from rich.color import ColorSystem
from rich.console import Console
from rich.segment import Segment
from rich.text import Text

ENTER: Final = "\x1b[?1049h\x1b[?25l\x1b[?7l"
"""The other screen, no cursor, no wrapping."""
LEAVE: Final = "\x1b[?7h\x1b[?25h\x1b[?1049l"
BEGIN: Final = "\x1b[?2026h"
END: Final = "\x1b[?2026l"
CLEAR: Final = "\x1b[2J"
DISABLED: Final = b"\x00"


def has_terminal() -> bool:
    """Whether somebody can look and press keys."""
    return sys.stdin.isatty() and sys.stdout.isatty() and os.environ.get("TERM", "") not in ("", "dumb")


class Painter:
    """Writes what differs from the frame before."""

    def __init__(self, *, colours: bool) -> None:
        self._colours = colours
        self._before: list[str] = []
        self._size = (0, 0)
        self._console = Console(force_terminal=True, legacy_windows=False)

    def frame(self, lines: Sequence[Text], *, width: int, height: int) -> str:
        """What to write so that the screen, which is of that size now, shows the lines. Empty: it does."""
        again = (width, height) != self._size
        before = [] if again else self._before
        if again:
            self._console = Console(width=width, force_terminal=True, legacy_windows=False)
        fresh = [self._drawn(line) for line in lines]
        changed = [(row, text) for row, text in enumerate(fresh) if row >= len(before) or before[row] != text]
        self._before, self._size = fresh, (width, height)
        if not changed:
            return ""
        texts = "".join(f"\x1b[{row + 1};1H{text}" for row, text in changed)
        return f"{BEGIN}{CLEAR if again else ''}{texts}{END}"

    def _drawn(self, line: Text) -> str:
        segments = self._console.render(line, self._console.options.update(no_wrap=True, overflow="crop"))
        shown = segments if self._colours else Segment.remove_color(segments)
        return "".join(_painted(segment) for segment in shown if segment.text != "\n")


def _painted(segment: Segment) -> str:
    if segment.style is None:
        return segment.text
    return segment.style.render(segment.text, color_system=ColorSystem.STANDARD, legacy_windows=False)


def size() -> tuple[int, int]:
    """Columns and lines of the terminal; one that does not say has those of old."""
    found = os.get_terminal_size(sys.stdout.fileno())
    return found.columns or 80, found.lines or 24


def write(text: str) -> None:
    """At once, past buffers."""
    if text:
        sys.stdout.write(text)
        sys.stdout.flush()


@contextmanager
def open_terminal() -> Iterator[None]:
    """Keys come one by one and are not shown; whatever ends the block, the terminal is left as it was. Ctrl-C stays a signal."""
    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)
    tty.setcbreak(descriptor)
    attributes = termios.tcgetattr(descriptor)
    attributes[6][termios.VSUSP] = DISABLED  # a shell would find the terminal as it is here
    termios.tcsetattr(descriptor, termios.TCSANOW, attributes)
    write(ENTER)
    try:
        yield
    finally:
        write(LEAVE)
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
