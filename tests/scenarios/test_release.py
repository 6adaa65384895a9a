"""hexa release in every phase, with the agent alive, dead or killed: nothing of hexa stays, and no power is switched."""

from typing import Any

import pytest
import trio
from tests.scenarios.stage import QUICK, JobWatch, at, boxes, rack, reach, switch, up
from tests.scenarios.test_deleted_resources import clean
from tests.scenarios.ways import WAYS
from trio.testing import MockClock

from hexa.adapters.memory.ports.kube import MemoryKube
from hexa.app.commands.release import HOLD_REASON, Release, Wake, release
from hexa.app.node.power_jobs import PowerJobs
from hexa.domain.errors import NotFound, Refused, Unavailable
from hexa.domain.machine.lifecycle import Phase
from hexa.domain.names import OFF_FINALIZER, RELEASED_ANNOTATION
from hexa.domain.resources.core import JOBS, NODES
from hexa.domain.resources.v1alpha1 import GROUPS, MACHINES
from hexa.ports.kube import Patch
from hexa.testing.world import World, machine, open_world
from hexa.testing.world.builders import NAMESPACE

P = Phase
WAKE = Wake(at_once=2, seconds=120)


async def run(
    world: World, *names: str, wake: Wake | None = None, kube: Any = None, namespace: str | None = NAMESPACE
) -> Release:
    """The command."""
    return await release(kube or world.kube, clock=world.site.clock, namespace=namespace, names=names, wake=wake)


def bare(node: Any) -> dict[str, Any]:
    """What people see of a Kubernetes node; a providerID can't be taken back, and whom hexa shut down it shut down."""
    raw = node.raw
    metadata = {key: raw["metadata"].get(key) or {} for key in ("labels", "annotations")}
    spec = {key: value for key, value in raw["spec"].items() if key != "providerID" and value}
    return {**metadata, "spec": spec, "conditions": sorted(c["type"] for c in raw["status"]["conditions"])}


@pytest.mark.parametrize("agent", ["alive", "dead"])
@pytest.mark.parametrize("phase", WAYS)
async def test_a_released_machine_is_left_as_it_is(autojump_clock: MockClock, phase: Phase, agent: str) -> None:
    """In whatever phase machines are released: their power Jobs end, no other is made, the power stays, their nodes are clean and
    stay so, and no finalizer is left."""
    group = rack(nodeSelector={"shelf": "low"}, minSize=1)
    async with open_world(groups=[group], machines=boxes(3), autoscaler=None, site=QUICK) as world:
        await WAYS[phase](world)
        if agent == "dead":
            world.kill_agent()
        jobs, power = JobWatch(world), world.hardware("box-1").power
        done = await run(world)
        assert {str(freed.key) for freed in done.freed} == {f"machines/box-{number}" for number in (1, 2, 3)}
        assert (done.kept, done.left) == ({}, ())
        assert clean(world)
        await trio.sleep(900)
        assert clean(world)
        assert jobs.made == []
        assert world.site.api.find(JOBS) == []
        assert world.hardware("box-1").power is power or not power  # a wake that was sent before may still bring it
        released = world.node("box-1")
        assert released.metadata.finalizers == ()
        assert RELEASED_ANNOTATION in released.metadata.annotations
        assert released.status.phase == ""
        assert [condition.type for condition in released.status.conditions] == ["Released"]


@pytest.mark.parametrize("policy", ["Delete", "Keep"])
async def test_with_wake_all_machines_are_on_and_their_nodes_as_before_they_were_enrolled(
    autojump_clock: MockClock, policy: str
) -> None:
    """Machines that are off come up first, with the labels, annotations and taints that their nodes had before hexa knew them."""
    group = rack(nodeLeavePolicy=policy, nodeSelector={"shelf": "low"})
    async with open_world(groups=[group], autoscaler=None, site=QUICK) as world:
        names = ("box-1", "box-2", "box-3")
        for name in names:
            world.site.add_machine(name, on=True, boot_seconds=8.0, labels={"role": "db"})
        await world.until(lambda: all(ready(world, name) for name in names), within=60)
        for name in names:
            marks = {"metadata": {"labels": {"owner": "ops"}, "annotations": {"note": "mine"}}}
            body = {**marks, "spec": {"taints": [{"key": "gpu", "effect": "NoSchedule"}]}}
            world.site.api.patch(NODES, ("", name), Patch(body), manager="kubectl")
        before = {name: bare(world.site.api.get(NODES, name)) for name in names}
        for name in names:
            world.site.api.create(MACHINES, machine(name, group="rack", declared=False).manifest, manager="kubectl")
        await world.until(lambda: all(world.phase(name) is P.READY for name in names), within=60)
        await trio.sleep(5)
        await switch(world, "off", *names)
        await world.until(lambda: all(world.phase(name) is P.OFF for name in names), within=600)
        await trio.sleep(120)
        assert (world.kube_node("box-1") is None) is (policy == "Delete")
        done = await run(world, wake=WAKE)
        assert {freed.power for freed in done.freed} == {"on"}
        await trio.sleep(900)
        for name in names:
            assert world.hardware(name).power
            assert bare(world.site.api.get(NODES, name)) == {
                **before[name],
                "conditions": before[name]["conditions"],
            }
            assert world.node(name).spec.hold is None
            assert world.node(name).metadata.finalizers == ()


def ready(world: World, name: str) -> bool:
    """Whether its kubelet says so."""
    node = world.kube_node(name)
    return node is not None and any(c.type == "Ready" and c.status == "True" for c in node.status.conditions)


async def test_wake_names_who_does_not_come_and_keeps_it(autojump_clock: MockClock) -> None:
    """A machine that is held off, one without a way on and one that is dead are not released, each with its reason."""
    more = [*boxes(3), *boxes(4, spec={"startupPodSpec": None})[3:]]
    async with open_world(groups=[rack()], machines=more, autoscaler=None, site=QUICK) as world:
        await world.until(lambda: all(world.phase(f"box-{n}") is P.OFF for n in (1, 2, 3, 4)), within=60)
        world.edit("box-2", {"hold": {"power": "off", "reason": "new fans"}})
        world.inject({"kind": "dead", "machine": "box-3", "duration": 3600})
        done = await run(world, wake=WAKE)
        assert [freed.key.name for freed in done.freed] == ["box-1"]
        kept = {key.name: reason for key, reason in done.kept.items()}
        assert "held off: new fans" in kept["box-2"]
        assert "not Ready within 120 s, its phase is" in kept["box-3"]
        assert "spec.startupPodSpec is absent" in kept["box-4"]
        assert not world.hardware("box-2").power
        assert RELEASED_ANNOTATION not in world.node("box-3").metadata.annotations


async def test_wake_says_that_no_agent_is_there(autojump_clock: MockClock) -> None:
    """Only an agent switches power: without one, a machine that is off is not released, and half a minute says so."""
    async with open_world(groups=[rack()], machines=boxes(1), autoscaler=None, site=QUICK) as world:
        await reach(world, P.OFF)
        world.kill_agent()
        done = await run(world, wake=WAKE)
        assert done.freed == ()
        assert "no hexa agent acts on it" in next(iter(done.kept.values()))
        hold = world.node("box-1").spec.hold
        assert hold is not None
        assert (hold.reason, hold.until is not None) == (HOLD_REASON, True)


class Mortal(MemoryKube):
    """A client that is killed before a write."""

    left = 0

    async def patch(self, *args: Any, **more: Any) -> Any:
        self._count()
        return await super().patch(*args, **more)

    async def delete(self, *args: Any, **more: Any) -> None:
        self._count()
        await super().delete(*args, **more)

    def _count(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise Unavailable("killed")


@pytest.mark.parametrize("agent", ["alive", "dead"])
async def test_killed_at_any_write_it_may_be_repeated(autojump_clock: MockClock, agent: str) -> None:
    """Killed before each of its writes in turn and started again it comes to the same end, with machines up, draining and off."""
    async with open_world(
        groups=[rack(nodeLeavePolicy="Keep")], machines=boxes(3), autoscaler=None, site=QUICK
    ) as world:
        await WAYS[P.DRAINING](world)
        await up(world, "box-2", "box-3")
        await switch(world, "off", "box-3")
        await reach(world, P.OFF, "box-3")
        await trio.sleep(60)
        power = {name: world.hardware(name).power for name in ("box-1", "box-2", "box-3")}
        if agent == "dead":
            world.kill_agent()
        deaths = 0
        while True:
            kube = Mortal(world.site.api)
            kube.left = 1
            try:
                done = await run(world, kube=kube)
            except Unavailable:
                deaths += 1
                assert deaths < 60
                continue
            break
        assert deaths > (3 if agent == "dead" else 1)
        assert done.left == ()
        await trio.sleep(600)
        for name, was in power.items():
            assert world.hardware(name).power is was
            assert world.node(name).metadata.finalizers == ()
            node = world.kube_node(name)
            assert node is not None
            assert not node.spec.unschedulable
            assert "Suspended" not in {c.type for c in node.status.conditions}


async def test_nodes_of_deleted_machines_and_resources_that_hang_are_cleared_without_an_agent(
    autojump_clock: MockClock,
) -> None:
    """With the agent dead and the resources deleted: --all cleans the Kubernetes nodes that still carry marks, and what hangs in
    its finalizer goes."""
    async with open_world(groups=[rack()], machines=boxes(2), autoscaler=None, site=QUICK) as world:
        await up(world, "box-1", "box-2")
        await switch(world, "off")
        await world.until(lambda: world.kube_node("box-1") is None, within=300)
        world.kill_agent()
        for name in ("box-1", "box-2"):
            world.site.api.delete(MACHINES, (NAMESPACE, name))
        await trio.sleep(30)
        assert world.node("box-1").metadata.finalizers == (OFF_FINALIZER,)
        done = await run(world)
        assert done.nodes == ("box-2",)
        assert world.site.api.find(MACHINES) == []


async def test_without_crds_the_nodes_are_cleaned(autojump_clock: MockClock) -> None:
    """The CRDs may be gone already."""
    async with open_world(groups=[rack()], machines=boxes(1), autoscaler=None, site=QUICK) as world:
        await up(world)
        world.kill_agent()
        kube = MemoryKube(world.site.api)
        for kind in (MACHINES, GROUPS):
            kube.fail_next(Refused("the API server does not serve it", reason="KindNotServed"), verb="list", kind=kind)
        assert (await run(world, kube=kube, namespace=None)).nodes == ("box-1",)
        assert clean(world)


async def test_a_released_machine_can_be_taken_back(autojump_clock: MockClock) -> None:
    """Without the annotation it is looked at anew, and kept as it is found."""
    async with open_world(groups=[rack()], machines=boxes(2), autoscaler=None, site=QUICK) as world:
        await up(world)
        await run(world, "box-1")
        assert await world.kube.list(MACHINES) is not None
        assert RELEASED_ANNOTATION not in world.node("box-2").metadata.annotations
        back = Patch({"metadata": {"annotations": {RELEASED_ANNOTATION: None}}})
        world.site.api.patch(MACHINES, (NAMESPACE, "box-1"), back, manager="kubectl")
        await world.until(at(world, P.READY), within=60)
        assert world.hardware("box-1").power
        await trio.sleep(5)
        assert "Released" not in {condition.type for condition in world.node("box-1").status.conditions}
        await switch(world, "off")
        await reach(world, P.OFF, within=300)


@pytest.mark.parametrize("woken", ["by --wake", "by hand"])
async def test_a_machine_that_rested_before_its_release_is_kept_on_when_it_is_taken_back(
    autojump_clock: MockClock, woken: str
) -> None:
    """What was wanted before the release counts no more: a machine that has come up since is not switched off."""
    async with open_world(groups=[rack()], machines=boxes(1), autoscaler=None, site=QUICK) as world:
        await up(world)
        await switch(world, "off")
        await reach(world, P.OFF, within=300)
        await run(world, wake=WAKE if woken == "by --wake" else None)
        if woken == "by hand":
            world.hardware("box-1").press_on()
            await world.until(lambda: ready(world, "box-1"), within=60)
        back = Patch({"metadata": {"annotations": {RELEASED_ANNOTATION: None}}})
        for kind, name in ((GROUPS, "rack"), (MACHINES, "box-1")):
            world.site.api.patch(kind, (NAMESPACE, name), back, manager="kubectl")
        await world.until(at(world, P.READY), within=60)
        await trio.sleep(900)
        assert world.phase("box-1") is P.READY
        await switch(world, "on")
        await trio.sleep(5)
        await switch(world, "off")
        await reach(world, P.OFF, within=300)


async def test_a_released_group_wakes_and_rests_nobody(autojump_clock: MockClock) -> None:
    """Its limits are not kept up any more: while its machines are released one by one, the others are not woken in their place."""
    async with open_world(groups=[rack()], machines=boxes(2), autoscaler=None, site=QUICK) as world:
        await reach(world, P.OFF)
        mark = Patch(
            {"metadata": {"annotations": {RELEASED_ANNOTATION: "2026-11-24T22:00:00Z"}}, "spec": {"minSize": 1}}
        )
        world.site.api.patch(GROUPS, (NAMESPACE, "rack"), mark, manager="kubectl")
        await trio.sleep(300)
        assert not any(world.hardware(name).power for name in ("box-1", "box-2"))
        told = {condition.type: condition.message for condition in world.group("rack").status.conditions}
        assert f"kubectl annotate hg rack -n {NAMESPACE} {RELEASED_ANNOTATION}-" in told["Released"]


async def test_a_name_that_is_no_machine_is_refused(autojump_clock: MockClock) -> None:
    """Nothing is done then."""
    async with open_world(groups=[rack()], machines=boxes(1), autoscaler=None, site=QUICK) as world:
        with pytest.raises(NotFound, match="box-9: there is no machine of that name"):
            await run(world, "box-1", "box-9")
        assert RELEASED_ANNOTATION not in world.node("box-1").metadata.annotations


@pytest.mark.parametrize("power", ["on", "off"])
async def test_an_agent_that_stalls_before_it_acts_does_not_switch_what_was_released_meanwhile(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch, power: str
) -> None:
    """Between the decision, which is saved, and its Job the agent may stand still for long; what it decided counts no more then."""
    async with open_world(groups=[rack()], machines=boxes(1), autoscaler=None, site=QUICK) as world:
        if power == "off":
            await up(world)
        else:
            await reach(world, P.OFF)
        order = PowerJobs.order

        def stalls(jobs: PowerJobs, view: Any, status: Any, action: Any) -> Any:
            mark = Patch({"metadata": {"annotations": {RELEASED_ANNOTATION: "2026-11-24T22:00:00Z"}}})
            world.site.api.patch(MACHINES, (NAMESPACE, "box-1"), mark, manager="kubectl")
            return order(jobs, view, status, action)

        monkeypatch.setattr(PowerJobs, "order", stalls)
        made = JobWatch(world)
        await switch(world, power)
        await trio.sleep(900)
        assert made.made == []
        assert world.hardware("box-1").power is (power == "off")
