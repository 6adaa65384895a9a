"""What the running agent counts and shows: each of its metrics after a day in the life of a machine."""

import gc
from collections.abc import Iterator
from typing import Any, Final

import pytest
import trio
from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families
from tests.scenarios.stage import ID, QUICK, boxes, rack, reach, switch
from trio.testing import MockClock

from hexa.adapters.memory.clock import START
from hexa.adapters.metrics.adapter import Exposition, make_registry
from hexa.app.metrics.metrics import Metrics
from hexa.app.metrics.table import ROWS
from hexa.domain.errors import Conflict, Unavailable
from hexa.domain.machine.lifecycle import Phase
from hexa.domain.news import Change, News, OpenReason, What, Work, failure
from hexa.domain.resources.v1alpha1 import GROUPS, MACHINES, Lookup
from hexa.ports.cloud import Denied, Done
from hexa.ports.metrics import Family, Kind
from hexa.testing.world import World, group, machine, open_world

WATTS: Final = {"idle_watts": 60.0, "max_watts": 60.0, "off_watts": 2.0, "boot_watt_hours": 5.0}
SITE: Final[dict[str, Any]] = {"autoscaler": None, "agent": False, "site": QUICK}


class Stale:
    """An API server in which everything was changed meanwhile."""

    async def delete(self, *_: Any, **__: Any) -> None:
        raise Conflict("changed")


async def begin(world: World) -> None:
    """Start the agent, which counts, and wait until it knows its machines."""
    world.agent.metered = True
    await world.start_agent()
    await world.until(lambda: set(world.phases().values()) <= {Phase.OFF, Phase.READY}, within=60)


def metrics_of(world: World) -> Metrics:
    """Those of the agent that runs."""
    life = world.agent.life
    assert life is not None
    assert life.metrics is not None
    return life.metrics


async def scraped(world: World) -> dict[tuple[str, ...], float]:
    """Each sample by its name and the values of its labels, in the order of their names."""
    body, _ = await Exposition(metrics_of(world))("")
    families = text_string_to_metric_families(body.decode())
    samples = [sample for family in families for sample in family.samples]
    found = {(each.name, *(each.labels[key] for key in sorted(each.labels))): each.value for each in samples}
    assert len(found) == len(samples)  # none is told twice
    return found


def of(samples: dict[tuple[str, ...], float], name: str) -> dict[tuple[str, ...], float]:
    """Those of one name, by their labels."""
    return {tuple(labels): value for (each, *labels), value in samples.items() if each == name}


async def test_a_boot_a_drain_and_an_off_count_one_each(autojump_clock: MockClock) -> None:
    """After one machine was woken, and another was drained of its pod and switched off, each of these counts is 1, and so is the
    number of what was measured."""
    machines = [*boxes(1, **WATTS), *boxes(2, on=True, **WATTS)[1:]]
    async with open_world(groups=[rack()], machines=machines, **SITE) as world:
        await begin(world)
        await reach(world, Phase.READY, "box-2")
        world.add_pods(1, cpu="1")
        await world.until(lambda: world.waiting == 0, within=20)
        assert await world.cloud.increase_size(ID, delta=1) == Done()
        await reach(world, Phase.READY)
        await switch(world, "off", "box-2")
        await reach(world, Phase.OFF, "box-2")
        await trio.sleep(30)
        found = await scraped(world)
        place = ("rack", "machines")
        assert of(found, "hexa_wakes_total") == {place: 1}
        assert of(found, "hexa_rests_total") == {place: 1}
        assert of(found, "hexa_evictions_total") == {(): 1}
        assert of(found, "hexa_decisions_total") == {("ScaleUp",): 1, ("WishChanged",): 1}
        assert set(of(found, "hexa_failures_total").values()) == {0}
        for name in ("boot", "drain", "off"):
            assert of(found, f"hexa_{name}_duration_seconds_count") == {place: 1}, name
        assert 8 <= found["hexa_boot_duration_seconds_sum", *place] <= 30
        assert found["hexa_machines", *place, "Ready"] == found["hexa_machines", *place, "Off"] == 1
        assert of(found, "hexa_machine_phase") == {("box-1", "machines", "Ready"): 1, ("box-2", "machines", "Off"): 1}
        assert of(found, "hexa_machine_power_watts") == {("box-1", "machines"): 60, ("box-2", "machines"): 2}
        assert (found["hexa_group_size", *place], found["hexa_group_target", *place]) == (2, 1)


async def test_what_a_site_says_of_itself(autojump_clock: MockClock) -> None:
    """Holds, conditions, sizes with their schedules, failures and refusals are told of what is there."""
    windows = [{"from": "08:00", "to": "18:00", "zone": "UTC", "minSize": 2}]
    group = rack(maxSize=2, schedules=windows)
    async with open_world(groups=[group], machines=boxes(3), **SITE) as world:
        await begin(world)
        assert isinstance(await world.cloud.increase_size(ID, delta=3), Denied)
        world.edit("box-2", {"hold": {"power": "off"}})
        world.inject({"kind": "dead", "machine": "box-1"})
        await switch(world, "on")
        await reach(world, Phase.START_FAILED, within=300)
        found = await scraped(world)
        place, box = ("rack", "machines"), ("box-1", "machines")
        assert found["hexa_failures_total", *place, "StartFailed"] == 1
        assert found["hexa_decisions_total", "MaxSizeReached"] == 1
        assert found["hexa_machine_condition", *box, "Failed"] == 1
        assert of(found, "hexa_machine_held") == {("box-2", "machines"): 1}
        assert found["hexa_group_held_off", *place] == 1
        assert (found["hexa_group_min_size", *place], found["hexa_group_max_size", *place]) == (0, 2)
        begins = START.replace(hour=8).timestamp()
        assert found["hexa_group_next_schedule_change_timestamp_seconds", *place] == begins
        assert of(found, "hexa_machine_power_watts") == {}  # nobody says what they draw
        assert set(of(found, "hexa_watch_lag_seconds").values()) == {0}
        assert of(found, "hexa_machine_wake_failed") == {box: 1}
        world.edit_group("rack", {"hold": {"power": "off"}})
        await trio.sleep(1)
        assert len(of(await scraped(world), "hexa_machine_held")) == 3
        world.edit("box-2", {"hold": {"power": "on"}})
        await trio.sleep(1)
        assert of(await scraped(world), "hexa_group_held_off") == {place: 2}  # its own word counts before its group's


async def test_power_that_is_read_is_told_apart_from_power_that_is_not(autojump_clock: MockClock) -> None:
    """A machine whose BMC answers is known, one whose BMC is silent is not, and one that nothing reads is not told of; nor has a
    group that is kept off a least size."""
    machines = [machine(f"{name}-1", group="rack", sensor=name != "blind") for name in ("good", "bad", "blind")]
    async with open_world(groups=[rack(minSize=2, mode="AlwaysOff")], machines=machines, **SITE) as world:
        world.inject({"kind": "sensorBlind", "machine": "bad-1"})
        await begin(world)
        await trio.sleep(600)
        found = await scraped(world)
        assert of(found, "hexa_machine_power_known") == {("bad-1", "machines"): 0, ("good-1", "machines"): 1}
        assert of(found, "hexa_group_min_size") == {("rack", "machines"): 0}


async def test_an_api_server_that_is_away_shows(autojump_clock: MockClock) -> None:
    """While watches cannot be held, who looks sees for how long, of each kind, and that calls are not answered; afterwards the lag
    is 0 again. Conflicts of writers are no errors."""
    async with open_world(groups=[rack()], machines=boxes(1), **SITE) as world:
        await begin(world)
        assert of(await scraped(world), "hexa_api_errors_total") == {}
        world.inject({"kind": "outage", "duration": "40s"})
        await trio.sleep(20)
        during = await scraped(world)
        lags = of(during, "hexa_watch_lag_seconds")
        assert {("Group",), ("Node",), ("KubernetesNode",), ("Job",)} <= set(lags)
        assert all(15 < lag < 25 for lag in lags.values())
        assert sum(of(during, "hexa_api_errors_total").values()) >= 4
        await trio.sleep(60)
        after = await scraped(world)
        assert set(of(after, "hexa_watch_lag_seconds").values()) == {0}
        with pytest.raises(Conflict):
            await metrics_of(world).watched(Stale()).delete(MACHINES, "box-1")
        assert of(await scraped(world), "hexa_api_errors_total") == of(after, "hexa_api_errors_total")


async def test_energy_and_cycles_outlive_restarts(autojump_clock: MockClock) -> None:
    """What grows for the life of a machine goes on where it was after hexa was started again; what counts the agent's own life
    begins anew."""
    async with open_world(groups=[rack()], machines=boxes(1, **WATTS), **SITE) as world:
        await begin(world)
        await switch(world, "on")
        await reach(world, Phase.READY)
        await switch(world, "off")
        await reach(world, Phase.OFF)
        await trio.sleep(3 * 3600)
        before = await scraped(world)
        await world.restart_agent()
        after = await scraped(world)
        lasting = ("hexa_machine_energy_joules_total", "hexa_machine_cycles_total")
        assert all(of(after, name) == of(before, name) for name in lasting)
        assert before["hexa_machine_cycles_total", "box-1", "machines"] == 1
        kwh = world.node("box-1").status.energy.kwh
        assert before["hexa_machine_energy_joules_total", "box-1", "machines"] == pytest.approx(kwh * 3.6e6) != 0
        assert (before["hexa_wakes_total", "rack", "machines"], after["hexa_wakes_total", "rack", "machines"]) == (1, 0)


async def test_nothing_is_kept_of_what_is_gone(autojump_clock: MockClock) -> None:
    """A machine that was removed, and a group, are in no sample any more; the counts of other groups stay."""
    site = {"groups": [rack(), group("shelf")], "machines": [*boxes(1), machine("cup", group="shelf")]}
    async with open_world(**site, **SITE) as world:
        await begin(world)
        await switch(world, "on", "box-1", "cup")
        await reach(world, Phase.READY)
        await reach(world, Phase.READY, "cup", within=300)
        for kind, name in ((MACHINES, "box-1"), (GROUPS, "rack")):
            world.site.api.delete(kind, ("machines", name))
        await world.until(lambda: "box-1" not in str(metrics_of(world)._core.store.machines.objects), within=60)
        found = await scraped(world)
        assert [key for key in found if "box-1" in key or "rack" in key] == []
        assert found["hexa_wakes_total", "shelf", "machines"] == 1


async def test_what_comes_from_outside_makes_no_labels(autojump_clock: MockClock) -> None:
    """10,000 reasons that hexa does not know, and 10,000 machines that are not there, are one label each at most."""
    async with open_world(groups=[rack()], machines=boxes(1), **SITE) as world:
        await begin(world)
        life, calls = world.agent.life, metrics_of(world).calls
        assert life is not None
        before = await scraped(world)
        for number in range(10_000):
            reason, error = OpenReason(f"Odd{number}"), Unavailable("odd", reason=f"Odd{number}")
            machine, odd = Lookup("machines", f"odd-{number}"), Lookup(f"odd-{number}", "box-1")
            gone = News(of=machine, what=What.LOST, why="odd", change=Change("Ready", "Lost", "NodeLost"))
            told = (gone, failure(Work.READING, odd, error), News(of=odd, what=reason, why="odd", by="user"))
            for each in told:
                metrics_of(world)._tally.told(each)
        calls.refused("", 0.0, "UNIMPLEMENTED")
        more = set(await scraped(world)) - set(before)
        assert len(more) <= 8
        assert ("hexa_failures_total", "", "", "Other") in more
        assert ("hexa_decisions_total", "Other") in more
        assert not [key for key in more if any("odd" in label.lower() for label in key)]


async def test_a_second_scrape_leaves_nothing_behind(autojump_clock: MockClock) -> None:
    """Scrapes cost no memory that stays: after one there are no more objects than before."""
    async with open_world(groups=[rack()], machines=boxes(20, **WATTS), **SITE) as world:
        await begin(world)
        exposition = Exposition(metrics_of(world))
        counts = list[int]()
        for _ in range(4):
            await exposition("")
            gc.collect()
            counts.append(len(gc.get_objects()))
        assert counts[3] <= counts[2] <= counts[1]


async def test_a_flood_of_groups_keeps_nobody_waiting(autojump_clock: MockClock) -> None:
    """However many series a family has, others have their turn after at most a thousand lines of it."""

    class Flood:
        def families(self) -> Iterator[Family]:
            for count in (10_000, 3):
                samples = [((f"rack-{number}",), 1.0) for number in range(count)]
                yield Family(name=f"of_{count}", kind=Kind.GAUGE, meaning="Many.", labels=("group",), samples=samples)

    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await trio.lowlevel.checkpoint()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(other)
        body, _ = await Exposition(Flood())("")
        nursery.cancel_scope.cancel()
    assert turns >= 10
    assert body.count(b"\nof_10000{") == 10_000


async def test_the_text_is_what_prometheus_client_writes(autojump_clock: MockClock) -> None:
    """Our faster writer says the same as the library, to the byte; and there is something to say of every metric that was moved."""
    async with open_world(groups=[rack()], machines=boxes(2, **WATTS), **SITE) as world:
        await begin(world)
        await switch(world, "on")
        await reach(world, Phase.READY)
        metrics = metrics_of(world)
        metrics.calls.answered("Refresh", 0.003)
        metrics.calls.refused('Odd"\\\n', 0.5, "NOT_FOUND")
        metrics.notified({("phone", "sent"): 1})
        body, kind = await Exposition(metrics)("")
        text, registry = body.decode(), make_registry(metrics)
        expected = generate_latest(registry).decode()
        assert text.partition("# HELP process_")[0] == expected.partition("# HELP process_")[0]
        assert kind.startswith("text/plain; version=0.0.4")
        assert "process_resident_memory_bytes" in text
        assert [row.name for row in ROWS if f"# TYPE {row.name} {row.kind}\n" not in text] == []
