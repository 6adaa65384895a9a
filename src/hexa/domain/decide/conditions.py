"""A status in words: the seed system's fields, health and conditions, from what is known of a machine or a group.

Conditions are present while they hold and removed when they end, but for those of `health`, which always stand.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Final, Literal

from msgspec import structs

from hexa.domain.group.sizing import Member, counts
from hexa.domain.machine.findings import Finding, conditions, once_each
from hexa.domain.machine.lifecycle import COMING, FAILED, PROGRESS, Phase, phase_of
from hexa.domain.machine.reason import Veto
from hexa.domain.machine.unclaimed_nodes import perhaps
from hexa.domain.policy.problem import Problem
from hexa.domain.resources.health import CheckRecord
from hexa.domain.resources.v1alpha1 import (
    GroupStatus,
    NodeStatus,
    PowerReading,
    Reading,
    WishRecord,
)
from hexa.domain.rules.health import Judgement, group_health, job_at_work, steady

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


def findings_of(
    status: NodeStatus,
    *,
    wish: WishRecord | None,
    problems: Iterable[Problem],
    off_vetoes: Sequence[Veto],
    on_vetoes: Sequence[Veto],
    manager: str,
    said: Iterable[Finding] = (),
    possible_nodes: Sequence[str] = (),
) -> list[Finding]:
    """What a person should know of a machine now. `said`: what rules say beside their vetoes (`rules.judge.said`);
    `possible_nodes`: Kubernetes nodes that may be this machine's (`unclaimed_nodes.possible_nodes`)."""
    phase = phase_of(status)
    found = [_of_problem(problem) for problem in problems]
    found += [Finding(veto.reason, veto.reason, veto.message) for veto in (*off_vetoes, *on_vetoes) if not veto.of_site]
    found += said
    if manager:
        message = (
            f"{manager} owns spec.powerState; wishes live in the annotation, and only a change of the value counts"
        )
        found.append(Finding("PowerStateManagedBy", "FieldManager", message))
    job = job_at_work(status)
    if job is not None and job.outcome == "failed":
        found.append(Finding("PowerJobFailed", "JobFailed", f"{job.name}: {job.message}"))
    elif job is not None and job.outcome == "unmade":
        found.append(Finding("PowerJobFailed", "JobNotMade", f"{job.name}: {job.message}"))
    elif job is not None and job.message:
        found.append(Finding("PowerJobWaiting", "JobWaiting", f"{job.name}: {job.message}"))
    if phase in FAILED:
        found.append(Finding("Failed", str(phase), f"{_failure_text(phase, status)}{perhaps(possible_nodes)}"))
    if status.blocker:
        found.append(Finding("Blocked", "DrainBlocked", status.blocker))
    elif wish is not None and wish.power == "off" and phase is Phase.READY and off_vetoes:
        found.append(Finding("Blocked", off_vetoes[0].reason, off_vetoes[0].message))
    elif phase is Phase.LOST:
        found += _lost_for_good(status, wish)
    return once_each(found)


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


def described(
    status: NodeStatus,
    found: Iterable[Finding],
    *,
    wish: WishRecord | None,
    reading: PowerReading | None,
    health: Judgement,
    check: CheckRecord | None,
    generation: int,
    now: datetime,
) -> NodeStatus:
    """The status with everything that follows from phase, wish, findings and the judgement of its health."""
    phase = phase_of(status)
    return structs.replace(
        status,
        wish=wish,
        power_state=_power_word(phase, reading),
        progress=PROGRESS[phase],
        health=health.health,
        health_reason=health.reason,
        health_since=_health_since(status, health, now),
        check=check,
        reading=steady(status.reading, reading),
        conditions=conditions(status.conditions, found, now=now, generation=generation),
        observed_generation=generation,
    )


def _power_word(phase: Phase, reading: PowerReading | None) -> PowerWord:
    if reading is not None and reading.power is not Reading.UNKNOWN:
        return "on" if reading.power is Reading.ON else "off"
    return POWER_WORDS.get(phase, "unknown")


def _health_since(status: NodeStatus, health: Judgement, now: datetime) -> datetime:
    same = (status.health, status.health_reason) == (health.health, health.reason)
    return status.health_since if same and status.health_since is not None else now.replace(microsecond=0)


def group_status(
    members: Sequence[Member], found: Iterable[Finding], *, old: GroupStatus, generation: int, now: datetime
) -> GroupStatus:
    """A group in numbers."""
    phases = [member.phase for member in members]
    return GroupStatus(
        size=len(members),
        target=sum(map(counts, members)),
        ready=phases.count(Phase.READY),
        booting=sum(phase in COMING for phase in phases),
        off=phases.count(Phase.OFF),
        failed=sum(phase in FAILED for phase in phases),
        health=group_health([(member.phase, member.health) for member in members]),
        energy=old.energy,
        observed_generation=generation,
        conditions=conditions(old.conditions, once_each(found), now=now, generation=generation),
    )
