"""The energy account of a machine, brought up to date with each status that is stored, and from time to time beside."""

from datetime import datetime, timedelta
from typing import Final

from msgspec import structs

from hexa.domain.decide.observed import Observed
from hexa.domain.machine.lifecycle import COMING, ON_PHASES, Phase
from hexa.domain.machine.stamps import past
from hexa.domain.machine_view import MachineView
from hexa.domain.money.booking import EVERY, SELDOM, Prices, Side, Since, booked
from hexa.domain.policy.policy import Policy
from hexa.domain.resources.v1alpha1 import Energy, EnergyAccount, Node, NodeStatus, Pricing

NO_ENERGY: Final = Energy()
NO_PRICING: Final = Pricing()


def has_account(node: Node) -> bool:
    """Whether it says what it draws, or what it costs; of others only hours are counted."""
    return node.spec.energy != NO_ENERGY or node.spec.pricing != NO_PRICING


def due_of(machine: MachineView, observed: Observed) -> datetime | None:
    """When its account is brought up to date at the latest; None: it has none, or it is written with the next change."""
    counted_to = machine.node.status.energy.counted_to
    if counted_to is None or not has_account(machine.node):
        return None
    return counted_to + (EVERY if observed.counter is not None else interval(machine.policy, machine.node))


def interval(policy: Policy, *nodes: Node) -> timedelta:
    """How old the account of machines may become."""
    return EVERY if policy.tariff or any(node.status.energy.meter is not None for node in nodes) else SELDOM


def up_to_now(machine: MachineView, now: datetime) -> EnergyAccount:
    """The account as it will be written, where that is known without a tariff or a meter; else as it was written last."""
    account = machine.node.status.energy
    if account.energy_to is None or interval(machine.policy, machine.node) is EVERY:
        return account
    account = past(machine.node.status, limits=machine.limits, now=now).energy
    prices = Prices(flat=machine.rates.per_kwh, currency=account.currency)
    return booked(account, Since(now=now, side=side_of(machine.phase)), rates=machine.rates, prices=prices).account


def with_energy(machine: MachineView, observed: Observed, status: NodeStatus) -> tuple[NodeStatus, str]:
    """The status that is about to be stored with its account complete, and what is wrong with its meter."""
    if not has_account(machine.node):
        return status, ""
    old, now = past(machine.node.status, limits=machine.limits, now=observed.now), observed.now
    boots = max(status.energy.boots - old.energy.boots, 0)
    since = Since(now=now, side=side_of(machine.phase), boots=boots, counter=observed.counter, skipped=observed.skipped)
    found = booked(old.energy, since, rates=machine.rates, prices=_prices(machine, observed))
    return structs.replace(status, energy=found.account), found.doubt


def side_of(phase: Phase) -> Side:
    """What time in that phase is booked as."""
    if phase in COMING:
        return "boot"
    return "on" if phase in ON_PHASES else "off"


def _prices(machine: MachineView, observed: Observed) -> Prices:
    policy = machine.policy
    if policy.tariff and machine.node.status.energy.energy_to is not None:
        return observed.prices
    return Prices(flat=machine.rates.per_kwh, currency=policy.currency)
