"""Starts, observes and cancels power Jobs through the Kubernetes port. It keeps no state that matters."""

import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final, TypeVar

import trio

from hexa.adapters.kube_jobs import wire
from hexa.domain.errors import AlreadyExists, Conflict, Refused, Unavailable
from hexa.domain.resources.core import JOBS, PODS, Job, Kind, Malformed, Pod
from hexa.domain.resources.v1alpha1 import Lookup
from hexa.ports.jobs import Jobs, Order, Outcome, Seen
from hexa.ports.kube import Kube, Selector

T = TypeVar("T")

MANIFEST: Final = "hexa.adapters.kube_jobs.manifest"

_STUCK: Final = 120.0
"""Seconds after which a pod that does not end is taken for lost with its node, and removed by force."""

_NO_POD: Final = 5.0
"""Seconds after which a Job that has no pod is told as that."""


@contextmanager
def translated() -> Iterator[None]:
    """The port knows no conflicts: what cannot be resolved by reading again is for a human."""
    try:
        yield
    except Conflict as error:
        raise Refused(str(error), reason=error.reason) from error


@contextmanager
def buildable(what: str) -> Iterator[None]:
    """The models refuse what the API server would: that is for a human too."""
    try:
        yield
    except ValueError as error:
        text = " ".join(str(error).split("For further")[0].split())
        raise Refused(f"{what} cannot be built: {text}; correct its pod spec", reason="BadPodSpec") from error


class _KubeJobs:
    def __init__(self, kube: Kube) -> None:
        self._kube = kube
        self._said: dict[str, str] = {}
        """What pods said last, by Job: at its deadline a Job's pod is deleted before anybody can ask why."""
        self._bare: dict[str, float] = {}
        """Since when Jobs were seen without a pod, on Trio's clock."""
        self._unmade: set[str] = set()
        """Jobs whose pod had no container yet when it was last looked at."""
        self._ending: dict[str, dict[str, float]] = {}
        """When pods were first seen to end, by uid of the machine and of the pod, on Trio's clock."""

    def name(self, order: Order) -> str:
        """See `wire.job_name`."""
        return wire.job_name(order)

    async def start(self, order: Order) -> Seen:
        """Create the Job; where there is one of its name already, it is looked at instead."""
        build = await load_models()
        with buildable(f"the power Job of {order.machine}"):
            made = build(order)
        with translated():
            try:
                job = await self._kube.create(JOBS, made)
            except AlreadyExists:
                seen = await self.observe(order)
                if seen is None:
                    raise Unavailable(f"Job {self.name(order)} is just going away", reason="JobVanished") from None
                return seen
        return Seen(job.metadata.name, Outcome.RUNNING)

    async def observe(self, order: Order) -> Seen | None:
        """Read the Job and, unless it is done, its pod."""
        name = self.name(order)
        place = Selector(namespace=order.machine.namespace, fields=f"metadata.name={name}")
        job = next(iter(await self._list(JOBS, place)), None)
        if job is None:
            self._forget(name)
            return None
        if not wire.belongs(job, order):
            raise Refused(f"Job {order.machine.namespace}/{name} is not one of hexa's; remove it", reason="ForeignJob")
        said = "" if wire.outcome(job) is Outcome.DONE else await self._listen(job, order)
        return wire.seen(order, job, said=said)

    async def _listen(self, job: Job, order: Order) -> str:
        """What the Job's pod says, or said last."""
        name = job.metadata.name
        labels = f"{wire.JOB_NAME_LABEL}={name}"
        pods = await self._list(PODS, Selector(namespace=job.metadata.namespace, labels=labels))
        staying = [pod for pod in pods if pod.metadata.deletion_timestamp is None]
        if staying:  # one that is being ended no longer says why
            self._said[name] = wire.pod_text(staying)
            (self._unmade.add if wire.not_begun(staying) else self._unmade.discard)(name)
        if not pods and name not in self._said and wire.outcome(job) is Outcome.RUNNING:
            since = self._bare.setdefault(name, trio.current_time())
            if trio.current_time() - since >= _NO_POD and not job.spec.suspend:
                self._said[name] = wire.podless(job)
        said = self._said.get(name, "")
        failed = wire.outcome(job) is Outcome.FAILED
        return wire.never_begun(order) if failed and not said and name in self._unmade else said

    def _forget(self, name: str) -> None:
        self._said.pop(name, None)
        self._unmade.discard(name)
        self._bare.pop(name, None)

    async def cancel(self, machine: Lookup, *, uid: str, keep: str = "") -> bool:
        """Delete the Jobs with their pods in the background, then see whether any of either is left."""
        with translated():
            jobs = await self._names(JOBS, machine, uid)
            others = {name: job_uid for name, job_uid in jobs.items() if name != keep}
            for name, job_uid in others.items():
                self._forget(name)
                await self._kube.delete(JOBS, name, namespace=machine.namespace, uid=job_uid)
            return not others and await self._pods_gone(machine, uid, keep)

    async def _names(self, kind: Kind[Any], machine: Lookup, uid: str) -> dict[str, str]:
        listing = await self._kube.list(kind, Selector(namespace=machine.namespace, labels=wire.of_machine(uid)))
        return {item.metadata.name: item.metadata.uid for item in listing.items}

    async def _pods_gone(self, machine: Lookup, uid: str, keep: str) -> bool:
        selector = Selector(namespace=machine.namespace, labels=wire.of_machine(uid))
        listing = await self._kube.list(PODS, selector)
        left = [pod for pod in listing.items if pod.metadata.labels.get(wire.JOB_NAME_LABEL) != keep]
        if not left:
            self._ending.pop(uid, None)
            return True
        now, since = trio.current_time(), self._ending.setdefault(uid, {})
        for pod in left:
            if now - since.setdefault(pod.metadata.uid, now) > _STUCK:
                await self._remove(pod)
        return False

    async def _remove(self, pod: Pod | Malformed) -> None:
        name, namespace, uid = pod.metadata.name, pod.metadata.namespace, pod.metadata.uid
        await self._kube.delete(PODS, name, namespace=namespace, uid=uid, grace=0)

    async def _list(self, kind: Kind[T], selector: Selector) -> list[T]:
        return await listed(self._kube, kind, selector)


async def listed(kube: Kube, kind: Kind[T], selector: Selector) -> list[T]:
    """What decodes of a fresh list."""
    return [item for item in (await kube.list(kind, selector)).items if not isinstance(item, Malformed)]


async def load_models() -> Callable[[Order], dict[str, Any]]:
    """Have the builder of manifests at hand; the first time it is imported in a worker thread, for half a second."""
    module = sys.modules.get(MANIFEST)
    loaded = module is not None and not getattr(module.__spec__, "_initializing", False)
    return _manifest() if loaded else await trio.to_thread.run_sync(_manifest)


def _manifest() -> Callable[[Order], dict[str, Any]]:
    from hexa.adapters.kube_jobs.manifest import manifest

    return manifest


@asynccontextmanager
async def open_jobs(kube: Kube) -> AsyncIterator[Jobs]:
    """Power Jobs on this API server."""
    yield _KubeJobs(kube)
