"""The energy account is written with what is written anyway, and by the hour beside; of machines that say nothing there is none."""

from datetime import timedelta
from typing import Any

import pytest
from msgspec import structs
from tests.domain.builders import OFF, T0, at, machine, observed, rack, settled, standing, view, wanting, wish

from hexa.domain.decide.accounts import has_account, with_energy
from hexa.domain.decide.decision import Decision, Rest, Save
from hexa.domain.decide.machine import decide
from hexa.domain.decide.observed import Read
from hexa.domain.machine.lifecycle import Phase
from hexa.domain.machine.wish import recorded_wish
from hexa.domain.money.booking import Prices
from hexa.domain.money.rates import rates_of
from hexa.domain.money.series import Step
from hexa.domain.news import What
from hexa.domain.resources.v1alpha1 import Counter, Energy, EnergyAccount, Node, Pricing

DRAWS = {"energy": Energy(idle_watts=60, off_watts=2, boot_watt_hours=5)}
BEGUN = EnergyAccount(counted_to=T0, energy_to=T0, since=T0, currency="EUR")
HOUR = 3600.0


def decided(node: Node, now: float, *, group: Any = None, **known: Any) -> Decision:
    """What is to be done with the machine, of which nothing else is new."""
    of = view(node, group=group or rack(price_per_kwh=0.5), rates=rates_of(node, price_per_kwh=0.5))
    of = structs.replace(of, node=wanting(of.node, wish(OFF)))
    known = {"recorded": recorded_wish(of.node), **known}
    calm = settled(of, observed(0, **known))
    return decide(calm, observed(now, **known))


@pytest.mark.parametrize("spec", [{}, {"min_on_time": "1h"}])
def test_a_machine_that_says_nothing_of_watts_or_money_has_no_account(spec: dict[str, Any]) -> None:
    """It is looked at no sooner and written no more often than ever."""
    node = standing(Phase.OFF, spec=spec, energy=EnergyAccount(counted_to=T0))
    assert not has_account(node)
    assert decided(node, 10 * HOUR) == Rest()


@pytest.mark.parametrize("spec", [DRAWS, {"pricing": Pricing(monthly_rate=9)}])
def test_an_account_is_written_by_the_hour(spec: dict[str, Any]) -> None:
    """With a tariff or a meter; else by the day. Nothing is written before; then the account alone is."""
    node = standing(Phase.OFF, spec=spec, energy=BEGUN)
    assert decided(node, 10) == Rest(at(24 * HOUR))
    seen = {"counter": Counter(at=T0, source="http")}
    assert decided(node, 10, **seen) == Rest(at(HOUR))
    found = decided(node, HOUR, **seen)
    assert isinstance(found, Save)
    assert (found.status.energy.off_seconds, found.status.energy.counted_to, found.news) == (HOUR, at(HOUR), ())


def test_a_step_books_the_phase_that_ends_with_it() -> None:
    """One write has the new phase and the account of the old one; the boot that ended is in it."""
    node = standing(Phase.BOOTING, spec=DRAWS, energy=BEGUN)
    of = view(node, group=rack(price_per_kwh=0.5), rates=rates_of(node, price_per_kwh=0.5))
    after = structs.replace(node.status, phase="Ready", energy=structs.replace(BEGUN, boots=1))
    found, doubt = with_energy(of, observed(HOUR), after)
    assert (found.phase, found.energy.boots, found.energy.boot_seconds, doubt) == ("Ready", 1, HOUR, "")
    assert found.energy.kwh == pytest.approx(0.065)
    assert found.energy.money == pytest.approx(0.0325)


def test_prices_of_a_tariff_are_asked_for() -> None:
    """Only once there is something to price: the first write of an account needs none."""
    group = rack(tariff="house", currency="EUR")
    node = standing(Phase.OFF, spec=DRAWS, energy=BEGUN)
    steps = (Step(T0, at(1800), 0.1), Step(at(1800), at(HOUR), 0.3))
    read = Read(prices=Prices(steps=steps, currency="EUR"))
    found = decided(node, HOUR, group=group, read=read)
    assert isinstance(found, Save)
    assert found.status.energy.money == pytest.approx(0.002 * 0.2)
    assert str(decided(node, HOUR, group=group)) == "Look(at=<Looked.PRICES: 'prices'>)"
    fresh = view(machine(**DRAWS), group=group)
    assert with_energy(fresh, observed(0), fresh.node.status)[0].energy.counted_to == T0


def test_a_meter_that_goes_back_is_told() -> None:
    """As a warning, with the write that notices it."""
    energy = structs.replace(BEGUN, meter=Counter(kwh=9.0, at=T0, source="http"))
    node = standing(Phase.OFF, spec=DRAWS, energy=energy)
    found = decided(node, HOUR, counter=Counter(kwh=1.0, at=at(HOUR), source="http"))
    assert isinstance(found, Save)
    assert [(news.what, news.severity) for news in found.news] == [(What.METER_DOUBTED, "Warning")]


def test_moments_without_a_zone_are_booked() -> None:
    """A status that somebody wrote by hand harms nobody."""
    plain = T0.replace(tzinfo=None)
    energy = EnergyAccount(counted_to=plain, energy_to=plain, since=plain)
    node = standing(Phase.OFF, spec=DRAWS, energy=energy)
    found = decide(view(node, group=rack()), observed(HOUR))
    assert isinstance(found, Save)
    assert found.status.energy.counted_to == at(HOUR)
    assert timedelta(0) <= at(HOUR) - T0
