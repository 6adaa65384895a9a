"""Log lines about clients that are refused: each kind is told at once, and then counted, so that a flood writes little.

It is told nothing that a client has sent: a header may hold a token.
"""

import logging
from typing import Final

import trio

log = logging.getLogger(__name__)

PERIOD: Final = 60.0
"""Seconds until the same kind is told again."""


class Complaints:
    """What was told, and how much since then was not. Kinds are few: they are texts of this adapter."""

    def __init__(self) -> None:
        self._told: dict[str, tuple[float, int]] = {}

    def tell(self, kind: str, *, peer: str) -> None:
        """`kind` says why, for people."""
        now = trio.current_time()
        since, untold = self._told.get(kind, (now - PERIOD, 0))
        if now - since < PERIOD:
            self._told[kind] = since, untold + 1
            return
        more = f" (and {untold} more like it since {now - since:.0f} s)" if untold else ""
        log.warning("HTTP client %s: %s%s", peer, kind, more)
        self._told[kind] = now, 0
