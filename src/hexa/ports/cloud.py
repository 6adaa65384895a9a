"""The questions that Cluster Autoscaler asks (a driving port: the app implements it).

The reads are plain functions on the snapshot in memory: they never touch the API server. Only the three writes are async.
Sources of the rules: docs/cluster-autoscaler.md.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import IntEnum
from typing import Protocol

from msgspec import Struct

from hexa.domain.resources.core import Pod
from hexa.domain.resources.v1alpha1 import Shape


class NodeGroup(Struct, frozen=True):
    id: str
    """NAMESPACE/NAME of the Group resource."""
    min_size: int
    max_size: int
    debug: str = ""


class ExternalNode(Struct, frozen=True):
    """A Kubernetes node as Cluster Autoscaler names it. `name` alone, `provider_id` alone, or both may be set."""

    name: str
    provider_id: str = ""
    labels: Mapping[str, str] = {}
    annotations: Mapping[str, str] = {}


class InstanceState(IntEnum):
    """Numbers are the wire's."""

    UNSPECIFIED = 0
    RUNNING = 1
    CREATING = 2
    DELETING = 3


class InstanceErrorClass(IntEnum):
    """Numbers are the wire's."""

    OUT_OF_RESOURCES = 1
    OTHER = 99


class InstanceError(Struct, frozen=True):
    code: str
    message: str
    error_class: InstanceErrorClass


class Instance(Struct, frozen=True):
    id: str
    """providerID."""
    state: InstanceState
    error: InstanceError | None = None


class Options(Struct, frozen=True):
    """Autoscaling options; durations in seconds. None: the group is silent, take the request's default."""

    scale_down_utilization_threshold: float | None = None
    scale_down_gpu_utilization_threshold: float | None = None
    scale_down_unneeded_time: float | None = None
    scale_down_unready_time: float | None = None
    max_node_provision_time: float | None = None
    zero_or_max_node_scaling: bool | None = None
    ignore_daemon_sets_utilization: bool | None = None


class NodeTemplate(Struct, frozen=True):
    """A node of the group as it would look when it comes up."""

    name: str
    shape: Shape


class Done(Struct, frozen=True):
    """The change is stored."""


class UnknownGroup(Struct, frozen=True):
    """There is no group of that id."""

    id: str


class Denied(Struct, frozen=True):
    """The change is refused as a whole and nothing was changed. `reason` is CamelCase, `message` a sentence."""

    reason: str
    message: str


class Cloud(Protocol):
    """What the gRPC service calls. Reads answer from the snapshot. Writes raise `Unavailable` while the API server is away."""

    def version(self) -> int:
        """Changes whenever any answer of a read may change: answers encoded for one version may be served while it stands."""
        ...

    def groups(self) -> Sequence[NodeGroup]:
        """Every valid group."""
        ...

    def group_for_node(self, name: str, provider_id: str) -> NodeGroup | None:
        """The group of the Kubernetes node; None: Cluster Autoscaler shall leave it alone."""
        ...

    def target_size(self, group: str) -> int | UnknownGroup:
        """Wishes for on, of machines that can still come."""
        ...

    def instances(self, group: str) -> Sequence[Instance] | UnknownGroup:
        """Machines that are on or on their way, and those that failed with nobody left to take their place."""
        ...

    def template(self, group: str) -> NodeTemplate | UnknownGroup | Denied:
        """The field-wise least shape of the machines that can still come; denied without a shape to show."""
        ...

    def options(self, group: str) -> Options | UnknownGroup:
        """What the group sets."""
        ...

    def node_price(self, node: ExternalNode, start: datetime, end: datetime) -> float | None:
        """Price of running the node over the window; None: not a node of ours (0 is a price)."""
        ...

    def pod_price(self, pod: Pod, start: datetime, end: datetime) -> float:
        """Price of running the pod over the window; at least 0."""
        ...

    def gpu_label(self) -> str:
        """The label that marks nodes with GPUs."""
        ...

    def gpu_types(self) -> Sequence[str]:
        """Values of that label that exist."""
        ...

    def refresh(self) -> bool:
        """Cluster Autoscaler starts a loop. False: the snapshot was never complete yet, so answers would mislead."""
        ...

    async def increase_size(self, group: str, *, delta: int) -> Done | UnknownGroup | Denied:
        """Wish `delta` more machines on, all or none; stored when it returns. Cut off, it is stored as a whole or not at all."""
        ...

    async def delete_nodes(self, group: str, *, nodes: Sequence[ExternalNode]) -> Done | UnknownGroup | Denied:
        """Wish these machines off, all or none; one that is off, or wished off, already is success."""
        ...

    async def decrease_target_size(self, group: str, *, delta: int) -> Done | UnknownGroup | Denied:
        """Take back up to `-delta` wishes (delta < 0) of machines that have not come yet; never touches one that runs."""
        ...
