"""What people are told of a condition when it begins, by a rule's column `tells`."""

from collections.abc import Callable, Iterable, Iterator, Sequence

from msgspec import Struct

from hexa.domain.machine.findings import newly_found
from hexa.domain.news import Happened, OpenReason, Severity, What
from hexa.domain.resources.core import Condition

Tells = Callable[[Sequence[Condition], Sequence[Condition]], Iterable["Notice"]]
"""By the conditions of before, and those that are stored now."""


class Notice(Struct, frozen=True):
    """A condition that a person should hear of when it begins."""

    what: Happened
    why: str
    severity: Severity = Severity.WARNING


def notices(
    condition: Condition | None, *, what: What | None = None, prefix: str = "", severity: Severity = Severity.WARNING
) -> Iterator[Notice]:
    """By the condition's own reason, if not by `what`; nothing where there is none."""
    if condition is not None:
        yield Notice(what or OpenReason(condition.reason), f"{prefix}{condition.message}", severity)


def when_begun(type_: str, *, what: What | None = None, severity: Severity = Severity.WARNING) -> Tells:
    """Tells of the condition of the type, where it did not stand before."""
    return lambda before, after: notices(newly_found(type_, before, after), what=what, severity=severity)
