"""What a user may rely on of the API server in RAM, seen through the Kubernetes port."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from hexa.adapters.memory.clock import MemoryClock
from hexa.adapters.memory.cluster.api import MemoryApi
from hexa.adapters.memory.cluster.eviction import BudgetController
from hexa.adapters.memory.cluster.kinds import REPLICA_SETS
from hexa.adapters.memory.ports.journal import MemoryJournal
from hexa.adapters.memory.ports.kube import MemoryKube
from hexa.domain.errors import AlreadyExists, Conflict, Expired, NotFound, Refused, Unavailable
from hexa.domain.resources.core import BUDGETS, JOBS, NODES, PODS, Malformed, ObjectReference
from hexa.domain.resources.v1alpha1 import GROUPS, MACHINES
from hexa.ports.kube import Blocked, Change, Evicted, Patch, PatchStyle, Selector


@pytest.fixture
async def kube(autojump_clock: MockClock) -> MemoryKube:
    """A client of an empty API server."""
    return MemoryKube(MemoryApi(MemoryClock()))


def pod(name: str, *, labels: dict[str, str] | None = None, node: str = "", **metadata: Any) -> dict[str, Any]:
    """The manifest of a pod."""
    containers = [{"name": "main", "image": "busybox"}]
    return {
        "metadata": {"name": name, "namespace": "default", "labels": labels or {}, **metadata},
        "spec": {"containers": containers, **({"nodeName": node} if node else {})},
    }


def machine(name: str, **spec: Any) -> dict[str, Any]:
    """The manifest of a machine."""
    return {"metadata": {"name": name, "namespace": "site", "labels": {"group": "rack"}}, "spec": spec}


async def names(kube: MemoryKube, **selector: str) -> list[str]:
    """Names of the pods that are listed."""
    return [item.metadata.name for item in (await kube.list(PODS, Selector(**selector))).items]


async def ready(kube: MemoryKube, name: str) -> None:
    """Let the pod run and be ready."""
    body = {"status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}}
    await kube.patch(PODS, name, Patch(body, subresource="status"), namespace="default")


async def drain(changes: trio.MemoryReceiveChannel[Change[Any]]) -> list[tuple[str, str]]:
    """What is there to read now, as (type, name)."""
    seen: list[Change[Any]] = []
    with trio.move_on_after(1):
        async for change in changes:
            seen.append(change)  # noqa: PERF401
    return [(str(change.type), change.object.metadata.name if change.object else "") for change in seen]


async def test_create_fills_in_what_the_server_owns(autojump_clock: MockClock, kube: MemoryKube) -> None:
    """A created object comes back with uid, version, whole-second creation time and generation."""
    await trio.sleep(1.25)
    node = await kube.create(MACHINES, machine("m1", powerState="on"))
    assert node.metadata.uid
    assert int(node.metadata.resource_version) > 0
    assert node.metadata.generation == 1
    assert node.metadata.creation_timestamp == datetime(2026, 1, 5, 0, 0, 1, tzinfo=UTC)


async def test_a_name_is_taken_once(autojump_clock: MockClock, kube: MemoryKube) -> None:
    """A second create of one name is refused, also while the first object waits for its finalizer."""
    await kube.create(MACHINES, machine("m1"))
    with pytest.raises(AlreadyExists):
        await kube.create(MACHINES, machine("m1"))


@pytest.mark.parametrize("name", ["", "Upper", "under_score", "-dash", "x" * 254])
async def test_bad_names_are_refused(autojump_clock: MockClock, kube: MemoryKube, name: str) -> None:
    """Names follow RFC 1123, as on a real server."""
    with pytest.raises(Refused):
        await kube.create(MACHINES, machine(name))


async def test_generation_counts_changes_of_spec_alone(autojump_clock: MockClock, kube: MemoryKube) -> None:
    """Labels and status leave the generation of our resources alone; spec counts it up."""
    await kube.create(MACHINES, machine("m1"))
    node = await kube.patch(MACHINES, "m1", Patch({"metadata": {"labels": {"a": "b"}}}), namespace="site")
    node = await kube.patch(MACHINES, "m1", Patch({"status": {"phase": "Off"}}, subresource="status"), namespace="site")
    assert (node.metadata.generation, node.status.phase) == (1, "Off")
    node = await kube.patch(MACHINES, "m1", Patch({"spec": {"powerState": "on"}}), namespace="site")
    assert node.metadata.generation == 2


async def test_status_and_spec_are_written_apart(autojump_clock: MockClock, kube: MemoryKube) -> None:
    """A plain patch can't change status and a status patch changes nothing else; create drops a status."""
    await kube.create(MACHINES, {**machine("m1"), "status": {"phase": "Ready"}})
    both = {"metadata": {"labels": {"x": "y"}}, "spec": {"powerState": "on"}, "status": {"phase": "Booting"}}
    plain = await kube.patch(MACHINES, "m1", Patch(both), namespace="site")
    assert (plain.spec.power_state, plain.status.phase) == ("on", "")
    await kube.create(MACHINES, machine("m2"))
    status = await kube.patch(MACHINES, "m2", Patch(both, subresource="status"), namespace="site")
    assert (status.spec.power_state, status.status.phase) == (None, "Booting")
    assert "x" not in status.metadata.labels


async def test_a_stale_writer_gets_a_conflict(autojump_clock: MockClock, kube: MemoryKube) -> None:
    """A patch with a resourceVersion is made only if nobody wrote in between."""
    first = await kube.create(MACHINES, machine("m1"))
    second = await kube.patch(
        MACHINES,
        "m1",
        Patch({"spec": {"powerState": "on"}}, resource_version=first.metadata.resource_version),
        namespace="site",
    )
    stale = Patch({"spec": {"powerState": "off"}}, resource_version=first.metadata.resource_version)
    with pytest.raises(Conflict):
        await kube.patch(MACHINES, "m1", stale, namespace="site")
    fresh = Patch({"spec": {"powerState": "off"}}, resource_version=second.metadata.resource_version)
    assert (await kube.patch(MACHINES, "m1", fresh, namespace="site")).spec.power_state == "off"


async def test_a_change_that_changes_nothing_makes_no_version(autojump_clock: MockClock, kube: MemoryKube) -> None:
    """Repeating a patch leaves the resourceVersion and wakes no watch."""
    await kube.create(MACHINES, machine("m1"))
    patch = Patch({"spec": {"powerState": "on"}})
    first = await kube.patch(MACHINES, "m1", patch, namespace="site")
    again = await kube.patch(MACHINES, "m1", patch, namespace="site")
    assert first.metadata.resource_version == again.metadata.resource_version


async def test_merge_patch_removes_with_null(autojump_clock: MockClock, kube: MemoryKube) -> None:
    """null removes a field, maps merge, lists are replaced."""
    await kube.create(NODES, {"metadata": {"name": "n1", "labels": {"a": "1", "b": "2"}}})
    node = await kube.patch(NODES, "n1", Patch({"metadata": {"labels": {"a": None}}, "spec": {"taints": []}}))
    assert (node.metadata.labels, node.spec.taints) == ({"b": "2"}, ())


async def test_strategic_patch_merges_conditions_and_replaces_taints(
    autojump_clock: MockClock, kube: MemoryKube
) -> None:
    """Conditions are merged by type; taints are one value, so writing one of them replaces them all."""
    await kube.create(NODES, {"metadata": {"name": "n1"}, "spec": {"taints": [{"key": "a", "effect": "NoSchedule"}]}})
    for kind in ("Ready", "Suspended"):
        body = {"status": {"conditions": [{"type": kind, "status": "True"}]}}
        await kube.patch(NODES, "n1", Patch(body, style=PatchStyle.STRATEGIC, subresource="status"))
    taints = {"spec": {"taints": [{"key": "b", "effect": "NoSchedule"}]}}
    node = await kube.patch(NODES, "n1", Patch(taints, style=PatchStyle.STRATEGIC))
    assert [condition.type for condition in node.status.conditions] == ["Ready", "Suspended"]
    assert [taint.key for taint in node.spec.taints] == ["b"]
    gone = {"status": {"conditions": [{"type": "Ready", "$patch": "delete"}]}}
    node = await kube.patch(NODES, "n1", Patch(gone, style=PatchStyle.STRATEGIC, subresource="status"))
    assert [condition.type for condition in node.status.conditions] == ["Suspended"]


async def test_custom_resources_take_no_strategic_patch(autojump_clock: MockClock, kube: MemoryKube) -> None:
    """A strategic patch of our own resources is refused, as by a real server."""
    await kube.create(MACHINES, machine("m1"))
    with pytest.raises(Refused):
        await kube.patch(
            MACHINES, "m1", Patch({"spec": {"powerState": "on"}}, style=PatchStyle.STRATEGIC), namespace="site"
        )


async def test_what_is_handed_in_can_change_afterwards(autojump_clock: MockClock, kube: MemoryKube) -> None:
    """The server keeps its own copy of manifests and patches."""
    manifest = machine("m1", template={"labels": {"a": "b"}})
    await kube.create(MACHINES, manifest)
    manifest["spec"]["template"]["labels"]["a"] = "changed"
    (node,) = (await kube.list(MACHINES)).items
    assert not isinstance(node, Malformed)
    assert node.spec.template.labels == {"a": "b"}


async def test_patch_of_nothing_is_not_found(autojump_clock: MockClock, kube: MemoryKube) -> None:
    """Patching what is not there raises NotFound; deleting it is success."""
    with pytest.raises(NotFound):
        await kube.patch(MACHINES, "m1", Patch({"spec": {}}), namespace="site")
    await kube.delete(MACHINES, "m1", namespace="site")


async def test_bad_objects_do_not_hide_good_ones(autojump_clock: MockClock, kube: MemoryKube) -> None:
    """A list gives what does not decode as Malformed, with its name and the reason."""
    await kube.create(GROUPS, {"metadata": {"name": "good", "namespace": "site"}, "spec": {"minSize": 1}})
    kube.api.create(GROUPS, {"metadata": {"name": "bad", "namespace": "site"}, "spec": {"minSize": "many"}})
    bad, good = (await kube.list(GROUPS)).items
    assert isinstance(bad, Malformed)
    assert (bad.metadata.name, "minSize" in bad.problem) == ("bad", True)
    assert not isinstance(good, Malformed)


@pytest.mark.parametrize(
    ("selector", "found"),
    [
        ({"labels": "app=web"}, ["a", "b"]),
        ({"labels": "app==web,tier!=back"}, ["a"]),
        ({"labels": "app in (web, db)"}, ["a", "b", "c"]),
        ({"labels": "app notin (web,db)"}, ["d"]),
        ({"labels": "tier"}, ["b"]),
        ({"labels": "!app"}, ["d"]),
        ({"labels": "app!=web"}, ["c", "d"]),
        ({"fields": "metadata.name=c"}, ["c"]),
        ({"fields": "spec.nodeName="}, ["a", "b", "d"]),
        ({"fields": "spec.nodeName=n1,status.phase=Pending"}, ["c"]),
        ({"fields": "spec.nodeName!=n1", "labels": "app"}, ["a", "b"]),
        ({"namespace": "elsewhere"}, []),
    ],
)
async def test_selectors(
    autojump_clock: MockClock, kube: MemoryKube, selector: dict[str, str], found: list[str]
) -> None:
    """Label and field selectors choose as on a real server."""
    for manifest in (
        pod("a", labels={"app": "web"}),
        pod("b", labels={"app": "web", "tier": "back"}),
        pod("c", labels={"app": "db"}, node="n1"),
        pod("d"),
    ):
        await kube.create(PODS, manifest)
    assert await names(kube, **selector) == found


@pytest.mark.parametrize("labels", ["a b", "=x", "a in web", "a=b,,c"])
async def test_a_selector_that_does_not_parse_is_refused(
    autojump_clock: MockClock, kube: MemoryKube, labels: str
) -> None:
    """A typo in a selector is an error, never an empty list."""
    with pytest.raises(Refused):
        await kube.list(PODS, Selector(labels=labels))


async def test_watch_goes_on_from_a_version(autojump_clock: MockClock, kube: MemoryKube) -> None:
    """A watch gives each change after its version once, in order, those made before it was opened too."""
    await kube.create(PODS, pod("old"))
    listing = await kube.list(PODS)
    await kube.create(PODS, pod("early"))
    async with kube.watch(PODS, since=listing.resource_version) as changes:
        await kube.create(PODS, pod("late"))
        await kube.delete(PODS, "old", namespace="default")
        assert await drain(changes) == [("ADDED", "early"), ("ADDED", "late"), ("DELETED", "old")]


async def test_an_object_that_starts_or_stops_to_match_comes_or_goes(
    autojump_clock: MockClock, kube: MemoryKube
) -> None:
    """A watch with a selector says ADDED and DELETED as labels change."""
    await kube.create(PODS, pod("a"))
    async with kube.watch(PODS, Selector(labels="on"), since=kube.api.version) as changes:
        for value in ("1", "2", None):
            await kube.patch(PODS, "a", Patch({"metadata": {"labels": {"on": value}}}), namespace="default")
        assert await drain(changes) == [("ADDED", "a"), ("MODIFIED", "a"), ("DELETED", "a")]


async def test_compacted_history_is_expired(autojump_clock: MockClock, kube: MemoryKube) -> None:
    """After a compaction an old version can't be watched any more; a bookmark's version can."""
    before = kube.api.version
    await kube.create(PODS, pod("a"))
    async with kube.watch(PODS, since=before) as changes:
        await kube.create(NODES, {"metadata": {"name": "n1"}})
        kube.api.compact()
        assert await drain(changes) == [("ADDED", "a"), ("BOOKMARK", "")]
    with pytest.raises(Expired):
        async with kube.watch(PODS, since=before):
            pass
    async with kube.watch(PODS, since=kube.api.version) as changes:
        assert await drain(changes) == []
    with pytest.raises(Expired):  # also of a kind that was never asked for
        async with kube.watch(GROUPS, since=before):
            pass


async def test_a_version_of_another_life_is_expired(autojump_clock: MockClock, kube: MemoryKube) -> None:
    """A version newer than the server's own, as after a restore from a backup, can't be watched."""
    with pytest.raises(Expired):
        async with kube.watch(PODS, since="999999"):
            pass


async def test_a_new_node_is_not_ready(autojump_clock: MockClock, kube: MemoryKube) -> None:
    """The server itself taints a new Node, so that no pod comes before its kubelet is Ready."""
    node = await kube.create(NODES, {"metadata": {"name": "n1"}})
    assert [(taint.key, taint.effect) for taint in node.spec.taints] == [("node.kubernetes.io/not-ready", "NoSchedule")]


async def test_history_is_bounded(autojump_clock: MockClock) -> None:
    """A version that fell out of the history is Expired, one that did not is not."""
    kube = MemoryKube(MemoryApi(MemoryClock(), history=3))
    versions = [(await kube.create(PODS, pod(f"p{n}"))).metadata.resource_version for n in range(5)]
    with pytest.raises(Expired):
        async with kube.watch(PODS, since=versions[0]):
            pass
    async with kube.watch(PODS, since=versions[1]) as changes:
        assert await drain(changes) == [("ADDED", "p2"), ("ADDED", "p3"), ("ADDED", "p4")]


async def test_an_outage_ends_watches_and_every_call(autojump_clock: MockClock, kube: MemoryKube) -> None:
    """During an outage everything is Unavailable and open watches end; afterwards a watch goes on where it was."""
    since = kube.api.version
    async with kube.watch(PODS, since=since) as changes:
        kube.api.outage(30)
        assert [change async for change in changes] == []
    for call in (kube.list(PODS), kube.create(PODS, pod("a")), kube.evict("a", namespace="default")):
        with pytest.raises(Unavailable):
            await call
    await trio.sleep(31)
    await kube.create(PODS, pod("a"))
    async with kube.watch(PODS, since=since) as changes:
        assert await drain(changes) == [("ADDED", "a")]


async def test_a_broken_watch_raises_its_error_at_the_end(autojump_clock: MockClock, kube: MemoryKube) -> None:
    """The error of a dead connection comes out once what was received is read."""
    with pytest.raises(Unavailable):  # noqa: PT012
        async with kube.watch(PODS, since=kube.api.version) as changes:
            await kube.create(PODS, pod("a"))
            kube.api.break_watches(Unavailable("connection lost"))
            assert await drain(changes) == [("ADDED", "a")]


async def test_fail_next_and_counters(autojump_clock: MockClock, kube: MemoryKube) -> None:
    """An ordered fault hits the call it names, once, with no effect; calls are counted, failed ones too."""
    kube.fail_next(Unavailable("no"), verb="create", kind=MACHINES)
    await kube.list(MACHINES)
    with pytest.raises(Unavailable):
        await kube.create(MACHINES, machine("m1"))
    await kube.create(MACHINES, machine("m1"))
    assert (kube.count("create", MACHINES), kube.count("create", NODES), kube.count("list", MACHINES)) == (2, 0, 1)


async def test_latency_is_virtual_time(autojump_clock: MockClock, kube: MemoryKube) -> None:
    """A call takes the latency asked for."""
    kube.latency = 0.5
    start = trio.current_time()
    await kube.list(PODS)
    assert trio.current_time() - start == pytest.approx(0.5)


async def test_finalizers_hold_an_object_back(autojump_clock: MockClock, kube: MemoryKube) -> None:
    """A deleted object with a finalizer stays, marked, until the finalizer is removed."""
    manifest = machine("m1")
    manifest["metadata"]["finalizers"] = ["infra.homecluster.dev/power"]
    await kube.create(MACHINES, manifest)
    await kube.delete(MACHINES, "m1", namespace="site")
    (node,) = (await kube.list(MACHINES)).items
    assert node.metadata.deletion_timestamp is not None
    await kube.patch(MACHINES, "m1", Patch({"metadata": {"finalizers": []}}), namespace="site")
    assert (await kube.list(MACHINES)).items == ()


async def test_delete_with_another_uid_is_a_conflict(autojump_clock: MockClock, kube: MemoryKube) -> None:
    """With a uid, only that object is deleted, never another of its name."""
    await kube.create(MACHINES, machine("m1"))
    with pytest.raises(Conflict):
        await kube.delete(MACHINES, "m1", namespace="site", uid="someone-else")
    assert len((await kube.list(MACHINES)).items) == 1


async def test_a_bound_pod_gets_its_grace(autojump_clock: MockClock, kube: MemoryKube) -> None:
    """A pod on a node is marked with the end of its grace and stays; grace 0 and pods without node go at once."""
    for manifest in (pod("waits", node="n1"), pod("now", node="n1"), pod("unbound")):
        await kube.create(PODS, manifest)
        await kube.delete(
            PODS,
            manifest["metadata"]["name"],
            namespace="default",
            grace=0 if manifest["metadata"]["name"] == "now" else None,
        )
    (left,) = (await kube.list(PODS)).items
    assert left.metadata.name == "waits"
    assert left.metadata.deletion_timestamp == kube.api.clock.now() + timedelta(seconds=30)


def owned(manifest: dict[str, Any], owner: str, uid: str, *, kind: str = "Job") -> dict[str, Any]:
    """The manifest of a pod with a controller."""
    reference = {"apiVersion": "batch/v1", "kind": kind, "name": owner, "uid": uid, "controller": True}
    return {**manifest, "metadata": {**manifest["metadata"], "ownerReferences": [reference]}}


@pytest.mark.parametrize(
    ("propagation", "pods", "jobs"), [("Background", [], 0), ("Foreground", [], 0), ("Orphan", ["p"], 0)]
)
async def test_what_belongs_to_an_object_goes_with_it(
    autojump_clock: MockClock, kube: MemoryKube, propagation: Any, pods: list[str], jobs: int
) -> None:
    """Deleting an owner collects its dependents, unless they are orphaned."""
    job = await kube.create(JOBS, {"metadata": {"name": "j", "namespace": "default"}})
    await kube.create(PODS, owned(pod("p"), "j", job.metadata.uid))
    await kube.delete(JOBS, "j", namespace="default", propagation=propagation)
    assert await names(kube) == pods
    assert len((await kube.list(JOBS)).items) == jobs


async def test_foreground_deletion_waits_for_dependents(autojump_clock: MockClock, kube: MemoryKube) -> None:
    """An owner deleted in the foreground stays until the last of its pods has ended."""
    job = await kube.create(JOBS, {"metadata": {"name": "j", "namespace": "default"}})
    await kube.create(PODS, owned(pod("p", node="n1"), "j", job.metadata.uid))
    await kube.delete(JOBS, "j", namespace="default", propagation="Foreground")
    assert len((await kube.list(JOBS)).items) == 1
    await kube.delete(PODS, "p", namespace="default", grace=0)
    assert (await kube.list(JOBS)).items == ()


async def test_managed_fields_name_the_owner_of_a_field(autojump_clock: MockClock, kube: MemoryKube) -> None:
    """A GitOps tool that applies powerState owns it until somebody else writes another value."""
    manifest = machine("m1", powerState="on")
    kube.api.apply(MACHINES, manifest, manager="kustomize-controller")

    async def owners() -> list[str]:
        (node,) = (await kube.list(MACHINES)).items
        assert not isinstance(node, Malformed)
        return [
            entry.manager
            for entry in node.metadata.managed_fields
            if "f:powerState" in entry.fields_v1.get("f:spec", {})
        ]

    await kube.patch(MACHINES, "m1", Patch({"metadata": {"annotations": {"a": "b"}}}), namespace="site")
    assert await owners() == ["kustomize-controller"]
    await kube.patch(MACHINES, "m1", Patch({"spec": {"powerState": "off"}}), namespace="site")
    assert await owners() == ["hexa"]
    kube.api.apply(MACHINES, manifest, manager="kustomize-controller")
    assert await owners() == ["kustomize-controller"]


@pytest.mark.parametrize(
    ("budget", "evictable"),
    [
        ({"minAvailable": 2}, 1),
        ({"minAvailable": "50%"}, 1),
        ({"maxUnavailable": 2}, 2),
        ({"maxUnavailable": "34%"}, 2),
        ({"maxUnavailable": 0}, 0),
    ],
)
async def test_eviction_respects_budgets(
    autojump_clock: MockClock, kube: MemoryKube, budget: dict[str, Any], evictable: int
) -> None:
    """Of three ready pods no more are evicted than the budget allows; the refusal names the budget."""
    BudgetController(kube.api)
    spec = {"selector": {"matchLabels": {"app": "web"}}, **budget}
    await kube.create(BUDGETS, {"metadata": {"name": "web", "namespace": "default"}, "spec": spec})
    web = await kube.create(
        REPLICA_SETS, {"metadata": {"name": "web", "namespace": "default"}, "spec": {"replicas": 3}}
    )
    for name in "abc":
        manifest = pod(name, labels={"app": "web"}, node="n1")
        await kube.create(PODS, owned(manifest, "web", web.metadata.uid, kind="ReplicaSet"))
        await ready(kube, name)
    answers = [await kube.evict(name, namespace="default") for name in "abc"]
    assert [type(answer) for answer in answers] == [Evicted] * evictable + [Blocked] * (3 - evictable)
    assert all("web" in answer.reason for answer in answers if isinstance(answer, Blocked))


async def test_eviction_can_be_repeated(autojump_clock: MockClock, kube: MemoryKube) -> None:
    """Evicting a pod that is going, gone, or another one by now, is success and does no more."""
    await kube.create(PODS, pod("a", node="n1"))
    await ready(kube, "a")
    assert await kube.evict("a", namespace="default", grace=5) == Evicted()
    assert await kube.evict("a", namespace="default") == Evicted()
    assert await kube.evict("gone", namespace="default") == Evicted()
    assert await kube.evict("a", namespace="default", uid="other") == Evicted()
    (left,) = (await kube.list(PODS)).items
    assert left.metadata.deletion_timestamp == kube.api.clock.now() + timedelta(seconds=5)


async def test_the_journal_tells_a_thing_once_in_ten_minutes(autojump_clock: MockClock) -> None:
    """The same Event on the same object within ten minutes is recorded once."""
    journal = MemoryJournal(MemoryClock())
    about = ObjectReference(kind="Node", name="m1")
    for wait in (0, 60, 600):
        await trio.sleep(wait)
        journal.event(about, reason="Woken", message="up")
    assert journal.reasons("m1") == ["Woken", "Woken"]


async def test_sleep_until_returns_no_earlier(autojump_clock: MockClock) -> None:
    """After sleep_until the clock shows that moment, or later."""
    clock = MemoryClock()
    for step in (0.1, 1 / 3, 1e-6, 7200.7):
        when = clock.now() + timedelta(seconds=step)
        await clock.sleep_until(when)
        assert clock.now() >= when
        assert clock.now() - when < timedelta(milliseconds=1)
