"""Reviews: questions that a create answers and that are never stored. Everything is allowed unless it was forbidden."""

from collections.abc import Mapping
from typing import Any, Final

from msgspec import Struct

from hexa.adapters.memory.cluster.store import Builtins
from hexa.domain.resources.cluster import TOKEN_REVIEWS, WHO_AM_I
from hexa.domain.resources.core import Kind

USER: Final = "system:admin"


class Ban(Struct, frozen=True):
    """What nobody may do, or `user` may not; an empty field stands for anything."""

    verb: str = ""
    resource: str = ""
    """Plural, with the subresource behind a slash; or a path that is no resource."""
    group: str | None = None
    """None: any; "" is core."""

    namespace: str | None = None
    """None: anywhere; "" is in all namespaces at once."""
    user: str = ""
    name: str = ""

    def covers(self, attributes: Mapping[str, Any], user: str) -> bool:
        resource = "/".join(filter(None, (attributes.get("resource", ""), attributes.get("subresource", ""))))
        return self._covers(attributes, resource or attributes.get("path", "")) and self.user in ("", user)

    def _covers(self, attributes: Mapping[str, Any], resource: str) -> bool:
        return (
            self.verb in ("", attributes.get("verb"))
            and self.resource in ("", resource)
            and self.group in (None, attributes.get("group", ""))
            and self.namespace in (None, attributes.get("namespace", ""))
            and self.name in ("", attributes.get("name", ""))
        )


def answer(
    kind: Kind[Any], manifest: Mapping[str, Any], *, bans: list[Ban], tokens: Mapping[str, Builtins], now: str
) -> Builtins:
    """The review with its status. `tokens`: whose each is, as the API server tells it; what was asked of them is not told back."""
    if kind.plural == WHO_AM_I.plural:
        groups = ["system:masters", "system:authenticated"]
        return {
            "metadata": {"creationTimestamp": now},
            "status": {"userInfo": {"username": USER, "groups": groups}},
        }
    spec = manifest["spec"]
    if kind.plural == TOKEN_REVIEWS.plural:
        owner = tokens.get(spec["token"])
        return {"metadata": {}, "status": {"authenticated": owner is not None, "user": owner or {}}}
    attributes = spec.get("resourceAttributes") or spec["nonResourceAttributes"]
    return {**manifest, "status": {"allowed": not any(ban.covers(attributes, spec.get("user", "")) for ban in bans)}}
