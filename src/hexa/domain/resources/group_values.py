"""What the fields of a Group are made of: its windows, its policies of one subject, and the words that it may say."""

from enum import StrEnum
from typing import Annotated, Final

from msgspec import Meta, field

from hexa.domain.resources.core import Slice
from hexa.domain.resources.remediation import CountOrShare
from hexa.domain.resources.values import INT32_MAX, Duration, Number
from hexa.domain.weekly import Day


class DrainPolicy(Slice, frozen=True, kw_only=True):
    force: Annotated[
        bool,
        Meta(description="Switch off at the drain deadline even if pods are left. Loses work; default false."),
    ] = False
    grace_period: Annotated[
        Duration | None,
        Meta(description="Longest termination grace that evicted pods get. Default: each pod's own."),
    ] = None
    delete_empty_dir: Annotated[
        bool,
        Meta(
            description="Evict pods with emptyDir volumes (their data is lost). Default false: they "
            "keep the machine on."
        ),
    ] = False
    allow_pinned: Annotated[
        bool,
        Meta(description="Evict pods whose volume is tied to the machine. Default false: they keep the machine on."),
    ] = False
    allow_bare: Annotated[
        bool,
        Meta(description="Evict pods that no controller brings back. Default false: they keep the machine on."),
    ] = False
    volume_detach: Annotated[
        Duration | None,
        Meta(
            description="How long volumes are waited for that are still attached to the Kubernetes node, or in use by its kubelet, "
            'when its pods are gone; no longer than timeouts.drain, and with "0s" not at all. Default "2m".'
        ),
    ] = None


class Cost(Slice, frozen=True, kw_only=True):
    currency: Annotated[str, Meta(description="Currency of every rate and price, for reports only. Default EUR.")] = (
        "EUR"
    )
    price_per_kwh: Annotated[
        Number | None,
        Meta(
            description="Price of a kilowatt-hour; with energy.* of the machines it becomes part of the hourly price."
        ),
    ] = field(name="pricePerKWh", default=None)
    tariff: Annotated[
        str,
        Meta(
            description="Name of a tariff of hexa's configuration. With energy.* of the machines it makes the price of an hour, "
            "each hour its own; pricePerKWh counts where there is none of that name."
        ),
    ] = ""


TIME_OF_DAY_PATTERN: Final = r"^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$"
TimeOfDay = Annotated[str, Meta(extra={"x-crd": {"maxLength": 5, "pattern": TIME_OF_DAY_PATTERN}})]


class Blackout(Slice, frozen=True, kw_only=True):
    """A weekly window in which nothing is switched off."""

    days: Annotated[
        tuple[Day, ...],
        Meta(description="On which days it begins. Default: all."),
    ] = ()
    start: Annotated[TimeOfDay, Meta(description='Time of day by the clock of the zone, "HH:MM". Default 00:00.')] = (
        field(name="from", default="00:00")
    )
    end: Annotated[
        TimeOfDay,
        Meta(description='Time of day, "24:00" at most; at or before from: on the next day. Default 24:00.'),
    ] = field(name="to", default="24:00")
    zone: Annotated[str, Meta(description="IANA name of the time zone, such as Europe/Berlin. Default UTC.")] = "UTC"
    reason: Annotated[str, Meta(description="Why, for people who read it later.")] = ""


DATE_PATTERN: Final = r"^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$"
Date = Annotated[str, Meta(extra={"x-crd": {"maxLength": 10, "pattern": DATE_PATTERN}})]
MOST_SCHEDULES: Final = 32


class Mode(StrEnum):
    """Who decides about the machines of a group."""

    AUTO = "Auto"
    ALWAYS_ON = "AlwaysOn"
    ALWAYS_OFF = "AlwaysOff"
    OBSERVE = "Observe"


class Schedule(Slice, frozen=True, kw_only=True):
    """A weekly window in which values of the group are others; what it does not set stays as it is."""

    days: Annotated[tuple[Day, ...], Meta(description="On which days it begins. Default: all.")] = ()
    start: Annotated[TimeOfDay, Meta(description='Time of day by the clock of the zone, "HH:MM". Default 00:00.')] = (
        field(name="from", default="00:00")
    )
    end: Annotated[
        TimeOfDay,
        Meta(description='Time of day, "24:00" at most; at or before from: on the next day. Default 24:00.'),
    ] = field(name="to", default="24:00")
    zone: Annotated[str, Meta(description="IANA name of the time zone, such as Europe/Berlin. Default UTC.")] = "UTC"
    but: Annotated[
        tuple[Date, ...],
        Meta(description='Dates, "YYYY-MM-DD" in the zone, on which it does not begin: holidays.'),
    ] = field(name="except", default=())
    min_size: Annotated[
        Annotated[int, Meta(ge=0, le=INT32_MAX)] | None,
        Meta(
            description="minSize while it holds. Machines that it needs are woken before, by what their boots have taken, so that "
            "they are Ready when it begins."
        ),
    ] = None
    max_size: Annotated[
        Annotated[int, Meta(ge=0, le=INT32_MAX)] | None,
        Meta(description="maxSize while it holds: hexa drains down to it when it begins."),
    ] = None
    mode: Annotated[
        Mode | None,
        Meta(description="mode while it holds. Machines that are wanted on are woken before, as for minSize."),
    ] = None
    spares: Annotated[
        CountOrShare | None,
        Meta(description="spares while it holds. Those that are missing are woken before, as for minSize."),
    ] = None
    reason: Annotated[str, Meta(description="What it is called, for people who read it later.")] = ""


class RateLimit(Slice, frozen=True, kw_only=True):
    """How many machines are switched within a span."""

    wakes: Annotated[
        Annotated[int, Meta(ge=1, le=100)] | None,
        Meta(description="Most machines that begin to be woken within it. Default: no limit."),
    ] = None
    rests: Annotated[
        Annotated[int, Meta(ge=1, le=100)] | None,
        Meta(description="Most machines that begin to be switched off within it. Default: no limit."),
    ] = None
    per: Annotated[Duration | None, Meta(description="The span. Default 10m.")] = None


class BatteryPolicy(Slice, frozen=True, kw_only=True):
    """When the machines of a group go off while the UPS is on battery: whichever comes first."""

    charge: Annotated[
        Annotated[int, Meta(ge=0, le=100)] | None,
        Meta(description="Percent of charge; 0: never by charge. Default: ups.offAt.charge of the configuration."),
    ] = None
    runtime: Annotated[
        Duration | None,
        Meta(
            description="What is left at this load; 0s: never by it. Default: ups.offAt.runtime of the configuration."
        ),
    ] = None


class LeavePolicy(StrEnum):
    DELETE = "Delete"
    KEEP = "Keep"


class WakeProof(StrEnum):
    """What is made of a machine that hexa has not shown to wake (words: YAML reads a bare Off as false)."""

    REQUIRE = "Require"
    WARN = "Warn"
    IGNORE = "Ignore"


class QuarantineProbe(StrEnum):
    """How a machine that failed to start is looked at, while nobody needs it."""

    LOOK = "Look"
    WAKE = "Wake"


class Storage(StrEnum):
    """What is made of machines that hold data for others."""

    KEEP = "keep"
    IGNORE = "ignore"


class HardOff(StrEnum):
    """Whether the power of running machines may be cut."""

    ALLOW = "Allow"
    FORBID = "Forbid"


class OnUnexpectedPower(StrEnum):
    """What is made of a machine whose power somebody else switched."""

    ADOPT = "Adopt"
    CORRECT = "Correct"
    IGNORE = "Ignore"


class OrderBy(StrEnum):
    """What machines of a group are compared by."""

    RELIABILITY = "reliability"
    ENERGY = "energy"
    BOOT = "boot"
    WEAR = "wear"
    COST = "cost"
    INDEX = "index"
