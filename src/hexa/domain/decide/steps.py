"""The steps of the lifecycle table, and what is told of them."""

from typing import Final

from msgspec import structs

from hexa.domain.decide.decision import Decision
from hexa.domain.decide.facts import signs_of
from hexa.domain.decide.observed import Observed
from hexa.domain.decide.saved import about, lock_of_wakes, save
from hexa.domain.machine.lifecycle import Event, Phase, forgiven, phase_of, step
from hexa.domain.machine_view import MachineView
from hexa.domain.news import Change, News, Severity, What
from hexa.domain.pods.drain import Plan
from hexa.domain.pods.left import left_at_deadline
from hexa.domain.resources.v1alpha1 import Lookup, NodeStatus
from hexa.domain.rules.health import outage_of
from hexa.domain.rules.quarantine import returned
from hexa.domain.rules.traffic import counted

WARNINGS: Final = frozenset({Phase.START_FAILED, Phase.STOP_FAILED, Phase.LOST})
GOES: Final = frozenset({Phase.DRAINING, Phase.POWERING_OFF})
"""Entering these begins an off."""
CYCLED: Final = "it reads On and its kubelet is silent; its power is cut, and its pods end without grace"


def take_step(machine: MachineView, observed: Observed, event: Event, *, plan: Plan | None) -> Decision | None:
    """The step that the table has for the event."""
    status = step(machine.node.status, event, now=observed.now, limits=machine.limits)
    if machine.safe_hands is not None and status.failures > machine.node.status.failures:
        status = forgiven(status, machine.node.status, now=observed.now, limits=machine.limits)
    if event is Event.OVERDUE and machine.phase is Phase.DRAINING and plan is not None and not status.blocker:
        left = left_at_deadline(plan, longest=machine.policy.drain.grace, limit=machine.limits.drain)
        status = structs.replace(status, blocker=left)
    news = step_news(machine, observed, status, event)
    if event is Event.POWER_CYCLE and machine.group is not None:
        news = (about(machine, What.POWER_CYCLE, CYCLED, severity=Severity.WARNING), *news)
    return save(machine, observed, status, news=news, lock=_lock(machine, event, phase_of(status)))


def _lock(machine: MachineView, event: Event, phase: Phase) -> Lookup | None:
    """The group's, where it is counted how many of its machines go down at once: then one of them is decided at a time. Of wakes
    the one lock of all wakes: machines of other groups may count."""
    if phase is Phase.POWERING_ON:
        return lock_of_wakes(machine)
    if machine.group is None:
        return None
    return machine.group.key if event is Event.POWER_CYCLE or (phase in GOES and counted(machine.policy)) else None


def step_news(machine: MachineView, observed: Observed, status: NodeStatus, event: Event) -> tuple[News, ...]:
    """What is told of the step that led to the status."""
    phase = phase_of(status)
    severity = Severity.WARNING if phase in WARNINGS else Severity.NORMAL
    happened = f"; {outage_of(signs_of(machine, observed, status)).text}" if phase is Phase.LOST else ""
    text = f"{machine.phase} -> {status.phase}: {event}{happened}"
    told = structs.replace(
        about(machine, What(phase), text, severity=severity),
        change=Change(str(machine.phase), status.phase, str(event)),
    )
    probed = machine.probed(observed.now)
    back = returned(machine.node.status, probed=probed) if event is Event.NODE_READY else ""
    return (told, about(machine, What.RETURNED, back)) if back else (told,)
