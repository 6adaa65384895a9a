"""What hexa was about when something happened: the action of a Kubernetes Event, for programs that read Events. It tells nobody.

Actions are API as reasons are: add, never rename.
"""

from enum import StrEnum
from typing import Final

from hexa.domain.news import Happened, News, What


class Action(StrEnum):
    """What was done, or failed, or was refused."""

    WAKE = "Wake"
    """A machine is switched on, and waited for."""
    DRAIN = "Drain"
    """Pods leave a machine."""
    POWER_OFF = "PowerOff"
    """A machine is switched off, and its Kubernetes node let go."""
    POWER_CYCLE = "PowerCycle"
    """The power of a machine that hangs is cut."""
    SERVE = "Serve"
    """A machine that came up is opened to pods."""
    OBSERVE = "Observe"
    """Something is seen of a machine, and nothing is done to it."""
    DECIDE = "Decide"
    """A machine is wanted on, or off, from now on."""
    SCALE = "Scale"
    """A call of Cluster Autoscaler is granted, or refused."""
    GUARD = "Guard"
    """A rule keeps machines as they are, or ends."""
    CONTAIN = "Contain"
    """An object that hexa cannot work with is left alone."""
    WORK = "Work"
    """Work on an object, of which the reason says what failed."""


_A, _W = Action, What
BY_ACTION: Final[dict[Action, tuple[What, ...]]] = {
    _A.WAKE: (
        *(_W.POWERING_ON, _W.BOOTING, _W.STARTUP_JOB, _W.WAKE_AGAIN, _W.START_FAILED, _W.WORKS_AGAIN, _W.RETURNED),
        *(_W.HEDGED, _W.CIRCUIT_FULL, _W.WAITS_ITS_TURN, _W.MACHINE_BOOTS),
    ),
    _A.DRAIN: (_W.DRAINING, _W.DRAIN_BLOCKED, _W.VOLUMES_ATTACHED, _W.VOLUMES_LEFT),
    _A.POWER_OFF: (
        *(_W.POWERING_OFF, _W.SHUTDOWN_JOB, _W.OFF, _W.STOP_FAILED, _W.NODE_LEFT, _W.OUT_OF_SERVICE, _W.HANDED_BACK),
        _W.JOB_TAKEN_BACK,
    ),
    _A.POWER_CYCLE: (_W.POWER_CYCLE,),
    _A.SERVE: (_W.READY, _W.NOT_SET_UP, _W.PODS_SWEPT, _W.PODS_NOT_SWEPT, _W.IN_SERVICE),
    _A.OBSERVE: (
        *(_W.UNKNOWN, _W.LOST, _W.METER_DOUBTED, _W.READ_AGAIN, _W.STATUS_OF_ANOTHER, _W.GROUP_CHANGED),
        *(_W.POWER_CHANGED, _W.NODE_RENAMED),
    ),
    _A.DECIDE: (
        *(_W.WISH_CHANGED, _W.FOUND_ON, _W.FOUND_OFF, _W.CORRECTED, _W.NEEDED_BY, _W.SPARE, _W.MIN_SIZE, _W.MAX_SIZE),
        *(_W.TAKES_PLACE, _W.REPLACED, _W.HEDGE, _W.EXERCISE, _W.QUIET_PROBE, _W.EXERCISED, _W.IN_USE),
        *(_W.MAKES_ROOM, _W.PINNED_POD, _W.LEARN_SHAPE, _W.NOT_NEEDED),
    ),
    _A.SCALE: (
        *(_W.SCALE_UP, _W.SCALE_DOWN, _W.REQUEST_TAKEN_BACK, _W.MAX_SIZE_REACHED, _W.NOT_ENOUGH_MACHINES),
        *(_W.NOT_A_MEMBER, _W.WAKE_PROOF, _W.MIN_SIZE_REACHED, _W.CHOSEN),
    ),
    _A.GUARD: (_W.KEPT_ON, _W.CALM, _W.POWER_IS_BACK),
    _A.CONTAIN: (_W.DOES_NOT_DECODE, _W.CONTAINED),
    _A.WORK: (_W.NOT_TOLD, _W.CONTESTED),
}
ACTIONS: Final[dict[Happened, Action]] = {what: action for action, all_ in BY_ACTION.items() for what in all_}
"""Of every reason that hexa tells by itself."""


def action_of(news: News) -> Action:
    """What hexa was about. A reason that is passed on is that of work that failed, or of a rule."""
    if news.failed is not None:
        return Action.WORK
    return ACTIONS.get(news.what, Action.GUARD)
