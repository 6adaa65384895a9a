"""The garbage collector: what belongs to an object that is gone goes too. It acts at once, where a real one takes a moment."""

from typing import Any, Final, Protocol

from hexa.adapters.memory.cluster.store import Builtins, Event, Key, Stored, Table
from hexa.domain.resources.core import Kind
from hexa.ports.kube import ChangeType

FOREGROUND: Final = "foregroundDeletion"
"""The finalizer that keeps an owner until its dependents are gone."""


class Writer(Protocol):
    """What the collector does to objects: the API server."""

    def delete(self, kind: Kind[Any], key: Key) -> object: ...

    def write(self, kind: Kind[Any], old: Stored, **parts: Any) -> object: ...


class Collector:
    """Knows who belongs to whom by uid."""

    def __init__(self, api: Writer) -> None:
        self._api = api
        self._dependents: dict[str, dict[str, tuple[Table, Key]]] = {}
        self._owners: dict[str, tuple[Table, Key]] = {}

    def __repr__(self) -> str:
        return f"<Collector of {len(self._dependents)} owners>"

    def notice(self, table: Table, event: Event) -> None:
        """Keep the books; when an owner is gone, so are its dependents."""
        references = event.stored.raw["metadata"].get("ownerReferences", ())
        if event.type is ChangeType.ADDED:
            self._owners[event.stored.uid] = table, event.stored.key
        if event.type is ChangeType.DELETED:
            self._gone(event.stored, references)
        else:
            before = event.old.raw["metadata"].get("ownerReferences", ()) if event.old else ()
            if references is not before:
                self._index(table, event.stored, before, references)

    def has_dependents(self, owner: Stored) -> bool:
        return bool(self._dependents.get(owner.uid))

    def collect(self, owner: Stored) -> None:
        """Delete what belongs to `owner`."""
        for table, key in tuple(self._dependents.get(owner.uid, {}).values()):
            self._api.delete(table.kind, key)

    def orphan(self, owner: Stored) -> None:
        """Let what belongs to `owner` belong to nobody."""
        for table, key in tuple(self._dependents.get(owner.uid, {}).values()):
            if (stored := table.objects.get(key)) is None:
                continue
            metadata = stored.raw["metadata"]
            left = [reference for reference in metadata["ownerReferences"] if reference["uid"] != owner.uid]
            self._api.write(table.kind, stored, metadata={**metadata, "ownerReferences": left})

    def _index(self, table: Table, stored: Stored, before: Any, now: Any) -> None:
        for reference in before:
            self._dependents.get(reference["uid"], {}).pop(stored.uid, None)
        for reference in now:
            self._dependents.setdefault(reference["uid"], {})[stored.uid] = table, stored.key

    def _gone(self, stored: Stored, references: Any) -> None:
        self._owners.pop(stored.uid, None)
        self.collect(stored)
        self._dependents.pop(stored.uid, None)
        for reference in references:
            self._dependents.get(reference["uid"], {}).pop(stored.uid, None)
            self._release(reference)

    def _release(self, reference: Builtins) -> None:
        """An owner that waits for its last dependent goes with it."""
        if self._dependents.get(reference["uid"]) or reference["uid"] not in self._owners:
            return
        table, key = self._owners[reference["uid"]]
        if (owner := table.objects.get(key)) is None or FOREGROUND not in owner.raw["metadata"].get("finalizers", ()):
            return
        left = [finalizer for finalizer in owner.raw["metadata"]["finalizers"] if finalizer != FOREGROUND]
        self._api.write(table.kind, owner, metadata={**owner.raw["metadata"], "finalizers": left})
