"""Values that several resources share, with what the schema of a CRD says of them."""

from datetime import datetime
from typing import Annotated, Any, Final, Literal

from msgspec import Meta, Struct

from hexa.domain.duration import DURATION_PATTERN
from hexa.domain.resources.core import Condition, ManagedFields, Metadata


def int_or_string(*, minimum: int, pattern: str, **more: Any) -> Meta:
    """A whole number, or a string of this pattern."""
    kinds = [{"type": "integer"}, {"type": "string"}]
    known = {"x-kubernetes-int-or-string": True, "anyOf": kinds, "minimum": minimum, "pattern": pattern}
    return Meta(extra={"x-crd": {**known, **more}})


Duration = Annotated[str, Meta(extra={"x-crd": {"maxLength": 64, "pattern": DURATION_PATTERN}})]
"""Go-style: "10m", "1h30m"."""


NUMBER_PATTERN: Final = r"^([0-9]+(\.[0-9]*)?|\.[0-9]+)$"
THRESHOLD_PATTERN: Final = r"^0*(100(\.0*)?|[0-9]{1,2}(\.[0-9]*)?|\.[0-9]+)$"
QUANTITY_PATTERN: Final = r"^\+?([0-9]+(\.[0-9]*)?|\.[0-9]+)([KMGTPE]i|[numkMGTPE]|[eE][+-]?[0-9]+)?$"


INT32_MAX: Final = 2**31 - 1
"""Largest number that Cluster Autoscaler's messages and Jobs can carry."""


class Rule(Struct, frozen=True):
    """What the API server checks of an object beyond its fields one by one: CEL and its message."""

    rule: str
    message: str


Rules = tuple[Rule, ...]


Number = Annotated[
    int | float | str,
    Meta(
        extra={
            "x-crd": {
                "x-kubernetes-preserve-unknown-fields": True,
                "minimum": 0,
                "pattern": NUMBER_PATTERN,
                "not": {"enum": [True, False]},
            }
        }
    ),
]
"""A number of zero or more, or the same as a string."""

Threshold = Annotated[
    int | float | str,
    Meta(
        extra={
            "x-crd": {
                "x-kubernetes-preserve-unknown-fields": True,
                "minimum": 0,
                "maximum": 100,
                "pattern": THRESHOLD_PATTERN,
                "not": {"enum": [True, False]},
            }
        }
    ),
]
"""A share of 1 ("0.5"), or a percentage when above 1 (50)."""

Quantity = Annotated[int | str, int_or_string(minimum=0, pattern=QUANTITY_PATTERN)]
"""An amount of a resource, such as 8, "500m" or "16Gi"."""

Period = Annotated[int | str, int_or_string(minimum=1, pattern=DURATION_PATTERN, maxLength=64)]
"""A duration, or a whole number of minutes."""

OnOff = Annotated[
    Literal["on", "off"] | bool,
    Meta(extra={"x-crd": {"x-kubernetes-preserve-unknown-fields": True, "enum": ["on", "off", True, False]}}),
]
"""on or off, as a string or as the boolean that YAML makes of it."""

Time = Annotated[datetime, Meta(tz=True)]
"""A point in time that a person writes: with its zone."""

Conditions = Annotated[
    tuple[Condition, ...],
    Meta(extra={"x-crd": {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]}}),
]
"""One of each type."""


class OwnedMetadata(Metadata, frozen=True, kw_only=True):
    """Metadata of our own resources: who wrote which field matters there."""

    managed_fields: tuple[ManagedFields, ...] = ()


class Lookup(Struct, frozen=True):
    """Namespace and name of one of our resources."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"
