"""Waiting for the world to become as a test expects it."""

import inspect
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, overload

import trio

T = TypeVar("T")

EVERY_SECONDS = 0.05


class NotYet(AssertionError):
    """What `eventually` raises when time is up; the text says what was seen last."""


@overload
async def eventually(
    look: Callable[[], Awaitable[T]], *, within: float = ..., every: float = ..., what: str = ...
) -> T: ...
@overload
async def eventually(look: Callable[[], T], *, within: float = ..., every: float = ..., what: str = ...) -> T: ...
async def eventually(
    look: Callable[[], Any], *, within: float = 10.0, every: float = EVERY_SECONDS, what: str = ""
) -> Any:
    """Looks again and again until `look` returns something true, and returns that.

    An AssertionError of `look` counts as "not yet"; any other error is raised at once.
    """
    seen: object = None
    with trio.move_on_after(within):
        while True:
            try:
                found = await _look(look)
                if found:
                    return found
                seen = found
            except AssertionError as error:
                seen = error
            await trio.sleep(every)
    raise NotYet(f"not within {within:g} s: {what or _text(look)}; seen last: {seen!r}")


async def _look(look: Callable[[], Any]) -> Any:
    found = look()
    return await found if isinstance(found, Awaitable) else found


def _text(look: Callable[[], object]) -> str:
    return (inspect.getdoc(look) or getattr(look, "__name__", "") or repr(look)).strip()
