"""What a machine that depends on others may expect of them, and what they must do for it."""

from typing import Any

import pytest
from msgspec import structs
from tests.domain.builders import OFF, ON, T0, at, machine, status, wish

from hexa.domain.group.sizing import Member, Replacement, candidates, counts, fitting, replacements, to_rest, to_wake
from hexa.domain.machine.lifecycle import Phase
from hexa.domain.machine.reason import Reason, Veto
from hexa.domain.policy.policy import Policy
from hexa.domain.resources.v1alpha1 import Asker, Lookup, WishRecord
from hexa.domain.rules.dependencies import (
    IDLE,
    NO_TIES,
    Need,
    Prerequisite,
    State,
    Ties,
    broken,
    crowd_vetoes,
    crowds,
    dependencies_of,
    idle_from,
    lacks_room,
    missing,
    need_of,
    needed_wish,
    prerequisite_of,
    reference_problems,
    rest_vetoes,
    waiting,
    waits_for,
    wake_vetoes,
)
from hexa.domain.rules.hedge import next_hedge
from hexa.domain.rules.judge import beside

NAS, BOX = Lookup("site", "nas"), Lookup("site", "box")
CA, ME, US, HOLD = Asker.CLUSTER_AUTOSCALER, Asker.USER, Asker.RECOVERY, Asker.HOLD


def expected(phase: Phase, record: WishRecord | None = None, **more: Any) -> Prerequisite:
    """The storage box as its dependents see it."""
    told = {"valid": True, "leaving": False, "on_vetoes": (), **more}
    return prerequisite_of(NAS, structs.replace(machine("nas"), status=status(phase)), wish=record, **told)


def needs(phase: Phase, record: WishRecord | None = None, *, able: bool = True, ready: bool = False) -> Need:
    """What a machine in that phase asks."""
    node = structs.replace(machine("box"), status=status(phase))
    return need_of(BOX, node, wish=record, able=able, node_ready=ready)


# --- what may be expected -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("phase", Phase)
def test_each_phase_tells_dependents_something(phase: Phase) -> None:
    """Ready is up; a failed start and a lost machine cannot come; all others do."""
    states = {Phase.READY: State.UP, Phase.START_FAILED: State.FAILS, Phase.LOST: State.FAILS}
    assert expected(phase, wish(ON)).state is states.get(phase, State.COMES)


@pytest.mark.parametrize(
    ("made", "says"),
    [
        (expected(Phase.READY, leaving=True), "given up by hexa"),
        (expected(Phase.OFF, valid=False), "only watched"),
        (expected(Phase.OFF, on_vetoes=(Veto("Hold", "held off"),)), "cannot be woken: held off"),
        (expected(Phase.READY, wish(OFF, HOLD), on_vetoes=(Veto("Hold", "held off"),)), "held off"),
        (missing(NAS, malformed=False), "does not exist: create the Node"),
        (missing(NAS, malformed=True), "does not decode"),
    ],
)
def test_why_it_cannot_come(made: Prerequisite, says: str) -> None:
    """In words, which the veto of the dependent repeats with field and name."""
    assert made.state is State.FAILS
    (veto,) = wake_vetoes(Ties(before=(made,)), wish(ON))
    assert veto.reason == Reason.DEPENDS_ON
    assert veto.message.startswith("spec.dependsOn: nas ")
    assert says in veto.message


def test_the_last_word_between_a_person_and_a_need() -> None:
    """A person's off of the box stands against a machine that was wanted earlier, and not against one that is wanted later."""
    put_off = expected(Phase.OFF, wish(OFF, ME, since=at(10)))
    ties = Ties(before=(put_off,))
    (veto,) = wake_vetoes(ties, wish(ON, CA, since=at(5)))
    assert "switched off by a person" in veto.message
    assert veto.reason == "DependsOn"
    assert list(wake_vetoes(ties, wish(ON, CA, since=at(20)))) == []
    assert list(wake_vetoes(ties, wish(OFF, CA, since=at(5)))) == []
    assert list(wake_vetoes(Ties(before=(expected(Phase.OFF, wish(OFF, CA, since=at(10))),)), wish(ON, CA))) == []


@pytest.mark.parametrize("later", [-1, 0, 1])
def test_a_need_and_a_persons_off_never_wait_for_each_other(later: int) -> None:
    """Either the machine is woken for the need, or who needs it is told and gives way, in the same second too."""
    off, on = wish(OFF, ME, since=at(10)), wish(ON, US, since=at(10 + later))
    woken = needed_wish(Ties(needs=(needs(Phase.OFF, on),)), off, held=False, room=True, grouped=True, now=at(20))
    told = list(wake_vetoes(Ties(before=(expected(Phase.OFF, off),)), on))
    assert (woken is not None, bool(told)) == ((True, False) if later >= 0 else (False, True))


def test_waiting_is_told_only_where_it_matters() -> None:
    """Off and wanted on: who is waited for. Up, or not wanted: nothing."""
    ties = Ties(before=tuple(Prerequisite(Lookup("site", f"nas-{n}"), State.COMES) for n in range(5)))
    (finding,) = waiting(ties, wish=wish(ON), phase=Phase.OFF)
    assert finding.message == "woken once nas-0, nas-1, nas-2 and 2 more are Ready"
    assert list(waiting(ties, wish=wish(OFF), phase=Phase.OFF)) == []
    assert list(waiting(ties, wish=wish(ON), phase=Phase.READY)) == []
    assert waits_for(Ties(before=(Prerequisite(NAS, State.UP),))) == ()


def test_names_are_of_the_machines_own_namespace() -> None:
    """spec.dependsOn names machines, and nobody else's of the same name."""
    assert dependencies_of(machine("box", depends_on=("nas", "switch"))) == (NAS, Lookup("site", "switch"))


# --- what is asked -------------------------------------------------------------------------------------------------


def test_a_machine_needs_what_it_depends_on_while_it_is_on_or_wanted() -> None:
    """In every phase but Off, and in Off while on is wanted; a failed start that is not wanted any more does not."""
    assert not needs(Phase.OFF, wish(OFF)).stands
    assert needs(Phase.OFF, wish(ON)).wanted
    assert not needs(Phase.OFF, wish(ON), able=False).stands
    assert needs(Phase.DRAINING, wish(OFF)).on
    assert needs(Phase.LOST, wish(OFF)).on
    assert not needs(Phase.START_FAILED, wish(OFF)).stands
    assert needs(Phase.UNKNOWN, ready=True).on
    assert not needs(Phase.UNKNOWN).stands
    assert (needs(Phase.OFF).ended, needs(Phase.READY).ended) == (T0, None)


def test_a_name_without_a_machine_is_told_by_what_is_wrong_with_it() -> None:
    """There is none, or it is there and does not decode: a person mends another thing."""
    assert missing(NAS, malformed=False).text.startswith("does not exist")
    assert missing(NAS, malformed=True).text.startswith("does not decode")


def test_what_is_needed_does_not_rest() -> None:
    """The veto names who needs it, one that is on first; a person's later off is above one that only waits."""
    on, wanted = Need(BOX, wanted=False, on=True), Need(Lookup("site", "a"), wanted=True, on=False, since=at(5))
    (veto,) = rest_vetoes(Ties(needs=(wanted, on)), None)
    assert (veto.reason, veto.message) == (Reason.NEEDED, "box and 1 more depends on it and is on: rest that first")
    later = wish(OFF, ME, since=at(10))
    assert list(rest_vetoes(Ties(needs=(wanted,)), later)) == []
    assert len(list(rest_vetoes(Ties(needs=(wanted, on)), later))) == 1
    assert len(list(rest_vetoes(Ties(needs=(wanted,)), wish(OFF, ME, since=at(1))))) == 1
    assert len(list(rest_vetoes(Ties(needs=(wanted,)), wish(OFF, CA, since=at(10))))) == 1
    for stands_above in (wish(OFF, HOLD, since=at(1)), wish(OFF, Asker.MODE, reason=Reason.MODE, since=at(1))):
        assert list(rest_vetoes(Ties(needs=(wanted,)), stands_above)) == []


def test_a_need_wakes() -> None:
    """By recovery and with the name; never over a hold or a later word, never without room, and not for what is on and rests."""
    ties = Ties(needs=(Need(BOX, wanted=True, on=False, since=at(5)),))
    free: dict[str, Any] = {"held": False, "room": True, "grouped": True, "now": at(9)}
    asked = needed_wish(ties, wish(OFF, CA, since=at(7)), **free)
    assert asked == WishRecord(power=ON, by=US, reason=Reason.NEEDED, since=at(9), needed_by="box")
    assert needed_wish(ties, None, **free) == asked
    assert needed_wish(ties, wish(OFF, ME, since=at(4)), **free) == asked
    assert needed_wish(ties, wish(OFF, ME, since=at(6)), **free) is None
    assert needed_wish(ties, wish(ON, CA), **free) is None
    assert needed_wish(ties, None, **{**free, "held": True}) is None
    assert needed_wish(ties, None, **{**free, "room": False}) is None
    assert lacks_room(ties, None)
    assert needed_wish(NO_TIES, None, **free) is None
    assert needed_wish(Ties(needs=(Need(BOX, wanted=False, on=True),)), None, **free) is None


def test_a_box_without_a_group_is_let_go_when_idle() -> None:
    """Only if hexa woke it for others, and they have all been off for a while."""
    gone = Ties(needs=(Need(BOX, wanted=False, on=False, ended=at(0)),))
    ours, end = wish(ON, US, reason=Reason.NEEDED), at(IDLE.total_seconds())
    free: dict[str, Any] = {"held": False, "room": True}
    assert idle_from(gone) == end
    let_go = needed_wish(gone, ours, grouped=False, now=end, **free)
    assert let_go is not None
    assert (let_go.power, let_go.reason) == (OFF, Reason.NOT_NEEDED)
    assert needed_wish(gone, ours, grouped=False, now=at(1), **free) is None
    assert needed_wish(gone, ours, grouped=True, now=end, **free) is None
    assert needed_wish(gone, wish(ON, ME), grouped=False, now=end, **free) is None
    back = Ties(needs=(*gone.needs, Need(NAS, wanted=True, on=False)))
    assert idle_from(back) is None


# --- what makes no sense -------------------------------------------------------------------------------------------


def edges(**told: str) -> dict[Lookup, tuple[Lookup, ...]]:
    """a="b c": a depends on b and c."""
    return {Lookup("site", name): tuple(Lookup("site", each) for each in on.split()) for name, on in told.items()}


@pytest.mark.parametrize(
    ("told", "circle"),
    [
        ({"a": "b", "b": "c"}, ""),
        ({"a": "b", "b": "b"}, ""),  # b's, and not a's
        ({"a": "b c", "b": "d", "c": "d"}, ""),
        ({"a": "b", "b": "a"}, "a -> b -> a"),
        ({"a": "x b", "b": "c", "c": "d a", "d": "c"}, "a -> b -> c -> a"),
    ],
)
def test_circles(told: dict[str, str], circle: str) -> None:
    """The shortest way round is told, to those in it alone."""
    problem = broken(Lookup("site", "a"), edges(**told))
    assert (circle in problem.text if circle else problem is None) if problem else not circle


def test_itself_and_names_that_nobody_has() -> None:
    """Each with its place and a remedy; what may be elsewhere is not told."""
    among = edges(a="a storge nobody", storage="")
    found = list(reference_problems(Lookup("site", "a"), among, among))
    assert [problem.field for problem in found] == ["spec.dependsOn", "spec.dependsOn[1]", "spec.dependsOn[2]"]
    assert found[1].remedy == "did you mean storage?"
    assert "the machine is not woken" in found[2].remedy
    assert len(list(reference_problems(Lookup("site", "a"), among, None))) == 1


RACK, SHELF = Lookup("site", "rack"), Lookup("site", "shelf")


def crowd_texts(key: str, places: dict[str, tuple[Lookup, int]], **told: str) -> list[str]:
    """What is told of the machine."""
    found = crowds(Lookup("site", key), edges(**told), lambda each: places.get(each.name))
    return [f"{each.problem.text} ({'own' if each.own else 'other'})" for each in found]


def test_groups_that_are_too_small_for_a_chain() -> None:
    """Of each group that what must be on together is counted, across groups and by several ways; a machine alone, or a group
    without maxSize, is never too many."""
    one = {"a": (RACK, 1), "b": (RACK, 1), "c": (SHELF, 1)}
    assert crowd_texts("a", one, a="b") == ["Group rack has maxSize 1, and a, b of it must be on together (own)"]
    assert crowd_texts("c", one, c="a", a="b") == [
        "Group rack has maxSize 1, and a, b of it must be on together (other)"
    ]
    assert crowd_texts("c", one, c="a b") == ["Group rack has maxSize 1, and a, b of it must be on together (other)"]
    assert crowd_texts("a", one, a="c") == crowd_texts("b", one, a="b") == []
    assert crowd_texts("a", {"b": (RACK, 0)}, a="b") == ["Group rack has maxSize 0, and b of it must be on (other)"]
    assert crowd_texts("a", {"a": (RACK, 0)}, a="b") == []  # no matter of what it depends on
    assert crowd_texts("a", {"a": (RACK, 2), "b": (RACK, 2)}, a="b c", b="c") == []
    three = dict.fromkeys("abc", (RACK, 2))
    assert crowd_texts("a", three, a="b c", b="c") == [
        "Group rack has maxSize 2, and a, b, c of it must be on together (own)"
    ]


def test_what_is_up_already_has_its_place() -> None:
    """A machine elsewhere may be woken once all that it depends on is up, whatever maxSize says; one of the same group if it is
    held on."""
    down, up = Prerequisite(NAS, State.COMES), Prerequisite(NAS, State.UP)
    (other,) = crowds(Lookup("site", "a"), edges(a="nas"), lambda each: (RACK, 0) if each == NAS else None)
    (own,) = crowds(Lookup("site", "a"), edges(a="nas"), lambda _: (RACK, 1))

    def vetoed(crowd: Any, before: Prerequisite, by: Asker) -> bool:
        return any(crowd_vetoes(Ties(before=(before,), crowds=(crowd,)), wish(ON, by)))

    assert [vetoed(other, each, CA) for each in (down, up)] == [True, False]
    assert [vetoed(own, each, CA) for each in (down, up)] == [True, True]
    assert [vetoed(own, each, HOLD) for each in (down, up)] == [True, False]


# --- in the group --------------------------------------------------------------------------------------------------


def member(name: str, phase: Phase, record: WishRecord | None = None, **more: Any) -> Member:
    """A machine of the group."""
    return Member(**{"key": Lookup("site", name), "phase": phase, "wish": record, **more})


VETO = Veto(Reason.DEPENDS_ON, "spec.dependsOn: nas failed to start")


def test_a_stranded_machine_gives_way() -> None:
    """It counts no more, and the next candidate takes its place; a person's machine stays asked for."""
    stranded = member("a", Phase.OFF, wish(ON, CA), on_vetoes=(VETO,))
    spare = member("b", Phase.OFF)
    assert not counts(stranded)
    assert replacements(Policy(), [stranded, spare]) == [Replacement(stranded, spare)]
    assert replacements(Policy(), [structs.replace(stranded, wish=wish(ON, ME)), spare]) == []
    up = member("b", Phase.READY, wish(ON, CA))
    assert to_rest(Policy(max_size=1), [stranded, up]) == [stranded]  # it would come back above the maximum
    old = member("b", Phase.READY, wish(ON, US, replaces="a", since=at(-10)))  # of another time
    other = member("c", Phase.OFF)
    assert replacements(Policy(), [stranded, old, other]) == [Replacement(stranded, other)]


def test_a_needed_machine_is_not_replaced() -> None:
    """No other would do: it is tried again."""
    failed = member("nas", Phase.START_FAILED, wish(ON, US, reason=Reason.NEEDED))
    assert replacements(Policy(), [failed, member("b", Phase.OFF)]) == []


def test_who_needs_more_places_than_there_are_is_not_chosen() -> None:
    """Of a group with one place left none is asked that waits for another one of it, by however many others; who is up, or was
    asked already, has its place, and a machine of another group needs none here."""
    up, nas = member("up", Phase.READY, wish(ON)), member("nas", Phase.POWERING_OFF, wish(OFF))
    waits = member("a", Phase.OFF, waits_for=("nas", "elsewhere"))
    far = member("b", Phase.OFF, waits_for=("a",))

    def chosen(most: int | None, *members: Member) -> list[str]:
        return [each.key.name for each in fitting(Policy(max_size=most), members)]

    assert chosen(2, up, nas, waits) == ["nas"]
    assert chosen(3, up, nas, waits) == ["a", "nas"]
    assert chosen(3, up, nas, waits, far) == ["a", "nas"]
    assert chosen(4, up, nas, waits, far) == chosen(None, up, nas, waits, far) == ["a", "b", "nas"]
    assert chosen(2, structs.replace(nas, wish=wish(ON)), waits) == ["a"]
    assert to_wake(Policy(min_size=2, max_size=2), [up, nas, waits]) == [nas]
    failed = member("f", Phase.START_FAILED, wish(ON, CA))
    assert replacements(Policy(max_size=2), [up, failed, waits, nas]) == [Replacement(failed, nas)]


def test_who_waits_is_chosen_later_and_is_no_spare() -> None:
    """It takes two boots."""
    waits, other = member("a", Phase.OFF, waits_for=("nas",)), member("b", Phase.OFF)
    assert [each.key.name for each in candidates([waits, other])] == ["b", "a"]
    silent = member("s", Phase.BOOTING, wish(ON, CA), silent=True)
    assert next_hedge(Policy(), [silent, waits]) is None
    (text,) = beside(structs.replace(waits, wish=wish(ON, CA)), [])
    assert text.startswith("nas to be Ready")
