"""How eagerly a watch is read. Pure: times are arguments.

Waking up for each event of a busy watch costs ten times what the event itself does. So a stream that brings many is
left to gather for a moment, while one that brings few, or a burst after a silence, is read at once.
"""

from typing import Final

PAUSE: Final = 0.1
"""Seconds that a busy stream may gather."""

BUSY: Final = 20.0
"""Pieces a second from which a stream counts as busy."""

_WINDOW: Final = 0.05
"""Seconds that are judged at least."""

_WAITED: Final = 0.001
"""A read that took longer than this had to wait: what was there before has been read."""


class Pace:
    """Judges one stream by its reads."""

    def __init__(self, now: float) -> None:
        self._since = now
        self._pieces = 0
        self._busy = False

    def __repr__(self) -> str:
        return f"<Pace {'busy' if self._busy else 'quiet'}>"

    def pause(self) -> float:
        """Seconds to wait before the next read."""
        pause, self._busy = PAUSE if self._busy else 0.0, False
        return pause

    def read(self, *, began: float, ended: float) -> None:
        """A read brought a piece."""
        self._pieces += 1
        elapsed = ended - self._since
        if ended - began >= _WAITED and elapsed >= _WINDOW:
            self._busy = self._pieces > BUSY * elapsed
            self._since, self._pieces = ended, 0
