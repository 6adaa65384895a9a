"""What people can be told of: each event with its severity, its words, and how long it must stand before it is told.

Most of them stand for a time and end: they are read from statuses, so that an agent that starts anew knows since when they stand.
The others are moments, and come from the news.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from msgspec import Struct

from hexa.domain.resources.v1alpha1 import Lookup


class Level(StrEnum):
    """How urgent it is."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"
    """Told in quiet hours too."""


LEVELS: Final = tuple(Level)
PRIORITIES: Final[Mapping[Level, int]] = {Level.INFO: 3, Level.WARNING: 4, Level.CRITICAL: 5}
"""As ntfy counts, from 1 to 5."""


class Event(StrEnum):
    """Names of the configuration. They are API: add, never rename."""

    MACHINE_DOES_NOT_WAKE = "MachineDoesNotWake"
    QUARANTINED = "Quarantined"
    MACHINE_DOES_NOT_STOP = "MachineDoesNotStop"
    MACHINE_LOST = "MachineLost"
    DRAIN_BLOCKED = "DrainBlocked"
    POWER_UNAVAILABLE = "PowerUnavailable"
    HEALTH_CHECK_FAILED = "HealthCheckFailed"
    OBJECT_INVALID = "ObjectInvalid"
    GROUP_SHORT = "GroupShort"
    REMEDIATION_STOPPED = "RemediationStopped"
    SAFE_HANDS = "SafeHands"
    ON_BATTERY = "OnBattery"
    BATTERY_LOW = "BatteryLow"
    UPS_NOT_HEARD = "UpsNotHeard"
    PRICES_END = "PricesEnd"
    CERTIFICATE_ENDS = "CertificateEnds"
    AUTOSCALER_SILENT = "AutoscalerSilent"
    FOUND_OFF = "FoundOff"
    FOUND_ON = "FoundOn"
    POWER_CYCLED = "PowerCycled"
    MACHINE_ON = "MachineOn"
    MACHINE_OFF = "MachineOff"


class Kind(Struct, frozen=True):
    """An event, for people."""

    says: str
    """A sentence without its end; {name} is the object."""
    means: str
    """For the documentation."""
    level: Level = Level.WARNING
    stands: timedelta = timedelta(0)
    """What ends sooner is not told."""
    asked: bool = True
    """Whether a receiver that lists no events is told."""


MINUTE: Final = timedelta(minutes=1)

KINDS: Final[Mapping[Event, Kind]] = {
    Event.MACHINE_DOES_NOT_WAKE: Kind("{name} does not wake", "A machine failed to start, until it is Ready."),
    Event.QUARANTINED: Kind(
        "{name} failed to start again and is in quarantine", "It failed to start twice or more in a row."
    ),
    Event.MACHINE_DOES_NOT_STOP: Kind("{name} does not switch off", "It is still on after its shutdown Job."),
    Event.MACHINE_LOST: Kind(
        "{name} is lost", "No sign of life from a machine that should be up, for a minute.", stands=MINUTE
    ),
    Event.DRAIN_BLOCKED: Kind("{name} cannot be drained", "A drain was given up: a pod keeps the machine on."),
    Event.POWER_UNAVAILABLE: Kind(
        "the power of {name} is not available",
        "Its BMC, PDU or plug has not told its power for five minutes or contradicts the kubelet, or a power Job failed.",
        stands=5 * MINUTE,
    ),
    Event.HEALTH_CHECK_FAILED: Kind("the health check of {name} fails", "spec.healthcheckPodSpec fails."),
    Event.OBJECT_INVALID: Kind(
        "{name} cannot be used as it is written", "A Group or Node has the condition Invalid.", stands=MINUTE
    ),
    Event.GROUP_SHORT: Kind(
        "{name} has fewer machines than its minSize",
        "Fewer machines of a group are Ready or on their way than its minSize, for a quarter of an hour. "
        "Machines that a person holds off are not missed.",
        stands=15 * MINUTE,
    ),
    Event.REMEDIATION_STOPPED: Kind(
        "machines of {name} are ill, and their power is not cycled", "The condition RemediationStopped of a Group."
    ),
    Event.SAFE_HANDS: Kind(
        "the whole site is in doubt", "SafeHands: hexa only powers on until it is calm.", Level.CRITICAL
    ),
    Event.ON_BATTERY: Kind("the UPS is on battery", "No program wakes a machine until it ends.", Level.CRITICAL),
    Event.BATTERY_LOW: Kind(
        "the battery of the UPS is low, and machines go off", "The threshold of the UPS was reached.", Level.CRITICAL
    ),
    Event.UPS_NOT_HEARD: Kind("the UPS is not heard", "upsd has not answered for five minutes.", stands=5 * MINUTE),
    Event.PRICES_END: Kind("the prices of a tariff end", "Within six hours, or they have ended."),
    Event.CERTIFICATE_ENDS: Kind("a certificate of hexa ends soon", "Within two weeks, and again within three days."),
    Event.AUTOSCALER_SILENT: Kind(
        "Cluster Autoscaler does not call", "It called, and has not for five minutes: nobody wakes machines for pods."
    ),
    Event.FOUND_OFF: Kind("somebody else switched {name} off", "It stays off."),
    Event.FOUND_ON: Kind("somebody else switched {name} on", "It stays on, or is switched off again.", Level.INFO),
    Event.POWER_CYCLED: Kind("the power of {name} is cycled", "Its kubelet is silent (spec.remediation).", Level.INFO),
    Event.MACHINE_ON: Kind(
        "{name} is Ready", "Each boot, at most once an hour for a machine.", Level.INFO, asked=False
    ),
    Event.MACHINE_OFF: Kind("{name} is off", "Each rest, at most once an hour for a machine.", Level.INFO, asked=False),
}

EXPLAINS: Final[Mapping[Event, frozenset[Event]]] = {
    Event.SAFE_HANDS: frozenset(
        {Event.MACHINE_LOST, Event.POWER_UNAVAILABLE, Event.HEALTH_CHECK_FAILED, Event.GROUP_SHORT}
    ),
    Event.ON_BATTERY: frozenset({Event.GROUP_SHORT}),
    Event.BATTERY_LOW: frozenset({Event.GROUP_SHORT}),
}
"""What is not told while the other stands: it has the same cause, and is told afterwards if it still stands."""


class Trouble(Struct, frozen=True, kw_only=True):
    """Something that stands, or happened."""

    event: Event
    slot: str
    """Of its object: what takes the place of what. Two troubles of one slot and object are never told apart at the same time."""
    of: Lookup | None
    """The Group or Node; None: the whole site."""
    why: str = ""
    """In a sentence."""
    group: str = ""
    """The machine's group, or the group itself."""
    machine: bool = False
    since: datetime | None = None
    """None: the status does not say."""

    @property
    def level(self) -> Level:
        return KINDS[self.event].level

    @property
    def place(self) -> tuple[str, str]:
        """Slot and object."""
        return self.slot, str(self.of or "")

    @property
    def title(self) -> str:
        """A sentence without its end."""
        return KINDS[self.event].says.format(name=self.of.name if self.of is not None else "")


class State(StrEnum):
    """What is told of it."""

    BEGAN = "began"
    OVER = "over"
    HAPPENED = "happened"


class Telling(Struct, frozen=True):
    """A trouble began, or is over; or something happened."""

    trouble: Trouble
    state: State
    at: datetime
