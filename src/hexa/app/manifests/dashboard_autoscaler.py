"""The row of the dashboard that shows what Cluster Autoscaler says of itself."""

from typing import Final

from hexa.app.manifests.grafana import Kind, Line, Panel, Row

AUTOSCALER_SERIES: Final = frozenset(
    {
        "cluster_autoscaler_cluster_safe_to_autoscale",
        "cluster_autoscaler_failed_node_creations_total",
        "cluster_autoscaler_function_duration_seconds",
        "cluster_autoscaler_node_group_backoff_status",
        "cluster_autoscaler_node_group_healthiness",
        "cluster_autoscaler_node_group_target_count",
        "cluster_autoscaler_nodes_count",
        "cluster_autoscaler_unremovable_nodes_count",
    }
)
"""What the dashboard asks of Cluster Autoscaler. Those of node groups need its flag --emit-per-nodegroup-metrics."""
_OF_GROUPS: Final = "Needs Cluster Autoscaler's flag --emit-per-nodegroup-metrics."

AUTOSCALER: Final = Row(
    "Cluster Autoscaler",
    (
        Panel(
            title="Safe to autoscale",
            description="Whether Cluster Autoscaler finds the cluster healthy enough to act at all.",
            unit="none",
            kind=Kind.STATES,
            lines=(Line("min(cluster_autoscaler_cluster_safe_to_autoscale)", "safe"),),
            names=((0, "no", "red"), (1, "yes", "green")),
        ),
        Panel(
            title="Nodes as it sees them",
            description="Nodes by state. Machines that are off are none of them.",
            unit="none",
            stacked=True,
            lines=(Line("max by (state) (cluster_autoscaler_nodes_count)", "{{state}}"),),
        ),
        Panel(
            title="Loops",
            description="How long 9 of 10 of its loops take, and their parts.",
            unit="s",
            lines=(
                Line(
                    "histogram_quantile(0.9, sum by (le, function) "
                    "(rate(cluster_autoscaler_function_duration_seconds_bucket[$__rate_interval])))",
                    "{{function}}",
                ),
            ),
        ),
        Panel(
            title="Target of its node groups",
            description=f"The size that it wants of each group; beside hexa's own target above. {_OF_GROUPS}",
            unit="none",
            lines=(Line("max by (node_group) (cluster_autoscaler_node_group_target_count)", "{{node_group}}"),),
        ),
        Panel(
            title="Groups that it backs off from",
            description=f"Groups that it does not scale up for a while, because a scale-up failed. {_OF_GROUPS}",
            unit="none",
            lines=(Line("max by (node_group) (cluster_autoscaler_node_group_backoff_status)", "{{node_group}}"),),
        ),
        Panel(
            title="Healthy groups",
            description=f"1: it finds the group healthy. {_OF_GROUPS}",
            unit="none",
            lines=(Line("min by (node_group) (cluster_autoscaler_node_group_healthiness)", "{{node_group}}"),),
        ),
        Panel(
            title="Failed node creations",
            description="Machines that it asked for and that did not come, by its reason.",
            unit="none",
            width=12,
            lines=(
                Line(
                    "sum by (reason) (increase(cluster_autoscaler_failed_node_creations_total[$__rate_interval]))",
                    "{{reason}}",
                ),
            ),
        ),
        Panel(
            title="Why nodes are not scaled down",
            description="Nodes that it cannot remove, by its reason. What hexa forbids in advance is "
            "ScaleDownDisabledAnnotation.",
            unit="none",
            width=12,
            stacked=True,
            lines=(Line("max by (reason) (cluster_autoscaler_unremovable_nodes_count)", "{{reason}}"),),
        ),
    ),
)
