"""What is wrong with an object: field, text and remedy."""

from typing import Literal

from msgspec import Struct


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
