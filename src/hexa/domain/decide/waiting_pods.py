"""Which machine of a group is woken for a pod that Cluster Autoscaler can't help, which such wake is taken back, and what is told
of pods that were woken for in vain. It writes nothing.

It chooses among those that may be woken anyway (`sizing.fitting`): holds, maxSize and every other rule stand above it.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from msgspec import Struct

from hexa.domain.group.sizing import Member, candidates, fitting, max_size, target
from hexa.domain.group.template import named_shape
from hexa.domain.group.woken_for import in_vain, next_wake, woken_for
from hexa.domain.machine.findings import Finding
from hexa.domain.machine.lifecycle import Phase
from hexa.domain.machine.reason import Reason
from hexa.domain.machine_view import MachineView
from hexa.domain.names import GROUP_LABEL, HOSTNAME_LABEL
from hexa.domain.pods.drain import REPELLING, pod_name, tolerated
from hexa.domain.pods.fitting import accepts, room, template_node
from hexa.domain.pods.left import few
from hexa.domain.pods.pending import Pending, by_name, fits_pinned, names_labels
from hexa.domain.pods.requests import requests
from hexa.domain.policy.policy import Policy
from hexa.domain.resources.core import KubeNode
from hexa.domain.resources.v1alpha1 import Node, Shape

FOR_PODS: Final = frozenset({Reason.PINNED_POD, Reason.LEARN_SHAPE})
"""Reasons of on wishes for pods that wait."""
AWAY: Final = frozenset({Phase.OFF, Phase.START_FAILED})
"""One that is on its way comes up, and rests as any other: its boot is half paid."""
IN_VAIN: Final = "PodsWokenForInVain"
"""The condition of a group."""


class PodWake(Struct, frozen=True, kw_only=True):
    """A machine to wake for pods that wait."""

    member: Member
    reason: Reason
    beside: dict[str, Any] = {}
    """A change of metadata to be stored in the same patch."""
    text: str


def wake_for_pods(
    policy: Policy,
    members: Sequence[Member],
    machines: Sequence[MachineView],
    waiting: Sequence[Pending],
    *,
    others: Sequence[Shape] = (),
) -> PodWake | datetime | None:
    """The next machine to wake for pods that wait, or when the turn of one comes whose wakes are put off: it is not asked before,
    or Cluster Autoscaler would take it back as one that does not come. None: there is none. `others`: what other groups are shown
    as."""
    if not waiting or not (policy.wake_for_pinned or policy.learn_shape):
        return None
    if target(members) >= max_size(policy, members):
        return None
    found = list[PodWake]()
    if policy.wake_for_pinned:  # no other machine would do: whether there is room for this one is asked of it alone
        able = {member.key: member for member in candidates(members)}
        pinned = _pinned(able, machines, waiting)
        found += (each for each in pinned if fitting(policy, members, among=[each.member]))
    if policy.learn_shape:
        able = {member.key: member for member in fitting(policy, members)}
        found += _learning(policy, members, able, machines, waiting, others)
    turns = (_turn(each.member) for each in found)
    return next((each for each in found if not each.member.put_off), None) or min(filter(None, turns), default=None)


def _turn(member: Member) -> datetime | None:
    """When the last of the rules ends by which its wake is put off; None: not by time alone."""
    return max((veto.until for veto in member.put_off if veto.until is not None), default=None)


def _pinned(
    able: Mapping[Any, Member], machines: Sequence[MachineView], waiting: Sequence[Pending]
) -> Iterator[PodWake]:
    """Machines that pods name."""
    named = by_name(waiting)
    for machine in machines:
        member = able.get(machine.key)
        pods = _waiting_for(machine, named) if member is not None else ()
        wake = next_wake(machine.node, pods) if pods else None
        if member is not None and wake is not None:
            names = few([pod_name(each.pod) for each in wake.pods])
            text = f"{names} can run on no other machine"
            yield PodWake(member=member, reason=Reason.PINNED_POD, beside=wake.beside, text=text)


def _waiting_for(machine: MachineView, named: Mapping[str, Sequence[Pending]]) -> list[Pending]:
    """Pods that are pinned to the machine and that it has the room for."""
    if machine.shape is None:
        return []
    node = template_node(machine.kube_name, named_shape(machine.kube_name, machine.shape))
    names = dict.fromkeys((node.metadata.name, node.metadata.labels[HOSTNAME_LABEL]))
    found = {each.uid: each for name in names for each in named.get(name, ())}
    return [each for each in found.values() if fits_pinned(node, each)]


def _learning(
    policy: Policy,
    members: Sequence[Member],
    able: Mapping[Any, Member],
    machines: Sequence[MachineView],
    waiting: Sequence[Pending],
    others: Sequence[Shape],
) -> Iterator[PodWake]:
    """Machines of a group of unknown shape that a pod asks for; none while one of the group is wanted on."""
    if any(machine.shape is not None for machine in machines) or any(member.wanted for member in members):
        return
    views = {machine.key: machine for machine in machines}
    templates = [template_node("template", shape) for shape in others]
    for member in able.values():
        pods = [each for each in waiting if _asks_for(policy, views[member.key].node, each, templates)]
        wake = next_wake(views[member.key].node, pods) if pods else None
        if wake is not None:
            names = few([pod_name(each.pod) for each in wake.pods])
            text = f"{names} asks for the group's labels, and its shape is not known"
            yield PodWake(member=member, reason=Reason.LEARN_SHAPE, beside=wake.beside, text=text)


def _asks_for(policy: Policy, node: Node, waiting: Pending, templates: Sequence[KubeNode]) -> bool:
    """Whether the pod asks for a machine of the group, as far as that is declared, and fits no other group."""
    pod, declared = waiting.pod, node.spec.template
    labels = {**declared.labels, **policy.labels, GROUP_LABEL: policy.name}
    repelling = (taint for taint in declared.taints if taint.effect in REPELLING)
    if waiting.tied or not names_labels(pod, labels) or not all(tolerated(t, pod.spec.tolerations) for t in repelling):
        return False
    return not any(accepts(each, room(each, {}), pod, requests(pod)) for each in templates)


# --- what ends it ---------------------------------------------------------------------------------------------------


class Unneeded(Struct, frozen=True):
    """A machine that is not to come any more, and why."""

    member: Member
    text: str


def not_needed(
    policy: Policy, members: Sequence[Member], nodes: Mapping[str, Node], waiting: Sequence[Pending] | None
) -> Unneeded | None:
    """A machine that was woken for pods, that is not on its way, and that need not come: none of them waits any more, or it failed
    to start, which is one wake in vain. `waiting`: None: not known, and then it comes."""
    there = None if waiting is None else {each.uid for each in waiting}
    for member in members:
        wish, node = member.wish, nodes.get(member.key.name)
        if wish is None or not member.wanted or wish.reason not in FOR_PODS or node is None:
            continue
        asked = policy.wake_for_pinned if wish.reason == Reason.PINNED_POD else policy.learn_shape
        gone = not asked or (there is not None and not there & woken_for(node).keys())
        if gone and member.phase in AWAY:
            return Unneeded(member, "no pod waits for it any more")
        if member.phase is Phase.START_FAILED and wish.reason == Reason.PINNED_POD:
            return Unneeded(member, "it did not come up for the pods that wait for it")
    return None


def told_in_vain(machines: Sequence[MachineView], waiting: Sequence[Pending]) -> Iterator[Finding]:
    """Pods that a machine was woken for as often as it is, and that wait still."""
    for machine in machines if waiting else ():
        pods = in_vain(machine.node, waiting)
        if pods:
            names = few([pod_name(each.pod) for each in pods])
            text = f"{machine.key.name} was woken twice for {names}, in vain: it is not woken for that any more (hexa why pod)"
            yield Finding(IN_VAIN, "WokenTwice", text)
