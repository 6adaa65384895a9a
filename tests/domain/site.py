"""A small site on a clock of its own: boxes with kubelets and pods, stored objects, Jobs, and one agent.

What must never happen to a machine is checked where it would: when a Job starts.
"""

from datetime import datetime, timedelta
from typing import Any, Final, TypeVar

import msgspec
from msgspec import structs
from tests.domain.agent import Agent, Crash
from tests.domain.box import BEAT, LEFT_BEHIND, POD_GOES, READY_FADES, Box, JobInSite
from tests.domain.builders import JOB, at

from hexa.adapters.memory.cluster.patches import merge
from hexa.domain.decide.decision import Touch
from hexa.domain.decide.welcome import welcomed
from hexa.domain.group_view import GroupView
from hexa.domain.machine.lifecycle import FAILED, Phase, phase_of
from hexa.domain.machine.marks import SUSPENDED
from hexa.domain.machine.wish import effective_wish, paused, wish_patch
from hexa.domain.machine_view import MachineView
from hexa.domain.names import CORDON_ANNOTATION
from hexa.domain.policy.policy import policy_of
from hexa.domain.resources.core import Condition, KubeNode
from hexa.domain.resources.v1alpha1 import (
    Asker,
    Group,
    GroupSpec,
    Lookup,
    Node,
    NodeSpec,
    NodeStatus,
    OwnedMetadata,
    Power,
    WakeProof,
    WishRecord,
)

T = TypeVar("T", Node, KubeNode)

GROUP: Final = Lookup("site", "rack")
CORDONED: Final = {"metadata": {"annotations": {CORDON_ANNOTATION: "set"}}, "spec": {"unschedulable": True}}
UNCORDONED: Final = {"metadata": {"annotations": {CORDON_ANNOTATION: None}}, "spec": {"unschedulable": None}}


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
        self.set_group(**group)
        self.crash_after: int | None = None
        self.agent = Agent(self)

    def set_group(self, **spec: Any) -> None:
        """Change the group."""
        group = Group(metadata=OwnedMetadata(name="rack", namespace="site"), spec=msgspec.convert(spec, GroupSpec))
        policy, problems = policy_of(group)
        assert not [problem for problem in problems if problem.severity == "error"]
        self.policy = structs.replace(policy, adopted_for=timedelta(seconds=60))
        self.group = GroupView(key=GROUP, group=group, policy=self.policy, problems=())

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

    def record(self, name: str, wish: WishRecord, beside: dict[str, Any] | None = None) -> None:
        """Store a wish: annotation and spec in one write, with a change of metadata beside it."""
        self.nodes[name] = _patched(self.nodes[name], wish_patch(self.nodes[name], wish))
        self.patch(name, beside or {})

    def ask(self, wishes: dict[str, WishRecord]) -> None:
        """Store wishes for several machines in one write."""
        self.nodes |= {name: _patched(self.nodes[name], wish_patch(self.nodes[name], w)) for name, w in wishes.items()}
        self.wrote()

    def patch(self, name: str, body: dict[str, Any]) -> None:
        """Store a small change of a machine."""
        self.nodes[name] = _patched(self.nodes[name], body)
        self.wrote()

    def edit(self, name: str, **spec: Any) -> None:
        """Somebody edits a machine's spec."""
        node = self.nodes[name]
        self.nodes[name] = structs.replace(node, spec=structs.replace(node.spec, **spec))

    # --- Kubernetes nodes and pods ---

    def touch(self, name: str, touch: Touch) -> None:
        """Write to a Kubernetes node. Repeated, it writes nothing more."""
        match touch:
            case Touch.CORDON:
                self._patch_kube(name, CORDONED)
            case Touch.UNCORDON:
                self._patch_kube(name, UNCORDONED)
            case Touch.SUSPEND:
                self._patch_kube(name, CORDONED)
                self.boxes[name].say(Condition(type=SUSPENDED, status="True", reason="PoweredOff"))
                self.wrote()
            case Touch.DELETE:
                self._delete(name)
            case _:
                raise AssertionError(f"the site has no reason for it: {touch}")

    def _patch_kube(self, name: str, body: dict[str, Any]) -> None:
        box = self.boxes[name]
        assert box.kube is not None
        box.kube = _patched(box.kube, body)
        self.wrote()

    def _delete(self, name: str) -> None:
        box = self.boxes[name]
        assert box.beats_from is None or box.partitioned, "the node of a running kubelet was deleted"
        box.kube, box.node_ready, box.pods = None, False, {}
        self.wrote()

    def welcome(self, machine: MachineView, ready_since: datetime) -> None:
        """Give a Kubernetes node back what it had, and open it to pods."""
        name = machine.key.name
        self.boxes[name].say(Condition(type=SUSPENDED, status="False", reason="PoweredOn"))
        assert machine.kube is not None
        self._patch_kube(name, welcomed(machine, machine.kube, ready_since=ready_since))

    def evict(self, name: str) -> str:
        """Ask for the eviction of every pod; whom a disruption budget holds."""
        box = self.boxes[name]
        for each in box.pods.values():
            if not each.stuck and each.going_since is None:
                each.going_since = self.now
                each.gone_at = self.now + POD_GOES if box.beats_from is not None else None
                self.wrote()
        return "; ".join(sorted(pod for pod, each in box.pods.items() if each.stuck and each.going_since is None))

    def sweep(self, name: str, boot: datetime) -> int:
        """Remove pods that were terminating before the boot; how many there were."""
        pods = self.boxes[name].pods
        found = [pod for pod, each in pods.items() if each.going_since is not None and at(each.going_since) < boot]
        for each in found:
            del pods[each]
            self.wrote()
        return len(found)

    # --- Jobs ---

    def start_job(self, name: str, action: str, attempt: int) -> JobInSite:
        """Start the attempt's Job, or find it. Others of the machine are ended first."""
        mine = [job for job in self.jobs if job.machine == name]
        same = next((job for job in mine if job.attempt == attempt), None)
        if same is not None:
            assert same.action == action, "one attempt, two actions"
            return same
        assert all(job.attempt < attempt for job in mine), "an attempt that was used before"
        self.end_jobs(name)
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
            assert agent.views.of(name).acted_wish(at(self.now)) is Power.ON, "a wake that nobody wants"

    def _may_be_cycled(self, name: str) -> bool:
        """A machine whose power is cycled hangs, or nobody can see that it does not; it is wanted, and the only one that is ill."""
        box, node = self.boxes[name], self.nodes[name]
        assert self.policy.power_cycle is not None, "a power cycle that nobody allows"
        assert node.spec.hold is None, "a power cycle against a person's word"
        assert self.agent.views.of(name).acted_wish(at(self.now)) is Power.ON, (
            "a power cycle of a machine that nobody wants"
        )
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

    def jobs_of(self, name: str) -> list[JobInSite]:
        """The machine's Jobs that are there."""
        return [job for job in self.jobs if job.machine == name and not job.removed]

    def end_jobs(self, name: str, *, keep: str = "") -> None:
        """End and remove the machine's other Jobs."""
        for job in self.jobs_of(name):
            if job.name != keep:
                job.removed = True
                job.outcome = "cancelled" if job.outcome == "running" else job.outcome
                self.wrote()

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
        """Let the site live on; the agent looks at what has changed, and when it said that it would."""
        end = self.now + seconds
        self.agent_looks(())
        while True:
            instants = [t for box in self.boxes.values() for t in box.instants(self.now)]
            instants += [
                box.beats_from + BEAT * box.beats(self.now)
                for box in self.boxes.values()
                if box.beats_from is not None and self._is_heard(box)
            ]
            instants += [job.ends_at for job in self.jobs if job.outcome == "running"]
            instant = max(min([end, *self.agent.next_look(), *instants]), self.now)
            if instant >= end:
                self.now = end
                self._listen()
                return
            self.now = instant
            if (news := self._happen() | self.agent.called()) or self.agent.group_is_due():
                self.agent_looks(news)

    def _happen(self) -> set[str]:
        """What happens at this moment; whom the agent is told of."""
        news = self._listen()
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
            box.boots_at, box.beats_from, news = None, self.now, True
            box.register(self.now)
            for each in box.pods.values():
                each.gone_at = self.now + LEFT_BEHIND if each.going_since is not None else None
            if self._beat(box):
                news = True
        if box.node_ready and box.last_beat is not None and self.now >= box.last_beat + READY_FADES:
            box.turn(self.now, ready=False)
            news = True
        for name in [name for name, pod in box.pods.items() if pod.gone_at is not None and pod.gone_at <= self.now]:
            del box.pods[name]
        return news

    def _is_heard(self, box: Box) -> bool:
        """Whether a beat is news. Those of machines that serve are listened to when something else happens."""
        serves = box.node_ready and phase_of(self.nodes[box.name].status) is Phase.READY
        return not (box.partitioned or serves)

    def _listen(self) -> set[str]:
        """All beats since the last time; whom the agent is told of."""
        return {box.name for box in self.boxes.values() if box.beats_from is not None and self._beat(box)}

    def _beat(self, box: Box) -> bool:
        if box.partitioned or box.beats_from is None or not (beats := box.beats(self.now)):
            return False
        last = box.beats_from + BEAT * (beats - 1)
        if box.last_beat is not None and last <= box.last_beat:
            return False
        box.last_beat = last
        if turned := not box.node_ready and box.node_exists:
            box.turn(self.now, ready=True)
        return self.agent.hears(box.name, last) or turned

    def agent_looks(self, names: Any) -> None:
        """The agent looks at these machines and at the group; a crash of it is survived by a new one."""
        try:
            self.agent.look_at(names)
        except Crash:
            self.agent = Agent(self)
            self.agent_looks(())


def _patched(obj: T, body: dict[str, Any]) -> T:
    """The object, changed by a merge patch."""
    parts = {part: getattr(obj, part) for part in body}
    new = {part: msgspec.convert(merge(msgspec.to_builtins(old), body[part]), type(old)) for part, old in parts.items()}
    return structs.replace(obj, **new) if body else obj


def _resource(name: str) -> Node:
    metadata = OwnedMetadata(name=name, namespace="site", labels={"group": "rack"})
    return Node(metadata=metadata, spec=NodeSpec(startup_pod_spec=JOB, shutdown_pod_spec=JOB))
