"""The energy account of a machine, brought up to date with each status that is stored, and every hour beside."""

from datetime import datetime
from typing import Final

from msgspec import structs

from hexa.domain.decide.observed import Observed
from hexa.domain.machine.lifecycle import COMING, ON_PHASES, Phase
from hexa.domain.machine.stamps import past
from hexa.domain.machine_view import MachineView
from hexa.domain.money.booking import EVERY, Prices, Side, Since, booked
from hexa.domain.resources.v1alpha1 import Energy, Node, NodeStatus, Pricing

NO_ENERGY: Final = Energy()
NO_PRICING: Final = Pricing()


def has_account(node: Node) -> bool:
    """Whether it says what it draws, or what it costs; of others only hours are counted."""
    return node.spec.energy != NO_ENERGY or node.spec.pricing != NO_PRICING


def due_of(machine: MachineView) -> datetime | None:
    """When its account is brought up to date at the latest; None: it has none, or it is written with the next change."""
    counted_to = machine.node.status.energy.counted_to
    return counted_to + EVERY if counted_to is not None and has_account(machine.node) else None


def with_energy(machine: MachineView, observed: Observed, status: NodeStatus) -> tuple[NodeStatus, str]:
    """The status that is about to be stored with its account complete, and what is wrong with its meter."""
    if not has_account(machine.node):
        return status, ""
    old, now = past(machine.node.status, limits=machine.limits, now=observed.now), observed.now
    boots = max(status.energy.boots - old.energy.boots, 0)
    since = Since(now=now, side=_side(machine.phase), boots=boots, counter=observed.counter, skipped=observed.skipped)
    found = booked(old.energy, since, rates=machine.rates, prices=_prices(machine, observed))
    return structs.replace(status, energy=found.account), found.doubt


def _side(phase: Phase) -> Side:
    if phase in COMING:
        return "boot"
    return "on" if phase in ON_PHASES else "off"


def _prices(machine: MachineView, observed: Observed) -> Prices:
    policy = machine.policy
    if policy.tariff and machine.node.status.energy.energy_to is not None:
        return observed.prices
    return Prices(flat=machine.rates.per_kwh, currency=policy.currency)
