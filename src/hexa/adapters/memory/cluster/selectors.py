"""Label and field selectors in the API's own syntax, as predicates over an object's builtins. Pure."""

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Final

from hexa.domain.errors import Refused
from hexa.domain.resources.core import Kind, LabelSelector, LabelSelectorRequirement

Labels = Mapping[str, str]
Match = Callable[[dict[str, Any]], bool]
LabelTest = Callable[[Labels], bool]

_REQUIREMENT: Final = re.compile(
    r"\s*(?:(?P<absent>!)\s*(?P<gone>[\w./-]+)"
    r"|(?P<key>[\w./-]+)\s*(?:(?P<op>==|=|!=)\s*(?P<value>[\w.-]*)"
    r"|\s(?P<set>in|notin)\s*\((?P<values>[^)]*)\))?)\s*(?:,|$)"
)
_FIELD: Final = re.compile(r"\s*([\w.]+)\s*(==|=|!=)\s*([^,]*?)\s*(?:,|$)")
_NO_LABELS: Final[Labels] = {}

ANYWHERE: Final = frozenset({"metadata.name", "metadata.namespace"})
SELECTABLE: Final = {
    ("v1", "pods"): {"spec.nodeName", "spec.restartPolicy", "spec.schedulerName", "status.phase"},
    ("v1", "nodes"): {"spec.unschedulable"},
    ("v1", "events"): {f"involvedObject.{key}" for key in ("kind", "name", "namespace", "uid")} | {"reason", "type"},
    ("batch/v1", "jobs"): {"status.successful"},
}
"""Fields that a real server selects by, of the kinds that hexa asks for."""


def labels_of(obj: Mapping[str, Any]) -> Labels:
    """The object's labels; empty if it has none."""
    labels: Labels = obj["metadata"].get("labels") or _NO_LABELS
    return labels


@lru_cache(maxsize=1024)
def label_test(selector: str) -> LabelTest:
    """`a=b,c!=d,e in (f,g),h notin (i),j,!k` as a test of labels."""
    tests, position = [], 0
    while position < len(selector):
        found = _REQUIREMENT.match(selector, position)
        if found is None:
            raise Refused(f"unable to parse label selector: {selector!r}", reason="BadRequest")
        tests.append(_label_requirement(found.groupdict()))
        position = found.end()
    return lambda labels: all(test(labels) for test in tests)


def _label_requirement(parts: Mapping[str, str | None]) -> LabelTest:
    if parts["absent"]:
        return label_operator(parts["gone"] or "", "DoesNotExist", ())
    key = parts["key"] or ""
    if parts["set"]:
        values = tuple(value.strip() for value in (parts["values"] or "").split(","))
        return label_operator(key, "In" if parts["set"] == "in" else "NotIn", values)
    if parts["op"]:
        return label_operator(key, "NotIn" if parts["op"] == "!=" else "In", (parts["value"] or "",))
    return label_operator(key, "Exists", ())


def label_operator(key: str, operator: str, values: tuple[str, ...]) -> LabelTest:
    """One requirement of a selector or of a node affinity; an operator that is not known matches nothing."""
    match operator:
        case "In":
            return lambda labels: labels.get(key) in values
        case "NotIn":
            return lambda labels: labels.get(key) not in values
        case "Exists":
            return lambda labels: key in labels
        case "DoesNotExist":
            return lambda labels: key not in labels
        case _:
            return lambda _: False


def selector_test(selector: LabelSelector | None) -> LabelTest:
    """A `metav1.LabelSelector`; None matches nothing, an empty one everything."""
    if selector is None:
        return lambda _: False
    wanted = tuple(
        LabelSelectorRequirement(key=key, operator="In", values=(value,))
        for key, value in selector.match_labels.items()
    )
    tests = [label_operator(r.key, r.operator, r.values) for r in wanted + selector.match_expressions]
    return lambda labels: all(test(labels) for test in tests)


@lru_cache(maxsize=1024)
def field_test(selector: str) -> Match:
    """`metadata.name=a,spec.nodeName!=b` as a test of an object; see `refuse_unknown_fields`."""
    tests, position = [], 0
    while position < len(selector):
        found = _FIELD.match(selector, position)
        if found is None:
            raise Refused(f"unable to parse field selector: {selector!r}", reason="BadRequest")
        tests.append(_field_requirement(found[1].split("."), found[2] != "!=", found[3]))
        position = found.end()
    return lambda obj: all(test(obj) for test in tests)


def _field_requirement(path: list[str], wanted: bool, value: str) -> Match:
    def test(obj: Mapping[str, Any]) -> bool:
        found: Any = obj
        for step in path:
            found = found.get(step) if isinstance(found, Mapping) else None
        return (("" if found is None else str(found)) == value) is wanted

    return test


def refuse_unknown_fields(kind: Kind[Any], fields: str) -> None:
    """Raise `Refused` for a field that a real server does not select by."""
    for found in _FIELD.finditer(fields):
        if found[1] not in ANYWHERE and found[1] not in SELECTABLE.get((kind.api_version, kind.plural), ()):
            raise Refused(f"list {kind.plural}: field label not supported: {found[1]}", reason="BadRequest")


def object_test(*, namespace: str | None, labels: str, fields: str) -> Match | None:
    """All three together; None where everything matches."""
    if not namespace and not labels and not fields:
        return None
    by_label, by_field = label_test(labels), field_test(fields)

    def test(obj: dict[str, Any]) -> bool:
        if namespace and obj["metadata"].get("namespace") != namespace:
            return False
        return (not labels or by_label(labels_of(obj))) and (not fields or by_field(obj))

    return test
