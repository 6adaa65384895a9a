"""Arguments, file or environment -> `PowerSpec`. Whatever is wrong with them is one line; values of fields that hexa does not
know are never repeated, for they may be passwords."""

import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from hexa.domain.power.profile import filled_in, needs_profile
from hexa.domain.resources.core import decode
from hexa.domain.resources.power_spec import POWER_DRIVERS, PowerSpec
from hexa.domain.resources.schema import Schema, schema_of
from hexa.domain.resources.v1alpha1 import MACHINES, PROFILES, Node, PowerProfile
from hexa.domain.written.shape import Path as FieldPath
from hexa.domain.written.shape import misfits
from hexa.yaml import Document, YamlError, read_documents

VARIABLE: Final = "HEXA_POWER"
STANDARD_INPUT: Final = "-"


class BadSettings(ValueError):
    """A sentence for people."""


def from_file(text: str, *, source: str) -> PowerSpec:
    """The settings of a file: `spec.power` by itself, or a Node that has it, or has it from a PowerProfile in the same file. Raises
    `BadSettings`."""
    try:
        documents = read_documents(text, source=source)
    except YamlError as error:
        raise BadSettings(str(error)) from None
    if not documents:
        raise BadSettings(f"{source}: it is empty; name a driver with its settings")
    found = [(document, path) for document in documents for path in _places(document.value)]
    if not found and (node := _with_profile(documents)) is not None:
        return _filled_in(node, documents, source)
    if len(found) != 1:
        what = "no Node in it has spec.power" if not found else f"{len(found)} Nodes in it have spec.power"
        raise BadSettings(f"{source}: {what}; give one, or spec.power by itself")
    document, path = found[0]
    return _checked(document.value if not path else document.value["spec"]["power"], document, path)


def _places(value: Any) -> list[FieldPath]:
    if not isinstance(value, dict) or "apiVersion" not in value:
        return [()]
    spec = value.get("spec")
    return [("spec", "power")] if value.get("kind") == "Node" and isinstance(spec, dict) and "power" in spec else []


def _with_profile(documents: Sequence[Document]) -> Node | None:
    """The only Node of a file, where it names a profile."""
    nodes = [decode(MACHINES, each.value) for each in documents if _kind_of(each.value) == MACHINES.name]
    node = nodes[0] if len(nodes) == 1 else None
    return node if isinstance(node, Node) and needs_profile(node) else None


def _filled_in(node: Node, documents: Sequence[Document], source: str) -> PowerSpec:
    profiles = [decode(PROFILES, each.value) for each in documents if _kind_of(each.value) == PROFILES.name]
    named = (each for each in profiles if isinstance(each, PowerProfile) and each.metadata.name == node.spec.profile)
    profile = next(named, None)
    found = filled_in(node, profile, absent=f"{source} has no PowerProfile {node.spec.profile}")
    if needs_profile(found.node):
        raise BadSettings(f"{source}: {found.problems[0]}")
    if found.node.spec.power is None:
        raise BadSettings(f"{source}: PowerProfile {node.spec.profile} has no spec.power")
    return found.node.spec.power


def _kind_of(value: Any) -> str:
    return str(value.get("kind", "")) if isinstance(value, dict) else ""


def _checked(value: Any, document: Document, path: FieldPath) -> PowerSpec:
    if not isinstance(value, dict):
        raise BadSettings(f"{document.source}: settings are wanted, such as wakeOnLan: {{macs: [...]}}")
    problems = [each for each in misfits(value, _schema()) if each.severity == "error"]
    if problems:
        first = problems[0]
        where = next((here for here in document.lines if _text(here[len(path) :]) == first.field), path)
        raise BadSettings(f"{document.source}:{document.line(where)}: {first}")
    return _converted(value, source=document.source)


def _text(path: FieldPath) -> str:
    return ".".join(map(str, path))


def from_arguments(driver: str, pairs: Sequence[str]) -> PowerSpec:
    """One driver, and its settings as KEY=VALUE; lists are parted by commas. Raises `BadSettings`."""
    if driver not in POWER_DRIVERS:
        raise BadSettings(f"--driver {driver}: there is no such driver{_suggest(driver, POWER_DRIVERS)}")
    schema: Schema = _schema()["properties"][driver]
    value: dict[str, Any] = {}
    for pair in pairs:
        key, separator, text = pair.partition("=")
        if not separator:
            raise BadSettings(
                f"settings are written KEY=VALUE, and one of them has no =; known are {', '.join(_keys(schema))}"
            )
        _put(value, key, text, schema, driver)
    problems = [each for each in misfits({driver: value}, _schema()) if each.severity == "error"]
    if problems:
        raise BadSettings(str(problems[0]))
    return _converted({driver: value}, source=driver)


def _put(value: dict[str, Any], key: str, text: str, schema: Schema, driver: str) -> None:
    *parents, last = key.split(".")
    for parent in parents:
        schema = _below(schema, parent, driver)
        value = value.setdefault(parent, {})
    value[last] = _value(text, _below(schema, last, driver), key)


def _below(schema: Schema, name: str, driver: str) -> Schema:
    properties: Mapping[str, Schema] = schema.get("properties", {})
    if name in properties:
        return properties[name]
    if "additionalProperties" in schema:
        return dict(schema["additionalProperties"])
    raise BadSettings(f"{driver} has no setting {name}{_suggest(name, list(properties))}")


def _value(text: str, schema: Schema, key: str) -> Any:
    kind = schema.get("type")
    if kind == "array":
        return [each.strip() for each in text.split(",") if each.strip()]
    try:
        if kind == "integer":
            return int(text)
        if kind == "number":
            return float(text)
        if kind == "boolean":
            return {"true": True, "false": False}[text]
    except (ValueError, KeyError):
        wanted = {"integer": "a whole number", "number": "a number", "boolean": "true or false"}[kind or ""]
        raise BadSettings(f"{key}: {wanted} is wanted") from None
    if kind == "object":
        raise BadSettings(
            f"{key}: has settings below it: write {key}.{next(iter(schema.get('properties', {'KEY': 0})))}=VALUE"
        )
    return text


def _keys(schema: Schema) -> list[str]:
    return list(schema.get("properties", {}))


def _converted(value: Any, *, source: str) -> PowerSpec:
    try:
        return msgspec.convert(value, PowerSpec)
    except msgspec.ValidationError as error:
        raise BadSettings(f"{source}: {error}") from None


def read(path: str) -> str:
    """The text of a file, or of standard input. Raises `BadSettings`."""
    import sys

    try:
        return sys.stdin.read() if path == STANDARD_INPUT else Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise BadSettings(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise BadSettings(f"{path}: is not UTF-8 text") from None


def _suggest(name: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {close[0]}?" if close else f"; known are {', '.join(known)}"


def _schema() -> Schema:
    return schema_of(PowerSpec)
