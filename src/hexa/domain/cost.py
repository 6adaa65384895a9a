"""Moved to `hexa.domain.money`."""

from hexa.domain._moved import moved

__getattr__ = moved(__name__, "hexa.domain.money.rates", "hexa.domain.money.account")
