"""The words of upsd: lines of text, `VAR ups name "value"`, and errors. What is not understood whole is an error."""

from collections.abc import Iterator
from typing import Final

from hexa.domain.errors import HexaError, Refused, Unavailable

LONGEST_LINE: Final = 1024
"""Bytes. upsd itself cuts lines at 512."""
MOST_LINES: Final = 500
"""A large UPS has about a hundred variables."""
SHOWN: Final = 80

_LASTING: Final = {
    "ACCESS-DENIED": "may not be read from here: allow it in upsd.conf or upsd.users",
    "UNKNOWN-UPS": "is not known there: ups.conf of that server has the names",
    "UNKNOWN-COMMAND": "is served by something that is no upsd",
    "INVALID-ARGUMENT": "is served by something that is no upsd",
}
_PASSING: Final = {
    "DATA-STALE": "has not been heard by its driver for a while: what is known of it is stale",
    "DRIVER-NOT-CONNECTED": "has no driver at work",
}


def question(ups: str) -> bytes:
    """Asks for all variables, and says goodbye: one way there and one back."""
    return f"LIST VAR {ups}\nLOGOUT\n".encode()


class Answer:
    """Takes in what comes, piece by piece. Bounded: a server that never ends its answer is given up."""

    def __init__(self, ups: str) -> None:
        self._ups, self._rest, self._lines, self._begun = ups, b"", 0, False
        self.variables: Final[dict[str, str]] = {}

    def feed(self, data: bytes) -> bool:
        """Take in a piece; whether the answer is complete. Raises `Unavailable` or `Refused`."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            if self._take(line):
                return True
        if len(self._rest) > LONGEST_LINE:
            raise _nonsense("a line without end")
        return False

    def _take(self, line: bytes) -> bool:
        self._lines += 1
        if len(line) > LONGEST_LINE or self._lines > MOST_LINES:
            raise _nonsense("more than a UPS has to say")
        words = list(_words(line.decode(errors="replace")))
        match words:
            case ["ERR", code, *_]:
                raise _error(self._ups, code)
            case ["BEGIN", "LIST", "VAR", self._ups] if not self._begun:
                self._begun = True
            case ["END", "LIST", "VAR", self._ups] if self._begun:
                return True
            case ["VAR", self._ups, name, value] if self._begun:
                if self.variables.setdefault(name, value) != value:
                    raise _nonsense(f"two values of {name[:SHOWN]}")
            case _:
                raise _nonsense(repr(" ".join(words)[:SHOWN]))
        return False


def cut_short() -> HexaError:
    """The server hung up in the middle."""
    return _nonsense("an answer that is cut short")


def _error(ups: str, code: str) -> HexaError:
    if code in _LASTING:
        return Refused(f"UPS {ups} {_LASTING[code]} (upsd says {code})", reason="UpsRefused")
    text = _PASSING.get(code, "cannot be read now")
    return Unavailable(f"UPS {ups} {text} (upsd says {code[:SHOWN]})", reason="UpsUnknown")


def _nonsense(what: str) -> Unavailable:
    return Unavailable(f"what answers is no upsd, or is broken: it sent {what}", reason="UpsUnknown")


def _words(line: str) -> Iterator[str]:
    """Words are parted by blanks; in quotes they have blanks too; a backslash takes the next sign as it is."""
    word, inside, quoted, escaped = "", False, False, False
    for sign in line.removesuffix("\r"):
        if escaped:
            word, escaped = word + sign, False
        elif sign == "\\":
            inside = escaped = True
        elif sign == '"':
            inside, quoted = True, not quoted
        elif sign.isspace() and not quoted:
            if inside:
                yield word
            word, inside = "", False
        else:
            word, inside = word + sign, True
    if quoted or escaped:
        raise _nonsense("a text without end")
    if inside:
        yield word
