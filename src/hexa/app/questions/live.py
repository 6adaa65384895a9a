"""What a core at work answers page and API: what commands answer of a snapshot that they take, of what the watches show now."""

from collections.abc import Collection
from typing import Final

import trio

from hexa.app.commands.shared.snapshot import Snapshot
from hexa.app.questions.overview import NOTHING, Beside, machine_of, overview
from hexa.app.store import Store
from hexa.app.views.views import Views
from hexa.domain.resources.v1alpha1 import Lookup
from hexa.domain.words.overview import MachineState, Overview

FRESH: Final = 1.0
"""Seconds for which an answer is given again: who asks more often costs nothing."""
MOST_KEPT: Final = 64

Spaces = frozenset[str] | None


class Live:
    """Implements `ports.questions.Questions`."""

    def __init__(self, store: Store, views: Views, *, beside: Beside = NOTHING) -> None:
        self._store, self._views, self._beside = store, views, beside
        self._kept: Final[dict[Spaces, tuple[float, tuple[int, Overview]]]] = {}

    @property
    def version(self) -> int:
        return self._store.version

    @property
    def snapshot(self) -> Snapshot:
        """Everything at this moment."""
        return Snapshot(self._store, self._views, now=self._store.clock.now(), notes=())

    def overview(self, namespaces: Collection[str] | None = None) -> Overview:
        return self.stamped(namespaces)[1]

    def stamped(self, namespaces: Collection[str] | None = None) -> tuple[int, Overview]:
        spaces: Spaces = None if namespaces is None else frozenset(namespaces)
        now, kept = trio.current_time(), self._kept.get(spaces)
        if kept is not None and now < kept[0] + FRESH:
            return kept[1]
        found = self.version, overview(self.snapshot, namespaces=spaces, beside=self._beside)
        self._kept.pop(spaces, None)
        while len(self._kept) >= MOST_KEPT:
            del self._kept[next(iter(self._kept))]
        self._kept[spaces] = now, found
        return found

    def machine(self, key: Lookup) -> MachineState | None:
        return machine_of(self.snapshot, key, self._beside)
