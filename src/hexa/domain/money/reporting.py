"""Sums of accounts, as reports show them: by machine, by day or by tariff."""

from collections.abc import Iterable, Iterator

from msgspec import Struct, structs

from hexa.domain.money.booking import added
from hexa.domain.resources.energy import EnergyAccount, Sums


class Line(Struct, frozen=True, kw_only=True, rename="camel"):
    """A row of a report."""

    name: str
    currency: str
    sums: Sums


def since(account: EnergyAccount, day: str) -> Sums:
    """What was counted on that day and after it; of no day: all that ever was."""
    if not day:
        return Sums(**{name: getattr(account, name) for name in Sums.__struct_fields__})
    return total(sums for of, sums in account.days.items() if of >= day)


def total(parts: Iterable[Sums]) -> Sums:
    """The sum of the sums."""
    found = Sums()
    for each in parts:
        found = added(found, structs.asdict(each))
    return found


def lines(accounts: Iterable[tuple[str, EnergyAccount]], *, day: str) -> list[Line]:
    """A line for each name and currency, since that day."""
    return _gathered((name, account.currency, since(account, day)) for name, account in accounts)


def by_day(accounts: Iterable[EnergyAccount], *, day: str) -> list[Line]:
    """A line for each day and currency, since that day."""
    return sorted(_gathered(_days(accounts, day)), key=lambda line: (line.name, line.currency))


def totals(found: Iterable[Line]) -> list[Line]:
    """A line for each currency."""
    return _gathered(("total", line.currency, line.sums) for line in found)


def _days(accounts: Iterable[EnergyAccount], day: str) -> Iterator[tuple[str, str, Sums]]:
    for account in accounts:
        for of, sums in account.days.items():
            if of >= day:
                yield of, account.currency, sums


def _gathered(parts: Iterable[tuple[str, str, Sums]]) -> list[Line]:
    found: dict[tuple[str, str], list[Sums]] = {}
    for name, currency, sums in parts:
        found.setdefault((name, currency), []).append(sums)
    return [Line(name=name, currency=currency, sums=total(sums)) for (name, currency), sums in found.items()]
