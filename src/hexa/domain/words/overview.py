"""The site at one moment, as page, API, metrics, notifications and `hexa top` tell it: shapes, and what of a machine needs a hand.

How it is put together from a snapshot, `app.questions.overview` knows. What is not known is null, never 0.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime
from enum import StrEnum
from typing import Final, Literal

from msgspec import Struct, structs

from hexa.domain.decide.waiting_pods import IN_VAIN
from hexa.domain.machine.arrival import NOT_SET_UP
from hexa.domain.machine.identity import IDENTITY_CHANGED
from hexa.domain.machine.lifecycle import Phase
from hexa.domain.machine.reason import Reason
from hexa.domain.policy.labels import BAD_LABEL
from hexa.domain.policy.schedules import INVALID as INVALID_SCHEDULE
from hexa.domain.power.outlet_problems import POWER_SPEC_INVALID
from hexa.domain.power.profile import PROFILE_INCOMPLETE, PROFILE_MISSING
from hexa.domain.resources.core import Condition
from hexa.domain.resources.v1alpha1 import Lookup
from hexa.domain.rules.battery import State as Battery
from hexa.domain.rules.health import CONTRADICTION, HEALTH_CHECK, POWER_KNOWN, WAKEABLE
from hexa.domain.rules.power_cycle import ALARMING, REMEDIATION, STOPPED
from hexa.domain.words.explain import obstacle, summary
from hexa.domain.words.kept import kept_from_waking, kept_on
from hexa.domain.words.known import Known


class Grade(StrEnum):
    """How bad it is."""

    ERROR = "error"
    """Something does not work until somebody acts."""
    WARNING = "warning"
    """It works, and less well than it could."""


class EnergyState(Struct, frozen=True, kw_only=True, rename="camel"):
    """Hours, energy and money since the machine was enrolled; of a group: of all its machines."""

    on_seconds: float = 0.0
    """On the way up included."""
    boot_seconds: float = 0.0
    """Of that the way up."""
    off_seconds: float = 0.0
    joules: float | None = None
    """Null: the machine says neither what it draws nor what it costs."""
    saved_joules: float | None = None
    """Against being on all the time; below 0: lost by boots."""
    money: float | None = None
    """In `currency`. Null: nothing has a price."""
    saved_money: float | None = None
    currency: str | None = None
    estimated: bool = False
    """Energy is computed from the declared watts, at least in part: no meter counted it."""
    today_joules: float | None = None
    today_money: float | None = None
    month_saved: float | None = None
    """Money saved since the first of this month. Days are those of the tariff's clock, of UTC without one."""


class MachineState(Struct, frozen=True, kw_only=True, rename="camel"):
    """A machine."""

    namespace: str
    name: str
    group: str | None = None
    phase: str = ""
    """Empty: hexa has never seen it."""
    since: datetime | None = None
    """Since when it is in its phase."""
    power: Literal["on", "off", "unknown"] = "unknown"
    """What it is, as far as known."""
    wanted: str | None = None
    """on or off; null: nobody ever asked for anything, and it stays as found."""
    by: str | None = None
    """Who decided that."""
    wished: datetime | None = None
    """Since when it is wanted so."""
    held: str | None = None
    """on or off: a person's word (spec.hold), of the machine or of its group."""
    held_until: datetime | None = None
    """Null beside `held`: until somebody lets go."""
    why: str = ""
    """In one sentence: why it is on or off."""
    blocker: str | None = None
    """What stands against what is wanted."""
    reading: str = ""
    """What its sensor said last: On, Off or Unknown."""
    watts: float | None = None
    watts_measured: bool = False
    """False: `watts` are those that it declares for what it is doing."""
    progress: str = ""
    """The phase in the words of version 0."""
    arrival: str | None = None
    """When it will be Ready, in the sentence that pods are told."""
    ready_at: datetime | None = None
    """By the median of its recent boots."""
    ready_by: datetime | None = None
    """By the 95th percentile of them."""
    eta_seconds: int | None = None
    """Until `readyAt`, after that until `readyBy`; null: it is not on its way, or nobody knows."""
    boot_typical_seconds: float | None = None
    """Median of its recent boots, or of its group's."""
    health: str = "unknown"
    health_reason: str | None = None
    kubernetes_node: str = ""
    uptime: str | None = None
    energy: EnergyState = EnergyState()


class GroupState(Struct, frozen=True, kw_only=True, rename="camel"):
    """A group, in numbers."""

    namespace: str
    name: str
    mode: str = ""
    size: int = 0
    """Machines that belong to it."""
    target: int = 0
    """Machines that are wanted on and can come."""
    minimum: int = 0
    maximum: int | None = None
    """Null: all that it has."""
    ready: int = 0
    off: int = 0
    booting: int = 0
    failed: int = 0
    health: str = "unknown"
    held: str | None = None
    held_until: datetime | None = None
    next_change: datetime | None = None
    """When a schedule changes its sizes next."""
    next_change_what: str | None = None
    blocker: str | None = None
    watts: float | None = None
    energy: EnergyState = EnergyState()


class Hand(Struct, frozen=True, kw_only=True, rename="camel"):
    """Something that needs a person."""

    kind: str
    """Node (a machine), Group, Certificate or ClusterAutoscaler."""
    namespace: str
    name: str
    reason: str
    message: str
    since: datetime | None = None
    severity: Grade = Grade.WARNING


class Summary(Struct, frozen=True, kw_only=True, rename="camel"):
    """The site in a line."""

    machines: int = 0
    on: int = 0
    """Machines whose power is on."""
    watts: float | None = None
    """Of the machines of which it is known."""
    money_today: float | None = None
    saved_month: float | None = None
    currency: str | None = None
    """Of both; machines that are paid in another one are left out."""
    next_change: datetime | None = None
    next_change_what: str | None = None


class Overview(Struct, frozen=True, kw_only=True, rename="camel"):
    """Everything at one moment."""

    at: datetime
    version: str
    summary: Summary
    groups: tuple[GroupState, ...] = ()
    machines: tuple[MachineState, ...] = ()
    hands: tuple[Hand, ...] = ()


NO_ENERGY: Final = EnergyState()


def same_story(one: Overview, other: Overview) -> bool:
    """Whether two overviews differ only by what time alone changes: the moment, seconds left, hours and energy."""
    return one is other or (
        len(one.machines) == len(other.machines)
        and one.hands == other.hands
        and all(map(_same_machine, one.machines, other.machines))
        and _groups(one) == _groups(other)
    )


def _same_machine(one: MachineState, other: MachineState) -> bool:
    return one == other or _timeless(one) == _timeless(other)


def _timeless(machine: MachineState) -> MachineState:
    return structs.replace(machine, eta_seconds=None, energy=NO_ENERGY, uptime=None)


def _groups(found: Overview) -> list[GroupState]:
    return [structs.replace(group, energy=NO_ENERGY) for group in found.groups]


def why(known: Known) -> str:
    """Why the machine is on or off: what is wanted by whom, and the first rule that keeps it where it is."""
    text = summary(known)
    kept = kept_on(known) if known.phase is Phase.READY else kept_from_waking(known) if known.phase is Phase.OFF else ()
    if not kept or obstacle(known) is not None:
        return text
    what = "keeps it on" if known.phase is Phase.READY else "keeps it from being woken"
    return f"{text}; {kept[0].rule} {what}: {kept[0].text}"


class Needs(Struct, frozen=True):
    """A condition that needs a person: of which status (empty: of any), and for which reasons (none: for each)."""

    grade: Grade = Grade.WARNING
    status: str = "True"
    reasons: frozenset[str] = frozenset()

    def meets(self, condition: Condition) -> bool:
        """Whether the condition is meant."""
        return self.status in ("", condition.status) and (not self.reasons or condition.reason in self.reasons)


ERROR: Final = Needs(Grade.ERROR)
WARNING: Final = Needs()

OF_MACHINE: Final[dict[str, Needs]] = {
    "Invalid": ERROR,
    "Contained": ERROR,
    "Failed": ERROR,
    "Blocked": Needs(Grade.ERROR, reasons=frozenset({"DrainBlocked", "LostWithPods", "Hung"})),
    REMEDIATION: Needs(Grade.ERROR, "False", ALARMING),
    "PowerJobFailed": ERROR,
    "PowerJobWaiting": WARNING,
    Reason.POWER_ON_UNAVAILABLE: WARNING,
    Reason.POWER_OFF_UNAVAILABLE: WARNING,
    Reason.NAME_TAKEN: WARNING,
    IDENTITY_CHANGED: Needs(reasons=frozenset({"OtherName"})),
    NOT_SET_UP: WARNING,
    "PodSpecInvalid": WARNING,
    POWER_SPEC_INVALID: WARNING,
    BAD_LABEL: WARNING,
    PROFILE_MISSING: WARNING,
    PROFILE_INCOMPLETE: WARNING,
    "CircuitTooSmall": WARNING,
    "UnknownCircuit": WARNING,
    "Hedged": WARNING,
    POWER_KNOWN: Needs(status="", reasons=frozenset({"NotRead", CONTRADICTION})),
    WAKEABLE: Needs(status="False", reasons=frozenset({"WakeFailed"})),
    HEALTH_CHECK: Needs(status="False"),
}
"""Conditions of a machine that need a person, by type. All others are for who wants to know."""

OF_GROUP: Final[dict[str, Needs]] = {
    "Invalid": ERROR,
    "Contained": ERROR,
    Reason.SAFE_HANDS: ERROR,
    STOPPED: ERROR,
    Reason.ON_BATTERY: WARNING,
    Battery.NOT_HEARD: WARNING,
    IN_VAIN: WARNING,
    "ShapeUnknown": WARNING,
    INVALID_SCHEDULE: WARNING,
    "MinAboveMax": WARNING,
    "MixedShape": WARNING,
    "SelectorMismatch": WARNING,
    BAD_LABEL: WARNING,
    "ControlPlaneMember": WARNING,
    "PricesEnd": WARNING,
}


def hands(kind: str, key: Lookup, conditions: Iterable[Condition]) -> Iterator[Hand]:
    """What needs a person of a machine (kind Node) or of a group (kind Group)."""
    table = OF_GROUP if kind == "Group" else OF_MACHINE
    for condition in conditions:
        needs = table.get(condition.type)
        if needs is not None and needs.meets(condition):
            yield Hand(
                kind=kind,
                namespace=key.namespace,
                name=key.name,
                reason=condition.reason or condition.type,
                message=condition.message,
                since=condition.last_transition_time,
                severity=needs.grade,
            )
