"""Files that people name: read as text, or the command ends with one line that says why not."""

import sys
from pathlib import Path
from typing import Final, NoReturn

from hexa.cli.shared.exits import Exit, fail

STANDARD_INPUT: Final = "-"
_SHOWN: Final = 200
"""Characters of a name."""


def read_text(path: str | Path, *, remedy: str = "") -> str:
    """The text of a file, or of standard input where it is named `-`. It is UTF-8, with or without a byte order mark."""
    if str(path) == STANDARD_INPUT:
        return _decoded(sys.stdin.buffer.read(), name_of(path))
    try:
        content = Path(path).read_bytes()
    except (OSError, ValueError) as error:
        unusable(path, error, remedy=remedy)
    return _decoded(content, name_of(path))


def name_of(path: str | Path) -> str:
    """What a file is called in messages."""
    return "<stdin>" if str(path) == STANDARD_INPUT else str(path)


def unusable(path: str | Path, error: OSError | ValueError, *, remedy: str = "") -> NoReturn:
    """End with the reason why the file cannot be used."""
    name = str(path).encode(errors="backslashreplace").decode()
    shown = name if len(name) <= _SHOWN and name.isprintable() else f"{name[:_SHOWN]!r}..."
    fail(f"{shown}: {getattr(error, 'strerror', None) or error}{f'; {remedy}' if remedy else ''}", Exit.USAGE)


def _decoded(content: bytes, name: str) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        fail(f"{name}: is not UTF-8 text", Exit.USAGE)
