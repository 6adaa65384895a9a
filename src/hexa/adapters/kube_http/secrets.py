"""Secrets read one by one: implements `ports.sensors.Secrets`. There is no list and no watch, so nobody needs a right to them."""

from typing import Final

from msgspec import field

from hexa.domain.resources.core import Kind, Slice


class Secret(Slice, frozen=True, kw_only=True):
    """The values of a Secret; its text never shows them."""

    data: dict[str, bytes] = field(default_factory=dict)
    """Base64 on the wire."""

    def __repr__(self) -> str:
        return f"<Secret {', '.join(sorted(self.data))}>"


SECRETS: Final = Kind("v1", "Secret", "secrets", Secret)
