"""What is wrong with an object: field, text and remedy."""

import re
from typing import Final, Literal

from msgspec import Struct

_PLAIN_KEY: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)


class Problem(Struct, frozen=True):
    """Something wrong with an object: which field, what, and what to do about it."""

    field: str
    text: str
    remedy: str
    severity: Literal["error", "warning"] = "error"
    reason: str = "Invalid"
    """CamelCase, fit for a condition."""

    def __str__(self) -> str:
        return f"{self.field}: {self.text}; {self.remedy}"


def usable(problems: tuple[Problem, ...]) -> bool:
    """Whether what these were found in may be acted on: no error among them."""
    return all(problem.severity != "error" for problem in problems)


def below(field: str, key: str) -> str:
    """The field `key` of a field: spec.template; one that is no plain name stands in brackets: metadata.labels["a/b"]."""
    if not _PLAIN_KEY.fullmatch(key):
        return f'{field}["{key}"]'
    return f"{field}.{key}" if field else key
