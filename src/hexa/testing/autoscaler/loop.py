"""The reference autoscaler: one loop each scan interval over a provider and a cluster.

It keeps the rules of the stock Cluster Autoscaler, in its order, so that a provider can be tried without one. It knows
the ports `cloud`, `kube` and `clock` and nothing of hexa behind them.
"""

from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any, Final

import trio
from msgspec import Struct

from hexa.app.clock import WatchedClock
from hexa.domain.errors import HexaError, Unavailable
from hexa.domain.resources.core import KubeNode, KubeNodeSpec, KubeNodeStatus, Metadata, Pod
from hexa.ports.clock import Clock
from hexa.ports.cloud import Cloud, ExternalNode, NodeTemplate
from hexa.ports.kube import Kube
from hexa.testing.autoscaler.actuator import Actuator, CannotRemove, ask
from hexa.testing.autoscaler.drainability import Budgets
from hexa.testing.autoscaler.expander import EXPANDERS, Asked, Option
from hexa.testing.autoscaler.facts import Facts, GroupFacts
from hexa.testing.autoscaler.packing import Rooms, Template, estimate, rooms_of, template_of, upcoming_rooms
from hexa.testing.autoscaler.planner import Planner
from hexa.testing.autoscaler.settings import Settings
from hexa.testing.autoscaler.state import ClusterState
from hexa.testing.autoscaler.view import ClusterView, NodeView, PodView, ready_since
from hexa.testing.autoscaler.watching import watch_cluster

STABLE_AFTER: Final = timedelta(minutes=1)
"""A node that has been Ready for so long is a good example of its group."""
NVIDIA_GPU: Final = "nvidia.com/gpu"
DECISIONS_KEPT: Final = 10_000


class Decision(Struct, frozen=True, kw_only=True):
    """Something that the autoscaler did, or could not do. `what` is CamelCase."""

    at: datetime
    what: str
    group: str = ""
    node: str = ""
    count: int = 0
    detail: str = ""


class Autoscaler:
    """The autoscaler; made by `open_autoscaler`. `decisions` tells what it did, newest last."""

    def __init__(self, cloud: Cloud, kube: Kube, clock: Clock, settings: Settings, *, nursery: trio.Nursery) -> None:
        self._cloud, self._kube, self._clock = cloud, kube, WatchedClock(clock)
        self._clock.on_set(self._clock_set)
        self.settings: Final = settings
        self.view: Final = ClusterView(settings.startup_taints)
        self.state: Final = ClusterState(settings)
        self.planner: Final = Planner(settings)
        self.actuator: Final = Actuator(cloud, kube, self._clock, self.view, settings, nursery=nursery, tell=self._tell)
        self.decisions: Final[deque[Decision]] = deque(maxlen=DECISIONS_KEPT)
        self.loops = 0
        """Loops that were run; those that were left out do not count."""
        self.last_error = ""
        """Why a loop could not be finished, with its time; the provider was away, as a rule."""
        self._choose: Final = EXPANDERS[settings.expander]
        self._examples: Final[dict[str, Template]] = {}
        self._initialised = False
        self._healthy = True
        self._started = self._tick = self._clock.now()
        long_ago = self._started - timedelta(hours=1)
        self._last_scale_up, self._last_delete, self._last_failure = long_ago, long_ago, long_ago
        self._changed = trio.Event()
        self._seen: tuple[int, ...] = ()
        self._dues: list[datetime] = []

    def __repr__(self) -> str:
        return f"<Autoscaler loops={self.loops} {self.state!r}>"

    # --- when ---------------------------------------------------------------------------------

    def nudge(self) -> None:
        """Something may have changed: do not leave out the next loop."""
        self._changed.set()

    async def run(self) -> None:
        """Loop until cancelled: on the grid of the scan interval, counted from the start."""
        while True:
            await self.run_once()
            await self._until_next_loop()

    async def _until_next_loop(self) -> None:
        self._tick = self._next_tick()
        while True:
            await self._clock.sleep_until(self._tick)
            self._clock.now()  # notices whether it was set
            if not self.settings.skip_idle_loops or self._has_reason():
                return
            self._tick = await self._next_reason()

    def _clock_set(self, by: timedelta) -> None:
        """No time has passed: the stock one measures what it keeps in memory by a monotonic clock, and only the age of
        objects by the wall clock."""
        for keeper in (self.state, self.planner, self.actuator):
            keeper.shift(by)
        self._started, self._tick = self._started + by, self._tick + by
        self._last_scale_up, self._last_delete = self._last_scale_up + by, self._last_delete + by
        self._last_failure += by
        self._dues = [self._tick]

    def _next_tick(self) -> datetime:
        """The next point of the grid after now."""
        interval = self.settings.scan_interval
        passed = (self._clock.now() - self._started).total_seconds()
        return self._started + timedelta(seconds=(passed // interval + 1) * interval)

    def _has_reason(self) -> bool:
        return self._versions() != self._seen or any(due <= self._tick for due in self._dues)

    def _versions(self) -> tuple[int, ...]:
        return self._cloud.version(), self.view.version, self.actuator.version

    async def _next_reason(self) -> datetime:
        """The next point of the grid worth waking up for: with the next due time, or after the next change.

        While somebody waits for a machine each point of the grid is looked at, for the provider may change without a
        change in the cluster.
        """
        grid = timedelta(seconds=self.settings.scan_interval)
        if self._waiting():
            return self._tick + grid
        self._changed = trio.Event()
        tick, due = self._tick, min(self._dues, default=None)
        with trio.CancelScope() as scope:
            if due is not None:
                scope.deadline = trio.current_time() + (due - self._clock.now()).total_seconds()
            await self._changed.wait()
        now = self._clock.now()
        late = due + (self._tick - tick) if due is not None and scope.cancelled_caught else now
        return max(self._tick + grid, self._grid_point(late))

    def _grid_point(self, when: datetime) -> datetime:
        """The first point of the grid no earlier than `when`."""
        interval = self.settings.scan_interval
        passed = (when - self._started).total_seconds()
        return self._started + timedelta(seconds=-(-passed // interval) * interval)

    def _waiting(self) -> bool:
        return bool(self.view.pending or self.state.requests)

    def _tell(self, what: str, **fields: Any) -> None:
        self.decisions.append(Decision(at=self._clock.now(), what=what, **fields))

    # --- one loop -----------------------------------------------------------------------------

    async def run_once(self) -> None:
        """One loop, whether or not anything changed."""
        self.loops += 1
        now = self._clock.now()
        self._seen, self._dues = self._versions(), []
        try:
            await self._loop(now)
        except HexaError as error:
            self.last_error = f"{now.isoformat()}: {error}"
            self._dues.append(now)
        self._dues = [due for due in (*self._dues, *self.state.dues(), *self.planner.dues()) if due >= now]

    async def _loop(self, now: datetime) -> None:
        if not self._cloud.refresh():
            raise Unavailable("the provider is not ready yet")
        facts = Facts(self._cloud, self.settings)
        facts.find_members(self.view.nodes.values())
        await self._clean_up_once(facts)
        timed_out, failed = self.state.update(facts, self.view.nodes.values(), now=now)
        for request in timed_out:
            self._tell("ScaleUpTimedOut", group=request.group, count=request.increase)
            await self._decrease(facts.groups[request.group], request.increase)
        for each in failed:
            self._tell("ScaleUpFailed", group=each.group, count=each.count, detail=f"{each.code}: {each.message}")
        await self._remove_unregistered(facts)
        if not self.state.is_healthy(len(self.view.nodes)):
            if self._healthy:
                self._tell("ClusterUnhealthy", count=len(self.state.total.unready))
            self._healthy = False
            self.planner.clear()
            return
        self._healthy = True
        await self._remove_failed(facts)
        if await self._fix_sizes(facts, now):
            return
        await self._scale(facts, now)

    async def _clean_up_once(self, facts: Facts) -> None:
        if not self._initialised:
            members = [view for name, view in self.view.nodes.items() if name in facts.group_of]
            await self.actuator.clean_up(members)
            self._initialised = True

    async def _scale(self, facts: Facts, now: datetime) -> None:
        templates = self._templates(facts, now)
        upcoming = self.state.upcoming(now=now)
        starting = self.state.not_started(upcoming)
        nodes = {name: view for name, view in self.view.nodes.items() if name not in starting}
        coming = [room for g, n in upcoming.items() if g in templates for room in upcoming_rooms(g, templates[g], n)]
        rooms = Rooms([*rooms_of(nodes.values()), *coming])
        helpless = self._helpless(rooms, now)
        all_new = self._all_new(helpless, now)
        if helpless and not all_new and not self._at_total():
            await self._scale_up(facts, templates, helpless, now)
        await self._scale_down(facts, nodes, rooms, now, forbidden=all_new)

    # --- failures -----------------------------------------------------------------------------

    async def _decrease(self, group: GroupFacts, count: int) -> None:
        await self._try(
            "DecreaseTargetSize", group.id, lambda: self._cloud.decrease_target_size(group.id, delta=-count)
        )

    async def _try(self, what: str, group: str, call: Callable[[], Any]) -> bool:
        try:
            await ask(call)
        except CannotRemove as error:
            self._tell(f"{what}Failed", group=group, detail=str(error))
            return False
        return True

    async def _remove_unregistered(self, facts: Facts) -> None:
        for group, instances in self.state.long_unregistered().items():
            known = facts.groups[group]
            spare = known.target - known.group.min_size
            if spare > 0:
                await self._delete(group, instances[:spare], "DeleteUnregistered")

    async def _remove_failed(self, facts: Facts) -> None:
        for group, instances in self.state.created_with_errors().items():
            await self._delete(group, instances, "DeleteFailedInstance")

    async def _delete(self, group: str, instances: list[str], what: str) -> None:
        nodes = [ExternalNode(instance, instance) for instance in instances]
        if await self._try(what, group, lambda: self._cloud.delete_nodes(group, nodes=nodes)):
            self._tell(what, group=group, count=len(nodes), detail=", ".join(instances))

    async def _fix_sizes(self, facts: Facts, now: datetime) -> bool:
        wrong = self.state.too_small(now=now)
        for group, delta in wrong.items():
            self._tell("FixGroupSize", group=group, count=delta)
            await self._decrease(facts.groups[group], -delta)
        return bool(wrong)

    # --- up -----------------------------------------------------------------------------------

    def _templates(self, facts: Facts, now: datetime) -> dict[str, Template]:
        """What a new node of each group looks like: like a good one that is there or was, else as the provider says."""
        found: dict[str, Template] = {}
        for name, group in facts.group_of.items():
            view = self.view.nodes[name]
            if group not in found and self._is_example(view, now):
                found[group] = self._examples[group] = template_of(view.node, view.pods.values(), name=group)
        for group in facts.groups:
            template = found.get(group) or self._examples.get(group) or self._asked_template(group)
            if template is not None:
                found[group] = template
        return found

    def _is_example(self, view: NodeView, now: datetime) -> bool:
        since = ready_since(view.node)
        stable = since is None or since + STABLE_AFTER < now
        if view.ready and since is not None and not stable:
            self._dues.append(since + STABLE_AFTER)
        return view.ready and stable and not view.node.spec.unschedulable and view.to_be_deleted is None

    def _asked_template(self, group: str) -> Template | None:
        answer = self._cloud.template(group)
        return template_of(node_of(answer), (), name=group) if isinstance(answer, NodeTemplate) else None

    def _helpless(self, rooms: Rooms, now: datetime) -> list[PodView]:
        """Unschedulable pods that fit on no node, there or upcoming; those of nodes that are being drained among them."""
        cutoff, delay = self.settings.expendable_pods_priority_cutoff, self.settings.new_pod_scale_up_delay
        waiting = [*self.view.pending.values(), *self._being_drained()]
        wanted = [pod for pod in waiting if pod.pod.spec.priority >= cutoff and pod.kind != "DaemonSet"]
        left = rooms.place(sorted(wanted, key=lambda pod: -pod.pod.spec.priority))
        if delay:
            self._dues += [now + timedelta(seconds=delay - age) for pod in left if (age := pod.age(now)) <= delay]
            left = [pod for pod in left if pod.age(now) > delay]
        return left

    def _being_drained(self) -> Iterable[PodView]:
        for name in self.actuator.going.drained:
            if (view := self.view.nodes.get(name)) is not None:
                for pod in view.pods.values():
                    if pod.recreated and pod.pod.metadata.deletion_timestamp is None:
                        yield pod

    def _all_new(self, pods: list[PodView], now: datetime) -> bool:
        """Too new to act on: more may follow at once. Pods that ask for a GPU are waited for longer."""
        gpu = [pod for pod in pods if wants_gpu(pod.pod)]
        waits = (
            (pods, self.settings.unschedulable_pod_buffer),
            (gpu, self.settings.unschedulable_gpu_pod_buffer),
        )
        left = [buffer - max(pod.age(now) for pod in some) for some, buffer in waits if some]
        if not left or max(left) <= 0:
            return False
        self._dues.append(now + timedelta(seconds=max(left)))
        return True

    def _at_total(self) -> bool:
        return 0 < self.settings.max_nodes_total <= len(self.state.total.ready)

    async def _scale_up(self, facts: Facts, templates: dict[str, Template], pods: list[PodView], now: datetime) -> None:
        options = [option for group in facts.groups.values() for option in self._option(group, templates, pods, now)]
        best = self._choose(options, Asked(self._cloud, now, len(self.view.nodes)))
        if best is None:
            return
        group, delta = best.group, min(best.estimate.nodes, best.group.group.max_size - best.group.target)
        if await self._try("ScaleUp", group.id, lambda: self._cloud.increase_size(group.id, delta=delta)):
            self._tell("ScaleUp", group=group.id, count=delta)
            group.target += delta
            self.state.register(group, delta, now=now)
            self._last_scale_up = now
        else:
            self.state.backoff.fail(group.id, now=now)
        self._dues.append(now)

    def _option(
        self, group: GroupFacts, templates: dict[str, Template], pods: list[PodView], now: datetime
    ) -> Iterable[Option]:
        if self.state.backoff.until(group.id, now=now) is not None or not self.state.is_group_healthy(group):
            return
        free = group.group.max_size - group.target
        template = templates.get(group.id)
        if free <= 0 or template is None:
            return
        found = estimate(pods, template, limit=free)
        if found.nodes > 0:
            whole = group.options.zero_or_max_node_scaling
            yield Option(group, template, type(found)(free, found.pods) if whole else found)

    # --- down ---------------------------------------------------------------------------------

    async def _scale_down(
        self, facts: Facts, nodes: dict[str, NodeView], rooms: Rooms, now: datetime, *, forbidden: bool
    ) -> None:
        going = self.actuator.going
        evicted = self.actuator.recently_evicted(now=now)
        self.planner.update(nodes, rooms, facts, Budgets(self.view.budgets), going, evicted=evicted, now=now)
        if not forbidden and not self._cooling_down(now):
            plan = self.planner.plan(nodes, facts, going, now=now)
            started = 0
            for names, drain in ((plan.empty, False), (plan.drain, True)):
                started += await self.actuator.start([(name, facts.group_of[name]) for name in names], drain=drain)
            if started:
                self._last_delete = now
                self._dues.append(now)
            if started < len(plan.empty) + len(plan.drain):
                self._last_failure = now
        unneeded = [name for name in self.planner.unneeded if name not in self.actuator.going]
        await self.actuator.soften(unneeded, (name for name in facts.group_of if name not in self.planner.unneeded))

    def _cooling_down(self, now: datetime) -> bool:
        settings = self.settings
        ends = [
            self._last_scale_up + timedelta(seconds=settings.scale_down_delay_after_add),
            self._last_failure + timedelta(seconds=settings.scale_down_delay_after_failure),
            self._last_delete + timedelta(seconds=settings.scale_down_delay_after_delete),
        ]
        self._dues += [end for end in ends if end >= now]
        return any(end > now for end in ends)


def wants_gpu(pod: Pod) -> bool:
    """Whether a container asks for the GPU that Cluster Autoscaler knows by itself."""
    return any(NVIDIA_GPU in container.resources.requests for container in pod.spec.containers)


def node_of(template: NodeTemplate) -> KubeNode:
    """The template as a node that is Ready."""
    shape = template.shape
    return KubeNode(
        metadata=Metadata(name=template.name, labels=shape.labels, annotations=shape.annotations),
        spec=KubeNodeSpec(provider_id=shape.provider_id, taints=shape.taints),
        status=KubeNodeStatus(capacity=shape.capacity, allocatable=shape.allocatable or shape.capacity),
    )


@asynccontextmanager
async def open_autoscaler(
    cloud: Cloud, kube: Kube, clock: Clock, *, settings: Settings | None = None, start: bool = True
) -> AsyncIterator[Autoscaler]:
    """An autoscaler that runs until the block ends; with `start=False` it only watches, and `run_once` is the caller's."""
    async with trio.open_nursery() as nursery:
        autoscaler = Autoscaler(cloud, kube, clock, settings or Settings(), nursery=nursery)
        for kind_watch in watch_cluster(kube, autoscaler.view, autoscaler.nudge):
            await nursery.start(kind_watch)
        if start:
            nursery.start_soon(autoscaler.run)
        yield autoscaler
        nursery.cancel_scope.cancel()
