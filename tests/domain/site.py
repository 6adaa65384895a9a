"""A small site on a clock of its own: boxes with kubelets and pods, stored objects, Jobs, and one agent.

What must never happen to a machine is checked where it would: when a Job starts.
"""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any, Final

import msgspec
from msgspec import Struct, field, structs
from tests.domain.agent import Agent, Crash
from tests.domain.builders import JOB, at

from hexa.domain.machine.lifecycle import FAILED, Phase, phase_of
from hexa.domain.machine.wish import effective_wish, paused, wish_patch
from hexa.domain.policy.policy import Policy, policy_of
from hexa.domain.resources.core import Metadata
from hexa.domain.resources.v1alpha1 import (
    Asker,
    Group,
    GroupSpec,
    Node,
    NodeSpec,
    NodeStatus,
    OwnedMetadata,
    Power,
    WakeProof,
    WishRecord,
)

BEAT: Final = 10.0
READY_FADES: Final = 40.0
"""After this silence the control plane takes Ready=True back."""


class PodInSite(Struct):
    """A pod that a drain must evict."""

    stuck: bool = False
    """A disruption budget holds it."""
    going: bool = False
    gone_at: float | None = None


class Box(Struct):
    """A physical machine, its kubelet, and what the API shows of it."""

    name: str
    sensor: bool
    boot: float = 20.0
    power: bool = False
    boots_at: float | None = None
    beats_from: float | None = None
    last_beat: float | None = None
    partitioned: bool = False
    dead: bool = False
    lost_wakes: int = 0
    ignores_shutdown: bool = False
    node_exists: bool = False
    node_ready: bool = False
    cordoned: bool = False
    pods: dict[str, PodInSite] = field(default_factory=dict)

    def next_beat(self, now: float) -> float | None:
        """When the kubelet renews its lease next."""
        if self.beats_from is None:
            return None
        return (
            self.beats_from if now < self.beats_from else self.beats_from + BEAT * ((now - self.beats_from) // BEAT + 1)
        )

    def instants(self, now: float) -> Iterator[float]:
        """When something happens to it by itself."""
        if self.boots_at is not None:
            yield self.boots_at
        if (beat := self.next_beat(now)) is not None:
            yield beat
        if self.node_ready and self.last_beat is not None:
            yield self.last_beat + READY_FADES
        yield from (pod.gone_at for pod in self.pods.values() if pod.gone_at is not None)

    def lose_power(self) -> None:
        """Dark at once."""
        self.power, self.boots_at, self.beats_from = False, None, None
        for pod in self.pods.values():
            pod.gone_at = None  # nobody ends it any more

    def gain_power(self, now: float) -> None:
        """On, and the kubelet comes up after the boot."""
        if not self.power and not self.dead:
            self.power, self.boots_at = True, now + self.boot


class JobInSite(Struct):
    """A power Job."""

    machine: str
    action: str
    attempt: int
    ends_at: float
    fails: bool = False
    outcome: str = "running"


class Site:
    """Boxes, stored objects and Jobs, and one agent."""

    def __init__(self, *, sensors: list[bool], group: dict[str, Any]) -> None:
        self.now = 0.0
        self.boxes = {f"m{n}": Box(name=f"m{n}", sensor=sensor) for n, sensor in enumerate(sensors)}
        self.nodes = {name: _resource(name) for name in self.boxes}
        self.jobs: list[JobInSite] = []
        self.failing_jobs = 0
        self.cycles = 0
        """Power cycles so far."""
        self.served: set[str] = set()
        """Machines that were up since their last power-off."""
        self.risked: set[str] = set()
        """Machines that hexa by itself switched off without knowing that it can wake them, and that did not come up since."""
        self.policy = Policy()
        self.set_group(**group)
        self.crash_after: int | None = None
        self.agent = Agent(self)

    def set_group(self, **spec: Any) -> None:
        """Change the group."""
        group = Group(metadata=Metadata(name="rack", namespace="site"), spec=msgspec.convert(spec, GroupSpec))
        policy, problems = policy_of(group)
        self.policy = structs.replace(policy, adopted_for=timedelta(seconds=60))
        assert not [problem for problem in problems if problem.severity == "error"]

    # --- what is stored ---

    def wrote(self) -> None:
        """A write was stored; perhaps the last one that the agent does."""
        if self.crash_after is not None:
            self.crash_after -= 1
            if self.crash_after <= 0:
                self.crash_after = None
                raise Crash

    def save(self, name: str, status: NodeStatus) -> None:
        """Store a status."""
        self.nodes[name] = structs.replace(self.nodes[name], status=status)
        if phase_of(status) is Phase.READY:
            self.risked.discard(name)
            self.served.add(name)
        self.wrote()

    def record(self, name: str, wish: WishRecord) -> None:
        """Store a wish: annotation and spec in one write."""
        node = self.nodes[name]
        patch = wish_patch(node, wish)
        metadata = structs.replace(node.metadata, annotations=patch["metadata"]["annotations"])
        power = patch.get("spec", {}).get("powerState", node.spec.power_state)
        self.nodes[name] = structs.replace(node, metadata=metadata, spec=structs.replace(node.spec, power_state=power))
        self.wrote()

    def edit(self, name: str, **spec: Any) -> None:
        """Somebody edits a machine's spec."""
        node = self.nodes[name]
        self.nodes[name] = structs.replace(node, spec=structs.replace(node.spec, **spec))

    # --- Jobs ---

    def start_job(self, name: str, action: str, attempt: int) -> JobInSite:
        """Start the attempt's Job, or find it. Others of the machine are ended first."""
        mine = [job for job in self.jobs if job.machine == name]
        same = next((job for job in mine if job.attempt == attempt), None)
        if same is not None:
            assert same.action == action, "one attempt, two actions"
            return same
        assert all(job.attempt < attempt for job in mine), "an attempt that was used before"
        self.cancel_jobs(name)
        self._may_start(name, action)
        job = JobInSite(
            machine=name, action=action, attempt=attempt, ends_at=self.now + 1.0, fails=self.failing_jobs > 0
        )
        self.failing_jobs = max(self.failing_jobs - 1, 0)
        self.jobs.append(job)
        return job

    def _may_start(self, name: str, action: str) -> None:
        box, node, agent = self.boxes[name], self.nodes[name], self.agent
        assert not any(job.machine == name and job.outcome == "running" for job in self.jobs), "two Jobs at once"
        assert paused(node, now=at(self.now)) is None, "a Job for a paused machine"
        if action == "shutdown":
            assert not agent.blind, "a power-off while blind"
            forced = node.status.forced and self.policy.drain.force
            cycled = node.status.remediation.cycling and self._may_be_cycled(name)
            assert cycled or forced or not box.pods, f"a power-off with undrained pods: {box.pods}"
            assert box.cordoned or not box.node_exists, "a power-off of a machine that takes pods"
            self._risk(name)
        else:
            assert agent.wanted(node) is Power.ON, "a wake that nobody wants"

    def _may_be_cycled(self, name: str) -> bool:
        """A machine whose power is cycled hangs, or nobody can see that it does not; it is wanted, and the only one that is ill."""
        box, node = self.boxes[name], self.nodes[name]
        assert self.policy.power_cycle is not None, "a power cycle that nobody allows"
        assert node.spec.hold is None, "a power cycle against a person's word"
        assert self.agent.wanted(node) is Power.ON, "a power cycle of a machine that nobody wants"
        assert box.last_beat is None or self.now - box.last_beat >= READY_FADES, "a power cycle of a living kubelet"
        others = [each for key, each in self.nodes.items() if key != name and each.spec.paused is None]
        ill = [each for each in others if phase_of(each.status) in FAILED or each.status.remediation.ill_since]
        assert not ill, "a power cycle while others are ill"
        self.cycles += 1
        return True

    def _risk(self, name: str) -> None:
        """A machine that was up goes off: if it is not proven, and no person wants it off, it is the only one."""
        if self.policy.wake_proof is not WakeProof.REQUIRE:
            return
        served = name in self.served
        self.served.discard(name)
        if not served or self._off_by_person(name) or self.nodes[name].status.wake_proven_at is not None:
            return
        given = {each for each in self.risked - {name} if not self._off_by_person(each)}
        assert not given, f"{name} goes off without wake proof, as {given} did"
        self.risked.add(name)

    def _off_by_person(self, name: str) -> bool:
        wish = effective_wish(self.nodes[name], self.policy, now=at(self.now))
        return wish is not None and wish.by in (Asker.USER, Asker.HOLD) and wish.power is Power.OFF

    def cancel_jobs(self, name: str, *, keep: int = -1) -> None:
        """End the machine's other Jobs."""
        for job in self.jobs:
            if job.machine == name and job.attempt != keep and job.outcome == "running":
                job.outcome = "cancelled"

    def _finish(self, job: JobInSite) -> None:
        box = self.boxes[job.machine]
        job.outcome = "failed" if job.fails else "done"
        if job.fails:
            return
        if job.action == "startup" and box.lost_wakes:
            box.lost_wakes -= 1
        elif job.action == "startup":
            box.gain_power(self.now)
        elif not box.ignores_shutdown:
            box.lose_power()

    # --- time ---

    def pass_time(self, seconds: float) -> None:
        """Let the site live on; the agent looks at news, and when it said that it would."""
        end = self.now + seconds
        self.agent_looks(self.boxes)
        while True:
            due = min(self.agent.due.values(), default=end)
            instants = [t for box in self.boxes.values() for t in box.instants(self.now)]
            instants += [job.ends_at for job in self.jobs if job.outcome == "running"]
            instant = max(min([due, end, *instants]), self.now)
            if instant >= end:
                self.now = end
                return
            self.now = instant
            news = {name for name, when in self.agent.due.items() if when <= instant}
            self.agent_looks(news | self._happen())

    def _happen(self) -> set[str]:
        """What happens at this moment; whom the agent is told of."""
        news = set()
        for job in self.jobs:
            if job.outcome == "running" and job.ends_at <= self.now:
                self._finish(job)
                news.add(job.machine)
        for box in self.boxes.values():
            if self._live(box):
                news.add(box.name)
        return news

    def _live(self, box: Box) -> bool:
        news = False
        if box.boots_at is not None and box.boots_at <= self.now:
            box.boots_at, box.beats_from = None, self.now
            box.node_ready, news = False, True
            box.cordoned = box.cordoned and box.node_exists
            box.node_exists = True
        if box.beats_from is not None and not (self.now - box.beats_from) % BEAT:
            news |= self._beat(box)
        if box.node_ready and box.last_beat is not None and self.now >= box.last_beat + READY_FADES:
            box.node_ready, news = False, True
        for name in [name for name, pod in box.pods.items() if pod.gone_at is not None and pod.gone_at <= self.now]:
            del box.pods[name]
        return news

    def _beat(self, box: Box) -> bool:
        if box.partitioned:
            return False
        box.last_beat = self.now
        turned, box.node_ready = not box.node_ready and box.node_exists, box.node_exists
        return self.agent.hears(box.name) or turned

    def agent_looks(self, names: Any) -> None:
        """The agent looks at these machines and at the group; a crash of it is survived by a new one."""
        try:
            for name in sorted(names):
                self.agent.reconcile(name)
            if names and self.agent.tend_group():
                for name in sorted(self.boxes):
                    self.agent.reconcile(name)
        except Crash:
            self.agent = Agent(self)
            self.agent_looks(self.boxes)


def _resource(name: str) -> Node:
    metadata = OwnedMetadata(name=name, namespace="site", labels={"group": "rack"})
    return Node(metadata=metadata, spec=NodeSpec(startup_pod_spec=JOB, shutdown_pod_spec=JOB))
