"""spec.order: who is woken first and rested last, what nobody knows, and how a choice is told."""

from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any

import pytest
from msgspec import structs
from tests.domain.builders import NO_GROUP, OFF, ON, T0, machine, rack, status, view, wish

from hexa.domain.group.choice import chosen, place_to_rest, place_to_wake, rested_before, woken_before
from hexa.domain.group.sizing import Member, candidates, resters
from hexa.domain.machine.lifecycle import Phase
from hexa.domain.machine.reason import Veto
from hexa.domain.money.rates import Rates
from hexa.domain.money.tariff import Priced, Tariff
from hexa.domain.policy.policy import Policy, policy_of
from hexa.domain.resources.v1alpha1 import Asker, EnergyAccount, Group, GroupSpec, OrderBy, Shape
from hexa.domain.weekly import Window
from hexa.domain.words.order import order as told_order

CORES = {"4": Shape(allocatable={"cpu": "4"}), "8": Shape(allocatable={"cpu": "8"})}


def member(name: str, *order: OrderBy, phase: Phase = Phase.OFF, **known: Any) -> Member:
    """A machine of a group with that order; `watts` and `cores` of it, `index`, and what its status says."""
    rates, shape = Rates(max_watts=known.pop("watts", 0.0), hourly=known.pop("hourly", 0.0)), known.pop("cores", "")
    spec = {"index": known.pop("index", None)}
    node = structs.replace(machine(name, **spec), status=status(phase, **known))
    of = view(node, group=rack(order=order), rates=rates, shape=CORES.get(shape))
    asked = wish(ON if phase is Phase.READY else OFF, Asker.CLUSTER_AUTOSCALER)
    return structs.replace(of.member(T0), wish=asked, off_vetoes=(), on_vetoes=(), unproven=False)


def names(members: list[Member]) -> list[str]:
    """Whom it is about, in order."""
    return [each.key.name for each in members]


BOOTS = EnergyAccount(boots=7)
CASES: dict[OrderBy, tuple[dict[str, Any], dict[str, Any]]] = {
    OrderBy.RELIABILITY: ({"failures": 1}, {"failures": 2}),
    OrderBy.ENERGY: ({"watts": 60.0, "cores": "8"}, {"watts": 40.0, "cores": "4"}),
    OrderBy.BOOT: ({"boot_seconds": (90.0, 20.0, 20.0)}, {"boot_seconds": (30.0,)}),
    OrderBy.WEAR: ({"energy": EnergyAccount(boots=6)}, {"energy": BOOTS}),
    OrderBy.COST: ({"hourly": 0.1}, {"hourly": 0.2}),
    OrderBy.INDEX: ({"index": 3}, {"index": 4}),
}


@pytest.mark.parametrize("key", OrderBy)
def test_the_first_of_the_order_wakes_first_and_rests_last(key: OrderBy) -> None:
    """By each key the better machine is woken first and rested last, whatever their names say."""
    better, worse = CASES[key]
    off = [member("b", key, **better), member("a", key, **worse)]
    assert names(candidates(off)) == ["b", "a"]
    on = [member("b", key, phase=Phase.READY, **better), member("a", key, phase=Phase.READY, **worse)]
    assert names(resters(on)) == ["a", "b"]


@pytest.mark.parametrize("key", [OrderBy.ENERGY, OrderBy.BOOT, OrderBy.COST, OrderBy.INDEX])
def test_what_is_not_known_comes_last(key: OrderBy) -> None:
    """A machine of which nobody declared it is woken after the worst of those that are known, and rested first."""
    _, worst = CASES[key]
    assert names(candidates([member("a", key), member("b", key, **worst)])) == ["b", "a"]
    on = [member(name, key, phase=Phase.READY, **more) for name, more in (("b", worst), ("a", {}))]
    assert names(resters(on)) == ["a", "b"]


def test_the_first_key_that_differs_decides() -> None:
    """What comes later in the order counts among equals alone; index and name come last of all."""
    order = (OrderBy.WEAR, OrderBy.COST)
    tired = member("a", *order, energy=BOOTS, hourly=0.1, index=1)
    dear = member("b", *order, hourly=0.3, index=2)
    second, first = member("c", *order, hourly=0.2), member("d", *order, hourly=0.2, index=9)
    for found in permutations([tired, dear, second, first]):
        assert names(candidates(found)) == ["d", "c", "b", "a"]


def test_equal_machines_rest_in_the_reverse_of_their_names() -> None:
    """Packing: woken a, b, c, they rest c, b, a, also where one name begins with another."""
    on = [member(name, OrderBy.INDEX, phase=Phase.READY) for name in ("a", "ab", "b")]
    assert names(resters(on)) == ["b", "ab", "a"]


def test_without_an_order_machines_compare_as_ever() -> None:
    """Nobody who sets nothing sees another order: fewest failures, cheapest, fastest, by name, and what is not known counts as 0.
    They rest by failures, then by price; by name too, and not backwards."""
    unknown, fast = member("a"), member("b", boot_seconds=(8.0,))
    assert unknown.standing == ()
    assert names(candidates([fast, unknown])) == ["a", "b"]
    on = [member("a", phase=Phase.READY, boot_seconds=(9.0,)), member("b", phase=Phase.READY, boot_seconds=(8.0,))]
    assert names(resters(on)) == ["a", "b"]
    first = member("z", index=1)
    assert names(candidates([unknown, first])) == ["z", "a"]


def test_what_helps_sooner_goes_before_every_order() -> None:
    """A machine that is still on turns back first; one that a person put off, or that a rule makes the last, comes after."""
    key = OrderBy.INDEX
    on = structs.replace(member("a", key), phase=Phase.DRAINING)
    put_off = structs.replace(member("b", key, index=1), wish=wish(OFF, Asker.USER))
    late = structs.replace(member("c", key, index=1), last_vetoes=(Veto("MinOffTime", "dark"),))
    waits = structs.replace(member("d", key, index=1), waits_for=("nas",))
    plain = member("e", key, index=5)
    assert names(candidates([late, put_off, waits, plain, on])) == ["a", "e", "d", "b", "c"]
    assert woken_before(on, plain) == "it is still on, and e is off"
    assert woken_before(plain, waits) == "d waits for nas"
    assert woken_before(plain, put_off) == "b was put off by a person"
    assert woken_before(plain, late) == "c comes last (MinOffTime)"


def test_a_choice_is_told_with_what_decided_it() -> None:
    """Who was chosen, before whom, by which key, with both values; nothing where the group has no order or no other machine."""
    order = (OrderBy.ENERGY,)
    able = [member("b", *order, watts=60.0, cores="8"), member("a", *order, watts=40.0, cores="4"), member("c", *order)]
    assert chosen(able, ["b"], wake=True) == (
        "b was chosen to be woken before a: energy: 7.5 W a core against 10 W a core"
    )
    assert chosen(able, ["b", "a"], wake=True) == (
        "b, a were chosen to be woken before c: energy: 10 W a core against not known"
    )
    assert chosen(able, ["b", "a", "c"], wake=True) == ""
    assert chosen([member("a"), member("b")], ["a"], wake=True) == ""
    many = [member(f"m{number}", OrderBy.INDEX, index=number) for number in range(9)]
    assert chosen(many, names(many)[:7], wake=True).startswith("m0, m1, m2, m3, m4 and 2 more were chosen")


def test_why_one_rests_before_another() -> None:
    """By its phase, because it came late, by its pods, by the order, or by name alone."""
    up = [member(name, OrderBy.WEAR, phase=Phase.READY, energy=EnergyAccount(boots=n)) for n, name in enumerate("ab")]
    one, other = up
    assert rested_before(structs.replace(one, phase=Phase.BOOTING), other) == "it is Booting, and b is Ready"
    assert rested_before(structs.replace(one, replaced=True), other) == "another machine has its place"
    assert rested_before(one, structs.replace(other, pods=3)) == "0 pods run on it, and 3 on b"
    assert rested_before(other, one) == "wear: 1 boot so far against 0 boots so far"
    assert rested_before(one, one) == "they are equal in all else, and their names decide"


def test_why_says_the_place_in_the_order() -> None:
    """Which of how many, and why the one before it comes first; nothing of a machine that is alone, or that is no candidate."""
    able = candidates(
        [member("a", OrderBy.BOOT, boot_seconds=(80.0,)), member("b", OrderBy.BOOT, boot_seconds=(20.0,))]
    )
    assert (
        place_to_wake(able, able[1]) == "number 2 of 2 to be woken, after b: boot: boots in 20 s against boots in 80 s"
    )
    assert place_to_wake(able, able[0]).startswith("the first of 2 to be woken, before a: ")
    assert place_to_wake(able[:1], able[0]) == ""
    assert place_to_rest([], able[0]) == ""


class Known:
    """What explaining the order reads of a machine."""

    def __init__(self, of: Member, *others: Member, policy: Policy = NO_GROUP) -> None:
        self.member, self.others, self.policy = of, (of, *others), policy


def test_why_names_what_nobody_declared() -> None:
    """The keys by which a machine comes last because they are not known, each with its remedy."""
    keys = (OrderBy.ENERGY, OrderBy.COST)
    bare, other = member("a", *keys), member("b", *keys, watts=60.0, cores="8", hourly=1.0)
    told = list(told_order(Known(bare, other)))  # type: ignore[arg-type]
    assert told[0].startswith("number 2 of 2 to be woken, after b: energy: 7.5 W a core against not known")
    assert told[1].startswith("energy is not known of it, so it is the last in that: declare spec.energy.maxWatts")
    assert told[2].startswith("cost is not known of it")
    assert len(list(told_order(Known(other, bare)))) == 1  # type: ignore[arg-type]
    dear = Policy(order=keys, tariff="house")
    told = list(told_order(Known(bare, other, policy=dear)))  # type: ignore[arg-type]
    assert "by tariff house, which the agent alone knows" in told[1]
    assert len(told) == 3


def test_the_price_is_that_of_the_hour() -> None:
    """A machine billed by the hour is cheaper while energy is dear, and dearer at night; the judgement ends with the price."""
    night = Tariff(per_kwh=0.40, windows=(Priced(Window(start=0, end=6 * 60), 0.10),))
    group = rack(order=(OrderBy.COST,))
    own = view(machine("own"), group=group, rates=Rates(max_watts=100.0), tariff=night)
    rented = view(machine("rented"), group=group, rates=Rates(hourly=0.02), tariff=night)
    dark, noon = datetime(2026, 3, 2, 3, tzinfo=UTC), datetime(2026, 3, 2, 12, tzinfo=UTC)
    by_night, by_day = ([each.member(now) for each in (own, rented)] for now in (dark, noon))
    ready = [[structs.replace(each, phase=Phase.OFF, valid=True) for each in found] for found in (by_night, by_day)]
    assert [names(candidates(found)) for found in ready] == [["own", "rented"], ["rented", "own"]]
    assert own.judged_until(dark) == dark + timedelta(hours=3)
    free = view(machine("own"), group=group, rates=Rates(max_watts=100.0), tariff=Tariff())
    assert dict(free.member(noon).standing)[OrderBy.COST] == 0.0  # known, and nothing


def test_odd_values_are_borne() -> None:
    """Years that no clock shows, draws and counts beyond all reason: they compare, and raise nothing."""
    group = rack(order=tuple(OrderBy))
    huge = machine("a", index=2**31 - 1)
    odd = structs.replace(huge, status=status(Phase.OFF, failures=10**400, energy=EnergyAccount(boots=10**400)))
    rates = Rates(max_watts=1.7e308, hourly=1.7e308, per_kwh=1.7e308)
    for year in (1, 9999):
        now = datetime(year, 12, 31, tzinfo=UTC)
        of = view(odd, group=group, rates=rates, shape=Shape(allocatable={"cpu": "1n"}), tariff=Tariff())
        both = [of.member(now), member("b", *OrderBy)]
        assert woken_before(*both)
        of.judged_until(now)


def test_a_key_named_twice_counts_once() -> None:
    """The API server refuses it, and where it slipped in its first place counts."""
    policy, problems = policy_of(Group(spec=GroupSpec(order=(OrderBy.COST, OrderBy.BOOT, OrderBy.COST))))
    assert (policy.order, problems) == ((OrderBy.COST, OrderBy.BOOT), ())
