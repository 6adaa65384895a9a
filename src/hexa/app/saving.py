"""Writing our resources: a status as a minimal merge patch, a wish as one patch; the snapshot sees the result at once."""

from typing import Any, TypeVar

import msgspec

from hexa.app.cache import Cache, same_version
from hexa.app.store import Store
from hexa.domain.errors import Refused
from hexa.domain.machine.wish import wish_patch
from hexa.domain.resources.core import Kind, Malformed, Metadata
from hexa.domain.resources.v1alpha1 import GROUPS, MACHINES, Group, GroupStatus, Lookup, Node, NodeStatus, WishRecord
from hexa.ports.kube import Kube, Patch

T = TypeVar("T")


class Writer:
    """Optimistic writes of our own resources. A stale writer gets `Conflict` and re-reads."""

    def __init__(self, kube: Kube, store: Store) -> None:
        self._kube, self._store = kube, store

    async def status(self, node: Node, status: NodeStatus) -> Node:
        """Store what differs of the machine's status; nothing is written where nothing does."""
        body = difference(node.status, status)
        if not body:
            return node
        return await self._patch(MACHINES, self._store.machines, node, {"status": body}, "status")

    async def group_status(self, group: Group, status: GroupStatus) -> Group:
        """Store what differs of the group's status."""
        body = difference(group.status, status)
        if not body:
            return group
        return await self._patch(GROUPS, self._store.groups, group, {"status": body}, "status")

    async def wish(self, node: Node, wish: WishRecord, beside: dict[str, Any] | None = None) -> Node:
        """Store a wish: annotation and spec.powerState in one write, with the change of metadata `beside` it."""
        node = self._as_stored(node)
        body = merged(wish_patch(node, wish), beside or {})
        return await self._patch(MACHINES, self._store.machines, node, body, "")

    def _as_stored(self, node: Node) -> Node:
        """Without what a request on its group asks of it: that is not written on the machine yet."""
        known = self._store.machines.get(node.metadata.namespace, node.metadata.name)
        return known if known is not None and same_version(known, node) else node

    async def edit(self, node: Node, body: dict[str, Any]) -> Node:
        """Make a small change to the machine's metadata."""
        return await self._patch(MACHINES, self._store.machines, node, body, "")

    async def confirm(self, node: Node) -> Node:
        """Make sure that nobody has written the machine since we read it: raises `Conflict` where somebody has."""
        return await self._patch(MACHINES, self._store.machines, node, {}, "")

    async def malformed(self, kind: Kind[Any], key: Lookup, broken: Malformed) -> None:
        """Store a status that says why an object is not acted on."""
        condition = {"type": "Invalid", "status": "True", "reason": "DoesNotDecode", "message": broken.problem}
        patch = Patch({"status": {"conditions": [condition]}}, subresource="status")
        try:
            await self._kube.patch(kind, key.name, patch, namespace=key.namespace)
        except Refused:
            return  # what comes back does not decode either; a person mends it, and the watch tells

    async def _patch(self, kind: Kind[T], cache: Cache[T], obj: T, body: dict[str, Any], subresource: Any) -> T:
        meta: Metadata = obj.metadata  # type: ignore[attr-defined]
        patch = Patch(body=body, subresource=subresource, resource_version=meta.resource_version)
        new = await self._kube.patch(kind, meta.name, patch, namespace=meta.namespace)
        if same_version(new, obj):
            return obj  # the server dropped what differs (its CRDs are older than we are): nothing was written
        cache.put(new)
        return cache.taken_in(new)


def merged(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """Two merge patches as one; where both set the same value, the other's."""
    both = {key: merged(one[key], other[key]) for key in one.keys() & other.keys() if isinstance(one[key], dict)}
    return {**one, **other, **both}


def difference(old: msgspec.Struct, new: msgspec.Struct) -> dict[str, Any]:
    """The merge patch from `old` to `new`: null for what became a default and is left out."""
    if old == new:
        return {}
    return _difference(msgspec.to_builtins(old), msgspec.to_builtins(new))


def _difference(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    patch: dict[str, Any] = {key: None for key in old if key not in new}
    for key, value in new.items():
        before = old.get(key)
        if isinstance(value, dict) and isinstance(before, dict):
            if inner := _difference(before, value):
                patch[key] = inner
        elif value != before or key not in old:
            patch[key] = value
    return patch
