"""Moved to `hexa.domain.machine.wish`."""

from hexa.domain._moved import moved

__getattr__ = moved(__name__, "hexa.domain.machine.wish")
