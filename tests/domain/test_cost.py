"""What machines and pods cost over a window, and what a bill says against always-on."""

from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.domain.builders import T0, at, machine

from hexa.domain.money.account import Usage, bill, settle
from hexa.domain.money.rates import Rates, has_energy, hourly_price, hours, node_price, pod_price, rates_of, watts
from hexa.domain.resources.v1alpha1 import Energy, EnergyAccount, Pricing

RATES = Rates(hourly=0.10, pod=0.01, idle_watts=50, max_watts=150, off_watts=2, boot_watt_hours=5, per_kwh=0.40)
HOUR = 3600.0
amounts = st.floats(0, 1e6)
rates = st.builds(
    Rates,
    hourly=amounts,
    pod=amounts,
    monthly=amounts,
    idle_watts=amounts,
    max_watts=amounts,
    off_watts=amounts,
    boot_watt_hours=amounts,
    per_kwh=amounts,
)


def told(pricing: dict[str, Any], energy: dict[str, Any], **more: Any) -> Rates:
    """The rates of a machine written so."""
    node = machine(pricing=msgspec.convert(pricing, Pricing), energy=msgspec.convert(energy, Energy))
    return rates_of(node, **more)


# --- rates -----------------------------------------------------------------------------------------------------------


def test_rates_are_read_as_numbers_and_as_texts() -> None:
    """1.5 and "1.5" are the same rate; the tariff is the group's."""
    pricing = {"hourlyRate": "1.5", "podRate": 0.25, "monthlyRate": 9}
    energy = {"idleWatts": "40", "maxWatts": 120, "offWatts": 1.5, "bootWattHours": "6"}
    assert told(pricing, energy, price_per_kwh=0.3) == Rates(
        hourly=1.5,
        pod=0.25,
        monthly=9.0,
        idle_watts=40.0,
        max_watts=120.0,
        off_watts=1.5,
        boot_watt_hours=6.0,
        per_kwh=0.3,
    )


def test_full_load_is_no_less_than_idle() -> None:
    """Where maxWatts is absent, or below idleWatts: a breaker is reckoned with the greater of the two."""
    for energy in ({"idleWatts": 50}, {"idleWatts": 50, "maxWatts": 0}, {"idleWatts": 50, "maxWatts": 20}):
        assert told({}, energy).max_watts == 50.0


def test_absent_rates_are_free() -> None:
    """A machine of which no cost is known costs nothing, and says so by its zeros."""
    assert rates_of(machine()) == Rates()
    assert node_price(rates_of(machine()), start=T0, end=at(HOUR)) == 0.0


@pytest.mark.parametrize("bad", ["dear", "-1", -1, "nan", "inf", "", "1_0"])
def test_unreadable_rate_counts_as_none(bad: Any) -> None:
    """A slip in one rate makes no negative or infinite price."""
    assert told({"hourlyRate": bad, "podRate": 2}, {}) == Rates(pod=2.0)


def test_machine_with_one_draw_draws_it_always() -> None:
    """Without maxWatts the draw does not rise with the load; without idleWatts it rises from nothing."""
    assert watts(told({}, {"idleWatts": 40}), utilisation=1) == 40
    assert watts(told({}, {"maxWatts": 40}), utilisation=0) == 0


def test_draw_is_known_when_any_of_it_was_told() -> None:
    """Reports of energy are shown only for machines that declare a draw."""
    assert not has_energy(Energy())
    assert not has_energy(Energy(off_watts=3))
    assert has_energy(Energy(idle_watts=40))
    assert has_energy(Energy(max_watts=90))


# --- prices ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("load", "draw"), [(0, 50), (0.5, 100), (1, 150), (-1, 50), (7, 150)])
def test_draw_follows_the_load(load: float, draw: float) -> None:
    """From idle to full in a straight line, and never beyond."""
    assert watts(RATES, utilisation=load) == draw


def test_hour_on_costs_its_rate_and_its_energy() -> None:
    """0.10 an hour and 150 W at 0.40 a kilowatt-hour: 0.16."""
    assert hourly_price(RATES) == pytest.approx(0.16)
    assert hourly_price(RATES, utilisation=0) == pytest.approx(0.12)


def test_node_price_is_for_the_window_that_was_asked() -> None:
    """Two hours cost twice an hour; a window that ends before it begins costs nothing."""
    assert node_price(RATES, start=T0, end=at(2 * HOUR)) == pytest.approx(0.32)
    assert node_price(RATES, start=at(HOUR), end=T0) == 0.0
    assert hours(T0, at(1800)) == 0.5
    assert hours(at(1), T0) == 0.0


def test_pod_price_is_its_share_of_the_machine_and_its_own_rate() -> None:
    """By the resource of which it asks for the largest share, and podRate for each hour."""
    capacity = {"cpu": Decimal(8), "memory": Decimal(16)}
    wanted = {"cpu": Decimal(2), "memory": Decimal(8)}
    price = pod_price(RATES, wanted, capacity, start=T0, end=at(HOUR))
    assert price == pytest.approx(0.16 * 0.5 + 0.01)
    assert pod_price(RATES, wanted, capacity, start=T0, end=at(3 * HOUR)) == pytest.approx(3 * price)
    asked, offered = {**wanted, "nvidia.com/gpu": Decimal(1)}, {**capacity, "nvidia.com/gpu": Decimal(1)}
    gpu = pod_price(RATES, asked, offered, start=T0, end=at(HOUR))
    assert gpu == pytest.approx(0.16 + 0.01)
    assert pod_price(RATES, {}, capacity, start=T0, end=at(HOUR)) == pytest.approx(0.01)
    assert pod_price(RATES, wanted, {}, start=T0, end=at(HOUR)) == pytest.approx(0.01)


@given(rates=rates, seconds=st.integers(0, 10**7), more=st.integers(0, 10**7))
def test_longer_windows_never_cost_less(rates: Rates, seconds: int, more: int) -> None:
    """Prices are not negative, grow with the window, and add up over windows side by side."""
    first, both = node_price(rates, start=T0, end=at(seconds)), node_price(rates, start=T0, end=at(seconds + more))
    assert 0 <= first <= both
    assert both == pytest.approx(first + node_price(rates, start=at(seconds), end=at(seconds + more)))


def test_whole_machine_for_a_pod_costs_as_much_as_the_machine() -> None:
    """A pod that takes all of a machine is priced as the machine, so that the price expander compares like with like."""
    capacity = {"cpu": Decimal(8), "memory": Decimal(16)}
    free = Rates(hourly=0.10, idle_watts=50, max_watts=150, per_kwh=0.40)
    assert pod_price(free, capacity, capacity, start=T0, end=at(HOUR)) == pytest.approx(
        node_price(free, start=T0, end=at(HOUR))
    )


# --- bills -------------------------------------------------------------------------------------------------------------


def test_bill_counts_on_off_and_boots() -> None:
    """10 h on at 50 W, 14 h off at 2 W and 3 boots of 5 Wh: 0.543 kWh; always on it had been 1.2 kWh."""
    account = EnergyAccount(on_seconds=10 * HOUR, off_seconds=14 * HOUR, boots=3)
    found = bill(RATES, account)
    assert found.kwh == pytest.approx(0.543)
    assert found.kwh_always_on == pytest.approx(1.2)
    assert found.money == pytest.approx(0.543 * 0.40 + 10 * 0.10)
    assert found.money_always_on == pytest.approx(1.2 * 0.40 + 24 * 0.10)
    assert found.saved == pytest.approx(found.money_always_on - found.money)


def test_measured_energy_is_billed_as_it_is() -> None:
    """10 h on at 50 W, 14 h off at 2 W and 0.3 kWh of work: always on does the same work, and saves no boot."""
    usage = Usage(on_seconds=10 * HOUR, off_seconds=14 * HOUR, boots=3, kwh=0.543 + 0.3)
    found = settle(RATES, usage)
    assert (found.kwh, found.kwh_always_on) == pytest.approx((0.843, 1.2 + 0.3))
    assert found.money == pytest.approx(0.843 * 0.40 + 10 * 0.10)


def test_computed_work_is_the_work_that_was_done() -> None:
    """At half load the work of 10 h on is 0.5 kWh, and always on does no more of it in the other 14 h."""
    account = EnergyAccount(on_seconds=10 * HOUR, off_seconds=14 * HOUR, boots=3)
    found = bill(RATES, account, utilisation=0.5)
    assert (found.kwh, found.kwh_always_on) == pytest.approx((0.543 + 0.5, 1.2 + 0.5))


def test_fixed_costs_save_nothing() -> None:
    """A monthly rate is due on or off: it is in both sums, and a whole month of it is the rate."""
    month = 2_629_800  # the twelfth of a year of 365.25 days, in seconds
    found = bill(Rates(monthly=30), EnergyAccount(off_seconds=month))
    assert [found.money, found.money_always_on] == pytest.approx([30, 30])
    assert found.saved == pytest.approx(0)


@given(rates=rates, on=st.integers(0, 10**8), off=st.integers(0, 10**8))
def test_time_off_saves_what_off_draws_less_than_on(rates: Rates, on: int, off: int) -> None:
    """Without boots, always-on is never cheaper unless a machine draws more off than on; always on saves nothing."""
    found = bill(rates, EnergyAccount(on_seconds=on, off_seconds=off))
    if rates.off_watts <= rates.idle_watts:
        assert found.saved >= -1e-6 * found.money_always_on
    always = bill(rates, EnergyAccount(on_seconds=on))
    assert always.money == pytest.approx(always.money_always_on)


def test_empty_account_costs_nothing() -> None:
    """A machine that was just enrolled has no bill yet."""
    found = bill(RATES, EnergyAccount())
    assert (found.kwh, found.money, found.kwh_always_on, found.saved) == (0, 0, 0, 0)
