"""What `hexa power test` will do with a machine, and what speaks against it. It reads only."""

from datetime import datetime, timedelta

from msgspec import Struct, structs

from hexa.app.commands.shared.draining import check
from hexa.app.commands.shared.snapshot import Snapshot
from hexa.domain.machine.lifecycle import Phase
from hexa.domain.machine_view import MachineView
from hexa.domain.people.conformance import (
    STAGES,
    Stage,
    limit_of,
    objections,
    told,
    without_own_hold,
)
from hexa.domain.people.gitops import revert_warning
from hexa.domain.policy.limits import Limits
from hexa.domain.resources.v1alpha1 import Lookup, Node, Power
from hexa.domain.words.kept import Reason
from hexa.ports.kube import Kube


class Part(Struct, frozen=True, kw_only=True):
    """A stage as it is announced."""

    stage: Stage
    text: str
    limit: timedelta


class Plan(Struct, frozen=True, kw_only=True):
    """What a test would do."""

    key: Lookup
    found: Power
    summary: str
    """The machine as it is found."""
    parts: tuple[Part, ...]
    warnings: tuple[str, ...]
    limits: Limits
    rest: timedelta
    boot: str
    node: Node
    beneath: str
    """Who decides over it once the test is over."""

    @property
    def longest(self) -> timedelta:
        """How long the test may take."""
        return sum((part.limit for part in self.parts), timedelta(0))


class Objected(Struct, frozen=True):
    """The machine is not tested, and nothing was done."""

    key: Lookup
    reasons: tuple[Reason, ...]


async def prepare(
    kube: Kube, snapshot: Snapshot, name: str, *, namespace: str | None, rest: timedelta
) -> Plan | Objected:
    """What a test of the machine would do, or why it is not tested. Raises `NotFound` for a name that is no machine's."""
    key = snapshot.pick(name, namespace=namespace, groups=False).machines[0]
    view = snapshot.views.machine(key)
    if view is None:
        broken = Reason(rule="DoesNotDecode", text="its Node resource does not decode", remedy=f"hexa why {key}")
        return Objected(key, (broken,))
    node = without_own_hold(view.node)
    left_over, view = node is not view.node, structs.replace(view, node=node)
    if found := objections(snapshot.known(view), control_plane=view.control_plane, left_over=left_over):
        return Objected(key, tuple(found))
    power = Power.ON if view.phase is Phase.READY else Power.OFF
    parts = [
        Part(stage=stage, text=told(stage, view.node, rest=rest), limit=limit_of(stage, view.limits, rest=rest))
        for stage in STAGES[power]
    ]
    return Plan(
        key=key,
        found=power,
        summary=_summary(view, snapshot.now),
        parts=tuple(parts),
        warnings=tuple(await _warnings(kube, snapshot, view)),
        limits=view.limits,
        rest=rest,
        boot=view.kube.status.node_info.boot_id if view.kube is not None else "",
        node=view.node,
        beneath=_beneath(view, snapshot.now),
    )


def _summary(view: MachineView, now: datetime) -> str:
    group = f" of group {view.group.key.name}" if view.group is not None else ""
    return f"{view.key}{group} is {'on' if view.phase is Phase.READY else 'off'}; {_beneath(view, now)}"


def _beneath(view: MachineView, now: datetime) -> str:
    wish = view.wish(now)
    return f"{wish.by} wants it {wish.power}" if wish is not None else "nobody asked for anything: it stays as found"


async def _warnings(kube: Kube, snapshot: Snapshot, view: MachineView) -> list[str]:
    """What a person should know before saying yes."""
    found = list(snapshot.notes)
    if view.phase is Phase.READY:
        blockers = (await check(kube, view, now=snapshot.now)).blockers
        found += [f"its drain would not end now: {blocker}" for blocker in blockers]
    if reverted := revert_warning(view.node.metadata, "hold"):
        found.append(reverted)
    if not snapshot.agent_seen:
        found.append("no pod labelled as hexa was found: without an agent nothing will happen")
    return found
