"""The pods of a simulated kubelet.

Owns what the API server is told of a pod's life; refuses to run anything: the first container's command is
looked up among Python actions and ends with the action's exit code. Without an action a pod runs until it is
told to end, which it then does at once.
"""

from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

import httpx
import trio

from .api import Api, ApiError, Resource
from .feeds import PodFeed
from .image import NAME as IMAGE

Action = Callable[[list[str]], Awaitable[int]]  # a command's arguments -> its exit code

RESTART_SECONDS: Final = 1.0
RETRY_SECONDS: Final = 0.5
_ENDED: Final = ("Succeeded", "Failed")
_KILLED: Final = 137  # the exit code of a container that was told to end before it was done


class SimulatedPods:
    """What one kubelet does with the pods that are bound to it."""

    def __init__(self, api: Api, feed: PodFeed, actions: Mapping[str, Action], *, node: str, address: str) -> None:
        self._api, self._feed, self._actions = api, feed, actions
        self._node, self._address = node, address

    async def run(self) -> None:
        """Runs pods until cancelled; then they say nothing more, as after a power cut."""
        runs: dict[str, trio.CancelScope] = {}
        async with trio.open_nursery() as nursery:
            with self._feed.pods_of(self._node) as pods:
                async for pod in pods:
                    uid, known = pod["metadata"]["uid"], pod["metadata"]["uid"] in runs
                    if pod["metadata"].get("deletionTimestamp"):
                        if not known or not runs[uid].cancel_called:
                            runs.setdefault(uid, trio.CancelScope()).cancel()
                            nursery.start_soon(self._end, pod)
                    elif not known and pod["status"].get("phase") not in _ENDED:
                        runs[uid] = trio.CancelScope()
                        nursery.start_soon(self._live, pod, runs[uid])

    async def _live(self, pod: Resource, scope: trio.CancelScope) -> None:
        with scope:
            if any(container["image"] != IMAGE for container in pod["spec"]["containers"]):
                await self._tell(pod, "Pending", {"waiting": {"reason": "ErrImagePull"}})
                return
            restarts = 0
            while True:
                await self._tell(pod, "Running", {"running": {"startedAt": now()}}, restarts)
                code = await self._execute(pod["spec"]["containers"][0].get("command", []))
                if not _starts_again(pod, code):
                    break
                await trio.sleep(RESTART_SECONDS)
                restarts += 1
            await self._tell(pod, "Failed" if code else "Succeeded", _terminated(code), restarts)

    async def _execute(self, command: list[str]) -> int:
        action = self._actions.get(command[0]) if command else None
        if action is None:
            await trio.sleep_forever()
            raise AssertionError("forever is over")
        return await action(command[1:])

    async def _end(self, pod: Resource) -> None:
        """Tells that the pod's containers have ended, then lets go of it, as a kubelet does."""
        if pod["status"].get("phase") not in _ENDED:
            expected = pod["spec"]["restartPolicy"] == "Always"
            phase, code = ("Succeeded", 0) if expected else ("Failed", _KILLED)
            await self._tell(pod, phase, _terminated(code))
        meta = pod["metadata"]
        await self._insist(
            lambda: self._api.delete(
                *("v1/pods", meta["name"]),
                namespace=meta["namespace"],
                gracePeriodSeconds=0,
                preconditions={"uid": meta["uid"]},
            )
        )

    async def _tell(self, pod: Resource, phase: str, state: Resource, restarts: int = 0) -> None:
        meta = pod["metadata"]
        change = {"metadata": {"uid": meta["uid"]}, "status": self._status(pod, phase, state, restarts)}
        await self._insist(
            lambda: self._api.patch(
                *("v1/pods", meta["name"], change),
                namespace=meta["namespace"],
                subresource="status",
                how="strategic",
            )
        )

    def _status(self, pod: Resource, phase: str, state: Resource, restarts: int) -> Resource:
        ready = phase == "Running"
        stamp = {"lastTransitionTime": now()}
        conditions = {"Initialized": True, "ContainersReady": ready, "Ready": ready}
        return {
            "phase": phase,
            "hostIP": self._address,
            "podIP": self._address,
            "podIPs": [{"ip": self._address}],
            "startTime": pod["status"].get("startTime") or now(),
            "conditions": [{"type": kind, "status": str(value), **stamp} for kind, value in conditions.items()],
            "containerStatuses": [
                {
                    "name": container["name"],
                    "image": container["image"],
                    "imageID": "",
                    "ready": ready,
                    "started": ready,
                    "restartCount": restarts,
                    "state": state,
                }
                for container in pod["spec"]["containers"]
            ],
        }

    @staticmethod
    async def _insist(call: Callable[[], Awaitable[Any]]) -> None:
        """Repeats a call until the API server answers it; a refusal means that the pod is gone or another."""
        while True:
            try:
                await call()
            except httpx.TransportError:
                await trio.sleep(RETRY_SECONDS)
            except ApiError as error:
                if error.code < 500:
                    return
                await trio.sleep(RETRY_SECONDS)
            else:
                return


def now(*, microseconds: bool = False) -> str:
    """The time as the API writes it."""
    unit = "microseconds" if microseconds else "seconds"
    return datetime.now(UTC).isoformat(timespec=unit).replace("+00:00", "Z")


def _starts_again(pod: Resource, code: int) -> bool:
    policy = pod["spec"]["restartPolicy"]
    return policy == "Always" or (policy == "OnFailure" and code != 0)


def _terminated(code: int) -> Resource:
    reason = "Error" if code else "Completed"
    return {"terminated": {"exitCode": code, "reason": reason, "finishedAt": now()}}
