"""A machine that has just become Ready: its Kubernetes node loses its first taints, and is set up by others."""

from collections.abc import Iterator
from datetime import datetime

from hexa.domain.machine.arrival import ARRIVAL, not_set_up
from hexa.domain.machine.findings import Finding
from hexa.domain.machine.lifecycle import Phase
from hexa.domain.rules.rule import Scene
from hexa.domain.rules.subject import Among


def arrival_ends(machine: Among, now: datetime) -> tuple[datetime, ...]:
    """A minute after it became Ready."""
    status = machine.node.status
    return (status.since + ARRIVAL,) if status.phase == Phase.READY and status.since is not None else ()


def ends(machine: Among, now: datetime) -> tuple[datetime | None, ...]:
    """When its node is not waited for any more."""
    return (machine.set_up_until,) if machine.node.status.phase == Phase.READY and machine.lacks else ()


def says(scene: Scene) -> Iterator[Finding]:
    """That it was waited for in vain."""
    return not_set_up(scene.machine.lacks, scene.machine.set_up_until, now=scene.now)
