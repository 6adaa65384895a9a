"""Health checks: the CronJob that a machine shall have, what cron makes of its period, and what its runs say.

Pure. A run counts if it began since the machine came up (or failed); one whose container never ran says nothing of the machine.
"""

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Final

import msgspec
from msgspec import Struct

from hexa.domain.duration import format_duration, parse_duration
from hexa.domain.machine.lifecycle import phase_of
from hexa.domain.machine.marks import leaving
from hexa.domain.names import CHECK_ANNOTATION
from hexa.domain.policy.problem import Problem
from hexa.domain.resources.core import CronJob
from hexa.domain.resources.health import CheckOutcome, CheckRecord
from hexa.domain.resources.v1alpha1 import Lookup, Node, NodeStatus, PowerPodSpec
from hexa.domain.rules.health import CHECKED, checks_from

PERIOD: Final = timedelta(minutes=5)
"""Where the machine does not say."""
LONGEST_RUN: Final = timedelta(minutes=10)
"""A run is ended after this, or after its period where that is shorter."""
LATE_AT_MOST: Final = timedelta(hours=1)
"""A run that could not begin in time, for the controller was away, begins so much later or not at all."""
TIME_ZONE: Final = "Etc/UTC"
"""A day has 24 hours in it, all year."""
VERSION: Final = "1"
"""Counted up when hexa writes the CronJob of a check in another way, so that those of older versions are patched."""

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
_DIVISORS_OF_HOUR: Final = tuple(n for n in range(1, 60) if 60 % n == 0)
_DIVISORS_OF_DAY: Final = tuple(n for n in range(1, 24) if 24 % n == 0)
PERIODS: Final = (
    *(n * MINUTE for n in _DIVISORS_OF_HOUR),
    *(n * HOUR for n in _DIVISORS_OF_DAY),
    DAY,
    7 * DAY,
)
"""What one line of cron can say exactly, shortest first."""


class Check(Struct, frozen=True, kw_only=True):
    """The health check of one machine, as it shall be."""

    machine: Lookup
    uid: str
    """uid of the Node resource."""
    spec: PowerPodSpec
    cron: str
    every: float
    """Seconds from one run to the next."""
    deadline: int
    """Seconds after which a run is ended."""
    late: int
    """Seconds that a run may begin late."""
    suspended: bool = False
    kubernetes_node: str = ""
    """The machine's own Kubernetes node: a check never runs there."""


class Run(Struct, frozen=True):
    """One run of a check that has ended."""

    began: datetime
    ended: datetime
    outcome: CheckOutcome
    message: str = ""


# --- what shall be --------------------------------------------------------------------------------------------------


def check_of(node: Node, *, kubernetes_node: str) -> Check | None:
    """The check that the machine declares; None: it declares none, or is given up."""
    spec, meta = node.spec.healthcheck_pod_spec, node.metadata
    if spec is None or leaving(node):
        return None
    key = Lookup(meta.namespace, meta.name)
    every = period_of(node)
    return Check(
        machine=key,
        uid=meta.uid,
        spec=spec,
        cron=cron(every, spread=str(key)),
        every=every.total_seconds(),
        deadline=int(min(every, LONGEST_RUN).total_seconds()),
        late=int(max(MINUTE, min(every / 2, LATE_AT_MOST)).total_seconds()),
        suspended=phase_of(node.status) not in CHECKED,
        kubernetes_node=kubernetes_node,
    )


def period_of(node: Node) -> timedelta:
    """How often it really runs: as asked where cron can say it, else the next shorter period."""
    return said_by_cron(_asked(node) or PERIOD)


def _asked(node: Node) -> timedelta | None:
    try:
        return None if node.spec.healthcheck_period is None else _period(node.spec.healthcheck_period)
    except ValueError:
        return None  # `check_problems` tells


def _period(written: int | str) -> timedelta:
    """A bare number is minutes: so homelab-autoscaler ran it. Raises `ValueError` with a sentence for people."""
    return parse_duration(f"{written}m" if isinstance(written, int) else written)


def said_by_cron(period: timedelta) -> timedelta:
    """The longest period that cron can say and that is no longer; the shortest that it can say is a minute."""
    return max((each for each in PERIODS if each <= period), default=PERIODS[0])


def cron(period: timedelta, *, spread: str) -> str:
    """One of `PERIODS` as a line of cron. `spread` moves it, so that not every machine is checked in the same minute."""
    offset = int(sha256(spread.encode()).hexdigest()[:8], 16)
    minute, hour, weekday = offset % 60, offset // 60 % 24, offset // 1440 % 7
    if period < HOUR:
        step = period // MINUTE
        return "* * * * *" if step == 1 else f"{minute % step}-59/{step} * * * *"
    if period < DAY:
        step = period // HOUR
        return f"{minute} * * * *" if step == 1 else f"{minute} {hour % step}-23/{step} * * *"
    return f"{minute} {hour} * * *" if period == DAY else f"{minute} {hour} * * {weekday}"


def check_problems(node: Node) -> Iterator[Problem]:
    """What is wrong with the health check; the machine is switched all the same."""
    field, written = "spec.healthcheckPeriod", node.spec.healthcheck_period
    if written is None:
        return
    if node.spec.healthcheck_pod_spec is None:
        yield _warning(field, "nothing is checked", "add spec.healthcheckPodSpec, or remove it")
        return
    try:
        asked = _period(written)
    except ValueError as error:
        yield _warning(field, f"{error}; it runs each {format_duration(PERIOD)}", 'write a duration such as "10m"')
        return
    runs = said_by_cron(asked)
    if runs != asked:
        longer = next((each for each in PERIODS if each > asked), None)
        other = f" or {format_duration(longer)}" if longer is not None else ""
        said = f"cron cannot say {format_duration(asked)}, so the check runs each {format_duration(runs)}"
        yield _warning(field, said, f"write {format_duration(runs)}{other}")


def _warning(field: str, text: str, remedy: str) -> Problem:
    return Problem(field, text, remedy, severity="warning", reason="HealthcheckPeriod")


def fingerprint(check: Check) -> str:
    """What a CronJob was made of, its suspension apart."""
    told = msgspec.json.encode([VERSION, msgspec.structs.replace(check, suspended=False)])
    return sha256(told).hexdigest()[:16]


def stands(check: Check, found: CronJob) -> bool:
    """Whether the CronJob is as it shall be: made of this check by hexa, with its times and its suspension as they are now."""
    spec = found.spec
    made = found.metadata.annotations.get(CHECK_ANNOTATION) == fingerprint(check)
    return made and (spec.schedule, spec.time_zone, spec.suspend) == (check.cron, TIME_ZONE, check.suspended)


# --- what its runs say ----------------------------------------------------------------------------------------------


def recorded(status: NodeStatus, *, name: str, run: Run | None) -> CheckRecord:
    """What the status tells of the check: `run` is the newest that has ended, None where nobody has seen one yet. Of runs that
    ended alike the first is told, so that a check that passes writes nothing."""
    counts_from, old = checks_from(status), status.check
    if counts_from is None:
        return CheckRecord(name=name)
    stays = old is not None and old.name == name and old.since is not None and old.since >= counts_from
    if run is None or run.began < counts_from:
        return old if old is not None and stays else CheckRecord(name=name)
    if old is not None and stays and old.outcome is run.outcome and _alike(old.message, run.message):
        return old
    return CheckRecord(name=name, outcome=run.outcome, since=run.ended.replace(microsecond=0), message=run.message)


def _alike(one: str, other: str) -> bool:
    """The same words, whatever the figures: a temperature that moves is no news."""
    return re.sub(r"\d+", "0", one) == re.sub(r"\d+", "0", other)


def stale_at(check: Check, *, seen: datetime) -> datetime:
    """When a check of which no run ended since `seen` tells nothing any more."""
    return seen + timedelta(seconds=2 * check.every + check.deadline) + MINUTE


def silent(check: Check, *, seen: datetime, now: datetime) -> Run:
    """In place of a run that should have ended, and did not."""
    span = format_duration(timedelta(seconds=check.every))
    text = f"it should run each {span}, and no run has ended; look at the CronJob and at its Jobs"
    return Run(began=now, ended=now, outcome=CheckOutcome.UNKNOWN, message=text)
