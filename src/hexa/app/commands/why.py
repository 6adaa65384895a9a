"""What `hexa why` answers for a machine and for a group; the reasons themselves are the domain's."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from msgspec import Struct

from hexa.app.commands.blockers import blocker_of, read_site
from hexa.app.commands.shared.draining import DRAINABLE, Check, check
from hexa.app.commands.shared.snapshot import Snapshot
from hexa.app.fence import CONTAINED
from hexa.domain.errors import Refused
from hexa.domain.group.sizing import counts, fitting, max_size, resters, target, to_rest, to_wake
from hexa.domain.group_view import GroupView
from hexa.domain.machine.availability import counts_since
from hexa.domain.machine.lifecycle import Phase, count_availability
from hexa.domain.machine_view import MachineView
from hexa.domain.policy.policy import Policy
from hexa.domain.policy.problem import Problem
from hexa.domain.policy.schedules import FIELDS
from hexa.domain.resources.core import Condition
from hexa.domain.resources.group_values import Mode
from hexa.domain.resources.v1alpha1 import Lookup, NodeStatus
from hexa.domain.words.blocking import STAYS_ON
from hexa.domain.words.demands import Demand, demands
from hexa.domain.words.explain import hindrance, obstacle, stale, summary
from hexa.domain.words.kept import Reason, kept_from_waking, kept_on
from hexa.domain.words.known import Known
from hexa.domain.words.order import order
from hexa.domain.words.waits import Wait, cause, waits
from hexa.domain.written.hints import group_hints
from hexa.ports.kube import Kube


class Health(Struct, frozen=True, kw_only=True, rename="camel"):
    """How a machine is, and how often it was there."""

    health: str
    reason: str = ""
    since: datetime | None = None
    uptime: str = ""
    """Up to now."""
    counted_since: datetime | None = None
    wakes: str = ""
    """How many of the last wakes worked."""


class MachineAnswer(Struct, frozen=True, kw_only=True, rename="camel"):
    """Why a machine is as it is."""

    machine: str
    group: str
    summary: str
    wishes: tuple[Demand, ...]
    """The one that decides, then the one beneath it."""
    phase: str
    since: datetime | None
    cause: str
    """What brought it into its phase."""
    health: Health
    waits: tuple[Wait, ...]
    kept_on: tuple[Reason, ...]
    blocker: Reason | None
    """The one rule that keeps it on; None: it is not on."""
    kept_from_waking: tuple[Reason, ...]
    order: tuple[str, ...]
    """Its place among the machines of its group that may be woken, or rested, and what puts it there."""
    problems: tuple[str, ...]
    conditions: tuple[Condition, ...]
    kubernetes_node: str
    drain: Check | None = None
    stale: str = ""
    notes: tuple[str, ...] = ()


class MemberAnswer(Struct, frozen=True, kw_only=True, rename="camel"):
    """A machine of a group, in a line."""

    machine: str
    phase: str
    wish: str
    by: str
    counts: bool
    """Whether it counts in the target."""
    reason: Reason | None
    """What stands against its wish, keeps it on (where it is on) or from being woken (where it is off)."""


class GroupAnswer(Struct, frozen=True, kw_only=True, rename="camel"):
    """Why a group has the machines on that it has."""

    group: str
    summary: str
    size: int
    target: int
    min_size: int
    max_size: int | None
    possible: int
    """What Cluster Autoscaler is told as its maximum: what can really come."""
    next_to_wake: tuple[str, ...]
    next_to_rest: tuple[str, ...]
    waking_now: tuple[str, ...]
    """Those that hexa wakes to reach minSize."""
    resting_now: tuple[str, ...]
    """Those that hexa rests to come down to maxSize."""
    schedules: tuple[str, ...]
    """What schedules set now, and what they change next."""
    members: tuple[MemberAnswer, ...]
    problems: tuple[str, ...]
    conditions: tuple[Condition, ...]
    stale: str = ""
    notes: tuple[str, ...] = ()


class BrokenAnswer(Struct, frozen=True, kw_only=True, rename="camel"):
    """An object that nobody can read."""

    subject: str
    summary: str
    notes: tuple[str, ...] = ()


async def explain_machine(kube: Kube, snapshot: Snapshot, key: Lookup) -> MachineAnswer | BrokenAnswer:
    """Everything that a person should know of a machine now."""
    view = snapshot.views.machine(key)
    if view is None:
        broken = snapshot.store.machines.malformed[key]
        return BrokenAnswer(subject=f"Node {key}", summary=f"{key} does not decode: {broken.problem}")
    known, status, notes = snapshot.known(view), view.node.status, snapshot.notes
    drain: Check | None = None
    if view.kube is not None and known.phase in DRAINABLE:
        try:
            drain = await check(kube, view, now=snapshot.now)
        except Refused as error:
            notes = (*notes, f"what a drain would do is not known: {error}")
    blocker: Reason | None = None
    if known.phase in STAYS_ON:
        site = await read_site(kube, snapshot)
        blocker, notes = blocker_of(snapshot, view, site), (*notes, *site.notes)
    return MachineAnswer(
        machine=str(key),
        group=str(known.group or ""),
        summary=summary(known),
        wishes=tuple(demands(known)),
        phase=status.phase,
        since=status.since,
        cause=cause(known),
        health=_health(status, snapshot.now),
        waits=tuple(waits(known)),
        kept_on=tuple(kept_on(known)),
        blocker=blocker,
        kept_from_waking=tuple(kept_from_waking(known)),
        order=tuple(order(known)),
        problems=tuple(map(str, known.problems)),
        conditions=status.conditions,
        kubernetes_node=_kubernetes_node(view),
        drain=drain,
        stale=_stale(snapshot, stale(known)),
        notes=notes,
    )


def _health(status: NodeStatus, now: datetime) -> Health:
    account = count_availability(status, now=now).availability if status.phase else status.availability
    return Health(
        health=status.health,
        reason=status.health_reason,
        since=status.health_since,
        uptime=account.uptime,
        counted_since=counts_since(account) if account.uptime else None,
        wakes=account.wakes,
    )


def _kubernetes_node(view: MachineView) -> str:
    if view.kube is None:
        return f"{view.kube_name}: there is none"
    cordon = "" if not view.kube.spec.unschedulable else ", cordoned by hexa" if view.our_cordon else ", cordoned"
    return f"{view.kube_name}: {'Ready' if view.node_ready else 'NotReady'}{cordon}"


def _stale(snapshot: Snapshot, why: str) -> str:
    if not why:
        return ""
    seen = "a pod labelled as hexa runs" if snapshot.agent_seen else "no pod labelled as hexa was found"
    return f"the status may be stale: {why}; is the agent at work? ({seen})"


def explain_group(snapshot: Snapshot, key: Lookup) -> GroupAnswer | BrokenAnswer:
    """Everything that a person should know of a group now."""
    view = snapshot.group(key)
    if view is None:
        broken = snapshot.store.groups.malformed[key]
        return BrokenAnswer(subject=f"Group {key}", summary=f"{key} does not decode: {broken.problem}")
    members, policy, group = snapshot.views.judged(key, snapshot.now), view.policy, view.group
    old = group.status.observed_generation < group.metadata.generation
    return GroupAnswer(
        group=str(key),
        summary=_summary(view, target(members), len(members)),
        size=len(members),
        target=target(members),
        min_size=policy.min_size,
        max_size=policy.max_size,
        possible=max_size(policy, members),
        next_to_wake=tuple(member.key.name for member in fitting(policy, members)),
        next_to_rest=tuple(member.key.name for member in resters(members)),
        waking_now=tuple(member.key.name for member in to_wake(policy, members)),
        resting_now=tuple(member.key.name for member in to_rest(policy, members)),
        schedules=tuple(_schedules(policy)),
        members=tuple(_contained_member(snapshot, each) for each in snapshot.views.members(key)),
        problems=tuple(map(str, (*view.problems, *_hints(snapshot, view)))),
        conditions=group.status.conditions,
        stale=_stale(snapshot, "the last change of its spec is not in its status yet" if old else ""),
        notes=snapshot.notes,
    )


def _schedules(policy: Policy) -> Iterator[str]:
    for value, setter in policy.by.items():
        yield f"{FIELDS[value]} is {getattr(policy, value)}{setter}"
    if policy.next_change is not None:
        yield str(policy.next_change)


def _hints(snapshot: Snapshot, view: GroupView) -> list[Problem]:
    found = group_hints(view, snapshot.views.members(view.key), snapshot.store.conventions)
    return [*snapshot.unseen(view.key.namespace), *found]


def _summary(view: GroupView, wanted: int, size: int) -> str:
    policy = view.policy
    if policy.mode is Mode.OBSERVE:
        return f"{view.key.name} only observes its {size} machines; {wanted} of them are up"
    if policy.wanted is not None:
        return f"{view.key.name} wants {wanted} of {size} machines on (mode {policy.mode})"
    most = f"at most {policy.max_size}" if policy.max_size is not None else "all allowed"
    return f"{view.key.name} wants {wanted} of {size} machines on (at least {policy.min_size}, {most})"


def _contained_member(snapshot: Snapshot, view: MachineView) -> MemberAnswer:
    """One that cannot be told of is a line all the same."""
    try:
        return _member(snapshot.known(view))
    except Exception as error:
        reason = Reason(rule=CONTAINED, text=f"hexa cannot describe it: {type(error).__name__}: {error}")
        name = view.key.name
        return MemberAnswer(machine=name, phase=view.phase, wish="", by="", counts=False, reason=reason)


def _member(known: Known) -> MemberAnswer:
    first = next(iter(demands(known)), None)
    return MemberAnswer(
        machine=known.key.name,
        phase=known.node.status.phase,
        wish=first.power if first else "",
        by=first.by if first else "",
        counts=counts(known.member),
        reason=obstacle(known) or _first(_kept(known)) or hindrance(known),
    )


def _kept(known: Known) -> Sequence[Reason]:
    return kept_from_waking(known) if known.phase is Phase.OFF else kept_on(known)


def _first(reasons: Sequence[Reason]) -> Reason | None:
    return reasons[0] if reasons else None
