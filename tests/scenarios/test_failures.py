"""What goes wrong at real sites, by the numbers of the project's list of failures, and what hexa makes of each."""

from typing import Any

import pytest
import trio
from tests.scenarios.stage import ID, QUICK, JobWatch, at, boxes, kube_of, loaded, rack, reach, switch, up
from trio.testing import MockClock

from hexa.adapters.memory.ports.kube import Verb
from hexa.domain.errors import Refused
from hexa.domain.machine.lifecycle import Phase
from hexa.domain.machine.wish import recorded_wish
from hexa.domain.names import GROUP_LABEL, OFF_FORBIDDEN_ANNOTATION, SAFE_TO_EVICT, SCALE_DOWN_DISABLED
from hexa.domain.resources.core import CLAIMS, JOBS, NODES, PODS, Kind
from hexa.domain.resources.v1alpha1 import Asker, Power
from hexa.ports.cloud import Denied, Done, ExternalNode
from hexa.ports.kube import Patch
from hexa.testing.autoscaler import Settings
from hexa.testing.world import World, group, machine, open_world

SHORT_DRAIN = {"timeouts": {"drain": "30s"}}


def wished(world: World, name: str = "box-1") -> tuple[Power, Asker]:
    """The recorded wish."""
    record = recorded_wish(world.node(name))
    assert record is not None
    return record.power, record.by


def conditions(world: World, name: str = "box-1") -> dict[str, str]:
    """The machine's conditions that hold, and their messages."""
    return {c.type: c.message for c in world.node(name).status.conditions if c.status == "True"}


def cordoned(world: World, name: str = "box-1") -> bool:
    """Whether its Kubernetes node takes no pods."""
    node = world.kube_node(name)
    assert node is not None
    return node.spec.unschedulable


def power_pods(world: World) -> list[Any]:
    """Pods of power Jobs that are there."""
    return [pod for pod in world.pods() if pod.metadata.namespace == "machines"]


async def idle(world: World) -> None:
    """hexa knows all machines, and nothing happens."""
    await world.until(lambda: Phase.UNKNOWN not in world.phases().values(), within=60)
    await trio.sleep(1)


# --- 11: a dead machine costs its group one boot deadline at most ---------------------------------------


async def test_failure_11_what_boots_have_taught_bounds_what_a_dead_machine_costs(autojump_clock: MockClock) -> None:
    """Once three boots have shown that the machine is up within seconds, its death is noticed within two minutes instead of nine,
    with every wake sent, and the next candidate takes its place."""
    machines = [machine(name, group="rack", boot_seconds=8.0) for name in ("box-1", "box-2")]
    async with open_world(groups=[group("rack")], machines=machines, autoscaler=None, site=QUICK) as world:
        await idle(world)
        world.edit("box-2", {"hold": {"power": "off"}})
        for _ in range(3):
            assert await world.cloud.increase_size(ID, delta=1) == Done()
            await reach(world, Phase.READY)
            assert await world.cloud.delete_nodes(ID, nodes=[ExternalNode("box-1")]) == Done()
            await reach(world, Phase.OFF)
        world.inject({"kind": "dead", "machine": "box-1"})
        world.edit("box-2", {"hold": None, "pricing": {"hourlyRate": 1}})
        await trio.sleep(1)
        jobs = JobWatch(world)
        assert await world.cloud.increase_size(ID, delta=1) == Done()
        await reach(world, Phase.START_FAILED, within=150)
        assert jobs.of("box-1") == ["startup"] * 3
        await reach(world, Phase.READY, "box-2", within=60)


# --- 14 to 17, 34: what Cluster Autoscaler asks ---------------------------------------------------------


async def test_failure_14_three_asked_and_two_usable(autojump_clock: MockClock) -> None:
    """Asked for three with two machines usable, hexa refuses with the reason and wakes none; once the third is usable all come."""
    async with open_world(groups=[rack()], machines=boxes(3), autoscaler=None, site=QUICK) as world:
        await idle(world)
        world.edit("box-2", {"hold": {"power": "off"}})
        await trio.sleep(1)
        answer = await world.cloud.increase_size(ID, delta=3)
        assert isinstance(answer, Denied)
        assert answer.reason == "MaxSizeReached"
        await trio.sleep(60)
        assert world.site.report().wakes == 0
        world.edit("box-2", {"hold": None})
        await trio.sleep(1)
        assert await world.cloud.increase_size(ID, delta=3) == Done()
        await world.until(lambda: set(world.phases().values()) == {Phase.READY}, within=60)


async def test_failure_15_a_request_repeated_before_the_machines_came(autojump_clock: MockClock) -> None:
    """The same request again while machines boot is new demand: it wakes other machines, each machine once."""
    async with open_world(groups=[rack()], machines=boxes(4), autoscaler=None, site=QUICK) as world:
        await idle(world)
        jobs = JobWatch(world)
        for _ in range(2):
            assert await world.cloud.increase_size(ID, delta=2) == Done()
            await trio.sleep(3)
        await trio.sleep(60)
        assert world.cloud.target_size(ID) == 4
        assert sorted(jobs.made) == [(f"box-{number}", "startup", "1") for number in range(1, 5)]


async def test_failure_16_a_decrease_with_running_machines_only(autojump_clock: MockClock) -> None:
    """DecreaseTargetSize over running machines is answered with success and switches nothing off."""
    async with open_world(groups=[rack()], machines=boxes(2), autoscaler=None, site=QUICK) as world:
        await up(world, "box-1", "box-2")
        assert await world.cloud.decrease_target_size(ID, delta=-2) == Done()
        await trio.sleep(600)
        assert world.cloud.target_size(ID) == 2
        assert world.site.report().offs == 0


async def test_failure_17_nodes_deleted_twice(autojump_clock: MockClock) -> None:
    """A node that is deleted again while it drains, while it goes off, and when it is off: the same answer, one shutdown, and the
    size is smaller by one."""
    async with open_world(groups=[rack()], machines=boxes(2), autoscaler=None, site=QUICK) as world:
        await up(world, "box-1", "box-2")
        jobs = JobWatch(world)
        node = ExternalNode("box-1", "hexa://machines/box-1")
        for _ in range(200):
            assert await world.cloud.delete_nodes(ID, nodes=[node]) == Done()
            assert world.cloud.target_size(ID) == 1
            await trio.sleep(1)
        assert world.phase("box-1") is Phase.OFF
        assert jobs.of("box-1") == ["shutdown"]


async def test_failure_34_cluster_autoscaler_restarts_while_machines_boot(autojump_clock: MockClock) -> None:
    """It forgets its request and asks again: the delta is honoured, capped by the maximum; no machine gets a second Job; and what
    proves to be surplus leaves by its own scale-down."""
    settings = Settings(scale_down_unneeded_time=60, scale_down_delay_after_add=60)
    async with open_world(groups=[rack()], machines=boxes(5), autoscaler=settings, site=QUICK) as world:
        jobs = JobWatch(world)
        world.add_pods(2, cpu="3")
        await world.until(lambda: Phase.BOOTING in world.phases().values(), within=30)
        assert await world.cloud.increase_size(ID, delta=2) == Done()
        assert isinstance(await world.cloud.increase_size(ID, delta=2), Denied)
        await world.until(lambda: list(world.phases().values()).count(Phase.READY) == 4, within=60)
        assert len(jobs.made) == len({machine for machine, _, _ in jobs.made}) == 4
        await world.until(lambda: list(world.phases().values()).count(Phase.OFF) == 3, within=900)
        assert world.waiting == 0
        assert world.site.report().pods_killed == 0


# --- 24, 25: machines that hold data for others ---------------------------------------------------------


@pytest.mark.parametrize(
    "labels",
    [
        pytest.param({"longhorn.io/component": "instance-manager"}, id="failure-24-longhorn"),
        pytest.param({"app": "rook-ceph-osd"}, id="failure-25-ceph"),
    ],
)
async def test_failures_24_and_25_a_machine_that_holds_data_stays_on(
    autojump_clock: MockClock, labels: dict[str, str]
) -> None:
    """A machine that runs a Longhorn instance manager or a Ceph OSD is refused with the reason, before anything is drained, to
    Cluster Autoscaler and to a person, until the group says storage: ignore."""
    async with open_world(groups=[rack()], machines=boxes(1), autoscaler=None, site=QUICK) as world:
        await loaded(world, labels=labels, namespace="storage")
        await trio.sleep(5)
        node = world.kube_node("box-1")
        assert node is not None
        assert node.metadata.annotations[SCALE_DOWN_DISABLED] == "true"
        assert node.metadata.annotations[OFF_FORBIDDEN_ANNOTATION] == "HostsStorage"
        denied = await world.cloud.delete_nodes(ID, nodes=[ExternalNode("box-1")])
        assert isinstance(denied, Denied)
        assert denied.reason == "HostsStorage"
        await switch(world, "off")
        await trio.sleep(900)
        assert world.phase("box-1") is Phase.READY
        assert not cordoned(world)
        assert "storage/" in conditions(world)["HostsStorage"]
        assert "storage: ignore" in conditions(world)["Blocked"]
        assert world.waiting == 0
        world.edit_group("rack", {"storage": "ignore", "drain": {"force": True}, "timeouts": {"drain": "30s"}})
        await reach(world, Phase.OFF, within=300)


# --- 21: providerID -------------------------------------------------------------------------------------


@pytest.mark.parametrize("own_id", ["", "k3s://box", "talos://other"])
async def test_failure_21_whatever_sets_the_provider_id_no_machine_is_deleted_as_unregistered(
    autojump_clock: MockClock, own_id: str
) -> None:
    """Whether nobody sets the providerID, or the kubelet sets one that hexa could not foresee: machines come up once, serve, and
    none is ever deleted as unregistered."""
    machines = [
        box
        for number in range(1, 4)
        for box in boxes(3, provider_id=own_id and f"{own_id}-{number}")[number - 1 : number]
    ]
    async with open_world(groups=[rack()], machines=machines, site=QUICK) as world:
        world.add_pods(3, cpu="3")
        await world.until(lambda: world.waiting == 0, within=60)
        await trio.sleep(3600)
        assert world.autoscaler is not None
        assert {decision.what for decision in world.autoscaler.decisions} == {"ScaleUp"}
        assert world.site.report().boots == 3


async def test_failure_21_a_provider_id_that_is_gone_comes_back(autojump_clock: MockClock) -> None:
    """When somebody deletes and registers the node anew without its providerID, it gets the same one again."""
    async with open_world(groups=[rack()], machines=boxes(1), autoscaler=None, site=QUICK) as world:
        await up(world)
        node = world.kube_node("box-1")
        assert node is not None
        stored = world.site.api.get(NODES, "box-1")
        assert stored is not None
        spec = {key: value for key, value in stored.raw["spec"].items() if key != "providerID"}
        world.site.api.write(NODES, stored, spec=spec)
        await trio.sleep(1)
        again = world.kube_node("box-1")
        assert again is not None
        assert again.spec.provider_id == node.spec.provider_id == "hexa://machines/box-1"


# --- 22, 23: drains that are blocked --------------------------------------------------------------------


async def test_failure_22_a_budget_blocks_a_drain_that_cluster_autoscaler_asked(autojump_clock: MockClock) -> None:
    """At the deadline the drain is given up: uncordoned, the budget named, the machine left alone for a while and kept out of
    Cluster Autoscaler's sight; its target is what it was, and nothing was killed."""
    async with open_world(groups=[rack(**SHORT_DRAIN)], machines=boxes(2), autoscaler=None, site=QUICK) as world:
        await loaded(world, budget={"minAvailable": 1})
        assert await world.cloud.delete_nodes(ID, nodes=[ExternalNode("box-1")]) == Done()
        await reach(world, Phase.DRAINING)
        await trio.sleep(10)
        assert cordoned(world)
        assert "load" in conditions(world)["Blocked"]
        await reach(world, Phase.READY)
        await trio.sleep(1)
        assert not cordoned(world)
        assert "load" in conditions(world)["Blocked"]
        assert wished(world) == (Power.ON, Asker.RECOVERY)
        assert world.cloud.target_size(ID) == 1
        node = world.kube_node("box-1")
        assert node is not None
        assert node.metadata.annotations[SCALE_DOWN_DISABLED] == "true"
        assert node.metadata.annotations[OFF_FORBIDDEN_ANNOTATION] == "CoolingOff"
        denied = await world.cloud.delete_nodes(ID, nodes=[ExternalNode("box-1")])
        assert isinstance(denied, Denied)
        assert denied.reason == "CoolingOff"
        await trio.sleep(60)
        node = world.kube_node("box-1")
        assert node is not None
        assert SCALE_DOWN_DISABLED not in node.metadata.annotations
        assert world.site.report().pods_killed == 0


@pytest.mark.parametrize(("verb", "kind"), [("patch", NODES), ("list", CLAIMS)], ids=["cordon", "claims"])
async def test_failure_22_a_drain_that_cannot_be_judged_ends_at_its_deadline(
    autojump_clock: MockClock, verb: Verb, kind: Kind[Any]
) -> None:
    """Where the API server refuses the cordon, or to show what a drain would do, no pod is evicted, Blocked says what is refused,
    and at the deadline the machine is given back to its pods."""
    async with open_world(groups=[rack(**SHORT_DRAIN)], machines=boxes(2), autoscaler=None, site=QUICK) as world:
        await loaded(world, volumes=[{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}])
        kube_of(world).fail_next(Refused("a policy forbids it"), verb=verb, kind=kind, times=100)
        pods = [pod.metadata.uid for pod in world.pods()]
        assert await world.cloud.delete_nodes(ID, nodes=[ExternalNode("box-1")]) == Done()
        await reach(world, Phase.DRAINING)
        await trio.sleep(10)
        assert conditions(world)["Blocked"] == "Kubernetes node box-1: a policy forbids it"
        await reach(world, Phase.READY)
        await trio.sleep(1)
        assert not cordoned(world)
        assert wished(world) == (Power.ON, Asker.RECOVERY)
        assert [pod.metadata.uid for pod in world.pods()] == pods


async def test_failure_22_nothing_is_forced_off_of_which_nobody_knows_what_runs_on_it(
    autojump_clock: MockClock,
) -> None:
    """A group that forces, and an API server that refuses to show the pods: the machine stays on for them past the deadline, and
    is switched off once they can be seen and have had their time."""
    forces = rack(drain={"force": True}, **SHORT_DRAIN)
    async with open_world(groups=[forces], machines=boxes(2), autoscaler=None, site=QUICK) as world:
        await loaded(world)
        kube_of(world).fail_next(Refused("pods are forbidden"), verb="list", kind=PODS, times=20)
        jobs = JobWatch(world)
        await switch(world, "off")
        await trio.sleep(45)
        assert conditions(world)["Blocked"] == "Kubernetes node box-1: pods are forbidden"
        assert jobs.made == []
        await reach(world, Phase.OFF, within=400)


async def test_failure_22_a_persons_off_is_tried_again(autojump_clock: MockClock) -> None:
    """A person's off that a budget blocks stays: it is tried again after each cool-off, which grows, and works once the budget
    allows it."""
    async with open_world(groups=[rack(**SHORT_DRAIN)], machines=boxes(2), autoscaler=None, site=QUICK) as world:
        await loaded(world, budget={"minAvailable": 1})
        await switch(world, "off")
        await trio.sleep(900)
        drains = [line for line in world.journal.lines if line.fields.get("phase") == Phase.DRAINING]
        assert 3 <= len(drains) <= 6
        assert wished(world) == (Power.OFF, Asker.USER)
        await up(world, "box-2")
        world.scale(2)
        await reach(world, Phase.OFF, within=1800)
        assert world.site.report().pods_killed == 0


async def test_failure_23_a_pod_that_lands_during_the_drain_moves_too(autojump_clock: MockClock) -> None:
    """A pod that tolerates the cordon and lands while the machine drains is evicted as well before the power goes."""
    async with open_world(groups=[rack()], machines=boxes(2), autoscaler=None, site=QUICK) as world:
        await loaded(world, budget={"minAvailable": 1})
        await up(world, "box-2")
        await switch(world, "off")
        await reach(world, Phase.DRAINING)
        world.add_pods(1, name="late", cpu="1", nodeName="box-1")
        await trio.sleep(20)
        world.scale(0, name="late")
        world.scale(0)
        await reach(world, Phase.OFF)
        assert world.site.report().pods_killed == 0


async def test_failure_23_a_pod_that_must_not_be_disturbed_keeps_its_machine_on(autojump_clock: MockClock) -> None:
    """A pod that is, or becomes, safe-to-evict=false during a drain is not evicted: the drain is given up, the machine is
    uncordoned and stays on, and the pod is named."""
    async with open_world(groups=[rack(**SHORT_DRAIN)], machines=boxes(2), autoscaler=None, site=QUICK) as world:
        await loaded(world, budget={"minAvailable": 1})
        (pod,) = [pod for pod in world.pods() if pod.metadata.namespace == "default"]
        assert await world.cloud.delete_nodes(ID, nodes=[ExternalNode("box-1")]) == Done()
        await reach(world, Phase.DRAINING)
        await trio.sleep(3)
        world.site.api.patch(
            PODS, ("default", pod.metadata.name), Patch({"metadata": {"annotations": {SAFE_TO_EVICT: "false"}}})
        )
        await trio.sleep(6)
        blocker = conditions(world)["Blocked"]
        assert pod.metadata.name in blocker
        assert "safe-to-evict" in blocker
        await reach(world, Phase.READY)
        await trio.sleep(1)
        assert not cordoned(world)
        assert wished(world) == (Power.ON, Asker.RECOVERY)
        assert world.site.api.get(PODS, pod.metadata.name, "default") is not None


# --- 26, 30: control planes and node objects ----------------------------------------------------------------

ROLE = {"node-role.kubernetes.io/control-plane": ""}


async def test_failure_26_a_control_plane_member_is_refused(autojump_clock: MockClock) -> None:
    """A control-plane node in a group is told on group and machine and is never switched, whoever asks; it is no member for
    Cluster Autoscaler either."""
    machines = [*boxes(1, on=True, labels=ROLE), *boxes(2)[1:]]
    async with open_world(groups=[rack()], machines=machines, autoscaler=None, site=QUICK) as world:
        await idle(world)
        await switch(world, "off")
        await trio.sleep(600)
        assert world.hardware("box-1").power
        assert not cordoned(world)
        assert "control-plane" in conditions(world)["ControlPlane"]
        assert {c.type for c in world.group("rack").status.conditions} == {"ControlPlaneMember"}
        assert world.cloud.group_for_node("box-1", "") is None
        assert isinstance(await world.cloud.delete_nodes(ID, nodes=[ExternalNode("box-1")]), Denied)
        assert world.site.report().offs == 0


async def test_failure_26_and_30_an_allowed_control_plane_member_keeps_its_node(autojump_clock: MockClock) -> None:
    """Where the group allows it a control-plane node is rested, and its Kubernetes node is never deleted."""
    machines = [*boxes(1, on=True, labels=ROLE), *boxes(2)[1:]]
    group = rack(allowControlPlane=True)
    async with open_world(groups=[group], machines=machines, autoscaler=None, site=QUICK) as world:
        await idle(world)
        before = world.kube_node("box-1")
        await switch(world, "off")
        await reach(world, Phase.OFF)
        await trio.sleep(600)
        node = world.kube_node("box-1")
        assert node is not None
        assert before is not None
        assert node.metadata.uid == before.metadata.uid


@pytest.mark.parametrize("policy", ["Delete", "Keep"])
async def test_failure_30_a_node_that_somebody_deleted_while_the_machine_is_off(
    autojump_clock: MockClock, policy: str
) -> None:
    """When the Node object is gone at boot, by whomever, the machine registers anew and is given back what it had."""
    async with open_world(
        groups=[rack(nodeLeavePolicy=policy)], machines=boxes(1), autoscaler=None, site=QUICK
    ) as world:
        await up(world)
        label = {"metadata": {"labels": {"example.com/owner": "ops"}}}
        world.site.api.patch(NODES, ("", "box-1"), Patch(label), manager="kubectl")
        await trio.sleep(2)
        await switch(world, "off")
        await reach(world, Phase.OFF)
        world.site.api.delete(NODES, ("", "box-1"))
        await trio.sleep(30)
        await up(world)
        node = world.kube_node("box-1")
        assert node is not None
        assert node.metadata.labels["example.com/owner"] == "ops"
        assert node.metadata.labels[GROUP_LABEL] == "rack"
        assert not node.spec.unschedulable


# --- 29: pods stuck after a power cycle -----------------------------------------------------------------


async def test_failure_29_pods_that_the_last_boot_left_behind_are_gone_after_the_next(
    autojump_clock: MockClock,
) -> None:
    """A pod that the kubelet failed during its shutdown does not stay for ever, and an ordinary result does."""
    async with open_world(
        groups=[rack(nodeLeavePolicy="Keep")], machines=boxes(1), autoscaler=None, site=QUICK
    ) as world:
        await up(world)
        await switch(world, "off")
        await reach(world, Phase.OFF)
        for name, status in (
            ("stuck", {"phase": "Failed", "reason": "Terminated", "startTime": "2026-01-05T00:00:05Z"}),
            ("result", {"phase": "Succeeded", "startTime": "2026-01-05T00:00:05Z"}),
        ):
            metadata = {"name": name, "namespace": "default"}
            spec = {"nodeName": "box-1", "containers": [{"name": "main"}]}
            world.site.api.create(PODS, {"metadata": metadata, "spec": spec, "status": status}, keep_status=True)
        await trio.sleep(30)
        await up(world)
        await trio.sleep(1)
        assert [pod.metadata.name for pod in world.pods() if pod.metadata.namespace == "default"] == ["result"]
        assert "PodsSwept" in world.journal.reasons("box-1")


# --- 32: a wish that flips ------------------------------------------------------------------------------


@pytest.mark.parametrize("phase", [Phase.POWERING_ON, Phase.BOOTING, Phase.READY, Phase.DRAINING, Phase.POWERING_OFF])
@pytest.mark.parametrize("flips", [1, 2, 3])
async def test_failure_32_a_wish_that_flips_in_a_transition(
    autojump_clock: MockClock, phase: Phase, flips: int
) -> None:
    """However often a person changes powerState while the machine is on its way: the last word counts, never two Jobs run at
    once, and no pod of a Job is left."""
    async with open_world(groups=[rack()], machines=boxes(2), autoscaler=None, site=QUICK) as world:
        jobs = JobWatch(world)
        power = "on"
        if phase in (Phase.DRAINING, Phase.POWERING_OFF):
            await loaded(world)
            await up(world, "box-2")
            power = "off"
        await switch(world, power)
        await world.until(at(world, phase), within=60, every=0.05)
        for _ in range(flips):
            power = "off" if power == "on" else "on"
            await switch(world, power)
            await trio.sleep(0.7)
        await reach(world, Phase.READY if power == "on" else Phase.OFF, within=900)
        await trio.sleep(200)
        assert world.phase("box-1") is (Phase.READY if power == "on" else Phase.OFF)
        assert world.hardware("box-1").power is (power == "on")
        assert jobs.most == 1
        assert power_pods(world) == []
        assert world.site.report().pods_killed == 0


# --- 33: power Jobs that do not work ----------------------------------------------------------------------


async def test_failure_33_a_job_that_cannot_be_scheduled_is_told(autojump_clock: MockClock) -> None:
    """With no node outside the groups the Job waits, never runs on a machine of a group, and its reason is on the machine; when a
    node is there again, the machine comes."""
    async with open_world(groups=[rack()], machines=boxes(2), autoscaler=None, site=QUICK) as world:
        await up(world, "box-2")
        world.cordon("control-plane")
        await switch(world, "on")
        await trio.sleep(20)
        assert world.phase("box-1") is Phase.POWERING_ON
        assert "cannot be scheduled" in conditions(world)["PowerJobWaiting"]
        assert {pod.spec.node_name for pod in power_pods(world)} == {""}
        world.site.api.patch(NODES, ("", "control-plane"), Patch({"spec": {"unschedulable": None}}))
        await reach(world, Phase.READY, within=300)
        assert "PowerJobWaiting" not in conditions(world)


@pytest.mark.parametrize("power", ["on", "off"])
async def test_failure_33_a_job_that_may_not_be_read_stops_nothing(autojump_clock: MockClock, power: str) -> None:
    """Somebody took the labels off it, say, and it does not show whose it is: the condition says so, the machine is seen to come up
    or go off all the same, and the limits of its phases pass."""
    async with open_world(groups=[rack()], machines=boxes(1, sensor=True), autoscaler=None, site=QUICK) as world:
        if power == "off":
            await up(world)
        await reach(world, Phase.READY if power == "off" else Phase.OFF)
        kube_of(world).fail_next(Refused("it is not one of hexa's"), verb="list", kind=JOBS, times=1000)
        world.inject({"kind": "stuckJob"})
        await switch(world, power)
        await world.until(lambda: "PowerJobWaiting" in conditions(world), within=20)
        assert conditions(world)["PowerJobWaiting"].endswith("it is not one of hexa's")
        hardware = world.hardware("box-1")
        hardware.press_on() if power == "on" else hardware.press_off()
        await reach(world, Phase.READY if power == "on" else Phase.OFF)


@pytest.mark.parametrize(
    ("kind", "condition", "text"),
    [
        ("failedJob", "PowerJobFailed", "exit code 1"),
        ("imageMissing", "PowerJobWaiting", "ImagePull"),
        ("stuckJob", "", ""),
    ],
)
async def test_failure_33_a_job_that_does_not_work_is_told_and_repeated(
    autojump_clock: MockClock, kind: str, condition: str, text: str
) -> None:
    """A Job that fails, whose image is missing or that hangs: its reason, taken from the pod, is on the machine; the wake is
    repeated, and the machine comes once a Job works."""
    async with open_world(groups=[rack()], machines=boxes(1), autoscaler=None, site=QUICK) as world:
        jobs = JobWatch(world)
        world.inject({"kind": kind, "machine": "box-1", "action": "startup"})
        await switch(world, "on")
        await trio.sleep(10)
        if condition:
            assert text in conditions(world)[condition]
        await reach(world, Phase.READY, within=600)
        assert jobs.most == 1
        assert not conditions(world).keys() & {"PowerJobFailed", "PowerJobWaiting"}


async def test_failure_33_a_failed_job_costs_one_wake_interval(autojump_clock: MockClock) -> None:
    """After a Job that failed the next one is made one wake interval (12 s) after the first, and the pods run 9 s later."""
    async with open_world(groups=[rack()], machines=boxes(1), autoscaler=None, site=QUICK) as world:
        world.inject({"kind": "failedJob", "machine": "box-1"})
        await idle(world)
        await switch(world, "on")
        took = await reach(world, Phase.READY)
        assert 21 <= took <= 22.5


@pytest.mark.parametrize("kind", ["failedJob", "stuckJob", "imageMissing"])
async def test_failure_33_a_shutdown_job_that_does_not_work(autojump_clock: MockClock, kind: str) -> None:
    """A shutdown that does not work keeps the drained machine cordoned, is told, and is tried again after a cool-off."""
    async with open_world(groups=[rack()], machines=boxes(1), autoscaler=None, site=QUICK) as world:
        jobs = JobWatch(world)
        await up(world)
        world.inject({"kind": kind, "machine": "box-1", "action": "shutdown"})
        await switch(world, "off")
        await reach(world, Phase.STOP_FAILED, within=400)
        assert world.hardware("box-1").power
        assert cordoned(world)
        assert "Failed" in conditions(world)
        await reach(world, Phase.OFF, within=400)
        assert jobs.of("box-1") == ["startup", "shutdown", "shutdown"]
        assert jobs.most == 1


async def test_failure_33_a_job_never_lands_on_the_machine_that_it_stops(autojump_clock: MockClock) -> None:
    """With room on the machine and none elsewhere, the shutdown Job waits rather than run on the machine that it stops."""
    async with open_world(groups=[rack()], machines=boxes(1), autoscaler=None, site=QUICK) as world:
        await up(world)
        stored = world.site.api.get(NODES, "box-1")
        assert stored is not None
        labels = {key: value for key, value in stored.raw["metadata"]["labels"].items() if key != GROUP_LABEL}
        world.cordon("control-plane")
        await switch(world, "off")
        await reach(world, Phase.POWERING_OFF)
        stored = world.site.api.get(NODES, "box-1")
        assert stored is not None
        world.site.api.write(NODES, stored, metadata={**stored.raw["metadata"], "labels": labels}, spec={})
        await trio.sleep(60)
        assert {pod.spec.node_name for pod in power_pods(world)} == {""}
        assert world.hardware("box-1").power
