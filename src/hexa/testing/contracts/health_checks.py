"""What becomes of health checks: made once, changed whole, standing still while suspended, and told truly."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from msgspec.structs import replace

from hexa.domain.errors import Refused
from hexa.domain.resources.core import CRON_JOBS, CronJob, Malformed, Toleration
from hexa.domain.resources.health import CheckOutcome
from hexa.domain.resources.v1alpha1 import MACHINES, Lookup
from hexa.domain.rules.health_checks import Check, Run
from hexa.testing.contracts.bench import ChecksBench, Does, expect, refused

NOBODY = "00000000-0000-4000-8000-000000000000"


async def a_check_is_made_once(bench: ChecksBench) -> None:
    """Whatever is repeated, after a crash too, finds it and writes nothing."""
    async with _checked(bench, Does.FINISH) as check:
        await bench.checks.apply(check)
        first = await _stored(bench, check)
        await bench.checks.apply(check)
        again = await _stored(bench, check)
        expect(first is not None and first == again, f"a repeated apply should write nothing: {first} and {again}")


async def a_changed_check_is_changed_whole(bench: ChecksBench) -> None:
    """What is no longer wanted of the pod goes, and a suspension is only that."""
    async with _checked(bench, Does.FINISH) as check:
        spec = replace(check.spec, node_selector={"check.hexa.test/one": "1"}, tolerations=(Toleration(key="a"),))
        await bench.checks.apply(replace(check, spec=spec, suspended=True))
        made = await _stored(bench, check)
        changed = replace(check, cron="7 3 * * *", suspended=True)
        await bench.checks.apply(changed)
        found = await _stored(bench, check)
        expect(found is not None and made is not None, "it should be there")
        assert found is not None
        assert made is not None
        expect(found.metadata.uid == made.metadata.uid, "it should be changed, not made anew")
        expect(found.spec.schedule == "7 3 * * *", f"its schedule should be the new one, not {found.spec.schedule}")
        await bench.checks.apply(changed)
        expect(await _stored(bench, check) == found, "a second apply should write nothing")
        await bench.checks.apply(replace(changed, suspended=False))
        woken = await _stored(bench, check)
        expect(woken is not None and not woken.spec.suspend, "it should run again")


async def a_check_that_passes_and_one_that_fails_tell(bench: ChecksBench) -> None:
    """The newest run that has ended: passed, or failed with what the pod said. (Cron's shortest period is a minute.)"""
    async with _checked(bench, Does.FINISH) as fine, _checked(bench, Does.FAIL) as ill:
        for check in (fine, ill):
            await bench.checks.apply(check)
        passed, failed = await _run(bench, fine), await _run(bench, ill)
        expect(passed.outcome is CheckOutcome.PASSED, f"it should pass, not be {passed}")
        expect(passed.began <= passed.ended, f"a run begins before it ends, not as {passed}")
        expect(failed.outcome is CheckOutcome.FAILED, f"it should fail, not be {failed}")
        expect("exit code" in failed.message, f"it should say its exit code, not {failed.message!r}")


async def a_check_that_never_ran_says_nothing_of_the_machine(bench: ChecksBench) -> None:
    """A node selector that no node has: neither passed nor failed."""
    async with _checked(bench, Does.FINISH, deadline=5) as check:
        nowhere = replace(check, spec=replace(check.spec, node_selector={"check.hexa.test/nowhere": "1"}))
        await bench.checks.apply(nowhere)
        run = await _run(bench, nowhere)
        expect(run.outcome is CheckOutcome.UNKNOWN, f"nobody can know how it is, and it should not be {run}")


async def a_check_never_runs_on_its_own_machine(bench: ChecksBench) -> None:
    """Whoever is to be judged does not judge."""
    async with _checked(bench, Does.FINISH, deadline=5) as check:
        own = replace(check, kubernetes_node=bench.worker)
        await bench.checks.apply(own)
        run = await _run(bench, own)
        expect(run.outcome is CheckOutcome.UNKNOWN, f"it should not have run, and not be {run}")


async def a_removed_check_is_gone(bench: ChecksBench) -> None:
    """Removing it twice, or what never was, is success; another machine's stays."""
    async with _checked(bench, Does.FINISH) as check, _checked(bench, Does.FINISH) as other:
        for each in (check, other):
            await bench.checks.apply(each)
        for _ in range(2):
            await bench.checks.remove(check.machine, uid=check.uid)
        expect(await _stored(bench, check) is None, "it should be gone")
        expect(await _stored(bench, other) is not None, "another machine's check should stay")
        await bench.checks.remove(Lookup(bench.namespace, bench.name("nobody")), uid=NOBODY)


async def a_check_of_somebody_else_is_left_alone(bench: ChecksBench) -> None:
    """A CronJob that only has the name is refused, and not written."""
    async with _checked(bench, Does.FINISH) as check:
        container = {"name": "other", "image": "other"}
        template = {"spec": {"template": {"spec": {"restartPolicy": "Never", "containers": [container]}}}}
        spec = {"schedule": "1 1 1 1 *", "suspend": True, "jobTemplate": template}
        metadata = {"name": bench.checks.name(check), "namespace": bench.namespace}
        async with bench.made(CRON_JOBS, {"metadata": metadata, "spec": spec}) as theirs:
            async with refused(Refused, "applying a check whose name somebody else's CronJob has"):
                await bench.checks.apply(check)
            expect(await _stored(bench, check) == theirs, "somebody else's CronJob should be as it was")


async def checks_go_with_their_machine(bench: ChecksBench) -> None:
    """Deleting the Node resource leaves no CronJob behind."""
    async with _checked(bench, Does.FINISH) as check:
        await bench.checks.apply(check)
        await bench.kube.delete(MACHINES, check.machine.name, namespace=check.machine.namespace)

        async def gone() -> bool:
            return await _stored(bench, check) is None

        await bench.until("the CronJob is gone", gone)


@asynccontextmanager
async def _checked(bench: ChecksBench, does: Does, *, deadline: int = 50) -> AsyncIterator[Check]:
    """A check each minute for a machine of its own, not applied yet; what it made is gone afterwards."""
    async with bench.made(MACHINES, bench.manifest("machine", spec={})) as machine:
        name = machine.metadata.name
        check = Check(
            machine=Lookup(bench.namespace, name),
            uid=machine.metadata.uid,
            spec=bench.spec(does, name),
            cron="* * * * *",
            every=60,
            deadline=deadline,
            late=60,
            kubernetes_node=name,
        )
        yield check
        await bench.checks.remove(check.machine, uid=check.uid)


async def _stored(bench: ChecksBench, check: Check) -> CronJob | None:
    found = (await bench.kube.list(CRON_JOBS, bench.one(bench.checks.name(check)))).items
    assert not any(isinstance(each, Malformed) for each in found)
    return next((each for each in found if isinstance(each, CronJob)), None)


async def _run(bench: ChecksBench, check: Check) -> Run:
    return await bench.until("a run has ended", lambda: bench.checks.last(check))
