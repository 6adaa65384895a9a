"""Machines and groups put together from the snapshot, and what is wrong between them."""

from datetime import timedelta

import pytest
from tests.app.rig import OFF, ON, SPACE, USER, Rig, at, key, open_rig, stamp, wish
from trio.testing import MockClock

from hexa.domain.machine.lifecycle import Phase
from hexa.domain.machine_view import MachineView
from hexa.domain.names import HOLDS_DATA_LABEL
from hexa.domain.resources.core import PODS
from hexa.domain.resources.v1alpha1 import MACHINES
from hexa.ports.kube import Patch


def seen(rig: Rig, name: str) -> MachineView:
    """The machine as the loops see it."""
    view = rig.views.machine(key(name))
    assert view is not None
    return view


def reasons(rig: Rig, name: str) -> set[str]:
    """Reasons of what is wrong with the machine."""
    return {problem.reason for problem in seen(rig, name).problems}


def pod(rig: Rig, name: str, node: str, labels: dict[str, str], *, phase: str = "Running") -> None:
    """A pod on a node."""
    metadata = {"name": name, "namespace": "kube-system", "labels": labels}
    rig.api.create(
        PODS, {"metadata": metadata, "spec": {"nodeName": node}, "status": {"phase": phase}}, keep_status=True
    )


async def test_two_machines_with_one_kubernetes_node_are_both_left_alone(autojump_clock: MockClock) -> None:
    """Machines that claim the same Kubernetes node are invalid, name each other, and are valid again once one gives way."""
    async with open_rig() as rig:
        rig.group()
        rig.machine("a", spec={"kubernetesNodeName": "worker"})
        rig.machine("b", spec={"kubernetesNodeName": "worker"})
        rig.kube_node("worker")
        await rig.seen()
        for one, other in (("a", "b"), ("b", "a")):
            assert not seen(rig, one).valid
            assert reasons(rig, one) == {"DuplicateKubernetesNode"}
            assert f"d/{other}" in str(seen(rig, one).problems[0])
        assert rig.views.by_kube_name("worker") is None
        rig.api.patch(MACHINES, (SPACE, "b"), Patch({"spec": {"kubernetesNodeName": "elsewhere"}}))
        await rig.seen()
        assert seen(rig, "a").valid
        assert seen(rig, "b").valid
        assert seen(rig, "a").kube is not None


async def test_a_machine_without_group_is_told_and_still_served(autojump_clock: MockClock) -> None:
    """A machine without group has a warning that says what to do, and stays usable."""
    async with open_rig() as rig:
        rig.machine("m", group="")
        await rig.seen()
        assert reasons(rig, "m") == {"NoGroup"}
        assert seen(rig, "m").valid


async def test_a_machine_whose_group_is_missing_is_only_watched(autojump_clock: MockClock) -> None:
    """Where its group has not come yet, or was deleted, what the group said is not known: the machine is told and left alone."""
    async with open_rig() as rig:
        rig.machine("m", group="nowhere")
        await rig.seen()
        assert reasons(rig, "m") == {"GroupMissing"}
        assert not seen(rig, "m").valid


async def test_a_group_that_comes_later_takes_its_machines(autojump_clock: MockClock) -> None:
    """The warning about a missing group ends when the group appears, and comes back when it is deleted."""
    async with open_rig() as rig:
        rig.machine("m")
        await rig.seen()
        rig.group(minSize=1)
        await rig.seen()
        assert reasons(rig, "m") == set()
        assert seen(rig, "m").policy.min_size == 1
        assert [view.key for view in rig.views.members(key("g"))] == [key("m")]


async def test_a_broken_group_makes_its_machines_inactive(autojump_clock: MockClock) -> None:
    """While a group contradicts itself none of its machines is acted on; other groups are not touched by it."""
    async with open_rig() as rig:
        rig.group("bad", minSize=3, maxSize=1)
        rig.group("good")
        rig.machine("x", group="bad")
        rig.machine("y", group="good")
        await rig.seen()
        assert not seen(rig, "x").valid
        assert seen(rig, "y").valid


async def test_failure_26_control_plane_members_are_refused(autojump_clock: MockClock) -> None:
    """A control-plane or etcd node in a group is refused, unless the group says that it may be a member."""
    async with open_rig() as rig:
        rig.group("strict")
        rig.group("lax", allowControlPlane=True)
        for number, role in enumerate(("control-plane", "controlplane", "master", "etcd")):
            for group in ("strict", "lax"):
                name = f"{group}{number}"
                rig.machine(name, Phase.READY, wish(ON, USER), group=group)
                rig.kube_node(name, labels={f"node-role.kubernetes.io/{role}": ""})
        await rig.seen()
        now = rig.clock.now()
        for number in range(4):
            refused, allowed = seen(rig, f"strict{number}"), seen(rig, f"lax{number}")
            assert (refused.valid, allowed.valid) == (False, True)
            assert [veto.reason for veto in refused.off_vetoes(now)] == ["ControlPlane"]
            assert allowed.off_vetoes(now) == ()


@pytest.mark.parametrize(
    "labels",
    [
        {"app.kubernetes.io/name": "hexa"},
        {"app": "hexa"},
        {"app": "cluster-autoscaler"},
        {"k8s-app": "cluster-autoscaler"},
        *({"app.kubernetes.io/name": f"{by}cluster-autoscaler"} for by in ("", "externalgrpc-", "clusterapi-", "aws-")),
    ],
)
async def test_what_hosts_hexa_or_the_autoscaler_is_never_rested(
    autojump_clock: MockClock, labels: dict[str, str]
) -> None:
    """A machine on which hexa or Cluster Autoscaler runs may not be switched off while it does; the veto names the pod."""
    async with open_rig() as rig:
        rig.group()
        rig.machine("m", Phase.READY, wish(OFF))
        rig.machine("other", Phase.READY, wish(OFF))
        await rig.seen()
        pod(rig, "brain", "m", labels)
        await rig.seen()
        now = rig.clock.now()
        (veto,) = seen(rig, "m").off_vetoes(now)
        assert veto.reason == "HostsControl"
        assert "kube-system/brain" in veto.message
        assert seen(rig, "m").acted_wish(now) is ON
        assert seen(rig, "other").acted_wish(now) is OFF
        rig.api.delete(PODS, ("kube-system", "brain"), grace=0)
        await rig.seen()
        assert seen(rig, "m").off_vetoes(now) == ()


async def test_failure_44_a_pod_that_hexa_depends_on_and_that_does_not_decode_guards_its_machine(
    autojump_clock: MockClock,
) -> None:
    """It runs all the same; the same goes for one that holds data for others."""
    async with open_rig() as rig:
        rig.group()
        rig.machine("m", Phase.READY, wish(OFF))
        rig.machine("n", Phase.READY, wish(OFF))
        pod(rig, "brain", "m", {"app": "hexa"})
        pod(rig, "disk", "n", {"longhorn.io/component": "instance-manager"})
        for name in ("brain", "disk"):
            rig.api.patch(PODS, ("kube-system", name), Patch({"spec": {"priority": "high"}}))
        await rig.seen()
        now = rig.clock.now()
        assert [veto.reason for veto in seen(rig, "m").off_vetoes(now)] == ["HostsControl"]
        assert [veto.reason for veto in seen(rig, "n").off_vetoes(now)] == ["HostsStorage"]


@pytest.mark.parametrize(
    "labels", [{"component": "kube-apiserver"}, {"k8s-app": "kube-apiserver"}, {"app": "openshift-kube-apiserver"}]
)
async def test_the_only_api_server_is_not_switched_off_and_one_of_several_is(
    autojump_clock: MockClock, labels: dict[str, str]
) -> None:
    """The machine of the only API server is vetoed; with a second API server elsewhere it is not."""
    async with open_rig() as rig:
        rig.group()
        rig.machine("m", Phase.READY, wish(OFF))
        pod(rig, "api-1", "m", labels)
        await rig.seen()
        now = rig.clock.now()
        assert [veto.reason for veto in seen(rig, "m").off_vetoes(now)] == ["HostsControl"]
        pod(rig, "api-2", "elsewhere", {"component": "kube-apiserver"})
        await rig.seen()
        assert seen(rig, "m").off_vetoes(now) == ()


@pytest.mark.parametrize(
    ("labels", "what"),
    [
        ({"longhorn.io/component": "instance-manager"}, "Longhorn"),
        ({"app": "rook-ceph-osd", "ceph-osd-id": "3"}, "Ceph OSD"),
        ({"app": "io-engine"}, "Mayastor"),
        ({"app": "nfs-server-provisioner"}, "NFS"),
        ({"app": "longhorn-manager"}, ""),
        ({"app": "mine", HOLDS_DATA_LABEL: "true"}, HOLDS_DATA_LABEL),
        ({"app": "rook-ceph-osd", HOLDS_DATA_LABEL: "false"}, ""),
        ({"app": "mine", HOLDS_DATA_LABEL: "perhaps"}, ""),
    ],
)
async def test_what_holds_data_for_others_is_never_rested(
    autojump_clock: MockClock, labels: dict[str, str], what: str
) -> None:
    """A machine on which a storage pod runs may not be switched off, a person's off included; the veto names pod and remedy. A
    group that says so is excepted."""
    async with open_rig() as rig:
        rig.group()
        rig.group("h", storage="ignore")
        rig.machine("m", Phase.READY, wish(OFF, USER))
        rig.machine("careless", Phase.READY, wish(OFF, USER), group="h")
        await rig.seen()
        for node in ("m", "careless"):
            pod(rig, f"data-{node}", node, labels)
        await rig.seen()
        now = rig.clock.now()
        vetoes = seen(rig, "m").off_vetoes(now)
        assert [veto.reason for veto in vetoes] == ["HostsStorage"] * bool(what)
        assert all(
            what in v.message and "kube-system/data-m" in v.message and "storage: ignore" in v.message for v in vetoes
        )
        assert seen(rig, "m").acted_wish(now) is (ON if what else OFF)
        assert seen(rig, "careless").off_vetoes(now) == ()
        rig.api.delete(PODS, ("kube-system", "data-m"), grace=0)
        await rig.seen()
        assert seen(rig, "m").off_vetoes(now) == ()


async def test_a_finished_pod_hosts_nothing(autojump_clock: MockClock) -> None:
    """A pod of hexa's that has ended keeps no machine on."""
    async with open_rig() as rig:
        rig.group()
        rig.machine("m", Phase.READY, wish(OFF))
        pod(rig, "old", "m", {"app": "hexa"}, phase="Succeeded")
        await rig.seen()
        assert seen(rig, "m").off_vetoes(rig.clock.now()) == ()


async def test_a_hold_ends_by_time_alone(autojump_clock: MockClock) -> None:
    """What a hold says counts until its moment and not after, with no write in between."""
    async with open_rig() as rig:
        rig.group(hold={"power": True, "until": stamp(100)})
        rig.machine("m", asked=wish(OFF, USER))
        await rig.seen()
        assert seen(rig, "m").acted_wish(at(99)) is ON
        assert seen(rig, "m").acted_wish(at(100)) is OFF
        assert [member.wanted for member in rig.views.judged(key("g"), at(99))] == [True]
        assert [member.wanted for member in rig.views.judged(key("g"), at(101))] == [False]


async def test_a_cool_off_ends_by_time_alone(autojump_clock: MockClock) -> None:
    """A machine that is left alone after a failure is a candidate again once its cool-off has passed."""
    async with open_rig() as rig:
        rig.group()
        rig.machine("m", Phase.OFF, coolUntil=stamp(60))
        await rig.seen()
        for seconds, cooling in ((0, True), (59, True), (60, False), (3600, False)):
            assert [member.cooling for member in rig.views.judged(key("g"), at(seconds))] == [cooling]


async def test_what_time_changes_is_told_once(autojump_clock: MockClock) -> None:
    """Answers that were worked out are known to be outdated as soon as a hold, a pause or a cool-off of any machine ends."""
    async with open_rig() as rig:
        rig.group()
        rig.machine("a", coolUntil=stamp(60))
        rig.machine("b", spec={"paused": {"until": stamp(90)}})
        await rig.seen()
        rig.views.judged(key("g"), at(0))
        assert [rig.views.expired(at(seconds)) for seconds in (0, 59, 60)] == [False, False, True]
        rig.views.judged(key("g"), at(60))
        assert [rig.views.expired(at(seconds)) for seconds in (61, 90, 91)] == [False, True, False]


async def test_views_are_kept_while_nothing_they_show_changes(autojump_clock: MockClock) -> None:
    """A change of one machine, or of the status of its group, leaves the views of all other machines as they are: the cost of a
    change does not grow with the number of machines."""
    async with open_rig() as rig:
        rig.group()
        rig.machine("a")
        rig.machine("b")
        await rig.seen()
        before = seen(rig, "a")
        rig.api.patch(MACHINES, (SPACE, "b"), Patch({"status": {"attempt": 7}}, subresource="status"))
        stored = rig.stored_group()
        await rig.groups.reconcile(key("g"))
        await rig.seen()
        assert rig.stored_group().status != stored.status
        assert seen(rig, "a") is before
        assert seen(rig, "b").node.status.attempt == 7


async def test_a_machine_that_leaves_its_group_or_is_deleted_is_forgotten(autojump_clock: MockClock) -> None:
    """Membership follows the label; what is deleted is no member any more and claims no Kubernetes node."""
    async with open_rig() as rig:
        for name in ("g", "h"):
            rig.group(name)
        rig.machine("m")
        rig.machine("n")
        await rig.seen()
        rig.api.patch(MACHINES, (SPACE, "m"), Patch({"metadata": {"labels": {"group": "h"}}}))
        rig.api.delete(MACHINES, (SPACE, "n"))
        await rig.seen()
        assert rig.views.members(key("g")) == []
        assert [view.key for view in rig.views.members(key("h"))] == [key("m")]
        assert rig.views.by_kube_name("n") is None


async def test_a_machine_is_found_by_its_provider_id(autojump_clock: MockClock) -> None:
    """The id that a Kubernetes node carries, carried or will carry leads to its machine, and an unknown one to none."""
    async with open_rig() as rig:
        rig.group()
        rig.machine("new")
        rig.machine("seen", template={"providerID": "k3s://seen"})
        rig.machine("here", Phase.READY)
        rig.kube_node("here", spec={"providerID": "talos://here"})
        await rig.seen()
        found = {
            known: view.key.name
            for known in ("hexa://d/new", "k3s://seen", "talos://here", "hexa://d/here", "aws://x")
            if (view := rig.views.by_provider_id(known)) is not None
        }
        assert found == {"hexa://d/new": "new", "k3s://seen": "seen", "talos://here": "here"}


async def test_failure_47_a_hold_counts_again_once_the_clock_is_set_back(autojump_clock: MockClock) -> None:
    """It had ended by a clock that was wrong: who is counted to rest is judged by the clock of now."""
    async with open_rig() as rig:
        rig.group()
        rig.machine("m", Phase.READY, spec={"hold": {"power": "on", "until": stamp(600)}})
        await rig.seen()
        rig.clock.set_by(3600)
        assert [member.off_vetoes for member in rig.views.judged(key("g"), rig.clock.now())] == [()]
        rig.clock.set_by(-3600)
        rig.views.clock_set(timedelta(seconds=-3600))
        (member,) = rig.views.judged(key("g"), rig.clock.now())
        assert [veto.reason for veto in member.off_vetoes] == ["Hold"]
