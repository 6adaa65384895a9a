"""The API: /api/v1/... for programs and things. What it answers is of `ports.questions`; who may ask, `auth` knows."""

from collections.abc import Awaitable
from importlib.resources import files
from typing import Final, TypeVar

import msgspec
import trio
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from hexa.adapters.http.app import Handler, caller_of, in_turn, judge
from hexa.adapters.http.auth import Caller
from hexa.adapters.http.editions import Edition, Editions
from hexa.adapters.http.errors import HttpError, forbidden, not_found
from hexa.adapters.http.kept import Bucket
from hexa.adapters.http.reading import body_of, key_of, spaces_of, span_of
from hexa.adapters.http.stream import stream
from hexa.adapters.http.waiting import takes_html, waiting_page, waiting_routes
from hexa.domain.errors import Conflict, HexaError, NotFound, Refused
from hexa.domain.resources.v1alpha1 import MACHINES, Lookup
from hexa.domain.words.orders import HoldBody, Ordered, WakeBody, eta_of
from hexa.domain.words.overview import MachineState, Overview
from hexa.ports.questions import Orders, Questions, Unfit

KIND: Final = f"{MACHINES.plural}.{MACHINES.api_version.partition('/')[0]}"
OF_CALLER: Final = 20, 0.2
"""Writes that one caller may ask for: how many at once, and a second."""
OF_MACHINE: Final = 5, 0.1
"""The same of one machine, whoever asks."""
MOST_BUCKETS: Final = 4_096
JUDGED: Final = 30.0
"""Seconds for which a stream tells without asking again whether its token still counts."""

T = TypeVar("T")


class Api:
    """The handlers."""

    def __init__(self, questions: Questions, orders: Orders) -> None:
        self._questions, self._orders = questions, orders
        self._editions = Editions(self._version)
        self._callers, self._machines = Buckets(*OF_CALLER), Buckets(*OF_MACHINE)

    def open(self) -> tuple[Route, ...]:
        """For everybody: what says nothing of the site."""
        return (Route("/api/v1/openapi.json", _openapi()), *waiting_routes())

    def guarded(self) -> tuple[Route, ...]:
        """For callers that the API server knows."""
        one, group = "/api/v1/machines/{namespace}/{name}", "/api/v1/groups/{namespace}/{name}"
        return (
            Route("/api/v1/state", self.state),
            Route("/api/v1/machines", self.machines),
            Route(one, self.machine),
            Route(f"{one}/eta", self.eta),
            Route(f"{one}/eta.html", self.eta),
            Route(f"{one}/hold", self.hold, methods=["POST"]),
            Route(f"{one}/wake", self.wake, methods=["POST"]),
            Route("/api/v1/groups", self.groups),
            Route(group, self.group),
            Route("/api/v1/history", self.history),
            Route("/api/v1/stream", self.stream),
        )

    # --- reads ---

    async def state(self, request: Request) -> Response:
        return answer(await self._overview(request))

    async def machines(self, request: Request) -> Response:
        found = await self._overview(request)
        return answer({"at": found.at, "machines": found.machines})

    async def groups(self, request: Request) -> Response:
        found = await self._overview(request)
        return answer({"at": found.at, "groups": found.groups})

    async def machine(self, request: Request) -> Response:
        return answer(await self._machine(request))

    async def group(self, request: Request) -> Response:
        key, caller = key_of(request), caller_of(request)
        spaces = await caller.namespaces()
        if spaces is not None and key.namespace not in spaces:
            raise forbidden(f"{caller.name[:200]} may not list machines of namespace {key.namespace}")
        found = await in_turn(request, lambda: self._questions.overview({key.namespace}))
        named = next((each for each in found.groups if each.name == key.name), None)
        if named is None:
            raise not_found(f"there is no group {key}")
        return answer(named)

    async def history(self, request: Request) -> Response:
        spaces, text = await spaces_of(request), request.query_params.get("since", "24h")
        found = await asked(self._questions.history(span_of(text), spaces))
        return answer({"stretches": found})

    async def stream(self, request: Request) -> Response:
        await spaces_of(request)  # refused before it begins
        if request.method == "HEAD":
            return Response(None, 200, media_type="text/event-stream")

        judged = trio.current_time()

        async def latest(sent: Edition | None) -> Edition:
            nonlocal judged
            if trio.current_time() >= judged + JUDGED:
                await judge(request)
                judged = trio.current_time()
            spaces = await spaces_of(request)

            async def look() -> tuple[int, Overview]:
                await self._questions.prepare()
                return await in_turn(request, lambda: self._questions.stamped(spaces))

            return await self._editions.latest(spaces, look, sent=sent)

        return stream(self._version, latest)

    def _version(self) -> int:
        return self._questions.version

    async def eta(self, request: Request) -> Response:
        found = eta_of(await self._machine(request))
        accept = ",".join(request.headers.getlist("accept"))
        html = request.url.path.endswith(".html") or takes_html(accept)
        return waiting_page(found) if html else answer(found)

    async def _overview(self, request: Request) -> Overview:
        spaces = await spaces_of(request)
        await self._questions.prepare()
        return await in_turn(request, lambda: self._questions.overview(spaces))

    async def _machine(self, request: Request) -> MachineState:
        key, caller = key_of(request), caller_of(request)
        refusal = forbidden(f"{caller.name[:200]} may not get {KIND} {key}")
        await self._there(key, caller, refusal)
        if not await caller.may_read(key.namespace, key.name):
            raise refusal
        found = self._questions.machine(key)
        if found is None:
            raise not_found(f"there is no machine {key}")
        return found

    # --- orders ---

    async def hold(self, request: Request) -> Response:
        key, caller = await self._writes(request, "hold")
        body = await body_of(request, HoldBody)
        self._pay(caller, key)
        return answer(await asked(self._orders.hold(key, body, by=caller.name)))

    async def wake(self, request: Request) -> Response:
        key, caller = await self._writes(request, "wake")
        body = await body_of(request, WakeBody)
        already = await asked(self._awake(key, body))
        if already is None:
            self._pay(caller, key)
            already = await asked(self._orders.wake(key, body, by=caller.name))
        return answer(already)

    async def _writes(self, request: Request, act: str) -> tuple[Lookup, Caller]:
        """What is to be changed, and by whom, who may do that. Raises `HttpError`."""
        key, caller = key_of(request), caller_of(request)
        text = f"{caller.name[:200]} may not update {MACHINES.plural}/{act} of {KIND} {key}"
        refusal = HttpError(403, text, remedy=f"hexa token {key} prints what allows it")
        await self._there(key, caller, refusal)
        if not await caller.may_update(key.namespace, key.name, act):
            raise refusal
        return key, caller

    async def _there(self, key: Lookup, caller: Caller, refusal: HttpError) -> None:
        """Nothing, where the machine is there. Of one that is not, nobody asks the API server whether the caller may see it: those
        who may see its namespace are told that there is none, and all others what they would be told if it were there. Raises
        `HttpError`."""
        if self._questions.there(key):
            return
        raise not_found(f"there is no machine {key}") if await _lists(caller, key.namespace) else refusal

    async def _awake(self, key: Lookup, body: WakeBody) -> Ordered | None:
        return self._orders.awake(key, body)

    def _pay(self, caller: Caller, key: Lookup) -> None:
        """Count a write. Raises `HttpError` (429) where there were too many."""
        wait = max(self._callers.left(caller.name), self._machines.left(str(key)))
        if wait:
            raise HttpError(
                429,
                f"too many writes are asked for {key} or by {caller.name[:200]}",
                headers={"retry-after": str(max(1, round(wait)))},
                remedy="wait for as long as the header Retry-After says",
            )


class Buckets:
    """How often something may be done, by name."""

    def __init__(self, burst: int, a_second: float) -> None:
        self._burst, self._a_second = burst, a_second
        self._known: dict[str, Bucket] = {}

    def left(self, name: str) -> float:
        """0: it was granted; else after how many seconds it is worth to ask again."""
        bucket = self._known.pop(name, None) or Bucket(burst=self._burst, a_second=self._a_second)
        while len(self._known) >= MOST_BUCKETS:
            del self._known[next(iter(self._known))]
        self._known[name] = bucket  # the last of them is the one that was asked for last
        return bucket.take()


# --- answers --------------------------------------------------------------------------------------------------------


_ENCODER: Final = msgspec.json.Encoder()


def answer(body: object) -> Response:
    """As JSON."""
    return Response(_ENCODER.encode(body), 200, media_type="application/json")


async def _lists(caller: Caller, namespace: str) -> bool:
    """Whether they may see all of it. Raises `HttpError` where nobody can tell now."""
    try:
        spaces = await caller.namespaces()
    except HttpError as error:
        if error.status != 403:
            raise
        return False
    return spaces is None or namespace in spaces


def _openapi() -> Handler:
    body = (files("hexa.adapters.http") / "files" / "openapi.json").read_bytes()

    async def handler(_: Request) -> Response:
        return Response(body, 200, media_type="application/json")

    return handler


async def asked(answer: Awaitable[T]) -> T:
    """What was answered. Raises `HttpError` for errors of the ports."""
    try:
        return await answer
    except HexaError as error:
        raise _http_error(error) from None


def _http_error(error: HexaError) -> HttpError:
    if isinstance(error, Unfit):
        problem = error.problem
        return HttpError(400, problem.text, field=problem.field, remedy=problem.remedy)
    if isinstance(error, NotFound):
        return HttpError(404, str(error))
    if isinstance(error, Conflict):
        return HttpError(409, str(error), reason=error.reason, remedy="look at the machine, and ask again")
    if isinstance(error, Refused):
        return HttpError(422, str(error), reason=error.reason)
    return HttpError(503, str(error), reason=error.reason, headers={"retry-after": "5"})
