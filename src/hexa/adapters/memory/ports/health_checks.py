"""The port of health checks, on CronJob objects of the API server in RAM. What a check finds is the site's matter."""

from datetime import datetime
from typing import Final

from hexa.adapters.memory.cluster.job_controller import JOB_LABEL
from hexa.adapters.memory.cluster.store import Builtins
from hexa.adapters.memory.ports.jobs import affinity, short_hash, texts, tolerations
from hexa.adapters.memory.ports.kube import MemoryKube
from hexa.domain.errors import AlreadyExists, Refused, Unavailable
from hexa.domain.names import (
    ACTION_LABEL,
    API_VERSION,
    CHECK_ACTION,
    CHECK_ANNOTATION,
    CHECK_LABEL,
    MACHINE_LABEL,
    SAFE_TO_EVICT,
)
from hexa.domain.resources.core import CRON_JOBS, JOBS, PODS, CronJob, Job, Pod
from hexa.domain.resources.health import CheckOutcome
from hexa.domain.resources.v1alpha1 import Lookup
from hexa.domain.rules.health_checks import TIME_ZONE, Check, Run, fingerprint, stands
from hexa.ports.kube import Patch, Selector

_LONGEST: Final = 52


class MemoryChecks:
    """`ports.checks` over a client of the API server in RAM, whose faults are its own."""

    def __init__(self, kube: MemoryKube) -> None:
        self._kube = kube
        self._ran: set[str] = set()
        """Jobs whose pod was seen to run before they ended."""

    def __repr__(self) -> str:
        return f"<MemoryChecks of {self._kube!r}>"

    def name(self, check: Check) -> str:
        tail = f"-{short_hash(f'{check.machine} {check.uid}')}-health"
        return check.machine.name.replace(".", "-")[: _LONGEST - len(tail)].rstrip("-") + tail

    def manifest(self, name: str, check: Check) -> Builtins:
        """The CronJob, in outline."""
        return _manifest(name, check)

    async def apply(self, check: Check) -> None:
        name, space = self.name(check), check.machine.namespace
        listing = await self._kube.list(CRON_JOBS, Selector(namespace=space, fields=f"metadata.name={name}"))
        found = next((item for item in listing.items if isinstance(item, CronJob)), None)
        if found is None:
            try:
                await self._kube.create(CRON_JOBS, self.manifest(name, check))
            except AlreadyExists:
                raise Unavailable(f"CronJob {name} was just made", reason="CronJobAppeared") from None
            return
        if not any(owner.uid == check.uid for owner in found.metadata.owner_references):
            raise Refused(f"CronJob {space}/{name} is not one of hexa's; remove it", reason="ForeignCronJob")
        if not stands(check, found):
            made = self.manifest(name, check)
            parts = {"metadata": {"annotations": made["metadata"]["annotations"]}, "spec": made["spec"]}
            patch = Patch(parts, resource_version=found.metadata.resource_version)
            await self._kube.patch(CRON_JOBS, name, patch, namespace=space)

    async def remove(self, machine: Lookup, *, uid: str) -> None:
        selector = Selector(namespace=machine.namespace, labels=f"{CHECK_LABEL}={uid}")
        for found in (await self._kube.list(CRON_JOBS, selector)).items:
            await self._kube.delete(CRON_JOBS, found.metadata.name, namespace=machine.namespace, uid=found.metadata.uid)

    async def last(self, check: Check) -> Run | None:
        selector = Selector(namespace=check.machine.namespace, labels=f"{CHECK_LABEL}={check.uid}")
        found = [job for job in (await self._kube.list(JOBS, selector)).items if isinstance(job, Job)]
        over = {job.metadata.name: said for job in found if (said := _decided(job))}
        for job in found:
            if job.metadata.name not in over and any(pod.status.phase == "Running" for pod in await self._pods(job)):
                self._ran.add(job.metadata.name)
        newest = max((job for job in found if job.metadata.name in over), key=_began, default=None)
        if newest is None or newest.status.start_time is None:
            return None
        kind, reason, ended = over[newest.metadata.name]
        outcome, message = CheckOutcome.PASSED, ""
        if kind == "Failed":
            outcome, message = _why(await self._pods(newest), reason, ran=newest.metadata.name in self._ran)
        return Run(newest.status.start_time, ended or newest.status.start_time, outcome, message)

    async def _pods(self, job: Job) -> list[Pod]:
        selector = Selector(namespace=job.metadata.namespace, labels=f"{JOB_LABEL}={job.metadata.name}")
        return [pod for pod in (await self._kube.list(PODS, selector)).items if isinstance(pod, Pod)]


def _began(job: Job) -> str:
    return str(job.status.start_time)


def _decided(job: Job) -> tuple[str, str, datetime | None] | None:
    said = next((c for c in job.status.conditions if c.type in ("Complete", "Failed") and c.status == "True"), None)
    return None if said is None else (said.type, said.reason, said.last_transition_time)


def _why(pods: list[Pod], reason: str, *, ran: bool) -> tuple[CheckOutcome, str]:
    """A container that ran and failed tells of the machine; anything else does not."""
    for pod in pods:
        for container in pod.status.container_statuses:
            if (ended := container.state.terminated) is not None and ended.exit_code:
                said = f": {ended.message}" if ended.message else ""
                return CheckOutcome.FAILED, f"exit code {ended.exit_code}{said}"
    if reason == "DeadlineExceeded" and ran:
        return CheckOutcome.FAILED, "not done within its deadline"
    return CheckOutcome.UNKNOWN, "it was not seen to run"


def _manifest(name: str, check: Check) -> Builtins:
    machine, spec = check.machine.name, check.spec
    labels = {MACHINE_LABEL: machine[:63].rstrip("-."), CHECK_LABEL: check.uid, ACTION_LABEL: CHECK_ACTION}
    owner = {"apiVersion": API_VERSION, "kind": "Node", "name": machine, "uid": check.uid, "controller": True}
    pod = {
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": 5,
        "affinity": affinity(check.kubernetes_node),
        "nodeSelector": spec.node_selector,
        "tolerations": tolerations(spec),
        "containers": [{"name": "check", "image": spec.image, "resources": texts(spec)}],
    }
    template = {"metadata": {"labels": labels, "annotations": {SAFE_TO_EVICT: "false"}}, "spec": pod}
    job = {"activeDeadlineSeconds": check.deadline, "backoffLimit": 0, "template": template}
    return {
        "metadata": {
            "name": name,
            "namespace": check.machine.namespace,
            "labels": labels,
            "annotations": {CHECK_ANNOTATION: fingerprint(check)},
            "ownerReferences": [owner],
        },
        "spec": {
            "schedule": check.cron,
            "timeZone": TIME_ZONE,
            "suspend": check.suspended,
            "concurrencyPolicy": "Forbid",
            "startingDeadlineSeconds": check.late,
            "successfulJobsHistoryLimit": 1,
            "failedJobsHistoryLimit": 1,
            "jobTemplate": {"metadata": {"labels": labels}, "spec": job},
        },
    }
