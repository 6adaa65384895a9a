"""The CRDs say what the types say, in the words that the API server takes."""

from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import msgspec
import pytest
from msgspec import Meta, Struct, structs

from hexa.domain.resources.crd import definitions, object_schema
from hexa.domain.resources.schema import schema_of
from hexa.domain.resources.v1alpha1 import GROUPS, MACHINES, GroupSpec, NodeSpec, PowerPodSpec
from hexa.domain.written import shape
from hexa.yaml import read_document

CRDS = Path(__file__).parent.parent.parent / "deploy" / "crds"
SCHEMAS = {kind.name: object_schema(kind) for kind in (GROUPS, MACHINES)}


def fields(schema: dict[str, Any], path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every field beneath a schema, with its path."""
    for name, inner in schema.get("properties", {}).items():
        yield f"{path}.{name}", inner
        yield from fields(inner, f"{path}.{name}")
    if "items" in schema:
        yield from fields(schema["items"], f"{path}[]")


FIELDS = {path: schema for kind, root in SCHEMAS.items() for path, schema in fields(root, kind)}


def test_every_field_is_described() -> None:
    """kubectl explain has a sentence for each field; metadata is Kubernetes' own."""
    envelope = {f"{kind}.{name}" for kind in SCHEMAS for name in ("metadata", "spec", "status")}
    described = {path for path, schema in FIELDS.items() if schema.get("description", "").endswith(".")}
    assert set(FIELDS) - described - envelope == set()


def test_every_pattern_has_a_remedy() -> None:
    """What a person wrote against a pattern is told with the way to write it, whichever field it is."""
    patterns = {schema["pattern"] for schema in FIELDS.values() if "pattern" in schema}
    assert patterns <= set(shape._PATTERNS)


def test_every_field_is_structural() -> None:
    """Each field has a type, or is one of the two exceptions that apiextensions knows."""
    exceptions = {"x-kubernetes-preserve-unknown-fields", "x-kubernetes-int-or-string"}
    assert [path for path, schema in FIELDS.items() if ("type" in schema) == bool(schema.keys() & exceptions)] == []


@pytest.mark.parametrize("path", ["Node.spec.powerState", "Node.spec.hold.power", "Group.spec.hold.power"])
def test_power_takes_words_and_booleans(path: str) -> None:
    """on and off are taken as texts and as the booleans that YAML makes of them."""
    schema = {key: value for key, value in FIELDS[path].items() if key != "description"}
    assert schema == {"x-kubernetes-preserve-unknown-fields": True, "enum": ["on", "off", True, False]}


def test_thresholds_take_numbers_and_texts() -> None:
    """A threshold is a number up to 100 or a text of one; booleans are no numbers."""
    schema = FIELDS["Group.spec.scaleDownUtilizationThreshold"]
    assert "type" not in schema
    assert schema["x-kubernetes-preserve-unknown-fields"] is True
    assert (schema["minimum"], schema["maximum"], schema["not"]) == (0, 100, {"enum": [True, False]})


def test_metadata_is_left_to_kubernetes() -> None:
    """The API server owns metadata: a schema for it would be refused."""
    assert [schema["properties"]["metadata"] for schema in SCHEMAS.values()] == [{"type": "object"}] * 2


@pytest.mark.parametrize("type_", [GroupSpec, NodeSpec, PowerPodSpec])
def test_defaults_of_schema_are_those_of_the_type(type_: type[Struct]) -> None:
    """Where the server fills in a default, it is the one that the agent assumes."""
    schema = schema_of(type_)["properties"]
    for field in structs.fields(type_):
        if "default" in schema[field.encode_name]:
            assert schema[field.encode_name]["default"] == msgspec.to_builtins(field.default)


def test_few_defaults_are_filled_in() -> None:
    """Defaults are described, not written into objects, so that a later release can change them; but for these."""
    assert {path: schema["default"] for path, schema in FIELDS.items() if "default" in schema} == {
        "Group.spec.minSize": 0,
        "Group.spec.nodeLeavePolicy": "Delete",
        "Node.spec.startupPodSpec.ttlSecondsAfterFinished": 600,
        "Node.spec.shutdownPodSpec.ttlSecondsAfterFinished": 600,
        "Node.spec.healthcheckPodSpec.ttlSecondsAfterFinished": 600,
    }


def test_conditions_merge_by_type() -> None:
    """Server-side apply and patches treat conditions as a map."""
    for path in ("Group.status.conditions", "Node.status.conditions"):
        assert FIELDS[path]["x-kubernetes-list-type"] == "map"
        assert FIELDS[path]["x-kubernetes-list-map-keys"] == ["type"]


def test_status_is_a_subresource_and_names_are_short() -> None:
    """kubectl get hg,hn,hpp and kubectl get hexa work, and a status cannot be set by kubectl apply. A profile has none."""
    groups, nodes, profiles = (definition["spec"] for definition in definitions().values())
    assert groups["names"]["shortNames"] == ["hg", "hgroup"]
    assert nodes["names"]["shortNames"] == ["hn", "hnode"]
    assert profiles["names"]["shortNames"] == ["hpp"]
    assert "subresources" not in profiles["versions"][0]
    for spec in (groups, nodes, profiles):
        assert spec["names"]["categories"] == ["hexa"]
    for spec in (groups, nodes):
        assert spec["versions"][0]["subresources"] == {"status": {}}


def test_columns_exist_in_the_schema() -> None:
    """Each printer column of spec and status shows a field that there is, of the column's type."""
    for definition in definitions().values():
        kind = definition["spec"]["names"]["kind"]
        for column in definition["spec"]["versions"][0]["additionalPrinterColumns"]:
            if not column["jsonPath"].startswith(".metadata"):
                assert FIELDS[kind + column["jsonPath"]]["type"] == column["type"]


@pytest.mark.parametrize("name", definitions())
def test_deployed_crds_are_generated(name: str) -> None:
    """deploy/crds holds what the types say now; `./dev crds` writes it."""
    plural, _, group = name.partition(".")
    file = CRDS / f"{group}_{plural}.yaml"
    document = read_document(file.read_text(encoding="utf-8"), source=file.name)
    assert document is not None
    assert document.value == definitions()[name]


# --- the writer -------------------------------------------------------------------------------------


class Colour(StrEnum):
    """For tests."""

    RED = "red"
    BLUE = "blue"


class Sample(Struct, rename="camel"):
    """One of each."""

    needed: Annotated[int, Meta(gt=0, le=9, description="A number.")]
    share: Annotated[float, Meta(ge=0, lt=1)] = 0.5
    some_text: Annotated[str, Meta(min_length=1, max_length=5, pattern="^a")] = "a"
    colours: Annotated[tuple[Colour, ...], Meta(max_length=2)] = ()
    free: dict[str, int] | None = None


def test_types_become_schemas() -> None:
    """Bounds, lengths, patterns, enums, maps and what is required are carried over."""
    assert schema_of(Sample) == {
        "description": "One of each.",
        "type": "object",
        "required": ["needed"],
        "properties": {
            "needed": {
                "description": "A number.",
                "type": "integer",
                "minimum": 0,
                "exclusiveMinimum": True,
                "maximum": 9,
            },
            "share": {"type": "number", "minimum": 0, "maximum": 1, "exclusiveMaximum": True},
            "someText": {"type": "string", "minLength": 1, "maxLength": 5, "pattern": "^a"},
            "colours": {"type": "array", "items": {"type": "string", "enum": ["red", "blue"]}, "maxItems": 2},
            "free": {"type": "object", "additionalProperties": {"type": "integer"}, "nullable": True},
        },
    }


class Vague(Struct):
    """A union that no schema can say by itself."""

    either: int | str = 0


class Odd(Struct):
    """A type that JSON has no schema for here."""

    odd: bytes = b""


@pytest.mark.parametrize("type_", [Vague, Odd])
def test_type_without_schema_is_refused(type_: type[Struct]) -> None:
    """The writer never guesses: such a type needs its schema in x-crd."""
    with pytest.raises(TypeError, match="schema"):
        schema_of(type_)
