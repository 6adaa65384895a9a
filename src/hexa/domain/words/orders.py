"""What may be asked over HTTP, and how it is answered: shapes, and how long something is wanted."""

from datetime import datetime, timedelta
from typing import Annotated, Final, Literal

from msgspec import Meta, Struct

from hexa.domain.duration import DURATION_PATTERN
from hexa.domain.words.overview import MachineState

LONGEST: Final = timedelta(days=366)
WOKEN_FOR: Final = timedelta(minutes=30)
"""How long a machine that is woken is wanted on, where nothing else is said."""

Duration = Annotated[
    str,
    Meta(pattern=f"^$|{DURATION_PATTERN}", max_length=32, description="Such as 90m or 3h, a year at most; or empty."),
]
Reason = Annotated[str, Meta(max_length=200, description="Why, for people who read it later.")]


class HoldBody(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """A person's word over a machine, as `hexa on`, `hexa off` and `hexa auto` give it."""

    power: Annotated[
        Literal["on", "off", "auto"],
        Meta(description="on or off: it is held so; auto: it is held no longer, and others decide again."),
    ]
    for_: Annotated[Duration, Meta(description="How long. Neither it nor until: without an end.")] = ""
    until: Annotated[Annotated[datetime, Meta(tz=True)] | None, Meta(description="Until when, RFC 3339.")] = None
    reason: Reason = ""
    make_room: Annotated[
        bool, Meta(description="With off: another machine is woken first for pods that fit nowhere else.")
    ] = False


class WakeBody(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """That a machine is wanted on for a time. What it is then, others decide."""

    for_: Annotated[Duration, Meta(description="From now; asked again, it is extended. Default 30m.")] = ""
    reason: Reason = ""


class Eta(Struct, frozen=True, kw_only=True, rename="camel"):
    """When a machine is Ready."""

    namespace: str
    name: str
    ready: bool
    phase: str
    wanted: str | None = None
    ready_at: datetime | None = None
    """By the median of its recent boots; null: it is not on its way, or no boot of it was seen."""
    ready_by: datetime | None = None
    """By the 95th percentile of them."""
    eta_seconds: int | None = None
    """0 where it is Ready. Until `readyAt`, after that until `readyBy`; null: nobody knows."""
    boot_typical_seconds: float | None = None
    """How long it takes once it is woken."""
    arrival: str | None = None
    """In the sentence that pods that wait are told."""
    blocker: str | None = None
    """What stands against what is wanted of it."""


class Ordered(Struct, frozen=True, kw_only=True, rename="camel"):
    """What became of it."""

    machine: str
    """NAMESPACE/NAME."""
    text: str
    """What was written, and what decides now."""
    changed: bool
    """False: it was so already, and nothing was written."""
    warnings: tuple[str, ...] = ()
    """What stands against it."""
    until: datetime | None = None


def eta_of(machine: MachineState) -> Eta:
    """When the machine is Ready."""
    ready = machine.phase == "Ready"
    return Eta(
        namespace=machine.namespace,
        name=machine.name,
        ready=ready,
        phase=machine.phase,
        wanted=machine.wanted,
        ready_at=machine.ready_at,
        ready_by=machine.ready_by,
        eta_seconds=0 if ready else machine.eta_seconds,
        boot_typical_seconds=machine.boot_typical_seconds,
        arrival=machine.arrival,
        blocker=machine.blocker,
    )
