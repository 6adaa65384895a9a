"""Group: its spec and status. What the fields mean is decided in `hexa.domain.policy.policy`."""

from datetime import datetime
from typing import Annotated, ClassVar, Final

from msgspec import Meta, field

from hexa.domain.resources.core import Kind, Slice
from hexa.domain.resources.energy import EnergyAccount
from hexa.domain.resources.group_values import (
    MOST_SCHEDULES,
    BatteryPolicy,
    Blackout,
    Cost,
    DrainPolicy,
    HardOff,
    LeavePolicy,
    Mode,
    OnUnexpectedPower,
    OrderBy,
    QuarantineProbe,
    RateLimit,
    Schedule,
    Storage,
    WakeProof,
)
from hexa.domain.resources.health import GroupHealth
from hexa.domain.resources.limits import Retries, Timeouts
from hexa.domain.resources.receipt import GroupReceipt
from hexa.domain.resources.remediation import CountOrShare, Remediation
from hexa.domain.resources.values import INT32_MAX, Conditions, Duration, Number, OwnedMetadata, Rule, Rules, Threshold
from hexa.domain.resources.wish import Hold, Request


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
    mode: Annotated[
        Mode,
        Meta(
            description="Auto (default): Cluster Autoscaler decides, and spec.powerState. AlwaysOn: every machine is kept on, "
            "whatever minSize and maxSize say. AlwaysOff: every machine is drained, switched off and kept off. A hold passes both. Observe: nothing is switched, and nothing "
            "written but status and Events; status.receipt says what could have been saved.",
        ),
    ] = Mode.AUTO
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
    max_watts: Annotated[
        Number | None,
        Meta(
            description="Watts that all machines of the group may draw together, by energy.maxWatts of those that are on or coming: a "
            "machine for which none are left is not woken, whoever asks. Default: no limit."
        ),
    ] = None
    timeouts: Annotated[Timeouts, Meta(description="Limits of the phases, for every machine of the group.")] = (
        Timeouts()
    )
    retries: Annotated[Retries, Meta(description="Repeated wakes and cool-offs, for every machine of the group.")] = (
        Retries()
    )
    min_on_time: Annotated[
        Duration | None,
        Meta(
            description="A machine that came up stays up so long: Cluster Autoscaler, hexa and schedules wait for it, a person's off "
            "and hold pass. Default: none."
        ),
    ] = None
    min_off_time: Annotated[
        Duration | None,
        Meta(
            description="A machine that went dark within this is the last of the group to be woken; pods that wait get it all the "
            "same. Default: none."
        ),
    ] = None
    max_cycles_per_day: Annotated[
        Annotated[int, Meta(ge=1, le=100)] | None,
        Meta(
            description="After so many offs within 24 hours the machine stays on until the first of them is a day old: Cluster "
            "Autoscaler, hexa and schedules wait for it, a person's off and hold pass. Default: no limit."
        ),
    ] = None
    max_draining: Annotated[
        Annotated[int, Meta(ge=1, le=INT32_MAX)] | None,
        Meta(
            description="Most machines that are drained or switched off at once: Cluster Autoscaler, hexa and schedules wait for "
            "it, a person's off and hold pass. Default: no limit."
        ),
    ] = None
    spares: Annotated[
        CountOrShare | None,
        Meta(
            description="Idle machines that are kept on for pods to come, a number or a share of the group's machines, rounded up. "
            "One that gets work is replaced. Within maxSize; a person's off and hold pass. Default: none."
        ),
    ] = None
    rate_limit: Annotated[
        RateLimit | None,
        Meta(
            description="How many machines of the group are woken, and switched off, within a span. A wake beyond it waits for its "
            "turn, whoever wants it, and Cluster Autoscaler is granted what can be Ready within maxNodeProvisionTime; an off waits, "
            "unless a person wants it."
        ),
    ] = None
    blackouts: Annotated[
        tuple[Blackout, ...],
        Meta(
            description="Weekly windows in which neither Cluster Autoscaler nor hexa begins to switch a machine off; a person's off "
            "and hold pass."
        ),
    ] = ()
    schedules: Annotated[
        tuple[Schedule, ...],
        Meta(
            max_length=MOST_SCHEDULES,
            description="Weekly windows in which minSize, maxSize, mode and spares are others. Where several hold at once, the later in the list "
            "wins, field by field.",
        ),
    ] = ()
    order: Annotated[
        tuple[OrderBy, ...],
        Meta(
            max_length=6,
            description="Which machine is woken first, and rested last: by the first of these in which two differ. reliability (fewer "
            "failures in a row), energy (watts at full load for each core), boot (the median of its recent boots), wear (fewer boots "
            "so far), cost (price of this hour), index (spec.index of the machine). What is not known of a machine puts it last in "
            "that. Default: reliability, cost, boot, index.",
            extra={"x-crd": {"x-kubernetes-list-type": "set"}},
        ),
    ] = ()
    wake_for_pinned: Annotated[
        bool,
        Meta(
            description="Wake a machine for a pod that can run on no other one: it names the machine by kubernetes.io/hostname, or its "
            "volume is on the machine's disk. Cluster Autoscaler can't help such a pod. At most twice for one pod; never for a "
            "DaemonSet's. Pods that would wake their machine again at once keep it on, whatever drain says. Default false."
        ),
    ] = False
    learn_shape: Annotated[
        bool,
        Meta(
            description="Where no machine of the group was ever seen Ready and none declares its capacity: wake one for a pod that asks "
            "for the group's labels and fits no other group, and learn from it. Default false: until one is woken by hand, Cluster "
            "Autoscaler wakes none."
        ),
    ] = False
    report_blockers: Annotated[
        bool,
        Meta(
            description="Say of each machine that is on which rule keeps it so: in the condition KeptOn, in the annotation "
            "infra.homecluster.dev/kept-on-by of its Kubernetes node, and in an Event when it changes. Default false: hexa blockers "
            "says it when it is asked."
        ),
    ] = False
    on_battery: Annotated[
        BatteryPolicy | None,
        Meta(
            description="When its machines are drained and switched off while the UPS of the configuration is on battery: groups with "
            "higher figures go first. Default: as the configuration says."
        ),
    ] = None
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


class ScheduleChange(Slice, frozen=True, kw_only=True):
    """When schedules make values of the group others, and which."""

    at: Annotated[datetime, Meta(description="When.")]
    what: Annotated[str, Meta(description="What changes, in a sentence.")] = ""


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
    next_schedule_change: Annotated[
        ScheduleChange | None,
        Meta(description="The next change by spec.schedules; absent: there is none in three weeks."),
    ] = None
    receipt: Annotated[
        GroupReceipt | None,
        Meta(description="What could have been saved while the group observed, with mode: Observe."),
    ] = None
    energy: Annotated[EnergyAccount, Meta(description="Hours, energy and money of all its machines.")] = EnergyAccount()
    observed_generation: Annotated[int, Meta(description="Generation of the spec that this status speaks of.")] = 0
    conditions: Annotated[Conditions, Meta(description="What a person should know, by type.")] = ()


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


GROUPS: Final = Kind("infra.homecluster.dev/v1alpha1", "Group", "groups", Group)
