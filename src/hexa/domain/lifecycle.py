"""Moved to `hexa.domain.machine.lifecycle`."""

from hexa.domain._moved import moved

__getattr__ = moved(__name__, "hexa.domain.machine.lifecycle")
