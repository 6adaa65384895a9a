"""The cloud that Cluster Autoscaler sees: its questions answered from the snapshot, its requests stored whole or not at all."""

from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import trio
from tests.app.rig import CA, CAPACITY, OFF, ON, RECOVERY, SPACE, USER, Rig, at, key, open_rig, stamp, wish
from trio.testing import MockClock

from hexa.app.tariffs import Tariffs
from hexa.domain.errors import Conflict, NotFound, Refused, Unavailable
from hexa.domain.machine.lifecycle import Phase
from hexa.domain.money.tariff import Priced, Tariff
from hexa.domain.names import GROUP_LABEL, HOSTNAME_LABEL
from hexa.domain.resources.core import NODES, Container, Metadata, Pod, PodSpec, ResourceRequirements
from hexa.domain.resources.v1alpha1 import GROUPS, MACHINES, Lookup
from hexa.domain.weekly import window_of
from hexa.ports.cloud import Denied, Done, ExternalNode, InstanceState, NodeTemplate, UnknownGroup
from hexa.ports.kube import Patch

ID = "d/g"


def shown(rig: Rig) -> dict[str, InstanceState]:
    """Instances of the group by their id's last part."""
    instances = rig.cloud.instances(ID)
    assert not isinstance(instances, UnknownGroup)
    return {each.id.rsplit("/", 1)[-1]: each.state for each in instances}


def limits(rig: Rig) -> tuple[int, int]:
    """minSize and maxSize as told."""
    (group,) = rig.cloud.groups()
    return group.min_size, group.max_size


# --- what Cluster Autoscaler is shown: LIFECYCLE's table row by row ---------------------------------------

R, C, D = InstanceState.RUNNING, InstanceState.CREATING, InstanceState.DELETING
ROWS = [
    # phase, wish, node (None, "old", "new" or "ready"), member, instance, counts
    (Phase.OFF, ON, None, True, C, 1),
    (Phase.OFF, ON, "old", False, C, 1),
    (Phase.POWERING_ON, ON, None, True, C, 1),
    (Phase.POWERING_ON, ON, "old", False, C, 1),
    (Phase.POWERING_ON, ON, "new", False, C, 1),
    (Phase.BOOTING, ON, None, True, C, 1),
    (Phase.BOOTING, ON, "old", False, C, 1),
    (Phase.BOOTING, ON, "new", False, C, 1),
    (Phase.READY, ON, "ready", True, R, 1),
    (Phase.READY, OFF, "ready", True, R, 0),
    (Phase.LOST, ON, "old", True, R, 1),
    (Phase.LOST, OFF, "old", True, R, 0),
    (Phase.DRAINING, OFF, "ready", True, D, 0),
    (Phase.DRAINING, ON, "ready", True, C, 1),
    (Phase.POWERING_OFF, OFF, "old", True, D, 0),
    (Phase.POWERING_OFF, ON, "old", False, C, 1),
    (Phase.STOP_FAILED, OFF, "old", True, D, 0),
    (Phase.START_FAILED, ON, None, False, C, 0),
    (Phase.START_FAILED, OFF, None, False, None, 0),
    (Phase.OFF, OFF, None, False, None, 0),
    (Phase.OFF, OFF, "old", False, None, 0),
    (Phase.UNKNOWN, ON, "ready", True, R, 1),
    (Phase.UNKNOWN, ON, "old", False, None, 0),
    (Phase.UNKNOWN, OFF, None, False, None, 0),
]


@pytest.mark.parametrize("leave", ["Delete", "Keep"])
@pytest.mark.parametrize(("phase", "power", "node", "member", "state", "counted"), ROWS)
async def test_what_cluster_autoscaler_is_shown(
    autojump_clock: MockClock, leave: str, phase: Phase, power: Any, node: Any, member: bool, state: Any, counted: int
) -> None:
    """Membership of the Kubernetes node, the Instance and the target are for each phase what the lifecycle's table says; the
    node of a machine that comes is hidden until the machine is Ready, or Cluster Autoscaler would ask for one more."""
    async with open_rig() as rig:
        rig.group(nodeLeavePolicy=leave)
        if node == "old":
            rig.kube_node("m", ready=False)
        await trio.sleep(10)
        rig.machine("m", phase, wish(power), since=5, welcomed=phase is Phase.READY)
        if node in ("new", "ready"):
            rig.kube_node("m", ready=node == "ready")
        await rig.seen()
        group = rig.cloud.group_for_node("m", "")
        assert (group.id if group else None) == (ID if member else None)
        assert shown(rig) == ({"m": state} if state is not None else {})
        assert rig.cloud.target_size(ID) == counted


@pytest.mark.parametrize(
    ("welcomed", "taint", "seconds", "member"),
    [
        (False, "", 0, False),
        (True, "", 0, True),
        (True, "node.kubernetes.io/not-ready", 0, False),
        (True, "node.kubernetes.io/unschedulable", 0, False),
        (True, "example.org/mine", 0, True),
        (True, "node.kubernetes.io/not-ready", 61, True),
        (False, "", 61, True),
    ],
)
async def test_a_node_is_shown_once_pods_may_land_on_it(
    autojump_clock: MockClock, welcomed: bool, taint: str, seconds: int, member: bool
) -> None:
    """A node that just became Ready is upcoming until its cordon and the boot's taints are off; after a minute they are its own."""
    async with open_rig() as rig:
        rig.group()
        rig.machine("m", Phase.READY, wish(ON), welcomed=welcomed)
        rig.kube_node("m", taints=[{"key": taint, "effect": "NoSchedule"}] if taint else [])
        await trio.sleep(seconds)
        await rig.seen()
        assert (rig.cloud.group_for_node("m", "") is not None) is member


@pytest.mark.parametrize(
    ("gpus", "seconds", "member"), [("1", 0, True), ("0", 0, False), ("0", 299, False), ("0", 301, True)]
)
async def test_failure_60_a_node_is_shown_once_its_devices_are_there(
    autojump_clock: MockClock, gpus: str, seconds: int, member: bool
) -> None:
    """A machine that had a GPU is upcoming until its device plug-in has announced it, for five minutes at most; whoever kept the
    answer is told by the version."""
    async with open_rig() as rig:
        rig.group()
        had = {"allocatable": {**CAPACITY, "example.com/gpu": "1"}}
        rig.machine("m", Phase.READY, wish(ON), welcomed=True, template=had)
        rig.kube_node("m", allocatable={**CAPACITY, "example.com/gpu": gpus})
        await rig.seen()
        version = rig.cloud.version()
        rig.cloud.groups()
        await trio.sleep(seconds)
        assert (rig.cloud.group_for_node("m", "") is not None) is member
        assert rig.cloud.version() > version or seconds < 300


async def test_equal_groups_differ_in_the_label_that_is_left_out_alone(autojump_clock: MockClock) -> None:
    """Two groups of equal machines are similar to Cluster Autoscaler by --balancing-ignore-label=infra.homecluster.dev/group."""
    async with open_rig() as rig:
        shapes = []
        for name in ("a", "b"):
            rig.group(name)
            seen = {"capacity": CAPACITY, "labels": {"tier": "gold", HOSTNAME_LABEL: f"box-{name}"}}
            rig.machine(f"box-{name}", group=name, template=seen)
            await rig.seen()
            template = rig.cloud.template(f"d/{name}")
            assert isinstance(template, NodeTemplate)
            shapes.append(template.shape)
        first, second = ({k: v for k, v in shape.labels.items() if k != GROUP_LABEL} for shape in shapes)
        assert first == second
        assert (shapes[0].capacity, shapes[0].allocatable, shapes[0].taints) == (
            shapes[1].capacity,
            shapes[1].allocatable,
            shapes[1].taints,
        )


async def test_a_gpu_without_its_label_is_told(autojump_clock: MockClock) -> None:
    """Cluster Autoscaler knows nodes with GPUs by a label; a group whose machines lack it has a warning that says which."""
    async with open_rig() as rig:
        rig.group()
        rig.machine("m", Phase.READY, wish(ON), template={"allocatable": {"cpu": "4", "amd.com/gpu": "1"}})
        await rig.seen()
        await rig.groups.reconcile(Lookup("d", "g"))
        (told,) = [c for c in rig.stored_group().status.conditions if c.type == "GpuUnlabelled"]
        assert "amd.com/gpu is there without the label nvidia.com/gpu.product" in told.message


async def test_a_failed_start_with_nobody_to_take_the_place_is_an_error(autojump_clock: MockClock) -> None:
    """With no candidate left the failed machine is Creating with the reason; with one it is not shown at all: its place is taken
    silently."""
    async with open_rig() as rig:
        rig.group()
        rig.machine("m", Phase.START_FAILED, wish(ON))
        await rig.seen()
        instances = rig.cloud.instances(ID)
        assert isinstance(instances, list)
        (failed,) = instances
        assert failed.state is InstanceState.CREATING
        assert failed.error is not None
        assert failed.error.code == "StartFailed"
        assert "d/m" in failed.error.message
        rig.machine("spare")
        await rig.seen()
        assert shown(rig) == {}


async def test_a_replaced_machine_is_not_shown(autojump_clock: MockClock) -> None:
    """Of a machine whose place was taken Cluster Autoscaler hears nothing, even between the two writes."""
    async with open_rig() as rig:
        rig.group()
        rig.machine("m", Phase.START_FAILED, wish(ON), replaced=True)
        await rig.seen()
        assert shown(rig) == {}


@pytest.mark.parametrize("spec", [{"kubernetesNodeName": "same"}, {"timeouts": {"boot": "soon"}}])
async def test_machines_that_are_not_valid_are_not_shown(autojump_clock: MockClock, spec: dict[str, Any]) -> None:
    """What hexa does not act on is neither in the target, nor an Instance, nor room for more."""
    async with open_rig() as rig:
        rig.group()
        for name in ("a", "b"):
            rig.machine(name, Phase.READY, spec=spec)
            rig.kube_node(name)
        await rig.seen()
        assert rig.cloud.target_size(ID) == 0
        assert shown(rig) == {}
        assert limits(rig) == (0, 0)
        assert rig.cloud.group_for_node("a", "") is None


# --- sizes ----------------------------------------------------------------------------------------------


async def test_the_maximum_is_what_can_come(autojump_clock: MockClock) -> None:
    """Held-off, paused, failed, cooling and broken machines are not in the maximum that is told; machines that are on or may be
    woken are, and spec.maxSize bounds them."""
    async with open_rig() as rig:
        rig.group()
        rig.machine("on", Phase.READY)
        rig.machine("off")
        rig.machine("put-off", asked=wish(OFF, USER))
        rig.machine("draining", Phase.DRAINING, wish(OFF))
        rig.machine("held", spec={"hold": {"power": "off"}})
        rig.machine("paused", spec={"paused": {}})
        rig.machine("no-way-on", spec={"startupPodSpec": None})
        rig.machine("failed", Phase.START_FAILED, wish(ON), coolUntil=stamp(60))
        rig.machine("cooling", Phase.STOP_FAILED, wish(OFF), coolUntil=stamp(60))
        rig.machine("lost-off", Phase.LOST, wish(OFF))
        await rig.seen()
        assert limits(rig) == (0, 4)
        rig.api.patch(GROUPS, (SPACE, "g"), Patch({"spec": {"maxSize": 3, "minSize": 2}}))
        await rig.seen()
        assert limits(rig) == (2, 3)
        rig.api.patch(GROUPS, (SPACE, "g"), Patch({"spec": {"maxSize": 9, "minSize": 9}}))
        await rig.seen()
        assert limits(rig) == (4, 4)


async def test_a_group_hold_leaves_no_room(autojump_clock: MockClock) -> None:
    """While a group is held off its machines that are off cannot come; when the hold has passed they can, without a write, and
    whoever kept answers is told by the version."""
    async with open_rig() as rig:
        rig.group(hold={"power": "off", "until": stamp(60)})
        rig.machine("a")
        rig.machine("b", asked=wish(ON))
        await rig.seen()
        assert (limits(rig), rig.cloud.target_size(ID)) == ((0, 0), 0)
        version = rig.cloud.version()
        await trio.sleep(59)
        assert rig.cloud.version() == version
        await trio.sleep(1)
        assert rig.cloud.version() > version
        assert (limits(rig), rig.cloud.target_size(ID)) == ((0, 2), 1)


async def test_an_arrival_that_takes_too_long_is_over_by_time_alone(autojump_clock: MockClock) -> None:
    """A node that a person cordons as it arrives is hidden for a minute; then it is a member, without a write, and whoever kept
    the answer is told by the version."""
    async with open_rig() as rig:
        rig.group()
        rig.machine("m", Phase.READY, welcomed=True)
        rig.kube_node("m", taints=[{"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}])
        await rig.seen()
        version = rig.cloud.version()
        assert rig.cloud.group_for_node("m", "") is None
        assert len(rig.cloud.groups()) == 1
        await trio.sleep(60)
        assert rig.cloud.version() > version
        assert rig.cloud.group_for_node("m", "") is not None


async def test_broken_and_unknown_groups(autojump_clock: MockClock) -> None:
    """A group that contradicts itself is not told of; asking for it, or for one that does not exist, is an unknown group."""
    async with open_rig() as rig:
        rig.group("g", minSize=2, maxSize=1)
        rig.machine("m", Phase.READY)
        rig.kube_node("m")
        await rig.seen()
        assert rig.cloud.groups() == []
        assert rig.cloud.group_for_node("m", "") is None
        for name in ("d/g", "d/none", "nonsense", ""):
            unknown = UnknownGroup(name)
            assert rig.cloud.target_size(name) == unknown
            assert rig.cloud.instances(name) == unknown
            assert rig.cloud.template(name) == unknown
            assert rig.cloud.options(name) == unknown
            assert await rig.cloud.increase_size(name, delta=1) == unknown
            assert await rig.cloud.delete_nodes(name, nodes=[]) == unknown
            assert await rig.cloud.decrease_target_size(name, delta=-1) == unknown


async def test_nodes_of_nobodys_are_left_alone(autojump_clock: MockClock) -> None:
    """A Kubernetes node that is no machine's, or of a machine without group, belongs to no group."""
    async with open_rig() as rig:
        rig.group()
        rig.machine("m", Phase.READY, group="")
        for name in ("m", "control-plane"):
            rig.kube_node(name)
        await rig.seen()
        assert rig.cloud.group_for_node("m", "hexa://d/m") is None
        assert rig.cloud.group_for_node("control-plane", "k3s://control-plane") is None
        assert rig.cloud.group_for_node("", "") is None


async def test_a_node_is_known_by_its_provider_id_too(autojump_clock: MockClock) -> None:
    """Cluster Autoscaler names unregistered nodes by their providerID alone."""
    async with open_rig() as rig:
        rig.group()
        rig.machine("m", Phase.READY, template={"providerID": "rack://7"})
        await rig.seen()
        group = rig.cloud.group_for_node("rack://7", "rack://7")
        assert group is not None
        assert group.id == ID


# --- IncreaseSize ---------------------------------------------------------------------------------------


async def test_a_wish_is_stored_before_the_answer(autojump_clock: MockClock) -> None:
    """When IncreaseSize returns, exactly so many machines are wished on in the API server, by spec and annotation, and the target
    has grown by as many."""
    async with open_rig() as rig:
        rig.group()
        for number in range(5):
            rig.machine(f"m{number}")
        await rig.seen()
        assert await rig.cloud.increase_size(ID, delta=3) == Done()
        assert rig.wanted() == {"m0", "m1", "m2"}
        await rig.recorded()
        assert rig.wanted() == {"m0", "m1", "m2"}
        assert {rig.stored_machine(name).spec.power_state for name in rig.wanted()} == {"on"}
        assert rig.wished("m0") == (ON, CA)
        assert rig.cloud.target_size(ID) == 3
        assert shown(rig) == dict.fromkeys(("m0", "m1", "m2"), InstanceState.CREATING)


async def test_failure_14_all_or_nothing(autojump_clock: MockClock) -> None:
    """A delta of three with two machines to wake is refused with the reason, and nothing is changed: never a silent two."""
    async with open_rig() as rig:
        rig.group(maxSize=10)
        for number in range(2):
            rig.machine(f"m{number}")
        await rig.seen()
        before = rig.api.version
        answer = await rig.cloud.increase_size(ID, delta=3)
        assert isinstance(answer, Denied)
        assert answer.reason == "MaxSizeReached"
        assert "has 0 of at most 2 machines" in answer.message
        assert rig.api.version == before
        assert rig.cloud.target_size(ID) == 0
        assert "MaxSizeReached" in rig.journal.reasons("g")


async def test_failure_15_and_34_a_repeated_request_wakes_more_up_to_the_maximum(autojump_clock: MockClock) -> None:
    """Cluster Autoscaler that restarts asks again while machines boot: each delta is honoured with other machines, capped by the
    maximum, and no machine is asked twice."""
    async with open_rig() as rig:
        rig.group(maxSize=5)
        for number in range(8):
            rig.machine(f"m{number}")
        await rig.seen()
        assert await rig.cloud.increase_size(ID, delta=2) == Done()
        first = rig.wanted()
        attempts = {name: rig.stored_machine(name).metadata.resource_version for name in first}
        assert await rig.cloud.increase_size(ID, delta=2) == Done()
        assert len(rig.wanted()) == 4
        assert {name: rig.stored_machine(name).metadata.resource_version for name in first} == attempts
        assert isinstance(await rig.cloud.increase_size(ID, delta=2), Denied)
        assert await rig.cloud.increase_size(ID, delta=1) == Done()
        assert len(rig.wanted()) == 5


@pytest.mark.parametrize("delta", [0, -1])
async def test_an_increase_by_nothing_is_denied(autojump_clock: MockClock, delta: int) -> None:
    """A delta that is not positive is a mistake of the caller's, and changes nothing."""
    async with open_rig() as rig:
        rig.group()
        rig.machine("m")
        await rig.seen()
        assert isinstance(await rig.cloud.increase_size(ID, delta=delta), Denied)
        assert rig.wanted() == set()


async def test_two_requests_at_once_share_no_machine(autojump_clock: MockClock) -> None:
    """Requests that overlap are both honoured in full."""
    async with open_rig(latency=0.3) as rig:
        rig.group()
        for number in range(6):
            rig.machine(f"m{number}")
        await trio.sleep(1)
        answers = []

        async def ask(delta: int) -> None:
            answers.append(await rig.cloud.increase_size(ID, delta=delta))

        async with trio.open_nursery() as nursery:
            for delta in (1, 2, 3):
                nursery.start_soon(ask, delta)
        assert answers == [Done()] * 3
        assert len(rig.wanted()) == 6


async def test_the_minimum_and_a_request_share_no_machine(autojump_clock: MockClock) -> None:
    """While hexa itself wakes up to minSize, a request of Cluster Autoscaler's gets other machines: its delta is honoured."""

    async def look() -> None:
        with suppress(Conflict):  # the request came between: looked at again
            await rig.groups.reconcile(key("g"))

    async with open_rig(latency=0.3) as rig:
        rig.group(minSize=2)
        for number in range(6):
            rig.machine(f"m{number}")
        await trio.sleep(1)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(look)
            await trio.sleep(0.2)
            assert await rig.cloud.increase_size(ID, delta=2) == Done()
        assert len(rig.wanted()) == 4


async def test_a_machine_that_somebody_switched_on_meanwhile_is_not_counted(autojump_clock: MockClock) -> None:
    """When a person asks for a machine in the moment in which the request would take it, another machine is taken."""
    async with open_rig(latency=0.2) as rig:
        rig.group()
        for name in ("a", "b"):
            rig.machine(name)
        await trio.sleep(1)
        rig.store.machines.put(rig.stored_machine("a"))

        async def person() -> None:
            await trio.sleep(0.05)  # the patch of the request is on its way
            rig.api.patch(MACHINES, (SPACE, "a"), Patch({"spec": {"powerState": "on"}}))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(person)
            assert await rig.cloud.increase_size(ID, delta=1) == Done()
        await trio.sleep(1)
        assert rig.wished("b") == (ON, CA)
        assert rig.wished("a") != (ON, CA)


ERRORS: list[Callable[[], Exception]] = [
    lambda: Unavailable("no answer"),
    lambda: Refused("forbidden"),
]


@pytest.mark.parametrize("error", ERRORS)
async def test_failure_14_a_request_whose_write_fails_asks_nobody(
    autojump_clock: MockClock, error: Callable[[], Any]
) -> None:
    """A request for many is one write: where that fails, the error is told, and no machine is wished on."""
    async with open_rig() as rig:
        rig.group()
        for number in range(4):
            rig.machine(f"m{number}")
        await rig.seen()
        rig.kube.fail_next(error(), verb="patch")
        with pytest.raises((Unavailable, Refused)):
            await rig.cloud.increase_size(ID, delta=4)
        assert rig.wanted() == set()
        assert rig.cloud.target_size(ID) == 0
        assert {rig.wished(f"m{number}") for number in range(4)} == {(OFF, RECOVERY)}


@pytest.mark.parametrize("error", [lambda: Conflict("changed"), lambda: NotFound("gone")])
async def test_a_machine_that_cannot_be_had_is_passed_over(autojump_clock: MockClock, error: Callable[[], Any]) -> None:
    """One machine is asked on itself: where its wish cannot be stored because others keep changing it, or because it is gone, the
    next one is."""
    async with open_rig() as rig:
        rig.group()
        for number in range(2):
            rig.machine(f"m{number}")
        await rig.seen()
        rig.kube.fail_next(error(), verb="patch", kind=MACHINES, name="m0", times=20)
        assert await rig.cloud.increase_size(ID, delta=1) == Done()
        assert rig.wanted() == {"m1"}


async def test_with_no_other_machine_left_a_conflict_refuses(autojump_clock: MockClock) -> None:
    """Where the passed-over machine was the last one, the request is refused."""
    async with open_rig() as rig:
        rig.group()
        rig.machine("m")
        await rig.seen()
        rig.kube.fail_next(Conflict("changed"), verb="patch", kind=MACHINES, name="m", times=20)
        answer = await rig.cloud.increase_size(ID, delta=1)
        assert isinstance(answer, Denied)
        assert answer.reason == "MachinesChanged"
        assert rig.wanted() == set()


async def test_blind_no_request_is_granted(autojump_clock: MockClock) -> None:
    """While the API server is away a request is answered with Unavailable, and reads go on from memory."""
    async with open_rig() as rig:
        rig.group()
        rig.machine("m")
        rig.machine("n", Phase.READY)
        rig.kube_node("n")
        await rig.seen()
        rig.api.outage(60)
        await trio.sleep(30)
        with pytest.raises(Unavailable):
            await rig.cloud.increase_size(ID, delta=1)
        with pytest.raises(Unavailable):
            await rig.cloud.delete_nodes(ID, nodes=[ExternalNode("n")])
        assert rig.cloud.target_size(ID) == 1
        assert limits(rig) == (0, 2)


async def test_no_read_asks_the_api_server(autojump_clock: MockClock) -> None:
    """All questions are answered from memory."""
    async with open_rig() as rig:
        rig.group()
        rig.machine("m", Phase.READY)
        rig.kube_node("m")
        await rig.seen()
        before = rig.kube.calls.total()
        rig.cloud.refresh(), rig.cloud.groups(), rig.cloud.group_for_node("m", ""), rig.cloud.target_size(ID)
        rig.cloud.instances(ID), rig.cloud.template(ID), rig.cloud.options(ID), rig.cloud.gpu_types()
        rig.cloud.node_price(ExternalNode("m"), at(0), at(1)), rig.cloud.pod_price(Pod(), at(0), at(1))
        assert rig.kube.calls.total() == before


# --- DeleteNodes ----------------------------------------------------------------------------------------


def three_up(rig: Rig, **group: Any) -> None:
    """Three machines that run, and one that is off."""
    rig.group(**group)
    for name in ("a", "b", "c"):
        rig.machine(name, Phase.READY, wish(ON))
        rig.kube_node(name, spec={"providerID": f"hexa://d/{name}"})
    rig.machine("off")


async def test_deleted_nodes_are_wished_off(autojump_clock: MockClock) -> None:
    """DeleteNodes stores the wish for each node before it answers, and the target is smaller by their number."""
    async with open_rig() as rig:
        three_up(rig)
        await rig.seen()
        assert await rig.cloud.delete_nodes(ID, nodes=[ExternalNode("a"), ExternalNode("", "hexa://d/b")]) == Done()
        assert rig.wished("a") == rig.wished("b") == (OFF, CA)
        assert rig.cloud.target_size(ID) == 1


async def test_failure_17_deleting_twice_is_deleting_once(autojump_clock: MockClock) -> None:
    """The same request again, a node named twice, or a node whose machine is off already: the same answer, and the size is
    reduced once."""
    async with open_rig() as rig:
        three_up(rig, minSize=2)
        await rig.seen()
        for _ in range(2):
            assert await rig.cloud.delete_nodes(ID, nodes=[ExternalNode("a"), ExternalNode("a")]) == Done()
            assert rig.cloud.target_size(ID) == 2
        assert await rig.cloud.delete_nodes(ID, nodes=[ExternalNode("off")]) == Done()
        assert rig.cloud.target_size(ID) == 2


async def test_a_node_of_another_group_is_denied_and_nothing_is_deleted(autojump_clock: MockClock) -> None:
    """One node that is not a member makes the whole request fail."""
    async with open_rig() as rig:
        three_up(rig)
        rig.group("h")
        rig.machine("x", Phase.READY, wish(ON), group="h")
        await rig.seen()
        for stranger in ("x", "nobody"):
            answer = await rig.cloud.delete_nodes(ID, nodes=[ExternalNode("a"), ExternalNode(stranger)])
            assert isinstance(answer, Denied)
            assert answer.reason == "NotAMember"
        assert rig.wished("a") == (ON, CA)


async def test_a_node_whose_two_names_are_those_of_two_machines_is_neither(autojump_clock: MockClock) -> None:
    """Name and providerID that contradict each other rest no machine, and no group is told for them."""
    async with open_rig() as rig:
        rig.group()
        rig.group("other")
        rig.machine("a", Phase.READY, welcomed=True)
        rig.kube_node("a", spec={"providerID": "p://a"})
        rig.machine("x", Phase.READY, group="other", welcomed=True)
        rig.kube_node("x", spec={"providerID": "p://x"})
        await rig.seen()
        denied = await rig.cloud.delete_nodes(ID, nodes=[ExternalNode("a", "p://x")])
        assert denied == Denied("NotAMember", "a with providerID p://x is no machine of d/g")
        assert (rig.cloud.group_for_node("a", "p://x"), rig.cloud.target_size(ID)) == (None, 1)
        unnamed = await rig.cloud.delete_nodes(ID, nodes=[ExternalNode("")])
        assert unnamed == Denied("NotAMember", "a node without a name is no machine of d/g")
        for node in (ExternalNode("a", "p://a"), ExternalNode("p://a", "p://a"), ExternalNode("a", "p://nobody")):
            assert isinstance(await rig.cloud.delete_nodes(ID, nodes=[node]), Done)


async def test_the_minimum_is_kept(autojump_clock: MockClock) -> None:
    """A request that would leave fewer than minSize machines is denied as a whole."""
    async with open_rig() as rig:
        three_up(rig, minSize=2)
        await rig.seen()
        answer = await rig.cloud.delete_nodes(ID, nodes=[ExternalNode("a"), ExternalNode("b")])
        assert isinstance(answer, Denied)
        assert answer.reason == "MinSizeReached"
        assert rig.wanted() == {"a", "b", "c"}


async def test_a_rule_that_forbids_an_off_denies(autojump_clock: MockClock) -> None:
    """A held machine is not given away, and the answer says by whom it is held."""
    async with open_rig() as rig:
        three_up(rig)
        rig.api.patch(MACHINES, (SPACE, "a"), Patch({"spec": {"hold": {"power": "on", "reason": "demo"}}}))
        await rig.seen()
        answer = await rig.cloud.delete_nodes(ID, nodes=[ExternalNode("a")])
        assert isinstance(answer, Denied)
        assert answer.reason == "Hold"
        assert "demo" in answer.message


@pytest.mark.parametrize("phase", sorted(Phase))
async def test_a_deletion_that_a_hold_undoes_is_denied_in_every_phase(autojump_clock: MockClock, phase: Phase) -> None:
    """Cluster Autoscaler never hears that the size went down while the hold keeps the machine, wherever that is in its life."""
    async with open_rig() as rig:
        rig.group()
        rig.machine("a", phase, wish(ON), spec={"hold": {"power": "on"}})
        rig.kube_node("a")
        await rig.seen()
        before = rig.cloud.target_size(ID)
        answer = await rig.cloud.delete_nodes(ID, nodes=[ExternalNode("a")])
        assert isinstance(answer, Denied)
        assert (answer.reason, rig.cloud.target_size(ID)) == ("Hold", before)


@pytest.mark.parametrize(("mode", "reason"), [("AlwaysOn", "Mode"), ("Observe", "Observe")])
@pytest.mark.parametrize("phase", [Phase.LOST, Phase.START_FAILED])
async def test_a_deletion_that_a_mode_undoes_is_denied_in_every_phase(
    autojump_clock: MockClock, phase: Phase, mode: str, reason: str
) -> None:
    """The same, as long as the mode of the group stands."""
    async with open_rig() as rig:
        rig.group(mode=mode)
        rig.machine("a", phase, wish(ON))
        rig.kube_node("a")
        await rig.seen()
        answer = await rig.cloud.delete_nodes(ID, nodes=[ExternalNode("a")])
        assert isinstance(answer, Denied)
        assert answer.reason == reason


@pytest.mark.parametrize("phase", [Phase.POWERING_ON, Phase.BOOTING])
async def test_a_deletion_that_safety_undoes_is_denied_while_the_machine_comes(
    autojump_clock: MockClock, phase: Phase
) -> None:
    """A machine that can't be switched off stays once it was woken, and the answer says so."""
    async with open_rig() as rig:
        rig.group()
        rig.machine("a", phase, wish(ON), spec={"shutdownPodSpec": None})
        await rig.seen()
        answer = await rig.cloud.delete_nodes(ID, nodes=[ExternalNode("a")])
        assert isinstance(answer, Denied)
        assert answer.reason == "PowerOffUnavailable"


async def test_a_delete_that_fails_deletes_nothing(autojump_clock: MockClock) -> None:
    """Where the write of a request fails, all machines are wished on as before."""
    async with open_rig() as rig:
        three_up(rig)
        await rig.seen()
        rig.kube.fail_next(Unavailable("no answer"), verb="patch")
        with pytest.raises(Unavailable):
            await rig.cloud.delete_nodes(ID, nodes=[ExternalNode(each) for each in "abc"])
        assert rig.wanted() == {"a", "b", "c"}
        assert rig.cloud.target_size(ID) == 3


async def test_a_conflict_does_not_lose_a_deletion(autojump_clock: MockClock) -> None:
    """A status write in the same moment delays the wish, and does not lose it."""
    async with open_rig() as rig:
        three_up(rig)
        await rig.seen()
        rig.kube.fail_next(Conflict("changed"), verb="patch", kind=MACHINES, name="a", times=2)
        assert await rig.cloud.delete_nodes(ID, nodes=[ExternalNode("a")]) == Done()
        assert rig.wished("a") == (OFF, CA)


async def test_a_machine_that_failed_and_is_given_up_may_come_late(autojump_clock: MockClock) -> None:
    """Cluster Autoscaler deletes an Instance with an error: the wish says that the machine was given up, so that it stays when it
    arrives after all."""
    async with open_rig() as rig:
        rig.group()
        rig.machine("m", Phase.START_FAILED, wish(ON))
        await rig.seen()
        assert await rig.cloud.delete_nodes(ID, nodes=[ExternalNode("hexa://d/m", "hexa://d/m")]) == Done()
        assert rig.wished("m") == (OFF, CA)
        record = rig.stored_machine("m").metadata.annotations["infra.homecluster.dev/wish"]
        assert '"GivenUp"' in record


# --- DecreaseTargetSize ---------------------------------------------------------------------------------


async def test_failure_16_a_decrease_never_touches_a_machine_that_runs(autojump_clock: MockClock) -> None:
    """With running machines only, a decrease is answered with success and changes nothing."""
    async with open_rig() as rig:
        three_up(rig)
        await rig.seen()
        before = rig.api.version
        for delta in (-1, -3, -100, 0, 5):
            assert await rig.cloud.decrease_target_size(ID, delta=delta) == Done()
        assert rig.api.version == before
        assert rig.cloud.target_size(ID) == 3


async def test_failure_16_a_decrease_takes_back_what_has_not_come(autojump_clock: MockClock) -> None:
    """Only requests that are not fulfilled are taken back, the one furthest from coming first, and no more than asked."""
    async with open_rig() as rig:
        three_up(rig)
        rig.machine("booting", Phase.BOOTING, wish(ON))
        rig.machine("waking", Phase.POWERING_ON, wish(ON))
        rig.machine("asked", Phase.OFF, wish(ON))
        rig.machine("arrived", Phase.BOOTING, wish(ON))
        rig.kube_node("arrived")
        rig.machine("held", Phase.BOOTING, wish(ON), spec={"hold": {"power": "on"}})
        await rig.seen()
        for wanted in ({"booting", "waking"}, {"booting"}, set[str]()):
            assert await rig.cloud.decrease_target_size(ID, delta=-1) == Done()
            assert rig.wanted() & {"booting", "waking", "asked"} == wanted
        assert await rig.cloud.decrease_target_size(ID, delta=-9) == Done()
        assert {"a", "b", "c", "arrived", "held"} <= rig.wanted()


async def test_a_decrease_does_not_go_below_the_minimum(autojump_clock: MockClock) -> None:
    """Machines that hexa wakes up to minSize are not taken back: they would be asked for again at once."""
    async with open_rig() as rig:
        rig.group(minSize=2)
        for name in ("a", "b", "c"):
            rig.machine(name, Phase.BOOTING, wish(ON))
        await rig.seen()
        assert await rig.cloud.decrease_target_size(ID, delta=-3) == Done()
        assert rig.cloud.target_size(ID) == 2


# --- template, options, prices --------------------------------------------------------------------------


async def test_the_template_is_the_least_of_what_can_come(autojump_clock: MockClock) -> None:
    """The template has the least of each resource of the machines that may be woken, the labels that all have, the group's label,
    and no host name."""
    async with open_rig() as rig:
        rig.group(nodeSelector={"zone": "cellar"})
        small = {"capacity": {"cpu": "4", "memory": "32Gi"}, "labels": {"tier": "gold", "one": "only"}}
        large = {"capacity": {"cpu": "5", "memory": "24Gi"}, "labels": {"tier": "gold", "kubernetes.io/hostname": "b"}}
        rig.machine("a", spec={"template": small})
        rig.machine("b", spec={"template": large})
        rig.machine("on", Phase.READY, spec={"template": {"capacity": {"cpu": "3", "memory": "8Gi"}}})
        await rig.seen()
        template = rig.cloud.template(ID)
        assert isinstance(template, NodeTemplate)
        assert template.shape.capacity == {"cpu": "4", "memory": "24Gi", "pods": "110", "ephemeral-storage": "1Ti"}
        assert template.shape.allocatable == template.shape.capacity
        assert template.shape.labels == {"tier": "gold", "zone": "cellar", GROUP_LABEL: "g"}


async def test_without_a_candidate_the_template_is_of_what_is_there(autojump_clock: MockClock) -> None:
    """With all machines on, the template shows those."""
    async with open_rig() as rig:
        rig.group()
        rig.machine("on", Phase.READY)
        await rig.seen()
        template = rig.cloud.template(ID)
        assert isinstance(template, NodeTemplate)
        assert template.shape.capacity == {**CAPACITY, "ephemeral-storage": "1Ti"}


async def test_a_shape_that_nobody_knows_is_denied(autojump_clock: MockClock) -> None:
    """A group of machines that were never seen and declare nothing has no template, and the answer says what to do."""
    async with open_rig() as rig:
        rig.group()
        rig.machine("m", spec={"template": {}})
        await rig.seen()
        answer = rig.cloud.template(ID)
        assert isinstance(answer, Denied)
        assert answer.reason == "ShapeUnknown"
        assert "spec.template.capacity" in answer.message


async def test_mixed_groups_do_not_grow(autojump_clock: MockClock) -> None:
    """Two architectures in one group: no template, and no scale-up until it is split; what runs stays."""
    async with open_rig() as rig:
        rig.group()
        for name, arch in (("a", "amd64"), ("b", "arm64")):
            rig.machine(name, spec={"template": {"capacity": CAPACITY, "labels": {"kubernetes.io/arch": arch}}})
        rig.machine("on", Phase.READY, wish(ON))
        rig.kube_node("on")
        await rig.seen()
        answer = rig.cloud.template(ID)
        assert isinstance(answer, Denied)
        assert answer.reason == "MixedShape"
        assert limits(rig) == (0, 1)
        assert isinstance(await rig.cloud.increase_size(ID, delta=1), Denied)
        assert rig.cloud.target_size(ID) == 1


async def test_options_are_the_groups_and_else_silent(autojump_clock: MockClock) -> None:
    """What the group sets is answered in numbers; what it leaves unset is None, for the request's default."""
    async with open_rig() as rig:
        rig.group(scaleDownUtilizationThreshold=60, scaleDownUnneededTime="2m", zeroOrMaxNodeScaling=True)
        await rig.seen()
        options = rig.cloud.options(ID)
        assert not isinstance(options, UnknownGroup)
        assert options.scale_down_utilization_threshold == 0.6
        assert options.scale_down_unneeded_time == 120
        assert options.zero_or_max_node_scaling is True
        assert options.max_node_provision_time is None
        assert options.ignore_daemon_sets_utilization is None


def pod(cpu: str) -> Pod:
    """A pod that asks for so much."""
    requests = ResourceRequirements(requests={"cpu": cpu, "memory": "4Gi"})
    return Pod(metadata=Metadata(name="p"), spec=PodSpec(containers=(Container(resources=requests),)))


async def test_prices_over_the_asked_window(autojump_clock: MockClock) -> None:
    """A node costs its machine's hourly rate and energy over the window; a node made from the template costs what the next
    machine would; a node of nobody's has no price."""
    async with open_rig() as rig:
        rig.group(cost={"pricePerKWh": "0.5"})
        rig.machine("dear", Phase.READY, spec={"pricing": {"hourlyRate": 2}, "energy": {"maxWatts": 1000}})
        rig.machine("cheap", spec={"pricing": {"hourlyRate": "0.25"}})
        rig.kube_node("dear", spec={"providerID": "hexa://d/dear"})
        await rig.seen()
        half = at(0), at(0) + timedelta(minutes=30)
        assert rig.cloud.node_price(ExternalNode("dear"), *half) == pytest.approx(1.25)
        assert rig.cloud.node_price(ExternalNode("", "hexa://d/dear"), *half) == pytest.approx(1.25)
        template = ExternalNode("template-node-for-d/g-1", labels={GROUP_LABEL: "g"})
        assert rig.cloud.node_price(template, *half) == pytest.approx(0.125)
        assert rig.cloud.node_price(ExternalNode("foreign"), *half) is None
        small, large = (rig.cloud.pod_price(pod(cpu), *half) for cpu in ("1", "2"))
        assert 0 < small < large < 0.125


async def test_prices_follow_the_tariff_of_the_group(autojump_clock: MockClock) -> None:
    """An hour at night costs what energy costs at night, for machines that are there and for templates; the cheaper group by the
    hour is another one by day and by night. A tariff that nobody has leaves pricePerKWh, and the Group says so."""
    night = Priced(window_of([], "22:00", "06:00"), 0.1)
    tariffs = Tariffs({"night": Tariff(per_kwh=0.5, windows=(night,))})
    async with open_rig(tariffs=tariffs) as rig:
        rig.group(cost={"tariff": "night"})
        rig.group("flat", cost={"pricePerKWh": "0.3"})
        rig.group("typo", cost={"tariff": "nigth", "pricePerKWh": "0.4"})
        for name in ("g", "flat", "typo"):
            rig.machine(f"m-{name}", group=name, spec={"energy": {"maxWatts": 1000}})
        await rig.seen()

        def price(name: str, hour: int) -> float | None:
            node = ExternalNode(f"template-node-for-d/{name}-1", labels={GROUP_LABEL: name})
            return rig.cloud.node_price(node, at(hour * 3600), at((hour + 1) * 3600))

        midnight = (24 - at(0).hour) % 24
        assert [price("g", midnight + hour) for hour in (0, 12)] == pytest.approx([0.1, 0.5])
        assert [price("flat", midnight + hour) for hour in (0, 12)] == pytest.approx([0.3, 0.3])
        assert [price("typo", midnight + hour) for hour in (0, 12)] == pytest.approx([0.4, 0.4])
        half = (at(midnight * 3600 + 5 * 3600 + 1800), at(midnight * 3600 + 6 * 3600 + 1800))
        assert rig.cloud.node_price(ExternalNode("m-g"), *half) == pytest.approx(0.3)
        night_and_day = [
            rig.cloud.pod_price(pod("2"), at(n * 3600), at((n + 1) * 3600)) for n in (midnight, midnight + 12)
        ]
        assert night_and_day == pytest.approx([0.1 * 0.5, 0.3 * 0.5])  # half of the cheapest machine of the hour
        (problem,) = rig.views.group(Lookup("d", "typo")).problems
        assert str(problem).startswith(
            "spec.cost.tariff: hexa's configuration has no tariff nigth; it has night; write one"
        )
        forever = rig.cloud.node_price(ExternalNode("m-g"), at(0), datetime.max.replace(tzinfo=UTC))
        year = rig.cloud.node_price(ExternalNode("m-g"), at(0), at(366 * 24 * 3600))
        assert forever is not None
        assert year == pytest.approx(366 * (8 * 0.1 + 16 * 0.5), rel=1e-3)
        assert forever / year == pytest.approx((datetime.max.replace(tzinfo=UTC) - at(0)) / timedelta(days=366))
        assert rig.cloud.node_price(ExternalNode("m-g"), datetime.min.replace(tzinfo=UTC), at(0)) == 0.0
        tariffs.known = {}
        assert price("g", midnight) == 0.0  # energy without a price, until the file is back


async def test_a_pod_is_priced_on_machines_that_have_what_it_asks_for(autojump_clock: MockClock) -> None:
    """A pod that asks for a GPU costs its share of the dear machine that has one; one that no machine has costs all the same."""
    async with open_rig() as rig:
        rig.group()
        rig.machine("m", spec={"pricing": {"hourlyRate": 1}})
        gpu = {"cpu": "4", "memory": "8Gi", "pods": "110", "gpu.example/gpu": "2"}
        rig.machine("dear", spec={"pricing": {"hourlyRate": 10}, "template": {"capacity": gpu}})
        await rig.seen()

        def price(**wanted: str) -> float:
            asking = ResourceRequirements(requests={"cpu": "1", "memory": "1Gi", **wanted})
            asked = Pod(metadata=Metadata(name="p"), spec=PodSpec(containers=(Container(resources=asking),)))
            return rig.cloud.pod_price(asked, at(0), at(3600))

        assert price() == pytest.approx(0.25)
        assert price(**{"gpu.example/gpu": "1"}) == pytest.approx(5.0)
        assert price(**{"npu.example/npu": "1"}) == pytest.approx(0.25)


async def test_prices_tell_groups_of_one_name_apart(autojump_clock: MockClock) -> None:
    """Groups of the same name in two namespaces have prices of their own: the template's node says which it is made from."""
    async with open_rig() as rig:
        rig.group()
        rig.machine("m", spec={"pricing": {"hourlyRate": 1}})
        manifest = {"metadata": {"name": "g", "namespace": "other"}, "spec": {}}
        rig.api.create(GROUPS, manifest)
        node = {"metadata": {"name": "n", "namespace": "other", "labels": {"group": "g"}}}
        rig.api.create(
            MACHINES, {**node, "spec": {"pricing": {"hourlyRate": 7}}, "status": {"phase": "Off"}}, keep_status=True
        )
        await rig.seen()
        hour = at(0), at(3600)
        prices = [
            rig.cloud.node_price(ExternalNode(f"template-node-for-{name}-123", labels={GROUP_LABEL: "g"}), *hour)
            for name in ("d/g", "other/g")
        ]
        assert prices == [1, 7]


async def test_gpus_are_known_by_their_label(autojump_clock: MockClock) -> None:
    """The kinds of GPU that machines have, on or off."""
    async with open_rig() as rig:
        rig.group()
        rig.machine("m", spec={"template": {"capacity": CAPACITY, "labels": {rig.cloud.gpu_label(): "a4000"}}})
        rig.machine("n")
        await rig.seen()
        assert rig.cloud.gpu_types() == ["a4000"]


async def test_asking_judges_each_machine_once_for_each_change_of_its_own(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thousand questions about the nodes of a group judge its machines once; a change of one machine judges that one anew."""
    async with open_rig() as rig:
        rig.group()
        for number in range(50):
            rig.machine(f"m{number}", Phase.READY, welcomed=True)
            rig.kube_node(f"m{number}")
        await rig.seen()
        judged = 0
        judge = type(rig.views.members(key("g"))[0]).member

        def counted(view: Any, now: Any) -> Any:
            nonlocal judged
            judged += 1
            return judge(view, now)

        monkeypatch.setattr(type(rig.views.members(key("g"))[0]), "member", counted)
        for number in range(1000):
            rig.cloud.group_for_node(f"m{number % 50}", ""), rig.cloud.target_size(ID), rig.cloud.groups()
        assert judged == 50
        judged = 0
        rig.api.patch(NODES, ("", "m1"), Patch({"metadata": {"labels": {"x": "y"}}}))
        await rig.seen()
        for number in range(1000):
            rig.cloud.group_for_node(f"m{number % 50}", "")
        assert judged == 1
