"""Versions of objects, their history and the streams of those who watch. It knows nothing of what an object means.

Objects are builtins that nobody changes in place. Each version is decoded at most once for each type, whoever asks.
"""

import math
from collections import deque
from collections.abc import Callable
from typing import Any, Final, TypeVar

import trio

from hexa.domain.errors import Expired, HexaError
from hexa.domain.resources.core import Kind, Malformed, decode
from hexa.ports.kube import Change, ChangeType

T = TypeVar("T")
Key = tuple[str, str]
"""Namespace ("" where there is none) and name."""

Builtins = dict[str, Any]
Test = Callable[[Builtins], bool]


class Stored:
    """One version of one object."""

    __slots__ = ("_decoded", "_type", "raw", "version")

    def __init__(self, raw: Builtins, version: int) -> None:
        self.raw: Final = raw
        self.version: Final = version
        self._type: object = None
        self._decoded: Any = None

    def __repr__(self) -> str:
        return f"<Stored {self.raw.get('kind')} {self.key} at {self.version}>"

    @property
    def key(self) -> Key:
        metadata = self.raw["metadata"]
        return metadata.get("namespace", ""), metadata["name"]

    @property
    def uid(self) -> str:
        uid: str = self.raw["metadata"]["uid"]
        return uid

    def decoded(self, kind: Kind[T]) -> T | Malformed:
        """The object as the kind's struct; the last type asked for is kept."""
        if self._type is not kind.type:
            self._decoded, self._type = decode(kind, self.raw), kind.type
        result: T | Malformed = self._decoded
        return result


class Event:
    """A change that happened. `stored` of a deletion is the object's last state, under the version of the deletion."""

    __slots__ = ("old", "stored", "type", "version")

    def __init__(self, kind: ChangeType, stored: Stored, old: Stored | None) -> None:
        self.type: Final = kind
        self.stored: Final = stored
        self.old: Final = old
        self.version: Final = stored.version

    def __repr__(self) -> str:
        return f"<Event {self.type} {self.stored!r}>"


Listener = Callable[[Event], None]


class Stream:
    """One open watch: what passes its selector goes into a channel."""

    def __init__(self, kind: Kind[Any], test: Test | None) -> None:
        self._kind = kind
        self._test = test
        self._send, self.changes = trio.open_memory_channel[Change[Any]](math.inf)
        self.error: HexaError | None = None

    def offer(self, event: Event) -> None:
        kind = self._seen_as(event)
        if kind is not None:
            self._tell(Change(kind, event.stored.decoded(self._kind), str(event.version)))

    def bookmark(self, version: int) -> None:
        self._tell(Change(ChangeType.BOOKMARK, None, str(version)))

    def close(self, error: HexaError | None = None) -> None:
        self.error = self.error or error
        self._send.close()

    def _tell(self, change: Change[Any]) -> None:
        try:
            self._send.send_nowait(change)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            self.close()  # the reader left, or the stream was ended before it read this

    def _seen_as(self, event: Event) -> ChangeType | None:
        """An object that starts or stops to match comes or goes, as on a real server."""
        if (test := self._test) is None:
            return event.type
        now = event.type is not ChangeType.DELETED and test(event.stored.raw)
        before = event.old is not None and test(event.old.raw)
        if now:
            return ChangeType.MODIFIED if before else ChangeType.ADDED
        return ChangeType.DELETED if before else None


class Table:
    """All objects of one kind, what happened to them lately, and who wants to know."""

    def __init__(self, kind: Kind[Any], *, history: int, forgotten: int) -> None:
        self.kind: Final = kind
        self.objects: dict[Key, Stored] = {}
        self.listeners: list[Listener] = []
        self.streams: list[Stream] = []
        self._history: deque[Event] = deque(maxlen=history)
        self._forgotten = forgotten

    def __repr__(self) -> str:
        return f"<Table {len(self.objects)} objects, {len(self.streams)} watches>"

    def record(self, event: Event) -> None:
        if len(self._history) == self._history.maxlen:
            self._forgotten = self._history[0].version
        self._history.append(event)

    def deliver(self, event: Event) -> None:
        for listener in self.listeners:
            listener(event)
        for stream in tuple(self.streams):
            stream.offer(event)

    def compact(self, version: int) -> None:
        self._forgotten = version
        self._history.clear()

    def open(self, kind: Kind[Any], test: Test | None, *, since: str, newest: int) -> Stream:
        """A stream of what happened after `since`; "" and "0": of all that exists, and on. A version after the `newest` is of
        another life of the server."""
        if since and int(since) > newest:
            raise Expired(f"Too large resource version: {since}, current: {newest}", reason="ResourceVersionTooLarge")
        stream = Stream(kind, test)
        for event in self._missed(since):
            stream.offer(event)
        self.streams.append(stream)
        return stream

    def close(self, stream: Stream, error: HexaError | None = None) -> None:
        stream.close(error)
        if stream in self.streams:
            self.streams.remove(stream)

    def _missed(self, since: str) -> list[Event]:
        if since in ("", "0"):
            return [Event(ChangeType.ADDED, stored, None) for _, stored in sorted(self.objects.items())]
        version = int(since)
        if version < self._forgotten:
            raise Expired(f"too old resource version: {version} ({self._forgotten})")
        return [event for event in self._history if event.version > version]
