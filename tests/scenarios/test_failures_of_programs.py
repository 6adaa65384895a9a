"""What goes wrong with hexa itself and with Cluster Autoscaler, by the numbers of docs/failures.md, and what becomes of it."""

from collections import Counter

import pytest
import trio
from tests.scenarios.stage import ID, QUICK, JobWatch, boxes, kube_of, loaded, rack, reach, switch, up
from trio.testing import MockClock

from hexa.domain.errors import Unavailable
from hexa.domain.machine.lifecycle import Phase
from hexa.testing.autoscaler import Settings, open_autoscaler
from hexa.testing.world import Agent, open_world

EAGER = Settings(scale_down_unneeded_time=60, scale_down_delay_after_add=60)


@pytest.mark.parametrize("late", [0.02, 0.3])
async def test_failure_13_an_old_leader_that_still_acts(autojump_clock: MockClock, late: float) -> None:
    """While two hexas are at work, one of them always late, a machine is never switched by two Jobs at once, no attempt has a
    second Job, no pod is lost, and the last word is followed."""
    async with open_world(groups=[rack()], machines=boxes(2), autoscaler=None, site=QUICK) as world:
        jobs = JobWatch(world)
        rival = Agent(world.site, world.journal)
        rival.latency = late
        kube_of(world).latency = 0.02
        async with trio.open_nursery() as nursery:
            nursery.start_soon(rival.run)
            await loaded(world)
            await up(world, "box-2")
            await switch(world, "off")
            await reach(world, Phase.OFF, within=300)
            await switch(world, "on")
            await reach(world, Phase.READY, within=300)
            rival.kill()
        await trio.sleep(60)
        assert jobs.most == 1
        assert max(Counter(jobs.made).values()) == 1
        assert jobs.of("box-1") == ["startup", "shutdown", "startup"]
        assert world.site.report().pods_killed == 0
        assert world.waiting == 0


@pytest.mark.parametrize("policy", ["Delete", "Keep"])
async def test_failures_18_and_19_cluster_autoscaler_restarts_with_most_machines_off(
    autojump_clock: MockClock, policy: str
) -> None:
    """With five of six machines off, and after a restart in which it strips its taints, Cluster Autoscaler finds the cluster
    healthy and scales up: what is off is not unready."""
    machines = boxes(6, on=True)
    group = rack(nodeLeavePolicy=policy, wakeProof="Ignore")
    async with open_world(groups=[group], machines=machines, autoscaler=None, site=QUICK) as world:
        world.add_pods(1, cpu="3")
        client = world.site.client(manager="cluster-autoscaler")
        async with open_autoscaler(world.cloud, client, world.site.clock, settings=EAGER):
            await world.until(lambda: list(world.phases().values()).count(Phase.OFF) == 5, within=1800)
        async with open_autoscaler(world.cloud, client, world.site.clock, settings=EAGER) as autoscaler:
            await trio.sleep(300)
            world.scale(4)
            await world.until(lambda: world.waiting == 0, within=120)
            assert "ClusterUnhealthy" not in {decision.what for decision in autoscaler.decisions}
            assert autoscaler.last_error == ""


@pytest.mark.parametrize("away", [8.0, 60.0])
async def test_failure_20_hexa_is_away_for_cluster_autoscaler(autojump_clock: MockClock, away: float) -> None:
    """While hexa does not answer, Cluster Autoscaler leaves loops out; it comes back to the same groups and sizes, and no machine
    is asked for twice."""
    async with open_world(groups=[rack()], machines=boxes(4), autoscaler=EAGER, site=QUICK) as world:
        jobs = JobWatch(world)
        world.add_pods(2, cpu="3")
        await world.until(lambda: Phase.BOOTING in world.phases().values(), within=60)
        before = world.cloud.groups(), world.cloud.target_size(ID)
        world.kill_agent()
        await world.agent.ended()
        with pytest.raises(Unavailable):
            world.cloud.groups()
        await trio.sleep(away)
        await world.start_agent()
        await trio.sleep(1)
        assert [group.id for group in world.cloud.groups()] == [group.id for group in before[0]]
        assert world.cloud.target_size(ID) == before[1] == 2
        await world.until(lambda: world.waiting == 0, within=120)
        await trio.sleep(120)
        assert len({name for name, _, _ in jobs.made}) == 2
        assert world.autoscaler is not None
        assert [decision.what for decision in world.autoscaler.decisions] == ["ScaleUp"]
