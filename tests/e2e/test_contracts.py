"""The contracts of the ports hold on a real API server: the same checks as in tests/adapters/test_contracts_memory.py."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path

import lab as labs
import pytest
import trio
from lab.image import NAME as IMAGE
from lab.users import Context

from hexa.adapters.kube_http.adapter import open_kube
from hexa.adapters.kube_http.config import Cluster, Tuning, load
from hexa.adapters.kube_jobs.adapter import open_jobs
from hexa.adapters.kube_jobs.health_checks import open_checks
from hexa.adapters.kube_journal.adapter import open_journal
from hexa.adapters.system.clock import SystemClock
from hexa.domain.errors import Refused, Unavailable
from hexa.domain.resources.core import EVENTS, LEASES, NODES, ObjectReference
from hexa.domain.resources.v1alpha1 import MACHINES, PowerPodSpec
from hexa.ports.kube import Kube, Selector
from hexa.testing.check_checks import CHECKS_CHECKS, ChecksBench
from hexa.testing.check_checks import Check as ChecksCheck
from hexa.testing.check_jobs import JOBS_CHECKS, Does, JobsBench
from hexa.testing.check_jobs import Check as JobsCheck
from hexa.testing.check_kube import KUBE_CHECKS, Check, KubeBench
from hexa.yaml import read_documents

CRDS = Path(__file__).parent.parent.parent / "deploy" / "crds"
PATIENCE = 75.0  # the garbage collector looks for new kinds every 30 s
COMMANDS = {Does.FINISH: ("true",), Does.FAIL: ("false",), Does.HANG: ("sleep", "1000")}
ACCOUNT = "/api/v1/namespaces/default/serviceaccounts/default"


def client(cluster: Cluster, tuning: Tuning | None = None) -> AbstractAsyncContextManager[Kube]:
    """A client of ours."""
    return open_kube(cluster, clock=SystemClock(), tuning=tuning or Tuning())


@pytest.fixture
async def kube(api_server: labs.ControlPlane | labs.Borrowed, api: labs.Api) -> AsyncIterator[Kube]:
    """Our client of an API server that has our CRDs."""
    for file in CRDS.glob("*.yaml"):
        for document in read_documents(file.read_text(), source=str(file)):
            await api.apply(document.value)
    async with client(load(str(api_server.kubeconfig()), environment={})) as kube:
        await labs.eventually(partial(_serves, kube), within=20, what="the CRDs are served")
        yield kube


async def _serves(kube: Kube) -> bool:
    try:
        await kube.list(MACHINES)
    except Refused:
        return False
    return True


@pytest.fixture
async def kube_bench(
    api_server: labs.ControlPlane | labs.Borrowed, kube: Kube, namespace: str
) -> AsyncIterator[KubeBench]:
    """A bench on it; what breaks an API server is done to our own only."""
    brief = partial(client, load(str(api_server.kubeconfig()), environment={}), Tuning(watch=4.0))
    if isinstance(api_server, labs.Borrowed):
        yield KubeBench(kube=kube, namespace=namespace, patience=PATIENCE, brief=brief)
        return

    async def forget() -> str:
        old = (await kube.list(LEASES)).resource_version
        await api_server.forget_history()
        return old

    async with client(load(str(api_server.kubeconfig("nobody")), environment={})) as nobody:
        yield KubeBench(kube=kube, namespace=namespace, patience=PATIENCE, brief=brief, forget=forget, nobody=nobody)


@pytest.mark.parametrize("check", KUBE_CHECKS, ids=lambda check: check.__name__)
async def test_the_kubernetes_api(check: Check, kube_bench: KubeBench) -> None:
    """What hexa relies on of an API server, a real one keeps."""
    with trio.fail_after(150):
        await check(kube_bench)


def spec_for(does: Does, _machine: str) -> PowerPodSpec:
    """What the lab's nodes can run."""
    image = "127.0.0.1:1/none:1" if does is Does.LACK_ITS_IMAGE else IMAGE
    return PowerPodSpec(image=image, command=COMMANDS.get(does, ()))


@pytest.mark.parametrize("check", JOBS_CHECKS, ids=lambda check: check.__name__)
async def test_power_jobs(check: JobsCheck, kube: Kube, namespace: str, machines: labs.Machines) -> None:
    """What hexa relies on of power Jobs, those of a real cluster keep."""
    async with open_jobs(kube) as jobs:
        bench = JobsBench(
            kube=kube, jobs=jobs, namespace=namespace, patience=PATIENCE, spec=spec_for, worker=machines.worker
        )
        with trio.fail_after(120):
            await check(bench)


@pytest.mark.parametrize("check", CHECKS_CHECKS, ids=lambda check: check.__name__)
async def test_health_checks(check: ChecksCheck, kube: Kube, namespace: str, machines: labs.Machines) -> None:
    """What hexa relies on of health checks, the CronJobs of a real cluster keep."""
    async with open_checks(kube) as checks:
        patience, worker = PATIENCE + 60, machines.worker  # cron's shortest period is a minute
        bench = ChecksBench(
            kube=kube, checks=checks, namespace=namespace, patience=patience, spec=spec_for, worker=worker
        )
        with trio.fail_after(200):
            await check(bench)


@pytest.mark.parametrize("context", ["certificate", "token", "exec", "insecure"])
async def test_every_way_to_be_a_user(control_plane: labs.ControlPlane, context: Context) -> None:
    """What kubectl takes from a kubeconfig, hexa takes too."""
    async with client(load(str(control_plane.kubeconfig(context)), environment={})) as kube:
        assert (await kube.list(NODES)).resource_version


async def test_a_pod_is_known_by_its_service_account(
    control_plane: labs.ControlPlane, api: labs.Api, tmp_path: Path
) -> None:
    """Inside a cluster nothing is configured; what the account may not do is named."""
    answer = await api.request("POST", f"{ACCOUNT}/token", json={"spec": {"expirationSeconds": 600}})
    (tmp_path / "token").write_text(answer["status"]["token"])
    (tmp_path / "ca.crt").write_bytes(control_plane.pki.ca.read_bytes())
    environment = {
        "KUBERNETES_SERVICE_HOST": control_plane.address,
        "KUBERNETES_SERVICE_PORT": str(control_plane.port),
    }
    async with client(load(environment=environment, account=tmp_path)) as kube:
        with pytest.raises(Refused, match=r"ServiceAccount default/default needs verb list on nodes \(core\)"):
            await kube.list(NODES)


async def test_a_dead_api_server_is_noticed_and_found_again(
    control_plane: labs.ControlPlane, kube: Kube, namespace: str
) -> None:
    """Watches end at once as unavailable, calls fail, and the same client works when it is back."""
    since = (await kube.list(LEASES)).resource_version
    with trio.fail_after(60):
        async with kube.watch(LEASES, Selector(namespace=namespace), since=since) as changes:
            control_plane.stop_api_server()
            with pytest.raises(Unavailable):
                await changes.receive()
        with pytest.raises(Unavailable, match="the connection failed"):
            await kube.list(LEASES)
        await control_plane.start_api_server()
        await kube.list(LEASES)


async def test_events_are_taken_by_a_real_api_server(kube: Kube, namespace: str) -> None:
    """On objects of a namespace and on nodes, once each."""
    machine = ObjectReference(api_version="infra.homecluster.dev/v1alpha1", kind="Node", name="a", namespace=namespace)
    node = ObjectReference(api_version="v1", kind="Node", name=f"node-of-{namespace}")
    async with open_journal(kube, clock=SystemClock()) as journal:
        for about in (machine, node, machine):
            journal.event(about, reason="Checked", message="a contract")
    assert journal.dropped == 0
    for about in (machine, node):
        fields = f"involvedObject.name={about.name},reason=Checked"
        found = await kube.list(EVENTS, Selector(namespace=about.namespace or "default", fields=fields))
        assert len(found.items) == 1
