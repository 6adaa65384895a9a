"""What was worked out of an object, kept as long as the very same object is asked about. It knows no object and no rule."""

from collections.abc import Callable
from datetime import datetime
from functools import wraps
from typing import Any, Final, Generic, TypeVar

T = TypeVar("T")
V = TypeVar("V")

SIZE: Final = 4096
"""Objects remembered at most; then all are forgotten. They are held meanwhile, so that no other one gets the same identity."""


class ByIdentity(Generic[T, V]):
    """Values by object, compared by identity: contents are neither hashed nor compared."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[T, V]] = {}

    def __repr__(self) -> str:
        return f"<ByIdentity {len(self._known)}>"

    def get(self, key: T) -> V | None:
        found = self._known.get(id(key))
        return found[1] if found is not None and found[0] is key else None

    def put(self, key: T, value: V) -> None:
        if len(self._known) >= SIZE:
            self._known.clear()
        self._known[id(key)] = key, value


def remembered(work: Callable[[T], V]) -> Callable[[T], V]:
    """A pure function of one frozen object that answers again what it has answered for the very same object."""
    known: ByIdentity[T, tuple[V]] = ByIdentity()

    @wraps(work)
    def answer(key: T) -> V:
        found = known.get(key)
        if found is None:
            found = (work(key),)
            known.put(key, found)
        return found[0]

    return answer


def at_a_moment(work: Callable[[T, datetime], V]) -> Callable[[T, datetime], V]:
    """A pure method of a frozen struct and of a moment that answers again what it has answered for the very same moment. The answer
    is kept in the struct (`dict=True`) and goes with it: a copy in which something differs begins without."""
    name = f"{work.__name__} at"

    @wraps(work)
    def answer(self: Any, now: datetime) -> V:
        kept: tuple[datetime, V] | None = self.__dict__.get(name)
        if kept is None or kept[0] is not now:
            kept = self.__dict__[name] = (now, work(self, now))
        return kept[1]

    return answer
