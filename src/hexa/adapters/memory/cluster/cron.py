"""The CronJob controller: makes a Job at each time that a line of cron names. One timer a CronJob that runs, and nothing ticks."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final

from hexa.adapters.memory.clock import Timer, Timers
from hexa.adapters.memory.cluster.api import MemoryApi, stamp
from hexa.adapters.memory.cluster.conditions import is_true
from hexa.adapters.memory.cluster.pods import controller_of
from hexa.adapters.memory.cluster.store import Event, Stored
from hexa.domain.errors import AlreadyExists
from hexa.domain.resources.core import CRON_JOBS, JOBS
from hexa.ports.kube import ChangeType

MINUTE: Final = timedelta(minutes=1)
LONGEST: Final = timedelta(days=366)
"""A line that names no time within this never runs."""
_RANGES: Final = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 6))


class Line:
    """A line of cron, with numbers, `*`, lists, ranges and steps. Days of month and week: one of the two is `*`."""

    def __init__(self, text: str) -> None:
        fields = text.split()
        if len(fields) != len(_RANGES):
            raise ValueError(f"{text!r} has not five fields")
        parsed = [_values(field, *bounds) for field, bounds in zip(fields, _RANGES, strict=True)]
        self._minutes, self._hours, self._days, self._months, self._weekdays = parsed

    def after(self, moment: datetime) -> datetime | None:
        """The first time later than `moment`, in its zone; None: there is none within a year."""
        at = moment.replace(second=0, microsecond=0) + MINUTE
        while at - moment < LONGEST:
            if not self._on(at):
                at = at.replace(hour=0, minute=0) + timedelta(days=1)
            elif at.hour not in self._hours:
                at = at.replace(minute=0) + timedelta(hours=1)
            elif at.minute not in self._minutes:
                at += MINUTE
            else:
                return at
        return None

    def _on(self, day: datetime) -> bool:
        return day.month in self._months and day.day in self._days and day.isoweekday() % 7 in self._weekdays


def _values(field: str, low: int, high: int) -> frozenset[int]:
    return frozenset(value for part in field.split(",") for value in _range(part, low, high))


def _range(part: str, low: int, high: int) -> Iterator[int]:
    span, _, step = part.partition("/")
    first, dash, last = span.partition("-")
    begin = low if span == "*" else int(first)
    end = high if span == "*" or (step and not dash) else int(last) if dash else begin
    if not low <= begin <= end <= high:
        raise ValueError(f"{part!r} is not within {low} and {high}")
    yield from range(begin, end + 1, int(step or 1))


class CronJobController:
    """CronJobs of the zone UTC."""

    def __init__(self, api: MemoryApi, timers: Timers) -> None:
        self._api, self._timers = api, timers
        self._next: dict[str, Timer] = {}
        api.listen(CRON_JOBS, self._changed)
        api.listen(JOBS, self._job_changed)

    def __repr__(self) -> str:
        return f"<CronJobController {len(self._next)} timers>"

    def _changed(self, event: Event) -> None:
        found = event.stored
        if event.type is ChangeType.DELETED:
            self._cancel(found.uid)
        elif event.old is None or event.old.raw["spec"] != found.raw["spec"]:
            self._plan(found)

    def _plan(self, found: Stored) -> None:
        self._cancel(found.uid)
        spec = found.raw["spec"]
        now = self._api.clock.now().astimezone(UTC)
        when = None if spec["suspend"] else Line(spec["schedule"]).after(now)
        if when is not None:
            run = partial(self._run, found.key, found.uid, when)
            self._next[found.uid] = self._timers.after((when - now).total_seconds(), run)

    def _cancel(self, uid: str) -> None:
        if (timer := self._next.pop(uid, None)) is not None:
            timer.cancel()

    def _run(self, key: tuple[str, str], uid: str, when: datetime) -> None:
        found = self._api.get(CRON_JOBS, key[1], key[0])
        if found is None or found.uid != uid:
            return
        busy = any(not _over(job) for job in self._jobs_of(found))
        if not busy or found.raw["spec"]["concurrencyPolicy"] != "Forbid":
            self._make_job(found, when)
            status = {**(found.raw.get("status") or {}), "lastScheduleTime": stamp(when)}
            found = self._api.write(CRON_JOBS, found, status=status)
        self._plan(found)

    def _make_job(self, found: Stored, when: datetime) -> None:
        template = found.raw["spec"]["jobTemplate"]
        reference = {
            "apiVersion": CRON_JOBS.api_version,
            "kind": CRON_JOBS.name,
            "name": found.key[1],
            "uid": found.uid,
        }
        own = {"name": f"{found.key[1]}-{int(when.timestamp()) // 60}", "namespace": found.key[0]}
        metadata = {**(template.get("metadata") or {}), **own, "ownerReferences": [{**reference, "controller": True}]}
        try:
            self._api.create(JOBS, {"metadata": metadata, "spec": template["spec"]})
        except AlreadyExists:
            return  # made before a change of the schedule named the same minute again

    def _job_changed(self, event: Event) -> None:
        """Of the Jobs that are over the newest are kept."""
        owner = controller_of(event.stored.raw)
        if (
            event.type is ChangeType.DELETED
            or owner is None
            or owner["kind"] != CRON_JOBS.name
            or not _over(event.stored)
        ):
            return
        found = self._api.get(CRON_JOBS, owner["name"], event.stored.key[0])
        if found is None or found.uid != owner["uid"]:
            return
        jobs = self._jobs_of(found)
        for kind, limit in (("Complete", "successfulJobsHistoryLimit"), ("Failed", "failedJobsHistoryLimit")):
            over = [job for job in jobs if is_true(job.raw.get("status") or {}, kind)]
            for job in over[: max(0, len(over) - found.raw["spec"][limit])]:
                self._api.delete(JOBS, job.key)

    def _jobs_of(self, found: Stored) -> list[Stored]:
        """By the minute that their names end in."""
        jobs = self._api.find(JOBS, lambda raw: (controller_of(raw) or {}).get("uid") == found.uid)
        return sorted(jobs, key=lambda job: int(job.key[1].rpartition("-")[2]))


def _over(job: Stored) -> bool:
    status = job.raw.get("status") or {}
    return is_true(status, "Complete") or is_true(status, "Failed")
