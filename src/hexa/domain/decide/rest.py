"""When to look at a machine again by time alone."""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Final

from hexa.domain.decide.decision import Rest
from hexa.domain.decide.observed import Observed
from hexa.domain.machine.dues import lease_due, next_due
from hexa.domain.machine.facts import Facts
from hexa.domain.machine.identity import renamed
from hexa.domain.machine.lifecycle import Phase
from hexa.domain.machine_view import MachineView
from hexa.domain.rules.judge import looks_at

LOST_LOOK: Final = timedelta(seconds=15)
"""Between looks at the pods of a lost machine that shall be off."""
SENSOR_LOOK: Final = {
    Phase.POWERING_ON: timedelta(seconds=2),
    Phase.BOOTING: timedelta(seconds=2),
    Phase.POWERING_OFF: timedelta(seconds=2),
    Phase.START_FAILED: timedelta(seconds=15),
    Phase.STOP_FAILED: timedelta(seconds=15),
    Phase.LOST: timedelta(seconds=15),
}
"""Between readings of the power, where the phase waits for one and something reads it."""
JOB_LOOK: Final = timedelta(seconds=5)
"""Between looks at the pod of a Job that runs, and until the first one."""
NAME_LOOK: Final = timedelta(seconds=15)
"""Between looks whether a new name may be taken over."""


def rest(
    machine: MachineView,
    observed: Observed,
    facts: Facts,
    *,
    waits: Iterable[timedelta] = (),
    looks_at_pods: bool = False,
) -> Rest:
    """Until when nothing is to be done. `waits`: spans after which what was just done is looked at again."""
    now = observed.now
    dues = [due for due in _instants(machine, facts) if due is not None and due > now]
    dues += [now + wait for wait in waits]
    if facts.reading is not None and (look := SENSOR_LOOK.get(machine.phase)) is not None:
        dues.append(now + look)
    if machine.phase is Phase.LOST and looks_at_pods:
        dues.append(now + LOST_LOOK)
    if renamed(machine.node):
        dues.append(now + NAME_LOOK)
    lease = lease_due(machine.node.status, facts, limits=machine.limits)
    return Rest(min(dues, default=None), lease)


def _instants(machine: MachineView, facts: Facts) -> Iterator[datetime | None]:
    """Moments at which time alone changes something: by the lifecycle, or by a rule."""
    yield next_due(machine.node.status, facts, limits=machine.limits, lease=False)
    yield from looks_at(machine, facts)
