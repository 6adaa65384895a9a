"""The status that is stored, with everything that follows from it, and what is told of it."""

from collections.abc import Iterator
from typing import Final

from hexa.domain.decide.accounts import with_energy
from hexa.domain.decide.conditions import described, findings_of
from hexa.domain.decide.decision import Save
from hexa.domain.decide.facts import (
    check_record,
    cycle_case_of,
    marks_of,
    namesakes_of,
    signs_of,
    told_reading,
    with_status,
)
from hexa.domain.decide.observed import Observed
from hexa.domain.machine.boot import with_marks
from hexa.domain.machine.findings import Finding
from hexa.domain.machine.identity import identified
from hexa.domain.machine.lifecycle import Phase
from hexa.domain.machine.wish import powerstate_manager
from hexa.domain.machine_view import MachineView
from hexa.domain.news import NOTHING, Happened, News, Severity, What
from hexa.domain.resources.v1alpha1 import Lookup, NodeStatus
from hexa.domain.rules.health import Signs, judged
from hexa.domain.rules.judge import said, tells
from hexa.domain.rules.power_cycle import with_power_cycle
from hexa.domain.rules.rule import Scene

WAKES: Final = Lookup("", "wakes")
"""Names the lock that wakes which are counted, of whatever groups and namespaces, begin under. No group is of that name."""
MAY_GO_OFF: Final = frozenset({Phase.DRAINING, Phase.POWERING_OFF, Phase.STOP_FAILED, Phase.LOST})
"""Where it matters whether the machine runs under another name."""


def save(
    machine: MachineView,
    observed: Observed,
    status: NodeStatus,
    *,
    news: tuple[News, ...] = NOTHING,
    lock: Lookup | None = None,
    renewed: bool = False,
    booked: bool = False,
) -> Save | None:
    """The write that stores the status with all that follows from it; None: nothing of it is new. With whatever is written the
    machine's account is brought up to date; where it is to be `booked`, that alone is reason to write."""
    new = completed(machine, observed, status)
    if new == machine.node.status and not booked:
        return None
    new, doubt = with_energy(machine, observed, new)
    doubted = (about(machine, What.METER_DOUBTED, doubt, severity=Severity.WARNING),) if doubt else ()
    return Save(new, (*_news_of(machine, new), *doubted, *news), lock, renewed=renewed)


def lock_of_wakes(machine: MachineView) -> Lookup | None:
    """The lock under which a wake of the machine begins: others whose wakes count for it then wait. None: none do. Watts are
    shared by machines of any group, and so is the lock; a group that counts wakes has machines with and without a circuit."""
    return WAKES if machine.places or (machine.group is not None and machine.policy.rate is not None) else None


def completed(machine: MachineView, observed: Observed, status: NodeStatus) -> NodeStatus:
    """The status with everything that follows from it."""
    now = observed.now
    status = with_marks(status, machine.node.status, **marks_of(machine, observed))
    read = told_reading(machine, observed)
    signs = signs_of(machine, observed, status, read=read)
    return described(
        identified(status, machine.node),
        findings(machine, observed, status, signs=signs),
        wish=machine.wish(now),
        reading=read.reading,
        health=judged(signs),
        check=check_record(machine, observed, status),
        generation=machine.node.metadata.generation,
        now=now,
    )


def findings(
    machine: MachineView, observed: Observed, status: NodeStatus, *, signs: Signs | None = None
) -> list[Finding]:
    """What a person should know of the machine in this status."""
    now, group = observed.now, machine.group
    scene = Scene(
        machine=machine,
        status=status,
        now=now,
        signs=signs or signs_of(machine, observed, status),
        namesakes=namesakes_of(machine, observed, silent=True) if machine.phase in MAY_GO_OFF else (),
        cycle_case=cycle_case_of(with_status(machine, status), observed),
    )
    found = findings_of(
        status,
        wish=machine.wish(now),
        problems=(*machine.problems, *(group.problems if group is not None and not group.valid else ())),
        off_vetoes=machine.off_vetoes(now),
        on_vetoes=machine.on_vetoes(now),
        manager=powerstate_manager(machine.node),
        said=said(scene),
        possible_nodes=scene.signs.possible_nodes,
    )
    return with_power_cycle(found)


def _news_of(machine: MachineView, status: NodeStatus) -> Iterator[News]:
    """What is told of conditions that begin with this status."""
    for notice in tells(machine.node.status.conditions, status.conditions):
        yield about(machine, notice.what, notice.why, severity=notice.severity)


def about(
    machine: MachineView, what: Happened, why: str, *, severity: Severity = Severity.NORMAL, by: str = ""
) -> News:
    """One thing that happened to the machine."""
    return News(of=machine.key, uid=machine.node.metadata.uid, what=what, why=why, severity=severity, by=by)
