"""What brings pods back: ReplicaSets with so many pods, DaemonSets with one on every node."""

from functools import partial
from typing import Final

from hexa.adapters.memory.clock import Timers
from hexa.adapters.memory.cluster.api import MemoryApi
from hexa.adapters.memory.cluster.kinds import DAEMON_SETS, REPLICA_SETS
from hexa.adapters.memory.cluster.pods import controller_of, finished, node_of, terminating
from hexa.adapters.memory.cluster.selectors import labels_of
from hexa.adapters.memory.cluster.store import Builtins, Event, Key, Stored
from hexa.domain.resources.core import NODES, PODS
from hexa.ports.kube import ChangeType

_EVERYWHERE: Final = [{"operator": "Exists"}]


def pod_of(owner: Stored, *, spec: Builtins | None = None) -> Builtins:
    """A new pod of the owner's template."""
    template = owner.raw["spec"]["template"]
    metadata = template.get("metadata") or {}
    kind = owner.raw["kind"]
    reference = {"apiVersion": owner.raw["apiVersion"], "kind": kind, "name": owner.key[1], "uid": owner.uid}
    own = {"namespace": owner.key[0], "generateName": f"{owner.key[1]}-"}
    return {
        "metadata": {**metadata, **own, "ownerReferences": [{**reference, "controller": True}]},
        "spec": {**template["spec"], **(spec or {})},
    }


class ReplicaSetController:
    """Keeps the number of pods of each ReplicaSet."""

    def __init__(self, api: MemoryApi, timers: Timers) -> None:
        self._api = api
        self._timers = timers
        self._pods: dict[str, dict[str, Stored]] = {}
        self._planned: set[Key] = set()
        api.listen(REPLICA_SETS, self._set_changed)
        api.listen(PODS, self._pod_changed)

    def __repr__(self) -> str:
        return f"<ReplicaSetController {len(self._pods)} sets>"

    def _set_changed(self, event: Event) -> None:
        if event.type is ChangeType.DELETED:
            self._pods.pop(event.stored.uid, None)
        else:
            self._plan(event.stored.key)

    def _pod_changed(self, event: Event) -> None:
        owner = controller_of(event.stored.raw)
        if owner is None or owner["kind"] != REPLICA_SETS.name:
            return
        pods = self._pods.setdefault(owner["uid"], {})
        if event.type is ChangeType.DELETED or terminating(event.stored.raw) or finished(event.stored.raw):
            if pods.pop(event.stored.uid, None) is not None:
                self._plan((event.stored.key[0], owner["name"]))
        else:
            pods[event.stored.uid] = event.stored

    def _plan(self, key: Key) -> None:
        if key not in self._planned:
            self._planned.add(key)
            self._timers.soon(partial(self._keep, key))

    def _keep(self, key: Key) -> None:
        self._planned.discard(key)
        if (owner := self._api.get(REPLICA_SETS, key[1], key[0])) is None or terminating(owner.raw):
            return
        pods = self._pods.setdefault(owner.uid, {})
        missing = owner.raw["spec"].get("replicas", 1) - len(pods)
        for _ in range(missing):
            self._api.create(PODS, pod_of(owner))
        if missing < 0:
            for pod in sorted(pods.values(), key=_worth)[:-missing]:
                self._api.delete(PODS, pod.key)


def _worth(pod: Stored) -> tuple[bool, bool, int]:
    """Which pods go last when there are too many: running before waiting, older before younger."""
    return bool(node_of(pod.raw)), pod.raw["status"].get("phase") == "Running", -int(pod.uid[:8], 16)


class DaemonSetController:
    """Keeps a pod of each DaemonSet on every node that its template's node selector takes."""

    def __init__(self, api: MemoryApi, timers: Timers) -> None:
        self._api = api
        self._timers = timers
        self._pods: dict[tuple[str, str], str] = {}
        api.listen(DAEMON_SETS, self._set_changed)
        api.listen(NODES, self._node_changed)
        api.listen(PODS, self._pod_changed)

    def __repr__(self) -> str:
        return f"<DaemonSetController {len(self._pods)} pods>"

    def _set_changed(self, event: Event) -> None:
        if event.type is ChangeType.ADDED:
            for node in self._api.find(NODES):
                self._keep(event.stored.key, node.key[1])

    def _node_changed(self, event: Event) -> None:
        if event.type is ChangeType.ADDED:
            for owner in self._api.find(DAEMON_SETS):
                self._keep(owner.key, event.stored.key[1])

    def _pod_changed(self, event: Event) -> None:
        owner = controller_of(event.stored.raw)
        if owner is None or owner["kind"] != DAEMON_SETS.name or event.type is not ChangeType.DELETED:
            return
        node = node_of(event.stored.raw)
        if self._pods.get((owner["uid"], node)) == event.stored.uid:
            del self._pods[owner["uid"], node]
            self._timers.soon(partial(self._keep, (event.stored.key[0], owner["name"]), node))

    def _keep(self, key: Key, name: str) -> None:
        owner, node = self._api.get(DAEMON_SETS, key[1], key[0]), self._api.get(NODES, name)
        if owner is None or node is None or (owner.uid, name) in self._pods:
            return
        wanted = (owner.raw["spec"]["template"]["spec"].get("nodeSelector") or {}).items()
        if not wanted <= labels_of(node.raw).items():
            return
        term = {"matchFields": [{"key": "metadata.name", "operator": "In", "values": [name]}]}
        required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}}
        spec: Builtins = {"affinity": {"nodeAffinity": required}, "tolerations": _EVERYWHERE}
        self._pods[owner.uid, name] = self._api.create(PODS, pod_of(owner, spec=spec)).uid
