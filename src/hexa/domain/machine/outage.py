"""What may have happened to a machine that should be up and is silent: a button, a crash, a partition and mains that fail, told
apart as far as readings allow and no further. It is told to people; what is done follows from the lifecycle alone.
"""

from collections.abc import Callable
from typing import Final

from msgspec import Struct

from hexa.domain.resources.core import Condition
from hexa.domain.resources.v1alpha1 import Reading


class Silence(Struct, frozen=True, kw_only=True):
    """What is known of a machine whose kubelet went silent."""

    reading: Reading | None
    """None: no sensor reads its power."""
    sensor_fails: bool = False
    """The sensor was asked, and its answer is no reading."""
    ready: Condition | None = None
    """The last that was said of its node: its kubelet's condition Ready, or what the controller manager made of it."""


class Outage(Struct, frozen=True):
    """A row of the table."""

    reason: str
    text: str
    holds: Callable[[Silence], bool]


def _announced(silence: Silence) -> bool:
    """kubelet says so where shutdownGracePeriod is set: `node is shutting down`, until the controller manager overwrites it."""
    return silence.ready is not None and "shutting down" in silence.ready.message


OUTAGES: Final = (  # the first that holds
    Outage("ShutDown", "its kubelet said that it is shut down in order: a button, or somebody on it", _announced),
    Outage(
        "PowerCut",
        "its power is off, and nobody asked for it: a button, or mains of its own that failed",
        lambda silence: silence.reading is Reading.OFF,
    ),
    Outage(
        "Hangs",
        "it has power: it crashed, boots again, or the network to it is cut",
        lambda silence: silence.reading is Reading.ON,
    ),
    Outage(
        "MainsOrNetwork",
        "what reads its power does not answer either: the mains failed, or the network to both",
        lambda silence: silence.sensor_fails,
    ),
    Outage("Silent", "nothing tells whether it is off, hangs, or is cut off from the network", lambda _: True),
)


def told_apart(silence: Silence) -> Outage:
    """What may have happened."""
    return next(outage for outage in OUTAGES if outage.holds(silence))
