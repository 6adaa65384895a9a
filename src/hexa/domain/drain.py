"""Moved to `hexa.domain.pods.drain`."""

from hexa.domain._moved import moved

__getattr__ = moved(__name__, "hexa.domain.pods.drain")
