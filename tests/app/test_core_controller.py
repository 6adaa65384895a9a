"""What Cluster Autoscaler reads on the Kubernetes nodes of machines, and what a power cycle leaves of them."""

from typing import Any

import pytest
import trio
from tests.app.rig import ON, POD, SPACE, USER, Rig, open_rig, stamp, wish
from tests.app.unready import Unready
from trio.testing import MockClock

from hexa.adapters.memory.settings import Settings as Site
from hexa.domain.machine.lifecycle import Phase
from hexa.domain.names import (
    CORDON_ANNOTATION,
    GROUP_LABEL,
    MACHINE_ANNOTATION,
    OFF_FORBIDDEN_ANNOTATION,
    REGISTERED_ANNOTATION,
    SCALE_DOWN_DISABLED,
)
from hexa.domain.resources.core import NODES, PODS
from hexa.domain.resources.v1alpha1 import MACHINES
from hexa.ports.kube import Patch
from hexa.testing.world import World, group, machine, open_world

UNINITIALIZED = {"key": "node.cloudprovider.kubernetes.io/uninitialized", "value": "true", "effect": "NoSchedule"}
OURS = {MACHINE_ANNOTATION: "d/m", REGISTERED_ANNOTATION: "{}"}


async def core(rig: Rig, name: str = "m") -> Any:
    """Let the controller look at the node once; what is on it then."""
    await rig.seen()
    await rig.kube_nodes.reconcile(name)
    await rig.seen()
    return rig.stored_node(name)


# --- providerID -------------------------------------------------------------------------------------


async def test_an_empty_provider_id_is_set(autojump_clock: MockClock) -> None:
    """A Kubernetes node without providerID gets the one that its machine is shown by."""
    async with open_rig() as rig:
        rig.group()
        rig.machine("m", Phase.READY)
        rig.kube_node("m")
        assert (await core(rig)).spec.provider_id == "hexa://d/m"
        instances = rig.cloud.instances("d/g")
        assert isinstance(instances, list)
        assert [each.id for each in instances] == ["hexa://d/m"]


async def test_a_provider_id_that_is_there_is_used(autojump_clock: MockClock) -> None:
    """k3s and Talos set their own: it is never changed, and it is what Cluster Autoscaler is shown."""
    async with open_rig() as rig:
        rig.group()
        rig.machine("m", Phase.READY)
        rig.kube_node("m", spec={"providerID": "k3s://m"})
        assert (await core(rig)).spec.provider_id == "k3s://m"
        instances = rig.cloud.instances("d/g")
        assert isinstance(instances, list)
        assert [each.id for each in instances] == ["k3s://m"]


async def test_the_provider_id_of_before_is_given_back(autojump_clock: MockClock) -> None:
    """A node that registers without the providerID that it had before its power cycle gets that one again."""
    async with open_rig() as rig:
        rig.group()
        rig.machine("m", Phase.BOOTING, template={"providerID": "rack://7"})
        rig.kube_node("m")
        assert (await core(rig)).spec.provider_id == "rack://7"


async def test_failure_21_a_node_that_waits_for_its_cloud_is_left_alone(autojump_clock: MockClock) -> None:
    """While a cloud controller manager has not initialised the node its providerID is not set: that would never be undone."""
    async with open_rig() as rig:
        rig.group()
        rig.machine("m", Phase.READY)
        rig.kube_node("m", taints=[UNINITIALIZED])
        assert (await core(rig)).spec.provider_id == ""
        rig.api.patch(NODES, ("", "m"), Patch({"spec": {"taints": []}}))
        assert (await core(rig)).spec.provider_id == "hexa://d/m"


async def test_nodes_that_are_no_machines_are_left_alone(autojump_clock: MockClock) -> None:
    """Kubernetes nodes of nobody's, of invalid machines and of machines without group keep what they have."""
    async with open_rig() as rig:
        rig.group("bad", minSize=2, maxSize=1)
        rig.machine("lost", Phase.READY, group="")
        rig.machine("m", Phase.READY, group="bad")
        for name in ("m", "lost", "foreign"):
            rig.kube_node(name)
            before = rig.stored_node(name)
            assert await core(rig, name) == before


async def test_a_node_found_off_is_left_to_its_cordon(autojump_clock: MockClock) -> None:
    """The node of a machine that is off, or about to be found so, is written once, with its cordon; one that is cordoned already,
    and that of a machine which hexa only watches, get what they lack at once."""
    async with open_rig() as rig:
        rig.group()
        rig.machine("new", None)
        rig.machine("off", Phase.OFF)
        rig.machine("cordoned", Phase.OFF)
        rig.machine("watched", Phase.OFF, spec={"paused": {"reason": "new fans"}})
        for name in ("new", "off", "watched"):
            rig.kube_node(name, ready=False)
        rig.kube_node("cordoned", ready=False, spec={"unschedulable": True})
        found = {name: (await core(rig, name)).spec.provider_id for name in ("new", "off", "cordoned", "watched")}
        assert found == {"new": "", "off": "", "cordoned": "hexa://d/cordoned", "watched": "hexa://d/watched"}


# --- labels -----------------------------------------------------------------------------------------


async def test_members_carry_their_groups_labels(autojump_clock: MockClock) -> None:
    """A member that was welcomed gets the label of its group and what the group's nodeSelector asks; other values stay and are
    told on the group."""
    async with open_rig() as rig:
        rig.group(nodeSelector={"zone": "cellar", "tier": "gold"})
        rig.machine("m", Phase.READY, welcomed=True)
        rig.kube_node("m", labels={"tier": "iron"})
        node = await core(rig)
        assert node.metadata.labels == {GROUP_LABEL: "g", "zone": "cellar", "tier": "iron"}
        await rig.groups.reconcile(rig.views.by_kube_name("m").group.key)  # type: ignore[union-attr]
        mismatch = {c.type: c.message for c in rig.stored_group().status.conditions}["SelectorMismatch"]
        assert "m carries other values of tier" in mismatch


# --- scale-down-disabled ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "rule"),
    [
        ({"hold": {"power": "on", "reason": "demo"}}, "Hold"),
        ({"paused": {"reason": "new fans"}}, "Paused"),
        ({"shutdownPodSpec": None}, "PowerOffUnavailable"),
    ],
)
async def test_a_rule_that_forbids_an_off_shows_before_the_drain(
    autojump_clock: MockClock, spec: dict[str, Any], rule: str
) -> None:
    """While a hold, a pause or a missing way off forbids it, Cluster Autoscaler is told not to drain the node, and by whom; when
    the rule ends, both annotations go."""
    async with open_rig() as rig:
        rig.group()
        rig.machine("m", Phase.READY, spec=spec)
        rig.kube_node("m", annotations={"mine": "stays"})
        node = await core(rig)
        assert node.metadata.annotations == {
            SCALE_DOWN_DISABLED: "true",
            OFF_FORBIDDEN_ANNOTATION: rule,
            **OURS,
            "mine": "stays",
        }
        mended = {"hold": None, "paused": None, "shutdownPodSpec": POD}
        rig.api.patch(MACHINES, (SPACE, "m"), Patch({"spec": mended}))
        assert (await core(rig)).metadata.annotations == {**OURS, "mine": "stays"}


async def test_a_group_hold_and_a_hosted_pod_show_as_well(autojump_clock: MockClock) -> None:
    """The group's hold forbids for each member; a pod of hexa's forbids for the machine that it runs on."""
    async with open_rig() as rig:
        rig.group(hold={"power": True, "until": stamp(60)})
        rig.machine("m", Phase.READY)
        rig.kube_node("m")
        assert (await core(rig)).metadata.annotations[OFF_FORBIDDEN_ANNOTATION] == "Hold"
        metadata = {"name": "hexa", "namespace": "kube-system", "labels": {"app": "hexa"}}
        rig.api.create(PODS, {"metadata": metadata, "spec": {"nodeName": "m"}})
        assert (await core(rig)).metadata.annotations[OFF_FORBIDDEN_ANNOTATION] == "HostsControl"


async def test_somebody_elses_annotation_is_neither_claimed_nor_removed(autojump_clock: MockClock) -> None:
    """scale-down-disabled that a person set stays as it is, while a rule of ours stands and after it."""
    async with open_rig() as rig:
        rig.group()
        rig.machine("m", Phase.READY, spec={"hold": {"power": "on"}})
        rig.kube_node("m", annotations={SCALE_DOWN_DISABLED: "true"})
        assert (await core(rig)).metadata.annotations == {**OURS, SCALE_DOWN_DISABLED: "true"}
        rig.api.patch(MACHINES, (SPACE, "m"), Patch({"spec": {"hold": None}}))
        assert (await core(rig)).metadata.annotations == {**OURS, SCALE_DOWN_DISABLED: "true"}


async def test_a_machine_that_is_given_up_takes_our_annotation_with_it(autojump_clock: MockClock) -> None:
    """When the Node resource is deleted, its Kubernetes node may be scaled down by others again."""
    async with open_rig() as rig:
        rig.group()
        rig.machine("m", Phase.READY, spec={"hold": {"power": "on"}})
        rig.kube_node("m")
        await core(rig)
        rig.api.delete(MACHINES, (SPACE, "m"))
        assert (await core(rig)).metadata.annotations == {}


async def test_what_is_as_it_should_be_is_not_written(autojump_clock: MockClock) -> None:
    """A second look writes nothing."""
    async with open_rig() as rig:
        rig.group()
        rig.machine("m", Phase.READY, wish(ON, USER), welcomed=True, spec={"hold": {"power": "on"}})
        rig.kube_node("m")
        await core(rig)
        before = rig.kube.count("patch", NODES)
        await core(rig)
        assert rig.kube.count("patch", NODES) == before


# --- a whole power cycle ------------------------------------------------------------------------------

SLOW = {"key": "slow-disk", "effect": "NoSchedule"}
RACK_TAINT = {"key": "rack", "value": "7", "effect": "NoSchedule"}


def touched(world: World) -> None:
    """What people and controllers put on a node in its life."""
    metadata = {
        "labels": {"tier": "gold", "role": "changed", "example.com/owner": "ops"},
        "annotations": {"example.com/note": "keep me", "flannel.alpha.coreos.com/public-ip": "10.0.0.7"},
    }
    world.site.api.patch(
        NODES, ("", "box"), Patch({"metadata": metadata, "spec": {"taints": [RACK_TAINT]}}), manager="kubectl"
    )


@pytest.mark.parametrize("policy", ["Delete", "Keep"])
@pytest.mark.parametrize("own_id", ["", "k3s://box"])
async def test_feature_node_before_and_after_a_power_cycle_is_equal(
    autojump_clock: MockClock, policy: str, own_id: str
) -> None:
    """Labels (changed ones of the kubelet's included), annotations, taints and providerID of a node are after a power cycle what
    they were before, and they are back before the node takes pods."""
    rack = group("rack", nodeLeavePolicy=policy, nodeSelector={"zone": "cellar"})
    box = machine("box", group="rack", boot_seconds=8.0, labels={"role": "kubelet"}, provider_id=own_id)
    async with open_world(groups=[rack], machines=[box], autoscaler=None, site=Site(pod_stop=0.2)) as world:
        world.edit("box", {"powerState": "on"})
        await world.until(lambda: world.node("box").status.welcomed, within=60)
        touched(world)
        await world.settle(quiet=30)
        before = world.kube_node("box")
        world.edit("box", {"powerState": "off"})
        await world.until(lambda: world.phase("box") is Phase.OFF, within=60)
        await world.settle(quiet=120)
        if policy == "Delete":
            assert world.kube_node("box") is None
        unready, states = Unready(world, "box"), seen_states(world)
        world.edit("box", {"powerState": "on"})
        await trio.sleep(15)
        unready.end()
        await world.until(lambda: world.node("box").status.welcomed, within=60)
        await world.settle(quiet=30)
        after = world.kube_node("box")
        assert before is not None
        assert after is not None
        for part in ("labels", "annotations"):
            assert getattr(after.metadata, part) == getattr(before.metadata, part), part
        assert after.spec == before.spec
        first = next(state for state in states if lets_in(state))
        assert first["metadata"]["labels"] == before.metadata.labels
        assert first["spec"]["providerID"] == before.spec.provider_id
        assert RACK_TAINT in first["spec"]["taints"]
        assert CORDON_ANNOTATION not in first["metadata"]["annotations"]


async def test_failure_61_a_kubelet_that_registers_other_labels_and_taints_is_believed(
    autojump_clock: MockClock,
) -> None:
    """A label that it registers with another value, one and a taint that it registers no more: after the boot the node is as the
    kubelet says, and what a person had put there is back."""
    kubelet = {"labels": {"tier": "silver", "old": "1"}, "taints": (SLOW,)}
    box = machine("box", group="rack", boot_seconds=8.0, declared=False, **kubelet)
    async with open_world(groups=[group("rack")], machines=[box], autoscaler=None, site=Site(pod_stop=0.2)) as world:
        world.edit("box", {"powerState": "on"})
        await world.until(lambda: world.node("box").status.welcomed, within=60)
        mine = {"metadata": {"labels": {"mine": "x"}}, "spec": {"taints": [SLOW, RACK_TAINT]}}
        world.site.api.patch(NODES, ("", "box"), Patch(mine), manager="kubectl")
        await world.settle(quiet=5)
        world.edit("box", {"powerState": "off"})
        await world.until(lambda: world.phase("box") is Phase.OFF and world.kube_node("box") is None, within=300)
        world.hardware("box").reinstall(labels={"tier": "gold"}, taints=())
        world.edit("box", {"powerState": "on"})
        await world.until(lambda: world.node("box").status.welcomed, within=60)
        node = world.kube_node("box")
        assert node is not None
        labels = {key: node.metadata.labels.get(key) for key in ("tier", "old", "mine")}
        assert labels == {"tier": "gold", "old": None, "mine": "x"}
        assert [taint.key for taint in node.spec.taints] == ["rack"]


def seen_states(world: World) -> list[Any]:
    """Every state that the node passes through from now on."""
    states: list[Any] = []
    world.site.api.listen(NODES, lambda event: states.append(event.stored.raw))
    return states


def lets_in(state: Any) -> bool:
    """Whether a pod that tolerates the rack's taint may land."""
    hurdles = {taint["key"] for taint in state["spec"].get("taints", ())} - {"rack"}
    ready = any(c["type"] == "Ready" and c["status"] == "True" for c in state["status"]["conditions"])
    box = state["metadata"]["name"] == "box" and not state["spec"].get("unschedulable")
    return box and ready and not hurdles
