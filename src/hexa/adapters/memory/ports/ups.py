"""Implements ports.ups in RAM: a UPS whose mains fail when told so."""

from datetime import timedelta

import trio

from hexa.domain.errors import HexaError
from hexa.domain.power.ups import Supply, UpsReading


class MemoryUps:
    """A UPS with a battery that is as full as it is told."""

    def __init__(self) -> None:
        self.mains, self.charge, self.runtime = True, 100.0, timedelta(hours=1)
        self.low = False
        self.hangs = False
        """Nobody answers, ever."""
        self.error: HexaError | None = None
        """Raised instead of an answer, as long as it is there."""
        self.answer: UpsReading | None = None
        """What it says instead of the truth."""
        self.calls = 0
        self.takes = 0.0
        """Seconds until it answers."""

    def __repr__(self) -> str:
        return f"<MemoryUps {'mains' if self.mains else 'battery'} {self.charge:g}%>"

    async def read(self) -> UpsReading:
        self.calls += 1
        await trio.sleep(self.takes)
        if self.hangs:
            await trio.sleep_forever()
        if self.error is not None:
            raise self.error
        supply = Supply.MAINS if self.mains else Supply.BATTERY
        truth = UpsReading(supply=supply, charge=self.charge, runtime=self.runtime, low=self.low and not self.mains)
        return self.answer or truth
