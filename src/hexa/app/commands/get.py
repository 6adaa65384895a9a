"""What `hexa get` shows: machines and groups in a line each, with the wish, since when, and what stands against it."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from msgspec import Struct, field

from hexa.app.commands.shared.snapshot import NotThere, Picked, Snapshot
from hexa.app.fence import CONTAINED
from hexa.domain.group.sizing import target
from hexa.domain.group_view import GroupView
from hexa.domain.machine_view import MachineView
from hexa.domain.policy.values import active_hold, power_of
from hexa.domain.resources.core import Malformed
from hexa.domain.resources.v1alpha1 import Lookup
from hexa.domain.words.demands import demands
from hexa.domain.words.explain import hindrance, obstacle
from hexa.domain.words.known import Known
from hexa.domain.written.hints import group_hints


class MachineLine(Struct, frozen=True, kw_only=True, rename="camel"):
    namespace: str
    name: str
    wish: str = ""
    by: str = ""
    wished: datetime | None = None
    """Since when it is wanted so."""
    phase: str = ""
    since: datetime | None = None
    """Since when it is in its phase."""
    progress: str = ""
    health: str = ""
    ailment: str = ""
    """Why it is not healthy."""
    uptime: str = ""
    wakes: str = ""
    """How many of the last wakes worked."""
    group: str = ""
    blocker: str = ""
    reading: str = ""
    kubernetes_node: str = ""
    energy: str = ""
    """What it used and saved, in words."""
    created: datetime | None = None


class GroupLine(Struct, frozen=True, kw_only=True, rename="camel"):
    namespace: str
    name: str
    size: int = 0
    target: int = 0
    ready: int = 0
    off: int = 0
    booting: int = 0
    failed: int = 0
    health: str = ""
    mode: str = ""
    wish: str = ""
    """What a hold over the group wants."""
    until: datetime | None = None
    minimum: int = field(name="min", default=0)
    maximum: int | None = field(name="max", default=None)
    next_change: datetime | None = None
    """When a schedule changes its sizes next."""
    changes: str = ""
    blocker: str = ""
    energy: str = ""
    created: datetime | None = None


class Lines(Struct, frozen=True, kw_only=True):
    machines: tuple[MachineLine, ...] = ()
    groups: tuple[GroupLine, ...] = ()


def _contained_machine(snapshot: Snapshot, key: Lookup) -> MachineLine:
    """One that cannot be told of is a line all the same."""
    try:
        return _machine(snapshot, key)
    except Exception as error:
        return MachineLine(namespace=key.namespace, name=key.name, health="unknown", blocker=contained(error))


def _contained_group(snapshot: Snapshot, key: Lookup) -> GroupLine:
    try:
        return _group(snapshot, key)
    except Exception as error:
        return GroupLine(namespace=key.namespace, name=key.name, health="unknown", blocker=contained(error))


def contained(error: Exception) -> str:
    """What is said of an object whose data raised what nobody foresaw."""
    return f"{CONTAINED}: hexa cannot describe it: {type(error).__name__}: {error}"


def _machine(snapshot: Snapshot, key: Lookup) -> MachineLine:
    view = snapshot.views.machine(key)
    if view is None:
        broken = snapshot.store.machines.malformed[key]
        return MachineLine(namespace=key.namespace, name=key.name, health="unknown", blocker=undecodable(broken))
    return line_of(snapshot.known(view), view)


def line_of(known: Known, view: MachineView) -> MachineLine:
    """A machine that decodes."""
    status, wish = view.node.status, next(iter(demands(known)), None)
    stands = obstacle(known) or hindrance(known)
    return MachineLine(
        namespace=known.key.namespace,
        name=known.key.name,
        wish=wish.power if wish else "",
        by=wish.by if wish else "",
        wished=wish.since if wish else None,
        phase=status.phase,
        since=status.since,
        progress=status.progress,
        health=status.health,
        ailment=status.health_reason,
        uptime=status.availability.uptime,
        wakes=status.availability.wakes,
        group=known.group.name if known.group else "",
        blocker=f"{stands.rule}: {stands.text}" if stands else "",
        reading=status.reading.power,
        kubernetes_node=view.kube_name,
        energy=status.energy.summary,
        created=view.node.metadata.creation_timestamp,
    )


def _group(snapshot: Snapshot, key: Lookup) -> GroupLine:
    view = snapshot.group(key)
    if view is None:
        broken = snapshot.store.groups.malformed[key]
        return GroupLine(namespace=key.namespace, name=key.name, health="unknown", blocker=undecodable(broken))
    return group_line_of(snapshot, view)


def group_line_of(snapshot: Snapshot, view: GroupView) -> GroupLine:
    """A group that decodes."""
    key, status, policy = view.key, view.group.status, view.policy
    members = snapshot.views.judged(key, snapshot.now)
    hold = active_hold(policy.hold, now=snapshot.now)
    return GroupLine(
        namespace=key.namespace,
        name=key.name,
        size=len(members),
        target=target(members),
        ready=status.ready,
        off=status.off,
        booting=status.booting,
        failed=status.failed,
        health=status.health,
        mode=policy.mode,
        wish=power_of(hold.power) if hold else "",
        until=hold.until if hold else None,
        minimum=policy.min_size,
        maximum=policy.max_size,
        next_change=policy.next_change.at if policy.next_change else None,
        changes=policy.next_change.what if policy.next_change else "",
        blocker=_of_group(snapshot, view),
        energy=status.energy.summary,
        created=view.group.metadata.creation_timestamp,
    )


def _of_group(snapshot: Snapshot, view: GroupView) -> str:
    """The first error, what the agent tells, or what can never work: that is known without an agent too."""
    hints = group_hints(view, snapshot.views.members(view.key), snapshot.store.conventions)
    unseen, problems = snapshot.unseen(view.key.namespace), [*view.problems, *hints]
    errors = [problem for problem in problems if problem.severity == "error"]
    told = [c.message for c in view.group.status.conditions if c.status == "True"]
    return next(iter([*map(str, (*unseen, *errors)), *told, *map(str, problems)]), "")


def undecodable(broken: Malformed) -> str:
    """What is said of an object that does not decode."""
    return f"does not decode: {broken.problem}"


def chosen(
    snapshot: Snapshot, names: Sequence[str], *, namespace: str | None, machines: bool, groups: bool
) -> tuple[Lines, list[str]]:
    """The lines of what was named (nothing named: of all there is), and what is wrong with the names."""
    if not names:
        picked = Picked(
            machines=tuple(snapshot.machine_keys if machines else ()),
            groups=tuple(snapshot.group_keys if groups else ()),
        )
        return _lines(snapshot, [picked]), []
    found, wrong = list[Picked](), list[str]()
    for name in names:
        try:
            found.append(snapshot.pick(name, namespace=namespace, machines=machines, groups=groups))
        except NotThere as error:
            wrong.append(str(error))
    return _lines(snapshot, found), wrong


def _lines(snapshot: Snapshot, picked: Iterable[Picked]) -> Lines:
    machines, groups = dict[Lookup, None](), dict[Lookup, None]()
    for each in picked:  # once each, however often it was named
        machines |= dict.fromkeys(each.machines)
        groups |= dict.fromkeys(each.groups)
    return Lines(
        machines=tuple(_contained_machine(snapshot, key) for key in machines),
        groups=tuple(_contained_group(snapshot, key) for key in groups),
    )
