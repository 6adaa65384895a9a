"""What the port answers where it cannot answer what was asked: a status, a reason in CamelCase, a sentence. It knows no path."""

from collections.abc import Mapping
from typing import Final

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

REASONS: Final = {
    400: "BadRequest",
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    405: "MethodNotAllowed",
    408: "RequestTimeout",
    409: "Conflict",
    413: "TooLarge",
    414: "TooLarge",
    429: "TooManyRequests",
    431: "TooLarge",
    500: "InternalError",
    501: "NotImplemented",
    503: "Unavailable",
}


class HttpError(Exception):
    """Raised by a handler: what the caller is told. `message` holds nothing of a token, and nothing that the caller may not see."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        reason: str = "",
        headers: Mapping[str, str] | None = None,
        field: str = "",
        remedy: str = "",
    ) -> None:
        super().__init__(message)
        self.status = status
        self.field, self.remedy = field, remedy
        self.reason = reason or REASONS.get(status, "Error")
        self.headers = dict(headers or {})


def bad_request(message: str) -> HttpError:
    """400: what was sent cannot be read; the message names the field and the remedy."""
    return HttpError(400, message)


def unauthorized(message: str) -> HttpError:
    """401: no token, or none that the API server knows."""
    return HttpError(401, message, headers={"www-authenticate": 'Bearer realm="hexa"'})


def forbidden(message: str) -> HttpError:
    """403: the API server knows the caller, and does not allow this."""
    return HttpError(403, message)


def not_found(message: str) -> HttpError:
    """404."""
    return HttpError(404, message)


def too_many(message: str, *, retry_after: float) -> HttpError:
    """429, and after how many seconds the next try is worth it."""
    return HttpError(429, message, headers={"retry-after": str(max(1, round(retry_after)))})


def unavailable(message: str, *, retry_after: float = 1.0) -> HttpError:
    """503: hexa or its API server cannot answer now."""
    return HttpError(503, message, headers={"retry-after": str(max(1, round(retry_after)))})


def problem(
    status: int, message: str, *, reason: str = "", headers: Mapping[str, str] | None = None, **more: str
) -> Response:
    """The answer: `{"reason": ..., "message": ...}`, and of `more` (field, remedy) what is known."""
    known = {name: text for name, text in more.items() if text}
    body = msgspec.json.encode({"reason": reason or REASONS.get(status, "Error"), "message": message, **known})
    return Response(body, status, dict(headers or {}), media_type="application/json")


async def told(_: Request, error: Exception) -> Response:
    """The answer to an `HttpError`."""
    assert isinstance(error, HttpError)
    return problem(
        error.status, str(error), reason=error.reason, headers=error.headers, field=error.field, remedy=error.remedy
    )


async def routed(request: Request, error: Exception) -> Response:
    """The answer where no path or no method fits."""
    assert isinstance(error, HTTPException)
    messages = {404: "there is no such path", 405: f"this path knows no {request.method[:20]}"}
    return problem(error.status_code, messages.get(error.status_code, error.detail), headers=error.headers)


async def broken(_: Request, __: Exception) -> Response:
    """The answer where a handler failed. What failed is for the log alone."""
    return problem(500, "hexa failed to answer this; its log says why")
