"""Moved to `hexa.domain.group.sizing`."""

from hexa.domain._moved import moved

__getattr__ = moved(__name__, "hexa.domain.group.sizing")
