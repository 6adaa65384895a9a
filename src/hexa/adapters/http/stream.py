"""Server-sent events: the state whenever something in it has changed, at most once a second, and once a minute all the same."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final

import msgspec
import trio
from starlette.responses import Response, StreamingResponse

from hexa.domain.words.overview import Overview, same_story
from hexa.ports.questions import Questions

LOOK: Final = 1.0
"""Seconds between two looks."""
REFRESH: Final = 60.0
"""Energy, money and hours change all the time: they are sent anew at the latest after so long."""
SILENCE: Final = 15.0
"""After so long without an event a comment is sent, so that nobody on the way takes the connection for dead."""
ASKED_AGAIN: Final = 30.0
"""Seconds after which it is asked again what the caller may see."""
LONGEST: Final = 600.0
"""Then the stream ends, and whoever wants more connects again, with a token that is judged again."""
HEADERS: Final = {"cache-control": "no-store", "x-accel-buffering": "no", "x-content-type-options": "nosniff"}

Spaces = Callable[[], Awaitable[frozenset[str] | None]]


def stream(questions: Questions, spaces: Spaces) -> Response:
    """The answer that goes on. `spaces`: the namespaces that the caller may see now; it raises where they may see none any more,
    and that ends the stream."""
    return StreamingResponse(events(questions, spaces), headers=HEADERS, media_type="text/event-stream")


async def events(questions: Questions, spaces: Spaces) -> AsyncIterator[bytes]:
    """The events, each as it is sent."""
    encoder, sent, seen = msgspec.json.Encoder(), None, None
    begun = now = told = asked = trio.current_time()
    refreshed, may = now, await spaces()
    yield b"retry: 2000\n\n"
    while now < begun + LONGEST:
        if now >= asked + ASKED_AGAIN:
            asked, may = now, await spaces()
        due = sent is None or now >= refreshed + REFRESH
        if due or questions.version != seen:
            seen, found = questions.stamped(may)
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
