"""A reference autoscaler that keeps the rules of the stock Cluster Autoscaler, in process.

It is for trying a provider without a cluster: `open_autoscaler(cloud, kube, clock)` runs it against the ports. Read
`decisions` to see what it did, `planner.unremovable` to see why a node stays.
"""

from hexa.testing.autoscaler.loop import Autoscaler, Decision, open_autoscaler
from hexa.testing.autoscaler.settings import Settings

__all__ = ["Autoscaler", "Decision", "Settings", "open_autoscaler"]
