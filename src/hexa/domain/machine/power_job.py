"""The record of the power Job of a machine's present attempt, as the status has it. It knows no Job of Kubernetes."""

from enum import StrEnum
from typing import Final

from msgspec import structs

from hexa.domain.machine.lifecycle import Phase, phase_of
from hexa.domain.resources.v1alpha1 import JobRecord, NodeStatus


class Action(StrEnum):
    STARTUP = "startup"
    SHUTDOWN = "shutdown"


class Outcome(StrEnum):
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    UNMADE = "unmade"
    """The API server did not take it: it is asked again."""


MAY_SHUT_DOWN: Final = frozenset({Phase.POWERING_OFF, Phase.STOP_FAILED, Phase.OFF})
"""Phases in which a shutdown Job may still be at work."""


def current(status: NodeStatus) -> JobRecord | None:
    """The record of the present attempt's Job; None: there is none yet, be it that the API server did not take it."""
    job = status.job
    made = job is not None and job.attempt == status.attempt and job.outcome != Outcome.UNMADE
    return job if made else None


def running(status: NodeStatus) -> bool:
    """Whether the Job of the present attempt is recorded and has not ended."""
    job = current(status)
    return job is not None and job.outcome == Outcome.RUNNING


def shut_down(status: NodeStatus) -> bool:
    """Whether our shutdown Job of the present attempt is done."""
    job = current(status)
    return job is not None and job.action == Action.SHUTDOWN and job.outcome == Outcome.DONE


def unwanted(status: NodeStatus) -> bool:
    """Whether the Job of the present attempt has not ended, though the machine is not to be switched by it any more."""
    job, phase = current(status), phase_of(status)
    if job is None or job.outcome != Outcome.RUNNING:
        return False
    return phase is Phase.OFF if job.action == Action.STARTUP else phase not in MAY_SHUT_DOWN


def with_job(status: NodeStatus, record: JobRecord | None) -> NodeStatus:
    """The status with the Job's result; None: there is no Job any more."""
    return structs.replace(status, job=record)
