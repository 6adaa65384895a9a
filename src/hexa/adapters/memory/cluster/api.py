"""The API server: what create, patch, delete and apply do to objects, as a real one does it, and when it does not answer.

It holds the rules of the API (generation, finalizers, grace, status apart from spec, who owns which field) and knows no
controller: those listen, and write back. Every call is synchronous and atomic; `MemoryKube` makes the port of it.
"""

import re
from collections import deque
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final, Literal

import msgspec
import trio

from hexa.adapters.memory.cluster.defaults import admit, has_generation, has_status, is_ours
from hexa.adapters.memory.cluster.garbage import FOREGROUND, Collector
from hexa.adapters.memory.cluster.patches import merge, strategic, take_over
from hexa.adapters.memory.cluster.store import Builtins, Event, Key, Listener, Stored, Stream, Table, Test
from hexa.domain.errors import AlreadyExists, Conflict, HexaError, NotFound, Refused
from hexa.domain.resources.core import PODS, Kind
from hexa.ports.clock import Clock
from hexa.ports.kube import ChangeType, Patch, PatchStyle

Propagation = Literal["Background", "Foreground", "Orphan"]
_NAME: Final = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?\Z")
_FIXED: Final = (
    "name",
    "namespace",
    "uid",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "generation",
)


def stamp(when: datetime) -> str:
    """metav1.Time: whole seconds."""
    return f"{when:%Y-%m-%dT%H:%M:%SZ}"


def micro_stamp(when: datetime) -> str:
    """metav1.MicroTime."""
    return f"{when:%Y-%m-%dT%H:%M:%S.%fZ}"


class Backup(msgspec.Struct, frozen=True):
    """All objects of a cluster at one time, and the version that it had come to."""

    version: int
    objects: dict[tuple[str, str], dict[Key, Stored]]


class MemoryApi:
    """All objects of a cluster. Nothing handed out or in may be changed in place afterwards."""

    def __init__(self, clock: Clock, *, history: int = 2_000) -> None:
        self.clock: Final = clock
        self._history = history
        self._tables: dict[tuple[str, str], Table] = {}
        self._version = 1  # a watch from 0 means from the start
        self._compacted = 0
        self._uids = 0
        self.last_outage: tuple[float, float] | None = None
        """From when to when the newest outage lasts, on Trio's clock."""
        self.on_outage: Final[list[Callable[[], None]]] = []
        """Called when an outage begins."""
        self._stamp = clock.now(), stamp(clock.now())
        self._refreshers: dict[tuple[str, str], Callable[[], None]] = {}
        self._undelivered: deque[tuple[Table, Event]] = deque()
        self._delivering = False
        self._collector: Final = Collector(self)

    def __repr__(self) -> str:
        return f"<MemoryApi version={self._version} {', '.join(f'{k[1]}: {len(t.objects)}' for k, t in self._tables.items())}>"

    # --- reading ------------------------------------------------------------------------------

    @property
    def version(self) -> str:
        """The resourceVersion of the newest change to anything."""
        return str(self._version)

    def now(self) -> str:
        """The present as metav1.Time."""
        now = self.clock.now()
        if self._stamp[0] != now:
            self._stamp = now, stamp(now)
        return self._stamp[1]

    def table(self, kind: Kind[Any]) -> Table:
        where = kind.api_version, kind.plural
        if (table := self._tables.get(where)) is None:
            table = self._tables[where] = Table(kind, history=self._history, forgotten=self._compacted)
        return table

    def get(self, kind: Kind[Any], name: str, namespace: str = "") -> Stored | None:
        return self.table(kind).objects.get((namespace, name))

    def find(self, kind: Kind[Any], test: Test | None = None) -> list[Stored]:
        """All that match, by namespace and name."""
        objects = self.table(kind).objects
        return [objects[key] for key in sorted(objects) if test is None or test(objects[key].raw)]

    def listen(self, kind: Kind[Any], listener: Listener) -> None:
        """Call `listener` with every change of the kind from now on, in order, one change at a time."""
        self.table(kind).listeners.append(listener)

    def before_list(self, kind: Kind[Any], refresh: Callable[[], None]) -> None:
        """Call `refresh` before a client lists the kind: what changes all the time is written when somebody looks."""
        self._refreshers[kind.api_version, kind.plural] = refresh

    def refresh(self, kind: Kind[Any]) -> None:
        if (refresh := self._refreshers.get((kind.api_version, kind.plural))) is not None:
            refresh()

    def open_stream(self, kind: Kind[Any], test: Test | None, since: str) -> Stream:
        return self.table(kind).open(kind, test, since=since, newest=self._version)

    def close_stream(self, kind: Kind[Any], stream: Stream) -> None:
        self.table(kind).close(stream)

    # --- faults -------------------------------------------------------------------------------

    @property
    def down(self) -> bool:
        """Nobody gets an answer."""
        return self.last_outage is not None and trio.current_time() < self.last_outage[1]

    def outage(self, seconds: float) -> None:
        """For so long every call of `MemoryKube` raises `Unavailable`; open watches end now."""
        now = trio.current_time()
        since = self.last_outage[0] if self.last_outage is not None and self.down else now
        self.last_outage = since, now + seconds
        self.break_watches()
        for notify in self.on_outage:
            notify()

    def break_watches(self, error: HexaError | None = None) -> None:
        """End every open watch: quietly, or with an error."""
        for table in self._tables.values():
            for stream in tuple(table.streams):
                table.close(stream, error)

    def bookmark(self) -> None:
        """Tell every open watch up to where it is complete."""
        for table in self._tables.values():
            for stream in table.streams:
                stream.bookmark(self._version)

    def compact(self, *, bookmarks: bool = True) -> None:
        """Forget history: a watch from an older version is `Expired`. Open watches go on and, unless told otherwise, are at a
        bookmark, as servers send one each minute."""
        if bookmarks:
            self.bookmark()
        self._compacted = self._version
        for table in self._tables.values():
            table.compact(self._version)

    def snapshot(self) -> Backup:
        """What an etcd snapshot keeps."""
        return Backup(self._version, {where: dict(table.objects) for where, table in self._tables.items()})

    def restore(self, backup: Backup, *, seconds: float = 5.0) -> None:
        """Put the data back as it was then, versions included: nobody gets an answer for so long, and watches end. What happened
        since is gone; the site's own controllers and kubelets are told."""
        self.outage(seconds)
        for where, table in self._tables.items():
            old, table.objects = table.objects, dict(backup.objects.get(where, {}))
            table.compact(backup.version)
            self._undelivered += [(table, event) for event in _differences(old, table.objects)]
        self._version = self._compacted = backup.version
        if not self._delivering:
            self._deliver()

    # --- writing ------------------------------------------------------------------------------

    def create(
        self, kind: Kind[Any], manifest: Mapping[str, Any], *, manager: str = "", keep_status: bool = False
    ) -> Stored:
        """`keep_status` is for a site that starts with a past; a real server drops the status of a new object."""
        raw: Builtins = merge({}, msgspec.to_builtins(manifest))
        self._uids += 1
        metadata = self._new_metadata(kind, raw.get("metadata") or {})
        key = metadata.get("namespace", ""), metadata["name"]
        table = self.table(kind)
        if key in table.objects:
            raise AlreadyExists(f'{kind.plural} "{key[1]}" already exists')
        raw = {**raw, "apiVersion": kind.api_version, "kind": kind.name, "metadata": metadata}
        raw = admit(kind, raw, keep_status=keep_status)
        if manager and is_ours(kind):
            self._own({}, raw, manager=manager)
        return self._commit(table, ChangeType.ADDED, raw, None)

    def patch(self, kind: Kind[Any], key: Key, patch: Patch, *, manager: str = "") -> Stored:
        table = self.table(kind)
        old = self._existing(kind, key)
        body = msgspec.to_builtins(patch.body)
        given = body.get("metadata") or {}
        _check_version(kind, old, patch.resource_version or given.get("resourceVersion", ""))
        _check_uid(kind, old, given.get("uid", ""))
        if patch.style is PatchStyle.MERGE:
            new = merge(old.raw, body)
        elif is_ours(kind):
            raise Refused(f"patch {kind.plural}: strategic merge patch is not supported", reason="UnsupportedMediaType")
        else:
            new = strategic(old.raw, body)
        new = _confined(kind, old.raw, new, status=patch.subresource == "status")
        return self._change(table, old, new, manager=manager if patch.subresource == "" else "")

    def write(self, kind: Kind[Any], old: Stored, *, status: Builtins | None = None, **parts: Any) -> Stored:
        """For controllers of the site: give the object that is at `old` another status, spec or metadata."""
        if status is not None:
            parts["status"] = status
        return self._change(self.table(kind), self._existing(kind, old.key), {**old.raw, **parts}, manager="")

    def apply(self, kind: Kind[Any], manifest: Mapping[str, Any], *, manager: str) -> Stored:
        """Server-side apply with force, as GitOps tools do: creates, or takes over every field that it names."""
        body = merge({}, msgspec.to_builtins(manifest))
        key = body["metadata"].get("namespace", ""), body["metadata"]["name"]
        table = self.table(kind)
        if (old := table.objects.get(key)) is None:
            self.create(kind, body)
            old = table.objects[key]
        new = _confined(kind, old.raw, merge(old.raw, body), status=False)
        return self._change(table, old, new, manager=manager, applied=body)

    def delete(
        self,
        kind: Kind[Any],
        key: Key,
        *,
        uid: str = "",
        propagation: Propagation = "Background",
        grace: int | None = None,
    ) -> None:
        """Delete it, or mark it where a finalizer or a pod's grace holds it back. What is gone is fine."""
        if (old := self.table(kind).objects.get(key)) is None:
            return
        _check_uid(kind, old, uid)
        if propagation == "Orphan":
            self._collector.orphan(old)
        metadata = old.raw["metadata"]
        finalizers = list(metadata.get("finalizers", ()))
        if propagation == "Foreground" and self._collector.has_dependents(old) and FOREGROUND not in finalizers:
            finalizers.append(FOREGROUND)
        seconds = _pod_grace(old.raw, grace) if kind.plural == PODS.plural else 0
        if not finalizers and not seconds:
            self._remove(self.table(kind), old)
            return
        self._mark(self.table(kind), old, finalizers=finalizers, seconds=seconds)
        if propagation == "Foreground":
            self._collector.collect(old)

    def remove(self, kind: Kind[Any], old: Stored) -> None:
        """Deletion without grace, as a kubelet confirms it. Finalizers still hold it."""
        self.delete(kind, old.key, uid=old.uid, grace=0)

    # --- inside -------------------------------------------------------------------------------

    def _new_metadata(self, kind: Kind[Any], given: Builtins) -> Builtins:
        name = given.get("name") or (f"{prefix}{self._uids:05x}" if (prefix := given.get("generateName")) else "")
        if not _NAME.match(name):
            raise Refused(f'create {kind.plural}: metadata.name: invalid value "{name}"', reason="Invalid")
        if kind.namespaced and not given.get("namespace"):
            raise Refused(
                f"create {kind.plural}: an empty namespace may not be set during creation", reason="BadRequest"
            )
        metadata = {key: value for key, value in given.items() if key not in _FIXED and value not in ({}, [])}
        metadata |= {
            "name": name,
            "uid": f"{self._uids:08x}-0000-4000-8000-000000000000",
            "creationTimestamp": self.now(),
        }
        if kind.namespaced:
            metadata["namespace"] = given["namespace"]
        if has_generation(kind):
            metadata["generation"] = 1
        return metadata

    def _existing(self, kind: Kind[Any], key: Key) -> Stored:
        if (stored := self.table(kind).objects.get(key)) is None:
            raise NotFound(f'{kind.plural} "{key[1]}" not found')
        return stored

    def _change(
        self, table: Table, old: Stored, new: Builtins, *, manager: str, applied: Builtins | None = None
    ) -> Stored:
        before = old.raw["metadata"]
        metadata = {**new["metadata"], **{key: before[key] for key in _FIXED if key in before}}
        metadata["resourceVersion"] = before["resourceVersion"]
        new = {**new, "metadata": metadata}
        if manager and is_ours(table.kind):
            self._own(old.raw, new, manager=manager, applied=applied)
        _check_finalizers(table.kind, before, metadata)
        if new == old.raw:
            return old  # a change that changes nothing makes no version
        if has_generation(table.kind) and _spec_differs(old.raw, new):
            metadata["generation"] = before["generation"] + 1
        stored = self._commit(table, ChangeType.MODIFIED, new, old)
        if "deletionTimestamp" in metadata and "finalizers" in before and not metadata.get("finalizers"):
            self.delete(table.kind, stored.key, uid=stored.uid, grace=metadata.get("deletionGracePeriodSeconds"))
        return stored

    def _own(self, old: Builtins, new: Builtins, *, manager: str, applied: Builtins | None = None) -> None:
        operation = "Update" if applied is None else "Apply"
        entry = {"manager": manager, "operation": operation, "apiVersion": new["apiVersion"], "fieldsType": "FieldsV1"}
        new["metadata"]["managedFields"] = take_over(old, new, {**entry, "time": self.now()}, applied)

    def _mark(self, table: Table, old: Stored, *, finalizers: list[str], seconds: int) -> None:
        metadata = dict(old.raw["metadata"])
        if (left := metadata.get("deletionGracePeriodSeconds")) is not None and left <= seconds:
            return
        metadata["deletionTimestamp"] = stamp(self.clock.now() + timedelta(seconds=seconds))
        if table.kind.plural == PODS.plural:
            metadata["deletionGracePeriodSeconds"] = seconds
        elif "deletionTimestamp" in old.raw["metadata"]:
            return
        if finalizers:
            metadata["finalizers"] = finalizers
        if "generation" in metadata:
            metadata["generation"] += 1
        self._commit(table, ChangeType.MODIFIED, {**old.raw, "metadata": metadata}, old)

    def _remove(self, table: Table, old: Stored) -> None:
        self._commit(table, ChangeType.DELETED, {**old.raw, "metadata": dict(old.raw["metadata"])}, old)

    def _commit(self, table: Table, change: ChangeType, raw: Builtins, old: Stored | None) -> Stored:
        """`raw` and its metadata are fresh."""
        self._version += 1
        raw["metadata"]["resourceVersion"] = str(self._version)
        stored = Stored(raw, self._version)
        if change is ChangeType.DELETED:
            del table.objects[stored.key]
        else:
            table.objects[stored.key] = stored
        event = Event(change, stored, old)
        table.record(event)
        self._undelivered.append((table, event))
        if not self._delivering:
            self._deliver()
        return stored

    def _deliver(self) -> None:
        """A listener may write; those who listen see that after the change that caused it."""
        self._delivering = True
        try:
            while self._undelivered:
                table, event = self._undelivered.popleft()
                self._collector.notice(table, event)
                table.deliver(event)
        finally:
            self._delivering = False


def _differences(old: dict[Key, Stored], new: dict[Key, Stored]) -> list[Event]:
    """What somebody must be told who knew all that was there before."""
    gone = [Event(ChangeType.DELETED, old[key], old[key]) for key in sorted(old.keys() - new.keys())]
    come = [Event(ChangeType.ADDED, new[key], None) for key in sorted(new.keys() - old.keys())]
    changed = [key for key in sorted(old.keys() & new.keys()) if old[key] is not new[key]]
    return gone + come + [Event(ChangeType.MODIFIED, new[key], old[key]) for key in changed]


def _check_version(kind: Kind[Any], old: Stored, version: str) -> None:
    if version and version != str(old.version):
        raise Conflict(
            f'Operation cannot be fulfilled on {kind.plural} "{old.key[1]}": the object has been modified; '
            "please apply your changes to the latest version and try again"
        )


def _check_finalizers(kind: Kind[Any], before: Builtins, now: Builtins) -> None:
    """What is being deleted takes no further finalizer."""
    if "deletionTimestamp" not in before:
        return
    if added := set(now.get("finalizers") or ()) - set(before.get("finalizers") or ()):
        why = f"no new finalizers can be added if the object is being deleted, found new finalizers {sorted(added)}"
        raise Refused(
            f'{kind.plural} "{before["name"]}" is invalid: metadata.finalizers: Forbidden: {why}', reason="Invalid"
        )


def _check_uid(kind: Kind[Any], old: Stored, uid: str) -> None:
    if uid and uid != old.uid:
        raise Conflict(
            f'Operation cannot be fulfilled on {kind.plural} "{old.key[1]}": Precondition failed: UID in precondition: {uid}, '
            f"UID in object meta: {old.uid}"
        )


def _confined(kind: Kind[Any], old: Builtins, new: Builtins, *, status: bool) -> Builtins:
    """Only what this path may change: the status subresource its status, a plain write all the rest."""
    if not has_status(kind):
        if status:
            raise Refused(f"patch {kind.plural}/status: the API server does not serve it", reason="KindNotServed")
        return new
    if status:
        metadata = old["metadata"] if is_ours(kind) else new["metadata"]
        return {**old, "metadata": metadata, "status": new.get("status", {})}
    kept = {key: value for key, value in new.items() if key != "status"}
    return kept if "status" not in old else {**kept, "status": old["status"]}


def _spec_differs(old: Builtins, new: Builtins) -> bool:
    return any(old.get(key) != new.get(key) for key in old.keys() | new.keys() if key not in ("metadata", "status"))


def _pod_grace(pod: Builtins, grace: int | None) -> int:
    if not pod["spec"].get("nodeName") or pod["status"].get("phase") in ("Succeeded", "Failed"):
        return 0
    wanted: int = pod["spec"].get("terminationGracePeriodSeconds", 30) if grace is None else grace
    return wanted
