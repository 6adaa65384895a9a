"""Health checks as CronJobs, through the Kubernetes port. It keeps no state that matters."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

from msgspec import field

from hexa.adapters.kube_jobs import wire
from hexa.adapters.kube_jobs.adapter import buildable, listed, load_models, translated
from hexa.domain.errors import AlreadyExists, Refused, Unavailable
from hexa.domain.resources.core import CRON_JOBS, JOBS, PODS, CronJob, CronJobSpec, Job, Kind, Pod
from hexa.domain.resources.v1alpha1 import Lookup
from hexa.domain.rules.health_checks import Check, Run, stands
from hexa.ports.health_checks import Checks
from hexa.ports.kube import Kube, Patch, Selector


class _WholeSpec(CronJobSpec, frozen=True, kw_only=True):
    job_template: dict[str, Any] = field(default_factory=dict)


class _Whole(CronJob, frozen=True, kw_only=True):
    """A CronJob with what it runs: what is no longer wanted there must be named to go."""

    spec: _WholeSpec = _WholeSpec()


_WHOLE: Final = Kind(CRON_JOBS.api_version, CRON_JOBS.name, CRON_JOBS.plural, _Whole)


class _KubeChecks:
    def __init__(self, kube: Kube) -> None:
        self._kube = kube
        self._ran: dict[str, set[str]] = {}
        """Jobs whose pod was seen to run before they ended, by the uid of their machine."""

    def name(self, check: Check) -> str:
        """See `wire.cron_job_name`."""
        return wire.cron_job_name(check)

    async def apply(self, check: Check) -> None:
        """Create the CronJob, or change what differs of the one that is there."""
        with translated():
            found = await self._find(check)
            if found is not None and stands(check, found):
                return
            manifest = await _manifest(check)
            if found is not None:
                await self._change(check, found, manifest)
                return
            try:
                await self._kube.create(CRON_JOBS, manifest)
            except AlreadyExists:
                raise Unavailable(f"CronJob {self.name(check)} was just made", reason="CronJobAppeared") from None

    async def _find(self, check: Check) -> _Whole | None:
        name, space = self.name(check), check.machine.namespace
        found = next(
            iter(await listed(self._kube, _WHOLE, Selector(namespace=space, fields=f"metadata.name={name}"))), None
        )
        if found is not None and not any(owner.uid == check.uid for owner in found.metadata.owner_references):
            raise Refused(f"CronJob {space}/{name} is not one of hexa's; remove it", reason="ForeignCronJob")
        return found

    async def _change(self, check: Check, found: _Whole, manifest: dict[str, Any]) -> None:
        wanted = {**manifest["spec"], "jobTemplate": exactly(found.spec.job_template, manifest["spec"]["jobTemplate"])}
        labels = {key: manifest["metadata"][key] for key in ("labels", "annotations")}
        patch = Patch({"metadata": labels, "spec": wanted}, resource_version=found.metadata.resource_version)
        await self._kube.patch(CRON_JOBS, found.metadata.name, patch, namespace=check.machine.namespace)

    async def remove(self, machine: Lookup, *, uid: str) -> None:
        """Delete the CronJob; its Jobs and their pods go with it."""
        self._ran.pop(uid, None)
        with translated():
            selector = Selector(namespace=machine.namespace, labels=wire.check_of(uid))
            for found in (await self._kube.list(CRON_JOBS, selector)).items:
                meta = found.metadata
                await self._kube.delete(CRON_JOBS, meta.name, namespace=machine.namespace, uid=meta.uid)

    async def last(self, check: Check) -> Run | None:
        """Read the Jobs of the machine's check, and the pod of the one that tells."""
        with translated():
            selector = Selector(namespace=check.machine.namespace, labels=wire.check_of(check.uid))
            jobs = await listed(self._kube, JOBS, selector)
            ran = self._ran.get(check.uid, set()) & {job.metadata.uid for job in jobs}
            for job in jobs:
                if wire.ended(job) is None and any(wire.runs(pod) for pod in await self._pods_of(job)):
                    ran.add(job.metadata.uid)
            self._ran[check.uid] = ran
            newest = max(filter(wire.ended, jobs), key=wire.began, default=None)
            if newest is None:
                return None
            pods = [] if wire.passed(newest) else await self._pods_of(newest)
            return wire.run_of(newest, pods, ran=newest.metadata.uid in ran)

    async def _pods_of(self, job: Job) -> list[Pod]:
        labels = f"{wire.JOB_NAME_LABEL}={job.metadata.name}"
        return await listed(self._kube, PODS, Selector(namespace=job.metadata.namespace, labels=labels))


async def _manifest(check: Check) -> dict[str, Any]:
    await load_models()
    from hexa.adapters.kube_jobs.cron_manifest import cron_job

    with buildable(f"the health check of {check.machine}"):
        return cron_job(check)


def exactly(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> dict[str, Any]:
    """The merge patch after which nothing of `found` is left but what is `wanted` (and the server's defaults)."""
    gone = {key: None for key in found if key not in wanted}
    return gone | {
        key: exactly(found[key], value) if isinstance(value, dict) and isinstance(found.get(key), dict) else value
        for key, value in wanted.items()
    }


@asynccontextmanager
async def open_checks(kube: Kube) -> AsyncIterator[Checks]:
    """Health checks on this API server."""
    yield _KubeChecks(kube)
