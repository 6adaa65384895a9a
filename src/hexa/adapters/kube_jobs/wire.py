"""Orders to Job manifests, and what a Job and its pods say to `Seen`. No await."""

import math
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Final

import msgspec

from hexa.adapters.kube_jobs import models as k8s
from hexa.domain.names import (
    ACTION_LABEL,
    API_VERSION,
    ATTEMPT_LABEL,
    GROUP_LABEL,
    MACHINE_LABEL,
    SAFE_TO_EVICT,
    UID_LABEL,
)
from hexa.domain.resources.core import ContainerStatus, Job, Pod
from hexa.domain.resources.v1alpha1 import PowerPodSpec, VolumeMount
from hexa.ports.jobs import Order, Outcome, Seen

CONTAINER: Final = "power"
JOB_NAME_LABEL: Final = "batch.kubernetes.io/job-name"
"""Put on pods by the Job controller."""

_LONGEST: Final = 63
"""Characters of a DNS label and of a label's value."""

_GRACE: Final = 5
"""Seconds for a cancelled power action to end: the next one waits for it."""

_LEAST_TTL: Final = 60
"""Seconds that a finished Job stays at least: its result must be seen before it goes."""

_SHOWN: Final = 300
"""Characters shown of what a pod says."""

_CONTROL_PLANE: Final = ("node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master")


# --- names and labels -----------------------------------------------------------------------------


def job_name(order: Order) -> str:
    """Machine, short hash of namespace, name and uid, action, attempt: a DNS label."""
    tail = f"-{_hash(f'{order.machine} {order.uid}')}-{order.action}-{order.attempt}"
    return _cut(order.machine.name.replace(".", "-"), _LONGEST - len(tail)) + tail


def labels(order: Order) -> dict[str, str]:
    """On the Job and on its pod."""
    return {
        MACHINE_LABEL: _label(order.machine.name),
        UID_LABEL: order.uid,
        ACTION_LABEL: order.action.value,
        ATTEMPT_LABEL: str(order.attempt),
    }


def of_machine(uid: str) -> str:
    """The label selector of all Jobs and pods of a machine."""
    return f"{UID_LABEL}={uid}"


def belongs(job: Job, order: Order) -> bool:
    """Whether the Job of this name is the order's, and not one that somebody else made."""
    wanted = labels(order)
    owned = any(owner.uid == order.uid for owner in job.metadata.owner_references)
    return owned and all(job.metadata.labels.get(name) == wanted[name] for name in (ACTION_LABEL, ATTEMPT_LABEL))


def _label(name: str) -> str:
    return name if len(name) <= _LONGEST else f"{_cut(name, _LONGEST - 11)}-{_hash(name)}"


def _cut(name: str, length: int) -> str:
    return name[:length].rstrip("-.")


def _hash(text: str) -> str:
    return sha256(text.encode()).hexdigest()[:10]


# --- an order as a Job ----------------------------------------------------------------------------


def manifest(order: Order) -> dict[str, Any]:
    """The Job, as it is sent."""
    spec = order.spec
    job = k8s.V1Job(
        api_version="batch/v1",
        kind="Job",
        metadata=k8s.V1ObjectMeta(
            name=job_name(order),
            namespace=order.machine.namespace,
            labels=labels(order),
            owner_references=[_owner(order)],
        ),
        spec=k8s.V1JobSpec(
            active_deadline_seconds=max(1, math.ceil(order.deadline)),
            backoff_limit=0,  # attempts are counted by hexa
            ttl_seconds_after_finished=max(_LEAST_TTL, spec.ttl_seconds_after_finished),
            template=k8s.V1PodTemplateSpec(
                metadata=k8s.V1ObjectMeta(labels=labels(order), annotations={SAFE_TO_EVICT: "false"}),
                spec=_pod(order),
            ),
        ),
    )
    sent: dict[str, Any] = job.model_dump(by_alias=True, exclude_none=True)
    return sent


def _owner(order: Order) -> k8s.V1OwnerReference:
    return k8s.V1OwnerReference(
        api_version=API_VERSION,
        kind="Node",
        name=order.machine.name,
        uid=order.uid,
        controller=True,
        block_owner_deletion=False,
    )


def _pod(order: Order) -> k8s.V1PodSpec:
    spec = order.spec
    return k8s.V1PodSpec(
        restart_policy="Never",
        termination_grace_period_seconds=_GRACE,
        containers=[_container(spec)],
        volumes=_volumes(spec.volumes) or None,
        affinity=_elsewhere(order.kubernetes_node),
        node_selector=dict(spec.node_selector) or None,
        tolerations=_tolerations(spec),
        host_network=spec.host_network or None,
        dns_policy="ClusterFirstWithHostNet" if spec.host_network else None,
        service_account_name=spec.service_account or None,
        automount_service_account_token=None if spec.service_account else False,
        image_pull_secrets=[k8s.V1LocalObjectReference(name=name) for name in spec.image_pull_secrets] or None,
    )


def _container(spec: PowerPodSpec) -> k8s.V1Container:
    return k8s.V1Container(
        name=CONTAINER,
        image=spec.image,
        command=list(spec.command) or None,
        args=list(spec.args) or None,
        env=[k8s.V1EnvVar.model_validate(msgspec.to_builtins(variable)) for variable in spec.env] or None,
        resources=k8s.V1ResourceRequirements.model_validate(msgspec.to_builtins(spec.resources)),
        volume_mounts=[
            k8s.V1VolumeMount(name=mount.name, mount_path=mount.mount_path, read_only=True) for mount in spec.volumes
        ]
        or None,
        termination_message_policy="FallbackToLogsOnError",  # why it failed reaches Seen.message
    )


def _volumes(mounts: Iterable[VolumeMount]) -> list[k8s.V1Volume]:
    """One volume for each name: a Secret may be mounted at two places."""
    return list({mount.name: _volume(mount) for mount in mounts}.values())


def _volume(mount: VolumeMount) -> k8s.V1Volume:
    if mount.secret_name:
        return k8s.V1Volume(name=mount.name, secret=k8s.V1SecretVolumeSource(secret_name=mount.secret_name))
    return k8s.V1Volume(name=mount.name, config_map=k8s.V1ConfigMapVolumeSource(name=mount.config_map_name))


def _elsewhere(kubernetes_node: str) -> k8s.V1Affinity:
    """On nodes outside every group, and never on the machine itself.

    Templates of groups carry the group's label too, so Cluster Autoscaler never adds a machine for a power Job.
    """
    own = k8s.V1NodeSelectorRequirement(key="metadata.name", operator="NotIn", values=[kubernetes_node])
    term = k8s.V1NodeSelectorTerm(
        match_expressions=[k8s.V1NodeSelectorRequirement(key=GROUP_LABEL, operator="DoesNotExist")],
        match_fields=[own] if kubernetes_node else None,
    )
    required = k8s.V1NodeSelector(node_selector_terms=[term])
    return k8s.V1Affinity(
        node_affinity=k8s.V1NodeAffinity(required_during_scheduling_ignored_during_execution=required)
    )


def _tolerations(spec: PowerPodSpec) -> list[k8s.V1Toleration]:
    control_plane = [k8s.V1Toleration(key=key, operator="Exists", effect="NoSchedule") for key in _CONTROL_PLANE]
    users = [k8s.V1Toleration.model_validate(msgspec.to_builtins(toleration)) for toleration in spec.tolerations]
    return [*control_plane, *users]


# --- a Job as an outcome --------------------------------------------------------------------------

_OUTCOMES: Final = {
    "Complete": Outcome.DONE,
    "SuccessCriteriaMet": Outcome.DONE,
    "Failed": Outcome.FAILED,
    "FailureTarget": Outcome.FAILED,  # decided; its pods are still ending
}

_NEVER: Final = datetime.min.replace(tzinfo=UTC)


def outcome(job: Job) -> Outcome:
    """What the Job controller has decided."""
    decided = (_OUTCOMES.get(condition.type) for condition in job.status.conditions if condition.status == "True")
    return next(filter(None, decided), Outcome.RUNNING)


def failure_text(job: Job, *, said: str) -> str:
    """Why it failed; `said` is what its pod says, or last said."""
    condition = next((c for c in job.status.conditions if _OUTCOMES.get(c.type) is Outcome.FAILED), None)
    if condition is None or (said and condition.reason != "DeadlineExceeded"):
        return said
    late = f"not done within {job.spec.active_deadline_seconds} s"
    text = late if condition.reason == "DeadlineExceeded" else f"{condition.reason}: {condition.message}"
    return f"{text}; {said}" if said else text


def pod_text(pods: Sequence[Pod]) -> str:
    """In one sentence what the newest pod waits for or failed of; empty where it just runs."""
    if not pods:
        return ""
    pod = max(pods, key=lambda pod: pod.metadata.creation_timestamp or _NEVER)
    of_containers = (_container_text(status) for status in pod.status.container_statuses)
    return next(filter(None, of_containers), "") or _whole_pod_text(pod)


def _container_text(status: ContainerStatus) -> str:
    ended, waiting = status.state.terminated, status.state.waiting
    if ended is not None and ended.exit_code:
        why = "" if ended.reason in ("", "Error") else f" ({ended.reason})"
        return _sentence(f"exit code {ended.exit_code}{why}", ended.message)
    if waiting is not None and waiting.reason not in ("", "ContainerCreating", "PodInitializing"):
        return _sentence(waiting.reason, waiting.message)
    return ""


def _whole_pod_text(pod: Pod) -> str:
    if pod.status.reason:
        return _sentence(pod.status.reason, pod.status.message)
    for condition in pod.status.conditions:
        if (condition.type, condition.status) == ("PodScheduled", "False"):
            return _sentence("cannot be scheduled", condition.message)
        if (condition.type, condition.status) == ("DisruptionTarget", "True"):
            return _sentence(condition.reason, condition.message)
    return ""


def _sentence(head: str, message: str) -> str:
    """Both in one line; of a long message the end, where programs say what went wrong."""
    words = " ".join(message.split())
    if len(words) > _SHOWN:
        words = "..." + words[-_SHOWN:]
    return f"{head}: {words}" if words else head


def seen(order: Order, job: Job, *, said: str) -> Seen:
    """How an order stands; `said` is what its pod says, or last said."""
    name = job.metadata.name
    match outcome(job):
        case Outcome.DONE:
            return Seen(name, Outcome.DONE)
        case Outcome.FAILED:
            return Seen(name, Outcome.FAILED, failure_text(job, said=said))
        case Outcome.RUNNING if job.metadata.deletion_timestamp is not None:
            return Seen(name, Outcome.RUNNING, "the Job is being deleted")
        case Outcome.RUNNING:
            return Seen(name, Outcome.RUNNING, said)
