"""Circuits: whom watts are promised, who waits for them, and when the next wake may begin."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from msgspec import Struct, structs
from tests.domain.builders import ON, at, machine, status, wish

from hexa.domain.group.sizing import Member, candidates, fitting, max_size, target
from hexa.domain.group.watts import LATE, Load, Place, load_of, places, slots
from hexa.domain.machine.inrush import began_to_draw, may_draw
from hexa.domain.machine.lifecycle import Event, Phase
from hexa.domain.machine.wish import wish_patch
from hexa.domain.machine_view import MachineView
from hexa.domain.money.rates import Rates
from hexa.domain.policy.circuits import Circuit, WrittenCircuit, circuit_problems, circuits_of
from hexa.domain.policy.limits import Limits
from hexa.domain.policy.policy import Policy, policy_of
from hexa.domain.resources.core import Condition
from hexa.domain.resources.v1alpha1 import (
    Asker,
    Group,
    GroupSpec,
    HistoryEntry,
    JobRecord,
    Lookup,
    Node,
    NodeStatus,
    OwnedMetadata,
    PowerReading,
    Reading,
)
from hexa.domain.rules import judge
from hexa.domain.rules.circuits import short

GARAGE = Circuit(name="garage", watts=1000, spacing=timedelta(seconds=10))
RACK = Circuit(name="site/rack", watts=500, of_group=True)
GAP = timedelta(seconds=10) + LATE


def load(name: str, watts: float | None = 300, **changes: Any) -> Load:
    """A machine that is off and wanted by nobody, unless told otherwise."""
    return Load(key=Lookup("site", name), **{"watts": watts, "off_watts": 5.0, "draws": False, **changes})


def reckoned(*loads: Load, circuit: Circuit = GARAGE) -> dict[str, Place]:
    """The places by the machine's name."""
    return {key.name: place for key, place in places(circuit, loads).items()}


def view(phase: Phase, *found: Place, by: Asker | None = Asker.CLUSTER_AUTOSCALER, **changes: Any) -> MachineView:
    """A machine that is wanted on by somebody, or by nobody."""
    node = machine("m1")
    if by is not None:
        notes = wish_patch(node, wish(ON, by))["metadata"]["annotations"]
        metadata = structs.replace(node.metadata, annotations=notes)
        node = structs.replace(node, metadata=metadata, spec=structs.replace(node.spec, power_state="on"))
    node = structs.replace(node, status=status(phase, **changes))
    return MachineView(
        key=Lookup("site", "m1"),
        node=node,
        policy=Policy(),
        limits=Limits(),
        rates=Rates(max_watts=300, off_watts=5),
        problems=(),
        control_plane=False,
        hosts=(),
        shape=None,
        kube=None,
        group=None,
        places=found,
    )


def test_what_is_on_coming_or_unknown_draws_all_that_it_may() -> None:
    """What is left is for the others; what is off draws what it draws then."""
    found = reckoned(load("on", draws=True), load("coming", draws=True), load("a"), load("b", 400))
    assert (found["a"].room, found["a"].needs, found["a"].full) == (390, 295, False)
    assert (found["b"].needs, found["b"].full) == (395, True)
    assert (found["on"].full, found["on"].needs) == (False, 0)


def test_watts_are_promised_to_a_persons_word_first() -> None:
    """Of machines that are wanted and off the one of the elder wish comes first, and a hold before all; the rest waits."""
    wanted = {"asked": 2, "since": at(10)}
    found = reckoned(
        load("a", **wanted), load("b", **wanted), load("c", **wanted), load("d", asked=2, since=at(5)), load("e")
    )
    assert [name for name, place in found.items() if place.full] == ["c", "e"]
    assert (found["d"].ahead, found["a"].ahead, found["b"].ahead, found["e"].ahead) == (0, 1, 2, 3)
    held = reckoned(load("a", **wanted), load("b", **wanted), load("c", **wanted), load("d", asked=0, since=at(99)))
    assert [name for name, place in held.items() if place.full] == ["c"]


def test_a_machine_that_says_no_watts_counts_as_the_largest() -> None:
    """Where none of the circuit says any, each counts as the whole circuit: one may be on."""
    found = reckoned(load("a", 400), load("b", None, draws=True), load("c", 100))
    assert (found["b"].watts, found["b"].declared, found["a"].room) == (400, False, 590)
    alone = reckoned(load("a", None, off_watts=0.0), load("b", None, draws=True))
    assert (alone["a"].watts, alone["a"].full) == (1000, True)
    assert not reckoned(load("a", None, off_watts=0.0), load("b", None, off_watts=0.0))["a"].full


def test_wakes_are_apart_from_the_last_of_another() -> None:
    """Not from the machine's own; what came up by itself counts; what is up waits for no turn."""
    found = reckoned(load("a", woken=at(100)), load("b", woken=at(50), draws=True, up=True), load("c"))
    assert (found["a"].due, found["b"].due, found["c"].due) == (at(50) + GAP, None, at(100) + GAP)
    free = reckoned(load("a", woken=at(100)), load("c"), circuit=structs.replace(GARAGE, spacing=timedelta(0)))
    assert free["c"].due is None


def test_so_many_wakes_as_can_begin_in_time() -> None:
    """Those that wait already come before; a spacing of an hour lets one begin."""
    place = Place(circuit=GARAGE, watts=300, due=at(100), ahead=2)
    assert place.slots(at(95), within=timedelta(seconds=70)) == 4  # at 126, 139, 152 and 165
    assert place.slots(at(95), within=timedelta(seconds=30)) == 0
    slow = Place(circuit=structs.replace(GARAGE, spacing=timedelta(hours=1)), watts=300)
    assert slow.slots(at(0), within=timedelta(minutes=7)) == 1
    assert slots((place, slow), within=timedelta(seconds=70), now=at(95)) == 1
    assert slots((Place(circuit=RACK, watts=300),), within=timedelta(0), now=at(0)) is None


@pytest.mark.parametrize(
    ("known", "draws"),
    [
        (status(Phase.OFF), False),
        (NodeStatus(), True),
        (status(Phase.UNKNOWN), True),
        (status(Phase.LOST), True),
        (status(Phase.POWERING_OFF), True),
        (status(Phase.START_FAILED), True),
        (status(Phase.START_FAILED, reading=PowerReading(power=Reading.OFF)), False),
        (status(Phase.OFF, attempt=3, job=JobRecord(name="j", action="startup", attempt=3)), True),
        (status(Phase.OFF, attempt=3, job=JobRecord(name="j", action="shutdown", attempt=3)), False),
    ],
)
def test_what_is_not_off_for_sure_draws(known: NodeStatus, draws: bool) -> None:
    """A breaker does not mind whether hexa knows: in doubt the machine is on."""
    assert may_draw(known) is draws


def life(*entries: tuple[Phase, float, Event], **changes: Any) -> NodeStatus:
    """A machine with this history."""
    history = tuple(HistoryEntry(at=at(when), action=str(phase), by=str(event)) for phase, when, event in entries)
    return status(entries[-1][0], history=history, since=history[-1].at, **changes)


WOKEN = (Phase.POWERING_ON, 10.0, Event.WANTED)
STARTED = (Phase.BOOTING, 20.0, Event.STARTED)
TURNED_BACK = ((Phase.DRAINING, 30.0, Event.UNWANTED), (Phase.BOOTING, 31.0, Event.WANTED))


@pytest.mark.parametrize(
    ("known", "began"),
    [
        (life(WOKEN, woken_at=at(10), wakes=1), 10),
        (life(WOKEN, STARTED, woken_at=at(95), wakes=2), 95),
        (life(WOKEN, (Phase.BOOTING, 12, Event.STARTED), (Phase.READY, 60, Event.NODE_READY), wakes=1), 10),
        (life(WOKEN, STARTED, (Phase.READY, 60, Event.NODE_READY), wakes=1), 20),  # its Job may have been late
        (life(WOKEN, STARTED, (Phase.READY, 60, Event.NODE_READY), wakes=2), 60),
        (life(WOKEN, (Phase.OFF, 70, Event.POWER_GONE)), 70),
        (life((Phase.OFF, 1, Event.POWER_GONE), (Phase.BOOTING, 33, Event.POWER_SEEN)), 33),
        (life((Phase.READY, 5, Event.NODE_READY)), None),
        (life(WOKEN, (Phase.BOOTING, 12, Event.POWER_SEEN), *TURNED_BACK, (Phase.READY, 35, Event.NODE_READY)), 10),
        (life((Phase.READY, 5, Event.NODE_READY), *TURNED_BACK, (Phase.READY, 35, Event.NODE_READY)), None),
        (life((Phase.READY, 5, Event.NODE_READY), *TURNED_BACK, (Phase.READY, 60, Event.NODE_READY), wakes=1), 60),
        (life(WOKEN, STARTED, *TURNED_BACK, (Phase.READY, 60, Event.NODE_READY), wakes=1), 60),
    ],
)
def test_when_a_machine_began_to_draw_is_stored(known: NodeStatus, began: float | None) -> None:
    """Its last wake, or its own coming; of a try whose repeated wakes nobody knows any more, its end."""
    assert began_to_draw(known) == (None if began is None else at(began))


def test_nobody_passes_the_watts() -> None:
    """A machine that is wanted on by a person's hold waits, does not count, and says so; one that is on stays on."""
    full = Place(circuit=GARAGE, watts=300, needs=295, room=100)
    for by in (Asker.HOLD, Asker.USER, Asker.CLUSTER_AUTOSCALER):
        waiting = view(Phase.OFF, full, by=by)
        (veto,) = waiting.on_vetoes(at(0))
        assert (veto.reason, veto.field, waiting.may_wake(at(0))) == ("CircuitFull", "spec.circuit", False)
        assert veto.message == "circuit garage bears 1000 W, and fewer than the 295 W that this machine adds are left"
        assert target([waiting.member(at(0))]) == 0
    assert view(Phase.OFF, full, by=None).on_vetoes(at(0)) == ()  # it is not chosen, and nobody need hear of it
    assert view(Phase.READY, full).on_vetoes(at(0)) == ()


def test_a_wake_waits_for_its_turn_and_counts() -> None:
    """It is in the target, so that Cluster Autoscaler waits for it; its turn is the moment at which it is looked at."""
    place = Place(circuit=GARAGE, watts=300, due=at(100))
    waiting = view(Phase.OFF, place)
    assert [veto.reason for veto in waiting.put_off(at(99))] == ["InrushSpacing"]
    assert (waiting.may_wake(at(99)), waiting.may_wake(at(100))) == (False, True)
    assert (target([waiting.member(at(99))]), waiting.judged_until(at(99))) == (1, at(100))
    assert not view(Phase.BOOTING, place, wakes=1, woken_at=at(0)).may_wake(at(99))


def test_a_lost_machine_is_not_woken_into_a_circuit_that_is_over() -> None:
    """Somebody else switched machines on; a wake that repeats another one waits too."""
    over = reckoned(load("a", draws=True), load("b", draws=True), load("c", draws=True), load("d", draws=True))["a"]
    assert over.over
    assert not view(Phase.LOST, over).may_wake(at(0))
    assert not view(Phase.BOOTING, over, wakes=1, woken_at=at(-500)).may_wake(at(0))


def test_who_does_not_know_the_circuits_is_told_what_the_agent_says() -> None:
    """`hexa why` reads the configuration of no agent: the machine's own condition says what it waits for."""
    says = Condition(type="InrushSpacing", status="True", reason="Waiting", message="its turn on circuit garage")
    waiting = view(Phase.OFF, conditions=(says,))
    assert list(judge.awaited(Asks(waiting))) == [("its turn on circuit garage", None)]
    assert list(judge.awaited(Asks(view(Phase.READY, conditions=(says,))))) == []


class Asks(Struct):
    """One who asks what a machine waits for."""

    known: MachineView
    now: datetime = at(0)

    @property
    def node(self) -> Node:
        return self.known.node

    @property
    def policy(self) -> Policy:
        return self.known.policy

    @property
    def phase(self) -> Phase:
        return self.known.phase

    kube: None = None


def member(name: str, *found: Place, **changes: Any) -> Member:
    """A machine that is off."""
    return Member(key=Lookup("site", name), **{"phase": Phase.OFF, "places": found, **changes})


def test_cluster_autoscaler_is_told_what_the_watts_allow() -> None:
    """Of five machines that are off three fit beside what is on, one of another circuit not counted; the refusal says why."""
    place = Place(circuit=GARAGE, watts=300, needs=300, room=700)
    on = member("on", Place(circuit=GARAGE, watts=300), phase=Phase.READY, wish=wish(ON, Asker.CLUSTER_AUTOSCALER))
    members = [on, *(member(name, place) for name in "abcd"), member("e")]
    assert [each.key.name for each in fitting(Policy(), members)] == ["a", "b", "e"]
    assert max_size(Policy(), members) == 4
    assert (
        short(Policy(), members, size=5) == "circuit garage bears 1000 W, and 700 W are left; its wakes begin 10s apart"
    )
    assert short(Policy(), members, size=4) == ""
    assert short(Policy(), members, size=9) == ""
    assert short(Policy(max_size=4), members, size=5) == ""


def test_a_machine_that_does_not_fit_is_no_candidate() -> None:
    """Neither to take another's place, nor to be a spare, an exercise or a probe; one that draws already needs nothing."""
    full = Place(circuit=GARAGE, watts=300, needs=295, room=100)
    drains = member("b", Place(circuit=GARAGE, watts=300), phase=Phase.DRAINING)
    assert [each.key.name for each in candidates([member("a", full), drains])] == ["b"]


def test_what_it_depends_on_takes_watts_too() -> None:
    """A machine whose storage box must come first needs the watts of both."""
    place = Place(circuit=GARAGE, watts=300, needs=300, room=500)
    members = [member("a", place, waits_for=("nas",)), member("nas", place)]
    assert [each.key.name for each in fitting(Policy(), members)] == ["nas"]


def test_no_more_are_granted_than_can_begin_in_time() -> None:
    """Cluster Autoscaler would give up on the others, and on the group for a while."""
    place = Place(circuit=structs.replace(GARAGE, watts=1e6), watts=300, needs=300, room=1e6)
    members = [member(name, place, slots=2) for name in "abcd"]
    assert (len(fitting(Policy(), members)), max_size(Policy(), members)) == (2, 2)


def test_a_machine_is_a_load_by_what_is_stored() -> None:
    """Whoever wants it on, hexa's exercises after all others; one that cannot be woken is promised nothing."""
    known = view(Phase.OFF).node

    def asked(by: Asker, reason: str = "ScaleUp", *, able: bool = True) -> int | None:
        wished = structs.replace(wish(ON, by), reason=reason)
        return load_of(Lookup("site", "m1"), known, Rates(), wish=wished, able=able).asked

    assert [asked(Asker.HOLD), asked(Asker.USER), asked(Asker.RECOVERY), asked(Asker.RECOVERY, "Exercise")] == [
        0,
        1,
        2,
        3,
    ]
    assert asked(Asker.HOLD, able=False) is None
    assert load_of(Lookup("site", "m1"), known, Rates(), wish=None, able=True).watts is None


@pytest.mark.parametrize(
    ("written", "says"),
    [
        (WrittenCircuit(max_watts=float("nan")), "circuits.garage.maxWatts: nan is no number of watts; write what"),
        (WrittenCircuit(max_watts=1, inrush_spacing="-5s"), "circuits.garage.inrushSpacing: '-5s' is no duration"),
        (
            WrittenCircuit(max_watts=1, inrush_spacing="2h"),
            "circuits.garage.inrushSpacing: 2h is longer than 1h; write",
        ),
    ],
)
def test_a_circuit_that_makes_no_sense_is_refused(written: WrittenCircuit, says: str) -> None:
    """Field and remedy are named before the agent starts."""
    with pytest.raises(ValueError, match=says):
        circuits_of({"garage": written})


def test_a_circuit_that_nobody_configured_is_told() -> None:
    """With the name that was probably meant; where nobody knows the configuration nothing is said."""
    node = structs.replace(machine("m1"), spec=structs.replace(machine("m1").spec, circuit="garge"))
    (problem,) = circuit_problems(node, (GARAGE,))
    assert (problem.field, problem.reason, problem.severity) == ("spec.circuit", "UnknownCircuit", "warning")
    assert "it has garage; did you mean garage?" in str(problem)
    assert circuit_problems(node, None) == circuit_problems(machine("m1"), ()) == ()


def test_max_watts_that_cannot_be_read_stop_the_group() -> None:
    """An error, as a breaker is no place for guesses; zero is told."""
    group = Group(metadata=OwnedMetadata(name="rack", namespace="site"), spec=GroupSpec(max_watts="-5"))
    (problem,) = policy_of(group)[1]
    assert (problem.field, problem.severity) == ("spec.maxWatts", "error")
    (nothing,) = policy_of(structs.replace(group, spec=GroupSpec(max_watts=0)))[1]
    assert (nothing.field, nothing.severity) == ("spec.maxWatts", "warning")
