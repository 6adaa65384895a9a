"""`hexa release`: gives machines up. It works with an agent that runs and without one, and may be repeated after any interruption.

Each machine is first marked as released, which ends whatever an agent would do to it; then its power Jobs are removed and its
Kubernetes node is cleaned, and the finalizer goes last. Power is switched by an agent alone, and only where a wake is asked for.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, TypeVar

import trio
from msgspec import Struct, structs

from hexa.app.commands.shared.snapshot import find
from hexa.app.node.unmark import unmark
from hexa.app.saving import difference
from hexa.domain.errors import Conflict, HexaError, NotFound, Refused
from hexa.domain.machine.identity import kube_name
from hexa.domain.machine.lifecycle import Phase, enter, phase_of
from hexa.domain.machine.marks import MARKS, handback, how_to_take_back, let_go, marked, owner_of, released
from hexa.domain.machine.wish import forgotten_wish, held
from hexa.domain.machine_view import membership_of, ready
from hexa.domain.names import CHECK_LABEL, RELEASED_ANNOTATION, UID_LABEL
from hexa.domain.policy.limits import Limits
from hexa.domain.policy.policy import Policy, policy_of
from hexa.domain.resources.core import CRON_JOBS, JOBS, NODES, Condition, Kind, KubeNode, Malformed
from hexa.domain.resources.v1alpha1 import GROUPS, MACHINES, Asker, Group, Lookup, Node, NodeStatus, Power
from hexa.domain.rules.own import on_vetoes
from hexa.ports.clock import Clock
from hexa.ports.kube import Kube, Patch, Selector

T = TypeVar("T")
Say = Callable[[str], None]
Machines = dict[Lookup, Node | Malformed]

HOLD_REASON: Final = "hexa release --wake"
HOLD_KEPT: Final = timedelta(hours=1)
"""How long our hold outlasts the wait, should nobody take it back."""
NO_AGENT: Final = 30.0
"""Seconds within which an agent takes note of a hold."""
RELEASED: Final = "Released"
"""Type and reason of the condition that a released machine has."""
LOOK: Final = 1.0
TRIES: Final = 8
SETTLE: Final = 2.0
"""Seconds after which what an agent had begun when it was told has ended."""
ROUNDS: Final = 5


class Wake(Struct, frozen=True, kw_only=True):
    """Machines shall be on before they are released: so many at a time, each within so many seconds."""

    at_once: int
    seconds: float


class Freed(Struct, frozen=True):
    """A machine that was released."""

    key: Lookup
    power: str
    """on or off, by its Kubernetes node."""
    handback: tuple[str, ...]
    """Commands that give its node what it had, after its next boot."""


class Release(Struct, frozen=True):
    """What came of it."""

    freed: tuple[Freed, ...]
    kept: dict[Lookup, str]
    """Machines that were not released, and why."""
    nodes: tuple[str, ...]
    """Kubernetes nodes that were cleaned."""
    left: tuple[str, ...]
    """Kubernetes nodes that are not clean: somebody puts back what is taken off."""


async def release(
    kube: Kube,
    *,
    clock: Clock,
    namespace: str | None,
    names: Sequence[str] = (),
    home: str | None = None,
    wake: Wake | None = None,
    say: Say = lambda _: None,
) -> Release:
    """Release the machines of these names, or without any every machine, group and Kubernetes node of the namespace (None: of all).
    A name is NAME, of the namespace `home` (None: of any), or NAMESPACE/NAME. Raises `NotFound` for one that is no machine's."""
    everything = not names
    machines = _chosen(await _all(kube, MACHINES, namespace), names, home)
    groups = {key: g for key, g in (await _all(kube, GROUPS, namespace)).items() if isinstance(g, Group)}
    if everything:
        for group in groups:
            await _mark(kube, GROUPS, group, clock.now())
    kept = await _woken(kube, machines, groups, wake, clock, say) if wake is not None else {}
    going = {key: machine for key, machine in machines.items() if key not in kept}
    for key in going:
        await _mark(kube, MACHINES, key, clock.now())
    cleaned: set[str] = set()
    left: tuple[str, ...] = ()
    for attempt in range(ROUNDS):
        for key, machine in going.items():
            await _end_jobs(kube, key, machine)
        left = await _clean(kube, going, kept, namespace, everything=everything)
        cleaned.update(left)
        if attempt and not left:
            break
        await trio.sleep(SETTLE)
    for key in going:
        await _let_go(kube, key, clock.now())
    nodes = {node.metadata.name: node for node in await _nodes(kube)}
    freed = tuple(_freed(key, machine, nodes.get(_kube_name(machine))) for key, machine in going.items())
    return Release(freed, kept, tuple(sorted(cleaned)), left)


# --- who ---


async def _all(kube: Kube, kind: Kind[T], namespace: str | None) -> dict[Lookup, T | Malformed]:
    """The objects of the kind, by namespace and name; none where its CRD is gone."""
    try:
        items = (await kube.list(kind, Selector(namespace=namespace))).items
    except Refused as error:
        if error.reason != "KindNotServed":
            raise
        return {}
    return {_key(item): item for item in items}


def _key(item: Any) -> Lookup:
    return Lookup(item.metadata.namespace, item.metadata.name)


def _chosen(machines: Machines, names: Sequence[str], home: str | None) -> Machines:
    """All of them, or those that are named; a name without a namespace is of `home`, if there is one."""
    if not names:
        return machines
    try:
        keys = [find(name.removeprefix("hn/"), machines, namespace=home, what="machine") for name in names]
    except NotFound as error:
        raise NotFound(
            f"{error}; nothing was done (hexa release --all also cleans nodes of deleted machines)"
        ) from None
    return {key: machines[key] for key in keys}


def _kube_name(machine: Node | Malformed) -> str:
    return kube_name(machine) if isinstance(machine, Node) else machine.metadata.name


# --- our resources ---


async def _mark(kube: Kube, kind: Kind[Any], key: Lookup, now: datetime) -> None:
    """From now on no agent touches it. What was wanted of it, and a hold of ours, end with that, in the same write."""
    for _ in range(TRIES):
        item = await _one(kube, kind, key)
        if item is None or released(item.metadata):
            return
        try:
            await _patch(kube, kind, key, Patch(_given_up(item, now), resource_version=item.metadata.resource_version))
        except Conflict:  # a wish may have come meanwhile
            continue
    raise _restless(kind, key)


def _given_up(item: Any, now: datetime) -> dict[str, Any]:
    annotations = {RELEASED_ANNOTATION: f"{now:%Y-%m-%dT%H:%M:%SZ}"}
    if not isinstance(item, Node):
        return {"metadata": {"annotations": annotations}}
    body: dict[str, Any] = {"metadata": {"annotations": {**annotations, **forgotten_wish(item, now=now)}}}
    if item.spec.hold is not None and item.spec.hold.reason == HOLD_REASON:
        body["spec"] = {"hold": None}
    return body


def _restless(kind: Kind[Any], key: Lookup) -> Conflict:
    return Conflict(f"{kind.name} {key} is written by somebody else all the time; repeat the command")


async def _end_jobs(kube: Kube, key: Lookup, machine: Node | Malformed) -> None:
    """Power Jobs and health check of a machine end with their pods, as they do when its resource is deleted."""
    labels = f"{UID_LABEL}={machine.metadata.uid}"
    for job in (await kube.list(JOBS, Selector(namespace=key.namespace, labels=labels))).items:
        await kube.delete(JOBS, job.metadata.name, namespace=key.namespace, uid=job.metadata.uid)
    if isinstance(machine, Node) and machine.status.check is not None:
        checks = Selector(namespace=key.namespace, labels=f"{CHECK_LABEL}={machine.metadata.uid}")
        for check in (await kube.list(CRON_JOBS, checks)).items:
            await kube.delete(CRON_JOBS, check.metadata.name, namespace=key.namespace, uid=check.metadata.uid)


async def _let_go(kube: Kube, key: Lookup, now: datetime) -> None:
    """The finalizer goes, and the life of the machine is forgotten: taken back, it is looked at anew."""
    for _ in range(TRIES):
        item = await _one(kube, MACHINES, key)
        if item is None:
            return
        if isinstance(item, Node) and not any(condition.type == RELEASED for condition in item.status.conditions):
            body = {"status": difference(item.status, _forgotten(item, now))}
            await _patch(kube, MACHINES, key, Patch(body, subresource="status"))
            continue  # what is written next is of the new version
        if body := let_go(item.metadata):
            try:
                await _patch(kube, MACHINES, key, Patch(body, resource_version=item.metadata.resource_version))
            except Conflict:
                continue
        return
    raise _restless(MACHINES, key)


def _forgotten(machine: Node, now: datetime) -> NodeStatus:
    """The status of a machine that nobody follows: its shape is kept, a condition says how to take it back, and without a phase
    it will be seen for the first time then."""
    text = f"given up; to take it back: {how_to_take_back(_key(machine))}"
    condition = Condition(
        type=RELEASED, status="True", reason=RELEASED, message=text, last_transition_time=now.replace(microsecond=0)
    )
    status = enter(machine.status, Phase.UNKNOWN, event=None, now=now, limits=Limits())
    kept = structs.replace(status, job=None, conditions=(condition,), power_state="unknown", progress="", blocker="")
    return structs.replace(kept, phase="")


async def _one(kube: Kube, kind: Kind[T], key: Lookup) -> T | Malformed | None:
    found = await kube.list(kind, Selector(namespace=key.namespace, fields=f"metadata.name={key.name}"))
    return next(iter(found.items), None)


async def _patch(kube: Kube, kind: Kind[Any], key: Lookup, patch: Patch) -> None:
    """What went meanwhile is fine, and so is what is written but does not decode."""
    try:
        await kube.patch(kind, key.name, patch, namespace=key.namespace)
    except NotFound:
        return
    except Refused as error:
        if error.reason != "Malformed":
            raise


# --- Kubernetes nodes ---


async def _nodes(kube: Kube) -> list[KubeNode]:
    return [node for node in (await kube.list(NODES)).items if isinstance(node, KubeNode)]


async def _clean(
    kube: Kube, going: Machines, kept: Iterable[Lookup], namespace: str | None, *, everything: bool
) -> tuple[str, ...]:
    """Take our marks off every node concerned; the names of those that had any."""
    names = {_kube_name(machine) for machine in going.values()}
    stay, cleaned = set(kept), []
    for node in await _nodes(kube):
        owner, mine = owner_of(node), node.metadata.name in names
        left_over = everything and owner not in stay and _left_over(node, owner, namespace)
        if not (owner in going or (owner is None and mine) or left_over):
            continue
        if marked(node):
            await _unmark(kube, node)
            cleaned.append(node.metadata.name)
    return tuple(cleaned)


def _left_over(node: KubeNode, owner: Lookup | None, namespace: str | None) -> bool:
    """A node whose machine was deleted while no agent was there to clean it."""
    if owner is None:
        return namespace is None and any(mark in node.metadata.annotations for mark in MARKS)
    return namespace in (None, owner.namespace)


async def _unmark(kube: Kube, node: KubeNode | None) -> None:
    for _ in range(TRIES):
        if node is None:
            return
        try:
            await unmark(kube, node)
            return
        except NotFound:
            return
        except Conflict:  # its kubelet or an agent wrote: read it again
            name = f"metadata.name={node.metadata.name}"
            found = (await kube.list(NODES, Selector(fields=name))).items
            node = next((each for each in found if isinstance(each, KubeNode)), None)


def _freed(key: Lookup, machine: Node | Malformed, node: KubeNode | None) -> Freed:
    power = "on" if node is not None and ready(node) else "off"
    if node is not None or isinstance(machine, Malformed):
        return Freed(key, power, ())
    return Freed(key, power, tuple(handback(kube_name(machine), machine.status.template)))


# --- waking ---


class _Waking(Struct):
    """A machine that was asked to come, and since when on Trio's clock."""

    since: float
    answered: bool = False


async def _woken(
    kube: Kube, machines: Machines, groups: dict[Lookup, Group], wake: Wake, clock: Clock, say: Say
) -> dict[Lookup, str]:
    """Have an agent wake what is not up; who does not come, and why."""
    kept: dict[Lookup, str] = {}
    waiting = sorted(machines, key=str)
    coming: dict[Lookup, _Waking] = {}
    while waiting or coming:
        now, fresh = clock.now(), await _fresh(kube, machines)
        for key in [*coming, *waiting]:
            if _is_up(fresh.get(key)):
                if coming.pop(key, None) is not None:
                    say(f"{key}: ready")
                else:
                    waiting.remove(key)
        for key, reason in list(_late(coming, fresh, wake)):
            del coming[key]
            kept[key] = reason
        while waiting and len(coming) < wake.at_once:
            key = waiting.pop(0)
            if reason := await _ask(kube, key, fresh.get(key), groups, now, wake):
                kept[key] = reason
            else:
                coming[key] = _Waking(trio.current_time())
                say(f"{key}: waking")
        if coming:
            await trio.sleep(LOOK)
    return kept


async def _fresh(kube: Kube, machines: Machines) -> Machines:
    found: Machines = {}
    for namespace in {key.namespace for key in machines}:
        found |= await _all(kube, MACHINES, namespace)
    return found


def _is_up(machine: Node | Malformed | None) -> bool:
    """Whether there is nothing to wait for; a machine that is being deleted, released or gone is waited for by nobody."""
    if not isinstance(machine, Node):
        return machine is None
    gone = machine.metadata.deletion_timestamp is not None or released(machine.metadata)
    return gone or (phase_of(machine.status) is Phase.READY and machine.status.welcomed)


def _late(coming: dict[Lookup, _Waking], fresh: Machines, wake: Wake) -> Iterator[tuple[Lookup, str]]:
    now = trio.current_time()
    for key, waking in coming.items():
        machine = fresh.get(key)
        wish = machine.status.wish if isinstance(machine, Node) else None
        waking.answered = waking.answered or (wish is not None and wish.by is Asker.HOLD and wish.power is Power.ON)
        if not waking.answered and now - waking.since > NO_AGENT:
            yield (
                key,
                "no hexa agent acts on it; start one, or switch the machine on by hand and release it without --wake",
            )
        elif now - waking.since > wake.seconds:
            phase = machine.status.phase if isinstance(machine, Node) else "unknown"
            yield (
                key,
                f"not Ready within {wake.seconds:.0f} s, its phase is {phase}; see kubectl describe hn {key.name}",
            )


async def _ask(
    kube: Kube, key: Lookup, machine: Node | Malformed | None, groups: dict[Lookup, Group], now: datetime, wake: Wake
) -> str:
    """Hold the machine on, unless somebody else's word or a missing way on forbids it; why not."""
    if not isinstance(machine, Node):
        return "its Node resource does not decode; see hexa validate"
    membership = membership_of(machine)
    group = groups.get(membership) if membership is not None else None
    policy = policy_of(group)[0] if group is not None else Policy()
    if forbidden := next(on_vetoes(machine, policy, now=now), None):
        return f"not woken: {forbidden.message}"
    if held(machine, policy, now=now) is None:
        until = f"{now + timedelta(seconds=wake.seconds) + HOLD_KEPT:%Y-%m-%dT%H:%M:%SZ}"
        hold = {"power": "on", "reason": HOLD_REASON, "until": until}
        try:
            await _patch(kube, MACHINES, key, Patch({"spec": {"hold": hold}}))
        except HexaError as error:
            return f"not woken: {error}"
    return ""
