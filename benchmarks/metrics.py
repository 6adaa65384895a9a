"""A scrape of /metrics with 10, 100 and 1,000 machines, each with an energy account and its conditions: how long it takes, how long
the longest piece of it keeps Cluster Autoscaler's calls waiting, and what of it stays in memory.

The yardstick is prometheus_client's own writer over the same samples.
"""

import gc
import statistics
import sys
import time
import tracemalloc
from typing import Any

import msgspec
import trio
from _process import run
from _table import show
from prometheus_client.exposition import generate_latest

from hexa.adapters.metrics.adapter import Exposition, make_registry
from hexa.adapters.metrics.wire import family_text
from hexa.ports.metrics import Family
from hexa.testing.world import group, machine, open_world

GROUPS = 20
SIZES = (10, 100, 1000)
SCRAPES = 15


def main() -> None:
    rows = [[size, *run(__file__, "scrape", str(size))] for size in SIZES]
    heads = ["machines", "samples", "scrape ms", "longest piece ms", "prometheus_client ms", "stays KiB"]
    note = f"{GROUPS} groups; CPU time, medians of {SCRAPES}; what stays: allocations after {SCRAPES} scrapes"
    show("A scrape of /metrics", heads, rows, note=note)


async def scrapes(size: int) -> list[Any]:
    watts = {"idle_watts": 60.0, "max_watts": 90.0, "off_watts": 2.0, "boot_watt_hours": 5.0}
    count = min(GROUPS, size)
    machines = [machine(f"machine-{n:04}", group=f"group-{n % count}", on=True, **watts) for n in range(size)]
    groups = [group(f"group-{number}") for number in range(count)]
    async with open_world(groups=groups, machines=machines, autoscaler=None, agent=False) as world:
        world.agent.metered = True
        await world.start_agent()
        await world.until(lambda: set(world.phases().values()) == {"Ready"}, within=120)
        assert world.agent.life is not None
        metrics = world.agent.life.metrics
        assert metrics is not None
        exposition, registry = Exposition(metrics), make_registry(metrics)
        body, _ = await exposition("")
        took, theirs = list[float](), list[float]()
        for _ in range(SCRAPES):
            began = time.process_time()
            texts = [family_text(family) for family in metrics.families()]  # no task of the site runs in between
            between = time.process_time()
            generate_latest(registry)
            took.append(between - began)
            theirs.append(time.process_time() - between)
            assert len("".join(texts)) > 0.9 * len(body)
        longest = max(piece(family) for _ in range(3) for family in metrics.families())
        samples = sum(line[:1] != "#" for line in body.decode().splitlines())
        stays = await kept(exposition)
        return [samples, statistics.median(took) * 1e3, longest * 1e3, statistics.median(theirs) * 1e3, stays]


def piece(family: Family) -> float:
    """Seconds for one family."""
    began = time.process_time()
    family_text(family)
    return time.process_time() - began


async def kept(exposition: Exposition) -> float:
    """KiB that are allocated after more scrapes and were not before."""
    tracemalloc.start()
    await exposition("")
    gc.collect()
    before, _ = tracemalloc.get_traced_memory()
    for _ in range(SCRAPES):
        await exposition("")
    gc.collect()
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return (after - before) / 1024


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["scrape", size]:
            print(msgspec.json.encode(trio.run(scrapes, int(size))).decode())
        case _:
            main()
