"""The CustomResourceDefinitions of Group, Node and PowerProfile, as builtins: names, columns and schema."""

from typing import Any, Final

from msgspec import Struct

from hexa.domain.names import API_GROUP, API_VERSION
from hexa.domain.resources.core import Kind
from hexa.domain.resources.schema import Schema, schema_of
from hexa.domain.resources.v1alpha1 import GROUPS, MACHINES, PROFILES


class Column(Struct, frozen=True):
    """A column of `kubectl get`; one that is not `wide` alone is always shown."""

    name: str
    path: str
    type: str = "string"
    wide: bool = False


class Names(Struct, frozen=True):
    """How people call a kind: core/v1 has a Node too, and its short names come first."""

    singular: str
    short: tuple[str, ...]
    columns: tuple[Column, ...]


AGE: Final = Column("Age", ".metadata.creationTimestamp", "date")

NAMES: Final = {
    GROUPS.name: Names(
        "group",
        ("hg", "hgroup"),
        (
            Column("Size", ".status.size", "integer"),
            Column("Target", ".status.target", "integer"),
            Column("Ready", ".status.ready", "integer"),
            Column("Off", ".status.off", "integer"),
            Column("Health", ".status.health"),
            Column("Min", ".spec.minSize", "integer", wide=True),
            Column("Max", ".spec.maxSize", "integer", wide=True),
            Column("Booting", ".status.booting", "integer", wide=True),
            Column("Failed", ".status.failed", "integer", wide=True),
            Column("Energy", ".status.energy.summary", wide=True),
            AGE,
        ),
    ),
    MACHINES.name: Names(
        "node",
        ("hn", "hnode"),
        (
            Column("Wish", ".status.wish.power"),
            Column("Phase", ".status.phase"),
            Column("Progress", ".status.progress"),
            Column("Health", ".status.health"),
            Column("Ailment", ".status.healthReason", wide=True),
            Column("Uptime", ".status.availability.uptime", wide=True),
            Column("Wakes", ".status.availability.wakes", wide=True),
            Column("Group", ".metadata.labels.group", wide=True),
            Column("By", ".status.wish.by", wide=True),
            Column("Reading", ".status.reading.power", wide=True),
            Column("Kubernetes-Node", ".spec.kubernetesNodeName", wide=True),
            Column("Energy", ".status.energy.summary", wide=True),
            Column("Profile", ".spec.profile", wide=True),
            AGE,
        ),
    ),
    PROFILES.name: Names("powerprofile", ("hpp",), (AGE,)),
}
KINDS: Final[tuple[Kind[Any], ...]] = (GROUPS, MACHINES, PROFILES)

CATEGORY: Final = "hexa"


def definitions() -> dict[str, dict[str, Any]]:
    """All CustomResourceDefinitions by name."""
    return {f"{kind.plural}.{API_GROUP}": _definition(kind) for kind in KINDS}


def object_schema(kind: Kind[Any]) -> Schema:
    """The whole schema of an object of ours. Its metadata is the API server's business."""
    schema = schema_of(kind.type)
    envelope = {
        "apiVersion": {"type": "string", "description": f"{API_VERSION}."},
        "kind": {"type": "string", "description": f"{kind.name}."},
        "metadata": {"type": "object"},
    }
    return {**schema, "properties": {**schema["properties"], **envelope}}


def _definition(kind: Kind[Any]) -> dict[str, Any]:
    names = NAMES[kind.name]
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{kind.plural}.{API_GROUP}"},
        "spec": {
            "group": API_GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": kind.name,
                "listKind": f"{kind.name}List",
                "plural": kind.plural,
                "singular": names.singular,
                "shortNames": list(names.short),
                "categories": [CATEGORY],
            },
            "versions": [_version(kind)],
        },
    }


def _version(kind: Kind[Any]) -> dict[str, Any]:
    return {
        "name": API_VERSION.partition("/")[2],
        "served": True,
        "storage": True,
        "additionalPrinterColumns": [_column(each) for each in NAMES[kind.name].columns],
        **({"subresources": {"status": {}}} if "status" in kind.type.__struct_fields__ else {}),
        "schema": {"openAPIV3Schema": object_schema(kind)},
    }


def _column(column: Column) -> dict[str, Any]:
    shown = {"name": column.name, "type": column.type, "jsonPath": column.path}
    return {**shown, "priority": 1} if column.wide else shown
