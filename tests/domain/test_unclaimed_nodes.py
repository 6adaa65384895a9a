"""Which Kubernetes nodes that nobody claims may be the machine's, by when they came and what they are called."""

from datetime import timedelta
from typing import Any

import pytest
from msgspec import structs
from tests.domain.builders import LONG_AGO, T0, at, status

from hexa.domain.machine.lifecycle import Phase
from hexa.domain.machine.unclaimed_nodes import (
    followed,
    kept_on,
    last_up,
    namesakes,
    newcomers,
    perhaps,
    possible_nodes,
    waited_since,
)
from hexa.domain.names import CONTROL_PLANE_LABELS
from hexa.domain.resources.core import Condition, KubeNode, KubeNodeStatus, Metadata
from hexa.domain.resources.v1alpha1 import HistoryEntry, NodeStatus

WITHIN = timedelta(minutes=9)


def came(name: str, seconds: float, *, ready: bool | None = True, since: float | None = None, **more: Any) -> KubeNode:
    """A node that registered so many seconds after T0, Ready since then or since `since`."""
    turned = at(seconds if since is None else since)
    state = Condition(type="Ready", status=str(ready), last_transition_time=turned)
    conditions = () if ready is None else (Condition(type="DiskPressure", status="True"), state)
    metadata = Metadata(name=name, creation_timestamp=at(seconds), **more)
    return KubeNode(metadata=metadata, status=KubeNodeStatus(conditions=conditions))


def went(phase: Phase, *actions: tuple[Phase, float]) -> NodeStatus:
    """The status of a machine in `phase` with that history."""
    return status(phase, history=tuple(HistoryEntry(at=at(when), action=str(action)) for action, when in actions))


@pytest.mark.parametrize("phase", Phase)
def test_a_machine_is_waited_for_from_its_first_wake_since_it_was_up(phase: Phase) -> None:
    """While it comes, and where it failed to; one that was never woken is not waited for."""
    woken = went(phase, (Phase.POWERING_ON, 1), (Phase.READY, 2), (Phase.POWERING_ON, 5), (Phase.POWERING_ON, 9))
    awaited = phase in {Phase.POWERING_ON, Phase.BOOTING, Phase.START_FAILED, Phase.UNKNOWN}
    assert waited_since(woken) == (at(5) if awaited else None)
    assert waited_since(went(phase, (Phase.POWERING_ON, 1), (Phase.READY, 2))) is None
    assert waited_since(went(phase)) is None


def test_who_came_since_is_news_and_a_likeness_comes_first() -> None:
    """By when it registered or became Ready, whichever is later, with half a minute for clocks that differ; three are named."""
    nodes = [came("z", 100), came("a", 70), came("late", LONG_AGO, since=100), came("early", 69)]
    assert possible_nodes(nodes, "box-1", since=at(100)) == ("a", "late", "z")
    assert possible_nodes([*nodes, came("BOX-1.lab", 100)], "box-1", since=at(100)) == ("BOX-1.lab", "a", "late")
    assert possible_nodes([came("late", LONG_AGO, since=100, ready=False)], "box-1", since=at(100)) == ()


@pytest.mark.parametrize(
    ("name", "same"),
    [
        ("box-1-ec2407ca", True),
        ("BOX-1.lab.example", True),
        ("box", True),
        ("box-10", False),
        ("box-1", False),
        ("other", False),
    ],
)
def test_a_namesake_has_the_name_with_a_suffix_or_a_domain(name: str, same: bool) -> None:
    """Or without its own; box-10 is another machine than box-1."""
    assert namesakes([came(name, 100)], "box-1", since=None) == ((name,) if same else ())


def test_a_namesake_is_ready_and_new() -> None:
    """One that is not Ready, or was there before the machine was woken, says nothing."""
    node = came("box-1-a", 100)
    assert namesakes([node], "box-1", since=at(130)) == ("box-1-a",)
    assert namesakes([node], "box-1", since=at(131)) == ()
    assert namesakes([came("box-1-a", 100, ready=False)], "box-1", since=None) == ()
    assert namesakes([came("box-1-a", 100, ready=None)], "box-1", since=None) == ()
    assert namesakes([came("box-1-b", 1), came("box-1-a", 2)], "box-1", since=None) == ("box-1-a", "box-1-b")


def test_a_newcomer_came_while_the_machine_could_be_booting() -> None:
    """A worker that is Ready, from the first wake until `within` after it, whatever it is called."""
    woken = went(Phase.BOOTING, (Phase.POWERING_ON, 0))
    limit = WITHIN.total_seconds()
    nodes = [came("b", 0), came("a", limit), came("late", limit + 1), came("early", -1), came("ill", 5, ready=False)]
    control = [came(f"c{n}", 5, labels={label: ""}) for n, label in enumerate(sorted(CONTROL_PLANE_LABELS))]
    assert newcomers([*nodes, *control], woken, within=WITHIN) == ("a", "b")
    plain = came("plain", 5)
    zoneless = KubeNode(
        metadata=Metadata(name="zoneless", creation_timestamp=T0.replace(tzinfo=None)), status=KubeNodeStatus()
    )
    assert newcomers([plain, zoneless], woken, within=WITHIN) == ("plain",)
    assert newcomers(nodes, went(Phase.OFF), within=WITHIN) == ()


def test_people_are_told_where_to_look() -> None:
    """Which node it may be, and which field says so; nothing where there is none."""
    (finding,) = kept_on(["box-1-a", "box-1-b"])
    assert (finding.type, finding.reason) == ("IdentityChanged", "OtherName")
    assert "set spec.kubernetesNodeName: box-1-a" in finding.message
    assert list(kept_on([])) == []
    assert perhaps([]) == ""
    one, two = perhaps(["a"]), perhaps(["a", "b"])
    assert one.startswith("; Kubernetes node a registered after the wake")
    assert two.startswith("; Kubernetes nodes a, b came after the wake")
    assert one.endswith("set spec.kubernetesNodeName: a")
    assert two.endswith("set spec.kubernetesNodeName: a")


def test_a_kubelet_that_was_up_beside_another_is_another() -> None:
    """One that came after the old one was heard last, or was said not to be Ready, may be the same under a new name; half a minute
    is given for clocks, and a minute more until a silent one is told."""
    new, old = came("new", 100), came("box-1", LONG_AGO, since=160, ready=False)
    assert followed(new, None, heard=None, up=None, now=at(900))
    assert followed(new, old, heard=at(130), up=at(130), now=at(900))
    assert not followed(new, old, heard=at(131), up=None, now=at(900))
    assert not followed(new, old, heard=None, up=at(131), now=at(900))
    assert followed(new, old, heard=None, up=None, now=at(900))
    assert not followed(new, came("box-1", LONG_AGO, since=161, ready=False), heard=None, up=None, now=at(900))
    assert not followed(new, came("box-1", LONG_AGO), heard=None, up=None, now=at(161))
    assert followed(new, came("box-1", LONG_AGO, ready=None), heard=None, up=None, now=at(900))


def test_a_node_that_fell_silent_since_the_machine_was_up_is_suspected_too() -> None:
    """By when it ceased to be Ready, or registered; only where that is asked for, and not one that has been silent for longer."""
    silent = came("box-1-a", LONG_AGO, since=100, ready=False)
    assert namesakes([silent], "box-1", since=at(0), silent_since=at(130)) == ("box-1-a",)
    assert namesakes([silent], "box-1", since=at(0), silent_since=at(131)) == ()
    assert namesakes([silent], "box-1", since=at(0)) == ()
    assert namesakes([came("box-1-a", 1, since=9)], "box-1", since=at(99), silent_since=at(0)) == ()
    woken = went(Phase.DRAINING, (Phase.POWERING_ON, 100))
    registered = came("worker", 110, since=150, ready=False)
    assert newcomers([registered], woken, within=WITHIN, silent=True) == ("worker",)
    assert newcomers([registered], woken, within=WITHIN) == ()
    assert last_up(woken) == at(100)
    assert last_up(structs.replace(woken, last_startup_time=at(50))) == at(50)
    assert last_up(went(Phase.OFF)) is None
