"""Moved to `hexa.domain.group.template`."""

from hexa.domain._moved import moved

__getattr__ = moved(__name__, "hexa.domain.group.template")
