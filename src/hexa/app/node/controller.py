"""One machine at a time: read the snapshot, let the domain decide, save the status, then do the phase's duty.

Level-triggered: it may be called at any time for any machine, and after a crash it goes on from what is stored. It knows no
transition; what an arrow needs is in `hexa.domain`.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from msgspec import structs

from hexa.app.cache import same_but_for_condition_taints
from hexa.app.fence import Subject
from hexa.app.locks import GroupLocks
from hexa.app.node.detaching import Detaching
from hexa.app.node.duties import NodeDuties
from hexa.app.node.freeing import Freeing
from hexa.app.node.health_checks import HealthChecks
from hexa.app.node.identities import LOOK as NAME_LOOK
from hexa.app.node.identities import Identities, namesakes_of
from hexa.app.node.make_room import RoomMaker
from hexa.app.node.power_cycles import PowerCycles
from hexa.app.node.power_jobs import PowerJobs, current, has_leftover_jobs, machine_of, with_job
from hexa.app.node.unmark import unmark
from hexa.app.node.vigil import Vigil
from hexa.app.pods import Drains, pods_on
from hexa.app.queue import KeyedQueue
from hexa.app.references import machine_reference
from hexa.app.saving import Writer
from hexa.app.store import Store
from hexa.app.views.views import Views
from hexa.app.wishes import Wishes
from hexa.domain.errors import Conflict, HexaError
from hexa.domain.group.asked import asked_of
from hexa.domain.group.sizing import target
from hexa.domain.group.template import same_shape, shape_of
from hexa.domain.machine.acts import may_cycle, may_leave, silent, wake_again
from hexa.domain.machine.arrival import NOT_SET_UP, not_set_up
from hexa.domain.machine.boot import NONE, answered, crowded, with_marks
from hexa.domain.machine.button import off_withheld, presses_blindly, wake_withheld
from hexa.domain.machine.dues import lease_due, next_due, wake_due
from hexa.domain.machine.facts import Facts
from hexa.domain.machine.findings import Finding, newly_found, once_each
from hexa.domain.machine.identity import IDENTITY_CHANGED, acts_on_old, identified, in_doubt, names_now, renamed
from hexa.domain.machine.identity import findings as identity_findings
from hexa.domain.machine.lifecycle import COMING, DUTIES, Duty, Event, Phase, again, enter, phase_of, send_wake, step
from hexa.domain.machine.marks import (
    handback,
    held_back,
    hold_back,
    let_go,
    marked,
    outlived,
    owner_of,
    released,
    suspended_by_us,
)
from hexa.domain.machine.sensing import sense
from hexa.domain.machine.stamps import past
from hexa.domain.machine.trust import Life, Told, told
from hexa.domain.machine.unclaimed_nodes import kept_on, possible_nodes, runs_as, waited_since
from hexa.domain.machine.wish import (
    ADOPTED,
    LATE_ARRIVAL,
    NEEDED,
    UNEXPECTED,
    base_wish,
    corrected_wish,
    held,
    paused,
    powerstate_manager,
    recorded_wish,
    unexpected,
)
from hexa.domain.machine_view import MachineView, membership_of
from hexa.domain.pods.drain import Plan
from hexa.domain.pods.left import left_at_deadline
from hexa.domain.policy.values import active_hold
from hexa.domain.resources.core import NODES, Job, KubeNode, Malformed, Pod
from hexa.domain.resources.health import CheckRecord
from hexa.domain.resources.v1alpha1 import (
    GROUPS,
    MACHINES,
    Group,
    JobRecord,
    LeavePolicy,
    Lookup,
    Node,
    NodeStatus,
    Power,
    PowerReading,
    Reading,
    WishRecord,
)
from hexa.domain.rules.dependencies import idle_from, lacks_room, needed_wish, waiting
from hexa.domain.rules.health import ALWAYS_SAID, Signs, judged, newly_contradicted, outage_of, standing
from hexa.domain.rules.out_of_service import findings as out_of_service
from hexa.domain.rules.power_cycle import newly_refused, with_power_cycle
from hexa.domain.rules.proof import proof_ends
from hexa.domain.rules.quarantine import returned, sooner
from hexa.domain.words.describe import described, findings_of
from hexa.ports.clock import Clock
from hexa.ports.heartbeats import Heartbeats
from hexa.ports.heartbeats import Life as Heard
from hexa.ports.jobs import Action, Jobs, Order, Outcome
from hexa.ports.journal import Journal, Severity
from hexa.ports.kube import Kube
from hexa.ports.sensors import Sensors

STEPS_AT_ONCE: Final = 12
DRAIN_LOOK: Final = 1.0
"""Seconds between looks at the pods of a machine that drains."""
BLOCKED_LOOK: Final = 5.0
"""The same while something blocks the drain and nothing leaves (kubectl drain retries as often)."""
LOST_LOOK: Final = 15.0
"""Seconds between looks at the pods of a lost machine that shall be off."""
SENSOR_LOOK: Final = {
    Phase.POWERING_ON: 2.0,
    Phase.BOOTING: 2.0,
    Phase.POWERING_OFF: 2.0,
    Phase.START_FAILED: 15.0,
    Phase.STOP_FAILED: 15.0,
    Phase.LOST: 15.0,
}
"""Seconds between readings of the power, where the phase waits for one and something reads it."""
ROOM_LOOK: Final = 15.0
"""Seconds between looks at the group of a machine that others need, and that has no room for it."""
JOB_LOOK: Final = 5.0
"""Seconds between looks at the pod of a Job that runs."""
JOB_KEPT: Final = timedelta(seconds=60)
"""A finished Job stays at least so long (ports.jobs)."""
Bound = Sequence[Pod | Malformed]
"""Pods of one Kubernetes node."""
NEED_ROOM: Final = frozenset({LATE_ARRIVAL, NEEDED})
"""Reasons of wishes that hexa sets only where the group may have one more machine on."""
MAY_GO_OFF: Final = frozenset({Phase.DRAINING, Phase.POWERING_OFF, Phase.STOP_FAILED, Phase.LOST})
"""Where it matters whether the machine runs under another name."""
WARNINGS: Final = frozenset({Phase.START_FAILED, Phase.STOP_FAILED, Phase.LOST})


class NodeController:
    """Keeps every machine on its way through the lifecycle table."""

    def __init__(
        self,
        *,
        store: Store,
        views: Views,
        kube: Kube,
        jobs: Jobs,
        heartbeats: Heartbeats,
        sensors: Sensors,
        clock: Clock,
        journal: Journal,
        locks: GroupLocks,
        image: str = "",
        checks: HealthChecks | None = None,
    ) -> None:
        """`image`: what the Jobs of spec.power run."""
        self._store, self._views, self._kube = store, views, kube
        self._heartbeats, self._sensors, self._checks = heartbeats, sensors, checks
        self._clock, self._journal, self._locks = clock, journal, locks
        self._born = clock.now()
        self._first_seen: dict[Lookup, datetime] = {}
        """Machines without a stored phase."""
        self._renewed: dict[Lookup, int] = {}
        """Attempts begun in place of one whose Job may be forgotten."""
        store.machines.on_rewind(self._renewed.clear)
        self._jobs = PowerJobs(jobs, store, image=image)
        self._nodes = NodeDuties(kube, store)
        self._drains = Drains(kube, store.nodes)
        self._detaching = Detaching(
            kube, in_vain=lambda view, text: self._tell(view, "VolumesLeft", text, Severity.WARNING)
        )
        self._freeing = Freeing(kube, store)
        self._writer = Writer(kube, store)
        self._identities = Identities(kube=kube, store=store, views=views, heartbeats=heartbeats)
        self._wishes = Wishes(store=store, views=views, kube=kube, clock=clock)
        self._room_maker = RoomMaker(store=store, views=views, writer=self._writer, locks=locks, clock=clock)
        self._power_cycles = PowerCycles(store=store, views=views, heartbeats=heartbeats, sensors=sensors)
        self.queue: KeyedQueue[Lookup] = KeyedQueue(
            self.reconcile, failed=self._failed, owner=store.fence.post(MACHINES, "machine", patience=2)
        )
        self.vigil = Vigil(self.queue.add, heartbeats=heartbeats, clock=clock)
        self._subscribe()

    def clock_set(self, by: timedelta) -> None:
        """The clock was set: nothing that we began began after now."""
        now = self._clock.now()
        self._born = min(self._born, now)
        self._first_seen = {key: min(seen, now) for key, seen in self._first_seen.items()}

    def _subscribe(self) -> None:
        add = self.queue.add
        self._store.machines.subscribe(self._machine_changed)
        self._store.fence.subscribe(self._fence_changed)
        self._views.on_rivals(self._add_all)
        self._views.dependencies.on_ties(add)
        self._store.groups.subscribe(self._group_changed)
        self._views.proofs.on_slot(lambda group: self._add_all(self._views.keys_of_group(group)))
        self._store.on_sight(lambda: self._add_all(self._store.machines.objects))
        self._store.nodes.subscribe(self._node_changed)
        self._store.jobs.subscribe(self._job_changed)
        self._heartbeats.subscribe(self._heard)
        for cache in self._store.guarding_pods:
            cache.subscribe(lambda _key, old, new: self._control_pod_changed(old, new))

    def _add_all(self, keys: Iterable[Lookup]) -> None:
        for key in tuple(keys):
            self.queue.add(key)

    def _machine_changed(self, key: Lookup, old: Node | None, new: Node | None) -> None:
        if old is None or new is None or old.spec != new.spec or old.metadata.annotations != new.metadata.annotations:
            self.queue.forgive(key)
        self.queue.add(key)

    def _fence_changed(self, subject: Subject) -> None:
        """What is contained is tried again, each time later."""
        if subject.kind is MACHINES:
            self.queue.add(subject.key)
        elif subject.kind is GROUPS:
            self._add_all(self._views.keys_of_group(subject.key))
        elif subject.kind is NODES:
            self._add_all(self._views.keys_of_kube_name(subject.key.name))

    def _group_changed(self, key: Lookup, old: Group | None, new: Group | None) -> None:
        given_up = old is not None and new is not None and released(old.metadata) != released(new.metadata)
        if old is None or new is None or given_up or old.spec != new.spec:  # its status follows from its machines
            self._add_all(self._views.keys_of_group(key))
        elif new.status.requests != old.status.requests:
            self._add_all(asked_of(new))

    def _node_changed(self, key: Lookup, old: KubeNode | None, new: KubeNode | None) -> None:
        if same_but_for_condition_taints(old, new):
            return
        claimants = self._views.keys_of_kube_name(key.name)
        self._add_all(claimants)
        if old is None and not claimants:  # it may be that of a machine that is waited for under another name
            self._add_all(key for key, each in self._store.machines.objects.items() if waited_since(each.status))

    def _job_changed(self, key: Lookup, old: Job | None, new: Job | None) -> None:
        job = new or old
        if job is not None and (owner := machine_of(job)) is not None:
            self.queue.add(owner)

    def _control_pod_changed(self, old: Pod | None, new: Pod | None) -> None:
        for node in {pod.spec.node_name for pod in (old, new) if pod is not None and pod.spec.node_name}:
            self._add_all(self._views.keys_of_kube_name(node))

    def _heard(self, node: str) -> None:
        for key in self._views.keys_of_kube_name(node):
            machine = self._store.machines.objects.get(key)
            if machine is not None and phase_of(machine.status) is not Phase.READY:
                self.queue.add(key)

    def _failed(self, key: Lookup, error: HexaError) -> None:
        self._journal.log("machine put off", machine=str(key), reason=error.reason, error=str(error))
        if type(error) is Conflict:
            self._store.doubt()
            return  # somebody else writes the machine all the time: nothing that its owner could mend
        self._journal.event(
            machine_reference(key, ""), reason=error.reason, message=str(error), severity=Severity.WARNING
        )

    # --- one machine ---

    async def reconcile(self, key: Lookup) -> None:
        """Bring the machine as far as it can come now, and come back when time alone may bring it further."""
        for _ in range(STEPS_AT_ONCE):
            view = self._views.sound(key)
            if view is None:
                await self._not_there(key)
                return
            if not await (self._part(view) if view.leaving else self._advance(view)):
                return
        self.queue.add(key)

    async def _part(self, view: MachineView) -> bool:
        """It is released or being deleted: its Jobs end, its power stays, and our finalizer goes once its node is clean."""
        await self._jobs.clean(view)
        if view.kube is not None and owner_of(view.kube) == view.key:  # our marks are about to be taken off
            self.queue.add(view.key, delay=DRAIN_LOOK)
        elif held_back(view.node):
            if given := handback(view.kube_name, view.node.status.template):
                self._tell(view, "HandedBack", f"off, with its node deleted; after its next boot: {'; '.join(given)}")
            await self._writer.edit(view.node, let_go(view.node.metadata))
        return False

    async def _not_there(self, key: Lookup) -> None:
        self._first_seen.pop(key, None)
        self._renewed.pop(key, None)
        self._jobs.forget(key)
        self._detaching.forget(key)
        broken = self._views.malformed_machine(key)
        if broken is None:
            return
        self._journal.event(
            machine_reference(key, ""), reason="DoesNotDecode", message=broken.problem, severity=Severity.WARNING
        )
        await self._writer.malformed(MACHINES, key, broken)

    async def _advance(self, view: MachineView) -> bool:
        """One step: a wish recorded, an event acted on, or the duty done. True: something changed, look again."""
        now = self._clock.now()
        status = view.node.status
        if not status.phase:
            return await self._first_sight(view, now)
        if (sound := past(status, limits=view.limits, now=now)) is not status:
            return await self._save(view, sound, None)
        if await self._record_wish(view) or await self._identify(view, now):
            return True
        if (record := await self._job_result(view)) is not None and record != status.job:
            return await self._save(view, with_job(status, record), None)
        pods = await self._pods(view, now)
        plan = await self._plan(view, pods, now)
        facts = self._facts(view, now, plan)
        event = sense(status, facts, limits=view.limits)
        if await self._correct_wish(view, event, now):
            return True
        if event is Event.REMEDY:
            return await self._cycle(view.key)
        if event is not None:
            return await self._step(view, event, facts, plan)
        return await self._dwell(view, facts, plan, pods)

    async def _identify(self, view: MachineView, now: datetime) -> bool:
        """Take over what has changed of its identity, as far as that may be."""
        if renamed(view.node):
            self.queue.add(view.key, delay=NAME_LOOK)
        change = await self._identities.change(view, now=now, sight=self._sight(), inert=self._inert(view, now))
        if change is None:
            return False
        self._tell(view, change.reason, change.message, Severity.WARNING)
        return await self._save(view, change.status, None)

    async def _first_sight(self, view: MachineView, now: datetime) -> bool:
        """Until there is something to say of it, a new machine is Unknown in our mind only: one write instead of three."""
        since = self._first_seen.setdefault(view.key, now)
        if (known := self._identities.first(view)) is not view.node.status:
            return await self._save(view, known, None)
        unknown = enter(view.node.status, Phase.UNKNOWN, event=None, now=since, limits=view.limits)
        seen = _with_status(view, unknown)
        if await self._record_wish(seen):
            return True
        facts = self._facts(seen, now, None)
        event = sense(unknown, facts, limits=view.limits)
        if event is None and self._unremarkable(seen, now):
            self._schedule(seen, facts, looks_at_pods=False)
            return False
        if await self._correct_wish(view, event, now):
            return True
        del self._first_seen[view.key]
        status = unknown if event is None else step(unknown, event, now=now, limits=view.limits)
        if event is not None:
            self._log_step(seen, status, event)
        return await self._save(view, self._found_up(view, status, facts), facts)

    def _found_up(self, view: MachineView, status: NodeStatus, facts: Facts) -> NodeStatus:
        """A machine found up whose node lacks nothing is welcome as it is: one write instead of three."""
        up, ready_since = _with_status(view, status), status.since or facts.now
        if facts.paused or phase_of(status) is not Phase.READY or status.last_shutdown_time is not None:
            return status
        return status if self._nodes.lacks_welcome(up, ready_since=ready_since) else self._as_welcomed(up, facts)

    def _unremarkable(self, view: MachineView, now: datetime) -> bool:
        """Nothing that a person must be told of it, beside what is always said."""
        found = self._findings(view, view.node.status, self._signs(view, view.node.status, now), now)
        return not self._inert(view, now) and all(finding.type in ALWAYS_SAID for finding in found)

    async def _record_wish(self, view: MachineView) -> bool:
        """Write down a wish that somebody expressed by spec.powerState alone, or by a request on the group."""
        wish = await self._wishes.record(view)
        if wish is not None and wish != recorded_wish(view.node):  # a request was told when it was stored
            self._tell(view, "WishChanged", f"wanted {wish.power} by {wish.by}: {wish.reason}")
        return wish is not None

    async def _correct_wish(self, view: MachineView, event: Event | None, now: datetime) -> bool:
        if self._inert(view, now) or self._corrected(view, event, now) is None:
            return False
        if view.group is None:
            return await self._correct(view, event, now)
        async with self._locks.of(view.group.key):  # whoever counts machines counts this one, or is counted by us
            return await self._correct(view, event, now)

    async def _correct(self, view: MachineView, event: Event | None, now: datetime) -> bool:
        wish = self._corrected(view, event, now)
        if wish is None:
            return False
        await self._writer.wish(view.node, wish, self._beside(view, wish))
        if wish.reason in UNEXPECTED:
            self._tell(view, wish.reason, unexpected(wish), Severity.WARNING)
        elif wish.needed_by:
            self._tell(view, wish.reason, f"wanted {wish.power}: {wish.needed_by} depends on it")
        elif wish.reason != ADOPTED:  # an adoption decides nothing
            self._tell(view, "WishChanged", f"wanted {wish.power} by {wish.by}: {wish.reason}")
        return True

    @staticmethod
    def _beside(view: MachineView, wish: WishRecord) -> dict[str, Any]:
        """LEAVE comes next for a machine that is adopted as off while its node stands: its finalizer takes no write of its own."""
        leaves = wish.reason == ADOPTED and wish.power is Power.OFF and view.kube is not None
        return hold_back(view.node) if leaves and not held_back(view.node) else {}

    def _corrected(self, view: MachineView, event: Event | None, now: datetime) -> WishRecord | None:
        """Room in the group is asked for last: few wishes need it, and it judges every machine of the group."""
        wish = self._corrected_with_room(view, event, now)
        return wish if wish is None or wish.reason not in NEED_ROOM or self._room(view, now) else None

    def _corrected_with_room(self, view: MachineView, event: Event | None, now: datetime) -> WishRecord | None:
        standing = held(view.node, view.policy, now=now) is not None
        found = corrected_wish(view.node, event, held=standing, room=True, now=now, policy=view.policy)
        if found is not None or view.phase is Phase.UNKNOWN or event is Event.POWER_GONE:
            return found
        wish, grouped = base_wish(view.node, now=now), membership_of(view.node) is not None
        return needed_wish(view.ties, wish, held=standing, room=True, grouped=grouped, now=now)

    def _room(self, view: MachineView, now: datetime) -> bool:
        """Whether the group may have one more machine on: without maxSize, all that there are."""
        if view.group is None or view.policy.max_size is None:
            return True
        return target(self._views.judged(view.group.key, now)) < view.policy.max_size

    def _inert(self, view: MachineView, now: datetime) -> bool:
        """Only watched: paused, or not valid."""
        return not view.valid or paused(view.node, now=now) is not None

    async def _step(self, view: MachineView, event: Event, facts: Facts, plan: Plan | None = None) -> bool:
        status = step(view.node.status, event, now=facts.now, limits=view.limits)
        if event is Event.OVERDUE and view.phase is Phase.DRAINING and plan is not None and not status.blocker:
            left = left_at_deadline(plan, longest=view.policy.drain.grace, limit=view.limits.drain)
            status = structs.replace(status, blocker=left)
        changed = await self._save(view, status, facts)
        severity = Severity.WARNING if phase_of(status) in WARNINGS else Severity.NORMAL
        lost = phase_of(status) is Phase.LOST
        happened = f"; {outage_of(self._signs(view, status, self._clock.now())).text}" if lost else ""
        self._tell(view, status.phase, f"{view.phase} -> {status.phase}: {event}{happened}", severity)
        if event is Event.NODE_READY and (back := returned(view.node.status, probed=view.probed(facts.now))):
            self._tell(view, "Returned", back)
        self._log_step(view, status, event)
        return changed

    async def _cycle(self, key: Lookup) -> bool:
        """The step into a power cycle. One at a time in a group: it is judged again while nobody else of the group is at it."""
        view = self._views.sound(key)
        if view is None or view.group is None:
            return False
        async with self._locks.of(view.group.key):
            view, now = self._views.sound(key), self._clock.now()
            if view is None:
                return False
            facts = self._facts(view, now, None)
            if sense(view.node.status, facts, limits=view.limits) is not Event.REMEDY:
                return True
            text = "it reads On and its kubelet is silent; its power is cut, and its pods end without grace"
            self._tell(view, "PowerCycle", text, Severity.WARNING)
            return await self._step(view, Event.REMEDY, facts)

    def _log_step(self, view: MachineView, status: NodeStatus, event: Event) -> None:
        self._journal.log("phase", machine=str(view.key), was=str(view.phase), phase=status.phase, noticed=str(event))

    # --- facts ---

    async def _job_result(self, view: MachineView) -> JobRecord | None:
        """The result of the present attempt's Job, when it is over or when its pod is worth a look."""
        record = current(view.node.status)
        if record is None or record.outcome != Outcome.RUNNING or has_leftover_jobs(view.node.status):
            return None
        order = self._jobs.order(view, view.node.status, Action(record.action))
        if order is None:
            return None
        over = self._jobs.finished(view.key, record.name)
        since = view.node.status.woken_at or view.node.status.since or self._clock.now()
        looked = self._clock.now() - since >= timedelta(seconds=JOB_LOOK)
        return await self._jobs.observe(order, record) if over or looked else None

    async def _pods(self, view: MachineView, now: datetime) -> Bound | None:
        """The machine's pods, where the phase asks for them; a machine that drains is cordoned first."""
        wanted_off = view.acted_wish(now) is Power.OFF
        status = view.node.status
        looks = (
            (view.phase is Phase.DRAINING and wanted_off)
            or (view.phase is Phase.POWERING_OFF and current(status) is None)
            or (view.phase is Phase.LOST and wanted_off)
        )
        if not looks or self._inert(view, now) or self._sight() is None:
            return None
        if view.kube is not None and not view.kube.spec.unschedulable:
            await self._nodes.cordon(view, now)
        return await pods_on(self._kube, view.kube_name)

    async def _plan(self, view: MachineView, pods: Bound | None, now: datetime) -> Plan | None:
        if pods is None:
            return None
        wish = view.wish(now)
        plan = await self._drains.plan(view, pods, by=wish.by if wish else None, forced=view.node.status.forced)
        if name := renamed(view.node):
            plan = in_doubt(plan, await pods_on(self._kube, name), names_now(name))
        for other in namesakes_of(self._views, view, now):
            plan = in_doubt(plan, await pods_on(self._kube, other), runs_as(other))
        return await self._detaching.waits(view, plan, pods, now=now)

    def _sight(self) -> datetime | None:
        """Since when we see everything; None: blind."""
        store, lives = self._store.watching_since, self._heartbeats.watching_since()
        return None if store is None or lives is None else max(store, lives)

    def _facts(self, view: MachineView, now: datetime, plan: Plan | None) -> Facts:
        status, life = view.node.status, self._life(view)
        record = current(status)
        return Facts(
            now=now,
            watching_since=self._sight(),
            wish=view.acted_wish(now),
            lease_period=self._heartbeats.period(view.kube_name),
            node_exists=view.node_exists,
            node_ready=view.node_ready,
            heard=life.heard if life else None,
            heard_until=life.until if life else None,
            reading=self._reading(view),
            job_done=record is not None and record.outcome == Outcome.DONE,
            job_begun=record is not None or self._stops(view),
            pods=plan.left if plan is not None else None,
            force=view.policy.drain.force,
            paused=self._inert(view, now),
            crowded=self._crowded(view, now),
            may_wake=view.may_wake(now),
            blind_seconds=self._store.blind_seconds(status.since) if status.since else 0.0,
            power_cycle_after=self._power_cycles.verdict(view, now).after,
        )

    def _crowded(self, view: MachineView, now: datetime) -> bool:
        """Asked only where it makes a difference."""
        status, limits = view.node.status, view.limits
        if view.phase not in COMING or view.group is None or limits.wake_interval == limits.patient_interval:
            return False
        if now < wake_due(status, limits=limits) or now >= wake_due(status, limits=limits, crowded=True):
            return False
        keys = (key for key in self._views.keys_of_group(view.group.key) if key != view.key)
        others = (node.status for key in keys if (node := self._store.machines.objects.get(key)) is not None)
        return crowded(status, others, limits=limits)

    def _reading(self, view: MachineView) -> PowerReading | None:
        """The reading that counts: that of an address which was named after the power-off began says nothing of it."""
        reading = self._sensors.reading(view.node)
        return structs.replace(reading, power=Reading.UNKNOWN) if reading and acts_on_old(view.node) else reading

    def _life(self, view: MachineView) -> Heard | None:
        """The last sign of life that we saw. One that came while we were away counts from when we began to watch."""
        life, since = self._heartbeats.life(view.kube_name), self._heartbeats.watching_since()
        if life is not None or since is None or not answered(view.node.status, **self._marks(view)):
            return life
        return Heard(since, since + self._heartbeats.period(view.kube_name))

    def _marks(self, view: MachineView) -> dict[str, str]:
        """What speaks for the kubelet now."""
        node = view.kube.metadata.uid if view.kube is not None else "" if view.node_exists else NONE
        return {"lease": self._heartbeats.renewal(view.kube_name), "node": node}

    def _stops(self, view: MachineView) -> bool:
        """Whether the shutdown Job of the present attempt is there, recorded or not."""
        if view.phase is not Phase.POWERING_OFF:
            return False
        return self._jobs.begun(self._jobs.order(view, view.node.status, Action.SHUTDOWN))

    # --- staying in a phase ---

    async def _dwell(self, view: MachineView, facts: Facts, plan: Plan | None, pods: Bound | None) -> bool:
        """Nothing to notice: do the duty, save what is new, and say when to come back."""
        status = _with_pause(view.node.status, paused=facts.paused, now=facts.now)
        if status != view.node.status:
            return await self._save(view, status, facts)
        if await self._free(view, facts):
            return True
        if not facts.paused and (next_try := sooner(status, limits=view.limits, now=facts.now)) is not None:
            changed = await self._save(view, structs.replace(status, cool_until=next_try.at), facts)
            self._tell(view, "WorksAgain", f"{next_try.why}: tried again sooner")
            return changed
        if has_leftover_jobs(status):
            return await self._take_back(view, facts)
        duty = DUTIES.get(view.phase) if not facts.paused or self._is_unwatched(view, facts) else None
        if duty is not None and await self._DO[duty](self, view, facts, plan):
            return True
        await (self._undo(view, facts) if facts.paused else self._tidy(view))
        if outlived(view.node):
            await self._writer.edit(view.node, let_go(view.node.metadata))
        fresh = self._views.sound(view.key)
        if fresh is not None and await self._save(fresh, self._with_shape(fresh, facts), facts):
            return True
        self._schedule(view, facts, looks_at_pods=pods is not None)
        return False

    async def _undo(self, view: MachineView, facts: Facts) -> None:
        """What a power-off that failed has left on the node of a machine that is only watched by now."""
        if view.kube is None or not self._stays_on(view, facts):
            return
        if view.ungrouped and marked(view.kube):
            self._store.nodes.put(await unmark(self._kube, view.kube))
        await self._nodes.uncordon(view)

    def _is_unwatched(self, view: MachineView, facts: Facts) -> bool:
        """The machine came up while nobody decides about it any more, such as after its group was deleted: what hexa did to its
        node before is undone, and what it had is given back."""
        status, kube = view.node.status, view.kube
        if view.phase is not Phase.READY or kube is None or paused(view.node, now=facts.now) is not None:
            return False
        return view.our_cordon or suspended_by_us(kube) or (not status.welcomed and status.template is not None)

    def _stays_on(self, view: MachineView, facts: Facts) -> bool:
        """Its power-off failed, and since its group is gone, or does not read, nobody tries again: it serves."""
        if view.valid or paused(view.node, now=facts.now) is not None or facts.heard_until is None:
            return False
        limit = {Phase.POWERING_OFF: view.limits.power_off, Phase.STOP_FAILED: timedelta(0)}.get(view.phase)
        since, heard = view.node.status.since, facts.heard
        if limit is None or since is None or heard is None:
            return False
        return facts.now < facts.heard_until and heard > since + limit

    async def _free(self, view: MachineView, facts: Facts) -> bool:
        """Before the duty: no machine is woken with the taint of a dead one on its node."""
        done = await self._freeing.settle(view, facts)
        if done.told:
            reason, severity = ("OutOfService", Severity.WARNING) if done.tainted else ("InService", Severity.NORMAL)
            self._tell(view, reason, done.told, severity)
        if done.again is not None:
            self.queue.add(view.key, delay=(done.again - facts.now).total_seconds())
        return bool(done.told)

    async def _take_back(self, view: MachineView, facts: Facts) -> bool:
        """Before the duty: its Job came late, or hangs, and would switch off a machine that pods come to again, or wake one that
        nobody wants."""
        if not await self._jobs.clean(view):
            self.queue.add(view.key, delay=DRAIN_LOOK)
            return False
        self._tell(
            view, "JobTakenBack", "its power Job had not ended, and it is not to be switched by it any more: removed"
        )
        return await self._save(view, with_job(view.node.status, None), facts)

    def _with_shape(self, view: MachineView, facts: Facts) -> NodeStatus:
        status = view.node.status
        if view.kube is None or not view.node_ready or view.phase is not Phase.READY or not status.welcomed:
            return status
        until = view.set_up_until
        if status.template is not None and until is not None and facts.now < until and view.lacks:
            return status  # it has not got all of its devices yet
        shape = shape_of(
            view.kube,
            previous=status.template,
            our_cordon=view.our_cordon,
            now=facts.now,
            conventions=view.conventions,
        )
        return status if same_shape(shape, status.template) else structs.replace(status, template=shape)

    async def _tidy(self, view: MachineView) -> None:
        """Remove Jobs whose result is saved, and those of earlier attempts."""
        record = current(view.node.status)
        running = record is not None and record.outcome == Outcome.RUNNING
        if view.phase in (Phase.POWERING_ON, Phase.POWERING_OFF, Phase.BOOTING) and record is None:
            return  # the duty is about to start one
        await self._jobs.clean(view, keep=record.name if record is not None and running else "")

    def _schedule(self, view: MachineView, facts: Facts, *, looks_at_pods: bool) -> None:
        self._await_lease(view, facts)
        due = next_due(view.node.status, facts, limits=view.limits, lease=False)
        dues = [due] if due is not None else []
        dues += [hold.until for hold in self._holds(view, facts.now) if hold.until is not None]
        wish = recorded_wish(view.node)
        if wish is not None and wish.until is not None and wish.until > facts.now:
            dues.append(wish.until)
        if (idle := idle_from(view.ties)) is not None and idle > facts.now:
            dues.append(idle)
        if lacks_room(view.ties, wish):
            dues.append(facts.now + timedelta(seconds=ROOM_LOOK))
        pause = paused(view.node, now=facts.now)
        if pause is not None and pause.until is not None:
            dues.append(pause.until)
        if (
            view.group is not None
            and (ends := proof_ends(view.node.status, view.policy)) is not None
            and ends > facts.now
        ):
            dues.append(ends)
        if (until := view.set_up_until) is not None and until > facts.now and view.lacks:
            dues.append(until)
        if facts.reading is not None and (look := SENSOR_LOOK.get(view.phase)) is not None:
            dues.append(facts.now + timedelta(seconds=look))
        if view.phase is Phase.LOST and looks_at_pods:
            dues.append(facts.now + timedelta(seconds=LOST_LOOK))
        if dues:
            self.queue.add(view.key, delay=(min(dues) - facts.now).total_seconds())

    def _await_lease(self, view: MachineView, facts: Facts) -> None:
        """A machine that is up is looked at when its lease is late, not each time that it could be."""
        if (due := lease_due(view.node.status, facts, limits=view.limits)) is not None:
            self.vigil.watch(view.key, node=view.kube_name, until=due)

    @staticmethod
    def _holds(view: MachineView, now: datetime) -> list[Any]:
        holds = (active_hold(view.node.spec.hold, now=now), active_hold(view.policy.hold, now=now))
        return [hold for hold in holds if hold is not None]

    # --- duties ---

    async def _wake(self, view: MachineView, facts: Facts, plan: Plan | None) -> bool:
        status = view.node.status
        record = current(status)
        if record is None and status.wakes > 0:
            return await self._start(view, Action.STARTUP)
        running = record is not None and record.outcome == Outcome.RUNNING
        if running:
            self.queue.add(view.key, delay=JOB_LOOK)
        status = structs.replace(status, silent=silent(status, facts, limits=view.limits))
        again_now = wake_again(status, facts, limits=view.limits, job_running=running)
        if again_now and not wake_withheld(view.node, facts.reading):
            self._tell(view, "WakeAgain", f"no sign of life: wake {status.wakes + 1} of {view.limits.attempts}")
            return await self._save(view, send_wake(status, now=facts.now), facts)
        return status != view.node.status and await self._save(view, status, facts)

    async def _power_off(self, view: MachineView, facts: Facts, plan: Plan | None) -> bool:
        status = view.node.status
        record = current(status)
        if record is not None:
            if record.outcome == Outcome.RUNNING:
                self.queue.add(view.key, delay=JOB_LOOK)
            return False
        if status.remediation.cycling:
            may = may_cycle(facts)
        else:
            wanted = facts.wish is Power.OFF or facts.job_begun
            may = wanted and not facts.blind and (facts.pods == 0 or status.forced)
        if not may:
            self.queue.add(view.key, delay=DRAIN_LOOK)
            return False
        if why := off_withheld(view.node, facts):
            self.queue.add(view.key, delay=DRAIN_LOOK)
            return why != status.blocker and await self._save(view, structs.replace(status, blocker=why), facts)
        return await self._start(view, Action.SHUTDOWN)

    async def _start(self, view: MachineView, action: Action) -> bool:
        """The Job of the saved attempt: made once, however often this is repeated."""
        order = self._jobs.order(view, view.node.status, action)
        if order is None:
            return False
        if self._may_be_forgotten(view, action) or self._of_another_time(view, order):
            if presses_blindly(view.node, "on" if action is Action.STARTUP else "off"):
                return False  # it may have been pressed: a second press would undo that
            status = again(view.node.status, now=self._clock.now())
            self._renewed[view.key] = status.attempt
            return await self._save(view, status, None)
        await self._writer.confirm(
            view.node
        )  # we may have stalled since we decided: released meanwhile, it is not ours
        record = await self._jobs.start(order)
        if record is None:
            self.queue.add(view.key, delay=DRAIN_LOOK)
            return False
        self._tell(view, f"{action.value.capitalize()}Job", f"{record.name}: {record.outcome}")
        return await self._save(view, with_job(view.node.status, record), None)

    def _may_be_forgotten(self, view: MachineView, action: Action) -> bool:
        """Whether an earlier life of ours may have made this attempt's Job so long ago that it is gone: another attempt then."""
        status = view.node.status
        begun = (status.woken_at if action is Action.STARTUP else None) or status.since
        if begun is None or begun >= self._born or self._renewed.get(view.key) == status.attempt:
            return False
        return self._clock.now() - begun > JOB_KEPT

    def _of_another_time(self, view: MachineView, order: Order) -> bool:
        status = view.node.status
        begun = (status.woken_at if order.action is Action.STARTUP else None) or status.since
        return begun is not None and self._jobs.of_another_time(order, begun)

    async def _drain(self, view: MachineView, facts: Facts, plan: Plan | None) -> bool:
        if plan is None:
            return False
        if plan.blockers:
            blocker = "; ".join([*map(str, plan.blockers[:3]), *(await self._make_room(view, plan, facts.now))])
        else:
            blocker = await self._nodes.evict(plan, grace=view.policy.drain.grace) or plan.volumes
        self.queue.add(view.key, delay=BLOCKED_LOOK if blocker and not plan.leaving else DRAIN_LOOK)
        if blocker == view.node.status.blocker:
            return False
        if blocker:
            waits = blocker == plan.volumes
            reason, severity = ("VolumesAttached", Severity.NORMAL) if waits else ("DrainBlocked", Severity.WARNING)
            self._tell(view, reason, blocker, severity)
        return await self._save(view, structs.replace(view.node.status, blocker=blocker), facts)

    async def _make_room(self, view: MachineView, plan: Plan, now: datetime) -> list[str]:
        """Wake another machine for pods that fit nowhere else, where a person asked for it; what comes of it."""
        wish = view.wish(now)
        if wish is None or not wish.make_room or len(plan.homeless) < len(plan.blockers):
            return []
        return [await self._room_maker.make(view, plan.homeless, tell=self._tell)]

    async def _welcome(self, view: MachineView, facts: Facts, plan: Plan | None) -> bool:
        status = view.node.status
        if view.kube is None or not view.node_ready or not _to_welcome(status, view.kube):
            return False
        uid = view.kube.metadata.uid
        await self._nodes.welcome(view, ready_since=status.since or facts.now)
        boot = status.last_shutdown_time  # what hexa never switched off has left nothing behind
        pods = await pods_on(self._kube, view.kube_name) if boot is not None else ()
        swept, kept = await self._nodes.sweep(pods, boot=boot or facts.now)
        if swept:
            self._tell(view, "PodsSwept", f"removed {swept} pods that the last power-off left behind")
        if kept:
            self._tell(view, "PodsNotSwept", f"what the last power-off left behind stays: {kept}", Severity.WARNING)
        fresh = self._views.sound(view.key)
        if fresh is None or fresh.kube is None or fresh.kube.metadata.uid != uid:
            return fresh is not None
        return await self._save(fresh, self._as_welcomed(fresh, facts), facts)

    def _as_welcomed(self, view: MachineView, facts: Facts) -> NodeStatus:
        """The status of a machine whose node has got everything, and the shape that it shows now."""
        uid = view.kube.metadata.uid if view.kube is not None else ""
        identity = structs.replace(identified(view.node.status, view.node).identity, kubernetes_node_uid=uid)
        return self._with_shape(
            _with_status(view, structs.replace(view.node.status, welcomed=True, identity=identity)), facts
        )

    async def _leave(self, view: MachineView, facts: Facts, plan: Plan | None) -> bool:
        if view.kube is None or facts.blind:
            return False
        if not held_back(view.node):
            return await self._writer.edit(view.node, hold_back(view.node)) is not view.node
        await self._nodes.suspend(view, facts.now)
        shutdown_done = _shut_down(view.node.status)
        deletes = view.policy.leave is LeavePolicy.DELETE and not view.control_plane
        if not deletes or not may_leave(view.node.status, facts, shutdown_done=shutdown_done):
            return False
        if view.node.status.template is None:  # never seen Ready: what the old node shows is all there is to give back
            shape = shape_of(
                view.kube, previous=None, our_cordon=view.our_cordon, now=facts.now, conventions=view.conventions
            )
            return await self._save(view, structs.replace(view.node.status, template=shape), facts)
        if (until := await self._freeing.holds_node(view, facts)) is not None:
            self.queue.add(view.key, delay=min((until - facts.now).total_seconds(), BLOCKED_LOOK))
            return False
        seen, fresh = view.node.status.template, self._views.sound(view.key) or view
        if seen.unschedulable and fresh.our_cordon:  # somebody took theirs back before we put ours on
            opened = structs.replace(seen, unschedulable=False)
            return await self._save(fresh, structs.replace(fresh.node.status, template=opened), facts)
        await self._nodes.delete(view)
        self._tell(view, "NodeLeft", f"Kubernetes node {view.kube_name} deleted: the machine is off")
        return False

    _DO: Final[dict[Duty, Callable[["NodeController", MachineView, Facts, Plan | None], Any]]] = {
        Duty.WAKE: _wake,
        Duty.WAKE_AGAIN: _wake,
        Duty.POWER_OFF: _power_off,
        Duty.DRAIN: _drain,
        Duty.WELCOME: _welcome,
        Duty.LEAVE: _leave,
    }

    # --- saving and telling ---

    async def _save(self, view: MachineView, status: NodeStatus, facts: Facts | None) -> bool:
        """Store the status with everything that follows from it; whether anything was written."""
        now = self._clock.now()
        wish = view.wish(now)
        status = with_marks(status, view.node.status, **self._marks(view))
        signs = self._signs(view, status, now)
        status = described(
            identified(status, view.node),
            self._findings(view, status, signs, now),
            wish=wish,
            reading=signs.reading,
            health=judged(signs),
            check=self._check(view, status),
            generation=view.node.metadata.generation,
            now=now,
        )
        if (waits := newly_found(IDENTITY_CHANGED, view.node.status.conditions, status.conditions)) is not None:
            self._tell(view, waits.reason, waits.message, Severity.WARNING)
        if (refused := newly_refused(view.node.status.conditions, status.conditions)) is not None:
            self._tell(view, refused.reason, f"its power is not cycled: {refused.message}", Severity.WARNING)
        if (late := newly_found(NOT_SET_UP, view.node.status.conditions, status.conditions)) is not None:
            self._tell(view, NOT_SET_UP, late.message, Severity.WARNING)
        if (contradicted := newly_contradicted(view.node.status.conditions, status.conditions)) is not None:
            self._tell(view, contradicted.reason, contradicted.message, Severity.WARNING)
        return await self._writer.status(view.node, status) is not view.node

    def _told_reading(self, view: MachineView, now: datetime) -> Told:
        """The reading as far as it is believed, and what contradicts it."""
        node, life, sight = view.node, self._heartbeats.life(view.kube_name), self._sight()
        heard = Life(
            heard=life.heard if life else None,
            until=life.until if life else None,
            expected_from=sight if view.kube is not None else None,
        )
        return told(self._reading(view), heard, ordered=_shut_down(node.status), before=node.status.reading, now=now)

    def _findings(self, view: MachineView, status: NodeStatus, signs: Signs, now: datetime) -> list[Finding]:
        problems = (*view.problems, *(view.group.problems if view.group and not view.group.valid else ()))
        wish = view.wish(now)
        found = findings_of(
            status,
            wish=wish,
            problems=problems,
            off_vetoes=view.off_vetoes(now),
            on_vetoes=view.on_vetoes(now),
            manager=powerstate_manager(view.node),
            standing=standing(signs, view.policy, now=now),
            possible_nodes=signs.possible_nodes,
        )
        found += not_set_up(view.lacks, view.set_up_until, now=now)
        found += identity_findings(view.node)
        if view.phase in MAY_GO_OFF:
            found += kept_on(namesakes_of(self._views, view, now))
        found = once_each([*found, *waiting(view.ties, wish=wish, phase=phase_of(status)), *out_of_service(view.kube)])
        return with_power_cycle(found, self._power_cycles.findings(view, status, now))

    def _signs(self, view: MachineView, status: NodeStatus, now: datetime) -> Signs:
        life = self._heartbeats.life(view.kube_name)
        read = self._told_reading(view, now)
        return Signs(
            status=status,
            kube_name=view.kube_name,
            ready=view.kubelet_says,
            node_exists=view.node_exists,
            alive=life is not None and now < life.until,
            reading=read.reading,
            contradiction=read.contradiction,
            trouble=self._sensors.trouble(view.node),
            check=self._check(view, status) if view.node.spec.healthcheck_pod_spec is not None else None,
            check_trouble=self._checks.trouble(view.node) if self._checks is not None else "",
            possible_nodes=self._possible_nodes(view, status),
        )

    def _possible_nodes(self, view: MachineView, status: NodeStatus) -> tuple[str, ...]:
        """Kubernetes nodes that may be this machine's under another name."""
        since = None if view.kube is not None else waited_since(status)
        return () if since is None else possible_nodes(self._views.unclaimed(), view.kube_name, since=since)

    def _check(self, view: MachineView, status: NodeStatus) -> CheckRecord | None:
        return self._checks.record(view.node, status, kubernetes_node=view.kube_name) if self._checks else None

    def _tell(self, view: MachineView, reason: str, message: str, severity: Severity = Severity.NORMAL) -> None:
        self._journal.event(
            machine_reference(view.key, view.node.metadata.uid), reason=reason, message=message, severity=severity
        )


def _with_pause(status: NodeStatus, *, paused: bool, now: datetime) -> NodeStatus:
    """Begin or end the time in which deadlines stand still."""
    began = status.paused_since
    if paused == (began is not None):
        return status
    if began is None:
        return structs.replace(status, paused_since=now)
    still = (now - max(began, status.since or began)).total_seconds()
    return structs.replace(status, paused_since=None, stood_still=status.stood_still + still)


def _to_welcome(status: NodeStatus, node: KubeNode) -> bool:
    """Not welcomed in this boot, or another object since: its node was deleted, and its kubelet has registered anew."""
    return not status.welcomed or status.identity.kubernetes_node_uid not in ("", node.metadata.uid)


def _shut_down(status: NodeStatus) -> bool:
    """Whether our shutdown Job of the present attempt is done."""
    record = current(status)
    return record is not None and record.action == Action.SHUTDOWN and record.outcome == Outcome.DONE


def _with_status(view: MachineView, status: NodeStatus) -> MachineView:
    """The machine as it will be once the status is saved."""
    return structs.replace(view, node=structs.replace(view.node, status=status))
