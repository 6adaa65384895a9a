"""Reviews: questions that a create answers and that are never stored. Everything is allowed unless it was forbidden."""

from collections.abc import Mapping
from typing import Any, Final

from msgspec import Struct

from hexa.adapters.memory.cluster.store import Builtins
from hexa.domain.resources.cluster import WHO_AM_I
from hexa.domain.resources.core import Kind

USER: Final = "system:admin"


class Ban(Struct, frozen=True):
    """What nobody may do; an empty field stands for anything."""

    verb: str = ""
    resource: str = ""
    """Plural, with the subresource behind a slash."""
    group: str | None = None
    """None: any; "" is core."""

    namespace: str | None = None
    """None: anywhere; "" is in all namespaces at once."""

    def covers(self, attributes: Mapping[str, Any]) -> bool:
        resource = "/".join(filter(None, (attributes.get("resource", ""), attributes.get("subresource", ""))))
        return (
            self.verb in ("", attributes.get("verb"))
            and self.resource in ("", resource)
            and self.group in (None, attributes.get("group", ""))
            and self.namespace in (None, attributes.get("namespace", ""))
        )


def answer(kind: Kind[Any], manifest: Mapping[str, Any], *, bans: list[Ban], now: str) -> Builtins:
    """The review with its status."""
    if kind.plural == WHO_AM_I.plural:
        groups = ["system:masters", "system:authenticated"]
        return {
            "metadata": {"creationTimestamp": now},
            "status": {"userInfo": {"username": USER, "groups": groups}},
        }
    attributes = manifest["spec"]["resourceAttributes"]
    return {**manifest, "status": {"allowed": not any(ban.covers(attributes) for ban in bans)}}
