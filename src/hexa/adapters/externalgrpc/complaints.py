"""Log lines about peers that are refused: each kind is told at once, and then counted, so that a flood writes little."""

import logging
import time
from typing import Final

log = logging.getLogger(__name__)

PERIOD: Final = 60.0
"""Seconds until the same kind is told again."""
KINDS: Final = 200
"""Kinds that are told apart; what a peer says of itself may be part of one."""


class Complaints:
    """What was told, and how much since then was not."""

    def __init__(self) -> None:
        self._told: dict[str, tuple[float, int]] = {}

    def tell(self, kind: str, *, peer: object) -> None:
        """`kind` says why, for people."""
        now = time.monotonic()
        since, untold = self._told.get(kind, (now - PERIOD, 0))
        if now - since < PERIOD:
            self._told[kind] = since, untold + 1
            return
        more = f" (and {untold} more like it in the last {now - since:.0f} s)" if untold else ""
        log.warning("gRPC peer %s refused: %s%s", peer, kind, more)
        if len(self._told) >= KINDS:
            self._told.clear()
        self._told[kind] = now, 0
