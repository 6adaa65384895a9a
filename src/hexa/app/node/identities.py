"""Takes over an identity that changed in mid-life, once it may: name of the Kubernetes node, group, uid, addresses. When that
is, and what it means, `hexa.domain.machine.identity` knows.
"""

from datetime import datetime
from typing import Final

from msgspec import Struct, structs

from hexa.app.pods import pods_on
from hexa.app.store import Store
from hexa.app.views.views import Index, Views
from hexa.domain.machine.identity import (
    NameFacts,
    acts_on_old,
    declared_name,
    fingerprint,
    group_of,
    may_take_name,
    moved,
    of_another,
    renamed,
    rewired,
)
from hexa.domain.machine.lifecycle import COMING, Phase, send_wake
from hexa.domain.machine.marks import owner_of
from hexa.domain.machine.unclaimed_nodes import namesakes, newcomers
from hexa.domain.machine_view import MachineView
from hexa.domain.pods.drain import stays
from hexa.domain.resources.identity import Identity
from hexa.domain.resources.v1alpha1 import Asker, LeavePolicy, Lookup, NodeStatus, Power
from hexa.ports.heartbeats import Heartbeats
from hexa.ports.kube import Kube

LOOK: Final = 15.0
"""Seconds between looks whether a new name may be taken over."""


def namesakes_of(views: Views, view: MachineView, now: datetime) -> tuple[str, ...]:
    """Kubernetes nodes that may be the machine's, while its own is not Ready: its kubelet may have joined under another name. A
    person who wants it off has been told of those whose name is nothing like its own; a program has not."""
    if view.node_ready:
        return ()
    status, wish = view.node.status, view.wish(now)
    found = namesakes(views.unclaimed(), view.kube_name, since=status.last_startup_time)
    if found or (wish is not None and wish.power is Power.OFF and wish.by in (Asker.USER, Asker.HOLD)):
        return found
    return newcomers(views.unclaimed(), status, within=view.limits.power_on + view.limits.boot)


class Change(Struct, frozen=True):
    """A status to store, and what to tell of it."""

    status: NodeStatus
    reason: str
    message: str


class Identities:
    """What has changed of machines since their status was stored."""

    def __init__(self, *, kube: Kube, store: Store, views: Views, heartbeats: Heartbeats) -> None:
        self._kube, self._views, self._heartbeats = kube, views, heartbeats
        self._marked: Index[Lookup] = Index()
        """Kubernetes nodes by the machine whose marks they bear."""
        store.nodes.subscribe(lambda key, _, new: self._marked.move(key, owner_of(new) if new is not None else None))

    def first(self, view: MachineView) -> NodeStatus:
        """The status of a machine that is seen for the first time: a node that bears its mark is its own, whatever spec says."""
        status = view.node.status
        if status.identity.kubernetes_node or view.node_exists:
            return status
        name = min((key.name for key in self._marked.get(view.key, ())), default="")
        return (
            structs.replace(status, identity=structs.replace(status.identity, kubernetes_node=name)) if name else status
        )

    async def change(self, view: MachineView, *, now: datetime, sight: datetime | None, inert: bool) -> Change | None:
        """What is to be taken over now; None: nothing. `sight`: since when we see everything."""
        node, status = view.node, view.node.status
        if of_another(node):
            kept = Identity(kubernetes_node=status.identity.kubernetes_node)
            anew = structs.replace(status, phase="", job=None, identity=kept)
            return Change(anew, "StatusOfAnother", "its status is of a resource that was deleted: looked at anew")
        if moved(node):
            return self._moved(view)
        if rewired(node) and not acts_on_old(node) and not (inert and view.phase in COMING):
            return self._rewired(view, now)
        if sight is not None and renamed(node) and may_take_name(view.phase, await self._facts(view, now, sight)):
            return self._renamed(view)
        return None

    def _moved(self, view: MachineView) -> Change:
        status, group = view.node.status, group_of(view.node)
        where = f"to group {group}" if group else "to no group"
        was = status.identity.group or "none"
        anew = view.phase is Phase.READY  # its node is given the labels of the new group, over its own
        identity = structs.replace(status.identity, group=group)
        new = structs.replace(status, identity=identity, welcomed=status.welcomed and not anew)
        return Change(new, "GroupChanged", f"moved {where} (before: {was}): its rules count from now on")

    def _rewired(self, view: MachineView, now: datetime) -> Change:
        """What was shown of the old way proves nothing of the new one, and a wake by it begins anew."""
        status = view.node.status
        identity = structs.replace(status.identity, power=fingerprint(view.node))
        new = structs.replace(status, identity=identity, wake_proven_at=None)
        text = "what switches or reads its power was changed: its wake proof is void"
        if view.phase not in COMING:
            return Change(new, "PowerChanged", text)
        fresh = send_wake(structs.replace(new, wakes=0, since=now), now=now)
        return Change(fresh, "PowerChanged", f"{text}; it is woken anew by what is named now")

    def _renamed(self, view: MachineView) -> Change:
        status, name = view.node.status, declared_name(view.node)
        identity = structs.replace(status.identity, kubernetes_node=name, kubernetes_node_uid="")
        new = structs.replace(status, identity=identity)
        return Change(new, "NodeRenamed", f"its Kubernetes node is {name} from now on (before: {view.kube_name})")

    async def _facts(self, view: MachineView, now: datetime, sight: datetime) -> NameFacts:
        name = declared_name(view.node)
        old, new = self._heartbeats.life(view.kube_name), self._heartbeats.life(name)
        silent = now >= sight + self._heartbeats.period(view.kube_name) and (old is None or now >= old.until)
        exists = view.node_exists
        asks = silent and (not exists or view.phase is Phase.DRAINING)
        pods = await pods_on(self._kube, view.kube_name) if asks else ()
        keeps = view.policy.leave is LeavePolicy.KEEP or view.control_plane
        return NameFacts(
            exists=exists,
            silent=silent,
            occupied=not all(map(stays, pods)),
            leaves=exists and view.phase is Phase.OFF and not keeps,
            arrived=new is not None and now < new.until,
            taken=any(self._keeps(other) for other in self._views.keys_of_kube_name(name) if other != view.key),
        )

    def _keeps(self, other: Lookup) -> bool:
        """Two machines that are off may swap their names."""
        view = self._views.machine(other)
        return view is None or view.phase is not Phase.OFF or not renamed(view.node)
