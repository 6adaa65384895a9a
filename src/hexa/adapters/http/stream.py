"""Server-sent events: the state whenever something in it has changed, at most once a second, and once a minute all the same."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final

import msgspec
import trio
from starlette.responses import Response, StreamingResponse

from hexa.adapters.http.errors import HttpError
from hexa.domain.words.overview import Overview, same_story

LOOK: Final = 1.0
"""Seconds between two looks."""
REFRESH: Final = 60.0
"""Energy, money and hours change all the time: they are sent anew at the latest after so long."""
SILENCE: Final = 15.0
"""After so long without an event a comment is sent, so that nobody on the way takes the connection for dead."""
LONGEST: Final = 590.0
"""Then the stream ends, and whoever wants more connects again, with a token that is judged again."""
HEADERS: Final = {"x-accel-buffering": "no"}
"""For nginx, which would keep events back."""

Look = Callable[[], Awaitable[tuple[int, Overview]]]


def stream(version: Callable[[], int], look: Look) -> Response:
    """The answer that goes on. `version`: another one wherever the state may have changed; `look`: the state that the caller may
    see now, with its version; where it raises `HttpError`, they may see none any more, and the stream ends."""
    return StreamingResponse(events(version, look), headers=HEADERS, media_type="text/event-stream")


async def events(version: Callable[[], int], look: Look) -> AsyncIterator[bytes]:
    """The events, each as it is sent."""
    encoder, sent, seen = msgspec.json.Encoder(), None, None
    begun = now = told = refreshed = trio.current_time()
    yield b"retry: 2000\n\n"
    while now < begun + LONGEST:
        due = sent is None or now >= refreshed + REFRESH
        if due or version() != seen:
            try:
                seen, found = await look()
            except HttpError:
                return
            if due or _is_news(sent, found):
                sent, told = found, now
                refreshed = now if due else refreshed
                yield b"event: state\ndata: " + encoder.encode(found) + b"\n\n"
        if now >= told + SILENCE:
            told = now
            yield b": still here\n\n"
        await trio.sleep(LOOK)
        now = trio.current_time()


def _is_news(sent: Overview | None, found: Overview) -> bool:
    return sent is None or not same_story(sent, found)
