"""The Kubernetes port on the API server in RAM, with faults to order and counters of what was asked."""

from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Literal, TypeVar

import trio
from msgspec import Struct

from hexa.adapters.memory.cluster.api import MemoryApi, Propagation
from hexa.adapters.memory.cluster.eviction import evict
from hexa.adapters.memory.cluster.reviews import Ban, answer
from hexa.adapters.memory.cluster.selectors import object_test, refuse_unknown_fields
from hexa.adapters.memory.cluster.store import Stored
from hexa.domain.errors import HexaError, Refused, Unavailable
from hexa.domain.resources.cluster import ANSWERED
from hexa.domain.resources.core import PODS, Kind, Malformed, decode
from hexa.ports.kube import EVERYTHING, Blocked, Change, Evicted, Listing, Patch, Selector

T = TypeVar("T")
Verb = Literal["list", "watch", "create", "patch", "delete", "evict"]


class Planned(Struct):
    """An error that the next calls will raise."""

    error: HexaError
    verb: Verb | None
    kind: Kind[Any] | None
    name: str | None
    times: int


class MemoryKube:
    """`ports.kube` for one client, known to the server as `manager`. A call takes `latency` seconds."""

    def __init__(self, api: MemoryApi, *, manager: str = "hexa", latency: float = 0.0) -> None:
        self.api = api
        self.calls: Counter[tuple[Verb, str]] = Counter()
        """How often each verb was asked of each kind: ("patch", "infra.homecluster.dev/v1alpha1/nodes")."""
        self.latency = latency
        self.bans: list[Ban] = []
        """What access reviews answer no to. The calls themselves are not refused: see `fail_next`."""
        self.tokens: dict[str, dict[str, Any]] = {}
        """Tokens that reviews know, and whose they are: {"username": ..., "uid": ..., "groups": [...]}."""
        self._manager = manager
        self._planned: list[Planned] = []

    def __repr__(self) -> str:
        return f"<MemoryKube {self._manager} {self.calls.total()} calls>"

    def fail_next(
        self,
        error: HexaError,
        *,
        verb: Verb | None = None,
        kind: Kind[Any] | None = None,
        name: str | None = None,
        times: int = 1,
    ) -> None:
        """The next `times` calls that fit raise `error` and do nothing else."""
        self._planned.append(Planned(error, verb, kind, name, times))

    def count(self, verb: Verb, kind: Kind[Any]) -> int:
        """How often the verb was asked of the kind."""
        return self.calls[verb, _where(kind)]

    async def list(self, kind: Kind[T], selector: Selector = EVERYTHING) -> Listing[T]:
        refuse_unknown_fields(kind, selector.fields)
        test = object_test(namespace=selector.namespace, labels=selector.labels, fields=selector.fields)
        await self._arrive("list", kind)
        self.api.refresh(kind)
        items = tuple(stored.decoded(kind) for stored in self.api.find(kind, test))
        listing = Listing(items, self.api.version)
        await self._return()
        return listing

    @asynccontextmanager
    async def watch(
        self, kind: Kind[T], selector: Selector = EVERYTHING, *, since: str
    ) -> AsyncIterator[trio.MemoryReceiveChannel[Change[T]]]:
        refuse_unknown_fields(kind, selector.fields)
        test = object_test(namespace=selector.namespace, labels=selector.labels, fields=selector.fields)
        await self._arrive("watch", kind)
        stream = self.api.open_stream(kind, test, since)
        try:
            yield stream.changes
        finally:
            self.api.close_stream(kind, stream)
        if stream.error is not None:
            raise stream.error

    async def create(self, kind: Kind[T], manifest: Mapping[str, Any]) -> T:
        await self._arrive("create", kind, (manifest.get("metadata") or {}).get("name"))
        if kind.plural in ANSWERED:
            return self._answered(kind, manifest)
        stored = self.api.create(kind, manifest, manager=self._manager)
        await self._return()
        return _decoded(kind, stored)

    def _answered(self, kind: Kind[T], manifest: Mapping[str, Any]) -> T:
        status = answer(kind, manifest, bans=self.bans, tokens=self.tokens, now=self.api.now())
        decoded = decode(kind, status)
        assert not isinstance(decoded, Malformed), decoded.problem
        return decoded

    async def patch(self, kind: Kind[T], name: str, patch: Patch, *, namespace: str | None = None) -> T:
        await self._arrive("patch", kind, name)
        stored = self.api.patch(kind, (namespace or "", name), patch, manager=self._manager)
        await self._return()
        return _decoded(kind, stored)

    async def delete(
        self,
        kind: Kind[T],
        name: str,
        *,
        namespace: str | None = None,
        uid: str = "",
        propagation: Propagation = "Background",
        grace: int | None = None,
    ) -> None:
        await self._arrive("delete", kind, name)
        self.api.delete(kind, (namespace or "", name), uid=uid, propagation=propagation, grace=grace)
        await self._return()

    async def evict(self, name: str, *, namespace: str, uid: str = "", grace: int | None = None) -> Evicted | Blocked:
        await self._arrive("evict", PODS, name)
        answer = evict(self.api, (namespace, name), uid=uid, grace=grace)
        await self._return()
        return answer

    async def _arrive(self, verb: Verb, kind: Kind[Any], name: str | None = None) -> None:
        await trio.sleep(self.latency / 2)
        self.calls[verb, _where(kind)] += 1
        if self.api.down:
            raise Unavailable(f"{verb} {kind.plural}: the API server does not answer")
        for planned in self._planned:
            if _fits(planned, verb, kind, name):
                planned.times -= 1
                self._planned = [plan for plan in self._planned if plan.times > 0]
                raise planned.error

    async def _return(self) -> None:
        if self.latency:
            await trio.sleep(self.latency / 2)


def _where(kind: Kind[Any]) -> str:
    return f"{kind.api_version}/{kind.plural}"


def _fits(planned: Planned, verb: Verb, kind: Kind[Any], name: str | None) -> bool:
    same_kind = planned.kind is None or _where(planned.kind) == _where(kind)
    return same_kind and planned.verb in (None, verb) and planned.name in (None, name)


def _decoded(kind: Kind[T], stored: Stored) -> T:
    decoded = stored.decoded(kind)
    if isinstance(decoded, Malformed):
        raise Refused(f"{kind.plural} {stored.key[1]}: {decoded.problem}", reason="Malformed")
    return decoded
