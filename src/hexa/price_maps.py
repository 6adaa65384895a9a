"""Prices that stand in ConfigMaps: each is watched by its name, so that new ones count at once and nothing is asked while none
come."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

import trio
from msgspec import Struct

from hexa.domain.errors import Expired, HexaError, Refused
from hexa.domain.money.prices import PricesError
from hexa.domain.money.written_tariff import WrittenMap, WrittenTariff
from hexa.domain.resources.cluster import CONFIG_MAPS, ConfigMap
from hexa.domain.resources.core import Malformed
from hexa.ports.kube import ChangeType, Kube, Selector

FIRST_RETRY: Final = 1.0
LONGEST_RETRY: Final = 60.0
FORBIDDEN_RETRY: Final = 120.0
"""Seconds until a watch is tried again for which the right is missing."""
SHORT_WATCH: Final = 1.0
"""A watch that ends sooner, in seconds, is not opened again without a pause."""


class NotYet(Exception):
    """A ConfigMap was not read yet."""


class Known(Struct):
    """What is known of a ConfigMap."""

    listed: bool = False
    data: Mapping[str, Any] | None = None
    """None: it is not there."""
    binary: frozenset[str] = frozenset()
    """Keys that hold no text."""
    trouble: str = ""


class PriceMaps:
    """The ConfigMaps that tariffs name."""

    def __init__(self, tariffs: Iterable[WrittenTariff]) -> None:
        named = (each.config_map for each in tariffs if each.config_map is not None)
        self._known: Final = {(each.namespace, each.name): Known() for each in named}
        self._changed = trio.Event()
        self.changes = 0
        """How often one of them has changed."""

    def __repr__(self) -> str:
        return f"<PriceMaps {len(self._known)}, {self.changes} changes>"

    def text_of(self, written: WrittenMap) -> str:
        """The prices as they stand there. Raises `NotYet`, or `PricesError` with what is missing."""
        known, name = self._known[written.namespace, written.name], f"ConfigMap {written.namespace}/{written.name}"
        if known.trouble and known.data is None:
            raise PricesError(f"{name} can't be read: {known.trouble}")
        if not known.listed:
            raise NotYet
        if known.data is None:
            raise PricesError(f"{name} is not there")
        return _text(known, written.key, name)

    async def changed(self) -> None:
        """Wait until one of them has changed."""
        await self._changed.wait()

    async def read(self, kube: Kube) -> None:
        """Read each of them once, where that goes."""
        async with trio.open_nursery() as nursery:
            for namespace, name in self._known:
                nursery.start_soon(self._read, kube, namespace, name)

    async def _read(self, kube: Kube, namespace: str, name: str) -> None:
        try:
            listing = await kube.list(CONFIG_MAPS, Selector(namespace=namespace, fields=f"metadata.name={name}"))
        except HexaError:
            return  # `follow` tells it
        self._take(self._known[namespace, name], listing.items[0] if listing.items else None)

    async def follow(self, kube: Kube) -> None:
        """Watch them; never returns."""
        async with trio.open_nursery() as nursery:
            for namespace, name in self._known:
                nursery.start_soon(self._follow, kube, namespace, name)

    async def _follow(self, kube: Kube, namespace: str, name: str) -> None:
        known, failures = self._known[namespace, name], 0
        selector = Selector(namespace=namespace, fields=f"metadata.name={name}")
        while True:
            try:
                listing = await kube.list(CONFIG_MAPS, selector)
                self._take(known, listing.items[0] if listing.items else None)
                failures, version = 0, listing.resource_version
                while True:
                    version = await self._watch(kube, selector, version, known)
            except Expired:
                await trio.sleep(SHORT_WATCH)
            except HexaError as error:
                known.trouble = str(error)
                self._tell()
                delay = FORBIDDEN_RETRY if isinstance(error, Refused) else FIRST_RETRY * 2.0 ** min(failures, 6)
                failures += 1
                await trio.sleep(min(delay, FORBIDDEN_RETRY if isinstance(error, Refused) else LONGEST_RETRY))

    async def _watch(self, kube: Kube, selector: Selector, version: str, known: Known) -> str:
        begun = trio.current_time()
        async with kube.watch(CONFIG_MAPS, selector, since=version) as changes:
            async for change in changes:
                version = change.resource_version or version
                if change.object is not None:
                    self._take(known, None if change.type is ChangeType.DELETED else change.object)
        if trio.current_time() < begun + SHORT_WATCH:
            await trio.sleep(SHORT_WATCH)
        return version

    def _take(self, known: Known, found: ConfigMap | Malformed | None) -> None:
        data, binary = (
            (found.data, frozenset(found.binary_data)) if isinstance(found, ConfigMap) else (None, frozenset())
        )
        trouble = f"it does not decode: {found.problem}" if isinstance(found, Malformed) else ""
        if (known.listed, known.data, known.binary, known.trouble) != (True, data, binary, trouble):
            known.listed, known.data, known.binary, known.trouble = True, data, binary, trouble
            self._tell()

    def _tell(self) -> None:
        self.changes += 1
        self._changed.set()
        self._changed = trio.Event()


def _text(known: Known, key: str, name: str) -> str:
    """What the key holds. Raises `PricesError`."""
    data = known.data or {}
    if key in known.binary:
        raise PricesError(f"{name}: its key {key} is in binaryData, so its file is no UTF-8: save it as UTF-8")
    if key not in data:
        keys = ", ".join(sorted({*data, *known.binary})) or "none"
        raise PricesError(f"{name} has no key {key}; it has {keys}")
    if not isinstance(text := data[key], str):
        raise PricesError(f"{name}: its key {key} holds no text but {text!r:.40}: write the prices below {key}: |")
    return text
