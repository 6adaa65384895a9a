"""Moved to `hexa.ports.health_checks`; this name goes in 0.2.0."""

from hexa.domain._moved import moved

__getattr__ = moved(__name__, "hexa.ports.health_checks")
