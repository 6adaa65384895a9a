"""What must be so at every moment of a run, and after it. It reads the truth of the site, and what hexa has in mind."""

from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import takewhile
from typing import Any

import trio
from msgspec import Struct

from hexa.adapters.memory.cluster.pods import PodsByNode, comes_with_the_node, finished
from hexa.adapters.memory.ports.journal import Line
from hexa.adapters.memory.site.machine import MemoryMachine, State
from hexa.app.core import Core
from hexa.domain.group.sizing import Member, counts, goes_first, rest_rank, to_wake
from hexa.domain.group.standing import rank
from hexa.domain.group.woken_for import MOST_WAKES, woken_for
from hexa.domain.group_view import GroupView
from hexa.domain.machine.identity import declared_name
from hexa.domain.machine.kube_conditions import ours as lifecycle_conditions
from hexa.domain.machine.lifecycle import COMING, LIMITS, Phase, phase_of
from hexa.domain.machine.marks import MARKS
from hexa.domain.machine.reason import Reason
from hexa.domain.machine.wish import overrules, recorded_wish
from hexa.domain.machine_view import MachineView
from hexa.domain.names import (
    ACTION_LABEL,
    ATTEMPT_LABEL,
    CORDON_ANNOTATION,
    HOSTNAME_LABEL,
    MACHINE_LABEL,
    OUT_OF_SERVICE_ANNOTATION,
    UID_LABEL,
)
from hexa.domain.pods.drain import stays
from hexa.domain.policy.policy import policy_at
from hexa.domain.quantity import parse_quantity
from hexa.domain.resources.core import JOBS, NODES, PODS, Pod
from hexa.domain.resources.v1alpha1 import GROUPS, MACHINES, Asker, Lookup, Node, Power
from hexa.domain.rules.dependencies import waits_for
from hexa.ports.kube import ChangeType
from hexa.testing.world import World
from hexa.testing.world.builders import NAMESPACE
from tests.faults.acts import Stage
from tests.faults.circuits import Circuits
from tests.faults.script import Box
from tests.faults.switching import Switching

SLACK = timedelta(seconds=90)
"""How much longer than its limit a phase may last: for looks that are seconds apart, and retries that back off."""
ODD = frozenset({"Unavailable", "Conflict", "AlreadyExists", "NotFound"})
"""Errors that faults bring."""


IN_FLIGHT = timedelta(seconds=1)
"""What changes while a request is on its way to the API server can't stop it."""
UNCLEAR = 90.0
"""Seconds after which hexa knows that a UPS is not on battery, or not heard: two questions, and what is on its way."""
LOOKS = 60.0
"""Seconds between looks."""
WRITES_AT_ONCE = 2000
AT_ONCE = 10.0
"""Seconds in which so many writes are too many: what runs in circles may wait a little in each."""


def standing_rank(member: Member) -> Any:
    """Sorts those first that the order of their group has first."""
    return rank(member.standing), member.key.name


class Runaway(BaseException):
    """Time stands still, or almost. No exception: hexa contains those, with the object that it is about."""


class Broken(Struct, frozen=True):
    """An invariant that did not hold."""

    rule: str
    text: str
    at: datetime

    def __str__(self) -> str:
        return f"{self.at:%H:%M:%S} {self.rule}: {self.text}"


class Leaps:
    """How much time there can have been in the eyes of who only knows the wall clock."""

    def __init__(self, world: World) -> None:
        self._world, self._start = world, trio.current_time()
        self._seen = world.now, trio.current_time()
        self._ahead = 0.0
        world.site.clock.on_set.append(self._set)

    def _set(self) -> None:
        (then, at), self._seen = self._seen, (self._world.now, trio.current_time())
        by = (self._seen[0] - then).total_seconds() - (self._seen[1] - at)
        self._ahead += max(by, 0.0)

    def longest(self) -> float:
        """Seconds since the start, with all that the clock was set forward: whether hexa lived then nobody asks."""
        return trio.current_time() - self._start + self._ahead + SLACK.total_seconds()


class Guard:
    """Watches one world."""

    def __init__(self, stage: Stage) -> None:
        self.stage, self.world = stage, stage.world
        self.broken: list[Broken] = []
        self.jobs = 0
        self.actions: list[tuple[float, str, str]] = []
        """(Trio's time, machine, action) of every Job."""
        self._calm: tuple[float, Line | None] = 0.0, None
        self._made: Counter[tuple[str, str]] = Counter()
        self._restores = 0
        self._alive: dict[str, set[str]] = {}
        self._clocks = self.world.now, trio.current_time()
        self._blind_at = self.world.now
        """When hexa last did not see, or was dead."""
        self._paused_at: dict[str, datetime] = {}
        self._edited_at: dict[str, datetime] = {}
        specs = stage.script.groups.values()
        self._forced = any(spec.get("drain", {}).get("force") or "remediation" in spec for spec in specs)
        """A group allows that pods are lost."""
        self._circuits = Circuits(stage, self.say)
        self._pods = PodsByNode(self.world.site.api)
        self._over_since: dict[str, datetime] = {}
        self._short_since: dict[str, datetime] = {}
        self._counted_from, self._at_once, self._writes = 0.0, 0, 0
        self._leaps = Leaps(self.world)
        self._switching = Switching(stage, self.say)
        api = self.world.site.api
        api.listen(JOBS, self._job)
        api.listen(NODES, self._kube_node)
        api.listen(GROUPS, self._group)
        for kind in (MACHINES, NODES, GROUPS, JOBS):
            api.listen(kind, self._counted)

    def _counted(self, event: Any) -> None:
        """Time must go on, also where it goes on slowly, and where a write changes nothing."""
        now, life = trio.current_time(), self.world.agent.life
        self._at_once += 1
        written = life.kube.writes - self._writes if life is not None else 0
        rivals = any(
            rival.life for rival in self.stage.rivals
        )  # each undoes what the other knows better, while both live
        if now - self._counted_from > (0 if rivals else AT_ONCE) or written < 0:
            self._counted_from, self._at_once, self._writes = now, 0, life.kube.writes if life is not None else 0
        elif max(self._at_once, written) > WRITES_AT_ONCE:
            raise Runaway(
                f"{written} writes of the agent and {self._at_once} changes in {AT_ONCE:g} s, the last of {event.stored.key[1]}"
            )

    def say(self, rule: str, text: str) -> None:
        """Each rule is told once for each text."""
        if not any((each.rule, each.text) == (rule, text) for each in self.broken):
            self.broken.append(Broken(rule, text, self.world.now))

    @property
    def core(self) -> Core | None:
        life = self.world.agent.life
        return life.core if life is not None else None

    # --- at every power Job -------------------------------------------------------------------

    def _job(self, event: Any) -> None:
        metadata = event.stored.raw["metadata"]
        labels = metadata.get("labels", {})
        name = labels.get(MACHINE_LABEL)
        if name is None:
            return
        alive = self._alive.setdefault(name, set())
        conditions = (event.stored.raw.get("status") or {}).get("conditions", ())
        ended = any(c["status"] == "True" and c["type"] in ("Complete", "Failed") for c in conditions)
        if event.type is ChangeType.DELETED or ended:
            alive.discard(event.stored.uid)
        elif event.type is ChangeType.ADDED:
            alive.add(event.stored.uid)
            if not self.stage.puts_back:
                self._made_job(name, labels)
        if len(alive) > 1:
            self.say("two-jobs", f"{name} is switched by {len(alive)} Jobs at once")

    def _made_job(self, name: str, labels: dict[str, str]) -> None:
        action, attempt = labels[ACTION_LABEL], labels[ATTEMPT_LABEL]
        if self._restores != self.stage.restores:  # attempts count from an older number again
            self._restores = self.stage.restores
            self._made.clear()
        self.jobs += 1
        self.actions.append((trio.current_time(), name, action))
        if action == "startup":
            self._circuits.woken(name)
        self._made[labels.get(UID_LABEL, name), attempt] += 1
        if self._made[labels.get(UID_LABEL, name), attempt] > 1:
            self.say("repeated", f"{name}: attempt {attempt} had a second Job")
        node = self.world.node(name)
        if str(node.status.attempt) != attempt:
            self.say("stale", f"{name}: a {action} Job of attempt {attempt}, stored is {node.status.attempt}")
        phase = phase_of(node.status)
        right = (Phase.POWERING_ON, Phase.BOOTING) if action == "startup" else (Phase.POWERING_OFF,)
        if phase not in right:
            self.say("phase", f"{name}: a {action} Job in {phase}")
        view = self._view(name)
        if view is None or self.core is None:
            return
        if (since := _observed_since(view)) is not None and self.world.now - since > IN_FLIGHT:
            self.say("observed", f"{name}: a {action} Job while its group observes")
        if action == "shutdown":
            self._shutdown(name, node, view)
        else:
            self._startup(name, view)

    def _shutdown(self, name: str, node: Node, view: MachineView) -> None:
        assert self.core is not None
        now, cycled = self.world.now, node.status.remediation.cycling
        if self.core.store.watching_since is None and not self.stage.rivals:
            self.say("blind", f"{name}: a shutdown Job while blind")
        if cycled:  # it is ill and wanted on: whatever ran on it is out of everybody's reach
            if self.world.hardware(name).state is State.UP and not self._out_of_reach(name):
                self.say("cycled", f"{name} is cycled and works")
            return
        left = [*(pod.metadata.name for pod in self._evictable(name)), *self._unreadable(name)]
        if left and not node.status.forced:
            self.say("pods", f"{name}: a shutdown Job while {left} are on it")
        kube = self.world.kube_node(name)
        named = name in (
            view.kube_name,
            declared_name(node),
        )  # nobody acts on a likeness: pods alone keep such a one on
        if kube is not None and named and not kube.spec.unschedulable:
            self.say("open", f"{name}: a shutdown Job while its node takes pods")
        wish = view.wish(now)
        on_its_way = wish is not None and wish.since is not None and now - wish.since < IN_FLIGHT
        if (wish is None or wish.power is not Power.OFF) and not on_its_way:
            self.say("unwished", f"{name}: a shutdown Job, and the wish is {wish and wish.power}")
        clear, asked = self.stage.no_battery_since, wish is not None and wish.by is Asker.UPS
        if asked and clear is not None and trio.current_time() - clear > UNCLEAR:
            self.say("battery", f"{name}: a shutdown Job for a UPS that is not on battery")
        vetoes = {veto.reason for veto in view.off_vetoes(now)}
        if any(rival.life for rival in self.stage.rivals):  # it has just begun, and has not seen what flapped before
            vetoes -= {Reason.SAFE_HANDS}
        if vetoes:
            self.say("veto", f"{name}: a shutdown Job against {sorted(vetoes)}")

    def _out_of_reach(self, name: str) -> bool:
        machine = self.world.hardware(name)
        return machine.partitioned or machine.defects.sensor_lies

    def _startup(self, name: str, view: MachineView) -> None:
        wish, kept_on = view.wish(self.world.now), view.acted_wish(self.world.now) is not Power.OFF
        if wish is not None and wish.since is not None and self.world.now - wish.since < IN_FLIGHT:
            return
        if (
            wish is None or wish.power is not Power.ON
        ) and not kept_on:  # by wake proof: it comes up before it may rest
            self.say("unwished", f"{name}: a startup Job, and the wish is {wish and wish.power}")
        if wish is not None and wish.reason == Reason.PINNED_POD and not self._asks(view):
            self.say("pinned", f"{name}: woken for pods, and nothing says for which, or too often")
        again = view.phase is Phase.BOOTING or view.node.status.wakes > 1  # on its way: it waits for nobody
        found = view.own_on_vetoes(self.world.now) if again else view.on_vetoes(self.world.now)
        vetoes = {veto.reason for veto in found}
        edited = self._edited_at.get(view.group.key.name if view.group is not None else "")
        if self._fell_just_now(view) or (edited is not None and self.world.now - edited < self._in_flight()):
            vetoes -= {Reason.DEPENDS_ON}
        if any(rival.life for rival in self.stage.rivals):  # it has just begun, and hears what the UPS says now
            vetoes -= {Reason.ON_BATTERY}
        if vetoes:
            self.say("veto", f"{name}: a startup Job against {sorted(vetoes)}")

    def _fell_just_now(self, view: MachineView) -> bool:
        """Whether what it depends on was up until this very second: the wake was saved before."""
        others = [self._view(each.key.name) for each in view.ties.before]
        changed = [other.node.status.since for other in others if other is not None and other.phase is Phase.LOST]
        return any(since is not None and self.world.now - since < self._in_flight() for since in changed)

    def _in_flight(self) -> timedelta:
        """How long what was decided is on its way: the wake is saved, the machine looked at, and its Job made."""
        life = self.world.agent.life
        return IN_FLIGHT + timedelta(seconds=4 * life.kube.latency if life is not None else 0)

    def _group(self, event: Any) -> None:
        """A wake that was saved before a group was edited is sent."""
        if event.old is None or event.old.raw.get("spec") != event.stored.raw.get("spec"):
            self._edited_at[event.stored.key[1]] = self.world.now

    def _asks(self, view: MachineView) -> bool:
        """A machine that is woken for pods says for which, and how often."""
        known = woken_for(view.node).values()
        return bool(known) and all(each.wakes <= MOST_WAKES for each in known)

    def _evictable(self, node: str) -> list[Pod]:
        found = (stored.decoded(PODS) for stored in self._pods.on(node))
        return [pod for pod in found if isinstance(pod, Pod) and not stays(pod)]

    def _unreadable(self, node: str) -> list[str]:
        """Pods that do not decode count as pods."""
        found = (stored for stored in self._pods.on(node) if not isinstance(stored.decoded(PODS), Pod))
        return [stored.key[1] for stored in found if not finished(stored.raw) and not comes_with_the_node(stored.raw)]

    def _view(self, name: str) -> MachineView | None:
        return self.core.views.machine(Lookup(NAMESPACE, name)) if self.core is not None else None

    # --- at every change of a Kubernetes node -------------------------------------------------

    def _kube_node(self, event: Any) -> None:
        name = event.stored.key[1]
        if self.stage.puts_back:
            return
        machine = self.world.site.machines.get(name)
        if machine is not None and event.type is not ChangeType.DELETED:
            self._tainted(name, machine, event)
        if machine is None or event.type is not ChangeType.DELETED:
            return
        if name in self.stage.deleted:
            self.stage.deleted.discard(name)
            return
        cut_off = machine.partitioned and not self._reads(name)
        if machine.state is State.UP and not cut_off and not machine.defects.sensor_lies:
            self.say("node-deleted", f"{name}: its node was deleted while it runs")

    def _tainted(self, name: str, machine: MemoryMachine, event: Any) -> None:
        """Pods and volumes of a machine that runs are not given to others, unless a sensor lies while its network is away."""
        before, now = (_marks(stored) for stored in (event.old, event.stored))
        misled = machine.partitioned and machine.defects.sensor_lies
        if now and not before and machine.state is State.UP and not misled:
            self.say("tainted", f"{name}: its node is taken out of service while it runs")

    def _reads(self, name: str) -> bool:
        box = self._box(name)
        return box.sensor or box.metered or box.power == "bmc"

    def _box(self, name: str) -> Box:
        return next(box for box in self.stage.script.boxes if box.name == name)

    def _failures(self) -> list[Any]:
        """Calls that failed lately."""
        lines = self.world.journal.lines
        return [lines[-number] for number in range(1, min(len(lines), 50) + 1) if "put off" in lines[-number].message]

    # --- every minute -------------------------------------------------------------------------

    def look(self) -> None:
        """What must be so at any time, a while given."""
        now, core = self.world.now, self.core
        if self._stepped(now):
            self._blind_at = now
        if core is None or core.store.watching_since is None or any(rival.life for rival in self.stage.rivals):
            self._blind_at = now
            return
        if any(line.at >= now - timedelta(seconds=LOOKS) for line in self._failures()):
            self._blind_at = now
        self._blind_at = max(self._blind_at, core.store.watching_since)
        for box in self.stage.script.boxes:
            self._look_at(box.name, now)
        for group in self.stage.script.groups:
            self._size(core, group, now)
            self._schedule(core, group, now)
            self._order(core, group, now)

    def _stepped(self, now: datetime) -> bool:
        """Whether somebody set the clock since the last look."""
        then, at = self._clocks
        self._clocks = now, trio.current_time()
        return abs(now - then - timedelta(seconds=trio.current_time() - at)) > timedelta(seconds=5)

    def _look_at(self, name: str, now: datetime) -> None:
        view = self._view(name)
        if view is None or view.leaving or not view.valid:  # not known, given up, or only watched
            self._paused_at[name] = now
            return
        if view.node.spec.paused is not None and (view.node.spec.paused.until or now) >= now:
            self._paused_at[name] = now
        self._account(name, view)
        status, phase = view.node.status, view.phase
        if view.observing or view.to_be_seen_anew:  # nobody opens its node, or follows what is wanted of it
            self._paused_at[name] = now
            self._touches_nothing(name, view, now)
            return
        since = status.since or now
        calm = now - max(since, self._blind_at, self._paused_at.get(name, since))
        if phase in LIMITS and calm > self._longest(view) + SLACK:
            self.say("overdue", f"{name} is in {phase} for {calm}")
        kube = self.world.kube_node(name)
        if phase is Phase.READY and calm > SLACK and view.node_ready and kube is not None:
            if not status.welcomed:
                self.say("unwelcome", f"{name} is Ready since {since} and was not welcomed")
            elif CORDON_ANNOTATION in kube.metadata.annotations:
                self.say("cordoned", f"{name} is Ready since {since} and cordoned by hexa")

    def _longest(self, view: MachineView) -> timedelta:
        """How long the phase may last; a drain that waits for a boot, as long as that."""
        limit: timedelta = getattr(view.limits, LIMITS[view.phase])
        before = [Phase(entry.action) for entry in view.node.status.history[-2:-1]]
        return max(limit, view.limits.boot) if view.phase is Phase.DRAINING and set(before) <= COMING else limit

    def _account(self, name: str, view: MachineView) -> None:
        """No time is counted twice, and no energy that was never drawn."""
        node, longest = view.node, self._leaps.longest()
        account, drawn = node.status.energy, node.spec.energy
        counted = account.on_seconds + account.off_seconds
        if counted > longest:
            self.say("account", f"{name}: {counted:.0f} s are counted of {longest:.0f} s")
        by_day = sum(each.on_seconds + each.off_seconds for each in account.days.values())
        if by_day > counted + 1:
            self.say("account", f"{name}: days have {by_day:.0f} s of {counted:.0f} s")
        most = (
            float(drawn.idle_watts or 0) * longest / 3_600_000
            + account.boots * float(drawn.boot_watt_hours or 0) / 1000
        )
        if account.kwh - account.measured > most + 1e-6:
            self.say("account", f"{name}: {account.kwh - account.measured} kWh are computed of {most}")
        if account.measured > self.world.hardware(name).meter.kwh + 1e-6:
            self.say("account", f"{name}: {account.measured} kWh are measured, and fewer were drawn")

    def _touches_nothing(self, name: str, view: MachineView, now: datetime) -> None:
        """What hexa had put on its node is gone, a while given."""
        kube, since = self.world.kube_node(name), _observed_since(view)
        if kube is None or since is None or now - max(since, self._blind_at) < SLACK or self.stage.restores:
            return
        if any(mark in kube.metadata.annotations for mark in MARKS):
            self.say("observed", f"{name}: marks of hexa are on its node while its group observes")

    def _size(self, core: Core, group: str, now: datetime) -> None:
        """Never more than the greatest size, but for what people or buttons switched on. A group that was given up keeps none."""
        view = core.views.group(Lookup(NAMESPACE, group))
        if view is None or view.policy.max_size is None or view.released:
            self._over_since.pop(group, None)
            return
        members = core.views.judged(view.key, now)
        asked = [m for m in members if m.wish is not None and m.wish.by is not Asker.USER and not overrules(m.wish)]
        counted = [m for m in asked if counts(m)]
        able = [m for m in counted if not m.off_vetoes and m.phase is not Phase.UNKNOWN]
        over = len(counted) > view.policy.max_size and len(able) > 0
        since = self._over_since.setdefault(group, now) if over else None
        if since is None:
            self._over_since.pop(group, None)
        elif now - max(since, self._blind_at) > SLACK:
            names = [m.key.name for m in counted]
            self.say("max", f"{group}: {names} are wanted, maxSize is {view.policy.max_size}")

    def _schedule(self, core: Core, group: str, now: datetime) -> None:
        """Where a schedule raises minSize, who may be woken is asked; and what is told of the next change is to come."""
        view = core.views.group(Lookup(NAMESPACE, group))
        if view is None or not view.policy.schedules or not view.valid or view.released:
            self._short_since.pop(group, None)
            return
        missing = [member.key.name for member in to_wake(view.policy, core.views.judged(view.key, now))]
        since = self._short_since.setdefault(group, now) if missing and view.policy.by else None
        calm = now - max(since or now, self._blind_at)
        if since is None:
            self._short_since.pop(group, None)
        elif calm > SLACK:
            self.say("schedule", f"{group}: minSize is {view.policy.min_size} for {calm}, and {missing} are not asked")
        told = self.world.group(group).status.next_schedule_change
        for machine in core.views.members(view.key):
            said, wish, key = machine.node.status.wish, machine.wish(now), f"{group} {machine.key.name}"
            over = said is not None and said.by is Asker.SCHEDULE and (wish is None or wish.by is not Asker.SCHEDULE)
            if not over or not machine.valid or machine.leaving:
                self._short_since.pop(key, None)
            elif now - max(self._short_since.setdefault(key, now), self._blind_at) > SLACK:
                self.say("schedule", f"{machine.key.name}: a wish of a schedule outlives its window")
        if told is not None and now - max(told.at, self._blind_at) > SLACK:
            self.say("schedule", f"{group}: the next change is told for {told.at:%H:%M}")

    def _order(self, core: Core, group: str, now: datetime) -> None:
        """Who would be woken first is the last to rest, by the same figures, where nothing but the order of the group decides."""
        view = core.views.group(Lookup(NAMESPACE, group))
        if view is None or not view.policy.order:
            return
        members = core.views.judged(view.key, now)
        alike = [member for member in members if member.valid and member.phase is Phase.OFF and not member.replaced]
        wake, rest = ([m.key.name for m in sorted(alike, key=by)] for by in (standing_rank, rest_rank))
        late = [m for m in alike if goes_first(m)]
        if not late and wake != rest[::-1]:
            self.say("order", f"{group} wakes {wake} and rests {rest}")
        odd = [
            m.key.name
            for m in alike
            if [key for key, _ in m.standing[: len(view.policy.order)]] != [*view.policy.order]
        ]
        if odd:
            self.say("order", f"{group}: {odd} stand by another order than {view.policy.order}")

    # --- after the run ------------------------------------------------------------------------

    def begin_quiet(self) -> None:
        """From now on nothing is done to the site. (Times of log lines are no measure: somebody may have set the clock.)"""
        lines = self.world.journal.lines
        self._calm = trio.current_time(), lines[-1] if lines else None

    def _late_lines(self) -> Iterator[Line]:
        """What was logged since."""
        return takewhile(lambda line: line is not self._calm[1], reversed(self.world.journal.lines))

    def at_end(self) -> None:
        """Everything was mended long ago; for the last while, since `begin_quiet`, nothing was done to the site."""
        site = self.world.site.report()
        if site.pods_killed and not self._forced and not self.stage.restores:
            self.say("killed", f"{site.pods_killed} pods were on machines that were switched off by order")
        if self.core is None:
            self.say("dead", "hexa did not come back")
            return
        if self.core.views.safe_hands is not None:
            self.say("doubt", f"the site is in doubt for ever: {self.core.views.safe_hands.text}")
        self._leftovers()
        for box in self.stage.script.boxes:
            self._arrived(box.name)
            self._restless(box.name)
        self._stranded()
        self._switching.at_end(self.core)

    def _leftovers(self) -> None:
        for stored in self.world.site.api.find(JOBS):
            labels = stored.raw["metadata"].get("labels", {})
            old = self.world.now - _time(stored.raw["metadata"]["creationTimestamp"]) > timedelta(minutes=15)
            if MACHINE_LABEL in labels and old:
                self.say("leftover", f"Job {stored.key[1]} is still there")
        late = {id(line) for line in self._late_lines()}
        for line in self.world.journal.lines:
            if "put off" in line.message and (id(line) in late or line.fields["reason"] not in ODD):
                self.say("error", f"{line.message}: {line.fields['error']}")
        for line in self.world.journal.lines:
            if line.message == "contained":
                self.say("contained", f"{line.fields['object']}: {line.fields['error']}\n{line.fields['traceback']}")
            if line.message == "news not told":
                self.say("told", f"{line.fields['error']}\n{line.fields['traceback']}")
            if line.message == "watch failed" and id(line) in late:
                self.say("watch", f"a watch fails: {line.fields['error']}")

    def _arrived(self, name: str) -> None:
        """The wish is followed, or it is told why not."""
        view = self._view(name)
        if view is None:
            self.say("unseen", f"{name} is not known to hexa")
            return
        now, machine, phase = self.world.now, self.world.hardware(name), view.phase
        if view.leaving or (view.node.spec.paused is not None and (view.node.spec.paused.until or now) >= now):
            return
        self._true(name, machine, phase)
        wish, stored = view.wish(now), view.node.status.wish
        if stored is not None and overrules(stored) and (wish is None or wish.by is not stored.by):
            self.say("outlived", f"{name}: {stored.by} wants it {stored.power} by its status, and nobody does")
        if wish is None:
            return
        told = {c.type for c in view.node.status.conditions if c.status == "True"} & TELLS
        on = wish.power is Power.ON
        late = phase is not (Phase.READY if on else Phase.OFF) and (not told or (on and phase is Phase.OFF))
        waits = self._waits_for_others(view, now) or self._waits_for_watts(view, now)
        if late and not self._on_its_way(view, now) and not waits:
            self.say("wish", f"{name} is wanted {wish.power} by {wish.by} ({wish.reason}) and in {phase}")

    def _waits_for_others(self, view: MachineView, now: datetime) -> bool:
        """It says that it waits for what it depends on: that cannot come, or is wanted on, and is looked at for itself."""
        told = any(c.type == Reason.DEPENDS_ON and c.status == "True" for c in view.node.status.conditions)
        if not told or view.phase is not Phase.OFF:
            return False
        others = [self._view(name) for name in waits_for(view.ties)]
        wishes = [other.wish(now) for other in others if other is not None]
        vetoed = any(veto.reason == Reason.DEPENDS_ON for veto in view.on_vetoes(now))
        return vetoed or any(wish is not None and wish.power is Power.ON for wish in wishes)

    def _waits_for_watts(self, view: MachineView, now: datetime) -> bool:
        """It says that its circuit is full, and so it is."""
        told = any(c.type == Reason.CIRCUIT_FULL and c.status == "True" for c in view.node.status.conditions)
        vetoes = (*view.on_vetoes(now), *view.put_off(now))
        return told and any(veto.reason == Reason.CIRCUIT_FULL for veto in vetoes)

    def _on_its_way(self, view: MachineView, now: datetime) -> bool:
        since = view.node.status.since or now
        recent = view.wish(now)
        asked = recent.since if recent is not None and recent.since is not None else since
        return now - max(since, asked) < timedelta(minutes=15)

    def _true(self, name: str, machine: MemoryMachine, phase: Phase) -> None:
        quiet = self._box(name).sensor  # nobody asks it while nothing is expected
        quiet = quiet or (
            self.stage.restores > 0 and self.world.kube_node(name) is None
        )  # a kubelet registers once a boot
        if phase is Phase.OFF and machine.power and machine.state is not State.BOOTING and not quiet:
            self.say("untrue", f"{name} is on ({machine.state}), and hexa says Off")
        node = self.world.kube_node(name)
        if machine.state is State.UP and node is not None and OUT_OF_SERVICE_ANNOTATION in node.metadata.annotations:
            self.say("tainted", f"{name} is up, and its node is out of service")
        if phase is Phase.READY and machine.state is not State.UP:
            self.say("untrue", f"{name} is {machine.state}, and hexa says Ready")
        node = self.world.kube_node(name)
        if machine.state is State.UP and phase is Phase.READY and node is not None:
            ours = CORDON_ANNOTATION in node.metadata.annotations
            since = self.world.node(name).status.since or self.world.now
            if node.spec.unschedulable and self.world.now - since > SLACK and not self._drained_by_autoscaler(name):
                self.say("cordoned", f"{name} is Ready and cordoned, by hexa: {ours}")
            if (said := lifecycle_conditions(node)) and self.world.now - since > SLACK:
                self.say("condition", f"{name} is Ready, and its node still says {', '.join(said)}")

    def _drained_by_autoscaler(self, name: str) -> bool:
        node = self.world.kube_node(name)
        return node is not None and any(taint.key.endswith("ByClusterAutoscaler") for taint in node.spec.taints)

    def _restless(self, name: str) -> None:
        """With all at rest nothing is switched to and fro."""
        wish = recorded_wish(self.world.node(name))
        if wish is not None and wish.reason in (Reason.EXERCISE, Reason.EXERCISED):
            return
        acts = [action for at, machine, action in self.actions if machine == name and at > self._calm[0]]
        if acts.count("startup") > 4 or acts.count("shutdown") > 4:
            self.say("restless", f"{name} was switched {len(acts)} times with nothing the matter: {acts}")

    def _stranded(self) -> None:
        """No pod waits that a machine could take which is off and may be woken."""
        core, now = self.core, self.world.now
        assert core is not None
        pending = [pod for pod in self.world.pods(phase="Pending") if pod.metadata.namespace == "default"]
        waiting = [pod for pod in pending if not pod.spec.node_name]  # one that is bound waits for its own machine
        for group in self.stage.script.groups:
            view = core.views.group(Lookup(NAMESPACE, group))
            if view is None or not view.valid:
                continue
            members = core.views.judged(view.key, now)
            limit = self._limit(view, now)
            if limit is not None and sum(map(counts, members)) >= limit:
                continue
            able = [m for m in members if m.phase is Phase.OFF and not m.wanted and not m.on_vetoes and m.valid]
            able = [m for m in able if not any(place.full for place in m.places) and not self._kept_down(m.key.name)]
            if limit is not None:  # what it depends on needs places too
                room = limit - sum(map(counts, members))
                away = {m.key.name for m in members if not counts(m)}
                able = [m for m in able if len(away & {m.key.name, *self._needs(m.key.name)}) <= room]
            for member in able:
                box = next(box for box in self.stage.script.boxes if box.name == member.key.name)
                fits = [
                    p for p in waiting if _cpu(p) <= float(box.cpu) and self._old(p, now) and self._may(p, view, box)
                ]
                if fits:
                    name = fits[0].metadata.name
                    self.say("stranded", f"{name} waits, and {box.name} is off and could take it")

    def _needs(self, name: str) -> set[str]:
        """All machines that it depends on, also by others."""
        waiting, seen = list(self._box(name).depends), set[str]()
        while waiting:
            if (other := waiting.pop()) not in seen:
                seen.add(other)
                waiting += self._box(other).depends
        return seen

    def _limit(self, view: GroupView, now: datetime) -> int | None:
        """The lowest maxSize of the last minutes: what a schedule gives back this moment nobody has asked for yet."""
        spans = (timedelta(0), SLACK, 3 * SLACK)
        sizes = [policy_at(view.policy, now=now - span, lead=timedelta(0))[0].max_size for span in spans]
        return min((size for size in sizes if size is not None), default=None)

    def _kept_down(self, name: str) -> bool:
        """Whether a machine that it depends on has no watts, or may not be woken."""
        for view in filter(None, map(self._view, self._needs(name))):
            if view.phase is Phase.OFF and (view.on_vetoes(self.world.now) or any(place.full for place in view.places)):
                return True
        return False

    def _may(self, pod: Pod, group: GroupView, box: Box) -> bool:
        """Whether somebody would wake the machine for the pod: for one that names it its group must say so, and for a pod it is
        woken twice."""
        name = pod.spec.node_selector.get(HOSTNAME_LABEL)
        if name is None:
            return True
        known = woken_for(self.world.node(box.name)).get(pod.metadata.uid)
        return name == box.name and group.policy.wake_for_pinned and (known is None or known.wakes < MOST_WAKES)

    def _old(self, pod: Pod, now: datetime) -> bool:
        created = pod.metadata.creation_timestamp
        return created is not None and now - created > timedelta(minutes=20)


def _observed_since(view: MachineView) -> datetime | None:
    """None: its group does not only observe, or the machine does not know yet."""
    receipt = view.node.status.receipt
    return receipt.since if view.observing and receipt is not None and receipt.until is None else None


TELLS = frozenset({"Blocked", "Failed", "PowerJobFailed", "PowerJobWaiting", "PowerOnUnavailable", "Invalid", "Lost"})
"""Conditions that say why a wish is not followed."""


def _marks(stored: Any) -> bool:
    """Whether hexa has taken the node out of service."""
    return stored is not None and OUT_OF_SERVICE_ANNOTATION in (stored.raw["metadata"].get("annotations") or {})


def _cpu(pod: Pod) -> float:
    return float(sum(parse_quantity(c.resources.requests.get("cpu", "0")) for c in pod.spec.containers))


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))
