"""Orders as Job manifests, built with the models of the `kubernetes` package.

Importing this takes half a second: `adapter` does it in a worker thread, once the agent serves.
"""

import math
from collections.abc import Iterable
from typing import Any, Final

import msgspec

from hexa.adapters.kube_jobs import models as k8s
from hexa.adapters.kube_jobs import wire
from hexa.adapters.kube_jobs.wire import CONTAINER
from hexa.domain.names import API_VERSION, CONTROL_PLANE_TAINTS, GROUP_LABEL, SAFE_TO_EVICT
from hexa.domain.resources.v1alpha1 import Lookup, PodResources, PowerPodSpec, VolumeMount
from hexa.ports.jobs import Order

_GRACE: Final = 5
"""Seconds for a cancelled power action to end: the next one waits for it."""

_LEAST_TTL: Final = 60
"""Seconds that a finished Job stays at least: its result must be seen before it goes."""

_PRIORITY: Final = "system-cluster-critical"
"""hexa's own: every cluster has the class, and pods that wait for a machine must not stand in the way of its wake."""


_RESTRICTED: Final = k8s.V1PodSecurityContext(seccomp_profile=k8s.V1SeccompProfile(type="RuntimeDefault"))
"""As far as any image can be restricted: its user and its capabilities are the image's."""


def manifest(order: Order) -> dict[str, Any]:
    """The Job, as it is sent."""
    spec = order.spec
    job = k8s.V1Job(
        api_version="batch/v1",
        kind="Job",
        metadata=k8s.V1ObjectMeta(
            name=wire.job_name(order),
            namespace=order.machine.namespace,
            labels=wire.labels(order),
            owner_references=[owner(order.machine, order.uid)],
        ),
        spec=k8s.V1JobSpec(
            active_deadline_seconds=max(1, math.ceil(order.deadline)),
            backoff_limit=0,  # attempts are counted by hexa
            ttl_seconds_after_finished=max(_LEAST_TTL, spec.ttl_seconds_after_finished),
            template=k8s.V1PodTemplateSpec(
                metadata=k8s.V1ObjectMeta(labels=wire.labels(order), annotations={SAFE_TO_EVICT: "false"}),
                spec=pod(order.spec, order.kubernetes_node, container=CONTAINER, priority=_PRIORITY),
            ),
        ),
    )
    sent: dict[str, Any] = job.model_dump(by_alias=True, exclude_none=True)
    return sent


def owner(machine: Lookup, uid: str) -> k8s.V1OwnerReference:
    """The machine, as the owner of what is made for it."""
    return k8s.V1OwnerReference(
        api_version=API_VERSION,
        kind="Node",
        name=machine.name,
        uid=uid,
        controller=True,
        block_owner_deletion=False,
    )


def pod(spec: PowerPodSpec, kubernetes_node: str, *, container: str, priority: str | None) -> k8s.V1PodSpec:
    """The pod: outside every group, and never on the machine's own node."""
    return k8s.V1PodSpec(
        restart_policy="Never",
        priority_class_name=priority,
        termination_grace_period_seconds=_GRACE,
        containers=[_container(spec, container)],
        volumes=_volumes(spec.volumes) or None,
        affinity=_elsewhere(kubernetes_node),
        node_selector=dict(spec.node_selector) or None,
        tolerations=_tolerations(spec),
        host_network=spec.host_network or None,
        dns_policy="ClusterFirstWithHostNet" if spec.host_network else None,
        service_account_name=spec.service_account or None,
        security_context=_RESTRICTED,
        automount_service_account_token=None if spec.service_account else False,
        image_pull_secrets=[k8s.V1LocalObjectReference(name=name) for name in spec.image_pull_secrets] or None,
    )


def _container(spec: PowerPodSpec, name: str) -> k8s.V1Container:
    return k8s.V1Container(
        name=name,
        image=spec.image,
        command=list(spec.command) or None,
        args=list(spec.args) or None,
        env=[k8s.V1EnvVar.model_validate(msgspec.to_builtins(variable)) for variable in spec.env] or None,
        resources=_resources(spec.resources),
        volume_mounts=[
            k8s.V1VolumeMount(name=mount.name, mount_path=mount.mount_path, read_only=True) for mount in spec.volumes
        ]
        or None,
        termination_message_policy="FallbackToLogsOnError",  # why it failed reaches Seen.message
    )


def _resources(wanted: PodResources) -> k8s.V1ResourceRequirements:
    """Quantities as texts, as the API server keeps them: people write whole numbers too."""
    requests, limits = (
        {name: str(amount) for name, amount in amounts.items()} or None for amounts in (wanted.requests, wanted.limits)
    )
    return k8s.V1ResourceRequirements(requests=requests, limits=limits)


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
    control_plane = [k8s.V1Toleration(key=key, operator="Exists") for key in CONTROL_PLANE_TAINTS]
    users = [k8s.V1Toleration.model_validate(msgspec.to_builtins(toleration)) for toleration in spec.tolerations]
    return [*control_plane, *users]
