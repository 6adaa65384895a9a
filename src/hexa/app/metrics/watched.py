"""The API server as the core sees it, with counts of what it refuses, of evictions, and of how long watches were not held."""

from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from typing import Any, Final, Literal, TypeVar

import trio
from trio.abc import ReceiveChannel

from hexa.app.references import ABOUT
from hexa.domain.errors import Conflict, HexaError
from hexa.domain.resources.core import Kind
from hexa.domain.words.reasons import bounded
from hexa.ports.kube import EVERYTHING, Blocked, Change, Evicted, Kube, Listing, Patch, Selector
from hexa.ports.metrics import Labels

T = TypeVar("T")
EVICTIONS: Final = "hexa_evictions_total"
ERRORS: Final = "hexa_api_errors_total"


class WatchedKube:
    """Implements `ports.kube` by another one. `add(metric, labels)` counts one more."""

    def __init__(self, kube: Kube, add: Callable[[str, Labels], None]) -> None:
        self._kube, self._add = kube, add
        self._lost: Final[dict[tuple[str, Selector], float | None]] = {}
        """When each watch ended that is not held; None: it is held."""

    def __repr__(self) -> str:
        return f"<WatchedKube {self._kube!r}>"

    def lags(self) -> Mapping[str, float]:
        """Seconds for which a watch of the kind has not been held."""
        now, found = trio.current_time(), dict[str, float]()
        for (kind, _), lost in self._lost.items():
            found[kind] = max(found.get(kind, 0.0), now - lost if lost is not None else 0.0)
        return found

    @contextmanager
    def _counted(self) -> Iterator[None]:
        try:
            yield
        except Conflict:
            raise
        except HexaError as error:
            self._add(ERRORS, (bounded(error.reason),))
            raise

    async def list(self, kind: Kind[T], selector: Selector = EVERYTHING) -> Listing[T]:
        with self._counted():
            return await self._kube.list(kind, selector)

    def watch(
        self, kind: Kind[T], selector: Selector = EVERYTHING, *, since: str
    ) -> AbstractAsyncContextManager[ReceiveChannel[Change[T]]]:
        return self._watch(kind, selector, since)

    @asynccontextmanager
    async def _watch(self, kind: Kind[T], selector: Selector, since: str) -> AsyncIterator[ReceiveChannel[Change[T]]]:
        key = (_name(kind), selector)
        self._lost.setdefault(key, trio.current_time())
        with self._counted():
            async with self._kube.watch(kind, selector, since=since) as changes:
                self._lost[key] = None
                try:
                    yield changes
                finally:
                    self._lost[key] = trio.current_time()

    async def create(self, kind: Kind[T], manifest: Mapping[str, Any]) -> T:
        with self._counted():
            return await self._kube.create(kind, manifest)

    async def patch(self, kind: Kind[T], name: str, patch: Patch, *, namespace: str | None = None) -> T:
        with self._counted():
            return await self._kube.patch(kind, name, patch, namespace=namespace)

    async def delete(
        self,
        kind: Kind[T],
        name: str,
        *,
        namespace: str | None = None,
        uid: str = "",
        propagation: Literal["Background", "Foreground", "Orphan"] = "Background",
        grace: int | None = None,
    ) -> None:
        with self._counted():
            await self._kube.delete(kind, name, namespace=namespace, uid=uid, propagation=propagation, grace=grace)

    async def evict(self, name: str, *, namespace: str, uid: str = "", grace: int | None = None) -> Evicted | Blocked:
        with self._counted():
            answer = await self._kube.evict(name, namespace=namespace, uid=uid, grace=grace)
        if isinstance(answer, Evicted):
            self._add(EVICTIONS, ())
        return answer


def _name(kind: Kind[Any]) -> str:
    about = ABOUT.get((kind.api_version, kind.name))
    return str(about) if about is not None else kind.name
