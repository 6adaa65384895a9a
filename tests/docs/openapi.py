"""docs/reference/openapi.json: what the API takes and answers, from its msgspec types. `./dev reference` writes it, and the copy in
the package that hexa serves.

What a field means is said beside it in `hexa.domain.words`; here stands which path takes and answers what.
"""

import ast
import inspect
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import Struct, structs

from hexa.domain.words.history import Stretch
from hexa.domain.words.orders import Eta, HoldBody, Ordered, WakeBody
from hexa.domain.words.overview import EnergyState, GroupState, Hand, MachineState, Overview, Summary

SERVED: Final = Path("src/hexa/adapters/http/files/openapi.json")
TYPES: Final[tuple[type[Struct], ...]] = (
    Overview,
    Summary,
    MachineState,
    GroupState,
    EnergyState,
    Hand,
    Stretch,
    Eta,
    HoldBody,
    WakeBody,
    Ordered,
)
INTRODUCTION: Final = (
    "What hexa knows of its machines, and a person's word over them. Every path but this one needs a token of Kubernetes, unless "
    "http.anonymousRead is set; what a token may see and do is what RBAC allows it to do with nodes.infra.homecluster.dev. "
    "Null stands for what is not known."
)
ERROR: Final = {
    "type": "object",
    "description": "What is wrong.",
    "properties": {
        "reason": {"type": "string", "description": "In CamelCase, for programs."},
        "message": {"type": "string", "description": "In a sentence."},
        "field": {"type": "string", "description": "The field of the request, where one is wrong."},
        "remedy": {"type": "string", "description": "What to do."},
    },
    "required": ["reason", "message"],
}
WRONG: Final = {
    "400": "The request makes no sense; where a field is wrong, it is named with the remedy.",
    "401": "No token, or none that the API server knows.",
    "403": "RBAC does not allow it.",
    "404": "There is no such object.",
    "409": "Another word stands against it, or the object does not decode.",
    "413": "The body is too large.",
    "422": "The API server refuses the change.",
    "429": "Too often; the header Retry-After says when it is worth to ask again.",
    "503": "The API server does not answer; see Retry-After.",
}
READ: Final = ("400", "401", "403", "429", "503")
ONE: Final = (*READ, "404")
ORDER: Final = tuple(WRONG)

PLACE: Final = [
    {"name": name, "in": "path", "required": True, "schema": {"type": "string", "maxLength": 253}}
    for name in ("namespace", "name")
]
SPACE: Final = {
    "name": "namespace",
    "in": "query",
    "description": "What is in this namespace alone.",
    "schema": {"type": "string", "maxLength": 253},
}
SINCE: Final = {
    "name": "since",
    "in": "query",
    "description": "How far back, 840h at most.",
    "schema": {"type": "string", "default": "24h", "maxLength": 32},
}


def ref(kind: type[Struct]) -> dict[str, Any]:
    """Where the type is described."""
    return {"$ref": f"#/components/schemas/{kind.__name__}"}


def listed(name: str, kind: type[Struct]) -> dict[str, Any]:
    """An object with a list, and of state the moment at which it was so."""
    each = {"type": "array", "items": ref(kind)}
    at = {"at": {"type": "string", "format": "date-time"}} if kind is not Stretch else {}
    return {"type": "object", "properties": {**at, name: each}, "required": [*at, name]}


def content(schema: dict[str, Any], media: str = "application/json") -> dict[str, Any]:
    """A body."""
    return {"content": {media: {"schema": schema}}}


def operation(summary: str, answer: dict[str, Any], wrong: tuple[str, ...], **more: Any) -> dict[str, Any]:
    """What a path answers."""
    errors = {code: {"description": WRONG[code], **content({"$ref": "#/components/schemas/Error"})} for code in wrong}
    return {"summary": summary, **more, "responses": {"200": {"description": "The answer.", **answer}, **errors}}


def paths() -> dict[str, Any]:
    """What there is."""
    machine, text = "/api/v1/machines/{namespace}/{name}", {"type": "string"}
    page = operation("A page that counts down", content(text, "text/html"), ONE, parameters=PLACE)
    page["responses"]["503"] = {
        "description": "The same page, while the machine is not Ready.",
        **content(text, "text/html"),
    }

    eta = operation("When a machine is Ready", content(ref(Eta)), ONE, parameters=PLACE)
    for code in ("200", "503"):  # who takes HTML rather gets the page
        eta["responses"][code]["content"] |= content(text, "text/html")["content"]

    def get(summary: str, schema: dict[str, Any], wrong: tuple[str, ...] = READ, *parameters: Any) -> dict[str, Any]:
        return {"get": operation(summary, content(schema), wrong, parameters=list(parameters))}

    def post(summary: str, body: type[Struct], **more: Any) -> dict[str, Any]:
        asks = {"requestBody": content(ref(body)) | more}
        return {"post": operation(summary, content(ref(Ordered)), ORDER, parameters=PLACE, **asks)}

    return {
        "/api/v1/state": get("Everything at this moment", ref(Overview), READ, SPACE),
        "/api/v1/machines": get("Machines", listed("machines", MachineState), READ, SPACE),
        machine: get("A machine", ref(MachineState), ONE, *PLACE),
        f"{machine}/eta": {"get": eta},
        f"{machine}/eta.html": {"get": page},
        f"{machine}/hold": post("Hold a machine on or off, or let go of it", HoldBody, required=True),
        f"{machine}/wake": post("Have a machine on for a time", WakeBody, required=False),
        "/api/v1/groups": get("Groups", listed("groups", GroupState), READ, SPACE),
        "/api/v1/groups/{namespace}/{name}": get("A group", ref(GroupState), ONE, *PLACE),
        "/api/v1/history": get("In which phase machines were", listed("stretches", Stretch), READ, SPACE, SINCE),
        "/api/v1/stream": {
            "get": operation(
                "Server-sent events: state, with an Overview, when something changes and once a minute",
                content(text, "text/event-stream"),
                READ,
                parameters=[SPACE],
            )
        },
        "/api/v1/openapi.json": {
            "get": {**operation("This document", content({"type": "object"}), ()), "security": []}
        },
    }


def document() -> dict[str, Any]:
    """The document."""
    _, schemas = msgspec.json.schema_components(TYPES, ref_template="#/components/schemas/{name}")
    for kind in TYPES:
        for name, text in _told(kind):
            schemas[kind.__name__]["properties"][name].setdefault("description", text)
    token = {"type": "http", "scheme": "bearer", "description": "A token of Kubernetes, such as `hexa token` makes."}
    return {
        "openapi": "3.1.0",
        "info": {"title": "hexa", "version": "1", "description": INTRODUCTION},
        "security": [{"token": []}],
        "paths": paths(),
        "components": {"schemas": {**schemas, "Error": ERROR}, "securitySchemes": {"token": token}},
    }


def _told(kind: type[Struct]) -> Iterator[tuple[str, str]]:
    """Fields and the texts beneath them."""
    names = {field.name: field.encode_name for field in structs.fields(kind)}
    body = ast.parse(inspect.getsource(kind)).body[0]
    assert isinstance(body, ast.ClassDef)
    for field, beneath in zip(body.body, body.body[1:], strict=False):
        match field, beneath:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                yield names[name], re.sub(r"\s+", " ", text)


def text() -> str:
    """As it is written."""
    return json.dumps(document(), indent=2) + "\n"
