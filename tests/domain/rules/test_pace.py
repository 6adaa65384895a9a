"""rateLimit: so many machines of a group are woken, and switched off, within a span; the others wait for their turn."""

from typing import Any

import pytest
from msgspec import structs
from tests.domain.builders import OFF, ON, at, machine, observed, rack, status, view, wanting, wish

from hexa.domain.decide.decision import Rest, Save
from hexa.domain.decide.machine import decide
from hexa.domain.decide.observed import Read
from hexa.domain.decide.saved import WAKES
from hexa.domain.group.sizing import Member, may_be_woken, target, to_exercise
from hexa.domain.machine.lifecycle import Phase
from hexa.domain.machine.wish import recorded_wish
from hexa.domain.machine_view import MachineView
from hexa.domain.policy.limits import machine_limits
from hexa.domain.policy.policy import Policy, Rate, policy_of
from hexa.domain.resources.group_values import RateLimit
from hexa.domain.resources.v1alpha1 import Asker, Group, GroupSpec, Lookup, OwnedMetadata, Power, Switched
from hexa.domain.rules.judge import refused
from hexa.domain.rules.rule import Bid
from hexa.domain.rules.traffic import Traffic

PER = 600
RATE = Rate(wakes=2, rests=2)


def key(name: str) -> Lookup:
    """Of a machine of the site."""
    return Lookup("site", name)


def waits(*wakes: float, waiting: str = "m1", rate: Rate | None = RATE, by: Asker = Asker.USER) -> MachineView:
    """m1, off and wanted on, in a group of which machines were woken at these times."""
    node = wanting(structs.replace(machine(), status=status(Phase.OFF)), wish(ON, by))
    keys = tuple(map(key, waiting.split()))
    return view(node, group=rack(rate=rate), traffic=Traffic(waiting=keys, wakes=tuple(map(at, wakes))))


@pytest.mark.parametrize("by", list(Asker))
def test_a_wake_beyond_the_rate_waits_for_its_turn(by: Asker) -> None:
    """Whoever wants it: the machine counts as coming, its wake begins when the span allows it, and a condition says when."""
    known = waits(0, 60, by=by)
    assert [known.may_wake(at(second)) for second in (60, PER - 1, PER)] == [False, False, True]
    assert known.judged_until(at(60)) == at(PER)
    member = known.member(at(60))
    assert (target([member]), [veto.until for veto in member.put_off]) == (1, [at(PER)])
    seen = observed(60, recorded=recorded_wish(known.node))
    told = decide(known, seen)
    assert isinstance(told, Save)
    (condition,) = [each for each in told.status.conditions if each.type == "RateLimit"]
    assert condition.reason == "WakeWaits"
    assert condition.message == (
        "the group's rateLimit is 2 wakes in 10m, and its turn comes at 2026-03-02T08:10:00+00:00"
    )
    rests = decide(structs.replace(known, node=structs.replace(known.node, status=told.status)), seen)
    assert isinstance(rests, Rest)
    assert rests.until == at(PER)


def test_fewer_wakes_than_the_rate_hold_up_nobody() -> None:
    """Nor do any, where no rate is set."""
    assert waits(0).may_wake(at(1))
    assert waits(0, 1, rate=None).may_wake(at(1))
    assert waits(0, 1, rate=Rate(rests=1)).may_wake(at(1))


def test_the_longest_waiting_is_woken_first() -> None:
    """The others let it go ahead for two seconds each; one that can't be woken after all holds up nobody for longer."""
    assert [waits(0, 60, waiting=order).may_wake(at(PER)) for order in ("m1 m2", "m2 m1")] == [True, False]
    assert waits(0, 60, waiting="m2 m1").may_wake(at(PER + 2))


def test_a_wake_that_is_counted_begins_under_a_lock() -> None:
    """Where they are counted, one at a time is decided: no two take the last turn."""
    known = waits(0)
    seen = observed(20, recorded=recorded_wish(known.node), read=Read(unclaimed=()))
    decision = decide(known, seen)
    assert isinstance(decision, Save)
    assert decision.status.phase == Phase.POWERING_ON
    assert decision.lock == WAKES


def test_a_quiet_wake_does_not_queue() -> None:
    """An exercise waits until a turn is free."""
    policy = Policy(exercise_every=PER * at(1).resolution * 10**6, rate=RATE)
    idle = view(structs.replace(machine(), status=status(Phase.OFF)), group=rack(rate=RATE))
    late = structs.replace(idle, traffic=Traffic(wakes=(at(0), at(60))))
    assert to_exercise(policy, [idle.member(at(70))], now=at(70)) is not None
    assert may_be_woken(late.member(at(70)))
    assert to_exercise(policy, [late.member(at(70))], now=at(70)) is None


# --- offs ---


def rests(*offs: float, leaving: str = "", going: int = 0, by: Asker | None = None) -> MachineView:
    """m1, up, in a group of which machines went off at these times, and these leave."""
    node = structs.replace(machine(), status=status(Phase.READY))
    if by is not None:
        node = wanting(node, wish(OFF, by))
    keys = tuple(map(key, leaving.split()))
    traffic = Traffic(going=keys[:going], leaving=keys, offs=tuple(map(at, offs)))
    return view(node, group=rack(rate=RATE), traffic=traffic)


def test_an_off_beyond_the_rate_waits() -> None:
    """Machines that went off within the span count, and those that leave; Cluster Autoscaler is told in advance, until when."""
    known = rests(0, 60, by=Asker.CLUSTER_AUTOSCALER)
    (veto,) = known.off_vetoes(at(70))
    assert (veto.reason, veto.until, veto.field) == ("RateLimit", at(PER), "spec.rateLimit.rests")
    assert veto.message.startswith("the group's rateLimit is 2 offs in 10m, which are used up until")
    assert [known.acted_wish(at(second)) for second in (70, PER - 1, PER)] == [None, None, Power.OFF]
    assert known.judged_until(at(70)) == at(PER)
    assert [len(rests(0, leaving=names).off_vetoes(at(70))) for names in ("", "m2", "m1 m2")] == [0, 1, 0]
    (veto,) = rests(leaving="m2 m3").off_vetoes(at(70))
    assert veto.until is None


def test_an_off_that_was_granted_waits_for_those_that_go_down() -> None:
    """What Cluster Autoscaler may drain later does not hold it up."""
    assert rests(0, leaving="m2", by=Asker.RECOVERY).acted_wish(at(70)) is Power.OFF
    assert rests(0, leaving="m2", going=1, by=Asker.RECOVERY).acted_wish(at(70)) is None


def test_a_persons_off_passes() -> None:
    """It counts for the others all the same."""
    assert rests(0, 60, by=Asker.USER).acted_wish(at(70)) is Power.OFF


# --- Cluster Autoscaler ---


def member(name: str, phase: Phase = Phase.OFF, *, on: bool = False, **known: Any) -> Member:
    """One that is wanted off, unless `on`."""
    return Member(key=key(name), phase=phase, wish=wish(ON if on else OFF), **known)


def refusal(power: Power, *members: Member, chosen: int, now: float = 0, rate: Rate = RATE) -> str:
    """Why Cluster Autoscaler is refused the last of these machines; they boot in 540 s and may take 900."""
    asked = Bid(power=power, policy=Policy(rate=rate), members=members, chosen=members[-chosen:], now=at(now))
    veto = refused(asked)
    return veto.message if veto is not None else ""


def woken(*moments: float) -> Member:
    """A machine that was woken then."""
    return member("m9", Phase.READY, on=True, switched=Switched(wakes=tuple(map(at, moments))))


def test_what_can_be_ready_in_time_is_granted() -> None:
    """As a whole; else it is refused with the reason. Machines that wait count first, and one that turns back needs no wake."""
    two = (member("m1"), member("m2"))
    assert refusal(Power.ON, *two, chosen=2) == ""
    text = refusal(Power.ON, *two, member("m3"), chosen=3)
    assert text.startswith("the group's rateLimit is 2 wakes in 10m: one of 3 would be woken at 2026-03-02T08:10:00")
    assert refusal(Power.ON, member("m8", on=True), *two, chosen=2) != ""
    assert refusal(Power.ON, woken(-500, -400), member("m1"), chosen=1) == ""
    assert refusal(Power.ON, woken(-200, -100), member("m1"), chosen=1) != ""
    quick = member("m1", boot_seconds=(60.0, 60.0, 60.0))
    assert refusal(Power.ON, woken(-200, -100), quick, chosen=1) == ""
    turned = tuple(member(f"m{number}", Phase.DRAINING) for number in range(4))
    assert refusal(Power.ON, woken(-200, -100), *turned, chosen=4) == ""
    assert refusal(Power.ON, *two, member("m3"), chosen=3, rate=Rate(rests=1)) == ""


def test_no_more_is_taken_than_may_go_now() -> None:
    """Of machines that it wants to give up."""
    up = tuple(member(f"m{number}", Phase.READY, on=True) for number in range(3))
    gone = member("m9", switched=Switched(offs=(at(-10),)))
    assert refusal(Power.OFF, *up[:2], chosen=2) == ""
    assert "2 offs in 10m" in refusal(Power.OFF, *up, chosen=3)
    assert refusal(Power.OFF, gone, *up[:2], chosen=2) != ""
    assert refusal(Power.OFF, gone, *up[:2], chosen=2, now=PER) == ""
    assert refusal(Power.OFF, *up, chosen=3, rate=Rate(wakes=1)) == ""


# --- as it is written ---


def written(limit: RateLimit | None, **spec: Any) -> Group:
    """A group with that limit."""
    metadata = OwnedMetadata(name="rack", namespace="site")
    return Group(metadata=metadata, spec=GroupSpec(rate_limit=limit, **spec))


def test_a_span_that_does_not_parse_is_told() -> None:
    """The default stands in for it."""
    policy, (problem,) = policy_of(written(RateLimit(wakes=1, per="0s")))
    assert policy.rate == Rate(wakes=1)
    assert problem.field == "spec.rateLimit.per"
    assert policy_of(written(RateLimit(per="5m")))[0].rate is None


def test_as_many_moments_are_kept_as_could_use_up_the_rate() -> None:
    """Of each machine, and no more."""
    limits, _ = machine_limits(machine(), written(RateLimit(wakes=3, rests=2), max_cycles_per_day=4))
    assert (limits.wakes_kept, limits.offs_kept) == (3, 4)
    limits, _ = machine_limits(machine(min_on_time="1m"), written(RateLimit(wakes=3, rests=2)))
    assert (limits.wakes_kept, limits.offs_kept) == (3, 2)
    limits, _ = machine_limits(machine(), written(None))
    assert (limits.wakes_kept, limits.offs_kept) == (0, 0)
