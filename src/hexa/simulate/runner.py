"""Plays a scenario: builds its world, lets its load and its faults come, and makes a report of what was recorded.

The world is the real one but for its adapters: the same controllers and provider as in production, in virtual time.
"""

from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from itertools import chain
from typing import Any, Final

import msgspec
import trio
from msgspec import Struct, structs
from trio.testing import MockClock

from hexa.adapters.memory.cluster.kinds import REPLICA_SETS
from hexa.adapters.memory.cluster.pods import SECONDS_ANNOTATION
from hexa.adapters.memory.settings import Settings as SiteSettings
from hexa.adapters.memory.site.faults import FaultKind
from hexa.adapters.memory.site.machine import MemoryMachine
from hexa.domain.duration import parse_duration
from hexa.domain.money.account import Bill, Usage, settle
from hexa.domain.money.rates import Rates, rates_of
from hexa.domain.names import SAFE_TO_EVICT
from hexa.domain.policy.policy import policy_of
from hexa.domain.quantity import parse_quantity
from hexa.domain.resources.core import JOBS
from hexa.domain.resources.group_values import Cost
from hexa.domain.resources.v1alpha1 import Group
from hexa.simulate.books import Books, Receipt, drawn
from hexa.simulate.calendar import parse_moment, signed_seconds
from hexa.simulate.figures import FaultReport, MachineReport, WorkloadReport, waits_of
from hexa.simulate.fit import group_selectors, labels_of
from hexa.simulate.record import WORKLOAD_LABEL, Recorder, Use, Waited
from hexa.simulate.report import Report
from hexa.simulate.scenario import (
    AGENT_KILLED,
    FaultLine,
    Flags,
    Machines,
    PodShape,
    Scenario,
    machine_names,
    workload_names,
)
from hexa.simulate.workloads import Scaled, Started, Step, plan
from hexa.testing.autoscaler import Settings
from hexa.testing.determinism import repeatable_scheduling
from hexa.testing.world import Machine, World, machine, open_world
from hexa.testing.world.builders import NAMESPACE, Manifest

LOOKS: Final = 400
"""How often progress is told."""
DOWN_FOR: Final = 5.0
"""Seconds that a killed agent is away, unless the fault says otherwise."""


class Progress(Struct, frozen=True):
    """How far a run has come."""

    share: float
    """Of the scenario's time."""
    now: str
    """Virtual time, for people."""
    on: int
    machines: int
    waiting: int
    kwh: float


Tell = Callable[[Progress], None]


def simulate(scenario: Scenario, *, seed: int | None = None, tell: Tell | None = None) -> Report:
    """Play the scenario on a clock that jumps, and its load once more on machines that are all on. The same scenario and
    seed give the same report."""
    seed = scenario.seed if seed is None else seed
    with repeatable_scheduling():
        baseline = trio.run(play_always_on, scenario, seed, clock=MockClock(autojump_threshold=0))
        return trio.run(play, scenario, seed, baseline, tell, clock=MockClock(autojump_threshold=0))


async def play_always_on(scenario: Scenario, seed: int) -> Waited:
    """How long pods wait where all machines are on all the time and nothing goes wrong: for lack of machines alone."""
    quiet = structs.replace(scenario, faults=())
    selectors = group_selectors(scenario)
    async with open_world(autoscaler=None, site=SiteSettings(seed=seed), start=scenario.start, agent=False) as world:
        recorder = Recorder(world)
        for row in scenario.machines:
            _always_on(world, row, selectors.get(row.group, {}))
        await _play(world, quiet, plan(scenario, seed=seed), None)
        return recorder.waited()


async def play(scenario: Scenario, seed: int, baseline: Waited, tell: Tell | None = None) -> Report:
    """Play the scenario on the clock of the present run. `baseline`: the waits where all machines are on."""
    async with open_scenario(scenario, seed) as world:
        recorder = Recorder(world)
        places = {name: row.group for row in scenario.machines if row.group for name in machine_names(row)}
        books = Books(world, places, scenario.tariffs)
        await world.start_agent()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(books.run)
            await run_scenario(world, scenario, seed, tell)
            nursery.cancel_scope.cancel()
        return _by_tariffs(_report(world, scenario, recorder, baseline, seed), books.receipt())


@asynccontextmanager
async def open_scenario(scenario: Scenario, seed: int) -> AsyncIterator[World]:
    """The world of a scenario, at its start and without hexa: whoever opens it may look at what becomes of it."""
    grouped = [row for row in scenario.machines if row.group]
    async with open_world(
        groups=[_group(manifest) for manifest in scenario.groups],
        machines=[each for row in grouped for each in _machines(row)],
        autoscaler=_settings(scenario.autoscaler),
        site=SiteSettings(seed=seed),
        start=scenario.start,
        agent=False,
        circuits=msgspec.to_builtins(scenario.circuits),
        tariffs=scenario.tariffs,
    ) as world:
        for row in scenario.machines:
            if not row.group:
                _always_on(world, row, {})
        yield world


async def run_scenario(world: World, scenario: Scenario, seed: int, tell: Tell | None = None) -> None:
    """Let the load and the faults of the scenario come; over at its end."""
    await _play(world, scenario, plan(scenario, seed=seed), tell)


async def _play(world: World, scenario: Scenario, steps: list[Step], tell: Tell | None) -> None:
    end = scenario.start + timedelta(seconds=scenario.seconds)
    _set_up_services(world, scenario)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_load, world, scenario, steps)
        for fault in scenario.faults:
            _plan_fault(world, scenario, fault, nursery)
        if tell is not None:
            nursery.start_soon(_progress, world, scenario, tell)
        await world.site.clock.sleep_until(end)
        nursery.cancel_scope.cancel()


# --- what there is --------------------------------------------------------------------------------


def _group(manifest: Mapping[str, Any]) -> Manifest:
    metadata = {"namespace": NAMESPACE, **manifest["metadata"]}
    return {**manifest, "metadata": {**metadata, "namespace": NAMESPACE}}


def _machines(row: Machines) -> Iterator[Machine]:
    for name in machine_names(row):
        yield machine(name, group=row.group, on=row.running, spec=row.spec, **_hardware(row))


def _hardware(row: Machines) -> dict[str, Any]:
    return {
        "cpu": str(row.cpu),
        "memory": str(row.memory),
        "resources": {name: str(amount) for name, amount in row.resources.items()},
        "labels": row.labels,
        "taints": tuple(msgspec.to_builtins(taint) for taint in row.taints),
        "boot_seconds": parse_duration(row.boot).total_seconds(),
        "boot_jitter": row.boot_jitter,
        "off_seconds": parse_duration(row.shutdown).total_seconds(),
        "sensor": row.sensor,
        "idle_watts": row.watts.idle,
        "max_watts": row.watts.max,
        "off_watts": row.watts.standby,
        "boot_watt_hours": row.watts.boot_watt_hours,
    }


def _always_on(world: World, row: Machines, selector: Mapping[str, str]) -> None:
    for name in machine_names(row):
        hardware = {**_hardware(row), "labels": labels_of(row, name, selector)}
        world.site.add_machine(name, on=True, **hardware)


def _settings(flags: Flags) -> Settings:
    def seconds(text: str) -> float:
        return parse_duration(text).total_seconds()

    return Settings(
        scan_interval=seconds(flags.scan_interval),
        expander=flags.expander,
        scale_down_delay_after_add=seconds(flags.scale_down_delay_after_add),
        scale_down_unneeded_time=seconds(flags.scale_down_unneeded_time),
        unremovable_node_recheck_timeout=seconds(flags.unremovable_node_recheck_timeout),
        max_drain_parallelism=flags.max_drain_parallelism,
        max_scale_down_parallelism=flags.max_scale_down_parallelism,
    )


# --- load -----------------------------------------------------------------------------------------


def _set_up_services(world: World, scenario: Scenario) -> None:
    for service in scenario.services:
        template = _template(service.pods, {WORKLOAD_LABEL: service.name})
        metadata = {"name": service.name, "namespace": "default"}
        world.site.api.create(REPLICA_SETS, {"metadata": metadata, "spec": {"replicas": 0, "template": template}})
        if service.max_unavailable is not None:
            world.add_budget(name=service.name, maxUnavailable=service.max_unavailable)


def _template(shape: PodShape, labels: Mapping[str, str], **annotations: str) -> Manifest:
    wanted = {"cpu": str(shape.cpu), "memory": str(shape.memory)}
    wanted |= {name: str(amount) for name, amount in shape.resources.items()}
    spec: Manifest = {"containers": [{"name": "main", "image": "example", "resources": {"requests": wanted}}]}
    if shape.node_selector:
        spec["nodeSelector"] = shape.node_selector
    if shape.tolerations:
        spec["tolerations"] = [msgspec.to_builtins(toleration) for toleration in shape.tolerations]
    if shape.priority:
        spec["priority"] = shape.priority
    return {"metadata": {"labels": dict(labels), "annotations": annotations}, "spec": spec}


async def _load(world: World, scenario: Scenario, steps: list[Step]) -> None:
    shapes = {jobs.name: jobs.pods for jobs in scenario.jobs}
    for step in steps:
        if step.at > world.now:
            await world.site.clock.sleep_until(step.at)
        match step:
            case Scaled():
                world.scale(step.replicas, name=step.service)
            case Started():
                _start_job(world, step, shapes[step.jobs])


def _start_job(world: World, step: Started, shape: PodShape) -> None:
    annotations = {SECONDS_ANNOTATION: str(step.seconds), SAFE_TO_EVICT: "false"}
    template = _template(shape, {WORKLOAD_LABEL: step.jobs}, **annotations)
    template["spec"]["restartPolicy"] = "Never"
    spec = {"backoffLimit": 1000, "ttlSecondsAfterFinished": 0, "template": template}
    metadata = {"name": f"{step.jobs}-{step.number}", "namespace": "default"}
    world.site.api.create(JOBS, {"metadata": metadata, "spec": spec})


# --- faults ---------------------------------------------------------------------------------------


def _plan_fault(world: World, scenario: Scenario, fault: FaultLine, nursery: trio.Nursery) -> None:
    after = _after(scenario, fault)
    if fault.kind == AGENT_KILLED:
        away = DOWN_FOR if fault.duration is None else parse_duration(fault.duration).total_seconds()
        nursery.start_soon(_kill, world, after, away)
        return
    duration = None if fault.duration is None else signed_seconds(fault.duration)
    line = {"kind": fault.kind, "machine": fault.machine, "count": fault.count, "duration": duration}
    world.inject({**line, "at": after})


def _after(scenario: Scenario, fault: FaultLine) -> float:
    return (parse_moment(fault.at, start=scenario.start) - scenario.start).total_seconds()


async def _kill(world: World, after: float, away: float) -> None:
    await trio.sleep(after)
    await world.restart_agent(after=away)


COUNTED: Final = {
    FaultKind.LOST_WAKE: "lost_wakes",
    FaultKind.SLOW_BOOT: "slow_boots",
    FaultKind.NO_JOIN: "no_joins",
    FaultKind.HUNG_SHUTDOWN: "ignored_offs",
}
"""Faults that lie in wait, and where the machine counts those that have not struck yet."""


def _struck(world: World, scenario: Scenario, fault: FaultLine) -> FaultReport:
    after = _after(scenario, fault)
    struck = 0 if after > scenario.seconds else 1
    if struck and fault.kind in COUNTED and fault.machine:
        left: int = getattr(world.hardware(fault.machine).defects, COUNTED[FaultKind(fault.kind)])
        struck = max(0, fault.count - left)
    return FaultReport(kind=fault.kind, at=after, machine=fault.machine, struck=struck)


# --- progress and report --------------------------------------------------------------------------


async def _progress(world: World, scenario: Scenario, tell: Tell) -> None:
    names = [name for row in scenario.machines if row.group for name in machine_names(row)]
    for step in range(LOOKS + 1):
        await world.site.clock.sleep_until(scenario.start + timedelta(seconds=scenario.seconds * step / LOOKS))
        machines = [world.hardware(name) for name in names]
        tell(
            Progress(
                share=step / LOOKS,
                now=f"{world.now.astimezone(scenario.start.tzinfo):%a %d %b %H:%M}",
                on=sum(each.power for each in machines),
                machines=len(machines),
                waiting=world.waiting,
                kwh=sum(each.meter.kwh for each in machines),
            )
        )


def _report(world: World, scenario: Scenario, recorder: Recorder, baseline: Waited, seed: int) -> Report:
    rows = [(row, name) for row in scenario.machines if row.group for name in machine_names(row)]
    machines = [world.hardware(name) for _, name in rows]
    rates = [_rates(world, name) for _, name in rows]
    hours, site = scenario.seconds / 3600, world.site.report()
    bills = [_bill(each, hardware, scenario.seconds) for each, hardware in zip(rates, machines, strict=True)]
    return Report(
        title=scenario.title,
        description=scenario.description,
        start=scenario.start,
        hours=hours,
        seed=seed,
        machines=tuple(_machine(row, world.hardware(name), recorder) for row, name in rows),
        machine_hours=round(sum(each.meter.on_hours for each in machines), 3),
        machine_hours_always_on=hours * len(machines),
        kwh=round(sum(each.kwh for each in bills), 3),
        kwh_always_on=round(sum(each.kwh_always_on for each in bills), 3),
        money=round(sum(each.money for each in bills), 2),
        money_always_on=round(sum(each.money_always_on for each in bills), 2),
        currency=_currency(world, scenario),
        priced=any(each.per_kwh or each.hourly or each.monthly for each in rates),
        pods=site.pods_run,
        pods_moved=recorder.evicted,
        waits=waits_of(site.waits),
        waits_always_on=waits_of(tuple(chain.from_iterable(baseline.seconds.values()))),
        workloads=tuple(_workload(name, recorder.waited(), baseline) for name in workload_names(scenario)),
        waiting_at_end=world.waiting,
        power_cycles=sum(each.boots for each in machines),
        faults=tuple(_struck(world, scenario, fault) for fault in scenario.faults),
        work_lost=site.pods_killed,
        work_lost_to_faults=site.pods_lost,
        api_writes=int(world.site.api.version),
        waiting=tuple(recorder.waiting),
        running=tuple(recorder.running),
    )


def _by_tariffs(report: Report, receipt: Receipt) -> Report:
    """With the money of the receipt, where the scenario has tariffs."""
    if not receipt.days:
        return report
    money, saved = round(receipt.money, 2), round(receipt.saved, 2)
    return structs.replace(
        report, receipt=receipt, priced=True, money=money, money_always_on=money + saved, currency=receipt.currency
    )


def _workload(name: str, waited: Waited, baseline: Waited) -> WorkloadReport:
    seconds = waited.seconds.get(name, ())
    return WorkloadReport(
        name=name,
        pods=len(seconds),
        waits=waits_of(seconds),
        waits_always_on=waits_of(baseline.seconds.get(name, ())),
        never_ran=waited.never_ran.get(name, 0),
        never_ran_always_on=baseline.never_ran.get(name, 0),
    )


def _machine(row: Machines, hardware: MemoryMachine, recorder: Recorder) -> MachineReport:
    return MachineReport(
        name=hardware.name,
        group=row.group,
        cores=float(parse_quantity(str(row.cpu))),
        on_hours=round(hardware.meter.on_hours, 3),
        boots=hardware.boots,
        kwh=round(hardware.meter.kwh, 3),
        phases=tuple(recorder.phases.get(hardware.name, ())),
        use=tuple(recorder.use.get(hardware.spec.node, Use()).series),
    )


def _bill(rates: Rates, hardware: MemoryMachine, seconds: float) -> Bill:
    """What the machine cost, by what its meter counted and what it really draws, whatever its Node declares."""
    on = hardware.meter.on_seconds
    usage = Usage(on_seconds=on, off_seconds=seconds - on, boots=hardware.boots, kwh=hardware.meter.kwh)
    return settle(drawn(rates, hardware), usage)


def _rates(world: World, name: str) -> Rates:
    node = world.node(name)
    group = world.group(node.metadata.labels["group"])
    return rates_of(node, price_per_kwh=policy_of(group)[0].price_per_kwh)


def _currency(world: World, scenario: Scenario) -> str:
    groups: list[Group] = [world.group(row.group) for row in scenario.machines if row.group]
    groups.sort(key=lambda group: group.spec.cost == Cost())  # those that say something of it first
    return groups[0].spec.cost.currency if groups else ""
