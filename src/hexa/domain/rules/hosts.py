"""What runs on a machine and must not go down with it: what hexa itself depends on, and what holds data for others."""

from datetime import datetime

from hexa.domain.machine.reason import Reason, Veto
from hexa.domain.resources.v1alpha1 import Storage
from hexa.domain.rules.subject import Alone


def control(machine: Alone, now: datetime) -> tuple[Veto, ...]:
    """hexa, Cluster Autoscaler, the only API server."""
    if not machine.hosts:
        return ()
    text = "{} runs on it; let it run on nodes outside all groups"
    return tuple(Veto(Reason.HOSTS_CONTROL, text.format(name)) for name in machine.hosts)


def storage(machine: Alone, now: datetime) -> tuple[Veto, ...]:
    """Replicas and monitors of a storage system, unless the group ignores them."""
    if not machine.storage or machine.policy.storage is not Storage.KEEP:
        return ()
    what = "; ".join(machine.storage)
    return (
        Veto(Reason.HOSTS_STORAGE, f"{what}: move the data and stop them, or set spec.storage: ignore on the group"),
    )
