"""Contains what the data of one object raises: the exception stays with the object's key, and everything else goes on.

Who works for an object (a queue, a subscriber of the snapshot, a view) has a `Post` here and says what broke and what works again.
The fence remembers it and tells whoever subscribed; it writes nothing. While a breach `blocks`, the object is only watched.
"""

import traceback
from collections.abc import Callable
from types import TracebackType
from typing import Any, Final

from msgspec import Struct

from hexa.domain.errors import HexaError
from hexa.domain.policy.problem import Problem
from hexa.domain.resources.core import Kind
from hexa.domain.resources.v1alpha1 import Lookup

CONTAINED: Final = "Contained"
"""Reason of the Event, the condition and the problem of an object that hexa cannot work with."""
SHOWN: Final = 300
"""Characters of an exception's text that people are shown."""


class Subject(Struct, frozen=True):
    """An object."""

    kind: Kind[Any]
    key: Lookup

    def __str__(self) -> str:
        return f"{self.kind.name} of {self.kind.api_version} {self.key}"


class Breach(Struct):
    """What broke at one post for one object."""

    text: str
    """The exception in one line, with the place that raised it."""
    trace: str
    blocks: bool
    times: int = 1
    """In a row."""


class Fence:
    """What is contained at present, by object and post."""

    def __init__(self) -> None:
        self._breaches: dict[Subject, dict[str, Breach]] = {}
        self._on_change: list[Callable[[Subject], None]] = []

    def __repr__(self) -> str:
        return f"<Fence around {[str(subject) for subject in self._breaches]}>"

    def subscribe(self, on_change: Callable[[Subject], None]) -> None:
        """Call `on_change(subject)` whenever something else broke for an object, or works again."""
        self._on_change.append(on_change)

    def post(self, kind: Kind[Any], where: str, *, blocks: bool = True, patience: int = 1) -> "Post":
        """A place of work for objects of the kind. With `blocks`, it is only watched from the `patience`th failure on."""
        return Post(self, kind, where, blocks=blocks, patience=patience)

    @property
    def subjects(self) -> tuple[Subject, ...]:
        """Objects of which something is contained."""
        return tuple(self._breaches)

    def breaches(self, kind: Kind[Any], key: Lookup) -> tuple[Breach, ...]:
        """What is contained of the object."""
        return tuple(self._breaches.get(Subject(kind, key), {}).values()) if self._breaches else ()

    def blocked(self, kind: Kind[Any], key: Lookup) -> Breach | None:
        """Why the object is only watched; None: it is not."""
        return next((breach for breach in self.breaches(kind, key) if breach.blocks), None)

    def note(self, subject: Subject, where: str, breach: Breach) -> None:
        """Remember what broke; what is known already is not told again."""
        known = self._breaches.setdefault(subject, {})
        before = known.get(where)
        known[where] = breach
        if before is None or (before.text, before.blocks) != (breach.text, breach.blocks):
            self._tell(subject)

    def forget(self, subject: Subject, where: str | None = None) -> None:
        """It works again there; None: the object is gone."""
        known = self._breaches.get(subject)
        if known is None:
            return
        gone = known.pop(where, None) if where is not None else None
        if where is None or not known:
            del self._breaches[subject]
        if where is None or gone is not None:
            self._tell(subject)

    def times(self, subject: Subject, where: str) -> int:
        """How often in a row it broke there."""
        breach = self._breaches.get(subject, {}).get(where)
        return breach.times if breach is not None else 0

    def _tell(self, subject: Subject) -> None:
        for on_change in self._on_change:
            on_change(subject)


class Post:
    """Where hexa works for objects of one kind."""

    def __init__(self, fence: Fence, kind: Kind[Any], where: str, *, blocks: bool, patience: int) -> None:
        self._fence, self._kind, self._where = fence, kind, where
        self._blocks, self._patience = blocks, patience

    def broke(self, key: Lookup, error: Exception) -> None:
        """The work for the object raised what nobody foresaw."""
        subject = Subject(self._kind, key)
        times = self._fence.times(subject, self._where) + 1
        blocks = self._blocks and times >= self._patience
        trace = _plain("".join(traceback.format_exception(error)))
        self._fence.note(subject, self._where, Breach(_line(error), trace, blocks, times))

    def works(self, key: Lookup) -> None:
        """The work for the object was done."""
        self._fence.forget(Subject(self._kind, key), self._where)

    def around(self, key: Lookup) -> "Around":
        """Contain what the block raises, and go on behind it."""
        return Around(self, key)


class Around:
    """A block that works for one object. What cancels it, and what ends the process, passes."""

    def __init__(self, post: Post, key: Lookup) -> None:
        self._post, self._key = post, key

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if not isinstance(error, Exception):
            return False
        self._post.broke(self._key, error)
        return True


def contained_problem(breach: Breach) -> Problem:
    """What people are told of an object that is contained."""
    stays = "; it is only watched, and its power stays as it is" if breach.blocks else ""
    text = f"hexa cannot work with it: {breach.text}{stays}"
    remedy = "look for an odd value in its spec, annotations and status, and report the log line with the traceback"
    return Problem("object", text, remedy, severity="error" if breach.blocks else "warning", reason=CONTAINED)


def known_error(error: Exception) -> HexaError | None:
    """The error that a caller can act on; None: it is none, or a group with others in it."""
    if isinstance(error, HexaError):
        return error
    if not isinstance(error, ExceptionGroup):
        return None
    found = [known_error(each) for each in error.exceptions]
    return found[0] if all(found) else None


def _line(error: Exception) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    place = f" ({frames[-1].name}:{frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}: {_plain(' '.join(str(error).split()))[:SHOWN]}{place}"


def _plain(text: str) -> str:
    """Without what can't be written anywhere."""
    return text.encode(errors="replace").decode()
