"""What is stuck on a machine that is dead: let go with two proofs that it is off, and never without."""

from typing import Any

import pytest
import trio
from tests.scenarios.stage import QUICK, boxes, rack, reach, switch, up
from trio.testing import MockClock

from hexa.domain.machine.lifecycle import Phase
from hexa.domain.names import OUT_OF_SERVICE_ANNOTATION, OUT_OF_SERVICE_TAINT
from hexa.domain.resources.core import CLAIMS, NODES, VOLUMES
from hexa.ports.kube import Patch
from hexa.testing.world import Machine, World, open_world

P = Phase
FREES: dict[str, Any] = {"remediation": {"outOfService": True}}
CLAIM = {"name": "data", "persistentVolumeClaim": {"claimName": "data"}}
SIX_MINUTES = 360.0


def readable(count: int, **more: Any) -> list[Machine]:
    """Machines whose power is read."""
    return boxes(count, sensor=True, **more)


def add_volume(world: World) -> None:
    """A volume that one node at a time may have, and its claim."""
    world.site.api.create(VOLUMES, {"metadata": {"name": "disk"}, "spec": {"csi": {"driver": "example"}}})
    claim = {"metadata": {"name": "data", "namespace": "default"}, "spec": {"volumeName": "disk"}}
    world.site.api.create(CLAIMS, claim)


async def with_volume(world: World) -> None:
    """The first machine is up and runs a pod that has the volume; the second is up too."""
    add_volume(world)
    await up(world)
    world.add_pods(1, cpu="1", volumes=[CLAIM])
    await world.until(lambda: world.waiting == 0, within=20)
    await up(world, "box-2")


def taints(world: World, name: str = "box-1") -> list[str]:
    """Keys of the taints of its node; none where there is no node."""
    node = world.kube_node(name)
    return [] if node is None else [taint.key for taint in node.spec.taints]


def marked(world: World, name: str = "box-1") -> bool:
    """Whether hexa's mark stands on its node."""
    node = world.kube_node(name)
    return node is not None and OUT_OF_SERVICE_ANNOTATION in node.metadata.annotations


def runs_on(world: World, name: str) -> bool:
    """Whether the load runs there."""
    return [p.spec.node_name for p in world.pods(phase="Running") if p.metadata.namespace == "default"] == [name]


class TaintWatch:
    """What each change of the first node shows: the phase that its machine is in then, with and without the taint."""

    def __init__(self, world: World) -> None:
        self.seen: list[tuple[Phase, bool, bool]] = []
        """Phase, tainted, Ready."""
        self._world = world
        world.site.api.listen(NODES, self._changed)

    def _changed(self, event: Any) -> None:
        if event.stored.key[1] != "box-1":
            return
        raw = event.stored.raw
        tainted = any(taint["key"] == OUT_OF_SERVICE_TAINT for taint in raw["spec"].get("taints") or ())
        conditions = (raw.get("status") or {}).get("conditions") or ()
        is_ready = any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)
        self.seen.append((self._world.phase("box-1"), tainted, is_ready))


# --- failure 27: a volume stuck on a machine that is really off ---------------------------------------------------


async def test_failure_27_a_volume_on_a_machine_that_is_really_off_moves(autojump_clock: MockClock) -> None:
    """Its power supply dies: it reads Off, is silent for two lease periods, and no wake brings it. Its pod and volume move to
    another machine within two minutes; when it is mended and boots, the taint is gone before its kubelet is."""
    async with open_world(groups=[rack(**FREES)], machines=readable(2), autoscaler=None, site=QUICK) as world:
        await with_volume(world)
        watch = TaintWatch(world)
        world.inject({"kind": "dead", "machine": "box-1", "duration": 1800})
        world.hardware("box-1").lose_power()
        assert await world.until(lambda: runs_on(world, "box-2"), within=600) < 150
        assert OUT_OF_SERVICE_TAINT in taints(world)
        assert marked(world)
        assert "OutOfService" in {c.type for c in world.node("box-1").status.conditions}
        assert "OutOfService" in world.journal.reasons("box-1")
        await reach(world, P.READY, within=4000)
        await trio.sleep(30)
        assert taints(world) == []
        assert not marked(world)
        assert {phase for phase, tainted, _ in watch.seen if tainted} <= {P.OFF, P.START_FAILED, P.POWERING_ON}
        assert not any(tainted and is_ready for _, tainted, is_ready in watch.seen)
        assert runs_on(world, "box-2")
        shape = world.node("box-1").status.template
        assert shape is not None
        assert shape.taints == ()


async def test_failure_27_without_the_groups_word_the_volume_waits(autojump_clock: MockClock) -> None:
    """The default: Kubernetes waits for the kubelet, and hexa says nothing to it."""
    async with open_world(groups=[rack()], machines=readable(2), autoscaler=None, site=QUICK) as world:
        await with_volume(world)
        world.inject({"kind": "dead", "machine": "box-1"})
        world.hardware("box-1").lose_power()
        await trio.sleep(3600)
        assert not runs_on(world, "box-2")
        assert OUT_OF_SERVICE_TAINT not in taints(world)


@pytest.mark.parametrize("frees", [True, False])
async def test_failure_27_a_node_that_leaves_is_tainted_first(autojump_clock: MockClock, frees: bool) -> None:
    """nodeLeavePolicy Delete, and a power-off by force that left a pod behind: with the taint the volume is free before the node
    goes, and the pod runs elsewhere within two minutes; the delete alone frees the pod, and its volume after six minutes."""
    force = {"drain": {"force": True}, "timeouts": {"drain": "30s", "lost": "30s"}}
    group = rack(**force, **(FREES if frees else {}))
    async with open_world(groups=[group], machines=readable(2, hard_off=True), autoscaler=None, site=QUICK) as world:
        await with_volume(world)
        world.hardware("box-1").hang()
        await switch(world, "off")
        await reach(world, P.OFF, within=300)
        took = await world.until(lambda: runs_on(world, "box-2"), within=900)
        assert (took < 120) is frees
        assert frees or took > SIX_MINUTES
        await world.until(lambda: world.kube_node("box-1") is None, within=60)


async def test_drained_machine_is_not_tainted(autojump_clock: MockClock) -> None:
    """After an ordinary power-off nothing is stuck: the node leaves at once, and no taint is ever seen."""
    async with open_world(groups=[rack(**FREES)], machines=readable(2), autoscaler=None, site=QUICK) as world:
        await with_volume(world)
        watch = TaintWatch(world)
        await switch(world, "off")
        await reach(world, P.OFF)
        await world.until(lambda: world.kube_node("box-1") is None, within=10)
        assert not any(tainted for _, tainted, _ in watch.seen)


# --- never without two proofs ---------------------------------------------------------------------------------


async def test_failure_28_a_partition_is_never_tainted(autojump_clock: MockClock) -> None:
    """NotReady and silent for hours, and a reading says On: its pods stay where they may still run."""
    async with open_world(groups=[rack(**FREES)], machines=readable(2), autoscaler=None, site=QUICK) as world:
        await with_volume(world)
        watch = TaintWatch(world)
        world.inject({"kind": "partition", "machine": "box-1", "duration": 7200})
        await trio.sleep(7000)
        assert world.phase("box-1") is P.LOST
        assert not any(tainted for _, tainted, _ in watch.seen)
        assert not runs_on(world, "box-2")


async def test_failure_5_a_controller_that_died_with_its_host_proves_nothing(autojump_clock: MockClock) -> None:
    """The cable is pulled, and the sensor dies with the machine: Unknown is not Off, and nothing is let go."""
    async with open_world(groups=[rack(**FREES)], machines=readable(2), autoscaler=None, site=QUICK) as world:
        await with_volume(world)
        world.inject({"kind": "dead", "machine": "box-1"}, {"kind": "sensorBlind", "machine": "box-1"})
        await trio.sleep(1)
        world.hardware("box-1").lose_power()
        await trio.sleep(7200)
        assert OUT_OF_SERVICE_TAINT not in taints(world)
        assert world.kube_node("box-1") is not None


async def test_machine_whose_power_nothing_reads_is_never_tainted(autojump_clock: MockClock) -> None:
    """Silence and a shutdown Job that is done are not enough: it may hang in its shutdown."""
    force = {"drain": {"force": True}, "timeouts": {"drain": "30s", "lost": "30s"}}
    async with open_world(
        groups=[rack(nodeLeavePolicy="Keep", **force, **FREES)],
        machines=boxes(2, hard_off=True),
        autoscaler=None,
        site=QUICK,
    ) as world:
        await with_volume(world)
        world.hardware("box-1").hang()
        await switch(world, "off")
        await reach(world, P.OFF, within=300)
        await trio.sleep(1800)
        assert OUT_OF_SERVICE_TAINT not in taints(world)


async def test_failure_39_blind_hexa_taints_nothing(autojump_clock: MockClock) -> None:
    """After an outage the silence of two lease periods is watched anew."""
    async with open_world(groups=[rack(**FREES)], machines=readable(2), autoscaler=None, site=QUICK) as world:
        await with_volume(world)
        await switch(world, "off")
        world.add_budget(minAvailable=1)
        world.site.api.outage(600)
        world.inject({"kind": "dead", "machine": "box-1"})
        world.hardware("box-1").lose_power()
        await trio.sleep(600)
        assert OUT_OF_SERVICE_TAINT not in taints(world)
        took = await world.until(lambda: OUT_OF_SERVICE_TAINT in taints(world), within=300)
        assert took >= 79


# --- taken off again ------------------------------------------------------------------------------------------


async def dead(world: World) -> None:
    """The first machine is dead, and its node tainted."""
    await with_volume(world)
    await switch(world, "off")
    world.add_budget(minAvailable=1)
    world.hardware("box-1").lose_power()
    await world.until(lambda: OUT_OF_SERVICE_TAINT in taints(world), within=300)


KEEP: dict[str, Any] = {"nodeLeavePolicy": "Keep", **FREES}


async def test_button_takes_the_taint_off(autojump_clock: MockClock) -> None:
    """Somebody presses the power button: the taint goes as soon as power is read, long before the kubelet comes up."""
    machines = readable(2, boot_seconds=(8.0, 60.0))
    async with open_world(groups=[rack(**KEEP)], machines=machines, autoscaler=None, site=QUICK) as world:
        await dead(world)
        world.hardware("box-1").press_on()
        await reach(world, P.BOOTING)
        assert await world.until(lambda: OUT_OF_SERVICE_TAINT not in taints(world), within=10) < 2
        await reach(world, P.READY)
        assert not marked(world)


@pytest.mark.parametrize("policy", ["Delete", "Keep"])
async def test_wake_takes_the_taint_off_first(autojump_clock: MockClock, policy: str) -> None:
    """Before the startup Job is made the taint is gone, though it may be that no wake works and the reading stays Off."""
    async with open_world(
        groups=[rack(nodeLeavePolicy=policy, **FREES)], machines=readable(2), autoscaler=None, site=QUICK
    ) as world:
        await dead(world)
        watch = TaintWatch(world)
        world.inject({"kind": "lostWake", "machine": "box-1"})
        await switch(world, "on")
        await reach(world, P.POWERING_ON)
        await trio.sleep(1)
        assert OUT_OF_SERVICE_TAINT not in taints(world)
        await reach(world, P.READY)
        booting = [tainted for phase, tainted, _ in watch.seen if phase in (P.BOOTING, P.READY)]
        assert booting
        assert not any(booting)
        assert taints(world) == [] or OUT_OF_SERVICE_TAINT not in taints(world)


async def test_taint_that_somebody_else_put_on_stays(autojump_clock: MockClock) -> None:
    """A person tainted the node before hexa could: it is theirs, through a boot too."""
    async with open_world(groups=[rack(**KEEP)], machines=readable(2), autoscaler=None, site=QUICK) as world:
        await with_volume(world)
        world.hardware("box-1").hang()
        theirs = {"spec": {"taints": [{"key": OUT_OF_SERVICE_TAINT, "value": "nodeshutdown", "effect": "NoExecute"}]}}
        world.site.api.patch(NODES, ("", "box-1"), Patch(theirs), manager="kubectl")
        await switch(world, "off")
        world.hardware("box-1").lose_power()
        await reach(world, P.OFF)
        await trio.sleep(300)
        assert not marked(world)
        await switch(world, "on")
        await reach(world, P.READY)
        await trio.sleep(30)
        assert taints(world) == [OUT_OF_SERVICE_TAINT]


async def test_group_that_changes_its_mind_takes_the_taint_off(autojump_clock: MockClock) -> None:
    """outOfService: false again, and no node carries hexa's taint any more."""
    async with open_world(groups=[rack(**KEEP)], machines=readable(2), autoscaler=None, site=QUICK) as world:
        await dead(world)
        world.edit_group("rack", {"remediation": None})
        await world.until(lambda: OUT_OF_SERVICE_TAINT not in taints(world), within=10)
        assert not marked(world)


@pytest.mark.long
async def test_killed_at_each_write_the_taint_still_goes(autojump_clock: MockClock) -> None:
    """Killed after any write around the taint and started again: it comes once, and goes before the boot."""
    for number in range(1, 6):
        async with open_world(groups=[rack(**KEEP)], machines=readable(2), autoscaler=None, site=QUICK) as world:
            await with_volume(world)
            await switch(world, "off")
            world.add_budget(minAvailable=1)
            await reach(world, P.DRAINING)
            world.kill_agent(after_writes=number)
            world.hardware("box-1").lose_power()
            with trio.move_on_after(200):
                await world.agent.ended()
                await trio.sleep(1)
                await world.start_agent()
            await world.until(lambda: OUT_OF_SERVICE_TAINT in taints(world), within=400)
            await switch(world, "on")
            await reach(world, P.READY)
            await trio.sleep(5)
            assert OUT_OF_SERVICE_TAINT not in taints(world), number
            assert not marked(world), number


async def test_a_taint_that_somebody_left_is_told_and_left_alone(autojump_clock: MockClock) -> None:
    """On a machine that serves, the condition names it until it is gone; a power cycle with a new node does not bring it back."""
    async with open_world(groups=[rack()], machines=boxes(1), autoscaler=None, site=QUICK) as world:
        await up(world)
        taint = {"key": OUT_OF_SERVICE_TAINT, "value": "nodeshutdown", "effect": "NoExecute"}
        world.site.api.patch(NODES, ("", "box-1"), Patch({"spec": {"taints": [taint]}}), manager="kubectl")
        await trio.sleep(5)
        told = {c.type: c.reason for c in world.node("box-1").status.conditions}
        assert told["OutOfService"] == "TaintLeft"
        await switch(world, "off")
        await reach(world, Phase.OFF)
        await trio.sleep(120)
        await up(world)
        node = world.kube_node("box-1")
        assert node is not None
        assert node.spec.taints == ()
        assert "OutOfService" not in {c.type for c in world.node("box-1").status.conditions}
