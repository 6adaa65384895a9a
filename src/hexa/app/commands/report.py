"""What `hexa report` shows: hours, energy, money and what was saved, from the accounts in the statuses."""

from collections.abc import Iterator
from datetime import datetime
from enum import StrEnum

from msgspec import Struct

from hexa.app.commands.shared.snapshot import Snapshot
from hexa.domain.decide.accounts import has_account, up_to_now
from hexa.domain.machine_view import membership_of
from hexa.domain.money.reporting import Line, by_day, lines, totals
from hexa.domain.money.summing import summed
from hexa.domain.policy.policy import Policy
from hexa.domain.resources.v1alpha1 import EnergyAccount, Lookup, Node

NONE = EnergyAccount()


class By(StrEnum):
    """What a line is of."""

    DAY = "day"
    MACHINE = "machine"
    TARIFF = "tariff"


class EnergyReport(Struct, frozen=True, kw_only=True, rename="camel"):
    """The lines, and what they sum up to in each currency."""

    by: By
    since: str
    """A day; empty: since the accounts began."""
    began: datetime | None
    """When the first of the accounts began."""
    lines: tuple[Line, ...]
    totals: tuple[Line, ...]
    left_out: tuple[str, ...]
    """Machines without an account."""


def report_of(
    snapshot: Snapshot, *, by: By = By.MACHINE, since: str = "", group: str = "", namespace: str | None = None
) -> EnergyReport:
    """The report. `group`: of its machines alone. Raises `NotThere`."""
    only = snapshot.pick(group, namespace=namespace, machines=False).groups[0] if group else None
    nodes = snapshot.store.machines.objects
    machines = {key: node for key, node in nodes.items() if only is None or membership_of(node) == only}
    found = _lines(snapshot, machines, only, by, since)
    began = (node.status.energy.since for node in machines.values())
    return EnergyReport(
        by=by,
        since=since,
        began=min((moment for moment in began if moment is not None), default=None),
        lines=tuple(found),
        totals=tuple(totals(found)),
        left_out=tuple(sorted(str(key) for key, node in machines.items() if not has_account(node))),
    )


def _lines(snapshot: Snapshot, machines: dict[Lookup, Node], only: Lookup | None, by: By, since: str) -> list[Line]:
    if by is By.MACHINE:
        keys = sorted(machines, key=str)
        return lines(((str(key), _now(snapshot, key)) for key in keys if _counts(machines[key])), day=since)
    accounts = list(_accounts(snapshot, machines, only))
    if by is By.DAY:
        return by_day((account for _, account in accounts), day=since)
    return lines(accounts, day=since)


def _now(snapshot: Snapshot, key: Lookup) -> EnergyAccount:
    view = snapshot.views.machine(key)
    return up_to_now(view, snapshot.now) if view is not None else snapshot.store.machines.objects[key].status.energy


def _counts(node: Node) -> bool:
    return node.status.energy.energy_to is not None


def _accounts(
    snapshot: Snapshot, machines: dict[Lookup, Node], only: Lookup | None
) -> Iterator[tuple[str, EnergyAccount]]:
    """The accounts of groups, and of what is in none, each with its tariff. A group's own outlives its machines'."""
    groups = {key: view for key in snapshot.group_keys if (view := snapshot.group(key)) is not None}
    for key, view in groups.items():
        if only is None or key == only:
            own = view.group.status.energy
            members = (_now(snapshot, each) for each, node in machines.items() if membership_of(node) == key)
            account = summed(own, members, now=snapshot.now)
            if account.days or own.counted_to is not None:
                yield _tariff(view.policy), account
    for key, node in machines.items():
        if membership_of(node) not in groups and _counts(node):
            yield _tariff(None), _now(snapshot, key)


def _tariff(policy: Policy | None) -> str:
    """The tariff's name, or the price of a kilowatt-hour that stands in the group."""
    if policy is None:
        return "none"
    return policy.tariff or f"{policy.price_per_kwh:g} {policy.currency}/kWh"
