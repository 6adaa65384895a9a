"""What `hexa why pod` answers: for each group whether it would serve the pod, and if not, why.

The template, the machines that can come and their limits are those that Cluster Autoscaler is shown; whether the pod fits is
judged by `hexa.domain.pods.fitting`, as the reference autoscaler does.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from msgspec import Struct

from hexa.app.commands.shared.snapshot import Snapshot
from hexa.app.pods import tied_to
from hexa.domain.errors import NotFound, Refused
from hexa.domain.group.sizing import candidates, max_size, target
from hexa.domain.group.template import named_shape, shown_shape
from hexa.domain.group.woken_for import MOST_WAKES, in_vain
from hexa.domain.group_view import GroupView
from hexa.domain.machine.lifecycle import COMING, Phase
from hexa.domain.machine.marks import how_to_take_back, released
from hexa.domain.machine_view import MachineView, ready
from hexa.domain.pods.drain import FINISHED, controller_kind, welcomes
from hexa.domain.pods.fitting import Misfit, accepts, misfits, room, template_node
from hexa.domain.pods.pending import EXPENDABLE, Pending, fits_pinned, sound, sound_selector
from hexa.domain.pods.requests import requests
from hexa.domain.policy.problem import Problem
from hexa.domain.quantity import total
from hexa.domain.resources.core import PODS, KubeNode, Malformed, Pod
from hexa.domain.resources.v1alpha1 import Lookup
from hexa.domain.words.explain import obstacle
from hexa.domain.words.kept import Reason, kept_from_waking
from hexa.ports.kube import Kube, Selector

SCHEDULER: Final = "default-scheduler"


class GroupVerdict(Struct, frozen=True, kw_only=True, rename="camel"):
    """What a group can do for the pod."""

    group: str
    serves: bool = False
    text: str = ""
    """What it will do, where it serves."""
    reasons: tuple[Reason, ...] = ()
    """Why it does not."""


class PodAnswer(Struct, frozen=True, kw_only=True, rename="camel"):
    """Why a pod waits, and what would serve it."""

    pod: str
    summary: str
    remarks: tuple[str, ...] = ()
    """What else stands in the way, or is not judged here."""
    groups: tuple[GroupVerdict, ...] = ()
    scheduler: str = ""
    """What the scheduler says of it."""
    notes: tuple[str, ...] = ()

    @property
    def served(self) -> bool:
        """Whether it runs, or something will take it."""
        return not self.groups or any(verdict.serves for verdict in self.groups)


async def explain_pod(kube: Kube, snapshot: Snapshot, key: Lookup) -> PodAnswer:
    """Everything that a person should know of a pod that waits. Raises `NotFound` where there is none of that name."""
    pods = [pod for pod in (await kube.list(PODS)).items if not isinstance(pod, Malformed)]
    pod = next((pod for pod in pods if (pod.metadata.namespace, pod.metadata.name) == (key.namespace, key.name)), None)
    if pod is None:
        pod = await _one(kube, key)
    if placed := _placed(pod):
        return PodAnswer(pod=str(key), summary=f"{key} {placed}", notes=snapshot.notes)
    site = _Site(snapshot, pod, pods, await _tied(kube, pod))
    verdicts = tuple(site.judge(view) for view in snapshot.views.groups())
    return PodAnswer(
        pod=str(key),
        summary=f"{key} waits: {_summary(site.takes(), verdicts)}",
        remarks=tuple(_remarks(pod)),
        groups=verdicts,
        scheduler=_scheduler(pod),
        notes=snapshot.notes,
    )


async def _tied(kube: Kube, pod: Pod) -> tuple[Mapping[str, Any], ...]:
    """Where its volumes can be had, as far as the person may know."""
    try:
        found = tuple(await tied_to(kube, pod))
    except Refused:
        return ()
    return tuple(each for each in found if sound_selector(each))


async def _one(kube: Kube, key: Lookup) -> Pod:
    found = (await kube.list(PODS, Selector(namespace=key.namespace, fields=f"metadata.name={key.name}"))).items
    pod = next(iter(found), None)
    if isinstance(pod, Pod):
        return pod
    what = "no pod of that name" if pod is None else f"a pod that hexa can't read: {pod.problem}"
    raise NotFound(f"{key}: there is {what}")


def _placed(pod: Pod) -> str:
    if pod.metadata.deletion_timestamp is not None:
        return "is being deleted"
    if pod.status.phase in FINISHED:
        return f"has ended: {pod.status.phase}"
    return f"is on Kubernetes node {pod.spec.node_name}: {pod.status.phase}" if pod.spec.node_name else ""


def _summary(on: Sequence[str], verdicts: Sequence[GroupVerdict]) -> str:
    serving = [verdict.group for verdict in verdicts if verdict.serves]
    if on:
        return f"it fits on {', '.join(on[:3])} now, so the scheduler decides"
    if serving:
        return f"{', '.join(serving)} can serve it"
    return "no group can serve it" if verdicts else "there is no group"


def _scheduler(pod: Pod) -> str:
    said = (c for c in pod.status.conditions if c.type == "PodScheduled" and c.status == "False")
    return next((f"{c.reason}: {c.message}" if c.message else c.reason for c in said), "")


def _remarks(pod: Pod) -> Iterator[str]:
    """What keeps Cluster Autoscaler from looking at it, and what is not judged here."""
    spec = pod.spec
    if any(c.type == "PodScheduled" and c.reason == "SchedulingGated" for c in pod.status.conditions):
        yield "it has scheduling gates: nobody looks for a place until they are removed"
    if spec.scheduler_name not in ("", SCHEDULER):
        yield f"its schedulerName is {spec.scheduler_name}: that scheduler must run, and mark it as unschedulable"
    if controller_kind(pod) == "DaemonSet":
        yield "it is a DaemonSet's: Cluster Autoscaler wakes nothing for it"
    if spec.priority < EXPENDABLE:
        yield f"its priority {spec.priority} is below {EXPENDABLE}: Cluster Autoscaler wakes nothing for it"
    unjudged = [name for name in ("podAffinity", "podAntiAffinity") if spec.affinity.get(name)]
    others = (
        ("topologySpreadConstraints", spec.topology_spread_constraints),
        ("resourceClaims", spec.resource_claims),
        ("volumes", [volume for volume in spec.volumes if volume.persistent_volume_claim]),
    )
    unjudged += [name for name, there in others if there]
    if unjudged:
        yield f"not judged here: {', '.join(unjudged)}"


class _Site:
    """The pod, the groups, and the room that other pods leave."""

    def __init__(
        self, snapshot: Snapshot, pod: Pod, pods: Sequence[Pod], tied: tuple[Mapping[str, Any], ...] = ()
    ) -> None:
        self.waiting = Pending(pod=pod, tied=tied)
        self.snapshot, self.pod, self.needs = snapshot, pod, requests(pod)
        self.pods: dict[str, list[Pod]] = {}
        self.daemons: dict[str, Pod] = {}
        for each in pods:
            if each.status.phase not in FINISHED and each.spec.node_name:
                self.pods.setdefault(each.spec.node_name, []).append(each)
            if controller_kind(each) == "DaemonSet":
                self.daemons[_owner(each)] = each

    def takes(self) -> list[str]:
        """Ready Kubernetes nodes that have room for it now."""
        nodes = self.snapshot.store.nodes.objects.values()
        return sorted(node.metadata.name for node in nodes if ready(node) and self._has_room(node))

    def _has_room(self, node: KubeNode) -> bool:
        used = total(requests(each) for each in self.pods.get(node.metadata.name, ()))
        return accepts(node, room(node, used), self.pod, self.needs)

    def judge(self, view: GroupView) -> GroupVerdict:
        """What the group can do for it."""
        if unseen := self.snapshot.unseen(view.key.namespace):
            return GroupVerdict(group=str(view.key), reasons=tuple(_of_problem(view, each) for each in unseen))
        shapes = {m.key: m.shape for m in self.snapshot.views.members(view.key) if m.shape is not None}
        if sound(self.pod.spec.affinity) and (pinned := self._pinned(view)) is not None:
            return pinned
        members = self.snapshot.views.judged(view.key, self.snapshot.now)
        able = [member.key for member in candidates(members)]
        shown, where = shown_shape(shapes, able), f"Group {view.key}"
        reasons = list(_closed(view))
        if isinstance(shown, Problem):
            reasons.append(Reason(rule=shown.reason, text=shown.text, object=where, remedy=shown.remedy))
        else:
            node = template_node(f"a machine of {view.key.name}", shown)
            reasons += (_reason(misfit, where) for misfit in self._misfits(node))
        if reasons:
            return GroupVerdict(group=str(view.key), reasons=tuple(reasons))
        coming = [m.key.name for m in members if m.phase in COMING and m.wanted]
        if able and target(members) < max_size(view.policy, members):
            text = f"Cluster Autoscaler can ask for {able[0].name}"
            return GroupVerdict(group=str(view.key), serves=True, text=_with_coming(text, coming))
        if coming:
            return GroupVerdict(group=str(view.key), serves=True, text=f"{', '.join(coming)} is on its way")
        return GroupVerdict(group=str(view.key), reasons=tuple(self._full(view)))

    def _pinned(self, view: GroupView) -> GroupVerdict | None:
        """What becomes of it where it can run on one machine of the group only; None: it is not so."""
        for machine in self.snapshot.views.members(view.key):
            shape = machine.shape
            if shape is None or machine.phase in (Phase.READY, Phase.DRAINING):
                continue
            if fits_pinned(template_node(machine.kube_name, named_shape(machine.kube_name, shape)), self.waiting):
                reason = self._not_woken(view, machine)
                text = f"it can run on {machine.key.name} only, which hexa wakes for it"
                group = str(view.key)
                return (
                    GroupVerdict(group=group, reasons=(reason,))
                    if reason
                    else GroupVerdict(group=group, serves=True, text=text)
                )
        return None

    def _not_woken(self, view: GroupView, machine: MachineView) -> Reason | None:
        """Why the machine that it names is not woken for it."""
        known, only = self.snapshot.known(machine), f"it can run on {machine.key.name} only"
        if not view.policy.wake_for_pinned:
            text = f"{only}, and Cluster Autoscaler wakes nothing for such a pod"
            where = f"Group {view.key} spec.wakeForPinned"
            return Reason(rule="Pinned", text=text, object=where, remedy=f"set it to true, or: hexa on {machine.key}")
        if in_vain(machine.node, [self.waiting]):
            text = f"{only}, which was woken {MOST_WAKES} times for it in vain"
            return Reason(
                rule="WokenInVain",
                text=text,
                object=f"Node {machine.key}",
                remedy="make the pod anew once it would fit",
            )
        return next(iter(kept_from_waking(known)), None)

    def _misfits(self, node: KubeNode) -> Iterator[Misfit]:
        """What keeps it off an empty machine, on which the DaemonSets' pods run."""
        used = total(requests(each) for each in self.daemons.values() if welcomes(node, each))
        yield from misfits(node, self.pod, free=room(node, used))

    def _full(self, view: GroupView) -> Iterator[Reason]:
        """Why no machine of the group can be woken."""
        policy, where = view.policy, f"Group {view.key}"
        members = self.snapshot.views.judged(view.key, self.snapshot.now)
        if policy.max_size is not None and target(members) >= policy.max_size:
            text = f"{target(members)} machines are on or coming, and maxSize is {policy.max_size}"
            yield Reason(rule="MaxSize", text=text, object=f"{where} spec.maxSize", remedy="raise maxSize")
        if not members:
            yield Reason(rule="NoMachines", text="it has no machine", object=where)
        for machine in self.snapshot.views.members(view.key):
            known = self.snapshot.known(machine)
            kept = next(iter(kept_from_waking(known)), None) or obstacle(known)
            if kept is not None:
                yield Reason(
                    rule=kept.rule, text=f"{machine.key.name}: {kept.text}", object=kept.object, until=kept.until
                )
            elif known.phase in (Phase.READY, Phase.DRAINING):
                text = f"{machine.key.name}: it is on, and has no room for the pod"
                yield Reason(rule="NoRoom", text=text, object=f"Node {machine.key}")
            else:
                text = f"{machine.key.name}: it is {known.phase or 'not seen yet'}"
                yield Reason(rule="NotThere", text=text, object=f"Node {machine.key}", remedy=f"hexa why {machine.key}")


def _closed(view: GroupView) -> Iterator[Reason]:
    """Why Cluster Autoscaler is shown nothing of the group."""
    where = f"Group {view.key}"
    for problem in view.problems:
        if problem.severity == "error":
            yield _of_problem(view, problem)
    if released(view.group.metadata):
        remedy = how_to_take_back(view.key, kind="hg")
        yield Reason(rule="Released", text="it was released", object=where, remedy=remedy)


def _of_problem(view: GroupView, problem: Problem) -> Reason:
    text = f"{problem.field}: {problem.text}"
    return Reason(rule=problem.reason, text=text, object=f"Group {view.key}", remedy=problem.remedy)


def _reason(misfit: Misfit, where: str) -> Reason:
    return Reason(rule=misfit.rule, text=misfit.text, object=where)


def _with_coming(text: str, coming: Iterable[str]) -> str:
    names = ", ".join(coming)
    return f"{text}; on the way already: {names}" if names else text


def _owner(pod: Pod) -> str:
    owner = next((each for each in pod.metadata.owner_references if each.controller), None)
    return f"{pod.metadata.namespace}/{owner.name}" if owner else ""
