"""From sizes to machines: what counts, who wakes and who rests first, and that no limit is passed by our own act."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs
from tests.domain.builders import OFF, ON, at, wish

from hexa.domain.group.sizing import (
    Member,
    Replacement,
    begun_replacements,
    cancellable,
    candidates,
    counts,
    half_replaced,
    max_size,
    may_be_woken,
    next_exercise,
    replacements,
    resters,
    target,
    to_keep,
    to_rest,
    to_wake,
    unreplaced,
)
from hexa.domain.machine.lifecycle import Phase
from hexa.domain.machine.reason import Reason, Veto
from hexa.domain.policy.policy import Policy
from hexa.domain.resources.v1alpha1 import Asker, Lookup, Power, WishRecord

HELD = Veto("Hold", "held")
NO_WAY_OFF = Veto("PowerOffUnavailable", "no Job")
ME, CA, US, HOLD = Asker.USER, Asker.CLUSTER_AUTOSCALER, Asker.RECOVERY, Asker.HOLD


def member(phase: Phase, power: Power | None = None, by: Asker = CA, *, name: str = "m", **changes: Any) -> Member:
    """A machine in `phase` with that wish."""
    record = None if power is None else wish(power, by)
    return Member(**{"key": Lookup("site", name), "phase": phase, "wish": record, **changes})


def policy(least: int = 0, most: int | None = None) -> Policy:
    """A group with these limits."""
    return Policy(min_size=least, max_size=most)


def names(members: list[Member]) -> list[str]:
    """Whom it is about, in order."""
    return [each.key.name for each in members]


# --- what counts ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("phase", Phase)
def test_wanted_machine_counts_if_it_can_still_come(phase: Phase) -> None:
    """Every wanted machine counts but one that failed to start, and one of which nothing is known yet."""
    assert counts(member(phase, ON)) == (phase not in (Phase.START_FAILED, Phase.UNKNOWN))


@pytest.mark.parametrize("phase", Phase)
def test_unwanted_machine_does_not_count(phase: Phase) -> None:
    """Off wanted, or nothing wanted: not in the target, though it is still on."""
    assert not counts(member(phase, OFF, node_ready=True))
    assert not counts(member(phase, None, node_ready=True))


def test_machine_at_first_sight_counts_when_its_node_is_ready() -> None:
    """Before anything is known of it, a Ready node is what Cluster Autoscaler counts too."""
    assert counts(member(Phase.UNKNOWN, ON, node_ready=True))


def test_machine_that_cannot_come_does_not_count() -> None:
    """Off, and nothing may wake it, or its objects are invalid: the target must not promise it."""
    assert not counts(member(Phase.OFF, ON, on_vetoes=(HELD,)))
    assert counts(member(Phase.READY, ON, on_vetoes=(HELD,)))
    assert not counts(member(Phase.READY, ON, valid=False))


def test_target_is_how_many_count() -> None:
    """Cluster Autoscaler is told the number of machines that are wanted and can come."""
    assert target([member(Phase.READY, ON), member(Phase.OFF, ON), member(Phase.READY, OFF)]) == 2


# --- who wakes ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("phase", Phase)
def test_phases_from_which_a_wish_brings_the_machine(phase: Phase) -> None:
    """A machine may be woken that is off, or on its way there."""
    able = {Phase.OFF, Phase.DRAINING, Phase.POWERING_OFF, Phase.STOP_FAILED}
    assert may_be_woken(member(phase, OFF)) == (phase in able)


@pytest.mark.parametrize(
    "change", [{"valid": False}, {"on_vetoes": (HELD,)}, {"cooling": True}, {"wish": wish(ON, CA)}], ids=str
)
def test_machine_that_is_not_to_be_woken(change: dict[str, Any]) -> None:
    """Invalid, vetoed, cooling off, or wanted already: no candidate."""
    assert may_be_woken(member(Phase.OFF, OFF))
    assert not may_be_woken(structs.replace(member(Phase.OFF, OFF), **change))


RANKING = [  # best first; each differs from the one before in one thing that matters more than all that follow
    member(Phase.DRAINING, OFF, name="i-turns-back", failures=9, hourly=9.0),
    member(Phase.OFF, OFF, name="h-cheap-and-fast", hourly=0.1, boot_seconds=(300.0, 50.0, 50.0)),
    member(Phase.OFF, OFF, name="g-cheap-and-slow", hourly=0.1, boot_seconds=(60.0, 60.0, 1.0)),
    member(Phase.OFF, None, name="e-dear", hourly=0.2),
    member(Phase.OFF, OFF, name="f-dear", hourly=0.2),
    member(Phase.OFF, OFF, name="d-failed-once", failures=1),
    member(Phase.STOP_FAILED, OFF, name="c-did-not-stop"),
    member(Phase.POWERING_OFF, OFF, name="b-must-go-down-first"),
    member(Phase.OFF, OFF, ME, name="a-put-off-by-a-person"),
]


@given(st.permutations(RANKING))
def test_candidates_come_best_first(shuffled: list[Member]) -> None:
    """Still on before off; then fewest failures, cheapest, fastest, by name; one that a person put off comes last."""
    assert candidates(shuffled) == RANKING


def test_group_is_filled_up_to_its_least_size() -> None:
    """As many of the best candidates as are missing, and none where nothing is missing."""
    asleep = [member(Phase.OFF, OFF, name=f"m{n}") for n in range(4)]
    assert names(to_wake(policy(2), asleep)) == ["m0", "m1"]
    assert names(to_wake(policy(2), [*asleep, member(Phase.BOOTING, ON)])) == ["m0"]
    assert to_wake(policy(0), asleep) == []
    assert names(to_wake(policy(9), asleep)) == ["m0", "m1", "m2", "m3"]


# --- who rests --------------------------------------------------------------------------------------------------------

REST = [  # first to go first
    member(Phase.OFF, ON, name="z-not-yet-woken"),
    member(Phase.POWERING_ON, ON, name="y-being-woken"),
    member(Phase.BOOTING, ON, name="x-boots"),
    member(Phase.LOST, ON, name="w-lost"),
    member(Phase.READY, ON, name="v-idle-and-failing", failures=2),
    member(Phase.READY, ON, name="u-idle-and-dear", hourly=0.5),
    member(Phase.READY, ON, name="s-idle", hourly=0.1),
    member(Phase.READY, ON, name="t-idle", hourly=0.1),
    member(Phase.READY, ON, name="r-busy", pods=7),
]


@given(st.permutations(REST))
def test_resters_go_in_order(shuffled: list[Member]) -> None:
    """What is not yet up goes first; of what is up: idle before busy, failing before sound, dear before cheap."""
    assert resters(shuffled) == REST


@pytest.mark.parametrize("change", [{"off_vetoes": (HELD,)}, {"wish": None}, {"valid": False}], ids=str)
def test_machine_that_is_not_to_rest(change: dict[str, Any]) -> None:
    """Vetoed, not wanted anyway, or invalid: never chosen to rest."""
    assert resters([structs.replace(REST[-1], **change)]) == []


def test_group_comes_down_to_a_lowered_size() -> None:
    """As many as are too many, first to go first; without a maximum nobody."""
    assert names(to_rest(policy(most=7), REST)) == ["z-not-yet-woken", "y-being-woken"]
    assert to_rest(policy(most=9), REST) == []
    assert to_rest(policy(), REST) == []


def test_wish_that_waits_behind_a_full_group_is_taken_back() -> None:
    """Others came while a failed machine waited for its next try: with it the group would be above its maximum."""
    waiting = member(Phase.START_FAILED, ON, name="waiting")
    settling = member(Phase.UNKNOWN, ON, name="settling")
    up = [member(Phase.READY, ON, name=f"m{n}") for n in range(2)]
    assert names(to_rest(policy(most=2), [waiting, *up])) == ["waiting"]
    assert names(to_rest(policy(most=2), [settling, *up])) == ["settling"]
    assert to_rest(policy(most=3), [waiting, *up]) == []
    assert names(to_rest(policy(most=1), [waiting, *up])) == ["waiting", "m0"]
    assert to_rest(policy(most=2), [member(Phase.START_FAILED, ON, HOLD), *up]) == []
    assert to_rest(policy(), [waiting, *up]) == []


def test_request_not_yet_fulfilled_is_what_can_be_taken_back() -> None:
    """The furthest from coming first; never one that is Ready, held, or that has no way off once it was woken."""
    no_way_off: dict[str, Any] = {"off_vetoes": (NO_WAY_OFF,), "fixed": True}
    members = [
        member(Phase.BOOTING, ON, name="boots"),
        member(Phase.OFF, ON, name="off"),
        member(Phase.OFF, ON, name="off-for-good", **no_way_off),
        member(Phase.POWERING_ON, ON, name="wakes"),
        member(Phase.BOOTING, ON, name="just-ready", node_ready=True),
        member(Phase.READY, ON, name="ready"),
        member(Phase.DRAINING, ON, name="turns-back"),
        member(Phase.BOOTING, ON, HOLD, name="held"),
        member(Phase.BOOTING, ON, name="no-way-off", **no_way_off),
    ]
    assert names(cancellable(members)) == ["off", "off-for-good", "wakes", "boots"]


# --- the size that can come ---------------------------------------------------------------------------------------------


def test_largest_size_is_what_can_really_come() -> None:
    """Failed, held-off and cooling machines count out of the maximum that Cluster Autoscaler is told."""
    members = [
        member(Phase.READY, ON),
        member(Phase.OFF, OFF),
        member(Phase.START_FAILED, ON),
        member(Phase.OFF, OFF, on_vetoes=(HELD,)),
        member(Phase.OFF, OFF, cooling=True),
    ]
    assert max_size(policy(), members) == 2
    assert max_size(policy(most=1), members) == 1
    assert max_size(policy(most=9), members) == 2


# --- replacement --------------------------------------------------------------------------------------------------------


def test_failed_machine_is_replaced_by_the_best_candidate() -> None:
    """Each machine that failed to start gives its place to the next candidate, while there are any."""
    failed = [member(Phase.START_FAILED, ON, name=f"f{n}") for n in range(3)]
    spare = [member(Phase.OFF, OFF, name=f"s{n}") for n in range(2)]
    pairs = replacements(policy(), [*failed, *spare])
    assert [(pair.failed.key.name, pair.successor.key.name) for pair in pairs] == [("f0", "s0"), ("f1", "s1")]
    assert replacements(policy(), failed) == []


def test_replacement_stays_within_the_maximum() -> None:
    """Where others filled the group meanwhile, nobody is woken for a machine that failed."""
    failed, spare = member(Phase.START_FAILED, ON, name="f"), member(Phase.OFF, OFF, name="s")
    up = [member(Phase.READY, ON, name=f"m{n}") for n in range(2)]
    assert replacements(policy(most=2), [failed, spare, *up]) == []
    assert len(replacements(policy(most=3), [failed, spare, *up])) == 1
    assert replacements(policy(most=1), [failed, spare, *up]) == []


def test_only_what_a_program_asked_for_is_replaced() -> None:
    """A person or a hold asked for this machine and for no other; to a schedule any machine of the group will do.
    (A UPS only ever asks for off.)"""
    for by in Asker:
        failed = member(Phase.START_FAILED, ON, by)
        assert (unreplaced([failed]) == [failed]) == (by in (CA, US, Asker.SCHEDULE, Asker.UPS))
    assert unreplaced([member(Phase.START_FAILED, OFF)]) == []
    assert unreplaced([member(Phase.LOST, ON)]) == []


def test_half_done_replacement_is_known() -> None:
    """A crash between the two wishes is found: the machine whose place was taken, and which is still wanted."""
    half = member(Phase.START_FAILED, ON, replaced=True)
    assert half_replaced([half]) == [half]
    assert unreplaced([half]) == []
    assert half_replaced([structs.replace(half, wish=wish(OFF, US))]) == []


# --- properties -----------------------------------------------------------------------------------------------------------


members = st.lists(
    st.builds(
        Member,
        key=st.builds(lambda n: Lookup("site", f"m{n}"), st.integers(0, 10**9)),
        phase=st.sampled_from(Phase),
        wish=st.none() | st.builds(WishRecord, power=st.sampled_from(Power), by=st.sampled_from(Asker)),
        node_ready=st.booleans(),
        on_vetoes=st.sampled_from([(), (), (HELD,)]),
        off_vetoes=st.sampled_from([(), (), (HELD,)]),
        failures=st.integers(0, 3),
        replaced=st.booleans(),
        cooling=st.booleans(),
        valid=st.sampled_from([True, True, True, False]),
        hourly=st.sampled_from([0.0, 0.1]),
    ),
    max_size=8,
    unique_by=lambda m: m.key,
)
policies = st.tuples(st.integers(0, 4), st.none() | st.integers(0, 4)).map(
    lambda sizes: policy(sizes[0], None if sizes[1] is None else sizes[0] + sizes[1])
)


def wished(group: list[Member], chosen: list[Member], power: Power) -> list[Member]:
    """The group after the chosen ones were given a wish by hexa."""
    keys = {each.key for each in chosen}
    return [structs.replace(m, wish=wish(power, US)) if m.key in keys else m for m in group]


@given(group=members, rules=policies)
def test_our_own_acts_keep_the_limits(group: list[Member], rules: Policy) -> None:
    """Whatever the group looks like: filling and replacing never go above the maximum, resting never below the minimum."""
    size = target(group)
    most = size if rules.max_size is None else max(rules.max_size, size)
    filled = wished(group, to_wake(rules, group), ON)
    assert size <= target(filled) <= max(rules.min_size, size)
    pairs = replacements(rules, group)
    replaced = wished(wished(group, [p.successor for p in pairs], ON), [p.failed for p in pairs], OFF)
    assert target(replaced) == size + len(pairs)
    assert rules.max_size is None or target(replaced) <= most
    lowered = wished(group, to_rest(rules, group), OFF)
    assert min(size, rules.min_size) <= target(lowered) <= size


@given(group=members, rules=policies)
def test_acts_come_to_rest(group: list[Member], rules: Policy) -> None:
    """What was done need not be done again, and waking and resting never undo each other."""
    filled = wished(group, to_wake(rules, group), ON)
    assert to_wake(rules, filled) == [] or len(candidates(filled)) == 0
    lowered = wished(filled, to_rest(rules, filled), OFF)
    assert to_rest(rules, lowered) == [] or not resters(lowered)
    assert to_wake(rules, lowered) == [] or target(filled) < rules.min_size


@given(group=members, rules=policies)
def test_what_cluster_autoscaler_is_told_can_be_had(group: list[Member], rules: Policy) -> None:
    """The difference between the largest size and the target can really be woken, machine by machine."""
    most = max_size(rules, group)
    assert len(candidates(group)) >= most - target(group)
    asked = wished(group, candidates(group)[: max(most - target(group), 0)], ON)
    assert target(asked) == max(most, target(group))


@given(group=members, rules=policies)
def test_choices_are_made_by_rank_alone(group: list[Member], rules: Policy) -> None:
    """The order in which machines are listed decides nothing: a restart chooses as before."""
    backwards = group[::-1]
    assert candidates(group) == candidates(backwards)
    assert resters(group) == resters(backwards)
    assert sorted(names(to_rest(rules, group))) == sorted(names(to_rest(rules, backwards)))


def test_replacement_that_a_crash_cut_off_is_not_begun_again() -> None:
    """The successor's own wish tells whose place it takes: after a crash nobody else is woken for the same failure."""
    failed = member(Phase.START_FAILED, ON, name="failed", since=at(100))
    taker = structs.replace(
        member(Phase.POWERING_ON, name="taker"), wish=wish(ON, US, replaces="failed", since=at(101))
    )
    spare = member(Phase.OFF, OFF, name="spare")
    group = [failed, taker, spare]
    assert replacements(policy(), group) == []
    assert begun_replacements(group) == [Replacement(failed, taker)]
    assert begun_replacements([structs.replace(failed, wish=wish(OFF, US)), taker, spare]) == []


def test_earlier_replacement_does_not_stand_for_a_new_failure() -> None:
    """A machine that came back and failed again is replaced again; so is one whose successor is not wanted any more."""
    failed = member(Phase.START_FAILED, ON, name="failed", since=at(100))
    spare = member(Phase.OFF, OFF, name="spare")
    for record in (wish(ON, US, replaces="failed", since=at(99)), wish(OFF, US, replaces="failed", since=at(101))):
        taker = structs.replace(member(Phase.READY, name="taker"), wish=record)
        assert begun_replacements([failed, taker, spare]) == []
        assert [pair.successor.key.name for pair in replacements(policy(), [failed, taker, spare])] == ["spare"]


def test_the_next_exercise_is_the_first_that_is_not_over() -> None:
    """Of machines that rest and that nobody wants off; without exerciseEvery there is none."""
    tried = [
        Member(key=Lookup("site", name), phase=phase, tried_at=at(seconds))
        for name, phase, seconds in (
            ("a", Phase.OFF, -90),
            ("b", Phase.OFF, 20),
            ("c", Phase.OFF, 10),
            ("d", Phase.READY, 0),
        )
    ]
    exercises = Policy(exercise_every=timedelta(seconds=60))
    assert next_exercise(exercises, tried, now=at(0)) == at(70)
    assert next_exercise(exercises, tried, now=at(70)) == at(80)
    assert next_exercise(exercises, tried, now=at(80)) is None
    assert next_exercise(Policy(), tried, now=at(0)) is None


def test_an_off_for_max_size_that_a_rule_put_off_is_taken_back_where_there_is_room() -> None:
    """Only hexa's own, only of a machine that was up when it was asked for and has not begun to go, and never above maxSize."""
    off = wish(OFF, US, reason=Reason.MAX_SIZE, since=at(60))
    late = Veto(Reason.RATE_LIMIT, "used up")
    waits = [
        Member(key=Lookup("site", name), phase=Phase.READY, wish=off, since=at(0), off_vetoes=(late,)) for name in "ab"
    ]
    on = member(Phase.READY, ON, name="c")
    assert [names(to_keep(policy(most=most), [*waits, on])) for most in (1, 2, 3, None)] == [
        [],
        ["a"],
        ["a", "b"],
        ["a", "b"],
    ]
    others: list[dict[str, Any]] = [
        {"phase": Phase.DRAINING},
        {"off_vetoes": ()},
        {"on_vetoes": (HELD,)},
        {"valid": False},
        {"since": at(90)},
        {"wish": wish(OFF, CA, reason=Reason.MAX_SIZE, since=at(60))},
        {"wish": wish(OFF, US, reason=Reason.REPLACED, since=at(60))},
        {"wish": wish(ON, US, reason=Reason.MAX_SIZE, since=at(60))},
    ]
    assert [to_keep(policy(), [structs.replace(waits[0], **each)]) for each in others] == [[]] * len(others)
