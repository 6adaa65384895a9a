"""`hexa power test`: which machines it may switch, what each of its stages waits for, and by what a machine passes or fails.

A test holds the machine and looks on: drain, Jobs and readings are the agent's, as on any other day. Nothing here compares a time
of the agent's with one of ours: what is new in a stage is told by what stood in the status when it began.
"""

from collections.abc import Iterator
from datetime import timedelta
from enum import StrEnum
from typing import Final

from msgspec import Struct, structs

from hexa.domain.machine.lifecycle import Phase, phase_of
from hexa.domain.machine.marks import leaving
from hexa.domain.machine.reason import Reason as Why
from hexa.domain.policy.limits import Limits
from hexa.domain.power.roles import Roles, roles
from hexa.domain.power.sensor import sensor
from hexa.domain.power.ways import Direction, own_pod
from hexa.domain.resources.core import Condition, KubeNode
from hexa.domain.resources.v1alpha1 import Hold, JobRecord, Node, Power, Reading
from hexa.domain.rules.health import POWER_KNOWN
from hexa.domain.words.explain import IS, STEADY, obstacle
from hexa.domain.words.kept import Reason, kept_from_waking, kept_on
from hexa.domain.words.known import Known
from hexa.domain.words.waits import waits

MARK: Final = "hexa power test"
"""The reason of every hold of a test begins so."""
FAILED_MARK: Final = f"{MARK} failed: "
"""The reason of a hold that a test left behind; the next test may take its place."""

NOTICE: Final = timedelta(seconds=30)
"""Within this an agent has taken note of a hold."""
MARGIN: Final = timedelta(minutes=1)
"""What a stage may take beyond the limit that the agent itself keeps."""
READS_AGAIN: Final = timedelta(seconds=90)
"""Within this what reads the power has read a machine that is up."""
LONGEST_REASON: Final = 300
"""Characters of a hold's reason."""


class Stage(StrEnum):
    DRAIN = "drain"
    OFF = "off"
    REST = "stay off"
    ON = "on"


STAGES: Final = {
    Power.ON: (Stage.DRAIN, Stage.OFF, Stage.REST, Stage.ON),
    Power.OFF: (Stage.ON, Stage.DRAIN, Stage.OFF, Stage.REST),
}
"""By how the machine is found: it ends as it began."""
HELD: Final = {Stage.DRAIN: Power.OFF, Stage.OFF: Power.OFF, Stage.REST: Power.OFF, Stage.ON: Power.ON}
"""What the machine is held to meanwhile."""


def limit_of(stage: Stage, limits: Limits, *, rest: timedelta) -> timedelta:
    """How long the stage may take."""
    match stage:
        case Stage.DRAIN:
            return NOTICE + limits.drain + MARGIN
        case Stage.OFF:
            return limits.power_off + MARGIN
        case Stage.REST:
            return rest + MARGIN
        case Stage.ON:
            return NOTICE + limits.power_on + limits.boot + MARGIN


# --- who may be tested ----------------------------------------------------------------------------


def without_own_hold(node: Node) -> Node:
    """The machine without the hold that a failed test left."""
    hold = node.spec.hold
    if hold is None or not is_left_over(hold):
        return node
    return structs.replace(node, spec=structs.replace(node.spec, hold=None))


def is_left_over(hold: Hold) -> bool:
    """Whether a test that failed has left the hold."""
    return hold.reason.startswith(FAILED_MARK)


def objections(known: Known, *, control_plane: bool, left_over: bool) -> list[Reason]:
    """Why the machine is not tested; empty: it may be. WakeProof is no reason: a test is how the proof is had. `left_over`: the
    hold of a failed test keeps it as it is, whatever else is wanted."""
    where = f"Node {known.key}"
    if leaving(known.node) or (known.node.status.phase and not known.valid):
        stands = obstacle(known)
        return [stands] if stands is not None else []
    if not known.node.status.phase:
        return [Reason(rule="NotSeen", text="hexa has never seen it", object=where, remedy="start the agent")]
    found = list(_vetoes(known))
    if control_plane and not any(each.rule == Why.CONTROL_PLANE for each in found):
        text = "its Kubernetes node is a control-plane member"
        found.insert(0, Reason(rule=Why.CONTROL_PLANE, text=text, object=where, remedy="test it by hand: hexa power"))
    return found or list(_restless(known, left_over=left_over))


def _vetoes(known: Known) -> Iterator[Reason]:
    off = {veto.reason for veto in known.member.off_vetoes} - {Why.WAKE_PROOF}
    on = {veto.reason for veto in known.member.on_vetoes} - off
    yield from (reason for reason in kept_on(known) if reason.rule in off)
    yield from (reason for reason in kept_from_waking(known) if reason.rule in on)


def _restless(known: Known, *, left_over: bool) -> Iterator[Reason]:
    """A machine on its way, or about to be."""
    phase, wish, where = known.phase, known.member.wish, f"Node {known.key}"
    steady = STEADY.get(phase)
    if steady is None:
        text, until = f"it {IS[phase]}", None
        if (waiting := next(iter(waits(known)), None)) is not None:
            text, until = f"{text}, and waits for {waiting.text}", waiting.until
        remedy = "try again when it is on or off"
        yield Reason(rule="InTransition", text=text, object=where, until=until, remedy=remedy)
    elif wish is not None and wish.power is not steady and not left_over:
        text = f"it {IS[phase]}, and {wish.by} wants it {wish.power}"
        yield Reason(rule="InTransition", text=text, object=where, remedy=f"hexa why {known.key}")


# --- how it is done -------------------------------------------------------------------------------


def way(node: Node, direction: Direction) -> str:
    """What switches the machine in this direction, in words."""
    own = own_pod(node, direction)
    if own is not None:
        return f"{'startupPodSpec' if direction == 'on' else 'shutdownPodSpec'} ({own.image})"
    found = roles(node.spec.power) if node.spec.power is not None else None
    if not isinstance(found, Roles):
        return "nothing"
    driver = found.on if direction == "on" else found.off
    return f"spec.power by {driver or found.cut}"


def told(stage: Stage, node: Node, *, rest: timedelta) -> str:
    """What the stage will do, for people."""
    reads = sensor(node)
    match stage:
        case Stage.DRAIN:
            return "cordon it, and ask its pods to leave"
        case Stage.OFF:
            proof = (
                f"until {reads} reads it off" if reads else "until its kubelet falls silent: nothing reads its power"
            )
            return f"run its shutdown Job, {way(node, 'off')}, {proof}"
        case Stage.REST:
            return f"see that it stays off for {rest.total_seconds():g} s"
        case Stage.ON:
            proof = f" and {reads} reads it on" if reads else ""
            return f"run its startup Job, {way(node, 'on')}, until its Kubernetes node is Ready{proof}"


# --- what a look shows ----------------------------------------------------------------------------


class Course(Struct, frozen=True, kw_only=True):
    """A stage under way."""

    stage: Stage
    before: Node
    """The machine as the stage began."""
    boot: str
    """Its boot ID before the test; empty: not known."""
    rest: timedelta


class Look(Struct, frozen=True, kw_only=True):
    """The machine at one moment of a stage."""

    node: Node
    kube: KubeNode | None
    elapsed: timedelta
    """Since the stage began."""
    up: timedelta | None = None
    """For how long it has been seen up in this stage."""


class Passed(Struct, frozen=True):
    """The stage is done."""

    text: str


class Failed(Struct, frozen=True, kw_only=True):
    """The machine fails; or, where it is `refused`, the agent will not do what a test asks for."""

    reason: str
    text: str
    remedy: str
    refused: bool = False


def judge(course: Course, look: Look) -> Passed | Failed | None:
    """How the stage ends by what is seen; None: it goes on."""
    return _JUDGES[course.stage](course, look)


def noted(node: Node, power: Power) -> bool:
    """Whether an agent has taken note of the hold."""
    wish = node.status.wish
    return wish is not None and wish.by == "hold" and wish.power is power


def is_up(look: Look) -> bool:
    """Whether the machine is up and in order: its Kubernetes node is Ready and was given back what it had."""
    status = look.node.status
    return phase_of(status) is Phase.READY and status.welcomed and _ready(look.kube)


def late(course: Course, look: Look) -> Failed:
    """Its time is up, and neither the machine nor the agent has said why."""
    status = look.node.status
    if not noted(look.node, HELD[course.stage]):
        text = "no hexa agent acts on its hold any more"
        return Failed(reason="NoAgent", text=text, remedy="look whether hexa runs: hexa doctor")
    text = f"it {IS[phase_of(status)]} after {look.elapsed.total_seconds():.0f} s{_saying(status.blocker)}"
    return Failed(reason="TooSlow", text=text, remedy=f"hexa why {_name(look.node)}")


def last_seen(node: Node, kube: KubeNode | None) -> Power:
    """The power that a machine is held to which has failed: off only where nothing shows that it is on. What is on is never cut
    because of a test, and what is dark is left alone until somebody has looked at it."""
    phase = phase_of(node.status)
    dark = phase in (Phase.OFF, Phase.POWERING_ON, Phase.START_FAILED)
    return Power.OFF if dark and not _ready(kube) and node.status.reading.power is not Reading.ON else Power.ON


def failure_reason(failed: Failed) -> str:
    """The reason of the hold that stays."""
    text = f"{FAILED_MARK}{failed.text}"
    return text if len(text) <= LONGEST_REASON else f"{text[: LONGEST_REASON - 3]}..."


def _drain(course: Course, look: Look) -> Passed | Failed | None:
    status = look.node.status
    match phase_of(status):
        case Phase.POWERING_OFF | Phase.OFF | Phase.STOP_FAILED:
            return Passed("no pod is left to evict")
        case Phase.READY if status.since != course.before.status.since and status.cool_until is not None:
            text = f"the drain was given up: {status.blocker or 'its pods did not leave in time'}"
            return Failed(
                reason="DrainBlocked", text=text, remedy=f"mend that first: hexa drain-check {_name(look.node)}"
            )
        case Phase.READY if noted(look.node, Power.OFF) and (stands := _blocked(look.node)) is not None:
            text = f"{stands.reason} stands against it: {stands.message}"
            return Failed(reason=stands.reason, text=text, remedy=f"hexa why {_name(look.node)}", refused=True)
        case Phase.LOST:
            return Failed(reason="Lost", text="its kubelet fell silent while it drained", remedy="look at the machine")
        case _:
            return None


def _blocked(node: Node) -> Condition | None:
    found = _condition(node, "Blocked")
    return found if found is not None and found.reason != "DrainBlocked" else None


def _off(course: Course, look: Look) -> Passed | Failed | None:
    status = look.node.status
    match phase_of(status):
        case Phase.OFF:
            reads = sensor(look.node)
            return Passed(f"read off by {status.reading.source}" if reads else "its kubelet fell silent after the Job")
        case Phase.STOP_FAILED:
            return Failed(reason="StopFailed", text=_still_on(look.node), remedy=OFF_REMEDY)
        case Phase.POWERING_OFF if (job := _job(look.node, "shutdown")) is not None and job.outcome == "failed":
            return Failed(
                reason="JobFailed", text=f"its shutdown Job failed: {job.message or job.name}", remedy=OFF_REMEDY
            )
        case Phase.POWERING_OFF:
            return None
        case _:
            return _drain(course, look)


OFF_REMEDY: Final = "try hexa power off by hand; docs/hardware.md says what each kind of machine needs"
ON_REMEDY: Final = "try hexa power on by hand; docs/hardware.md says which flags and firmware settings a wake needs"
AGAIN_REMEDY: Final = (
    'look whether its shutdown restarts it, and at wake sources and "restore on AC power loss" in its firmware'
)


def _still_on(node: Node) -> str:
    """What shows that it did not go off."""
    job, reads, reading = _job(node, "shutdown"), sensor(node), node.status.reading
    done = "its shutdown Job was done"
    if job is not None and job.outcome != "done":
        done = f"its shutdown Job has {'failed' if job.outcome == 'failed' else 'not ended'}{_saying(job.message)}"
    if reads is None:
        return f"{done}, and its kubelet still gives signs of life"
    if reading.power is Reading.ON:
        return f"{done}, and {reading.source} still reads it on"
    known = _condition(node, POWER_KNOWN)
    return f"{done}, and its power is not known{_saying(known.message if known is not None else '')}"


def _rest(course: Course, look: Look) -> Passed | Failed | None:
    if phase_of(look.node.status) is not Phase.OFF:
        after = f"{look.elapsed.total_seconds():.0f} s after it went off"
        text = f"it came up again by itself, {after}: {_came(look.node)}"
        return Failed(reason="CameBack", text=text, remedy=AGAIN_REMEDY)
    return Passed("") if look.elapsed >= course.rest else None


def _came(node: Node) -> str:
    reading = node.status.reading
    return f"{reading.source} reads it on" if reading.power is Reading.ON else "its kubelet gave a sign of life"


def _on(course: Course, look: Look) -> Passed | Failed | None:
    status, phase = look.node.status, phase_of(look.node.status)
    if phase is Phase.START_FAILED:
        return Failed(reason="StartFailed", text=_not_up(look.node), remedy=ON_REMEDY)
    if not is_up(look):
        return None
    if status.wake_proven_at == course.before.status.wake_proven_at:
        job = _job(look.node, "startup")
        why = f": its startup Job failed{_saying(job.message)}" if job is not None and job.outcome == "failed" else ""
        return Failed(reason="NotByWake", text=f"it came up, but not by a wake of hexa{why}", remedy=ON_REMEDY)
    reads = sensor(look.node)
    if reads is not None and status.reading.power is not Reading.ON:
        if look.up is None or look.up < READS_AGAIN:
            return None
        read = f"{reads} reads {status.reading.power.lower()}"
        remedy = f"look whether spec.power names this machine's own {reads}: another machine may be switched through it"
        return Failed(reason="ReadingContradicts", text=f"its Kubernetes node is Ready, and {read}", remedy=remedy)
    return Passed("; ".join(_arrival(course, look)))


def _arrival(course: Course, look: Look) -> Iterator[str]:
    """By what it is known to be up."""
    status, kube = look.node.status, look.kube
    boot = kube.status.node_info.boot_id if kube is not None else ""
    if course.boot and boot:
        yield "Ready with a new boot ID" if boot != course.boot else "Ready by a fresh lease (its boot ID is the same)"
    else:
        yield "Ready by a fresh lease"
    if sensor(look.node) is not None:
        yield f"read on by {status.reading.source}"
    if status.wakes > 1:
        yield f"{status.wakes} wakes were needed"


def _not_up(node: Node) -> str:
    status, job = node.status, _job(node, "startup")
    sent = "1 wake was sent" if status.wakes == 1 else f"{status.wakes} wakes were sent"
    if job is not None and job.outcome == "failed":
        return f"its startup Job failed: {job.message or job.name} ({sent})"
    waited = f"; its startup Job waited: {job.message}" if job is not None and job.message else ""
    read = {
        Reading.ON: f", and {status.reading.source} reads it on: its system hangs, or its kubelet does not join",
        Reading.OFF: f", and {status.reading.source} still reads it off",
    }
    seen = read.get(status.reading.power, "") if sensor(node) is not None else ", without a sign of life"
    return f"{sent}, and no Ready Kubernetes node came within its limits{seen}{waited}"


_JUDGES: Final = {Stage.DRAIN: _drain, Stage.OFF: _off, Stage.REST: _rest, Stage.ON: _on}


def _job(node: Node, action: str) -> JobRecord | None:
    """The power Job of the present attempt, if it is of this action."""
    job = node.status.job
    return job if job is not None and job.attempt == node.status.attempt and job.action == action else None


def _condition(node: Node, kind: str) -> Condition | None:
    return next((each for each in node.status.conditions if each.type == kind and each.status != "False"), None)


def _ready(kube: KubeNode | None) -> bool:
    return kube is not None and any(c.type == "Ready" and c.status == "True" for c in kube.status.conditions)


def _saying(text: str) -> str:
    return f": {text}" if text else ""


def _name(node: Node) -> str:
    return f"{node.metadata.namespace}/{node.metadata.name}"


def under_way(node: Node) -> str:
    """How it stands, for who looks on."""
    status = node.status
    job = status.job if status.job is not None and status.job.attempt == status.attempt else None
    texts = [f"it {IS[phase_of(status)]}"]
    if status.blocker:
        texts.append(f"blocked by {status.blocker}")
    elif job is not None and job.message and job.outcome != "done":
        texts.append(f"{job.action} Job {job.outcome}: {job.message}")
    return "; ".join(texts)
