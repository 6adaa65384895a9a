"""One lock for each group: who counts its machines and then writes wishes holds it, so that no two decisions share a machine.

Everybody else who writes a wish (people, machines about themselves) is noticed by the resourceVersion.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from weakref import WeakValueDictionary

import trio

from hexa.domain.resources.v1alpha1 import Lookup


class GroupLocks:
    """The locks of one agent; each lives while somebody holds it or waits for it."""

    def __init__(self) -> None:
        self._locks: WeakValueDictionary[Lookup, trio.Lock] = WeakValueDictionary()

    def of(self, group: Lookup) -> trio.Lock:
        """The group's lock."""
        return self._locks.setdefault(group, trio.Lock())


def held_at_once(lock: trio.Lock) -> AbstractContextManager[None] | None:
    """The lock, held during the block, if nobody has it: no other task runs before it is held. None: it is to be waited for."""
    try:
        lock.acquire_nowait()
    except trio.WouldBlock:
        return None
    return _released_after(lock)


@contextmanager
def _released_after(lock: trio.Lock) -> Iterator[None]:
    try:
        yield
    finally:
        lock.release()
