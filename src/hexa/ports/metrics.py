"""Figures for a monitoring system, and who is told of what is counted on the way. It knows no format and no library."""

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from enum import StrEnum
from typing import Final, Protocol

from msgspec import Struct

Labels = tuple[str, ...]
"""Values of labels, in the order of their names."""


class Kind(StrEnum):
    """How a figure is meant."""

    GAUGE = "gauge"
    """What is now."""
    COUNTER = "counter"
    """A sum that only grows."""
    HISTOGRAM = "histogram"
    """How often something was how large."""


class Histogram:
    """How often something was how large. `bounds`: upper ends of the buckets, ascending; one bucket more takes the rest."""

    __slots__ = ("bounds", "counts", "sum")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds: Final = bounds
        self.counts: Final = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def __repr__(self) -> str:
        return f"<Histogram {sum(self.counts)} with the sum {self.sum:g}>"

    def observe(self, value: float) -> None:
        """One more."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value


class Family(Struct, frozen=True, kw_only=True):
    """All samples of one name."""

    name: str
    kind: Kind
    meaning: str
    labels: Labels
    """Their names."""
    samples: Iterable[tuple[Labels, float | Histogram]]
    """Each combination of labels once."""


class Metered(Protocol):
    """Who has figures."""

    def families(self) -> Iterator[Family]:
        """Everything as it is now. It waits for nothing and raises nothing; each name once."""
        ...


class Calls(Protocol):
    """Is told of the calls that the gRPC service answers. It returns at once and raises nothing."""

    def answered(self, method: str, seconds: float) -> None:
        """The call was answered, so long after its headers came."""
        ...

    def refused(self, method: str, seconds: float, code: str) -> None:
        """It was answered with this status; `method` is empty where no method of that name is served."""
        ...
