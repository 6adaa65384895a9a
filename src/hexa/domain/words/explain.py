"""Why a machine is as it is: what is wanted of it and by whom, what it waits for, and which rule keeps it there.

It judges nothing anew: wish, vetoes, limits and what counts come from `wish`, `sensing` and `sizing`, the same that the
controllers act by; here they get the object they stand in, since when, and what to do about them.
"""

from typing import Final

from hexa.domain.decide.conditions import findings_of
from hexa.domain.machine.findings import Finding
from hexa.domain.machine.lifecycle import FAILED, Phase
from hexa.domain.machine.marks import how_to_take_back, leaving, released
from hexa.domain.machine.reason import Reason as Why
from hexa.domain.machine.reason import Veto
from hexa.domain.machine.wish import UP, powerstate_manager
from hexa.domain.resources.v1alpha1 import Power
from hexa.domain.rules.judge import stands_against
from hexa.domain.words.demands import demands
from hexa.domain.words.kept import Reason, of_veto
from hexa.domain.words.known import Known
from hexa.domain.words.waits import waits

STEADY: Final = {Phase.READY: Power.ON, Phase.OFF: Power.OFF}
"""Phases that a machine stays in while what is wanted is what it is."""


def obstacle(known: Known) -> Reason | None:
    """What stands between the machine and what is wanted of it, the most important; None: nothing does."""
    if (given_up := _given_up(known)) is not None:
        return given_up
    if not known.valid:
        return _invalid(known)
    if (veto := _vetoed(known)) is not None:
        return of_veto(known, veto)
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
        return Reason(rule=Why.CONTROL_PLANE, text=text, object=f"Node {known.key}")
    return Reason(rule=problem.reason, text=f"{problem.field}: {problem.text}", remedy=problem.remedy)


def _vetoed(known: Known) -> Veto | None:
    """The veto that keeps the wish from being acted on."""
    off, on, wish = known.member.off_vetoes, known.member.on_vetoes, known.member.wish
    if wish is None or STEADY.get(known.phase) is wish.power:
        return None
    found = [veto for veto in on if veto.reason == Why.PAUSED]
    if wish.power is Power.OFF and known.phase in UP:
        found += stands_against(off)
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
        if observed := next((veto.message for veto in known.member.off_vetoes if veto.reason == Why.OBSERVE), ""):
            return f"{what}; {observed}"
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
