"""Why: the reasons of wishes and of vetoes, which people and programs read as condition types, Event reasons and refusals.

They are API: add, never rename. Which rules there are, and in which order they are told, is in `rules.table`.
"""

from datetime import datetime
from enum import StrEnum

from msgspec import Struct


class Reason(StrEnum):
    """Of a veto: the rule that forbids. Of a wish: what it follows from."""

    # --- vetoes ---
    CONTROL_PLANE = "ControlPlane"
    HOSTS_CONTROL = "HostsControl"
    HOSTS_STORAGE = "HostsStorage"
    POWER_OFF_UNAVAILABLE = "PowerOffUnavailable"
    POWER_ON_UNAVAILABLE = "PowerOnUnavailable"
    COOLING_OFF = "CoolingOff"
    HOLD = "Hold"
    """Also the reason of the wish that follows from a hold."""
    MODE = "Mode"
    """What the group wants of all its machines. Also the reason of the wish that follows from it."""
    OBSERVE = "Observe"
    """Its group only observes."""
    PAUSED = "Paused"
    BUTTON_PRESSED = "ButtonPressed"
    """The power button was pressed, and nothing was heard since."""
    NAME_TAKEN = "KubernetesNodeTaken"
    DEPENDS_ON = "DependsOn"
    """Also a condition: the machine must wait for others."""
    NEEDED = "NeededBy"
    """Others depend on it. Also the reason of the on wish of a machine that is woken for them."""
    WAKE_PROOF = "WakeProof"
    MIN_ON_TIME = "MinOnTime"
    BLACKOUT = "Blackout"
    MAX_CYCLES = "MaxCycles"
    MAX_DRAINING = "MaxDraining"
    SPARE = "Spare"
    """An idle machine that is kept on. Also the reason of the on wish of one that is woken to be idle."""
    RATE_LIMIT = "RateLimit"
    """Of an off, and of a wake that waits for its turn."""
    MIN_OFF_TIME = "MinOffTime"
    """It ranks the machine last, and bars nothing."""
    ON_BATTERY = "OnBattery"
    """The UPS is on battery. Also the reason of the off that its charge asks for."""
    SAFE_HANDS = "SafeHands"
    """The site itself is in doubt: hexa only powers on."""
    MAINTENANCE_PLANNED = "MaintenancePlanned"
    """Somebody else says so on its Kubernetes node: no program wakes it, and it rests first."""
    MAINTENANCE = "MaintenanceInProgress"
    """Somebody else says so there: it is only watched. Where that is in doubt it is not switched off."""

    CIRCUIT_FULL = "CircuitFull"
    """Its circuit, or its group's maxWatts, has no watts left for it."""
    INRUSH_SPACING = "InrushSpacing"
    """It puts wakes off, and bars nothing."""

    # --- wishes ---
    POWER_STATE_CHANGED = "PowerStateChanged"
    """Somebody edited spec.powerState."""
    SCALE_UP = "ScaleUp"
    SCALE_DOWN = "ScaleDown"
    REQUEST_TAKEN_BACK = "RequestTakenBack"
    ADOPTED = "Adopted"
    """Nobody ever asked for anything: as it was found."""
    FOUND_ON = "FoundOn"
    """Somebody else switched it on."""
    FOUND_OFF = "FoundOff"
    """Somebody else switched it off, and the group says Ignore."""
    CORRECTED = "Corrected"
    """An off against a machine that somebody else switched on."""
    ADOPTION_OVER = "AdoptionOver"
    """An off once a machine that somebody else switched on was kept on for its time."""
    DRAIN_GIVEN_UP = "DrainGivenUp"
    MIN_SIZE = "MinSize"
    """An on: the group has fewer machines than its minSize."""
    MAX_SIZE = "MaxSize"
    """An off: the group has more machines than its maxSize."""
    TAKES_PLACE = "TakesPlace"
    """An on, in place of a machine that failed to start."""
    REPLACED = "Replaced"
    """An off: another machine took its place."""
    HEDGE = "Hedge"
    """A spare that is woken beside a silent machine."""
    GIVEN_UP = "GivenUp"
    """An off: it failed to start, and Cluster Autoscaler does not wait any more."""
    LATE_ARRIVAL = "LateArrival"
    EXERCISE = "Exercise"
    """Woken to show that it can be, and for nothing else."""
    PROBE = "QuietProbe"
    """It failed to start, and is woken to see whether it works again, while nobody needs it."""
    EXERCISED = "Exercised"
    """The off that ends an exercise or a quiet probe."""
    IN_USE = "InUse"
    """Pods came to a machine that was exercised."""
    NOT_NEEDED = "NotNeeded"
    """An off: nobody needs it any more of those that it was woken for."""
    MAKES_ROOM = "MakesRoom"
    """Woken for pods of another machine, which a person wants off."""
    PINNED_POD = "PinnedPod"
    """Woken for a pod that can run on no other machine."""
    LEARN_SHAPE = "LearnShape"
    """Woken for a pod that asks for a machine of a group of which none was ever seen."""


class Veto(Struct, frozen=True):
    """A rule that forbids switching a machine, and what people are told of it."""

    reason: str
    message: str
    until: datetime | None = None
    """When it ends by itself; None: not by time alone, or nobody knows."""
    field: str = ""
    """The field that it stands in."""
    of_group: bool = False
    """Whether that field is the group's."""
    of_site: bool = False
    """Whether it forbids that to every machine: told of groups, and no condition of each machine."""


def until_text(until: datetime | None) -> str:
    """The end of a sentence: when it is over."""
    return f" until {until.isoformat(timespec='seconds')}" if until else ""


def because_text(reason: str) -> str:
    """The end of a sentence: what somebody gave as reason."""
    return f": {reason}" if reason else ""
