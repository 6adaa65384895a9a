"""Log lines about clients that are refused: each kind is told at once, and then counted, so that a flood writes little.

It is told nothing that may be a secret: a header that a client has sent may hold a token.
"""

import logging
from typing import Final

import trio

log = logging.getLogger(__name__)

PERIOD: Final = 60.0
"""Seconds until the same kind is told again."""
KINDS: Final = 200
"""Kinds that are told apart; what a client says of itself may be part of one."""


class Complaints:
    """What was told, and how much since then was not."""

    def __init__(self, line: str) -> None:
        """`line` takes the client, the kind, and how many more there were: three %s."""
        self._line = line
        self._told: dict[str, tuple[float, int]] = {}

    def tell(self, kind: str, *, peer: object) -> None:
        """`kind` says why, for people."""
        now = trio.current_time()
        since, untold = self._told.get(kind, (now - PERIOD, 0))
        if now - since < PERIOD:
            self._told[kind] = since, untold + 1
            return
        more = f" (and {untold} more like it in the last {now - since:.0f} s)" if untold else ""
        log.warning(self._line, peer, kind, more)
        if len(self._told) >= KINDS:
            self._told.clear()
        self._told[kind] = now, 0
