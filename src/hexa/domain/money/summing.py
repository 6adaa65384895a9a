"""The account of a group: the sum of its machines'.

Days that are over are kept as they were summed up, so that the sum outlives machines that lose their status, leave, or come from
another group with days of their own.
"""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Final

from msgspec import structs

from hexa.domain.money.booking import EVERY, LONGEST, added, in_currency, newest, summary
from hexa.domain.resources.energy import EnergyAccount, Sums

OPEN: Final = timedelta(days=2)
"""So long after it began a day may change yet: machines are counted up to an hour late, and zones differ."""
FIELDS: Final = Sums.__struct_fields__


def summed(known: EnergyAccount, accounts: Iterable[EnergyAccount], *, now: datetime) -> EnergyAccount:
    """The sum that was `known`, brought up to date with what the machines' accounts say."""
    counted = [account for account in accounts if account.energy_to is not None]
    currency = next((account.currency for account in counted if account.currency), known.currency)
    known = in_currency(known, currency)
    begins = known.counted_to is None
    since = "" if known.counted_to is None else _opened(_aware(known.counted_to), now)
    total, days = known, dict(known.days)
    for day, sums in _by_day(counted, since).items():
        was = days.get(day, Sums())
        if begins or _length(sums) >= _length(was):
            days[day] = sums
            total = total if begins else added(total, _difference(sums, was))
    if begins:
        for account in counted:
            total = added(total, _amounts(account))
    begun = min((_aware(account.since) for account in counted if account.since is not None), default=now)
    total = structs.replace(
        total,
        days=newest(days, until=(now + OPEN).date().isoformat()),
        counted_to=now,
        since=known.since or begun,
        currency=currency,
    )
    return structs.replace(total, summary=summary(total))


def sum_due(known: EnergyAccount, *, now: datetime, every: timedelta = EVERY) -> datetime:
    """When the sum is made anew."""
    counted_to = known.counted_to
    return now if counted_to is None or (to := _aware(counted_to)) > now else to + every


def _opened(counted_to: datetime, now: datetime) -> str:
    """The first day that may change yet."""
    return (max(counted_to, now - LONGEST) - OPEN).date().isoformat()


def _by_day(accounts: Iterable[EnergyAccount], since: str) -> dict[str, Sums]:
    found: dict[str, Sums] = {}
    for account in accounts:
        for day, sums in account.days.items():
            if day >= since:
                found[day] = added(found.get(day, Sums()), _amounts(sums))
    return found


def _amounts(sums: Sums) -> dict[str, float]:
    return {name: getattr(sums, name) for name in FIELDS}


def _difference(new: Sums, old: Sums) -> dict[str, float]:
    return {name: getattr(new, name) - getattr(old, name) for name in FIELDS}


def _length(sums: Sums) -> float:
    return sums.on_seconds + sums.off_seconds


def _aware(moment: datetime) -> datetime:
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
