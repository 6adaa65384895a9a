"""Group and Node of infra.homecluster.dev/v1alpha1: the types that CRDs, validation and status come from.

Every field carries its description here, and `hexa crds` copies it into the schema. Where the schema says
more than the type, it is in `Meta(extra={"x-crd": ...})` and in `RULES`. What a value means is decided in
`hexa.domain.policy.policy` and `hexa.domain.machine`; this module only knows shapes.
"""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, ClassVar, Final, Literal

from msgspec import Meta, Struct, field

from hexa.domain.duration import DURATION_PATTERN
from hexa.domain.resources.boot import FirstWake
from hexa.domain.resources.core import Condition, Kind, ManagedFields, Metadata, Slice, Taint, Toleration
from hexa.domain.resources.health import Availability, CheckRecord, GroupHealth, NodeHealth
from hexa.domain.resources.identity import Identity
from hexa.domain.resources.power import PowerSpec
from hexa.domain.resources.remediation import Remediation, RemediationStatus
from hexa.domain.resources.scalars import Duration, int_or_string

NUMBER_PATTERN: Final = r"^([0-9]+\.?[0-9]*|\.[0-9]+)$"
THRESHOLD_PATTERN: Final = r"^0*(100(\.0*)?|[0-9]{1,2}(\.[0-9]*)?|\.[0-9]+)$"
QUANTITY_PATTERN: Final = r"^\+?([0-9]+\.?[0-9]*|\.[0-9]+)([KMGTPE]i|[numkMGTPE]|[eE][+-]?[0-9]+)?$"


INT32_MAX: Final = 2**31 - 1
"""Largest number that Cluster Autoscaler's messages and Jobs can carry."""


class Rule(Struct, frozen=True):
    """What the API server checks of an object beyond its fields one by one: CEL and its message."""

    rule: str
    message: str


Rules = tuple[Rule, ...]


Number = Annotated[
    int | float | str,
    Meta(
        extra={
            "x-crd": {
                "x-kubernetes-preserve-unknown-fields": True,
                "minimum": 0,
                "pattern": NUMBER_PATTERN,
                "not": {"enum": [True, False]},
            }
        }
    ),
]
"""A number of zero or more, or the same as a string."""

Threshold = Annotated[
    int | float | str,
    Meta(
        extra={
            "x-crd": {
                "x-kubernetes-preserve-unknown-fields": True,
                "minimum": 0,
                "maximum": 100,
                "pattern": THRESHOLD_PATTERN,
                "not": {"enum": [True, False]},
            }
        }
    ),
]
"""A share of 1 ("0.5"), or a percentage when above 1 (50)."""

Quantity = Annotated[int | str, int_or_string(minimum=0, pattern=QUANTITY_PATTERN)]
"""An amount of a resource, such as 8, "500m" or "16Gi"."""

Period = Annotated[int | str, int_or_string(minimum=1, pattern=DURATION_PATTERN, maxLength=64)]
"""A duration, or a whole number of minutes."""

OnOff = Annotated[
    Literal["on", "off"] | bool,
    Meta(extra={"x-crd": {"x-kubernetes-preserve-unknown-fields": True, "enum": ["on", "off", True, False]}}),
]
"""on or off, as a string or as the boolean that YAML makes of it."""

Time = Annotated[datetime, Meta(tz=True)]
"""A point in time that a person writes: with its zone."""

Conditions = Annotated[
    tuple[Condition, ...],
    Meta(extra={"x-crd": {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]}}),
]
"""One of each type."""


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
    MODE = "mode"
    SCHEDULE = "schedule"
    CLUSTER_AUTOSCALER = "cluster-autoscaler"
    USER = "user"
    RECOVERY = "recovery"


# --- shared ---------------------------------------------------------------------------------------


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


class Timeouts(Slice, frozen=True, kw_only=True):
    settle: Annotated[
        Duration | None,
        Meta(description="How long a machine found without status is watched before it counts as off. Default 15s."),
    ] = None
    power_on: Annotated[
        Duration | None,
        Meta(
            description="How long waking may take until there is a sign of power. Default: "
            "retries.attempts x retries.wakeInterval."
        ),
    ] = None
    boot: Annotated[
        Duration | None,
        Meta(
            description="How long booting may take until the Kubernetes node is Ready. Default: 0.6 x "
            "maxNodeProvisionTime, and shorter once three boots have shown how long this machine takes."
        ),
    ] = None
    drain: Annotated[
        Duration | None,
        Meta(description="How long a drain may take before it is given up (or forced). Default 10m."),
    ] = None
    power_off: Annotated[
        Duration | None,
        Meta(description="How long the machine may take to go dark after the shutdown Job started. Default 5m."),
    ] = None
    off_confirm: Annotated[
        Duration | None,
        Meta(
            description="Silence after the shutdown Job that counts as off where no sensor reads the "
            "power. Default 20s."
        ),
    ] = None
    lost: Annotated[
        Duration | None,
        Meta(
            description="How long a lost machine is left alone before it may be woken or, by force, "
            "switched off. Default 2m."
        ),
    ] = None


class Retries(Slice, frozen=True, kw_only=True):
    RULES: ClassVar[Rules] = (
        Rule(
            "!has(self.backoff) || !has(self.maxBackoff) || duration(self.backoff) <= duration(self.maxBackoff)",
            "backoff must not be longer than maxBackoff",
        ),
    )

    attempts: Annotated[
        Annotated[int, Meta(ge=1, le=100)] | None,
        Meta(description="How many times a wake is sent for one boot. Default 3."),
    ] = None
    wake_interval: Annotated[
        Duration | None,
        Meta(
            description="A wake with no sign of life is sent again after this. Default: boot / 6, and shorter once three "
            "boots have shown how long this machine takes."
        ),
    ] = None
    backoff: Annotated[
        Duration | None,
        Meta(description="First cool-off after a failed start, stop or drain; doubles with each failure. Default 1m."),
    ] = None
    max_backoff: Annotated[Duration | None, Meta(description="Longest cool-off. Default 1h.")] = None
    hedge: Annotated[
        bool | None,
        Meta(
            description="Wake one spare machine of the group beside a machine that gives no sign of life for a wakeInterval "
            "after its first wake, instead of waiting for its boot to be given up. The spare must be shown to wake. Default false."
        ),
    ] = None


# --- Group ----------------------------------------------------------------------------------------


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


class GroupSpec(Slice, frozen=True, kw_only=True):
    RULES: ClassVar[Rules] = (
        Rule(
            "!has(self.minSize) || !has(self.maxSize) || self.minSize <= self.maxSize",
            "minSize must not be above maxSize",
        ),
    )

    name: Annotated[
        str,
        Meta(description="Display name. Cluster Autoscaler knows the group as NAMESPACE/NAME of this resource."),
    ] = ""
    min_size: Annotated[
        int,
        Meta(
            ge=0,
            le=INT32_MAX,
            description="Machines kept on. hexa wakes up to it by itself. Default 0.",
            extra={"x-crd": {"default": 0}},
        ),
    ] = 0
    max_size: Annotated[
        Annotated[int, Meta(ge=0, le=INT32_MAX)] | None,
        Meta(
            description="Most machines on at once; hexa drains down to a lowered value. Default: all "
            "machines of the group."
        ),
    ] = None
    node_selector: Annotated[
        dict[str, str],
        Meta(description="Labels that members carry: added to the Kubernetes node at boot and to the template."),
    ] = field(default_factory=dict)
    hold: Annotated[
        Hold | None,
        Meta(description="A person's word over every machine of the group; beats everything but safety."),
    ] = None
    scale_down_utilization_threshold: Annotated[
        Threshold | None,
        Meta(
            description="Utilisation below which Cluster Autoscaler may remove a node: a share (0.5), "
            "or percent above 1 (50). Default: Cluster Autoscaler's."
        ),
    ] = None
    scale_down_gpu_utilization_threshold: Annotated[
        Threshold | None, Meta(description="The same for nodes with GPUs. Default: Cluster Autoscaler's.")
    ] = None
    scale_down_unneeded_time: Annotated[
        Duration | None,
        Meta(description="How long a node must be unneeded before it is removed. Default: Cluster Autoscaler's."),
    ] = None
    scale_down_unready_time: Annotated[
        Duration | None,
        Meta(
            description="How long an unready node must be unneeded before it is removed. Default: Cluster Autoscaler's."
        ),
    ] = None
    max_node_provision_time: Annotated[
        Duration | None,
        Meta(description="How long Cluster Autoscaler waits for a machine; boot limits follow from it. Default 15m."),
    ] = None
    zero_or_max_node_scaling: Annotated[
        bool | None,
        Meta(description="Scale between none and all machines only. Default: Cluster Autoscaler's."),
    ] = None
    ignore_daemon_sets_utilization: Annotated[
        bool | None,
        Meta(description="Leave DaemonSet pods out of the utilisation. Default: Cluster Autoscaler's."),
    ] = None
    timeouts: Annotated[Timeouts, Meta(description="Limits of the phases, for every machine of the group.")] = (
        Timeouts()
    )
    retries: Annotated[Retries, Meta(description="Repeated wakes and cool-offs, for every machine of the group.")] = (
        Retries()
    )
    drain: Annotated[DrainPolicy, Meta(description="What a drain may do.")] = DrainPolicy()
    node_leave_policy: Annotated[
        LeavePolicy,
        Meta(
            description="Delete the Kubernetes node of a machine that is off (default), or Keep it "
            "cordoned with Suspended=True (Cluster Autoscaler 1.36 or later).",
            extra={"x-crd": {"default": "Delete"}},
        ),
    ] = LeavePolicy.DELETE
    wake_proof: Annotated[
        WakeProof,
        Meta(
            description="Require (default): of the machines that hexa has not shown to wake, one at a time may be off, "
            "the next only after it woke; a person's off and hold pass. Warn only tells of them, Ignore does not.",
        ),
    ] = WakeProof.REQUIRE
    wake_proof_lasts: Annotated[
        Duration | None,
        Meta(description="How long a wake that brought the machine up proves that the next one will. Default 720h."),
    ] = None
    exercise_every: Annotated[
        Duration | None,
        Meta(
            description="Wake a machine that has been off for so long, one of the group at a time, and rest it again once "
            "it is up and idle: so its proof stays fresh. Default: never."
        ),
    ] = None
    quarantine_probe: Annotated[
        QuarantineProbe,
        Meta(
            description="How a machine that failed to start is looked at while nobody needs it. Look (default): its sensor and its "
            "health check; what works again is tried sooner. Wake: it is also woken quietly at the end of its back-off, one of the "
            "group at a time, and rested again once it is up and idle; Cluster Autoscaler is told of it once it is up."
        ),
    ] = QuarantineProbe.LOOK
    on_unexpected_power: Annotated[
        OnUnexpectedPower,
        Meta(
            description="What to make of a machine that is found on while off is wanted (a button, mains that came back): "
            "Adopt (default) keeps it on for an hour, Correct drains it and switches it off again, Ignore leaves it as it is "
            "for good. One that is found off while on is wanted is woken again; with Ignore it is left off."
        ),
    ] = OnUnexpectedPower.ADOPT
    storage: Annotated[
        Storage,
        Meta(
            description="keep (default): a machine that runs pods which hold data for others (Longhorn instance managers, "
            "Ceph OSDs, Mayastor engines, NFS servers) is not switched off. ignore: it is like any other."
        ),
    ] = Storage.KEEP
    hard_off: Annotated[
        HardOff,
        Meta(
            description="Allow (default): the power of a machine is cut where its spec.power says hard. Forbid: never, whatever "
            "machines say; a way off that can only cut is none then. A shutdownPodSpec does as it is written."
        ),
    ] = HardOff.ALLOW
    allow_control_plane: Annotated[
        bool,
        Meta(description="Accept control-plane nodes as members. They are never deleted. Default false: refused."),
    ] = False
    remediation: Annotated[
        Remediation,
        Meta(description="What hexa may do by itself about machines of the group that are ill. Default: nothing."),
    ] = Remediation()
    cost: Annotated[Cost, Meta(description="Tariff of the group's machines.")] = Cost()


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


class GroupStatus(Slice, frozen=True, kw_only=True, omit_defaults=False):
    size: Annotated[int, Meta(description="Machines that belong to the group.")] = 0
    target: Annotated[
        int,
        Meta(description="Machines that are wanted on and can still come; what Cluster Autoscaler is told."),
    ] = 0
    ready: Annotated[int, Meta(description="Machines in phase Ready.")] = 0
    booting: Annotated[int, Meta(description="Machines on their way up.")] = 0
    off: Annotated[int, Meta(description="Machines that are off.")] = 0
    failed: Annotated[int, Meta(description="Machines that failed to start or to stop, or are lost.")] = 0
    health: Annotated[
        GroupHealth,
        Meta(
            description="offline (no machine can serve), degraded (a machine is), unknown (of more than half nobody knows) or "
            "healthy."
        ),
    ] = GroupHealth.UNKNOWN
    requests: Annotated[
        tuple[Request, ...],
        Meta(
            description="Requests for several machines that are stored here and not yet on all of them, oldest first."
        ),
    ] = ()
    observed_generation: Annotated[int, Meta(description="Generation of the spec that this status speaks of.")] = 0
    conditions: Annotated[Conditions, Meta(description="What a person should know, by type.")] = ()


class OwnedMetadata(Metadata, frozen=True, kw_only=True):
    """Metadata of our own resources: who wrote which field matters there."""

    managed_fields: tuple[ManagedFields, ...] = ()


class Group(Slice, frozen=True, kw_only=True):
    """Machines of one shape and the policy for them."""

    RULES: ClassVar[Rules] = (
        Rule(
            "self.metadata.name.size() <= 63",
            "the name of a group goes into a label, so it can have at most 63 characters",
        ),
    )

    metadata: OwnedMetadata = OwnedMetadata()
    spec: GroupSpec = GroupSpec()
    status: GroupStatus = GroupStatus()


# --- Node -----------------------------------------------------------------------------------------


class KeySelector(Slice, frozen=True, kw_only=True):
    name: Annotated[str, Meta(description="Name of the Secret or ConfigMap.")] = ""
    key: Annotated[str, Meta(description="Key in it.")] = ""
    optional: Annotated[bool, Meta(description="Start the pod even if it is missing.")] = False


class FieldSelector(Slice, frozen=True, kw_only=True):
    field_path: Annotated[str, Meta(description="Path of a field of the pod, such as spec.nodeName.")] = ""


class EnvVarSource(Slice, frozen=True, kw_only=True):
    RULES: ClassVar[Rules] = (
        Rule(
            "[has(self.secretKeyRef), has(self.configMapKeyRef), has(self.fieldRef)].exists_one(is, is)",
            "one of secretKeyRef, configMapKeyRef and fieldRef is needed, and only one",
        ),
    )

    secret_key_ref: Annotated[KeySelector | None, Meta(description="From a Secret of the same namespace.")] = None
    config_map_key_ref: Annotated[KeySelector | None, Meta(description="From a ConfigMap of the same namespace.")] = (
        None
    )
    field_ref: Annotated[FieldSelector | None, Meta(description="From a field of the pod.")] = None


class EnvVar(Slice, frozen=True, kw_only=True):
    RULES: ClassVar[Rules] = (
        Rule(
            "!has(self.valueFrom) || !has(self.value) || self.value == ''",
            "value and valueFrom exclude each other",
        ),
    )

    name: Annotated[str, Meta(min_length=1, description="Name of the variable.")]
    value: Annotated[str, Meta(description="Its value.")] = ""
    value_from: Annotated[EnvVarSource | None, Meta(description="Where its value comes from instead.")] = None


class VolumeMount(Slice, frozen=True, kw_only=True):
    RULES: ClassVar[Rules] = (
        Rule(
            "(has(self.secretName) && self.secretName != '') != (has(self.configMapName) && self.configMapName != '')",
            "one of secretName and configMapName is needed, and only one",
        ),
    )

    name: Annotated[str, Meta(min_length=1, max_length=63, description="Name of the volume.")]
    mount_path: Annotated[str, Meta(min_length=1, description="Where it is mounted, read-only.")]
    secret_name: Annotated[str, Meta(description="The Secret it shows (either this or configMapName).")] = ""
    config_map_name: Annotated[str, Meta(description="The ConfigMap it shows (either this or secretName).")] = ""


class PodResources(Slice, frozen=True, kw_only=True):
    requests: Annotated[dict[str, Quantity], Meta(description="What the container is guaranteed.")] = field(
        default_factory=dict
    )
    limits: Annotated[dict[str, Quantity], Meta(description="What the container may use at most.")] = field(
        default_factory=dict
    )


class PowerPodSpec(Slice, frozen=True, kw_only=True):
    """What runs as a Kubernetes Job to switch the machine."""

    image: Annotated[str, Meta(min_length=1, description="Container image.")]
    command: Annotated[tuple[str, ...], Meta(description="Entry point. Default: the image's.")] = ()
    args: Annotated[tuple[str, ...], Meta(description="Arguments.")] = ()
    env: Annotated[tuple[EnvVar, ...], Meta(max_length=256, description="Environment of the container.")] = ()
    volumes: Annotated[
        tuple[VolumeMount, ...],
        Meta(
            max_length=64,
            description="Secrets and ConfigMaps mounted into the container.",
            extra={"x-crd": {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]}},
        ),
    ] = ()
    service_account: Annotated[
        str,
        Meta(description="ServiceAccount of the pod. Default: the namespace's default, without a mounted token."),
    ] = ""
    ttl_seconds_after_finished: Annotated[
        int,
        Meta(
            ge=0,
            le=INT32_MAX,
            description="A finished Job that hexa did not get to delete goes after this, in seconds. Default 600.",
            extra={"x-crd": {"default": 600}},
        ),
    ] = 600
    host_network: Annotated[
        bool, Meta(description="Run in the host's network, as Wake-on-LAN needs. Default false.")
    ] = False
    node_selector: Annotated[
        dict[str, str],
        Meta(description="Labels of the nodes that may run the Job, besides being outside every group."),
    ] = field(default_factory=dict)
    tolerations: Annotated[
        tuple[Toleration, ...], Meta(description="Taints that are tolerated, besides the control plane's.")
    ] = ()
    resources: Annotated[PodResources, Meta(description="Requests and limits of the container.")] = PodResources()
    image_pull_secrets: Annotated[tuple[str, ...], Meta(description="Names of Secrets to pull the image with.")] = ()
    toggle: Annotated[
        bool,
        Meta(
            description="It presses the machine's power button, which does the opposite of what is: it is not run again before a "
            "reading or a sign of life has told what the last press did. Default false."
        ),
    ] = False


class Pricing(Slice, frozen=True, kw_only=True):
    hourly_rate: Annotated[Number | None, Meta(description="Cost of an hour on.")] = None
    pod_rate: Annotated[Number | None, Meta(description="Additional cost of a pod and hour.")] = None
    monthly_rate: Annotated[
        Number | None, Meta(description="Fixed cost of a month, on or off; for reports, never for decisions.")
    ] = None


class Energy(Slice, frozen=True, kw_only=True):
    idle_watts: Annotated[Number | None, Meta(description="Draw when on and idle, in watts.")] = None
    max_watts: Annotated[Number | None, Meta(description="Draw at full load, in watts.")] = None
    off_watts: Annotated[Number | None, Meta(description="Draw when off (standby, BMC), in watts.")] = None
    boot_watt_hours: Annotated[Number | None, Meta(description="Energy of one boot, in watt-hours.")] = None


class TemplateSpec(Slice, frozen=True, kw_only=True):
    capacity: Annotated[
        dict[str, Quantity],
        Meta(
            description="Resources of the machine, such as cpu, memory, pods, nvidia.com/gpu. Default: "
            "the last shape seen. Once it was seen, a declaration may lower what its kubelet offered, and not raise it. Of a "
            "machine never seen, pods are 110 and ephemeral-storage is more than anybody asks for, where they are not declared."
        ),
    ] = field(default_factory=dict)
    labels: Annotated[dict[str, str], Meta(description="Labels that the Kubernetes node will carry.")] = field(
        default_factory=dict
    )
    taints: Annotated[
        tuple[Taint, ...], Meta(description="Taints that the Kubernetes node will carry once it is up.")
    ] = ()


class Paused(Slice, frozen=True, kw_only=True):
    reason: Annotated[str, Meta(description="Why.")] = ""
    until: Annotated[Time | None, Meta(description="When the pause ends (RFC 3339); absent: until it is removed.")] = (
        None
    )


POWER_DRIVERS: Final = ("wakeOnLan", "ipmi", "redfish", "pdu", "http", "ssh", "script", "plugin")
_ANY_DRIVER: Final = " || ".join(f"has(self.power.{driver})" for driver in POWER_DRIVERS)


class NodeSpec(Slice, frozen=True, kw_only=True):
    RULES: ClassVar[Rules] = (
        Rule(f"!has(self.power) || {_ANY_DRIVER}", "power needs one of its drivers"),
        *(
            Rule(
                f"!has(self.power) || !has(self.power.{field}) || "
                + " || ".join(
                    f"(self.power.{field} == '{driver}' && has(self.power.{driver}))" for driver in POWER_DRIVERS
                ),
                f"power.{field} names a driver that has no settings there",
            )
            for field in ("turnOn", "turnOnElse", "turnOff", "sense")
        ),
    )

    kubernetes_node_name: Annotated[
        str, Meta(description="Name that the machine's kubelet registers. Default: metadata.name.")
    ] = ""
    power_state: Annotated[
        OnOff | None,
        Meta(
            description="on or off: what is wanted. Absent: as found. Cluster Autoscaler's wishes are written here too."
        ),
    ] = None
    startup_pod_spec: Annotated[
        PowerPodSpec | None,
        Meta(description="The Job that switches the machine on. It goes before power, which then does the rest."),
    ] = None
    shutdown_pod_spec: Annotated[
        PowerPodSpec | None,
        Meta(
            description="The Job that switches the machine off. It goes before power. Without either the machine is never "
            "chosen to rest."
        ),
    ] = None
    healthcheck_pod_spec: Annotated[
        PowerPodSpec | None,
        Meta(
            description="A check of the machine's health, run by a CronJob while the machine is up or has failed. It passes with exit "
            "code 0. What it says is shown in the status and in the health; it switches nothing."
        ),
    ] = None
    healthcheck_period: Annotated[
        Period | None,
        Meta(
            description="How often the health check runs, such as 10m; a bare number is minutes. Default 5m. Of what cron cannot say the next shorter period is taken, with "
            "a condition: 1 to 6, 10, 12, 15, 20 or 30 minutes, 1 to 4, 6, 8, 12, 24 or 168 hours."
        ),
    ] = None
    power: Annotated[
        PowerSpec | None,
        Meta(
            description="How hexa's own drivers switch the machine, by Jobs of hexa's image, and read its power, in the agent. "
            "Credentials are named Secrets of the machine's namespace."
        ),
    ] = None
    depends_on: Annotated[
        tuple[Annotated[str, Meta(min_length=1, max_length=253)], ...],
        Meta(
            max_length=32,
            description="Machines of the same namespace that must be Ready before this one is woken, such as a storage box. They are "
            "woken for it, and do not rest while it is on or wanted on.",
            extra={"x-crd": {"x-kubernetes-list-type": "set"}},
        ),
    ] = ()
    pricing: Annotated[Pricing, Meta(description="What the machine costs.")] = Pricing()
    energy: Annotated[Energy, Meta(description="What the machine draws.")] = Energy()
    template: Annotated[
        TemplateSpec, Meta(description="Shape of the machine while it is off; overrides the last shape seen.")
    ] = TemplateSpec()
    taints_to_remove: Annotated[
        tuple[Taint, ...],
        Meta(description="Taints stripped from the Kubernetes node once for each boot, and from the template."),
    ] = ()
    timeouts: Annotated[Timeouts, Meta(description="Overrides the group's, field by field.")] = Timeouts()
    retries: Annotated[Retries, Meta(description="Overrides the group's, field by field.")] = Retries()
    hold: Annotated[
        Hold | None, Meta(description="A person's word over this machine; beats everything but safety.")
    ] = None
    paused: Annotated[Paused | None, Meta(description="Only watch this machine: no wake, no drain, no power-off.")] = (
        None
    )


class WishRecord(Slice, frozen=True, kw_only=True, omit_defaults=False):
    """What we want of a machine, who asked, why and since when."""

    power: Annotated[Power, Meta(description="on or off.")]
    by: Annotated[Asker, Meta(description="Who asked: hold, mode, schedule, cluster-autoscaler, user or recovery.")]
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
    outcome: Annotated[str, Meta(description="running, done or failed.")] = "running"
    message: Annotated[str, Meta(description="Why it failed, from the pod.")] = ""


class HistoryEntry(Slice, frozen=True, kw_only=True):
    at: Annotated[datetime, Meta(description="When.")]
    action: Annotated[str, Meta(description="What happened, in CamelCase.")]
    by: Annotated[str, Meta(description="Who asked, or what was noticed.")] = ""
    message: Annotated[str, Meta(description="In a sentence.")] = ""


class EnergyAccount(Slice, frozen=True, kw_only=True):
    on_seconds: Annotated[float, Meta(description="Time on since the machine was enrolled, in seconds.")] = 0.0
    off_seconds: Annotated[float, Meta(description="Time off since the machine was enrolled, in seconds.")] = 0.0
    boots: Annotated[int, Meta(description="Boots since the machine was enrolled.")] = 0
    counted_to: Annotated[datetime | None, Meta(description="The account is complete up to here.")] = None


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
    boot_seconds: Annotated[
        tuple[float, ...],
        Meta(description="Recent boots in seconds, from the first wake of each to Ready, newest last."),
    ] = ()
    template: Annotated[Shape | None, Meta(description="The last shape seen.")] = None
    energy: Annotated[EnergyAccount, Meta(description="Hours on and off and boots, for energy and cost.")] = (
        EnergyAccount()
    )
    history: Annotated[tuple[HistoryEntry, ...], Meta(description="The last 20 actions, newest last.")] = ()
    observed_generation: Annotated[int, Meta(description="Generation of the spec that this status speaks of.")] = 0


class Node(Slice, frozen=True, kw_only=True):
    """A machine: a physical box that is switched by Jobs."""

    RULES: ClassVar[Rules] = (
        Rule(
            "!has(self.spec) || !has(self.spec.dependsOn) || !self.spec.dependsOn.exists(name, name == self.metadata.name)",
            "a machine cannot depend on itself",
        ),
    )

    metadata: OwnedMetadata = OwnedMetadata()
    spec: NodeSpec = NodeSpec()
    status: NodeStatus = NodeStatus()


class Lookup(Struct, frozen=True):
    """Namespace and name of one of our resources."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


GROUPS: Final = Kind("infra.homecluster.dev/v1alpha1", "Group", "groups", Group)
MACHINES: Final = Kind("infra.homecluster.dev/v1alpha1", "Node", "nodes", Node)
