"""Keeps what was decoded within bounds that every later calculation can bear.

A time far in the past or the future stays one, a number beyond all reason becomes a large one, and a time without a zone is taken
for UTC, as Kubernetes writes them. What is within its bounds is not copied.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import cache
from operator import attrgetter, is_
from types import NoneType, UnionType
from typing import Annotated, Any, Final, TypeVar, Union, get_args, get_origin

import msgspec
from msgspec import Struct, structs

T = TypeVar("T")

EARLIEST: Final = datetime(1970, 1, 1, tzinfo=UTC)
LATEST: Final = datetime(9000, 1, 1, tzinfo=UTC)
"""With these, no duration that Go can hold (292 years) leads out of what Python can count."""
MOST: Final = 2**31 - 1
"""The largest whole number: as seconds it is 68 years."""
FARTHEST: Final = 1e10
"""The largest other number: as seconds it is 317 years."""

Bound = Callable[[Any], Any]


def bounded(value: T) -> T:
    """The struct, with all that is in it within bounds; the same one where nothing was beyond them."""
    kind: Any = type(value)
    bound = _bound_of(kind)
    kept: T = bound(value) if bound is not None else value
    return kept


def bounded_time(value: datetime) -> datetime:
    """The time in UTC, within bounds."""
    if value.tzinfo is UTC and 1970 <= value.year < 9000:
        return value
    if not 1970 < value.year < 8999:  # else a time zone can't lead out of what Python can count
        return EARLIEST if value.year <= 1970 else LATEST
    return value.astimezone(UTC) if value.tzinfo is not None else value.replace(tzinfo=UTC)


def _whole(value: int) -> int:
    return value if -MOST <= value <= MOST else max(-MOST, min(value, MOST))


def _number(value: float) -> float:
    if -FARTHEST <= value <= FARTHEST:
        return value
    return 0.0 if value != value else max(-FARTHEST, min(value, FARTHEST))


_SCALARS: Final[Mapping[Any, Bound]] = {datetime: bounded_time, int: _whole, float: _number}


@cache
def _bound_of(kind: Any) -> Bound | None:
    """How values of the type are kept within bounds; None: there is nothing to keep."""
    origin, args = get_origin(kind), get_args(kind)
    if kind in _SCALARS:
        return _SCALARS[kind]
    if origin is Annotated:
        return _bound_of(args[0])
    if origin in (Union, UnionType):
        return _of_optional(args)
    if origin is tuple:
        return _of_tuple(_bound_of(args[0]))
    if origin is dict:
        return _of_dict(_bound_of(args[1]))
    if isinstance(kind, type) and issubclass(kind, Struct):
        return _of_struct(kind)
    return None


def _of_optional(args: tuple[Any, ...]) -> Bound | None:
    """Of unions only those with None: what may be a text too is judged where it is read."""
    others = [arg for arg in args if arg is not NoneType]
    bound = _bound_of(others[0]) if len(others) == 1 else None
    return bound and (lambda value: value if value is None else bound(value))


def _of_tuple(bound: Bound | None) -> Bound | None:
    if bound is None:
        return None

    def all_of(value: tuple[Any, ...]) -> tuple[Any, ...]:
        if not value:
            return value
        kept = tuple(map(bound, value))
        return value if all(map(is_, kept, value)) else kept

    return all_of


def _of_dict(bound: Bound | None) -> Bound | None:
    if bound is None:
        return None

    def all_of(value: dict[str, Any]) -> dict[str, Any]:
        if not value:
            return value
        kept = {name: bound(each) for name, each in value.items()}
        return value if all(map(is_, kept.values(), value.values())) else kept

    return all_of


def _of_struct(kind: type[Struct]) -> Bound | None:
    fields = tuple(
        (field.name, field.default, bound)
        for field in msgspec.structs.fields(kind)
        if (bound := _bound_of(field.type)) is not None
    )
    if not fields:
        return None
    values_of = _values_of(tuple(name for name, _, _ in fields))

    def all_of(value: Struct) -> Struct:
        changed = None
        for old, (name, default, bound) in zip(values_of(value), fields, strict=True):
            if old is not default and old is not None and (new := bound(old)) is not old:
                changed = {**(changed or {}), name: new}
        return structs.replace(value, **changed) if changed else value

    return all_of


def _values_of(names: tuple[str, ...]) -> Callable[[Struct], tuple[Any, ...]]:
    """Those fields of a struct, in one go."""
    get = attrgetter(*names)
    return get if len(names) > 1 else lambda value: (get(value),)
