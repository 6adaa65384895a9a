"""How long the phases of a machine may last, and how often wakes are repeated: as given, as learned from boots, or by default."""

import math
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Final, TypedDict

from msgspec import Struct

from hexa.domain.policy.problem import Problem
from hexa.domain.policy.values import SHORTEST, Reader
from hexa.domain.resources.v1alpha1 import (
    Group,
    GroupSpec,
    Node,
    NodeSpec,
    Retries,
    Timeouts,
)


class Limits(Struct, frozen=True, kw_only=True):
    """How long phases of one machine may last and how often wakes are repeated (defaults: docs/lifecycle.md)."""

    settle: timedelta = timedelta(seconds=15)
    power_on: timedelta = timedelta(seconds=270)
    boot: timedelta = timedelta(minutes=9)
    drain: timedelta = timedelta(minutes=10)
    power_off: timedelta = timedelta(minutes=5)
    off_confirm: timedelta = timedelta(seconds=20)
    lost: timedelta = timedelta(minutes=2)
    attempts: int = 3
    wake_interval: timedelta = timedelta(seconds=90)
    patient_interval: timedelta = timedelta(seconds=90)
    """The same while others of the group are on their way too: many boots at once are slower than those that were learned."""
    backoff: timedelta = timedelta(minutes=1)
    max_backoff: timedelta = timedelta(hours=1)
    min_on_time: timedelta | None = None
    """How long a machine that came up stays up."""
    min_off_time: timedelta | None = None
    """For how long one that went dark is woken last."""
    max_cycles_per_day: int | None = None
    """After so many offs within a day no program switches it off."""
    hedge: bool = False
    """Whether a spare machine is woken beside one that stays silent."""
    offs_kept: int = 0
    """So many of its last offs are remembered, for rules that count them."""
    wakes_kept: int = 0
    """The same of wakes."""


PROVISION_DEFAULT: Final = timedelta(minutes=15)
BOOT_SHARE: Final = 0.6
WAKES_PER_BOOT: Final = 6


def machine_limits(
    node: Node, group: Group | None, *, kind: Sequence[float] = ()
) -> tuple[Limits, tuple[Problem, ...]]:
    """The limits of one machine: its own fields over its group's, over what was learned of boots, over the defaults. `kind`: recent
    boots of the other machines of its group, which stand in for its own while it has none."""
    reader, own, boots = Reader(), node.spec, node.status.boot_seconds
    floor = timedelta(seconds=min(boots or kind, default=0.0))
    learned = Learned(slowest_boot(boots), floor)
    if group is None:
        limits = limits_of(reader, PROVISION_DEFAULT, (("spec", own),), learned)
        return limits, tuple(reader.problems)
    silent = Reader()  # the group's own problems are told on the group
    provision = silent.limit("", group.spec.max_node_provision_time, least=SHORTEST) or PROVISION_DEFAULT
    own_fields = (own.timeouts, own.retries, own.min_on_time, own.min_off_time, own.max_cycles_per_day)
    if own_fields == (Timeouts(), Retries(), None, None, None):
        return limits_of(silent, provision, (("", group.spec),), learned), ()
    sources: tuple[Source, ...] = (("spec", own), ("", group.spec))
    limits = limits_of(reader, provision, sources, learned)
    return limits, tuple(problem for problem in reader.problems if problem.field.startswith("spec"))


Source = tuple[str, GroupSpec | NodeSpec]
"""What gives limits, and how its fields are named in problems."""

_TIMEOUT_FIELDS: Final = {
    "settle": "settle",
    "power_on": "powerOn",
    "boot": "boot",
    "drain": "drain",
    "power_off": "powerOff",
    "off_confirm": "offConfirm",
    "lost": "lost",
}
_WORKING_FIELDS: Final = frozenset({"power_on", "boot", "drain", "power_off", "wake_interval"})
"""A machine works in these; one of no length would make it fail, or begin anew, at once and without end."""
_SHORTEST_FIELDS: Final = {"min_on_time": "minOnTime", "min_off_time": "minOffTime"}
_RETRY_FIELDS: Final = {"wake_interval": "wakeInterval", "backoff": "backoff", "max_backoff": "maxBackoff"}


BOOTS_TO_LEARN_FROM: Final = 3
LEARNED_SHARE: Final = 0.95
SHORTEST_INTERVAL: Final = timedelta(seconds=30)
SHORTEST_BOOT: Final = timedelta(minutes=2)
"""What is learned makes no limit shorter: a file-system check or a slow pull of the Job's image is no failure."""


def slowest_boot(boots: Sequence[float]) -> timedelta | None:
    """How long all but one in twenty of the recent boots took at most; None: there were too few to tell."""
    if len(boots) < BOOTS_TO_LEARN_FROM:
        return None
    return timedelta(seconds=sorted(boots)[math.ceil(LEARNED_SHARE * len(boots)) - 1])


class Learned(Struct, frozen=True):
    """What was learned of boots."""

    slowest: timedelta | None = None
    """None: there were too few to tell."""
    shortest: timedelta = timedelta(0)


NOTHING_LEARNED: Final = Learned()


def learned_interval(default: timedelta, learned: Learned) -> timedelta:
    """A machine that gave no sign of life for a quarter longer than it boots has not got the wake; before its shortest boot is over
    it cannot have answered."""
    if learned.slowest is not None:
        default = min(default, max(1.25 * learned.slowest + timedelta(seconds=10), SHORTEST_INTERVAL))
    return max(default, learned.shortest)


def learned_boot(default: timedelta, slowest: timedelta, *, interval: timedelta, attempts: int) -> timedelta:
    """Time for every wake to be sent, and for the last one's boot to take half as long again. Never longer than the default, which
    Cluster Autoscaler's patience bounds."""
    needed = (attempts - 1) * interval + 1.5 * slowest + timedelta(seconds=30)
    return min(default, max(needed, SHORTEST_BOOT))


def limits_of(
    reader: Reader, provision: timedelta, sources: tuple[Source, ...], learned: Learned = NOTHING_LEARNED
) -> Limits:
    """The limits that `sources` give, the first before the others, over what was learned of boots, over the defaults."""
    given: dict[str, timedelta] = {}
    for prefix, spec in reversed(sources):
        given |= dict(_given(reader, prefix, spec, _SHORTEST_FIELDS))
        given |= dict(_given(reader, f"{prefix}.timeouts", spec.timeouts, _TIMEOUT_FIELDS))
        given |= dict(_given(reader, f"{prefix}.retries", spec.retries, _RETRY_FIELDS))
    attempts = next((spec.retries.attempts for _, spec in sources if spec.retries.attempts), Limits().attempts)
    boot = given.get("boot", provision * BOOT_SHARE)
    default = interval = given.get("wake_interval", boot / WAKES_PER_BOOT)
    if "wake_interval" not in given:
        interval = learned_interval(interval, learned)
    patient = max(default, interval)
    if learned.slowest is not None and "boot" not in given:
        boot = learned_boot(boot, learned.slowest, interval=interval, attempts=attempts)
    power_on = min(interval * attempts, max(default * attempts, provision - boot))
    derived = {"boot": boot, "wake_interval": interval, "power_on": power_on} | given
    derived["patient_interval"] = patient
    hedge = next((spec.retries.hedge for _, spec in sources if spec.retries.hedge is not None), False)
    cycles = next((spec.max_cycles_per_day for _, spec in sources if spec.max_cycles_per_day is not None), None)
    wakes, offs = _kept(sources, cycles or 0)
    counted: Counts = {"max_cycles_per_day": cycles, "offs_kept": offs, "wakes_kept": wakes}
    return Limits(attempts=attempts, hedge=hedge, **counted, **derived)


class Counts(TypedDict):
    """Numbers of a machine's switching."""

    max_cycles_per_day: int | None
    offs_kept: int
    wakes_kept: int


def _kept(sources: tuple[Source, ...], cycles: int) -> tuple[int, int]:
    """How many of its last wakes and offs are remembered: as many as alone would use up a bound of the group's."""
    rates = [spec.rate_limit for _, spec in sources if isinstance(spec, GroupSpec) and spec.rate_limit is not None]
    wakes = max((rate.wakes or 0 for rate in rates), default=0)
    return wakes, max((cycles, *(rate.rests or 0 for rate in rates)))


def _given(
    reader: Reader, prefix: str, source: GroupSpec | NodeSpec | Timeouts | Retries, fields: dict[str, str]
) -> Iterator[tuple[str, timedelta]]:
    for attribute, name in fields.items():
        least = SHORTEST if attribute in _WORKING_FIELDS else timedelta(0)
        value = reader.limit(f"{prefix}.{name}", getattr(source, attribute), least=least)
        if value is not None:
            yield attribute, value
