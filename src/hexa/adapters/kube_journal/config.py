"""How log lines look and which are written. It opens nothing."""

from typing import Final, Literal

from msgspec import Struct


class Logs(Struct, frozen=True):
    """What is written to standard error."""

    format: Literal["auto", "json", "text"] = "auto"
    """auto: text on a terminal and json elsewhere."""
    level: Literal["debug", "info", "warning", "error"] = "info"
    """The least severe lines that are written."""


DEFAULT_LOGS: Final = Logs()
