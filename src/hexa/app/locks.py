"""One lock for each group: who counts its machines and then writes wishes holds it, so that no two decisions share a machine.

Everybody else who writes a wish (people, machines about themselves) is noticed by the resourceVersion.
"""

import trio

from hexa.domain.resources.v1alpha1 import Lookup


class GroupLocks:
    """The locks of one agent."""

    def __init__(self) -> None:
        self._locks: dict[Lookup, trio.Lock] = {}

    def of(self, group: Lookup) -> trio.Lock:
        """The group's lock."""
        return self._locks.setdefault(group, trio.Lock())
