"""When a machine last began to draw power, and whether it may be drawing now, by what is stored of it alone."""

from datetime import datetime, timedelta
from typing import Final

from hexa.domain.machine.lifecycle import COMING, TRYING, Event, Phase, phase_of
from hexa.domain.machine.power_job import Action, current, running
from hexa.domain.resources.v1alpha1 import NodeStatus, Reading

LATE: Final = timedelta(seconds=3)
"""A power-on Job is made within so long of the stamp that is stored before it, or it is stamped anew. A wake that took longer until
it was seen may have been sent at the end of that: hexa was away meanwhile."""


def may_draw(status: NodeStatus) -> bool:
    """Whether the machine is on, on its way up, or nobody knows: whatever is not off for sure."""
    phase, job = phase_of(status), current(status)
    if running(status) and job is not None and job.action == Action.STARTUP:
        return True  # it may strike at any moment
    read_off = phase is Phase.START_FAILED and status.reading.power is Reading.OFF
    return phase is not Phase.OFF and not read_off


def began_to_draw(status: NodeStatus) -> datetime | None:
    """When a wake of the machine was last sent, or it came up by itself: never earlier than that was. None: nothing is known.

    Of wakes that repeat the first one no stamp outlives the try to come up: they were sent by its end.
    """
    marks = [status.woken_at, *_tries(status)]
    return max((mark for mark in marks if mark is not None), default=None)


def _tries(status: NodeStatus) -> list[datetime]:
    history = status.history
    last = next((n for n in reversed(range(len(history))) if history[n].action in TRYING), None)
    if last is None:
        return []
    found, told, turned_back = [], 0, False
    for number in reversed(range(last + 1)):
        entry = history[number]
        if entry.action == Phase.DRAINING and number and history[number - 1].action in TRYING:
            turned_back = True  # wanted off and on again while it booted: the same try
            continue
        if entry.action not in TRYING:
            break
        if entry.action == Phase.POWERING_ON and not turned_back:
            told = 1  # the first wake; those that repeat it leave no entry
        by_itself = entry.by == Event.POWER_SEEN and (number == 0 or history[number - 1].action != Phase.POWERING_ON)
        late = not by_itself and number > 0 and entry.at - history[number - 1].at > LATE
        if entry.action == Phase.POWERING_ON or (entry.action == Phase.BOOTING and (by_itself or late)):
            found.append(entry.at)
    repeated = phase_of(status) is not Phase.READY or status.wakes > told
    if last + 1 < len(history) and repeated:
        found.append(history[last + 1].at)
    elif not found and phase_of(status) in COMING and status.since is not None:
        found.append(status.since)
    return found
