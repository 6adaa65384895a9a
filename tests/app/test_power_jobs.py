"""Power Jobs: one at a time for a machine, found again after a crash, and removed when their result is saved."""

from typing import Any

from tests.app.rig import Rig, key, open_rig
from trio.testing import MockClock

from hexa.adapters.memory.ports.jobs import MemoryJobs
from hexa.app.node.power_jobs import PowerJobs
from hexa.domain.machine.lifecycle import Phase
from hexa.domain.machine.power_job import Action, Outcome, current
from hexa.domain.machine_view import MachineView
from hexa.domain.resources.core import JOBS, PODS
from hexa.domain.resources.v1alpha1 import JobRecord, NodeStatus
from hexa.ports.jobs import Order


def view_of(rig: Rig, name: str = "m") -> MachineView:
    """The machine as it is now."""
    view = rig.views.machine(key(name))
    assert view is not None
    return view


def order_of(jobs: PowerJobs, rig: Rig, action: Action, attempt: int, name: str = "m") -> Order:
    """The order of that attempt."""
    view = view_of(rig, name)
    order = jobs.order(view, type(view.node.status)(attempt=attempt), action)
    assert order is not None
    return order


def names(rig: Rig) -> list[str]:
    """Names of all Jobs, without the machine's hash."""
    return sorted("-".join((each.key[1].split("-")[0], *each.key[1].split("-")[-2:])) for each in rig.api.find(JOBS))


def end(rig: Rig, kind: str = "Complete") -> None:
    """All Jobs end."""
    for each in rig.api.find(JOBS):
        rig.api.write(JOBS, each, status={"conditions": [{"type": kind, "status": "True", "message": "so it is"}]})


async def begin(rig: Rig) -> PowerJobs:
    """Two machines, and nothing done yet."""
    jobs = PowerJobs(MemoryJobs(rig.kube), rig.store)
    rig.group()
    rig.machine("m", Phase.POWERING_ON)
    rig.machine("n", Phase.POWERING_ON)
    await rig.seen()
    return jobs


async def test_starting_twice_makes_one_job(autojump_clock: MockClock) -> None:
    """However often an attempt is begun, by this life of hexa or the next, there is one Job of it."""
    async with open_rig() as rig:
        jobs = await begin(rig)
        order = order_of(jobs, rig, Action.STARTUP, 1)
        for each in (jobs, jobs, PowerJobs(MemoryJobs(rig.kube), rig.store)):
            record = await each.start(order)
            assert record is not None
            assert (record.outcome, record.attempt, record.action) == ("running", 1, "startup")
        assert names(rig) == ["m-startup-1"]


async def started(jobs: PowerJobs, rig: Rig, order: Order) -> JobRecord:
    """Begin it as the controller does: again and again until nothing stands in its way."""
    for _ in range(5):
        record = await jobs.start(order)
        await rig.seen()
        if record is not None:
            return record
    raise AssertionError("other Jobs never ended")


class Together:
    """The most Jobs of one machine that were there at once."""

    def __init__(self, rig: Rig) -> None:
        self.rig, self.most = rig, 0
        rig.api.listen(JOBS, self._changed)

    def _changed(self, _: Any) -> None:
        found = [each.raw["metadata"]["ownerReferences"][0]["name"] for each in self.rig.api.find(JOBS)]
        self.most = max(self.most, *(found.count(name) for name in found), 0)


async def test_never_two_at_a_time(autojump_clock: MockClock) -> None:
    """Before a Job is made every other one of the machine is ended and gone; another machine's Jobs are not touched."""
    async with open_rig() as rig:
        jobs, together = await begin(rig), Together(rig)
        await jobs.start(order_of(jobs, rig, Action.STARTUP, 1))
        await jobs.start(order_of(jobs, rig, Action.STARTUP, 1, "n"))
        await started(jobs, rig, order_of(jobs, rig, Action.SHUTDOWN, 2))
        await started(jobs, rig, order_of(jobs, rig, Action.STARTUP, 3))
        assert names(rig) == ["m-startup-3", "n-startup-1"]
        assert together.most == 1


async def test_a_job_that_the_snapshot_does_not_show_yet_counts(autojump_clock: MockClock) -> None:
    """A Job that was made a moment ago stands in the way of the next one, though no watch has told of it."""
    async with open_rig() as rig:
        jobs, together = await begin(rig), Together(rig)
        rig.api.break_watches()
        await jobs.start(order_of(jobs, rig, Action.STARTUP, 1))
        for each in tuple(rig.store.jobs.objects):
            rig.store.jobs.drop(each)
        await started(jobs, rig, order_of(jobs, rig, Action.SHUTDOWN, 2))
        assert together.most == 1
        assert names(rig) == ["m-shutdown-2"]


async def test_a_job_of_an_earlier_life_counts(autojump_clock: MockClock) -> None:
    """After a restart a Job of an earlier attempt, that only the snapshot knows, is ended first."""
    async with open_rig() as rig:
        jobs, together = await begin(rig), Together(rig)
        again = PowerJobs(MemoryJobs(rig.kube), rig.store)
        await jobs.start(order_of(jobs, rig, Action.STARTUP, 1))
        await rig.seen()
        await started(again, rig, order_of(again, rig, Action.SHUTDOWN, 2))
        assert together.most == 1
        assert names(rig) == ["m-shutdown-2"]


async def test_a_job_that_is_slow_to_end_is_waited_for(autojump_clock: MockClock) -> None:
    """While a pod of another Job of the machine is still ending no new Job is made."""
    async with open_rig() as rig:
        jobs = await begin(rig)
        await jobs.start(order_of(jobs, rig, Action.STARTUP, 1))
        await rig.seen()
        (job,) = rig.api.find(JOBS)
        labels = {**job.raw["metadata"]["labels"], "batch.kubernetes.io/job-name": job.key[1]}
        rig.api.create(PODS, {"metadata": {"name": "slow", "namespace": "d", "labels": labels}, "spec": {}})
        for _ in range(3):
            assert await jobs.start(order_of(jobs, rig, Action.SHUTDOWN, 2)) is None
            await rig.seen()
        assert "m-shutdown-2" not in names(rig)
        rig.api.delete(PODS, ("d", "slow"), grace=0)
        assert await jobs.start(order_of(jobs, rig, Action.SHUTDOWN, 2)) is not None


async def test_the_result_is_read_and_the_job_removed(autojump_clock: MockClock) -> None:
    """A Job's end is seen with its reason; cleaning removes it, keeps the one that runs, and asks nothing where nothing is."""
    async with open_rig() as rig:
        jobs = await begin(rig)
        order = order_of(jobs, rig, Action.STARTUP, 1)
        known = await jobs.start(order)
        assert known is not None
        await rig.seen()
        assert not jobs.finished(key("m"), known.name)
        await jobs.clean(view_of(rig), keep=known.name)
        assert names(rig) == ["m-startup-1"]
        end(rig, "Failed")
        await rig.seen()
        assert jobs.finished(key("m"), known.name)
        seen = await jobs.observe(order, known)
        assert (seen.outcome, seen.message) == (Outcome.FAILED, "so it is")
        for _ in range(2):
            await jobs.clean(view_of(rig))
            await rig.seen()
        assert names(rig) == []
        before = rig.kube.calls.total()
        await jobs.clean(view_of(rig))
        assert rig.kube.calls.total() == before


async def test_a_job_that_vanished_has_failed(autojump_clock: MockClock) -> None:
    """A Job that somebody deleted before its result was seen proves nothing: it counts as failed, with that reason."""
    async with open_rig() as rig:
        jobs = await begin(rig)
        order = order_of(jobs, rig, Action.SHUTDOWN, 1)
        known = await jobs.start(order)
        assert known is not None
        rig.api.delete(JOBS, ("d", known.name))
        await rig.seen()
        assert jobs.finished(key("m"), known.name)
        seen = await jobs.observe(order, known)
        assert seen.outcome == Outcome.FAILED
        assert "deleted before its result was seen" in seen.message


async def test_a_machine_without_a_way_gets_no_order(autojump_clock: MockClock) -> None:
    """Without a pod spec for the action there is nothing to order."""
    async with open_rig() as rig:
        jobs = await begin(rig)
        rig.machine("mute", Phase.POWERING_ON, spec={"startupPodSpec": None})
        await rig.seen()
        view = view_of(rig, "mute")
        assert jobs.order(view, view.node.status, Action.STARTUP) is None
        assert jobs.order(view, view.node.status, Action.SHUTDOWN) is not None


async def test_jobs_of_others_are_not_ours(autojump_clock: MockClock) -> None:
    """A Job that a Node of another API owns, or nobody, stands in nobody's way."""
    async with open_rig() as rig:
        jobs = await begin(rig)
        for number, owner in enumerate((None, {"apiVersion": "v1", "kind": "Node", "name": "m", "uid": "x"})):
            metadata: dict[str, Any] = {"name": f"x{number}", "namespace": "d"}
            metadata["labels"] = {"infra.homecluster.dev/machine": "m"}
            metadata |= {"ownerReferences": [owner]} if owner else {}
            rig.api.create(JOBS, {"metadata": metadata, "spec": {}})
        await rig.seen()
        assert await jobs.start(order_of(jobs, rig, Action.STARTUP, 1)) is not None


def test_a_record_of_an_earlier_attempt_is_not_current() -> None:
    """Yesterday's result is never taken for today's."""

    record = JobRecord(name="m-startup-3", action="startup", attempt=3, outcome="done")
    assert current(NodeStatus(attempt=3, job=record)) == record
    assert current(NodeStatus(attempt=4, job=record)) is None
    assert current(NodeStatus(attempt=3)) is None
