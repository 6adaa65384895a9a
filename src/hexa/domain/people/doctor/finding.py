"""What the doctor says: of which object, how bad, what, and what to do."""

from collections.abc import Iterable
from enum import StrEnum

from msgspec import Struct, structs


class Severity(StrEnum):
    ERROR = "error"
    """Something does not work, or will not when it is needed."""
    WARNING = "warning"
    """It works, but not as people may expect."""
    UNSEEN = "unseen"
    """The doctor could not look."""


class Finding(Struct, frozen=True, kw_only=True):
    check: str = ""
    severity: Severity = Severity.WARNING
    object: str
    """Kind and name, or what it is about."""
    text: str
    remedy: str


def error(about: str, text: str, remedy: str) -> Finding:
    """Something does not work."""
    return Finding(severity=Severity.ERROR, object=about, text=text, remedy=remedy)


def warning(about: str, text: str, remedy: str) -> Finding:
    """It works, but not as people may expect."""
    return Finding(severity=Severity.WARNING, object=about, text=text, remedy=remedy)


def unseen(about: str, text: str, remedy: str) -> Finding:
    """The doctor could not look."""
    return Finding(severity=Severity.UNSEEN, object=about, text=text, remedy=remedy)


_ORDER = (Severity.ERROR, Severity.WARNING, Severity.UNSEEN)


def sorted_findings(found: Iterable[tuple[str, Finding]]) -> list[Finding]:
    """Findings with the name of their check, the worst first, else in the order of the checks."""
    named = [structs.replace(finding, check=check) for check, finding in found]
    return sorted(named, key=lambda finding: _ORDER.index(finding.severity))
