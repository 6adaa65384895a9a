"""The slices of Kubernetes objects that hexa reads. Unknown fields are ignored; nothing here decides."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Final, Generic, TypeVar

import msgspec
from msgspec import Meta, Struct, field

from hexa.domain.resources.bounds import bounded

T_co = TypeVar("T_co", covariant=True)


class Slice(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """Base: camelCase on the wire, absent where default, immutable."""


class OwnerReference(Slice, frozen=True, kw_only=True):
    api_version: str = ""
    kind: str = ""
    name: str = ""
    uid: str = ""
    controller: bool | None = None


class ManagedFields(Slice, frozen=True, kw_only=True):
    """Who applied which fields (server-side apply book-keeping)."""

    manager: str = ""
    operation: str = ""
    subresource: str = ""
    fields_v1: dict[str, Any] = field(name="fieldsV1", default_factory=dict)


class Metadata(Slice, frozen=True, kw_only=True):
    """ObjectMeta without `managedFields`, which matter for our own resources only (see `v1alpha1.OwnedMetadata`)."""

    name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    generation: int = 0
    labels: dict[str, str] = field(default_factory=dict)
    annotations: dict[str, str] = field(default_factory=dict)
    creation_timestamp: datetime | None = None
    deletion_timestamp: datetime | None = None
    owner_references: tuple[OwnerReference, ...] = ()
    finalizers: tuple[str, ...] = ()


class Condition(Slice, frozen=True, kw_only=True):
    """metav1.Condition; core/v1 Node and Pod conditions read the same but for their heartbeat times."""

    type: Annotated[str, Meta(description="What it speaks of, in CamelCase.")]
    status: Annotated[str, Meta(description="True, False or Unknown.")] = ""  # what is the default is not written
    reason: Annotated[str, Meta(description="Why, in CamelCase.")] = ""
    message: Annotated[str, Meta(description="Why, in a sentence.")] = ""
    last_transition_time: Annotated[datetime | None, Meta(description="When the status last changed.")] = None
    observed_generation: Annotated[int, Meta(description="Generation of the spec that it speaks of.")] = 0


EFFECTS: Final = ["", "NoSchedule", "PreferNoSchedule", "NoExecute"]


class Taint(Slice, frozen=True, kw_only=True):
    key: Annotated[str, Meta(description="Taint key.")]
    value: Annotated[str, Meta(description="Taint value.")] = ""
    effect: Annotated[
        str,
        Meta(
            description="NoSchedule, PreferNoSchedule or NoExecute; empty matches every effect.",
            extra={"x-crd": {"enum": EFFECTS}},
        ),
    ] = ""
    time_added: Annotated[datetime | None, Meta(description="When it was put on.")] = None


class Toleration(Slice, frozen=True, kw_only=True):
    key: Annotated[str, Meta(description="Taint key; empty with operator Exists tolerates everything.")] = ""
    operator: Annotated[str, Meta(description="Equal (default) or Exists.")] = ""
    value: Annotated[str, Meta(description="Taint value for operator Equal.")] = ""
    effect: Annotated[
        str,
        Meta(description="Effect to tolerate; empty tolerates all.", extra={"x-crd": {"enum": EFFECTS}}),
    ] = ""
    toleration_seconds: Annotated[int | None, Meta(description="For how long NoExecute is tolerated, in seconds.")] = (
        None
    )


class NodeSystemInfo(Slice, frozen=True, kw_only=True):
    architecture: str = ""
    operating_system: str = ""
    boot_id: str = field(name="bootID", default="")
    kubelet_version: str = ""
    machine_id: str = field(name="machineID", default="")


class KubeNodeSpec(Slice, frozen=True, kw_only=True):
    provider_id: str = field(name="providerID", default="")
    unschedulable: bool = False
    taints: tuple[Taint, ...] = ()


class AttachedVolume(Slice, frozen=True, kw_only=True):
    name: str = ""


class KubeNodeStatus(Slice, frozen=True, kw_only=True):
    capacity: dict[str, str] = field(default_factory=dict)
    allocatable: dict[str, str] = field(default_factory=dict)
    conditions: tuple[Condition, ...] = ()
    node_info: NodeSystemInfo = NodeSystemInfo()
    volumes_attached: tuple[AttachedVolume, ...] = ()
    """By the controller manager."""
    volumes_in_use: tuple[str, ...] = ()
    """By the kubelet, which does not let them go yet."""


class KubeNode(Slice, frozen=True, kw_only=True):
    """core/v1 Node: what the kubelet of a machine registers."""

    metadata: Metadata = Metadata()
    spec: KubeNodeSpec = KubeNodeSpec()
    status: KubeNodeStatus = KubeNodeStatus()


class ResourceRequirements(Slice, frozen=True, kw_only=True):
    requests: dict[str, str] = field(default_factory=dict)
    limits: dict[str, str] = field(default_factory=dict)


class ContainerPort(Slice, frozen=True, kw_only=True):
    host_port: int = 0
    protocol: str = "TCP"


class Container(Slice, frozen=True, kw_only=True):
    name: str = ""
    image: str = ""
    resources: ResourceRequirements = ResourceRequirements()
    ports: tuple[ContainerPort, ...] = ()
    restart_policy: str = ""


class ClaimSource(Slice, frozen=True, kw_only=True):
    claim_name: str = ""


class Volume(Slice, frozen=True, kw_only=True):
    """A pod's volume; only the kinds that matter to a drain are kept."""

    name: str = ""
    empty_dir: dict[str, Any] | None = None
    host_path: dict[str, Any] | None = None
    persistent_volume_claim: ClaimSource | None = None


class PodSpec(Slice, frozen=True, kw_only=True):
    node_name: str = ""
    scheduler_name: str = ""
    node_selector: dict[str, str] = field(default_factory=dict)
    affinity: dict[str, Any] = field(default_factory=dict)
    tolerations: tuple[Toleration, ...] = ()
    containers: tuple[Container, ...] = ()
    init_containers: tuple[Container, ...] = ()
    volumes: tuple[Volume, ...] = ()
    topology_spread_constraints: tuple[Any, ...] = ()
    resource_claims: tuple[Any, ...] = ()
    resources: ResourceRequirements = ResourceRequirements()
    """What the pod asks for as a whole."""
    overhead: dict[str, str] = field(default_factory=dict)
    priority: int = 0
    host_network: bool = False
    termination_grace_period_seconds: int | None = None


class ContainerStateWaiting(Slice, frozen=True, kw_only=True):
    reason: str = ""
    message: str = ""


class ContainerStateTerminated(Slice, frozen=True, kw_only=True):
    reason: str = ""
    message: str = ""
    exit_code: int = 0


class ContainerState(Slice, frozen=True, kw_only=True):
    waiting: ContainerStateWaiting | None = None
    terminated: ContainerStateTerminated | None = None


class ContainerStatus(Slice, frozen=True, kw_only=True):
    name: str = ""
    ready: bool = False
    restart_count: int = 0
    state: ContainerState = ContainerState()
    resources: ResourceRequirements | None = None
    """What it has, where that may be changed while it runs."""
    allocated_resources: dict[str, str] = field(default_factory=dict)
    """What its kubelet has promised it."""


class PodStatus(Slice, frozen=True, kw_only=True):
    phase: str = ""
    reason: str = ""
    message: str = ""
    conditions: tuple[Condition, ...] = ()
    container_statuses: tuple[ContainerStatus, ...] = ()
    init_container_statuses: tuple[ContainerStatus, ...] = ()
    start_time: datetime | None = None


class Pod(Slice, frozen=True, kw_only=True):
    """core/v1 Pod."""

    metadata: Metadata = Metadata()
    spec: PodSpec = PodSpec()
    status: PodStatus = PodStatus()


class JobSpec(Slice, frozen=True, kw_only=True):
    active_deadline_seconds: int | None = None
    backoff_limit: int | None = None
    ttl_seconds_after_finished: int | None = None
    suspend: bool | None = None


class JobStatus(Slice, frozen=True, kw_only=True):
    active: int = 0
    succeeded: int = 0
    failed: int = 0
    start_time: datetime | None = None
    completion_time: datetime | None = None
    conditions: tuple[Condition, ...] = ()


class Job(Slice, frozen=True, kw_only=True):
    """batch/v1 Job."""

    metadata: Metadata = Metadata()
    spec: JobSpec = JobSpec()
    status: JobStatus = JobStatus()


class CronJobSpec(Slice, frozen=True, kw_only=True):
    schedule: str = ""
    time_zone: str = ""
    suspend: bool = False


class CronJob(Slice, frozen=True, kw_only=True):
    """batch/v1 CronJob: when it runs, not what."""

    metadata: Metadata = Metadata()
    spec: CronJobSpec = CronJobSpec()


class LeaseSpec(Slice, frozen=True, kw_only=True):
    holder_identity: str = ""
    lease_duration_seconds: int = 40
    renew_time: datetime | None = None
    acquire_time: datetime | None = None


class Lease(Slice, frozen=True, kw_only=True):
    """coordination.k8s.io/v1 Lease; the kubelet of node N renews kube-node-lease/N."""

    metadata: Metadata = Metadata()
    spec: LeaseSpec = LeaseSpec()


class LabelSelectorRequirement(Slice, frozen=True, kw_only=True):
    key: str = ""
    operator: str = ""
    values: tuple[str, ...] = ()


class LabelSelector(Slice, frozen=True, kw_only=True):
    match_labels: dict[str, str] = field(default_factory=dict)
    match_expressions: tuple[LabelSelectorRequirement, ...] = ()


class PodDisruptionBudgetSpec(Slice, frozen=True, kw_only=True):
    min_available: int | str | None = None
    max_unavailable: int | str | None = None
    selector: LabelSelector | None = None
    unhealthy_pod_eviction_policy: str = ""


class PodDisruptionBudgetStatus(Slice, frozen=True, kw_only=True):
    disruptions_allowed: int = 0
    current_healthy: int = 0
    desired_healthy: int = 0
    expected_pods: int = 0


class PodDisruptionBudget(Slice, frozen=True, kw_only=True):
    """policy/v1 PodDisruptionBudget."""

    metadata: Metadata = Metadata()
    spec: PodDisruptionBudgetSpec = PodDisruptionBudgetSpec()
    status: PodDisruptionBudgetStatus = PodDisruptionBudgetStatus()


class PersistentVolumeClaimSpec(Slice, frozen=True, kw_only=True):
    volume_name: str = ""


class PersistentVolumeClaim(Slice, frozen=True, kw_only=True):
    """core/v1 PersistentVolumeClaim: only the volume that it is bound to."""

    metadata: Metadata = Metadata()
    spec: PersistentVolumeClaimSpec = PersistentVolumeClaimSpec()


class CsiSource(Slice, frozen=True, kw_only=True):
    driver: str = ""
    volume_handle: str = ""


class PersistentVolumeSpec(Slice, frozen=True, kw_only=True):
    node_affinity: dict[str, Any] = field(default_factory=dict)
    local: dict[str, Any] | None = None
    host_path: dict[str, Any] | None = None
    csi: CsiSource | None = None


class PersistentVolume(Slice, frozen=True, kw_only=True):
    """core/v1 PersistentVolume: what pins it to a machine, and how a node names it."""

    metadata: Metadata = Metadata()
    spec: PersistentVolumeSpec = PersistentVolumeSpec()


class ObjectReference(Slice, frozen=True, kw_only=True):
    api_version: str = ""
    kind: str = ""
    name: str = ""
    namespace: str = ""
    uid: str = ""


class KubeEvent(Slice, frozen=True, kw_only=True):
    """core/v1 Event."""

    metadata: Metadata = Metadata()
    involved_object: ObjectReference = ObjectReference()
    reason: str = ""
    message: str = ""
    type: str = "Normal"
    count: int = 0


class Kind(Struct, Generic[T_co], frozen=True):
    """Where objects of a type live in the Kubernetes API, and the struct they are decoded to."""

    api_version: str
    name: str
    plural: str
    type: type[T_co]
    namespaced: bool = True


class Malformed(Struct, frozen=True):
    """An object that does not decode as its type: known by name, with the reason, so that others go on."""

    metadata: Metadata
    problem: str
    node_name: str = ""
    """Of a pod: the Kubernetes node that it is bound to, as far as that reads."""


NODES: Final = Kind("v1", "Node", "nodes", KubeNode, namespaced=False)
PODS: Final = Kind("v1", "Pod", "pods", Pod)
EVENTS: Final = Kind("v1", "Event", "events", KubeEvent)
JOBS: Final = Kind("batch/v1", "Job", "jobs", Job)
CRON_JOBS: Final = Kind("batch/v1", "CronJob", "cronjobs", CronJob)
LEASES: Final = Kind("coordination.k8s.io/v1", "Lease", "leases", Lease)
BUDGETS: Final = Kind("policy/v1", "PodDisruptionBudget", "poddisruptionbudgets", PodDisruptionBudget)
CLAIMS: Final = Kind("v1", "PersistentVolumeClaim", "persistentvolumeclaims", PersistentVolumeClaim)
VOLUMES: Final = Kind("v1", "PersistentVolume", "persistentvolumes", PersistentVolume, namespaced=False)


UNREADABLE: Final = (msgspec.MsgspecError, ValueError, OverflowError, RecursionError)
"""What decoding raises about an object that is not as it should be."""


def decode(kind: Kind[T_co], obj: Mapping[str, Any]) -> T_co | Malformed:
    """Decode builtins (parsed JSON) as `kind`; what does not fit comes back as `Malformed`."""
    try:
        return bounded(msgspec.convert(obj, kind.type))
    except UNREADABLE as error:
        return Malformed(_metadata(obj), str(error), node_name_of(obj))


def node_name_of(obj: Mapping[str, Any]) -> str:
    """spec.nodeName of an object that does not decode; empty where it has none that reads."""
    spec = obj.get("spec")
    name = spec.get("nodeName") if isinstance(spec, Mapping) else None
    return name if isinstance(name, str) else ""


def _metadata(obj: Mapping[str, Any]) -> Metadata:
    try:
        return bounded(msgspec.convert(obj.get("metadata", {}), Metadata))
    except UNREADABLE:
        return sketch(obj.get("metadata"))


def sketch(raw: Any) -> Metadata:
    """Who an object is whose metadata does not decode: it is told by name, and its version is compared."""
    known = raw if isinstance(raw, Mapping) else {}
    names = {key: str(known.get(key, "")) for key in ("name", "namespace", "uid", "resourceVersion")}
    return msgspec.convert(names, Metadata)
