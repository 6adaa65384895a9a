"""What becomes of orders for power actions: started once, observed truly, cancelled with all that belongs to them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from msgspec.structs import replace

from hexa.domain.names import UID_LABEL
from hexa.domain.resources.core import JOBS, PODS
from hexa.domain.resources.v1alpha1 import MACHINES, Lookup
from hexa.ports.jobs import Action, Order, Outcome, Seen
from hexa.ports.kube import Selector
from hexa.testing.contracts.bench import Does, JobsBench, expect


async def an_order_is_done(bench: JobsBench) -> None:
    """It runs at first, is done in the end, and stays done however often it is asked for."""
    async with _ordered(bench, Does.FINISH) as order:
        first = await bench.jobs.start(order)
        name = bench.jobs.name(order)
        expect(first == Seen(name, Outcome.RUNNING), f"a new order should run, not be {first}")
        seen = await _ends(bench, order)
        expect(seen == Seen(name, Outcome.DONE), f"the order should be done, not {seen}")
        again = await bench.jobs.start(order)
        expect(again == seen, f"starting what is done should say so, not {again}")


async def an_order_is_started_once(bench: JobsBench) -> None:
    """A repeated start, as after a crash, finds its Job."""
    async with _ordered(bench, Does.HANG) as order:
        for _ in range(3):
            await bench.jobs.start(order)
        jobs = await _jobs(bench, order)
        expect(jobs == [bench.jobs.name(order)], f"there should be one Job, not {jobs}")


async def another_attempt_is_another_order(bench: JobsBench) -> None:
    """Yesterday's result is not taken for today's, nor that of a machine that was declared anew."""
    async with _ordered(bench, Does.FINISH) as order:
        await bench.jobs.start(order)
        await _ends(bench, order)
        others = (
            replace(order, attempt=order.attempt + 1),
            replace(order, action=Action.SHUTDOWN),
            replace(order, uid="00000000-0000-4000-8000-000000000000"),
        )
        for other in others:
            expect(await bench.jobs.observe(other) is None, f"{other} was never given")


async def a_failed_order_says_why(bench: JobsBench) -> None:
    """Its container failed, and the message is more than nothing."""
    async with _ordered(bench, Does.FAIL) as order:
        await bench.jobs.start(order)
        seen = await _ends(bench, order)
        expect(seen.outcome is Outcome.FAILED, f"the order should fail, not be {seen}")
        expect("exit code" in seen.message, f"the message should have the exit code, not {seen.message!r}")


async def a_missing_image_is_named(bench: JobsBench) -> None:
    """While there is time to mend it, and at the deadline."""
    async with _ordered(bench, Does.LACK_ITS_IMAGE, deadline=6) as order:
        await bench.jobs.start(order)
        await bench.until("the image is named as the reason", lambda: _says(bench, order, "Image"))
        seen = await _ends(bench, order)
        expect(seen.outcome is Outcome.FAILED, f"the order should fail at its deadline, not be {seen}")
        expect("Image" in seen.message, f"the message should still name the image, not be {seen.message!r}")


async def an_order_that_fits_nowhere_says_so(bench: JobsBench) -> None:
    """A node selector that no node has."""
    async with _ordered(bench, Does.FINISH) as order:
        order = replace(order, spec=replace(order.spec, node_selector={"check.hexa.test/nowhere": "1"}))
        await bench.jobs.start(order)
        await bench.until("it cannot be scheduled", lambda: _says(bench, order, "cannot be scheduled"))


async def an_order_never_runs_on_its_own_machine(bench: JobsBench) -> None:
    """What is to be switched off does not run the switch."""
    async with _ordered(bench, Does.FINISH) as order:
        order = replace(order, kubernetes_node=bench.worker)
        await bench.jobs.start(order)
        await bench.until("it cannot be scheduled", lambda: _says(bench, order, "cannot be scheduled"))


async def an_order_ends_at_its_deadline(bench: JobsBench) -> None:
    """What hangs is ended as failed."""
    async with _ordered(bench, Does.HANG, deadline=3) as order:
        await bench.jobs.start(order)
        seen = await _ends(bench, order)
        expect(seen.outcome is Outcome.FAILED, f"the order should fail, not be {seen}")


async def cancel_leaves_nothing(bench: JobsBench) -> None:
    """Jobs and pods of the machine are gone when it says so, but for the one to keep; other machines' stay."""
    async with _ordered(bench, Does.HANG) as order, _ordered(bench, Does.HANG) as other:
        newer = replace(order, attempt=order.attempt + 1, action=Action.SHUTDOWN)
        for each in (order, newer, other):
            await bench.jobs.start(each)
            await bench.until("its pod is there", partial(_pods, bench, each))
        keep = bench.jobs.name(newer)
        await _cancelled(bench, order, keep=keep)
        expect(await bench.jobs.observe(order) is None, "a cancelled order should be gone")
        expect(await _jobs(bench, order) == [keep], "the order to keep should be there")
        expect(len(await _pods(bench, order)) == 1, "the pod of the order to keep should be there")
        await _cancelled(bench, order)
        left = await _jobs(bench, order) + await _pods(bench, order)
        expect(left == [], f"nothing should be left of the machine, not {left}")
        expect(await _jobs(bench, other) == [bench.jobs.name(other)], "another machine's order should be there")


async def cancelling_nothing_is_success(bench: JobsBench) -> None:
    """Also of a machine that nobody ever heard of."""
    nobody = Lookup(bench.namespace, bench.name("nobody"))
    expect(await bench.jobs.cancel(nobody, uid="00000000-0000-4000-8000-000000000000"), "there is nothing to wait for")


async def orders_go_with_their_machine(bench: JobsBench) -> None:
    """Deleting the Node resource leaves no Job and no pod behind."""
    async with _ordered(bench, Does.HANG) as order:
        await bench.jobs.start(order)
        await bench.until("its pod is there", lambda: _pods(bench, order))
        await bench.kube.delete(MACHINES, order.machine.name, namespace=order.machine.namespace)

        async def nothing() -> bool:
            return not await _jobs(bench, order) and not await _pods(bench, order)

        await bench.until("Job and pod are gone", nothing)


@asynccontextmanager
async def _ordered(bench: JobsBench, does: Does, *, deadline: float = 60) -> AsyncIterator[Order]:
    """An order for a machine of its own, not given yet; what it made is gone afterwards."""
    async with bench.made(MACHINES, bench.manifest("machine", spec={})) as machine:
        order = Order(
            machine=Lookup(bench.namespace, machine.metadata.name),
            uid=machine.metadata.uid,
            action=Action.STARTUP,
            attempt=1,
            spec=bench.spec(does, machine.metadata.name),
            deadline=deadline,
            kubernetes_node=machine.metadata.name,
        )
        yield order
        await _cancelled(bench, order)


async def _ends(bench: JobsBench, order: Order) -> Seen:
    async def ended() -> Seen | None:
        seen = await bench.jobs.observe(order)
        return seen if seen is not None and seen.outcome is not Outcome.RUNNING else None

    return await bench.until("the order ends", ended)


async def _says(bench: JobsBench, order: Order, words: str) -> bool:
    seen = await bench.jobs.observe(order)
    return seen is not None and words in seen.message


async def _cancelled(bench: JobsBench, order: Order, *, keep: str = "") -> None:
    await bench.until(
        "nothing is left of what was cancelled", lambda: bench.jobs.cancel(order.machine, uid=order.uid, keep=keep)
    )


async def _jobs(bench: JobsBench, order: Order) -> list[str]:
    selector = Selector(namespace=bench.namespace, labels=f"{UID_LABEL}={order.uid}")
    return [job.metadata.name for job in (await bench.kube.list(JOBS, selector)).items]


async def _pods(bench: JobsBench, order: Order) -> list[str]:
    selector = Selector(namespace=bench.namespace, labels=f"{UID_LABEL}={order.uid}")
    return [pod.metadata.name for pod in (await bench.kube.list(PODS, selector)).items]
