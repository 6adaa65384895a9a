"""Moments of the past that lie in the future: the clock was set back, or they were written where it was wrong.

They are set to now, so that nothing waits for a moment that has been: the phase counts from now on. Never the `until` that a person
or a wish names. A cool-off lasts no longer than the machine's failures give it. A time without a zone is taken for UTC.
"""

from datetime import UTC, datetime, timedelta
from functools import cache
from operator import is_
from typing import Any, Final, TypeVar, get_args, get_type_hints

from msgspec import Struct, structs

from hexa.domain.machine.lifecycle import cool_off
from hexa.domain.memo import ByIdentity
from hexa.domain.policy.limits import Limits
from hexa.domain.resources.v1alpha1 import NodeStatus

T = TypeVar("T", bound=Struct)

SLACK: Final = timedelta(seconds=5)
"""Clocks of programs that write a status may be so far apart."""
COUNTED_AGAIN: Final = timedelta(days=1)
"""An account that is complete up to a moment within this is left: the time until then has been counted. One that is complete up to
later would count nothing for too long."""
LEFT: Final = frozenset({"wish", "check", "cool_until", "counted_to", "energy_to"})
"""Not clamped: the wish is a copy of the annotation, the check's times are Kubernetes' own, the others have a rule of their own."""

ENDS: Final = (("energy", "counted_to"), ("energy", "energy_to"), ("availability", "counted_to"))
"""Up to where accounts are complete."""


def past(status: NodeStatus, *, limits: Limits, now: datetime) -> NodeStatus:
    """The status without moments of the past that lie in the future; the very same where there are none."""
    seen = _sound.get(status)
    if seen is not None and seen[0] is limits and seen[1] <= now:  # what was past then is past now
        return status
    found = _accounted(_cooling(_clamped(status, now), limits, now), now)
    if found is status:
        _sound.put(status, (limits, now))
    return found


_sound: Final[ByIdentity[NodeStatus, tuple[Limits, datetime]]] = ByIdentity()
"""Statuses in which nothing was to be changed, with the limits and the moment of that look."""


def _cooling(status: NodeStatus, limits: Limits, now: datetime) -> NodeStatus:
    until = status.cool_until
    if until is None:
        return status
    latest = now + cool_off(max(status.failures, 1), limits=limits) + SLACK
    bounded = min(aware(until), latest)
    return status if bounded == until else structs.replace(status, cool_until=bounded)


def _accounted(status: NodeStatus, now: datetime) -> NodeStatus:
    for name, end in ENDS:
        account = getattr(status, name)
        to = getattr(account, end)
        if to is not None and (to.tzinfo is None or to > now + COUNTED_AGAIN):
            status = structs.replace(status, **{name: structs.replace(account, **{end: min(aware(to), now)})})
    return status


def _clamped(value: T, now: datetime) -> T:
    changes = {}
    for name in _fields(type(value)):
        old = getattr(value, name)
        new = _of(old, now)
        if new is not old:
            changes[name] = new
    return structs.replace(value, **changes) if changes else value


def _of(value: Any, now: datetime) -> Any:
    if isinstance(value, datetime):
        if value.tzinfo is not None and value <= now + SLACK:
            return value
        return min(aware(value), now)
    if isinstance(value, Struct):
        return _clamped(value, now)
    if isinstance(value, tuple) and value and isinstance(value[0], Struct | datetime):
        each = tuple(_of(item, now) for item in value)
        return value if all(map(is_, each, value)) else each
    return value


def aware(moment: datetime) -> datetime:
    """With a zone; without one it is taken for UTC."""
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


@cache
def _fields(kind: type[Struct]) -> tuple[str, ...]:
    """Those that may hold a moment: a status has many that can't, and is looked at often."""
    hints = get_type_hints(kind)
    return tuple(name for name in kind.__struct_fields__ if name not in LEFT and _may_hold(hints[name]))


def _may_hold(hint: Any) -> bool:
    if isinstance(hint, type) and issubclass(hint, Struct):
        return bool(_fields(hint))
    return hint in (datetime, Any) or any(map(_may_hold, get_args(hint)))
