"""What is wrong with Groups and Nodes that decode, alone and together: for `hexa validate`, and for conditions.

Pure: what the objects refer to, and the time, are arguments. What does not decode is judged in `object`;
the policy's part is in `policy`.
"""

import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import groupby
from typing import Any, Final

from msgspec import Struct, structs

from hexa.domain.duration import parse_duration
from hexa.domain.group.template import declared_shape, mixed, uneven, unlabelled_gpus
from hexa.domain.machine.button import button_problems
from hexa.domain.machine.reason import Reason
from hexa.domain.money.rates import rates_of
from hexa.domain.names import CONTROL_PLANE_LABELS, MEMBERSHIP_LABEL
from hexa.domain.policy.circuits import Circuit, circuit_problems, watts_problem
from hexa.domain.policy.conventions import Conventions
from hexa.domain.policy.labels import BAD_LABEL, is_object_name, label_problems
from hexa.domain.policy.limits import machine_limits
from hexa.domain.policy.policy import Policy, policy_of
from hexa.domain.policy.problem import Problem
from hexa.domain.policy.schedules import INVALID
from hexa.domain.policy.tariffs import unknown_tariff
from hexa.domain.power.claims import claims, rivals_problem
from hexa.domain.power.outlet_problems import outlet_problems
from hexa.domain.power.problems import power_problems
from hexa.domain.power.profile import FilledIn, filled_in, needs_profile
from hexa.domain.power.roles import roles
from hexa.domain.power.ways import Direction, below_spec, governed, hard_problems, lacks
from hexa.domain.resources.core import Kind, Metadata
from hexa.domain.resources.power_spec import PowerSpec
from hexa.domain.resources.v1alpha1 import (
    GROUPS,
    MACHINES,
    Group,
    HardOff,
    Hold,
    Lookup,
    Node,
    NodeSpec,
    Paused,
    PowerProfile,
    Retries,
    Shape,
)
from hexa.domain.rules.dependencies import Place, broken, crowds, dependencies_of, reference_problems
from hexa.domain.rules.health_checks import check_problems
from hexa.domain.spelling import suggestion
from hexa.domain.written.pod_specs import pod_problems
from hexa.domain.written.shape import field_path
from hexa.domain.written.unworkable import unworkable, unworkable_group


class Subject(Struct, frozen=True, order=True):
    """The object that a problem is about."""

    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}"


class Found(Struct, frozen=True):
    """A problem and the object that has it."""

    subject: Subject
    problem: Problem


# --- one object, decoded --------------------------------------------------------------------------


def group_problems(group: Group, *, now: datetime | None = None) -> Iterator[Problem]:
    """What is wrong with a group by itself. Without `now`, nothing is past."""
    for problem in policy_of(group)[
        1
    ]:  # an agent goes on without a schedule that makes no sense; who writes it should not
        yield structs.replace(problem, severity="error") if problem.reason in (INVALID, BAD_LABEL) else problem
    yield from _backoff_problems(group.spec.retries)
    yield from _expired(group.spec.hold, "spec.hold", now)


def profile_problems(profile: PowerProfile) -> Iterator[Problem]:
    """What is wrong with a profile by itself; the rest shows in the machines that it is filled in for."""
    told = profile.spec
    if told.power is not None and isinstance(found := roles(told.power), Problem):
        yield below_spec(found)
    yield from machine_limits(Node(spec=NodeSpec(timeouts=told.timeouts, retries=told.retries)), None)[1]
    yield from _backoff_problems(told.retries)
    yield from label_problems(told.template.labels, "spec.template.labels")


def filled(
    machines: Iterable[Node], profiles: Mapping[Lookup, PowerProfile], *, complete: bool = True
) -> list[FilledIn]:
    """The machines with their profiles. Not `complete`: there may be profiles besides these."""
    found = []
    for machine in machines:
        key = Lookup(machine.metadata.namespace, machine.spec.profile)
        each = filled_in(machine, profiles.get(key))
        unknown = needs_profile(machine) and key not in profiles and not complete
        found.append(FilledIn(machine) if unknown else each)
    return found


def machine_problems(machine: Node, group: Group | None, *, now: datetime | None = None) -> Iterator[Problem]:
    """What is wrong with a machine by itself; its group lends the limits that it does not set."""
    spec, hard_off = machine.spec, group.spec.hard_off if group is not None else HardOff.ALLOW
    allowed = governed(machine, hard_off)
    limits, problems = machine_limits(machine, group)
    yield from problems
    yield from _backoff_problems(spec.retries)
    yield from pod_problems(machine)
    yield from unworkable(machine)
    yield from label_problems(spec.template.labels, "spec.template.labels")
    yield from power_problems(allowed, limits)
    yield from hard_problems(machine, hard_off)
    yield from button_problems(machine)
    if machine.spec.power is not None:
        yield from outlet_problems(machine.spec.power)
    yield from check_problems(machine)
    yield from _watts_problems(machine, group)
    yield from _unavailable(allowed)
    yield from _expired(spec.hold, "spec.hold", now)
    yield from _expired(spec.paused, "spec.paused", now)
    if spec.kubernetes_node_name and not is_object_name(spec.kubernetes_node_name):
        text = f"{spec.kubernetes_node_name!r} is no name of a Kubernetes node"
        yield Problem("spec.kubernetesNodeName", text, "write it as kubectl get nodes shows it", reason="BadName")


def _watts_problems(machine: Node, group: Group | None) -> Iterator[Problem]:
    """Of circuits only their names are known here."""
    watts, most = rates_of(machine).max_watts or None, policy_of(group)[0].max_watts if group is not None else None
    if machine.spec.circuit:
        yield from filter(None, [watts_problem(Circuit(name=machine.spec.circuit, watts=math.inf), watts)])
    if group is not None and most is not None:
        own = Circuit(name=str(_key(group.metadata)), watts=most, of_group=True)
        yield from filter(None, [watts_problem(own, watts)])


def configured_problems(each: Group | Node, conventions: Conventions) -> Iterator[Problem]:
    """What it names of the agent's configuration, and what is not there, or too small for it."""
    if isinstance(each, Group):
        yield from unknown_tariff(each.spec.cost.tariff, conventions.tariffs)
        return
    yield from circuit_problems(each, conventions.circuits)
    watts = rates_of(each).max_watts or None
    circuits = (circuit for circuit in conventions.circuits or () if circuit.name == each.spec.circuit)
    yield from filter(None, (watts_problem(circuit, watts) for circuit in circuits))


_WAYS: Final[tuple[tuple[Direction, str, str, str], ...]] = (
    ("on", "startupPodSpec", "the machine can never be woken", Reason.POWER_ON_UNAVAILABLE),
    ("off", "shutdownPodSpec", "the machine is never chosen to rest", Reason.POWER_OFF_UNAVAILABLE),
)


def _unavailable(machine: Node) -> Iterator[Problem]:
    if needs_profile(machine):
        return  # told as what it is
    for direction, field, so, reason in _WAYS:
        missing = lacks(machine, direction)
        if missing and machine.spec.power is None:
            remedy = f"add the Job that switches it {direction}, or spec.power"
            yield _warning(f"spec.{field}", f"is absent: {so}", remedy, reason)
        elif missing and not isinstance(
            roles(machine.spec.power or PowerSpec()), Problem
        ):  # that is told as what it is
            what, _, remedy = missing.partition("; ")
            yield _warning("spec.power", f"{what}: {so}", remedy, reason)


def _backoff_problems(retries: Retries) -> Iterator[Problem]:
    try:
        first, longest = (parse_duration(each or "") for each in (retries.backoff, retries.max_backoff))
    except ValueError:
        return  # told as what it is
    if first > longest:
        text = f"{retries.backoff} is longer than maxBackoff {retries.max_backoff}"
        yield Problem("spec.retries.backoff", text, "shorten it, or lengthen maxBackoff", reason="BackoffAboveMax")


def _expired(word: Hold | Paused | None, where: str, now: datetime | None) -> Iterator[Problem]:
    if now is not None and word is not None and word.until is not None and word.until <= now:
        text = f"{word.until.isoformat()} is past, so it has no effect"
        yield _warning(f"{where}.until", text, "remove it, or set a later time", "Expired")


# --- objects together -----------------------------------------------------------------------------


def site_problems(groups: Sequence[Group], machines: Sequence[Node], *, complete: bool = True) -> Iterator[Found]:
    """What is wrong with groups and machines together. Not `complete`: there may be groups besides these."""
    by_key = {_key(group.metadata): group for group in groups}
    edges = {_key(machine.metadata): dependencies_of(machine) for machine in machines}
    needed = {key for before in edges.values() for key in before}
    for machine in machines:
        if membership(machine) is None and _key(machine.metadata) in needed:
            continue  # it is switched for those that depend on it
        subject = _subject(MACHINES, machine.metadata)
        for problem in membership_problems(machine, by_key if complete else None):
            yield Found(subject, problem)
    for key, group in by_key.items():
        members = [machine for machine in machines if membership(machine) == key]
        for problem in members_problems(group, members, complete=complete):
            yield Found(_subject(GROUPS, group.metadata), problem)
        for machine in members:
            for problem in member_problems(machine, group):
                yield Found(_subject(MACHINES, machine.metadata), problem)
    yield from _shared_names(machines)
    yield from _shared_power(machines)
    for machine in machines:
        for problem in reference_problems(_key(machine.metadata), edges, edges if complete else None):
            yield Found(_subject(MACHINES, machine.metadata), problem)
    yield from _crowded(by_key, machines, edges)


def _crowded(
    groups: Mapping[Lookup, Group], machines: Sequence[Node], edges: Mapping[Lookup, Sequence[Lookup]]
) -> Iterator[Found]:
    """Machines that can never be on, because the maxSize of a group has no room for them and what they depend on."""
    places = {_key(machine.metadata): _place(groups, machine) for machine in machines}
    for machine in machines:
        key = _key(machine.metadata)
        for crowd in crowds(key, edges, places.get) if broken(key, edges) is None else ():
            yield Found(_subject(MACHINES, machine.metadata), crowd.problem)


def _place(groups: Mapping[Lookup, Group], machine: Node) -> Place | None:
    key = membership(machine)
    group = groups.get(key) if key is not None else None
    return (
        (_key(group.metadata), group.spec.max_size) if group is not None and group.spec.max_size is not None else None
    )


def membership(machine: Node) -> Lookup | None:
    """The group that the machine's label names."""
    name = machine.metadata.labels.get(MEMBERSHIP_LABEL)
    return Lookup(machine.metadata.namespace, name) if name else None


def membership_problems(machine: Node, groups: Collection[Lookup] | None) -> Iterator[Problem]:
    """Whether the machine names a group, and one of these. None: the groups are not known."""
    where, key = f"metadata.labels.{MEMBERSHIP_LABEL}", membership(machine)
    if key is None:
        remedy = f"set the label {MEMBERSHIP_LABEL} to the name of a Group in namespace {machine.metadata.namespace}"
        yield Problem(where, "the machine belongs to no group", remedy, reason="NoGroup")
    elif groups is not None and key not in groups:
        names = [each.name for each in groups if each.namespace == key.namespace]
        close = suggestion(key.name, names)
        elsewhere = [each for each in groups if each.name == key.name]
        remedy = "create it, or correct the label"
        if close:
            remedy = f"did you mean {close}?"
        elif elsewhere:
            remedy = f"{elsewhere[0]} is in another namespace: bring them together"
        yield Problem(where, f"there is no Group {key}", remedy, reason="GroupMissing")


def member_problems(machine: Node, group: Group) -> Iterator[Problem]:
    """What of a machine contradicts its group."""
    labels = machine.spec.template.labels
    for key, value in group.spec.node_selector.items():
        if labels.get(key, value) != value:
            where = field_path(("spec", "template", "labels", key))
            text = f"is {labels[key]!r}, and the group's nodeSelector says {value!r}"
            yield Problem(where, text, "make them equal", reason="SelectorMismatch")
    if not group.spec.allow_control_plane and not CONTROL_PLANE_LABELS.isdisjoint(labels):
        remedy = "take the machine out of the group, or set allowControlPlane on the group"
        yield Problem(
            "spec.template.labels", "the machine is a control-plane member", remedy, reason=Reason.CONTROL_PLANE
        )


def members_problems(group: Group, members: Sequence[Node], *, complete: bool = True) -> Iterator[Problem]:
    """What is wrong with a group because of its machines. Not `complete`: there may be machines besides these."""
    policy, _ = policy_of(group)
    shapes = [declared_shape(member, policy) for member in members]
    return together(policy, members, shapes, complete=complete)


def together(
    policy: Policy,
    members: Sequence[Node],
    shapes: Sequence[Shape | None],
    *,
    complete: bool = True,
    conventions: Conventions | None = None,
) -> Iterator[Problem]:
    """The same, the policy worked out and the shape of each machine too. `conventions`: None in a file, where nobody knows them."""
    if complete and not members:
        remedy = f"label Nodes of namespace {policy.namespace} with {MEMBERSHIP_LABEL}: {policy.name}"
        yield _warning("metadata.name", "no Node belongs to the group", remedy, "NoMachines")
    for field, least in _least_sizes(policy) if complete and members else ():
        if least > len(members):
            count = "1 machine" if len(members) == 1 else f"{len(members)} machines"
            yield _warning(
                field, f"is {least}, and the group has {count}", "lower it, or add machines", "MinAboveMachines"
            )
    yield from unworkable_group(policy, members, shapes)
    known = [shape or _labels_of(member) for member, shape in zip(members, shapes, strict=True)]
    gpus = unlabelled_gpus(filter(None, shapes), conventions) if conventions is not None else None
    yield from filter(None, (mixed(known) or uneven(known), gpus))


def _least_sizes(policy: Policy) -> Iterator[tuple[str, int]]:
    """The group's own minSize, and those of its schedules, whether they hold now or not."""
    yield "spec.minSize", policy.base.min_size if policy.schedules else policy.min_size
    for each in policy.schedules:
        yield from ((f"{each.field}.minSize", value) for name, value in each.sets if name == "min_size")


def _labels_of(machine: Node) -> Shape:
    """Labels count even where the capacity is left to be seen."""
    return Shape(labels=machine.spec.template.labels)


def _shared_names(machines: Sequence[Node]) -> Iterator[Found]:
    for name, group in groupby(sorted(machines, key=_kube_name), key=_kube_name):
        claimants = list(group)
        for machine in claimants if len(claimants) > 1 else []:
            others = sorted(str(_key(other.metadata)) for other in claimants if other is not machine)
            yield Found(_subject(MACHINES, machine.metadata), shared_name_problem(name, others))


def _shared_power(machines: Sequence[Node]) -> Iterator[Found]:
    by_claim: dict[str, list[Node]] = {}
    for machine in machines:
        for claim in claims(machine):
            by_claim.setdefault(claim, []).append(machine)
    for machine in machines:
        rivals = [(claim, _others(machine, by_claim[claim])) for claim in claims(machine) if len(by_claim[claim]) > 1]
        if (problem := rivals_problem(rivals)) is not None:
            yield Found(_subject(MACHINES, machine.metadata), problem)


def _others(machine: Node, claimants: Iterable[Node]) -> list[Lookup]:
    return [_key(each.metadata) for each in claimants if each is not machine]


def shared_name_problem(name: str, others: Iterable[str]) -> Problem:
    """Several machines claim one Kubernetes node."""
    text = f"{name} is also claimed by {', '.join(others)}"
    remedy = "give each machine its own Kubernetes node; none of them is switched until then"
    return Problem("spec.kubernetesNodeName", text, remedy, reason="DuplicateKubernetesNode")


def _kube_name(machine: Node) -> str:
    return machine.spec.kubernetes_node_name or machine.metadata.name


def _key(metadata: Metadata) -> Lookup:
    return Lookup(metadata.namespace, metadata.name)


def _subject(kind: Kind[Any], metadata: Metadata) -> Subject:
    return Subject(kind.name, metadata.namespace, metadata.name)


def _warning(field: str, text: str, remedy: str, reason: str) -> Problem:
    return Problem(field, text, remedy, severity="warning", reason=reason)
