"""A status in words: the seed system's fields, health and conditions, from what is known of a machine or a group.

Conditions are present while they hold and removed when they end, but for Joined, Wakeable and PowerKnown, which always stand.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Final, Literal

from msgspec import Struct, structs

from hexa.domain.group import Policy, Problem
from hexa.domain.lifecycle import COMING, FAILED, PROGRESS, Phase, phase_of
from hexa.domain.proof import proven
from hexa.domain.resources.core import Condition
from hexa.domain.resources.v1alpha1 import (
    GroupHealth,
    GroupStatus,
    NodeHealth,
    NodeStatus,
    PowerReading,
    Reading,
    WakeProof,
    WishRecord,
)
from hexa.domain.sizing import Member, counts
from hexa.domain.wish import Veto

PowerWord = Literal["on", "off", "unknown"]

POWER_WORDS: Final[dict[Phase, PowerWord]] = {
    Phase.READY: "on",
    Phase.DRAINING: "on",
    Phase.BOOTING: "on",
    Phase.STOP_FAILED: "on",
    Phase.POWERING_OFF: "on",
    Phase.OFF: "off",
    Phase.POWERING_ON: "off",
}

HEALTH: Final[dict[Phase, NodeHealth]] = {
    Phase.UNKNOWN: NodeHealth.UNKNOWN,
    Phase.START_FAILED: NodeHealth.DEGRADED,
    Phase.STOP_FAILED: NodeHealth.DEGRADED,
    Phase.LOST: NodeHealth.OFFLINE,
}


POWER_KNOWN: Final = "PowerKnown"


class Finding(Struct, frozen=True):
    """A condition that holds now."""

    type: str
    reason: str
    message: str
    status: Literal["True", "False", "Unknown"] = "True"


def findings_of(
    status: NodeStatus,
    *,
    wish: WishRecord | None,
    node_ready: bool,
    problems: Iterable[Problem],
    off_vetoes: Sequence[Veto],
    on_vetoes: Sequence[Veto],
    manager: str,
    reading: PowerReading | None = None,
    trouble: str = "",
    wakeable: Finding | None = None,
) -> list[Finding]:
    """What a person should know of a machine now. `reading`: of its power, `trouble`: why it is Unknown."""
    phase = phase_of(status)
    found = [Finding("Joined", "KubeletReady" if node_ready else "NoReadyNode", "", "True" if node_ready else "False")]
    found += [_power_known(reading, trouble)] if reading is not None else []
    found += [wakeable] if wakeable is not None else []
    found += [_of_problem(problem) for problem in problems]
    found += [Finding(veto.reason, veto.reason, veto.message) for veto in (*off_vetoes, *on_vetoes)]
    if manager:
        message = (
            f"{manager} owns spec.powerState; wishes live in the annotation, and only a change of the value counts"
        )
        found.append(Finding("PowerStateManagedBy", "FieldManager", message))
    if status.job is not None and status.job.outcome == "failed":
        found.append(Finding("PowerJobFailed", "JobFailed", f"{status.job.name}: {status.job.message}"))
    elif status.job is not None and status.job.message:
        found.append(Finding("PowerJobWaiting", "JobWaiting", f"{status.job.name}: {status.job.message}"))
    if phase in FAILED:
        found.append(Finding("Failed", str(phase), _failure_text(phase, status)))
    if status.blocker:
        found.append(Finding("Blocked", "DrainBlocked", status.blocker))
    elif wish is not None and wish.power == "off" and phase is Phase.READY and off_vetoes:
        found.append(Finding("Blocked", off_vetoes[0].reason, off_vetoes[0].message))
    elif phase is Phase.LOST:
        found += _lost_for_good(status, wish)
    return once_each(found)


def wakeable(status: NodeStatus, policy: Policy, *, now: datetime) -> Finding | None:
    """Whether hexa has shown that it can wake the machine, and when; None where the group does not care."""
    if policy.wake_proof is WakeProof.IGNORE:
        return None
    at, failed = status.wake_proven_at, status.wake_failed_at
    if proven(status, policy, now=now):
        return Finding("Wakeable", "Woken", f"a wake of hexa last brought it up at {_moment(at)}")
    if failed is not None:
        return Finding("Wakeable", "WakeFailed", f"the last wake failed at {_moment(failed)}", "False")
    if at is not None:
        text = f"a wake of hexa last brought it up at {_moment(at)}: longer ago than wakeProofLasts"
        return Finding("Wakeable", "ProofAged", text, "False")
    return Finding("Wakeable", "NotWoken", "no wake of hexa has brought it up since it was last switched on", "Unknown")


def _moment(moment: datetime | None) -> str:
    return moment.isoformat(timespec="seconds") if moment is not None else ""


ALWAYS_SAID: Final = frozenset({"Joined", "Wakeable", POWER_KNOWN})
"""Conditions that always say how it is, instead of coming and going."""


def _lost_for_good(status: NodeStatus, wish: WishRecord | None) -> Iterator[Finding]:
    """A machine that hexa itself can't bring out of Lost."""
    if wish is None:
        return
    if wish.power == "off":
        text = (
            "off is wanted, and its pods have not ended; look at the machine, or let the group force (spec.drain.force)"
        )
        yield Finding("Blocked", "LostWithPods", text)
    elif status.reading.power is Reading.ON:
        text = "on is wanted, and it has power but no living kubelet; look at the machine, or cut its power once"
        yield Finding("Blocked", "Hung", text)


def _power_known(reading: PowerReading, trouble: str) -> Finding:
    """Whether its power is known. The time of a reading is told only when it is old: a condition is written when it changes."""
    if reading.power is not Reading.UNKNOWN:
        return Finding(POWER_KNOWN, "Read", f"by {reading.source}")
    return Finding(POWER_KNOWN, "NotRead", trouble or f"{reading.source} does not tell", "Unknown")


def _of_problem(problem: Problem) -> Finding:
    return Finding("Invalid" if problem.severity == "error" else problem.reason, problem.reason, str(problem))


def _failure_text(phase: Phase, status: NodeStatus) -> str:
    until = f"; next try at {status.cool_until.isoformat(timespec='seconds')}" if status.cool_until else ""
    match phase:
        case Phase.START_FAILED:
            return f"no Ready node within its limits after {status.wakes} wakes{until}"
        case Phase.STOP_FAILED:
            return f"still on after its shutdown Job{until}"
        case _:
            return "no sign of life from its kubelet"


def once_each(found: Iterable[Finding]) -> list[Finding]:
    """One condition a type: the first stands, the others' texts follow in its message."""
    merged: dict[str, Finding] = {}
    for finding in found:
        first = merged.get(finding.type)
        if first is None:
            merged[finding.type] = finding
        elif finding.message not in first.message:
            merged[finding.type] = structs.replace(first, message=f"{first.message}; {finding.message}")
    return list(merged.values())


def conditions(
    old: Sequence[Condition], found: Iterable[Finding], *, now: datetime, generation: int
) -> tuple[Condition, ...]:
    """Conditions by type; the transition time changes only where the status does."""
    before = {condition.type: condition for condition in old}
    return tuple(
        Condition(
            type=finding.type,
            status=finding.status,
            reason=finding.reason,
            message=finding.message,
            last_transition_time=_transition(before.get(finding.type), finding, now),
            observed_generation=generation,
        )
        for finding in sorted(found, key=lambda finding: finding.type)
    )


def _transition(before: Condition | None, finding: Finding, now: datetime) -> datetime:
    if before is not None and before.status == finding.status and before.last_transition_time is not None:
        return before.last_transition_time
    return now.replace(microsecond=0)


def described(
    status: NodeStatus,
    found: Iterable[Finding],
    *,
    wish: WishRecord | None,
    reading: PowerReading | None,
    generation: int,
    now: datetime,
) -> NodeStatus:
    """The status with everything that follows from phase, wish and findings."""
    phase = phase_of(status)
    return structs.replace(
        status,
        wish=wish,
        power_state=_power_word(phase, reading),
        progress=PROGRESS[phase],
        health=HEALTH.get(phase, NodeHealth.HEALTHY),
        reading=_steady(status.reading, reading),
        conditions=conditions(status.conditions, found, now=now, generation=generation),
        observed_generation=generation,
    )


def _power_word(phase: Phase, reading: PowerReading | None) -> PowerWord:
    if reading is not None and reading.power is not Reading.UNKNOWN:
        return "on" if reading.power is Reading.ON else "off"
    return POWER_WORDS.get(phase, "unknown")


def _steady(old: PowerReading, new: PowerReading | None) -> PowerReading:
    """A reading is written when its value changes, not each time it is read."""
    if new is None or (old.power is new.power and old.source == new.source):
        return old
    return new


def group_status(
    members: Sequence[Member], found: Iterable[Finding], *, old: GroupStatus, generation: int, now: datetime
) -> GroupStatus:
    """A group in numbers."""
    phases = [member.phase for member in members]
    failed = sum(phase in FAILED for phase in phases)
    return GroupStatus(
        size=len(members),
        target=sum(map(counts, members)),
        ready=phases.count(Phase.READY),
        booting=sum(phase in COMING for phase in phases),
        off=phases.count(Phase.OFF),
        failed=failed,
        health=_group_health(len(members), failed),
        observed_generation=generation,
        conditions=conditions(old.conditions, once_each(found), now=now, generation=generation),
    )


def _group_health(size: int, failed: int) -> GroupHealth:
    if not size:
        return GroupHealth.UNKNOWN
    if failed == size:
        return GroupHealth.OFFLINE
    return GroupHealth.DEGRADED if failed else GroupHealth.HEALTHY
