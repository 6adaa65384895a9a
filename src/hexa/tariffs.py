"""Reads the files of tariffs, and reads them again when they change. What is wrong with one is a problem of that tariff; the others
go on."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import trio
from msgspec import Struct

from hexa.app.tariffs import Tariffs
from hexa.domain.money.prices import PricesError, Series, read_prices
from hexa.domain.money.tariff import Tariff
from hexa.domain.money.written_tariff import WrittenTariff, tariff_of
from hexa.domain.policy.problem import Problem
from hexa.ports.clock import Clock
from hexa.ports.journal import Journal

LOOK: Final = 60.0
"""Seconds between two looks at the files: a kubelet brings a changed ConfigMap to a mounted volume within a minute or two."""
SOON: Final = timedelta(hours=6)
"""So long before the last price of a file it is said that it ends."""


Stamps = dict[str, tuple[int, int]]
"""Of each file when it was written, and its size."""


class Loaded(Struct, frozen=True):
    """The tariffs of the configuration, by name, and what is wrong with them."""

    tariffs: Mapping[str, Tariff]
    problems: tuple[Problem, ...] = ()


async def keep_tariffs(
    tariffs: Tariffs, written: Mapping[str, WrittenTariff], *, clock: Clock, journal: Journal, every: float = LOOK
) -> None:
    """Read the tariffs, and again whenever a file has changed; never returns. What is wrong is logged when it changes."""
    told: frozenset[str] = frozenset()
    seen: Stamps | None = None
    loaded = Loaded({})
    while True:
        found = await trio.to_thread.run_sync(stamps, written)
        if found != seen:
            seen, loaded = found, await trio.to_thread.run_sync(load_tariffs, written)
            tariffs.known = loaded.tariffs
        now = frozenset(str(each) for each in (*loaded.problems, *ending(loaded.tariffs, clock.now())))
        for text in sorted(now - told):
            journal.log("tariff", problem=text)
        told = now
        await trio.sleep(every)


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
    return tuple(
        Problem(
            f"tariffs.{name}.file",
            f"its last price is for {tariff.rows[-1].end.isoformat()}",
            "bring newer ones; the shape of its last day stands in for a day, and then its mean",
            severity="warning",
        )
        for name, tariff in sorted(tariffs.items())
        if tariff.rows and tariff.rows[-1].end - now < SOON
    )


def load_tariffs(written: Mapping[str, WrittenTariff]) -> Loaded:
    """All of them. Reads files, and so blocks."""
    found = {name: load_tariff(name, each) for name, each in written.items()}
    return Loaded(
        {name: tariff for name, (tariff, _) in found.items()},
        tuple(problem for _, problems in found.values() for problem in problems),
    )


def load_tariff(name: str, written: WrittenTariff) -> tuple[Tariff, tuple[Problem, ...]]:
    """The tariff with the prices of its file, and what is wrong with it."""
    if not written.file:
        return tariff_of(name, written)
    where = f"tariffs.{name}.file"
    try:
        series = read_prices(Path(written.file).read_text(encoding="utf-8"), source=written.file)
    except (OSError, UnicodeDecodeError, PricesError) as error:
        text = str(error) if isinstance(error, PricesError) else f"{written.file} can't be read: {error}"
        problem = Problem(where, text, "write it by hexa tariff import; energy is free until then")
        tariff, problems = tariff_of(name, written)
        return tariff, (*problems, problem)
    tariff, problems = tariff_of(name, written, series.rows)
    return tariff, (*problems, *_of_series(where, written, series))


def _of_series(where: str, written: WrittenTariff, series: Series) -> tuple[Problem, ...]:
    found = []
    if series.currency != written.currency:
        text = f"its prices are in {series.currency}, and the tariff's currency is {written.currency}"
        found.append(Problem(where, text, f"set tariffs currency to {series.currency}, or import other prices"))
    if series.gaps:
        start, end = series.gaps[0]
        text = f"it has no price from {start.isoformat()} to {end.isoformat()}"
        found.append(Problem(where, text, "those of a day that is known stand in", severity="warning"))
    return tuple(found)
