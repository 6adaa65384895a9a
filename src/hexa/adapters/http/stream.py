"""Server-sent events: the state whenever something in it has changed, at most once a second, and once a minute all the same. How
often there is a new one to send, `editions` knows.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final

import trio
from starlette.responses import Response, StreamingResponse

from hexa.adapters.http.editions import Edition
from hexa.adapters.http.errors import HttpError

LOOK: Final = 1.0
"""Seconds between two looks."""
SILENCE: Final = 15.0
"""After so long without an event a comment is sent, so that nobody on the way takes the connection for dead."""
LONGEST: Final = 590.0
"""Then the stream ends, and whoever wants more connects again, with a token that is judged again."""
HEADERS: Final = {"x-accel-buffering": "no"}
"""For nginx, which would keep events back."""

Latest = Callable[[Edition | None], Awaitable[Edition]]


def stream(version: Callable[[], int], latest: Latest) -> Response:
    """The answer that goes on. `version`: another one wherever the state may have changed; `latest`: what
    the caller may see now, from what they were sent; where it raises `HttpError`, they may see nothing any more, and it ends."""
    return StreamingResponse(events(version, latest), headers=HEADERS, media_type="text/event-stream")


async def events(version: Callable[[], int], latest: Latest) -> AsyncIterator[bytes]:
    """The events, each as it is sent."""
    begun = now = told = trio.current_time()
    seen: Edition | None = None
    yield b"retry: 2000\n\n"
    while now < begun + LONGEST:
        if seen is None or seen.outdated(version()):
            before = seen.event if seen is not None else None
            try:
                seen = await latest(seen)
            except HttpError:
                return
            if seen.event is not before:
                told = now
                yield seen.event
        if now >= told + SILENCE:
            told = now
            yield b": still here\n\n"
        await trio.sleep(LOOK)
        now = trio.current_time()
