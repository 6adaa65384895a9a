"""What brought a machine into its phase, and what it waits for there."""

from collections.abc import Iterator
from datetime import datetime
from typing import Final

from msgspec import Struct

from hexa.domain.machine.button import wake_withheld
from hexa.domain.machine.dues import limit_due, wake_due
from hexa.domain.machine.lifecycle import Event, Phase
from hexa.domain.machine.marks import leaving
from hexa.domain.machine.wish import paused
from hexa.domain.resources.v1alpha1 import Power, Reading
from hexa.domain.rules.judge import awaited, beside
from hexa.domain.words.known import Known


class Wait(Struct, frozen=True, kw_only=True, rename="camel"):
    """What is waited for, and until when; without `until` only news ends it."""

    text: str
    until: datetime | None = None


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
    Event.POWER_CYCLE: "it had power and no living kubelet for long: its power is cycled",
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
    first = (Wait(text=text, until=until) for text, until in awaited(known))
    others = (Wait(text=text) for text in beside(known.member, known.others))
    return [*first, *_WAITS[known.phase](known), *_waits_for_job(known), *others]


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
    elif any(awaited(known)):
        return  # told first
    elif known.facts.may_wake:
        yield Wait(text="hexa to send the first wake")
    elif known.member.put_off:
        yield from (Wait(text=veto.message, until=veto.until) for veto in known.member.put_off)
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


def _ready(known: Known) -> Iterator[Wait]:
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
    yield Wait(text="the machine to go dark; else it has failed to stop", until=_limit(known))


def _failed(known: Known) -> Iterator[Wait]:
    then = "it is drained and switched off again" if known.phase is Phase.STOP_FAILED else "it is looked at anew"
    yield Wait(text=f"the end of its cool-off; then {then}", until=known.node.status.cool_until)


def _lost(known: Known) -> Iterator[Wait]:
    if known.node.status.reading.power is Reading.ON and any(awaited(known)):
        return  # its power is to be cycled
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
