"""Watches a world while a scenario is played, and keeps what a report is made of. It changes nothing."""

from collections import Counter
from typing import Any, Final

import trio
from msgspec import Struct, field

from hexa.adapters.memory.cluster.pods import comes_with_the_node, controller_of, finished, node_of, terminating
from hexa.adapters.memory.cluster.store import Event
from hexa.domain.names import ACTION_LABEL
from hexa.domain.pods.requests import requests
from hexa.domain.resources.core import PODS, Pod
from hexa.domain.resources.v1alpha1 import MACHINES
from hexa.ports.kube import ChangeType
from hexa.testing.world import World

WORKLOAD_LABEL: Final = "app"
"""On the pods of a scenario: the name of their service or of their jobs."""

Series = list[tuple[float, float]]
"""Seconds since the start, and the value from then on."""


class Waited(Struct, frozen=True):
    """How long pods waited, by workload."""

    seconds: dict[str, tuple[float, ...]]
    """From creation until they ran, in the order in which they ran."""
    never_ran: dict[str, int]
    """Pods that still waited in the end."""


class Use(Struct):
    """Cores that pods request on a node, and the moments at which that changed."""

    cores: float = 0.0
    series: Series = field(default_factory=list)


class Recorder:
    """Listens to the API server of a world from now on."""

    def __init__(self, world: World) -> None:
        self.phases: Final[dict[str, list[tuple[float, str]]]] = {}
        self.use: Final[dict[str, Use]] = {}
        self.waiting: Final[Series] = [(0.0, 0.0)]
        self.running: Final[Series] = [(0.0, 0.0)]
        self.pods = 0
        """Pods that were created, power Jobs apart."""
        self._waits: Final[dict[str, list[float]]] = {}
        self._unrun: Final[dict[str, tuple[str, float]]] = {}
        """Pods that have not run yet: uid -> workload, and when they were created."""
        self.evicted = 0
        """Pods that were moved: evicted and made anew."""
        self._begin: Final = trio.current_time()
        self._wait: Final[set[str]] = set()
        self._run: Final[set[str]] = set()
        self._bound: Final[dict[str, tuple[str, float]]] = {}
        world.site.api.listen(MACHINES, self._machine_changed)
        world.site.api.listen(PODS, self._pod_changed)

    def __repr__(self) -> str:
        return f"<Recorder {self.pods} pods, {len(self.phases)} machines>"

    @property
    def seconds(self) -> float:
        return trio.current_time() - self._begin

    def waited(self) -> Waited:
        """How long pods waited until now."""
        seconds = {name: tuple(waits) for name, waits in self._waits.items()}
        return Waited(seconds, Counter(workload for workload, _ in self._unrun.values()))

    def _machine_changed(self, event: Event) -> None:
        status = event.stored.raw.get("status") or {}
        row = self.phases.setdefault(event.stored.key[1], [])
        phase = status.get("phase", "")
        if phase and (not row or row[-1][1] != phase):
            row.append((self.seconds, phase))

    def _pod_changed(self, event: Event) -> None:
        raw, uid = event.stored.raw, event.stored.uid
        gone = event.type is ChangeType.DELETED
        if ACTION_LABEL in (raw["metadata"].get("labels") or {}):
            return
        if event.type is ChangeType.ADDED:
            self.pods += 1
            if not comes_with_the_node(raw):
                self._unrun[uid] = (raw["metadata"].get("labels") or {}).get(WORKLOAD_LABEL, ""), self.seconds
        if terminating(raw) and event.old is not None and not terminating(event.old.raw):
            self.evicted += _was_evicted(raw)
        self._count(uid, raw, gone)
        self._reserve(event, uid, raw, gone)

    def _count(self, uid: str, raw: dict[str, Any], gone: bool) -> None:
        runs = not gone and raw["status"].get("phase") == "Running"
        waits = not gone and not runs and not finished(raw) and not terminating(raw)
        _member(self._run, uid, runs)
        _member(self._wait, uid, waits)
        if (runs or gone) and (unrun := self._unrun.pop(uid, None)) is not None and runs:
            self._waits.setdefault(unrun[0], []).append(self.seconds - unrun[1])
        self._note(self.waiting, len(self._wait))
        self._note(self.running, len(self._run))

    def _reserve(self, event: Event, uid: str, raw: dict[str, Any], gone: bool) -> None:
        node = "" if gone or finished(raw) else node_of(raw)
        before, cores = self._bound.get(uid, ("", 0.0))
        if node == before:
            return
        if before:
            self._add(before, -cores)
            del self._bound[uid]
        if node:
            pod = event.stored.decoded(PODS)
            cores = float(requests(pod).get("cpu", 0)) if isinstance(pod, Pod) else 0.0
            self._bound[uid] = node, cores
            self._add(node, cores)

    def _add(self, node: str, cores: float) -> None:
        use = self.use.setdefault(node, Use())
        use.cores += cores
        self._note(use.series, max(0.0, round(use.cores, 6)))

    def _note(self, series: Series, value: float) -> None:
        if not series or series[-1][1] != value:
            if series and series[-1][0] == self.seconds:
                series[-1] = self.seconds, value
            else:
                series.append((self.seconds, value))


def _member(members: set[str], uid: str, wanted: bool) -> None:
    if wanted:
        members.add(uid)
    else:
        members.discard(uid)


def _was_evicted(raw: dict[str, Any]) -> bool:
    conditions = raw["status"].get("conditions") or ()
    owner = controller_of(raw)
    return owner is not None and any(each["type"] == "DisruptionTarget" for each in conditions)
