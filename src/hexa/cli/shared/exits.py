"""Exit codes, and how a command ends on an error: one line to standard error, no traceback. See docs/cli.md."""

from enum import IntEnum
from typing import NoReturn

import typer


class Exit(IntEnum):
    OK = 0
    FAILED = 1
    """Something went wrong at run time; for validate: there are problems."""
    USAGE = 2
    """Arguments, settings or files that cannot be used: a person must change them."""
    REFUSED = 3
    """The API server or the system said no (forbidden, port in use): a person must allow it."""
    BLOCKED = 4
    """The question was answered, and the answer is no: a drain would not end."""


def fail(text: str, code: Exit) -> NoReturn:
    """Say why on standard error and end with `code`."""
    typer.echo(f"hexa: {text}", err=True)
    raise typer.Exit(code)
