"""How often a machine was there: what counts as up and down, over which time, and what wakes are told of."""

from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.domain.builders import LIMITS, T0, at

from hexa.domain.machine.availability import WAKES_KEPT, WINDOW, counted, counts_since, percent, uptime, woken
from hexa.domain.machine.lifecycle import TRANSITIONS, Event, Phase, enter, phase_of, step
from hexa.domain.resources.health import Availability
from hexa.domain.resources.v1alpha1 import JobRecord, NodeStatus

HOUR = timedelta(hours=1)
E, P = Event, Phase
DONE = JobRecord(name="j", action="startup", outcome="done")


def lived(*steps: tuple[Event, float]) -> NodeStatus:
    """A machine that was off at T0, and what befell it at so many seconds after."""
    status = enter(NodeStatus(), Phase.OFF, event=None, now=T0, limits=LIMITS)
    for event, seconds in steps:
        status = step(status, event, now=at(seconds), limits=LIMITS)
        if phase_of(status) is Phase.BOOTING:
            status = NodeStatus(**{f: getattr(status, f) for f in status.__struct_fields__ if f != "job"}, job=DONE)
    return status


BOOT = ((E.WANTED, 0), (E.STARTED, 10), (E.NODE_READY, 100))


def test_a_boot_and_a_rest_cost_no_uptime() -> None:
    """Only time that it should have been there and was not counts against a machine."""
    account = lived(*BOOT, (E.UNWANTED, 1100), (E.EMPTY, 1200), (E.POWER_GONE, 1300), (E.WANTED, 9000)).availability
    assert (account.recent.up_seconds, account.recent.down_seconds) == (1100, 0)
    assert (account.uptime, account.wakes) == ("100%", "1/1")


def test_a_crash_counts_until_it_is_back() -> None:
    """Lost, off, and on its way up again: the time until it is Ready is down, but for the moment that it counts as off."""
    crash = ((E.POWER_GONE, 1000), (E.POWER_GONE, 1010), (E.WANTED, 1010), (E.STARTED, 1020), (E.NODE_READY, 1100))
    account = lived(*BOOT, *crash).availability
    assert (account.recent.up_seconds, account.recent.down_seconds) == (900, 100)
    assert account.uptime == "90.0%"


def test_a_failed_start_counts_against_wakes() -> None:
    """A wake from Off either brings the machine or it does not; a second try out of Lost is no wake from Off."""
    status = lived((E.WANTED, 0), (E.OVERDUE, 300))
    assert status.availability.wakes == "0/1"
    assert lived(*BOOT, (E.NODE_LOST, 500), (E.WANTED, 700), (E.OVERDUE, 900)).availability.wakes == "1/1"


@given(st.lists(st.tuples(st.sampled_from(["up", "down", ""]), st.integers(0, 40 * 24)), max_size=60))
@settings(max_examples=60)
def test_the_account_is_bounded_and_forgets(spans: list[tuple[str, int]]) -> None:
    """It holds two windows, never more time than passed, and a share between nothing and all."""
    now, account = T0, Availability()
    for side, hours in spans:
        now += hours * HOUR
        account = counted(account, side, now=now)  # type: ignore[arg-type]
        account = woken(account, worked=side == "up")
        total = sum(s.up_seconds + s.down_seconds for s in (account.recent, account.before))
        assert total <= (now - (counts_since(account) or now)).total_seconds() + 40 * 24 * 3600
        share = uptime(account)
        assert share is None or 0 <= share <= 1
        assert account.recent.since is not None
        assert now - account.recent.since < WINDOW or account.recent.since == now
        assert len(account.recent_wakes) <= WAKES_KEPT


def test_what_was_long_ago_is_forgotten() -> None:
    """Two windows later a bad day is no longer held against the machine."""
    account = counted(Availability(), "", now=T0)
    account = counted(account, "down", now=T0 + 24 * HOUR)
    for window in range(1, 4):
        account = counted(account, "up", now=T0 + window * WINDOW + HOUR)
    assert account.uptime == "100%"


def test_a_hundred_percent_is_said_of_nothing_that_was_down() -> None:
    """Shares are cut, not rounded."""
    assert percent(0.99999) == "99.9%"
    assert percent(1.0) == "100%"
    assert percent(0.0) == "0.0%"


def test_every_arrow_keeps_the_account() -> None:
    """Whatever happens to a machine, the account is complete up to it."""
    for phase, row in TRANSITIONS.items():
        for event in row:
            before = enter(NodeStatus(), phase, event=None, now=T0, limits=LIMITS)
            assert step(before, event, now=at(60), limits=LIMITS).availability.counted_to == at(60)
