"""Files that are read again when they change, such as a certificate that is renewed. What is loaded from them is somebody else's.

New files are taken only if they can be used and hold still while they are loaded; else that is told once, and the old ones go on.
"""

import logging
from collections.abc import Awaitable, Callable
from typing import Generic, NoReturn, TypeVar

import trio
from msgspec import Struct

from hexa.domain.errors import Refused

log = logging.getLogger(__name__)

S = TypeVar("S")
T = TypeVar("T")


class Words(Struct, frozen=True, kw_only=True):
    """What the log says."""

    taken: str
    """A whole line."""
    refused: str
    """The line before the reason."""
    unreadable: str
    """What cannot be read, where they vanish while they are loaded."""


def _fit(loaded: object) -> str:
    return ""


class Watched(Generic[S, T]):
    """What was loaded from some files."""

    def __init__(
        self, *, read: Callable[[], S], load: Callable[[], T], words: Words, unfit: Callable[[T], str] = _fit
    ) -> None:
        """`read` gives the files' bytes, `load` what they are for; both block, and raise Refused. `unfit` says why something that
        was loaded is not to replace what serves; while that itself is unfit, it is loaded again at each look."""
        self._read, self._load, self._words, self._unfit = read, load, words, unfit
        self._refused = ""
        self._seen: S
        self.loaded: T

    async def open(self) -> None:
        """Load them for the first time. Raises Refused where they cannot be used."""
        self._seen = await trio.to_thread.run_sync(self._read)
        self.loaded = await trio.to_thread.run_sync(self._load)

    async def look(self) -> bool:
        """Take changed files if they are good, and say whether that was so."""
        try:
            seen = await trio.to_thread.run_sync(self._read)
            if seen == self._seen and not self._unfit(self.loaded):
                return False
            loaded = await trio.to_thread.run_sync(self._load)
            holds_still = await trio.to_thread.run_sync(self._read) == seen  # else they change just now: the next look
        except Refused as error:
            self._refuse(str(error))
            return False
        except OSError as error:  # what was read is gone when it is loaded
            self._refuse(f"{self._words.unreadable} cannot be read: {error.strerror}")
            return False
        return holds_still and self._take(seen, loaded)

    def _take(self, seen: S, loaded: T) -> bool:
        if why := self._unfit(loaded):
            if seen != self._seen:
                self._refuse(why)
            return False
        self._seen, self.loaded, self._refused = seen, loaded, ""
        log.info("%s", self._words.taken)
        return True

    def _refuse(self, why: str) -> None:
        if self._refused != why:
            log.error("%s: %s", self._words.refused, why)
        self._refused = why


async def look_again(look: Callable[[], Awaitable[None]], *, every: float, what: str) -> NoReturn:
    """Call `look` every so many seconds. What nobody foresaw is logged with `what` it is about, and the next look comes."""
    while True:
        await trio.sleep(every)
        try:
            await look()
        except Exception:
            log.exception("%s cannot be read again", what)
