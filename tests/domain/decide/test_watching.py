"""A machine of a group that only observes: whatever is stored of it, nothing is done to it but to end what hexa has begun."""

from datetime import datetime
from typing import Any

import pytest
from msgspec import structs
from tests.domain.builders import OFF, ON, T0, at, kube_node, machine, observed, rack, standing, view, wanting, wish

from hexa.domain.decide.decision import Decision, Edit, EndJobs, Look, Looked, Rest, Save
from hexa.domain.decide.group import decide_group
from hexa.domain.decide.group_decision import Ask, GroupObserved, WishFor
from hexa.domain.decide.kube_node import KubeNodeObserved, LetBe, TakeOff, decide_kube_node
from hexa.domain.decide.machine import decide
from hexa.domain.decide.observed import Load, Read
from hexa.domain.decide.watching import UNDER_WAY
from hexa.domain.group.sizing import candidates, counts, least_size, max_size
from hexa.domain.machine.lifecycle import Phase
from hexa.domain.machine.marks import hold_back
from hexa.domain.money.receipt import COULD_REST, MIN_SIZE, PODS, UNNEEDED
from hexa.domain.names import CORDON_ANNOTATION, GROUP_LABEL, MACHINE_ANNOTATION
from hexa.domain.policy.policy import Policy
from hexa.domain.resources.group_values import Mode
from hexa.domain.resources.receipt import Receipt
from hexa.domain.resources.v1alpha1 import Asker, Hold, JobRecord, Node, NodeStatus, Paused

OBSERVES, AUTO = rack(mode=Mode.OBSERVE), rack()
GOES_ON = Receipt(since=T0)
HARMLESS = (Save, Look, Rest)


def seen(node: Node, now: float = 100, *, group: Any = OBSERVES, **known: Any) -> Decision:
    """What is decided about the machine, whose kubelet lives."""
    known = {"heard": at(now - 1), "heard_until": at(now + 39), **known}
    read = Read(**{"unclaimed": (), "members": (), "price": 0.5, **known.pop("read", {})})
    kube = known.pop("kube", None)
    return decide(view(node, group=group, kube=kube), observed(now, read=read, **known))


@pytest.mark.parametrize("phase", list(Phase))
@pytest.mark.parametrize("power", [ON, OFF])
@pytest.mark.parametrize("by", [Asker.USER, Asker.CLUSTER_AUTOSCALER])
def test_nothing_is_done_to_it_in_any_phase(phase: Phase, power: Any, by: Asker) -> None:
    """Whoever wanted what before, with a hold or without: no wake, no drain, no write but its status."""
    for spec in ({}, {"hold": Hold(power="off")}, {"hold": Hold(power="on")}, {"paused": Paused()}):
        for receipt in (None, GOES_ON):
            node = standing(phase, spec=spec, receipt=receipt, cool_until=at(10), wakes=1)
            for now in (1.0, 100.0, 5000.0, 90_000.0):
                decision = seen(wanting(node, wish(power, by)), now, kube=kube_node("m1"))
                assert isinstance(decision, HARMLESS), decision


@pytest.mark.parametrize("phase", list(Phase))
def test_what_is_under_way_does_not_go_on(phase: Phase) -> None:
    """A wake, a drain or a power-off that was begun is looked at anew; what is off or up stays so."""
    job = JobRecord(name="off-2", action="shutdown", attempt=2)
    first = seen(standing(phase, job=job, attempt=2, blocker="a pod"), jobs=frozenset({"off-2"}))
    assert isinstance(first, EndJobs)
    begun = seen(standing(phase, job=job, attempt=2, blocker="a pod"))
    assert isinstance(begun, Save)
    status = begun.status
    assert (status.job, status.blocker, status.receipt, status.wish) == (None, "", Receipt(since=at(100)), None)
    assert status.phase == (Phase.UNKNOWN if phase in UNDER_WAY else phase)


def test_its_finalizer_goes_once() -> None:
    """With the commands that give the node of a machine that is off what it had."""
    node = standing(Phase.OFF, receipt=GOES_ON)
    held = structs.replace(
        node, metadata=structs.replace(node.metadata, finalizers=hold_back(node)["metadata"]["finalizers"])
    )
    assert isinstance(seen(held), Edit)
    assert isinstance(seen(held, read={"done": frozenset({"Edit"})}), HARMLESS)
    assert isinstance(seen(node), HARMLESS)


@pytest.mark.parametrize(
    ("annotations", "taken_off"),
    [
        ({}, False),
        ({MACHINE_ANNOTATION: "site/m1"}, True),
        ({CORDON_ANNOTATION: "x"}, True),
        ({MACHINE_ANNOTATION: "site/m2"}, False),
    ],
)
def test_its_kubernetes_node_is_cleaned_once_and_given_nothing(annotations: dict[str, str], taken_off: bool) -> None:
    """A label that people set themselves stays."""
    kube = kube_node("m1", annotations=annotations, labels={GROUP_LABEL: "rack"})
    of = view(standing(Phase.READY, welcomed=True), group=OBSERVES, kube=kube)
    told = KubeNodeObserved(
        now=at(0),
        node=kube,
        machine=of,
        claimed=True,
        owner=of.node,
        seeing=True,
        all_seen=True,
        owner_may_be_hidden=False,
    )
    assert decide_kube_node(told) == (TakeOff() if taken_off else LetBe())


def test_cluster_autoscaler_is_told_a_group_that_can_neither_grow_nor_shrink() -> None:
    """As many as are up, whatever minSize and maxSize say."""
    policy = Policy(mode=Mode.OBSERVE, min_size=2, max_size=1)
    phases = {"a": Phase.READY, "b": Phase.READY, "c": Phase.READY, "d": Phase.OFF, "e": Phase.LOST}
    group = rack(mode=Mode.OBSERVE, min_size=2, max_size=1)
    nodes = [structs.replace(machine(name), status=standing(phase).status) for name, phase in phases.items()]
    members = [view(node, group=group).member(at(9)) for node in nodes]
    assert (sum(map(counts, members)), least_size(policy, members), max_size(policy, members)) == (3, 3, 3)
    assert candidates(members) == []


# --- its end -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("phase", list(Phase))
def test_when_the_mode_ends_it_is_looked_at_anew(phase: Phase) -> None:
    """What Cluster Autoscaler wanted weeks ago switches nothing: the machine is adopted as it is found then."""
    node = wanting(standing(phase, receipt=GOES_ON), wish(OFF, Asker.CLUSTER_AUTOSCALER))
    assert not view(node, group=AUTO).member(at(100)).valid
    ended = seen(node, group=AUTO)
    assert isinstance(ended, Save)
    assert ended.status.phase == ""
    assert ended.status.receipt is not None
    assert ended.status.receipt.until == at(100)
    again = structs.replace(node, status=ended.status)
    assert not view(again, group=AUTO).to_be_seen_anew
    assert not view(again, group=OBSERVES).to_be_seen_anew


def test_min_size_wakes_nobody_before_those_that_are_up_were_looked_at_anew() -> None:
    """A machine that was off is asked for once the others are known, or after a minute."""
    group = rack(min_size=1)
    off = structs.replace(wanting(machine("m1"), wish(OFF, Asker.RECOVERY)), status=standing(Phase.OFF).status)
    for status in (
        NodeStatus(phase="Ready", receipt=GOES_ON),
        NodeStatus(receipt=structs.replace(GOES_ON, until=at(99))),
    ):
        machines = (view(off, group=group), view(structs.replace(machine("m2"), status=status), group=group))
        told = {
            "machines": machines,
            "members": tuple(each.member(at(100)) for each in machines),
            "nodes": {each.key.name: each.node for each in machines},
        }
        seen = GroupObserved(now=at(100), born=at(-90_000), seeing=True, stored=group.group, found=(), **told)
        assert not isinstance(decide_group(group, seen), Ask | WishFor)
        late = structs.replace(seen, now=at(300))
        assert isinstance(decide_group(group, late), Ask | WishFor) is (status.phase == "")


# --- its receipt -------------------------------------------------------------------------------------


def cause(now: float, *, idle: bool, group: Any = OBSERVES, before: datetime | None = None, **known: Any) -> Any:
    """What a look at its pods books."""
    receipt = known.pop("receipt", GOES_ON)
    node = standing(
        Phase.READY, spec=known.pop("spec", {}), receipt=receipt, boot_seconds=(60.0,), **known.pop("status", {})
    )
    decision = seen(node, now, group=group, kube=kube_node("m1"), read={"load": Load(idle, before), **known})
    assert isinstance(decision, Save)
    return decision.status.receipt


def test_its_pods_are_looked_at_every_few_minutes_while_it_is_up() -> None:
    """And of a machine that is off nobody asks."""
    up = standing(Phase.READY, receipt=GOES_ON)
    assert seen(up, kube=kube_node("m1")) == Look(Looked.LOAD)
    assert seen(up, kube=kube_node("m1"), pods_seen_at=at(99)) != Look(Looked.LOAD)
    assert seen(up, 400, kube=kube_node("m1"), pods_seen_at=at(99)) == Look(Looked.LOAD)
    assert seen(standing(Phase.OFF, receipt=GOES_ON)) != Look(Looked.LOAD)


def test_idle_counts_once_it_would_have_been_given_back_and_booted() -> None:
    """Not before scaleDownUnneededTime and a boot: 11 minutes here."""
    assert cause(100, idle=False).cause == PODS
    first = cause(100, idle=True)
    assert (first.cause, first.idle_since) == (UNNEEDED, at(100))
    later = structs.replace(first, idle_since=at(100))
    before = {"before": at(700)}
    assert cause(759, idle=True, receipt=later, **before).cause == UNNEEDED
    assert cause(760, idle=True, receipt=later, **before).cause == COULD_REST
    assert cause(5000, idle=True, receipt=later, **before).idle_since == at(5000)  # nobody looked in between


def test_what_would_have_kept_it_on_is_named() -> None:
    """The first rule that forbids its off in Auto, else minSize, which machines with pods fill first."""
    long_idle = structs.replace(GOES_ON, idle_since=at(0), cause=UNNEEDED, counted_to=at(3000))
    told: dict[str, Any] = {"idle": True, "receipt": long_idle, "before": at(3300)}
    assert cause(3600, **told).cause == COULD_REST
    assert cause(3600, **told, spec={"shutdown_pod_spec": None}).cause == "PowerOffUnavailable"
    small = rack(mode=Mode.OBSERVE, min_size=1)

    def other(name: str, *, idle: bool) -> Any:
        receipt = structs.replace(GOES_ON, idle_since=at(0) if idle else None)
        node = structs.replace(machine(name), status=standing(Phase.READY, receipt=receipt).status)
        return view(node, group=small).member(at(3600))

    assert cause(3600, **told, group=small, members=(other("m1", idle=True),)).cause == MIN_SIZE
    assert (
        cause(3600, **told, group=small, members=(other("m1", idle=True), other("m2", idle=False))).cause == COULD_REST
    )
    assert (
        cause(3600, **told, group=small, members=(other("m0", idle=True), other("m1", idle=True))).cause == COULD_REST
    )
