"""An agent that brings a site's machines along by the domain's functions alone.

It keeps nothing but what it watched; all else is stored, so that it may be killed after any write. What hexa by itself must
never do to a group is checked at each of its acts.
"""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from operator import is_
from typing import TYPE_CHECKING, Any, Final

from msgspec import structs
from tests.domain.builders import at

from hexa.domain.group.sizing import (
    Member,
    begun_replacements,
    candidates,
    half_replaced,
    max_size,
    replacements,
    target,
    to_rest,
    to_wake,
)
from hexa.domain.machine.acts import may_cycle, may_leave, silent, wake_again
from hexa.domain.machine.dues import next_due
from hexa.domain.machine.facts import LEASE_PERIOD, Facts
from hexa.domain.machine.lifecycle import (
    DUTIES,
    ILL,
    Duty,
    Event,
    Phase,
    enter,
    phase_of,
    send_wake,
    step,
    trying_since,
)
from hexa.domain.machine.reason import Reason, Veto
from hexa.domain.machine.sensing import sense
from hexa.domain.machine.trust import READ_APART, Sample
from hexa.domain.machine.wish import base_wish, corrected_wish, effective_wish, held, paused, recorded_wish
from hexa.domain.resources.v1alpha1 import (
    Asker,
    JobRecord,
    Lookup,
    Node,
    NodeStatus,
    Power,
    Reading,
    WishRecord,
)
from hexa.domain.rules.acted import acted_power
from hexa.domain.rules.hedge import begun_hedges, next_hedge, with_takers
from hexa.domain.rules.judge import forbidden
from hexa.domain.rules.own import off_vetoes, on_vetoes
from hexa.domain.rules.power_cycle import Patient, verdict
from hexa.domain.rules.power_cycle import Site as Around
from hexa.domain.rules.proof import Claim, claim_of, proof_vetoes, slot_of, tried_at, unproven

if TYPE_CHECKING:
    from tests.domain.site import Box, Site

LOOK: Final = 2.0
"""Seconds between looks at pods that go."""
ILL_LOOK: Final = 15.0
"""The same at a machine that is ill."""


class Crash(Exception):
    """The agent was killed."""


class Agent:
    """Decides by the domain. What it remembers is what it watched."""

    def __init__(self, site: "Site") -> None:
        self.site = site
        self.blind = False
        self.watching_since = site.now
        self.spells: list[tuple[float, float | None]] = []
        self.heard: dict[str, float] = {}
        self.due: dict[str, float] = {}
        self._known: dict[str, tuple[tuple[Any, ...], Any]] = {}

    # --- sight ---

    def goes_blind(self) -> None:
        """The API server is in doubt."""
        if not self.blind:
            self.blind = True
            self.spells.append((self.site.now, None))

    def sees(self) -> None:
        """It is back."""
        if self.blind:
            self.blind, self.watching_since = False, self.site.now
            self.spells[-1] = (self.spells[-1][0], self.site.now)

    def hears(self, name: str) -> bool:
        """A lease changed; whether that is news (machines at rest are not looked at for each renewal)."""
        if self.blind:
            return False
        self.heard[name] = self.site.now
        return phase_of(self.site.nodes[name].status) is not Phase.READY

    def blind_seconds(self, since: datetime) -> float:
        """How long we were blind since then."""
        begin, now = (since - at(0)).total_seconds(), self.site.now
        return sum(max(0.0, (now if end is None else end) - max(start, begin)) for start, end in self.spells)

    # --- one machine ---

    def reconcile(self, name: str) -> None:
        """As far as it comes now."""
        for _ in range(40):
            if not self._advance(name):
                return
        raise AssertionError(f"{name} does not come to rest: {self.site.nodes[name].status.history}")

    def wanted(self, node: Node) -> Power | None:
        """What is acted on."""
        return acted_power(node, self.site.policy, vetoes=self.off_vetoes(node), now=at(self.site.now))

    def off_vetoes(self, node: Node) -> tuple[Veto, ...]:
        """What forbids an off."""
        now, policy = at(self.site.now), self.site.policy
        found = off_vetoes(node, policy, hosts=(), control_plane=False, now=now)
        holder = self.holder()
        beside = None if holder is None or holder.key.name == node.metadata.name else holder
        return (*found, *proof_vetoes(node, policy, beside, now=now))

    def _once(self, what: str, work: Callable[[], Any]) -> Any:
        """What `work` finds. It is done again only when the time, the policy or a machine has changed."""
        site = self.site
        ready = [box.node_ready for box in site.boxes.values()]
        of = (site.now, site.policy, *site.nodes.values(), *ready)
        known = self._known.get(what)
        if known is None or not all(map(is_, known[0], of)):
            known = self._known[what] = (of, work())
        return known[1]

    def holder(self) -> Claim | None:
        """The machine that may be off without wake proof."""
        return self._once("holder", self._holder)

    def _holder(self) -> Claim | None:
        now, policy = at(self.site.now), self.site.policy
        claims = (claim_of(Lookup("site", name), node, None, policy, now=now) for name, node in self.site.nodes.items())
        return slot_of((claim for claim in claims if claim is not None), now=now).holder

    def _advance(self, name: str) -> bool:
        site, now = self.site, at(self.site.now)
        node = site.nodes[name]
        if not node.status.phase:
            site.save(name, enter(node.status, Phase.UNKNOWN, event=None, now=now, limits=site.policy.limits))
            return True
        wish = base_wish(node, now=now)
        if wish is not None and wish != recorded_wish(node):
            site.record(name, wish)
            return True
        if self._job_result(name, node.status):
            return True
        facts = self._facts(name, node)
        event = sense(node.status, facts, limits=site.policy.limits)
        if not facts.paused and (correction := self._correction(node, event)) is not None:
            site.record(name, correction)
            return True
        if event is not None:
            site.save(name, step(node.status, event, now=now, limits=site.policy.limits))
            return True
        return self._dwell(name, node, facts)

    def _correction(self, node: Node, event: Event | None) -> WishRecord | None:
        now, members = at(self.site.now), self.members()
        standing = held(node, self.site.policy, now=now) is not None
        most = self.site.policy.max_size
        room = target(members) < (max_size(self.site.policy, members) if most is None else most)
        return corrected_wish(node, event, held=standing, room=room, now=now, policy=self.site.policy)

    def _job_result(self, name: str, status: NodeStatus) -> bool:
        record = status.job
        if record is None or record.attempt != status.attempt or record.outcome != "running":
            return False
        job = next((j for j in self.site.jobs if j.machine == name and j.attempt == record.attempt), None)
        outcome = "failed" if job is None or job.outcome == "cancelled" else job.outcome
        if outcome == "running":
            return False
        self.site.save(name, structs.replace(status, job=structs.replace(record, outcome=outcome)))
        return True

    def _facts(self, name: str, node: Node) -> Facts:
        site, box, now = self.site, self.site.boxes[name], at(self.site.now)
        status, heard = node.status, self.heard.get(name)
        wanted, halted = self.wanted(node), paused(node, now=now) is not None
        pods = None if halted else self._count_pods(box, status, wanted)
        power = Reading.ON if box.power else Reading.OFF
        reading = Sample(power=power, source="pdu", at=now, first=now - READ_APART)
        job = status.job
        return Facts(
            now=now,
            watching_since=None if self.blind else at(self.watching_since),
            wish=wanted,
            node_exists=box.node_exists,
            node_ready=box.node_ready,
            heard=None if heard is None else at(heard),
            heard_until=None if heard is None else at(heard) + LEASE_PERIOD,
            reading=reading if box.sensor else None,
            job_done=job is not None and job.attempt == status.attempt and job.outcome == "done",
            pods=pods,
            force=site.policy.drain.force,
            paused=halted,
            may_wake=not list(on_vetoes(node, site.policy, now=now)),
            blind_seconds=self.blind_seconds(status.since) if status.since else 0.0,
            power_cycle_after=self._power_cycle_after(name, node),
        )

    def _power_cycle_after(self, name: str, node: Node) -> timedelta | None:
        """How long it must be ill before its power is cycled; None: it is not."""
        site, members, holder = self.site, self.members(), self.holder()
        alive = sum(
            site.now < heard + LEASE_PERIOD.total_seconds() for each, heard in self.heard.items() if each != name
        )
        lost = sum(member.phase is Phase.LOST for member in members if member.key.name != name)
        patient = Patient(
            node=node,
            policy=site.policy,
            limits=site.policy.limits,
            member=next(member for member in members if member.key.name == name),
            others=members,
            holder=None if holder is None or holder.key.name == name else holder,
            sensed=site.boxes[name].sensor,
            site=Around(heard=1 + alive, lost=lost),  # a control plane is always there
            now=at(site.now),
        )
        return verdict(patient).after

    def _count_pods(self, box: "Box", status: NodeStatus, wanted: Power | None) -> int | None:
        phase, job = phase_of(status), status.job
        before_job = job is None or job.attempt != status.attempt
        looks = phase in (Phase.DRAINING, Phase.LOST) and wanted is Power.OFF
        if self.blind or not (looks or (phase is Phase.POWERING_OFF and before_job)):
            return None
        box.cordoned = box.node_exists
        return len(box.pods)

    def _dwell(self, name: str, node: Node, facts: Facts) -> bool:
        status = _with_pause(node.status, paused=facts.paused, now=facts.now)
        if facts.reading is not None and facts.reading.power is not status.reading.power:
            status = structs.replace(status, reading=facts.reading)
        if status != node.status:
            self.site.save(name, status)
            return True
        self.due.pop(name, None)
        record = recorded_wish(node)
        if record is not None and record.until is not None and record.until > facts.now:
            self._again(name, (record.until - at(0)).total_seconds())
        duty = DUTIES.get(phase_of(status))
        if duty is not None and not facts.paused and self._DO[duty](self, name, status, facts):
            return True
        if phase_of(status) in ILL and self.site.policy.power_cycle is not None:
            self._again(name, self.site.now + ILL_LOOK)  # whether its power may be cycled depends on others too
        due = next_due(status, facts, limits=self.site.policy.limits)
        if due is not None:
            assert due > facts.now
            self._again(name, (due - at(0)).total_seconds())
        return False

    def _again(self, name: str, when: float) -> None:
        self.due[name] = min(when, self.due.get(name, when))

    # --- duties ---

    def _wake(self, name: str, status: NodeStatus, facts: Facts) -> bool:
        job = status.job if status.job is not None and status.job.attempt == status.attempt else None
        if job is None and status.wakes > 0:
            if facts.wish is not Power.ON or not facts.may_wake:
                return False
            return self._start(name, status, "startup")
        running = job is not None and job.outcome == "running"
        before, status = status, structs.replace(status, silent=silent(status, facts, limits=self.site.policy.limits))
        if wake_again(status, facts, limits=self.site.policy.limits, job_running=running):
            self.site.save(name, send_wake(status, now=facts.now))
            return True
        if status != before:
            self.site.save(name, status)
        return status != before

    def _power_off(self, name: str, status: NodeStatus, facts: Facts) -> bool:
        if status.job is not None and status.job.attempt == status.attempt:
            return False
        drained = not facts.blind and (facts.pods == 0 or status.forced)
        if not (may_cycle(facts) if status.remediation.cycling else drained):
            self._again(name, self.site.now + LOOK)
            return False
        return self._start(name, status, "shutdown")

    def _start(self, name: str, status: NodeStatus, action: str) -> bool:
        job = self.site.start_job(name, action, status.attempt)
        self.site.wrote()
        record = JobRecord(name=f"{name}-{job.attempt}", action=action, attempt=job.attempt)
        self.site.save(name, structs.replace(status, job=record))
        return True

    def _drain(self, name: str, status: NodeStatus, facts: Facts) -> bool:
        box = self.site.boxes[name]
        if facts.pods:
            self._again(name, self.site.now + LOOK)
            for pod in box.pods.values():
                if not pod.stuck and not pod.going:
                    pod.going = True
                    pod.gone_at = self.site.now + 1.0 if box.beats_from is not None else None
        return False

    def _welcome(self, name: str, status: NodeStatus, facts: Facts) -> bool:
        box = self.site.boxes[name]
        if status.welcomed or not box.node_ready:
            return False
        box.cordoned = False
        for pod in [pod for pod, state in box.pods.items() if state.going and state.gone_at is None]:
            del box.pods[pod]
        self.site.save(name, structs.replace(status, welcomed=True))
        return True

    def _leave(self, name: str, status: NodeStatus, facts: Facts) -> bool:
        box, job = self.site.boxes[name], status.job
        if not box.node_exists or facts.blind:
            return False
        box.cordoned = True
        done = job is not None and job.attempt == status.attempt and (job.action, job.outcome) == ("shutdown", "done")
        if may_leave(status, facts, shutdown_done=done):
            assert box.beats_from is None or box.partitioned, "the node of a running kubelet was deleted"
            box.node_exists, box.node_ready, box.pods = False, False, {}
            self.site.wrote()
            return True
        return False

    _DO: Final[dict[Duty, Callable[["Agent", str, NodeStatus, Facts], bool]]] = {
        Duty.WAKE: _wake,
        Duty.WAKE_AGAIN: _wake,
        Duty.POWER_OFF: _power_off,
        Duty.DRAIN: _drain,
        Duty.WELCOME: _welcome,
        Duty.LEAVE: _leave,
    }

    # --- the group ---

    def members(self) -> list[Member]:
        """The machines as sizing sees them."""
        return list(self._once("members", self._members))

    def _members(self) -> list[Member]:
        now, policy = at(self.site.now), self.site.policy
        return with_takers(
            Member(
                key=Lookup("site", name),
                phase=phase_of(node.status),
                wish=effective_wish(node, policy, now=now),
                node_ready=self.site.boxes[name].node_ready,
                on_vetoes=tuple(on_vetoes(node, policy, now=now)),
                off_vetoes=self.off_vetoes(node),
                fixed=forbidden(self.off_vetoes(node)),
                unproven=unproven(node, policy, now=now),
                failures=node.status.failures,
                replaced=node.status.replaced,
                silent=node.status.silent,
                began=trying_since(node.status),
                tried_at=tried_at(node.status),
                cooling=node.status.cool_until is not None and node.status.cool_until > now,
                valid=bool(node.status.phase),
                since=node.status.since,
                ill=node.status.remediation.ill_since is not None,
                cycling=node.status.remediation.cycling,
            )
            for name, node in sorted(self.site.nodes.items())
        )

    def tend_group(self) -> bool:
        """Replace, fill and lower, as hexa does it by itself; whether anything changed. The limits are checked at each act."""
        if self.blind:
            return False
        acts = [*self._replace(), *self._hedge(), *self._fill(), *self._lower()]
        return bool(acts)

    def _replace(self) -> Iterator[str]:
        for pair in begun_replacements(self.members()):
            yield self._retire(pair.failed.key.name)
        for member in half_replaced(self.members()):
            yield self._wish(member, Power.OFF, Reason.REPLACED)
        while pairs := replacements(self.site.policy, self.members()):
            before = target(self.members())
            failed, successor = pairs[0].failed, pairs[0].successor
            self._wish(successor, Power.ON, "TakesPlace", replaces=failed.key.name)
            most = self.site.policy.max_size
            assert most is None or target(self.members()) <= most, "a replacement above the maximum"
            assert target(self.members()) == before + 1
            yield self._retire(failed.key.name)

    def _hedge(self) -> Iterator[str]:
        for pair in begun_hedges(self.members()):
            yield self._stand_aside(pair.failed.key.name)
        while (pair := next_hedge(self.site.policy, self.members())) is not None:
            before, most = target(self.members()), self.site.policy.max_size
            self._wish(pair.successor, Power.ON, Reason.HEDGE, replaces=pair.failed.key.name)
            assert target(self.members()) == before, "a hedge changed the target"
            assert most is None or before <= most, "a hedge above the maximum"
            yield self._stand_aside(pair.failed.key.name)
            assert target(self.members()) == before, "the mark of a hedge changed the target"

    def _stand_aside(self, name: str) -> str:
        self.site.save(name, structs.replace(self.site.nodes[name].status, replaced=True))
        return name

    def _retire(self, name: str) -> str:
        self.site.save(name, structs.replace(self.site.nodes[name].status, replaced=True))
        member = next(member for member in self.members() if member.key.name == name)
        return self._wish(member, Power.OFF, Reason.REPLACED)

    def _fill(self) -> Iterator[str]:
        before = target(self.members())
        chosen = to_wake(self.site.policy, self.members())
        for member in chosen:
            yield self._wish(member, Power.ON, "MinSize")
        assert not chosen or before < target(self.members()) <= self.site.policy.min_size, "filled above the minimum"

    def _lower(self) -> Iterator[str]:
        before, least = target(self.members()), self.site.policy.min_size
        for member in to_rest(self.site.policy, self.members()):
            yield self._wish(member, Power.OFF, "MaxSize")
        assert target(self.members()) >= min(before, least), "rested below the minimum"

    def _wish(self, member: Member, power: Power, reason: str, **more: Any) -> str:
        record = WishRecord(power=power, by=Asker.RECOVERY, reason=reason, since=at(self.site.now), **more)
        self.site.record(member.key.name, record)
        return member.key.name

    # --- Cluster Autoscaler ---

    def increase(self, delta: int) -> bool:
        """IncreaseSize: all or nothing."""
        members = self.members()
        found = candidates(members)
        if self.blind or target(members) + delta > max_size(self.site.policy, members) or len(found) < delta:
            return False
        for member in found[:delta]:
            self._ca(member.key.name, Power.ON, "ScaleUp")
        assert target(self.members()) == target(members) + delta
        most = self.site.policy.max_size
        assert most is None or target(self.members()) <= most, "a scale-up above the maximum"
        return True

    def delete(self, name: str) -> bool:
        """DeleteNodes of one node: refused where a rule forbids it."""
        members = self.members()
        member = next(m for m in members if m.key.name == name)
        left = target(members) - 1
        if self.blind or not member.wanted or member.off_vetoes or left < self.site.policy.min_size:
            return False
        self._ca(name, Power.OFF, "ScaleDown")
        return True

    def _ca(self, name: str, power: Power, reason: str) -> None:
        self.site.record(
            name, WishRecord(power=power, by=Asker.CLUSTER_AUTOSCALER, reason=reason, since=at(self.site.now))
        )


def _with_pause(status: NodeStatus, *, paused: bool, now: datetime) -> NodeStatus:
    began = status.paused_since
    if paused == (began is not None):
        return status
    if began is None:
        return structs.replace(status, paused_since=now)
    still = max(now - max(began, status.since or began), timedelta(0)).total_seconds()
    return structs.replace(status, paused_since=None, stood_still=status.stood_still + still)
