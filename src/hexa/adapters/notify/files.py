"""Values that are in files, such as mounted Secrets: read for each sending, so that a new one counts at once."""

from pathlib import Path

import trio

from hexa.domain.errors import Refused

LONGEST = 64 * 1024
"""Bytes that are read."""


async def value_in(key: str, file: str) -> str:
    """The text of the file without space around it. Raises `Refused`, which names setting and file, and not what is in it."""

    def read() -> bytes:
        with Path(file).open("rb") as opened:
            return opened.read(LONGEST)

    try:
        value = (await trio.to_thread.run_sync(read)).decode().strip()
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "it is no text"
        raise Refused(f"{key} ({file}) cannot be read: {why}", reason="BadFile") from None
    if not value:
        raise Refused(f"{key} ({file}) is empty", reason="BadFile")
    return value
