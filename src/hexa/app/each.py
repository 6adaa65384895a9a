"""The same for many things at once: all are tried, whatever one of them raises."""

import math
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

import trio

from hexa.domain.errors import HexaError

T = TypeVar("T")


async def for_each(work: Callable[[T], Awaitable[None]], items: Iterable[T], *, at_once: float = math.inf) -> None:
    """Work for each of the items, `at_once` of them at a time. Raises the first `HexaError`, once all were tried."""
    failed: list[HexaError] = []
    limit = trio.CapacityLimiter(at_once)

    async def one(item: T) -> None:
        async with limit:
            try:
                await work(item)
            except HexaError as error:
                failed.append(error)

    async with trio.open_nursery() as nursery:
        for item in items:
            nursery.start_soon(one, item)
    if failed:
        raise failed[0]
