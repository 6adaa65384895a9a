"""The life of a machine as tables: phases, events, duties, limits, and what entering a phase does to the status.

Everything about transitions is here and nowhere else. It knows no clock and no Kubernetes object but our own status;
what an event means in facts is in `sensing`. Phase strings are API: add, never rename. docs/lifecycle.svg is drawn from this.
"""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from msgspec import structs

from hexa.domain.errors import IllegalTransition
from hexa.domain.machine.availability import Side, counted, woken
from hexa.domain.policy.limits import Limits
from hexa.domain.resources.boot import FirstWake
from hexa.domain.resources.remediation import RemediationStatus
from hexa.domain.resources.status import NEVER_SWITCHED
from hexa.domain.resources.v1alpha1 import HistoryEntry, NodeStatus


class Phase(StrEnum):
    UNKNOWN = "Unknown"
    OFF = "Off"
    POWERING_ON = "PoweringOn"
    BOOTING = "Booting"
    READY = "Ready"
    DRAINING = "Draining"
    POWERING_OFF = "PoweringOff"
    START_FAILED = "StartFailed"
    STOP_FAILED = "StopFailed"
    LOST = "Lost"


class Event(StrEnum):
    """Things noticed. What each means in facts: `sensing.HOLDS`."""

    WANTED = "Wanted"
    UNWANTED = "Unwanted"
    POWER_SEEN = "PowerSeen"
    POWER_GONE = "PowerGone"
    STARTED = "Started"
    NODE_READY = "NodeReady"
    NODE_LOST = "NodeLost"
    KEPT = "Kept"
    EMPTY = "Empty"
    FORCED = "Forced"
    OCCUPIED = "Occupied"
    OVERDUE = "Overdue"
    POWER_CYCLE = "PowerCycle"
    COOLED_DOWN = "CooledDown"


class Duty(StrEnum):
    """Work that a phase demands, repeatable: after a crash the phase is read and its duty is done again."""

    LEAVE = "Leave"
    WAKE = "Wake"
    WAKE_AGAIN = "WakeAgain"
    WELCOME = "Welcome"
    DRAIN = "Drain"
    POWER_OFF = "PowerOff"


P, E, D = Phase, Event, Duty

TRANSITIONS: Final[dict[Phase, dict[Event, Phase]]] = {  # most urgent event first; anything absent is illegal
    P.UNKNOWN: {E.NODE_READY: P.READY, E.POWER_SEEN: P.BOOTING, E.POWER_GONE: P.OFF, E.OVERDUE: P.OFF},
    P.OFF: {E.POWER_SEEN: P.BOOTING, E.WANTED: P.POWERING_ON},
    P.POWERING_ON: {
        E.UNWANTED: P.DRAINING,
        E.NODE_READY: P.READY,
        E.POWER_SEEN: P.BOOTING,
        E.STARTED: P.BOOTING,
        E.OVERDUE: P.START_FAILED,
    },
    P.BOOTING: {E.UNWANTED: P.DRAINING, E.NODE_READY: P.READY, E.POWER_GONE: P.START_FAILED, E.OVERDUE: P.START_FAILED},
    P.READY: {E.POWER_GONE: P.LOST, E.NODE_LOST: P.LOST, E.UNWANTED: P.DRAINING},
    P.DRAINING: {
        E.POWER_GONE: P.OFF,
        E.KEPT: P.READY,
        E.WANTED: P.BOOTING,
        E.EMPTY: P.POWERING_OFF,
        E.NODE_LOST: P.LOST,
        E.FORCED: P.POWERING_OFF,
        E.OVERDUE: P.READY,
    },
    P.POWERING_OFF: {E.POWER_GONE: P.OFF, E.OCCUPIED: P.DRAINING, E.OVERDUE: P.STOP_FAILED},
    P.START_FAILED: {E.NODE_READY: P.READY, E.POWER_CYCLE: P.POWERING_OFF, E.COOLED_DOWN: P.UNKNOWN},
    P.STOP_FAILED: {E.POWER_GONE: P.OFF, E.WANTED: P.BOOTING, E.COOLED_DOWN: P.DRAINING},
    P.LOST: {
        E.NODE_READY: P.READY,
        E.POWER_GONE: P.OFF,
        E.EMPTY: P.POWERING_OFF,
        E.FORCED: P.POWERING_OFF,
        E.WANTED: P.POWERING_ON,
        E.POWER_CYCLE: P.POWERING_OFF,  # the wish stays on: once it is off, it is woken again
    },
}

DUTIES: Final[dict[Phase, Duty]] = {
    P.OFF: D.LEAVE,
    P.POWERING_ON: D.WAKE,
    P.BOOTING: D.WAKE_AGAIN,
    P.READY: D.WELCOME,
    P.DRAINING: D.DRAIN,
    P.POWERING_OFF: D.POWER_OFF,
}

LIMITS: Final[dict[Phase, str]] = {  # fields of `group.Limits`
    P.UNKNOWN: "settle",
    P.POWERING_ON: "power_on",
    P.BOOTING: "boot",
    P.DRAINING: "drain",
    P.POWERING_OFF: "power_off",
}

ON_PHASES: Final = frozenset({P.BOOTING, P.READY, P.DRAINING, P.POWERING_OFF, P.STOP_FAILED, P.LOST, P.POWERING_ON})
"""Phases whose time counts as on in the energy account: the machine draws power, or is about to."""

COMING: Final = frozenset({P.POWERING_ON, P.BOOTING})
"""On the way up: may still be cancelled, and its Kubernetes node is not schedulable yet."""

TRYING: Final = COMING | {P.START_FAILED}
"""Coming up, or failed to."""

FAILED: Final = frozenset({P.START_FAILED, P.STOP_FAILED, P.LOST})

UP_PHASES: Final = frozenset({P.READY, P.DRAINING})
"""Phases in which the machine is there for pods."""

DOWN_PHASES: Final = frozenset({P.LOST, P.START_FAILED})
"""Phases in which it should be there and is not; on the way up from one of them it still is not."""

PROGRESS: Final[dict[Phase, str]] = {  # the seed system's words, for old readers
    P.UNKNOWN: "",
    P.OFF: "shutdown",
    P.POWERING_ON: "startingup",
    P.BOOTING: "startingup",
    P.START_FAILED: "startingup",
    P.READY: "ready",
    P.LOST: "ready",
    P.DRAINING: "shuttingdown",
    P.POWERING_OFF: "shuttingdown",
    P.STOP_FAILED: "shuttingdown",
}

ILL: Final = frozenset({P.LOST, P.START_FAILED})
"""Entering these begins an illness, unless one goes on."""

WELL: Final = frozenset({P.READY, P.OFF, P.POWERING_ON})
"""Entering these ends it: the machine works, or begins anew."""

IN_CYCLE: Final = frozenset({P.POWERING_OFF, P.OFF, P.POWERING_ON, P.BOOTING})
"""The way of a machine whose power is cycled, until it is up or has failed."""

WELL_FOR: Final = timedelta(hours=6)
"""An illness that begins so long after the last power cycle is a new one: its cycles are counted from one."""

HISTORY_LENGTH: Final = 20
BOOTS_KEPT: Final = 10
DOUBLINGS: Final = 64
"""A cool-off has long reached its bound after so many failures in a row."""


_PHASES: Final[dict[str, Phase]] = {phase.value: phase for phase in Phase}


def phase_of(status: NodeStatus) -> Phase:
    """The stored phase; Unknown at first sight, and for a phase that a later version wrote."""
    return _PHASES.get(status.phase, Phase.UNKNOWN)


def on_its_way(status: NodeStatus) -> bool:
    """Whether it comes up. On a machine that has failed to start nobody counts before it is Ready."""
    return phase_of(status) in (Phase.POWERING_ON, Phase.BOOTING) and not status.failures


def step(status: NodeStatus, event: Event, *, now: datetime, limits: Limits) -> NodeStatus:
    """The status after `event`. Raises `IllegalTransition` for a pair that the table does not have."""
    phase = phase_of(status)
    target = TRANSITIONS[phase].get(event)
    if target is None:
        raise IllegalTransition(f"{event} in phase {phase}")
    return enter(status, target, event=event, now=now, limits=limits)


def enter(status: NodeStatus, phase: Phase, *, event: Event | None, now: datetime, limits: Limits) -> NodeStatus:
    """The status on entry into `phase`: since when, counters, cool-off, history."""
    old = phase_of(status)
    entry = HistoryEntry(at=now, action=str(phase), by=str(event) if event else "FirstSight")
    status = structs.replace(
        count_availability(count_energy(status, now=now), now=now),
        phase=str(phase),
        since=now,
        stood_still=0.0,
        silent=status.silent and event is Event.STARTED,  # a Job that ended is no sign of life
        paused_since=now if status.paused_since else None,
        history=(*status.history, entry)[-HISTORY_LENGTH:],
    )
    status = structs.replace(status, remediation=_illness(status.remediation, phase, event, now))
    return _ENTRY.get(phase, _plain)(status, old, event, now, limits)


def trying_since(status: NodeStatus) -> datetime | None:
    """When the try to come up began that is under way, or that failed; None: there is none."""
    began = None
    for entry in reversed(status.history):
        if entry.action not in TRYING:
            break
        began = entry.at
    return began


def _illness(known: RemediationStatus, phase: Phase, event: Event | None, now: datetime) -> RemediationStatus:
    """Illness and power cycles on entry into `phase`."""
    if event is Event.POWER_CYCLE:
        return structs.replace(known, cycles=cycles_in_a_row(known) + 1, cycled_at=now, cycling=True)
    goes_on = known.cycling and phase in IN_CYCLE
    since = None if phase in WELL else known.ill_since or (now if phase in ILL else None)
    return structs.replace(known, ill_since=since, cycling=goes_on)


def cycles_in_a_row(known: RemediationStatus) -> int:
    """Power cycles that this illness had, those of one that it may be the sequel of included."""
    if known.cycled_at is None:
        return 0
    anew = known.ill_since is not None and known.ill_since - known.cycled_at >= WELL_FOR
    return 0 if anew else known.cycles


def count_energy(status: NodeStatus, *, now: datetime) -> NodeStatus:
    """Add the time since the account was last complete to its on or off side."""
    account = status.energy
    if account.counted_to is None:
        return structs.replace(status, energy=structs.replace(account, counted_to=now))
    seconds = max(0.0, (now - account.counted_to).total_seconds())
    side = "on_seconds" if phase_of(status) in ON_PHASES else "off_seconds"
    changes = {side: getattr(account, side) + seconds, "counted_to": max(now, account.counted_to)}
    return structs.replace(status, energy=structs.replace(account, **changes))


def count_availability(status: NodeStatus, *, now: datetime) -> NodeStatus:
    """Add the time since the account was last complete to the time up or down, if it was either."""
    return structs.replace(status, availability=counted(status.availability, _side(status), now=now))


def _side(status: NodeStatus) -> Side:
    phase = phase_of(status)
    if phase in UP_PHASES:
        return "up"
    marks = UP_PHASES | DOWN_PHASES | {P.POWERING_OFF}
    last = next((entry.action for entry in reversed(status.history) if entry.action in marks), "")
    return "down" if phase in DOWN_PHASES or (phase in COMING and last in DOWN_PHASES) else ""


def send_wake(status: NodeStatus, *, now: datetime) -> NodeStatus:
    """The status before another wake Job is made: a new attempt, counted for this boot."""
    first = status.first_wake if status.wakes > 0 else FirstWake(at=now)
    woken = structs.replace(status, wakes=status.wakes + 1, woken_at=now, first_wake=first)
    return structs.replace(woken, attempt=status.attempt + 1, job=None)


def again(status: NodeStatus, *, now: datetime) -> NodeStatus:
    """The status before the same action is tried anew, because nobody knows what became of its Job: a new attempt."""
    woken = {} if status.woken_at is None else {"woken_at": now}
    return structs.replace(status, attempt=status.attempt + 1, job=None, **woken)


def cool_off(failures: int, *, limits: Limits) -> timedelta:
    """How long a machine is left alone after `failures` failures in a row: doubling, bounded."""
    span = min(limits.backoff, limits.max_backoff)
    for _ in range(min(failures - 1, DOUBLINGS)):
        span = min(span * 2, limits.max_backoff)
    return span


def forgiven(status: NodeStatus, before: NodeStatus, *, now: datetime, limits: Limits) -> NodeStatus:
    """The status after a failure that is not held against the machine: it is left alone as after a first one, and nothing is
    counted."""
    account = structs.replace(
        status.availability, recent_wakes=before.availability.recent_wakes, wakes=before.availability.wakes
    )
    return structs.replace(
        status,
        failures=before.failures,
        cool_until=now + cool_off(before.failures, limits=limits),
        wake_proven_at=before.wake_proven_at,
        wake_failed_at=before.wake_failed_at,
        availability=account,
    )


def _plain(status: NodeStatus, old: Phase, event: Event | None, now: datetime, limits: Limits) -> NodeStatus:
    return status


def _powering_on(status: NodeStatus, old: Phase, event: Event | None, now: datetime, limits: Limits) -> NodeStatus:
    status = _remember(status, wakes=_newest(status.switched.wakes, now, limits.wakes_kept))
    return send_wake(structs.replace(status, wakes=0, replaced=False, forced=False, blocker=""), now=now)


def _newest(known: tuple[datetime, ...], now: datetime, kept: int) -> tuple[datetime, ...]:
    """The moments that are remembered, with this one."""
    return (*known, now)[-kept:] if kept > 0 else ()


def _remember(status: NodeStatus, **moments: tuple[datetime, ...]) -> NodeStatus:
    switched = structs.replace(status.switched, **moments)
    return structs.replace(status, switched=switched if switched != NEVER_SWITCHED else NEVER_SWITCHED)


def _booting(status: NodeStatus, old: Phase, event: Event | None, now: datetime, limits: Limits) -> NodeStatus:
    if old is Phase.POWERING_ON:
        return status  # the wake that was sent is this boot's
    if old is Phase.OFF:  # a button, or mains that came back: a network card may have lost its wake flag by it
        status = structs.replace(status, wake_proven_at=None)
    return structs.replace(status, wakes=0, woken_at=now, first_wake=None, replaced=False, forced=False)


def _draining(status: NodeStatus, old: Phase, event: Event | None, now: datetime, limits: Limits) -> NodeStatus:
    return structs.replace(status, forced=False)  # a forced power-off that failed forces no later drain


def _ready(status: NodeStatus, old: Phase, event: Event | None, now: datetime, limits: Limits) -> NodeStatus:
    status = structs.replace(status, welcomed=False, forced=False)
    if event is Event.OVERDUE:  # the drain is given up
        return _failed(status, now, limits)
    if old is Phase.DRAINING or old is Phase.LOST:
        return structs.replace(status, blocker="")
    status = structs.replace(status, failures=0, cool_until=None, blocker="")
    return _booted(status, now) if old is not Phase.UNKNOWN else status


def _booted(status: NodeStatus, now: datetime) -> NodeStatus:
    boots = status.boot_seconds
    if (began := _boot_began(status)) is not None:
        boots = (*boots, round((now - began).total_seconds(), 3))[-BOOTS_KEPT:]
    energy = structs.replace(status.energy, boots=status.energy.boots + 1)
    if _woken_by_us(status):
        availability = woken(status.availability, worked=True)
        status = structs.replace(status, wake_proven_at=now, wake_failed_at=None, availability=availability)
    status = structs.replace(status, woken_at=None, first_wake=None)
    return structs.replace(status, last_startup_time=now, boot_seconds=boots, energy=energy)


def _boot_began(status: NodeStatus) -> datetime | None:
    """The first wake of the boot: which of its wakes the machine answered, nobody knows. None: hexa did not begin it."""
    if status.wakes == 0:
        return None
    if status.first_wake is not None:
        return status.first_wake.at
    return (
        trying_since(structs.replace(status, history=status.history[:-1])) or status.woken_at
    )  # of an earlier version


def _woken_by_us(status: NodeStatus) -> bool:
    """Whether this boot, which has just ended in Ready, proves that the machine can be woken: it was off, our Job did not fail, and
    it came within its limits. One that comes later may have been helped by a person."""
    job = status.job
    worked = job is not None and job.action == "startup" and job.outcome not in ("failed", "unmade")
    return worked and _from_off(status, to=P.READY)


def _from_off(status: NodeStatus, *, to: Phase) -> bool:
    """Whether the way that has just ended in `to` began with a wake of a machine that was off."""
    way = [entry.action for entry in status.history if entry.action != P.BOOTING]
    return way[-3:] == [P.OFF, P.POWERING_ON, to]


def _powering_off(status: NodeStatus, old: Phase, event: Event | None, now: datetime, limits: Limits) -> NodeStatus:
    forced = event is Event.FORCED
    return structs.replace(status, attempt=status.attempt + 1, job=None, forced=forced)


def _off(status: NodeStatus, old: Phase, event: Event | None, now: datetime, limits: Limits) -> NodeStatus:
    status = structs.replace(status, wakes=0, woken_at=None, first_wake=None)
    status = structs.replace(status, welcomed=False, forced=False, replaced=False)
    status = structs.replace(status, cool_until=None, blocker="")  # they spoke of a drain, and nothing is left to drain
    if old in (Phase.POWERING_OFF, Phase.STOP_FAILED):
        status = _remember(status, offs=_newest(status.switched.offs, now, limits.offs_kept))
        status = structs.replace(status, last_shutdown_time=now, failures=0)
    return status


def _start_failed(status: NodeStatus, old: Phase, event: Event | None, now: datetime, limits: Limits) -> NodeStatus:
    if status.wakes > 0:
        status = structs.replace(status, wake_proven_at=None, wake_failed_at=now)
        if _from_off(status, to=P.START_FAILED):
            status = structs.replace(status, availability=woken(status.availability, worked=False))
    return _failed(status, now, limits)


def _failure(status: NodeStatus, old: Phase, event: Event | None, now: datetime, limits: Limits) -> NodeStatus:
    return _failed(status, now, limits)


def _failed(status: NodeStatus, now: datetime, limits: Limits) -> NodeStatus:
    failures = status.failures + 1
    return structs.replace(status, failures=failures, cool_until=now + cool_off(failures, limits=limits))


_ENTRY: Final = {
    P.POWERING_ON: _powering_on,
    P.BOOTING: _booting,
    P.READY: _ready,
    P.DRAINING: _draining,
    P.POWERING_OFF: _powering_off,
    P.OFF: _off,
    P.START_FAILED: _start_failed,
    P.STOP_FAILED: _failure,
}
