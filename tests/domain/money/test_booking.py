"""The energy account of a machine: exact over any history, and nothing is ever counted twice."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from math import isfinite
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from hexa.domain.money.account import bill
from hexa.domain.money.booking import DAYS_KEPT, Prices, Side, Since, booked, without
from hexa.domain.money.rates import Rates
from hexa.domain.money.series import Step
from hexa.domain.money.tariff import Charge, Priced, Tariff
from hexa.domain.resources.v1alpha1 import Counter, EnergyAccount, Sums
from hexa.domain.weekly import window_of

START = datetime(2026, 10, 24, 21, 0, tzinfo=UTC)
"""Three hours before clocks go back in Berlin."""
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
RATES = Rates(hourly=0.02, monthly=9.0, idle_watts=60, off_watts=3, boot_watt_hours=5, per_kwh=0.3)
BERLIN = Tariff(
    per_kwh=0.31,
    windows=(Priced(window_of((), "22:00", "06:00"), -0.05), Priced(window_of(("Sun",), "11:30", "13:15"), 0.11)),
    charges=(Charge(0.08), Charge(0.02, window_of((), "17:00", "20:00"))),
    tax=0.19,
    zone=ZoneInfo("Europe/Berlin"),
)
FLAT = Prices(flat=0.3, currency="EUR")
SHARE = 730.5 * 60
"""Minutes of a month."""


def prices(account: EnergyAccount, now: datetime, tariff: Tariff = BERLIN) -> Prices:
    """What an agent gives: the steps since energy was counted."""
    start = min(account.energy_to or now, now)
    flat = tariff.at(now).per_kwh
    return Prices(steps=tariff.steps(start, now), flat=flat, zone=tariff.zone.key, currency="EUR")


def book(account: EnergyAccount, now: datetime, side: Side = "on", **more: Any) -> EnergyAccount:
    """The account at a flat price, booked at that moment."""
    return booked(account, Since(now=now, side=side, **more), rates=RATES, prices=FLAT).account


def opened(now: datetime = START, **more: Any) -> EnergyAccount:
    """An account that begins."""
    return book(EnergyAccount(), now, **more)


def counter(kwh: float, at: datetime, source: str = "shelly") -> Counter:
    """A reading of a meter."""
    return Counter(kwh=kwh, at=at, source=source)


# --- against a brute-force integrator ---------------------------------------------------------------------------------

phases = st.lists(
    st.tuples(st.sampled_from(["on", "boot", "off"]), st.integers(1, 600), st.integers(0, 3)), min_size=1, max_size=12
)


@cache
def at_quarter(number: int) -> tuple[float, str]:
    """Price and day of a quarter of an hour: within one of them neither changes."""
    moment = START + number * 15 * MINUTE
    return BERLIN.at(moment).per_kwh, moment.astimezone(BERLIN.zone).date().isoformat()


def by_the_minute(history: Sequence[tuple[Side, int, int]]) -> dict[str, dict[str, float]]:
    """Every figure by day, "" in all, minute by minute."""
    found: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    now = START

    def add(day: str, **amounts: float) -> None:
        for key in ("", day):
            for name, amount in amounts.items():
                found[key][name] += amount

    for side, minutes, boots in history:
        for _ in range(minutes):
            price, day = at_quarter((now - START) // (15 * MINUTE))
            off = side == "off"
            kwh, saved = (RATES.off_watts if off else RATES.idle_watts) / 60_000, 57 / 60_000 if off else 0.0
            add(day, **{f"{'off' if off else 'on'}_seconds": 60.0}, boot_seconds=60.0 * (side == "boot"))
            add(day, kwh=kwh, saved_kwh=saved, money=kwh * price, saved=saved * price)
            add(day, money=RATES.monthly / SHARE)
            add(day, **{"saved" if off else "money": RATES.hourly / 60})
            now += MINUTE
        price, day = at_quarter((now - START - timedelta.resolution) // (15 * MINUTE))
        kwh = boots * RATES.boot_watt_hours / 1000
        add(day, boots=boots, kwh=kwh, saved_kwh=-kwh, money=kwh * price, saved=-kwh * price)
    return found


@settings(max_examples=25)
@given(history=phases, extra=st.lists(st.integers(1, 7000), max_size=8))
def test_an_account_is_exact_however_often_it_is_booked(history: list[tuple[Side, int, int]], extra: list[int]) -> None:
    """Seconds, energy and money, in all and of each day by the tariff's clock, are those of an integration minute by minute:
    across prices, midnights and the hour that comes twice, and whenever it is booked in between."""
    account, now = EnergyAccount(), START
    account = booked(account, Since(now=now, side="off"), rates=RATES, prices=prices(account, now)).account
    for side, minutes, boots in history:
        end = now + minutes * MINUTE
        between = (START + n * MINUTE for n in extra)
        for moment in [*sorted(m for m in between if now < m < end), end]:
            since = Since(now=moment, side=side, boots=boots if moment == end else 0)
            account = booked(account, since, rates=RATES, prices=prices(account, moment)).account
        now = end
    wanted = by_the_minute(history)
    for day, figures in wanted.items():
        sums: Sums = account.days.get(day, Sums()) if day else account
        for name, amount in figures.items():
            assert getattr(sums, name) == pytest.approx(amount, abs=2e-6), (day, name)
    assert {day for day in wanted if day} >= set(account.days)
    assert account.measured == 0


@settings(max_examples=25)
@given(history=phases)
def test_a_bill_of_the_simulator_and_an_account_say_the_same(history: list[tuple[Side, int, int]]) -> None:
    """At one price for all hours, what is saved, used and paid is what the simulator bills for the same hours and boots."""
    account, now = opened(), START
    for side, minutes, boots in history:
        now += minutes * MINUTE
        account = book(account, now, side, boots=boots)
    billed = bill(RATES, account)
    assert (account.kwh, account.money) == (pytest.approx(billed.kwh), pytest.approx(billed.money))
    assert account.saved == pytest.approx(billed.saved, abs=1e-6)
    assert account.saved_kwh == pytest.approx(billed.kwh_always_on - billed.kwh, abs=1e-6)


def test_each_piece_of_energy_has_the_price_of_its_time() -> None:
    """Prices that change in between, a negative one among them, count for as long as they hold."""
    steps = tuple(
        Step(START + n * 15 * MINUTE, START + (n + 1) * 15 * MINUTE, price) for n, price in enumerate((1, -2, 4))
    )
    since = Since(now=START + HOUR, side="on")
    found = booked(opened(), since, rates=Rates(idle_watts=1000), prices=Prices(steps=steps, currency="EUR"))
    assert found.account.money == pytest.approx((1 - 2 + 4 + 4) / 4)  # after the last price it goes on


# --- what must not be counted twice -----------------------------------------------------------------------------------


def test_a_moment_is_booked_once() -> None:
    """Booked again at the same moment, after a restart or by another agent, an account stays what it is."""
    account = book(opened(), START + HOUR)
    assert book(account, START + HOUR) == account


def test_a_clock_that_was_set_back_counts_nothing_again() -> None:
    """What was counted up to a later moment is not counted again; from there on it goes on."""
    account = book(opened(), START + 2 * HOUR)
    back = book(account, START + HOUR)
    assert (back.on_seconds, back.kwh, back.counted_to) == (7200, account.kwh, account.counted_to)
    assert book(back, START + 3 * HOUR).on_seconds == 10_800


def test_time_that_the_clock_skipped_is_not_counted() -> None:
    """A clock that was set forward by a day adds neither hours nor energy nor money."""
    skipped = ((START + HOUR, START + HOUR + DAY),)
    leapt = book(opened(), START + 2 * HOUR + DAY, skipped=skipped)
    plain = book(opened(), START + 2 * HOUR)
    for name in ("on_seconds", "kwh", "money"):
        assert getattr(leapt, name) == pytest.approx(getattr(plain, name))


def test_a_status_that_was_lost_begins_a_new_account() -> None:
    """It counts from then on, and says since when."""
    account = book(opened(START + DAY), START + DAY + HOUR)
    assert (account.since, account.on_seconds, account.kwh) == (START + DAY, 3600, pytest.approx(0.06))


def test_an_account_of_hours_alone_goes_on() -> None:
    """A machine that says what it draws only now keeps the hours that it has; its energy counts from now on."""
    before = EnergyAccount(on_seconds=500.0, off_seconds=100.0, boots=2, counted_to=START - HOUR)
    first = book(before, START)
    assert (first.on_seconds, first.kwh, first.since, first.days) == (4100, 0, START, {})
    assert book(first, START + HOUR).kwh == pytest.approx(0.06)


def test_a_gap_of_years_is_a_gap() -> None:
    """A status from long ago, or one that was made up, is worth a year at most."""
    old = structs.replace(opened(), counted_to=datetime(2, 1, 1, tzinfo=UTC), energy_to=datetime(2, 1, 1, tzinfo=UTC))
    account = book(old, START)
    assert account.on_seconds == 366 * 86_400
    assert len(account.days) <= DAYS_KEPT


def test_another_currency_begins_the_money_from_nothing() -> None:
    """Euros are not added to francs; hours and energy stay."""
    account = book(opened(), START + HOUR)
    francs = Prices(flat=0.5, currency="CHF")
    found = booked(account, Since(now=START + 2 * HOUR, side="off"), rates=RATES, prices=francs).account
    assert found.currency == "CHF"
    assert found.money == pytest.approx(0.003 * 0.5 + 9.0 / 730.5)
    assert found.kwh == pytest.approx(0.063)


def test_only_the_last_days_are_kept() -> None:
    """A status does not grow; sums of all time stay. Days of a future that a wrong clock counted are dropped."""
    account = opened()
    for day in range(1, 60):
        account = book(account, START + day * DAY)
    assert len(account.days) == DAYS_KEPT
    assert account.on_seconds == 59 * 86_400
    odd = structs.replace(account, days={**account.days, "2199-01-01": Sums(boots=1), "zzz": Sums()})
    assert set(book(odd, START + 60 * DAY).days).isdisjoint({"2199-01-01", "zzz"})


# --- meters -----------------------------------------------------------------------------------------------------------


def test_a_meter_is_believed_before_watts_that_are_declared() -> None:
    """Energy is what the meter counted between two readings, and said to be measured."""
    account = opened(counter=counter(100.0, START))
    account = book(account, START + HOUR, counter=counter(100.2, START + 59 * MINUTE))
    assert (account.kwh, account.measured) == (pytest.approx(0.2), pytest.approx(0.2))
    assert account.saved_kwh == 0  # what is drawn above idle is work
    account = book(account, START + 2 * HOUR, "off", counter=counter(100.205, START + 119 * MINUTE))
    assert account.saved_kwh == pytest.approx(0.06 - 0.005)


def test_a_meter_that_is_silent_for_a_while_loses_nothing() -> None:
    """After a restart of the agent the next reading tells what was drawn since the last one: nothing is computed meanwhile."""
    account = opened(counter=counter(5.0, START))
    waits = book(account, START + 10 * MINUTE)
    assert waits.kwh == 0
    account = book(waits, START + 20 * MINUTE, counter=counter(5.5, START + 20 * MINUTE))
    assert account.kwh == account.measured == pytest.approx(0.5)


def test_energy_that_was_computed_is_not_measured_afterwards() -> None:
    """A meter that is away for hours is replaced by the declared watts; when it is back it counts from there."""
    account = opened(counter=counter(5.0, START))
    account = book(account, START + HOUR)
    assert (account.kwh, account.measured) == (pytest.approx(0.06), 0)
    account = book(account, START + 2 * HOUR, counter=counter(7.0, START + 2 * HOUR))
    assert (account.kwh, account.measured) == (pytest.approx(0.12), 0)
    account = book(account, START + 3 * HOUR, counter=counter(7.1, START + 3 * HOUR))
    assert (account.kwh, account.measured) == (pytest.approx(0.22), pytest.approx(0.1))


def test_a_reading_of_a_time_that_is_counted_is_not_compared_with() -> None:
    """What the meter counted from then until now was computed already."""
    account = book(opened(), START + HOUR)
    account = book(account, START + HOUR + MINUTE, counter=counter(9.0, START + HOUR - MINUTE))
    assert (account.meter, account.kwh) == (None, pytest.approx(0.061))
    account = book(account, START + 2 * HOUR, counter=counter(9.2, START + 2 * HOUR))
    assert (account.measured, account.kwh) == (0, pytest.approx(0.12))


@pytest.mark.parametrize(("kwh", "said"), [(0.4, "went back from 100 to 0.4 kWh"), (9000.0, "jumped")])
def test_a_meter_that_goes_back_or_jumps_is_noticed(kwh: float, said: str) -> None:
    """Its count is not added: the energy since the last reading is computed, and the next one is compared with this."""
    account, moment = opened(counter=counter(100.0, START)), START + HOUR
    found = booked(account, Since(now=moment, side="on", counter=counter(kwh, moment)), rates=RATES, prices=FLAT)
    assert said in found.doubt
    assert (found.account.kwh, found.account.measured) == (pytest.approx(0.06), 0)
    later = book(found.account, moment + HOUR, counter=counter(kwh + 0.1, moment + HOUR))
    assert later.measured == pytest.approx(0.1)


def test_an_old_reading_is_no_newer_for_a_leap_of_the_clock() -> None:
    """What an agent read before another one's reading was stored went on with its clock when that was set forward: it is no reading
    that goes back, and what was counted is not counted again."""
    leap = (START + 9 * MINUTE, START + 69 * MINUTE)
    account = book(
        opened(counter=counter(100.0, START)), START + 8 * MINUTE, counter=counter(100.2, START + 8 * MINUTE)
    )
    held = Since(now=leap[1], side="on", counter=counter(100.1, START + 64 * MINUTE), skipped=(leap,))
    found = booked(account, held, rates=RATES, prices=FLAT)
    assert (found.doubt, found.account.measured) == ("", pytest.approx(0.2))
    later = book(found.account, START + 80 * MINUTE, counter=counter(100.3, START + 79 * MINUTE), skipped=(leap,))
    assert later.measured == pytest.approx(0.3)


def test_another_meter_begins_anew_and_is_no_doubt() -> None:
    """A driver that was changed, and a count that an agent began anew, are compared with themselves."""
    account, moment = opened(counter=counter(100.0, START)), START + HOUR
    other = counter(3.0, moment, source="redfish")
    found = booked(account, Since(now=moment, side="on", counter=other), rates=RATES, prices=FLAT)
    assert (found.doubt, found.account.measured, found.account.meter) == ("", 0, other)
    assert found.account.kwh == pytest.approx(0.06)


@settings(max_examples=50)
@given(
    steps=st.lists(
        st.tuples(st.integers(1, 90), st.floats(0, 2), st.sampled_from(["read", "silent", "reset"])), max_size=20
    )
)
def test_no_energy_is_both_measured_and_computed(steps: list[tuple[int, float, str]]) -> None:
    """Whatever a meter does, each minute is counted once: energy is what it measured, and the declared watts for all other time."""
    now, true, source = START, 50.0, 0
    account, first = opened(counter=counter(true, now, "0")), true
    for minutes, drawn, what in steps:
        now, true = now + minutes * MINUTE, true + drawn
        source += what == "reset"
        account = book(account, now, counter=None if what == "silent" else counter(true, now, str(source)))
    computed = account.kwh - account.measured
    assert -1e-9 <= computed <= 0.06 * ((now - START) / HOUR) + 1e-6
    assert account.measured <= true - first + 1e-6
    assert account.energy_to is not None
    assert account.energy_to <= now


# --- odd values -------------------------------------------------------------------------------------------------------

amounts = st.floats(allow_nan=False, allow_infinity=False)
moments = st.one_of(st.none(), st.integers(-700_000, 1200).map(lambda days: START + days * DAY))


@settings(max_examples=60)
@given(
    account=st.builds(
        EnergyAccount, on_seconds=amounts, kwh=amounts, money=amounts, saved=amounts, counted_to=moments,
        energy_to=moments, meter=st.one_of(st.none(), st.builds(Counter, kwh=amounts, at=moments)),
    ),
    reading=st.one_of(st.none(), st.builds(Counter, kwh=amounts, at=moments)),
    watts=amounts,
    side=st.sampled_from(["on", "boot", "off"]),
)  # fmt: skip
def test_any_status_can_be_booked(account: EnergyAccount, reading: Counter | None, watts: float, side: Side) -> None:
    """Numbers and times that make no sense raise nothing, and leave sums that can be stored."""
    rates = structs.replace(RATES, idle_watts=watts)
    found = booked(account, Since(now=START, side=side, counter=reading), rates=rates, prices=FLAT).account
    assert all(isfinite(getattr(found, name)) for name in ("on_seconds", "kwh", "money", "saved"))


def test_a_span_without_what_was_skipped() -> None:
    """Parts that overlap or touch the ends are cut out once."""
    end = START + 4 * HOUR
    skipped = [(START - HOUR, START + HOUR), (START + 2 * HOUR, START + 3 * HOUR), (START + 2 * HOUR, end)]
    assert list(without(START, end, skipped)) == [(START + HOUR, START + 2 * HOUR)]
