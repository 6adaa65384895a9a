"""Who claims which hardware: two machines that name one BMC, outlet or network card are told from each other here.

It knows claims as texts; what they are is decided in `domain.power.claims`.
"""

from collections.abc import Iterator
from typing import Final

from hexa.domain.resources.v1alpha1 import Lookup

NOTHING: Final[frozenset[str]] = frozenset()

Rivals = tuple[tuple[str, frozenset[Lookup]], ...]
"""Claims that others make too, and who they are."""


class Claims:
    """Machines by what they claim."""

    def __init__(self) -> None:
        self._of: dict[Lookup, frozenset[str]] = {}
        self._by_claim: dict[str, set[Lookup]] = {}

    def move(self, key: Lookup, claims: frozenset[str]) -> tuple[Lookup, ...]:
        """The machine claims this and nothing else; returns the others for whom that changes something, in order of their names."""
        before = self._of.get(key, NOTHING)
        if before == claims:
            return ()
        for claim in before - claims:
            self._by_claim[claim].discard(key)
            if not self._by_claim[claim]:
                del self._by_claim[claim]
        for claim in claims - before:
            self._by_claim.setdefault(claim, set()).add(key)
        if claims:
            self._of[key] = claims
        else:
            self._of.pop(key, None)
        others = {other for claim in before ^ claims for other in self._by_claim.get(claim, ())} - {key}
        return tuple(sorted(others, key=str))

    def rivals(self, key: Lookup) -> Rivals:
        """What the machine shares with others."""
        return tuple(self._shared(key))

    def _shared(self, key: Lookup) -> Iterator[tuple[str, frozenset[Lookup]]]:
        for claim in sorted(self._of.get(key, NOTHING)):
            if others := self._by_claim[claim] - {key}:
                yield claim, frozenset(others)
