"""Kubernetes' own words for the life of a node: the conditions of 1.37 (KEP-5683). What others say by them is read here; what
hexa says itself is known by its reasons, so that neither is ever taken for the other's. It decides nothing.

The API server takes conditions as free text, in every version: a gate of 1.37 changes nothing about that.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any, Final

from msgspec import Struct

from hexa.domain.machine.findings import Finding
from hexa.domain.machine.lifecycle import Event, Phase, phase_of
from hexa.domain.machine.reason import because_text
from hexa.domain.moment import moment_text
from hexa.domain.resources.core import Condition, KubeNode
from hexa.domain.resources.v1alpha1 import Hold, NodeStatus, WishRecord

DRAINING, DRAINED = "DrainInProgress", "Drained"
PLANNED, MAINTENANCE = "MaintenancePlanned", "MaintenanceInProgress"
OURS: Final = {DRAINING: "HexaDrain", DRAINED: "HexaDrainCompleted", MAINTENANCE: "HexaHold"}
"""Conditions that hexa writes, each with the reason by which it is known as hexa's."""
LONGEST: Final = 200
"""Characters of what somebody else says that are passed on."""

_DOWN: Final = frozenset({Phase.POWERING_OFF, Phase.OFF, Phase.STOP_FAILED})
_COMING: Final = frozenset({Phase.POWERING_ON, Phase.BOOTING})
_TELLING: Final = frozenset({Phase.READY, Phase.LOST, Phase.DRAINING, Phase.POWERING_OFF})
"""Phases whose entry says whether the machine was drained."""


def ours(node: KubeNode) -> tuple[str, ...]:
    """The conditions of the node that are hexa's."""
    return tuple(condition.type for condition in node.status.conditions if _is_ours(condition))


def _is_ours(condition: Condition) -> bool:
    return OURS.get(condition.type) == condition.reason


def by_others(node: KubeNode | None, type_: str) -> Condition | None:
    """What somebody else says by the condition, while it is True."""
    said = not_denied(node, type_)
    return said if said is not None and said.status == "True" else None


def not_denied(node: KubeNode | None, type_: str) -> Condition | None:
    """What somebody else says by the condition, unless it is False: Unknown, and what is no word of Kubernetes, is doubt."""
    for condition in node.status.conditions if node is not None else ():  # asked for each machine at each look
        if condition.type == type_ and condition.status != "False" and not _is_ours(condition):
            return condition
    return None


def in_words(condition: Condition) -> str:
    """Its reason and message as the end of a sentence."""
    return because_text(", ".join(filter(None, (condition.reason, condition.message)))[:LONGEST])


# --- what hexa says -----------------------------------------------------------------------------------


class Life(Struct, frozen=True, kw_only=True):
    """What the conditions of a machine's Kubernetes node follow from."""

    status: NodeStatus
    wish: WishRecord | None = None
    held_off: Hold | None = None
    """A person's hold that keeps the machine off."""


def wanted(life: Life, node: KubeNode) -> Iterator[Finding]:
    """The conditions that are true of the machine now. Those of a machine that boots stay until it is up."""
    phase, stand = phase_of(life.status), ours(node)
    if phase is Phase.DRAINING:
        by = f", as {life.wish.by} wants" if life.wish is not None else ""
        yield Finding(DRAINING, OURS[DRAINING], f"hexa drains the machine{by}")
    if _drained(life.status, stands=DRAINED in stand):
        yield Finding(DRAINED, OURS[DRAINED], "hexa has drained the machine, and switches it off or has done so")
    if life.held_off is not None and phase in _DOWN:
        reason = because_text(life.held_off.reason[:LONGEST])
        yield Finding(MAINTENANCE, OURS[MAINTENANCE], f"a person holds the machine off{reason}")
    elif MAINTENANCE in stand and (phase in _COMING or (phase in _DOWN and _wanted_on(life.wish))):
        yield Finding(MAINTENANCE, OURS[MAINTENANCE], "a person held the machine off; it is on its way up")


def _wanted_on(wish: WishRecord | None) -> bool:
    return wish is not None and wish.power == "on"


def _drained(status: NodeStatus, *, stands: bool) -> bool:
    """Whether the machine went down with nothing left to evict, and has not come up since; not one that was forced, or went dark by
    itself."""
    told = next((entry for entry in reversed(status.history) if entry.action in _TELLING), None)
    if told is None:  # its history is too short
        return stands
    return told.action == Phase.POWERING_OFF and told.by == Event.EMPTY


def patch_of(node: KubeNode, found: Iterable[Finding], *, now: datetime) -> dict[str, Any]:
    """The strategic patch of the node's status by which these and no others are hexa's; empty where nothing differs. What others
    have set to True stays theirs, and so does their doubt about maintenance."""
    present = {condition.type: condition for condition in node.status.conditions}
    wants = {finding.type: finding for finding in found if not _theirs(node, finding.type)}
    changed = [_written(each, present.get(type_), now) for type_, each in wants.items() if _differs(each, present)]
    gone = [{"type": type_, "$patch": "delete"} for type_ in ours(node) if type_ not in wants]
    return {"status": {"conditions": [*changed, *gone]}} if changed or gone else {}


def _theirs(node: KubeNode, type_: str) -> bool:
    said = not_denied if type_ == MAINTENANCE else by_others
    return said(node, type_) is not None


def _differs(finding: Finding, present: dict[str, Condition]) -> bool:
    there = present.get(finding.type)
    said = (finding.status, finding.reason, finding.message)
    return there is None or (there.status, there.reason, there.message) != said


def _written(finding: Finding, there: Condition | None, now: datetime) -> dict[str, Any]:
    same = there is not None and there.status == finding.status
    since = there.last_transition_time if same and there is not None else None
    return {
        "type": finding.type,
        "status": finding.status,
        "reason": finding.reason,
        "message": finding.message,
        "lastTransitionTime": moment_text(since or now),
        "lastHeartbeatTime": moment_text(now),
    }
