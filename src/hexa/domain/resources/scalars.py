"""Values of one word that several resources share, with what the schema of a CRD says of them."""

from typing import Annotated, Any

from msgspec import Meta

from hexa.domain.duration import DURATION_PATTERN


def int_or_string(*, minimum: int, pattern: str, **more: Any) -> Meta:
    """A whole number, or a string of this pattern."""
    kinds = [{"type": "integer"}, {"type": "string"}]
    known = {"x-kubernetes-int-or-string": True, "anyOf": kinds, "minimum": minimum, "pattern": pattern}
    return Meta(extra={"x-crd": {**known, **more}})


Duration = Annotated[str, Meta(extra={"x-crd": {"maxLength": 64, "pattern": DURATION_PATTERN}})]
"""Go-style: "10m", "1h30m"."""
