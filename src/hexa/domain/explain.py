"""Why a machine is as it is: what is wanted of it and by whom, what it waits for, and which rule keeps it there.

It judges nothing anew: wish, vetoes, limits and what counts come from `wish`, `sensing` and `sizing`, the same that the
controllers act by; here they get the object they stand in, since when, and what to do about them.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Final

from msgspec import Struct

from hexa.domain.arrival import lacking, set_up_until
from hexa.domain.button import wake_withheld
from hexa.domain.conventions import DEFAULTS
from hexa.domain.describe import findings_of
from hexa.domain.explain_others import beside
from hexa.domain.explain_remedy import remedy_words
from hexa.domain.farewell import how_to_take_back, leaving, released
from hexa.domain.findings import Finding
from hexa.domain.group import Limits, Policy, Problem
from hexa.domain.health import NO_SENSOR, POWER_KNOWN
from hexa.domain.lifecycle import FAILED, Event, Phase, phase_of
from hexa.domain.names import OFF_FORBIDDEN_ANNOTATION, SCALE_DOWN_DISABLED
from hexa.domain.resources.core import KubeNode
from hexa.domain.resources.v1alpha1 import Asker, Lookup, Node, Power, Reading, WishRecord
from hexa.domain.sensing import Facts, limit_due, wake_due
from hexa.domain.sizing import Member, counts, may_be_woken, target
from hexa.domain.spec_power import IMAGE_UNKNOWN
from hexa.domain.wish import (
    SAFETY,
    UP,
    WAKE_PROOF,
    Veto,
    base_wish,
    effective_wish,
    held,
    paused,
    powerstate_manager,
    recorded_wish,
)


class Known(Struct, frozen=True, kw_only=True):
    """A machine and what was read around it, put together from the snapshot."""

    key: Lookup
    node: Node
    group: Lookup | None
    """The group that its label names, if there is one."""
    policy: Policy
    limits: Limits
    member: Member
    """The machine as sizing sees it, vetoes judged."""
    others: Sequence[Member]
    """All machines of the group, itself included."""
    acted: Power | None
    """What is acted on: the wish, unless safety forbids it."""
    problems: Sequence[Problem]
    valid: bool
    facts: Facts
    kube: KubeNode | None

    @property
    def phase(self) -> Phase:
        return phase_of(self.node.status)

    @property
    def now(self) -> datetime:
        return self.facts.now


class Demand(Struct, frozen=True, kw_only=True, rename="camel"):
    """Somebody's word over a machine."""

    power: Power
    by: Asker
    object: str
    """What it stands in."""
    reason: str = ""
    since: datetime | None = None
    until: datetime | None = None


class Reason(Struct, frozen=True, kw_only=True, rename="camel"):
    """A rule that keeps a machine where it is."""

    rule: str
    text: str
    object: str = ""
    since: datetime | None = None
    until: datetime | None = None
    remedy: str = ""


class Wait(Struct, frozen=True, kw_only=True, rename="camel"):
    """What is waited for, and until when; without `until` only news ends it."""

    text: str
    until: datetime | None = None


# --- who wants what -------------------------------------------------------------------------------------------------


def demands(known: Known) -> list[Demand]:
    """Who wants what of the machine, the one that decides first; empty: nobody ever asked, it stays as found."""
    node, now = known.node, known.now
    decides, beneath = effective_wish(node, known.policy, now=now), base_wish(node, now=now)
    found = [] if decides is None else [_demand(known, decides)]
    if decides is not None and beneath is not None and decides.by is not beneath.by:
        found.append(_demand(known, beneath))
    return found


def _demand(known: Known, wish: WishRecord) -> Demand:
    hold = held(known.node, known.policy, now=known.now) if wish.by is Asker.HOLD else None
    field = "wish (annotation)" if wish == recorded_wish(known.node) else "spec.powerState"
    return Demand(
        power=wish.power,
        by=wish.by,
        object=_hold_place(known) if hold is not None else f"Node {known.key} {field}",
        reason=hold.reason if hold is not None else wish.reason,
        since=_since_of(known, wish),
        until=hold.until if hold is not None else wish.until,
    )


def _since_of(known: Known, wish: WishRecord) -> datetime | None:
    """A wish that the agent has not taken in yet begins now: of that nothing is known."""
    return None if wish.since == known.now else wish.since


def _hold_place(known: Known) -> str:
    own = known.node.spec.hold
    stands = own is not None and (own.until is None or own.until > known.now)
    return f"Node {known.key} spec.hold" if stands else f"Group {known.group} spec.hold"


# --- why it is in its phase -----------------------------------------------------------------------------------------

EVENT_WORDS: Final[dict[str, str]] = {
    Event.WANTED: "on was wanted",
    Event.UNWANTED: "off was wanted",
    Event.POWER_SEEN: "it was seen to have power, or its kubelet gave a sign of life",
    Event.POWER_GONE: "it was seen to be off",
    Event.STARTED: "the startup Job is done",
    Event.NODE_READY: "its Kubernetes node is Ready",
    Event.NODE_LOST: "its kubelet fell silent, or its Kubernetes node is gone",
    Event.KEPT: "it is wanted on again",
    Event.EMPTY: "no pod is left to evict",
    Event.FORCED: "the drain was forced at its deadline",
    Event.OCCUPIED: "before it was switched off pods came to it, or it was wanted on again",
    Event.OVERDUE: "the limit of the phase before passed",
    Event.COOLED_DOWN: "its cool-off is over",
    Event.REMEDY: "it had power and no living kubelet for long: its power is cycled",
    "FirstSight": "hexa saw it for the first time",
}
"""What an entry of the history was noticed by."""


def cause(known: Known) -> str:
    """What brought the machine into its phase."""
    history = known.node.status.history
    return EVENT_WORDS.get(history[-1].by, history[-1].by) if history else ""


def waits(known: Known) -> list[Wait]:
    """What the machine waits for now, the next to come first."""
    if leaving(known.node):
        return []
    if not known.node.status.phase:
        return [Wait(text="hexa to see it for the first time")]
    if not known.valid:
        return [Wait(text="its problems to be mended; until then it is only watched")]
    pause = paused(known.node, now=known.now)
    if pause is not None:
        return [Wait(text="the end of its pause; until then it is only watched", until=pause.until)]
    others = (Wait(text=text) for text in beside(known.member, known.others))
    return [*_WAITS[known.phase](known), *_waits_for_job(known), *others]


def _waits_for_job(known: Known) -> Iterator[Wait]:
    job = known.node.status.job
    busy = (Phase.POWERING_ON, Phase.BOOTING, Phase.POWERING_OFF)
    if job is not None and job.attempt == known.node.status.attempt and known.phase in busy:
        message = f": {job.message}" if job.message else ""
        yield Wait(text=f"{job.action} Job {known.key.namespace}/{job.name}, {job.outcome}{message}")


def _limit(known: Known) -> datetime | None:
    return limit_due(known.node.status, known.facts, limits=known.limits)


def _unknown(known: Known) -> Iterator[Wait]:
    yield Wait(text="a sign of life or a power reading; without one it counts as off", until=_limit(known))


def _off(known: Known) -> Iterator[Wait]:
    if known.acted is not Power.ON:
        yield Wait(text="a wish for on")
        due = known.member.probe_due if known.policy.probes_wake else None
        if due is not None:  # past it, it waits for its turn: one of the group at a time, and only while there is room
            yield Wait(text="a quiet wake, to see whether it works again", until=due if due > known.now else None)
    elif known.facts.may_wake:
        yield Wait(text="hexa to send the first wake")
    else:
        yield Wait(text="what keeps it from being woken to end")


def _coming(known: Known) -> Iterator[Wait]:
    status, limits = known.node.status, known.limits
    withheld = wake_withheld(known.node, known.facts.reading)
    if withheld:
        yield Wait(text=f"a sign of life; no other wake is sent, for {withheld}")
    elif known.acted is Power.ON and known.facts.may_wake and status.wakes < limits.attempts:
        text = f"a sign of life; without one wake {status.wakes + 1} of {limits.attempts} is sent"
        yield Wait(text=text, until=wake_due(status, limits=limits))
    goal = "a sign of power" if known.phase is Phase.POWERING_ON else "a Ready Kubernetes node"
    yield Wait(text=f"{goal}; without one it has failed to start", until=_limit(known))


def _set_up(known: Known) -> Iterator[Wait]:
    """By the taints that are waited for by default: a site's own setting is the agent's."""
    if (
        known.kube is None
        or (until := set_up_until(known.node.status, DEFAULTS, provision=known.policy.provision)) is None
    ):
        return
    if (lacks := "; ".join(lacking(known.kube, known.node.status, DEFAULTS))) and known.now < until:
        text = f"its Kubernetes node to be set up ({lacks}); until then it is hidden from Cluster Autoscaler"
        yield Wait(text=text, until=until)


def _ready(known: Known) -> Iterator[Wait]:
    yield from _set_up(known)
    until = known.node.status.cool_until
    if known.acted is not Power.OFF:
        return
    if until is not None and until > known.now:
        yield Wait(text="the end of its cool-off; then it is drained again", until=until)
    else:
        yield Wait(text="hexa to begin the drain")


def _draining(known: Known) -> Iterator[Wait]:
    forced = "switched off with what is left" if known.policy.drain.force else "given up"
    yield Wait(text=f"its pods to leave; else the drain is {forced}", until=_limit(known))


def _powering_off(known: Known) -> Iterator[Wait]:
    yield from (Wait(text=text) for text in remedy_words(known.node))
    yield Wait(text="the machine to go dark; else it has failed to stop", until=_limit(known))


def _failed(known: Known) -> Iterator[Wait]:
    yield from (Wait(text=text) for text in remedy_words(known.node))
    then = "it is drained and switched off again" if known.phase is Phase.STOP_FAILED else "it is looked at anew"
    yield Wait(text=f"the end of its cool-off; then {then}", until=known.node.status.cool_until)


def _lost(known: Known) -> Iterator[Wait]:
    words = list(remedy_words(known.node))
    yield from (Wait(text=text) for text in words)
    if words and known.node.status.reading.power is Reading.ON:
        return
    if known.acted is Power.ON and known.facts.may_wake:
        yield Wait(text="its kubelet; else it is woken, unless it has power", until=_limit(known))
    elif known.acted is Power.OFF and known.policy.drain.force:
        yield Wait(text="its pods to end; else it is switched off by force", until=_limit(known))
    else:
        yield Wait(text="its kubelet, or a person")


_WAITS: Final = {
    Phase.UNKNOWN: _unknown,
    Phase.OFF: _off,
    Phase.POWERING_ON: _coming,
    Phase.BOOTING: _coming,
    Phase.READY: _ready,
    Phase.DRAINING: _draining,
    Phase.POWERING_OFF: _powering_off,
    Phase.START_FAILED: _failed,
    Phase.STOP_FAILED: _failed,
    Phase.LOST: _lost,
}


# --- what keeps it --------------------------------------------------------------------------------------------------

REMEDIES: Final = {
    "CoolingOff": "mend what blocked the drain: hexa drain-check {name}",
    "Hold": "hexa auto {name}",
    "KubernetesNodeTaken": "correct spec.kubernetesNodeName, of this machine or of the other",
    "Paused": "hexa resume {name}",
    WAKE_PROOF: "wake once what is off (hexa on), set spec.exerciseEvery on the group, or spec.wakeProof: Warn",
}


def kept_on(known: Known) -> list[Reason]:
    """Every rule that keeps the machine from being switched off, or Cluster Autoscaler from asking for it."""
    found = [_of_veto(known, veto) for veto in known.member.off_vetoes]
    policy, size = known.policy, target(known.others)
    if known.group is not None and counts(known.member) and size <= policy.min_size:
        text = f"the group has {size} machines on or coming, and minSize is {policy.min_size}"
        where = f"Group {known.group} spec.minSize"
        found.append(Reason(rule="MinSize", text=text, object=where, remedy="lower minSize"))
    if known.kube is not None and _forbidden_by_others(known.kube):
        text = f"somebody set {SCALE_DOWN_DISABLED}=true, so Cluster Autoscaler never asks for its off"
        name = known.kube.metadata.name
        remedy = f"kubectl annotate node {name} {SCALE_DOWN_DISABLED}-"
        found.append(Reason(rule="ScaleDownDisabled", text=text, object=f"Kubernetes node {name}", remedy=remedy))
    return found


def _forbidden_by_others(kube: KubeNode) -> bool:
    annotations = kube.metadata.annotations
    return annotations.get(SCALE_DOWN_DISABLED) == "true" and OFF_FORBIDDEN_ANNOTATION not in annotations


def kept_from_waking(known: Known) -> list[Reason]:
    """Every rule that keeps the machine from being chosen to wake."""
    found = [_of_veto(known, veto) for veto in known.member.on_vetoes]
    status, policy = known.node.status, known.policy
    if known.member.cooling:
        text = f"left alone after {status.failures} failures in a row"
        found.append(Reason(rule="CoolingOff", text=text, object=f"Node {known.key}", until=status.cool_until))
    if not known.valid:
        found.append(Reason(rule="Invalid", text="it has problems, see there", object=f"Node {known.key}"))
    size = target(known.others)
    if may_be_woken(known.member) and policy.max_size is not None and size >= policy.max_size:
        text = f"the group has {size} machines on or coming, and maxSize is {policy.max_size}"
        where = f"Group {known.group} spec.maxSize"
        found.append(Reason(rule="MaxSize", text=text, object=where, remedy="raise maxSize"))
    return found


def _of_veto(known: Known, veto: Veto) -> Reason:
    condition = next((c for c in known.node.status.conditions if c.type == veto.reason), None)
    where, name, until = f"Node {known.key}", str(known.key), None
    match veto.reason:
        case "Hold":
            where, hold = _hold_place(known), held(known.node, known.policy, now=known.now)
            until = hold.until if hold is not None else None
            name = f"--group {known.group}" if where.startswith("Group") else name
        case "Paused":
            pause = paused(known.node, now=known.now)
            where, until = f"{where} spec.paused", pause.until if pause is not None else None
        case "CoolingOff":
            until = known.node.status.cool_until
        case _:
            pass
    return Reason(
        rule=veto.reason,
        text=veto.message,
        object=where,
        since=condition.last_transition_time if condition is not None else None,
        until=until,
        remedy=REMEDIES.get(veto.reason, "").format(name=name),
    )


# --- in one sentence ------------------------------------------------------------------------------------------------

STEADY: Final = {Phase.READY: Power.ON, Phase.OFF: Power.OFF}
"""Phases that a machine stays in while what is wanted is what it is."""


def obstacle(known: Known) -> Reason | None:
    """What stands between the machine and what is wanted of it, the most important; None: nothing does."""
    if (given_up := _given_up(known)) is not None:
        return given_up
    if not known.valid:
        return _invalid(known)
    if (veto := _vetoed(known)) is not None:
        return _of_veto(known, veto)
    where, status = f"Node {known.key}", known.node.status
    if status.blocker:
        return Reason(rule="DrainBlocked", text=status.blocker, object=where, remedy=f"hexa drain-check {known.key}")
    failed = [finding for finding in _findings(known) if finding.type in ("Blocked", "Failed")]
    if known.phase in FAILED and failed:
        rule = failed[-1].reason  # Blocked comes after Failed, and says what a person can do
        return Reason(rule=rule, text=failed[-1].message, object=where, since=status.since)
    return None


def hindrance(known: Known) -> Reason | None:
    """What will stand in the way, though nothing does now: the first of its problems."""
    problem = next(iter(known.problems), None)
    if problem is None:
        return None
    text = f"{problem.field}: {problem.text}"
    return Reason(rule=problem.reason, text=text, object=f"Node {known.key}", remedy=problem.remedy)


def unread(node: Node) -> Iterator[Problem]:
    """That its power can't be read, as the agent has told it in the status."""
    told = next((each for each in node.status.conditions if each.type == POWER_KNOWN), None)
    if told is not None and told.status != "True" and told.reason != NO_SENSOR:
        what, _, remedy = told.message.partition("; ")
        text = f"its power is not known: {what}"
        yield Problem("spec.power", text, remedy, severity="warning", reason="PowerUnknown")


def image_known(machines: Iterable[Node]) -> bool:
    """Whether the agent knows an image for the Jobs of spec.power: where it does not, it has told a machine so."""
    return not any(IMAGE_UNKNOWN in each.message for machine in machines for each in machine.status.conditions)


def _given_up(known: Known) -> Reason | None:
    """Released or being deleted: hexa does nothing more to it."""
    metadata, where = known.node.metadata, f"Node {known.key}"
    if metadata.deletion_timestamp is not None:
        text = "its Node resource is being deleted, and its power stays as it is"
        return Reason(rule="Deleted", text=text, object=where, since=metadata.deletion_timestamp)
    if released(metadata):
        text, remedy = "it was released, and hexa does nothing to it", f"to take it back: {how_to_take_back(known.key)}"
        return Reason(rule="Released", text=text, object=where, remedy=remedy)
    return None


def _invalid(known: Known) -> Reason:
    problem = next((p for p in known.problems if p.severity == "error"), None)
    if problem is None:  # nothing else makes a machine invalid
        text = "its Kubernetes node is a control-plane member; move it out of the group, or set spec.allowControlPlane"
        return Reason(rule="ControlPlane", text=text, object=f"Node {known.key}")
    return Reason(rule=problem.reason, text=f"{problem.field}: {problem.text}", remedy=problem.remedy)


def _vetoed(known: Known) -> Veto | None:
    """The veto that keeps the wish from being acted on."""
    off, on, wish = known.member.off_vetoes, known.member.on_vetoes, known.member.wish
    if wish is None or STEADY.get(known.phase) is wish.power:
        return None
    found = [veto for veto in on if veto.reason == "Paused"]
    if wish.power is Power.OFF and known.phase in UP:
        found += [veto for veto in off if veto.reason in SAFETY | {"CoolingOff", WAKE_PROOF}]
    if wish.power is Power.ON and known.phase is Phase.OFF:
        found += on
    return found[0] if found else None


def _findings(known: Known) -> list[Finding]:
    return findings_of(
        known.node.status,
        wish=known.member.wish,
        problems=known.problems,
        off_vetoes=known.member.off_vetoes,
        on_vetoes=known.member.on_vetoes,
        manager=powerstate_manager(known.node),
    )


IS: Final[dict[Phase, str]] = {
    Phase.UNKNOWN: "is not known yet",
    Phase.OFF: "is off",
    Phase.POWERING_ON: "is being woken",
    Phase.BOOTING: "boots",
    Phase.READY: "is on",
    Phase.DRAINING: "drains",
    Phase.POWERING_OFF: "is being switched off",
    Phase.START_FAILED: "failed to start",
    Phase.STOP_FAILED: "failed to stop",
    Phase.LOST: "is lost",
}


def summary(known: Known) -> str:
    """What it is, what is wanted, and what stands between: one sentence."""
    name = known.key.name
    if (given_up := _given_up(known)) is not None:
        return f"{name}: {given_up.text}"
    if not known.node.status.phase:
        return f"{name} was never seen by hexa"
    first = next(iter(demands(known)), None)
    what = f"{name} {IS[known.phase]}"
    if first is None:
        return f"{what}, and nobody ever asked for anything: it stays as found"
    wanted = f"{first.by} wants it {first.power}"
    stands = obstacle(known)
    if stands is None:
        return f"{what}: {wanted}"
    return f"{what}, and {wanted}; {stands.rule} stands against it: {stands.text}"


LATE: Final = 60.0
"""Seconds that a running agent needs at most to do what is due."""


def stale(known: Known) -> str:
    """Why the status looks as if no agent kept it; empty: it does not."""
    node, now = known.node, known.now
    status, wish = node.status, known.member.wish
    if leaving(node):
        return ""
    if not status.phase:
        return "the object has no status"
    if status.observed_generation < node.metadata.generation:
        return "the last change of its spec is not in its status yet"
    if wish is not None and (status.wish is None or status.wish.power is not wish.power):
        return f"{wish.power} is wanted, and its status does not know"
    due = next((wait for wait in waits(known) if wait.until is not None), None)
    if due is not None and due.until is not None and (now - due.until).total_seconds() > LATE:
        return f"it waited for {due.text} until {due.until.isoformat(timespec='seconds')}"
    return ""
