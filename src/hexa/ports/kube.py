"""The Kubernetes API as hexa uses it: six verbs over typed kinds. It knows no transport."""

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from enum import StrEnum
from typing import Any, Generic, Literal, Protocol, TypeVar

from msgspec import Struct
from trio.abc import ReceiveChannel

from hexa.domain.resources.core import Kind, Malformed

T = TypeVar("T")


class Listing(Struct, Generic[T], frozen=True):
    """All objects of a kind at one point in time."""

    items: tuple[T | Malformed, ...]
    resource_version: str


class ChangeType(StrEnum):
    ADDED = "ADDED"
    MODIFIED = "MODIFIED"
    DELETED = "DELETED"
    BOOKMARK = "BOOKMARK"


class Change(Struct, Generic[T], frozen=True):
    """One event of a watch. A bookmark has no object; `resource_version` is where to go on from."""

    type: ChangeType
    object: T | Malformed | None
    resource_version: str


class Selector(Struct, frozen=True):
    """Which objects. `labels` and `fields` are selectors in the API's own syntax; empty means all."""

    namespace: str | None = None
    labels: str = ""
    fields: str = ""


EVERYTHING = Selector()


class PatchStyle(StrEnum):
    MERGE = "application/merge-patch+json"
    STRATEGIC = "application/strategic-merge-patch+json"


class Patch(Struct, frozen=True):
    """A change to one object. With `resource_version`, it is made only if nobody wrote in between."""

    body: Mapping[str, Any]
    style: PatchStyle = PatchStyle.MERGE
    subresource: Literal["", "status"] = ""
    resource_version: str = ""


class Evicted(Struct, frozen=True):
    """The pod is going, or was already gone."""


class Blocked(Struct, frozen=True):
    """A disruption budget does not allow the eviction now. `reason` names the budget where the server says so."""

    reason: str
    retry_after: float = 0.0
    """Seconds after which the server wants to be asked again; 0: it did not say."""


class Kube(Protocol):
    """The API server. Every method raises `Unavailable` (try again), `Refused` (forbidden or invalid: the message names
    the verb and the resource) or `Conflict`; `NotFound` and `AlreadyExists` are conflicts."""

    async def list(self, kind: Kind[T], selector: Selector = EVERYTHING) -> Listing[T]:
        """All objects that match, read fresh (paged where many). Objects that do not decode are `Malformed`."""
        ...

    def watch(
        self, kind: Kind[T], selector: Selector = EVERYTHING, *, since: str
    ) -> AbstractAsyncContextManager[ReceiveChannel[Change[T]]]:
        """Changes after resourceVersion `since`, with bookmarks. Iterating ends when the server closes the stream,
        as it does every minute or so (watch again at once, from the last version seen). It raises `Expired` when
        the version is too old (list again) and `Unavailable` when the connection is dead, a half-open one included;
        entering raises the same and `Refused`. Errors come out of the block, by iterating or on leaving it, after
        all the changes that came before and never wrapped in a group. A receive that is cancelled may end the stream."""
        ...

    async def create(self, kind: Kind[T], manifest: Mapping[str, Any]) -> T:
        """Create it; `metadata.name` and, where namespaced, `metadata.namespace` are in the manifest. A second create of the
        same name raises `AlreadyExists`. Reviews (of access, of who asks) have no name: they are answered and not stored."""
        ...

    async def patch(self, kind: Kind[T], name: str, patch: Patch, *, namespace: str | None = None) -> T:
        """Change it and return the new state. Raises `NotFound`, or `Conflict` if the resourceVersion is not the current one."""
        ...

    async def delete(
        self,
        kind: Kind[T],
        name: str,
        *,
        namespace: str | None = None,
        uid: str = "",
        propagation: Literal["Background", "Foreground", "Orphan"] = "Background",
        grace: int | None = None,
    ) -> None:
        """Delete it; one that is gone already is success. With `uid`, another object of that name raises `Conflict`.
        `grace` is the termination grace of a pod in seconds."""
        ...

    async def evict(self, name: str, *, namespace: str, uid: str = "", grace: int | None = None) -> Evicted | Blocked:
        """Ask for the pod's eviction by the Eviction API. Repeating it is safe."""
        ...
