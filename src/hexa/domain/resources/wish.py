"""What is wanted of a machine, by whom, and what was read of its power. What it means is decided in `hexa.domain.machine.wish`."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal

from msgspec import Meta, field

from hexa.domain.resources.core import Slice
from hexa.domain.resources.values import OnOff, Time


class Power(StrEnum):
    """What we want of a machine, or what was read of it."""

    ON = "on"
    OFF = "off"


class Reading(StrEnum):
    """A power reading. Unknown is a value: a NotReady Kubernetes node is never by itself off."""

    ON = "On"
    OFF = "Off"
    UNKNOWN = "Unknown"


class Asker(StrEnum):
    """Who decided a wish, highest rank first; `recovery` is hexa itself, and ranks with the two before it."""

    HOLD = "hold"
    UPS = "ups"
    MODE = "mode"
    SCHEDULE = "schedule"
    CLUSTER_AUTOSCALER = "cluster-autoscaler"
    USER = "user"
    RECOVERY = "recovery"


class Hold(Slice, frozen=True, kw_only=True):
    power: Annotated[
        OnOff,
        Meta(description="What the machine (each machine of the group) should be while the hold stands."),
    ]
    until: Annotated[Time | None, Meta(description="When the hold ends (RFC 3339); absent: until it is removed.")] = (
        None
    )
    reason: Annotated[str, Meta(description="Why, for people who read it later.")] = ""
    make_room: Annotated[
        bool,
        Meta(
            description="With power off: wake another machine for pods that fit nowhere else, move them, then go off. Never "
            "above maxSize of that machine's group. Default false: such pods keep the machine on."
        ),
    ] = False


class Request(Slice, frozen=True, kw_only=True, omit_defaults=False):
    """What was asked of machines of the group in one write, until each machine's own wish says so."""

    power: Annotated[Power, Meta(description="on or off.")]
    by: Annotated[Asker, Meta(description="Who asked.")]
    reason: Annotated[str, Meta(description="Why, in CamelCase.")] = ""
    since: Annotated[datetime | None, Meta(description="When it was asked.")] = None
    replaces: Annotated[str, Meta(description="The machine of the group whose place they take.")] = ""
    machines: Annotated[
        dict[str, str],
        Meta(
            description="Machines by name, each with a hash of what was wanted of it then: another one ends the entry."
        ),
    ] = field(default_factory=dict)


class WishRecord(Slice, frozen=True, kw_only=True, omit_defaults=False):
    """What we want of a machine, who asked, why and since when."""

    power: Annotated[Power, Meta(description="on or off.")]
    by: Annotated[
        Asker, Meta(description="Who asked: hold, ups, mode, schedule, cluster-autoscaler, user or recovery.")
    ]
    reason: Annotated[str, Meta(description="Why, in CamelCase.")] = ""
    since: Annotated[datetime | None, Meta(description="When it was asked.")] = None
    spec: Annotated[
        Literal["", "on", "off"],
        Meta(description="spec.powerState when it was asked: another value there is a new wish, by user."),
    ] = ""
    until: Annotated[datetime | None, Meta(description="When this wish ends, and off is wanted again.")] = None
    then: Annotated[Asker | None, Meta(description="Who wants it off again then.")] = None
    replaces: Annotated[
        str,
        Meta(
            description="The machine of the group that failed to start, or is silent, and whose place this one takes."
        ),
    ] = ""
    needed_by: Annotated[
        str, Meta(description="The machine that depends on this one, and for which it is wanted on.")
    ] = ""
    make_room: Annotated[bool, Meta(description="Another machine is woken for pods that fit nowhere else.")] = False
    makes_room_for: Annotated[
        str, Meta(description="NAMESPACE/NAME of the machine that is to be off, and whose pods this one is woken for.")
    ] = ""


class PowerReading(Slice, frozen=True, kw_only=True, omit_defaults=False):
    power: Annotated[Reading, Meta(description="On, Off or Unknown.")] = Reading.UNKNOWN
    source: Annotated[str, Meta(description="What was asked: the name of the sensor.")] = ""
    at: Annotated[datetime | None, Meta(description="When it was read.")] = None
