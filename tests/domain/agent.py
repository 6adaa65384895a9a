"""An agent that brings a site's machines along as hexa does: `decide` says what is to be done with a machine, `decide_group` with
their group, and the agent answers looks from the site, carries the decision out, and rests for as long as it is told to.

It keeps nothing but what it watched; all else is stored, so that it may be killed after any write. What hexa by itself must
never do to a group is checked at each of its acts.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from operator import is_
from typing import TYPE_CHECKING, Any, Final, assert_never

from msgspec import UNSET, Struct, structs
from tests.domain.builders import at
from tests.domain.views import Views

from hexa.domain.decide.decision import (
    Act,
    Decision,
    Edit,
    EndJobs,
    Evict,
    Look,
    Looked,
    MakeRoom,
    OnNode,
    Rest,
    Save,
    Start,
    Sweep,
    Want,
    Welcome,
)
from hexa.domain.decide.group import decide_group
from hexa.domain.decide.group_decision import (
    NOTHING_DONE,
    Ask,
    Done,
    GiveWay,
    GroupDecision,
    GroupObserved,
    GroupRest,
    Replaced,
)
from hexa.domain.decide.machine import decide
from hexa.domain.decide.observed import NOTHING_READ, Observed, OrderSeen, Read, Swept, outdated
from hexa.domain.decide.scale import Answer, Refusal, Scaling, delete, increase
from hexa.domain.group.sizing import Member, target
from hexa.domain.machine.boot import NONE, on_their_way
from hexa.domain.machine.lifecycle import Phase, phase_of
from hexa.domain.machine.power_job import Outcome, current, running
from hexa.domain.machine.reason import Reason
from hexa.domain.machine.trust import LEASE_PERIOD, READ_APART, Sample
from hexa.domain.machine.wish import recorded_wish
from hexa.domain.machine_view import MachineView
from hexa.domain.resources.v1alpha1 import JobRecord, Lookup, Node, Reading, WishRecord
from hexa.domain.rules.power_cycle import Site as Around

if TYPE_CHECKING:
    from tests.domain.site import Site

NEVER: Final = (None,) * 4
STEPS_AT_ONCE: Final = 40
"""Decisions about one machine, or the group, in a row; more than that, and it would never come to rest."""
NO_REPORTS: Final = timedelta(days=1000)


class Crash(Exception):
    """The agent was killed."""


class Known(Struct):
    """What was read and done since the machine was last written."""

    node: Node | None = None
    read: Read = NOTHING_READ


class Agent:
    """Carries decisions out. What it remembers is what it watched."""

    def __init__(self, site: "Site") -> None:
        self.site, self.views = site, Views(site)
        self.blind = False
        self.born = self.watching_since = site.now
        self.spells: list[tuple[float, float | None]] = []
        self.heard: dict[str, float] = {}
        self.due: dict[str, float] = {}
        """When a machine is looked at again."""
        self.late: dict[str, float] = {}
        """When it is looked at if its kubelet was not heard by then."""
        self._renewals = self._leases()
        self._first_seen: dict[str, datetime] = {}
        self._renewed: dict[str, int] = {}
        self._asked: dict[tuple[str, Phase], set[Looked]] = {}
        """What decisions asked for; read beforehand the next time, it costs no second decision."""
        self._rested: dict[str, tuple[Any, ...]] = {}
        self._tended: list[Member] | None = None
        self._group_due: datetime | None = None

    # --- sight ---

    def goes_blind(self) -> None:
        """The API server is in doubt."""
        if not self.blind:
            self.blind = True
            self.spells.append((self.site.now, None))

    def sees(self) -> None:
        """It is back."""
        if self.blind:
            self.blind, self.watching_since, self._renewals = False, self.site.now, self._leases()
            self.spells[-1] = (self.spells[-1][0], self.site.now)

    def hears(self, name: str, beat: float) -> bool:
        """A lease was renewed; whether that is news (machines at rest are not looked at for each renewal)."""
        if self.blind:
            return False
        self.heard[name], self._renewals[name] = beat, str(beat)
        return phase_of(self.site.nodes[name].status) is not Phase.READY

    def _leases(self) -> dict[str, str]:
        """What each Lease says of its last renewal."""
        last = {name: box.last_beat for name, box in self.site.boxes.items()}
        return {name: NONE if beat is None else str(beat) for name, beat in last.items()}

    def blind_seconds(self, since: datetime) -> float:
        """How long we were blind since then."""
        begin, now = (since - at(0)).total_seconds(), self.site.now
        return sum(max(0.0, (now if end is None else end) - max(start, begin)) for start, end in self.spells)

    # --- when ---

    def next_look(self) -> Iterator[float]:
        """When time alone makes it look at a machine, or at the group."""
        yield from self.due.values()
        yield from self.late.values()
        if self._group_due is not None:
            yield (self._group_due - at(0)).total_seconds()

    def called(self) -> set[str]:
        """Machines to be looked at now. A watch over a lease that was renewed in time is put off."""
        now = self.site.now
        for name in [name for name, when in self.late.items() if when <= now]:
            self.late[name] = self.heard.get(name, now) + LEASE_PERIOD.total_seconds()
            if self.late[name] <= now or name not in self.heard:
                del self.late[name]
                self.due[name] = now
        return {name for name, when in self.due.items() if when <= now}

    def look_at(self, names: Iterable[str]) -> None:
        """Bring these machines as far as they come now, then the group, then whichever machine that has changed."""
        for _ in range(STEPS_AT_ONCE):
            for name in sorted(names):
                self.reconcile(name)
            self.tend_group()
            names = self.changed()
            if not names:
                return
        raise AssertionError(f"the group does not come to rest: {names}")

    def changed(self) -> list[str]:
        """Machines that are not as they were when they came to rest."""
        return [name for name in self.site.nodes if not all(map(is_, self._shown(name), self._rested.get(name, NEVER)))]

    def _shown(self, name: str) -> tuple[Any, ...]:
        """All that a decision depends on, but for what goes on inside a machine, and time."""
        box = self.site.boxes[name]
        return self.views.of(name), box.sensor and box.power, self.blind, self.watching_since

    # --- one machine ---

    def reconcile(self, name: str) -> None:
        """As far as it comes now."""
        known = Known()
        for _ in range(STEPS_AT_ONCE):
            machine = self.views.of(name)
            if machine.node is not known.node:
                known.node, known.read = machine.node, NOTHING_READ
            known.read = self._beforehand(name, machine, known.read)
            observed = self._observe(name, machine, known.read)
            decision = decide(machine, observed)
            if isinstance(decision, Rest):
                self._rest(name, decision)
                return
            known.read = self._carry_out(name, machine, observed, decision)
        raise AssertionError(f"{name} does not come to rest: {self.site.nodes[name].status.history}")

    def _rest(self, name: str, rest: Rest) -> None:
        self._rested[name] = self._shown(name)
        for when, moments in ((rest.until, self.due), (rest.lease, self.late)):
            moments.pop(name, None)
            if when is not None:
                assert when > at(self.site.now), "a look at a moment that has passed"
                moments[name] = (when - at(0)).total_seconds()

    def _beforehand(self, name: str, machine: MachineView, read: Read) -> Read:
        asked = [looked for looked in self._asked.get((name, machine.phase), ()) if getattr(read, looked) is UNSET]
        return structs.replace(read, **{each: self._look(each, name, machine) for each in asked}) if asked else read

    def _observe(self, name: str, machine: MachineView, read: Read) -> Observed:
        """What the site shows, and what this life of the agent has watched."""
        site, box, now, status = self.site, self.site.boxes[name], at(self.site.now), machine.node.status
        seeing, heard = None if self.blind else at(self.watching_since), self.heard.get(name)
        jobs, record = site.jobs_of(name), current(status)
        power = Reading.ON if box.power else Reading.OFF
        return Observed(
            now=now,
            born=at(self.born),
            first_seen=now if status.phase else self._first_seen.setdefault(name, now),
            seeing_since=seeing,
            hearing_since=seeing,
            blind_seconds=self.blind_seconds(status.since) if self.spells and status.since else 0.0,
            heard=None if heard is None else at(heard),
            heard_until=None if heard is None else at(heard) + LEASE_PERIOD,
            renewal=self._renewals[name],
            reading=Sample(power=power, source="pdu", at=now, first=now - READ_APART) if box.sensor else None,
            recorded=recorded_wish(machine.node),
            renewed=self._renewed.get(name) == status.attempt,
            job_over=record is not None
            and running(status)
            and all(job.outcome != Outcome.RUNNING for job in jobs if job.name == record.name),
            stops=machine.phase is Phase.POWERING_OFF and any(job.attempt == status.attempt for job in jobs),
            jobs=frozenset(job.name for job in jobs),
            read=read,
        )

    def _look(self, looked: Looked, name: str, machine: MachineView) -> Any:
        match looked:
            case Looked.JOB:
                return self._job_as_it_stands(name, machine)
            case Looked.ORDER:
                return OrderSeen(able=True)
            case Looked.PLAN:
                return self.site.boxes[name].plan()
            case Looked.MEMBERS:
                return tuple(self.members())
            case Looked.SITE:
                lease, others = LEASE_PERIOD.total_seconds(), self.site.nodes.keys() - {name}
                alive = sum(self.site.now < self.heard[each] + lease for each in others & self.heard.keys())
                lost = sum(phase_of(self.site.nodes[each].status) is Phase.LOST for each in others)
                return Around(heard=1 + alive, lost=lost)  # a control plane is always there
            case Looked.UNCLAIMED:
                return ()
            case Looked.WOKEN:
                return on_their_way(node.status for each, node in self.site.nodes.items() if each != name)
            case Looked.NAME | Looked.STUCK | Looked.LOAD | Looked.PRICE | Looked.PRICES:
                raise AssertionError(f"the site has nothing of the kind: {looked}")
            case _:
                assert_never(looked)

    def _job_as_it_stands(self, name: str, machine: MachineView) -> JobRecord | None:
        record = current(machine.node.status)
        if record is None:
            return None
        outcome = next((job.outcome for job in self.site.jobs_of(name) if job.name == record.name), Outcome.FAILED)
        return structs.replace(record, outcome=outcome)

    def _carry_out(self, name: str, machine: MachineView, observed: Observed, decision: Decision) -> Read:
        """What is known after it. Locks are not needed: nobody else writes between a decision and its act."""
        site, read = self.site, observed.read
        match decision:
            case Look(looked):
                self._asked.setdefault((name, machine.phase), set()).add(looked)
                return structs.replace(read, **{str(looked): self._look(looked, name, machine)})
            case Save(status):
                site.save(name, status)
                if decision.renewed:
                    self._renewed[name] = status.attempt
                return read
            case Want(wish, beside):
                site.record(name, wish, beside)
                return read
            case Edit(body):
                site.patch(name, body)
                return read
            case Rest():
                return read
            case _:
                return outdated(self._act(name, machine, read, decision))

    def _act(self, name: str, machine: MachineView, read: Read, act: Act) -> Read:
        site = self.site
        match act:
            case Start(action):
                job = site.start_job(name, action.value, machine.node.status.attempt)
                site.wrote()
                record = JobRecord(name=job.name, action=job.action, attempt=job.attempt, outcome=job.outcome)
                return structs.replace(_done(read, act), started=record)
            case EndJobs(keep):
                site.end_jobs(name, keep=keep)
                return structs.replace(_done(read, act), ended=True)
            case Evict():
                return structs.replace(read, evicted=site.evict(name))
            case Welcome(ready_since):
                assert machine.kube is not None
                site.welcome(machine, ready_since)
                return structs.replace(read, welcomed=machine.kube.metadata.uid)
            case Sweep(boot):
                return structs.replace(read, swept=Swept(site.sweep(name, boot)))
            case OnNode(touch):
                site.touch(name, touch)
                return structs.replace(read, done=read.done | {touch})
            case MakeRoom():
                raise AssertionError("nobody asked for room")
            case _:
                assert_never(act)

    # --- the group ---

    def members(self) -> list[Member]:
        """The machines as sizing sees them."""
        return self.views.members()

    def tend_group(self) -> None:
        """What `decide_group` says, until it rests. What was found to be in order is not gone through again while no machine of it
        has changed, and it is not due."""
        if self.members() is self._tended and not self.group_is_due():
            return
        done = NOTHING_DONE
        for _ in range(STEPS_AT_ONCE):
            decision = decide_group(self.site.group, self._observe_group(done))
            if isinstance(decision, GroupRest):
                self._tended, self._group_due = self.members(), decision.until
                assert self._group_due is None or not self.group_is_due(), "a look at a moment that has passed"
                return
            done = self._carry_out_for_group(decision, done)
        raise AssertionError("the group does not come to rest")

    def group_is_due(self) -> bool:
        """Whether time alone makes it look at the group now."""
        return self._group_due is not None and self._group_due <= at(self.site.now)

    def _observe_group(self, done: Done) -> GroupObserved:
        """Nobody reads reports of this group."""
        site = self.site
        return GroupObserved(
            now=at(site.now),
            born=at(self.born),
            seeing=not self.blind,
            stored=site.group.group,
            members=tuple(self.members()),
            machines=tuple(self.views.of(name) for name in sorted(site.nodes)),
            nodes=dict(site.nodes),
            report_in=NO_REPORTS,
            done=done,
        )

    def _carry_out_for_group(self, decision: GroupDecision, done: Done) -> Done:
        """What was read and done after it."""
        match decision:
            case Ask(wishes, _, pairs):
                self._ask(dict(wishes))
                return structs.replace(done, asked=(*done.asked, *pairs))
            case GiveWay(replaced, pairs):
                for each in replaced:
                    self._give_way(each)
                return structs.replace(done, gave_way=(*done.gave_way, *pairs))
            case _:
                raise AssertionError(f"the site has no reason for it: {decision}")

    def _ask(self, wishes: dict[Lookup, WishRecord]) -> None:
        """In one write. The limits are checked."""
        (reason,), before = {wish.reason for wish in wishes.values()}, target(self.members())
        self.site.ask({key.name: wish for key, wish in wishes.items()})
        after, least, most = target(self.members()), self.site.policy.min_size, self.site.policy.max_size
        match reason:
            case Reason.TAKES_PLACE:
                assert after == before + len(wishes)
                assert most is None or after <= most, "a replacement above the maximum"
            case Reason.HEDGE:
                assert after == before, "a hedge changed the target"
                assert most is None or after <= most, "a hedge above the maximum"
            case Reason.MIN_SIZE:
                assert before < after <= least, "filled above the minimum"
            case Reason.MAX_SIZE:
                assert after >= min(before, least), "rested below the minimum"
            case _:
                assert reason == Reason.REPLACED, f"nobody asked for it: {reason}"

    def _give_way(self, replaced: Replaced) -> None:
        """Status first, then the wish."""
        before, name = target(self.members()), replaced.key.name
        if replaced.status is not None:
            self.site.save(name, replaced.status)
        if replaced.wish is not None:
            self.site.record(name, replaced.wish)
        else:
            assert target(self.members()) == before, "the mark of a hedge changed the target"

    # --- Cluster Autoscaler ---

    def increase(self, delta: int) -> bool:
        """IncreaseSize: all or nothing."""
        before, most = target(self.members()), self.site.policy.max_size
        if not self._grant(increase(self._scaling(), delta)):
            return False
        assert target(self.members()) == before + delta
        assert most is None or before + delta <= most, "a scale-up above the maximum"
        return True

    def delete(self, name: str) -> bool:
        """DeleteNodes of one node."""
        return self._grant(delete(self._scaling(), [self.views.of(name)]))

    def _scaling(self) -> Scaling:
        return Scaling(group=self.site.group, members=self.members(), now=at(self.site.now))

    def _grant(self, answer: Answer) -> bool:
        """Store what is granted, in one write."""
        if self.blind or isinstance(answer, Refusal):
            return False
        granted = list(answer.wishes.items())[: answer.count]
        self.site.ask({key.name: wish for key, wish in granted})
        return True


def _done(read: Read, act: Start | EndJobs) -> Read:
    return structs.replace(read, done=read.done | {type(act).__name__})
