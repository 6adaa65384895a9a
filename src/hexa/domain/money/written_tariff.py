"""Tariffs as people write them in the configuration, and what is wrong with one."""

from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Annotated, Final
from zoneinfo import ZoneInfo

from msgspec import Meta, Struct, field

from hexa.domain.money.series import MOST, Row
from hexa.domain.money.tariff import Charge, Priced, Tariff
from hexa.domain.policy.problem import Problem
from hexa.domain.weekly import Window, clock, overlap, uncovered, window_of, zone_of

UTC: Final = ZoneInfo("UTC")
Price = Annotated[float, Meta(ge=-MOST, le=MOST)]


class Written(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Base: camelCase, and no key that is not known."""


class WrittenWindow(Written, frozen=True, kw_only=True):
    """A weekly window with its price."""

    price: Price
    days: tuple[str, ...] = ()
    start: str = field(name="from", default="00:00")
    end: str = field(name="to", default="24:00")

    def window(self) -> Window:
        """Raises `ValueError`."""
        return window_of(self.days, self.start, self.end)


class WrittenMap(Written, frozen=True, kw_only=True):
    """A key of a ConfigMap."""

    name: str
    key: str
    namespace: str = "hexa-system"


class WrittenTariff(Written, frozen=True, kw_only=True):
    """A tariff: one price, weekly windows, or a series from a file or a ConfigMap; charges and tax on top."""

    currency: str = "EUR"
    price: Price | None = None
    windows: tuple[WrittenWindow, ...] = ()
    file: str = ""
    """Of prices in the form that `hexa tariff import` writes."""
    config_map: WrittenMap | None = None
    """Where such prices stand instead."""
    charges: tuple[WrittenWindow, ...] = ()
    tax: Annotated[float, Meta(ge=0, le=1)] = 0.0
    zone: str = "UTC"


def source_of(written: WrittenTariff) -> str:
    """The key that says where its series is; empty: it has none."""
    return "configMap" if written.config_map is not None else "file" if written.file else ""


def tariff_of(name: str, written: WrittenTariff, rows: Sequence[Row] = ()) -> tuple[Tariff, tuple[Problem, ...]]:
    """The tariff, and what is wrong with it: what can't be read is left out. `rows`: the prices of its file."""
    problems: list[Problem] = []
    where = f"tariffs.{name}"
    try:
        zone = zone_of(written.zone)
    except ValueError as error:
        zone = UTC
        problems.append(Problem(f"{where}.zone", str(error), "its windows are read in UTC until then"))
    windows = [*_read(f"{where}.windows", written.windows, problems)]
    charges = [*_read(f"{where}.charges", written.charges, problems)]
    found = Tariff(
        per_kwh=written.price or 0.0,
        windows=tuple(Priced(window, price) for window, price in windows),
        rows=tuple(rows),
        charges=tuple(Charge(price, None if window == Window() else window) for window, price in charges),
        tax=written.tax,
        zone=zone,
        currency=written.currency,
    )
    return found, (*problems, *_judged(where, written, found))


def _read(where: str, written: Sequence[WrittenWindow], problems: list[Problem]) -> Iterator[tuple[Window, float]]:
    for number, each in enumerate(written):
        try:
            yield each.window(), each.price
        except ValueError as error:
            problems.append(Problem(f"{where}[{number}]", str(error), "it is left out until then"))


def _judged(where: str, written: WrittenTariff, tariff: Tariff) -> Iterator[Problem]:
    """Overlaps, gaps, and prices from nowhere."""
    source = source_of(written)
    if source and (written.windows or written.price is not None):
        text = "it has prices, and so have price and windows"
        yield Problem(f"{where}.{source}", text, f"leave one of them out: the {source} counts")
    if written.file and written.config_map is not None:
        yield Problem(f"{where}.file", "there is a configMap too", "leave one of them out: the configMap counts")
    windows = [each.window for each in tariff.windows]
    for (first, one), (second, other) in combinations(enumerate(windows), 2):
        if (met := overlap(one, other)) is not None:
            text = f"windows {first} and {second} both hold on {met[0]} at {clock(met[1])}"
            yield Problem(
                f"{where}.windows", text, f"cut one of them: window {first} counts until then", severity="warning"
            )
    if source or written.price is not None:
        return
    gap = uncovered(windows)
    if gap is not None:
        text = f"no window holds on {gap[0]} at {clock(gap[1])}, and there is no price beside them"
        yield Problem(
            f"{where}.price", text, "set price to what counts outside the windows: energy is free then until it is set"
        )
