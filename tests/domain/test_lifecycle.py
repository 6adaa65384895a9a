"""The lifecycle table is the one that is documented, it is sound as a graph, and entering a phase keeps the books."""

from collections.abc import Iterator
from datetime import timedelta
from itertools import product

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.domain.builders import T0, at, status

from hexa.domain.errors import IllegalTransition
from hexa.domain.machine.lifecycle import (
    BOOTS_KEPT,
    COMING,
    DUTIES,
    FAILED,
    HISTORY_LENGTH,
    ILL,
    IN_CYCLE,
    LIMITS,
    ON_PHASES,
    PROGRESS,
    TRANSITIONS,
    WELL,
    WELL_FOR,
    Duty,
    Event,
    Phase,
    cool_off,
    count_energy,
    cycles_in_a_row,
    enter,
    phase_of,
    send_wake,
    step,
)
from hexa.domain.policy.limits import Limits
from hexa.domain.resources.boot import FirstWake
from hexa.domain.resources.remediation import RemediationStatus
from hexa.domain.resources.v1alpha1 import EnergyAccount, HistoryEntry, JobRecord, NodeStatus

# The documented table, written down a second time: phase | events by priority -> next phase | limit | duty.
TABLE = """
Unknown     | NODE_READY -> Ready, POWER_SEEN -> Booting, POWER_GONE -> Off, OVERDUE -> Off                  | settle    |
Off         | POWER_SEEN -> Booting, WANTED -> PoweringOn                                                    |           | LEAVE
PoweringOn  | UNWANTED -> Draining, NODE_READY -> Ready, POWER_SEEN -> Booting, STARTED -> Booting, OVERDUE -> StartFailed | power_on | WAKE
Booting     | UNWANTED -> Draining, NODE_READY -> Ready, POWER_GONE -> StartFailed, OVERDUE -> StartFailed   | boot      | WAKE_AGAIN
Ready       | POWER_GONE -> Lost, NODE_LOST -> Lost, UNWANTED -> Draining                                    |           | WELCOME
Draining    | POWER_GONE -> Off, KEPT -> Ready, WANTED -> Booting, EMPTY -> PoweringOff, NODE_LOST -> Lost, FORCED -> PoweringOff, OVERDUE -> Ready | drain | DRAIN
PoweringOff | POWER_GONE -> Off, OCCUPIED -> Draining, OVERDUE -> StopFailed                                 | power_off | POWER_OFF
StartFailed | NODE_READY -> Ready, POWER_CYCLE -> PoweringOff, COOLED_DOWN -> Unknown                               |           |
StopFailed  | POWER_GONE -> Off, WANTED -> Booting, COOLED_DOWN -> Draining                                  |           |
Lost        | NODE_READY -> Ready, POWER_GONE -> Off, EMPTY -> PoweringOff, FORCED -> PoweringOff, WANTED -> PoweringOn, POWER_CYCLE -> PoweringOff | |
"""  # noqa: E501
Row = tuple[Phase, list[tuple[Event, Phase]], str, str]


def documented() -> Iterator[Row]:
    """The rows of TABLE."""
    for line in TABLE.strip().splitlines():
        name, events, limit, duty = (cell.strip() for cell in line.split("|"))
        pairs = [pair.split(" -> ") for pair in events.split(", ")]
        yield Phase(name), [(Event[event], Phase(target)) for event, target in pairs], limit, duty


ROWS = list(documented())
ARROWS = [(phase, event, target) for phase, row in TRANSITIONS.items() for event, target in row.items()]
ABSENT = [pair for pair in product(Phase, Event) if pair[1] not in TRANSITIONS[pair[0]]]
UNFORCED = {Phase.OFF, Phase.READY, Phase.DRAINING, Phase.BOOTING, Phase.POWERING_ON}
BUSY = NodeStatus(
    attempt=7,
    failures=3,
    wakes=2,
    woken_at=at(-50),
    cool_until=at(-5),
    welcomed=True,
    replaced=True,
    forced=True,
    blocker="apps/web: a budget",
    job=JobRecord(name="job-7", action="shutdown", attempt=7, outcome="done"),
    boot_seconds=(61.0,),
    energy=EnergyAccount(on_seconds=100, off_seconds=10, boots=4, counted_to=at(-60)),
)
"""A status in which everything that an entry may change is set."""


def entered(phase: Phase, event: Event, *, limits: Limits | None = None, **changes: object) -> NodeStatus:
    """BUSY, a minute in `phase`, after `event` at T0."""
    start = {name: getattr(BUSY, name) for name in BUSY.__struct_fields__} | {"phase": str(phase), "since": at(-60)}
    return step(NodeStatus(**(start | changes)), event, now=T0, limits=limits or Limits())


# --- the table --------------------------------------------------------------------------------------


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_row_is_the_documented_one(row: Row) -> None:
    """Each phase has the documented events in their order of urgency, limit and duty."""
    phase, events, limit, duty = row
    assert list(TRANSITIONS[phase].items()) == events
    assert LIMITS.get(phase, "") == limit
    assert (DUTIES[phase].name if phase in DUTIES else "") == duty


def test_table_has_every_phase_and_every_event_and_duty_is_used() -> None:
    """No phase is without a row, and nothing that can be noticed or done is dead."""
    assert {phase for phase, *_ in ROWS} == set(TRANSITIONS) == set(Phase)
    assert {event for _, event, _ in ARROWS} == set(Event)
    assert set(DUTIES.values()) == set(Duty)
    assert len(ARROWS) == 40


def test_phases_are_written_as_they_always_were() -> None:
    """Phase strings are API: stored objects of older versions are understood."""
    assert [str(phase) for phase in Phase] == [
        *("Unknown", "Off", "PoweringOn", "Booting", "Ready", "Draining", "PoweringOff"),
        *("StartFailed", "StopFailed", "Lost"),
    ]


def reachable(start: Phase) -> set[Phase]:
    """Every phase that some run of events leads to from `start`."""
    seen, todo = {start}, [start]
    while todo:
        new = set(TRANSITIONS[todo.pop()].values()) - seen
        seen |= new
        todo += new
    return seen


@pytest.mark.parametrize("start", [Phase.OFF, Phase.UNKNOWN])
def test_every_phase_is_reachable(start: Phase) -> None:
    """A machine that is off, and one that was just enrolled, can come to every phase."""
    assert reachable(start) == set(Phase)


@pytest.mark.parametrize("start", Phase)
def test_every_phase_leads_back(start: Phase) -> None:
    """From wherever a machine is, it can get back to Off and to Ready."""
    assert {Phase.OFF, Phase.READY} <= reachable(start)


def test_phases_with_a_limit_are_those_that_can_be_overdue() -> None:
    """A limit that nothing watches, or a deadline without a limit, does not exist; each limit is a field of `Limits`."""
    assert set(LIMITS) == {phase for phase, row in TRANSITIONS.items() if Event.OVERDUE in row}
    assert all(isinstance(getattr(Limits(), field), timedelta) for field in LIMITS.values())


def test_only_an_empty_machine_force_or_a_remedy_leads_to_the_power_off() -> None:
    """Whatever the phase, the way into PoweringOff is an empty machine, force that the group allows, or, from the two phases of
    illness alone, a power cycle that the group allows."""
    ways = {event for _, event, target in ARROWS if target is Phase.POWERING_OFF}
    assert ways == {Event.EMPTY, Event.FORCED, Event.POWER_CYCLE}
    assert (
        {phase for phase, event, _ in ARROWS if event is Event.POWER_CYCLE} == {Phase.LOST, Phase.START_FAILED} == ILL
    )


def test_only_a_wish_leads_to_a_wake() -> None:
    """Nothing but a wish wakes a machine."""
    assert {event for _, event, target in ARROWS if target is Phase.POWERING_ON} == {Event.WANTED}


@pytest.mark.parametrize(("phase", "event"), ABSENT, ids=str)
def test_event_that_the_table_does_not_know_is_refused(phase: Phase, event: Event) -> None:
    """A pair that is not in the table raises IllegalTransition, which names both."""
    with pytest.raises(IllegalTransition, match=f"{event} in phase {phase}"):
        step(status(phase), event, now=at(1), limits=Limits())


@pytest.mark.parametrize(("phase", "event", "target"), ARROWS, ids=str)
def test_step_follows_the_table(phase: Phase, event: Event, target: Phase) -> None:
    """An event leads to the phase that the table says, entered now, and is remembered as the reason."""
    after = entered(phase, event)
    assert (phase_of(after), after.since, after.stood_still) == (target, T0, 0.0)
    assert (after.history[-1].action, after.history[-1].by, after.history[-1].at) == (str(target), str(event), T0)


def test_phases_are_sorted_into_the_words_of_the_status() -> None:
    """Every phase has a word for old readers; coming and failed phases are disjoint."""
    assert set(PROGRESS) == set(Phase)
    assert {Phase.POWERING_ON, Phase.BOOTING} == COMING
    assert {Phase.START_FAILED, Phase.STOP_FAILED, Phase.LOST} == FAILED


@pytest.mark.parametrize("stored", ["", "Hibernating"])
def test_phase_that_is_not_known_counts_as_unknown(stored: str) -> None:
    """First sight, and a phase that a later version wrote, mean that the machine is looked at afresh."""
    assert phase_of(NodeStatus(phase=stored)) is Phase.UNKNOWN


# --- what entering a phase does -----------------------------------------------------------------------


@pytest.mark.parametrize(("phase", "event", "target"), ARROWS, ids=str)
def test_attempt_is_counted_before_each_job_and_only_then(phase: Phase, event: Event, target: Phase) -> None:
    """PoweringOn and PoweringOff begin a new attempt without a Job: a name that was used is never used again."""
    after = entered(phase, event)
    if target in (Phase.POWERING_ON, Phase.POWERING_OFF):
        assert (after.attempt, after.job) == (BUSY.attempt + 1, None)
    else:
        assert (after.attempt, after.job) == (BUSY.attempt, BUSY.job)


@pytest.mark.parametrize(("phase", "event", "target"), ARROWS, ids=str)
def test_only_a_forced_power_off_is_marked_forced(phase: Phase, event: Event, target: Phase) -> None:
    """The mark by which pods are disregarded stands in a forced power-off, and is gone before the next drain or boot."""
    forced = entered(phase, event).forced
    if target is Phase.POWERING_OFF:
        assert forced == (event is Event.FORCED)
    elif (phase, target) != (Phase.POWERING_ON, Phase.BOOTING) and target in UNFORCED:
        assert not forced


def test_first_wake_of_a_boot_is_counted_from_one() -> None:
    """PoweringOn begins a new boot: one wake, sent now, and what was said of the last boot is forgotten."""
    after = entered(Phase.OFF, Event.WANTED)
    assert (after.wakes, after.woken_at, after.replaced, after.blocker) == (1, T0, False, "")


def test_wake_sent_again_is_a_new_attempt_of_the_same_boot() -> None:
    """Another wake has a Job of its own and is counted on."""
    after = send_wake(BUSY, now=T0)
    assert (after.attempt, after.wakes, after.woken_at, after.job) == (8, 3, T0, None)
    assert after.failures == BUSY.failures


@pytest.mark.parametrize("event", [Event.STARTED, Event.POWER_SEEN])
def test_boot_goes_on_with_the_wakes_that_were_sent(event: Event) -> None:
    """Between PoweringOn and Booting no wake is forgotten: `attempts` bounds them together."""
    after = entered(Phase.POWERING_ON, event)
    assert (after.wakes, after.woken_at) == (BUSY.wakes, BUSY.woken_at)


@pytest.mark.parametrize(
    ("phase", "event"),
    [
        (Phase.OFF, Event.POWER_SEEN),
        (Phase.UNKNOWN, Event.POWER_SEEN),
        (Phase.DRAINING, Event.WANTED),
        (Phase.STOP_FAILED, Event.WANTED),
    ],
)
def test_boot_that_we_did_not_start_has_no_wakes_yet(phase: Phase, event: Event) -> None:
    """A machine found booting gets its own wakes, and the first not before one interval has passed."""
    after = entered(phase, event)
    assert (after.wakes, after.woken_at, after.replaced) == (0, T0, False)


@pytest.mark.parametrize("phase", [Phase.POWERING_ON, Phase.BOOTING])
def test_finished_boot_is_booked(phase: Phase) -> None:
    """Ready after a start: the boot's length and number are kept, failures and cool-off end, a welcome is due."""
    after = entered(phase, Event.NODE_READY)
    assert after.boot_seconds == (61.0, 50.0)
    assert after.energy == EnergyAccount(on_seconds=160, off_seconds=10, boots=5, counted_to=T0)
    assert (after.failures, after.cool_until, after.last_startup_time, after.woken_at) == (0, None, T0, None)
    assert (after.welcomed, after.blocker) == (False, "")


def test_boot_that_an_older_version_began_is_booked_from_its_first_wake() -> None:
    """An older version did not store the first wake; the history says when the try that has just ended began."""
    way = ((Phase.OFF, -300), (Phase.POWERING_ON, -90), (Phase.BOOTING, -60))
    history = tuple(HistoryEntry(at=at(seconds), action=str(phase)) for phase, seconds in way)
    assert entered(Phase.BOOTING, Event.NODE_READY, history=history).boot_seconds == (61.0, 90.0)
    assert entered(Phase.POWERING_ON, Event.NODE_READY, history=history[:-1]).boot_seconds == (61.0, 90.0)


def test_boot_seconds_keep_the_newest() -> None:
    """Ten boots are remembered, the newest last."""
    after = entered(Phase.BOOTING, Event.NODE_READY, boot_seconds=tuple(map(float, range(BOOTS_KEPT))))
    assert after.boot_seconds == (*map(float, range(1, BOOTS_KEPT)), 50.0)


def test_boot_seconds_are_kept_to_the_millisecond() -> None:
    """They are stored and shown: more digits than a boot has are noise."""
    assert entered(Phase.BOOTING, Event.NODE_READY, woken_at=at(-1.23456)).boot_seconds == (61.0, 1.235)


def test_boot_without_our_wake_has_no_length() -> None:
    """Somebody pressed the button: that the machine booted is counted, how long it took is not known."""
    after = entered(Phase.BOOTING, Event.NODE_READY, wakes=0)
    assert (after.boot_seconds, after.energy.boots) == (BUSY.boot_seconds, BUSY.energy.boots + 1)


def test_machine_found_ready_has_not_booted() -> None:
    """At first sight of a running machine no boot is booked."""
    after = entered(Phase.UNKNOWN, Event.NODE_READY)
    assert (after.boot_seconds, after.energy.boots, after.last_startup_time) == (BUSY.boot_seconds, 4, None)


@pytest.mark.parametrize(("phase", "event"), [(Phase.DRAINING, Event.KEPT), (Phase.LOST, Event.NODE_READY)])
def test_machine_that_comes_back_to_ready_has_not_booted(phase: Phase, event: Event) -> None:
    """A drain that turned back and a healed partition are no boots; the cordon is due to be lifted again."""
    after = entered(phase, event)
    assert (after.boot_seconds, after.energy.boots, after.welcomed, after.blocker) == (BUSY.boot_seconds, 4, False, "")


def test_given_up_drain_names_its_blocker_and_cools_off() -> None:
    """OVERDUE -> Ready keeps the blocker for people to read and waits before the next drain."""
    after = entered(Phase.DRAINING, Event.OVERDUE)
    assert (after.blocker, after.failures) == (BUSY.blocker, BUSY.failures + 1)
    assert after.cool_until == T0 + cool_off(BUSY.failures + 1, limits=Limits())
    assert not after.welcomed


@pytest.mark.parametrize(
    ("phase", "event"),
    [(Phase.POWERING_ON, Event.OVERDUE), (Phase.BOOTING, Event.POWER_GONE), (Phase.POWERING_OFF, Event.OVERDUE)],
)
def test_failure_is_counted_and_cools_off(phase: Phase, event: Event) -> None:
    """StartFailed and StopFailed wait, longer with each failure in a row."""
    after = entered(phase, event)
    assert after.failures == BUSY.failures + 1
    assert after.cool_until == T0 + timedelta(minutes=8)


def test_finished_power_off_is_booked() -> None:
    """Off after our power-off: when is kept, and the failures are forgiven."""
    after = entered(Phase.POWERING_OFF, Event.POWER_GONE)
    assert (after.last_shutdown_time, after.failures, after.wakes) == (T0, 0, 0)


@pytest.mark.parametrize(("phase", "event"), [(p, e) for p, e, t in ARROWS if t is Phase.OFF], ids=str)
def test_machine_that_is_off_may_be_woken_at_once(phase: Phase, event: Event) -> None:
    """However it came to be off: no cool-off, no blocker, no wake and no mark of the past stands over a machine that is off."""
    after = entered(phase, event, cool_until=at(600), first_wake=FirstWake(at=at(-50)))
    assert (after.cool_until, after.blocker, after.replaced, after.welcomed) == (None, "", False, False)
    assert (after.wakes, after.woken_at, after.first_wake) == (0, None, None)


def test_failed_starts_are_remembered_through_off() -> None:
    """A machine that fails to start again and again comes last: Unknown and Off in between forgive nothing."""
    assert entered(Phase.UNKNOWN, Event.OVERDUE).failures == BUSY.failures


def test_history_keeps_the_last_twenty() -> None:
    """The newest entry is last, and the list does not grow beyond 20."""
    now, machine = T0, enter(NodeStatus(), Phase.UNKNOWN, event=None, now=T0, limits=Limits())
    assert machine.history[0].by == "FirstSight"
    for seconds in range(1, 31):
        now = at(seconds)
        event = Event.WANTED if phase_of(machine) is Phase.LOST else Event.NODE_READY
        event = Event.NODE_LOST if phase_of(machine) is Phase.READY else event
        machine = step(machine, event, now=now, limits=Limits())
    assert len(machine.history) == HISTORY_LENGTH == 20
    assert machine.history[-1].at == now
    assert [entry.at for entry in machine.history] == sorted(entry.at for entry in machine.history)


def test_new_phase_begins_its_own_pause() -> None:
    """A pause that stands goes on in the next phase, whose deadline it stops from its entry on."""
    after = entered(Phase.READY, Event.NODE_LOST, paused_since=at(-30), stood_still=12.0)
    assert (after.paused_since, after.stood_still) == (T0, 0.0)


# --- illness and power cycles -------------------------------------------------------------------------


def ill(phase: Phase, event: Event, **known: object) -> RemediationStatus:
    """What is known of an illness after `event` in `phase`."""
    return entered(phase, event, remediation=RemediationStatus(**known)).remediation  # type: ignore[arg-type]


@pytest.mark.parametrize(("phase", "event", "target"), ARROWS, ids=str)
def test_illness_lasts_until_the_machine_is_well_or_begins_anew(phase: Phase, event: Event, target: Phase) -> None:
    """It begins with Lost or StartFailed, goes on through every look at it, and ends where the machine is Ready, off, or woken."""
    assert ill(phase, event).ill_since == (T0 if target in ILL else None)
    assert ill(phase, event, ill_since=at(-900)).ill_since == (None if target in WELL else at(-900))


@pytest.mark.parametrize(("phase", "event", "target"), ARROWS, ids=str)
def test_only_a_remedy_begins_a_cycle_and_it_ends_with_the_boot(phase: Phase, event: Event, target: Phase) -> None:
    """The mark by which pods are disregarded stands from POWER_CYCLE on, as long as the machine goes off, is off and boots."""
    assert ill(phase, event).cycling == (event is Event.POWER_CYCLE)
    assert ill(phase, event, cycling=True).cycling == (event is Event.POWER_CYCLE or target in IN_CYCLE)


@pytest.mark.parametrize("phase", sorted(ILL), ids=str)
def test_cycles_are_counted_until_the_machine_was_well_for_long(phase: Phase) -> None:
    """Each cycle is counted with its time; one in an illness that began hours after the last is the first again."""
    after = ill(phase, Event.POWER_CYCLE, ill_since=at(-900), cycles=2, cycled_at=at(-2000))
    assert (after.cycles, after.cycled_at, after.ill_since) == (3, T0, at(-900))
    long_ago = at(-900) - WELL_FOR
    assert ill(phase, Event.POWER_CYCLE, ill_since=at(-900), cycles=2, cycled_at=long_ago).cycles == 1
    assert cycles_in_a_row(RemediationStatus(ill_since=at(-900), cycles=2, cycled_at=long_ago)) == 0
    assert cycles_in_a_row(RemediationStatus(cycles=2, cycled_at=at(-2000))) == 2


# --- cool-off -----------------------------------------------------------------------------------------


def test_cool_off_doubles_from_backoff_to_max_backoff() -> None:
    """The first failure costs `backoff`, each further one twice as much, and none more than `max_backoff`."""
    limits = Limits(backoff=timedelta(minutes=1), max_backoff=timedelta(minutes=10))
    minutes = [cool_off(failures, limits=limits) / timedelta(minutes=1) for failures in range(1, 7)]
    assert minutes == [1, 2, 4, 8, 10, 10]


@example(failures=1, backoff=timedelta(hours=2), longest=timedelta(hours=1))
@given(
    failures=st.integers(0, 80),
    backoff=st.timedeltas(timedelta(0), timedelta(days=36_500)),
    longest=st.timedeltas(timedelta(0), timedelta(days=36_500)),
)
def test_cool_off_is_bounded_whatever_was_written(failures: int, backoff: timedelta, longest: timedelta) -> None:
    """No number of failures and no setting makes a cool-off that is longer than `max_backoff`, or shrinks, or overflows."""
    limits = Limits(backoff=backoff, max_backoff=longest)
    now, then = cool_off(failures, limits=limits), cool_off(failures + 1, limits=limits)
    assert min(backoff, longest) <= now <= then <= longest


# --- energy account -------------------------------------------------------------------------------------


@pytest.mark.parametrize("phase", Phase)
def test_time_is_booked_as_on_or_off_by_the_phase_that_ends(phase: Phase) -> None:
    """Each phase's time goes to one side of the account, to the second, and the account is complete up to now."""
    event = next(iter(TRANSITIONS[phase]))
    before, after = BUSY.energy, entered(phase, event).energy
    assert after.counted_to == T0
    assert after.on_seconds - before.on_seconds == (60 if phase in ON_PHASES else 0)
    assert after.off_seconds - before.off_seconds == (0 if phase in ON_PHASES else 60)


def test_phases_that_draw_power_count_as_on() -> None:
    """Off, Unknown and StartFailed count as off; every other phase as on."""
    assert set(Phase) - ON_PHASES == {Phase.OFF, Phase.UNKNOWN, Phase.START_FAILED}


def test_account_begins_at_first_sight() -> None:
    """What was before hexa knew the machine is not guessed."""
    account = count_energy(status(Phase.READY), now=at(5)).energy
    assert account == EnergyAccount(counted_to=at(5))


def test_clock_that_goes_back_books_nothing_twice() -> None:
    """A step back of our clock adds nothing, and the time that was booked is not booked again."""
    booked = count_energy(status(Phase.READY, energy=EnergyAccount(on_seconds=10, counted_to=at(60))), now=at(30))
    assert booked.energy == EnergyAccount(on_seconds=10, counted_to=at(60))
    assert count_energy(booked, now=at(70)).energy.on_seconds == 20


@given(moments=st.lists(st.integers(0, 10**6), min_size=1, max_size=8).map(sorted))
def test_account_adds_up_however_often_it_is_counted(moments: list[int]) -> None:
    """Counting often or seldom gives the same sum: the time between the first and the last count."""
    machine = status(Phase.READY)
    for moment in moments:
        machine = count_energy(machine, now=at(moment))
    assert machine.energy.on_seconds == pytest.approx(moments[-1] - moments[0])
