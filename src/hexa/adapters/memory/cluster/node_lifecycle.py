"""What kube-controller-manager does about nodes: Unknown when silent, taints by condition and cordon, eviction by taint,
and the pods of a node that is gone. It removes no node and switches nothing.
"""

from functools import partial
from typing import Final

import trio

from hexa.adapters.memory.clock import Timer
from hexa.adapters.memory.cluster.conditions import condition, is_true, with_condition
from hexa.adapters.memory.cluster.context import Context, Speaker
from hexa.adapters.memory.cluster.defaults import NOT_READY_TAINT, UNREACHABLE_TAINT
from hexa.adapters.memory.cluster.pods import finished, node_of, terminating
from hexa.adapters.memory.cluster.store import Builtins, Event, Stored
from hexa.domain.names import OUT_OF_SERVICE_TAINT, UNSCHEDULABLE_TAINT
from hexa.domain.pods.drain import tolerated
from hexa.domain.resources.core import NODES, PODS, Malformed, Pod, Taint
from hexa.ports.kube import ChangeType

_OURS: Final = frozenset({NOT_READY_TAINT, UNREACHABLE_TAINT, UNSCHEDULABLE_TAINT})


class NodeMonitor:
    """A node whose kubelet fell silent becomes Unknown after the grace."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._alarms: dict[str, Timer] = {}

    def __repr__(self) -> str:
        return f"<NodeMonitor {len(self._alarms)} alarms>"

    def silent(self, kubelet: Speaker) -> None:
        heard = kubelet.heard(trio.current_time())
        if heard is not None:
            due = heard + self._context.settings.monitor_grace
            self._alarms[kubelet.node] = self._context.timers.at(due, partial(self._give_up, kubelet.node))

    def spoke(self, kubelet: Speaker) -> None:
        if (alarm := self._alarms.pop(kubelet.node, None)) is not None:
            alarm.cancel()
        self._set(kubelet.node, "True", "KubeletReady")

    def _give_up(self, name: str) -> None:
        del self._alarms[name]
        self._set(name, "Unknown", "NodeStatusUnknown", message="Kubelet stopped posting node status.")
        api = self._context.api
        for pod in self._context.pods.on(name):
            status = pod.raw["status"]
            if is_true(status, "Ready"):
                conditions = with_condition(status["conditions"], "Ready", "False", api.now(), reason="NodeNotReady")
                api.write(PODS, pod, status={**status, "conditions": conditions})

    def _set(self, name: str, status: str, reason: str, *, message: str = "") -> None:
        api = self._context.api
        if (node := api.get(NODES, name)) is None:
            return
        old = node.raw.get("status") or {}
        before = condition(old, "Ready")
        if before is None or before["status"] != status:
            conditions = with_condition(
                old.get("conditions") or [], "Ready", status, api.now(), reason=reason, message=message
            )
            api.write(NODES, node, status={**old, "conditions": conditions})


class NodeTainter:
    """Keeps the taints that tell of a node's condition and cordon."""

    def __init__(self, context: Context) -> None:
        self._context = context
        context.api.listen(NODES, self._changed)

    def __repr__(self) -> str:
        return "<NodeTainter>"

    def _changed(self, event: Event) -> None:
        node = self._context.api.get(NODES, event.stored.key[1])
        if event.type is ChangeType.DELETED or node is None or node is not event.stored:
            return  # gone, or another change of it is to come
        spec = node.raw.get("spec") or {}
        taints = spec.get("taints") or []
        wanted = _taints_of(node)
        present = {(taint["key"], taint["effect"]) for taint in taints if taint["key"] in _OURS}
        if wanted != present:
            kept = [taint for taint in taints if taint["key"] not in _OURS]
            now = self._context.api.now()
            added = [{"key": key, "effect": effect, "timeAdded": now} for key, effect in sorted(wanted)]
            self._context.api.write(NODES, node, spec=_with_taints(spec, [*kept, *added]))


def _taints_of(node: Stored) -> set[tuple[str, str]]:
    ready = condition(node.raw.get("status") or {}, "Ready")
    status = "False" if ready is None else ready["status"]
    wanted = set()
    if status == "Unknown":
        wanted |= {(UNREACHABLE_TAINT, "NoSchedule"), (UNREACHABLE_TAINT, "NoExecute")}
    elif status != "True":
        wanted |= {(NOT_READY_TAINT, "NoSchedule"), (NOT_READY_TAINT, "NoExecute")}
    if (node.raw.get("spec") or {}).get("unschedulable"):
        wanted.add((UNSCHEDULABLE_TAINT, "NoSchedule"))
    return wanted


def _with_taints(spec: Builtins, taints: list[Builtins]) -> Builtins:
    rest = {key: value for key, value in spec.items() if key != "taints"}
    return {**rest, "taints": taints} if taints else rest


class TaintEviction:
    """Deletes the pods that do not tolerate a NoExecute taint of their node, or no longer."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._due: dict[str, Timer] = {}
        self._taints: dict[str, tuple[Taint, ...]] = {}
        context.api.listen(NODES, self._node_changed)
        context.api.listen(PODS, self._pod_changed)

    def __repr__(self) -> str:
        return f"<TaintEviction {len(self._due)} pods waiting>"

    def _node_changed(self, event: Event) -> None:
        name = event.stored.key[1]
        node = event.stored.decoded(NODES)
        if event.type is ChangeType.DELETED or isinstance(node, Malformed):
            taints: tuple[Taint, ...] = ()
        else:
            taints = tuple(taint for taint in node.spec.taints if taint.effect == "NoExecute")
        if taints != self._taints.get(name, ()):
            self._taints[name] = taints
            for pod in self._context.pods.on(name):
                self._judge(pod, taints)

    def _pod_changed(self, event: Event) -> None:
        if event.type is ChangeType.DELETED:
            self._forget(event.stored.uid)
            return
        node = node_of(event.stored.raw)
        if (taints := self._taints.get(node, ())) and (event.old is None or not node_of(event.old.raw)):
            self._judge(event.stored, taints)

    def _judge(self, stored: Stored, taints: tuple[Taint, ...]) -> None:
        if finished(stored.raw) or terminating(stored.raw):
            return
        pod = stored.decoded(PODS)
        seconds = None if isinstance(pod, Malformed) else _tolerated_for(pod, taints)
        if seconds is None:
            self._forget(stored.uid)
            return
        if (timer := self._due.get(stored.uid)) is not None:
            if timer.due <= trio.current_time() + seconds:
                return
            timer.cancel()
        self._due[stored.uid] = self._context.timers.after(seconds, partial(self._evict, stored))

    def _forget(self, uid: str) -> None:
        if (timer := self._due.pop(uid, None)) is not None:
            timer.cancel()

    def _evict(self, pod: Stored) -> None:
        del self._due[pod.uid]
        api = self._context.api
        stored = api.get(PODS, pod.key[1], pod.key[0])
        if stored is None or stored.uid != pod.uid or terminating(stored.raw):
            return
        status = stored.raw["status"]
        conditions = with_condition(
            status.get("conditions") or [], "DisruptionTarget", "True", api.now(), reason="DeletionByTaintManager"
        )
        api.write(PODS, stored, status={**status, "conditions": conditions})
        api.delete(PODS, stored.key)


def _tolerated_for(pod: Pod, taints: tuple[Taint, ...]) -> float | None:
    """Seconds until the pod must go; None: never."""
    seconds = None
    for taint in taints:
        using = [toleration for toleration in pod.spec.tolerations if tolerated(taint, [toleration])]
        if not using:
            return 0.0
        limits = [toleration.toleration_seconds for toleration in using if toleration.toleration_seconds is not None]
        if limits:
            shortest = float(max(0, min(limits)))
            seconds = shortest if seconds is None else min(seconds, shortest)
    return seconds


class PodCollector:
    """Removes the pods of nodes that are gone, and those that are to end on nodes that are out of service, a while after."""

    def __init__(self, context: Context) -> None:
        self._context = context
        context.api.listen(NODES, self._node_changed)
        context.api.listen(PODS, self._pod_changed)

    def __repr__(self) -> str:
        return "<PodCollector>"

    def _node_changed(self, event: Event) -> None:
        name = event.stored.key[1]
        if event.type is ChangeType.DELETED and self._context.pods.on(name):
            self._context.timers.after(self._context.settings.gc_delay, partial(self._collect, name))
        elif self._out_of_service(name):
            self._context.timers.after(self._context.settings.free_delay, partial(self._free, name))

    def _pod_changed(self, event: Event) -> None:
        pod = event.stored.raw
        if event.type is not ChangeType.DELETED and terminating(pod) and self._out_of_service(node_of(pod)):
            self._context.timers.after(self._context.settings.free_delay, partial(self._free, node_of(pod)))

    def _out_of_service(self, name: str) -> bool:
        node = self._context.api.get(NODES, name) if name else None
        if node is None or is_true(node.raw.get("status") or {}, "Ready"):
            return False
        return any(taint["key"] == OUT_OF_SERVICE_TAINT for taint in (node.raw.get("spec") or {}).get("taints") or ())

    def _free(self, name: str) -> None:
        if not self._out_of_service(name):
            return
        for pod in self._context.pods.on(name):
            if terminating(pod.raw):
                self._context.api.remove(PODS, pod)

    def _collect(self, name: str) -> None:
        api = self._context.api
        if api.get(NODES, name) is not None:
            return
        for pod in self._context.pods.on(name):
            status = pod.raw["status"]
            fresh = pod if finished(pod.raw) else api.write(PODS, pod, status={**status, "phase": "Failed"})
            api.remove(PODS, fresh)
