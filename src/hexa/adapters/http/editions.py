"""The event that viewers are sent, made once for all who may see the same, and so often that this takes little of a core.

The rule: making and sending events may take `SHARE` of a core, shared by the sets of namespaces that somebody looks at, and
`BURST` at once after a quiet time. A set that has overspent waits until that is made up: a change now and then is told at once,
many less often.
"""

import time
from collections.abc import Awaitable, Callable
from typing import Final

import msgspec
import trio

from hexa.domain.words.overview import Overview, same_story

SHARE: Final = 0.012
"""Of one core, for all that is made and sent."""
SENDING: Final = 0.1
"""What sending an event to one viewer costs, as a share of its making (`benchmarks/page.py`)."""
BURST: Final = 0.2
"""Seconds of CPU that may be spent at once after a quiet time."""
REFRESH: Final = 60.0
"""Energy, money and hours change all the time: they are told anew after so many seconds."""
FORGOTTEN: Final = 2 * REFRESH
"""A set of namespaces that nobody has looked at for so long is forgotten."""

Spaces = frozenset[str] | None
Look = Callable[[], Awaitable[tuple[int, Overview]]]


class Edition(msgspec.Struct, frozen=True):
    """An event. `version`: what it is of; `told`: since when it is sent."""

    version: int
    told: float
    found: Overview
    event: bytes

    def outdated(self, version: int) -> bool:
        """Whether it is worth to look again."""
        return self.version != version or trio.current_time() >= self.told + REFRESH


class Editions:
    """The last one of each set of namespaces. `version`: another one wherever something may have changed; `spent`: CPU seconds."""

    def __init__(self, version: Callable[[], int], *, spent: Callable[[], float] = time.thread_time) -> None:
        self._version, self._spent = version, spent
        self._encoder: Final = msgspec.json.Encoder()
        self._scopes: dict[Spaces, _Scope] = {}

    async def latest(self, spaces: Spaces, look: Look, *, sent: Edition | None) -> Edition:
        """The one to send now. `look`: what is to be seen in these namespaces, with its version; `sent`: what the viewer has."""
        scope = self._scope(spaces)
        async with scope.lock:
            known = scope.edition
            if known is None or (known.outdated(self._version()) and scope.may_spend(SHARE / len(self._scopes))):
                known = scope.edition = await self._made(scope, look)
            if sent is None or known.event is not sent.event:
                scope.left -= SENDING * scope.cost
            return known

    async def _made(self, scope: "_Scope", look: Look) -> Edition:
        begun, known = self._spent(), scope.edition
        version, found = await look()
        now = trio.current_time()
        if known is not None and now < known.told + REFRESH and same_story(known.found, found):
            made = msgspec.structs.replace(known, version=version)
        else:
            made = Edition(version, now, found, b"event: state\ndata: " + self._encoder.encode(found) + b"\n\n")
        scope.cost = self._spent() - begun
        scope.left -= scope.cost
        return made

    def _scope(self, spaces: Spaces) -> "_Scope":
        now = trio.current_time()
        for each in [key for key, scope in self._scopes.items() if now >= scope.asked + FORGOTTEN]:
            del self._scopes[each]
        found = self._scopes.setdefault(spaces, _Scope(now))
        found.asked = now
        return found


class _Scope:
    """What is known of a set of namespaces."""

    def __init__(self, now: float) -> None:
        self.lock: Final = trio.Lock()
        self.edition: Edition | None = None
        self.asked = self._filled = now
        self.cost = 0.0
        """CPU seconds that the last one took."""
        self.left = BURST
        """Seconds of CPU; below 0: overspent."""

    def may_spend(self, share: float) -> bool:
        """Whether the next one may be made. `share`: of a core, for this set."""
        now = trio.current_time()
        self.left = min(BURST, self.left + (now - self._filled) * share)
        self._filled = now
        return self.left >= 0
