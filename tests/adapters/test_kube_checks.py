"""What a user may rely on of health checks as CronJobs: what is made, and what their Jobs are taken to say."""

from typing import Any

import pytest
from msgspec.structs import replace
from tests.adapters.test_kube_jobs import EVERYTHING, EVERYTHING_AS_A_JOB

from hexa.adapters.kube_jobs import wire
from hexa.adapters.kube_jobs.cron_manifest import cron_job
from hexa.adapters.kube_jobs.health_checks import exactly
from hexa.adapters.memory.cluster.patches import merge
from hexa.domain.resources.core import JOBS, PODS, Job, Pod, decode
from hexa.domain.resources.health import CheckOutcome
from hexa.domain.resources.v1alpha1 import Lookup
from hexa.domain.rules.health_checks import Check, fingerprint

CHECK = Check(
    machine=Lookup("site", "rack1.node2"),
    uid="1f0c3c4e-0000-4000-8000-000000000001",
    spec=EVERYTHING,
    cron="3-59/5 * * * *",
    every=300,
    deadline=300,
    late=150,
    kubernetes_node="rack1-node2",
)


def test_everything_of_a_spec_is_in_its_cron_job() -> None:
    """The pod is that of a power Job but for its name and its priority; runs never overlap, and the newest two are kept."""
    made = cron_job(CHECK)
    spec, job = made["spec"], made["spec"]["jobTemplate"]["spec"]
    power: dict[str, Any] = EVERYTHING_AS_A_JOB["spec"]["template"]  # type: ignore[index]
    (container,) = power["spec"]["containers"]
    wanted = {key: value for key, value in power["spec"].items() if key != "priorityClassName"}
    assert job["template"]["spec"] == {**wanted, "containers": [{**container, "name": "check"}]}
    assert job["template"]["metadata"]["annotations"] == power["metadata"]["annotations"]
    assert (job["activeDeadlineSeconds"], job["backoffLimit"]) == (300, 0)
    times = {key: value for key, value in spec.items() if key != "jobTemplate"}
    assert times == {
        "schedule": "3-59/5 * * * *",
        "timeZone": "Etc/UTC",
        "suspend": False,
        "concurrencyPolicy": "Forbid",
        "startingDeadlineSeconds": 150,
        "successfulJobsHistoryLimit": 1,
        "failedJobsHistoryLimit": 1,
    }
    meta = made["metadata"]
    assert meta["ownerReferences"] == EVERYTHING_AS_A_JOB["metadata"]["ownerReferences"]  # type: ignore[index]
    assert meta["annotations"] == {"infra.homecluster.dev/check-of": fingerprint(CHECK)}
    assert "infra.homecluster.dev/uid" not in meta["labels"]


def test_names_are_short_enough_for_their_jobs() -> None:
    """A CronJob's name has 52 characters at most, and long names stay apart."""
    names = [wire.cron_job_name(replace(CHECK, machine=Lookup("site", "x" * 200 + end))) for end in "ab"]
    assert len(set(names)) == 2
    assert max(map(len, names)) <= 52
    assert wire.cron_job_name(CHECK) == "rack1-node2-0cd982d107-health"


def test_a_patch_leaves_nothing_of_before() -> None:
    """A merge patch only adds: what is no longer wanted is named to go, at every depth."""
    before = {"spec": {"selector": {"a": "1", "b": "2"}, "list": [1, 2]}, "old": True}
    wanted = {"spec": {"selector": {"b": "3"}, "list": [2]}}
    assert merge(before, exactly(before, wanted)) == wanted


def job(kind: str = "", reason: str = "") -> Job:
    """A Job of a check that began at 8:00, and ended as it says a minute later."""
    ended = [{"type": kind, "status": "True", "reason": reason, "lastTransitionTime": "2026-03-02T08:01:00Z"}]
    raw = {
        "metadata": {"name": "c-1", "namespace": "site"},
        "spec": {"activeDeadlineSeconds": 300},
        "status": {"startTime": "2026-03-02T08:00:00Z", "conditions": ended if kind else []},
    }
    found = decode(JOBS, raw)
    assert isinstance(found, Job)
    return found


def pod(**status: Any) -> Pod:
    """Its pod."""
    found = decode(PODS, {"metadata": {"name": "c-1-x"}, "status": status})
    assert isinstance(found, Pod)
    return found


def ended(code: int, message: str = "", **more: Any) -> Pod:
    """A pod whose container ended so."""
    state = {"terminated": {"exitCode": code, "message": message, "reason": "Error"}}
    return pod(phase="Failed", containerStatuses=[{"name": "check", "state": state}], **more)


LATE = ("Failed", "DeadlineExceeded")
OVER = ("Failed", "BackoffLimitExceeded")
DISRUPTED = [{"type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI"}]


@pytest.mark.parametrize(
    ("found", "pods", "ran", "outcome", "words"),
    [
        (job("Complete"), [], False, CheckOutcome.PASSED, ""),
        (job(*OVER), [ended(2, "disk is hot")], False, CheckOutcome.FAILED, "exit code 2: disk is hot"),
        (job(*OVER), [ended(137, conditions=DISRUPTED)], False, CheckOutcome.UNKNOWN, "exit code 137"),
        (
            job(*OVER),
            [pod(phase="Failed", reason="Evicted", message="disk pressure")],
            True,
            CheckOutcome.UNKNOWN,
            "Evi",
        ),
        (job(*OVER), [], False, CheckOutcome.UNKNOWN, "BackoffLimitExceeded"),
        (job(*LATE), [], True, CheckOutcome.FAILED, "not done within 300 s"),
        (job(*LATE), [], False, CheckOutcome.UNKNOWN, "it was not seen to run"),
    ],
)
def test_only_a_container_that_ran_says_anything_of_the_machine(
    found: Job, pods: list[Pod], ran: bool, outcome: CheckOutcome, words: str
) -> None:
    """Evictions, images that are missing and pods that fit nowhere are the cluster's trouble, not the machine's."""
    run = wire.run_of(found, pods, ran=ran)
    assert run.outcome is outcome
    assert words in run.message
    assert run.began < run.ended
