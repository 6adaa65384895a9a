"""Kubernetes nodes that no machine claims: one that came after a wake may be the machine's, under another name.

A kubelet that registers NAME-SUFFIX (k3s --with-node-id, Kairos) or its full host name is up, and the machine that declares NAME
seems never to come. Nobody acts on a likeness: words follow from it, and that the machine stays on while pods run there.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from hexa.domain.machine.findings import Finding
from hexa.domain.machine.identity import IDENTITY_CHANGED
from hexa.domain.machine.lifecycle import COMING, Phase, phase_of
from hexa.domain.names import CONTROL_PLANE_LABELS
from hexa.domain.resources.core import KubeNode
from hexa.domain.resources.v1alpha1 import NodeStatus

AWAITED: Final = COMING | {Phase.START_FAILED, Phase.UNKNOWN}
"""Phases in which a machine that was woken is waited for."""
SHOWN: Final = 3
CLOCKS: Final = timedelta(seconds=30)
"""So far the API server's clock may be from ours."""
GRACE: Final = timedelta(minutes=1)
"""So long after a kubelet's last sign of life it may be said to be Ready still."""


def waited_since(status: NodeStatus) -> datetime | None:
    """When the first wake was sent since the machine was last up; None: it is not waited for."""
    return _woken_since(status) if phase_of(status) in AWAITED else None


def _woken_since(status: NodeStatus) -> datetime | None:
    """The same in any phase."""
    began = None
    for entry in reversed(status.history):
        if entry.action == Phase.READY:
            break
        if entry.action == Phase.POWERING_ON:
            began = entry.at
    return began


def possible_nodes(nodes: Iterable[KubeNode], name: str, *, since: datetime) -> tuple[str, ...]:
    """Which of the nodes (none of them claimed) registered, or became Ready, since then: those with a name like `name` first."""
    found = [node.metadata.name for node in nodes if _is_news(_came(node), since)]
    return tuple(sorted(found, key=lambda other: (not alike(other, name), other))[:SHOWN])


def followed(
    new: KubeNode, old: KubeNode | None, *, heard: datetime | None, up: datetime | None, now: datetime
) -> bool:
    """Whether the kubelet of the `new` node may be that of the `old` one: it came when that was heard no more. Two that were up at
    the same time are two machines. `heard`: the old one's last sign of life, as far as we watched; `up`: when the machine came
    up."""
    marks = [(heard, CLOCKS), (up, CLOCKS)]
    if heard is None and old is not None:
        marks += [(now if _is_ready(old) else at, GRACE) for at in _turned(old)]
    return all(mark is None or _is_news(_came(new), mark, slack) for mark, slack in marks)


def _is_news(came: datetime, since: datetime, slack: timedelta = CLOCKS) -> bool:
    """Times that make no sense are no news."""
    try:
        return since - came <= slack
    except (OverflowError, TypeError):
        return False


def _came(node: KubeNode) -> datetime:
    ready = (c.last_transition_time for c in node.status.conditions if c.type == "Ready" and c.status == "True")
    times = [time for time in (node.metadata.creation_timestamp, *ready) if time is not None]
    return max(times, default=_NEVER)


def alike(one: str, other: str) -> bool:
    """Whether one of the names begins with the other: box-1-ec2407ca and box-1, box-1.lab.example and box-1."""
    return one.lower().startswith(other.lower()) or other.lower().startswith(one.lower())


def namesakes(
    nodes: Iterable[KubeNode], name: str, *, since: datetime | None, silent_since: datetime | None = None
) -> tuple[str, ...]:
    """Which of the nodes (none of them claimed) are Ready, came since then, and have the name with a suffix or a domain, or
    without its own. `silent_since`: those that were Ready then, or later, and are not now, too: such a kubelet may run all the
    same."""
    alike = (node for node in nodes if _same_stem(node.metadata.name, name))
    found = (each.metadata.name for each in alike if _came_since(each, since) or _fell_silent(each, silent_since))
    return tuple(sorted(found))


def _came_since(node: KubeNode, since: datetime | None) -> bool:
    return _is_ready(node) and (since is None or _is_news(_came(node), since))


def _fell_silent(node: KubeNode, since: datetime | None) -> bool:
    """It has ceased to be Ready since then."""
    if since is None or _is_ready(node):
        return False
    return any(at is not None and _is_news(at, since) for at in _turned(node))


def _turned(node: KubeNode) -> list[datetime | None]:
    """When its being Ready, or not, began."""
    return [c.last_transition_time for c in node.status.conditions if c.type == "Ready"]


def newcomers(
    nodes: Iterable[KubeNode], status: NodeStatus, *, within: timedelta, silent: bool = False
) -> tuple[str, ...]:
    """Which of the workers (none of them claimed) are Ready, and came while the machine could be booting from its wake, which was
    not seen to come up since; none where it was not woken. `silent`: those that registered then and are not Ready now, too."""
    since = _woken_since(status)
    if since is None:
        return ()
    workers = (node for node in nodes if CONTROL_PLANE_LABELS.isdisjoint(node.metadata.labels))
    came = ((node.metadata.name, _came(node)) for node in workers if silent or _is_ready(node))
    return tuple(sorted(name for name, at in came if at.tzinfo is not None and since <= at <= since + within))


def last_up(status: NodeStatus) -> datetime | None:
    """When the machine came up last, else was woken; None: neither was ever seen."""
    return status.last_startup_time or _woken_since(status)


def _same_stem(one: str, other: str) -> bool:
    short, long = sorted((one.lower(), other.lower()), key=len)
    return long.startswith((f"{short}-", f"{short}."))


def _is_ready(node: KubeNode) -> bool:
    return any(c.type == "Ready" and c.status == "True" for c in node.status.conditions)


def kept_on(names: Sequence[str]) -> Iterator[Finding]:
    """That its own kubelet is silent, and which one may be its."""
    if names:
        yield Finding(IDENTITY_CHANGED, "OtherName", f"its kubelet is silent, and Kubernetes node {runs_as(names[0])}")


def runs_as(name: str) -> str:
    """What a person does about a likeness."""
    return f"{name} may be this machine: set spec.kubernetesNodeName: {name} if it is; its pods keep the machine on"


def perhaps(names: Sequence[str]) -> str:
    """Where to look for the machine; empty: there is no such node."""
    if not names:
        return ""
    verb = (
        "registered after the wake, and no machine claims it" if len(names) == 1 else "came after the wake, unclaimed"
    )
    what = f"Kubernetes node {names[0]}" if len(names) == 1 else f"Kubernetes nodes {', '.join(names)}"
    return f"; {what} {verb}: if it is this machine, set spec.kubernetesNodeName: {names[0]}"


_NEVER: Final = datetime(1, 1, 2, tzinfo=UTC)
