"""hexa simulate: scenarios that are played as they are written, mistakes that are told, reports that can be trusted."""

import json
import os
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs
from typer.testing import CliRunner

from hexa.cli.app import app
from hexa.simulate import Report, Scenario, ScenarioError, read_scenario, simulate
from hexa.simulate.calendar import parse_moment
from hexa.simulate.figures import span, waits_of
from hexa.simulate.timeline import binned
from hexa.simulate.workloads import Scaled, Started, plan

EXAMPLES = Path(__file__).parents[2] / "examples" / "scenarios"

SMALL = """
title: Small
start: 2026-03-02T08:00:00+01:00
duration: 2h
groups:
  - metadata: {name: rack}
    spec: {cost: {pricePerKWh: 0.5}}
machines:
  - {name: rack, count: 3, group: rack, cpu: 4, boot: 30s, watts: {idle: 100, max: 200, standby: 10}}
jobs:
  - {name: work, at: [08:30], count: 6, runtime: 10m, pods: {cpu: 2, memory: 1Gi}}
"""


def small(**changes: object) -> Scenario:
    """Three machines and six jobs, with some fields changed."""
    return structs.replace(read_scenario(SMALL, source="small.yaml"), **changes)


def example(name: str, **changes: object) -> Scenario:
    """One of the scenarios that are shipped."""
    path = EXAMPLES / f"{name}.yaml"
    return structs.replace(read_scenario(path.read_text(encoding="utf-8"), source=str(path)), **changes)


@pytest.fixture(scope="module")
def report() -> Report:
    """What came of the small scenario."""
    return simulate(small())


# --- the scenarios that are shipped ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "hours", "saved"),
    [
        pytest.param("office-week", "33h", 0.5, marks=pytest.mark.long),
        pytest.param("batch-burst", None, 0.6, marks=pytest.mark.long),
        pytest.param("flaky-rack", None, 0.3, marks=pytest.mark.long),
        pytest.param("homelab-weekend", None, 0.6, marks=pytest.mark.long),
        pytest.param("office-schedule", None, 0.5, marks=pytest.mark.long),
        pytest.param("bad-night", None, 0.1, marks=pytest.mark.long),
    ],
)
def test_examples_save_hours_and_lose_nothing(name: str, hours: str | None, saved: float) -> None:
    """Every shipped scenario plays to its end: hexa loses no work, no pod is left waiting, and machine-hours are saved."""
    scenario = example(name, **({"duration": hours} if hours else {}))
    found = simulate(scenario)
    assert found.survived
    assert found.work_lost == 0
    assert found.saved_hours > saved
    assert found.waits.at_once > 0
    if scenario.faults and not hours:
        assert found.failures >= len(scenario.faults) - 1


def test_every_example_is_played() -> None:
    """No scenario is shipped that is not played above."""
    assert {path.stem for path in EXAMPLES.glob("*.yaml")} == {
        "office-week",
        "batch-burst",
        "flaky-rack",
        "homelab-weekend",
        "office-schedule",
        "bad-night",
    }


# --- a run ----------------------------------------------------------------------------------------


def test_a_run_wakes_works_and_rests(report: Report) -> None:
    """Six jobs of two cores wake three machines of four; half an hour after the jobs all are off again."""
    assert report.pods == 6
    assert report.power_cycles == 3
    assert report.waiting_at_end == 0
    assert [machine.phases[-1][1] for machine in report.machines] == ["Off"] * 3
    assert 30 < report.waits.max < 75
    assert 0.3 < report.machine_hours < 3


def test_energy_and_money_follow_from_the_watts(report: Report) -> None:
    """Energy is what the watts say of the hours on, off and at work; always-on counts the same work; money is its price."""
    work = sum(machine.kwh for machine in report.machines) - (
        report.machine_hours * 0.1 + (report.machine_hours_always_on - report.machine_hours) * 0.01
    )
    assert work > 0
    assert report.kwh_always_on == pytest.approx(6 * 0.1 + work, abs=0.01)
    assert report.money == pytest.approx(report.kwh * 0.5, abs=0.01)
    assert report.saved_money == pytest.approx((report.kwh_always_on - report.kwh) * 0.5, abs=0.02)


def test_hours_have_a_price_too() -> None:
    """A machine's hourly rate is paid for its hours on, and for all hours by always-on; the monthly rate is due on or off."""
    text = SMALL.replace("count: 3,", "count: 3, spec: {pricing: {hourlyRate: 2, monthlyRate: 730.5}},").replace(
        "pricePerKWh: 0.5", "pricePerKWh: 0"
    )
    found = simulate(read_scenario(text, source="x"))
    month = 6  # a month has 730.5 hours, and three machines were there for two each
    assert found.money == pytest.approx(2 * found.machine_hours + month, abs=0.01)
    assert found.money_always_on == pytest.approx(2 * 6 + month, abs=0.01)


def test_jobs_are_never_cut_short() -> None:
    """Two long jobs that would fit on one machine keep two machines on until they are done: their work is not thrown away."""
    text = SMALL + "  - {name: long, at: [08:30], count: 2, runtime: 50m, spread: 0, pods: {cpu: 1, memory: 1Gi}}\n"
    found = simulate(read_scenario(text, source="x"))
    assert found.pods == 8
    assert found.pods_moved == 0


def test_the_same_seed_gives_the_same_report(report: Report) -> None:
    """A scenario and a seed determine every figure and every phase; another seed gives other runtimes."""
    assert simulate(small()) == report
    assert simulate(small(), seed=2) != report


@pytest.mark.long
def test_two_processes_give_the_same_report(tmp_path: Path) -> None:
    """A scenario gives the same report to the byte in every process, whatever order Python gives to sets there."""
    path = tmp_path / "burst.yaml"
    many = SMALL.replace("count: 3", "count: 8").replace("boot: 30s", "boot: 30s, bootJitter: 0.3")
    path.write_text(many.replace("count: 6", "count: 16"))
    command = [sys.executable, "-m", "hexa", "simulate", str(path), "--json"]
    first, second = (
        subprocess.run(command, env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, check=True).stdout
        for seed in ("1", "2")
    )
    assert first == second
    assert len({machine["kwh"] for machine in json.loads(first)["machines"]}) > 4


def test_progress_is_told() -> None:
    """Whoever listens hears of the whole way, from nothing to all."""
    shares: list[float] = []
    simulate(small(duration="40m"), tell=lambda progress: shares.append(progress.share))
    assert shares == sorted(shares)
    assert (shares[0], shares[-1]) == (0.0, 1.0)


def test_a_fault_that_does_not_strike_is_not_counted() -> None:
    """A lost wake of a machine that nobody wakes is no failure that was survived."""
    text = SMALL + "faults:\n  - {at: 1m, kind: lostWake, machine: rack-1, count: 50}\n"
    (fault,) = simulate(read_scenario(text, source="x")).faults
    assert fault.struck < 50


LONGER = SMALL.replace("runtime: 10m", "runtime: 55m").replace("duration: 2h", "duration: 1h")
"""Two jobs fit on a machine: six need three; of the twelve that come, six find none until the hour is over."""


def test_waits_stand_by_workload_beside_the_same_load_with_all_machines_on(report: Report) -> None:
    """What hexa costs in waiting is seen beside what the load waits where all machines are on: a boot, and nothing."""
    (work,) = report.workloads
    assert (work.name, work.pods, work.never_ran) == ("work", 6, 0)
    assert work.waits == report.waits
    assert work.waits.p50 > 30
    assert work.waits_always_on.max < 5
    assert "(all machines on: " in dict(report.rows())["  waited p50 / p95 / max"]


def test_pods_that_never_ran_are_the_first_line() -> None:
    """Pods that wait to the end stand first in table and page, by workload, with how many would wait with all machines on."""
    found = simulate(read_scenario(LONGER.replace("count: 6", "count: 12"), source="x"))
    assert found.waiting_at_end == 6
    assert found.rows()[0] == ("Pods that never ran", "6: 6 of work; with all machines on: 6")
    assert found.text().splitlines()[3].startswith("Pods that never ran")
    assert found.html().index("Pods that never ran") < found.html().index("Hours saved")


def test_where_no_pod_ran_nothing_is_said_of_waiting() -> None:
    """No share of no pods is told, in the table and in the picture, and few machine-hours and kilowatt-hours have their tenth."""
    group = SMALL.replace("{cost: {pricePerKWh: 0.5}}", "{maxSize: 0}")
    found = simulate(read_scenario(group, source="small.yaml"))
    rows = dict(found.rows())
    assert rows["Pods run"] == "0"
    assert rows["  waited p50 / p95 / max"].startswith("none ran (all machines on: ")
    assert rows["Machine-hours on"] == "0.0 of 6.0 always on, 100% saved"
    assert "none ran" in found.svg()
    assert "Pods at once" not in found.svg()
    assert "0.0 of 6.0 machine-hours" in found.svg()


def test_waits_for_lack_of_machines_are_no_cost_of_hexa() -> None:
    """Jobs that queue for machines queue where all machines are on, too, and the report tells the two apart."""
    text = SMALL.replace("count: 6", "count: 12") + "  - {name: late, at: [09:15], runtime: 1m, pods: {cpu: 1}}\n"
    found = simulate(read_scenario(text, source="x"))
    work, late = found.workloads
    assert work.waits_always_on.max > 300
    assert late.waits_always_on.max < 5
    assert late.waits.max > 20
    assert [name for name, _ in found.rows() if name.startswith("  ")][1:3] == ["  work (12)", "  late (1)"]


# --- load -----------------------------------------------------------------------------------------


def test_office_hours_come_and_go() -> None:
    """Pods of office hours rise from none to their height, are none at night and at the weekend."""
    steps = [
        step for step in plan(example("office-week"), seed=1) if isinstance(step, Scaled) and step.service == "desktops"
    ]
    assert max(step.replicas for step in steps) > 100
    for step in steps:
        local = step.at.hour + step.at.minute / 60
        if step.replicas:
            assert 7 <= local <= 19
            assert step.at.weekday() < 5
    assert steps[-1].replicas == 0
    by_time = {step.at.hour * 60 + step.at.minute: step.replicas for step in steps if step.at.day == 2}
    assert by_time[12 * 60 + 30] < 0.85 * by_time[10 * 60 + 30]


def test_bursts_and_chance_are_drawn_from_the_seed() -> None:
    """A burst has as many jobs as it says, at its time; the same seed draws the same arrivals and runtimes."""
    scenario = example("batch-burst")
    steps = [step for step in plan(scenario, seed=3) if isinstance(step, Started)]
    burst = [step for step in steps if step.jobs == "morning"]
    assert len(burst) == 240
    assert {(step.at.hour, step.at.minute) for step in burst} == {(9, 0)}
    assert steps == [step for step in plan(scenario, seed=3) if isinstance(step, Started)]
    assert 20 < sum(step.jobs == "stragglers" for step in steps) < 120
    assert len({step.seconds for step in burst}) > 200
    assert sorted(step.seconds for step in burst)[120] == pytest.approx(22 * 60, rel=0.2)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("26h30m", datetime(2026, 3, 3, 10, 30, tzinfo=UTC)),
        ("Tue 09:30", datetime(2026, 3, 3, 9, 30, tzinfo=UTC)),
        ("Mon 09:30", datetime(2026, 3, 2, 9, 30, tzinfo=UTC)),
        ("Mon 07:00", datetime(2026, 3, 9, 7, 0, tzinfo=UTC)),
    ],
)
def test_moments_are_durations_or_weekdays(text: str, expected: datetime) -> None:
    """A fault's time is so long after the start, or the first such weekday and time that is not before it."""
    assert parse_moment(text, start=datetime(2026, 3, 2, 8, 0, tzinfo=UTC)) == expected


def test_a_group_s_labels_count_for_its_machines() -> None:
    """A pod that selects a label that members of the group get from it can run there."""
    text = SMALL.replace("{cost: {pricePerKWh: 0.5}}", "{nodeSelector: {disk: ssd}}")
    selector = "nodeSelector: {disk: ssd, infra.homecluster.dev/group: rack}"
    text = text.replace("pods: {cpu: 2", f"pods: {{{selector}, cpu: 2").replace("count: 6", "count: 2")
    found = simulate(read_scenario(text.replace("2h", "40m"), source="x"))
    assert (found.pods, found.workloads[0].waits_always_on.max < 5) == (2, True)


def test_money_by_a_tariff_is_that_of_the_account() -> None:
    """Energy costs what the tariff says in the hour in which it is drawn: the receipt has the energy of the meters, and dear half
    hours weigh more than cheap ones. Table and page show receipt and tariff."""
    tariff = (
        "tariffs: {dear-work: {zone: Europe/Berlin, price: 0.1, windows: [{from: '08:30', to: '09:00', price: 1}]}}\n"
    )
    text = SMALL.replace("{cost: {pricePerKWh: 0.5}}", "{cost: {tariff: dear-work}}").replace("jobs:", f"{tariff}jobs:")
    flat, found = simulate(small()), simulate(read_scenario(text, source="x"))
    (line,) = found.receipt.groups
    assert (line.name, found.currency) == ("rack", "EUR")
    assert line.sums.kwh == pytest.approx(found.kwh, abs=2e-3)
    assert found.kwh == pytest.approx(flat.kwh, abs=1e-3)
    assert line.sums.on_seconds / 3600 == pytest.approx(found.machine_hours, abs=0.05)
    assert 0.1 * found.kwh < found.money < found.kwh
    assert found.money == pytest.approx(line.sums.money, abs=0.01)
    assert found.money_always_on == pytest.approx(found.money + line.sums.saved, abs=0.01)
    assert "receipt of rack" in found.text()
    assert "Tariff dear-work" in found.html()
    assert "Tariff" not in flat.html()


def test_a_tariff_is_billed_by_the_clock() -> None:
    """A machine that idles for two hours of which half an hour costs tenfold: its price is exact to a hundredth of a cent."""
    tariff = "tariffs: {t: {zone: Europe/Berlin, price: 0.1, windows: [{from: '08:30', to: '09:00', price: 1}]}}\n"
    text = SMALL.replace("{cost: {pricePerKWh: 0.5}}", "{minSize: 3, cost: {tariff: t}}").replace(
        "count: 6", "count: 1"
    )
    text = (
        text.replace("jobs:", f"{tariff}jobs:").replace("runtime: 10m", "runtime: 1s").replace("boot: 30s", "boot: 1s")
    )
    text = text.replace("max: 200", "max: 100").replace("standby: 10", "standby: 100")
    (line,) = simulate(read_scenario(text, source="x")).receipt.groups
    assert line.sums.money == pytest.approx(3 * 0.1 * (1.5 * 0.1 + 0.5 * 1), abs=1e-4)


# --- mistakes -------------------------------------------------------------------------------------

MISTAKES = [
    (
        "spec: {cost: {pricePerKWh: 0.5}}",
        "spec: {cost: {tariff: night}}",
        "bad.yaml:7: groups[0].spec.cost.tariff: there is no tariff night (there are: none)",
        "declare it under tariffs",
    ),
    (
        "machines:",
        "  - metadata: {name: other}\n    spec: {cost: {pricePerKWh: 1, currency: GBP}}\nmachines:",
        "groups[1].spec.cost: its prices are in GBP, and those of a group before it in EUR",
        "write all prices in one currency",
    ),
    (
        "jobs:",
        "tariffs: {day: {file: x.csv}}\njobs:",
        "tariffs.day.file: a scenario reads no other file",
        "its windows",
    ),
    ("jobs:", "tariffs: {day: {price: 1, windows: [{from: 6, to: x}]}}\njobs:", "tariffs.day.windows[0]", ""),
    ("duration: 2h", "duration: 2", "bad.yaml:4: duration: ", 'such as "2s"'),
    ("duration: 2h", "duration: 0s", "bad.yaml:4: duration: nothing happens", '"24h"'),
    ("title: Small", "titel: Small", "bad.yaml:2: titel: is no field", "did you mean title?"),
    ("title: Small\n", "", "title: is missing", "add it"),
    ("2026-03-02T08:00:00+01:00", "yesterday", "bad.yaml:3: start: ", "with date, time and zone"),
    ("group: rack", "group: rak", "bad.yaml:9: machines[0].group: there is no group rak", "did you mean rack?"),
    ("count: 3", "count: 0", "bad.yaml:9: machines[0].count: is 0", "1 is the least"),
    ("at: [08:30]", "at: [08:61]", "bad.yaml:11: jobs[0].at[0]: '08:61' is no time of day", '"08:30"'),
    ("spec: {cost: {pricePerKWh: 0.5}}", "spec: {minSize: 3, maxSize: 1}", "groups[0].spec.minSize", "lower minSize"),
    ("spec: {cost: {pricePerKWh: 0.5}}", "spec: {maxsize: 1}", "groups[0].spec.maxsize", "did you mean maxSize?"),
    (
        "jobs:",
        "faults:\n  - {at: 1m, kind: lostWak}\njobs:",
        "faults[0].kind: lostWak is not known",
        "did you mean lostWake?",
    ),
    ("jobs:", "faults:\n  - {at: soon, kind: dead}\njobs:", "faults[0].at: 'soon' is no duration", "Tue 09:30"),
    (
        "jobs:",
        "faults:\n  - {at: 1m, kind: dead, machine: rack-9}\njobs:",
        "faults[0].machine: there is no rack-9",
        "did you mean rack-",
    ),
    (
        "pods: {cpu: 2",
        "pods: {cpu: 9",
        "bad.yaml:11: jobs[0].pods: its pods fit on no machine",
        "cpu 9 is more than its 4",
    ),
    (
        "pods: {cpu: 2",
        "pods: {resources: {nvidia.com/gpu: 1}, cpu: 2",
        "jobs[0].pods: its pods fit on no machine (rack: it has no nvidia.com/gpu)",
        "add a machine that takes it",
    ),
    (
        "pods: {cpu: 2",
        "pods: {nodeSelector: {disk: ssd}, cpu: 2",
        "jobs[0].pods: its pods fit on no machine (rack: it has no label disk=ssd)",
        "correct selector",
    ),
    (
        "boot: 30s,",
        "boot: 30s, taints: [{key: batch, effect: NoSchedule}],",
        "jobs[0].pods: its pods fit on no machine (rack: the taint batch is not tolerated)",
        "tolerations",
    ),
    ("watts: {idle: 100", "watts: {off: 3", "machines[0].watts.false: is no field", "standby"),
    ("jobs:", "jobs: [", "bad.yaml:", ""),
    ("duration: 2h", "duration: 9999999999h", "bad.yaml:4: duration: '9999999999h' is longer than 292 years", "10m"),
    ("2026-03-02T08", "0001-01-01T08", "bad.yaml:3: start: is before 1980", "later"),
    ("2026-03-02T08", "9999-12-31T23", "bad.yaml:3: start: the scenario ends after 2200", "begin earlier"),
    ("name: work", "name: Work_1", "bad.yaml:11: jobs[0].name: 'Work_1' is no name in Kubernetes", "lower case"),
    ("name: rack, count", "name: ra/ck, count", "bad.yaml:9: machines[0].name: 'ra/ck' is no name", "lower case"),
    ("boot: 30s", "boot: 30s, labels: {a b: c}", "machines[0].labels[\"a b\"]: 'a b' is no key of a label", "letters"),
    ("jobs:", "services: [{name: a}, {name: a}]\njobs:", "services[1].name: a stands twice", "rename"),
    ("jobs:", "services: [{name: a, replicas: 2000000000}]\njobs:", "services[0].replicas: is 2000000000", "100000"),
    (
        "jobs:",
        "services: [{name: a, officeHours: {replicas: 1, every: 0s}}]\njobs:",
        "services[0].officeHours.every: is 0s: the number of pods would change without end",
        "1s at least",
    ),
    ("jobs:", "autoscaler: {scanInterval: 0s}\njobs:", "bad.yaml:10: autoscaler.scanInterval: is 0s", "100ms at least"),
    ("jobs:", "circuits: {a: {maxWatts: 0}}\njobs:", "circuits.a.maxWatts: is 0", "write more than 0"),
    ("jobs:", "faults:\n  - {at: 2h, kind: dead}\njobs:", "faults[0].at: 2h is not before the end", "earlier time"),
    ("jobs:", "faults:\n  - {at: Tue 09:30, kind: dead}\njobs:", "faults[0].at: Tue 09:30 is not before", "earlier"),
    ("jobs:", "faults:\n  - {at: 1m, kind: outage, duration: -5m}\njobs:", "-5m is negative", "only clockSet"),
    ("jobs:", "faults:\n  - {at: 1m, kind: clockSet}\njobs:", "clockSet is nothing without a duration", "by how much"),
    ("jobs:", "faults:\n  - {at: 1m, kind: dead, duration: 5}\njobs:", "faults[0].duration: is the number 5", "quotes"),
    (
        "boot: 30s",
        "boot: 30s, spec: {startupPodSpec: {}}",
        "machines[0].spec.startupPodSpec.image: is missing",
        "add it",
    ),
    (
        "boot: 30s",
        "boot: 30s, spec: {kubernetesNodeName: x}",
        "machines[0].spec.kubernetesNodeName: 3 machines cannot be one Kubernetes node",
        "a row for each",
    ),
    ("- metadata: {name: rack}", "- kind: Node\n    metadata: {name: rack}", "groups[0].kind: is Node", "write Group"),
]


@pytest.mark.parametrize(("old", "new", "told", "remedy"), MISTAKES)
def test_mistakes_are_told_with_place_and_remedy(old: str, new: str, told: str, remedy: str) -> None:
    """Whatever is wrong in a scenario is told with file, line, field and what to do about it."""
    assert old in SMALL
    with pytest.raises(ScenarioError) as caught:
        read_scenario(SMALL.replace(old, new), source="bad.yaml")
    assert told in str(caught.value)
    assert remedy in str(caught.value)


def test_all_mistakes_are_told_at_once() -> None:
    """Two mistakes are two lines, so that nobody mends them one by one."""
    text = SMALL.replace("count: 3", "count: 0").replace("runtime: 10m", "runtime: 10")
    with pytest.raises(ScenarioError) as caught:
        read_scenario(text, source="bad.yaml")
    assert len(str(caught.value).splitlines()) == 2


def test_a_group_with_a_mistake_is_told_once() -> None:
    """Its machines are not told that there is no such group."""
    text = SMALL.replace("{cost: {pricePerKWh: 0.5}}", "{minSize: -1}")
    with pytest.raises(ScenarioError) as caught:
        read_scenario(text, source="bad.yaml")
    assert str(caught.value).splitlines() == ["bad.yaml:7: groups[0].spec.minSize: is -1; 0 is the least"]


def test_the_clock_can_be_set_back() -> None:
    """clockSet takes a negative duration, as the page says, and the pods run all the same."""
    fault = "faults: [{at: 20m, kind: clockSet, duration: -5m}]\njobs:"
    found = simulate(read_scenario(SMALL.replace("jobs:", fault), source="x"))
    assert (found.waiting_at_end, found.faults[0].struck) == (0, 1)


@pytest.mark.parametrize("text", ["", "- 1\n", "a: 1\n---\nb: 2\n"])
def test_no_scenario_at_all(text: str) -> None:
    """An empty file, a list and a second document are told in a sentence."""
    with pytest.raises(ScenarioError, match=r"bad\.yaml"):
        read_scenario(text, source="bad.yaml")


# --- what is shown --------------------------------------------------------------------------------


class Links(HTMLParser):
    """Collects whatever a page would load."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value or "" for name, value in attrs if name in ("src", "href", "data-src", "srcset")]
        assert tag not in ("link", "iframe", "object", "embed", "img")


def test_the_page_needs_nothing_else(report: Report) -> None:
    """The page loads nothing, carries its data, and a title with markup in it stays text."""
    first = structs.replace(report.machines[0], name="</script><b>Spike")
    page = structs.replace(report, title="</script><b>Tom", machines=(first, *report.machines[1:])).html()
    links = Links()
    links.feed(page)
    assert links.found == []
    assert not re.findall(r"url\(|@import|https?://(?!www\.w3\.org)", page)
    data = json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)[1])  # type: ignore[index]
    assert [machine["name"] for machine in data["machines"]] == ["</script><b>Spike", "rack-2", "rack-3"]
    assert page.count("</script>") == 2
    assert "<b>Tom" not in page
    assert ">Spike" not in page.replace("<b>Spike", "", 1)
    assert "{style}" not in page


def test_the_picture_has_real_colours(report: Report) -> None:
    """Viewers that know no CSS variables (Inkscape, librsvg, previews of READMEs) draw the picture in its colours too."""
    drawn = report.svg()
    assert "var(" not in drawn
    assert ".ready { fill: #bfe6d8 }" in drawn
    assert "@media (prefers-color-scheme: dark)" in drawn


def test_the_shipped_picture_has_real_colours() -> None:
    """The picture of the README is one of them."""
    picture = (EXAMPLES.parents[1] / "docs" / "simulate.svg").read_text(encoding="utf-8")
    assert "var(" not in picture


def test_the_page_suits_a_narrow_screen(report: Report) -> None:
    """The legend wraps as text beside the chart, a hint says that the chart scrolls, and touch is told of taps, not of hovering."""
    page = report.html()
    chart, legend = page.index('<svg class="timeline"'), page.index('<div class="legend')
    assert "a fault strikes" not in page[chart:legend]
    assert "a fault strikes" in page[legend:]
    assert "scroll it sideways" in page
    assert '<span class="touch">Tap for details.</span>' in page
    assert "@media (hover: none) { .mouse { display: none }" in page


def test_hours_and_energy_stand_in_the_chart(report: Report) -> None:
    """Each machine has its hours and its kWh beside its row, and a chart of several days has hours below the days."""
    first, *others = report.machines
    found = structs.replace(report, hours=72.0, machines=(structs.replace(first, kwh=12.34, on_hours=21.0), *others))
    texts = [each.text for each in ET.fromstring(found.svg()).iter("{http://www.w3.org/2000/svg}text")]
    assert {"21", "12.3"} <= set(texts)
    assert texts.count("12") == 3


def test_the_picture_is_drawn_to_scale(report: Report) -> None:
    """The picture is well-formed SVG; a machine's Ready time is as wide in it as it was long."""
    root = ET.fromstring(report.svg())
    (rows,) = [each for each in root.iter("{http://www.w3.org/2000/svg}svg") if each.get("class") == "rows"]
    assert rows.get("viewBox", "").split()[2] == "7200"
    ready = [float(each.get("width", "0")) for each in rows.iter() if each.get("class") == "ready"]
    spans = [stretch for machine in report.machines for stretch in pairwise(machine.phases)]
    assert ready == [round(end - begin) for (begin, phase), (end, _) in spans if phase == "Ready"]


def test_the_report_is_json(report: Report) -> None:
    """`--json` has the figures of the table and the series of the timeline."""
    found = json.loads(report.json())
    assert found["machineHours"] == report.machine_hours
    assert found["workLost"] == 0
    assert found["survived"] is True
    assert found["machines"][0]["phases"][-1][1] == "Off"


def test_the_table_says_it_all(report: Report) -> None:
    """The table has hours, energy, money, waiting, cycles, failures and lost work."""
    names = {name.strip() for name, _ in report.rows()}
    assert names >= {"Machine-hours on", "Energy", "Money", "Pods run", "waited p50 / p95 / max"}
    assert names >= {"Power cycles", "Failures", "Lost work"}


@pytest.mark.parametrize(("seconds", "text"), [(0, "0 s"), (59.4, "59 s"), (95, "1:35 min"), (7500, "2:05 h")])
def test_spans_for_people(seconds: float, text: str) -> None:
    """Seconds, minutes and hours, whichever reads best."""
    assert span(seconds) == text


def test_percentiles_by_the_nearest_rank() -> None:
    """p95 of a hundred waits is the ninety-fifth, and a pod that ran within five seconds waited for nothing."""
    waits = waits_of(tuple(float(number) for number in range(1, 101)))
    assert (waits.p50, waits.p95, waits.max, waits.at_once) == (50, 95, 100, 0.05)


series = st.lists(st.tuples(st.floats(0, 1000), st.floats(0, 50)), max_size=20).map(
    lambda points: tuple(sorted(points))
)


@given(series=series, count=st.integers(1, 40))
def test_bins_keep_the_area(series: tuple[tuple[float, float], ...], count: int) -> None:
    """However a series is cut into stretches, the area under it stays: a picture neither adds nor hides load."""
    if not series:
        return
    ends = [*(at for at, _ in series[1:]), 1000.0]
    area = sum(value * (end - at) for (at, value), end in zip(series, ends, strict=True))
    found = list(binned(series, 0.0, 1000.0, count=count, how="mean"))
    assert sum(value * 1000 / count for _, value in found) == pytest.approx(area, abs=1e-6 * max(1.0, area))
    assert len(found) == count


# --- the command ----------------------------------------------------------------------------------


def test_the_command_plays_a_file(tmp_path: Path) -> None:
    """`hexa simulate FILE --json --html PAGE --svg PICTURE` prints JSON and writes both files."""
    scenario, page, picture = tmp_path / "small.yaml", tmp_path / "page.html", tmp_path / "picture.svg"
    scenario.write_text(SMALL.replace("2h", "1h"), encoding="utf-8")
    result = CliRunner().invoke(app, ["simulate", str(scenario), "--json", "--html", str(page), "--svg", str(picture)])
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["title"] == "Small"
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert picture.read_text(encoding="utf-8").startswith("<svg")


def test_the_command_fails_where_pods_never_ran(tmp_path: Path) -> None:
    """`hexa simulate` ends with code 1, after the whole report, where pods never ran."""
    scenario = tmp_path / "short.yaml"
    scenario.write_text(LONGER.replace("count: 6", "count: 7"), encoding="utf-8")
    result = CliRunner().invoke(app, ["simulate", str(scenario)])
    assert result.exit_code == 1
    assert "Lost work" in result.stdout
    assert "pods that never ran: 1" in result.stderr


def test_the_command_tells_mistakes(tmp_path: Path) -> None:
    """A scenario that cannot be played ends with code 2 and the file's name."""
    scenario = tmp_path / "bad.yaml"
    scenario.write_text("title: x\n", encoding="utf-8")
    result = CliRunner().invoke(app, ["simulate", str(scenario)])
    assert result.exit_code == 2
    assert "bad.yaml" in result.stderr


def test_a_week_begins_on_its_monday() -> None:
    """The shipped week lasts from a Monday, midnight, to the next."""
    scenario = example("office-week")
    assert scenario.start.weekday() == 0
    assert timedelta(seconds=scenario.seconds) == timedelta(days=7)


@pytest.mark.parametrize("option", ["--html", "--svg"])
def test_a_page_that_cannot_be_written_is_told_before_the_run(tmp_path: Path, option: str) -> None:
    """Nobody waits for a simulation whose result has nowhere to go."""
    scenario = tmp_path / "small.yaml"
    scenario.write_text(SMALL)
    for path in (tmp_path, tmp_path / "absent" / "x"):
        result = CliRunner().invoke(app, ["simulate", str(scenario), option, str(path)])
        assert (result.exit_code, result.stdout) == (2, "")
        assert result.stderr.startswith(f"hexa: {path}: cannot be written")
        assert len(result.stderr.splitlines()) == 1
