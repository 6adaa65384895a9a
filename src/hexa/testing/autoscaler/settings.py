"""The flags of Cluster Autoscaler that the reference autoscaler keeps, by their names and with its defaults.

Times are in seconds. Defaults are those of Cluster Autoscaler 1.36, but that loops keep to the grid of the scan interval:
with `frequent-loops-enabled`, as 1.35 and later have it, pods wait a little less than here.
"""

from typing import Literal

from msgspec import Struct

from hexa.domain.pods.undrainable import Skips
from hexa.ports.cloud import Options


class Settings(Skips, frozen=True, kw_only=True):
    """How the reference autoscaler behaves."""

    scan_interval: float = 10.0
    """One loop in so many seconds."""
    skip_idle_loops: bool = True
    """Leave out loops in which nothing can have changed and nothing is due: the outcome is the same, and a week takes seconds."""
    expander: Literal["least-waste", "price"] = "least-waste"

    # scale-up
    max_node_provision_time: float = 900.0
    max_node_startup_time: float = 900.0
    """From the registration of a node to Ready; afterwards it counts as unready, not as starting."""
    new_pod_scale_up_delay: float = 0.0
    unschedulable_pod_buffer: float = 2.0
    """While all unschedulable pods are younger, wait a loop for more of them."""
    unschedulable_gpu_pod_buffer: float = 30.0
    """The same where one of them asks for a GPU: while the oldest such pod is younger."""
    expendable_pods_priority_cutoff: int = -10
    max_nodes_total: int = 0
    """Nodes in the cluster at most; 0: as many as the groups allow."""
    initial_backoff: float = 300.0
    max_backoff: float = 1800.0
    backoff_reset: float = 10_800.0

    # health
    startup_taints: tuple[str, ...] = ()
    """Keys of taints with which a node is not ready yet, and no example of its group."""
    ok_total_unready_count: int = 3
    max_total_unready_percentage: float = 45.0

    # scale-down
    scale_down_utilization_threshold: float = 0.5
    scale_down_gpu_utilization_threshold: float = 0.5
    scale_down_unneeded_time: float = 600.0
    scale_down_unready_time: float = 1200.0
    zero_or_max_node_scaling: bool = False
    ignore_daemon_sets_utilization: bool = False
    scale_down_delay_after_add: float = 600.0
    scale_down_delay_after_delete: float = 0.0
    scale_down_delay_after_failure: float = 180.0
    unremovable_node_recheck_timeout: float = 300.0
    max_scale_down_parallelism: int = 10
    max_drain_parallelism: int = 1
    max_bulk_soft_taint_count: int = 10

    # deleting a node
    cordon_node_before_terminating: bool = True
    """Since 1.34: the taint ToBeDeleted goes with a cordon, which is Cluster Autoscaler's own."""
    node_delete_delay_after_taint: float = 5.0
    node_being_deleted_for: float = 300.0
    """How long a node with the taint ToBeDeleted is left alone."""
    max_graceful_termination: float = 600.0
    max_pod_eviction_time: float = 120.0
    eviction_retry_time: float = 10.0
    pod_eviction_headroom: float = 30.0
    pods_gone_poll: float = 5.0


class GroupOptions(Struct, frozen=True, kw_only=True):
    """What counts for one group: its own options, else the flags."""

    scale_down_utilization_threshold: float
    scale_down_gpu_utilization_threshold: float
    scale_down_unneeded_time: float
    scale_down_unready_time: float
    max_node_provision_time: float
    zero_or_max_node_scaling: bool
    ignore_daemon_sets_utilization: bool


def options_of(settings: Settings, group: Options) -> GroupOptions:
    """The request's defaults where the group is silent."""
    chosen = {}
    for name in GroupOptions.__struct_fields__:
        own = getattr(group, name)
        chosen[name] = getattr(settings, name) if own is None else own
    return GroupOptions(**chosen)
