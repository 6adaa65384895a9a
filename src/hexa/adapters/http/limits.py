"""What holds for every request, whatever its path: size, time, headers of safety. It knows no path.

The outermost layer of the application: whatever fails inside is answered here, and told to the log without what was sent.
"""

import logging
from math import inf
from typing import Any, Final

import trio
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hexa.adapters.http.errors import HttpError, problem

log = logging.getLogger(__name__)

LARGEST_BODY: Final = 65_536
REQUEST_LIMIT: Final = 15.0
"""Seconds from the headers of a request to the begin of its answer."""
STREAM_LIMIT: Final = 600.0
"""Seconds for an answer: a stream ends then, and its client comes back with a token that still counts."""

HEADERS: Final = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; "
    "connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "cache-control": "no-store",
}
"""Of every answer that does not set them itself."""


class Limits:
    """An application around an application."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await _Request(scope, receive, send).run(self._app)


class _Request:
    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send
        self._left = LARGEST_BODY
        self._complete = not any(name in (b"content-length", b"transfer-encoding") for name, _ in scope["headers"])
        self._begun = False
        self._ended = False
        self._time = trio.CancelScope(deadline=trio.current_time() + REQUEST_LIMIT)

    async def run(self, app: ASGIApp) -> None:
        if self._declared() > LARGEST_BODY:
            await self._answer(413, _TOO_LARGE)
            return
        try:
            with self._time:
                await app(self._scope, self.receive, self.send)
        except ClientDisconnect:
            return
        except Exception:
            log.exception("a handler of the HTTP port failed")
            await self._close(500, "hexa failed to answer this; its log says why")
        if self._time.cancelled_caught and self._complete:
            await self._close(503, f"there is no answer after {REQUEST_LIMIT:g} s")
        elif self._time.cancelled_caught:
            await self._close(408, f"the request was not complete after {REQUEST_LIMIT:g} s")

    async def receive(self) -> Message:
        """The body, as far as it may go."""
        message = await self._receive()
        if message["type"] == "http.request":
            self._left -= len(message.get("body", b""))
            self._complete = not message.get("more_body", False)
            if self._left < 0:
                raise HttpError(413, _TOO_LARGE)
        return message

    async def send(self, message: Message) -> None:
        """The answer, with the headers that every answer has."""
        if message["type"] == "http.response.start":
            await trio.lowlevel.checkpoint_if_cancelled()  # too late: nothing of this answer has begun
            self._begun = True
            self._time.deadline = trio.current_time() + STREAM_LIMIT
            given = {bytes(name).lower() for name, _ in message.get("headers", ())}
            more = [pair for pair in _HEADERS if pair[0] not in given]
            message = {**message, "headers": [*message.get("headers", ()), *more]}
        elif message["type"] == "http.response.body":
            self._ended = not message.get("more_body", False)
        await self._send(message)

    def _declared(self) -> float:
        """The length that the request says that it has; the protocol has seen that it is a number."""
        lengths: list[Any] = [value for name, value in self._scope["headers"] if name == b"content-length"]
        return float(lengths[0]) if lengths and len(lengths[0]) < 20 else inf if lengths else 0.0

    async def _close(self, status: int, message: str) -> None:
        """Answer where nothing was answered; end an answer that has begun."""
        if not self._begun:
            await self._answer(status, message)
        elif not self._ended:
            await self.send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _answer(self, status: int, message: str) -> None:
        headers = {"connection": "close"}  # what the client still sends is not read
        await problem(status, message, headers=headers)(self._scope, self._receive, self.send)


_HEADERS: Final = [(name.encode(), value.encode()) for name, value in HEADERS.items()]
_TOO_LARGE: Final = f"the body is larger than {LARGEST_BODY} bytes"
