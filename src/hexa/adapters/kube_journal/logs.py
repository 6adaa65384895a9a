"""Log lines by structlog, as JSON or for eyes. A line that cannot be written is lost, and nothing else happens."""

import logging
import sys
import traceback
from collections.abc import Callable, Iterator, MutableMapping
from contextlib import contextmanager, suppress
from typing import Any, Final, Literal, TextIO

import msgspec

from hexa.adapters.kube_journal.config import Logs
from hexa.imports import without
from hexa.ports.clock import Clock

with without("rich", "rich.console"):  # its tracebacks are not wanted, and take 0.1 s and 5 MiB of an agent's start
    import structlog

Write = Callable[[str, str, dict[str, Any]], None]
"""Level, message, fields."""

_LEVELS: Final = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}

_SEVEREST_FIRST: Final = sorted(_LEVELS.items(), key=lambda level: -level[1])


def writer(logs: Logs, *, clock: Clock, stream: TextIO | None = None) -> Write:
    """What writes lines of at least the wanted level to the stream (standard error unless told otherwise)."""
    target = stream or sys.stderr

    def stamp(_logger: object, level: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        return {"time": f"{clock.now():%Y-%m-%dT%H:%M:%S.%f}"[:-3] + "Z", "level": level, **line}

    logger = structlog.wrap_logger(
        structlog.PrintLogger(target),
        processors=[stamp, *_renderers(_format(logs, target), colors=target.isatty())],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[logs.level]),
        cache_logger_on_first_use=True,
    )

    def write(level: str, message: str, fields: dict[str, Any]) -> None:
        with suppress(OSError, ValueError):  # the reader has gone, or the stream is closed
            logger.log(_LEVELS[level], message, **fields)

    return write


@contextmanager
def libraries(write: Write) -> Iterator[None]:
    """Within the block, what libraries (from warnings on) and our own adapters log goes the same way."""
    root, ours, handler = logging.getLogger(), logging.getLogger("hexa"), _Forward(write)
    level = ours.level
    root.addHandler(handler)
    ours.setLevel(logging.INFO)
    try:
        yield
    finally:
        root.removeHandler(handler)
        ours.setLevel(level)


class _Forward(logging.Handler):
    """Turns a record of the standard library into a line."""

    def __init__(self, write: Write) -> None:
        super().__init__()
        self._write = write

    def emit(self, record: logging.LogRecord) -> None:
        fields = {"logger": record.name}
        if record.exc_info:
            fields["error"] = "".join(traceback.format_exception(*record.exc_info))
        level = next((name for name, number in _SEVEREST_FIRST if record.levelno >= number), "debug")
        self._write(level, record.getMessage(), fields)


def _format(logs: Logs, target: TextIO) -> Literal["json", "text"]:
    if logs.format == "auto":
        return "text" if target.isatty() else "json"
    return logs.format


def _renderers(format_: Literal["json", "text"], *, colors: bool) -> tuple[Any, ...]:
    if format_ == "json":
        return (structlog.processors.JSONRenderer(serializer=_json),)
    console = structlog.dev.ConsoleRenderer(
        colors=colors,
        timestamp_key="time",
        pad_event_to=0,
        sort_keys=False,
        exception_formatter=structlog.dev.plain_traceback,  # rich's shows local variables
    )
    return _on_one_line, console


def _on_one_line(_logger: object, _level: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """The message with escapes for what would steer a terminal or begin a line of its own; structlog quotes the fields itself."""
    text = str(line["event"])
    plain = "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
    return {**line, "event": plain}


def _json(line: dict[str, Any], **_: Any) -> str:
    return msgspec.json.encode(line, enc_hook=str).decode()
