"""Colours of the phases, the same in every picture: the lifecycle diagram and the timeline of a simulation."""

from typing import Final

from hexa.domain.machine.lifecycle import Phase

PHASE_COLOURS: Final[dict[Phase, str]] = {
    Phase.UNKNOWN: "#8a8f98",
    Phase.OFF: "#64748b",
    Phase.POWERING_ON: "#c98a0b",
    Phase.BOOTING: "#e0702f",
    Phase.READY: "#2f9e55",
    Phase.DRAINING: "#3b82d6",
    Phase.POWERING_OFF: "#7763d8",
    Phase.START_FAILED: "#d63a44",
    Phase.STOP_FAILED: "#c2418f",
    Phase.LOST: "#a0583a",
}
"""Of middle brightness, so that they stand out on light and on dark ground; white text is legible on each."""
