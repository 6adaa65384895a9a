"""The same run twice: Trio wakes tasks in a random order on purpose, and here that order is fixed or drawn from a seed.

Trio keeps this switch private, for Hypothesis (its issue #890); where it is missing, runs are merely not repeatable.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from random import Random
from typing import Any, Final

from trio._core import _run

SWITCH: Final = "_ALLOW_DETERMINISTIC_SCHEDULING"


class _InOrder(Random):
    """Leaves tasks in the order in which they were made."""

    def shuffle(self, x: Any) -> None:
        return None


@contextmanager
def repeatable_scheduling(seed: int | None = None) -> Iterator[None]:
    """Around a `trio.run`: tasks that are ready at the same moment run in the order of their making, or in an order drawn
    from `seed`."""
    before = {name: getattr(_run, name) for name in (SWITCH, "_r") if hasattr(_run, name)}
    fixed = {SWITCH: True, "_r": _InOrder(0) if seed is None else Random(seed)}
    try:
        for name in before:
            setattr(_run, name, fixed[name])
        yield
    finally:
        for name, value in before.items():
            setattr(_run, name, value)
