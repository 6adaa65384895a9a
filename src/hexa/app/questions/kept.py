"""What was told of machines and groups, kept while nothing of it changes: who is asked often answers anew only what did."""

from collections.abc import Callable, Collection
from datetime import datetime, timedelta
from typing import Any, Final, Generic, TypeVar

from msgspec import Struct

LASTS: Final = timedelta(seconds=60)
"""What time alone changes (hours, energy, the end of a hold) is so old at most."""
SPREAD: Final = 16
"""Answers that were made at once grow old at so many different times, so that not all of them are made anew at once."""

T = TypeVar("T")


class _Told(Struct, Generic[T], frozen=True):
    of: tuple[Any, ...]
    at: datetime
    until: datetime
    what: T


class Kept(Generic[T]):
    """One answer for each key."""

    def __init__(self) -> None:
        self._told: dict[Any, _Told[T]] = {}
        self._made = 0

    def get(self, key: Any, of: tuple[Any, ...], now: datetime, make: Callable[[], T]) -> T:
        """The answer that was made a short time ago of the very same objects and the same numbers; else what `make` makes. What it
        raises is not kept."""
        known = self._told.get(key)
        if known is not None and known.at <= now < known.until and all(map(_same, known.of, of)):
            return known.what
        what = make()
        self._made += 1
        self._told[key] = _Told(of, now, now + LASTS * (SPREAD + self._made % SPREAD + 1) / (2 * SPREAD), what)
        return what

    def only(self, keys: Collection[Any]) -> None:
        """Forget the others."""
        if len(self._told) > len(keys):
            there = set(keys)
            self._told = {key: told for key, told in self._told.items() if key in there}


def _same(one: Any, other: Any) -> bool:
    return one is other or (isinstance(one, int | float | str) and bool(one == other))
