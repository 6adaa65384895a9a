"""A UPS on battery: who is ordered off and until when, and what that forbids; what is unknown switches nothing off."""

from datetime import timedelta
from types import SimpleNamespace

import pytest
from msgspec import structs
from tests.domain.builders import OFF, ON, at, rack, standing, status, view, wanting, wish

from hexa.domain.machine.lifecycle import Phase
from hexa.domain.policy.battery import OnBattery, Threshold
from hexa.domain.power.ups import Supply, UpsReading, endpoint, reading_of, unknown
from hexa.domain.resources.core import Condition
from hexa.domain.resources.v1alpha1 import Asker, Group, GroupStatus, Hold, JobRecord, Lookup
from hexa.domain.rules import battery as rule
from hexa.domain.rules.battery import Battery, Rules, State
from hexa.domain.words.demands import demands

P = Phase
EARLY, LATE, NEVER = Lookup("site", "early"), Lookup("site", "late"), Lookup("site", "never")
GROUPS = {EARLY: Threshold(charge=70.0), LATE: None, NEVER: Threshold(0.0, timedelta(0))}
BEGIN = Battery(since=at(0))
HOUR = timedelta(hours=1)


def on_battery(charge: float | None, runtime: timedelta | None = HOUR, *, low: bool = False) -> UpsReading:
    """It says that it is on battery."""
    return UpsReading(supply=Supply.BATTERY, charge=charge, runtime=runtime, low=low)


def on_mains(charge: float | None) -> UpsReading:
    """It says that it is on mains."""
    return UpsReading(supply=Supply.MAINS, charge=charge)


def after(*readings: UpsReading, every: float = 60.0, begin: Battery = BEGIN) -> Battery:
    """What is known after these, one each minute, and each confirmed at once."""
    known = begin
    for number, reading in enumerate(readings):
        for _ in range(2):
            known = rule.judged(known, reading, rules=Rules(), groups=GROUPS, now=at(number * every))
    return known


@pytest.mark.parametrize(
    ("reading", "ordered"),
    [
        (on_battery(90), set()),
        (on_battery(70), {EARLY}),
        (on_battery(40), {EARLY, LATE}),
        (on_battery(90, timedelta(minutes=10)), {EARLY, LATE}),
        (on_battery(None, None), set()),
        (on_battery(None, None, low=True), {EARLY, LATE}),
        (on_mains(10), set()),
        (unknown("silent"), set()),
    ],
)
def test_who_is_ordered_off(reading: UpsReading, ordered: set[Lookup]) -> None:
    """On battery only, by charge, by runtime or by the UPS's own word; a group with its own threshold earlier or later, one whose
    threshold is zero never."""
    assert after(reading).ordered == ordered


def test_one_reading_orders_nobody_off() -> None:
    """A charge of 0 that is told once, as when a cable is put in again, is no battery that ends; two in a row are."""
    known = BEGIN
    seen = []
    for number, charge in enumerate((90, 0, 90, 0, 0)):
        known = rule.judged(known, on_battery(charge), rules=Rules(), groups=GROUPS, now=at(number * 15))
        seen.append(set(known.ordered))
    assert seen == [set(), set(), set(), set(), {EARLY, LATE}]
    once = rule.judged(BEGIN, on_battery(0), rules=Rules(), groups=GROUPS, now=at(0))
    for between in (on_mains(100), unknown("silent")):
        again = rule.judged(once, between, rules=Rules(), groups=GROUPS, now=at(15))
        assert rule.judged(again, on_battery(0), rules=Rules(), groups=GROUPS, now=at(30)).ordered == set()


@pytest.mark.parametrize("flags", ["OB CAL", "OB TEST LB", "CAL OB DISCHRG"])
def test_a_battery_that_is_tested_is_no_outage(flags: str) -> None:
    """A UPS that calibrates itself runs on battery while mains are there: what follows is not known, and nobody goes."""
    assert reading_of({"ups.status": flags, "battery.charge": "5"}).supply is Supply.UNKNOWN
    assert reading_of({"ups.status": "OL CAL"}).supply is Supply.MAINS


def test_an_order_stands_until_mains_and_charge_are_back() -> None:
    """A battery that recovers without mains takes nothing back; mains with little charge neither."""
    assert after(on_battery(40), on_battery(90)).ordered == {EARLY, LATE}
    assert after(on_battery(40), on_mains(41)).ordered == {EARLY, LATE}
    assert after(on_battery(40), on_mains(79.9)).ordered == {EARLY, LATE}
    assert after(on_battery(40), on_mains(80)).ordered == set()
    assert after(on_battery(40), on_mains(None)).ordered == set()  # in doubt machines come


def test_what_is_unknown_orders_nobody_and_ends_by_itself() -> None:
    """Who is off stays off for half an hour without news, and nobody goes meanwhile."""
    silent = after(on_battery(60), unknown("silent"))
    known = rule.of_group(silent, EARLY)
    assert known is not None
    assert (known.reason, known.ordered, known.goes) == (State.UNKNOWN, True, False)
    assert "silent" in known.text
    assert after(on_battery(60), *[unknown("silent")] * 30).ordered == {EARLY}
    over = after(on_battery(60), *[unknown("silent")] * 31)
    means = rule.of_group(over, EARLY)
    assert means is not None
    assert (over.ordered, over.battery, means.bars) == (frozenset(), False, False)
    never = rule.of_group(after(unknown("silent"), unknown("refused")), EARLY)
    assert never is not None
    assert (never.reason, never.bars, never.ordered) == ("UpsNotHeard", False, False)
    assert never.text == "the UPS is not heard, and nothing is switched off for it: silent"


def test_what_it_means_for_a_group() -> None:
    """No wakes for all, the off for those it is ordered of; it is acted on while the UPS is heard on battery."""
    means = {
        "battery": rule.of_group(after(on_battery(60)), LATE),
        "ordered": rule.of_group(after(on_battery(60)), EARLY),
        "charging": rule.of_group(after(on_battery(60), on_mains(60)), EARLY),
    }
    assert {name: (m.reason, m.ordered, m.goes) for name, m in means.items() if m is not None} == {
        "battery": ("OnBattery", False, False),
        "ordered": ("OrderedOff", True, True),
        "charging": ("Charging", True, False),
    }
    assert rule.of_group(after(on_mains(100)), EARLY) is None
    assert rule.of_group(after(on_battery(60), on_mains(60)), LATE) is None


def stands(*, ordered: bool = True, goes: bool = True) -> OnBattery:
    """What it means for the group."""
    return OnBattery(reason="OrderedOff", text="the battery ends", since=at(-60), ordered=ordered, goes=goes)


def test_the_off_is_a_wish_of_its_own_and_writes_over_none() -> None:
    """What was wanted before stands beneath it, and is wanted again; a person's hold is above it."""
    node = wanting(standing(P.READY), wish(ON, Asker.CLUSTER_AUTOSCALER))
    for known, power, by in (
        (view(node, group=rack(battery=stands())), OFF, Asker.UPS),
        (view(node, group=rack(battery=stands(ordered=False))), ON, Asker.CLUSTER_AUTOSCALER),
        (view(node, group=rack()), ON, Asker.CLUSTER_AUTOSCALER),
        (view(node, group=rack(battery=stands(), hold=Hold(power="on"))), ON, Asker.HOLD),
        (view(wanting(node, wish(OFF)), group=rack(battery=stands())), OFF, Asker.USER),
    ):
        found = known.wish(at(0))
        assert found is not None
        assert (found.power, found.by) == (power, by)
        assert found.by is not Asker.UPS or (found.since, found.reason) == (at(-60), "OnBattery")


@pytest.mark.parametrize("phase", list(Phase))
def test_nobody_goes_while_it_is_unclear(phase: Phase) -> None:
    """Mains are back, or the UPS is silent: a drain turns back, and who is off, or is being switched off, stays so."""
    job = JobRecord(name="j", action="shutdown", attempt=1)
    node = wanting(standing(phase, attempt=1, job=job), wish(ON, Asker.CLUSTER_AUTOSCALER))
    acted = view(node, group=rack(battery=stands(goes=False))).acted_wish(at(0))
    assert (acted is OFF) is (phase in (P.OFF, P.POWERING_OFF))
    assert phase is not P.DRAINING or acted is ON
    assert view(node, group=rack(battery=stands())).acted_wish(at(0)) is OFF


def test_a_shutdown_that_was_not_made_yet_is_not_made_while_it_is_unclear() -> None:
    """Drained, and hexa stopped before the Job: what it finds later is a UPS that is silent, and the machine serves again."""
    node = wanting(standing(P.POWERING_OFF, attempt=1), wish(ON, Asker.CLUSTER_AUTOSCALER))
    assert view(node, group=rack(battery=stands(goes=False))).acted_wish(at(0)) is ON
    assert view(node, group=rack(battery=stands())).acted_wish(at(0)) is OFF


def test_no_rule_of_comfort_outweighs_a_battery_that_ends() -> None:
    """minOnTime passes, as by a person."""
    limits = structs.replace(rack().policy.limits, min_on_time=HOUR)
    node = structs.replace(standing(P.READY, last_startup_time=at(0)))
    node = wanting(node, wish(ON, Asker.CLUSTER_AUTOSCALER))
    known = view(node, group=rack(battery=stands(), limits=limits))
    assert [veto.reason for veto in known.off_vetoes(at(10))] == []


def test_no_program_wakes_a_machine_on_battery_and_a_person_does() -> None:
    """Cluster Autoscaler's wish waits; `hexa on` is somebody who knows."""
    held = standing(P.OFF, spec={"hold": Hold(power="on")})
    for node, may in (
        (wanting(standing(P.OFF), wish(ON, Asker.CLUSTER_AUTOSCALER)), False),
        (wanting(standing(P.OFF), wish(ON, Asker.RECOVERY)), False),
        (wanting(standing(P.OFF), wish(ON, Asker.USER)), True),
        (held, True),
    ):
        known = view(node, group=rack(battery=stands(ordered=False)))
        assert known.may_wake(at(0)) is may
        assert (known.on_vetoes(at(0)) == ()) is may


def test_an_agent_that_starts_goes_on_where_the_last_one_was() -> None:
    """Machines that are off by the UPS stay off until it is heard."""
    begun = rule.begun(
        {
            EARLY: [status(P.OFF, wish=wish(OFF, Asker.UPS)), status(P.READY)],
            LATE: [status(P.READY, wish=wish(ON))],
        },
        now=at(0),
    )
    assert begun.ordered == {EARLY}
    known = rule.of_group(begun, EARLY)
    assert known is not None
    assert (known.ordered, known.goes) == (True, False)
    assert after(on_mains(90), begin=begun).ordered == set()
    assert after(on_mains(20), begin=begun).ordered == {EARLY}
    assert rule.of_group(rule.begun({}, now=at(0)), EARLY) is None


@pytest.mark.parametrize(
    ("address", "found"),
    [
        ("nas", ("nas", 3493)),
        ("nas.lan:13493", ("nas.lan", 13493)),
        ("10.0.0.5:3493", ("10.0.0.5", 3493)),
        ("[fd00::1]:99", ("fd00::1", 99)),
        ("[fd00::1]", ("fd00::1", 3493)),
        ("fd00::1", ("fd00::1", 3493)),
    ],
)
def test_addresses(address: str, found: tuple[str, int]) -> None:
    """With and without a port, IPv6 with and without brackets."""
    assert endpoint(address, port=3493) == found


@pytest.mark.parametrize(
    "address", ["", ":3493", "nas:", "nas:0", "nas:70000", "nas:x", "http://nas", "a b", "ups@nas", "nas:" + "9" * 9000]
)
def test_what_is_no_address(address: str) -> None:
    """It says what to write."""
    with pytest.raises(ValueError, match=r"write HOST|1 to 65535"):
        endpoint(address, port=3493)


def test_people_are_told_who_wants_it_off() -> None:
    """`hexa why` names the UPS, the condition of the group, and what stands beneath."""
    node = wanting(standing(P.READY), wish(ON, Asker.CLUSTER_AUTOSCALER))
    group = rack(battery=stands())
    known = SimpleNamespace(node=node, policy=group.policy, key=Lookup("site", "m1"), group=group.key, now=at(0))
    assert [(each.by, each.power, each.object) for each in demands(known)] == [  # type: ignore[arg-type]
        (Asker.UPS, OFF, "Group site/rack condition OnBattery"),
        (Asker.CLUSTER_AUTOSCALER, ON, "Node site/m1 wish (annotation)"),
    ]


def test_commands_know_it_from_the_group() -> None:
    """What the agent told of a group is what `hexa why` goes by."""
    for means in (stands(), stands(goes=False), stands(ordered=False)):
        ordered = State.ORDERED_OFF if means.goes else State.CHARGING
        reason = ordered if means.ordered else State.ON_BATTERY
        (shown,) = rule.says_of_group(structs.replace(means, reason=reason))
        told = Condition(type=shown.type, status="True", reason=shown.reason, message=shown.message)
        found = rule.told(Group(status=GroupStatus(conditions=(told,))), now=at(0))
        assert found is not None
        assert (found.ordered, found.goes and found.ordered) == (means.ordered, means.goes and means.ordered)
    assert rule.told(Group(), now=at(0)) is None
