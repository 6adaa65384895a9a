"""Moved to `hexa.simulate`; this name goes in 0.2.0."""

from hexa.domain._moved import moved

__getattr__ = moved(__name__, "hexa.simulate")
