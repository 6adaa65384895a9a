"""Takes nodes away: taints, evicts, waits for the pods to be gone, asks the provider, and undoes the taint if that fails.

It carries out what the planner decided, each node in a task of its own.
"""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec
import trio
from msgspec import Struct

from hexa.domain.errors import Conflict, HexaError
from hexa.domain.names import CA_CANDIDATE_TAINT, CA_TO_BE_DELETED_TAINT
from hexa.domain.resources.core import NODES, Taint
from hexa.ports.clock import Clock
from hexa.ports.cloud import Cloud, Denied, Done, ExternalNode, UnknownGroup
from hexa.ports.kube import Evicted, Kube, Patch
from hexa.testing.autoscaler.drainability import Budgets, moves
from hexa.testing.autoscaler.planner import Going
from hexa.testing.autoscaler.settings import Settings
from hexa.testing.autoscaler.view import ClusterView, NodeView, PodView

Tell = Callable[..., None]
DEFAULT_GRACE: Final = 30
RECENTLY: Final = timedelta(minutes=5)
PATIENT_CONTROLLERS: Final = frozenset({"StatefulSet", "Job"})


class CannotRemove(Exception):
    """The node is not taken away; the message says why."""


class _Eviction(Struct, frozen=True):
    pod: PodView
    at: datetime


class Actuator:
    """Nodes on their way out."""

    def __init__(
        self,
        cloud: Cloud,
        kube: Kube,
        clock: Clock,
        view: ClusterView,
        settings: Settings,
        *,
        nursery: trio.Nursery,
        tell: Tell,
    ) -> None:
        self._cloud, self._kube, self._clock, self._view = cloud, kube, clock, view
        self._settings: Final = settings
        self._nursery: Final = nursery
        self._tell: Final = tell
        self._empty: Final[dict[str, str]] = {}
        self._drained: Final[dict[str, str]] = {}
        self._evictions: list[_Eviction] = []
        self.version = 0
        """Counts what begins and ends here."""

    def __repr__(self) -> str:
        return f"<Actuator removing {sorted((*self._empty, *self._drained))}>"

    @property
    def going(self) -> Going:
        """Nodes that are being removed now."""
        return Going(dict(self._empty), dict(self._drained))

    def shift(self, by: timedelta) -> None:
        """The clock was set by so much."""
        self._evictions = [_Eviction(each.pod, each.at + by) for each in self._evictions]

    def recently_evicted(self, *, now: datetime) -> list[PodView]:
        """Pods evicted in the last five minutes whose controller waits for them to be gone before it makes them anew."""
        self._evictions = [each for each in self._evictions if each.at + RECENTLY > now]
        patient = (each.pod for each in self._evictions if each.pod.kind in PATIENT_CONTROLLERS)
        return [pod for pod in patient if self._is_there(pod, pod.node)]

    # --- taints -------------------------------------------------------------------------------

    async def start(self, nodes: Iterable[tuple[str, str]], *, drain: bool) -> int:
        """Taint the nodes (name, group) and begin to remove them; how many."""
        tainted = [(name, group) for name, group in nodes if await self._mark(name)]
        for name, group in tainted:
            (self._drained if drain else self._empty)[name] = group
            self._nursery.start_soon(self._remove, name, group, drain)
        self.version += len(tainted)
        return len(tainted)

    async def soften(self, unneeded: Iterable[str], others: Iterable[str]) -> None:
        """Let the scheduler prefer other nodes than the unneeded ones; at most a few nodes a loop."""
        left = self._settings.max_bulk_soft_taint_count
        for name, wanted in (*((each, True) for each in unneeded), *((each, False) for each in others)):
            view = self._view.nodes.get(name)
            if view is None or left <= 0 or _has(view, CA_CANDIDATE_TAINT) is wanted:
                continue
            left -= 1
            await self._retaint(name, CA_CANDIDATE_TAINT, self._candidate_taint() if wanted else None)

    async def clean_up(self, members: Iterable[NodeView]) -> None:
        """After a start: nodes that an earlier run had tainted are let go."""
        for view in members:
            if view.to_be_deleted is not None:
                await self._unmark(view.name)

    async def _mark(self, name: str) -> bool:
        taint = Taint(key=CA_TO_BE_DELETED_TAINT, value=self._seconds_now(), effect="NoSchedule")
        return await self._retaint(name, CA_TO_BE_DELETED_TAINT, taint, cordon=True)

    async def _unmark(self, name: str) -> bool:
        return await self._retaint(name, CA_TO_BE_DELETED_TAINT, None, cordon=False)

    def _candidate_taint(self) -> Taint:
        return Taint(key=CA_CANDIDATE_TAINT, value=self._seconds_now(), effect="PreferNoSchedule")

    def _seconds_now(self) -> str:
        return str(int(self._clock.now().timestamp()))

    async def _retaint(self, name: str, key: str, taint: Taint | None, *, cordon: bool | None = None) -> bool:
        """Put the taint on or take it off; with a cordon, if that is the custom. False: it could not be done."""
        if (view := self._view.nodes.get(name)) is None:
            return False
        node = view.node
        kept = [each for each in node.spec.taints if each.key != key]
        spec: dict[str, Any] = {"taints": msgspec.to_builtins([*kept, taint] if taint is not None else kept)}
        if cordon is not None and self._settings.cordon_node_before_terminating:
            spec["unschedulable"] = cordon or None
        try:
            await self._kube.patch(NODES, name, Patch({"spec": spec}, resource_version=node.metadata.resource_version))
        except Conflict:
            return False  # the next loop sees the node as it is now
        except HexaError as error:
            self._tell("TaintFailed", node=name, detail=str(error))
            return False
        return True

    # --- one node -----------------------------------------------------------------------------

    async def _remove(self, name: str, group: str, drain: bool) -> None:
        try:
            await trio.sleep(self._settings.node_delete_delay_after_taint)
            pods = self._pods_to_move(name, drain)
            if pods:
                await self._drain(name, pods)
            await self._ask_provider(name, group)
            self._tell("ScaleDown", group=group, node=name, count=len(pods))
        except CannotRemove as error:
            self._tell("ScaleDownFailed", group=group, node=name, detail=str(error))
            await self._let_go(name)
        finally:
            self._empty.pop(name, None)
            self._drained.pop(name, None)
            self.version += 1

    def _pods_to_move(self, name: str, drain: bool) -> Sequence[PodView]:
        if (view := self._view.nodes.get(name)) is None:
            raise CannotRemove("the node is gone")
        now = self._clock.now()
        found = moves(view.pods.values(), Budgets(self._view.budgets), self._settings, now=now)
        if found.blocker:
            raise CannotRemove(found.blocker)
        if not drain and (found.pods or found.waiting):
            raise CannotRemove("pods came to the empty node")
        return found.pods

    async def _drain(self, name: str, pods: Sequence[PodView]) -> None:
        refused: list[str] = []
        async with trio.open_nursery() as nursery:
            for pod in pods:
                nursery.start_soon(self._evict, pod, refused)
        if refused:
            raise CannotRemove(f"failed to evict: {'; '.join(sorted(refused))}")
        patience = self._settings.max_graceful_termination + self._settings.pod_eviction_headroom
        await self._until_gone(name, pods, patience)

    async def _evict(self, pod: PodView, refused: list[str]) -> None:
        until = trio.current_time() + self._settings.max_pod_eviction_time
        grace = pod.pod.spec.termination_grace_period_seconds
        most = int(self._settings.max_graceful_termination)
        grace = min(DEFAULT_GRACE if grace is None else grace, most)
        while (why := await self._evict_once(pod, grace)) is not None:
            if trio.current_time() + self._settings.eviction_retry_time >= until:
                refused.append(f"{pod.name}: {why}")
                return
            await trio.sleep(self._settings.eviction_retry_time)
        self._evictions.append(_Eviction(pod, self._clock.now()))

    async def _evict_once(self, pod: PodView, grace: int) -> str | None:
        metadata = pod.pod.metadata
        try:
            answer = await self._kube.evict(metadata.name, namespace=metadata.namespace, uid=metadata.uid, grace=grace)
        except Conflict:
            return None  # another pod of that name: this one is gone
        except HexaError as error:
            return str(error)
        return None if isinstance(answer, Evicted) else answer.reason

    async def _until_gone(self, name: str, pods: Sequence[PodView], patience: float) -> None:
        until = trio.current_time() + patience
        while left := [pod.name for pod in pods if self._is_there(pod, name)]:
            if trio.current_time() >= until:
                raise CannotRemove(f"pods remain: {', '.join(left)}")
            await trio.sleep(self._settings.pods_gone_poll)

    def _is_there(self, pod: PodView, node: str) -> bool:
        known = self._view.pods.get(pod.name)
        return known is not None and known.node == node and known.pod.metadata.uid == pod.pod.metadata.uid

    async def _ask_provider(self, name: str, group: str) -> None:
        view = self._view.nodes.get(name)
        provider_id = view.node.spec.provider_id if view is not None else ""
        labels = view.node.metadata.labels if view is not None else {}
        await ask(lambda: self._cloud.delete_nodes(group, nodes=[ExternalNode(name, provider_id, labels)]))

    async def _let_go(self, name: str) -> None:
        """Untaint; somebody else may be writing the node at the same time."""
        for _ in range(5):
            if await self._unmark(name) or name not in self._view.nodes:
                return
            await trio.sleep(1)


async def ask(call: Callable[[], Awaitable[Done | UnknownGroup | Denied]]) -> None:
    """Make a change at the provider; raises if it is refused or cannot be had."""
    try:
        answer = await call()
    except HexaError as error:
        raise CannotRemove(str(error)) from error
    match answer:
        case Done():
            return
        case UnknownGroup():
            raise CannotRemove(f"there is no group {answer.id}")
        case Denied():
            raise CannotRemove(answer.message)


def _has(view: NodeView, key: str) -> bool:
    return any(taint.key == key for taint in view.node.spec.taints)
