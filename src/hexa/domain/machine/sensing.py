"""From facts to at most one event, and from facts to the next instant at which time alone may bring one.

`sense` tries the events of the phase's row in order, so an illegal event cannot arise. Facts older than the phase do not
count; a machine's clock is never compared with ours. It reads no object and does nothing.
"""

from collections.abc import Callable
from typing import Final

from hexa.domain.machine.facts import GOING_OFF, Facts, View
from hexa.domain.machine.lifecycle import TRANSITIONS, Event, Phase
from hexa.domain.policy.limits import Limits
from hexa.domain.resources.v1alpha1 import NodeStatus, Power, Reading

EVENTS_OF_WISH_OR_TIME: Final = frozenset(
    {
        Event.WANTED,
        Event.UNWANTED,
        Event.KEPT,
        Event.EMPTY,
        Event.FORCED,
        Event.OVERDUE,
        Event.COOLED_DOWN,
        Event.POWER_CYCLE,
    }
)
"""Not noticed while a machine is paused."""

EVENTS_NOT_SEEN_BLIND: Final = frozenset(
    {Event.POWER_GONE, Event.NODE_LOST, Event.EMPTY, Event.FORCED, Event.OVERDUE, Event.POWER_CYCLE}
)
"""Not noticed while we are blind: blind, hexa only ever powers on."""


def sense(status: NodeStatus, facts: Facts, *, limits: Limits) -> Event | None:
    """The most urgent event of the phase's row that holds, or None."""
    view = View(status, facts, limits)
    for event in TRANSITIONS[view.phase]:
        if facts.paused and event in EVENTS_OF_WISH_OR_TIME:
            continue
        if facts.blind and event in EVENTS_NOT_SEEN_BLIND:
            continue
        if HOLDS[event](view):
            return event
    return None


def _power_gone(view: View) -> bool:
    if view.power is Reading.OFF:
        return view.phase in GOING_OFF or not view.fresh
    return view.goes_by_silence and view.now >= view.off_confirmed_at


def _node_lost(view: View) -> bool:
    if view.power is Reading.OFF or view.still_boots:
        return False
    return not view.facts.node_exists or view.now >= view.silence_counts_from


def _wanted(view: View) -> bool:
    if view.facts.wish is not Power.ON:
        return False
    if view.phase is Phase.LOST:
        return view.facts.may_wake and view.power is not Reading.ON and view.passed(view.limits.lost)
    if view.phase is Phase.DRAINING:
        return not view.alive  # a living one is KEPT
    return view.facts.may_wake or view.phase is not Phase.OFF


def _unwanted(view: View) -> bool:
    if view.facts.wish is not Power.OFF:
        return False
    return view.phase is not Phase.READY or _cooled_down(view)


def _cooled_down(view: View) -> bool:
    until = view.status.cool_until
    return until is None or view.now >= until


def _forced(view: View) -> bool:
    if view.facts.wish is not Power.OFF or not view.facts.force:
        return False
    return view.passed(view.limits.lost if view.phase is Phase.LOST else view.limits.drain)


def _power_cycle(view: View) -> bool:
    due = view.power_cycle_due
    return due is not None and view.now >= due and view.hung and view.facts.may_wake


def _empty(view: View) -> bool:
    """Nothing is left to evict. Where the Kubernetes node was deleted under its kubelet, no pod object tells what that still runs:
    it has as long to end as a lost machine waits, unless it falls silent before."""
    unknown = view.alive and not view.facts.node_exists and not view.passed(view.limits.lost)
    return view.facts.wish is Power.OFF and view.facts.pods == 0 and not view.still_boots and not unknown


def _occupied(view: View) -> bool:
    if view.cycle_not_begun:  # it works after all, or nobody waits for it any more
        return view.fresh or view.facts.wish is not Power.ON
    if view.status.remediation.cycling:
        return view.fresh  # back before the cut has struck: its Job is taken back
    if view.facts.wish is Power.ON and not view.facts.job_begun:
        return view.alive  # wanted again before anything was done to it
    return bool(view.facts.pods) and view.fresh and not view.status.forced


def _overdue(view: View) -> bool:
    return view.deadline is not None and view.now >= view.deadline


HOLDS: Final[dict[Event, Callable[[View], bool]]] = {
    Event.WANTED: _wanted,
    Event.UNWANTED: _unwanted,
    Event.POWER_SEEN: lambda v: v.power is Reading.ON or v.fresh,
    Event.POWER_GONE: _power_gone,
    Event.STARTED: lambda v: v.facts.job_done and v.facts.reading is None,
    Event.NODE_READY: lambda v: v.facts.node_ready and v.fresh,
    Event.NODE_LOST: _node_lost,
    Event.KEPT: lambda v: v.facts.wish is Power.ON and v.alive,
    Event.EMPTY: _empty,
    Event.FORCED: _forced,
    Event.OCCUPIED: _occupied,
    Event.OVERDUE: _overdue,
    Event.COOLED_DOWN: _cooled_down,
    Event.POWER_CYCLE: _power_cycle,
}
