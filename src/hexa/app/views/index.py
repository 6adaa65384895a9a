"""Machines by what they name: their Kubernetes node, their group, their providerID."""

from typing import Final, TypeVar

from hexa.app.store import Store
from hexa.domain.machine.identity import kube_name
from hexa.domain.machine.marks import leaving
from hexa.domain.machine_view import provider_id_of
from hexa.domain.resources.v1alpha1 import Lookup

NOBODY: Final[frozenset[Lookup]] = frozenset()

K = TypeVar("K")


class Index(dict[K, dict[Lookup, None]]):
    """Objects by something that changes, such as machines by their group: each stands at one value at most. Those of one value
    stand in the order in which they came, so that whoever goes through them does so alike in every process."""

    def __init__(self) -> None:
        super().__init__()
        self._values: dict[Lookup, K] = {}

    def of(self, key: Lookup) -> K | None:
        """Where the object stands."""
        return self._values.get(key)

    def move(self, key: Lookup, value: K | None) -> None:
        """Put the object at `value`; None: nowhere."""
        old = self._values.get(key)
        if old == value:
            return
        if old is not None:
            del self[old][key]
            if not self[old]:
                del self[old]
            del self._values[key]
        if value is not None:
            self._values[key] = value
            self.setdefault(value, {})[key] = None


class MachineIndex:
    """Where every machine stands. One that leaves is nobody's member and claims no Kubernetes node."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.by_kube_name: Final[Index[str]] = Index()
        self.malformed: Final[Index[str]] = Index()
        """The same of machines that do not decode any more."""
        self.by_group: Final[Index[Lookup]] = Index()
        self.by_provider_id: Final[Index[str]] = Index()

    def claimants(self, name: str) -> frozenset[Lookup]:
        """All machines that claim the Kubernetes node, if there are several."""
        found = self.by_kube_name.get(name, {})
        if self.malformed:
            found = found | self.malformed.get(name, {})
        return frozenset(found) if len(found) > 1 else NOBODY

    def others(self, name: str, key: Lookup) -> frozenset[Lookup]:
        """Machines other than this one whose Kubernetes node it is."""
        return frozenset(self.by_kube_name.get(name, NOBODY)) - {key}

    def find_provider_id(self, key: Lookup) -> None:
        """The machine or its Kubernetes node has changed."""
        node = self._store.machines.objects.get(key)
        kube = self._store.nodes.objects.get(Lookup("", kube_name(node))) if node is not None else None
        found = provider_id_of(node, kube) if node is not None and not leaving(node) else None
        self.by_provider_id.move(key, found)
