"""Log lines by structlog, as JSON or for eyes. A line that cannot be written is lost, and nothing else happens."""

import logging
import sys
from collections.abc import Callable, MutableMapping
from contextlib import suppress
from typing import Any, Final, Literal, TextIO

import msgspec

from hexa.adapters.kube_journal.config import Logs
from hexa.adapters.kube_journal.plain import without_rich
from hexa.ports.clock import Clock

with without_rich():
    import structlog

Write = Callable[[str, str, dict[str, Any]], None]
"""Level, message, fields."""

_LEVELS: Final = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


def writer(logs: Logs, *, clock: Clock, stream: TextIO | None = None) -> Write:
    """What writes lines of at least the wanted level to the stream (standard error unless told otherwise)."""
    target = stream or sys.stderr

    def stamp(_logger: object, level: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        return {"time": f"{clock.now():%Y-%m-%dT%H:%M:%S.%f}"[:-3] + "Z", "level": level, **line}

    logger = structlog.wrap_logger(
        structlog.PrintLogger(target),
        processors=[stamp, _renderer(_format(logs, target), colors=target.isatty())],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[logs.level]),
        cache_logger_on_first_use=True,
    )

    def write(level: str, message: str, fields: dict[str, Any]) -> None:
        with suppress(OSError, ValueError):  # the reader has gone, or the stream is closed
            logger.log(_LEVELS[level], message, **fields)

    return write


def _format(logs: Logs, target: TextIO) -> Literal["json", "text"]:
    if logs.format == "auto":
        return "text" if target.isatty() else "json"
    return logs.format


def _renderer(format_: Literal["json", "text"], *, colors: bool) -> Any:
    if format_ == "json":
        return structlog.processors.JSONRenderer(serializer=_json)
    return structlog.dev.ConsoleRenderer(colors=colors, timestamp_key="time", pad_event_to=0, sort_keys=False)


def _json(line: dict[str, Any], **_: Any) -> str:
    return msgspec.json.encode(line, enc_hook=str).decode()
