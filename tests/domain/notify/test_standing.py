"""Which statuses and which news people are told of."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from hexa.domain.machine.lifecycle import Phase, on_its_way
from hexa.domain.news import About, Change, News, What
from hexa.domain.notify.events import KINDS, Event, Level, Trouble
from hexa.domain.notify.standing import (
    MOMENTS,
    autoscaler_looks,
    certificate_looks,
    of_autoscaler,
    of_certificate,
    of_group,
    of_machine,
    of_news,
    relevant,
)
from hexa.domain.resources.core import Condition
from hexa.domain.resources.v1alpha1 import (
    Group,
    GroupSpec,
    GroupStatus,
    Lookup,
    Node,
    NodeSpec,
    NodeStatus,
    OwnedMetadata,
)

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
BEFORE = NOW - timedelta(hours=1)


def condition(type_: str, reason: str = "", status: str = "True") -> Condition:
    """One that says why."""
    return Condition(type=type_, status=status, reason=reason, message=f"{type_} says why", last_transition_time=BEFORE)


def machine(phase: Phase = Phase.READY, *conditions: Condition, **status: Any) -> Node:
    """A machine of the group rack."""
    metadata = OwnedMetadata(namespace="machines", name="box", labels={"group": "rack"})
    known = NodeStatus(phase=str(phase), since=NOW, conditions=conditions, **status)
    return Node(metadata=metadata, spec=NodeSpec(), status=known)


def group(*conditions: Condition, **status: Any) -> Group:
    """The group rack."""
    metadata = OwnedMetadata(namespace="machines", name="rack")
    return Group(metadata=metadata, spec=GroupSpec(), status=GroupStatus(conditions=conditions, **status))


def events(troubles: Any) -> list[str]:
    """Of what is told."""
    return [str(each.event) for each in troubles]


OF_MACHINES = [
    (machine(), []),
    (machine(Phase.OFF), []),
    (machine(Phase.START_FAILED, failures=1), ["MachineDoesNotWake"]),
    (machine(Phase.START_FAILED, failures=2), ["Quarantined"]),
    (machine(Phase.OFF, failures=1, wake_failed_at=BEFORE), ["MachineDoesNotWake"]),
    (machine(Phase.BOOTING, failures=3, wake_failed_at=BEFORE), ["Quarantined"]),
    (machine(Phase.UNKNOWN, failures=2, wake_failed_at=BEFORE), ["Quarantined"]),  # before it is tried again
    (machine(Phase.READY, failures=1, wake_failed_at=BEFORE), []),  # a drain that was given up is counted too
    (machine(Phase.POWERING_ON, failures=1), []),
    (machine(Phase.STOP_FAILED, failures=1), ["MachineDoesNotStop"]),
    (machine(Phase.LOST), ["MachineLost"]),
    (machine(Phase.READY, condition("Blocked", "DrainBlocked")), ["DrainBlocked"]),
    (machine(Phase.LOST, condition("Blocked", "Hung")), ["MachineLost"]),
    (machine(Phase.READY, condition("Blocked", "Hold")), []),
    (machine(Phase.OFF, condition("PowerKnown", "NotRead", "Unknown")), ["PowerUnavailable"]),
    (machine(Phase.OFF, condition("PowerKnown", "NoSensor", "Unknown")), []),
    (machine(Phase.OFF, condition("PowerKnown", "Contradiction", "False")), ["PowerUnavailable"]),
    (machine(Phase.OFF, condition("PowerJobFailed", "JobFailed")), ["PowerUnavailable"]),
    (machine(Phase.READY, condition("HealthCheck", "Failed", "False")), ["HealthCheckFailed"]),
    (machine(Phase.READY, condition("HealthCheck", "NoResult", "Unknown")), []),
    (machine(Phase.READY, condition("Invalid", "Contained")), ["ObjectInvalid"]),
    (machine(Phase.READY, condition("Spare", "Spare"), condition("Unheard", "Of")), []),
]


@pytest.mark.parametrize(("node", "told"), OF_MACHINES, ids=range(len(OF_MACHINES)))
def test_what_of_a_machine_needs_a_hand(node: Node, told: list[str]) -> None:
    """What a person should look at is told, with the group; what hexa waits for is not."""
    found = {each.place: each for each in of_machine(node)}
    assert events(found.values()) == told
    for each in found.values():
        assert (str(each.of), each.group, each.machine) == ("machines/box", "rack", True)
        assert each.why
        assert each.since is not None


OF_GROUPS = [
    (group(), 0, []),
    (group(size=3, ready=1), 2, ["GroupShort"]),
    (group(size=3, ready=2), 2, []),
    (group(condition("SafeHands", "MostNodesLost")), 0, ["SafeHands"]),
    (group(condition("SafeHands", "MostNodesLost", "False")), 0, []),
    (group(condition("OnBattery", "OnBattery")), 0, ["OnBattery"]),
    (group(condition("OnBattery", "OrderedOff")), 0, ["BatteryLow"]),
    (group(condition("OnBattery", "Charging")), 0, ["BatteryLow"]),
    (group(condition("UpsNotHeard", "UpsNotHeard")), 0, ["UpsNotHeard"]),
    (group(condition("PricesEnd", "PricesEnd")), 0, ["PricesEnd"]),
    (group(condition("RemediationStopped", "Storm")), 0, ["RemediationStopped"]),
    (group(condition("Invalid", "MinAboveMax"), condition("NoMachines", "NoMachines")), 0, ["ObjectInvalid"]),
]


@pytest.mark.parametrize(("of", "minimum", "told"), OF_GROUPS, ids=range(len(OF_GROUPS)))
def test_what_of_a_group_needs_a_hand(of: Group, minimum: int, told: list[str]) -> None:
    """What is the whole site's has no object, so that groups do not tell it one by one."""
    found = list(of_group(of, minimum=minimum))
    assert events(found) == told
    site = {"SafeHands", "OnBattery", "BatteryLow", "UpsNotHeard", "PricesEnd"}
    assert all((each.of is None) is (each.event in site) for each in found)


def test_a_group_is_short_of_machines_that_do_not_come() -> None:
    """Those on their way count; whoever counts them leaves out machines that failed to start."""
    short = group(size=3, ready=1, booting=2)
    assert events(of_group(short, minimum=2, coming=1)) == []
    assert events(of_group(short, minimum=3, coming=1)) == ["GroupShort"]
    assert on_its_way(NodeStatus(phase="Booting"))
    assert not on_its_way(NodeStatus(phase="Booting", failures=1))
    assert not on_its_way(NodeStatus(phase="Ready"))


def news(what: What, **more: Any) -> News:
    """Of the machine."""
    return News(**{"of": Lookup("machines", "box"), "what": what, "why": "why", **more})


def test_moments_are_told_by_the_news() -> None:
    """Somebody else's hand, a power cycle and, for those who ask, each boot and each rest; all else is not a message."""
    told = of_news(news(What.FOUND_OFF), group="rack")
    assert told == Trouble(
        event=Event.FOUND_OFF,
        slot="moment FoundOff",
        of=Lookup("machines", "box"),
        why="why",
        group="rack",
        machine=True,
    )
    step = Change("Booting", "Ready", "NodeReady")
    assert of_news(news(What.READY)) is None
    assert of_news(news(What.READY, change=step)) is not None
    assert of_news(news(What.CORRECTED)) is not None
    assert of_news(news(What.DOES_NOT_DECODE, of=Lookup("", ""))) is None
    assert [what for what in What if what not in MOMENTS and of_news(news(what, change=step)) is not None] == []
    wrong = of_news(news(What.DOES_NOT_DECODE, about=About.GROUP))
    assert wrong is not None
    assert (wrong.group, wrong.machine) == ("box", False)


def test_a_certificate_is_told_two_weeks_and_three_days_before_its_end() -> None:
    """Each step once, and both until it is renewed."""
    ends = NOW + timedelta(days=20)
    assert list(of_certificate("grpc", ends, now=NOW, born=NOW)) == []
    assert certificate_looks(ends, now=NOW) == NOW + timedelta(days=6)
    [first] = of_certificate("grpc", ends, now=NOW + timedelta(days=6), born=NOW)
    assert first.since == NOW + timedelta(days=6)
    assert certificate_looks(ends, now=NOW + timedelta(days=6)) == NOW + timedelta(days=17)
    both = list(of_certificate("grpc", ends, now=NOW + timedelta(days=21), born=NOW + timedelta(days=10)))
    assert [each.since for each in both] == [None, NOW + timedelta(days=17)]
    assert len({each.place for each in both}) == 2
    assert "ended at" in both[0].why
    assert certificate_looks(ends, now=NOW + timedelta(days=21)) is None
    for odd in (datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)):
        assert len(list(of_certificate("odd", odd, now=NOW, born=NOW))) in (0, 2)
        certificate_looks(odd, now=NOW)


def test_an_autoscaler_that_fell_silent_is_told() -> None:
    """One that never called may not be there; one that called and has not for five minutes is down."""
    assert list(of_autoscaler(None)) == []
    assert list(of_autoscaler(timedelta(minutes=5))) == []
    assert events(of_autoscaler(timedelta(minutes=6))) == ["AutoscalerSilent"]
    assert autoscaler_looks(timedelta(minutes=2)) == timedelta(minutes=3, seconds=1)
    assert autoscaler_looks(timedelta(days=2)) == timedelta(minutes=1)


def test_only_what_may_matter_is_looked_at() -> None:
    """A status that counts energy is nothing new; a condition, a phase and a failure are."""
    old = machine()
    assert not relevant(old, old)
    assert not relevant(old, machine(attempt=4))
    assert relevant(old, machine(failures=1))
    assert relevant(old, machine(Phase.LOST))
    assert relevant(old, machine(Phase.READY, condition("Blocked", "Hung")))
    assert relevant(None, old)
    assert relevant(old, None)


def test_each_event_has_words() -> None:
    """A sentence for people, and one for the documentation; only what turns a site off is critical."""
    assert set(KINDS) == set(Event)
    for event, kind in KINDS.items():
        trouble = Trouble(event=event, slot="x", of=Lookup("machines", "rack-3"))
        assert trouble.title
        assert "{" not in trouble.title
        assert not kind.says.endswith(".")
        assert kind.means.endswith(".")
    assert {event for event, kind in KINDS.items() if kind.level is Level.CRITICAL} == {
        Event.SAFE_HANDS,
        Event.ON_BATTERY,
        Event.BATTERY_LOW,
    }
