"""Leases that are late are noticed to the second, and those that are renewed in time cost no look at their machine."""

from datetime import timedelta

import pytest
import trio
from tests.app.rig import at, key
from trio.testing import MockClock

from hexa.adapters.memory.clock import MemoryClock
from hexa.app.node.heartbeats import LeaseHeartbeats
from hexa.app.node.lease_watch import LeaseWatch
from hexa.domain.resources.core import Lease, LeaseSpec, Metadata

PERIOD = 40.0


class Stage:
    """A watch, what it told and when, and kubelets that renew when they are told to."""

    def __init__(self, nursery: trio.Nursery) -> None:
        self.clock = MemoryClock()
        self.leases = LeaseHeartbeats(clock=self.clock)
        self.leases.replace((), scope="kube-node-lease")
        self.late: list[tuple[str, float]] = []
        self.watch = LeaseWatch(heartbeats=self.leases, clock=self.clock)
        self.watch.subscribe(lambda machine: self.late.append((machine.name, trio.current_time())))
        nursery.start_soon(self.watch.run)

    def renew(self, node: str) -> None:
        """A kubelet renews its Lease."""
        metadata = Metadata(name=node, namespace="kube-node-lease")
        self.leases.put(Lease(metadata=metadata, spec=LeaseSpec(renew_time=self.clock.now())))


async def test_lease_that_is_renewed_is_never_late(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    """Nobody is told of a kubelet that keeps its time, for as long as it does; then once, a whole period after its last word."""
    stage = Stage(nursery)
    stage.watch.watch(key("m1"), node="m1", until=at(PERIOD))
    for _ in range(30):
        stage.renew("m1")
        await trio.sleep(10)
    await trio.sleep(600)
    assert stage.late == [("m1", 290 + PERIOD)]


@pytest.mark.parametrize("until", [5.0, PERIOD])
async def test_node_that_is_never_heard_is_late_when_due(
    autojump_clock: MockClock, nursery: trio.Nursery, until: float
) -> None:
    """Silence from the start is told at the moment that was asked for, whatever else is watched."""
    stage = Stage(nursery)
    stage.watch.watch(key("m2"), node="m2", until=at(300))
    await trio.sleep(1)
    stage.watch.watch(key("m1"), node="m1", until=at(until))
    await trio.sleep(200)
    assert stage.late == [("m1", until)]


async def test_watch_that_is_set_again_tells_once(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    """A machine that is looked at for other reasons meanwhile is told once, at the earliest moment that was asked for."""
    stage = Stage(nursery)
    for until in (60, 40, 90):
        stage.watch.watch(key("m1"), node="m1", until=at(until))
    await trio.sleep(600)
    assert stage.late == [("m1", 40)]
    stage.watch.watch(key("m1"), node="m1", until=stage.clock.now() + timedelta(seconds=10))
    await trio.sleep(60)
    assert stage.late[1:] == [("m1", 610)]


async def test_machine_with_another_node_is_judged_by_that(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    """The name of its Kubernetes node may change while it is watched."""
    stage = Stage(nursery)
    stage.watch.watch(key("m1"), node="old", until=at(20))
    stage.watch.watch(key("m1"), node="new", until=at(20))
    await trio.sleep(15)
    stage.renew("new")
    await trio.sleep(100)
    assert stage.late == [("m1", 15 + PERIOD)]
