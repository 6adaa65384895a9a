"""Which Kubernetes nodes run pods that a drain would move, by a watch of all bound pods.

The watch is held only once a group asks which of its machines are idle. Of each such pod its name and node are kept, and nothing
else: about 200 bytes.
"""

import sys
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Final

import trio

from hexa.domain.errors import HexaError, Refused
from hexa.domain.pods.drain import stays
from hexa.domain.resources.core import Malformed, Pod
from hexa.domain.resources.v1alpha1 import Lookup
from hexa.ports.kube import Selector

BOUND: Final = Selector(fields="spec.nodeName!=,status.phase!=Succeeded,status.phase!=Failed")
"""Pods that are on a node and not finished."""


class WorkingPods:
    """A feed of the snapshot's (see `store.Source`). Pods of DaemonSets and mirrors of static pods do not count; one that does not
    decode does."""

    def __init__(self) -> None:
        self.wanted: Final = trio.Event()
        """Somebody asks."""
        self.trouble = ""
        """Why nothing is known; empty where it is, or will be in a moment."""
        self._complete = False
        self._node_of: dict[Lookup, str] = {}
        self._on: Counter[str] = Counter()
        self._told: list[Callable[[Iterable[str] | None], None]] = []

    def subscribe(self, told: Callable[[Iterable[str] | None], None]) -> None:
        """Call `told(names)` with Kubernetes nodes that have become idle, or ceased to be; None: of none it is known as before."""
        self._told.append(told)

    def works(self, node: str) -> bool | None:
        """Whether such a pod is bound to the Kubernetes node, as far as it was seen; None: nothing was ever seen."""
        return self._on[node] > 0 if self._complete else None

    # --- a feed ---

    def expect(self, scope: str | None) -> None:
        """There is one watch, of all namespaces."""

    def sees(self, scope: str | None) -> None:
        self.trouble = ""
        if not self._complete:
            self._complete = True
            self._tell(None)

    def lost(self, scope: str | None, error: HexaError) -> None:
        """The watch cannot be held: what was last seen counts until it is again."""
        self.trouble = str(error) if isinstance(error, Refused) else self.trouble

    def asks(self, scope: str | None) -> None:
        """A list is asked for. Nothing of it can be older than what the watch brought: that has ended."""

    def put(self, pod: Pod | Malformed) -> None:
        node = pod.node_name if isinstance(pod, Malformed) else pod.spec.node_name
        self._move(Lookup(pod.metadata.namespace, pod.metadata.name), "" if stays(pod) else node)

    def drop(self, key: Lookup, *, version: int = -1) -> None:
        self._move(key, "")

    def replace(self, items: Iterable[Pod | Malformed], *, scope: str | None) -> None:
        fresh = list(items)
        there = {Lookup(pod.metadata.namespace, pod.metadata.name) for pod in fresh}
        for key in [key for key in self._node_of if key not in there]:
            self.drop(key)
        for pod in fresh:
            self.put(pod)

    def _move(self, key: Lookup, node: str) -> None:
        before = self._node_of.pop(key, "")
        if node:
            self._node_of[key] = sys.intern(node)
        if node == before:
            return
        changed = [name for name, by in ((before, -1), (node, 1)) if name and self._count(name, by)]
        if changed and self._complete:
            self._tell(changed)

    def _count(self, node: str, by: int) -> bool:
        """Whether the node has become idle by it, or ceased to be."""
        self._on[node] += by
        if not self._on[node]:
            del self._on[node]
            return True
        return by > 0 and self._on[node] == by

    def _tell(self, names: Iterable[str] | None) -> None:
        for told in self._told:
            told(names)
