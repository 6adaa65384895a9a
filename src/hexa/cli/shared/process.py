"""The command as a process: Ctrl-C, and streams that are closed, full or of another encoding, end it without a traceback."""

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from typing import Final

INTERRUPTED: Final = 130
"""What shells call a program that Ctrl-C ended."""
UNWRITABLE: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})


@contextmanager
def process() -> Iterator[None]:
    """Around all that the command does. What is nobody's fault but ours is raised as it is."""
    _open_streams()
    try:
        try:
            yield
        finally:
            sys.stdout.flush()  # now, while somebody can be told, and not as the interpreter ends
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except BaseExceptionGroup as error:
        if error.split(KeyboardInterrupt)[1] is not None:
            raise
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        _give_up_output()
        sys.exit(1)
    except OSError as error:
        if error.filename is not None or error.errno not in UNWRITABLE:
            raise
        _give_up_output()
        sys.stderr.write(f"hexa: cannot write the answer: {error.strerror}\n")
        sys.exit(1)


def _open_streams() -> None:
    """Streams that were closed lead nowhere; characters that an encoding has not are written as escapes."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115, PTH123  # as long as the process
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _give_up_output() -> None:
    """What is still buffered has nowhere to go, and the interpreter shall not try again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
