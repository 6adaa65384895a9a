"""The Job controller: makes a pod of a Job, another one where it failed and may, and of the pod's end the Job's."""

from functools import partial
from typing import Final

from hexa.adapters.memory.clock import Timer, Timers
from hexa.adapters.memory.cluster.api import MemoryApi
from hexa.adapters.memory.cluster.conditions import is_true, with_condition
from hexa.adapters.memory.cluster.pod_controllers import pod_of
from hexa.adapters.memory.cluster.pods import controller_of, finished, terminating
from hexa.adapters.memory.cluster.store import Builtins, Event, Stored
from hexa.domain.resources.core import JOBS, PODS
from hexa.ports.kube import ChangeType

JOB_LABEL: Final = "batch.kubernetes.io/job-name"
BACKOFF: Final = 10.0
"""Seconds until a failed pod is followed by the next (a real controller doubles it each time)."""

_DEADLINE: Final = "DeadlineExceeded", "Job was active longer than specified deadline"
_BACKOFF: Final = "BackoffLimitExceeded", "Job has reached the specified backoff limit"
_REACHED: Final = "CompletionsReached", "Reached expected number of succeeded pods"


class JobController:
    """Jobs of one pod at a time."""

    def __init__(self, api: MemoryApi, timers: Timers) -> None:
        self._api = api
        self._after = timers.after
        self._deadlines: dict[str, Timer] = {}
        api.listen(JOBS, self._job_changed)
        api.listen(PODS, self._pod_changed)

    def __repr__(self) -> str:
        return f"<JobController {len(self._deadlines)} deadlines>"

    def _job_changed(self, event: Event) -> None:
        job = event.stored
        if event.type is ChangeType.DELETED:
            self._cancel(job.uid)
        elif event.type is ChangeType.ADDED and (owner := self._current(job)) is not None:
            self._api.write(JOBS, owner, status={"startTime": self._api.now(), "active": 1, "ready": 0})
            if (deadline := job.raw["spec"].get("activeDeadlineSeconds")) is not None:
                self._deadlines[job.uid] = self._after(deadline, partial(self._overdue, job))
            self._make_pod(job)

    def _make_pod(self, job: Stored) -> None:
        if (owner := self._current(job)) is not None and not _over(owner):
            pod = pod_of(owner)
            own = {"job-name": job.key[1], JOB_LABEL: job.key[1], "controller-uid": job.uid}
            pod["metadata"]["labels"] = {**(pod["metadata"].get("labels") or {}), **own}
            self._api.create(PODS, pod)

    def _pod_changed(self, event: Event) -> None:
        owner = controller_of(event.stored.raw)
        if owner is None or owner["kind"] != JOBS.name:
            return
        job = self._api.get(JOBS, owner["name"], event.stored.key[0])
        if job is None or job.uid != owner["uid"] or _over(job):
            return
        gone = event.type is ChangeType.DELETED
        if is_true(job.raw["status"], "FailureTarget"):
            if gone:
                self._end(job, {"failed": 1}, Failed=_DEADLINE)
        elif event.stored.raw["status"].get("phase") == "Succeeded":
            self._end(
                job, {"succeeded": 1, "completionTime": self._api.now()}, SuccessCriteriaMet=_REACHED, Complete=_REACHED
            )
        elif (gone or finished(event.stored.raw)) and not _ended_before(event):
            self._failed(job)

    def _failed(self, job: Stored) -> None:
        """A pod failed or was taken away."""
        failed = job.raw["status"].get("failed", 0) + 1
        if failed > job.raw["spec"].get("backoffLimit", 6):
            self._end(job, {"failed": failed}, FailureTarget=_BACKOFF, Failed=_BACKOFF)
            return
        self._api.write(JOBS, job, status={**job.raw["status"], "failed": failed})
        self._after(BACKOFF, partial(self._make_pod, job))

    def _overdue(self, job: Stored) -> None:
        """The deadline has passed: its pods are ended first."""
        current = self._current(job)
        if current is None or _over(current):
            return
        pods = self._api.find(PODS, lambda raw: (controller_of(raw) or {}).get("uid") == job.uid)
        alive = [pod for pod in pods if not finished(pod.raw)]
        if not alive:
            self._end(current, {}, FailureTarget=_DEADLINE, Failed=_DEADLINE)
            return
        self._conclude(current, {}, FailureTarget=_DEADLINE)
        for pod in alive:
            self._api.delete(PODS, pod.key)

    def _end(self, job: Stored, status: Builtins, **conditions: tuple[str, str]) -> None:
        self._conclude(job, {"active": 0, **status}, **conditions)
        self._cancel(job.uid)
        if (ttl := job.raw["spec"].get("ttlSecondsAfterFinished")) is not None:
            delete = partial(self._api.delete, JOBS, job.key)
            self._deadlines[job.uid] = self._after(ttl, delete)

    def _conclude(self, job: Stored, status: Builtins, **conditions: tuple[str, str]) -> None:
        old = job.raw["status"]
        entries: list[Builtins] = old.get("conditions") or []
        for kind, (reason, message) in conditions.items():
            entries = with_condition(entries, kind, "True", self._api.now(), reason=reason, message=message)
        self._api.write(JOBS, job, status={**old, **status, "conditions": entries})

    def _current(self, job: Stored) -> Stored | None:
        current = self._api.get(JOBS, job.key[1], job.key[0])
        return current if current is not None and current.uid == job.uid and not terminating(current.raw) else None

    def _cancel(self, uid: str) -> None:
        if (timer := self._deadlines.pop(uid, None)) is not None:
            timer.cancel()


def _over(job: Stored) -> bool:
    status = job.raw.get("status") or {}
    return is_true(status, "Complete") or is_true(status, "Failed")


def _ended_before(event: Event) -> bool:
    """What is deleted now had finished earlier, and was counted then."""
    return event.old is not None and finished(event.old.raw)
