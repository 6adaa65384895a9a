"""Every metric of hexa, a row each: docs/metrics.md is written from it. A new one is its row, and what it is read or counted by.

Names have base units, one unit each. Labels are few: of machines, groups, conditions, reasons and files that are there, and of no
text that comes from elsewhere.
"""

from collections.abc import Callable, Iterable
from typing import Final

from msgspec import Struct

from hexa.app.metrics import events, gauges
from hexa.app.metrics.scene import Scene
from hexa.domain.machine.lifecycle import FAILED
from hexa.ports.metrics import Kind, Labels

GROUP: Final = ("namespace", "group")
MACHINE: Final = ("namespace", "machine")

SECONDS: Final = (
    5.0,
    10.0,
    20.0,
    30.0,
    45.0,
    60.0,
    90.0,
    120.0,
    180.0,
    240.0,
    300.0,
    420.0,
    600.0,
    900.0,
    1800.0,
    3600.0,
)
"""Buckets of what machines take."""
CALL_SECONDS: Final = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
"""Buckets of calls; Cluster Autoscaler waits 5 s."""


class Row(Struct, frozen=True, kw_only=True):
    """A metric."""

    name: str
    kind: Kind = Kind.GAUGE
    labels: Labels = ()
    meaning: str
    read: Callable[[Scene], Iterable[tuple[Labels, float]]] | None = None
    """Its samples, read when somebody asks."""
    counts: events.Counts | None = None
    """The labels of one more, from a piece of news; None: it is none."""
    measures: events.Measures | None = None
    """The same with how large it was."""
    zeros: Callable[[Scene], Iterable[Labels]] | None = None
    """What is told as 0 before anything was counted, so that the first one is seen as an increase."""
    buckets: tuple[float, ...] = SECONDS


def _of_groups(scene: Scene) -> Iterable[Labels]:
    return scene.places


def _of_failures(scene: Scene) -> Iterable[Labels]:
    return ((*group, reason) for group in scene.places for reason in sorted(FAILED))


def _once(scene: Scene) -> Iterable[Labels]:
    return ((),)


ROWS: Final = (
    Row(name="hexa_build_info", labels=("version",), meaning="The version that runs; always 1.", read=gauges.build),
    # Machines.
    Row(
        name="hexa_machines",
        labels=(*GROUP, "phase"),
        meaning="Machines of a group in a phase. Without a group: of none that is there.",
        read=gauges.machines,
    ),
    Row(
        name="hexa_machine_phase",
        labels=(*MACHINE, "phase"),
        meaning="1 for the phase that the machine is in; its other phases are not told.",
        read=gauges.phases,
    ),
    Row(
        name="hexa_machine_condition",
        labels=(*MACHINE, "type"),
        meaning="1 for each condition of the machine that is True.",
        read=gauges.machine_conditions,
    ),
    Row(
        name="hexa_machine_held",
        labels=MACHINE,
        meaning="1 for each machine that a person holds on or off, by its own hold or its group's.",
        read=gauges.held,
    ),
    Row(
        name="hexa_machine_wake_failed",
        labels=MACHINE,
        meaning="1 for each machine whose last wake by hexa failed, until one works.",
        read=gauges.unwoken,
    ),
    Row(
        name="hexa_machine_power_known",
        labels=MACHINE,
        meaning="1 where the power of the machine is read, 0 where reading fails or is contradicted. Absent: nothing reads it.",
        read=gauges.read,
    ),
    Row(
        name="hexa_machine_power_watts",
        labels=MACHINE,
        meaning=(
            "What the machine draws: as its meter said last, else what spec.energy says of an idle machine, or of one "
            "that is off."
        ),
        read=gauges.watts,
    ),
    Row(
        name="hexa_machine_energy_joules_total",
        kind=Kind.COUNTER,
        labels=MACHINE,
        meaning=(
            "Energy since the machine was enrolled, from status.energy: it outlives restarts of hexa, and is brought "
            "up to date by the hour."
        ),
        read=gauges.joules,
    ),
    Row(
        name="hexa_machine_cycles_total",
        kind=Kind.COUNTER,
        labels=MACHINE,
        meaning="Boots since the machine was enrolled, from status.energy: it outlives restarts of hexa.",
        read=gauges.cycles,
    ),
    # Groups.
    Row(
        name="hexa_group_condition",
        labels=(*GROUP, "type"),
        meaning="1 for each condition of the group that is True.",
        read=gauges.group_conditions,
    ),
    Row(name="hexa_group_size", labels=GROUP, meaning="Machines of the group.", read=gauges.sizes),
    Row(
        name="hexa_group_held_off",
        labels=GROUP,
        meaning="Machines of the group that a person holds off, by their own hold or the group's.",
        read=gauges.held_off,
    ),
    Row(
        name="hexa_group_target",
        labels=GROUP,
        meaning="Machines of the group that are wanted on and can come.",
        read=gauges.targets,
    ),
    Row(
        name="hexa_group_min_size",
        labels=GROUP,
        meaning="minSize as it counts now, schedules included; 0 while the group is kept off (AlwaysOff).",
        read=gauges.least,
    ),
    Row(
        name="hexa_group_max_size",
        labels=GROUP,
        meaning="maxSize as it counts now, schedules included; without one, all machines of the group.",
        read=gauges.most,
    ),
    Row(name="hexa_group_ready", labels=GROUP, meaning="Machines of the group that are Ready.", read=gauges.ready),
    Row(
        name="hexa_group_next_schedule_change_timestamp_seconds",
        labels=GROUP,
        meaning="When a schedule changes the group next, in seconds since 1970.",
        read=gauges.changes,
    ),
    # What happened, since the agent started.
    Row(
        name="hexa_wakes_total",
        kind=Kind.COUNTER,
        labels=GROUP,
        meaning="Machines that hexa began to wake. A wake that is sent again counts once.",
        counts=events.wakes,
        zeros=_of_groups,
    ),
    Row(
        name="hexa_rests_total",
        kind=Kind.COUNTER,
        labels=GROUP,
        meaning="Machines that hexa switched off, and that are off.",
        counts=events.rests,
        zeros=_of_groups,
    ),
    Row(
        name="hexa_failures_total",
        kind=Kind.COUNTER,
        labels=(*GROUP, "reason"),
        meaning=(
            "Machines that failed: StartFailed, StopFailed or Lost; DrainGivenUp; and readings of their power that "
            "failed, by the reason of the error (the first of a row). A reason that hexa does not know is Other."
        ),
        counts=events.failures,
        zeros=_of_failures,
    ),
    Row(
        name="hexa_decisions_total",
        kind=Kind.COUNTER,
        labels=("what",),
        meaning=(
            "Decisions by their reason: each machine that somebody wants on or off, and each call of Cluster "
            "Autoscaler that was granted or refused."
        ),
        counts=events.decisions,
    ),
    Row(
        name="hexa_evictions_total",
        kind=Kind.COUNTER,
        meaning="Evictions of pods that the API server granted.",
        zeros=_once,
    ),
    Row(
        name="hexa_boot_duration_seconds",
        kind=Kind.HISTOGRAM,
        labels=GROUP,
        meaning="Boots that hexa began, from the first wake to Ready.",
        measures=events.boots,
    ),
    Row(
        name="hexa_drain_duration_seconds",
        kind=Kind.HISTOGRAM,
        labels=GROUP,
        meaning="Drains that ended in a power-off.",
        measures=events.drains,
    ),
    Row(
        name="hexa_off_duration_seconds",
        kind=Kind.HISTOGRAM,
        labels=GROUP,
        meaning="Power-offs, from the end of the drain until the machine was seen off.",
        measures=events.offs,
    ),
    # Cluster Autoscaler, the API server, and what hexa stands on.
    Row(
        name="hexa_rpc_duration_seconds",
        kind=Kind.HISTOGRAM,
        labels=("method",),
        meaning="Calls of Cluster Autoscaler, from their headers to the answer.",
        buckets=CALL_SECONDS,
    ),
    Row(
        name="hexa_rpc_errors_total",
        kind=Kind.COUNTER,
        labels=("method", "code"),
        meaning="Those that were answered with another status than OK. A method that there is not is Other.",
    ),
    Row(
        name="hexa_autoscaler_last_call_timestamp_seconds",
        meaning="When Cluster Autoscaler called last, in seconds since 1970. Absent until it does.",
        read=gauges.called,
    ),
    Row(
        name="hexa_watch_lag_seconds",
        labels=("kind",),
        meaning="For how long a watch of the kind has not been held: what hexa knows of it may be so old. 0 while all are held.",
        read=gauges.lags,
    ),
    Row(
        name="hexa_api_errors_total",
        kind=Kind.COUNTER,
        labels=("reason",),
        meaning=(
            "Calls of the API server that it refused or did not answer, by reason. Conflicts are part of the work and "
            "not counted. A reason that hexa does not know is Other."
        ),
    ),
    Row(
        name="hexa_certificate_expiry_timestamp_seconds",
        labels=("certificate",),
        meaning="When a certificate that hexa serves with ends, in seconds since 1970: grpc, or http.",
        read=gauges.certificates,
    ),
    Row(
        name="hexa_tariff_prices_end_timestamp_seconds",
        labels=("tariff",),
        meaning="When the prices of a tariff end that has a series of them, in seconds since 1970.",
        read=gauges.prices,
    ),
    Row(
        name="hexa_notifications_total",
        kind=Kind.COUNTER,
        labels=("receiver", "outcome"),
        meaning="Notifications by receiver, as the configuration names it, and by what became of them.",
    ),
)
BY_NAME: Final = {row.name: row for row in ROWS}
