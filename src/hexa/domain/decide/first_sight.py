"""A machine that has no stored phase yet: until there is something to say of it, it is Unknown in our mind only, which costs one
write instead of three."""

from hexa.domain.decide.decision import Decision
from hexa.domain.decide.facts import facts_of, inert, with_status
from hexa.domain.decide.identity_change import found_by_marks
from hexa.domain.decide.observed import Observed
from hexa.domain.decide.rest import rest
from hexa.domain.decide.saved import findings, save
from hexa.domain.decide.shapes import as_welcomed
from hexa.domain.decide.steps import step_news
from hexa.domain.decide.welcome import lacks_welcome
from hexa.domain.decide.wishes import corrected, written_down
from hexa.domain.machine.facts import Facts
from hexa.domain.machine.lifecycle import Phase, enter, phase_of, step
from hexa.domain.machine.sensing import sense
from hexa.domain.machine_view import MachineView
from hexa.domain.resources.v1alpha1 import NodeStatus
from hexa.domain.rules.health import ALWAYS_SAID


def first_sight(machine: MachineView, observed: Observed) -> Decision | None:
    """What is to be done with a machine that is seen for the first time; None: it was seen before."""
    stored = machine.node.status
    if stored.phase:
        return None
    if (known := found_by_marks(machine, observed)) is not stored:
        return save(machine, observed, known)
    unknown = enter(stored, Phase.UNKNOWN, event=None, now=observed.first_seen, limits=machine.limits)
    seen = with_status(machine, unknown)
    if (want := written_down(seen, observed)) is not None:
        return want
    facts = facts_of(seen, observed, plan=False)
    event = sense(unknown, facts, limits=machine.limits)
    if event is None and _unremarkable(seen, observed):
        return rest(seen, observed, facts)
    if (want := corrected(machine, observed, event)) is not None:
        return want
    if event is None:
        return save(machine, observed, _found_up(machine, unknown, facts))
    status = step(unknown, event, now=observed.now, limits=machine.limits)
    news = step_news(seen, observed, status, event)
    return save(machine, observed, _found_up(machine, status, facts), news=news)


def _unremarkable(machine: MachineView, observed: Observed) -> bool:
    """Nothing that a person must be told of it, beside what is always said."""
    if inert(machine, observed.now):
        return False
    return all(found.type in ALWAYS_SAID for found in findings(machine, observed, machine.node.status))


def _found_up(machine: MachineView, status: NodeStatus, facts: Facts) -> NodeStatus:
    """A machine found up whose node lacks nothing is welcome as it is: one write instead of three."""
    up, ready_since = with_status(machine, status), status.since or facts.now
    if facts.paused or phase_of(status) is not Phase.READY or status.last_shutdown_time is not None:
        return status
    return status if lacks_welcome(up, ready_since=ready_since) else as_welcomed(up, facts)
