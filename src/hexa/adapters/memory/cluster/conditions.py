"""Reading and setting the conditions of an object's status. Pure."""

from collections.abc import Mapping
from typing import Any

Builtins = dict[str, Any]


def condition(status: Mapping[str, Any], kind: str) -> Builtins | None:
    """The condition of that type."""
    found: Builtins | None = next((entry for entry in status.get("conditions") or () if entry["type"] == kind), None)
    return found


def is_true(status: Mapping[str, Any], kind: str) -> bool:
    """The condition is there and True."""
    found = condition(status, kind)
    return found is not None and found["status"] == "True"


def with_condition(
    conditions: list[Builtins], kind: str, status: str, now: str, *, reason: str = "", message: str = ""
) -> list[Builtins]:
    """The list with this condition set; its transition time stays while its status does."""
    since, others = now, []
    for entry in conditions:
        if entry["type"] != kind:
            others.append(entry)
        elif entry["status"] == status:
            since = entry.get("lastTransitionTime", now)
    fresh = {"type": kind, "status": status, "lastTransitionTime": since}
    return [*others, {**fresh, **({"reason": reason} if reason else {}), **({"message": message} if message else {})}]
