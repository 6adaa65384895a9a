"""What would a day cost? Two policies for one rack, compared with nothing but `hexa.domain`.

The domain is plain functions: it needs the standard library and msgspec, and time is an argument. So another tool can ask
it what hexa would do, without a cluster, an event loop or a clock:

    python examples/embed/compare_policies.py
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from hexa.domain.group.sizing import Member, candidates, resters, target, to_wake
from hexa.domain.machine.lifecycle import Event, Phase, count_energy, enter, phase_of, step
from hexa.domain.money.account import bill
from hexa.domain.money.rates import hourly_price, rates_of
from hexa.domain.policy.policy import Policy, policy_of
from hexa.domain.resources.v1alpha1 import Asker, Group, Lookup, Node, NodeStatus, Power, WishRecord

MIDNIGHT = datetime(2026, 3, 2, tzinfo=UTC)
HOUR = timedelta(hours=1)

DEMAND = [0] * 7 + [1, 2, 4, 4, 3, 2, 3, 4, 4, 2, 1] + [0] * 6
"""Machines needed in each hour of an office day."""

GROUPS = {
    "one stays warm": {"minSize": 1, "maxSize": 4, "cost": {"pricePerKWh": "0.32"}},
    "all may sleep": {"minSize": 0, "maxSize": 4, "cost": {"pricePerKWh": "0.32"}},
}

MACHINES = {
    "quiet": {"pricing": {"hourlyRate": 0.01}, "energy": {"idleWatts": 18, "maxWatts": 60, "offWatts": 1}},
    "tower-a": {"pricing": {"hourlyRate": 0.02}, "energy": {"idleWatts": 55, "maxWatts": 160, "offWatts": 2}},
    "tower-b": {"pricing": {"hourlyRate": 0.02}, "energy": {"idleWatts": 55, "maxWatts": 160, "offWatts": 2}},
    "old-2u": {"pricing": {"hourlyRate": 0.03}, "energy": {"idleWatts": 140, "maxWatts": 380, "offWatts": 9}},
}

STARTS = ((Event.WANTED, 0), (Event.STARTED, 2), (Event.NODE_READY, 90))
STOPS = ((Event.UNWANTED, 0), (Event.EMPTY, 20), (Event.POWER_GONE, 60))
"""What hexa notices of a sound machine, and how many seconds after the wish."""


class Rack:
    """Machines under one policy, and what each has been through."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.machines = {name: msgspec.convert({"spec": spec}, Node) for name, spec in MACHINES.items()}
        off = enter(NodeStatus(), Phase.OFF, event=None, now=MIDNIGHT, limits=policy.limits)
        self.statuses = dict.fromkeys(self.machines, off)
        self.wishes = dict.fromkeys(self.machines, Power.OFF)
        self.wakes = 0

    def members(self) -> list[Member]:
        """The machines as sizing sees them."""
        return [
            Member(
                key=Lookup("site", name),
                phase=phase_of(self.statuses[name]),
                wish=WishRecord(power=self.wishes[name], by=Asker.CLUSTER_AUTOSCALER),
                hourly=hourly_price(rates_of(machine, price_per_kwh=self.policy.price_per_kwh)),
            )
            for name, machine in self.machines.items()
        ]

    def follow(self, needed: int, now: datetime) -> None:
        """Wake and rest whom hexa would, so that `needed` machines run, and never fewer than minSize."""
        missing = needed - target(self.members())
        for member in candidates(self.members())[: max(missing, 0)]:
            self.switch(member.key.name, Power.ON, now)
        surplus = target(self.members()) - max(needed, self.policy.min_size)
        for member in resters(self.members())[: max(surplus, 0)]:
            self.switch(member.key.name, Power.OFF, now)
        for member in to_wake(self.policy, self.members()):
            self.switch(member.key.name, Power.ON, now)

    def switch(self, name: str, power: Power, now: datetime) -> None:
        """A machine that does as it is asked goes through its phases."""
        self.wishes[name] = power
        self.wakes += power is Power.ON
        for event, seconds in STARTS if power is Power.ON else STOPS:
            moment = now + timedelta(seconds=seconds)
            self.statuses[name] = step(self.statuses[name], event, now=moment, limits=self.policy.limits)

    def report(self, end: datetime) -> Iterator[Any]:
        """Wakes, machine-hours, kilowatt-hours, money, and money saved against always-on."""
        accounts = {name: count_energy(status, now=end).energy for name, status in self.statuses.items()}
        rates = {name: rates_of(m, price_per_kwh=self.policy.price_per_kwh) for name, m in self.machines.items()}
        bills = [bill(rates[name], account, utilisation=0.6) for name, account in accounts.items()]
        yield self.wakes
        yield sum(account.on_seconds for account in accounts.values()) / 3600
        yield sum(each.kwh for each in bills)
        yield sum(each.money for each in bills)
        yield sum(each.saved for each in bills)


def day(group: dict[str, Any]) -> tuple[Any, ...]:
    """A day of demand under one policy."""
    policy, problems = policy_of(msgspec.convert({"metadata": {"name": "rack"}, "spec": group}, Group))
    for problem in problems:
        print(problem)
    rack = Rack(policy)
    for hour, needed in enumerate(DEMAND):
        rack.follow(needed, MIDNIGHT + hour * HOUR)
    return tuple(rack.report(MIDNIGHT + len(DEMAND) * HOUR))


def main() -> None:
    """Print a row for each policy."""
    print(f"{'policy':16} {'wakes':>6} {'hours':>6} {'kWh':>6} {'EUR':>6} {'saved':>6}")
    for name, group in GROUPS.items():
        wakes, hours, kwh, money, saved = day(group)
        print(f"{name:16} {wakes:6} {hours:6.1f} {kwh:6.2f} {money:6.2f} {saved:6.2f}")


if __name__ == "__main__":
    main()
