"""What a scenario may not say although each of its values is of the right type: names, spans of time, and too much of all.

Times of day and moments are read here too. It plays nothing.
"""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Final

from hexa.adapters.memory.site.faults import FaultKind
from hexa.domain.duration import format_duration, parse_duration
from hexa.domain.policy.labels import bad_label, is_label_key, is_label_value, is_object_name
from hexa.domain.policy.problem import Problem
from hexa.domain.written.shape import Path, field_path
from hexa.simulate.calendar import parse_moment, parse_time, signed_seconds
from hexa.simulate.scenario import FaultLine, Scenario

Placed = tuple[Path, Problem]

FIRST: Final = datetime(1980, 1, 1, tzinfo=UTC)
LAST: Final = datetime(2200, 1, 1, tzinfo=UTC)
"""Between these a scenario begins and ends: a day before or after is a time, too."""
LEAST_EVERY: Final = timedelta(seconds=1)
LEAST_SCAN: Final = timedelta(milliseconds=100)

NEEDS_DURATION: Final = frozenset({FaultKind.SLOW_BOOT, FaultKind.CLOCK_SET})
"""Kinds of faults that are nothing without one."""


def name_problems(scenario: Scenario) -> Iterator[Placed]:
    """Names become those of Kubernetes objects: each must be one, and no two of a kind the same."""
    for field in ("services", "jobs", "machines"):
        names: list[str] = [each.name for each in getattr(scenario, field)]
        twice = {name for name, count in Counter(names).items() if count > 1} if field != "machines" else set[str]()
        for index, name in enumerate(names):
            path = (field, index, "name")
            if not is_object_name(name):
                remedy = "use lower case letters, digits and - only, beginning and ending with a letter or digit"
                yield path, Problem(field_path(path), f"{name!r} is no name in Kubernetes", remedy)
            elif name in twice and index != names.index(name):
                yield path, Problem(field_path(path), f"{name} stands twice", "rename one of them")


def row_problems(scenario: Scenario) -> Iterator[Placed]:
    """What machines of a row cannot share, and labels, which Kubernetes must take."""
    for index, machines in enumerate(scenario.machines):
        if machines.count > 1 and "kubernetesNodeName" in machines.spec:
            where: Path = ("machines", index, "spec", "kubernetesNodeName")
            text = f"{machines.count} machines cannot be one Kubernetes node"
            yield where, Problem(field_path(where), text, "remove it, or write a row for each machine")
        for key, value in machines.labels.items():
            path: Path = ("machines", index, "labels", key)
            if not is_label_key(key):
                remedy = "use letters, digits, -, _ and . only, after a domain and / if you like"
                yield path, Problem(field_path(path), f"{key!r} is no key of a label", remedy)
            elif not is_label_value(value):
                yield path, bad_label(field_path(path), value)


def time_problems(scenario: Scenario) -> Iterator[Placed]:
    """Times of day, when the scenario begins and ends, and how often something changes."""
    for path, text in _times_of_day(scenario):
        try:
            parse_time(text)
        except ValueError as error:
            yield path, Problem(field_path(path), str(error), 'write hours and minutes, such as "08:30"')
    yield from _span_problems(scenario)
    for path, duration, least, why in _intervals(scenario):
        if parse_duration(duration) < least:
            remedy = f'write a duration such as "10m", {format_duration(least)} at least'
            yield path, Problem(field_path(path), f"is {duration}: {why}", remedy)


def _span_problems(scenario: Scenario) -> Iterator[Placed]:
    if scenario.seconds <= 0:
        yield ("duration",), Problem("duration", "nothing happens in no time", 'write "24h" or "168h"')
    if scenario.start < FIRST:
        yield ("start",), Problem("start", f"is before {FIRST.year}", "write a later one")
    elif scenario.start > LAST or scenario.seconds > (LAST - scenario.start).total_seconds():
        remedy = "begin earlier, or write a shorter duration"
        yield ("start",), Problem("start", f"the scenario ends after {LAST.year}", remedy)


def _intervals(scenario: Scenario) -> Iterator[tuple[Path, str, timedelta, str]]:
    """Each duration that something waits again and again, the least that it may be, and why."""
    for index, service in enumerate(scenario.services):
        if service.office_hours is not None:
            why = "the number of pods would change without end"
            yield ("services", index, "officeHours", "every"), service.office_hours.every, LEAST_EVERY, why
    why = "Cluster Autoscaler would look without end"
    yield ("autoscaler", "scanInterval"), scenario.autoscaler.scan_interval, LEAST_SCAN, why


def _times_of_day(scenario: Scenario) -> Iterator[tuple[Path, str]]:
    for index, service in enumerate(scenario.services):
        if service.office_hours is not None:
            yield ("services", index, "officeHours", "from"), service.office_hours.begin
            yield ("services", index, "officeHours", "to"), service.office_hours.end
    for index, jobs in enumerate(scenario.jobs):
        yield ("jobs", index, "from"), jobs.begin
        yield ("jobs", index, "to"), jobs.end
        yield from ((("jobs", index, "at", number), text) for number, text in enumerate(jobs.at))


def fault_times(fault: FaultLine, path: Path, scenario: Scenario) -> Iterator[Placed]:
    """When a fault comes and how long it lasts."""
    at, lasts = (*path, "at"), (*path, "duration")
    try:
        after = (parse_moment(fault.at, start=scenario.start) - scenario.start).total_seconds()
    except (ValueError, OverflowError) as error:
        remedy = 'write a duration after the start ("26h30m") or a weekday and time ("Tue 09:30")'
        yield at, Problem(field_path(at), str(error), remedy)
    else:
        if after >= scenario.seconds:
            text = f"{fault.at} is not before the end: the scenario lasts {format_duration(timedelta(seconds=scenario.seconds))}"
            yield at, Problem(field_path(at), text, "write an earlier time, or a longer duration of the scenario")
    try:
        seconds = 0.0 if fault.duration is None else signed_seconds(fault.duration)
    except ValueError as error:
        yield lasts, Problem(field_path(lasts), str(error), 'write a duration such as "10m" or "1h30m"')
        return
    if seconds < 0 and fault.kind != FaultKind.CLOCK_SET:
        yield lasts, Problem(field_path(lasts), f"{fault.duration} is negative", "only clockSet goes back")
    elif not seconds and fault.kind in NEEDS_DURATION:
        text = f"{fault.kind} is nothing without a duration"
        yield lasts, Problem(field_path(lasts), text, 'write by how much, such as "10m"')
