"""The application of the port: which paths there are, and what each asks of a caller. What they answer is of other modules."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeVar

import trio
from msgspec import Struct
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from hexa.adapters.http.auth import Caller, Door
from hexa.adapters.http.errors import HttpError, bad_request, broken, routed, told

T = TypeVar("T")
Handler = Callable[[Request], Awaitable[Response]]


class Parts(Struct, frozen=True, kw_only=True):
    """What the port serves. Every handler is `async def handler(request: Request) -> Response`; a plain function would be run in
    a thread. It answers within 15 s or streams; work of more than a few milliseconds goes through `in_turn`."""

    door: Door
    ready: Callable[[], bool]
    """Whether the gRPC service answers from a complete snapshot."""
    open: tuple[Route, ...] = ()
    """For everybody, without a token: files of the page, which hold no data."""
    guarded: tuple[Route, ...] = ()
    """For callers that the API server knows: their handlers ask `caller_of(request)`."""
    metrics: Callable[[str], Awaitable[tuple[bytes, str]]] | None = None
    """From the header Accept to a body and its content type; for whoever may `get` the path /metrics."""


def make_app(parts: Parts) -> Starlette:
    """The application; it needs no lifespan."""
    own = [Route("/livez", _alive), Route("/readyz", _ready(parts.ready))]
    if parts.metrics is not None:
        own.append(Route("/metrics", _metrics(parts.metrics, parts.door)))
    guarded = [_guarded(route, parts.door) for route in parts.guarded]
    app = Starlette(
        routes=[*own, *parts.open, *guarded],
        exception_handlers={HttpError: told, HTTPException: routed, Exception: broken},
    )
    app.router.redirect_slashes = False
    app.state.turn = trio.Lock()
    return app


def caller_of(request: Request) -> Caller:
    """Who asks; for handlers of `Parts.guarded`."""
    caller = request.state.caller
    assert isinstance(caller, Caller)
    return caller


async def judge(request: Request) -> None:
    """Find out who asks; for answers that go on, again. Raises `HttpError` where the token counts no more."""
    request.state.caller = await request.state.admit()


async def in_turn(request: Request, work: Callable[[], T]) -> T:
    """What `work` returns, one at a time: between the work of two requests gRPC and the controllers have theirs."""
    async with request.app.state.turn:
        return work()


def _guarded(route: Route, door: Door) -> Route:
    endpoint: Handler = route.endpoint

    async def ask(request: Request) -> Response:
        request.state.admit = partial(door.admit, _authorization(request), request.method)
        await judge(request)
        return await endpoint(request)

    return Route(route.path, ask, methods=sorted(route.methods or ()), name=route.name)


def _authorization(request: Request) -> str | None:
    """The header. Of two, whoever is on the way may have judged the other one. Raises `HttpError`."""
    given = request.headers.getlist("authorization")
    if len(given) > 1:
        raise bad_request("there is more than one header Authorization: send one")
    return given[0] if given else None


async def _alive(_: Request) -> Response:
    return PlainTextResponse("ok\n")


def _ready(ready: Callable[[], bool]) -> Handler:
    async def answer(_: Request) -> Response:
        return PlainTextResponse("ok\n") if ready() else PlainTextResponse("the snapshot is not complete\n", 503)

    return answer


def _metrics(render: Callable[[str], Awaitable[tuple[bytes, str]]], door: Door) -> Handler:
    async def answer(request: Request) -> Response:
        caller = await door.admit(_authorization(request), request.method)
        await caller.must_get("/metrics")
        async with request.app.state.turn:
            body, kind = await render(request.headers.get("accept", ""))
        return Response(body, media_type=None, headers={"content-type": kind})

    return answer
