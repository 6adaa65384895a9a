"""Group policy: what the fields of a Group (and a machine's overrides) mean, with their defaults, units and limits.

It turns resources into plain numbers and into `Problem`s that name field and remedy; it knows no machine's phase.
"""

import math
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, Literal, TypeVar

from msgspec import Struct

from hexa.domain.duration import format_duration, parse_duration
from hexa.domain.resources.remediation import PERCENT_PATTERN, Remediation
from hexa.domain.resources.v1alpha1 import (
    NUMBER_PATTERN,
    Group,
    GroupSpec,
    HardOff,
    Hold,
    LeavePolicy,
    Node,
    OnOff,
    OnUnexpectedPower,
    Power,
    QuarantineProbe,
    Retries,
    Storage,
    Timeouts,
    WakeProof,
)

T = TypeVar("T")


class Problem(Struct, frozen=True):
    """Something wrong with an object: which field, what, and what to do about it."""

    field: str
    text: str
    remedy: str
    severity: Literal["error", "warning"] = "error"
    reason: str = "Invalid"
    """CamelCase, fit for a condition."""

    def __str__(self) -> str:
        return f"{self.field}: {self.text}; {self.remedy}"


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
    hedge: bool = False
    """Whether a spare machine is woken beside one that stays silent."""


class DrainRules(Struct, frozen=True, kw_only=True):
    """What a drain may do."""

    force: bool = False
    grace: int | None = None
    """Longest termination grace in seconds; None: each pod's own."""
    empty_dir: bool = False
    pinned: bool = False
    bare: bool = False
    volume_detach: timedelta = timedelta(minutes=2)
    """How long volumes are waited for, once the pods are gone."""


class RemedyRules(Struct, frozen=True, kw_only=True):
    """When the power of a machine that is ill is cycled."""

    after: timedelta = timedelta(minutes=10)
    max_unhealthy: int | None = 1
    """So many machines of the group may be ill; None: `share` of them."""
    share: float = 1.0
    cycles: int = 3
    """In a row."""


class Options(Struct, frozen=True, kw_only=True):
    """Cluster Autoscaler's options of the group; durations in seconds; None: the group is silent."""

    scale_down_utilization_threshold: float | None = None
    scale_down_gpu_utilization_threshold: float | None = None
    scale_down_unneeded_time: float | None = None
    scale_down_unready_time: float | None = None
    max_node_provision_time: float | None = None
    zero_or_max_node_scaling: bool | None = None
    ignore_daemon_sets_utilization: bool | None = None


class Policy(Struct, frozen=True, kw_only=True):
    """Everything a group says, in numbers."""

    namespace: str = ""
    name: str = ""
    min_size: int = 0
    max_size: int | None = None
    provision: timedelta = timedelta(minutes=15)
    limits: Limits = Limits()
    drain: DrainRules = DrainRules()
    options: Options = Options()
    leave: LeavePolicy = LeavePolicy.DELETE
    labels: dict[str, str] = {}
    hold: Hold | None = None
    wake_proof: WakeProof = WakeProof.REQUIRE
    proof_lasts: timedelta = timedelta(days=30)
    exercise_every: timedelta | None = None
    probes_wake: bool = False
    """A machine that failed to start is woken quietly to see whether it works again."""
    on_unexpected_power: OnUnexpectedPower = OnUnexpectedPower.ADOPT
    adopted_for: timedelta = timedelta(hours=1)
    """How long a machine that somebody else switched on is kept on."""
    storage: Storage = Storage.KEEP
    hard_off: HardOff = HardOff.ALLOW
    remedy: RemedyRules | None = None
    """None: no machine's power is cycled."""
    out_of_service: bool = False
    """Whether nodes of machines that are proven to be off are tainted, so that what is stuck on them is let go."""
    allow_control_plane: bool = False
    price_per_kwh: float = 0.0
    currency: str = "EUR"


PROVISION_DEFAULT: Final = timedelta(minutes=15)
BOOT_SHARE: Final = 0.6
WAKES_PER_BOOT: Final = 6
SHORTEST: Final = timedelta(seconds=1)
LONGEST: Final = timedelta(days=3650)
"""Limits beyond these are slips of the pen."""
EXERCISE_LEAST: Final = timedelta(hours=1)
"""Waking machines more often than this for the proof alone wears them for nothing."""


def is_on(value: OnOff) -> bool:
    """on/off in any of the ways YAML writes it."""
    return value is True or value == "on"


def power_of(value: OnOff) -> Power:
    """on/off in any spelling as a Power."""
    return Power.ON if is_on(value) else Power.OFF


def active_hold(hold: Hold | None, *, now: datetime) -> Hold | None:
    """The hold while it stands."""
    if hold is None or (hold.until is not None and hold.until <= now):
        return None
    return hold


def policy_of(group: Group) -> tuple[Policy, tuple[Problem, ...]]:
    """The policy of a group. What does not parse is a problem, and its default stands in for it."""
    spec = group.spec
    reader = _Reader()
    given = reader.limit("spec.maxNodeProvisionTime", spec.max_node_provision_time, least=SHORTEST)
    provision = given or PROVISION_DEFAULT
    limits = _limits(reader, provision, (("spec", spec.timeouts, spec.retries),))
    policy = Policy(
        namespace=group.metadata.namespace,
        name=group.metadata.name,
        min_size=spec.min_size,
        max_size=spec.max_size,
        provision=provision,
        limits=limits,
        drain=_drain(reader, spec),
        options=_options(reader, spec, given),
        leave=spec.node_leave_policy,
        labels=spec.node_selector,
        hold=spec.hold,
        wake_proof=spec.wake_proof,
        proof_lasts=reader.limit("spec.wakeProofLasts", spec.wake_proof_lasts, least=EXERCISE_LEAST)
        or Policy().proof_lasts,
        exercise_every=reader.limit("spec.exerciseEvery", spec.exercise_every, least=EXERCISE_LEAST),
        probes_wake=spec.quarantine_probe is QuarantineProbe.WAKE,
        on_unexpected_power=spec.on_unexpected_power,
        storage=spec.storage,
        hard_off=spec.hard_off,
        remedy=_remedy(reader, spec.remediation),
        out_of_service=spec.remediation.out_of_service,
        allow_control_plane=spec.allow_control_plane,
        price_per_kwh=reader.number("spec.cost.pricePerKWh", spec.cost.price_per_kwh) or 0.0,
        currency=spec.cost.currency,
    )
    return policy, (*reader.problems, *_contradictions(policy))


def machine_limits(
    node: Node, group: Group | None, *, kind: Sequence[float] = ()
) -> tuple[Limits, tuple[Problem, ...]]:
    """The limits of one machine: its own fields over its group's over what its boots have taught over the defaults. `kind`: recent
    boots of the other machines of its group, which stand in for its own while it has none."""
    reader, own, boots = _Reader(), node.spec, node.status.boot_seconds
    floor = timedelta(seconds=min(boots or kind, default=0.0))
    taught = Taught(slowest_boot(boots), floor)
    if group is None:
        limits = _limits(reader, PROVISION_DEFAULT, (("spec", own.timeouts, own.retries),), taught)
        return limits, tuple(reader.problems)
    silent = _Reader()  # the group's own problems are told on the group
    provision = silent.limit("", group.spec.max_node_provision_time, least=SHORTEST) or PROVISION_DEFAULT
    if own.timeouts == Timeouts() and own.retries == Retries():
        return _limits(silent, provision, (("", group.spec.timeouts, group.spec.retries),), taught), ()
    sources = (("spec", own.timeouts, own.retries), ("", group.spec.timeouts, group.spec.retries))
    limits = _limits(reader, provision, sources, taught)
    return limits, tuple(problem for problem in reader.problems if problem.field.startswith("spec"))


class _Reader:
    """Parses values and collects what is wrong with them."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []

    def duration(self, field: str, text: str | None) -> timedelta | None:
        return self._parse(field, text, parse_duration, 'write a duration such as "10m" or "1h30m"')

    def limit(self, field: str, text: str | None, *, least: timedelta) -> timedelta | None:
        """A duration that a phase or a wait may last."""
        span = self.duration(field, text)
        if span is not None and span < least:
            self.problems.append(
                Problem(field, f"{text!r} leaves no time", f'write "{format_duration(least)}" or more')
            )
            return None
        if span is not None and span > LONGEST:
            remedy = f'write "{LONGEST // timedelta(hours=1)}h" (ten years) at most'
            self.problems.append(Problem(field, f"{text!r} is longer than anybody waits", remedy))
            return None
        return span

    def number(self, field: str, value: float | str | None) -> float | None:
        return self._parse(field, value, parse_number, "write a number of zero or more")

    def share(self, field: str, value: float | str | None) -> float | None:
        return self._parse(field, value, _share, 'write a share such as "0.5" or a percentage of 100 at most')

    def percent(self, field: str, value: str) -> float | None:
        return self._parse(field, value, _percent, 'write a number of machines, or a percentage such as "40%"')

    def _parse(self, field: str, value: Any, parse: Callable[[Any], T], remedy: str) -> T | None:
        if value is None:
            return None
        try:
            return parse(value)
        except ValueError as error:
            self.problems.append(Problem(field, str(error), remedy))
            return None


def parse_number(value: float | str) -> float:
    """A number of zero or more, written as one or as a text. Raises `ValueError` with a sentence for people."""
    written = not isinstance(value, str) or re.fullmatch(NUMBER_PATTERN, value, re.ASCII)
    number = float(value) if written and isinstance(value, str) else value
    if isinstance(number, str) or not 0 <= number <= sys.float_info.max:
        raise ValueError(f"{value!r} is not a number of zero or more")
    return float(number)


def _share(value: float | str) -> float:
    number = parse_number(value)
    if number > 100:
        raise ValueError(f"{value!r} is more than 100 percent")
    return number / 100 if number > 1 else number


def _percent(value: str) -> float:
    if not re.fullmatch(PERCENT_PATTERN, value, re.ASCII):
        raise ValueError(f"{value!r} is no percentage")
    return int(value[:-1]) / 100


Source = tuple[str, Timeouts, Retries]

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


class Taught(Struct, frozen=True):
    """What boots have taught."""

    slowest: timedelta | None = None
    """None: there were too few to tell."""
    shortest: timedelta = timedelta(0)


NOT_TAUGHT: Final = Taught()


def learned_interval(default: timedelta, taught: Taught) -> timedelta:
    """A machine that gave no sign of life for a quarter longer than it boots has not got the wake; before its shortest boot is over
    it cannot have answered."""
    if taught.slowest is not None:
        default = min(default, max(1.25 * taught.slowest + timedelta(seconds=10), SHORTEST_INTERVAL))
    return max(default, taught.shortest)


def learned_boot(default: timedelta, slowest: timedelta, *, interval: timedelta, attempts: int) -> timedelta:
    """Time for every wake to be sent, and for the last one's boot to take half as long again. Never longer than the default, which
    Cluster Autoscaler's patience bounds."""
    needed = (attempts - 1) * interval + 1.5 * slowest + timedelta(seconds=30)
    return min(default, max(needed, SHORTEST_BOOT))


def _limits(reader: _Reader, provision: timedelta, sources: tuple[Source, ...], taught: Taught = NOT_TAUGHT) -> Limits:
    given: dict[str, timedelta] = {}
    for prefix, timeouts, retries in reversed(sources):
        given |= dict(_given(reader, f"{prefix}.timeouts", timeouts, _TIMEOUT_FIELDS))
        given |= dict(_given(reader, f"{prefix}.retries", retries, _RETRY_FIELDS))
    attempts = next((retries.attempts for _, _, retries in sources if retries.attempts), Limits().attempts)
    boot = given.get("boot", provision * BOOT_SHARE)
    default = interval = given.get("wake_interval", boot / WAKES_PER_BOOT)
    if "wake_interval" not in given:
        interval = learned_interval(interval, taught)
    patient = max(default, interval)
    if taught.slowest is not None and "boot" not in given:
        boot = learned_boot(boot, taught.slowest, interval=interval, attempts=attempts)
    power_on = min(interval * attempts, max(default * attempts, provision - boot))
    derived = {"boot": boot, "wake_interval": interval, "power_on": power_on} | given
    derived["patient_interval"] = patient
    hedge = next((retries.hedge for _, _, retries in sources if retries.hedge is not None), False)
    return Limits(attempts=attempts, hedge=hedge, **derived)


def _given(
    reader: _Reader, prefix: str, source: Timeouts | Retries, fields: dict[str, str]
) -> Iterator[tuple[str, timedelta]]:
    for attribute, name in fields.items():
        least = SHORTEST if attribute in _WORKING_FIELDS else timedelta(0)
        value = reader.limit(f"{prefix}.{name}", getattr(source, attribute), least=least)
        if value is not None:
            yield attribute, value


def _drain(reader: _Reader, spec: GroupSpec) -> DrainRules:
    grace = reader.duration("spec.drain.gracePeriod", spec.drain.grace_period)
    detach = reader.limit("spec.drain.volumeDetach", spec.drain.volume_detach, least=timedelta(0))
    return DrainRules(
        force=spec.drain.force,
        grace=None if grace is None else int(grace.total_seconds()),
        empty_dir=spec.drain.delete_empty_dir,
        pinned=spec.drain.allow_pinned,
        bare=spec.drain.allow_bare,
        volume_detach=DrainRules().volume_detach if detach is None else detach,
    )


def _remedy(reader: _Reader, spec: Remediation) -> RemedyRules | None:
    default = RemedyRules()
    after = reader.limit("spec.remediation.after", spec.after, least=SHORTEST) or default.after
    most, share = default.max_unhealthy, 1.0
    if isinstance(spec.max_unhealthy, int):
        most = spec.max_unhealthy
    elif spec.max_unhealthy is not None:
        found = reader.percent("spec.remediation.maxUnhealthy", spec.max_unhealthy)
        most, share = (most, share) if found is None else (None, found)
    rules = RemedyRules(after=after, max_unhealthy=most, share=share, cycles=spec.cycles or default.cycles)
    return rules if spec.power_cycle else None


def _options(reader: _Reader, spec: GroupSpec, provision: timedelta | None) -> Options:
    def seconds(field: str, text: str | None) -> float | None:
        value = reader.duration(field, text)
        return None if value is None else value.total_seconds()

    return Options(
        scale_down_utilization_threshold=reader.share(
            "spec.scaleDownUtilizationThreshold", spec.scale_down_utilization_threshold
        ),
        scale_down_gpu_utilization_threshold=reader.share(
            "spec.scaleDownGpuUtilizationThreshold", spec.scale_down_gpu_utilization_threshold
        ),
        scale_down_unneeded_time=seconds("spec.scaleDownUnneededTime", spec.scale_down_unneeded_time),
        scale_down_unready_time=seconds("spec.scaleDownUnreadyTime", spec.scale_down_unready_time),
        max_node_provision_time=None if provision is None else provision.total_seconds(),
        zero_or_max_node_scaling=spec.zero_or_max_node_scaling,
        ignore_daemon_sets_utilization=spec.ignore_daemon_sets_utilization,
    )


def _contradictions(policy: Policy) -> Iterator[Problem]:
    if policy.max_size is not None and policy.min_size > policy.max_size:
        yield Problem(
            "spec.minSize",
            f"minSize {policy.min_size} is above maxSize {policy.max_size}",
            "lower minSize or raise maxSize",
            reason="MinAboveMax",
        )
    if policy.limits.power_on + policy.limits.boot > policy.provision:
        yield Problem(
            "spec.timeouts",
            f"powerOn ({policy.limits.power_on}) and boot ({policy.limits.boot}) together exceed "
            f"maxNodeProvisionTime ({policy.provision})",
            "raise maxNodeProvisionTime, or Cluster Autoscaler gives up on machines that still come",
            severity="warning",
            reason="BootExceedsProvisionTime",
        )
    if policy.exercise_every is not None and policy.exercise_every > policy.proof_lasts:
        yield Problem(
            "spec.exerciseEvery",
            f"exerciseEvery ({policy.exercise_every}) is longer than wakeProofLasts ({policy.proof_lasts})",
            "shorten it, or machines stand without proof between two exercises",
            severity="warning",
            reason="ExerciseAfterProof",
        )


def usable(problems: tuple[Problem, ...]) -> bool:
    """Whether what these were found in may be acted on: no error among them."""
    return all(problem.severity != "error" for problem in problems)
