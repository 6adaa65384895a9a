"""The body of an answer by HTTP -> text and JSON, however a device writes it. It asks nobody."""

import codecs
import json
from collections.abc import Sequence
from typing import Any, Final

UTF_16: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def text_of(body: bytes) -> str:
    """As UTF-8, also with a mark of the order of bytes in front; as UTF-16 where that mark says so; else byte by byte."""
    if body.startswith(UTF_16):
        return body.decode("utf-16", errors="replace").strip()
    try:
        return body.decode("utf-8-sig").strip()
    except UnicodeDecodeError:
        return body.decode("latin-1").strip()


def json_of(body: bytes) -> Any:
    """The body as JSON; None if it is none. A key that stands twice with two values contradicts itself and is left out."""
    try:
        return json.loads(text_of(body), object_pairs_hook=_agreed, parse_constant=_no_number)
    except (ValueError, RecursionError):
        return None


def _agreed(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        doubtful = {key for key, value in pairs if found[key] != value}
        return {key: value for key, value in found.items() if key not in doubtful}
    return found


def _no_number(text: str) -> Any:
    raise ValueError(f"{text} is no number of JSON")
