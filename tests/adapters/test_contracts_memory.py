"""The contracts of the ports hold in RAM, as tests/e2e/test_contracts.py shows that they hold on a real API server."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Any

import pytest

from hexa.adapters.kube_jobs.adapter import open_jobs
from hexa.adapters.kube_jobs.health_checks import open_checks
from hexa.adapters.memory.ports.health_checks import MemoryChecks
from hexa.adapters.memory.ports.jobs import MemoryJobs
from hexa.adapters.memory.site.faults import Fault, FaultKind
from hexa.adapters.memory.site.site import Site, open_site
from hexa.domain.resources.core import LEASES
from hexa.domain.resources.v1alpha1 import PowerPodSpec
from hexa.ports.health_checks import Checks
from hexa.ports.jobs import Jobs
from hexa.ports.kube import Kube
from hexa.testing.check_checks import CHECKS_CHECKS, ChecksBench
from hexa.testing.check_checks import Check as ChecksCheck
from hexa.testing.check_jobs import JOBS_CHECKS, Does, JobsBench
from hexa.testing.check_jobs import Check as JobsCheck
from hexa.testing.check_kube import KUBE_CHECKS, Check, KubeBench


@pytest.fixture
async def site(autojump_clock: Any) -> AsyncIterator[Site]:
    """An API server in RAM with its controllers."""
    async with open_site() as site:
        yield site


@pytest.fixture
async def kube_bench(site: Site) -> KubeBench:
    """A bench on it."""

    async def forget() -> str:
        old = site.api.version
        site.api.create(LEASES, {"metadata": {"name": "newer", "namespace": "default"}})
        site.api.compact()
        return old

    @asynccontextmanager
    async def brief() -> AsyncIterator[Kube]:
        timer = site.timers.after(60, site.api.bookmark)  # as servers do each minute
        yield site.client()
        timer.cancel()

    return KubeBench(kube=site.client(), forget=forget, brief=brief)


@pytest.mark.parametrize("check", KUBE_CHECKS, ids=lambda check: check.__name__)
async def test_the_kubernetes_api(check: Check, kube_bench: KubeBench, autojump_clock: Any) -> None:
    """Whatever hexa may rely on of an API server, the one in RAM keeps."""
    await check(kube_bench)


def spec_for(site: Site, does: Does, machine: str) -> PowerPodSpec:
    """Let the site's next Job for the machine do that."""
    if does is not Does.FAIL:
        site.add_machine(machine)  # a power Job for a machine that is not there fails
    faults = {Does.HANG: FaultKind.STUCK_JOB, Does.LACK_ITS_IMAGE: FaultKind.IMAGE_MISSING}
    if does in faults:
        site.inject(Fault(kind=faults[does], machine=machine, count=2))
    return PowerPodSpec(image="example")


@pytest.fixture(params=["memory", "kube"])
async def jobs_bench(site: Site, request: pytest.FixtureRequest) -> AsyncIterator[JobsBench]:
    """A bench on the runner of RAM, and one on that of Kubernetes over an API server in RAM."""
    worker = site.add_control_plane()
    kube = site.client()
    async with AsyncExitStack() as stack:
        memory = request.param == "memory"
        jobs: Jobs = MemoryJobs(kube) if memory else await stack.enter_async_context(open_jobs(kube))
        yield JobsBench(kube=kube, jobs=jobs, spec=partial(spec_for, site), worker=worker.spec.name)


@pytest.mark.parametrize("check", JOBS_CHECKS, ids=lambda check: check.__name__)
async def test_power_jobs(check: JobsCheck, jobs_bench: JobsBench, autojump_clock: Any) -> None:
    """Whatever hexa may rely on of power Jobs, those in RAM keep, and so do those of Kubernetes."""
    await check(jobs_bench)


@pytest.fixture(params=["memory", "kube"])
async def checks_bench(site: Site, request: pytest.FixtureRequest) -> AsyncIterator[ChecksBench]:
    """A bench on the health checks of RAM, and one on those of Kubernetes over an API server in RAM."""
    worker = site.add_control_plane()
    kube = site.client()

    def spec(does: Does, machine: str) -> PowerPodSpec:
        if does is Does.FINISH:
            site.add_machine(machine, on=True, group="contracts")  # no check runs on a member
        return PowerPodSpec(image="example")

    async with AsyncExitStack() as stack:
        memory = request.param == "memory"
        checks: Checks = MemoryChecks(kube) if memory else await stack.enter_async_context(open_checks(kube))
        yield ChecksBench(kube=kube, checks=checks, spec=spec, worker=worker.spec.name, patience=200)


@pytest.mark.parametrize("check", CHECKS_CHECKS, ids=lambda check: check.__name__)
async def test_health_checks(check: ChecksCheck, checks_bench: ChecksBench, autojump_clock: Any) -> None:
    """Whatever hexa may rely on of health checks, those in RAM keep, and so do those of Kubernetes."""
    await check(checks_bench)
