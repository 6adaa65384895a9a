"""The lab itself: its machines and its control plane do what the other tests take for granted.

Every test runs with the session's machines and again with simulated ones, which have to behave alike.
"""

from collections.abc import Iterator
from typing import Any

import lab as labs
import pytest
import trio
from lab import Api, ApiError, ControlPlane, Machine, Machines, eventually

SOON_LOST = labs.Options(node_monitor_grace_period="12s")  # leases are renewed each 10 s


@pytest.fixture(scope="module", params=["session", "simulated"])
def lab(
    request: pytest.FixtureRequest, session_lab: labs.Lab, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[labs.Lab]:
    """The session's lab, and one of simulated machines."""
    if request.param == "session":
        yield session_lab
        return
    if session_lab.kind == "simulated":
        pytest.skip("the session's machines are simulated already")
    simulated = labs.Lab(
        tmp_path_factory.mktemp("simulated"), session_lab.binaries, kind="simulated", options=SOON_LOST
    )
    try:
        trio.run(simulated.start)
        yield simulated
    finally:
        trio.run(simulated.stop)


async def test_power_makes_a_ready_node(machines: Machines, api: Api) -> None:
    """A machine that gets power registers a Kubernetes node of its shape, which becomes ready."""
    machine = machines.add(cpu=1.0, labels={"rack": "a"})
    await machines.start(machine)
    node = await api.read("v1/nodes", machine.name)
    assert machine.power == "on"
    assert node["metadata"]["labels"]["rack"] == "a"
    assert cores(node["status"]["allocatable"]["cpu"]) == 1.0


async def test_job_wakes_machine_and_pending_pod_runs(machines: Machines, api: Api, namespace: str) -> None:
    """A Job on the worker sends a magic packet; the machine boots and runs a pod that waited for it."""
    machine, other = machines.add(boot_delay=1.0), machines.add()
    await api.create(pinned_pod(namespace, machine))
    await run_job(api, namespace, machines.worker, machine.startup_pod)
    await eventually(lambda: pod_phase(api, namespace, "Running"), within=20)
    assert len(machine.seen.wakes) == 1
    assert len(machine.seen.starts) == 1
    assert not other.seen.wakes


async def test_job_asks_machine_off(machines: Machines, api: Api, namespace: str) -> None:
    """A Job on the worker asks the management controller, and the machine goes off once."""
    machine = machines.add()
    await machines.start(machine)
    await run_job(api, namespace, machines.worker, machine.shutdown_pod)
    await eventually(lambda: machine.power == "off", within=2)
    assert len(machine.seen.offs) == 1
    assert len(machine.seen.cuts) == 1


async def test_power_cut_makes_node_not_ready_and_next_boot_ready(machines: Machines, api: Api) -> None:
    """After a power cut the Kubernetes node stays, NotReady after the grace period, until the next boot."""
    machine, other = machines.add(), machines.add()
    await machines.start(machine, other)
    await machine.cut()
    await eventually(lambda: node_is_lost(api, machine), within=40)
    assert await labs.node_is_ready(api, other.name)
    await machines.start(machine)


async def test_lost_wake_counts_and_does_nothing(machines: Machines, api: Api, namespace: str) -> None:
    """A fault swallows as many magic packets as it says."""
    machine = machines.add()
    machine.faults.lost_wakes = 1
    await run_job(api, namespace, machines.worker, machine.startup_pod)
    await eventually(lambda: len(machine.seen.wakes) == 1, within=2)
    assert not machine.seen.starts
    await run_job(api, namespace, machines.worker, machine.startup_pod)
    await eventually(lambda: machine.power == "on", within=2)


async def test_refused_off_fails_the_job(machines: Machines, api: Api, namespace: str) -> None:
    """A management controller that answers with an error makes its Job fail."""
    machine = machines.add()
    machine.start()
    machine.faults.refused_offs = 1
    await run_job(api, namespace, machines.worker, machine.shutdown_pod, outcome="failed")
    assert machine.power == "on"


async def test_pods_reach_the_api_server(machines: Machines, api: Api, namespace: str, lab: labs.Lab) -> None:
    """A pod finds the API server where its environment says, as in any cluster."""
    if lab.kind != "real":
        pytest.skip("simulated pods have no network")
    ask = "printf 'GET / HTTP/1.0\\r\\n\\r\\n' | nc $KUBERNETES_SERVICE_HOST $KUBERNETES_SERVICE_PORT"
    command = ["sh", "-c", f"{ask} | grep 'to an HTTPS server'"]  # busybox cannot speak its TLS
    await run_job(api, namespace, machines.worker, {"image": labs.TOOLS_IMAGE, "command": command})


async def test_dead_and_hanging_machines_make_no_node(machines: Machines, api: Api) -> None:
    """A dead machine gets no power; one that hangs has power and no kubelet."""
    dead, hanging = machines.add(), machines.add()
    dead.faults.dead = hanging.faults.hangs = True
    for machine in (dead, hanging):
        machine.receive(labs.magic_packet(machine.mac))
    await trio.sleep(2)
    assert (dead.power, hanging.power) == ("off", "on")
    assert not await api.find("v1/nodes", dead.name)
    assert not await api.find("v1/nodes", hanging.name)


async def test_deleted_node_returns_with_the_next_boot_only(machines: Machines, api: Api) -> None:
    """A kubelet that runs does not register its deleted Node again; the next boot does."""
    machine = machines.add()
    await machines.start(machine)
    await api.delete("v1/nodes", machine.name)
    await trio.sleep(3)
    assert not await api.find("v1/nodes", machine.name)
    await machine.cut()
    await machines.start(machine)


async def test_missing_image_keeps_the_pod_waiting(machines: Machines, api: Api, namespace: str) -> None:
    """A pod whose image doesn't exist stays pending, and says why."""
    await api.create(job(namespace, machines.worker, {"image": "hexa.test/none:1", "imagePullPolicy": "Never"}))

    async def complains() -> bool:
        pods = await api.list("v1/pods", namespace=namespace)
        statuses = [status for pod in pods for status in pod["status"].get("containerStatuses", [])]
        return any("ErrImage" in status["state"].get("waiting", {}).get("reason", "") for status in statuses)

    await eventually(complains)


async def test_deleted_pod_leaves(machines: Machines, api: Api, namespace: str) -> None:
    """A kubelet lets go of a pod that is deleted, long before its grace period of 30 s ends."""
    machine = machines.add()
    await machines.start(machine)
    await api.create(pinned_pod(namespace, machine))
    await eventually(lambda: pod_phase(api, namespace, "Running"))
    await api.delete("v1/pods", "pinned", namespace=namespace)
    await eventually(lambda: pod_is_gone(api, namespace), within=10)


async def test_api_server_restarts_with_its_data(control_plane: ControlPlane, api: Api, namespace: str) -> None:
    """The API server comes back with what it had, and a resourceVersion from before."""
    await api.create(config_map(namespace, "kept"))
    await control_plane.restart_api_server()
    await api.read("v1/configmaps", "kept", namespace=namespace)


async def test_machines_outlive_the_api_server(
    control_plane: ControlPlane, machines: Machines, api: Api, namespace: str
) -> None:
    """A kubelet whose API server was away goes on running pods."""
    machine = machines.add()
    await machines.start(machine)
    await control_plane.restart_api_server(down_seconds=1)
    await api.create(pinned_pod(namespace, machine))
    await eventually(lambda: pod_phase(api, namespace, "Running"), within=20)


async def test_forgotten_history_gives_410(control_plane: ControlPlane, api: Api, namespace: str) -> None:
    """A watch from a resourceVersion that is no longer known gets 410 Gone; from the present it works."""
    old = (await api.create(config_map(namespace, "old")))["metadata"]["resourceVersion"]
    await control_plane.forget_history()
    with pytest.raises(ApiError, match="410"):
        await first_event(api, namespace, old)
    answer = await api.request("GET", f"/api/v1/namespaces/{namespace}/configmaps")
    await api.create(config_map(namespace, "new"))
    event = await first_event(api, namespace, answer["metadata"]["resourceVersion"])
    assert event["object"]["metadata"]["name"] == "new"


@pytest.mark.parametrize("context", ["certificate", "token", "exec", "insecure"])
def test_kubeconfig_of_each_kind_works(lab: labs.Lab, kubectl: Any, context: Any) -> None:
    """kubectl accepts each way to be a user."""
    kubeconfig = lab.control_plane.kubeconfig(context)
    assert "default" in kubectl(f"--kubeconfig={kubeconfig}", "get", "namespaces", "--output=name")


def test_nobody_is_refused(lab: labs.Lab, kubectl: Any) -> None:
    """The user without rights is known and refused."""
    with pytest.raises(AssertionError, match="Forbidden"):
        kubectl(f"--kubeconfig={lab.control_plane.kubeconfig('nobody')}", "get", "nodes")


def pinned_pod(namespace: str, machine: Machine) -> labs.Resource:
    """A pod that fits one machine only."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "pinned", "namespace": namespace},
        "spec": {
            "nodeSelector": {labs.MACHINE_LABEL: machine.name},
            "containers": [{"name": "main", "image": labs.TOOLS_IMAGE}],
        },
    }


def job(namespace: str, node: str, container: dict[str, Any]) -> labs.Resource:
    """A Job of one container on one node; `hostNetwork` is taken for the pod's."""
    pod = {
        "restartPolicy": "Never",
        "hostNetwork": container.pop("hostNetwork", False),
        "nodeSelector": {"kubernetes.io/hostname": node},  # a machine must not run the Job that cuts it
        "containers": [{"name": "main", **container}],
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"generateName": "job-", "namespace": namespace},
        "spec": {"backoffLimit": 0, "template": {"spec": pod}},
    }


async def run_job(
    api: Api, namespace: str, node: str, container: dict[str, Any], *, outcome: str = "succeeded"
) -> None:
    """Makes a Job and waits for its outcome."""
    made = await api.create(job(namespace, node, container))

    async def ended() -> bool:
        now = await api.read("batch/v1/jobs", made["metadata"]["name"], namespace=namespace)
        return bool(now["status"].get(outcome))

    await eventually(ended, within=20, what=f"the Job has {outcome}")


def config_map(namespace: str, name: str) -> labs.Resource:
    """An object that nobody but the test cares for."""
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": namespace}}


async def pod_phase(api: Api, namespace: str, phase: str) -> bool:
    """Whether the pinned pod is in a phase."""
    pod = await api.read("v1/pods", "pinned", namespace=namespace)
    return bool(pod["status"]["phase"] == phase)


async def pod_is_gone(api: Api, namespace: str) -> bool:
    """Whether the pinned pod is gone."""
    return await api.find("v1/pods", "pinned", namespace=namespace) is None


async def node_is_lost(api: Api, machine: Machine) -> bool:
    """Whether a machine's Kubernetes node exists and is not ready."""
    return not await labs.node_is_ready(api, machine.name) and bool(await api.find("v1/nodes", machine.name))


async def first_event(api: Api, namespace: str, version: str) -> labs.Resource:
    """What a watch of ConfigMaps says first."""
    with trio.fail_after(10):
        async with api.watch("v1/configmaps", namespace=namespace, resource_version=version) as events:
            async for event in events:
                return event
    raise AssertionError("the watch ended")


def cores(quantity: str) -> float:
    """A quantity of CPU as a number."""
    return float(quantity[:-1]) / 1000 if quantity.endswith("m") else float(quantity)
