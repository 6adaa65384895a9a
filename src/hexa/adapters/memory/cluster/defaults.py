"""What a server adds to a new object, and which kinds have a generation and a status apart from their spec. Pure."""

from typing import Any, Final

from hexa.domain.names import API_GROUP
from hexa.domain.resources.core import BUDGETS, CLAIMS, CRON_JOBS, JOBS, NODES, PODS, VOLUMES, Kind

Builtins = dict[str, Any]

NOT_READY_TAINT: Final = "node.kubernetes.io/not-ready"
UNREACHABLE_TAINT: Final = "node.kubernetes.io/unreachable"

_STATUS: Final = {(kind.api_version, kind.plural) for kind in (NODES, PODS, JOBS, CRON_JOBS, BUDGETS, CLAIMS, VOLUMES)}
_GENERATION: Final = {(kind.api_version, kind.plural) for kind in (PODS, JOBS, CRON_JOBS, BUDGETS)}
_TOLERATIONS: Final = [
    {"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}
    for key in (NOT_READY_TAINT, UNREACHABLE_TAINT)
]
_POD: Final = {
    "restartPolicy": "Always",
    "terminationGracePeriodSeconds": 30,
    "schedulerName": "default-scheduler",
    "dnsPolicy": "ClusterFirst",
    "securityContext": {},
}
_JOB: Final = {"parallelism": 1, "completions": 1, "backoffLimit": 6, "suspend": False}

_CRON_JOB: Final = {
    "concurrencyPolicy": "Allow",
    "suspend": False,
    "successfulJobsHistoryLimit": 3,
    "failedJobsHistoryLimit": 1,
}


def is_ours(kind: Kind[Any]) -> bool:
    """One of hexa's own resources: defined by a CRD, which has rules of its own."""
    return kind.api_version.startswith(f"{API_GROUP}/")


def has_status(kind: Kind[Any]) -> bool:
    """Its status is written through the status subresource alone."""
    return is_ours(kind) or kind.api_version.startswith("apps/") or (kind.api_version, kind.plural) in _STATUS


def has_generation(kind: Kind[Any]) -> bool:
    """Each change of its spec counts up `metadata.generation`."""
    return is_ours(kind) or kind.api_version.startswith("apps/") or (kind.api_version, kind.plural) in _GENERATION


def admit(kind: Kind[Any], raw: Builtins, *, keep_status: bool) -> Builtins:
    """A new object as the server stores it."""
    match kind.api_version, kind.plural:
        case "v1", "pods":
            raw = {**raw, "spec": _pod_spec(raw.get("spec") or {})}
            status: Builtins = {"phase": "Pending", "qosClass": "Burstable"}
            return {**raw, "status": {**status, **raw.get("status", {})} if keep_status else status}
        case "v1", "nodes":  # the one kind that may bring its status along
            return raw if keep_status else {**raw, "spec": _node_spec(raw.get("spec") or {})}
        case "batch/v1", "jobs":
            raw = {**raw, "spec": {**_JOB, **(raw.get("spec") or {})}}
        case "batch/v1", "cronjobs":
            raw = {**raw, "spec": {**_CRON_JOB, **(raw.get("spec") or {})}}
        case _:
            pass
    if has_status(kind) and not keep_status:
        raw = {key: value for key, value in raw.items() if key != "status"}
    return raw


def _pod_spec(spec: Builtins) -> Builtins:
    given = spec.get("tolerations") or []
    covered = {toleration.get("key", "") for toleration in given if toleration.get("effect", "") in ("", "NoExecute")}
    added = [] if "" in covered else [toleration for toleration in _TOLERATIONS if toleration["key"] not in covered]
    return {**_POD, **spec, "tolerations": [*given, *added]}


def _node_spec(spec: Builtins) -> Builtins:
    """A new node takes no pods until it is known to be Ready (admission plugin TaintNodesByCondition)."""
    taints = [taint for taint in spec.get("taints", ()) if taint["key"] != NOT_READY_TAINT]
    return {**spec, "taints": [*taints, {"key": NOT_READY_TAINT, "effect": "NoSchedule"}]}
