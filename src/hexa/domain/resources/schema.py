"""msgspec types -> structural OpenAPI schemas of apiextensions/v1, as builtins. It knows no kind and no file.

A type says what differs from its JSON schema in `Meta(extra={"x-crd": {...}})`, and what CEL shall check
in the class variable `RULES`. Defaults are described, not materialised: the API server would write them
into every object. The few that shall be written stand in "x-crd" as "default".
"""

from typing import Any, Final

import msgspec
from msgspec import inspect

Schema = dict[str, Any]

X_CRD: Final = "x-crd"

NUMERIC_BOUNDS: Final = {
    "ge": ("minimum", None),
    "gt": ("minimum", "exclusiveMinimum"),
    "le": ("maximum", None),
    "lt": ("maximum", "exclusiveMaximum"),
}


def schema_of(type_: type[msgspec.Struct]) -> Schema:
    """The schema of a struct and all in it. Raises `TypeError` for a type that no schema can say."""
    return _schema(inspect.type_info(type_))


def _schema(type_: inspect.Type) -> Schema:
    if isinstance(type_, inspect.Metadata):
        return _annotated(type_)
    if isinstance(type_, inspect.StructType):
        return _struct(type_)
    if isinstance(type_, inspect.UnionType):
        return _optional(type_)
    if isinstance(type_, inspect.DictType):
        return {"type": "object", "additionalProperties": _schema(type_.value_type)}
    if isinstance(type_, inspect.VarTupleType | inspect.ListType):
        return {"type": "array", "items": _schema(type_.item_type), **_lengths(type_, "Items")}
    return _scalar(type_)


def _annotated(type_: inspect.Metadata) -> Schema:
    extra = (type_.extra or {}).get(X_CRD, {})
    description = type_.extra_json_schema or {}
    if isinstance(type_.type, inspect.UnionType) and "x-kubernetes-preserve-unknown-fields" in extra:
        return {**description, **extra}
    if "x-kubernetes-int-or-string" in extra:
        return {**description, **extra}
    return {**description, **_schema(type_.type), **description, **extra}


def _struct(type_: inspect.StructType) -> Schema:
    properties = {field.encode_name: _field(type_, field) for field in type_.fields}
    required = [field.encode_name for field in type_.fields if field.required]
    rules = [{"rule": each.rule, "message": each.message} for each in getattr(type_.cls, "RULES", ())]
    schema: Schema = {"type": "object", "properties": properties}
    if own := type_.cls.__dict__.get("__doc__"):
        schema = {"description": " ".join(own.split()), **schema}
    if required:
        schema["required"] = required
    if rules:
        schema["x-kubernetes-validations"] = rules
    return schema


def _field(owner: inspect.StructType, field: inspect.Field) -> Schema:
    schema = _schema(field.type)
    writes_null = not owner.cls.__struct_config__.omit_defaults and field.default is None
    return {**schema, "nullable": True} if writes_null else schema


def _optional(type_: inspect.UnionType) -> Schema:
    members = [each for each in type_.types if not isinstance(each, inspect.NoneType)]
    if len(members) != 1:
        raise TypeError(f"a union needs its schema in Meta(extra={{{X_CRD!r}: ...}}): {type_}")
    return _schema(members[0])


def _scalar(type_: inspect.Type) -> Schema:
    match type_:
        case inspect.AnyType():
            return {"x-kubernetes-preserve-unknown-fields": True}
        case inspect.BoolType():
            return {"type": "boolean"}
        case inspect.IntType():
            return {"type": "integer", **_bounds(type_)}
        case inspect.FloatType():
            return {"type": "number", **_bounds(type_)}
        case inspect.StrType():
            pattern = {"pattern": type_.pattern} if type_.pattern else {}
            return {"type": "string", **_lengths(type_, "Length"), **pattern}
        case inspect.DateTimeType():
            return {"type": "string", "format": "date-time"}
        case inspect.EnumType():
            return {"type": "string", "enum": [member.value for member in type_.cls]}
        case inspect.LiteralType():
            return {"type": "string", "enum": sorted(map(str, type_.values))}
        case _:
            raise TypeError(f"no schema for {type_}")


def _bounds(type_: inspect.IntType | inspect.FloatType) -> Schema:
    bounds: Schema = {}
    for name, (keyword, exclusive) in NUMERIC_BOUNDS.items():
        if (value := getattr(type_, name)) is not None:
            bounds[keyword] = value
            bounds.update({exclusive: True} if exclusive else {})
    return bounds


def _lengths(type_: inspect.StrType | inspect.VarTupleType | inspect.ListType, what: str) -> Schema:
    lengths = {f"min{what}": type_.min_length, f"max{what}": type_.max_length}
    return {keyword: value for keyword, value in lengths.items() if value is not None}
