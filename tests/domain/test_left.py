"""What a drain leaves is named, whatever pods and nodes say of themselves."""

from datetime import UTC, datetime, timedelta

from hexa.domain.machine.unclaimed_nodes import alike, namesakes, newcomers, possible_nodes
from hexa.domain.pods.drain import Blocker, Plan
from hexa.domain.pods.left import few, left_at_deadline, outlasting, overdue
from hexa.domain.resources.core import Condition, KubeNode, KubeNodeStatus, Metadata, Pod, PodSpec
from hexa.domain.resources.v1alpha1 import HistoryEntry, NodeStatus

LIMIT = timedelta(minutes=10)


def pod(name: str, grace: int | None) -> Pod:
    """A pod with this grace period."""
    return Pod(metadata=Metadata(name=name, namespace="apps"), spec=PodSpec(termination_grace_period_seconds=grace))


def test_all_that_is_left_is_named() -> None:
    """Pods that block, that still end, and that were asked and stayed; of many the first three."""
    plan = Plan((pod("c", 5),), (pod("b", None),), (Blocker("apps/a", "NoRoom", "it fits on no other node"),))
    assert left_at_deadline(plan, longest=None, limit=LIMIT) == (
        "apps/a: it fits on no other node; apps/b: still ending, its grace period is 30s; "
        "apps/c: asked to go, and still there"
    )
    assert few(["a", "b", "c", "d", "e"]) == "a; b; c and 2 more"


def test_grace_periods_beyond_reason_are_borne() -> None:
    """A pod may say what it likes: the longest that is told is ten years, and the group's gracePeriod bounds it."""
    odd = [pod("a", 2**62), pod("b", -5), pod("c", 601)]
    assert [blocker.pod for blocker in outlasting(odd, longest=None, limit=LIMIT)] == ["apps/a", "apps/c"]
    assert outlasting(odd, longest=60, limit=LIMIT) == []


def test_a_pod_that_ends_for_too_long_is_named_with_what_holds_it() -> None:
    """Half a minute after its grace period, and not before; its finalizers are named. Any time is borne."""
    now = datetime(2026, 3, 2, 8, tzinfo=UTC)

    def ending(name: str, since: datetime, *finalizers: str) -> Pod:
        return Pod(metadata=Metadata(name=name, namespace="apps", deletion_timestamp=since, finalizers=finalizers))

    held = ending("held", now - timedelta(minutes=1), "example.com/guard")
    stuck = ending("stuck", datetime.min.replace(tzinfo=UTC))
    fine = [ending("fine", now - timedelta(seconds=29)), ending("odd", datetime.max.replace(tzinfo=UTC))]
    assert overdue(Plan(leaving=(held, stuck, *fine)), now=now) == (
        "apps/held: still ending though its grace period is over, held by its finalizers (example.com/guard); "
        "apps/stuck: still ending though its grace period is over, look at its kubelet and its volumes"
    )
    assert overdue(Plan(leaving=tuple(fine)), now=now) == ""


def test_times_that_make_no_sense_name_no_stranger() -> None:
    """Nodes without a time, or with one at the end of all times, raise nothing; a likeness of names comes first."""
    now = datetime(2026, 3, 2, 8, tzinfo=UTC)
    times = {"new": now, "box-1-ec2407ca": now, "old": now - timedelta(hours=1), "never": None}
    nodes = [KubeNode(metadata=Metadata(name=name, creation_timestamp=time)) for name, time in times.items()]
    assert possible_nodes(nodes, "box-1", since=now) == ("box-1-ec2407ca", "new")
    for odd in (datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC), datetime(2026, 1, 1)):  # noqa: DTZ001
        possible_nodes(nodes, "box-1", since=odd)
    assert alike("box-1.lab.example", "BOX-1")
    assert not alike("box-2", "box-1")


def test_failure_57_likeness_of_names() -> None:
    """A Ready node that came since the machine was last up is in doubt where it has its name with a suffix or a domain, or the
    other way round; another number is another machine."""
    now = datetime(2026, 3, 2, 8, tzinfo=UTC)

    def node(name: str, *, ready: str = "True", came: datetime = now) -> KubeNode:
        status = KubeNodeStatus(conditions=(Condition(type="Ready", status=ready),))
        return KubeNode(metadata=Metadata(name=name, creation_timestamp=came), status=status)

    nodes = [node(name) for name in ("BOX-1.lab", "box-1-ec24", "box", "box-10", "box-2", "1", "box-1")]
    nodes += [node("box-1-old", came=now - timedelta(days=1)), node("box-1-dark", ready="Unknown")]
    assert namesakes(nodes, "box-1", since=now) == ("BOX-1.lab", "box", "box-1-ec24")
    assert "box-1-old" in namesakes(nodes, "box-1", since=None)


def test_failure_57_newcomers_of_a_boot() -> None:
    """A Ready node that came while the machine may have been booting is in doubt, whatever its name; one that came before, or long
    after, is not, nor any once the machine was up."""
    now = datetime(2026, 3, 2, 8, tzinfo=UTC)
    woken = HistoryEntry(at=now, by="Wanted", action="PoweringOn")
    status = KubeNodeStatus(conditions=(Condition(type="Ready", status="True"),))
    times = {"talos-7xk": 60, "before": -3600, "after": 3600}
    nodes = [
        KubeNode(metadata=Metadata(name=name, creation_timestamp=now + timedelta(seconds=at)), status=status)
        for name, at in times.items()
    ]
    waits = NodeStatus(phase="Draining", history=(woken,))
    assert newcomers(nodes, waits, within=LIMIT) == ("talos-7xk",)
    up = NodeStatus(phase="Draining", history=(woken, HistoryEntry(at=now, by="NodeReady", action="Ready")))
    assert newcomers(nodes, up, within=LIMIT) == ()
