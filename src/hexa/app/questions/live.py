"""What a core at work answers page and API: what commands answer of a snapshot that they take, of what the watches show now."""

import math
from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from typing import Final, TypeVar

import trio

from hexa.app.commands.shared.snapshot import Snapshot
from hexa.app.questions.history import NOTHING as NO_PAST
from hexa.app.questions.history import Past, events_of, told_history
from hexa.app.questions.machines import Scope, Told
from hexa.app.questions.overview import NOTHING, Beside, Looks, machine_of, overview
from hexa.app.store import Store
from hexa.app.views.views import Views
from hexa.domain.resources.core import KubeEvent
from hexa.domain.resources.v1alpha1 import Lookup
from hexa.domain.words.history import Stretch
from hexa.domain.words.overview import MachineState, Overview
from hexa.ports.kube import Kube

FRESH: Final = 1.0
"""Seconds for which an answer is given again: who asks more often costs nothing."""
FRESH_HISTORY: Final = 10.0
"""The same for a history, which may have Events read."""
QUIET: Final = 10.0
"""While nothing has changed, answers are prepared once in so many seconds."""
SLICE: Final = 0.005
"""Seconds for which others wait, while answers are prepared."""
MOST_KEPT: Final = 64

Spaces = frozenset[str] | None
K = TypeVar("K")
V = TypeVar("V")


class Live:
    """Implements `ports.questions.Questions`."""

    def __init__(
        self, store: Store, views: Views, kube: Kube, *, beside: Beside = NOTHING, past: Past = NO_PAST
    ) -> None:
        self._store, self._views, self._kube, self._beside, self._past = store, views, kube, beside, past
        self._kept: Final[dict[Spaces, tuple[float, tuple[int, Overview]]]] = {}
        self._looks: Final = Looks()
        self._preparing: Final = trio.Lock()
        self._prepared, self._prepared_version = -math.inf, -1
        self._histories: Final[dict[tuple[timedelta, Spaces], tuple[float, Sequence[Stretch]]]] = {}
        self._events: Final[dict[str, tuple[float, Sequence[KubeEvent]]]] = {}
        self._telling: Final = trio.Lock()

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
        found = self.version, overview(self.snapshot, namespaces=spaces, beside=self._beside, looks=self._looks)
        _keep(self._kept, spaces, (now, found))
        return found

    async def prepare(self) -> None:
        async with self._preparing:
            since, version = trio.current_time() - self._prepared, self.version
            if since < FRESH or (since < QUIET and version == self._prepared_version):
                return
            left = self.snapshot.machine_keys
            while left:
                left = self._slice(left)
                await trio.lowlevel.checkpoint()
            self._prepared, self._prepared_version = trio.current_time(), version

    def _slice(self, keys: list[Lookup]) -> list[Lookup]:
        """Work out what there is time for; what is left."""
        scope, end = Scope(self.snapshot, self._looks.machines), trio.current_time() + SLICE
        for done, key in enumerate(keys, start=1):
            Told(scope.snapshot, key, self._beside, scope)
            if trio.current_time() >= end:
                return keys[done:]
        return []

    def there(self, key: Lookup) -> bool:
        machines = self._store.machines
        return key in machines.objects or key in machines.malformed

    def machine(self, key: Lookup) -> MachineState | None:
        return machine_of(self.snapshot, key, self._beside)

    async def history(self, since: timedelta, namespaces: Collection[str] | None = None) -> Sequence[Stretch]:
        spaces: Spaces = None if namespaces is None else frozenset(namespaces)
        asked = since, spaces
        if (kept := _fresh(self._histories, asked)) is None:
            async with self._telling:  # one after another, however many ask: others have their turn in between
                if (kept := _fresh(self._histories, asked)) is None:
                    kept = await told_history(
                        self.snapshot, self._kube, since, namespaces=spaces, past=self._past, read=self._read
                    )
                    _keep(self._histories, asked, (trio.current_time(), kept))
        return kept

    async def _read(self, space: str) -> Sequence[KubeEvent]:
        """Events of a namespace: read once in ten seconds, whatever span is asked for."""
        found = _fresh(self._events, space)
        if found is None:
            found = await events_of(self._kube, space)
            _keep(self._events, space, (trio.current_time(), found))
        return found


def _fresh(kept: Mapping[K, tuple[float, V]], key: K) -> V | None:
    """What was answered a short time ago."""
    at, found = kept.get(key, (-math.inf, None))
    return found if trio.current_time() < at + FRESH_HISTORY else None


def _keep(kept: dict[K, V], key: K, value: V) -> None:
    """The last answers alone."""
    kept.pop(key, None)
    while len(kept) >= MOST_KEPT:
        del kept[next(iter(kept))]
    kept[key] = value
