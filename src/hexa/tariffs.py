"""Reads the files of tariffs. What is wrong with one is a problem of that tariff; the others go on."""

from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct

from hexa.domain.money.prices import PricesError, Series, read_prices
from hexa.domain.money.tariff import Tariff
from hexa.domain.money.written_tariff import WrittenTariff, tariff_of
from hexa.domain.policy.problem import Problem


class Loaded(Struct, frozen=True):
    """The tariffs of the configuration, by name, and what is wrong with them."""

    tariffs: Mapping[str, Tariff]
    problems: tuple[Problem, ...] = ()


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
