"""The port that orders power actions, on Job objects of the API server in RAM. What an action does is the site's matter."""

import math
from collections.abc import Iterable
from hashlib import sha256
from typing import Final

from msgspec import to_builtins

from hexa.adapters.memory.cluster.job_controller import JOB_LABEL
from hexa.adapters.memory.cluster.store import Builtins
from hexa.adapters.memory.ports.kube import MemoryKube
from hexa.domain.errors import AlreadyExists, Unavailable
from hexa.domain.names import (
    ACTION_LABEL,
    API_VERSION,
    ATTEMPT_LABEL,
    CONTROL_PLANE_LABELS,
    GROUP_LABEL,
    MACHINE_LABEL,
    SAFE_TO_EVICT,
    UID_LABEL,
)
from hexa.domain.resources.core import JOBS, PODS, Job, Pod
from hexa.domain.resources.v1alpha1 import Lookup, PowerPodSpec
from hexa.ports.jobs import Order, Outcome, Seen
from hexa.ports.kube import Selector

_LONGEST: Final = 63
_OUTCOMES: Final = {
    "Complete": Outcome.DONE,
    "SuccessCriteriaMet": Outcome.DONE,
    "Failed": Outcome.FAILED,
    "FailureTarget": Outcome.FAILED,
}


class MemoryJobs:
    """`ports.jobs` over a client of the API server in RAM, whose faults are its own."""

    def __init__(self, kube: MemoryKube) -> None:
        self._kube = kube
        self._said: dict[str, str] = {}
        """What pods said last, by Job: at its deadline a Job's pod is deleted before anybody can ask why."""

    def __repr__(self) -> str:
        return f"<MemoryJobs of {self._kube!r}>"

    def name(self, order: Order) -> str:
        tail = f"-{short_hash(f'{order.machine} {order.uid}')}-{order.action}-{order.attempt}"
        return order.machine.name.replace(".", "-")[: _LONGEST - len(tail)].rstrip("-") + tail

    def manifest(self, name: str, order: Order) -> Builtins:
        """The Job, in outline."""
        return _manifest(name, order)

    async def start(self, order: Order) -> Seen:
        name = self.name(order)
        try:
            await self._kube.create(JOBS, self.manifest(name, order))
        except AlreadyExists:
            if (seen := await self.observe(order)) is None:
                raise Unavailable(f"Job {name} is just going away", reason="JobVanished") from None
            return seen
        return Seen(name, Outcome.RUNNING)

    async def observe(self, order: Order) -> Seen | None:
        name, namespace = self.name(order), order.machine.namespace
        jobs = await self._kube.list(JOBS, Selector(namespace=namespace, fields=f"metadata.name={name}"))
        job = next((job for job in jobs.items if isinstance(job, Job)), None)
        if job is None:
            self._said.pop(name, None)
            return None
        if (outcome := _outcome(job)) is Outcome.DONE:
            return Seen(name, outcome)
        pods = await self._kube.list(PODS, Selector(namespace=namespace, labels=f"{JOB_LABEL}={name}"))
        if pods.items:
            self._said[name] = _trouble(pod for pod in pods.items if isinstance(pod, Pod))
        failed = [c for c in job.status.conditions if _OUTCOMES.get(c.type) is Outcome.FAILED][:1]
        return Seen(name, outcome, "; ".join(filter(None, [*(c.message for c in failed), self._said.get(name)])))

    async def cancel(self, machine: Lookup, *, uid: str, keep: str = "") -> bool:
        selector = Selector(namespace=machine.namespace, labels=f"{UID_LABEL}={uid}")
        jobs = [job.metadata for job in (await self._kube.list(JOBS, selector)).items if job.metadata.name != keep]
        for job in jobs:
            await self._kube.delete(JOBS, job.name, namespace=machine.namespace, uid=job.uid)
        pods = (await self._kube.list(PODS, selector)).items
        return all(pod.metadata.labels.get(JOB_LABEL) == keep for pod in pods)


def short_hash(text: str) -> str:
    """Tells names apart that were cut."""
    return sha256(text.encode()).hexdigest()[:10]


def _outcome(job: Job) -> Outcome:
    decided = (_OUTCOMES.get(condition.type) for condition in job.status.conditions if condition.status == "True")
    return next(filter(None, decided), Outcome.RUNNING)


def _trouble(pods: Iterable[Pod]) -> str:
    """Why a pod failed, or what it waits for."""
    for pod in pods:
        for container in pod.status.container_statuses:
            if (waiting := container.state.waiting) is not None:
                return f"{waiting.reason}: {waiting.message}"
            if (ended := container.state.terminated) is not None and ended.exit_code:
                return f"exit code {ended.exit_code}"
        for entry in pod.status.conditions:
            if (entry.type, entry.status) == ("PodScheduled", "False"):
                return f"cannot be scheduled: {entry.message}"
    return ""


def _manifest(name: str, order: Order) -> Builtins:
    machine = order.machine.name
    labels = {
        MACHINE_LABEL: machine if len(machine) <= _LONGEST else f"{machine[:52].rstrip('-.')}-{short_hash(machine)}",
        UID_LABEL: order.uid,
        ACTION_LABEL: order.action.value,
        ATTEMPT_LABEL: str(order.attempt),
    }
    owner = {"apiVersion": API_VERSION, "kind": "Node", "name": machine, "uid": order.uid, "controller": True}
    namespace = order.machine.namespace
    annotations = {SAFE_TO_EVICT: "false"}
    return {
        "metadata": {"name": name, "namespace": namespace, "labels": labels, "ownerReferences": [owner]},
        "spec": {
            "activeDeadlineSeconds": max(1, math.ceil(order.deadline)),
            "backoffLimit": 0,
            "ttlSecondsAfterFinished": max(60, order.spec.ttl_seconds_after_finished),
            "template": {"metadata": {"labels": labels, "annotations": annotations}, "spec": _pod_spec(order)},
        },
    }


def affinity(kubernetes_node: str) -> Builtins:
    """Outside every group, and never on the machine's own node."""
    term: Builtins = {"matchExpressions": [{"key": GROUP_LABEL, "operator": "DoesNotExist"}]}
    if kubernetes_node:
        term["matchFields"] = [{"key": "metadata.name", "operator": "NotIn", "values": [kubernetes_node]}]
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}}}


def tolerations(spec: PowerPodSpec) -> list[Builtins]:
    """The control plane's taints, and what the user says."""
    control_plane = [{"key": key, "operator": "Exists"} for key in sorted(CONTROL_PLANE_LABELS)]
    return [*control_plane, *to_builtins(spec.tolerations)]


def texts(spec: PowerPodSpec) -> Builtins:
    """Quantities as the API server keeps them."""
    given = {"requests": spec.resources.requests, "limits": spec.resources.limits}
    return {name: {what: str(amount) for what, amount in amounts.items()} for name, amounts in given.items()}


def _pod_spec(order: Order) -> Builtins:
    spec = order.spec
    return {
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": 5,
        "affinity": affinity(order.kubernetes_node),
        "nodeSelector": spec.node_selector,
        "tolerations": tolerations(spec),
        "containers": [{"name": "power", "image": spec.image, "resources": texts(spec)}],
    }
