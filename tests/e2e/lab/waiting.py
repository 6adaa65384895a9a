"""Waiting for the world to become as a test expects it."""

import inspect
from collections.abc import Awaitable, Callable
from typing import TypeVar

import trio

T = TypeVar("T")

EVERY_SECONDS = 0.05


class NotYet(AssertionError):
    """What `eventually` raises when time is up; the text says what was seen last."""


async def eventually(
    look: Callable[[], Awaitable[T] | T], *, within: float = 10.0, every: float = EVERY_SECONDS, what: str = ""
) -> T:
    """Looks again and again until `look` returns something true, and returns that.

    An AssertionError of `look` counts as "not yet"; any other error is raised at once.
    """
    seen: object = None
    with trio.move_on_after(within):
        while True:
            try:
                seen = look()
                if inspect.isawaitable(seen):
                    seen = await seen
            except AssertionError as error:
                seen = error
            else:
                if seen:
                    return seen  # type: ignore[return-value]  # narrowed by isawaitable
            await trio.sleep(every)
    raise NotYet(f"not within {within:g} s: {what or _text(look)}; seen last: {seen!r}")


def _text(look: Callable[..., object]) -> str:
    return (inspect.getdoc(look) or getattr(look, "__name__", repr(look))).strip()
