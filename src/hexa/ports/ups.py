"""A UPS that is looked at. Nothing here switches it."""

from typing import Protocol

from hexa.domain.power.ups import UpsReading


class Ups(Protocol):
    """One UPS."""

    async def read(self) -> UpsReading:
        """What it says now; a UPS that says nothing clear is `Unknown` with its trouble. It may be repeated at any time. Raises
        `Unavailable` (try again: nobody answers, what is known is stale, the answer makes no sense) or `Refused` (a person must
        act: there is no UPS of that name, or it may not be read) with one sentence."""
        ...
