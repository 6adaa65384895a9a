"""What `hexa blockers` answers: for each machine that is on and idle the one rule that keeps it so.

All pods, budgets and volumes are listed once, however many machines are asked about; the agent reads nothing for it.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any, TypeVar

from msgspec import Struct

from hexa.app.commands.shared.snapshot import NotThere, Snapshot
from hexa.app.pods import RUNNING, planned_drain
from hexa.domain.errors import Refused
from hexa.domain.machine_view import MachineView
from hexa.domain.pods.drain import claims_of
from hexa.domain.pods.volumes import tied
from hexa.domain.resources.core import BUDGETS, CLAIMS, PODS, VOLUMES, Kind, Malformed, PersistentVolume, Pod
from hexa.domain.resources.v1alpha1 import Lookup
from hexa.domain.words.blocking import STAYS_ON, OnMachine, idle, keeper
from hexa.domain.words.kept import Reason
from hexa.ports.kube import EVERYTHING, Kube, Selector

T = TypeVar("T")


class BlockerLine(Struct, frozen=True, kw_only=True, rename="camel"):
    """A machine that is on, and why."""

    machine: str
    group: str
    phase: str
    since: datetime | None
    idle: bool
    """Whether it is not in use: less is asked of it than Cluster Autoscaler's threshold."""
    reason: Reason


class Blockers(Struct, frozen=True, kw_only=True):
    """The answer."""

    lines: tuple[BlockerLine, ...] = ()
    notes: tuple[str, ...] = ()
    """What could not be read."""
    wrong: tuple[str, ...] = ()
    """What is wrong with the names."""


async def blockers(
    kube: Kube, snapshot: Snapshot, names: Sequence[str] = (), *, namespace: str | None = None
) -> Blockers:
    """Of the machines and groups that are named; nothing named: of all there are."""
    keys, wrong = _picked(snapshot, names, namespace)
    views = [view for key in keys if (view := snapshot.views.machine(key)) is not None and view.phase in STAYS_ON]
    site = await read_site(kube, snapshot) if views else Site()
    lines = tuple(_line(snapshot, view, site) for view in views)
    return Blockers(lines=lines, notes=(*snapshot.notes, *site.notes), wrong=tuple(wrong))


def _picked(snapshot: Snapshot, names: Sequence[str], namespace: str | None) -> tuple[list[Lookup], list[str]]:
    if not names:
        return snapshot.machine_keys, []
    found, wrong = dict[Lookup, None](), list[str]()
    for name in names:
        try:
            picked = snapshot.pick(name, namespace=namespace)
        except NotThere as error:
            wrong.append(str(error))
        else:
            found |= dict.fromkeys(picked.machines)
            found |= dict.fromkeys(m.key for group in picked.groups for m in snapshot.views.members(group))
    return list(found), wrong


def _line(snapshot: Snapshot, view: MachineView, site: "Site") -> BlockerLine:
    found = blocker_of(snapshot, view, site)
    return BlockerLine(
        machine=str(view.key),
        group=view.group.key.name if view.group is not None else "",
        phase=view.node.status.phase,
        since=view.node.status.since,
        idle=idle(found),
        reason=found,
    )


def blocker_of(snapshot: Snapshot, view: MachineView, site: "Site") -> Reason:
    """The one rule that keeps the machine on."""
    return keeper(snapshot.known(view), site.on(view) if site.pods is not None else None)


# --- what runs where ------------------------------------------------------------------------------------------------


class Site(Struct, kw_only=True):
    """Pods, budgets and volumes of the cluster. `pods`: None: they may not be read."""

    pods: tuple[Pod | Malformed, ...] | None = None
    budgets: tuple[Any, ...] = ()
    claims: dict[tuple[str, str], str] = {}
    """The volume of each claim that has one."""
    volumes: dict[str, PersistentVolume] = {}
    nodes: tuple[Any, ...] = ()
    notes: tuple[str, ...] = ()

    def on(self, view: MachineView) -> OnMachine:
        """What runs on the machine, and what a drain of it would do."""
        pods = tuple(pod for pod in self.pods or () if _node_of(pod) == view.kube_name)
        others = [node for node in self.nodes if node.metadata.name != view.kube_name]
        pinned = frozenset(f"{space}/{name}" for space, name in _claims(pods) if self._tied(space, name, others))
        selectors = {pod.metadata.uid: tuple(self._selectors(pod)) for pod in pods if isinstance(pod, Pod)}
        plan = planned_drain(view, pods, pinned=pinned, nodes=self.nodes, every=self.pods or (), tied=selectors)
        return OnMachine(pods=pods, plan=plan, budgets=self.budgets)

    def _volume(self, space: str, name: str) -> PersistentVolume | None:
        return self.volumes.get(self.claims.get((space, name), ""))

    def _tied(self, space: str, name: str, others: Sequence[Any]) -> bool:
        volume = self._volume(space, name)
        return volume is not None and tied(volume, others)

    def _selectors(self, pod: Pod) -> Iterator[dict[str, Any]]:
        for name in claims_of(pod):
            volume = self._volume(pod.metadata.namespace, name)
            if volume is not None and (required := volume.spec.node_affinity.get("required")):
                yield required


def _node_of(pod: Pod | Malformed) -> str:
    return pod.node_name if isinstance(pod, Malformed) else pod.spec.node_name


def _claims(pods: Iterable[Pod | Malformed]) -> set[tuple[str, str]]:
    return {(pod.metadata.namespace, name) for pod in pods if isinstance(pod, Pod) for name in claims_of(pod)}


async def read_site(kube: Kube, snapshot: Snapshot) -> Site:
    """One list of each kind. What the person may not read is noted, and goes without."""
    notes: list[str] = []

    async def listed(kind: Kind[T], selector: Selector, lost: str) -> tuple[T | Malformed, ...] | None:
        try:
            return (await kube.list(kind, selector)).items
        except Refused as error:
            notes.append(f"{lost}: {error}")
            return None

    pods = await listed(PODS, RUNNING, "pods that keep machines on are not known")
    budgets = await listed(BUDGETS, EVERYTHING, "disruption budgets are not known")
    claims = await listed(CLAIMS, EVERYTHING, "volumes on disks of machines are not known")
    volumes = await listed(VOLUMES, EVERYTHING, "volumes on disks of machines are not known")
    bound = {_key(c): c.spec.volume_name for c in claims or () if not isinstance(c, Malformed) and c.spec.volume_name}
    return Site(
        pods=pods,
        budgets=tuple(each for each in budgets or () if not isinstance(each, Malformed)),
        claims=bound,
        volumes={v.metadata.name: v for v in volumes or () if not isinstance(v, Malformed)},
        nodes=tuple(snapshot.store.nodes.objects.values()),
        notes=tuple(dict.fromkeys(notes)),
    )


def _key(each: Any) -> tuple[str, str]:
    return each.metadata.namespace, each.metadata.name
