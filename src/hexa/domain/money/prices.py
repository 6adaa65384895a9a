"""Series of prices as text: the canonical form, and the forms in which exchanges and suppliers publish them.

The canonical form is CSV with the header start,end,value, times with their offset, and before it a line with the unit:

    # unit: EUR/kWh
    start,end,value
    2026-11-30T00:00:00+00:00,2026-11-30T00:15:00+00:00,0.0912

Every reader raises `PricesError` with the row, what is wrong and what is wanted.
"""

import csv
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any, Final

import msgspec
from msgspec import Struct

from hexa.domain.errors import HexaError
from hexa.domain.money.series import MOST, Row

HEADER: Final = ("start", "end", "value")
MOST_ROWS: Final = 400_000
"""Ten years of quarters of an hour."""
KEPT: Final = timedelta(days=8)
"""Of prices that have been: an account is booked by them an hour late, and a day of the week before stands in for one without."""
UNITS: Final = {"kWh": 1.0, "MWh": 1000.0}
"""Kilowatt-hours of a unit."""
MINOR: Final = {
    "p": ("GBP", 100.0),
    "pence": ("GBP", 100.0),
    "GBp": ("GBP", 100.0),
    "ct": ("EUR", 100.0),
    "cent": ("EUR", 100.0),
}
"""Parts of a currency, and how many make one."""


class PricesError(HexaError):
    """Prices that can't be read; the message names the row and what is wanted."""


class Series(Struct, frozen=True):
    """Prices for a kilowatt-hour, in order of time and without overlaps."""

    rows: tuple[Row, ...]
    currency: str = "EUR"

    @property
    def gaps(self) -> tuple[tuple[datetime, datetime], ...]:
        """Where between two rows no price is."""
        return tuple((one.end, other.start) for one, other in pairwise(self.rows) if one.end < other.start)


def read_prices(text: str, *, source: str) -> Series:
    """The canonical form."""
    unit, lines = _header_of(text, source)
    return _series(_rows(lines), unit=unit, source=source)


def write_prices(series: Series) -> str:
    """The canonical form."""
    lines = [f"# unit: {series.currency}/kWh", ",".join(HEADER)]
    lines += [f"{row.start.isoformat()},{row.end.isoformat()},{_shown(row.per_kwh)}" for row in series.rows]
    return "\n".join(lines) + "\n"


def with_earlier(new: Series, earlier: Series) -> Series:
    """The new prices, and beside them those of before for times that they say nothing of: since `KEPT` before the first of them,
    and after the last. Raises `PricesError` where they are in another currency."""
    if earlier.currency != new.currency:
        raise PricesError(f"the prices of before are in {earlier.currency}, and the new ones in {new.currency}")
    first, last = new.rows[0].start, new.rows[-1].end
    before = (Row(row.start, min(row.end, first), row.per_kwh) for row in earlier.rows if row.start < first)
    after = (Row(max(row.start, last), row.end, row.per_kwh) for row in earlier.rows if row.end > last)
    return Series((*(row for row in before if row.end > first - KEPT), *new.rows, *after), new.currency)


def import_csv(text: str, *, source: str, unit: str = "") -> Series:
    """CSV with a header that names start, end and value among others; `unit` where no line says it."""
    found, lines = _header_of(text, source, unit=unit)
    return _series(_rows(lines), unit=found, source=source)


def import_nordpool(text: str, *, source: str, area: str = "") -> Series:
    """The JSON of Nord Pool's data portal: `multiAreaEntries` with `entryPerArea`, a price for each MWh. `area`: which, if more
    than one is in it."""
    given = _object(text, source)
    entries = _list(given, "multiAreaEntries", source)
    areas = sorted({name for entry in entries for name in _of(entry, "entryPerArea", dict, source)})
    if not area and len(areas) == 1:
        area = areas[0]
    if area not in areas:
        raise PricesError(f"{source}: it has prices of {', '.join(areas) or 'no area'}: name one of them by --area")
    rows = (
        (
            f"multiAreaEntries[{number}]",
            entry.get("deliveryStart"),
            entry.get("deliveryEnd"),
            entry["entryPerArea"].get(area),
        )
        for number, entry in enumerate(entries)
    )
    currency = str(given.get("currency") or "EUR")
    return _series((row for row in rows if row[3] is not None), unit=f"{currency}/MWh", source=source)


def import_octopus(text: str, *, source: str) -> Series:
    """The JSON of Octopus Energy's API (Agile and others): `results` with `value_inc_vat` in pence, the newest first. A price whose
    end is not known yet holds until the next, the last one for half an hour."""
    results = _list(_object(text, source), "results", source)
    begins = [_time(f"{source}: results[{n}]", "start", entry.get("valid_from")) for n, entry in enumerate(results)]
    after = dict(pairwise(sorted(set(begins))))
    rows = (
        (
            f"results[{number}]",
            begin,
            entry.get("valid_to") or after.get(begin) or _half_an_hour_after(begin),
            entry.get("value_inc_vat"),
        )
        for number, (begin, entry) in enumerate(zip(begins, results, strict=True))
    )
    return _series(rows, unit="pence/kWh", source=source)


_Raw = tuple[str, Any, Any, Any]
"""Where it stands; start, end and price as they were written."""


def _header_of(text: str, source: str, *, unit: str = "") -> tuple[str, Iterator[tuple[int, dict[str, str]]]]:
    """The unit, and the rows below the header by its names, with their line."""
    lines = text.removeprefix("\ufeff").splitlines()
    first = next((number for number, line in enumerate(lines) if line.strip() and not line.startswith("#")), len(lines))
    said = (re.fullmatch(r"#\s*unit:\s*(\S+)\s*", line) for line in lines[:first])
    unit = next((match[1] for match in said if match), unit)
    names = [name.strip() for name in next(_cells(lines[first : first + 1], source, first), (0, []))[1]]
    if missing := [name for name in HEADER if name not in names]:
        raise PricesError(f"{source}: its header has no {missing[0]}: the first line is {','.join(HEADER)}")
    if not unit:
        raise PricesError(f"{source}: no line says the unit: write # unit: EUR/kWh above the header, or give --unit")
    return unit, _named(names, _cells(lines[first + 1 :], source, first + 1), source)


def _cells(lines: Sequence[str], source: str, above: int) -> Iterator[tuple[int, list[str]]]:
    """The cells of each line that has any, without blanks around them; `above`: so many lines stand above these."""
    rows = csv.reader(lines, skipinitialspace=True)
    try:
        for row in rows:
            if any(cells := [cell.strip() for cell in row]):
                yield rows.line_num + above, cells
    except csv.Error as error:
        raise PricesError(f"{source}: line {rows.line_num + above}: {error}: is it another form?") from error


def _named(
    names: Sequence[str], rows: Iterable[tuple[int, list[str]]], source: str
) -> Iterator[tuple[int, dict[str, str]]]:
    """The cells by the names of the header."""
    for number, cells in rows:
        if any(cells[len(names) :]):
            raise PricesError(
                f"{source}: line {number}: it has {len(cells)} values, and the header has {len(names)} names: "
                "write 0.0912, not 0,0912"
            )
        yield number, dict(zip(names, cells, strict=False))


def _rows(lines: Iterable[tuple[int, Mapping[str, str]]]) -> Iterator[_Raw]:
    for number, row in lines:
        yield f"line {number}", row.get("start"), row.get("end"), row.get("value")


def _series(raw: Iterable[_Raw], *, unit: str, source: str) -> Series:
    currency, divisor = _unit(unit, source)
    rows: list[Row] = []
    for where, start, end, value in raw:
        if len(rows) >= MOST_ROWS:
            raise PricesError(f"{source}: it has more than {MOST_ROWS} prices: cut what is past")
        rows.append(_row(f"{source}: {where}", start, end, value, divisor))
    if not rows:
        raise PricesError(f"{source}: it has no price")
    rows.sort(key=lambda row: (row.start, row.end))
    for one, other in pairwise(rows):
        if other.start < one.end:
            raise PricesError(
                f"{source}: the prices from {one.start.isoformat()} and from {other.start.isoformat()} overlap: keep one of them"
            )
    return Series(tuple(rows), currency)


def _row(where: str, start: Any, end: Any, value: Any, divisor: float) -> Row:
    begin, over = _time(where, "start", start), _time(where, "end", end)
    if over <= begin:
        raise PricesError(f"{where}: it ends at {end}, which is not after its start at {start}")
    try:
        price = math.nan if isinstance(value, bool) else float(value) / divisor
    except (TypeError, ValueError, OverflowError):
        raise PricesError(f"{where}: {value!r:.40} is no price: write a number such as 0.0912") from None
    if not -MOST <= price <= MOST:
        raise PricesError(f"{where}: {price:g} for a kilowatt-hour can't be: look at the unit")
    return Row(begin, over, price)


def _time(where: str, name: str, value: Any) -> datetime:
    try:
        found = datetime.fromisoformat(str(value).replace("Z", "+00:00"))
        if found.tzinfo is not None:
            return found.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise PricesError(
        f"{where}: {name} is {value!r:.40}: write a time with its offset, such as 2026-11-30T00:00:00+01:00"
    )


def _unit(unit: str, source: str) -> tuple[str, float]:
    """Currency, and by what a price is divided to be one of that currency for a kilowatt-hour."""
    money, _, energy = unit.partition("/")
    if energy not in UNITS or (money not in MINOR and not re.fullmatch(r"[A-Z]{3}", money)):
        raise PricesError(
            f"{source}: {unit!r:.40} is no unit of prices: write EUR/kWh, EUR/MWh or pence/kWh; other currencies have three "
            "capital letters, and ct is a hundredth of a euro"
        )
    currency, parts = MINOR.get(money, (money, 1.0))
    return currency, UNITS[energy] * parts


def _half_an_hour_after(start: datetime) -> str:
    try:
        return (start + timedelta(minutes=30)).isoformat()
    except OverflowError:
        return ""


def _shown(price: float) -> str:
    return f"{price:.6f}".rstrip("0").rstrip(".") if abs(price) >= 5e-7 else "0"


def _object(text: str, source: str) -> dict[str, Any]:
    try:
        found = msgspec.json.decode(text.removeprefix("\ufeff"))
    except (msgspec.DecodeError, RecursionError) as error:
        raise PricesError(f"{source}: is no JSON: {error}") from error
    if not isinstance(found, dict):
        raise PricesError(f"{source}: an object is wanted")
    return found


def _list(given: Mapping[str, Any], name: str, source: str) -> list[dict[str, Any]]:
    found = given.get(name)
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise PricesError(f"{source}: {name} is no list of prices: is it another form?")
    return found


def _of(entry: Mapping[str, Any], name: str, kind: type, source: str) -> Any:
    found = entry.get(name)
    if not isinstance(found, kind):
        raise PricesError(f"{source}: an entry has no {name}: is it another form?")
    return found
