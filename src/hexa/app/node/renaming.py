"""What is known of the Kubernetes node that a machine had, and of the one that its spec names anew."""

from datetime import datetime

from hexa.app.pods import pods_on
from hexa.app.views.views import Views
from hexa.domain.decide.observed import Observed
from hexa.domain.machine.identity import NameFacts, declared_name, renamed
from hexa.domain.machine.lifecycle import Phase
from hexa.domain.machine.power_job import current
from hexa.domain.machine.unclaimed_nodes import followed
from hexa.domain.machine_view import MachineView
from hexa.domain.pods.drain import stays
from hexa.domain.resources.v1alpha1 import LeavePolicy, Lookup
from hexa.ports.heartbeats import Heartbeats, Life
from hexa.ports.kube import Kube


async def name_facts(
    machine: MachineView, observed: Observed, *, kube: Kube, views: Views, heartbeats: Heartbeats
) -> NameFacts:
    """Reads the pods that are still bound to the old name, where its node is silent."""
    phase, job = machine.phase, current(machine.node.status)
    name, now, sight = declared_name(machine.node), observed.now, observed.sight
    old, new = heartbeats.life(machine.kube_name), heartbeats.life(name)
    watched = sight is not None and now >= sight + observed.lease_period
    silent = watched and (old is None or now >= old.until)
    pods = await pods_on(kube, machine.kube_name) if silent else ()
    keeps = machine.policy.leave is LeavePolicy.KEEP or machine.control_plane
    return NameFacts(
        exists=machine.node_exists,
        silent=silent,
        occupied=not all(map(stays, pods)),
        leaves=machine.node_exists and phase is Phase.OFF and not keeps,
        arrived=new is not None and now < new.until and _may_be_its(machine, views, name, old, now),
        taken=any(_keeps(views, other) for other in views.keys_of_kube_name(name) if other != machine.key),
        stopping=phase is Phase.POWERING_OFF and job is not None,
    )


def _may_be_its(machine: MachineView, views: Views, name: str, old: Life | None, now: datetime) -> bool:
    """Whether the new name's kubelet may be the machine's: one that no other machine claims, and that was not up beside the old."""
    node = next((node for node in views.unclaimed() if node.metadata.name == name), None)
    heard, up = old.heard if old is not None else None, machine.node.status.last_startup_time
    return node is None or followed(node, machine.kube, heard=heard, up=up, now=now)


def _keeps(views: Views, other: Lookup) -> bool:
    """Two machines that are off may swap their names."""
    machine = views.machine(other)
    return machine is None or machine.phase is not Phase.OFF or not renamed(machine.node)
