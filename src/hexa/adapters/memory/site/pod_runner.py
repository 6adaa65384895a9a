"""Runs the pods that are bound to one node: start, end, stop. What it does while cut off is reported once it is connected."""

from collections.abc import Callable
from enum import StrEnum
from functools import partial
from typing import Final

from msgspec import Struct

from hexa.adapters.memory.clock import Timer
from hexa.adapters.memory.cluster.conditions import is_true, with_condition
from hexa.adapters.memory.cluster.context import Behaviour, Context
from hexa.adapters.memory.cluster.pods import comes_with_the_node, finished, terminating
from hexa.adapters.memory.cluster.store import Builtins, Event, Stored
from hexa.adapters.memory.site.meter import Meter
from hexa.domain.pods.requests import requests
from hexa.domain.resources.core import PODS, Malformed
from hexa.ports.kube import ChangeType


class Stage(StrEnum):
    """What the API calls the phase, but for the last."""

    STARTING = "Pending"
    RUNNING = "Running"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"


class Held(Struct):
    """A pod in the hands of the kubelet."""

    pod: Stored
    behaviour: Behaviour
    cores: float
    stage: Stage = Stage.STARTING
    timer: Timer | None = None


class PodRunner:
    """The pods of one node, by uid."""

    def __init__(self, node: str, meter: Meter, context: Context) -> None:
        self._node: Final = node
        self._meter = meter
        self._context = context
        self._held: dict[str, Held] = {}
        self._connected = False

    def __repr__(self) -> str:
        return f"<PodRunner {self._node} {len(self._held)} pods>"

    # --- the kubelet's life -------------------------------------------------------------------

    def abandon(self) -> list[str]:
        """The machine ends at once. Returns the pods that it had not finished, those that come with the node apart."""
        lost = []
        for held in self._held.values():
            self._release(held)
            if held.stage in (Stage.STARTING, Stage.RUNNING) and not comes_with_the_node(held.pod.raw):
                lost.append("/".join(held.pod.key))
        self._held.clear()
        return lost

    def disconnect(self) -> None:
        self._connected = False

    def connect(self) -> None:
        """See what was missed, and tell what happened here."""
        self._connected = True
        bound = {stored.uid: stored for stored in self._context.pods.on(self._node)}
        for uid in self._held.keys() - bound.keys():
            self._drop(uid)
        for uid, stored in bound.items():
            if (held := self._held.get(uid)) is None:
                self._meet(stored)
            elif terminating(stored.raw):
                self._stop(stored)
            else:
                self._report(held)

    def notice(self, event: Event) -> None:
        """A pod bound to the node changed."""
        stored = event.stored
        if event.type is ChangeType.DELETED:
            self._drop(stored.uid)
        elif terminating(stored.raw):
            if event.old is None or not terminating(event.old.raw) or stored.uid not in self._held:
                self._stop(stored)
        elif stored.uid not in self._held and not finished(stored.raw):
            self._start(stored)

    # --- a pod's life -------------------------------------------------------------------------

    def _meet(self, stored: Stored) -> None:
        """A pod that was bound before this start."""
        pod = stored.raw
        if finished(pod):
            return
        if terminating(pod):
            self._context.api.remove(PODS, stored)
        elif pod["status"].get("phase") == "Running" and pod["spec"].get("restartPolicy") == "Never":
            self._write(stored, Stage.FAILED, reason="ContainerStatusUnknown")
        else:
            self._start(stored)

    def _start(self, stored: Stored) -> None:
        pod = stored.decoded(PODS)
        if isinstance(pod, Malformed):
            return
        held = Held(stored, self._context.behaviour(stored.raw), float(requests(pod).get("cpu", 0)))
        self._held[stored.uid] = held
        self._meter.use(held.cores)
        action = self._no_image if held.behaviour.image_missing else self._run
        self._context.attached(stored, partial(self._begin, held, action))

    def _begin(self, held: Held, action: Callable[[Held], None]) -> None:
        if self._held.get(held.pod.uid) is held:
            held.timer = self._context.timers.after(self._context.settings.pod_start, partial(action, held))

    def _no_image(self, held: Held) -> None:
        waiting = {"reason": "ImagePullBackOff", "message": "Back-off pulling image"}
        status = held.pod.raw["status"]
        containers = [{"name": "main", "ready": False, "restartCount": 0, "state": {"waiting": waiting}}]
        if self._connected:
            self._context.api.write(PODS, held.pod, status={**status, "containerStatuses": containers})

    def _run(self, held: Held) -> None:
        held.stage = Stage.RUNNING
        if held.behaviour.seconds is not None:
            held.timer = self._context.timers.after(held.behaviour.seconds, partial(self._end, held))
        self._report(held)
        self._context.running(held.pod)

    def _end(self, held: Held) -> None:
        held.stage = Stage.FAILED if held.behaviour.fails else Stage.SUCCEEDED
        self._release(held)
        if held.behaviour.effect is not None:
            held.behaviour.effect()
        self._report(held)

    def _stop(self, stored: Stored) -> None:
        """The pod shall end within its grace."""
        if (held := self._held.get(stored.uid)) is None:
            self._context.api.remove(PODS, stored)
            return
        held.pod = stored
        if held.timer is not None:
            held.timer.cancel()
        grace = stored.raw["metadata"].get("deletionGracePeriodSeconds", 0)
        seconds = min(self._context.settings.pod_stop, grace)
        held.timer = self._context.timers.after(seconds, partial(self._stopped, held))

    def _stopped(self, held: Held) -> None:
        held.stage = Stage.FAILED
        self._release(held)
        if self._connected:
            self._context.api.remove(PODS, held.pod)

    def _drop(self, uid: str) -> None:
        """The API knows the pod no more."""
        if (held := self._held.pop(uid, None)) is not None:
            self._release(held)

    def _release(self, held: Held) -> None:
        """Its containers are gone."""
        if held.timer is not None:
            held.timer.cancel()
        self._meter.use(-held.cores)
        held.cores = 0.0

    # --- what the API is told -----------------------------------------------------------------

    def _report(self, held: Held) -> None:
        if not self._connected or held.pod.uid not in self._held:
            return
        current = self._context.api.get(PODS, held.pod.key[1], held.pod.key[0])
        if current is None or current.uid != held.pod.uid:
            self._drop(held.pod.uid)
        elif current.raw["status"].get("phase") != held.stage or _misjudged(current, held.stage):
            held.pod = self._write(current, held.stage)

    def _write(self, stored: Stored, stage: Stage, *, reason: str = "") -> Stored:
        api = self._context.api
        status, now = stored.raw["status"], api.now()
        running = stage is Stage.RUNNING
        conditions = status.get("conditions") or []
        fresh: Builtins = {
            **status,
            "phase": stage.value,
            "startTime": status.get("startTime", now),
            "conditions": with_condition(conditions, "Ready", "True" if running else "False", now),
            "containerStatuses": [_container(stage, reason=reason)],
        }
        return api.write(PODS, stored, status={**fresh, **({"reason": reason} if reason else {})})


def _misjudged(pod: Stored, stage: Stage) -> bool:
    """Marked as not ready while its node was silent."""
    return stage is Stage.RUNNING and not is_true(pod.raw["status"], "Ready")


def _container(stage: Stage, *, reason: str) -> Builtins:
    base: Builtins = {"name": "main", "ready": stage is Stage.RUNNING, "restartCount": 0}
    if stage is Stage.RUNNING:
        return {**base, "state": {"running": {}}}
    failed = stage is Stage.FAILED
    ended = {"exitCode": 1 if failed else 0, "reason": reason or ("Error" if failed else "Completed")}
    return {**base, "state": {"terminated": ended}}
