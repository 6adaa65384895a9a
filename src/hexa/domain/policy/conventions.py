"""What differs from cluster to cluster, and is a setting: taints that go once a node is set up, GPUs, and the pods that guard their
machine. It knows the defaults, and no object of hexa's own."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Final

from msgspec import Struct

from hexa.domain.names import HOLDS_DATA_LABEL
from hexa.domain.policy.circuits import Circuit

AUTOSCALER: Final = "Cluster Autoscaler"

STARTUP_TAINTS: Final = (
    "node.cilium.io/agent-not-ready",
    "ebs.csi.aws.com/agent-not-ready",
    "efs.csi.aws.com/agent-not-ready",
    "disk.csi.azure.com/agent-not-ready",
    "kubeip.com/not-ready",
    "*/agent-not-ready",
    "*/not-ready",
    "readiness.k8s.io/*",
    "node.kubernetes.io/network-unavailable",
    "node.cloudprovider.kubernetes.io/uninitialized",
    "startup-taint.cluster-autoscaler.kubernetes.io/*",
    "ignore-taint.cluster-autoscaler.kubernetes.io/*",
)
KNOWN_TO_AUTOSCALER: Final = frozenset(
    {"node.kubernetes.io/network-unavailable", "node.cloudprovider.kubernetes.io/uninitialized"}
)
"""Cluster Autoscaler takes these for taints of a node's start without being told."""

GPU_LABEL: Final = "nvidia.com/gpu.product"
GPU_RESOURCES: Final = ("nvidia.com/gpu", "nvidia.com/mig-*", "amd.com/gpu", "gpu.intel.com/*", "habana.ai/gaudi")

CHARTS: Final = ("aws", "azure", "civo", "clusterapi", "externalgrpc", "gce", "hetzner", "magnum", "oci", "rancher")
"""The official Helm chart names its pods PROVIDER-cluster-autoscaler, by its value cloudProvider; its default is aws."""


class PodSelector(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Pods by namespace and labels; all labels must match."""

    name: str
    """What they are, or what they hold, for people."""
    namespace: str = ""
    """Empty: any."""
    labels: dict[str, str]

    def selects(self, namespace: str, labels: Mapping[str, str]) -> bool:
        """Whether a pod of that namespace with these labels is meant."""
        return self.namespace in ("", namespace) and self.labels.items() <= labels.items()


CONTROL_PODS: Final = (
    PodSelector(name="hexa", labels={"app.kubernetes.io/name": "hexa"}),
    PodSelector(name="hexa", labels={"app": "hexa"}),
    PodSelector(name=AUTOSCALER, labels={"app.kubernetes.io/name": "cluster-autoscaler"}),
    *(PodSelector(name=AUTOSCALER, labels={"app.kubernetes.io/name": f"{each}-cluster-autoscaler"}) for each in CHARTS),
    PodSelector(name=AUTOSCALER, labels={"app": "cluster-autoscaler"}),
    PodSelector(name=AUTOSCALER, labels={"k8s-app": "cluster-autoscaler"}),
)
API_SERVER_PODS: Final = (
    PodSelector(name="API server", labels={"component": "kube-apiserver"}),
    PodSelector(name="API server", labels={"k8s-app": "kube-apiserver"}),
    PodSelector(name="API server", labels={"app": "openshift-kube-apiserver"}),
)
STORAGE_PODS: Final = (
    PodSelector(name="replicas and engines of Longhorn", labels={"longhorn.io/component": "instance-manager"}),
    PodSelector(name="a Ceph OSD", labels={"app": "rook-ceph-osd"}),
    PodSelector(name="replicas of OpenEBS Mayastor", labels={"app": "io-engine"}),
    PodSelector(name="an NFS server", labels={"app": "nfs-server-provisioner"}),
)
SAYS_SO: Final = PodSelector(name=f"label {HOLDS_DATA_LABEL}=true", labels={HOLDS_DATA_LABEL: "true"})


class Conventions(Struct, frozen=True, kw_only=True):
    """One cluster's. In names of taints and resources, * stands for any text."""

    startup_taints: tuple[str, ...] = STARTUP_TAINTS
    """Keys of taints that stand until a node is set up."""
    startup_limit: timedelta = timedelta(minutes=5)
    """How long after Ready a node is waited for on their account."""
    gpu_label: str = GPU_LABEL
    """The label by which Cluster Autoscaler knows nodes with GPUs, and their kind."""
    gpu_resources: tuple[str, ...] = GPU_RESOURCES
    control_pods: tuple[PodSelector, ...] = CONTROL_PODS
    """Pods that hexa depends on."""
    api_server_pods: tuple[PodSelector, ...] = API_SERVER_PODS
    """API servers: the only one guards its machine, one of several does not."""
    storage_pods: tuple[PodSelector, ...] = STORAGE_PODS
    """Pods that hold data for others."""
    circuits: tuple[Circuit, ...] | None = ()
    """Circuits that machines may name; None: nobody knows them here."""
    tariffs: tuple[str, ...] | None = ()
    """Names of the tariffs that there are; None: nobody knows them here."""

    def starts(self, taint: str) -> bool:
        """Whether a taint with this key stands only until the node is set up."""
        return matches(taint, self.startup_taints)

    def holds(self, namespace: str, labels: Mapping[str, str]) -> str:
        """What a pod holds for others; empty: nothing. Its own label has the last word."""
        said = labels.get(HOLDS_DATA_LABEL)
        if said == "false":
            return ""
        selectors = (*self.storage_pods, SAYS_SO) if said == "true" else self.storage_pods
        return next((each.name for each in selectors if each.selects(namespace, labels)), "")


DEFAULTS: Final = Conventions()
UNREAD: Final = Conventions(circuits=None, tariffs=None)
"""Of one who does not know the configuration of the agent: what hangs on that, its conditions tell."""


@lru_cache(maxsize=4096)
def matches(name: str, patterns: tuple[str, ...]) -> bool:
    """Whether any of the patterns, in which * stands for any text, is the name's."""
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def told_to_autoscaler(taints: Iterable[str]) -> Iterator[str]:
    """The keys that Cluster Autoscaler must be told by --startup-taint, which takes no patterns."""
    return (taint for taint in taints if "*" not in taint and taint not in KNOWN_TO_AUTOSCALER)


def label_selectors(pods: Iterable[PodSelector]) -> Iterator[tuple[str, str]]:
    """Namespace (empty: any) and label selector of the fewest lists that find them all: one for each namespace and key where a
    selector has one label, else one each."""
    by_key: dict[tuple[str, str], set[str]] = {}
    for pod in pods:
        if len(pod.labels) == 1:
            key, value = next(iter(pod.labels.items()))
            by_key.setdefault((pod.namespace, key), set()).add(value)
        else:
            yield pod.namespace, ",".join(f"{key}={value}" for key, value in sorted(pod.labels.items()))
    for (namespace, key), values in by_key.items():
        yield namespace, f"{key} in ({','.join(sorted(values))})"
