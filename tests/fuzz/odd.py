"""Groups and machines in which everything is set, and the same with odd values: the types say what fields there are."""

import types
from collections.abc import Iterator
from copy import deepcopy
from datetime import datetime
from enum import Enum
from functools import cache
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from msgspec import Struct
from msgspec.structs import fields

from hexa.domain.names import MEMBERSHIP_LABEL, WISH_ANNOTATION
from hexa.domain.resources.v1alpha1 import (
    GroupSpec,
    GroupStatus,
    NodeSpec,
    NodeStatus,
    PowerProfileSpec,
    Quantity,
    WishRecord,
)
from hexa.domain.resources.values import Duration

Path = tuple[str | int, ...]
Odd = tuple[Path, Any]
"""Where the odd value stands, and what it is."""

TEXTS: tuple[Any, ...] = (
    "",
    "[fd00::10",
    "https://[fd00::10",
    "http://h:99999999",
    "\x00\n\x1b[2J",
    "é" * 3000,
    "9" * 5000,
    "-1",
    "-1h",
    "2500000h",
    "0",
    "1e999",
    "NaN",
    "$(HOME) ${X} %s {} {0!r}",
    "(?P<x>[",
    "../../etc",
    1,
    1.5,
    True,
    None,
    [],
    {},
)
TIMES: tuple[Any, ...] = (
    "0001-01-01T00:00:00Z",
    "0001-01-01T00:00:00+14:00",
    "9999-12-31T23:59:59.999999Z",
    "9999-12-31T23:59:59-12:00",
    "2026-06-30T23:59:60Z",
    "2026-01-05T00:10:00",
    "1969-12-31T23:59:59Z",
    "yesterday",
    "",
    0,
    None,
)
NUMBERS: tuple[Any, ...] = (
    0,
    -1,
    2**31,
    2**53,
    2**63,
    -(2**63),
    10**40,
    0.1,
    1e308,
    -1e308,
    "1e400",
    "x",
    "",
    True,
    None,
    [],
)
OTHERS: tuple[Any, ...] = ("Weird", "", 1, True, None, [], {}, ["x"], {"x": "y"}, [[]], [None])

OFF_WANTED = ("PoweringOff", "Draining", "Off", "StopFailed")
"""Phases of a machine that shall be off."""

SAMPLES: dict[str, Any] = {
    "image": "power.example/switch",
    "mount_path": "/keys",
    "macs": ["52:54:00:12:34:56"],
    "phase": "Ready",
    "config_map_name": "",
    "value": "",
    "config_map_key_ref": None,
    "field_ref": None,
    "operator": "Exists",
    "profile": None,
    "replaces": "",
    "needed_by": "",
    "then": None,
    "kubernetes_node_name": "",
    "depends_on": ["good"],
    "device": "template",
    "effect": "NoSchedule",
    "paused": None,
    "hold": None,
    "until": "2030-01-01T00:00:00Z",
}


def sample(kind: Any, name: str = "") -> Any:
    """A value of the type, with everything set that is in it."""
    if name in SAMPLES:
        return SAMPLES[name]
    if kind is Duration:
        return "90s"
    if kind is Quantity:
        return "1"
    origin, args = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return sample(args[0], name)
    if origin in (Union, types.UnionType):
        return sample(next(arg for arg in args if arg is not types.NoneType), name)
    if origin is Literal:
        return args[0] or args[-1]
    if origin is tuple:
        return [sample(args[0])]
    if origin is dict:
        return {"cpu": sample(args[1])}
    return _plain(kind, name)


def _plain(kind: Any, name: str) -> Any:
    if isinstance(kind, type) and issubclass(kind, Struct):
        return {field.encode_name: sample(field.type, field.name) for field in fields(kind)}
    if isinstance(kind, type) and issubclass(kind, Enum):
        return next(iter(kind)).value
    known = {str: "text", int: 1, float: 1.0, bool: False, datetime: "2026-01-05T00:00:00Z"}
    return known.get(kind, {})


@cache
def whole_machine() -> tuple[Any, Any, Any]:
    """Spec, status and wish."""
    return sample(NodeSpec), sample(NodeStatus), sample(WishRecord)


@cache
def whole_group() -> tuple[Any, Any]:
    """Spec and status."""
    return sample(GroupSpec), sample(GroupStatus)


def machine(name: str = "odd", *, phase: str = "Ready", power: str = "") -> dict[str, Any]:
    """A machine that says everything. `power`: by this driver of spec.power alone, and not by pods of its own."""
    spec, status, wish = deepcopy(whole_machine())
    if power:
        del spec["startupPodSpec"], spec["shutdownPodSpec"]
        kept = {key: value for key, value in spec["power"].items() if not isinstance(value, dict) or key == power}
        spec["power"] = {**kept, "turnOn": None, "turnOff": None, "turnOnElse": None, "sense": None, "hard": True}
    else:
        del spec["power"]
    if phase in OFF_WANTED:
        spec["powerState"] = "off"
    status["identity"] |= {"kubernetesNode": "", "kubernetesNodeUID": "", "uid": "", "group": "g", "power": ""}
    wanted = spec["powerState"]
    status |= {
        "phase": phase,
        "since": "2026-01-04T23:59:00Z",
        "wakes": 1,
        "attempt": 3,
        "job": None,
        "coolUntil": None,
    }
    metadata = {
        "name": name,
        "namespace": "d",
        "uid": f"uid-{name}",
        "labels": {MEMBERSHIP_LABEL: "g"},
        "annotations": {WISH_ANNOTATION: wish | {"power": wanted, "spec": wanted, "by": "user"}},
    }
    return {
        "apiVersion": "infra.homecluster.dev/v1alpha1",
        "kind": "Node",
        "metadata": metadata,
        "spec": spec,
        "status": status,
    }


def group(name: str = "odd") -> dict[str, Any]:
    """A group that says everything."""
    spec, status = deepcopy(whole_group())
    spec |= {"minSize": 0, "maxSize": 5}
    return {
        "apiVersion": "infra.homecluster.dev/v1alpha1",
        "kind": "Group",
        "metadata": {"name": name, "namespace": "d", "uid": f"uid-{name}"},
        "spec": spec,
        "status": status,
    }


def profile(name: str = "odd") -> dict[str, Any]:
    """A profile that says everything, with a parameter in each text of its drivers."""
    spec = sample(PowerProfileSpec)
    spec["power"]["plugin"]["settings"] = {"host": "{host} {machine} ${HOST} {outlet}"}
    return {
        "apiVersion": "infra.homecluster.dev/v1alpha1",
        "kind": "PowerProfile",
        "metadata": {"name": name, "namespace": "d"},
        "spec": spec,
    }


def paths(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Every place in the value, and what stands there."""
    if path:
        yield path, value
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in inner:
        yield from paths(each, (*path, key))


def odd_values(value: Any) -> tuple[Any, ...]:
    """What may stand there instead."""
    if isinstance(value, str):
        return TIMES if value.endswith("Z") and value.startswith("20") else TEXTS
    if isinstance(value, int | float) and not isinstance(value, bool):
        return NUMBERS
    return OTHERS


def places(obj: dict[str, Any]) -> list[tuple[Path, Any]]:
    """Every place of spec, status and annotations."""
    parts = [part for part in ("spec", "status") if part in obj]
    found = [place for part in parts for place in paths(obj[part], (part,))]
    return [*found, *paths(obj["metadata"].get("annotations", {}), ("metadata", "annotations"))]


def with_odd(obj: dict[str, Any], *odd: Odd) -> dict[str, Any]:
    """The object with odd values in it."""
    changed = deepcopy(obj)
    for path, value in odd:
        at: Any = changed
        try:
            for key in path[:-1]:
                at = at[key]
            at[path[-1]] = deepcopy(value)  # a second odd value may be put into it
        except (KeyError, IndexError, TypeError):
            continue  # an odd value further up has taken its place away
    return changed
