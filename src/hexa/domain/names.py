"""Names that are API: labels, annotations, finalizers and ids. It knows no object and no rule."""

from typing import Final

API_GROUP: Final = "infra.homecluster.dev"
API_VERSION: Final = f"{API_GROUP}/v1alpha1"

GROUP_LABEL: Final = f"{API_GROUP}/group"
"""On Kubernetes nodes and templates: the name of the machine's group. Power Jobs, hexa and CA avoid nodes that carry it."""

MACHINE_LABEL: Final = f"{API_GROUP}/machine"
"""On power Jobs and their pods: the name of the machine."""

ACTION_LABEL: Final = f"{API_GROUP}/action"
"""On power Jobs and their pods: startup or shutdown."""

ATTEMPT_LABEL: Final = f"{API_GROUP}/attempt"
"""On power Jobs and their pods: the value of the machine's `status.attempt` that the Job belongs to."""

UID_LABEL: Final = f"{API_GROUP}/uid"
"""On power Jobs and their pods: uid of the machine's Node resource. Finds them all, whatever the machine is called."""

CHECK_LABEL: Final = f"{API_GROUP}/check"
"""On the CronJob of a health check, its Jobs and their pods: uid of the machine's Node resource."""

CHECK_ACTION: Final = "check"
"""Value of `ACTION_LABEL` on a health check's Jobs and pods: they switch nothing."""

CHECK_ANNOTATION: Final = f"{API_GROUP}/check-of"
"""On the CronJob of a health check: a hash of all that it was made of; another one is a CronJob to patch."""

MEMBERSHIP_LABEL: Final = "group"
"""On Node resources: the name of the Group resource in the same namespace (the seed system's label)."""

WISH_ANNOTATION: Final = f"{API_GROUP}/wish"
"""On Node resources: JSON {power, by, reason, since}, written in the same PATCH as `spec.powerState`."""

CORDON_ANNOTATION: Final = f"{API_GROUP}/cordoned"
"""On Kubernetes nodes: the cordon is ours (value: RFC 3339 time)."""

MACHINE_ANNOTATION: Final = f"{API_GROUP}/machine"
"""On Kubernetes nodes: NAMESPACE/NAME of the Node resource for which hexa has put something on the node."""

LABELS_ANNOTATION: Final = f"{API_GROUP}/labels"
"""On Kubernetes nodes: JSON of the labels that hexa has given, each with what was there before: {KEY: [GIVEN, BEFORE or null]}."""

REGISTERED_ANNOTATION: Final = f"{API_GROUP}/registered"
"""On Kubernetes nodes: JSON {labels, taints} of what its kubelet itself set when it registered."""

RELEASED_ANNOTATION: Final = f"{API_GROUP}/released"
"""On Node and Group resources: `hexa release` was here (value: RFC 3339 time), and hexa keeps its hands off until it is removed."""

WOKEN_FOR_ANNOTATION: Final = f"{API_GROUP}/woken-for"
"""On Node resources: JSON [{uid, pod, wakes}] of pods that wait and that the machine was woken for (spec.wakeForPinned)."""

OFF_FINALIZER: Final = f"{API_GROUP}/off"
"""On Node resources of machines that are off: status holds what their Kubernetes nodes had."""

FINALIZER_ANNOTATION: Final = f"{API_GROUP}/finalizer"
"""On Node resources beside `OFF_FINALIZER`: how to clear it without hexa."""

OFF_FORBIDDEN_ANNOTATION: Final = f"{API_GROUP}/scale-down-disabled-by"
"""On Kubernetes nodes: `SCALE_DOWN_DISABLED` is ours; the value is the CamelCase rule that forbids an off."""

KEPT_ON_ANNOTATION: Final = f"{API_GROUP}/kept-on-by"
"""On Kubernetes nodes: the rule that keeps the machine on, and why (spec.reportBlockers)."""

HOLDS_DATA_LABEL: Final = f"{API_GROUP}/holds-data"
"""On pods: "true": it holds data for others, and keeps its machine on; "false": it does not, whatever selects it."""

OUT_OF_SERVICE_ANNOTATION: Final = f"{API_GROUP}/out-of-service"
"""On Kubernetes nodes: the taint `OUT_OF_SERVICE_TAINT` is ours (value: RFC 3339 time)."""

SCALE_DOWN_DISABLED: Final = "cluster-autoscaler.kubernetes.io/scale-down-disabled"
SAFE_TO_EVICT: Final = "cluster-autoscaler.kubernetes.io/safe-to-evict"
MIRROR_ANNOTATION: Final = "kubernetes.io/config.mirror"

CA_TO_BE_DELETED_TAINT: Final = "ToBeDeletedByClusterAutoscaler"
CA_CANDIDATE_TAINT: Final = "DeletionCandidateOfClusterAutoscaler"
CA_TAINTS: Final = frozenset({CA_TO_BE_DELETED_TAINT, CA_CANDIDATE_TAINT})
UNSCHEDULABLE_TAINT: Final = "node.kubernetes.io/unschedulable"
CONDITION_TAINTS: Final = frozenset(
    {UNSCHEDULABLE_TAINT, "node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"}
)
"""What the node lifecycle controller puts on a node, and takes off, by its cordon and its condition Ready: no other news."""
OUT_OF_SERVICE_TAINT: Final = "node.kubernetes.io/out-of-service"
"""Says that a node is off for certain: Kubernetes lets its pods and volumes go without asking its kubelet."""
UNINITIALIZED_TAINT: Final = "node.cloudprovider.kubernetes.io/uninitialized"
CONTROL_PLANE_LABELS: Final = frozenset(
    {
        "node-role.kubernetes.io/control-plane",
        "node-role.kubernetes.io/controlplane",
        "node-role.kubernetes.io/master",
        "node-role.kubernetes.io/etcd",
    }
)
CONTROL_PLANE_TAINTS: Final = (
    "node-role.kubernetes.io/control-plane",
    "node-role.kubernetes.io/controlplane",
    "node-role.kubernetes.io/master",
    "node-role.kubernetes.io/etcd",
    "CriticalAddonsOnly",
)
"""What keeps ordinary pods off servers, by kubeadm, k3s and Rancher, with whichever effect: hexa's pods and its Jobs run there."""

ARCH_LABEL: Final = "kubernetes.io/arch"
OS_LABEL: Final = "kubernetes.io/os"
HOSTNAME_LABEL: Final = "kubernetes.io/hostname"

EPHEMERAL: Final = "ephemeral-storage"
"""The resource: disk of the machine itself, which every kubelet offers."""

PROVIDER_SCHEME: Final = "hexa"

LEASE_NAMESPACE: Final = "kube-node-lease"
"""Where kubelets renew their Leases."""


def group_id(namespace: str, name: str) -> str:
    """The id that Cluster Autoscaler knows a group by: NAMESPACE/NAME of the Group resource."""
    return f"{namespace}/{name}"


def provider_id(namespace: str, name: str) -> str:
    """The `spec.providerID` given to a Kubernetes node that has none: hexa://NAMESPACE/NAME of the Node resource."""
    return f"{PROVIDER_SCHEME}://{namespace}/{name}"
