"""A driver that breaks: an answer that nobody thought of must end neither an order nor the agent."""

import traceback
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from hexa.adapters.power.context import Context
from hexa.domain.errors import HexaError, Refused, Unavailable
from hexa.domain.resources.v1alpha1 import Reading
from hexa.ports.power import UNMEASURED, HardPower, Measurement, Metered, Power

T = TypeVar("T")


class Guarded:
    """Implements `ports.power.HardPower` by another driver, whose unforeseen exceptions become `Unavailable`."""

    def __init__(self, power: Power, context: Context) -> None:
        self._power, self._context = power, context

    def __repr__(self) -> str:
        return repr(self._power)

    async def turn_on(self) -> None:
        await self._guarded(self._power.turn_on)

    async def turn_off(self) -> None:
        await self._guarded(self._power.turn_off)

    async def sense(self) -> Reading:
        return await self._guarded(self._power.sense)

    async def measure(self) -> Measurement:
        return await self._guarded(self._power.measure) if isinstance(self._power, Metered) else UNMEASURED

    async def cut(self) -> None:
        if not isinstance(self._power, HardPower):
            raise self._no_cut()
        await self._guarded(self._power.cut)

    def _no_cut(self) -> Refused:
        return self._context.refused("it can't cut power", "name another driver", reason="NotSupported")

    async def _guarded(self, call: Callable[[], Awaitable[T]]) -> T:
        try:
            return await call()
        except HexaError:
            raise
        except Exception as error:
            raise broken(self._context, error) from error


def broken(context: Context, error: Exception) -> Unavailable:
    """What is told of an exception that no driver should raise: its kind and place, for its words may hold a secret."""
    where = traceback.extract_tb(error.__traceback__)[-1]
    what = f"it failed by {type(error).__name__} in {Path(where.filename).name}:{where.lineno}"
    return context.unavailable(what, "that is a defect of the driver: report it", reason="DriverFailed")
