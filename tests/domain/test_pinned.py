"""Which machine is woken for a pod that can run on no other one, and which pods never wake any."""

from typing import Any

import pytest
from msgspec import structs
from tests.domain.builders import OFF, ON, at, kube_node, pod, standing, view, wanting, wish

from hexa.domain.decide.waiting_pods import PodWake, not_needed, told_in_vain, wake_for_pods
from hexa.domain.group.sizing import Member
from hexa.domain.group.woken_for import MOST_PODS, next_wake, woken_for
from hexa.domain.machine.lifecycle import Phase
from hexa.domain.machine.reason import Reason, Veto
from hexa.domain.machine_view import MachineView
from hexa.domain.names import HOSTNAME_LABEL, WOKEN_FOR_ANNOTATION
from hexa.domain.pods.drain import Plan
from hexa.domain.pods.pending import Pending, keeping_pinned, pinned_to, waits
from hexa.domain.policy.policy import Policy, policy_of
from hexa.domain.resources.core import Condition, OwnerReference, Pod, PodStatus
from hexa.domain.resources.group_values import DrainPolicy
from hexa.domain.resources.v1alpha1 import Asker, Group, GroupSpec, Lookup, Node, Shape

LABELS = {HOSTNAME_LABEL: "m1", "zone": "attic", "topology.example/node": "m1"}
SHAPE = Shape(allocatable={"cpu": "4", "pods": "10"}, labels=LABELS)
PINNED = Policy(namespace="site", name="rack", wake_for_pinned=True)
LEARNS = Policy(namespace="site", name="rack", learn_shape=True, labels={"node-type": "gpu"})
M1 = Lookup("site", "m1")


def terms(*expressions: dict[str, Any], by: str = "matchExpressions") -> dict[str, Any]:
    """A node selector of one term."""
    return {"nodeSelectorTerms": [{by: list(expressions)}]}


def wants(required: dict[str, Any]) -> dict[str, Any]:
    """Required node affinity."""
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}}


def named(operator: str = "In", *values: str, key: str = HOSTNAME_LABEL) -> dict[str, Any]:
    """An expression about the host name."""
    return {"key": key, "operator": operator, "values": list(values or ("m1",))}


def pending(name: str = "db-0", *, tied: tuple[dict[str, Any], ...] = (), **spec: Any) -> Pending:
    """A pod that waits, named in its node selector unless told otherwise."""
    spec = spec or ({} if tied else {"node_selector": {HOSTNAME_LABEL: "m1"}})
    made = pod(name, **{"requests": {"cpu": "1"}, **spec})
    return Pending(pod=structs.replace(made, metadata=structs.replace(made.metadata, uid=f"uid-{name}")), tied=tied)


def member(phase: Phase = Phase.OFF, *, on: bool = False, reason: str = "", **more: Any) -> Member:
    """The machine, wanted on or off by hexa itself."""
    record = wish(ON if on else OFF, Asker.RECOVERY, reason=reason)
    return Member(key=M1, phase=phase, wish=record, **more)


def box(*, shape: Shape | None = SHAPE, annotations: dict[str, str] | None = None) -> MachineView:
    """The machine, off."""
    node = standing(Phase.OFF)
    node = structs.replace(node, metadata=structs.replace(node.metadata, annotations=annotations or {}))
    return view(node, shape=shape)


def woken(
    policy: Policy, waiting: list[Pending], *, of: Member | None = None, machine: MachineView | None = None
) -> str:
    """The reason of the wake; empty: nobody is woken."""
    found = wake_for_pods(policy, [of or member()], [machine or box()], waiting)
    return found.reason if isinstance(found, PodWake) else ""


@pytest.mark.parametrize(
    ("spec", "is_pinned"),
    [
        ({"node_selector": {HOSTNAME_LABEL: "m1"}}, True),
        ({"node_selector": {HOSTNAME_LABEL: "m2"}}, False),
        ({"node_selector": {"zone": "attic"}}, False),
        ({"affinity": wants(terms(named()))}, True),
        ({"affinity": wants(terms(named("In", "m0", "m1")))}, True),
        ({"affinity": wants(terms(named("NotIn", "m2")))}, False),
        ({"affinity": wants(terms(named(key="metadata.name"), by="matchFields"))}, True),
        ({"affinity": wants(terms(named(key="topology.example/node")))}, True),
        ({}, False),
    ],
)
def test_a_pod_is_pinned_if_only_the_name_makes_the_difference(spec: dict[str, Any], is_pinned: bool) -> None:
    """By host name, by the node's name or by a label that repeats it; not by a label that others may carry too."""
    assert pinned_to(kube_node("m1", labels=LABELS), pod(**spec)) is is_pinned


def test_a_pod_that_names_a_machine_or_has_its_volume_there_wakes_it() -> None:
    """By node selector or by the selector of its volume; where the group does not ask for it, nobody is woken."""
    by_name, by_volume = pending(), pending("pg-0", tied=(terms(named()),))
    assert woken(PINNED, [by_name]) == woken(PINNED, [by_volume]) == Reason.PINNED_POD
    assert woken(Policy(), [by_name, by_volume]) == ""
    found = wake_for_pods(PINNED, [member()], [box()], [by_name, by_volume])
    assert isinstance(found, PodWake)
    assert found.text == "apps/db-0; apps/pg-0 can run on no other machine"


@pytest.mark.parametrize(
    "waiting",
    [
        pending(node_selector={HOSTNAME_LABEL: "m2"}),
        pending(node_selector={"zone": "attic"}),
        pending(node_selector={HOSTNAME_LABEL: "m1"}, requests={"cpu": "5"}),
        pending(node_selector={HOSTNAME_LABEL: "m1", "disk": "ssd"}),
        pending(tied=(terms(named("In", "m2")),)),
    ],
)
def test_a_pod_that_would_not_run_there_wakes_nobody(waiting: Pending) -> None:
    """Of another machine, of any machine, too large for it, or asking for more than its name."""
    assert woken(PINNED, [waiting]) == ""


def test_what_stands_above_it_is_kept() -> None:
    """A hold or any other rule that bars a wake, maxSize, a cool-off, an unknown shape, and a machine that is wanted on already."""
    held = member(on_vetoes=(Veto(Reason.HOLD, "held off"),))
    assert woken(PINNED, [pending()], of=held) == ""
    assert woken(PINNED, [pending()], of=member(cooling=True)) == ""
    assert woken(structs.replace(PINNED, max_size=0), [pending()]) == ""
    assert woken(PINNED, [pending()], of=member(Phase.READY, on=True)) == ""
    assert woken(PINNED, [pending()], machine=box(shape=None)) == ""


def test_a_machine_whose_wakes_are_put_off_is_asked_when_its_turn_comes() -> None:
    """Asked before, Cluster Autoscaler would take it for one that does not come."""
    waits_its_turn = member(
        put_off=(Veto("RateLimit", "its turn comes", at(60)), Veto("InrushSpacing", "apart", at(20)))
    )
    assert wake_for_pods(PINNED, [waits_its_turn], [box()], [pending()]) == at(60)
    blocked = member(put_off=(Veto("RateLimit", "nobody knows when"),))
    assert wake_for_pods(PINNED, [blocked], [box()], [pending()]) is None


def test_a_machine_is_woken_twice_for_a_pod_and_then_it_is_told() -> None:
    """The count stands on the machine, in the patch of the wish; a pod with another uid counts anew."""
    machine, waiting = box(), [pending()]
    for _ in range(2):
        found = wake_for_pods(PINNED, [member()], [machine], waiting)
        assert isinstance(found, PodWake)
        machine = box(annotations=found.beside["metadata"]["annotations"])
    assert woken(PINNED, waiting, machine=machine) == ""
    (told,) = told_in_vain([machine], waiting)
    assert told.message == (
        "m1 was woken twice for apps/db-0, in vain: it is not woken for that any more (hexa why pod)"
    )
    assert woken(PINNED, [*waiting, pending("db-1")], machine=machine) == Reason.PINNED_POD
    assert list(told_in_vain([machine], [pending("db-1")])) == []


def test_more_pods_than_can_be_written_down_wake_nobody_for_ever() -> None:
    """However many pods wait in vain, the wakes for them end."""
    node, waiting, wakes = standing(Phase.OFF), [pending(f"db-{n}") for n in range(MOST_PODS + 5)], 0
    while (found := next_wake(node, waiting)) is not None:
        wakes += 1
        notes = found.beside["metadata"]["annotations"]
        assert len(notes[WOKEN_FOR_ANNOTATION]) < 10_000
        node = structs.replace(node, metadata=structs.replace(node.metadata, annotations=notes))
        assert wakes < 10
    assert wakes == 2


@pytest.mark.parametrize(
    "text", ["", "{}", "[1]", '[{"uid": 1}]', "no JSON", '[{"uid": "u", "pod": "p", "wakes": "x"}]']
)
def test_an_annotation_that_does_not_read_counts_as_none(text: str) -> None:
    """Somebody edited it: the machine is woken, and the count begins anew."""
    machine = box(annotations={WOKEN_FOR_ANNOTATION: text})
    assert woken_for(machine.node) == {}
    assert woken(PINNED, [pending()], machine=machine) == Reason.PINNED_POD


def unschedulable(made: Pod, *, reason: str = "Unschedulable") -> Pod:
    """The scheduler has said so of it."""
    told = Condition(type="PodScheduled", status="False", reason=reason)
    return structs.replace(made, status=PodStatus(phase="Pending", conditions=(told,)))


def test_only_pods_that_the_scheduler_gave_up_wait() -> None:
    """Not those that it did not try, that are gated, bound, leaving, expendable, a DaemonSet's, or not written as the API server
    accepts it."""
    made = pending().pod
    assert waits(unschedulable(made))
    assert not waits(made)
    assert not waits(unschedulable(made, reason="SchedulingGated"))
    odd = ({"nodeAffinity": "odd"}, wants({"nodeSelectorTerms": [1]}))
    specs = ({"node_name": "m1"}, {"priority": -11}, *({"affinity": each} for each in odd))
    for spec in specs:
        assert not waits(unschedulable(structs.replace(made, spec=structs.replace(made.spec, **spec))))
    leaving = structs.replace(made, metadata=structs.replace(made.metadata, deletion_timestamp=at(0)))
    assert not waits(unschedulable(leaving))
    of_set = (OwnerReference(kind="DaemonSet", name="agent", controller=True),)
    assert not waits(
        unschedulable(structs.replace(made, metadata=structs.replace(made.metadata, owner_references=of_set)))
    )


# --- what ends it ---------------------------------------------------------------------------------------------------


def nodes_of(waiting: list[Pending]) -> dict[str, Node]:
    """The machine as it is stored once it was woken for them."""
    found = next_wake(standing(Phase.OFF), waiting)
    assert found is not None
    notes = found.beside["metadata"]["annotations"]
    node = wanting(standing(Phase.OFF), wish(ON, Asker.RECOVERY, reason=Reason.PINNED_POD))
    return {
        "m1": structs.replace(
            node, metadata=structs.replace(node.metadata, annotations=node.metadata.annotations | notes)
        )
    }


@pytest.mark.parametrize(
    ("phase", "left", "policy", "ends"),
    [
        (Phase.OFF, [pending()], PINNED, False),
        (Phase.OFF, [], PINNED, True),
        (Phase.OFF, None, PINNED, False),
        (Phase.OFF, None, Policy(), True),
        (Phase.BOOTING, [], PINNED, False),
        (Phase.READY, [], PINNED, False),
        (Phase.START_FAILED, [pending()], PINNED, True),
    ],
)
def test_a_wake_for_pods_ends_with_them(phase: Phase, left: list[Pending] | None, policy: Policy, ends: bool) -> None:
    """Taken back where none of the pods waits any more and the machine is not on its way; not while nobody knows. One that did not
    come up is one wake in vain."""
    of, nodes = member(phase, on=True, reason=Reason.PINNED_POD), nodes_of([pending()])
    assert (not_needed(policy, [of], nodes, left) is not None) is ends


def test_wishes_of_others_are_left_alone() -> None:
    """What Cluster Autoscaler or a person asked for stands, whatever pods wait."""
    of = member(Phase.OFF, on=True, reason=Reason.SCALE_UP)
    assert not_needed(PINNED, [of], nodes_of([pending()]), []) is None


# --- drains ---------------------------------------------------------------------------------------------------------


def test_a_drain_leaves_pods_that_would_wake_the_machine_again() -> None:
    """One that a controller brings back and that names the machine blocks; a bare one goes, and one that may run elsewhere."""
    node = kube_node("m1", labels=LABELS)
    back, bare, free = pod("db-0", node_selector={HOSTNAME_LABEL: "m1"}), pod("one", kind=""), pod("web")
    found = keeping_pinned(Plan(evict=(back, bare, free)), node)
    assert found.evict == (bare, free)
    assert [each.reason for each in found.blockers] == ["PinnedPod"]
    assert "can run on m1 only" in str(found.blockers[0])


def test_wake_for_pinned_takes_allow_pinned_back() -> None:
    """Pods whose volume is on the machine stay, and the group says that allowPinned has no effect."""
    spec = GroupSpec(wake_for_pinned=True, drain=DrainPolicy(allow_pinned=True))
    found, (problem,) = policy_of(Group(spec=spec))
    assert (found.drain.pinned, problem.field, problem.severity) == (False, "spec.drain.allowPinned", "warning")


# --- groups of unknown shape ----------------------------------------------------------------------------------------


def asks(**selector: str) -> Pending:
    """A pod with this node selector."""
    return pending(node_selector={key.replace("_", "-"): value for key, value in selector.items()})


def learns(waiting: Pending, *, others: tuple[Shape, ...] = (), of: Member | None = None) -> bool:
    """Whether a machine of unknown shape is woken for it."""
    found = wake_for_pods(LEARNS, [of or member()], [box(shape=None)], [waiting], others=others)
    return isinstance(found, PodWake) and found.reason == Reason.LEARN_SHAPE


def test_a_pod_that_asks_for_the_group_s_labels_wakes_one_machine_of_unknown_shape() -> None:
    """By its label, in the node selector or in affinity; one that asks for another value, for nothing, or that fits another group
    wakes nobody, and neither does a second one while the first is on its way."""
    assert learns(asks(node_type="gpu"))
    assert learns(pending(affinity=wants(terms(named("In", "gpu", key="node-type")))))
    assert not learns(asks(node_type="cpu"))
    assert not learns(asks(zone="attic"))
    assert not learns(pending(affinity=wants(terms(named("In", "cpu", key="node-type")))))
    other = structs.replace(SHAPE, labels={"node-type": "gpu"})
    assert not learns(asks(node_type="gpu"), others=(other,))
    assert learns(asks(node_type="gpu"), others=(structs.replace(other, allocatable={"cpu": "500m", "pods": "10"}),))
    assert not learns(asks(node_type="gpu"), of=member(Phase.BOOTING, on=True, reason=Reason.LEARN_SHAPE))
    assert wake_for_pods(LEARNS, [member()], [box()], [asks(node_type="gpu")]) is None
