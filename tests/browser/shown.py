"""The page's own routes on a port of loopback, with a state that a test gives in place of an agent's."""

import functools
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import trio
from hypercorn.config import Config
from hypercorn.trio import serve
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from hexa.adapters.http.page import page_routes


class Shown:
    """What the page is told. `token`: what it has to send; empty: nothing."""

    def __init__(self, state: dict[str, Any], day: dict[str, Any], *, token: str = "") -> None:
        self.url = ""
        self.state, self.day, self.token = state, day, token
        self.asked: list[str] = []
        self._changed = trio.Event()
        self._ended = False

    def tell(self, state: dict[str, Any]) -> None:
        """Another state."""
        self.state = state
        self._changed.set()
        self._changed = trio.Event()

    def end(self) -> None:
        """End all streams."""
        self._ended = True
        self.tell(self.state)

    def refused(self, request: Request) -> Response | None:
        """The answer to a wrong token."""
        self.asked.append(request.url.path)
        if not self.token or request.headers.get("authorization") == f"Bearer {self.token}":
            return None
        return JSONResponse({"reason": "Unauthorized", "message": "this needs a token"}, 401)

    async def history(self, request: Request) -> Response:
        return self.refused(request) or JSONResponse(self.day)

    async def stream(self, request: Request) -> Response:
        async def events() -> AsyncIterator[str]:
            self._ended = False
            while not self._ended:
                changed = self._changed
                yield f"event: state\ndata: {json.dumps(self.state)}\n\n"
                await changed.wait()

        return self.refused(request) or StreamingResponse(events(), media_type="text/event-stream")


@asynccontextmanager
async def open_shown(state: dict[str, Any], day: dict[str, Any], *, token: str = "") -> AsyncIterator[Shown]:
    """The page at `url`, until the block ends."""
    shown = Shown(state, day, token=token)
    routes = [*page_routes(), Route("/api/v1/history", shown.history), Route("/api/v1/stream", shown.stream)]
    config = Config()
    config.bind, config.graceful_timeout, config.errorlog = ["127.0.0.1:0"], 0.1, None
    ended = trio.Event()
    async with trio.open_nursery() as nursery:
        app: Any = Starlette(routes=routes)
        running = functools.partial(serve, app, config, shutdown_trigger=ended.wait)
        shown.url = (await nursery.start(running))[0] + "/"
        yield shown
        ended.set()
        nursery.cancel_scope.cancel()
