"""A machine that has just become Ready: its Kubernetes node loses its first taints, and is set up by others."""

from collections.abc import Iterator
from datetime import datetime

from hexa.domain.machine.arrival import ARRIVAL, lacking, not_set_up, set_up_until
from hexa.domain.machine.findings import Finding
from hexa.domain.machine.lifecycle import Phase
from hexa.domain.policy.conventions import DEFAULTS
from hexa.domain.rules.rule import Scene
from hexa.domain.rules.subject import Among, Waiting


def arrival_ends(machine: Among, now: datetime) -> tuple[datetime, ...]:
    """A minute after it became Ready."""
    status = machine.node.status
    return (status.since + ARRIVAL,) if status.phase == Phase.READY and status.since is not None else ()


def ends(machine: Among, now: datetime) -> tuple[datetime | None, ...]:
    """When its node is not waited for any more."""
    return (machine.set_up_until,) if machine.node.status.phase == Phase.READY and machine.lacks else ()


def awaits(machine: Waiting) -> Iterator[tuple[str, datetime | None]]:
    """The set-up, by the taints that are waited for by default: a site's own setting is the agent's."""
    status = machine.node.status
    until = set_up_until(status, DEFAULTS, provision=machine.policy.provision)
    if machine.kube is None or until is None or machine.now >= until:
        return
    if lacks := "; ".join(lacking(machine.kube, status, DEFAULTS)):
        yield f"its Kubernetes node to be set up ({lacks}); until then it is hidden from Cluster Autoscaler", until


def says(scene: Scene) -> Iterator[Finding]:
    """That it was waited for in vain."""
    return not_set_up(scene.machine.lacks, scene.machine.set_up_until, now=scene.now)
