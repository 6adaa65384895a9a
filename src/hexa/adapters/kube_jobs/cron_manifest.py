"""Health checks as CronJob manifests, built with the models of the `kubernetes` package; their pods as those of power Jobs."""

from typing import Any, Final

from hexa.adapters.kube_jobs import models as k8s
from hexa.adapters.kube_jobs import wire
from hexa.adapters.kube_jobs.manifest import owner, pod
from hexa.domain.names import CHECK_ANNOTATION, SAFE_TO_EVICT
from hexa.domain.rules.health_checks import TIME_ZONE, Check, fingerprint

CONTAINER: Final = "check"
KEPT: Final = 1
"""Jobs that are kept of those that passed, and of those that failed: the newest tells how it is."""


def cron_job(check: Check) -> dict[str, Any]:
    """The CronJob, as it is sent."""
    labels = wire.check_labels(check)
    template = k8s.V1PodTemplateSpec(
        metadata=k8s.V1ObjectMeta(labels=labels, annotations={SAFE_TO_EVICT: "false"}),
        spec=pod(check.spec, check.kubernetes_node, container=CONTAINER, priority=None),
    )
    job = k8s.V1JobSpec(
        active_deadline_seconds=check.deadline,
        backoff_limit=0,  # one pod a run: the next run is the next try
        template=template,
    )
    made = k8s.V1CronJob(
        api_version="batch/v1",
        kind="CronJob",
        metadata=k8s.V1ObjectMeta(
            name=wire.cron_job_name(check),
            namespace=check.machine.namespace,
            labels=labels,
            annotations={CHECK_ANNOTATION: fingerprint(check)},
            owner_references=[owner(check.machine, check.uid)],
        ),
        spec=k8s.V1CronJobSpec(
            schedule=check.cron,
            time_zone=TIME_ZONE,
            suspend=check.suspended,
            concurrency_policy="Forbid",
            starting_deadline_seconds=check.late,
            successful_jobs_history_limit=KEPT,
            failed_jobs_history_limit=KEPT,
            job_template=k8s.V1JobTemplateSpec(metadata=k8s.V1ObjectMeta(labels=labels), spec=job),
        ),
    )
    sent: dict[str, Any] = made.model_dump(by_alias=True, exclude_none=True)
    return sent
