"""Group policy: what the fields of a Group (and a machine's overrides) mean, with their defaults, units and limits.

It turns resources into plain numbers and into `Problem`s that name field and remedy; it knows no machine's phase.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

from msgspec import Struct, structs

from hexa.domain.policy.battery import OnBattery, Threshold
from hexa.domain.policy.labels import label_problems, taken_labels
from hexa.domain.policy.limits import PROVISION_DEFAULT, Limits, limits_of
from hexa.domain.policy.problem import Problem
from hexa.domain.policy.schedules import Change, Schedule, Setter, Values, clashes, instant, read_schedules
from hexa.domain.policy.spares import Spares, spares_of
from hexa.domain.policy.values import SHORTEST, Reader
from hexa.domain.resources.group_values import BatteryPolicy, Blackout, Mode, RateLimit
from hexa.domain.resources.remediation import Remediation
from hexa.domain.resources.v1alpha1 import (
    Asker,
    Group,
    GroupSpec,
    HardOff,
    Hold,
    LeavePolicy,
    OnUnexpectedPower,
    OrderBy,
    Power,
    QuarantineProbe,
    Storage,
    WakeProof,
)
from hexa.domain.weekly import Window, window_of, zone_of


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


class PowerCycleRules(Struct, frozen=True, kw_only=True):
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


class Rate(Struct, frozen=True, kw_only=True):
    """How many machines of a group may be switched within a span."""

    wakes: int | None = None
    """None: as many as are asked to."""
    rests: int | None = None
    per: timedelta = timedelta(minutes=10)

    def row(self, count: int) -> timedelta:
        """From the first wake to the last of so many machines."""
        return self.per * min((count - 1) // self.wakes, 10_000) if self.wakes and count else timedelta(0)


class ZonedWindow(Struct, frozen=True):
    """A weekly window by the clock of a zone, and why it is there."""

    window: Window
    zone: str
    """IANA name of a zone that is known."""
    reason: str = ""


class Policy(Struct, frozen=True, kw_only=True):
    """Everything a group says, in numbers. With `schedules` it is that of an instant: see `policy_at`."""

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
    power_cycle: PowerCycleRules | None = None
    """None: no machine's power is cycled."""
    out_of_service: bool = False
    """Whether nodes of machines that are proven to be off are tainted, so that what is stuck on them is let go."""
    allow_control_plane: bool = False
    max_watts: float | None = None
    """That its machines may draw together."""
    price_per_kwh: float = 0.0
    max_draining: int | None = None
    """So many of its machines go down at once; None: as many as are asked to."""
    spares: Spares | None = None
    """None: no idle machine is kept on."""
    rate: Rate | None = None
    """None: nothing is bounded."""
    blackouts: tuple[ZonedWindow, ...] = ()
    """Weekly windows in which no program switches a machine off."""
    on_battery: Threshold | None = None
    """When its machines go off on battery; None: as the configuration says."""
    battery: OnBattery | None = None
    """What a UPS means for it now: no word of the group's, but of the site."""
    schedules: tuple[Schedule, ...] = ()
    """Weekly windows in which values are others than `base`."""
    base: Values = Values()
    """What the spec itself says, where there are schedules."""
    by: dict[str, Setter] = {}
    """Of the values that a schedule sets now, which one."""
    next_change: Change | None = None
    order: tuple[OrderBy, ...] = ()
    """What machines are compared by, the first that differs decides; empty: nobody said."""
    report_blockers: bool = False
    """The rule that keeps a machine on is told in status, on its Kubernetes node and in an Event."""
    wake_for_pinned: bool = False
    """A machine is woken for a pod that can run on no other one."""
    learn_shape: bool = False
    """A machine of a group of unknown shape is woken for a pod that asks for the group's labels."""
    tariff: str = ""
    """Name of a tariff of the configuration; empty: `price_per_kwh` counts."""
    currency: str = "EUR"
    mode: Mode = Mode.AUTO
    wanted_by: Asker = Asker.MODE
    """Whose word the mode is: the Group's own, or a schedule's."""

    @property
    def wanted(self) -> Power | None:
        """What the group wants of all its machines, beneath holds; None: each machine has its own wish."""
        return _WANTED.get(self.mode)

    @property
    def fixed(self) -> bool:
        """Whether Cluster Autoscaler is told a group that can neither grow nor shrink, whatever its limits say."""
        return self.mode in (Mode.ALWAYS_ON, Mode.OBSERVE)


_WANTED: Final = {Mode.ALWAYS_ON: Power.ON, Mode.ALWAYS_OFF: Power.OFF}


EXERCISE_LEAST: Final = timedelta(hours=1)
"""Waking machines more often than this for the proof alone wears them for nothing."""


def policy_of(group: Group) -> tuple[Policy, tuple[Problem, ...]]:
    """The policy of a group. What does not parse is a problem, and its default stands in for it."""
    spec = group.spec
    reader = Reader()
    given = reader.limit("spec.maxNodeProvisionTime", spec.max_node_provision_time, least=SHORTEST)
    provision = given or PROVISION_DEFAULT
    limits = limits_of(reader, provision, (("spec", spec),))
    schedules, of_schedules = read_schedules(spec.schedules)
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
        labels=taken_labels(spec.node_selector),
        hold=spec.hold,
        mode=spec.mode,
        wake_proof=spec.wake_proof,
        proof_lasts=reader.limit("spec.wakeProofLasts", spec.wake_proof_lasts, least=EXERCISE_LEAST)
        or Policy().proof_lasts,
        exercise_every=reader.limit("spec.exerciseEvery", spec.exercise_every, least=EXERCISE_LEAST),
        probes_wake=spec.quarantine_probe is QuarantineProbe.WAKE,
        on_unexpected_power=spec.on_unexpected_power,
        storage=spec.storage,
        hard_off=spec.hard_off,
        power_cycle=_power_cycle(reader, spec.remediation),
        out_of_service=spec.remediation.out_of_service,
        allow_control_plane=spec.allow_control_plane,
        max_draining=spec.max_draining,
        spares=spares_of(reader, "spec.spares", spec.spares),
        rate=_rate(reader, spec.rate_limit),
        max_watts=reader.number("spec.maxWatts", spec.max_watts),
        blackouts=tuple(_blackout(reader, f"spec.blackouts[{n}]", each) for n, each in enumerate(spec.blackouts)),
        schedules=schedules,
        order=tuple(dict.fromkeys(spec.order)),
        report_blockers=spec.report_blockers,
        wake_for_pinned=spec.wake_for_pinned,
        learn_shape=spec.learn_shape,
        on_battery=_threshold(reader, spec.on_battery),
        price_per_kwh=reader.number("spec.cost.pricePerKWh", spec.cost.price_per_kwh) or 0.0,
        tariff=spec.cost.tariff,
        currency=spec.cost.currency,
    )
    if schedules:
        base = Values(min_size=policy.min_size, max_size=policy.max_size, mode=policy.mode, spares=policy.spares)
        policy = structs.replace(policy, base=base)
    clashing = clashes(policy.base, schedules)
    labels = (
        structs.replace(each, severity="warning") for each in label_problems(spec.node_selector, "spec.nodeSelector")
    )
    return policy, (*reader.problems, *labels, *of_schedules, *clashing, *_contradictions(policy), *_pinned(spec))


def policy_at(
    policy: Policy,
    *,
    now: datetime,
    lead: timedelta,
    apart: timedelta = timedelta(0),
    left_on: timedelta = timedelta(0),
) -> tuple[Policy, datetime | None]:
    """The policy as its schedules make it now, and until when it stays so; None: it has no schedules. `lead`: how long before a
    window machines are woken (`schedules.lead_of`); `apart`: between the wakes of two of them, whatever rateLimit says; `left_on`:
    how long before it nothing switches off what it will want."""
    if not policy.schedules:
        return policy, None
    rate = policy.rate or Rate()

    def row(count: int) -> timedelta:
        return max(rate.row(count), apart * max(count - 1, 0))

    found = instant(policy.base, policy.schedules, now=now, lead=lead, row=row, left_on=left_on)
    wanted_by = Asker.SCHEDULE if "mode" in found.by else Asker.MODE
    new = structs.replace(
        policy, **structs.asdict(found.values), wanted_by=wanted_by, by=found.by, next_change=found.change
    )
    return new, found.until


def _pinned(spec: GroupSpec) -> Iterator[Problem]:
    """A pod that is evicted from the only machine that has its volume would wake that machine again."""
    if spec.wake_for_pinned and spec.drain.allow_pinned:
        yield Problem(
            "spec.drain.allowPinned",
            "it has no effect beside wakeForPinned: such a pod would wake its machine again at once",
            "remove one of the two",
            severity="warning",
            reason="PinnedPodsStay",
        )


def _blackout(reader: Reader, field: str, written: Blackout) -> ZonedWindow:
    """One that can't be read holds at all times: nothing is switched off in doubt."""
    try:
        zone_of(written.zone)
        window = window_of(written.days, written.start, written.end)
    except ValueError as error:
        remedy = "until then it holds at all times, and no program switches a machine off"
        reader.problems.append(Problem(field, str(error), remedy))
        return ZonedWindow(Window(), "UTC", written.reason)
    return ZonedWindow(window, written.zone, written.reason)


def _rate(reader: Reader, written: RateLimit | None) -> Rate | None:
    if written is None or (written.wakes is None and written.rests is None):
        return None
    per = reader.limit("spec.rateLimit.per", written.per, least=SHORTEST) or Rate().per
    return Rate(wakes=written.wakes, rests=written.rests, per=per)


def _threshold(reader: Reader, spec: BatteryPolicy | None) -> Threshold | None:
    if spec is None:
        return None
    runtime = reader.limit("spec.onBattery.runtime", spec.runtime, least=timedelta(0))
    return Threshold(None if spec.charge is None else float(spec.charge), runtime)


def _drain(reader: Reader, spec: GroupSpec) -> DrainRules:
    grace = reader.duration("spec.drain.gracePeriod", spec.drain.grace_period)
    detach = reader.limit("spec.drain.volumeDetach", spec.drain.volume_detach, least=timedelta(0))
    return DrainRules(
        force=spec.drain.force,
        grace=None if grace is None else int(grace.total_seconds()),
        empty_dir=spec.drain.delete_empty_dir,
        pinned=spec.drain.allow_pinned and not spec.wake_for_pinned,
        bare=spec.drain.allow_bare,
        volume_detach=DrainRules().volume_detach if detach is None else detach,
    )


def _power_cycle(reader: Reader, spec: Remediation) -> PowerCycleRules | None:
    default = PowerCycleRules()
    after = reader.limit("spec.remediation.after", spec.after, least=SHORTEST) or default.after
    most, share = default.max_unhealthy, 1.0
    if isinstance(spec.max_unhealthy, int):
        most = spec.max_unhealthy
    elif spec.max_unhealthy is not None:
        found = reader.percent("spec.remediation.maxUnhealthy", spec.max_unhealthy)
        most, share = (most, share) if found is None else (None, found)
    rules = PowerCycleRules(after=after, max_unhealthy=most, share=share, cycles=spec.cycles or default.cycles)
    return rules if spec.power_cycle else None


def _options(reader: Reader, spec: GroupSpec, provision: timedelta | None) -> Options:
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
    if policy.max_watts == 0:
        remedy = "raise it; to keep the group off, hold it off (spec.hold)"
        yield Problem(
            "spec.maxWatts", "with 0 W no machine is woken", remedy, severity="warning", reason="CircuitTooSmall"
        )
    yield from _spares_above("spec.spares", policy.spares, policy.max_size)
    for schedule in policy.schedules:
        sets = dict(schedule.sets)
        yield from _spares_above(f"{schedule.field}.spares", sets.get("spares"), sets.get("max_size", policy.max_size))
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


def _spares_above(field: str, spares: Spares | None, most: int | None) -> Iterator[Problem]:
    if spares is not None and spares.count is not None and most is not None and spares.count > most:
        text = f"spares {spares.count} is above maxSize {most}"
        remedy = "lower spares or raise maxSize: there are never more spares than that"
        yield Problem(field, text, remedy, severity="warning", reason="SparesAboveMax")
