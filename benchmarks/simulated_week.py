"""A simulated week: CPU seconds and memory for 5 to 40 machines, their pods in proportion.

All of it is counted: hexa's controllers and provider, the API server, scheduler and kubelets in memory, and the reference
autoscaler. Each size runs in a process of its own; its yardstick is the smallest.
"""

import resource
import sys
import time
from pathlib import Path

import msgspec
from _process import run
from _table import show
from msgspec import structs

from hexa.simulate import Scenario, read_scenario, simulate

SIZES = (5, 10, 20, 40)
SCENARIO = Path(__file__).parent.parent / "examples" / "scenarios" / "office-week.yaml"
FULL = 20
"""Machines of the scenario as it is."""


def main() -> None:
    rows: list[list[object]] = []
    for size in SIZES:
        found = run(__file__, "play", str(size))
        each = 1000 * found["cpu"] / found["pods"]
        ratio = each / rows[0][4] if rows else 1.0  # type: ignore[operator]
        rows.append([size, found["pods"], found["writes"], found["cpu"], each, ratio, found["mib"]])
    heads = ("machines", "pods", "API writes", "CPU s", "CPU ms a pod", "to the smallest", "MiB")
    show("A simulated week", heads, rows, note="Cost grows in proportion while the CPU time of a pod stays the same.")


def play(size: int) -> None:
    """Play the week and print what it took, as JSON."""
    scenario = scaled(read_scenario(SCENARIO.read_text(encoding="utf-8"), source=str(SCENARIO)), size)
    begin = time.process_time()
    report = simulate(scenario)
    cpu = time.process_time() - begin
    mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    found = {"machines": size, "pods": report.pods, "cpu": cpu, "mib": mib, "writes": report.api_writes}
    print(msgspec.json.encode(found).decode())


def scaled(scenario: Scenario, size: int) -> Scenario:
    """The scenario for another number of machines, its load in proportion and without faults."""
    share = size / FULL
    services = tuple(
        structs.replace(service, office_hours=structs.replace(hours, replicas=round(hours.replicas * share)))
        if (hours := service.office_hours) is not None
        else service
        for service in scenario.services
    )
    jobs = tuple(
        structs.replace(each, per_hour=each.per_hour * share, count=max(1, round(each.count * share)))
        for each in scenario.jobs
    )
    machines = tuple(structs.replace(row, count=size) for row in scenario.machines)
    return structs.replace(scenario, machines=machines, services=services, jobs=jobs, faults=())


if __name__ == "__main__":
    play(int(sys.argv[2])) if sys.argv[1:2] == ["play"] else main()
