"""Whether an object (builtins, as JSON has them) fits our schema, and if not, every misfit with its remedy.

It says what the API server would say, and more kindly: it reads the same schema that the CRDs carry. What
the values mean together is judged in `validation`.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from hexa.domain.duration import DURATION_PATTERN, parse_duration
from hexa.domain.policy.problem import Problem, below
from hexa.domain.resources.group_values import DATE_PATTERN, TIME_OF_DAY_PATTERN
from hexa.domain.resources.power_spec import SNMP_PATTERN
from hexa.domain.resources.remediation import PERCENT_PATTERN
from hexa.domain.resources.schema import Schema
from hexa.domain.resources.v1alpha1 import NUMBER_PATTERN, QUANTITY_PATTERN, THRESHOLD_PATTERN
from hexa.domain.spelling import suggestion

Path = tuple[str | int, ...]

_MOST_KNOWN: Final = 12
"""More names than this are not listed in a remedy."""


def field_path(path: Path) -> str:
    """spec.volumes[0].name; keys that are no plain names stand in brackets: metadata.labels["a/b"]."""
    text = ""
    for part in path:
        text = f"{text}[{part}]" if isinstance(part, int) else below(text, part)
    return text


def misfits(
    value: Any, schema: Schema, path: Path = (), *, elsewhere: Mapping[str, str] | None = None
) -> Iterator[Problem]:
    """Every place where `value` does not fit `schema`. `elsewhere`: what to do with fields of the
    spec that other kinds or older schemas know."""
    return _Check(schema, elsewhere or {}).at(value, schema, path)


class _Check:
    """One walk over a value; knows the whole schema, to say where a misplaced field belongs."""

    def __init__(self, root: Schema, elsewhere: Mapping[str, str]) -> None:
        self.root, self.elsewhere = root, elsewhere

    def at(self, value: Any, schema: Schema, path: Path) -> Iterator[Problem]:
        if value is None:
            yield from _empty(schema, path)
            return
        kind = _kind(schema)
        if not _TYPES[kind](value):
            yield _problem(
                path, f"is {_shown(value)}; {_WANTED[kind]} is wanted", _type_remedy(value, schema, kind), "WrongType"
            )
        elif kind == "object":
            yield from self.object(value, schema, path)
        elif kind == "array":
            yield from self.array(value, schema, path)
        else:
            yield from _scalar(value, schema, path)

    def object(self, value: Mapping[str, Any], schema: Schema, path: Path) -> Iterator[Problem]:
        properties: Mapping[str, Schema] = schema.get("properties", {})
        for name in schema.get("required", ()):
            if value.get(name) is None:
                yield _problem((*path, name), "is missing", "add it", "Required")
        for name, inner in value.items():
            here = (*path, name)
            if inner is None and name in schema.get("required", ()):
                continue
            if name in properties:
                yield from self.at(inner, properties[name], here)
            elif "additionalProperties" in schema:
                yield from self.at(inner, schema["additionalProperties"], here)
            elif properties:
                yield _problem(here, "is no field that hexa knows", self.unknown(here, properties), "UnknownField")

    def array(self, value: list[Any], schema: Schema, path: Path) -> Iterator[Problem]:
        if len(value) < schema.get("minItems", 0):
            yield _problem(path, "is empty", "write one item at least", "Empty")
        most = schema.get("maxItems")
        if most is not None and len(value) > most:
            yield _problem(path, f"has {len(value)} items", f"{most} at most", "TooLong")
        for index, item in enumerate(value):
            yield from self.at(item, schema["items"], (*path, index))
        for key in schema.get("x-kubernetes-list-map-keys", ()):
            yield from _twins(value, key, path)
        if schema.get("x-kubernetes-list-type") == "set":
            yield from _doubles(value, path)

    def unknown(self, path: Path, properties: Mapping[str, Schema]) -> str:
        name = str(path[-1])
        if path == ("spec", name) and name in self.elsewhere:
            return self.elsewhere[name]
        close = suggestion(name, properties)
        if close:
            return f"did you mean {close}?"
        homes = [field_path(home) for home in _homes(self.root, name, ())]
        if homes:
            return f"it belongs to {' or '.join(homes[:2])}"
        return f"remove it; known are {', '.join(properties)}" if len(properties) <= _MOST_KNOWN else "remove it"


def _empty(schema: Schema, path: Path) -> Iterator[Problem]:
    """The API server drops a key without value; as an item of a list it is none."""
    if schema.get("nullable"):
        return
    severity: Literal["error", "warning"] = "error" if path and isinstance(path[-1], int) else "warning"
    remedy = "write one, or remove it"
    yield Problem(field_path(path), "has no value", remedy, severity=severity, reason="Empty")


def _homes(schema: Schema, name: str, path: Path) -> Iterator[Path]:
    """Where in the schema a field of this name exists, status left out."""
    for key, inner in schema.get("properties", {}).items():
        if key == name and path:
            yield path
        if key != "status":
            yield from _homes(inner, name, (*path, key))


def _twins(items: list[Any], key: str, path: Path) -> Iterator[Problem]:
    seen: dict[Any, int] = {}
    for index, item in enumerate(items):
        name = item.get(key) if isinstance(item, dict) else None
        if isinstance(name, str) and seen.setdefault(name, index) != index:
            where = (*path, index, key)
            yield _problem(where, f"{name!r} is item {seen[name]} already", f"give each its own {key}", "Duplicate")


def _doubles(items: list[Any], path: Path) -> Iterator[Problem]:
    texts = [item if isinstance(item, str) else None for item in items]
    for index, text in enumerate(texts):
        if text is not None and (first := texts.index(text)) != index:
            yield _problem((*path, index), f'"{text}" is item {first} already', "name it once", "Duplicate")


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


_TYPES: Final[dict[str, Callable[[Any], bool]]] = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "integer": _is_integer,
    "number": _is_number,
    "boolean": lambda value: isinstance(value, bool),
    "on-off": lambda value: isinstance(value, str | bool),
    "number-or-string": lambda value: isinstance(value, str) or _is_number(value),
    "int-or-string": lambda value: isinstance(value, str) or _is_integer(value),
    "any": lambda value: True,
}

_WANTED: Final = {
    "object": "a mapping",
    "array": "a list",
    "string": "a text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "on-off": "on or off",
    "number-or-string": "a number",
    "int-or-string": "a quantity",
}


def _kind(schema: Schema) -> str:
    if "type" in schema:
        return str(schema["type"])
    if "x-kubernetes-int-or-string" in schema:
        return "int-or-string"
    if "enum" in schema:
        return "on-off"
    return "number-or-string" if "pattern" in schema else "any"


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, bool):
        return "true" if value else "false"
    return f'"{value}"' if isinstance(value, str) else f"the number {value}"


def _type_remedy(value: Any, schema: Schema, kind: str) -> str:
    if schema.get("pattern") == DURATION_PATTERN:
        return f'write it with a unit, such as "{value}s" or "{value}m"' if _is_number(value) else _DURATIONS
    if kind == "string" and isinstance(value, bool):
        return "write it in quotes: YAML reads on, off, yes, no, y and n as booleans"
    if kind == "string" and _is_number(value):
        return f'write it in quotes: "{value}"'
    if kind in _UNQUOTED and isinstance(value, str) and re.fullmatch(_UNQUOTED[kind], value):
        return "write it without quotes"
    return {"array": "begin each item with a dash", "int-or-string": _QUANTITIES}.get(kind, f"write {_WANTED[kind]}")


_UNQUOTED: Final = {"integer": "[-+]?[0-9]+", "number": r"[-+]?[0-9]+(\.[0-9]+)?", "boolean": "true|false"}
"""Texts that are what is wanted but for their quotes."""
_DURATIONS: Final = 'write a duration such as "10m" or "1h30m"'
_QUANTITIES: Final = 'write a quantity such as 8, "500m" or "16Gi"'
_NUMBERS: Final = "write a number of zero or more"
_SHARES: Final = 'write a share such as "0.5", or a percentage of 100 at most'
_TIMES: Final = 'write it with date, time and zone, such as "2026-01-31T18:00:00Z"'

_PATTERNS: Final = {
    DURATION_PATTERN: _DURATIONS,
    NUMBER_PATTERN: _NUMBERS,
    THRESHOLD_PATTERN: _SHARES,
    QUANTITY_PATTERN: _QUANTITIES,
    TIME_OF_DAY_PATTERN: 'write a time of day such as "07:30", "24:00" at most',
    DATE_PATTERN: 'write a date such as "2026-12-24"',
    PERCENT_PATTERN: 'write a number, or a share such as "40%"',
    SNMP_PATTERN: "write the number or the text that the PDU answers",
}
_TIME: Final = Annotated[datetime, Meta(tz=True)]


def _scalar(value: Any, schema: Schema, path: Path) -> Iterator[Problem]:
    if isinstance(value, str):
        yield from _text(value, schema, path)
    elif _is_number(value):
        yield from _number(value, schema, path)
    if "enum" in schema and not any(
        value is each or (value == each and type(value) is type(each)) for each in schema["enum"]
    ):
        choices = [each for each in schema["enum"] if isinstance(each, str) and each]
        close = suggestion(value, choices) if isinstance(value, str) else ""
        remedy = f"did you mean {close}?" if close else f"write {_alternatives(choices)}"
        yield _problem(path, f"is {_shown(value)}, which is none of {', '.join(choices)}", remedy, "NotAllowed")


def _alternatives(choices: list[str]) -> str:
    return f"{', '.join(choices[:-1])} or {choices[-1]}" if len(choices) > 1 else choices[0]


def _number(value: float, schema: Schema, path: Path) -> Iterator[Problem]:
    least, most = schema.get("minimum"), schema.get("maximum")
    if least is not None and value <= least and schema.get("exclusiveMinimum"):
        yield _problem(path, f"is {value}", f"write more than {least}", "TooSmall")
    elif least is not None and value < least:
        yield _problem(path, f"is {value}", f"{least} is the least", "TooSmall")
    if most is not None and value > most:
        yield _problem(path, f"is {value}", f"{most} is the most", "TooLarge")


def _text(value: str, schema: Schema, path: Path) -> Iterator[Problem]:
    if len(value) < schema.get("minLength", 0):
        yield _problem(path, "is empty", "write it out", "Empty")
    if len(value) > schema.get("maxLength", len(value)):
        yield _problem(path, f"has {len(value)} characters", f"{schema['maxLength']} at most", "TooLong")
    pattern = schema.get("pattern")
    if pattern is not None and (told := _unreadable(value, pattern)):
        yield _problem(path, told, _PATTERNS[pattern], "Unreadable")
    if schema.get("format") == "date-time" and not _is_time(value):
        yield _problem(path, f"is {_shown(value)}, which is no time", _TIMES, "Unreadable")


def _unreadable(value: str, pattern: str) -> str:
    """Why the text is not what the pattern stands for; empty where it is. A pattern does not know how long a duration may be."""
    if pattern == DURATION_PATTERN:
        try:
            parse_duration(value)
        except ValueError as error:
            return str(error)
    return "" if re.fullmatch(pattern, value, re.ASCII) else f"{_shown(value)} cannot be read"


def _is_time(value: str) -> bool:
    try:
        msgspec.convert(value, _TIME)
    except msgspec.ValidationError:
        return False
    return True


def _problem(path: Path, text: str, remedy: str, reason: str) -> Problem:
    return Problem(field_path(path), text, remedy, reason=reason)
