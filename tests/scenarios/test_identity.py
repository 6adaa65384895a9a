"""An identity that changes in mid-life is noticed, told, and taken over by a stated rule: what runs is drained first."""

from typing import Any

import pytest
import trio
from tests.scenarios.stage import QUICK, JobWatch, boxes, kube_of, loaded, rack, reach, switch, up
from tests.scenarios.ways import WAYS
from trio.testing import MockClock

from hexa.domain.errors import Unavailable
from hexa.domain.machine.lifecycle import Phase
from hexa.domain.names import GROUP_LABEL
from hexa.domain.resources.core import JOBS, NODES
from hexa.domain.resources.v1alpha1 import MACHINES
from hexa.ports.cloud import Denied, ExternalNode
from hexa.ports.kube import Patch
from hexa.testing.world import World, group, open_world
from hexa.testing.world.builders import NAMESPACE

P = Phase


def told(world: World, reason: str, name: str = "box-1") -> int:
    """How often a person was told so of the machine."""
    return sum(e.reason == reason and e.about.name == name for e in world.journal.events)


def waits(world: World, name: str = "box-1") -> str:
    """Why a change of its identity waits."""
    found = (c.reason for c in world.node(name).status.conditions if c.type == "IdentityChanged")
    return next(found, "")


def named(world: World, name: str = "box-1") -> str:
    """The Kubernetes node that counts."""
    return world.node(name).status.identity.kubernetes_node


@pytest.mark.parametrize("restart", [False, True])
async def test_failure_45_a_renamed_machine_keeps_its_node_until_it_is_off(
    autojump_clock: MockClock, restart: bool
) -> None:
    """kubernetesNodeName is edited while pods run: nothing is woken or lost, a condition and one Event say that it waits, an off
    drains the old name's node first, and then the new name counts."""
    async with open_world(groups=[rack()], machines=boxes(2), autoscaler=None, site=QUICK) as world:
        await loaded(world)
        jobs = JobWatch(world)
        world.edit("box-1", {"kubernetesNodeName": "box-1.lan"})
        if restart:
            await world.restart_agent(after=5)
        await trio.sleep(120)
        assert (world.phase("box-1"), waits(world), named(world)) == (P.READY, "NodeNameWaits", "box-1")
        assert (told(world, "NodeNameWaits"), jobs.made) == (1, [])
        await up(world, "box-2")  # the pod has a place to go to
        await switch(world, "off")
        await world.until(lambda: named(world) == "box-1.lan", within=600)
        assert (world.phase("box-1"), world.hardware("box-1").power, world.kube_node("box-1")) == (P.OFF, False, None)
        assert world.site.report().pods_killed == 0
        assert waits(world) == ""


@pytest.mark.parametrize(
    ("leave", "restart"),
    [("Delete", False), *(pytest.param("Keep", each, marks=pytest.mark.long) for each in (False, True))],
)
async def test_failure_45_a_name_of_a_node_that_was_up_beside_it_is_not_its_own(
    autojump_clock: MockClock, leave: str, restart: bool
) -> None:
    """kubernetesNodeName is mistyped, and names a node that lives and is no machine of hexa's; then the network to the machine is
    cut. The two were up at the same time, so they are two: the old name counts, and no off strikes the pods under it."""
    async with open_world(
        groups=[rack(nodeLeavePolicy=leave)], machines=boxes(1), autoscaler=None, site=QUICK
    ) as world:
        world.site.add_machine("other", on=True, boot_seconds=8.0)
        await loaded(world, nodeSelector={"kubernetes.io/hostname": "box-1"})
        world.edit("box-1", {"kubernetesNodeName": "other"})
        await trio.sleep(60)
        world.inject({"kind": "partition", "machine": "box-1", "duration": 1800})
        if restart:
            await world.restart_agent(after=5)
        await trio.sleep(120)
        await switch(world, "off")
        await trio.sleep(1200)
        assert (named(world), waits(world)) == ("box-1", "NodeNameWaits")
        assert world.hardware("box-1").power
        assert world.site.report().pods_killed == 0


async def test_failure_45_a_wrong_name_is_corrected_at_once(autojump_clock: MockClock) -> None:
    """A machine that never joined under a name waits for nothing: it comes up under the right one, in the same boot."""
    async with open_world(groups=[rack()], machines=boxes(1), autoscaler=None, site=QUICK) as world:
        await reach(world, P.OFF)
        world.edit("box-1", {"kubernetesNodeName": "bxo-1"})
        await world.until(lambda: named(world) == "bxo-1", within=60)
        await switch(world, "on")
        await reach(world, P.BOOTING)
        world.edit("box-1", {"kubernetesNodeName": "box-1"})
        await reach(world, P.READY)
        assert world.hardware("box-1").power


@pytest.mark.parametrize("phase", [P.DRAINING, P.POWERING_OFF])
async def test_failure_45_a_name_that_is_corrected_while_the_machine_drains_takes_no_pods(
    autojump_clock: MockClock, phase: Phase
) -> None:
    """Switched off while it boots, with a wrong name that is corrected before the shutdown Job is made: the node that comes up is
    cordoned before the power is cut, so that no pod lands on it at the last moment."""
    async with open_world(groups=[rack()], machines=boxes(1), autoscaler=None, site=QUICK) as world:
        jobs = JobWatch(world)
        await reach(world, P.OFF)
        world.edit("box-1", {"kubernetesNodeName": "bxo-1"})
        await world.until(lambda: named(world) == "bxo-1", within=60)
        await switch(world, "on")
        await reach(world, P.BOOTING)
        kube_of(world).fail_next(Unavailable("no answer"), verb="create", kind=JOBS, times=4)
        await switch(world, "off")
        await reach(world, phase)
        world.edit("box-1", {"kubernetesNodeName": "box-1"})
        await world.until(lambda: jobs.of("box-1")[-1] == "shutdown", within=600, every=0.1)
        node = world.kube_node("box-1")
        assert node is not None
        assert node.spec.unschedulable
        await reach(world, P.OFF, within=300)


async def test_failure_45_pods_on_the_node_of_the_new_name_keep_the_machine_on(autojump_clock: MockClock) -> None:
    """Whose pods they are is not known: they block its off by name, and the node is not drained for it."""
    async with open_world(groups=[rack()], machines=boxes(2), autoscaler=None, site=QUICK) as world:
        await up(world, "box-1", "box-2")
        world.add_pods(2, cpu="3")
        await world.until(lambda: world.waiting == 0, within=30)
        world.edit("box-1", {"kubernetesNodeName": "box-2"})
        await trio.sleep(5)
        answer = await world.cloud.delete_nodes("machines/rack", nodes=[ExternalNode("box-1")])
        assert isinstance(answer, Denied)  # before Cluster Autoscaler has drained it
        assert answer.reason == "KubernetesNodeTaken"
        await switch(world, "off", "box-1")
        world.scale(1)
        await trio.sleep(900)
        assert world.site.report().pods_killed == 0
        assert world.hardware("box-1").power
        assert "Kubernetes node box-2" in world.node("box-1").status.blocker


async def test_failure_45_two_machines_that_are_off_swap_their_names(autojump_clock: MockClock) -> None:
    """A mix-up that is corrected waits for no third name."""
    async with open_world(groups=[rack()], machines=boxes(2), autoscaler=None, site=QUICK) as world:
        await up(world, "box-1", "box-2")
        world.edit("box-1", {"kubernetesNodeName": "box-2"})
        world.edit("box-2", {"kubernetesNodeName": "box-1"})
        await switch(world, "off", "box-1", "box-2")
        await world.until(lambda: (named(world), named(world, "box-2")) == ("box-2", "box-1"), within=900)
        assert world.site.report().pods_killed == 0


async def test_failure_45_a_machine_that_is_declared_anew_under_another_name_is_known_by_its_marks(
    autojump_clock: MockClock,
) -> None:
    """Node resource deleted and made anew with a mistyped name and an off, while hexa was away: the Kubernetes node says whose it
    is, and it is drained before anything is switched."""
    async with open_world(groups=[rack()], machines=boxes(1), autoscaler=None, site=QUICK) as world:
        await loaded(world)
        world.kill_agent()
        manifest = boxes(1)[0].manifest
        spec = {**manifest["spec"], "kubernetesNodeName": "box-1.lan", "powerState": "off"}
        world.site.api.delete(MACHINES, (NAMESPACE, "box-1"))
        world.site.api.create(MACHINES, {**manifest, "spec": spec}, manager="kubectl")
        await world.start_agent()
        await world.until(lambda: "fits on no other node" in world.node("box-1").status.blocker, within=120)
        assert (named(world), waits(world)) == ("box-1", "NodeNameWaits")
        assert world.hardware("box-1").power


@pytest.mark.long
@pytest.mark.parametrize("restart", [False, True])
@pytest.mark.parametrize("policy", ["Delete", "Keep"])
@pytest.mark.parametrize("phase", WAYS)
async def test_failure_45_a_rename_in_any_phase_kills_no_pod(
    autojump_clock: MockClock, phase: Phase, policy: str, restart: bool
) -> None:
    """Renamed and renamed back in whatever phase: no pod is killed, nothing is stuck, and the machine serves in the end."""
    groups = [rack(nodeLeavePolicy=policy)]
    async with open_world(groups=groups, machines=boxes(3), autoscaler=None, site=QUICK) as world:
        await WAYS[phase](world)
        world.edit("box-1", {"kubernetesNodeName": "elsewhere"})
        if restart:
            await world.restart_agent(after=5)
        await trio.sleep(600)
        world.edit("box-1", {"kubernetesNodeName": "box-1", "powerState": "on"})
        await world.until(lambda: world.phase("box-1") is P.READY and world.node("box-1").status.welcomed, within=3600)
        node = world.kube_node("box-1")
        assert node is not None
        assert not node.spec.unschedulable
        assert named(world) == "box-1"
        assert world.site.report().pods_killed == 0


async def test_failure_46_a_changed_address_begins_the_wake_anew(autojump_clock: MockClock) -> None:
    """A MAC address that is corrected while the machine is being woken: another attempt at once, with its full time, and the Job
    of before is gone."""
    async with open_world(groups=[rack()], machines=boxes(1), autoscaler=None, site=QUICK) as world:
        await reach(world, P.OFF)
        jobs = JobWatch(world)
        world.inject({"kind": "lostWake", "machine": "box-1"})
        await switch(world, "on")
        await world.until(lambda: bool(jobs.made), within=20)
        began = world.node("box-1").status
        world.edit("box-1", {"startupPodSpec": {"image": "wake", "args": ["--mac", "52:54:00:00:00:01"]}})
        await world.until(lambda: len(jobs.made) == 2, within=8)
        after = world.node("box-1").status
        assert (after.attempt, after.wakes) == (began.attempt + 1, 1)
        assert (told(world, "PowerChanged"), jobs.most) == (1, 1)
        await reach(world, P.READY)


async def test_failure_46_a_power_off_under_way_acts_on_the_old_address_or_not_at_all(
    autojump_clock: MockClock,
) -> None:
    """It has one Job, which was made before the change; a condition says so, and nothing else is switched meanwhile."""
    async with open_world(groups=[rack()], machines=boxes(1), autoscaler=None, site=QUICK) as world:
        await up(world)
        jobs = JobWatch(world)
        await switch(world, "off")
        await world.until(lambda: bool(jobs.made), within=60)
        world.edit("box-1", {"shutdownPodSpec": {"image": "off", "args": ["--bmc", "192.0.2.9"]}})
        await world.until(lambda: waits(world) == "PowerWaits", within=5)
        await reach(world, P.OFF, within=300)
        assert jobs.of("box-1") == ["shutdown"]
        await world.until(lambda: waits(world) == "", within=10)
        assert told(world, "PowerChanged") == 1
        assert world.node("box-1").status.wake_proven_at is None


@pytest.mark.parametrize("restart", [False, True])
async def test_failure_46_a_machine_that_moves_to_another_group_is_told_once(
    autojump_clock: MockClock, restart: bool
) -> None:
    """The rules of the new group count at once, and one Event says so, also where nobody watched the change."""
    async with open_world(groups=[rack(), group("other")], machines=boxes(1), autoscaler=None, site=QUICK) as world:
        await up(world)
        if restart:
            world.kill_agent()
        label(world, group="other")
        if restart:
            await world.start_agent()
        await trio.sleep(120)
        node = world.kube_node("box-1")
        assert node is not None
        assert (told(world, "GroupChanged"), node.metadata.labels[GROUP_LABEL]) == (1, "other")
        assert world.phase("box-1") is P.READY


def label(world: World, **labels: Any) -> None:
    """A person labels the first machine."""
    body = Patch({"metadata": {"labels": labels}})
    world.site.api.patch(MACHINES, (NAMESPACE, "box-1"), body, manager="kubectl")


async def test_failure_46_a_status_of_another_object_is_not_believed(autojump_clock: MockClock) -> None:
    """A Node that was deleted and made anew, and whose status a backup brought back, is looked at as for the first time: what it
    says of a power-off does not count, and the machine stays as it is found."""
    async with open_world(groups=[rack()], machines=boxes(1), autoscaler=None, site=QUICK) as world:
        await loaded(world)
        jobs = JobWatch(world)
        world.kill_agent()
        status = {"phase": "PoweringOff", "identity": {"uid": "of-before"}}
        world.site.api.patch(
            MACHINES, (NAMESPACE, "box-1"), Patch({"status": status}, subresource="status"), manager="x"
        )
        await world.start_agent()
        await trio.sleep(300)
        assert (world.phase("box-1"), told(world, "StatusOfAnother"), jobs.made) == (P.READY, 1, [])
        assert world.node("box-1").status.identity.uid == world.node("box-1").metadata.uid
        assert world.hardware("box-1").power


async def test_failure_46_a_node_that_registers_anew_while_it_is_up_is_given_back_what_it_had(
    autojump_clock: MockClock,
) -> None:
    """Its Kubernetes node was deleted and made anew between two looks: labels and taints of before come back."""
    async with open_world(groups=[rack()], machines=boxes(1), autoscaler=None, site=QUICK) as world:
        await up(world)
        given = {"metadata": {"labels": {"owner": "ops"}}}
        world.site.api.patch(NODES, ("", "box-1"), Patch(given), manager="kubectl")
        await trio.sleep(5)
        stored = world.site.api.get(NODES, "box-1")
        assert stored is not None
        fresh = {"metadata": {"name": "box-1"}, "status": stored.raw["status"]}
        world.site.api.delete(NODES, ("", "box-1"))
        world.site.api.create(NODES, fresh, manager="kubelet", keep_status=True)
        await trio.sleep(60)
        node = world.kube_node("box-1")
        assert node is not None
        assert (node.metadata.labels.get("owner"), node.metadata.labels.get(GROUP_LABEL)) == ("ops", "rack")
        assert world.hardware("box-1").power
