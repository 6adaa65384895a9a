"""What came of a scenario: figures, series and texts. It plays nothing and draws nothing."""

from datetime import datetime, timedelta
from math import ceil
from typing import Any, Final

import msgspec
from msgspec import Struct

from hexa.simulate.books import Receipt, receipt_rows

Series = tuple[tuple[float, float], ...]
"""Seconds since the start, and the value from then on."""


class MachineReport(Struct, frozen=True, kw_only=True, rename="camel"):
    """One machine of a group over the whole time."""

    name: str
    group: str
    cores: float
    on_hours: float
    boots: int
    kwh: float
    phases: tuple[tuple[float, str], ...]
    """Seconds since the start, and the phase from then on."""
    use: Series
    """Cores that pods request."""


class FaultReport(Struct, frozen=True, kw_only=True, rename="camel"):
    """Something that went wrong, and how often it struck."""

    kind: str
    at: float
    machine: str = ""
    struck: int = 1


FEW: Final = 100
"""Machine-hours of which a tenth counts."""


class Waits(Struct, frozen=True, kw_only=True, rename="camel"):
    """Seconds from the creation of a pod until it ran."""

    p50: float
    p95: float
    max: float
    at_once: float
    """Share of the pods that ran within 5 s: they found a machine that was on."""

    def text(self) -> str:
        """p50 / p95 / max."""
        return " / ".join(map(span, (self.p50, self.p95, self.max)))


class WorkloadReport(Struct, frozen=True, kw_only=True, rename="camel"):
    """The pods of a service, or of jobs of one name."""

    name: str
    pods: int
    """Pods that ran."""
    waits: Waits
    waits_always_on: Waits
    """The same load where all machines are on all the time: what pods wait for lack of machines."""
    never_ran: int
    """Pods that still waited when the scenario ended."""
    never_ran_always_on: int


class Figures(Struct, frozen=True, kw_only=True, rename="camel"):
    """The figures of a run. Money is in `currency`; energy counts the machines of groups only."""

    title: str
    description: str
    start: datetime
    hours: float
    seed: int
    machines: tuple[MachineReport, ...]
    machine_hours: float
    machine_hours_always_on: float
    kwh: float
    kwh_always_on: float
    money: float
    money_always_on: float
    currency: str
    priced: bool
    """Whether the scenario says what energy or hours cost."""
    pods: int
    """Pods that ran."""
    pods_moved: int
    """Pods that were evicted for a machine to rest, and ran elsewhere."""
    waits: Waits
    waits_always_on: Waits
    """The same load where all machines are on all the time and nothing goes wrong."""
    workloads: tuple[WorkloadReport, ...]
    waiting_at_end: int
    """Pods that never ran: they still waited when the scenario ended."""
    power_cycles: int
    faults: tuple[FaultReport, ...]
    work_lost: int
    """Pods that ran when their machine was switched off by order. It must be 0."""
    work_lost_to_faults: int
    """Pods that ran when their machine crashed or lost power by itself."""
    api_writes: int
    """Changes that the API server took in, by whomever."""
    waiting: Series
    running: Series
    receipt: Receipt = Receipt()
    """What it cost by the scenario's tariffs."""

    @property
    def end(self) -> datetime:
        return self.start + timedelta(hours=self.hours)

    @property
    def saved_hours(self) -> float:
        """Share of the machine-hours that were not needed."""
        return _share(self.machine_hours, self.machine_hours_always_on)

    @property
    def saved_energy(self) -> float:
        return _share(self.kwh, self.kwh_always_on)

    @property
    def saved_money(self) -> float:
        return self.money_always_on - self.money

    @property
    def failures(self) -> int:
        """Failures that struck."""
        return sum(fault.struck for fault in self.faults)

    @property
    def survived(self) -> bool:
        """No work was lost by hexa, and no pod was left waiting."""
        return self.work_lost == 0 and self.waiting_at_end == 0

    def json(self) -> str:
        """Everything, for programs."""
        found: dict[str, Any] = msgspec.to_builtins(self)
        found |= {"savedHours": round(self.saved_hours, 4), "savedEnergy": round(self.saved_energy, 4)}
        found |= {"savedMoney": round(self.saved_money, 2), "failures": self.failures, "survived": self.survived}
        return msgspec.json.format(msgspec.json.encode(found), indent=2).decode()

    def rows(self) -> list[tuple[str, str]]:
        """The table: what, and how much."""
        hours = f"{self.hours_text()} always on, {self.saved_hours:.0%} saved"
        quick = f", {self.waits.at_once:.0%} of them at once" if self.pods else ""
        saved = f"{self.kwh_always_on - self.kwh:,.1f} kWh ({self.saved_energy:.0%}) saved"
        return [
            ("Pods that never ran", self.never_ran_text()),
            ("Machine-hours on", hours),
            ("Energy", f"{self.kwh:,.1f} of {self.kwh_always_on:,.1f} kWh always on, {saved}"),
            *self._money_rows(),
            ("Pods run", f"{self.pods:,}{quick}"),
            *self._wait_rows(),
            ("  moved to let a machine rest", f"{self.pods_moved:,}"),
            ("Power cycles", f"{self.power_cycles:,} ({self.cycles_per_day:.1f} a machine and day)"),
            ("Failures", self.failure_text()),
            ("Lost work", f"{self.work_lost} pods by hexa, {self.work_lost_to_faults} by crashes"),
        ]

    def _money_rows(self) -> list[tuple[str, str]]:
        if not self.priced:
            return []
        amounts = f"{self.money:,.2f} of {self.money_always_on:,.2f} {self.currency} always on"
        return [
            ("Money", f"{amounts}, {self.saved_money:,.2f} {self.currency} saved"),
            *receipt_rows(self.receipt),
        ]

    def _wait_rows(self) -> list[tuple[str, str]]:
        """What hexa costs in waiting, beside what is lack of machines: the same load with all machines on."""
        rows = [("  waited p50 / p95 / max", _beside(self))]
        if len(self.workloads) > 1:
            rows += [(f"  {each.name} ({each.pods:,})", _beside(each)) for each in self.workloads]
        return rows

    def hours_text(self) -> str:
        """Machine-hours of all that there would be; few of them with a tenth."""
        digits = 1 if self.machine_hours_always_on < FEW else 0
        return f"{self.machine_hours:,.{digits}f} of {self.machine_hours_always_on:,.{digits}f}"

    def never_ran_text(self) -> str:
        """How many, of which workloads, and how many of them would not have run with all machines on either."""
        if not self.waiting_at_end:
            return "none"
        by_name = [f"{each.never_ran:,} of {each.name}" for each in self.workloads if each.never_ran]
        either = sum(each.never_ran_always_on for each in self.workloads)
        return f"{self.waiting_at_end:,}: {', '.join(by_name)}; with all machines on: {either or 'none'}"

    @property
    def cycles_per_day(self) -> float:
        days = self.hours / 24 * len(self.machines)
        return self.power_cycles / days if days else 0.0

    def failure_text(self) -> str:
        """How many, of what kinds, and whether they were survived."""
        if not self.faults:
            return "none"
        counts: dict[str, int] = {}
        for fault in self.faults:
            counts[fault.kind] = counts.get(fault.kind, 0) + fault.struck
        kinds = ", ".join(f"{count} {kind}" for kind, count in counts.items() if count)
        return f"{self.failures} {'survived' if self.survived else 'NOT survived'} ({kinds or 'none struck'})"

    def text(self) -> str:
        """The table as plain text."""
        width = max(len(name) for name, _ in self.rows())
        lasts = f"{self.hours:g} h" if self.hours.is_integer() else span(self.hours * 3600)
        lines = [self.title, f"{self.start:%a %Y-%m-%d %H:%M} + {lasts}, {len(self.machines)} machines", ""]
        return "\n".join([*lines, *(f"{name:<{width}}  {value}" for name, value in self.rows())])


def _beside(of: "Figures | WorkloadReport") -> str:
    waited = of.waits.text() if of.pods else "none ran"
    return f"{waited} (all machines on: {of.waits_always_on.text()})"


def span(seconds: float) -> str:
    """12 s, 1:35 min, 2:05 h."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes}:{rest:02d} min"
    return f"{minutes // 60}:{minutes % 60:02d} h"


def waits_of(seconds: tuple[float, ...]) -> Waits:
    """Percentiles by the nearest rank."""
    ordered = sorted(seconds)
    if not ordered:
        return Waits(p50=0.0, p95=0.0, max=0.0, at_once=1.0)
    quick = sum(1 for each in ordered if each <= 5.0)
    return Waits(p50=_rank(ordered, 0.5), p95=_rank(ordered, 0.95), max=ordered[-1], at_once=quick / len(ordered))


def _rank(ordered: list[float], share: float) -> float:
    return ordered[max(0, ceil(share * len(ordered)) - 1)]


def _share(used: float, all_of_it: float) -> float:
    return 1 - used / all_of_it if all_of_it else 0.0
