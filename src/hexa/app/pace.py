"""How often something is done about each of many: a few times at once, and seldom where that never ends.

A program of the cluster that takes off what hexa puts on, each time, would else have an answer in the same moment, for ever.
"""

from collections.abc import Callable, Hashable
from typing import Final, Generic, TypeVar

import trio

from hexa.domain.news import About, News, Severity, What
from hexa.domain.resources.v1alpha1 import Lookup

K = TypeVar("K", bound=Hashable)

AT_ONCE: Final = 12
"""So many times it is done at once: more than a machine's way up and down ever needs."""
APART: Final = 30.0
"""Seconds between two times after that, and in which one of those comes back."""


class Pace(Generic[K]):
    """Asked before and told after; it waits for nothing itself."""

    def __init__(self, *, at_once: int = AT_ONCE, apart: float = APART) -> None:
        self._at_once, self._apart = at_once, apart
        self._full: dict[K, float] = {}
        """On Trio's clock, when all of `at_once` have come back."""
        self._told: set[K] = set()

    def __len__(self) -> int:
        """So many were ever done."""
        return len(self._full)

    def rests(self, key: K) -> float:
        """Seconds until it may be done again; 0: now."""
        return max(self._full.get(key, 0.0) - trio.current_time() - (self._at_once - 1) * self._apart, 0.0)

    def did(self, key: K) -> None:
        """It is done once more."""
        now = trio.current_time()
        if self._full.get(key, 0.0) <= now:
            self._told.discard(key)
        self._full[key] = max(self._full.get(key, now), now) + self._apart

    def begins(self, key: K) -> bool:
        """Whether this is asked for the first time since it was calm: people are told once."""
        first = key not in self._told
        self._told.add(key)
        return first

    def forget(self, concerns: Callable[[K], bool]) -> None:
        """Those are gone."""
        for key in [key for key in self._full if concerns(key)]:
            del self._full[key]
            self._told.discard(key)


def contested(of: Lookup, what: str, *, about: About = About.NODE) -> News:
    """Somebody else undoes `what` hexa writes on the object, each time anew."""
    text = (
        f"somebody else undoes {what}, each time anew; it is written seldom until that ends. `kubectl get -o yaml "
        "--show-managed-fields` tells who does that; let it leave alone what is of infra.homecluster.dev"
    )
    return News(of=of, about=about, what=What.CONTESTED, why=text, severity=Severity.WARNING)
