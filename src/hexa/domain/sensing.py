"""Moved to `hexa.domain.machine`: `sensing`, `facts`, `dues` and `acts`."""

from hexa.domain._moved import moved

__getattr__ = moved(__name__, *(f"hexa.domain.machine.{name}" for name in ("facts", "dues", "acts", "sensing")))
