"""Moved to `hexa.domain.machine.wish`."""

from hexa.domain._moved import moved

__getattr__ = moved(
    __name__,
    "hexa.domain.machine.wish",
    "hexa.domain.machine.reason",
    "hexa.domain.rules.own",
    "hexa.domain.rules.acted",
    "hexa.domain.rules.judge",
)
