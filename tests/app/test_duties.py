"""What is done to Kubernetes nodes and pods: cordon, evict, welcome, suspend, leave. All of it may be repeated."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import trio
from tests.app.rig import Rig, at, key, open_rig, stamp
from trio.testing import MockClock

from hexa.app.node.draining import evict
from hexa.app.node.duties import NodeDuties, cordon_patch, left_behind
from hexa.domain.errors import Conflict, Refused, Unavailable
from hexa.domain.machine.lifecycle import Phase
from hexa.domain.machine_view import MachineView
from hexa.domain.names import (
    CA_CANDIDATE_TAINT,
    CA_TO_BE_DELETED_TAINT,
    CORDON_ANNOTATION,
    GROUP_LABEL,
    MACHINE_ANNOTATION,
)
from hexa.domain.pods.drain import Plan
from hexa.domain.resources.core import BUDGETS, NODES, PODS, Metadata, Pod, PodSpec, PodStatus

READY_AT = 100.0
DELETED, CANDIDATE = CA_TO_BE_DELETED_TAINT, CA_CANDIDATE_TAINT


def taint(name: str, value: Any = "", effect: str = "NoSchedule") -> dict[str, str]:
    """A taint as the API has it."""
    return {"key": name, "effect": effect, **({"value": str(value)} if value != "" else {})}


def unix(seconds: float) -> int:
    """Cluster Autoscaler's stamp on its taints, so long after the start."""
    return int(at(seconds).timestamp())


def view_of(rig: Rig, name: str = "m") -> MachineView:
    """The machine as it is now."""
    view = rig.views.machine(key(name))
    assert view is not None
    return view


def test_a_cordon_is_marked_in_every_year() -> None:
    """With four digits of the year, as the API server and hexa read it."""
    marked = cordon_patch(datetime(1, 1, 1, tzinfo=UTC))["metadata"]["annotations"]
    assert marked == {CORDON_ANNOTATION: "0001-01-01T00:00:00Z"}


async def welcome(rig: Rig, *, since: float = READY_AT) -> Any:
    """Welcome the machine once, and once more: the second time writes nothing."""
    await rig.seen()
    duties = NodeDuties(rig.kube, rig.store)
    await duties.welcome(view_of(rig), ready_since=at(since))
    await rig.seen()
    node = rig.stored_node("m")
    await duties.welcome(view_of(rig), ready_since=at(since))
    assert rig.stored_node("m").metadata.resource_version == node.metadata.resource_version
    return node


def machine(rig: Rig, *, spec: dict[str, Any] | None = None, group: dict[str, Any] | None = None, **seen: Any) -> None:
    """A machine that just became Ready; `seen`: the shape of before."""
    rig.group(**(group or {}))
    rig.machine("m", Phase.READY, spec=spec, since=READY_AT, **({"template": seen} if seen else {}))


# --- welcome ------------------------------------------------------------------------------------------


async def test_our_cordon_goes_with_its_mark(autojump_clock: MockClock) -> None:
    """A node that we cordoned takes pods again, in one write, and the taint of the cordon goes at once."""
    async with open_rig() as rig:
        machine(rig)
        cordoned = {"unschedulable": True}
        rig.kube_node(
            "m",
            annotations={CORDON_ANNOTATION: stamp(0), "mine": "stays"},
            spec=cordoned,
            taints=[taint("node.kubernetes.io/unschedulable"), taint("rack", 7)],
        )
        before = rig.kube.count("patch", NODES)
        node = await welcome(rig)
        assert rig.kube.count("patch", NODES) - before == 1
        assert not node.spec.unschedulable
        assert node.metadata.annotations == {MACHINE_ANNOTATION: "d/m", "mine": "stays"}
        assert [each.key for each in node.spec.taints] == ["rack"]
        assert node.metadata.labels == {GROUP_LABEL: "g"}


async def test_somebody_elses_cordon_stays(autojump_clock: MockClock) -> None:
    """A cordon that we did not make is a person's, and stays."""
    async with open_rig() as rig:
        machine(rig)
        rig.kube_node("m", spec={"unschedulable": True}, taints=[taint("node.kubernetes.io/unschedulable")])
        node = await welcome(rig)
        assert node.spec.unschedulable
        assert [each.key for each in node.spec.taints] == ["node.kubernetes.io/unschedulable"]


async def test_a_persons_cordon_of_before_outlives_ours(autojump_clock: MockClock) -> None:
    """A person had cordoned the node, it left, and what registered anew was cordoned by us before it was given back what it had:
    our mark goes and the cordon stays."""
    async with open_rig() as rig:
        machine(rig, unschedulable=True, at=stamp(-60))
        rig.kube_node("m", spec={"unschedulable": True}, annotations={CORDON_ANNOTATION: stamp(0)})
        node = await welcome(rig)
        assert node.spec.unschedulable
        assert node.metadata.annotations == {MACHINE_ANNOTATION: "d/m"}


async def test_a_cordon_that_a_person_lifted_is_not_kept(autojump_clock: MockClock) -> None:
    """A node that never left carries our mark: nobody's cordon stood on it when we put ours on, whatever was seen earlier."""
    async with open_rig() as rig:
        machine(rig, unschedulable=True, at=stamp(1))
        rig.kube_node("m", spec={"unschedulable": True}, annotations={CORDON_ANNOTATION: stamp(0)})
        assert not (await welcome(rig)).spec.unschedulable


async def test_taints_of_cluster_autoscaler_from_before_the_boot_are_stripped(autojump_clock: MockClock) -> None:
    """Its taints that are older than Ready go, with the cordon that came with one; those put on since stay: its own drain starts
    with one. One of the same second may be newer, and stays."""
    async with open_rig() as rig:
        machine(rig)
        old, new = unix(READY_AT - 1), unix(READY_AT)
        rig.kube_node(
            "m",
            spec={"unschedulable": True},
            taints=[taint(DELETED, old), taint(CANDIDATE, old, "PreferNoSchedule"), taint(CANDIDATE, new)],
        )
        node = await welcome(rig, since=READY_AT + 0.7)
        assert [(each.key, each.value) for each in node.spec.taints] == [(CANDIDATE, str(new))]
        assert not node.spec.unschedulable


async def test_a_drain_that_cluster_autoscaler_just_began_is_not_disturbed(autojump_clock: MockClock) -> None:
    """A node that it taints and cordons after Ready keeps both."""
    async with open_rig() as rig:
        machine(rig)
        rig.kube_node("m", spec={"unschedulable": True}, taints=[taint(DELETED, unix(READY_AT + 2))])
        node = await welcome(rig)
        assert node.spec.unschedulable
        assert [each.key for each in node.spec.taints] == [DELETED]


async def test_taints_to_remove_are_stripped(autojump_clock: MockClock) -> None:
    """spec.taintsToRemove goes once for each boot: by key and effect, or by key alone."""
    async with open_rig() as rig:
        machine(rig, spec={"taintsToRemove": [{"key": "boot"}, {"key": "slow", "effect": "NoExecute"}]})
        taints = [taint("boot"), taint("boot", "x", "NoExecute"), taint("slow"), taint("slow", "", "NoExecute")]
        rig.kube_node("m", taints=taints)
        node = await welcome(rig)
        assert [(each.key, each.effect) for each in node.spec.taints] == [("slow", "NoSchedule")]


@pytest.mark.parametrize(
    ("registered", "role", "back"),
    [
        (None, "kubelet", {"tier", "rack", "old"}),
        ({"role": "older"}, "kubelet", {"tier", "rack", "old"}),
        ({"role": "kubelet"}, "changed", {"tier", "rack", "old"}),
        ({"role": "kubelet", "old": "1"}, "changed", {"tier", "rack"}),
        ({"role": "kubelet", "tier": "silver"}, "changed", {"rack", "old"}),
    ],
)
async def test_failure_61_what_a_kubelet_registers_anew_outranks_what_is_remembered(
    autojump_clock: MockClock, registered: dict[str, str] | None, role: str, back: set[str]
) -> None:
    """What people and programs had put on a node comes back to the new object, over a label of the kubelet only if it registers
    the same as before. What the kubelet says anew stands, what it says no more is gone, and what spec.taintsToRemove says too."""
    async with open_rig() as rig:
        machine(
            rig,
            spec={"taintsToRemove": [{"key": "boot"}]},
            labels={"tier": "gold", "role": "changed", "kubernetes.io/arch": "amd64", "old": "1"},
            annotations={"note": "old", "owner": "ops"},
            taints=[taint("rack", 7), taint("boot"), taint("node.cilium.io/agent-not-ready")],
            at=stamp(1),
            **({} if registered is None else {"registered": {"labels": registered}}),
        )
        await trio.sleep(50)
        rig.kube_node("m", labels={"role": "kubelet", "kubernetes.io/arch": "arm64"}, annotations={"note": "new"})
        node = await welcome(rig)
        given = {"tier": "gold", "old": "1"}
        assert node.metadata.labels == {
            GROUP_LABEL: "g",
            "role": role,
            "kubernetes.io/arch": "arm64",
            **{key: value for key, value in given.items() if key in back},
        }
        assert node.metadata.annotations == {MACHINE_ANNOTATION: "d/m", "note": "new", "owner": "ops"}
        assert [each.key for each in node.spec.taints] == ["rack"]
        assert node.spec.provider_id == "hexa://d/m"


async def test_nothing_is_given_back_to_an_object_that_stayed(autojump_clock: MockClock) -> None:
    """What a person took off a node that never left stays off."""
    async with open_rig() as rig:
        rig.kube_node("m", labels={GROUP_LABEL: "g"})
        await trio.sleep(50)
        machine(rig, labels={"tier": "gold"}, annotations={"owner": "ops"}, taints=[taint("rack", 7)], at=stamp(30))
        node = await welcome(rig)
        assert node.metadata.labels == {GROUP_LABEL: "g"}
        assert node.metadata.annotations == {MACHINE_ANNOTATION: "d/m"}
        assert node.spec.taints == ()


async def test_labels_of_the_group_win_at_boot(autojump_clock: MockClock) -> None:
    """What the group's nodeSelector asks is on every member after its boot."""
    async with open_rig() as rig:
        machine(rig, group={"nodeSelector": {"tier": "gold"}})
        rig.kube_node("m", labels={"tier": "iron"})
        assert (await welcome(rig)).metadata.labels == {GROUP_LABEL: "g", "tier": "gold"}


async def test_a_stale_view_of_the_node_is_a_conflict(autojump_clock: MockClock) -> None:
    """A node that changed since we read it is not overwritten: the welcome is done again."""
    async with open_rig() as rig:
        machine(rig)
        rig.kube_node("m", taints=[taint("rack", 7), taint(DELETED, unix(1))])
        await rig.seen()
        view = view_of(rig)
        stored = rig.api.get(NODES, "m")
        assert stored is not None
        rig.api.write(NODES, stored, spec={"taints": [taint("new")]})
        with pytest.raises(Conflict):
            await NodeDuties(rig.kube, rig.store).welcome(view, ready_since=at(READY_AT))
        assert [each.key for each in rig.stored_node("m").spec.taints] == ["new"]


# --- cordon and suspend -----------------------------------------------------------------------------


async def test_a_cordon_of_ours_is_marked(autojump_clock: MockClock) -> None:
    """Who looks at the node sees that hexa cordoned it and when; a second cordon writes nothing."""
    async with open_rig() as rig:
        machine(rig)
        rig.kube_node("m")
        await rig.seen()
        duties = NodeDuties(rig.kube, rig.store)
        for _ in range(2):
            await duties.cordon(view_of(rig), at(7))
        node = rig.stored_node("m")
        assert node.spec.unschedulable
        assert node.metadata.annotations == {CORDON_ANNOTATION: stamp(7)}
        assert rig.kube.count("patch", NODES) == 1


async def test_a_person_s_cordon_is_not_claimed(autojump_clock: MockClock) -> None:
    """A node that is cordoned already is not marked as ours."""
    async with open_rig() as rig:
        machine(rig)
        rig.kube_node("m", spec={"unschedulable": True})
        await rig.seen()
        await NodeDuties(rig.kube, rig.store).cordon(view_of(rig), at(7))
        assert rig.stored_node("m").metadata.annotations == {}


async def test_failure_18_a_node_of_a_machine_that_is_off_is_suspended(autojump_clock: MockClock) -> None:
    """Cordoned and Suspended=True, which Cluster Autoscaler 1.36 counts apart from unready; the welcome takes both back."""
    async with open_rig() as rig:
        machine(rig)
        rig.kube_node("m", ready=False)
        await rig.seen()
        duties = NodeDuties(rig.kube, rig.store)
        for _ in range(2):
            await duties.suspend(view_of(rig), at(7))
            await rig.seen()
        node = rig.stored_node("m")
        assert node.spec.unschedulable
        assert {c.type: c.status for c in node.status.conditions} == {"Ready": "Unknown", "Suspended": "True"}
        assert rig.kube.count("patch", NODES) == 2
        node = await welcome(rig)
        assert not node.spec.unschedulable
        assert {c.type: c.status for c in node.status.conditions}["Suspended"] == "False"


async def test_only_this_very_node_is_deleted(autojump_clock: MockClock) -> None:
    """A node that registered anew under the same name is not deleted in place of the old one."""
    async with open_rig() as rig:
        machine(rig)
        rig.kube_node("m")
        await rig.seen()
        view, duties = view_of(rig), NodeDuties(rig.kube, rig.store)
        rig.api.delete(NODES, ("", "m"))
        rig.kube_node("m")
        with pytest.raises(Conflict):
            await duties.delete(view)
        assert rig.stored_node("m")
        await rig.seen()
        await duties.delete(view_of(rig))
        assert rig.api.get(NODES, "m") is None


# --- evictions and what is left ---------------------------------------------------------------------------


def pod(name: str, **spec: Any) -> Pod:
    """A pod of a plan."""
    return Pod(metadata=Metadata(name=name, namespace="default"), spec=PodSpec(**spec))


async def evicting(rig: Rig, *names: str) -> Plan:
    """A plan to evict these pods, which exist."""
    for name in names:
        metadata = {"name": name, "namespace": "default", "labels": {"app": name}}
        status = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
        rig.api.create(PODS, {"metadata": metadata, "spec": {"nodeName": "m"}, "status": status}, keep_status=True)
    await rig.seen()
    return Plan(evict=tuple(map(pod, names)))


async def test_who_blocks_is_named(autojump_clock: MockClock) -> None:
    """A disruption budget that allows nothing is named with the pod; the other pods go."""
    async with open_rig() as rig:
        plan = await evicting(rig, "free", "kept")
        budget = {"selector": {"matchLabels": {"app": "kept"}}, "maxUnavailable": 0}
        rig.api.create(BUDGETS, {"metadata": {"name": "hands-off", "namespace": "default"}, "spec": budget})
        blocker = await evict(rig.kube, plan, grace=None)
        assert blocker.startswith("default/kept: ")
        assert "hands-off" in blocker
        free = rig.api.get(PODS, "free", "default")
        assert free is None or "deletionTimestamp" in free.raw["metadata"]


async def test_an_eviction_that_fails_is_told_after_the_others_were_asked(autojump_clock: MockClock) -> None:
    """One error neither hides in a group nor keeps the other pods."""
    async with open_rig() as rig:
        plan = await evicting(rig, "a", "b", "c")
        rig.kube.fail_next(Unavailable("no answer"), verb="evict", name="b")
        with pytest.raises(Unavailable):
            await evict(rig.kube, plan, grace=None)
        assert rig.kube.count("evict", PODS) == 3


async def test_an_eviction_that_is_forbidden_blocks_and_is_named(autojump_clock: MockClock) -> None:
    """A pod that hexa may not evict, such as another tenant's, blocks the drain by name; the others go."""
    async with open_rig() as rig:
        plan = await evicting(rig, "ours", "theirs")
        rig.kube.fail_next(
            Refused("needs verb create on pods/eviction", reason="Forbidden"), verb="evict", name="theirs"
        )
        assert await evict(rig.kube, plan, grace=None) == "default/theirs: needs verb create on pods/eviction"
        ours = rig.api.get(PODS, "ours", "default")
        assert ours is None or "deletionTimestamp" in ours.raw["metadata"]


async def test_a_pod_that_is_another_one_by_now_blocks_nothing(autojump_clock: MockClock) -> None:
    """A pod that was replaced by one of the same name since we looked is left for the next look."""
    async with open_rig() as rig:
        plan = await evicting(rig, "a")
        rig.kube.fail_next(Conflict("another uid"), verb="evict", name="a")
        assert await evict(rig.kube, plan, grace=None) == ""


@pytest.mark.parametrize(
    ("own", "longest", "asked"), [(30, None, None), (30, 10, 10), (5, 10, 5), (None, 10, 10), (None, None, None)]
)
async def test_the_grace_of_an_eviction(
    autojump_clock: MockClock, own: int | None, longest: int | None, asked: int | None
) -> None:
    """The group's gracePeriod shortens a pod's own grace and never lengthens it."""
    async with open_rig() as rig:
        given: list[int | None] = []

        async def asked_for(name: str, *, grace: int | None = None, **_: Any) -> Any:
            given.append(grace)

        rig.kube.evict = asked_for  # type: ignore[method-assign]
        plan = Plan(evict=(pod("a", termination_grace_period_seconds=own),))
        await evict(rig.kube, plan, grace=longest)
        assert given == [asked]


def remains(**status: Any) -> Pod:
    """A pod of an earlier boot, or not."""
    gone = status.pop("gone", None)
    metadata = Metadata(name="p", deletion_timestamp=at(gone) if gone is not None else None)
    if "start_time" in status:
        status["start_time"] = at(status["start_time"])
    return Pod(metadata=metadata, status=PodStatus(**status))


@pytest.mark.parametrize(
    ("left", "is_left"),
    [
        (remains(phase="Running", gone=90), True),  # terminating since before the boot: no kubelet can end it
        (remains(phase="Running", gone=110), False),  # it is being ended now
        (remains(phase="Running"), False),
        (remains(phase="Succeeded", start_time=5), False),  # a result that somebody may want to read
        (remains(phase="Failed", reason="Terminated", start_time=5), True),  # ended by the graceful shutdown
        (remains(phase="Failed", reason="NodeShutdown"), True),  # refused during it
        (remains(phase="Failed", reason="Terminated", start_time=120), False),
        (remains(phase="Failed", reason="Error", start_time=5), False),
    ],
)
def test_failure_29_what_the_last_boot_left_behind(left: Pod, is_left: bool) -> None:
    """Pods that are stuck since the last power-off are told from those that live, end now, or have a result of their own."""
    assert left_behind(left, boot=at(100)) is is_left


async def test_failure_29_stuck_pods_are_swept(autojump_clock: MockClock) -> None:
    """What the last boot left behind is removed from the API without grace; the rest is not touched."""
    async with open_rig() as rig:
        for name, status in (("stuck", {"phase": "Failed", "reason": "Terminated"}), ("fine", {"phase": "Running"})):
            metadata = {"name": name, "namespace": "default"}
            rig.api.create(PODS, {"metadata": metadata, "spec": {"nodeName": "m"}, "status": status}, keep_status=True)
        pods = [found for each in rig.api.find(PODS) if isinstance(found := each.decoded(PODS), Pod)]
        swept = await NodeDuties(rig.kube, rig.store).sweep(pods, boot=at(100) + timedelta(hours=1))
        assert swept == (1, "")
        assert [each.key[1] for each in rig.api.find(PODS)] == ["fine"]


async def test_what_may_not_be_swept_keeps_no_machine_from_its_work(autojump_clock: MockClock) -> None:
    """Remains that hexa may not delete, such as another tenant's, are told, and stay."""
    async with open_rig() as rig:
        status = {"phase": "Failed", "reason": "Terminated"}
        for name in ("ours", "theirs"):
            metadata = {"name": name, "namespace": "default"}
            rig.api.create(PODS, {"metadata": metadata, "spec": {"nodeName": "m"}, "status": status}, keep_status=True)
        pods = [found for each in rig.api.find(PODS) if isinstance(found := each.decoded(PODS), Pod)]
        rig.kube.fail_next(Refused("needs verb delete on pods", reason="Forbidden"), verb="delete", name="theirs")
        swept = await NodeDuties(rig.kube, rig.store).sweep(pods, boot=at(100) + timedelta(hours=1))
        assert swept == (1, "default/theirs: needs verb delete on pods")
