"""The status of a Node: what hexa keeps of a machine. This module only knows shapes."""

from datetime import datetime
from typing import Annotated, Final, Literal

from msgspec import Meta, field

from hexa.domain.resources.boot import FirstWake
from hexa.domain.resources.core import Slice, Taint
from hexa.domain.resources.energy import EnergyAccount
from hexa.domain.resources.health import Availability, CheckRecord, NodeHealth
from hexa.domain.resources.identity import Identity
from hexa.domain.resources.receipt import Receipt
from hexa.domain.resources.remediation import RemediationStatus
from hexa.domain.resources.values import Conditions
from hexa.domain.resources.wish import PowerReading, WishRecord


class Registration(Slice, frozen=True, kw_only=True):
    """What a kubelet itself set on its node when it registered: at the next boot it sets that again, or has ceased to."""

    labels: Annotated[dict[str, str], Meta(description="metadata.labels.")] = field(default_factory=dict)
    taints: Annotated[tuple[str, ...], Meta(description="Taints, KEY:EFFECT.")] = ()


class Shape(Slice, frozen=True, kw_only=True):
    """What a Kubernetes node looked like when last seen: given back at the next boot, and shown to Cluster
    Autoscaler."""

    capacity: Annotated[dict[str, str], Meta(description="status.capacity.")] = field(default_factory=dict)
    allocatable: Annotated[dict[str, str], Meta(description="status.allocatable.")] = field(default_factory=dict)
    labels: Annotated[dict[str, str], Meta(description="metadata.labels.")] = field(default_factory=dict)
    annotations: Annotated[
        dict[str, str],
        Meta(description="metadata.annotations that are not the kubelet's or a controller's own state."),
    ] = field(default_factory=dict)
    taints: Annotated[tuple[Taint, ...], Meta(description="spec.taints without the transient ones.")] = ()
    provider_id: Annotated[str, Meta(description="spec.providerID.")] = field(name="providerID", default="")
    unschedulable: Annotated[bool, Meta(description="A cordon that is not ours.")] = False
    registered: Annotated[
        Registration | None,
        Meta(
            description="What its kubelet set by itself when it registered. Absent: not known, since hexa did not see it."
        ),
    ] = None
    at: Annotated[datetime | None, Meta(description="When it was seen.")] = None


class JobRecord(Slice, frozen=True, kw_only=True):
    name: Annotated[str, Meta(description="Name of the Job.")]
    action: Annotated[str, Meta(description="startup or shutdown.")]
    attempt: Annotated[int, Meta(description="The attempt it belongs to.")] = 0
    outcome: Annotated[str, Meta(description="running, done, failed, or unmade: the API server did not take it.")] = (
        "running"
    )
    message: Annotated[
        str, Meta(description="Why it failed, from the pod; of one that is unmade, what the API server said.")
    ] = ""


class HistoryEntry(Slice, frozen=True, kw_only=True):
    at: Annotated[datetime, Meta(description="When.")]
    action: Annotated[str, Meta(description="What happened, in CamelCase.")]
    by: Annotated[str, Meta(description="Who asked, or what was noticed.")] = ""
    message: Annotated[str, Meta(description="In a sentence.")] = ""


class Switched(Slice, frozen=True, kw_only=True):
    """When the machine was last switched, as far as a rule counts that: the history of 20 actions may be too short for it."""

    offs: Annotated[tuple[datetime, ...], Meta(description="When it was seen off after hexa's stop, newest last.")] = ()
    wakes: Annotated[tuple[datetime, ...], Meta(description="When hexa began to wake it, newest last.")] = ()


NEVER_SWITCHED: Final = Switched()
"""The one that is not written."""


class NodeStatus(Slice, frozen=True, kw_only=True):
    phase: Annotated[
        str,
        Meta(
            description="Unknown, Off, PoweringOn, Booting, Ready, Draining, PoweringOff, StartFailed, "
            "StopFailed or Lost."
        ),
    ] = ""
    since: Annotated[datetime | None, Meta(description="Entry into the phase.")] = None
    wish: Annotated[WishRecord | None, Meta(description="What we want, who asked, and since when.")] = None
    power_state: Annotated[
        Literal["on", "off", "unknown"], Meta(description="What the machine is, as far as known.")
    ] = "unknown"
    progress: Annotated[
        Literal["", "shuttingdown", "shutdown", "startingup", "ready"],
        Meta(description="The phase in the seed system's words."),
    ] = ""
    health: Annotated[NodeHealth, Meta(description="healthy, degraded, offline or unknown.")] = NodeHealth.UNKNOWN
    health_reason: Annotated[
        str, Meta(description="Why it is not healthy, in CamelCase; the condition of that name or phase says more.")
    ] = ""
    health_since: Annotated[datetime | None, Meta(description="Since when the health is so, for that reason.")] = None
    check: Annotated[CheckRecord | None, Meta(description="The health check, and how its last runs ended.")] = None
    availability: Annotated[Availability, Meta(description="How often the machine was there when it should be.")] = (
        Availability()
    )
    conditions: Annotated[Conditions, Meta(description="What a person should know, by type.")] = ()
    reading: Annotated[PowerReading, Meta(description="The last power reading.")] = PowerReading()
    identity: Annotated[Identity, Meta(description="Who the machine was when hexa last acted on it.")] = Identity()
    attempt: Annotated[int, Meta(ge=0, description="Counts power Jobs for life; part of their names.")] = 0
    failures: Annotated[int, Meta(ge=0, description="Failures in a row; the cool-off grows with them.")] = 0
    wakes: Annotated[int, Meta(ge=0, description="Wakes sent for this boot.")] = 0
    woken_at: Annotated[datetime | None, Meta(description="When the last wake of this boot was sent.")] = None
    first_wake: Annotated[
        FirstWake | None, Meta(description="The first wake of this boot, and what spoke for the kubelet then.")
    ] = None
    cool_until: Annotated[datetime | None, Meta(description="Left alone until then.")] = None
    welcomed: Annotated[
        bool, Meta(description="The node of this boot was given back its labels and made schedulable.")
    ] = False
    silent: Annotated[
        bool,
        Meta(description="No sign of life for a wake interval since it was woken (noted where retries.hedge is set)."),
    ] = False
    replaced: Annotated[
        bool,
        Meta(description="Another machine took its place: it failed to start, or was silent (retries.hedge)."),
    ] = False
    forced: Annotated[bool, Meta(description="This power-off was forced at the drain deadline.")] = False
    stood_still: Annotated[
        float,
        Meta(description="Seconds of this phase in which its deadline stood still, because the machine was paused."),
    ] = 0.0
    paused_since: Annotated[datetime | None, Meta(description="The machine has been paused since then.")] = None
    blocker: Annotated[str, Meta(description="What kept the last drain from finishing, or keeps the machine on.")] = ""
    job: Annotated[JobRecord | None, Meta(description="The power Job of this attempt.")] = None
    last_startup_time: Annotated[
        datetime | None, Meta(description="When the machine was last Ready after a start.")
    ] = None
    last_shutdown_time: Annotated[
        datetime | None, Meta(description="When the machine was last seen off after a stop.")
    ] = None
    wake_proven_at: Annotated[
        datetime | None,
        Meta(
            description="When a wake of ours last brought the machine from Off to Ready; gone when a wake fails, or when "
            "somebody else switched the machine on."
        ),
    ] = None
    wake_failed_at: Annotated[
        datetime | None, Meta(description="When a wake of ours last failed; gone when one succeeds.")
    ] = None
    remediation: Annotated[
        RemediationStatus, Meta(description="Illness of the machine and power cycles against it.")
    ] = RemediationStatus()
    switched: Annotated[
        Switched, Meta(description="When it was last switched, kept where maxCyclesPerDay or rateLimit counts it.")
    ] = NEVER_SWITCHED
    boot_seconds: Annotated[
        tuple[float, ...],
        Meta(description="Recent boots in seconds, from the first wake of each to Ready, newest last."),
    ] = ()
    template: Annotated[Shape | None, Meta(description="The last shape seen.")] = None
    energy: Annotated[EnergyAccount, Meta(description="Hours, energy and money.")] = EnergyAccount()
    receipt: Annotated[
        Receipt | None,
        Meta(description="What could have been saved while its group observed, with mode: Observe."),
    ] = None
    history: Annotated[tuple[HistoryEntry, ...], Meta(description="The last 20 actions, newest last.")] = ()
    observed_generation: Annotated[int, Meta(description="Generation of the spec that this status speaks of.")] = 0
