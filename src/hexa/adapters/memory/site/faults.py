"""What goes wrong at a site, as data: scenarios are YAML, and a fault is a line of them."""

from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import Final, Protocol

from msgspec import Struct

from hexa.adapters.memory.clock import MemoryClock, Timers
from hexa.adapters.memory.cluster.api import Backup, MemoryApi
from hexa.adapters.memory.cluster.context import Behaviour
from hexa.adapters.memory.ports.kube import MemoryKube
from hexa.adapters.memory.site.machine import MemoryMachine
from hexa.domain.duration import parse_duration
from hexa.domain.errors import Unavailable
from hexa.ports.jobs import Action


class FaultKind(StrEnum):
    LOST_WAKE = "lostWake"
    """The next `count` wakes do nothing."""
    DEAD = "dead"
    """Nothing brings power; for `duration`, or for good."""
    SLOW_BOOT = "slowBoot"
    """The next `count` boots take `duration` more."""
    NO_JOIN = "noJoin"
    """At the next `count` boots the machine has power and no kubelet ever joins."""
    HUNG_SHUTDOWN = "hungShutdown"
    """The next `count` orderly shutdowns are ignored."""
    BUTTON_ON = "buttonOn"
    BUTTON_OFF = "buttonOff"
    CRASH = "crash"
    """The system hangs with power on; after `duration`, if given, it reboots by itself."""
    REBOOT = "reboot"
    POWER_LOSS = "powerLoss"
    """The plug is pulled; after `duration`, if given, it boots by itself as the power returns."""
    PARTITION = "partition"
    """The network is away for `duration`, or for good, while the machine runs on."""
    SENSOR_BLIND = "sensorBlind"
    """The sensor reads Unknown for `duration`, or for good."""
    SICK = "sick"
    """The machine's health check fails for `duration`, or for good."""
    SENSOR_LIES = "sensorLies"
    """The sensor reads On of what is off, and Off of what is on, for `duration`, or for good."""
    STUCK_JOB = "stuckJob"
    """The next `count` power Jobs never finish."""
    FAILED_JOB = "failedJob"
    ODD_ANSWER = "oddAnswer"
    """The next `count` power Jobs switch their machine and fail all the same: the answer of its device is not understood."""
    IMAGE_MISSING = "imageMissing"
    """The image of the next `count` power Jobs can't be pulled."""
    API_ERROR = "apiError"
    """The next `count` calls of each client of the API server are answered with an error."""
    OUTAGE = "outage"
    """The API server is away for `duration`."""
    COMPACTION = "compaction"
    """The API server forgets the history of changes and ends every watch: all must list afresh."""
    CLOCK_SET = "clockSet"
    """The wall clock is set forward by `duration`, or back where that is a negative number of seconds."""
    SNAPSHOT = "snapshot"
    """A snapshot of etcd is taken."""
    RESTORE = "restore"
    """etcd is put back to the last snapshot (none: nothing happens), and the API server is away for `duration`."""


JOB_FAULTS: Final = {
    FaultKind.STUCK_JOB: Behaviour(),
    FaultKind.FAILED_JOB: Behaviour(seconds=1.0, fails=True),
    FaultKind.ODD_ANSWER: Behaviour(seconds=1.0, fails=True),
    FaultKind.IMAGE_MISSING: Behaviour(image_missing=True),
}


class Fault(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """One thing that goes wrong."""

    kind: FaultKind
    at: float | str = 0.0
    """When, after the start: seconds, or a duration such as "1h30m"."""
    machine: str = ""
    """Which machine; empty: all of them, and for Jobs the next ones of any."""
    action: Action | None = None
    """Jobs of this action only."""
    count: int = 1
    duration: float | str | None = None
    """For how long, in the forms of `at`."""


class JobDefect(Struct):
    """What the next power Jobs suffer from."""

    fault: Fault
    left: int

    def strikes(self, machine: str, action: str) -> bool:
        fault = self.fault
        return self.left > 0 and fault.machine in ("", machine) and fault.action in (None, action)


class Struck(Protocol):
    """What of a site faults reach."""

    snapshot: Backup | None

    @property
    def api(self) -> MemoryApi: ...

    @property
    def clock(self) -> MemoryClock: ...

    @property
    def timers(self) -> Timers: ...

    @property
    def machines(self) -> Mapping[str, MemoryMachine]: ...

    @property
    def control_plane(self) -> MemoryMachine | None: ...

    @property
    def clients(self) -> Sequence[MemoryKube]: ...

    @property
    def job_defects(self) -> list[JobDefect]: ...


def seconds(value: float | str) -> float:
    """A time of a fault in seconds. Raises `ValueError` where it is no duration."""
    return parse_duration(value).total_seconds() if isinstance(value, str) else float(value)


def check(site: Struck, fault: Fault) -> None:
    """Raises `ValueError` where the fault can't happen at this site: an unknown machine, a time that is no duration."""
    if fault.machine and fault.machine not in site.machines:
        raise ValueError(f"fault {fault.kind}: no machine is called {fault.machine!r}")
    for value in (fault.at, fault.duration or 0.0):
        seconds(value)


def strike(site: Struck, fault: Fault) -> None:
    """Let it happen now."""
    if fault.kind in JOB_FAULTS:
        site.job_defects.append(JobDefect(fault, fault.count))
    elif fault.kind in _SITE:
        _SITE[fault.kind](site, fault)
    else:
        for machine in _machines(site, fault):
            _MACHINE[fault.kind](site, fault, machine)


def _machines(site: Struck, fault: Fault) -> list[MemoryMachine]:
    if fault.machine:
        return [site.machines[fault.machine]]
    return [machine for machine in site.machines.values() if machine is not site.control_plane]


def _later(site: Struck, fault: Fault, action: Callable[[], object]) -> None:
    if fault.duration is not None:
        site.timers.after(seconds(fault.duration), action)


def _defect(name: str) -> Callable[[Struck, Fault, MemoryMachine], None]:
    """The machine has this defect for `duration`, or for good."""

    def strike(site: Struck, fault: Fault, machine: MemoryMachine) -> None:
        setattr(machine.defects, name, True)
        _later(site, fault, lambda: setattr(machine.defects, name, False))

    return strike


def _lie(site: Struck, fault: Fault, machine: MemoryMachine) -> None:
    machine.lie(True)
    _later(site, fault, lambda: machine.lie(False))


def _slow(site: Struck, fault: Fault, machine: MemoryMachine) -> None:
    machine.defects.slow_boots, machine.defects.slow_by = fault.count, seconds(fault.duration or 0.0)


def _crash(site: Struck, fault: Fault, machine: MemoryMachine) -> None:
    machine.hang()
    _later(site, fault, machine.reboot)


def _lose_power(site: Struck, fault: Fault, machine: MemoryMachine) -> None:
    machine.lose_power()
    _later(site, fault, machine.press_on)


def _partition(site: Struck, fault: Fault, machine: MemoryMachine) -> None:
    machine.partition(True)
    _later(site, fault, lambda: machine.partition(False))


def _compact(site: Struck, fault: Fault) -> None:
    site.api.compact(bookmarks=False)
    site.api.break_watches()


def _set_clock(site: Struck, fault: Fault) -> None:
    site.clock.set_by(seconds(fault.duration or 0.0))


def _snapshot(site: Struck, fault: Fault) -> None:
    site.snapshot = site.api.snapshot()


def _restore(site: Struck, fault: Fault) -> None:
    if site.snapshot is not None:
        site.api.restore(site.snapshot, seconds=seconds(fault.duration or 5.0))


def _api_error(site: Struck, fault: Fault) -> None:
    for client in site.clients:
        client.fail_next(Unavailable("the API server answered with an error"), times=fault.count)


_MACHINE: Final[dict[FaultKind, Callable[[Struck, Fault, MemoryMachine], None]]] = {
    FaultKind.LOST_WAKE: lambda _, fault, machine: setattr(machine.defects, "lost_wakes", fault.count),
    FaultKind.NO_JOIN: lambda _, fault, machine: setattr(machine.defects, "no_joins", fault.count),
    FaultKind.HUNG_SHUTDOWN: lambda _, fault, machine: setattr(machine.defects, "ignored_offs", fault.count),
    FaultKind.BUTTON_ON: lambda _, __, machine: machine.press_on(),
    FaultKind.BUTTON_OFF: lambda _, __, machine: machine.press_off(),
    FaultKind.REBOOT: lambda _, __, machine: machine.reboot(),
    FaultKind.DEAD: _defect("dead"),
    FaultKind.SENSOR_BLIND: _defect("sensor_blind"),
    FaultKind.SICK: _defect("sick"),
    FaultKind.SENSOR_LIES: _lie,
    FaultKind.SLOW_BOOT: _slow,
    FaultKind.CRASH: _crash,
    FaultKind.POWER_LOSS: _lose_power,
    FaultKind.PARTITION: _partition,
}
_SITE: Final[dict[FaultKind, Callable[[Struck, Fault], None]]] = {
    FaultKind.OUTAGE: lambda site, fault: site.api.outage(seconds(fault.duration or 60.0)),
    FaultKind.API_ERROR: _api_error,
    FaultKind.COMPACTION: _compact,
    FaultKind.CLOCK_SET: _set_clock,
    FaultKind.SNAPSHOT: _snapshot,
    FaultKind.RESTORE: _restore,
}
