"""Pods that wait for a place and say where they can run, watched where a Group asks for it (wakeForPinned, learnShape).

It wakes nothing: whom to wake, `hexa.domain.decide.waiting_pods` says. Of a pod with volumes it reads once, and again when the pod
changes, where these can be had.
"""

from collections.abc import Callable
from typing import Final

from hexa.app.news import Newsroom
from hexa.app.pods import tied_to
from hexa.app.queue import KeyedQueue
from hexa.app.store import Store
from hexa.domain.errors import HexaError
from hexa.domain.news import About, Work, failure
from hexa.domain.pods.drain import claims_of
from hexa.domain.pods.pending import Pending, chooses, sound_selector, waits
from hexa.domain.resources.core import PODS, Pod
from hexa.domain.resources.v1alpha1 import Group, Lookup
from hexa.ports.kube import Kube


class PendingPods:
    """What waits, as decisions about groups see it."""

    def __init__(self, *, store: Store, kube: Kube, news: Newsroom) -> None:
        self._store, self._kube, self._news = store, kube, news
        self._known: dict[Lookup, Pending] = {}
        self._waiting: tuple[Pending, ...] | None = None
        """What was answered last, until something changes."""
        self._unread: set[Lookup] = set()
        """Pods of whose volumes nothing is known yet."""
        self._on_change: Final[list[Callable[[], None]]] = []
        self.queue: KeyedQueue[Lookup] = KeyedQueue(
            self._read, failed=self._failed, owner=store.fence.post(PODS, "pending", blocks=False)
        )
        store.pending.subscribe(self._changed)
        store.pending.on_sight(self._tell)
        store.groups.subscribe(self._group_changed)

    def subscribe(self, told: Callable[[], None]) -> None:
        """Call `told()` whenever other pods wait."""
        self._on_change.append(told)

    def waiting(self) -> tuple[Pending, ...] | None:
        """Pods that wait, the oldest first; None: they are not watched. Those of whose volumes nothing is known yet are missing."""
        if not self._store.pending.complete:
            return None
        if self._waiting is None:
            self._waiting = tuple(sorted(self._known.values(), key=_age))
        return self._waiting

    @property
    def all_read(self) -> bool:
        """Whether none is missing."""
        return not self._unread

    def _group_changed(self, _key: Lookup, _old: Group | None, new: Group | None) -> None:
        if new is not None and (new.spec.wake_for_pinned or new.spec.learn_shape):
            self._store.pending.wanted.set()

    def _changed(self, key: Lookup, _old: Pod | None, new: Pod | None) -> None:
        known = self._known.get(key)
        if new is None or not chooses(new) or not waits(new):
            self._unread.discard(key)
            self._set(key, None)
        elif not claims_of(new):
            self._set(key, Pending(pod=new))
        elif known is not None and known.tied:  # where the volume of a claim can be had does not change
            self._set(key, Pending(pod=new, tied=known.tied))
        else:
            if known is None:
                self._unread.add(key)
            self.queue.add(key)

    def _set(self, key: Lookup, new: Pending | None) -> None:
        if self._known.get(key) == new:
            return
        if new is None:
            self._known.pop(key, None)
        else:
            self._known[key] = new
        self._tell()

    def _tell(self) -> None:
        self._waiting = None
        for told in self._on_change:
            told()

    async def _read(self, key: Lookup) -> None:
        pod = self._store.pending.objects.get(key)
        try:
            tied = tuple(await tied_to(self._kube, pod)) if pod is not None else ()
        finally:
            self._unread.discard(key)  # what can't be read is passed over until it can
        if pod is not None and self._store.pending.objects.get(key) is pod:  # else it is read again, or gone
            self._set(key, Pending(pod=pod, tied=tied) if all(map(sound_selector, tied)) else None)
        self._tell()

    def _failed(self, key: Lookup, error: HexaError) -> None:
        self._news.tell(failure(Work.PENDING, key, error, about=About.POD))
        self._tell()


def _age(waiting: Pending) -> tuple[str, str, str]:
    metadata = waiting.pod.metadata
    return str(metadata.creation_timestamp or ""), metadata.namespace, metadata.name
