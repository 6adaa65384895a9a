"""Reads the files and ConfigMaps of tariffs, and reads them again when they change. What is wrong with one is a problem of that
tariff; the others go on."""

import math
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Final

import trio
from msgspec import Struct

from hexa.app.tariffs import Tariffs
from hexa.domain.money.prices import PricesError, Series, read_prices
from hexa.domain.money.tariff import Tariff
from hexa.domain.money.written_tariff import WrittenTariff, source_of, tariff_of
from hexa.domain.policy.problem import Problem
from hexa.domain.policy.tariffs import SOON
from hexa.ports.clock import Clock
from hexa.ports.journal import Journal
from hexa.ports.kube import Kube
from hexa.price_maps import NotYet, PriceMaps

LOOK: Final = 60.0
"""Seconds between two looks at the files: a kubelet brings a changed ConfigMap to a mounted volume within a minute or two."""
PATIENCE: Final = 10.0
"""Seconds that an agent waits at its start for prices in ConfigMaps: what is booked without them has no price."""

Stamps = dict[str, tuple[int, int]]
"""Of each file when it was written, and its size."""


class Loaded(Struct, frozen=True):
    """The tariffs of the configuration, by name, and what is wrong with them."""

    tariffs: Mapping[str, Tariff]
    problems: tuple[Problem, ...] = ()


class TariffFiles:
    """The tariffs of the configuration, kept as their files are."""

    def __init__(self, tariffs: Tariffs, written: Mapping[str, WrittenTariff]) -> None:
        self.tariffs, self._written = tariffs, written
        self.maps: Final = PriceMaps(written.values())
        self.reads_files: Final = any(each.file for each in written.values())
        self._seen: Stamps | None = None
        self._wrong: tuple[Problem, ...] = ()
        self._told: frozenset[str] = frozenset()

    def __repr__(self) -> str:
        return f"<TariffFiles {len(self._seen or ())} files>"

    def look(self, now: datetime) -> list[str]:
        """Read what has changed; what is wrong since then, in words. It reads files, and so blocks."""
        if (found := {**stamps(self._written), "": (self.maps.changes, 0)}) != self._seen:
            loaded = load_tariffs(self._written, self.tariffs.known, self.maps)
            self._seen, self._wrong, self.tariffs.known = found, loaded.problems, loaded.tariffs
        known = self.tariffs.known
        wrong = frozenset(str(each) for each in (*self._wrong, *beginning(known, now), *ending(known, now)))
        new, self._told = wrong - self._told, wrong
        return sorted(new)

    def rests(self, now: datetime) -> float:
        """Seconds until the next look, where no ConfigMap changes before."""
        if self.reads_files:
            return LOOK
        ends = (
            (tariff.rows[-1].end - SOON - now).total_seconds() for tariff in self.tariffs.known.values() if tariff.rows
        )
        return min((seconds for seconds in ends if seconds > 0), default=math.inf)


@asynccontextmanager
async def read_tariffs(
    tariffs: Tariffs, written: Mapping[str, WrittenTariff], kube: Kube, *, clock: Clock, journal: Journal
) -> AsyncIterator[TariffFiles]:
    """The tariffs as their files are, read once before anybody books by them; an API server that does not answer is waited for no
    longer than `PATIENCE`."""
    files = TariffFiles(tariffs, written)
    with trio.move_on_after(PATIENCE):
        await files.maps.read(kube)
    if written:
        await _look(files, clock, journal)
    yield files


async def keep_tariffs(files: TariffFiles, *, clock: Clock, journal: Journal) -> None:
    """Look at the files now and from time to time, at ConfigMaps when they change; never returns. What is wrong is logged once."""
    while True:
        await _look(files, clock, journal)
        files.tariffs.tell()
        with trio.move_on_after(files.rests(clock.now())):
            await files.maps.changed()


async def _look(files: TariffFiles, clock: Clock, journal: Journal) -> None:
    for text in await trio.to_thread.run_sync(files.look, clock.now()):
        journal.log("tariff", problem=text)


def stamps(written: Mapping[str, WrittenTariff]) -> Stamps:
    """What tells that a file has changed. A file that is not there has zeros."""
    found: Stamps = {}
    for each in written.values():
        if each.file:
            try:
                stat = Path(each.file).stat()
                found[each.file] = (stat.st_mtime_ns, stat.st_size)
            except OSError:
                found[each.file] = (0, 0)
    return found


def ending(tariffs: Mapping[str, Tariff], now: datetime) -> tuple[Problem, ...]:
    """The tariffs whose prices end soon, or have ended."""
    ends = {name: tariff.rows[-1].end for name, tariff in tariffs.items() if tariff.rows}
    return _told(
        {name: end for name, end in ends.items() if end - now < SOON},
        "its last price is for",
        "bring newer ones; the shape of its last day stands in for a day, and then its mean",
    )


def beginning(tariffs: Mapping[str, Tariff], now: datetime) -> tuple[Problem, ...]:
    """The tariffs that have no price yet for now."""
    starts = {name: tariff.rows[0].start for name, tariff in tariffs.items() if tariff.rows}
    return _told(
        {name: start for name, start in starts.items() if start > now},
        "its first price is for",
        "keep those of before it (hexa tariff import --keep); until then the price at the same time of that day stands in",
    )


def _told(tariffs: Mapping[str, datetime], text: str, remedy: str) -> tuple[Problem, ...]:
    """A warning about each, with its moment."""
    return tuple(
        Problem(f"tariffs.{name}", f"{text} {moment.isoformat()}", remedy, severity="warning")
        for name, moment in sorted(tariffs.items())
    )


def load_tariffs(
    written: Mapping[str, WrittenTariff], before: Mapping[str, Tariff] | None = None, maps: PriceMaps | None = None
) -> Loaded:
    """All of them but those whose ConfigMap was not read yet; of one that can't be read, what it was `before`. Reads files, and so
    blocks."""
    found: dict[str, Tariff] = {}
    problems: list[Problem] = []
    for name, each in written.items():
        try:
            found[name], wrong = load_tariff(name, each, (before or {}).get(name), maps)
        except NotYet:
            continue
        problems += wrong
    return Loaded(found, tuple(problems))


def load_tariff(
    name: str, written: WrittenTariff, before: Tariff | None = None, maps: PriceMaps | None = None
) -> tuple[Tariff, tuple[Problem, ...]]:
    """The tariff with the prices of its file or ConfigMap, and what is wrong with it. `before`: what stands in where they can't be
    read. Raises `NotYet`."""
    if not (source := source_of(written)):
        return tariff_of(name, written)
    where = f"tariffs.{name}.{source}"
    try:
        series = _series(written, maps)
    except (OSError, UnicodeDecodeError, PricesError) as error:
        text = str(error) if isinstance(error, PricesError) else f"{written.file} can't be read: {error}"
        stands_in = "the prices that were read before count until then" if before else "energy is free until then"
        tariff, problems = tariff_of(name, written, before.rows if before is not None else ())
        return tariff, (*problems, Problem(where, text, f"write it by hexa tariff import; {stands_in}"))
    tariff, problems = tariff_of(name, written, series.rows)
    return tariff, (*problems, *_of_series(where, written, series))


def _series(written: WrittenTariff, maps: PriceMaps | None) -> Series:
    named = written.config_map
    if named is None:
        return read_prices(Path(written.file).read_text(encoding="utf-8-sig"), source=written.file)
    if maps is None:
        raise NotYet
    return read_prices(maps.text_of(named), source=f"ConfigMap {named.namespace}/{named.name}, {named.key}")


def _of_series(where: str, written: WrittenTariff, series: Series) -> tuple[Problem, ...]:
    found = []
    if series.currency != written.currency:
        text = f"its prices are in {series.currency}, and the tariff's currency is {written.currency}"
        found.append(Problem(where, text, f"set the tariff's currency to {series.currency}, or import other prices"))
    if series.gaps:
        start, end = series.gaps[0]
        text = f"it has no price from {start.isoformat()} to {end.isoformat()}"
        found.append(Problem(where, text, "those of a day that is known stand in", severity="warning"))
    return tuple(found)
