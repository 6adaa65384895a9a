"""The objects of one kind as they were last seen, told to whoever subscribed. It asks nobody, and decides nothing."""

from collections.abc import Callable
from typing import Any, Final, Generic, TypeVar

import trio
from msgspec import structs

from hexa.app.fence import Fence, Subject
from hexa.domain.errors import HexaError, Refused
from hexa.domain.names import CONDITION_TAINTS
from hexa.domain.resources.core import Kind, KubeNode, Malformed
from hexa.domain.resources.v1alpha1 import Lookup

T = TypeVar("T")
DELETIONS_KEPT: Final = 2_000


class Cache(Generic[T]):
    """Objects of one kind by namespace and name. `on_change(key, old, new)` is called for each difference; what one subscriber
    raises about an object is contained by the `fence`, and the others hear of it all the same."""

    def __init__(self, kind: Kind[T], fence: Fence | None = None) -> None:
        self.kind = kind
        self._fence = fence or Fence()
        self._post = self._fence.post(kind, "snapshot")
        self.objects: dict[Lookup, T] = {}
        self.malformed: dict[Lookup, Malformed] = {}
        self._on_change: list[Callable[[Lookup, T | None, T | None], None]] = []
        self._on_rewind: list[Callable[[], None]] = []
        self._gone: dict[Lookup, int] = {}
        self._touched: dict[str | None, set[Lookup]] = {}
        """What changed since a list was asked for that has not come yet, by its namespace."""

    def subscribe(self, on_change: Callable[[Lookup, T | None, T | None], None]) -> None:
        self._on_change.append(on_change)

    def on_rewind(self, notify: Callable[[], None]) -> None:
        """Call `notify` when a list shows older versions than were known: the API server's data is that of a backup."""
        self._on_rewind.append(notify)

    def get(self, namespace: str, name: str) -> T | None:
        return self.objects.get(Lookup(namespace, name))

    def taken_in(self, new: T) -> T:
        """A state of an object as the API server has it -> as it is kept here."""
        return new

    def put(self, new: T | Malformed) -> None:
        """Take in a state of an object unless a newer one is known."""
        key, version = _key(new), version_of(new)
        for touched in self._touched.values():
            touched.add(key)
        old = self.objects.get(key)
        if old is not None and (same_version(old, new) or 0 <= version < version_of(old)):
            return
        if old is None and 0 <= version < self._gone.get(key, -1):
            return
        self._set(key, old, new)

    def _set(self, key: Lookup, old: T | None, new: T | Malformed) -> None:
        self._gone.pop(key, None)
        if isinstance(new, Malformed):
            self.objects.pop(key, None)
            self.malformed[key] = new
            self._tell(key, old, None)
        else:
            self.malformed.pop(key, None)
            self.objects[key] = new
            self._tell(key, old, new)

    def drop(self, key: Lookup, *, version: int = -1) -> None:
        """Forget an object; a state of it that is older than `version` does not bring it back, and one that is newer stays."""
        for touched in self._touched.values():
            touched.add(key)
        present = self.objects.get(key) or self.malformed.get(key)
        if present is not None and 0 <= version < version_of(present):
            return
        old, broken = self.objects.pop(key, None), self.malformed.pop(key, None)
        if version >= 0:
            self._gone[key] = version
            if len(self._gone) > DELETIONS_KEPT:
                del self._gone[next(iter(self._gone))]
        if old is not None or broken is not None:
            self._tell(key, old, None)

    def asks(self, scope: str | None) -> None:
        """A list of the namespace (None: of all) is asked for now: `replace` with it is the truth about all that is not touched
        meanwhile, whatever the versions say."""
        self._touched[scope] = set()

    def replace(self, items: tuple[T | Malformed, ...], *, scope: str | None) -> None:
        """Take a fresh list of the namespace `scope` (None: of all) for the truth. What we wrote after it was asked for stays, if
        its version is newer. A list that nobody announced by `asks` may be older than all that we wrote."""
        touched = self._touched.pop(scope, None)
        fresh = {_key(item): item for item in items}
        known = {**dict.fromkeys(self.objects), **dict.fromkeys(self.malformed)}
        for key in known:
            ours = touched is not None and key in touched  # written after the list was asked for
            if key not in fresh and (scope is None or key.namespace == scope) and not ours:
                self.drop(key)
        rewound = False
        for key, item in fresh.items():
            if touched is None or key in touched:
                self.put(item)
            else:
                rewound = self._believe(key, item) or rewound
        self._gone = {key: version for key, version in self._gone.items() if touched is not None and key in touched}
        for notify in self._on_rewind if rewound else ():
            notify()

    def _believe(self, key: Lookup, new: T | Malformed) -> bool:
        """Take in a state of a list that is newer than all we did; whether its version is older than the one known."""
        old = self.objects.get(key)
        if old is None or isinstance(new, Malformed) or old != self.taken_in(new):
            self._set(key, old, new)
        return old is not None and 0 <= version_of(new) < version_of(old)

    def tell_again(self, key: Lookup) -> None:
        """Tell the subscribers of an object anew: what broke at its last change may work now. Raises what breaks again."""
        if (present := self.objects.get(key)) is not None and (error := self._tell(key, present, present)) is not None:
            raise error

    def _tell(self, key: Lookup, old: T | None, new: T | None) -> Exception | None:
        if new is None:  # what does not decode is told as that
            self._fence.forget(Subject(self.kind, key))
        errors = [error for tell in self._on_change if (error := _raised(tell, key, old, new)) is not None]
        if not errors:
            self._post.works(key)
            return None
        self._post.broke(key, errors[0])
        return errors[0]


def _raised(
    tell: Callable[[Lookup, T | None, T | None], None], key: Lookup, old: T | None, new: T | None
) -> Exception | None:
    try:
        tell(key, old, new)
    except Exception as error:
        return error
    return None


class OptionalCache(Cache[T]):
    """A cache that hexa can do without: it makes nobody blind. Its watches are held only once something `wanted` them, and what
    keeps them from being held, a right that is missing for one, is told by `trouble`."""

    def __init__(self, kind: Kind[T], fence: Fence | None = None) -> None:
        super().__init__(kind, fence)
        self.wanted: Final = trio.Event()
        self._unseen: set[str | None] = set()
        self._troubles: dict[str | None, str] = {}
        self._on_sight: list[Callable[[], None]] = []

    @property
    def complete(self) -> bool:
        """Whether all that there is, is known."""
        return self.wanted.is_set() and not self._unseen

    @property
    def trouble(self) -> str:
        """Why it is not known; empty where it is, or will be in a moment."""
        return next(iter(self._troubles.values()), "")

    def expect(self, scope: str | None) -> None:
        """There is a watch of this namespace (None: of all)."""
        self._unseen.add(scope)

    def on_sight(self, notify: Callable[[], None]) -> None:
        """Call `notify` whenever `complete` or `trouble` has changed."""
        self._on_sight.append(notify)

    def sees(self, scope: str | None) -> None:
        """The namespace was listed."""
        self._unseen.discard(scope)
        self._troubles.pop(scope, None)
        self._notify()

    def lost(self, scope: str | None, error: HexaError) -> None:
        """Its watch cannot be held. An API server that is away is no trouble of this one watch."""
        self._unseen.add(scope)
        if isinstance(error, Refused):
            self._troubles[scope] = str(error)
        self._notify()

    def _notify(self) -> None:
        for notify in self._on_sight:
            notify()


def same_but_for_version(old: Any, new: Any) -> bool:
    """Whether two states differ in nothing that we read: a kubelet's heartbeat changes the resourceVersion alone."""
    if old is None or new is None:
        return old is new
    if any(getattr(old, part, None) != getattr(new, part, None) for part in ("spec", "status")):
        return False
    before, after = old.metadata, new.metadata
    return bool(structs.replace(before, resource_version="") == structs.replace(after, resource_version=""))


def same_but_for_energy(old: Any, new: Any) -> bool:
    """Whether two states of a machine or a group differ in their energy account alone: nothing is decided by it."""
    if old is None or new is None or old.spec != new.spec:
        return False
    before, after = (getattr(each.status, "energy", None) for each in (old, new))
    if before == after or structs.replace(old.status, energy=after) != new.status:
        return False
    return bool(structs.replace(old.metadata, resource_version=new.metadata.resource_version) == new.metadata)


def same_but_for_status(old: Any, new: Any) -> bool:
    """Whether two states differ in status alone."""
    before, after = old.metadata, new.metadata
    return bool(
        old.spec == new.spec
        and structs.replace(before, resource_version="") == structs.replace(after, resource_version="")
    )


def same_but_for_condition_taints(old: KubeNode | None, new: KubeNode | None) -> bool:
    """The same, and taints left out that follow from what else the node shows: they come a moment after it, three times for each
    machine that goes dark."""
    if old is None or new is None:
        return old is new
    return same_but_for_version(_without_condition_taints(old), _without_condition_taints(new))


def _without_condition_taints(node: KubeNode) -> KubeNode:
    taints = tuple(taint for taint in node.spec.taints if taint.key not in CONDITION_TAINTS)
    return structs.replace(node, spec=structs.replace(node.spec, taints=taints))


def _key(item: Any) -> Lookup:
    return Lookup(item.metadata.namespace, item.metadata.name)


def version_of(item: Any) -> int:
    """Which of two states of an object is the newer one; -1: its version does not tell, and what is told last counts."""
    text = item.metadata.resource_version
    return int(text) if text.isascii() and text.isdigit() else -1


def same_version(one: Any, other: Any) -> bool:
    """Whether two answers of the API server show the same state of an object."""
    return bool(one.metadata.resource_version == other.metadata.resource_version)
