"""Books a machine's time, energy and money into its account, in one go from where the account was complete to now.

Everything that an account needs for that is stored in it, so that it goes on after a restart, and what was stored is never counted
twice. Energy is taken from a meter where one counts, else computed from the declared watts. What costs changes by the hour: each
piece of a span is priced by itself, and put to its day.
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from itertools import pairwise
from math import isnan
from typing import Final, Literal, TypeVar

from msgspec import Struct, structs

from hexa.domain.money.account import MONTH
from hexa.domain.money.rates import HOUR, Rates
from hexa.domain.money.series import DAY, Step
from hexa.domain.resources.energy import Counter, EnergyAccount, Sums
from hexa.domain.weekly import YEARS, Span, moment, without, zone_of

S = TypeVar("S", bound=Sums)

Side = Literal["on", "boot", "off"]
"""Of the time in a phase."""

EVERY: Final = timedelta(hours=1)
"""Where nothing else is written of a machine its account is brought up to date so often, if it has a tariff or a meter."""
SELDOM: Final = timedelta(days=1)
"""All others: what they will be is known from what they are."""
DAYS_KEPT: Final = 35
LONGEST: Final = timedelta(days=366)
"""Of a time that nobody counted: what was before that is not known."""
PATIENCE: Final = timedelta(minutes=15)
"""So long the next reading of a meter is waited for; then the energy since the last one is computed."""
MOST_KILOWATTS: Final = 100.0
"""A meter that says that a machine draws more has jumped."""
BOUND: Final = 1e12
"""Of a sum, so that all of them can be written."""
TIMES: Final = frozenset({"on_seconds", "boot_seconds", "off_seconds"})
MONEY: Final = ("money", "saved")


class Prices(Struct, frozen=True, kw_only=True):
    """What a kilowatt-hour costs from where an account is complete to now, and by whose clock its days begin."""

    steps: tuple[Step, ...] = ()
    flat: float = 0.0
    """Where there is no step."""
    zone: str = "UTC"
    currency: str = ""

    def at(self, moment: datetime) -> float:
        """Before the first step its price counts, and after the last step that one's."""
        if not self.steps:
            return self.flat
        return self.steps[max(bisect_right(self.steps, moment, key=lambda step: step.start) - 1, 0)].per_kwh


class Since(Struct, frozen=True, kw_only=True):
    """What happened since the account was complete."""

    now: datetime
    side: Side
    """The machine was this all the time."""
    boots: int = 0
    """That have ended now."""
    counter: Counter | None = None
    """The last reading of its meter; None: none reads it, or it is silent."""
    skipped: tuple[Span, ...] = ()
    """Time that never was: the clock was set forward over it."""

    @property
    def ended(self) -> datetime:
        """The last moment that is over: boots belong to its price and its day."""
        return self.now - timedelta.resolution


class Booked(Struct, frozen=True):
    """An account that is complete, and what is wrong with its meter."""

    account: EnergyAccount
    doubt: str = ""


def booked(account: EnergyAccount, since: Since, *, rates: Rates, prices: Prices) -> Booked:
    """The account, complete up to now."""
    now, account = since.now, in_currency(account, prices.currency)
    if now.year not in YEARS:  # a clock that nobody has set
        return Booked(structs.replace(account, boots=account.boots + since.boots, counted_to=now))
    book, begins = _Book(account, prices), account.energy_to is None
    start = max(account.counted_to or now, now - LONGEST)
    for span in without(start, now, since.skipped):
        book.time(span, since.side, rates, daily=not begins)
    if since.boots:
        book.add("" if begins else book.day(since.ended), boots=since.boots)
    found = _Energy(now, _baseline(since)) if begins else _energy(book, account, since, rates, start=start)
    changed = structs.replace(
        book.account(now),
        counted_to=max(now, account.counted_to or now),
        since=account.since or now,
        energy_to=found.to,
        meter=found.counter,
        currency=prices.currency or account.currency,
    )
    return Booked(structs.replace(changed, summary=summary(changed)), found.doubt)


def in_currency(account: EnergyAccount, currency: str) -> EnergyAccount:
    """The account in that currency: another one begins from nothing. Empty: in its own."""
    if not currency or account.currency in ("", currency):
        return account
    none = dict.fromkeys(MONEY, 0.0)
    days = {day: structs.replace(sums, **none) for day, sums in account.days.items()}
    return structs.replace(account, days=days, currency=currency, **none)


def summary(account: EnergyAccount) -> str:
    """Energy, money and what was saved, for people."""
    estimated = "" if account.measured >= 0.99 * account.kwh else " (estimated)"
    energy = f"{account.kwh:.1f} kWh{estimated}"
    if account.money or account.saved:
        return f"{energy}, {account.money:.2f} {account.currency}; saved {account.saved:.2f} {account.currency}"
    return f"{energy}; saved {account.saved_kwh:.1f} kWh"


# --- energy -----------------------------------------------------------------------------------------


class _Energy(Struct, frozen=True):
    """Up to where energy is counted, by which reading, and what is wrong with that."""

    to: datetime
    counter: Counter | None
    doubt: str = ""


def _energy(book: "_Book", account: EnergyAccount, since: Since, rates: Rates, *, start: datetime) -> _Energy:
    """Book the energy since it was last counted: as measured, as computed, or later. It is computed from `start` on, or a little
    before: of a time in which nobody kept the account nothing is known."""
    last, counter, oldest = _by_one_clock(account.meter, since.skipped), since.counter, since.now - LONGEST
    to = max(account.energy_to or since.now, oldest)
    begin = max(to, start - EVERY)
    if last is not None and counter is not None and _newer(counter, last):
        at = min(max(counter.at or since.now, oldest), since.now)
        doubt = _doubt(last, counter)
        if doubt is None:
            book.measured((min(to, at), at), counter.kwh - last.kwh, since, rates)
            return _Energy(at, counter)
        book.computed((begin, at), since, rates)
        return _Energy(max(to, at), counter, doubt)
    if last is not None and last.at is not None and since.now - last.at < PATIENCE:
        return _Energy(to, last)
    baseline = _baseline(since) if last is None else None
    until = baseline.at if baseline is not None and baseline.at is not None else since.now
    if until < to:  # what the meter counted until now is counted
        baseline, until = None, since.now
    book.computed((begin, until), since, rates)
    return _Energy(max(to, until), baseline)


def _baseline(since: Since) -> Counter | None:
    """The reading that the next one is compared with."""
    counter = since.counter
    return counter if counter is not None and counter.at is not None and counter.at <= since.now else None


def _newer(counter: Counter, last: Counter) -> bool:
    return counter.at is not None and last.at is not None and counter.at > last.at


def _by_one_clock(stored: Counter | None, skipped: Sequence[Span]) -> Counter | None:
    """The reading with its moment as the clock has it now: what is held in memory went on with the clock when that was set forward,
    and what is stored did not."""
    at = stored.at if stored is not None else None
    if stored is None or at is None or not skipped:
        return stored
    leaps = sum((end - max(start, at) for start, end in skipped if end > at), timedelta(0))
    return structs.replace(stored, at=at + leaps) if leaps else stored


def _doubt(last: Counter, counter: Counter) -> str | None:
    """Why the energy between the two readings is not known; empty: the meter is another. None: it is known."""
    if counter.source != last.source:
        return ""
    drawn = counter.kwh - last.kwh
    if drawn < 0:
        return f"its meter ({counter.source}) went back from {last.kwh:.6g} to {counter.kwh:.6g} kWh"
    hours = (counter.at - last.at) / HOUR if counter.at is not None and last.at is not None else 0.0
    if drawn > max(hours, 1 / 60) * MOST_KILOWATTS:
        return f"its meter ({counter.source}) jumped from {last.kwh:.6g} to {counter.kwh:.6g} kWh"
    return None


# --- the book ---------------------------------------------------------------------------------------


class _Book:
    """Sums that are added up."""

    def __init__(self, account: EnergyAccount, prices: Prices) -> None:
        self._account, self._prices = account, prices
        self._zone = zone_of(prices.zone)
        self._total: dict[str, float] = {}
        self._days: dict[str, dict[str, float]] = {}

    def day(self, at: datetime) -> str:
        """The day on which the moment is."""
        return at.astimezone(self._zone).date().isoformat()

    def add(self, day: str, **amounts: float) -> None:
        """Add to the sums of the account, and of the day; without a day to the former alone."""
        for name, amount in amounts.items():
            self._total[name] = self._total.get(name, 0.0) + amount
            if day:
                sums = self._days.setdefault(day, {})
                sums[name] = sums.get(name, 0.0) + amount

    def time(self, span: Span, side: Side, rates: Rates, *, daily: bool) -> None:
        """Time, and what is paid by the hour or the month. Not `daily`: the days do not count yet."""
        for start, end in pairwise(self._days_of(span)):
            hours = (end - start) / HOUR
            fixed = {
                "money": (0.0 if side == "off" else rates.hourly * hours) + rates.monthly * hours / (MONTH / HOUR),
                "saved": rates.hourly * hours if side == "off" else 0.0,
            }
            seconds = {f"{'off' if side == 'off' else 'on'}_seconds": hours * 3600}
            if side == "boot":
                seconds["boot_seconds"] = hours * 3600
            self.add(self.day(start) if daily else "", **seconds, **(fixed if daily else {}))

    def computed(self, span: Span, since: Since, rates: Rates) -> None:
        """Energy by the declared watts."""
        drawn = rates.off_watts if since.side == "off" else rates.idle_watts
        for part in without(*span, since.skipped):
            self._draw(part, drawn / 1000, _above(rates, drawn) / 1000)
        if since.boots:
            kwh = since.boots * rates.boot_watt_hours / 1000
            self._at_once(since.ended, kwh, -kwh if rates.idle_watts else 0.0)

    def measured(self, span: Span, kwh: float, since: Since, rates: Rates) -> None:
        """Energy that a meter counted, drawn evenly over the span. What a machine that is on draws above its idle watts is its
        work, which it would have done always on too."""
        parts = list(without(*span, since.skipped))
        hours = sum((end - start) / HOUR for start, end in parts)
        if hours <= 0:
            self._at_once(span[1], kwh, 0.0, measured=True)
            return
        saved = 0.0 if since.side == "on" else _above(rates, kwh / hours * 1000) / 1000
        for part in parts:
            self._draw(part, kwh / hours, saved, measured=True)

    def _draw(self, span: Span, kilowatts: float, saved: float, *, measured: bool = False) -> None:
        edges = {*self._days_of(span), *(s.start for s in self._prices.steps if span[0] < s.start < span[1])}
        for start, end in pairwise(sorted(edges)):
            hours = (end - start) / HOUR
            self._at_once(start, kilowatts * hours, saved * hours, measured=measured)

    def _at_once(self, at: datetime, kwh: float, saved: float, *, measured: bool = False) -> None:
        price = self._prices.at(at)
        self.add(
            self.day(at),
            kwh=kwh,
            measured=kwh if measured else 0.0,
            saved_kwh=saved,
            money=kwh * price,
            saved=saved * price,
        )

    def _days_of(self, span: Span) -> list[datetime]:
        """Begin and end of the span, and the midnights between."""
        start, end = span
        if end <= start:
            return []
        first, last = (each.astimezone(self._zone).date() for each in span)
        days = (date.fromordinal(n) for n in range(first.toordinal() + 1, last.toordinal() + 1))
        return sorted({start, end, *(each for day in days if start < (each := moment(day, 0, self._zone)) < end)})

    def account(self, now: datetime) -> EnergyAccount:
        """The account with all that was added. Days of the future were counted by a clock that was wrong."""
        account = self._account
        days = account.days | {day: added(account.days.get(day, Sums()), sums) for day, sums in self._days.items()}
        kept = newest(days, until=self.day(now + DAY))
        return structs.replace(added(account, self._total), days=kept)


def newest(days: Mapping[str, Sums], *, until: str) -> dict[str, Sums]:
    """The last days that are kept, in order."""
    return {day: days[day] for day in sorted(day for day in days if day <= until)[-DAYS_KEPT:]}


def _above(rates: Rates, watts: float) -> float:
    """By how many watts an idle machine draws more; 0 where nobody says what it draws."""
    return rates.idle_watts - watts if rates.idle_watts else 0.0


def added(sums: S, amounts: Mapping[str, float]) -> S:
    """The sums with the amounts, each rounded to what can be told apart."""
    found = {name: _bounded(name, getattr(sums, name) + amount) for name, amount in amounts.items()}
    return structs.replace(sums, **found)


def _bounded(name: str, value: float) -> float | int:
    value = 0.0 if isnan(value) else max(-BOUND, min(BOUND, value))
    return int(value) if name == "boots" else round(value, 3 if name in TIMES else 9)
