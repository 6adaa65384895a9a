"""What kube-controller-manager does about volumes that one node at a time may have: attach, detach, and wait for a kubelet that is
silent.

Claims stand for their volumes. One whose volume is on a node's own disk is none of these. It starts and ends no pod.
"""

from collections.abc import Callable
from functools import partial
from typing import Final

from hexa.adapters.memory.clock import Timer, Timers
from hexa.adapters.memory.cluster.api import MemoryApi
from hexa.adapters.memory.cluster.conditions import is_true
from hexa.adapters.memory.cluster.pods import finished, node_of
from hexa.adapters.memory.cluster.store import Builtins, Event, Stored
from hexa.domain.names import OUT_OF_SERVICE_TAINT
from hexa.domain.resources.core import CLAIMS, NODES, PODS, VOLUMES
from hexa.ports.kube import ChangeType

DETACHED_AFTER: Final = 360.0
"""Seconds until a volume is taken from a node that does not say that it has unmounted it (the stock controller's)."""


class VolumeAttacher:
    """`attachdetach` of the site."""

    def __init__(self, api: MemoryApi, timers: Timers, *, detach: float = 0.0) -> None:
        """`detach`: seconds that a kubelet that lives takes to unmount a volume."""
        self._api, self._timers, self._seconds = api, timers, detach
        self._on: dict[str, str] = {}
        """The node of each claim that is attached."""
        self._users: dict[str, dict[str, str]] = {}
        """Of each claim, the pods that use it, with their nodes."""
        self._waiting: dict[str, Callable[[], object]] = {}
        """Pods that are to run, by uid."""
        self._leaving: dict[str, Timer] = {}
        api.listen(PODS, self._pod_changed)
        api.listen(NODES, self._node_changed)

    def __repr__(self) -> str:
        return f"<VolumeAttacher {len(self._on)} volumes>"

    def when_attached(self, pod: Stored, run: Callable[[], object]) -> None:
        """Run it once every volume of the pod is at its node: at once, if it has none."""
        claims = self._claims(pod.raw)
        if all(self._on.get(claim) == node_of(pod.raw) for claim in claims):
            run()
            return
        self._waiting[pod.uid] = run

    def _claims(self, pod: Builtins) -> list[str]:
        namespace = pod["metadata"].get("namespace", "")
        given = (volume.get("persistentVolumeClaim") for volume in pod["spec"].get("volumes") or ())
        names = [claim["claimName"] for claim in given if claim]
        return [f"{namespace}/{name}" for name in names if self._travels(namespace, name)]

    def _travels(self, namespace: str, name: str) -> bool:
        claim = self._api.get(CLAIMS, name, namespace)
        if claim is None:
            return False
        volume = self._api.get(VOLUMES, claim.raw["spec"].get("volumeName", ""))
        return volume is None or not ({"local", "hostPath"} & volume.raw["spec"].keys())

    def _pod_changed(self, event: Event) -> None:
        pod, node = event.stored, node_of(event.stored.raw)
        if not node:
            return
        gone = event.type is ChangeType.DELETED or finished(pod.raw)
        for claim in self._claims(pod.raw):
            users = self._users.setdefault(claim, {})
            if not gone:
                users.setdefault(pod.uid, node)
            elif users.pop(pod.uid, None) is None:
                continue
            self._settle(claim)
        if gone:
            self._waiting.pop(pod.uid, None)

    def _node_changed(self, event: Event) -> None:
        for claim in [claim for claim, node in self._on.items() if node == event.stored.key[1]]:
            self._settle(claim)

    def _settle(self, claim: str) -> None:
        """Detach what nobody there uses, and attach it where somebody waits."""
        node, users = self._on.get(claim), self._users.get(claim, {})
        if node is not None and node not in users.values():
            lets_go = self._lets_go(node)
            if lets_go == "at once":
                self._detach(claim)
            elif claim not in self._leaving:
                self._leaving[claim] = self._after(lets_go, claim)
        elif node is not None and (timer := self._leaving.pop(claim, None)) is not None:
            timer.cancel()
        if claim not in self._on and users:
            self._timers.soon(partial(self._attach, claim))

    def _after(self, lets_go: str, claim: str) -> Timer:
        if lets_go == "unmounted":
            return self._timers.after(self._seconds, partial(self._unmounted, claim))
        return self._timers.after(DETACHED_AFTER, partial(self._detach, claim))

    def _unmounted(self, claim: str) -> None:
        """Its kubelet has had the time, if it lived that long."""
        self._leaving.pop(claim, None)
        node = self._on.get(claim)
        if node is None or self._lets_go(node) == "by force":
            self._settle(claim)
        else:
            self._detach(claim)

    def _lets_go(self, name: str) -> str:
        """How the node's volumes are let go: at once, once its kubelet has unmounted them, or by force after a time."""
        node = self._api.get(NODES, name)
        if node is None:
            return "by force"
        taints = (node.raw.get("spec") or {}).get("taints") or ()
        if any(taint["key"] == OUT_OF_SERVICE_TAINT for taint in taints):
            return "at once"
        if not is_true(node.raw.get("status") or {}, "Ready"):
            return "by force"
        return "unmounted" if self._seconds else "at once"

    def _name(self, claim: str) -> str:
        """The unique name of a CSI volume; for others the claim stands."""
        namespace, name = claim.split("/", 1)
        found = self._api.get(CLAIMS, name, namespace)
        volume = self._api.get(VOLUMES, found.raw["spec"].get("volumeName", "")) if found is not None else None
        csi = volume.raw["spec"].get("csi") if volume is not None else None
        return f"kubernetes.io/csi/{csi.get('driver', '')}^{csi.get('volumeHandle', '')}" if csi else claim

    def _attach(self, claim: str) -> None:
        users = self._users.get(claim, {})
        if claim in self._on or not users:
            return
        self._on[claim] = next(iter(users.values()))
        self._report(self._on[claim])
        for uid in [uid for uid, node in users.items() if node == self._on[claim] and uid in self._waiting]:
            pod = next((each for each in self._api.find(PODS) if each.uid == uid), None)
            if pod is not None:
                self.when_attached(pod, self._waiting.pop(uid))

    def _detach(self, claim: str) -> None:
        if (timer := self._leaving.pop(claim, None)) is not None:
            timer.cancel()
        if (node := self._on.pop(claim, None)) is not None:
            self._report(node)
        self._settle(claim)

    def _report(self, name: str) -> None:
        if (node := self._api.get(NODES, name)) is None:
            return
        status = {key: value for key, value in (node.raw.get("status") or {}).items() if key != "volumesAttached"}
        attached = [
            {"name": self._name(claim), "devicePath": ""} for claim, on in sorted(self._on.items()) if on == name
        ]
        self._api.write(NODES, node, status={**status, **({"volumesAttached": attached} if attached else {})})
