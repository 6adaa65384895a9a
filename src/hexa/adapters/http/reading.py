"""What a request of the API says: whose namespaces, which machine, which body. What is wrong is refused with field and remedy."""

import json
import re
from contextlib import aclosing
from datetime import timedelta
from typing import Any, Final, TypeVar

import msgspec
from msgspec import Struct
from starlette.requests import Request

from hexa.adapters.http.app import caller_of
from hexa.adapters.http.errors import HttpError, forbidden, not_found
from hexa.domain.duration import parse_duration
from hexa.domain.resources.v1alpha1 import Lookup

LARGEST_BODY: Final = 4_096
LONGEST_HISTORY: Final = timedelta(days=35)
NAME: Final = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?", re.ASCII)
"""What Kubernetes takes for the name of an object."""
DURATION: Final = "90m or 3h"
SCHEMA: Final = "see /api/v1/openapi.json for what it takes"

B = TypeVar("B", bound=Struct)


async def spaces_of(request: Request) -> frozenset[str] | None:
    """The namespaces that the caller may see and asks for; None: all. Of namespaces without machines all are one: answers are kept
    by namespace, and names can be made up without an end. Raises `HttpError`."""
    caller, one = caller_of(request), request.query_params.get("namespace")
    may = await caller.namespaces()
    if one is None:
        return may
    if may is not None and one not in may:
        raise forbidden(f"{caller.name[:200]} may not list machines of that namespace")
    return frozenset({one}) if caller.there(one) else frozenset()


def key_of(request: Request) -> Lookup:
    """The machine or group that the path names. Raises `HttpError`."""
    namespace, name = request.path_params["namespace"], request.path_params["name"]
    if not (NAME.fullmatch(namespace) and NAME.fullmatch(name)):
        raise not_found("that is no name of a machine or a group")
    return Lookup(namespace, name)


async def body_of(request: Request, kind: type[B]) -> B:
    """The body; none is an empty one. Raises `HttpError`."""
    body = b""
    async with aclosing(request.stream()) as pieces:
        async for piece in pieces:
            body += piece
            if len(body) > LARGEST_BODY:
                raise HttpError(413, f"the body is larger than {LARGEST_BODY} bytes", remedy=SCHEMA)
    try:
        found = msgspec.json.decode(body or b"{}", type=kind)
        json.loads(body or b"{}", object_pairs_hook=_each_once)
        return found
    except msgspec.ValidationError as error:
        text, _, path = str(error).partition(" - at `$")
        if "matching regex" in text:
            text = f"that is no duration: write one such as {DURATION}"
        raise HttpError(400, text, field=path.strip("`.") or "body", remedy=SCHEMA) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise HttpError(400, "the body is no JSON", field="body", remedy=SCHEMA) from None


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of JSON. Which of two values counts is another one for each reader, so none does. Raises `HttpError`."""
    found = dict(pairs)
    for name, _ in pairs if len(found) < len(pairs) else ():
        if sum(each == name for each, _ in pairs) > 1:
            raise HttpError(400, f"{name[:60]} stands in it twice", field=name[:60], remedy="write it once")
    return found


def span_of(text: str) -> timedelta:
    """How far a history goes back. Raises `HttpError`."""
    try:
        span = parse_duration(text)
    except ValueError as error:
        raise HttpError(400, str(error), field="since", remedy="write one such as 24h") from None
    if not timedelta(0) < span <= LONGEST_HISTORY:
        raise HttpError(400, "history goes back 35 days at most", field="since", remedy="write one such as 24h")
    return span
