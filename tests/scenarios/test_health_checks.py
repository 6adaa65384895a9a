"""Health checks: a CronJob for each machine that declares one, while that makes sense; it is shown, and switches nothing."""

from typing import Any

import trio
from tests.scenarios.stage import QUICK, boxes, kube_of, rack, reach, switch, up
from trio.testing import MockClock

from hexa.domain.machine.lifecycle import Phase
from hexa.domain.names import CHECK_LABEL
from hexa.domain.resources.core import CRON_JOBS, JOBS, CronJob
from hexa.domain.resources.health import CheckOutcome, GroupHealth, NodeHealth
from hexa.domain.resources.v1alpha1 import MACHINES
from hexa.ports.kube import ChangeType, Patch
from hexa.testing.world import World, open_world

CHECKED: dict[str, Any] = {"healthcheckPodSpec": {"image": "ping:1"}, "healthcheckPeriod": "1m"}


def cron_jobs(world: World) -> list[CronJob]:
    """All that there are."""
    return [each for stored in world.site.api.find(CRON_JOBS) if isinstance(each := stored.decoded(CRON_JOBS), CronJob)]


def condition(world: World, kind: str = "HealthCheck") -> tuple[str, str, str]:
    """Status, reason and text of a condition."""
    found = (c for c in world.node("box-1").status.conditions if c.type == kind)
    return next(((c.status, c.reason, c.message) for c in found), ("", "", ""))


def outcome(world: World) -> CheckOutcome | None:
    """What the status says of the check."""
    check = world.node("box-1").status.check
    return None if check is None else check.outcome


def one(**more: Any) -> list[Any]:
    """One machine with a check each minute."""
    return boxes(spec={**CHECKED, **more})


async def test_a_check_runs_while_the_machine_is_up(autojump_clock: MockClock) -> None:
    """Its CronJob is suspended while the machine is off, runs once it is up, and is suspended again: one write each time."""
    async with open_world(groups=[rack()], machines=one(), autoscaler=None, site=QUICK) as world:
        await world.until(lambda: cron_jobs(world), within=60)
        assert [each.spec.suspend for each in cron_jobs(world)] == [True]
        assert condition(world)[1:] == (
            "NoResult",
            f"CronJob {cron_jobs(world)[0].metadata.name}: suspended while the machine is not up",
        )
        await up(world)
        await world.until(lambda: outcome(world) is CheckOutcome.PASSED, within=100)
        assert condition(world)[:2] == ("True", "Passed")
        assert world.node("box-1").status.health is NodeHealth.HEALTHY
        await switch(world, "off")
        await reach(world, Phase.OFF)
        await world.until(lambda: cron_jobs(world)[0].spec.suspend, within=5)
        assert kube_of(world).count("patch", CRON_JOBS) == 2
        assert outcome(world) is CheckOutcome.NONE


async def test_a_check_that_goes_on_passing_writes_nothing(autojump_clock: MockClock) -> None:
    """Sixty runs in an hour: not one write of the agent after the first has passed."""
    async with open_world(groups=[rack()], machines=one(), autoscaler=None, site=QUICK) as world:
        await up(world)
        await world.until(lambda: outcome(world) is CheckOutcome.PASSED, within=100)
        await trio.sleep(60)
        kube = kube_of(world)
        before = kube.writes, kube.count("list", CRON_JOBS)
        await trio.sleep(3600)
        assert (kube.writes, kube.count("list", CRON_JOBS)) == before
        assert len(world.site.api.find(JOBS)) <= 2


async def test_a_failing_check_is_shown_and_switches_nothing(autojump_clock: MockClock) -> None:
    """The machine and its group are degraded, with the pod's own words and since when; its power stays as it is."""
    async with open_world(groups=[rack()], machines=one(), autoscaler=None, site=QUICK) as world:
        await up(world)
        world.inject({"kind": "sick", "machine": "box-1", "duration": 600})
        await world.until(lambda: world.node("box-1").status.health is NodeHealth.DEGRADED, within=100)
        status = world.node("box-1").status
        assert (status.health_reason, outcome(world)) == ("CheckFailed", CheckOutcome.FAILED)
        assert condition(world)[0] == "False"
        assert condition(world)[2].endswith("exit code 1")
        await world.until(lambda: world.group("rack").status.health is GroupHealth.DEGRADED, within=5)
        await trio.sleep(300)
        assert world.node("box-1").status.check == status.check
        assert world.node("box-1").status.health_since == status.health_since
        assert world.phase("box-1") is Phase.READY
        await world.until(lambda: outcome(world) is CheckOutcome.PASSED, within=600)
        await world.until(lambda: world.group("rack").status.health is GroupHealth.HEALTHY, within=5)
        assert world.hardware("box-1").offs == 0


async def test_a_check_that_cannot_run_does_not_count_against_the_machine(autojump_clock: MockClock) -> None:
    """Its image is missing: the condition says that nothing is known, and the machine is as healthy as before."""
    async with open_world(groups=[rack()], machines=one(), autoscaler=None, site=QUICK) as world:
        await up(world)
        world.inject({"kind": "imageMissing", "machine": "box-1", "count": 1000})
        await world.until(lambda: outcome(world) is CheckOutcome.UNKNOWN, within=300)
        assert condition(world)[:2] == ("Unknown", "NoResult")
        assert world.node("box-1").status.health is NodeHealth.HEALTHY


async def test_a_check_that_hangs_has_failed(autojump_clock: MockClock) -> None:
    """It ran, and was not done at its deadline: that is known, though the pod is gone by then."""
    async with open_world(groups=[rack()], machines=one(), autoscaler=None, site=QUICK) as world:
        await up(world)
        world.inject({"kind": "stuckJob", "machine": "box-1", "count": 1000})
        await world.until(lambda: outcome(world) is CheckOutcome.FAILED, within=300)


async def test_a_check_that_a_program_changes_each_time_runs_and_is_written_seldom(autojump_clock: MockClock) -> None:
    """A policy that gives every CronJob the zone of the house: the API server is spared, and the check still counts."""
    async with open_world(groups=[rack()], machines=one(), autoscaler=None, site=QUICK) as world:
        api = world.site.api

        def changed(event: Any) -> None:
            if event.type is not ChangeType.DELETED and event.stored.raw["spec"].get("timeZone") != "Europe/Berlin":
                body = {"spec": {"timeZone": "Europe/Berlin"}}
                world.site.timers.after(
                    0.05, lambda: api.patch(CRON_JOBS, event.stored.key, Patch(body), manager="policy")
                )

        api.listen(CRON_JOBS, changed)
        await up(world)
        await trio.sleep(600)
        assert kube_of(world).count("patch", CRON_JOBS) < 40
        assert outcome(world) is CheckOutcome.PASSED
        assert [each.reason for each in world.journal.events].count("Contested") == 1


async def test_a_changed_spec_patches_and_a_removed_one_deletes(autojump_clock: MockClock) -> None:
    """Also while hexa is away, and a CronJob that somebody deletes or changes is put right."""
    async with open_world(groups=[rack()], machines=one(), autoscaler=None, site=QUICK) as world:
        await up(world)
        await world.until(lambda: cron_jobs(world) and not cron_jobs(world)[0].spec.suspend, within=10)
        uid = cron_jobs(world)[0].metadata.uid
        world.edit("box-1", {"healthcheckPeriod": "10m"})
        await world.until(lambda: "/10 " in cron_jobs(world)[0].spec.schedule, within=5)
        assert cron_jobs(world)[0].metadata.uid == uid
        world._patch(CRON_JOBS, cron_jobs(world)[0].metadata.name, {"suspend": True}, "machines")
        await world.until(lambda: not cron_jobs(world)[0].spec.suspend, within=5)
        world.site.api.delete(CRON_JOBS, ("machines", cron_jobs(world)[0].metadata.name))
        await world.until(lambda: cron_jobs(world), within=5)
        world.agent.kill()
        await world.agent.ended()
        world.edit("box-1", {"healthcheckPodSpec": None, "healthcheckPeriod": None})
        await world.start_agent()
        await world.until(lambda: not cron_jobs(world), within=30)
        await world.until(lambda: world.node("box-1").status.check is None, within=5)
        assert condition(world) == ("", "", "")


async def test_killed_after_each_write_it_ends_with_one_check(autojump_clock: MockClock) -> None:
    """Whenever hexa dies, it makes one CronJob, and the result is told."""
    for dies in range(1, 9):
        async with open_world(groups=[rack()], machines=one(), autoscaler=None, site=QUICK) as world:
            world.kill_agent(after_writes=dies)
            await switch(world, "on")
            with trio.move_on_after(30):
                await world.agent.ended()
                await world.start_agent()
            await world.until(lambda w=world: outcome(w) is CheckOutcome.PASSED, within=300)
            assert len(cron_jobs(world)) == 1


async def test_without_the_right_everything_else_goes_on(autojump_clock: MockClock) -> None:
    """A role of an earlier version: machines wake and rest, and the condition names the right. Once it is given, the check runs."""
    async with open_world(groups=[rack()], machines=one(), autoscaler=None, site=QUICK, agent=False) as world:
        world.agent.bans.add(("list", "cronjobs"))
        await world.start_agent()
        await up(world)
        assert condition(world)[:2] == ("Unknown", "NotRun")
        assert "cronjobs" in condition(world)[2]
        assert world.node("box-1").status.health is NodeHealth.HEALTHY
        await switch(world, "off")
        await reach(world, Phase.OFF)
        world.agent.bans.clear()
        await world.until(lambda: cron_jobs(world), within=200)


async def test_a_cron_job_of_somebody_else_is_named(autojump_clock: MockClock) -> None:
    """The name is taken: a person is told, and nothing of theirs is touched."""
    async with open_world(groups=[rack()], machines=one(), autoscaler=None, site=QUICK) as world:
        await world.until(lambda: cron_jobs(world), within=60)
        name = cron_jobs(world)[0].metadata.name
        world.agent.kill()
        await world.agent.ended()
        world.site.api.delete(CRON_JOBS, ("machines", name))
        spec = {"schedule": "1 1 1 1 *", "suspend": True, "jobTemplate": {"spec": {"template": {}}}}
        world.site.api.create(CRON_JOBS, {"metadata": {"name": name, "namespace": "machines"}, "spec": spec})
        await world.start_agent()
        await world.until(lambda: "not one of hexa's" in condition(world)[2], within=60)
        assert cron_jobs(world)[0].spec.schedule == "1 1 1 1 *"


async def test_no_check_no_question(autojump_clock: MockClock) -> None:
    """Where no machine declares a check nothing is asked of CronJobs."""
    async with open_world(groups=[rack()], machines=boxes(), autoscaler=None, site=QUICK) as world:
        await up(world)
        assert kube_of(world).count("list", CRON_JOBS) == 0


async def test_a_machine_that_is_given_up_has_no_check(autojump_clock: MockClock) -> None:
    """Deleting the Node resource takes the CronJob and its runs along."""
    async with open_world(groups=[rack()], machines=one(), autoscaler=None, site=QUICK) as world:
        await up(world)
        await world.until(lambda: outcome(world) is CheckOutcome.PASSED, within=100)
        world.site.api.delete(MACHINES, ("machines", "box-1"))
        await world.until(lambda: not cron_jobs(world), within=60)
        assert not [job for job in world.site.api.find(JOBS) if CHECK_LABEL in job.raw["metadata"]["labels"]]
