"""What a user may rely on of power Jobs: where they run, how often, and what is said when they fail."""

import re
import subprocess
import sys
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from trio.testing import MockClock

from hexa.adapters.kube_jobs import wire
from hexa.adapters.kube_jobs.adapter import open_jobs
from hexa.adapters.kube_jobs.manifest import manifest
from hexa.adapters.memory.clock import MemoryClock
from hexa.adapters.memory.cluster.api import MemoryApi
from hexa.adapters.memory.ports.kube import MemoryKube
from hexa.domain.errors import NotFound, Refused, Unavailable
from hexa.domain.policy.limits import Limits
from hexa.domain.power.jobs import pod_for
from hexa.domain.resources.core import JOBS, PODS, Toleration
from hexa.domain.resources.v1alpha1 import (
    EnvVar,
    EnvVarSource,
    KeySelector,
    Lookup,
    Node,
    PodResources,
    PowerPodSpec,
    VolumeMount,
)
from hexa.ports.jobs import Action, Jobs, Order, Outcome, Seen
from hexa.ports.kube import Patch, Selector

ORDER = Order(
    machine=Lookup("site", "rack1.node2"),
    uid="1f0c3c4e-0000-4000-8000-000000000001",
    action=Action.STARTUP,
    attempt=7,
    spec=PowerPodSpec(image="wol:1"),
    deadline=89.5,
    kubernetes_node="rack1-node2",
)
LABELS = {
    "infra.homecluster.dev/machine": "rack1.node2",
    "infra.homecluster.dev/uid": "1f0c3c4e-0000-4000-8000-000000000001",
    "infra.homecluster.dev/action": "startup",
    "infra.homecluster.dev/attempt": "7",
}
EVERYTHING = PowerPodSpec(
    image="wol:1",
    command=("wake",),
    args=("--fast", "02:00:00:00:00:01"),
    env=(
        EnvVar(name="PLAIN", value="1"),
        EnvVar(name="SECRET", value_from=EnvVarSource(secret_key_ref=KeySelector(name="bmc", key="password"))),
    ),
    volumes=(
        VolumeMount(name="keys", mount_path="/keys", secret_name="ssh"),
        VolumeMount(name="conf", mount_path="/conf", config_map_name="bmc"),
        VolumeMount(name="keys", mount_path="/again", secret_name="ssh"),
    ),
    service_account="waker",
    ttl_seconds_after_finished=90,
    host_network=True,
    node_selector={"site": "cellar"},
    tolerations=(Toleration(key="dedicated", operator="Exists"),),
    resources=PodResources(requests={"cpu": "10m", "example.com/key": 1}, limits={"memory": "32Mi"}),
    image_pull_secrets=("registry",),
)
EVERYTHING_AS_A_JOB = {
    "apiVersion": "batch/v1",
    "kind": "Job",
    "metadata": {
        "name": "rack1-node2-0cd982d107-startup-7",
        "namespace": "site",
        "labels": LABELS,
        "ownerReferences": [
            {
                "apiVersion": "infra.homecluster.dev/v1alpha1",
                "kind": "Node",
                "name": "rack1.node2",
                "uid": "1f0c3c4e-0000-4000-8000-000000000001",
                "controller": True,
                "blockOwnerDeletion": False,
            }
        ],
    },
    "spec": {
        "activeDeadlineSeconds": 90,
        "backoffLimit": 0,
        "ttlSecondsAfterFinished": 90,
        "template": {
            "metadata": {
                "labels": LABELS,
                "annotations": {"cluster-autoscaler.kubernetes.io/safe-to-evict": "false"},
            },
            "spec": {
                "restartPolicy": "Never",
                "priorityClassName": "system-cluster-critical",
                "terminationGracePeriodSeconds": 5,
                "hostNetwork": True,
                "dnsPolicy": "ClusterFirstWithHostNet",
                "serviceAccountName": "waker",
                "imagePullSecrets": [{"name": "registry"}],
                "nodeSelector": {"site": "cellar"},
                "affinity": {
                    "nodeAffinity": {
                        "requiredDuringSchedulingIgnoredDuringExecution": {
                            "nodeSelectorTerms": [
                                {
                                    "matchExpressions": [
                                        {"key": "infra.homecluster.dev/group", "operator": "DoesNotExist"}
                                    ],
                                    "matchFields": [
                                        {"key": "metadata.name", "operator": "NotIn", "values": ["rack1-node2"]}
                                    ],
                                }
                            ]
                        }
                    }
                },
                "tolerations": [
                    {"key": "node-role.kubernetes.io/control-plane", "operator": "Exists"},
                    {"key": "node-role.kubernetes.io/controlplane", "operator": "Exists"},
                    {"key": "node-role.kubernetes.io/master", "operator": "Exists"},
                    {"key": "node-role.kubernetes.io/etcd", "operator": "Exists"},
                    {"key": "CriticalAddonsOnly", "operator": "Exists"},
                    {"key": "dedicated", "operator": "Exists"},
                ],
                "volumes": [
                    {"name": "keys", "secret": {"secretName": "ssh"}},
                    {"name": "conf", "configMap": {"name": "bmc"}},
                ],
                "securityContext": {"seccompProfile": {"type": "RuntimeDefault"}},
                "containers": [
                    {
                        "name": "power",
                        "image": "wol:1",
                        "command": ["wake"],
                        "args": ["--fast", "02:00:00:00:00:01"],
                        "env": [
                            {"name": "PLAIN", "value": "1"},
                            {"name": "SECRET", "valueFrom": {"secretKeyRef": {"name": "bmc", "key": "password"}}},
                        ],
                        "resources": {"requests": {"cpu": "10m", "example.com/key": "1"}, "limits": {"memory": "32Mi"}},
                        "volumeMounts": [
                            {"name": "keys", "mountPath": "/keys", "readOnly": True},
                            {"name": "conf", "mountPath": "/conf", "readOnly": True},
                            {"name": "keys", "mountPath": "/again", "readOnly": True},
                        ],
                        "terminationMessagePolicy": "FallbackToLogsOnError",
                    }
                ],
            },
        },
    },
}


# --- the Job ----------------------------------------------------------------------------------------


def test_every_field_of_a_power_pod_reaches_its_job() -> None:
    """What is written under startupPodSpec is what runs, outside all groups and off the machine itself."""
    assert manifest(replace(ORDER, spec=EVERYTHING)) == EVERYTHING_AS_A_JOB


def test_a_plain_power_pod_gets_no_token_and_no_host_network() -> None:
    """What is not asked for is not given."""
    pod = manifest(ORDER)["spec"]["template"]["spec"]
    assert pod["automountServiceAccountToken"] is False
    assert not {"hostNetwork", "dnsPolicy", "serviceAccountName", "volumes", "nodeSelector"} & pod.keys()


def test_a_job_of_spec_power_mounts_what_it_needs() -> None:
    """The Job made of spec.power runs hexa's image, here in the host's network, with Secrets as files and no value of one."""
    power = {
        "wakeOnLan": {"macs": ["52:54:00:12:34:56"], "secretName": "secure-on"},
        "redfish": {"address": "bmc.lan", "secretName": "bmc", "tls": {"caSecretName": "bmc-ca"}},
        "ssh": {"address": "box.lan", "secretName": "ssh"},
        "turnOn": "wakeOnLan",
    }
    node = msgspec.convert({"metadata": {"name": "box"}, "spec": {"power": power}}, Node)
    pod = pod_for(node, "on", image="hexa:7", limits=Limits())
    assert pod is not None
    spec = manifest(replace(ORDER, spec=pod))["spec"]["template"]["spec"]
    container = spec["containers"][0]
    assert (container["image"], container["args"]) == ("hexa:7", ["power", "on", "--within", "45s"])
    assert "command" not in container
    assert spec["hostNetwork"]
    secrets = {each["name"]: each["secret"]["secretName"] for each in spec["volumes"]}
    mounts = {secrets[each["name"]]: each["mountPath"] for each in container["volumeMounts"]}
    assert mounts == {name: f"/etc/hexa/power/{name}" for name in ("secure-on", "bmc", "bmc-ca")}
    assert [each["name"] for each in container["env"]] == ["HEXA_MACHINE", "HEXA_POWER", "HEXA_SECRETS"]
    assert all("valueFrom" not in each for each in container["env"])


def test_a_machine_without_a_known_node_keeps_away_from_groups_only() -> None:
    """A rule with an empty name would be invalid."""
    affinity = manifest(replace(ORDER, kubernetes_node=""))["spec"]["template"]["spec"]["affinity"]
    (term,) = affinity["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]
    assert term == {"matchExpressions": [{"key": "infra.homecluster.dev/group", "operator": "DoesNotExist"}]}


def test_a_finished_job_stays_long_enough_to_be_seen() -> None:
    """ttlSecondsAfterFinished: 0 does not lose the result."""
    spec = replace(ORDER.spec, ttl_seconds_after_finished=0)
    assert manifest(replace(ORDER, spec=spec, deadline=0.2))["spec"]["ttlSecondsAfterFinished"] == 60
    assert manifest(replace(ORDER, spec=spec, deadline=0.2))["spec"]["activeDeadlineSeconds"] == 1


LABEL = st.from_regex(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", fullmatch=True)
NAME = st.lists(LABEL, min_size=1, max_size=4).map(".".join).filter(lambda name: len(name) <= 253)
ORDERS = st.builds(
    Order,
    machine=st.builds(Lookup, LABEL, NAME),
    uid=st.uuids().map(str),
    action=st.sampled_from(Action),
    attempt=st.integers(0, 10**9),
    spec=st.just(ORDER.spec),
    deadline=st.just(1.0),
)


@given(ORDERS)
def test_a_job_name_is_a_dns_label_and_labels_are_valid(order: Order) -> None:
    """Machines may be called whatever Kubernetes allows."""
    assert re.fullmatch(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", wire.job_name(order))
    for value in wire.labels(order).values():
        assert re.fullmatch(r"[A-Za-z0-9]([-_.A-Za-z0-9]{0,61}[A-Za-z0-9])?", value)


@given(st.lists(ORDERS, min_size=2, max_size=2, unique_by=lambda o: (o.machine, o.uid, o.action, o.attempt)))
def test_different_orders_have_different_jobs(orders: list[Order]) -> None:
    """Yesterday's Job, another attempt's and another machine's are never taken for this one."""
    first, second = orders
    assert wire.job_name(first) != wire.job_name(second)
    assert wire.job_name(first) == wire.job_name(replace(first, deadline=99.0))


def test_names_that_differ_at_the_end_only_stay_apart() -> None:
    """Long names are cut, and the hash tells them apart."""
    names = [replace(ORDER, machine=Lookup("site", "x" * 200 + end)) for end in "ab"]
    assert len({wire.job_name(order) for order in names}) == 2
    assert len({wire.labels(order)["infra.homecluster.dev/machine"] for order in names}) == 2


def test_the_models_load_without_the_client_that_is_above_them() -> None:
    """Starting the agent does not load a second Kubernetes client, and whoever imports that one gets it whole."""
    script = (
        "import sys, hexa.adapters.kube_jobs.models as m\n"
        "assert not {'kubernetes', 'kubernetes.client', 'urllib3', 'websocket'} & sys.modules.keys()\n"
        "import kubernetes.client\n"
        "assert kubernetes.client.V1Job is m.V1Job and kubernetes.client.CoreV1Api\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


# --- starting, observing, cancelling ------------------------------------------------------------------


@pytest.fixture
async def kube() -> MemoryKube:
    """An API server in RAM, without a Job controller."""
    return MemoryKube(MemoryApi(MemoryClock()))


@pytest.fixture
async def jobs(kube: MemoryKube) -> AsyncIterator[Jobs]:
    """Jobs on it."""
    async with open_jobs(kube) as jobs:
        yield jobs


async def says(kube: MemoryKube, *conditions: tuple[str, str, str]) -> None:
    """Write what the Job controller decides."""
    written = [{"type": t, "status": "True", "reason": reason, "message": text} for t, reason, text in conditions]
    body = {"status": {"conditions": written}}
    await kube.patch(JOBS, wire.job_name(ORDER), Patch(body, subresource="status"), namespace="site")


async def make_pod(kube: MemoryKube, name: str = "pod", *, order: Order = ORDER, **status: Any) -> None:
    """Make the pod of the order's Job."""
    labels = {**wire.labels(order), wire.JOB_NAME_LABEL: wire.job_name(order)}
    spec = {"containers": [{"name": "power", "image": "wol:1"}], "nodeName": "control"}
    await kube.create(PODS, {"metadata": {"name": name, "namespace": "site", "labels": labels}, "spec": spec})
    await kube.patch(PODS, name, Patch({"status": status}, subresource="status"), namespace="site")


def container(**state: Any) -> list[dict[str, Any]]:
    """The status of its container."""
    return [{"name": "power", "state": state}]


async def test_a_repeated_start_finds_its_job(kube: MemoryKube, jobs: Jobs) -> None:
    """A duty that is repeated, after a crash too, makes no second Job."""
    first = await jobs.start(ORDER)
    again = await jobs.start(ORDER)
    assert first == again == Seen(jobs.name(ORDER), Outcome.RUNNING)
    assert len((await kube.list(JOBS)).items) == 1


async def test_an_order_that_was_never_given_is_not_seen(jobs: Jobs) -> None:
    """Nothing is not the same as running."""
    assert await jobs.observe(ORDER) is None


async def test_a_job_of_somebody_else_is_refused(kube: MemoryKube, jobs: Jobs) -> None:
    """A Job that only has the name is not taken for ours."""
    made = manifest(ORDER)
    made["metadata"].pop("ownerReferences")
    await kube.create(JOBS, made)
    with pytest.raises(Refused, match="remove it") as refusal:
        await jobs.start(ORDER)
    assert refusal.value.reason == "ForeignJob"


@pytest.mark.parametrize(
    ("condition", "outcome"),
    [
        (("Complete", "CompletionsReached", ""), Outcome.DONE),
        (("SuccessCriteriaMet", "CompletionsReached", ""), Outcome.DONE),
        (("Failed", "BackoffLimitExceeded", "limit"), Outcome.FAILED),
        (("FailureTarget", "BackoffLimitExceeded", "limit"), Outcome.FAILED),
        (("Suspended", "JobSuspended", ""), Outcome.RUNNING),
    ],
)
async def test_an_outcome_is_what_the_job_controller_decided(
    kube: MemoryKube, jobs: Jobs, condition: tuple[str, str, str], outcome: Outcome
) -> None:
    """A decision counts as soon as it stands."""
    await jobs.start(ORDER)
    await says(kube, condition)
    seen = await jobs.observe(ORDER)
    assert seen is not None
    assert seen.outcome is outcome
    assert await jobs.start(ORDER) == seen


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (
            {"containerStatuses": container(waiting={"reason": "ErrImagePull", "message": "wol:1: not\n found"})},
            "ErrImagePull: wol:1: not found",
        ),
        ({"containerStatuses": container(waiting={"reason": "InvalidImageName"})}, "InvalidImageName"),
        ({"containerStatuses": container(waiting={"reason": "ContainerCreating"})}, ""),
        (
            {
                "conditions": [
                    {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes"}
                ]
            },
            "cannot be scheduled: 0/3 nodes",
        ),
        ({"phase": "Running", "containerStatuses": container(running={})}, ""),
    ],
)
async def test_a_running_job_says_what_it_waits_for(
    kube: MemoryKube, jobs: Jobs, status: dict[str, Any], text: str
) -> None:
    """An image that does not exist or a pod that fits nowhere shows while there is time to mend it."""
    await jobs.start(ORDER)
    await make_pod(kube, **status)
    assert await jobs.observe(ORDER) == Seen(jobs.name(ORDER), Outcome.RUNNING, text)


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (
            {"containerStatuses": container(terminated={"exitCode": 2, "reason": "Error", "message": "bmc: no\n"})},
            "exit code 2: bmc: no",
        ),
        (
            {"containerStatuses": container(terminated={"exitCode": 137, "reason": "OOMKilled"})},
            "exit code 137 (OOMKilled)",
        ),
        ({"phase": "Failed", "reason": "Evicted", "message": "disk pressure"}, "Evicted: disk pressure"),
        (
            {"conditions": [{"type": "DisruptionTarget", "status": "True", "reason": "Preempted", "message": "by x"}]},
            "Preempted: by x",
        ),
        ({}, "BackoffLimitExceeded: limit"),
    ],
)
async def test_a_failed_job_says_why(kube: MemoryKube, jobs: Jobs, status: dict[str, Any], text: str) -> None:
    """The words of the program that failed come before those of the Job controller."""
    await jobs.start(ORDER)
    await make_pod(kube, **status)
    await says(kube, ("Failed", "BackoffLimitExceeded", "limit"))
    assert await jobs.observe(ORDER) == Seen(jobs.name(ORDER), Outcome.FAILED, text)


async def test_a_deadline_tells_what_the_pod_waited_for(kube: MemoryKube, jobs: Jobs) -> None:
    """The Job controller deletes the pod at the deadline; what it said last is not lost."""
    await jobs.start(ORDER)
    await make_pod(kube, containerStatuses=container(waiting={"reason": "ErrImagePull", "message": "no wol:1"}))
    await jobs.observe(ORDER)
    await kube.delete(PODS, "pod", namespace="site")
    ending = {"status": {"containerStatuses": container(terminated={"exitCode": 137})}}
    await kube.patch(PODS, "pod", Patch(ending, subresource="status"), namespace="site")
    await says(kube, ("Failed", "DeadlineExceeded", "Job was active longer than specified deadline"))
    seen = await jobs.observe(ORDER)
    assert seen == Seen(jobs.name(ORDER), Outcome.FAILED, "not done within 90 s; ErrImagePull: no wol:1")


async def test_a_job_without_a_pod_is_told_as_that(autojump_clock: MockClock, kube: MemoryKube, jobs: Jobs) -> None:
    """A quota or a policy may refuse the pod of a Job that was taken: that shows while it runs and after its deadline. One whose
    pod ran is never told so, though the pod is gone by then."""
    await jobs.start(ORDER)
    assert await jobs.observe(ORDER) == Seen(jobs.name(ORDER), Outcome.RUNNING, "")
    await trio.sleep(6)
    seen = await jobs.observe(ORDER)
    assert seen is not None
    assert "it has no pod" in seen.message
    assert f"kubectl describe job -n site {jobs.name(ORDER)}" in seen.message
    await make_pod(kube, containerStatuses=container(running={}))
    assert await jobs.observe(ORDER) == Seen(jobs.name(ORDER), Outcome.RUNNING, "")
    await kube.delete(PODS, "pod", namespace="site", grace=0)
    await trio.sleep(60)
    assert await jobs.observe(ORDER) == Seen(jobs.name(ORDER), Outcome.RUNNING, "")


async def test_a_deadline_tells_that_no_pod_was_made(autojump_clock: MockClock, kube: MemoryKube, jobs: Jobs) -> None:
    """What was known before the deadline is not lost at it."""
    await jobs.start(ORDER)
    for _ in range(2):
        await jobs.observe(ORDER)
        await trio.sleep(6)
    await says(kube, ("Failed", "DeadlineExceeded", "Job was active longer than specified deadline"))
    seen = await jobs.observe(ORDER)
    assert seen is not None
    assert seen.message.startswith("not done within 90 s; it has no pod")


async def test_a_job_that_somebody_suspends_is_told_as_that(kube: MemoryKube, jobs: Jobs) -> None:
    """Kueue suspends the Jobs of namespaces that it manages: nothing runs, and no deadline of Kubernetes ends it."""
    await jobs.start(ORDER)
    await kube.patch(JOBS, jobs.name(ORDER), Patch({"spec": {"suspend": True}}), namespace="site")
    assert await jobs.observe(ORDER) == Seen(jobs.name(ORDER), Outcome.RUNNING, wire.SUSPENDED)


async def test_a_container_that_was_never_made_points_to_secrets(kube: MemoryKube, jobs: Jobs) -> None:
    """A pod that waits for a Secret says nothing of it: at the deadline the Secrets that it mounts are named."""
    mounts = (VolumeMount(name="bmc", mount_path="/bmc", secret_name="bmc-1"),)
    order = replace(ORDER, spec=replace(ORDER.spec, volumes=mounts))
    await jobs.start(order)
    await make_pod(kube, containerStatuses=container(waiting={"reason": "ContainerCreating"}))
    assert await jobs.observe(order) == Seen(jobs.name(order), Outcome.RUNNING, "")
    await kube.delete(PODS, "pod", namespace="site")
    await says(kube, ("Failed", "DeadlineExceeded", "Job was active longer than specified deadline"))
    seen = await jobs.observe(order)
    assert seen is not None
    assert "not done within 90 s; its container was never made: is Secret bmc-1 there" in seen.message


async def test_of_a_long_log_the_end_is_shown(kube: MemoryKube, jobs: Jobs) -> None:
    """Programs say last what went wrong."""
    await jobs.start(ORDER)
    message = "noise " * 500 + "no route to the BMC"
    await make_pod(kube, containerStatuses=container(terminated={"exitCode": 1, "message": message}))
    await says(kube, ("Failed", "BackoffLimitExceeded", "limit"))
    seen = await jobs.observe(ORDER)
    assert seen is not None
    assert seen.message.endswith("no route to the BMC")
    assert len(seen.message) < 650


async def test_cancel_ends_every_order_of_the_machine_but_one(kube: MemoryKube, jobs: Jobs) -> None:
    """A superseded Job goes with its pods; the one that counts, and those of other machines, stay."""
    newer = replace(ORDER, attempt=8, action=Action.SHUTDOWN)
    other = replace(ORDER, machine=Lookup("site", "other"), uid="u-2")
    for order in (ORDER, newer, other):
        await jobs.start(order)
        await make_pod(kube, f"pod-{order.machine.name}-{order.attempt}", order=order, phase="Running")
    assert not await jobs.cancel(ORDER.machine, uid=ORDER.uid, keep=jobs.name(newer))
    left = {job.metadata.name for job in (await kube.list(JOBS, Selector(namespace="site"))).items}
    assert left == {jobs.name(newer), jobs.name(other)}


async def test_cancel_is_over_when_the_pods_are_gone(kube: MemoryKube, jobs: Jobs) -> None:
    """Two power actions never run at once: the next one waits for the pod of the last."""
    await jobs.start(ORDER)
    await make_pod(kube, phase="Running")
    assert not await jobs.cancel(ORDER.machine, uid=ORDER.uid)
    assert (await kube.list(JOBS)).items == ()
    assert not await jobs.cancel(ORDER.machine, uid=ORDER.uid)
    await kube.delete(PODS, "pod", namespace="site", grace=0)
    assert await jobs.cancel(ORDER.machine, uid=ORDER.uid)


async def test_a_pod_on_a_dead_node_does_not_block_for_ever(kube: MemoryKube, jobs: Jobs, autojump_clock: Any) -> None:
    """Where no kubelet is left to end it, it is removed after two minutes."""
    await make_pod(kube, phase="Running")
    assert not await jobs.cancel(ORDER.machine, uid=ORDER.uid)
    autojump_clock.jump(121)
    assert not await jobs.cancel(ORDER.machine, uid=ORDER.uid)
    assert await jobs.cancel(ORDER.machine, uid=ORDER.uid)


async def test_cancel_with_nothing_there_does_nothing(kube: MemoryKube, jobs: Jobs) -> None:
    """Cancelling twice, or what never was, is success."""
    assert await jobs.cancel(ORDER.machine, uid=ORDER.uid)
    assert kube.count("delete", JOBS) == 0


async def test_failures_are_unavailable_or_refused(kube: MemoryKube, jobs: Jobs) -> None:
    """A missing namespace is for a human; a server that is away is for later."""
    kube.fail_next(NotFound('namespaces "site" not found'), verb="create")
    with pytest.raises(Refused, match="namespaces"):
        await jobs.start(ORDER)
    for ask in (jobs.start(ORDER), jobs.observe(ORDER), jobs.cancel(ORDER.machine, uid=ORDER.uid)):
        kube.fail_next(Unavailable("away"))
        with pytest.raises(Unavailable):
            await ask
