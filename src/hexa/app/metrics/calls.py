"""Counts the calls that Cluster Autoscaler makes. It stands in the way of each of them: it does next to nothing."""

from datetime import timedelta
from typing import Final

import trio

from hexa.app.metrics.table import CALL_SECONDS
from hexa.domain.words.reasons import OTHER
from hexa.ports.metrics import Histogram, Labels


class CountedCalls:
    """Implements `ports.metrics.Calls`."""

    def __init__(self) -> None:
        self.durations: Final[dict[Labels, Histogram]] = {}
        self.errors: Final[dict[Labels, float]] = {}
        self._last: float | None = None

    def ago(self) -> timedelta | None:
        """How long ago the last call was answered; None: there was none."""
        return timedelta(seconds=trio.current_time() - self._last) if self._last is not None else None

    def answered(self, method: str, seconds: float) -> None:
        self._last = trio.current_time()
        labels = (method,)
        if (known := self.durations.get(labels)) is None:
            known = self.durations[labels] = Histogram(CALL_SECONDS)
        known.observe(seconds)

    def refused(self, method: str, seconds: float, code: str) -> None:
        if method:
            self.answered(method, seconds)
        labels = (method or OTHER, code)
        self.errors[labels] = self.errors.get(labels, 0.0) + 1
