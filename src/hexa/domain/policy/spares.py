"""Spares as numbers: how many idle machines a group keeps on."""

import math

from msgspec import Struct

from hexa.domain.policy.values import Reader


class Spares(Struct, frozen=True, kw_only=True):
    """How many idle machines are kept on."""

    count: int | None = None
    """None: `share` of the group's machines."""
    share: float = 0.0

    def of(self, machines: int) -> int:
        """How many that is of so many machines, rounded up."""
        return math.ceil(self.share * machines - 1e-9) if self.count is None else self.count

    def __str__(self) -> str:
        return f"{self.share:.0%}" if self.count is None else str(self.count)


def spares_of(reader: Reader, field: str, written: int | str | None) -> Spares | None:
    """As people write them; None: none."""
    if isinstance(written, str):
        share = reader.percent(field, written)
        return Spares(share=share) if share else None
    return Spares(count=written) if written is not None and written > 0 else None


def more_spares(one: Spares | None, other: Spares | None) -> Spares | None:
    """The one that is more; of a number and a share, in a group of a hundred."""
    return max((each for each in (one, other) if each is not None), key=lambda each: each.of(100), default=None)
