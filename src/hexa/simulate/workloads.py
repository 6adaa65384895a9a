"""When a scenario's pods come and go: a plan of changes, drawn from the seed before time begins.

The plan is data, so that two runs of a scenario have the same load whatever happens in them.
"""

import math
from collections.abc import Iterator
from datetime import datetime, timedelta
from random import Random

from msgspec import Struct

from hexa.domain.duration import parse_duration
from hexa.simulate.calendar import day_times, parse_time
from hexa.simulate.scenario import Jobs, OfficeHours, Scenario, Service, daily


class Scaled(Struct, frozen=True):
    """A service shall have so many pods from now on."""

    at: datetime
    service: str
    replicas: int


class Started(Struct, frozen=True):
    """A job comes."""

    at: datetime
    jobs: str
    number: int
    seconds: float
    """How long it runs."""


Step = Scaled | Started


def plan(scenario: Scenario, *, seed: int) -> list[Step]:
    """Every change of load, in order of time."""
    end = scenario.start + timedelta(seconds=scenario.seconds)
    steps: list[Step] = []
    for service in scenario.services:
        steps += _service(service, scenario.start, end, Random(f"{seed}/service/{service.name}"))
    for jobs in scenario.jobs:
        steps += _jobs(jobs, scenario.start, end, Random(f"{seed}/jobs/{jobs.name}"))
    return sorted(steps, key=lambda step: step.at)


def _service(service: Service, start: datetime, end: datetime, rng: Random) -> Iterator[Scaled]:
    yield Scaled(start, service.name, service.replicas)
    if service.office_hours is None:
        return
    last = service.replicas
    for moment, more in _curve(service.office_hours, start, end, rng):
        wanted = service.replicas + more
        if wanted != last and start <= moment < end:
            yield Scaled(moment, service.name, wanted)
            last = wanted


def _curve(hours: OfficeHours, start: datetime, end: datetime, rng: Random) -> Iterator[tuple[datetime, int]]:
    window, every = daily(hours.days, hours.begin, hours.end), parse_duration(hours.every)
    for day in day_times(start, end):
        if (span := window.on(day)) is None:
            continue
        moment = span[0]
        while moment < span[1]:
            share = _height(moment, span, hours)
            noise = rng.randint(-hours.noise, hours.noise) if hours.noise and share > 0 else 0
            yield moment, max(0, round(hours.replicas * share) + noise)
            moment += every
        yield span[1], 0


def _height(moment: datetime, span: tuple[datetime, datetime], hours: OfficeHours) -> float:
    """Share of the pods that are there: up along a smooth step, down again, less at noon."""
    ramp = parse_duration(hours.ramp) or timedelta(seconds=1)
    share = min(_smooth((moment - span[0]) / ramp), _smooth((span[1] - moment) / ramp))
    noon = moment.replace(hour=12, minute=30, second=0, microsecond=0)
    lunch = math.exp(-(((moment - noon) / timedelta(minutes=35)) ** 2))
    return share * (1 - hours.dip * lunch)


def _smooth(share: float) -> float:
    share = min(max(share, 0.0), 1.0)
    return share * share * (3 - 2 * share)


def _jobs(jobs: Jobs, start: datetime, end: datetime, rng: Random) -> Iterator[Started]:
    moments = sorted([*_bursts(jobs, start, end), *_arrivals(jobs, start, end, rng)])
    typical = parse_duration(jobs.runtime).total_seconds()
    for number, moment in enumerate(moments, start=1):
        yield Started(moment, jobs.name, number, round(typical * math.exp(rng.gauss(0, jobs.spread)), 1))


def _bursts(jobs: Jobs, start: datetime, end: datetime) -> Iterator[datetime]:
    for text in jobs.at:
        time = parse_time(text)
        window = daily(jobs.days, "00:00", "24:00")
        for day in day_times(start, end):
            if window.on(day) is not None and start <= day + time < end:
                yield from [day + time] * jobs.count


def _arrivals(jobs: Jobs, start: datetime, end: datetime, rng: Random) -> Iterator[datetime]:
    if not jobs.per_hour:
        return
    window = daily(jobs.days, jobs.begin, jobs.end)
    for day in day_times(start, end):
        if (span := window.on(day)) is None:
            continue
        moment = span[0] + _gap(jobs, rng)
        while moment < span[1]:
            if start <= moment < end:
                yield moment
            moment += _gap(jobs, rng)


def _gap(jobs: Jobs, rng: Random) -> timedelta:
    return timedelta(hours=rng.expovariate(jobs.per_hour))
