"""Errors that a caller can act on. It knows no vendor and no transport.

A class exists only where some caller acts differently; `reason` is CamelCase and fit for a condition or an Event.
"""

from collections.abc import Iterator


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """The error and what it came of, each once: the chain may be a ring."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


class HexaError(Exception):
    """Base of every error that crosses a port."""

    def __init__(self, message: str, *, reason: str | None = None) -> None:
        super().__init__(message)
        self.reason = reason or type(self).__name__

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self)!r}, reason={self.reason!r})"


class Unavailable(HexaError):
    """The other side did not answer, or asked us to come back later: retry with back-off."""


class Refused(HexaError):
    """The other side will not do it (forbidden, invalid, unsupported): tell a human, do not repeat blindly."""


class Conflict(HexaError):
    """The object changed since we read it: re-read and decide again."""


class NotFound(Conflict):
    """The object is not there (any more)."""


class AlreadyExists(Conflict):
    """An object of that name is there already."""


class Expired(Conflict):
    """The resourceVersion is too old for a watch (410 Gone): list afresh."""


class IllegalTransition(Exception):
    """An event that the lifecycle table does not know in this phase: a defect of ours, never of the world."""
