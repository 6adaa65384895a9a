"""Names and labels of Jobs, and what a Job and its pods say as `Seen`. No await; `manifest` builds the Jobs."""

from collections.abc import Sequence
from datetime import UTC, datetime
from hashlib import sha256
from typing import Final

from hexa.domain.names import (
    ACTION_LABEL,
    ATTEMPT_LABEL,
    CHECK_ACTION,
    CHECK_LABEL,
    MACHINE_LABEL,
    UID_LABEL,
)
from hexa.domain.resources.core import ContainerStatus, Job, Pod
from hexa.domain.resources.health import CheckOutcome
from hexa.domain.rules.health_checks import Check, Run
from hexa.ports.jobs import Order, Outcome, Seen

CONTAINER: Final = "power"
JOB_NAME_LABEL: Final = "batch.kubernetes.io/job-name"
"""Put on pods by the Job controller."""

_LONGEST: Final = 63
"""Characters of a DNS label and of a label's value."""

_LONGEST_CRON_JOB: Final = 52
"""Characters of a CronJob's name: the controller adds eleven to those of its Jobs."""

_SHOWN: Final = 600
"""Characters shown of what a pod says: a sentence of `hexa power` with machine, driver, address and remedy is never cut."""


# --- names and labels -----------------------------------------------------------------------------


def job_name(order: Order) -> str:
    """Machine, short hash of namespace, name and uid, action, attempt: a DNS label."""
    tail = f"-{_hash(f'{order.machine} {order.uid}')}-{order.action}-{order.attempt}"
    return _cut(order.machine.name.replace(".", "-"), _LONGEST - len(tail)) + tail


def cron_job_name(check: Check) -> str:
    """Machine, and a short hash of namespace, name and uid: short enough for the names of its Jobs."""
    tail = f"-{_hash(f'{check.machine} {check.uid}')}-health"
    return _cut(check.machine.name.replace(".", "-"), _LONGEST_CRON_JOB - len(tail)) + tail


def labels(order: Order) -> dict[str, str]:
    """On the Job and on its pod."""
    return {
        MACHINE_LABEL: _label(order.machine.name),
        UID_LABEL: order.uid,
        ACTION_LABEL: order.action.value,
        ATTEMPT_LABEL: str(order.attempt),
    }


def check_labels(check: Check) -> dict[str, str]:
    """On the CronJob, its Jobs and their pods. Not `UID_LABEL`: what ends the power Jobs of a machine leaves its check alone."""
    return {
        MACHINE_LABEL: _label(check.machine.name),
        CHECK_LABEL: check.uid,
        ACTION_LABEL: CHECK_ACTION,
    }


def check_of(uid: str) -> str:
    """The label selector of all that belongs to the machine's health check."""
    return f"{CHECK_LABEL}={uid}"


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


# --- a Job as an outcome --------------------------------------------------------------------------

_OUTCOMES: Final = {
    "Complete": Outcome.DONE,
    "SuccessCriteriaMet": Outcome.DONE,
    "Failed": Outcome.FAILED,
    "FailureTarget": Outcome.FAILED,  # decided; its pods are still ending
}

SUSPENDED: Final = (
    "somebody suspended the Job (spec.suspend), a queue such as Kueue for one; resume it, and exempt its namespace"
)

_CREATING: Final = ("", "ContainerCreating", "PodInitializing")
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


def not_begun(pods: Sequence[Pod]) -> bool:
    """Whether the newest pod has a node, and no container yet: its image, or a volume, is waited for."""
    if not pods:
        return False
    pod = max(pods, key=lambda pod: pod.metadata.creation_timestamp or _NEVER)
    waiting = [status.state.waiting for status in pod.status.container_statuses]
    return bool(waiting) and all(each is not None and each.reason in _CREATING for each in waiting)


def podless(job: Job) -> str:
    """What may keep the Job controller from making its pod: the Job itself does not say, only its Events do."""
    meta = job.metadata
    return (
        "it has no pod: a quota, an admission policy or Pod Security (which forbids host networking) may refuse it, or the Job "
        f"controller is down; kubectl describe job -n {meta.namespace} {meta.name} says which"
    )


def never_begun(order: Order) -> str:
    """Why a container may never have been made: of a Secret that is not there the pod itself says nothing, only its Events do."""
    secrets = sorted({volume.secret_name for volume in order.spec.volumes if volume.secret_name})
    named = f"Secret{'s' * (len(secrets) > 1)} {', '.join(secrets)}" if secrets else "what it mounts"
    return f"its container was never made: is {named} there, and can the image be pulled? hexa doctor looks for Secrets"


def _container_text(status: ContainerStatus) -> str:
    ended, waiting = status.state.terminated, status.state.waiting
    if ended is not None and ended.exit_code:
        why = "" if ended.reason in ("", "Error") else f" ({ended.reason})"
        return _sentence(f"exit code {ended.exit_code}{why}", ended.message)
    if waiting is not None and waiting.reason not in _CREATING:
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
        case Outcome.RUNNING if job.spec.suspend:
            return Seen(name, Outcome.RUNNING, SUSPENDED)
        case Outcome.RUNNING | Outcome.UNMADE:
            return Seen(name, Outcome.RUNNING, said)


# --- a Job as a run of a health check -------------------------------------------------------------


def began(job: Job) -> datetime:
    """When its pod was made."""
    return job.status.start_time or job.metadata.creation_timestamp or _NEVER


def ended(job: Job) -> datetime | None:
    """When the Job controller said that it is over; None: it has not."""
    said = next((c for c in job.status.conditions if c.type in ("Complete", "Failed") and c.status == "True"), None)
    return None if said is None else job.status.completion_time or said.last_transition_time or began(job)


def passed(job: Job) -> bool:
    """Its pod ended with exit code 0."""
    return outcome(job) is Outcome.DONE


def runs(pod: Pod) -> bool:
    """Its container was started."""
    return pod.status.phase in ("Running", "Succeeded", "Failed")


def run_of(job: Job, pods: Sequence[Pod], *, ran: bool) -> Run:
    """What a Job that has ended says of the machine. Only a container that ran says anything; `ran`: one was seen to."""
    end = ended(job) or began(job)
    if passed(job):
        return Run(began(job), end, CheckOutcome.PASSED)
    said = pod_text(pods)
    if any(_failed_by_itself(pod) for pod in pods):
        return Run(began(job), end, CheckOutcome.FAILED, said)
    text = failure_text(job, said=said)
    if not any(c.type == "Failed" and c.reason == "DeadlineExceeded" for c in job.status.conditions):
        return Run(began(job), end, CheckOutcome.UNKNOWN, text)
    if ran:
        return Run(began(job), end, CheckOutcome.FAILED, text)
    return Run(began(job), end, CheckOutcome.UNKNOWN, f"{text}; it was not seen to run")


def _failed_by_itself(pod: Pod) -> bool:
    """Its container ended with an exit code, and nobody ended it."""
    ended_by = any(c.type == "DisruptionTarget" and c.status == "True" for c in pod.status.conditions)
    states = (status.state.terminated for status in pod.status.container_statuses)
    failed = any(state is not None and state.exit_code for state in states)
    return failed and not ended_by and not pod.status.reason and pod.metadata.deletion_timestamp is None
