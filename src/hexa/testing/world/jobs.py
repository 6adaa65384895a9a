"""Power Jobs and health checks of a world: the ports in RAM, and the manifests of the real adapter, so that no fake hides what its
builder refuses.

The models are slow: what differs in name and attempt alone is built once.
"""

from functools import cache
from typing import Any, Final

import msgspec
from msgspec import structs

from hexa.adapters.kube_jobs import wire
from hexa.adapters.kube_jobs.adapter import buildable
from hexa.adapters.memory.ports import health_checks as checks
from hexa.adapters.memory.ports import jobs
from hexa.domain.rules.health_checks import Check
from hexa.ports.jobs import Order

Builtins = dict[str, Any]

KEPT: Final = 1000
"""Manifests that are not built again."""
_BUILT: Final[dict[bytes, Builtins]] = {}


class MemoryJobs(jobs.MemoryJobs):
    """`ports.jobs` with the Jobs that a real cluster would be sent."""

    def manifest(self, name: str, order: Order) -> Builtins:
        key = msgspec.msgpack.encode(("job", structs.replace(order, attempt=0)))
        with buildable(f"the power Job of {order.machine}"):
            made = _kept(key) or _keep(key, _builders()[0](order))
        labels, spec = wire.labels(order), made["spec"]
        template = {**spec["template"], "metadata": {**spec["template"]["metadata"], "labels": labels}}
        metadata = {**made["metadata"], "name": name, "labels": labels}
        return {**made, "metadata": metadata, "spec": {**spec, "template": template}}


class MemoryChecks(checks.MemoryChecks):
    """`ports.checks` with the CronJobs that a real cluster would be sent."""

    def manifest(self, name: str, check: Check) -> Builtins:
        key = msgspec.msgpack.encode(("check", check))
        with buildable(f"the health check of {check.machine}"):
            return _kept(key) or _keep(key, _builders()[1](check))


def _kept(key: bytes) -> Builtins | None:
    return _BUILT.get(key)


def _keep(key: bytes, made: Builtins) -> Builtins:
    if len(_BUILT) >= KEPT:
        _BUILT.clear()
    _BUILT[key] = made
    return made


@cache
def _builders() -> tuple[Any, Any]:
    """Imported with the first Job: the models take half a second."""
    from hexa.adapters.kube_jobs.cron_manifest import cron_job
    from hexa.adapters.kube_jobs.manifest import manifest

    return manifest, cron_job
