"""Moved to `hexa.domain.money.rates`."""

from hexa.domain._moved import moved

__getattr__ = moved(__name__, "hexa.domain.money.rates")
