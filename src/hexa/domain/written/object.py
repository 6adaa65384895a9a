"""Whether an object of ours, as it was written in a file, is one that the API server would take.

It judges one object by itself: names, labels, and through `shape` every field.
"""

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, Final

from hexa.domain.names import API_GROUP, API_VERSION
from hexa.domain.policy.labels import (
    LONGEST,
    bad_key,
    bad_label,
    is_label_key,
    is_label_value,
    is_namespace,
    is_object_name,
)
from hexa.domain.policy.problem import Problem
from hexa.domain.resources.core import Kind
from hexa.domain.resources.crd import object_schema
from hexa.domain.resources.schema import Schema
from hexa.domain.resources.v1alpha1 import GROUPS, MACHINES, PROFILES
from hexa.domain.spelling import suggestion
from hexa.domain.written.shape import field_path, misfits

KINDS: Final[Mapping[str, Kind[Any]]] = {kind.name: kind for kind in (GROUPS, MACHINES, PROFILES)}


def is_ours(obj: Mapping[str, Any]) -> bool:
    """Whether the object is of our API group, or was meant to be, whatever its version and kind."""
    version, kind = obj.get("apiVersion"), obj.get("kind")
    if not version or not isinstance(version, str):
        return isinstance(kind, str) and kind in KINDS
    return suggestion(str(version).partition("/")[0], [API_GROUP]) == API_GROUP


def written_problems(obj: Mapping[str, Any]) -> Iterator[Problem]:
    """What the API server would refuse of an object of ours (builtins, as they were read from a file)."""
    kind, version = obj.get("kind"), obj.get("apiVersion")
    if version in (None, ""):
        yield Problem("apiVersion", "is missing", f"write {API_VERSION}", reason="Required")
    elif version != API_VERSION:
        yield Problem("apiVersion", f"{version} is not known", f"write {API_VERSION}", reason="UnknownVersion")
    if not isinstance(kind, str) or kind not in KINDS:
        yield _unknown_kind(kind)
        return
    yield from metadata_problems(obj.get("metadata"), kind)
    body = {key: value for key, value in obj.items() if key != "metadata"}
    yield from misfits(body, _schema(kind), elsewhere=_elsewhere(kind, _name_of(obj)))


def _unknown_kind(kind: Any) -> Problem:
    known = f"write {' or '.join(KINDS)}"
    if kind in (None, ""):
        return Problem("kind", "is missing", known, reason="Required")
    if not isinstance(kind, str):
        return Problem("kind", "is no text", known, reason="WrongType")
    close = suggestion(kind, KINDS)
    remedy = f"did you mean {close}?" if close else known
    return Problem("kind", f"{API_GROUP} has no kind {kind}", remedy, reason="UnknownKind")


_FIRST_SCHEMA: Final = {
    "nodesSpecs": "make a Node for each item of spec.nodesSpecs, with the label group: {name} and the item as its spec "
    "(docs/migrate.md, the first schema)",
    "pricing": "write it as spec.pricing of each Node of the group",
}
"""Fields of a Group in the first schema of homelab-autoscaler, and the way over."""


def _elsewhere(kind: str, name: str) -> dict[str, str]:
    """What to do with a field of the spec that this kind does not have, and another one or an older schema does."""
    if kind == PROFILES.name:
        return {}
    other = MACHINES.name if kind == GROUPS.name else GROUPS.name
    own, fields = _schema(kind)["properties"]["spec"]["properties"], _schema(other)["properties"]["spec"]["properties"]
    whose = "each Node of the group" if other == MACHINES.name else "its Group"
    moved = {field: f"it is a field of {other}: write it as spec.{field} of {whose}" for field in fields.keys() - own}
    former = {field: text.format(name=name) for field, text in _FIRST_SCHEMA.items()} if kind == GROUPS.name else {}
    return {**moved, **former}


def _name_of(obj: Mapping[str, Any]) -> str:
    metadata = obj.get("metadata")
    return str(metadata.get("name") or "NAME") if isinstance(metadata, dict) else "NAME"


_METADATA_FIELDS: Final = (
    *("name", "namespace", "labels", "annotations", "finalizers", "ownerReferences", "generateName", "uid"),
    *("resourceVersion", "generation", "creationTimestamp", "deletionTimestamp", "managedFields", "selfLink"),
    "deletionGracePeriodSeconds",
)
_TEXTS: Final = (
    "namespace",
    "generateName",
    "uid",
    "resourceVersion",
    "creationTimestamp",
    "deletionTimestamp",
    "selfLink",
)
"""Fields of metadata that are texts, beside the name."""


def metadata_problems(metadata: Any, kind: str) -> Iterator[Problem]:
    """What is wrong with an object's metadata as it was written."""
    if not isinstance(metadata, dict):
        text = "is missing" if metadata is None else "is no mapping"
        yield Problem("metadata", text, "add metadata with a name", reason="Required")
        return
    for field in metadata:
        if field not in _METADATA_FIELDS:
            close = suggestion(field, _METADATA_FIELDS)
            remedy = f"did you mean {close}?" if close else "remove it"
            yield Problem(field_path(("metadata", field)), "is no field of metadata", remedy, reason="UnknownField")
    yield from _name_problems(metadata.get("name"), kind)
    for field in _TEXTS:
        if (value := metadata.get(field)) is not None and not isinstance(value, str):
            yield _no_text(f"metadata.{field}", value)
    yield from _namespace_problems(metadata.get("namespace"))
    for field in ("labels", "annotations"):
        yield from _string_map_problems(metadata.get(field), field)


def _name_problems(name: Any, kind: str) -> Iterator[Problem]:
    if name is None:
        yield Problem("metadata.name", "is missing", "add it", reason="Required")
    elif not isinstance(name, str):
        yield _no_text("metadata.name", name)
    elif not is_object_name(name):
        remedy = "use lower case letters, digits, - and . only, beginning and ending with a letter or digit"
        yield Problem("metadata.name", f"{name!r} is no name in Kubernetes", remedy, reason="BadName")
    elif kind == GROUPS.name and len(name) > LONGEST:
        text = f"has {len(name)} characters, and the name of a group goes into a label"
        yield Problem("metadata.name", text, f"use {LONGEST} at most", reason="TooLong")


def _namespace_problems(namespace: Any) -> Iterator[Problem]:
    if not isinstance(namespace, str) or not namespace:
        return
    if not is_namespace(namespace):
        remedy = f"use lower case letters, digits and - only, {LONGEST} at most"
        yield Problem("metadata.namespace", f"{namespace!r} is no name of a namespace", remedy, reason="BadName")


def _no_text(where: str, value: Any) -> Problem:
    """A value of another kind where Kubernetes takes texts alone. YAML has read it: of a boolean the word is lost."""
    if isinstance(value, bool):
        words = "yes, on, true or y" if value else "no, off, false or n"
        return Problem(
            where,
            f"is {str(value).lower()}, which is how YAML reads {words}; a text is wanted",
            _QUOTES,
            reason="WrongType",
        )
    if isinstance(value, (dict, list)):
        kind = "mapping" if isinstance(value, dict) else "list"
        return Problem(where, f"is a {kind}; a text is wanted", "write a text", reason="WrongType")
    return Problem(
        where, f"is the number {value}; a text is wanted", f'write it in quotes: "{value}"', reason="WrongType"
    )


_QUOTES: Final = "write the word in quotes"


def _string_map_problems(values: Any, field: str) -> Iterator[Problem]:
    if values is None:
        return
    if not isinstance(values, dict):
        yield Problem(f"metadata.{field}", "a mapping is wanted", "write KEY: VALUE in each line", reason="WrongType")
        return
    for key, value in values.items():
        where = field_path(("metadata", field, key))
        if not is_label_key(key):
            yield bad_key(where, key)
        elif value is None:
            yield Problem(where, "has no value", 'write one, or "" for an empty one', reason="WrongType")
        elif not isinstance(value, str):
            yield _no_text(where, value)
        elif field == "labels" and not is_label_value(value):
            yield bad_label(where, value)


@cache
def _schema(kind: str) -> Schema:
    return object_schema(KINDS[kind])
