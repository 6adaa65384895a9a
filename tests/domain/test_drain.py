"""Which pods leave before a power-off, in which order, what blocks, and whether they fit elsewhere."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs
from tests.domain.builders import at, kube_node, pod

from hexa.domain.names import MIRROR_ANNOTATION
from hexa.domain.pods.drain import (
    Blocker,
    Plan,
    affinity_matches,
    claims_of,
    controller_kind,
    homeless,
    plan,
    pod_name,
    room_of,
    stays,
    tolerated,
    welcomes,
)
from hexa.domain.pods.requests import requests
from hexa.domain.policy.policy import DrainRules
from hexa.domain.resources.core import (
    ClaimSource,
    KubeNode,
    KubeNodeSpec,
    KubeNodeStatus,
    OwnerReference,
    Pod,
    PodStatus,
    Taint,
    Toleration,
    Volume,
)

STRICT = DrainRules()
SCRATCH = Volume(name="scratch", empty_dir={})
DISK = Volume(name="disk", persistent_volume_claim=ClaimSource(claim_name="disk"))


def changed(base: Pod, *, phase: str = "", going: bool = False, annotations: dict[str, str] | None = None) -> Pod:
    """The pod in another state."""
    metadata = structs.replace(
        base.metadata, deletion_timestamp=at(0) if going else None, annotations=annotations or {}
    )
    return structs.replace(base, metadata=metadata, status=PodStatus(phase=phase))


def blocked(found: Plan) -> list[tuple[str, str]]:
    """Pods and reasons."""
    return [(blocker.pod, blocker.reason) for blocker in found.blockers]


def names(pods: Any) -> list[str]:
    """Names, in order."""
    return [each.metadata.name for each in pods]


# --- which pods --------------------------------------------------------------------------------------------------


def test_pod_of_a_controller_is_evicted() -> None:
    """A ReplicaSet's pod comes back elsewhere."""
    web = pod("web")
    assert plan([web], rules=STRICT) == Plan(evict=(web,))


@pytest.mark.parametrize(
    "staying",
    [
        pod("agent", kind="DaemonSet"),
        changed(pod("static", kind="Node"), annotations={MIRROR_ANNOTATION: "x"}),
        changed(pod("migrated", kind="Job"), phase="Succeeded"),
        changed(pod("crashed", kind=""), phase="Failed"),
        changed(pod("scratch", kind="", volumes=(SCRATCH,)), phase="Succeeded"),
    ],
    ids=lambda each: each.metadata.name,
)
def test_pods_that_kubectl_drain_leaves_alone(staying: Pod) -> None:
    """DaemonSet pods, mirrors of static pods and finished pods neither leave nor block, and don't count as left."""
    assert stays(staying)
    assert plan([staying], rules=STRICT) == Plan()
    assert plan([staying], rules=STRICT).left == 0


def test_bare_pod_blocks_unless_allowed() -> None:
    """Nothing would bring it back: named with the setting that allows it."""
    bare = pod("notes", kind="")
    (blocker,) = plan([bare], rules=STRICT).blockers
    assert str(blocker) == "apps/notes: no controller would bring it back (spec.drain.allowBare allows it)"
    assert plan([bare], rules=DrainRules(bare=True)).evict == (bare,)


def test_owner_that_is_no_controller_brings_nothing_back() -> None:
    """Only the owner reference that is marked as controller counts."""
    owned = pod("cache", kind="")
    owner = OwnerReference(kind="ReplicaSet", name="x", controller=None)
    owned = structs.replace(owned, metadata=structs.replace(owned.metadata, owner_references=(owner,)))
    assert controller_kind(owned) == ""
    assert blocked(plan([owned], rules=STRICT)) == [("apps/cache", "BarePod")]
    assert controller_kind(pod(kind="StatefulSet")) == "StatefulSet"


def test_empty_dir_blocks_unless_allowed() -> None:
    """Its data would be lost."""
    scratch = pod("sort", volumes=(SCRATCH,))
    assert blocked(plan([scratch], rules=STRICT)) == [("apps/sort", "EmptyDir")]
    assert plan([scratch], rules=DrainRules(empty_dir=True)).evict == (scratch,)


def test_volume_of_the_machine_blocks_unless_allowed() -> None:
    """A pod whose claim is tied to this machine would wait for it elsewhere; claims are told apart by namespace."""
    data = pod("db", kind="StatefulSet", volumes=(DISK,))
    pinned = frozenset({"apps/disk"})
    (blocker,) = plan([data], rules=STRICT, pinned_claims=pinned).blockers
    assert (blocker.reason, "apps/disk" in blocker.message) == ("PinnedVolume", True)
    assert plan([data], rules=STRICT, pinned_claims=frozenset({"other/disk"})).evict == (data,)
    assert plan([data], rules=DrainRules(pinned=True), pinned_claims=pinned).evict == (data,)
    assert claims_of(data) == ["disk"]
    assert claims_of(pod(volumes=(SCRATCH,))) == []


def test_force_evicts_what_blocks_and_still_leaves_what_stays() -> None:
    """At the deadline, where the group says so, no rule of the drain holds anybody back."""
    pods = [pod("a", kind=""), pod("b", volumes=(SCRATCH,)), pod("c", volumes=(DISK,)), pod("d", kind="DaemonSet")]
    found = plan(pods, rules=STRICT, pinned_claims=frozenset({"apps/disk"}), forced=True)
    assert (names(found.evict), found.blockers) == (["a", "b", "c"], ())


def test_pod_that_is_going_is_waited_for() -> None:
    """A terminating pod is not evicted again, does not block whatever it is, and counts until it is gone."""
    going = changed(pod("going", kind="", volumes=(SCRATCH,)), going=True)
    found = plan([going], rules=STRICT)
    assert (found.evict, found.leaving, found.blockers, found.left) == ((), (going,), (), 1)


def test_what_is_left_counts_every_pod_that_must_go() -> None:
    """Evictable, going and blocking pods: the machine is empty when none of them is left."""
    found = plan([pod("a"), changed(pod("b"), going=True), pod("c", kind=""), pod("d", kind="DaemonSet")], rules=STRICT)
    assert found.left == 3


def test_least_important_pods_leave_first() -> None:
    """By priority, then by namespace and name: what matters most runs longest."""
    pods = [pod("c", priority=1000), pod("b"), pod("a"), pod("z", priority=-5)]
    assert names(plan(pods, rules=STRICT).evict) == ["z", "a", "b", "c"]


flags = st.booleans()
pods_of_all_kinds = st.lists(
    st.builds(
        lambda name, kind, volumes, going, phase: changed(
            pod(name, kind=kind, volumes=volumes), going=going, phase=phase
        ),
        name=st.sampled_from("abcdefgh"),
        kind=st.sampled_from(["", "ReplicaSet", "DaemonSet", "StatefulSet"]),
        volumes=st.sampled_from([(), (SCRATCH,), (DISK,)]),
        going=flags,
        phase=st.sampled_from(["", "Running", "Pending", "Succeeded", "Failed"]),
    ),
    max_size=6,
    unique_by=lambda each: each.metadata.name,
)


@given(pods=pods_of_all_kinds, rules=st.builds(DrainRules, empty_dir=flags, pinned=flags, bare=flags), forced=flags)
def test_no_pod_is_forgotten(pods: list[Pod], rules: DrainRules, forced: bool) -> None:
    """Each pod stays, leaves, is evicted or blocks, and is in one of these only."""
    found = plan(pods, rules=rules, pinned_claims=frozenset({"apps/disk"}), forced=forced)
    sorted_pods = [*names(found.evict), *names(found.leaving), *(b.pod.removeprefix("apps/") for b in found.blockers)]
    assert sorted(sorted_pods + names(filter(stays, pods))) == sorted(names(pods))
    assert found.left == sum(not stays(each) for each in pods)
    assert not (forced and found.blockers)


def test_names_are_told_with_their_namespace() -> None:
    """Two pods of one name can be told apart."""
    assert pod_name(pod("web")) == "apps/web"
    assert str(Blocker("apps/web", "NoRoom", "it fits on no other node")) == "apps/web: it fits on no other node"


SAFE = "cluster-autoscaler.kubernetes.io/safe-to-evict"
LOCAL = "cluster-autoscaler.kubernetes.io/safe-to-evict-local-volumes"
CACHE = Volume(name="cache", empty_dir={})
SHM = Volume(name="shm", empty_dir={"medium": "Memory"})


@pytest.mark.parametrize(
    ("volumes", "annotations", "reasons"),
    [
        ((SCRATCH,), {}, ["EmptyDir"]),
        ((SCRATCH,), {LOCAL: "scratch"}, []),
        ((SCRATCH, CACHE), {LOCAL: "scratch"}, ["EmptyDir"]),
        ((SCRATCH, CACHE), {LOCAL: "cache,scratch"}, []),
        ((SCRATCH,), {SAFE: "true"}, []),
        ((SCRATCH,), {SAFE: "false", LOCAL: "scratch"}, ["DoNotDisrupt"]),
        ((SHM,), {}, []),
        ((SHM, SCRATCH), {}, ["EmptyDir"]),
        ((DISK,), {SAFE: "true"}, ["PinnedVolume"]),
    ],
)
@pytest.mark.parametrize("kind", ["ReplicaSet", ""])
def test_what_a_pod_says_of_itself_counts_for_every_drain(
    volumes: tuple[Volume, ...], annotations: dict[str, str], reasons: list[str], kind: str
) -> None:
    """Cluster Autoscaler's annotations, and that memory holds no data, count for hexa's drains and a person's too. A pod that says
    that it may go needs no controller; what would leave it without its volume blocks all the same."""
    marked = changed(pod("web", kind=kind, volumes=volumes), annotations=annotations)
    found = [reason for _, reason in blocked(plan([marked], rules=STRICT, pinned_claims=frozenset({"apps/disk"})))]
    assert found == (reasons if kind or SAFE in annotations else ["BarePod"])
    assert plan([marked], rules=STRICT, pinned_claims=frozenset({"apps/disk"}), forced=True).evict == (marked,)


@pytest.mark.parametrize("value", ["false", "False", " false", "on-completion", "no"])
def test_only_true_allows_a_pod_to_be_moved(value: str) -> None:
    """A pod that says anything else by safe-to-evict stays, and the blocker quotes it; an empty text says nothing."""
    said = changed(pod("web"), annotations={SAFE: value})
    ((_, reason),) = blocked(plan([said], rules=STRICT))
    assert reason == "DoNotDisrupt"
    assert f"{SAFE}={value}" in str(plan([said], rules=STRICT).blockers[0])
    silent = changed(pod("web"), annotations={SAFE: ""})
    assert plan([silent], rules=STRICT).evict == (silent,)


@pytest.mark.parametrize("key", ["karpenter.sh/do-not-disrupt", "karpenter.sh/do-not-evict"])
@pytest.mark.parametrize(("value", "stays"), [("true", True), ("10m", True), ("false", False)])
def test_a_pod_that_karpenter_would_not_disrupt_stays(key: str, value: str, stays: bool) -> None:
    """Pods that were written for a site with Karpenter are not lost on this one: their work ends before the machine goes off."""
    said = changed(pod("web"), annotations={key: value})
    assert [reason for _, reason in blocked(plan([said], rules=STRICT))] == ["DoNotDisrupt"] * stays


# --- whether they fit elsewhere ----------------------------------------------------------------------------------------


def other(name: str = "k2", *, taints: tuple[Taint, ...] = (), cordoned: bool = False, **size: str) -> KubeNode:
    """Another node of that size."""
    told = {"cpu": "4", "memory": "8Gi", "pods": "10", **size}
    labels = {"kubernetes.io/hostname": name, "disk": "ssd", "cores": "16"}
    spec = KubeNodeSpec(taints=taints, unschedulable=cordoned)
    return kube_node(name, labels=labels, spec=spec, status=KubeNodeStatus(allocatable=told))


def without_home(pods: list[Pod], *nodes: KubeNode, guests: tuple[Pod, ...] = ()) -> list[str]:
    """Names of the pods that fit on none of the nodes; the first node has guests."""
    return names(homeless(pods, [room_of(node, guests if not index else ()) for index, node in enumerate(nodes)]))


def test_pods_find_a_home_where_there_is_room() -> None:
    """What fits is not homeless; what is too large for every node is."""
    small, large = pod("small", requests={"cpu": "3"}), pod("large", requests={"cpu": "5"})
    assert without_home([small], other()) == []
    assert without_home([large], other(), other("k3")) == ["large"]
    assert without_home([small]) == ["small"]


def test_room_is_used_up() -> None:
    """Two pods that each fit, but not both, are not both counted in; a second node helps."""
    pods = [pod("a", requests={"cpu": "3"}), pod("b", requests={"cpu": "3"})]
    assert without_home(pods, other()) == ["b"]
    assert without_home(pods, other(), other("k3")) == []


def test_largest_pods_are_placed_first() -> None:
    """A small pod does not take the only place of a large one."""
    pods = [pod("small", requests={"cpu": "1"}), pod("large", requests={"cpu": "4"})]
    assert without_home(pods, other(cpu="4"), other("k3", cpu="1")) == []


def test_guests_take_room_until_they_are_finished() -> None:
    """What runs there, and what is about to, counts; finished pods hold nothing."""
    guest = pod("guest", requests={"cpu": "2"})
    mine = pod("mine", requests={"cpu": "3"})
    assert without_home([mine], other(), guests=(guest,)) == ["mine"]
    assert without_home([mine], other(), guests=(changed(guest, phase="Succeeded"),)) == []


def test_resource_that_a_node_lacks_has_no_room() -> None:
    """A GPU pod needs a node with a GPU; a request of zero needs nothing."""
    assert without_home([pod("gpu", requests={"nvidia.com/gpu": "1"})], other()) == ["gpu"]
    assert without_home([pod("gpu", requests={"nvidia.com/gpu": "0"})], other()) == []
    assert without_home([pod("p", requests={})], other(pods="0")) == ["p"]


NO_SCHEDULE = Taint(key="a", value="b", effect="NoSchedule")


@pytest.mark.parametrize(
    ("toleration", "accepted"),
    [
        ({"key": "a", "operator": "Equal", "value": "b"}, True),
        ({"key": "a", "value": "b"}, True),
        ({"key": "a", "value": "c"}, False),
        ({"key": "a", "operator": "Exists"}, True),
        ({"key": "b", "operator": "Exists"}, False),
        ({"operator": "Exists"}, True),
        ({"key": "a", "operator": "Exists", "effect": "NoSchedule"}, True),
        ({"key": "a", "operator": "Exists", "effect": "NoExecute"}, False),
    ],
    ids=str,
)
def test_tolerations_are_read_as_the_scheduler_reads_them(toleration: dict[str, Any], accepted: bool) -> None:
    """By key, operator, value and effect; what is left out of a toleration matches all."""
    assert tolerated(NO_SCHEDULE, [Toleration(**toleration)]) == accepted
    assert welcomes(other(taints=(NO_SCHEDULE,)), pod(tolerations=(Toleration(**toleration),))) == accepted


def test_node_that_repels_is_no_home() -> None:
    """Cordoned, tainted NoSchedule or NoExecute: no. PreferNoSchedule is a preference only."""
    assert welcomes(other(), pod())
    assert not welcomes(other(cordoned=True), pod())
    assert not welcomes(other(taints=(Taint(key="a", effect="NoExecute"),)), pod())
    assert welcomes(other(taints=(Taint(key="a", effect="PreferNoSchedule"),)), pod())


def test_node_selector_must_match() -> None:
    """Every label that the pod asks for."""
    assert welcomes(other(), pod(node_selector={"disk": "ssd"}))
    assert not welcomes(other(), pod(node_selector={"disk": "hdd"}))
    assert not welcomes(other(), pod(node_selector={"disk": "ssd", "zone": "cellar"}))


def required(*terms: dict[str, Any]) -> dict[str, Any]:
    """Required node affinity of these terms."""
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": list(terms)}}}


def term(key: str, operator: str, *values: str) -> dict[str, Any]:
    """A term of one expression."""
    return {"matchExpressions": [{"key": key, "operator": operator, "values": list(values)}]}


@pytest.mark.parametrize(
    ("expression", "matches"),
    [
        (("disk", "In", "ssd", "nvme"), True),
        (("disk", "In", "hdd"), False),
        (("zone", "In", "cellar"), False),
        (("disk", "NotIn", "hdd"), True),
        (("disk", "NotIn", "ssd"), False),
        (("zone", "NotIn", "cellar"), True),
        (("disk", "Exists"), True),
        (("zone", "Exists"), False),
        (("disk", "DoesNotExist"), False),
        (("zone", "DoesNotExist"), True),
        (("cores", "Gt", "15"), True),
        (("cores", "Gt", "16"), False),
        (("cores", "Lt", "17"), True),
        (("cores", "Lt", "16"), False),
        (("cores", "Gt", "-5"), True),
        (("zone", "Gt", "1"), False),
        (("disk", "Gt", "1"), False),
        (("cores", "Gt", "many"), False),
        (("cores", "Gt", "²"), False),
        (("cores", "Gt", "--1"), False),
        (("cores", "Lt"), False),
        (("disk", "Near", "ssd"), False),
    ],
    ids=str,
)
def test_affinity_expressions_match_as_in_the_scheduler(expression: tuple[str, ...], matches: bool) -> None:
    """Each operator, on labels that are there and labels that are not; nonsense matches nothing and breaks nothing."""
    key, operator, *values = expression
    assert affinity_matches(required(term(key, operator, *values)), other()) == matches


def test_one_term_of_affinity_is_enough_and_all_of_its_expressions() -> None:
    """Terms are alternatives; within a term everything must hold; an empty term matches nothing."""
    yes, no = term("disk", "Exists"), term("zone", "Exists")
    both = {"matchExpressions": yes["matchExpressions"] + no["matchExpressions"]}
    node = other("k7")
    assert affinity_matches({}, node)
    assert affinity_matches({"podAffinity": {}}, node)
    assert affinity_matches({"nodeAffinity": None}, node)
    assert affinity_matches(required(no, yes), node)
    assert not affinity_matches(required(both), node)
    assert not affinity_matches(required({}), node)
    by_name = {"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["k7"]}]}
    assert affinity_matches(required(by_name), node)
    assert not affinity_matches(required(by_name), other("k8"))
    assert not affinity_matches(required({**by_name, **no}), node)


@given(
    cpus=st.lists(st.sampled_from(["0", "500m", "1", "2", "3"]), max_size=6),
    sizes=st.lists(st.sampled_from(["1", "2", "4"]), max_size=3),
)
def test_placed_pods_really_fit(cpus: list[str], sizes: list[str]) -> None:
    """Whoever is not homeless has a place: together they never need more than the nodes have."""
    pods = [pod(f"p{n}", requests={"cpu": cpu}) for n, cpu in enumerate(cpus)]
    rooms = [room_of(other(f"k{n}", cpu=size), ()) for n, size in enumerate(sizes)]
    out = homeless(pods, rooms)
    assert all(room.free["cpu"] >= 0 and room.free["pods"] >= 0 for room in rooms)
    used = sum((Decimal(size) - room.free["cpu"] for size, room in zip(sizes, rooms, strict=True)), Decimal(0))
    assert used == sum((requests(p).get("cpu", Decimal(0)) for p in pods if p not in out), Decimal(0))


@pytest.mark.parametrize(
    "affinity",
    [
        {"nodeAffinity": "near"},
        required(),
        required("near"),  # type: ignore[arg-type]
        {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": 1}}},
        required({"matchExpressions": 1}),
        required({"matchExpressions": [{"key": [], "operator": "Exists"}]}),
        required({"matchExpressions": [{"key": "zone", "operator": "In", "values": 1}]}),
        required({"matchExpressions": [{"key": "zone", "operator": "Gt", "values": {"x": "y"}}]}),
    ],
)
def test_failure_51_an_affinity_that_is_none_keeps_its_pod_and_breaks_no_drain(affinity: dict[str, Any]) -> None:
    """A pod whose node affinity has another shape than the API server takes fits nowhere, and the other pods are looked at."""
    odd, other_pod = pod("odd", affinity=affinity), pod("plain")
    assert names(homeless([odd, other_pod], [room_of(other(), ())])) == ["odd"]
