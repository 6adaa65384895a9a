"""What kubernetes-mixin's alerts on nodes look at, in our own words: two generations of it.

Since 1.0.0 (March 2025; its change #1012) KubeNodeNotReady and KubeNodeReadinessFlapping pass over nodes that are cordoned.
KubeNodeUnreachable never looked at that; it passes over nodes whose end is announced by a taint. 1.5.6 is the latest that was read.
"""

from typing import Any, Final

LEAVING: Final = (
    "ToBeDeletedByClusterAutoscaler|cloud.google.com/impending-node-termination|aws-node-termination-handler/spot-itn"
)
READY: Final = 'kube_node_status_condition{condition="Ready", status="true"}'
SCHEDULABLE: Final = "\nand on (node) max by (node) (kube_node_spec_unschedulable) == 0"
UNREACHABLE: Final = 'kube_node_spec_taint{key="node.kubernetes.io/unreachable", effect="NoSchedule"}'


def rules(*, spares_cordoned: bool) -> dict[str, Any]:
    """A file of rules for Prometheus, as it is since 1.0.0, or as it was before."""
    spared = SCHEDULABLE if spares_cordoned else ""
    taints = f'max by (node, effect) (kube_node_spec_taint{{key=~"{LEAVING}"}})'
    expressions = {
        "KubeNodeNotReady": f"max by (node) ({READY}) == 0{spared}",
        "KubeNodeUnreachable": f"(max by (node, effect) ({UNREACHABLE}) unless on (node, effect) {taints}) == 1",
        "KubeNodeReadinessFlapping": f"sum by (node) (changes({READY}[15m])) > 2{spared}",
    }
    return {
        "groups": [
            {"name": "nodes", "rules": [{"alert": name, "expr": e, "for": "15m"} for name, e in expressions.items()]}
        ]
    }
